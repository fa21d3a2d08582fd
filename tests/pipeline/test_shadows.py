"""A rule is said to have no effect where that is certain: without it every call goes as it went.  Seeded."""
from __future__ import annotations

import random
import re
from typing import Any

import pytest

from kit.corridor import call, ports, read, run, stage
from shack_gateway.catalog.facts import NO_FACTS, Facts
from shack_gateway.pipeline.call import RESOURCE, Call
from shack_gateway.pipeline.shadows import MOST_EFFORT, normalised
from shack_gateway.pipeline.stages import permissions, profiles

DENIES = {"default_decision": "deny"}


def idle(**section: Any) -> list[tuple[str, int, str]]:
    """List and number of each rule that is said to have no effect, and because of which."""
    found = [re.match(r"warning `permissions\.(\w+)\[(\d+)\]` has no effect: the \w+ rule `(.*)` matches", each)
             for each in read(permissions, permissions={**DENIES, **section})[1]]
    return [(each[1], int(each[2]), each[3]) for each in found if each]


@pytest.mark.parametrize("stronger", ["deny", "ask"])
@pytest.mark.parametrize("weak, strong", [
    ("fs__read(secret/a)", "fs__read(secret/**)"), ("fs__read(secret/a)", "fs__*(secret/**)"),
    ("fs__read(secret/a)", "fs__read(secret*)"), ("fs__read(secret/a)", "*(secret/:*)"), ("fs__read(a.key)",
    "fs__?ead(*.key)"),
    ("mcp__fs__read(a.key)", "mcp__fs(*.key)"), ("fs__read(/srv/a)", "fs__read(/srv/**)"),
    ("sh__run(rm -rf x)", "sh__run(rm -rf:*)"), ("sh__run(rm -rf x)", "sh__*(rm *)"), ("web__get(https://evil.com/a)",
    "web__*(domain:evil.com)"),
    ("web__get(https://a.evil.com/)", "*(domain:*.evil.com)"), ("web__get(https://evil.com/a)",
    "web__get(https://evil.com:*)"),
    ("fs__read(x:*)", "fs__*(x:*)"), ("fs__read(a/**)", "mcp__fs(a/**)"), ("fs__*(x)", "*(x)"),
    ("fs__read(n:5)", "fs__*(n:5)"), ("web__get(domain:a.de)", "web__*(domain:a.de)"),
    ("fs__resources/read(file:///ws/a)", "fs__resources/read(file:///ws:*)"), ("fs__read_*", "fs__*"),
    ("fs__read_*(x)", "fs__*"), ("fs__read_?", "fs__*"),
])
def test_a_rule_beneath_a_stronger_one_is_said(weak: str, strong: str, stronger: str) -> None:
    assert idle(**{stronger: [strong], "allow": [weak]}) == [("allow", 0, strong)]


@pytest.mark.parametrize("weak, strong", [
    ("fs__read(secret/a)", "fs__read(secret/b)"), ("fs__read(secret/a)", "fs__write(secret/**)"),
    ("fs__read(secret)", "fs__read(secret/a)"), ("fs__*(secret/a)", "fs__read(secret/**)"),
    ("fs__read(secret:*)", "fs__read(secret/**)"), ("fs__read(secret/**)", "fs__read(secret/a)"), ("fs__read",
    "fs__read(x)"),
    ("fs__read(d/a.key)", "fs__read(./*.key)"), ("fs__read(a.key)", "fs__read(n:a.key)"), ("fs__read(n:5)",
    "fs__read(n:*)"),
    ("fs__read(n:5)", "fs__read(n*)"), ("fs__read(n:5)", "fs__read(n:5*)"), ("fs__read(evil.com)",
    "fs__read(domain:evil.com)"),
    ("sh__run(rm x)", "sh__run(rm -rf:*)"), ("sh__run(echo rm x)", "sh__run(rm x)"), ("sh__run(/srv/x.sh)",
    "sh__run(//srv/**)"),
    ("fs__read(secret/a)", "fs__read(secret:*)"), ("sh__run(rm -rf x)", "sh__run(rm:*)"),
    ("fs__read(./secret/a)", "fs__read(secret/**)"), ("sh__run(sudo rm x)", "sh__run(rm *)"), ("sh__run(ls; rm x)",
    "sh__run(rm x)"), ("mcp__fs", "f?"), ("fs__read({\"a\": 1})", "fs__read({:*)"), ("fs__read(a)",
    "fs__read({\"a*)"), ("fs__*", "fs__read"),
    ("fs__*", "fs__?*"), ("fs__*", "fs__?"), ("fs__x*", "fs__?"), ("*__read", "fs__*"), ("fs__read(~/a)",
    "fs__read(/home/me/**)"),
    ("fs__read(/home/me/ws/a)", "fs__read(a)"), ("mcp__fs__read_*", "mcp__shack__*__x"),
])
def test_of_what_is_not_certain_nothing_is_said(weak: str, strong: str) -> None:
    assert idle(deny=[strong], allow=[weak]) == []


@pytest.mark.parametrize("kind", ["deny", "ask", "allow"])
@pytest.mark.parametrize("rules, found", [
    (["fs__read(x)", "fs__*"], [(0, "fs__*")]), (["fs__*", "fs__read(x:*)"], [(1, "fs__*")]),
    (["fs__read", "fs__*"], [(0, "fs__*")]), (["fs__read", "fs__read(a/**)"], [(1, "fs__read")]),
    (["mcp__fs", "fs__read"], [(1, "mcp__fs")]), (["fs__r*(x)", "fs__*(x)"], [(0, "fs__*(x)")]),
    (["fs__*", "fs__**"], [(1, "fs__*")]), (["fs__**", "fs__*"], [(1, "fs__**")]), (["fs__*", "mcp__fs"], []),
    (["fs__read", "mcp__fs__read"], []), (["fs__read(x)", "fs__read(y)"], []), (["fs__read(secret/a)",
    "fs__read(secret/**)"], []),
    (["fs__*(x)", "fs__read(y)"], []), (["fs__a", "fs__?"], [(0, "fs__?")]),
])
def test_a_rule_beside_a_wider_one_of_its_list_is_said_once(
    kind: str, rules: list[str], found: list[tuple[int, str]],
) -> None:
    assert idle(**{kind: rules}) == [(kind, *each) for each in found]


def test_an_allow_rule_of_a_server_covers_no_tool_that_may_be_another_servers() -> None:
    """`fs__*` lets nothing through of a server `fs__x`; a rule for `fs__x__read` may be about that one."""
    assert idle(allow=["fs__x__read", "fs__*"]) == [] and idle(allow=["fs___read", "fs__*"]) == []
    assert idle(deny=["fs__x__read", "fs__*"]) == [("deny", 0, "fs__*")]
    assert idle(allow=["fs__read", "*"]) == []


def test_a_profile_is_looked_through_as_well() -> None:
    _, found = read(profiles, profiles={"p": {"deny": ["fs__*(secret/**)"], "allow": ["fs__read(secret/a)"]}})
    assert found == ["warning `profiles.p.allow[0]` has no effect: the deny rule `fs__*(secret/**)` matches all of its "
                     "calls Remove one of them."]


TOOLS = ["fs__read", "fs__*", "fs__r*", "mcp__fs", "*", "fs__?ead", "mcp__fs__read", "*__read", "fs__resources/read"]
CONTENTS = ["", "", "secret/a", "secret/**", "./secret/a", "secret:*", "secret/*", "*.a", "a", "**/a", "/ws/secret/a",
"rm x",
            "rm *", "rm:*", "rm -f x", "* x", "ls; rm x", "LC_ALL=C rm x", "domain:a.de", "https://a.de/x", "https:*",
            "n:5",
            "n:*", "command:rm x", "link/a", "secret/", "x", "{\"n\": 5}", "*5*", "sudo rm x", "secret", "A=1 rm x"]
TEXTS = [*[content.rstrip(":*") for content in CONTENTS], "./link/a", "x/../secret/a", "secret/a/b", "rm x && rm x",
"ls",
         "ls | rm x", "timeout 5 rm x", "r''m x", "HTTPS://A.de/x", "/ws/secret/a", "secret%2Fa", "ｒｍ x",
         "/ws/./link/a", "a.a"]
KEYS = ["command", "path", "url", "message", "n", "paths", "cmd", "file", "query"]
SCHEMAS = [None, {"command"}, {"path"}, {"path", "n"}, {"command", "path", "n"}, {"url"}, {"message", "n"}, {"n"}]


def a_call(chance: random.Random) -> Call:
    text = chance.choice(TEXTS)
    if chance.random() < 0.2:
        return call({"uri": text}, kind=RESOURCE, target=text, name=text)
    arguments: dict[str, Any] = {chance.choice(KEYS): chance.choice([text, text, text, [text], {"a": text}, 5])}
    if chance.random() < 0.3:
        arguments[chance.choice(KEYS)] = chance.choice(TEXTS)
    return call(arguments, target=chance.choice(["read", "read", "reads", "x"]))


def linked(path: str) -> str:
    """`link` in the workspace leads to `secret`."""
    return path.replace("/ws/link", "/ws/secret").replace("/ws/./link", "/ws/secret").replace("/ws/x/../", "/ws/")


@pytest.mark.parametrize("seed", range(4))
def test_without_a_rule_that_has_no_effect_every_call_goes_as_it_went(seed: int) -> None:
    chance, judged = random.Random(seed), 0
    for _ in range(400):
        section: dict[str, list[str]] = {kind: [] for kind in ("deny", "ask", "allow")}
        for _ in range(chance.randint(2, 5)):
            content = chance.choice(CONTENTS)
            section[chance.choice(list(section))].append(chance.choice(TOOLS) + (f"({content})" if content else ""))
        found = idle(**section)
        if not found:
            continue
        kind, at, _ = chance.choice(found)
        less = {**section, kind: section[kind][:at] + section[kind][at + 1 :]}
        known = chance.choice(SCHEMAS)
        facts = NO_FACTS if known is None else Facts(True, frozenset(known))
        given = ports("/ws", realpath=linked, facts=lambda call, facts=facts: facts)
        with_it, without = (stage(permissions, given, permissions={**DENIES, **each}) for each in (section, less))
        assert with_it is not None and without is not None
        for _ in range(40):
            asked = a_call(chance)
            verdicts = [run(each.before(asked)) for each in (with_it, without)]
            kinds = [said if isinstance(said, Call) else said.text.partition(":")[0] for said in verdicts]
            assert kinds[0] == kinds[1], (section, kind, at, known, asked.arguments)
            judged += 1
    assert judged > 2000


def test_a_thousand_rules_are_compared_with_bounded_work() -> None:
    """Counted, as everything is that may hold up a start."""
    for section in (
        {"deny": [f"*_x{at}(d{at}/**)" for at in range(500)], "allow": [f"fs__t{at}(a/{at})" for at in range(500)]},
        {"deny": [f"*x{at}*" for at in range(1000)]}, {"deny": ["fs__*(x*)"],
        "allow": [f"fs__t(x{at})" for at in range(999)]},
    ):
        assert len(idle(**section)) < MOST_EFFORT / 50
    assert len(idle(deny=["fs__*"], allow=[f"fs__t{at}" for at in range(1000)])) == 1000


def test_a_name_is_one_however_it_is_written() -> None:
    section = read(permissions, permissions={"deny": ["mcp__fs__a(x)", "fs__a( x )", "fs__*",
    "mcp__fs"]})[0]["permissions"]
    first, second, third, fourth = map(normalised, section["deny"])
    assert first == second and third == fourth and first != third
