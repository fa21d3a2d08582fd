"""The processes under measurement, spoken to over bare pipes: a server directly, or a gateway in front of servers.

Rule 1: nothing between the clock and the pipe but `os.read` and `os.write`; what was read is judged after the clock.
Rule 2: CPU time is that of one process, children left out, by the kernel's own clock of it and not its 10 ms ticks.
Linux only: CPU clocks of other processes and memory figures come from the kernel in Linux' own way.
"""
from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SERVER = os.path.join(HERE, "echo_server.py")
AT_ONCE = 262_144
META = "io.modelcontextprotocol/"
STATELESS_META = {META + "protocolVersion": "2026-07-28", META + "clientCapabilities": {}}
_ID = re.compile(rb'"id" ?: ?(\d{9})\b')


class Failure(Exception):
    """The other side ended, was silent for too long, or answered something else than it should."""


class Peer:
    """One process that reads and writes one JSON-RPC message a line. Ids are nine digits, each used once."""

    def __init__(self, argv: Sequence[str], cwd: str, environ: Mapping[str, str]) -> None:
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            argv, bufsize=0, cwd=cwd, env=dict(environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.pid = self.process.pid
        self.into, self.out = self.process.stdin.fileno(), self.process.stdout.fileno()
        self._rest = b""
        self._next = 100_000_000

    # ---- talking, one message at a time: for setting up and for judging -------------------------------------

    def ids(self, count: int) -> range:
        """`count` request ids that were not used before."""
        self._next += count
        return range(self._next - count, self._next)

    def send(self, data: bytes) -> None:
        try:
            written = os.write(self.into, data)
            while written < len(data):
                written += os.write(self.into, memoryview(data)[written:])
        except BrokenPipeError:
            raise Failure("it no longer reads") from None

    def read(self) -> bytes:
        chunk = os.read(self.out, AT_ONCE)
        if not chunk:
            raise Failure("it ended, or was ended after a long silence")
        return chunk

    def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result of one request; notifications that come before it are skipped."""
        (call_id,) = self.ids(1)
        message = {"jsonrpc": "2.0", "id": call_id, "method": method, "params": params or {}}
        self.send(json.dumps(message).encode() + b"\n")
        pieces = [self._rest]
        while True:
            while b"\n" not in pieces[-1]:
                pieces.append(self.read())
            line, _, self._rest = b"".join(pieces).partition(b"\n")
            answer = json.loads(line)
            if answer.get("id") == call_id:
                return _result(answer, method)
            pieces = [self._rest]

    def once(self, request: bytes, call_id: int) -> float:
        """Seconds until `request` is answered; answers to other calls that come meanwhile are kept."""
        start = time.perf_counter()
        self.send(request)
        line = self.answer_to(call_id)
        took = time.perf_counter() - start
        if b'"error"' in line:
            raise Failure(f"it answered {line[:200]!r}")
        return took

    def answer_to(self, call_id: int) -> bytes:
        """The line that carries this id, kept or still to come."""
        mark = b"%d" % call_id
        while True:
            for line in self._rest.splitlines(keepends=True):
                if mark in line and line.endswith(b"\n"):
                    self._rest = self._rest.replace(line, b"", 1)
                    return line
            self._rest += self.read()

    def initialize(self) -> None:
        """Greet as a host of the handshake era."""
        self.ask("initialize", {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"},
        })
        self.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')

    def tools(self, least: int, patience: float = 20.0) -> list[str]:
        """The names of the tools, asked for until there are at least `least` of them."""
        end = time.monotonic() + patience
        while True:
            names = [tool["name"] for tool in self.ask("tools/list")["tools"]]
            if len(names) >= least:
                return names
            if time.monotonic() > end:
                raise Failure(f"it lists {len(names)} of {least} tools")
            time.sleep(0.005)

    def settle(self, silence: float = 0.2) -> None:
        """Read whatever still comes by itself, until nothing does."""
        while select.select([self.out], [], [], silence)[0]:
            self.read()
        self._rest = b""

    # ---- what it costs ----------------------------------------------------------------------------------------

    def cpu(self) -> float:
        """CPU seconds of this process so far, all its threads, none of its children."""
        return cpu_of(self.pid)

    def tree_cpu(self) -> float:
        """CPU seconds so far of this process and of those that it started and that still run."""
        return sum(cpu_of(pid) for pid in [self.pid, *_below(self.pid)])

    def memory(self, key: str) -> int:
        """`VmRSS` (now) or `VmHWM` (the peak so far), in bytes."""
        with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(key + ":"))

    # ---- its end ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Kills the process when the block takes longer, so that no read waits for ever."""
        timer = threading.Timer(seconds, self.kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """End it the way a host does: close its stdin and wait; kill it when that does not help."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        with self.within(10):
            with contextlib.suppress(OSError):
                while os.read(self.out, AT_ONCE):
                    pass
            self.process.wait()
        self.process.stdout.close()


class Block(NamedTuple):
    """What some calls took: seconds on the clock, CPU seconds of the peers and of everybody, each call's time."""

    seconds: float
    cpu: float
    total_cpu: float
    each: list[float]


def one_by_one(peer: Peer, requests: Sequence[bytes], ids: Sequence[int]) -> Block:
    """Each request when the one before is answered."""
    marks = [b"%d" % call_id for call_id in ids]
    into, out, read, write, clock = peer.into, peer.out, os.read, os.write, time.perf_counter
    each: list[float] = []
    answers: list[bytes] = []
    before, tree, own = peer.cpu(), peer.tree_cpu(), time.process_time()
    begun = clock()
    for request, mark in zip(requests, marks):
        start = clock()
        written = write(into, request)
        if written < len(request):
            peer.send(request[written:])
        answer = read(out, AT_ONCE)
        if answer[-1:] != b"\n" or mark not in answer:
            answer = _rest_of(peer, answer, mark)
        each.append(clock() - start)
        answers.append(answer)
    seconds = clock() - begun
    total = peer.tree_cpu() - tree + time.process_time() - own
    block = Block(seconds, peer.cpu() - before, total, each)
    _judge(b"".join(answers), ids)
    return block


def many_at_once(peers: Sequence[Peer], requests: Sequence[bytes], ids: Sequence[int], window: int) -> Block:
    """`window` requests on their way at any time, dealt out over `peers` in turn; one write per read."""
    count = len(peers)
    queues = [list(requests[n::count]) for n in range(count)]
    sent = [window // count] * count
    chunks: list[list[bytes]] = [[] for _ in peers]
    poll = select.poll()
    numbers = {peer.out: n for n, peer in enumerate(peers)}
    for peer in peers:
        poll.register(peer.out, select.POLLIN | select.POLLHUP)
    missing = len(requests)
    cpu, tree, own = sum(p.cpu() for p in peers), sum(p.tree_cpu() for p in peers), time.process_time()
    begun = time.perf_counter()
    for peer, queue in zip(peers, queues):
        os.write(peer.into, b"".join(queue[: window // count]))
    while missing > 0:
        ready = poll.poll() if count > 1 else [(peers[0].out, 0)]
        for descriptor, _ in ready:
            n = numbers[descriptor]
            chunk = peers[n].read()
            chunks[n].append(chunk)
            lines = chunk.count(b"\n")
            missing -= lines
            if sent[n] < len(queues[n]):
                os.write(peers[n].into, b"".join(queues[n][sent[n] : sent[n] + lines]))
                sent[n] += lines
    seconds = time.perf_counter() - begun
    total = sum(p.tree_cpu() for p in peers) - tree + time.process_time() - own
    block = Block(seconds, sum(p.cpu() for p in peers) - cpu, total, [])
    _judge(b"".join(b"".join(part) for part in chunks), ids)
    return block


def _rest_of(peer: Peer, answer: bytes, mark: bytes) -> bytes:
    """The answer that came in pieces or behind a notification, whole."""
    pieces = [answer]
    seen = mark in answer
    while not (seen and pieces[-1].endswith(b"\n")):
        pieces.append(peer.read())
        # An id may lie across two pieces: look at the seam too.
        seen = seen or mark in pieces[-2][-16:] + pieces[-1]
    return b"".join(pieces)


def _judge(answers: bytes, ids: Sequence[int]) -> None:
    """Every id answered exactly once, with a result and not with an error."""
    if len(answers) > 50 * AT_ONCE:
        return  # the marks were seen; a regular expression over tens of megabytes says no more
    found = sorted(int(mark) for mark in _ID.findall(answers))
    if found != sorted(ids):
        raise Failure(f"{len(found)} answers to {len(ids)} calls")
    if b'"error"' in answers or b'"isError":true' in answers:
        line = next(line for line in answers.split(b"\n") if b'"error"' in line or b'"isError":true' in line)
        raise Failure(f"it answered {line[:200]!r}")


def _result(answer: dict[str, Any], method: str) -> dict[str, Any]:
    if "result" not in answer:
        raise Failure(f"{method}: {str(answer.get('error'))[:200]}")
    result: dict[str, Any] = answer["result"]
    return result


def cpu_of(pid: int) -> float:
    """CPU seconds of process `pid`; 0 when it is gone."""
    try:
        # What clock_getcpuclockid(3) gives: the complement of the number, and 2 for the scheduler's clock.
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _below(pid: int) -> list[int]:
    """The processes below `pid`."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:
                parents.setdefault(int(stat.read().rpartition(b")")[2].split()[1]), []).append(int(name))
    found = list(parents.get(pid, ()))
    for child in found:
        found += parents.get(child, ())
    return found


def server_argv(*options: str) -> list[str]:
    """The command of an echo server; without site-packages, as it needs none."""
    return [sys.executable, "-I", "-S", SERVER, *options]
