"""Tools that a server of 2025-11-25 runs as tasks only: started, watched and fetched here, one call to everybody else.

    tools/call with `task`   →  the server gives a task
    tasks/result             →  asked at once; it is answered when the task has ended (and brings its questions)
    tasks/get                →  asked now and then meanwhile: a task that is alive is not silent
(MCP 2025-11-25 basic/utilities/tasks)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from math import isfinite
from typing import Any

from ..errors import ServerError
from ..wire import dialect
from ..wire.messages import Result, encode
from ..wire.peer import Answer, Question
from ..wire.splice import edit
from .link import Link

MOST_LATE = 64
"""Cancelled calls whose tasks are still waited for."""
LEAST_PAUSE_SECS, MOST_PAUSE_SECS = 0.2, 5.0
"""Between two looks at a task; the server's `pollInterval` counts within these."""


def task_of(value: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The task that a result gives instead of what was asked for."""
    task = value.get("task")
    return task if isinstance(task, dict) and isinstance(task.get("taskId"), str) else None


class Task:
    """One task from its start to its result; `result` is the question to wait for."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, link: Link, asked: Question, task: Mapping[str, Any], left: float
    ) -> None:
        self._loop, self._link, self._patience = loop, link, asked.patience
        self._id: str = task["taskId"]
        self._progress, self._status, self._steps, self._counts = asked.progress, "", 0, False
        interval: Any = task.get("pollInterval")
        pause = interval / 1000 if type(interval) in (int, float) and isfinite(interval) else 1.0
        self._pause = min(max(LEAST_PAUSE_SECS, pause), MOST_PAUSE_SECS, asked.patience / 3)
        self.result = link.ask("tasks/result", {"taskId": self._id}, asked.patience, limit=left)
        self.result.call, self.result.level = asked.call, asked.level
        self.result.progress = None if asked.progress is None else self._told
        link.adopt(asked.id, self.result, self._id)
        self._look(task)
        loop.call_later(self._pause, self._poll)

    def _told(self, params: dict[str, Any]) -> None:
        """The server counts by itself."""
        self._counts = True
        if self._progress is not None:
            self._progress(params)

    def _poll(self) -> None:
        """Look at the task, as long as somebody waits for its result."""
        if self._link.closed is not None or self.result.id not in self._link.peer.asked:
            return
        try:
            look = self._link.ask("tasks/get", {"taskId": self._id}, self._patience)
        except ServerError:
            return
        look.wake = lambda: self._looked(look)

    def _looked(self, look: Question) -> None:
        waiting = self._link.peer.asked.get(self.result.id)
        if isinstance(look.value, Result) and waiting is not None:
            if look.value.value.get("status") in ("working", "input_required"):
                waiting.deadline = min(self._loop.time() + waiting.patience, waiting.limit)
            self._look(look.value.value)
        self._loop.call_later(self._pause, self._poll)

    def _look(self, task: Mapping[str, Any]) -> None:
        """What a task says of itself is its progress, where it does not count."""
        status = task.get("statusMessage")
        if self._counts or not isinstance(status, str) or status == self._status:
            return
        waiting = self._link.peer.asked.get(self.result.id)
        # After a question the call belongs to another request of the host, or, while the user thinks, to none.
        tell = waiting.progress if waiting is not None else None
        if tell == self._told:
            tell = self._progress
        if tell is not None:
            self._status, self._steps = status, self._steps + 1
            tell({"progress": self._steps, "message": status})


def without_task(answer: Result) -> Result:
    """A result as if there had been no task."""
    meta = answer.value.get("_meta")
    if not isinstance(meta, dict) or dialect.RELATED_TASK_KEY not in meta:
        return answer
    left = {key: each for key, each in meta.items() if key != dialect.RELATED_TASK_KEY}
    text = (answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)).decode()
    body = edit(text, {"_meta": encode(left).decode() if left else None}).encode("utf-8", "surrogatepass")
    value = {key: each for key, each in answer.value.items() if key != "_meta"}
    return Result(answer.id, body, {**value, "_meta": left} if left else value, answer.exact)


def end_late_task(link: Link, question: Question) -> None:
    """A call was cancelled that may become a task: should the server still say which, that one is cancelled too."""
    late = link.peer.late
    if len(late) >= MOST_LATE:
        del late[next(iter(late))]

    def end(answer: Answer) -> None:
        task = task_of(answer.value) if isinstance(answer, Result) else None
        if task is not None:
            link.end_task(task["taskId"], question.patience)

    late[question.id] = end
