"""Nothing that is forbidden reaches a server, however it is written: judged at the servers' own record of what came.

Every try carries a mark that no rule is about. What was forbidden may not be found in the record; calls that are
allowed run between them, and every one of them must be found there, so that a gateway that refuses all of them fails.
"""

from __future__ import annotations

import json
import random
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.host import Host
from kit.scene import Scene

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs links and POSIX paths")

TRIES = 1200
Arguments = dict[str, Any]

HOOK = """
import json, sys
for line in sys.stdin:
    given = json.loads(line)["tool_input"]
    said = {}
    if "hook" in given:
        changed = {**json.loads(bytes.fromhex(given["hook"])), "mark": given["mark"]}
        said = {"hookSpecificOutput": {"hookEventName": "PreToolUse", "updatedInput": changed}}
    print(json.dumps(said), flush=True)
"""

PATH_KEYS = ["path", "file_path", "filePath", "notebook_path", "source", "destination", "target", "paths", "PATH",
             "Path", "old_path", "new-path", "file", "dir", "root", "from", "to", "cwd"]
TEXT_KEYS = ["command", "query", "code", "message", "Command", "COMMANDS", "pattern"]
WIDE = {ord(c): ord(c) + 0xFEE0 for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"}


class Forger:
    """Writes forbidden things in ever other ways."""

    def __init__(self, chance: random.Random, scene: Scene) -> None:
        self.chance, self.root = chance, str(scene.workspace)

    def rooted(self) -> str:
        """A path that leads out of the workspace, and that is a path under whatever key."""
        return self.chance.choice([
            "/etc/passwd", "../x", "a/../../x", "./../x", "~/x", "~root/x", "file:///etc/passwd", "FILE:///etc/x",
            "%2e%2e/x", "..%2fx", "%252e%252e/x", "file:/etc/passwd", "file://localhost/etc/x", "out/secret",
            "./out/secret", "sub/../out/secret", f"{self.root}/../x", f"{self.root}/out/secret", f"{self.root}-too/x",
            "//etc/passwd", "C:\\Windows\\x", "\\\\server\\share\\x", "a\\..\\..\\x", " /etc/passwd", "/etc/passwd ",
            "\t../x", "．．/x", "/" + "x" * 300, "sub/up/../../../x", f"file://{self.root}/../x",
        ])

    def outside(self) -> str:
        """A path that leads out of the workspace, for a key that names files."""
        return self.chance.choice([self.rooted(), "..", "dangling", "loop/x", "..\\x", "a\0b/../../x", "out"])

    def secret(self) -> str:
        """A path to what a deny rule keeps, inside of the workspace."""
        name = self.chance.choice(["secret/a", "secret/deep/b", "secret/.env"])
        return self.chance.choice([
            name, f"./{name}", f"././/{name}", f"x/../{name}", f"sub/../{name}", f"{self.root}/{name}", f"link-{name}",
            f"{self.root}//{name}", f"{self.root}/sub/../{name}", urllib.parse.quote(name, safe=""), f" {name}",
            f"{name} ", f"file://{self.root}/{name}", f"{name}/", f"{name}/.", name.replace("/", "//"),
            name.replace("s", "%73", 1), f"sub/../link-{name}", name.replace("/", "\\"), name.translate(WIDE),
            f"sec\u200bret/{name.split('/', 1)[1]}",
        ])

    def removal(self) -> str:
        """A command that deletes or pushes."""
        word = self.chance.choice(["rm -rf x", "rm x", "git push origin main", "git push --force"])
        program, _, rest = word.partition(" ")
        return self.chance.choice([
            word, f"ls && {word}", f"ls; {word}", f"ls | {word}", f"ls & {word}", f"ls\n{word}", f"ls || {word}",
            f"ls |& {word}", f"timeout 5 {word}", f"nohup {word}", f"time {word}", f"X=1 {word}", f"X=1 Y='a b' {word}",
            f"nice {word}", f"command {word}", f"echo $({word})", f"echo `{word}`", f"( {word} )", f"  {word}",
            word.replace(" ", "   "), word.replace(" ", "\t"), word.translate(WIDE),
            f"{program[0]}\u200b{program[1:]} {rest}", f"true;{word}", f"{word};true", f"ls&&{word}",
            f"stdbuf -o0 {word}", f"echo x | xargs {word}",
        ])

    def words(self) -> str:
        """What a guardrail forbids."""
        return self.chance.choice(["DROP TABLE x", "drop table y", "a; Drop  Table z", "ＤＲＯＰ ＴＡＢＬＥ",
                                   "dr\u200bop table", "x\nDROP\tTABLE\ny"])

    def address(self) -> str:
        """An address in a domain that is denied."""
        return self.chance.choice([
            "https://evil.example/x", "HTTPS://EVIL.EXAMPLE/x", "http://evil.example:8080",
            "https://user:pw@evil.example/", "https://evil.example./x", "//evil.example/x",
            "https:\\\\evil.example\\x", "https://evil.example?x", "https://evil.example#x", " https://evil.example/x",
            "see https://evil.example/x", "https://ｅvil.example/", "https://evil%2eexample/x", "ftp://evil.example/x",
            "wss://evil.example/x", "https://a.sub.evil.example/x",
        ])

    def nested(self, key: str, value: Any) -> Arguments:
        """The value somewhere under its key."""
        return self.chance.choice([
            lambda: {key: value}, lambda: {key: [value]}, lambda: {key: ["fine", value]},
            lambda: {"options": {key: value}}, lambda: {"edits": [{"x": 1}, {key: value}]},
            lambda: {"a": {"b": {"c": {key: [[value]]}}}},
            lambda: {"fine": "a.txt", "path": "a.txt", key: value} if key != "path" else {key: value},
        ])()


def tries(chance: random.Random, forge: Forger) -> Iterator[tuple[str, Arguments]]:
    """Calls that may not reach the server, without end."""
    kinds: list[Callable[[], tuple[str, Arguments]]] = [
        lambda: ("s__echo", forge.nested(chance.choice(PATH_KEYS), forge.outside())),
        lambda: ("s__echo", forge.nested(chance.choice(["uri", "whatever", "x y"]), forge.rooted())),
        lambda: ("s__echo", {forge.rooted(): 1}),
        lambda: ("s__echo", forge.nested(chance.choice(PATH_KEYS), forge.secret())),
        lambda: ("s__echo", forge.nested(chance.choice(TEXT_KEYS), forge.removal())),
        lambda: ("s__echo", {"command": forge.removal().split(" ")}),
        lambda: ("s__echo", forge.nested(chance.choice(["any", "message", "x y"]), forge.words())),
        lambda: ("s__echo", {forge.words(): 1}),
        lambda: ("s__echo", forge.nested("url", forge.address())),
        lambda: (chance.choice(["s__gone", "mcp__s__gone", "s__denied", "s__left_out"]), {"path": "a.txt"}),
        lambda: ("s__deploy", {"env": chance.choice(["production", "prod", "prod-eu"]), "path": "a.txt"}),
    ]
    while True:
        name, arguments = chance.choice(kinds)()
        if chance.random() < 0.25 and name == "s__echo":
            arguments = hooked(arguments)
        yield name, arguments


def hooked(arguments: Arguments) -> Arguments:
    """Harmless as it comes; the hook makes these arguments of it."""
    return {"hook": json.dumps(arguments).encode().hex()}


def allowed(chance: random.Random) -> tuple[str, Arguments]:
    """A call that must go through."""
    return chance.choice([
        ("s__echo", {"path": "a.txt"}), ("s__echo", {"message": "a push was made"}),
        ("s__echo", {"path": "secrets.txt"}), ("s__echo", {"command": "ls -l"}), ("s__echo", {"url": "https://example.com/evil.example"}),
        ("s__echo", {"query": "how to drop a table"}), ("s__deploy", {"env": "staging", "path": "a.txt"}),
        ("s__echo", hooked({"path": "sub/b.txt"})), ("s__echo", {"options": {"path": ["sub", "a.txt"]}}),
    ])


def spoken(chance: random.Random, name: str, arguments: Any, mark: str) -> tuple[str, Any]:
    """The same call directly, or through the meta-tool."""
    if isinstance(arguments, dict):
        arguments = {**arguments, "mark": mark}
    if chance.random() < 0.5:
        return "shack_call_tool", {"name": name, "arguments": arguments}
    return name, arguments


@pytest.fixture
def world(scene: Scene, tmp_path: Path) -> Scene:
    root = scene.workspace
    for folder in ("sub/up", "secret/deep", "public"):
        (root / folder).mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (root / "out").symlink_to(tmp_path / "elsewhere")
    (root / "dangling").symlink_to(tmp_path / "elsewhere" / "new")
    (root / "loop").symlink_to("loop")
    (root / "link-secret").symlink_to("secret")
    (tmp_path / "hook.py").write_text(HOOK)
    return scene


def play(host: Host, chance: random.Random, stateless: bool, calls: list[tuple[str, Any, str]]) -> None:
    """Make the calls, many at a time; every one of them gets its answer."""
    open_: list[Any] = []
    for name, arguments, mark in calls:
        called, given = spoken(chance, name, arguments, mark)
        params = {"name": called, "arguments": given}
        if stateless:
            params["_meta"] = host.meta()
        open_.append(host.send("tools/call", params))
        if len(open_) >= 50:
            host.answer(open_.pop(0))
    for id in open_:
        host.answer(id)


def marks(scene: Scene) -> set[str]:
    """The marks of all calls that reached the server, wherever they stand."""
    found = set()
    for message in scene.received("s"):
        text = json.dumps(message)
        found |= {part[:12] for part in text.split("mark:")[1:]}
    return found


@pytest.mark.parametrize("stateless, server_era", [(False, "handshake"), (True, "stateless")],
                         ids=["handshake", "stateless"])
def test_nothing_that_is_forbidden_reaches_the_server(world: Scene, stateless: bool, server_era: str) -> None:
    deploy = {"name": "deploy", "does": "echo",
              "inputSchema": {"type": "object", "properties": {"env": {}, "path": {}}}}
    others = [{"name": name, "does": "echo"} for name in ("gone", "denied", "left_out")]
    world.server("s", "echo", deploy, *others, era=server_era, entry={"exclude": ["left_*"]})
    host = world.start(
        expose_mode="progressive",
        hidden=["s__gone"],
        permissions={"deny": ["s__denied", "s__echo(secret/**)", "s__echo(rm:*)", "mcp__s__echo(git push *)",
                              "s__deploy(env:prod*)", "s__*(domain:evil.example)", "s__*(domain:*.evil.example)"]},
        guardrails=[{"tool": "s__*", "argument": "*", "contains": "drop table", "ignore_case": True}],
        hooks={"PreToolUse": [{"matcher": "mcp__s__.*", "hooks": [
            {"type": "stdio", "command": f'"{sys.executable}" "{world.folder / "hook.py"}"'}]}]},
    )
    if not stateless:
        host.handshake()
    chance = random.Random(20261121 + stateless)
    forged = tries(chance, Forger(chance, world))
    calls: list[tuple[str, Any, str]] = []
    for number in range(TRIES):
        calls.append((*next(forged), f"mark:bad{number:09}"))
        if number % 5 == 0:
            calls.append((*allowed(chance), f"mark:fine{number:08}"))
    by_mark = {mark: (name, arguments) for name, arguments, mark in calls}
    play(host, chance, stateless, calls)
    reached = {f"mark:{mark}" for mark in marks(world)}
    wrongly = [by_mark[mark] for mark in reached if mark.startswith("mark:bad")]
    assert not wrongly, f"{len(wrongly)} of {TRIES}: {wrongly[:5]}"
    missing = [by_mark[mark] for mark in by_mark if mark.startswith("mark:fine") and mark not in reached]
    assert not missing, f"{len(missing)} were refused: {missing[:5]}"


DECOYS: list[tuple[str, Any]] = [
    ("s__read", {"path": "public/a", "file_path": "other/b"}),
    ("s__read", {"path": "public/a", "paths": ["other/b"]}),
    ("s__read", {"path": "public/a", "options": {"path": "other/b"}}),
    ("s__read", {"path": "public/../other/b"}), ("s__read", {"path": "public/out-of-it/b"}),
    ("s__read", {"path": "publicity/b"}), ("s__read", {"path": "other/b", "command": "git status"}),
    ("s__read", {"path": ["public/a", "other/b"]}), ("s__read", {"path": {"value": "other/b"}}), ("s__read", {}),
    ("s__run", {"command": "git status; rm x"}), ("s__run", {"command": "git status && rm x"}),
    ("s__run", {"command": "git status\nrm x"}), ("s__run", {"command": "git status | sh"}),
    ("s__run", {"command": "git log$(rm x)"}), ("s__run", {"command": "git log `rm x`"}),
    ("s__run", {"command": "git log > other"}), ("s__run", {"command": "git logs"}),
    ("s__run", {"command": "git  status "}),
    ("s__run", {"command": ["git", "status", ";", "rm"]}), ("s__run", {"command": "LD_PRELOAD=x git status"}),
    ("s__run", {"message": "git status", "command": "rm x"}), ("s__run", {"Command": "rm x"}),
    ("s__run", {"command": "git status", "commands": ["rm x"]}), ("s__run", {"command": "GIT STATUS"}),
    ("s__get", {"url": "https://example.com.evil.example/"}), ("s__get", {"url": "https://example.com@evil.example/"}),
    ("s__get", {"url": "https://evil.example\\@example.com/"}), ("s__get", {"url": "http://evil.example/#example.com"}),
    ("s__get", {"url": "javascript:example.com"}), ("s__get", {"url": "https://example.com", "urls": ["https://x.example"]}),
    ("s__other", {"path": "public/a"}), ("s__read_too", {"path": "public/a"}), ("S__read", {"path": "public/a"}),
]
FINE: list[tuple[str, Any]] = [
    ("s__read", {"path": "public/a"}), ("s__read", {"path": "./public/a"}), ("s__read", {"path": "public/deep/a"}),
    ("s__run", {"command": "git status"}), ("s__run", {"command": "git log"}), ("s__run", {"command": "git log -p"}),
    ("s__run", {"command": "git status && git log"}), ("s__get", {"url": "https://example.com/x?y"}),
]


def test_only_what_an_allow_rule_names_reaches_the_server_where_the_default_is_deny(world: Scene) -> None:
    (world.workspace / "other").mkdir()
    (world.workspace / "public" / "out-of-it").symlink_to("../other")
    schema = {"type": "object", "properties": {"path": {}, "command": {}, "url": {}}}
    names = ("read", "read_too", "run", "get", "other")
    world.server("s", *({"name": name, "does": "echo", "inputSchema": schema} for name in names))
    allow = ["s__read(public/**)", "s__read(./public/**)", "s__run(git status)", "s__run(git log:*)",
             "s__get(domain:example.com)"]
    host = world.start(expose_mode="progressive", permissions={"default_decision": "deny", "allow": allow})
    host.handshake()
    chance = random.Random(5)
    calls = [(name, arguments, f"mark:bad{number:09}") for number, (name, arguments) in enumerate(DECOYS)]
    calls += [(name, arguments, f"mark:fine{number:08}") for number, (name, arguments) in enumerate(FINE)]
    play(host, chance, False, calls * 2)
    reached = {f"mark:{mark}" for mark in marks(world)}
    assert [call for *call, mark in calls if mark.startswith("mark:bad") and mark in reached] == []
    assert [call for *call, mark in calls if mark.startswith("mark:fine") and mark not in reached] == []


@pytest.mark.parametrize("arguments", [None, [], ["path"], "path", 5, True, {"arguments": {}}], ids=repr)
def test_arguments_that_are_no_object_reach_nobody(world: Scene, arguments: Any) -> None:
    world.server("s", "echo")
    host = world.start(permissions={"default_decision": "deny"})
    host.handshake()
    for name, given in (("s__echo", arguments), ("shack_call_tool", {"name": "s__echo", "arguments": arguments})):
        host.answer(host.send("tools/call", {"name": name, "arguments": given}))
    assert world.received("s", "tools/call") == []
