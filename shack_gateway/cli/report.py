"""How findings and tables look to the people who read them: on a terminal, in a pipe, and as JSON.

Rule 1: colour only on a terminal that wants it; what cannot be written in the terminal's encoding is escaped.
Rule 2: text of a server (names, errors, standard error) is escaped before it is shown.
"""
from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from ..errors import Problem, clip

RED, YELLOW, BLUE, GREEN, BOLD = "31", "33", "34", "32", "1"


class Screen:
    """A stream that people read."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._colour = wants_colour(stream, environ)

    def say(self, text: str = "") -> None:
        """Write a line, or several."""
        self._stream.write(text.encode(self._encoding, "backslashreplace").decode(self._encoding) + "\n")

    def paint(self, text: str, *styles: str) -> str:
        """The text in colour, where there is any."""
        return f"\x1b[{';'.join(styles)}m{text}\x1b[0m" if self._colour else text


def wants_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """True for a terminal, unless `NO_COLOR` (https://no-color.org) or a terminal without colours says otherwise."""
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb" or not stream.isatty():
        return False
    # The old console of Windows shows the codes as they are; the newer ones say who they are.
    return sys.platform != "win32" or bool(environ.get("WT_SESSION") or environ.get("TERM"))


def show_problems(problems: Iterable[Problem], screen: Screen) -> None:
    """Every problem with its place and its mend, a blank line behind each."""
    for problem in problems:
        style = RED if problem.severity == "error" else YELLOW
        screen.say(f"{screen.paint(problem.severity, style, BOLD)}: {problem.what}")
        if problem.where:
            screen.say(f"  {screen.paint('-->', BLUE)} {problem.where}")
        if problem.fix:
            screen.say(f"  {screen.paint('help', BLUE)}: {as_help(problem.fix)}")
        screen.say()


def as_help(fix: str) -> str:
    """A sentence, as it stands behind `help:`."""
    return fix[0].lower() + fix[1:].removesuffix(".")


def tally(problems: Sequence[Problem]) -> str:
    """`1 error, 0 warnings.`"""
    errors = sum(problem.severity == "error" for problem in problems)
    return f"{counted(errors, 'error')}, {counted(len(problems) - errors, 'warning')}."


def counted(count: int, word: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def as_object(problem: Problem) -> dict[str, Any]:
    """A problem for programs."""
    file, _, line = problem.where.rpartition(":")
    placed = bool(file) and line.isdigit()
    return {"severity": problem.severity, "what": problem.what, "file": file if placed else problem.where or None,
            "line": int(line) if placed else None, "fix": problem.fix or None}


def table(rows: Sequence[Sequence[str]], *, numbers: Iterable[int] = ()) -> list[str]:
    """Lines of columns, as wide as they must be; the columns `numbers` end at the right."""
    shown = [[clip(cell, 60).replace("\n", " ").replace("\t", " ") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown)]
    right = set(numbers)
    return ["  ".join(cell.rjust(width) if at in right else cell.ljust(width)
                      for at, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in shown]
