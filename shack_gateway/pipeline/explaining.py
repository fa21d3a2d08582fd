"""The trail of one call through the corridor, without sending it.  Pure.

Rule 1: the walk is the chain's own. In the place of every stage stands a witness, which asks the stage and notes what
        it said; the way to the servers is a wall. So no rule of the chain is written here a second time.
Rule 2: what a stage does before a call is really done (hooks run); what it does with a result is not: there is none.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..catalog import meta_tools
from ..catalog.entries import Catalog, Way
from ..catalog.names import hint, joined
from ..catalog.shaping import READ
from ..errors import RequestError, clip
from ..record import NamedTuple
from .approval import Office
from .call import PROMPT, RESOURCE, TOOL, Call, Complete, Context, Failed, InputRequired, Outcome, Refused
from .chain import Chain, HookRun, Ports, Program, Seal, Stage
from .stages.hooks import Hooks
from .tools import HOST, OURS, is_glob

IDLE, PASSES, CHANGES, REFUSES, ASKS, ANSWERS, BREAKS, UNREACHED = (
    "idle", "passes", "changes", "refuses", "asks", "answers", "breaks", "unreached")
"""What can come of a call at a stage. `IDLE`: the configuration gives the stage nothing to do; `ANSWERS`: the stage
gives the result itself; `BREAKS`: it failed, and so the call is refused; `UNREACHED`: the call ended before."""

NOWHERE = Failed("internal", "nothing was sent")


class Step(NamedTuple):
    """What one stage said of the call."""

    stage: str
    verdict: str
    rule: str = ""
    """The rule, file or setting that refuses or asks."""
    why: str = ""
    """Why it passes, in the stage's words; the text of a refusal or of an answer."""
    again: bool = False
    """A later stage changed the call, and this one judged it anew."""
    changed: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None
    """The arguments before and after a stage that changes them."""
    trace: tuple[str, ...] = ()
    """What hooks did for it, a line each."""


class Trail(NamedTuple):
    """The way of one call. `sent` is the call as its server would be given it; None where nothing would be sent."""

    steps: tuple[Step, ...]
    sent: Call | None
    outcome: Outcome | None
    """What the host would be told where nothing would be sent, sealed."""


class Watch:
    """Stands beside the stages of an explained call: hears what hooks say, and whether one of them would ask the user.

    It is the desk (`approval.Desk`) of their office: one that gives no codes, keeps nothing and approves nothing.
    """

    def __init__(self) -> None:
        self.asked_by = ""
        """The rule that asked last."""
        self._runs: list[tuple[str, str, HookRun]] = []

    def adapt(self, ports: Ports) -> Ports:
        """The ports that the stages must be built with."""
        async def run_hook(program: Program, payload: bytes, limit_secs: float) -> HookRun:
            command = program.command if isinstance(program.command, str) else " ".join(program.command)
            ran = await ports.run_hook(program, payload, limit_secs)
            self._runs.append(("", command, ran))
            return ran

        return ports._replace(run_hook=run_hook, office=Office(self, lambda rule: "", ports.now, str, 0.0, ""))

    def place(self, call: Call, place: str, ran: HookRun) -> None:
        """Where in the configuration the hook stands that just ran (`Hooks.trace`)."""
        self._runs = [(place if run is ran else known, command, run) for known, command, run in self._runs]

    def heard(self) -> tuple[str, ...]:
        """What hooks did since this was asked last: where each stands, how it ended, what it wrote."""
        lines: list[str] = []
        for place, command, ran in self._runs:
            end = ran.failure or (f"signal {-ran.exit_code}" if ran.exit_code < 0 else f"exit code {ran.exit_code}")
            lines.append(f"{place or 'hook'}: {clip(end, 300)} ({clip(command, 300)})")
            lines += [f"{place or 'hook'} {stream}: {clip(text.strip())}"
                      for stream, text in (("wrote", ran.stdout), ("wrote to stderr", ran.stderr)) if text.strip()]
        self._runs = []
        return tuple(lines)

    def request(self, digest: str, about: Mapping[str, str]) -> str:
        """No code."""
        self.asked_by = about["rule"]
        return ""

    def take(self, digest: str) -> bool:
        """No approval."""
        return False


async def explain(
    stages: Sequence[tuple[str, Stage | None]], call: Call, seal: Seal, report: Callable[[str, str], None], watch: Watch
) -> Trail:
    """Walk the call through the stages; each comes with its name, `None` for one that has nothing to do.

    The call must come from a host that can show no forms: who would ask the user then comes to the desk.
    """
    noted: list[Step] = []
    sent: list[Call] = []

    async def wall(arrived: Call) -> Outcome:
        sent.append(arrived)
        return NOWHERE

    for _, stage in stages:
        if isinstance(stage, Hooks):
            stage.trace = watch.place
    at_work = [_Witness(name, stage, noted, watch) for name, stage in stages if stage is not None]
    outcome = await Chain(at_work, wall, seal, report).run(call)
    if not sent and noted:
        noted[-1] = _ended(noted[-1], outcome, watch.asked_by)
    steps = _in_order([(name, stage is not None) for name, stage in stages], noted)
    return Trail(steps, sent[0] if sent else None, None if sent else outcome)


class _Witness(Stage):
    """Stands for a stage, and notes what it says on the way in; on the way back there is nothing to say."""

    def __init__(self, name: str, stage: Stage, noted: list[Step], watch: Watch) -> None:
        self.name, self.gate = name, stage.gate
        self._stage, self._noted, self._watch, self._asked = stage, noted, watch, False

    async def before(self, call: Call) -> Call | Outcome:
        """What the stage says."""
        again, self._asked = self._asked, True
        self._noted.append(Step(self.name, BREAKS, again=again))
        said: Call | Outcome | None = None
        try:
            said = await self._stage.before(call)
        finally:
            self._noted[-1] = self._noted[-1]._replace(**self._told(call, said), trace=self._watch.heard())
        return said

    def _told(self, call: Call, said: Call | Outcome | None) -> dict[str, Any]:
        """What is to be noted of what the stage said."""
        if said is None:
            return {"verdict": BREAKS}
        if not isinstance(said, Call):
            return {"verdict": ANSWERS}
        why = self._why(call)
        if said.arguments == call.arguments:
            return {"verdict": PASSES, "why": why}
        return {"verdict": CHANGES, "why": why, "changed": (call.arguments, said.arguments)}

    def _why(self, call: Call) -> str:
        try:
            return self._stage.why(call)
        except Exception as error:
            return f"the stage cannot say why: {error!r}"

    def ended(self, call: Call) -> None:
        """The stage gives back what it holds for the call."""
        self._stage.ended(call)


def _ended(last: Step, outcome: Outcome, asked_by: str) -> Step:
    """The step at which the call ended, with what came of it in its last form."""
    if asked_by or isinstance(outcome, InputRequired):
        return last._replace(verdict=ASKS, rule=asked_by or last.stage)
    if isinstance(outcome, Refused):
        verdict = BREAKS if outcome.stage == "stage" else REFUSES
        return last._replace(verdict=verdict, rule=outcome.rule or "", why=outcome.text)
    return last._replace(why=outcome.words) if isinstance(outcome, Complete) else last


def _in_order(stages: Sequence[tuple[str, bool]], noted: Sequence[Step]) -> tuple[Step, ...]:
    """The steps as they were taken, and between them the stages that took none."""
    steps: list[Step] = []
    left = list(stages)
    for step in noted:
        if not step.again:
            while left and left[0][0] != step.stage:
                steps.append(_no_step(*left.pop(0)))
            left.pop(0)
        steps.append(step)
    return (*steps, *[_no_step(*stage) for stage in left])


def _no_step(name: str, at_work: bool) -> Step:
    return Step(name, UNREACHED if at_work else IDLE)


# --- which call is meant ---------------------------------------------------------------------------------------------


class Meant(NamedTuple):
    """The call that somebody means. `call` is None where there is no such thing, and `note` says why; else `note` says
    what is not known of it."""

    call: Call | None
    listed: bool = False
    note: str = ""
    is_ours: bool = False
    """A tool of the gateway's own."""
    read_as: str = ""
    """How the name was read, where no host's call has the name as it is written."""


class Known(NamedTuple):
    """What is known of the servers. `catalog` has what they list, as far as that is known, `servers` are all that are
    configured, and whether each is enabled."""

    catalog: Catalog
    servers: Mapping[str, bool]
    unseen: Callable[[str, str], str] = lambda server, tool: ""
    """What the configuration says against a name of a server's tool, or nothing."""
    own: Callable[[str, str], str] = lambda server, tool: tool
    """The server's own name of a tool, which the configuration may have given another."""


def meant(name: str, arguments: dict[str, Any], known: Known) -> Meant:
    """The call of `name` in any of the spellings that hosts, rules and hooks use; raises `RequestError` for arguments
    that cannot be."""
    catalog, servers = known.catalog, known.servers
    spellings = [name, *[name[len(start) :] for start in (OURS, HOST) if name.startswith(start)]]
    if meta_tools.CALL_TOOL in spellings:
        inner, arguments = meta_tools.unwrap_call(arguments)
        return meant(inner, arguments, known)
    for spelling in spellings:
        for kind, entry in ((TOOL, catalog.tool(spelling)), (PROMPT, catalog.prompt(spelling))):
            if entry is not None:
                shown = catalog.is_shown(entry)
                return Meant(_call(kind, entry.server, entry.name, entry.target, arguments), True,
                             "" if shown else "no host is shown it, as it is refused whatever its arguments are",
                             read_as=_read_as(name, spelling))
    for spelling in spellings:
        if spelling in meta_tools.NAMES or spelling == meta_tools.READ_RESULT:
            note = f"`{spelling}` is answered by the gateway itself; no server is called"
            return Meant(None, note=note, is_ours=True)
        if spelling in servers:
            return Meant(None, note=f"it is a server; its tools are called `{clip(joined(spelling, ''), 80)}...`")
        owners = [server for server in servers if spelling.startswith(joined(server, ""))]
        if owners:
            found = _unlisted(max(owners, key=len), spelling, arguments, known)
            return found._replace(read_as=_read_as(name, spelling) if found.call is not None else "")
    near = hint(name, (entry.name for entry in (*catalog.tools, *catalog.prompts)))
    there = ", ".join(f"`{clip(server, 80)}`" for server in servers) or "none"
    return Meant(None, note=f"it begins with no configured server's name and `__` (servers: {there}){near}")


def _read_as(name: str, spelling: str) -> str:
    if spelling == name:
        return ""
    added = clip(name[: -len(spelling)], 80)
    return f"read as `{clip(spelling, 200)}`: a host itself adds `{added}`, and a call that brings it is unknown"


def _unlisted(server: str, name: str, arguments: dict[str, Any], known: Known) -> Meant:
    """What `name` means, which is none of the listed tools and prompts."""
    catalog, target = known.catalog, name[len(joined(server, "")) :]
    if not known.servers[server]:
        return Meant(None, note=f"the server `{clip(server, 80)}` is disabled")
    unseen = known.unseen(server, target)
    if unseen or target in catalog.gone.get(server, ()):
        return Meant(None, note=unseen or "it is hidden by the configuration")
    if not target or is_glob(target) or "(" in target:
        what = "a pattern or a rule" if target else "the beginning of a name"
        return Meant(None, note=f"it is {what}; wanted is the name of one tool, and its arguments as JSON behind it")
    unknown = "" if server in catalog.servers else f"what the server `{clip(server, 80)}` lists is not known"
    if target == READ:
        uri = arguments.get("uri")
        if not isinstance(uri, str) or not uri:
            raise RequestError("bad params", f'`{clip(name, 200)}` needs {{"uri": "..."}}.')
        way = next((way for way in catalog.ways(uri) if way.server == server), Way(server, uri))
        call = _call(RESOURCE, server, uri, way.uri, {"uri": way.uri})
        return Meant(call, catalog.resource(uri) is not None, unknown)
    if unknown:
        return Meant(_call(TOOL, server, name, known.own(server, target), arguments),
                     note=f"{unknown}, so nor are the tool's schema and annotations")
    near = hint(name, (entry.name for entry in (*catalog.tools, *catalog.prompts)))
    return Meant(None, note=f"the server `{clip(server, 80)}` lists no tool or prompt `{clip(target, 200)}`{near}")


def _call(kind: str, server: str, name: str, target: str, arguments: dict[str, Any]) -> Call:
    params = {"uri": name} if kind == RESOURCE else {"name": name, "arguments": arguments}
    return Call(0, kind, server, name, target, arguments, params, Context())
