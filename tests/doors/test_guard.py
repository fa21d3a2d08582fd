"""The guard: what is left when the gateway was killed, and what is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit import alive, processes_left, wait_gone
from kit.host import ROOT
from shack_gateway import children
from shack_gateway.downstream.guard import Guard

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="processes are looked up in /proc; macOS has groups only, Windows no guard"
)

GATEWAY = """
import asyncio, os, sys
from shack_gateway.downstream.guard import Guard
from shack_gateway.downstream.process import Launch, start
from shack_gateway.pipes import Outbox

async def main():
    loop, guard = asyncio.get_running_loop(), Guard(os.environ)
    servers = []
    for code in sys.argv[1:]:
        heard = asyncio.Event()
        launch = Launch("s", sys.executable, ("-S", "-c", code), os.environ, "/")
        server = start(launch, loop, guard, lambda code: None, print)
        server.connect(Outbox(loop), lambda chunk: heard.set(), lambda: None, print)
        servers.append(server)
        await heard.wait()
    print("up", guard.pid, *(server.pid for server in servers), flush=True)
    while (line := await loop.run_in_executor(None, sys.stdin.readline)):
        if line == "close\\n":
            guard.close()
            print("closed", flush=True)
        elif line == "again\\n":
            guard.watch(servers[0].pid)
            print("guard", guard.pid, flush=True)
asyncio.run(main())
"""
SERVER = """
import os, signal, subprocess, sys, time
def grandchild(code, **more):
    child = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, **more)
    child.stdout.read(1)
POLITE = "import os, time; os.write(1, b'1'); time.sleep(600)"
STUBBORN = "import os, signal, time; signal.signal(15, signal.SIG_IGN); os.write(1, b'1'); time.sleep(600)"
"""
POLITE = "import os, sys; os.write(1, b'1'); sys.stdin.read()"
STUBBORN = "import os, signal, time; signal.signal(15, signal.SIG_IGN); os.write(1, b'1'); time.sleep(600)"
FAMILY = (
    SERVER
    + """
grandchild(POLITE); grandchild(STUBBORN)
grandchild(POLITE, start_new_session=True); grandchild(STUBBORN, start_new_session=True)
signal.signal(15, signal.SIG_IGN); os.write(1, b'1'); time.sleep(600)
"""
)
ORPHANS = (
    SERVER
    + """
grandchild(STUBBORN); grandchild(STUBBORN, start_new_session=True); os.write(1, b'1'); sys.stdin.read()
"""
)


class Gateway:
    """A small program that starts servers as we do, and can be killed."""

    def __init__(self, marker: str, *servers: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(GATEWAY), *servers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SHACK_TEST_SCENE": marker},
            start_new_session=True,
            text=True,
        )
        word, *pids = self.answer()
        assert word == "up"
        self.guard, self.servers = int(pids[0]), list(map(int, pids[1:]))

    def answer(self) -> list[str]:
        assert self.process.stdout
        return self.process.stdout.readline().split()

    def ask(self, word: str) -> list[str]:
        assert self.process.stdin
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self.answer()

    def kill(self) -> None:
        """As the worst host does it: the whole group, at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def await_end(pid: int) -> None:
    end = time.monotonic() + 4
    while alive(pid):
        assert time.monotonic() < end, f"process {pid} is still there"
        time.sleep(0.01)


@pytest.fixture
def marker(tmp_path: Path) -> str:
    return str(tmp_path)


@pytest.fixture
def launch(marker: str) -> Iterator[Callable[..., Gateway]]:
    """Starts gateways; whatever they leave behind, for good or ill, is ended with the test."""
    started: list[Gateway] = []

    def one(*servers: str) -> Gateway:
        started.append(Gateway(marker, *servers))
        return started[-1]

    yield one
    for gateway in started:
        gateway.close()
    wait_gone(marker, 5)


@pytest.mark.parametrize(
    "servers",
    [(POLITE,), (STUBBORN,), (FAMILY,), (POLITE, FAMILY, ORPHANS, STUBBORN)],
    ids=["a polite server", "one that ignores TERM", "a family with daemons", "several"],
)
def test_after_the_gateway_was_killed_everything_is_gone(
    launch: Callable[..., Gateway], marker: str, servers: tuple[str, ...]
) -> None:
    gateway = launch(*servers)
    assert len(processes_left(marker)) > len(servers)
    gateway.kill()
    wait_gone(marker, 4)
    await_end(gateway.guard)


def test_the_guard_holds_nothing_of_ours_and_does_not_carry_the_mark(
    launch: Callable[..., Gateway], marker: str
) -> None:
    gateway = launch(POLITE)
    folder = f"/proc/{gateway.guard}"
    ends = {fd: os.readlink(f"{folder}/fd/{fd}") for fd in os.listdir(f"{folder}/fd")}
    assert ends.pop("0").startswith("pipe:")
    assert set(ends.values()) == {"/dev/null"}
    environ = Path(folder, "environ").read_bytes()
    assert children.MARK.encode() not in environ and marker.encode() not in environ
    assert os.readlink(f"{folder}/cwd") == "/"
    assert os.getsid(gateway.guard) == gateway.guard
    assert children.MARK in Path(f"/proc/{gateway.servers[0]}/environ").read_text()


def test_the_guard_stays_when_signals_meant_for_the_gateway_reach_it(
    launch: Callable[..., Gateway], marker: str
) -> None:
    gateway = launch(STUBBORN)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(gateway.guard, number)
    gateway.kill()
    wait_gone(marker, 4)


def test_a_lost_guard_is_replaced_and_told_all(launch: Callable[..., Gateway], marker: str) -> None:
    gateway = launch(STUBBORN, FAMILY)
    os.kill(gateway.guard, signal.SIGKILL)
    await_end(gateway.guard)
    word, pid = gateway.ask("again")
    assert word == "guard" and int(pid) != gateway.guard and alive(int(pid))
    gateway.kill()
    wait_gone(marker, 4)


def test_close_ends_what_is_left_and_the_guard(launch: Callable[..., Gateway], marker: str) -> None:
    gateway = launch(FAMILY, ORPHANS)
    assert gateway.ask("close") == ["closed"]
    assert not os.path.exists(f"/proc/{gateway.guard}")  # reaped, too
    assert gateway.ask("close") == ["closed"]
    gateway.kill()  # nobody is left now who could end anything
    wait_gone(marker, 1)


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "600"], start_new_session=True)


def test_a_group_that_was_forgotten_is_left_alone() -> None:
    guard = Guard(os.environ)
    kept, dropped, unknown = sleeper(), sleeper(), sleeper()
    try:
        for popen in (kept, dropped):
            guard.watch(popen.pid)
        guard.forget(dropped.pid)
        guard.forget(unknown.pid)
        guard.close()
        assert kept.wait(5) == -signal.SIGKILL
        assert dropped.poll() is None and unknown.poll() is None
    finally:
        for popen in (kept, dropped, unknown):
            popen.kill()
            popen.wait()


def test_a_group_that_was_forgotten_is_left_alone_by_the_shell_too() -> None:
    """As above, but the gateway is killed; numbers that are the beginning or end of others must not be mixed up."""
    guard = Guard(os.environ)
    watched = [sleeper() for _ in range(12)]
    for popen in watched:
        guard.watch(popen.pid)
    for popen in watched[::2]:
        guard.forget(popen.pid)
    try:
        # Our end of the pipe closes without a farewell, as at a kill.
        os.close(guard._pipe)
        assert guard._shell is not None and guard._shell.wait(5) == 0
        assert [popen.wait(5) for popen in watched[1::2]] == [-signal.SIGTERM] * 6
        assert [popen.poll() for popen in watched[::2]] == [None] * 6
    finally:
        for popen in watched:
            popen.kill()
            popen.wait()


def test_a_new_guard_knows_the_groups_of_the_lost_one() -> None:
    guard = Guard(os.environ)
    old, new = sleeper(), sleeper()
    try:
        guard.watch(old.pid)
        lost = guard.pid
        assert lost
        os.kill(lost, signal.SIGKILL)
        await_end(lost)
        guard.watch(new.pid)
        os.close(guard._pipe)
        assert [popen.wait(5) for popen in (old, new)] == [-signal.SIGTERM] * 2
        assert guard._shell is not None and guard._shell.wait(5) == 0
    finally:
        for popen in (old, new):
            popen.kill()
            popen.wait()


def test_a_guard_that_was_never_needed_costs_no_process_and_after_close_nothing_starts() -> None:
    guard = Guard(os.environ)
    guard.tag()
    assert guard.pid is None
    guard.close()
    guard.watch(os.getpid())
    guard.forget(1)
    guard.close()
    assert guard.pid is None and guard.problem == ""
