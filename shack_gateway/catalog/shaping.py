"""What of the servers' lists the owner lets be seen, and under which names.  Pure.

include, exclude   globs on the server's own names of its tools; exclude wins
rename             the server's own name of a tool -> the name behind `server__`
hidden             names that nobody has, as far as a host can tell
unlisted           names that are shown nowhere but can be called, for whoever refuses such a call to say why

Rule 1: what is hidden, excluded or not included is left out before names are given: nothing about it can be seen in the
        names of others.
Rule 2: what servers list is kept as they list it; it is shaped anew whenever a catalog is made of it.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from fnmatch import translate

from ..lazy import Pattern
from ..record import NamedTuple
from .facts import NO_FACTS, Facts
from .names import Naming, assign, joined

READ = "resources/read"
"""Behind `server__`: the name by which policy knows every read of a resource of that server."""

Names = Callable[[str], bool]
"""Whether a name is meant."""

Unlisted = Callable[[str, tuple[str, ...], Callable[[], Facts]], bool]
"""Whether something of a kind, of that name (or those names), is shown nowhere; facts are only asked for if needed."""

_SENTENCES = Pattern(r"(?<=[.!?;])\s+|\s*\n\s*")


class ServerShape(NamedTuple):
    """What one server's entry says of its tools. `include` is None where all are wanted."""

    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    rename: Mapping[str, str] = {}


class Kept(NamedTuple):
    """What is left of one kind: the places of what is kept, what these are called, and by server the names that are
    gone."""

    places: list[int]
    naming: Naming
    gone: dict[str, set[str]]


class Shape:
    """What the owner wants seen of all servers."""

    def __init__(
        self, servers: Mapping[str, ServerShape], hidden: Names | None = None, unlisted: Unlisted | None = None,
    ) -> None:
        self._wanted = {name: _wanted(shape) for name, shape in servers.items() if _picks(shape)}
        self._rename = {name: shape.rename for name, shape in servers.items() if shape.rename}
        self._hidden, self._unlisted = hidden, unlisted

    def keep(self, kind: str, pairs: list[tuple[str, str]], limit: int) -> Kept:
        """What is left of `(server, own name)` pairs of a kind, in their order."""
        places, shown = [], []
        gone: dict[str, set[str]] = {}
        for place, (server, target) in enumerate(pairs):
            name = self._rename.get(server, {}).get(target, target) if kind == "tool" else target
            if self._keeps(kind, server, target, name):
                places.append(place)
                shown.append((server, name))
            else:
                gone.setdefault(server, set()).update((target, name))
        naming = assign(shown, limit)
        # A name that had to be shortened is another name again. Without what is hidden by it the others' may change.
        while self._hidden is not None and (hidden := {n for n, name in enumerate(naming.shown) if self._hidden(name)}):
            for at in hidden:
                server, target = pairs[places[at]]
                gone.setdefault(server, set()).update((target, shown[at][1]))
            places = [place for at, place in enumerate(places) if at not in hidden]
            shown = [pair for at, pair in enumerate(shown) if at not in hidden]
            naming = assign(shown, limit)
        return Kept(places, naming, gone)

    def _keeps(self, kind: str, server: str, target: str, name: str) -> bool:
        if kind == "tool" and server in self._wanted and not self._wanted[server](target):
            return False
        if self._hidden is None:
            return True
        return not (self._hidden(joined(server, target)) or (name != target and self._hidden(joined(server, name))))

    def reads(self, server: str) -> bool:
        """False when the resources of a server are hidden."""
        return self._hidden is None or not self._hidden(joined(server, READ))

    def lists(self, kind: str, names: tuple[str, ...], facts: Callable[[], Facts] = lambda: NO_FACTS) -> bool:
        """False when something that is kept is shown nowhere all the same."""
        return self._unlisted is None or not self._unlisted(kind, names, facts)

    @property
    def hides_some_listed(self) -> bool:
        """True when `lists` may say False."""
        return self._unlisted is not None


def globs(patterns: Iterable[str]) -> Names:
    """Whether a name is one of these, letter by letter; `*` stands for any letters, `?` for any letter."""
    exact, found = set(), []
    for pattern in patterns:
        if is_glob(pattern):
            found.append(translate(pattern.replace("[", "[[]")))
        else:
            exact.add(pattern)
    matches = [re.compile(pattern).match for pattern in found]
    return lambda name: name in exact or any(match(name) is not None for match in matches)


def is_glob(pattern: str) -> bool:
    """True when the pattern may mean several names."""
    return "*" in pattern or "?" in pattern


def idle(shape: ServerShape, tools: Collection[str]) -> Iterator[tuple[str, str]]:
    """What is about none of a server's `tools` (its own names), or about none that is left: the key and the word.

    For a `check` that knows what the server lists.
    """
    for key, patterns in (("include", shape.include or ()), ("exclude", shape.exclude)):
        for pattern in patterns:
            if not any(map(globs((pattern,)), tools)):
                yield key, pattern
    wanted = _wanted(shape)
    for name in shape.rename:
        if name not in tools or not wanted(name):
            yield "rename", name


def told(text: str, gone: Collection[str]) -> str:
    """A server's instructions without the sentences that name something that is gone."""
    if not gone or not any(name in text for name in gone):
        return text
    kept = [sentence for sentence in _SENTENCES.split(text) if not any(_names(sentence, name) for name in gone)]
    return " ".join(kept)


def _names(text: str, name: str) -> bool:
    """True when `name` stands in the text as a word of its own, or behind `server__`."""
    found = text.find(name)
    while found >= 0:
        before, after = text[max(0, found - 2) : found], text[found + len(name) : found + len(name) + 1]
        if not (_is_part(before[-1:]) and before != "__") and not _is_part(after):
            return True
        found = text.find(name, found + 1)
    return False


def _is_part(sign: str) -> bool:
    return sign.isalnum() or sign in ("_", "-")


def _picks(shape: ServerShape) -> bool:
    return shape.include is not None or bool(shape.exclude)


def _wanted(shape: ServerShape) -> Names:
    include, exclude = None if shape.include is None else globs(shape.include), globs(shape.exclude)
    return lambda target: (include is None or include(target)) and not exclude(target)
