"""The four meta-tools: what they cost, what they say."""
from __future__ import annotations

import json
from typing import Any

import pytest

from kit.listings import SCHEMA, catalog, listing, tool
from shack_gateway.catalog import meta_tools
from shack_gateway.catalog.entries import Catalog
from shack_gateway.catalog.meta_tools import Answers, ServerRow, tool_not_found, unknown_meta_tool, unwrap_call
from shack_gateway.catalog.search import Finder, summary
from shack_gateway.errors import FAILURES, RequestError

FOUND = catalog(
    fs=[tool("read_file", "Read a file. Whole."), tool("write_file", "Write a file\nwith care")],
    git=[tool("status"), tool("log", "Show the history of FILES")],
)
ANSWERS = Answers(FOUND)


def refused(kind: str, text: str) -> Any:
    return pytest.raises(RequestError, match=text)


# --- definitions -----------------------------------------------------------------------------------------------------


def test_the_surface_is_small() -> None:
    assert len(b'{"tools":' + meta_tools.ARRAY + b"}") <= 1100


def test_the_definitions_are_in_the_order_of_0_1_0_and_say_how_they_act() -> None:
    tools = json.loads(meta_tools.ARRAY)
    assert [each["name"] for each in tools] == [
        "shack_list_tools", "shack_describe_tool", "shack_call_tool", "shack_list_servers"] == list(meta_tools.NAMES)
    assert [each["annotations"].get("readOnlyHint", False) for each in tools] == [True, True, False, True]
    for each in tools:
        assert each["description"] and each["inputSchema"]["type"] == "object"
        assert each["_meta"] == {"anthropic/alwaysLoad": True}
    assert [each["inputSchema"].get("required") for each in tools] == [None, ["name"], ["name"], None]
    assert [list(each["inputSchema"]["properties"]) for each in tools] == [
        ["query", "server"], ["name"], ["name", "arguments"], []]


# --- summaries -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("description, expected", [
    ("Read a file. Whole.", "Read a file"),
    ("Uses v1.2 of it", "Uses v1"),
    ("One line\nand another", "One line"),
    ("One line\nand. another", "One line\nand"),
    ("x" * 140, "x" * 140),
    ("x" * 141, "x" * 137 + "..."),
    ("x" * 141 + ".", "x" * 137 + "..."),
    ("", "(no description provided)"),
    (" . ", "(no description provided)"),
    (".hidden", "(no description provided)"),
    ("  padded  ", "padded"),
], ids=["dot", "dot in a version", "line", "dot behind a line", "140", "141", "141 to the dot", "none", "blank",
        "dot first", "padded"])
def test_a_summary_is_cut_as_0_1_0_cut_it(description: str, expected: str) -> None:
    assert summary(description) == expected


# --- shack_list_tools ------------------------------------------------------------------------------------------------


def listed(arguments: Any = None, **more: Any) -> dict[str, Any]:
    return json.loads(ANSWERS.list_tools(arguments, **more))  # type: ignore[no-any-return]


def test_all_tools_are_listed_sorted_by_name() -> None:
    assert listed() == {"tools": [
        {"name": "fs__read_file", "server": "fs", "summary": "Read a file"},
        {"name": "fs__write_file", "server": "fs", "summary": "Write a file"},
        {"name": "git__log", "server": "git", "summary": "Show the history of FILES"},
        {"name": "git__status", "server": "git", "summary": "(no description provided)"},
    ], "count": 4}


@pytest.mark.parametrize("arguments, names", [
    ({}, ["fs__read_file", "fs__write_file", "git__log", "git__status"]),
    ({"query": ""}, ["fs__read_file", "fs__write_file", "git__log", "git__status"]),
    ({"query": None, "server": None}, ["fs__read_file", "fs__write_file", "git__log", "git__status"]),
    ({"query": "FILE"}, ["fs__read_file", "fs__write_file", "git__log"]),
    ({"query": "care"}, ["fs__write_file"]),
    ({"query": "whole"}, ["fs__read_file"]),
    ({"query": "git__"}, ["git__log", "git__status"]),
    ({"query": "no description"}, ["git__status"]),
    ({"server": "git"}, ["git__log", "git__status"]),
    ({"server": "Git"}, []),
    ({"server": "git", "query": "file"}, ["git__log"]),
    ({"server": "fs", "query": "history"}, []),
    ({"query": "read file"}, []),
], ids=str)
def test_the_query_is_a_substring_and_the_server_exact(arguments: dict[str, Any], names: list[str]) -> None:
    answer = listed(arguments)
    assert [each["name"] for each in answer["tools"]] == names
    assert answer["count"] == len(names)


def test_a_tool_is_found_by_its_verbatim_name_too() -> None:
    odd = catalog(s=["a b"])
    assert [e.target for e in Finder(odd.tools).find("s__a b")] == ["a b"]
    assert [e.target for e in Finder(odd.tools).find("s__a_b_")] == ["a b"]


def test_where_nothing_matches_the_nearest_are_named_but_not_as_matches() -> None:
    near = ["fs__read_file", "fs__write_file"]
    assert listed({"query": "raed_file"}) == {"tools": [], "count": 0, "did_you_mean": near}
    assert listed({"query": "zzzzzz"}) == {"tools": [], "count": 0, "did_you_mean": []}
    answer = listed({"server": "gti", "query": "log"})
    assert answer["count"] == 0 and answer["did_you_mean"] == ["git"] and "`gti`" in answer["hint"]
    assert listed({"server": "git", "query": "read_file"})["did_you_mean"] == []


def test_servers_that_are_missing_are_named() -> None:
    both = listed({"query": "log"}, starting=("z", "y"), down=("x",))
    assert both["missing"] == {"starting": ["y", "z"], "down": ["x"]}
    assert listed({"query": "log"}, down=("x",))["missing"] == {"down": ["x"]}
    assert listed({"server": "git"}, starting=("y",), down=("x",)).keys() == {"tools", "count"}
    assert listed({"server": "y"}, starting=("y",)) == {"tools": [], "count": 0, "missing": {"starting": ["y"]}}


def test_the_answer_is_compact_and_can_always_be_encoded() -> None:
    odd = Answers(catalog(s=['{"name":"t","description":"\\ud83d größe"}']))
    said = odd.list_tools(None), odd.describe_tool({"name": "s__t"}), odd.list_servers(None, [ServerRow("\ud83d", "x")])
    for text in said:
        assert '": ' not in text and json.loads(text.encode())


# --- shack_describe_tool ---------------------------------------------------------------------------------------------


def test_a_tool_is_described_as_its_server_wrote_it() -> None:
    given, returned, hints = '{"type":"object", "x":1e400}', '{ "type":"array" }', '{"readOnlyHint" : true}'
    text = (f'{{"name":"t","title":"T","description":"d","inputSchema":{given},"outputSchema":{returned},'
            f'"annotations":{hints},"execution":{{}},"icons":[],"_meta":{{"a/b":1}}}}')
    assert Answers(catalog(s=[text])).describe_tool({"name": "s__t"}) == (
        f'{{"name":"s__t","server":"s","description":"d","inputSchema":{given},"title":"T",'
        f'"annotations":{hints},"outputSchema":{returned}}}')


def test_what_a_server_left_out_is_filled_in_as_0_1_0_did() -> None:
    said = json.loads(Answers(catalog(s=['{"name":"t","title":null}'])).describe_tool({"name": "s__t"}))
    assert said == {"name": "s__t", "server": "s", "description": "", "inputSchema": {"type": "object"}}


def test_a_tool_is_described_under_the_name_that_was_asked_for() -> None:
    odd = catalog(s=["a b"])
    for name in ("s__a b", odd.tools[0].name):
        assert json.loads(Answers(odd).describe_tool({"name": name}))["name"] == name


@pytest.mark.parametrize("arguments", [None, {}, {"name": None}, {"name": ""}])
def test_a_description_without_a_name_is_refused_in_the_words_of_0_1_0(arguments: Any) -> None:
    with pytest.raises(RequestError) as caught:
        ANSWERS.describe_tool(arguments)
    assert (caught.value.kind, str(caught.value)) == ("bad params", "unknown tool: (missing 'name')")


def test_an_unknown_tool_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(RequestError) as caught:
        ANSWERS.describe_tool({"name": "fs__raed_file"})
    assert str(caught.value) == "unknown tool: fs__raed_file; did you mean `fs__read_file` or `fs__write_file`?"
    assert caught.value.kind == "bad params"
    assert caught.value.data == {"did_you_mean": ["fs__read_file", "fs__write_file"]}
    with pytest.raises(RequestError) as caught:
        ANSWERS.describe_tool({"name": "zzzzzz"})
    assert str(caught.value) == "unknown tool: zzzzzz" and caught.value.data is None


def test_a_long_or_strange_name_is_not_thrown_back_whole() -> None:
    with pytest.raises(RequestError) as caught:
        ANSWERS.describe_tool({"name": "\x1b[31m\u202e" + "x" * 100_000})
    assert len(str(caught.value)) < 500 and str(caught.value).isprintable()


# --- shack_list_servers ----------------------------------------------------------------------------------------------


def test_every_configured_server_is_told_about() -> None:
    rows = [ServerRow("git", "ready", "handshake", "2025-11-25"),
            ServerRow("dead", "failed", last_error="exit 1\x1b[0m" + "x" * 900),
            ServerRow("fs", "ready", "stateless", "2026-07-28")]
    dead, fs, git = json.loads(ANSWERS.list_servers({}, rows))["servers"]
    assert git == {"server": "git", "tool_count": 2, "tools": ["git__log", "git__status"], "state": "ready",
                   "era": "handshake", "protocol_version": "2025-11-25", "last_error": None}
    assert fs["tools"] == ["fs__read_file", "fs__write_file"] and fs["era"] == "stateless"
    assert (dead["tool_count"], dead["tools"], dead["state"], dead["era"]) == (0, [], "failed", None)
    assert dead["last_error"].startswith("exit 1\\u001b") and len(dead["last_error"]) <= 500


# --- arguments that do not fit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("call, arguments, says", [
    ("list_tools", {"query": 5}, "`query` must be a string"),
    ("list_tools", {"server": ["a"]}, "`server` must be a string"),
    ("list_tools", {"qurey": "x"}, "unknown argument `qurey`; it takes `query`, `server`"),
    ("list_tools", [], "`arguments` must be an object"),
    ("list_tools", "x", "`arguments` must be an object"),
    ("describe_tool", {"name": 123}, "`name` must be a string"),
    ("describe_tool", {"name": True}, "`name` must be a string"),
    ("describe_tool", {"name": {"a": 1}}, "`name` must be a string"),
    ("describe_tool", {"name": "fs__log", "x": 1}, "unknown argument `x`"),
    ("list_servers", 5, "`arguments` must be an object"),
    ("call", {"name": 123}, "`name` must be a string"),
    ("call", {"name": "x", "arguments": "{}"}, "`arguments` must be an object"),
    ("call", {"name": "x", "arguments": [1]}, "`arguments` must be an object"),
    ("call", {"name": "x", "path": "a"}, "unknown argument `path`; .* belong inside `arguments`"),
    ("call", {}, "missing 'name'"),
    ("call", None, "missing 'name'"),
    ("call", 7, "`arguments` must be an object"),
], ids=lambda value: str(value)[:30])
def test_arguments_that_do_not_fit_are_answered_clearly(call: str, arguments: Any, says: str) -> None:
    with pytest.raises(RequestError, match=says) as caught:
        if call == "call":
            unwrap_call(arguments)
        elif call == "list_servers":
            ANSWERS.list_servers(arguments, [])
        else:
            getattr(ANSWERS, call)(arguments)
    assert caught.value.kind == "bad params"


@pytest.mark.parametrize("arguments, expected", [
    ({"name": "a__b"}, ("a__b", {})),
    ({"name": "a__b", "arguments": None}, ("a__b", {})),
    ({"name": "a__b", "arguments": {"x": None}}, ("a__b", {"x": None})),
])
def test_a_call_is_unwrapped(arguments: dict[str, Any], expected: tuple[str, dict[str, Any]]) -> None:
    assert unwrap_call(arguments) == expected


# --- names that nobody has -------------------------------------------------------------------------------------------


def test_unknown_names_are_refused_in_the_words_of_0_1_0() -> None:
    error = tool_not_found("git__lgo", FOUND)
    assert str(error).startswith("tool not found: git__lgo; did you mean `git__log`")
    assert FAILURES[error.kind].handshake == -32601
    error = unknown_meta_tool("shack_list_tool")
    assert str(error).startswith("unknown gateway tool: shack_list_tool; did you mean `shack_list_tools`")
    assert FAILURES[error.kind].handshake == -32601
    assert "`shack_call_tool`" in str(unknown_meta_tool("shack_zzzzzzzzzz"))


def test_answers_of_an_empty_house() -> None:
    nothing = Answers(Catalog({}))
    assert json.loads(nothing.list_tools({})) == {"tools": [], "count": 0}
    assert json.loads(nothing.list_servers({}, [])) == {"servers": []}


def test_the_schema_in_the_kit_is_described_unchanged() -> None:
    assert json.loads(Answers(Catalog({"s": listing(["t"])})).describe_tool({"name": "s__t"}))["inputSchema"] == SCHEMA
