"""Rules say exactly what is written; a deny rule cannot be talked round by another spelling."""
from __future__ import annotations

import json
import ntpath
import random
from pathlib import Path
from typing import Any

import pytest

from kit.corridor import Road, call, ports, refused, run, stage
from shack_gateway.pipeline.arguments import PATH, SUBJECTS, key_says
from shack_gateway.pipeline.call import PROMPT, RESOURCE, TOOL, Call, Refused
from shack_gateway.pipeline.chain import Ports, Stage
from shack_gateway.pipeline.stages import permissions

LEXICAL = ports("/ws", realpath=lambda path: path)


def judge(asked: Call, given: Ports = LEXICAL, **section: Any) -> Call | Refused:
    built = stage(permissions, given, permissions=section)
    return asked if built is None else run(built.before(asked))  # type: ignore[no-any-return]


def allowed(rule: str, arguments: dict[str, Any], **how: Any) -> bool:
    return isinstance(judge(call(arguments, **how), default_decision="deny", allow=[rule]), Call)


def denied(rule: str, arguments: dict[str, Any], given: Ports = LEXICAL, **how: Any) -> bool:
    return isinstance(judge(call(arguments, **how), given, deny=[rule]), Refused)


# --- what an allow rule matches ---

@pytest.mark.parametrize("rule, arguments, verdict", [
    ("fs__read", {}, True), ("fs__read", {"path": "x"}, True), ("fs__rea", {}, False), ("fs__Read", {}, False),
    ("fs__read(*)", {"path": "x"}, True), ("fs__read()", {}, True), ("fs__read(:*)", {"path": "x"}, True),
    ("fs__read(x)", {"path": "x"}, True), ("fs__read(x)", {"path": "xy"}, False), ("fs__read(x)", {"path": "X"}, False),
    ("fs__read(x:*)", {"path": "xy"}, False), ("fs__read(x:*)", {"path": "x/y"}, True), ("fs__read(x:*)",
    {"path": "ax"},
    False), ("fs__read(x*)", {"path": "xy"}, True),
    ("fs__read(x*)", {"path": "x*"}, True), ("fs__read(rm -rf:*)", {"command": "rm -rf /"}, True),
    ("fs__read(rm -rf:*)", {"command": "rm -rfv"}, False), ("fs__read(rm -rf:*)", {"command": "rm -r"}, False),
    ("fs__read(checkout)", {"command": "checkout -f"}, False), ("fs__read(x:*)", {"command": "a", "path": "x"}, False),
    ("fs__read(a)", {"command": "a", "path": "x"}, True), ("fs__read(a)", {"command": 5, "path": "a"}, True),
    ("fs__read(x)", {"Path": "x"}, False), ("fs__read(x)", {"o": {"path": "x"}}, False), ("fs__read(x)",
    {"path": ["x"]}, False),
    ("fs__read(x)", {"path": "./x"}, False), ("fs__read(x)", {"path": " x"}, False), ("fs__read(x)", {"other": "x"},
    False),
    ("fs__read({})", {}, True), ('fs__read({"a": 1})', {"a": 1}, True), ('fs__read({"a":1})', {"a": 1}, False),
    ('fs__read({"a": "é":*)', {"a": "é"}, False), ('fs__read({"a": :*)', {"a": 1, "b": 2}, True),
    *[("fs__read(x)", {key: "x"}, True) for key in SUBJECTS],
], ids=str)
def test_an_allow_rule_matches_exactly_what_it_says(rule: str, arguments: dict[str, Any], verdict: bool) -> None:
    assert allowed(rule, arguments) is verdict


def test_the_first_subject_is_taken_in_the_order_of_0_1_0() -> None:
    assert SUBJECTS == (
        "command", "path", "file_path", "filePath", "notebook_path", "notebookPath", "url", "pattern", "query", "code",
        "message")
    for at, key in enumerate(SUBJECTS):
        later = {other: "y" for other in reversed(SUBJECTS[at:]) if not (key_says(other) & key_says(key) & PATH)}
        assert allowed("fs__read(x)", {**later, key: "x"})
        assert not allowed("fs__read(y)", {**later, key: "x"})


@pytest.mark.parametrize("section, text", [
    ({"deny": ["fs__read"]}, "blocked by permission policy: matched deny rule 'fs__read'"),
    ({"deny": ["fs__x", " fs__read(a:*) "]}, "blocked by permission policy: matched deny rule 'fs__read(a:*)'"),
    ({"deny": ["fs__read"], "allow": ["fs__read"]}, "blocked by permission policy: matched deny rule 'fs__read'"),
    ({"deny": ["fs__x(abc)", "fs__read(b)", "fs__*", "fs__read"]},
    "blocked by permission policy: matched deny rule 'fs__*'"),
    ({"deny": ["fs__read", "fs__read(b)"]}, "blocked by permission policy: matched deny rule 'fs__read'"),
    ({"default_decision": "deny"}, "blocked by permission policy: no matching allow rule (default policy is deny)"),
    ({"default_decision": "deny", "allow": ["fs__write"]},
     "blocked by permission policy: no matching allow rule (default policy is deny)"),
    ({"default_decision": "prompt"},
     "tool call requires explicit approval; the gateway has no interactive prompter — add an allow rule"),
    ({"default_decision": "ask"},
     "tool call requires explicit approval; the gateway has no interactive prompter — add an allow rule"),
    ({}, None), ({"default_decision": "allow"}, None), ({"default_decision": "deny", "allow": ["fs__read"]}, None),
    ({"default_decision": "prompt", "allow": ["fs__read(abc)"]}, None), ({"deny": ["fs__read(b:*)"]}, None),
    ({"deny": ["fs__write"], "default_decision": "deny", "allow": ["fs__read"]}, None),
], ids=str)
def test_the_decision_and_its_text_are_those_of_0_1_0(section: dict[str, Any], text: str | None) -> None:
    verdict = judge(call({"path": "abc"}), **section)
    if text is None:
        assert isinstance(verdict, Call)
    else:
        assert refused(verdict).stage == "permissions" and verdict.text.startswith(text)  # type: ignore[union-attr]


def test_a_refusal_says_by_which_rule_and_what_an_allow_rule_would_name() -> None:
    assert refused(judge(call({"path": "a"}), deny=["fs__read(a)"])).rule == "fs__read(a)"
    verdict = refused(judge(call(), default_decision="deny"))
    assert verdict.rule == "default_decision: deny" and "`fs__read`" in verdict.text


@pytest.mark.parametrize("section, concerns", [
    ({"deny": ["fs__write"], "allow": ["fs__read"]}, False), ({"deny": ["fs__read(x)"]}, True),
    ({"ask": ["fs__r*"]}, True), ({"deny": ["mcp__fs"]}, True), ({"deny": ["shown"]}, True),
    ({"deny": ["git__x"], "default_decision": "deny"}, True),
    ({"deny": ["git__x"], "default_decision": "prompt"}, True),
])
def test_a_tool_that_nothing_could_be_said_of_does_not_come_to_the_stage(
    section: dict[str, Any], concerns: bool,
) -> None:
    built = stage(permissions, LEXICAL, permissions=section)
    assert built is not None
    asked = Call(1, TOOL, "fs", "shown", "read", {}, {}, call().context)
    assert built.concerns(asked) is concerns


@pytest.mark.parametrize("section", [None, {}, {"default_decision": "allow"}, {"allow": ["a__b"]}, {"deny": []}],
    ids=str)
def test_without_anything_to_forbid_there_is_no_stage(section: Any) -> None:
    assert stage(permissions, LEXICAL, permissions=section) is None


# --- names ---

@pytest.mark.parametrize("tool, matches", [
    ("*", True), ("fs__*", True), ("*__read", True), ("f?__read", True), ("fs__rea?", True), ("fs__read*", True),
    ("*s__r*d", True),
    ("fs__?", False), ("fs__r", False), ("git__*", False), ("*_write", False), ("fs..read*", False), ("fs__[r]ead",
    False),
    ("fs__[r]ea*", False), ("FS__*", False),
    ("?", False),
])
def test_stars_and_question_marks_in_a_tool_name_are_honoured(tool: str, matches: bool) -> None:
    assert denied(tool, {}) is matches
    assert denied(f"{tool}(x)", {"path": "x"}) is matches
    assert not denied(f"{tool}(y)", {"path": "x"})
    assert allowed(tool, {}) is (matches and tool.startswith("fs__"))


@pytest.mark.parametrize("kind", [TOOL, PROMPT])
def test_a_rule_names_a_tool_or_prompt_as_its_server_does_or_as_it_is_listed(kind: str) -> None:
    how: dict[str, Any] = {"server": "fs", "target": "read/öl", "name": "fs__read__l_1a2b3c4d", "kind": kind}
    assert denied("*_1a2b3c4d", {}, **how)
    for rule in ("fs__read/öl", "fs__read__l_1a2b3c4d", "fs__read/*", "fs__*_1a2b3c4d", "mcp__fs__read/öl", "mcp__fs",
        "fs__read/öl(x)", "mcp__shack__fs__read__l_1a2b3c4d(x)"):
        assert denied(rule, {"path": "x"}, **how) and allowed(rule, {"path": "x"}, **how), rule
    assert not denied("fs__read", {}, **how)


URI = "file:///ws/docs/a.md"


@pytest.mark.parametrize("rule, matches", [
    ("fs__resources/read", True), ("fs__*", True), ("*", True), (f"fs__resources/read({URI})", True),
    ("fs__resources/read(file:///ws/docs/:*)", True), ("fs__resources/read(file:///ws/src/:*)", False), ("fs__read",
    False), ("fs", False),
    (URI, False), ("git__resources/read", False),
])
def test_resources_have_a_name_of_their_own_and_their_uri_as_subject(rule: str, matches: bool) -> None:
    how: dict[str, Any] = {"kind": RESOURCE, "target": URI, "name": URI}
    assert denied(rule, {"uri": URI}, **how) is matches
    assert allowed(rule, {"uri": URI}, **how) is (matches and rule != "*")


@pytest.mark.parametrize("uri", [
    "file:///ws/x/../docs/a.md", "file:///ws/%64ocs/a.md", "FILE:///ws/docs/a.md", "file://localhost/ws/docs/a.md",
    "file:/ws/docs/a.md",
    "/ws/docs/a.md",
])
def test_a_denied_resource_is_denied_in_every_spelling_of_its_uri(uri: str) -> None:
    assert denied("fs__resources/read(docs/:*)", {"uri": uri}, kind=RESOURCE, target=uri, name=uri)
    assert denied("fs__resources/read(docs/:*)", {"uri": uri}, kind=RESOURCE, target="x://y", name=uri)
    assert denied("fs__resources/read(docs/:*)", {"uri": uri}, kind=RESOURCE, target=uri, name="shack://fs/x")
    assert not denied("fs__resources/read(src/:*)", {"uri": uri}, kind=RESOURCE, target=uri, name=uri)


def test_the_default_decision_holds_for_resources_and_prompts_too() -> None:
    for kind, name in ((RESOURCE, "fs__resources/read"), (PROMPT, "fs__read")):
        verdict = refused(judge(call(kind=kind), default_decision="deny", allow=["git__*"]))
        assert f"`{name}`" in verdict.text
        assert isinstance(judge(call(kind=kind), deny=["git__*"]), Call)


# --- deny sees every subject in every spelling ---

SECRET = "fs__read(secret:*)"


@pytest.mark.parametrize("arguments", [
    {"path": "secret/a"}, {"command": "x", "path": "secret/a"}, {"message": "secret"}, {"Path": "secret/a"},
    {"PATH": "secret"},
    {"filePath": "secret/a"}, {"FILE-PATH": "secret/a"}, {"target_file": "secret/a"}, {"src": "secret/a"},
    {"file": "secret/a"},
    {"opts": {"path": "secret/a"}}, {"path": {"value": "secret/a"}}, {"edits": [{"a": 1}, {"file_path": "secret/a"}]},
    {"paths": ["a", "secret/a"]}, {"paths": [["secret/a"]]}, {"files": {"secret/a": "content"}}, {"queries": "x",
    "urls": ["secret"]},
    {"path": "./secret/a"}, {"path": "x/../secret/a"}, {"path": "/ws/secret/a"}, {"path": "/ws/./x/../secret"},
    {"path": "secret//a"},
    {"path": "//ws/secret/a"}, {"path": "%73ecret/a"}, {"path": "file:///ws/secret/a"}, {"path": "file:///ws/%73ecret"},
    {"path": ".\\secret\\a"}, {"path": " secret/a"}, {"path": "\tsecret"}, {"path": "\uff53ecret/a"},
    {"path": "se\u200bcret/a"},
    {"path": "se\u00adcret/a"}, {"path": "\ufeffsecret"}, {"path": "./././secret"}, {"path": "../ws/secret/a"},
    {"url": "file:///ws/secret/a"}, {"query": "./secret/a"},
], ids=str)
def test_a_deny_rule_finds_its_path_in_every_place_and_spelling(arguments: dict[str, Any]) -> None:
    assert denied(SECRET, arguments)


@pytest.mark.parametrize("arguments", [
    {"path": "secre"}, {"path": "x/secret"}, {"path": "Secret/a"}, {"path": "public/a"}, {"title": "secret"},
    {"path": "/other/secret/a"}, {"path": 5}, {"a": {"b": "secret"}}, {}, {"body": "./secret/a"},
], ids=str)
def test_a_deny_rule_leaves_alone_what_it_does_not_name(arguments: dict[str, Any]) -> None:
    assert not denied(SECRET, arguments)


@pytest.mark.parametrize("rule, path", [
    ("fs__read(.env)", "./.env"), ("fs__read(.env)", "/ws/.env"), ("fs__read(./.env)", ".env"), ("fs__read(/ws/.env)",
    ".env"),
    ("fs__read(a/../.env)", ".env"), ("fs__read(./secret/:*)", "secret/a"), ("fs__read(/ws/secret/:*)", "secret/a"),
    ("fs__read(/ws/x/../secret/:*)", "secret/a"), ("fs__read(secret/:*)", "secret"), ("fs__read(secret/:*)",
    "/ws/secret"),
    ("fs__read(./:*)", "a"), ("fs__read(/etc/:*)", "/etc/passwd"), ("fs__read(/etc/:*)", "/x/../etc/passwd"),
    ("fs__read(\uff0eenv)", ".env"), ("fs__read(.)", "/ws"), ("fs__read(/ws/x/../sec:*)", "secret/a"), (
        "fs__read(../:*)", "/x"), ("fs__read(/ws/:*)", "/ws"), (
        "fs__read(/ws)", "."), ("fs__read(../x)", "/x"),
])
def test_a_deny_rule_may_itself_be_spelt_in_any_way(rule: str, path: str) -> None:
    assert denied(rule, {"path": path})


def test_a_command_is_no_path() -> None:
    assert not denied("fs__read(/ws/make:*)", {"command": "make", "query": "make", "message": ["make", "make"]})
    assert denied("fs__read(/ws/make:*)", {"path": "make"})


@pytest.mark.parametrize("rule, path", [
    ("fs__read(secret/:*)", "secret2/a"), ("fs__read(.env)", ".env2"), ("fs__read(\u200b:*)", "a"), (
        "fs__read(/etc/:*)", "/etcetera"),
    ("fs__read(/ws/x)", "/x"),
])
def test_a_deny_rule_ends_where_it_ends(rule: str, path: str) -> None:
    assert not denied(rule, {"path": path})


@pytest.mark.parametrize("arguments, verdict", [
    ({"command": "rm -rf /"}, True), ({"command": "rm  -rf /"}, True), ({"command": "rm\t-rf\n/"}, True),
    ({"command": " rm -rf"}, True),
    ({"command": ["rm", "-rf", "/"]}, True), ({"command": [["rm", "-rf"], "x"]}, True), ({"Command": "rm -rfv"}, True),
    ({"command": "\uff52m -rf"}, True), ({"command": "r\u200dm -rf"}, True), ({"command": "rm\u00a0-rf"}, True),
    ({"o": {"commands": ["ls", "rm -rf /"]}}, True), ({"command": "git", "code": "rm -rf /"}, True),
    ({"command": "rm -r f"}, False), ({"command": "echo rm -rf"}, False), ({"command": ["-rf", "rm"]}, False),
    ({"description": "rm -rf is bad"}, False),
], ids=str)
def test_a_deny_rule_finds_its_command_in_every_spelling(arguments: dict[str, Any], verdict: bool) -> None:
    assert denied("fs__read(rm -rf:*)", arguments) is verdict


@pytest.mark.parametrize("url, verdict", [
    ("https://evil.com/x", True), ("HTTPS://EVIL.com/x", True), (" https://evil.com", True), ("https://evil.com/X",
    True),
    ("https://good.com/?https://evil.com", False), ("http://evil.com", False),
])
def test_a_deny_rule_finds_its_url_in_any_case_of_its_host(url: str, verdict: bool) -> None:
    assert denied("fs__read(https://evil.com:*)", {"url": url}) is verdict
    assert denied("fs__read(HTTPS://Evil.com:*)", {"url": url}) is verdict


@pytest.mark.parametrize("rule, arguments, verdict", [
    ('fs__read({"a": 1})', {"a": 1}, True), ('fs__read({"a":1})', {"a": 1}, True), ('fs__read({"a": "é"})', {"a": "é"},
    True),
    ('fs__read({"a": "\\u00e9"})', {"a": "é"}, True), ('fs__read({"a": 1:*)', {"a": 1, "path": "x"}, True),
    ("fs__read({})", {}, True),
    ("fs__read({})", {"a": 1}, False), ('fs__read({"a": 1})', {"a": 2}, False),
], ids=str)
def test_a_deny_rule_may_name_the_json_text_of_all_arguments(rule: str, arguments: dict[str, Any],
    verdict: bool) -> None:
    assert denied(rule, arguments) is verdict


@pytest.mark.skipif(not hasattr(Path, "symlink_to"), reason="needs links")
def test_a_deny_rule_follows_links(tmp_path: Path) -> None:
    root = tmp_path.resolve() / "ws"
    (root / "secret").mkdir(parents=True)
    (root / "public").symlink_to("secret")
    (tmp_path / "alias").symlink_to(root)
    (root / "loop").symlink_to("loop")
    given = ports(root)
    for path in ("public/a", "public", f"{root}/public/a", "x/../public/a", f"{tmp_path.resolve()}/alias/secret/a"):
        assert denied(SECRET, {"path": path}, given), path
    assert denied(f"fs__read({tmp_path}/alias/secret:*)", {"path": "secret/a"}, given)
    assert not denied(SECRET, {"path": "other"}, given)
    assert not denied(SECRET, {"path": "loop/x"}, given)


def test_a_path_is_taken_from_the_folder_of_its_server() -> None:
    given = ports("/ws", realpath=lambda path: path, folders={"fs": "/ws/sub"})
    assert denied("fs__read(sub/secret:*)", {"path": "secret"}, given)
    assert denied("fs__read(/ws/sub/secret:*)", {"path": "secret"}, given)


@pytest.mark.parametrize("path", ["SECRET\\A", "secret/a", "C:\\WS\\Secret", "c:/ws/secret", ".\\x\\..\\secret"])
def test_on_windows_case_and_slashes_mean_nothing_to_a_deny_rule(path: str) -> None:
    given = ports("C:\\ws", realpath=ntpath.normpath)
    assert denied("fs__read(Secret:*)", {"path": path}, given)
    assert denied("fs__read(c:\\ws\\secret:*)", {"path": path}, given)
    assert not denied("fs__read(secret2:*)", {"path": path}, given)


def test_no_spelling_of_a_denied_path_passes(tmp_path: Path) -> None:
    """Seeded: the path of one file, spelt at random, under a random key at a random depth."""
    root = tmp_path.resolve() / "ws"
    (root / "secret").mkdir(parents=True)
    (root / "link").symlink_to("secret")
    built = stage(permissions, ports(root), permissions={"deny": [SECRET]})
    assert built is not None
    chance = random.Random(7)
    for round_ in range(500):
        path = chance.choice(["secret", "link"]) + "/a"
        for _ in range(chance.randrange(4)):
            path = chance.choice([
                lambda p: p if p.startswith("/") else f"./{p}", lambda p: p if p.startswith("/") else f"x/../{p}",
                    lambda p: p.replace("/", "//", 1), lambda p: p.replace("/", "/./", 1),
                lambda p: p if p.startswith("/") else f"{root}/{p}",
            ])(path)
        path = chance.choice([
            str, lambda p: p.replace("e", "%65"), lambda p: f" {p} ", lambda p: p.replace("s", "\uff53", 1),
            lambda p: p.replace("/", "\\") if not p.startswith("/") else p, lambda p: f"file://{p}"
                if p.startswith("/") else p,
        ])(path)
        node: Any = {chance.choice(["path", "Path", "file", "src", "FILE_PATH", "targets"]): chance.choice([path,
            [path], {"v": path}])}
        for _ in range(chance.randrange(3)):
            node = {"a": chance.choice([node, [node], [1, [node]]])}
        verdict = run(built.before(call({"command": "decoy", **node})))
        assert isinstance(verdict, Refused), (round_, node)


# --- the rest ---

def test_arguments_nested_too_deep_are_refused() -> None:
    node: Any = "x"
    for _ in range(300):
        node = [node]
    assert "200 levels" in refused(judge(call({"path": node}), deny=[SECRET])).text


def test_changed_arguments_are_judged_again() -> None:
    class Changer(Stage):
        async def before(self, call: Call) -> Call:
            return call.with_arguments({"path": "secret/a"})

    built = stage(permissions, LEXICAL, permissions={"deny": [SECRET]})
    assert built is not None
    road = Road(built, Changer())
    assert "matched deny rule" in refused(road.run(call({"path": "x"}))).text
    assert road.sent == []


@pytest.mark.parametrize("rule", [
    "fs__t{}", "fs__t{}(x:*)", "t{}__*", "mcp__fs__t{}", "fs__read(path{}:*)", "fs__read(path{})", "fs__read(path{}*x)",
    "fs__read(p*{})", "fs__read(path{} *)", "fs__read(src/**/*.{})", "fs__read(n{}:x)", "fs__read(domain:a{}.de)",
])
def test_a_thousand_rules_cost_the_look_ups_of_one(rule: str) -> None:
    """Counted in steps of the interpreter, not in time."""
    def steps(count: int) -> int:
        built = stage(permissions, LEXICAL, permissions={"deny": [rule.format(f"{at:04}") for at in range(count)]})
        assert built is not None
        asked = call({"message": "hello"})
        assert run(built.before(asked)) is asked
        return count_lines(lambda: run(built.before(asked)))

    assert steps(1000) <= steps(1) + 2


def count_lines(work: Any) -> int:
    import sys

    lines = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines


def test_a_renamed_tool_is_refused_under_the_name_it_was_called_by_and_allowed_by_either() -> None:
    asked = call(target="read", name="fs__get")
    found = judge(asked, default_decision="deny", allow=["fs__other"])
    assert refused(found).text.endswith("for `fs__get`")
    for rule in ("fs__read", "fs__get"):
        assert judge(asked, default_decision="deny", allow=[rule]) is asked
    read = judge(call(kind=RESOURCE, target="x://y", name="x://y"), default_decision="deny", allow=["fs__other"])
    assert refused(read).text.endswith("for `fs__resources/read`")


def test_what_is_remembered_about_tools_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permissions, "MOST_TOOLS", 10)
    built = stage(permissions, LEXICAL, permissions={"deny": ["*(x)"]})
    assert isinstance(built, permissions.Permissions)
    for at in range(100):
        assert isinstance(run(built.before(call({"path": "x"}, target=f"t{at}"))), Refused)
    assert 5 < len(built._tools) <= 10


def test_the_json_text_is_that_of_0_1_0() -> None:
    arguments = {"b": [1, 2.5, None, True], "a": {"é": "x"}}
    assert allowed(f"fs__read({json.dumps(arguments)})", arguments)


def test_the_port_is_asked_only_by_rules_about_paths_of_the_tool() -> None:
    def never(path: str) -> str:
        raise AssertionError(path)

    given = ports("/ws", realpath=never)
    for section in (
        {"deny": ["fs__other(x)"]}, {"deny": ["git__*"]}, {"default_decision": "deny", "allow": ["fs__read",
        "fs__x(a)"]},
    ):
        assert isinstance(judge(call({"path": "a/b"}), given, **section), Call)
    assert isinstance(judge(call({"message": "a b"}), given, deny=["fs__read(x:*)"]), Call)
