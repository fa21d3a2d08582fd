"""Figures of a run: how they are put together from samples, shown, stored and held against earlier ones.  Pure.

Rule: what is compared between machines or days is a ratio of two things measured in turn in the same run.
"""
from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

DIRECT, GATEWAY, OTHER = "direct", "gateway", "other"
Samples = Mapping[str, Sequence[float]]


class Row(NamedTuple):
    """One figure: samples per contender, taken in the same rounds, so that the n-th ones belong together."""

    name: str
    unit: str
    samples: Samples
    note: str = ""

    def value(self, who: str) -> float | None:
        """The median of what `who` took."""
        taken = self.samples.get(who)
        return statistics.median(taken) if taken else None

    def ratio(self, base: str) -> float | None:
        """The gateway's figure over that of `base`: the median of the rounds' ratios."""
        return median_ratio(self.samples.get(GATEWAY, ()), self.samples.get(base, ()))


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """The median of the pairs' ratios; of the medians where the rounds differ in number; nothing without a base."""
    if not ours or not theirs:
        return None
    if len(ours) == len(theirs) and all(theirs):
        return statistics.median(a / b for a, b in zip(ours, theirs))
    base = statistics.median(theirs)
    return statistics.median(ours) / base if base else None


def pairs(ours: Samples, theirs: Samples) -> dict[str, list[float]]:
    """For every contender, one figure over another of its own, round by round."""
    return {who: [a / b for a, b in zip(ours[who], theirs[who]) if b] for who in ours if who in theirs}


def without_direct(samples: Samples) -> dict[str, Sequence[float]]:
    """The samples of the gateways; of a direct connection there is no process in between to speak of."""
    return {who: taken for who, taken in samples.items() if who != DIRECT}


def stored(rows: Sequence[Row], about: Mapping[str, str]) -> dict[str, Any]:
    """The run as JSON, as `--json` prints and `--baseline` reads it."""
    figures = {}
    for row in rows:
        values = {who: row.value(who) for who in (DIRECT, GATEWAY, OTHER)}
        spread = {who: [min(taken), max(taken)] for who, taken in row.samples.items() if taken}
        figures[row.name] = {
            "unit": row.unit, **{who: _rounded(value) for who, value in values.items() if value is not None},
            "over direct": _rounded(row.ratio(DIRECT)), "over other": _rounded(row.ratio(OTHER)),
            "spread": {who: [_rounded(edge) for edge in edges] for who, edges in spread.items()},
            **({"note": row.note} if row.note else {}),
        }
    return {"about": dict(about), "figures": figures}


def table(run: Mapping[str, Any], earlier: Mapping[str, Any] | None = None) -> str:
    """The figures as a Markdown table; with an earlier run, also what they were and the change."""
    heads = ["figure", "unit", DIRECT, GATEWAY, OTHER, "gateway/direct", "gateway/other"]
    lines = [[*heads, "earlier", "now/earlier"] if earlier else heads]
    for name, figure in run["figures"].items():
        cells = [name, figure["unit"], *(_shown(figure.get(who)) for who in (DIRECT, GATEWAY, OTHER))]
        cells += [_shown(figure.get("over direct")), _shown(figure.get("over other"))]
        if figure.get("note"):
            cells[0] += f" ({figure['note']})"
        if earlier:
            cells += _change(figure, earlier["figures"].get(name, {}))
        lines.append(cells)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rows = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines]
    return "\n".join([rows[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *rows[1:]])


def _change(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Ratios where both runs have one, the bare value where not: that compares two machines, too."""
    for key, sign in (("over other", "x other"), ("over direct", "x direct"), (GATEWAY, now["unit"])):
        if now.get(key) and before.get(key):
            return [f"{_shown(before[key])} {sign}", f"{now[key] / before[key]:.2f}"]
    return ["", ""]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
