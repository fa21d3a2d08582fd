"""The composition root: builds everybody, wires everybody, and sees to the end.  No logic of its own."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from . import __version__
from .catalog.entries import Catalog
from .catalog.uris import quote
from .config.fields import defaults
from .config.keys import JOURNAL
from .config.load import Config
from .config.servers import environment
from .core.gateway import Gateway
from .core.ports import nobody
from .core.questions import Questions
from .downstream.fleet import Fleet, Settings
from .downstream.guard import Guard
from .downstream.link import Limits
from .eras.to_host import Voice
from .host.session import HostSession
from .host.stdio import stderr_fd, take
from .log import Log, redactor
from .pipeline.approval import Office
from .pipeline.chain import Chain, Ports, Stage
from .pipeline.stages import HOOKS, LIMITS, ORDER, PERMISSIONS, PROFILES, masking
from .pipes import Outbox, Reader, Writer
from .record import NamedTuple
from .resolve import realpath
from .shell import Shell
from .slot import Drive, Slot
from .store.approvals import Approvals
from .store.catalog_cache import CatalogCache
from .store.journal import MOMENT_SECS, Journal, configuration
from .store.journal_file import Book, Bounds
from .store.journal_rows import Rows, suspicion
from .store.paths import state_folder

if TYPE_CHECKING:
    from .catalog.shaping import Shape
    from .pipeline.results import Results

NAME = "shack-gateway"
PATIENCE, HURRY = 2.0, 0.5
"""Seconds that servers have to leave, twice; the second when a signal says that the host will not wait any longer."""
FLUSH_SECS = 1.0
"""How long the host may read nothing of our last answers before we leave."""


T = TypeVar("T")

END_OF_INPUT = "end of input"
COLLECT = 10_000, 20, 20
"""When the collector looks for cycles, of which a call leaves none: Python's 700 costs a microsecond a call."""


class House:
    """What serving, `check --connect` and `explain` have in common: the servers, and what they and stages need."""

    def __init__(self, config: Config, environ: Mapping[str, str], loop: asyncio.AbstractEventLoop, log: Log) -> None:
        settings = config.settings
        self.loop, self.log = loop, log
        self.outbox = Outbox(loop)
        self.guard = Guard(environ)
        self.shell = Shell(loop, self.guard, environ)
        folder = state_folder(environ) if settings["catalog_cache"] else ""
        root = config.workspace_root
        self.fleet = Fleet(
            config.servers,
            Settings(
                root,
                {"name": NAME, "version": __version__},
                settings["list_wait_secs"],
                settings["probe_timeout_secs"],
                Limits(settings["max_server_line_bytes"], settings["max_open_calls"]),
                settings["max_tool_name"],
                settings["question_secs"],
                settings["max_parked_calls"],
            ),
            loop,
            self.outbox,
            self.guard,
            log,
            lambda spec: environment(spec, environ),
            [{"uri": file_uri(each), "name": os.path.basename(each) or each} for each in roots(config)],
            CatalogCache(folder, log) if folder else None,
            shape(config),
        )

    def ports(self, config: Config, environ: Mapping[str, str], office: Office | None) -> Ports:
        """What stages need of the world."""
        return Ports(
            config.workspace_root,
            realpath,
            self.shell.run,
            lambda level, text: getattr(self.log, level)("pipeline", text),
            {spec.name: realpath(spec.cwd) for spec in config.servers if spec.cwd},
            tuple(os.path.realpath(ours) for ours in (state_folder(environ), config.path) if ours),
            office,
            self.fleet.facts,
            home(environ),
            sys.platform in ("win32", "darwin"),
            self.loop.time,
            environ.get("CLAUDE_CODE_SESSION_ID") or os.urandom(8).hex(),
        )

    async def close(self, patience: float = PATIENCE) -> None:
        """End everything that was started; servers have twice `patience` seconds to go by themselves."""
        self.shell.close()
        await self.fleet.stop(patience)
        self.guard.close()


def roots(config: Config) -> list[str]:
    """The folders that servers are told of: those that the sandbox lets paths lead to."""
    section = config.settings["sandbox"] or {}
    further = (*section.get("extra_roots", ()), *section.get("read_only_roots", ()))
    return list(dict.fromkeys((config.workspace_root, *further)))


def file_uri(path: str) -> str:
    """`file://` URI of an absolute path (RFC 8089)."""
    parts = [quote(part) for part in path.replace(os.sep, "/").split("/")]
    drive = parts[0].replace("%3A", ":")
    return "file://" + ("/" if drive else "") + "/".join([drive, *parts[1:]])


def stages(config: Config, ports: Ports) -> list[tuple[str, Stage | None]]:
    """The stages by name, in their order; none for what the configuration gives nothing to do."""
    settings = config.settings
    return [(file.name, file.build(settings, ports) if file.is_wanted(settings) else None) for file in ORDER]


def shape(config: Config) -> Shape | None:
    """What the owner wants seen of the servers; None where that is everything."""
    settings, own = config.settings, {spec.name: spec.shape for spec in config.servers if spec.shape is not None}
    if not (own or PROFILES.is_wanted(settings) or PERMISSIONS.is_wanted(settings)):
        return None
    found: Shape | None = PROFILES.shape(settings, own)
    return found


def kept_results(config: Config, loop: asyncio.AbstractEventLoop) -> Results | None:
    """Where results are kept that are cut; None where none are."""
    if not (LIMITS.is_wanted(config.settings) and LIMITS.cuts_results(config.settings)):
        return None
    found: Results = import_module(".pipeline.results", __package__).Results(loop.time, os.urandom)
    return found


def home(environ: Mapping[str, str]) -> str:
    """The user's home folder with links resolved, or nothing."""
    folder = environ.get("HOME") or environ.get("USERPROFILE", "")
    return os.path.realpath(folder) if folder else ""


def office(config: Config, environ: Mapping[str, str], loop: asyncio.AbstractEventLoop) -> Office:
    """What stages need to ask the user."""
    folder = state_folder(environ)
    return Office(
        Approvals(folder) if folder else None,
        # Few users ever say `always`: what edits a configuration is not imported at every start.
        lambda rule: str(import_module(".store.rules", __package__).allow_always(config.path, rule)),
        loop.time,
        redactor(config.settings["redact_fields"]),
        config.settings["question_secs"],
        os.path.realpath(config.path),
    )


def keep_journal(
    config: Config, environ: Mapping[str, str], loop: asyncio.AbstractEventLoop, log: Log, session: str
) -> Journal | None:
    """The journal of a run that begins now, if one is kept."""
    wanted, folder, fields = config.settings["journal"], state_folder(environ), config.settings["redact_fields"]
    if wanted is None:
        return None
    if not folder:
        log.warning("journal", "it is not kept: there is no folder for state (set HOME, or SHACK_STATE_DIR)")
        return None
    options = defaults(JOURNAL) if wanted is True else wanted
    rows = Rows(session, redactor(fields), suspicion(fields), options["argument_chars"], options["result_chars"])
    bounds = Bounds(options["max_bytes"], options["keep_bytes"], options["keep_days"])
    book = Book(os.path.join(folder, "journal"), bounds, rows.event, partial(log.warning, "journal"))
    journal = Journal(rows, book, loop, partial(loop.call_later, MOMENT_SECS), partial(log.warning, "journal"))
    journal.note("start", {"version": __version__, "pid": os.getpid()})
    journal.note("config", configuration(config.path, len(config.servers), config.settings, len(config.warnings)))
    return journal


class Serving:
    """One run of the gateway for one host."""

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str],
        loop: asyncio.AbstractEventLoop,
        log: Log,
        fds: tuple[int, int],
    ) -> None:
        settings = config.settings
        self._loop, self._log, self._drain_secs = loop, log, settings["drain_secs"]
        self._longest_drain = settings["drain_secs"] + settings["list_wait_secs"]
        self._house = house = House(config, environ, loop, log)
        self.exit_code = 0
        self._stop = loop.create_future()
        self._signals = 0
        self._closing = False
        results = kept_results(config, loop)
        ports = house.ports(config, environ, office(config, environ, loop))._replace(results=results)
        built = [stage for _, stage in stages(config, ports) if stage is not None]
        chain = Chain(built, house.fleet.send, masking.seal, ports.report, time.monotonic)
        self._journal = journal = keep_journal(config, environ, loop, log, ports.session)
        if journal is not None:
            house.fleet.tell = journal.event
            house.outbox.behind = journal.turn
        questions = Questions(
            loop.time,
            os.urandom,
            settings["question_secs"],
            lambda text: log.info("question", text),
            nobody if journal is None else journal.event,
        )
        gateway = Gateway(
            house.fleet,
            chain,
            questions,
            progressive=config.expose_mode == "progressive",
            page_size=settings["page_size"],
            ttl_ms=settings["ttl_ms"],
            journal=journal,
            results=results,
        )
        self._writer = Writer(loop, fds[1], house.outbox, self._host_gone)
        self.session = HostSession(
            gateway,
            house.fleet,
            Voice(NAME, __version__),
            self._writer,
            log,
            line_bytes=settings["max_host_line_bytes"],
            instructions=lambda: instructions(gateway.progressive, house.fleet.instructions),
            later=loop.call_later,
            question_secs=settings["question_secs"],
            deputy=HOOKS.deputy(built) if HOOKS.is_wanted(settings) else None,
        )
        house.fleet.listener = self.session
        self._reader = Reader(loop, fds[0], self.session.on_bytes, self._host_ended, house.outbox)
        self.session.pause, self.session.resume = self._reader.pause, self._reader.resume

    async def run(self) -> int:
        """Serve until the host leaves or a signal comes, then put everything away."""
        self._watch_signals()
        why = await self._stop
        self._log.info("gateway", f"shutting down: {why}")
        self._reader.close()
        if why == END_OF_INPUT:
            await self._drain()
        self.session.finish()
        self._closing = True
        await self._house.close(HURRY if self._signals and why == END_OF_INPUT else PATIENCE)
        await self._flush()
        if self._journal is not None:
            self._journal.close(why)
        return self.exit_code

    def _host_ended(self) -> None:
        self.session.on_end()
        self._shut_down(END_OF_INPUT)

    def _host_gone(self, error: OSError) -> None:
        self._shut_down(f"the host reads no more ({error})")

    def _shut_down(self, why: str) -> None:
        if not self._stop.done():
            self._stop.set_result(why)

    async def _drain(self) -> None:
        """The host has said all it will say; what it asked is still answered, within bounds."""
        now = self._loop.time()
        latest, until = now + self._longest_drain, now + self._drain_secs
        while self.session.open and not self._writer.closed and not self._signals and now < until:
            await asyncio.sleep(0.01)
            now = self._loop.time()
            if self._house.fleet.starting:
                until = min(latest, now + self._drain_secs)

    async def _flush(self) -> None:
        """Let the host read what it was sent last, as long as it does read."""
        left, until = self._writer.queued, self._loop.time() + FLUSH_SECS
        while self._writer.queued and not self._writer.closed and self._loop.time() < until:
            await asyncio.sleep(0.005)
            if self._writer.queued < left:
                left, until = self._writer.queued, self._loop.time() + FLUSH_SECS
        self._writer.close()

    def _signalled(self, name: str) -> None:
        self._signals += 1
        if self._signals > 1 or self._closing:
            self._house.fleet.kill()
        self._shut_down(f"signal {name}")

    def _watch_signals(self) -> None:
        """TERM, INT and HUP end us in order."""
        names = [name for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]
        if sys.platform == "win32":
            # The loop of Windows has no signal handlers; Python's own run between two turns of it.
            for name in names:
                signal.signal(
                    getattr(signal, name), lambda *_, name=name: self._loop.call_soon_threadsafe(self._signalled, name)
                )
            return
        for name in names:
            self._loop.add_signal_handler(getattr(signal, name), self._signalled, name)


def instructions(progressive: bool, told: list[tuple[str, str]]) -> str:
    """What the host's model is told of us: ours first, then what each server says of itself, 2 KiB in all."""
    text = "Tools of several MCP servers behind one gateway; their names are server__tool."
    if progressive:
        text += (
            " Find one with shack_list_tools, read its schema with shack_describe_tool, call it with shack_call_tool."
        )
    for server, said in told:
        text += f"\n[{server}] {' '.join(said.split())[:300]}"
    return text.encode("utf-8", "replace")[:2048].decode(errors="ignore")


def serve(config: Config, environ: Mapping[str, str]) -> int:
    """Serve one host on standard input and output; the exit code."""
    log = Log(stderr_fd(), config.settings["log_level"], config.settings["redact_fields"])
    fds = take()
    for problem in (*config.warnings, *config.downs):
        log.warning("config", f"{problem.where}: {problem.what} {problem.fix}".strip())
    loop = asyncio.new_event_loop()
    # What the imports left stays: the collector need not look at it, and need not look at all while we start.
    gc.freeze()
    gc.set_threshold(*COLLECT)
    gc.enable()
    try:
        return loop.run_until_complete(_serve(config, environ, loop, log, fds))
    finally:
        log.close()


async def _serve(
    config: Config, environ: Mapping[str, str], loop: asyncio.AbstractEventLoop, log: Log, fds: tuple[int, int]
) -> int:
    return await Serving(config, environ, loop, log, fds).run()


class ServerReport(NamedTuple):
    """How the start of one server went."""

    server: str
    state: str
    era: str
    version: str
    tools: int
    seconds: float
    error: str
    stderr: tuple[str, ...]


class Rooms(NamedTuple):
    """The house without a host. `reports` is empty where no server was started."""

    catalog: Catalog
    stages: tuple[tuple[str, Stage | None], ...]
    report: Callable[[str, str], None]
    reports: tuple[ServerReport, ...]


async def visit(
    config: Config, environ: Mapping[str, str], adapt: Callable[[Ports], Ports],
    look: Callable[[Rooms], Coroutine[Slot[Any], None, T]], *, connect: bool,
) -> T:
    """What `look` makes of the rooms; nothing is left running, nothing is written but the lists of started servers.

    With `connect` every server is started, and waited for until it is ready or has failed; without, its lists are those
    of an earlier run. Nobody can be asked, but for what `adapt` makes of the stages' ports.
    """
    loop = asyncio.get_running_loop()
    log = Log(stderr_fd(), "error", config.settings["redact_fields"])
    house = House(config, environ, loop, log)
    try:
        reports: list[ServerReport] = []
        if connect:
            reports = await _connected(house.fleet, config)
        else:
            house.fleet.recall()
        ports = adapt(house.ports(config, environ, None))
        rooms = Rooms(house.fleet.catalog, tuple(stages(config, ports)), ports.report, tuple(reports))
        seen: asyncio.Future[T] = loop.create_future()
        Drive(look(rooms), seen.set_result, seen.set_exception).step()
        return await seen
    finally:
        await house.close()
        log.close()


async def connect_all(config: Config, environ: Mapping[str, str]) -> Rooms:
    """Start every server, wait until each is ready or has failed, and say how it went; nothing is left running."""
    async def look(rooms: Rooms) -> Rooms:
        return rooms

    return await visit(config, environ, lambda ports: ports, look, connect=True)


async def _connected(fleet: Fleet, config: Config) -> list[ServerReport]:
    fleet.start({}, lazy=True)
    rows: dict[str, Any] = {}
    until = asyncio.get_running_loop().time() + max((s.start_timeout_secs for s in config.servers), default=0) + 5
    while len(rows) < len(config.servers) and asyncio.get_running_loop().time() < until:
        for row in fleet.tried():
            rows.setdefault(row.server, row)
        await asyncio.sleep(0.02)
    rows = {row.server: row for row in fleet.rows()} | rows
    return [
        ServerReport(r.server, r.state, r.era, r.version, r.tools, r.seconds, r.error, r.stderr) for r in rows.values()
    ]
