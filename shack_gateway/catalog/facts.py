"""What policy may know of a listed tool: the names of its arguments, and what it says of itself.  Pure.

Rule 1: a server describes itself: nothing here is proof of anything, and nothing may be let through because of it alone.
"""
from __future__ import annotations

from ..record import NamedTuple


class Facts(NamedTuple):
    """About one tool. `listed` is False for what no server is known to list; then nothing else counts."""

    listed: bool = False
    arguments: frozenset[str] = frozenset()
    """The top-level properties of its input schema; empty where it names none."""
    says_read_only: bool | None = None
    """Its `readOnlyHint`; None where it does not say."""
    only_reads: bool = False
    """True for a tool that reads and changes nothing, judged by its annotations and by the words of its name."""


NO_FACTS = Facts()
