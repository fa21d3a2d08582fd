"""A journal without a gateway: a loop that turns when it is told to, calls as the corridor ends them, rows."""
from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shack_gateway.config.keys import REDACTED
from shack_gateway.log import redactor
from shack_gateway.pipeline.call import Complete, Outcome
from shack_gateway.store.journal import Journal
from shack_gateway.store.journal_file import Book, Bounds, listed
from shack_gateway.store.journal_rows import Rows, suspicion

from .corridor import call, complete

LARGE = Bounds(16 << 20, 128 << 20, 30)


class Timer:
    def __init__(self, loop: Turns, delay: float, work: Callable[[], None]) -> None:
        self._loop, self.delay, self.work = loop, delay, work

    def cancel(self) -> None:
        if self in self._loop.timers:
            self._loop.timers.remove(self)


class Turns:
    """An event loop that does its work when `turn` says so, and whose clock is set by hand."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.timers: list[Timer] = []
        self.now = 1000.0

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self, delay, callback))
        return self.timers[-1]

    def time(self) -> float:
        return self.now

    def turn(self) -> None:
        """Do what is due."""
        soon, self.soon = self.soon, []
        for each in soon:
            each()

    def ring(self) -> None:
        """All timers are due."""
        timers, self.timers = self.timers, []
        for each in timers:
            each.work()


class Desk:
    """One run's journal in `folder`; `said` is what the owner was told."""

    def __init__(
        self, folder: Path, bounds: Bounds = LARGE, *, chars: int = 200, session: str = "session-1",
        clock: Callable[[], float] = time.time, fields: tuple[str, ...] = REDACTED,
    ) -> None:
        self.folder, self.said, self.loop = folder / "journal", [], Turns()
        self.said: list[str]
        rows = Rows(session, redactor(fields), suspicion(fields), chars, chars)
        self.book = Book(str(self.folder), bounds, rows.event, self.said.append, clock, lambda: self.loop.now)
        self.journal = Journal(rows, self.book, self.loop, self.loop.call_soon, self.said.append, clock)

    def calls(self, count: int = 1, turns: bool = True, outcome: Outcome | None = None, **arguments: Any) -> None:
        """So many calls end, each in a turn of its own, or all in one."""
        for _ in range(count):
            made = call(arguments)
            self.journal.call(made, made, outcome or complete({"content": []}), 0.0015)
            if turns:
                self.loop.turn()
        self.loop.turn()

    def close(self) -> None:
        self.journal.close("end of input")


def files(folder: Path) -> list[Path]:
    """The journal's files, oldest first."""
    return [folder / "journal" / name for name in listed(str(folder / "journal"))]


def rows(folder: Path, event: str = "") -> list[dict[str, Any]]:
    """Every whole row, file by file."""
    found = []
    for path in files(folder):
        for line in path.read_bytes().split(b"\n")[1:]:
            if line.endswith(b"}"):
                found.append(json.loads(line))
    return [row for row in found if not event or row["event"] == event]


def large(size: int) -> Complete:
    """A result as it comes through the pipe: in chunks."""
    body = [b'{"content":[{"type":"text","text":"', *[b"x" * 65_536] * (size // 65_536), b'"}]}']
    return Complete(body, server="fs", shape={"content": None})
