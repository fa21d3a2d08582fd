"""wire/splice.py: editing JSON in its own text, and reading no JSON that is none."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from shack_gateway.wire.splice import DECODER, edit, elements, members, scan

ODD = '{ "b" : 1.10 ,\n"a":[1 , {"x":"}"}], "ü☃\\u2028":"\\"", "b":-0.0 , "e":{} }'


def test_members_tell_where_each_value_stands() -> None:
    found, end = members(ODD)
    assert end == len(ODD)
    assert [m.key for m in found] == ["b", "a", "ü☃\u2028", "b", "e"]
    assert [ODD[m.value_start : m.end] for m in found] == ["1.10", '[1 , {"x":"}"}]', '"\\""', "-0.0", "{}"]
    assert all(json.loads(ODD[m.value_start : m.end]) == m.value for m in found)


def test_elements_come_with_their_own_text() -> None:
    assert elements('[ 1.0 ,"a", [2 ] ,{} ]') == [(1.0, "1.0"), ("a", '"a"'), ([2], "[2 ]"), ({}, "{}")]
    assert elements(" [ ] ") == []


@pytest.mark.parametrize(
    "changes, add, result",
    [
        ({}, [], ODD),
        ({"a": "[]"}, [], '{"b" : 1.10,"a":[],"ü☃\\u2028":"\\"","b":-0.0,"e":{} }'),
        ({"b": None}, [], '{"a":[1 , {"x":"}"}],"ü☃\\u2028":"\\"","e":{} }'),
        ({}, [("n", "1")], '{"n":1,"b" : 1.10,"a":[1 , {"x":"}"}],"ü☃\\u2028":"\\"","b":-0.0,"e":{} }'),
        ({}, [("e", "2")], '{"b" : 1.10,"a":[1 , {"x":"}"}],"ü☃\\u2028":"\\"","b":-0.0,"e":2 }'),
        ({"nobody": "5"}, [], ODD),
    ],
    ids=["nothing", "replaced", "dropped at both places", "added in front", "added in its old place", "not there"],
)
def test_an_edit_changes_what_it_names_and_no_other_value(changes: dict[str, Any], add: list[Any], result: str) -> None:
    assert json.loads(edit(ODD, changes, add=add)) == json.loads(result)
    kept = [m for m in members(ODD)[0] if m.key not in changes and m.key not in dict(add)]
    edited = edit(ODD, changes, add=add)
    assert all(ODD[m.start : m.end] in edited for m in kept)


@pytest.mark.parametrize(
    "text, add, result",
    [
        ("{}", [], {}),
        ("{ }", [("a", "1")], {"a": 1}),
        ('{"a":1}', [("a", "2")], {"a": 2}),
        ('{"a":1}', [('é"', "2")], {"a": 1, 'é"': 2}),
    ],
)
def test_small_objects_are_edited_too(text: str, add: list[tuple[str, str]], result: Any) -> None:
    assert json.loads(edit(text, {}, add=add)) == result
    assert json.loads(edit(text, dict.fromkeys(json.loads(text)), add=[])) == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"a"}',
        '{"a":}',
        '{"a":1',
        '{"a":1,}',
        "{1:2}",
        '{"a" 1}',
        '{"a":1 "b":2}',
        '{"a":NaN}',
        "{'a':1}",
        "null",
    ],
)
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        members(text)


@pytest.mark.parametrize("text", ["", "{}", "[", "[1", "[1,]", "[1 2]", "[Infinity]"])
def test_what_is_no_array_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        elements(text)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_words_that_only_python_knows_are_no_json(constant: str) -> None:
    with pytest.raises(ValueError):
        DECODER.decode(constant)
    with pytest.raises(ValueError):
        scan(f"[{constant}]", 0)


def test_scan_gives_the_place_behind_the_value() -> None:
    assert scan('x{"a":[1]} rest', 1) == ({"a": [1]}, 10)
    with pytest.raises(ValueError):
        scan("  1", 0)


@pytest.mark.parametrize("seed", range(30))
def test_an_edit_means_what_it_means_to_a_parsed_object(seed: int) -> None:
    rng = random.Random(seed)
    values = [1, 'a"}', [1, {"b": None}], {"c": "\u2028"}, None, True, 1.5, "", "ü" * 9]
    for _ in range(40):
        whole = {f"k{rng.randrange(6)}": rng.choice(values) for _ in range(rng.randrange(6))}
        text = json.dumps(whole, indent=rng.choice([None, 0, 2]), ensure_ascii=rng.random() < 0.5)
        changes = {f"k{rng.randrange(8)}": rng.choice([None, "7"]) for _ in range(rng.randrange(3))}
        add = {f"k{rng.randrange(9)}": "8" for _ in range(rng.randrange(3))}
        expected = {
            key: 7 if changes.get(key) else value for key, value in whole.items() if changes.get(key, "") is not None
        }
        expected = {
            **dict.fromkeys(add, 8),
            **expected,
            **{key: 8 for key in add if key in whole or key not in expected},
        }
        found = json.loads(edit(text, dict(changes), add=list(add.items())))
        assert found == expected, f"seed {seed}: {text} {changes} {add}"
