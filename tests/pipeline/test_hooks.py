"""Hooks: what they read, what their exit codes and answers mean, and that whatever else they do blocks."""
from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from kit import hooking
from kit.corridor import Road, call, complete, ports, read, refused, stage
from kit.hooking import OK, REWRITES, Shell, gates, raising, says
from shack_gateway.errors import Cancelled
from shack_gateway.pipeline.call import PROMPT, RESOURCE, TOOL, Call, Complete, Failed, InputRequired, Outcome, Refused
from shack_gateway.pipeline.chain import HookRun, Program, Stage
from shack_gateway.pipeline.stages import hooks, sandbox

RESULT = {"content": [{"type": "text", "text": "hello"}], "extra": [1, 2.5, None]}


class Plain(Shell):
    """Commands that run as the gateway does: in its folder, with its environment."""

    async def run(self, program: Program, payload: bytes, limit: float) -> HookRun:
        assert program == Program(str(program.command))
        return await super().run(program, payload, limit)


def specific(**output: Any) -> HookRun:
    return hooking.specific("PreToolUse", **output)


def road(
    pre: HookRun | None = None, post: HookRun | None = None, answer: Outcome | None = None, others: Iterable[
        Stage] = (),
    **settings: Any,
) -> tuple[Road, Shell]:
    shell = Plain(pre=pre or OK, post=post or OK)
    if pre is not None:
        settings["pre_tool_hook"] = "pre"
    if post is not None:
        settings["post_tool_hook"] = "post"
    built = stage(hooks, ports(run_hook=shell.run), **settings)
    assert built is not None
    return Road(*others, built, answer=complete(RESULT) if answer is None else answer), shell


# --- what a hook reads ---

def test_the_first_hook_reads_exactly_what_0_1_0_gives_it() -> None:
    arguments = {"a": [1, 2.5, None, True], "é": "ü\u2028\ud800", "n": {"m": []}}
    way, shell = road(pre=OK)
    way.run(call(arguments))
    [(command, payload, _)] = shell.ran
    assert command == "pre"
    assert list(payload) == ["hook_event_name", "tool_name", "tool_input", "tool_input_json"]
    assert payload["hook_event_name"] == "PreToolUse" and payload["tool_name"] == "fs__read"
    assert payload["tool_input"] == arguments and json.loads(payload["tool_input_json"]) == arguments
    assert payload["tool_input_json"] == json.dumps(arguments)


@pytest.mark.parametrize("result, is_error", [
    (RESULT, False), ({"content": [], "isError": True}, True), ({"isError": False}, False), ({"isError": "yes"}, False),
    ({}, False),
], ids=str)
def test_the_second_hook_reads_exactly_what_0_1_0_gives_it(result: dict[str, Any], is_error: bool) -> None:
    way, shell = road(post=OK, answer=complete(result))
    way.run(call({"a": 1}))
    [(command, payload, _)] = shell.ran
    assert command == "post"
    assert payload == {
        "hook_event_name": "PostToolUse", "tool_name": "fs__read", "tool_input": {"a": 1}, "tool_response": result,
        "tool_result_is_error": is_error,
    }


def test_a_hook_reads_one_line() -> None:
    way, shell = road(pre=OK, post=OK)
    way.run(call({"a": "x\ny"}))
    assert [raw.count(b"\n") for raw in shell.raw] == [1, 1] and all(raw.endswith(b"}\n") for raw in shell.raw)


@pytest.mark.parametrize("kind, name, given, kinds", [
    (TOOL, "fs__read", {"a": 1}, {}), (PROMPT, "fs__read", {"a": 1}, {"kind": "prompt"}),
    (RESOURCE, "fs__resources/read", {"uri": "read"}, {"kind": "resource"}),
])
def test_resources_and_prompts_are_shown_to_hooks_too_and_say_what_they_are(
    kind: str, name: str, given: dict[str, Any], kinds: dict[str, str]
) -> None:
    way, shell = road(pre=OK, post=OK)
    assert isinstance(way.run(call({"a": 1}, kind=kind, name="as the host spelt it")), Complete)
    for _, payload, _ in shell.ran:
        assert (payload["tool_name"], payload["tool_input"]) == (name, given)
        assert {key: value for key, value in payload.items() if key == "kind"} == kinds


# --- what a hook means ---

PASSES = [
    OK, says("  \n"), says({}), says({"continue": True}), says({"decision": "approve"}), says({"decision": None}), says(
        {"other": [1]}),
    says({"reason": "just so"}), says({"hookSpecificOutput": None}), says({"hookSpecificOutput": {}}),
    specific(permissionDecision="allow"), specific(permissionDecision=None), specific(permissionDecisionReason="x"),
    HookRun(0, "", "a word on stderr"), says(" {}\n"), says({"continue": None}),
]
BLOCKS: list[tuple[HookRun, str]] = [
    (says("", 2, "because\n"), "because"), (says({"reason": "my reason"}, 2, "because"), "my reason"), (says(
        {"reason": 5}, 2, "because"), "because"),
    (says("no json", 2, "because"), "because"), (says([1], 2, "because"), "because"), (says("", 2),
    "blocked by hook (exit code 2)"),
    (says({"reason": ""}, 2), "blocked by hook (exit code 2)"),
    (says({"hookSpecificOutput": {"permissionDecision": "allow"}}, 2), "blocked by hook (exit code 2)"),
    (says("", 1, "oh no\n"), "hook exited with code 1: oh no"), (says("", 127, "not found"),
    "hook exited with code 127: not found"),
    (says({"decision": "approve"}, 3), "hook exited with code 3: "), (says("", -9), "hook exited with code -9: "),
    (HookRun(0, "{}", "", "timed out after 30 s"), "timed out after 30 s"),
    (HookRun(0, "", "", "failed to spawn hook: no sh"), "failed to spawn hook: no sh"),
    (says("hello"), "invalid JSON on hook stdout: "), (says("{} {}"), "invalid JSON on hook stdout: "), (
        says('{"a": NaN}'), "invalid JSON on hook stdout: "),
    (says("[" * 100_000), "invalid JSON on hook stdout: "), (says('{"a":' * 100_000), "invalid JSON on hook stdout: "),
    (says("[]"), "hook stdout must be a JSON object, not a list"), (says("5"),
    "hook stdout must be a JSON object, not a number"),
    (says("null"), "hook stdout must be a JSON object, not null"), (says('"x"'),
    "hook stdout must be a JSON object, not a string"),
    (says({"continue": False}), "blocked by hook"), (says({"continue": False, "reason": "stop"}), "stop"),
    (says({"decision": "block"}), "blocked by hook"), (says({"decision": "block", "reason": "bad"}), "bad"),
    (says({"decision": "block", "reason": ["bad"]}), "blocked by hook"), (says({"continue": True, "decision": "block"}),
    "blocked by hook"),
    (says({"continue": "false"}), "`continue` must be"), (says({"continue": 0}), "`continue` must be"),
]
BLOCKS_PRE: list[tuple[HookRun, str]] = [
    (says({"hookSpecificOutput": "deny"}), "`hookSpecificOutput` must be an object, not a string"), (says(
        {"hookSpecificOutput": []}), "`hookSpecificOutput` must"),
    (specific(permissionDecision="denied"), "`permissionDecision` must be"), (specific(permissionDecision="Deny"),
    "`permissionDecision` must be"),
    (specific(permissionDecision=True), "`permissionDecision` must be"), (specific(updatedInput=[1]),
    "`updatedInput` must be an object, not a list"),
    (specific(updatedInput="x"), "`updatedInput` must be an object, not a string"), (specific(updatedInput=None),
    "`updatedInput` must be an object, not null"),
    (says({"decision": "block", "reason": "bad", "hookSpecificOutput": {"permissionDecision": "allow"}}), "bad"),
]


def ids(run: object) -> str:
    return f"{run.exit_code} {run.failure or run.stdout[:40] or run.stderr[:20]}" if isinstance(run, HookRun) else str(
        run)[:12]


@pytest.mark.parametrize("said", PASSES, ids=ids)
def test_a_call_passes_unchanged(said: HookRun) -> None:
    way, _ = road(pre=said)
    asked = call({"a": 1})
    assert isinstance(way.run(asked), Complete) and way.sent == [asked]
    way, _ = road(post=said)
    assert isinstance(way.run(asked), Complete)


@pytest.mark.parametrize("said, reason", [*BLOCKS, *BLOCKS_PRE], ids=ids)
def test_a_call_is_blocked_with_the_reason(said: HookRun, reason: str) -> None:
    way, _ = road(pre=said)
    outcome = refused(way.run(call({"a": 1})))
    assert outcome.text.startswith(f"blocked by pre-tool hook: {reason}")
    assert (outcome.stage, outcome.rule, way.sent) == ("hooks", "pre_tool_hook", [])


@pytest.mark.parametrize("said, reason", BLOCKS, ids=ids)
def test_a_result_is_rejected_with_the_reason(said: HookRun, reason: str) -> None:
    way, _ = road(post=said)
    outcome = refused(way.run(call({"a": 1})))
    assert outcome.text.startswith(f"result rejected by post-tool hook: {reason}")
    assert (outcome.stage, outcome.rule, len(way.sent)) == ("hooks", "post_tool_hook", 1)
    assert "hello" not in outcome.text


@pytest.mark.parametrize("said, text", [
    (specific(permissionDecision="deny"), "denied by pre-tool hook permission decision"),
    (specific(permissionDecision="deny", permissionDecisionReason="not on Sundays"),
     "denied by pre-tool hook permission decision: not on Sundays"),
    (specific(permissionDecision="deny", updatedInput={"a": 2}), "denied by pre-tool hook permission decision"),
    (says({"reason": "so", "hookSpecificOutput": {"permissionDecision": "deny"}}),
    "denied by pre-tool hook permission decision: so"),
], ids=ids)
def test_a_denied_call_is_refused_like_a_permission_rule_does(said: HookRun, text: str) -> None:
    way, _ = road(pre=said)
    outcome = refused(way.run(call({"a": 1})))
    assert (outcome.stage, outcome.text, outcome.rule, way.sent) == ("permissions", text, "pre_tool_hook", [])


@pytest.mark.parametrize("decision", ["ask", "defer"])
def test_a_hook_that_asks_gets_a_refusal_that_says_that_nobody_can_be_asked(decision: str) -> None:
    way, _ = road(pre=specific(permissionDecision=decision, permissionDecisionReason="push?", updatedInput={"a": 2}))
    outcome = refused(way.run(call({"a": 1})))
    assert outcome.text.startswith("tool call requires explicit approval; ")
    assert "no interactive prompter" in outcome.text and outcome.text.endswith("(push?)") and way.sent == []
    assert (outcome.stage, outcome.rule) == ("permissions", "pre_tool_hook")


def test_a_hook_that_asks_without_a_reason_is_not_given_one() -> None:
    way, _ = road(pre=specific(permissionDecision="ask"))
    assert refused(way.run(call())).text.endswith("`fs__read` is asked about by `pre_tool_hook`")


def test_what_only_the_first_hook_may_say_means_nothing_of_the_second() -> None:
    for said in (specific(permissionDecision="deny"), specific(updatedInput={"a": 2}), says({"hookSpecificOutput": 5})):
        way, _ = road(post=said)
        assert isinstance(way.run(call({"a": 1})), Complete) and way.sent[0].arguments == {"a": 1}


# --- rewriting ---

@pytest.mark.parametrize("updated", [{"a": 2}, {}, {"a": True}, {"a": 1.0}, {"deep": [{"x": None}]}], ids=str)
def test_updated_input_is_what_is_sent_and_what_the_second_hook_sees(updated: dict[str, Any]) -> None:
    way, shell = road(pre=specific(updatedInput=updated), post=OK)
    way.run(call({"a": 1}))
    [sent] = way.sent
    assert json.dumps(sent.arguments) == json.dumps(updated)
    assert [payload["tool_input"] for _, payload, _ in shell.ran] == [{"a": 1}, updated]


@pytest.mark.parametrize("updated, stage_name", REWRITES)
def test_updated_input_is_judged_again(updated: dict[str, Any], stage_name: str | None) -> None:
    way, _ = road(pre=specific(updatedInput=updated), others=gates())
    outcome = way.run(call({"path": "a.txt"}))
    if stage_name is None:
        assert isinstance(outcome, Complete)
    else:
        assert refused(outcome).stage == stage_name and way.sent == []


def test_the_uri_of_a_resource_cannot_be_changed() -> None:
    asked = call({"uri": "x://y"}, kind=RESOURCE, target="x://y", name="x://y")
    way, _ = road(pre=specific(updatedInput={"uri": "x://z"}))
    assert "cannot be changed" in refused(way.run(asked)).text and way.sent == []
    way, _ = road(pre=specific(updatedInput={"uri": "x://y"}))
    assert isinstance(way.run(asked), Complete) and way.sent == [asked]


# --- which outcomes the second hook sees ---

@pytest.mark.parametrize("outcome", [Failed("server", "gone"), InputRequired({}, None), Refused("sandbox", "no")],
    ids=str)
def test_the_second_hook_sees_results_only(outcome: Outcome) -> None:
    way, shell = road(post=says("", 2), answer=outcome)
    assert way.run(call()).__class__ is outcome.__class__
    assert shell.ran == []


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"a": NaN}', b"\xff", b'{"a":' * 100_000, b""], ids=lambda b: repr(
    b[:8]))
def test_a_result_that_cannot_be_read_is_withheld(body: bytes) -> None:
    way, shell = road(post=OK, answer=Complete(body, server="fs", shape={}))
    outcome = refused(way.run(call()))
    assert outcome.stage == "hooks" and "server `fs`" in outcome.text and shell.ran == []


def test_a_result_in_chunks_is_seen_whole() -> None:
    way, shell = road(post=OK, answer=Complete([b'{"content"', b': [], "x": "', b'y"}'], server="fs"))
    assert isinstance(way.run(call()), Complete)
    assert shell.ran[0][1]["tool_response"] == {"content": [], "x": "y"}


def test_a_result_that_passes_is_the_very_one_that_came() -> None:
    answer = complete(RESULT)
    way, _ = road(pre=OK, post=OK, answer=answer)
    assert way.run(call()) is answer


# --- limits ---

@pytest.mark.parametrize("settings, secs", [
    ({}, 30), ({"hook_timeout_secs": 5}, 5), ({"hook_timeout_secs": 0.5}, 0.5), ({"hook_timeout_secs": 300}, 300),
    ({"request_timeout_secs": 4}, 4), ({"request_timeout_secs": 90}, 30), ({"request_timeout_secs": 4,
    "hook_timeout_secs": 60}, 60),
], ids=str)
def test_a_hook_may_run_as_long_as_is_configured(settings: dict[str, Any], secs: float) -> None:
    shell = Plain(pre=OK, post=OK)
    read_settings, found = read(hooks, **{k: v for k, v in settings.items() if k != "request_timeout_secs"})
    assert not found
    built = hooks.build({**read_settings, **settings, "pre_tool_hook": "pre", "post_tool_hook": "post"}, ports(
        run_hook=shell.run))
    assert built is not None
    Road(built).run(call())
    assert [limit for _, _, limit in shell.ran] == [secs, secs]


def test_texts_of_a_hook_are_cut_and_cannot_steer_a_terminal() -> None:
    for said in (says("", 2, "\x1b[31m" + "x" * 60_000), specific(permissionDecision="deny",
        permissionDecisionReason="\x1b" + "x" * 60_000),
                 says("", 1, "\x1b" + "x" * 60_000), says({"continue": False, "reason": "\x1b" + "x" * 60_000})):
        way, _ = road(pre=said)
        text = refused(way.run(call())).text
        assert len(text) < 4096 and "\x1b" not in text and "\\u001b" in text


@pytest.mark.parametrize("key", ["pre_tool_hook", "post_tool_hook"])
def test_a_hook_that_cannot_be_run_at_all_refuses_or_withholds(key: str) -> None:
    built = stage(hooks, ports(run_hook=raising(RuntimeError("no loop"))), **{key: "x"})
    assert built is not None
    assert refused(Road(built).run(call())).stage == "stage"


def test_a_cancel_while_a_hook_runs_passes_through() -> None:
    built = stage(hooks, ports(run_hook=raising(Cancelled())), pre_tool_hook="x")
    assert built is not None
    with pytest.raises(Cancelled):
        Road(built).run(call())


# --- configuration ---

@pytest.mark.parametrize("settings", [{}, {"pre_tool_hook": None, "post_tool_hook": ""}, {"pre_tool_hook": "  "}],
    ids=str)
def test_without_a_hook_there_is_no_stage(settings: dict[str, Any]) -> None:
    assert stage(hooks, ports(), **settings) is None


@pytest.mark.parametrize("settings", [
    {"pre_tool_hook": ["x"]}, {"post_tool_hook": 5}, {"pre_tool_hook": {"command": "x"}}, {"hook_timeout_secs": "30"},
    {"hook_timeout_secs": 0},
    {"hook_timeout_secs": -1}, {"hook_timeout_secs": True}, {"pre_tool_hook": "a\0b"},
], ids=str)
def test_a_wrong_value_is_an_error(settings: dict[str, Any]) -> None:
    [found] = read(hooks, **settings)[1]
    assert found.startswith(f"error `{next(iter(settings))}`")


@pytest.mark.parametrize("pre, post, ran", [(OK, None, ["pre"]), (None, OK, ["post"]), (OK, OK, ["pre", "post"])])
def test_only_the_hooks_that_are_configured_run(pre: Any, post: Any, ran: list[str]) -> None:
    way, shell = road(pre=pre, post=post)
    way.run(call())
    assert [command for command, _, _ in shell.ran] == ran


def test_a_refused_call_is_seen_by_no_hook() -> None:
    given = ports("/ws", realpath=lambda path: path)
    box = stage(sandbox, given)
    assert box is not None
    way, shell = road(pre=OK, post=OK, others=[box])
    refused(way.run(call({"path": "/etc/passwd"})))
    assert shell.ran == []


def test_a_call_that_is_blocked_was_not_changed_for_the_one_that_asked() -> None:
    asked = call({"a": 1})
    way, _ = road(pre=specific(updatedInput={"a": 2}))
    way.run(asked)
    assert asked.arguments == {"a": 1} and isinstance(asked, Call)
