"""What is written down of a run: every call once, nothing that is a secret, and never a reason for a call to wait."""
from __future__ import annotations

import errno
import json
import os
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.corridor import call, complete
from kit.journal import Desk, files, large, rows
from shack_gateway.pipeline.call import (
    PROMPT,
    RESOURCE,
    Call,
    Complete,
    Context,
    Failed,
    InputRequired,
    Outcome,
    Refused,
)
from shack_gateway.store import journal as module
from shack_gateway.store import journal_file as module_of_files
from shack_gateway.store.journal import MOST_WAITING, SETTLE_ROWS, configuration
from shack_gateway.store.journal_file import Bounds, header, read_header, state
from shack_gateway.store.journal_reading import verify

if sys.platform != "win32":
    import fcntl

TRACE = "0af7651916cd43dd8448eb211c80319c"


def one(tmp_path: Path, outcome: Outcome | None, made: Call | None = None, sent: Call | None = None) -> dict[str, Any]:
    """The row of one call."""
    desk = Desk(tmp_path)
    made = made or call({"a": 1})
    desk.journal.call(made, sent or made, outcome, 0.0015)
    desk.loop.turn()
    (row,) = rows(tmp_path, "call")
    desk.close()
    return row


OUTCOMES: list[tuple[str, Outcome | None, dict[str, Any]]] = [
    ("a result", complete({"content": []}), {"outcome": "ok", "result": '{"content": []}', "result_bytes": 15}),
    ("the tool says that it failed", complete({"content": [], "isError": True}), {"outcome": "tool error"}),
    ("a refusal", Refused("permissions", "no: by a rule", "fs__*", "fs"),
     {"outcome": "refused", "stage": "permissions", "rule": "fs__*", "why": "no: by a rule"}),
    ("a refusal without a rule", Refused("sandbox", "no"), {"outcome": "refused", "stage": "sandbox"}),
    ("a server that died", Failed("server", "it died", "fs", reason="closed"),
     {"outcome": "failed", "reason": "closed", "why": "it died"}),
    ("an error of the server", Failed("server", "bad", "fs", code=-32000),
     {"outcome": "failed", "reason": "server error", "code": -32000}),
    ("a question of a stage", InputRequired({"k": {}}, "s", "fs", stage="permissions"),
     {"outcome": "asked", "stage": "permissions"}),
    ("a question of the server", InputRequired({"k": {}}, "s", "fs"), {"outcome": "asked"}),
    ("a cancelled call", None, {"outcome": "cancelled"}),
]


@pytest.mark.parametrize("outcome, wanted", [each[1:] for each in OUTCOMES], ids=[each[0] for each in OUTCOMES])
def test_a_row_says_what_came_of_a_call(tmp_path: Path, outcome: Outcome | None, wanted: dict[str, Any]) -> None:
    row = one(tmp_path, outcome)
    assert {key: row.get(key) for key in wanted} == wanted
    same = {"event": "call", "session": "session-1", "call": 7, "kind": "tool", "server": "fs", "tool": "fs__read",
            "ms": 1.5, "argument_bytes": 7, "arguments": '{"a":1}'}
    assert {key: row[key] for key in same} == same
    assert "rule" in wanted or "rule" not in row


@pytest.mark.parametrize("kind, tool", [(RESOURCE, "fs__resources/read"), (PROMPT, "fs__read")])
def test_resources_and_prompts_stand_under_the_name_that_rules_know(tmp_path: Path, kind: str, tool: str) -> None:
    assert one(tmp_path, complete({}), call({"uri": "file:///a"}, kind=kind))["tool"] == tool


def test_what_was_sent_is_shown_and_not_what_came(tmp_path: Path) -> None:
    made = call({"path": "before"})
    assert one(tmp_path, complete({}), made, made.with_arguments({"path": "after"}))["arguments"] == '{"path":"after"}'


@pytest.mark.parametrize("parent, trace", [
    (f"00-{TRACE}-b7ad6b7169203331-01", TRACE), (f"00-{TRACE}-b7ad6b7169203331-0", None), (7, None),
    (f"00-{TRACE[:-1]}\"-b7ad6b7169203331-01", None), (f"00_{TRACE}_b7ad6b7169203331-01", None),
], ids=["as W3C has it", "too short", "no text", "a quote in it", "other signs between"])
def test_the_trace_of_a_request_is_told(tmp_path: Path, parent: Any, trace: str | None) -> None:
    made = Call(7, "tool", "fs", "fs__read", "read", {}, {"_meta": {"traceparent": parent}}, Context())
    assert one(tmp_path, complete({}), made).get("trace") == trace


def test_a_large_result_is_neither_copied_nor_shown(tmp_path: Path) -> None:
    outcome = large(10 << 20)
    row = one(tmp_path, outcome)
    assert row["result_bytes"] == sum(map(len, outcome.body)) > 10_000_000
    assert len(row["result"]) == 200 and row["result"].startswith('{"content"')


def test_large_arguments_are_shown_by_their_beginning(tmp_path: Path) -> None:
    text = '{"text": "' + "x" * 300_000 + '"}'
    value = json.loads(text)
    kept = Call(7, "tool", "fs", "n", "t", value, {}, Context(kept=((value, text),)))
    row = one(tmp_path, complete({}), kept)
    assert row["argument_bytes"] == len(text) and row["arguments"] == text[:200]
    rewritten = kept.with_arguments({"text": "y" * 300_000, "more": 1})
    row = one(tmp_path / "2", complete({}), kept, rewritten)
    assert row["argument_bytes"] == len('{"text":"","more":1}') + 300_000
    assert row["arguments"] == f'{{"text":"{"y" * 191}'


def test_lengths_of_0_show_nothing_and_still_tell_sizes(tmp_path: Path) -> None:
    desk = Desk(tmp_path, chars=0)
    desk.calls(1, a=1)
    (row,) = rows(tmp_path, "call")
    assert "arguments" not in row and "result" not in row and row["argument_bytes"] == 7 and row["result_bytes"] == 15


SECRET = "hunter2hunter2"
LEAKS: list[tuple[str, dict[str, Any], Outcome | None]] = [
    ("an argument", {"password": SECRET}, None),
    ("in other letters", {"API-Key": SECRET}, None),
    ("deeper", {"a": [{"githubToken": SECRET}]}, None),
    ("beside letters that are not ASCII", {"ä": "ö", "access_token": SECRET}, complete({"ü": {"Secret": SECRET}})),
    ("a result", {}, complete({"token": SECRET})),
    ("JSON within a result", {}, complete({"content": [{"type": "text", "text": json.dumps({"api_key": SECRET})}]})),
    ("raw UTF-8 of a server", {}, Complete(f'{{"text":"ä","secret":"{SECRET}"}}'.encode(), shape={})),
    ("a header", {}, complete({"text": f"Authorization: Bearer {SECRET}"})),
    ("a value that is cut off", {"x": "y" * 150, "token": SECRET + "z" * 500}, None),
    ("a refusal", {}, Refused("hooks", f"the hook says token={SECRET}")),
    ("a rule", {}, Refused("permissions", "no", f"fs__read(--token {SECRET})")),
    ("an error", {}, Failed("server", f'{{"password": "{SECRET}"}}', "fs", code=-1)),
]


@pytest.mark.parametrize("arguments, outcome", [each[1:] for each in LEAKS], ids=[each[0] for each in LEAKS])
def test_no_secret_is_in_a_file(tmp_path: Path, arguments: dict[str, Any], outcome: Outcome | None) -> None:
    desk = Desk(tmp_path)
    desk.calls(1, outcome=outcome, **arguments)
    params = {"name": "shack_describe_tool", "arguments": arguments}
    desk.journal.request("tools/call", params, 8, outcome, 0.0)
    desk.journal.request("resources/read", {"uri": f"x://y?token={SECRET}"}, 9, outcome, 0.0)
    desk.journal.event("server", {"server": "fs", "why": f"exit 1: password={SECRET}"})
    desk.close()
    (path,) = files(tmp_path)
    assert SECRET not in path.read_text() and len(rows(tmp_path, "call")) == 3 and not desk.said


def test_what_is_not_suspected_is_never_what_the_redactor_would_have_changed(tmp_path: Path) -> None:
    """The cheap look before the redactor is the reason that a row is cheap; it must not be a way past it."""
    from random import Random

    from shack_gateway.config.keys import REDACTED
    from shack_gateway.log import redactor
    from shack_gateway.store.journal_rows import suspicion

    random, redact, suspect = Random(7), redactor(REDACTED), suspicion(REDACTED)
    signs = ["-", "_", "", "=", ": ", '": "', "\\\": \\\"", " ", "--", "X", "x", "\u017f", "\u212a", "ä", "K", "s"]
    changed = 0
    for _ in range(4000):
        word = random.choice(REDACTED)
        word = "".join(random.choice([sign, sign.upper(), sign]) for sign in word)
        word = word.replace("_", random.choice("-_")) if random.random() < 0.5 else word.replace("s", "\u017f")
        text = "".join([random.choice(signs), word, *random.choices(signs, k=3), "value", random.choice(signs)])
        if redact(text) != text:
            changed += 1
            assert suspect(text), text
    assert changed > 500


def test_requests_that_the_hall_answers_have_a_row(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    tell = desk.journal.request
    tell("tools/call", {"name": "shack_list_tools", "arguments": {"query": "x"}}, 1, Complete(b"{}", shape={}), 999.0)
    tell("tools/call", {"name": "fs__nope"}, 2, Failed("unknown tool", "there is none"), 999.5)
    completed = Complete(b"{}", server="fs", shape={})
    tell("completion/complete", {"ref": {}, "argument": {"name": "a"}}, 3, completed, 999.0)
    tell("prompts/get", {"name": 7}, 4, Failed("unknown prompt", "?"), 999.0)
    tell("resources/read", {"uri": "x://y"}, 5, None, 999.0)
    desk.close()
    keys = ("call", "kind", "tool", "outcome", "reason", "server")
    assert [tuple(row.get(key) for key in keys) for row in rows(tmp_path, "call")] == [
        (1, "meta", "shack_list_tools", "ok", None, None),
        (2, "tool", "fs__nope", "failed", "unknown tool", None),
        (3, "completion", "completion/complete", "ok", None, "fs"),
        (4, "prompt", "", "failed", "unknown prompt", None),
        (5, "resource", "x://y", "cancelled", None, None),
    ]
    assert rows(tmp_path, "call")[1]["ms"] == 500


def test_all_of_a_turn_is_one_write_behind_the_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path)
    desk.calls(1)
    writes: list[int] = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: writes.append(len(data)) or real(fd, data))
    for _ in range(30):
        made = call({})
        desk.journal.call(made, made, complete({}), 0.1)
    assert not writes and len(desk.loop.soon) == 1
    desk.loop.turn()
    assert len(writes) == 1 and len(rows(tmp_path, "call")) == 31


def test_a_row_is_written_at_the_end_of_the_turn_behind_its_own(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    made = call({})
    desk.journal.turn()
    desk.journal.call(made, made, complete({}), 0.1)
    desk.journal.turn()
    assert not desk.folder.exists()
    desk.journal.call(made, made, complete({}), 0.1)
    desk.journal.turn()
    assert len(rows(tmp_path, "call")) == 2
    desk.loop.turn()
    desk.journal.turn()
    assert len(rows(tmp_path, "call")) == 2


def test_a_secret_in_one_row_of_a_turn_is_masked_and_the_others_are_not(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for arguments in ({"a": "1"}, {"password": "hunter2"}, {"pass\u017fword": "x"}, {"b": "plain"}):
        made = call(arguments)
        desk.journal.call(made, made, complete({"token": "abcdef"} if "b" in arguments else {}), 0.1)
    desk.loop.turn()
    text = json.dumps(rows(tmp_path, "call"))
    assert "hunter2" not in text and "abcdef" not in text and "plain" in text and text.count("REDACTED") >= 2


def test_a_large_call_is_worded_at_once_and_not_kept(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.calls(1)
    outcome, text = large(1 << 20), '{"a":1}'
    value = json.loads(text)
    kept = Call(8, "tool", "fs", "n", "t", value, {}, Context(kept=((value, text),)))
    before = sys.getrefcount(outcome), sys.getrefcount(kept)
    desk.journal.call(call({}), call({}), outcome, 0.1)
    desk.journal.call(kept, kept, complete({}), 0.1)
    assert (sys.getrefcount(outcome), sys.getrefcount(kept)) == before
    desk.loop.turn()
    assert [row["call"] for row in rows(tmp_path, "call")] == [7, 7, 8]


def test_the_first_line_is_behind_for_so_many_rows_and_so_long_at_most(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.calls(2)
    (path,) = files(tmp_path)
    first = state(str(path))[0]
    assert len(desk.loop.timers) == 1, "it will be written though nothing else happens"
    desk.calls(SETTLE_ROWS - 2)
    assert state(str(path))[0] == first
    desk.calls(1)
    assert state(str(path))[0] == first + SETTLE_ROWS
    desk.calls(1)
    desk.loop.ring()
    assert state(str(path))[0] == first + SETTLE_ROWS + 1


def test_a_system_that_cannot_write_at_a_place_seeks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pwrite")
    desk = Desk(tmp_path)
    for _ in range(3):
        desk.calls(3)
        desk.loop.ring()
    desk.close()
    (verdict,) = verify(str(tmp_path / "journal"))
    assert not verdict.faults and verdict.rows == state(str(files(tmp_path)[0]))[0] == 11


def test_files_are_for_the_user_alone(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir(mode=0o755)
    os.umask(os.umask(0))
    desk = Desk(tmp_path)
    desk.calls(1)
    (path,) = files(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_folder_that_is_a_link_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "journal").symlink_to(tmp_path / "elsewhere")
    desk = Desk(tmp_path)
    desk.calls(3)
    assert not list((tmp_path / "elsewhere").iterdir()) and len(desk.said) == 1 and "calls go on" in desk.said[0]


def test_a_run_in_which_nothing_happened_leaves_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.journal.note("start", {"version": "1"})
    desk.loop.turn()
    desk.close()
    assert not (tmp_path / "journal").exists()


def test_a_run_is_told_from_its_start_to_its_end(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.journal.note("start", {"version": "1"})
    desk.calls(2)
    desk.close()
    assert [row["event"] for row in rows(tmp_path)] == ["open", "start", "call", "call", "end"]
    end = rows(tmp_path)[-1]
    assert (end["why"], end["calls"]) == ("end of input", 2)
    desk.calls(1)
    assert len(rows(tmp_path)) == 5, "nothing is written behind the end"


def test_the_configuration_is_told_with_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text("{}")
    permissions = {"allow": ("a__b",), "deny": ("c", "d"), "default_decision": "deny"}
    settings = {"permissions": permissions, "profile": "review"}
    told = configuration(str(path), 2, settings, 1)
    assert told["sha256"] == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert (told["servers"], told["rules"], told["warnings"], told["profile"]) == (2, 3, 1, "review")
    os.mkfifo(tmp_path / "pipe")
    assert configuration(str(tmp_path / "pipe"), 0, {}, 0)["sha256"] == "", "a pipe was read already: not twice"


# --- trouble ---------------------------------------------------------------------------------------------------------


class FullDisk:
    """`os.write` that has room for so many bytes in all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 1 << 30
        self._real = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, fd: int, data: bytes) -> int:
        if len(data) and not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._real(fd, data[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 1, 100, 400, 1000, 3000])
def test_a_full_disk_costs_rows_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    desk, disk = Desk(tmp_path), FullDisk(monkeypatch)
    desk.calls(3)
    disk.room = room
    desk.calls(20, turns=False)
    assert len(desk.said) == 1 and "No space left" in desk.said[0] and str(tmp_path) in desk.said[0]
    (path,) = files(tmp_path)
    assert path.read_bytes().endswith(b"}\n"), "no half row stays"
    kept = len(rows(tmp_path, "call"))
    desk.calls(5)
    disk.room = 1 << 30
    desk.calls(5)
    desk.loop.now += 2
    desk.calls(4)
    assert len(desk.said) == 1, "it is said once"
    (dropped,) = rows(tmp_path, "dropped")
    assert dropped["rows"] == 33 - kept and len(rows(tmp_path, "call")) == kept + 4
    desk.close()
    (verdict,) = verify(str(tmp_path / "journal"))
    assert not verdict.faults and verdict.end == "ended" and verdict.dropped == dropped["rows"]


def test_a_disk_that_is_full_from_the_start_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in (0, 60, 128, 129, 300):
        folder = tmp_path / str(room)
        folder.mkdir()
        with monkeypatch.context() as patch:
            desk, disk = Desk(folder), FullDisk(patch)
            disk.room = room
            desk.calls(5)
            desk.loop.now += 2
            desk.calls(1)
            disk.room = 1 << 30
            desk.loop.now += 3
            desk.calls(1)
            desk.close()
        assert [row["event"] for row in rows(folder)] == ["open", "dropped", "call", "end"]
        assert rows(folder, "dropped")[0]["rows"] == 6
        assert not [fault for verdict in verify(str(folder / "journal")) for fault in verdict.faults]


def test_a_folder_that_cannot_be_made_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file")
    desk = Desk(tmp_path)
    for _ in range(5):
        desk.calls(2)
        desk.loop.now += 40
    desk.close()
    assert len(desk.said) == 1


def test_a_file_that_is_removed_is_missed_and_another_is_begun(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.calls(3)
    (first,) = files(tmp_path)
    first.unlink()
    first.parent.rmdir()
    desk.loop.now += 1
    desk.calls(1)
    desk.calls(2)
    desk.close()
    (second,) = files(tmp_path)
    assert second.name != first.name and len(desk.said) == 1 and "was removed" in desk.said[0]
    assert rows(tmp_path, "lost")[0]["file"] == first.name and len(rows(tmp_path, "call")) == 2
    faults = [fault.what for verdict in verify(str(tmp_path / "journal")) for fault in verdict.faults]
    assert faults == [f"is missing: {second.name} names it"]


def cut(path: Path) -> None:
    os.truncate(path, 700)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def move(path: Path) -> None:
    path.rename(path.with_name("20260101T000000000Z-1.jsonl"))


@pytest.mark.parametrize("when", ["calls follow", "the run ends"])
@pytest.mark.parametrize("deed, shows", [
    (cut, "counts"), (empty, "it had 5 when"), (replace, ""), (move, "is missing"),
], ids=["cut", "emptied", "replaced", "moved"])
def test_a_file_that_is_spoilt_while_it_is_written_is_left_and_verify_says_so(
    tmp_path: Path, deed: Callable[[Path], None], shows: str, when: str
) -> None:
    desk = Desk(tmp_path)
    desk.calls(4)
    desk.loop.ring()
    (first,) = files(tmp_path)
    deed(first)
    if when == "calls follow":
        desk.loop.now += 1
        desk.calls(1)
        desk.calls(3)
    desk.close()
    assert len(desk.said) == 1 and "removed, replaced or cut" in desk.said[0]
    (lost,) = rows(tmp_path, "lost")
    assert lost["file"] == first.name and lost["rows"] >= 5 and len(lost["last"]) == 64
    faults = [fault for verdict in verify(str(tmp_path / "journal")) for fault in verdict.faults]
    assert any(fault.file == first.name and shows in fault.what for fault in faults), faults
    if when == "calls follow":
        assert [row["call"] for row in rows(tmp_path, "call")[-3:]] == [7, 7, 7], "what follows is in another file"


def test_a_system_that_does_not_number_its_files_is_not_asked_about_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "samestat", lambda a, b: False)
    desk = Desk(tmp_path)
    desk.calls(200)
    desk.close()
    assert len(files(tmp_path)) == 1 and not desk.said


def test_a_folder_that_became_a_link_is_written_to_no_more(tmp_path: Path) -> None:
    desk, elsewhere = Desk(tmp_path, Bounds(4000, 1 << 20, 30)), tmp_path / "elsewhere"
    desk.calls(2)
    (tmp_path / "journal").rename(elsewhere)
    (tmp_path / "journal").symlink_to(elsewhere)
    desk.calls(60)
    desk.close()
    assert len(list(elsewhere.iterdir())) == 1 and desk.said


def test_what_json_cannot_say_is_left_out_of_the_row(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    deep: dict[str, Any] = {}
    for _ in range(20_000):
        deep = {"a": deep}
    desk.calls(1, deep=deep)
    desk.calls(1, turns=False, x=float("nan"))
    desk.calls(2)
    told = [(row.get("arguments"), row["argument_bytes"]) for row in rows(tmp_path, "call")]
    assert told == [(None, 0)] * 2 + [(None, 2)] * 2 and not desk.said and not rows(tmp_path, "dropped")


def test_a_row_that_breaks_costs_itself_and_is_counted(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for turns in (True, False):
        desk.journal.event("server", {"text": {1}})  # a set is no JSON
        desk.calls(2, turns)
    assert len(rows(tmp_path, "call")) == 4 and sum(row["rows"] for row in rows(tmp_path, "dropped")) == 2
    assert len(desk.said) == 1


def test_a_slow_disk_is_left_to_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path)
    desk.calls(1)
    real, go, waiting = os.write, threading.Event(), threading.Event()

    def slow(fd: int, data: bytes) -> int:
        if threading.current_thread() is threading.main_thread():
            desk.loop.now += 0.06
        else:
            waiting.set()
            assert go.wait(15)
        return real(fd, data)

    monkeypatch.setattr(os, "write", slow)
    desk.calls(2)
    before = len(rows(tmp_path, "call"))
    assert before == 3
    desk.calls(1)
    assert waiting.wait(15), "a thread writes"
    desk.calls(30, x="y" * 100)
    monkeypatch.setattr(module, "MOST_WAITING", 5000)
    desk.calls(30, x="y" * 100)
    monkeypatch.setattr(module, "MOST_WAITING", MOST_WAITING)
    assert len(rows(tmp_path, "call")) == before, "and nobody waited for it"
    go.set()
    desk.close()
    written, dropped = len(rows(tmp_path, "call")), rows(tmp_path, "dropped")
    assert written + sum(row["rows"] for row in dropped) == 64 and 30 <= written < 64
    (verdict,) = verify(str(tmp_path / "journal"))
    assert not verdict.faults and verdict.end == "ended" and not desk.said




def part(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "journal").glob("*.part"))


def test_a_file_has_its_name_only_with_its_whole_first_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = os.rename, list[tuple[str, bytes]]()

    def rename(old: str, new: str) -> None:
        assert not Path(new).exists() and Path(old).stat().st_mode & 0o777 == 0o600
        seen.append((new, Path(old).read_bytes()))
        real(old, new)

    monkeypatch.setattr(os, "rename", rename)
    desk = Desk(tmp_path, Bounds(4000, 1 << 20, 30))
    desk.calls(30)
    desk.close()
    assert seen == [(str(path), header(0, "0" * 64)) for path in files(tmp_path)] and len(seen) > 2
    assert part(tmp_path) == []


@pytest.mark.parametrize("call", ["write", "rename"])
def test_a_kill_before_that_leaves_no_file_and_what_it_left_is_removed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    locked: list[int] = []

    def killed(*given: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, call, killed)
        patch.setattr(module_of_files, "_lock", locked.append)
        with pytest.raises(KeyboardInterrupt):
            Desk(tmp_path, clock=lambda: 1.7e9).calls(1)
    os.close(locked.pop())
    (left,) = part(tmp_path)
    assert files(tmp_path) == [] and verify(str(tmp_path / "journal")) == []
    strange, link = left.with_name("notes.part"), left.with_name("20200101T000000000Z-1.jsonl.part")
    strange.write_text("mine")
    link.symlink_to(strange)
    Desk(tmp_path).calls(1)
    assert left.exists(), "it may be another gateway's that begins just now"
    for path in (left, strange):
        os.utime(path, (1e9, 1e9))
    os.utime(link, (1e9, 1e9), follow_symlinks=False)
    Desk(tmp_path, clock=lambda: time.time() + 1).calls(1)
    assert not left.exists() and strange.exists() and link.is_symlink()
    assert not [fault for verdict in verify(str(tmp_path / "journal")) for fault in verdict.faults]


@pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")
def test_a_file_that_is_just_begun_is_not_removed_however_old_it_says_it_is(tmp_path: Path) -> None:
    Desk(tmp_path).calls(1)
    held = tmp_path / "journal" / "20260101T000000000Z-1.jsonl.part"
    with held.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.utime(held, (1e9, 1e9))
        Desk(tmp_path, clock=lambda: time.time() + 1).calls(1)
        assert held.exists()
    Desk(tmp_path, clock=lambda: time.time() + 2).calls(1)
    assert not held.exists()


@pytest.mark.parametrize("suffix", ["", ".part"])
def test_what_has_the_name_already_is_neither_written_to_nor_replaced(tmp_path: Path, suffix: str) -> None:
    """A link too, wherever it leads."""
    (tmp_path / "journal").mkdir(mode=0o700)
    other, mine = tmp_path / "other", f"20231114T221320000Z-{os.getpid()}.jsonl"
    other.write_text("mine")
    (tmp_path / "journal" / (mine + suffix)).symlink_to(other)
    desk = Desk(tmp_path, clock=lambda: 1.7e9)
    desk.calls(1)
    desk.close()
    assert other.read_text() == "mine" and (tmp_path / "journal" / (mine + suffix)).is_symlink()
    assert files(tmp_path)[-1].name == mine.replace(".jsonl", "-2.jsonl") and len(rows(tmp_path, "call")) == 1


# --- one file after the other ----------------------------------------------------------------------------------------


def test_a_file_that_is_full_is_followed_by_the_next(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Bounds(4000, 1 << 20, 30))
    desk.calls(100)
    desk.close()
    found = files(tmp_path)
    assert len(found) > 5 and len(rows(tmp_path, "call")) == 100
    assert all(path.stat().st_size < 5000 for path in found)
    names = [row["file"] for row in rows(tmp_path, "next")]
    assert names == [path.name for path in found[1:]]
    for path in found:
        head = read_header(path.read_bytes()[:128])
        assert head is not None and head[0] == path.read_bytes().count(b"\n") - 1
    assert {v.end for v in verify(str(tmp_path / "journal"))} == {"ended"}


def test_the_oldest_files_go_when_there_is_too_much(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Bounds(4000, 20_000, 30))
    desk.calls(200)
    left, gone = files(tmp_path), [name for row in rows(tmp_path, "pruned") for name in row["files"]]
    assert sum(path.stat().st_size for path in left) < 26_000 and gone
    assert not {path.name for path in left} & set(gone)
    desk.close()
    assert not [fault for verdict in verify(str(tmp_path / "journal")) for fault in verdict.faults]


def test_a_kill_while_old_files_are_removed_does_not_look_like_theft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        desk = Desk(tmp_path, session=str(number), clock=lambda number=number: 1.7e9 + number)
        desk.calls(5)
        desk.close()
    real: Callable[[str], None] = os.unlink

    def killed(path: str) -> None:
        real(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "unlink", killed)
    desk = Desk(tmp_path, Bounds(4000, 8000, 1e6))
    with pytest.raises(KeyboardInterrupt):
        desk.calls(1)
    assert len(files(tmp_path)) == 6
    assert not [fault for verdict in verify(str(tmp_path / "journal")) for fault in verdict.faults]


def test_files_that_are_too_old_go_and_those_of_others_stay(tmp_path: Path) -> None:
    for number in range(3):
        desk = Desk(tmp_path, session=str(number), clock=lambda number=number: 1.7e9 + number)
        desk.calls(1)
        desk.close()
    old = files(tmp_path)
    running = Desk(tmp_path, clock=lambda: 1.7e9 + 5)
    running.calls(1)
    strange = tmp_path / "journal" / "notes.jsonl"
    link = tmp_path / "journal" / "20200101T000000000Z-1.jsonl"
    strange.write_text("mine")
    link.symlink_to(strange)
    for path in files(tmp_path):
        if path != link:
            os.utime(path, (1e9, 1e9))
    desk = Desk(tmp_path)
    desk.calls(1)
    assert [path.name for path in old] == rows(tmp_path, "pruned")[0]["files"]
    left = files(tmp_path)
    assert strange.exists() and link in left and len(left) == 3, "what is written to stays, and what is not ours"
    running.calls(1)
    running.close()
    desk.close()
    assert not [f for v in verify(str(tmp_path / "journal")) if v.file != link.name for f in v.faults]
