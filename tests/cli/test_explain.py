"""`explain` says what would come of a call, stage by stage, and sends nothing."""
from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit import Scene
from kit.host import ROOT
from shack_gateway.cli.explain import changes, read
from shack_gateway.cli.main import main
from shack_gateway.pipeline.stages import ORDER

LONG = "a_tool_with_a_name_that_is_far_too_long_for_any_of_the_hosts_that_there_are"
SAID = (ROOT / "shack_gateway" / "docs" / "commands.md").read_text(encoding="utf-8")
STAGES = [file.name for file in ORDER]
POLICY: dict[str, Any] = {
    "permissions": {"deny": ["files__delete", "files__write(secret:*)", "mcp__shack__files__resources/read(mem://no)"],
                    "ask": ["files__move"]},
    "hidden": ["files__hid*"],
    "redact_fields": ["password"],
}
posix = pytest.mark.skipif(sys.platform == "win32", reason="hooks for the shell of POSIX")


class Town:
    """Two servers, whose lists are known from an earlier run; a third that was never started."""

    def __init__(self, folder: Path) -> None:
        self.scene = scene = Scene(folder)
        reads = {"name": "read", "annotations": {"readOnlyHint": True}}
        scene.server("files", reads, *[{"name": name} for name in ("write", "delete", "move", "hidden", LONG)],
                     resources=[{"uri": "mem://a", "name": "a"}], prompts=[{"name": "summary"}],
                     entry={"rename": {"move": "shift"}})
        scene.server("files__far", {"name": "read"})
        with pytest.MonkeyPatch.context() as patch:
            self.enter(patch)
            assert main(["check", "--connect", "--json", "--config", str(scene.config())]) == 0
        scene.server("new", {"name": "grow"}, entry={"exclude": ["shrink"], "rename": {"seed": "sow"}})
        scene.server("off", {"name": "x"}, entry={"enabled": False})
        self.begun = self.events()

    def enter(self, patch: pytest.MonkeyPatch) -> None:
        for name, value in self.scene.environ().items():
            patch.setenv(name, value)
        patch.chdir(self.scene.folder)

    def events(self) -> dict[str, Any]:
        """Everything that could tell of a call: what servers received, their starts, and our own files."""
        state = self.scene.folder / "state"
        found: dict[str, Any] = {name: (self.scene.received(name), self.scene.starts(name))
                                 for name in ("files", "files__far", "new", "off")}
        found["state"] = {str(path): path.read_bytes() for path in sorted(state.rglob("*")) if path.is_file()}
        return found


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    made = Town(tmp_path_factory.mktemp("town"))
    yield made
    made.scene.close()


class Explainer:
    """Calls the command; after every call nothing has been started, sent or written."""

    def __init__(self, town: Town, capsys: pytest.CaptureFixture[str]) -> None:
        self._town, self._capsys = town, capsys
        self.folder = town.scene.folder

    def run(self, *words: str, **settings: Any) -> tuple[int, str, str]:
        path = self._town.scene.config(**{**POLICY, **settings})
        self._capsys.readouterr()
        code = main(["explain", "--config", str(path), *words])
        out, err = self._capsys.readouterr()
        if "--connect" not in words:
            assert self._town.events() == self._town.begun
        return code, out, err

    def json(self, *words: str, **settings: Any) -> dict[str, Any]:
        """The object of `--json`; the exit code agrees with it, and so does the text for people."""
        code, out, err = self.run(*words, "--json", **settings)
        found: dict[str, Any] = json.loads(out)
        assert err == "" and code == (0 if found["verdict"] == "sent" else 1)
        assert (found["sent"] is not None) == (found["verdict"] == "sent")
        plain = self.run(*words, **settings)
        assert plain[0] == code and ("would be sent to" in plain[1]) == (code == 0)
        return found


@pytest.fixture
def explain(town: Town, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Explainer:
    town.enter(monkeypatch)
    return Explainer(town, capsys)


def said(found: dict[str, Any]) -> dict[str, str]:
    """The last verdict of each stage."""
    return {step["stage"]: step["verdict"] for step in found["steps"]}


# --- what comes of a call --------------------------------------------------------------------------------------------


def test_a_call_that_passes_is_shown_as_its_server_would_have_it(explain: Explainer) -> None:
    found = explain.json("files__write", '{"path": "a", "password": "hunter2"}')
    assert (found["verdict"], found["kind"], found["server"], found["listed"]) == ("sent", "tool", "files", True)
    assert found["sent"] == {"name": "write", "arguments": {"path": "a", "password": "***REDACTED***"}}
    assert [step["stage"] for step in found["steps"]] == STAGES
    assert set(said(found).values()) <= {"passes", "idle"} and said(found)["permissions"] == "passes"
    code, out, _ = explain.run("files__write", '{"path": "a", "password": "hunter2"}')
    assert code == 0 and "hunter2" not in out
    assert out.endswith('\nwould be sent to files: '
                        '{"name": "write", "arguments": {"path": "a", "password": "***REDACTED***"}}\n')


REFUSED = [
    ("files__delete", "{}", "permissions", "files__delete"),
    ("files__write", '{"path": "secret/x"}', "permissions", "files__write(secret:*)"),
    ("files__write", '{"path": "./x/../secret/x"}', "permissions", "files__write(secret:*)"),
    ("files__write", '{"path": "/etc/passwd"}', "sandbox", "path"),
    ("files__resources/read", '{"uri": "file:///etc/passwd"}', "sandbox", "uri"),
    ("files__resources/read", '{"uri": "mem://no"}', "permissions", "mcp__shack__files__resources/read(mem://no)"),
]


@pytest.mark.parametrize("name, arguments, stage, rule", REFUSED, ids=[f"{r[0]} {r[1]}" for r in REFUSED])
def test_a_refused_call_names_stage_and_rule(
    explain: Explainer, name: str, arguments: str, stage: str, rule: str
) -> None:
    found = explain.json(name, arguments)
    assert found["verdict"] == "refused" and said(found)[stage] == "refuses"
    step = next(step for step in found["steps"] if step["stage"] == stage)
    assert step["rule"] == rule and step["why"]
    behind = STAGES[STAGES.index(stage) + 1 :]
    assert {said(found)[each] for each in behind} <= {"unreached", "idle"} and said(found)["masking"] == "unreached"
    code, out, _ = explain.run(name, arguments)
    assert code == 1 and rule in out and out.endswith("\nnothing would be sent\n")


def test_a_tool_that_no_host_is_shown_is_explained_all_the_same(explain: Explainer) -> None:
    assert "no host is shown it" in explain.json("files__delete")["note"]
    assert explain.json("files__write")["note"] is None


def test_a_call_that_the_user_would_be_asked_about_gets_no_code(explain: Explainer) -> None:
    found = explain.json("files__shift", '{"path": "a"}')
    assert found["verdict"] == "asks"
    step = next(step for step in found["steps"] if step["verdict"] == "asks")
    assert (step["stage"], step["rule"]) == ("permissions", "ask: files__move")
    code, out, _ = explain.run("files__shift", '{"path": "a"}')
    assert code == 1 and "would ask" in out and "shack-gateway approve" not in out


def test_an_approval_that_waits_in_the_state_folder_is_left_there(explain: Explainer) -> None:
    """What was approved in a terminal counts for the call of a host, once; looking must not use it up."""
    folder = explain.folder / "state" / "approvals"
    assert not folder.exists() or not any(folder.iterdir())
    assert explain.json("files__shift", "{}", permissions={"default_decision": "prompt"})["verdict"] == "asks"
    assert not folder.exists() or not any(folder.iterdir())


def test_every_stage_has_its_say(explain: Explainer) -> None:
    """With something configured for each of them, none is idle, and what an injection made is judged again."""
    settings: dict[str, Any] = {
        "profile": "small", "profiles": {"small": {"deny": ["files__delete"]}},
        "limits": [{"tool": "files__*", "calls_per_minute": 1}],
        "guardrails": [{"argument": "text", "contains": "swordfish"}],
        "injections": [{"tool": "files__*", "set": {"label": "mine"}}],
        "dry_run": True,
    }
    found = explain.json("files__read", '{"path": "a"}', **settings)
    assert said(found) == {**dict.fromkeys(STAGES, "passes"), "injections": "changes", "hooks": "idle"}
    assert [step["stage"] for step in found["steps"] if step["again"]] == [
        "profiles", "sandbox", "permissions", "guardrails"]
    assert all(step["why"] for step in found["steps"] if step["stage"] in ("limits", "injections", "dry_run"))
    assert found["sent"]["arguments"] == {"path": "a", "label": "mine"}

    found = explain.json("files__write", '{"text": "swordfish"}', **settings)
    assert found["verdict"] == "refused" and said(found)["guardrails"] == "refuses"
    assert found["steps"][STAGES.index("guardrails")]["rule"].startswith("guardrails[0]")

    found = explain.json("files__write", '{"text": "trout"}', **settings)
    assert found["verdict"] == "answered" and said(found)["dry_run"] == "answers"
    assert next(step["why"] for step in found["steps"] if step["stage"] == "dry_run").startswith("Dry run")

    settings["injections"][0]["set"] = {"path": "secret/x"}
    found = explain.json("files__write", "{}", **settings)
    assert found["verdict"] == "refused" and found["steps"][-1]["verdict"] == "unreached"
    assert [step["stage"] for step in found["steps"] if step["verdict"] == "refuses"] == ["permissions"]


# --- what a name means -----------------------------------------------------------------------------------------------

MEANT = [
    ("files__read", "tool", "files", "read"),
    ("mcp__files__read", "tool", "files", "read"),
    ("mcp__shack__files__read", "tool", "files", "read"),
    ("files__shift", "tool", "files", "move"),
    ("files__far__read", "tool", "files__far", "read"),
    (f"files__{LONG}", "tool", "files", LONG),
    ("files__summary", "prompt", "files", "summary"),
    ("new__grow", "tool", "new", "grow"),
    ("new__sow", "tool", "new", "seed"),
]


@pytest.mark.parametrize("name, kind, server, target", MEANT, ids=[row[0][:40] for row in MEANT])
def test_a_name_means_the_same_in_every_spelling(
    explain: Explainer, name: str, kind: str, server: str, target: str
) -> None:
    found = explain.json(name, permissions=None)
    assert (found["verdict"], found["kind"], found["server"], found["target"]) == ("sent", kind, server, target)


@pytest.mark.parametrize("name, begins", [("mcp__files__read", "mcp__"), ("mcp__shack__files__read", "mcp__shack__"),
                                          ("mcp__files__resources/read", "mcp__")])
def test_a_name_that_only_rules_know_is_said_to_have_been_read_otherwise(
    explain: Explainer, name: str, begins: str
) -> None:
    note = f"read as `{name.removeprefix(begins)}`: a host itself adds `{begins}`, and a call that brings it is unknown"
    given = '{"uri": "mem://a"}'
    code, out, _ = explain.run(name, given, permissions=None)
    assert code == 0 and out.splitlines()[1] == f"  {note}"
    assert explain.json(name, given, permissions=None)["note"] == note
    bare = explain.json(name.removeprefix(begins), given, permissions=None)
    assert bare["note"] is None and bare["verdict"] == "sent"


def test_a_shortened_name_is_the_tool_it_is_shown_for(explain: Explainer, town: Town) -> None:
    found = explain.json(f"files__{LONG}")
    code, out, _ = explain.run(f"files__{LONG}")
    shown = out.partition(":")[0]
    assert code == 0 and len(shown) == 64
    assert explain.json(shown)["target"] == found["target"] == LONG


def test_the_call_inside_of_the_meta_tool_is_what_is_explained(explain: Explainer) -> None:
    inner = json.dumps({"name": "files__delete", "arguments": {"path": "x"}})
    for name in ("shack_call_tool", "mcp__shack__shack_call_tool"):
        found = explain.json(name, inner)
        assert (found["server"], found["target"], found["verdict"]) == ("files", "delete", "refused")


def test_a_resource_is_read_by_its_uri(explain: Explainer) -> None:
    found = explain.json("mcp__shack__files__resources/read", '{"uri": "mem://a"}')
    assert (found["kind"], found["listed"], found["sent"]) == ("resource", True, {"uri": "mem://a"})
    code, _, err = explain.run("files__resources/read", '{"url": "mem://a"}')
    assert code == 2 and '{"uri": "..."}' in err


UNKNOWN = [
    ("files__reed", "lists no tool or prompt `reed`; did you mean `files__read`"),
    ("files__far__nope", "the server `files__far` lists no tool or prompt `nope`"),
    ("flies__read", "configured server's name"),
    ("read", "configured server's name"),
    ("files__hidden", "hidden by `files__hid*` in `hidden`"),
    ("mcp__files__hidden", "hidden by `files__hid*` in `hidden`"),
    ("files__move", "`servers.files.rename` has it called `files__shift`"),
    ("new__shrink", "hidden by `shrink` in `servers.new.exclude`"),
    ("off__x", "is disabled"),
    ("files", "it is a server; its tools are called `files__...`"),
    ("mcp__new", "it is a server; its tools are called `new__...`"),
    ("files__", "it is the beginning of a name"),
    ("new__", "it is the beginning of a name"),
    ("new__*", "it is a pattern or a rule"),
    ("files__write(secret:*)", "it is a pattern or a rule"),
]


@pytest.mark.parametrize("name, why", UNKNOWN, ids=[name for name, _ in UNKNOWN])
def test_what_the_host_does_not_know_is_said_to_be_unknown(explain: Explainer, name: str, why: str) -> None:
    found = explain.json(name)
    assert found["verdict"] == "unknown" and why in found["note"] and found["steps"] == []
    code, out, _ = explain.run(name)
    assert code == 1 and f"`{name}` is unknown to the host\n" in out and why in out


@pytest.mark.parametrize("name", ["shack_list_tools", "mcp__shack__shack_list_servers", "shack__read_result"])
def test_a_tool_of_the_gateway_is_not_said_to_be_unknown(explain: Explainer, name: str) -> None:
    found = explain.json(name)
    assert (found["verdict"], found["sent"], found["steps"]) == ("answered", None, [])
    code, out, _ = explain.run(name)
    assert code == 1 and "is answered by the gateway itself" in out and "unknown" not in out


def test_a_server_whose_lists_are_not_known_is_judged_all_the_same(explain: Explainer) -> None:
    found = explain.json("new__grow", '{"path": "/etc/x"}')
    assert (found["verdict"], found["listed"]) == ("refused", False)
    for name, arguments in (("new__grow", "{}"), ("new__resources/read", '{"uri": "mem://x"}')):
        _, out, _ = explain.run(name, arguments)
        assert "not known to list" in out and "\n  what the server `new` lists is not known" in out
        assert "; `--connect` starts it" in out


def test_with_connect_the_servers_say_what_they_have(explain: Explainer, town: Town) -> None:
    """Whatever was started is asked for its lists, and for nothing else."""
    code, out, _ = explain.run("new__grow", "--connect")
    assert code == 0 and "not known" not in out
    assert {message["method"] for message in town.scene.received("new")} & {"tools/call", "prompts/get"} == set()
    town.begun = town.events()
    assert explain.run("new__grwo", "--connect")[0] == 1
    assert not town.scene.received("files", "tools/call") and not town.scene.received("files", "resources/read")
    town.begun = town.events()


def test_a_profile_is_taken_from_the_command_line(explain: Explainer) -> None:
    assert explain.json("files__read", "--profile", "readonly")["verdict"] == "sent"
    found = explain.json("files__write", "--profile", "readonly")
    assert said(found)["profiles"] == "refuses" and found["steps"][0]["rule"] == "readonly"
    assert explain.run("files__read", "--profile", "nosuch")[0] == 1


# --- hooks -----------------------------------------------------------------------------------------------------------


def hook(folder: Path, *lines: str) -> str:
    path = folder / "hook.sh"
    path.write_text("\n".join(("#!/bin/sh", "cat > hook.saw", *lines)) + "\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def answers(**specific: Any) -> str:
    return "echo '" + json.dumps({"hookSpecificOutput": {"hookEventName": "PreToolUse", **specific}}) + "'"


@posix
def test_hooks_are_run_and_what_they_said_is_told(explain: Explainer) -> None:
    line = hook(explain.folder, answers(updatedInput={"path": "b", "password": "hunter2"}), "echo why >&2")
    found = explain.json("files__write", '{"path": "a"}', pre_tool_hook=line)
    assert found["sent"]["arguments"] == {"path": "b", "password": "***REDACTED***"}
    step = next(step for step in found["steps"] if step["stage"] == "hooks")
    assert step["verdict"] == "changes" and step["arguments"] == found["sent"]["arguments"]
    assert step["trace"][0].startswith("pre_tool_hook: exit code 0 (") and "why" in step["trace"][2]
    assert "hunter2" not in str(found)
    assert (explain.folder / "hook.saw").exists()
    _, out, _ = explain.run("files__write", '{"path": "a"}', pre_tool_hook=line)
    assert '- "path": "a"' in out and '+ "path": "b"' in out and "hunter2" not in out


@posix
def test_a_stage_that_has_nothing_to_say_again_says_no_more_than_again(explain: Explainer) -> None:
    _, out, _ = explain.run("files__write", '{"a": 1}', guardrails=[{"tool": "files__read", "contains": "x"}],
                            injections=[{"tool": "files__write", "set": {"b": 2}}])
    assert re.search(r"^  guardrails +passes +again$", out, re.MULTILINE), out


def test_what_a_hook_changed_is_judged_again(explain: Explainer) -> None:
    line = hook(explain.folder, answers(updatedInput={"path": "secret/key"}))
    found = explain.json("files__write", '{"path": "a"}', pre_tool_hook=line)
    assert found["verdict"] == "refused"
    steps = [(step["stage"], step["verdict"]) for step in found["steps"] if step["again"]]
    assert steps == [("sandbox", "passes"), ("permissions", "refuses")]
    assert said(found)["masking"] == "unreached"


BLOCKS = [
    (["echo no money >&2", "exit 2"], "exit code 2", "no money"),
    ([answers(permissionDecision="deny", permissionDecisionReason="not today")], "exit code 0", "not today"),
    (["kill -9 $$"], "", ""),
    (["echo '{'"], "exit code 0", "JSON"),
]


@posix
@pytest.mark.parametrize("lines, end, why", BLOCKS, ids=["exit 2", "deny", "killed", "garbage"])
def test_a_hook_that_blocks_is_the_rule(explain: Explainer, lines: list[str], end: str, why: str) -> None:
    command = {"type": "command", "command": hook(explain.folder, *lines)}
    found = explain.json("files__write", hooks={"PreToolUse": [{"matcher": "mcp__files__.*", "hooks": [command]}]})
    step = next(step for step in found["steps"] if step["stage"] == "hooks")
    place = "hooks.PreToolUse[0].hooks[0]"
    assert (step["verdict"], step["rule"]) == ("refuses", place)
    assert step["trace"][0].startswith(f"{place}: {end}") and why in step["why"]


@posix
def test_a_hook_that_asks_would_ask(explain: Explainer) -> None:
    line = hook(explain.folder, answers(permissionDecision="ask"))
    found = explain.json("files__write", pre_tool_hook=line)
    step = next(step for step in found["steps"] if step["verdict"] == "asks")
    assert (found["verdict"], step["stage"], step["rule"]) == ("asks", "hooks", "pre_tool_hook")


@posix
def test_hooks_behind_a_call_are_not_run(explain: Explainer) -> None:
    line = hook(explain.folder)
    (explain.folder / "hook.saw").unlink(missing_ok=True)
    assert explain.json("files__write", post_tool_hook=line)["verdict"] == "sent"
    assert not (explain.folder / "hook.saw").exists()


GOING: dict[str, Any] = {
    "permissions": {"deny": ["files__delete", "files__write(secret:*)"]},
    "limits": [{"tool": "files__*", "calls_per_minute": 1000}],
    "guardrails": [{"argument": "text", "contains": "swordfish"}],
    "injections": [{"tool": "files__write", "set": {"label": "mine"}}],
    "redact_fields": [],
}
SENDING: list[tuple[str, dict[str, Any] | None]] = [
    ("files__read", {"path": "a"}), ("files__read", {}), ("files__read", None), ("files__shift", {"path": "b"}),
    ("files__write", {"path": "x", "n": 1.5, "text": "ü\u2028", "deep": [{"a": None}]}),
    ("files__write", {"path": "rewrite me"}), ("files__summary", {"path": "p"}), ("files__summary", None),
    (f"files__{LONG}", {"path": "x"}), ("files__resources/read", {"uri": "mem://a"}),
]
REFUSING: list[tuple[str, dict[str, Any]]] = [
    ("files__write", {"path": "block me"}), ("files__write", {"path": "secret/x"}), ("files__delete", {}),
    ("files__read", {"path": "lead out"}), ("files__write", {"text": "swordfish"}),
    ("files__write", {"path": "/etc/passwd"}),
]


@posix
def test_what_is_said_to_be_sent_is_what_the_server_receives_and_a_refusal_is_the_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(tmp_path)
    tools = [{"name": name} for name in ("read", "write", "delete", "move", LONG)]
    scene.server("files", *tools, prompts=[{"name": "summary"}],
                 resources=[{"uri": "mem://a", "name": "a"}], entry={"rename": {"move": "shift"}})
    line = hook(tmp_path, 'case "$(cat hook.saw)" in', "*rewrite*)", answers(updatedInput={"path": "b", "n": 2}), ";;",
                "*lead*)", answers(updatedInput={"path": "../x"}), ";;", "*block*) echo no money >&2; exit 2;;", "esac")
    host = scene.start(**GOING, hooks={"PreToolUse": [{"hooks": [{"command": line}]}]})
    host.handshake()
    shown = [tool["name"] for tool in host.request("tools/list")["result"]["tools"]]
    received = []
    for name, arguments in SENDING:
        method = {"files__summary": "prompts/get", "files__resources/read": "resources/read"}.get(name, "tools/call")
        name = name if len(name) <= 64 else next(each for each in shown if each.startswith("files__a_tool"))
        asked = {"name": name, **({} if arguments is None else {"arguments": arguments})}
        asked = arguments or {} if method == "resources/read" else asked
        count = len(scene.received("files", method))
        assert "result" in host.request(method, asked)
        [got] = scene.received("files", method)[count:]
        received.append({key: value for key, value in got["params"].items() if key != "_meta"})
    refused = [host.call(name, arguments)["error"]["message"] for name, arguments in REFUSING]
    scene.close()

    for key, value in scene.environ().items():
        monkeypatch.setenv(key, value)

    def explained(name: str, arguments: dict[str, Any] | None) -> dict[str, Any]:
        words = [] if arguments is None else [json.dumps(arguments)]
        main(["explain", "--json", "--config", str(tmp_path / "shack-config.json"), name, *words])
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    assert [explained(*call)["sent"] for call in SENDING] == received
    for call, text in zip(REFUSING, refused):
        found = explained(*call)
        assert found["sent"] is None
        assert [step["why"] for step in found["steps"] if step["verdict"] == "refuses"] == [text]


# --- the command line ------------------------------------------------------------------------------------------------

WRONG = [
    ("{", "are no JSON"), ("[]", "must be a JSON object"), ('"a"', "must be a JSON object"), ("NaN", "are no JSON"),
    ('{"a": NaN}', "are no JSON"), ("[" * 100_000, "are nested too deeply"), ("path=a", "are no JSON"),
]


@pytest.mark.parametrize("text, why", WRONG, ids=[text[:10] for text, _ in WRONG])
def test_wrong_arguments_are_a_wrong_command_line(explain: Explainer, text: str, why: str) -> None:
    code, out, err = explain.run("files__read", text)
    assert (code, out) == (2, "") and f"error: the arguments {why}" in err
    assert """write for example '{"path": "a"}'""" in err or "deeply" in why


def test_arguments_may_come_from_standard_input(explain: Explainer, monkeypatch: pytest.MonkeyPatch) -> None:
    for raw, code in ((b'{"path": "a"}', 0), (b'{"path": "secret/x"}', 1), (b"\xff", 2), (b"", 0)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        assert explain.run("files__write", "-")[0] == code


def test_without_a_name_there_is_nothing_to_explain(explain: Explainer) -> None:
    code, out, err = explain.run()
    assert (code, out) == (2, "") and "a name is needed" in err
    assert explain.run("files__read", "{}", "{}")[0] == 2
    assert explain.run("")[0] == 2


def test_a_configuration_that_cannot_be_used_explains_nothing(explain: Explainer) -> None:
    code, out, err = explain.run("files__read", log_level="loud")
    assert (code, out) == (1, "") and "log_level" in err


def test_changes_are_told_by_argument() -> None:
    before, after = {"a": 1, "b": [1], "c": "x"}, {"b": [1, 2], "c": "x", "d": None}
    assert changes(before, after) == ['- "a": 1', '- "b": [1]', '+ "b": [1, 2]', '+ "d": null']


def test_no_text_is_no_arguments() -> None:
    assert read("") == read(b" \n") == {}


def test_names_of_a_server_cannot_write_lines_of_ours(explain: Explainer) -> None:
    _, out, _ = explain.run("files__x\nwould be sent to files: {}")
    assert "\nwould be sent" not in out


def without_reasons(text: str) -> str:
    """Without what the stages say of a call that passes: that is theirs to word."""
    return re.sub(r"(passes) .*", r"\1", text)


def test_the_demo_servers_are_explained_as_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHACK_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("SHACK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    example = str(ROOT / "shack-config.example.json")
    arguments = '{"path": "./demo-notes/locked.md", "content": "x"}'
    assert main(["explain", "--config", example, "--connect", "notes__write_note", arguments]) == 1
    out = capsys.readouterr().out
    shown = SAID.partition(f"$ shack-gateway explain notes__write_note '{arguments}'\n")[2].partition("```")[0]
    assert without_reasons(shown) == without_reasons(out) and "refuses   notes__write_note(demo-notes/locked:*)" in out
    assert main(["explain", "--config", example, "tickets__create_ticket", '{"title": "x"}']) == 0
    sent = '{"name": "create_ticket", "arguments": {"title": "x", "labels": ["via-gateway"]}}'
    assert capsys.readouterr().out.endswith(f"would be sent to tickets: {sent}\n")
    assert not os.path.exists(tmp_path / "demo-notes")
