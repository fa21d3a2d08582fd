"""Runs a client driver on a plan, once for each question, and keeps the report and the records of the wire."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kit.host import ROOT

from .installed import CLIENTS, HERE, Client, Server, behind, entry, host_command, missing, unusable
from .plans import Step, steps, towards_gateway

RUN_SECONDS = 120
"""A run of all servers takes about five seconds; past this the driver is ended."""
PATIENT = {"start_timeout_secs": 60, "list_wait_secs": 60, "probe_timeout_secs": 30}
"""Seven servers start at once here, next to whatever else the machine does: none is to count as silent."""

Report = dict[str, Any]


class Through:
    """One conversation of a host with the gateway, cut up by server again, and what the wires on both sides carried."""

    def __init__(self, report: Report, servers: list[Server], folder: Path) -> None:
        self.report, self.servers, self.folder = report, servers, folder
        self.answers: dict[str, list[Any]] = {}

    def wire(self, name: str) -> list[list[tuple[str, bytes]]]:
        """The recorded conversations under a name (`host`, or a server's), one for each process that had one."""
        records = []
        for path in sorted(self.folder.glob(f"{name}.*.wire"), key=lambda path: path.stat().st_mtime_ns):
            lines = path.read_bytes().split(b"\n")
            records.append([(line[:1].decode(), line[2:]) for line in lines if line])
        return records


class Runs:
    """Every run that a test asked for, made at its first asking."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._direct: dict[tuple[str, str], Report] = {}
        self._through: dict[tuple[str, str], Through] = {}
        self.workspace = folder / "workspace"
        fill(self.workspace)

    def direct(self, client: Client) -> Report:
        """The client on each server itself; auto stands for a pinned version, which not every server has."""
        mode = "legacy" if client.mode == "legacy" else "auto"
        key = (client.program, mode)
        if key not in self._direct:
            client = next(each for each in CLIENTS if (each.program, each.mode) == key)
            folder = self._fresh(f"direct-{client.program}-{mode}")
            connections = {
                server.name: {**entry(server, self.workspace, folder), "mode": mode, "cwd": str(self.workspace),
                              "steps": steps(server.name, self.workspace)}
                for server in usable(client)}
            for connection in connections.values():
                connection["env"]["PATH"] = os.environ["PATH"]
            self._direct[key] = drive(client, connections, folder)
        return self._direct[key]

    def through(self, client: Client, mode: str) -> Through:
        """The client on the gateway, with all servers behind it and a tee on every wire."""
        key = (client.name, mode)
        if key not in self._through:
            folder = self._fresh(f"{client.name}-{mode}")
            servers, whole = usable(client), list[Step]()
            for server in servers:
                whole += [towards_gateway(step, server.name, mode) for step in self._steps(client, server, mode)]
            connection = {**gateway(servers, mode, self.workspace, folder), "mode": client.mode, "steps": whole}
            run = Through(drive(client, {"gateway": connection}, folder)["gateway"], servers, folder)
            self._cut(run, client, mode)
            self._through[key] = run
        return self._through[key]

    def _steps(self, client: Client, server: Server, mode: str) -> list[Step]:
        """A server's steps; in progressive mode the gateway's own tools are asked about each of its tools too."""
        own = steps(server.name, self.workspace)
        if mode == "full":
            return own
        names = [tool["name"] for tool in tools_of(self.direct(client), server)]
        return [
            *own,
            {"do": "gateway", "name": "shack_list_tools", "arguments": {"server": server.name}},
            *({"do": "gateway", "name": "shack_describe_tool", "arguments": {"name": f"{server.name}__{name}"}}
              for name in names),
        ]

    def _cut(self, run: Through, client: Client, mode: str) -> None:
        rest = list(run.report.get("answers", []))
        for server in run.servers:
            count = len(self._steps(client, server, mode))
            run.answers[server.name], rest = rest[:count], rest[count:]

    def _fresh(self, name: str) -> Path:
        """A folder for one run; a run that failed fails each test that asks for it, and is not tried again."""
        folder = self._folder / name
        if folder.exists():
            pytest.fail(f"the run {name} failed before, in the first test that asked for it")
        folder.mkdir()
        return folder


def usable(client: Client) -> list[Server]:
    """The servers that a host meets here."""
    return [server for server in behind(client) if not unusable(server)]


def tools_of(report: Report, server: Server) -> list[Any]:
    """The tools that a direct connection listed: its first answer."""
    answers = report[server.name].get("answers") or [{}]
    tools: list[Any] = answers[0].get("result", {}).get("tools", [])
    return tools


def fill(workspace: Path) -> None:
    """The files and the repository that the servers are asked about."""
    files = workspace / "files"
    files.mkdir(parents=True)
    (files / "poem.txt").write_text("first line\nsecond line ä\nthird line\n", encoding="utf-8")
    (files / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(8))
    (files / "inner").mkdir()
    (files / "inner" / "more.txt").write_text("more\n", encoding="utf-8")
    repo = workspace / "repo"
    repo.mkdir()
    when = "2026-01-02T03:04:05Z"
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", "A"), ("EMAIL", "a@example.org"), ("DATE", when))}
    environ = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=repo, env=environ, check=True, capture_output=True, timeout=30)

    try:
        git("init", "-q", "-b", "main")
    except FileNotFoundError:
        return                                    # the git server is skipped then
    for number in (1, 2):
        (repo / "a.txt").write_text(f"version {number}\n", encoding="utf-8")
        git("add", "a.txt")
        git("commit", "-q", "-m", f"change {number}")
    (repo / "a.txt").write_text("version 3\n", encoding="utf-8")


def recorded(line: list[str], log: Path) -> list[str]:
    """A command line with a tee before it."""
    return [sys.executable, "-S", "-E", str(HERE / "tee.py"), str(log), *line]


def gateway(servers: list[Server], mode: str, workspace: Path, folder: Path) -> dict[str, Any]:
    """The gateway before these servers, as a connection of a plan."""
    entries = {}
    for server in servers:
        plain = entry(server, workspace, folder)
        line = recorded([plain["command"], *plain["args"]], folder / f"{server.name}.{{pid}}.wire")
        entries[server.name] = {"command": line[0], "args": line[1:], "env": plain["env"]}
    config = folder / "shack-config.json"
    config.write_text(json.dumps({
        "workspace_root": str(workspace), "expose_mode": mode, "servers": entries, **PATIENT}))
    line = recorded([sys.executable, "-m", "shack_gateway", "--config", str(config)], folder / "host.{pid}.wire")
    env = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "SHACK_STATE_DIR": str(folder / "state")}
    return {"command": line[0], "args": line[1:], "env": env, "cwd": str(folder)}


def drive(client: Client, connections: dict[str, Any], folder: Path) -> Report:
    """The report of a driver; a driver that fails or does not end fails the test that asked."""
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"connections": connections}))
    with open(folder / "driver.stderr", "wb") as stderr:
        try:
            done = subprocess.run([*host_command(client), str(plan)], stdout=subprocess.PIPE, stderr=stderr,
                                  stdin=subprocess.DEVNULL, timeout=RUN_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{client.name} did not end within {RUN_SECONDS} s; its stderr: {folder / 'driver.stderr'}")
    said = (folder / "driver.stderr").read_text(errors="replace")[-3000:]
    assert done.returncode == 0, f"{client.name} ended with {done.returncode}:\n{said}"
    report: Report = json.loads(done.stdout)
    failed = {name: part["failed"] for name, part in report.items() if "failed" in part}
    assert not failed, f"{client.name} could not connect: {failed}\n{said}"
    return report


def client_named(name: str) -> Client:
    """A client, or a skip that says what is missing."""
    client = next(client for client in CLIENTS if client.name == name)
    if why := missing(client.needs):
        pytest.skip(why)
    return client
