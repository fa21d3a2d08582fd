"""What holds for every catalog, whatever servers list: tried on seeded random ones."""
from __future__ import annotations

import json
import random
from typing import Any

import pytest

from kit.listings import listing
from shack_gateway.catalog.entries import PROMPT, TOOL, Catalog, Listing
from shack_gateway.catalog.meta_tools import NAMES, Answers
from shack_gateway.catalog.names import fits
from shack_gateway.catalog.render import Lists
from shack_gateway.catalog.texts import replaced
from shack_gateway.wire.splice import elements

SERVERS = ["a", "a__b", "a__b__c", "A", "my server", "shack", "shack_x", "ü", "x" * 60, "a.b", "a_b", "_", "__"]
TARGETS = ["b", "c", "b__c", "b__c__d", "read", "Read", "a b", "a/b", "a_b", "a.b", "é", "\ud83d", "x" * 200, "x" * 201,
           "_", "__", "\n", "漢字", "name", '"', "\\", "shack_list_tools", "a_b_0a1b2c3d"]
TEXTS = ["plain", "", "two\nlines", "é 漢 \u2028", "\ud83d", '"name":"no"', "\\u0041", "x" * 300]


def random_tool(random_: random.Random) -> str:
    """A tool as one of many servers might write it: any order, any spacing, any escapes, faults included."""
    value: dict[str, Any] = {"name": random_.choice(TARGETS)}
    choices: dict[str, list[Any]] = {
        "description": [*TEXTS, None, 5], "title": ["T", None],
        "annotations": [{"readOnlyHint": True}, {"title": None}, None],
        "inputSchema": [{"type": "object"}, {"type": "object", "properties": {"name": {}}}, {}, None, "x"],
        "outputSchema": [{"type": "object"}, {"type": "array"}], "execution": [{"taskSupport": "optional"}, None],
        "_meta": [{"name": {"name": "x"}}], "big": [12345678901234567890, 1.5e300, 0.1], "list": [[1, {"name": "x"}]],
    }
    for key in random_.sample(sorted(choices), random_.randrange(len(choices))):
        value[key] = random_.choice(choices[key])
    pairs = list(value.items())
    random_.shuffle(pairs)
    separators = random_.choice([(",", ":"), (", ", ": "), (" ,\t", " : ")])
    return json.dumps(dict(pairs), separators=separators, ensure_ascii=random_.random() < 0.5)


def random_listings(random_: random.Random) -> dict[str, Listing]:
    return {server: listing([random_tool(random_) for _ in range(random_.randrange(12))])
            for server in random_.sample(SERVERS, random_.randrange(1, len(SERVERS)))}


@pytest.mark.parametrize("seed", range(40))
def test_every_listed_name_is_unique_fit_for_hosts_and_leads_to_exactly_its_tool(seed: int) -> None:
    random_ = random.Random(seed)
    listings, limit = random_listings(random_), random_.choice([24, 40, 64, 128])
    found = Catalog(listings, limit)
    shown = [entry.name for entry in found.tools]
    assert len(set(shown)) == len(shown)
    given = {(server, item.target) for server, each in listings.items() for item in each.tools}
    assert {(entry.server, entry.target) for entry in found.tools} == given
    for entry in found.tools:
        assert fits(entry.name, limit) and entry.name not in NAMES
        assert found.tool(entry.name) is entry
        verbatim = found.tool(entry.verbatim)
        assert verbatim is not None and verbatim.verbatim == entry.verbatim
        if verbatim is not entry:
            order = list(listings)
            assert order.index(verbatim.server) < order.index(entry.server), "only an earlier server may have the name"
            assert any(entry.name in note for note in found.notes)


@pytest.mark.parametrize("seed", range(40))
def test_a_list_keeps_every_byte_but_the_names_and_the_faults(seed: int) -> None:
    random_ = random.Random(seed)
    found = Catalog(random_listings(random_))
    lists = Lists(found)
    by_name = {entry.name: entry for entry in found.tools}
    for stateless in (True, False):
        array = lists.page(TOOL, stateless=stateless).array
        assert [each["name"] for each in json.loads(array)] == sorted(by_name)
        for each, text in elements(array.decode()):
            entry = by_name[each["name"]]
            said = json.loads(entry.item.text)
            assert [key for key in each if key in said] == [key for key in said if key in each], "the order of members"
            assert each == _expected(said, entry.name, stateless)
            if entry.item.plain and not entry.item.tasks:
                changed = replaced(entry.item.text, entry.item.target_at, json.dumps(entry.name))
                assert text == changed.encode("utf-8", "backslashreplace").decode()


def _expected(said: dict[str, Any], name: str, stateless: bool) -> dict[str, Any]:
    """The tool as it should be shown, worked out on the parsed value."""
    expected = {**said, "name": name}
    expected.pop("execution", None)
    for key in ("description", "title", "annotations"):
        if not isinstance(said.get(key), dict if key == "annotations" else str):
            expected.pop(key, None)
    if said.get("annotations") == {"title": None}:
        expected["annotations"] = {}
    if not stateless and said.get("outputSchema") == {"type": "array"}:
        del expected["outputSchema"]
    if said.get("inputSchema", {}) in ({}, None, "x"):
        expected["inputSchema"] = {"type": "object"}
    return expected


@pytest.mark.parametrize("seed", range(10))
def test_the_same_servers_give_the_same_bytes(seed: int) -> None:
    first, second = (Catalog(random_listings(random.Random(seed))) for _ in range(2))
    for stateless in (True, False):
        for kind in (TOOL, PROMPT):
            assert Lists(first, 3).page(kind, stateless=stateless) == Lists(second, 3).page(kind, stateless=stateless)
    assert first.notes == second.notes
    assert Answers(first).list_tools(None) == Answers(second).list_tools(None)


@pytest.mark.parametrize("seed", range(10))
def test_every_tool_is_listed_and_can_be_described(seed: int) -> None:
    found = Catalog(random_listings(random.Random(seed)))
    answers = Answers(found)
    rows = json.loads(answers.list_tools({}))["tools"]
    assert [row["name"] for row in rows] == sorted(entry.name for entry in found.tools)
    for row in rows:
        said = json.loads(answers.describe_tool({"name": row["name"]}))
        assert (said["name"], said["server"]) == (row["name"], row["server"])


@pytest.mark.parametrize("seed", range(20))
def test_every_listed_resource_leads_to_its_server_and_back(seed: int) -> None:
    random_ = random.Random(seed)
    uris = ["x://1", "x://2", "no scheme", "", "shack://a/x%3A%2F%2F1", "shack://a/", "file:///ü", "x://1#f", "%41:b"]
    found = Catalog({server: listing(resources=random_.sample(uris, random_.randrange(len(uris))))
                     for server in random_.sample(SERVERS, 4)})
    assert len({entry.name for entry in found.resources}) == len(found.resources)
    for entry in found.resources:
        assert [tuple(way) for way in found.ways(entry.name)] == [(entry.server, entry.target)]
        assert found.resource(entry.name) is entry
