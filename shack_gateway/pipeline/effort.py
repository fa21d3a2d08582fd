"""How much work one judgement of a call may be: counted before it is done, so that no call holds up all others.  Pure.

Rule 1: nothing is left to the clock: the same call is judged in the same way on every machine. What is counted are
        microseconds on a machine of 2020, roughly; a slow one takes longer.
Rule 2: what would take more than there is left raises `TooMuch`, and whoever asked must refuse the call.
"""
from __future__ import annotations

import unicodedata

BUDGET = 150_000.0
"""What one judgement may cost."""
LEAF = 1.2
"""What looking at one text costs, whatever it is."""
NAME = 3.0
"""What it costs to tell what the name of an argument says."""
PLACE, STEP = 45.0, 5.0
"""What following a path costs, and each folder on it."""
LONG = 2048
"""Characters from which on it pays to look first whether a text can be meant at all."""
_DEAR = "\ufdfa"
"""The letter that compatibility makes most of: eighteen others."""


class TooMuch(ValueError):
    """More than can be judged."""


class Effort:
    """The work that is left."""

    __slots__ = ("left",)

    def __init__(self, left: float = BUDGET) -> None:
        self.left = left

    def spend(self, cost: float) -> None:
        """Take it; raises `TooMuch` where there is not as much."""
        self.left -= cost
        if self.left < 0:
            raise TooMuch("the arguments are too many or too long to be judged by the rules about this tool; "
                          "shorter ones can be")


def folding(text: str) -> float:
    """What `letters.folded` and the like cost for a text."""
    if not text.isascii():
        if unicodedata.is_normalized("NFKC", text):
            return 0.09 * len(text)
        return 0.25 * len(text) + 2.5 * text.count(_DEAR)
    return 0.005 * len(text) if text.isprintable() else 0.06 * len(text)


def following(path: str) -> float:
    """What it costs to find out where a path leads, in one reading."""
    return PLACE + STEP * (path.count("/") + path.count("\\"))
