"""Spellings: the many ways to write one command or path, for rules that must not be talked round.  Pure.

Rule 1: a spelling is only ever added: what a rule matches as written, it matches.
Rule 2: both sides are spelt: the rules when they are read, the arguments when they are judged.
"""
from __future__ import annotations

import re
from collections.abc import Iterable

from ..lazy import Pattern
from .chain import Ports
from .letters import folded as folded
from .paths import LONGEST, climbs, looks, readings
from .workspace import Workspace

MOST_ALIASES = 4096
"""Folders of which it is remembered whether they are the root under another name."""

_PATH_RULE = Pattern(r"\.?[/\\]|[a-z]:[/\\]", re.IGNORECASE)
_ORIGIN = Pattern(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class Spellings:
    """All spellings of a text, in a workspace."""

    __slots__ = ("_aliases", "_home", "folds", "root", "workspace")

    def __init__(self, ports: Ports) -> None:
        self.workspace = Workspace(ports)
        self.folds = ports.folds_case
        """The case of a path tells nothing; where it is a Windows path, the case of any text does not."""
        self.root = self.cased(self.workspace.root).rstrip("/\\")
        self._home = ports.home
        self._aliases: dict[str, bool] = {}

    def of_text(self, text: str, server: str, *, path: bool, places: Iterable[str] | None = None) -> set[str]:
        """What a call says. `path` tells that it surely names a file; `places` are those of the text, where known."""
        plain = folded(text).strip()
        found = {text, plain, _origin_lowered(plain)}
        if len(text) <= LONGEST and (path or looks(text)):
            found.update(readings(text, windows=self.workspace.windows))
            for whole in self.places(text, server) if places is None else places:
                inner = self.inner(whole)
                found |= {whole} if inner is None else {whole, inner, f"./{inner}"}
            found |= {f"{spelling}/" for spelling in found if spelling[-1:] != "/"}
            if self.folds:
                found |= {spelling.casefold() for spelling in found}
        return self._cased(found)

    def of_rule(self, text: str) -> set[str]:
        """What a rule says; its end stays as it is, because a prefix goes on there."""
        plain = folded(text).lstrip()
        found = {text, plain, _origin_lowered(plain)}
        if _PATH_RULE.match(plain) or climbs(plain) or (plain.startswith("~/") and self._home):
            plain = self.from_home(plain)
            whole = self.workspace.normal(self.workspace.whole(self.workspace.root, plain))
            for path in (self.workspace.normal(plain), whole, self.resolved(whole)):
                found.add(path.rstrip("/\\") + "/" if plain[-1] in "/\\" else path)
        return self._both_cases(found - {""})

    def of_pattern(self, text: str) -> set[str]:
        """What the text of a rule with a `*` says; its ends stay as they are."""
        plain = folded(text)
        return self._both_cases({text, plain, _origin_lowered(plain)})

    def places(self, text: str, server: str) -> set[str]:
        """Where a text may lead, absolute: in each reading, from each folder, tidied and with links followed."""
        found = set()
        for reading in dict.fromkeys((*readings(text, windows=self.workspace.windows), folded(text).strip())):
            for folder in self.workspace.folders(server):
                full = self.workspace.whole(folder, self.from_home(reading))
                found |= {self.workspace.normal(full), self.resolved(full)}
        return found

    def inner(self, whole: str) -> str | None:
        """The way from the root to an absolute path, or None; where case tells nothing, in small letters."""
        found = self.workspace.inner(whole)
        if found is None and self.folds:
            small = self.cased(whole)
            found = small[len(self.root) + 1 :] or "." if f"{small}/".startswith(f"{self.root}/") else None
        return found

    def rooted(self, whole: str) -> str:
        """A path that begins with another name of the root, with the root in its place: `/tmp` is a link on macOS."""
        if self.workspace.windows or self.inner(whole) is not None:
            return whole
        at = whole.find("/", 1)
        while at > 0:
            head = whole[:at]
            if head not in self._aliases:
                if len(self._aliases) >= MOST_ALIASES:
                    self._aliases.clear()
                self._aliases[head] = self.resolved(head) == self.workspace.root
            if self._aliases[head]:
                return self.workspace.root.rstrip("/") + whole[at:]
            at = whole.find("/", at + 1)
        return whole

    def from_home(self, path: str) -> str:
        """The path, with `~/` as the user's home folder where that is known."""
        return self._home + path[1:] if self._home and (path == "~" or path.startswith("~/")) else path

    def resolved(self, path: str) -> str:
        """The path with links followed."""
        try:
            return self.workspace.realpath(path)
        except (OSError, ValueError):
            return path                         # what cannot be resolved cannot be opened; the sandbox refuses it

    def cased(self, path: str) -> str:
        """A path, as the system compares it."""
        if self.workspace.windows:
            return path.replace("\\", "/").lower()
        return path.casefold() if self.folds else path

    def _both_cases(self, found: set[str]) -> set[str]:
        return self._cased(found | {text.casefold() for text in found} if self.folds else found)

    def _cased(self, found: set[str]) -> set[str]:
        """On Windows the case of a letter and the kind of slash mean nothing."""
        return {text.replace("\\", "/").lower() for text in found} if self.workspace.windows else found


def _origin_lowered(text: str) -> str:
    """Scheme and host of a URL mean the same in any case."""
    return _ORIGIN.sub(lambda origin: origin[0].lower(), text, count=1) if _ORIGIN.match(text) else text
