"""One running server: what we asked it, by when it must answer, and what it sends of its own accord.

Rule 1: every question has a deadline that one timer sweeps; a call costs no timer of its own.
Rule 2: a question ends by its answer, its deadline, its cancel, or the end of the link; never by silence.
Rule 3: a server that floods, or does not read, is held back or refused; nobody else waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Protocol

from ..errors import (
    INVALID_PARAMS,
    RequestError,
    ServerBroken,
    ServerError,
    ServerGone,
    ServerSilent,
    ServerUnavailable,
    WireError,
    clip,
)
from ..pipes import Outbox, Reader, Writer
from ..record import NamedTuple
from ..wire.messages import (
    Body,
    ErrorAnswer,
    Notification,
    Request,
    Result,
    TooLong,
    encode,
    error_line,
    id_in_head,
    message,
    notification_line,
    request_line,
    result_line,
)
from ..wire.peer import Peer, Question

UNREAD_LIMIT = 16 * 1024 * 1024
"""Bytes that may wait for a server to read them before further calls to it are refused."""


class Limits(NamedTuple):
    """Bounds of one link."""

    line_bytes: int = 16 * 1024 * 1024
    open_calls: int = 1024


class Owner(Protocol):
    """Who is told what a server sends of its own accord."""

    def on_request(self, request: Request) -> None: ...

    def on_notification(self, notification: Notification) -> None: ...

    def on_noise(self, what: str) -> None: ...


class Pipes(Protocol):
    """What a link needs of the server's process."""

    def connect(
        self,
        outbox: Outbox,
        on_bytes: Callable[[bytes], None],
        on_end: Callable[[], None],
        on_broken: Callable[[OSError], None],
    ) -> tuple[Writer, Reader]: ...


class Link:
    """The channel to one server process, from its start to its end."""

    def __init__(
        self, server: str, pipes: Pipes, loop: asyncio.AbstractEventLoop, outbox: Outbox, limits: Limits, owner: Owner
    ) -> None:
        self.server = server
        self._loop, self._limits, self._owner = loop, limits, owner
        self.peer = Peer(limits.line_bytes)
        self._writer, self._reader = pipes.connect(outbox, self._take, self._ended, self._broken)
        self._writer.on_drained = self._drained
        self._timer: asyncio.TimerHandle | None = None
        self._held: set[str] = set()
        self._stopped = 0
        self._tasks: dict[int, tuple[int, str]] = {}
        """By the id of an open `tasks/result`: the id of the call that began the task, and the task's own."""
        self._adopted: dict[int, int] = {}
        """By the id of a call that began a task: that of the `tasks/result` which now stands for it."""
        self.closed: ServerError | None = None
        self.on_closed: Callable[[], None] | None = None

    # --- asking ---

    def ask(
        self,
        method: str,
        params: Callable[[int], bytes] | Mapping[str, Any],
        patience: float,
        *,
        limit: float = inf,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Question:
        """Send a request; `params` is an object, or takes the id it goes out under and gives its JSON text.

        The question settles within `patience` seconds of silence and `limit` seconds in all. Raises `ServerError` when
        it cannot be sent, `RequestError` for params that are no JSON.
        """
        if self.closed is not None:
            raise self.closed
        if len(self.peer.asked) >= self._limits.open_calls:
            raise ServerUnavailable(
                self.server,
                f"downstream server '{self.server}' has {self._limits.open_calls} open calls, "
                "the most it may have (`max_open_calls`)",
            )
        if self._writer.queued > UNREAD_LIMIT:
            raise ServerUnavailable(self.server, f"downstream server '{self.server}' does not read what it is sent")
        question = self.peer.ask(method, progress)
        try:
            text = params(question.id) if callable(params) else encode(params)
        except (ValueError, RecursionError) as error:
            self.peer.forget(question)
            raise RequestError(
                "bad params", f"The arguments cannot be sent as JSON: {clip(str(error), 200)}."
            ) from None
        self._writer.send(request_line(question.id, method, text))
        now = self._loop.time()
        question.patience = patience
        question.limit = now + limit
        question.deadline = deadline = now + min(patience, limit)
        timer = self._timer
        if timer is None or deadline < timer.when():
            self._arm(deadline)
        return question

    def cancel(self, question: Question, reason: str) -> None:
        """Give a question up and tell the server so; its late answer will be dropped."""
        if self.peer.forget(question) and question.method != "initialize":
            self.tell("notifications/cancelled", {"requestId": question.id, "reason": reason})
            if question.id in self._tasks:
                self.end_task(self._tasks[question.id][1], question.patience)

    def end_task(self, task: str, patience: float) -> None:
        """Tell the server that nobody wants a task's result."""
        try:
            self.ask("tasks/cancel", {"taskId": task}, patience)
        except ServerError:
            return  # it hears nothing any more

    def adopt(self, call: int, result: Question, task: str) -> None:
        """A call has become a task: `result` is asked in its stead, and hears of the call's progress."""
        for id in [id for id in self._tasks if id not in self.peer.asked]:
            self._adopted.pop(self._tasks.pop(id)[0], None)
        self._tasks[result.id] = call, task
        self._adopted[call] = result.id

    def tell(self, method: str, params: dict[str, Any] | None = None) -> None:
        """Send a notification."""
        self._writer.send(notification_line(method, params))

    def answer(self, request: Request, result: Mapping[str, Any] | Body) -> None:
        """Answer a request of the server, with an object or with the JSON text of one."""
        body = encode(result) if isinstance(result, Mapping) else result
        self._reply(result_line(request.id, body))

    def refuse(self, request: Request, code: int, text: str, data: Any = None) -> None:
        """Answer a request of the server with an error."""
        self._reply(error_line(request.id, code, text, data))

    def _reply(self, line: Body) -> None:
        if self.closed is not None:
            return
        if isinstance(line, bytes):
            self._writer.send(line)
        else:
            self._writer.send(*line)
        if self._writer.queued > UNREAD_LIMIT:
            self.hold("replies")  # it asks and does not read the answers: let its own pipe fill up

    def close(self, why: ServerError) -> None:
        """The end: everything that is open is settled with `why`. The pipes belong to the process: it closes them."""
        if self.closed is not None:
            return
        self.closed = why
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.peer.close(lambda question: why)
        if self.on_closed is not None:
            self.on_closed()

    # --- hearing ---

    def hold(self, why: str) -> None:
        """Read no more until everybody who held it has released it."""
        if not self._held and self.closed is None:
            self._reader.pause()
        self._held.add(why)

    def release(self, why: str) -> None:
        """Undo the `hold` for the same reason."""
        if why in self._held:
            self._held.remove(why)
            if not self._held and self.closed is None:
                self._reader.resume()

    def _drained(self) -> None:
        self.release("replies")

    def _take(self, chunk: bytes) -> None:
        for event in self.peer.receive(chunk):
            try:
                self._event(event)
            except Exception as error:
                # One message costs itself, not those behind it. What cannot be passed on (1e999, too deep) ends here.
                self._owner.on_noise(f"sent something that cannot be passed on: {clip(repr(error), 300)}")

    def _event(self, event: Any) -> None:
        kind = type(event)
        if kind is Notification:
            if event.method == "notifications/progress":
                self._progress(event.params)
            else:
                self._owner.on_notification(event)
        elif kind is Request:
            self._owner.on_request(event)
        elif kind is list:
            self._batch(event)
        else:
            self._noise(event)

    def _batch(self, values: list[Any]) -> None:
        """Several messages in one line, which servers of 2025-03-26 may send."""
        for value in values:
            try:
                found = message(value)
            except WireError as error:
                self._noise(error)
                continue
            if isinstance(found, (Result, ErrorAnswer)):
                self.peer.answered(found)
            elif found is not None:
                self._event(found)

    def _noise(self, event: Any) -> None:
        """A line that is no message. Where it would have been an answer, whoever waits for it is told."""
        if isinstance(event, TooLong):
            most = self._limits.line_bytes
            what = f"sent a line of {event.size} bytes, more than the {most} allowed (`max_server_line_bytes`)"
            id = id_in_head(event.head)
            if id in self.peer.asked:
                self._fail([id], what)
            elif b'"method"' not in event.head:
                self._fail([q.id for q in self.peer.asked.values() if q.method != "subscriptions/listen"], what)
        elif isinstance(event, WireError):
            what = f"sent a line that is no message: {event.what}"
            id = id_in_head(event.head)
            if id in self.peer.asked:
                self._fail([id], f"answered with something that is no JSON ({event.what})")
            elif event.kind == "bad params" and event.id is not None:
                self._reply(error_line(event.id, INVALID_PARAMS, event.what))
        else:
            return
        self._owner.on_noise(what)

    def _fail(self, ids: list[Any], what: str) -> None:
        for id in ids:
            question = self.peer.asked.pop(id)
            question.settle(ServerBroken(self.server, f"downstream server '{self.server}' {what}"))

    def _progress(self, params: dict[str, Any]) -> None:
        token, progress = params.get("progressToken"), params.get("progress")
        question = self.peer.asked.get(self._adopted.get(token, token)) if type(token) is int else None
        if question is None or question.progress is None or type(progress) not in (int, float):
            return
        if question.last is not None and not progress > question.last:  # type: ignore[operator]  # a number, see above
            return
        question.last = progress
        question.deadline = min(self._loop.time() + question.patience, question.limit)
        question.progress(params)

    def _ended(self) -> None:
        """The server closed its output: it can answer nothing any more, whether it lives on or not."""
        for _ in self.peer.end():
            pass
        self.close(ServerGone(self.server, f"downstream server '{self.server}' closed before responding"))

    def _broken(self, error: OSError) -> None:
        self.close(ServerGone(self.server, f"downstream server '{self.server}' closed before responding"))

    # --- time ---

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._sweep) if when < inf else None

    def stop_clock(self) -> None:
        """Somebody thinks about a question of the server's: calls are not overdue then, but for their hard limit."""
        self._stopped += 1

    def start_clock(self) -> None:
        """Undo one `stop_clock`; calls have their time of silence anew."""
        self._stopped -= 1
        if self._stopped or self.closed is not None:
            return
        now = self._loop.time()
        for question in self.peer.asked.values():
            if question.call is not None:
                question.deadline = min(now + question.patience, question.limit)
        self._arm(min((q.deadline for q in self.peer.asked.values()), default=inf))

    def _due(self, question: Question) -> float:
        """When a question is overdue, as things stand."""
        return question.limit if self._stopped and question.call is not None else question.deadline

    def _sweep(self) -> None:
        """Settle what is overdue, and come back when the next question may be."""
        now = self._loop.time()
        self._timer = None
        for question in [q for q in self.peer.asked.values() if self._due(q) <= now]:
            self.cancel(question, "timed out")
            what = f"timed out after {float(question.patience)}s"
            if now >= question.limit:
                what = "took longer than a call may take in all (`max_call_secs`)"
            question.settle(ServerSilent(self.server, f"downstream server '{self.server}' {what}"))
        nearest = min(map(self._due, self.peer.asked.values()), default=inf)
        if nearest < inf:
            self._arm(nearest)
