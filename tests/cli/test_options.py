"""Command lines are read as `argparse` read them for 0.1.0, and a wrong one says what is wrong."""
from __future__ import annotations

import pytest

from shack_gateway.cli.options import Arguments, Command, Option, UsageError, describe, parse, usage

SERVE = Command("serve", ".serve", "Serves.", (
    Option("config", "The file.", value="FILE", short="c", default="d.json"), Option("connect", "Starts."),
    Option("json", "Writes.", short="j")), example="shack-gateway serve")
HELP = Command("help", ".help", "Helps.", word="TOPIC")

READ = [
    ("nothing", "", ("d.json", set())),
    ("value behind a space", "--config a", ("a", set())),
    ("value behind =", "--config=a", ("a", set())),
    ("= in a value", "--config=a=b", ("a=b", set())),
    ("empty value", "--config=", ("", set())),
    ("short", "-c a", ("a", set())),
    ("short, joined", "-ca", ("a", set())),
    ("short, with =", "-c=a", ("a", set())),
    ("cut short", "--conf a", ("a", set())),
    ("cut to one clear letter", "--j", ("d.json", {"json"})),
    ("switches", "--json --connect", ("d.json", {"json", "connect"})),
    ("short switch", "-j", ("d.json", {"json"})),
    ("the last one counts", "-c a --config b", ("b", set())),
    ("a lone dash is a value", "--config -", ("-", set())),
    ("a value with a dash needs =", "--config=-x", ("-x", set())),
    ("help ends the reading", "--help --nonsense", ("d.json", {"help"})),
    ("short help", "-c a -h", ("a", {"help"})),
]


@pytest.mark.parametrize("line, wanted", [row[1:] for row in READ], ids=[row[0] for row in READ])
def test_a_command_line_is_read(line: str, wanted: tuple[str, set[str]]) -> None:
    assert parse(SERVE, line.split()) == Arguments({"config": wanted[0]}, frozenset(wanted[1]))


REFUSED = [
    ("unknown option", "--nope", "unknown option: --nope"),
    ("unknown short option", "-x", "unknown option: -x"),
    ("no value", "--config", "--config needs a value: --config FILE"),
    ("an option for a value", "--config --json", "--config needs a value"),
    ("a short option without value", "-c", "--config needs a value"),
    ("a switch with a value", "--json=yes", "--json takes no value"),
    ("a short switch with a value", "-jx", "--json takes no value"),
    ("cut too short", "--con a", "--con may be --config or --connect"),
    ("a word", "word", "unexpected argument: word"),
    ("a word behind --", "-- --json", "unexpected argument: --json"),
]


@pytest.mark.parametrize("line, words", [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_wrong_command_line_is_refused_with_the_reason(line: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(SERVE, line.split())
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("line, hint", [
    ("--conig x", "--config"), ("--Config=x", "--config"), ("--conect", "--connect"), ("--jsn", "--json"),
    ("--hlep", "--help"), ("-conifg=x --jsn", "--json"), ("-xonfig", "--config"), ("--nope", ""), ("-x", ""),
])
def test_an_unknown_option_comes_with_the_one_that_was_meant(line: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(SERVE, line.split())
    assert str(caught.value).partition(" (did")[2] == (f" you mean {hint}?)" if hint else "")


def test_a_command_may_take_one_word() -> None:
    assert parse(HELP, ["config"]).word == "config"
    assert parse(HELP, ["--", "-x"]).word == "-x"
    assert parse(HELP, ["-"]).word == "-"
    assert parse(HELP, []).word == ""
    with pytest.raises(UsageError, match="unexpected argument: b"):
        parse(HELP, ["a", "b"])


def test_a_whole_name_is_meant_before_the_beginning_of_another() -> None:
    command = Command("x", ".x", "X.", (Option("json-lines", ""), Option("json", "")))
    assert parse(command, ["--json"]).switches == {"json"}


def test_the_help_text_has_every_option_with_its_default() -> None:
    text = describe(SERVE)
    assert text.startswith("usage: shack-gateway serve [--config FILE] [--connect] [--json]\n\nServes.\n")
    assert "  -c, --config FILE  The file. Default: d.json.\n" in text
    assert "  -h, --help         Show this text.\n" in text
    assert "  -j, --json         Writes.\n" in text
    assert text.endswith("example:\n  shack-gateway serve")
    assert usage(HELP) == "usage: shack-gateway help [TOPIC]"


@pytest.mark.parametrize("argv", [["--profile="], ["--profile", ""]])
def test_an_option_without_a_default_takes_no_empty_value(argv: list[str]) -> None:
    """A variable that is not set must not silently turn off what was asked for."""
    command = Command("serve", ".serve", "Serves.", (Option("profile", "Which.", value="NAME"),))
    with pytest.raises(UsageError, match="^--profile needs a value: it is empty$"):
        parse(command, argv)
