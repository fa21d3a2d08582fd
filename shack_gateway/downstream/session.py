"""One configured server over all its runs: started, asked, restarted, ended.

Rule 1: one task keeps the server's life; nobody else moves its state.
Rule 2: whatever waits for the server to become ready is woken when it does, when it fails, and when its time is over.
Rule 3: what this server does, or fails to do, is told to the fleet and touches no other server.
"""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ..catalog.entries import Listing
from ..config.servers import ServerSpec
from ..eras.to_server import Greeting
from ..errors import Cancelled, ServerError, ServerGone, ServerUnavailable
from ..pipeline.call import Outcome
from ..record import NamedTuple
from ..slot import Slot
from ..wire.messages import ErrorAnswer
from .calls import Calls, answer_of, failed
from .greet import EndedOnProbe
from .life import Life, delay, move, restarts_after
from .run import House, Run
from .subscriptions import Subscriptions

MOST_FAILED_STARTS = 5
"""Starts in a row that led to nothing before a server is left alone until somebody calls it."""
SHORT_WAIT_SECS = 1.0
"""A call waits for a restart that is at most this far away; else it fails at once."""


class Row(NamedTuple):
    """What can be said of a server; never a value of its environment."""

    server: str
    state: str
    era: str
    version: str
    tools: int
    error: str
    seconds: float
    stderr: tuple[str, ...]


class Session:
    """One server of the configuration. `run` is there exactly while the server is ready."""

    def __init__(
        self, spec: ServerSpec, house: House, loop: asyncio.AbstractEventLoop, on_change: Callable[[Session], None]
    ) -> None:
        self.spec, self._house, self._loop, self._on_change = spec, house, loop, on_change
        self.name = spec.name
        self.life = Life.STOPPED
        self.listing = Listing()
        self.known = False
        """True when `listing` says what the server has, be it from an earlier run."""
        self.error = spec.down
        self.began = 0.0
        """When the server was last begun to be brought up."""
        self.probe: str = spec.protocol
        self.run: Run | None = None
        self._current: Run | None = None
        self._leaving: set[Run] = set()
        self._last: tuple[Greeting | None, tuple[str, ...]] = (None, ())
        self._start_secs = 0.0
        self._subscriptions = Subscriptions(loop, house.client, spec.request_timeout_secs)
        self._keeper: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting: list[Slot[None]] = []
        self._wake_at = 0.0
        self._ending = self._held = False
        self.calls = Calls(spec, house, self, loop)

    # --- what others ask ---

    @property
    def starting(self) -> bool:
        """True while the server is on its way up, for the first time or again."""
        soon = self.life is Life.BACKOFF and self._wake_at - self._loop.time() < SHORT_WAIT_SECS
        return soon or self.life is Life.STARTING

    @property
    def tells_of_resources(self) -> bool:
        """True when the server says that resources can be subscribed to, or is not up and has said nothing."""
        greeting = self.run.greeting if self.run is not None else None
        offered = greeting.capabilities.get("resources") if greeting is not None else {"subscribe": True}
        return isinstance(offered, dict) and offered.get("subscribe") is True

    @property
    def instructions(self) -> str:
        """What the server says of itself to the model."""
        greeting = self.run.greeting if self.run is not None else None
        return greeting.instructions if greeting is not None else ""

    def row(self) -> Row:
        """What can be said of the server now."""
        greeting, stderr = (self._current.greeting, self._current.stderr()) if self._current else self._last
        era = "" if greeting is None else "stateless" if greeting.stateless else "handshake"
        state = "disabled" if not self.spec.enabled else "down" if self.spec.down else self.life.value
        version = greeting.version if greeting is not None else ""
        return Row(self.name, state, era, version, len(self.listing.tools), self.error, self._start_secs, stderr)

    async def follow(self, uri: str, more: bool) -> Outcome | None:
        """Subscribe to (`more`) or unsubscribe from a resource; None when the server has nothing against it."""
        try:
            run = self.run or await self.ready(self.spec.request_timeout_secs)
            question = self._subscriptions.add(uri) if more else self._subscriptions.drop(uri)
            if question is None:
                return None
            answer = await answer_of(run, question)
        except ServerError as error:
            return failed(self.name, error)
        except Cancelled:
            if more:
                self._subscriptions.drop(uri)
            raise
        if isinstance(answer, (ServerError, ErrorAnswer)):
            if more:
                self._subscriptions.drop(uri)
            return failed(self.name, answer)
        return None

    async def ready(self, secs: float) -> Run:
        """Wait until the server can be asked; raises `ServerUnavailable` when it cannot be within `secs`."""
        self.start()
        if self.starting or self._current is not None:
            await self.change(secs)
        if self.run is None:
            why = self.error or f"it is still {self.life.value}"
            raise ServerUnavailable(self.name, f"downstream server '{self.name}' is not available: {why}")
        return self.run

    async def change(self, secs: float) -> None:
        """Wait until the server is ready, or has failed to become so, or `secs` are over."""
        slot: Slot[None] = Slot()
        self._waiting.append(slot)
        timer = self._loop.call_later(secs, slot.settle, None)
        try:
            await slot
        finally:
            timer.cancel()
            if slot in self._waiting:
                self._waiting.remove(slot)

    def recheck(self) -> None:
        """The host lists: look whether a server that does not tell of changes lists something else by now."""
        if self.run is not None:
            self.run.recheck()

    def set_log_level(self, level: str) -> None:
        """Tell the server which messages are wanted, now if it is ready; a later run asks the house."""
        if self.run is not None:
            self.run.set_log_level(level)

    def roots_changed(self) -> None:
        """The host's folders have changed: a handshake server that runs is told so."""
        if self.run is not None and self.run.greeting is not None and not self.run.greeting.stateless:
            self.run.link.tell("notifications/roots/list_changed")

    def hold(self) -> None:
        """Read nothing more from the server: the host does not take what it is sent."""
        self._held = True
        if self._current is not None:
            self._current.link.hold("host")

    def release(self) -> None:
        """Undo `hold`."""
        self._held = False
        if self._current is not None:
            self._current.link.release("host")

    # --- life ---

    def start(self) -> None:
        """Bring the server up, unless it is on its way, or cannot be started at all."""
        kept = self._keeper is not None and not self._keeper.done()
        if kept or self._ending or self.spec.down or not self.spec.enabled:
            return
        self._move("start")
        self.began = self._loop.time()
        self._keeper = self._loop.create_task(self._keep(), name=f"keep {self.name}")

    async def stop(self, patience: float) -> None:
        """End the server and everything that waits for it; it is not started again. It has `patience` seconds to leave
        when its input ends, and as many again when it is told to."""
        self._ending = True
        if self._keeper is not None:
            self._keeper.cancel()
        if self._current is not None:
            self._tell("stopped")
        self._put_away("was stopped: the gateway is shutting down", patience)
        tasks = [task for task in (self._keeper, *self._tasks) if task is not None]
        if tasks:
            await asyncio.wait(tasks)
        self._move("stop")
        self._wake()

    def kill(self) -> None:
        """End the server's processes at once."""
        for run in (self._current, *self._leaving):
            if run is not None:
                run.process.kill()

    def on_listing(self, listing: Listing) -> None:
        """The server lists something else now."""
        self.listing = listing
        self._on_change(self)

    def on_updated(self, params: Mapping[str, Any]) -> None:
        """A resource has changed that somebody follows."""
        if self._subscriptions.counts(params):
            self._house.resource_updated(self.name, params)

    def on_acknowledged(self, params: Mapping[str, Any]) -> None:
        """The server acknowledged what it is to tell us of."""
        self._subscriptions.acknowledged(params)

    def on_closed(self) -> None:
        """The run can be asked no more; who asks from now on waits for the next one."""
        self.run = None

    def _tell(self, what: str, **facts: Any) -> None:
        self._house.tell("server", {"server": self.name, "what": what, **facts})

    def _move(self, event: str) -> None:
        self.life = move(self.life, event)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for slot in waiting:
            slot.settle(None)

    async def _keep(self) -> None:
        """The server's life from here until it is given up: run, wait a little, run again."""
        restarts = failed = 0
        while not self._ending:
            ready_secs, hopeless = await self._one_run()
            failed = 0 if ready_secs else failed + 1
            if hopeless or failed >= MOST_FAILED_STARTS:
                self._move("gave up")
                self.known, self.listing = False, Listing()  # what it listed in better days is of no use to anybody
                self._house.log.error(self.name, f"given up: {self.error}")
                self._tell("given up", why=self.error)
                break
            restarts = restarts_after(restarts, ready_secs)
            self._move("exited")
            self._wake_at = self._loop.time() + delay(restarts)
            self._on_change(self)
            if (failed and self.error) or not self.starting:
                self._wake()
            await asyncio.sleep(delay(restarts))
            restarts += 1
            self._move("start")
        self._on_change(self)
        self._wake()

    async def _one_run(self) -> tuple[float, bool]:
        """One process, from start to end: for how many seconds it was ready, and whether another try is no use."""
        began, ready, hopeless = self._loop.time(), 0.0, False
        try:
            run = self._current = Run(self.spec, self._house, self._loop, self)
            self._tell("started")
            if self._held:
                run.link.hold("host")
            await run.begin(self.probe)
            ready = self._loop.time()
            self._start_secs = ready - began
            self._serve(run)
            self.error = f"downstream server '{self.name}' ended: {await run.ended}"
            self._house.log.warning(self.name, self.error)
            self._tell("crashed", why=self.error)
        except EndedOnProbe:
            self.probe = "handshake"  # start again and ask nothing: some servers end at a request they do not know
        except ServerError as error:
            hopeless = isinstance(error, ServerUnavailable)
            self.error = await self._why(error)
            self._house.log.warning(self.name, f"did not start: {self.error}")
            self._tell("did not start", why=self.error)
            for line in self._current.stderr() if self._current is not None else ():
                self._house.log.warning(f"server {self.name}", line)
        except Exception as error:  # a fault of ours: the server is as good as not started, and the others go on
            self.error = f"downstream server '{self.name}' could not be brought up: {error!r}"
            self._house.log.error(self.name, self.error)
        finally:
            self._put_away("closed before responding")
        return (max(self._loop.time() - ready, 1e-3) if ready else 0.0), hopeless

    async def _why(self, error: ServerError) -> str:
        """Why the server did not come up; how it ended says more than what it thereby failed to answer."""
        run = self._current
        if run is not None and isinstance(error, ServerGone):
            await run.ended
            return f"downstream server '{self.name}' ended while starting: {run.ended.result()}"
        return str(error)

    def _serve(self, run: Run) -> None:
        """The server is ready: let everybody at it who waited."""
        self.run, self.listing, self.known, self.error = run, run.listing, True, ""
        if run.probe_dropped:
            self.probe = "handshake"
        self._move("greeted")
        if run.greeting is not None:
            self._subscriptions.attach(run.link, run.greeting)
        row = self.row()
        self._tell("ready", era=row.era, version=row.version, tools=row.tools, ms=round(self._start_secs * 1000))
        self._on_change(self)  # before those who waited look into the catalog
        self._wake()

    def _put_away(self, why: str, patience: float = 2.0) -> None:
        """End the run that is, and let its process go behind our back."""
        run, self.run, self._current = self._current, None, None
        self._subscriptions.detach()
        if run is not None:
            self._last = run.greeting, run.stderr()
            self._leaving.add(run)
            self._spawn(run.put_away(why, patience)).add_done_callback(lambda task: self._leaving.discard(run))

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def aside(self, work: Any) -> Slot[None]:
        """Let a task do `work`, and wait for it in a slot."""
        slot: Slot[None] = Slot()
        self._spawn(work).add_done_callback(lambda task: slot.settle(None))
        return slot
