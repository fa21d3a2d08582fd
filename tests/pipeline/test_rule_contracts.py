"""Every row of what users of Claude Code and of 0.1.0 know of permission rules, as a decision about a call."""
from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any

import pytest

from kit.corridor import Road, call, ports, run, stage
from shack_gateway.catalog.facts import Facts
from shack_gateway.pipeline.call import Call, Refused
from shack_gateway.pipeline.chain import Ports
from shack_gateway.pipeline.stages import permissions

LEXICAL = ports("/ws", realpath=posixpath.normpath, home="/home/me")
DENY, ASK, PASS = "deny", "ask", "pass"


def knowing(*keys: str) -> Ports:
    """Ports that know these arguments of every tool."""
    return LEXICAL._replace(facts=lambda call: Facts(True, frozenset(keys)))


def decided(arguments: dict[str, Any], given: Ports = LEXICAL, tool: str = "read", **section: Any) -> str:
    """What the rules say; `ASK` for a call that nobody can be asked about."""
    built = stage(permissions, given, permissions=section)
    asked = call(arguments, target=tool)
    verdict = asked if built is None else run(built.before(asked))
    if isinstance(verdict, Refused):
        return ASK if verdict.text.startswith("tool call requires explicit approval") else DENY
    assert verdict is asked
    return PASS


def allows(rule: str | list[str], arguments: dict[str, Any], given: Ports = LEXICAL) -> bool:
    rules = [rule] if isinstance(rule, str) else rule
    return decided(arguments, given, default_decision="deny", allow=rules) == PASS


def denies(rule: str, arguments: dict[str, Any], given: Ports = LEXICAL) -> bool:
    assert decided(arguments, given, ask=[rule]) == (ASK if decided(arguments, given, deny=[rule]) == DENY else PASS)
    return decided(arguments, given, deny=[rule]) == DENY


R, W = "fs__read", "fs__write"


@pytest.mark.parametrize("section, verdict", [
    ({"deny": [R], "ask": [R], "allow": [R]}, DENY), ({"ask": [R], "allow": [R]}, ASK), ({"ask": [R]}, ASK),
    ({"allow": [R], "default_decision": "deny"}, PASS), ({"allow": [W], "default_decision": "deny"}, DENY),
    ({"deny": ["*"], "allow": [f"{R}(a)"]}, DENY), ({"deny": [f"{R}(a)"], "allow": [R]}, DENY),
    ({"ask": ["fs__*"], "allow": [f"{R}(a)"]}, ASK), ({"deny": [W], "ask": [f"{R}(b)"]}, PASS),
    ({"default_decision": "prompt"}, ASK), ({"default_decision": "ask"}, ASK), ({"default_decision": "allow"}, PASS),
    ({"default_decision": "prompt", "allow": [R]}, PASS), ({}, PASS),
], ids=str)
def test_deny_comes_before_ask_before_allow_before_the_default(section: dict[str, Any], verdict: str) -> None:
    assert decided({"path": "a"}, **section) == verdict


@pytest.mark.parametrize("rule, denied, allowed", [
    ("fs__read", True, True), ("fs__read(*)", True, True), ("fs__read()", True, True), ("mcp__fs", True, True),
    ("mcp__fs__*", True, True), ("mcp__fs__read", True, True), ("mcp__fs__re*", True, True), ("mcp__fs__get_*", False,
    False), ("mcp__shack__fs__read", True, True), ("mcp__shack__fs", True, True), ("mcp__fs__read(a)", True, True),
    ("mcp__fs__read(b)", False, False), ("*", True, False), ("mcp__*", True, False), ("mcp__*__read", True, False),
    ("*__read", True, False), ("mcp__git", False, False), ("mcp__git__*", False, False), ("mcp__f", False, False),
])
def test_a_rule_in_any_spelling_and_globs_where_they_may_stand(rule: str, denied: bool, allowed: bool) -> None:
    assert denies(rule, {"path": "a"}) is denied
    assert allows(rule, {"path": "a"}) is allowed


COMMANDS = [
    # rule, command, allowed, denied
    ("ls *", "ls", True, True), ("ls *", "ls -l", True, True), ("ls *", "lsof", False, False), ("ls:*", "ls -l", True,
    True),
    ("ls:*", "ls", True, True), ("ls:*", "lsof", False, True), ("ls*", "lsof", True, True), ("ls*", "ls -l", True,
    True),
    ("ls", "ls", True, True), ("ls", "ls -l", False, False), ("git * main", "git push origin main", True, True),
    ("git * main", "git push origin maint", False, False), ("* --version", "node --version", True, True),
    ("git * main *", "git push main --force", True, True), ("git * main *", "git push mainly", False, False),
    ("git log:*", "git logs", False, True), ("git log :*", "git log -1", True, True), ("git log", " git log ", True,
    True),
    ("npm run test:*", "npm run test:unit", False, True), ("npm run test:*", "npm run test -- x", True, True),
    ("git commit *", "git commit -m 'a; b && c'", True, True), ("GIT *", "git x", False, False),
    # compound commands: each part needs its rule to be allowed, one denied part is enough
    *[("git log:*", f"git log {cut} rm x", False, True) for cut in ("&&", "||", ";", "|", "|&", "&", "\n")],
    *[("git log:*", f"rm x {cut} git log", False, True) for cut in ("&&", "||", ";", "|", "|&", "&", "\n")],
    ("git log:*", "git log && git log -1", True, True), ("git log:*", "git log;", True, True),
    # wrappers
    *[("git log:*", f"{before} git log", True, True) for before in (
        "timeout 5", "time", "nice", "nice -n 5", "nohup", "stdbuf -oL", "command", "builtin", "noglob", "xargs")],
    *[("git log:*", f"{before} git log", False, True) for before in (
        "sudo", "env", "xargs -n 1", "sudo -u x", "doas", "PATH=/x", "GIT_PAGER=x", "LD_PRELOAD=/x", "exec", "eval",
        "env A=b", "unknown=1 two=2", "/usr/bin/timeout 5")],
    *[("git log:*", f"{before} git log", True, True) for before in ("LC_ALL=C", "NO_COLOR=1 TZ=UTC",
    "LANG=C timeout 5")],
    # what a shell does besides
    *[("git log:*", line, False, True) for line in (
        "git log $(rm x)", "git log `rm x`", "git log > x", "git log < x", "git log\nrm x", "git log <(rm x)",
        "(git log)",
        "git log \x1b[2K", "git log\r", "git log ${x}", "git log $'x'", "/bin/git log", "g''it log", "\"git\" log",
        "git\\\n log")],
    ("git log > x", "git log > x", True, True), ("a\nb", "a\nb", True, True), ("echo `x`", "echo `x`", True, True),
]


@pytest.mark.parametrize("content, command, allowed, denied", COMMANDS, ids=[f"{r} {c!r}" for r, c, _, _ in COMMANDS])
def test_a_command_is_compared_at_words_and_in_its_parts(
    content: str, command: str, allowed: bool, denied: bool) -> None:
    assert allows(f"fs__read({content})", {"command": command}) is allowed
    assert denies(f"fs__read({content})", {"command": command}) is denied


def test_the_parts_of_a_command_may_be_allowed_by_several_rules() -> None:
    rules = ["fs__read(git log:*)", "fs__read(head *)", "fs__read(ls)"]
    assert allows(rules, {"command": "ls; git log -1 | head -n 5 && ls"})
    assert not allows(rules, {"command": "ls; git log -1 | tail -n 5 && ls"})


PATHS = [
    # rule, path, allowed, denied
    ("*.key", "a.key", True, True), ("*.key", "x/y/a.key", True, True), ("*.key", "a.keys", False, False),
    ("*.key", "a.key/x", False, True), ("src/*", "src/a", True, True), ("src/*", "src/a/b", False, True),
    ("src/*.py", "src/a/b.py", False, False), ("src/**", "src/a/b", True, True), ("src/**", "src", False, True),
    ("src/**", "srcs/a", False, False), ("src/**/*.py", "src/a.py", True, True), ("src/**/*.py", "src/a/b/c.py", True,
    True),
    ("src/**/*.py", "src/a/b/c.pyc", False, False), ("src/**/t/**/x*", "src/a/t/b/c/xy", True, True),
    ("**/t/*.py", "t/a.py", True, True), ("**/t/*.py", "a/b/t/a.py", True, True), ("**/t/*.py", "a/t/b/a.py", False,
    False),
    ("./src/*", "src/a", True, True), ("src/*", "./src/a", True, True), ("src/*", "/ws/src/a", True, True),
    ("src/*", "x/../src/a", False, True), ("//ws/src/*", "src/a", True, True), ("/ws/src/*", "/ws/src/a", True, True),
    ("/src/*", "src/a", False, True), ("/etc/*", "/etc/passwd", True, True), ("//etc/*", "/etc/passwd", True, True),
    ("//etc/*", "/ws/etc/passwd", False, True), ("~/x/*", "/home/me/x/a", True, True), ("~/x/*", "~/x/a", True, True),
    ("~/x/*", "/home/me/y/a", False, False), ("build*/", "build1/a/b", True, True), ("build*/", "x/build1/a", True,
    True),
    ("a*b*c", "aXbYc", True, True), ("a*b*c", "aXb/Yc", False, False), ("[ab]*", "a", False, False), ("a?*", "ab",
    False,
    False), ("src/*", "src/a\0", True, True), ("Src/*", "src/a", False, False), ("src/*", "%73rc/a", False, True),
    # 0.1.0's own forms
    ("secret", "secret", True, True), ("secret", "secret/a", False, False), ("secret", "a/secret", False, False),
    ("secret", "./secret", False, True), ("secret/", "secret/a", False, True), ("secret:*", "secret/a", True, True),
    ("secret:*", "secrets", False, True), ("secret/:*", "secret/a", True, True), ("secret/:*", "secret/../a", False,
    True),
    ("secret:*", "secret b", False, True), ("secret:*", "secret?b", False, True), ("secret :*", "secret b", True, True),
    ("/ws/a", "/ws/a", True, True), ("/ws/a", "a", False, True), ("a", "/ws/a", False, True), ("x/../a", "x/../a", True,
    True), ("a b", "a b", True, True), ("ä", "ä", True, True),
]


@pytest.mark.parametrize("content, path, allowed, denied", PATHS, ids=[f"{r} {p!r}" for r, p, _, _ in PATHS])
def test_a_path_is_compared_by_its_segments(content: str, path: str, allowed: bool, denied: bool) -> None:
    assert allows(f"fs__read({content})", {"path": path}) is allowed
    assert denies(f"fs__read({content})", {"path": path}) is denied


def test_a_link_is_allowed_with_its_target_and_denied_with_either(tmp_path: Path) -> None:
    root = tmp_path.resolve() / "ws"
    for folder in ("pub", "private"):
        (root / folder).mkdir(parents=True)
    (root / "pub" / "link").symlink_to("../private")
    (root / "pub" / "near").symlink_to("a")
    (root / "again").symlink_to("pub")
    given = ports(root)
    link = {"path": "pub/link/x"}
    for rule in ("pub/**", "pub/:*", "pub/link/x", f"/{root}/pub/**", "pub:*", "**/x"):
        denied, allowed = denies(f"fs__read({rule})", link, given), allows(f"fs__read({rule})", link, given)
        assert denied and allowed is (rule == "**/x"), rule
    assert allows(["fs__read(pub/**)", "fs__read(private/**)"], link, given)
    assert allows(["fs__read(pub/link/x)", "fs__read(private/x)"], link, given)
    assert allows("fs__read(pub/**)", {"path": "pub/near"}, given)
    assert denies("fs__read(private/**)", link, given) and denies("fs__read(private/x)", link, given)
    for rule in ("again/**", f"{root}/again/*", "again/*.md", "./again/**", "//" + str(root)[1:] + "/again/**"):
        assert denies(f"fs__read({rule})", {"path": "pub/a.md"}, given), rule
        assert not denies(f"fs__read({rule})", {"path": "private/a.md"}, given), rule
    assert denies("fs__read(again/**)", {"path": "again/a"}, given) and denies("fs__read(pub/**)", {"path": "again"},
        given)


def test_an_absolute_rule_may_name_the_root_by_a_link_to_it(tmp_path: Path) -> None:
    root = tmp_path.resolve() / "ws"
    (root / "src").mkdir(parents=True)
    alias = tmp_path / "alias"
    alias.symlink_to(root)
    given = ports(root)
    for rule in (f"fs__read({alias}/src/:*)", f"fs__read(/{alias}/src/**)"):
        assert allows(rule, {"path": f"{alias}/src/a"}, given), rule
        assert denies(rule, {"path": "src/a"}, given)


def test_where_case_tells_nothing_programs_are_found_in_any() -> None:
    given = LEXICAL._replace(folds_case=True)
    assert denies("fs__read(rm -rf:*)", {"command": "ls; /bin/RM -rf x"}, given)
    assert not denies("fs__read(rm -rf:*)", {"command": "ls; /bin/RM -rf x"})
    for arguments in ({"command": "RM -rf x"}, {"command": ["RM", "-rf", "x"]}, {"o": {"command": "Rm -rf x"}}):
        assert denies("fs__read(rm -rf:*)", arguments, given) and not denies("fs__read(rm -rf:*)", arguments)


def test_a_relative_path_leads_where_its_server_works() -> None:
    given = LEXICAL._replace(folders={"fs": "/ws/sub"})
    assert allows("fs__read(sub/src/**)", {"path": "/ws/sub/src/a"}, given)
    assert allows("fs__read(sub/src/**)", {"path": "src/a"}, given)
    assert not allows("fs__read(src/**)", {"path": "src/a"}, given)
    assert denies("fs__read(sub/src/**)", {"path": "src/a"}, given)


@pytest.mark.parametrize("content, path, allowed, denied", [
    ("SRC/*", "src/a", False, True), ("src/*", "SRC/A", False, True), ("src/a", "SRC/a", False, True),
    ("src/:*", "/WS/SRC/a", False, True), ("src/*", "/WS/src/a", False, True), ("src/*", "src/a", True, True),
])
def test_where_case_tells_nothing_a_deny_rule_does_not_look_at_it(
    content: str, path: str, allowed: bool, denied: bool) -> None:
    given = LEXICAL._replace(folds_case=True)
    assert denies(f"fs__read({content})", {"path": path}, given) is denied
    if not allowed:
        assert not allows(f"fs__read({content})", {"path": path}) or content == "SRC/*"


PARAMETERS = [
    # rule, arguments, denied
    ("branch:main", {"branch": "main"}, True), ("branch:main", {"branch": "maint"}, False), ("branch:main", {}, False),
    ("branch : main", {"branch": "main"}, True), ("branch:rel*", {"branch": "rel/1"}, True), ("branch:*",
    {"branch": ""}, True),
    ("branch:*", {}, False), ("branch:*", {"branch": None}, False), ("n:5", {"n": 5}, True), ("n:5", {"n": 5.0}, True),
    ("n:5", {"n": 50}, False), ("f:true", {"f": True}, True), ("f:true", {"f": False}, False), ("f:*", {"f": False},
    True),
    ("branch:main", {"o": {"branch": "main"}}, False), ("branch:main", {"branch": ["main"]}, False),
    ("branch:main", {"branch": " main\u200b"}, True), ("command:rm", {"command": "rm"}, True),
    ("command:rm*", {"command": "ls && rm -rf x"}, True), ("command:rm", {"command": "ls"}, False),
    ("command:rm", {"command": "command:rm"}, True), ("branch:main", {"command": "branch:main"}, False),
]


@pytest.mark.parametrize("content, arguments, denied", PARAMETERS, ids=str)
def test_a_parameter_is_compared_where_the_tool_knows_it(content: str, arguments: dict[str, Any], denied: bool) -> None:
    given = knowing("branch", "n", "f", "command", "o")
    assert denies(f"fs__read({content})", arguments, given) is denied


def test_a_parameter_may_be_allowed_where_the_tool_knows_it() -> None:
    given = knowing("branch", "command")
    assert allows("fs__read(branch:rel*)", {"branch": "rel/1", "command": "x"}, given)
    assert not allows("fs__read(branch:rel*)", {"branch": "main"}, given)
    assert not allows("fs__read(branch:rel*)", {"branch": "rel/1"}), "nobody knows that it is a parameter"
    assert not allows("fs__read(command:rm)", {"command": "rm"}, given), "it is the subject"


def test_a_rule_is_read_both_ways_where_the_tool_is_not_known() -> None:
    assert denies("fs__read(git:*)", {"git": 1}) and denies("fs__read(git:*)", {"command": "git push"})
    assert denies("fs__read(git:*)", {"command": "git push"}, knowing("command"))
    assert not denies("fs__read(git:*)", {"command": "git push"}, knowing("command", "git"))
    assert not denies("fs__read(path:*)", {"path": "src"}), "what looks like the subject is no parameter"
    assert denies("fs__read(path:*)", {"path": "src", "command": "ls"})
    assert denies("fs__read(path:*)", {"path": "paths/a"})


def test_what_is_known_of_a_tool_may_change() -> None:
    known: list[frozenset[str]] = [frozenset()]
    given = LEXICAL._replace(facts=lambda call: Facts(True, known[0]))
    built = stage(permissions, given, permissions={"deny": ["fs__read(branch:main)"]})
    assert built is not None
    text, parameter = call({"command": "branch:main"}), call({"branch": "main"})
    for keys, verdicts in ((set(), (True, True)), ({"branch", "command"}, (False, True)), ({"command"}, (True, False))):
        known[0] = frozenset(keys)
        assert tuple(isinstance(run(built.before(each)), Refused) for each in (text, parameter)) == verdicts


DOMAINS = [
    # rule, address, allowed, denied
    ("example.com", "https://example.com/a", True, True), ("example.com", "HTTPS://EXAMPLE.com.:80", True, True),
    ("EXAMPLE.com.", "https://example.com", True, True), ("example.com", "https://www.example.com", False, False),
    ("*.example.com", "https://a.b.example.com", True, True), ("*.example.com", "https://example.com", False, False),
    ("example.com", "https://example.com.evil.com", False, False), ("example.com", "https://badexample.com", False,
    False),
    ("example.com", "https://user@example.com", False, True), ("example.com", "https://evil.com\\@example.com", False,
    True),
    ("example.com", "https://example.com@evil.com", False, True), ("example.com", "https://ex%61mple.com", False, True),
    ("example.com", "https://\uff45xample.com", False, True), ("example.com", "ftp://example.com", False, True),
    ("example.com", "//example.com", False, True), ("example.com", "example.com", False, True),
    ("*", "https://any.com", True, True),
]


@pytest.mark.parametrize("host, url, allowed, denied", DOMAINS, ids=[f"{r} {u}" for r, u, _, _ in DOMAINS])
def test_a_domain_is_compared_by_its_labels(host: str, url: str, allowed: bool, denied: bool) -> None:
    assert allows(f"fs__read(domain:{host})", {"url": url}) is allowed
    assert denies(f"fs__read(domain:{host})", {"url": url}) is denied


def test_a_denied_domain_is_found_under_any_key() -> None:
    for arguments in ({"x": {"y": ["see https://example.com/a"]}}, {"https://example.com": 1}, {"href": "example.com"}):
        assert denies("fs__read(domain:example.com)", arguments)
    assert not denies("fs__read(domain:example.com)", {"text": "example.com is nice"})


@pytest.mark.parametrize("content, url, allowed", [
    ("https://a.de:*", "https://a.de/x", True), ("https://a.de:*", "https://a.de?x", True), ("https://a.de:*",
    "https://a.de",
    True), ("https://a.de:*", "https://a.de.evil.com", False), ("https://a.de:*", "https://a.de@evil.com", False),
    ("https://a.de:*", "https://a.de:80@evil.com", False), ("https://a.de:*", "https://a.de\\@evil.com", False),
    ("https://a.de/pub/:*", "https://a.de/pub/x", True), ("https://a.de/pub/:*", "https://a.de/pub/../x", False),
    ("https://a.de/pub/:*", "https://a.de/pub/%2e%2e/x", False), ("https://a.de/pub/:*", "https://a.de/pub/\n", False),
    ("https://a.de/pub/:*", "https://a.de/pub/..;/x", False), ("https://a.de/pub:*", "https://a.de/pub#x", True),
    ("https://a.de/*", "https://a.de/x/y", True), ("https://*.a.de/*", "https://b.a.de/x", True),
    ("https://*.a.de/*", "https://evil.com/.a.de/x", False), ("https://*.a.de/*", "https://evil.com?.a.de/x", False),
    ("*a.de/*", "https://evil.com/a.de/x", False), ("https://a.de*", "https://a.de.evil.com/x", False),
    ("https://a.de/*", "file:///etc/passwd", False), ("*", "file:///etc/passwd", True),
])
def test_an_address_is_allowed_up_to_a_border_that_all_readers_see(content: str, url: str, allowed: bool) -> None:
    assert allows(f"fs__read({content})", {"url": url}) is allowed


@pytest.mark.parametrize("arguments, known, allowed", [
    ({"command": "ls", "path": "b"}, (), True), ({"command": "ls"}, ("path",), False), ({"path": "ls"}, ("path",),
    True),
    ({"command": "ls", "path": "b"}, ("path",), False), ({"command": "rm", "path": "ls"}, ("path",), True),
    ({"command": "ls", "id": 1}, ("id",), False), ({"path": "ls", "file": "b"}, (), False), ({"path": "ls", "o": {
        "dir": "b"}}, (), False), ({"path": "ls", "paths": ["ls", "b"]}, (), False), ({"path": "ls", "paths": ["ls"]},
    (), True), ({"path": "ls", "files": {"b": ""}}, (), False), ({"command": "ls", "commands": ["rm"]}, (), False),
    ({"command": "ls", "o": [{"Command_2": {"x": "rm"}}]}, (), False), ({"command": "ls", "o": {"commands": "ls"}}, (),
    True), ({"command": "ls", "message": "b"}, (), True), ({"command": "ls", "cmd": "rm"}, (), False),
    ({"command": "ls", "o": {"script": ["rm"]}}, (), False), ({"command": "ls", "cmd": "ls"}, (), True),
    ({"message": "ls", "messages": ["b"]}, (), False),
    ({"query": "ls", "Queries": "b"}, (), False), ({"query": "ls", "QUERY": "b"}, (), False), ({"path": "ls", "src": 5},
    (), True),
], ids=str)
def test_an_allow_rule_takes_the_subject_of_the_tool_and_nothing_rides_along(
    arguments: dict[str, Any], known: tuple[str, ...], allowed: bool) -> None:
    assert allows("fs__read(ls)", arguments, knowing(*known)) is allowed


def test_a_tool_without_a_subject_is_allowed_by_the_json_text_even_beside_a_decoy() -> None:
    assert allows('fs__read({"id": 1})', {"id": 1}, knowing("id"))
    assert allows('fs__read({"id": *, "command": "ls"})', {"id": 1, "command": "ls"}, knowing("id"))


def test_the_stage_says_why_a_call_passes() -> None:
    built = stage(permissions, LEXICAL, permissions={"default_decision": "deny", "allow": ["fs__read(a)",
        "fs__*(b:*)"]})
    assert built is not None
    assert built.why(call({"path": "a"})) == "allow rule 'fs__read(a)'"
    assert built.why(call({"path": "b/c"})) == "allow rule 'fs__*(b:*)'"
    other = stage(permissions, LEXICAL, permissions={"deny": ["fs__x"]})
    assert other is not None and other.why(call()) == "default_decision: allow"


def test_other_rule_sets_refuse_under_their_own_name() -> None:
    section = {"deny": permissions.FIELDS[0].default or (), "ask": (), "allow": (), "default_decision": "deny"}
    other = permissions.Permissions(section, LEXICAL, name="profiles", policy="the profile `review`")
    refusal = Road(other).run(call())
    assert isinstance(refusal, Refused) and refusal.stage == "profiles"
    assert refusal.text.startswith("blocked by the profile `review`: no matching allow rule")
    asks = permissions.Permissions({**section, "default_decision": "ask"}, LEXICAL, name="profiles")
    assert Road(asks).run(call()).stage == "profiles"


def test_a_refusal_for_what_is_too_much_to_judge_says_so() -> None:
    built = stage(permissions, LEXICAL, permissions={"deny": ["fs__read(rm:*)"]})
    road = Road(*([built] if built else []))
    refusal = road.run(call({"command": "arm;" * 30_000}))
    assert isinstance(refusal, Refused) and "more than" in refusal.text and not road.sent
    assert isinstance(road.run(call({"command": "x" * 100_000})), object) and isinstance(road.sent[0], Call)


def test_a_program_is_denied_with_the_arguments_beside_it() -> None:
    assert denies("fs__read(rm -rf:*)", {"o": {"command": "rm", "args": ["-rf", "/"]}})
    assert denies("fs__read(rm -rf:*)", {"command": "sudo", "args": ["rm", "-rf", "/"]})
    assert not denies("fs__read(rm -rf:*)", {"command": "ls", "args": ["rm", "-rf", "/"]})


@pytest.mark.parametrize("rule, arguments", [
    ("git *a*b*c*:*", {"command": "a" * 32_000}), ("**/a*b*c*/**/x*y*/z", {"path": "aabbcc/xxyy/" * 330}),
    ("*a*a*a*a*a*ab", {"path": "a" * 4000}), ("*a*a*a*a*a*ab", {"message": "a" * 200_000}),
    ("https://*.a*.a*.a*/x*y*z", {"url": "https://" + "a." * 100_000}),
    ("https://a/*x*y*z", {"url": "https://a/" + "x" * 8000}),
    ("*.a*.a*.a*/x", {"url": "https://" + "a." * 4000}), ("domain:*.a.de", {"url": "https://" + "a." * 4000 + "de"}),
    ("rm *a*b*c x", {"command": "'\"" * 5000}), ("domain:*.a.de", {"message": "https://" + "a." * 50_000}),
], ids=lambda value: str(value)[:30])
def test_no_subject_takes_long(rule: str, arguments: dict[str, Any]) -> None:
    """Whoever goes back over a text again and again would be at this for minutes."""
    assert not allows(f"fs__read({rule})", arguments)
    assert not denies(f"fs__read({rule})", arguments)


@pytest.mark.parametrize("content, denied", [
    ("*secret*", True), ("*secret*}", True), ("{*secret*", True), ('{"id": "secret":*', True), ('*secret"}', True),
    ("*secret", False), ("secret*", False), ("*secret:*", True), ("* secret *", False),
])
def test_a_pattern_finds_the_json_text_of_a_call_without_a_subject_even_beside_a_decoy(
    content: str, denied: bool) -> None:
    assert denies(f"fs__read({content})", {"id": "secret"}) is denied
    if "{" not in content and "}" not in content:
        assert denies(f"fs__read({content})", {"id": "secret", "message": "decoy"}) is denied
        assert denies(f"fs__read({content})", {"id": "secret", "message": "decoy"}, knowing("id")) is denied
        assert not denies(f"fs__read({content})", {"id": "secret", "message": "own"}, knowing("id", "message"))
