"""Whoever changes the journal is seen; a gateway that was killed, and one that still writes, are not blamed."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from kit.host import ROOT
from kit.journal import Desk, files, rows
from shack_gateway.store.journal_file import HEADER, Bounds, header
from shack_gateway.store.journal_reading import ENDED, OPEN, TORN, Verdict, _Hashes, every, latest, verify

TESTS = Path(__file__).resolve().parents[1]


def said(folder: Path) -> list[str]:
    return [f"{fault.file} {fault.row} {fault.what}" for v in verify(str(folder / "journal")) for fault in v.faults]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in files(folder)}


def alone(folder: Path) -> Verdict:
    (verdict,) = verify(str(folder / "journal"))
    return verdict


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs, the first of them in several files."""
    folder = tmp_path_factory.mktemp("kept")
    for number, count in enumerate((25, 6, 9)):
        desk = Desk(folder, Bounds(3000, 1 << 20, 30), session=f"run {number}",
                    clock=lambda number=number: 1.79e9 + number)
        desk.journal.note("start", {"version": "1"})
        desk.calls(count, text=f"call of {number}")
        desk.close()
    assert said(folder) == [] and len(files(folder)) >= 5
    return folder


def test_an_unchanged_journal_has_no_fault(kept: Path) -> None:
    verdicts = verify(str(kept / "journal"))
    assert {v.end for v in verdicts} == {ENDED} and not any(v.faults for v in verdicts)
    assert sum(v.rows for v in verdicts) == len(rows(kept))


def test_where_there_is_no_folder_there_is_nothing_to_judge(tmp_path: Path) -> None:
    assert verify(str(tmp_path / "none")) == [] and list(every(str(tmp_path / "none"))) == []


# --- whoever changes anything ----------------------------------------------------------------------------------------


class Hand:
    """Somebody at the files of a journal: changes one of them so that it is another."""

    def __init__(self, random: Random, paths: list[Path]) -> None:
        self.random, self.paths = random, paths
        self.path = random.choice(paths)
        self.head, *self.lines = self.path.read_bytes().splitlines(keepends=True)
        self.at = random.randrange(len(self.lines))

    def write(self, lines: list[bytes], head: bytes | None = None) -> None:
        self.path.write_bytes((self.head if head is None else head) + b"".join(lines))

    def flip_a_bit(self) -> None:
        data = bytearray(self.path.read_bytes())
        at = self.random.randrange(len(data))
        data[at] ^= 1 << self.random.randrange(8)
        self.path.write_bytes(data)

    def edit_a_row(self) -> None:
        line = self.lines[self.at]
        at = self.random.randrange(len(line) - 1)
        new = self.random.choice([b"0", b"", b"x", b" ", b'"', b"\x00", b"\n", "é".encode()])
        edited = line[:at] + new + line[at + 1 :]
        self.write([*self.lines[: self.at], edited if edited != line else b"{}\n", *self.lines[self.at + 1 :]])

    def drop_rows(self) -> None:
        self.write([*self.lines[: self.at], *self.lines[self.at + self.random.randrange(1, 4) :]])

    def drop_the_end(self) -> None:
        self.write(self.lines[: self.at])

    def put_a_row_elsewhere(self) -> None:
        rest = [*self.lines[: self.at], *self.lines[self.at + 1 :]]
        to = self.random.choice([place for place in range(len(rest) + 1) if place != self.at])
        self.write([*rest[:to], self.lines[self.at], *rest[to:]])

    def put_a_row_twice(self) -> None:
        to = self.random.randrange(len(self.lines) + 1)
        self.write([*self.lines[:to], self.lines[self.at], *self.lines[to:]])

    def cut(self) -> None:
        data = self.path.read_bytes()
        self.path.write_bytes(data[: self.random.randrange(30, len(data))])

    def add_garbage(self) -> None:
        garbage = self.random.choice([b"\n", b"{}\n", b"nonsense\n", b'{"n":1,"hash":"x"}\n', b"\xff\x00\n"])
        self.write([*self.lines[: self.at], garbage, *self.lines[self.at :]])

    def add_to_the_end(self) -> None:
        self.write([*self.lines, self.random.choice([b"x", b'{"n":', self.lines[-1], b"\n"])])

    def take_the_row_of_another_file(self) -> None:
        other = self.random.choice([path for path in self.paths if path != self.path])
        theirs = other.read_bytes().splitlines(keepends=True)[1:]
        row = theirs[self.at % len(theirs)]
        self.write([*self.lines[: self.at], row, *self.lines[self.at + 1 :]])

    def write_another_first_line(self) -> None:
        rows, last = self.random.choice([(0, "0" * 64), (1, "1" * 64), (len(self.lines) + 1, "a" * 64)])
        line = self.random.choice([header(rows, last), b"{}\n", self.lines[0]])
        self.write(self.lines, b"{}\n" if (rows, line[:1]) == (0, b"{") and line == header(0, "0" * 64) else line)


class OldHand(Hand):
    """Somebody who knows how files are written, at those that later files name."""

    def __init__(self, random: Random, paths: list[Path]) -> None:
        super().__init__(random, paths[:-1])

    def shorten_it_and_count_anew(self) -> None:
        left = self.lines[: self.at]
        last = left[-1][-67:-3].decode() if left else "0" * 64
        self.write(left, header(len(left), last))

    def write_it_anew_with_sound_hashes(self) -> None:
        """What only the files behind it can tell."""
        texts = [line[:-76] for line in self.lines]
        texts[self.at] = texts[self.at].replace(b'"at":"2', b'"at":"3')
        lines, last = [], "0" * 64
        for text in texts:
            last = sha256(last.encode() + text).hexdigest()
            lines.append(text + f',"hash":"{last}"}}\n'.encode())
        self.write(lines, header(len(lines), last))

    def remove_it(self) -> None:
        self.path.unlink()

    def empty_it(self) -> None:
        self.path.write_bytes(self.random.choice([b"", header(0, "0" * 64), header(0, "0" * 64)[:20]]))

    def rename_it(self) -> None:
        self.path.rename(self.path.with_name("20260101T000000000Z-1.jsonl"))

    def copy_it(self) -> None:
        shutil.copy(self.path, self.path.with_name("20260101T000000000Z-1.jsonl"))

    def swap_it(self) -> None:
        other = self.random.choice([path for path in self.paths if path != self.path])
        ours, theirs = self.path.read_bytes(), other.read_bytes()
        self.path.write_bytes(theirs)
        other.write_bytes(ours)


def deeds(kind: type[Hand]) -> list[str]:
    return [name for name in vars(kind) if not name.startswith("_") and name != "write"]


@pytest.mark.parametrize("kind, deed", [(kind, deed) for kind in (Hand, OldHand) for deed in deeds(kind)],
                         ids=lambda value: value if isinstance(value, str) else "")
def test_every_change_shows(kept: Path, tmp_path: Path, kind: type[Hand], deed: str) -> None:
    for seed in range(25):
        folder = tmp_path / str(seed)
        shutil.copytree(kept, folder)
        before = contents(folder)
        hand = kind(Random(f"{deed} {seed}"), files(folder))
        getattr(hand, deed)()
        assert contents(folder) != before, "the hand changed nothing"
        assert said(folder), f"{deed} with seed {seed} at row {hand.at + 1} of {hand.path.name} does not show"


NAMED: list[tuple[str, Callable[[list[bytes]], list[bytes]], str]] = [
    ("a changed row", lambda r: [*r[:3], r[3].replace(b'"outcome":"ok"', b'"outcome":"no"'), *r[4:]], "4 was changed"),
    ("a missing row", lambda r: [*r[:3], *r[4:]], "4 is missing"),
    ("missing rows", lambda r: [*r[:3], *r[6:]], "4 and all up to row 6 are missing"),
    ("a row that stands twice", lambda r: [*r[:4], r[2], *r[4:]], "3 stands behind row 4, where it does not belong"),
    ("no row", lambda r: [*r[:3], b"hello\n", *r[4:]], "4 was changed: it is no row"),
    ("no end", lambda r: r[:-2], "0 its first line counts 12 rows, and there are 10"),
    ("more behind the end", lambda r: [*r, b"hello\n"], "13 stands behind the end of the run"),
]


@pytest.mark.parametrize("change, words", [each[1:] for each in NAMED], ids=[each[0] for each in NAMED])
def test_the_row_is_named_and_what_is_the_matter_with_it(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], words: str
) -> None:
    desk = Desk(tmp_path)
    desk.calls(10)
    desk.close()
    (path,) = files(tmp_path)
    head, *lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(head + b"".join(change(lines)))
    assert said(tmp_path)[0] == f"{path.name} {words}" or said(tmp_path)[0].startswith(f"{path.name} {words}")


def test_one_changed_row_is_one_fault(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.calls(10)
    desk.close()
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"n":5,"at":"2', b'"n":5,"at":"3'))
    assert len(said(tmp_path)) == 1


def test_a_link_a_folder_and_a_foreign_thing_are_not_followed(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.calls(1)
    desk.close()
    (path,) = files(tmp_path)
    (path.parent / "20200101T000000000Z-1.jsonl").symlink_to(path)
    (path.parent / "20200101T000000000Z-2.jsonl").mkdir()
    os.mkfifo(path.parent / "20200101T000000000Z-3.jsonl")
    assert [line.partition(" ")[2][:16] for line in said(tmp_path)] == ["0 cannot be read"] * 3
    assert len(list(every(str(path.parent)))) == 3


# --- no fault of anybody ---------------------------------------------------------------------------------------------


def test_what_a_kill_leaves_behind_is_no_fault_wherever_it_cut(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.calls(1)
    desk.calls(3)                                   # not counted yet
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    counted = len(b"".join(whole.splitlines(keepends=True)[:3]))
    for end in [*range(counted, len(whole), 3), len(whole)]:
        path.write_bytes(whole[:end])
        verdict = alone(tmp_path)
        assert not verdict.faults, (end, verdict)
        assert verdict.end == (OPEN if whole[:end].endswith(b"\n") else TORN)
    path.write_bytes(whole[:HEADER])
    assert alone(tmp_path).faults, "its first line counts a row"


def test_a_file_without_its_whole_first_line_was_cut(tmp_path: Path) -> None:
    """None has its name before: also the newest, which no other file speaks of."""
    desk = Desk(tmp_path)
    desk.calls(3)
    desk.close()
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    for head in (whole, header(0, "0" * 64)):
        for end in range(HEADER):
            path.write_bytes(head[:end])
            assert [fault.what for fault in alone(tmp_path).faults] == ["is cut off in its first line"]
    path.write_bytes(header(0, "0" * 64))
    assert not alone(tmp_path).faults


def test_a_file_that_is_written_to_is_no_fault(tmp_path: Path) -> None:
    desk, other = Desk(tmp_path), Desk(tmp_path, clock=lambda: 1.7e9)
    desk.calls(3)
    other.calls(70)
    assert said(tmp_path) == []
    desk.calls(70)
    assert said(tmp_path) == [] and {v.end for v in verify(str(tmp_path / "journal"))} == {OPEN}


WRITER = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
from pathlib import Path
from kit.journal import Desk
from shack_gateway.store.journal_file import Bounds
import time
desk = Desk(Path(sys.argv[1]), Bounds(65536, 1 << 20, 30))
desk.loop.time = time.monotonic
number = 0
while True:
    desk.calls(1 + number % 7, turns=False, text="x" * (number * 37 % 900))
    desk.loop.ring()
    number += 1 + number % 7
    print(number, flush=True)
"""


def test_a_writer_that_is_killed_at_any_moment_leaves_whole_rows_but_for_the_last(tmp_path: Path) -> None:
    random, torn = Random(11), 0
    for run in range(8):
        folder = tmp_path / str(run)
        folder.mkdir()
        script = WRITER.format(tests=str(TESTS), root=str(ROOT))
        child = subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        for _ in range(random.randrange(1, 150)):
            written = int(child.stdout.readline())
        child.kill()
        child.wait()
        child.stdout.close()
        verdicts = verify(str(folder / "journal"))
        assert said(folder) == [] and verdicts[-1].end in (OPEN, TORN)
        torn += verdicts[-1].end == TORN
        assert len(rows(folder, "call")) >= written, "what was written before the kill is there"
        after = Desk(folder)                        # the next run names what it found
        after.calls(1)
        after.close()
        assert said(folder) == []


LIMITED = """
import resource, sys
sys.path[:0] = [{tests!r}, {root!r}]
from pathlib import Path
from kit.journal import Desk
desk = Desk(Path(sys.argv[1]))
desk.calls(2)
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (2500, most))
desk.calls(50)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
desk.loop.now += 5
desk.calls(2)
desk.close()
print(len(desk.said), desk.said[0])
"""


def test_a_file_that_the_system_lets_grow_no_further_is_no_fault(tmp_path: Path) -> None:
    script = LIMITED.format(tests=str(TESTS), root=str(ROOT))
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("1 it cannot be written"), done
    verdict = alone(tmp_path)
    assert not verdict.faults and verdict.end == ENDED
    assert len(rows(tmp_path, "call")) + verdict.dropped == 54 and verdict.dropped > 30


# --- reading ---------------------------------------------------------------------------------------------------------


def test_the_last_rows_of_all_files_come_in_the_order_of_time(tmp_path: Path) -> None:
    now = [1.79e9]

    def clock() -> float:
        now[0] += 1
        return now[0]

    desks = [Desk(tmp_path, Bounds(4000, 1 << 20, 30), session=str(number), clock=clock) for number in range(3)]
    for number in range(60):
        desks[number * 7 % 3].calls(1, number=number)
    found = list(latest(str(tmp_path / "journal"), lambda row: row["event"] == "call", 25))
    assert [row["arguments"] for row in found] == [f'{{"number":{number}}}' for number in range(35, 60)]
    assert len({row["session"] for row in found}) == 3
    assert list(latest(str(tmp_path / "journal"), lambda row: True, 0)) == []
    since = found[-4]["at"]
    assert [row for row in latest(str(tmp_path / "journal"), lambda row: True, 99, since) if row["at"] < since] == []


@pytest.mark.parametrize("garbage", [
    b"", b"{", b'{"n":99,"at":"x"', b"\x00" * 70_000, b"[1]\n7\nnull\n", b'{"at":1,"event":2}\n', b"\xff\xfe\n" * 9,
    b"[" * 100_000 + b"\n", b"x" * 5_000_000,
], ids=["nothing", "a bracket", "half a row", "zeros", "JSON that is no row", "wrong types", "no text", "deep", "long"])
def test_rows_are_read_whatever_stands_between_them(tmp_path: Path, garbage: bytes) -> None:
    desk = Desk(tmp_path)
    desk.calls(3)
    (path,) = files(tmp_path)
    with path.open("ab") as file:
        file.write(garbage)
    assert [row["event"] for row in latest(str(path.parent), lambda row: True, 9)] == ["open", "call", "call", "call"]
    assert len(list(every(str(path.parent)))) == 4
    verify(str(path.parent))


@pytest.mark.parametrize("seed", range(30))
def test_hashes_are_kept_under_the_numbers_they_came_with_the_first_one_counts(seed: int) -> None:
    dice = Random(seed)
    kept, plain = _Hashes(), dict[int, str]()
    number = 0
    for _ in range(60):
        number = number + 1 if dice.random() < 0.8 else dice.choice([1, 2, 7, number, number + 3, 10**24])
        hash = f"{dice.getrandbits(256):064x}"
        kept.add(number, hash)
        plain.setdefault(number, hash)
    for asked in (*plain, -1, 0, 3, 50, 10**25):
        assert kept.get(asked) == plain.get(asked)
    assert kept.last == max(plain) and _Hashes().last == 0
