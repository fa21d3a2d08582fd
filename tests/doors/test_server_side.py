"""The back doors: whatever one server does, it is survived, its caller is told who did it, and nobody else notices."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kit import Host, Kept, Scene, alive, json_of, text_of

MIB = 1 << 20


def pair(scene: Scene, *tools: Any, **script: Any) -> None:
    """`bad`, who does what the test says, and `good`, who must not notice."""
    scene.server("bad", "echo", "where", *tools, **script)
    scene.server("good", "echo", "sleep")


def assert_unharmed(host: Host) -> None:
    assert json_of(host.call("good__echo", {"n": 1})) == {"n": 1}


def assert_back(scene: Scene, host: Host) -> None:
    """The server serves again, however often it must be asked while it is on its way."""
    scene.until(lambda: "result" in host.call("bad__echo", {"n": 2}), "the server did not come back")


def error_of(answer: dict[str, Any], server: str = "bad") -> dict[str, Any]:
    """The error of an answer, which must be ours and name the server."""
    assert "error" in answer, str(answer)[:500]
    error: dict[str, Any] = answer["error"]
    assert error["code"] == -32603 and server in error["message"], error
    assert error["data"]["server"] == server and error["data"]["reason"], error
    assert str(Path(__file__).parents[2]) not in error["message"] and "Traceback" not in error["message"]
    return error


Pair = Callable[..., tuple[Scene, Host]]
ORDERLY = ("big", "progress", "stall", "error", "tool_error", "result", "ask")


@pytest.fixture
def orderly(kept: Kept) -> Pair:
    """A `pair` of an era, with a gateway that other tests have too: for calls that leave nothing behind."""

    def start(scene: Scene, era: str) -> Host:
        pair(scene, *ORDERLY, era=era)
        host = scene.start()
        host.handshake()
        return host

    return lambda era="handshake": kept(lambda scene: start(scene, era), era)


# --- what a call gives when its server misbehaves --------------------------------------------------------------------

SURVIVED: dict[str, tuple[dict[str, Any], Any]] = {
    # arguments of the tool, what comes of the call: a text, or the words that an error holds
    "garble": ({}, "after the junk"),
    "split": ({}, "byte by byte: ☃"),
    "twice": ({}, "first"),
    "other_ids": ({}, "mine"),
    "string_id": ({"right": True}, "right type"),
    "flood": ({"what": "notifications"}, "after the flood"),
    "flood-stderr": ({"what": "stderr", "count": 20_000}, "after the flood"),
    "flood-stderr-line": ({"what": "stderr-line", "count": 1000}, "after the flood"),
    "flood-list_changed": ({"what": "list_changed", "count": 1000}, "after the flood"),
    "deep": ({"depth": 30_000}, {"protocol"}),
    "nan": ({}, {"protocol"}),
}


@pytest.fixture(scope="module")
def survivors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, Host]]:
    """One gateway, one server that misbehaves in every way that is no reason to end a server."""
    scene = Scene(tmp_path_factory.mktemp("survivors"))
    pair(scene, "raw", *sorted({name.partition("-")[0] for name in SURVIVED}), log=False)
    host = scene.start(request_timeout_secs=5)
    host.handshake()
    assert_unharmed(host)
    yield scene, host
    scene.close()


@pytest.mark.parametrize("name", SURVIVED)
def test_a_server_that_misbehaves_is_survived(survivors: tuple[Scene, Host], name: str) -> None:
    scene, host = survivors
    arguments, expected = SURVIVED[name]
    tool = name.partition("-")[0]
    answer = host.call(f"bad__{tool}", arguments)
    if isinstance(expected, str):
        assert text_of(answer) == expected
    else:
        assert error_of(answer)["data"]["reason"] in expected
    assert_unharmed(host)
    assert json_of(host.call("bad__echo", {"n": 3})) == {"n": 3}, "the server itself is still of use"
    assert len(scene.starts("bad")) == 1, "nothing of this is a reason to end a server"


def at_once(answer: dict[str, Any]) -> bool:
    """The call is answered, one way or the other, and not only when its time is over."""
    return "result" in answer or answer["error"].get("data", {}).get("reason") != "timeout"


RAW: dict[str, tuple[str, Any]] = {
    # what: (line, text or error expected)
    "an error object": ('{"jsonrpc":"2.0","id":$ID,"error":{"code":-5,"message":"m"}}', (-5, "m")),
    "an error that is a string": ('{"jsonrpc":"2.0","id":$ID,"error":"broken"}', (-32603, "broken")),
    "error and result null": (
        '{"jsonrpc":"2.0","id":$ID,"error":null,"result":{"content":[{"type":"text","text":"t"}]}}',
        "t",
    ),
    "CRLF": ('{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"t"}]}}\r', "t"),
    "spaces and another order": (
        '{ "result" : {"content":[{"type":"text","text":"t"}]} , "id" : $ID , "jsonrpc" : "2.0" }',
        "t",
    ),
    "more members": ('{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"t"}]},"extra":[1]}', "t"),
    "U+2028": (
        '{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"a\u2028b\u0085c"}]}}',
        "a\u2028b\u0085c",
    ),
    "half a surrogate pair": (
        '{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"\\ud83d"}]}}',
        "\ud83d",
    ),
    "result is a list": ('{"jsonrpc":"2.0","id":$ID,"result":[1]}', None),
    "result is a number": ('{"jsonrpc":"2.0","id":$ID,"result":5}', None),
    "result is a string": ('{"jsonrpc":"2.0","id":$ID,"result":"x"}', None),
    "result is null": ('{"jsonrpc":"2.0","id":$ID,"result":null}', None),
    "error and result": (
        '{"jsonrpc":"2.0","id":$ID,"error":{"code":-5,"message":"m"},"result":{"content":[]}}',
        (-5, "m"),
    ),
    "broken in the middle": ('{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"t"}]}', None),
    "an error with a number beyond all": (
        '{"jsonrpc":"2.0","id":$ID,"error":{"code":-5,"message":"m","data":1e400}}',
        None,
    ),
    "a number beyond all, in another order": ('{"id":$ID,"jsonrpc":"2.0","result":{"content":[],"n":1e400}}', at_once),
    "broken number": ('{"jsonrpc":"2.0","id":$ID,"result":{"content":[],"n":01}}', None),
}


@pytest.mark.parametrize("line, expected", RAW.values(), ids=RAW)
def test_an_answer_in_any_shape_is_answered_once(survivors: tuple[Scene, Host], line: str, expected: Any) -> None:
    scene, host = survivors
    answer = host.call("bad__raw", {"lines": [line]})
    if callable(expected):
        assert expected(answer), answer
    elif isinstance(expected, str):
        assert text_of(answer) == expected
    elif isinstance(expected, tuple):
        assert (answer["error"]["code"], expected[1] in answer["error"]["message"]) == (expected[0], True)
    assert_unharmed(host)
    assert json_of(host.call("bad__echo", {"n": 3})) == {"n": 3}
    assert len(scene.starts("bad")) == 1


SAID = '{"jsonrpc":"2.0","method":"notifications/%s","params":%s}'
BEFORE: dict[str, str] = {
    # Lines that are JSON and cannot be written again (1e400 is read as infinity), or hold what no reader expects.
    "a message with a number beyond all": SAID % ("message", '{"level":"info","data":1e400}'),
    "progress with a total beyond all": SAID % ("progress", '{"progressToken":$ID,"progress":1,"total":1e400}'),
    "progress beyond all": SAID % ("progress", '{"progressToken":$ID,"progress":1e400}'),
    "an update with a number beyond all": SAID % ("resources/updated", '{"uri":"note://a","n":1e400}'),
    "an answer to another id, beyond all": '{"id":4000000,"jsonrpc":"2.0","result":{"n":1e400}}',
    "a deep message": SAID % ("message", '{"level":"info","data":' + "[" * 960 + "]" * 960 + "}"),
    "a very deep message": SAID % ("message", '{"level":"info","data":' + "[" * 5000 + "]" * 5000 + "}"),
    "a number of 5,000 digits": SAID % ("message", '{"level":"info","data":' + "9" * 5000 + "}"),
    "an id of 5,000 digits": '{"jsonrpc":"2.0","id":' + "9" * 5000 + ',"result":{}}',
    "a level that is a list": SAID % ("message", '{"level":[],"logger":[1],"data":1}'),
    "half a surrogate pair": SAID % ("message", '{"level":"info","data":"\\ud83d"}'),
    "a request with params that are a list": '{"jsonrpc":"2.0","id":5,"method":"ping","params":[1]}',
    "a batch of everything": '[1,{"jsonrpc":"2.0","id":6,"method":"x","params":5},{"jsonrpc":"2.0","method":5},[[]]]',
}


@pytest.mark.parametrize("line", BEFORE.values(), ids=BEFORE)
def test_a_line_that_is_of_no_use_takes_no_other_with_it(survivors: tuple[Scene, Host], line: str) -> None:
    _, host = survivors
    before = host.log.count("Traceback")
    good = '{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"good"}]}}'
    answer = host.call("bad__raw", {"lines": [f"{line}\n{good}"]}, _meta={"progressToken": "t"})  # both in one write
    assert text_of(answer) == "good"
    assert_unharmed(host)
    assert host.log.count("Traceback") == before


@pytest.mark.parametrize("size", [70_000, 300_000, 4 * MIB], ids=["70 kB", "300 kB", "4 MiB"])
def test_a_large_result_comes_whole(orderly: Pair, size: int) -> None:
    _, host = orderly()
    assert text_of(host.call("bad__big", {"bytes": size, "fill": "ü☃x\n"})) == "ü☃x\n" * (size // 4)


@pytest.mark.parametrize("era", ["handshake", "stateless"])
def test_a_line_over_the_limit_fails_its_call_and_keeps_the_server(scene: Scene, era: str) -> None:
    pair(scene, "huge_line", era=era)
    host = scene.start(max_server_line_bytes=MIB, request_timeout_secs=5)
    host.handshake()
    error = error_of(host.call("bad__huge_line", {"bytes": 3 * MIB}))
    assert error["data"]["reason"] == "protocol"
    assert any(word in error["message"] for word in ("1048576", "1 MiB", "max_server_line_bytes")), error
    assert json_of(host.call("bad__echo", {"n": 3})) == {"n": 3}
    assert len(scene.starts("bad")) == 1
    assert_unharmed(host)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_an_endless_line_does_not_fill_the_memory(scene: Scene) -> None:
    pair(scene, "huge_line")
    host = scene.start(request_timeout_secs=2)
    host.handshake()
    assert_unharmed(host)
    before = host.memory_kib()
    error_of(host.call("bad__huge_line", {"bytes": 200 * MIB, "endless": True}))
    assert host.memory_kib() - before < 64 * 1024
    assert_unharmed(host)


# --- death and silence -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [{}, {"half": True}, {"words": "panic: cannot go on"}, {"code": 0}], ids=str)
def test_a_server_that_dies_fails_its_calls_at_once_and_comes_back(scene: Scene, arguments: dict[str, Any]) -> None:
    pair(scene, "crash", "stall")
    host = scene.start()
    host.handshake()
    waiting = [host.send("tools/call", {"name": "bad__stall", "arguments": {}}) for _ in range(3)]
    for answer in [host.call("bad__crash", arguments), *(host.answer(id) for id in waiting)]:
        error = error_of(answer)
        assert "closed before responding" in error["message"] and error["data"]["reason"] == "closed"
    assert_unharmed(host)
    assert_back(scene, host)
    assert len(scene.starts("bad")) == 2
    assert len(scene.received("bad", "tools/call")) == 5, "no call is repeated on its own"


def test_the_death_is_noticed_although_a_grandchild_holds_the_pipe(scene: Scene) -> None:
    pair(scene, "spawn", "stall")
    host = scene.start(request_timeout_secs=30)
    host.handshake()
    waiting = host.send("tools/call", {"name": "bad__stall", "arguments": {}})
    host.call("bad__spawn", {"kind": "plain", "pipe": True, "then": "crash"})
    error_of(host.answer(waiting, 5))
    assert_back(scene, host)


def test_a_silent_server_times_out_and_is_told_so(scene: Scene) -> None:
    pair(scene, "stall")
    host = scene.start(request_timeout_secs=1)
    host.handshake()
    error = error_of(host.call("bad__stall"))
    assert "timed out after 1.0s" in error["message"] and error["data"]["reason"] == "timeout"
    [asked] = scene.received("bad", "tools/call")
    [cancelled] = scene.until(lambda: scene.received("bad", "notifications/cancelled"), "the server was not told")
    assert cancelled["params"]["requestId"] == asked["id"]
    assert_unharmed(host)
    assert json_of(host.call("bad__echo", {"n": 3})) == {"n": 3}


def test_a_late_answer_is_dropped(scene: Scene) -> None:
    pair(scene, {"name": "late", "does": "sleep", "with": {"stubborn": True, "secs": 1.4}})
    host = scene.start(request_timeout_secs=1)
    host.handshake()
    error_of(host.call("bad__late"))
    before = len(host.messages)
    time.sleep(0.7)  # the answer is on its way now
    assert json_of(host.call("bad__echo", {"n": 3})) == {"n": 3}
    assert [m.get("id") for m in host.messages[before:]] == [host.next_id() - 1]


def test_progress_keeps_a_slow_call_alive_up_to_its_hard_limit(scene: Scene) -> None:
    pair(scene, "progress")
    scene.server("bounded", "progress", entry={"max_call_secs": 2})
    host = scene.start(request_timeout_secs=1)
    host.handshake()

    def begin(server: str, count: int, pause: float) -> Any:
        params = {"name": f"{server}__progress", "arguments": {"count": count, "pause": pause}}
        return host.send("tools/call", {**params, "_meta": {"progressToken": server}})

    endless, slow = begin("bounded", 50, 0.3), begin("bad", 5, 0.35)  # both at the same time
    assert text_of(host.answer(slow)) == "done"
    assert error_of(host.answer(endless), "bounded")["data"]["reason"] == "timeout"


def test_a_server_that_stops_reading_holds_up_nobody_else(scene: Scene) -> None:
    scene.deaf.add("bad")
    pair(scene, "deaf")
    host = scene.start(request_timeout_secs=1)
    host.handshake()
    assert text_of(host.call("bad__deaf", {"answer": True}))
    ids = [host.send("tools/call", {"name": "bad__echo", "arguments": {"t": "x" * 200_000}}) for _ in range(4)]
    assert_unharmed(host)
    for id in ids:
        assert error_of(host.answer(id))["data"]["reason"] == "timeout"
    assert_unharmed(host)


def test_a_server_that_floods_without_end_holds_up_nobody_else(scene: Scene) -> None:
    pair(scene, "flood", log=False)
    host = scene.start(request_timeout_secs=10, keep=False)
    host.handshake()
    host.request("logging/setLevel", {"level": "error"})
    assert text_of(host.call("bad__flood", {"endless": True}))
    for number in range(10):
        assert json_of(host.call("good__echo", {"n": number})) == {"n": number}
    assert host.close() == 0


# --- what belongs to a call ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ["handshake", "stateless"])
@pytest.mark.parametrize("token", ["p", 7, 0, ""], ids=repr)
def test_progress_comes_under_the_hosts_own_token_before_the_answer(orderly: Pair, era: str, token: Any) -> None:
    _, host = orderly(era)
    before = len(host.messages)
    id = host.send(
        "tools/call",
        {
            "name": "bad__progress",
            "arguments": {"count": 3, "same": True, "late": True},
            "_meta": {"progressToken": token},
        },
    )
    host.answer(id)
    assert_unharmed(host)
    mine = [m for m in host.messages[before:] if m.get("id") == id or m.get("method") == "notifications/progress"]
    assert [m["params"]["progress"] for m in mine[:-1]] == [1, 2, 3] and mine[-1]["id"] == id
    assert all(
        m["params"]["progressToken"] == token and type(m["params"]["progressToken"]) is type(token) for m in mine[:-1]
    )


def test_without_a_token_there_is_no_progress(orderly: Pair) -> None:
    scene, host = orderly()
    before = len(host.messages)
    host.call("bad__progress")
    assert_unharmed(host)
    assert not [m for m in host.messages[before:] if m.get("method") == "notifications/progress"]
    assert (
        "_meta" not in scene.received("bad", "tools/call")[0]["params"]
        or "progressToken" not in scene.received("bad", "tools/call")[0]["params"]["_meta"]
    )


@pytest.mark.parametrize("era", ["handshake", "stateless"])
def test_a_cancelled_call_is_cancelled_at_its_server_and_never_answered(orderly: Pair, era: str) -> None:
    scene, host = orderly(era)
    id = host.send("tools/call", {"name": "bad__stall", "arguments": {}}, id="gone")
    [asked] = scene.until(lambda: scene.received("bad", "tools/call"), "the call did not reach the server")
    host.notify("notifications/cancelled", {"requestId": id, "reason": "enough"})
    [told] = scene.until(lambda: scene.received("bad", "notifications/cancelled"), "the server was not told")
    assert told["params"]["requestId"] == asked["id"] != id
    assert not scene.received("good", "notifications/cancelled")
    assert_unharmed(host)
    assert ("str", id) not in host.answers and (str, id) not in host.answers


def test_an_error_of_the_server_keeps_its_code_message_and_data(orderly: Pair) -> None:
    _, host = orderly()
    error = host.call("bad__error", {"code": 4711, "message": "no luck", "data": {"why": [1, 2]}})["error"]
    assert error == {"code": 4711, "message": "no luck", "data": {"why": [1, 2]}}
    assert host.call("bad__tool_error")["result"]["isError"] is True


@pytest.mark.parametrize(
    "result",
    [
        {"content": [], "n": 12345678901234567890, "f": 0.1, "e": 1e100, "z": None},
        {
            "content": [{"type": "text", "text": "t", "annotations": {"x": 1}, "_meta": {"v/k": [1]}}],
            "isError": False,
            "unknown": {"b": 1, "a": 2},
        },
        {"content": [{"type": "image", "data": "AAAA", "mimeType": "image/png"}, {"type": "weird", "x": 1}]},
        {"content": [], "_meta": {"vendor/key": "kept", "traceparent": "00-x"}},
        {"content": [], "structuredContent": {"a": {"id": 1, "result": {}}}},
    ],
    ids=["numbers", "unknown members", "other blocks", "_meta", "looks like an envelope"],
)
def test_a_result_that_nobody_changes_comes_as_it_was(orderly: Pair, result: dict[str, Any]) -> None:
    _, host = orderly()
    answer = host.call("bad__result", {"result": result})["result"]
    assert json.dumps(answer) == json.dumps(result)


# --- what a server asks us -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", [5, "five", 0, "", "ü", -1], ids=repr)
def test_a_ping_of_a_server_is_answered_under_its_own_id(orderly: Pair, id: Any) -> None:
    _, host = orderly()
    answer = json_of(host.call("bad__ask", {"method": "ping", "id": id}))
    assert answer == {"jsonrpc": "2.0", "id": id, "result": {}} and type(answer["id"]) is type(id)


def test_a_request_that_reuses_the_id_of_our_call_is_not_taken_for_its_answer(orderly: Pair) -> None:
    _, host = orderly()
    assert json_of(host.call("bad__ask", {"method": "ping", "reuse": True}))["result"] == {}


def test_roots_are_answered_from_the_workspace(orderly: Pair) -> None:
    scene, host = orderly()
    roots = json_of(host.call("bad__ask", {"method": "roots/list"}))["result"]["roots"]
    assert [root["uri"] for root in roots] == [scene.workspace.resolve().as_uri()]


@pytest.mark.parametrize(
    "method, params",
    [
        ("sampling/createMessage", {"messages": [], "maxTokens": 1}),
        ("elicitation/create", {"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}}),
        ("nothing/known", {}),
    ],
)
def test_a_question_that_nobody_can_answer_is_refused_at_once(
    orderly: Pair, method: str, params: dict[str, Any]
) -> None:
    _, host = orderly()
    before = len(host.messages)
    answer = json_of(host.call("bad__ask", {"method": method, "params": params}))
    assert answer["error"]["code"] in (-32601, -1)
    asked = [m for m in host.messages[before:] if "method" in m and "id" in m]
    assert not asked, "nothing of this is asked of the host"


# --- lists -----------------------------------------------------------------------------------------------------------


def names(host: Host) -> list[str]:
    return [tool["name"] for tool in host.request("tools/list")["result"]["tools"]]


def test_a_tool_that_appears_later_is_announced_and_listed(scene: Scene) -> None:
    pair(scene, "add_tool")
    host = scene.start()
    host.handshake()
    assert "bad__new" not in names(host)
    before = len(host.messages)
    host.call("bad__add_tool", {"tool": "new", "times": 20})
    host.notification("notifications/tools/list_changed", after=before)
    assert "bad__new" in names(host)
    assert json_of(host.call("bad__new", {"n": 1})) == {"n": 1}
    assert len(scene.received("bad", "tools/list")) <= 4, "twenty announcements are not twenty lists"


# --- a crowd: many odd servers behind one gateway, none of which may spoil it for another -----------------------------

ODD_TOOLS: dict[str, list[Any]] = {
    "twice the same": [{"name": "echo", "title": "one"}, {"name": "echo", "title": "two", "does": "stall"}],
    "no schema": [{"name": "echo", "inputSchema": None}],
    "name is a number": [{"name": "echo"}, {"name": 5, "does": "echo"}],
    "an empty name": [{"name": "echo"}, {"name": "", "does": "echo"}],
    "a name with everything": [{"name": "echo"}, {"name": "a b/c::d☃__e", "does": "echo"}],
    "description is a list": [{"name": "echo", "description": [1]}],
}
LISTS: dict[str, dict[str, Any]] = {
    "tools are a string": {"raw": {"tools/list": ['{"jsonrpc":"2.0","id":$ID,"result":{"tools":"none"}}']}},
    "tools are missing": {"raw": {"tools/list": ['{"jsonrpc":"2.0","id":$ID,"result":{}}']}},
    "tools are numbers": {"raw": {"tools/list": ['{"jsonrpc":"2.0","id":$ID,"result":{"tools":[1,null,"x",[]]}}']}},
    "tools fail": {"errors": {"tools/list": {"code": -32603, "message": "cannot"}}},
    "tools are deep": {
        "raw": {"tools/list": ['{"jsonrpc":"2.0","id":$ID,"result":{"tools":' + "[" * 9000 + "]" * 9000 + "}}"]}
    },
    "resources fail": {
        "errors": {"resources/list": {"code": -32603, "message": "x"}},
        "resources": [{"uri": "a:b", "name": "x"}],
    },
}
STARTS: dict[str, tuple[dict[str, Any], str]] = {
    "crashes": ({"era": "crash-start"}, "cannot start, as asked"),
    "initialize fails": ({"errors": {"initialize": {"code": -32000, "message": "out of licences"}}}, "out of licences"),
    "a version nobody knows": ({"version": "1999-01-01"}, "1999-01-01"),
    "initialize gives nonsense": ({"raw": {"initialize": ['{"jsonrpc":"2.0","id":$ID,"result":[]}']}}, ""),
}
PROBES: dict[str, tuple[dict[str, Any], list[str], str]] = {
    # script, the first requests each run gets, era
    "handshake": ({"era": "handshake"}, ["server/discover", "initialize"], "handshake"),
    "stateless": ({"era": "stateless"}, ["server/discover"], "stateless"),
    "dual": ({"era": "dual"}, ["server/discover"], "stateless"),
    "-32602-on-probe": ({"era": "-32602-on-probe"}, ["server/discover", "initialize"], "handshake"),
    "silent-probe": ({"era": "silent-probe"}, ["server/discover", "initialize"], "handshake"),
    "exits-on-probe": ({"era": "exits-on-probe"}, ["server/discover", "initialize"], "handshake"),
    "slow-start": ({"era": "slow-start", "delay": 1.5}, ["server/discover", "initialize"], "handshake"),
    "slow-start stateless": ({"era": "stateless", "start": "slow", "delay": 1.5}, ["server/discover"], "stateless"),
}
VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
PAGED = {
    "two a page": {"page_size": 2},
    "one a page": {"page_size": 1},
    "stateless pages": {"page_size": 2, "era": "stateless"},
}
ENDLESS = {"the same cursor": {"repeat_cursor": True}, "pages without end": {"endless_pages": True}}


def slug(name: str) -> str:
    return "x" + re.sub("[^a-z0-9]+", "-", name.lower())


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, Host]]:
    scene = Scene(tmp_path_factory.mktemp("crowd"))
    scene.server("good", "echo", "sleep")
    for name, tools in ODD_TOOLS.items():
        scene.server(slug(name), *tools)
    for name, script in {**LISTS, **ENDLESS}.items():
        scene.server(slug(name), "echo", **script)
    for name, (script, _) in STARTS.items():
        scene.server(slug(name), "echo", **script)
    for name, (script, _, _) in PROBES.items():
        scene.server(slug(name), "echo", **script)
    for version in VERSIONS:
        scene.server(slug(version), "echo", version=version)
    for name, script in PAGED.items():
        scene.server(slug(name), *(f"t{number}" for number in range(7)), **script)
    host = scene.start(probe_timeout_secs=1, list_wait_secs=20)
    host.handshake()
    assert_unharmed(host)
    yield scene, host
    scene.close()


@pytest.mark.parametrize("name", ODD_TOOLS)
def test_odd_tools_do_not_spoil_the_list(crowd: tuple[Scene, Host], name: str) -> None:
    _, host = crowd
    listed = [
        tool for tool in host.request("tools/list")["result"]["tools"] if tool["name"].startswith(slug(name) + "__")
    ]
    assert [t["name"] for t in listed].count(f"{slug(name)}__echo") == 1
    assert all(t["inputSchema"]["type"] == "object" for t in listed)
    assert json_of(host.call(f"{slug(name)}__echo", {"n": 1})) == {"n": 1}
    assert_unharmed(host)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_is_none_leaves_out_that_server_only(crowd: tuple[Scene, Host], name: str) -> None:
    _, host = crowd
    listed = names(host)
    assert "good__echo" in listed and (name == "resources fail") == (f"{slug(name)}__echo" in listed)
    assert_unharmed(host)


@pytest.mark.parametrize("name", PAGED)
def test_all_pages_of_a_server_are_read(crowd: tuple[Scene, Host], name: str) -> None:
    _, host = crowd
    listed = [shown for shown in names(host) if shown.startswith(slug(name) + "__")]
    assert listed == [f"{slug(name)}__t{number}" for number in range(7)]


@pytest.mark.parametrize("name", ENDLESS)
def test_a_list_without_end_is_cut_and_used(crowd: tuple[Scene, Host], name: str) -> None:
    scene, host = crowd
    assert names(host).count(f"{slug(name)}__echo") == 1
    assert len(scene.received(slug(name), "tools/list")) <= 1000


@pytest.mark.parametrize("name", STARTS)
def test_a_server_that_cannot_start_is_named_with_the_reason(crowd: tuple[Scene, Host], name: str) -> None:
    _, host = crowd
    server, why = slug(name), STARTS[name][1]
    row = scene_row(host, server)
    assert row["state"] != "ready" and row["tool_count"] == 0 and why in row["last_error"] + host.log
    answer = host.call(f"{server}__echo")
    assert "error" in answer and server in answer["error"]["message"]
    assert f"{server}__echo" not in names(host)
    assert_unharmed(host)


def scene_row(host: Host, server: str) -> dict[str, Any]:
    [row] = [row for row in servers(host) if row["server"] == server]
    return row


@pytest.mark.parametrize("name", PROBES)
def test_the_era_of_a_server_is_found_out(crowd: tuple[Scene, Host], name: str) -> None:
    scene, host = crowd
    (script, asked, era), server = PROBES[name], slug(name)
    assert json_of(host.call(f"{server}__echo", {"n": 1})) == {"n": 1}
    seen = [m["method"] for m in scene.received(server) if m.get("method") in ("server/discover", "initialize")]
    assert seen[: len(asked)] == asked
    row = scene_row(host, server)
    assert (row["state"], row["era"]) == ("ready", era)
    assert row["protocol_version"] == ("2026-07-28" if era == "stateless" else "2025-11-25")
    assert len(scene.starts(server)) == (2 if script["era"] == "exits-on-probe" else 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_handshake_revision_is_spoken(crowd: tuple[Scene, Host], version: str) -> None:
    scene, host = crowd
    server = slug(version)
    assert json_of(host.call(f"{server}__echo", {"n": 1})) == {"n": 1}
    assert scene_row(host, server)["protocol_version"] == version
    order = [m.get("method") for m in scene.received(server)]
    assert order[order.index("initialize") + 1] == "notifications/initialized"


# --- starting --------------------------------------------------------------------------------------------------------


def test_a_program_that_does_not_exist_is_named(scene: Scene) -> None:
    scene.server("good", "echo")
    scene.servers["bad"] = {"command": "no-such-program-anywhere", "args": []}
    host = scene.start()
    host.handshake()
    assert names(host) == ["good__echo"]
    [row] = [row for row in servers(host) if row["server"] == "bad"]
    assert "no-such-program-anywhere" in row["last_error"] and row["state"] == "failed"


def servers(host: Host) -> list[dict[str, Any]]:
    return json_of(host.call("shack_list_servers"))["servers"]  # type: ignore[no-any-return]


def test_the_era_may_be_told_in_the_configuration(scene: Scene) -> None:
    scene.server("old", "echo", entry={"protocol": "handshake"})
    scene.server("new", "echo", era="stateless", entry={"protocol": "stateless"})
    host = scene.start()
    host.handshake()
    assert names(host) == ["new__echo", "old__echo"]
    assert not scene.received("old", "server/discover") and not scene.received("new", "initialize")


def test_a_crash_loop_is_slowed_down(scene: Scene) -> None:
    pair(scene, era="crash-start")
    host = scene.start()
    host.handshake()
    assert_unharmed(host)
    time.sleep(2.5)
    assert 1 <= len(scene.starts("bad")) <= 5
    assert not any(alive(pid) for pid in scene.starts("bad")[:-1])


def test_a_server_that_comes_up_after_some_crashes_is_used(scene: Scene) -> None:
    pair(scene, start="crash", crashes=1)
    host = scene.start()
    host.handshake()
    assert_back(scene, host)
    assert len(scene.starts("bad")) == 2 and "bad__echo" in names(host)
