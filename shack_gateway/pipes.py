"""Bytes in and out of descriptors.

Reader   one `os.read` a turn of the loop, so that no peer starves another; a chunk goes to `on_bytes` as it came
Writer   pieces queued by `send`, written together; what a full pipe does not take waits for it
Outbox   one write per turn and destination: a reader's turn ends with one flush of every writer that was fed in it

Rule 1: whoever makes a Reader or Writer of a descriptor gives it away: it is closed here and nowhere else.
Rule 2: callbacks come from the loop, never from within `send`, `close` or a constructor.
Rule 3: nothing is copied that is large: pieces are written where they lie, a half-written one is a view of its rest.
Rule 4: where the loop cannot watch a descriptor (regular files, consoles and pipes of Windows) a daemon thread stands
        in: it holds at most one chunk that the loop has not yet taken, or what the loop has handed it to write.
"""
from __future__ import annotations

import asyncio
import os
import select
import stat
import sys
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

if sys.platform == "win32":
    import msvcrt

Piece = bytes | memoryview

CHUNK = 65_536
"""Bytes of one read. A pipe of Linux holds no more unless it was widened; and a buffer past the allocator's threshold
is mapped anew for every read (measured: 38 instead of 11 us for a small echo with 256 KiB)."""
JOINED = 65_536
"""Up to here a queue is joined and written in one piece: cheaper than handing many small pieces to the system."""
SPAN = 262_144
"""Bytes offered in one vectored write; a pipe takes less, and every piece offered costs, taken or not."""
PIECES = 256
"""Pieces offered in one vectored write; every system allows 1,024 (POSIX asks for 16)."""
LOW_WATER = 65_536
"""Where `on_drained` is called unless the writer's owner says otherwise."""
PIPE_HOLDS = 1_048_576
"""What a pipe may hold at most for an unprivileged user of Linux; other systems' pipes are smaller."""


class Outbox:
    """The writers that were fed since they last wrote.

    While a reader's turn holds it, sends are only noted; outside a turn the first one schedules a flush.
    """

    __slots__ = ("_loop", "behind", "dirty", "held")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.dirty: list[Writer] = []
        self.held = False
        self.behind: Callable[[], None] | None = None
        """What is to be done, and must not raise, whenever all have written: nobody waits for it."""

    def flush(self) -> None:
        """Each writer that was fed writes once. Never raises: writers report through the loop."""
        dirty, self.dirty = self.dirty, []
        for writer in dirty:
            writer.flush()
        if self.behind is not None:
            self.behind()

    def add(self, writer: Writer) -> None:
        """Note that `writer` was fed; a writer does so once until it is flushed."""
        if not self.held and not self.dirty:
            self._loop.call_soon(self.flush)
        self.dirty.append(writer)


class Reader:
    """Reads from the moment it is made until the end, `pause` or `close`; at most `most` bytes a turn.

    `on_end` is called once, after the last `on_bytes`, at the end of the stream or when it breaks; not after `close`.
    The descriptor stays as it is: it is read when it has something, so nothing need be made non-blocking.
    """

    __slots__ = ("_closed", "_fd", "_loop", "_most", "_on_bytes", "_on_end", "_outbox", "_thread")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, fd: int, on_bytes: Callable[[bytes], None],
        on_end: Callable[[], None], outbox: Outbox, most: int = CHUNK,
    ) -> None:
        self._loop, self._fd, self._outbox, self._most = loop, fd, outbox, most
        self._on_bytes, self._on_end = on_bytes, on_end
        self._closed = False
        self._thread: _ReadThread | None = None
        if not self._watch():
            self._thread = _ReadThread(loop, fd, self._take)

    @property
    def threaded(self) -> bool:
        """True when a thread stands in for the loop."""
        return self._thread is not None

    @property
    def closed(self) -> bool:
        """True after the end or `close`."""
        return self._closed

    def pause(self) -> None:
        """No `on_bytes` until `resume`; the peer is held back by its full pipe."""
        if self._thread is not None:
            self._thread.pause()
        elif not self._closed:
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Read on after `pause`."""
        if self._thread is not None:
            self._thread.resume()
        elif not self._closed:
            self._loop.add_reader(self._fd, self._readable)

    def drain(self) -> None:
        """Take in now, paused or not, what the pipe holds already; the last words of a peer that has just died."""
        left = PIPE_HOLDS
        while left > 0 and not self._closed and self._thread is None and _has_something(self._fd):
            left -= self._readable()

    def close(self) -> None:
        """Read no more and give the descriptor back; harmless when done twice."""
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            self._thread.close()
        else:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)

    def _watch(self) -> bool:
        if stat.S_ISREG(os.fstat(self._fd).st_mode):
            return False  # epoll refuses them; kqueue takes them and never tells of their end
        try:
            self._loop.add_reader(self._fd, self._readable)
        except (NotImplementedError, OSError, ValueError):
            return False
        return True

    def _readable(self) -> int:
        try:
            chunk = os.read(self._fd, self._most)
        except (BlockingIOError, InterruptedError):
            return 1  # somebody else was faster: the descriptor is shared
        except OSError:
            chunk = b""  # a terminal that hung up, a socket that was reset: the end by another name
        self._take(chunk)
        return len(chunk)

    def _take(self, chunk: bytes) -> None:
        if self._closed:
            return
        outbox = self._outbox
        outbox.held = True
        try:
            if chunk:
                self._on_bytes(chunk)
            else:
                self.close()
                self._on_end()
        finally:
            outbox.held = False
            if outbox.dirty:
                outbox.flush()


class Writer:
    """Writes what it is sent, in order. `queued` is what has not left yet: bounding it is the sender's business.

    `on_broken` is called once when the descriptor breaks (peer gone, disk full); what was queued is then lost and what
    is sent later is dropped. `on_drained` is called when `queued` falls to `low_water` or below from above it.
    """

    __slots__ = ("_closed", "_closing", "_dirty", "_fd", "_loop", "_on_broken", "_outbox", "_pieces", "_restore",
                 "_thread", "low_water", "on_drained", "queued")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, fd: int, outbox: Outbox, on_broken: Callable[[OSError], None]
    ) -> None:
        self._loop, self._fd, self._outbox, self._on_broken = loop, fd, outbox, on_broken
        self._pieces: deque[Piece] = deque()
        self.queued = 0
        self.low_water = LOW_WATER
        self.on_drained: Callable[[], None] | None = None
        self._dirty = self._closing = self._closed = self._restore = False
        # `_dirty`: the outbox, or the loop's watch on a full pipe, will come back to us by itself.
        self._thread: _WriteThread | None = None
        if not self._watch():
            self._thread = _WriteThread(loop, fd, self._wrote, self._broke)

    @property
    def closed(self) -> bool:
        """True when nothing can be sent any more."""
        return self._closed or self._closing

    def send(self, *pieces: Piece) -> None:
        """Queue `pieces`; they leave at the end of this turn of the loop, or when the peer has room."""
        if self._closed or self._closing:
            return
        self._pieces.extend(pieces)
        for piece in pieces:
            self.queued += len(piece)
        if not self._dirty:
            self._dirty = True
            self._outbox.add(self)

    def close_when_flushed(self) -> None:
        """Take nothing more, and close as soon as what is queued has left."""
        self._closing = True
        if not self.queued:
            self.close()

    def close(self) -> None:
        """Close at once; what is queued is lost. Harmless when done twice."""
        if self._closed:
            return
        self._closed = True
        self._pieces.clear()
        self.queued = 0
        if self._thread is not None:
            self._thread.end()
            return
        self._loop.remove_writer(self._fd)
        if self._restore and sys.platform != "win32":
            os.set_blocking(self._fd, True)
        os.close(self._fd)

    def _watch(self) -> bool:
        """Make the descriptor non-blocking where the loop can tell when it has room."""
        if sys.platform == "win32":
            return False
        mode = os.fstat(self._fd).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            return False  # a terminal's flags are shared with the shell around us: leave them alone
        if os.get_blocking(self._fd):
            os.set_blocking(self._fd, False)
            self._restore = True
        return True

    def flush(self) -> None:
        """Write what the descriptor takes; the outbox calls this, nobody else need."""
        queued = self.queued
        if self._closed or not queued:
            self._dirty = False
            return
        pieces = self._pieces
        if self._thread is not None:
            self._dirty = False
            self._thread.write(list(pieces))
            pieces.clear()
            return
        try:
            if queued <= JOINED:
                written = os.write(self._fd, pieces[0] if len(pieces) == 1 else b"".join(pieces))
            else:
                written = _write_many(self._fd, self._head())
        except (BlockingIOError, InterruptedError):
            written = 0
        except OSError as error:
            self._broke(error)
            return
        if written == queued:
            pieces.clear()
            self._dirty = False
            if queued <= self.low_water and not self._closing:  # nearly always: nothing else to tell
                self.queued = 0
                return
        else:
            self._advance(written)
            self._loop.add_writer(self._fd, self._writable)
        self._wrote(written)

    def _writable(self) -> None:
        """The pipe has room again."""
        try:
            written = _write_many(self._fd, self._head())
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._broke(error)
            return
        self._advance(written)
        if not self._pieces:
            self._loop.remove_writer(self._fd)
            self._dirty = False
        self._wrote(written)

    def _head(self) -> list[Piece]:
        """The first pieces, as many as one write may take."""
        head: list[Piece] = []
        left = SPAN
        for piece in self._pieces:
            head.append(piece)
            left -= len(piece)
            if left <= 0 or len(head) == PIECES:
                break
        return head

    def _advance(self, written: int) -> None:
        """Drop the first `written` bytes of the queue."""
        pieces = self._pieces
        while pieces and len(pieces[0]) <= written:
            written -= len(pieces.popleft())
        if written:
            pieces[0] = memoryview(pieces[0])[written:]

    def _wrote(self, count: int) -> None:
        before = self.queued
        self.queued = after = before - count
        if after <= self.low_water < before and self.on_drained is not None:
            self._loop.call_soon(self.on_drained)
        if self._closing and not after:
            self.close()

    def _broke(self, error: OSError) -> None:
        if not self._closed:
            self.close()
            self._loop.call_soon(self._on_broken, error)


class _ReadThread:
    """Reads where the loop cannot watch: one chunk, then waits until the loop has taken it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, take: Callable[[bytes], None]) -> None:
        self._loop, self._fd, self._take = loop, fd, take
        self._turn = threading.Semaphore(1)
        self._paused = self._owed = self._closed = False
        threading.Thread(target=self._run, name=f"read {fd}", daemon=True).start()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        if self._owed:
            self._owed = False
            self._turn.release()

    def close(self) -> None:
        """The thread closes the descriptor when it wakes: closing it under a blocked read is not safe anywhere."""
        self._closed = True
        self._turn.release()

    def _run(self) -> None:
        _binary(self._fd)
        chunk = b"-"
        while chunk:
            self._turn.acquire()
            if self._closed:
                break
            try:
                chunk = os.read(self._fd, CHUNK)
            except OSError:
                chunk = b""
            if not _post(self._loop, self._deliver, chunk):
                break
        os.close(self._fd)

    def _deliver(self, chunk: bytes) -> None:
        # A chunk that was read before `pause` is delivered all the same: it cannot be put back.
        self._take(chunk)
        if self._paused:
            self._owed = True
        else:
            self._turn.release()


class _WriteThread:
    """Writes where the loop cannot tell whether there is room."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, fd: int, wrote: Callable[[int], None], broke: Callable[[OSError], None]
    ) -> None:
        self._loop, self._fd, self._wrote, self._broke = loop, fd, wrote, broke
        self._work: SimpleQueue[list[Piece] | None] = SimpleQueue()
        self._drop = False
        threading.Thread(target=self._run, name=f"write {fd}", daemon=True).start()

    def write(self, pieces: list[Piece]) -> None:
        self._work.put(pieces)

    def end(self) -> None:
        """Drop what is not written yet and close; a write under way ends when it ends."""
        self._drop = True
        self._work.put(None)

    def _run(self) -> None:
        _binary(self._fd)
        try:
            while (pieces := self._work.get()) is not None:
                for piece in pieces:
                    rest = memoryview(piece)
                    while rest and not self._drop:
                        written = os.write(self._fd, rest[:CHUNK])
                        rest = rest[written:]
                        _post(self._loop, self._wrote, written)
        except OSError as error:
            _post(self._loop, self._broke, error)
        os.close(self._fd)


def _post(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *args: object) -> bool:
    """Call from a thread; False when the loop is gone."""
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        return False
    return True


def _write_many(fd: int, pieces: list[Piece]) -> int:
    if sys.platform == "win32":  # never called there, see `Writer._watch`
        return os.write(fd, pieces[0])
    return os.writev(fd, pieces)


def _has_something(fd: int) -> bool:
    """True when a read would not wait (or would tell the end)."""
    if sys.platform == "win32":  # never asked there, see `Reader.drain`
        return False
    poll = select.poll()  # not `select.select`: that one breaks with descriptors over 1,023
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def _binary(fd: int) -> None:
    if sys.platform == "win32":
        msvcrt.setmode(fd, os.O_BINARY)
