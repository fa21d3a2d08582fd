"""What a hook has said with its exit code and its output.  Pure.

    0                  what its output says
    2                  it blocks, whatever its output says
    anything else      it has failed; so it has when it was stopped, or when its output is not what is laid down

Rule 1: output that begins with `{` is JSON, whatever the exit code; other text means nothing, and what is no text at
        all is a failure.
Rule 2: JSON with a member of a wrong shape says nothing but that the hook failed.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ...config.fields import kind
from ...errors import clip
from ...wire.splice import DECODER
from ..chain import HookRun
from .handlers import ELICITATION, FAILURE, POST, PRE

MOST_REASON = 2048
MOST_STRING = 10_000
"""Characters of one text that a hook says."""
BY_CODE = "blocked by hook (exit code 2)"
BY_HOOK = "blocked by hook"
_CONTROL = re.compile(r"(?!\x1b\[[\d;:]*[mK])[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""What no text holds; colours are let be: many programs paint whatever they print."""


class NotLaidDown(ValueError):
    """The output of a hook is not what it may be; the text goes on from the hook's name."""


class Said:
    """What one run of a hook means. `None` stands for what it did not say.

    `blocked`, `denied` and `asks` are reasons (perhaps empty); `updated` are arguments to go on with; `context` is for
    the model; `replaced` is a one-element tuple with what is to stand in place of the result; `action` and `content`
    answer a question; `message` is for the log.
    """

    __slots__ = ("action", "asks", "blocked", "content", "context", "denied", "failure", "message", "replaced",
                 "updated")

    def __init__(self) -> None:
        self.failure = ""
        self.message = self.action = ""
        self.blocked: str | None = None
        self.denied: str | None = None
        self.asks: str | None = None
        self.updated: dict[str, Any] | None = None
        self.context: list[str] = []
        self.replaced: tuple[Any] | None = None
        self.content: dict[str, Any] | None = None

    @property
    def word(self) -> str:
        """In a word, for people."""
        if self.blocked is not None:
            return "blocked"
        if self.failure:
            return f"failed ({clip(self.failure, 200)})"
        words = [("denied", self.denied), ("asked", self.asks), ("changed the input", self.updated),
                 ("changed the result", self.replaced), ("added context", self.context or None)]
        return ", ".join(word for word, said in words if said is not None) or self.action or "passed"


def read(run: HookRun, event: str) -> Said:
    """What a hook of Claude Code's kind said."""
    said = Said()
    if run.failure:
        said.failure = shown(run.failure)
        return said
    try:
        output = _output(run)
        _check(output, event)
    except NotLaidDown as error:
        output, said.failure = {}, str(error)
    specific = output.get("hookSpecificOutput", {})
    _universal(said, output)
    if run.exit_code == 2:
        reason = output.get("reason") or specific.get("permissionDecisionReason") or output.get("stopReason") or ""
        said.blocked = shown(run.stderr) or shown(reason) or BY_CODE
        return said
    if run.exit_code != 0:
        said.failure = _how_it_ended(run)
    _EVENTS[event](said, output, specific)
    return said


def read_interceptor(run: HookRun) -> Said:
    """What an interceptor of the Docker MCP gateway said: nothing, or the result to return."""
    said = Said()
    if run.failure or run.exit_code != 0:
        said.failure = shown(run.failure) or _how_it_ended(run)
    elif run.garbled:
        said.failure = "its output is not UTF-8"
    elif stdout := bare(run.stdout):
        try:
            said.replaced = (_object(stdout),)
        except NotLaidDown as error:
            said.failure = str(error)
    return said


def bare(stdout: str) -> str:
    """Output without white space round it, and without the mark that some shells put before UTF-8."""
    return stdout.strip().removeprefix("\ufeff").strip()


def shown(said: str) -> str:
    """A text of a hook as the host may read it."""
    return clip(said.strip(), MOST_REASON)


def _how_it_ended(run: HookRun) -> str:
    how = f"exited with code {run.exit_code}" if run.exit_code >= 0 else f"was ended by signal {-run.exit_code}"
    stderr = shown(run.stderr)
    return f"{how}: {stderr}" if stderr else how


# --- what may stand in the output ------------------------------------------------------------------------------------


def _output(run: HookRun) -> dict[str, Any]:
    if run.garbled:
        raise NotLaidDown("its output is not UTF-8")
    stdout = bare(run.stdout)
    if stdout.startswith("{"):
        return _object(stdout)
    if _CONTROL.search(stdout):
        raise NotLaidDown("its output holds control characters")
    return {}


def _object(stdout: str) -> dict[str, Any]:
    try:
        value = DECODER.decode(stdout)
    except (ValueError, RecursionError) as error:
        raise NotLaidDown(f"its output is no JSON: {shown(str(error))}") from None
    if not isinstance(value, dict):
        raise NotLaidDown(f"its output must be a JSON object, not {kind(value)}")
    return value


def _is(wanted: type, name: str) -> Callable[[Any], str]:
    return lambda value: "" if type(value) is wanted else f"{name}, not {kind(value)}"


def _one_of(*words: str) -> Callable[[Any], str]:
    said = " or ".join((", ".join(f"`{word}`" for word in words[:-1]), f"`{words[-1]}`"))
    return lambda value: "" if isinstance(value, str) and value in words else said


def _not_null(value: Any) -> str:
    return "a result, not null" if value is None else ""


_TEXT, _FLAG, _OBJECT = _is(str, "a string"), _is(bool, "`true` or `false`"), _is(dict, "an object")
_SHAPES: dict[str, Callable[[Any], str]] = {
    "continue": _FLAG, "stopReason": _TEXT, "suppressOutput": _FLAG, "systemMessage": _TEXT, "terminalSequence": _TEXT,
    "decision": _one_of("approve", "block"), "reason": _TEXT, "hookSpecificOutput": _OBJECT,
}
"""What must be said of each member, empty where it has the shape it must have."""
_SPECIFIC: dict[str, dict[str, Callable[[Any], str]]] = {
    PRE: {
        "permissionDecision": _one_of("allow", "deny", "ask", "defer"), "permissionDecisionReason": _TEXT,
        "updatedInput": _OBJECT, "additionalContext": _TEXT, "classifierContext": _TEXT,
    },
    POST: {
        "updatedToolOutput": _not_null, "updatedMCPToolOutput": _not_null, "additionalContext": _TEXT,
        "classifierContext": _TEXT,
    },
    FAILURE: {"additionalContext": _TEXT, "classifierContext": _TEXT},
    ELICITATION: {"action": _one_of("accept", "decline", "cancel"), "content": _OBJECT},
}


def _check(output: dict[str, Any], event: str) -> None:
    """Raise where a member has not the shape it must have."""
    _check_members(output, _SHAPES)
    specific = output.get("hookSpecificOutput")
    if specific is None:
        return
    if specific.get("hookEventName") != event:
        raise NotLaidDown(f"its output is wrong: `hookSpecificOutput.hookEventName` must be `{event}`")
    _check_members(specific, _SPECIFIC[event])
    if specific.get("action", "accept") != "accept" and "content" in specific:
        raise NotLaidDown("its output is wrong: `content` is for the action `accept`")
    if event != PRE and specific.get("permissionDecision") in ("deny", "ask", "defer"):
        # Whoever says that behind a call believes to have hindered something.
        raise NotLaidDown(f"its output is wrong: `permissionDecision` is for `{PRE}`")


def _check_members(value: dict[str, Any], shapes: dict[str, Callable[[Any], str]]) -> None:
    for key, wrong in shapes.items():
        if key in value and (what := wrong(value[key])):
            raise NotLaidDown(f"its output is wrong: `{key}` must be {what}")


# --- what it means ---------------------------------------------------------------------------------------------------


def _universal(said: Said, output: dict[str, Any]) -> None:
    said.message = clip(output.get("systemMessage", ""), MOST_STRING)
    if output.get("continue") is False:
        said.blocked = shown(output.get("stopReason", "")) or shown(output.get("reason", "")) or BY_HOOK
    elif output.get("decision") == "block":
        said.blocked = shown(output.get("reason", "")) or BY_HOOK


def _before(said: Said, output: dict[str, Any], specific: dict[str, Any]) -> None:
    reason = shown(specific.get("permissionDecisionReason", "")) or shown(output.get("reason", ""))
    decision = specific.get("permissionDecision")
    if decision == "deny":
        said.denied = reason
    elif decision in ("ask", "defer"):
        said.asks = reason
    said.updated = specific.get("updatedInput")
    _contexts(said, output, specific)


def _behind(said: Said, output: dict[str, Any], specific: dict[str, Any]) -> None:
    for key in ("updatedToolOutput", "updatedMCPToolOutput"):
        if key in specific and said.replaced is None:
            said.replaced = (specific[key],)
    _contexts(said, output, specific)


def _contexts(said: Said, output: dict[str, Any], specific: dict[str, Any]) -> None:
    texts = [clip(specific.get(key, ""), MOST_STRING) for key in ("additionalContext", "classifierContext")]
    said.context = [text for text in texts if text.strip()]


def _answer(said: Said, output: dict[str, Any], specific: dict[str, Any]) -> None:
    said.action = specific.get("action", "")
    said.content = specific.get("content")


_EVENTS = {PRE: _before, POST: _behind, FAILURE: _contexts, ELICITATION: _answer}
