"""What one message, one list or one server does wrong costs itself and nothing beside it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from kit import Host, json_of, text_of
from kit.scene import Kept, Scene

OK = '{"jsonrpc":"2.0","id":$ID,"result":{"content":[]}}'
NOTE = {"uri": "x:1x", "name": "x"}
DEEP = "[" * 975 + "]" * 975


def raw_lines(scene: Scene) -> Host:
    """A gateway with a server that writes whatever line it is told to."""
    scene.server("alpha", "raw", "echo", resources=[NOTE], capabilities={"resources": {"subscribe": True}})
    host = scene.start()
    host.handshake()
    return host


@pytest.mark.parametrize(
    "line",
    [
        '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$ID,"progress":1e999}}',
        '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$ID,"progress":1,"x":1e999}}',
        '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1e999}}',
        f'{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":{DEEP}}}}}',
        '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x:1x","x":1e999}}',
    ],
    ids=["progress", "in progress", "log", "deep log", "update"],
)
def test_a_notification_that_cannot_be_passed_on_does_not_take_the_answer_behind_it_along(
    kept: Kept, line: str
) -> None:
    _, host = kept(raw_lines, "raw")
    host.request("resources/subscribe", {"uri": "x:1x"})
    params = {"name": "alpha__raw", "arguments": {"lines": [f"{line}\n{OK}"]}, "_meta": {"progressToken": "T"}}
    call, echo = (
        host.send("tools/call", params),
        host.send("tools/call", {"name": "alpha__echo", "arguments": {"n": 1}}),
    )
    assert host.answer(call)["result"] == {"content": []}
    assert json_of(host.answer(echo)) == {"n": 1}


@pytest.mark.parametrize(
    "result, answered",
    [
        ('{"content":[],"a":1.10,"b":1e2,"c":0.12345678901234567890}', True),
        ('{"content":[],"a":1e999}', True),
        ('{"content":[],"a":%s}' % ("[" * 800 + "]" * 800), True),
        ("[1]", False),
        ("5", False),
    ],
    ids=["numbers", "infinite", "deep", "list", "number"],
)
def test_an_answer_in_an_unusual_shape_goes_on_byte_for_byte_or_is_an_error(
    kept: Kept, result: str, answered: bool
) -> None:
    _, host = kept(raw_lines, "raw")
    lines = [f'{{"id":$ID,"x":[],"jsonrpc":"2.0","result":{result}}}']
    answer = host.call("alpha__raw", {"lines": lines})
    assert ("result" in answer) is answered
    if answered:
        assert result.encode() in host.lines[-1]


@pytest.mark.parametrize("era", ["handshake", "stateless"])
def test_half_a_character_in_instructions_silences_nobody(scene: Scene, era: str) -> None:
    scene.server("alpha", "echo", era=era, instructions="in\ud800")
    host = scene.start()
    host.handshake()
    host.call("alpha__echo")
    assert host.ask("server/discover")["result"]["supportedVersions"] == ["2026-07-28"]
    assert host.request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}})["result"]


def test_a_call_waits_for_its_own_server_only(scene: Scene) -> None:
    scene.server("hang", "echo", start="hang")
    scene.server("fast", "echo", prompts=[{"name": "p"}])
    host = scene.start(list_wait_secs=60)
    host.handshake()
    assert json_of(host.call("fast__echo", {"n": 1}, timeout=20)) == {"n": 1}
    assert host.request("prompts/get", {"name": "fast__p"}, timeout=20)["result"]
    assert host.call("shack_describe_tool", {"name": "fast__echo"}, timeout=20)["result"]


def test_a_list_that_is_never_answered_does_not_cost_the_server(scene: Scene) -> None:
    scene.server("alpha", "echo", stalls=["resources/list"], capabilities={"resources": None})
    host = scene.start(request_timeout_secs=20)
    host.handshake()
    assert json_of(host.call("alpha__echo", {"n": 1}, timeout=15)) == {"n": 1}
    assert len(scene.starts("alpha")) == 1


def test_capabilities_that_are_no_json_are_shown_to_nobody(scene: Scene) -> None:
    scene.server("alpha", "echo")
    host = scene.start()
    host.send_raw(
        b'{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25",'
        b'"capabilities":{"sampling":{"x":1e999}}}}\n'
    )
    host.expect("i")
    host.answer("i")
    assert json_of(host.call("alpha__echo", {"n": 1})) == {"n": 1}


@pytest.mark.parametrize("era", ["handshake", "stateless"])
def test_a_log_message_is_told_once_however_many_calls_want_it(scene: Scene, era: str) -> None:
    scene.server("alpha", "sleep", "log", "echo", era=era)
    host = scene.start()
    host.ask("tools/call", {"name": "alpha__echo"})
    level = {"io.modelcontextprotocol/logLevel": "info"}
    ids = [
        host.send("tools/call", {"name": "alpha__sleep", "arguments": {"secs": 0.8}, "_meta": {**Host.meta(), **level}})
        for _ in range(3)
    ]
    host.send("tools/call", {"name": "alpha__log", "arguments": {}, "_meta": {**Host.meta(), **level}})
    for id in ids:
        host.answer(id)
    told = [m for m in host.messages if m.get("method") == "notifications/message"]
    assert len({json.dumps(m) for m in told}) == len(told) > 0


def test_a_tool_of_a_server_that_is_down_is_not_mistaken_for_another(scene: Scene) -> None:
    scene.server("good", "echo")
    scene.servers["bad"] = {"command": "no-such-command-anywhere"}
    host = scene.start()
    host.handshake()
    text = scene.until(
        lambda: (t := host.call("bad__echo")["error"]["message"]) and "failed" in t and t, "it is not failed"
    )
    assert (
        text.startswith("tool not found: bad__echo; the server `bad` is failed: ")
        and "no-such-command-anywhere" in text
    )


def test_a_line_that_is_too_long_for_a_notification_fails_no_call(scene: Scene) -> None:
    scene.server("alpha", "raw", "sleep")
    host = scene.start(max_server_line_bytes=100_000)
    host.handshake()
    slow = host.send("tools/call", {"name": "alpha__sleep", "arguments": {"secs": 0.5}})
    long = '{"method":"notifications/message","params":{"level":"info","data":"%s"},"jsonrpc":"2.0"}' % ("x" * 120_000)
    assert host.call("alpha__raw", {"lines": [long, OK]})["result"] == {"content": []}
    assert "result" in host.answer(slow)


def test_a_server_that_refuses_the_revision_it_asked_for_is_at_fault_itself(scene: Scene) -> None:
    error = '{"jsonrpc":"2.0","id":$ID,"error":{"code":-32022,"message":"no","data":{"supported":["2026-07-28"]}}}'
    scene.server("alpha", "raw", era="stateless")
    host = scene.start()
    answer = host.ask("tools/call", {"name": "alpha__raw", "arguments": {"lines": [error]}})
    assert answer["error"]["code"] == -32603 and answer["error"]["data"]["reason"] == "protocol"


# --- subscriptions ---------------------------------------------------------------------------------------------------


def levels(host: Host) -> Any:
    """What the stub says it was subscribed to."""
    return text_of(host.ask("tools/call", {"name": "alpha__level"}))


@pytest.mark.parametrize(
    "asked", [["subscribe", "unsubscribe"], ["subscribe", "subscribe", "unsubscribe"]], ids="-".join
)
def test_the_last_word_about_a_resource_counts_however_fast_it_comes(scene: Scene, asked: list[str]) -> None:
    scene.server("alpha", "echo", resources=[NOTE], delays={"resources/subscribe": 0.4})
    host = scene.start()
    host.handshake()
    host.request("resources/list")
    ids = [host.send(f"resources/{what}", {"uri": "x:1x"}) for what in asked]
    assert [host.answer(id)["result"] for id in ids] == [{}] * len(ids)
    scene.until(lambda: scene.received("alpha", "resources/unsubscribe"), "it was never unsubscribed")
    methods = [m["method"] for m in scene.received("alpha") if "subscribe" in m.get("method", "")]
    assert methods == ["resources/subscribe", "resources/unsubscribe"]


def test_a_subscription_that_was_cancelled_is_undone(scene: Scene) -> None:
    scene.server("alpha", "echo", "crash", resources=[NOTE], delays={"resources/subscribe": 0.4})
    host = scene.start()
    host.handshake()
    host.request("resources/list")
    id = host.send("resources/subscribe", {"uri": "x:1x"})
    scene.until(lambda: scene.received("alpha", "resources/subscribe"), "it never arrived")
    host.notify("notifications/cancelled", {"requestId": id})
    scene.until(lambda: scene.received("alpha", "resources/unsubscribe"), "it was never undone")


def test_only_what_a_server_takes_subscriptions_for_is_acknowledged(scene: Scene) -> None:
    scene.server("alpha", "echo", resources=[NOTE], capabilities={"resources": {}}, era="stateless")
    scene.server("beta", "echo", resources=[{"uri": "y:1x", "name": "y"}])
    host = scene.start()
    host.ask("resources/list")
    wish = {"resourceSubscriptions": ["x:1x", "y:1x"]}
    host.send("subscriptions/listen", {"notifications": wish, "_meta": Host.meta()}, id="l")
    told = host.notification("notifications/subscriptions/acknowledged")
    assert told["params"]["notifications"] == {"resourceSubscriptions": ["y:1x"]}


def test_a_listen_is_honoured_once_its_server_is_up(scene: Scene) -> None:
    scene.server("alpha", "echo", "update", resources=[NOTE], start="slow", delay=1.0)
    host = scene.start(list_wait_secs=0.2)
    host.send(
        "subscriptions/listen", {"notifications": {"resourceSubscriptions": ["x:1x"]}, "_meta": Host.meta()}, id="l"
    )
    host.notification("notifications/subscriptions/acknowledged")
    scene.until(lambda: scene.received("alpha", "resources/subscribe"), "nobody subscribed")


def test_a_listen_that_was_cancelled_early_leaves_no_subscription(scene: Scene) -> None:
    scene.server("alpha", "echo", resources=[NOTE], delays={"resources/subscribe": 0.5})
    host = scene.start()
    host.ask("resources/list")
    host.send(
        "subscriptions/listen", {"notifications": {"resourceSubscriptions": ["x:1x"]}, "_meta": Host.meta()}, id="l"
    )
    host.notification("notifications/subscriptions/acknowledged")
    host.notify("notifications/cancelled", {"requestId": "l"})
    scene.until(lambda: scene.received("alpha", "resources/unsubscribe"), "the subscription stayed")


def test_a_list_that_fails_once_is_kept_and_asked_for_again(scene: Scene) -> None:
    scene.server("alpha", "echo", "announce")
    host = scene.start()
    host.handshake()
    assert len(host.request("tools/list")["result"]["tools"]) == 2
    path = scene.folder / "alpha.received"
    before = len(scene.received("alpha", "tools/list"))
    host.call("alpha__announce")
    scene.until(lambda: len(scene.received("alpha", "tools/list")) > before, f"not listed again, see {path}")
    time.sleep(0.1)
    assert len(host.request("tools/list")["result"]["tools"]) == 2
