"""One rule more in the text of a configuration, with everything else as its writer left it, byte for byte.  Pure.

Rule 1: text is only put in, or put in the place of a `null`; nothing is moved, and comments stay.
Rule 2: what comes out is read again, and is never given away unless it says what the old text said, and the rule.
"""
from __future__ import annotations

import json
import re

from ..record import NamedTuple
from ..wire.splice import Member, members, scan
from . import jsonc

SECTION, LIST = "permissions", "allow"

_MARKS = re.compile(r"//[^\n]*|/\*.*?\*/|[,\n]", re.DOTALL)
"""What stands between the last item and the bracket, white space aside."""
_REMARKS = re.compile(r"(?:[ \t]*/\*(?:[^*\n]|\*(?!/))*\*/)*")
"""Comments that begin and end on the line of the item they follow."""
_BY_HAND = f"Add it to `{SECTION}.{LIST}` by hand."


class _Box(NamedTuple):
    """An object or list: where its brackets stand, and where each item starts and ends."""

    open: int
    close: int
    items: list[tuple[int, int]]


def with_allow_rule(text: str, rule: str) -> str:
    """The text of a configuration with `rule` at the end of `permissions.allow`; raises `ValueError` (what, and a fix).

    The very same text comes back where the rule is there already.
    """
    try:
        return _with_rule(text, rule)
    except jsonc.Unreadable as error:
        fix = error.fix or "Mend it first."
        raise ValueError(f"it cannot be read: {error.what} (line {error.line}). {fix}") from None
    except RecursionError:
        raise ValueError(f"lists and objects are nested too deeply in it. {_BY_HAND}") from None


def _with_rule(text: str, rule: str) -> str:
    if not rule.strip():
        raise ValueError("an empty rule allows nothing. Write `server__tool` or `server__tool(text)`.")
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    body = text[len(mark) :]
    source = jsonc.read(body)
    if not isinstance(source.data, dict):
        raise ValueError('it must be an object. Write `{"workspace_root": "...", "servers": {...}}`.')
    section = source.data.get(SECTION)
    if section is not None and not isinstance(section, dict):
        raise ValueError(f'`{SECTION}` is no object. Write `"{SECTION}": {{"{LIST}": [...]}}`.')
    rules = (section or {}).get(LIST)
    if rules is not None and not isinstance(rules, list):
        raise ValueError(f'`{SECTION}.{LIST}` is no list. Write `"{LIST}": ["server__tool"]`, also for a single rule.')
    if any(isinstance(known, str) and known.strip() == rule.strip() for known in rules or ()):
        return text
    made = _Page(body).added(json.dumps(rule, ensure_ascii=not rule.isprintable()))
    wanted = {**source.data, SECTION: {**(section or {}), LIST: [*(rules or ()), rule]}}
    # As JSON texts, which tell `1` from `true` and one order of keys from another.
    if json.dumps(jsonc.read(made).data) != json.dumps(wanted):
        raise ValueError(f"the rule cannot be put in without changing something else. {_BY_HAND}")
    return mark + made


class _Page:
    """The text of a configuration, and the same with comments and trailing commas blanked out: places are alike."""

    def __init__(self, text: str) -> None:
        self._text, self._plain = text, jsonc.blank(text)

    def added(self, rule: str) -> str:
        """The text with the rule, which is given as JSON."""
        top, found = self._object(0)
        section = _only(found, SECTION)
        if section is None:
            return self._put(top, f'{_key(SECTION)}{{{_key(LIST)}[{rule}]}}')
        if section.value is None:
            return self._replaced(section, f"{{{_key(LIST)}[{rule}]}}")
        box, found = self._object(section.value_start)
        rules = _only(found, LIST)
        if rules is None:
            return self._put(box, f"{_key(LIST)}[{rule}]")
        if rules.value is None:
            return self._replaced(rules, f"[{rule}]")
        return self._put(self._list(rules.value_start, rules.end), rule)

    def _object(self, start: int) -> tuple[_Box, list[Member]]:
        found, end = members(self._plain, start)
        return _Box(self._plain.index("{", start), end - 1, [(item.start, item.end) for item in found]), found

    def _list(self, start: int, end: int) -> _Box:
        items, at = [], self._skip(start + 1)
        while self._plain[at] != "]":
            behind = scan(self._plain, at)[1]
            items.append((at, behind))
            at = self._skip(behind)
            if self._plain[at] == ",":
                at = self._skip(at + 1)
        return _Box(start, end - 1, items)

    def _skip(self, at: int) -> int:
        while self._plain[at] in " \t\r\n":
            at += 1
        return at

    def _replaced(self, member: Member, value: str) -> str:
        return self._text[: member.value_start] + value + self._text[member.end :]

    def _put(self, box: _Box, item: str) -> str:
        """The text with another item at the end of the box, written as its neighbours are."""
        return self._put_behind(box, item) if box.items else self._put_alone(box, item)

    def _put_behind(self, box: _Box, item: str) -> str:
        text = self._text
        start, end = box.items[-1]
        comma = next((m.end() for m in self._marks(end, box.close) if m[0] == ","), None)
        behind = end if comma is None else comma
        indent = self._indent(start)
        if indent is None:                      # something stands before it on its line: so does the new one
            if comma is None:
                at = _end_of_remarks(text, end)
                return f"{text[:at]},{self._gap(box)}{item}{text[at:]}"
            at = _end_of_remarks(text, comma)
            return f"{text[:at]}{self._gap(box)}{item},{text[at:]}"
        at = next((m.start() for m in self._marks(behind, box.close) if m[0] == "\n"), -1)
        if at < 0:                              # the bracket stands on the line of the last item
            at = behind + len(text[behind : box.close].rstrip())
        elif text[at - 1] == "\r":
            at -= 1
        line = f"{self._line_end(start)}{indent}{item}"
        if comma is None:
            return f"{text[:end]},{text[end:at]}{line}{text[at:]}"
        return f"{text[:at]}{line},{text[at:]}"

    def _put_alone(self, box: _Box, item: str) -> str:
        text = self._text
        inside = text[box.open + 1 : box.close]
        indent = self._indent(box.close)
        if indent is not None and "\n" in inside:
            at = text.rindex("\n", 0, box.close)
            at -= text[at - 1] == "\r"
            return f"{text[:at]}{self._line_end(box.close)}{indent}{self._unit()}{item}{text[at:]}"
        at = box.open + 1 + len(inside.rstrip())
        gap = " " if inside.strip() else inside if "\n" not in inside else ""
        return f"{text[:at]}{gap}{item}{text[at:]}"

    def _marks(self, start: int, end: int) -> list[re.Match[str]]:
        return list(_MARKS.finditer(self._text, start, end))

    def _indent(self, at: int) -> str | None:
        """The white space before a place on its line; None when something else is there, and on the first line."""
        start = self._text.rfind("\n", 0, at) + 1
        before = self._text[start:at]
        return before if start and not before.strip(" \t") else None

    def _line_end(self, at: int) -> str:
        """How the line before a place ends."""
        return "\r\n" if self._text[: self._text.rfind("\n", 0, at)].endswith("\r") else "\n"

    def _unit(self) -> str:
        """One step of indentation: that of the first key of the file."""
        box, _ = self._object(0)
        return self._indent(box.items[0][0] if box.items else box.close) or "  "

    def _gap(self, box: _Box) -> str:
        """What stands behind the commas of a line: nothing, if that is so between the last two items; else a space."""
        if len(box.items) < 2:
            return " "
        return "" if self._text[box.items[-2][1] : box.items[-1][0]] == "," else " "


def _only(found: list[Member], key: str) -> Member | None:
    """The member of this key; raises `ValueError` where there are two."""
    named = [member for member in found if member.key == key]
    if len(named) > 1:
        raise ValueError(f"`{key}` is given twice in it. Keep one of them.")
    return named[0] if named else None


def _key(name: str) -> str:
    return f"{json.dumps(name)}: "


def _end_of_remarks(text: str, at: int) -> int:
    match = _REMARKS.match(text, at)
    return match.end() if match else at
