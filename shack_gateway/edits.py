"""How far one word is from another.  Pure."""

from __future__ import annotations


def edits(a: str, b: str) -> int:
    """Letters to insert, drop, replace or swap with their neighbour to make `b` of `a`.

    One column of the usual table is held in the bits of two integers (Hyyrö 2003), so a comparison costs microseconds.
    """
    if not a:
        return len(b)
    places: dict[str, int] = {}
    for at, letter in enumerate(a):
        places[letter] = places.get(letter, 0) | 1 << at
    full = (1 << len(a)) - 1
    last = 1 << (len(a) - 1)
    up, down, diagonal, before, distance = full, 0, 0, 0, len(a)
    for letter in b:
        here = places.get(letter, 0)
        swapped = ((~diagonal & here) << 1) & before
        diagonal = ((((here & up) + up) ^ up) | here | down | swapped) & full
        grown, shrunk = down | (full & ~(diagonal | up)), diagonal & up
        distance += bool(grown & last) - bool(shrunk & last)
        grown, shrunk = (grown << 1 | 1) & full, (shrunk << 1) & full
        up, down = shrunk | (full & ~(diagonal | grown)), grown & diagonal
        before = here
    return distance
