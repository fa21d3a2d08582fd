"""Results that were cut on their way to the host: kept whole for a while, and read on by whoever has the handle.  Pure.

    by offset   the texts of the result, one after the other; its JSON text where it holds anything but texts
    by path     JSONPath into `structuredContent`; without one, into the JSON that its only text is; else into the
                result object itself

Rule 1: what is kept is bounded in number, in bytes and in time; the oldest goes first.
Rule 2: a handle is random: who was not told one reads nothing.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ..catalog.meta_tools import READ_RESULT
from ..config.fields import kind as kind_of
from ..errors import RequestError, clip
from ..masking import jsonpath
from ..record import NamedTuple
from ..wire.messages import encode
from ..wire.splice import DECODER
from .call import RESOURCE, Complete

MOST_KEPT = 64
MOST_BYTES = 64 * 1024 * 1024
KEPT_SECS = 15 * 60.0
KEPT_FOR = f"{KEPT_SECS / 60:g} minutes"
HANDLE_BYTES = 12
MOST_KEYS = 20
"""Keys of an object that are told where a path named nothing in it."""

LISTS = {RESOURCE: "contents"}
"""Where the blocks of a result stand, by the kind of its call; else under `content`."""

_TAKES: dict[str, tuple[type, str]] = {
    "handle": (str, "the string that came with the cut result"),
    "offset": (int, "a whole number, 0 or more"),
    "length": (int, "a whole number, 1 or more"),
    "path": (str, "a JSONPath, such as `$.items[0]`"),
}
_LEAST = {"offset": 0, "length": 1}


class _Kept(NamedTuple):
    body: bytes
    kind: str
    length: int
    until: float


class Results:
    """The results that were cut lately. `now` gives seconds of a clock that only goes on, `random` so many bytes."""

    def __init__(self, now: Callable[[], float], random: Callable[[int], bytes]) -> None:
        self._now, self._random = now, random
        self._kept: dict[str, _Kept] = {}
        self._last = "", ""
        """The handle that was read by offset last, and the text: pieces are asked for one after the other."""

    def keep(self, result: Complete, kind: str, length: int) -> str:
        """Keep a result of a call of that kind, to be read in pieces of at most `length` characters; its handle, or
        nothing where it is too large."""
        body = result.body if isinstance(result.body, bytes) else b"".join(result.body)
        self._forget_old()
        if len(body) > MOST_BYTES:
            return ""
        while len(self._kept) >= MOST_KEPT or self._bytes + len(body) > MOST_BYTES:
            self._drop(next(iter(self._kept)))
        handle = self._random(HANDLE_BYTES).hex()
        self._kept[handle] = _Kept(body, kind, length, self._now() + KEPT_SECS)
        return handle

    def read(self, arguments: Any) -> Complete:
        """The answer to a call of `shack__read_result`: one text, in its first line which piece this is and where the
        next one begins, behind it the piece. Raises `RequestError`."""
        given = _checked(arguments)
        handle = given.get("handle")
        if handle is None:
            raise _fault("missing `handle`; it stands at the end of a result that was cut")
        self._forget_old()
        kept = self._kept.get(handle)
        if kept is None:
            raise _fault(f"there is no result under the handle `{clip(handle, 100)}`: the last {MOST_KEPT} results "
                         f"that were cut are kept, for {KEPT_FOR}; make the call again")
        about, text = ("", self._text(handle, kept)) if "path" not in given else _named(kept, given["path"])
        start, size = given.get("offset", 0), len(text)
        if start > size:
            raise _fault(f"`offset` is {start}, but there are {size} characters")
        piece = text[start : start + min(given.get("length", kept.length), kept.length)]
        end = start + len(piece)
        more = "this is the end" if end == size else f'there is more, from "offset": {end}'
        head = f"[{about}characters {start} to {end} of {size}; {more}]"
        return Complete(encode({"content": [{"type": "text", "text": f"{head}\n{piece}"}]}), shape={"content": None})

    def _text(self, handle: str, kept: _Kept) -> str:
        if self._last[0] != handle:
            texts = only_texts(_value(kept.body), kept.kind)
            self._last = handle, kept.body.decode() if texts is None else "".join(texts)
        return self._last[1]

    @property
    def _bytes(self) -> int:
        return sum([len(kept.body) for kept in self._kept.values()])

    def _forget_old(self) -> None:
        now = self._now()
        for handle in [handle for handle, kept in self._kept.items() if kept.until <= now]:
            self._drop(handle)

    def _drop(self, handle: str) -> None:
        del self._kept[handle]
        if self._last[0] == handle:
            self._last = "", ""


def is_text(block: Any, kind: str) -> bool:
    """True for a block that is a text: of a tool's result, or of a resource."""
    if type(block) is not dict or type(block.get("text")) is not str:
        return False
    return kind == RESOURCE or block.get("type") == "text"


def only_texts(value: Mapping[str, Any], kind: str) -> list[str] | None:
    """The texts of a result of which every block is one; else None."""
    blocks = value.get(LISTS.get(kind, "content"))
    if not isinstance(blocks, list) or not blocks or not all(is_text(block, kind) for block in blocks):
        return None
    return [block["text"] for block in blocks]


def document(value: Mapping[str, Any], texts: list[str] | None) -> Any:
    """What paths lead into; `texts` are the result's, if it has nothing else (`only_texts`)."""
    if value.get("structuredContent") is not None:
        return value["structuredContent"]
    if texts is not None and len(texts) == 1 and texts[0].lstrip()[:1] in ("{", "["):
        try:
            return DECODER.decode(texts[0])
        except (ValueError, RecursionError):
            return value
    return value


def _value(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _fault(f"the result cannot be read: {clip(str(error), 200)}") from None
    return value if isinstance(value, dict) else {}


def _named(kept: _Kept, text: str) -> tuple[str, str]:
    """What a path names: in a few words, and as text. A single text is itself, other values are JSON; several stand
    one on a line, each behind its place."""
    value = _value(kept.body)
    whole = document(value, only_texts(value, kept.kind))
    try:
        found = jsonpath.compile(text).find(whole)
        if len(found) == 1:
            only = found[0][1]
            return "1 value; ", only if isinstance(only, str) else _json(only)
        lines = [f"{jsonpath.shown(location)} = {_json(each)}" for location, each in found]
    except (ValueError, RecursionError) as error:
        raise _fault(f"`path`: {clip(str(error), 300)}") from None
    about = f"{len(found)} values; " if found else f"no value, in {_outline(whole)}; "
    return about, "\n".join(lines)


def _outline(whole: Any) -> str:
    if isinstance(whole, dict):
        keys = ", ".join(clip(json.dumps(key, ensure_ascii=False), 80) for key in list(whole)[:MOST_KEYS])
        return f"an object with the keys {keys}" + (" and others" if len(whole) > MOST_KEYS else "")
    return f"a list of {len(whole)}" if isinstance(whole, list) else kind_of(whole)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _checked(arguments: Any) -> dict[str, Any]:
    """The arguments that were given, none of them null; raises `RequestError`."""
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise _fault("`arguments` must be an object")
    given: dict[str, Any] = {key: value for key, value in arguments.items() if value is not None}
    for key, value in given.items():
        if key not in _TAKES:
            takes = ", ".join(f"`{each}`" for each in _TAKES)
            raise _fault(f"unknown argument `{clip(key, 100)}`; it takes {takes}")
        sort, shape = _TAKES[key]
        fits = isinstance(value, sort) and not isinstance(value, bool)
        if not fits or (key in _LEAST and value < _LEAST[key]):
            raise _fault(f"`{key}` must be {shape}")
    return given


def _fault(what: str) -> RequestError:
    return RequestError("bad params", f"{READ_RESULT}: {what}")
