"""Spellings: the many ways to write one command or path, for rules that must not be talked round.  Pure.

Rule 1: a spelling is only ever added: what a rule matches as written, it matches.
Rule 2: both sides are spelt: the rules when they are read, the arguments when they are judged.
"""
from __future__ import annotations

import re
import unicodedata

from ..lazy import Pattern
from .paths import LONGEST, climbs, looks, readings
from .workspace import Workspace

_INVISIBLE = Pattern("[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
                        "\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]")
_WHITE = Pattern(r"\s+")
_PATH_RULE = Pattern(r"\.?[/\\]|[a-z]:[/\\]", re.IGNORECASE)
_ORIGIN = Pattern(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def folded(text: str) -> str:
    """The text with compatibility characters as plain ones, no invisible ones, and each white space as one space."""
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    return _WHITE.sub(" ", text)


class Spellings:
    """All spellings of a text, in a workspace."""

    __slots__ = ("_workspace",)

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def of_text(self, text: str, server: str, *, path: bool) -> set[str]:
        """What a call says. `path` tells that it surely names a file."""
        plain = folded(text).strip()
        found = {text, plain, _origin_lowered(plain)}
        if len(text) <= LONGEST and (path or looks(text)):
            for reading in dict.fromkeys((*readings(text, windows=self._workspace.windows), plain)):
                found |= self._of_path(reading, server)
        return self._cased(found)

    def of_rule(self, text: str) -> set[str]:
        """What a rule says; its end stays as it is, because a prefix goes on there."""
        plain = folded(text).lstrip()
        found = {text, plain, _origin_lowered(plain)}
        if _PATH_RULE.match(plain) or climbs(plain):
            whole = self._workspace.normal(self._workspace.whole(self._workspace.root, plain))
            for path in (self._workspace.normal(plain), whole, self._resolved(whole)):
                found.add(path.rstrip("/\\") + "/" if plain[-1] in "/\\" else path)
        return self._cased(found - {""})

    def _of_path(self, path: str, server: str) -> set[str]:
        """Absolute and from the root, tidied and with links followed; as a folder too, for rules that end in `/`."""
        found = {path}
        for folder in self._workspace.folders(server):
            full = self._workspace.whole(folder, path)
            for whole in (self._workspace.normal(full), self._resolved(full)):
                inner = self._workspace.inner(whole)
                found |= {whole} if inner is None else {whole, inner, f"./{inner}"}
        return found | {f"{spelling}/" for spelling in found if spelling[-1:] != "/"}

    def _resolved(self, path: str) -> str:
        try:
            return self._workspace.realpath(path)
        except (OSError, ValueError):
            return path                         # what cannot be resolved cannot be opened; the sandbox refuses it

    def _cased(self, found: set[str]) -> set[str]:
        """On Windows the case of a letter and the kind of slash mean nothing."""
        return {text.replace("\\", "/").lower() for text in found} if self._workspace.windows else found


def _origin_lowered(text: str) -> str:
    """Scheme and host of a URL mean the same in any case."""
    return _ORIGIN.sub(lambda origin: origin[0].lower(), text, count=1) if _ORIGIN.match(text) else text
