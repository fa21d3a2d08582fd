"""The workspace: what is inside of it, by the rules of the machine it is on.  Pure.

Rule 1: whether the machine is a Windows one is told by the root, which the configuration has resolved.
Rule 2: in a folder of ours, case and accents never tell two paths apart, because there are machines where they do not.
"""
from __future__ import annotations

import ntpath
import posixpath
import unicodedata
from collections.abc import Callable, Iterable

from .chain import Ports

INSIDE, ONLY_TO_READ, OURS = 1, 2, 4
MOST_PLACES = 1024


class Workspace:
    """The root, further ones, the folders that servers work in, and the port that follows links.

    `extra` and `readable` are further roots, absolute, links resolved; the second may only be read.
    """

    __slots__ = (
        "_extra", "_fold", "_folders", "_places", "_private", "_readable", "_tree", "has_private", "join", "normal",
        "realpath", "root", "windows")

    def __init__(self, ports: Ports, extra: Iterable[str] = (), readable: Iterable[str] = ()) -> None:
        self.root, self.realpath, self._folders = ports.workspace_root, ports.realpath, ports.folders
        self.windows = bool(ntpath.splitdrive(self.root)[0])
        way = ntpath if self.windows else posixpath
        self.join: Callable[[str, str], str] = way.join
        self.normal: Callable[[str], str] = way.normpath
        self._fold: Callable[[str], str] = way.normcase
        self._tree = self._as_tree(self.root)
        self._extra, self._readable = tuple(map(self._as_tree, extra)), tuple(map(self._as_tree, readable))
        self._private = tuple([_plain(folder) for folder in ports.private])
        self.has_private = bool(self._private)
        self._places: dict[str, int] = {}

    def folders(self, server: str) -> tuple[str, ...]:
        """Where relative paths in the arguments of a server begin: at the root, and in its own working directory."""
        own = self._folders.get(server, self.root)
        return (self.root,) if own == self.root else (self.root, own)

    def whole(self, folder: str, path: str) -> str:
        """`path`, taken from `folder`, with its root."""
        if self.windows:
            return self.join(folder, path)
        if path.startswith("/"):
            # Many slashes are one to the system, but not to `realpath`.
            return "/" + path.lstrip("/") if path.startswith("//") else path
        return f"{folder}{path}" if folder.endswith("/") else f"{folder}/{path}"

    def inner(self, whole: str) -> str | None:
        """The way from the root to `whole`, which has no links left; `None` when it is outside."""
        folded = self._fold(whole) if self.windows else whole
        if folded.startswith(self._tree):
            return whole[len(self._tree) :]
        return "." if folded == self._fold(self.root) else None

    def place(self, whole: str) -> int:
        """Where `whole` is, which has no links left: `INSIDE` of a root, or of one that is `ONLY_TO_READ`, and `OURS`,
        all that holds together. The same few paths come again and again: what is found out is remembered."""
        place = self._places.get(whole)
        if place is None:
            place = self._roots(whole) | (OURS if self.is_private(whole) else 0)
            if len(self._places) >= MOST_PLACES:
                self._places.clear()
            self._places[whole] = place
        return place

    def _roots(self, whole: str) -> int:
        if self.inner(whole) is not None:
            return INSIDE
        folded = self._fold(whole)
        tree = folded if folded[-1:] in "/\\" else folded + self._tree[-1]  # a root is inside of itself
        found = INSIDE if tree.startswith(self._extra) else 0
        return found | ONLY_TO_READ if tree.startswith(self._readable) else found

    def _as_tree(self, root: str) -> str:
        """A root as the beginning of everything in it."""
        return self._fold(root.rstrip("/\\") + ("\\" if self.windows else "/"))

    def is_private(self, whole: str) -> bool:
        """True for a folder of ours, and for what is in it; `whole` has no links left."""
        return self.has_private and _plain(whole).startswith(self._private)

    def may_be_private(self, path: str) -> bool:
        """True for a path from somebody's home (`~/x/y`) that may lead into a folder of ours, wherever that home is."""
        names = _plain(path).split("/")
        return any(folder.rstrip("/").rpartition("/")[2] in names for folder in self._private)


def _plain(path: str) -> str:
    """The path of a folder, with a slash at its end, as it compares on the most careless of file systems."""
    if not path.isascii():
        path = unicodedata.normalize("NFKC", path)
    return path.casefold().replace("\\", "/").rstrip("/") + "/"
