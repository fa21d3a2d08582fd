"""What one server lists, and all of them together."""
from __future__ import annotations

import json

import pytest

from kit.listings import catalog, items, listing, tool
from shack_gateway.catalog.entries import PROMPT, RESOURCE, TEMPLATE, TOOL, Catalog, Listing, Way, read_items, read_page
from shack_gateway.catalog.uris import Seen
from shack_gateway.wire.splice import elements

# --- one server's list -----------------------------------------------------------------------------------------------


def test_a_page_is_read_with_its_items_as_they_were_written() -> None:
    first, second = '{"name":"a" , "x":1e400,"n":12345678901234567890}', '{"description":"d","name":"b"}'
    page = read_page(TOOL, f'{{ "tools" : [ {first}, {second} ],"nextCursor":"c" }}')
    assert [item.text for item in page.items] == [first, second]
    assert [item.target for item in page.items] == ["a", "b"]
    assert (page.cursor, page.ttl_ms, page.private, page.notes) == ("c", 0, True, ())


@pytest.mark.parametrize("members, cursor, ttl, private", [
    ('"nextCursor":"","ttlMs":5,"cacheScope":"public"', "", 5, False),
    ('"nextCursor":null,"ttlMs":-5,"cacheScope":"private"', None, 0, True),
    ('"nextCursor":7,"ttlMs":true,"cacheScope":1', None, 0, True),
    ('"ttlMs":1.5', None, 0, True),
    ('"ttlMs":99999999999999999999', None, 2**31 - 1, True),
], ids=["all", "nulls and negative", "wrong types", "float", "huge"])
def test_what_a_page_says_of_itself_is_checked(members: str, cursor: str | None, ttl: int, private: bool) -> None:
    text = f'{{"tools":[],{members}}}'
    for value in (None, json.loads(text)):
        page = read_page(TOOL, text, value)
        assert (page.cursor, page.ttl_ms, page.private) == (cursor, ttl, private)


def test_a_value_that_was_read_already_is_not_read_again() -> None:
    page = read_page(TOOL, '{"tools":[{"name":"a"}],"nextCursor":"text"}', {"tools": [{}], "nextCursor": "value"})
    assert ([item.target for item in page.items], page.cursor) == (["a"], "value")


@pytest.mark.parametrize("text", ["{}", '{"tools":{}}', '{"tools":null}', "[]", '{"tools":[', "", '{"tools":[NaN]}',
                                  '{"tools":' + "[" * 100_000 + "]" * 100_000 + "}"], ids=lambda text: text[:20])
def test_what_is_no_list_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        read_page(TOOL, text)


@pytest.mark.parametrize("value", [None, {"tools": ["x"]}], ids=["text only", "with the value"])
def test_the_word_tools_inside_a_tool_does_not_mislead(value: object) -> None:
    text = '{"_meta":{"tools":[{"name":"no"}]},"tools":[{"name":"yes"}]}'
    page = read_page(TOOL, text, value and json.loads(text))
    assert [item.target for item in page.items] == ["yes"]


@pytest.mark.parametrize("kind, bad, good", [
    (TOOL, ['{}', '{"name":""}', '{"name":5}', '{"name":null}', '"x"', "null", "[1]"], '{"name":"ok"}'),
    (PROMPT, ['{"name":["a"]}'], '{"name":"ok"}'),
    (RESOURCE, ['{"name":"x"}', '{"uri":1}'], '{"uri":"ok"}'),
    (TEMPLATE, ['{"uri":"x"}'], '{"uriTemplate":"ok"}'),
])
def test_what_has_no_usable_name_is_left_out_and_noted(kind: str, bad: list[str], good: str) -> None:
    found, notes = read_items(kind, elements("[" + ",".join([*bad, good, *bad]) + "]"))
    assert [item.target for item in found] == ["ok"]
    assert len(notes) == 1 and notes[0].startswith(f"{2 * len(bad)} {kind}s left out")


@pytest.mark.parametrize("text", [
    '{"name":"n","description":"right"}',
    '{"description":"right","name":"n"}',
    '{"inputSchema":{"properties":{"description":{"type":"string"},"name":{}}},"name":"n","description":"right"}',
    '{"name":"n","description":"\\u0072ight"}',
    '{"name":"n","descriptio\\u006e":"right"}',
    '{"name":"n","annotations":{"description":"wrong"},"description":"right"}',
    '{"name":"n","description":"wrong","description":"right"}',
    '{"name":"n","x":"description","description":"right"}',
])
def test_the_description_is_found_wherever_it_stands(text: str) -> None:
    entry = Catalog({"s": listing([text])}).tools[0]
    assert (entry.target, entry.description) == ("n", "right")


@pytest.mark.parametrize("text", ['{"name":"n"}', '{"name":"n","description":null}', '{"name":"n","description":["x"]}',
                                  '{"name":"n","inputSchema":{"description":"x"}}'])
def test_what_is_no_description_is_none(text: str) -> None:
    assert Catalog({"s": listing([text])}).tools[0].description == ""


# --- names -----------------------------------------------------------------------------------------------------------


def test_tools_are_called_by_server_and_name() -> None:
    found = catalog(fs=["read", "a b"], git=["read"])
    assert [(e.name, e.server, e.target) for e in found.tools if e.target == "read"] == [
        ("fs__read", "fs", "read"), ("git__read", "git", "read")]
    odd = found.tool("fs__a b")
    assert odd is not None and odd.target == "a b" and odd.name != "fs__a b" and found.tool(odd.name) is odd
    assert odd.verbatim == "fs__a b"
    assert found.tool("read") is None and found.tool("fs__nope") is None and found.tool("fs__Read") is None


def test_the_first_of_two_tools_of_one_server_is_kept_and_noted() -> None:
    found = catalog(fs=[tool("t", "first"), tool("t", "second"), "u"])
    assert [e.description for e in found.tools] == ["first", ""]
    assert found.notes == ("server `fs` lists a tool twice, the first is kept: `t`",)


def test_many_doubles_make_one_short_note() -> None:
    found = catalog(fs=[f"t{number}" for number in range(100)] * 3)
    assert len(found.tools) == 100
    assert [note.count("`") // 2 for note in found.notes] == [6] and found.notes[0].endswith(", ...")


def test_what_is_ambiguous_is_settled_for_the_first_server_and_noted() -> None:
    found = catalog(a=["b__c"], a__b=["c"])
    first, second = found.tools
    assert found.tool("a__b__c") is first and found.tool(second.name) is second and second.server == "a__b"
    assert len(found.notes) == 1


def test_a_server_with_a_reserved_name_can_be_called_both_ways() -> None:
    found = catalog(shack_x=["t"])
    entry = found.tool("shack_x__t")
    assert entry is not None and not entry.name.startswith("shack_") and found.tool(entry.name) is entry


def test_no_server_can_take_the_name_of_a_meta_tool() -> None:
    found = catalog(shack=["list_tools"], shack_=["list_tools"], s=["hack_list_tools"])
    assert found.tool("shack_list_tools") is None
    assert not any(e.name.startswith("shack_") for e in found.tools)


def test_prompts_have_names_of_their_own() -> None:
    found = Catalog({"s": listing(["x"], prompts=["x", "y"])})
    prompt = found.prompt("s__x")
    assert prompt is not None and prompt.kind == PROMPT
    assert found.tool("s__y") is None and found.prompt("s__y") is not None


def test_a_catalog_of_nothing_answers_nothing() -> None:
    found = Catalog({})
    assert (found.tools, found.ways("x://y"), found.tool("a__b"), found.freshness(5)) == ((), (), None, (0, "private"))


# --- URIs ------------------------------------------------------------------------------------------------------------


def two(**more: object) -> Catalog:
    return Catalog({
        "a": listing(resources=["x://1", "x://both"], templates=["t://{id}", "long://fixed/{id}"]),
        "b": listing(resources=["x://2", "x://both", "no scheme", "shack://a/x%3A%2F%2F1"],
                     templates=["t://{id}", "long://{+all}"]),
        "c": listing(["tool"]),
    }, **more)  # type: ignore[arg-type]


def test_the_first_server_keeps_a_uri_and_the_other_is_shown_in_our_scheme() -> None:
    assert [(e.name, e.server) for e in two().resources] == [
        ("x://1", "a"), ("x://both", "a"), ("x://2", "b"), ("shack://b/x%3A%2F%2Fboth", "b"),
        ("shack://b/no%20scheme", "b"), ("shack://b/shack%3A%2F%2Fa%2Fx%253A%252F%252F1", "b")]
    assert [e.name for e in two().templates] == ["t://{id}", "long://fixed/{id}", "shack://b/t://{id}", "long://{+all}"]


@pytest.mark.parametrize("uri, ways", [
    ("x://1", [("a", "x://1")]),
    ("x://both", [("a", "x://both")]),
    ("shack://b/x%3A%2F%2Fboth", [("b", "x://both")]),
    ("shack://a/x%3A%2F%2Fboth", [("a", "x://both")]),
    ("shack://a/x%3A%2F%2F1", [("a", "x://1")]),                # not the one of `b` that pretends to be it
    ("shack://c/anything%3A1", [("c", "anything:1")]),
    ("shack://nobody/x%3A1", []),
    ("t://7", [("a", "t://7"), ("b", "t://7")]),
    ("shack://b/t://7%20", [("b", "t://7%20")]),
    ("long://fixed/7", [("a", "long://fixed/7"), ("b", "long://fixed/7")]),
    ("long://other/7", [("b", "long://other/7")]),
    ("unheard:of", [("a", "unheard:of"), ("b", "unheard:of")]),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_uri_leads_to_whom_it_belongs(uri: str, ways: list[tuple[str, str]]) -> None:
    assert list(two().ways(uri)) == [Way(*way) for way in ways]


def test_the_longest_fixed_part_goes_before_the_order_of_servers() -> None:
    found = Catalog({"a": listing(templates=["x://{+all}"]), "b": listing(templates=["x://deep/{id}"])})
    assert [way.server for way in found.ways("x://deep/1")] == ["b", "a"]


def test_a_link_in_a_result_goes_before_templates_but_behind_listed_ones() -> None:
    found = two()
    found.remember("b", "t://7")
    found.remember("b", "x://1")
    found.remember("gone", "t://8")
    assert [way.server for way in found.ways("t://7")] == ["b", "a"]
    assert [way.server for way in found.ways("x://1")] == ["a"]
    assert [way.server for way in found.ways("t://8")] == ["a", "b"]


def test_links_outlive_the_catalog() -> None:
    seen = Seen()
    two(seen=seen).remember("c", "new://1")
    assert two(seen=seen).ways("new://1") == (Way("c", "new://1"),)


def test_a_server_that_declares_resources_is_asked_though_it_lists_none() -> None:
    found = Catalog({"a": Listing(), "b": Listing(serves_resources=True), "c": listing(["t"])})
    assert found.ways("x://1") == (Way("b", "x://1"),)


def test_an_entry_is_found_by_its_uri_in_either_form() -> None:
    found = two()
    for uri, server in [("x://both", "a"), ("shack://b/x%3A%2F%2Fboth", "b"), ("shack://a/x%3A%2F%2Fboth", "a")]:
        entry = found.resource(uri)
        assert entry is not None and (entry.server, entry.target) == (server, "x://both")
    for uri, server in [("t://{id}", "a"), ("shack://b/t://{id}", "b"), ("shack://a/t://{id}", "a")]:
        entry = found.template(uri)
        assert entry is not None and (entry.server, entry.target) == (server, "t://{id}")
    assert found.resource("x://3") is None and found.resource("shack://c/x%3A1") is None
    assert found.template("t://7") is None


@pytest.mark.parametrize("server, uri, shown", [
    ("a", "x://1", "x://1"), ("a", "x://both", "x://both"), ("b", "x://both", "shack://b/x%3A%2F%2Fboth"),
    ("b", "no scheme", "shack://b/no%20scheme"), ("b", "x://1", "shack://b/x%3A%2F%2F1"),
    ("a", "t://7", "t://7"), ("b", "t://7", "shack://b/t%3A%2F%2F7"), ("b", "long://x", "long://x"),
    ("c", "some:thing", "shack://c/some%3Athing"),
])
def test_a_uri_that_a_host_may_be_shown_leads_to_its_server(server: str, uri: str, shown: str) -> None:
    found = two()
    assert found.ways(shown)[0] == Way(server, uri)


# --- freshness -------------------------------------------------------------------------------------------------------

PUBLIC = Listing(stateless=True, ttl_ms=1000, private=False)


@pytest.mark.parametrize("listings, handshake, ages, expected", [
    ([PUBLIC], 0, {}, (1000, "public")),
    ([PUBLIC, PUBLIC._replace(ttl_ms=400)], 0, {}, (400, "public")),
    ([PUBLIC, PUBLIC._replace(private=True)], 0, {}, (1000, "private")),
    ([PUBLIC, Listing()], 0, {}, (0, "private")),
    ([PUBLIC, Listing(ttl_ms=7)], 5000, {}, (1000, "private")),
    ([Listing()], 300, {"s0": 9999}, (300, "private")),
    ([PUBLIC], 0, {"s0": 700}, (300, "public")),
    ([PUBLIC], 0, {"s0": 1700}, (0, "public")),
    ([], 500, {}, (0, "private")),
    ([Listing(stateless=True, ttl_ms=9)], 0, {}, (9, "private")),
], ids=["one", "least", "one private", "handshake", "handshake with a setting", "handshake has no age", "age", "old",
        "none", "says nothing"])
def test_a_merged_list_lives_as_long_as_its_shortest_part(
    listings: list[Listing], handshake: int, ages: dict[str, int], expected: tuple[int, str]
) -> None:
    found = Catalog({f"s{number}": each for number, each in enumerate(listings)})
    assert found.freshness(handshake, ages) == expected


def test_items_can_be_shared_by_catalogs() -> None:
    shared = items(TOOL, [tool("x")])
    assert Catalog({"a": Listing(tools=shared)}).tools[0].item is Catalog({"b": Listing(tools=shared)}).tools[0].item
