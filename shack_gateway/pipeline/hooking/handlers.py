"""The `hooks` object of Claude Code's settings, read into handlers.  Pure.

    {"PreToolUse": [{"matcher": "mcp__github__.*", "hooks": [{"type": "command", "command": "..."}]}]}

Rule 1: a hook that would not run is said to be: a word that is not known is an error, what belongs to a host and
        means nothing here is a warning, and kinds of hooks that we cannot run are errors.
"""
from __future__ import annotations

from collections.abc import Callable

from ...config.fields import REQUIRED, Field, Value, choice, did_you_mean, flag, is_comment, number, read_object, text
from ...errors import clip
from ...record import NamedTuple
from ..call import Call
from ..chain import Ports
from ..grammar import lacks_server, parse
from ..rules import one_rule
from .matching import Matches, every, matcher

PRE, POST, FAILURE, ELICITATION = "PreToolUse", "PostToolUse", "PostToolUseFailure", "Elicitation"
EVENTS = (PRE, POST, FAILURE, ELICITATION)
HOSTS_EVENTS = (
    "ConfigChange", "CwdChanged", "ElicitationResult", "FileChanged", "InstructionsLoaded", "Notification",
    "PermissionDenied", "PermissionRequest", "PostCompact", "PostToolBatch", "PreCompact", "SessionEnd",
    "SessionStart", "Setup", "Stop", "StopFailure", "SubagentStart", "SubagentStop", "TaskCompleted", "TaskCreated",
    "TeammateIdle", "UserPromptExpansion", "UserPromptSubmit", "WorktreeCreate", "WorktreeRemove",
)
"""What only a host can tell of."""

COMMAND, STDIO, DOCKER = "command", "stdio", "docker"
TYPES = {COMMAND: COMMAND, STDIO: STDIO, DOCKER: DOCKER, "docker-exec": DOCKER}
HOSTS_TYPES = ("http", "mcp_tool", "prompt", "agent")
SHELLS = ("bash", "powershell")
CONTINUE, BLOCK = "continue", "block"

Condition = Callable[[Call, Ports], bool]


class Handler(NamedTuple):
    """One hook of one event. `place` is where it stands in the file, `type` one of ours."""

    event: str
    place: str
    matches: Matches
    type: str
    command: str
    args: tuple[str, ...] | None = None
    """With them, `command` is a program and no line for a shell."""
    shell: str = ""
    secs: float | None = None
    aside: bool = False
    """It is not waited for."""
    condition: Condition | None = None
    """Where it says no of a call, the hook is not run."""
    lenient: bool = False
    """When the hook fails, the call goes on."""


def condition(value: Value) -> Condition | None:
    """A permission rule that the call must match."""
    written = text(value)
    if not written.strip():
        if isinstance(value.data, str):
            value.warn("is empty: the hook is run for every call", "Leave it out to mean that.")
        return None
    try:
        found, rule = one_rule(written), parse(written)
    except ValueError as error:
        value.error(f"is no permission rule: {error}")
        return None
    if lacks_server(rule.tool):
        value.warn(f"is about `{clip(rule.tool, 80)}`, which no tool of a server is called: the hook is never run",
                   "Write `server__tool(...)`.")
    return found


def arguments(value: Value) -> tuple[str, ...] | None:
    """A list of strings; an empty one, too, says that no shell is wanted."""
    if not isinstance(value.data, list):
        value.must_be("a list of strings")
        return None
    return tuple([text(element) for element in value.elements()])


def line(value: Value) -> str:
    """The command itself."""
    read = text(value)
    if isinstance(value.data, str) and not read.strip():
        value.error("is empty", "Write the command to run.")
    return read


HANDLER: tuple[Field, ...] = (
    Field("type", text, COMMAND, "`command`, `stdio` (a process that stays) or `docker` (an interceptor).", "word"),
    Field("command", line, REQUIRED, "What is run.", "string"),
    Field("args", arguments, None, "With them, `command` is a program that is run without a shell.", "list of strings"),
    Field("shell", choice(*SHELLS), "", "`bash` or `powershell` in place of the system's shell.", "word"),
    Field("timeout", number(0.1, 10**6), None, "How long it may run.", "number of seconds"),
    Field("async", flag, False, "It is not waited for, and what it says does not count.", "true or false"),
    Field("asyncRewake", flag, False, "As `async`.", "true or false"),
    Field("if", condition, None, "A permission rule: the hook is run for calls that match it.", "rule"),
    Field("onFailure", choice(CONTINUE, BLOCK), BLOCK, "What a hook that fails means for the call.", "word"),
)
GROUP: tuple[Field, ...] = (
    Field("matcher", lambda value: value, None, "Which tools.", "string"),
    Field("hooks", lambda value: value, REQUIRED, "What is run, in this order.", "list"),
)
NO_EFFECT = {
    "statusMessage": "",  # for the eyes of whoever sits before a host
    "once": "It is run for every call.",
    "windows": "Write the command of this system into `command`.",
    "linux": "Write the command of this system into `command`.",
    "osx": "Write the command of this system into `command`.",
    "commandWindows": "Write the command of this system into `command`.",
    "cwd": "Hooks run in `workspace_root`.",
    "env": "Set the variables in the command.",
    "failClosed": 'Hooks that fail block; write `"onFailure": "continue"` for one that must not.',
}


def handlers(value: Value) -> tuple[Handler, ...]:
    """Reads the whole object; the handlers in the order of the file."""
    if not isinstance(value.data, dict):
        value.must_be("an object", '`{"PreToolUse": [...]}`')
        return ()
    found: list[Handler] = []
    for event, member in value.items():
        if event in EVENTS:
            found += _event(event, member)
        elif event in HOSTS_EVENTS:
            member.warn("is not an event of a gateway; it has no effect", "Keep it in the settings of the host.")
        elif not is_comment(event):
            member.error("is not an event that shack-gateway knows", did_you_mean(event, (*EVENTS, *HOSTS_EVENTS)))
    return tuple(found)


def _event(event: str, value: Value) -> list[Handler]:
    if not isinstance(value.data, list):
        value.must_be("a list", '`[{"hooks": [{"type": "command", "command": "..."}]}]`')
        return []
    found: list[Handler] = []
    for group in value.elements():
        if isinstance(group.data, dict) and "command" in group.data and "hooks" not in group.data:
            group.error("is a hook where a group of hooks is wanted", 'Write it as `{"hooks": [{...}]}`.')
            continue
        read = read_object(group, GROUP, {"description": "", "name": ""})
        listed = read["hooks"]
        if listed is None:
            continue
        matches = every if read["matcher"] is None else matcher(read["matcher"], tools=event != ELICITATION)
        if not isinstance(listed.data, list):
            listed.must_be("a list", '`[{"type": "command", "command": "..."}]`')
        elif not listed.data:
            listed.warn("is empty: nothing is run")
        found += [each for element in listed.elements() if (each := _handler(event, matches, element)) is not None]
    return found


def _handler(event: str, matches: Matches, value: Value) -> Handler | None:
    written = value.data.get("type") if isinstance(value.data, dict) else None
    if isinstance(written, str) and written not in TYPES:
        _wrong_type(value.member("type"), written)
        return None
    before = value.findings.errors
    read = read_object(value, HANDLER, NO_EFFECT)
    if value.findings.errors != before:
        return None
    type = TYPES[read["type"]]
    if type == DOCKER and event not in (PRE, POST):
        value.member("type").error(f"`{read['type']}` is for `{PRE}` and `{POST}`")
        return None
    aside = read["async"] or read["asyncRewake"]
    if aside and type != COMMAND:
        value.error("cannot be `async`", "Only a hook of type `command` can.")
    if read["args"] is not None and (read["shell"] or type == DOCKER):
        value.member("args").error("and a shell exclude each other", "Leave `args` out, and write one line.")
    if read["if"] is not None and event == ELICITATION:
        value.member("if").warn("has no effect here: a question is no call")
    if aside and read["onFailure"] == BLOCK and value.data.get("onFailure") is not None:
        value.member("onFailure").warn("has no effect here: the hook is not waited for")
    return Handler(event, value.name, matches, type, read["command"], read["args"], read["shell"], read["timeout"],
                   aside, read["if"], read["onFailure"] == CONTINUE)


def _wrong_type(value: Value, written: str) -> None:
    if written in HOSTS_TYPES:
        value.error(f"`{written}` is not supported: a gateway runs no such hooks",
                    "Write a `command` that does the same, or remove the hook.")
    else:
        value.error(f"is `{clip(written, 40)}`, which is no type of a hook", did_you_mean(written, TYPES)
                    or "Write `command`, `stdio` or `docker`.")


