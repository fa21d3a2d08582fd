"""Editing a JSON object or array in its own text, so that whatever is not edited stays byte for byte.  Pure.

Rule 1: positions are those of the `str`; the text is known to be valid JSON or the functions raise `ValueError`.
Rule 2: nobody else cuts JSON text.
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterable
from json.scanner import make_scanner
from typing import Any, NamedTuple

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
