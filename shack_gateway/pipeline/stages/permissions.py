"""Permissions: which calls the owner's rules let through.  Pure.

Rule 1: a deny rule wins over every ask rule, and that over every allow rule, wherever they stand; what no rule matches
        gets `default_decision`.
Rule 2: deny and ask rules look at everything that may be their subject, in every spelling (`broad.py`); an allow rule
        looks at one subject, as it is written (`narrow.py`). The grammar is in `grammar.py`.
Rule 3: rules are sorted by tool once, so that a call pays for the rules of its own tool only.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...config.fields import Field, Section, Value, choice
from ...errors import clip
from ..approval import Approval
from ..arguments import policy_name
from ..broad import Broad
from ..call import RESOURCE, Call, Outcome, Refused
from ..chain import Ports, Stage
from ..effort import Effort, TooMuch
from ..grammar import ANY, EXACT, Rule, parse
from ..narrow import Narrow
from ..rules import about, allowing, may_allow, overlaps, rules, strangers
from ..spellings import Spellings
from ..tools import is_glob, named, names

POLICY = "permission policy"
NO_ALLOW = "no matching allow rule (default policy is deny)"
MOST_SHOWN = 300
MOST_TOOLS = 20_000


class _Permissions(Section):
    """The section, with a word on rules that change nothing."""

    def __call__(self, value: Value) -> dict[str, Any]:
        read = super().__call__(value)
        if read["allow"] and read["default_decision"] == "allow":
            value.member("allow").warn("has no effect: what no rule matches is allowed anyway",
                                       'Set `"default_decision": "deny"` to allow nothing else.')
        overlaps(value, read)
        return read


FIELDS: tuple[Field, ...] = (
    Field("permissions", _Permissions((
        Field("default_decision", choice("allow", "deny", "prompt", "ask"), "allow", "What happens to a call that no "
              "rule matches. `prompt`, also written `ask`, asks the user.", "allow, deny, prompt or ask"),
        Field("allow", allowing, (), "Calls that pass where the default is another.", "list of rules"),
        Field("ask", rules, (), "Calls that the user is asked about, also those that an allow rule matches.",
              "list of rules"),
        Field("deny", rules, (), "Calls that are refused, whatever else is allowed.", "list of rules"),
    )), None, "Which calls are let through.", "object"),
)


def check(top: Value, settings: Mapping[str, Any]) -> None:
    """What can be said of the section once the whole file is read: rules about servers that are not there."""
    read = settings.get("permissions")
    if read:
        strangers(top.member("permissions"), read, settings["servers"])


def build(settings: Mapping[str, Any], ports: Ports) -> Stage | None:
    """The stage; none where everything is allowed anyway."""
    read = settings.get("permissions")
    if not read or (not read["deny"] and not read["ask"] and read["default_decision"] == "allow"):
        return None
    return Permissions(read, ports)


class _Sorted:
    """The rules about one tool, with what its schema was when they were sorted (None: they do not look at it)."""

    __slots__ = ("allow", "ask", "deny", "known", "scoped", "strict")

    def __init__(self, deny: Broad, ask: Broad, allow: Narrow, known: frozenset[str]) -> None:
        self.deny, self.ask, self.allow = deny, ask, allow
        self.strict = deny.some or ask.some
        self.scoped = any(rules.some and rules.any is None for rules in (deny, ask, allow))
        self.known = known if self.scoped else None


class Permissions(Stage):
    """Refuses calls that a deny rule matches, or that need an allow rule and have none.

    `read` holds `deny`, `ask` and `allow` (tuples of `Rule`) and `default_decision`. `name` is the stage's, and the
    kind of its refusals; `policy` is what their texts call it.
    """

    name = "permissions"
    gate = True

    def __init__(
        self, read: Mapping[str, Any], ports: Ports, name: str = name, policy: str = POLICY
    ) -> None:
        self.name, self._policy = name, policy
        self._spellings, self._facts = Spellings(ports), ports.facts
        self._approval = Approval(name, ports.office, ports.report)
        self._deny, self._ask, self._allow = (
            tuple([(named(rule.tool), rule) for rule in read[kind]]) for kind in ("deny", "ask", "allow"))
        self._default: str = read["default_decision"]
        self._tools: dict[tuple[str, str, str], _Sorted] = {}

    def concerns(self, call: Call) -> bool:
        """False for a tool that no rule forbids or asks about, where everything else is allowed."""
        called = names(call)
        return self._default != "allow" or bool(about(called, self._deny) or about(called, self._ask))

    async def before(self, call: Call) -> Call | Outcome:
        """The call, or by which rule it is refused."""
        return self.judge(call)

    def judge(self, call: Call, effort: Effort | None = None) -> Call | Outcome:
        """The same. All rules together have one `effort`, and so have several of these that are given the same one."""
        try:
            ready = self._ready(call)
            if effort is None and ready.scoped:
                effort = Effort()
            if ready.strict:
                rule = ready.deny.match(call, effort)
                if rule is not None:
                    raw = clip(rule.raw, MOST_SHOWN)
                    return self._refused(f"matched deny rule '{raw}'", raw)
                rule = ready.ask.match(call, effort)
                if rule is not None:
                    return self._judged(call, f"ask: {clip(rule.raw, MOST_SHOWN)}")
            if self._default == "allow" or ready.allow.match(call, effort) is not None:
                return call
        except (RecursionError, TooMuch) as error:
            return self._refused(str(error), "depth" if isinstance(error, RecursionError) else "length")
        name, default = policy_name(call), f"default_decision: {self._default}"
        if self._default == "deny":
            return self._refused(f"{NO_ALLOW} for `{clip(names(call)[-1], MOST_SHOWN)}`", default)
        return self._judged(call, default, _allowing(call, name))

    def known(self, call: Call) -> Mapping[str, Any]:
        """An approval at the desk holds as long as the call goes on."""
        return self._approval.known(call)

    def why(self, call: Call) -> str:
        """The rule or the default that lets the call pass."""
        ready = self._ready(call)
        if ready.strict and (asked := ready.ask.match(call)) is not None:
            return f"approved: ask rule '{clip(asked.raw, MOST_SHOWN)}'"
        rule = ready.allow.match(call)
        if rule is not None:
            return f"allow rule '{clip(rule.raw, MOST_SHOWN)}'"
        return f"default_decision: {self._default}" + ("" if self._default == "allow" else ", approved")

    def _judged(self, call: Call, rule: str, always: str = "") -> Call | Outcome:
        verdict = self._approval.judge(call, rule, always=always)
        if verdict is None:
            return call
        return verdict._replace(stage=self.name) if isinstance(verdict, Refused) else verdict

    def _refused(self, what: str, rule: str) -> Refused:
        return Refused(self.name, f"blocked by {self._policy}: {what}", rule=rule)

    def _ready(self, call: Call) -> _Sorted:
        """The rules about the tool that is called."""
        key = (call.server, call.target, call.name) if call.kind != RESOURCE else (call.server, "", "")
        ready = self._tools.get(key)
        if ready is not None and ready.known is None:
            return ready
        known = self._facts(call).arguments
        if ready is None or (ready.known is not known and ready.known != known):
            ready = self._sort(call, known)
            if len(self._tools) >= MOST_TOOLS:
                self._tools.clear()
            self._tools[key] = ready
        return ready

    def _sort(self, call: Call, known: frozenset[str]) -> _Sorted:
        """Sort the rules about one tool, at its first call and when its schema has changed."""
        meant = names(call)
        allow = [rule for rule in about(meant, self._allow) if may_allow(rule, call.server)]
        return _Sorted(
            Broad(about(meant, self._deny), self._spellings, known),
            Broad(about(meant, self._ask), self._spellings, known),
            Narrow(allow, self._spellings, known), known)


def _allowing(call: Call, name: str) -> str:
    """The allow rule that would let the call pass for good, or an empty text where none can be written."""
    raw = f"{name}({call.target})" if call.kind == RESOURCE else name
    try:
        rule = parse(raw)
    except ValueError:
        return ""
    wanted = (name, EXACT, call.target) if call.kind == RESOURCE else (name, ANY, "")
    return raw if (rule.tool, rule.match, rule.text) == wanted and not is_glob(name) else ""


__all__ = ["ANY", "FIELDS", "Permissions", "Rule", "allowing", "build", "check", "rules"]
