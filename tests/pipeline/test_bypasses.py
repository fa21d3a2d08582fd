"""Nothing that a rule forbids reaches a server, however it is spelt, nested, hidden or accompanied.  Seeded."""
from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.bypasses import ANY_KEYS, PATH_KEYS, TEXT_KEYS, address_of, command_of, dressed, path_of
from kit.corridor import Road, call, ports, stage
from shack_gateway.catalog.facts import Facts
from shack_gateway.pipeline.call import RESOURCE, Call, Refused
from shack_gateway.pipeline.chain import Ports, Stage
from shack_gateway.pipeline.stages import permissions

ROUNDS = 1500
Make = Callable[[random.Random, Path], str]
CASES: list[tuple[str, list[str], Make]] = [
    *[(rule, PATH_KEYS, path_of) for rule in (
        "secret:*", "secret/:*", "secret/**", "secret/*", "**/key", "./secret/*", "/secret/**", "secret/key", "se*/key",
        "secret/", "**/secret/**", "key*")],
    *[(rule, TEXT_KEYS, command_of) for rule in ("rm -rf:*", "rm -rf *", "rm -rf x", "rm *", "rm * x", "rm -r*",
    "*-rf x*")],
    *[(rule, ANY_KEYS, address_of) for rule in ("domain:*.evil.com", "domain:evil.com")],
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bypasses").resolve() / "ws"
    (root / "secret").mkdir(parents=True)
    (root / "deep").mkdir()
    (root / "secret" / "key").write_text("")
    (root / "link").symlink_to("secret")
    (root / "deep" / "link").symlink_to("../link")
    return root


def road(given: Ports, **section: Any) -> Road:
    built = stage(permissions, given, permissions=section)
    assert built is not None
    return Road(built)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[rule for rule, _, _ in CASES])
def test_no_spelling_of_what_is_denied_reaches_the_server(workspace: Path, number: int) -> None:
    content, keys, make = CASES[number]
    chance = random.Random(number)
    rules = [f"fs__read({content})"]
    if content == "domain:evil.com":
        rules.append("fs__read(domain:*.evil.com)")
    elif content == "domain:*.evil.com":
        rules.append("fs__read(domain:evil.com)")
    roads = [road(ports(workspace), deny=rules), road(ports(
        workspace, facts=lambda call: Facts(True, frozenset({"path", "command", "title"}))), deny=rules,
        ask=["fs__read(q)"])]
    for round_ in range(ROUNDS // 10):
        arguments = dressed(chance, keys, make(chance, workspace))
        asked = call(json.loads(json.dumps(arguments)))
        for each in roads:
            outcome = each.run(asked)
            assert isinstance(outcome, Refused) and not each.sent, (round_, json.dumps(arguments))


def test_no_spelling_of_a_denied_resource_reaches_the_server(workspace: Path) -> None:
    chance = random.Random(1)
    asked = road(ports(workspace), deny=["fs__resources/read(secret/**)"])
    for round_ in range(ROUNDS // 5):
        uri = path_of(chance, workspace)
        outcome = asked.run(call({"uri": uri}, kind=RESOURCE, target=uri, name=uri))
        assert isinstance(outcome, Refused) and not asked.sent, (round_, uri)


def test_a_hook_that_puts_a_denied_spelling_into_the_call_sends_nothing(workspace: Path) -> None:
    chance = random.Random(2)

    class Rewrites(Stage):
        async def before(self, call: Call) -> Call:
            return call.with_arguments(dressed(chance, PATH_KEYS, path_of(chance, workspace)))

    built = stage(permissions, ports(workspace), permissions={"deny": ["fs__read(secret/**)"]})
    assert built is not None
    asked = Road(built, Rewrites())
    for _ in range(ROUNDS // 10):
        assert isinstance(asked.run(call({"path": "harmless"})), Refused) and not asked.sent


def test_nothing_but_the_allowed_command_reaches_the_server(workspace: Path) -> None:
    """An allow rule is not talked round either: the first word is right, something else comes with it."""
    chance = random.Random(3)
    asked = road(ports(workspace), default_decision="deny", allow=["fs__read(git log:*)", "fs__read(ls)"])
    for round_ in range(ROUNDS):
        line = chance.choice(["git log", "git log -1", "ls"])
        tail = chance.choice([
            "; {}", " && {}", " | {}", "\n{}", " & {}", " $({})", " `{}`", " ;{}", "\r\n{}", "|{}", " <({})", " > {}",
            " || {}",
            " \\\n; {}", " '; {}", ' "$({})"', " ${{x:-$({})}}", "\u2028{}", " # \n{}", ";timeout 5 {}", ";X=1 {}",
            " >&{}",
        ]).format(chance.choice(["rm x", "git push", "lsof", "gitlog", "sudo ls", "./ls", "env ls", "l\\s x"]))
        outcome = asked.run(call({"command": line + tail}))
        assert isinstance(outcome, Refused) and not asked.sent, (round_, line + tail)


def test_no_assignment_before_another_command_reaches_the_server(workspace: Path) -> None:
    """Nor is one that has no end of a word: the beginning of the text is right, and is the name of a variable."""
    chance = random.Random(5)
    asked = road(ports(workspace), default_decision="deny", allow=["fs__read(ls*)", "fs__read(* -l)", "fs__read(ls)"])
    for round_ in range(ROUNDS):
        line = chance.choice(["ls=x", "lsX=1", "ls+=1", "ls[0]=x", "ls[1 ]+=x", "ls=$(rm x)", "lsPATH=.LC_ALL=C",
                              "ls='a b'", "ls=", "ls_=\\ ", 'lsX="; "']) + chance.choice([" ", "  ", "\t"])
        line = chance.choice(["", "", "LC_ALL=C ", "nohup ", "A=1 ", "time ", "ls; ", "ls | ", "timeout 5 "]) + line
        line += chance.choice(["rm -l", "rm x", "B=2 rm -l", "ls", "/bin/rm -l", "ls -l", ""])
        outcome = asked.run(call({"command": line}))
        assert isinstance(outcome, Refused) and not asked.sent, (round_, line)


def test_nothing_outside_of_an_allowed_folder_reaches_the_server(workspace: Path) -> None:
    chance = random.Random(4)
    (workspace / "pub").mkdir(exist_ok=True)
    if not (workspace / "pub" / "out").is_symlink():
        (workspace / "pub" / "out").symlink_to("../secret")
    asked = road(ports(workspace), default_decision="deny", allow=["fs__read(pub/**)", "fs__read(pub/:*)",
        f"fs__read({workspace}/pub:*)"])
    for round_ in range(ROUNDS):
        path = chance.choice(["pub/../secret/key", "pub/out/key", "pub/out", "pub/./../secret/key", "publisher/a",
            "pub.txt",
                              f"{workspace}/pub/../secret/key", f"{workspace}/pub/out/key", f"{workspace}/pub2/a",
                              "./pub/../secret/key", "secret/key", "pub\\..\\secret\\key", "pub/%2e%2e/secret/key"])
        path = chance.choice([str, str, lambda p: p.replace("..", "\uff0e\uff0e"), lambda p: p.replace("/..",
            "//../")])(path)
        harmless = chance.random() < 0.3
        arguments: dict[str, Any] = {"path": "pub/a" if harmless else path}
        if harmless:
            arguments |= {chance.choice(["file", "paths", "o"]): chance.choice([[path], {"file": path},
            {"path": [path]}])}
            if "o" in arguments and isinstance(arguments["o"], list):
                continue
        outcome = asked.run(call(arguments))
        assert isinstance(outcome, Refused) and not asked.sent, (round_, arguments)
