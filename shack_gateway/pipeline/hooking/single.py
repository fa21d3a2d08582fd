"""The two commands of 0.1.0, `pre_tool_hook` and `post_tool_hook`: what they are given, and what they mean.  Pure.

Rule 1: whatever they do that is not laid down blocks: a hook that broke has judged nothing.
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...config.fields import kind
from ...wire.splice import DECODER
from ..arguments import policy_name
from ..call import TOOL, Call
from ..chain import HookRun
from .given import given
from .said import shown

DENIED = "denied by pre-tool hook permission decision"


def payload(call: Call, event: str, **more: Any) -> bytes:
    """What a hook reads: one line of JSON. `kind` stands only where 0.1.0 ran no hooks: `resource` or `prompt`."""
    told = {"hook_event_name": event, "tool_name": policy_name(call), "tool_input": given(call), **more}
    if call.kind != TOOL:
        told["kind"] = call.kind
    return json.dumps(told, allow_nan=False).encode() + b"\n"


class Verdict:
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
            self.blocked = shown(run.failure)
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
        return f"invalid JSON on hook stdout: {shown(str(error))}"
    return output if isinstance(output, dict) else f"hook stdout must be a JSON object, not {kind(output)}"


def _exit_reason(run: HookRun, output: dict[str, Any] | str) -> str:
    stderr = shown(run.stderr)
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
    return shown(said) if isinstance(said, str) else ""
