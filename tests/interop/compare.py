"""What a direct connection and one through the gateway have said, and where the two differ.  Pure.

The gateway may change: names (`server__name`), a URI that another server has too (`shack://server/...`), the members of
the stateless era (`resultType`, `ttlMs`, `cacheScope`), and the `_meta` of one hop. All else has to be equal.
"""
from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import unquote

OF_THE_ERA = {"resultType", "ttlMs", "cacheScope"}
OF_THE_HOP = ("io.modelcontextprotocol/", "dev.shack/")
NOT_SHOWN = {"execution"}
"""Of a listed tool: says how to ask for a task, which the gateway does not offer."""

VOLATILE = (
    (re.compile(r"\d{1,2}:\d\d:\d\d [AP]M"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^\s\"\\]*"), "DATE"),
    (re.compile(r"\b(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b"), "DAY"),
    (re.compile(r"accessed: [^\n\\]*"), "accessed: TIME"),
)


def same(value: Any, server: str) -> Any:
    """A value with what the gateway may change taken out of it, and what changes with the clock."""
    if isinstance(value, list):
        return [same(item, server) for item in value]
    if isinstance(value, str):
        for pattern, word in VOLATILE:
            value = pattern.sub(word, value)
        return value
    if not isinstance(value, dict):
        return value
    return {key: _member(key, item, server) for key, item in value.items() if not _of_this_hop(key, item)}


def _member(key: str, value: Any, server: str) -> Any:
    if key == "name" and isinstance(value, str):
        return value.removeprefix(f"{server}__")
    if key in ("uri", "uriTemplate") and isinstance(value, str) and value.startswith(f"shack://{server}/"):
        return unquote(value.removeprefix(f"shack://{server}/"))
    if key == "blob" and isinstance(value, str):
        return same(base64.b64decode(value).decode(errors="backslashreplace"), server)
    if key == "_meta" and isinstance(value, dict):
        return {name: item for name, item in value.items() if not name.startswith(OF_THE_HOP)}
    return same(value, server)


def _of_this_hop(key: str, value: Any) -> bool:
    if key == "_meta" and isinstance(value, dict):
        return all(name.startswith(OF_THE_HOP) for name in value)
    return key in OF_THE_ERA or key in NOT_SHOWN


def worked(answer: Any) -> bool:
    """True for an answer that is no error and that no SDK refused."""
    return isinstance(answer, dict) and "error" not in answer and "raised" not in answer


def difference(step: Any, direct: Any, through: Any, server: str) -> str:
    """How the gateway's answer differs from the server's own; empty when it does not.

    What works directly has to work through the gateway and give the same. What fails directly may work through it:
    a server of the handshake era has no listen, say, and the gateway has.
    """
    if not worked(direct):
        return ""
    if not worked(through):
        return f"{_short(step)}\n  direct:  {_short(direct)}\n  through: {_short(through)}"
    one, other = same(direct, server), same(through, server)
    return "" if one == other else f"{_short(step)}\n{_first_difference(one, other, '')}"


def _first_difference(one: Any, other: Any, where: str) -> str:
    """The place where two values part, so that a reader need not compare two pages."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            if key not in one or key not in other:
                side = "direct" if key in one else "through"
                return f"  at {where}/{key}: only {side} has it: {_short(one.get(key, other.get(key)))}"
            if one[key] != other[key]:
                return _first_difference(one[key], other[key], f"{where}/{key}")
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            if left != right:
                return _first_difference(left, right, f"{where}/{place}")
    return f"  at {where or '/'}\n  direct:  {_short(one)}\n  through: {_short(other)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 700 else f"{text[:700]}... ({len(text)} characters)"
