"""Lines that are nearly right, made from a seed: no crash, no silence, no line on stdout that is none.

SHACK_FUZZ_SECONDS=20 SHACK_FUZZ_SEEDS=50 python -m pytest tests/doors/test_fuzz.py        looks harder
"""

from __future__ import annotations

import json
import os
import random
import time
from typing import Any

import pytest

from kit import Host, M, Scene, json_of

SECONDS = float(os.environ.get("SHACK_FUZZ_SECONDS", "1"))
SEEDS = range(1, 1 + int(os.environ.get("SHACK_FUZZ_SEEDS", "2")))
ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**70,
    1e308,
    "",
    "x",
    "\u2028",
    "\ud83d",
    "a" * 5000,
    [],
    {},
    [[]],
    [None],
    {"a": {}},
    "../../etc/passwd",
    "alpha__echo",
    "shack_call_tool",
    "2025-11-25",
    "2026-07-28",
    ["alpha__echo"],
    {"": ""},
    "notifications/cancelled",
    "\x00",
]
ASKED: list[dict[str, Any]] = [
    {"jsonrpc": "2.0", "id": 1, "method": "ping"},
    {"jsonrpc": "2.0", "id": "a", "method": "tools/list", "params": {"cursor": "x"}},
    {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {
            "name": "alpha__echo",
            "arguments": {"path": "a/b", "list": [1, {"x": "y"}]},
            "_meta": {"progressToken": 5},
        },
    },
    {
        "jsonrpc": "2.0",
        "id": 3,
        "method": "tools/call",
        "params": {"name": "shack_call_tool", "arguments": {"name": "alpha__echo", "arguments": {"command": "ls"}}},
    },
    {
        "jsonrpc": "2.0",
        "id": 4,
        "method": "tools/call",
        "params": {"name": "shack_list_tools", "arguments": {"query": "e", "server": "alpha"}},
    },
    {
        "jsonrpc": "2.0",
        "id": 5,
        "method": "tools/call",
        "params": {"name": "shack_describe_tool", "arguments": {"name": "alpha__echo"}},
    },
    {"jsonrpc": "2.0", "id": 6, "method": "resources/read", "params": {"uri": "note://a"}},
    {"jsonrpc": "2.0", "id": 7, "method": "resources/templates/list"},
    {"jsonrpc": "2.0", "id": 8, "method": "resources/subscribe", "params": {"uri": "note://a"}},
    {"jsonrpc": "2.0", "id": 9, "method": "prompts/get", "params": {"name": "alpha__p", "arguments": {"a": "b"}}},
    {
        "jsonrpc": "2.0",
        "id": 10,
        "method": "completion/complete",
        "params": {
            "ref": {"type": "ref/prompt", "name": "alpha__p"},
            "argument": {"name": "a", "value": "v"},
            "context": {"arguments": {}},
        },
    },
    {"jsonrpc": "2.0", "id": 11, "method": "logging/setLevel", "params": {"level": "info"}},
    {
        "jsonrpc": "2.0",
        "id": 12,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {"roots": {}, "elicitation": {}},
            "clientInfo": {"name": "f", "version": "1"},
        },
    },
    {"jsonrpc": "2.0", "id": 13, "method": "server/discover", "params": {"_meta": Host.meta()}},
    {
        "jsonrpc": "2.0",
        "id": 14,
        "method": "tools/call",
        "params": {
            "name": "alpha__echo",
            "arguments": {},
            "_meta": Host.meta({"elicitation": {}}, log_level="info", token="t", traceparent="00-a"),
        },
    },
    {
        "jsonrpc": "2.0",
        "id": 15,
        "method": "subscriptions/listen",
        "params": {
            "notifications": {"toolsListChanged": True, "resourceSubscriptions": ["note://a"]},
            "_meta": Host.meta(),
        },
    },
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2, "reason": "r"}},
    {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 5, "progress": 1}},
    {"jsonrpc": "2.0", "id": 1, "result": {"content": []}},
    {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "m"}},
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside `value`."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


def mutate(rng: random.Random, seed: dict[str, Any]) -> Any:
    """A copy with one to three values replaced, dropped, doubled or renamed."""
    whole: Any = json.loads(json.dumps(seed))
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(places(whole))
        if not path:
            continue
        parent = whole
        for key in path[:-1]:
            parent = parent[key]
        how, last = rng.randrange(5), path[-1]
        if how == 0:
            del parent[last]
        elif how == 1 and isinstance(parent, dict):
            parent[rng.choice(["id", "method", "params", "_meta", "name", "arguments", "result", "error", ""])] = (
                parent.pop(last)
            )
        elif how == 2:
            parent[last] = [parent[last], parent[last]]
        else:
            parent[last] = json.loads(json.dumps(rng.choice(ODD)))
    return whole


def spoil(rng: random.Random, line: bytes) -> bytes:
    """Now and then the bytes themselves are damaged; never by a line end."""
    how, at = rng.randrange(12), rng.randrange(max(1, len(line)))
    if how == 0:
        return line[:at]
    if how == 1:
        return line[:at] + bytes((rng.choice([0, 1, 0x22, 0x5C, 0x7B, 0x80, 0xC3, 0xFF]),)) + line[at:]
    if how == 2:
        return b"[" + line + b"]"
    if how == 3:
        return line + line
    return line


def no_constant(name: str) -> Any:
    raise ValueError(name)


def owed(line: bytes) -> tuple[bool, Any]:
    """Whether a line asks for an answer that carries an id, and which."""
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=no_constant)
    except (ValueError, RecursionError):
        return False, None
    if not isinstance(value, dict) or "result" in value or "error" in value:
        return False, None
    id = value.get("id")
    known = isinstance(id, (str, int)) and not isinstance(id, bool)
    return known and isinstance(value.get("method"), str) and value.get("jsonrpc") == "2.0", id


@pytest.mark.parametrize("seed", SEEDS)
def test_nearly_right_lines_of_a_host_are_survived_and_answered(scene: Scene, seed: int) -> None:
    rng = random.Random(seed)
    scene.server(
        "alpha",
        "echo",
        resources=[{"uri": "note://a", "name": "a", "text": "A"}],
        prompts=[{"name": "p"}],
        completions=[],
    )
    host = scene.start(request_timeout_secs=5)
    host.handshake()
    host.call("alpha__echo")
    host.tolerant = host.batches = True
    end, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        number += 1
        message = mutate(rng, rng.choice(ASKED))
        if (
            isinstance(message, dict)
            and isinstance(message.get("id"), (str, int))
            and not isinstance(message["id"], bool)
        ):
            message["id"] = f"f{number}"
        line = spoil(
            rng,
            json.dumps(message, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass").replace(b"\n", b""),
        )
        asks, id = owed(line)
        host.send_raw(line + b"\n")
        if asks and "subscriptions/listen" not in line.decode("utf-8", "replace"):
            try:
                host.answer(id, 8)
            except AssertionError as late:
                raise AssertionError(f"seed {seed}, line {number}: silence after {line!r}") from late
        assert host.process.poll() is None, f"seed {seed}, line {number}: ended by {line!r}"
    host.check()
    assert json_of(host.call("alpha__echo", {"n": 1})) == {"n": 1}
    assert number > 20


ANSWERS: list[dict[str, Any]] = [
    {
        "jsonrpc": "2.0",
        "id": "$ID",
        "result": {"content": [{"type": "text", "text": "t"}], "isError": False, "structuredContent": {"a": 1}},
    },
    {
        "jsonrpc": "2.0",
        "id": "$ID",
        "result": {"resultType": "complete", "content": [], "_meta": {M + "serverInfo": {"name": "x"}, "k": 1}},
    },
    {
        "jsonrpc": "2.0",
        "id": "$ID",
        "result": {
            "resultType": "input_required",
            "inputRequests": {"a": {"method": "roots/list"}},
            "requestState": "s",
        },
    },
    {
        "jsonrpc": "2.0",
        "id": "$ID",
        "error": {"code": -32042, "message": "m", "data": {"elicitations": [{"url": "https://x"}]}},
    },
    {
        "jsonrpc": "2.0",
        "id": "$ID",
        "error": {"code": -32021, "message": "m", "data": {"requiredCapabilities": {"sampling": {}}}},
    },
    {"jsonrpc": "2.0", "id": 77, "method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 5}},
    {"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {"message": "m", "requestedSchema": {}}},
    {
        "jsonrpc": "2.0",
        "method": "notifications/progress",
        "params": {"progressToken": 3, "progress": 1, "total": 2, "message": "m"},
    },
    {
        "jsonrpc": "2.0",
        "method": "notifications/message",
        "params": {"level": "info", "logger": "l", "data": {"a": [1]}},
    },
    {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "note://a"}},
    {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"},
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}},
]
GOOD = '{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"good"}]}}'


@pytest.mark.parametrize("era", ["handshake", "stateless"])
@pytest.mark.parametrize("seed", SEEDS)
def test_nearly_right_lines_of_a_server_are_survived(scene: Scene, seed: int, era: str) -> None:
    rng = random.Random(seed)
    scene.server("bad", "raw", era=era, log=False)
    scene.server("good", "echo", log=False)
    host = scene.start(request_timeout_secs=2, log_level="error")
    host.handshake()
    host.call("good__echo")
    end, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        number += 1
        lines = []
        for _ in range(rng.randint(1, 6)):
            line = json.dumps(mutate(rng, rng.choice(ANSWERS)), ensure_ascii=True)
            lines.append(spoil(rng, line.encode()).decode("utf-8", "replace").replace("\n", "").replace('"$ID"', "$ID"))
        lines.append(GOOD)  # whatever came before it, this one answers, if nothing else has
        meta = {"_meta": {"progressToken": number}} if rng.random() < 0.5 else {}
        answer = host.call("bad__raw", {"lines": lines}, timeout=8, **meta)
        assert "result" in answer or "error" in answer, f"seed {seed}, call {number}: {lines}"
        assert json_of(host.call("good__echo", {"n": number})) == {"n": number}, f"seed {seed}, call {number}: {lines}"
    host.check()
    assert len(scene.starts("bad")) == 1, "nothing of this ends a server"
    assert number > 10
