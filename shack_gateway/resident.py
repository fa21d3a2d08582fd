"""A hook that stays: one process that reads a line for every event and answers each with a line.

Rule 1: it is given one event at a time, and none while something of it is unread: who speaks twice or unasked is killed
        before that can pass for the answer to the next event. (What it says later than that nobody could tell apart.)
Rule 2: it is started when it is first needed, and again when it has died; at its time limit it is killed, and what
        waits for it fails.
Rule 3: who no longer waits for an answer does not get it, but the process still owes it.
"""
from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from .children import Child, Died
from .pipeline.chain import HookRun
from .pipes import Outbox, Reader, Writer
from .slot import Slot

MOST_WAITING = 256
"""Events that may wait for one process."""
TAIL = 2048
"""Bytes of its standard error that are kept, to say why it died."""

Start = Callable[[Died], Child]
"""Starts the process; raises `OSError` or `ValueError`."""


class _Event:
    """One event. `slot` is settled with what came of it."""

    __slots__ = ("limit_secs", "most", "payload", "slot")

    def __init__(self, payload: bytes, limit_secs: float, most: int) -> None:
        self.payload, self.limit_secs, self.most = payload, limit_secs, most
        self.slot: Slot[HookRun] = Slot()


class Resident:
    """One such hook, over all its processes. `over(child)` is told of every process that has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start: Start, over: Callable[[Child], None]) -> None:
        self._loop, self._start, self._over = loop, start, over
        self._waiting: deque[_Event] = deque()
        self._asked: _Event | None = None
        self._life: _Life | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._resting = False
        """An answer came in this turn of the loop, and more may stand behind it."""

    async def ask(self, payload: bytes, limit_secs: float, most: int) -> HookRun:
        """What the process answers to `payload`, a line: at most `most` bytes, within `limit_secs` of its turn."""
        if len(self._waiting) >= MOST_WAITING:
            return HookRun(-1, "", "", f"has more than {MOST_WAITING} events waiting")
        event = _Event(payload, limit_secs, most)
        self._waiting.append(event)
        if self._asked is None and not self._resting:
            self._next()
        try:
            return await event.slot
        except BaseException:
            if event in self._waiting:
                self._waiting.remove(event)
            raise

    def stop(self, why: str) -> None:
        """Kill the process; whatever waits fails."""
        life, self._life = self._life, None
        if self._timer is not None:
            self._timer.cancel()
        failed = [*([] if self._asked is None else [self._asked]), *self._waiting]
        self._asked = None
        self._waiting.clear()
        errors = "" if life is None else life.errors
        if life is not None:
            life.kill()
        for event in failed:
            event.slot.settle(HookRun(-1, "", errors, why))

    def _next(self) -> None:
        """Give the process its next event."""
        if self._life is not None and self._waiting:
            self._life.listen()
        while self._waiting:
            event = self._waiting.popleft()
            if self._life is None:
                try:
                    self._life = _Life(self._loop, self._start, self)
                except (OSError, ValueError) as error:
                    event.slot.settle(HookRun(-1, "", "", f"failed to spawn hook: {error}"))
                    continue
            self._asked = event
            self._timer = self._loop.call_later(event.limit_secs, self.stop, f"timed out after {event.limit_secs:g} s")
            self._life.send(event.payload, event.most)
            return

    def said(self, life: _Life, line: bytes) -> None:
        """The process has written a line."""
        if life is not self._life:
            return
        event = self._asked
        if event is None:
            self.stop("answered without having been asked")
            return
        self._done()
        self._resting = True
        self._loop.call_soon(self._go_on)
        text, garbled = words(line)
        event.slot.settle(HookRun(0, text, "", garbled=garbled))

    def said_too_much(self, life: _Life, most: int) -> None:
        """The process has written more than it may."""
        if life is self._life:
            self.stop(f"wrote more than {most} bytes to its standard output")

    def ended(self, life: _Life, exit_code: int) -> None:
        """The process has ended; it is started anew for the next event."""
        self._over(life.child)
        if life is not self._life:
            return
        self._life = None
        event = self._asked
        if event is not None:
            self._done()
            how = f"with exit code {exit_code}" if exit_code >= 0 else f"by signal {-exit_code}"
            event.slot.settle(HookRun(-1, "", life.errors, f"ended {how} before it answered"))
        self._go_on()

    def _done(self) -> None:
        self._asked = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        self._resting = False
        if self._asked is None:
            self._next()


class _Life:
    """One process of such a hook, and its pipes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start: Start, owner: Resident) -> None:
        self.child = start(self._exited)
        self._owner = owner
        self._outbox = outbox = Outbox(loop)
        self._line = bytearray()
        self._tail = b""
        self._most = 0
        self._input = Writer(loop, self.child.stdin, outbox, lambda error: None)  # its end is told by its exit
        self._output = Reader(loop, self.child.stdout, self._take, lambda: None, outbox)
        self._errors = Reader(loop, self.child.stderr, self._note, lambda: None, outbox)

    @property
    def errors(self) -> str:
        """The last words on standard error."""
        return self._tail.decode("utf-8", "replace")

    def send(self, payload: bytes, most: int) -> None:
        """Give it an event, and let the answer have `most` bytes."""
        self._most = most
        self._input.send(payload)

    def listen(self) -> None:
        """Take in what the process has said meanwhile."""
        self._output.drain()

    def kill(self) -> None:
        """End the process with all that it started, and listen to it no more."""
        self._errors.drain()
        self.child.kill()
        self._close()

    def _take(self, chunk: bytes) -> None:
        line = self._line
        line += chunk
        while (end := line.find(b"\n")) >= 0:
            said = bytes(line[:end])
            del line[: end + 1]
            if len(said) > self._most:
                self._owner.said_too_much(self, self._most)
                return
            self._owner.said(self, said)
        if len(line) > self._most:
            self._owner.said_too_much(self, self._most)

    def _note(self, chunk: bytes) -> None:
        self._tail = (self._tail + chunk)[-TAIL:]

    def _exited(self, exit_code: int) -> None:
        self._output.drain()
        self._errors.drain()
        self._close()
        self._owner.ended(self, exit_code)

    def _close(self) -> None:
        self._input.close()
        self._output.close()
        self._errors.close()


def words(raw: bytes) -> tuple[str, bool]:
    """What a hook has written, and whether it was no UTF-8."""
    text = raw.decode("utf-8", "replace")
    return text, "\ufffd" in text and text.encode() != raw
