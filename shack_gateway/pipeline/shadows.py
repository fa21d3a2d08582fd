"""Rules that can never decide anything, because another one always does so before them.  Pure.

Rule 1: only what is certain is said, whatever the servers' tools are and wherever links lead: a rule for every call of
        tools that cover the other's, the same content, or a content that is a plain text and that the stronger rules
        themselves, asked about it as every kind of subject, match.
Rule 2: looking for them is bounded: where there are too many to be compared, nothing more is said.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..catalog.names import SEPARATOR
from ..config.fields import Value
from ..errors import clip
from .broad import Broad
from .call import RESOURCE, TOOL, Call, Context
from .chain import HookRun, Ports, Program
from .effort import Effort, TooMuch
from .grammar import ANY, DOMAIN, EXACT, Rule, servers_place_is_open
from .spellings import Spellings
from .tools import HOST, is_glob, literal, named, spellings

DENY, ASK, ALLOW = "deny", "ask", "allow"
MOST_EFFORT = 25_000.0
"""What comparing the rules of a section may cost (`effort.py`)."""
SEEN, COMPARED, SORTED = 0.2, 2.5, 60.0
"""What it costs to see another rule, to compare the names of two, and to have one ready for questions."""
NOWHERE = "/nowhere/that-a-rule/would-name"
"""The workspace, as long as nobody knows it."""


def overlaps(value: Value, read: Mapping[str, Any]) -> None:
    """Warn of rules that never decide anything because another one always does so before them.

    `value` is the section as it stands in the file, `read` what was read of it without an error.
    """
    known, effort = _Rules(), Effort(MOST_EFFORT)
    try:
        for kind in (DENY, ASK, ALLOW):
            places = value.member(kind).elements()
            if len(places) != len(read[kind]):
                return                          # there are errors, which come first
            entries = [_Entry(kind, at, rule) for at, rule in enumerate(read[kind])]
            known.add(entries)
            for place, entry in zip(places, entries):
                found = known.over(entry, effort) or known.matching(entry, effort)
                if found is not None:
                    place.warn(f"has no effect: the {found.kind} rule `{clip(found.rule.raw, 100)}` matches all of its "
                               "calls", "Remove one of them.")
            known.add_texts(entries)
    except TooMuch:
        return


def normalised(rule: Rule) -> Rule:
    """The rule without how it happens to be spelt."""
    if not rule.tool.startswith(HOST) or is_glob(rule.tool):
        return rule._replace(raw="")
    meant = spellings(rule.tool)
    tool = min([each for each in meant if is_glob(each)] or meant, key=lambda each: (len(each), each))
    return rule._replace(raw="", tool=tool)


def all_of_a_server(tool: str) -> bool:
    """`mcp__server`, which means all of its tools."""
    return any(is_glob(meant) for meant in spellings(tool))


def may_allow(rule: Rule, server: str) -> bool:
    """True where a rule names this very server before its first `*`: no other server's tools can slip under it."""
    if servers_place_is_open(rule.tool):
        return False
    return not is_glob(rule.tool) and not all_of_a_server(rule.tool) or any(
        literal(meant).startswith(server + SEPARATOR) for meant in spellings(rule.tool))


class _Entry:
    """A rule, where it stands, and how it compares: `same` is `normalised`, `meant` what its tool's name may mean."""

    __slots__ = ("_fits", "at", "kind", "meant", "rule", "same")

    def __init__(self, kind: str, at: int, rule: Rule) -> None:
        self.kind, self.at, self.rule, self.same = kind, at, rule, normalised(rule)
        self.meant = spellings(rule.tool)
        self._fits: Callable[[str], bool] | None = None

    def covers(self, other: _Entry) -> bool:
        """True where all tools of the other are tools of this one."""
        tool = other.same.tool
        if self.same.tool == tool:
            return True
        # A `?` of the one may stand for a `*` of the other, which says more.
        if is_glob(tool) and "?" in self.rule.tool:
            return False
        if self._fits is None:
            self._fits = named(self.rule.tool)
        return all(map(self._fits, other.meant if is_glob(other.rule.tool) else (tool,)))


class _ByTool:
    """Rules by the tools that they are about."""

    def __init__(self) -> None:
        self._plain: dict[str, list[_Entry]] = {}
        self._heads: dict[int, dict[str, list[_Entry]]] = {}

    def add(self, entry: _Entry) -> None:
        """Put it where it is found."""
        for meant in dict.fromkeys((entry.same.tool, *entry.meant)):
            if is_glob(meant):
                head = literal(meant)
                self._heads.setdefault(len(head), {}).setdefault(head, []).append(entry)
            else:
                self._plain.setdefault(meant, []).append(entry)

    def covering(self, entry: _Entry, effort: Effort) -> Iterator[_Entry]:
        """The rules about all tools that a rule is about, or more."""
        tool = entry.same.tool
        for found in self._plain.get(tool, ()):
            effort.spend(SEEN)
            yield found
        for length, heads in self._heads.items():
            for found in heads.get(tool[:length], ()):
                effort.spend(COMPARED)
                if found.covers(entry):
                    yield found


class _Rules:
    """Rules that may decide before others."""

    def __init__(self) -> None:
        self._any = _ByTool()
        self._equal: dict[Rule, _ByTool] = {}
        self._texts = _ByTool()
        self._ready: dict[str, _Asked | None] = {}
        """Those that cover a tool, ready for questions."""
        self._single: dict[int, _Asked] = {}

    def add(self, entries: list[_Entry]) -> None:
        """The rules of one more list, the next in strength."""
        for entry in entries:
            if entry.same.match == ANY:
                self._any.add(entry)
            else:
                self._equal.setdefault(entry.same._replace(tool=""), _ByTool()).add(entry)

    def add_texts(self, entries: list[_Entry]) -> None:
        """The same, to be asked about the texts of weaker lists."""
        self._ready.clear()
        for entry in entries:
            if _is_text(entry.rule) or entry.rule.match == DOMAIN:
                self._texts.add(entry)

    def over(self, entry: _Entry, effort: Effort) -> _Entry | None:
        """A rule for all calls of its tool, or with the same content."""
        for rules in (self._any, self._equal.get(entry.same._replace(tool=""))):
            for found in rules.covering(entry, effort) if rules is not None else ():
                if found.kind != entry.kind or _beside(found, entry):
                    return found
        return None

    def matching(self, entry: _Entry, effort: Effort) -> _Entry | None:
        """A rule that itself matches the text that another one is about."""
        rule = entry.rule
        text, asks = rule.text, entry.kind == ASK
        if rule.match != EXACT or not _is_text(rule):
            return None
        if asks and (text[0] in "./~" or text.endswith("/")):
            return None                         # it asks about where links lead, and about what is in a folder
        if rule.tool not in self._ready:
            over = list(self._texts.covering(entry, effort))
            self._ready[rule.tool] = _Asked(over) if over else None
        asked = self._ready[rule.tool]
        found = asked.first(text, effort) if asked is not None else None
        if found is None or (asks and found.rule.match == DOMAIN):
            return None
        # Several may match it together, each as another kind of subject: only one that does so alone is named.
        single = self._single.setdefault(id(found), _Asked([found]))
        return found if single.all(text, effort) else None


def _beside(found: _Entry, entry: _Entry) -> bool:
    """Whether a rule shadows one of its own list. Of two that cover each other it is the earlier; what says the very
    same has been said already."""
    if found is entry or found.same == entry.same:
        return False
    if entry.kind == ALLOW:
        server = _server(entry.rule.tool)
        if not server or not may_allow(found.rule, server):
            return False
    return found.at < entry.at or not entry.covers(found)


def _is_text(rule: Rule) -> bool:
    """True for a content that is surely compared with the subject: no parameter, and not the JSON text of all."""
    return rule.match not in (ANY, DOMAIN) and not rule.text.startswith("{") and (
        not rule.param or "://" in rule.text)


def _server(tool: str) -> str:
    """The server that an allow rule is about; empty where its name can be cut in several ways."""
    head = literal(min(spellings(tool), key=len))
    server, _, rest = head.partition(SEPARATOR)
    return "" if SEPARATOR in rest or rest.startswith("_") else server


class _Asked:
    """Stronger rules, to be asked whether they match a text, whatever kind of subject it is."""

    def __init__(self, entries: list[_Entry]) -> None:
        self._entries = {entry.rule.raw: entry for entry in reversed(entries)}
        self._rules = [entry.rule for entry in entries]
        self._kinds: dict[str, Broad] = {}

    def first(self, text: str, effort: Effort) -> _Entry | None:
        """The rule that matches it as a message."""
        rule = self._match("message", text, effort)
        return self._entries.get(rule.raw) if rule is not None else None

    def all(self, text: str, effort: Effort) -> bool:
        """Whether they match it as every kind of subject: as a text, a command, a path, an address, a resource."""
        asked = (("message", text), ("command", text), ("command", f"true; {text}"), ("path", text), ("url", text))
        return all(self._match(key, each, effort) is not None for key, each in (*asked, (RESOURCE, text)))

    def _match(self, key: str, text: str, effort: Effort) -> Rule | None:
        if key not in self._kinds:
            effort.spend(SORTED * len(self._rules))
            self._kinds[key] = Broad(self._rules, Spellings(_ports()), frozenset((key,)))
        effort.spend(COMPARED)
        kind = RESOURCE if key == RESOURCE else TOOL
        call = Call(0, kind, "", text if kind == RESOURCE else "", text, {key: text}, {}, Context())
        try:
            return self._kinds[key].match(call, effort)
        except RecursionError:
            return None
        except TooMuch:
            effort.spend(0.0)                   # it goes on where it was this text alone
            return None


async def _no_hook(program: Program, payload: bytes, limit_secs: float) -> HookRun:
    raise AssertionError("no hook is run")


def _ports() -> Ports:
    """A world without links, in which nothing is where a rule says: what a rule matches there, it matches anywhere."""
    return Ports(NOWHERE, str, _no_hook, lambda level, text: None)
