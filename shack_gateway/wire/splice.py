"""Editing a JSON object or array in its own text, so that whatever is not edited stays byte for byte.  Pure.

Rule 1: positions are those of the `str`; the text is known to be valid JSON or the functions raise `ValueError`.
Rule 2: nobody else cuts JSON text.
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterable
from json.scanner import make_scanner
from typing import Any

from ..record import NamedTuple

_BLANK = re.compile(r"[ \t\n\r]*").match


class NotStandard(ValueError):
    """`NaN`, `Infinity` or `-Infinity`: Python reads them, JSON has no such values."""


def _refuse(constant: str) -> Any:
    raise NotStandard(f"{constant} is no JSON value")


DECODER = json.JSONDecoder(parse_constant=_refuse)
"""Reads standard JSON only. May raise ValueError and, for deep nesting, RecursionError."""
_scan = make_scanner(DECODER)  # type: ignore[arg-type]  # it reads attributes that every decoder has


class Member(NamedTuple):
    """One member of an object: its key, where the key's text starts, and where its value starts and ends."""

    key: str
    start: int
    value_start: int
    end: int
    value: Any


class Doubled(ValueError):
    """An object has a key twice: readers disagree which one counts."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Doubled("a key occurs twice")
    return value


_UNIQUE = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_unique)
_scan_unique = make_scanner(_UNIQUE)  # type: ignore[arg-type]  # as above


def scan(text: str, start: int) -> tuple[Any, int]:
    """The value that starts at `start` and the place behind it; raises `ValueError` where none stands there."""
    try:
        value, end = _scan(text, start)
    except StopIteration as stop:
        raise ValueError(f"no JSON value at {stop.value}") from None
    return value, end


def members(text: str, start: int = 0) -> tuple[list[Member], int]:
    """The members of the object that starts at `start`, and the place behind its closing brace."""
    found: list[Member] = []
    at = _open(text, start, "{")
    if text[at : at + 1] == "}":
        return found, at + 1
    while True:
        key, behind = scan(text, at)
        if not isinstance(key, str):
            raise ValueError(f"a key must be a string, at {at}")
        colon = _skip(text, behind)
        if text[colon : colon + 1] != ":":
            raise ValueError(f"`:` expected at {colon}")
        value_start = _skip(text, colon + 1)
        value, end = scan(text, value_start)
        found.append(Member(key, at, value_start, end, value))
        at = _skip(text, end)
        sign = text[at : at + 1]
        if sign == "}":
            return found, at + 1
        if sign != ",":
            raise ValueError(f"`,` or `}}` expected at {at}")
        at = _skip(text, at + 1)


def scan_keeping(text: str, path: tuple[str, ...]) -> tuple[Any, int, tuple[tuple[dict[str, Any], str], ...]]:
    """The object that `text` begins with, the place behind it, and the objects on `path` below its first key, each
    with its own text. Raises `ValueError` for anything but JSON in which no object has a key twice."""
    kept: list[tuple[dict[str, Any], str]] = []
    value, end = _object_keeping(text, _skip(text, 0), path, kept)
    return value, end, tuple(kept[1:])


def _object_keeping(
    text: str, start: int, path: tuple[str, ...], kept: list[tuple[dict[str, Any], str]]
) -> tuple[dict[str, Any], int]:
    at = _open(text, start, "{")
    pairs: list[tuple[str, Any]] = []
    while text[at : at + 1] != "}":
        key, at = scan(text, at)
        at = _skip(text, at)
        if text[at : at + 1] != ":" or not isinstance(key, str):
            raise ValueError(f"a key and `:` expected at {at}")
        at = _skip(text, at + 1)
        if path and key == path[0] and text[at : at + 1] == "{":
            began = at
            value, at = _object_keeping(text, at, path[1:], kept)
            kept.insert(0, (value, text[began:at]))
        else:
            try:
                value, at = _scan_unique(text, at)
            except StopIteration as stop:
                raise ValueError(f"no JSON value at {stop.value}") from None
        pairs.append((key, value))
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
            if text[at : at + 1] == "}":
                raise ValueError(f"a key expected at {at}")
        elif text[at : at + 1] != "}":
            raise ValueError(f"`,` or `}}` expected at {at}")
    return _unique(pairs), at + 1


def elements(text: str, start: int = 0) -> list[tuple[Any, str]]:
    """The values of the array that starts at `start`, each with its own text."""
    found: list[tuple[Any, str]] = []
    at = _open(text, start, "[")
    if text[at : at + 1] == "]":
        return found
    while True:
        value, end = scan(text, at)
        found.append((value, text[at:end]))
        at = _skip(text, end)
        sign = text[at : at + 1]
        if sign == "]":
            return found
        if sign != ",":
            raise ValueError(f"`,` or `]` expected at {at}")
        at = _skip(text, at + 1)


def edit(text: str, changes: dict[str, str | None], *, add: Iterable[tuple[str, str]] = ()) -> str:
    """The object `text` with members replaced (new value as JSON text) or dropped (`None`), and others put in front.

    A key that occurs twice is replaced or dropped at every occurrence: readers disagree which one counts. Keys of
    `add` that the object already has are put in place of the old value.
    """
    found, end = members(text, 0)
    added = dict(add)
    changes = {**changes, **{m.key: added.pop(m.key) for m in found if m.key in added}}
    parts: list[str] = [f"{json.dumps(key)}:{value}" for key, value in added.items()]
    for member in found:
        if member.key not in changes:
            parts.append(text[member.start : member.end])
        else:
            value_text = changes[member.key]
            if value_text is not None:
                parts.append(text[member.start : member.value_start] + value_text)
    if not found:
        return "{" + ",".join(parts) + "}" + text[end:]
    tail = text[found[-1].end : end]
    return "{" + ",".join(parts) + tail + text[end:]


def _open(text: str, start: int, sign: str) -> int:
    at = _skip(text, start)
    if text[at : at + 1] != sign:
        raise ValueError(f"`{sign}` expected at {at}")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _BLANK(text, at)
    return match.end() if match else at
