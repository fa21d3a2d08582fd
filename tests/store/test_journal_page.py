"""The page about the journal says what is written, and what it shows how to do works."""
from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kit.corridor import complete
from kit.host import ROOT
from kit.journal import Desk, files, rows
from shack_gateway.cli.log import _shown
from shack_gateway.cli.report import Screen
from shack_gateway.config.load import load
from shack_gateway.pipeline.call import Failed, InputRequired, Outcome, Refused
from shack_gateway.store.journal_reading import EVENTS
from shack_gateway.store.journal_rows import OUTCOMES

PAGE = (ROOT / "shack_gateway" / "docs" / "journal.md").read_text(encoding="utf-8")
CODE = set(re.findall(r"`([^`\n]+)`", PAGE))
WRITERS = [
    "app.py", "core/gateway.py", "core/questions.py", "downstream/session.py", "store/journal.py",
    "store/journal_file.py",
]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_every_event_that_is_written_is_on_the_page() -> None:
    text = "".join((ROOT / "shack_gateway" / name).read_text(encoding="utf-8") for name in WRITERS)
    events = {"call", *re.findall(r'\("([a-z]+)", (?:\{|configuration\()', text)} - {"params"}
    assert events == set(EVENTS) and len(events) == len(EVENTS)
    assert events <= CODE, events - CODE
    states = set(re.findall(r'self\._tell\("([a-z ]+)"', text))
    assert {"started", "crashed", "given up"} <= states <= CODE


def test_every_member_of_a_call_and_every_outcome_is_on_the_page(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    outcomes: list[Outcome | None] = [
        complete({}), Refused("hooks", "no", "a"), Failed("server", "x", "fs", -1), InputRequired({}, None, stage="s"),
        None,
    ]
    for outcome in outcomes:
        desk.calls(1, outcome=outcome, a=1)
    members = {key for row in rows(tmp_path) for key in row} - {"others", "part", "file"}
    assert members <= CODE, members - CODE
    assert set(OUTCOMES) <= CODE


@pytest.mark.parametrize("example", blocks("json"), ids=range(len(blocks("json"))))
def test_the_examples_are_configurations(tmp_path: Path, example: str) -> None:
    (tmp_path / "c.json").write_text(json.dumps({"workspace_root": str(tmp_path), **json.loads(example)}))
    assert load(str(tmp_path / "c.json"), {}).warnings == ()


def test_a_file_is_checked_without_us_as_the_page_shows(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.calls(5)
    desk.close()
    (path,), (script,) = files(tmp_path), blocks("python")

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60)

    assert check().stdout == "sound\n"
    path.write_bytes(path.read_bytes().replace(b'"call":7', b'"call":8', 1))
    assert check().returncode == 1


def test_the_rows_on_the_page_look_as_they_are_shown() -> None:
    refused = "blocked by permission policy: matched deny rule 'github__delete_*'"
    given = [
        ("12:00:04.113", {"event": "server", "server": "github", "what": "ready", "era": "handshake",
                          "version": "2025-11-25", "tools": 26, "ms": 841}),
        ("12:00:09.402", {"call": 2, "tool": "shack_list_tools", "outcome": "ok", "ms": 0.31,
                          "arguments": '{"query":"issue"}'}),
        ("12:00:12.711", {"call": 3, "tool": "github__get_issue", "outcome": "ok", "ms": 211.9,
                          "arguments": '{"number":7}'}),
        ("12:00:15.020", {"call": 4, "tool": "github__delete_repo", "ms": 0.1, "outcome": "refused",
                          "rule": "github__delete_*", "why": refused}),
    ]
    found = [{"at": f"2026-01-31T{at}Z", "event": "call", **row} for at, row in given]
    assert "\n".join(_shown(found, Screen(io.StringIO(), {}))) in PAGE


def test_a_section_reads_what_it_is_given_and_says_what_is_wrong(tmp_path: Path) -> None:
    def read(value: object) -> tuple[object, list[str]]:
        path = tmp_path / "c.json"
        path.write_text(json.dumps({"workspace_root": str(tmp_path), "journal": value}))
        config = load(str(path), {})
        return config.settings["journal"], [problem.what for problem in config.warnings]

    usual, said = read(True)
    assert said == [] and isinstance(usual, dict) and usual["argument_chars"] == 200 and read({}) == (usual, [])
    assert read(False) == (None, [])
    assert read({"keep_days": 90})[0] == {**usual, "keep_days": 90}
    assert "journal.keep_bytes" in read({"keep_bytes": 70_000})[1][0]
    for wrong in (1, "yes", [], {"keepdays": 3}, {"max_bytes": 10}, {"argument_chars": -1}, {"result_chars": "200"}):
        with pytest.raises(Exception, match="journal"):
            read(wrong)
