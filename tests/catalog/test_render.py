"""The lists as a host reads them."""
from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from kit import schema
from kit.listings import SCHEMA, catalog, listing, tool
from shack_gateway.catalog.entries import PROMPT, RESOURCE, TEMPLATE, TOOL, Catalog
from shack_gateway.catalog.meta_tools import ARRAY
from shack_gateway.catalog.render import Lists
from shack_gateway.errors import RequestError

PLAIN = '"inputSchema":{"type":"object"}'


def rendered(text: str, kind: str = TOOL, *, stateless: bool = False, server: str = "s") -> str:
    """The one object that one server lists, as a host gets it."""
    key = {TOOL: "tools", PROMPT: "prompts", RESOURCE: "resources", TEMPLATE: "templates"}[kind]
    of_one = Catalog({server: listing(**{key: [text]})})
    return Lists(of_one).page(kind, stateless=stateless).array.decode()[1:-1]


# --- byte for byte ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    '{"name":"read","description":"d",' + PLAIN + '}',
    '{ "description" : "a \\u00e9 \\/ \u2028 é 漢" ,\t"name" : "read" , ' + PLAIN + ' }',
    '{' + PLAIN + ',"x":1e400,"n":12345678901234567890,"f":1.50,"name":"read","_meta":{"a/b":[1, 2 ,3]}}',
    '{"name":"read","inputSchema":{"$schema":"x","type":"object","properties":{"name":{"x":"y"}},"$defs":{"name":1}}}',
    '{"name":"read","icons":[{"src":"x:y"}],"annotations":{"idempotentHint":true,"own":null},' + PLAIN + '}',
])
def test_a_tool_leaves_byte_for_byte_but_for_its_name(text: str) -> None:
    expected = text.replace('"read"', '"s__read"', 1)
    for stateless in (False, True):
        assert rendered(text, stateless=stateless) == expected


def test_an_escaped_name_is_still_the_name_that_is_replaced() -> None:
    text = '{"n\\u0061me":"%s","x":"name",' + PLAIN + '}'
    assert rendered(text % "r\\u0065ad") == text % "s__read"


def test_a_name_that_is_written_twice_is_replaced_twice() -> None:
    """A host that reads the first one must not see another tool than a host that reads the last one."""
    text = rendered('{"name":"shack_call_tool","name":"read",' + PLAIN + '}')
    assert "shack_call_tool" not in text and text.count('"s__read"') == 2


def test_a_lone_surrogate_leaves_as_an_escape() -> None:
    text = '{"name":"read","description":"\ud83d",' + PLAIN + '}'
    raw = Lists(Catalog({"s": listing([text])})).page(TOOL, stateless=True).array
    assert json.loads(raw)[0]["description"] == "\ud83d" and b"\\ud83d" in raw


def test_a_description_that_is_missing_stays_missing() -> None:
    assert rendered('{"name":"read",' + PLAIN + '}') == '{"name":"s__read",' + PLAIN + '}'


def test_resources_templates_and_prompts_leave_byte_for_byte() -> None:
    resource = '{"uri" : "x://1","name":"n", "size" : 5,"annotations":{"audience":["user"],"priority":0.5}}'
    assert rendered(resource, RESOURCE) == resource
    template = '{"name":"n","uriTemplate":"x://{+uriTemplate}"}'
    assert rendered(template, TEMPLATE) == template
    prompt = '{"arguments":[{"name":"a","required":true}], "name":"p"}'
    assert rendered(prompt, PROMPT) == prompt.replace('"p"', '"s__p"')


def test_a_uri_that_another_server_has_is_replaced() -> None:
    one = listing(resources=["x://1"], templates=["t://{i}"])
    lists = Lists(Catalog({"a": one, "b": one}))
    shown = [json.loads(lists.page(kind, stateless=False).array) for kind in (RESOURCE, TEMPLATE)]
    assert [each["uri"] for each in shown[0]] == ["x://1", "shack://b/x%3A%2F%2F1"]
    assert [each["uriTemplate"] for each in shown[1]] == ["t://{i}", "shack://b/t://{i}"]


# --- what is mended --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("execution", [
    ',"execution":{"taskSupport":"forbidden"}', ', "execution" : { "taskSupport" : "optional" }', ',"execution":null',
    ',"execution":{"taskSupport":"required"},"execution":{}'])
def test_execution_is_dropped_for_every_host(execution: str) -> None:
    text = '{"name":"read",' + PLAIN + execution + ',"z":[1, 2]}'
    for stateless in (False, True):
        assert rendered(text, stateless=stateless) == '{"name":"s__read",' + PLAIN + ',"z":[1, 2]}'


def test_execution_that_is_not_the_tools_own_stays() -> None:
    inner = '"inputSchema":{"type":"object","properties":{"execution":{"type":"string"}}}'
    assert rendered('{"name":"read",' + inner + '}') == '{"name":"s__read",' + inner + '}'
    assert rendered('{"execution":{},"name":"read",' + inner + '}') == '{"name":"s__read",' + inner + '}'


@pytest.mark.parametrize("said, given", [
    ("", {"type": "object"}),
    (',"inputSchema":null', {"type": "object"}),
    (',"inputSchema":[]', {"type": "object"}),
    (',"inputSchema":"x"', {"type": "object"}),
    (',"inputSchema":{}', {"type": "object"}),
    (',"inputSchema":{"anyOf":[{"required":["a"]}]}', {"type": "object", "anyOf": [{"required": ["a"]}]}),
    (',"inputSchema":{"type":["object","null"],"x":1}', {"type": "object", "x": 1}),
    (',"inputSchema":{"type":"object","required":"a"}', {"type": "object"}),
    (',"inputSchema":{"x":1},"inputSchema":{"x":2}', {"type": "object", "x": 2}),
    (',"inputSchema":{"type":"object","properties":null,"required":null}', {"type": "object"}),
    (',"inputSchema":{"type":"object","properties":{"a":true,"b":false,"c":{"x":1}},"required":"a"}',
     {"type": "object", "properties": {"a": {}, "b": {"not": {}}, "c": {"x": 1}}}),
], ids=["missing", "null", "array", "text", "empty", "no type", "two types", "required", "twice",
        "nulls", "true and false"])
def test_an_input_schema_is_one_that_every_host_takes(said: str, given: dict[str, Any]) -> None:
    found = rendered('{"name":"read","k": 1' + said + '}')
    assert json.loads(found) == {"name": "s__read", "k": 1, "inputSchema": given}


@pytest.mark.parametrize("output, kept", [
    ('{"type":"object","properties":{"a":{}}}', True), ('{"type":"array","items":{}}', False),
    ('{"type":"string"}', False), ('{"anyOf":[{"type":"object"}]}', False), ("{}", False),
])
def test_an_output_schema_that_is_not_an_objects_is_kept_from_handshake_hosts_only(output: str, kept: bool) -> None:
    text = '{"name":"read",' + PLAIN + ',"outputSchema":' + output + ',"z": 1}'
    assert rendered(text, stateless=True) == text.replace('"read"', '"s__read"')
    without = '{"name":"s__read",' + PLAIN + ',"z": 1}'
    assert rendered(text, stateless=False) == (text.replace('"read"', '"s__read"') if kept else without)


@pytest.mark.parametrize("kind, bad, good", [
    (TOOL, {"description": None, "title": 5, "annotations": [], "outputSchema": True, "icons": {}, "_meta": "x"}, {}),
    (TOOL, {"annotations": {"title": None, "readOnlyHint": True, "idempotentHint": "no", "own": None}},
     {"annotations": {"readOnlyHint": True, "own": None}}),
    (TOOL, {"icons": [{"src": "a:b"}, {"mimeType": "x"}, None, {"src": "c:d", "sizes": None}]},
     {"icons": [{"src": "a:b"}, {"src": "c:d"}]}),
    (PROMPT, {"arguments": None, "description": False}, {}),
    (PROMPT, {"arguments": [{"name": "a", "description": None}, {"description": "no name"}, {"name": 5}, "x",
                            {"name": "b", "required": "yes", "own": 1}]},
     {"arguments": [{"name": "a"}, {"name": "b", "own": 1}]}),
    (RESOURCE, {"name": "n", "mimeType": None, "size": "5", "annotations": {"audience": ["user", 5], "priority": True}},
     {"name": "n", "annotations": {"audience": ["user"]}}),
    (RESOURCE, {"size": 1.5}, {"name": "x://1", "size": 1.5}),
    (RESOURCE, {"name": None}, {"name": "x://1"}),
    (TEMPLATE, {"name": 7, "mimeType": "a/b"}, {"name": "x://{i}", "mimeType": "a/b"}),
], ids=str)
def test_members_that_would_cost_the_host_the_whole_list_are_mended(
    kind: str, bad: dict[str, Any], good: dict[str, Any]
) -> None:
    identity, target, shown = {
        TOOL: ("name", "t", "s__t"), PROMPT: ("name", "t", "s__t"), RESOURCE: ("uri", "x://1", "x://1"),
        TEMPLATE: ("uriTemplate", "x://{i}", "x://{i}")}[kind]
    more = {"inputSchema": SCHEMA} if kind == TOOL else {}
    found = rendered(json.dumps({identity: target, **more, **bad}), kind)
    assert json.loads(found) == {identity: shown, **more, **good}


def test_one_servers_faults_leave_the_other_servers_bytes_alone() -> None:
    good = '{"name" : "x","inputSchema" : {"type":"object"}}'
    found = Catalog({"a": listing([good]), "b": listing([tool("y", annotations=None)])})
    assert Lists(found).page(TOOL, stateless=False).array.decode().startswith("[" + good.replace('"x"', '"a__x"') + ",")


# --- order, pages, modes ---------------------------------------------------------------------------------------------


def names(array: bytes) -> list[str]:
    return [each["name"] for each in json.loads(array)]


def test_tools_are_sorted_by_name_and_the_rest_is_in_the_order_of_config_and_server() -> None:
    found = Catalog({"z": listing(["b", "a"], prompts=["b", "a"], resources=["x:b", "x:a"]),
                     "a": listing(["c"], prompts=["c"])})
    lists = Lists(found)
    assert names(lists.page(TOOL, stateless=False).array) == ["a__c", "z__a", "z__b"]
    assert names(lists.page(PROMPT, stateless=False).array) == ["z__b", "z__a", "a__c"]
    assert [r["uri"] for r in json.loads(lists.page(RESOURCE, stateless=False).array)] == ["x:b", "x:a"]


def walk(lists: Lists, kind: str = TOOL) -> list[bytes]:
    pages, cursor = [], None
    while True:
        page = lists.page(kind, cursor, stateless=True)
        pages.append(page.array)
        if page.next_cursor is None:
            return pages
        cursor = page.next_cursor


@pytest.mark.parametrize("count, size, lengths", [
    (0, 3, [0]), (1, 3, [1]), (3, 3, [3]), (4, 3, [3, 1]), (7, 3, [3, 3, 1]), (2, 0, [1, 1])])
def test_pages_hold_everything_once(count: int, size: int, lengths: list[int]) -> None:
    found = catalog(s=[f"t{number}" for number in range(count)])
    pages = walk(Lists(found, size))
    assert [len(json.loads(page)) for page in pages] == lengths
    assert [name for page in pages for name in names(page)] == [f"s__t{number}" for number in range(count)]


def test_a_cursor_says_where_and_of_which_list_in_base64url() -> None:
    cursor = Lists(catalog(s=["a", "b"]), 1).page(TOOL, stateless=True).next_cursor
    assert cursor is not None and set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))) == {
        "offset": 1, "hash": json.loads(base64.urlsafe_b64decode(cursor + "=="))["hash"]}


@pytest.mark.parametrize(
    "cursor", ["", "x", "é", "eyJvZmZzZXQiOjB9", 5, True, {}, [], "A" * 100_000], ids=lambda cursor: repr(cursor)[:20])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_cursor_that_is_not_ours_is_refused(cursor: object, progressive: bool) -> None:
    with pytest.raises(RequestError, match="invalid cursor") as caught:
        Lists(catalog(s=["a", "b"]), 1, progressive).page(TOOL, cursor, stateless=True)
    assert caught.value.kind == "bad params"


def test_a_cursor_of_a_list_that_changed_is_refused() -> None:
    cursor = Lists(catalog(s=["a", "b"]), 1).page(TOOL, stateless=True).next_cursor
    assert Lists(catalog(s=["a", "b"]), 1).page(TOOL, cursor, stateless=True).next_cursor is None
    with pytest.raises(RequestError):
        Lists(catalog(s=["a", "c"]), 1).page(TOOL, cursor, stateless=True)
    with pytest.raises(RequestError):
        Lists(Catalog({"s": listing(["a", "b"], prompts=["a", "b"])}), 1).page(PROMPT, cursor, stateless=True)


def test_eras_share_a_list_unless_it_differs() -> None:
    same = Lists(catalog(s=["a"]))
    assert same.page(TOOL, stateless=True).array is same.page(TOOL, stateless=False).array
    other = Lists(catalog(s=["a", tool("b", outputSchema={"type": "array"})]))
    assert other.page(TOOL, stateless=True).array != other.page(TOOL, stateless=False).array


def test_a_cursor_of_one_era_is_no_cursor_of_the_other_where_lists_differ() -> None:
    lists = Lists(catalog(s=["a", tool("b", outputSchema={"type": "array"})]), 1)
    cursor = lists.page(TOOL, stateless=True).next_cursor
    with pytest.raises(RequestError):
        lists.page(TOOL, cursor, stateless=False)


def test_the_progressive_list_is_the_meta_tools_whatever_there_is() -> None:
    many = Lists(catalog(s=[tool(f"t{number}", outputSchema={}) for number in range(200)]), 10, progressive=True)
    for stateless in (True, False):
        assert many.page(TOOL, stateless=stateless) == ("tools", ARRAY, None)


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25", "2026-07-28"])
def test_lists_of_careless_servers_validate(version: str) -> None:
    schema.needed()
    stateless = version == "2026-07-28"
    found = Catalog({"s": listing(
        [tool("a", title=None, annotations={"title": None}, execution={"taskSupport": "optional"}), '{"name":"b"}',
         tool("c", outputSchema={"type": "array"}), '{"name":"d","inputSchema":{"properties":{"x":true}}}', "e f"],
        prompts=[{"name": "p", "arguments": [{"name": "x", "description": None}]}],
        resources=[{"uri": "x:1", "mimeType": None}, {"uri": "plain", "name": None}],
        templates=[{"uriTemplate": "x:{i}", "description": 5}])})
    lists = Lists(found)
    extra = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if stateless else {}
    for kind, name in [(TOOL, "ListToolsResult"), (PROMPT, "ListPromptsResult"), (RESOURCE, "ListResourcesResult"),
                       (TEMPLATE, "ListResourceTemplatesResult")]:
        page = lists.page(kind, stateless=stateless)
        assert schema.faults(version, name, {page.key: json.loads(page.array), **extra}) == []
    meta = {"tools": json.loads(ARRAY), **extra}
    assert schema.faults(version, "ListToolsResult", meta) == []
