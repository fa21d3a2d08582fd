"""Finding tools: the substring filter behind `shack_list_tools`, as 0.1.0 had it.  Pure.

Rule 1: a search compares prepared text; the tools' own texts are read once, at the first search.
"""
from __future__ import annotations

from collections.abc import Iterable

from .entries import Entry

LONGEST_SUMMARY = 140
NO_DESCRIPTION = "(no description provided)"


def summary(description: str) -> str:
    """One line about a tool, cut as 0.1.0 cut it: at the first `.`, wherever it stands, else at the end of the line."""
    head, dot, _ = description.partition(".")
    if not dot:
        head = description.partition("\n")[0]
    head = head.strip()
    if len(head) > LONGEST_SUMMARY:
        head = head[: LONGEST_SUMMARY - 3] + "..."
    return head or NO_DESCRIPTION


class Finder:
    """Searches one catalog's tools; what it compares is prepared at the first search and kept."""

    def __init__(self, tools: Iterable[Entry]) -> None:
        self.tools = sorted(tools, key=lambda entry: entry.name)
        self._texts: list[str] | None = None

    def find(self, query: str = "", server: str = "") -> list[Entry]:
        """The tools of `server` (of all, if empty) whose name, summary or description contains `query`, by name."""
        found: Iterable[Entry] = self.tools
        if query:
            wanted = query.lower()
            if self._texts is None:
                self._texts = [_searched(entry) for entry in self.tools]
            found = (entry for entry, text in zip(self.tools, self._texts) if wanted in text)
        return [entry for entry in found if entry.server == server] if server else list(found)


def _searched(entry: Entry) -> str:
    """Everything a query is looked for in: every name that works, too."""
    description, verbatim = entry.description, entry.verbatim
    names = entry.name if verbatim == entry.name else f"{entry.name}\n{verbatim}"
    return f"{names}\n{description or NO_DESCRIPTION}".lower()
