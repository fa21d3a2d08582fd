"""What a call costs: latency, CPU time, rules, eras, and what one slow call does to the others."""
from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from peers import Block, many_at_once, one_by_one
from report import DIRECT, GATEWAY, OTHER, Row, pairs, without_direct
from rounds import ECHO, NOTE, Bench, Lane, by_contender, call, entry, gateways, id_last, rules, some, spread, through

MICRO = 1e6
IN_FLIGHT = 64
TEXT = {"text": ECHO}
PATH = {"text": ECHO, "path": NOTE}


def requests(lane: Lane, count: int) -> tuple[list[bytes], range]:
    """The lines of `count` calls, and their ids."""
    ids = lane.peers[0].ids(count)
    return [lane.write(call_id, number) for number, call_id in enumerate(ids)], ids


def sequential(lane: Lane, count: int) -> Block:
    return one_by_one(lane.peers[0], *requests(lane, count))


def pipelined(lane: Lane, count: int) -> Block:
    return many_at_once(lane.peers, *requests(lane, count), IN_FLIGHT)


def warm_up(lanes: Sequence[Lane], bench: Bench) -> None:
    """Let everybody reach its cruising speed; whoever fails here fails again, and is noted, when measured."""
    bench.in_turn(lanes, lambda lane: {"": pipelined(lane, bench.scale.calls // 4 + 1).seconds}, rounds=1)


def percentile(values: Sequence[float], share: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]


def latency(bench: Bench) -> list[Row]:
    """One call after the other: the whole way there and back, and what the gateway's process spends on it."""
    lanes = [Lane(DIRECT, DIRECT, [bench.ready_server()], call("echo", TEXT))]
    indirect: list[Lane] = []
    for who in gateways(bench):
        peer = bench.ready(who, some(1), 5)
        lanes.append(Lane(who, who, [peer], call("s0__echo", TEXT)))
        indirect.append(Lane(f"{who} by shack_call_tool", who, [peer], through("s0__echo", TEXT)))

    def block(lane: Lane) -> dict[str, float]:
        took = sequential(lane, bench.scale.calls)
        return {
            "p50": percentile(took.each, 0.5) * MICRO, "p99": percentile(took.each, 0.99) * MICRO,
            "cpu": took.cpu / bench.scale.calls * MICRO,
        }

    warm_up([*lanes, *indirect], bench)
    taken = bench.in_turn([*lanes, *indirect], block)
    direct = {measure: by_contender(samples, lanes) for measure, samples in taken.items()}
    by_meta = {measure: by_contender(samples, indirect) for measure, samples in taken.items()}
    p50 = direct["p50"]
    added = {who: [a - b for a, b in zip(p50[who], p50[DIRECT])] for who in without_direct(p50)}
    return [
        Row("echo p50", "us", p50),
        Row("echo p99", "us", direct["p99"]),
        Row("echo p50, added by the gateway", "us", added),
        Row("echo by shack_call_tool p50", "us", {**by_meta["p50"], DIRECT: p50[DIRECT]}),
        Row("echo by shack_call_tool over by name, p50", "x", pairs(by_meta["p50"], p50)),
        Row("CPU per sequential call, gateway process", "us", without_direct(direct["cpu"])),
        Row("CPU per sequential shack_call_tool, gateway process", "us", by_meta["cpu"]),
    ]


def load(bench: Bench) -> list[Row]:
    """64 calls in flight, on one server and on eight."""
    return [row for servers in (1, 8) for row in _load(bench, servers)]


def _load(bench: Bench, servers: int) -> list[Row]:
    lanes = [Lane(DIRECT, DIRECT, [bench.ready_server() for _ in range(servers)], call("echo", TEXT))]
    tool = "s%d__echo" if servers > 1 else "s0__echo"
    for who in gateways(bench):
        peer = bench.ready(who, some(servers), 5 * servers)
        lanes.append(Lane(who, who, [peer], spread(call(tool, TEXT), servers)))
    judged = bench.ready(GATEWAY, some(servers), 5 * servers, permissions=rules(100))
    full = Lane("sandbox and 100 rules", GATEWAY, [judged], spread(call(tool, PATH), servers))

    def block(lane: Lane) -> dict[str, float]:
        count = bench.scale.calls * 2
        took = pipelined(lane, count)
        spent = {"cpu": took.cpu, "total": took.total_cpu, "wall": took.seconds}
        return {measure: seconds / count * MICRO for measure, seconds in spent.items()}

    warm_up([*lanes, full], bench)
    taken = bench.in_turn([*lanes, full], block)
    cpu, total, wall = (by_contender(taken[measure], lanes) for measure in ("cpu", "total", "wall"))
    where = "1 server" if servers == 1 else f"{servers} servers"
    every_stage = {GATEWAY: taken["cpu"].get(full.name, []), OTHER: cpu.get(OTHER, [])}
    return [
        Row(f"CPU per pipelined call, gateway process, {where}", "us", without_direct(cpu)),
        Row(f"CPU per pipelined call with sandbox and 100 rules, {where}", "us", every_stage, "other: without them"),
        Row(f"CPU per pipelined call, driver + gateway + servers, {where}", "us", total),
        Row(f"time per pipelined call, {where}", "us", wall),
    ]


def rules_cost(bench: Bench) -> list[Row]:
    """Permission rules: none, 1,000 about other tools, 1,000 about the tool that is called, 100 and a path to judge."""
    variants: list[tuple[str, dict[str, Any], dict[str, str]]] = [
        ("no rules", {}, TEXT),
        ("1,000 rules", rules(1000), TEXT),
        ("1,000 rules on the tool called", rules(1000, "s0__echo"), TEXT),
        ("100 rules and a path", rules(100), PATH),
    ]
    lanes: dict[str, list[Lane]] = {name: [] for name, _, _ in variants}
    for who in gateways(bench):
        for name, permissions, arguments in variants:
            settings = {"permissions": permissions} if permissions else {}
            peer = bench.ready(who, some(1), 5, **settings)
            lanes[name].append(Lane(f"{who}, {name}", who, [peer], call("s0__echo", arguments)))
    every = [lane for name in lanes for lane in lanes[name]]
    count = bench.scale.calls * 2
    warm_up(every, bench)
    taken = bench.in_turn(every, lambda lane: {"cpu": pipelined(lane, count).cpu / count * MICRO})["cpu"]
    costs = {name: by_contender(taken, lanes[name]) for name in lanes}
    rows = [Row(f"CPU per pipelined call, {name}", "us", costs[name]) for name in costs]
    plain = costs["no rules"]
    return rows + [Row(f"{name} over none", "x", pairs(costs[name], plain)) for name in list(costs)[1:]]


def stages_cost(bench: Bench) -> list[Row]:
    """What each part of policy costs a call that it lets pass; `rules_cost` measures the permission rules."""
    cat = f'"{sys.executable}" -c "import sys; [print(flush=True) for line in sys.stdin]"'
    elsewhere = {"tool": "other__*"}
    idle = {
        "hidden": ["other__*"], "guardrails": [{**elsewhere, "contains": "x"}],
        "injections": [{**elsewhere, "set": {"x": 1}}], "limits": [{**elsewhere, "calls_per_minute": 1}],
        "hooks": {"PreToolUse": [{"matcher": "mcp__other__.*", "hooks": [{"type": "command", "command": "false"}]}]},
        "profiles": {"spare": {"deny": ["other__*"]}}, "permissions": rules(100),
    }
    variants: dict[str, dict[str, Any]] = {
        "nothing but the sandbox": {"journal": False},
        "journal": {},
        "every stage configured, none about the call": {**idle, "profile": "spare"},
        "a guardrail that looks": {"journal": False, "guardrails": [{"tool": "s0__echo", "contains": "forbidden"}]},
        "limits that count": {"journal": False, "limits": [
            {"tool": "s0__echo", "calls_per_minute": 10**5, "concurrent_calls": 10**4, "max_result_chars": 10**6}]},
        "an injection": {"journal": False, "injections": [{"tool": "s0__echo", "default": {"more": 1}}]},
        "a persistent hook": {"journal": False, "hooks": {"PreToolUse": [{"hooks": [
            {"type": "stdio", "command": cat}]}]}},
    }
    lanes = [
        Lane(name, GATEWAY, [bench.ready(GATEWAY, some(1), 5, **settings)], call("s0__echo", TEXT))
        for name, settings in variants.items()
    ]
    count = bench.scale.calls * 2
    warm_up(lanes, bench)
    taken = bench.in_turn(lanes, lambda lane: {"cpu": pipelined(lane, count).cpu / count * MICRO})["cpu"]
    first, *others = variants
    rows = [Row(f"CPU per pipelined call, {name}", "us", {GATEWAY: taken[name]}) for name in variants]
    return rows + [Row(f"{name}, over {first}", "x", {GATEWAY: [a / b for a, b in zip(taken[name], taken[first])]})
                   for name in others]


def eras(bench: Bench) -> list[Row]:
    """The same load by era of the host and of the server, and by the order in which they write their members."""
    servers = {"first": entry(), "last": entry("--id-last"), "stateless": entry("--stateless")}
    peer = bench.ready(GATEWAY, servers, 15)
    lanes = [
        Lane("handshake host, handshake server", GATEWAY, [peer], call("first__echo", TEXT)),
        Lane("handshake host that writes the id last", GATEWAY, [peer], id_last("first__echo", TEXT)),
        Lane("handshake server that writes the id last", GATEWAY, [peer], call("last__echo", TEXT)),
        Lane("handshake host, stateless server", GATEWAY, [peer], call("stateless__echo", TEXT)),
        Lane("stateless host, handshake server", GATEWAY, [peer], call("first__echo", TEXT, stateless=True)),
        Lane("stateless host, stateless server", GATEWAY, [peer], call("stateless__echo", TEXT, stateless=True)),
    ]
    count = bench.scale.calls * 2
    warm_up(lanes, bench)
    taken = bench.in_turn(lanes, lambda lane: {"cpu": pipelined(lane, count).cpu / count * MICRO}).get("cpu", {})
    return [Row(f"CPU per pipelined call, {lane.name}", "us", {GATEWAY: taken.get(lane.name, [])}) for lane in lanes]


def beside_a_slow_call(bench: Bench) -> list[Row]:
    """The slowest echo while another call sleeps for 500 ms, on the same server and on another one."""
    lanes = [Lane(DIRECT, DIRECT, [bench.ready_server()], call("sleep", {"ms": 500}))]
    slow = call("s0__sleep", {"ms": 500})
    lanes += [Lane(who, who, [bench.ready(who, some(2), 10)], slow) for who in gateways(bench)]
    echoes = {"same": "s0__echo", "other": "s1__echo"}

    def block(lane: Lane) -> dict[str, float]:
        if lane.who == DIRECT:
            return {"same": worst(lane, "echo")}
        return {where: worst(lane, tool) for where, tool in echoes.items()}

    taken = bench.in_turn(lanes, block)
    shown = {"same": "slowest echo beside a call that sleeps 500 ms, same server", "other": "the same, another server"}
    return [Row(shown[where], "ms", by_contender(taken.get(where, {}), lanes)) for where in shown]


def worst(lane: Lane, tool: str) -> float:
    """Milliseconds of the slowest of the echoes that run while the lane's own call is open."""
    peer = lane.peers[0]
    (slow,) = peer.ids(1)
    peer.send(lane.write(slow, 0))
    end, slowest = time.monotonic() + 0.4, 0.0
    write = call(tool, TEXT)
    while time.monotonic() < end:
        (quick,) = peer.ids(1)
        slowest = max(slowest, peer.once(write(quick, 0), quick))
    peer.answer_to(slow)
    return slowest * 1000
