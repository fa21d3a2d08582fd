"""Asking the user whether a call may be made.  Pure.

    the host can show a form   the call's outcome is the question; made again with the answer, the call goes on
    it cannot                  the call is refused with a code; `shack-gateway approve CODE`, run by the user in a
                               terminal, lets the same call pass once

Rule 1: an answer counts for the very call it was asked about (`call.digest`), except where the user chose more; then
        for what the form said, and for the rule it named.
Rule 2: whoever said no is not asked about the same call again for a while; anything but a clear yes is a no.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Protocol

from ..errors import clip
from .arguments import policy_name
from .call import RESOURCE, Call, InputRequired, Refused, digest

ONCE, SESSION, ALWAYS, NO = "once", "session", "always", "no"
NO_PROMPTER = "tool call requires explicit approval; the gateway has no interactive prompter — add an allow rule"
NOBODY_ASKED = "tool call requires explicit approval; the gateway has no interactive prompter"
"""Where no allow rule would help."""
YES: Mapping[str, Any] = {"action": "accept", "content": {"answer": ONCE}}
MOST_ARGUMENTS = 6000
"""Characters of a call's arguments that the user is shown."""
SHOWN = ((240, 30), (100, 8), (40, 2))
"""Characters of one text and elements of one list that are shown; fewer where the whole is too long otherwise."""
MOST_DEPTH = 8
MOST_RULE = 300
MOST_KEPT = 1024
"""Answers that are remembered; past that the oldest is forgotten, and asked for again."""


class Desk(Protocol):
    """Where approvals are given that the host cannot ask for (`store/approvals.py`)."""

    def request(self, digest: str, about: Mapping[str, str]) -> str: ...
    def take(self, digest: str) -> bool: ...


class Office:
    """What asking needs of the world, for all stages together: the desk, where rules are written, the clock, the mask.

    `secs` is how long answers count; `place` tells this configuration from others whose calls come to the same desk.
    """

    def __init__(
        self, desk: Desk | None, add_rule: Callable[[str], str], now: Callable[[], float],
        mask: Callable[[str], str], secs: float, place: str,
    ) -> None:
        self.desk, self.add_rule, self.now, self.mask, self.secs = desk, add_rule, now, mask, secs
        self.place = place
        self._drawn: dict[int, list[str]] = {}
        """What was drawn on at the desk, by the call that did."""
        self._returned: dict[str, float] = {}
        """What was given back, and until when it may be drawn on again."""

    def ticket(self, about: str) -> str:
        """Under which name a call lies at the desk."""
        return sha256(f"{self.place}\0{about}".encode("utf-8", "surrogatepass")).hexdigest()

    def take(self, stage: str, about: str, number: int) -> bool:
        """True where the user has approved what a stage asks about, in a terminal; from then on it is used up."""
        what = f"{stage} {about}"
        if self._returned.pop(what, 0.0) <= self.now() and not (self.desk and self.desk.take(self.ticket(about))):
            return False
        drawn = self._drawn.get(number, [])
        _keep(self._drawn, number, [*drawn, what])
        return True

    def give_back(self, number: int) -> None:
        """A call is refused because it needs another approval still: what it has drawn on counts for its next try.
        Without that, a call that two rules ask about, or that changes on its way, would never get all it needs."""
        for what in self._drawn.pop(number, ()):
            _keep(self._returned, what, self.now() + self.secs)


class Approval:
    """The questions of one stage, and what was answered in this run of the gateway."""

    def __init__(self, stage: str, office: Office | None, report: Callable[[str, str], None]) -> None:
        self._stage, self._office, self._report = stage, office, report
        self._session: set[tuple[str, str]] = set()
        """What was approved for the session: by which rule it was asked about, and what the approval covers."""
        self._no: dict[str, float] = {}
        self._passed: dict[str, int] = {}
        """Calls approved at the desk, by the question they need not be asked: the number of the call that passed."""

    def judge(self, call: Call, rule: str, why: str = "", always: str = "") -> InputRequired | Refused | None:
        """None when the user has approved the call, else the question or the refusal.

        `rule` is what demands the approval, `always` the allow rule that would make it unnecessary, if there is one.
        """
        office, tool = self._office, policy_name(call)
        covered = (rule, always or (f"{tool}({call.target})" if call.kind == RESOURCE else tool))
        if covered in self._session:
            return None
        about = digest(call)
        key = self._key(about)
        if office is None:
            return self._refused(call, rule, why, always, "")
        if key in call.answers:
            return self._answered(call, about, call.answers[key], covered, always, office)
        if self._no.get(about, 0.0) > office.now():
            return _said_no(tool, rule, office)
        if self._at_desk(call, about, key, office):
            return None
        if can_show_forms(call.context.capabilities):
            return InputRequired({key: _question(call, tool, rule, why, always, office.mask)}, None, call.server,
                                 stage=self._stage)
        return self._refused(call, rule, why, always, self._code(call, about, tool, rule, office))

    def known(self, call: Call) -> Mapping[str, Any]:
        """What was approved at the desk is approved as long as the call goes on."""
        if not self._passed:
            return {}
        key = self._key(digest(call))
        return {key: YES} if self._passed.get(key) == call.number else {}

    def _key(self, about: str) -> str:
        return f"{self._stage}-{about[:16]}"

    def _answered(
        self, call: Call, about: str, answer: Any, covered: tuple[str, str], always: str, office: Office
    ) -> Refused | None:
        content = answer.get("content") if isinstance(answer, Mapping) and answer.get("action") == "accept" else None
        choice = content.get("answer") if isinstance(content, Mapping) else None
        rule, covers = covered
        if choice not in _choices(always) or choice == NO:
            choice = NO
            _keep(self._no, about, office.now() + office.secs)
        elif choice != ONCE:
            self._session.add(covered)
        self._report("info", f"call {call.number}: {self._stage} asked, for `{clip(rule, MOST_RULE)}`: the user said "
                     f"{choice} to `{clip(covers, MOST_RULE)}`")
        if choice == ALWAYS:
            fault = office.add_rule(always)
            said = f"could not be added: {fault}" if fault else "was added to the configuration"
            self._report("warning" if fault else "info", f"the rule `{clip(always, MOST_RULE)}` {said}")
        if choice != NO:
            return None
        return _said_no(policy_name(call), rule, office)

    def _at_desk(self, call: Call, about: str, key: str, office: Office) -> bool:
        """True for a call that was approved in a terminal: once, and as long as that very call goes on."""
        if self._passed.get(key) == call.number:
            return True
        if office.desk is None or not office.take(self._stage, about, call.number):
            return False
        self._report("info", f"call {call.number}: approved in a terminal")
        _keep(self._passed, key, call.number)
        return True

    def _code(self, call: Call, about: str, tool: str, rule: str, office: Office) -> str:
        if office.desk is None:
            return ""
        office.give_back(call.number)
        told = {"server": call.server, "tool": tool, "rule": rule, "arguments": office.mask(readable(call.arguments))}
        try:
            return office.desk.request(office.ticket(about), told)
        except (OSError, ValueError) as error:
            self._report("warning", f"a call cannot be approved in a terminal: {error}")
            return ""

    def _refused(self, call: Call, rule: str, why: str, always: str, code: str) -> Refused:
        tool = f"`{clip(policy_name(call), MOST_RULE)}`"
        text = f"{NO_PROMPTER} for {tool}" if always else f"{NOBODY_ASKED}, and {tool} is asked about by `{rule}`"
        if code:
            link = ", or" if always else ";"
            text += (f"{link} let the user run `shack-gateway approve {code}` in a terminal within 5 minutes, and then "
                     "make the same call again")
        return Refused("permissions", text + (f" ({why})" if why else ""), rule=rule)


def _said_no(tool: str, rule: str, office: Office) -> Refused:
    text = f"the user said no to this call of `{clip(tool, MOST_RULE)}`, and is not asked about it again for"
    return Refused("permissions", f"{text} {office.secs:g} s", rule=rule)


def can_show_forms(capabilities: Mapping[str, Any]) -> bool:
    """True for a host that says it can show its user a form."""
    offered = capabilities.get("elicitation")
    return isinstance(offered, dict) and ("form" in offered or "url" not in offered)


def readable(arguments: Any) -> str:
    """Arguments as a person reads them: long texts and lists are shortened by themselves, so none hides another."""
    text = ""
    for texts, items in SHOWN:
        shown = _shortened(arguments, texts, items, 0)
        text = clip(json.dumps(shown, indent=2, ensure_ascii=False), 8 * MOST_ARGUMENTS)
        if len(text) <= MOST_ARGUMENTS:
            return text
    return f"(NOT ALL OF THEM ARE SHOWN)\n{text[:MOST_ARGUMENTS]} …"


def _shortened(value: Any, texts: int, items: int, depth: int) -> Any:
    if isinstance(value, str):
        left = len(value) - texts
        return value if left <= 0 else f"{value[:texts - 20]} … {left + 40} characters … {value[-20:]}"
    if depth > MOST_DEPTH and isinstance(value, (dict, list)):
        return f"… {len(value)} further …"
    if isinstance(value, dict):
        shown: dict[str, Any] = {}
        for key, each in value.items():
            name = _shortened(key, texts, items, depth)
            while name in shown:
                name += "'"  # another long key that begins and ends alike
            shown[name] = _shortened(each, texts, items, depth + 1)
        return shown
    if isinstance(value, list):
        first = [_shortened(each, texts, items, depth + 1) for each in value[:items]]
        return first if len(value) <= items else [*first, f"… {len(value) - items} further …"]
    return value


def _choices(always: str) -> list[str]:
    return [ONCE, SESSION, *([ALWAYS] if always else []), NO]


def _line(text: str) -> str:
    """A name on one line: what a server calls itself must not write lines of the form."""
    return clip(" ".join(text.split()), MOST_RULE)


def _question(
    call: Call, tool: str, rule: str, why: str, always: str, mask: Callable[[str], str]
) -> dict[str, Any]:
    """The form that asks for an approval."""
    shown = _line(tool)
    every = f"every read of {_line(call.target)}" if call.kind == RESOURCE else f"every call of `{shown}`"
    lines = [f"Allow this call of `{shown}`?", "", f"server: {call.server}", f"tool: {_line(call.target)}",
             f"rule: {_line(rule)}", *([f"reason: {_line(why)}"] if why else []),
             f"arguments: {mask(readable(call.arguments))}"]
    choices = _choices(always)
    meaning = [f"once: this call only; session: {every} until the gateway ends"]
    if always:
        meaning.append(f"always: adds the rule `{_line(always)}` to `permissions.allow` in the configuration")
    schema = {
        "type": "object",
        "properties": {
            "answer": {"type": "string", "title": "Allow it?", "description": "; ".join(meaning), "enum": choices},
        },
        "required": ["answer"],
    }
    return {"method": "elicitation/create",
            "params": {"mode": "form", "message": "\n".join(lines), "requestedSchema": schema}}


def _keep(table: dict[Any, Any], key: str | int, value: Any) -> None:
    table.pop(key, None)
    if len(table) >= MOST_KEPT:
        del table[next(iter(table))]
    table[key] = value
