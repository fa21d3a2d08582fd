"""Hook commands: what they are given, what is taken from them, and how they are stopped."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from kit import processes_left
from kit.looped import fds, until
from kit.shelled import Stage, fail_without_a_fork, play
from shack_gateway import shell
from shack_gateway.children import Child
from shack_gateway.pipeline.chain import SHUTTING_DOWN, HookRun, Program
from shack_gateway.pipeline.hooking import running
from shack_gateway.pipeline.stages import hooks
from shack_gateway.resident import without_a_turn
from shack_gateway.shell import MOST_ASIDE, MOST_AT_ONCE, MOST_WORDS, Turns

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
        assert {run[0] for run in runs} == {HookRun(-1, "", "", SHUTTING_DOWN, unjudged=True)}
        assert (await stage.run("echo late")).failure == "was stopped: the gateway is shutting down"
        stage.shell.close()
        await until(lambda: not processes_left(str(tmp_path)))

    play(tmp_path, scenario)


CROWD = 'echo x >> {0}/begun; while ! [ -e {0}/go ]; do sleep 0.02; done'


def begun(folder: Path) -> int:
    file = folder / "begun"
    return len(file.read_text().splitlines()) if file.exists() else 0


@linux
def test_only_so_many_hooks_run_at_once_and_the_others_wait(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        first = [stage.begin(CROWD.format(tmp_path))[1] for _ in range(MOST_AT_ONCE)]
        waiting = [stage.begin("true")[1] for _ in range(40)]
        await until(lambda: begun(tmp_path) == MOST_AT_ONCE)
        assert not any([*first, *waiting]) and len(stage.shell._running) == MOST_AT_ONCE
        (tmp_path / "go").touch()
        await until(lambda: all([*first, *waiting]))
        assert {run[0].failure for run in [*first, *waiting]} == {""}
        assert stage.shell._turns.taken == 0

    play(tmp_path, scenario)


@linux
def test_turns_are_given_in_the_order_of_coming(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.shell._turns = Turns(stage.loop, 1)
        runs = [stage.begin(f"echo {number} >> {tmp_path}/order")[1] for number in range(20)]
        await until(lambda: all(runs))
        assert (tmp_path / "order").read_text().split() == [str(number) for number in range(20)]

    play(tmp_path, scenario)


@linux
def test_hooks_that_nobody_waits_for_do_not_hold_up_the_others(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        aside = [stage.begin(Program(CROWD.format(tmp_path), aside=True))[1] for _ in range(MOST_ASIDE + 30)]
        await until(lambda: begun(tmp_path) == MOST_ASIDE)
        assert (await stage.run("echo judged")).stdout == "judged\n"
        (tmp_path / "go").touch()
        await until(lambda: all(aside))

    play(tmp_path, scenario)


@linux
def test_the_time_of_a_hook_begins_when_it_is_started(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.shell._turns = Turns(stage.loop, 1)
        runs = [stage.begin("sleep 0.2", limit=1.1)[1] for _ in range(7)]  # 1.4 s in all
        await until(lambda: all(runs))
        assert {run[0].failure for run in runs} == {""}

    play(tmp_path, scenario)


@linux
def test_who_waits_too_long_for_a_turn_is_given_up_as_one_that_nobody_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "WAIT_SECS", 0.1)

    async def scenario(stage: Stage) -> None:
        stage.shell._turns = Turns(stage.loop, 1)
        first = stage.begin(CROWD.format(tmp_path))[1]
        lost = stage.begin("true", limit=0.1)[1]
        last = stage.begin("true")[1]
        await until(lambda: lost)
        why = "was not run: its turn did not come within 0.2 s"
        assert lost == [HookRun(-1, "", "", why, unjudged=True)] and not first
        (tmp_path / "go").touch()
        await until(lambda: first and last)
        assert last[0].failure == "" and stage.shell._turns.taken == 0

    play(tmp_path, scenario)


@linux
def test_who_is_cancelled_leaves_the_queue_and_close_empties_it(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        stage.shell._turns = Turns(stage.loop, 1)
        first = stage.begin("sleep 600", limit=600)[0]
        gone = [stage.begin("true") for _ in range(5)]
        second = stage.begin("sleep 601", limit=600)[1]
        last = stage.begin("true")[1]
        for drive, _ in gone:
            drive.cancel()
        first.cancel()
        await until(lambda: any("601" in line for line in processes_left(str(tmp_path))))
        stage.shell.close()
        await until(lambda: second and last)
        assert second == last == [HookRun(-1, "", "", SHUTTING_DOWN, unjudged=True)]
        assert not any(runs for _, runs in gone) and stage.shell._turns.taken == 0

    play(tmp_path, scenario)


class Room:
    """A machine with room for so many processes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int, number: int) -> None:
        self.most, self.alive, self.refused = most, 0, 0

        def start(*given: Any, on_exit: Any, **named: Any) -> Child:
            if self.alive >= self.most:
                self.refused += 1
                raise OSError(number, "no room")

            def over(exit_code: int) -> None:
                self.alive -= 1
                on_exit(exit_code)

            child = Child(*given, on_exit=over, **named)
            self.alive += 1
            return child

        monkeypatch.setattr(shell, "Child", start)


@linux
def test_who_finds_no_room_keeps_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        stage.shell._turns = Turns(stage.loop, 2)
        room = Room(monkeypatch, 2, errno.EMFILE)
        long, short = stage.begin(CROWD.format(tmp_path))[1], stage.begin("true")[1]
        runs = [stage.begin(f"echo {number} >> {tmp_path}/order")[1] for number in range(12)]
        room.most = 1
        await until(lambda: room.refused)
        (tmp_path / "go").touch()
        await until(lambda: all([long, short, *runs]))
        assert (tmp_path / "order").read_text().split() == [str(number) for number in range(12)]

    play(tmp_path, scenario)


@linux
def test_when_there_is_room_again_as_many_run_as_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(stage: Stage) -> None:
        stage.shell._turns = Turns(stage.loop, 8)
        room = Room(monkeypatch, 1, errno.EMFILE)
        (tmp_path / "first").mkdir()
        first = stage.begin(CROWD.format(tmp_path / "first"))[1]
        runs = [stage.begin(CROWD.format(tmp_path))[1] for _ in range(12)]
        assert room.refused and room.alive == 1
        room.most = 100
        (tmp_path / "first" / "go").touch()
        await until(lambda: first and room.alive == 8)
        (tmp_path / "go").touch()
        await until(lambda: all(runs))
        assert stage.shell._turns.taken == 0

    play(tmp_path, scenario)


@linux
def test_a_start_that_fails_for_want_of_threads_costs_no_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*given: Any, **named: Any) -> Child:
        raise RuntimeError("can't start new thread")

    async def scenario(stage: Stage) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(shell, "Child", start)
            for _ in range(MOST_AT_ONCE + 1):
                run = stage.begin("true")[1]
                await until(lambda run=run: run)  # type: ignore[misc]
                assert run[0].unjudged and "can't start new thread" in run[0].failure
        run = stage.begin("true")[1]
        await until(lambda: run)
        assert run[0].exit_code == 0 and stage.shell._turns.taken == 0

    play(tmp_path, scenario)


@linux
@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM], ids=errno.errorcode.get)
def test_a_hook_for_which_there_is_no_room_runs_when_another_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    async def scenario(stage: Stage) -> None:
        room = Room(monkeypatch, 3, number)
        runs = [stage.begin("sleep 0.02; echo ran")[1] for _ in range(60)]
        await until(lambda: all(runs))
        assert {run[0].stdout for run in runs} == {"ran\n"}
        assert 0 < room.refused < 300 and stage.shell._turns.taken == 0

    play(tmp_path, scenario)


def test_where_there_is_no_room_and_none_runs_nobody_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(stage: Stage) -> None:
        Room(monkeypatch, 0, errno.EMFILE)
        run = await stage.run("true")
        assert run == HookRun(-1, "", "", f"failed to spawn hook: [Errno {errno.EMFILE}] no room", unjudged=True)
        assert stage.shell._turns.taken == 0

    play(tmp_path, scenario)


@linux
def test_however_many_wait_for_what_is_gone_by_then_each_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One failure makes room for the next at once: that must not become a tower of calls."""
    fail_without_a_fork(monkeypatch, tmp_path / "judge")

    async def scenario(stage: Stage) -> None:
        stage.shell._turns = Turns(stage.loop, 1)
        (tmp_path / "judge").symlink_to("/bin/true")
        first = stage.begin(CROWD.format(tmp_path))[1]
        runs = [stage.begin(Program((str(tmp_path / "judge"),)))[1] for _ in range(1500)]
        (tmp_path / "judge").unlink()
        (tmp_path / "go").touch()
        await until(lambda: all([first, *runs]) or stage.faults)
        assert not stage.faults and all("No such file" in run[0].failure and not run[0].unjudged for run in runs)

    play(tmp_path, scenario)


def test_the_page_says_how_many_run_and_how_long_they_wait() -> None:
    page = " ".join((Path(shell.__file__).parent / "docs" / "hooks.md").read_text().split())
    assert f"At most {MOST_AT_ONCE} hooks run at the same time, and {MOST_ASIDE} more with `async`" in page
    assert f"Of `async` hooks, {running.MOST_ASIDE} may run or wait" in page
    assert "at most five minutes besides its own time limit" in page and shell.WAIT_SECS == 5 * 60
    assert f"`it {without_a_turn(shell.WAIT_SECS + hooks.DEFAULT_SECS).failure}`" in page


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
