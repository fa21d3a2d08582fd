"""Hook commands that are played, not run: what each of them prints, how it ends, and what it was given."""
from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from shack_gateway.pipeline.chain import HookRun, Program, Stage
from shack_gateway.pipeline.stages import permissions, sandbox

from .corridor import ports, stage

OK = HookRun(0, "", "")


def says(output: Any = "", code: int = 0, stderr: str = "") -> HookRun:
    """A command that prints a text, or anything else as JSON."""
    return HookRun(code, output if isinstance(output, str) else json.dumps(output), stderr)


def specific(event: str, **output: Any) -> HookRun:
    """A command that prints what belongs to one event."""
    return says({"hookSpecificOutput": {"hookEventName": event, **output}})


class Shell:
    """Plays commands: each by its name, or by its number (`"0"`, `"1"`, ...)."""

    def __init__(self, *runs: HookRun, **named: HookRun) -> None:
        self._runs = {**{str(at): run for at, run in enumerate(runs)}, **named}
        self.programs: list[Program] = []
        self.raw: list[bytes] = []
        self.limits: list[float] = []

    async def run(self, program: Program, payload: bytes, limit: float) -> HookRun:
        self.programs.append(program)
        self.raw.append(payload)
        self.limits.append(limit)
        return self._runs[str(program.command)]

    @property
    def commands(self) -> list[str]:
        return [str(program.command) for program in self.programs]

    @property
    def read(self) -> list[dict[str, Any]]:
        """What each was given, in the order in which they ran."""
        return [json.loads(payload) for payload in self.raw]

    @property
    def ran(self) -> list[tuple[str, dict[str, Any], float]]:
        """Each with what it was given and how long it might run."""
        return list(zip(self.commands, self.read, self.limits))


REWRITES: list[tuple[dict[str, str], str | None]] = [
    ({"path": "/etc/passwd"}, "sandbox"), ({"path": "secret/a"}, "permissions"), ({"path": "a"}, None),
]
"""What a hook may make of a call's arguments, and which of `gates()` refuses that."""


def gates() -> list[Stage]:
    """A sandbox around `/ws`, and a rule about what `fs__read` may read there."""
    given = ports("/ws", realpath=lambda path: path)
    built = [stage(sandbox, given), stage(permissions, given, permissions={"deny": ["fs__read(secret:*)"]})]
    return [gate for gate in built if gate is not None]


def raising(error: BaseException) -> Callable[[Program, bytes, float], Awaitable[HookRun]]:
    """In place of `Shell.run`: commands that cannot be run at all."""
    async def run(program: Program, payload: bytes, limit: float) -> HookRun:
        raise error

    return run
