"""Shown names: what hosts take, what stays callable, what may have been meant."""
from __future__ import annotations

import hashlib
import random

import pytest

from shack_gateway.catalog.names import assign, fits, hint, joined, nearest
from shack_gateway.edits import edits


def hashed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def shown(*pairs: tuple[str, str], limit: int = 64) -> list[str]:
    return assign(pairs, limit).shown


def test_a_name_that_hosts_take_is_shown_verbatim() -> None:
    assert shown(("fs", "read"), ("fs", "read.Me-2"), ("A", "b__c")) == ["fs__read", "fs__read.Me-2", "A__b__c"]


@pytest.mark.parametrize("server, target, expected", [
    ("fs", "read file", "fs__read_file_" + hashed("fs__read file")),
    ("fs", "größe", "fs__gr__e_" + hashed("fs__größe")),
    ("my server", "x", "my_server__x_" + hashed("my server__x")),
    ("fs", "a" * 80, "fs__" + "a" * 51 + "_" + hashed("fs__" + "a" * 80)),
    ("shack_x", "t", "x_shack_x__t_" + hashed("shack_x__t")),
    ("shack", "t", "x_shack__t_" + hashed("shack__t")),
    ("fs", "a\nb\u202e", "fs__a_b__" + hashed("fs__a\nb\u202e")),
], ids=["space", "umlauts", "server with a space", "long", "reserved", "the server shack", "control characters"])
def test_another_name_is_shown_cleaned_and_with_a_hash(server: str, target: str, expected: str) -> None:
    naming = assign([(server, target)])
    assert naming.shown == [expected]
    assert fits(expected)
    assert naming.lookup == {joined(server, target): 0, expected: 0}


def test_a_lone_surrogate_in_a_name_is_survived() -> None:
    assert fits(shown(("fs", "\ud83d"))[0])


def test_the_limit_is_kept_and_a_limit_too_small_for_a_hash_is_not_taken_literally() -> None:
    assert [len(name) for name in shown(("fs", "x" * 200), limit=40)] == [40]
    assert shown(("fs", "read"), limit=3) == ["fs__read"]


def test_names_that_clean_to_one_are_shown_as_two() -> None:
    naming = assign([("fs", "a b"), ("fs", "a/b"), ("fs", "a_b")])
    assert len(set(naming.shown)) == 3
    assert naming.shown[2] == "fs__a_b", "the verbatim name keeps its place"
    assert [naming.lookup[name] for name in naming.shown] == [0, 1, 2]
    assert [naming.lookup[f"fs__{target}"] for target in ("a b", "a/b", "a_b")] == [0, 1, 2]


def test_two_servers_with_one_verbatim_name_keep_the_first_and_show_the_other_under_its_own() -> None:
    naming = assign([("a", "b__c"), ("a__b", "c")])
    assert naming.shown == ["a__b__c", "a__b__c_" + hashed("a__b__c")]
    assert naming.lookup["a__b__c"] == 0 and naming.lookup[naming.shown[1]] == 1
    assert len(naming.notes) == 1 and "`a__b`" in naming.notes[0] and naming.shown[1] in naming.notes[0]
    assert assign([("a__b", "c"), ("a", "b__c")]).lookup["a__b__c"] == 0, "the first in config order, whoever that is"


def test_a_verbatim_name_that_looks_like_anothers_hash_keeps_what_is_its_own() -> None:
    taken = "a b_" + hashed("s__a b")
    crafted = assign([("s", "a b"), ("s", taken.replace(" ", "_"))])
    assert crafted.shown[1] == "s__" + taken.replace(" ", "_")
    assert crafted.shown[0] != crafted.shown[1] and fits(crafted.shown[0])
    assert [crafted.lookup[name] for name in crafted.shown] == [0, 1]


def test_two_ambiguous_names_that_both_need_a_hash_get_different_ones() -> None:
    naming = assign([("a", "b c__d"), ("a__b c", "d")])
    assert len(set(naming.shown)) == 2 and all(map(fits, naming.shown))
    assert [naming.lookup[name] for name in naming.shown] == [0, 1]


# --- what may have been meant ----------------------------------------------------------------------------------------

KNOWN = [
    "fs__read_file", "fs__write_file", "fs__list_directory", "github__create_issue", "github__list_issues",
    "clock__now",
]


@pytest.mark.parametrize("wrong, meant", [
    ("fs__raed_file", "fs__read_file"),
    ("fs__readfile", "fs__read_file"),
    ("read_file", "fs__read_file"),
    ("fs.read_file", "fs__read_file"),
    ("FS__READ_FILE", "fs__read_file"),
    ("filesystem__read_file", "fs__read_file"),
    ("mcp__shack__fs__read_file", "fs__read_file"),
    ("create an issue on github", "github__create_issue"),
    ("createIssue", "github__create_issue"),
    ("now", "clock__now"),
])
def test_the_nearest_name_is_the_one_that_was_meant(wrong: str, meant: str) -> None:
    assert nearest(wrong, KNOWN)[:1] == [meant]


@pytest.mark.parametrize("wrong", ["", "zzzzzz", "漢字", "?", "_" * 300])
def test_nothing_is_suggested_where_nothing_is_near(wrong: str) -> None:
    assert nearest(wrong, KNOWN) == []
    assert hint(wrong, KNOWN) == ""


def test_a_hint_reads_as_a_question() -> None:
    assert hint("clock__mow", ["clock__now"]) == "; did you mean `clock__now`?"
    assert hint("ab_1", ["ab_2", "ab_3"]) == "; did you mean `ab_2` or `ab_3`?"
    assert hint("ab_1", ["ab_2", "ab_3", "ab_4", "ab_5"]) == "; did you mean `ab_2`, `ab_3` or `ab_4`?"


def test_the_nearest_of_ten_thousand_names_is_found() -> None:
    names = [f"server{n % 40}__{verb}_{noun}_{n}" for n, (verb, noun) in enumerate(
        (verb, noun) for verb in ("get", "list", "create", "delete") for noun in map(str, range(2500)))]
    names.insert(7000, "calendar__book_meeting_room")
    assert nearest("calendar__book_meting_rom", names)[:1] == ["calendar__book_meeting_room"]


def test_equally_near_names_come_in_the_order_of_the_alphabet() -> None:
    assert nearest("get_x", ["get_c", "get_a", "get_d", "get_b"]) == ["get_a", "get_b", "get_c"]


def table_distance(a: str, b: str) -> int:
    """The textbook's table, to check the bits against."""
    rows = [[max(i, j) if not i * j else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
    return rows[-1][-1]


def test_edits_are_counted_as_the_table_counts_them() -> None:
    random_ = random.Random(20)
    for round_ in range(1000):
        a, b = ("".join(random_.choices("abc", k=random_.randrange(9))) for _ in range(2))
        assert edits(a, b) == table_distance(a, b), (round_, a, b)
