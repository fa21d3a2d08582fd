"""A hook that stays: one process that reads a line for every event and answers each with a line.

Rule 1: it is given one event at a time, and none while something of it is unread: who speaks twice or unasked is killed
        before that can pass for the answer to the next event. (What it says later than that nobody could tell apart.)
Rule 2: it is started when it is first needed, and again when it has died or was killed: at its time limit, for what it
        wrote, or because nobody waits for its answer any more.
Rule 3: that costs the event that it was judging, and no other: those behind are shown to the next process. Each has
        its whole time from when it is shown.
Rule 4: whoever settles an event does nothing else with the queue: it goes on in the next turn of the loop, because
        those who are woken may ask anew.
"""
from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable

from .children import Child, Died
from .pipeline.chain import SHUTTING_DOWN, HookRun
from .pipes import Outbox, Reader, Writer
from .slot import Slot

WAIT_SECS = 300.0
"""How long a hook may wait for its turn, besides its own time limit. Whoever has waited that long is given up: its call
is blocked, however lenient the hook is."""
SCARCE = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
"""What the system says when it has no room for another process just now."""
FAULTS = (OSError, ValueError, RuntimeError)
"""What a start that fails raises; the last where there can be no more threads."""
Fault = OSError | ValueError | RuntimeError
TAIL = 2048
"""Bytes of its standard error that are kept, to say why it died."""

Start = Callable[[Died], Child]
"""Starts the process; raises one of `FAULTS`."""


class _Event:
    """One event. `slot` is settled with what came of it, `timer` ends it while it waits or is being judged."""

    __slots__ = ("limit_secs", "most", "payload", "slot", "timer")

    def __init__(self, payload: bytes, limit_secs: float, most: int) -> None:
        self.payload, self.limit_secs, self.most = payload, limit_secs, most
        self.slot: Slot[HookRun] = Slot()
        self.timer: asyncio.TimerHandle | None = None

    def settle(self, run: HookRun) -> None:
        """It is over; what is settled and still stands in the queue is passed over there."""
        if self.timer is not None:
            self.timer.cancel()
        self.payload = b""
        self.slot.settle(run)


class Resident:
    """One such hook, over all its processes. `over(child)` is told of every process that has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start: Start, over: Callable[[Child], None]) -> None:
        self._loop, self._start, self._over = loop, start, over
        self._waiting: deque[_Event] = deque()
        self._asked: _Event | None = None
        self._life: _Life | None = None
        self._resting = False
        """The last event was settled in this turn of the loop, and more of its answer may stand behind it."""

    async def ask(self, payload: bytes, limit_secs: float, most: int) -> HookRun:
        """What the process answers to `payload`, a line: at most `most` bytes, within `limit_secs` of its turn."""
        event = _Event(payload, limit_secs, most)
        self._waiting.append(event)
        if self._asked is None and not self._resting:
            self._next()
        if self._asked is not event and not event.slot.settled:
            secs = WAIT_SECS + limit_secs
            event.timer = self._loop.call_later(secs, event.settle, without_a_turn(secs))
        try:
            return await event.slot
        except BaseException:
            if event is self._asked:
                self._kill("cancelled")  # it owes an answer, and those behind would wait for it
            else:
                event.settle(HookRun(-1, "", "", "cancelled"))
            raise

    def close(self) -> None:
        """Kill the process; whatever it judges, and whatever waits, has ended with the gateway."""
        waiting = [*self._waiting]
        self._waiting.clear()
        self._kill(SHUTTING_DOWN, unjudged=True)
        for event in waiting:
            event.settle(HookRun(-1, "", "", SHUTTING_DOWN, unjudged=True))

    def said(self, life: _Life, line: bytes) -> None:
        """The process has written a line."""
        if life is not self._life:
            return
        if self._asked is None:
            self._kill("answered without having been asked")
            return
        text, garbled = words(line)
        self._settle(HookRun(0, text, "", garbled=garbled))

    def said_too_much(self, life: _Life, most: int) -> None:
        """The process has written more than it may."""
        if life is self._life:
            self._kill(f"wrote more than {most} bytes to its standard output")

    def ended(self, life: _Life, exit_code: int) -> None:
        """The process has ended; it is started anew for the next event."""
        self._over(life.child)
        if life is not self._life:
            return
        self._life = None
        how = f"with exit code {exit_code}" if exit_code >= 0 else f"by signal {-exit_code}"
        self._settle(HookRun(-1, "", life.errors, f"ended {how} before it answered"))

    def _next(self) -> None:
        """Give the process its next event."""
        if self._life is not None and self._waiting:
            self._life.listen()
        while self._waiting:
            event = self._waiting.popleft()
            if event.slot.settled:
                continue
            if event.timer is not None:
                event.timer.cancel()
            self._asked = event
            if self._life is None:
                try:
                    self._life = _Life(self._loop, self._start, self)
                except FAULTS as error:
                    self._settle(not_started(error))
                    return
            event.timer = self._loop.call_later(
                event.limit_secs, self._kill, f"timed out after {event.limit_secs:g} s")
            self._life.send(event.payload, event.most)
            return

    def _kill(self, why: str, *, unjudged: bool = False) -> None:
        """Kill the process; the event that it judges has failed."""
        life, self._life = self._life, None
        errors = ""
        if life is not None:
            life.kill()
            errors = life.errors
        self._settle(HookRun(-1, "", errors, why, unjudged=unjudged))

    def _settle(self, run: HookRun) -> None:
        """What came of the event that was asked, if there is one; the next has its turn when this one is settled."""
        event, self._asked = self._asked, None
        if not self._resting:
            self._resting = True
            self._loop.call_soon(self._go_on)
        if event is not None:
            event.settle(run)

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


def without_a_turn(secs: float) -> HookRun:
    """What comes of a hook that has waited for too long."""
    return HookRun(-1, "", "", f"was not run: its turn did not come within {secs:g} s", unjudged=True)


def not_started(error: Fault) -> HookRun:
    """What comes of a hook that could not be started. Where the system has no room, that says nothing of the hook: who
    fills it up must not get past a lenient one."""
    return HookRun(-1, "", "", f"failed to spawn hook: {error}", unjudged=is_scarce(error))


def is_scarce(error: Fault) -> bool:
    """True where the system has no room for another process just now."""
    return isinstance(error, RuntimeError) or (isinstance(error, OSError) and error.errno in SCARCE)


def words(raw: bytes) -> tuple[str, bool]:
    """What a hook has written, and whether it was no UTF-8."""
    text = raw.decode("utf-8", "replace")
    return text, "\ufffd" in text and text.encode() != raw
