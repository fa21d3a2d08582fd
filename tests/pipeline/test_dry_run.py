"""In a dry run only tools that say that they only read are called; the others are shown."""
from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from kit import schema
from kit.corridor import Road, call, complete, ports, read, stage
from kit.host import ROOT
from shack_gateway.catalog.facts import NO_FACTS, Facts
from shack_gateway.config.load import load
from shack_gateway.eras.inbound import Tongue
from shack_gateway.eras.to_host import Voice
from shack_gateway.errors import ConfigError
from shack_gateway.pipeline.call import PROMPT, RESOURCE, Call, Complete, Outcome
from shack_gateway.pipeline.chain import Stage
from shack_gateway.pipeline.stages import dry_run

PAGE = (ROOT / "shack_gateway" / "docs" / "guardrails.md").read_text(encoding="utf-8").partition("\n## Dry run")[2]


def built(says: bool | None = None, log: list[tuple[str, str]] | None = None) -> Stage:
    facts = Facts(True, frozenset(), says, True)
    found = stage(dry_run, ports(facts=lambda call: facts, log=log), dry_run=True)
    assert found is not None
    return found


@pytest.mark.parametrize("says, kind, is_sent", [
    (True, "tool", True), (False, "tool", False), (None, "tool", False), (None, PROMPT, True), (False, RESOURCE, True),
])
def test_only_what_says_that_it_only_reads_is_sent(says: bool | None, kind: str, is_sent: bool) -> None:
    road = Road(built(says))
    outcome = road.run(call({"a": 1}, kind=kind))
    assert len(road.sent) == is_sent and isinstance(outcome, Complete)
    assert ("Dry run" in outcome.text) is not is_sent


def test_a_tool_that_nobody_knows_is_not_sent() -> None:
    found = stage(dry_run, ports(facts=lambda call: NO_FACTS), dry_run=True)
    assert found is not None
    road = Road(found)
    road.run(call())
    assert road.sent == []


class Changing(Stage):
    """Stands before the dry run, as injections and hooks do."""

    name = "hooks"

    async def before(self, call: Call) -> Call | Outcome:
        return call.with_arguments({**call.arguments, "b": [2]})


def test_what_would_have_been_sent_is_shown_as_it_would_have_been_sent() -> None:
    value = Road(Changing(), built()).run(call({"a": "é"}, name="shown")).value
    [block] = value["content"]
    said, _, shown = block["text"].partition("\n")
    assert said == "Dry run: nothing was sent. This call would have been made:"
    assert json.loads(shown) == {"server": "fs", "tool": "read", "arguments": {"a": "é", "b": [2]}} and "é" in shown
    assert value["isError"] is False and "structuredContent" not in value


@pytest.mark.parametrize("arguments", [{}, {"a": "\ud800"}, {"a": 1e400}, {"é\n": ["\0", {"x": None}]}], ids=ascii)
def test_the_result_is_one_that_hosts_of_either_era_take(arguments: dict[str, Any]) -> None:
    outcome = Road(built()).run(call(arguments))
    assert json.loads(outcome.body) == outcome.value
    assert outcome.value["content"][0]["text"].encode()
    voice = Voice("shack-gateway", "1")
    schema.needed()
    for version in ("2024-11-05", "2025-11-25", "2026-07-28"):
        body = voice.result(outcome, Tongue(version == "2026-07-28", version))
        value = json.loads(body if isinstance(body, bytes) else b"".join(body))
        assert schema.faults(version, "CallToolResult", value) == [] and "Dry run" in value["content"][0]["text"]


@pytest.mark.parametrize("seed", range(2))
def test_nothing_that_may_change_something_reaches_a_server(seed: int) -> None:
    rnd = random.Random(seed)
    says: dict[str, Any] = {name: rnd.choice([True, False, None]) for name in "abcdefgh"}
    found = stage(dry_run, ports(facts=lambda call: Facts(True, frozenset(), says[call.target], True)), dry_run=True)
    assert found is not None
    road = Road(found, answer=complete({"content": []}))
    for _ in range(200):
        road.run(call({"x": rnd.random()}, target=rnd.choice("abcdefgh")))
    assert road.sent and all(says[each.target] is True for each in road.sent)


def test_it_is_said_at_the_start_and_by_why() -> None:
    log: list[tuple[str, str]] = []
    found = built(True, log)
    assert [level for level, text in log if text.startswith("dry run: ")] == ["info"]
    assert found.why(call()) == "the tool says that it only reads" and found.why(call(kind=PROMPT)) == "it only reads"


def test_without_the_key_there_is_no_stage() -> None:
    assert stage(dry_run, ports()) is None and stage(dry_run, ports(), dry_run=False) is None


@pytest.mark.parametrize("value", ["true", 1, "1", []], ids=str)
def test_the_key_is_true_or_false(value: Any) -> None:
    assert read(dry_run, dry_run=value)[1][0].startswith("error `dry_run` must be `true` or `false`")


@pytest.mark.parametrize("variable, in_file, on", [
    ("1", None, True), ("true", False, True), ("YES", None, True), (" 1 ", None, True), ("0", None, False),
    ("no", True, True),
    ("false", None, False), ("", None, False), (None, None, False), (None, True, True), ("", True, True),
])
def test_the_environment_switches_it_on(tmp_path: Path, variable: str | None, in_file: bool | None, on: bool) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"workspace_root": str(tmp_path), "dry_run": in_file}), encoding="utf-8")
    config = load(str(file), {} if variable is None else {"SHACK_DRY_RUN": variable})
    assert config.settings.get("dry_run", False) is on


@pytest.mark.parametrize("variable", ["2", "on", "off", "yes please"])
def test_another_word_in_the_environment_is_an_error(tmp_path: Path, variable: str) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"workspace_root": str(tmp_path)}), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load(str(file), {"SHACK_DRY_RUN": variable})
    assert "SHACK_DRY_RUN is neither 1 nor 0" in str(error.value)


def test_the_page_shows_the_answer() -> None:
    [shown] = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    outcome = Road(built()).run(call({"message": "Parser"}, server="git", target="commit"))
    assert outcome.value["content"][0]["text"] == shown.strip()
