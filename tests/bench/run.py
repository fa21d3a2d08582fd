"""Measures the gateway against a direct connection, and against another gateway, in one interleaved run.

    python3 tests/bench/run.py                        everything, some minutes
    python3 tests/bench/run.py --quick                a first look, under a minute
    python3 tests/bench/run.py --only latency load    some measures
    python3 tests/bench/run.py --baseline tests/bench/last.json
    python3 tests/bench/run.py --other 'path/to/python -m some_gateway --config {config}'
"""
from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys

import calls
import sizes
import starts
from peers import ROOT, Failure
from report import GATEWAY, OTHER, Row, stored, table
from rounds import DEFAULT_COMMAND, Bench, Measure, Scale

MEASURES: dict[str, Measure] = {
    "latency": calls.latency,
    "load": calls.load,
    "rules": calls.rules_cost,
    "stages": calls.stages_cost,
    "eras": calls.eras,
    "slow": calls.beside_a_slow_call,
    "payloads": sizes.payloads,
    "memory": sizes.memory,
    "start": starts.start_up,
    "dead": starts.beside_a_dead_server,
    "kept": starts.kept_catalog,
    "surface": starts.surface,
}
QUICK = Scale(rounds=3, calls=400, growth_calls=4000, starts=(1, 5), idle=(4, 25), warm=5, megabytes=(1,), grace=0.3)


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    if not sys.platform.startswith("linux"):
        print("the CPU clocks and memory figures of other processes are read the Linux way: nothing measured")
        return 0
    scale = QUICK if options.quick else Scale()
    if options.rounds:
        scale = scale._replace(rounds=options.rounds)
    if options.calls:
        scale = scale._replace(calls=options.calls, growth_calls=options.calls * 10)
    commands = {GATEWAY: options.gateway, **({OTHER: options.other} if options.other else {})}
    run = stored(measured(options.only or list(MEASURES), commands, scale), about(options, scale))
    if options.json:
        print(json.dumps(run, indent=1))
        return 0
    earlier = None
    if options.baseline:
        with open(options.baseline, encoding="utf-8") as file:
            earlier = json.load(file)
    print("\n".join(f"{key}: {text}" for key, text in run["about"].items()), end="\n\n")
    print(table(run, earlier))
    return 0


def measured(names: list[str], commands: dict[str, str], scale: Scale) -> list[Row]:
    """The rows of the measures asked for; one that fails is reported and does not stop the others."""
    rows: list[Row] = []
    with Bench(commands, scale) as bench:
        for who in commands:
            bench.compile(who)
        for name in names:
            print(f"{name} ...", file=sys.stderr, flush=True)
            try:
                rows += MEASURES[name](bench)
            except Failure as failure:
                rows.append(Row(name, "", {}, f"fails: {failure}"))
            finally:
                bench.close()
        for lane, why in bench.notes.items():
            print(f"failed: {lane}: {why}", file=sys.stderr)
    return rows


def about(options: argparse.Namespace, scale: Scale) -> dict[str, str]:
    """Under what circumstances the figures were taken."""
    facts = {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "gateway": _commit(),
        "scale": f"{scale.rounds} rounds of {scale.calls} calls",
        "load before": f"{os.getloadavg()[0]:.2f}",
    }
    if options.other:
        facts["other"] = options.other_name or options.other
    return facts


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        found = re.search(r"model name\s*:\s*(.+)", file.read())
    return found.group(1) if found else platform.machine()


def _commit() -> str:
    """The commit that was measured, as far as git tells."""
    try:
        command = ["git", "describe", "--always", "--dirty"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _options(arguments: list[str] | None) -> argparse.Namespace:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, calls and servers")
    parser.add_argument("--rounds", type=int, default=0, help="how often everybody takes a turn")
    parser.add_argument("--calls", type=int, default=0, help="calls in one turn; the other counts follow")
    parser.add_argument("--only", nargs="+", choices=list(MEASURES), metavar="MEASURE", help=", ".join(MEASURES))
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--baseline", metavar="FILE", help="an earlier --json, to show the change against")
    parser.add_argument("--gateway", default=DEFAULT_COMMAND, metavar="COMMAND", help="what is measured (this tree)")
    parser.add_argument("--other", metavar="COMMAND", help="another gateway that reads the same configuration")
    parser.add_argument("--other-name", metavar="NAME", help="what to call it in the report")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
