"""One server as a process of its own: started, heard on standard error, watched, ended with everything it started.

Rule 1: `on_exit` comes from the death of the process, after all that it had written was delivered.
Rule 2: standard error is drained whatever comes: no newline for ever, binary, a flood. Only its tail is kept.
"""
from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Callable, Mapping

from ..children import GIVE_UP_SECS, MERCY_SECS, TERM, Child, Keeper
from ..errors import ServerUnavailable
from ..pipes import Outbox, Reader, Writer
from ..record import NamedTuple

MOST_PIECE = 1_048_576
"""Bytes of standard error without a newline that are taken for one line."""
TAIL = 16_384
"""Bytes of standard error that are kept to explain a death."""
STDERR_CHUNK = 16_384
STDERR_SHARE = 4
"""A server that floods its standard error gets every fourth moment of ours; the others need the rest."""
THREADED_SECS = 0.1
"""How long the last words of a dead server may take where a thread reads its pipes (Windows)."""


class Launch(NamedTuple):
    """What to start. `env` is the whole environment; the guard's mark is added to it."""

    server: str
    command: str
    args: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str


class Process:
    """A running server; made by `start`. `stdin` and `stdout` are there once `connect` was called."""

    def __init__(
        self, launch: Launch, loop: asyncio.AbstractEventLoop, keeper: Keeper, on_exit: Callable[[int], None],
        on_stderr: Callable[[str], None],
    ) -> None:
        self._loop, self._on_exit = loop, on_exit
        self._child = Child(loop, keeper, _argv(launch), env=launch.env, cwd=launch.cwd, on_exit=self._died)
        self.pid = self._child.pid
        self.stdin: Writer | None = None
        self.stdout: Reader | None = None
        self._words = _Words(on_stderr)
        self._stderr = Reader(loop, self._child.stderr, self._listen, self._words.end, Outbox(loop), STDERR_CHUNK)
        self._exited: asyncio.Future[None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        self._closing = False

    @property
    def returncode(self) -> int | None:
        """None while the server lives; negative when a signal ended it."""
        return self._child.returncode

    def connect(
        self, outbox: Outbox, on_bytes: Callable[[bytes], None], on_end: Callable[[], None],
        on_broken: Callable[[OSError], None],
    ) -> tuple[Writer, Reader]:
        """Take standard input and output into use: once, right after `start`. Both are closed with the process.

        `on_end` says that the server closed its output; it may live on, deaf and dumb: `close` it then.
        """
        self.stdin = Writer(self._loop, self._child.stdin, outbox, on_broken)
        self.stdout = Reader(self._loop, self._child.stdout, on_bytes, on_end, outbox)
        return self.stdin, self.stdout

    def stderr_tail(self) -> str:
        """The last lines on standard error, at most 16 KiB; decoded, not escaped."""
        return self._words.tail()

    async def close(self, eof_secs: float = 2.0, term_secs: float = 2.0) -> None:
        """End of input, TERM, KILL, with time between them; done when all that the server started is gone.

        Harmless twice: the second one waits for the first. Cancelled, it kills at once.
        """
        try:
            if not self._closing:
                self._closing = True
                self._pipes()[0].close_when_flushed()
                await self._leave(eof_secs, term_secs)
            await asyncio.wait([self._gone], timeout=eof_secs + term_secs + MERCY_SECS + GIVE_UP_SECS)
        except asyncio.CancelledError:
            self.kill()
            raise
        finally:
            self._release()

    def kill(self) -> None:
        """KILL the server and everything it started, without waiting."""
        self._child.kill()

    async def _leave(self, eof_secs: float, term_secs: float) -> None:
        await asyncio.wait([self._exited], timeout=eof_secs)
        if not self._exited.done():
            self._child.signal(TERM)
            await asyncio.wait([self._exited], timeout=term_secs)
        if not self._exited.done():
            self.kill()

    def _pipes(self) -> tuple[Writer, Reader]:
        """Input and output; heard by nobody when the process ends before it was connected."""
        if self.stdin is None or self.stdout is None:
            return self.connect(Outbox(self._loop), lambda chunk: None, lambda: None, lambda error: None)
        return self.stdin, self.stdout

    def _listen(self, chunk: bytes) -> None:
        began = self._loop.time()
        self._words.feed(chunk)
        spent = self._loop.time() - began
        if spent > 0.001:
            self._stderr.pause()
            self._loop.call_later(spent * (STDERR_SHARE - 1), self._stderr.resume)

    def _died(self, returncode: int) -> None:
        if self._stderr.threaded:
            self._loop.call_later(THREADED_SECS, self._bury, returncode)
        else:
            self._bury(returncode)

    def _bury(self, returncode: int) -> None:
        """Hear the last words, clear up, tell. What the server has left behind may still hold the other ends of the
        pipes: they stay open until it is gone, so that it can take its leave without dying of SIGPIPE."""
        stdin, stdout = self._pipes()
        try:
            self._stderr.drain()
            self._words.end()
            stdout.drain()
        finally:
            stdin.close()
            stdout.pause()
            self._child.end_rest(self._all_gone)
            if not self._exited.done():
                self._exited.set_result(None)
            self._on_exit(returncode)

    def _all_gone(self) -> None:
        self._stderr.drain()
        self._release()
        if not self._gone.done():
            self._gone.set_result(None)

    def _release(self) -> None:
        self._words.end()
        self._stderr.close()
        for pipe in self._pipes():
            pipe.close()


def start(
    launch: Launch, loop: asyncio.AbstractEventLoop, keeper: Keeper, on_exit: Callable[[int], None],
    on_stderr: Callable[[str], None],
) -> Process:
    """Start a server; raises `ServerUnavailable` when that cannot be done.

    `on_exit(returncode)` is called once, from the loop, within milliseconds of the death, also during `close`;
    `on_stderr(line)` with every line on standard error that is not blank: as it came, so escape before showing it.
    """
    try:
        return Process(launch, loop, keeper, on_exit, on_stderr)
    except (OSError, ValueError) as error:
        what, fix = _explain(launch, error)
        raise ServerUnavailable(launch.server, what, fix=fix) from error


class _Words:
    """Standard error cut into lines, and its tail."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._open: list[bytes] = []
        self._size = 0
        self._tail = b""

    def feed(self, chunk: bytes) -> None:
        self._tail = (self._tail + chunk)[-TAIL:]
        first, newline, rest = chunk.partition(b"\n")
        self._open.append(first)
        self._size += len(first)
        if newline or self._size >= MOST_PIECE:
            self.end()
        if newline:
            *lines, last = rest.split(b"\n")
            for line in lines:
                self._say(line)
            if last:
                self._open, self._size = [last], len(last)

    def end(self) -> None:
        """What is open is a line."""
        pieces, self._open, self._size = self._open, [], 0
        self._say(b"".join(pieces))

    def tail(self) -> str:
        text = self._tail.decode("utf-8", "replace")
        return text.partition("\n")[2] or text if len(self._tail) == TAIL else text

    def _say(self, line: bytes) -> None:
        text = line.decode("utf-8", "backslashreplace").strip("\r\n")
        if text and not text.isspace():
            self._on_line(text)


def _argv(launch: Launch) -> list[str]:
    command = launch.command
    if sys.platform == "win32":
        command = find_windows(command, launch.env, os.path.isfile)
    return [command, *launch.args]


def find_windows(command: str, env: Mapping[str, str], is_file: Callable[[str], bool]) -> str:
    """`npx` as the file that it is (`C:\\...\\npx.cmd`): Windows itself finds `.exe` only. Not found: as it stands."""
    if "/" in command or "\\" in command:
        folders = [""]
    else:
        folders = [folder.rstrip("\\") + "\\" for folder in env.get("PATH", env.get("Path", "")).split(";") if folder]
    endings = env.get("PATHEXT", ".COM;.EXE;.BAT;.CMD").split(";")
    if any(command.lower().endswith(ending.lower()) for ending in endings if ending):
        endings = [""]
    for folder in folders:
        for ending in endings:
            if is_file(folder + command + ending):
                return folder + command + ending
    return command


def _explain(launch: Launch, error: OSError | ValueError) -> tuple[str, str]:
    """What is wrong and how to mend it, in the words of the configuration."""
    at = f"`servers.{launch.server}"
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOENT, errno.ENOTDIR) and not os.path.isdir(launch.cwd):
        return f"its working directory `{launch.cwd}` does not exist.", f"Create it, or correct {at}.cwd`."
    if number in (errno.ENOENT, errno.ENOTDIR):
        if os.path.dirname(launch.command):
            return (f"the command `{launch.command}` was not found, or the interpreter in its first line was not.",
                    f"Correct {at}.command`.")
        return (f"the command `{launch.command}` was not found on the PATH.",
                f"Install it, or give its full path in {at}.command`; the PATH can be set in {at}.env`.")
    if number in (errno.EACCES, errno.EPERM):
        return (f"the command `{launch.command}` (or the working directory `{launch.cwd}`) may not be used: "
                "permission denied.", f"Make it executable, or correct {at}.command`.")
    if number == errno.ENOEXEC:
        return (f"the command `{launch.command}` is no program.",
                "Give it a first line like `#!/bin/sh`, or call its interpreter with the file as the first argument.")
    if isinstance(error, OSError):
        return f"the command `{launch.command}` could not be started: {os.strerror(number or 0)}.", ""
    return "its command, arguments, environment or working directory hold characters that no program can be given " \
           f"({error}).", f"Correct {at}`."
