"""`help` shows the pages that ship with the package."""
from __future__ import annotations

import pytest

from kit.host import ROOT
from shack_gateway.cli.help import contents, topics
from shack_gateway.cli.main import main

DOCS = ROOT / "shack_gateway" / "docs"


def test_every_page_of_the_package_is_a_topic() -> None:
    assert list(topics()) == sorted(path.stem for path in DOCS.glob("*.md"))
    assert {"config", "commands", "errors"} <= set(topics())


@pytest.mark.parametrize("word", ["config", "CONFIG", "config.md"])
def test_a_page_is_shown_as_it_is(capsys: pytest.CaptureFixture[str], word: str) -> None:
    assert main(["help", word]) == 0
    assert capsys.readouterr().out.rstrip() == (DOCS / "config.md").read_text(encoding="utf-8").rstrip()


def test_without_a_topic_all_are_listed_with_their_headings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    out = capsys.readouterr().out
    for name, page in topics().items():
        assert f"  {name} " in out
        assert page.splitlines()[0].lstrip("# ") in out


def test_a_command_is_a_topic_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "check"]) == 0
    assert capsys.readouterr().out.startswith("usage: shack-gateway check ")


@pytest.mark.parametrize("word, near", [
    ("confg", "did you mean config?"), ("comands", "did you mean commands?"), ("chek", "did you mean check?"),
    ("../errors", "Topics: "), ("zzz", "Topics: "),
])
def test_an_unknown_topic_names_the_nearest_one_and_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], word: str, near: str
) -> None:
    assert main(["help", word]) == 2
    out, err = capsys.readouterr()
    assert out == "" and near in err


def test_a_list_of_no_pages_is_no_fault() -> None:
    assert "shack-gateway help TOPIC" in contents({})
