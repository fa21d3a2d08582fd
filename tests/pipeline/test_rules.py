"""The grammar of rules, and what is said of rules that cannot do what their writer meant."""
from __future__ import annotations

from typing import Any

import pytest

from kit.corridor import call, ports, read
from shack_gateway.catalog.facts import Facts
from shack_gateway.config.fields import Value
from shack_gateway.pipeline.call import RESOURCE
from shack_gateway.pipeline.commands import TooMuch
from shack_gateway.pipeline.grammar import (
    ANY,
    DOMAIN,
    EXACT,
    LOOSE,
    PATTERN,
    PREFIX,
    WORD,
    parse,
    servers_place_is_open,
)
from shack_gateway.pipeline.rules import may_allow, one_rule, unmatched
from shack_gateway.pipeline.stages import permissions
from shack_gateway.pipeline.stages.profiles import any_of

LEXICAL = ports("/ws", realpath=lambda path: path)


@pytest.mark.parametrize("raw, tool, match, text, ends", [
    ("a__b", "a__b", ANY, "", ""), ("  a__b  ", "a__b", ANY, "", ""), ("a__b()", "a__b", ANY, "", ""),
    ("a__b(*)", "a__b", ANY, "", ""), ("a__b( * )", "a__b", ANY, "", ""), ("a__b(:*)", "a__b", ANY, "", ""),
    ("a__b(**)", "a__b", ANY, "", ""), ("a__b(x)", "a__b", EXACT, "x", ""), ("a__b ( x )", "a__b", EXACT, "x", ""),
    ("a__b(x:*)", "a__b", PREFIX, "x", LOOSE), ("a__b(x :*)", "a__b", PREFIX, "x ", LOOSE),
    ("a__b(rm -rf:*)", "a__b", PREFIX, "rm -rf", LOOSE), ("a__b(ls *)", "a__b", PREFIX, "ls", WORD),
    ("a__b(f(x))", "a__b", EXACT, "f(x)", ""), ("a__b((x)", "a__b", EXACT, "(x", ""),
    ("a__b(*x)", "a__b", PATTERN, "*x", ""), ("a__b(x*)", "a__b", PATTERN, "x*", ""),
    ("a__b(a:*b)", "a__b", PATTERN, "a:*b", ""), ("a__b(git * main *)", "a__b", PATTERN, "git * main", WORD),
    ("a__b(git * main:*)", "a__b", PATTERN, "git * main", LOOSE), ("a__b(src/**)", "a__b", PATTERN, "src/**", ""),
    ("a__b(domain:Example.com)", "a__b", DOMAIN, "example.com", ""), ("a__b(domain: *.a.de)", "a__b", DOMAIN, "*.a.de",
    ""), ("a__b(domain:*)", "a__b", DOMAIN, "*", ""), ("*", "*", ANY, "", ""), ("a__*(x:*)", "a__*", PREFIX, "x",
    LOOSE),
    ("a__b(x?)", "a__b", EXACT, "x?", ""), ("mcp__a__b(x)", "mcp__a__b", EXACT, "x", ""),
])
def test_a_rule_is_read(raw: str, tool: str, match: str, text: str, ends: str) -> None:
    assert parse(raw)[1:5] == (tool, match, text, ends)


@pytest.mark.parametrize("raw, param, value", [
    ("a__b(branch:main)", "branch", "main"), ("a__b( branch : rel* )", "branch", "rel*"), ("a__b(branch:*)", "branch",
    "*"), ("a__b(n:5)", "n", "5"), ("a__b(x)", "", ""), ("a__b(rm -rf:*)", "", ""), ("a__b(https://a)", "https", "//a"),
    ("a__b(5:x)", "", ""), ("a__b(domain:a.de)", "domain", "a.de"),
])
def test_a_content_may_be_a_parameter(raw: str, param: str, value: str) -> None:
    assert parse(raw)[5:] == (param, value)


@pytest.mark.parametrize("raw, what", [
    ("", "is empty"), ("  ", "is empty"), ("(x)", "names no tool"), ("a__b(x", "opens a `("), ("a__b(x) y",
    "opens a `("),
    ("a__b)", "closes a `)`"), ("a)b(x)", "closes a `)`"), ("a__b(domain:)", "names no host"), (
    "a__b(domain:https://a.de)", "names no host"), ("a__b(domain:a b)", "names no host"),
])
def test_a_rule_that_is_none_is_said(raw: str, what: str) -> None:
    with pytest.raises(ValueError, match=what.replace("(", "\\(").replace(")", "\\)")):
        parse(raw)


@pytest.mark.parametrize("tool, is_open", [
    ("*", True), ("mcp__*", True), ("mcp__shack__*", True), ("mcp__shack", True), ("*__read", True), ("f?__read", True),
    ("mcp__g*__read", True), ("mcp__shack__g*__x", True), ("m*", True), ("fs__*", False), ("fs__read", False),
    ("mcp__fs__*", False), ("mcp__fs__get_*", False), ("mcp__fs", False), ("mcp__shack__fs__*", False),
    ("mcp__shack__fs", False), ("shack__*", False), ("mcp__mcp__*", False),
])
def test_a_star_in_the_servers_place_is_seen(tool: str, is_open: bool) -> None:
    assert servers_place_is_open(tool) is is_open


@pytest.mark.parametrize("tool, server, verdict", [
    ("fs__*", "fs", True), ("fs__*", "fs__x", False), ("fs__x__*", "fs__x", True), ("mcp__fs", "fs", True),
    ("mcp__fs", "fs__x", False), ("mcp__fs__read", "fs", True), ("*", "fs", False), ("mcp__*", "fs", False),
])
def test_an_allowing_rule_holds_for_the_server_it_names(tool: str, server: str, verdict: bool) -> None:
    assert may_allow(parse(tool), server) is verdict


DENIES = {"default_decision": "deny"}


@pytest.mark.parametrize("section, found", [
    ({"deny": "fs__x"}, ["error `permissions.deny` must be a list"]),
    ({"allow": {"fs__x": True}}, ["error `permissions.allow` must be"]),
    ({"deny": [5]}, ["error `permissions.deny[0]` must be a rule"]),
    ({"deny": ["a__b", None]}, ["error `permissions.deny[1]` must be"]),
    ({"deny": ["fs__x(y"]}, ["error `permissions.deny[0]` opens a `(`"]),
    ({"deny": ["fs__x)"]}, ["error `permissions.deny[0]` closes a `)`"]),
    ({"deny": [""]}, ["error `permissions.deny[0]` is empty"]),
    ({"deny": ["(x)"]}, ["error `permissions.deny[0]` names no tool"]),
    ({"deny": ["a__b(domain:x y)"]}, ["error `permissions.deny[0]` names no host"]),
    ({"default_decision": "denny"}, ["error `permissions.default_decision` is `denny`"]),
    ({"default_decision": "Deny"}, ["error `permissions.default_decision` is `Deny`"]),
    ({"default_decision": True}, ["error `permissions.default_decision` must be"]),
    ({"denny": []}, ["error `permissions.denny`"]), ("allow", ["error `permissions` must be an object"]),
    ({"defaultMode": "plan"}, ["error `permissions.defaultMode` is not a key"]),
    ({"additionalDirectories": []}, ["warning `permissions.additionalDirectories` is not a key"]),
    ({"deny": ["bash(rm:*)"]}, ["warning `permissions.deny[0]` can never match: a tool is named `server__tool` Put"]),
    *(({"deny": [rule]}, [f"warning `permissions.deny[0]` can never match: `{rule.partition('(')[0]}` is a tool of the "
                          "host, whose calls never pass here Leave it out"])
      for rule in ("Bash(git push:*)", "Read(./.env)", "WebFetch(domain:a.de)", "Edit", "Task(x)")),
    ({"deny": ["a__b(domain:https://a.de/x)"]},
     ["error `permissions.deny[0]` names no host behind `domain:`, or more than a host Write the host alone: "
      "`a__b(domain:example.com)`."]),
    ({"deny": ["a__b(x"]}, ["error `permissions.deny[0]` opens a `(` that no `)` closes at its end Write "
                            "`server__tool` or `server__tool(text)`."]),
    ({"allow": ["fs__x"]}, ["warning `permissions.allow` has no effect"]),
    ({**DENIES, "allow": ["*"]}, ["warning `permissions.allow[0]` is skipped"]),
    ({**DENIES, "allow": ["mcp__*"]}, ["warning `permissions.allow[0]` is skipped"]),
    ({**DENIES, "allow": ["*__read_x(y)"]}, ["warning `permissions.allow[0]` is skipped"]),
    ({"deny": ["a__b", "a__b"]}, ["warning `permissions.deny[1]` says the same as `permissions.deny[0]`"]),
    ({"deny": ["a__b(*)", "mcp__a__b"]}, ["warning `permissions.deny[1]` says the same as `permissions.deny[0]`"]),
    ({**DENIES, "allow": ["a__b"], "deny": ["a__b"]},
    ["warning `permissions.allow[0]` has no effect: the deny rule `a__b`"]),
    ({**DENIES, "allow": ["a__b(x)"], "deny": ["a__b"]},
    ["warning `permissions.allow[0]` has no effect: the deny rule"]),
    ({**DENIES, "allow": ["a__b(x)"], "deny": ["a__*"]},
    ["warning `permissions.allow[0]` has no effect: the deny rule"]),
    ({**DENIES, "allow": ["mcp__a__b(x)"], "deny": ["a__b( x )"]}, ["warning `permissions.allow[0]` has no effect"]),
    ({**DENIES, "allow": ["a__b(x)"], "deny": ["mcp__a"]},
    ["warning `permissions.allow[0]` has no effect: the deny rule"]),
    ({"ask": ["a__b(x)"], "deny": ["*"]}, ["warning `permissions.ask[0]` has no effect: the deny rule `*`"]),
    ({**DENIES, "allow": ["a__b"], "ask": ["a__b"]}, ["warning `permissions.allow[0]` has no effect: the ask rule"]),
], ids=str)
def test_a_rule_that_would_silently_do_nothing_is_said(section: Any, found: list[str]) -> None:
    _, findings = read(permissions, permissions=section)
    assert len(findings) == len(found), findings
    for finding, expected in zip(findings, found):
        assert finding.startswith(expected), findings


@pytest.mark.parametrize("section", [
    {"deny": ["fs__x(/etc/*)", "fs__x(y)", "fs__x(z:*)", "s__*(rm:*)", "mcp__git", "mcp__fs__get_*"]},
    {"default_decision": "prompt"}, {**DENIES, "allow": ["fs__x", "fs__y_*", "mcp__git", "mcp__fs__y(domain:a.de)"]},
    {**DENIES, "allow": ["a__b"], "deny": ["a__b(x)"], "ask": ["a__b(y:*)"]},
    {**DENIES, "allow": ["a__*"], "deny": ["a__b"]}, {"_note": "x", "//": "y"}, {}, None,
], ids=str)
def test_a_good_section_is_read_without_a_word(section: Any) -> None:
    assert read(permissions, permissions=section)[1] == []


@pytest.mark.parametrize("rule, stranger", [
    ("fs__x", ""), ("fs__*", ""), ("*", ""), ("*__x", ""), ("mcp__fs__x", ""), ("mcp__fs", ""), ("mcp__shack__fs__x",
    ""),
    ("mcp__*", ""), ("f*__x", ""), ("mcp__shack", ""), ("a__b__c", ""), ("fs__resources/read(x)", ""),
    ("sf__x", "sf"), ("sf__*", "sf"), ("mcp__sf__x", "sf"), ("mcp__sf", "sf"), ("mcp__shack__sf__x", "sf"),
    ("mcp__sf__*", "sf"), ("fs_x__y", "fs_x"),
])
def test_a_rule_about_a_server_that_is_not_there_is_said_with_its_place(rule: str, stranger: str) -> None:
    top = Value({"permissions": {"deny": [rule]}})
    settings = {"servers": ("fs", "a__b"), "permissions": permissions.FIELDS[0].read(top.member("permissions"))}
    permissions.check(top, settings)
    found = [f.what for f in top.findings.found]
    assert found == ([f"`permissions.deny[0]` can never match: no server is named `{stranger}`"] if stranger else [])


def test_rules_that_are_about_no_tool_are_found() -> None:
    section, _ = read(permissions, permissions={
        "default_decision": "deny", "deny": ["fs__raed", "fs__read"], "ask": ["mcp__fs__*"], "allow": ["git__log(x)"]})
    found = unmatched(section["permissions"], ["fs__read", "fs__write"])
    assert [each[:2] for each in found] == [("deny", 0), ("allow", 0)]
    assert "`fs__raed` matches no tool; did you mean `fs__read`?" in found[0][2]


def test_only_a_bare_rule_forbids_a_tool_whatever_it_is_called_with() -> None:
    rules = map(parse, ["fs__read", "git__*(*)", "db__x(y)", "mcp__web", "z__a(b:c)"])
    tell = any_of(rule.tool for rule in rules if rule.match == ANY)
    known = ["fs__read", "fs__reads", "git__log", "db__x", "web__get", "z__a"]
    assert [name for name in known if tell(name)] == ["fs__read", "git__log", "web__get"]


@pytest.mark.parametrize("rule, arguments, verdict", [
    ("fs__read", {}, True), ("fs__*", {}, True), ("mcp__fs__read", {}, True), ("mcp__shack__fs__read", {}, True),
    ("git__*", {}, False), ("fs__read(rm *)", {"command": "ls && sudo rm x"}, True), ("fs__read(rm *)",
    {"command": "ls"},
    False), ("fs__read(secret/**)", {"path": "./x/../secret/a"}, True), ("fs__read(n:5)", {"n": 5}, True),
    ("fs__read(n:5)", {"n": 6}, False), ("fs__read(domain:a.de)", {"any": "https://A.de/"}, True),
])
def test_one_rule_tells_whether_a_call_is_meant(rule: str, arguments: dict[str, Any], verdict: bool) -> None:
    assert one_rule(rule)(call(arguments), LEXICAL) is verdict


def test_one_rule_says_that_it_cannot_tell() -> None:
    with pytest.raises(TooMuch):
        one_rule("fs__read(x)")(call({"command": "ax;" * 30_000}), LEXICAL)
    with pytest.raises(ValueError, match="names no tool"):
        one_rule("(x)")


def test_one_rule_knows_the_schema_of_the_tool_that_is_called() -> None:
    known = ports("/ws", realpath=str, facts=lambda call: Facts(True, frozenset({"n", "command"})))
    tell = one_rule("fs__read(n:5)")
    assert tell(call({"command": "n:5"}), LEXICAL) and not tell(call({"command": "n:5"}), known)
    assert tell(call({"n": 5}), LEXICAL) and tell(call({"n": 5}), known)
    uri = "file:///ws/a"
    assert one_rule("fs__resources/read(a)")(call({}, kind=RESOURCE, target=uri, name=uri), known)
