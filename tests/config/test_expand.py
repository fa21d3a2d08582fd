"""Variables are replaced where they are meant, and left alone where they are not."""
from __future__ import annotations

import pytest

from shack_gateway.config.expand import expand

VARIABLES = {"A": "x", "EMPTY": "", "NESTED": "${A}", "workspace_root": "/w"}

FILLED = [
    ("plain text", "a $A {A} b", "a $A {A} b"),
    ("variable", "${A}", "x"),
    ("in the middle, twice", "-${A}-${A}", "-x-x"),
    ("workspace", "${workspace_root}/y", "/w/y"),
    ("set but empty", "[${EMPTY}]", "[]"),
    ("default of a set one", "${A:-d}", "x"),
    ("default of an unset one", "${Q:-d e/f}", "d e/f"),
    ("default of an empty one", "${EMPTY:-d}", "d"),
    ("empty default", "[${Q:-}]", "[]"),
    ("default with a colon", "${Q:-http://x:80}", "http://x:80"),
    ("value is not looked at again", "${NESTED}", "${A}"),
    ("escaped", "$${A} ${A}", "${A} x"),
    ("process id before a variable of the shell", "$$$${A}", "$$${A}"),
    ("positional", "${1}", "${1}"),
    ("list of a shell", "${#a[@]} ${a[0]}", "${#a[@]} ${a[0]}"),
    ("other forms of a shell", "${A:+y} ${A:?no} ${A%x} ${A-y}", "${A:+y} ${A:?no} ${A%x} ${A-y}"),
    ("not closed", "${A", "${A"),
    ("nothing in it", "${}", "${}"),
]


@pytest.mark.parametrize("text, wanted", [row[1:] for row in FILLED], ids=[row[0] for row in FILLED])
def test_a_text_is_filled(text: str, wanted: str) -> None:
    assert expand(text, VARIABLES.get) == (wanted, ())


MISSED = [
    ("unset", "${Q}", "uses `${Q}`, which is not set", "Export Q, or write `${Q:-}` to allow it to be empty."),
    ("host's word for the workspace", "${workspaceFolder}", "uses `${workspaceFolder}`", "Write `${workspace_root}`."),
    ("host's form of a variable", "${env:GH}", "uses `${env:...}`", "Write `${GH}`."),
    ("host's form of a question", "${input:token}", "uses `${input:...}`", "Export a variable"),
    ("variable in a default", "${Q:-${A}}", "uses `${Q:-...}` with a brace", "plain text up to `}`"),
    ("brace in a default", '${Q:-{"a":1}}', "uses `${Q:-...}` with a brace", "plain text up to `}`"),
    ("default without an end", "${Q:-abc", "uses `${Q:-...}` with a brace in the default, or without an end", "`$${`"),
]


@pytest.mark.parametrize("text, what, fix", [row[1:] for row in MISSED], ids=[row[0] for row in MISSED])
def test_what_cannot_be_filled_is_said_with_its_mend(text: str, what: str, fix: str) -> None:
    missing = expand(text, VARIABLES.get)[1]
    assert len(missing) == 1
    assert missing[0].what.startswith(what)
    assert fix in missing[0].fix


def test_everything_that_is_missing_is_said() -> None:
    assert len(expand("${Q} ${R} ${A}", VARIABLES.get)[1]) == 2


def test_a_value_is_never_part_of_what_is_said() -> None:
    said = expand("${SECRET} ${Q} ${env:SECRET} ${Q:-${SECRET}}", {"SECRET": "hunter2"}.get)[1]
    assert said and "hunter2" not in str(said)
