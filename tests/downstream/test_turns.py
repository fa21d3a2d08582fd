"""One call after the other, driven without an event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shack_gateway.downstream.turns import Turns
from shack_gateway.pipeline.call import TOOL, Call, Complete, Context, Failed, InputRequired, Outcome
from shack_gateway.slot import Drive, Slot


class Clock:
    """A loop that does nothing but keep what is to be done later."""

    def __init__(self) -> None:
        self.later: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def call_later(self, secs: float, call: Callable[..., None], *args: Any) -> Clock:
        self.later.append((call, args))
        return self

    def cancel(self) -> None:
        return None


class Rig:
    def __init__(self) -> None:
        self.clock = Clock()
        self.turns = Turns(self.clock, "a")  # type: ignore[arg-type]
        self.sent: list[int] = []
        self.open: dict[int, Slot[Outcome]] = {}
        self.done: dict[int, Outcome] = {}
        self.faults: list[Exception] = []

    async def _send(self, call: Call) -> Outcome:
        self.sent.append(call.number)
        slot = self.open[call.number] = Slot()
        return await slot

    def begin(self, number: int, state: str | None = None) -> Drive:
        params = {} if state is None else {"requestState": state}
        call = Call(number, TOOL, "a", "a__t", "t", {}, params, Context())
        work = self.turns.take(call, self._send, 5)
        drive = Drive(work, lambda outcome: self.done.__setitem__(number, outcome), self.faults.append)
        drive.step()
        return drive

    def end(self, number: int, outcome: Outcome | None = None) -> None:
        self.open[number].settle(outcome if outcome is not None else Complete(b"{}", value={}))


def test_the_next_call_is_made_when_the_one_before_has_ended() -> None:
    rig = Rig()
    for number in (1, 2, 3):
        rig.begin(number)
    assert rig.sent == [1]
    rig.end(1)
    assert rig.sent == [1, 2]
    rig.end(2)
    rig.end(3)
    assert rig.sent == [1, 2, 3] and list(rig.done) == [1, 2, 3] and not rig.faults
    rig.begin(4)
    assert rig.sent[-1] == 4


def test_a_parked_call_keeps_its_turn_until_its_host_comes_back() -> None:
    rig = Rig()
    rig.begin(1)
    rig.begin(2)
    rig.end(1, InputRequired({}, "handle", "a", parked=True))
    assert rig.sent == [1]
    rig.begin(3, "handle")
    assert rig.sent == [1, 3]
    rig.end(3)
    assert rig.sent == [1, 3, 2]


def test_a_parked_call_that_is_given_up_gives_its_turn_away_and_once() -> None:
    rig = Rig()
    rig.begin(1)
    rig.begin(2)
    rig.begin(3)
    rig.end(1, InputRequired({}, "handle", "a", parked=True))
    rig.turns.release("handle")
    rig.turns.release("handle")
    assert rig.sent == [1, 2]


def test_a_question_of_a_stateless_server_keeps_no_turn() -> None:
    rig = Rig()
    rig.begin(1)
    rig.begin(2)
    rig.end(1, InputRequired({}, "of the server", "a"))
    assert rig.sent == [1, 2]


@pytest.mark.parametrize("which", [1, 2], ids=["the one that is made", "one that waits"])
def test_a_cancelled_call_holds_up_nobody(which: int) -> None:
    rig = Rig()
    drives = {number: rig.begin(number) for number in (1, 2, 3)}
    drives[which].cancel()
    if which == 1:
        assert rig.sent == [1, 2]
        rig.end(2)
        assert rig.sent == [1, 2, 3]
    else:
        rig.end(1)
        assert rig.sent == [1, 3]


def test_a_call_whose_time_is_over_is_not_made() -> None:
    rig = Rig()
    rig.begin(1)
    rig.begin(2)
    rig.begin(3)
    call, args = rig.clock.later[0]
    call(*args)
    failed = rig.done[2]
    assert isinstance(failed, Failed) and failed.reason == "timeout" and "serialize" in failed.text
    rig.end(1)
    assert rig.sent == [1, 3]


def test_a_send_that_breaks_gives_its_turn_away() -> None:
    rig = Rig()

    async def broken(call: Call) -> Outcome:
        raise ValueError("broken")

    call = Call(1, TOOL, "a", "a__t", "t", {}, {}, Context())
    Drive(rig.turns.take(call, broken, 5), lambda outcome: None, rig.faults.append).step()
    assert len(rig.faults) == 1
    rig.begin(2)
    assert rig.sent == [2]
