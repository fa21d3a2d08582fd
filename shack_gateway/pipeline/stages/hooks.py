"""Hooks: commands of the owner that see a call before it is sent and its result before it is returned.  Pure.

A hook reads one JSON object from its standard input. It lets the call pass with exit code 0 and no output, blocks it
with exit code 2, and may answer with one JSON object; see `docs/hooks.md`.

Rule 1: whatever a hook does that is not laid down there blocks: a hook that broke has judged nothing.
Rule 2: changed arguments are judged again by every gate before (the chain does that); the second hook sees them.
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...config.fields import Field, kind, number, text
from ...errors import clip
from ...wire.splice import DECODER
from ..approval import Approval
from ..arguments import policy_name
from ..call import RESOURCE, TOOL, Call, Complete, Outcome, Refused
from ..chain import HookRun, Ports, Program, Stage

PRE, POST = "pre_tool_hook", "post_tool_hook"
MOST_REASON = 2048
DEFAULT_SECS = 30
DENIED = "denied by pre-tool hook permission decision"

FIELDS: tuple[Field, ...] = (
    Field("pre_tool_hook", text, "", "Shell command that judges every call before it is sent.", "string"),
    Field("post_tool_hook", text, "", "Shell command that judges every result before it is returned.", "string"),
    Field("hook_timeout_secs", number(0.1, 3600), None, "How long a hook may run. Without it: as long as a call may be "
          "silent (`request_timeout_secs`), at most 30.", "number of seconds"),
)


def build(settings: Mapping[str, Any], ports: Ports) -> Stage | None:
    """The stage; none without a hook."""
    pre, post = settings[PRE], settings[POST]
    if not pre.strip() and not post.strip():
        return None
    limit = settings["hook_timeout_secs"] or min(DEFAULT_SECS, settings.get("request_timeout_secs", DEFAULT_SECS))
    return Hooks(pre, post, limit, ports)


class Hooks(Stage):
    """Runs the hook before a call, and the one behind it."""

    name = "hooks"

    def __init__(self, pre: str, post: str, limit_secs: float, ports: Ports) -> None:
        self._pre, self._post, self._limit, self._run = pre.strip(), post.strip(), limit_secs, ports.run_hook
        self._approval = Approval(self.name, ports.office, ports.report)

    async def before(self, call: Call) -> Call | Outcome:
        """The call as the first hook lets it go on, or why it is blocked."""
        if not self._pre:
            return call
        asked = _input(call)
        payload = _payload(call, "PreToolUse", tool_input_json=json.dumps(asked))
        said = _Said(await self._run(Program(self._pre), payload, self._limit))
        if call.kind == RESOURCE and said.updated is not None and said.updated != asked:
            said.blocked = "the URI of a resource cannot be changed"
        if said.blocked:
            return Refused(self.name, f"blocked by pre-tool hook: {said.blocked}", rule=PRE)
        if said.denied:
            # 0.1.0 answers a denied call as the permission rules do.
            return Refused("permissions", said.denied, rule=PRE)
        if said.updated is not None and call.kind != RESOURCE:
            call = call.with_arguments(said.updated)
        if said.asks is not None:
            return self._approval.judge(call, PRE, why=said.asks) or call
        return call

    def known(self, call: Call) -> Mapping[str, Any]:
        """An approval at the desk holds as long as the call goes on."""
        return self._approval.known(call)

    async def after(self, call: Call, outcome: Outcome) -> Outcome:
        """The result, or why the second hook holds it back. It never sees a call that was refused or failed."""
        if not self._post or not isinstance(outcome, Complete):
            return outcome
        try:
            value = outcome.value
            is_error = value.get("isError") is True
            payload = _payload(call, "PostToolUse", tool_response=value, tool_result_is_error=is_error)
        except (ValueError, RecursionError):
            blocked = f"the result of server `{call.server}` cannot be shown to it: it is no JSON object"
        else:
            blocked = _Said(await self._run(Program(self._post), payload, self._limit), post=True).blocked
        if blocked:
            return Refused(self.name, f"result rejected by post-tool hook: {blocked}", rule=POST)
        return outcome


def _input(call: Call) -> dict[str, Any]:
    return {"uri": call.target} if call.kind == RESOURCE else call.arguments


def _payload(call: Call, event: str, **more: Any) -> bytes:
    """What a hook reads: one line of JSON. `kind` stands only where 0.1.0 ran no hooks: `resource` or `prompt`."""
    payload = {"hook_event_name": event, "tool_name": policy_name(call), "tool_input": _input(call), **more}
    if call.kind != TOOL:
        payload["kind"] = call.kind
    return json.dumps(payload, allow_nan=False).encode() + b"\n"


class _Said:
    """What a hook said with its exit code and its output.

    `blocked` and `denied` are texts for the host, empty when the call goes on; `updated` are arguments to go on with;
    `asks`, unless it is None, is why the user is to be asked.
    """

    __slots__ = ("asks", "blocked", "denied", "updated")

    def __init__(self, run: HookRun, *, post: bool = False) -> None:
        self.blocked, self.denied = "", ""
        self.updated: dict[str, Any] | None = None
        self.asks: str | None = None
        if run.failure:
            self.blocked = _shown(run.failure)
            return
        output = _read(run.stdout)
        if run.exit_code != 0:
            self.blocked = _exit_reason(run, output)
        elif isinstance(output, str):
            self.blocked = output
        elif reason := _block_reason(output):
            self.blocked = reason
        elif not post:
            self._read_decision(output)

    def _read_decision(self, output: dict[str, Any]) -> None:
        specific = output.get("hookSpecificOutput")
        if specific is None:
            return
        if not isinstance(specific, dict):
            self.blocked = f"`hookSpecificOutput` must be an object, not {kind(specific)}"
            return
        decision = specific.get("permissionDecision")
        reason = _text(specific, "permissionDecisionReason") or _text(output, "reason")
        if decision == "deny":
            self.denied = DENIED + (f": {reason}" if reason else "")
            return
        if decision in ("ask", "defer"):
            self.asks = reason
        elif decision not in (None, "allow"):
            self.blocked = "`permissionDecision` must be `allow`, `deny` or `ask`"
            return
        if "updatedInput" in specific:
            updated = specific["updatedInput"]
            if isinstance(updated, dict):
                self.updated = updated
            else:
                self.blocked = f"`updatedInput` must be an object, not {kind(updated)}"


def _read(stdout: str) -> dict[str, Any] | str:
    """The object that a hook printed, or what is wrong with it; no output is an object without members."""
    if not stdout.strip():
        return {}
    try:
        output = DECODER.decode(stdout)
    except (ValueError, RecursionError) as error:
        return f"invalid JSON on hook stdout: {_shown(str(error))}"
    return output if isinstance(output, dict) else f"hook stdout must be a JSON object, not {kind(output)}"


def _exit_reason(run: HookRun, output: dict[str, Any] | str) -> str:
    stderr = _shown(run.stderr)
    if run.exit_code != 2:
        return f"hook exited with code {run.exit_code}: {stderr}"
    said = "" if isinstance(output, str) else _text(output, "reason")
    return said or stderr or "blocked by hook (exit code 2)"


def _block_reason(output: dict[str, Any]) -> str:
    """Why a hook that ended well blocks nevertheless, or `""`."""
    goes_on = output.get("continue")
    if goes_on is False or output.get("decision") == "block":
        return _text(output, "reason") or "blocked by hook"
    if goes_on not in (None, True):
        return f"`continue` must be `true` or `false`, not {kind(goes_on)}"
    return ""


def _text(output: Mapping[str, Any], key: str) -> str:
    said = output.get(key)
    return _shown(said) if isinstance(said, str) else ""


def _shown(said: str) -> str:
    return clip(said.strip(), MOST_REASON)
