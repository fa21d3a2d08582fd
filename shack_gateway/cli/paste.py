"""What to write into the configuration of each host, so that it launches the gateway.  Pure."""
from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import NamedTuple

NAME = "shack"
"""Hosts put it before every tool's name, so it is short."""


class Launch(NamedTuple):
    """How the gateway is started on this machine: every path absolute, so that no host has to find anything."""

    command: str
    args: tuple[str, ...]
    env: Mapping[str, str] = {}


class Snippet(NamedTuple):
    """A piece of configuration: for which host, where it goes, and the text itself."""

    host: str
    where: str
    text: str


def snippets(launch: Launch) -> tuple[Snippet, ...]:
    """One for each host that we know."""
    plain = _json({"mcpServers": {NAME: _entry(launch)}})
    typed = {"type": "stdio", **_entry(launch)}
    added = f"claude mcp add-json --scope user {NAME} {shlex.quote(json.dumps(typed))}"
    return (
        Snippet("Claude Code", "in a shell", added),
        Snippet("Claude Desktop, Cursor", "claude_desktop_config.json, .cursor/mcp.json, a project's .mcp.json", plain),
        Snippet("VS Code", ".vscode/mcp.json", _json({"servers": {NAME: typed}})),
        Snippet("Codex", "~/.codex/config.toml", _toml(launch)),
    )


def _entry(launch: Launch) -> dict[str, object]:
    entry: dict[str, object] = {"command": launch.command, "args": list(launch.args)}
    return {**entry, "env": dict(launch.env)} if launch.env else entry


def _json(value: object) -> str:
    return json.dumps(value, indent=2)


def _toml(launch: Launch) -> str:
    # A JSON string is a TOML string, too, but for characters beyond U+FFFF when they are escaped.
    write = json.JSONEncoder(ensure_ascii=False).encode
    lines = [f"[mcp_servers.{NAME}]", f"command = {write(launch.command)}", f"args = {write(list(launch.args))}"]
    if launch.env:
        lines.append("env = { " + ", ".join(f"{key} = {write(value)}" for key, value in launch.env.items()) + " }")
    return "\n".join(lines)
