"""Slots and who drives them: settled once, woken once, cancelled at any moment."""
from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from shack_gateway.errors import Cancelled
from shack_gateway.slot import Drive, Slot


class Watch:
    """A drive, and what it told."""

    def __init__(self, coroutine: Coroutine[Any, None, Any]) -> None:
        self.finished: list[Any] = []
        self.faults: list[Exception] = []
        self.drive = Drive(coroutine, self.finished.append, self.faults.append)

    def step(self) -> Watch:
        self.drive.step()
        return self


async def value_of(slot: Slot[Any]) -> Any:
    return await slot


def test_a_coroutine_that_waits_for_nothing_ends_in_one_step() -> None:
    async def ready() -> int:
        return 5

    assert Watch(ready()).step().finished == [5]


def test_a_settled_slot_wakes_its_coroutine_once() -> None:
    slot: Slot[str] = Slot()
    watch = Watch(value_of(slot)).step()
    assert watch.finished == []
    slot.settle("first")
    slot.settle("second")
    assert watch.finished == ["first"]
    assert slot.value == "first"


def test_a_slot_that_is_settled_already_is_not_waited_for() -> None:
    slot: Slot[None] = Slot()
    slot.settle(None)
    assert Watch(value_of(slot)).step().finished == [None]
    with pytest.raises(StopIteration):
        value_of(slot).send(None)


@pytest.mark.parametrize("end", ["return", "raise", "cancelled"])
def test_what_has_ended_is_not_run_again(end: str) -> None:
    async def ends() -> str:
        if end == "raise":
            raise ValueError("broken")
        if end == "cancelled":
            raise Cancelled()
        return "done"

    watch = Watch(ends()).step().step()
    assert (len(watch.finished), len(watch.faults)) == ((end == "return"), (end == "raise"))


def test_slots_one_after_the_other_are_each_waited_for() -> None:
    slots: list[Slot[int]] = [Slot(), Slot(), Slot()]

    async def total() -> int:
        return sum([await slot for slot in slots])

    watch = Watch(total()).step()
    slots[1].settle(20)
    slots[0].settle(1)
    assert watch.finished == []
    slots[2].settle(300)
    assert watch.finished == [321]


def test_what_a_coroutine_raises_is_a_fault() -> None:
    slot: Slot[None] = Slot()

    async def breaks() -> None:
        await slot
        raise ValueError("broken")

    watch = Watch(breaks()).step()
    slot.settle(None)
    assert [str(error) for error in watch.faults] == ["broken"]
    assert watch.finished == []


@pytest.mark.parametrize("started", [True, False], ids=["waiting", "not started"])
def test_a_cancelled_coroutine_is_told_and_never_finishes(started: bool) -> None:
    slot: Slot[str] = Slot()
    seen: list[str] = []

    async def waits() -> str:
        try:
            return await slot
        except Cancelled:
            seen.append("cancelled")
            raise

    watch = Watch(waits())
    if started:
        watch.step()
    watch.drive.cancel()
    watch.drive.cancel()
    slot.settle("late")
    watch.step()
    assert seen == ["cancelled"] * started
    assert (watch.finished, watch.faults) == ([], [])


def test_cancelled_passes_through_a_catch_of_every_exception() -> None:
    slot: Slot[None] = Slot()
    seen: list[str] = []

    async def catches() -> None:
        try:
            await slot
        except Exception:
            seen.append("caught")

    Watch(catches()).step().drive.cancel()
    assert seen == []


@pytest.mark.parametrize("end", ["swallow", "wait again"])
def test_a_coroutine_that_will_not_be_cancelled_is_ended_all_the_same(end: str) -> None:
    slot: Slot[None] = Slot()

    async def stubborn() -> str:
        try:
            await slot
        except Cancelled:
            if end == "wait again":
                await Slot[None]()
        return "done"

    coroutine = stubborn()
    watch = Watch(coroutine).step()
    watch.drive.cancel()
    assert coroutine.cr_frame is None, "it is closed, not left to the collector"
    assert (watch.finished, watch.faults) == ([], [])


@pytest.mark.parametrize("then", ["wait", "return", "raise"])
def test_a_coroutine_that_cancels_itself_while_it_runs_is_ended(then: str) -> None:
    slot: Slot[str] = Slot()
    cancel: list[Callable[[], None]] = []
    seen: list[str] = []

    async def cancels_itself() -> str:
        cancel[0]()
        if then == "raise":
            raise ValueError("broken")
        if then == "wait":
            try:
                await slot
            except Cancelled:
                seen.append("cancelled")
                raise
        return "done"

    watch = Watch(cancels_itself())
    cancel.append(watch.drive.cancel)
    watch.step()
    slot.settle("late")
    assert seen == ["cancelled"] * (then == "wait")
    assert (watch.finished, watch.faults) == ([], [])
