"""What a regular expression may cost, read from the tree that `re` itself makes of it.  Pure.

The steps at one place of a text are bounded from above: each item of a sequence costs what it takes to try it, times
the ways in which the items before it can end.

Rule 1: a repeat whose characters cannot begin what follows ends in one way; any other in as many as it has lengths.
Rule 2: where the pattern may simply end, the first way to get there is the last one tried.
Rule 3: what cannot be bounded is refused with a `ValueError` that names it: a variable repeat of something that ends in
        more ways than one, a repeat of what may be empty, references to groups.
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..errors import clip
from ..record import NamedTuple
from .letters import ALL, CHARACTERS, END, NEWLINE, letters

_parser: Any = getattr(re, "_parser", None) or getattr(re, "sre_parse", None)
"""The reader of patterns: `re._parser`, which was `sre_parse` up to Python 3.10. Both are there once `re` is."""

AHEAD = 2
"""Characters behind a match that must be in sight: `$` looks at a line's end and whether something follows it."""
MOST = 1 << 30
MOST_NEEDS = 40
_HUGE = 10**15
_KINDS = re.ASCII | re.LOCALE | re.UNICODE

Items = Sequence[tuple[Any, Any]]


class Need(NamedTuple):
    """A text that a match holds, from `least` to `most` characters behind its beginning; `folded`: in any case."""

    text: str
    folded: bool
    least: int
    most: int


class _Follow(NamedTuple):
    """What may come next: the characters, and whether the pattern may also just end there."""

    letters: int
    ends: bool = False


_ENDS = _Follow(ALL, True)


class Shape:
    """A pattern's tree, judged.

    `unbounded`: it has a repeat without an upper limit. `edgy`: it asks what comes behind the match, or whether
    anything does. `in_line`: no match has a line break in it. `anchored`: it matches at the beginning of a text or not
    at all. `ahead`: how far it looks beyond its match. `roams`: what stands before its literals has no upper limit.
    `longest` is the length of the longest text that it will be tried on, 0 where there is none.
    """

    def __init__(self, items: Items, flags: int, longest: int = 0) -> None:
        self._items, self._flags, self._longest = items, flags, longest
        self.unbounded = self.edgy = False
        self.in_line, self.ahead = True, 0
        self._survey(items, flags, aside=False)
        first, where = items[0] if len(items) else ("", "")
        begins = str(where) == "AT_BEGINNING_STRING" or (str(where) == "AT_BEGINNING" and not flags & re.MULTILINE)
        self.anchored = str(first) == "AT" and begins
        _Walk(MOST).walk(items, flags, _ENDS)
        self.roams = any(need.most >= MOST for need in self.needs(MOST))

    def steps(self, cap: int) -> int:
        """The most steps at one place of a text that goes on for `cap` characters."""
        return _Walk(cap).walk(self._items, self._flags, _ENDS)[1]

    def worst(self, cap: int) -> str:
        """The part of the pattern that can end in the most places."""
        walk = _Walk(cap)
        walk.walk(self._items, self._flags, _ENDS)
        return f"`{walk.worst}`"

    def width(self, cap: int) -> tuple[int, int]:
        """The least and the most characters of a match whose unbounded repeats stop at `cap`."""
        return _width(self._items, cap)

    def needs(self, cap: int) -> tuple[Need, ...]:
        """Texts of which every match holds at least one; none where that is not known."""
        return _needs(self._items, self._flags, cap)

    def _survey(self, items: Items, flags: int, *, aside: bool) -> None:
        """Notes what the pattern is made of; `aside` is what is looked at and not matched."""
        for kind, argument in items:
            op = str(kind)
            some = letters(op, argument, flags)
            if some is not None:
                self.in_line = self.in_line and (aside or not some[0] & NEWLINE)
            elif op == "AT":
                self.edgy = self.edgy or not str(argument).startswith("AT_BEGINNING")
            elif op in _REPEATS:
                if str(argument[1]) == "MAXREPEAT":
                    self.unbounded = True
                    if aside and not self._longest:
                        raise ValueError(f"looks as far as it likes with {_shown(kind, argument)}: a repeat that is "
                                         "looked at and not matched needs an upper limit, as `{0,50}` has one")
                self._survey(argument[2], flags, aside=aside)
            elif op in ("ASSERT", "ASSERT_NOT"):
                self.edgy = self.edgy or argument[0] > 0
                self.ahead += _width(argument[1], self._longest or MOST)[1] if argument[0] > 0 else 0
                self._survey(argument[1], flags, aside=True)
            elif op in ("BRANCH", "SUBPATTERN", "ATOMIC_GROUP"):
                for inner, inner_flags in _inside(op, argument, flags):
                    self._survey(inner, inner_flags, aside=aside)
            elif op != "FAILURE":
                what = "a reference to a group" if op.startswith("GROUPREF") else f"`{op}`"
                raise ValueError(f"has {what} ({_shown(kind, argument)}), which may need more steps than can be told")


def parse(text: str, flags: int, longest: int = 0) -> Shape:
    """The shape of a pattern; raises `ValueError` for one whose steps have no bound, `re.error` for none at all."""
    tree = _parser.parse(text, flags)
    return Shape(tree, tree.state.flags, longest)


# How many steps


class _Walk:
    """One way through the tree, in a text of `cap` characters; remembers which part could end in the most places.

    `sight` is how far lookaheads see: as far as the text goes, even where `cap` asks what a single character costs.
    """

    def __init__(self, cap: int, sight: int = 0) -> None:
        self._cap, self._sight = cap, sight or cap
        self.worst, self._most = "", 1

    def walk(self, items: Items, flags: int, follow: _Follow) -> tuple[int, int]:
        """In how many ways a sequence can end, and the most steps that all of them take."""
        follows = []
        for kind, argument in reversed(items):
            follows.append(follow)
            follow = _before(kind, argument, flags, follow)
        ways, steps = 1, 1
        for (kind, argument), after in zip(items, reversed(follows)):
            ends, cost = self._item(kind, argument, flags, after)
            steps = min(steps + ways * cost, _HUGE)
            ways = 1 if after.ends else min(ways * ends, _HUGE)
        return ways, steps

    def _item(self, kind: Any, argument: Any, flags: int, follow: _Follow) -> tuple[int, int]:
        op = str(kind)
        if op in _REPEATS:
            return self._repeat(kind, argument, flags, follow)
        if op == "BRANCH":
            return self._branch([inner for inner, _ in _inside(op, argument, flags)], flags, follow)
        if op == "SUBPATTERN":
            [(inner, inner_flags)] = _inside(op, argument, flags)
            return self.walk(inner, inner_flags, follow)
        if op == "ATOMIC_GROUP":
            return 1, self.walk(argument, flags, _ENDS)[1]
        if op in ("ASSERT", "ASSERT_NOT"):
            return 1, _Walk(self._sight).walk(argument[1], flags, _ENDS)[1]
        return 1, 1

    def _branch(self, choices: list[Items], flags: int, follow: _Follow) -> tuple[int, int]:
        """Choices that begin with different characters exclude each other."""
        seen, apart, ways, most, steps = 0, True, 0, 0, 0
        for choice in choices:
            first = _first(choice, flags, follow).letters
            apart, seen = apart and not seen & first, seen | first
            ends, cost = self.walk(choice, flags, follow)
            ways, most, steps = ways + ends, max(most, ends), steps + cost + 1
        return (most if apart else ways), steps

    def _repeat(self, kind: Any, argument: Any, flags: int, follow: _Follow) -> tuple[int, int]:
        least, most, body = argument
        first = _first(body, flags, _Follow(0))
        empty = _width(body, 1)[0] == 0
        if most == 1:
            ends, cost = self.walk(body, flags, follow)
            apart = not first.letters & follow.letters and not empty
            return (ends if least or apart else ends + 1), cost + 1
        if empty:
            raise ValueError(f"repeats what may be empty: {_shown(kind, argument)}")
        possessive = str(kind) == "POSSESSIVE_REPEAT"
        within = _ENDS if possessive else _Follow(first.letters | follow.letters)
        ends, cost = self.walk(body, flags, within)
        count = min(most, self._cap)
        if ends > 1 and not possessive:
            if least != most:
                raise ValueError(f"repeats a part that can end in more ways than one: {_shown(kind, argument)}")
            steps = ways = 1
            for _ in range(min(count, 64)):
                steps, ways = min(steps + ways * cost, _HUGE), min(ways * ends, _HUGE)
            return ways, steps
        ways = 1 if possessive or least == most or not first.letters & follow.letters else count - min(least, count) + 1
        if ways > self._most and not follow.ends:
            self._most, self.worst = ways, _written([(kind, argument)])
        steps = (count + 1) * (cost + 1)
        if cost > 1 and self._cap > 1:
            # Each round takes up the characters it was spent on, but for the last one, which may fail.
            each = _Walk(1, self._sight).walk(body, flags, within)[1]
            steps = min(steps, 2 * (self._cap + 1) * (each + 1) + cost)
        return ways, steps


_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")


def _inside(op: str, argument: Any, flags: int) -> list[tuple[Items, int]]:
    """The sequences in an item, each with the flags that hold in it."""
    if op == "BRANCH":
        return [(choice, flags) for choice in argument[1]]
    if op == "SUBPATTERN":
        _, added, removed, inner = argument
        if added & _KINDS:
            flags &= ~_KINDS
        return [(inner, (flags | added) & ~removed)]
    return [(argument, flags)]


def _first(items: Items, flags: int, follow: _Follow) -> _Follow:
    """What a sequence may begin with, given what may come behind it."""
    for kind, argument in reversed(items):
        follow = _before(kind, argument, flags, follow)
    return follow


def _before(kind: Any, argument: Any, flags: int, follow: _Follow) -> _Follow:
    """What may come next in front of an item, given what may come behind it."""
    op = str(kind)
    some = letters(op, argument, flags)
    if some is not None:
        return _Follow(some[0])
    if op == "AT":
        where = str(argument)
        narrowed = END | NEWLINE if where == "AT_END" else END if where == "AT_END_STRING" else ALL
        return _Follow(follow.letters & narrowed)
    if op in _REPEATS:
        inner = _first(argument[2], flags, follow)
        return inner if argument[0] else _Follow(inner.letters | follow.letters, follow.ends)
    if op in ("BRANCH", "SUBPATTERN", "ATOMIC_GROUP"):
        found = [_first(inner, inner_flags, follow) for inner, inner_flags in _inside(op, argument, flags)]
        together = 0
        for each in found:
            together |= each.letters
        return _Follow(together, any(each.ends for each in found))
    if op in ("ASSERT", "ASSERT_NOT"):
        return _Follow(follow.letters)
    return _Follow(CHARACTERS)


def _width(items: Items, cap: int) -> tuple[int, int]:
    """The least and the most characters that a sequence matches; repeats without a limit stop at `cap`."""
    least = most = 0
    for kind, argument in items:
        op = str(kind)
        low = high = 0
        if op in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            low = high = 1
        elif op in _REPEATS:
            inner = _width(argument[2], cap)
            low, high = inner[0] * argument[0], inner[1] * argument[0]
            high = max(cap, high) if str(argument[1]) == "MAXREPEAT" else inner[1] * argument[1]
        elif op in ("BRANCH", "SUBPATTERN", "ATOMIC_GROUP"):
            widths = [_width(inner, cap) for inner, _ in _inside(op, argument, 0)]
            low, high = min(width[0] for width in widths), max(width[1] for width in widths)
        least, most = min(least + low, _HUGE), min(most + high, _HUGE)
    return least, most


# Which texts every match holds


def _needs(items: Items, flags: int, cap: int) -> tuple[Need, ...]:
    """The best texts of a sequence: few and long ones."""
    found = list(_candidates(items, flags, cap, 0, 0))
    return max(found, key=lambda needs: (min(len(need.text) for need in needs), -len(needs)), default=())


def _candidates(items: Items, flags: int, cap: int, least: int, most: int) -> Iterator[tuple[Need, ...]]:
    """Every set of texts one of which must be there; `least` and `most` are the characters in front of the sequence."""
    run, begin = "", (least, most)
    for kind, argument in [*items, (None, None)]:
        op = str(kind)
        if op == "AT":
            continue
        letter = _letter(argument, flags) if op == "LITERAL" else ""
        if letter:
            run, begin = run + letter, begin if run else (least, most)
        elif run:
            yield (Need(run, bool(flags & re.IGNORECASE), *begin),)
            run = ""
        if op == "BRANCH":
            yield from _of_branch(argument[1], flags, cap, least, most)
        elif op in ("SUBPATTERN", "ATOMIC_GROUP"):
            for inner, inner_flags in _inside(op, argument, flags):
                yield from _candidates(inner, inner_flags, cap, least, most)
        elif op in _REPEATS and argument[0]:
            yield from _candidates(argument[2], flags, cap, least, most)
        if kind is not None:
            low, high = _width([(kind, argument)], cap)
            least, most = min(least + low, _HUGE), min(most + high, _HUGE)


def _of_branch(choices: Iterable[Items], flags: int, cap: int, least: int, most: int) -> Iterator[tuple[Need, ...]]:
    together: list[Need] = []
    for choice in choices:
        needs = max(_candidates(choice, flags, cap, least, most), default=(),
                    key=lambda needs: (min(len(need.text) for need in needs), -len(needs)))
        if not needs or len(together) > MOST_NEEDS:
            return
        together += needs
    if together:
        yield tuple(together)


def _letter(code: int, flags: int) -> str:
    """The character as it is looked for, or nothing where it has forms that a search would miss."""
    letter = chr(code)
    if not flags & re.IGNORECASE:
        return letter
    return letter.lower() if code < 128 else ""


# How a part is written


def _shown(kind: Any, argument: Any) -> str:
    return f"`{clip(_written([(kind, argument)]), 60)}`"


def _written(items: Items) -> str:
    """The part of a pattern as one may have written it."""
    return "".join(_one_written(str(kind), argument) for kind, argument in items)


def _one_written(op: str, argument: Any) -> str:
    if op in ("LITERAL", "NOT_LITERAL"):
        letter = chr(argument)
        letter = letter if letter.isalnum() or letter in " ,;:=@_-/<>\"'&%!#~`" else f"\\{letter}"
        return letter if op == "LITERAL" else f"[^{letter}]"
    if op == "IN":
        return _set_written(argument)
    if op in _REPEATS:
        least, most, body = argument
        inner = _written(body)
        if len(body) > 1 or str(body[0][0]) in _REPEATS:
            inner = f"(?:{inner})"
        limit = "" if str(most) == "MAXREPEAT" else str(most)
        signs = {("0", ""): "*", ("1", ""): "+", ("0", "1"): "?"}
        sign = signs.get((str(least), limit), f"{{{least}}}" if str(least) == limit else f"{{{least},{limit}}}")
        return inner + sign + {"MIN_REPEAT": "?", "POSSESSIVE_REPEAT": "+"}.get(op, "")
    if op == "BRANCH":
        return "|".join(_written(choice) for choice in argument[1])
    if op == "SUBPATTERN":
        return f"({_written(argument[3])})"
    if op in ("ASSERT", "ASSERT_NOT"):
        return f"(?{'' if argument[0] > 0 else '<'}{'=' if op == 'ASSERT' else '!'}{_written(argument[1])})"
    if op == "AT":
        return _PLACES.get(str(argument), "")
    if op == "GROUPREF":
        return f"\\{argument}"
    return "." if op == "ANY" else f"(?>{_written(argument)})" if op == "ATOMIC_GROUP" else "(?...)"


def _set_written(items: Items) -> str:
    signs = ""
    for kind, argument in items:
        op = str(kind)
        if op == "NEGATE":
            signs += "^"
        elif op == "CATEGORY":
            name = str(argument).removeprefix("CATEGORY_")
            sign = name.removeprefix("NOT_")[0]
            signs += "\\" + (sign if name.startswith("NOT_") else sign.lower())
        elif op == "RANGE":
            signs += f"{chr(argument[0])}-{chr(argument[1])}"
        else:
            signs += chr(argument)
    return signs if len(items) == 1 and signs[0] == "\\" else f"[{signs}]"


_PLACES = {"AT_BEGINNING": "^", "AT_BEGINNING_STRING": "\\A", "AT_END": "$", "AT_END_STRING": "\\Z",
           "AT_BOUNDARY": "\\b", "AT_NON_BOUNDARY": "\\B"}
