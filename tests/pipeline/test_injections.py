"""Injections put the owner's arguments into calls, change nothing else, and are judged like anything else."""
from __future__ import annotations

import copy
import json
import posixpath
import random
import re
from typing import Any

import pytest

from kit.corridor import Road, call, ports, read, refused, run, stage
from kit.hooking import Shell, specific
from kit.host import ROOT
from shack_gateway.config import jsonc
from shack_gateway.errors import FAILURES
from shack_gateway.pipeline.call import PROMPT, RESOURCE, Call, Outcome, Refused
from shack_gateway.pipeline.chain import Stage
from shack_gateway.pipeline.stages import ORDER, guardrails, hooks, injections, permissions, sandbox

PAGE = (ROOT / "shack_gateway" / "docs" / "guardrails.md").read_text(encoding="utf-8")
PAGE = PAGE.partition("\n## Injections")[2].partition("\n## Dry run")[0]


def built(*entries: dict[str, Any]) -> Stage:
    found = stage(injections, ports(), injections=list(entries))
    assert found is not None
    return found


def sent(entries: list[dict[str, Any]], arguments: dict[str, Any], **how: Any) -> Any:
    """The arguments as they go on; the call's own are never touched, nor are the configuration's."""
    asked, kept, written = call(arguments, **how), copy.deepcopy(arguments), copy.deepcopy(entries)
    found: Call | Outcome = run(built(*entries).before(asked))
    assert asked.arguments == kept and entries == written
    assert isinstance(found, (Call, Refused))
    return found.arguments if isinstance(found, Call) else found


SET, DEFAULT = {"set": {"a": 1}}, {"default": {"a": 1}}
TEXT, LIST = {"append": {"a": "+"}}, {"append": {"a": ["+"]}}


@pytest.mark.parametrize("entries, arguments, expected", [
    ([SET], {}, {"a": 1}), ([SET], {"a": 2, "b": 3}, {"a": 1, "b": 3}), ([SET], {"a": None}, {"a": 1}),
    ([SET], {"a": {"x": 1}}, {"a": 1}),
    ([{"set": {"a": None}}], {"a": 2}, {"a": None}), ([{"set": {"a": {"b": [1]}}}], {}, {"a": {"b": [1]}}),
    ([DEFAULT], {}, {"a": 1}), ([DEFAULT], {"a": 2}, {"a": 2}), ([DEFAULT], {"a": None}, {"a": 1}),
    ([DEFAULT], {"a": False}, {"a": False}),
    ([DEFAULT], {"a": ""}, {"a": ""}), ([DEFAULT], {"a": 0}, {"a": 0}),
    ([TEXT], {"a": "x"}, {"a": "x+"}), ([TEXT], {}, {"a": "+"}), ([TEXT], {"a": None}, {"a": "+"}),
    ([TEXT], {"a": ""}, {"a": "+"}),
    ([LIST], {"a": ["x"]}, {"a": ["x", "+"]}), ([LIST], {}, {"a": ["+"]}), ([LIST], {"a": []}, {"a": ["+"]}),
    ([LIST], {"a": None}, {"a": ["+"]}),
    ([SET, DEFAULT | {"default": {"a": 9}}], {}, {"a": 1}), ([TEXT, {"append": {"a": "!"}}], {"a": "x"}, {"a": "x+!"}),
    ([{"append": {"a": "!"}, "set": {"a": "s"}}], {"a": "x"}, {"a": "s!"}),
    ([{"append": {"a": "!"}, "default": {"a": "d"}}], {}, {"a": "d!"}),
    ([{"set": {"a.b": 1}}], {"a": {"b": 2}}, {"a": {"b": 2}, "a.b": 1}), ([{"tool": "x__*", **SET}], {}, {}),
], ids=str)
def test_what_is_sent(entries: list[dict[str, Any]], arguments: dict[str, Any], expected: dict[str, Any]) -> None:
    assert json.dumps(sent(entries, arguments), sort_keys=True) == json.dumps(expected, sort_keys=True)


@pytest.mark.parametrize("entry, value, said", [
    (TEXT, ["x"], "a string cannot be appended to argument `a` of `fs__read`, which is a list. Make it a string"),
    (LIST, "x", "a list cannot be appended to argument `a` of `fs__read`, which is a string. Make it a list"),
    (TEXT, 5, "which is a number"), (TEXT, {"x": 1}, "which is an object"), (LIST, True, "which is true"),
    (LIST, 0, "which is a number"),
], ids=str)
def test_what_cannot_be_appended_refuses_the_call(entry: dict[str, Any], value: Any, said: str) -> None:
    found = refused(sent([{"set": {"b": 1}}, entry], {"a": value}))
    assert found.text.startswith("injections[1]: ") and said in found.text
    assert (found.stage, found.rule) == ("injections", "injections[1]") and "injections" in FAILURES


@pytest.mark.parametrize("entries, arguments", [
    ([SET], {"a": 1, "b": 2}), ([DEFAULT], {"a": 2}), ([{"tool": "x__*", **SET}], {}),
    ([{"set": {"a": [True, {"b": None}]}}], {"a": [True, {"b": None}]}),
], ids=str)
def test_a_call_that_is_right_already_goes_on_as_the_very_same(
    entries: list[dict[str, Any]], arguments: dict[str, Any],
) -> None:
    asked = call(arguments)
    assert run(built(*entries).before(asked)) is asked


@pytest.mark.parametrize("before, after", [(True, 1), (1, True), (1.0, 1), ([1], [True])], ids=str)
def test_equal_is_not_the_same(before: Any, after: Any) -> None:
    assert json.dumps(sent([{"set": {"a": after}}], {"a": before})) == json.dumps({"a": after})


@pytest.mark.parametrize("how, meant", [
    ({}, True), ({"kind": PROMPT}, True), ({"kind": RESOURCE}, False), ({"name": "shown"}, True),
    ({"target": "write"}, False),
])
def test_which_calls_are_changed(how: dict[str, Any], meant: bool) -> None:
    assert sent([{"tool": "fs__read", **SET}], {}, **how) == ({"a": 1} if meant else {})
    assert sent([SET], {"uri": "x"}, kind=RESOURCE) == {"uri": "x"}


def test_what_is_injected_is_judged_by_the_gates_before() -> None:
    gates = [
        stage(sandbox, ports("/ws", realpath=lambda path: path)),
        stage(permissions, ports("/ws", realpath=lambda path: path), permissions={"deny": ["fs__read(rm -rf:*)"]}),
        stage(guardrails, ports(), guardrails=[{"contains": "secret"}]),
    ]
    for by, arguments in (("sandbox", {"path": "/etc/passwd"}), ("permissions", {"command": "rm -rf /"}),
                          ("guardrails", {"x": "secret"})):
        road = Road(*[gate for gate in gates if gate is not None], built({"set": arguments}))
        assert refused(road.run(call({"y": 1}))).stage == by and road.sent == [] and road.log == []


def test_hooks_see_what_is_injected() -> None:
    names = [file.name for file in ORDER]
    assert names.index("injections") < names.index("hooks")


@pytest.mark.parametrize("seed", range(3))
def test_whatever_comes_what_is_set_is_sent(seed: int) -> None:
    rnd = random.Random(seed)
    road = Road(built({"tool": "fs__*", "set": {"token": "ours", "n": 0}, "append": {"tags": ["ours"]}}))
    values: list[Any] = [None, True, 1, "x", [], ["y"], {}, {"token": "theirs"}]
    for _ in range(200):
        keys = rnd.sample(["token", "n", "tags", "Token", "", "x"], k=rnd.randint(0, 6))
        arguments = {key: rnd.choice(values) for key in keys}
        outcome, count = road.run(call(arguments)), len(road.sent)
        if isinstance(outcome, Refused):
            assert not isinstance(arguments["tags"], list) and arguments["tags"] is not None
            continue
        final = road.sent[count - 1].arguments
        assert (final["token"], final["n"], final["tags"][-1]) == ("ours", 0, "ours")
        assert {key: value for key, value in final.items() if key in ("Token", "", "x")} == {
            key: value for key, value in arguments.items() if key in ("Token", "", "x")}
    assert len(road.sent) > 50


def test_why_shows_what_is_put_in() -> None:
    first, last = {"set": {"a": "é"}, "append": {"b": [1]}}, {"default": {"d": None}}
    found = built(first, {"tool": "x__*", "set": {"c": 1}}, last)
    said = "injections[0]: sets `a`, appends to `b`; injections[2]: gives `d` where it is missing"
    assert found.why(call()) == said
    assert found.why(call(kind=RESOURCE)) == ""


def test_why_is_empty_for_a_tool_that_no_entry_is_about() -> None:
    assert built({"tool": "x__*", "set": {"c": 1}}).why(call()) == ""


def test_a_renamed_tool_is_refused_under_the_name_it_was_called_by() -> None:
    said = refused(run(built({"append": {"a": "x"}}).before(call({"a": 5}, name="fs__get"))))
    assert "`fs__get`" in said.text and "fs__read" not in said.text


def test_without_injections_there_is_no_stage() -> None:
    assert stage(injections, ports()) is None and stage(injections, ports(), injections=[]) is None


@pytest.mark.parametrize("entries, said", [
    ({}, "error `injections` must be a list of objects, not an object"), (["x"], "`injections[0]` must be an object"),
    ([{}], "error `injections[0]` changes nothing Add one of `set`, `default`, `append`."),
    ([{"set": {}}], "changes nothing"),
    ([{"set": [1]}], "`injections[0].set` must be an object"),
    ([{"default": "x"}], "`injections[0].default` must be an object"),
    ([{"append": {"a": 5}}], "error `injections[0].append.a` must be a text or a list: nothing else can be appended"),
    ([{"append": {"a": None}}], "`injections[0].append.a` must be a text or a list"),
    ([{"tool": " ", **SET}], "`injections[0].tool` is empty"),
    ([{"tool": "read", **SET}], "warning `injections[0].tool` can never match"),
    ([{"sett": {"a": 1}, **DEFAULT}], "Did you mean `set`?"),
    ([{**SET, **DEFAULT}], "warning `injections[0].default.a` has no effect"),
    ([{"tool": 5, **SET}], "`injections[0].tool` must be a string"),
], ids=str)
def test_what_is_wrong_with_an_entry_is_said_with_its_place(entries: Any, said: str) -> None:
    _, found = read(injections, injections=entries)
    assert any(said in finding for finding in found), found


ENTRIES = jsonc.read(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0]).data["injections"]
ROWS = re.findall(r"^\| `(\w+__\w+)` \| `(.*)` \| (?:`(\{.*\})`|refused by `(.*)`) \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("name, arguments, expected, rule", ROWS)
def test_the_table_of_the_page_is_true(name: str, arguments: str, expected: str, rule: str) -> None:
    road, (server, _, target) = Road(*gates(), built(*ENTRIES)), name.partition("__")
    outcome = road.run(call(json.loads(arguments), server=server, target=target))
    if rule:
        assert rule in (refused(outcome).rule, refused(outcome).stage) and road.sent == []
    else:
        assert road.sent[0].arguments == json.loads(expected)


def gates() -> list[Stage]:
    """The sandbox, with the folder of the page's example as the workspace."""
    gate = stage(sandbox, ports("/home/me/project", realpath=posixpath.normpath))
    assert gate is not None
    return [gate]


def test_the_page_has_its_table() -> None:
    assert len(ROWS) == 7


def test_a_hook_may_change_what_was_set_and_is_judged_as_the_page_says() -> None:
    example = json.loads(re.findall(r"with `(\{.*?\})` in its `updatedInput`", PAGE)[0])
    for rewritten, arrives in ((example, True), ({"repo_path": "/tmp"}, False)):
        shell = Shell(specific("PreToolUse", permissionDecision="allow", updatedInput=rewritten))
        hook = stage(hooks, ports("/home/me/project", run_hook=shell.run), hooks={"PreToolUse": [{"hooks": [
            {"type": "command", "command": "0"}]}]})
        assert hook is not None
        road = Road(*gates(), built(*ENTRIES), hook)
        outcome = road.run(call({"max": 5}, server="git", target="log"))
        assert shell.read[0]["tool_input"] == {"max": 5, "repo_path": "/home/me/project"}
        assert [each.arguments for each in road.sent] == ([rewritten] if arrives else [])
        assert arrives or refused(outcome).stage == "sandbox"
