"""Spellings: the many ways to write one command or path, for rules that must not be talked round.  Pure.

Rule 1: a spelling is only ever added: what a rule matches as written, it matches.
Rule 2: both sides are spelt: the rules when they are read, the arguments when they are judged.
"""
from __future__ import annotations

import ntpath
import posixpath
import re
import unicodedata
from collections.abc import Callable

from .chain import Ports
from .paths import LONGEST, looks, readings

_INVISIBLE = re.compile("[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
                        "\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]")
_WHITE = re.compile(r"\s+")
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def folded(text: str) -> str:
    """The text with compatibility characters as plain ones, no invisible ones, and each white space as one space."""
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    return _WHITE.sub(" ", text)


class Spellings:
    """All spellings of a text, in a workspace."""

    __slots__ = ("_folders", "_join", "_normal", "_realpath", "_root", "_tree", "_windows")

    def __init__(self, ports: Ports) -> None:
        self._root, self._realpath, self._folders = ports.workspace_root, ports.realpath, ports.folders
        self._windows = bool(ntpath.splitdrive(self._root)[0])
        self._join: Callable[[str, str], str] = ntpath.join if self._windows else posixpath.join
        self._normal: Callable[[str], str] = ntpath.normpath if self._windows else posixpath.normpath
        self._tree = self._root.rstrip("/\\") + ("\\" if self._windows else "/")

    def of_text(self, text: str, server: str, *, path: bool) -> set[str]:
        """What a call says. `path` tells that it surely names a file."""
        plain = folded(text).strip()
        found = {text, plain, self._origin_lowered(plain)}
        if len(text) <= LONGEST and (path or looks(text)):
            folder = self._folders.get(server, self._root)
            for reading in dict.fromkeys((*readings(text, windows=self._windows), plain)):
                found |= self._of_path(reading, folder)
        return self._cased(found)

    def of_rule(self, text: str) -> set[str]:
        """What a rule says; its end stays as it is, because a prefix goes on there."""
        plain = folded(text).lstrip()
        found = {text, plain, self._origin_lowered(plain)}
        if posixpath.isabs(plain) or ntpath.isabs(plain) or plain.startswith(("./", "../")) or "/../" in plain:
            normal = self._normal(plain)
            end = plain[-1] if plain[-1] in "/\\" and normal[-1:] != plain[-1] else ""
            found.add(normal + end)
            if self._isabs(plain):
                found.add(self._resolved(normal) + end)
        return self._cased(found)

    def _of_path(self, path: str, folder: str) -> set[str]:
        """Absolute and from the root, tidied and with links followed; as a folder too, for rules that end in `/`."""
        full = self._join(folder, path)
        found = {path}
        for whole in (self._normal(full), self._resolved(full)):
            found.add(whole)
            if whole.startswith(self._tree):
                inner = whole[len(self._tree) :]
                found |= {inner, f"./{inner}"}
            elif whole == self._root:
                found.add(".")
        return found | {f"{spelling}/" for spelling in found if spelling[-1:] != "/"}

    def _resolved(self, path: str) -> str:
        try:
            return self._realpath(path)
        except (OSError, ValueError):
            return path                         # what cannot be resolved cannot be opened; the sandbox refuses it

    def _isabs(self, path: str) -> bool:
        return ntpath.isabs(path) if self._windows else posixpath.isabs(path)

    def _origin_lowered(self, text: str) -> str:
        """Scheme and host of a URL mean the same in any case."""
        return _ORIGIN.sub(lambda origin: origin[0].lower(), text, count=1) if _ORIGIN.match(text) else text

    def _cased(self, found: set[str]) -> set[str]:
        """On Windows the case of a letter and the kind of slash mean nothing."""
        return {text.replace("\\", "/").lower() for text in found} if self._windows else found
