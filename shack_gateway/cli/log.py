"""`shack-gateway log`: the journal's last rows, whether it was changed, and what its rows come to.

Rule 1: what servers and hosts wrote into a row cannot move a cursor, start a line or paint: it is escaped.
Rule 2: times are UTC, as in the files.
"""
from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any

from ..catalog.shaping import globs
from ..config.fields import nearest
from ..errors import clip
from ..pipeline.tools import named
from ..store.journal_reading import ENDED, EVENTS, OPEN, TORN, Follower, Row, Verdict, every, files, latest, verify
from ..store.journal_rows import FAILED, OUTCOMES, REFUSED
from ..store.journal_stats import BYTES_PER_TOKEN, statistics
from ..store.paths import state_folder
from .options import PROGRAM, Arguments
from .report import BOLD, GREEN, RED, YELLOW, Screen, counted, table
from .surroundings import surroundings

VERIFY, STATS = "verify", "stats"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LOOK_SECS = 0.25
"""How often `--follow` looks for new rows."""
MOST_LINED_UP = 1000
"""Rows whose columns are made as wide as each other's."""
MOST_SHOWN = 100
"""Characters of a row's last column."""
MOST_MS = 1e12
"""Milliseconds of a call; what is more was not written by us."""
NOT_SHOWN = ("n", "at", "event", "session", "hash", "server", "what", "others", "call", "sha256")
"""Members of a row that stand in other columns, or say nothing to people."""
FILTERS = ("server", "tool", "outcome", "event", "since", "until")
"""The options that choose rows."""
ENDS = {ENDED: "complete", OPEN: "open: a gateway writes it, or was killed", TORN: "cut off: its gateway was killed"}


class _Misused(Exception):
    """The command line makes no sense; the text says why."""


def run(arguments: Arguments) -> int:
    """The command; 1 where `verify` finds that the journal was changed, or none to look at, 2 for a command line that
    makes no sense."""
    out, err = Screen(sys.stdout, os.environ), Screen(sys.stderr, os.environ)
    what, as_json, follows = arguments.word, "json" in arguments.switches, "follow" in arguments.switches
    try:
        _fitting(what, arguments)
        wanted = _Wanted(arguments.values)
        lines = _count(arguments.values["lines"])
    except _Misused as error:
        err.say(f"usage: {PROGRAM} log [verify|stats] [OPTIONS]\n{PROGRAM}: error: {error}")
        return 2
    state = state_folder(surroundings())
    folder = os.path.join(state, "journal") if state else ""
    there = files(folder)
    if not there:
        err.say(f"There is no journal in {clip(folder)}. A gateway that its host starts with another SHACK_STATE_DIR "
                "or HOME keeps it elsewhere." if folder else
                "There is no folder for state. Set HOME, or SHACK_STATE_DIR to what the gateway has.")
    if what == VERIFY:
        return _verify(verify(folder), folder, out, as_json)
    if what == STATS:
        sums = statistics((name, row) for name, row in every(folder) if wanted(row))
        out.say(json.dumps(sums) if as_json else _shown_statistics(sums, out))
        nothing = not sums["runs"]
    else:
        follower = Follower(folder)
        told = set(_say(latest(folder, wanted, lines, wanted.since), out, as_json))
        nothing = not told and lines > 0
    if there and nothing:
        since = f" since {wanted.since}" if wanted.since else ""
        err.say(f"No row matches. Looked at: {counted(wanted.judged, 'row')}{since}, in "
                f"{counted(len(there), 'file')} of {clip(folder)}.")
    while follows and folder:
        # What was written between making the follower and reading the last rows is one of them, and new as well.
        _say([row for row in follower.news() if wanted(row) and row.get("hash") not in told], out, as_json)
        time.sleep(LOOK_SECS)
    return 0


def _fitting(what: str, arguments: Arguments) -> None:
    """Raise `_Misused` for an unknown word, and for options that would do nothing there."""
    if what not in ("", VERIFY, STATS):
        near = nearest(what, (VERIFY, STATS))
        raise _Misused(f"`log {clip(what, 40)}` is not known" + (f": did you mean `{near}`?" if near else ""))
    if what and "follow" in arguments.switches:
        raise _Misused(f"`--follow` does not go with `{what}`")
    chosen = [name for name in FILTERS if arguments.values[name]]
    if what == VERIFY and chosen:
        raise _Misused(f"`--{chosen[0]}` does not go with `{what}`: a file is judged as a whole")


def _say(rows: Iterable[Row], out: Screen, as_json: bool) -> list[str]:
    """Write the rows; their hashes."""
    hashes: list[str] = []
    left = iter(rows)
    while some := list(islice(left, MOST_LINED_UP)):
        for line in [json.dumps(row) for row in some] if as_json else _shown(some, out):
            out.say(line)
        hashes += [str(row.get("hash")) for row in some]
    sys.stdout.flush()
    return hashes


# What is wanted


class _Wanted:
    """Whether a row is asked for. `since` is the time before which no row is, `judged` how many later ones it was
    asked about. Raises `_Misused` when made of what makes no sense."""

    def __init__(self, values: Mapping[str, str]) -> None:
        server, tool = values["server"], values["tool"]
        self._of_server = globs((server,)) if server else None
        self._of_tool = named(tool) if tool else None
        self._event = _word("event", values["event"], EVENTS)
        self._outcome = _word("outcome", values["outcome"], OUTCOMES)
        self.since, self._until = _time("since", values["since"]), _time("until", values["until"])
        self.judged = 0

    def __call__(self, row: Row) -> bool:
        if row["at"] < self.since:
            return False
        self.judged += 1
        return not (
            (self._event and row["event"] != self._event)
            or (self._outcome and row.get("outcome") != self._outcome)
            or (self._until and row["at"] > self._until)
            or (self._of_server and not _means(self._of_server, row.get("server")))
            or (self._of_tool and not _means(self._of_tool, row.get("tool")))
        )


def _means(pattern: Callable[[str], bool], name: Any) -> bool:
    return isinstance(name, str) and pattern(name)


def _word(option: str, written: str, known: tuple[str, ...]) -> str:
    """Which of the known words is meant; a `-` stands for a blank, because that is easier to type."""
    word = written.replace("-", " ").replace("_", " ")
    if word and word not in known:
        near = nearest(word, known).replace(" ", "-")
        raise _Misused(f"`--{option}` must be one of {', '.join(each.replace(' ', '-') for each in known)}"
                       + (f"; did you mean `{near}`?" if near else ""))
    return word


def _time(name: str, written: str) -> str:
    """The time that is meant, as rows have it: `10m`, `2h` and `3d` are so long ago, all else is ISO 8601."""
    if not written:
        return ""
    number, unit = written[:-1], written[-1]
    try:
        if unit in UNITS and number.isdecimal():
            at = datetime.now(timezone.utc) - timedelta(**{UNITS[unit]: int(number)})
        else:
            at = datetime.fromisoformat(written[:-1] + "+00:00" if unit == "Z" else written)
            at = at.astimezone(timezone.utc) if at.tzinfo else at.replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError):
        raise _Misused(f"`--{name}` must be a time as `10m`, `2h`, `3d`, or `2026-01-31T12:00`, which is UTC") from None
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _count(written: str) -> int:
    if not (written.isascii() and written.isdecimal() and len(written) < 10):
        raise _Misused("`--lines` must be a whole number")
    return int(written)


# The last rows


def _shown(rows: list[Row], out: Screen) -> list[str]:
    """A line for each row."""
    cells = [_cells(row) for row in rows]
    lines = table([each[:-1] for each in cells]) if cells else []
    widest = max(map(len, lines), default=0)
    shown = [f"{line:<{widest}}  {one_line(each[-1], MOST_SHOWN)}".rstrip() for line, each in zip(lines, cells)]
    styles = {REFUSED: YELLOW, FAILED: RED}
    return [out.paint(line, styles[row["outcome"]]) if row.get("outcome") in (REFUSED, FAILED) else line
            for line, row in zip(shown, rows)]


def _cells(row: Row) -> tuple[str, ...]:
    """When, the call's number, what, how it went, how long it took, and what there is to say of it."""
    at = one_line(str(row["at"]).replace("T", " ").removesuffix("Z"), 23)
    number = one_line(f"#{row['call']}", 12) if row.get("call") else ""
    if row["event"] == "call":
        ms = row.get("ms")
        took = f"{ms:.1f} ms" if isinstance(ms, (int, float)) and abs(ms) < MOST_MS else ""
        rule = f"[{row['rule']}] " if row.get("rule") else ""
        about = f"{rule}{row['why']}" if row.get("why") else row.get("arguments", "")
        tool, outcome = one_line(str(row.get("tool", "")), 60), one_line(str(row.get("outcome", "")), 20)
        return at, number, tool, outcome, took, str(about)
    event = str(row["event"])
    facts = {key: value for key, value in row.items() if key not in NOT_SHOWN and value not in ("", None)}
    rest = [*[str(facts.pop(key)) for key in ("text", "why") if key in facts], *[f"{k} {v}" for k, v in facts.items()]]
    who = f"{event} {row['server']}" if row.get("server") else event
    return at, number, one_line(who, 60), one_line(str(row.get("what", "")), 20), "", ", ".join(rest)


def one_line(text: str, limit: int) -> str:
    """A text of whoever wrote it, on one line, harmless."""
    return clip(text.replace("\n", "\\n").replace("\t", "\\t"), limit)


# Whether it was changed


def _verify(verdicts: list[Verdict], folder: str, out: Screen, as_json: bool) -> int:
    faults = [fault for verdict in verdicts for fault in verdict.faults]
    rows, dropped = sum(verdict.rows for verdict in verdicts), sum(verdict.dropped for verdict in verdicts)
    if as_json:
        told = [{"file": v.file, "rows": v.rows, "end": v.end, "dropped": v.dropped,
                 "faults": [{"row": f.row or None, "what": f.what} for f in v.faults]} for v in verdicts]
        out.say(json.dumps({"ok": bool(verdicts) and not faults, "files": told}))
        return 1 if faults or not verdicts else 0
    if not verdicts:                            # whoever removes everything leaves nothing that could say so
        where = f"no file of the journal in {clip(folder)}" if folder else "no folder for state"
        out.say(out.paint(f"Nothing could be verified: there is {where}.", RED, BOLD))
        return 1
    for verdict in verdicts:
        shown = f"{verdict.file}  {counted(verdict.rows, 'row')}  "
        out.say(shown + (out.paint("changed", RED, BOLD) if verdict.faults else ENDS[verdict.end]))
        for fault in verdict.faults:
            out.say(f"  {f'row {fault.row} ' if fault.row else ''}{one_line(fault.what, 300)}")
    if dropped:
        out.say(f"{counted(dropped, 'row')} could not be written and are missing: the files say so themselves.")
    total = f"{counted(len(verdicts), 'file')}, {counted(rows, 'row')}: "
    out.say(total + (out.paint("the journal was changed.", RED, BOLD) if faults else
                     out.paint("nothing was changed, as far as the chain can tell.", GREEN)))
    return 1 if faults else 0


# What they come to


def _shown_statistics(found: dict[str, Any], out: Screen) -> str:
    head = ("tool", "calls", "refused", "failed", "p50", "p95", "bytes in", "bytes out")
    rows = [head, *[_numbers(each["tool"], each) for each in found["tools"]], _numbers("all", found["totals"])]
    lines = table(rows, numbers=range(1, len(head)))
    text = "\n".join([out.paint(lines[0], BOLD), *lines[1:], "", f"{counted(found['runs'], 'run')} of the gateway."])
    saved = found["saved"]
    if not saved["runs"]:
        return text
    tokens = saved["tokens_estimated"]
    came = f"saved about {tokens} tokens" if tokens >= 0 else f"cost about {-tokens} tokens"
    return (f"{text} Progressive mode, in {counted(saved['runs'], 'run')}: {saved['shown_bytes']} bytes were shown in "
            f"place of {saved['full_bytes']} bytes of tools, which {came} (an estimate: {BYTES_PER_TOKEN} bytes a "
            "token).")


def _numbers(name: str, each: dict[str, Any]) -> tuple[str, ...]:
    times = ["-" if each[key] is None else f"{each[key]:.1f} ms" for key in ("p50_ms", "p95_ms")]
    failed = each["failed"] + each["tool_errors"]
    return (one_line(name, 60), str(each["calls"]), str(each["refused"]), str(failed), *times,
            str(each["argument_bytes"]), str(each["result_bytes"]))
