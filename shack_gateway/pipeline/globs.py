"""Tables of texts, prefixes and patterns: which of very many a text is of, at the price of a few look-ups.  Pure.

Rule 1: a text pays for what begins or ends as it does, not for how many rules there are.
Rule 2: nothing here goes back over a text: time grows with the text, however a pattern is written.
"""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import count

from ..lazy import Pattern
from .grammar import EXACT, LOOSE, PREFIX, Rule
from .tools import spans

Ending = Callable[[str, int], bool]
"""Whether a rule's prefix may end at a place in a text."""
GRAM = 3
FEW = 4


def anywhere(text: str, at: int) -> bool:
    """A prefix goes on as it likes."""
    return True


class Table:
    """Texts, prefixes and patterns (`*` spans anything), each with its rule."""

    __slots__ = ("_exact", "_globs", "_prefixes", "some", "weight")

    def __init__(
        self, rules: Iterable[tuple[Rule, Iterable[str]]], loose: Ending = anywhere, word: Ending | None = None
    ) -> None:
        """Rules with the spellings of their texts. `loose` and `word` say where what ends in `:*` and ` *` may end."""
        self._exact: dict[str, Rule] = {}
        prefixes: dict[str, dict[int, dict[str, tuple[Rule, Ending]]]] = {}
        globs: list[Glob] = []
        for rule, texts in rules:
            ending = loose if rule.ends == LOOSE else word or end_of_word
            for text in texts:
                if rule.match == EXACT:
                    self._exact.setdefault(text, rule)
                elif rule.match == PREFIX:
                    table = prefixes.setdefault(text[:1], {}).setdefault(len(text), {})
                    if text not in table or rule.ends == LOOSE:
                        table[text] = rule, ending
                else:
                    globs.append(Glob(rule, text, ending if rule.ends else None))
        self._prefixes = {first: tuple(tables.items()) for first, tables in prefixes.items()}
        self._globs = Globs(globs) if globs else None
        self.weight = self._globs.weight if self._globs is not None else 0.0
        """What looking at one character of a text costs (`effort.py`)."""
        self.some = bool(self._exact or prefixes or globs)

    def of(self, text: str, *, globs: bool = True) -> Rule | None:
        """The rule that a text is matched by; `globs` says whether patterns count too."""
        rule = self._exact.get(text)
        if rule is not None:
            return rule
        for length, table in self._prefixes.get(text[:1], ()):
            found = table.get(text[:length])
            if found is not None and found[1](text, length):
                return found[0]
        return self._globs.of(text) if globs and self._globs is not None else None


def end_of_word(text: str, at: int) -> bool:
    """White space, the end, or a beginning that was no word's."""
    return at >= len(text) or text[at].isspace() or (at > 0 and text[at - 1].isspace())


class Glob:
    """One pattern: its chunks between the stars, and where its last one may end (None: with the text)."""

    __slots__ = ("chunks", "ending", "rule")

    def __init__(self, rule: Rule, text: str, ending: Ending | None) -> None:
        self.rule, self.ending = rule, ending
        self.chunks = tuple(re.sub(r"\*+", "*", text).split("*"))

    def fits(self, text: str) -> bool:
        """True for a text of this pattern."""
        if self.ending is None:
            return spans(self.chunks, text)
        first, last = self.chunks[0], self.chunks[-1]
        if not text.startswith(first):
            return False
        at = len(first)
        for chunk in self.chunks[1:-1]:
            at = text.find(chunk, at)
            if at < 0:
                return False
            at += len(chunk)
        at = text.find(last, at)
        while at >= 0 and not self.ending(text, at + len(last)):
            at = text.find(last, at + 1)
        return at >= 0


class PathGlob(Glob):
    """One pattern over whole paths (`segments`); its expression is compiled when a path may be of it."""

    __slots__ = ("_expression",)

    def __init__(self, rule: Rule, path: str) -> None:
        super().__init__(rule, path, None)
        head, *others = self.chunks
        # `**/` may stand for nothing, so the slash beside it need not be there.
        last = [chunk.lstrip("/") for chunk in others[-1:]]
        self.chunks = (head, *[chunk.strip("/") for chunk in others[:-1]], *last)
        self._expression = Pattern(segments(path), re.DOTALL)

    def fits(self, text: str) -> bool:
        """True for a path of this pattern."""
        return self._expression.fullmatch(text) is not None


class Globs:
    """Many patterns, found by how a text begins, ends, or what it has in it."""

    __slots__ = ("_grams", "_heads", "_rest", "_tails", "weight")

    def __init__(self, globs: Sequence[Glob]) -> None:
        heads, tails = (Counter([glob.chunks[end] for glob in globs]) for end in (0, -1))
        by_head: dict[str, dict[int, dict[str, list[Glob]]]] = {}
        by_tail: dict[str, dict[int, dict[str, list[Glob]]]] = {}
        self._grams: dict[str, list[Glob]] = {}
        self._rest: list[Glob] = []
        for glob in globs:
            head, tail = glob.chunks[0], glob.chunks[-1] if glob.ending is None else ""
            longest = max(glob.chunks[1:-1] + ((glob.chunks[-1],) if glob.ending else ()), key=len, default="")
            if tail and (not head or tails[tail] < heads[head]):
                by_tail.setdefault(tail[-1], {}).setdefault(len(tail), {}).setdefault(tail, []).append(glob)
            elif head and (heads[head] <= FEW or len(longest) < GRAM):
                by_head.setdefault(head[0], {}).setdefault(len(head), {}).setdefault(head, []).append(glob)
            elif len(longest) >= GRAM:
                self._grams.setdefault(longest[:GRAM], []).append(glob)
            else:
                self._rest.append(glob)
        self._heads = {first: tuple(tables.items()) for first, tables in by_head.items()}
        self._tails = {last: tuple(tables.items()) for last, tables in by_tail.items()}
        self.weight = 0.002 * (len(self._rest) + min(len(self._grams), FEW)) + (0.7 if len(self._grams) > FEW else 0.0)

    def of(self, text: str) -> Rule | None:
        """The rule of the first pattern that the text is of."""
        for length, table in self._heads.get(text[:1], ()):
            for glob in table.get(text[:length], ()):
                if glob.fits(text):
                    return glob.rule
        for length, table in self._tails.get(text[-1:], ()):
            for glob in table.get(text[-length:], ()):
                if glob.fits(text):
                    return glob.rule
        if self._grams:
            for gram in self._in(text):
                for glob in self._grams[gram]:
                    if glob.fits(text):
                        return glob.rule
        for glob in self._rest:
            if glob.fits(text):
                return glob.rule
        return None

    def _in(self, text: str) -> Iterable[str]:
        if len(self._grams) <= FEW:
            return [gram for gram in self._grams if gram in text]
        return self._grams.keys() & {text[at : at + GRAM] for at in range(len(text) - GRAM + 1)}


class Expressions:
    """Many regular expressions for patterns, each compiled when a text has everything in it that its pattern says."""

    __slots__ = ("_each",)

    def __init__(self, sources: Iterable[tuple[str, Rule]]) -> None:
        self._each = tuple((tuple(filter(None, rule.text.split("*"))), Pattern(source, re.DOTALL), rule)
                           for source, rule in sources)

    def of(self, text: str) -> Rule | None:
        """The rule of the first expression that the whole text is of."""
        for chunks, expression, rule in self._each:
            if all(chunk in text for chunk in chunks) and expression.fullmatch(text):
                return rule
        return None


_number = count()


def star(letters: str, goal: str) -> str:
    """An expression for any of the `letters` up to the first place where `goal` matches, never going back on it."""
    name = f"g{next(_number)}"                  # as `(?>...)`, which Python 3.10 does not have
    return f"(?=(?P<{name}>{letters}*?{goal}))(?P={name})"


def segment(text: str) -> str:
    """An expression for one segment of a path; `*` stays in it."""
    first, *rest = re.sub(r"\*+", "*", text).split("*")
    if not rest:
        return re.escape(first)
    middle = "".join([star("[^/]", re.escape(chunk)) for chunk in rest[:-1]])
    return re.escape(first) + middle + "[^/]*" + re.escape(rest[-1]) + "(?![^/])"


def segments(path: str) -> str:
    """An expression for a path of a pattern: `*` stays in a segment, `**` crosses them; `a/**` is not `a` itself."""
    steps = path.split("/")
    found, run, crossing = "", [], False
    for step in steps[:-1] if steps[-1] == "**" else steps:
        if step != "**":
            run.append(segment(step))
            continue
        if run:
            found += _run(run, crossing)
        run, crossing = [], True
    if steps[-1] == "**":
        return (found + _run(run, crossing) if run else found) + ".+"
    return found + ("(?:[^/]+/)*" if crossing else "") + "/".join(run)


def _run(run: list[str], crossing: bool) -> str:
    whole = "/".join(run) + "/"
    return star("(?:[^/]+/)", whole) if crossing else whole
