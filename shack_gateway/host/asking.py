"""Questions to a handshake host, which are requests of ours on its pipe.

Rule 1: the host is asked nothing before it has said that it is ready (`notifications/initialized`).
Rule 2: a question ends by the host's answer, by whoever asked it, by its time, or with the host; never by silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from ..errors import Cancelled, ServerGone, ServerSilent
from ..wire import dialect
from ..wire.messages import Body, encode, notification_line, request_line
from ..wire.peer import Answer, Peer, Question

MOST_OPEN = 256
"""Questions that the host may have open."""


class Timer(Protocol):
    def cancel(self) -> None: ...


Later = Callable[..., Timer]
"""`later(secs, call, *args)`: the loop's."""


class Asked:
    """One question that is with the host."""

    __slots__ = ("_question", "_questions")

    def __init__(self, questions: HostQuestions, question: Question) -> None:
        self._questions, self._question = questions, question

    def then(self, done: Callable[[Answer], None]) -> None:
        """Have `done` called with what settles the question."""
        self._question.wake = partial(self._tell, done)

    async def answer(self) -> Answer:
        """Wait for what settles the question; a cancel takes it back from the host."""
        try:
            answer = await self._question
        except Cancelled:
            self.cancel("the request it belongs to was cancelled")
            raise
        self._questions.settled(self._question)
        return answer

    def cancel(self, reason: str) -> None:
        """Nobody wants the answer any more; whoever waits is not woken."""
        self._question.wake = None
        self._questions.end(self._question, reason)

    def _tell(self, done: Callable[[Answer], None]) -> None:
        self._questions.settled(self._question)
        assert self._question.value is not None
        done(self._question.value)


class HostQuestions:
    """All open questions to one host; `secs` is how long one may stay open."""

    def __init__(self, peer: Peer, send: Callable[[Body], None], later: Later, secs: float) -> None:
        self._peer, self._send, self._later, self.secs = peer, send, later, secs
        self._timers: dict[int, Timer] = {}
        self._unsent: dict[int, bytes] = {}
        self._closed = False
        self.ready = False

    def begin(self) -> None:
        """The host is ready: ask what has waited for that."""
        if not self.ready:
            self.ready = True
            unsent, self._unsent = self._unsent, {}
            for line in unsent.values():
                self._send(line)

    def ask(
        self, server: str, method: str, params: Mapping[str, Any],
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Asked | None:
        """Ask; the question settles with the answer, or with why there is none. None for a host that has left, or has
        too much to answer already, and for a question that is no JSON.

        The host knows one server, the gateway: `_meta` says whose question this is.
        """
        if self._closed or len(self._timers) >= MOST_OPEN:
            return None
        meta = dialect.forwarded_meta(params.get("_meta"))
        meta.pop(dialect.RELATED_TASK_KEY, None)
        meta[dialect.ORIGIN_KEY] = server
        question = self._peer.ask(method, progress)
        if progress is not None:
            meta["progressToken"] = question.id
        try:
            line = request_line(question.id, method, encode({**params, "_meta": meta}))
        except (ValueError, RecursionError):
            self._peer.forget(question)
            return None
        if self.ready:
            self._send(line)
        else:
            self._unsent[question.id] = line
        self._timers[question.id] = self._later(self.secs, self._late, question)
        return Asked(self, question)

    def settled(self, question: Question) -> None:
        """The answer is there."""
        timer = self._timers.pop(question.id, None)
        if timer is not None:
            timer.cancel()

    def end(self, question: Question, reason: str) -> None:
        """Take a question back."""
        self.settled(question)
        if self._peer.forget(question) and self._unsent.pop(question.id, None) is None:
            told = {"requestId": question.id, "reason": reason}
            self._send(notification_line("notifications/cancelled", told))

    def on_progress(self, params: dict[str, Any]) -> None:
        """The host says how far it is."""
        token, progress = params.get("progressToken"), params.get("progress")
        question = self._peer.asked.get(token) if type(token) is int else None
        if question is None or question.progress is None or type(progress) not in (int, float):
            return
        if question.last is None or progress > question.last:  # type: ignore[operator]  # a number, see above
            question.last = progress
            question.progress(params)

    def close(self) -> None:
        """The host is gone: nothing will be answered."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._peer.close(lambda question: ServerGone("host", "the host has left"))

    def _late(self, question: Question) -> None:
        self.end(question, "nobody answered in time")
        question.settle(ServerSilent("host", f"nobody answered within {self.secs:g} s (`question_secs`)"))
