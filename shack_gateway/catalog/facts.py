"""What policy may know of a listed tool: the names of its arguments, and what it says of itself.  Pure.

Rule 1: a server describes itself: nothing here is proof of anything, and nothing may be let through because of it
        alone.
Rule 2: whatever a server writes, there are facts; where it is in doubt whether a tool only reads, it does not.
"""
from __future__ import annotations

import json
from typing import Any

from ..lazy import Pattern
from ..record import NamedTuple


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


CHANGING = _set(
    "abort add alter append apply approve ban cancel checkout chmod chown clear click close cp create del delete "
    "deploy destroy disable dismiss drag drop edit enable erase eval evaluate exec execute import insert install "
    "invite kick kill launch merge mkdir modify move mutate mv overwrite patch post publish purchase purge push "
    "put reboot rebase reject remove rename reopen replace reset restart revert revoke rewrite rm rmdir rollback run "
    "save send set shutdown spawn stop submit terminate touch trigger truncate unassign uninstall unlink unpublish "
    "update upload upsert wipe write"
)
"""Words of a name that say that something is changed, wherever they stand in it."""

READING = _set(
    "browse calculate cat check compare count describe detect diff display explain fetch find get glob grep has head "
    "help history info inspect is list lookup ls measure peek ping preview read retrieve search "
    "show stat status summarise summarize tail tree validate version view whoami"
)
"""First words of a name that say that something is read."""

READING_ALONE = frozenset({"log", "logs"})
"""Such words that say the opposite with another behind them: `log` shows one, `log_event` writes into it."""

_CAMEL = Pattern(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NO_LETTER = Pattern(r"[^A-Za-z]+")


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


def facts(name: str, text: str) -> Facts:
    """Of the tool that its server calls `name` and lists as the JSON object `text`."""
    try:
        tool = json.loads(text)
    except (ValueError, RecursionError):
        tool = None
    hints = _object(_object(tool).get("annotations"))
    says = hints.get("readOnlyHint")
    says = says if isinstance(says, bool) else None
    arguments = frozenset(_object(_object(_object(tool).get("inputSchema")).get("properties")))
    return Facts(True, arguments, says, _only_reads(words(name), says, hints.get("destructiveHint") is True))


def words(name: str) -> list[str]:
    """The words of a name in lower case: `readAllFiles`, `read-all.files` and `read_all_files2` have the same."""
    return [word.lower() for word in _NO_LETTER.split(_CAMEL.sub(" ", name)) if word]


def _only_reads(named: list[str], says: bool | None, destroys: bool) -> bool:
    if says is False or destroys or not CHANGING.isdisjoint(named):
        return False
    if says is None:
        return bool(named) and (named[0] in READING or (len(named) == 1 and named[0] in READING_ALONE))
    return True


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
