"""Injections: arguments that the owner adds to calls.  Pure.

Rule 1: entries are applied in their order; in each, `set` comes first, then `default`, then `append`.
Rule 2: `null` is as good as missing: `default` fills it, `append` begins with nothing.
Rule 3: text is appended to text and a list to a list; anything else is refused, never guessed.
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...config.fields import Field, Section, Value, is_comment, kind, text
from ...errors import clip
from ...record import NamedTuple
from ..call import RESOURCE, Call, Outcome, Refused
from ..chain import Ports, Stage
from ..tools import named, names, warn_of_nobody

MOST_SHOWN = 200
MOST_TOOLS = 20_000


def _arguments(value: Value) -> dict[str, Any]:
    """Arguments by name, as they are to be sent."""
    if not isinstance(value.data, dict):
        value.must_be("an object", '`{"argument": ...}`')
        return {}
    return {key: member.data for key, member in value.items() if not is_comment(key)}


def _joinable(value: Value) -> dict[str, Any]:
    """Arguments by name, each a text or a list."""
    for key, member in value.items():
        if not is_comment(key) and not isinstance(member.data, (str, list)):
            member.must_be("a text or a list: nothing else can be appended")
    return _arguments(value)


_KEYS = (
    Field("tool", text, "*", "The tool, or tools by pattern (`git__*`), whose calls are changed.", "tool or pattern"),
    Field("set", _arguments, {}, "Arguments that are set, whatever the call brings under that name.", "object"),
    Field("default", _arguments, {}, "Arguments for calls that bring none of that name, or `null`.", "object"),
    Field("append", _joinable, {}, "Texts that are put behind an argument's text, and lists that go on its list. An "
          "argument that is missing begins empty.", "object"),
)
_SORTS = ("set", "default", "append")


class Injection(NamedTuple):
    """One entry, read; `place` is where it stands: `injections[0]`."""

    place: str
    tool: str
    set: Mapping[str, Any]
    default: Mapping[str, Any]
    append: Mapping[str, Any]


class _Injections(Section):
    """The reader of the list."""

    def __call__(self, value: Value) -> Any:
        if not isinstance(value.data, list):
            value.must_be("a list of objects", '`[{"tool": "git__*", "set": {"branch": "main"}}]`')
        found = []
        for element in value.elements():
            before = element.findings.errors
            read = super().__call__(element)
            if element.findings.errors > before:
                continue
            tool = read["tool"].strip()
            if not tool:
                element.member("tool").error("is empty", 'Write `"*"` for all tools, or leave it out.')
            elif not any(read[sort] for sort in _SORTS):
                element.error("changes nothing", f"Add one of {', '.join(f'`{sort}`' for sort in _SORTS)}.")
            warn_of_nobody(element.member("tool"), tool)
            for key in read["default"]:
                if key in read["set"]:
                    element.member("default").member(key).warn("has no effect: `set` gives this argument a value")
            found.append(Injection(element.name, tool, *(read[sort] for sort in _SORTS)))
        return tuple(found)


FIELDS: tuple[Field, ...] = (
    Field("injections", _Injections(_KEYS), (), "Arguments that are added to calls before they are sent.",
          "list of objects"),
)


def build(settings: Mapping[str, Any], ports: Ports) -> Stage | None:
    """The stage; none without injections."""
    return Injections(settings["injections"]) if settings["injections"] else None


class Injections(Stage):
    """Puts the owner's arguments into calls."""

    name = "injections"

    def __init__(self, entries: tuple[Injection, ...]) -> None:
        self._entries = tuple((named(entry.tool), entry) for entry in entries)
        self._tools: dict[tuple[str, ...], tuple[Injection, ...]] = {}

    def concerns(self, call: Call) -> bool:
        """False where no entry is about the tool."""
        return bool(self._about(call))

    async def before(self, call: Call) -> Call | Outcome:
        """The call as its owner wants it, or why its arguments cannot be made so."""
        entries = self._about(call)
        if not entries:
            return call
        arguments, changed = dict(call.arguments), False
        for entry in entries:
            for key, value in entry.set.items():
                changed = changed or not _is(arguments, key, value)
                arguments[key] = value
            for key, value in entry.default.items():
                if arguments.get(key) is None:
                    changed, arguments[key] = True, value
            for key, value in entry.append.items():
                before = arguments.get(key)
                if before is None:
                    before = type(value)()
                elif not isinstance(before, type(value)):
                    return Refused(self.name, f"{entry.place}: {kind(value)} cannot be appended to argument "
                                   f"`{clip(key, MOST_SHOWN)}` of `{clip(names(call)[-1], MOST_SHOWN)}`, which is "
                                   f"{kind(before)}. Make it {kind(value)}, or leave it out.", rule=entry.place)
                changed, arguments[key] = True, before + value
        return call.with_arguments(arguments) if changed else call

    def why(self, call: Call) -> str:
        """What is put into the call."""
        return "; ".join(f"{entry.place}: {_shown(entry)}" for entry in self._about(call))

    def _about(self, call: Call) -> tuple[Injection, ...]:
        """The entries about a tool, sorted out at its first call; there are none about resources."""
        if call.kind == RESOURCE:
            return ()
        called = names(call)
        entries = self._tools.get(called)
        if entries is None:
            entries = tuple(entry for is_meant, entry in self._entries if any(map(is_meant, called)))
            if len(self._tools) >= MOST_TOOLS:
                self._tools.clear()
            self._tools[called] = entries
        return entries


def _is(arguments: Mapping[str, Any], key: str, value: Any) -> bool:
    """The argument is there and would be sent in the same words."""
    return key in arguments and json.dumps(arguments[key]) == json.dumps(value)


def _shown(entry: Injection) -> str:
    """What an entry does, in words; values may be secrets, and are seen in what is sent."""
    sorts = (("sets `{}`", entry.set), ("gives `{}` where it is missing", entry.default),
             ("appends to `{}`", entry.append))
    return ", ".join(words.format(clip(key, 80)) for words, values in sorts for key in values)
