"""What the house says, as hosts of either era read it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shack_gateway.eras.inbound import Asked, Tongue
from shack_gateway.eras.to_host import Voice, capabilities, for_handshake, notification
from shack_gateway.errors import FAILURES
from shack_gateway.pipeline.call import Complete, Failed, InputRequired, Outcome, Refused

M = "io.modelcontextprotocol/"
VOICE = Voice("shack-gateway", "9")
INFO = {"name": "shack-gateway", "version": "9"}


def asked(
    stateless: bool, method: str = "tools/call", version: str = "", capabilities: Any = None, **params: Any
) -> Asked:
    version = version or ("2026-07-28" if stateless else "2025-11-25")
    return Asked(method, params, Tongue(stateless, version), capabilities or {}, None, None)


def said(outcome: Outcome, to: Asked, number: int = 7) -> Any:
    line = VOICE.answer(1, to, outcome, number)
    raw = line if isinstance(line, bytes) else b"".join(line)
    assert raw.endswith(b"\n") and raw.count(b"\n") == 1
    return json.loads(raw)


def complete(text: str, **more: Any) -> Complete:
    return Complete(text.encode(), value=json.loads(text), **more)


ODD = (
    '{ "content":[{"type":"text","text":"\\u00e4\u2028 1.10"}],'
    '"structuredContent":{"n":1.10,"big":12345678901234567890},"x-own":[1e2]}'
)


@pytest.mark.parametrize("stateless", [False, True], ids=["handshake", "stateless"])
def test_what_an_era_leaves_as_it_is_goes_out_byte_for_byte(stateless: bool) -> None:
    line = VOICE.answer("a", asked(stateless), complete(ODD, server="s"), 1)
    assert isinstance(line, bytes)
    assert ODD[1:].encode() in line


def test_a_result_of_the_same_handshake_era_is_not_touched_at_all() -> None:
    line = VOICE.answer("a", asked(False), complete(ODD, server="s"), 1)
    assert line == b'{"jsonrpc":"2.0","id":"a","result":' + ODD.encode() + b"}\n"


def test_a_large_result_stays_in_its_chunks() -> None:
    chunks = [b'{"content":[{"type":"text","text":"aa', b"bb", b'"}]}']
    line = VOICE.answer(1, asked(False), Complete(chunks, shape={"content": []}, server="s"), 1)
    assert isinstance(line, list) and line[1:4] == chunks
    line = VOICE.answer(1, asked(True), Complete(chunks, shape={"content": []}, server="s"), 1)
    assert isinstance(line, list) and chunks[1] is line[-3]
    assert json.loads(b"".join(line))["result"]["resultType"] == "complete"


@pytest.mark.parametrize(
    "text",
    [
        '{"content":[]}',
        "{}",
        "{ }",
        '{"resultType":"complete","content":[]}',
        '{"_meta":{"a":1},"content":[]}',
        '{"content":[],"_meta":null}',
    ],
)
def test_every_result_to_a_stateless_host_names_its_type_the_gateway_and_its_server(text: str) -> None:
    result = said(complete(text, server="srv"), asked(True))["result"]
    assert result["resultType"] == "complete"
    assert result["_meta"][M + "serverInfo"] == INFO
    assert result["_meta"]["dev.shack/server"] == "srv"


def test_meta_of_a_result_passes_but_for_the_keys_of_the_hop() -> None:
    meta = {"own": {"a": [1]}, M + "serverInfo": {"name": "theirs"}, M + "subscriptionId": 4, "traceparent": "00-1"}
    text = json.dumps({"resultType": "complete", "content": [], "_meta": meta})
    result = said(complete(text, server="s", stateless=True), asked(True))["result"]
    assert result["_meta"] == {
        "own": {"a": [1]},
        "traceparent": "00-1",
        M + "serverInfo": INFO,
        "dev.shack/server": "s",
    }
    result = said(complete(text, server="s", stateless=True), asked(False))["result"]
    assert result == {"content": [], "_meta": {"own": {"a": [1]}, "traceparent": "00-1"}}


def test_members_of_the_stateless_era_do_not_reach_a_handshake_host() -> None:
    meta = '{"io.modelcontextprotocol/serverInfo":{}}'
    text = f'{{"resultType":"complete","contents":[],"ttlMs":5,"cacheScope":"public","_meta":{meta}}}'
    assert said(complete(text, stateless=True), asked(False, "resources/read"))["result"] == {"contents": []}


def test_lists_carry_the_house_s_own_time_to_live_to_stateless_hosts_only() -> None:
    outcome = complete('{"tools":[]}', cache=(40, False))
    assert said(outcome, asked(True, "tools/list"))["result"].items() >= {"ttlMs": 40, "cacheScope": "public"}.items()
    assert said(outcome, asked(False, "tools/list"))["result"] == {"tools": []}


def test_a_server_s_own_time_to_live_stands() -> None:
    text = '{"resultType":"complete","contents":[],"ttlMs":5,"cacheScope":"public"}'
    result = said(complete(text, stateless=True), asked(True, "resources/read"))["result"]
    assert (result["ttlMs"], result["cacheScope"]) == (5, "public")


def test_a_time_to_live_of_ours_takes_the_place_of_the_server_s() -> None:
    text = '{"resultType":"complete","contents":[],"ttlMs":-5}'
    line = VOICE.answer(1, asked(True, "resources/read"), complete(text, stateless=True, cache=(0, True)), 1)
    assert isinstance(line, bytes) and line.count(b"ttlMs") == line.count(b"cacheScope") == 1
    assert json.loads(line)["result"].items() >= {"ttlMs": 0, "cacheScope": "private"}.items()


def test_a_handshake_server_cannot_make_its_result_a_question() -> None:
    text = '{"content":[],"resultType":"input_required"}'
    assert said(complete(text, server="s"), asked(True))["result"]["resultType"] == "complete"


@pytest.mark.parametrize(
    "version, kinds", [("2024-11-05", ["resource", "text"]), ("2025-06-18", ["audio", "resource_link"])]
)
def test_messages_of_a_prompt_hold_content_that_the_revision_has(version: str, kinds: list[str]) -> None:
    blocks = [
        {"type": "audio", "data": "QQ==", "mimeType": "audio/wav"},
        {"type": "resource_link", "uri": "u://1", "name": "n"},
    ]
    text = json.dumps({"messages": [{"role": "user", "content": block} for block in blocks]})
    result = json.loads(for_handshake(complete(text), version))  # type: ignore[arg-type]
    assert [message["content"]["type"] for message in result["messages"]] == kinds


@pytest.mark.parametrize(
    "value, kept, added",
    [
        ({"a": 1}, True, False),
        ([1, 2], False, True),
        ("text", False, True),
        (None, False, True),
    ],
    ids=str,
)
def test_structured_content_that_is_no_object_becomes_text_for_handshake_hosts(
    value: Any, kept: bool, added: bool
) -> None:
    text = json.dumps(
        {"resultType": "complete", "content": [{"type": "text", "text": "hello"}], "structuredContent": value}
    )
    result = said(complete(text, stateless=True), asked(False))["result"]
    assert ("structuredContent" in result) is kept
    texts = [block["text"] for block in result["content"]]
    assert (json.dumps(value) in texts) is added


def test_structured_content_whose_text_is_there_already_is_not_said_twice() -> None:
    text = json.dumps({"content": [{"type": "text", "text": "[1, 2]"}], "structuredContent": [1, 2]})
    assert said(complete(text, stateless=True), asked(False))["result"] == {
        "content": [{"type": "text", "text": "[1, 2]"}]
    }


@pytest.mark.parametrize(
    "version, kinds",
    [
        ("2024-11-05", ["text", "resource", "text"]),
        ("2025-03-26", ["text", "audio", "text"]),
        ("2025-06-18", ["text", "audio", "resource_link"]),
    ],
)
def test_content_that_a_revision_lacks_is_said_in_what_it_has(version: str, kinds: list[str]) -> None:
    content = [
        {"type": "text", "text": "t"},
        {"type": "audio", "data": "QQ==", "mimeType": "audio/wav"},
        {"type": "resource_link", "uri": "u://1", "name": "n"},
    ]
    result = json.loads(for_handshake(complete(json.dumps({"content": content})), version))  # type: ignore[arg-type]
    assert [block["type"] for block in result["content"]] == kinds
    if version < "2025-06-18":
        assert result["content"][2]["text"] == "n: u://1"


# --- failures ---


@pytest.mark.parametrize("kind, form", FAILURES.items(), ids=list(FAILURES))
@pytest.mark.parametrize("stateless", [False, True], ids=["handshake", "stateless"])
def test_each_failure_takes_the_form_that_the_table_gives_it(kind: str, form: Any, stateless: bool) -> None:
    code = form.stateless if stateless else form.handshake
    answer = said(Failed(kind, "why", server="s"), asked(stateless))
    if code is None:
        assert answer["result"]["isError"] is True
        assert answer["result"]["content"] == [{"type": "text", "text": "why"}]
    else:
        assert answer["error"]["code"] == code
        assert answer["error"]["message"] == "why"


def test_a_refusal_says_who_refused_by_which_rule_in_which_call() -> None:
    refused = Refused("permissions", "no", rule="a__*", server="a")
    about = {"source": "gateway", "server": "a", "stage": "permissions", "rule": "a__*", "call": 7}
    assert said(refused, asked(False))["error"] == {"code": -32002, "message": "no", "data": about}
    assert said(refused, asked(True))["result"]["_meta"]["dev.shack/refusal"] == about


@pytest.mark.parametrize("method", ["resources/read", "prompts/get"])
def test_a_refusal_of_what_has_no_is_error_is_an_error_in_both_eras(method: str) -> None:
    for stateless in (False, True):
        assert said(Refused("sandbox", "no"), asked(stateless, method))["error"]["code"] in (-32001, -32602)


@pytest.mark.parametrize(
    "method, stateless, code, text, expected",
    [
        ("resources/read", False, -32002, "gone", -32002),
        ("resources/read", True, -32002, "gone", -32602),
        ("resources/read", False, -32602, "Resource not found", -32002),
        ("resources/read", False, -32602, "bad uri", -32602),
        ("tools/call", False, -32602, "x not found", -32602),
        ("tools/call", True, -32002, "gone", -32002),
        ("tools/call", False, 1234, "app", 1234),
        ("tools/call", True, -32005, "app", -32005),
        ("tools/call", True, -32021, "needs sampling", -32021),
    ],
)
def test_errors_of_servers_cross_the_eras(method: str, stateless: bool, code: int, text: str, expected: int) -> None:
    failed = Failed("server", text, server="s", code=code, data={"d": 1})
    error = said(failed, asked(stateless, method, uri="u://1"))["error"]
    assert (error["code"], error["message"]) == (expected, text)
    assert error["data"] == ({"uri": "u://1"} if (code, expected) == (-32002, -32602) else {"d": 1})


@pytest.mark.parametrize("version, is_result", [("2025-11-25", False), ("2025-06-18", True)])
def test_a_url_to_visit_is_told_to_hosts_that_do_not_know_the_error(version: str, is_result: bool) -> None:
    failed = Failed("server", "log in first", code=-32042, data={"elicitations": [{"url": "https://x.example/in"}]})
    answer = said(failed, asked(False, version=version))
    assert ("result" in answer) is is_result
    if is_result:
        assert "https://x.example/in" in answer["result"]["content"][0]["text"]


def test_a_missing_capability_is_told_to_handshake_hosts_in_words() -> None:
    failed = Failed("server", "needs it", server="s", code=-32021, data={"requiredCapabilities": {"sampling": {}}})
    assert "sampling" in said(failed, asked(False))["result"]["content"][0]["text"]


def test_a_message_to_the_host_is_bounded_and_shows_control_characters() -> None:
    message = said(Failed("server", "\x1b[31mred\x07" + "x" * 9000, server="s"), asked(False))["error"]["message"]
    assert len(message) <= 4096
    assert "\x1b" not in message and "\\u001b" in message


# --- questions ---

FORM = {"k": {"method": "elicitation/create", "params": {"message": "?", "requestedSchema": {}}}}


def test_a_question_of_a_stateless_server_passes_to_a_stateless_host_as_it_is() -> None:
    result = said(InputRequired(FORM, "st\u00e4te", "s", {"a": 1}), asked(True, capabilities={"elicitation": {}}))[
        "result"
    ]
    assert (result["resultType"], result["inputRequests"], result["requestState"]) == (
        "input_required",
        FORM,
        "st\u00e4te",
    )
    assert result["_meta"]["a"] == 1 and result["_meta"][M + "serverInfo"] == INFO


@pytest.mark.parametrize(
    "requests, declared, missing",
    [
        (FORM, {}, {"elicitation": {"form": {}}}),
        (
            {"k": {"method": "elicitation/create", "params": {"mode": "url"}}},
            {"elicitation": {"form": {}}},
            {"elicitation": {"url": {}}},
        ),
        ({"k": {"method": "sampling/createMessage", "params": {}}}, {"elicitation": {}}, {"sampling": {}}),
        ({"k": {"method": "roots/list"}}, {}, {"roots": {}}),
    ],
)
def test_a_question_that_the_host_cannot_be_asked_is_refused_with_what_it_would_take(
    requests: Any, declared: Any, missing: Any
) -> None:
    error = said(InputRequired(requests, None, "s"), asked(True, capabilities=declared))["error"]
    assert error["code"] == -32021
    assert error["data"]["requiredCapabilities"] == missing


def test_a_question_of_a_stateless_server_is_a_readable_failure_for_a_handshake_host() -> None:
    result = said(InputRequired(FORM, None, "s"), asked(False, capabilities={}))["result"]
    assert result["isError"] is True and "elicitation" in result["content"][0]["text"]


# --- greetings and notifications ---


def test_everything_is_declared_because_hosts_ask_before_servers_are_up() -> None:
    assert set(capabilities("2026-07-28")) == {"tools", "resources", "prompts", "logging", "completions"}
    assert "completions" not in capabilities("2024-11-05")


def test_discover_names_the_stateless_revision_alone() -> None:
    result = json.loads(VOICE.discover("hi"))
    assert result["supportedVersions"] == ["2026-07-28"]
    assert result["_meta"][M + "serverInfo"] == INFO


def test_a_notification_of_a_listen_carries_its_id_with_its_type() -> None:
    for id in ("1", 1):
        told = json.loads(notification("notifications/x", {"_meta": {"a": 1, M + "subscriptionId": 9}}, listen=id))
        assert told["params"]["_meta"] == {"a": 1, M + "subscriptionId": id}
        assert type(told["params"]["_meta"][M + "subscriptionId"]) is type(id)
