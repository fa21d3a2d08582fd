"""A small, fast MCP server over bare pipes, to measure a gateway with: it must never be the slow side.

No event loop and no SDK: one `os.read`, one answer for every line of it, one `os.write`.

    --id-last        answers as the TypeScript SDK writes them: `{"result":...,"jsonrpc":"2.0","id":1}`
    --stateless      speaks the stateless era only; the default is the handshake era only
    --tools N        how many tools to list, `echo` and its siblings included (default 5)
    --hang           never answers anything
    --hang-if FILE   hangs where FILE exists when the server starts

Tools: `echo {text}` gives the text back, `big {bytes}` a text of that size, `take {text}` the length of the text,
`sleep {ms, text}` the text after that time, other calls going on meanwhile.
"""
from __future__ import annotations

import heapq
import json
import os
import select
import sys
import time
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import Any

STATELESS = "2026-07-28"
HANDSHAKE = "2025-11-25"
AT_ONCE = 262_144
_WORDS = "the quick brown fox jumps over the lazy dog, line %d of a long report\\n"


def words(size: int) -> bytes:
    """JSON text of a string body (no quotes), `size` bytes of plain words with escaped line ends."""
    lines = "".join(_WORDS % number for number in range(size // 60 + 2)).encode()[:size]
    return lines[:-1] + b"." if lines.endswith(b"\\") else lines


class Server:
    """Answers lines; `later` holds what `sleep` still owes: (when, number, answer)."""

    def __init__(self, stateless: bool, id_last: bool, tools: int) -> None:
        self.stateless, self.id_last = stateless, id_last
        self.later: list[tuple[float, int, bytes]] = []
        self._big: dict[int, bytes] = {}
        self._tail = ',"resultType":"complete"}' if stateless else "}"
        self._list = ('{"tools":' + json.dumps(_tools(tools), separators=(",", ":")) + self._cacheable()).encode()
        self._calls: dict[str, Callable[[Any, dict[str, Any]], bytes | None]] = {
            "echo": self._echo, "big": self._give_big, "take": self._take, "sleep": self._sleep,
        }

    def answer(self, line: bytes) -> bytes | None:
        """The line that answers `line`, or nothing for a notification or what is answered later."""
        message = json.loads(line)
        call_id = message.get("id")
        if call_id is None:
            return None
        method = message.get("method")
        if method == "tools/call":
            params = message["params"]
            return self._calls.get(params["name"], self._echo)(call_id, params.get("arguments") or {})
        if method == "tools/list":
            return self.result(call_id, self._list)
        if method == "server/discover" and self.stateless:
            return self.result(call_id, self._discovered())
        if method == "initialize" and not self.stateless:
            return self.result(call_id, self._initialized())
        if method == "ping" and not self.stateless:
            return self.result(call_id, b"{}")
        return self._envelope(call_id, b'"error":', b'{"code":-32601,"message":"no such method"}')

    def result(self, call_id: Any, body: bytes) -> bytes:
        return self._envelope(call_id, b'"result":', body)

    def _envelope(self, call_id: Any, key: bytes, body: bytes) -> bytes:
        shown = b"%d" % call_id if type(call_id) is int else json.dumps(call_id).encode()
        if self.id_last:
            return b"".join((b"{", key, body, b',"jsonrpc":"2.0","id":', shown, b"}\n"))
        return b"".join((b'{"jsonrpc":"2.0","id":', shown, b",", key, body, b"}\n"))

    def _text(self, call_id: Any, text: str) -> bytes:
        body = f'{{"content":[{{"type":"text","text":{encode_basestring_ascii(text)}}}]{self._tail}'
        return self.result(call_id, body.encode())

    def _echo(self, call_id: Any, arguments: dict[str, Any]) -> bytes:
        return self._text(call_id, arguments.get("text", ""))

    def _take(self, call_id: Any, arguments: dict[str, Any]) -> bytes:
        return self._text(call_id, str(len(arguments["text"])))

    def _give_big(self, call_id: Any, arguments: dict[str, Any]) -> bytes:
        size = arguments["bytes"]
        body = self._big.get(size)
        if body is None:
            start, end = b'{"content":[{"type":"text","text":"', b'"}]' + self._tail.encode()
            body = self._big[size] = start + words(size) + end
        return self.result(call_id, body)

    def _sleep(self, call_id: Any, arguments: dict[str, Any]) -> None:
        due = time.monotonic() + arguments["ms"] / 1000
        heapq.heappush(self.later, (due, len(self.later), self._text(call_id, arguments.get("text", ""))))

    def _initialized(self) -> bytes:
        return json.dumps({
            "protocolVersion": HANDSHAKE, "capabilities": {"tools": {}}, "serverInfo": {"name": "echo", "version": "1"},
        }).encode()

    def _discovered(self) -> bytes:
        start = json.dumps({"supportedVersions": [STATELESS], "capabilities": {"tools": {}}})[:-1]
        info = json.dumps({"io.modelcontextprotocol/serverInfo": {"name": "echo", "version": "1"}})
        return (start + f',"_meta":{info}' + self._cacheable()).encode()

    def _cacheable(self) -> str:
        return ',"ttlMs":0,"cacheScope":"public"' + self._tail if self.stateless else "}"


def _tools(count: int) -> list[dict[str, Any]]:
    """`count` tools: ours first, then made-up ones of the size that real servers have."""
    own = [
        _tool("echo", "Gives the text back.", {"text": {"type": "string"}, "path": {"type": "string"}}),
        _tool("big", "Gives a text of that many bytes.", {"bytes": {"type": "integer"}}),
        _tool("take", "Gives the length of the text.", {"text": {"type": "string"}}),
        _tool("sleep", "Gives the text after a while.", {"ms": {"type": "integer"}, "text": {"type": "string"}}),
    ]
    filler = {
        "title": {"type": "string", "description": "Title of the record to look for, or a part of it."},
        "state": {"type": "string", "enum": ["open", "closed", "all"], "description": "Which records to include."},
        "limit": {"type": "integer", "minimum": 1, "maximum": 100, "description": "How many records at most."},
    }
    text = "Searches the records of collection %d and lists those that match. Sorted by the time of the last change."
    return (own + [_tool(f"search_records_{n}", text % n, filler) for n in range(len(own), count)])[:count]


def _tool(name: str, description: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "description": description, "inputSchema": {"type": "object", "properties": properties}}


def serve(server: Server) -> None:
    """Read, answer, write until the other side closes; a line may come in any number of pieces."""
    pieces: list[bytes] = []
    while True:
        out: list[bytes] = []
        if server.later:
            ready, _, _ = select.select([0], [], [], max(0.0, server.later[0][0] - time.monotonic()))
            while server.later and server.later[0][0] <= time.monotonic():
                out.append(heapq.heappop(server.later)[2])
            if not ready:
                write_all(1, b"".join(out))
                continue
        chunk = os.read(0, AT_ONCE)
        if not chunk:
            return
        if b"\n" in chunk:
            *lines, rest = (b"".join(pieces) + chunk).split(b"\n")
            pieces = [rest] if rest else []
            out += [line for line in map(server.answer, filter(None, lines)) if line]
            write_all(1, b"".join(out))
        else:
            pieces.append(chunk)


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything, however little the pipe takes at a time."""
    written = os.write(descriptor, data) if data else 0
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def main(arguments: list[str]) -> None:
    def after(option: str, default: str) -> str:
        return arguments[arguments.index(option) + 1] if option in arguments else default

    if "--hang" in arguments or ("--hang-if" in arguments and os.path.exists(after("--hang-if", ""))):
        while os.read(0, AT_ONCE):
            pass
        return
    serve(Server("--stateless" in arguments, "--id-last" in arguments, int(after("--tools", "5"))))


if __name__ == "__main__":
    main(sys.argv[1:])
