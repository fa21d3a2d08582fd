"""One hook of one event is run: which program that is, whether it is meant, and what came of it.  Pure.

Rule 1: a hook that cannot be judged to be meant is run.
Rule 2: what failed is said in the log, whether the call goes on or not.
Rule 3: where the gateway is why a hook has not judged (it ends, or has no room), the call is blocked: even where a hook
        may fail.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

from ...errors import clip
from ...record import NamedTuple
from ...slot import Drive
from ..call import Call
from ..chain import SHUTTING_DOWN, HookRun, Ports, Program
from .handlers import DOCKER, FAILURE, STDIO, Handler
from .said import Said, bare, read, read_interceptor

FOLDER = "CLAUDE_PROJECT_DIR"
"""The variable that tells a hook where the project is, and its place in commands without a shell."""
MOST_ASIDE = 256
"""Hooks that nobody waits for and that run, or wait for their turn; those behind are not started."""

Trace = Callable[[Call, str, HookRun], None]


class Hook(NamedTuple):
    """A handler that is ready to be run."""

    handler: Handler
    program: Program
    secs: float


def program(handler: Handler, folder: str) -> Program:
    """What a handler runs, in `folder`."""
    command: str | tuple[str, ...] = handler.command
    if handler.args is not None:
        command = tuple([part.replace(f"${{{FOLDER}}}", folder) for part in (handler.command, *handler.args)])
    return Program(command, folder, {FOLDER: folder}, handler.type == STDIO, handler.shell, ("OTEL_",), handler.aside)


def ready(handlers: Sequence[Handler], ports: Ports, secs: float, most_secs: float) -> tuple[Hook, ...]:
    """The handlers with their programs, and limits of at most `most_secs`."""
    hooks = []
    for handler in handlers:
        limit = secs if handler.secs is None else handler.secs
        hooks.append(Hook(handler, program(handler, ports.workspace_root), min(limit, most_secs)))
    return tuple(hooks)


class Runner:
    """Runs hooks. `trace`, unless it is None, is told of every run that belongs to a call."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._aside = 0
        self.trace: Trace | None = None

    def is_meant(self, hook: Hook, call: Call) -> bool:
        """False where the hook's condition says that it is not about this call."""
        condition = hook.handler.condition
        if condition is None:
            return True
        try:
            return condition(call, self._ports)
        except Exception as error:
            self._ports.report("warning", f"call {call.number}: `{hook.handler.place}.if` could not be judged, so the "
                               f"hook is run: {error!r}")
            return True

    async def run(self, hook: Hook, payload: bytes, call: Call | None) -> Said:
        """What the hook says to `payload`; nothing where it is not waited for."""
        handler = hook.handler
        if handler.aside:
            self._start_aside(hook, payload)
            return Said()
        run = await self._ports.run_hook(hook.program, payload, hook.secs)
        if call is not None and self.trace is not None:
            self.trace(call, handler.place, run)
        said = read_interceptor(run) if handler.type == DOCKER else read(run, handler.event)
        answer = bare(run.stdout)
        if run.unjudged:
            if handler.event != FAILURE:  # which hinders nothing, and what it says is for the model
                said.blocked = f"it {run.failure}"
            if run.failure != SHUTTING_DOWN:
                self._report("warning", hook, run.failure, call)
        elif said.failure:
            self.fail(hook, said, said.failure, call)
        elif handler.type == STDIO and answer and not answer.startswith("{"):
            self.fail(hook, said, "answered with a line that is no JSON object", call)
        if said.message:
            self._report("info", hook, f"says: {said.message}", call)
        return said

    def fail(self, hook: Hook, said: Said, why: str, call: Call | None) -> None:
        """The hook has failed."""
        said.failure = why
        goes_on = " (`onFailure` is `continue`)" if hook.handler.lenient else ""
        self._report("warning", hook, f"failed{goes_on}: {why}", call)

    def _report(self, level: str, hook: Hook, what: str, call: Call | None) -> None:
        about = f"call {call.number}: " if call is not None else ""
        self._ports.report(level, f"{about}hook `{hook.handler.place}` {what}")

    def _start_aside(self, hook: Hook, payload: bytes) -> None:
        place = hook.handler.place
        if self._aside >= MOST_ASIDE:
            self._ports.report("warning", f"hook `{place}` was not started: {MOST_ASIDE} hooks run in the background, "
                               "or wait for their turn")
            return
        self._aside += 1
        Drive(self._run_aside(hook, payload), self._over, lambda error: self._broke(place, error)).step()

    async def _run_aside(self, hook: Hook, payload: bytes) -> str:
        run = await self._ports.run_hook(hook.program, payload, hook.secs)
        return f"hook `{hook.handler.place}` failed in the background: {clip(run.failure, 300)}" if run.failure else ""

    def _over(self, failure: str) -> None:
        self._aside -= 1
        if failure:
            self._ports.report("warning", failure)

    def _broke(self, place: str, error: Exception) -> None:
        self._aside -= 1
        self._ports.report("error", f"hook `{place}` could not be run: {error!r}")
