"""Hook commands, run in sessions of their own, with limits on time and words.

Rule 1: a hook is over when its command exits, not when its pipes end: what it left in the background keeps running
        (as with 0.1.0) until the gateway ends, and then is ended too.
Rule 2: at its time limit, past its words, cancelled, or at `Shell.close`, a hook is killed with all that it started.
Rule 3: hooks run side by side, but only so many: the others wait for their turn, in order. Their time begins when
        they are started. Those that nobody waits for have turns of their own. Nothing here waits in a thread.
Rule 4: a hook for which the system has no room is tried again when another has ended, and fails if none runs.
"""
from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from .children import Child, Died, Keeper
from .pipeline.chain import SHUTTING_DOWN, HookRun, Program
from .pipes import Outbox, Reader, Writer
from .resident import FAULTS, WAIT_SECS, Resident, is_scarce, not_started, without_a_turn, words
from .slot import Slot

MOST_WORDS = 65_536
"""Bytes on standard output, and on standard error; on the first as many more as four times what the hook was given,
because what it writes may be that, changed and spelt out."""
MOST_AT_ONCE, MOST_ASIDE = 32, 16
"""Commands that run at the same time: those that a call waits for, and those that none waits for. Each takes four
descriptors of ours; some systems give a program no more than 256."""
THREADED_SECS = 0.1
"""How long the last words of a hook may take where a thread reads its pipes (Windows)."""
LINGER_SECS = 1.0
"""How often we look whether what hooks left in the background is still there."""


class Shell:
    """Runs hooks with the environment of the gateway, in its working directory unless they have their own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, keeper: Keeper, environ: Mapping[str, str]) -> None:
        self._loop, self._keeper, self._environ = loop, keeper, environ
        self._running: set[_Hook] = set()
        self._residents: dict[tuple[str | tuple[str, ...], str, str], Resident] = {}
        self._turns, self._aside = Turns(loop, MOST_AT_ONCE), Turns(loop, MOST_ASIDE)
        self._lingering: list[Child] = []
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def run(self, program: Program, payload: bytes, limit_secs: float) -> HookRun:
        """Run `program` with `payload` on its standard input; waits in a `Slot`, raises nothing but `Cancelled`."""
        if self._closed:
            return HookRun(-1, "", "", SHUTTING_DOWN, unjudged=True)
        most = max(MOST_WORDS, 4 * len(payload))
        if program.stays:
            return await self._resident(program).ask(payload, limit_secs, most)
        turns, patience = self._aside if program.aside else self._turns, WAIT_SECS + limit_secs
        end, again = self._loop.time() + patience, False
        while True:
            lost = await turns.take(patience, end, again)
            if lost is not None:
                return lost
            try:
                child = self._start(program, lambda exit_code: hook.exited(exit_code))
                break
            except FAULTS as error:
                if not is_scarce(error) or turns.taken == 1:
                    turns.give_back()
                    return not_started(error)
                again = True
        try:
            turns.go_on()
            hook = _Hook(self._loop, child, payload, limit_secs, most, self._over)
        except BaseException:
            child.kill()
            turns.give_back()
            raise
        self._running.add(hook)
        try:
            return await hook.slot
        except BaseException:
            hook.fail("cancelled")
            raise
        finally:
            turns.give_back()

    def close(self) -> None:
        """Kill what runs, and what was left in the background; later runs fail at once."""
        self._closed = True
        for hook in list(self._running):
            hook.fail(SHUTTING_DOWN)
        for resident in self._residents.values():
            resident.close()
        for turns in (self._turns, self._aside):
            turns.close()
        self._look()
        for child in self._lingering:
            child.kill()

    def _resident(self, program: Program) -> Resident:
        key = program.command, program.cwd, program.shell
        resident = self._residents.get(key)
        if resident is None:
            start = partial(self._start, program)
            resident = self._residents[key] = Resident(self._loop, start, self._linger)
        return resident

    def _start(self, program: Program, on_exit: Died) -> Child:
        env = {**self._environ, **program.env}
        if program.without:
            env = {name: value for name, value in env.items() if not name.startswith(program.without)}
        argv = self._argv(program)
        return Child(self._loop, self._keeper, argv, env=env, cwd=program.cwd or None, on_exit=on_exit)

    def _argv(self, program: Program) -> list[str] | str:
        command = program.command
        if not isinstance(command, str):
            return list(command)
        if program.shell == "bash":
            return ["bash", "-c", command]
        windows = sys.platform == "win32"
        if program.shell == "powershell":
            return ["powershell" if windows else "pwsh", "-NoProfile", "-NonInteractive", "-Command", command]
        if windows:
            return f'{self._environ.get("COMSPEC", "cmd.exe")} /d /s /c "{command}"'
        return ["/bin/sh", "-c", command]

    def _over(self, hook: _Hook) -> None:
        """The command of a hook has ended."""
        self._running.discard(hook)
        self._linger(hook.child)

    def _linger(self, child: Child) -> None:
        """What this process has left in the background may go on."""
        if child.let_go():
            self._lingering.append(child)
            if self._timer is None:
                self._timer = self._loop.call_later(LINGER_SECS, self._look)

    def _look(self) -> None:
        """Forget who has gone from the background: the group's number may soon be somebody else's."""
        if self._timer is not None:
            self._timer.cancel()
        self._lingering = [child for child in self._lingering if child.let_go()]
        self._timer = self._loop.call_later(LINGER_SECS, self._look) if self._lingering else None


class Turns:
    """Lets at most `most` run at once, in the order in which they came. `taken` counts those who have their turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        self._loop, self._most = loop, most
        self._waiting: deque[Slot[HookRun | None]] = deque()
        """Settled with None for who has its turn. Who waits no more is settled, too, and passed over."""
        self.taken = 0

    async def take(self, patience: float, end: float, again: bool) -> HookRun | None:
        """Wait for a turn until the time `end`, `patience` seconds from when the waiting began; what comes of the hook
        that got none, or None. `again`: give the turn back that could not be used, and be the next when one ends."""
        if not again and not self._waiting and self.taken < self._most:
            self.taken += 1
            return None
        slot: Slot[HookRun | None] = Slot()
        if again:
            self.taken -= 1
            self._waiting.appendleft(slot)
        else:
            self._waiting.append(slot)
        timer = self._loop.call_at(end, slot.settle, without_a_turn(patience))
        try:
            return await slot
        except BaseException:
            if slot.settled and slot.value is None:
                self.give_back()
            slot.settle(HookRun(-1, "", "", "cancelled"))
            raise
        finally:
            timer.cancel()

    def give_back(self) -> None:
        """A turn is over; the next has it."""
        self.taken -= 1
        self.go_on()

    def go_on(self) -> None:
        """Let the next have its turn, if there is one left: there was room for another, or is now."""
        if self._waiting and self.taken < self._most:
            self._loop.call_soon(self._pass_on)  # in a turn of its own: it may start and fail at once, and so on

    def close(self) -> None:
        """Nobody has a turn any more."""
        while self._waiting:
            self._waiting.popleft().settle(HookRun(-1, "", "", SHUTTING_DOWN, unjudged=True))

    def _pass_on(self) -> None:
        while self._waiting and self.taken < self._most:
            slot = self._waiting.popleft()
            if not slot.settled:
                self.taken += 1
                slot.settle(None)
                return


class _Hook:
    """One run. `slot` is settled once: by the exit, or by whatever breaks it off."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, child: Child, payload: bytes, limit_secs: float, most: int,
        over: Callable[[_Hook], None],
    ) -> None:
        self.slot: Slot[HookRun] = Slot()
        self.child = child
        self._loop, self._over = loop, over
        outbox = Outbox(loop)
        self._input = Writer(loop, child.stdin, outbox, lambda error: None)  # a hook need not read
        self._output = _Words(self, loop, child.stdout, outbox, "output", most)
        self._errors = _Words(self, loop, child.stderr, outbox, "error", MOST_WORDS)
        self._timer = loop.call_later(limit_secs, self.fail, f"timed out after {limit_secs:g} s")
        self._input.send(payload)
        self._input.close_when_flushed()

    def exited(self, exit_code: int) -> None:
        """The command has ended; what it said is in the pipes, if it did not leave them yet."""
        if self._output.reader.threaded:
            self._loop.call_later(THREADED_SECS, self._end, exit_code)
        else:
            self._end(exit_code)

    def fail(self, why: str) -> None:
        """Break off: kill the command with all that it started. Nothing happens to a run that is settled."""
        if not self.slot.settled:
            self.child.kill()
            out, errors = self._output.words()[0], self._errors.words()[0]
            self._settle(HookRun(-1, out, errors, why, unjudged=why == SHUTTING_DOWN))

    def _end(self, exit_code: int) -> None:
        self._output.reader.drain()
        self._errors.reader.drain()
        if not self.slot.settled:
            text, garbled = self._output.words()
            self._settle(HookRun(exit_code, text, self._errors.words()[0], garbled=garbled))
        self._over(self)

    def _settle(self, run: HookRun) -> None:
        self._timer.cancel()
        self._input.close()
        self._output.reader.close()
        self._errors.reader.close()
        self.slot.settle(run)


class _Words:
    """What a hook says on one of its pipes."""

    def __init__(
        self, hook: _Hook, loop: asyncio.AbstractEventLoop, fd: int, outbox: Outbox, name: str, most: int
    ) -> None:
        self._hook, self._name, self._most = hook, name, most
        self._chunks: list[bytes] = []
        self._size = 0
        self.reader = Reader(loop, fd, self._take, lambda: None, outbox)

    def words(self) -> tuple[str, bool]:
        return words(b"".join(self._chunks))

    def _take(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._most:
            self._hook.fail(f"wrote more than {self._most} bytes to its standard {self._name}")
        else:
            self._chunks.append(chunk)
