"""One end of a channel: whose ids, and which of our questions are still open.  Pure: bytes in, messages out.

Rule 1: our ids are integers counted up per channel and never the other side's; an answer counts only when its id is an
        `int` that is open here.
Rule 2: every question ends: by its answer, by `forget` (cancelled, timed out: a late answer is dropped) or by `close`.
Rule 3: messages are handed on in the order of the bytes; an answer wakes its asker at its place in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..errors import ServerError, WireError
from ..slot import Slot
from .messages import ErrorAnswer, Lines, Notification, Request, Result, TooLong, head, read

Answer = Result | ErrorAnswer | ServerError
"""What settles a question: the other side's answer, or why there will be none."""
Event = Request | Notification | list[Any] | WireError | TooLong
"""What is left to the owner of a channel; a list holds the values of a batch."""


class Question(Slot[Answer]):
    """A request of ours that is open. `deadline` and `limit` are the clock's, kept by whoever owns the channel."""

    __slots__ = ("call", "deadline", "id", "last", "level", "limit", "method", "patience", "progress")

    def __init__(self, id: int, method: str, progress: Callable[[dict[str, Any]], None] | None) -> None:
        # Written out instead of `super().__init__()`: one of these is made for every call.
        self.settled = False
        self.value = None
        self.wake = None
        self.id, self.method, self.progress = id, method, progress
        self.deadline = self.limit = self.patience = 0.0
        self.level: str | None = None
        self.last: float | None = None
        self.call: Any = None
        """What it was asked for; kept by whoever asked."""


class Peer:
    """Reads what the other side sends, and keeps what we asked it."""

    __slots__ = ("_lines", "_next", "asked", "late", "stray")

    def __init__(self, limit: int) -> None:
        self._lines = Lines(limit)
        self._next = 0
        self.asked: dict[int, Question] = {}
        self.late: dict[int, Callable[[Answer], None]] = {}
        """By the id of a question that was forgotten: who wants to hear of its answer all the same."""
        self.stray = 0
        """How many answers came that nobody waited for."""

    def ask(self, method: str, progress: Callable[[dict[str, Any]], None] | None = None) -> Question:
        """Open a question; the caller sends it under the question's `id`."""
        self._next += 1
        question = Question(self._next, method, progress)
        self.asked[self._next] = question
        return question

    def forget(self, question: Question) -> bool:
        """Close a question without an answer; True when it was open."""
        return self.asked.pop(question.id, None) is not None

    def swap(self, question: Question) -> Question:
        """Put another question in the place of one that is open: the answer will settle that one. Whoever waits for the
        first can then be told something else."""
        fresh = Question(question.id, question.method, question.progress)
        fresh.deadline, fresh.limit, fresh.patience = question.deadline, question.limit, question.patience
        fresh.level, fresh.last, fresh.call = question.level, question.last, question.call
        self.asked[question.id] = fresh
        return fresh

    def receive(self, chunk: bytes) -> Iterator[Event]:
        """The messages that end in `chunk`; answers are settled on the way."""
        return self._events(self._lines.feed(chunk))

    def end(self) -> Iterator[Event]:
        """The last line of a stream that ended without a line end."""
        return self._events(self._lines.rest())

    def _events(self, lines: list[Any]) -> Iterator[Event]:
        for line in lines:
            if type(line) is TooLong:
                yield line
                continue
            try:
                message = read(line)
            except WireError as error:
                error.head = head(line)
                yield error
                continue
            kind = type(message)
            if kind is Result or kind is ErrorAnswer:
                self.answered(message)  # type: ignore[arg-type]  # told by `kind`
            elif message is not None:
                yield message  # type: ignore[misc]  # a request, a notification or a batch

    def answered(self, answer: Result | ErrorAnswer) -> None:
        """Settle the question that this answers; an id that is not open here, or not of our type, is dropped."""
        question = self.asked.pop(answer.id, None) if type(answer.id) is int else None
        if question is None:
            self.stray += 1
            late = self.late.pop(answer.id, None) if self.late and type(answer.id) is int else None
            if late is not None:
                late(answer)
        else:
            question.settle(answer)

    def close(self, reason: Callable[[Question], ServerError]) -> int:
        """Settle everything that is open with `reason(question)`; how many that were."""
        asked, self.asked = self.asked, {}
        for question in asked.values():
            question.settle(reason(question))
        return len(asked)
