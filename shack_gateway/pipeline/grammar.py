"""The grammar of permission rules: 0.1.0's and Claude Code's, read into one form.  Pure.

    rule     = tool | tool "(" content ")"
    tool     = the name of a call or a pattern over it, in any spelling of `tools.py`
    content  = "" | "*"            any call of the tool
             | "domain:" host      the subject is an address of `host`; `*.host` means the hosts below it
             | text ":*"           the subject begins with `text`
             | text " *"           the subject begins with `text` and goes on after white space, or not at all
             | text with "*"       the subject is `text`, where each `*` stands for any letters
             | text                the subject is `text`
             | param ":" value     the argument `param` is `value`, where the tool's schema names it and it is not the
                                   tool's subject: only who knows the tool can tell this from a text

What a subject is, and how closely it is looked at, is told in `broad.py` (deny, ask) and `narrow.py` (allow).
"""
from __future__ import annotations

import re

from ..catalog.names import SEPARATOR
from ..errors import clip
from ..lazy import Pattern
from ..record import NamedTuple
from .domains import domain
from .tools import HOST, OURS, is_glob, literal

ANY, PREFIX, EXACT, PATTERN, DOMAIN = "any", "prefix", "exact", "pattern", "domain"
"""How the content of a rule is compared."""
LOOSE, WORD = ":*", " *"
"""How a prefix or a pattern goes on: anyhow, or at the end of a word. An allow rule takes the first for the second."""

_PARAMETER = Pattern(r"\s*([A-Za-z_$][\w.$-]*)\s*:\s*(.*)", re.DOTALL)


FORM = "Write `server__tool` or `server__tool(text)`."
HOST_TOOLS = frozenset({
    "Agent", "AskUserQuestion", "Bash", "BashOutput", "Edit", "EnterPlanMode", "ExitPlanMode", "Glob", "Grep",
    "KillBash", "KillShell", "LS", "LSP", "ListMcpResources", "ListMcpResourcesTool", "MultiEdit", "NotebookEdit",
    "NotebookRead", "PowerShell", "Read", "ReadMcpResource", "ReadMcpResourceTool", "Skill", "SlashCommand", "Task",
    "TaskOutput", "TaskStop", "TodoRead", "TodoWrite", "ToolSearch", "WebFetch", "WebSearch", "Write",
})
"""Tools that hosts have themselves, whose rules people paste with those of servers."""


class NoRule(ValueError):
    """A text is no rule; `fix` says what to write."""

    def __init__(self, what: str, fix: str = FORM) -> None:
        super().__init__(what)
        self.fix = fix


class Rule(NamedTuple):
    """One rule, read.

    `match` says how `text` is compared, `ends` how it goes on (`LOOSE`, `WORD` or empty). `param` and `value` are the
    other reading of the content; `param` is empty where there is none.
    """

    raw: str
    tool: str
    match: str = ANY
    text: str = ""
    ends: str = ""
    param: str = ""
    value: str = ""


def parse(raw: str) -> Rule:
    """The rule that `raw` spells; raises `NoRule` with what is wrong with it."""
    rule = raw.strip()
    if not rule:
        raise NoRule("is empty")
    tool, opened, rest = rule.partition("(")
    tool = tool.strip()
    if opened and not rest.endswith(")"):
        raise NoRule("opens a `(` that no `)` closes at its end")
    if ")" in tool:
        raise NoRule("closes a `)` that was not opened")
    if not tool:
        raise NoRule("names no tool")
    content = rest[:-1].strip()
    if content == ":*" or not content.strip("*"):
        return Rule(rule, tool)
    if content.startswith("domain:"):
        host = domain(content[len("domain:") :].strip())
        if not host:
            raise NoRule("names no host behind `domain:`, or more than a host",
                         f"Write the host alone: `{clip(tool, 100)}(domain:example.com)`.")
        return Rule(rule, tool, DOMAIN, host, "", "domain", content[len("domain:") :].strip())
    found = _PARAMETER.fullmatch(content)
    param, value = (found[1], found[2].strip()) if found else ("", "")
    ends = LOOSE if content.endswith(LOOSE) else WORD if content.endswith(WORD) else ""
    text = content[: len(content) - len(ends)] if ends else content
    if not text.strip("*"):
        return Rule(rule, tool)                 # `* *` and the like
    match = PATTERN if "*" in text else PREFIX if ends else EXACT
    return Rule(rule, tool, match, text, ends, param, value)


def lacks_server(tool: str) -> bool:
    """True for a tool's name without a server's before it: no call is named so."""
    return SEPARATOR not in tool and not is_glob(tool)


def servers_place_is_open(tool: str) -> bool:
    """True for a name that does not say of which server: `*`, `mcp__*`, `mcp__shack`, `*__read`, `f?__read`.

    An allow rule of such a name would let through whatever a server chooses to call its tools.
    """
    bare = tool
    for prefix in (OURS, HOST):
        if tool.startswith(prefix):
            bare = tool[len(prefix) :]
            break
    return tool == OURS.removesuffix(SEPARATOR) or (is_glob(bare) and SEPARATOR not in literal(bare))
