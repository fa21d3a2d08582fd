"""Which tools or servers a matcher of the `hooks` object means.  Pure.

    absent, "", "*"                    every one
    letters, digits, `_ - , |`, space  one name, or several with `|` or `,` between them, spelt exactly
    anything else                      a regular expression that must match somewhere in the name

Rule 1: a tool is known by several names, and it is enough that one matches (`called`).
Rule 2: a name that is too long to be judged is meant.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ...catalog.names import SEPARATOR
from ...config.fields import Value
from ...masking.patterns import REACH, TooLong, certify
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
        search = certify(written).search
    except ValueError as error:
        value.error(f"cannot be used: the pattern {error}")
        return every

    def is_found(called: Iterable[str]) -> bool:
        try:
            # Past `REACH` a match may be missed, and servers choose the names: better a hook too many than one too few.
            return any(len(name) > REACH or search(name) for name in called)
        except TooLong:
            return True

    return is_found


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
        if SEPARATOR not in name:
            value.warn(f"names `{name}`, which no tool of a server is called: they are `mcp__server__tool`",
                       "Leave it out if it means a tool of the host.")
        elif name.startswith(HOST) and SEPARATOR not in name[len(HOST):]:
            value.warn(f"names `{name}`, which is a server and no tool: it matches nothing",
                       f"Write `{name}__.*` for all of its tools.")

    def is_listed(called: Iterable[str]) -> bool:
        return not meant.isdisjoint(called)

    return is_listed
