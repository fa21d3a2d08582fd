"""Asking one server for everything it lists, page by page.

Rule 1: a server that lists badly loses what it lists badly; it is never a reason to lose the server.
Rule 2: pages, items and time are bounded, and a cursor that comes back ends the list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..catalog.entries import LISTS, PROMPT, RESOURCE, TEMPLATE, TOOL, Item, Listing, read_page
from ..eras.to_server import Greeting, own_meta
from ..errors import METHOD_NOT_FOUND, ServerError
from ..pipeline.call import Complete
from ..wire.messages import ErrorAnswer
from .greet import first_of
from .link import Link

MOST_PAGES = 200
MOST_ITEMS = 10_000

KINDS = (TOOL, PROMPT, RESOURCE, TEMPLATE)
CHANGES: dict[str, tuple[str, ...]] = {
    "notifications/tools/list_changed": (TOOL,),
    "notifications/prompts/list_changed": (PROMPT,),
    "notifications/resources/list_changed": (RESOURCE, TEMPLATE),
}
"""Which lists are out of date after which notification."""


class Lister:
    """Lists what one greeted server has. `note` is told what had to be left out."""

    def __init__(
        self, link: Link, greeting: Greeting, client: Mapping[str, Any], patience: float, note: Callable[[str], None]
    ) -> None:
        self._link, self._greeting, self._patience, self._note = link, greeting, patience, note
        self._meta = own_meta(client, {}) if greeting.stateless else None

    async def list(self, kinds: Iterable[str], before: Listing) -> Listing:
        """`before` with these kinds listed anew, all at the same time; raises `ServerError` when the server is gone."""
        wanted = [kind for kind in kinds if self._offers(kind)]
        found = dict(zip(wanted, await asyncio.gather(*map(self._pages, wanted))))
        fresh = [f for f in found.values() if f is not None]
        have: dict[str, tuple[Item, ...]] = {
            TOOL: before.tools,
            PROMPT: before.prompts,
            RESOURCE: before.resources,
            TEMPLATE: before.templates,
        }
        for kind in kinds:
            listed = found.get(kind)
            have[kind] = listed[0] if listed is not None else ()
        return Listing(
            tools=have[TOOL],
            prompts=have[PROMPT],
            resources=have[RESOURCE],
            templates=have[TEMPLATE],
            stateless=self._greeting.stateless,
            serves_resources="resources" in self._greeting.capabilities,
            ttl_ms=min((ttl for _, ttl, _ in fresh), default=0),
            private=any(private for *_, private in fresh) or not fresh,
        )

    def _offers(self, kind: str) -> bool:
        """Whether to ask. Tools and resources are asked for even if undeclared: 0.1.0 did, and servers rely on it."""
        if kind == PROMPT:
            return "prompts" in self._greeting.capabilities
        return kind in (TOOL, RESOURCE) or "resources" in self._greeting.capabilities

    async def _pages(self, kind: str) -> tuple[tuple[Item, ...], int, bool] | None:
        """All pages of one kind: items, time to live, private; None where the server has no such list."""
        items: list[Item] = []
        ttl, private = 0, True
        cursor: str | None = None
        seen: set[str] = set()
        method = LISTS[kind].method
        for number in range(MOST_PAGES):
            answer = await self._ask(method, cursor)
            if isinstance(answer, ErrorAnswer):
                if answer.code != METHOD_NOT_FOUND:
                    self._note(f"{method} was answered with error {answer.code}: {answer.message[:200]}")
                return (tuple(items), ttl, private) if number else None
            try:
                page = read_page(
                    kind, Complete(answer.body, shape=answer.value).text, answer.value if answer.exact else None
                )
            except (ValueError, RecursionError) as error:
                self._note(f"{method} was answered with no list: {error}")
                return (tuple(items), ttl, private) if number else None
            for note in page.notes:
                self._note(note)
            items += page.items
            ttl = page.ttl_ms if not number else min(ttl, page.ttl_ms)
            private = page.private if not number else private or page.private
            if len(items) > MOST_ITEMS:
                self._note(f"{method} lists more than {MOST_ITEMS}: the rest is left out")
                break
            if page.cursor is None:
                return tuple(items), ttl, private
            if page.cursor in seen:
                self._note(f"{method} gives the cursor {page.cursor[:80]!r} twice: the list ends there")
                break
            seen.add(page.cursor)
            cursor = page.cursor
        else:
            self._note(f"{method} has more than {MOST_PAGES} pages: the rest is left out")
        return tuple(items[:MOST_ITEMS]), ttl, private

    async def _ask(self, method: str, cursor: str | None) -> Any:
        params: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        if self._meta is not None:
            params["_meta"] = self._meta
        question = self._link.ask(method, params, self._patience)
        await first_of((question,), self._patience + 5)
        if isinstance(question.value, ServerError):
            raise question.value
        return question.value
