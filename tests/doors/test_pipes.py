"""Bytes in and out of descriptors: order, bounds, slow and lost peers, and no more writes than turns."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
import sys
import threading
import tracemalloc
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from shack_gateway.pipes import JOINED, PIPE_HOLDS, Outbox, Reader, Writer

PATIENCE = 10.0
posix = pytest.mark.skipif(sys.platform == "win32", reason="the loop watches no pipes on Windows; untested there")


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, PATIENCE))


async def until(true: Callable[[], object]) -> None:
    """Let the loop turn until something holds; `run` bounds it."""
    while not true():
        await asyncio.sleep(0.001)


class Ear:
    """What a reader hears."""

    def __init__(self, fd: int, outbox: Outbox | None = None) -> None:
        self.chunks: list[bytes] = []
        self.ended = 0
        loop = asyncio.get_running_loop()
        self.reader = Reader(loop, fd, self.chunks.append, self._end, outbox or Outbox(loop))

    def _end(self) -> None:
        self.ended += 1

    @property
    def heard(self) -> bytes:
        return b"".join(self.chunks)


class Mouth:
    """A writer and what it complained of."""

    def __init__(self, fd: int, outbox: Outbox | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.outbox = outbox or Outbox(loop)
        self.errors: list[OSError] = []
        self.writer = Writer(loop, fd, self.outbox, self.errors.append)


def sip(fd: int, size: int = 65_536) -> bytes:
    """What is there now; never waits."""
    os.set_blocking(fd, False)
    try:
        return os.read(fd, size)
    except BlockingIOError:
        return b""


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


# --- reading ---------------------------------------------------------------------------------------------------------


def test_what_goes_in_comes_out_and_the_end_is_told_once() -> None:
    async def main() -> None:
        theirs, ours = os.pipe()
        ear = Ear(theirs)
        os.write(ours, b"one\ntw")
        await until(lambda: ear.heard == b"one\ntw")
        os.write(ours, b"o\n")
        os.close(ours)
        await until(lambda: ear.ended)
        await asyncio.sleep(0.01)
        assert (ear.heard, ear.ended, ear.reader.closed) == (b"one\ntwo\n", 1, True)
        with pytest.raises(OSError):
            os.fstat(theirs)

    run(main())


@posix
def test_no_reader_takes_more_than_one_chunk_while_another_has_something() -> None:
    async def main() -> None:
        order: list[str] = []
        loop = asyncio.get_running_loop()
        outbox = Outbox(loop)
        a, b = socket.socketpair(), socket.socketpair()
        a[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        a[0].setblocking(False)
        try:
            while True:
                a[0].send(b"a" * 65_536)
        except BlockingIOError:
            pass
        b[0].send(b"b")
        readers = [
            Reader(loop, s[1].detach(), lambda chunk, n=n: order.append(n), lambda: None, outbox)  # type: ignore[misc]
            for n, s in (("a", a), ("b", b))
        ]
        await until(lambda: "b" in order)
        assert order.index("b") <= 1
        for reader in readers:
            reader.close()
        a[0].close(), b[0].close()

    run(main())


def test_a_paused_reader_hears_nothing_until_it_is_resumed() -> None:
    async def main() -> None:
        theirs, ours = os.pipe()
        ear = Ear(theirs)
        os.write(ours, b"1")
        await until(lambda: ear.heard)
        ear.reader.pause()
        os.write(ours, b"2")
        await asyncio.sleep(0.02)
        assert ear.heard == b"1"
        ear.reader.resume()
        await until(lambda: ear.heard == b"12")
        os.close(ours)
        await until(lambda: ear.ended)

    run(main())


def test_a_reader_paused_in_the_middle_of_a_chunk_gets_no_second_one(tmp_path: Path) -> None:
    """Also where a thread reads (a regular file): it may hold one chunk back, and gives it when asked."""
    path = tmp_path / "lines"
    path.write_bytes(os.urandom(300_000))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        heard: list[bytes] = []
        ended: list[bool] = []

        def take(chunk: bytes) -> None:
            heard.append(chunk)
            reader.pause()

        reader = Reader(loop, os.open(path, os.O_RDONLY), take, lambda: ended.append(True), Outbox(loop))
        while not ended:
            before = len(heard)
            await asyncio.sleep(0.01)
            assert len(heard) <= before + 1
            reader.resume()
        assert reader.threaded and b"".join(heard) == path.read_bytes()

    run(main())


def test_a_regular_file_is_read_to_its_end_and_told() -> None:
    async def main() -> None:
        with open(__file__, "rb") as file:
            ear = Ear(os.dup(file.fileno()))
            await until(lambda: ear.ended)
            file.seek(0)
            assert ear.heard == file.read()

    run(main())


@posix
def test_a_device_that_the_loop_cannot_watch_is_read_all_the_same() -> None:
    async def main() -> None:
        ear = Ear(os.open("/dev/null", os.O_RDONLY))
        await until(lambda: ear.ended)

    run(main())


@posix
def test_a_terminal_that_hangs_up_is_the_end() -> None:
    async def main() -> None:
        master, slave = os.openpty()
        ear = Ear(slave)
        os.write(master, b"hello\n")
        await until(lambda: ear.heard == b"hello\n")
        os.close(master)
        await until(lambda: ear.ended)

    run(main())


@posix
def test_a_reset_connection_is_the_end() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        ear = Ear(theirs.detach())
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        ours.close()
        await until(lambda: ear.ended)

    run(main())


@posix
def test_drain_takes_what_the_pipe_holds_also_when_paused_and_though_somebody_holds_it_open() -> None:
    async def main() -> None:
        theirs, ours = os.pipe()
        ear = Ear(theirs)
        ear.reader.pause()
        os.set_blocking(ours, False)
        size = os.write(ours, b"x" * 1_000_000)
        ear.reader.drain()
        assert (len(ear.heard), ear.ended) == (size, 0)
        ear.reader.close()
        os.close(ours)

    run(main())


@posix
def test_drain_ends_though_somebody_keeps_writing() -> None:
    async def main() -> None:
        theirs, ours = os.pipe()
        os.set_blocking(ours, False)
        size = 0

        def take(chunk: bytes) -> None:
            nonlocal size
            size += len(chunk)
            os.write(ours, b"x" * 65_536)  # whenever something was taken, more is there

        os.write(ours, b"x" * 65_536)
        loop = asyncio.get_running_loop()
        reader = Reader(loop, theirs, take, lambda: None, Outbox(loop))
        reader.drain()
        assert PIPE_HOLDS <= size < 2 * PIPE_HOLDS
        reader.close()
        os.close(ours)

    run(main())


def test_close_gives_the_descriptor_back_and_is_harmless_twice() -> None:
    async def main() -> None:
        theirs, ours = os.pipe()
        ear = Ear(theirs)
        ear.reader.close()
        ear.reader.close()
        ear.reader.pause()
        ear.reader.resume()
        ear.reader.drain()
        await asyncio.sleep(0.01)
        assert ear.ended == 0
        if sys.platform != "win32":
            with pytest.raises(BrokenPipeError):
                os.write(ours, b"x")
        os.close(ours)

    run(main())


@posix
def test_a_closed_reader_or_writer_leaves_the_next_owner_of_its_number_alone() -> None:
    async def main() -> None:
        theirs, ours = os.pipe()
        old_ear, old_mouth = Ear(theirs), Mouth(ours)
        old_ear.reader.close(), old_mouth.writer.close()
        assert os.pipe() == (theirs, ours)
        ear, mouth = Ear(theirs), Mouth(ours)
        old_ear.reader.pause(), old_ear.reader.close(), old_mouth.writer.close()
        old_mouth.writer.send(b"stray")
        mouth.writer.send(b"mine")
        await until(lambda: ear.heard == b"mine")
        old_ear.reader.resume()
        mouth.writer.send(b", too")
        await until(lambda: ear.heard == b"mine, too")
        assert old_ear.heard == b""
        ear.reader.close(), mouth.writer.close()

    run(main())


# --- writing ---------------------------------------------------------------------------------------------------------


class Counted:
    """A pipe whose writes are counted by how a packet-keeping socket delivers them: one `recv` is one write."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.theirs.setblocking(False)

    def writes(self) -> list[bytes]:
        found = []
        while True:
            try:
                packet = self.theirs.recv(1 << 20)
            except BlockingIOError:
                return found
            if not packet:
                return found
            found.append(packet)

    def close(self) -> None:
        self.theirs.close()


linux = pytest.mark.skipif(sys.platform != "linux", reason="counts writes by a packet socket, or reads /proc")


@linux
def test_all_that_is_sent_in_one_turn_leaves_in_one_write() -> None:
    async def main() -> None:
        pair = Counted()
        mouth = Mouth(pair.ours.detach())
        for number in range(50):
            mouth.writer.send(b"%d" % number, b"\n")
        assert pair.writes() == []
        await asyncio.sleep(0)
        assert pair.writes() == [b"".join(b"%d\n" % number for number in range(50))]
        mouth.writer.close()
        pair.close()

    run(main())


@linux
def test_a_readers_turn_ends_with_one_write_to_each_destination_and_waits_for_no_later_turn() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        outbox = Outbox(loop)
        pairs = [Counted(), Counted()]
        mouths = [Mouth(pair.ours.detach(), outbox) for pair in pairs]
        seen: list[list[list[bytes]]] = []

        def take(chunk: bytes) -> None:
            for line in chunk.splitlines(True):
                for mouth in mouths:
                    mouth.writer.send(line)
            seen.append([pair.writes() for pair in pairs])  # nothing leaves in the middle of the turn
            loop.call_soon(lambda: seen.append([pair.writes() for pair in pairs]))  # but before the next thing runs

        theirs, ours = os.pipe()
        reader = Reader(loop, theirs, take, lambda: None, outbox)
        os.write(ours, b"a\nb\nc\n")
        await until(lambda: len(seen) == 2)
        assert seen == [[[], []], [[b"a\nb\nc\n"], [b"a\nb\nc\n"]]]
        for closing in (reader, *(mouth.writer for mouth in mouths), *pairs):
            closing.close()
        os.close(ours)

    run(main())


@posix
def test_a_readers_turn_schedules_nothing() -> None:
    """A scheduled callback costs a turn of the loop with a system call, as much as the call itself."""

    class Counting(asyncio.SelectorEventLoop):
        scheduled = 0

        def call_soon(self, *args: Any, **more: Any) -> asyncio.Handle:
            self.scheduled += 1
            return super().call_soon(*args, **more)

    loop = Counting()
    outbox = Outbox(loop)
    (theirs, ours), (their_end, our_end) = os.pipe(), os.pipe()
    writer = Writer(loop, our_end, outbox, lambda error: None)
    reader = Reader(loop, theirs, lambda chunk: (writer.send(chunk), loop.stop()), lambda: None, outbox)  # type: ignore[arg-type,return-value]
    os.write(ours, b"x")
    before = loop.scheduled
    loop.run_forever()
    assert (os.read(their_end, 10), loop.scheduled - before) == (b"x", 0)
    reader.close(), writer.close(), loop.close()
    os.close(ours), os.close(their_end)


@linux
def test_a_turn_that_breaks_still_writes_what_it_had_sent() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        faults: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: faults.append(context))
        outbox, pair = Outbox(loop), Counted()
        mouth = Mouth(pair.ours.detach(), outbox)

        def take(chunk: bytes) -> None:
            mouth.writer.send(chunk)
            raise ValueError("a bug")

        theirs, ours = os.pipe()
        reader = Reader(loop, theirs, take, lambda: None, outbox)
        os.write(ours, b"x")
        await until(lambda: faults)
        assert pair.writes() == [b"x"]
        mouth.writer.send(b"later")
        await asyncio.sleep(0)
        assert pair.writes() == [b"later"]
        for closing in (reader, mouth.writer, pair):
            closing.close()
        os.close(ours)

    run(main())


def read_all(fd: int, step: Callable[[], int], into: list[bytes]) -> None:
    while chunk := os.read(fd, step()):
        into.append(chunk)


@pytest.mark.parametrize("seed", range(6))
def test_any_pieces_arrive_whole_and_in_order_whatever_the_pace_of_the_reader(seed: int) -> None:
    dice = random.Random(seed)
    pieces = [os.urandom(dice.choice((0, 1, 7, 100, 4_096, 70_000, 400_000))) for _ in range(dice.choice((3, 60, 700)))]

    async def main() -> None:
        theirs, ours = os.pipe()
        mouth, got = Mouth(ours), []  # type: Mouth, list[bytes]
        thread = threading.Thread(target=read_all, args=(theirs, lambda: dice.choice((1, 512, 65_536, 1 << 20)), got))
        thread.start()
        at = 0
        while at < len(pieces):
            count = dice.choice((1, 2, 40))
            mouth.writer.send(*pieces[at : at + count])
            at += count
            if dice.random() < 0.3:
                await asyncio.sleep(0)
        mouth.writer.close_when_flushed()
        mouth.writer.send(b"too late")
        await until(lambda: not thread.is_alive())
        assert b"".join(got) == b"".join(pieces), f"seed {seed}"
        assert (mouth.writer.queued, mouth.errors) == (0, [])

    run(main())


@posix
@pytest.mark.parametrize("size", [65_536, 160 * 65_536], ids=["in chunks", "in one piece"])
def test_a_huge_line_is_written_without_a_copy_of_it(size: int) -> None:
    async def main() -> None:
        theirs, ours = os.pipe()
        pieces = [os.urandom(size)] * (160 * 65_536 // size)
        mouth = Mouth(ours)
        count = 0
        tracemalloc.start()
        try:
            mouth.writer.send(*pieces)
            assert mouth.writer.queued == 160 * 65_536
            await asyncio.sleep(0)
            while mouth.writer.queued or count < 160 * 65_536:
                count += len(sip(theirs))
                await asyncio.sleep(0)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert count == 160 * 65_536
        assert peak < 1_000_000
        mouth.writer.close()
        os.close(theirs)

    run(main())


@posix
def test_a_reader_that_does_not_read_costs_the_loop_nothing_and_others_go_on() -> None:
    async def main() -> None:
        outbox = Outbox(asyncio.get_running_loop())
        (deaf, deaf_ours), (good, good_ours) = os.pipe(), os.pipe()
        stuck, fine = Mouth(deaf_ours, outbox), Mouth(good_ours, outbox)
        for _ in range(100):
            stuck.writer.send(b"x" * 10_000)
            fine.writer.send(b"y")
            await asyncio.sleep(0)
        assert os.read(good, 1000) == b"y" * 100
        assert stuck.writer.queued > 900_000 and fine.writer.queued == 0
        stuck.writer.close(), fine.writer.close()
        os.close(deaf), os.close(good)

    run(main())


@posix
def test_the_queue_counts_what_has_not_left_and_says_when_it_is_low_again() -> None:
    async def main() -> None:
        theirs, ours = os.pipe()
        mouth, low = Mouth(ours), []  # type: Mouth, list[int]
        mouth.writer.low_water = 100_000
        mouth.writer.on_drained = lambda: low.append(mouth.writer.queued)
        mouth.writer.send(b"small")
        await asyncio.sleep(0.01)
        assert low == [] and os.read(theirs, 100) == b"small"
        mouth.writer.send(b"x" * 1_000_000)
        assert mouth.writer.queued == 1_000_000
        total = 0
        while total < 1_000_000:
            if mouth.writer.queued > 100_000:
                assert low == []
            total += len(sip(theirs))
            await asyncio.sleep(0.001)
        await until(lambda: low)
        assert len(low) == 1 and low[0] <= 100_000
        mouth.writer.close()
        os.close(theirs)

    run(main())


@posix
@pytest.mark.parametrize("size", [10, JOINED * 20], ids=["at once", "while it waits for room"])
def test_a_peer_that_is_gone_is_told_once_from_the_loop_and_later_sends_are_dropped(size: int) -> None:
    async def main() -> None:
        theirs, ours = os.pipe()
        mouth = Mouth(ours)
        if size > 10:
            mouth.writer.send(b"x" * size)
            await asyncio.sleep(0.01)
        os.close(theirs)
        mouth.writer.send(b"x" * size)
        mouth.outbox.flush()
        assert mouth.errors == []
        await until(lambda: mouth.errors)
        mouth.writer.send(b"more")
        await asyncio.sleep(0.01)
        assert [error.errno for error in mouth.errors] == [errno.EPIPE]
        assert (mouth.writer.queued, mouth.writer.closed) == (0, True)
        with pytest.raises(OSError):
            os.fstat(ours)

    run(main())


@posix
def test_close_when_flushed_waits_for_a_slow_reader_and_then_ends_the_stream() -> None:
    async def main() -> None:
        theirs, ours = os.pipe()
        mouth = Mouth(ours)
        mouth.writer.send(b"x" * 200_000)
        mouth.writer.close_when_flushed()
        mouth.writer.send(b"never")
        ear = Ear(theirs)
        await until(lambda: ear.ended)
        assert ear.heard == b"x" * 200_000

    run(main())


@posix
def test_a_shared_description_is_left_blocking_as_it_was() -> None:
    async def main() -> None:
        theirs, ours = os.pipe()
        shared = os.dup(ours)
        mouth = Mouth(ours)
        assert not os.get_blocking(shared)
        mouth.writer.close()
        assert os.get_blocking(shared)
        os.close(theirs), os.close(shared)

    run(main())


def test_a_regular_file_is_written_by_a_thread_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        fd = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
        mouth, drained = Mouth(fd), []  # type: Mouth, list[bool]
        mouth.writer.low_water = 0
        mouth.writer.on_drained = lambda: drained.append(True)
        for number in range(1_000):
            mouth.writer.send(b"%d\n" % number)
            if number % 100 == 0:
                await asyncio.sleep(0)
        await until(lambda: drained and not mouth.writer.queued)
        mouth.writer.send(b"end\n")
        mouth.writer.close_when_flushed()
        await until(lambda: (tmp_path / "out").read_bytes().endswith(b"end\n"))
        assert (tmp_path / "out").read_bytes() == b"".join(b"%d\n" % n for n in range(1_000)) + b"end\n"
        assert mouth.errors == []

    run(main())


@linux
def test_a_full_disk_is_told_like_a_lost_peer() -> None:
    async def main() -> None:
        mouth = Mouth(os.open("/dev/full", os.O_WRONLY))
        mouth.writer.send(b"x")
        await until(lambda: mouth.errors)
        assert mouth.errors[0].errno == errno.ENOSPC
        mouth.writer.send(b"x")
        mouth.writer.close()

    run(main())


@posix
def test_a_terminal_is_written_by_a_thread_and_its_flags_are_left_alone() -> None:
    async def main() -> None:
        master, slave = os.openpty()
        shared = os.dup(slave)
        mouth = Mouth(slave)
        assert os.get_blocking(shared)
        mouth.writer.send(b"hello")
        ear = Ear(master)
        await until(lambda: ear.heard == b"hello")
        mouth.writer.close()
        os.close(shared)
        await until(lambda: ear.ended)

    run(main())


@linux
def test_no_descriptor_is_left_behind() -> None:
    async def main() -> None:
        before = open_fds()
        for number in range(50):
            theirs, ours = os.pipe()
            ear, mouth = Ear(theirs), Mouth(ours)
            mouth.writer.send(b"x" * (10 if number % 2 else 500_000))
            await asyncio.sleep(0)
            if number % 3:
                ear.reader.close()
                await asyncio.sleep(0)
            mouth.writer.close()
            await until(lambda ear=ear: ear.reader.closed)  # type: ignore[misc]
        assert open_fds() == before

    run(main())
