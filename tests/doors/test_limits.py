"""Limits through the real gateway: calls that wait or are refused, and results that are cut and read on."""
from __future__ import annotations

import json
import re
from typing import Any

import pytest

from kit import STATELESS, Scene, schema, text_of
from kit.answering import ERAS, Answering, form, rounds

hosts = pytest.mark.parametrize("era", ERAS)
MEGABYTE = {"bytes": 1_000_000, "fill": "0123456789abcdé "}
WHOLE = MEGABYTE["fill"] * (MEGABYTE["bytes"] // len(MEGABYTE["fill"]))  # type: ignore[operator, arg-type]


def read_on(answer: dict[str, Any]) -> dict[str, Any]:
    """The arguments that the end of a cut result names first."""
    return json.loads(re.findall(r"\{.*?\}", answer["result"]["content"][-1]["text"])[0])  # type: ignore[no-any-return]


def read_all(host: Answering, given: dict[str, Any], *, wrapped: bool) -> str:
    """Everything from there on."""
    pieces = []
    while True:
        if wrapped:
            answer = host.call("shack_call_tool", {"name": "shack__read_result", "arguments": given})
        else:
            answer = host.call("shack__read_result", given)
        head, _, piece = text_of(answer).partition("\n")
        pieces.append(piece)
        more = re.search(r'from "offset": (\d+)\]$', head)
        if more is None:
            return "".join(pieces)
        given = {**given, "offset": int(more[1])}


def refusal(answer: dict[str, Any], era: str) -> str:
    """The text of a refusal by the limits, in the form that the era has."""
    if era == "stateless":
        assert answer["result"]["isError"] is True, answer
        assert answer["result"]["_meta"]["dev.shack/refusal"]["stage"] == "limits"
        return text_of(answer)
    assert answer["error"]["code"] == -32004 and answer["error"]["data"]["stage"] == "limits", answer
    return str(answer["error"]["message"])


@hosts
@pytest.mark.parametrize("mode", ["full", "progressive"])
def test_a_megabyte_is_cut_and_read_on(scene: Scene, era: str, mode: str) -> None:
    scene.server("a", "big")
    host = Answering(scene.start(limits=[{"tool": "a__*", "max_result_chars": 90_000}], expose_mode=mode), era)
    wrapped = mode == "progressive"
    call = {"name": "a__big", "arguments": MEGABYTE}
    answer = host.call("shack_call_tool", call) if wrapped else host.call(**call)
    shown, given = text_of(answer), read_on(answer)
    assert shown == WHOLE[:90_000] and given["offset"] == 90_000 and len(answer["result"]["content"]) == 2
    assert shown + read_all(host, given, wrapped=wrapped) == WHOLE
    assert len(scene.received("a", "tools/call")) == 1, "reading on does not trouble the server"


@pytest.mark.parametrize("settings, shown", [
    ({}, True), ({"limits": [{"max_result_chars": 1000}]}, False), ({"limits": [{"calls_per_minute": 9}]}, True),
    ({"limits": [{"tool": "b__*", "max_result_chars": 1000}]}, True), ({"dry_run": True}, False),
    ({"hooks": {"PostToolUse": [{"matcher": "mcp__a__.*", "hooks": [{"type": "command", "command": "true"}]}]}}, False),
    ({"hooks": {"PreToolUse": [{"matcher": "mcp__a__.*", "hooks": [{"type": "command", "command": "true"}]}]}}, True),
    ({"hooks": {"PreToolUse": [{"hooks": [{"type": "docker", "command": "true"}]}]}}, False),
], ids=str)
def test_a_tool_whose_results_may_be_others_promises_no_form_of_them(
    scene: Scene, settings: dict[str, Any], shown: bool
) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    scene.server("a", {"name": "structured", "outputSchema": schema})
    host = scene.start(**settings)
    host.handshake()
    tool = host.request("tools/list")["result"]["tools"][0]
    assert ("outputSchema" in tool) is shown and tool["name"] == "a__structured"


@pytest.mark.parametrize("mode, limits, listed", [
    ("full", [{"max_result_chars": 1000}], True), ("full", [{"calls_per_minute": 9}], False), ("full", [], False),
    ("progressive", [{"max_result_chars": 1000}], False),
])
def test_the_tool_to_read_on_is_listed_where_its_name_could_not_be_called_otherwise(
    scene: Scene, mode: str, limits: list[Any], listed: bool
) -> None:
    scene.server("a", "echo")
    host = scene.start(limits=limits, expose_mode=mode)
    host.handshake()
    names = [tool["name"] for tool in host.request("tools/list")["result"]["tools"]]
    assert (names[-1] == "shack__read_result") is listed and ("shack__read_result" in names) is listed


@hosts
@pytest.mark.parametrize("server", ERAS)
def test_structured_content_is_read_by_path(scene: Scene, era: str, server: str) -> None:
    scene.server("a", "structured", era=server)
    host = Answering(scene.start(limits=[{"max_result_chars": 1000}]), era)
    answer = host.call("a__structured", {"value": {"items": [{"name": f"item {n}"} for n in range(500)]}})
    assert "structuredContent" not in answer["result"] and len(text_of(answer)) == 1000
    given = {"handle": read_on(answer)["handle"], "path": "$.items[-1].name"}
    assert text_of(host.call("shack__read_result", given)).endswith("\nitem 499")


@hosts
def test_a_resource_is_cut_and_read_on(scene: Scene, era: str) -> None:
    scene.server("a", resources=[{"uri": "test:long", "name": "long", "text": "line\n" * 1000}])
    host = Answering(scene.start(limits=[{"tool": "a__resources/read", "max_result_chars": 1000}]), era)
    contents = host.request("resources/read", {"uri": "test:long"})["result"]["contents"]
    assert [each["uri"] for each in contents] == ["test:long"] * 2
    given = json.loads(re.findall(r"\{.*?\}", contents[1]["text"])[0])
    assert contents[0]["text"] + read_all(host, given, wrapped=False) == "line\n" * 1000


@hosts
def test_what_is_left_of_a_result_is_a_result_by_the_official_schema(scene: Scene, era: str) -> None:
    schema.needed()
    image = {"type": "image", "mimeType": "image/png", "data": "AAAA" * 1000}
    long = {"type": "text", "text": "x" * 2000, "annotations": {"priority": 0.5}}
    resource = {"type": "resource", "resource": {"uri": "a:b", "blob": "AAAA" * 1000}}
    scene.server("a", "result", resources=[{"uri": "test:blob", "name": "blob", "blob": "AAAA" * 1000}])
    gateway = scene.start(limits=[{"max_result_chars": 1000}])
    host = Answering(gateway, era)
    for content in ([image], [long], [resource, long, image], []):
        answer = host.call("a__result", {"result": {"content": content, "structuredContent": {"n": "x" * 1001}}})
        assert "shack__read_result" in answer["result"]["content"][-1]["text"]
    assert len(host.request("resources/read", {"uri": "test:blob"})["result"]["contents"]) == 2
    version = STATELESS if era == "stateless" else "2025-11-25"
    assert not schema.judge(gateway.conversation, version, only="<")


@hosts
def test_a_handle_that_nobody_was_given_reads_nothing(scene: Scene, era: str) -> None:
    scene.server("a", "big")
    host = Answering(scene.start(limits=[{"max_result_chars": 1000}]), era)
    error = host.call("shack__read_result", {"handle": "0" * 24})["error"]
    assert error["code"] == -32602 and "15 minutes" in error["message"]
    error = host.call("shack_call_tool", {"name": "shack__read_result"})["error"]
    assert error["code"] == -32602 and "missing `handle`" in error["message"]


def test_the_tool_is_described_where_results_are_cut_and_unknown_elsewhere(scene: Scene) -> None:
    scene.server("a", "echo")
    for limit, known in (({"max_result_chars": 1000}, True), ({"calls_per_minute": 9}, False)):
        host = scene.start(limits=[limit], expose_mode="progressive")
        host.handshake()
        told = host.call("shack_describe_tool", {"name": "shack__read_result"})
        assert ("result" in told) is known
        if known:
            assert json.loads(text_of(told))["inputSchema"]["required"] == ["handle"]
        code = host.call("shack_call_tool", {"name": "shack__read_result", "arguments": {}})["error"]["code"]
        assert code == (-32602 if known else -32601)
        assert "shack__read_result" not in text_of(host.call("shack_list_tools", {}))


@hosts
def test_a_call_too_many_in_a_minute_is_refused_and_never_reaches_the_server(scene: Scene, era: str) -> None:
    scene.server("a", "echo", "stall")
    host = Answering(scene.start(limits=[{"tool": "a__echo", "calls_per_minute": 2}]), era)
    for _ in range(2):
        assert text_of(host.call("a__echo", {"n": 1}))
    assert "`limits[0]`" in refusal(host.call("a__echo", {"n": 2}), era)
    assert "`limits[0]`" in refusal(host.call("shack_call_tool", {"name": "a__echo", "arguments": {"n": 3}}), era)
    assert len(scene.received("a", "tools/call")) == 2


@hosts
@pytest.mark.parametrize("server", ERAS)
def test_a_call_that_asks_is_counted_once(scene: Scene, era: str, server: str) -> None:
    scene.server("a", "interview", "echo", era=server)
    limits = [{"calls_per_minute": 1, "concurrent_calls": 1}]
    host = Answering(scene.start(limits=limits, permissions={"ask": ["a__interview"]}), era, reply=lambda _, params: {
        "action": "accept", "content": {"answer": "once"} if "Allow" in params["message"] else {"name": "me"}})
    said = json.loads(text_of(host.call("a__interview", rounds([form("Who?")], [form("Where?")]))))
    assert len(said) == 2 and len(host.asked) == 3
    refusal(host.call("a__echo"), era)


@hosts
def test_a_call_too_many_at_once_waits_until_another_is_cancelled(scene: Scene, era: str) -> None:
    scene.server("a", "stall", "echo")
    gateway = scene.start(limits=[{"tool": "a__*", "concurrent_calls": 1}])
    host = Answering(gateway, era)
    meta = {"_meta": gateway.meta()} if era == "stateless" else {}

    def send(name: str) -> Any:
        return gateway.send("tools/call", {"name": name, "arguments": {"of": name}, **meta})

    first, second = send("a__stall"), send("a__echo")
    scene.until(lambda: scene.received("a", "tools/call"), "the first call did not come")
    gateway.request("tools/list", meta)
    assert [m["params"]["name"] for m in scene.received("a", "tools/call")] == ["stall"]
    gateway.notify("notifications/cancelled", {"requestId": first})
    assert json.loads(text_of(gateway.answer(second))) == {"of": "a__echo"}
    assert host.call("a__echo", {"again": 1})["result"]
