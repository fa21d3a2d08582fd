"""What policy may know of a tool: read from whatever a server wrote."""
from __future__ import annotations

import json
import random
from typing import Any

import pytest

from kit.listings import listing, tool
from shack_gateway.catalog.entries import Catalog
from shack_gateway.catalog.facts import CHANGING, NO_FACTS, READING, Facts, facts, words


def of(name: str, **members: Any) -> Facts:
    return facts(name, json.dumps({"name": name, **members}))


@pytest.mark.parametrize(("name", "found"), [
    ("read_file", ["read", "file"]), ("read-file.now", ["read", "file", "now"]), ("readFile", ["read", "file"]),
    ("READ_FILE", ["read", "file"]), ("getHTTPStatus", ["get", "http", "status"]), ("aBCd", ["a", "b", "cd"]),
    ("get2nd", ["get", "nd"]), ("delete/all things", ["delete", "all", "things"]), ("", []), ("__", []), ("é", []),
    ("get_Ünder", ["get", "nder"]), ("DeleteALL", ["delete", "all"]),
])
def test_words_of_a_name_are_told_apart(name: str, found: list[str]) -> None:
    assert words(name) == found


@pytest.mark.parametrize(("name", "hints", "only_reads"), [
    ("get_file", None, True),
    ("getFile", None, True),
    ("status", None, True),
    ("frobnicate", None, False),
    ("file_get", None, False),
    ("", None, False),
    ("log", None, True),
    ("log_event", None, False),
    ("get_file", {"readOnlyHint": False}, False),
    ("frobnicate", {"readOnlyHint": True}, True),
    ("frobnicate", {"readOnlyHint": True, "destructiveHint": False}, True),
    ("frobnicate", {"readOnlyHint": True, "destructiveHint": True}, False),
    ("get_file", {"destructiveHint": True}, False),
    ("delete_file", {"readOnlyHint": True}, False),
    ("get_and_delete", {"readOnlyHint": True}, False),
    ("fileDelete", {"readOnlyHint": True}, False),
    ("FILE-DELETE", {"readOnlyHint": True}, False),
    ("list_settings", None, True),
    ("list_settings", {"readOnlyHint": "false"}, True),
    ("frobnicate", {"readOnlyHint": "true"}, False),
    ("frobnicate", {"readOnlyHint": 1}, False),
    ("frobnicate", [{"readOnlyHint": True}], False),
    ("get_x", "readOnlyHint", True),
])
def test_a_tool_only_reads_by_its_name_and_annotations(name: str, hints: Any, only_reads: bool) -> None:
    assert of(name, **({} if hints is None else {"annotations": hints})).only_reads is only_reads


@pytest.mark.parametrize("word", [
    "delete", "remove", "write", "create", "update", "set", "add", "edit", "move", "rename", "push", "send", "run",
    "exec", "execute", "kill", "drop", "insert", "put", "post", "patch", "merge", "close", "approve", "install",
    "upload",
])
def test_a_word_of_change_weighs_more_than_a_hint(word: str) -> None:
    for name in (word, f"get_{word}", f"get{word.title()}Now", f"{word.upper()}.all"):
        assert not of(name, annotations={"readOnlyHint": True}).only_reads, name


def test_no_word_says_both() -> None:
    assert not CHANGING & READING


@pytest.mark.parametrize(("hint", "says"), [(True, True), (False, False), (None, None), ("true", None), (1, None)])
def test_what_it_says_itself_is_told_as_it_says_it(hint: Any, says: bool | None) -> None:
    assert of("x", annotations={"readOnlyHint": hint}).says_read_only is says


@pytest.mark.parametrize(("schema", "arguments"), [
    ({"type": "object", "properties": {"a": {}, "b": {"properties": {"c": {}}}}}, {"a", "b"}),
    ({"properties": {}}, set()), ({"properties": ["a"]}, set()), ({"properties": None}, set()), ({}, set()),
    ([], set()), ("x", set()), (None, set()), (True, set()), ({"properties": {"": 5, "\ud800": False}}, {"", "\ud800"}),
])
def test_arguments_are_the_top_level_properties(schema: Any, arguments: set[str]) -> None:
    assert of("x", inputSchema=schema).arguments == arguments


@pytest.mark.parametrize("text", [
    "", "[]", "null", "7", "{", '"x"', "[" * 100_000, '{"inputSchema":' * 5_000,
    '{"annotations": {"readOnlyHint": NaN}}',
], ids=range(9))
def test_there_are_facts_whatever_the_text_is(text: str) -> None:
    found = facts("x", text)
    assert (found.listed, found.arguments, found.says_read_only, found.only_reads) == (True, frozenset(), None, False)


@pytest.mark.parametrize("seed", range(60))
def test_no_object_breaks_it(seed: int) -> None:
    rng = random.Random(seed)
    values: list[Any] = [None, True, 0, "", "x", [], {}, ["readOnlyHint"], {"properties": 5}, {"readOnlyHint": None},
                         {"properties": {"a": 1}}, {"readOnlyHint": True}]
    value = {key: rng.choice(values) for key in ("inputSchema", "annotations", "name") if rng.random() < 0.8}
    found = facts("frobnicate", json.dumps(value))
    assert found.only_reads is (value.get("annotations") == {"readOnlyHint": True})


def test_a_catalog_knows_its_tools_by_server_and_own_name_and_reads_each_once() -> None:
    found = Catalog({"a": listing([tool("get_x"), tool("y" * 90)]), "b": listing([tool("get_x", annotations={
        "readOnlyHint": False})])})
    assert found.facts("a", "get_x") == Facts(True, frozenset({"path"}), None, True)
    assert found.facts("b", "get_x") == Facts(True, frozenset({"path"}), False, False)
    assert found.facts("a", "y" * 90).listed
    assert found.facts("a", "get_x") is found.facts("a", "get_x")


@pytest.mark.parametrize("asked", [("a", "a__get_x"), ("", "get_x"), ("c", "get_x"), ("a", "p"), ("a", "")])
def test_nothing_is_known_of_what_no_server_lists(asked: tuple[str, str]) -> None:
    assert Catalog({"a": listing(["get_x"], prompts=["p"])}).facts(*asked) is NO_FACTS
