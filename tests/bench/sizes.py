"""What bytes cost: large results and arguments, memory at rest, and memory that calls leave behind."""
from __future__ import annotations

from calls import TEXT, pipelined, sequential
from echo_server import words
from peers import Failure
from report import Row
from rounds import Bench, Lane, call, gateways, some

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
    failed: list[str] = []
    for _ in range(bench.scale.rounds):
        for who in gateways(bench):
            if who in failed:
                continue
            lane = Lane(f"{who}, {name}", who, [bench.ready(who, some(1), 5)], write)
            try:
                taken = bench.bounded(lane.peers, lambda lane=lane: _carry(lane, count))  # type: ignore[misc]
            except Failure as failure:
                bench.notes[lane.name] = str(failure)
                failed.append(who)
                continue
            cpu.setdefault(who, []).append(taken["cpu"] * 1000 / size)
            peak.setdefault(who, []).append(taken["peak"] / (size * MEGABYTE))
        bench.close()
    note = ", ".join(f"{who}: fails" for who in failed)
    return [Row(f"{name}, CPU per MB", "ms", cpu, note), Row(f"{name}, peak memory over payload", "x", peak, note)]


def _carry(lane: Lane, count: int) -> dict[str, float]:
    """CPU seconds of one call, and the bytes by which `count` and one of them raised the peak of memory."""
    before = lane.peers[0].memory("VmRSS")
    sequential(lane, 1)  # who cannot carry it shall fail here and not once for each call
    cpu = sequential(lane, count).cpu / count
    return {"cpu": cpu, "peak": lane.peers[0].memory("VmHWM") - before}


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
