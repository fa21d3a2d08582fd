"""Names of tools and prompts as the host sees them: `server__target`.  Pure.

Rule 1: nobody else writes the double underscore, and nobody splits at it: a called name is looked up.
Rule 2: a shown name is `[A-Za-z0-9_.-]`, at most as long as the hosts' limit, and does not begin with `shack_`, which
        is ours. A verbatim name that breaks this is shown in another form that ends in a hash, and stays callable.
Rule 3: what a name is shown as depends on the names and the order of the servers only, never on time or chance.
"""
from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import count

from ..edits import edits
from ..errors import clip
from ..lazy import Pattern
from ..record import NamedTuple

SEPARATOR = "__"
RESERVED = "shack_"
LIMIT = 64
"""The strictest length that model APIs put on a tool's name."""
LEAST_LIMIT = 24
"""A shorter limit would leave nothing readable beside the hash."""

_OUTSIDE = Pattern(r"[^A-Za-z0-9_.-]")


def joined(server: str, target: str) -> str:
    """The verbatim name, as 0.1.0 made it."""
    return f"{server}{SEPARATOR}{target}"


def fits(name: str, limit: int = LIMIT) -> bool:
    """True when hosts take `name` as it is."""
    return 0 < len(name) <= max(limit, LEAST_LIMIT) and not name.startswith(RESERVED) and not _OUTSIDE.search(name)


class Naming(NamedTuple):
    """What `assign` settled: the shown name of each pair, which pair a called name means, and what was out of order."""

    shown: list[str]
    lookup: dict[str, int]
    notes: list[str]


def assign(pairs: Sequence[tuple[str, str]], limit: int = LIMIT) -> Naming:
    """Names for `(server, target)` pairs, all different, given in config order.

    The verbatim names are settled before any other, so that no shortened name can stand where a verbatim one belongs.
    """
    lookup: dict[str, int] = {}
    shown = [""] * len(pairs)
    notes: list[str] = []
    renamed: list[int] = []
    for index, (server, target) in enumerate(pairs):
        name = joined(server, target)
        owner = lookup.setdefault(name, index)
        if owner == index and fits(name, limit):
            shown[index] = name
        else:
            renamed.append(index)
    for index in renamed:
        server, target = pairs[index]
        name = joined(server, target)
        other = next(form for form in _other_forms(server, target, limit) if form not in lookup)
        shown[index] = other
        lookup[other] = index
        if lookup[name] != index:
            first = pairs[lookup[name]][0]
            if first == server:
                notes.append(f"`{clip(name, 100)}` is a name of two things of `{server}`: it means the first of them; "
                             f"the other is called `{other}`")
                continue
            notes.append(f"`{clip(name, 100)}` is a name of both `{first}` and `{server}`: it means that of `{first}`; "
                         f"that of `{server}` is called `{other}`")
    return Naming(shown, lookup, notes)


def _other_forms(server: str, target: str, limit: int) -> Iterator[str]:
    """Names to show instead of the verbatim one, the usual one first; one of them is always free."""
    name = joined(server, target)
    stem = _OUTSIDE.sub("_", name)
    if stem.startswith(RESERVED):
        stem = "x_" + stem
    yield _ended(stem, _hash(name)[:8], limit)
    # `a` + `b__c` and `a__b` + `c` have one verbatim name, so its hash cannot tell them apart; the pair's can.
    for attempt in count():
        yield _ended(stem, _hash(f"{server}\0{target}\0{attempt}")[:8], limit)


def _ended(stem: str, ending: str, limit: int) -> str:
    return f"{stem[: max(limit, LEAST_LIMIT) - len(ending) - 1]}_{ending}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# --- what may have been meant: asked for on errors only --------------------------------------------------------------

_SHORTLIST = 150
_MOST_PIECES = 24
_LEAST_LIKENESS = 0.5
_LONGEST = 100
_BREAKS = Pattern(r"[^0-9a-z\u0080-\U0010ffff]+")


def hint(name: str, names: Iterable[str]) -> str:
    """What to put behind an error text: "; did you mean `a` or `b`?", or nothing."""
    found = [f"`{clip(known, 200)}`" for known in nearest(name, names)]
    if not found:
        return ""
    return f"; did you mean {', '.join(found[:-1])}{' or ' if found[1:] else ''}{found[-1]}?"


def nearest(name: str, names: Iterable[str], n: int = 3) -> list[str]:
    """Up to `n` of `names` that `name` may have been meant for, best first; none when nothing is near."""
    wanted = _Wanted(name)
    known = list(names)
    if len(known) > _SHORTLIST:
        known = heapq.nlargest(_SHORTLIST, known, key=wanted.shared)
    rated = [(wanted.likeness(each), each) for each in known]
    near = sorted((-rate, each) for rate, each in rated if rate >= _LEAST_LIKENESS)
    return [each for _, each in near[:n]]


class _Wanted:
    """A name that nobody has, prepared for being compared with many that somebody has."""

    def __init__(self, name: str) -> None:
        self._whole = _key(name)
        self._bare = _key(_without_server(name))
        self._grams = _grams(self._whole)
        size = 3 if len(self._whole) >= 8 else 2
        words = self._whole.split("_")
        pieces = dict.fromkeys(word[at : at + size] for word in words for at in range(max(1, len(word) - size + 1)))
        self._pieces = list(pieces)[:: len(pieces) // _MOST_PIECES + 1]

    def shared(self, known: str) -> float:
        """How many pieces of the name occur in a known one: cheap, to choose whom to look at closely."""
        return sum(map(known.lower().__contains__, self._pieces)) / (len(self._pieces) + len(known))

    def likeness(self, known: str) -> float:
        """1.0 for the same letters, 0.0 for nothing in common."""
        whole, bare = _key(known), _key(_without_server(known))
        best = max(_closeness(self._whole, whole), 0.95 * _closeness(self._bare, bare))
        if len(self._bare) >= 3 and self._bare in whole:
            best = max(best, 0.6 + 0.3 * len(self._bare) / len(whole))
        grams = _grams(whole)
        return max(best, 1.8 * len(grams & self._grams) / (len(grams) + len(self._grams) or 1))


def _without_server(name: str) -> str:
    return name.partition(SEPARATOR)[2] or name


def _key(name: str) -> str:
    """The letters and digits of a name in lower case, runs of anything else as one `_`."""
    return _BREAKS.sub("_", name[:_LONGEST].lower()).strip("_")


def _grams(key: str) -> set[str]:
    return {f"_{key}_"[at : at + 3] for at in range(len(key))}


def _closeness(a: str, b: str) -> float:
    longest = max(len(a), len(b))
    return 1 - edits(a, b) / longest if longest else 0.0
