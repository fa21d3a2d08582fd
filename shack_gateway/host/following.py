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
from ..pipeline.call import Complete, Context, Failed, Outcome
from ..slot import Drive
from ..wire.messages import Body, result_line

CHANGED = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
    "templates": "notifications/resources/list_changed",
}
"""By list: two of them are told of in one word."""
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
    def tells_of_resources(self, server: str) -> bool: ...


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
        if not more:
            refused = await self._servers.follow(*self._followed.pop(uri), False)
            return DONE if refused is None else refused
        way = self._best(await self._gateway.ways(uri))
        if way is None:
            return Failed("unknown resource", f"unknown resource: {clip(uri, 500)}", data={"uri": uri})
        refused = self._gateway.may_follow(uri, *way, Context())
        if refused is not None:
            return refused
        if uri in self._followed:
            return DONE  # asked for twice at once
        self._followed[uri] = way  # noted first: an unsubscribe may come before the answer
        kept = False
        try:
            refused = await self._servers.follow(*way, True)
            kept = refused is None
        finally:
            if not kept and self._followed.get(uri) == way:
                del self._followed[uri]
        return DONE if refused is None else refused

    def _best(self, ways: tuple[Any, ...]) -> Way | None:
        """The first way whose server takes subscriptions; else the first: some take them that do not say so."""
        willing = [way for way in ways if self._servers.tells_of_resources(way.server)]
        return (willing or [*ways])[0][:2] if ways else None

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
        uris = [uri for uri in listed if type(uri) is str] if isinstance(listed, list) else []
        uris = [uri for uri in dict.fromkeys(uris) if self._may_be_followed(uri)]
        listen = self.listens[id] = Listen(kinds, uris)
        honoured: dict[str, Any] = {WISHES[kind]: True for kind in WISHES if kind in kinds}
        if uris:
            honoured["resourceSubscriptions"] = uris
        for kind, method in CHANGED.items():
            if method in {CHANGED[wish] for wish in kinds}:
                self._told.setdefault(kind, self._fingerprint(kind))
        method = "notifications/subscriptions/acknowledged"
        self._send(notification(method, {"notifications": honoured}, listen=id))
        for uri in uris:
            self._aside(self._begin(id, listen, uri))

    def unlisten(self, id: str | int) -> None:
        """The host cancelled a listen: nothing more under its id."""
        for way in self.listens.pop(id).ways.values():
            if way is not None:
                self._aside(self._servers.follow(*way, False))

    def _may_be_followed(self, uri: str) -> bool:
        ways = self._servers.catalog.ways(uri)
        best = self._best(ways)
        if best is not None and self._gateway.may_follow(uri, *best, Context()) is not None:
            return False
        return any(self._servers.tells_of_resources(way.server) for way in ways) or not ways and self._servers.starting

    async def _begin(self, id: str | int, listen: Listen, uri: str) -> None:
        """Have a resource followed, if anybody has it by now."""
        way = self._best(self._servers.catalog.ways(uri))
        if way is None or listen.ways[uri] is not None or self._gateway.may_follow(uri, *way, Context()) is not None:
            return
        listen.ways[uri] = way
        refused = await self._servers.follow(*way, True)
        if refused is not None:
            listen.ways[uri] = None
        elif self.listens.get(id) is not listen:
            await self._servers.follow(*way, False)  # the host has cancelled it meanwhile

    def _aside(self, work: Any) -> None:
        """Let something go on that nobody waits for."""
        Drive(work, lambda done: None, lambda error: self._report(f"a subscription failed: {error!r}")).step()

    # --- lists ---

    def listed(self, kind: str) -> None:
        """The host has just been given this list."""
        self._told[kind] = self._fingerprint(kind)

    def on_catalog(self) -> None:
        """What the servers list has changed, or a server came up or ended."""
        changed: dict[str, None] = {}
        for kind, method in CHANGED.items():
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
                changed[method] = None
        for method in changed:
            self._announce(method)
        for id, listen in list(self.listens.items()):
            for uri, way in listen.ways.items():
                if way is None:
                    self._aside(self._begin(id, listen, uri))

    def _announce(self, method: str) -> None:
        if self._handshake.done:
            self._send(notification(method, None))
        for id, listen in self.listens.items():
            if method in {CHANGED[kind] for kind in listen.kinds}:
                self._send(notification(method, None, listen=id))

    def _fingerprint(self, kind: str) -> int:
        return hash(getattr(self._servers.catalog, kind))

    # --- the end ---

    def finish(self, voice: Voice) -> None:
        """Open listens get their result: we are shutting down."""
        for id in list(self.listens):
            del self.listens[id]
            self._send(result_line(id, voice.listen_ended(id)))
