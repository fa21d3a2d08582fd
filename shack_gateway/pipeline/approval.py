"""Asking the user whether a call may be made.  Pure.

    the host can show a form   the call's outcome is the question; made again with the answer, the call goes on
    it cannot                  the call is refused with a code; `shack-gateway approve CODE`, run by the user in a
                               terminal, lets the same call pass once

Rule 1: an answer counts for the very call it was asked about (`call.digest`), except where the user chose more.
Rule 2: whoever said no is not asked about the same call again for a while; anything but a clear yes is a no.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Protocol

from ..errors import clip
from .arguments import policy_name
from .call import Call, InputRequired, Refused, digest

ONCE, SESSION, ALWAYS, NO = "once", "session", "always", "no"
NO_PROMPTER = "tool call requires explicit approval; the gateway has no interactive prompter — add an allow rule"
MOST_ARGUMENTS = 2000
"""Characters of a call's arguments that the user is shown."""
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

    def ticket(self, about: str) -> str:
        """Under which name a call lies at the desk."""
        return sha256(f"{self.place}\0{about}".encode("utf-8", "surrogatepass")).hexdigest()


class Approval:
    """The questions of one stage, and what was answered in this run of the gateway."""

    def __init__(self, stage: str, office: Office | None, report: Callable[[str, str], None]) -> None:
        self._stage, self._office, self._report = stage, office, report
        self._session: set[str] = set()
        self._no: dict[str, float] = {}
        self._passed: dict[str, tuple[float, int]] = {}
        """Calls approved at the desk: until when, and the number of the call that passed."""

    def judge(self, call: Call, rule: str, why: str = "", always: str = "") -> InputRequired | Refused | None:
        """None when the user has approved the call, else the question or the refusal.

        `rule` is what demands the approval, `always` the allow rule that would make it unnecessary, if there is one.
        """
        office, tool = self._office, policy_name(call)
        if tool in self._session:
            return None
        about = digest(call)
        key = f"{self._stage}-{about[:16]}"
        if office is None:
            return self._refused(call, rule, why, "")
        if key in call.answers:
            return self._answered(call, about, call.answers[key], rule, tool, always, office)
        now = office.now()
        if self._no.get(about, 0.0) > now:
            return Refused("permissions", f"the user has said no to this call of `{clip(tool, MOST_RULE)}`, and is not "
                           f"asked about it again for {office.secs:g} s", rule=rule)
        if self._at_desk(call, about, now, office):
            return None
        if can_show_forms(call.context.capabilities):
            return InputRequired({key: _question(call, tool, rule, why, always, office.mask)}, None, call.server,
                                 stage=self._stage)
        return self._refused(call, rule, why, self._code(call, about, tool, rule, office))

    def _answered(
        self, call: Call, about: str, answer: Any, rule: str, tool: str, always: str, office: Office
    ) -> Refused | None:
        content = answer.get("content") if isinstance(answer, Mapping) and answer.get("action") == "accept" else None
        choice = content.get("answer") if isinstance(content, Mapping) else None
        if choice == ONCE:
            return None
        if choice in (SESSION, ALWAYS):
            self._session.add(tool)
            if choice == ALWAYS and always:
                fault = office.add_rule(always)
                said = f"could not be added: {fault}" if fault else "was added to the configuration"
                self._report("warning" if fault else "info", f"the rule `{clip(always, MOST_RULE)}` {said}")
            return None
        _keep(self._no, about, office.now() + office.secs)
        return Refused("permissions", f"the user said no to this call of `{clip(tool, MOST_RULE)}`, and is not asked "
                       f"about it again for {office.secs:g} s", rule=rule)

    def _at_desk(self, call: Call, about: str, now: float, office: Office) -> bool:
        """True for a call that was approved in a terminal: once, and for as long as that very call goes on."""
        until, number = self._passed.get(about, (0.0, 0))
        if until > now and (number == call.number or "requestState" in call.params):
            return True
        if office.desk is None or not office.desk.take(office.ticket(about)):
            return False
        _keep(self._passed, about, (now + office.secs, call.number))
        return True

    def _code(self, call: Call, about: str, tool: str, rule: str, office: Office) -> str:
        if office.desk is None:
            return ""
        told = {"server": call.server, "tool": tool, "rule": rule, "arguments": office.mask(readable(call.arguments))}
        try:
            return office.desk.request(office.ticket(about), told)
        except (OSError, ValueError) as error:
            self._report("warning", f"a call cannot be approved in a terminal: {error}")
            return ""

    def _refused(self, call: Call, rule: str, why: str, code: str) -> Refused:
        text = f"{NO_PROMPTER} for `{clip(policy_name(call), MOST_RULE)}`"
        if code:
            text += (f", or let the user run `shack-gateway approve {code}` in a terminal within 5 minutes, and then "
                     "make the same call again")
        return Refused("permissions", text + (f" ({why})" if why else ""), rule=rule)


def can_show_forms(capabilities: Mapping[str, Any]) -> bool:
    """True for a host that says it can show its user a form."""
    offered = capabilities.get("elicitation")
    return isinstance(offered, dict) and ("form" in offered or "url" not in offered)


def readable(arguments: Any) -> str:
    """Arguments as a person reads them; the middle of long ones is left out."""
    text = json.dumps(arguments, indent=2, ensure_ascii=False)
    if len(text) > MOST_ARGUMENTS:
        half = MOST_ARGUMENTS // 2
        text = f"{text[:half]}\n… {len(text) - 2 * half} characters are not shown …\n{text[-half:]}"
    return clip(text)


def _question(
    call: Call, tool: str, rule: str, why: str, always: str, mask: Callable[[str], str]
) -> dict[str, Any]:
    """The form that asks for an approval."""
    shown = clip(tool, MOST_RULE)
    lines = [f"Allow this call of `{shown}`?", "", f"server: {call.server}", f"tool: {clip(call.target, MOST_RULE)}",
             f"rule: {clip(rule, MOST_RULE)}", *([f"reason: {why}"] if why else []),
             f"arguments: {mask(readable(call.arguments))}"]
    choices = [ONCE, SESSION, *([ALWAYS] if always else []), NO]
    meaning = [f"once: this call only; session: every call of `{shown}` until the gateway ends"]
    if always:
        meaning.append(f"always: adds the rule `{clip(always, MOST_RULE)}` to `permissions.allow` in the configuration")
    schema = {
        "type": "object",
        "properties": {
            "answer": {"type": "string", "title": "Allow it?", "description": "; ".join(meaning), "enum": choices},
        },
        "required": ["answer"],
    }
    return {"method": "elicitation/create",
            "params": {"mode": "form", "message": "\n".join(lines), "requestedSchema": schema}}


def _keep(table: dict[str, Any], key: str, value: Any) -> None:
    table.pop(key, None)
    if len(table) >= MOST_KEPT:
        del table[next(iter(table))]
    table[key] = value
