"""A server's process: its start, its words, its death, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from kit import alive, processes_left
from kit.looped import fds, run_clean, until
from shack_gateway import children
from shack_gateway.downstream.guard import Guard
from shack_gateway.downstream.process import MOST_PIECE, TAIL, Launch, Process, find_windows, start
from shack_gateway.errors import ServerUnavailable
from shack_gateway.pipes import Outbox, Reader, Writer

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs sh and signals")
linux = pytest.mark.skipif(sys.platform != "linux", reason="processes and descriptors are looked up in /proc")

PRELUDE = """
import os, signal, subprocess, sys, time
def say(text):
    os.write(1, (text + "\\n").encode())
def deaf(*what):
    for number in what: signal.signal(number, signal.SIG_IGN)
def grandchild(code, **more):
    nothing = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-S", "-c", code], stdin=nothing, stderr=nothing, **more)
SLEEPER = "import time; time.sleep(600)"
HEIR = \"""
import os, signal, subprocess, sys, time
def leave(*_):
    subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], start_new_session=True)
    os._exit(0)
signal.signal(15, leave)
os.write(1, b"1")
while True: time.sleep(600)
\"""
PARENT = "import subprocess, sys; subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'], " \\
         "start_new_session=True)"
STUBBORN = "import os, signal, time; signal.signal(15, signal.SIG_IGN); os.write(1, b'1'); time.sleep(600)"
def stubborn(**more):
    grandchild(STUBBORN, stdout=subprocess.PIPE, **more).stdout.read(1)     # from here on it ignores TERM
def daemon(code):
    grandchild(code, stdout=subprocess.PIPE, start_new_session=True).stdout.read(1)
"""
"""What every stub below begins with."""


class Stage:
    """One server on a loop, with a guard; everything that was told is kept."""

    def __init__(self, marker: Path) -> None:
        self.loop = asyncio.get_running_loop()
        self.guard = Guard(os.environ)
        self.env = {"PATH": os.environ.get("PATH", ""), "SHACK_TEST_SCENE": str(marker)}
        self.cwd = str(marker)
        self.exits: list[int] = []
        self.lines: list[str] = []
        self.heard: list[bytes] = []
        self.story: list[str] = []
        self.ended = 0
        self.errors: list[OSError] = []

    def launch(self, command: str, *args: str) -> Launch:
        return Launch("stub", command, args, self.env, self.cwd)

    def python(self, code: str, *, connect: bool = True) -> Process:
        return self.start(sys.executable, "-S", "-c", PRELUDE + code, connect=connect)

    def start(self, command: str, *args: str, connect: bool = True) -> Process:
        process = start(self.launch(command, *args), self.loop, self.guard, self._exit, self.lines.append)
        if connect:
            process.connect(Outbox(self.loop), self._hear, self._end, self.errors.append)
        return process

    async def said(self, text: str) -> None:
        await until(lambda: text.encode() in self.words)

    @property
    def words(self) -> bytes:
        return b"".join(self.heard)

    def _exit(self, returncode: int) -> None:
        self.exits.append(returncode)
        self.story.append(f"exit after {len(self.words)} and {sum(map(len, self.lines))}")

    def _hear(self, chunk: bytes) -> None:
        self.heard.append(chunk)
        self.story.append("bytes")

    def _end(self) -> None:
        self.ended += 1


def play(folder: Path, scenario: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario; afterwards nothing may carry the scene's marker, and no descriptor may be open that was not."""

    async def main() -> None:
        stage = Stage(folder)
        try:
            await scenario(stage)
        finally:
            stage.guard.close()

    run_clean(folder, main)


# --- a life ----------------------------------------------------------------------------------------------------------


def test_bytes_go_both_ways_and_the_exit_code_is_told_once(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        process = stage.python("say(sys.stdin.readline().upper().strip()); sys.exit(3)")
        assert isinstance(process.stdin, Writer) and isinstance(process.stdout, Reader)
        assert process.returncode is None
        process.stdin.send(b"hel", b"lo\n")
        await until(lambda: stage.exits)
        assert (stage.words, stage.exits, process.returncode) == (b"HELLO\n", [3], 3)
        await process.close()
        assert stage.exits == [3]

    play(tmp_path, scenario)


@posix
def test_a_server_sees_its_own_folder_and_environment_and_no_descriptor_of_ours(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        other = stage.python("sys.stdin.read()")
        stage.env["MINE"] = "yes"
        process = stage.python("""
import json
fds = sorted(map(int, os.listdir('/dev/fd')))
say(json.dumps([os.getcwd(), dict(os.environ), fds[:4], os.getsid(0) == os.getpid()]))
""")
        await until(lambda: stage.exits)
        cwd, env, open_ones, leads = json.loads(stage.words)
        assert os.path.samefile(cwd, tmp_path)
        mark = env.pop(children.MARK)
        assert env.pop("LC_CTYPE", "C.UTF-8") == "C.UTF-8"  # Python sets it for itself
        assert env == stage.env and len(mark) > 32
        assert open_ones[:3] == [0, 1, 2] and open_ones[3] == 3  # 3: the listing itself
        assert leads
        await process.close()
        await other.close()

    play(tmp_path, scenario)


def test_the_mark_of_every_server_is_its_own_and_cannot_be_guessed() -> None:
    guards = [Guard({}), Guard({})]
    tags = [guard.tag() for guard in guards for _ in range(3)]
    assert len(set(tags)) == 6
    assert all(len(tag.split(".")[0]) >= 32 for tag in tags)
    assert tags[0].split(".")[0] != tags[3].split(".")[0]


@posix
def test_a_signal_is_told_as_a_negative_code(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        process = stage.python("os.kill(os.getpid(), 9)")
        await until(lambda: stage.exits)
        assert stage.exits == [-9]
        await process.close()

    play(tmp_path, scenario)


@posix
def test_a_death_is_noticed_though_a_grandchild_holds_the_pipes(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        process = stage.start("sh", "-c", "sleep 600 & echo up; exit 5")
        await until(lambda: stage.exits)
        assert (stage.words, stage.exits, stage.ended) == (b"up\n", [5], 0)
        await process.close()

    play(tmp_path, scenario)


@linux
def test_all_that_a_server_wrote_is_heard_before_its_death(tmp_path: Path) -> None:
    """60,000 bytes lie in each pipe when it dies, no line is ended, and a grandchild will hold both pipes for long."""

    async def scenario(stage: Stage) -> None:
        process = stage.python(
            "ready, go = os.pipe()\n"
            "code = STUBBORN.replace('write(1,', f'write({go},')\n"
            "subprocess.Popen([sys.executable, '-S', '-c', code], pass_fds=[go]); os.read(ready, 1)\n"
            "os.write(2, b'e' * 60_000); os.write(1, b'x' * 60_000); os._exit(1)"
        )
        assert process.stdout
        process.stdout.pause()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # the loop stands still meanwhile
        await until(lambda: stage.exits)
        assert stage.story[-1] == "exit after 60000 and 60000"
        await process.close()

    play(tmp_path, scenario)


@posix
def test_the_end_of_output_is_told_though_the_server_lives(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        process = stage.python("os.close(1); time.sleep(600)")
        await until(lambda: stage.ended)
        assert stage.exits == []
        await process.close(0.05, 1)
        assert stage.exits == [-15]

    play(tmp_path, scenario)


@posix
def test_a_server_that_closed_its_input_is_told_and_lives(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        process = stage.python("os.close(0); say('up'); time.sleep(600)")
        await stage.said("up")
        assert process.stdin
        process.stdin.send(b"anybody?\n")
        await until(lambda: stage.errors)
        assert stage.exits == []
        await process.close(0.05, 1)

    play(tmp_path, scenario)


# --- the end ---------------------------------------------------------------------------------------------------------


@posix
def test_a_polite_server_leaves_at_the_end_of_its_input_after_reading_all_of_it(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        process = stage.python("say(str(len(sys.stdin.buffer.read()))); sys.exit(7)")
        assert process.stdin
        process.stdin.send(b"x" * 500_000)
        await process.close()
        assert (stage.exits, stage.words) == ([7], b"500000\n")

    play(tmp_path, scenario)


LEFTOVERS = {
    "none": "",
    "a grandchild": "grandchild(SLEEPER)",
    "one that ignores TERM": "stubborn()",
    "a daemon": "grandchild(SLEEPER, start_new_session=True)",
    "a daemon that ignores TERM": "stubborn(start_new_session=True)",
    "a family": "stubborn(); grandchild(SLEEPER); stubborn(start_new_session=True)",
    "a daemon of a daemon": "grandchild(PARENT, start_new_session=True).wait()",
    "a daemon that starts another when told to leave": "daemon(HEIR)",
}
MANNERS = {
    "polite": "say('up'); sys.stdin.read()",
    "leaves at TERM": "say('up'); time.sleep(600)",
    "ignores everything": "deaf(15, 1, 2); say('up'); time.sleep(600)",
    "dies by itself": "say('up'); os._exit(1)",
}


@linux
@pytest.mark.parametrize("manners", MANNERS)
def test_nothing_is_left_after_close(tmp_path: Path, manners: str) -> None:
    async def one(leftovers: str) -> None:
        folder = tmp_path / leftovers.replace(" ", "-")
        folder.mkdir()
        stage = Stage(folder)
        process = stage.python(f"{LEFTOVERS[leftovers]}\n{MANNERS[manners]}")
        await stage.said("up")
        await process.close(0.1, 0.1)
        assert processes_left(f"{folder}\0") == [], leftovers
        assert len(stage.exits) == 1, leftovers
        stage.guard.close()

    async def scenario(stage: Stage) -> None:
        await asyncio.gather(*map(one, LEFTOVERS))

    play(tmp_path, scenario)


@linux
def test_a_crash_ends_what_the_server_had_started_without_any_close(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        process = stage.python("grandchild(SLEEPER); stubborn(start_new_session=True); say('up'); os._exit(1)")
        await until(lambda: stage.exits and not processes_left(str(tmp_path)))
        await process.close()

    play(tmp_path, scenario)


@linux
def test_another_servers_daemons_are_left_alone(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        other = stage.python("grandchild(SLEEPER, start_new_session=True); say('up'); sys.stdin.read()")
        await stage.said("up")
        process = stage.python("say('here'); time.sleep(600)")
        await stage.said("here")
        await process.close(0.05, 1)
        assert len(processes_left(str(tmp_path))) == 2
        await other.close(1, 1)

    play(tmp_path, scenario)


@posix
def test_a_grandchild_gets_term_and_time_to_leave_and_may_speak_as_it_goes(tmp_path: Path) -> None:
    """A broken pipe would end it before it has tidied up: many programs log that they stop."""

    async def scenario(stage: Stage) -> None:
        note = tmp_path / "note"
        heir = (
            "import os, signal, time\n"
            "def leave(*_):\n"
            "    os.write(2, b'leaving\\n'); os.write(1, b'leaving\\n')\n"
            f"    open({str(note)!r}, 'w').write('tidy'); os._exit(0)\n"
            "signal.signal(15, leave); os.write(1, b'up'); time.sleep(600)"
        )
        process = stage.python(f"subprocess.Popen([sys.executable, '-S', '-c', {heir!r}]); sys.stdin.read()")
        await stage.said("up")
        await process.close()
        assert note.read_text() == "tidy"
        assert stage.lines == ["leaving"]

    play(tmp_path, scenario)


@posix
def test_a_server_that_is_closed_twice_at_once_gets_one_term(tmp_path: Path) -> None:
    """The second one means "at once" to many programs, to this gateway among them."""

    async def scenario(stage: Stage) -> None:
        process = stage.python("""
def count(*_): say('term')
signal.signal(15, count)
say('up')
end = time.monotonic() + 0.3
while time.monotonic() < end: time.sleep(0.01)
""")
        await stage.said("up")
        await asyncio.gather(process.close(0.02, 5), process.close(0.03, 5), process.close(0.04, 5))
        assert stage.words == b"up\nterm\n"

    play(tmp_path, scenario)


@posix
def test_close_twice_at_once_and_after_is_harmless(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        process = stage.python("deaf(15); say('up'); time.sleep(600)")
        await stage.said("up")
        await asyncio.gather(process.close(0.05, 0.05), process.close(0.05, 0.05))
        assert (stage.exits, process.returncode) == ([-9], -9)
        await process.close()
        process.kill()
        assert stage.exits == [-9]

    play(tmp_path, scenario)


@posix
def test_a_close_that_is_cancelled_kills(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        process = stage.python("deaf(15); say('up'); time.sleep(600)")
        await stage.said("up")
        closing = stage.loop.create_task(process.close(60, 60))
        await asyncio.sleep(0.01)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await until(lambda: stage.exits == [-9])
        await process.close()

    play(tmp_path, scenario)


@posix
def test_kill_ends_all_of_it_at_once(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        process = stage.python("deaf(15); stubborn(start_new_session=True); stubborn(); say('up'); time.sleep(600)")
        await stage.said("up")
        process.kill()
        await until(lambda: stage.exits == [-9] and not processes_left(str(tmp_path)))
        await process.close()

    play(tmp_path, scenario)


@posix
def test_a_process_that_nobody_connected_can_be_closed(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.python("sys.stdin.read()", connect=False).close()
        process = stage.python("pass", connect=False)
        await until(lambda: len(stage.exits) == 2)
        await process.close()

    play(tmp_path, scenario)


@linux
def test_no_descriptor_and_no_zombie_is_left_by_fifty_rounds(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.start("true").close()  # the guard is running now
        before = fds()
        for number in range(50):
            process = stage.start("cat" if number % 2 else "true", connect=bool(number % 5))
            if number % 7 == 0:
                process.kill()
            await process.close()
            assert not os.path.exists(f"/proc/{process.pid}")
        assert fds() == before

    play(tmp_path, scenario)


# --- standard error --------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize(
    "noise, lines, tail",
    [
        ("os.write(2, b'one\\n\\n  \\r\\ntwo\\r\\nthree')", ["one", "two", "three"], "one\n\n  \r\ntwo\r\nthree"),
        ("sys.stderr.write('x' * 300_000 + '\\n'); sys.stderr.flush()", ["x" * 300_000], "x" * (TAIL - 1) + "\n"),
        (
            "os.write(2, b'\\xff\\x00\\xfe\\n' + 'käse'.encode() + b'\\n')",
            ["\\xff\x00\\xfe", "käse"],
            "\ufffd\x00\ufffd\nkäse\n",
        ),
        ("for n in range(3000): sys.stderr.write(f'line {n}\\n')", [f"line {n}" for n in range(3000)], None),
    ],
    ids=["plain", "a line of 300 kB", "binary", "many lines"],
)
def test_standard_error_is_told_line_by_line_and_its_tail_kept(
    tmp_path: Path, noise: str, lines: list[str], tail: str | None
) -> None:
    async def scenario(stage: Stage) -> None:
        process = stage.python(noise + "\nsys.stderr.flush(); say('done')")
        await until(lambda: stage.exits)
        assert stage.words == b"done\n"
        assert stage.lines == lines
        kept = process.stderr_tail()
        assert len(kept) <= TAIL and (kept == tail if tail is not None else kept.endswith("\nline 2999\n"))
        assert tail is not None or kept.startswith("line ")  # no half line at its start
        await process.close()

    play(tmp_path, scenario)


@posix
def test_endless_standard_error_without_a_newline_neither_stops_the_server_nor_grows(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        process = stage.python("for _ in range(200): os.write(2, b'x' * 65_536)\nsay('done'); sys.stdin.read()")
        await stage.said("done")
        await until(lambda: sum(map(len, stage.lines)) >= 200 * 65_536 - MOST_PIECE)
        assert max(map(len, stage.lines)) < MOST_PIECE + 65_536
        assert len(process.stderr_tail()) <= TAIL
        await process.close()

    play(tmp_path, scenario)


@posix
def test_a_flood_on_standard_error_leaves_room_for_answers(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        process = stage.python("""
if os.fork() == 0:
    while True: os.write(2, b'noise\\n' * 10_000)
for line in sys.stdin: say(line.strip())
""")
        assert process.stdin
        for number in range(20):
            process.stdin.send(b"%d\n" % number)
            await stage.said(f"{number}\n")
        await process.close()

    play(tmp_path, scenario)


@posix
def test_a_flood_on_standard_error_gets_a_small_part_of_our_time(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        spent = 0.0

        def slow(line: str) -> None:
            nonlocal spent
            began = time.monotonic()
            time.sleep(0.002)
            spent += time.monotonic() - began

        code = "import os\nwhile True: os.write(2, (b'x' * 4095 + b'\\n') * 16)"
        process = start(stage.launch(sys.executable, "-S", "-c", code), stage.loop, stage.guard, stage._exit, slow)
        await until(lambda: spent)
        began, spent = time.monotonic(), 0.0
        await until(lambda: spent > 0.1)
        assert spent < (time.monotonic() - began) / 2
        await process.close(0, 0)

    play(tmp_path, scenario)


# --- starts that fail ------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize(
    "command, cwd, says",
    [
        ("no-such-command-anywhere", "", ["`no-such-command-anywhere`", "PATH", "`servers.stub.command`"]),
        ("./no/such/file", "", ["`./no/such/file`", "`servers.stub.command`"]),
        ("cat", "missing", ["working directory", "missing` does not exist", "`servers.stub.cwd`"]),
        ("./plain", "", ["`./plain`", "permission denied", "executable"]),
        ("./empty", "", ["`./empty`", "no program", "#!/bin/sh"]),
        ("./orphan", "", ["`./orphan`", "interpreter"]),
        ("./plain/below", "", ["`./plain/below`", "was not found"]),
        ("nul\0byte", "", ["characters that no program can be given", "`servers.stub`"]),
        ("sur\udc80rogate\ud800", "", ["characters that no program can be given"]),
    ],
    ids=lambda v: repr(v)[:24],
)
def test_a_start_that_fails_says_what_is_wrong_and_how_to_mend_it(
    tmp_path: Path, command: str, cwd: str, says: list[str]
) -> None:
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    (tmp_path / "empty").write_text("no program\n")
    (tmp_path / "orphan").write_text("#!/no/such/interpreter\n")
    for name in ("empty", "orphan"):
        (tmp_path / name).chmod(0o755)

    async def scenario(stage: Stage) -> None:
        stage.cwd = str(tmp_path / cwd)
        with pytest.raises(ServerUnavailable) as caught:
            stage.start(command)
        assert caught.value.server == "stub"
        for part in says:
            assert part in str(caught.value)

    play(tmp_path, scenario)


@linux
def test_a_start_without_descriptors_left_says_so_and_leaks_none(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")

    async def scenario(stage: Stage) -> None:
        await stage.start("true").close()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, hard))
        filled = []
        try:
            with pytest.raises(OSError):
                while True:
                    filled.append(os.dup(0))
            for room in range(8):  # six ends of pipes, two more for the word of the child that it could be started
                with pytest.raises(ServerUnavailable, match="could not be started"):
                    stage.start("true")
                free = [os.dup(0) for _ in range(room)]  # all that was free is free again
                for fd in [*free, filled.pop()]:
                    os.close(fd)
        finally:
            for fd in filled:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    "command, env, finds",
    [
        ("npx", {"PATH": "C:\\a;C:\\node\\"}, "C:\\node\\npx.CMD"),
        ("npx.cmd", {"PATH": "C:\\node"}, "C:\\node\\npx.cmd"),
        ("npx", {"Path": "C:\\node"}, "C:\\node\\npx.CMD"),
        ("C:\\node\\npx", {}, "C:\\node\\npx.CMD"),
        ("npx", {"PATH": "C:\\node", "PATHEXT": ".EXE"}, "npx"),
        ("other", {"PATH": "C:\\node"}, "other"),
    ],
)
def test_a_command_of_windows_is_found_with_its_ending(command: str, env: dict[str, str], finds: str) -> None:
    there = {"c:\\node\\npx.cmd"}
    assert find_windows(command, env, lambda path: path.lower() in there) == finds


# --- deaths ----------------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("way", children.WAYS, ids=lambda way: way.__name__.strip("_"))
def test_every_way_of_noticing_a_death_tells_it_once_and_reaps_only_ours(
    tmp_path: Path, way: Callable[[asyncio.AbstractEventLoop, subprocess.Popen[bytes], Callable[[int], None]], bool],
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        told: list[tuple[int, int]] = []
        others = [subprocess.Popen(["sh", "-c", "exit 9"]) for _ in range(3)]
        late = subprocess.Popen(["true"])
        os.waitid(os.P_PID, late.pid, os.WEXITED | os.WNOWAIT)  # dead before anybody listens
        if not way(loop, late, lambda code: told.append((6, code))):
            pytest.skip("not on this system")
        await until(lambda: told)
        ours = [subprocess.Popen(["sh", "-c", f"sleep 0.0{n}; exit {n}"]) for n in range(6)]
        for number, popen in enumerate(ours):
            way(loop, popen, lambda code, number=number: told.append((number, code)))  # type: ignore[misc]
        await until(lambda: len(told) == 7)
        await asyncio.sleep(0.02)
        assert sorted(told) == [(n, n) for n in range(6)] + [(6, 0)]
        assert [popen.returncode for popen in ours] == list(range(6))
        assert [popen.wait() for popen in others] == [9, 9, 9]
        if sys.platform != "win32" and way is children.WAYS[1]:
            assert signal.getsignal(signal.SIGCHLD) in (signal.SIG_DFL, None)

    run_clean(tmp_path, main)


@linux
def test_a_group_of_zombies_counts_as_gone() -> None:
    """Where nobody reaps orphans (process 1 of many containers) they would be waited for at every close."""
    popen = subprocess.Popen(["sleep", "600"], start_new_session=True)
    assert children.group_alive(popen.pid)
    popen.kill()
    os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)
    os.killpg(popen.pid, 0)  # the system still knows it
    assert not children.group_alive(popen.pid)
    popen.wait()
    assert not children.group_alive(popen.pid) and not alive(popen.pid)
