"""Asking one server for everything it lists, page by page.

Rule 1: a server that lists badly loses what it lists badly; it is never a reason to lose the server.
Rule 2: pages, items and time are bounded, and a cursor that comes back ends the list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..catalog.entries import LISTS, PROMPT, RESOURCE, TEMPLATE, TOOL, Item, Listing, Page, read_page
from ..eras.to_server import Greeting, own_meta
from ..errors import METHOD_NOT_FOUND, ServerError, ServerGone
from ..pipeline.call import Complete
from ..record import NamedTuple
from ..wire.messages import ErrorAnswer
from .greet import first_of
from .link import Link

MOST_PAGES = 200
MOST_ITEMS = 10_000
UNDECLARED_SECS = 2.0
"""How long a server may be silent about resources that it never said it had."""

KINDS = (TOOL, PROMPT, RESOURCE, TEMPLATE)
CHANGES: dict[str, tuple[str, ...]] = {
    "notifications/tools/list_changed": (TOOL,),
    "notifications/prompts/list_changed": (PROMPT,),
    "notifications/resources/list_changed": (RESOURCE, TEMPLATE),
}
"""Which lists are out of date after which notification."""


NOTHING = Page((), None, 0, True, ())


class Fresh(NamedTuple):
    """How long one list may be kept, and by whom."""

    ttl_ms: int = 0
    private: bool = True


class Pages(NamedTuple):
    """What came of asking for one list. `failed`: it could not be had this time."""

    items: tuple[Item, ...] = ()
    fresh: Fresh | None = None
    failed: bool = False


class Lister:
    """Lists what one greeted server has. `note` is told what had to be left out; `failed` is what could not be had."""

    def __init__(
        self, link: Link, greeting: Greeting, client: Mapping[str, Any], patience: float, note: Callable[[str], None]
    ) -> None:
        self._link, self._greeting, self._patience, self._note = link, greeting, patience, note
        self._meta = own_meta(client, {}) if greeting.stateless else None
        self._fresh: dict[str, Fresh] = {}
        self.failed: set[str] = set()

    async def list(self, kinds: Iterable[str], before: Listing) -> Listing:
        """`before` with these kinds listed anew, all at the same time; raises `ServerGone` when the server is gone."""
        wanted = [kind for kind in kinds if self._offers(kind)]
        found = dict(zip(wanted, await asyncio.gather(*map(self._pages, wanted))))
        have = {TOOL: before.tools, PROMPT: before.prompts, RESOURCE: before.resources, TEMPLATE: before.templates}
        self.failed = {kind for kind, pages in found.items() if pages.failed}
        for kind in kinds:
            pages = found.get(kind, Pages())
            if not (pages.failed and have[kind]):
                have[kind] = pages.items
            if pages.fresh is not None:
                self._fresh[kind] = pages.fresh
        fresh = self._fresh.values()
        return Listing(
            tools=have[TOOL],
            prompts=have[PROMPT],
            resources=have[RESOURCE],
            templates=have[TEMPLATE],
            stateless=self._greeting.stateless,
            serves_resources="resources" in self._greeting.capabilities,
            ttl_ms=min((f.ttl_ms for f in fresh), default=0),
            private=any(f.private for f in fresh) or not fresh,
        )

    def _offers(self, kind: str) -> bool:
        """Whether to ask. Tools and resources are asked for even if undeclared: 0.1.0 did, and servers rely on it."""
        if kind == PROMPT:
            return "prompts" in self._greeting.capabilities
        return kind in (TOOL, RESOURCE) or "resources" in self._greeting.capabilities

    async def _pages(self, kind: str) -> Pages:
        """All pages of one kind; what has come before something goes wrong is kept."""
        items: list[Item] = []
        fresh: list[Fresh] = []
        cursor: str | None = None
        seen: set[str] = set()
        method = LISTS[kind].method
        for number in range(MOST_PAGES):
            page = await self._page(kind, method, cursor)
            if page is None:
                return _together(items, fresh, failed=not number)
            for note in page.notes:
                self._note(note)
            items += page.items
            fresh.append(Fresh(max(0, page.ttl_ms), page.private))
            if len(items) > MOST_ITEMS:
                self._note(f"{method} lists more than {MOST_ITEMS}: the rest is left out")
                break
            if page.cursor is None:
                return _together(items, fresh)
            if page.cursor in seen:
                self._note(f"{method} gives the cursor {page.cursor[:80]!r} twice: the list ends there")
                break
            seen.add(page.cursor)
            cursor = page.cursor
        else:
            self._note(f"{method} has more than {MOST_PAGES} pages: the rest is left out")
        return _together(items[:MOST_ITEMS], fresh)

    async def _page(self, kind: str, method: str, cursor: str | None) -> Page | None:
        """One page, empty where the server has no such list; None where it could not be had."""
        answer = await self._ask(kind, method, cursor)
        if isinstance(answer, ServerGone):
            raise answer
        if isinstance(answer, ServerError):
            self._note(f"{method} was not answered: {answer.what}")
            return None
        if isinstance(answer, ErrorAnswer):
            if answer.code == METHOD_NOT_FOUND:
                return NOTHING
            self._note(f"{method} was answered with error {answer.code}: {answer.message[:200]}")
            return None
        try:
            text = Complete(answer.body, shape=answer.value).text
            return read_page(kind, text, answer.value if answer.exact else None)
        except (ValueError, RecursionError) as error:
            self._note(f"{method} was answered with no list: {error}")
            return None

    async def _ask(self, kind: str, method: str, cursor: str | None) -> Any:
        params: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        if self._meta is not None:
            params["_meta"] = self._meta
        declared = kind in (TOOL, PROMPT) or "resources" in self._greeting.capabilities
        patience = self._patience if declared else min(self._patience, UNDECLARED_SECS)
        question = self._link.ask(method, params, patience)
        await first_of((question,), patience + 5)
        return question.value


def _together(items: list[Item], fresh: list[Fresh], failed: bool = False) -> Pages:
    if not fresh:
        return Pages(tuple(items), None, failed)
    return Pages(tuple(items), Fresh(min(f.ttl_ms for f in fresh), any(f.private for f in fresh)), failed)
