"""An answer of "always" is written into the user's file whole, or not at all, and what went wrong is said."""
from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from shack_gateway.store import rules
from shack_gateway.store.rules import allow_always

posix = pytest.mark.skipif(sys.platform == "win32", reason="modes and links of POSIX")
not_root = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="root may write everywhere")
TEXT = b'\xef\xbb\xbf{\r\n  // mine\r\n  "permissions": {"allow": ["a__b"]},\r\n}\r\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "shack-config.json"
    path.write_bytes(TEXT)
    return path


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_the_rule_is_added_and_nothing_else_changes(config: Path) -> None:
    assert allow_always(str(config), "a__c(ä)") == ""
    assert config.read_bytes() == TEXT.replace(b'"a__b"', '"a__b", "a__c(ä)"'.encode())
    assert names(config.parent) == ["shack-config.json"]


def test_a_rule_that_is_there_leaves_the_file_alone(config: Path) -> None:
    before = config.stat()
    assert allow_always(str(config), "a__b") == ""
    assert (config.stat().st_ino, config.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_relative_path_is_one_too(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(config.parent)
    assert allow_always("shack-config.json", "x__y") == ""
    assert b"x__y" in config.read_bytes()


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o660, 0o755], ids=oct)
def test_the_rights_stay(config: Path, mode: int) -> None:
    config.chmod(mode)
    assert allow_always(str(config), "x__y") == ""
    assert config.stat().st_mode & 0o7777 == mode


@posix
def test_where_the_group_cannot_be_kept_it_loses_its_rights(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.chmod(0o664)
    real = os.stat

    def others(path: object) -> os.stat_result:
        found = list(real(path))  # type: ignore[call-overload]
        found[5] += 1
        return os.stat_result(found)

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(rules.os, "stat", others)
    monkeypatch.setattr(rules.os, "chown", refused)
    assert allow_always(str(config), "x__y") == ""
    monkeypatch.undo()
    assert config.stat().st_mode & 0o777 == 0o604


@posix
def test_a_link_stays_a_link_and_its_file_is_written(config: Path, tmp_path: Path) -> None:
    (tmp_path / "dots").mkdir()
    kept = config.rename(tmp_path / "dots" / "kept.json")
    config.symlink_to("dots/kept.json")
    assert allow_always(str(config), "x__y") == ""
    assert config.is_symlink() and b"x__y" in kept.read_bytes()
    assert names(tmp_path / "dots") == ["kept.json"]


def test_what_somebody_writes_meanwhile_is_not_lost(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, rounds = rules.with_allow_rule, []

    def slowly(text: str, rule: str) -> str:
        made = real(text, rule)
        if not rounds:
            config.write_text('{"permissions": {"allow": ["theirs"]}}')
        rounds.append(text)
        return made

    monkeypatch.setattr(rules, "with_allow_rule", slowly)
    assert allow_always(str(config), "ours") == ""
    assert json.loads(config.read_text()) == {"permissions": {"allow": ["theirs", "ours"]}}
    assert len(rounds) == 2 and names(config.parent) == ["shack-config.json"]


def test_a_file_that_never_stays_the_same_is_left_to_its_writer(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, rounds = rules.with_allow_rule, []

    def slowly(text: str, rule: str) -> str:
        rounds.append(text)
        config.write_text(json.dumps({"round": len(rounds)}))
        return real(text, rule)

    monkeypatch.setattr(rules, "with_allow_rule", slowly)
    assert "changed by somebody else" in allow_always(str(config), "ours")
    assert json.loads(config.read_text()) == {"round": 3} and names(config.parent) == ["shack-config.json"]


@pytest.mark.parametrize("data, words", [
    (b"{", "it cannot be read"), (b"\xff", "it is not UTF-8"), (b'{"permissions": 5}', "`permissions` is no object"),
    (b" " * (rules.MOST_BYTES + 1), "larger than 16 MiB"), (b"", "empty"),
], ids=["no JSON", "no UTF-8", "no object", "too large", "empty"])
def test_what_cannot_be_edited_is_left_as_it_is_and_told(config: Path, data: bytes, words: str) -> None:
    config.write_bytes(data)
    said = allow_always(str(config), "a__b(c)")
    assert said.startswith("the rule `a__b(c)` could not be written to `shack-config.json`: ") and words in said
    assert config.read_bytes() == data and names(config.parent) == ["shack-config.json"]


def test_a_file_that_is_not_there_is_told_without_its_folder(tmp_path: Path) -> None:
    said = allow_always(str(tmp_path / "gone" / "x.json"), "a__b")
    assert "`x.json`" in said and "No such file" in said and "by hand" in said
    assert str(tmp_path) not in said


@posix
def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert "no ordinary file" in allow_always(str(tmp_path / "fifo"), "a__b")
    assert allow_always(str(tmp_path), "a__b") != ""
    assert allow_always("/dev/null", "a__b") != ""
    assert "null" in allow_always("a\0b", "a__b")  # each Python says it in its own words


@posix
@not_root
def test_a_file_that_is_read_only_is_not_replaced(config: Path) -> None:
    config.chmod(0o444)
    assert "read-only" in allow_always(str(config), "x__y")
    assert config.read_bytes() == TEXT


@posix
@not_root
def test_a_folder_that_cannot_be_written_is_told(config: Path) -> None:
    config.parent.chmod(0o500)
    try:
        assert "Permission denied" in allow_always(str(config), "x__y")
    finally:
        config.parent.chmod(0o700)
    assert config.read_bytes() == TEXT


def test_a_write_that_breaks_leaves_the_file_and_nothing_else(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(part: str, path: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rules.os, "replace", full)
    assert "No space left" in allow_always(str(config), "x__y")
    assert config.read_bytes() == TEXT and names(config.parent) == ["shack-config.json"]


@posix
def test_nothing_is_written_through_a_link_that_lies_in_the_way(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    (tmp_path / f"shack-config.json.{os.getpid()}.part").symlink_to(other)
    assert allow_always(str(config), "x__y") == ""
    assert other.read_text() == "mine" and names(tmp_path) == ["other", "shack-config.json"]


def test_control_characters_of_a_rule_are_not_shown(tmp_path: Path) -> None:
    assert "\x1b" not in allow_always(str(tmp_path / "x"), "a__b(\x1b[31m)" + "y" * 5000)
