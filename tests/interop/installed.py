"""The SDKs and servers that are installed, as environment variables name them; nothing here is looked for elsewhere.

    SHACK_TEST_MCP1_PYTHON      an interpreter with `mcp` 1.x
    SHACK_TEST_MCP2_PYTHON      an interpreter with `mcp` 2.x
    SHACK_TEST_SERVERS_PYTHON   an interpreter with `mcp-server-git` and `mcp-server-time`
    SHACK_TEST_NODE_DIR         a folder whose `node_modules` hold the TypeScript SDKs and servers
"""
from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
SCOPE = "node_modules/@modelcontextprotocol"
STATELESS = "2026-07-28"


class Client(NamedTuple):
    """A host program, and how its SDK is told to settle the era."""

    name: str
    needs: str                      # the variable that names its SDK
    program: str
    mode: str                       # auto, legacy, or the one version to speak
    era: str                        # what it speaks with the gateway
    again: bool = False             # the same SDK made to speak another era: meets fewer servers, in one mode


class Server(NamedTuple):
    """A server program; `{workspace}` and `{state}` in its arguments and environment are filled in for each run."""

    name: str
    needs: str
    program: str                    # a path below the node folder, `-m MODULE`, or a file of servers/
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    era: str = "handshake"          # the newest it speaks


PYTHON1, PYTHON2 = "SHACK_TEST_MCP1_PYTHON", "SHACK_TEST_MCP2_PYTHON"
SERVERS, NODE = "SHACK_TEST_SERVERS_PYTHON", "SHACK_TEST_NODE_DIR"

CLIENTS = (
    Client("python1", PYTHON1, "python1.py", "legacy", "handshake"),
    Client("python2-auto", PYTHON2, "python2.py", "auto", "stateless"),
    Client("python2-legacy", PYTHON2, "python2.py", "legacy", "handshake", again=True),
    Client("python2-pinned", PYTHON2, "python2.py", STATELESS, "stateless", again=True),
    Client("typescript1", NODE, "typescript1.mjs", "legacy", "handshake"),
    Client("typescript2-auto", NODE, "typescript2.mjs", "auto", "stateless"),
    Client("typescript2-legacy", NODE, "typescript2.mjs", "legacy", "handshake", again=True),
    Client("typescript2-pinned", NODE, "typescript2.mjs", STATELESS, "stateless", again=True),
)

ALL_SERVERS = (
    Server("everything", NODE, f"{SCOPE}/server-everything/dist/index.js"),
    Server("filesystem", NODE, f"{SCOPE}/server-filesystem/dist/index.js", ("{workspace}",)),
    Server("memory", NODE, f"{SCOPE}/server-memory/dist/index.js", env=(("MEMORY_FILE_PATH", "{state}/memory.jsonl"),)),
    Server("git", SERVERS, "-m mcp_server_git", era="stateless"),
    Server("time", SERVERS, "-m mcp_server_time", era="stateless"),
    Server("python1", PYTHON1, "python1.py"),
    Server("python2", PYTHON2, "python2.py", era="stateless"),
)


PAIRS = [(client.name, mode) for client in CLIENTS for mode in ("full", "progressive")
         if mode == "full" or not client.again]
"""Hosts and modes."""


def behind(client: Client) -> list[Server]:
    """The servers that a host meets, usable or not."""
    return [server for server in ALL_SERVERS if not client.again or server.name in ("everything", "python1", "python2")]


def missing(needs: str) -> str:
    """Why what a variable names cannot be used; empty when it can."""
    value = os.environ.get(needs, "")
    if not value:
        return f"{needs} is not set"
    if needs == NODE:
        if not shutil.which("node"):
            return "node is not on the PATH"
        return "" if Path(value, SCOPE).is_dir() else f"{needs}: there is no {SCOPE} in {value}"
    return "" if os.access(value, os.X_OK) else f"{needs}: {value} is no program"


def missing_package(name: str) -> str:
    """Why a package of the node folder cannot be used; empty when it can."""
    folder = f"{SCOPE}/{name}"
    return missing(NODE) or ("" if Path(os.environ[NODE], folder).is_dir() else f"{NODE}: there is no {folder} in it")


def unusable(server: Server) -> str:
    """Why a server cannot be run here; empty when it can."""
    if server.name == "git" and not shutil.which("git"):
        return "git is not on the PATH"
    return missing(server.needs)


def host_command(client: Client) -> list[str]:
    program = str(HERE / "clients" / client.program)
    return ["node", program] if client.needs == NODE else [os.environ[client.needs], program]


def entry(server: Server, workspace: Path, state: Path) -> dict[str, Any]:
    """The server as an entry of a configuration: command, args, env."""
    def filled(text: str) -> str:
        return text.replace("{workspace}", str(workspace)).replace("{state}", str(state))

    if server.needs == NODE:
        line = ["node", str(Path(os.environ[NODE], server.program))]
    elif server.program.startswith("-m "):
        line = [os.environ[server.needs], *server.program.split()]
    else:
        line = [os.environ[server.needs], str(HERE / "servers" / server.program)]
    return {
        "command": line[0], "args": [*line[1:], *map(filled, server.args)],
        "env": {key: filled(value) for key, value in server.env},
    }
