"""`log` shows the last rows harmlessly, finds what is asked for, judges the files, and adds up what was called."""
from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from kit.corridor import call, complete
from kit.host import ROOT
from kit.journal import Desk, files
from shack_gateway.cli.main import main
from shack_gateway.pipeline.call import Complete, Failed, Outcome, Refused
from shack_gateway.store.journal_file import Bounds
from shack_gateway.store.journal_reading import every
from shack_gateway.store.journal_stats import statistics

Said = pytest.CaptureFixture[str]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHACK_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


NOON = datetime(2026, 3, 4, 12, tzinfo=timezone.utc)
HOSTILE = "\x1b[2J\x1b[31mred\r\nrow\u202e\x07\x9b5n"

CALLS: list[tuple[str, str, Outcome | None]] = [
    ("files", "read", complete({"content": []})),
    ("files", "write", Refused("permissions", "matched deny rule `files__w*`", "files__w*", "files")),
    ("git", "log", complete({"content": [], "isError": True})),
    ("git", "push", Failed("server", HOSTILE, "git", reason="closed")),
    ("git", "log", None),
]


@pytest.fixture
def kept(state: Path) -> Path:
    """A run of five calls, one a minute from noon on, and a server that came and went."""
    now = [NOON.timestamp()]
    desk = Desk(state, clock=lambda: now[0])
    for number, (server, target, outcome) in enumerate(CALLS):
        made = call({"number": number, "text": HOSTILE}, server=server, target=target)
        desk.journal.call(made, made, outcome, 0.001 * (number + 1))
        desk.loop.turn()
        now[0] += 60
    desk.journal.event("server", {"server": "git", "what": "crashed", "why": f"exit code 1 {HOSTILE}"})
    desk.close()
    return state


def shown(capsys: Said, *argv: str) -> list[str]:
    assert main(["log", *argv]) == 0
    out, err = capsys.readouterr()
    assert err == "" or (out == "" and err.startswith("No row matches."))
    return out.splitlines()


def found(capsys: Said, *argv: str) -> list[Any]:
    """What of the rows is there: a call's number among its arguments, or the name of the event."""
    rows = [json.loads(line) for line in shown(capsys, "--json", *argv)]
    return [json.loads(row["arguments"])["number"] if "arguments" in row else row["event"] for row in rows]


def test_rows_are_shown_in_their_order_one_a_line(kept: Path, capsys: Said) -> None:
    lines = shown(capsys)
    assert len(lines) == 8, "open, five calls, the server, the end"
    assert lines[1].split()[:7] == ["2026-03-04", "12:00:00.000", "#7", "files__read", "ok", "1.0", "ms"]
    assert "refused" in lines[2] and "[files__w*] matched deny rule `files__w*`" in lines[2]
    assert "git crashed" in " ".join(lines[6].split()) and "end of input" in lines[7]


def test_nothing_in_a_row_reaches_the_terminal_as_more_than_text(kept: Path, capsys: Said) -> None:
    text = "\n".join(shown(capsys))
    assert text.count("red") == 5 and all(sign.isprintable() or sign == "\n" for sign in text)
    assert main(["log", "--json"]) == 0
    assert capsys.readouterr().out.isascii()


@pytest.mark.parametrize("ms", ["1" + "0" * 400, "-1e400", "NaN", "true", '"x"', "[1]", "{}"])
def test_a_time_that_nobody_wrote_is_not_shown_and_breaks_nothing(state: Path, capsys: Said, ms: str) -> None:
    Desk(state).calls(2)
    (path,) = files(state)
    path.write_bytes(path.read_bytes().replace(b'"ms":1.500', b'"ms":' + ms.encode(), 1))
    assert "1.5 ms" in shown(capsys, "--event", "call")[1] and len(shown(capsys)) == 3
    assert main(["log", "stats", "--json"]) == 0


FILTERS: list[tuple[str, list[Any]]] = [
    ("--event call", [0, 1, 2, 3, 4]),
    ("-n 2 --event call", [3, 4]),
    ("--lines=0", []),
    ("--server git --event call", [2, 3, 4]),
    ("--server git", [2, 3, 4, "server"]),
    ("--server f*", [0, 1]),
    ("--server *", [0, 1, 2, 3, 4, "server"]),
    ("--server g?t --event call", [2, 3, 4]),
    ("--server [fg]*", []),
    ("--server m*", []),
    ("--tool git__log", [2, 4]),
    ("--tool mcp__git__log", [2, 4]),
    ("--tool mcp__shack__git__log", [2, 4]),
    ("--tool mcp__git", [2, 3, 4]),
    ("--tool mcp__shack__git__p*", [3]),
    ("--tool git__lo", []),
    ("--tool *__*e*", [0, 1]),
    ("--tool *", [0, 1, 2, 3, 4]),
    ("--outcome refused", [1]),
    ("--outcome tool-error", [2]),
    ("--outcome tool_error", [2]),
    ("--outcome failed", [3]),
    ("--outcome cancelled --server git", [4]),
    ("--since 2026-03-04T12:03 --event call", [3, 4]),
    ("--since 2026-03-04T13:03+01:00 --event call", [3, 4]),
    ("--since 2026-03-04T12:03:00.001Z --event call", [4]),
    ("--until 2026-03-04T12:01:00Z --event call", [0, 1]),
    ("--until 2026-03-04 --event call", []),
    ("--event end", ["end"]),
    ("--since 1m", []),
]


@pytest.mark.parametrize("line, wanted", FILTERS, ids=[each[0] for each in FILTERS])
def test_rows_are_found_by_what_they_are(kept: Path, capsys: Said, line: str, wanted: list[Any]) -> None:
    assert found(capsys, *line.split()) == wanted


def test_so_long_ago_is_counted_from_now(state: Path, capsys: Said) -> None:
    ages = {"59s": 30, "90m": 3600, "30h": 100_000, "5d": 400_000}
    now = datetime.now(timezone.utc)
    desk = Desk(state, clock=lambda: at.timestamp())
    at = now
    for number, age in enumerate(reversed(ages.values())):
        at = now - timedelta(seconds=age)
        desk.calls(1, number=number)
    for count, since in enumerate(ages, start=1):
        assert len(found(capsys, "--event", "call", "--since", since)) == count


MISUSED = [
    ("nonsense", "`log nonsense` is not known"), ("verfy", "did you mean `verify`?"), ("-n x", "--lines"),
    ("-n=-1", "--lines"), ("--since 5y", "--since"),
    ("--outcome bad", "one of ok, tool-error, refused, failed, asked, cancelled\n"),
    ("--outcome Refused", "; did you mean `refused`?"), ("--outcome toolerror", "; did you mean `tool-error`?"),
    ("--event calls", "must be one of call, question, answer, server,"), ("--event calls", "did you mean `call`?"),
    ("--event nonsense", "pruned, dropped, lost\n"), ("stats --event x", "--event"),
    ("verify --since 1d", "`--since` does not go with `verify`"),
    ("--until yesterday", "--until"), ("verify --follow", "`--follow` does not go with `verify`"),
    ("--since 99999999999999999d", "--since"), ("--since=m", "--since"),
]


@pytest.mark.parametrize("line, words", MISUSED, ids=[each[0] for each in MISUSED])
def test_a_wrong_command_line_is_exit_code_2_with_the_reason(
    kept: Path, capsys: Said, line: str, words: str
) -> None:
    assert main(["log", *line.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err


def test_an_outcome_is_found_as_it_stands_in_the_rows(kept: Path, capsys: Said) -> None:
    assert found(capsys, "--outcome", "tool error") == [2]


@pytest.mark.parametrize("line, looked_at", [
    ("--tool git__pull", "8 rows, in 1 file of"), ("stats --server nobody", "8 rows, in 1 file of"),
    ("--json --server nobody", "8 rows, in 1 file of"),
    ("--server files --since 2026-03-04T12:04", "3 rows since 2026-03-04T12:04:00.000Z, in 1 file of"),
    ("stats --server files --since 2026-03-04T12:04", "3 rows since 2026-03-04T12:04:00.000Z, in 1 file of"),
    ("--since 1m", "0 rows since 20"),
])
def test_where_no_row_matches_it_says_what_it_looked_at(
    kept: Path, capsys: Said, line: str, looked_at: str
) -> None:
    assert main(["log", *line.split()]) == 0
    out, err = capsys.readouterr()
    assert err.startswith(f"No row matches. Looked at: {looked_at}") and err.endswith(f"{kept / 'journal'}.\n")
    assert out == "" or line.startswith("stats")
    assert main(["log", "-n0", *line.split()]) == 0
    assert bool(capsys.readouterr().err) is line.startswith("stats"), "who asks for no rows is not told"


def test_many_rows_are_shown_like_few(kept: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    few = shown(capsys)
    monkeypatch.setattr("shack_gateway.cli.log.MOST_LINED_UP", 3)
    assert [line.split() for line in shown(capsys)] == [line.split() for line in few]


def test_where_there_is_no_journal_it_says_where_it_looked(state: Path, capsys: Said) -> None:
    for words in (["log"], ["log", "stats"], ["log", "verify"], ["log", "--json"]):
        assert main(words) == (words[-1] == "verify")
        err = capsys.readouterr().err
        assert f"no journal in {state}" in err and err.count("\n") == 1


def test_verify_is_1_when_a_row_was_changed_and_names_it(kept: Path, capsys: Said) -> None:
    assert "8 rows  complete" in shown(capsys, "verify")[0]
    (path,) = files(kept)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"outcome":"refused"', b'"outcome":"granted"'))
    assert main(["log", "verify"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{path.name}  8 rows  changed" and lines[1].startswith("  row 3 was changed")
    assert main(["log", "verify", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False and told["files"][0]["faults"][0]["row"] == 3


@pytest.mark.parametrize("gone", [True, False], ids=["no folder", "an empty folder"])
def test_verify_is_1_where_there_is_nothing_to_verify(kept: Path, capsys: Said, gone: bool) -> None:
    shutil.rmtree(kept / "journal")
    if not gone:
        (kept / "journal").mkdir()
    assert main(["log", "verify"]) == 1
    assert capsys.readouterr().out == f"Nothing could be verified: there is no file of the journal in {kept}/journal.\n"
    assert main(["log", "verify", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"ok": False, "files": []}


def test_verify_without_a_folder_for_state_says_so(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    for name in ("SHACK_STATE_DIR", "HOME", "XDG_STATE_HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.delenv(name, raising=False)
    assert main(["log", "verify"]) == 1
    assert capsys.readouterr().out == "Nothing could be verified: there is no folder for state.\n"


@pytest.mark.parametrize("left", [0, 1, 20, 127])
def test_verify_is_1_when_the_newest_file_was_emptied(kept: Path, capsys: Said, left: int) -> None:
    path = files(kept)[-1]
    os.truncate(path, left)
    assert main(["log", "verify"]) == 1
    assert capsys.readouterr().out.startswith(f"{path.name}  0 rows  changed\n  is cut off in its first line\n")


def test_rows_that_could_not_be_written_are_counted(state: Path, capsys: Said) -> None:
    desk = Desk(state, clock=lambda: NOON.timestamp())
    desk.book.write((), dropped=3)
    desk.close()
    assert "3 rows could not be written and are missing: the files say so themselves." in shown(capsys, "verify")


def test_verify_is_0_when_a_kill_tore_the_last_row(kept: Path, capsys: Said) -> None:
    desk = Desk(kept, clock=lambda: NOON.timestamp() + 9)
    desk.calls(3)
    path = files(kept)[1]
    path.write_bytes(path.read_bytes()[:-20])
    assert "cut off" in shown(capsys, "verify")[1]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for one process there")
def test_rows_are_followed_as_they_are_written(state: Path) -> None:
    desk = Desk(state, Bounds(3000, 1 << 20, 30))
    desk.calls(2, number=0)
    command = [sys.executable, "-m", "shack_gateway", "log", "-f", "-n1", "--json", "--event", "call"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True) as child:
        assert child.stdout is not None and child.stderr is not None
        assert '"number' in child.stdout.readline(), "the last row that there was"
        for number in range(1, 20):             # over the ends of several files
            desk.calls(1, number=number)
        other = Desk(state, clock=lambda: time.time() + 5)
        other.calls(1, number=20)
        found = [json.loads(json.loads(child.stdout.readline())["arguments"])["number"] for _ in range(20)]
        child.send_signal(signal.SIGINT)
        assert child.wait(15) == 130 and child.stderr.read() == ""
    assert found == list(range(1, 21)) and len(files(state)) > 3


def test_stats_add_up_what_was_called(kept: Path, capsys: Said) -> None:
    told = json.loads("".join(shown(capsys, "stats", "--json")))
    tools = {each.pop("tool"): each for each in told["tools"]}
    assert list(tools) == ["git__log", "files__read", "files__write", "git__push"]
    assert tools["git__log"] == {
        "calls": 2, "ok": 0, "tool_errors": 1, "refused": 0, "failed": 0, "asked": 0, "cancelled": 1,
        "p50_ms": 3.0, "p95_ms": 3.0, "argument_bytes": tools["git__log"]["argument_bytes"], "result_bytes": 32,
    }
    assert tools["files__write"]["p50_ms"] is None, "a call that was not sent says nothing of the server"
    assert told["totals"]["calls"] == 5 and told["totals"]["p95_ms"] == 4.0 and told["runs"] == 1
    lines = shown(capsys, "stats", "--server", "files")
    assert [line.split()[0] for line in lines[:4]] == ["tool", "files__read", "files__write", "all"]


def test_what_progressive_mode_saved_is_the_full_list_without_what_was_shown(state: Path, capsys: Said) -> None:
    for mode in ("progressive", "full"):
        desk = Desk(state, clock=lambda mode=mode: 1.79e9 + len(mode))
        tell = desk.journal.event
        tell("list", {"mode": mode, "tools": 0, "full_bytes": 0, "shown_bytes": 1000})
        tell("list", {"mode": mode, "tools": 90, "full_bytes": 90_000, "shown_bytes": 0})
        ours = ("shack_list_tools", "shack_describe_tool", "shack_call_tool", "shack__read_result")
        for number, tool in enumerate(ours, start=1):
            desk.journal.request("tools/call", {"name": tool}, number, Complete(b"x" * 500, shape={}), 1000.0)
        desk.close()
    saved = statistics(every(str(state / "journal")))["saved"]
    assert saved == {"runs": 1, "full_bytes": 90_000, "shown_bytes": 2000, "bytes": 88_000, "tokens_estimated": 22_000}
    assert shown(capsys, "stats")[-1] == (
        "2 runs of the gateway. Progressive mode, in 1 run: 2000 bytes were shown in place of 90000 bytes of tools, "
        "which saved about 22000 tokens (an estimate: 4 bytes a token).")
    assert shown(capsys, "stats", "--tool", "shack_*")[-1] == "2 runs of the gateway."


def test_percentiles_are_values_that_were_measured() -> None:
    rows = [("run", {"event": "call", "tool": "a__b", "outcome": "ok", "ms": ms, "at": ""}) for ms in range(1, 101)]
    totals = statistics(rows)["totals"]
    assert (totals["p50_ms"], totals["p95_ms"]) == (50, 95)


def test_rows_with_wrong_types_in_them_hurt_nobody(kept: Path, capsys: Said) -> None:
    (path,) = files(kept)
    with path.open("a") as file:
        for value in (None, [], {}, "x", -1, 1e400, True):
            row = dict.fromkeys(("ms", "tool", "outcome", "server", "call", "rule", "why", "arguments", "kind"), value)
            file.write(json.dumps({"n": 1, "at": "2026-03-05", "event": "call", **row}) + "\n")
            listed = {"n": 1, "at": "2026-03-05", "event": "list", "mode": value, "full_bytes": value}
            file.write(json.dumps(listed) + "\n")
    assert len(shown(capsys, "-n", "99")) == 8 + 14
    assert len(shown(capsys, "-n", "99", "--tool", "x")) == 1
    shown(capsys, "stats")
    assert main(["log", "verify"]) == 1
