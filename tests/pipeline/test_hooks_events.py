"""Hooks of the `hooks` object: what they read, and what every exit code and every member of their output means."""
from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from kit.corridor import Road, call, complete, ports, refused, run, stage
from kit.hooking import OK, REWRITES, Shell, gates, raising, says, specific
from shack_gateway.errors import Cancelled
from shack_gateway.pipeline.call import PROMPT, RESOURCE, TOOL, Call, Complete, Failed, InputRequired, Outcome, Refused
from shack_gateway.pipeline.chain import SHUTTING_DOWN, HookRun, Program
from shack_gateway.pipeline.hooking import running
from shack_gateway.pipeline.stages import hooks, permissions, sandbox

RESULT = {"content": [{"type": "text", "text": "hello"}], "structuredContent": {"a": 1}, "extra": [1, 2.50, None]}
PRE, POST, FAILURE, ELICIT = "PreToolUse", "PostToolUse", "PostToolUseFailure", "Elicitation"
AT = "hooks.{}[0].hooks[{}]"


def pre(**output: Any) -> HookRun:
    return specific(PRE, **output)


def post(**output: Any) -> HookRun:
    return specific(POST, **output)


class Way:
    """A road with hooks of one event, played in their order."""

    def __init__(
        self, event: str, *runs: HookRun, answer: Outcome | None = None, others: Any = (), root: str = "/ws",
        each: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None, **more: Any,
    ) -> None:
        self.shell, self.log = Shell(*runs), []  # type: ignore[var-annotated]
        listed = [{"type": "command", "command": str(at), **(each or {})} for at in range(len(runs))]
        ticks = iter(range(0, 10_000, 2))
        given = ports(root, run_hook=self.shell.run, log=self.log, session="s-1", now=lambda: float(next(ticks)),
            **more)
        built = stage(hooks, given, hooks={event: [{"hooks": listed}]}, **(settings or {}))
        assert isinstance(built, hooks.Hooks)
        self.stage = built
        self.road = Road(*others, built, answer=complete(RESULT) if answer is None else answer)

    def run(self, asked: Call | None = None) -> Any:
        return self.road.run(call({"a": 1}) if asked is None else asked)

    @property
    def sent(self) -> list[Call]:
        return self.road.sent


def value_of(outcome: object) -> dict[str, Any]:
    assert isinstance(outcome, Complete), outcome
    assert json.loads(outcome.text) == outcome.value
    return outcome.value


# --- what a hook reads ---

COMMON = {"session_id": "s-1", "transcript_path": "", "cwd": "/ws", "permission_mode": "default"}
ABOUT = {"tool_name": "mcp__fs__read", "tool_input": {"a": 1}, "tool_use_id": "shack-7",
         "mcp_server": {"name": "fs", "source": "shack-gateway"}}


def test_what_a_hook_before_a_call_reads() -> None:
    way = Way(PRE, OK)
    way.run()
    assert way.shell.read == [{**COMMON, "hook_event_name": PRE, **ABOUT}]


def test_what_a_hook_behind_a_call_reads() -> None:
    way = Way(POST, OK)
    way.run()
    assert way.shell.read == [{**COMMON, "hook_event_name": POST, **ABOUT, "tool_response": RESULT,
        "duration_ms": 2000}]


@pytest.mark.parametrize("answer, error", [
    (Failed("server", "it is gone"), "it is gone"),
    (complete({"content": [{"type": "text", "text": "no"}, {"type": "image"}, {"type": "text", "text": "way"}],
               "isError": True}), "no\nway"),
    (complete({"isError": True}), ""), (complete({"content": 5, "isError": True}), ""),
], ids=str)
def test_what_a_hook_of_a_failure_reads(answer: Outcome, error: str) -> None:
    way = Way(FAILURE, OK, answer=answer)
    way.run()
    assert way.shell.read == [
        {**COMMON, "hook_event_name": FAILURE, **ABOUT, "error": error, "is_interrupt": False, "duration_ms": 2000}]


@pytest.mark.parametrize("kind, about", [
    (TOOL, {"tool_name": "mcp__fs__read", "tool_input": {"a": 1}}),
    (PROMPT, {"tool_name": "mcp__fs__read", "tool_input": {"a": 1}, "kind": "prompt"}),
    (RESOURCE, {"tool_name": "mcp__fs__resources/read", "tool_input": {"uri": "read"}, "kind": "resource"}),
])
@pytest.mark.parametrize("event", [PRE, POST])
def test_resources_and_prompts_are_shown_too_and_say_what_they_are(
    event: str, kind: str, about: dict[str, Any]
) -> None:
    way = Way(event, OK)
    way.run(call({"a": 1}, kind=kind, name="as the host spelt it"))
    [read] = way.shell.read
    assert {key: read.get(key) for key in ("tool_name", "tool_input", "kind") if key in read} == about


def test_the_line_is_spelt_as_hosts_spell_it() -> None:
    """Scripts that look for `"tool_name":"..."` with grep, and for letters as they are, exist."""
    way = Way(PRE, OK)
    way.run(call({"text": "ü\n\u2028"}))
    [raw] = way.shell.raw
    assert b'"tool_name":"mcp__fs__read"' in raw and '"ü\\n\u2028"'.encode() in raw
    assert raw.endswith(b"}\n") and raw.count(b"\n") == 1


def test_half_of_a_surrogate_pair_is_written_as_an_escape() -> None:
    way = Way(PRE, OK)
    way.run(call({"text": "ü\ud800"}))
    assert rb'"\u00fc\ud800"' in way.shell.raw[0]


def test_hooks_run_in_the_workspace_with_the_projects_folder_and_without_telemetry() -> None:
    way = Way(PRE, OK)
    way.run()
    assert way.shell.programs == [Program("0", "/ws", {"CLAUDE_PROJECT_DIR": "/ws"}, without=("OTEL_",))]


# --- what lets a call pass ---

PASSES = [
    OK, says(" \n"), says("\ufeff{}"), says("\ufeff"),
    says("done, all is well\n"), says("[1]"), says('"x"'), says("null"), says({}), says(" {}\n"),
    says({"continue": True}), says({"decision": "approve"}), says({"suppressOutput": True, "systemMessage": "hello"}),
    says({"reason": "just so"}), says({"stopReason": "never mind"}), says({"terminalSequence": "x"}),
    says({"of a newer version": {}}), HookRun(0, "", "a word on stderr"), says("é ✓ \t\r\n"),
    says("\x1b[1;32m✓\x1b[0m 3 files \x1b[01;31m\x1b[Kpainted\x1b[m\x1b[K"),
]
PASSES_PRE = [
    pre(), pre(permissionDecision="allow"), pre(permissionDecision="allow", permissionDecisionReason="x"),
    pre(permissionDecisionReason="x"), pre(other=1),
]
PASSES_POST = [post(), post(permissionDecision="allow"), post(other=1), post(additionalContext=" ")]


def ids(each: object) -> str:
    if not isinstance(each, HookRun):
        return str(each)[:30]
    return f"{each.exit_code} {each.failure or each.stdout[:60] or each.stderr[:20]}"


@pytest.mark.parametrize("event", [PRE, POST])
@pytest.mark.parametrize("type", ["command", "stdio", "docker"])
def test_a_hook_that_may_fail_blocks_when_the_gateway_ends(event: str, type: str) -> None:
    way = Way(event, HookRun(-1, "", "", SHUTTING_DOWN, unjudged=True), each={"type": type, "onFailure": "continue"})
    assert "it was stopped: the gateway is shutting down" in refused(way.run()).text


NO_ROOM = HookRun(-1, "", "", "was not run: its turn did not come within 330 s", unjudged=True)


@pytest.mark.parametrize("event", [PRE, POST])
@pytest.mark.parametrize("type", ["command", "stdio", "docker"])
def test_a_hook_that_may_fail_blocks_when_it_was_never_asked(event: str, type: str) -> None:
    """Who fills the queue, or the machine, must not get past it by that."""
    way = Way(event, NO_ROOM, each={"type": type, "onFailure": "continue"})
    assert "it was not run: its turn did not come within 330 s" in refused(way.run()).text
    assert [(level, NO_ROOM.failure in text) for level, text in way.log] == [("warning", True)]


def test_a_hook_of_failures_that_was_never_asked_adds_nothing_to_what_the_model_reads() -> None:
    answer = complete({"content": [{"type": "text", "text": "no such file"}], "isError": True})
    outcome = Way(FAILURE, NO_ROOM, answer=answer).run()
    assert isinstance(outcome, Complete) and outcome.text == answer.text


@pytest.mark.parametrize("event, said", [
    *[(event, said) for event in (PRE, POST) for said in PASSES], *[(PRE, said) for said in PASSES_PRE],
    *[(POST, said) for said in PASSES_POST],
], ids=ids)
def test_a_call_passes_unchanged(event: str, said: HookRun) -> None:
    way = Way(event, said)
    asked = call({"a": 1})
    answer = way.run(asked)
    assert isinstance(answer, Complete) and answer is way.road._answer and way.sent == [asked]


# --- what blocks it ---

BLOCKS: list[tuple[HookRun, str]] = [
    (says("", 2, "because\n"), "because"), (says("", 2), "blocked by hook (exit code 2)"),
    (says({"reason": "mine"}, 2, "because"), "because"), (says({"reason": "mine"}, 2), "mine"),
    (says("\ufeff" + json.dumps({"decision": "block", "reason": "bad"})), "bad"),
    (says("no json", 2, "because"), "because"), (says("{", 2, "because"), "because"),
    (says({"decision": "approve"}, 2), "blocked by hook (exit code 2)"),
    (HookRun(2, "\ufffd", "because", garbled=True), "because"),
    (says({"decision": "block"}), "blocked by hook"), (says({"decision": "block", "reason": "bad"}), "bad"),
    (says({"continue": False}), "blocked by hook"), (says({"continue": False, "stopReason": "stop"}), "stop"),
    (says({"continue": False, "reason": "stop"}), "stop"),
    (says({"continue": True, "decision": "block", "reason": "bad"}), "bad"),
    (says({"decision": "block", "reason": "bad"}, 1), "bad"),
    (says({"continue": False, "stopReason": "stop"}, 127), "stop"),
]
FAILS: list[tuple[HookRun, str]] = [
    (says("", 1, "oh no\n"), "it exited with code 1: oh no"),
    (says("", 127, "not found"), "it exited with code 127: not"),
    (says("", 126), "it exited with code 126"), (says("", -9), "it was ended by signal 9"),
    (says("", 255), "it exited"),
    (says({}, 1), "it exited with code 1"), (says({"decision": "approve"}, 3), "it exited with code 3"),
    (HookRun(0, "{}", "", "timed out after 30 s"), "it timed out after 30 s"),
    (HookRun(-1, "", "", "failed to spawn hook: no sh"), "it failed to spawn hook: no sh"),
    (HookRun(0, "", "", "wrote more than 65536 bytes to its standard output"), "it wrote more than"),
    (HookRun(0, "\ufffd", "", garbled=True), "its output is not UTF-8"),
    (HookRun(0, '{"a": "\ufffd"}', "", garbled=True), "its output is not UTF-8"),
    (says("\x00\x01"), "its output holds control characters"), (says("ok \x1b[2J"), "its output holds control"),
    (says("\x1b]0;title\x07"), "its output holds control"), (says("\x1b[31mred\x1b"), "its output holds control"),
    (says("a\x7f"), "its output holds control"), (says("\x9b"), "its output holds control"),
    (says("{"), "its output is no JSON: "), (says("{} {}"), "its output is no JSON: "),
    (says('{"a": NaN}'), "its output is no JSON: "), (says("{'a': 1}"), "its output is no JSON: "),
    (says('{"a":' * 100_000), "its output is no JSON: "),
    (says({"continue": "false"}), "`continue` must be `true` or `false`, not a string"),
    (says({"continue": 0}), "`continue` must be"), (says({"continue": None}), "`continue` must be"),
    (says({"decision": "deny"}), "`decision` must be `approve` or `block`"), (says({"decision": 1}), "`decision` must"),
    (says({"decision": None}), "`decision` must be"), (says({"decision": {"behavior": "deny"}}), "`decision` must be"),
    (says({"reason": ["x"]}), "`reason` must be a string, not a list"),
    (says({"stopReason": 5}), "`stopReason` must be"),
    (says({"systemMessage": {}}), "`systemMessage` must be a string"),
    (says({"suppressOutput": 1}), "`suppressOutput`"),
    (says({"hookSpecificOutput": "deny"}), "`hookSpecificOutput` must be an object, not a string"),
    (says({"hookSpecificOutput": []}), "`hookSpecificOutput` must be"),
    (says({"hookSpecificOutput": {}}), "`hookSpecificOutput.hookEventName` must be `"),
    (says({"hookSpecificOutput": {"hookEventName": "SessionStart"}}), "`hookSpecificOutput.hookEventName` must be `"),
]
FAILS_PRE: list[tuple[HookRun, str]] = [
    (pre(permissionDecision="denied"), "`permissionDecision` must be `allow`, `deny`, `ask` or `defer`"),
    (pre(permissionDecision="Deny"), "`permissionDecision` must be"),
    (pre(permissionDecision=True), "`permissionDecision`"),
    (pre(permissionDecision=None), "`permissionDecision` must be"),
    (pre(updatedInput=[1]), "`updatedInput` must be an obj"),
    (pre(updatedInput=None), "`updatedInput` must be an object, not null"),
    (pre(updatedInput="x"), "`updatedInput` must"),
    (pre(additionalContext=5), "`additionalContext` must be a string"),
    (pre(permissionDecision="deny", permissionDecisionReason=5), "`permissionDecisionReason` must be a string"),
]
FAILS_POST: list[tuple[HookRun, str]] = [
    (post(updatedToolOutput=None), "`updatedToolOutput` must be a result, not null"),
    (post(updatedMCPToolOutput=None), "`updatedMCPToolOutput` must be a result"),
    (post(updatedToolOutput=5), "it gave no result: a result must be a text, a list or an object with `content`, not"),
    (post(updatedToolOutput=True), "it gave no result: "),
    (post(updatedToolOutput=["x"]), "it gave no result: `content[0]`"),
    (post(updatedToolOutput=[{"text": "x"}]), "it gave no result: `content[0]` must be an object with `type`"),
    (post(updatedToolOutput={"content": "x"}), "it gave no result: `content` must be a list"),
    (post(permissionDecision="deny"), "`permissionDecision` is for `PreToolUse`"),
]


@pytest.mark.parametrize("said, reason", [*BLOCKS, *FAILS, *FAILS_PRE], ids=ids)
def test_a_call_is_blocked_with_the_reason(said: HookRun, reason: str) -> None:
    way = Way(PRE, said)
    outcome = refused(way.run())
    place = AT.format(PRE, 0)
    assert outcome.text.startswith(f"blocked by hook `{place}`: ") and f": {reason}" in outcome.text
    assert (outcome.stage, outcome.rule, way.sent) == ("hooks", place, [])


@pytest.mark.parametrize("said, reason", [*BLOCKS, *FAILS, *FAILS_POST], ids=ids)
def test_a_result_is_withheld_with_the_reason(said: HookRun, reason: str) -> None:
    way = Way(POST, said)
    outcome = refused(way.run())
    place = AT.format(POST, 0)
    assert outcome.text.startswith(f"the result was withheld by hook `{place}`: ") and f": {reason}" in outcome.text
    assert (outcome.stage, outcome.rule, len(way.sent)) == ("hooks", place, 1)
    assert "hello" not in outcome.text


@pytest.mark.parametrize("said, reason", [*FAILS, *FAILS_PRE], ids=ids)
def test_a_hook_that_may_fail_lets_the_call_go_on_and_the_log_says_so(said: HookRun, reason: str) -> None:
    way = Way(PRE, said, each={"onFailure": "continue"})
    assert isinstance(way.run(), Complete) and way.sent[0].arguments == {"a": 1}
    [(level, text)] = way.log
    place = AT.format(PRE, 0)
    assert level == "warning" and text.startswith(f"call 7: hook `{place}` failed (`onFailure` is `continue`)")
    assert reason.removeprefix("it ") in text


@pytest.mark.parametrize("said, reason", [*FAILS, *FAILS_POST], ids=ids)
def test_a_hook_that_may_fail_lets_the_result_go_on(said: HookRun, reason: str) -> None:
    way = Way(POST, said, each={"onFailure": "continue"})
    assert way.run() is way.road._answer
    assert len(way.log) == 1


@pytest.mark.parametrize("event", [PRE, POST])
@pytest.mark.parametrize("said, reason", BLOCKS, ids=ids)
def test_a_hook_that_may_fail_can_block_all_the_same(event: str, said: HookRun, reason: str) -> None:
    assert reason in refused(Way(event, said, each={"onFailure": "continue"}).run()).text


def test_what_json_says_counts_on_every_exit_code_where_the_hook_may_fail() -> None:
    denied = says({"hookSpecificOutput": {"hookEventName": PRE, "permissionDecision": "deny"}}, 1)
    assert refused(Way(PRE, denied, each={"onFailure": "continue"}).run()).stage == "permissions"
    changed = says({"hookSpecificOutput": {"hookEventName": PRE, "updatedInput": {"a": 2}}}, 1)
    way = Way(PRE, changed, each={"onFailure": "continue"})
    way.run()
    assert way.sent[0].arguments == {"a": 2}
    assert refused(Way(PRE, denied).run()).stage == "permissions"  # its reason tells more than that it failed


@pytest.mark.parametrize("said, text", [
    (pre(permissionDecision="deny"), "denied by hook `hooks.PreToolUse[0].hooks[0]`"),
    (pre(permissionDecision="deny", permissionDecisionReason="not on Sundays"),
     "denied by hook `hooks.PreToolUse[0].hooks[0]`: not on Sundays"),
    (pre(permissionDecision="deny", updatedInput={"a": 2}), "denied by hook `hooks.PreToolUse[0].hooks[0]`"),
    (says({"decision": "approve", "reason": "so", "hookSpecificOutput": {
        "hookEventName": PRE, "permissionDecision": "deny"}}), "denied by hook `hooks.PreToolUse[0].hooks[0]`: so"),
], ids=ids)
def test_a_denied_call_is_refused_as_the_rules_do(said: HookRun, text: str) -> None:
    way = Way(PRE, said)
    outcome = refused(way.run())
    assert (outcome.stage, outcome.text, outcome.rule, way.sent) == ("permissions", text, AT.format(PRE, 0), [])


@pytest.mark.parametrize("decision", ["ask", "defer"])
def test_a_hook_that_asks_has_the_user_asked(decision: str) -> None:
    way = Way(PRE, pre(permissionDecision=decision, permissionDecisionReason="push?", updatedInput={"a": 2}))
    outcome = refused(way.run())
    assert outcome.text.startswith("tool call requires explicit approval; ") and outcome.text.endswith("(push?)")
    assert (outcome.stage, outcome.rule, way.sent) == ("permissions", AT.format(PRE, 0), [])


# --- several hooks ---

ALLOW, ASK, DENY, BLOCK = (
    pre(permissionDecision="allow"), pre(permissionDecision="ask", permissionDecisionReason="sure?"),
    pre(permissionDecision="deny", permissionDecisionReason="no"), says("", 2, "never"))


@pytest.mark.parametrize("runs, stage_, rule, ran", [
    ((ALLOW, OK), None, None, 2), ((ALLOW, DENY), "permissions", 1, 2), ((DENY, ALLOW), "permissions", 0, 1),
    ((ASK, DENY), "permissions", 1, 2), ((ASK, ALLOW), "permissions", 0, 2), ((ASK, BLOCK), "hooks", 1, 2),
    ((BLOCK, DENY), "hooks", 0, 1), ((OK, says("", 1)), "hooks", 1, 2),
], ids=["allow", "deny after allow", "deny before", "deny after ask", "ask before allow", "block after ask",
        "block ends it", "failure"])
def test_the_strictest_word_of_several_hooks_counts(
    runs: tuple[HookRun, ...], stage_: str | None, rule: int | None, ran: int
) -> None:
    way = Way(PRE, *runs)
    outcome = way.run()
    assert len(way.shell.read) == ran
    if stage_ is None:
        assert isinstance(outcome, Complete)
    else:
        assert (refused(outcome).stage, outcome.rule, way.sent) == (stage_, AT.format(PRE, rule), [])


def test_what_several_hooks_ask_about_is_one_question_under_all_their_names() -> None:
    """Else an approval for the session of one hook would be one of the others as well."""
    other = pre(permissionDecision="ask", permissionDecisionReason="really?")
    outcome = refused(Way(PRE, ASK, OK, ASK, other).run())
    assert outcome.rule == ", ".join(AT.format(PRE, at) for at in (0, 2, 3))
    assert outcome.text.endswith("(sure?; really?)")


def test_each_hook_sees_what_the_one_before_has_made_of_the_input() -> None:
    way = Way(PRE, pre(updatedInput={"a": 2}), OK, pre(updatedInput={"b": 3}))
    way.run()
    assert [read["tool_input"] for read in way.shell.read] == [{"a": 1}, {"a": 2}, {"a": 2}]
    assert way.sent[0].arguments == {"b": 3}


def test_each_hook_sees_what_the_one_before_has_made_of_the_result() -> None:
    way = Way(POST, post(updatedToolOutput="one"), OK, post(updatedToolOutput="two"))
    assert value_of(way.run()) == {"content": [{"type": "text", "text": "two"}]}
    assert [read["tool_response"]["content"][0]["text"] for read in way.shell.read] == ["hello", "one", "one"]


def test_a_result_that_was_withheld_is_shown_to_no_further_hook() -> None:
    way = Way(POST, says("", 2), OK)
    assert refused(way.run()).rule == AT.format(POST, 0)
    assert len(way.shell.read) == 1


def test_the_keys_of_0_1_0_go_first_and_last() -> None:
    order = ["old-pre", "new-pre", "new-post", "old-post"]
    shell = Shell(**dict.fromkeys(order, OK))
    built = stage(hooks, ports(run_hook=shell.run), pre_tool_hook="old-pre", post_tool_hook="old-post", hooks={
        PRE: [{"hooks": [{"command": "new-pre"}]}], POST: [{"hooks": [{"command": "new-post"}]}]})
    assert built is not None
    Road(built).run(call())
    assert shell.commands == order


# --- rewriting ---

@pytest.mark.parametrize("updated", [{"a": 2}, {}, {"a": True}, {"a": 1.0}, {"deep": [{"x": None}]}], ids=str)
def test_updated_input_replaces_all_of_it(updated: dict[str, Any]) -> None:
    way = Way(PRE, pre(updatedInput=updated))
    asked = call({"a": 1, "b": 2})
    way.run(asked)
    assert json.dumps(way.sent[0].arguments) == json.dumps(updated) and asked.arguments == {"a": 1, "b": 2}


@pytest.mark.parametrize("updated, stage_name", REWRITES)
@pytest.mark.parametrize("decision", [{}, {"permissionDecision": "allow"}], ids=["silent", "allow"])
def test_updated_input_is_judged_again_whatever_the_hook_says(
    updated: dict[str, Any], stage_name: str | None, decision: dict[str, str]
) -> None:
    way = Way(PRE, pre(updatedInput=updated, **decision), others=gates())
    outcome = way.run(call({"path": "a.txt"}))
    if stage_name is None:
        assert isinstance(outcome, Complete)
    else:
        assert refused(outcome).stage == stage_name and way.sent == []


def test_a_hook_that_allows_overrules_no_rule() -> None:
    gate = stage(permissions, ports(), permissions={"deny": ["fs__read"]})
    way = Way(PRE, ALLOW, others=[gate])
    assert refused(way.run()).stage == "permissions" and way.shell.read == []


def test_the_uri_of_a_resource_cannot_be_changed() -> None:
    asked = call({"uri": "x://y"}, kind=RESOURCE, target="x://y", name="x://y")
    way = Way(PRE, pre(updatedInput={"uri": "x://z"}))
    assert "cannot be changed" in refused(way.run(asked)).text and way.sent == []
    way = Way(PRE, pre(updatedInput={"uri": "x://y"}))
    assert isinstance(way.run(asked), Complete) and way.sent == [asked]


# --- results ---

TEXT = {"type": "text", "text": "x"}


@pytest.mark.parametrize("key", ["updatedToolOutput", "updatedMCPToolOutput"])
@pytest.mark.parametrize("given, made", [
    ("x", {"content": [TEXT]}), ("", {"content": [{"type": "text", "text": ""}]}), ([TEXT], {"content": [TEXT]}),
    ([], {"content": []}), ({"content": [TEXT]}, {"content": [TEXT]}),
    ({"content": [], "structuredContent": {"b": 2}}, {"content": [], "structuredContent": {"b": 2}}),
    ({"stdout": "é"}, {"content": [{"type": "text", "text": '{"stdout": "é"}'}], "structuredContent": {"stdout": "é"}}),
    ({}, {"content": [{"type": "text", "text": "{}"}], "structuredContent": {}}),
], ids=lambda each: json.dumps(each)[:40])
def test_a_result_is_replaced_and_nothing_of_the_old_one_stays(key: str, given: Any, made: dict[str, Any]) -> None:
    assert value_of(Way(POST, post(**{key: given})).run()) == made


@pytest.mark.parametrize("given, structured", [
    ({"n": 5}, {"n": 5}), ('{"n": 5}', {"n": 5}), (' {"n": 5}\n', {"n": 5}), ("black", None), ("[5]", None),
    ('{"n": NaN}', None), ([TEXT], None), ({"content": []}, None),
    ({"content": [], "structuredContent": {"n": 6}}, {"n": 6}),
], ids=str)
def test_an_object_in_place_of_a_structured_result_is_one(given: Any, structured: Any) -> None:
    """Clients of the SDKs refuse a result without one where the tool has an `outputSchema`."""
    old = complete({"content": [TEXT], "structuredContent": {"n": 1}})
    made = value_of(Way(POST, post(updatedToolOutput=given), answer=old).run())
    assert made.get("structuredContent") == structured and "content" in made
    assert made["content"] != [TEXT] or given == [TEXT]


IMAGE = {"type": "image", "data": "AA==", "mimeType": "image/png"}
LINK = {"type": "resource_link", "uri": "u", "name": "n"}
RESOURCES = [{"uri": "u", "text": "t"}, {"uri": "u", "blob": "AA=="}]


@pytest.mark.parametrize("value", [
    {"content": [{"type": "text"}]}, {"content": [{"type": "text", "text": 5}]}, {"content": [{**IMAGE, "data": None}]},
    {"content": [{"type": "image", "data": "AA=="}]}, {"content": [{**LINK, "name": 1}]}, {"content": ["x"]},
    {"content": [{"type": "resource"}]}, {"content": [{"type": "resource", "resource": {"uri": "u"}}]},
    {"content": [{"type": "resource", "resource": "u"}]}, {"content": [], "isError": "yes"},
    {"content": [], "_meta": "x"}, {"content": [], "structuredContent": "x"},
    {"content": [], "structuredContent": None},
], ids=str)
def test_a_result_that_hosts_would_stumble_over_is_the_hooks_failure(value: Any) -> None:
    for output in (value, value["content"]) if value["content"] else (value,):
        assert "gave no result" in refused(Way(POST, post(updatedToolOutput=output)).run()).text


def test_every_kind_of_block_may_stand_in_a_result() -> None:
    embedded = [{"type": "resource", "resource": each} for each in RESOURCES]
    blocks = [TEXT, IMAGE, {**IMAGE, "type": "audio"}, LINK, *embedded, {"type": "of a later revision", "beam": 1}]
    value = {"content": blocks, "isError": False, "_meta": {"x": 1}, "structuredContent": {}}
    assert value_of(Way(POST, post(updatedToolOutput=value)).run()) == value


def test_a_stateless_result_may_have_any_structure() -> None:
    old = Complete(b'{"resultType":"complete","content":[]}', stateless=True)
    assert value_of(Way(POST, post(updatedToolOutput={"content": [], "structuredContent": [1]}), answer=old).run())


def test_the_newer_of_the_two_keys_wins() -> None:
    way = Way(POST, post(updatedMCPToolOutput="older", updatedToolOutput="newer"))
    assert value_of(way.run()) == {"content": [{"type": "text", "text": "newer"}]}


def test_a_replaced_result_is_an_error_still_unless_the_hook_says_otherwise() -> None:
    error = complete({"content": [TEXT], "isError": True})
    assert value_of(Way(POST, post(updatedToolOutput="y"), answer=error).run())["isError"] is True
    as_it_was = post(updatedToolOutput={"content": [], "isError": False})
    assert value_of(Way(POST, as_it_was, answer=error).run()) == {"content": [], "isError": False}


@pytest.mark.parametrize("kind, given, made", [
    (RESOURCE, "x", {"contents": [{"uri": "read", "text": "x"}]}),
    (RESOURCE, {"contents": [{"uri": "u", "text": "y"}]}, {"contents": [{"uri": "u", "text": "y"}]}),
    (RESOURCE, {"content": []}, None), (RESOURCE, [TEXT], None), (PROMPT, {"messages": [5]}, None),
    (PROMPT, {"messages": [{"role": "user"}]}, None), (RESOURCE, [{"uri": "u"}], None),
    (RESOURCE, RESOURCES, {"contents": RESOURCES}),
    (PROMPT, "x", {"messages": [{"role": "user", "content": TEXT}]}),
    (PROMPT, {"messages": [], "description": "d"}, {"messages": [], "description": "d"}),
], ids=str)
def test_resources_and_prompts_are_replaced_by_what_they_can_be(kind: str, given: Any, made: Any) -> None:
    outcome = Way(POST, post(updatedToolOutput=given)).run(call(kind=kind))
    if made is None:
        assert "gave no result" in refused(outcome).text
    else:
        assert value_of(outcome) == made


@pytest.mark.parametrize("event, said", [
    (PRE, pre(additionalContext="for the model")), (POST, post(additionalContext="for the model")),
    (POST, post(classifierContext="for the model")),
    (PRE, pre(permissionDecision="allow", additionalContext="for the model")),
], ids=ids)
def test_context_is_added_to_the_result_and_the_rest_stays_as_it_was_spelt(event: str, said: HookRun) -> None:
    body = b'{"structuredContent": {"n": 1.50},  "content":[{"type":"text","text":"hello"}], "x": 1234567890.10}'
    outcome = Way(event, said, answer=Complete(body, server="fs", cache=(5, True))).run()
    assert value_of(outcome)["content"] == [
        {"type": "text", "text": "hello"}, {"type": "text", "text": "for the model"}]
    assert '"structuredContent": {"n": 1.50}' in outcome.text and '"x": 1234567890.10' in outcome.text
    assert outcome.cache == (5, True)


def test_contexts_of_all_hooks_are_added_in_their_order() -> None:
    way = Way(POST, post(additionalContext="one", classifierContext="two"), post(additionalContext="three"))
    assert [block["text"] for block in value_of(way.run())["content"]] == ["hello", "one", "two", "three"]


def test_context_is_added_to_what_a_hook_has_replaced() -> None:
    way = Way(POST, post(updatedToolOutput="new", additionalContext="more"))
    assert [block["text"] for block in value_of(way.run())["content"]] == ["new", "more"]


def test_context_goes_to_prompts_and_where_it_has_no_place_the_log_says_so() -> None:
    prompt = Way(POST, post(additionalContext="more"), answer=complete({"messages": []}))
    assert value_of(prompt.run(call(kind=PROMPT))) == {
        "messages": [{"role": "user", "content": {"type": "text", "text": "more"}}]}
    resource = Way(POST, post(additionalContext="more"), answer=complete({"contents": []}))
    assert value_of(resource.run(call(kind=RESOURCE))) == {"contents": []}
    assert "has no place" in resource.log[0][1]


def test_texts_of_a_hook_are_cut_and_cannot_steer_a_terminal() -> None:
    for said in (says("", 2, "\x1b[31m" + "x" * 60_000), pre(permissionDecision="deny",
                 permissionDecisionReason="\x1b" + "x" * 60_000), says("", 1, "\x1b" + "x" * 60_000),
                 says({"continue": False, "stopReason": "\x1b" + "x" * 60_000})):
        text = refused(Way(PRE, said).run()).text
        assert len(text) < 4096 and "\x1b" not in text and "\\u001b" in text
    way = Way(POST, post(additionalContext="\x1b" + "y" * 60_000))
    assert len(value_of(way.run())["content"][1]["text"]) == 10_000
    way = Way(POST, says({"systemMessage": "\x1b" + "z" * 60_000}))
    way.run()
    assert len(way.log[0][1]) < 10_200 and "\x1b" not in way.log[0][1]


def test_a_result_of_any_length_may_be_replaced_by_one_as_long() -> None:
    long = "x" * 200_000
    assert value_of(Way(POST, post(updatedToolOutput=long)).run())["content"][0]["text"] == long


def test_the_systems_message_is_logged() -> None:
    way = Way(PRE, says({"systemMessage": "disk is full"}))
    way.run()
    assert way.log == [("info", f"call 7: hook `{AT.format(PRE, 0)}` says: disk is full")]


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"a": NaN}', b"\xff", b'{"a":' * 100_000, b""], ids=lambda b: repr(
    b[:8]))
def test_a_result_that_cannot_be_read_is_withheld(body: bytes) -> None:
    way = Way(POST, OK, answer=Complete(body, server="fs", shape={}))
    outcome = refused(way.run())
    assert outcome.stage == "hooks" and "server `fs`" in outcome.text and way.shell.read == []


def test_context_for_a_result_that_cannot_be_read_withholds_it() -> None:
    way = Way(PRE, pre(additionalContext="x"), answer=Complete(b"{", server="fs", shape={}))
    assert refused(way.run()).stage == "hooks"


# --- which outcomes which hooks see ---

ERROR = complete({"content": [{"type": "text", "text": "it failed"}], "isError": True})


@pytest.mark.parametrize("answer, events", [
    (complete(RESULT), [POST]), (ERROR, [POST, FAILURE]), (Failed("server", "gone", code=-32000), [FAILURE]),
    (Failed("server", "silent"), [FAILURE]), (InputRequired({}, None), []), (Refused("dry run", "no"), []),
], ids=["result", "error result", "server's error", "silence", "question", "refusal"])
def test_results_and_failures_are_shown_to_their_own_hooks(answer: Outcome, events: list[str]) -> None:
    shell = Shell(x=OK)
    both = {event: [{"hooks": [{"command": "x"}]}] for event in (POST, FAILURE)}
    built = stage(hooks, ports(run_hook=shell.run), hooks=both)
    assert built is not None
    assert Road(built, answer=answer).run(call()).__class__ is answer.__class__
    assert [read["hook_event_name"] for read in shell.read] == events


@pytest.mark.parametrize("said, added", [
    (specific(FAILURE, additionalContext="try again"), "try again"), (says("", 2, "it is Sunday"), "it is Sunday"),
    (says({"decision": "block", "reason": "so"}), "so"), (says({"continue": False, "stopReason": "so"}), "so"),
    (OK, None), (says("", 1, "broken"), None), (HookRun(-1, "", "", "timed out"), None), (says("\x00"), None),
], ids=ids)
def test_what_a_hook_says_of_a_failure_is_for_the_model_and_changes_nothing(said: HookRun, added: str | None) -> None:
    way = Way(FAILURE, said, answer=Failed("server", "gone", server="fs", code=-32000, data={"a": 1}))
    outcome = way.run()
    text = "gone" if added is None else f"gone\n{added}"
    assert outcome == Failed("server", text, server="fs", code=-32000, data={"a": 1})
    value = value_of(Way(FAILURE, said, answer=ERROR).run())
    assert value["isError"] is True
    assert [block["text"] for block in value["content"]] == ["it failed", *([added] if added else [])]


def test_a_refused_call_is_seen_by_no_hook() -> None:
    box = stage(sandbox, ports("/ws", realpath=lambda path: path))
    way = Way(POST, OK, others=[box])
    refused(way.run(call({"path": "/etc/passwd"})))
    assert way.shell.read == []


def test_a_hook_that_cannot_be_run_at_all_refuses_or_withholds() -> None:
    broken = ports(run_hook=raising(RuntimeError("no loop")))
    for event in (PRE, POST):
        built = stage(hooks, broken, hooks={event: [{"hooks": [{"command": "x"}]}]})
        assert built is not None
        assert refused(Road(built).run(call())).stage == "stage"


def test_a_cancel_while_a_hook_runs_passes_through_and_nothing_is_remembered() -> None:
    async def cancelled(program: Program, payload: bytes, limit: float) -> HookRun:
        if json.loads(payload)["hook_event_name"] == POST:
            raise Cancelled()
        return pre(additionalContext="x")

    both = {event: [{"hooks": [{"command": "x"}]}] for event in (PRE, POST)}
    built = stage(hooks, ports(run_hook=cancelled), hooks=both)
    assert isinstance(built, hooks.Hooks)
    with pytest.raises(Cancelled):
        Road(built).run(call())
    assert built._going == {}


def test_nothing_is_remembered_of_calls_that_are_over() -> None:
    box = stage(sandbox, ports("/ws", realpath=lambda path: path))
    outside = pre(updatedInput={"path": "/etc/passwd"})
    for event, said in ((PRE, OK), (PRE, says("", 2)), (POST, says("", 1)), (PRE, ASK), (PRE, outside)):
        way = Way(event, said, others=[box])
        way.run()
        assert way.stage._going == {}
    assert way.sent == []


def test_whatever_hooks_add_leaves_through_the_seal() -> None:
    sealed: list[str] = []

    def seal(outcome: Outcome) -> Outcome:
        sealed.append(outcome.text if not isinstance(outcome, InputRequired) else "")
        return outcome

    for event, said in ((PRE, says("", 2, "the secret")), (POST, post(additionalContext="the secret")),
                        (POST, post(updatedToolOutput="the secret")), (POST, says("", 1, "the secret"))):
        way = Way(event, said)
        Road(way.stage, answer=complete(RESULT), seal=seal).run(call())
        assert "the secret" in sealed[-1]


def test_a_tool_that_no_hook_is_for_passes_as_it_is() -> None:
    built = stage(hooks, ports(), hooks={PRE: [{"matcher": "fs__write", "hooks": [{"command": "x"}]}]})
    assert isinstance(built, hooks.Hooks)
    asked = call()
    assert run(built.before(asked)) is asked and built._going == {}
    assert built.why(asked) == "no hook matches"


def test_what_hooks_said_can_be_told() -> None:
    way = Way(PRE, OK, pre(updatedInput={"a": 2}, additionalContext="x"), says("", 1), ALLOW,
              each={"onFailure": "continue"}, settings={})
    told: list[tuple[int, str, int]] = []
    way.stage.trace = lambda call, place, ran: told.append((call.number, place, ran.exit_code))
    asked = call({"a": 1})
    passed = run(way.stage.before(asked))
    assert passed.arguments == {"a": 2}
    assert way.stage.why(asked) == (
        "hooks.PreToolUse[0].hooks[0]: passed, hooks.PreToolUse[0].hooks[1]: changed the input, added context, "
        "hooks.PreToolUse[0].hooks[2]: failed (exited with code 1), hooks.PreToolUse[0].hooks[3]: passed")
    assert told == [(7, AT.format(PRE, at), code) for at, code in enumerate((0, 0, 1, 0))]


@pytest.mark.parametrize("rule, ran", [
    ("fs__read", 1), ("mcp__fs__read", 1), ("fs__write", 0), ("mcp__fs__*", 1), ("fs__read(git push:*)", 1),
    ("fs__read(git pull:*)", 0), ("", 1),
])
@pytest.mark.parametrize("event", [PRE, POST])
def test_a_hook_with_a_condition_is_run_for_calls_that_match_it(event: str, rule: str, ran: int) -> None:
    way = Way(event, OK, each={"if": rule})
    assert isinstance(way.run(call({"command": "git push origin"})), Complete)
    assert len(way.shell.read) == ran


def test_a_condition_is_about_the_input_as_it_is_by_then() -> None:
    way = Way(PRE, pre(updatedInput={"command": "git push"}), BLOCK, each={"if": "fs__read(ls:*)"})
    assert isinstance(way.run(call({"command": "ls"})), Complete) and len(way.shell.read) == 1


def test_a_hook_whose_condition_cannot_be_judged_is_run() -> None:
    way = Way(PRE, BLOCK, each={"if": "fs__read(git push:*)"})
    deep: Any = "x"
    for _ in range(400):
        deep = [deep]
    assert refused(way.run(call({"command": deep}))).text.endswith("never")
    [(level, text)] = way.log
    assert level == "warning" and "`hooks.PreToolUse[0].hooks[0].if` could not be judged" in text


# --- hooks that are not waited for ---

class Later:
    """Something that never comes."""

    def __await__(self) -> Any:
        yield self

    settled = False
    wake = None


@pytest.mark.parametrize("key", ["async", "asyncRewake"])
def test_a_hook_in_the_background_is_not_waited_for_and_says_nothing(key: str) -> None:
    begun: list[bytes] = []

    async def shell(program: Program, payload: bytes, limit: float) -> HookRun:
        begun.append(payload)
        await Later()
        raise AssertionError

    built = stage(hooks, ports(run_hook=shell), hooks={PRE: [{"hooks": [{"command": "x", key: True}]}]})
    assert built is not None
    assert isinstance(Road(built).run(call()), Complete) and len(begun) == 1


@pytest.mark.parametrize("said", [says("", 2, "no"), DENY, says({"continue": False}), says("", 1)], ids=ids)
def test_what_a_hook_in_the_background_says_does_not_count(said: HookRun) -> None:
    assert isinstance(Way(PRE, said, each={"async": True}).run(), Complete)


def test_a_hook_in_the_background_that_could_not_run_is_told_to_the_log() -> None:
    way = Way(POST, HookRun(-1, "", "", "timed out after 30 s"), each={"async": True})
    assert isinstance(way.run(), Complete)
    assert way.log == [("warning", f"hook `{AT.format(POST, 0)}` failed in the background: timed out after 30 s")]


def test_hooks_in_the_background_are_bounded() -> None:
    begun: list[bytes] = []
    log: list[tuple[str, str]] = []

    async def shell(program: Program, payload: bytes, limit: float) -> HookRun:
        begun.append(payload)
        await Later()
        raise AssertionError

    built = stage(hooks, ports(run_hook=shell, log=log), hooks={PRE: [{"hooks": [{"command": "x", "async": True}]}]})
    assert built is not None
    for _ in range(running.MOST_ASIDE + 6):
        assert isinstance(Road(built).run(call()), Complete)
    assert len(begun) == running.MOST_ASIDE and len([text for _, text in log if "was not started" in text]) == 6


# --- processes that stay, and interceptors ---

@pytest.mark.parametrize("said, passes", [
    (says("{}"), True), (says(""), True), (says("ok"), False), (says("[]"), False), (DENY, False),
], ids=ids)
def test_a_process_that_stays_answers_with_an_object_or_an_empty_line(said: HookRun, passes: bool) -> None:
    way = Way(PRE, said, each={"type": "stdio"})
    assert isinstance(way.run(), Complete) is passes
    assert way.shell.programs[0].stays


@pytest.mark.parametrize("type", ["docker", "docker-exec"])
@pytest.mark.parametrize("kind, read", [
    (TOOL, {"method": "tools/call", "params": {"name": "fs__read", "arguments": {"a": 1}}}),
    (PROMPT, {"method": "prompts/get", "params": {"name": "fs__read", "arguments": {"a": 1}}}),
    (RESOURCE, {"method": "resources/read", "params": {"uri": "read"}}),
])
def test_an_interceptor_reads_the_request_or_the_result(type: str, kind: str, read: dict[str, Any]) -> None:
    way = Way(PRE, OK, each={"type": type})
    assert isinstance(way.run(call({"a": 1}, kind=kind)), Complete)
    assert way.shell.read == [read]
    way = Way(POST, OK, each={"type": type})
    assert way.run(call({"a": 1}, kind=kind)) is way.road._answer
    assert way.shell.read == [RESULT]


@pytest.mark.parametrize("event", [PRE, POST])
def test_an_interceptor_may_give_the_result_itself(event: str) -> None:
    way = Way(event, says({"content": [TEXT]}), each={"type": "docker"})
    assert value_of(way.run()) == {"content": [TEXT]} and len(way.sent) == (event == POST)


@pytest.mark.parametrize("event", [PRE, POST])
@pytest.mark.parametrize("said, reason", [
    (says("", 1, "no"), "it exited with code 1: no"), (says("", 2, "no"), "it exited with code 2: no"),
    (says("ok"), "its output is no JSON"), (says("[]"), "its output must be a JSON object, not a list"),
    (says({"content": 5}), "it gave no result: `content` must be a list"), (says("", -15), "it was ended by signal 15"),
    (HookRun(0, "{}", "", garbled=True), "its output is not UTF-8"), (HookRun(-1, "", "", "timed out"), "it timed out"),
], ids=ids)
def test_an_interceptor_that_fails_blocks_unless_it_may_fail(event: str, said: HookRun, reason: str) -> None:
    assert f": {reason}" in refused(Way(event, said, each={"type": "docker"}).run()).text
    way = Way(event, said, each={"type": "docker", "onFailure": "continue"})
    assert way.run() is way.road._answer


# --- questions of servers ---

FORM = {"mode": "form", "message": "Who are you?", "requestedSchema": {"type": "object", "properties": {}}}
ASKED = InputRequired({"q1": {"method": "elicitation/create", "params": FORM}}, "state", "fs")


def elicit(**output: Any) -> HookRun:
    return specific(ELICIT, **output)


def test_what_a_hook_of_a_question_reads() -> None:
    way = Way(ELICIT, OK, answer=ASKED)
    way.run()
    assert way.shell.read == [{
        **COMMON, "hook_event_name": ELICIT, "mcp_server_name": "fs", "message": "Who are you?", "mode": "form",
        "requested_schema": FORM["requestedSchema"]}]
    url = {"mode": "url", "message": "Open this", "url": "https://x", "elicitationId": "e1"}
    way = Way(ELICIT, OK, answer=ASKED._replace(requests={"q": {"method": "elicitation/create", "params": url}}))
    way.run()
    read = way.shell.read[0]
    assert (read["mode"], read["url"], read["elicitation_id"]) == ("url", "https://x", "e1")
    assert "requested_schema" not in read


@pytest.mark.parametrize("said, answer", [
    (elicit(action="accept", content={"name": "Ada"}), {"action": "accept", "content": {"name": "Ada"}}),
    (elicit(action="accept"), {"action": "accept", "content": {}}), (elicit(action="decline"), {"action": "decline"}),
    (elicit(action="cancel"), {"action": "cancel"}), (says("", 2, "no"), {"action": "decline"}),
    (says({"decision": "block"}), {"action": "decline"}), (says({"continue": False}), {"action": "decline"}),
    (says("", 1), {"action": "decline"}), (HookRun(-1, "", "", "timed out"), {"action": "decline"}),
    (elicit(action="yes"), {"action": "decline"}), (elicit(action="accept", content=[]), {"action": "decline"}),
    (elicit(action="decline", content={}), {"action": "decline"}), (says("{"), {"action": "decline"}),
    (OK, None), (elicit(), None), (says("well"), None), (says({"systemMessage": "x"}), None),
], ids=ids)
def test_a_hook_answers_in_the_users_place(said: HookRun, answer: dict[str, Any] | None) -> None:
    way = Way(ELICIT, said, answer=ASKED)
    found = way.run()
    assert isinstance(found, InputRequired) and found.state == "state"
    assert (dict(found.requests), dict(found.given)) == (
        (dict(ASKED.requests), {}) if answer is None else ({}, {"q1": answer}))
    if answer is not None:
        place = AT.format(ELICIT, 0)
        assert ("info", f"hook `{place}` answers a question of server `fs`: {answer['action']}") in way.log


def test_a_hook_of_questions_that_may_fail_leaves_the_question_to_the_user() -> None:
    way = Way(ELICIT, says("", 1), answer=ASKED, each={"onFailure": "continue"})
    assert way.run().requests == ASKED.requests


def test_the_first_hook_that_answers_ends_it_and_only_its_question_is_answered() -> None:
    other = {"method": "sampling/createMessage", "params": {"messages": []}}
    asked = ASKED._replace(requests={**ASKED.requests, "q2": other}, given={"q0": {"roots": []}})
    way = Way(ELICIT, OK, elicit(action="cancel"), elicit(action="accept"), answer=asked)
    found = way.run()
    assert found.requests == {"q2": other} and found.given == {"q0": {"roots": []}, "q1": {"action": "cancel"}}
    assert len(way.shell.read) == 2


def test_the_gateways_own_questions_are_answered_by_no_hook() -> None:
    way = Way(ELICIT, elicit(action="accept"), answer=ASKED._replace(stage="permissions"))
    assert way.run().requests == ASKED.requests and way.shell.read == []


def test_questions_are_matched_by_their_server() -> None:
    for matcher, ran in (("fs", 1), ("other", 0), ("f.", 1), ("mcp__fs", 0)):
        shell = Shell(elicit(action="cancel"))
        built = stage(hooks, ports(run_hook=shell.run), hooks={
            ELICIT: [{"matcher": matcher, "hooks": [{"command": "0"}]}]})
        assert built is not None
        Road(built, answer=ASKED).run(call())
        assert len(shell.read) == ran


# --- whatever they say ---

ODD: list[Any] = [None, True, False, 0, -1, 1.5, "", "x", "deny", "block", "\ud800", [], [1], [TEXT], {},
                  {"content": 5}, {"content": [TEXT]}, {"a": {"b": []}}, "x" * 20_000]
WORDS = ["continue", "stopReason", "suppressOutput", "systemMessage", "decision", "reason", "hookSpecificOutput",
         "hookEventName", "permissionDecision", "permissionDecisionReason", "updatedInput", "additionalContext",
         "classifierContext", "updatedToolOutput", "updatedMCPToolOutput", "action", "content"]


def made_up(random: Random, event: str) -> HookRun:
    """What some hook might say: mostly words that mean something, mostly with values that do not."""
    inner: dict[str, Any] = {"hookEventName": event} if random.random() < 0.8 else {}
    inner.update({random.choice(WORDS): random.choice(ODD) for _ in range(random.randrange(3))})
    if random.random() < 0.5:
        inner["permissionDecision"] = random.choice(["allow", "deny", "ask", "defer", "no"])
    outer: Any = {random.choice(WORDS): random.choice(ODD) for _ in range(random.randrange(3))}
    if random.random() < 0.7:
        outer["hookSpecificOutput"] = inner
    text = json.dumps(outer)
    if random.random() < 0.2:
        cut = random.randrange(len(text) + 1)
        text = text[:cut] + random.choice(["", "{", "\x00", "\ufeff", "\n"]) + text[cut:]
    failure = "timed out" if random.random() < 0.05 else ""
    code = random.choice([0, 0, 0, 0, 1, 2, 127, -9])
    return HookRun(code, text, random.choice(["", "why"]), failure, random.random() < 0.05)


@pytest.mark.parametrize("kind", [TOOL, RESOURCE, PROMPT])
@pytest.mark.parametrize("type", ["command", "docker", "stdio"])
def test_nothing_that_a_hook_says_breaks_the_stage_or_gets_past_it(type: str, kind: str) -> None:
    random = Random(f"{type} {kind}")
    for number in range(400):
        event = random.choice([PRE, POST] if type == "docker" else [PRE, POST, FAILURE, ELICIT])
        said = made_up(random, event)
        lenient = random.random() < 0.5
        answer = {FAILURE: ERROR, ELICIT: ASKED}.get(event, complete(RESULT))
        way = Way(event, said, answer=answer, each={"type": type, "onFailure": "continue" if lenient else "block"})
        outcome = way.run(call({"a": 1}, kind=kind))
        about = f"{type} {kind} number {number}: {event} said {said}"
        assert not isinstance(outcome, Refused) or outcome.stage in ("hooks", "permissions"), about
        whole = said.exit_code == 0 and not said.failure and not said.garbled
        if event in (PRE, POST) and not whole and not lenient:
            assert isinstance(outcome, Refused), about
            assert event == POST or not way.sent, about
        denies = '"permissionDecision": "deny"' in said.stdout and type != "docker"
        if event == PRE and denies and whole and not lenient:
            assert not way.sent, about
        if event == FAILURE:
            assert isinstance(outcome, Complete) and outcome.is_error, about


@pytest.mark.parametrize("settings", [
    {"hooks": {PRE: [{"hooks": [{"type": "command", "command": "x"}]}]}},
    {"hooks": {PRE: [{"hooks": [{"type": "docker", "command": "x"}]}]}},
    {"hooks": {PRE: [{"hooks": [{"type": "command", "command": "x", "onFailure": "continue"}]}]}},
    {"pre_tool_hook": "x"},
], ids=["command", "docker", "lenient", "0.1.0"])
def test_arguments_that_json_cannot_say_are_refused_before_a_hook_runs_and_without_a_fault(
    settings: dict[str, Any],
) -> None:
    shell = Shell(OK)
    log: list[tuple[str, str]] = []
    built = stage(hooks, ports(run_hook=shell.run, log=log), **settings)
    road = Road(*[built] if built else [])
    outcome = road.run(call({"a": 1e400}))
    assert refused(outcome).stage == "hooks" and "cannot be shown the arguments" in refused(outcome).text
    assert not road.sent and not shell.ran and not [entry for entry in log if entry[0] == "error"]
