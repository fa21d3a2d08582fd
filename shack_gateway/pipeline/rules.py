"""Rules as the configuration lists them, and what others want to know of rules.  Pure.

    rules, allowing   readers of a list of rules, which say what cannot do what its writer meant
    unmatched         rules that are about no tool there is
    unconditional     whether a tool is forbidden whatever it is called with
    one_rule          a single rule as something to ask about calls
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..catalog.names import SEPARATOR
from ..config.fields import Value, nearest
from ..errors import clip
from .broad import Broad
from .call import Call
from .chain import Ports
from .grammar import ANY, HOST_TOOLS, NoRule, Rule, lacks_server, parse, servers_place_is_open
from .shadows import ALLOW, ASK, DENY, normalised
from .shadows import may_allow as may_allow
from .shadows import overlaps as overlaps
from .spellings import Spellings
from .tools import OURS, is_glob, literal, named, names, spellings

MOST_KEPT = 1024


def rules(value: Value) -> tuple[Rule, ...]:
    """A list of rules; whatever cannot do what its writer meant is said."""
    return tuple([rule for rule, _ in _read(value)])


def allowing(value: Value) -> tuple[Rule, ...]:
    """A list of rules that allow: they say of which server."""
    found = _read(value)
    for rule, element in found:
        if servers_place_is_open(rule.tool):
            element.warn("is skipped: a rule that allows must name the server, because servers name their own tools",
                         "Write `server__*` for each server that is meant.")
    return tuple([rule for rule, _ in found])


def _read(value: Value) -> list[tuple[Rule, Value]]:
    if not isinstance(value.data, list):
        value.must_be("a list of rules", '`["server__tool"]`, also for a single one')
    found: list[tuple[Rule, Value]] = []
    first: dict[Rule, str] = {}
    for element in value.elements():
        if not isinstance(element.data, str):
            element.must_be("a rule, which is a string")
            continue
        try:
            rule = parse(element.data)
        except NoRule as error:
            element.error(str(error), error.fix)
            continue
        warn_of_no_server(element, rule.tool)
        same = normalised(rule)
        if same in first:
            element.warn(f"says the same as `{first[same]}`", "Remove one of them.")
        else:
            first[same] = element.name
        found.append((rule, element))
    return found


def warn_of_no_server(value: Value, tool: str) -> None:
    """Warn of a name that lacks a server's before it: no call is named so."""
    if tool in HOST_TOOLS:
        value.warn(f"can never match: `{tool}` is a tool of the host, whose calls never pass here",
                   "Leave it out: the host judges it by its own rules. Tools of servers are named `server__tool`.")
    elif lacks_server(tool):
        value.warn("can never match: a tool is named `server__tool`", "Put the server's name before it.")


def strangers(value: Value, read: Mapping[str, Any], servers: Iterable[str]) -> None:
    """Warn of rules that name a server which is not configured."""
    servers = tuple(servers)
    for kind in (DENY, ASK, ALLOW):
        places = value.member(kind).elements()
        if len(places) != len(read[kind]):
            continue
        for element, rule in zip(places, read[kind]):
            server = _unknown_server(rule.tool, servers)
            if server:
                near = nearest(server, servers)
                element.warn(f"can never match: no server is named `{clip(server, 60)}`",
                             f"Did you mean `{near}`?" if near else "Write the name of a server of this file.")


def _unknown_server(tool: str, servers: Iterable[str]) -> str:
    """The server that a rule names and that is not there; empty where it is, or where that cannot be told."""
    if lacks_server(tool) or tool == OURS.removesuffix(SEPARATOR):
        return ""
    shortest = ""
    for meant in spellings(tool):
        head = literal(meant)
        if SEPARATOR not in head:
            if is_glob(meant):
                return ""                       # the server's place is open
            continue
        if any(head.startswith(server + SEPARATOR) for server in servers):
            return ""
        server = head.partition(SEPARATOR)[0]
        shortest = server if server not in ("mcp", "shack") or not shortest else shortest
    return shortest


def unmatched(read: Mapping[str, Any], known: Iterable[str]) -> list[tuple[str, int, str]]:
    """Rules that are about none of the `known` names: (list, index in it, what is wrong).

    `known` holds every name that policy knows calls by (`server__tool`, `server__prompt`, `server__resources/read`) and
    every name that tools are shown under.
    """
    known = tuple(known)
    found = []
    for kind in (DENY, ASK, ALLOW):
        for at, rule in enumerate(read[kind]):
            meant = named(rule.tool)
            if not any(map(meant, known)):
                near = nearest(min(spellings(rule.tool), key=len), known)
                hint = f"; did you mean `{near}`?" if near else ""
                found.append((kind, at, f"the {kind} rule `{clip(rule.raw, 100)}` matches no tool{hint}"))
    return found


def one_rule(text: str) -> Callable[[Call, Ports], bool]:
    """Tells whether a call is one that a rule is about, read as a rule that forbids; raises `ValueError` for no rule.

    What is asked of the returned function may raise `RecursionError` or `TooMuch`, where a call cannot be judged.
    """
    rule = parse(text)
    meant = named(rule.tool)
    kept: dict[Any, Broad] = {}

    def matches(call: Call, ports: Ports) -> bool:
        if not any(meant(name) for name in names(call)):
            return False
        if rule.match == ANY:
            return True
        known = ports.facts(call).arguments
        key = (id(ports), known)
        if key not in kept:
            if len(kept) >= MOST_KEPT:
                kept.clear()
            kept[key] = Broad((rule,), Spellings(ports), known)
        return kept[key].match(call) is not None

    return matches


def about(call_names: Iterable[str], rules: Iterable[tuple[Callable[[str], bool], Rule]]) -> list[Rule]:
    """The rules about a tool that has these names."""
    call_names = tuple(call_names)
    return [rule for meant, rule in rules if any(meant(name) for name in call_names)]
