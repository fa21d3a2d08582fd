"""JSON as people write it: comments and trailing commas are tolerated, and every value's line can be told.  Pure.

Rule 1: plain JSON is read by `json` alone; whatever else happens here happens only for files that need it, or when
        there is a problem to report.
Rule 2: what is blanked out keeps its length and its newlines, so that places in what is left are places in the file.
Rule 3: what `json` takes beyond the standard (`NaN`, a key given twice) is not taken.
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..record import NamedTuple
from .fields import Path, is_comment

# The closing quote may be missing: an unclosed string is then skipped as one, not tried again from each quote in it.
_STRING = r'"(?:[^"\\\n]|\\.)*"?'
_COMMENTS = rf"({_STRING})|//[^\n]*|/\*.*?(?:\*/|\Z)"
_COMMAS = rf"({_STRING}|[\[{{]\s*,)|,(?=\s*[\]}}])"
_TOKENS = rf"({_STRING})|([\[{{])|([\]}}])|([:,])|[^\s\[\]{{}}:,\"]+"

_MENDS = (
    ("Invalid \\escape", "Write a backslash twice (`C:\\\\Users`), or use `/`."),
    ("Invalid \\u", "Write a backslash twice (`C:\\\\Users`), or use `/`."),
    ("Invalid control character", "A string must end on its line; write a line break inside it as `\\n`."),
    ("property name", "Keys stand in double quotes."),
    ("delimiter", "Is a comma, a colon or a quote missing just before this place?"),
    ("Expecting value", "A value is a text in double quotes, a number, `true`, `false`, `null`, a list or an object."),
    ("Illegal trailing comma", "Remove one of the commas here."),
    ("Extra data", "The file must hold one object and nothing behind it."),
    ("Unterminated string", "A string must end with a double quote, on its own line."),
)


class Unreadable(Exception):
    """The text is no JSON, comments and trailing commas forgiven."""

    def __init__(self, what: str, line: int, fix: str = "") -> None:
        super().__init__(what)
        self.what, self.line, self.fix = what, line, fix


class Source(NamedTuple):
    """What was read: the value, the text as plain JSON (for places), and whether some key is given twice."""

    data: Any
    text: str
    doubled: bool


def read(text: str) -> Source:
    """The value of a text; raises `Unreadable`."""
    try:
        return _load(text)
    except RecursionError:
        raise Unreadable("lists and objects are nested too deeply", 1) from None
    except ValueError:
        plain = blank(text)
    try:
        return _load(plain)
    except RecursionError:
        raise Unreadable("lists and objects are nested too deeply", 1) from None
    except json.JSONDecodeError as error:
        if not plain.strip():
            raise Unreadable("it is empty", 1, "The smallest configuration is `{\"workspace_root\": \".\"}`.") from None
        fix = next((mend for part, mend in _MENDS if part in error.msg), "")
        raise Unreadable(f"{error.msg.removesuffix(' at')} at column {error.colno}", error.lineno, fix) from None
    except ValueError:
        raise _odd_value(plain) from None


def blank(text: str) -> str:
    """The text with comments and trailing commas replaced by spaces."""
    text = re.sub(_COMMENTS, _blanked, text, flags=re.DOTALL)
    return re.sub(_COMMAS, _blanked, text)


def _blanked(match: re.Match[str]) -> str:
    if match[1] is not None:
        return match[0]
    if match[0].startswith("/*") and not (match[0].endswith("*/") and len(match[0]) > 3):
        return match[0]  # not closed: let the reader stumble over it, at its place
    return "".join([sign if sign == "\n" else " " for sign in match[0]])


def _load(text: str) -> Source:
    doubled = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal doubled
        result = dict(pairs)
        doubled = doubled or len(result) < len(pairs)
        return result

    return Source(json.loads(text, object_pairs_hook=members, parse_constant=_refuse), text, doubled)


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _odd_value(text: str) -> Unreadable:
    """Why `json` refused a text that is spelt like JSON, and where."""
    for match in re.finditer(_TOKENS, text):
        token = match[0]
        if token in ("NaN", "Infinity", "-Infinity"):
            return Unreadable(f"`{token}` is no JSON value", 1 + text.count("\n", 0, match.start()))
        if not match[1] and len(token) > 4000:
            return Unreadable(f"a number of {len(token)} digits", 1 + text.count("\n", 0, match.start()))
    return Unreadable("it holds a value that JSON does not have", 1)


def lines(text: str, wanted: Iterable[Path]) -> dict[Path, int]:
    """The line of each path: that of the key, or of the element; what is not there has the line of what holds it."""
    paths = set(wanted)
    deepest = max(map(len, paths), default=0)
    found: dict[Path, int] = {(): 1}
    for path, line, _ in _walk(text):
        if len(path) <= deepest:
            found[tuple(path)] = line
    return {path: next(found[path[:n]] for n in range(len(path), -1, -1) if path[:n] in found) for path in paths}


def doubles(text: str) -> list[tuple[Path, int, int]]:
    """The keys given twice, with their line and the line where they stood first.

    Remarks may repeat: several `"//": "..."` in one object are an old custom.
    """
    return [(tuple(path), line, first) for path, line, first in _walk(text) if first and not is_comment(str(path[-1]))]


def _walk(text: str) -> Iterator[tuple[list[Any], int, int]]:
    """Path, line, and for a key given before the line of that, of every value of valid JSON; the list is reused."""
    path: list[Any] = []
    seen: list[dict[str, int] | None] = []  # for each open object its keys with their lines; `None` for a list
    line, at, awaiting_key = 1, 0, False
    for match in re.finditer(_TOKENS, text):
        line += text.count("\n", at, match.start())
        at = match.start()
        string, opened, closed, sign = match.groups()
        if closed:
            seen.pop()
            path.pop()
            awaiting_key = False
        elif sign:
            if sign == ",":
                keys = seen[-1]
                awaiting_key = keys is not None
                if keys is None:
                    path[-1] += 1
        elif string and awaiting_key:
            key = json.loads(string)
            keys = seen[-1]
            assert keys is not None
            path[-1], awaiting_key = key, False
            yield path, line, keys.get(key, 0)
            keys.setdefault(key, line)
        else:
            if seen and seen[-1] is None:
                yield path, line, 0
            if opened:
                path.append(0 if opened == "[" else None)
                seen.append(None if opened == "[" else {})
                awaiting_key = opened == "{"
