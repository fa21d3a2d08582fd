"""Calls that wait for the user of a stateless host: the host has its answer (a question), the server goes on waiting.

Rule 1: a parked call is taken out once, by the handle it was put in under.
Rule 2: nobody is parked for ever: past the time, or when too many are, the oldest is let go.
(protocol bridge, section 8.5)
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any, Protocol

from ..pipeline.call import Call
from ..record import NamedTuple
from ..wire.messages import Request
from ..wire.peer import Question


class Asking(NamedTuple):
    """What a waiting call is told instead of its answer: the server asks something first."""

    requests: Mapping[str, Any]
    handle: str


class Book(Protocol):
    """Who keeps the questions of the server that a parked call belongs to (`questions.Questions`)."""

    busy: bool

    def resume(self, parked: Parked, call: Call, responses: Mapping[str, Any]) -> Question: ...
    def give_up(self, parked: Parked, why: str) -> None: ...
    def expire(self, parked: Parked, why: str) -> None: ...
    def over(self, question: Question) -> None: ...


class Parked:
    """One call of a handshake server with the questions it has asked: by key, the server's requests without an answer.

    `question` is our request to the server, which is still open; `handle` is there while the host has the questions.
    """

    __slots__ = ("book", "count", "handle", "outstanding", "question", "timer")

    def __init__(self, book: Book, question: Question) -> None:
        self.book, self.question = book, question
        self.outstanding: dict[str, Request] = {}
        self.count = 0
        self.handle = ""
        self.timer: asyncio.TimerHandle | None = None

    def stop_timer(self) -> None:
        """Whatever was to happen later does not."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Lot:
    """The parked calls of all servers; at most `most`, each for at most `secs` seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, secs: float, most: int) -> None:
        self._loop, self.secs, self._most = loop, secs, most
        self._parked: dict[str, Parked] = {}

    def put(self, parked: Parked) -> str:
        """Keep a call; the handle to take it out by."""
        while len(self._parked) >= self._most:
            why = f"more than {self._most} calls wait for the user (`max_parked_calls`)"
            self.let_go(next(iter(self._parked)), why)
        handle = parked.handle = os.urandom(16).hex()
        self._parked[handle] = parked
        parked.timer = self._loop.call_later(
            self.secs, self.let_go, handle, f"nobody answered within {self.secs:g} s (`question_secs`)"
        )
        return handle

    def take(self, handle: str) -> Parked | None:
        """The call that was kept under a handle, once."""
        parked = self._parked.pop(handle, None)
        if parked is not None:
            parked.stop_timer()
        return parked

    def __contains__(self, handle: object) -> bool:
        return handle in self._parked

    def empty(self, why: str) -> None:
        """Let everybody go: the host has left."""
        for handle in list(self._parked):
            self.let_go(handle, why)

    def let_go(self, handle: str, why: str) -> None:
        """Give a call up; nothing for a handle that keeps none."""
        parked = self.take(handle)
        if parked is not None:
            parked.book.expire(parked, why)
