"""A refused call passes once, after its user said so, and in no other way."""
from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from kit.host import ROOT
from shack_gateway.store.approvals import (
    ALPHABET,
    ALREADY,
    DONE,
    EXPIRED,
    LIFE_SECS,
    MOST_BYTES,
    MOST_CODES,
    MOST_PENDING,
    UNKNOWN,
    Approvals,
    Verdict,
    new_code,
    plain_code,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="modes, owners and links of POSIX")
ABOUT = {"server": "files", "tool": "files__write", "rule": "files__*", "arguments": '{"path": "a"}'}
DIGEST, OTHER = "d" * 64, "e" * 64
START = 1_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Desk:
    """Gateways and a user's terminal over one folder, with one clock."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, Clock()
        self.gateway = self.another()

    def another(self) -> Approvals:
        return Approvals(str(self.folder), self.clock)

    def ask(self, digest: str = DIGEST) -> str:
        return self.gateway.request(digest, ABOUT)

    def approve(self, code: str) -> str:
        return self.another().approve(code).found

    def files(self) -> list[Path]:
        return sorted((self.folder / "approvals").iterdir())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


def test_an_approved_call_passes_once(desk: Desk) -> None:
    code = desk.ask()
    assert not desk.gateway.take(DIGEST)
    assert desk.another().approve(code) == Verdict(DONE, ABOUT)
    assert desk.gateway.take(DIGEST)
    assert not desk.gateway.take(DIGEST)
    assert desk.files() == []


def test_another_call_does_not_pass(desk: Desk) -> None:
    desk.ask(OTHER)
    desk.approve(desk.ask())
    assert not desk.gateway.take(OTHER)


def test_a_call_that_is_refused_again_keeps_its_code(desk: Desk) -> None:
    code = desk.ask()
    assert not desk.gateway.take(DIGEST)
    assert desk.ask() == code and len(desk.files()) == 1


def test_its_time_begins_anew_when_it_is_refused_again(desk: Desk) -> None:
    code = desk.ask()
    desk.clock.now += LIFE_SECS - 1
    assert desk.ask() == code
    desk.clock.now += LIFE_SECS - 1
    assert desk.approve(code) == DONE


def test_a_used_code_is_no_code(desk: Desk) -> None:
    code = desk.ask()
    desk.approve(code)
    assert desk.gateway.take(DIGEST)
    assert desk.approve(code) == UNKNOWN
    assert desk.ask() != code


@pytest.mark.parametrize("later, found", [(LIFE_SECS - 1, DONE), (LIFE_SECS, EXPIRED), (-10, EXPIRED)],
                         ids=["in time", "late", "the clock went back"])
def test_a_code_has_its_time(desk: Desk, later: float, found: str) -> None:
    code = desk.ask()
    desk.clock.now += later
    assert desk.approve(code) == found
    assert desk.gateway.take(DIGEST) is (found == DONE)


@pytest.mark.parametrize("later, passes", [(LIFE_SECS - 1, True), (LIFE_SECS, False), (-10, False)],
                         ids=["in time", "late", "the clock went back"])
def test_an_approval_has_its_time_which_begins_with_it(desk: Desk, later: float, passes: bool) -> None:
    code = desk.ask()
    desk.clock.now += LIFE_SECS - 1
    desk.approve(code)
    desk.clock.now += later
    assert desk.gateway.take(DIGEST) is passes


def test_asking_again_does_not_lengthen_an_approval(desk: Desk) -> None:
    code = desk.ask()
    desk.approve(code)
    desk.clock.now += LIFE_SECS - 1
    assert desk.ask() == code
    desk.clock.now += 2
    assert not desk.gateway.take(DIGEST)


def test_an_expired_call_gets_another_code(desk: Desk) -> None:
    code = desk.ask()
    desk.clock.now += LIFE_SECS
    assert desk.ask() != code
    assert desk.approve(code) == UNKNOWN


def test_what_is_approved_already_is_told(desk: Desk) -> None:
    code = desk.ask()
    desk.approve(code)
    assert desk.another().approve(code) == Verdict(ALREADY, ABOUT)
    assert desk.gateway.take(DIGEST) and not desk.gateway.take(DIGEST)


def test_gateways_that_wait_for_one_call_each_have_a_code_that_works_and_one_passes(desk: Desk) -> None:
    first, second = desk.gateway, desk.another()
    codes = [first.request(DIGEST, ABOUT), second.request(DIGEST, ABOUT)]
    assert codes[0] != codes[1]
    assert first.request(DIGEST, ABOUT) == codes[0]
    assert desk.approve(codes[0]) == DONE and desk.approve(codes[1]) == ALREADY
    assert [second.take(DIGEST), first.take(DIGEST), second.take(DIGEST)] == [True, False, False]


def test_codes_of_one_call_are_bounded(desk: Desk) -> None:
    codes = [desk.another().request(DIGEST, ABOUT) for _ in range(MOST_CODES + 3)]
    assert len(json.loads(desk.files()[0].read_text())["hashes"]) == MOST_CODES
    assert desk.approve(codes[0]) == UNKNOWN and desk.approve(codes[-1]) == DONE


@pytest.mark.parametrize("write", [str.lower, str.upper, lambda code: code.replace("-", ""), lambda code: f" {code}\n",
                                   lambda code: code[:2] + " " + code[2:]],
                         ids=["small", "large", "no dash", "spaces around", "a space in it"])
def test_a_code_may_be_typed_in_many_ways(desk: Desk, write: object) -> None:
    assert desk.approve(write(desk.ask())) == DONE  # type: ignore[operator]


@pytest.mark.parametrize("code", ["", "-", "ABCD", "ABCD-234", "ABCD-23456", "ABCD-2340", "ABCD-234O", "ßBCD-2345",
                                  "ABCD-234\0", "../../..", "\udc80" * 8, "٢٣٤٥٢٣٤٥", "ABCD-2345" * 1000], ids=ascii)
def test_what_is_no_code_finds_nothing(desk: Desk, code: str) -> None:
    desk.ask()
    assert plain_code(code) == ""
    assert desk.approve(code) == UNKNOWN


def test_codes_are_short_unambiguous_and_never_alike() -> None:
    codes = {new_code() for _ in range(2000)}
    assert len(codes) == 2000
    assert {len(code) for code in codes} == {9} and {code[4] for code in codes} == {"-"}
    assert set("".join(codes)) - {"-"} == set(ALPHABET)
    assert not set("0O1IL") & set(ALPHABET) and len(set(ALPHABET)) == len(ALPHABET)


def test_a_file_holds_no_code(desk: Desk) -> None:
    code = desk.ask()
    text = "".join(path.name + path.read_text() for path in desk.files())
    assert code not in text and code.replace("-", "") not in text


def test_no_more_than_the_newest_wait(desk: Desk) -> None:
    codes = []
    for number in range(MOST_PENDING + 5):
        desk.clock.now += 1
        codes.append(desk.ask(f"{number:064x}"))
    assert len(desk.files()) == MOST_PENDING
    assert [desk.approve(code) for code in codes[:6]] == [UNKNOWN] * 5 + [DONE]
    assert desk.approve(codes[-1]) == DONE


def test_no_flood_of_calls_takes_an_approval_away(desk: Desk) -> None:
    desk.approve(desk.ask())
    for number in range(MOST_PENDING + 5):
        desk.ask(f"{number:064x}")
    assert desk.gateway.take(DIGEST)


def test_what_is_out_of_time_is_removed_on_the_way(desk: Desk) -> None:
    desk.ask()
    desk.approve(desk.ask(OTHER))
    desk.clock.now += LIFE_SECS
    desk.ask("f" * 64)
    assert [path.stem for path in desk.files()] == ["f" * 64]


def test_long_texts_about_a_call_are_kept_in_part(desk: Desk) -> None:
    code = desk.gateway.request(DIGEST, {"arguments": "\udc80ä\0" * 100_000})
    assert desk.files()[0].stat().st_size < MOST_BYTES
    verdict = desk.another().approve(code)
    assert verdict.found == DONE and verdict.about["arguments"].startswith("\udc80ä\0")


@pytest.mark.parametrize("digest", ["", "../x", "a/b", "a.b", "ä", "a b", "."])
def test_a_digest_that_names_no_file_of_ours_is_refused(desk: Desk, digest: str) -> None:
    with pytest.raises(ValueError):
        desk.ask(digest)
    assert not desk.gateway.take(digest)


# What others may have done


@posix
def test_only_the_user_can_read_what_waits(desk: Desk) -> None:
    desk.ask()
    assert desk.files()[0].stat().st_mode & 0o777 == 0o600
    assert desk.files()[0].parent.stat().st_mode & 0o777 == 0o700


@posix
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_not_believed(desk: Desk, mode: int) -> None:
    code = desk.ask()
    desk.files()[0].chmod(mode)
    assert desk.approve(code) == UNKNOWN
    code = desk.ask()
    desk.approve(code)
    desk.files()[0].chmod(mode)
    assert not desk.gateway.take(DIGEST)


@posix
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_folder_that_others_can_write_is_not_believed(desk: Desk, mode: int) -> None:
    code = desk.ask()
    folder = desk.folder / "approvals"
    folder.chmod(mode)
    assert desk.approve(code) == UNKNOWN
    with pytest.raises(OSError, match="others"):
        desk.ask()
    folder.chmod(0o700)
    desk.approve(code)
    folder.chmod(mode)
    assert not desk.gateway.take(DIGEST)


@posix
def test_a_folder_of_somebody_else_is_not_believed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    code = desk.ask()
    desk.approve(code)
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert not desk.gateway.take(DIGEST)
    with pytest.raises(OSError):
        desk.ask()


@posix
def test_a_link_is_not_believed(desk: Desk, tmp_path: Path) -> None:
    desk.approve(desk.ask())
    (path,) = desk.files()
    path.rename(tmp_path / "kept")
    path.symlink_to(tmp_path / "kept")
    assert not desk.gateway.take(DIGEST)
    assert (tmp_path / "kept").exists()


@posix
def test_a_linked_folder_is_not_believed(desk: Desk, tmp_path: Path) -> None:
    desk.folder.mkdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (desk.folder / "approvals").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        desk.ask()
    assert list((tmp_path / "elsewhere").iterdir()) == []


@posix
def test_a_fifo_in_the_place_of_a_file_stops_nobody(desk: Desk) -> None:
    desk.ask()
    (path,) = desk.files()
    path.unlink()
    os.mkfifo(path, 0o600)
    assert desk.approve("ABCD-2345") == UNKNOWN
    assert desk.approve(desk.ask()) == DONE


@pytest.mark.parametrize("text", [
    b"", b"{", b"[]", b"null", b"\xff", b"{}", b"[" * 5000, b'{"format": 2, "hashes": [], "about": {}}',
    b'{"format": 1, "hashes": null, "about": {}}', b'{"format": 1, "hashes": [], "about": []}',
    b'{"format": 1, "hashes": [5], "about": {}}', b'{"format": 1, "hashes": [], "about": {"tool": 5}}',
    b'{"format": 1, "hashes": ["\\udc80"], "about": 5}', b" " * (MOST_BYTES + 1),
], ids=lambda text: str(text[:44]))
def test_a_file_that_is_nonsense_is_as_good_as_none(desk: Desk, text: bytes) -> None:
    code = desk.ask()
    (path,) = desk.files()
    path.write_bytes(text)
    os.utime(path, (START, START))
    assert desk.approve(code) == UNKNOWN
    path.rename(path.with_suffix(".approved"))
    assert not desk.gateway.take(DIGEST)
    assert desk.approve(desk.ask()) == DONE
    assert desk.gateway.take(DIGEST)


def test_a_file_broken_anywhere_never_raises_and_is_never_approved_by_another_code(desk: Desk) -> None:
    code = desk.ask()
    (path,) = desk.files()
    whole = path.read_bytes()
    for seed in range(300):
        dice = random.Random(seed)
        at = dice.randrange(len(whole))
        path.write_bytes(
            whole[:at] + bytes([dice.randrange(256)]) * dice.randrange(3) + whole[at + dice.randrange(3) :])
        os.utime(path, (START, START))
        assert desk.approve("ABCD-2345") == UNKNOWN, seed
        assert desk.approve(code) in (UNKNOWN, DONE), seed
        path.with_suffix(".approved").unlink(missing_ok=True)


def test_a_torn_write_leaves_nothing_that_counts(desk: Desk) -> None:
    code = desk.ask()
    (path,) = desk.files()
    path.rename(f"{path}.77.part")
    assert desk.approve(code) == UNKNOWN and not desk.gateway.take(DIGEST)


def test_an_approval_moved_to_another_call_does_not_carry_its_code_along(desk: Desk) -> None:
    code = desk.ask()
    (path,) = desk.files()
    path.rename(path.with_name(f"{OTHER}.pending"))
    assert desk.approve(code) == UNKNOWN


def test_foreign_files_are_left_alone(desk: Desk) -> None:
    desk.ask()
    notes = desk.folder / "approvals" / "notes.txt"
    notes.write_text("mine")
    os.utime(notes, (0, 0))
    desk.clock.now += LIFE_SECS
    desk.ask(OTHER)
    assert notes.read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    approvals = Approvals(str(tmp_path / "file"))
    with pytest.raises(OSError):
        approvals.request(DIGEST, ABOUT)
    assert not approvals.take(DIGEST)
    assert approvals.approve("ABCD-2345") == Verdict(UNKNOWN)


def test_a_folder_that_was_removed_is_made_again(desk: Desk) -> None:
    code = desk.ask()
    for path in desk.files():
        path.unlink()
    (desk.folder / "approvals").rmdir()
    assert desk.approve(code) == UNKNOWN
    assert desk.approve(desk.ask()) == DONE


RACER = """
import sys
from shack_gateway.store.approvals import Approvals
gateway = Approvals(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(sum(gateway.take(f"{number:064x}") for number in range(40)), flush=True)
"""


def test_of_several_gateways_that_take_at_once_one_alone_has_each_approval(tmp_path: Path) -> None:
    gateway = Approvals(str(tmp_path))
    for number in range(40):
        assert gateway.approve(gateway.request(f"{number:064x}", ABOUT)).found == DONE
    racers = [subprocess.Popen([sys.executable, "-c", RACER, str(tmp_path)], stdin=subprocess.PIPE, text=True,
                               stdout=subprocess.PIPE, cwd=ROOT) for _ in range(3)]
    try:
        for racer in racers:
            assert racer.stdout is not None and racer.stdout.readline() == "ready\n"
        taken = 0
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        for racer in racers:
            taken += int(racer.communicate(timeout=60)[0])
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
    assert taken == 40
