"""Runs a client driver on a plan, once for each question, and keeps the report and the records of the wire."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kit.host import ROOT

from . import asking
from .installed import CLIENTS, HERE, Client, Server, behind, entry, host_command, missing, unusable
from .plans import Step, steps, towards_gateway

RUN_SECONDS = 120
"""A run of all servers takes about five seconds; past this the driver is ended."""
PATIENT = {"start_timeout_secs": 60, "list_wait_secs": 60, "probe_timeout_secs": 30}
"""Seven servers start at once here, next to whatever else the machine does: none is to count as silent."""

SIDE_BY_SIDE = 3
"""Runs of hosts that are asked; more would only wait for the processor."""

Report = dict[str, Any]


class Through:
    """One conversation of a host with the gateway, cut up by server again, and what the wires on both sides carried."""

    def __init__(self, report: Report, servers: list[Server], folder: Path) -> None:
        self.report, self.servers, self.folder = report, servers, folder
        self.answers: dict[str, list[Any]] = {}
        self.named: dict[str, dict[str, Any]] = {}

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
        return fresh(self._folder, name)


class AskedRuns:
    """The same for the hosts that can be asked and the servers that ask (asking.py).

    The runs of all hosts that the chosen tests need are made at the first asking, a few side by side: much of their
    time they wait, for programs that start and for the user that they play.
    """

    def __init__(self, folder: Path, hosts: set[str]) -> None:
        self._folder = folder
        self._hosts = [client for client in CLIENTS if client.name in hosts and not missing(client.needs)]
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE)
        self._made: dict[str, tuple[Future[dict[str, dict[str, Any]]], Future[Through]]] = {}
        self._more: dict[str, Through] = {}
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        self._replies = asking.replies(self.workspace)

    def of(self, client: Client) -> tuple[dict[str, dict[str, Any]], Through]:
        """What each server gave directly, by the names of the behaviours, and the run through the gateway."""
        if not self._made:
            for each in self._hosts:
                folder = fresh(self._folder, each.name)
                self._made[each.name] = (self._pool.submit(self._direct, each, folder),
                                         self._pool.submit(self._through, each, folder))
        direct, through = self._made[client.name]
        return direct.result(), through.result()

    def _direct(self, client: Client, folder: Path) -> dict[str, dict[str, Any]]:
        folder = fresh(folder, "direct")
        connections, names = {}, {}
        for server in askers(client):
            plan = asking.alone(server.name, client.era == server.era == "stateless")
            connections[server.name] = {
                **entry(server, self.workspace, folder), "mode": client.mode, "cwd": str(self.workspace),
                "steps": [behaviour.step for behaviour in plan], "replies": self._replies}
            connections[server.name]["env"]["PATH"] = os.environ["PATH"]
            names[server.name] = [behaviour.name for behaviour in plan]
        report = drive(client, connections, folder)
        return {name: dict(zip(names[name], part["answers"], strict=True)) for name, part in report.items()}

    def _through(self, client: Client, folder: Path) -> Through:
        """The last questions are the end of the host: it is gone while two servers wait for it."""
        plans = {server.name: asking.behind_the_gateway(server.name, client) for server in askers(client)}
        last = [towards_gateway(step, name, "full")
                for name in plans if name != asking.EVERYTHING.name for step in asking.leaving(name)]
        end = {"do": "together", "steps": last}
        return self._played(client, plans, "full", fresh(folder, "through"), [end])

    def progressive(self, client: Client) -> Through:
        """The same host before the four tools of progressive mode; all that ends in an answer."""
        plans = {server.name: asking.answered(server.name) for server in askers(client) if server in asking.OURS}
        return self._once(client, plans, "progressive")

    def mute(self, client: Client) -> Through:
        """The same host when it cannot be asked."""
        plans = {server.name: asking.in_vain(server.name) for server in askers(client) if server in asking.OURS}
        return self._once(client, plans, "full", can_be_asked=False)

    def _once(self, client: Client, plans: dict[str, Any], mode: str, can_be_asked: bool = True) -> Through:
        name = f"{client.name}-{mode if can_be_asked else 'mute'}"
        if name not in self._more:
            self._more[name] = self._played(client, plans, mode, fresh(self._folder, name), [], can_be_asked)
        return self._more[name]

    def _played(self, client: Client, plans: dict[str, Any], mode: str, folder: Path, last: list[Step],
                can_be_asked: bool = True) -> Through:
        """A run through the gateway, with what each server is put through side by side."""
        servers = [server for server in askers(client) if server.name in plans]
        steps = [{"do": "series", "within": RUN_SECONDS, "steps": [
            towards_gateway(behaviour.step, name, mode) for behaviour in plan]} for name, plan in plans.items()]
        connection = {**gateway(servers, mode, self.workspace, folder), "mode": client.mode,
                      "steps": [{"do": "together", "within": RUN_SECONDS, "steps": steps}, *last]}
        if can_be_asked:
            connection["replies"] = self._replies
        run = Through(drive(client, {"gateway": connection}, folder)["gateway"], servers, folder)
        for (name, plan), part in zip(plans.items(), run.report["answers"][0]["result"], strict=True):
            run.named[name] = dict(zip([behaviour.name for behaviour in plan], part["result"], strict=True))
        return run


def fresh(folder: Path, name: str) -> Path:
    """A folder for one run; a run that failed fails each test that asks for it, and is not tried again."""
    folder = folder / name
    if folder.exists():
        pytest.fail(f"the run {name} failed before, in the first test that asked for it")
    folder.mkdir()
    return folder


def askers(client: Client) -> list[Server]:
    """The servers that a host is asked by, as far as they can be run here."""
    return [server for server in asking.askers_of(client) if not unusable(server)]


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
