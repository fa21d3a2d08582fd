"""`check` says everything that is wrong, and with `--connect` how the servers start."""
from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from kit.host import ROOT
from shack_gateway.app import ServerReport
from shack_gateway.cli.check import as_json, passed, show_reports, without_secrets
from shack_gateway.cli.main import main
from shack_gateway.cli.report import Screen
from shack_gateway.errors import Problem

EXAMPLE = '{\n  "workspace_root": ".",' + "\n" * 16 + """  "servers": {
    "github": {
      "command": "npx",
      "env": {"TOKEN": "${GH_TOKEN}"}
    }
  }
}
"""
"""The variable stands on line 21, as in the documentation."""
SAID = (ROOT / "shack_gateway" / "docs" / "commands.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GH_TOKEN", raising=False)
    return tmp_path


def check(folder: Path, content: Any, *options: str) -> int:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "shack-config.json").write_text(text, encoding="utf-8")
    return main(["check", *options])


def test_the_documented_example_is_what_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(folder, EXAMPLE) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("error: ") and f"```text\n{out}```" in SAID


def test_all_is_well_is_said_in_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(folder, {"workspace_root": ".", "servers": {"a": {"command": "x"}}}) == 0
    assert capsys.readouterr().out == "shack-config.json: 1 server, no problems.\n"


def test_warnings_alone_are_no_failure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(folder, {"workspace_root": ".", "colour": 1, "expose_mode": "Full"}) == 0
    out = capsys.readouterr().out
    assert out.count("warning: ") == 2 and out.endswith("\n0 errors, 2 warnings.\n")


def test_a_file_that_is_not_there_is_a_finding(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", "none.json"]) == 1
    assert capsys.readouterr().out.startswith("error: failed to read config 'none.json': ")


def test_json_is_one_object_with_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(folder, EXAMPLE.replace('"npx"', '"npx", "colour": 1, "sound": 1'), "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert {key: said[key] for key in ("config", "ok", "errors", "warnings")} == {
        "config": "shack-config.json", "ok": False, "errors": 1, "warnings": 2}
    assert said["problems"][0] == {
        "severity": "error", "what": "`servers.github.env.TOKEN` uses `${GH_TOKEN}`, which is not set",
        "file": "shack-config.json", "line": 21,
        "fix": "Export GH_TOKEN, or write `${GH_TOKEN:-}` to allow it to be empty."}
    assert "servers" not in said


def test_json_of_a_file_that_cannot_be_read_is_an_object_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(folder, "[", "--json") == 1
    assert json.loads(capsys.readouterr().out)["errors"] == 1


def test_nothing_is_started_while_the_file_has_errors(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(folder, {"workspace_root": ".", "log_level": "loud"}, "--connect") == 1
    assert capsys.readouterr().out.endswith("1 error, 0 warnings.\nNo server was started: the errors come first.\n")
    assert check(folder, {"workspace_root": ".", "log_level": "loud"}) == 1
    assert capsys.readouterr().out.endswith("1 error, 0 warnings.\n")


# Servers

REPORTS = [
    ServerReport("files", "ready", "handshake", "2025-06-18", 14, 0.613, "", ("chatter",)),
    ServerReport("off", "disabled", "", "", 0, 0.0, "", ()),
    ServerReport("memory", "backoff", "", "", 0, 0.0, "the command `nxp` was not found",
                 ("token=hunter2", "\x1b[31mboom")),
    ServerReport("far", "down", "", "", 0, 0.0, "remote servers are not supported yet", ()),
]


def shown(reports: list[ServerReport]) -> str:
    stream = io.StringIO()
    show_reports(reports, Screen(stream, {}))
    return stream.getvalue()


def test_servers_are_a_table_with_the_reasons_below() -> None:
    assert shown(REPORTS) == (
        "server  state     era        protocol    tools   start\n"
        "files   ready     handshake  2025-06-18     14  0.61 s\n"
        "off     disabled  -          -               -       -\n"
        "memory  failed    -          -               -       -\n"
        "    the command `nxp` was not found\n"
        "    stderr: token=hunter2\n"
        "    stderr: \\u001b[31mboom\n"
        "far     down      -          -               -       -\n"
        "    remote servers are not supported yet\n"
        "\n"
        "2 of 4 servers did not start.\n")


def test_the_documented_table_is_what_is_shown() -> None:
    out = shown([REPORTS[0], REPORTS[2]._replace(stderr=())])
    assert "```text\n" + out.partition("\n\n")[0] + "\n```" in SAID


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_state_has_a_colour() -> None:
    stream = Terminal()
    show_reports(REPORTS, Screen(stream, {"TERM": "xterm"}))
    colours = re.findall(r"\x1b\[(\d+)m(\S+)", stream.getvalue())
    assert colours == [("1", "server"), ("32", "files"), ("34", "off"), ("31", "memory"), ("31", "far")]


def test_who_waits_at_a_terminal_is_told_for_what(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert check(folder, {"workspace_root": ".", "servers": {"a": {"url": "https://x"}}}, "--connect") == 1
    assert terminal.getvalue() == "Starting 1 server ...\n"
    out = capsys.readouterr().out
    assert out.endswith("1 of 1 server did not start.\n1 error, 0 warnings.\n")
    assert "\na       down   -    -             -      -\n" in out


def test_no_servers_are_a_table_without_rows() -> None:
    assert shown([]) == "server  state  era  protocol  tools  start\n\n"


def test_secrets_in_what_servers_said_are_redacted() -> None:
    cleaned = without_secrets([REPORTS[2]._replace(error="failed: token=hunter2")], ["token"])
    assert "hunter2" not in str(cleaned)
    assert cleaned[0].stderr[1] == REPORTS[2].stderr[1]


@pytest.mark.parametrize("problems, reports, wanted", [
    ([], None, True), ([], REPORTS[:2], True), ([], REPORTS, False), ([Problem("warning", "x")], REPORTS[:1], True),
    ([Problem("error", "x")], REPORTS[:1], False),
], ids=["nothing", "all started", "one failed", "only a warning", "an error"])
def test_the_answer_is_no_if_anything_failed(
    problems: list[Problem], reports: list[ServerReport] | None, wanted: bool
) -> None:
    assert passed(problems, reports) is wanted
    assert as_json("c", problems, reports)["ok"] is wanted


def test_json_has_every_server() -> None:
    said = as_json("c", [], REPORTS)
    assert said["servers"][0] == {
        "server": "files", "state": "ready", "era": "handshake", "version": "2025-06-18", "tools": 14, "seconds": 0.613,
        "error": None, "stderr": ["chatter"]}
    assert said["servers"][2]["error"] == "the command `nxp` was not found"
    assert said["servers"][1]["era"] is None


def test_the_servers_are_really_started(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo = ["${SHACK_PACKAGE}/demo", "newschool"]
    code = check(folder, {"workspace_root": ".", "catalog_cache": False, "servers": {
        "good": {"command": "${SHACK_PYTHON}", "args": demo},
        "bad": {"command": "no-such-program-anywhere"},
        "off": {"command": "x", "enabled": False},
    }}, "--connect", "--json")
    out, _ = capsys.readouterr()
    servers = {row["server"]: row for row in json.loads(out)["servers"]}
    assert code == 1
    assert (servers["good"]["state"], servers["good"]["era"], servers["good"]["error"]) == ("ready", "stateless", None)
    assert servers["good"]["tools"] > 0
    assert "no-such-program-anywhere" in servers["bad"]["error"]
    assert (servers["off"]["state"], servers["off"]["error"]) == ("disabled", None)
