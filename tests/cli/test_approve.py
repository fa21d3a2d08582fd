"""`approve` shows what the user lets pass, lets it pass once, and says what to do where it cannot."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kit.host import ROOT
from shack_gateway.children import MARK
from shack_gateway.cli.approve import described
from shack_gateway.cli.main import main
from shack_gateway.store.approvals import LIFE_SECS, Approvals

ABOUT = {"server": "files", "tool": "files__write_file", "rule": "files__write_*",
         "arguments": '{"path": "notes.txt", "content": "..."}'}
DIGEST = "d" * 64
PAGE = (ROOT / "shack_gateway" / "docs" / "commands.md").read_text(encoding="utf-8")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHACK_STATE_DIR", str(tmp_path))
    monkeypatch.delenv(MARK, raising=False)
    return tmp_path


def test_a_call_is_approved_and_shown(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gateway = Approvals(str(state))
    assert main(["approve", gateway.request(DIGEST, ABOUT).lower().replace("-", "")]) == 0
    out, err = capsys.readouterr()
    assert err == "" and out in PAGE, "as the page shows it"
    assert gateway.take(DIGEST) and not gateway.take(DIGEST)


def test_a_process_of_its_own_approves_for_the_gateway(state: Path) -> None:
    gateway = Approvals(str(state))
    code = gateway.request(DIGEST, ABOUT)
    done = subprocess.run([sys.executable, "-m", "shack_gateway", "approve", code], cwd=ROOT, capture_output=True,
                          encoding="utf-8", timeout=60, env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    assert (done.returncode, done.stderr) == (0, "")
    assert gateway.take(DIGEST)


def test_a_second_time_it_says_that_it_is_approved(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = Approvals(str(state)).request(DIGEST, ABOUT)
    assert main(["approve", code]) == 0
    capsys.readouterr()
    assert main(["approve", code]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "approved already" in err and "files__write_file" in err


def test_a_code_that_is_too_old_is_told(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = Approvals(str(state)).request(DIGEST, ABOUT)
    (path,) = (state / "approvals").iterdir()
    when = path.stat().st_mtime - LIFE_SECS - 1
    os.utime(path, (when, when))
    assert main(["approve", code]) == 1
    assert f"`{code}` is older than 5 minutes. Let the model make the call again" in capsys.readouterr().err


@pytest.mark.parametrize("code, words", [
    ("ABCD-2345", ["no call waits under the code `ABCD-2345`", "Let the model make the call again",
                   "SHACK_STATE_DIR or HOME"]),
    ("ABCD", ["`ABCD` is no code", "looks like `ABCD-2345`"]), ("OOOO-1111", ["is no code"]),
    ("\x1b[31m" + "x" * 500, ["is no code"]), ("\udc80", ["is no code"]),
], ids=ascii)
def test_an_unknown_code_is_exit_code_1_and_says_what_to_do(
    state: Path, capsys: pytest.CaptureFixture[str], code: str, words: list[str]
) -> None:
    Approvals(str(state)).request(DIGEST, ABOUT)
    assert main(["approve", code]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("shack-gateway: error: ") and all(word in err for word in words)
    assert "\x1b" not in err


@pytest.mark.parametrize("line", [[], [""], ["  "]], ids=str)
def test_without_a_code_it_is_wrong_usage(state: Path, capsys: pytest.CaptureFixture[str], line: list[str]) -> None:
    assert main(["approve", *line]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("usage: shack-gateway approve CODE\nshack-gateway: error: a code is needed")


def test_what_a_gateway_started_cannot_approve(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Approvals(str(state))
    code = gateway.request(DIGEST, ABOUT)
    monkeypatch.setenv(MARK, "secret.1")
    assert main(["approve", code]) == 1
    assert "in a terminal" in capsys.readouterr().err
    assert not gateway.take(DIGEST)


def test_without_a_folder_for_state_it_says_how_to_name_one(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shack_gateway.cli.approve.state_folder", lambda environ: "")
    assert main(["approve", "ABCD-2345"]) == 1
    assert "Set HOME, or SHACK_STATE_DIR" in capsys.readouterr().err


def test_an_approval_that_cannot_be_kept_is_told(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(old: str, new: str) -> None:
        raise OSError(28, "No space left on device")

    code = Approvals(str(state)).request(DIGEST, ABOUT)
    monkeypatch.setattr("shack_gateway.store.approvals.os.replace", full)
    assert main(["approve", code]) == 1
    assert "cannot be kept: No space left on device" in capsys.readouterr().err


def test_no_text_about_a_call_can_pass_for_ours() -> None:
    shown = described({"arguments": "a\nApproved.\n  server     trusted\x1b[2K\u202e\r\tb", "server": "x",
                       "own\nserver": "y" * 9000, "tool": "t\n  rule       none"})
    lines = shown.splitlines()
    assert [line[:13] for line in lines if line[2:3].strip()] == [
        "  server     ", "  tool       ", "  arguments  ", "  own\\nserver"]
    assert all(line.startswith("  ") and line.isprintable() for line in lines)
    assert "\\u001b" in shown and "\\u202e" in shown and shown.endswith("…")
