"""The `hooks` object: what is read of it, what is said of what cannot be, and which tools its matchers mean."""
from __future__ import annotations

import json
from typing import Any

import pytest

from kit.corridor import call, ports, read, stage
from shack_gateway.config.fields import Value, show
from shack_gateway.pipeline.call import RESOURCE
from shack_gateway.pipeline.chain import Program
from shack_gateway.pipeline.hooking.handlers import EVENTS, HOSTS_EVENTS
from shack_gateway.pipeline.hooking.matching import called, matcher
from shack_gateway.pipeline.stages import hooks

ONE = {"type": "command", "command": "x"}


def handlers(*listed: dict[str, Any], event: str = "PreToolUse", **group: Any) -> dict[str, Any]:
    return {event: [{**group, "hooks": list(listed)}]}


def found(value: Any) -> list[str]:
    return read(hooks, hooks=value)[1]


# --- which tools a matcher means ---

MATCHES = [
    (None, True), ("", True), ("*", True), ("mcp__fs__read", True), ("fs__read", True), ("mcp__shack__fs__read", True),
    ("mcp__fs__read|mcp__fs__write", True), ("fs__write, fs__read", True), ("fs__write,fs__list", False),
    ("mcp__fs__READ", False), ("mcp__fs", False), ("mcp__fs__.*", True), ("mcp__other__.*", False), ("fs__re.d", True),
    ("(?<server>fs)__(?<tool>re.d)$", True),
    ("^fs__", True), ("^mcp__fs__read$", True), ("re.?d$", True), ("mcp__.*__(read|write)", True),
    ("mcp__.*__write.*", False), ("^read", False), ("Write|Edit", False), ("fs__rea", False), ("fs__re.", True),
    (r"fs__\w+", True), (r"fs__\d+", False), ("(?!x)fs", True), ("[Rr]ead", True),
]


@pytest.mark.parametrize("written, meant", MATCHES, ids=str)
def test_a_matcher_means_what_it_means_to_claude_code(written: str | None, meant: bool) -> None:
    value = Value(written)
    assert matcher(value, tools=True)(called(call())) is meant
    assert value.findings.errors == 0


NEGATIVE = [
    # written, fs__read, memory__read
    ("^(?!mcp__memory__).*", True, False), ("mcp__(?!memory__).*", True, False), ("^mcp__(?!memory)", True, False),
    ("^mcp__((?!memory).)*$", True, False), ("^(?!.*memory)", True, False), (r"(?<!memory)__read$", True, False),
    ("^(?!.*(memory|git)).*$", True, False), ("^(?!(mcp__)?[a-z]+y__)", True, False),
    ("^mcp__(?!memory__|git__)", True, False), ("(?!mcp__memory)mcp__.*", True, False),
    (r"mcp__(?!fs__read$)\w+__read", False, True), ("^mcp__.*__(?!read$)", False, False),
    ("^(?!mcp__)", False, False),  # the host's own tools
    # written for the names that tools have here, or in a host that calls the gateway `shack`
    ("^mcp__shack__(?!memory__)", True, False), ("^fs__(?!read)", False, False), ("^fs__(?!write)", True, False),
    ("^(fs|memory)__(?!read)", False, False), ("mcp__shack__((?!memory).)*$", True, False),
    # what keeps out a name that hooks do not read keeps out nothing: a hook too many
    ("mcp__(?!shack__)", True, True), ("^(?!memory__)", True, True), ("^(?!mcp__shack__memory)", True, True),
    # a look-behind keeps nothing out of what another spelling lets in
    (r"(?<!\w)fs__read", True, False), (r"(?<!_)fs__.*", True, False), (r"(?<![a-z_])memory__", False, True),
    # no look-arounds
    (r"mcp__fs\(?!?", True, False), ("mcp__[(?!]?fs__read", True, False), ("mcp__(?=fs)", True, False),
    ("^mcp__[^_]+__read$", True, True), ("^mcp__[^m]", True, True),
]


@pytest.mark.parametrize("written, fs, memory", NEGATIVE, ids=[row[0] for row in NEGATIVE])
def test_what_a_negative_look_around_keeps_out_is_kept_out_under_every_spelling(
    written: str, fs: bool, memory: bool
) -> None:
    value = Value(written)
    meant = matcher(value, tools=True)
    assert (meant(called(call())), meant(called(call(server="memory")))) == (fs, memory)
    assert value.findings.found == []


def test_what_keeps_out_a_renamed_tool_is_read_as_the_name_that_hooks_read() -> None:
    renamed = called(call(name="fs__get"))
    assert not matcher(Value("^(?!mcp__fs__read$)"), tools=True)(renamed)
    assert matcher(Value("^(?!mcp__fs__get$)"), tools=True)(renamed)
    assert matcher(Value("^mcp__fs__get(?!ter)"), tools=True)(renamed)


@pytest.mark.parametrize("length, meant", [(255, False), (256, False), (257, True), (400_000, True)])
def test_a_name_that_is_too_long_to_be_judged_is_meant(length: int, meant: bool) -> None:
    value = Value("[ab]{1,200}[cd]")
    assert matcher(value, tools=True)(("a" * length,)) is meant and value.findings.errors == 0


@pytest.mark.parametrize("written, meant", [
    (None, True), ("tickets", True), ("tickets|notes", True), ("ticket", False), ("tick.*", True), ("other", False),
])
def test_a_matcher_of_questions_means_servers(written: str | None, meant: bool) -> None:
    value = Value(written)
    assert matcher(value, tools=False)(("tickets",)) is meant
    assert value.findings.found == []


def test_a_tool_is_also_known_by_the_name_it_is_shown_under_and_a_resource_by_its_server_alone() -> None:
    renamed = call(name="fs__get")
    assert "mcp__fs__get" in called(renamed) and "mcp__fs__read" in called(renamed)
    resource = call(kind=RESOURCE, target="x://y", name="x://y")
    assert called(resource) == ("mcp__fs__resources/read", "fs__resources/read", "mcp__shack__fs__resources/read")


@pytest.mark.parametrize("written, said", [
    ("(a+)+$", "error `hooks.PreToolUse[0].matcher` cannot be used: the pattern "),
    ("mcp__(", "error `hooks.PreToolUse[0].matcher` cannot be used: the pattern is no regular expression"),
    (5, "error `hooks.PreToolUse[0].matcher` must be a string"),
    ("|", "error `hooks.PreToolUse[0].matcher` names nothing"),
    ("Bash", "warning `hooks.PreToolUse[0].matcher` names `Bash`, which no tool of a server is called: only letters, "
     "digits, `_` and `-` are a whole name, `mcp__server__tool` Write `.*Bash.*` for every tool with that in its name; "
     "leave it out if it means a tool of the host."),
    ("__write_", "warning `hooks.PreToolUse[0].matcher` names `__write_`, which no tool of a server is called: only "
     "letters, digits, `_` and `-` are a whole name, `mcp__server__tool` Write `.*__write_.*` for"),
    ("mcp__", "warning `hooks.PreToolUse[0].matcher` names `mcp__`, which no tool of a server is called"),
    ("mcp__memory", "warning `hooks.PreToolUse[0].matcher` names `mcp__memory`, which is a server and no tool: it "
     "matches nothing Write `mcp__memory__.*` for all"),
    ("mcp__memory__", "warning `hooks.PreToolUse[0].matcher` names `mcp__memory__`, which is a server and no tool: it "
     "matches nothing Write `mcp__memory__.*` for all"),
    ("memory__", "warning `hooks.PreToolUse[0].matcher` names `memory__`, which is a server and no tool: it matches "
     "nothing Write `memory__.*` for all"),
], ids=str)
def test_a_matcher_that_cannot_match_is_said_to_be(written: Any, said: str) -> None:
    [what] = found(handlers(ONE, matcher=written))
    assert what.startswith(said)


# --- what is wrong with it ---

FAULTS: list[tuple[Any, str]] = [
    ([], "error `hooks` must be an object, not a list"), ("x", "error `hooks` must be an object"),
    ({"PreToolUse": {}}, "error `hooks.PreToolUse` must be a list"),
    ({"PreToolUse": [5]}, "error `hooks.PreToolUse[0]` must be an object"),
    ({"PreToolUse": [{}]}, "error `hooks.PreToolUse[0].hooks` is missing"),
    ({"PreToolUse": [{"hooks": {}}]}, "error `hooks.PreToolUse[0].hooks` must be a list"),
    ({"PreToolUse": [{"hooks": []}]}, "warning `hooks.PreToolUse[0].hooks` is empty"),
    ({"PreToolUse": [{"hooks": ["x"]}]}, "error `hooks.PreToolUse[0].hooks[0]` must be an object"),
    ({"PreToolUse": [ONE]}, "error `hooks.PreToolUse[0]` is a hook where a group"),
    ({"PreToolUse": [{"matchr": "x", "hooks": [ONE]}]}, "error `hooks.PreToolUse[0].matchr` is not a key"),
    ({"pre_tool_use": [{"hooks": [ONE]}]},
     "error `hooks.pre_tool_use` is not an event that shack-gateway knows Did you "
     "mean `PreToolUse`?"),
    ({"PreToolUses": []}, "error `hooks.PreToolUses` is not an event that shack-gateway knows Did you mean"),
    ({"Whenever": []}, "error `hooks.Whenever` is not an event"), ({"_remark": 5, "//": 1}, ""),
    (handlers({"type": "command"}), "error `hooks.PreToolUse[0].hooks[0].command` is missing"),
    (handlers({"type": "command", "command": " "}), "error `hooks.PreToolUse[0].hooks[0].command` is empty"),
    (handlers({"type": "command", "command": ["x"]}), "error `hooks.PreToolUse[0].hooks[0].command` must be a string"),
    (handlers({"type": "comand", "command": "x"}), "error `hooks.PreToolUse[0].hooks[0].type` is `comand`, which is no "
     "type of a hook Did you mean `command`?"),
    (handlers({"type": 5, "command": "x"}), "error `hooks.PreToolUse[0].hooks[0].type` must be a string"),
    (handlers({**ONE, "timeout": "5"}), "error `hooks.PreToolUse[0].hooks[0].timeout` must be a number"),
    (handlers({**ONE, "timeout": 0}), "error `hooks.PreToolUse[0].hooks[0].timeout` is out of range"),
    (handlers({**ONE, "shell": "zsh"}), "error `hooks.PreToolUse[0].hooks[0].shell` is `zsh`, which is none of"),
    (handlers({**ONE, "args": "x"}), "error `hooks.PreToolUse[0].hooks[0].args` must be a list of strings"),
    (handlers({**ONE, "args": [5]}), "error `hooks.PreToolUse[0].hooks[0].args[0]` must be a string"),
    (handlers({**ONE, "args": [], "shell": "bash"}), "error `hooks.PreToolUse[0].hooks[0].args` and a shell exclude"),
    (handlers({**ONE, "onFailure": "ignore"}), "error `hooks.PreToolUse[0].hooks[0].onFailure` is `ignore`"),
    (handlers({**ONE, "onfailure": "block"}), "error `hooks.PreToolUse[0].hooks[0].onfailure` is not a key that "
     "shack-gateway knows Did you mean `onFailure`?"),
    (handlers({**ONE, "async": "yes"}), "error `hooks.PreToolUse[0].hooks[0].async` must be `true` or `false`"),
    (handlers({**ONE, "type": "stdio", "async": True}), "error `hooks.PreToolUse[0].hooks[0]` cannot be `async`"),
    (handlers({**ONE, "async": True, "onFailure": "block"}), "warning `hooks.PreToolUse[0].hooks[0].onFailure` has no"),
    (handlers({**ONE, "if": "git_push(("}), "error `hooks.PreToolUse[0].hooks[0].if` is no permission rule: "),
    (handlers({**ONE, "if": "Bash(git *)"}), "warning `hooks.PreToolUse[0].hooks[0].if` is about `Bash`, which no"),
    (handlers({**ONE, "if": "mcp__fs__run(git *)"}), ""), (handlers({**ONE, "if": "mcp__fs"}), ""),
    (handlers({**ONE, "if": ""}), "warning `hooks.PreToolUse[0].hooks[0].if` is empty: the hook is run for every call"),
    (handlers({**ONE, "if": " "}), "warning `hooks.PreToolUse[0].hooks[0].if` is empty: the hook is run for every "),
    (handlers({**ONE, "if": 5}), "error `hooks.PreToolUse[0].hooks[0].if` must be a string"),
    (handlers({**ONE, "if": "fs__read"}, event="Elicitation"),
     "warning `hooks.Elicitation[0].hooks[0].if` has no effect"),
    (handlers({**ONE, "type": "docker"}, event="Elicitation"),
     "error `hooks.Elicitation[0].hooks[0].type` `docker` is for"),
    (handlers({**ONE, "commandWindows": "x"}),
     "warning `hooks.PreToolUse[0].hooks[0].commandWindows` has no effect here"),
    (handlers({**ONE, "url": "http://x"}), "warning `hooks.PreToolUse[0].hooks[0].url` is not a key"),
    (handlers({**ONE, "statusMessage": "Checking"}), ""), (handlers({**ONE, "_why": "x"}), ""), ({}, ""),
    (handlers({"command": "x"}), ""), (handlers(ONE, description="of a plugin"), ""),
    (handlers({**ONE, "args": []}), ""), (handlers({**ONE, "type": "docker-exec"}), ""),
]


@pytest.mark.parametrize("value, said", FAULTS, ids=lambda each: json.dumps(each)[:70])
def test_what_is_wrong_is_said_with_its_place(value: Any, said: str) -> None:
    assert [what[: len(said)] for what in found(value)] == ([said] if said else [])


@pytest.mark.parametrize("type", ["http", "mcp_tool", "prompt", "agent"])
def test_a_kind_of_hook_that_cannot_be_run_does_not_vanish(type: str) -> None:
    [what] = found(handlers({"type": type, "url": "http://x", "prompt": "is it safe?"}))
    assert what.startswith(f"error `hooks.PreToolUse[0].hooks[0].type` `{type}` is not supported")


@pytest.mark.parametrize("event", HOSTS_EVENTS)
def test_events_that_only_a_host_has_are_let_be_with_a_warning(event: str) -> None:
    settings, said = read(hooks, hooks={event: [{"hooks": [{"type": "prompt", "prompt": "x"}]}]})
    assert said == [f"warning `hooks.{event}` is not an event of a gateway; it has no effect Keep it in the settings "
                    "of the host."]
    assert settings["hooks"] == ()


def test_all_faults_are_found_at_once() -> None:
    both = {"PreToolUse": [{"hooks": [{"type": "http"}, {"type": "command"}]}], "Nonsense": []}
    assert len(found(both)) == 3


# --- what is made of it ---

def programs(value: dict[str, Any], **settings: Any) -> list[tuple[str, Program]]:
    out, said = read(hooks, hooks=value, **settings)
    assert not said
    return hooks.commands({**out, "workspace_root": "/ws"})


ENV = {"CLAUDE_PROJECT_DIR": "/ws"}


@pytest.mark.parametrize("handler, program", [
    (ONE, Program("x", "/ws", ENV, without=("OTEL_",))),
    ({**ONE, "shell": "bash"}, Program("x", "/ws", ENV, shell="bash", without=("OTEL_",))),
    ({**ONE, "shell": "powershell"}, Program("x", "/ws", ENV, shell="powershell", without=("OTEL_",))),
    ({**ONE, "args": []}, Program(("x",), "/ws", ENV, without=("OTEL_",))),
    ({"command": "${CLAUDE_PROJECT_DIR}/h.sh", "args": ["-r", "${CLAUDE_PROJECT_DIR}", "$HOME"]},
     Program(("/ws/h.sh", "-r", "/ws", "$HOME"), "/ws", ENV, without=("OTEL_",))),
    ({**ONE, "type": "stdio"}, Program("x", "/ws", ENV, stays=True, without=("OTEL_",))),
    ({**ONE, "async": True}, Program("x", "/ws", ENV, without=("OTEL_",), aside=True)),
    ({**ONE, "type": "docker"}, Program("x", "/ws", ENV, without=("OTEL_",))),
    ({"command": "${CLAUDE_PROJECT_DIR}/h.sh"}, Program("${CLAUDE_PROJECT_DIR}/h.sh", "/ws", ENV, without=("OTEL_",))),
], ids=str)
def test_a_handler_is_a_program_in_the_workspace(handler: dict[str, Any], program: Program) -> None:
    assert programs(handlers(handler)) == [("hooks.PreToolUse[0].hooks[0]", program)]


def test_everything_that_may_be_run_is_listed_with_its_place() -> None:
    value = {event: [{"hooks": [ONE, ONE]}, {"hooks": [ONE]}] for event in EVENTS}
    listed = [place for place, _ in programs(value, pre_tool_hook="a", post_tool_hook=" b ")]
    assert listed == ["pre_tool_hook", "post_tool_hook"] + [
        f"hooks.{event}[{group}].hooks[{at}]" for event in EVENTS for group, at in ((0, 0), (0, 1), (1, 0))]


@pytest.mark.parametrize("settings, timeout, secs, cut", [
    ({}, None, 30, False), ({}, 5, 5, False), ({}, 0.5, 0.5, False), ({"hook_timeout_secs": 7}, None, 7, False),
    ({"hook_timeout_secs": 7}, 20, 20, False), ({"request_timeout_secs": 4}, None, 4, False),
    ({"request_timeout_secs": 4}, 20, 4, True), ({"request_timeout_secs": 4, "hook_timeout_secs": 60}, 20, 20, False),
    ({"request_timeout_secs": 90}, 60, 60, False), ({}, 600, 30, True), ({"request_timeout_secs": 90}, None, 30, False),
], ids=str)
def test_a_hook_has_its_own_time_within_that_of_a_call(
    settings: dict[str, Any], timeout: float | None, secs: float, cut: bool
) -> None:
    written = {"hooks": handlers({**ONE, **({} if timeout is None else {"timeout": timeout})})}
    out, _ = read(hooks, **written)
    whole, top = {**out, "request_timeout_secs": 30, **settings}, Value(written)
    built = hooks.build(whole, ports())
    assert isinstance(built, hooks.Hooks)
    assert [hook.secs for hook in built._hooks["PreToolUse"]] == [secs]
    hooks.check(top, whole)
    said = [(each.severity, show(each.path)) for each in top.findings.found]
    assert said == [("warning", "hooks.PreToolUse[0].hooks[0].timeout")] * cut


def test_without_handlers_there_is_no_stage_and_with_them_there_is() -> None:
    assert stage(hooks, ports(), hooks={}) is None
    assert stage(hooks, ports(), hooks={"SessionStart": [{"hooks": [ONE]}]}) is None
    for event in EVENTS:
        assert stage(hooks, ports(), hooks=handlers(ONE, event=event)) is not None


@pytest.mark.parametrize("value, concerned", [
    (handlers(ONE, matcher="fs__read"), True), (handlers(ONE, matcher="fs__write"), False), (handlers(ONE), True),
    (handlers(ONE, matcher="fs__read", event="PostToolUseFailure"), True),
    (handlers(ONE, matcher="fs", event="Elicitation"), True), (handlers(ONE, matcher="a", event="Elicitation"), False),
], ids=str)
def test_a_tool_that_no_hook_is_about_does_not_concern_the_stage(value: dict[str, Any], concerned: bool) -> None:
    built = stage(hooks, ports(), hooks=value)
    assert built is not None and built.concerns(call()) is concerned
    older = stage(hooks, ports(), hooks=value, post_tool_hook="x")
    assert older is not None and older.concerns(call())


@pytest.mark.parametrize("event, handler, may", [
    ("PostToolUse", {}, True), ("PostToolUse", {"async": True}, False), ("PostToolUse", {"asyncRewake": True}, False),
    ("PostToolUse", {"type": "docker"}, True), ("PreToolUse", {"type": "docker"}, True), ("PreToolUse", {}, False),
    ("PostToolUseFailure", {}, False),
])
def test_a_result_is_altered_only_by_who_is_waited_for(event: str, handler: dict[str, Any], may: bool) -> None:
    """Else the tool is listed without the schema of its results."""
    built = stage(hooks, ports(), hooks=handlers({**ONE, **handler}, event=event))
    assert built is not None and built.alters(call()) is may


def test_a_tool_is_matched_once() -> None:
    built = stage(hooks, ports(), hooks=handlers(ONE, matcher="mcp__fs__.*"))
    assert isinstance(built, hooks.Hooks)
    asked: list[Any] = []
    first = built._hooks["PreToolUse"][0]
    counted = first._replace(handler=first.handler._replace(matches=lambda names: asked.append(names) or True))
    built._hooks = {**built._hooks, "PreToolUse": (counted,)}
    for _ in range(3):
        assert built._of(call()).before == (counted,)
    assert len(asked) == 1
    built._of(call(target="other"))
    assert len(asked) == 2


def test_what_is_remembered_of_tools_is_bounded() -> None:
    built = stage(hooks, ports(), hooks=handlers(ONE))
    assert isinstance(built, hooks.Hooks)
    for number in range(hooks.MOST_KEPT + 10):
        built._of(call(target=f"t{number}"))
    assert len(built._events) <= hooks.MOST_KEPT

