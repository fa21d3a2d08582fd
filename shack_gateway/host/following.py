"""What the host wants to hear of unasked: lists that change, and resources that it follows.

    handshake   changed lists are always announced; each resource is subscribed to and unsubscribed from
    stateless   each open `subscriptions/listen` says what it wants, and is told under its own id
    (protocol bridge, section 8.8)
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..catalog.entries import Catalog
from ..core.gateway import Gateway
from ..eras.inbound import Handshake
from ..eras.to_host import Voice, notification
from ..errors import clip
from ..pipeline.call import Complete, Failed, Outcome
from ..slot import Drive
from ..wire.messages import Body, result_line

CHANGED = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
}
WISHES = {"tools": "toolsListChanged", "prompts": "promptsListChanged", "resources": "resourcesListChanged"}
DONE = Complete(b"{}", value={})

Way = tuple[str, str]
"""A server, and the URI by which it knows a resource."""


class Servers(Protocol):
    """The servers, as far as following them is concerned."""

    @property
    def catalog(self) -> Catalog: ...
    @property
    def starting(self) -> bool: ...
    def follow(self, server: str, uri: str, more: bool) -> Any: ...


class Listen:
    """One open `subscriptions/listen`: which lists, and which resources, by the host's URIs (None: no way yet)."""

    __slots__ = ("kinds", "ways")

    def __init__(self, kinds: frozenset[str], uris: list[str]) -> None:
        self.kinds = kinds
        self.ways: dict[str, Way | None] = dict.fromkeys(uris)


class Following:
    """The wishes of one host. `send` takes lines for it, `report` what went wrong where nobody waits."""

    def __init__(
        self, gateway: Gateway, servers: Servers, handshake: Handshake, send: Callable[[Body], None],
        report: Callable[[str], None],
    ) -> None:
        self._gateway, self._servers, self._handshake = gateway, servers, handshake
        self._send, self._report = send, report
        self.listens: dict[str | int, Listen] = {}
        self._followed: dict[str, Way] = {}
        self._told: dict[str, int] = {}

    # --- resources ---

    async def subscribe(self, uri: Any, more: bool) -> Outcome:
        """`resources/subscribe` and, with `more` false, `resources/unsubscribe`, of a handshake host."""
        if type(uri) is not str:
            return Failed("bad params", "`uri` must be a string.")
        if (uri in self._followed) == more:
            return DONE
        way = await self._gateway.way(uri) if more else self._followed.pop(uri)
        if way is None:
            return Failed("unknown resource", f"unknown resource: {clip(uri, 500)}", data={"uri": uri})
        refused: Outcome | None = await self._servers.follow(*way, more)
        if refused is None and more:
            self._followed[uri] = way
        return DONE if refused is None else refused

    def on_resource(self, server: str, uri: str, params: Mapping[str, Any]) -> None:
        """A server says that a resource has changed; the host is told under the URI that it asked for."""
        method = "notifications/resources/updated"
        for asked, way in self._followed.items():
            if way == (server, uri):
                self._send(notification(method, {**params, "uri": asked}))
        for id, listen in self.listens.items():
            for asked, found in listen.ways.items():
                if found == (server, uri):
                    self._send(notification(method, {**params, "uri": asked}, listen=id))

    # --- listens ---

    def listen(self, id: str | int, wanted: Mapping[str, Any]) -> None:
        """Acknowledge at once what will be honoured; the request stays open."""
        kinds = frozenset(kind for kind, key in WISHES.items() if wanted.get(key) is True)
        listed = wanted.get("resourceSubscriptions")
        catalog, starting = self._servers.catalog, self._servers.starting
        uris = [uri for uri in listed if type(uri) is str] if isinstance(listed, list) else []
        uris = [uri for uri in dict.fromkeys(uris) if starting or catalog.ways(uri)]
        listen = self.listens[id] = Listen(kinds, uris)
        honoured: dict[str, Any] = {WISHES[kind]: True for kind in WISHES if kind in kinds}
        if uris:
            honoured["resourceSubscriptions"] = uris
        for kind in kinds:
            self._told.setdefault(kind, self._fingerprint(kind))
        method = "notifications/subscriptions/acknowledged"
        self._send(notification(method, {"notifications": honoured}, listen=id))
        for uri in uris:
            self._aside(self._begin(listen, uri))

    def unlisten(self, id: str | int) -> None:
        """The host cancelled a listen: nothing more under its id."""
        for way in self.listens.pop(id).ways.values():
            if way is not None:
                self._aside(self._servers.follow(*way, False))

    async def _begin(self, listen: Listen, uri: str) -> None:
        way = await self._gateway.way(uri)
        if way is not None and await self._servers.follow(*way, True) is None:
            listen.ways[uri] = way

    def _aside(self, work: Any) -> None:
        """Let something go on that nobody waits for."""
        Drive(work, lambda done: None, lambda error: self._report(f"a subscription failed: {error!r}")).step()

    # --- lists ---

    def listed(self, kind: str) -> None:
        """The host has just been given this list."""
        self._told[kind] = self._fingerprint(kind)

    def on_catalog(self) -> None:
        """What the servers list has changed, or a server came up or ended."""
        for kind in CHANGED:
            if kind == "tools" and self._gateway.progressive:
                continue  # the host's list is the four meta-tools, come what may
            now = self._fingerprint(kind)
            before = self._told.get(kind)
            if before is None:
                # Who never listed has nothing to list anew; but once all servers are up, every change is one.
                if not self._servers.starting:
                    self._told[kind] = now
            elif now != before:
                self._told[kind] = now
                self._announce(kind)

    def _announce(self, kind: str) -> None:
        if self._handshake.done:
            self._send(notification(CHANGED[kind], None))
        for id, listen in self.listens.items():
            if kind in listen.kinds:
                self._send(notification(CHANGED[kind], None, listen=id))

    def _fingerprint(self, kind: str) -> int:
        catalog = self._servers.catalog
        if kind == "tools":
            return hash(catalog.tools)
        return hash(catalog.prompts) if kind == "prompts" else hash((catalog.resources, catalog.templates))

    # --- the end ---

    def finish(self, voice: Voice) -> None:
        """Open listens get their result: we are shutting down."""
        for id in list(self.listens):
            del self.listens[id]
            self._send(result_line(id, voice.listen_ended(id)))
