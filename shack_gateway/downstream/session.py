"""One configured server over all its runs: start, greet, list, serve, restart.

Rule 1: one task keeps the server's life; nobody else moves its state.
Rule 2: whatever waits for the server to become ready is woken when it does, when it fails, and when its time is over.
Rule 3: what this server does, or fails to do, is told to the fleet and touches no other server.
"""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from ..catalog.entries import Listing
from ..config.servers import ServerSpec
from ..errors import (
    METHOD_NOT_FOUND,
    Cancelled,
    RequestError,
    ServerError,
    ServerGone,
    ServerUnavailable,
)
from ..eras.to_server import METHODS, Greeting, call_params, outcome, own_meta
from ..log import Log
from ..pipeline.call import Call, Complete, Failed, Outcome
from ..slot import Slot
from ..wire import dialect
from ..wire.messages import ErrorAnswer, Notification, Request
from ..wire.peer import Answer, Question
from .greet import EndedOnProbe, Greeter
from .life import Life, delay, move, restarts_after
from .link import Link
from .lists import CHANGES, KINDS, Lister
from .process import Process
from .subscriptions import Subscriptions

RELIST_SECS = 0.25
"""How far apart two listings are at least, however often a server says that its list changed."""
SETTLE_SECS = 0.1
"""How long to wait after such a word, for others that often come with it."""
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


class House(Protocol):
    """What a session needs of the fleet around it."""

    client: Mapping[str, Any]
    capabilities: Mapping[str, Any]
    roots: list[dict[str, Any]]
    log_level: str | None
    log: Log
    probe_secs: float

    def launch(self, session: Session, on_exit: Callable[[int], None]) -> Process: ...

    def connect(self, session: Session, process: Process) -> Link: ...

    def listed(self, session: Session) -> None: ...

    def resource_updated(self, server: str, params: Mapping[str, Any]) -> None: ...

    def logged(self, server: str, params: dict[str, Any]) -> None: ...


class Session:
    """One server of the configuration. `link` is there exactly while the server is ready."""

    def __init__(self, spec: ServerSpec, house: House, loop: asyncio.AbstractEventLoop) -> None:
        self.spec, self._house, self._loop = spec, house, loop
        self.name = spec.name
        self.life = Life.STOPPED
        self.listing = Listing()
        self.known = False
        """True when `listing` says what the server has, be it from an earlier run."""
        self.greeting: Greeting | None = None
        self.error = spec.down
        self.start_secs = 0.0
        self.link: Link | None = None
        self.subscriptions = Subscriptions(loop, house.client, spec.request_timeout_secs)
        self.probe: str = spec.protocol
        self._wire: Link | None = None
        self._process: Process | None = None
        self._stderr: tuple[str, ...] = ()
        self._keeper: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._relister: asyncio.Task[None] | None = None
        self._stale: set[str] = set()
        self._waiting: list[Slot[None]] = []
        self._wake_at = 0.0
        self._level: str | None = None
        self._ending = self._held = False

    # --- what others ask ---

    @property
    def starting(self) -> bool:
        """True while the server is on its way up for the first time, or again after an end."""
        return self.life is Life.STARTING or (self.life is Life.BACKOFF and self._wake_at - self._loop.time() < SHORT_WAIT_SECS)

    def row(self) -> Row:
        """What can be said of the server now."""
        greeting = self.greeting
        era = "" if greeting is None else "stateless" if greeting.stateless else "handshake"
        state = self.life.value if self.spec.enabled else "disabled"
        return Row(
            self.name, "down" if self.spec.down else state, era, greeting.version if greeting else "", len(self.listing.tools),
            self.error, self.start_secs, tuple(self._process.stderr_tail().splitlines()[-10:]) if self._process else self._stderr,
        )

    async def send(self, call: Call) -> Outcome:
        """Send a call to the server and wait for what comes of it; never raises an `Exception`."""
        spec = self.spec
        patience = spec.tool_timeouts.get(call.target, spec.request_timeout_secs)
        try:
            answer = await self._ask(call, patience)
            if isinstance(answer, ErrorAnswer) and answer.code == -32022:
                await self._greet_again(patience)
                answer = await self._ask(call, patience)
        except ServerError as error:
            return Failed("server", f"downstream error: {error.what}", server=self.name, reason=error.reason)
        except RequestError as error:
            return Failed(error.kind, error.what, server=self.name)
        return outcome(answer, call, self.greeting is not None and self.greeting.stateless)

    async def _ask(self, call: Call, patience: float) -> Answer:
        link = self.link or await self.ready(patience)
        context, stateless = call.context, self.greeting is not None and self.greeting.stateless
        client = self._house.client
        if context.log_level is not None and not stateless:
            self._lower_level(context.log_level)
        question = link.ask(
            METHODS[call.kind], lambda id: call_params(call, stateless, client, id), patience,
            limit=self.spec.max_call_secs, progress=context.progress,
        )
        question.log = context.log
        try:
            return await question
        except Cancelled:
            link.cancel(question, "the host cancelled the request")
            raise

    async def request(self, method: str, params: Mapping[str, Any], capabilities: Mapping[str, Any], level: str | None) -> Outcome:
        """Any other request (`completion/complete`); as `send`, but without arguments that a stage would judge."""
        try:
            link = self.link or await self.ready(self.spec.request_timeout_secs)
            stateless = self.greeting is not None and self.greeting.stateless
            found = dict(params)
            meta = dialect.forwarded_meta(found.pop("_meta", None))
            if stateless:
                meta.update(own_meta(self._house.client, capabilities, level))
            if meta:
                found["_meta"] = meta
            answer = await self._settled(link, link.ask(method, lambda id: found, self.spec.request_timeout_secs))
        except ServerError as error:
            return Failed("server", f"downstream error: {error.what}", server=self.name, reason=error.reason)
        except RequestError as error:
            return Failed(error.kind, error.what, server=self.name)
        if isinstance(answer, ErrorAnswer):
            return Failed("server", answer.message, server=self.name, code=answer.code, data=answer.data)
        return Complete(answer.body, server=self.name, stateless=stateless, shape=answer.value)

    async def follow(self, uri: str, more: bool) -> Outcome | None:
        """Subscribe to (`more`) or unsubscribe from a resource; None when the server has nothing against it."""
        try:
            link = self.link or await self.ready(self.spec.request_timeout_secs)
            question = self.subscriptions.add(uri) if more else self.subscriptions.drop(uri)
            if question is None:
                return None
            answer = await self._settled(link, question)
        except ServerError as error:
            return Failed("server", f"downstream error: {error.what}", server=self.name, reason=error.reason)
        if isinstance(answer, ErrorAnswer) and more:
            self.subscriptions.drop(uri)
        return Failed("server", answer.message, server=self.name, code=answer.code, data=answer.data) if isinstance(answer, ErrorAnswer) else None

    async def _settled(self, link: Link, question: Question) -> Any:
        try:
            answer = await question
        except Cancelled:
            link.cancel(question, "the host cancelled the request")
            raise
        if isinstance(answer, ServerError):
            raise answer
        return answer

    async def ready(self, secs: float) -> Link:
        """Wait until the server can be asked; raises `ServerUnavailable` when it cannot be within `secs`."""
        self.start()
        if self.starting:
            await self.change(secs)
        if self.link is None:
            why = self.error or f"it is still {self.life.value}"
            raise ServerUnavailable(self.name, f"downstream server '{self.name}' is not available: {why}")
        return self.link

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

    def hold(self) -> None:
        """Read nothing more from the server: the host does not take what it is sent."""
        self._held = True
        if self._wire is not None:
            self._wire.hold("host")

    def release(self) -> None:
        """Undo `hold`."""
        self._held = False
        if self._wire is not None:
            self._wire.release("host")

    def set_log_level(self, level: str) -> None:
        """Tell a handshake server which messages are wanted; one that has no `logging` is left alone."""
        link, greeting = self.link, self.greeting
        if link is None or greeting is None or greeting.stateless or "logging" not in greeting.capabilities:
            return
        self._level = level
        try:
            link.ask("logging/setLevel", lambda id: {"level": level}, self.spec.request_timeout_secs)
        except ServerError:
            return  # the link has just closed; the next run is told anew

    def _lower_level(self, level: str) -> None:
        """A stateless host wants messages of one call: see to it that the server sends them (filtered on the way back)."""
        if self._level is None or dialect.level_reaches(self._level, level) and self._level != level:
            self.set_log_level(level)

    # --- life ---

    def start(self) -> None:
        """Bring the server up, unless it is on its way, or cannot be started at all."""
        if self.spec.down or not self.spec.enabled or self._ending or (self._keeper is not None and not self._keeper.done()):
            return
        self._move("start")
        self._keeper = self._loop.create_task(self._keep(), name=f"keep {self.name}")

    async def stop(self) -> None:
        """End the server and everything that waits for it; it is not started again."""
        self._ending = True
        for task in (self._keeper, self._relister):
            if task is not None:
                task.cancel()
        self._put_away(ServerGone(self.name, f"downstream server '{self.name}' was stopped: the gateway is shutting down"))
        tasks = [t for t in (self._keeper, self._relister, *self._tasks) if t is not None]
        if tasks:
            await asyncio.wait(tasks)
        self._move("stop")
        self._wake()

    def kill(self) -> None:
        """End the server's processes at once."""
        if self._process is not None:
            self._process.kill()

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
            ready_secs, hopeless = await self._run()
            failed = 0 if ready_secs else failed + 1
            if hopeless or failed >= MOST_FAILED_STARTS:
                self._move("gave up")
                self._house.log.error(self.name, f"given up: {self.error}")
                break
            restarts = restarts_after(restarts, ready_secs)
            self._move("exited")
            self._wake_at = self._loop.time() + delay(restarts)
            if failed:
                self._wake()
            self._house.listed(self)
            await asyncio.sleep(delay(restarts))
            restarts += 1
            self._move("start")
        self._wake()
        self._house.listed(self)

    async def _run(self) -> tuple[float, bool]:
        """One process, from its start to its end: how many seconds it was ready, and whether another try is no use."""
        began, ready = self._loop.time(), 0.0
        ended: asyncio.Future[str] = self._loop.create_future()

        def end(how: str) -> None:
            if not ended.done():
                ended.set_result(how)

        hopeless = False
        try:
            self._process = self._house.launch(self, lambda code: self._exited(code, end))
            link = self._wire = self._house.connect(self, self._process)
            link.on_closed = lambda: end("it closed its output")
            if self._held:
                link.hold("host")
            greeter = self._greeter(link)
            greeting = self.greeting = await greeter.greet(self.probe)
            if greeter.dropped:
                self.probe = "handshake"
            self.listing = await Lister(link, greeting, self._house.client, self.spec.request_timeout_secs, self._note).list(KINDS, Listing())
            self._serve(link, greeting, began)
            ready = self._loop.time()
            self.error = f"downstream server '{self.name}' ended: {await ended}"
            self._house.log.warning(self.name, self.error)
        except EndedOnProbe:
            self.probe = "handshake"  # start again and ask nothing: some servers end at a request they do not know
        except ServerError as error:
            hopeless = isinstance(error, ServerUnavailable)
            self.error = error.what if not ended.done() else f"downstream server '{self.name}' ended while starting: {ended.result()}"
            self._house.log.warning(self.name, f"did not start: {self.error}")
        finally:
            self._put_away(ServerGone(self.name, f"downstream server '{self.name}' closed before responding"))
        return (max(self._loop.time() - ready, 1e-3) if ready else 0.0), hopeless

    def _greeter(self, link: Link) -> Greeter:
        house = self._house
        return Greeter(link, house.client, house.capabilities, start_secs=self.spec.start_timeout_secs, probe_secs=house.probe_secs)

    def _serve(self, link: Link, greeting: Greeting, began: float) -> None:
        """The server is ready: tell it what the host wanted meanwhile, and everybody that it is."""
        self.link, self._level, self.error, self.known = link, None, "", True
        self.start_secs = self._loop.time() - began
        self._move("greeted")
        if self._house.log_level is not None:
            self.set_log_level(self._house.log_level)
        self.subscriptions.attach(link, greeting)
        self._wake()
        self._house.listed(self)
        if self._stale:
            self._relist_soon()

    def _exited(self, code: int, end: Callable[[str], None]) -> None:
        end(f"it was killed by signal {-code}" if code < 0 else f"it ended with exit code {code}")
        if self._wire is not None:
            self._wire.close(ServerGone(self.name, f"downstream server '{self.name}' closed before responding"))

    def _put_away(self, why: ServerError) -> None:
        """Settle what is open and end the process behind it, without waiting for that."""
        self.link = None
        self.subscriptions.detach()
        wire, self._wire = self._wire, None
        process, self._process = self._process, None
        if wire is not None:
            wire.close(why)
        if process is not None:
            self._stderr = tuple(process.stderr_tail().splitlines()[-10:])
            self._spawn(process.close())

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _greet_again(self, secs: float) -> None:
        """The server refused our revision in the middle of its life (-32022): find out what it speaks now."""
        link, slot = self.link, Slot[None]()
        if link is None:
            return

        async def greet() -> None:
            try:
                self.greeting = await self._greeter(link).greet("auto")
            except (ServerError, EndedOnProbe) as error:
                self._note(f"changed its protocol and could not be greeted again: {error}")
            finally:
                slot.settle(None)

        self._spawn(greet())
        await slot

    # --- what the server says of its own accord ---

    def on_request(self, request: Request) -> None:
        """Answer the server at once. Questions to the user are declined until they can be carried to the host."""
        link, method = self._wire, request.method
        if link is None:
            return
        declared = self._house.capabilities
        if method == "ping":
            link.answer(request, {})
        elif method == "roots/list":
            link.answer(request, {"roots": self._house.roots})
        elif method == "elicitation/create" and "elicitation" in declared:
            link.answer(request, {"action": "cancel"})
        elif method == "sampling/createMessage" and "sampling" in declared:
            link.refuse(request, -1, "The request for sampling was rejected.")
        else:
            link.refuse(request, METHOD_NOT_FOUND, f"method not found: {method[:200]}")

    def on_notification(self, notification: Notification) -> None:
        """Changed lists are listed anew, messages and updates go to the fleet, what we do not know is dropped."""
        method, params = notification.method, notification.params
        if method in CHANGES:
            self._stale.update(CHANGES[method])
            if self.link is not None:
                self._relist_soon()
        elif method == "notifications/message":
            self._on_message(params)
        elif method == "notifications/resources/updated":
            self._house.resource_updated(self.name, params)
        elif method == "notifications/subscriptions/acknowledged":
            self.subscriptions.acknowledged(params)

    def on_noise(self, what: str) -> None:
        """A line that is no message."""
        self._house.log.debug(self.name, what)

    def _note(self, text: str) -> None:
        self._house.log.warning(self.name, text)

    def _on_message(self, params: dict[str, Any]) -> None:
        self._house.logged(self.name, params)
        if self._wire is not None:
            for log in {q.log for q in self._wire.peer.asked.values() if q.log is not None}:
                log(self.name, params)

    def _relist_soon(self) -> None:
        if self._relister is None or self._relister.done():
            self._relister = self._loop.create_task(self._relist(), name=f"list {self.name}")

    async def _relist(self) -> None:
        """List anew what is out of date, as often as that happens, but not without pause."""
        await asyncio.sleep(SETTLE_SECS)
        while self._stale and self.link is not None and self.greeting is not None:
            stale, self._stale = self._stale, set()
            lister = Lister(self.link, self.greeting, self._house.client, self.spec.request_timeout_secs, self._note)
            try:
                self.listing = await lister.list([kind for kind in KINDS if kind in stale], self.listing)
            except ServerError as error:
                self._note(f"could not be listed anew: {error.what}")
                return
            self._house.listed(self)
            await asyncio.sleep(RELIST_SECS)
