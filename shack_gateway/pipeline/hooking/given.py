"""What a hook reads: one line of JSON, as Claude Code writes it.  Pure.

Rule 1: the text is spelt as hosts spell it (no spaces, letters as they are): scripts that `grep` it exist.
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..arguments import policy_name
from ..call import PROMPT, RESOURCE, TOOL, Call
from ..tools import HOST
from .handlers import ELICITATION, POST

SOURCE = "shack-gateway"
METHODS = {TOOL: "tools/call", RESOURCE: "resources/read", PROMPT: "prompts/get"}


def call_event(event: str, call: Call, session: str, folder: str, **more: Any) -> bytes:
    """The line about a call; `more` are the members that only this event has.

    Raises `ValueError` or `RecursionError` for what JSON cannot say.
    """
    told = {**_common(event, session, folder), "tool_name": HOST + policy_name(call), "tool_input": given(call)}
    told["tool_use_id"] = f"shack-{call.number}"
    told["mcp_server"] = {"name": call.server, "source": SOURCE}
    told.update(more)
    if call.kind != TOOL:
        told["kind"] = call.kind
    return _line(told)


def question_event(server: str, params: Mapping[str, Any], session: str, folder: str) -> bytes:
    """The line about a question of a server to the user; `params` are those of its `elicitation/create`."""
    told = {**_common(ELICITATION, session, folder), "mcp_server_name": server, "message": params.get("message", "")}
    told["mode"] = params.get("mode", "form")
    for name, key in (("url", "url"), ("elicitation_id", "elicitationId"), ("requested_schema", "requestedSchema")):
        if key in params:
            told[name] = params[key]
    return _line(told)


def interceptor_event(event: str, call: Call, result: Mapping[str, Any] | None) -> bytes:
    """What an interceptor of the Docker MCP gateway reads: the request before a call, the result behind it."""
    if event == POST:
        return _line(result)
    params = given(call) if call.kind == RESOURCE else {"name": policy_name(call), "arguments": call.arguments}
    return _line({"method": METHODS[call.kind], "params": params})


def given(call: Call) -> dict[str, Any]:
    """The arguments as hooks see them; a resource has its URI."""
    return {"uri": call.target} if call.kind == RESOURCE else call.arguments


def _common(event: str, session: str, folder: str) -> dict[str, Any]:
    return {
        "session_id": session, "transcript_path": "", "cwd": folder, "permission_mode": "default",
        "hook_event_name": event,
    }


def _line(value: Any) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        text = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    return text + b"\n"
