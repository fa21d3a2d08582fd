"""A shell on an event loop, for tests of hook commands: runs are driven as the corridor drives them."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from shack_gateway.downstream.guard import Guard
from shack_gateway.pipeline.chain import HookRun, Program
from shack_gateway.shell import Shell
from shack_gateway.slot import Drive

from .looped import run_clean, until


class Stage:
    """A shell on a loop; runs are driven as the corridor drives them, without a task."""

    def __init__(self, marker: Path, **environ: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.guard = Guard(os.environ)
        self.shell = Shell(self.loop, self.guard, {**os.environ, "SHACK_TEST_SCENE": str(marker), **environ})
        self.faults: list[Exception] = []

    def begin(self, command: str | Program, payload: bytes = b"{}\n", limit: float = 10) -> tuple[Drive, list[HookRun]]:
        runs: list[HookRun] = []
        program = command if isinstance(command, Program) else Program(command)
        drive = Drive(self.shell.run(program, payload, limit), runs.append, self.faults.append)
        drive.step()
        return drive, runs

    async def run(self, command: str | Program, payload: bytes = b"{}\n", limit: float = 10) -> HookRun:
        runs = self.begin(command, payload, limit)[1]
        await until(lambda: runs or self.faults)
        assert not self.faults
        return runs[0]


def play(folder: Path, scenario: Callable[[Stage], Coroutine[Any, Any, None]], **environ: str) -> None:
    """Run a scenario; at its end nothing may be left running, and no descriptor open."""

    async def main() -> None:
        stage = Stage(folder, **environ)
        try:
            await scenario(stage)
        finally:
            stage.shell.close()
            await asyncio.sleep(0.01)
            stage.guard.close()

    run_clean(folder, main)


def fail_without_a_fork(monkeypatch: pytest.MonkeyPatch, program: Path) -> None:
    """Starting `program`, which is gone, fails as it does, ten times for real and from then on at once.

    A thousand forks one after the other are a matter of how busy the machine is; this leaves what is ours of it.
    """
    real, tries = subprocess.Popen, 0

    def popen(argv: Any, **options: Any) -> Any:
        nonlocal tries
        if argv[0] == str(program):
            tries += 1
            if tries > 10:
                raise FileNotFoundError(2, "No such file or directory", argv[0])
        return real(argv, **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
