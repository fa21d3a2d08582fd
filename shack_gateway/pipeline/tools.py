"""Which tools a name or a pattern of the configuration means, in every spelling that users write.  Pure.

    server__tool                the name that policy knows a call by (`arguments.policy_name`)
    mcp__server__tool           as Claude Code names a tool of a server
    mcp__shack__server__tool    as the host sees it, where the gateway is its server `shack`
    mcp__server                 every tool of a server; `mcp__shack__server` likewise, `mcp__shack` means all tools

Rule 1: `*` stands for any letters and `?` for any letter; everything else is itself, `[` too. Case counts.
Rule 2: a spelling is only added: what a pattern means as it is written, it means, so that servers named `mcp` and
        `shack` are reached like others.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate

from ..catalog.names import SEPARATOR
from ..catalog.shaping import is_glob as is_glob
from ..config.fields import Value
from ..lazy import Pattern
from .arguments import policy_name
from .call import RESOURCE, Call

HOST = f"mcp{SEPARATOR}"
"""What Claude Code puts before the name of a server."""
OURS = f"{HOST}shack{SEPARATOR}"
"""What it puts before every name of ours, where its user calls us `shack`."""


def named(pattern: str) -> Callable[[str], bool]:
    """Tells whether a tool's name (`server__tool`, or the name it is shown under) is meant by `pattern`."""
    pattern = pattern.strip()
    meant = spellings(pattern)
    if not is_glob(pattern) and len(meant) == 1:
        return pattern.__eq__
    plain = frozenset(each for each in meant if not is_glob(each))
    globs = [_fitting(each) for each in meant if is_glob(each)]

    def is_meant(name: str) -> bool:
        return name in plain or any(fits(name) for fits in globs)

    return is_meant


def names(call: Call) -> tuple[str, ...]:
    """The names that the configuration may call a call by: the policy name, and the shown one where it differs. Whoever
    called knows the last."""
    name = policy_name(call)
    return (name,) if call.name == name or call.kind == RESOURCE else (name, call.name)


def spellings(pattern: str) -> tuple[str, ...]:
    """The names and patterns over `server__tool` that a pattern may be meant as, as written first."""
    found = {pattern: None}
    for prefix in (HOST, OURS):
        # A star in the pattern may stand for the prefix itself, and then the rest of it is what counts.
        if pattern.startswith(prefix):
            rest = pattern[len(prefix) :]
            found[rest] = None
            if rest and SEPARATOR not in rest:
                found[f"{rest}{SEPARATOR}*"] = None
        elif is_glob(pattern) and prefix.startswith(literal(pattern)):
            for rest in _behind(pattern, prefix):
                found[rest] = None
    if pattern == OURS.removesuffix(SEPARATOR):
        found["*"] = None
    return tuple(each for each in found if each)


def literal(pattern: str) -> str:
    """What a pattern begins with before its first such sign."""
    return re.split("[*?]", pattern, maxsplit=1)[0]


def _behind(pattern: str, prefix: str) -> set[str]:
    """What is left of a pattern when its beginning has matched all of `prefix`; there may be several ways."""
    rests = {pattern}
    for letter in prefix:
        rests = {left for rest in rests for left in _after(rest, letter)}
    return rests


def _after(pattern: str, letter: str) -> set[str]:
    """What is left of a pattern when it has matched one letter."""
    stars = pattern[:1] == "*"
    bare = pattern.lstrip("*")
    found = {f"*{bare}"} if stars else set()
    if bare and bare[0] in (letter, "?"):
        found.add(bare[1:])
    return found


def _fitting(pattern: str) -> Callable[[str], bool]:
    """Whether a name is of a pattern; without regular expressions where there is no `?`, because rules are many."""
    if "?" in pattern:
        matching = Pattern(translate(pattern.replace("[", "[[]")))
        return lambda name: matching.match(name) is not None
    chunks = tuple(pattern.split("*"))
    return lambda name: spans(chunks, name)


def spans(chunks: tuple[str, ...], text: str) -> bool:
    """True for a text that is the chunks with anything between them, in time that grows with the text only."""
    first, last = chunks[0], chunks[-1]
    if len(chunks) == 1:
        return text == first
    if not text.startswith(first):
        return False
    at = len(first)
    for chunk in chunks[1:-1]:
        at = text.find(chunk, at)
        if at < 0:
            return False
        at += len(chunk)
    return len(text) - len(last) >= at and text.endswith(last)


def warn_of_nobody(value: Value, tool: str) -> None:
    """Warn of a pattern that is no name of any tool; `value` is where it stands in the configuration."""
    if tool.strip() and SEPARATOR not in tool and not is_glob(tool):
        value.warn("can never match: a tool is named `server__tool`", "Put the server's name before it.")
