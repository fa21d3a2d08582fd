"""Reading the journal, also while a gateway writes it: its last rows, all rows, and whether anybody has changed them.

Rule 1: whatever stands in a file, reading it ends: a line that is no row is passed over, links and pipes are not read.
Rule 2: a file is judged by its own chain, by its first line, and by what other files say of it. What a process that was
        killed leaves behind is no fault: rows that the first line does not count yet, and one half row at the end.
"""
from __future__ import annotations

import heapq
import json
import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

from ..record import NamedTuple
from .journal_file import DIGITS, HEADER, START, listed, open_to_read, place, read_header

BLOCK = 16_384
MOST_LINE = 4 * 1024 * 1024
"""Bytes of a line; a longer one is none of ours."""
MOST_FAULTS = 20
"""Faults that are told of one file."""

EVENTS = ("call", "question", "answer", "server", "list", "start", "config", "end", "open", "next", "pruned", "dropped",
          "lost")
"""What a row may be about."""
ENDED, OPEN, TORN = "ended", "open", "torn"
"""How a file ends: with the row that says so; without (a gateway writes it, or was killed); within a row."""

Row = dict[str, Any]
NOWHERE = ("", 0, 0)
"""The place of what is no file of the journal: before all others."""
_BYTES = DIGITS // 2
_TAIL = len(',"hash":"') + DIGITS + len('"}\n')


class Fault(NamedTuple):
    """What is wrong with a file; `row` is the number of the row, or 0 where it is about the file as a whole."""

    file: str
    row: int
    what: str


class Verdict(NamedTuple):
    """What can be said of one file. `dropped` rows could not be written."""

    file: str
    rows: int
    end: str
    faults: tuple[Fault, ...]
    dropped: int = 0


def files(folder: str) -> list[str]:
    """The names of the files, oldest first; none where there is no folder."""
    try:
        return listed(folder)
    except OSError:
        return []


def row(line: bytes) -> Row | None:
    """The row of a line; None for the first line of a file and for what is no row."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = isinstance(value, dict) and isinstance(value.get("at"), str) and isinstance(value.get("event"), str)
    return value if known else None


def latest(folder: str, wanted: Callable[[Row], bool], count: int, since: str = "") -> Iterator[Row]:
    """The last `count` rows of all files that are wanted, oldest first; none before the time `since`."""
    newest = heapq.merge(*[_backwards(folder, name, since) for name in files(folder)],
                         key=lambda pair: _time(pair[0]), reverse=True)
    found: list[bytes] = []                     # lines take a sixth of what their rows do
    for each, line in newest if count > 0 else ():
        if wanted(each):
            found.append(line)
            if len(found) == count:
                break
    while found:
        yield json.loads(found.pop())


def every(folder: str) -> Iterator[tuple[str, Row]]:
    """Every row with the name of its run, file by file."""
    for name in files(folder):
        run = "-".join(name.removesuffix(".jsonl").split("-")[:2])
        for line in _lines(os.path.join(folder, name)):
            found = row(line)
            if found is not None:
                yield run, found


class Follower:
    """The rows that are written from the moment it is made."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._ends = {name: self._size(name) for name in files(folder)}

    def news(self) -> list[Row]:
        """What was written since it was asked last, in the order of time."""
        found: list[Row] = []
        for name in files(self._folder):
            size, start = self._size(name), self._ends.get(name, 0)
            if size > start:
                text = self._text(name, start, size)
                whole = text.rfind(b"\n") + 1
                found += [each for line in text[:whole].split(b"\n") if (each := row(line)) is not None]
                size = start + whole
            self._ends[name] = size             # less than before where a full disk had cut a row in two
        return sorted(found, key=_time)

    def _size(self, name: str) -> int:
        try:
            return os.lstat(os.path.join(self._folder, name)).st_size
        except OSError:
            return 0

    def _text(self, name: str, start: int, end: int) -> bytes:
        try:
            with os.fdopen(open_to_read(os.path.join(self._folder, name)), "rb") as file:
                file.seek(start)
                return file.read(end - start)
        except OSError:
            return b""


def _time(found: Row) -> str:
    return str(found["at"])


def _backwards(folder: str, name: str, since: str) -> Iterator[tuple[Row, bytes]]:
    """The rows of a file from its end, and their lines; the file is open only while a block is read, because there may
    be many."""
    path, rest, at = os.path.join(folder, name), b"", -1
    while at:
        try:
            fd = open_to_read(path)
        except OSError:
            return
        try:
            at = os.fstat(fd).st_size if at < 0 else at
            start = max(0, at - BLOCK)
            os.lseek(fd, start, os.SEEK_SET)
            block = os.read(fd, at - start)
        finally:
            os.close(fd)
        at = start
        first, *lines = (block + rest).split(b"\n")
        rest = first if len(first) <= MOST_LINE else b""
        for line in reversed(lines):
            found = row(line)
            if found is not None:
                if _time(found) < since:
                    return
                yield found, line


def _lines(path: str) -> Iterator[bytes]:
    """The lines of a file with their ends; nothing of one that cannot be read."""
    try:
        with os.fdopen(open_to_read(path), "rb") as file:
            while line := file.readline(MOST_LINE):
                yield line
    except OSError:
        return


# Judging


class _Hashes:
    """The hashes of a file's rows by their numbers, half a byte for each digit: a file may have a hundred thousand."""

    def __init__(self) -> None:
        self._chain = bytearray()
        """Of the rows 1, 2, 3, ... as far as they stand in their order."""
        self._others: dict[int, str] = {}

    def add(self, number: int, hash: str) -> None:
        """Note the hash of a row; of several rows with the same number, the first counts."""
        if number == len(self._chain) // _BYTES + 1 and number not in self._others:
            self._chain += bytes.fromhex(hash)
        elif self.get(number) is None:
            self._others[number] = hash

    def get(self, number: int) -> str | None:
        """The hash of a row, or None where there is no such row."""
        end = number * _BYTES
        return self._chain[end - _BYTES : end].hex() if 0 < end <= len(self._chain) else self._others.get(number)

    @property
    def last(self) -> int:
        """The highest number of a row, 0 where there is none."""
        return max(len(self._chain) // _BYTES, *self._others, 0)


class _Scan:
    """What one file says, and what is wrong with it by itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.faults: list[Fault] = []
        self.hashes = _Hashes()
        self.named: list[tuple[str, int, str]] = []
        """Other files, with the rows they had and the hash of the last (0 and `START`: it was there)."""
        self.pruned: set[str] = set()
        self.dropped, self.end = 0, OPEN

    def fault(self, row: int, what: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(self.name, row, what))


def verify(folder: str) -> list[Verdict]:
    """What can be said of every file, oldest first."""
    found, missing = _verify(folder)
    if missing:
        found, missing = _verify(folder)        # a gateway may have removed an old file while we read
    return found


def _verify(folder: str) -> tuple[list[Verdict], bool]:
    scans = {name: _scan(os.path.join(folder, name), name) for name in files(folder)}
    gone: dict[str, Fault] = {}
    removed = {name for scan in scans.values() for name in scan.pruned}
    frontier = max(map(_place, removed), default=NOWHERE)
    for scan in scans.values():
        for name, rows, last in scan.named:
            other = scans.get(name)
            if other is None:
                # Removal goes from the oldest on, and the file that told of it may be gone itself.
                if _place(name) > frontier:
                    gone.setdefault(name, Fault(name, 0, f"is missing: {scan.name} names it"))
            elif rows > other.hashes.last:
                other.fault(0, f"has {other.hashes.last} rows; it had {rows} when {scan.name} was begun")
            elif rows and other.hashes.get(rows) != last:
                other.fault(rows, f"is another than when {scan.name} was begun")
    verdicts = [Verdict(name, scan.hashes.last, scan.end, tuple(scan.faults), scan.dropped)
                for name, scan in scans.items()]
    lost = [Verdict(name, 0, OPEN, (fault,)) for name, fault in gone.items()]
    return sorted([*verdicts, *lost], key=lambda verdict: _place(verdict.file)), bool(gone)


def _place(name: str) -> tuple[str, int, int]:
    """Where a file stands among the others, also one that somebody made up."""
    return place(name) or NOWHERE


def _scan(path: str, name: str) -> _Scan:
    scan = _Scan(name)
    try:
        with os.fdopen(open_to_read(path), "rb") as file:
            head = file.readline(HEADER)
            counted = read_header(head)
            if counted is None:                 # no file has its name before it has its whole first line
                scan.fault(0, "its first line was changed" if len(head) == HEADER else "is cut off in its first line")
            rows = _rows(scan, iter(lambda: file.readline(MOST_LINE), b""))
    except OSError as error:
        scan.fault(0, f"cannot be read: {error.strerror or error}")
        return scan
    if counted is None:
        scan.end = TORN
        return scan
    count, last = counted
    if count > rows:
        scan.fault(0, f"its first line counts {count} rows, and there are {rows}")
    elif (scan.hashes.get(count) or START) != last:
        scan.fault(count, "is not the row that the first line of the file names")
    return scan


def _rows(scan: _Scan, lines: Iterator[bytes]) -> int:
    """Follow the chain; gives the number of the last whole row."""
    n, last, known = 0, START, True
    for line in lines:
        if scan.end == ENDED:
            scan.fault(n + 1, "stands behind the end of the run")
        body, stated = _split(line)
        if not stated:
            begins = b'{"n":%d,' % (n + 1)
            if not line.endswith(b"\n") and len(line) < MOST_LINE and begins.startswith(line[: len(begins)]):
                scan.end = TORN if scan.end == OPEN else scan.end
                break
            scan.fault(n + 1, "was changed: it is no row")
            known = False
            continue
        number = _number(body)
        if known and number == n + 1:
            if sha256(last.encode() + body).hexdigest() != stated:
                scan.fault(number, "was changed, or the row before it")
        elif known and number > n + 1:
            scan.fault(n + 1, "is missing" if number == n + 2 else f"and all up to row {number - 1} are missing")
        elif known:
            scan.fault(number, f"stands behind row {n}, where it does not belong")
        n, last, known = number, stated, True
        scan.hashes.add(n, stated)
        _hear(scan, body, line)
    return n


def _split(line: bytes) -> tuple[bytes, str]:
    """A row without its hash, and the hash; no hash for what is no row."""
    body, tail = line[:-_TAIL], line[-_TAIL:]
    stated = tail[9:-3]
    shaped = tail.startswith(b',"hash":"') and tail.endswith(b'"}\n') and body.startswith(b'{"n":')
    ours = shaped and len(stated) == DIGITS and not set(stated) - set(b"0123456789abcdef") and _number(body) > 0
    return (body, stated.decode()) if ours else (line, "")


def _number(body: bytes) -> int:
    digits = body[5:25].partition(b",")[0]
    return int(digits) if digits.isdigit() else 0


_TOLD = tuple(b'"event":"%s"' % name for name in (b"open", b"next", b"pruned", b"dropped", b"lost", b"end"))


def _hear(scan: _Scan, body: bytes, line: bytes) -> None:
    """Take in what a row says of files."""
    if not any(word in body[:100] for word in _TOLD):
        return
    found = row(line) or {}
    event, name = found.get("event"), found.get("file")
    if event in ("end", "next"):
        scan.end = ENDED
    if event == "open" and name != scan.name:
        scan.fault(1, f"says that the file is {name!r:.100}")
    elif event == "open":
        others = found.get("others")
        for each in others if isinstance(others, list) else ():
            if isinstance(each, dict) and isinstance(each.get("file"), str) and isinstance(each.get("rows"), int):
                scan.named.append((each["file"], each["rows"], str(each.get("hash"))))
    elif event == "next" and isinstance(name, str):
        scan.named.append((name, 0, START))
    elif event == "lost" and isinstance(name, str):
        rows = found.get("rows")
        scan.named.append((name, rows if isinstance(rows, int) else 0, str(found.get("last"))))
    elif event == "pruned" and isinstance(found.get("files"), list):
        scan.pruned.update(each for each in found["files"] if isinstance(each, str))
    elif event == "dropped" and isinstance(found.get("rows"), int):
        scan.dropped += found["rows"]
