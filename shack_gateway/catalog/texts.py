"""One member of an object, found and changed in the text without reading the rest.  Pure.

`wire/splice.py` reads a whole object to edit it; here are the short cuts for the tens of thousands of objects that need
one usual change. Each says when it cannot be sure, and then splice is asked.
"""
from __future__ import annotations

from ..lazy import Pattern
from ..wire.splice import edit, scan

_COLON = Pattern(r"[ \t\n\r]*:[ \t\n\r]*")


def only_place(text: str, key: str) -> int:
    """Where the value of `key` stands in an object that is known to have this member; -1: not sure.

    It is sure when the key is written once in the whole text and no escape can hide another.
    """
    quoted = f'"{key}"'
    at = text.find(quoted)
    colon = _COLON.match(text, at + len(quoted)) if at >= 0 else None
    if colon is None or "\\u" in text or text.find(quoted, colon.end()) >= 0:
        return -1
    return colon.end()


def place_of(text: str, key: str, value: str) -> int:
    """Where `value` can be read, if the first member `key`, whatever object it belongs to, has it; -1: not sure."""
    quoted = f'"{key}"'
    at = text.find(quoted)
    colon = _COLON.match(text, at + len(quoted)) if at >= 0 else None
    if colon is None or not text.startswith('"', colon.end()) or scan(text, colon.end())[0] != value:
        return -1
    return colon.end()


def replaced(text: str, at: int, new: str) -> str:
    """The text with another value in place of the one that stands at `at`."""
    return text[:at] + new + text[scan(text, at)[1] :]


def without(text: str, key: str) -> str:
    """The object without its member `key`."""
    at = only_place(text, key)
    if at >= 0:
        before = text[: text.rindex(f'"{key}"', 0, at)].rstrip()
        if before.endswith(","):
            return before[:-1] + text[scan(text, at)[1] :]
    return edit(text, {key: None})
