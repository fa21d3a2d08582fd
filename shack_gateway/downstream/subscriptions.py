"""What a server is to tell us of by itself: changed lists, and the resources that somebody at the host follows.

handshake   list changes come unasked; each resource is subscribed to and unsubscribed from
stateless   one open `subscriptions/listen` names everything; another wish means a new one, then the old one ends
(protocol bridge, section 8.8)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from math import inf
from typing import Any

from ..eras.to_server import Greeting, own_meta
from ..errors import ServerError
from ..wire import dialect
from ..wire.messages import Result
from ..wire.peer import Question
from .link import Link

REOPEN_SECS = 1.0


class Subscriptions:
    """The wishes of one server's listeners; they outlive its runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Mapping[str, Any], patience: float) -> None:
        self._loop, self._client, self._patience = loop, client, patience
        self._wanted: dict[str, int] = {}
        self._link: Link | None = None
        self._greeting: Greeting | None = None
        self._listen: Question | None = None
        self._ending: Question | None = None
        self._acknowledged = False

    def attach(self, link: Link, greeting: Greeting) -> None:
        """The server is ready: tell it everything that is wanted."""
        self._link, self._greeting = link, greeting
        self._listen = self._ending = None
        if greeting.stateless:
            self._reopen()
            return
        for uri in self._wanted:
            self._quietly("resources/subscribe", uri)

    def detach(self) -> None:
        """The server is gone; the wishes stay."""
        self._link = self._listen = self._ending = None

    def add(self, uri: str) -> Question | None:
        """One more wants to hear of `uri`; the question to wait for where the server has to be asked."""
        count = self._wanted[uri] = self._wanted.get(uri, 0) + 1
        return self._changed("resources/subscribe", uri) if count == 1 else None

    def drop(self, uri: str) -> Question | None:
        """One less wants to hear of `uri`."""
        count = self._wanted.get(uri, 0)
        if count > 1:
            self._wanted[uri] = count - 1
            return None
        return self._changed("resources/unsubscribe", uri) if self._wanted.pop(uri, 0) else None

    def _changed(self, method: str, uri: str) -> Question | None:
        if self._link is None or self._greeting is None:
            return None
        if self._greeting.stateless:
            self._reopen()
            return None
        return self._link.ask(method, {"uri": uri}, self._patience)

    def _quietly(self, method: str, uri: str) -> None:
        if self._link is not None:
            try:
                self._link.ask(method, {"uri": uri}, self._patience)
            except ServerError:
                return  # the link has just closed; the next `attach` asks again

    # --- stateless servers ---

    def _reopen(self) -> None:
        """Open a listen that names all that is wanted now; the old one ends once the new one is acknowledged."""
        link, greeting = self._link, self._greeting
        if link is None or greeting is None or link.closed is not None:
            return
        wanted = self._filter(greeting.capabilities)
        if not wanted:
            self._end(self._listen)
            self._listen = None
            return
        params = {"notifications": wanted, "_meta": own_meta(self._client, {})}
        try:
            question = link.ask("subscriptions/listen", params, inf)
        except ServerError:
            return
        self._end(self._ending)
        self._ending, self._listen, self._acknowledged = self._listen, question, False
        question.wake = lambda: self._ended(question, link)

    def acknowledged(self, params: Mapping[str, Any]) -> None:
        """`notifications/subscriptions/acknowledged`."""
        meta = params.get("_meta")
        id = meta.get(dialect.SUBSCRIPTION_KEY) if isinstance(meta, dict) else None
        if self._listen is not None and type(id) is int and id == self._listen.id:
            self._acknowledged = True
            self._end(self._ending)
            self._ending = None

    def counts(self, params: Mapping[str, Any]) -> bool:
        """False for word that comes twice, because one listen is just taking the place of another."""
        meta = params.get("_meta")
        id = meta.get(dialect.SUBSCRIPTION_KEY) if isinstance(meta, dict) else None
        if id is None or self._listen is None:
            return True
        return bool(id == (self._listen if self._acknowledged or self._ending is None else self._ending).id)

    def _ended(self, question: Question, link: Link) -> None:
        """The server ended the listen. With a result: open it again; with an error: it has none."""
        if question is self._listen and link is self._link and link.closed is None:
            self._listen = None
            if isinstance(question.value, Result):
                self._loop.call_later(REOPEN_SECS, self._reopen_if_none)

    def _reopen_if_none(self) -> None:
        if self._listen is None:
            self._reopen()

    def _end(self, question: Question | None) -> None:
        if question is not None and self._link is not None:
            question.wake = None
            self._link.cancel(question, "another subscription takes its place")

    def _filter(self, capabilities: Mapping[str, Any]) -> dict[str, Any]:
        wanted: dict[str, Any] = {}
        for key, member in (
            ("tools", "toolsListChanged"),
            ("prompts", "promptsListChanged"),
            ("resources", "resourcesListChanged"),
        ):
            offered = capabilities.get(key)
            if isinstance(offered, dict) and offered.get("listChanged"):
                wanted[member] = True
        if self._wanted:
            wanted["resourceSubscriptions"] = list(self._wanted)
        return wanted
