"""The lists as a host reads them, page by page.  Pure.

Rule 1: an object leaves as its server wrote it, but for the name and what `shapes` mends.
Rule 2: a list is built once per catalog, and once per era only where eras differ; no clock, no chance: the same
        catalog gives the same bytes.
"""
from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable

from ..errors import RequestError
from ..record import NamedTuple
from . import meta_tools
from .entries import LISTS, PROMPT, RESOURCE, TEMPLATE, TOOL, Catalog, Entry
from .shapes import mended
from .texts import replaced, without

PAGE_SIZE = 1000
OUTPUT = "outputSchema"


class ListPage(NamedTuple):
    """One page towards the host: `"<key>":<array>` and, where there is more, `"nextCursor"`."""

    key: str
    array: bytes
    next_cursor: str | None


class Lists:
    """The lists of one catalog; each is built when first asked for and kept.

    `more` are definitions of tools of ours, which stand behind those of the servers where these are shown at all;
    `is_altered` says of a tool that its results may leave as others: hosts are then not shown its output schema,
    because they refuse what does not fit it.
    """

    def __init__(
        self, catalog: Catalog, page_size: int = PAGE_SIZE, progressive: bool = False, more: tuple[str, ...] = (),
        is_altered: Callable[[Entry], bool] = lambda entry: False,
    ) -> None:
        self._more, self._is_altered = more, is_altered
        self._entries: dict[str, tuple[Entry, ...]] = {
            TOOL: catalog.tools, PROMPT: catalog.prompts, RESOURCE: catalog.resources, TEMPLATE: catalog.templates,
        }
        self._page_size = max(1, page_size)
        self._built: dict[tuple[str, bool], tuple[list[bytes], list[str]]] = {}
        if progressive:
            self._built[TOOL, True] = self._built[TOOL, False] = [meta_tools.ARRAY], []

    def page(self, kind: str, cursor: object = None, *, stateless: bool) -> ListPage:
        """The page behind `cursor` (as it came; `None`: the first); raises `RequestError` for one that is not ours."""
        arrays, cursors = self._pages(kind, stateless)
        number = 0
        if cursor is not None:
            if cursor not in cursors:
                raise RequestError("bad params", "invalid cursor: it is not one of this list, or the list has changed "
                                                 "since; start again without a cursor")
            number = cursors.index(cursor) + 1
        return ListPage(LISTS[kind].key, arrays[number], cursors[number] if number < len(cursors) else None)

    def _pages(self, kind: str, stateless: bool) -> tuple[list[bytes], list[str]]:
        """The arrays of a list, and the cursors of all but the first."""
        entries = self._entries[kind]
        # Eras differ in what is mended only, so that most catalogs need one form.
        stateless = stateless or all(entry.item.plain for entry in entries)
        built = self._built.get((kind, stateless))
        if built is None:
            if kind == TOOL:
                entries = tuple(sorted(entries, key=lambda entry: entry.name))
            texts = [shown_text(entry, stateless=stateless) for entry in entries]
            if kind == TOOL:
                texts = [without(text, OUTPUT) if OUTPUT in text and self._is_altered(entry) else text
                         for entry, text in zip(entries, texts)]
                texts += self._more
            starts = range(0, len(texts), self._page_size)
            arrays = [_array(texts[start : start + self._page_size]) for start in starts] or [b"[]"]
            built = self._built[kind, stateless] = arrays, _cursors(starts[1:], arrays)
        return built


def shown_text(entry: Entry, *, stateless: bool) -> str:
    """One listed object as a host of that era reads it."""
    item = entry.item
    if not item.plain:
        return mended(entry.kind, item.text, LISTS[entry.kind].identity, entry.name, stateless=stateless)
    text = item.text if entry.name == item.target else replaced(item.text, item.target_at, json.dumps(entry.name))
    return without(text, "execution") if item.tasks else text


def _array(texts: list[str]) -> bytes:
    # A lone surrogate can only stand inside a string, where the escape that Python writes for it is JSON's, too.
    return f"[{','.join(texts)}]".encode("utf-8", "backslashreplace")


def _cursors(offsets: range, arrays: list[bytes]) -> list[str]:
    """One cursor for each page but the first; all change when the list changes, so that no page is skipped unseen."""
    if not offsets:
        return []
    mark = hashlib.sha256(b"\n".join(arrays)).hexdigest()[:16]
    texts = (json.dumps({"offset": offset, "hash": mark}, separators=(",", ":")) for offset in offsets)
    return [base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii").rstrip("=") for text in texts]
