"""Which tools or servers a matcher of the `hooks` object means.  Pure.

    absent, "", "*"                    every one
    letters, digits, `_ - , |`, space  one name, or several with `|` or `,` between them, spelt exactly
    anything else                      a regular expression that must match somewhere in the name

Rule 1: a tool is known by several names, and it is enough that one matches (`called`).
Rule 2: an expression with a negative look-ahead is judged by one name only: what it keeps out under that it would let
        in under another. It is the first that the rest of the expression fits, and the first of all is the one that
        hooks read.
Rule 3: a name that is too long to be judged is meant.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ...catalog.names import SEPARATOR
from ...config.fields import Value
from ...errors import clip
from ...masking.patterns import REACH, Certified, TooLong, certify, unbarred
from ..call import Call
from ..tools import HOST, OURS, names

Matches = Callable[[Iterable[str]], bool]
"""True when one of these names is meant."""

_PLAIN = re.compile(r"[A-Za-z0-9_\- ,|]*\Z")


def matcher(value: Value, *, tools: bool) -> Matches:
    """Reads one matcher; `tools` says that it is about tools, not servers."""
    written = value.data
    if written is None or written in ("", "*"):
        return every
    if not isinstance(written, str):
        value.must_be("a string")
        return every
    if _PLAIN.match(written):
        return _listed(value, written, tools)
    try:
        wanted = certify(written, longest=REACH)
    except ValueError as error:
        value.error(f"cannot be used: the pattern {error}")
        return every
    if (rest := unbarred(written)) != written:
        try:
            return _but(wanted, certify(rest, longest=REACH))
        except ValueError:
            pass  # too many steps: judged by every name it means more tools, not fewer

    def is_found(called: Iterable[str]) -> bool:
        return any(_fits(wanted, name) for name in called)

    return is_found


def _but(wanted: Certified, rest: Certified) -> Matches:
    """Judges by the first name that fits `rest`, which is `wanted` without its negative look-aheads."""

    def is_found(called: Iterable[str]) -> bool:
        return any(_fits(wanted, name) for name in [name for name in called if _fits(rest, name)][:1])

    return is_found


def _fits(pattern: Certified, name: str) -> bool:
    # Past `REACH` a match may be missed, and servers choose the names: better a hook too many than one too few.
    try:
        return len(name) > REACH or pattern.search(name) is not None
    except TooLong:
        return True


def every(called: Iterable[str]) -> bool:
    """Everything is meant."""
    return True


def called(call: Call) -> tuple[str, ...]:
    """The names that a matcher may know the tool of a call by."""
    return tuple([spelt for name in names(call) for spelt in (f"{HOST}{name}", name, f"{OURS}{name}")])


def _listed(value: Value, written: str, tools: bool) -> Matches:
    meant = frozenset(name for part in re.split(r"[|,]", written) if (name := part.strip()))
    if not meant:
        value.error("names nothing", "Leave it out to mean every tool." if tools else "Leave it out to mean all.")
    for name in sorted(meant) if tools else ():
        shown, bare = clip(name, 80), name.removeprefix(HOST)
        server, _, tool = bare.partition(SEPARATOR)
        if server and tool:
            continue
        if server and (bare != name or SEPARATOR in bare):
            value.warn(f"names `{shown}`, which is a server and no tool: it matches nothing",
                       f"Write `{shown.removesuffix(SEPARATOR)}{SEPARATOR}.*` for all of its tools.")
        else:
            value.warn(f"names `{shown}`, which no tool of a server is called: only letters, digits, `_` and `-` are a "
                       "whole name, `mcp__server__tool`", f"Write `.*{shown}.*` for every tool with that in its name; "
                       "leave it out if it means a tool of the host.")

    def is_listed(called: Iterable[str]) -> bool:
        return not meant.isdisjoint(called)

    return is_listed
