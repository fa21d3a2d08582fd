"""What the house asks, as servers of either era read it, and what their answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shack_gateway.eras.to_server import call_params, greeting, handshake_capabilities, names_stateless, outcome
from shack_gateway.errors import ServerGone
from shack_gateway.pipeline.call import PROMPT, RESOURCE, TOOL, Call, Complete, Context, Failed, InputRequired
from shack_gateway.wire.messages import ErrorAnswer, Result

M = "io.modelcontextprotocol/"
CLIENT = {"name": "gw", "version": "1"}


def call(kind: str = TOOL, arguments: Any = None, params: Any = None, **context: Any) -> Call:
    return Call(1, kind, "s", "s__t", "t", {} if arguments is None else arguments, params or {}, Context(**context))


def answer(value: Any) -> Result:
    return Result(1, json.dumps(value).encode(), value)


def test_a_plain_call_to_a_handshake_server_is_name_and_arguments_and_nothing_else() -> None:
    params = call_params(call(arguments={"a": 1}, params={"name": "s__t", "arguments": {"old": 1}}), False, CLIENT, 5)
    assert params == {"name": "t", "arguments": {"a": 1}}


def test_a_call_without_arguments_sends_an_empty_object() -> None:
    assert call_params(call(params={"name": "s__t"}), False, CLIENT, 5)["arguments"] == {}


def test_a_prompt_without_arguments_sends_none() -> None:
    assert call_params(call(PROMPT, params={"name": "s__t"}), False, CLIENT, 5) == {"name": "t"}


def test_a_resource_is_asked_for_by_the_server_s_own_uri() -> None:
    assert call_params(call(RESOURCE, {"uri": "x"}, {"uri": "shack://s/t"}), False, CLIENT, 5) == {"uri": "t"}


def test_members_that_we_do_not_know_are_passed_on() -> None:
    params = {"name": "s__t", "inputResponses": {"k": {"action": "accept"}}, "requestState": "S", "task": {"ttl": 1}}
    found = call_params(call(params=params), True, CLIENT, 5)
    assert {key: found[key] for key in ("inputResponses", "requestState", "task")} == {
        "inputResponses": {"k": {"action": "accept"}},
        "requestState": "S",
        "task": {"ttl": 1},
    }


META = {
    "progressToken": "host",
    M + "protocolVersion": "x",
    M + "clientInfo": {},
    M + "clientCapabilities": {"a": 1},
    M + "logLevel": "debug",
    M + "subscriptionId": 1,
    "traceparent": "00-x",
    "vendor/own": {"deep": [1]},
}


def test_keys_of_the_hop_never_reach_a_handshake_server() -> None:
    found = call_params(call(params={"_meta": META}), False, CLIENT, 5)
    assert found["_meta"] == {"traceparent": "00-x", "vendor/own": {"deep": [1]}}


def test_a_stateless_server_is_told_who_we_are_and_what_the_host_can_do() -> None:
    capabilities = {"elicitation": {"form": {}}, "sampling": {}, "roots": {}, "extensions": {"x": {}}}
    found = call_params(call(params={"_meta": META}, capabilities=capabilities, log_level="info"), True, CLIENT, 5)
    assert found["_meta"] == {
        "traceparent": "00-x",
        "vendor/own": {"deep": [1]},
        M + "protocolVersion": "2026-07-28",
        M + "clientInfo": CLIENT,
        M + "clientCapabilities": {"elicitation": {"form": {}}, "sampling": {}, "roots": {}},
        M + "logLevel": "info",
    }


@pytest.mark.parametrize("stateless", [False, True])
def test_progress_is_asked_for_under_our_own_id_and_only_if_the_host_wants_it(stateless: bool) -> None:
    assert call_params(call(progress=lambda params: None), stateless, CLIENT, 5)["_meta"]["progressToken"] == 5
    assert "progressToken" not in call_params(call(), stateless, CLIENT, 5).get("_meta", {})


@pytest.mark.parametrize(
    "host, declared",
    [
        ({}, {"roots": {"listChanged": True}}),
        ({"sampling": {"tools": {}}}, {"roots": {"listChanged": True}, "sampling": {"tools": {}}}),
        ({"elicitation": {"form": {}}}, {"roots": {"listChanged": True}, "elicitation": {}}),
        (
            {"elicitation": {"form": {}, "url": {}}},
            {"roots": {"listChanged": True}, "elicitation": {"form": {}, "url": {}}},
        ),
    ],
    ids=str,
)
def test_a_handshake_server_is_shown_what_the_host_can_do(host: Any, declared: Any) -> None:
    assert handshake_capabilities(host) == declared


@pytest.mark.parametrize(
    "stateless, value, version",
    [
        (True, {"supportedVersions": ["2026-07-28"], "capabilities": {}}, "2026-07-28"),
        (True, {"supportedVersions": ["2099-01-01", "2026-07-28"]}, "2026-07-28"),
        (True, {"supportedVersions": ["2025-11-25"]}, None),
        (True, {"supportedVersions": "2026-07-28"}, None),
        (True, {}, None),
        (False, {"protocolVersion": "2024-11-05"}, "2024-11-05"),
        (False, {"protocolVersion": "2026-07-28"}, None),
        (False, {"protocolVersion": "1.0"}, None),
        (False, {}, None),
    ],
    ids=lambda v: str(v)[:40],
)
def test_a_greeting_is_one_only_if_it_names_a_revision_we_speak(
    stateless: bool, value: Any, version: str | None
) -> None:
    found = greeting(answer(value), stateless=stateless)
    assert (found.version if found else None) == version


@pytest.mark.parametrize(
    "code, data, named",
    [
        (-32022, {"supported": ["2026-07-28"]}, True),
        (-32022, {"supported": ["2025-11-25"]}, False),
        (-32022, None, False),
        (-32601, {"supported": ["2026-07-28"]}, False),
    ],
)
def test_an_error_may_be_proof_of_the_stateless_era(code: int, data: Any, named: bool) -> None:
    assert names_stateless(ErrorAnswer(1, code, "no", data)) is named


def test_an_answer_without_a_type_is_complete() -> None:
    found = outcome(answer({"content": []}), call(), stateless=True)
    assert isinstance(found, Complete) and found.server == "s"


@pytest.mark.parametrize(
    "value, cache",
    [
        ({"ttlMs": 5, "cacheScope": "public"}, None),
        ({"ttlMs": 5, "cacheScope": "private"}, None),
        ({}, (0, True)),
        ({"ttlMs": -5, "cacheScope": "public"}, (0, False)),
        ({"ttlMs": 5}, (5, True)),
        ({"ttlMs": True, "cacheScope": "both"}, (0, True)),
    ],
    ids=str,
)
def test_a_resource_may_be_kept_as_long_as_its_server_rightly_says(value: Any, cache: Any) -> None:
    found = outcome(answer({"contents": [], **value}), call(RESOURCE), stateless=True)
    assert isinstance(found, Complete) and found.cache == cache


def test_a_question_of_the_server_is_an_outcome() -> None:
    asked = {"resultType": "input_required", "inputRequests": {"k": {"method": "roots/list"}}, "requestState": "S"}
    assert outcome(answer(asked), call(), stateless=True) == InputRequired(
        {"k": {"method": "roots/list"}}, "S", "s", None
    )


@pytest.mark.parametrize(
    "value",
    [
        {"resultType": "task"},
        {"resultType": 5},
        {"resultType": "input_required"},
        {"resultType": "input_required", "inputRequests": []},
        {"resultType": "input_required", "requestState": 5},
    ],
    ids=str,
)
def test_an_answer_of_a_kind_that_we_do_not_know_is_a_failure_of_the_server(value: Any) -> None:
    found = outcome(answer(value), call(), stateless=True)
    assert isinstance(found, Failed) and found.reason == "protocol"


def test_a_handshake_server_may_call_a_member_result_type() -> None:
    assert isinstance(outcome(answer({"resultType": "whatever"}), call(), stateless=False), Complete)


def test_a_server_s_error_keeps_code_message_and_data() -> None:
    found = outcome(ErrorAnswer(1, 1234, "no", {"a": 1}), call(), stateless=False)
    assert found == Failed("server", "no", server="s", code=1234, data={"a": 1})


def test_a_server_that_is_gone_is_a_failure_with_its_reason() -> None:
    found = outcome(ServerGone("s", "downstream server 's' closed before responding"), call(), stateless=False)
    assert isinstance(found, Failed)
    assert (found.text, found.reason) == ("downstream error: downstream server 's' closed before responding", "closed")
