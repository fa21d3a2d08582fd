"""A tool is meant in whichever spelling its name is written, and no other tool is."""
from __future__ import annotations

import random

import pytest

from kit.corridor import call
from shack_gateway.pipeline.call import PROMPT, RESOURCE
from shack_gateway.pipeline.tools import named, names, spans

TOOLS = ("a__b", "a__bc", "a__b__c", "ab__b", "shack__b", "mcp__x", "mcp__a__b", "x__y")
ALL = set(TOOLS)


@pytest.mark.parametrize("pattern, meant", [
    ("a__b", {"a__b"}), (" a__b ", {"a__b"}), ("A__b", set()), ("a__", set()), ("a", set()), ("", set()),
    ("a__*", {"a__b", "a__bc", "a__b__c"}), ("a__b?", {"a__bc"}), ("a__[b]", set()), ("?__y", {"x__y"}),
    ("*__b", {"a__b", "ab__b", "shack__b", "mcp__a__b"}), ("*", ALL), ("**", ALL), ("?", set()),
    ("mcp__a__b", {"a__b", "mcp__a__b"}), ("mcp__a", {"a__b", "a__bc", "a__b__c", "mcp__a__b"} - {"mcp__a__b"}),
    ("mcp__a__*", {"a__b", "a__bc", "a__b__c", "mcp__a__b"}), ("mcp__*", ALL), ("mcp__*__b", {
        "a__b", "ab__b", "shack__b", "mcp__a__b"}),
    ("mcp__shack__a__b", {"a__b"}), ("mcp__shack__a", {"a__b", "a__bc", "a__b__c"}), ("mcp__shack__x__*", {"x__y"}),
    ("mcp__shack", ALL), ("mcp__shack__*", ALL), ("mcp__shack__b", {"shack__b"}),
    ("shack__b", {"shack__b"}), ("shack__*", {"shack__b"}), ("mcp__x", {"mcp__x", "x__y"}), ("mcp__mcp__x", {"mcp__x"}),
    ("mcp__shack__shack__b", {"shack__b"}), ("mcp__shack__mcp__x", {"mcp__x"}), ("m?p__a__b", {"a__b", "mcp__a__b"}),
])
def test_a_pattern_means_these_tools_and_no_others(pattern: str, meant: set[str]) -> None:
    tell = named(pattern)
    assert {tool for tool in TOOLS if tell(tool)} == meant


def test_a_call_is_named_as_policy_knows_it_and_as_it_is_shown() -> None:
    assert names(call(target="read")) == ("fs__read",)
    assert names(call(target="read/x", name="fs__read_x_1234")) == ("fs__read/x", "fs__read_x_1234")
    assert names(call(kind=PROMPT)) == ("fs__read",)
    assert names(call(kind=RESOURCE, target="file:///a", name="file:///a")) == ("fs__resources/read",)


def test_a_pattern_spans_what_a_slow_judge_says() -> None:
    """Seeded: the quick way against all ways to lay the chunks into the text."""
    def slow(chunks: tuple[str, ...], text: str) -> bool:
        if len(chunks) == 1:
            return text == chunks[0]
        if not text.startswith(chunks[0]):
            return False
        rest = text[len(chunks[0]) :]
        return any(slow(chunks[1:], rest[at:]) for at in range(len(rest) + 1))

    chance = random.Random(3)
    for _ in range(3000):
        pattern = "".join(chance.choice("ab*") for _ in range(chance.randrange(1, 6)))
        text = "".join(chance.choice("ab") for _ in range(chance.randrange(7)))
        assert spans(tuple(pattern.split("*")), text) is slow(tuple(pattern.split("*")), text), (pattern, text)


def test_many_stars_in_a_name_cost_no_more_time_than_the_name_is_long() -> None:
    assert not named("*a" * 200 + "b")("a" * 20_000)
    assert not named("*a" * 30 + "?b")("a" * 3000)
