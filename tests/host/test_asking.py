"""Questions to a handshake host, on a pipe that is a list and a clock that stands still."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from shack_gateway.errors import ServerGone, ServerSilent
from shack_gateway.host.asking import MOST_OPEN, HostQuestions
from shack_gateway.slot import Drive
from shack_gateway.wire.peer import Peer


class Timer:
    def __init__(self, due: Callable[[], None]) -> None:
        self.due, self.cancelled = due, False

    def cancel(self) -> None:
        self.cancelled = True


class Rig:
    def __init__(self, ready: bool = True) -> None:
        self.peer = Peer(1 << 20)
        self.lines: list[dict[str, Any]] = []
        self.timers: list[Timer] = []
        self.heard: list[Any] = []
        self.questions = HostQuestions(self.peer, self._send, self._later, 300)
        if ready:
            self.questions.begin()

    def _send(self, line: Any) -> None:
        self.lines.append(json.loads(line))

    def _later(self, secs: float, call: Callable[..., None], *args: Any) -> Timer:
        self.timers.append(Timer(lambda: call(*args)))
        return self.timers[-1]

    def ask(self, text: str = "m") -> Any:
        return self.questions.ask("a", "elicitation/create", {"message": text})

    def answer(self, id: int) -> None:
        line = json.dumps({"jsonrpc": "2.0", "id": id, "result": {"action": "decline"}})
        assert list(self.peer.receive(line.encode() + b"\n")) == []


def test_nothing_is_asked_before_the_host_is_ready_and_what_was_taken_back_by_then_never_is() -> None:
    rig = Rig(ready=False)
    first, second = rig.ask("1"), rig.ask("2")
    first.cancel("no longer needed")
    assert rig.lines == []
    rig.questions.begin()
    assert [line["params"]["message"] for line in rig.lines] == ["2"], "and no cancel of what the host never saw"
    second.cancel("no longer needed")
    assert rig.lines[-1]["method"] == "notifications/cancelled"
    assert rig.lines[-1]["params"]["requestId"] == rig.lines[0]["id"]


def test_an_answer_is_told_once_and_its_time_no_longer_runs() -> None:
    rig = Rig()
    rig.ask().then(rig.heard.append)
    rig.answer(1)
    rig.answer(1)
    assert [answer.value for answer in rig.heard] == [{"action": "decline"}] and rig.timers[0].cancelled


def test_a_question_whose_time_is_over_is_taken_back_and_whoever_waits_is_told() -> None:
    rig = Rig()
    rig.ask().then(rig.heard.append)
    rig.timers[0].due()
    assert isinstance(rig.heard[0], ServerSilent) and rig.lines[-1]["method"] == "notifications/cancelled"
    rig.answer(1)
    assert len(rig.heard) == 1


def test_a_host_that_leaves_settles_what_is_open_and_is_asked_no_more() -> None:
    rig = Rig()
    rig.ask().then(rig.heard.append)
    rig.questions.close()
    assert isinstance(rig.heard[0], ServerGone) and rig.timers[0].cancelled and rig.ask() is None


def test_a_cancelled_wait_takes_the_question_back() -> None:
    rig = Rig()
    drive = Drive(rig.ask().answer(), rig.heard.append, rig.heard.append)
    drive.step()
    drive.cancel()
    assert rig.lines[-1]["method"] == "notifications/cancelled" and rig.timers[0].cancelled
    rig.answer(1)
    assert rig.heard == []


def test_too_many_questions_and_what_is_no_json_are_not_asked() -> None:
    rig = Rig()
    assert rig.questions.ask("a", "elicitation/create", {"message": float("inf")}) is None and rig.peer.asked == {}
    assert all(rig.ask() for _ in range(MOST_OPEN)) and rig.ask() is None


def test_progress_goes_on_only_where_it_grows() -> None:
    rig = Rig()
    rig.questions.ask("a", "sampling/createMessage", {"messages": []}, rig.heard.append)
    for progress in (1, "x", None, 1, 0, 2.5):
        rig.questions.on_progress({"progressToken": 1, "progress": progress})
    rig.questions.on_progress({"progressToken": "1", "progress": 9})
    assert [params["progress"] for params in rig.heard] == [1, 2.5]
