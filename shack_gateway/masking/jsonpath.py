"""JSONPath: which parts of a JSON document a path names.  Pure.

    path      = "$" then steps, blanks between them allowed
    step      = "." name | ".*" | ".." name | "..*" | "[" selectors "]" | "..[" selectors "]"
    selectors = selector ("," selector)*
    selector  = 'name' or "name" | *  | index, from the end where negative | start:end:step, each part may be left out
    name      = letters, digits and `_`, not beginning with a digit; any other name is written in brackets

That is RFC 9535 without filters (`?`) and their functions: what they compute has no bound.

Rule 1: a path is read once; what is wrong with it is said with its place (`ValueError`).
Rule 2: a search ends: so many values found, so many looked at, so many levels deep, or `ValueError`.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..lazy import Pattern
from ..record import NamedTuple

MOST_FOUND = 10_000
"""Values that a path may name, also on the way; past that it says nothing useful, and might double with each step."""
MOST_SEEN = 500_000
"""Values that one search looks at."""
MOST_DEPTH = 200
"""Levels of a document that `..` goes down."""
MOST_LENGTH = 2_000
"""Characters of a path."""
MOST_INDEX = 2**53 - 1

Location = tuple["str | int", ...]
"""The keys and indices that lead to a value."""
Selector = str | int | slice | None
"""A name, an index, a slice, or `None` for `*`."""
Trail = tuple[Any, "str | int"]
"""A location from its end: (trail of the parent or `None`, key or index)."""
Node = tuple["Trail | None", Any]

_BLANKS = Pattern(r"[ \t\n\r]*")
_NAME = Pattern(r"[A-Za-z_\u0080-\ud7ff\ue000-\U0010ffff][A-Za-z0-9_\u0080-\ud7ff\ue000-\U0010ffff]*")
_NUMBER = Pattern(r"-?[0-9]+")
_GOOD_NUMBER = Pattern(r"0|-?[1-9][0-9]*")
_PLAIN = {quote: Pattern(rf"[^\x00-\x1f\\{quote}\ud800-\udfff]*") for quote in "'\""}
_HEX = Pattern(r"[0-9A-Fa-f]{4}")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "/": "/", "\\": "\\"}


class Step(NamedTuple):
    """One step: what it selects among the children of a value; `deep`: and of everything below that value."""

    selectors: tuple[Selector, ...]
    deep: bool


class Path:
    """A path that was read."""

    __slots__ = ("steps", "text")

    def __init__(self, text: str, steps: tuple[Step, ...]) -> None:
        self.text, self.steps = text, steps

    def find(self, document: Any) -> list[tuple[Location, Any]]:
        """Every value that the path names in a parsed JSON document, with its location; a value that is named twice
        comes twice. Raises `ValueError` past `MOST_FOUND`, `MOST_SEEN` or `MOST_DEPTH`."""
        nodes: list[Node] = [(None, document)]
        seen = _Counter()
        for step in self.steps:
            found: list[Node] = []
            for node in nodes:
                for parent in _below(node, seen) if step.deep else (node,):
                    for selector in step.selectors:
                        found += _select(parent, selector, seen)
                        if len(found) > MOST_FOUND:
                            raise ValueError(f"the path names more than {MOST_FOUND:,} values")
            nodes = found
        return [(_location(trail), value) for trail, value in nodes]


class _Counter:
    """Counts what a search has looked at."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MOST_SEEN

    def count(self, more: int) -> None:
        self.left -= more
        if self.left < 0:
            raise ValueError(f"the path has to look at more than {MOST_SEEN:,} values")


def _below(node: Node, seen: _Counter) -> Iterator[Node]:
    """The node and every object and list below it, in the order of the document."""
    stack: list[tuple[Node, int]] = [(node, 0)]
    while stack:
        node, depth = stack.pop()
        trail, value = node
        if depth > MOST_DEPTH:
            raise ValueError(f"the document is nested more than {MOST_DEPTH} levels deep")
        yield node
        if isinstance(value, (dict, list)):
            seen.count(len(value))
            children: Iterable[tuple[str | int, Any]]
            children = value.items() if isinstance(value, dict) else enumerate(value)
            inner: list[tuple[Node, int]] = [
                (((trail, key), child), depth + 1) for key, child in children if isinstance(child, (dict, list))
            ]
            stack += inner[::-1]


def _select(node: Node, selector: Selector, seen: _Counter) -> list[Node]:
    trail, value = node
    seen.count(1)
    if isinstance(value, dict):
        if isinstance(selector, str):
            return [((trail, selector), value[selector])] if selector in value else []
        if selector is None:
            seen.count(len(value))
            return [((trail, key), child) for key, child in value.items()]
    elif isinstance(value, list):
        size = len(value)
        if isinstance(selector, int):
            at = selector + size if selector < 0 else selector
            return [((trail, at), value[at])] if 0 <= at < size else []
        if selector is None or isinstance(selector, slice):
            if selector is not None and selector.step == 0:
                return []
            places = range(size) if selector is None else range(*selector.indices(size))
            seen.count(len(places))
            return [((trail, at), value[at]) for at in places]
    return []


def _location(trail: Trail | None) -> Location:
    steps: list[str | int] = []
    while trail is not None:
        trail, step = trail
        steps.append(step)
    return tuple(steps[::-1])


def shown(location: Location) -> str:
    """A location as a path that names it and nothing else (the normalized path of RFC 9535)."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f"['{_escaped(step)}']" for step in location)


_SPECIAL = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "'": "\\'", "\\": "\\\\"}


def _escaped(name: str) -> str:
    return "".join(_SPECIAL.get(c) or (f"\\u{ord(c):04x}" if c < " " or "\ud800" <= c <= "\udfff" else c) for c in name)


# --- reading ---------------------------------------------------------------------------------------------------------


def compile(text: str) -> Path:
    """The path that `text` spells; raises `ValueError` with what is wrong with it, and where."""
    if len(text) > MOST_LENGTH:
        raise ValueError(f"the path is longer than {MOST_LENGTH:,} characters")
    return Path(text, tuple(_Reader(text).steps()))


class _Reader:
    """Reads one path from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def steps(self) -> Iterator[Step]:
        """The steps, one after the other."""
        if not self._take("$"):
            raise self._fault("a path begins with `$`")
        while True:
            end, at = self._at, self._blanks()
            if at == len(self._text):
                if at != end:
                    raise self._fault("nothing may stand behind the path, blanks neither", end)
                return
            if self._take("["):
                yield Step(self._brackets(), False)
            elif self._take(".."):
                yield Step(self._brackets() if self._take("[") else (self._word(),), True)
            elif self._take("."):
                yield Step((self._word(),), False)
            else:
                raise self._fault("`.`, `..` or `[` expected")

    def _word(self) -> str | None:
        """What stands behind a dot."""
        if self._take("*"):
            return None
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise self._fault("a name or `*` expected; a name with other signs than letters, digits and `_` is "
                              "written `['name']`")
        self._at = match.end()
        return match.group()

    def _brackets(self) -> tuple[Selector, ...]:
        found = []
        while True:
            self._blanks()
            found.append(self._selector())
            self._blanks()
            if self._take("]"):
                return tuple(found)
            if not self._take(","):
                raise self._fault("`,` or `]` expected")

    def _selector(self) -> Selector:
        for quote in "'\"":
            if self._take(quote):
                return self._quoted(quote)
        if self._take("*"):
            return None
        if self._text.startswith("?", self._at):
            raise self._fault("filters (`?`) are not supported")
        start = self._number()
        before = self._at
        self._blanks()
        if not self._take(":"):
            if start is None:
                raise self._fault("a name in quotes, an index, a slice or `*` expected")
            self._at = before
            return start
        self._blanks()
        end = self._number()
        before = self._at
        self._blanks()
        step = None
        if self._take(":"):
            self._blanks()
            step = self._number()
        else:
            self._at = before
        return slice(start, end, step)

    def _number(self) -> int | None:
        match = _NUMBER.match(self._text, self._at)
        if match is None:
            return None
        digits = match.group()
        if _GOOD_NUMBER.fullmatch(digits) is None:
            raise self._fault("a number has no needless `0` or `-`")
        if len(digits) > 17 or abs(int(digits)) > MOST_INDEX:
            raise self._fault("the number is too large")
        self._at = match.end()
        return int(digits)

    def _quoted(self, quote: str) -> str:
        """A name in quotes, whose first has been read."""
        start, parts = self._at - 1, []
        while True:
            match = _PLAIN[quote].match(self._text, self._at)
            assert match is not None  # it matches nothing, too
            parts.append(match.group())
            self._at = match.end()
            if self._take(quote):
                return "".join(parts)
            if self._at == len(self._text):
                raise self._fault(f"the `{quote}` is not closed", start)
            if not self._take("\\"):
                raise self._fault("a control character, or half of a surrogate pair, must be escaped")
            parts.append(self._escape(quote))

    def _escape(self, quote: str) -> str:
        """What stands behind a backslash."""
        sign = self._text[self._at : self._at + 1]
        if sign == quote or sign in _ESCAPES:
            self._at += 1
            return _ESCAPES.get(sign, sign)
        if not self._take("u"):
            raise self._fault("no such escape", self._at - 1)
        high = self._hex()
        if not 0xD800 <= high <= 0xDFFF:
            return chr(high)
        if high < 0xDC00 and self._take("\\u"):
            low = self._hex()
            if 0xDC00 <= low <= 0xDFFF:
                return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
        raise self._fault("half of a surrogate pair names nothing")

    def _hex(self) -> int:
        match = _HEX.match(self._text, self._at)
        if match is None:
            raise self._fault("four hexadecimal digits expected")
        self._at = match.end()
        return int(match.group(), 16)

    def _take(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._at):
            return False
        self._at += len(sign)
        return True

    def _blanks(self) -> int:
        match = _BLANKS.match(self._text, self._at)
        assert match is not None  # it matches nothing, too
        self._at = match.end()
        return self._at

    def _fault(self, what: str, at: int | None = None) -> ValueError:
        return ValueError(f"{what}, at character {(self._at if at is None else at) + 1}")
