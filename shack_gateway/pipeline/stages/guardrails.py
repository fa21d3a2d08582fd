"""Guardrails: what the arguments of a tool must not say.  Pure.

Rule 1: a guardrail looks at everything below its argument: objects and lists at any depth, their keys, and what is no
        string as its JSON text.
Rule 2: it looks at every spelling (`_Words`); a spelling is only ever added.
Rule 3: what cannot be looked at as a whole (nested too deeply, too long for a pattern) is refused.
"""
from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from ...config.fields import Field, Section, Value, anything, flag, text
from ...errors import clip
from ...lazy import Pattern
from ...masking.patterns import Certified, Effort, TooLong, certify
from ...record import NamedTuple
from ..arguments import DEPTH, KEY, VALUE, Trail, place
from ..call import RESOURCE, Call, Outcome, Refused
from ..chain import Ports, Stage
from ..effort import folding
from ..spellings import folded
from ..tools import named, names, warn_of_nobody

ALL = "*"
MOST_SHOWN = 300
MOST_TOOLS = 20_000
MOST_ROUNDS = 4
MOST_ELEMENTS = 100_000
LOOK, LETTER = 1500, 250
"""What looking at one text takes of the effort besides its pattern, and folding for a microsecond."""

_INDEX = Pattern(r"\[\d*\]")
_KEYS = (
    Field("tool", text, ALL, "The tool, or tools by pattern (`git__*`), whose calls are looked at.",
          "tool or pattern"),
    Field("argument", text, ALL, "The argument that is looked at, with everything below it; a dot leads into an object "
          "(`options.path`), lists are looked through. `*` means all of them.", "argument"),
    Field("contains", text, None, "A text that must not be in it.", "string"),
    Field("equals", anything, None, "A value that must not be there.", "any value"),
    Field("regex", text, None, "A regular expression that nothing in it may match.", "regular expression"),
    Field("ignore_case", flag, False, "`true` takes `A` and `a` for the same.", "true or false"),
    Field("reason", text, "", "What whoever made the call is told.", "string"),
)
_MATCHERS = ("contains", "equals", "regex")


class Guardrail(NamedTuple):
    """One entry, read; `place` is where it stands: `guardrails[0]`. One of the three matchers is not `None`."""

    place: str
    tool: str
    argument: str
    contains: str | None
    equals: Any
    regex: Certified | None
    ignore_case: bool
    reason: str


class _Guardrails(Section):
    """The reader of the list."""

    def __call__(self, value: Value) -> Any:
        if not isinstance(value.data, list):
            value.must_be("a list of objects", '`[{"tool": "git__*", "argument": "message", "contains": "..."}]`')
        found = [self._entry(element) for element in value.elements()]
        return tuple(entry for entry in found if entry is not None)

    def _entry(self, value: Value) -> Guardrail | None:
        before = value.findings.errors
        read = super().__call__(value)
        given = [key for key in _MATCHERS if value.member(key).data is not None]
        if isinstance(value.data, dict) and len(given) != 1:
            what = "looks for nothing" if not given else f"has {' and '.join(f'`{key}`' for key in given)}"
            value.error(what, "Write one of `contains`, `equals` and `regex`; several need an entry each.")
        for key, problem in _EMPTY.items():
            given_text = value.member(key).data
            if given_text == "" or (isinstance(given_text, str) and key != "contains" and not given_text.strip()):
                value.member(key).error(*problem)
        warn_of_nobody(value.member("tool"), read["tool"])
        if _INDEX.search(read["argument"]):
            value.member("argument").warn("has an index in it, and lists are looked through", "Leave `[...]` out.")
        regex = self._certified(value.member("regex"), read) if read["regex"] is not None else None
        if value.findings.errors > before:
            return None
        return Guardrail(value.name, read["tool"].strip(), read["argument"].strip(), read["contains"], read["equals"],
                         regex, read["ignore_case"], read["reason"].strip())

    def _certified(self, value: Value, read: Mapping[str, Any]) -> Certified | None:
        try:
            regex = certify(read["regex"], ignore_case=read["ignore_case"])
            if regex.search("") and regex.search("\u2028"):
                value.error("matches every text, so that every call would be refused", "Write what must not be said.")
            return regex
        except ValueError as error:
            value.error(str(error), "`shack-gateway help guardrails` says which regular expressions can be used.")
            return None


_EMPTY = {
    "tool": ("is empty", 'Write `"*"` for all tools, or leave it out.'),
    "argument": ("is empty", 'Write `"*"` for all arguments, or leave it out.'),
    "contains": ("is empty, and would be found in every text", "Write what must not be said."),
}


FIELDS: tuple[Field, ...] = (
    Field("guardrails", _Guardrails(_KEYS), (), "What arguments must not say; a call that says it is refused.",
          "list of objects"),
)


def build(settings: Mapping[str, Any], ports: Ports) -> Stage | None:
    """The stage; none without guardrails."""
    return Guardrails(settings["guardrails"]) if settings["guardrails"] else None


class Guardrails(Stage):
    """Refuses calls whose arguments say what a guardrail forbids."""

    name = "guardrails"
    gate = True

    def __init__(self, entries: tuple[Guardrail, ...]) -> None:
        self._entries = tuple((named(entry.tool), _Guard(entry)) for entry in entries)
        self._tools: dict[tuple[str, ...], tuple[_Guard, ...]] = {}

    def concerns(self, call: Call) -> bool:
        """False where no guardrail is about the tool."""
        return bool(self._about(call))

    async def before(self, call: Call) -> Call | Outcome:
        """The call, or which guardrail refuses it."""
        guards = self._about(call)
        if not guards:
            return call
        words = _Words()
        for guard in guards:
            try:
                for arguments in _judged(call):
                    found = guard.found(arguments, words)
                    if found:
                        return self._refused(call, guard.entry, f"{found} of `{clip(names(call)[-1], MOST_SHOWN)}` "
                                             "says what it forbids", guard.entry.reason)
            except RecursionError:
                return self._refused(call, guard.entry, f"the arguments are nested more than {DEPTH} levels deep", "")
            except TooLong as error:
                return self._refused(call, guard.entry, f"the arguments are too long for its pattern, because {error}",
                                     "Shorter ones can be judged.")
        return call

    def why(self, call: Call) -> str:
        """Which guardrails found nothing."""
        return ", ".join(guard.entry.place for guard in self._about(call))

    def _about(self, call: Call) -> tuple[_Guard, ...]:
        """The guardrails about a tool, sorted out at its first call."""
        called = names(call)
        guards = self._tools.get(called)
        if guards is None:
            guards = tuple(guard for is_meant, guard in self._entries if any(map(is_meant, called)))
            if len(self._tools) >= MOST_TOOLS:
                self._tools.clear()
            self._tools[called] = guards
        return guards

    def _refused(self, call: Call, entry: Guardrail, what: str, reason: str) -> Refused:
        said = f" {clip(reason, 1000)}" if reason else ""
        return Refused(self.name, f"blocked by guardrail: {entry.place}: {what}.{said}", rule=entry.place)


def _judged(call: Call) -> tuple[dict[str, Any], ...]:
    """What is looked at: the arguments; of a resource, its URI as the server and as the host writes it."""
    if call.kind != RESOURCE:
        return (call.arguments,)
    return tuple({**call.arguments, "uri": uri} for uri in dict.fromkeys((call.target, call.name)))


class _Words:
    """Every spelling of the texts of one call, each made once, and the effort that patterns may take on all of them."""

    __slots__ = ("_known", "effort")

    def __init__(self) -> None:
        self.effort = Effort()
        self._known: dict[str, tuple[str, ...]] = {}

    def of(self, text: str) -> tuple[str, ...]:
        """As it is written, folded (`spellings.folded`), with `%` escapes undone, and all that one after another."""
        known = self._known.get(text)
        self.effort.spend(LOOK)
        if known is None:
            self.effort.spend(int(LETTER * (folding(text) + 4 * text.count("%"))))
            found = fresh = {text: None}
            for _ in range(MOST_ROUNDS):
                spelt = [folded(each) for each in fresh] + [unquote(each) for each in fresh if "%" in each]
                fresh = {each: None for each in spelt if each not in found}
                if not fresh:
                    break
                found = {**found, **fresh}
            known = self._known[text] = tuple(found)
        return known


class _Guard:
    """One guardrail, ready to be asked."""

    __slots__ = ("_is_text", "_needles", "_value", "entry")

    def __init__(self, entry: Guardrail) -> None:
        self.entry, self._value = entry, entry.equals
        self._is_text = not isinstance(entry.equals, (dict, list))
        wanted = _texts(entry.equals) if entry.contains is None else (entry.contains,)
        plain = [folded(text) if entry.contains is not None else folded(text).strip() for text in wanted]
        # What folds to nothing would be found in every text.
        self._needles = frozenset(self._cased(text) for text in (*wanted, *filter(None, plain)))

    def found(self, arguments: dict[str, Any], words: _Words) -> str:
        """Where the arguments say what is forbidden, in words, or nothing."""
        for kind, node, trail in _below(arguments, self.entry.argument):
            if self._says(node, words):
                where = f"argument `{clip(place(trail), MOST_SHOWN)}`" if trail else "an argument"
                return where if kind != KEY else f"a key in {where}" if trail else "the name of an argument"
        return ""

    def _says(self, node: Any, words: _Words) -> bool:
        if isinstance(node, (dict, list)):
            return not self._is_text and _same(node, self._value)
        if not self._is_text:
            return False
        if node is None or isinstance(node, (bool, int, float)):
            words.effort.spend(LOOK)
        if self._value is not None and _same(node, self._value):
            return True
        spellings = [spelling for written in _texts(node) for spelling in words.of(written)]
        if self.entry.regex is not None:
            search = self.entry.regex.search
            return any(search(spelling, words.effort) is not None for spelling in spellings)
        spellings = list(map(self._cased, spellings))
        if self.entry.contains is not None:
            return any(needle in spelling for spelling in spellings for needle in self._needles)
        return any(spelling in self._needles or spelling.strip() in self._needles for spelling in spellings)

    def _cased(self, text: str) -> str:
        return text.casefold() if self.entry.ignore_case else text


def _below(arguments: dict[str, Any], argument: str) -> Iterator[tuple[str, Any, Trail | None]]:
    """Everything below an argument: whether it is a `VALUE` or a `KEY`, what it is, and where (of a key: the object
    that has it). The texts of a list come once more, joined by spaces. Raises `RecursionError` where it goes deeper
    than `DEPTH`."""
    first = None if argument == ALL else argument
    stack: list[tuple[Any, str | None, Trail | None, int]] = [(arguments, first, None, 1)]
    while stack:
        node, rest, trail, depth = stack.pop()
        if depth > DEPTH + 1 or (depth > DEPTH and isinstance(node, (dict, list))):
            raise RecursionError
        inside = rest is None
        if isinstance(node, dict):
            if inside and trail is not None:
                yield VALUE, node, trail
            for key, value in node.items():
                if inside:
                    yield KEY, key, trail
                    stack.append((value, None, (trail, key), depth + 1))
                elif key == rest:
                    stack.append((value, None, (trail, key), depth + 1))
                elif rest is not None and rest.startswith(key) and rest[len(key)] == ".":
                    stack.append((value, rest[len(key) + 1 :], (trail, key), depth + 1))
        elif isinstance(node, list):
            if inside:
                yield VALUE, node, trail
                if len(node) > 1 and all(isinstance(element, str) for element in node):
                    stack.append((" ".join(node), rest, trail, depth))  # below its elements: a place there says more
            if len(node) > MOST_ELEMENTS:
                raise TooLong(f"a list in them has more than {MOST_ELEMENTS:,} elements")
            stack += [(element, rest, (trail, at), depth + 1) for at, element in enumerate(node)]
        elif inside:
            yield VALUE, node, trail


def _texts(scalar: Any) -> tuple[str, ...]:
    """A string, or the JSON text of what is none; a whole number with `.0` also without it."""
    if isinstance(scalar, str):
        return (scalar,)
    shown = json.dumps(scalar)
    return (shown, str(int(scalar))) if isinstance(scalar, float) and scalar.is_integer() else (shown,)


def _same(one: Any, other: Any) -> bool:
    """The same JSON value; `true` is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
