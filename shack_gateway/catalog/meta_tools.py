"""The four `shack_*` tools: their definitions and their answers.  Pure.

Rule 1: the members that 0.1.0 put into an answer stay, with their meaning; others may be added.
Rule 2: the definitions are all that a host reads of us before it searches; they stay under 1,100 bytes.
"""
from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import RequestError, clip
from ..record import NamedTuple
from ..wire.splice import members
from .entries import Catalog, Entry
from .names import hint, nearest
from .search import Finder, summary
from .shapes import EMPTY_SCHEMA

LIST_TOOLS, DESCRIBE_TOOL, CALL_TOOL, LIST_SERVERS = (
    "shack_list_tools", "shack_describe_tool", "shack_call_tool", "shack_list_servers")
NAMES = (LIST_TOOLS, DESCRIBE_TOOL, CALL_TOOL, LIST_SERVERS)
READ_RESULT = "shack__read_result"
"""Reads on in a result that was cut; in no list, since only who has such a result needs it (`pipeline/results.py`)."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def _definition(name: str, description: str, properties: dict[str, str], required: tuple[str, ...], reads: bool) -> str:
    schema: dict[str, Any] = {"type": "object", "properties": {key: {"type": kind} for key, kind in properties.items()}}
    if required:
        schema["required"] = required
    return _encode({
        "name": name, "description": description, "inputSchema": schema,
        "annotations": {"readOnlyHint": True} if reads else {"openWorldHint": True},
        "_meta": {"anthropic/alwaysLoad": True},
    })


ARRAY: bytes = "[{}]".format(",".join([
    _definition(LIST_TOOLS, "Search tools by a word of name or description (no query: all).",
                {"query": "string", "server": "string"}, (), True),
    _definition(DESCRIBE_TOOL, "Show a tool's input schema; read it before a first call.",
                {"name": "string"}, ("name",), True),
    _definition(CALL_TOOL, "Call a tool by a name from shack_list_tools, with arguments fitting its schema.",
                {"name": "string", "arguments": "object"}, ("name",), False),
    _definition(LIST_SERVERS, "List servers, their state and tools.", {}, (), True),
])).encode("ascii")
"""The definitions, as the array of `tools/list`."""


class ServerRow(NamedTuple):
    """What the fleet says of one configured server; an empty text: not known."""

    server: str
    state: str
    era: str = ""
    protocol_version: str = ""
    last_error: str = ""


class Answers:
    """What the meta-tools say about one catalog; each answer is the JSON text of its one text block."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._finder: Finder | None = None

    def list_tools(self, arguments: Any, *, starting: Sequence[str] = (), down: Sequence[str] = ()) -> str:
        """The tools that match; `starting` and `down` are the servers whose tools cannot be among them."""
        given = _checked(LIST_TOOLS, arguments, {"query": str, "server": str})
        query, server = given.get("query", ""), given.get("server", "")
        found = self._find(query, server)
        answer: dict[str, Any] = {
            "tools": [{"name": e.name, "server": e.server, "summary": summary(e.description)} for e in found],
            "count": len(found),
        }
        missing = {why: sorted(name for name in names if server in ("", name))
                   for why, names in (("starting", starting), ("down", down))}
        if any(missing.values()):
            answer["missing"] = {why: names for why, names in missing.items() if names}
        if not found:
            self._help(answer, query, server, [*starting, *down])
        return _text(answer)

    def describe_tool(self, arguments: Any) -> str:
        """One tool with its schema, and title, annotations and output schema as the server sent them."""
        name = _checked(DESCRIBE_TOOL, arguments, {"name": str}).get("name")
        if not name:
            raise RequestError("bad params", "unknown tool: (missing 'name')")
        entry = self._catalog.tool(name)
        if entry is None or not self._catalog.is_shown(entry):
            near = nearest(name, _names(self._catalog))
            raise RequestError("bad params", f"unknown tool: {clip(name, 200)}{hint(name, near)}",
                               data={"did_you_mean": near} if near else None)
        return _described(name, entry)

    def list_servers(self, arguments: Any, rows: Sequence[ServerRow]) -> str:
        """Every configured server: its tools, and how it is."""
        _checked(LIST_SERVERS, arguments, {})
        tools: dict[str, list[str]] = {row.server: [] for row in rows}
        for entry in self._catalog.tools:
            tools.setdefault(entry.server, []).append(entry.name)
        return _text({"servers": [
            {"server": row.server, "tool_count": len(tools[row.server]), "tools": sorted(tools[row.server]),
             "state": row.state, "era": row.era or None, "protocol_version": row.protocol_version or None,
             "last_error": clip(row.last_error, 500) or None}
            for row in sorted(rows, key=lambda row: row.server)]})

    def _find(self, query: str, server: str) -> list[Entry]:
        if self._finder is None:
            self._finder = Finder(self._catalog.tools)
        return self._finder.find(query, server)

    def _help(self, answer: dict[str, Any], query: str, server: str, missing: list[str]) -> None:
        """Where nothing matched: what may have been meant. Never as a match, it is a guess."""
        servers = [*self._catalog.servers, *missing]
        if server and server not in servers:
            answer["did_you_mean"] = nearest(server, servers)
            answer["hint"] = f"there is no server `{clip(server, 100)}`"
        elif query:
            answer["did_you_mean"] = nearest(query, (e.name for e in self._find("", server)))


def unwrap_call(arguments: Any) -> tuple[str, dict[str, Any]]:
    """Name and arguments of the call inside `shack_call_tool`; raises `RequestError`."""
    known: dict[str, type] = {"name": str, "arguments": dict}
    given = _checked(CALL_TOOL, arguments, known)
    if not given.get("name"):
        raise RequestError("bad params", f"{CALL_TOOL}: missing 'name'; it is one that {LIST_TOOLS} gives")
    return given["name"], given.get("arguments", {})


def tool_not_found(name: str, catalog: Catalog) -> RequestError:
    """For a `tools/call` (or `shack_call_tool`) whose name nobody has."""
    near = nearest(name, _names(catalog))
    return RequestError("unknown tool", f"tool not found: {clip(name, 200)}{hint(name, near)}",
                        data={"did_you_mean": near} if near else None)


def unknown_meta_tool(name: str) -> RequestError:
    """For a called `shack_*` name that is neither a meta-tool nor a server's tool (look in the catalog first)."""
    near = nearest(name, NAMES)
    meant = hint(name, near) or f"; the gateway's own tools are {', '.join(f'`{each}`' for each in NAMES)}"
    return RequestError("unknown meta-tool", f"unknown gateway tool: {clip(name, 200)}{meant}",
                        data={"did_you_mean": near or list(NAMES)})


def read_result_definition() -> str:
    """`shack__read_result` as a list shows it: in full mode, where results may be cut."""
    return _encode({key: value for key, value in _READ_RESULT.items() if key != "server"})


def described_read_result() -> str:
    """What `shack_describe_tool` says of `shack__read_result`."""
    return _encode(_READ_RESULT)


_READ_RESULT: dict[str, Any] = {
    "name": READ_RESULT, "server": "", "description": "Read on in a result that was cut, by the handle at its end: "
    "from a character `offset`, or the parts that a JSONPath names.",
    "inputSchema": {
        "type": "object", "required": ["handle"], "properties": {
            "handle": {"type": "string"}, "offset": {"type": "integer"}, "length": {"type": "integer"},
            "path": {"type": "string"},
        },
    },
    "annotations": {"readOnlyHint": True},
}


_WORDS: dict[type, str] = {str: "a string", dict: "an object"}


def _checked(tool: str, arguments: Any, known: dict[str, type]) -> dict[str, Any]:
    """The arguments that were given, none of them null; raises `RequestError` for what the tool does not take."""
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise RequestError("bad params", f"{tool}: `arguments` must be an object")
    given = {key: value for key, value in arguments.items() if value is not None}
    for key, value in given.items():
        if not known:
            continue  # some hosts give every tool a dummy argument
        if key not in known:
            takes = ", ".join(f"`{each}`" for each in known)
            inner = "; the arguments of the tool to call belong inside `arguments`" if tool == CALL_TOOL else ""
            raise RequestError("bad params", f"{tool}: unknown argument `{clip(key, 100)}`; it takes {takes}{inner}")
        if not isinstance(value, known[key]):
            raise RequestError("bad params", f"{tool}: `{key}` must be {_WORDS[known[key]]}")
    return given


def _names(catalog: Catalog) -> Iterable[str]:
    return (entry.name for entry in catalog.tools)


def _described(name: str, entry: Entry) -> str:
    """The description of a tool, its schemas as the server wrote them."""
    text = entry.item.text
    found, _ = members(text)
    raw = {m.key: text[m.value_start : m.end] for m in found if isinstance(m.value, (dict, str))}
    answer: dict[str, str] = {
        "name": _text(name), "server": _text(entry.server), "description": _text(entry.description),
        "inputSchema": raw.get("inputSchema", EMPTY_SCHEMA),
        **{key: raw[key] for key in ("title", "annotations", "outputSchema") if key in raw},
    }
    return _sound("{" + ",".join(f'"{key}":{value}' for key, value in answer.items()) + "}")


def _text(value: Any) -> str:
    return _sound(_encode(value))


def _sound(text: str) -> str:
    """JSON text that can be encoded: a lone surrogate can only stand inside a string, so its escape may replace it."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
