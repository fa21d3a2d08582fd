"""The front door: any line of the host gets exactly one answer if it asked for one, with the right id or with none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit import STATELESS, Host, M, Scene, json_of, text_of

NONE, LONE = "no answer", "an error without id"
DEEP = b"[" * 60_000 + b"]" * 60_000


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One gateway for all the lines: whatever one of them does, the next must find it unharmed."""
    scene = Scene(tmp_path_factory.mktemp("gate"))
    scene.server("alpha", "echo", resources=[{"uri": "note://a", "name": "a", "text": "A"}], prompts=[{"name": "p"}])
    host = scene.start()
    host.handshake()
    assert host.call("alpha__echo")["result"]
    yield host
    scene.close()


def request(id: Any = 7, method: Any = "ping", **more: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, **more}).encode()


def call(name: Any, arguments: Any, **more: Any) -> bytes:
    return request(method="tools/call", params={"name": name, "arguments": arguments, **more})


def stateless(method: str, meta: dict[str, Any] | None = None, **params: Any) -> bytes:
    return request(method=method, params={**params, "_meta": Host.meta() if meta is None else meta})


LINES: dict[str, tuple[bytes, Any, int]] = {
    # what: (line, id of the answer or LONE or NONE, code)
    "not JSON": (b"hello", LONE, -32700),
    "half a line": (b'{"jsonrpc":"2.0","id":7,"method":"ping"', LONE, -32700),
    "two objects": (request() + request(), LONE, -32700),
    "single quotes": (b"{'jsonrpc':'2.0'}", LONE, -32700),
    "NaN": (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":NaN}}', LONE, -32700),
    "not UTF-8": (b'{"jsonrpc":"2.0","id":7,"method":"p\xffng"}', LONE, -32700),
    "UTF-16": ('{"jsonrpc":"2.0","id":7,"method":"ping"}'.encode("utf-16-le"), LONE, -32700),
    "NUL bytes": (b"\x00\x00\x00", LONE, -32700),
    "a byte order mark": (b"\xef\xbb\xbf" + request(), LONE, -32700),
    "deep": (DEEP, LONE, -32700),
    "deep params": (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":' + DEEP + b"}}", LONE, -32700),
    "a number": (b"5", LONE, -32600),
    "a string": (b'"x"', LONE, -32600),
    "null": (b"null", LONE, -32600),
    "true": (b"true", LONE, -32600),
    "an empty array": (b"[]", LONE, -32600),
    "an array of requests outside 2025-03-26": (b"[" + request(1) + b"," + request(2) + b"]", LONE, -32600),
    "an empty object": (b"{}", LONE, -32600),
    "id true": (request(True), LONE, -32600),
    "id 1.5": (request(1.5), LONE, -32600),
    "id is a list": (request([1]), LONE, -32600),
    "id is an object": (request({"a": 1}), LONE, -32600),
    "no method": (b'{"jsonrpc":"2.0","id":7}', 7, -32600),
    "method is a number": (request(method=5), 7, -32600),
    "method is null": (request(method=None), 7, -32600),
    "jsonrpc is missing": (b'{"id":7,"method":"ping"}', 7, -32600),
    "jsonrpc 1.0": (b'{"jsonrpc":"1.0","id":7,"method":"ping"}', 7, -32600),
    "params are a list": (request(params=[1]), 7, -32602),
    "params are a string": (request(params="x"), 7, -32602),
    "an unknown method": (request(method="tools/destroy"), 7, -32601),
    "an empty method": (request(method=""), 7, -32601),
    "a method of 100,000 characters": (request(method="m" * 100_000), 7, -32601),
    "a notification's method with an id": (request(method="notifications/initialized"), 7, -32601),
    "_meta is a list": (request(method="tools/list", params={"_meta": []}), 7, -32602),
    "progressToken true": (call("alpha__echo", {}, _meta={"progressToken": True}), 7, -32602),
    "progressToken is an object": (call("alpha__echo", {}, _meta={"progressToken": {}}), 7, -32602),
    "a call without a name": (request(method="tools/call", params={}), 7, -32602),
    "a call without params": (request(method="tools/call"), 7, -32602),
    "name is a number": (call(123, {}), 7, -32602),
    "name is a list": (call(["alpha__echo"], {}), 7, -32602),
    "name is an object": (call({}, {}), 7, -32602),
    "name is null": (call(None, {}), 7, -32602),
    "an unknown tool": (call("alpha__ecco", {}), 7, -32601),
    "an unknown gateway tool": (call("shack_frobnicate", {}), 7, -32601),
    "arguments are a list": (call("alpha__echo", [1]), 7, -32602),
    "arguments are a string": (call("alpha__echo", "x"), 7, -32602),
    "arguments are a number": (call("alpha__echo", 5), 7, -32602),
    "query is a number": (call("shack_list_tools", {"query": 5}), 7, -32602),
    "describe without a name": (call("shack_describe_tool", {}), 7, -32602),
    "describe an unknown tool": (call("shack_describe_tool", {"name": "nobody__x"}), 7, -32602),
    "call_tool without a name": (call("shack_call_tool", {}), 7, -32602),
    "call_tool calls a gateway tool": (call("shack_call_tool", {"name": "shack_list_tools"}), 7, -32601),
    "call_tool with a list of arguments": (
        call("shack_call_tool", {"name": "alpha__echo", "arguments": [1]}),
        7,
        -32602,
    ),
    "read without a URI": (request(method="resources/read", params={}), 7, -32602),
    "read a number": (request(method="resources/read", params={"uri": 5}), 7, -32602),
    "get no prompt": (request(method="prompts/get", params={}), 7, -32602),
    "get an unknown prompt": (request(method="prompts/get", params={"name": "alpha__nothing"}), 7, -32602),
    "prompt arguments are a list": (
        request(method="prompts/get", params={"name": "alpha__p", "arguments": []}),
        7,
        -32602,
    ),
    "an unknown log level": (request(method="logging/setLevel", params={"level": "loud"}), 7, -32602),
    "a log level that is a list": (request(method="logging/setLevel", params={"level": []}), 7, -32602),
    "complete nothing": (request(method="completion/complete", params={}), 7, -32602),
    "complete an unknown ref": (
        request(
            method="completion/complete", params={"ref": {"type": "ref/file"}, "argument": {"name": "a", "value": ""}}
        ),
        7,
        -32602,
    ),
    "subscribe to a number": (request(method="resources/subscribe", params={"uri": 5}), 7, -32602),
    "a cursor that is a number": (request(method="tools/list", params={"cursor": 5}), 7, -32602),
    "a cursor of somebody else": (request(method="tools/list", params={"cursor": "bm9wZQ"}), 7, -32602),
    "a cursor that is no base64": (request(method="resources/list", params={"cursor": "\u2028%%"}), 7, -32602),
    "initialize with a number as version": (request(method="initialize", params={"protocolVersion": 5}), 7, -32602),
    "initialize with a list as capabilities": (
        request(method="initialize", params={"protocolVersion": "2025-11-25", "capabilities": []}),
        7,
        -32602,
    ),
    "stateless: a version nobody has": (
        stateless("tools/list", {**Host.meta(), M + "protocolVersion": "2031-01-01"}),
        7,
        -32022,
    ),
    "stateless: a handshake version": (
        stateless("tools/list", {**Host.meta(), M + "protocolVersion": "2025-11-25"}),
        7,
        -32022,
    ),
    "stateless: version is a number": (
        stateless("tools/list", {**Host.meta(), M + "protocolVersion": 2026}),
        7,
        -32602,
    ),
    "stateless: no capabilities": (stateless("tools/list", {M + "protocolVersion": STATELESS}), 7, -32602),
    "stateless: capabilities are a list": (
        stateless("tools/list", {**Host.meta(), M + "clientCapabilities": []}),
        7,
        -32602,
    ),
    "stateless: an unknown log level": (stateless("tools/list", Host.meta(log_level="loud")), 7, -32602),
    "stateless: initialize": (stateless("initialize", protocolVersion=STATELESS), 7, -32601),
    "stateless: ping": (stateless("ping"), 7, -32601),
    "stateless: setLevel": (stateless("logging/setLevel", level="info"), 7, -32601),
    "stateless: subscribe": (stateless("resources/subscribe", uri="note://a"), 7, -32601),
    "stateless: unsubscribe": (stateless("resources/unsubscribe", uri="note://a"), 7, -32601),
    "stateless: an unknown tool": (stateless("tools/call", name="alpha__ecco", arguments={}), 7, -32602),
    "stateless: an unknown method": (stateless("tools/destroy"), 7, -32601),
    "stateless: listen to nothing": (stateless("subscriptions/listen"), 7, -32602),
    "stateless: listen to a list": (stateless("subscriptions/listen", notifications=[]), 7, -32602),
    "blank": (b"", NONE, 0),
    "blanks": (b" \t \r", NONE, 0),
    "nothing asked": (b'{"jsonrpc":"2.0"}', NONE, 0),
    "a notification": (b'{"jsonrpc":"2.0","method":"notifications/initialized"}', NONE, 0),
    "an unknown notification": (b'{"jsonrpc":"2.0","method":"notifications/whatever","params":{"a":1}}', NONE, 0),
    "id null is a notification": (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', NONE, 0),
    "a request's method without an id": (b'{"jsonrpc":"2.0","method":"tools/list"}', NONE, 0),
    "a notification with a list as params": (
        b'{"jsonrpc":"2.0","method":"notifications/initialized","params":[1]}',
        NONE,
        0,
    ),
    "cancel nothing": (b'{"jsonrpc":"2.0","method":"notifications/cancelled"}', NONE, 0),
    "cancel a list": (b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[1]}}', NONE, 0),
    "cancel an unknown id": (
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"?"}}',
        NONE,
        0,
    ),
    "progress of nobody": (
        b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":[],"progress":"x"}}',
        NONE,
        0,
    ),
    "an answer to nothing": (b'{"jsonrpc":"2.0","id":99,"result":{}}', NONE, 0),
    "an error to nothing": (b'{"jsonrpc":"2.0","id":"x","error":{"code":1,"message":"m"}}', NONE, 0),
    "an answer with a list as id": (b'{"jsonrpc":"2.0","id":[],"result":{}}', NONE, 0),
    "an error that is a string": (b'{"jsonrpc":"2.0","id":1,"error":"no"}', NONE, 0),
}


def answers_to(host: Host, line: bytes, id: Any) -> list[dict[str, Any]]:
    """Everything that is an answer between this line and the next ping."""
    before = len(host.messages)
    if id not in (NONE, LONE):
        host.expect(id)
    host.send_raw(line + b"\n")
    if id not in (NONE, LONE):
        host.answer(id)
    host.settle()
    found = [m for m in host.messages[before:] if "method" not in m and not str(m.get("id")).startswith("settle")]
    host.stray.clear()
    return found


@pytest.mark.parametrize("line, id, code", LINES.values(), ids=LINES)
def test_a_bad_line_gets_the_answer_it_deserves_and_no_other(gate: Host, line: bytes, id: Any, code: int) -> None:
    found = answers_to(gate, line, id)
    if id == NONE:
        assert found == []
        return
    [answer] = found
    assert answer["error"]["code"] == code, answer
    assert ("id" not in answer) if id == LONE else (answer["id"] == id)
    assert answer["error"]["message"] and len(answer["error"]["message"]) <= 4096


def test_a_version_that_we_lack_is_answered_with_those_that_we_have(gate: Host) -> None:
    [answer] = answers_to(gate, *LINES["stateless: a version nobody has"][:2])
    data = answer["error"]["data"]
    assert data["requested"] == "2031-01-01" and STATELESS in data["supported"]


@pytest.mark.parametrize("name, near", [("alpha__ecco", "alpha__echo"), ("shack_list_tool", "shack_list_tools")])
def test_an_unknown_tool_names_the_nearest_known_one(gate: Host, name: str, near: str) -> None:
    assert near in gate.call(name)["error"]["message"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \n", b"\n\n\n", b"\r\n\r\n"], ids=repr)
def test_a_request_may_end_its_line_in_any_usual_way(gate: Host, end: bytes) -> None:
    gate.expect("e")
    gate.send_raw(request("e") + end)
    assert gate.answer("e")["result"] == {}


def test_a_line_may_come_byte_by_byte_and_lines_may_come_together(gate: Host) -> None:
    line = call("alpha__echo", {"t": "ü☃\u2028"}).replace(b'"id": 7', b'"id": "slow"') + b"\n"
    gate.expect("slow")
    for at in line:
        gate.send_raw(bytes((at,)))
    assert json_of(gate.answer("slow")) == {"t": "ü☃\u2028"}
    for id in ("a", "b", "c"):
        gate.expect(id)
    gate.send_raw(b"".join(request(id) + b"\n" for id in ("a", "b", "c")))
    assert all(gate.answer(id)["result"] == {} for id in ("a", "b", "c"))


IDS = [0, -1, 2**53 - 1, -(2**63), "", "0", "1", 1, "ü☃\u2028", "x" * 300, "null", 'quote"back\\slash']


def test_ids_come_back_with_value_and_type_though_all_are_in_flight_together(gate: Host) -> None:
    for number, id in enumerate(IDS):
        gate.send("tools/call", {"name": "alpha__echo", "arguments": {"n": number}}, id=id)
    for number, id in enumerate(IDS):
        answer = gate.answer(id)
        assert json_of(answer) == {"n": number} and type(answer["id"]) is type(id)


def test_an_id_that_is_in_flight_cannot_be_taken_again_but_afterwards_it_can(scene: Scene) -> None:
    scene.server("alpha", "echo", "sleep")
    host = scene.start()
    host.handshake()
    host.expect("d")
    host.expect("d")
    before = len(host.messages)
    host.send_raw(call("alpha__sleep", {"secs": 0.5}).replace(b'"id": 7', b'"id": "d"') + b"\n")
    host.send_raw(call("alpha__echo", {"second": 1}).replace(b'"id": 7', b'"id": "d"') + b"\n")
    host.wait(lambda: sum(m.get("id") == "d" for m in host.messages[before:]) == 2, "two answers to two requests")
    refused = [m for m in host.messages[before:] if m.get("id") == "d" and "error" in m]
    assert [m["error"]["code"] for m in refused] == [-32600]
    assert json_of(host.request("tools/call", {"name": "alpha__echo", "arguments": {"third": 1}}, id="d")) == {
        "third": 1
    }


# --- batches (2025-03-26 only) ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def batching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    scene = Scene(tmp_path_factory.mktemp("batches"))
    scene.server("alpha", "echo")
    host = scene.start()
    host.handshake("2025-03-26")
    yield host
    scene.close()


def test_every_request_of_a_batch_is_answered_once(batching: Host) -> None:
    for id in ("a", 1, "1"):
        batching.expect(id)
    before = len(batching.messages)
    parts = [
        request("a"),
        b'{"jsonrpc":"2.0","method":"notifications/x"}',
        call("alpha__echo", {"n": 1}).replace(b'"id": 7', b'"id": 1'),
        request("1", "nothing/here"),
    ]
    batching.send_raw(b"[" + b",".join(parts) + b"]\n")
    assert batching.answer("a")["result"] == {}
    assert json_of(batching.answer(1)) == {"n": 1}
    assert batching.answer("1")["error"]["code"] == -32601
    batching.settle()
    assert sum("method" not in m for m in batching.messages[before:]) == 4  # three and the ping


@pytest.mark.parametrize(
    "batch, codes",
    [
        (b"[]", [-32600]),
        (b"[1]", [-32600]),
        (b'[1,"x",null]', [-32600, -32600, -32600]),
        (b"[[]]", [-32600]),
        (b'[{"jsonrpc":"2.0","method":"notifications/x"}]', []),
        (b'[{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":44,"result":{}}]', []),
    ],
    ids=repr,
)
def test_a_bad_batch_is_answered_part_by_part(batching: Host, batch: bytes, codes: list[int]) -> None:
    before = len(batching.messages)
    batching.send_raw(batch + b"\n")
    batching.settle()
    found = [m for m in batching.messages[before:] if "method" not in m]
    assert [m["error"]["code"] for m in found[:-1]] == codes
    batching.stray.clear()


def test_initialize_is_not_served_inside_a_batch(batching: Host) -> None:
    batching.expect("i")
    batching.send_raw(b"[" + request("i", "initialize", params={"protocolVersion": "2024-11-05"}) + b"]\n")
    assert batching.answer("i")["error"]["code"] == -32600
    batching.expect("still")
    batching.send_raw(b"[" + request("still") + b"]\n")
    assert batching.answer("still")["result"] == {}


@pytest.mark.parametrize("version", ["2024-11-05", "2025-06-18", "2025-11-25"])
def test_no_other_revision_has_batches(gate: Host, version: str) -> None:
    gate.handshake(version)
    [answer] = answers_to(gate, b"[" + request(1) + b"," + request(2) + b"]", LONE)
    gate.handshake()
    assert answer["error"]["code"] == -32600


# --- long lines ------------------------------------------------------------------------------------------------------


def test_a_line_of_the_host_that_is_too_long_is_refused_and_the_next_is_served(scene: Scene) -> None:
    scene.server("alpha", "echo")
    host = scene.start()
    host.handshake()
    host.tolerant = True
    before = len(host.messages)
    host.send_raw(
        b'{"jsonrpc":"2.0","id":"big","method":"tools/call","params":{"name":"alpha__echo","arguments":{"t":"', 30
    )
    for _ in range(70):
        host.send_raw(b"x" * (1 << 20), 30)
    host.send_raw(b'"}}}\n', 30)
    host.settle()
    found = [m for m in host.messages[before:] if "method" not in m and not str(m.get("id")).startswith("settle")]
    [answer] = found
    assert answer.get("id", "big") == "big" and answer["error"]["code"] in (-32600, -32700)
    assert any(word in answer["error"]["message"] for word in ("67108864", "64 MiB", "67,108,864"))
    assert json_of(host.call("alpha__echo", {"a": 1})) == {"a": 1}
    if Path("/proc/self/status").exists():
        assert host.memory_kib() < (64 + 80) * 1024, "the line was kept although it could not be used"


def test_a_long_line_below_the_limit_is_served(scene: Scene) -> None:
    scene.server("alpha", "echo", log=False)
    host = scene.start()
    host.handshake()
    text = "x" * 3_000_000 + "ü"
    assert json_of(host.call("alpha__echo", {"t": text})) == {"t": text}


def test_the_last_line_needs_no_end(scene: Scene) -> None:
    scene.server("alpha", "echo")
    host = scene.start()
    host.handshake()
    host.expect("last")
    host.send_raw(call("alpha__echo", {"n": 1}).replace(b'"id": 7', b'"id": "last"'))
    assert host.close() == 0
    assert json_of(host.answers[str, "last"]) == {"n": 1}


# --- eras ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked, spoken",
    [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1.0", "2025-11-25"),
        ("2099-01-01", "2025-11-25"),
    ],
)
def test_initialize_is_answered_with_a_revision_that_both_know(gate: Host, asked: str, spoken: str) -> None:
    assert gate.handshake(asked)["protocolVersion"] == spoken
    gate.handshake()


def test_both_eras_share_one_pipe(gate: Host) -> None:
    old = gate.request("tools/list")["result"]
    new = gate.ask("tools/list")["result"]
    assert "resultType" not in old and new["resultType"] == "complete"
    assert [t["name"] for t in old["tools"]] == [t["name"] for t in new["tools"]]
    assert text_of(gate.ask("tools/call", {"name": "alpha__echo", "arguments": {}})) == "{}"
    assert gate.request("ping")["result"] == {}


def test_discover_starts_no_server_and_the_first_other_message_starts_all(scene: Scene) -> None:
    for name in ("alpha", "beta"):
        scene.server(name, "echo")
    host = scene.start()
    answer = host.ask("server/discover")["result"]
    assert answer["supportedVersions"][0] == STATELESS and answer["resultType"] == "complete"
    assert answer["_meta"][M + "serverInfo"]["name"] == "shack-gateway"
    host.ask("server/discover")
    assert scene.starts("alpha") == scene.starts("beta") == []
    host.ask("tools/list")
    assert len(scene.starts("alpha")) == len(scene.starts("beta")) == 1


def test_a_gateway_that_is_only_probed_leaves_nothing_and_starts_nothing(scene: Scene) -> None:
    scene.server("alpha", "echo")
    host = scene.start()
    host.ask("server/discover")
    assert host.close() == 0 and scene.starts("alpha") == []
