"""Sets of characters as whole numbers: one bit for each ASCII character, a few for all others.  Pure.

Rule 1: a set is a pair: what may be in it (too much rather than too little), and what surely is.
Rule 2: two sets are disjoint only if what may be in them is; a complement may hold whatever is not surely in the set.
"""
from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

ASCII = (1 << 128) - 1
WORD, DIGIT, SPACE, OTHER, END = (1 << place for place in range(128, 133))
"""Beyond ASCII: letters, digits, white space, the rest; and the end of the text, which is no character."""
CHARACTERS = ASCII | WORD | DIGIT | SPACE | OTHER
ALL = CHARACTERS | END
NEWLINE = 1 << 10

_BEYOND = CHARACTERS & ~ASCII
_CAPITALS = ((1 << 26) - 1) << 65
_SMALL = _CAPITALS << 32
_KIN = sum(1 << ord(letter) for letter in "iksIKS")
"""Letters that `re.IGNORECASE` takes for the same as a letter beyond ASCII."""

Letters = tuple[int, int]


def letters(op: str, argument: Any, flags: int) -> Letters | None:
    """The characters that one item of a pattern's tree matches, or None where it is no single character."""
    if op == "LITERAL":
        return _cased(_one(argument), flags)
    if op == "NOT_LITERAL":
        return _other(_cased(_one(argument), flags))
    if op == "ANY":
        some = CHARACTERS if flags & re.DOTALL else CHARACTERS & ~NEWLINE
        return some, some
    if op == "IN":
        return _any_of(argument, flags)
    return None


def _any_of(items: Iterable[tuple[Any, Any]], flags: int) -> Letters:
    may = surely = 0
    negated = False
    for kind, argument in items:
        op = str(kind)
        if op == "NEGATE":
            negated = True
            continue
        if op == "CATEGORY":
            some = _category(str(argument), bool(flags & re.ASCII))
        elif op == "RANGE":
            some = _cased(_range(*argument), flags)
        else:
            some = _cased(_one(argument), flags)
        may, surely = may | some[0], surely | some[1]
    return _other((may, surely)) if negated else (may, surely)


def _other(some: Letters) -> Letters:
    return CHARACTERS & ~some[1], CHARACTERS & ~some[0]


def _one(code: int) -> Letters:
    if code < 128:
        return 1 << code, 1 << code
    letter = chr(code)
    if letter.isspace():
        return SPACE, 0
    return (DIGIT if letter.isdecimal() else WORD if letter.isalnum() else OTHER), 0


def _range(first: int, last: int) -> Letters:
    surely = 0
    if first < 128:
        surely = (1 << (min(last, 127) + 1)) - (1 << first)
    return surely | (_BEYOND if last > 127 else 0), surely


def _cased(some: Letters, flags: int) -> Letters:
    if not flags & re.IGNORECASE:
        return some
    may, surely = (each | (each & _CAPITALS) << 32 | (each & _SMALL) >> 32 for each in some)
    if may & _KIN:
        may |= WORD
    if may & _BEYOND:
        may |= _BEYOND | _KIN
    return may, surely


@lru_cache(maxsize=32)
def _category(name: str, ascii: bool) -> Letters:
    name = name.removeprefix("CATEGORY_")
    negated = name.startswith("NOT_")
    tells, beyond = _TELLS[name.removeprefix("NOT_")]
    some = sum(1 << code for code in range(128) if tells(chr(code)))
    if ascii:
        some, beyond = some & ~_ODD_SPACES, 0
    some |= beyond
    return (CHARACTERS & ~some,) * 2 if negated else (some, some)


_ODD_SPACES = 0b1111 << 0x1C
"""White space for `str`, not for `re.ASCII`."""
_TELLS = {
    "DIGIT": (str.isdecimal, DIGIT),
    "SPACE": (str.isspace, SPACE),
    "WORD": (lambda letter: letter.isalnum() or letter == "_", WORD | DIGIT),
}
