"""An allow rule lets no command through that its writer did not mean, judged by what real shells do.  Seeded."""
from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kit.corridor import call, ports, stage
from kit.corridor import run as driven
from shack_gateway.pipeline.call import Call
from shack_gateway.pipeline.chain import Stage
from shack_gateway.pipeline.stages import permissions


def allowing(*contents: str) -> Stage:
    rules = [f"sh__run({content})" for content in contents]
    built = stage(permissions, ports("/ws", realpath=lambda path: path), permissions={
        "default_decision": "deny", "allow": rules})
    assert built is not None
    return built


def passes(judge: Stage, command: str) -> bool:
    return isinstance(driven(judge.before(call({"command": command}, server="sh", target="run"))), Call)


@pytest.mark.parametrize("rule", ["ok*", "*", "o*", "*zap", "* zap", "ok* zap", "ok* *", "ok*:*", "*=* zap", "ok=*"])
@pytest.mark.parametrize("command", [
    "okPATH=.LC_ALL=C zap", "ok=x zap", "ok+=1 zap", "ok[0]=x zap", "ok[a b]=x zap", "ok['x y']+=1 zap", "ok= zap",
    "ok='a b' zap", "LC_ALL=C ok=1 zap", "nohup LANG=C okA=1 zap", "ok=1 okB=2\tzap", "ok.a=1 zap", "oké=1 zap",
    "ok; okA=1 zap", "ok=1", "ok=x$(zap)",
])
def test_no_pattern_is_about_assignments_before_a_command(rule: str, command: str) -> None:
    assert rule == "*" or not passes(allowing(rule, "ok"), command)


@pytest.mark.parametrize("rule, command, verdict", [
    ("ok*", "ok", True), ("ok*", "okay -x", True), ("ok*", "ok a=1", True), ("ok*", "LC_ALL=C ok", True),
    ("ok*", "ok x[1]=2", True), ("ok*", "ok[12] x", True), ("* -v", "LANG=C ok -v", True), ("* -v", "A=1 ok -v", False),
    ("A=1 make:*", "A=1 make x", True), ("A=1 make:*", "A=1  make", True), ("A=1 make:*", "make", False),
    ("A=1 make:*", "A=2 make", False), ("A=1 make:*", "A=1 B=2 make", False), ("A=1 make:*", "B=2 A=1 make", False),
    ("A=1 make", "A=1 make && A=1 make", True), ("A=1 make", "A=1 make && make", False),
    ("A=1 make*", "A=1 maker", True), ("A=1 make*", "A=1 makeB=2 zap", False), ("A=1 m*e x", "A=1 make x", True),
    ("A=1 *", "A=1 zap", True), ("A=1 *", "A=1 B=2 zap", False), ("A=1:*", "A=1 zap", True), ("A=1:*", "A=12 zap",
    False), ("A='x y' make", "A='x y' make;A='x y' make", True), ("A=*", "A=1 zap", False), ("A=1 B=* zap",
    "A=1 B=2 zap", False), ("PATH=.", "PATH=. && PATH=.", True), ("PATH=.", "PATH=. zap", False),
    ("nohup A=1 make", "nohup A=1 make; nohup A=1 make", True), ("time*", "time A=1 zap", False),
])
def test_assignments_that_stand_in_the_rule_are_allowed_as_they_stand_there(
    rule: str, command: str, verdict: bool,
) -> None:
    assert passes(allowing(rule), command) is verdict


PIECES = ["ok", "ok a", "okA=1", "ok+=1", "ok[0]=x", "ok[1 ]=x", "ok=x$(zap)", "A=1", "LC_ALL=C", "TZ='a b'", "ok=\\ ",
          "zap", "a", "=", "+=", "[", "]", "'", "nohup", "time", "timeout 5", "PATH=.", "&&", ";", "|", "-x", "ok=",
          "xargs"]
RULES = ["ok*", "ok a*", "o*", "ok:*", "A=1 ok*", "ok* a", "A=1 ok *"]
MOST_RUN = 30
SHELLS = [shell for shell in ("bash", "dash", "zsh") if shutil.which(shell)]


@pytest.mark.skipif(sys.platform == "win32" or not SHELLS, reason="a shell of POSIX")
@pytest.mark.parametrize("seed, rule", list(enumerate(RULES)), ids=RULES)
def test_no_shell_runs_another_command_for_what_a_pattern_lets_through(tmp_path: Path, seed: int, rule: str) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("ok", "exit 0"), ("zap", f"echo >> '{tmp_path}/hit'")):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    judge, chance, ran = allowing(rule), random.Random(seed), 0
    for _ in range(8000):
        pieces = [chance.choice(PIECES) for _ in range(chance.randint(1, 5))]
        line = chance.choice(["", "", "A=1 ", "ok"]) + chance.choice(["", " "]).join(pieces)
        if ran < MOST_RUN and passes(judge, line):
            ran += 1
            for shell in SHELLS:
                subprocess.run([shell, "-c", line], env={"PATH": f"{folder}:/usr/bin:/bin"}, cwd=tmp_path,
                               stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
                assert not (tmp_path / "hit").exists(), (shell, line)
    assert ran > 5
