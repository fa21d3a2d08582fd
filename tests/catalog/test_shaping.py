"""What the owner lets be seen: left out before names are given, renamed, or found but shown nowhere."""
from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kit.corridor import call
from kit.listings import listing, tool
from shack_gateway.catalog.entries import PROMPT, RESOURCE, TOOL, Catalog, Listing, Way
from shack_gateway.catalog.facts import NO_FACTS
from shack_gateway.catalog.meta_tools import Answers, ServerRow, tool_not_found
from shack_gateway.catalog.render import Lists
from shack_gateway.catalog.shaping import READ, ServerShape, Shape, globs, idle, told
from shack_gateway.errors import RequestError
from shack_gateway.pipeline.arguments import policy_name


def shaped(listings: Mapping[str, Listing], *hidden: str, **servers: Any) -> Catalog:
    return Catalog(listings, shape=Shape(
        {name: ServerShape(**given) for name, given in servers.items()}, globs(hidden) if hidden else None))


def shown(found: Catalog) -> list[str]:
    return [entry.name for entry in found.tools]


ABC = {"s": listing(["a", "ab", "b", "c"])}


@pytest.mark.parametrize(("shape", "names"), [
    ({}, ["a", "ab", "b", "c"]),
    ({"include": ("a*",)}, ["a", "ab"]),
    ({"include": ()}, []),
    ({"include": ("a", "c", "zz")}, ["a", "c"]),
    ({"exclude": ("?",)}, ["ab"]),
    ({"exclude": ("*",)}, []),
    ({"include": ("a*", "c"), "exclude": ("ab",)}, ["a", "c"]),
    ({"include": ("a",), "exclude": ("a",)}, []),
    ({"include": ("A",)}, []),
    ({"exclude": ("s__a",)}, ["a", "ab", "b", "c"]),
    ({"exclude": ("[ab]",)}, ["a", "ab", "b", "c"]),
    ({"rename": {"a": "first", "zz": "y"}}, ["first", "ab", "b", "c"]),
    ({"rename": {"a": "b", "b": "a"}}, ["b", "ab", "a", "c"]),
    ({"rename": {"a": "first"}, "include": ("first",)}, []),
    ({"rename": {"a": "first"}, "include": ("a",)}, ["first"]),
    ({"rename": {"a": "b"}, "exclude": ("b",)}, ["b", "ab", "c"]),
], ids=str)
def test_a_server_has_the_tools_that_its_entry_leaves_it(shape: Any, names: list[str]) -> None:
    assert shown(shaped(ABC, s=shape)) == [f"s__{name}" for name in names]


def test_a_bracket_in_a_pattern_is_a_letter() -> None:
    assert shown(shaped({"s": listing(["[a]x", "ax"])}, s={"exclude": ("[a]*",)})) == ["s__ax"]


def test_include_exclude_and_rename_leave_prompts_and_other_servers_alone() -> None:
    one = listing(["a"], prompts=["a"], resources=["x:a"])
    found = shaped({"s": one, "t": one}, s={"include": ("b",), "rename": {"a": "z"}})
    assert shown(found) == ["t__a"]
    assert [entry.name for entry in found.prompts] == ["s__a", "t__a"]
    assert len(found.resources) == 2


def test_a_renamed_tool_is_called_by_its_new_name_only_and_sent_under_its_own() -> None:
    found = shaped(ABC, s={"rename": {"a": "first"}})
    entry = found.tool("s__first")
    assert entry is not None and (entry.target, entry.verbatim) == ("a", "s__a")
    assert found.tool("s__a") is None
    assert "s__first" in [each["name"] for each in json.loads(Lists(found).page(TOOL, stateless=True).array)]
    assert found.facts("s", "a").listed


def test_a_new_name_that_is_taken_is_settled_as_any_collision_and_said() -> None:
    found = shaped(ABC, s={"rename": {"c": "a"}})
    first, other = found.tool("s__a"), found.tools[3]
    assert first is not None and first.target == "a"
    assert other.target == "c" and other.name.startswith("s__a_") and found.tool(other.name) is other
    [note] = found.notes
    assert note == ("`s__a` is a name of two things of `s`: it means the first of them; the other is called "
                    f"`{other.name}`")


def test_a_new_name_that_hosts_refuse_is_shown_in_another_form() -> None:
    found = shaped({"s": listing(["a"])}, s={"rename": {"a": "x" * 80}})
    [entry] = found.tools
    assert len(entry.name) == 64 and found.tool("s__" + "x" * 80) is entry


# Hidden

LONG = "y" * 80


def everything(found: Catalog, name: str) -> str:
    """All texts that a host may get of a catalog, in one."""
    lists = [Lists(found).page(kind, stateless=stateless).array.decode()
             for kind in (TOOL, PROMPT, RESOURCE) for stateless in (True, False)]
    answers = Answers(found)
    texts = [answers.list_tools({}), answers.list_tools({"query": name}), answers.list_tools({"server": "s"}),
             answers.list_servers({}, [ServerRow("s", "ready")])]
    near = tool_not_found(name[:-1] + "q", found)
    with pytest.raises(RequestError) as unknown:
        answers.describe_tool({"name": name})
    return "\n".join([*lists, *texts, str(near), str(near.data), str(unknown.value.data)])


@pytest.mark.parametrize(("hidden", "own"), [
    ("s__secret_tool", "secret_tool"), ("s__secret*", "secret_tool"), ("*secret*", "secret_tool"),
    ("s__secret?tool", "secret_tool"), (f"s__{LONG}", LONG),
])
def test_what_is_hidden_is_nowhere(hidden: str, own: str) -> None:
    given = {"s": listing([tool(own, "Does it."), "other"], prompts=[own, "p"])}
    entry = Catalog(given).tools[0]
    found = shaped(given, hidden)
    assert (shown(found), [each.name for each in found.prompts]) == (["s__other"], ["s__p"])
    for name in (entry.name, entry.verbatim):
        assert found.tool(name) is None and found.prompt(name) is None
        text = everything(found, name)
        assert own not in text.replace(name, "").replace(name[:-1] + "q", "") and "Does it" not in text
        assert '"tool_count":1' in text
    assert found.facts("s", own) is NO_FACTS


@pytest.mark.parametrize("hidden", ["s__a b", "s__a_b_*"])
def test_a_tool_of_two_names_is_hidden_by_either(hidden: str) -> None:
    given = {"s": listing(["a b", "c"])}
    assert Catalog(given).tools[0].name.startswith("s__a_b_")
    assert shown(shaped(given, hidden)) == ["s__c"]


@pytest.mark.parametrize("hidden", ["s__a", "s__new"])
def test_a_renamed_tool_is_hidden_by_either_name(hidden: str) -> None:
    assert shown(shaped({"s": listing(["a", "b"])}, hidden, s={"rename": {"a": "new"}})) == ["s__b"]


def test_a_renamed_tool_is_hidden_by_a_new_name_that_is_too_long_to_be_shown() -> None:
    assert shown(shaped({"s": listing(["a", "b"])}, f"s__{LONG}", s={"rename": {"a": LONG}})) == ["s__b"]


def test_what_is_hidden_takes_no_name_from_others() -> None:
    """`a` + `b__c` and `a__b` + `c` have one name; the first of them keeps it, unless there is no first."""
    given = {"a": listing(["b__c"]), "a__b": listing(["c"])}
    other = Catalog(given).tools[1].name
    assert other != "a__b__c"
    assert shown(shaped(given, a={"exclude": ("*",)})) == ["a__b__c"]
    assert shown(shaped(given, other)) == ["a__b__c"]


def test_a_hidden_resource_cannot_be_found_by_any_uri() -> None:
    given = {"s": listing(resources=["x:a"], templates=["x:{a}"], serves_resources=True),
             "t": listing(resources=["x:a", "y:b"])}
    found = shaped(given, f"s__{READ}")
    assert [entry.server for entry in found.resources] == ["t", "t"] and not found.templates
    assert found.ways("x:a") == (Way("t", "x:a"),)
    found.remember("s", "z:z")
    for uri in ("shack://s/x%3Aa", "shack://s/z%3Az"):
        assert found.ways(uri) == () and found.resource(uri) is None
    assert found.ways("z:z") == (Way("t", "z:z"),)


def test_what_only_a_hidden_server_lists_is_asked_of_nobody() -> None:
    given = {"s": listing(resources=["x:a", "x:b"], serves_resources=True), "t": listing(serves_resources=True),
             "u": listing(templates=["x:b{?q}"])}
    found = shaped(given, f"s__{READ}")
    assert found.ways("x:a") == () and found.ways("x:c") == (Way("t", "x:c"), Way("u", "x:c"))
    assert found.ways("x:b") == (Way("u", "x:b"),)


def test_the_name_for_reading_resources_is_the_one_that_policy_knows() -> None:
    assert policy_name(call(server="s", target="x:a", kind="resource", name="x:a")) == f"s__{READ}"


@pytest.mark.parametrize("seed", range(40))
def test_a_catalog_is_as_if_the_hidden_had_never_been_listed(seed: int) -> None:
    rng = random.Random(seed)
    names = ["a", "b", "a__b", "b__a", "a b", "a.b", "z" * 70, "shack_x", "é", "B"]
    given = {server: rng.sample(names, rng.randrange(len(names))) for server in ("s", "s__a", "t u")}
    patterns = rng.sample(["a", "b*", "*b", "?", "z*", "a?b"], 2)
    shape = {server: {"exclude": tuple(patterns)} for server in given}
    gone = globs(patterns)
    found = shaped({server: listing(tools) for server, tools in given.items()}, **shape)
    never = Catalog({server: listing([name for name in tools if not gone(name)]) for server, tools in given.items()})
    assert [(e.server, e.target, e.name) for e in found.tools] == [(e.server, e.target, e.name) for e in never.tools]
    assert found._tools.keys() == never._tools.keys()
    hides = globs([f"{server}__{pattern}" for server in given for pattern in patterns])
    for entry in shaped({server: listing(tools) for server, tools in given.items()},
                        *(f"{server}__{pattern}" for server in given for pattern in patterns)).tools:
        assert not hides(entry.verbatim) and not hides(entry.name)


# Shown nowhere, but found


def unlisting(*names: str, ask: Callable[[Any], bool] = lambda facts: False) -> Shape:
    meant = globs(names)
    return Shape({}, None, lambda kind, called, facts: any(map(meant, called)) or (kind == TOOL and ask(facts())))


def test_what_is_unlisted_is_in_no_list_but_can_be_called() -> None:
    given = {"s": listing([tool("secret_tool", "Does it."), "other"], prompts=["secret_tool", "p"])}
    found = Catalog(given, shape=unlisting("s__secret_tool"))
    assert (shown(found), [entry.name for entry in found.prompts]) == (["s__other"], ["s__p"])
    assert found.tool("s__secret_tool") is not None and found.prompt("s__secret_tool") is not None
    text = everything(found, "s__secret_tool")
    assert "secret_tool" not in text.replace("s__secret_tool", "").replace("s__secret_tooq", "")
    assert '"tool_count":1' in text and found.gone == {}


def test_unlisted_resources_are_found_but_not_shown() -> None:
    given = {"s": listing(resources=["x:a"], templates=["x:{a}"]), "t": listing(resources=["y:b"])}
    found = Catalog(given, shape=unlisting(f"s__{READ}"))
    assert [entry.name for entry in found.resources] == ["y:b"] and not found.templates
    assert found.ways("x:a") == (Way("s", "x:a"),)
    entry = found.resource("x:a")
    assert entry is not None and not found.is_shown(entry)


def test_what_is_unlisted_keeps_its_name_from_others() -> None:
    given = {"a": listing(["b__c"]), "a__b": listing(["c"])}
    [entry] = Catalog(given, shape=unlisting("a__b__c")).tools or (None,)
    assert entry is None  # both are called so
    found = Catalog(given, shape=Shape({}, None, lambda kind, called, facts: called == ("a__b__c",)))
    assert shown(found) == [Catalog(given).tools[1].name]


def test_tools_are_unlisted_by_what_they_say_of_themselves() -> None:
    given = {"s": listing(["get_a", "drop_a"], prompts=["drop_a"])}
    found = Catalog(given, shape=unlisting(ask=lambda facts: not facts.only_reads))
    assert (shown(found), len(found.prompts)) == (["s__get_a"], 1)


# What contradicts the lists, and what servers say


@pytest.mark.parametrize(("shape", "found"), [
    (ServerShape(), []),
    (ServerShape(("a", "x*"), ("y", "b"), {"b": "c", "z": "w", "a": "q"}),
     [("include", "x*"), ("exclude", "y"), ("rename", "b"), ("rename", "z")]),
    (ServerShape(("*",), ("b*",)), []),
])
def test_what_is_about_no_tool_can_be_told(shape: ServerShape, found: list[tuple[str, str]]) -> None:
    assert list(idle(shape, Catalog({"s": listing(["a", "b"])}).own_names("s"))) == found


def test_a_catalog_knows_the_own_names_of_all_that_is_listed() -> None:
    found = shaped(ABC, "s__b", s={"exclude": ("a",)})
    assert found.own_names("s") == {"a", "ab", "b", "c"} and found.own_names("t") == frozenset()
    assert Catalog({"s": listing(["a"], prompts=["p"])}).own_names("s") == {"a", "p"}


@pytest.mark.parametrize(("text", "left"), [
    ("Use add. Then drop_all! Then list.", "Use add. Then list."),
    ("Use add.\nUse s__drop_all to end.\nBye", "Use add. Bye"),
    ("Never drop_all_tables. Fine.", "Never drop_all_tables. Fine."),
    ("`drop_all`", ""),
    ("x-drop_all and drop_all-x", "x-drop_all and drop_all-x"),
    ("my_drop_all, then (drop_all)", ""),
    ("drop_all.", ""),
    ("nothing", "nothing"), ("", ""),
])
def test_instructions_do_not_name_what_is_gone(text: str, left: str) -> None:
    assert told(text, {"drop_all", "zzz"}) == left
    assert told(text, ()) == text


def test_a_catalog_knows_the_names_that_are_gone() -> None:
    found = shaped({"s": listing(["a", "b", "c"], prompts=["p"]), "t": listing(["a"])}, "s__p", "*__n",
                   s={"exclude": ("a",), "rename": {"b": "n"}})
    assert found.gone == {"s": {"a", "b", "n", "p"}}
