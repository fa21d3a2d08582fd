"""Profiles make smaller and never larger; what they refuse whatever the arguments are is shown nowhere."""
from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from kit.corridor import Road, call, ports, read, refused, run, stage
from kit.host import ROOT
from kit.listings import listing, tool
from shack_gateway.catalog.entries import Catalog
from shack_gateway.catalog.facts import CHANGING, READING, Facts
from shack_gateway.catalog.shaping import ServerShape
from shack_gateway.config import jsonc
from shack_gateway.config.load import load
from shack_gateway.errors import ConfigError
from shack_gateway.pipeline.approval import Office
from shack_gateway.pipeline.call import PROMPT, RESOURCE, Call, Complete, Context, InputRequired, Outcome
from shack_gateway.pipeline.stages import permissions, profiles
from shack_gateway.pipeline.tools import named

PAGE = (ROOT / "shack_gateway" / "docs" / "profiles.md").read_text(encoding="utf-8")
PROFILES: dict[str, Any] = {
    "small": {"allow": ["fs__read", "fs__run(git status)"], "ask": ["fs__write"], "deny": ["fs__read(secret)"]},
    "smaller": {"extends": "small", "deny": ["fs__write(x)"]},
    "reads": {"extends": "readonly", "deny": ["fs__get_b"]},
    "denies": {"deny": ["fs__read", "git__*", "fs__write(x)"]},
    "hides": {"extends": "hides_more", "hidden": ["fs__a"]},
    "hides_more": {"hidden": ["fs__b"], "deny": ["x__y"]},
}


def facts_by_name(given: Call) -> Facts:
    return Facts(given.target != "gone", frozenset(), None, given.target.startswith("get"))


def chosen(name: str, *, office: Office | None = None) -> Any:
    built = stage(profiles, ports(facts=facts_by_name, office=office), profiles=PROFILES, profile=name)
    assert built is not None
    return built


def judge(name: str, given: Call, **more: Any) -> Any:
    return run(chosen(name, **more).before(given))


def office() -> Office:
    return Office(None, lambda rule: "", lambda: 0.0, str, 300, "")


# Reading


@pytest.mark.parametrize(("settings", "found"), [
    ({}, []),
    ({"hidden": ["a__b", "a__*", "*", "mcp__a__b"]}, []),
    ({"hidden": "a__b"}, ["error `hidden` must be a list of strings"]),
    ({"hidden": [5]}, ["error `hidden[0]` must be a string"]),
    ({"hidden": [" "]}, ["error `hidden[0]` is empty"]),
    ({"hidden": ["a__b(c)"]}, ["error `hidden[0]` hides whole tools"]),
    ({"hidden": ["ab"]}, ["warning `hidden[0]` can never match"]),
    ({"profiles": []}, ["error `profiles` must be an object"]),
    ({"profiles": {"_x": 5, "//": 5}}, []),
    ({"profiles": {"a": 5}}, ["error `profiles.a` must be an object"]),
    ({"profiles": {"a": {"denny": ["x__y"]}}}, ["error `profiles.a.denny` is not a key"]),
    ({"profiles": {"a": {"deny": ["x__y("]}}}, ["error `profiles.a.deny[0]` opens a `(`"]),
    ({"profiles": {"a": {"deny": "x__y"}}}, ["error `profiles.a.deny` must be a list"]),
    ({"profiles": {"a": {}}}, ["warning `profiles.a` changes nothing"]),
    ({"profiles": {"a": {"allow": []}}}, ["warning `profiles.a.allow` is empty"]),
    ({"profiles": {"a": {"deny": ["x__y"], "ask": ["x__y(z)"]}}}, ["warning `profiles.a.ask[0]` has no effect"]),
    ({"profiles": {"a": {"allow": ["*"]}}}, ["warning `profiles.a.allow[0]` is skipped: a rule that allows must name"]),
    ({"profiles": {"a": {"hidden": ["x__y()"]}}}, ["error `profiles.a.hidden[0]` hides whole"]),
    ({"profiles": {"readonly": {"deny": ["x__y"]}}}, ["error `profiles.readonly` has the name of a profile"]),
    ({"profiles": {" ": {"deny": ["x__y"]}}}, ['error `profiles[" "]` has no name']),
    ({"hidden": ["Bash"]}, ["warning `hidden[0]` can never match: `Bash` is a tool of the host, whose calls"]),
    ({"profiles": {"readonly": {"deny": ["x__y"]}, "a": {"extends": "b", "deny": ["x__z"]}}},
     ["error `profiles.readonly` has the name of a profile",
      "error `profiles.a.extends` is `b`, which is no profile: there are `readonly`, `a`"]),
    ({"profiles": {"a": {"extends": "readonly"}, "b": {"extends": "a"}}}, []),
    ({"profiles": {"a": {"extends": 5}}}, ["error `profiles.a.extends` must be a string"]),
    ({"profiles": {"a": {"extends": "readonyl"}}},
     ["error `profiles.a.extends` is `readonyl`, which is no profile: there are `readonly`, `a` Did you mean `re"]),
    ({"profiles": {"a": {"extends": "a"}}}, ["error `profiles.a.extends` goes round in a circle: `a` -> `a`"]),
    ({"profiles": {"a": {"extends": "b"}, "b": {"extends": "a"}}},
     ["error `profiles.a.extends` goes round in a circle: `a` -> `b` -> `a`",
      "error `profiles.b.extends` goes round in a circle: `b` -> `a` -> `b`"]),
    ({"profiles": {"a": {"extends": "b"}, "b": {"extends": "b"}}},
     ["error `profiles.b.extends` goes round in a circle: `b` -> `b`"]),
], ids=str)
def test_what_is_wrong_is_said_with_its_place(settings: dict[str, Any], found: list[str]) -> None:
    _, said = read(profiles, **settings)
    assert len(said) == len(found), said
    for text, start in zip(said, found):
        assert text.startswith(start), text


def loaded(folder: Path, given: str = "", **settings: Any) -> Any:
    path = folder / "c.json"
    servers = {name: {"command": "x"} for name in ("fs", "git", "x")}
    path.write_text(json.dumps({"workspace_root": str(folder), "servers": servers, **settings}), encoding="utf-8")
    return load(str(path), {}, profile=given)


@pytest.mark.parametrize(("written", "given", "used"), [
    (None, "", ""), ("", "", ""), ("small", "", "small"), ("readonly", "", "readonly"),
    ("small", "readonly", "readonly"), (None, "small", "small"), ("readonly", "small", "small"),
])
def test_the_command_line_wins_over_the_file(tmp_path: Path, written: Any, given: str, used: str) -> None:
    assert loaded(tmp_path, given, profiles=PROFILES, profile=written).settings["profile"] == used


@pytest.mark.parametrize(("written", "given", "what"), [
    ("smal", "", "`profile` is `smal`, which is no profile: there are `readonly`, `small`, `smaller`, `reads`"),
    ("small", "x", "`--profile` is `x`, which is no profile: there are `readonly`, `small`,"),
    ("_x", "", "`profile` is `_x`, which is no profile"),
    ("Readonly", "", "`profile` is `Readonly`, which is no profile"),
])
def test_a_profile_that_is_not_there_is_an_error(tmp_path: Path, written: str, given: str, what: str) -> None:
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, given, profiles={**PROFILES, "_x": {}}, profile=written)
    assert error.value.what.startswith(what) and len(error.value.problems) == 1


@pytest.mark.parametrize(("hidden", "warned"), [
    ("fs__a", False), ("mcp__fs__a", False), ("mcp__shack__fs__*", False), ("mcp__fs", False), ("*__a", False),
    ("f*__a", False), ("*", False), ("mcp__shack", False), ("fss__a", True), ("mcp__fss__a", True), ("fss__*", True),
    ("FS__a", True), ("mcp__fss", True),
])
def test_what_is_hidden_of_a_server_that_is_not_there_is_warned_of(tmp_path: Path, hidden: str, warned: bool) -> None:
    found = loaded(tmp_path, hidden=[hidden]).warnings
    assert len(found) == warned
    if warned:
        assert found[0].what.startswith("`hidden[0]` hides nothing: no server is named `")
        assert found[0].fix == "Did you mean `fs`?"
    assert len(loaded(tmp_path, profiles={"p": {"hidden": [hidden]}}).warnings) == warned


def test_rules_of_a_profile_about_a_server_that_is_not_there_are_warned_of(tmp_path: Path) -> None:
    [problem] = loaded(tmp_path, profiles={"p": {"deny": ["fss__a"]}}).warnings
    assert problem.what == "`profiles.p.deny[0]` can never match: no server is named `fss`"


def test_without_a_choice_there_is_no_stage() -> None:
    assert stage(profiles, ports(), profiles=PROFILES, hidden=["a__b"]) is None


# Judging


@pytest.mark.parametrize(("profile", "given", "passes"), [
    ("small", call({"path": "a"}), True),
    ("small", call({"path": "secret"}), False),
    ("small", call(target="write"), False),  # asks, and nobody can be asked
    ("small", call({"command": "git status"}, target="run"), True),
    ("small", call({"command": "git push"}, target="run"), False),
    ("small", call(target="x:y", kind=RESOURCE, name="x:y"), False),
    ("small", call(kind=PROMPT, target="p"), False),
    ("small", call(kind=PROMPT, target="read"), True),
    ("smaller", call({"path": "a"}), True),
    ("smaller", call({"path": "secret"}), False),
    ("smaller", call({"command": "git push"}, target="run"), False),
    ("denies", call(target="other"), True),
    ("denies", call(), False),
    ("denies", call(server="git", target="anything"), False),
    ("denies", call(server="git", target="x:y", kind=RESOURCE, name="x:y"), False),
    ("denies", call({"path": "x"}, target="write"), False),
    ("denies", call({"path": "y"}, target="write"), True),
    ("readonly", call(target="get_a"), True),
    ("readonly", call(target="set_a"), False),
    ("readonly", call(target="gone"), False),
    ("readonly", call(target="x:y", kind=RESOURCE, name="x:y"), True),
    ("readonly", call(target="set_a", kind=PROMPT), True),
    ("reads", call(target="get_a"), True),
    ("reads", call(target="get_b"), False),
    ("reads", call(target="set_b"), False),
    ("hides", call(target="a"), True),
    ("hides", call(server="x", target="y"), False),
])
def test_a_profile_lets_pass_what_it_says(profile: str, given: Call, passes: bool) -> None:
    verdict = judge(profile, given)
    if passes:
        assert verdict is given
    else:
        said = refused(verdict)
        assert said.stage == "profiles" and f"profile `{profile}`" in said.text


@pytest.mark.parametrize(("profile", "given", "rule", "text"), [
    ("denies", call(), "fs__read", "matched deny rule 'fs__read'"),
    ("smaller", call({"path": "secret"}), "fs__read(secret)", "matched deny rule 'fs__read(secret)'"),
    ("small", call(target="other"), "default_decision: deny", "no matching allow rule"),
    ("readonly", call(target="set_a"), "readonly", "its name does not begin like"),
    ("readonly", call(target="gone"), "readonly", "its server does not list it now"),
])
def test_a_refusal_names_the_profile_and_the_rule(profile: str, given: Call, rule: str, text: str) -> None:
    said = refused(judge(profile, given))
    assert said.rule == rule and text in said.text


@pytest.mark.parametrize(("facts", "text"), [
    (Facts(True, frozenset(), False, False), "its server says that it does more"),
    (Facts(True, frozenset(), True, False), "its name, or another of its annotations, says otherwise"),
])
def test_readonly_says_what_it_went_by(facts: Facts, text: str) -> None:
    built = stage(profiles, ports(facts=lambda call: facts), profile="readonly")
    assert built is not None and text in refused(run(built.before(call()))).text


def asking(arguments: dict[str, Any], target: str = "write", answers: dict[str, Any] | None = None) -> Call:
    return Call(7, "tool", "fs", f"fs__{target}", target, arguments, {},
                Context({"elicitation": {}}), answers or {})


def test_what_a_profile_asks_about_is_asked_and_passes_with_a_yes() -> None:
    built = chosen("small", office=office())
    asked = run(built.before(asking({"path": "a"})))
    assert isinstance(asked, InputRequired) and asked.stage == "profiles"
    [key] = asked.requests
    again = asking({"path": "a"}, answers={key: {"action": "accept", "content": {"answer": "once"}}})
    assert run(built.before(again)) is again
    no = asking({"path": "a"}, answers={key: {"action": "decline"}})
    assert refused(run(built.before(no))).text.startswith("profile `small` asks: the user said no")


def test_nobody_is_asked_about_a_call_that_another_profile_of_the_line_refuses() -> None:
    given = asking({"path": "x"})
    assert isinstance(judge("small", given, office=office()), InputRequired)
    assert refused(judge("smaller", given, office=office())).rule == "fs__write(x)"


def test_the_ordinary_permissions_judge_as_well() -> None:
    both = [chosen("small"), stage(permissions, ports(), permissions={"deny": ["fs__read(b)"], "allow": ["fs__other"],
                                                                      "default_decision": "allow"})]
    road = Road(*[each for each in both if each is not None])
    assert isinstance(road.run(call({"path": "a"})), Complete)
    assert refused(road.run(call({"path": "b"}))).stage == "permissions"
    assert refused(road.run(call(target="other"))).stage == "profiles"
    assert len(road.sent) == 1


class Rewrites(permissions.Stage):
    name = "rewrites"

    async def before(self, call: Call) -> Call | Outcome:
        return call.with_arguments({"path": "secret"})


def test_a_call_that_is_changed_later_is_judged_again() -> None:
    road = Road(chosen("small"), Rewrites())
    assert refused(road.run(call({"path": "a"}))).rule == "fs__read(secret)" and not road.sent


def test_a_renamed_tool_is_judged_by_either_name() -> None:
    for name, target in (("fs__other", "read"), ("fs__read", "other")):
        refused(judge("denies", call(target=target, name=name)))


def test_a_renamed_tool_is_refused_under_the_name_it_was_called_by() -> None:
    for profile in ("readonly", "small"):
        said = refused(judge(profile, call(target="drop", name="fs__away"))).text
        assert "`fs__away`" in said and "drop" not in said


@pytest.mark.parametrize("seed", range(80))
def test_no_profile_lets_through_what_would_be_refused_without_it(seed: int) -> None:
    rng = random.Random(seed)
    rules = ["fs__read", "fs__*", "*", "fs__write(x)", "fs__run(git:*)", "git__*", "*__read", "fs__write"]

    def some() -> list[str]:
        return rng.sample(rules, rng.randrange(3))

    table = {"a": {"extends": rng.choice(["", "b", "readonly"]), "deny": some(), "ask": some()},
             "b": {"deny": some(), **({"allow": some()} if rng.random() < 0.5 else {})}}
    plain = {"default_decision": rng.choice(["allow", "deny"]), "allow": some(), "deny": some()}
    given = ports(facts=facts_by_name)
    base = stage(permissions, given, permissions=plain)
    layer = stage(profiles, given, profiles=table, profile=rng.choice(["a", "b", "readonly"]))
    for target in ("read", "write", "run", "get_x"):
        for value in ("x", "git status", "secret"):
            made = call({"command": value}, target=target)
            without = Road(*[each for each in (base,) if each])
            with_it = Road(*[each for each in (layer, base) if each])
            if isinstance(with_it.run(made), Complete):
                assert isinstance(without.run(made), Complete)


# What is shown

SERVED = {
    "fs": listing(["read", "write", "run", "get_b", "other"], prompts=["read", "p"], resources=["x:a"]),
    "git": listing([tool("get_log"), tool("log", annotations={"readOnlyHint": False})], resources=["y:b"]),
}


def shown(folder: Path, **settings: Any) -> tuple[list[str], list[str], list[str], Catalog]:
    config = loaded(folder, profiles=PROFILES, **settings)
    found = Catalog(SERVED, shape=profiles.shape(config.settings, {}))
    names = [[entry.name for entry in each] for each in (found.tools, found.prompts, found.resources)]
    return names[0], names[1], names[2], found


FS = ["fs__read", "fs__write", "fs__run", "fs__get_b", "fs__other"]
GIT = ["git__get_log", "git__log"]
ALL = (FS + GIT, ["fs__read", "fs__p"], ["x:a", "y:b"])


@pytest.mark.parametrize(("settings", "names"), [
    ({}, ALL),
    ({"permissions": {"deny": ["fs__read(x)"], "default_decision": "deny"}}, ALL),
    ({"permissions": {"deny": ["fs__read", "mcp__git__get_log"]}}, (FS[1:] + GIT[1:], ["fs__p"], ["x:a", "y:b"])),
    ({"permissions": {"deny": ["fs__resources/read"]}}, (*ALL[:2], ["y:b"])),
    ({"permissions": {"ask": ["fs__read"]}}, ALL),
    ({"hidden": ["git__*"]}, (FS, ["fs__read", "fs__p"], ["x:a"])),
    ({"hidden": ["mcp__shack__fs__*"]}, (GIT, [], ["y:b"])),
    ({"profile": "small"}, (["fs__read", "fs__write", "fs__run"], ["fs__read"], [])),
    ({"profile": "smaller"}, (["fs__read", "fs__write", "fs__run"], ["fs__read"], [])),
    ({"profile": "denies"}, (FS[1:], ["fs__p"], ["x:a"])),
    ({"profile": "readonly"}, (["fs__read", "fs__get_b", "git__get_log"], *ALL[1:])),
    ({"profile": "reads"}, (["fs__read", "git__get_log"], *ALL[1:])),
    ({"profile": "hides", "hidden": ["fs__read"]}, (FS[1:] + GIT, ["fs__p"], ["x:a", "y:b"])),
], ids=str)
def test_what_is_refused_whatever_it_is_called_with_is_not_shown(
    tmp_path: Path, settings: dict[str, Any], names: tuple[list[str], ...]
) -> None:
    *found, catalog = shown(tmp_path, **settings)
    assert tuple(found) == names
    hidden = settings.get("hidden", ())
    for name in FS + GIT:
        assert (catalog.tool(name) is None) == (name == "fs__read" and "fs__read" in hidden or (
            "git__*" in hidden and name in GIT) or ("mcp__shack__fs__*" in hidden and name in FS)), name


@pytest.mark.parametrize("seed", range(60))
def test_many_patterns_mean_what_each_of_them_means(seed: int) -> None:
    rng = random.Random(seed)
    parts = ["mcp__", "shack__", "fs", "__", "a", "b", "*", "?", "[a]", "**", " "]
    patterns = ["".join(rng.choices(parts, k=rng.randrange(1, 6))) for _ in range(8)]
    together, alone = profiles.any_of(patterns), [named(pattern) for pattern in patterns]
    for _ in range(60):
        name = "".join(rng.choices(["fs", "__", "a", "b", "[a]", "mcp__", "c"], k=rng.randrange(1, 6)))
        assert together(name) == any(is_meant(name) for is_meant in alone), (name, patterns)


def test_hidden_lists_of_a_line_of_profiles_add_up(tmp_path: Path) -> None:
    config = loaded(tmp_path, profiles=PROFILES, profile="hides", hidden=["fs__c"])
    found = Catalog({"fs": listing(["a", "b", "c", "d"])}, shape=profiles.shape(config.settings, {}))
    assert [entry.name for entry in found.tools] == ["fs__d"]


def test_nothing_is_shaped_where_nothing_is_written(tmp_path: Path) -> None:
    assert profiles.shape(loaded(tmp_path).settings, {}) is None
    assert profiles.shape(loaded(tmp_path, permissions={"deny": ["a__b(c)"]}).settings, {}) is None
    assert profiles.shape(loaded(tmp_path).settings, {"s": ServerShape(exclude=("a",))}) is not None


@pytest.mark.parametrize("profile", ["small", "smaller", "reads", "denies", "readonly"])
def test_what_is_not_shown_is_refused(tmp_path: Path, profile: str) -> None:
    """Nothing is kept from the host's view that it could use."""
    *_, catalog = shown(tmp_path, profile=profile)
    built = stage(profiles, ports(facts=lambda call: catalog.facts(call.server, call.target)), profiles=PROFILES,
                  profile=profile)
    assert built is not None
    visible = {entry.name for entry in catalog.tools}
    for name in FS + GIT:
        server, _, target = name.partition("__")
        for value in ("a", "x", "secret", "git status"):
            verdict = run(built.before(call({"command": value}, server=server, target=target)))
            assert name in visible or refused(verdict)


# The page


def words(row: str) -> list[str]:
    return re.findall(r"`([a-z]+)`", row)


def test_the_example_on_the_page_is_a_configuration_without_a_finding(tmp_path: Path) -> None:
    [example] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    whole = {**jsonc.read(example).data, "workspace_root": str(tmp_path)}
    path = tmp_path / "c.json"
    path.write_text(json.dumps(whole), encoding="utf-8")
    for profile in ("", "careful", "readonly"):
        config = load(str(path), {}, profile=profile)
        assert (config.warnings, config.downs) == ((), ())


def test_the_refusal_on_the_page_is_the_real_one() -> None:
    [text] = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    built = stage(profiles, ports(facts=lambda call: Facts(True, frozenset(), False, False)), profile="readonly")
    assert built is not None
    assert refused(run(built.before(call(server="files", target="write_file")))).text == text.strip()


def test_the_words_on_the_page_are_words_of_the_tables() -> None:
    [change] = re.findall(r"a word of the tool's name is one of change: (.*?)\|", PAGE)
    [reading] = re.findall(r"begins with a word of reading: (.*?)\|", PAGE)
    assert set(words(change)) <= CHANGING and len(words(change)) > 5
    assert set(words(reading)) <= READING and len(words(reading)) > 5
