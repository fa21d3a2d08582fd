"""What it takes until a host can work: start-up with few and many servers, beside a dead one, from a kept catalog."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from peers import Failure, Peer
from report import DIRECT, GATEWAY, Row
from rounds import Bench, entry, gateways, some

TOOLS = 5
Samples = dict[str, list[float]]


def start_up(bench: Bench) -> list[Row]:
    """From the start of the process to the first list that is complete, with nothing kept from earlier runs."""
    rows: list[Row] = []
    for count in bench.scale.starts:
        first: Samples = {}
        whole: Samples = {}
        cpu: Samples = {}
        for _ in range(bench.scale.rounds):
            cpu.setdefault(DIRECT, []).append(bare_interpreter() * 1000)
            whole.setdefault(DIRECT, []).append(servers_alone(bench, count) * 1000)
            for who in gateways(bench):
                peer = bench.gateway(who, some(count))
                greeted, listed, spent = _started(peer, count * TOOLS)
                first.setdefault(who, []).append(greeted * 1000)
                whole.setdefault(who, []).append(listed * 1000)
                cpu.setdefault(who, []).append(spent * 1000)
                bench.close()
        where = f"{count} server{'s' * (count > 1)}"
        rows += [
            Row(f"start-up CPU of the gateway process, {where}", "ms", cpu, "direct: an interpreter that does nothing"),
            Row(f"start to `initialize` answered, {where}", "ms", first),
            Row(f"start to the full tools/list, {where}", "ms", whole, "direct: the driver starts all servers"),
        ]
    return rows


def beside_a_dead_server(bench: Bench) -> list[Row]:
    """The same with one server more, which never says a word; the grace that lists wait for it is set short."""
    settings = impatient(bench)
    first: dict[bool, Samples] = {False: {}, True: {}}
    listed: Samples = {}
    for _ in range(bench.scale.rounds):
        for who in gateways(bench):
            for dead in (False, True):
                servers = some(3) | ({"dead": entry("--hang")} if dead else {})
                greeted, whole, _ = _started(bench.gateway(who, servers, **settings), 3 * TOOLS)
                first[dead].setdefault(who, []).append(greeted * 1000)
                if dead:
                    listed.setdefault(who, []).append(whole * 1000)
                bench.close()
    return [
        Row("start to `initialize` answered, 3 servers", "ms", first[False]),
        Row("start to `initialize` answered, 3 servers and a silent one", "ms", first[True]),
        Row("start to the list of the others, beside a silent one", "ms", listed, f"grace {bench.scale.grace:g} s"),
    ]


def kept_catalog(bench: Bench) -> list[Row]:
    """The second start with servers that no longer answer: what is listed then, was kept."""
    count = bench.scale.warm
    cold: list[float] = []
    warm: list[float] = []
    spent: list[float] = []
    note = ""
    for turn in range(bench.scale.rounds):
        state = f"kept-{turn}"
        hang = os.path.join(bench.folder, f"hang-{turn}")
        servers = some(count, "--hang-if", hang)
        cold.append(_started(bench.gateway(GATEWAY, servers, state=state), count * TOOLS)[1] * 1000)
        bench.close()
        with open(hang, "w", encoding="ascii"):
            pass
        peer = bench.gateway(GATEWAY, servers, state=state, **impatient(bench))
        try:
            _, listed, cpu = _started(peer, count * TOOLS, patience=0)
            warm.append(listed * 1000)
            spent.append(cpu * 1000)
        except Failure as failure:
            note = str(failure)
        bench.close()
    what = f"start to `initialize` and tools/list answered, {count} servers"
    return [
        Row(f"{what}, nothing kept", "ms", {GATEWAY: cold}),
        Row(f"{what}, kept catalog, silent servers", "ms", {GATEWAY: warm}, note),
        Row(f"start-up CPU of the gateway process, {count} servers, kept catalog", "ms", {GATEWAY: spent}, note),
    ]


def surface(bench: Bench) -> list[Row]:
    """The bytes of the tool list that a model has before it, in progressive mode, with few and with many tools."""
    rows = []
    for servers, each in ((1, 5), (bench.scale.idle[0], bench.scale.idle[1])):
        size: Samples = {}
        for who in gateways(bench):
            peer = bench.gateway(who, some(servers, "--tools", str(each)), expose_mode="progressive")
            with peer.within(60):
                peer.initialize()
                tools = peer.ask("tools/list")["tools"]
            size[who] = [len(json.dumps(tools, separators=(",", ":"), ensure_ascii=False).encode())]
        rows.append(Row(f"tool list in progressive mode, {servers * each} tools behind it", "bytes", size))
    return rows


def impatient(bench: Bench) -> dict[str, Any]:
    """Settings under which nobody waits for long."""
    return {"list_wait_secs": bench.scale.grace, "request_timeout_secs": 2, "start_timeout_secs": 10}


def _started(peer: Peer, least: int, patience: float = 60.0) -> tuple[float, float, float]:
    """Seconds from the start to the answer to `initialize` and to the full list, and the CPU seconds until then."""
    with peer.within(90):
        peer.initialize()
        greeted = time.perf_counter() - peer.started
        peer.tools(least, patience)
        listed = time.perf_counter() - peer.started
    return greeted, listed, peer.cpu()


def servers_alone(bench: Bench, count: int) -> float:
    """Seconds in which the driver itself starts that many servers side by side and has all their tools."""
    begun = time.perf_counter()
    peers = [bench.server() for _ in range(count)]
    for peer in peers:
        with peer.within(60):
            peer.initialize()
            peer.tools(TOOLS)
    took = time.perf_counter() - begun
    bench.close()
    return took


def bare_interpreter() -> float:
    """CPU seconds of a Python that starts and ends."""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return usage.ru_utime + usage.ru_stime
