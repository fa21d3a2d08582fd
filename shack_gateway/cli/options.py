"""What may stand on a command line, and reading it.  Pure.

A parser of our own, because importing `argparse` costs 5 ms or more of a start-up that every host pays. It reads what
`argparse` read for 0.1.0 (`--config FILE`, `--config=FILE`, unique beginnings as `--conf`, `--`), and `-c FILE`.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..config.fields import nearest
from ..record import NamedTuple

PROGRAM = "shack-gateway"
WIDTH = 100
"""Of a terminal, as far as help texts are concerned."""


class Option(NamedTuple):
    """`--name`; with a `value` (its word in the help text) it takes one, without it is a switch."""

    name: str
    doc: str
    value: str = ""
    short: str = ""
    default: str = ""


class Command(NamedTuple):
    """One row of the table: the module (`run(arguments) -> int`) is imported when the command is called."""

    name: str
    module: str
    summary: str
    options: tuple[Option, ...] = ()
    word: str = ""
    """What the word (or words) behind the command is called, if it may have one."""
    example: str = ""
    most_words: int = 1


class Arguments(NamedTuple):
    """What was given: the values of options (defaults filled in), the switches that are on, the first word or nothing,
    and all words."""

    values: Mapping[str, str] = {}
    switches: frozenset[str] = frozenset()
    word: str = ""
    words: tuple[str, ...] = ()


class UsageError(Exception):
    """The command line makes no sense; the text says why."""


HELP = Option("help", "Show this text.", short="h")


def parse(command: Command, argv: Sequence[str]) -> Arguments:
    """Read what stands behind the command; raises `UsageError`. `--help` ends the reading."""
    values = {option.name: option.default for option in command.options if option.value}
    switches: set[str] = set()
    words: list[str] = []
    rest = list(argv)
    while rest:
        item = rest.pop(0)
        if item == "--":
            words += rest
            break
        if not item.startswith("-") or item == "-":
            words.append(item)
            continue
        option, value = _split(command, item)
        if option is HELP:
            return Arguments(values, frozenset({HELP.name}))
        if not option.value:
            if value is not None:
                raise UsageError(f"--{option.name} takes no value")
            switches.add(option.name)
            continue
        if value is None:
            # As argparse has it: what begins with `-` is the next option, unless it is joined with `=`.
            if not rest or (rest[0].startswith("-") and rest[0] != "-"):
                raise UsageError(f"--{option.name} needs a value: --{option.name} {option.value}")
            value = rest.pop(0)
        if not value and not option.default:
            # A variable that is not set must not turn off what was asked for: `--profile "$NAME"`.
            raise UsageError(f"--{option.name} needs a value: it is empty")
        values[option.name] = value
    if len(words) > (command.most_words if command.word else 0):
        raise UsageError(f"unexpected argument: {words[-1]}")
    return Arguments(values, frozenset(switches), words[0] if words else "", tuple(words))


def _split(command: Command, item: str) -> tuple[Option, str | None]:
    """The option that `item` names, and the value that is joined to it."""
    options = (HELP, *command.options)
    if not item.startswith("--"):
        for option in options:
            if option.short and item[1] == option.short:
                return option, item[2:].removeprefix("=") or None
        raise UsageError(f"unknown option: {item}{_hint(item[1:], options)}")
    name, equals, value = item[2:].partition("=")
    named = [option for option in options if option.name == name]
    named = named or [option for option in options if option.name.startswith(name)]
    if not named:
        raise UsageError(f"unknown option: --{name}{_hint(name, options)}")
    if len(named) > 1:
        raise UsageError(f"--{name} may be " + " or ".join(f"--{option.name}" for option in named))
    return named[0], value if equals else None


def _hint(word: str, options: Sequence[Option]) -> str:
    """What may have been meant, to stand behind an error."""
    near = nearest(word, [option.name for option in options])
    return f" (did you mean --{near}?)" if near else ""


def usage(command: Command) -> str:
    """The command's form, in one line as a rule."""
    parts = [f"[{_form(option)}]" for option in command.options] + ([f"[{command.word}]"] if command.word else [])
    lines = [f"usage: {PROGRAM} {command.name}"]
    for part in parts:
        if len(lines[-1]) + 1 + len(part) > WIDTH:
            lines.append(" " * len("usage:"))
        lines[-1] += f" {part}"
    return "\n".join(lines)


def describe(command: Command) -> str:
    """The command's help text."""
    text = f"{usage(command)}\n\n{command.summary}\n\noptions:\n{options_table(command)}"
    return text + (f"\n\nexample:\n  {command.example}" if command.example else "")


def options_table(command: Command) -> str:
    """One line for each option, with its default."""
    rows = [(("-" + option.short + ", " if option.short else "") + _form(option), option)
            for option in (HELP, *command.options)]
    width = max(len(form) for form, _ in rows) + 2
    return "\n".join(f"  {form:<{width}}{option.doc}" + (f" Default: {option.default}." if option.default else "")
                     for form, option in rows)


def _form(option: Option) -> str:
    return f"--{option.name} {option.value}" if option.value else f"--{option.name}"
