"""All servers together: one start, one catalog, one way to send, one end.

Rule 1: servers start in parallel; nothing here waits for one of them longer than it was told to.
Rule 2: the catalog is a value made of what each server lists; a change of any of them makes a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from ..catalog.entries import Catalog, Listing
from ..catalog.facts import NO_FACTS, Facts
from ..catalog.shaping import Shape, told
from ..catalog.uris import Seen
from ..children import Keeper
from ..config.servers import ServerSpec
from ..core.ports import HostQuestion, ServersQuestion, Tell, nobody
from ..errors import ServerUnavailable
from ..log import Log
from ..pipeline.call import TOOL, Call, Outcome
from ..pipes import Outbox
from ..record import NamedTuple
from ..wire.messages import encode
from .link import Limits, Link
from .parking import Lot
from .process import Launch, Process, start
from .run import Run
from .session import Row, Session

KEPT_SECS = 0.2
"""How long servers whose lists are known wait to be started, while the host asks its first questions."""
SAVE_SECS = 2.0
"""How long after a change lists are kept for the next start."""
ANNOUNCE_SECS = 0.08
"""How long to wait for further changes before the host is told of one."""


class Memory(Protocol):
    """Where listings, and how servers want to be greeted, are kept between runs."""

    def recall(self, spec: ServerSpec) -> tuple[Listing, str] | None: ...

    def latest(self, spec: ServerSpec) -> tuple[Listing, str] | None: ...

    def keep(self, spec: ServerSpec, listing: Listing, probe: str) -> None: ...


class Settings(NamedTuple):
    """What the fleet is told of the configuration."""

    workspace_root: str
    client: Mapping[str, Any]
    list_wait_secs: float
    probe_secs: float
    limits: Limits
    name_limit: int
    question_secs: float
    max_parked_calls: int


class Listener(Protocol):
    """Who hears what servers say of their own accord."""

    def on_catalog(self) -> None: ...

    def on_resource(self, server: str, uri: str, params: Mapping[str, Any]) -> None: ...

    def on_log(self, server: str, params: dict[str, Any], wanted: str | None) -> None: ...

    def on_question(self, question: ServersQuestion) -> HostQuestion | str: ...

    def on_elicitation_complete(self, params: dict[str, Any]) -> None: ...


class Fleet:
    """The configured servers. `environment` gives a server's environment, `roots` is what servers are told of."""

    def __init__(
        self,
        specs: Iterable[ServerSpec],
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        outbox: Outbox,
        keeper: Keeper,
        log: Log,
        environment: Callable[[ServerSpec], Mapping[str, str]],
        roots: list[dict[str, Any]],
        memory: Memory | None,
        shape: Shape | None = None,
    ) -> None:
        self._shape = shape
        self._settings, self._loop, self._outbox, self._keeper = settings, loop, outbox, keeper
        self.log, self._environment, self.roots, self._memory = log, environment, roots, memory
        self.client: Mapping[str, Any] = settings.client
        self.capabilities: Mapping[str, Any] = {}
        self.log_level: str | None = None
        self.probe_secs = settings.probe_secs
        self.lot = Lot(loop, settings.question_secs, settings.max_parked_calls)
        self.listener: Listener | None = None
        self.tell: Tell = nobody
        """Told what becomes of servers, for the journal."""
        self._sessions = {spec.name: Session(spec, self, loop, self._changed) for spec in specs}
        self._seen = Seen()
        self._catalog: Catalog | None = None
        self._started: float | None = None
        self._announcing = False
        self._saver: asyncio.TimerHandle | None = None
        self._remembered: dict[str, tuple[Listing, str]] = {}

    # --- what the hall asks ---

    @property
    def catalog(self) -> Catalog:
        """Everything that the servers list now, or listed last."""
        if self._catalog is None:
            listings = {
                name: session.listing
                for name, session in self._sessions.items()
                if session.known and session.spec.enabled
            }
            self._catalog = Catalog(listings, self._settings.name_limit, self._seen, self._shape)
            for note in self._catalog.notes:
                self.log.warning("catalog", note)
        return self._catalog

    @property
    def instructions(self) -> list[tuple[str, str]]:
        """Server and instructions of those that gave any, without what they say of tools that are hidden."""
        given = [(name, s.instructions) for name, s in self._sessions.items() if s.instructions]
        if self._shape is not None:
            gone = self.catalog.gone
            given = [(name, left) for name, text in given if (left := told(text, gone.get(name, ())))]
        return given

    def start(self, capabilities: Mapping[str, Any], lazy: bool = False) -> None:
        """The first word of a host: bring up every server, lazy ones only if `lazy`; show them `capabilities`."""
        if self._started is not None:
            return
        self._started = self._loop.time()
        try:
            encode(capabilities)
            self.capabilities = capabilities
        except (ValueError, RecursionError):
            self.log.warning("fleet", "the host's capabilities are no JSON: servers are shown none")
        self._catalog = None
        for session in self._sessions.values():
            if self._memory is not None:
                self._recall(session, self._memory)
            if session.spec.lazy and not lazy:
                continue
            if session.known and not lazy:
                # The host can be answered without it: let that be done first. A call starts the server at once.
                self._loop.call_later(KEPT_SECS, session.start)
            else:
                session.start()

    def recall(self) -> None:
        """Know what servers listed last, before whatever host; nothing is started."""
        for session in self._sessions.values():
            known = self._memory.latest(session.spec) if self._memory is not None else None
            if known is not None:
                session.listing, session.known = known[0], True
        self._catalog = None

    async def settled(self, name: str = "") -> None:
        """Wait for servers that are coming up and of which nothing is known.

        For one that `name` (a tool nobody lists) may belong to, as long as a call to it may wait; else for all of them,
        until the time that lists wait is over.
        """
        meant = [session for session in self._sessions.values() if name.startswith(f"{session.name}__")]
        for session in self._sessions.values():
            session.recheck()
            if not session.known and (session in meant or (session.spec.lazy and not name)):
                session.start()
        for session in meant or self._sessions.values():
            patience = session.spec.request_timeout_secs if meant else self._settings.list_wait_secs
            since = self._loop.time() if meant else session.began
            while session.starting and not session.known and (left := since + patience - self._loop.time()) > 0:
                await session.change(left)

    def why_unknown(self, name: str) -> str:
        """What is the matter with the server that `name` seems to belong to, if nothing is known of what it has."""
        for session in self._sessions.values():
            if name.startswith(f"{session.name}__") and not session.known:
                state = "disabled" if not session.spec.enabled else session.life.value
                return f"the server `{session.name}` is {state}" + (f": {session.error}" if session.error else "")
        return ""

    def missing(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Servers of which nothing is known: those still starting, and those that are down."""
        unknown = [s for s in self._sessions.values() if not s.known and s.spec.enabled]
        return tuple(s.name for s in unknown if s.starting), tuple(s.name for s in unknown if not s.starting)

    def ages(self) -> Mapping[str, int]:
        """Milliseconds since each running server listed."""
        return {name: s.run.age_ms for name, s in self._sessions.items() if s.run is not None}

    def facts(self, call: Call) -> Facts:
        """What the catalog knows of the tool that is called."""
        return self.catalog.facts(call.server, call.target) if call.kind == TOOL else NO_FACTS

    def send(self, call: Call) -> Awaitable[Outcome]:
        """Send a call to its server."""
        return self._sessions[call.server].calls.send(call)

    def request(
        self, server: str, method: str, params: Mapping[str, Any], capabilities: Mapping[str, Any], level: str | None
    ) -> Awaitable[Outcome]:
        """Send any other request to a server."""
        return self._sessions[server].calls.request(method, params, capabilities, level)

    def tells_of_resources(self, server: str) -> bool:
        """Whether a server takes subscriptions to its resources, as far as it has said."""
        return self._sessions[server].tells_of_resources

    def follow(self, server: str, uri: str, more: bool) -> Awaitable[Outcome | None]:
        """Subscribe to a server's resource, or unsubscribe."""
        return self._sessions[server].follow(uri, more)

    def rows(self) -> tuple[Row, ...]:
        """What can be said of every configured server, in config order."""
        return tuple(session.row() for session in self._sessions.values())

    def tried(self) -> tuple[Row, ...]:
        """The servers whose first start has come to something, good or bad."""
        return tuple(s.row() for s in self._sessions.values() if s.run is not None or s.error or not s.spec.enabled)

    def set_log_level(self, level: str) -> None:
        """What a handshake host wants to hear of; told to every server now, and to later ones when they are up."""
        self.log_level = level
        for session in self._sessions.values():
            session.set_log_level(level)

    def roots_changed(self) -> None:
        """The host works in other folders now; servers that were told which ones may ask anew."""
        for session in self._sessions.values():
            session.roots_changed()

    @property
    def starting(self) -> bool:
        """True while any server is on its way up."""
        return any(session.starting for session in self._sessions.values())

    # --- the flow of bytes ---

    def hold(self) -> None:
        """The host does not take what it is sent: read nothing more for it."""
        for session in self._sessions.values():
            session.hold()

    def release(self) -> None:
        """Undo `hold`."""
        for session in self._sessions.values():
            session.release()

    # --- the end ---

    async def stop(self, patience: float = 2.0) -> None:
        """End every server, all at the same time; each has twice `patience` seconds to go by itself."""
        if self._saver is not None and self._memory is not None:
            self._saver.cancel()
            self._save(self._memory)
        self.lot.empty("the host has left")
        if self._sessions:
            await asyncio.gather(*(session.stop(patience) for session in self._sessions.values()))

    def kill(self) -> None:
        """End every server's processes at once."""
        for session in self._sessions.values():
            session.kill()

    # --- what runs need and tell (`run.House`) ---

    def launch(self, spec: ServerSpec, run: Run, on_exit: Callable[[int], None]) -> Process:
        """Start the server's process."""
        name = spec.name

        def on_stderr(line: str) -> None:
            # What a server says while it starts is shown when the start fails; some say a lot about our first question.
            (self.log.info if run.ready else self.log.debug)(f"server {name}", line)

        try:
            environment = self._environment(spec)
        except ValueError as error:
            raise ServerUnavailable(name, str(error)) from None
        launch = Launch(name, spec.command, tuple(spec.args), environment, spec.cwd)
        return start(launch, self._loop, self._keeper, on_exit, on_stderr)

    def connect(self, run: Run, process: Process) -> Link:
        """The channel to a process that was just started."""
        return Link(run.name, process, self._loop, self._outbox, self._settings.limits, run)

    def _changed(self, session: Session) -> None:
        """A server came up, ended, or lists something else now."""
        self._catalog = None
        if self._memory is not None and self._saver is None:
            self._saver = self._loop.call_later(SAVE_SECS, self._save, self._memory)
        if not self._announcing:
            self._announcing = True
            self._loop.call_later(ANNOUNCE_SECS, self._announce)

    def _save(self, memory: Memory) -> None:
        """Keep what servers list for the next start, once things are quiet: nobody waits for that."""
        self._saver = None
        for session in self._sessions.values():
            known = session.listing, session.probe
            if session.known and self._remembered.get(session.name) != known:
                self._remembered[session.name] = known
                memory.keep(self._as_shown(session.spec), *known)

    def resource_updated(self, server: str, params: Mapping[str, Any]) -> None:
        """A resource that somebody follows has changed."""
        uri = params.get("uri")
        if self.listener is not None and type(uri) is str:
            self.listener.on_resource(server, uri, params)

    def logged(self, server: str, params: dict[str, Any], wanted: str | None) -> None:
        """A server's log message; `wanted` is the lowest level that a stateless call in flight there asks for."""
        if self.listener is not None:
            self.listener.on_log(server, params, wanted)

    def ask_host(self, question: ServersQuestion) -> HostQuestion | str:
        """Put a server's question to the host; a text where that cannot be done, and why."""
        return "there is no host" if self.listener is None else self.listener.on_question(question)

    def let_go(self, server: str, handle: str) -> None:
        """Give up a parked call, if it is still parked."""
        self._sessions[server].calls.let_go(handle)

    def abandoned(self, server: str, handle: str) -> None:
        """A parked call was given up."""
        self._sessions[server].calls.abandoned(handle)

    def elicitation_complete(self, server: str, params: dict[str, Any]) -> None:
        """What a server asked at a URL has come to its end."""
        if self.listener is not None:
            self.listener.on_elicitation_complete(params)

    def _announce(self) -> None:
        self._announcing = False
        if self.listener is not None:
            self.listener.on_catalog()

    def _as_shown(self, spec: ServerSpec) -> ServerSpec:
        """The server as it is before this host: what it lists may depend on what the host can be asked."""
        shown = sorted(f"{name} {sorted(each)}" for name, each in self.capabilities.items() if isinstance(each, dict))
        return spec._replace(digest=f"{spec.digest} {shown}")

    def _recall(self, session: Session, memory: Memory) -> None:
        known = memory.recall(self._as_shown(session.spec))
        if known is not None:
            self._remembered[session.name] = known
            session.listing, session.known = known[0], True
            if session.spec.protocol == "auto":
                session.probe = known[1]
