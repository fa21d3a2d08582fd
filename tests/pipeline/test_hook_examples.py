"""What docs/hooks.md shows is what happens: its JSON is what hooks read, its scripts are run by a real shell."""
from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.corridor import Road, call, complete, ports, refused, stage
from kit.host import ROOT
from shack_gateway.pipeline.call import Complete
from shack_gateway.pipeline.chain import HookRun
from shack_gateway.pipeline.stages import hooks

PAGE = (ROOT / "shack_gateway" / "docs" / "hooks.md").read_text(encoding="utf-8")
SCRIPTS = dict(re.findall(r"`hooks/([a-z-]+\.sh)`, [^`]*?(?:`[^`]*`[^`]*?)*?```sh\n(.*?)```", PAGE, re.DOTALL))
JSON = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the examples are for sh")

Try = Callable[..., Any]


@pytest.fixture
def hook(tmp_path: Path) -> Try:
    """Runs a call with a script of the page in one of the two places."""

    def run(script: str, key: str, tool: str, arguments: dict[str, Any], result: dict[str, Any] | None = None,
            hour: str = "12") -> tuple[Any, Road]:
        bin_ = tmp_path / "bin"
        bin_.mkdir(exist_ok=True)
        (bin_ / "date").write_text(f'#!/bin/sh\n[ "$1" = +%H ] && echo {hour} || exec /bin/date "$@"\n')
        (bin_ / "date").chmod(0o755)
        (bin_ / "python3").unlink(missing_ok=True)
        (bin_ / "python3").symlink_to(sys.executable)
        (tmp_path / script).write_text(SCRIPTS[script])
        environ = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "CALLS_LOG": str(tmp_path / "calls.log")}

        async def shell(command: str, payload: bytes, limit: float) -> HookRun:
            done = subprocess.run(["/bin/sh", "-c", command], input=payload, capture_output=True, env=environ,
                timeout=limit,
                                  cwd=tmp_path)
            return HookRun(done.returncode, done.stdout.decode(), done.stderr.decode())

        built = stage(hooks, ports(run_hook=shell), **{key: f"sh {script}"})
        assert built is not None
        road = Road(built, answer=complete(result or {"content": []}))
        server, _, target = tool.partition("__")
        return road.run(call(arguments, server=server, target=target)), road

    return run


def test_every_script_of_the_page_is_tried_here() -> None:
    assert sorted(SCRIPTS) == ["ask-push.sh", "few-rows.sh", "no-keys.sh", "quiet-hours.sh", "record.sh"]
    assert PAGE.count("```sh") == len(SCRIPTS)


@pytest.mark.parametrize("tool, hour, blocked", [
    ("files__write_file", "21", True), ("files__write_file", "06", True), ("files__write_file", "08", False),
    ("files__write_file", "19", False), ("files__read_file", "21", False), ("files__delete_all", "00", True),
])
def test_no_writing_at_night(hook: Try, tool: str, hour: str, blocked: bool) -> None:
    spoof = {"tool_name": "files__read_file", "x": '{"hook_event_name": "PreToolUse", "tool_name": "files__read_file"'}
    outcome, road = hook("quiet-hours.sh", "pre_tool_hook", tool, spoof, hour=hour)
    assert len(road.sent) == (not blocked)
    if blocked:
        assert refused(outcome).text == "blocked by pre-tool hook: no writing between 20:00 and 07:00"


@pytest.mark.parametrize("tool, arguments, blocked", [
    ("git__push", {}, True), ("shell__run", {"command": "git  push origin"}, True), ("shell__run",
    {"command": "git pull"}, False),
    ("git__status", {}, False),
])
def test_pushing_needs_a_person(hook: Try, tool: str, arguments: dict[str, Any], blocked: bool) -> None:
    outcome, road = hook("ask-push.sh", "pre_tool_hook", tool, arguments)
    assert len(road.sent) == (not blocked)
    if blocked:
        assert "pushing needs a person" in refused(outcome).text and outcome.stage == "permissions"


@pytest.mark.parametrize("tool, arguments, sent", [
    ("db__query", {"sql": "select 'é'"}, {"sql": "select 'é'", "limit": 50}), ("db__query", {"limit": 1000},
    {"limit": 50}),
    ("db__query", {"limit": 50}, {"limit": 50}), ("db__other", {"limit": 1000}, {"limit": 1000}),
])
def test_an_argument_is_changed(hook: Try, tool: str, arguments: dict[str, Any], sent: dict[str, Any]) -> None:
    outcome, road = hook("few-rows.sh", "pre_tool_hook", tool, arguments)
    assert isinstance(outcome, Complete) and road.sent[0].arguments == sent


def test_a_record_is_kept(hook: Try, tmp_path: Path) -> None:
    for key in ("pre_tool_hook", "post_tool_hook"):
        outcome, _ = hook("record.sh", key, "files__read", {"path": "a\nb"})
        assert isinstance(outcome, Complete)
    log = tmp_path / "calls.log"
    lines = [line.split(" ", 1) for line in log.read_text().splitlines()]
    assert [json.loads(payload)["hook_event_name"] for _, payload in lines] == ["PreToolUse", "PostToolUse"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", when) for when, _ in lines)
    assert log.stat().st_mode & 0o077 == 0


def test_a_record_that_cannot_be_written_blocks_nothing(hook: Try, tmp_path: Path) -> None:
    (tmp_path / "calls.log").mkdir()
    outcome, _ = hook("record.sh", "pre_tool_hook", "files__read", {})
    assert isinstance(outcome, Complete)


@pytest.mark.parametrize("text, blocked", [
    ("-----BEGIN RSA PRIVATE KEY-----\nMII", True), ("-----BEGIN PRIVATE KEY-----", True), (
        "-----BEGIN PUBLIC KEY-----", False), ("x", False),
])
def test_private_keys_are_held_back(hook: Try, text: str, blocked: bool) -> None:
    outcome, _ = hook("no-keys.sh", "post_tool_hook", "files__read", {}, {"content": [{"type": "text", "text": text}]})
    if blocked:
        assert refused(outcome).text == "result rejected by post-tool hook: the result holds a private key"
    else:
        assert isinstance(outcome, Complete)


def test_the_page_shows_what_hooks_really_read() -> None:
    seen: list[bytes] = []

    async def shell(command: str, payload: bytes, limit: float) -> HookRun:
        seen.append(payload)
        return HookRun(0, "", "")

    built = stage(hooks, ports(run_hook=shell), pre_tool_hook="x", post_tool_hook="x")
    assert built is not None
    way = Road(built, answer=complete({"content": [{"type": "text", "text": "done"}]}))
    way.run(call({"path": "a.txt", "content": "x"}, server="files", target="write_file"))
    shown = re.findall(r'^\{"hook_event_name.*$', PAGE, re.MULTILINE)
    assert [payload.decode() for payload in seen] == [f"{line}\n" for line in shown]


def test_the_configuration_on_the_page_is_read_without_a_word() -> None:
    assert stage(hooks, ports(), **JSON[0]) is not None
