"""Letters that look or read like others, as the plain ones they stand for.  Pure."""
from __future__ import annotations

import unicodedata

from ..lazy import Pattern

_INVISIBLE = Pattern("[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
                        "\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]")
_WHITE = Pattern(r"\s+")


def folded(text: str) -> str:
    """The text with compatibility characters as plain ones, no invisible ones, and each white space as one space."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text
    return _WHITE.sub(" ", plain_letters(text))


def plain_letters(text: str) -> str:
    """The text with compatibility characters as plain ones, and no invisible ones."""
    return text if text.isascii() else _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
