"""A child process in a session of its own, watched to its end, and ended with everything it started.

Rule 1: what the systems do differently with processes is written here and in `downstream/guard.py` only.
Rule 2: a death is noticed by waiting for the process, never by the end of a pipe: a grandchild may hold that open.
Rule 3: we wait for our own children only, each by its id; children that others in this program start stay theirs.
Rule 4: what belongs to a child: its process group and, on Linux, whatever carries its mark in the environment, which
        finds those who left the group (daemons). Who also wipes its environment is not found; macOS has the group only.
"""
from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

MARK = "SHACK_GATEWAY_GUARD"
"""Name of the environment variable that every child, and what it starts, carries."""
TERM = signal.SIGTERM
MERCY_SECS = 1.0
"""Between TERM and KILL for what a dead child has left behind."""
GIVE_UP_SECS = 3.0
"""After KILL; what is still there then waits for the machine, not for us."""
SECOND_LOOK_SECS = 0.02
"""Between two looks for what carries the mark. One empty look proves nothing about daemons that start another as they
go: the heir may have been born behind the look, or be unreadable in the middle of its `exec`."""

if sys.platform == "win32":
    KILL = signal.SIGTERM
    _SESSION: dict[str, Any] = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
else:
    KILL = signal.SIGKILL
    _SESSION: dict[str, Any] = {"start_new_session": True}

Died = Callable[[int], None]


class Keeper(Protocol):
    """What a child needs of the guard."""

    def tag(self) -> str:
        """A value for the mark that nobody else has and nobody can guess."""

    def watch(self, pgid: int) -> None:
        """End this group should we be killed."""

    def forget(self, pgid: int) -> None:
        """The group is no more."""


class Child:
    """One running process. `returncode` is None while it lives, negative when a signal ended it.

    `stdin`, `stdout` and `stderr` are our ends of its pipes; they belong to whoever made the child.
    `on_exit(returncode)` is called once, from the loop; whoever made the child then calls `end_rest` or `let_go`.
    Raises `OSError` or `ValueError` where the process cannot be started.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, keeper: Keeper, argv: Sequence[str] | str, *, env: Mapping[str, str],
        cwd: str | None, on_exit: Died,
    ) -> None:
        tag = keeper.tag()
        ends = _three_pipes()
        theirs_in, self.stdin, self.stdout, theirs_out, self.stderr, theirs_err = ends
        try:
            popen = subprocess.Popen(
                argv, env={**env, MARK: tag}, cwd=cwd, stdin=theirs_in, stdout=theirs_out, stderr=theirs_err, **_SESSION
            )
        except BaseException:
            _close(*ends)
            raise
        _close(theirs_in, theirs_out, theirs_err)
        keeper.watch(popen.pid)
        self.pid = popen.pid
        self._loop, self._keeper, self._popen = loop, keeper, popen
        self._mark = f"{MARK}={tag}".encode() + b"\0"
        self._over = False
        self._strays: list[int] = []
        when_dead(loop, popen, on_exit)

    @property
    def returncode(self) -> int | None:
        """None while the process lives."""
        return self._popen.returncode

    def signal(self, number: int) -> None:
        """Signal the group, and what has left it; nothing once all of it is gone (the id may be somebody else's)."""
        if self._over:
            return
        if sys.platform == "win32":
            _taskkill(self._popen)
            return
        _signal_group(self.pid, number)
        self._strays = marked(self._mark, outside=self.pid)
        for pid in self._strays:
            _signal(pid, number)

    def kill(self) -> None:
        """KILL all of it; does not wait."""
        self.signal(KILL)

    def end_rest(self, on_gone: Callable[[], None]) -> None:
        """After the exit: end what the child has left behind (TERM, a moment, KILL), then call `on_gone`."""
        self._strays = marked(self._mark, outside=self.pid)
        if self._anything_left():
            self.signal(TERM)
            now = self._loop.time()
            end = now + MERCY_SECS + GIVE_UP_SECS
            self._loop.call_later(0.005, self._await_rest, on_gone, 0.01, now + MERCY_SECS, end, False)
        else:
            self._gone(on_gone)

    def let_go(self) -> bool:
        """After the exit: True while something of the group still runs; else the guard forgets it."""
        if group_alive(self.pid):
            return True
        self._over = True
        self._keeper.forget(self.pid)
        return False

    def _anything_left(self) -> bool:
        return group_alive(self.pid) or any(_carries(pid, self._mark) for pid in self._strays)

    def _await_rest(
        self, on_gone: Callable[[], None], pause: float, patience: float, end: float, looked: bool,
    ) -> None:
        """Look again after `pause`: a process that was signalled takes a moment to go, and nobody tells us when.

        `looked`: the last look found nobody; a second one that finds nobody either ends this.
        """
        now = self._loop.time()
        empty = False
        if not self._anything_left():
            # A stray may have started another before it went: that one is given no time, it could go on for ever.
            self._strays = marked(self._mark, outside=self.pid)
            empty = not self._strays
            patience = patience if empty else now
        if (empty and looked) or now >= end:
            self._gone(on_gone)
            return
        if empty:
            self._loop.call_later(SECOND_LOOK_SECS, self._await_rest, on_gone, pause, patience, end, True)
            return
        if now >= patience:
            self.kill()
            patience = end
        self._loop.call_later(pause, self._await_rest, on_gone, min(pause * 2, 0.1), patience, end, False)

    def _gone(self, on_gone: Callable[[], None]) -> None:
        self._over = True
        self._keeper.forget(self.pid)
        on_gone()


def marked(mark: bytes, *, outside: int = 0) -> list[int]:
    """The processes whose environment holds `mark`, but for this one and those of the group `outside`. Linux only.

    One look: see `SECOND_LOOK_SECS` for what it may miss.
    """
    if sys.platform != "linux":
        return []
    own = os.getpid()
    return [
        pid for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
        if pid != own and _carries(pid, mark) and not (outside and _group_of(pid) == outside)
    ]


def kill_marked(mark: bytes) -> None:
    """KILL whatever carries `mark`, until two looks in a row find nobody (but not for ever)."""
    empty = 0
    for _ in range(6):
        found = marked(mark)
        for pid in found:
            _signal(pid, KILL)
        empty = 0 if found else empty + 1
        if empty == 2 or sys.platform != "linux":
            return
        time.sleep(SECOND_LOOK_SECS)


def group_alive(pgid: int) -> bool:
    """True while the group has a member that is not a zombie."""
    if sys.platform == "win32":
        return False
    try:
        os.killpg(pgid, 0)
    except (ProcessLookupError, PermissionError):  # macOS refuses a group of zombies with EPERM
        return False
    if sys.platform != "linux":
        return True
    # Zombies count for `killpg`, and where process 1 reaps nobody (a container) they stay for ever.
    return any(_stat(name)[2:3] == [str(pgid)] and _stat(name)[0] not in "ZX"
               for name in filter(str.isdigit, os.listdir("/proc")))


def kill_group(pgid: int, number: int = KILL) -> None:
    """Signal a group that may be gone already."""
    if sys.platform != "win32":
        _signal_group(pgid, number)


def when_dead(loop: asyncio.AbstractEventLoop, popen: subprocess.Popen[bytes], died: Died) -> None:
    """Reap `popen` when it ends and call `died` from the loop, by the first way that this system has."""
    for way in WAYS:
        if way(loop, popen, died):
            return


def _by_pidfd(loop: asyncio.AbstractEventLoop, popen: subprocess.Popen[bytes], died: Died) -> bool:
    """Linux: a descriptor that becomes readable when the process ends."""
    if sys.platform != "linux":
        return False
    try:
        pidfd = os.pidfd_open(popen.pid)
    except (AttributeError, OSError):
        return False  # an old kernel or C library, a strict container, no descriptor left

    def ended() -> None:
        loop.remove_reader(pidfd)
        os.close(pidfd)
        died(popen.wait())

    loop.add_reader(pidfd, ended)
    return True


_BY_SIGNAL: dict[asyncio.AbstractEventLoop, dict[subprocess.Popen[bytes], Died]] = {}


def _by_sigchld(loop: asyncio.AbstractEventLoop, popen: subprocess.Popen[bytes], died: Died) -> bool:
    """POSIX, in the main thread: one signal handler that asks each of ours whether it was meant."""
    if sys.platform == "win32":
        return False
    waiting = _BY_SIGNAL.setdefault(loop, {})

    def look() -> None:
        for child in [c for c in waiting if c.poll() is not None]:
            told = waiting.pop(child)
            told(child.returncode)
        if not waiting and _BY_SIGNAL.pop(loop, None) is not None:
            loop.remove_signal_handler(signal.SIGCHLD)

    if not waiting:
        try:
            loop.add_signal_handler(signal.SIGCHLD, look)
        except (NotImplementedError, RuntimeError, ValueError):
            del _BY_SIGNAL[loop]
            return False
    waiting[popen] = died
    loop.call_soon(look)  # it may have ended before we listened
    return True


def _by_thread(loop: asyncio.AbstractEventLoop, popen: subprocess.Popen[bytes], died: Died) -> bool:
    """Everywhere else: a thread that waits."""

    def wait() -> None:
        returncode = popen.wait()
        try:
            loop.call_soon_threadsafe(died, returncode)
        except RuntimeError:
            pass  # the loop is closed: nobody is left to be told

    threading.Thread(target=wait, name=f"wait {popen.pid}", daemon=True).start()
    return True


WAYS = (_by_pidfd, _by_sigchld, _by_thread)


def _three_pipes() -> tuple[int, ...]:
    """Reading and writing ends of three pipes, inherited by nobody but the child that is given them."""
    ends: tuple[int, ...] = ()
    try:
        for _ in range(3):
            ends += os.pipe()
    except OSError:
        _close(*ends)
        raise
    return ends


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        pass  # gone meanwhile, or not ours to signal


def _signal_group(pgid: int, number: int) -> None:
    if sys.platform != "win32":
        try:
            os.killpg(pgid, number)
        except OSError:
            pass  # gone meanwhile, or not ours to signal


def _taskkill(popen: subprocess.Popen[bytes]) -> None:
    """Windows: the tree below `popen`; there is no softer way to end a program without a window."""
    if popen.poll() is not None:
        return
    try:
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(popen.pid)], check=False, timeout=5,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        popen.kill()


def _carries(pid: int, mark: bytes) -> bool:
    """True when the process lives and its environment holds `mark`."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            return mark in (file.readall() or b"")
    except OSError:
        return False  # gone, or somebody else's


def _group_of(pid: int) -> int:
    fields = _stat(str(pid))
    return int(fields[2]) if len(fields) > 2 else 0


def _stat(name: str) -> list[str]:
    """State, parent and group of process `name`; the fields after its command, which may hold anything."""
    try:
        with open(f"/proc/{name}/stat", "rb", buffering=0) as file:
            return file.read(1024).rpartition(b") ")[2].decode("ascii", "replace").split(None, 3)
    except OSError:
        return [""]
