"""A guardrail finds what it forbids wherever and however it is written, and says where, not what."""
from __future__ import annotations

import json
import random
import re
from typing import Any
from urllib.parse import quote

import pytest

from kit.corridor import Road, call, ports, read, refused, run, stage
from kit.host import ROOT
from shack_gateway.config import jsonc
from shack_gateway.masking import patterns
from shack_gateway.pipeline.arguments import DEPTH
from shack_gateway.pipeline.call import PROMPT, RESOURCE, Call, Outcome, Refused
from shack_gateway.pipeline.chain import Stage
from shack_gateway.pipeline.stages import guardrails

PAGE = (ROOT / "shack_gateway" / "docs" / "guardrails.md").read_text(encoding="utf-8").partition("\n## Injections")[0]


def built(*entries: dict[str, Any]) -> Stage:
    found = stage(guardrails, ports(), guardrails=list(entries))
    assert found is not None
    return found


def judge(entry: dict[str, Any], arguments: dict[str, Any], **how: Any) -> Call | Outcome:
    return run(built(entry).before(call(arguments, **how)))  # type: ignore[no-any-return]


def forbidden(entry: dict[str, Any], arguments: dict[str, Any], **how: Any) -> bool:
    return isinstance(judge(entry, arguments, **how), Refused)


# --- what is looked at, and how ---

WORD = {"contains": "rm -rf"}


@pytest.mark.parametrize("entry, arguments, found", [
    # where
    (WORD, {"a": "x rm -rf y"}, True), (WORD, {"a": "rm -r"}, False), (WORD, {}, False),
    (WORD, {"a": {"b": ["rm -rf"]}}, True),
    (WORD, {"a": ["rm", "-rf"]}, True), (WORD, {"a": ["rm", 1, "-rf"]}, False), (WORD, {"rm -rf": 1}, True),
    (WORD, {"a": [{"rm -rf": None}]}, True), (WORD | {"argument": "a"}, {"a": "rm -rf"}, True),
    (WORD | {"argument": "a"}, {"b": "rm -rf"}, False), (WORD | {"argument": "a"}, {"b": {"a": "rm -rf"}}, False),
    (WORD | {"argument": "a"}, {"a": {"b": {"c": ["rm -rf"]}}}, True),
    (WORD | {"argument": "a"}, {"ab": "rm -rf"}, False),
    (WORD | {"argument": "a"}, {"rm -rf": "a"}, False), (WORD | {"argument": "a"}, {"a": {"rm -rf": 1}}, True),
    (WORD | {"argument": "a.b"}, {"a": {"b": "rm -rf"}}, True), (WORD | {"argument": "a.b"}, {"a": "rm -rf"}, False),
    (WORD | {"argument": "a.b"}, {"a": {"c": "rm -rf"}}, False), (WORD | {"argument": "a.b"}, {"a.b": "rm -rf"}, True),
    (WORD | {"argument": "a.b"}, {"a": [{"b": "x"}, {"b": "rm -rf"}]}, True),
    (WORD | {"argument": "a.b.c"}, {"a.b": {"c": "rm -rf"}}, True),
    (WORD | {"argument": "a.b"}, {"a": [[{"b": [["rm -rf"]]}]]}, True),
    (WORD | {"argument": " a "}, {"a": "rm -rf"}, True),
    # spellings
    (WORD, {"a": "rm   -rf"}, True), (WORD, {"a": "rm\n\t-rf"}, True), (WORD, {"a": "ｒｍ\u3000-ｒｆ"}, True),
    (WORD, {"a": "r\u200bm -\u00adrf"}, True), (WORD, {"a": "rm%20-rf"}, True), (WORD, {"a": "%72m%2520-rf"}, True),
    (WORD, {"a": "RM -RF"}, False), (WORD | {"ignore_case": True}, {"a": "Rm -rF"}, True),
    ({"contains": "rm   -rf"}, {"a": "rm -rf"}, True), ({"contains": "ｒｍ"}, {"a": "rm"}, True),
    ({"contains": "\u200b"}, {"a": "x"}, False),
    ({"contains": "\u200b"}, {"a": "x\u200b"}, True),
    ({"contains": "STRASSE", "ignore_case": True}, {"a": "Straße"}, True),
    ({"contains": " "}, {"a": "x\ty"}, True), ({"contains": "%20"}, {"a": "x%20y"}, True),
    ({"contains": "a b"}, {"a": "ab"}, False),
    # what is no text
    ({"contains": "71"}, {"a": 4711}, True), ({"contains": "true"}, {"a": True}, True),
    ({"contains": "null"}, {"a": [None]}, True),
    ({"contains": "100"}, {"a": 1e2}, True), ({"contains": "1.5"}, {"a": 1.5}, True),
    ({"contains": "a"}, {"b": {}}, False),
    ({"equals": 5}, {"a": 5}, True), ({"equals": 5}, {"a": 5.0}, True), ({"equals": 5}, {"a": "5"}, True),
    ({"equals": 5}, {"a": 55}, False),
    ({"equals": 5.0}, {"a": "5"}, True), ({"equals": 1}, {"a": True}, False), ({"equals": True}, {"a": 1}, False),
    ({"equals": 0}, {"a": False}, False),
    ({"equals": True}, {"a": "true"}, True), ({"equals": False}, {"a": [False]}, True),
    ({"equals": "true"}, {"a": True}, True),
    ({"equals": "x"}, {"a": "x"}, True), ({"equals": "x"}, {"a": " x\u200b"}, True),
    ({"equals": "x"}, {"a": "xy"}, False),
    ({"equals": "x"}, {"x": 1}, True), ({"equals": "x", "argument": "a"}, {"a": "X"}, False),
    ({"equals": "rm -rf"}, {"a": ["rm", "-rf"]}, True),
    ({"equals": "X", "ignore_case": True}, {"a": "x"}, True), ({"equals": ""}, {"a": ""}, True),
    ({"equals": ""}, {"a": "x"}, False),
    ({"equals": [1, {"a": True}]}, {"b": {"c": [1, {"a": True}]}}, True),
    ({"equals": [1, {"a": True}]}, {"b": [1, {"a": 1}]}, False),
    ({"equals": {}}, {"b": {}}, True), ({"equals": {}}, {"b": []}, False), ({"equals": {}}, {}, False),
    ({"equals": []}, {"b": "[]"}, False),
    # regular expressions
    ({"regex": r"EMP-\d+"}, {"a": ["EMP-1"]}, True), ({"regex": r"EMP-\d+"}, {"a": "EMP-x"}, False),
    ({"regex": r"^\d{4}$"}, {"a": 4711}, True),
    ({"regex": "drop table"}, {"a": "drop\n table"}, True), ({"regex": "x"}, {"a": "ｘ"}, True),
    ({"regex": "X"}, {"a": "x"}, False),
    ({"regex": "X", "ignore_case": True}, {"a": "x"}, True), ({"regex": "^$"}, {"a": ""}, True),
    ({"regex": "^rm -rf$"}, {"a": ["rm", "-rf"]}, True),
], ids=str)
def test_what_a_guardrail_finds(entry: dict[str, Any], arguments: dict[str, Any], found: bool) -> None:
    before = json.dumps(arguments)
    assert forbidden(entry, arguments) is found
    assert json.dumps(arguments) == before


@pytest.mark.parametrize("tool, how, meant", [
    ("*", {}, True), ("fs__read", {}, True), ("fs__*", {}, True), ("fs__r?ad", {}, True), ("fs__write", {}, False),
    ("mcp__fs__read", {}, True), ("mcp__shack__fs__read", {}, True), ("shown", {"name": "shown"}, True),
    ("FS__read", {}, False),
    ("fs__read", {"name": "shown"}, True), ("fs__read", {"kind": PROMPT}, True),
])
@pytest.mark.filterwarnings("ignore")
def test_which_calls_a_guardrail_is_about(tool: str, how: dict[str, Any], meant: bool) -> None:
    assert forbidden({"tool": tool, "contains": "x"}, {"a": "x"}, **how) is meant


@pytest.mark.parametrize("entry, uri, found", [
    ({"contains": "secret"}, "file:///a/secret", True), ({"contains": "secret"}, "file:///a/se%63ret", True),
    ({"contains": "secret", "argument": "uri"}, "file:///a/secret", True),
    ({"contains": "secret", "argument": "a"}, "file:///secret", False),
    ({"contains": "x", "tool": "fs__resources/read"}, "x://", True),
    ({"contains": "x", "tool": "fs__read"}, "x://", False),
])
def test_a_resource_is_judged_by_its_uri(entry: dict[str, Any], uri: str, found: bool) -> None:
    for target, name in ((uri, uri), (uri, "shack://other"), ("other://", uri)):
        assert forbidden(entry, {"uri": target}, kind=RESOURCE, target=target, name=name) is found


def test_a_tool_without_guardrails_is_let_pass_without_a_look() -> None:
    asked = call({"a": "x"}, target="write")
    asked.arguments = None  # type: ignore[assignment]
    assert run(built({"tool": "fs__read", "contains": "x"}).before(asked)) is asked


def test_without_guardrails_there_is_no_stage() -> None:
    assert stage(guardrails, ports()) is None and stage(guardrails, ports(), guardrails=[]) is None


# --- what is said ---

@pytest.mark.parametrize("arguments, where", [
    ({"a": {"b": ["y", "s3cret"]}}, "argument `a.b[1]` of `fs__read`"),
    ({"a": {"s3cret": 1}}, "a key in argument `a` of `fs__read`"),
    ({"s3cret": 1}, "the name of an argument of `fs__read`"), ({"a": "a\ns3cret"}, "argument `a` of `fs__read`"),
])
def test_a_refusal_names_the_place_and_the_reason_and_not_what_was_found(arguments: dict[str, Any], where: str) -> None:
    entries = {"contains": "nothing"}, {"tool": "fs__*", "contains": "s3cret", "reason": "Ask Kim."}
    said = refused(run(built(*entries).before(call(arguments))))
    assert said.text == f"blocked by guardrail: guardrails[1]: {where} says what it forbids. Ask Kim."
    assert (said.stage, said.rule) == ("guardrails", "guardrails[1]")


def test_the_first_entry_that_finds_something_is_named() -> None:
    found = run(built({"contains": "z"}, {"contains": "y"}, {"contains": "x"}).before(call({"a": "x y"})))
    assert refused(found).rule == "guardrails[1]"


def test_why_names_the_entries_that_are_about_the_call() -> None:
    found = built({"contains": "z"}, {"tool": "x__*", "contains": "y"}, {"tool": "fs__*", "equals": 1})
    assert found.why(call()) == "guardrails[0], guardrails[2]"
    assert built({"tool": "x__*", "contains": "y"}).why(call()) == ""


def test_a_renamed_tool_is_refused_under_the_name_it_was_called_by() -> None:
    said = refused(run(built({"tool": "fs__read", "contains": "x"}).before(call({"a": "x"}, name="fs__get"))))
    assert "`fs__get`" in said.text and "fs__read" not in said.text


# --- what cannot be looked at is refused ---

@pytest.mark.parametrize("levels, passes", [(DEPTH - 1, True), (DEPTH, False), (5000, False)])
@pytest.mark.parametrize("kind", ["list", "object"])
def test_arguments_that_are_nested_too_deeply_are_refused(levels: int, passes: bool, kind: str) -> None:
    deep: Any = "y"
    for _ in range(levels):
        deep = [deep] if kind == "list" else {"b": deep}
    found = judge({"contains": "x", "argument": "a"}, {"a": deep})
    assert isinstance(found, Call) is passes
    if not passes:
        assert "nested more than 200 levels deep" in refused(found).text


def test_texts_that_are_too_long_for_a_pattern_are_refused() -> None:
    said = refused(judge({"regex": r"\w+@\d"}, {"a": [("a" * 300 + "@ ") * 5000]})).text
    assert said.startswith("blocked by guardrail: guardrails[0]: the arguments are too long for its pattern")


def test_many_texts_share_the_steps_of_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    start = patterns.Effort.__init__
    monkeypatch.setattr(patterns.Effort, "__init__", lambda self, *left: (made.append(self), start(self, *left))[1])
    entries = [{"regex": rf"\w+@[{number}x]"} for number in range(10)]
    refused(run(built(*entries).before(call({f"{'a' * 200}@!{number}": 1 for number in range(2000)}))))
    assert len([effort for effort in made if effort.left < 0]) == 1


# --- configuration ---

@pytest.mark.parametrize("entries, said", [
    ({}, "error `guardrails` must be a list of objects, not an object"), ([5], "`guardrails[0]` must be an object"),
    ([{}], "error `guardrails[0]` looks for nothing Write one of"),
    ([{"contains": "a", "equals": 0}], "`guardrails[0]` has `contains` and `equals`"),
    ([{"contains": "a", "equals": "a", "regex": "a"}], "has `contains` and `equals` and `regex`"),
    ([{"contains": ""}], "would be found in every text"),
    ([{"contains": 5}], "`guardrails[0].contains` must be a string"),
    ([{"regex": ["a"]}], "`guardrails[0].regex` must be a string"),
    ([{"contains": "a", "tool": ""}], "`guardrails[0].tool` is empty"),
    ([{"contains": "a", "tool": 5}], "`guardrails[0].tool` must be a string"),
    ([{"contains": "a", "argument": " "}], "`guardrails[0].argument` is empty"),
    ([{"regex": "("}], "`guardrails[0].regex` is no regular expression"),
    ([{"contains": "a"}, {"regex": "(a+)+$"}], "`guardrails[1].regex` repeats a part that can end in more ways than "
     "one: `(a+)+`"),
    ([{"regex": "x*"}], "matches every text"), ([{"regex": ""}], "matches every text"),
    ([{"contians": "a"}], "Did you mean `contains`?"),
    ([{"contains": "a", "ignore_case": "yes"}], "`guardrails[0].ignore_case` must be `true` or `false`"),
    ([{"contains": "a", "reason": 1}], "`guardrails[0].reason` must be a string"),
    ([{"contains": "a", "tool": "read"}], "warning `guardrails[0].tool` can never match"),
    ([{"contains": "a", "argument": "a[0].b"}], "warning `guardrails[0].argument` has an index in it"),
    ([{"contains": "a", "extra_thing": 1}], "warning `guardrails[0].extra_thing` is not a key"),
    ([{"equals": None}], "looks for nothing"),
], ids=str)
def test_what_is_wrong_with_an_entry_is_said_with_its_place(entries: Any, said: str) -> None:
    _, found = read(guardrails, guardrails=entries)
    assert any(said in finding for finding in found), found


def test_remarks_and_null_are_no_faults() -> None:
    out, found = read(guardrails, guardrails=[{"_why": "x", "contains": "a", "regex": None, "tool": None}])
    assert found == [] and out["guardrails"][0].tool == "*"


# --- nothing gets past it ---

def disguised(rnd: random.Random, word: str) -> str:
    """The word in another spelling that a server may read as the word."""
    way = rnd.randrange(6)
    if way == 0:
        return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in word)
    if way == 1:
        return "".join(letter + rnd.choice(["", "\u200b", "\u2060", "\ufe0f", "\U000e0041"]) for letter in word)
    if way == 2:
        return word.replace(" ", rnd.choice(["  ", "\t", "\n ", "\u00a0", "\u2003"]))
    if way == 3:
        every = "".join(f"%{byte:02x}" for byte in word.encode())
        return quote(word, safe=rnd.choice(["", " /-"])) if rnd.random() < 0.5 else every
    if way == 4:
        return disguised(rnd, disguised(rnd, word)) if rnd.random() < 0.3 else word
    return f"{rnd.choice(['', 'x ', '漢字', 'a/'])}{word}{rnd.choice(['', ' x', '%', '🙂'])}"


def hidden(rnd: random.Random, word: str, depth: int) -> Any:
    way = rnd.randrange(6 if depth else 2)
    if way == 0 and " " in word and "%" not in word:
        return word.split(" ")
    if way < 2:
        return word
    below = hidden(rnd, word, depth - 1)
    others: list[Any] = [None, 5, "x", True, {}, [], {"y": ["z"]}]
    if way == 2:
        several = [*rnd.choices(others, k=2), below]
        rnd.shuffle(several)
        return several
    if way == 3:
        return {word: rnd.choice(others)}
    keys = rnd.sample(["a", "b", "path", "", "a.b", "0"], k=2)
    return {keys[0]: rnd.choice(others), keys[1]: below}


@pytest.mark.parametrize("seed", range(6))
def test_no_hiding_place_lets_a_forbidden_word_reach_a_server(seed: int) -> None:
    rnd = random.Random(seed)
    word = "rm -rf /"
    for entry in ({"contains": word}, {"regex": r"rm -rf /"}, {"contains": word, "argument": "in"}):
        road = Road(built({"tool": "fs__*", **entry}))
        for _ in range(150):
            arguments = {"in": hidden(rnd, disguised(rnd, word), 4), "other": "y"}
            assert isinstance(road.run(call(arguments, name=rnd.choice([None, "shown"]))), Refused), arguments
        assert road.sent == [] and road.log == []


class Rewriting(Stage):
    """A later stage that brings the word in."""

    name = "hooks"

    async def before(self, call: Call) -> Call | Outcome:
        return call.with_arguments({**call.arguments, "b": "rm -rf /"})


def test_a_call_that_a_later_stage_changed_is_judged_again() -> None:
    road = Road(built({"contains": "rm -rf"}), Rewriting())
    assert refused(road.run(call({"a": "x"}))).stage == "guardrails" and road.sent == []


# --- the page ---

def shown(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


ENTRIES = jsonc.read(shown("json")[0]).data
ROWS = re.findall(r"^\| `(\w+__\w+)` \| `(.*)` \| (passes|refused by `(.*)`) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("name, arguments, what, rule", ROWS)
def test_the_table_of_the_page_is_true(name: str, arguments: str, what: str, rule: str) -> None:
    server, _, target = name.partition("__")
    found = run(built(*ENTRIES["guardrails"]).before(call(json.loads(arguments), server=server, target=target)))
    assert isinstance(found, Call) if what == "passes" else refused(found).rule == rule


def test_the_page_shows_the_text_of_a_refusal() -> None:
    asked = call({"message": "WIP: parser"}, server="git", target="commit")
    assert refused(run(built(*ENTRIES["guardrails"]).before(asked))).text == shown("text")[0].strip()
    assert len(ROWS) == 9


def test_the_patterns_that_the_page_calls_refused_are_and_what_it_offers_is_not() -> None:
    rows = re.findall(r"^\| `([^`]*)` \| [^|`]* \| (?:`([^`]*)` )?\|$", PAGE.partition("### Regular")[2], re.MULTILINE)
    assert len(rows) == 6
    for bad, good in rows:
        with pytest.raises(ValueError):
            patterns.certify(bad)
        assert patterns.certify(good)
