"""Hosts of one era before servers of another, as real processes: subscriptions, logs, lists, cancels, error codes."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kit import Host, Kept, M, Scene, json_of, text_of

posix = pytest.mark.skipif(sys.platform == "win32", reason="hooks of this test are written for sh")
ERAS = ("handshake", "stateless")
NOTE = {"uri": "note://a", "name": "a", "text": "A"}


def alone(scene: Scene, *tools: Any, **script: Any) -> Host:
    """A gateway with one server."""
    scene.server("alpha", *tools, **script)
    host = scene.start()
    host.handshake()
    return host


def listen(host: Host, id: Any, **wanted: Any) -> dict[str, Any]:
    """Open a `subscriptions/listen`; gives its acknowledgement."""
    before = len(host.messages)
    host.send("subscriptions/listen", {"notifications": wanted, "_meta": Host.meta()}, id=id)
    return host.notification("notifications/subscriptions/acknowledged", after=before)


def told(host: Host, after: int) -> list[tuple[str, Any]]:
    """Method and subscription of every notification since."""
    return [
        (m["method"], m.get("params", {}).get("_meta", {}).get(M + "subscriptionId"))
        for m in host.messages[after:]
        if "method" in m
    ]


# --- subscriptions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
def test_each_listen_is_told_what_it_asked_for_under_its_own_id(scene: Scene, era: str) -> None:
    scene.server("alpha", "update", "announce", "echo", era=era, resources=[NOTE], prompts=[{"name": "p"}])
    host = scene.start()
    host.ask("tools/call", {"name": "alpha__echo"})
    assert listen(host, 1, resourceSubscriptions=["note://a"])["params"] == {
        "notifications": {"resourceSubscriptions": ["note://a"]},
        "_meta": {M + "subscriptionId": 1},
    }
    listen(host, "1", resourceSubscriptions=["note://a"], toolsListChanged=True)
    listen(host, 2, promptsListChanged=True)
    host.ask("tools/call", {"name": "alpha__echo"})
    before = len(host.messages)
    host.ask("tools/call", {"name": "alpha__update", "arguments": {"id": "note://a"}})
    host.wait(lambda: len(told(host, before)) >= 2, "both are told")
    host.ask("tools/call", {"name": "alpha__echo"})
    updated = "notifications/resources/updated"
    assert sorted(told(host, before), key=str) == [(updated, "1"), (updated, 1)]
    host.notify("notifications/cancelled", {"requestId": 1})
    host.ask("tools/call", {"name": "alpha__echo"})
    before = len(host.messages)
    host.ask("tools/call", {"name": "alpha__update", "arguments": {"id": "note://a"}})
    host.ask("tools/call", {"name": "alpha__echo"})
    assert told(host, before) == [(updated, "1")], "nothing more under an id that was cancelled"


def test_a_resource_is_subscribed_to_once_and_left_when_nobody_follows_it(scene: Scene) -> None:
    scene.server("alpha", "level", "echo", resources=[NOTE])
    host = scene.start()
    host.handshake()
    host.request("resources/subscribe", {"uri": "note://a"})
    host.request("resources/subscribe", {"uri": "note://a"})
    listen(host, "L", resourceSubscriptions=["note://a"])
    host.call("alpha__echo")
    assert len(scene.received("alpha", "resources/subscribe")) == 1
    host.request("resources/unsubscribe", {"uri": "note://a"})
    host.call("alpha__echo")
    assert scene.received("alpha", "resources/unsubscribe") == [], "the listen still follows it"
    host.notify("notifications/cancelled", {"requestId": "L"})
    host.call("alpha__echo")
    assert len(scene.received("alpha", "resources/unsubscribe")) == 1
    assert json_of(host.call("alpha__level"))["watched"] == []


@pytest.mark.parametrize("era", ERAS)
def test_one_update_is_told_once_whatever_was_subscribed_to_just_before(scene: Scene, era: str) -> None:
    """While one listen takes the place of another at the server, both of them are told: the host must not be."""
    scene.server("alpha", "update", "echo", era=era, resources=[NOTE, {**NOTE, "uri": "note://b"}])
    host = scene.start()
    host.ask("tools/call", {"name": "alpha__echo"})
    for number in range(10):
        before = len(host.messages)
        listen(host, number, resourceSubscriptions=["note://a", "note://b"])
        host.ask("tools/call", {"name": "alpha__update", "arguments": {"id": "note://a"}})
        host.ask("tools/call", {"name": "alpha__echo"})
        assert len([1 for method, id in told(host, before) if method.endswith("updated") and id == number]) <= 1
        host.notify("notifications/cancelled", {"requestId": number})


@pytest.mark.parametrize("server", ERAS)
@pytest.mark.parametrize("era", ERAS)
def test_a_resource_is_followed_in_every_pairing_and_over_a_restart(scene: Scene, era: str, server: str) -> None:
    scene.server("alpha", "update", "crash", "echo", era=server, resources=[NOTE])
    host = scene.start()

    def call(tool: str, **arguments: Any) -> dict[str, Any]:
        params = {"name": f"alpha__{tool}", "arguments": arguments}
        return host.ask("tools/call", params) if era == "stateless" else host.request("tools/call", params)

    if era == "handshake":
        host.handshake()
    call("echo")
    if era == "handshake":
        host.request("resources/subscribe", {"uri": "note://a"})
    else:
        listen(host, "L", resourceSubscriptions=["note://a"])
    begun = "resources/subscribe" if server == "handshake" else "subscriptions/listen"

    def followed(times: int) -> bool:
        return len([m for m in scene.received("alpha", begun) if "note://a" in str(m["params"])]) >= times

    for run in (1, 2):
        scene.until(lambda run=run: followed(run), "the server is told what is followed")
        call("echo")  # by now it knows
        before = len(host.messages)
        call("update", id="note://a")
        updated = host.notification("notifications/resources/updated", after=before)
        assert updated["params"]["uri"] == "note://a"
        assert updated["params"].get("_meta", {}).get(M + "subscriptionId") == ("L" if era == "stateless" else None)
        if run == 1:
            call("crash")
    assert len(scene.starts("alpha")) == 2


def test_no_list_is_announced_to_a_stateless_host_that_did_not_ask(scene: Scene) -> None:
    scene.server("alpha", "add_tool", "echo")
    host = scene.start()
    host.ask("tools/list")
    host.ask("tools/call", {"name": "alpha__add_tool", "arguments": {"tool": "new"}})
    scene.until(lambda: "alpha__new" in str(host.ask("tools/list")), "the tool is not listed")
    assert told(host, 0) == []


# --- logs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
def test_messages_reach_a_stateless_host_only_for_a_request_that_asked(scene: Scene, era: str) -> None:
    scene.server("alpha", "log", "echo", era=era)
    host = scene.start()
    loud = {"name": "alpha__log", "arguments": {"level": "error", "force": True}}
    host.ask("tools/call", loud)
    host.ask("tools/call", loud, log_level="critical")
    assert told(host, 0) == []
    host.ask("tools/call", loud, log_level="warning")
    [message] = [m for m in host.messages if m.get("method") == "notifications/message"]
    assert message["params"]["logger"] == "alpha/stub" and message["params"]["level"] == "error"


def test_a_log_level_reaches_every_server_also_those_that_come_late(scene: Scene) -> None:
    scene.server("alpha", "level")
    scene.server("late", "level", start="slow", delay=1)
    scene.server("new", "whole", era="stateless")
    host = scene.start()
    host.handshake()
    host.request("logging/setLevel", {"level": "warning"})
    assert json_of(host.call("alpha__level"))["level"] == "warning"
    assert json_of(host.call("late__level"))["level"] == "warning"
    assert json_of(host.call("new__whole"))["_meta"][M + "logLevel"] == "warning"


# --- lists -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stateless", [False, True], ids=ERAS)
def test_a_long_list_comes_in_pages_and_starts_again_when_it_changed(scene: Scene, stateless: bool) -> None:
    scene.server("alpha", "add_tool", *(f"t{number}" for number in range(9)))
    host = scene.start(page_size=4)
    host.handshake()
    ask = host.ask if stateless else host.request
    names, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        page = ask("tools/list", {} if cursor is None else {"cursor": cursor})["result"]
        names += [tool["name"] for tool in page["tools"]]
        cursor, pages, last = page.get("nextCursor"), pages + 1, cursor
    assert pages == 3 and len(names) == len(set(names)) == 10 and names == sorted(names)
    host.call("alpha__add_tool", {"tool": "t99"})
    scene.until(
        lambda: ask("tools/list", {"cursor": last}).get("error", {}).get("code") == -32602, "an old cursor is taken"
    )


def test_two_servers_with_one_uri_are_both_read(scene: Scene) -> None:
    scene.server("a", "echo", resources=[NOTE])
    scene.server("b", "echo", resources=[{**NOTE, "text": "B"}])
    host = scene.start()
    uris = [entry["uri"] for entry in host.request("resources/list")["result"]["resources"]]
    assert uris[0] == "note://a" and len(set(uris)) == 2
    parts = [host.request("resources/read", {"uri": uri})["result"]["contents"][0] for uri in uris]
    assert [part["text"] for part in parts] == ["A", "B"] and [part["uri"] for part in parts] == uris


def test_a_resource_that_only_a_result_named_is_read_from_its_server(scene: Scene) -> None:
    link = {"content": [{"type": "resource_link", "uri": "made://up", "name": "up"}]}
    scene.server("a", "echo", resources=[NOTE])
    scene.server("b", "result", templates=[{"uriTemplate": "made://{x}", "name": "m"}])
    host = scene.start()
    host.call("b__result", {"result": link})
    assert host.request("resources/read", {"uri": "made://up"})["result"]["contents"][0]["text"] == "b made made://up"
    assert scene.received("a", "resources/read") == []


@pytest.mark.parametrize("value", [[1, 2], "text", 5], ids=repr)
def test_structured_content_that_is_no_object_becomes_text_for_a_handshake_host(kept: Kept, value: Any) -> None:
    tool: dict[str, Any] = {"name": "result", "outputSchema": {"type": "array"}}
    _, host = kept(lambda scene: alone(scene, tool, era="stateless"), "structured")
    [tool] = host.request("tools/list")["result"]["tools"]
    assert "outputSchema" not in tool
    arguments = {"result": {"content": [], "structuredContent": value}}
    answer = host.call("alpha__result", arguments)["result"]
    assert "structuredContent" not in answer and json.loads(answer["content"][0]["text"]) == value
    assert (
        host.ask("tools/call", {"name": "alpha__result", "arguments": arguments})["result"]["structuredContent"]
        == value
    )


# --- calls -----------------------------------------------------------------------------------------------------------


def test_progress_passes_through_call_tool_too(scene: Scene) -> None:
    scene.server("alpha", "progress")
    host = scene.start(expose_mode="progressive")
    host.handshake()
    host.call("shack_call_tool", {"name": "alpha__progress", "arguments": {"count": 2}}, _meta={"progressToken": "t"})
    assert [m["params"]["progress"] for m in host.messages if m.get("method") == "notifications/progress"] == [1, 2]


def test_a_stateless_retry_carries_its_answers_through_call_tool(scene: Scene) -> None:
    scene.server("alpha", "input_required", era="stateless")
    host = scene.start()
    call = {"name": "shack_call_tool", "arguments": {"name": "alpha__input_required", "arguments": {"n": 1}}}
    asked = host.ask("tools/call", call, capabilities={"elicitation": {"form": {}}})["result"]
    assert asked["resultType"] == "input_required" and list(asked["inputRequests"]) == ["who"]
    again = {
        **call,
        "inputResponses": {"who": {"action": "accept", "content": {"name": "x"}}},
        "requestState": asked["requestState"],
    }
    said = json_of(host.ask("tools/call", again, capabilities={"elicitation": {"form": {}}}))
    assert said == {"responses": again["inputResponses"], "state": "state of the stub"}


@pytest.mark.parametrize(
    "error, handshake, stateless",
    [
        (
            {
                "code": -32042,
                "message": "m",
                "data": {"elicitations": [{"mode": "url", "url": "https://x.example/1", "elicitationId": "e"}]},
            },
            -32042,
            None,
        ),
        ({"code": -32602, "message": "bad"}, -32602, -32602),
        ({"code": -32001, "message": "own"}, -32001, -32001),
        ({"code": 17, "message": "own", "data": [1]}, 17, 17),
    ],
    ids=str,
)
def test_an_error_of_a_server_is_told_as_the_hosts_era_has_it(
    kept: Kept,
    error: dict[str, Any],
    handshake: int,
    stateless: int | None,
) -> None:
    _, host = kept(lambda scene: alone(scene, "error"), "error")
    assert host.call("alpha__error", error)["error"]["code"] == handshake
    if stateless is not None:
        assert host.ask("tools/call", {"name": "alpha__error", "arguments": error})["error"]["code"] == stateless


def test_a_result_of_an_unknown_type_is_an_error_of_the_server(scene: Scene) -> None:
    scene.server("alpha", "result", era="stateless")
    host = scene.start()
    host.handshake()
    arguments = {"result": {"resultType": "surprise", "content": []}}
    for answer in (
        host.call("alpha__result", arguments),
        host.ask("tools/call", {"name": "alpha__result", "arguments": arguments}),
    ):
        assert answer["error"]["code"] == -32603 and "alpha" in answer["error"]["message"]


def test_the_host_reads_its_own_version_of_a_result(scene: Scene) -> None:
    scene.server("new", "result", era="stateless")
    scene.server("old", "result")
    host = scene.start()
    host.handshake()
    result = {"content": [{"type": "text", "text": "t"}], "_meta": {"vendor/k": 1}}
    old = host.call("new__result", {"result": result})["result"]
    assert old == result, "nothing of the stateless era is left"
    new = host.ask("tools/call", {"name": "old__result", "arguments": {"result": result}})["result"]
    assert new["resultType"] == "complete" and new["_meta"]["vendor/k"] == 1
    assert new["_meta"][M + "serverInfo"]["name"] == "shack-gateway"


# --- cancels ---------------------------------------------------------------------------------------------------------


@posix
def test_a_call_that_is_cancelled_at_its_hook_ends_there(scene: Scene) -> None:
    begun, ended = scene.folder / "begun", scene.folder / "ended"
    scene.server("alpha", "echo")
    host = scene.start(pre_tool_hook=f"touch {begun}; sleep 1; touch {ended}")
    host.handshake()
    id = host.send("tools/call", {"name": "alpha__echo", "arguments": {}})
    scene.until(begun.exists, "the hook did not begin")
    host.notify("notifications/cancelled", {"requestId": id})
    host.settle()
    time.sleep(1.3)  # longer than the hook would have taken
    assert not ended.exists() and scene.received("alpha", "tools/call") == []
    assert (int, id) not in host.answers


def test_a_call_that_is_cancelled_before_its_server_is_up_is_never_sent(scene: Scene) -> None:
    scene.server("alpha", "echo", start="slow", delay=0.7)
    host = scene.start()
    host.handshake()
    id = host.send("tools/call", {"name": "alpha__echo", "arguments": {"n": 1}})
    host.notify("notifications/cancelled", {"requestId": id})
    assert json_of(host.call("alpha__echo", {"n": 2})) == {"n": 2}
    assert [m["params"]["arguments"] for m in scene.received("alpha", "tools/call")] == [{"n": 2}]
    assert (int, id) not in host.answers


@posix
def test_a_hook_that_runs_at_the_end_is_ended_too(scene: Scene) -> None:
    begun = scene.folder / "begun"
    scene.server("alpha", "echo")
    host = scene.start(pre_tool_hook=f"touch {begun}; exec sleep 300", drain_secs=0.5)
    host.handshake()
    host.send("tools/call", {"name": "alpha__echo", "arguments": {}})
    scene.until(begun.exists, "the hook did not begin")
    assert host.close(10) == 0


def test_a_call_right_after_the_death_of_its_server_waits_for_the_next_run(scene: Scene) -> None:
    scene.server("alpha", "crash", "echo")
    host = scene.start()
    host.handshake()
    host.call("alpha__echo")
    assert "error" in host.call("alpha__crash")
    assert json_of(host.call("alpha__echo", {"n": 1})) == {"n": 1}, "it was never sent to the one that died"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at /proc")
def test_many_notifications_to_a_deaf_server_do_not_fill_our_memory(scene: Scene) -> None:
    scene.server("alpha", "deaf", "echo")
    scene.deaf.add("alpha")
    host = scene.start(request_timeout_secs=1, keep=False)
    host.handshake()
    host.call("alpha__deaf", {"answer": True})
    before = host.memory_kib()
    for number in range(600):
        id = host.send("tools/call", {"name": "alpha__echo", "arguments": {"t": "x" * 100_000}}, id=f"d{number}")
        host.notify("notifications/cancelled", {"requestId": id})
    host.settle()
    assert host.memory_kib() - before < 35_000, "60 MB of requests wait in the gateway"
    assert text_of(host.call("shack_list_servers"))
