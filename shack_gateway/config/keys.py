"""The keys that belong to the gateway itself: how each is read, its default, and what the documentation says.  Pure.

Keys of a stage belong to its file in `pipeline/stages`. A number here is the one place where a bound has its default.
"""
from __future__ import annotations

from math import isfinite
from typing import Any

from ..errors import clip
from .fields import (
    REQUIRED,
    Field,
    Section,
    Value,
    choice,
    defaults,
    did_you_mean,
    flag,
    mapping,
    number,
    read_object,
    strings,
    text,
)

YEAR = 366 * 24 * 3600
MIB = 1024 * 1024
EXPOSE_MODES = ("progressive", "full")
LOG_LEVELS = ("debug", "info", "warning", "error")
PROTOCOLS = ("auto", "handshake", "stateless")
OLDER_WORDS = {"legacy": "handshake", "modern": "stateless"}

NAME_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.")
"""What hosts take in the name of a tool."""

AS_ABOVE = "As the key of this name at the top of the file, for this server."

REDACTED = (
    "password", "passwd", "secret", "token", "access_token", "refresh_token", "api_key", "apikey", "authorization",
    "auth", "cookie", "private_key", "privatekey", "client_secret", "session_token", "credential", "credentials",
)


def patience(value: Value) -> float:
    """Seconds as 0.1.0 took them: numbers in quotes count, fractions are dropped, and the least is 1."""
    data = value.data
    if isinstance(data, str):
        try:
            data = int(data)
        except ValueError:
            data = None
    if isinstance(data, bool) or not isinstance(data, (int, float)) or (isinstance(data, float) and not isfinite(data)):
        value.must_be("a number of seconds", "for example `30`")
        return 1.0
    if data > YEAR:
        value.warn("is longer than a year; a year is used")
    return float(max(1, int(min(data, YEAR))))


def expose_mode(value: Value) -> str:
    """`progressive` or `full`. A misspelt word falls back to the mode that shows less."""
    if isinstance(value.data, str) and value.data not in EXPOSE_MODES:
        value.warn(f"is `{clip(value.data, 40)}`, which is neither `progressive` nor `full`; `progressive` is used",
                   did_you_mean(value.data, EXPOSE_MODES))
        return "progressive"
    return str(choice(*EXPOSE_MODES)(value))


def protocol(value: Value) -> str:
    """The era to speak; two words of older configurations are taken for ours."""
    word = value.data
    return OLDER_WORDS[word] if isinstance(word, str) and word in OLDER_WORDS else str(choice(*PROTOCOLS)(value))


def command(value: Value) -> str:
    """The program to start."""
    program = text(value)
    if isinstance(value.data, list):
        value.findings.found.pop()
        value.must_be("a string", 'the program as `"command"` and the rest as `"args"`')
    elif value.data == "":
        value.error("is empty", 'Write the program to start, for example `"npx"`.')
    return program


def variables(value: Value) -> dict[str, str]:
    """Environment variables by name."""
    read: dict[str, str] = mapping(text)(value)
    for name, member in value.items():
        if not name or "=" in name or "\0" in name:
            member.error("is not a name of an environment variable")
    return read


def globs(value: Value) -> tuple[str, ...]:
    """Globs on a server's own names of its tools."""
    read = strings(value)
    for element, pattern in zip(value.elements(), read):
        if not isinstance(element.data, str):
            continue
        if not pattern.strip():
            element.error("is empty", 'Write a tool\'s name as the server has it, or a pattern like `"get_*"`.')
        elif _has_prefix(value, pattern):
            element.warn("is compared with the server's own names, which seldom begin like that",
                         f"Write `{clip(pattern.partition('__')[2], 100)}`.")
    return read


def new_names(value: Value) -> dict[str, str]:
    """New names of tools by the server's own names."""
    read: dict[str, str] = mapping(text)(value)
    taken: dict[str, str] = {}
    for old, member in value.items():
        if old not in read or not isinstance(member.data, str):
            continue
        if not member.data or not set(member.data) <= NAME_LETTERS:
            member.error("is no name that hosts take", "Write letters, digits, `_`, `-` and `.`.")
        elif member.data in taken:
            member.error(f"is the new name of `{clip(taken[member.data], 100)}`, too", "Write another name.")
        elif member.data == old or _has_prefix(value, member.data):
            member.warn("has no effect" if member.data == old else "comes behind the server's name, which it repeats",
                        "Remove it." if member.data == old else "Leave the server's name out.")
        taken.setdefault(member.data, old)
    return read


def _has_prefix(value: Value, name: str) -> bool:
    """True for a name that begins with that of the server whose entry it stands in."""
    return len(value.path) > 1 and name.startswith(f"{value.path[1]}__")


SERVER: tuple[Field, ...] = (
    Field("command", command, REQUIRED, "The program to start, found through PATH.", "string"),
    Field("args", strings, (), "Its arguments.", "list of strings"),
    Field("env", variables, {}, "Environment variables for this server only.", "object of strings"),
    Field("cwd", text, "",
          "The folder it is started in, `workspace_root` if there is none; a relative one is taken from "
          "`workspace_root`.", "path"),
    Field("enabled", flag, True,
          '`false` leaves the server out. The `"disabled": true` of hosts says the same.', "true or false"),
    Field("lazy", flag, False, "`true` starts the server when it is first needed.", "true or false"),
    Field("serialize", flag, False,
          "`true` makes one call at a time: which call asks the user something is then never in doubt.",
          "true or false"),
    Field("protocol", protocol, "auto",
          "Which era to speak with it: `auto` finds out, `handshake` and `stateless` do not ask. `legacy` and "
          "`modern` are taken for these two.", "word"),
    Field("request_timeout_secs", patience, None, AS_ABOVE, "number of seconds"),
    Field("max_call_secs", number(1, YEAR), None, AS_ABOVE, "number of seconds"),
    Field("start_timeout_secs", number(0.1, YEAR), None, AS_ABOVE, "number of seconds"),
    Field("tool_timeouts", mapping(number(0.1, YEAR)), {},
          "How long calls of single tools may be silent, by the server's own names of them.",
          "object of numbers of seconds"),
    Field("inherit_env", strings, (),
          "Further names or patterns of variables that this server is given.", "list of patterns"),
    Field("include", globs, None,
          "The tools of this server that there are, by its own names of them; `*` and `?` stand for any letters and "
          "any letter. Left out, all.", "list of names"),
    Field("exclude", globs, (),
          "Tools of this server that there are not, by its own names of them, also if `include` names them.",
          "list of names"),
    Field("rename", new_names, {},
          "New names of tools by the server's own names of them; the server's name stays before them.",
          "object of strings"),
)

FOREIGN: dict[str, str] = {
    # Keys of hosts' own files, which people paste: with what to do instead. Without a text: `servers.py` reads them.
    "type": "", "disabled": "", "url": "", "httpUrl": "", "serverUrl": "",
    "envFile": "Write the variables into `env`, or export them and name them in `inherit_env`.",
    "env_vars": "Name these variables in `inherit_env`.",
    "environment": "Write the variables into `env`.",
    "timeout": "Write `request_timeout_secs`, in seconds.",
    "tool_timeout_sec": "Write `request_timeout_secs`.",
    "startup_timeout_sec": "Write `start_timeout_secs`.",
    "alwaysLoad": "It is for the host's own entry of shack-gateway.",
    "headers": "Only remote servers have headers.",
    "autoApprove": "Write `permissions.allow` rules.",
    "alwaysAllow": "Write `permissions.allow` rules.",
    "trust": "Write `permissions.allow` rules.",
    "includeTools": "Write it as `include`: until then every tool CAN be called.",
    "enabled_tools": "Write it as `include`: until then every tool CAN be called.",
    "excludeTools": "Write it as `exclude`: until then these tools CAN be called.",
    "disabled_tools": "Write it as `exclude`: until then these tools CAN be called.",
    "disabledTools": "Write it as `exclude`: until then these tools CAN be called.",
    "name": "The server's name is its key in `servers`.",
    "comment": "Write `_comment`, which is taken for a remark.",
    "comments": "Write `_comments`, which is taken for a remark.",
    "description": "Write `_description`, which is taken for a remark.",
}


class Servers(Section):
    """Reads the table of servers: for each name the place of its entry and what stands there."""

    of_names = True

    def __call__(self, value: Value) -> dict[str, Any]:
        if not isinstance(value.data, dict):
            value.must_be("an object", '`{"name": {"command": ...}}`')
        return {name: self.entry(member) for name, member in value.items() if not _is_remark(name, member)}

    def entry(self, value: Value) -> tuple[Value, dict[str, Any]]:
        """One server's entry; nothing is read of one that is out of our reach."""
        if isinstance(value.data, dict) and remote(value.data):
            return value, {}
        return value, read_object(value, self.fields, FOREIGN)


def remote(entry: dict[str, Any]) -> bool:
    """True for the entry of a server that is reached by HTTP."""
    if any(key in entry for key in ("url", "httpUrl", "serverUrl")):
        return "command" not in entry
    return entry.get("type") in ("http", "sse", "ws", "streamable-http", "streamableHttp", "remote")


def _is_remark(name: str, member: Value) -> bool:
    # 0.1.0 took any name, so `_x` with a server's entry is a server.
    return name.startswith("//") or (name.startswith("_") and not isinstance(member.data, dict))


class Journal(Section):
    """The section, which `true` and `false` may stand for: all as usual, or nothing (`None`)."""

    def __call__(self, value: Value) -> Any:
        if value.data is True:
            return defaults(self.fields)
        if value.data is False:
            return None
        if not isinstance(value.data, dict):
            value.must_be("`true`, `false` or an object", "`false` to keep no journal")
        read = super().__call__(value) if isinstance(value.data, dict) else defaults(self.fields)
        if read["keep_bytes"] < read["max_bytes"]:
            value.member("keep_bytes").warn("is less than `journal.max_bytes`; a file that is written to stays whole",
                                            "Write a larger number, or a smaller one there.")
        return read


JOURNAL: tuple[Field, ...] = (
    Field("argument_chars", number(0, 65_536, whole=True), 200,
          "How many characters of a call's arguments a row shows, secrets replaced; 0: none.", "whole number"),
    Field("result_chars", number(0, 65_536, whole=True), 200,
          "How many characters of its result; 0: none.", "whole number"),
    Field("max_bytes", number(65_536, 1024 * MIB, whole=True), 16 * MIB,
          "How large a file grows before the next one is begun.", "number of bytes"),
    Field("keep_bytes", number(65_536, 1024 * 1024 * MIB, whole=True), 128 * MIB,
          "How much all files may take together; past that the oldest are removed that no run writes to.",
          "number of bytes"),
    Field("keep_days", number(0.01, 36_500), 30,
          "How many days after its last row a file is removed.", "number of days"),
)

SERVERS = Field("servers", Servers(SERVER), {},
                "The servers by name; `mcpServers` is another name of this key.", "object")

CORE: tuple[Field, ...] = (
    Field("workspace_root", text, REQUIRED,
          "The folder the servers work in, and the only place their path arguments may lead to. It must exist; "
          "a relative path is taken from the gateway's working directory.", "path"),
    Field("expose_mode", expose_mode, "progressive",
          "`progressive` shows the host four tools to find and call all others; `full` shows it every tool.", "word"),
    SERVERS,
    Field("request_timeout_secs", patience, 30,
          "How long a server may be silent during a call; a progress notification starts the time anew. Numbers "
          "in quotes count, fractions are dropped, less than 1 is 1.", "number of seconds"),
    Field("max_call_secs", number(1, YEAR), None,
          "How long a call may take, progress or not. Left out, it is 600 or the longest time of silence, "
          "whichever is more.", "number of seconds"),
    Field("start_timeout_secs", number(0.1, YEAR), 30,
          "How long a server may take from its start to its lists.", "number of seconds"),
    Field("probe_timeout_secs", number(0.1, YEAR), 5,
          "How long a server may take to say which era it speaks, before the other one is tried.", "number of seconds"),
    Field("list_wait_secs", number(0, YEAR), 5,
          "How long a list waits for servers that are still starting.", "number of seconds"),
    Field("question_secs", number(1, YEAR), 300,
          "How long a question may wait for the user before it counts as dismissed.", "number of seconds"),
    Field("max_parked_calls", number(1, 10**6, whole=True), 32,
          "How many calls may wait for users of stateless hosts at once; past that the oldest is given up.",
          "whole number"),
    Field("drain_secs", number(0, YEAR), 3,
          "How long open calls may go on when the host has left.", "number of seconds"),
    Field("inherit_env", strings, (),
          "Names or patterns (`AWS_*`) of the gateway's own environment variables that every server is given; "
          '`["*"]` gives them all.', "list of patterns"),
    Field("redact_fields", strings, REDACTED,
          "Names, in any case of letters, whose values are written as `***REDACTED***` in the log and "
          "the journal.", "list of strings"),
    Field("log_level", choice(*LOG_LEVELS), "info",
          "How much is logged: `debug`, `info`, `warning` or `error`.", "word"),
    Field("page_size", number(1, 10**6, whole=True), 1000,
          "How many entries one page of a list holds.", "whole number"),
    Field("ttl_ms", number(0, 1000 * YEAR, whole=True), 0,
          "How long a stateless host may keep a list before it asks again.", "number of milliseconds"),
    Field("max_server_line_bytes", number(4096, 1024 * MIB, whole=True), 16 * MIB,
          "The longest line a server may send.", "number of bytes"),
    Field("max_host_line_bytes", number(4096, 1024 * MIB, whole=True), 64 * MIB,
          "The longest line the host may send.", "number of bytes"),
    Field("max_open_calls", number(1, 10**6, whole=True), 1024,
          "How many calls may be open at one server.", "whole number"),
    Field("max_tool_name", number(24, 256, whole=True), 64,
          "The longest tool name shown to the host; longer ones are shortened, and can still be called in full.",
          "whole number"),
    Field("catalog_cache", flag, True,
          "Keeps the lists of the last run, to answer before the servers have started.", "true or false"),
    Field("journal", Journal(JOURNAL), True,
          "Writes down every call and what came of it, for `shack-gateway log`; `false` writes nothing.",
          "true, false or object"),
)
