"""Short cuts in the text of an object: sure, or said not to be."""
from __future__ import annotations

import pytest

from shack_gateway.catalog.texts import only_place, place_of, replaced, without


@pytest.mark.parametrize("text, at", [
    ('{"name":"x"}', 8),
    ('{ "a" : 1 , "name" : "x"}', 21),
    ('{"a":"the \\"name\\" of it","name":5}', 33),
    ('{"name":"x","a":["name"]}', -1),
    ('{"a":["name"],"n\\u0061me":"x"}', -1),
    ('{"a":{"name":1},"name":"x"}', -1),
    ('{"name":"x","n\\u0061me":"y"}', -1),
    ('{"name":"x","a":"\\u00e9"}', -1),
    ('{"other":"x"}', -1),
], ids=lambda value: str(value)[:40])
def test_the_only_place_of_a_member_is_told_when_it_is_certain(text: str, at: int) -> None:
    assert only_place(text, "name") == at


@pytest.mark.parametrize("text, at", [
    ('{"d":"x"}', 5),
    ('{"d" : "\\u0078"}', 7),
    ('{"a":{"d":"x"},"d":"x"}', 10),    # another member's value, but the same text
    ('{"a":{"d":"y"},"d":"x"}', -1),
    ('{"a":["d"],"d":"x"}', -1),
    ('{"d":5}', -1),
    ('{}', -1),
], ids=lambda value: str(value)[:40])
def test_a_place_is_told_where_the_very_value_can_be_read(text: str, at: int) -> None:
    assert place_of(text, "d", "x") == at


def test_a_value_is_replaced_and_nothing_else() -> None:
    assert replaced('{"a" : {"b":[1, 2]} , "c":3}', 7, '"n"') == '{"a" : "n" , "c":3}'


@pytest.mark.parametrize("text, left", [
    ('{"a":1,"x":{"y":[1]},"b":2}', '{"a":1,"b":2}'),
    ('{"a":1 , "x" : null }', '{"a":1  }'),
    ('{"x":1,"b": 2}', '{"b": 2}'),
    ('{"x":1}', '{}'),
    ('{"a":1,"x":1,"b":[","],"x":2}', '{"a":1,"b":[","]}'),
    ('{"a":{"x":1},"x":2}', '{"a":{"x":1}}'),
    ('{"a":","}', '{"a":","}'),
], ids=lambda value: str(value)[:40])
def test_a_member_is_taken_out_and_nothing_else(text: str, left: str) -> None:
    assert without(text, "x") == left
