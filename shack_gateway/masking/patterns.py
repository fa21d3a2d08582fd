"""Patterns that a user wrote: certified before they are used, so that none can hang the gateway.  Pure.

Rule 1: `certify` refuses a pattern that may need too many steps at a single place, and says which part of it is why.
Rule 2: `search` counts what a text may cost before it spends it; past the budget it raises `TooLong`, and whoever asked
        must treat the text as one that matches.
Rule 3: nothing is left to the clock: the same text and budget have the same outcome on every machine.

An unbounded repeat (`+`, `*`, `{2,}`) is certain to reach `REACH` characters. It reaches as far as `re.search` would
where that is cheap: in texts of some hundred characters for every pattern that is certified, in much longer ones for a
pattern whose repeats end where the next part begins (`[^;]*;` rather than `.*;`).

Patterns are Python's. Of JavaScript's, the two ways to write named groups are read too: `(?<x>...)` and `\\k<x>`.
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from heapq import merge

from ..lazy import Pattern
from .steps import AHEAD, MOST, Need, Shape, parse

REACH = 256
"""Characters that an unbounded repeat is certain to reach."""
MOST_STEPS = 2_000_000
"""Steps that a pattern may need at one place of a text; a step takes a few nanoseconds."""
MOST_WIDTH = 100_000
MOST_PATTERN = 4_000
BUDGET = 40_000_000
"""Steps that one message is worth."""
SHARE = 64
"""What part of the budget may be spent on looking further than `REACH`, each time."""
START, SEARCH = 250, 50
"""What trying a place costs besides the steps of the pattern, and what a search does besides its places."""
_PARTS = Pattern(r"(?s)\[\^?\]?(?:\\.|[^\]\\])*\]|\\k<(?P<back>\w+)>|\\.|\(\?<(?P<group>\w+)>|(?P<ahead>\(\?!)")
"""What matters here of how a pattern is written; a character class and an escape hold nothing of it."""


class TooLong(ValueError):
    """The text might cost more steps than there are left."""


class Effort:
    """The steps that are left for one message; give the same to every search in it."""

    __slots__ = ("left",)

    def __init__(self, left: int = BUDGET) -> None:
        self.left = left

    def spend(self, steps: int) -> None:
        """Take the steps; raises `TooLong` where there are not as many."""
        self.left -= steps
        if self.left < 0:
            raise TooLong("it has too many places at which the pattern would have to be tried")


def certify(text: str, *, ignore_case: bool = False, longest: int = 0) -> Certified:
    """The pattern, ready to be used; raises `ValueError` with the reason why it is none, or none that can be used.

    With `longest` it is used on texts of at most so many characters only, and may look ahead as far as it likes.
    """
    if len(text) > MOST_PATTERN:
        raise ValueError(f"is longer than {MOST_PATTERN} characters")
    try:
        ours = _PARTS.sub(_named, text) if "<" in text else text
        compiled = re.compile(ours, re.IGNORECASE if ignore_case else 0)
        shape = parse(ours, compiled.flags & ~re.UNICODE, longest)
        return Certified(text, compiled, shape)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    except (OverflowError, RecursionError):
        raise ValueError("is no regular expression: it is nested too deeply, or repeats too often") from None


def _named(part: re.Match[str]) -> str:
    """A named group, or what stands for what it has matched, as Python writes it; anything else as it is."""
    if part["group"]:
        return f"(?P<{part['group']}>"
    return f"(?P={part['back']})" if part["back"] else part[0]


def unbarred(text: str) -> str:
    """The pattern without what its negative look-aheads demand; the text itself where it has none."""
    # `(?!x)` becomes `(?=|x)`, which always holds, so that the numbers of groups stay.
    return _PARTS.sub(lambda part: "(?=|" if part["ahead"] else part[0], text) if "(?" in text else text


class Certified:
    """A pattern that may be used on any text. `width` is the longest match that is certain to be found, `steps` the
    most that trying it at one place may take; every match holds one of the `literals` (none: they are not known)."""

    __slots__ = ("_compiled", "_costs", "_needs", "_reach", "_shape", "literals", "steps", "text", "width")

    def __init__(self, text: str, compiled: re.Pattern[str], shape: Shape) -> None:
        self.text, self._compiled, self._shape = text, compiled, shape
        _, self.width = shape.width(REACH)
        if self.width > MOST_WIDTH:
            raise ValueError(f"matches texts of more than {MOST_WIDTH} characters; write smaller repeats")
        self._reach = self.width + shape.ahead + AHEAD
        self._costs: dict[int, int] = {}
        self.steps = self._cost(self._reach)
        if self.steps > MOST_STEPS:
            raise ValueError(
                f"may need {_round(self.steps)} steps at a single place, because {shape.worst(REACH)} can end in many "
                f"places; {MOST_STEPS:,} are allowed. {_ADVICE}"
            )
        self._needs: tuple[Need, ...] = shape.needs(REACH)
        self.literals = tuple(need.text for need in self._needs)

    def search(self, text: str, effort: Effort | None = None) -> re.Match[str] | None:
        """The first match, or None; raises `TooLong` where that cannot be told with the effort that is left.

        It is the match of `re.search` in texts of up to `REACH` characters, and in longer ones wherever no unbounded
        repeat has to go on for more; a longer match may be cut short, begin later, or not be found.
        """
        effort, size, shape = effort or Effort(), len(text), self._shape
        effort.spend(SEARCH + size // 16)
        plain = text
        if self._needs:
            if any(need.folded for need in self._needs):
                plain = lowered(text)
            if not any(need.text in (plain if need.folded else text) for need in self._needs):
                return None
        if not shape.anchored and (shape.roams or not self._needs):
            whole = (size + 1) * self._cost(size)
            if whole <= (effort.left // SHARE if shape.unbounded else effort.left):
                effort.spend(whole)
                return self._compiled.search(text)
        return self._try(text, self._starts(text, plain), effort)

    def _try(self, text: str, starts: Iterable[int], effort: Effort) -> re.Match[str] | None:
        """The first match that begins at one of the places."""
        size, reach, match, shape = len(text), self._reach, self._compiled.match, self._shape
        margin, last, line = shape.ahead + AHEAD, -1, -1
        for start in starts:
            if start <= last:
                continue
            last, end = start, size
            if shape.in_line:
                if line < start:
                    line = text.find("\n", start)
                    line = size if line < 0 else line
                end = min(size, line + margin)
            cost = self._cost(end - start)
            if cost > effort.left // SHARE and end - start > reach:
                end = start + reach
                cost = self._cost(reach)
            effort.spend(START + cost)
            found = match(text, start, end)
            if found is not None and end < size and shape.edgy and found.end() + margin > end:
                effort.spend(self._cost(size - start))  # what seemed to be the end of the text is none
                found = match(text, start)
            if found is not None:
                return found
        return None

    def _starts(self, text: str, plain: str) -> Iterable[int]:
        """Where a match may begin, in rising order; a place may come twice."""
        if self._shape.anchored:
            return (0,)
        if not self._needs:
            return range(len(text) + 1)
        ways = [_places(plain if need.folded else text, need) for need in self._needs]
        return ways[0] if len(ways) == 1 else merge(*ways)

    def _cost(self, size: int) -> int:
        """The most steps at one place in a text that goes on for `size` characters."""
        cap = self._reach if size == self._reach else 1 << min(max(size - 1, 15), MOST - 1).bit_length()
        cost = self._costs.get(cap)
        if cost is None:
            cost = self._costs[cap] = self._shape.steps(cap)
        return cost


_ADVICE = "Say where a repeat ends: `[^;]*;` for `.*;`, or `{0,50}` for `*`."


def lowered(text: str) -> str:
    """The text in lower case, each letter in its place, ASCII letters for what `re.IGNORECASE` takes for one."""
    if not text.isascii():
        text = text.replace("\u0130", "i").replace("\u0131", "i").replace("\u017f", "s")
    return text.lower()


def _places(text: str, need: Need) -> Iterator[int]:
    """The places from which a match could reach one of the literal's hits, in rising order."""
    last, hit = -1, text.find(need.text)
    while hit >= 0:
        for start in range(max(hit - need.most, last + 1, 0), hit - need.least + 1):
            last = start
            yield start
        hit = text.find(need.text, hit + 1)


def _round(count: int) -> str:
    return f"{count:,}" if count < 10**9 else "more than a thousand million"


__all__ = ["BUDGET", "REACH", "Certified", "Effort", "TooLong", "certify", "lowered", "unbarred"]
