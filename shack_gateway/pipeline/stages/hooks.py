"""Hooks: commands of the owner that see a call before it is sent and its result before it is returned.  Pure.

    pre_tool_hook, post_tool_hook    one command each, for every call
    hooks                            the object of Claude Code's settings: several events, matchers and kinds

What they read and what they may answer is laid down in `pipeline/hooking`; see `docs/hooks.md`.

Rule 1: whatever a hook does that is not laid down there blocks: a hook that broke has judged nothing.
Rule 2: hooks run one after the other, each on what the one before has made of it; the first that blocks ends it.
Rule 3: changed arguments are judged again by every gate before (the chain does that); what is behind a call sees them.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from ...config.fields import Field, Value, number, text
from ...record import NamedTuple
from ..approval import Approval
from ..call import RESOURCE, Call, Complete, Failed, InputRequired, Outcome, Refused
from ..chain import HookRun, Ports, Program, Stage
from ..hooking import given, results, single
from ..hooking.asking import Elicitation
from ..hooking.handlers import DOCKER, ELICITATION, FAILURE, POST, PRE, handlers
from ..hooking.matching import called
from ..hooking.running import Hook, Runner, Trace, program, ready
from ..hooking.said import Said

PRE_KEY, POST_KEY = "pre_tool_hook", "post_tool_hook"
DEFAULT_SECS = 30
MOST_KEPT = 4096
"""Tools whose hooks are remembered."""
Deputy = Callable[[str, Mapping[str, Any]], Coroutine[Any, None, "dict[str, Any] | None"]]
NO_CHANGE = "the URI of a resource cannot be changed"


def line(value: Value) -> str:
    """A line for the shell; an empty one is none."""
    read = text(value)
    if read and not read.strip():
        value.warn("is white space only: no hook is run", "Write a command, or remove it.")
    return read


FIELDS: tuple[Field, ...] = (
    Field("pre_tool_hook", line, "", "Shell command that judges every call before it is sent.", "string"),
    Field("post_tool_hook", line, "", "Shell command that judges every result before it is returned.", "string"),
    Field("hooks", handlers, (), "Hooks by event and tool, as in Claude Code's settings: `PreToolUse`, `PostToolUse`, "
          "`PostToolUseFailure` and `Elicitation`.", "object"),
    Field("hook_timeout_secs", number(0.1, 3600), None, "How long a hook may run. Without it: as long as a call may be "
          "silent (`request_timeout_secs`), at most 30.", "number of seconds"),
)


def build(settings: Mapping[str, Any], ports: Ports) -> Stage | None:
    """The stage; none without a hook."""
    pre, post, listed = settings[PRE_KEY].strip(), settings[POST_KEY].strip(), settings["hooks"]
    if not pre and not post and not listed:
        return None
    limit, most = _limits(settings)
    return Hooks(pre, post, ready(listed, ports, limit, most), limit, ports)


def check(top: Value, settings: Mapping[str, Any]) -> None:
    """Warn of limits that are longer than a call may take anyway: hosts' own settings allow ten minutes."""
    _, most = _limits(settings)
    for _, groups in top.member("hooks").items():
        for group in groups.elements():
            for handler in group.member("hooks").elements():
                secs = handler.member("timeout")
                if isinstance(secs.data, (int, float)) and secs.data > most:
                    secs.warn(f"is more than a call may be silent: {most:g} s are used",
                              "Make `request_timeout_secs`, or `hook_timeout_secs`, as long.")


def _limits(settings: Mapping[str, Any]) -> tuple[float, float]:
    """How many seconds a hook may run where it says nothing else, and at most."""
    silence = settings.get("request_timeout_secs", DEFAULT_SECS)
    limit = settings["hook_timeout_secs"] or min(DEFAULT_SECS, silence)
    return limit, max(silence, limit)


def commands(settings: Mapping[str, Any]) -> list[tuple[str, Program]]:
    """Everything that hooks may run, each with its place in the configuration."""
    lines = [(key, settings.get(key, "").strip()) for key in (PRE_KEY, POST_KEY)]
    folder = settings.get("workspace_root") or ""
    return [(key, Program(line)) for key, line in lines if line] + [
        (handler.place, program(handler, folder)) for handler in settings.get("hooks", ())]


def deputy(stages: Sequence[Stage]) -> Deputy | None:
    """Who answers questions of servers in the user's place, if hooks do that."""
    found = [stage.elicitation for stage in stages if isinstance(stage, Hooks) and stage.elicitation is not None]
    return found[0].answer if found else None


class Events(NamedTuple):
    """The hooks of one tool."""

    before: tuple[Hook, ...] = ()
    behind: tuple[Hook, ...] = ()
    failed: tuple[Hook, ...] = ()


NONE = Events()


class Going:
    """What is remembered of a call while it is under way. `call` is what was let through, at `started`."""

    __slots__ = ("asks", "call", "context", "notes", "started")

    def __init__(self, call: Call) -> None:
        self.call, self.started = call, 0.0
        self.context: list[str] = []
        self.notes: list[str] = []
        self.asks: dict[str, str] = {}
        """The hooks that want the user to be asked, and why. What is approved is approved for all of them together."""


class Hooks(Stage):
    """Runs the hooks before a call, and those behind it. `elicitation` answers questions; None without such hooks."""

    name = "hooks"

    def __init__(self, pre: str, post: str, hooks: tuple[Hook, ...], limit_secs: float, ports: Ports) -> None:
        self._pre, self._post, self._limit, self._ports = pre, post, limit_secs, ports
        self._hooks = {event: tuple([hook for hook in hooks if hook.handler.event == event])
                       for event in (PRE, POST, FAILURE, ELICITATION)}
        self._runner = Runner(ports)
        self._approval = Approval(self.name, ports.office, ports.report)
        asking = self._hooks[ELICITATION]
        self.elicitation = Elicitation(asking, self._runner, ports) if asking else None
        self._events: dict[tuple[str, str, str], Events] = {}
        self._going: dict[int, Going] = {}

    @property
    def trace(self) -> Trace | None:
        """Told of every run of a hook for a call, by the hook's place in the configuration."""
        return self._runner.trace

    @trace.setter
    def trace(self, trace: Trace | None) -> None:
        self._runner.trace = trace

    def concerns(self, call: Call) -> bool:
        """False for a tool that no hook is about, of a server about whose questions none is."""
        if self._pre or self._post or (self.elicitation is not None and self.elicitation.concerns(call.server)):
            return True
        return self._of(call) is not NONE

    def alters(self, call: Call) -> bool:
        """True where a hook may give another result."""
        events = self._of(call)
        return (any(not hook.handler.aside for hook in events.behind)
                or any(hook.handler.type == DOCKER for hook in events.before))

    # --- before a call ---

    async def before(self, call: Call) -> Call | Outcome:
        """The call as the hooks let it go on, or why it is blocked."""
        events = self._of(call)
        if events is NONE and not self._pre and not self._post:
            return call
        going = Going(call)
        found = await self._single_before(going) if self._pre else None
        for hook in events.before:
            if found is None and self._runner.is_meant(hook, going.call):
                found = await self._before(hook, going)
        if found is None and going.asks:
            why = dict.fromkeys(filter(None, going.asks.values()))
            found = self._approval.judge(going.call, ", ".join(going.asks), why="; ".join(why))
        if found is not None:
            return found
        going.started = self._ports.now()
        self._going[call.number] = going
        return going.call

    async def _single_before(self, going: Going) -> Outcome | None:
        """The command of 0.1.0; why the call ends, or None."""
        call = going.call
        asked = given.given(call)
        try:
            payload = single.payload(call, "PreToolUse", tool_input_json=json.dumps(asked))
        except (ValueError, RecursionError) as error:
            return self._unsayable(PRE_KEY, error)
        said = single.Verdict(await self._run_single(self._pre, PRE_KEY, payload, call))
        if call.kind == RESOURCE and said.updated is not None and said.updated != asked:
            said.blocked = NO_CHANGE
        if said.blocked:
            return Refused(self.name, f"blocked by pre-tool hook: {said.blocked}", rule=PRE_KEY)
        if said.denied:
            # 0.1.0 answers a denied call as the permission rules do.
            return Refused("permissions", said.denied, rule=PRE_KEY)
        if said.updated is not None and call.kind != RESOURCE:
            going.call = call.with_arguments(said.updated)
        if said.asks is not None:
            going.asks[PRE_KEY] = said.asks
        going.notes.append(f"{PRE_KEY}: {'passed' if going.call is call else 'changed the input'}")
        return None

    async def _before(self, hook: Hook, going: Going) -> Outcome | None:
        """One hook; why the call ends, or None."""
        call, handler = going.call, hook.handler
        try:
            if handler.type == DOCKER:
                payload = given.interceptor_event(PRE, call, None)
            else:
                payload = given.call_event(PRE, call, self._ports.session, self._ports.workspace_root)
        except (ValueError, RecursionError) as error:
            return self._unsayable(handler.place, error)
        said = await self._runner.run(hook, payload, call)
        if said.updated is not None and call.kind == RESOURCE and said.updated != given.given(call):
            said.blocked = said.blocked or NO_CHANGE
        instead = self._instead(hook, said, call, None)
        if (why := _blocks(hook, said)) is not None:
            return Refused(self.name, f"blocked by hook `{handler.place}`: {why}", rule=handler.place)
        if said.denied is not None:
            why = f": {said.denied}" if said.denied else ""
            return Refused("permissions", f"denied by hook `{handler.place}`{why}", rule=handler.place)
        if instead is not None:
            return instead
        if said.updated is not None and call.kind != RESOURCE:
            going.call = call.with_arguments(said.updated)
        if said.asks is not None:
            going.asks[handler.place] = said.asks
        going.context += said.context
        going.notes.append(f"{handler.place}: {said.word}")
        return None

    def known(self, call: Call) -> Mapping[str, Any]:
        """An approval at the desk holds as long as the call goes on."""
        return self._approval.known(call)

    def ended(self, call: Call) -> None:
        """Nothing more is remembered of it."""
        self._going.pop(call.number, None)

    def why(self, call: Call) -> str:
        """What each hook said."""
        going = self._going.get(call.number)
        if going is None:
            return "no hook matches"
        return ", ".join(going.notes) or "no hook is run before it"

    # --- behind it ---

    async def after(self, call: Call, outcome: Outcome) -> Outcome:
        """What comes of the call as the hooks let it go back. They never see a call that was refused."""
        if isinstance(outcome, InputRequired):
            if self.elicitation is not None and not outcome.stage:
                return await self.elicitation.answer_some(outcome)
            return outcome
        going = self._going.get(call.number)
        if going is None or isinstance(outcome, Refused):
            return outcome
        events, call = self._of(call), going.call
        took = round(1000 * (self._ports.now() - going.started))
        if isinstance(outcome, Complete):
            for hook in events.behind:
                if isinstance(outcome, Complete) and self._runner.is_meant(hook, call):
                    outcome = await self._behind(hook, call, outcome, took, going)
        if events.failed and (isinstance(outcome, Failed) or (isinstance(outcome, Complete) and outcome.is_error)):
            await self._failed(events.failed, call, outcome, took, going)
        if going.context:
            outcome = self._with_context(call, outcome, going.context)
        return await self._single_behind(call, outcome) if self._post and isinstance(outcome, Complete) else outcome

    async def _behind(self, hook: Hook, call: Call, outcome: Complete, took: int, going: Going) -> Outcome:
        """What one hook makes of a result."""
        try:
            if hook.handler.type == DOCKER:
                payload = given.interceptor_event(POST, call, outcome.value)
            else:
                payload = given.call_event(POST, call, self._ports.session, self._ports.workspace_root,
                                           tool_response=outcome.value, duration_ms=took)
        except (ValueError, RecursionError):
            return self._unreadable(hook.handler.place, call)
        said = await self._runner.run(hook, payload, call)
        instead = self._instead(hook, said, call, outcome)
        if (why := _blocks(hook, said)) is not None:
            place = hook.handler.place
            return Refused(self.name, f"the result was withheld by hook `{place}`: {why}", rule=place)
        going.context += said.context
        return instead or outcome

    async def _failed(
        self, hooks: tuple[Hook, ...], call: Call, outcome: Complete | Failed, took: int, going: Going
    ) -> None:
        """Tell the hooks of a failure; what they say is for the model, and changes nothing."""
        error = outcome.text if isinstance(outcome, Failed) else outcome.words
        for hook in hooks:
            if self._runner.is_meant(hook, call):
                payload = given.call_event(FAILURE, call, self._ports.session, self._ports.workspace_root, error=error,
                                           is_interrupt=False, duration_ms=took)
                said = await self._runner.run(hook, payload, call)
                going.context += [*([said.blocked] if said.blocked else []), *said.context]

    def _instead(self, hook: Hook, said: Said, call: Call, old: Complete | None) -> Complete | None:
        """The result that a hook gives, if it gives one; one that is none makes the hook a failed one."""
        if said.replaced is None:
            return None
        try:
            return results.instead(call, said.replaced[0], old)
        except (ValueError, RecursionError) as error:
            self._runner.fail(hook, said, f"gave no result: {error}", call)
            return None

    def _with_context(self, call: Call, outcome: Outcome, texts: list[str]) -> Outcome:
        """The outcome with what hooks have to say about it."""
        if isinstance(outcome, Failed):
            return outcome._replace(text="\n".join([outcome.text, *texts]))
        if not isinstance(outcome, Complete):
            return outcome
        try:
            found = results.with_texts(call, outcome, texts)
        except (ValueError, RecursionError):
            return self._unreadable("hooks", call)
        if found is None:
            self._ports.report("warning", f"call {call.number}: a hook's context has no place in its result")
        return found or outcome

    async def _single_behind(self, call: Call, outcome: Complete) -> Outcome:
        """The result, or why the command of 0.1.0 holds it back."""
        try:
            value = outcome.value
            is_error = value.get("isError") is True
            payload = single.payload(call, "PostToolUse", tool_response=value, tool_result_is_error=is_error)
        except (ValueError, RecursionError):
            blocked = f"the result of server `{call.server}` cannot be shown to it: it is no JSON object"
        else:
            blocked = single.Verdict(await self._run_single(self._post, POST_KEY, payload, call), post=True).blocked
        if blocked:
            return Refused(self.name, f"result rejected by post-tool hook: {blocked}", rule=POST_KEY)
        return outcome

    def _unsayable(self, place: str, error: Exception) -> Refused:
        return Refused(self.name, f"hook `{place}` cannot be shown the arguments: {error}", rule=place)

    def _unreadable(self, place: str, call: Call) -> Refused:
        return Refused(self.name, f"the result was withheld: what server `{call.server}` sent is no JSON object that "
                       "hooks can be shown", rule=place)

    # --- which and how ---

    async def _run_single(self, command: str, key: str, payload: bytes, call: Call) -> HookRun:
        run = await self._ports.run_hook(Program(command), payload, self._limit)
        if self.trace is not None:
            self.trace(call, key, run)
        return run

    def _of(self, call: Call) -> Events:
        """The hooks of the tool that is called."""
        # Resources have no names that a matcher could know; no server is called "".
        key = (call.server, call.target, call.name) if call.kind != RESOURCE else ("", call.server, RESOURCE)
        found = self._events.get(key)
        if found is None:
            if len(self._events) >= MOST_KEPT:
                self._events.clear()
            names = called(call)
            by_event = [tuple([hook for hook in self._hooks[event] if hook.handler.matches(names)])
                        for event in (PRE, POST, FAILURE)]
            found = self._events[key] = Events(*by_event) if any(by_event) else NONE
        return found


def _blocks(hook: Hook, said: Said) -> str | None:
    """Why a hook ends a call, or None."""
    if said.blocked is not None:
        return said.blocked
    if said.failure and not hook.handler.lenient and said.denied is None:
        return said.failure if said.failure.startswith("its ") else f"it {said.failure}"
    return None
