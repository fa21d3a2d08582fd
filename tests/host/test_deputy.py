"""A question that hooks have before the host: answered by either, taken back from either, never answered too early."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shack_gateway.core.ports import HostQuestion, ServersQuestion
from shack_gateway.errors import ServerGone
from shack_gateway.host.deputy import Deputed
from shack_gateway.slot import Slot
from shack_gateway.wire.messages import Result


class Timer:
    def __init__(self, call: Callable[..., None], args: tuple[Any, ...]) -> None:
        self._call, self._args, self.cancelled = call, args, False

    def fire(self) -> None:
        if not self.cancelled:
            self._call(*self._args)

    def cancel(self) -> None:
        self.cancelled = True


class Host:
    """The question once it is with the host."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    def cancel(self, reason: str) -> None:
        self.cancelled.append(reason)


class Play:
    def __init__(self, answer: Any, put: HostQuestion | str = "nobody is there") -> None:
        self.done: list[Any] = []
        self.noted: list[Any] = []
        self.faults: list[Exception] = []
        self.put = 0
        self.slot: Slot[Any] = Slot()

        async def hooks() -> Any:
            found = await self.slot if answer is ... else answer
            if isinstance(found, Exception):
                raise found
            return found

        def ask() -> HostQuestion | str:
            self.put += 1
            return put

        def later(secs: float, call: Callable[..., None], *args: Any) -> Timer:
            assert secs == 0
            self.timer = Timer(call, args)
            return self.timer

        asked = ServersQuestion("a", "elicitation/create", {}, "2025-11-25", None, self.done.append, None)
        self.deputed = Deputed(asked, hooks(), ask, self.noted.append, self.faults.append, later)
        assert self.done == [] and self.put == 0, "whoever asks does not know yet that the question is open"


def test_the_hooks_answer_is_given_and_noted() -> None:
    play = Play({"action": "decline"})
    play.timer.fire()
    assert play.done == [Result(0, b'{"action":"decline"}', {"action": "decline"})]
    assert (play.noted, play.put, play.faults) == ([{"action": "decline"}], 0, [])


def test_without_an_answer_the_host_is_asked() -> None:
    host = Host()
    play = Play(None, host)
    play.timer.fire()
    assert (play.done, play.put, play.noted) == ([], 1, [])
    play.deputed.cancel("gone")
    assert host.cancelled == ["gone"]


def test_where_the_host_cannot_be_asked_there_is_no_answer() -> None:
    play = Play(None)
    play.timer.fire()
    [answer] = play.done
    assert isinstance(answer, ServerGone) and "nobody is there" in str(answer)


def test_hooks_that_break_answer_no() -> None:
    fault = RuntimeError("broken")
    play = Play(fault)
    play.timer.fire()
    assert play.done == [Result(0, b'{"action":"decline"}', {"action": "decline"})] and play.faults == [fault]


@pytest.mark.parametrize("begun", [False, True])
def test_a_question_that_is_taken_back_is_answered_by_nobody(begun: bool) -> None:
    play = Play(...)
    if begun:
        play.timer.fire()
    play.deputed.cancel("gone")
    play.timer.fire()
    play.slot.settle({"action": "accept"})
    assert (play.done, play.put, play.noted, play.faults) == ([], 0, [], [])
