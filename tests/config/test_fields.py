"""Readers take what they should, say what is wrong where it is wrong, and never raise."""
from __future__ import annotations

import math
import random
from typing import Any

import pytest

from shack_gateway.config.fields import (
    REQUIRED,
    Field,
    Findings,
    Reader,
    Value,
    anything,
    choice,
    flag,
    mapping,
    nearest,
    number,
    read_object,
    section,
    show,
    strings,
    text,
)
from shack_gateway.config.keys import command, expose_mode, patience, protocol, variables
from shack_gateway.edits import edits


def read(reader: Reader, data: Any) -> tuple[Any, list[str]]:
    """What a reader makes of `data` under the key `k`, and what it says."""
    value = Value(data, ("k",))
    return reader(value), [f"{finding.severity}: {finding.what}" for finding in value.findings.found]


TAKEN = [
    ("text", text, "a b", "a b"),
    ("empty text", text, "", ""),
    ("text beyond ASCII", text, "größe 🙂", "größe 🙂"),
    ("true", flag, True, True),
    ("integer", number(), 5, 5),
    ("fraction", number(), 0.5, 0.5),
    ("the least itself", number(1, 9), 1, 1),
    ("the most itself", number(1, 9), 9, 9),
    ("whole from a fraction without one", number(whole=True), 7.0, 7),
    ("strings", strings, ["a", ""], ("a", "")),
    ("no strings", strings, [], ()),
    ("mapping", mapping(number()), {"a": 1, "b": 2}, {"a": 1, "b": 2}),
    ("remark in a mapping", mapping(text), {"// note": 5, "a": "x"}, {"a": "x"}),
    ("choice", choice("a", "b"), "b", "b"),
    ("anything", anything, {"x": [None]}, {"x": [None]}),
    ("variables", variables, {"_A": "1", "B": ""}, {"_A": "1", "B": ""}),
    ("mode", expose_mode, "full", "full"),
    ("era", protocol, "stateless", "stateless"),
    ("older word for handshake", protocol, "legacy", "handshake"),
    ("older word for stateless", protocol, "modern", "stateless"),
]


@pytest.mark.parametrize("reader, data, wanted", [row[1:] for row in TAKEN], ids=[row[0] for row in TAKEN])
def test_a_reader_takes_what_is_right_without_a_word(reader: Reader, data: Any, wanted: Any) -> None:
    got, said = read(reader, data)
    assert (got, type(got), said) == (wanted, type(wanted), [])


REFUSED = [
    ("number for a text", text, 5, "`k` must be a string, not a number"),
    ("list for a text", text, ["a"], "`k` must be a string, not a list"),
    ("NUL in a text", text, "a\0b", "`k` holds a character"),
    ("NUL beyond ASCII", text, "é\0", "`k` holds a character"),
    ("half a surrogate pair in a text", text, "\ud800", "`k` holds a character"),
    ("quoted flag", flag, "true", "`k` must be `true` or `false`, not a string"),
    ("one for a flag", flag, 1, "`k` must be `true` or `false`, not a number"),
    ("flag for a number", number(), True, "`k` must be a number, not true"),
    ("quoted number", number(), "5", "`k` must be a number, not a string"),
    ("infinite", number(), math.inf, "`k` is not a usable number"),
    ("not a number", number(), math.nan, "`k` is not a usable number"),
    ("too small", number(1, 9), 0.5, "`k` is out of range"),
    ("too large", number(1, 9), 10**400, "`k` is out of range"),
    ("fraction for a whole number", number(whole=True), 1.5, "`k` must be a whole number"),
    ("one string for a list", strings, "a b", "`k` must be a list of strings, not a string"),
    ("number in a list", strings, ["a", 5], "`k[1]` must be a string, not a number"),
    ("list in a list", strings, [["a"]], "`k[0]` must be a string, not a list"),
    ("list for a mapping", mapping(text), [], "`k` must be an object, not a list"),
    ("wrong value in a mapping", mapping(text), {"a": 1}, "`k.a` must be a string, not a number"),
    ("wrong word", choice("allow", "deny"), "denny", "`k` is `denny`, which is none of `allow`, `deny`"),
    ("word in other letters", choice("allow", "deny"), "Deny", "`k` is `Deny`, which is none of `allow`, `deny`"),
    ("number for a word", choice("allow", "deny"), 5, "`k` must be one of `allow`, `deny`, not a number"),
    ("name of a variable with =", variables, {"A=B": "x"}, "`k.A=B` is not a name"),
    ("empty name of a variable", variables, {"": "x"}, '`k[""]` is not a name'),
    ("number as a variable", variables, {"PORT": 80}, "`k.PORT` must be a string, not a number"),
    ("number for a mode", expose_mode, 5, "`k` must be one of `progressive`, `full`, not a number"),
    ("name of a variable with a NUL", variables, {"A\0": "x"}, '`k["A'),
    ("list for a command", command, ["npx", "-y"], "`k` must be a string, not a list"),
    ("empty command", command, "", "`k` is empty"),
    ("list for an era", protocol, [], "`k` must be one of"),
    ("wrong era", protocol, "2025", "`k` is `2025`, which is none of"),
]


@pytest.mark.parametrize("reader, data, wanted", [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_reader_says_what_is_wrong_and_where(reader: Reader, data: Any, wanted: str) -> None:
    _, said = read(reader, data)
    assert len(said) == 1
    assert said[0].startswith(f"error: {wanted}")


@pytest.mark.parametrize("reader, data, fix", [
    (text, 5, "Write it in quotes."), (text, True, "Write it in quotes."), (text, [], ""),
    (flag, "true", "Write it without quotes."), (flag, "yes", ""),
    (number(), "5", "Write it without quotes."), (number(), "0.5", "Write it without quotes."), (number(), "soon", ""),
    (number(), "5" * 50, ""), (number(1, 9), 10, "Write a number from 1 to 9."),
    (command, ["npx"], 'Write the program as `"command"` and the rest as `"args"`.'),
    (command, 5, "Write it in quotes."),
    (strings, "a", "Write `[\"...\"]`, also for a single one."), (strings, 5, ""),
    (choice("allow", "deny"), "alow", "Did you mean `allow`?"), (choice("allow", "deny"), "never", ""),
], ids=str)
def test_the_mend_fits_the_mistake(reader: Reader, data: Any, fix: str) -> None:
    value = Value(data, ("k",))
    reader(value)
    assert [finding.fix for finding in value.findings.found] == [fix]


@pytest.mark.parametrize("reader", [
    text, flag, number(), strings, mapping(text), variables, patience, section(Field("a", text, "", "", "")),
], ids=["text", "flag", "number", "strings", "mapping", "variables", "patience", "section"])
@pytest.mark.parametrize("data", [
    1234567, ["hunter2"], {"a": 1234567}, {"a": ["hunter2"]}, "hunter2", "hunter2\0", [1234567],
], ids=str)
def test_a_wrong_value_is_never_shown(reader: Reader, data: Any) -> None:
    """A secret in the wrong place must not end up in a log."""
    value = Value(data, ("k",))
    reader(value)
    shown = " ".join(finding.what + finding.fix for finding in value.findings.found)
    assert "hunter2" not in shown
    assert "1234567" not in shown


@pytest.mark.parametrize("given, wanted", [
    (30, 30.0), ("5", 5.0), (" 7 ", 7.0), (2.9, 2.0), (0, 1.0), (-3, 1.0), (0.2, 1.0), (-0.0, 1.0),
])
def test_the_request_timeout_is_read_as_it_always_was(given: Any, wanted: float) -> None:
    got, said = read(patience, given)
    assert (got, type(got), said) == (wanted, float, [])


@pytest.mark.parametrize("given", ["5.5", "soon", "", True, [5], math.inf, math.nan, "9" * 9999], ids=str)
def test_a_request_timeout_that_is_no_number_is_an_error(given: Any) -> None:
    _, said = read(patience, given)
    assert [word.startswith("error: `k` must be a number of seconds") for word in said] == [True]


def test_a_request_timeout_beyond_a_year_is_cut_with_a_word() -> None:
    got, said = read(patience, 10**400)
    assert got == 366 * 24 * 3600
    assert said == ["warning: `k` is longer than a year; a year is used"]


@pytest.mark.parametrize("given", ["Progressive", "Full", "ful", "everything", ""])
def test_a_misspelt_mode_falls_back_to_showing_less(given: str) -> None:
    got, said = read(expose_mode, given)
    assert got == "progressive"
    assert len(said) == 1 and said[0].startswith("warning: ")


FIELDS = (
    Field("command", text, REQUIRED, "The program.", "string"),
    Field("args", strings, (), "", "list of strings"),
    Field("env", mapping(text), {}, "", "object"),
    Field("inner", section(Field("deep", flag, True, "", "")), {"deep": True}, "", "object"),
)


def test_an_object_is_read_with_its_defaults() -> None:
    value = Value({"command": "x", "inner": {"deep": False}})
    assert read_object(value, FIELDS) == {"command": "x", "args": (), "env": {}, "inner": {"deep": False}}
    assert value.findings.found == []


def test_null_is_the_same_as_nothing() -> None:
    value = Value({"command": "x", "args": None, "inner": None})
    assert read_object(value, FIELDS)["args"] == ()
    assert value.findings.found == []


@pytest.mark.parametrize("data", [{}, {"command": None}])
def test_a_required_key_that_is_missing_is_an_error_at_its_object(data: Any) -> None:
    value = Value(data, ("servers", "x"))
    assert read_object(value, FIELDS)["command"] is None
    [finding] = value.findings.found
    assert finding.what == "`servers.x.command` is missing"
    assert finding.path == ("servers", "x")
    assert "command" in finding.fix


def test_a_wrong_value_reads_as_the_default() -> None:
    value = Value({"command": "x", "args": "oops", "env": {"A": 1}})
    assert read_object(value, FIELDS) == {"command": "x", "args": (), "env": {}, "inner": {"deep": True}}
    assert value.findings.errors == 2


@pytest.mark.parametrize("data", [None, 5, "x", [], True])
def test_what_is_no_object_is_an_error_and_reads_as_the_defaults(data: Any) -> None:
    value = Value(data, ("k",))
    assert read_object(value, FIELDS)["args"] == ()
    assert [finding.severity for finding in value.findings.found] == ["error"]


UNKNOWN = [
    ("one letter missing", "comand", "error", "command"),
    ("two letters changed", "commond", "error", "command"),
    ("neighbours swapped", "agrs", "error", "args"),
    ("one letter more", "envs", "error", "env"),
    ("capital letters", "ARGS", "error", "args"),
    ("another way of joining words", "com_mand", "error", "command"),
    ("something else", "colour", "warning", ""),
    ("two edits are most of a short word", "dev", "warning", ""),
    ("three edits", "cammondo", "warning", ""),
]


@pytest.mark.parametrize("key, severity, near", [row[1:] for row in UNKNOWN], ids=[row[0] for row in UNKNOWN])
def test_an_unknown_key_is_an_error_only_when_it_is_a_misspelling(key: str, severity: str, near: str) -> None:
    value = Value({"command": "x", key: 5}, ("s",))
    read_object(value, FIELDS)
    [finding] = value.findings.found
    assert (finding.severity, finding.path) == (severity, ("s", key))
    if near:
        assert finding.fix == f"Did you mean `{near}`?"


@pytest.mark.parametrize("key", ["$schema", "_comment", "_", "//", "// args"])
def test_a_remark_is_no_unknown_key(key: str) -> None:
    value = Value({"command": "x", key: "whatever"})
    read_object(value, FIELDS)
    assert value.findings.found == []


def test_a_key_that_somebody_else_reads_is_not_judged_and_one_with_a_hint_is_a_warning() -> None:
    value = Value({"command": "x", "type": 5, "timeout": 5, "typo": 1})
    read_object(value, FIELDS, {"type": "", "timeout": "Write it otherwise."})
    assert [(f.severity, f.path, f.fix) for f in value.findings.found] == [
        ("warning", ("timeout",), "Write it otherwise."), ("error", ("typo",), "Did you mean `type`?")]


@pytest.mark.parametrize("path, wanted", [
    ((), ""), (("a",), "a"), (("a", "b", 0, "c"), "a.b[0].c"), (("a", "b.c"), 'a["b.c"]'), (("", 1), '[""][1]'),
    (("a b",), '["a b"]'), (("a\nb`",), '["a\\nb\'"]'), (("\ud800",), '["\\ud800"]'),
    (("\x1b[31m",), '["\\u001b[31m"]'),
])
def test_a_path_is_shown_so_that_it_can_be_found_and_cannot_be_abused(path: tuple[Any, ...], wanted: str) -> None:
    assert show(path) == wanted


def test_a_long_key_is_clipped() -> None:
    assert len(show(("x" * 10_000,))) < 100


@pytest.mark.parametrize("a, b, count", [
    ("", "", 0), ("abc", "abc", 0), ("abc", "abd", 1), ("abc", "ab", 1), ("abc", "bac", 1), ("abc", "cba", 2),
    ("abcd", "badc", 2), ("abc", "xyz", 3), ("kitten", "sitting", 3), ("a", "abcd", 3), ("", "ab", 2),
])
def test_edits_are_counted(a: str, b: str, count: int) -> None:
    assert min(edits(a, b), 3) == count
    assert min(edits(b, a), 3) == count


def slow_edits(a: str, b: str) -> int:
    """The same by definition: the letters may be dropped, added, changed or swapped, each place once."""
    if not a or not b:
        return len(a) + len(b)
    best = min(slow_edits(a[1:], b) + 1, slow_edits(a, b[1:]) + 1, slow_edits(a[1:], b[1:]) + (a[0] != b[0]))
    if len(a) > 1 and len(b) > 1 and a[0] == b[1] and a[1] == b[0]:
        best = min(best, slow_edits(a[2:], b[2:]) + 1)
    return best


def test_edits_are_what_their_definition_says() -> None:
    rng = random.Random(1)
    for _ in range(400):
        a, b = ("".join(rng.choices("ab", k=rng.randrange(5))) + rng.choice(["", "c"]) for _ in range(2))
        assert edits(a, b) == slow_edits(a, b), (a, b)


def test_the_nearest_word_is_the_one_with_the_fewest_edits() -> None:
    assert nearest("alow", ["deny", "allow", "slow"]) == "allow"
    assert nearest("x", ["y"]) == ""
    assert nearest("ax", ["ab"]) == ""
    assert nearest("permisions", []) == ""


def test_findings_can_be_asked_by_place() -> None:
    findings = Findings()
    findings.add("down", ("servers", "a", "env", "X"), "a")
    findings.add("down", ("servers", "ab"), "b")
    findings.add("error", ("servers", "a"), "c")
    assert [finding.what for finding in findings.under(("servers", "a"), "down")] == ["a"]
