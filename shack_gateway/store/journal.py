"""The journal: what was called, refused, asked, started and ended, in files that show when somebody changed them.

Rule 1: never a reason for a call to fail or to wait: a call is only noted, and written when its answer has left;
        whatever goes wrong here stays here, and is said once.
Rule 2: what is noted in one turn of the loop is written at the end of the next one, while a server is at work on what
        was sent to it, or after `MOMENT_SECS`. A thread does it only where the disk turned out to be slow.
Rule 3: a run in which nothing happened (a host that only looked who we are) leaves no file.

`journal_rows` says what a row holds, `journal_file` how files are kept, `journal_reading` reads and judges them.
"""
from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from queue import SimpleQueue
from typing import Any, Protocol

from ..pipeline.call import Call, Complete, Outcome
from .journal_file import Book
from .journal_rows import Rows

MOMENT_SECS = 0.002
"""How long a row may wait where nothing else happens."""
SETTLE_SECS, SETTLE_ROWS = 0.05, 64
"""How long, and for how many rows, the line that counts them may be behind."""
SLOW_SECS, STUCK_SECS = 0.05, 0.5
"""A write that takes so long, twice or once, is the last one that the loop waits for."""
MOST_WAITING = 4 * 1024 * 1024
"""Characters that may wait for the thread."""
CLOSE_SECS = 1.0
MOST_CONFIG = 16 * 1024 * 1024


class Timer(Protocol):
    """What can be called off."""

    def cancel(self) -> None: ...


class Loop(Protocol):
    """What is needed of the event loop."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer: ...

    def time(self) -> float: ...


class Journal:
    """Collects what happens and has it written. `soon` does something in a moment (`MOMENT_SECS`), `say` takes a
    text for the owner; `turn` is to be called at the end of every turn of the loop in which something was sent."""

    def __init__(
        self, rows: Rows, book: Book, loop: Loop, soon: Callable[[Callable[[], None]], object],
        say: Callable[[str], None], clock: Callable[[], float] = time.time,
    ) -> None:
        self._rows, self._book, self._loop, self._soon, self._say = rows, book, loop, soon, say
        self._clock = clock
        self._pending: list[tuple[Callable[..., str], tuple[Any, ...]]] = []
        self._scheduled = self._ripe = self._happened = self._closed = self._broken = False
        self._timer: Timer | None = None
        self._settled_at = self._slow = 0.0
        self._calls = self._unwritten = self.last = 0
        self.now = loop.time
        """Seconds of a clock that only goes on."""
        self._thread: _Writer | None = None

    def call(self, first: Call, sent: Call, outcome: Outcome | None, secs: float) -> None:
        """A call that walked the corridor is over (`Chain.on_end`)."""
        self.last = first.number
        about = self._clock(), first, sent, outcome, secs
        if first.context.kept or (type(outcome) is Complete and type(outcome.body) is list):
            self._word_now(about)               # a large one is not kept for its row's sake
        else:
            self._pending.append((self._rows.call, about))
        self._calls += 1
        self._schedule()

    def request(
        self, method: str, params: Mapping[str, Any], number: int, outcome: Outcome | None, began: float
    ) -> None:
        """A request is over that walked no corridor: a meta-tool, a completion, a name that nobody knows, one that was
        cancelled before it was a call."""
        secs = self._loop.time() - began
        self._pending.append((self._rows.request, (self._clock(), method, params, number, outcome, secs)))
        self._calls += 1
        self._schedule()

    def event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Something else happened."""
        self.note(name, facts)
        self._schedule()

    def note(self, name: str, facts: Mapping[str, Any]) -> None:
        """Something that is worth writing only if anything else happens."""
        self._pending.append((self._rows.event, (self._clock(), name, facts)))

    def close(self, why: str) -> None:
        """The run is over."""
        if self._closed:
            return
        if self._happened:
            self.note("end", {"why": why, "calls": self._calls})
            self._flush()
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        try:
            if self._thread is not None:
                self._thread.close(CLOSE_SECS)
            else:
                self._book.close()
        except Exception as error:
            self._fault(error)

    def _word_now(self, about: tuple[float, Call, Call, Outcome | None, float]) -> None:
        try:
            self._pending.append((str, (self._rows.call(*about),)))
        except Exception as error:
            self._unwritten += 1
            self._fault(error)

    def _schedule(self) -> None:
        if not self._scheduled and not self._closed:
            self._scheduled = self._happened = True
            self._soon(self._after_a_moment)

    def _after_a_moment(self) -> None:
        self._scheduled = False
        self._flush()

    def turn(self) -> None:
        """Write what was noted in earlier turns. The answer of a call is not kept waiting by its own row, and the next
        call has been sent to its server by now: were we killed, the rows of one turn would be missing, and no more."""
        if self._ripe:
            self._flush()
        else:
            self._ripe = bool(self._pending)

    def _flush(self) -> None:
        """Write what was noted since the last time."""
        pending, self._pending, self._ripe = self._pending, [], False
        if self._closed or not pending:
            return
        try:
            rows = self._worded(pending)
            if self._thread is not None:
                self._unwritten = self._thread.write(rows, self._unwritten)
            else:
                self._write(rows)
        except Exception as error:
            self._unwritten += len(pending)
            self._fault(error)

    def _worded(self, pending: list[tuple[Callable[..., str], tuple[Any, ...]]]) -> list[str]:
        """The rows. Whether there may be a secret in them is asked once for all: nearly always there is none."""
        rows: list[str] = []
        if len(pending) > 1:
            self._rows.without_care()
            try:
                rows = [make(*about) for make, about in pending]
            except Exception:
                rows = []                       # which of them it was shows below
            if not self._rows.with_care() and rows:
                return rows
            rows = []
        for make, about in pending:
            try:
                rows.append(make(*about))
            except Exception as error:
                self._unwritten += 1
                self._fault(error)
        return rows

    def _write(self, rows: list[str]) -> None:
        began, unwritten, self._unwritten = self._loop.time(), self._unwritten, 0
        self._book.write(rows, unwritten)
        if self._book.uncounted >= SETTLE_ROWS or began - self._settled_at >= SETTLE_SECS:
            self._book.settle()
            self._settled_at = began
        elif self._timer is None:
            self._timer = self._loop.call_later(SETTLE_SECS, self._settle)
        took = self._loop.time() - began
        if took > SLOW_SECS:
            self._slow += 2 if took > STUCK_SECS else 1
            if self._slow >= 2:
                self._thread = _Writer(self._book, self._fault)

    def _settle(self) -> None:
        self._timer = None
        if self._thread is None and not self._closed:
            try:
                self._book.settle()
                self._settled_at = self._loop.time()
            except Exception as error:
                self._fault(error)

    def _fault(self, error: Exception) -> None:
        """A fault of ours, which is nobody's business but the owner's."""
        if not self._broken:
            self._broken = True
            self._say(f"a row could not be written: {error!r}; calls go on")


class _Writer:
    """Writes in a thread of its own, where the disk makes whoever writes wait."""

    def __init__(self, book: Book, fault: Callable[[Exception], None]) -> None:
        self._book, self._fault = book, fault
        self._work: SimpleQueue[tuple[list[str], int] | None] = SimpleQueue()
        self._given = self._taken = 0
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def write(self, rows: list[str], dropped: int) -> int:
        """Hand rows over; gives how many are to be counted as dropped with the next, because too much waits."""
        size = sum(map(len, rows))
        if self._given - self._taken + size > MOST_WAITING:
            return dropped + len(rows)
        self._given += size
        self._work.put((rows, dropped))
        return 0

    def close(self, secs: float) -> None:
        """Let it write what waits, for at most so long."""
        self._work.put(None)
        self._thread.join(secs)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            rows, dropped = work
            self._taken += sum(map(len, rows))
            try:
                self._book.write(rows, dropped)
                self._book.settle()
            except Exception as error:
                self._fault(error)
        self._book.close()


def configuration(path: str, servers: int, settings: Mapping[str, Any], warnings: int) -> dict[str, Any]:
    """What the journal says of the configuration of a run."""
    permissions = settings.get("permissions")
    lists = permissions.values() if isinstance(permissions, Mapping) else ()
    facts = {
        "path": os.path.abspath(path), "sha256": _digest(path), "servers": servers,
        "rules": sum(len(each) for each in lists if isinstance(each, (list, tuple))), "warnings": warnings,
    }
    profile = settings.get("profile")
    return {**facts, "profile": profile} if isinstance(profile, str) and profile else facts


def _digest(path: str) -> str:
    """SHA-256 of the file; nothing for what is no file, or not to be read (a pipe was read already)."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return ""
        with open(path, "rb") as file:
            return sha256(file.read(MOST_CONFIG)).hexdigest()
    except OSError:
        return ""
