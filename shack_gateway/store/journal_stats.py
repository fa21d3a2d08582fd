"""What the rows of the journal come to: calls, refusals, times and sizes by tool, and what progressive mode saved."""
from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Any

from ..catalog.meta_tools import DESCRIBE_TOOL, LIST_SERVERS, LIST_TOOLS
from .journal_reading import Row
from .journal_rows import ASKED, CANCELLED, ERROR, FAILED, META, OK, REFUSED

BYTES_PER_TOKEN = 4
"""How many bytes of English and JSON a token takes, roughly: what is said of tokens is an estimate."""
COUNTED = {OK: "ok", ERROR: "tool_errors", REFUSED: "refused", FAILED: "failed", ASKED: "asked", CANCELLED: "cancelled"}
ANSWERING = (LIST_TOOLS, DESCRIBE_TOOL, LIST_SERVERS)
"""Our own tools whose answers a host reads in place of the list of all tools."""
TIMED = (OK, ERROR, FAILED)
"""Outcomes whose time says something of a server."""


class _Tool:
    """The calls of one tool."""

    def __init__(self) -> None:
        self.count = dict.fromkeys(COUNTED.values(), 0)
        self.calls = 0
        self.ms: list[float] = []
        self.argument_bytes = self.result_bytes = 0

    def add(self, row: Row) -> None:
        """Count a call."""
        outcome = str(row.get("outcome"))
        self.calls += 1
        if outcome in COUNTED:
            self.count[COUNTED[outcome]] += 1
        if outcome in TIMED:
            self.ms.append(_number(row.get("ms")))
        self.argument_bytes += int(_number(row.get("argument_bytes")))
        self.result_bytes += int(_number(row.get("result_bytes")))

    def told(self) -> dict[str, Any]:
        """For people and programs."""
        self.ms.sort()
        return {
            "calls": self.calls, **self.count, "p50_ms": _percentile(self.ms, 50), "p95_ms": _percentile(self.ms, 95),
            "argument_bytes": self.argument_bytes, "result_bytes": self.result_bytes,
        }


class _Run:
    """What one run of the gateway showed its host of the tools there were."""

    def __init__(self) -> None:
        self.progressive = False
        self.full = self.shown = self.answers = 0


def statistics(rows: Iterable[tuple[str, Row]]) -> dict[str, Any]:
    """`tools` by name, most called first, `totals`, how many `runs`, and `saved` by progressive mode.

    `rows` come with the name of their run. What is saved is the list of all tools, which a host without progressive
    mode reads once, without what it was shown in its place: the list of our own tools, and what those answered.
    """
    tools: dict[str, _Tool] = {}
    runs: dict[str, _Run] = {}
    totals = _Tool()
    for name, row in rows:
        run = runs.setdefault(name, _Run())
        if row["event"] == "call":
            tool = str(row.get("tool", ""))
            for each in (tools.setdefault(tool, _Tool()), totals):
                each.add(row)
            if tool in ANSWERING and row.get("kind") == META:
                run.answers += int(_number(row.get("result_bytes")))
        elif row["event"] == "list":
            run.progressive = row.get("mode") == "progressive"
            run.full = int(_number(row.get("full_bytes")))
            run.shown = max(run.shown, int(_number(row.get("shown_bytes"))))
    told = [run for run in runs.values() if run.progressive and run.shown]
    full, shown = sum(run.full for run in told), sum(run.shown + run.answers for run in told)
    ranked = sorted(tools.items(), key=lambda item: (-item[1].calls, item[0]))
    return {
        "tools": [{"tool": tool, **each.told()} for tool, each in ranked],
        "totals": totals.told(),
        "runs": len(runs),
        "saved": {"runs": len(told), "full_bytes": full, "shown_bytes": shown, "bytes": full - shown,
                  "tokens_estimated": round((full - shown) / BYTES_PER_TOKEN)},
    }


def _number(value: Any) -> float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15 else 0


def _percentile(ordered: list[float], percent: int) -> float | None:
    """The value that so many of a hundred do not exceed (nearest rank)."""
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)] if ordered else None
