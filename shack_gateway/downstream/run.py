"""One run of one server: a process, the link to it, what it said at the start, and what it says of its own accord."""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..catalog.entries import PROMPT, RESOURCE, TOOL, Listing
from ..config.servers import ServerSpec
from ..core.ports import Tell
from ..eras.to_server import Greeting
from ..errors import METHOD_NOT_FOUND, ServerError, ServerGone, ServerSilent
from ..wire import dialect
from ..wire.messages import Notification, Request
from .greet import EndedOnProbe, Greeter
from .link import Link
from .lists import CHANGES, KINDS, Lister
from .process import Process
from .questions import House as QuestionsHouse
from .questions import Questions

LONGEST_PAUSE_SECS = 60.0
"""Between two tries to get a list that the server owes."""
RELIST_SECS = 0.25
"""How far apart two listings are at least, however often a server says that its list changed."""
DEATH_SECS = 0.3
"""How long after the end of its output a server may take to exit before that end itself is the news."""
RECHECK_SECS = 5.0
"""How old the list of a server that announces no changes may be when the host lists."""
_CAPABILITIES = {TOOL: "tools", PROMPT: "prompts", RESOURCE: "resources"}
SETTLE_SECS = 0.1
"""How long to wait after such a word, for others that often come with it."""


class House(QuestionsHouse, Protocol):
    """What a run needs of the fleet around it."""

    client: Mapping[str, Any]
    log_level: str | None
    probe_secs: float
    tell: Tell

    def launch(self, spec: ServerSpec, run: Run, on_exit: Callable[[int], None]) -> Process: ...

    def connect(self, run: Run, process: Process) -> Link: ...

    def resource_updated(self, server: str, params: Mapping[str, Any]) -> None: ...

    def logged(self, server: str, params: dict[str, Any], wanted: str | None) -> None: ...

    def elicitation_complete(self, server: str, params: dict[str, Any]) -> None: ...


class Listener(Protocol):
    """Who keeps the server's runs, and is told what this one comes to."""

    def on_listing(self, listing: Listing) -> None: ...

    def on_updated(self, params: Mapping[str, Any]) -> None: ...

    def on_closed(self) -> None: ...

    def on_acknowledged(self, params: Mapping[str, Any]) -> None: ...


class Run:
    """One process, from its start to its end. `ready` is True between `begin` and the end."""

    def __init__(self, spec: ServerSpec, house: House, loop: asyncio.AbstractEventLoop, listener: Listener) -> None:
        self.spec, self.name = spec, spec.name
        self._house, self._loop, self._listener = house, loop, listener
        self.ended: asyncio.Future[str] = loop.create_future()
        """Settled with how the process ended, or with why it is of no more use."""
        self.ready = False
        self.listing = Listing()
        self.task_tools: frozenset[str] = frozenset()
        """The tools that the server runs as tasks only."""
        self.probe_dropped = self.greeted_again = False
        self._level: str | None = None
        self._listed_at = 0.0
        self._lister: Lister | None = None
        self._stale: set[str] = set()
        self._relister: asyncio.Task[None] | None = None
        # What follows may raise `ServerUnavailable`: then there is no run.
        self.process = house.launch(spec, self, self._exited)
        self.link = house.connect(self, self.process)
        self.link.on_closed = self._output_closed
        self.questions = Questions(self.name, house, self.link, loop)
        self.greeting: Greeting | None = None

    async def begin(self, probe: str) -> None:
        """Greet and list, within the time a start may take; raises `ServerError`, or `EndedOnProbe`."""
        secs = self.spec.start_timeout_secs
        try:
            await asyncio.wait_for(self._begin(probe), secs)
        except asyncio.TimeoutError:
            what = f"downstream server '{self.name}' did not come up within {secs:g} s (`start_timeout_secs`)"
            raise ServerSilent(self.name, what) from None
        self.ready = True
        if self._house.log_level is not None:
            self.set_log_level(self._house.log_level)
        if self._stale:
            self._relist_soon()

    async def _begin(self, probe: str) -> None:
        greeter = self._greeter()
        self.greeting = await greeter.greet(probe)
        self.questions.version = self.greeting.version
        self.probe_dropped = greeter.dropped
        house, patience = self._house, self.spec.request_timeout_secs
        self._lister = Lister(self.link, self.greeting, house.client, patience, self._note)
        self.listing = await self._lister.list(KINDS, Listing())
        self._stale |= self._lister.failed
        self._listed_at = self._loop.time()
        self._note_tasks()

    def _note_tasks(self) -> None:
        greeting = self.greeting
        runs_tasks = greeting is not None and not greeting.stateless and "tasks" in greeting.capabilities
        needing = [item.target for item in self.listing.tools if item.needs_task] if runs_tasks else []
        self.task_tools = frozenset(needing)

    async def greet_again(self) -> None:
        """It refuses the revision it was greeted in (-32022): find out, once, what it speaks now."""
        self.greeted_again = True
        try:
            self.greeting = await self._greeter().greet("auto")
        except (ServerError, EndedOnProbe) as error:
            self._note(f"changed its protocol and could not be greeted again: {error}")

    async def put_away(self, why: str, patience: float) -> None:
        """Settle what is open, then end the process and all that it started."""
        self.give_up(why)
        await self.process.close(patience, patience)

    def give_up(self, why: str) -> None:
        """Settle what is open: nothing can be asked any more."""
        self.ready = False
        if self._relister is not None:
            self._relister.cancel()
        self.questions.close()
        self.link.close(ServerGone(self.name, f"downstream server '{self.name}' {why}"))

    def stderr(self) -> tuple[str, ...]:
        """The last lines on standard error."""
        return tuple(self.process.stderr_tail().splitlines()[-10:])

    @property
    def age_ms(self) -> int:
        """How long ago the server was last asked for its lists."""
        return int((self._loop.time() - self._listed_at) * 1000)

    def recheck(self) -> None:
        """List anew what the server would not tell us of, if the last look is old enough."""
        if self.greeting is None or self._loop.time() < self._listed_at + max(RECHECK_SECS, self.listing.ttl_ms / 1000):
            return
        for told in CHANGES.values():
            offered = self.greeting.capabilities.get(_CAPABILITIES[told[0]])
            if not (isinstance(offered, dict) and offered.get("listChanged") is True):
                self._stale.update(told)
        if self._stale and self.ready:
            self._listed_at = self._loop.time()
            self._relist_soon()

    def set_log_level(self, level: str) -> None:
        """Tell a handshake server which messages are wanted; one that has no `logging` is left alone."""
        if self.greeting is None or self.greeting.stateless or "logging" not in self.greeting.capabilities:
            return
        self._level = level
        try:
            self.link.ask("logging/setLevel", {"level": level}, self.spec.request_timeout_secs)
        except ServerError:
            return  # the link has just closed; the next run is told anew

    def lower_log_level(self, level: str) -> None:
        """A stateless host wants messages of one call: have the server send them (filtered on the way back)."""
        if self._level is None or (self._level != level and dialect.level_reaches(self._level, level)):
            self.set_log_level(level)

    def _greeter(self) -> Greeter:
        house = self._house
        return Greeter(
            self.link, house.client, house.capabilities,
            start_secs=self.spec.start_timeout_secs, probe_secs=house.probe_secs,
        )

    def _exited(self, code: int) -> None:
        self._end(f"it was killed by signal {-code}" if code < 0 else f"it ended with exit code {code}")
        self.give_up("closed before responding")

    def _output_closed(self) -> None:
        """Most servers that close their output are ending: give them a moment to say how."""
        self._listener.on_closed()
        self._loop.call_later(DEATH_SECS, self._end, "it closed its output")

    def _end(self, how: str) -> None:
        if not self.ended.done():
            self.ended.set_result(how)

    # --- what the server says of its own accord ---

    def on_request(self, request: Request) -> None:
        """Answer a `ping`, and see that questions are answered; a stateless server has no business to ask this way."""
        if request.method == "ping":
            self.link.answer(request, {})
        elif self.greeting is not None and self.greeting.stateless:
            self.link.refuse(request, METHOD_NOT_FOUND, f"method not found: {request.method[:200]}")
        else:
            self.questions.on_request(request)

    def on_notification(self, notification: Notification) -> None:
        """Changed lists are listed anew, messages and updates go to the fleet, what we do not know is dropped."""
        method, params = notification.method, notification.params
        if method in CHANGES:
            self._stale.update(CHANGES[method])
            if self.ready:
                self._relist_soon()
        elif method == "notifications/message":
            levels = {q.level for q in self.link.peer.asked.values() if q.level is not None}
            self._house.logged(self.name, params, min(levels, key=dialect.LOG_LEVELS.index, default=None))
        elif method == "notifications/resources/updated":
            self._listener.on_updated(params)
        elif method == "notifications/subscriptions/acknowledged":
            self._listener.on_acknowledged(params)
        elif method == "notifications/cancelled":
            self.questions.on_cancelled(params.get("requestId"))
        elif method == "notifications/elicitation/complete" and self.questions.is_page(params.get("elicitationId")):
            self._house.elicitation_complete(self.name, params)

    def on_noise(self, what: str) -> None:
        """A line that is no message."""
        self._house.log.debug(self.name, what)

    def _note(self, text: str) -> None:
        self._house.log.warning(self.name, text)

    def _relist_soon(self) -> None:
        if self._relister is None or self._relister.done():
            self._relister = self._loop.create_task(self._relist(), name=f"list {self.name}")

    async def _relist(self) -> None:
        """List anew what is out of date, as often as that happens, but not without pause; what fails is tried again."""
        await asyncio.sleep(SETTLE_SECS)
        pause = RELIST_SECS
        while self._stale and self.ready and self._lister is not None:
            stale, self._stale, before = self._stale, set(), self.listing
            try:
                self.listing = await self._lister.list([kind for kind in KINDS if kind in stale], before)
            except ServerError as error:
                self._note(f"could not be listed anew: {error.what}")
                return
            if self.listing != before:
                self._note_tasks()
                self._listener.on_listing(self.listing)
            self._stale |= self._lister.failed
            pause = min(pause * 2, LONGEST_PAUSE_SECS) if self._lister.failed else RELIST_SECS
            await asyncio.sleep(pause)
