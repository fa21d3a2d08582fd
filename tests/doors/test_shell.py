"""Hook commands: what they are given, what is taken from them, and how they are stopped."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from kit import processes_left
from kit.looped import fds, until
from kit.shelled import Stage, play
from shack_gateway.pipeline.chain import HookRun, Program
from shack_gateway.shell import MOST_WORDS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sh commands; cmd is untested")
linux = pytest.mark.skipif(sys.platform != "linux", reason="processes and descriptors are looked up in /proc")


@pytest.mark.parametrize(
    "command, payload, run",
    [
        ("cat", b'{"a": "\xc3\xa4"}', HookRun(0, '{"a": "ä"}', "")),
        ("echo out; echo err >&2; exit 2", b"{}", HookRun(2, "out\n", "err\n")),
        ("kill -9 $$", b"{}", HookRun(-9, "", "")),
        ("no-such-command-anywhere", b"", None),
        ("wc -c | tr -d ' '", b"x" * 3_000_000, HookRun(0, "3000000\n", "")),
        ("exit 0", b"x" * 3_000_000, HookRun(0, "", "")),
        ("exec 0<&-; sleep 0.05; echo ok", b"x" * 3_000_000, HookRun(0, "ok\n", "")),
        (r"printf '\377\n'", b"", HookRun(0, "\ufffd\n", "", garbled=True)),
        (f"head -c {MOST_WORDS} /dev/zero | tr '\\0' x", b"", HookRun(0, "x" * MOST_WORDS, "")),
        ('read line; echo "$line"', b"no newline", HookRun(0, "no newline\n", "")),
    ],
    ids=[
        "payload",
        "both outputs and a code",
        "a signal",
        "an unknown command",
        "a large payload",
        "a payload nobody reads",
        "a closed input",
        "not UTF-8",
        "as much as allowed",
        "end of input",
    ],
)
def test_a_hook_runs_and_tells(tmp_path: Path, command: str, payload: bytes, run: HookRun | None) -> None:
    async def scenario(stage: Stage) -> None:
        found = await stage.run(command, payload)
        if run is None:
            assert found.exit_code == 127 and "not found" in found.stderr and not found.failure
        else:
            assert found == run

    play(tmp_path, scenario)


def test_a_hook_has_the_folder_and_the_environment_of_the_gateway(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        run = await stage.run("pwd; echo $SHACK_TEST_SCENE")
        assert run.stdout.splitlines() == [os.getcwd(), str(tmp_path)]

    play(tmp_path, scenario)


@linux
@pytest.mark.parametrize(
    "command, failure",
    [
        ("sleep 600", "timed out after 0.3 s"),
        ("trap '' TERM; sleep 600 & sleep 600", "timed out after 0.3 s"),
        ("setsid sleep 600 & wait", "timed out after 0.3 s"),
        ("(sleep 600 &) ; cat /dev/zero", "wrote more than 65536 bytes to its standard output"),
        ("cat /dev/zero >&2", "wrote more than 65536 bytes to its standard error"),
        (f"head -c {MOST_WORDS + 1} /dev/zero", "wrote more than 65536 bytes to its standard output"),
    ],
    ids=[
        "hangs",
        "hangs with a child that ignores TERM",
        "hangs with a daemon",
        "endless output",
        "endless errors",
        "one too many",
    ],
)
def test_past_its_limits_a_hook_is_killed_with_all_it_started(tmp_path: Path, command: str, failure: str) -> None:
    async def scenario(stage: Stage) -> None:
        run = await stage.run(command, limit=0.3 if "timed" in failure else 10)
        assert run.failure == failure
        await until(lambda: not processes_left(str(tmp_path)))

    play(tmp_path, scenario)


@linux
def test_a_hook_is_over_when_its_command_is_and_what_it_left_runs_until_the_end(tmp_path: Path) -> None:
    """As in 0.1.0: `send-audit &` is a thing people write. It must not hold the call up, nor be cut off."""

    async def scenario(stage: Stage) -> None:
        run = await stage.run("sleep 600 & setsid sleep 600 & echo done")  # both hold our pipes
        assert (run.stdout, run.failure) == ("done\n", "")
        up = tmp_path / "up"  # the daemon has left the group before its hook ends
        await stage.run(f"setsid sh -c 'touch {up}; exec sleep 600' & while ! [ -e {up} ]; do sleep 0.01; done")
        assert len(processes_left(str(tmp_path))) == 3
        stage.shell.close()
        await until(lambda: len(processes_left(str(tmp_path))) == 1)
        stage.guard.close()  # of the second hook only a daemon was left: it is found by its mark, at the very end
        await until(lambda: not processes_left(str(tmp_path)))

    play(tmp_path, scenario)


@linux
def test_what_is_left_in_the_background_is_forgotten_when_it_ends(tmp_path: Path) -> None:
    """Its group's number may be given to somebody else, who must not be killed for it."""

    async def scenario(stage: Stage) -> None:
        await stage.run("sleep 0.2 &")
        assert stage.guard._groups
        await until(lambda: not stage.guard._groups)

    play(tmp_path, scenario)


@linux
def test_a_cancelled_call_kills_its_hook(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        drive, runs = stage.begin("sleep 600 & sleep 600", limit=600)
        await until(lambda: len(processes_left(str(tmp_path))) == 3)
        drive.cancel()
        await until(lambda: not processes_left(str(tmp_path)))
        await asyncio.sleep(0.01)
        assert (runs, stage.faults) == ([], [])

    play(tmp_path, scenario)


@linux
def test_close_stops_what_runs_and_refuses_what_comes(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        runs = [stage.begin("sleep 600")[1] for _ in range(3)]
        stage.shell.close()
        await until(lambda: all(runs))
        assert {run[0].failure for run in runs} == {"was stopped: the gateway is shutting down"}
        assert (await stage.run("echo late")).failure == "was stopped: the gateway is shutting down"
        stage.shell.close()
        await until(lambda: not processes_left(str(tmp_path)))

    play(tmp_path, scenario)


def test_hooks_run_side_by_side(tmp_path: Path) -> None:
    """24 of them meet: each waits until all have come, so that one after the other would never end."""

    async def scenario(stage: Stage) -> None:
        meet = f"touch {tmp_path}/$$; while [ $(ls {tmp_path} | wc -l) -lt 24 ]; do sleep 0.02; done; echo met"
        runs = [stage.begin(meet, limit=15)[1] for _ in range(24)]
        await until(lambda: all(runs))
        assert {run[0].stdout for run in runs} == {"met\n"}

    play(tmp_path, scenario)


@linux
def test_a_hook_that_cannot_be_started_is_a_failure_and_not_an_exception(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        assert (await stage.run("true\0")).failure.startswith("failed to spawn hook: ")
        assert (await stage.run("x" * 4_000_000)).failure.startswith("failed to spawn hook: ")

    play(tmp_path, scenario)


@linux
def test_a_hundred_hooks_leave_no_descriptor(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.run("true")
        before = fds()
        for _ in range(5):
            runs = [stage.begin("cat", b"x" * 100)[1] for _ in range(20)]
            await until(lambda runs=runs: all(runs))  # type: ignore[misc]
        assert fds() == before

    play(tmp_path, scenario)


def test_a_program_may_have_arguments_a_folder_and_variables_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()

    async def scenario(stage: Stage) -> None:
        run = await stage.run(Program(("printf", "%s|", "a b", "$HOME", "*"), str(folder)))
        assert run == HookRun(0, "a b|$HOME|*|", "")
        env = {"CLAUDE_PROJECT_DIR": str(folder), "OTEL_MINE": "x"}
        show = 'pwd; echo "$CLAUDE_PROJECT_DIR"; env | grep -c OTEL_'
        run = await stage.run(Program(show, str(folder), env, without=("OTEL_",)))
        assert run.stdout.splitlines() == [str(folder), str(folder), "0"]
        run = await stage.run(Program(show, str(folder), env))
        assert run.stdout.splitlines()[2] == "2"

    play(tmp_path, scenario, OTEL_TRACES="x")


def test_a_line_is_read_by_the_shell_that_is_wanted(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        assert (await stage.run(Program("echo ${BASH_VERSION:+bash}", shell="bash"))).stdout == "bash\n"
        assert (await stage.run(Program("echo $0"))).stdout == "/bin/sh\n"
        assert stage.shell._argv(Program("Get-Date", shell="powershell"))[1:] == [
            "-NoProfile", "-NonInteractive", "-Command", "Get-Date"]

    play(tmp_path, scenario)


@pytest.mark.parametrize("program", [Program(("/no/such/program",)), Program("true", "/no/such/folder"),
                                     Program(("/no/such/program",), stays=True)], ids=["program", "folder", "stays"])
def test_a_program_or_folder_that_is_not_there_is_a_failure(tmp_path: Path, program: Program) -> None:
    async def scenario(stage: Stage) -> None:
        assert (await stage.run(program)).failure.startswith("failed to spawn hook: ")

    play(tmp_path, scenario)


def test_a_hook_may_write_four_times_what_it_was_given(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        given = b"x" * 100_000
        assert len((await stage.run("cat; cat", given * 1)).stdout) == 100_000
        run = await stage.run("head -c 400000 /dev/zero | tr '\\0' y", given)
        assert (len(run.stdout), run.failure) == (400_000, "")
        run = await stage.run("head -c 400001 /dev/zero", given)
        assert run.failure == "wrote more than 400000 bytes to its standard output"

    play(tmp_path, scenario)
