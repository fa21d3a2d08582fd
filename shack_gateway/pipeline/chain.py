"""The corridor: one function that every call walks.  Pure.

The three rules that hold for all calls live here and nowhere else, so that no stage can forget them:

  fail closed         a stage that raises refuses the call (before) or withholds the result (after)
  judge what is sent  a gate is asked again when a later stage changed the call
  seal what leaves    the seal (masking) treats the last form of every outcome
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..catalog.facts import NO_FACTS, Facts
from ..errors import clip
from ..record import NamedTuple
from .approval import Office
from .call import RESOURCE, Call, Complete, Failed, InputRequired, Outcome, Refused

if TYPE_CHECKING:
    from .results import Results

MOST_PLANS = 20_000


class Program(NamedTuple):
    """What a hook runs: a line for the shell, or a program with its arguments."""

    command: str | tuple[str, ...]
    cwd: str = ""
    """Its working directory; empty: the gateway's."""
    env: Mapping[str, str] = {}
    """Variables besides those of the gateway."""
    stays: bool = False
    """It is started once and reads a line for every event."""
    shell: str = ""
    """Who reads a line: `bash`, `powershell`, or empty for the system's own."""
    without: tuple[str, ...] = ()
    """What the names of variables begin with that it is not given."""
    aside: bool = False
    """Nobody waits for it, so that it must not hold up those that somebody waits for."""


SHUTTING_DOWN = "was stopped: the gateway is shutting down"
"""The failure of a hook that was ended with the gateway, or never run because it ended."""


class HookRun(NamedTuple):
    """What a hook command did. `exit_code` is negative for a signal; `failure` says why it could not be run or was
    stopped (`timed out after 30 s`), and then nothing else counts."""

    exit_code: int
    stdout: str
    stderr: str
    failure: str = ""
    garbled: bool = False
    """Standard output was not UTF-8; what could not be read stands as U+FFFD."""
    unjudged: bool = False
    """The gateway is why the hook has not judged, not the hook: no call goes on behind it, however lenient it is."""


class Ports(NamedTuple):
    """What stages need of the world, handed in so that they stay pure."""

    workspace_root: str
    """Absolute, links resolved."""
    realpath: Callable[[str], str]
    """`os.path.realpath`; raises OSError or ValueError where a path cannot be resolved."""
    run_hook: Callable[[Program, bytes, float], Awaitable[HookRun]]
    """Program, standard input, limit in seconds."""
    report: Callable[[str, str], None]
    """Level (`info`, `warning`, `error`) and text for the log."""
    folders: Mapping[str, str] = {}
    """The working directory of each server that has one of its own, absolute, links resolved: relative paths in the
    arguments of such a server are relative to it."""
    private: tuple[str, ...] = ()
    """Folders and files of ours that no argument may lead to, whatever the configuration allows; absolute, links
    resolved."""
    office: Office | None = None
    """What a stage needs to ask the user; without it nobody can be asked."""
    facts: Callable[[Call], Facts] = lambda call: NO_FACTS
    """What the catalog knows of the tool (or prompt) that is called."""
    home: str = ""
    """The user's home folder, for `~/` in rules; absolute, links resolved; empty: not known."""
    folds_case: bool = False
    """The platform's file systems usually do not tell `A` from `a`."""
    now: Callable[[], float] = lambda: 0.0
    """Seconds of a clock that only goes on."""
    session: str = ""
    """The name of this run of the gateway, or of the host's session where it has told us one."""
    results: Results | None = None
    """Where results that are cut are kept, to be read on; none: they are not kept."""


class Stage:
    """One step of the corridor; the parts that a stage does not need are left as they are here.

    `gate` says that the stage only judges: it returns the very call it was given, or refuses, and is asked again when
    a later stage changed the call. A stage never calls the next one, never writes JSON-RPC, never writes the log of
    calls.
    """

    name = "stage"
    gate = False

    def concerns(self, call: Call) -> bool:
        """False where the stage has nothing to do with the tool that is called, whatever the arguments are, so that
        such calls need not come here. Asked at the first call of a tool; may look at nothing but how it is called."""
        return True

    async def before(self, call: Call) -> Call | Outcome:
        """The call as it goes on, or the outcome that ends it here."""
        return call

    async def after(self, call: Call, outcome: Outcome) -> Outcome:
        """The outcome as it goes back; only asked when `before` let the call pass."""
        return outcome

    def alters(self, call: Call) -> bool:
        """True where a result of the tool that is called may be replaced or cut here, so that it no longer is what the
        tool's output schema promises."""
        return False

    def known(self, call: Call) -> Mapping[str, Any]:
        """What the stage wants to find in `Call.answers` when the call is made again after a question."""
        return {}

    def ended(self, call: Call) -> None:
        """The call is over, however it ended (a cancel included); only told to a stage whose `before` let it pass."""

    def why(self, call: Call) -> str:
        """In a few words, for `explain`: what decided that the call passes here. Empty: nothing here is about it."""
        return ""


Route = Callable[[Call], Awaitable[Outcome]]
Seal = Callable[[Outcome], Outcome]


class _Plan(NamedTuple):
    """The stages that one tool's calls meet, each with its place in the corridor."""

    befores: tuple[tuple[int, Stage], ...]
    gates: tuple[tuple[int, Stage], ...]
    afters: tuple[tuple[int, Stage], ...]
    """From the last to the first."""
    enders: tuple[tuple[int, Stage], ...]


class Chain:
    """The stages in their order with the way to the servers at the end."""

    def __init__(
        self, stages: Sequence[Stage], route: Route, seal: Seal, report: Callable[[str, str], None],
        now: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.stages = self._stages = tuple(stages)
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._end = len(stages)
        self._route, self._seal, self._report, self._now = route, seal, report, now
        self.on_end: Callable[[Call, Call, Outcome | None, float], None] | None = None
        """Told of every call that is over: as it came in, as it was sent (or refused), what leaves for the host (None
        where the host cancelled it), and how many seconds it took. Whatever it raises is only reported."""
        self.on_question: Callable[[Call, InputRequired], InputRequired] = lambda call, asked: asked
        """Given every question, sealed, and the call as it came in; what it returns is what leaves."""

    async def run(self, call: Call) -> Outcome:
        """Walk the call through every stage, to its server and back; never raises an `Exception`."""
        outcome: Outcome | None = None
        left: Outcome | None = None
        reached = passed_by = self._end
        first, started, plan = call, self._now(), self._plan(call)
        try:
            for at, stage in plan.befores:
                reached = passed_by = at
                try:
                    passed = await stage.before(call)
                    if passed is call:
                        continue
                    if isinstance(passed, Call):
                        passed_by = at + 1  # it let the call pass, whatever the gates say of what it made of it
                        passed = await self._judge_again(passed, plan, at)
                    else:
                        passed = _checked(passed)
                except Exception as error:
                    passed = self._broken(stage, call, "refused", error)
                if not isinstance(passed, Call):
                    outcome = passed
                    break
                call = passed
            else:
                reached = passed_by = self._end
                try:
                    outcome = _checked(await self._route(call))
                except Exception as error:
                    outcome = self._unrouted(call, error)
            for at, stage in plan.afters:
                if at < reached:
                    try:
                        outcome = _checked(await stage.after(call, outcome))
                    except Exception as error:
                        outcome = self._broken(stage, call, "withheld", error)
            if type(outcome) is InputRequired:
                left = self._question(first, call, outcome)
            else:
                left = self.seal(outcome._replace(server=call.server) if type(outcome) is Refused else outcome)
            return left
        finally:
            if plan.enders or self.on_end is not None:
                self._over(first, call, plan, passed_by, left, self._now() - started)

    def _plan(self, call: Call) -> _Plan:
        """Whom the calls of a tool meet, settled at its first call."""
        # Every resource of a server is one tool here, whatever its URI.
        key = (call.kind, call.server) if call.kind == RESOURCE else (call.kind, call.server, call.target, call.name)
        plan = self._plans.get(key)
        if plan is None:
            met = [(at, stage) for at, stage in enumerate(self._stages) if self._concerns(stage, call)]
            plan = _Plan(
                tuple((at, stage) for at, stage in met if type(stage).before is not Stage.before),
                tuple((at, stage) for at, stage in met if stage.gate),
                tuple((at, stage) for at, stage in met if type(stage).after is not Stage.after)[::-1],
                tuple((at, stage) for at, stage in met if type(stage).ended is not Stage.ended),
            )
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            self._plans[key] = plan
        return plan

    def alters(self, call: Call) -> bool:
        """True where the results of a tool may leave as others than it gave."""
        return any(stage.alters(call) for stage in self._stages if self._concerns(stage, call))

    def _concerns(self, stage: Stage, call: Call) -> bool:
        try:
            return stage.concerns(call)
        except Exception as error:
            self._report("error", f"call {call.number}: stage {stage.name} broke: {error!r}")
            return True

    def _over(
        self, first: Call, call: Call, plan: _Plan, reached: int, left: Outcome | None, secs: float
    ) -> None:
        """Tell whoever has to know that the call is over."""
        try:
            for at, stage in plan.enders:
                if at < reached:
                    stage.ended(first)
            if self.on_end is not None:
                self.on_end(first, call, left, secs)
        except Exception as error:
            self._report("error", f"call {first.number}: its end could not be noted: {error!r}")

    def _question(self, first: Call, call: Call, asked: InputRequired) -> Outcome:
        """The question as it leaves, with what stages want to know again when the call is made again."""
        try:
            known: dict[str, Any] = {}
            for stage in self._stages:
                known.update(stage.known(call))
            sealed = self.seal(asked._replace(known=known) if known else asked)
            return self.on_question(first, sealed) if isinstance(sealed, InputRequired) else sealed
        except Exception as error:
            self._report("error", f"call {call.number}: a question broke: {error!r}")
            return Refused("stage", f"The question of `{call.name}` could not be asked. The log says more under call "
                           f"{call.number}.", server=call.server)

    def seal(self, outcome: Outcome) -> Outcome:
        """The last form of anything that leaves for the host; what cannot be sealed is withheld."""
        try:
            return _checked(self._seal(outcome))
        except Exception as error:
            self._report("error", f"sealing failed: {error!r}")
            return Refused("stage", "The answer was withheld: it could not be checked for secrets. The log says more.")

    def judge(self, call: Call) -> Outcome | None:
        """What the gates say of a request that is not a call, but reaches a server all the same (a completion, a
        subscription): None, or why it may not. Nobody is asked: what would need a yes is refused."""
        work = self._judge_again(call, self._plan(call), self._end)
        try:
            work.send(None)
        except StopIteration as stop:
            verdict = stop.value
        except Exception as error:
            verdict = self._broken(Stage(), call, "refused", error)
        else:
            work.close()  # a gate waits for nobody
            verdict = self._broken(Stage(), call, "refused", RuntimeError("a gate waits"))
        if verdict is call:
            return None
        if type(verdict) is InputRequired:
            text = f"`{clip(call.name, 200)}` needs the user's approval, which only a call can ask for."
            verdict = Refused("permissions", text, rule=verdict.stage)
        return self.seal(verdict._replace(server=call.server) if type(verdict) is Refused else verdict)

    async def _judge_again(self, call: Call, plan: _Plan, changed_at: int) -> Call | Outcome:
        """What the gates before place `changed_at` say of a call that was changed there."""
        for at, gate in plan.gates:
            if at >= changed_at:
                break
            verdict = await gate.before(call)
            if verdict is not call:
                return _checked(verdict)  # a gate that changes a call breaks its word, and the call is refused
        return call

    def _unrouted(self, call: Call, error: Exception) -> Failed:
        self._report("error", f"call {call.number}: routing broke: {error!r}")
        return Failed(
            "internal",
            f"The call of `{call.name}` failed inside of the gateway. The log says more under call {call.number}.",
        )

    def _broken(self, stage: Stage, call: Call, done: str, error: Exception) -> Refused:
        self._report("error", f"call {call.number}: stage {stage.name} broke: {error!r}")
        return Refused(
            "stage",
            f"The call of `{call.name}` was {done}: the {stage.name} stage of the gateway broke. "
            f"The log says more under call {call.number}.",
            rule=stage.name,
        )


def _checked(outcome: object) -> Outcome:
    """The outcome; raises where a stage returned something else, so that a forgotten `return` refuses the call."""
    if type(outcome) is Complete or isinstance(outcome, (Complete, InputRequired, Refused, Failed)):
        return outcome
    raise TypeError(f"{type(outcome).__name__} is no outcome")

