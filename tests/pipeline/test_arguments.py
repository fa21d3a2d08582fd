"""The whole tree of the arguments is walked, and keys say the same in every spelling."""
from __future__ import annotations

from typing import Any

import pytest

from kit.corridor import call
from shack_gateway.pipeline import arguments
from shack_gateway.pipeline.arguments import (
    DEPTH,
    KEY,
    LIST,
    PATH,
    SUBJECT,
    VALUE,
    key_says,
    leaves,
    place,
    policy_name,
)
from shack_gateway.pipeline.call import PROMPT, RESOURCE, TOOL
from shack_gateway.pipeline.stages import sandbox

PATH_KEYS = [
    "path", "paths", "Path", "PATH", "file_path", "filePath", "FILE-PATH", "filepath", "FilePath", "file", "path",
    "path2", "path_1", "notebook_path", "notebookPath", "directory", "dirs", "dirname", "directories", "sources",
    "destinations", "dir", "cwd", "source", "destination", "file",
    "files", "filename", "fileName", "filenames", "root", "roots", "target", "old_path", "newPath", "src", "dst",
    "dest", "output_path", "outputDir", "repo_path", "folder", "folders", "workdir", "working_directory", "subdir",
    "log_file", "input_file", "from", "to", "pathFilter", "relative_path", "absPath", "sourceFile", "target_files",
    "project_root",
]
OTHER_KEYS = [
    "text", "content", "name", "body", "title", "uri", "url", "command", "code", "query", "message", "pattern", "id",
    "limit", "rooted", "directive", "filed",
]


@pytest.mark.parametrize("key", PATH_KEYS)
def test_a_key_names_files_in_every_spelling(key: str) -> None:
    assert key_says(key) == PATH | SUBJECT


@pytest.mark.parametrize("key", OTHER_KEYS)
def test_another_key_does_not_name_files(key: str) -> None:
    assert not key_says(key) & PATH


@pytest.mark.parametrize("key", ["command", "Command", "COMMANDS", "url", "pattern", "query", "code", "message",
    "code_2"])
def test_subjects_of_rules_are_known_in_every_spelling(key: str) -> None:
    assert key_says(key) == SUBJECT


def test_long_keys_are_judged_like_short_ones() -> None:
    assert key_says("x" * 5000 + "_path") == PATH | SUBJECT
    assert key_says("x" * 5000) == 0


def test_long_keys_are_not_remembered() -> None:
    """What a caller makes up must not fill the memory."""
    remembered = [arguments._key_says, sandbox._calm_key]
    before = [cache.cache_info().currsize for cache in remembered]
    for at in range(50):
        key = "k" * 1000 + str(at)
        assert key_says(key) == 0
        assert sandbox._calm({key: 1}) is False, "the slower way judges it"
    assert [cache.cache_info().currsize for cache in remembered] == before


TREES: list[tuple[str, dict[str, Any], set[tuple[str, str, str]]]] = [
    ("flat", {"a": "x"}, {(KEY, "a", "a"), (VALUE, "x", "a")}),
    ("no text", {"a": 1, "b": None, "c": True, "d": [], "e": {}}, {(KEY, k, k) for k in "abcde"}),
    ("nested", {"a": {"b": "x"}}, {(KEY, "a", "a"), (KEY, "b", "a.b"), (VALUE, "x", "a.b")}),
    ("list", {"a": ["x", "y"]}, {(KEY, "a", "a"), (VALUE, "x", "a[0]"), (VALUE, "y", "a[1]"), (LIST, "x y", "a")}),
    ("list of one", {"a": ["x"]}, {(KEY, "a", "a"), (VALUE, "x", "a[0]")}),
    ("mixed list", {"a": ["x", 1]}, {(KEY, "a", "a"), (VALUE, "x", "a[0]")}),
    ("lists in lists", {"a": [["x"]]}, {(KEY, "a", "a"), (VALUE, "x", "a[0][0]")}),
    ("objects in lists", {"a": [{"b": "x"}]}, {(KEY, "a", "a"), (KEY, "b", "a[0].b"), (VALUE, "x", "a[0].b")}),
]


@pytest.mark.parametrize("tree, found", [row[1:] for row in TREES], ids=[row[0] for row in TREES])
def test_every_text_is_found_with_its_place(tree: dict[str, Any], found: set[tuple[str, str, str]]) -> None:
    assert {(kind, text, place(trail)) for kind, text, _, _, trail in leaves(tree)} == found


@pytest.mark.parametrize("tree, own, above", [
    ({"path": "x"}, True, True),
    ({"path": ["x"]}, True, True),
    ({"path": [[["x"]]]}, True, True),
    ({"path": {"value": "x"}}, False, True),
    ({"path": [{"value": ["x"]}]}, False, True),
    ({"value": {"path": "x"}}, True, True),
    ({"value": {"value": "x"}}, False, False),
], ids=str)
def test_a_key_speaks_for_the_lists_below_it_and_is_remembered_deeper(tree: dict[str, Any], own: bool,
    above: bool) -> None:
    [(said, so_far)] = [(own, above) for kind, text, own, above, _ in leaves(tree) if (kind, text) == (VALUE, "x")]
    assert (bool(said & PATH), bool(so_far & PATH)) == (own, above)


def deep(levels: int, wrap: str) -> dict[str, Any]:
    """Arguments of so many levels, the outer object being the first."""
    node: Any = "x"
    for _ in range(levels - 1):
        node = [node] if wrap == "list" else {"a": node}
    return {"a": node}


@pytest.mark.parametrize("wrap", ["list", "object"])
def test_arguments_deeper_than_the_limit_raise_and_never_overflow(wrap: str) -> None:
    assert any(text == "x" for _, text, _, _, _ in leaves(deep(DEPTH, wrap)))
    for levels in (DEPTH + 1, 100_000):
        tree = deep(levels, wrap)
        with pytest.raises(RecursionError, match="200 levels"):
            list(leaves(tree))
        while isinstance(tree, (dict, list)):       # taken apart by hand: dropping it whole recurses in C
            tree = tree.pop() if isinstance(tree, list) else tree.pop("a")


@pytest.mark.parametrize("kind, name", [
    (TOOL, "fs__read"), (PROMPT, "fs__read"), (RESOURCE, "fs__resources/read"),
])
def test_policy_knows_a_call_by_one_name_however_the_host_spelt_it(kind: str, name: str) -> None:
    assert policy_name(call(kind=kind, name="fs__re_1a2b3c4d")) == name


@pytest.mark.parametrize("tree, found", [
    ({"command": "rm", "args": ["-rf", "/"]}, ["rm -rf /"]), ({"program": "rm", "ARGV": "-rf /"}, ["rm -rf /"]),
    ({"run": [{"cmd": "rm", "arguments": ["-rf", 5, None, "/"]}]}, ["rm -rf /"]), ({"command": "rm"}, []),
    ({"args": ["x"]}, []), ({"command": ["rm"], "args": ["x"]}, []), ({"command": "rm", "o": {"args": ["x"]}}, []),
    ({"command": "a", "cmd": "b", "args": ["c"], "params": ["d"]}, ["a c", "a d", "b c", "b d"]), ({}, []),
], ids=str)
def test_a_program_and_its_arguments_beside_it_are_one_text(tree: dict[str, Any], found: list[str]) -> None:
    assert list(arguments.invocations(tree)) == found


@pytest.mark.parametrize("key, word", [
    ("command", "command"), ("COMMANDS_2", "command"), ("Queries", "query"), ("-url-", "url"), ("filePath", "filepath"),
])
def test_a_key_has_one_word_in_every_spelling(key: str, word: str) -> None:
    assert arguments.key_word(key) == word and arguments.key_word("x" * 100 + key) == "x" * 100 + word
