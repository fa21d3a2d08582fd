"""Hooks that stay: one process, a line for every event; what it does wrong costs a call, never a wrong answer."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from kit import processes_left
from kit.looped import fds, until
from kit.shelled import Stage, fail_without_a_fork, play
from shack_gateway import resident
from shack_gateway.pipeline.chain import HookRun, Program
from shack_gateway.slot import Drive

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sh commands; cmd is untested")
linux = pytest.mark.skipif(sys.platform != "linux", reason="processes and descriptors are looked up in /proc")

ECHO = 'while read -r line; do echo "$line"; done'
SHUTTING_DOWN = "was stopped: the gateway is shutting down"


def stays(command: str) -> Program:
    return Program(command, stays=True)


def event(number: int) -> bytes:
    return json.dumps({"n": number}).encode() + b"\n"


def answer(number: int) -> HookRun:
    return HookRun(0, json.dumps({"n": number}), "")


@linux
def test_one_process_answers_every_event_in_order(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        assert await stage.run(stays(ECHO), event(0)) == answer(0)
        runs = [stage.begin(stays(ECHO), event(number))[1] for number in range(1, 50)]
        await until(lambda: all(runs))
        assert [run[0] for run in runs] == [answer(number) for number in range(1, 50)]
        assert len(processes_left(str(tmp_path))) == 1

    play(tmp_path, scenario)


def test_it_is_started_at_its_first_event_and_two_hooks_are_two_processes(tmp_path: Path) -> None:
    pid = "while read -r line; do echo $$; done"

    async def scenario(stage: Stage) -> None:
        assert not processes_left(str(tmp_path))
        first = await stage.run(stays(pid))
        assert (await stage.run(stays(pid))).stdout == first.stdout
        assert (await stage.run(stays(pid + " #"))).stdout != first.stdout

    play(tmp_path, scenario)


def test_it_is_given_one_event_at_a_time(tmp_path: Path) -> None:
    peek = f"{sys.executable} -c '\n" + """
import os, select, sys
while True:
    line = os.read(0, 65536)
    if not line: break
    os.write(1, b"%d %d\\n" % (line.count(b"\\n"), bool(select.select([0], [], [], 0.02)[0])))
'"""

    async def scenario(stage: Stage) -> None:
        runs = [stage.begin(stays(peek), event(number))[1] for number in range(5)]
        await until(lambda: all(runs))
        assert {run[0].stdout for run in runs} == {"1 0"}

    play(tmp_path, scenario)


@linux
@pytest.mark.parametrize("command, failure", [
    ("read -r line; exit 3", "ended with exit code 3 before it answered"),
    ("read -r line; kill -9 $$", "ended by signal 9 before it answered"),
    ("exit 0", "ended with exit code 0 before it answered"),
    ("no-such-command", "ended with exit code 127 before it answered"),
    ("exec 0<&-; exit 1", "ended with exit code 1 before it answered"),
    ("read -r line; printf '{}'", "ended with exit code 0 before it answered"),
    ("read -r line; sleep 600 & sleep 600", "timed out after 0.3 s"),
    ("trap '' TERM; setsid sleep 600 & sleep 600", "timed out after 0.3 s"),
    ("exec 1>&-; sleep 600", "timed out after 0.3 s"),
    ("read -r line; cat /dev/zero", "wrote more than 65536 bytes to its standard output"),
], ids=["exit", "signal", "exit before", "unknown", "closed input", "no end of line", "hangs", "daemon",
        "closed output", "flood"])
def test_whatever_else_it_does_fails_with_a_reason_and_leaves_nothing_running(
    tmp_path: Path, command: str, failure: str
) -> None:
    async def scenario(stage: Stage) -> None:
        for _ in range(2):  # and it is tried anew
            run = await stage.run(stays(command), limit=0.3 if "timed" in failure else 10)
            assert run.failure == failure
        await until(lambda: not processes_left(str(tmp_path)))

    play(tmp_path, scenario)


def test_its_last_words_are_told_when_it_dies(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        run = await stage.run(stays("read -r line; head -c 100000 /dev/zero | tr '\\0' x >&2; echo why >&2; exit 1"))
        assert run.stderr.endswith("xwhy\n") and len(run.stderr) == 2048

    play(tmp_path, scenario)


def test_a_flood_of_errors_does_not_hold_it_up(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        flood = "while read -r line; do head -c 300000 /dev/zero >&2; echo {}; done"
        for _ in range(3):
            assert (await stage.run(stays(flood))).stdout == "{}"

    play(tmp_path, scenario)


@linux
def test_it_is_started_anew_when_it_died_between_two_events(tmp_path: Path) -> None:
    once = "read -r line; echo $$"

    async def scenario(stage: Stage) -> None:
        pids = set()
        for _ in range(3):
            pids.add((await stage.run(stays(once))).stdout)
            [resident] = stage.shell._residents.values()
            await until(lambda resident=resident: resident._life is None)  # type: ignore[misc]
        assert len(pids) == 3

    play(tmp_path, scenario)


@linux
@pytest.mark.parametrize("twice", ["echo one; echo two", "printf 'one\\ntwo\\n'", "echo one; sleep 0.05; echo two"])
def test_who_answers_twice_is_started_anew_before_the_next_event(tmp_path: Path, twice: str) -> None:
    """Else its second answer would be taken for that to the next call."""

    async def scenario(stage: Stage) -> None:
        command = f"while read -r line; do {twice}; done"
        assert (await stage.run(stays(command))).stdout == "one"
        await until(lambda: not processes_left(str(tmp_path)))
        assert (await stage.run(stays(command))).stdout == "one"

    play(tmp_path, scenario)


def test_two_lines_in_one_piece_are_never_two_answers(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        command = "read -r line; printf 'one\\ntwo\\n'; read -r line; echo three"
        runs = [stage.begin(stays(command), event(number))[1] for number in range(3)]
        await until(lambda: all(runs))
        assert {run[0].stdout for run in runs} == {"one"}, "each from a process of its own"

    play(tmp_path, scenario)


JUDGE = """while read -r line; do
  case "$line" in
    *hang*) sleep 600;; *flood*) cat /dev/zero;; *die*) exit 3;; *twice*) printf 'one\\ntwo\\n';; *) echo "$line";;
  esac
done"""


@linux
@pytest.mark.parametrize("how, failure", [
    ("hang", "timed out after 0.3 s"), ("flood", "wrote more than 65536 bytes to its standard output"),
    ("die", "ended with exit code 3 before it answered"), ("twice", ""),
])
def test_what_one_event_costs_the_process_those_behind_are_judged_by_the_next(
    tmp_path: Path, how: str, failure: str
) -> None:
    """They were never shown to it: with `onFailure: continue` their calls would be sent though nobody judged them."""

    async def scenario(stage: Stage) -> None:
        first = stage.begin(stays(JUDGE), how.encode() + b"\n", limit=0.3 if how == "hang" else 10)[1]
        behind = [stage.begin(stays(JUDGE), event(number))[1] for number in range(20)]
        again = stage.begin(stays(JUDGE), how.encode() + b"\n", limit=0.3 if how == "hang" else 10)[1]
        last = stage.begin(stays(JUDGE), event(20))[1]
        await until(lambda: all([first, *behind, again, last]))
        assert (first[0].failure, again[0].failure) == (failure, failure)
        assert [run[0] for run in [*behind, last]] == [answer(number) for number in range(21)]
        await until(lambda: len(processes_left(str(tmp_path))) == 1)

    play(tmp_path, scenario)


@linux
def test_each_event_that_hangs_has_its_own_time_and_only_that(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        runs = [stage.begin(stays("sleep 600"), event(number), limit=0.2)[1] for number in range(4)]
        await until(lambda: all(runs))
        assert {run[0] for run in runs} == {HookRun(-1, "", "", "timed out after 0.2 s")}
        await until(lambda: not processes_left(str(tmp_path)))

    play(tmp_path, scenario)


@linux
def test_who_waits_too_long_for_its_turn_is_given_up_as_one_that_nobody_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "WAIT_SECS", 0.1)

    async def scenario(stage: Stage) -> None:
        first = stage.begin(stays(JUDGE), b"hang\n", limit=0.8)[1]
        behind = [stage.begin(stays(JUDGE), event(number), limit=0.1)[1] for number in range(3)]
        patient = stage.begin(stays(JUDGE), event(3))[1]
        await until(lambda: all(behind))
        why = "was not run: its turn did not come within 0.2 s"
        assert [run[0] for run in behind] == [HookRun(-1, "", "", why, unjudged=True)] * 3 and not first
        await until(lambda: all([first, patient]))
        assert patient[0] == answer(3)

    play(tmp_path, scenario)


def test_its_time_begins_when_it_is_its_turn(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        slow = "while read -r line; do sleep 0.1; echo {}; done"
        runs = [stage.begin(stays(slow), event(number), limit=0.9)[1] for number in range(12)]  # 1.2 s in all
        await until(lambda: all(runs))
        assert {run[0].failure for run in runs} == {""}

    play(tmp_path, scenario)


def test_a_cancelled_event_does_not_shift_the_answers(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        slow = 'while read -r line; do sleep 0.1; echo "$line"; done'
        drive, runs = stage.begin(stays(slow), event(1))
        waiting, none = stage.begin(stays(slow), event(2))
        drive.cancel()
        waiting.cancel()
        assert await stage.run(stays(slow), event(3)) == answer(3)
        assert (runs, none, stage.faults) == ([], [], [])

    play(tmp_path, scenario)


@linux
def test_the_time_for_waiting_ends_with_the_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resident, "WAIT_SECS", 0.0)

    async def scenario(stage: Stage) -> None:
        slow = 'while read -r line; do sleep 0.4; echo "$line"; done'
        runs = [stage.begin(stays(slow), event(number), limit=0.7)[1] for number in range(2)]  # the second: 0.8 s
        await until(lambda: all(runs))
        assert [run[0] for run in runs] == [answer(0), answer(1)]

    play(tmp_path, scenario)


@linux
def test_a_cancelled_event_that_hangs_does_not_hold_up_those_behind_it(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        hanging = stage.begin(stays(JUDGE), b"hang\n", limit=600)[0]
        runs = [stage.begin(stays(JUDGE), event(number))[1] for number in range(3)]
        await until(lambda: len(processes_left(str(tmp_path))) == 2)
        hanging.cancel()
        await until(lambda: all(runs))
        assert [run[0] for run in runs] == [answer(number) for number in range(3)]
        await until(lambda: len(processes_left(str(tmp_path))) == 1)

    play(tmp_path, scenario)


@linux
def test_a_cancel_of_what_waits_costs_the_process_nothing(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        slow = "while read -r line; do sleep 0.1; echo $$; done"
        first = stage.begin(stays(slow), event(1))[1]
        waiting = stage.begin(stays(slow), event(2))[0]
        last = stage.begin(stays(slow), event(3))[1]
        waiting.cancel()
        await until(lambda: all([first, last]))
        assert first[0] == last[0]

    play(tmp_path, scenario)


@linux
def test_close_kills_it_and_whoever_waits_is_told(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        runs = [stage.begin(stays("sleep 600 & sleep 600"), event(number))[1] for number in range(3)]
        await until(lambda: len(processes_left(str(tmp_path))) == 3)
        stage.shell.close()
        await until(lambda: all(runs))
        assert {run[0] for run in runs} == {HookRun(-1, "", "", SHUTTING_DOWN, unjudged=True)}
        assert (await stage.run(stays(ECHO))).failure == SHUTTING_DOWN
        await until(lambda: not processes_left(str(tmp_path)))

    play(tmp_path, scenario)


def test_however_many_events_wait_each_is_judged(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        runs = [stage.begin(stays(ECHO), event(number))[1] for number in range(1500)]
        await until(lambda: all(runs))
        assert [run[0] for run in runs] == [answer(number) for number in range(1500)]

    play(tmp_path, scenario)


def test_however_many_wait_for_what_cannot_be_started_each_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is told may ask anew at once: that must not become a tower of calls."""
    gone = "No such file"
    fail_without_a_fork(monkeypatch, tmp_path / "judge")

    async def scenario(stage: Stage) -> None:
        judge = tmp_path / "judge"
        judge.write_text(f"#!/bin/sh\n: > {tmp_path}/begun\nwhile ! [ -e {tmp_path}/go ]; do sleep 0.02; done\n")
        judge.chmod(0o700)
        program, runs = Program((str(judge),), stays=True), []

        async def twice() -> None:
            for _ in range(2):
                runs.append(await stage.shell.run(program, event(1), 10))

        for drive in [Drive(twice(), lambda none: None, stage.faults.append) for _ in range(1500)]:
            drive.step()
        await until((tmp_path / "begun").exists)
        judge.unlink()
        (tmp_path / "go").touch()
        await until(lambda: len(runs) == 3000 or stage.faults)
        first, *others = runs
        assert "ended with exit code 0" in first.failure
        assert not stage.faults and all(gone in run.failure and not run.unjudged for run in others)

    play(tmp_path, scenario)


@linux
@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM], ids=errno.errorcode.get)
def test_for_want_of_room_nobody_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def start(*given: Any, **named: Any) -> Any:
        raise OSError(number, "no room")

    monkeypatch.setattr("shack_gateway.shell.Child", start)

    async def scenario(stage: Stage) -> None:
        run = await stage.run(stays(ECHO))
        assert run == HookRun(-1, "", "", f"failed to spawn hook: [Errno {number}] no room", unjudged=True)

    play(tmp_path, scenario)


def test_what_is_no_utf_8_is_known_as_such(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        odd = r"while read -r line; do printf '\377\n'; done"
        assert await stage.run(stays(odd)) == HookRun(0, "\ufffd", "", garbled=True)
        real = "while read -r line; do printf '\\357\\277\\275\\n'; done"
        assert await stage.run(stays(real)) == HookRun(0, "\ufffd", "")

    play(tmp_path, scenario)


def test_long_answers_and_long_events_pass(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        long = json.dumps({"x": "y" * 300_000}).encode() + b"\n"
        for _ in range(3):
            assert (await stage.run(stays("cat"), long)).stdout.encode() + b"\n" == long

    play(tmp_path, scenario)


@linux
def test_many_lives_leave_no_descriptor(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.run(stays("read -r line; exit 1"))
        await until(lambda: not processes_left(str(tmp_path)))
        before = fds()
        for _ in range(10):
            await stage.run(stays("read -r line; exit 1"))
        assert fds() == before

    play(tmp_path, scenario)
