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
from shack_gateway.catalog.facts import Facts
from shack_gateway.pipeline.call import Complete, Failed
from shack_gateway.pipeline.chain import HookRun, Program
from shack_gateway.pipeline.stages import hooks

PAGE = (ROOT / "shack_gateway" / "docs" / "hooks.md").read_text(encoding="utf-8")
SCRIPTS = dict(re.findall(r"`~/hooks/([a-z-]+\.(?:sh|py))`:\n\n```(?:sh|python)\n(.*?)```", PAGE, re.DOTALL))
JSON = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
EXAMPLES = {next(name for name in SCRIPTS if name in json.dumps(block)): block for block in JSON[1:]
            if "hooks" in block}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the examples are for sh")

Try = Callable[..., Any]


class Shell:
    """Runs hooks as they are configured, and waits for each."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, 0
        bin_ = folder / "bin"
        bin_.mkdir()
        (bin_ / "date").write_text('#!/bin/sh\n[ "$1" = +%H ] && echo ${HOUR:-12} || exec /bin/date "$@"\n')
        (bin_ / "date").chmod(0o755)
        (bin_ / "python3").symlink_to(sys.executable)
        self.environ = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "HOME": str(folder)}

    async def run(self, program: Program, payload: bytes, limit: float) -> HookRun:
        self.runs += 1
        command = program.command
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        done = subprocess.run(argv, input=payload, capture_output=True, timeout=limit, cwd=program.cwd or self.folder,
                              env={**self.environ, **program.env})
        assert not program.stays or done.stdout.count(b"\n") == 1
        return HookRun(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def hook(tmp_path: Path) -> Try:
    """Runs a call with an object of hooks, or with that of an example of the page."""
    shell = Shell(tmp_path)
    (tmp_path / "hooks").mkdir()
    for name, text in SCRIPTS.items():
        (tmp_path / "hooks" / name).write_text(text)

    def run(value: Any, tool: str, arguments: dict[str, Any], answer: Any = None, hour: str = "12") -> tuple[Any, Road]:
        shell.environ["HOUR"] = hour
        knows = Facts(listed=True, arguments=frozenset(arguments))
        given = ports(tmp_path, run_hook=shell.run, facts=lambda call: knows)
        built = stage(hooks, given, hooks=EXAMPLES[value]["hooks"] if isinstance(value, str) else value)
        assert built is not None
        answer = complete(answer or {"content": []}) if not isinstance(answer, Failed) else answer
        road = Road(built, answer=answer)
        server, _, target = tool.partition("__")
        return road.run(call(arguments, server=server, target=target)), road

    return run


def test_every_script_of_the_page_is_tried_here() -> None:
    assert sorted(SCRIPTS) == ["ask-push.sh", "few-rows.sh", "judge.py", "no-keys.sh", "quiet-hours.sh", "record.sh",
                               "redact.sh"]
    assert PAGE.count("```sh") + PAGE.count("```python") == len(SCRIPTS) == len(EXAMPLES)


@pytest.mark.parametrize("tool, hour, blocked", [
    ("files__write_file", "21", True), ("files__write_file", "06", True), ("files__write_file", "08", False),
    ("files__write_file", "19", False), ("files__read_file", "21", False), ("files__delete_all", "00", True),
])
def test_no_writing_at_night(hook: Try, tool: str, hour: str, blocked: bool) -> None:
    outcome, road = hook("quiet-hours.sh", tool, {"tool_name": "mcp__files__read_file"}, hour=hour)
    assert len(road.sent) == (not blocked)
    if blocked:
        assert refused(outcome).text.endswith(": no writing between 20:00 and 07:00")


@pytest.mark.parametrize("tool, arguments, blocked", [
    ("git__push", {}, True), ("shell__run", {"command": "git push origin"}, True),
    ("shell__run", {"command": "cd x && git push"}, True), ("shell__run", {"command": "git pull"}, False),
    ("git__status", {}, False), ("shell__list", {"command": "git push"}, False),
])
def test_pushing_needs_a_person(hook: Try, tool: str, arguments: dict[str, Any], blocked: bool) -> None:
    outcome, road = hook("ask-push.sh", tool, arguments)
    assert len(road.sent) == (not blocked)
    if blocked:
        assert "pushing needs a person" in refused(outcome).text and outcome.stage == "permissions"


@pytest.mark.parametrize("tool, arguments, sent", [
    ("db__query", {"sql": "select 'é'"}, {"sql": "select 'é'", "limit": 50}),
    ("db__query", {"limit": 1000}, {"limit": 50}), ("db__query", {"limit": 50}, {"limit": 50}),
    ("db__other", {"limit": 1000}, {"limit": 1000}),
])
def test_an_argument_is_changed(hook: Try, tool: str, arguments: dict[str, Any], sent: dict[str, Any]) -> None:
    outcome, road = hook("few-rows.sh", tool, arguments)
    assert isinstance(outcome, Complete) and road.sent[0].arguments == sent


def test_a_record_is_kept(hook: Try, tmp_path: Path) -> None:
    outcome, _ = hook("record.sh", "files__read", {"path": "a\nb"})
    assert isinstance(outcome, Complete)
    log = tmp_path / "mcp-calls.log"
    lines = [line.split(" ", 1) for line in log.read_text().splitlines()]
    assert [json.loads(payload)["hook_event_name"] for _, payload in lines] == ["PreToolUse", "PostToolUse"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", when) for when, _ in lines)
    assert log.stat().st_mode & 0o077 == 0


def test_a_record_that_cannot_be_written_blocks_nothing(hook: Try, tmp_path: Path) -> None:
    (tmp_path / "mcp-calls.log").mkdir()
    outcome, _ = hook("record.sh", "files__read", {})
    assert isinstance(outcome, Complete)


def test_keys_are_blacked_out_wherever_they_stand(hook: Try) -> None:
    key = "AKIA" + "X7" * 8
    result = {"content": [{"type": "text", "text": f"it is {key}, é"}], "structuredContent": {"key": key}}
    outcome, _ = hook("redact.sh", "cloud__show", {}, result)
    black = "AKIA" + 16 * "*"
    assert outcome.value == {"content": [{"type": "text", "text": f"it is {black}, é"}],
                             "structuredContent": {"key": black}}


@pytest.mark.parametrize("text, blocked", [
    ("-----BEGIN RSA PRIVATE KEY-----\nMII", True), ("-----BEGIN PRIVATE KEY-----", True),
    ("-----BEGIN PUBLIC KEY-----", False), ("x", False),
])
def test_private_keys_are_held_back(hook: Try, text: str, blocked: bool) -> None:
    outcome, _ = hook("no-keys.sh", "files__read", {}, {"content": [{"type": "text", "text": text}]})
    if blocked:
        assert refused(outcome).text.endswith(": the result holds a private key")
    else:
        assert isinstance(outcome, Complete)


@pytest.mark.parametrize("tool, sql, blocked", [
    ("db__run", "DROP  table x", False), ("db__run", "Drop Table x", True), ("notes__add", "drop table x", False),
])
def test_a_process_that_stays_judges(hook: Try, tool: str, sql: str, blocked: bool) -> None:
    outcome, road = hook("judge.py", tool, {"sql": sql})
    assert len(road.sent) == (not blocked)
    if blocked:
        assert refused(outcome).text.endswith(": tables stay")


# --- hooks as people have them: commands written for the hosts that know such objects ---

READS = "python3 -c 'import json,sys; e=json.load(sys.stdin); sys.exit({})'"
ASIDE = {"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "deny",
                                "permissionDecisionReason": "use the tracker"}}
POST_CONTEXT = {"hookSpecificOutput": {"hookEventName": "PostToolUse", "additionalContext": "lint passed"}}
PEOPLES: list[Any] = [
    pytest.param({"PreToolUse": [{"matcher": "mcp__tracker__.*", "hooks": [
        {"type": "command", "command": "echo 'not now' >&2; exit 2"}]}]}, "not now", id="exit 2"),
    pytest.param({"PreToolUse": [{"matcher": "Bash|Edit|Write|mcp__tracker__add", "hooks": [
        {"type": "command", "command": "exit 2"}]}]}, "blocked by hook (exit code 2)", id="a list of names"),
    pytest.param({"PreToolUse": [{"matcher": "mcp__.*__add.*", "hooks": [
        {"type": "command", "command": f"echo '{json.dumps(ASIDE)}'"}]}]}, "use the tracker", id="JSON that denies"),
    pytest.param({"PreToolUse": [{"hooks": [{"type": "command", "command": READS.format(
        '"api_key" in e["tool_input"].get("text", "") and 2 or 0')}]}]}, None, id="reads its input and lets pass"),
    pytest.param({"PreToolUse": [{"matcher": "*", "hooks": [{"type": "command", "command": READS.format(
        'e["tool_name"] == "mcp__tracker__add" and "a note" in e["tool_input"]["text"] and 2 or 0')}]}]},
        "blocked by hook (exit code 2)", id="reads its input and blocks"),
    pytest.param({"PreToolUse": [{"hooks": [{"type": "command", "command":
        "grep -q '\"tool_name\":\"mcp__tracker__' && { echo 'seen by grep' >&2; exit 2; }; exit 0"}]}]},
        "seen by grep", id="grep in the text"),
    pytest.param({"PreToolUse": [{"hooks": [{"type": "command", "command":
        'test "$(pwd -P)" = "$(cd "$CLAUDE_PROJECT_DIR" && pwd -P)" || exit 2', "timeout": 10,
        "statusMessage": "Looking"}]}]}, None, id="in the project's folder"),
    pytest.param({"PreToolUse": [{"hooks": [{"type": "command", "command": "sh", "args":
        ["-c", "echo \"$1\" >&2; exit 2", "sh", "${CLAUDE_PROJECT_DIR}"]}]}], "Stop": [{"hooks": [
            {"type": "command", "command": "say done"}]}]}, "/", id="a program with arguments"),
    pytest.param({"PostToolUse": [{"matcher": "mcp__tracker__.*", "hooks": [
        {"type": "command", "command": f"echo '{json.dumps(POST_CONTEXT)}'"}]}]}, None, id="context"),
    pytest.param({"PreToolUse": [{"hooks": [{"type": "command", "command": "no-such-command-anywhere"}]}]},
                 "it exited with code 127", id="a command that is not there"),
    pytest.param({"PreToolUse": [{"hooks": [{"type": "command", "command": "no-such-command-anywhere",
                                             "onFailure": "continue"}]}]}, None, id="which may not be there"),
    pytest.param({"PreToolUse": [{"hooks": [{"type": "command", "if": "mcp__tracker__add(a note*)",
                                             "command": "exit 2"}]}]}, None, id="another argument's rule"),
    pytest.param({"PreToolUse": [{"hooks": [{"type": "docker", "command":
        "python3 -c 'import json,sys; sys.exit(json.load(sys.stdin)[\"params\"][\"name\"]!=\"tracker__add\")'"}]}]},
        None, id="an interceptor that looks"),
    pytest.param({"PreToolUse": [{"hooks": [{"type": "docker-exec", "command":
        "cat >/dev/null; echo '{\"content\": [{\"type\": \"text\", \"text\": \"from the cache\"}]}'"}]}]},
        ["from the cache"], id="an interceptor that answers"),
]


@pytest.mark.parametrize("value, said", PEOPLES)
def test_objects_and_commands_that_people_have_work_unchanged(hook: Try, value: Any, said: Any) -> None:
    outcome, road = hook(value, "tracker__add", {"text": "a note"}, {"content": [{"type": "text", "text": "added"}]})
    if isinstance(said, str):
        assert said in refused(outcome).text and road.sent == []
    elif isinstance(said, list):
        assert [block["text"] for block in outcome.value["content"]] == said and road.sent == []
    else:
        assert isinstance(outcome, Complete) and len(road.sent) == 1


# --- the page itself ---

def seen(**settings: Any) -> list[bytes]:
    found: list[bytes] = []

    async def shell(program: Program, payload: bytes, limit: float) -> HookRun:
        found.append(payload)
        return HookRun(0, "", "")

    built = stage(hooks, ports("/home/me/project", run_hook=shell, session="3f2a"), **settings)
    assert built is not None
    way = Road(built, answer=complete({"content": [{"type": "text", "text": "done"}]}))
    way.run(call({"path": "a.txt", "content": "x"}, server="files", target="write_file"))
    return found


def test_the_page_shows_what_hooks_really_read() -> None:
    shown = re.findall(r'^\{"hook_event_name.*$', PAGE, re.MULTILINE)
    assert [payload.decode() for payload in seen(pre_tool_hook="x", post_tool_hook="x")] == [f"{s}\n" for s in shown]
    [event] = [block for block in JSON if block.get("tool_use_id")]
    [payload] = seen(hooks={"PreToolUse": [{"hooks": [{"command": "x"}]}]})
    assert json.loads(payload) == event


def test_the_configurations_on_the_page_are_read_without_a_word() -> None:
    configurations = [block for block in JSON if {"hooks", "pre_tool_hook"} & set(block)]
    assert len(configurations) == len(EXAMPLES) + 2
    for block in configurations:
        assert stage(hooks, ports(), **block) is not None
