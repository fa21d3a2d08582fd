"""What bytes cost: large results and arguments, memory at rest, and memory that calls leave behind."""
from __future__ import annotations

from calls import TEXT, pipelined, sequential
from echo_server import words
from peers import Peer
from report import Row
from rounds import Bench, Lane, by_contender, call, gateways, some

MEGABYTE = 1_000_000


def payloads(bench: Bench) -> list[Row]:
    """Results of 1 and 10 MB, arguments of 1 MB: CPU per megabyte, and the peak of memory over the size."""
    rows = [row for size in bench.scale.megabytes for row in _payload(bench, f"{size} MB result", "big", size)]
    return rows + _payload(bench, "1 MB arguments", "take", 1)


def _payload(bench: Bench, name: str, tool: str, size: int) -> list[Row]:
    """A new gateway each round, as a peak of memory is never unmade."""
    count = max(1, min(10, 20 // size))
    if tool == "big":
        write = call(f"s0__{tool}", {"bytes": size * MEGABYTE})
    else:
        write = call(f"s0__{tool}", {"text": words(size * MEGABYTE).decode().replace("\\n", " ")})
    cpu: dict[str, list[float]] = {}
    peak: dict[str, list[float]] = {}
    notes = []
    for _ in range(bench.scale.rounds):
        for who in gateways(bench):
            peer = bench.ready(who, some(1), 5)
            lane = Lane(f"{who}, {name}", who, [peer], write)

            def block(lane: Lane, peer: Peer = peer) -> dict[str, float]:
                before = peer.memory("VmRSS")
                took = sequential(lane, count)
                peak = peer.memory("VmHWM") - before
                return {"cpu": took.cpu * 1000 / (count * size), "peak": peak / (size * MEGABYTE)}

            taken = bench.in_turn([lane], block, rounds=1)
            for kind, samples in (("cpu", cpu), ("peak", peak)):
                samples.setdefault(who, []).extend(by_contender(taken.get(kind, {}), [lane]).get(who, []))
            if lane.name in bench.notes:
                notes.append(f"{who}: fails")
        bench.close()
    note = ", ".join(sorted(set(notes)))
    return [Row(f"{name}, CPU per MB", "ms", cpu, note), Row(f"{name}, peak memory over payload", "x", peak, note)]


def memory(bench: Bench) -> list[Row]:
    """Resident memory at rest with many servers and tools; growth while thousands of calls go through."""
    servers, each = bench.scale.idle
    idle: dict[str, list[float]] = {}
    for who in gateways(bench):
        peer = bench.ready(who, some(servers, "--tools", str(each)), servers * each)
        peer.settle(1.0)
        idle[who] = [peer.memory("VmRSS") / MEGABYTE]
    bench.close()
    calls = bench.scale.growth_calls
    growth: dict[str, list[float]] = {}
    for who in gateways(bench):
        peer = bench.ready(who, some(1), 5)
        lane = Lane(who, who, [peer], call("s0__echo", TEXT))
        pipelined(lane, max(64, calls // 5))
        before = peer.memory("VmRSS")
        pipelined(lane, calls)
        growth[who] = [(peer.memory("VmRSS") - before) / 1000 / (calls / 1000)]
    return [
        Row(f"resident memory at rest, {servers} servers, {servers * each} tools", "MB", idle),
        Row(f"growth of memory per 1,000 calls, over {calls:,} calls", "kB", growth),
    ]
