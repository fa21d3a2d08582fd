"""The files of the journal: rows chained by hashes behind a line that counts them; the next file, the end of old ones.

    line 1   {"journal":1,"rows":2,"hash":"…"} and spaces up to `HEADER` bytes: how many rows there are and the hash of
             the last, written anew in its place behind every few rows
    line 2…  {"n":1, … ,"hash":"…"}: the hash is the SHA-256 of the hash before it (`START` in front of the first) and
             of the row's own bytes up to `,"hash"`

Rule 1: a file has one writer, who holds a lock on it (where the platform has such) that ends with its process.
Rule 2: a file has its name only once it has its whole first line. Nothing is written behind half a row: what a full
        disk cut off is taken away first.
Rule 3: no trouble with files leaves here as an error: it is said once, rows are counted that could not be written, and
        the count is the first row when there is room again.
"""
from __future__ import annotations

import errno
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any

from ..record import NamedTuple
from .paths import is_foreign

if sys.platform != "win32":
    import fcntl

HEADER = 128
"""Bytes of the first line, its end included."""
START = "0" * 64
END = ".jsonl"
PART = ".part"
"""Behind the name of a file that has no first line yet."""
PART_SECS = 60.0
"""How old such a file must be to have been left behind."""
DIGITS = 64
"""Of a hash."""
MOST_FILES = 500
"""Files that are kept at most: every run begins one."""
WITNESSED = 8
"""How many other files the first row of a file names, with their rows and the hash of the last."""
PAUSE_SECS, LONGEST_PAUSE_SECS = 1.0, 30.0
"""Until it is tried again to write, after the first failure and after many."""

MakeRow = Callable[[float, str, Mapping[str, Any]], str]


class Bounds(NamedTuple):
    """How much is kept: bytes of one file, bytes and days of all."""

    max_bytes: int
    keep_bytes: int
    keep_days: float


class Book:
    """The journal of one run: `folder` need not exist, `make_row` writes rows of our own, `say` tells the owner.

    Used from one thread at a time.
    """

    def __init__(
        self, folder: str, bounds: Bounds, make_row: MakeRow, say: Callable[[str], None],
        clock: Callable[[], float] = time.time, ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._bounds, self._make_row, self._say = folder, bounds, make_row, say
        self._clock, self._ticks = clock, ticks
        self._stem, self._part, self._name = "", 0, ""
        self._fd = -1
        self._n, self._hash, self._end = 0, START, HEADER
        self._limit = bounds.max_bytes
        self._counted, self._linked = 0, False
        self._dropped, self._whole = 0, 0
        self._notes: list[tuple[str, Mapping[str, Any]]] = []
        """Rows of our own that could not be written yet."""
        self._worn: list[str] = []
        """Files that are to be removed once it is written that they are."""
        self._pause, self._again = 0.0, 0.0
        self._said: set[str] = set()

    @property
    def uncounted(self) -> int:
        """How many rows the first line of the file does not count yet."""
        return self._n - self._counted

    def write(self, rows: Sequence[str], dropped: int = 0) -> None:
        """Write rows in one piece; `dropped` others could not be handed over."""
        self._dropped += dropped
        if self._pause and self._ticks() < self._again:
            self._dropped += len(rows)
            return
        self._whole = 0
        try:
            self._make_ready()
            self._put(rows)
            self._pause = 0.0
        except OSError as error:
            self._dropped += len(rows) - self._whole
            self._trouble(error)

    def settle(self) -> None:
        """Have the first line count every row, and see that the file is still there, as we wrote it."""
        if self._fd < 0:
            return
        try:
            if self._linked and not self._is_there():
                self._lose()
            elif self._counted != self._n:
                _write_at_start(self._fd, header(self._n, self._hash), self._end)
                self._counted = self._n
        except OSError as error:
            self._trouble(error)

    def close(self) -> None:
        """The last row is written."""
        self.settle()
        if self._dropped or self._notes:
            self._pause = 0.0
            self.write(())
            self.settle()
        self._leave()

    def _lose(self) -> None:
        """The file is not what we wrote any more: leave it."""
        self._notes.append(("lost", {"file": self._name, "rows": self._n, "last": self._hash}))
        self._leave()
        self._tell("its file was removed, replaced or cut while it was written; another one is begun")

    def _is_there(self) -> bool:
        """False where the file that we write to is no longer the one of its name."""
        try:
            return os.path.samestat(os.fstat(self._fd), os.lstat(os.path.join(self._folder, self._name)))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _make_ready(self) -> None:
        """Have a file that rows can be written to, with all that we ourselves have to say first; raises OSError."""
        if self._fd >= 0 and os.fstat(self._fd).st_size < self._end:
            self._lose()
        if self._fd < 0:
            self._begin()
        elif self._end >= self._limit:
            self._turn()
        if self._n == 0:
            self._introduce()
        while self._notes:
            self._put([self._row(*self._notes[0])])
            del self._notes[0]
        if self._dropped:
            self._put([self._row("dropped", {"rows": self._dropped})])
            self._dropped = 0
        self._whole = 0
        while self._worn:
            _remove(os.path.join(self._folder, self._worn.pop()))

    def _begin(self) -> None:
        """Open the first file, or another one where there is none any more."""
        if not self._stem:
            now = self._clock()
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
            self._stem = f"{stamp}{int(now % 1 * 1000):03d}Z-{os.getpid()}"
        _own_folder(self._folder)
        while True:
            try:
                fd = self._create(self._part + 1)
                break
            except FileExistsError:             # another system that shares the folder and has a process of our number
                self._part += 1
        self._take(fd, self._part + 1)

    def _turn(self) -> None:
        """Go on in the next file; where it cannot be had, for a while in this one."""
        try:
            _own_folder(self._folder)           # which may have been replaced since
            fd = self._create(self._part + 1)
        except OSError as error:
            self._limit = self._end + self._bounds.max_bytes // 8
            self._tell(f"the next file cannot be begun ({error.strerror or error})")
            return
        try:
            self._put([self._row("next", {"file": self._file(self._part + 1)})])
            self.settle()
        finally:
            self._leave()
            self._take(fd, self._part + 1)

    def _create(self, part: int) -> int:
        """A new file with nothing but its first line, without which it has not its name: a shorter one was cut."""
        path = os.path.join(self._folder, self._file(part))
        flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        fd = os.open(path + PART, flags | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _lock(fd)
            if os.write(fd, header(0, START)) < HEADER:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if os.path.lexists(path):           # whoever else may begin it is kept out by the other name
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
            if sys.platform == "win32":         # where no open file can be renamed
                os.close(fd)
                fd = -1
            os.rename(path + PART, path)
        except OSError:
            if fd >= 0:
                os.close(fd)
            with suppress(OSError):
                os.unlink(path + PART)
            raise
        if fd < 0:
            fd = os.open(path, flags)
            os.lseek(fd, HEADER, os.SEEK_SET)
        return fd

    def _take(self, fd: int, part: int) -> None:
        """From now on this is the file."""
        self._fd, self._part, self._name = fd, part, self._file(part)
        self._n, self._hash, self._end, self._counted = 0, START, HEADER, 0
        self._limit = self._bounds.max_bytes
        self._linked = self._is_there()         # some file systems do not number their files

    def _introduce(self) -> None:
        """Say what there is beside this file, and what of it is too old or too much; raises OSError.

        It is said before it is removed: were we killed in between, files would be missing that nobody had spoken of.
        """
        others = [name for name in listed(self._folder) if name != self._name]
        witnessed = [{"file": name, "rows": rows, "hash": last} for name in others[: -WITNESSED - 1 : -1]
                     for rows, last in (state(os.path.join(self._folder, name)),)]
        self._put([self._row("open", {"file": self._name, "part": self._part, "others": witnessed})])
        for name in left_behind(self._folder, self._clock()):
            _remove(os.path.join(self._folder, name))
        worn = outworn(self._folder, others, self._bounds, self._clock())
        if worn:
            self._notes.append(("pruned", {"files": worn}))
            self._worn = worn[::-1]

    def _put(self, rows: Sequence[str]) -> None:
        """Write rows; where that fails, keep those that are whole (`_whole` of them), and raise OSError."""
        n, last, texts, hashes = self._n, self._hash, [], []
        for row in rows:
            n += 1
            row = f'{{"n":{n},{row}'
            last = sha256((last + row).encode("ascii")).hexdigest()
            texts.append(f'{row},"hash":"{last}"}}\n')
            hashes.append(last)
        data = "".join(texts).encode("ascii")
        written = 0
        try:
            written = os.write(self._fd, data)
            while written < len(data):
                written += os.write(self._fd, data[written:])
        except OSError:
            whole = size = 0
            while size + len(texts[whole]) <= written:
                size += len(texts[whole])
                whole += 1
            self._whole = whole
            if whole:
                self._n, self._hash, self._end = self._n + whole, hashes[whole - 1], self._end + size
            self._cut()
            raise
        self._n, self._hash, self._end = n, last, self._end + len(data)

    def _cut(self) -> None:
        """Take away what is behind the last whole row; a file where that fails is not written to again."""
        try:
            os.ftruncate(self._fd, self._end)
            os.lseek(self._fd, self._end, os.SEEK_SET)
        except OSError:
            self._leave()

    def _leave(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _trouble(self, error: OSError) -> None:
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECS) if self._pause else PAUSE_SECS
        self._again = self._ticks() + self._pause
        self._tell(f"it cannot be written ({error.strerror or error}); calls go on without it")

    def _tell(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self._say(f"{what}: {self._folder}")

    def _row(self, event: str, facts: Mapping[str, Any]) -> str:
        return self._make_row(self._clock(), event, facts)

    def _file(self, part: int) -> str:
        return f"{self._stem}{END}" if part == 1 else f"{self._stem}-{part}{END}"


def header(rows: int, last: str) -> bytes:
    """The first line of a file."""
    return f'{{"journal":1,"rows":{rows},"hash":"{last}"}}'.ljust(HEADER - 1).encode("ascii") + b"\n"


def read_header(line: bytes) -> tuple[int, str] | None:
    """Rows and last hash by a first line; None for a line that is none, or not as we write it."""
    try:
        value = json.loads(line)
        rows, last = value["rows"], value["hash"]
        return (rows, last) if type(rows) is int and rows >= 0 and header(rows, last) == line else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def place(name: str) -> tuple[str, int, int] | None:
    """When the run began (as text that sorts), its process and the part, by a file's name; None for other names."""
    if not name.endswith(END):
        return None
    stamp, *numbers = name.removesuffix(END).split("-")
    ours = len(stamp) == 19 and stamp[8] == "T" and stamp[18] == "Z" and (stamp[:8] + stamp[9:18]).isdecimal()
    if not ours or len(numbers) not in (1, 2) or not all(each.isascii() and each.isdecimal() for each in numbers):
        return None
    return stamp, int(numbers[0]), int(numbers[1]) if len(numbers) == 2 else 1


def listed(folder: str) -> list[str]:
    """The names of the journal's files, oldest first; raises OSError."""
    found = [(at, name) for name in os.listdir(folder) if (at := place(name)) is not None]
    return [name for _, name in sorted(found)]


def left_behind(folder: str, now: float) -> list[str]:
    """Files without a first line, of runs that were killed before they had one."""
    found = []
    for name in os.listdir(folder):
        if name.endswith(PART) and place(name.removesuffix(PART)) is not None:
            with suppress(OSError):
                if os.lstat(os.path.join(folder, name)).st_mtime < now - PART_SECS:
                    found.append(name)
    return found


def open_to_read(path: str) -> int:
    """A descriptor of a file of ours; raises OSError, also for a link, a pipe, and whatever else is no file."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "is no file", path)
    return fd


def state(path: str) -> tuple[int, str]:
    """Rows and last hash by the first line of another file; none where it cannot be read."""
    try:
        fd = open_to_read(path)
    except OSError:
        return 0, START
    try:
        return read_header(os.read(fd, HEADER)) or (0, START)
    except OSError:
        return 0, START
    finally:
        os.close(fd)


def outworn(folder: str, names: Sequence[str], bounds: Bounds, now: float) -> list[str]:
    """The oldest of these files as far as they are too old, too much or too many; never one that is written to.

    `names` are oldest first.
    """
    files: list[tuple[str, int, float]] = []
    for name in names:
        try:
            status = os.lstat(os.path.join(folder, name))
        except OSError:
            continue                            # removed at this very moment
        if stat.S_ISREG(status.st_mode) and not is_foreign(status):
            files.append((name, status.st_size, status.st_mtime))
    total, count, worn = sum(size for _, size, _ in files), len(files) + 1, []
    for name, size, changed in files:
        old = now - changed > bounds.keep_days * 86400
        if (old or total > bounds.keep_bytes or count > MOST_FILES) and _is_let_go(os.path.join(folder, name)):
            total, count = total - size, count - 1
            worn.append(name)
    return worn


def _is_let_go(path: str) -> bool:
    """False while somebody writes to the file; who has let it go never takes it up again. On Windows nobody knows."""
    try:
        fd = open_to_read(path)
    except OSError:
        return False
    try:
        if sys.platform != "win32":
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(fd)


def _remove(path: str) -> None:
    """Remove the file, unless somebody writes to it (Windows removes no open file)."""
    if _is_let_go(path):
        with suppress(OSError):
            os.unlink(path)


def _lock(fd: int) -> None:
    """Say that the file is written to; a file system without locks is said to be written to as well (`_remove`)."""
    if sys.platform != "win32":
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise


def _own_folder(folder: str) -> None:
    """Have the folder, for the user alone; raises OSError where it is somebody else's."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    status = os.lstat(folder)
    getuid = getattr(os, "getuid", None)
    if not stat.S_ISDIR(status.st_mode) or (getuid is not None and status.st_uid != getuid()):
        raise OSError(errno.EPERM, "somebody else's folder, or a link")
    if getuid is not None and status.st_mode & 0o077:
        os.chmod(folder, 0o700)


def _write_at_start(fd: int, data: bytes, end: int) -> None:
    if hasattr(os, "pwrite"):
        os.pwrite(fd, data, 0)
        return
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, data)
    finally:
        os.lseek(fd, end, os.SEEK_SET)
