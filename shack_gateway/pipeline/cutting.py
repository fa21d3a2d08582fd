"""Cutting a result that is too long for the host.  Pure.

    counted   the characters of its texts, and the JSON text of everything else but a few short members (`_meta` is one
              of them as long as it is no longer than the limit by itself)
    kept      from the beginning, as much as fits; the text at the border up to a character
    left out  what does not fit; a note stands in place of a block, the end says how to read on

Rule 1: what is kept of the server's is kept byte for byte, but for the text that is cut.
Rule 2: notes and the notice at the end come on top of the limit; they are bounded by themselves.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..catalog.meta_tools import READ_RESULT
from ..errors import clip
from ..masking import jsonpath
from ..wire.messages import encode
from ..wire.splice import edit, elements, members
from .call import RESOURCE, Call, Complete
from .results import KEPT_FOR, LISTS, document, is_text, only_texts

FREE = frozenset(("isError", "resultType", "ttlMs", "cacheScope"))
"""Members of a result that always stay, and are not counted."""
MOST_NOTES = 20
MOST_NAMED = 5
"""Members that are left out and told by name."""
MOST_KEY = 60
LONGEST_ESCAPE = 12
"""Characters that one character takes in JSON text at most (two `\\uXXXX`)."""
LONGEST_FRAME = 200
"""Characters of a plain text block around its text."""
_TEXT = frozenset(("type", "text"))

Keep = Callable[[Complete, str, int], str]
"""Keeps the whole result, its kind, and how long a piece may be; gives a handle, or nothing."""


def cut(call: Call, result: Complete, limit: int, keep: Keep | None) -> Complete:
    """The result with at most `limit` characters of the server's; the very same one where it has no more.

    Raises `ValueError` or `RecursionError` for what is no JSON object or cannot be read.
    """
    cutter = _Cutter(call, result, limit)
    if cutter.size <= limit:
        return result
    cutter.fill()
    handle = keep(result, call.kind, limit) if keep is not None else ""
    body = cutter.body(cutter.notice(handle))
    return Complete(body.encode("utf-8", "surrogatepass"), server=result.server, stateless=result.stateless,
                    cache=result.cache)


class _Cutter:
    """One result, taken apart and put together again."""

    def __init__(self, call: Call, result: Complete, limit: int) -> None:
        self._kind, self._uri, self._left = call.kind, call.target, limit
        self._text = text = result.text
        found, _ = members(text)
        self._raw = {member.key: text[member.value_start : member.end] for member in found}
        self._value = {member.key: member.value for member in found}
        self._list = LISTS.get(call.kind, "content")
        listed = isinstance(self._value.get(self._list), list)
        blocks = elements(self._raw[self._list]) if listed else []
        self._blocks = [_Block(value, raw, call.kind) for value, raw in blocks]
        apart = set(FREE)
        if listed:
            apart.add(self._list)
        if len(self._raw.get("_meta", "")) <= limit:
            apart.add("_meta")
        self._others = {key: len(raw) for key, raw in self._raw.items() if key not in apart}
        counted = sum(block.size for block in self._blocks) + sum(self._others.values())
        self.size = counted if len(found) == len(self._raw) else len(text)  # of a key given twice one is not counted
        self._kept: list[str] = []
        self._dropped: list[str] = []
        self._shown = 0
        """Characters of texts that are kept; they are the beginning where there is nothing else."""

    def fill(self) -> None:
        """Choose what is kept: first of the blocks, then of the other members."""
        notes, border = 0, False
        for block in self._blocks:
            if block.is_text and (border or block.size > self._left):
                if not border and self._left > block.extra:
                    length = self._left - block.extra
                    self._kept.append(block.cut(length))
                    self._shown += length
                    self._left = 0
                border = True
            elif block.size <= self._left:
                self._kept.append(block.raw)
                self._left -= block.size
                self._shown += block.size - block.extra if block.is_text else 0
            else:
                notes += 1
                if notes <= MOST_NOTES:
                    self._kept.append(self._said(f"[left out: {block.about()}]"))
        if notes > MOST_NOTES:
            self._kept.append(self._said(f"[left out: {notes - MOST_NOTES} more blocks]"))
        for key, size in self._others.items():
            if size > self._left:
                self._dropped.append(key)
            else:
                self._left -= size

    def notice(self, handle: str) -> str:
        """What the end of the cut result says of the whole."""
        texts = only_texts(self._value, self._kind)
        size, offset = (len(self._text), 0) if texts is None else (sum(map(len, texts)), self._shown)
        parts = [f"This result was cut by the gateway: it has {size:,} characters"]
        parts.append(f", of which the first {offset:,} are shown." if 0 < offset < size else ".")
        if self._dropped:
            named = ", ".join(f"`{clip(key, MOST_KEY)}` ({self._others[key]:,} characters)"
                              for key in self._dropped[:MOST_NAMED])
            parts.append(f" Left out: {named}" + (" and others." if len(self._dropped) > MOST_NAMED else "."))
        if not handle:
            return "".join([*parts, " The rest cannot be read: it is too large to be kept. Ask for less."])
        found: list[dict[str, Any]] = [{"handle": handle, "offset": offset}] if offset < size else []
        data = document(self._value, texts)
        path = "" if texts is not None and data is self._value else _example(data)
        if path or not found:
            found.append({"handle": handle, "path": path or "$"})
        ways = ", or ".join(json.dumps(way, ensure_ascii=False) for way in found)
        parts.append(f" To read on, call `{READ_RESULT}` (by `shack_call_tool`, where your list does not show it) with "
                     f"the arguments {ways}; the whole result is kept for {KEPT_FOR}.")
        return "".join(parts)

    def body(self, notice: str) -> str:
        """The JSON text of the cut result."""
        blocks = "[" + ",".join([*self._kept, self._said(f"[{notice}]")]) + "]"
        parts = {key: raw for key, raw in self._raw.items() if key not in self._dropped}
        parts[self._list] = blocks
        return "{" + ",".join(f"{json.dumps(key)}:{raw}" for key, raw in parts.items()) + "}"

    def _said(self, words: str) -> str:
        """A block that says something of ours."""
        if self._kind == RESOURCE:
            return encode({"uri": self._uri, "mimeType": "text/plain", "text": words}).decode()
        return encode({"type": "text", "text": words}).decode()


class _Block:
    """One block of a result: its JSON text, how much it counts, and how much of that is no text."""

    __slots__ = ("_value", "extra", "is_text", "raw", "size")

    def __init__(self, value: Any, raw: str, kind: str) -> None:
        self._value, self.raw, self.is_text = value, raw, is_text(value, kind)
        self.extra, self.size = 0, len(raw)
        if self.is_text:
            length = len(value["text"])
            if not value.keys() <= _TEXT or len(raw) > LONGEST_ESCAPE * length + LONGEST_FRAME:
                # Counted are the other members; and blanks, or a key that is given twice.
                plain = {member.key: member.end - member.start for member in members(raw)[0] if member.key in _TEXT}
                self.extra = len(raw) - sum(plain.values())
            self.size = self.extra + length

    def cut(self, length: int) -> str:
        """The JSON text of the block with the first `length` characters of its text."""
        return edit(self.raw, {"text": encode(self._value["text"][:length]).decode()})

    def about(self) -> str:
        """What the block is: its kind, its MIME type, its size."""
        value = self._value if isinstance(self._value, dict) else {}
        inner = value.get("resource")
        inner = inner if isinstance(inner, dict) else value
        kind = value.get("type") or ("blob" if "blob" in value else None)
        words = [clip(word, MOST_KEY) for word in (kind, inner.get("mimeType")) if isinstance(word, str) and word]
        data = inner.get("data", inner.get("blob"))
        size = f"{len(data) * 3 // 4:,} bytes" if isinstance(data, str) else f"{len(self.raw):,} characters"
        return ", ".join([*(words or ["a block"]), size])


def _example(whole: Any) -> str:
    """A path that names a part of the document, or nothing."""
    if isinstance(whole, list) and whole:
        return "$[0]"
    if isinstance(whole, dict):
        for key, _ in sorted(whole.items(), key=lambda item: -isinstance(item[1], (dict, list))):
            path = f"$.{key}" if key.isidentifier() and key.isascii() else jsonpath.shown((key,))
            if len(path) <= MOST_KEY:
                return path
    return ""
