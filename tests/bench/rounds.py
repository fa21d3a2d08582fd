"""What every measurement needs: who takes part, their configuration files, and the rounds in which they take turns."""
from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple

from peers import ROOT, STATELESS_META, Failure, Peer, server_argv
from report import GATEWAY, OTHER, Row

ECHO = "The quick brown fox jumps over the lazy dog; it is 64 bytes long"
NOTE = "notes/2026/today.md"
"""A file in the workspace, to be named in arguments."""
PATIENCE = 90.0
"""Seconds after which a contender that does not get on is ended and counted as failed."""

Servers = dict[str, dict[str, Any]]


class Scale(NamedTuple):
    """How much is measured."""

    rounds: int = 5
    calls: int = 2000
    growth_calls: int = 20_000
    starts: tuple[int, ...] = (1, 10, 30)
    idle: tuple[int, int] = (10, 50)
    warm: int = 20
    megabytes: tuple[int, ...] = (1, 10)
    grace: float = 1.0


class Lane(NamedTuple):
    """One way on which calls go in turn with the others: whom, through which process(es), and how a call is written."""

    name: str
    who: str
    peers: list[Peer]
    write: Callable[[int, int], bytes]


class Bench:
    """The run: its contenders' commands, a scratch folder, and the processes to end when it is over."""

    def __init__(self, commands: Mapping[str, str], scale: Scale) -> None:
        self.commands, self.scale = commands, scale
        self._folder = tempfile.TemporaryDirectory(prefix="shack-bench-")
        self.folder = os.path.realpath(self._folder.name)
        self.workspace = os.path.join(self.folder, "workspace")
        os.makedirs(os.path.join(self.workspace, os.path.dirname(NOTE)))
        with open(os.path.join(self.workspace, NOTE), "w", encoding="ascii") as file:
            file.write("a file whose path is an argument\n")
        self._open: list[Peer] = []
        self._files = 0
        self.notes: dict[str, str] = {}

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
        self._folder.cleanup()

    def close(self) -> None:
        """End every process of the measurement that is over."""
        while self._open:
            self._open.pop().close()

    def server(self, *options: str) -> Peer:
        """A server that the driver speaks to itself, not greeted yet."""
        return self._started(server_argv(*options))

    def gateway(self, who: str, servers: Servers, *, state: str = "", **settings: Any) -> Peer:
        """A gateway of contender `who` in front of `servers`, not greeted; its state folder is new unless named."""
        path = os.path.join(self.folder, f"config-{self._files}.json")
        self._files += 1
        config = {"workspace_root": self.workspace, "expose_mode": "full", "servers": servers, **settings}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        command = [part.replace("{config}", path) for part in shlex.split(self.commands[who])]
        return self._started(command, state or f"state-{self._files}")

    def ready(self, who: str, servers: Servers, least: int, **settings: Any) -> Peer:
        """A gateway that is greeted and lists at least `least` tools."""
        peer = self.gateway(who, servers, **settings)
        with peer.within(PATIENCE):
            peer.initialize()
            peer.tools(least)
            peer.settle()
        return peer

    def ready_server(self, *options: str) -> Peer:
        """A server that the driver speaks to itself, greeted."""
        peer = self.server(*options)
        with peer.within(PATIENCE):
            peer.initialize()
            peer.tools(1)
        return peer

    def compile(self, who: str) -> None:
        """Have a contender start once, so that no start that counts compiles its modules."""
        peer = self.gateway(who, some(1))
        with contextlib.suppress(Failure), peer.within(PATIENCE):
            peer.initialize()
            peer.tools(1)
        self.close()

    def in_turn(
        self, lanes: Sequence[Lane], block: Callable[[Lane], dict[str, float]], rounds: int = 0
    ) -> dict[str, dict[str, list[float]]]:
        """Samples by measure and lane: every round runs `block` on every lane, in an order that moves on each time."""
        samples: dict[str, dict[str, list[float]]] = {}
        failed: set[str] = set()
        for turn in range(rounds or self.scale.rounds):
            shift = turn % len(lanes)
            for lane in [*lanes[shift:], *lanes[:shift]]:
                if lane.name in failed:
                    continue
                try:
                    taken = self.bounded(lane.peers, lambda lane=lane: block(lane))  # type: ignore[misc]
                except Failure as failure:
                    failed.add(lane.name)
                    self.notes[lane.name] = str(failure)
                    continue
                for measure, value in taken.items():
                    samples.setdefault(measure, {}).setdefault(lane.name, []).append(value)
        return {measure: {k: v for k, v in by.items() if k not in failed} for measure, by in samples.items()}

    def bounded(self, peers: Sequence[Peer], work: Callable[[], dict[str, float]]) -> dict[str, float]:
        """`work` with the peers ended when it takes for ever."""
        with contextlib.ExitStack() as stack:
            for peer in peers:
                stack.enter_context(peer.within(PATIENCE))
            return work()

    def _started(self, argv: Sequence[str], state: str = "state") -> Peer:
        environ = dict(os.environ)
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH", "")]))
        environ["SHACK_STATE_DIR"] = os.path.join(self.folder, state)
        # Compiled modules of this run's own: those in the tree may be stale, and compiling is not what is measured.
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        environ["PYTHONPYCACHEPREFIX"] = os.path.join(self.folder, "compiled")
        peer = Peer(argv, self.workspace, environ)
        self._open.append(peer)
        return peer


def entry(*options: str) -> dict[str, Any]:
    """The configuration entry of one echo server."""
    command, *arguments = server_argv(*options)
    return {"command": command, "args": arguments}


def some(count: int, *options: str) -> Servers:
    """`count` servers named s0, s1, ..."""
    return {f"s{number}": entry(*options) for number in range(count)}


def call(tool: str, arguments: Mapping[str, Any], *, stateless: bool = False) -> Callable[[int, int], bytes]:
    """Writes calls of `tool`; only the id differs, and the number in place of a `%d` in the name."""
    params: dict[str, Any] = {"name": tool, "arguments": arguments}
    if stateless:
        params["_meta"] = STATELESS_META
    text = json.dumps(params, separators=(",", ":"))
    if "%d" in tool:
        before, _, behind = text.partition("%d")
        return lambda call_id, server: _line(call_id, f"{before}{server}{behind}")
    return lambda call_id, server: _line(call_id, text)


def id_last(tool: str, arguments: Mapping[str, Any]) -> Callable[[int, int], bytes]:
    """Writes calls in the order of the TypeScript SDK: method, params, then the envelope."""
    params = json.dumps({"name": tool, "arguments": arguments}, separators=(",", ":"))
    start = f'{{"method":"tools/call","params":{params},"jsonrpc":"2.0","id":'
    return lambda call_id, server: f"{start}{call_id}}}\n".encode()


def through(tool: str, arguments: Mapping[str, Any]) -> Callable[[int, int], bytes]:
    """Writes calls of `tool` by way of the meta-tool."""
    return call("shack_call_tool", {"name": tool, "arguments": arguments})


def spread(write: Callable[[int, int], bytes], servers: int) -> Callable[[int, int], bytes]:
    """Writes the n-th call for the server whose turn it is."""
    return lambda call_id, number: write(call_id, number % servers)


def rules(count: int, tool: str = "") -> dict[str, Any]:
    """That many permission rules of the usual forms, none of which forbids what is called here."""
    deny = [f"{tool or f's{n % 40}__tool_{n % 200}'}(rm -rf /srv/{n}:*)" for n in range(count // 2)]
    allow = [f"{tool or f's{n % 40}__tool_{n % 200}'}(git log {n})" for n in range(count - len(deny))]
    return {"default_decision": "allow", "deny": deny, "allow": allow}


def _line(call_id: int, params: str) -> bytes:
    return f'{{"jsonrpc":"2.0","id":{call_id},"method":"tools/call","params":{params}}}\n'.encode()


def by_contender(samples: Mapping[str, Sequence[float]], lanes: Sequence[Lane]) -> dict[str, Sequence[float]]:
    """Samples by lane as samples by contender, for lanes of which each contender has one."""
    return {lane.who: samples[lane.name] for lane in lanes if lane.name in samples}


def gateways(bench: Bench) -> list[str]:
    """The contenders that are gateways."""
    return [who for who in (GATEWAY, OTHER) if who in bench.commands]


Measure = Callable[[Bench], list[Row]]
DEFAULT_COMMAND = f"{shlex.quote(sys.executable)} -m shack_gateway --config {{config}}"
