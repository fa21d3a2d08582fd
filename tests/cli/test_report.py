"""Findings look the same to everybody, in colour only to those who want it."""
from __future__ import annotations

import io
import sys

import pytest

from shack_gateway.cli.report import Screen, as_help, as_object, counted, show_problems, table, tally, wants_colour
from shack_gateway.errors import Problem

ERROR = Problem("error", "`a` is wrong", "c.json:3", "Write `b`. Then check.")
WARNING = Problem("warning", "`c` is odd", "c.json:4")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(*problems: Problem, stream: io.StringIO | None = None, **environ: str) -> str:
    stream = stream or io.StringIO()
    show_problems(problems, Screen(stream, environ))
    return stream.getvalue()


def test_a_problem_has_its_place_and_its_mend() -> None:
    assert shown(ERROR, WARNING, Problem("error", "no place")) == (
        "error: `a` is wrong\n  --> c.json:3\n  help: write `b`. Then check\n\n"
        "warning: `c` is odd\n  --> c.json:4\n\n"
        "error: no place\n\n")


def test_a_terminal_gets_colour_and_otherwise_the_same_text() -> None:
    coloured = shown(ERROR, stream=Terminal(), TERM="xterm")
    assert "\x1b[31;1merror\x1b[0m" in coloured
    for code in ("\x1b[31;1m", "\x1b[34m", "\x1b[0m"):
        coloured = coloured.replace(code, "")
    assert coloured == shown(ERROR)


@pytest.mark.parametrize("stream, environ, wanted", [
    (io.StringIO(), {"TERM": "xterm"}, False),
    (Terminal(), {"TERM": "xterm"}, True),
    (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
    (Terminal(), {"TERM": "xterm", "NO_COLOR": ""}, True),
    (Terminal(), {"TERM": "dumb"}, False),
], ids=["pipe", "terminal", "NO_COLOR", "empty NO_COLOR", "dumb terminal"])
def test_colour_is_for_terminals_that_want_it(stream: io.StringIO, environ: dict[str, str], wanted: bool) -> None:
    assert wants_colour(stream, environ) is wanted


def test_the_old_console_of_windows_gets_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert not wants_colour(Terminal(), {})
    assert wants_colour(Terminal(), {"WT_SESSION": "x"})
    assert wants_colour(Terminal(), {"TERM": "xterm"})


def test_what_a_stream_cannot_write_is_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Screen(stream, {}).say("größe \udcff 🙂")
    stream.flush()
    assert raw.getvalue().replace(b"\r\n", b"\n") == b"gr\\xf6\\xdfe \\udcff \\U0001f642\n"


@pytest.mark.parametrize("problems, wanted", [
    ([], "0 errors, 0 warnings."), ([ERROR], "1 error, 0 warnings."), ([WARNING, ERROR, ERROR], "2 errors, 1 warning."),
])
def test_problems_are_counted(problems: list[Problem], wanted: str) -> None:
    assert tally(problems) == wanted


def test_words_agree_with_their_number() -> None:
    assert [counted(n, "server") for n in (0, 1, 2)] == ["0 servers", "1 server", "2 servers"]


def test_a_sentence_becomes_a_help_line() -> None:
    assert as_help("Export X, or leave it.") == "export X, or leave it"
    assert as_help("`~` is not expanded.") == "`~` is not expanded"


@pytest.mark.parametrize("where, file, line", [
    ("c.json:3", "c.json", 3), ("C:/x/c.json:3", "C:/x/c.json", 3), ("c.json", "c.json", None), ("", None, None),
    ("a:b", "a:b", None),
])
def test_a_problem_for_programs_has_file_and_line_apart(where: str, file: str | None, line: int | None) -> None:
    assert as_object(Problem("error", "x", where)) == {
        "severity": "error", "what": "x", "file": file, "line": line, "fix": None}


def test_a_problem_for_programs_has_its_mend() -> None:
    assert as_object(ERROR)["fix"] == "Write `b`. Then check."


def test_columns_are_as_wide_as_they_must_be() -> None:
    lines = table([("name", "n"), ("a", "10"), ("longer", "5")], numbers=(1,))
    assert lines == ["name     n", "a       10", "longer   5"]


def test_what_stands_in_a_table_cannot_break_it() -> None:
    [line] = table([("a\nb\x1b[31m\tc" + "x" * 500, "d")])
    assert "\n" not in line and "\x1b" not in line and "\t" not in line
    assert len(line) < 80
