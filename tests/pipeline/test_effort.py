"""What a judgement may cost is counted: large arguments are judged, and what would hold up others is refused."""
from __future__ import annotations

from typing import Any

import pytest

from kit.corridor import call, ports, refused, run, stage
from shack_gateway.catalog.facts import Facts
from shack_gateway.pipeline.call import RESOURCE, Call
from shack_gateway.pipeline.chain import Stage
from shack_gateway.pipeline.commands import letters_of, needs
from shack_gateway.pipeline.domains import Domains, domain, hosts
from shack_gateway.pipeline.effort import LONG, Effort, TooMuch
from shack_gateway.pipeline.stages import permissions, profiles

LEXICAL = ports("/ws", realpath=lambda path: path)
DENY = ["fs__*(rm -rf:*)", "fs__*(secret/**)", "fs__*(domain:evil.com)", "fs__*(git * main)"]
WORDS = "a line of words, and `more` of \"it\"; don't\n"
SHELL = "for x in 'a b' \"$y\"; do echo \"$x\" | sed 's/a/b/' > out; done # rm\n"


def judged(arguments: dict[str, Any], **section: Any) -> Any:
    built = stage(permissions, LEXICAL, permissions=section or {"deny": DENY})
    assert built is not None
    return run(built.before(call(arguments)))


@pytest.mark.parametrize("arguments", [
    {"text": WORDS * 25_000}, {"content": "x" * 60_000_000}, {"text": "iVBORw0KGgo/+" * 200_000},
    {"command": SHELL * 5_000}, {"code": WORDS * 8_000}, {"command": "'" * 300_000}, {"command": ";" * 300_000},
    {"command": "$(" * 150_000}, {"numbers": list(range(300_000))}, {"rows": [{"a": 1, "b": "x"}] * 15_000},
    {"paths": [f"src/{number}" for number in range(1000)]}, {"message": "\u4e2d" * 100_000},
    {"texts": [f"word {number}" for number in range(50_000)]},
], ids=lambda arguments: str(arguments)[:40])
def test_ordinary_arguments_are_judged_however_large(arguments: dict[str, Any]) -> None:
    assert isinstance(judged(arguments), Call)


@pytest.mark.parametrize("arguments", [
    {"command": "rm '-rf " * 40_000}, {"command": "\\rm -rf'" * 40_000}, {"command": "$'rm -rf" * 40_000},
    {"command": "arm -rf;" * 60_000}, {"paths": [f"src/{number}" for number in range(50_000)]},
    {"paths": ["a/" * 2000 + str(number) for number in range(1000)]}, {"commands": ["ls | x"] * 50_000},
    {"text": "".join([f"//0x{n:x}" for n in range(100_000)]) + "evil.com"},
    {"text": ("//" + "\u00e4" * 60) * 30_000 + " evil.com"},
    {"text": "\ufdfa" * 500_000}, {"rows": [{"a": "x"}] * 200_000},
    {**{f"command{n}": "x" for n in range(500)}, **{f"args{n}": "y" for n in range(500)}},
], ids=lambda arguments: str(arguments)[:40])
def test_what_would_take_too_long_is_refused_and_said(arguments: dict[str, Any]) -> None:
    verdict = refused(judged(arguments))
    assert verdict.rule in ("length", *DENY) and ("too many or too long" in verdict.text or verdict.rule in DENY
                                                  or "more than" in verdict.text)


def test_a_thousand_patterns_on_a_megabyte_are_too_much() -> None:
    rules = [f"fs__*(*{number}abc*)" for number in range(1000)]
    assert refused(judged({"command": "xyz " * 250_000}, deny=rules)).rule == "length"
    assert isinstance(judged({"command": "xyz " * 1000}, deny=rules), Call)


def stage_of(section: dict[str, Any] | None, *layers: dict[str, Any]) -> Stage:
    """The permissions, or else a profile of such layers, the first of them chosen."""
    named = {f"p{at}": {**layer, "extends": f"p{at + 1}"} for at, layer in enumerate(layers)}
    if layers:
        del named[f"p{len(layers) - 1}"]["extends"]
    built = stage(permissions, LEXICAL, permissions=section) if section else stage(
        profiles, LEXICAL, profile="p0", profiles=named)
    assert built is not None
    return built


FIRST, SECOND = ([f"fs__*({word}{number}:*)" for number in range(70)] for word in "ab")


@pytest.mark.parametrize("alone, together", [
    (stage_of({"deny": FIRST}), stage_of({"deny": FIRST, "ask": SECOND})),
    (stage_of(None, {"deny": FIRST}), stage_of(None, {"deny": FIRST}, {"ask": SECOND})),
    (stage_of(None, {"ask": FIRST}), stage_of(None, {"ask": FIRST}, {"ask": SECOND})),
    (stage_of(None, {"deny": FIRST}, {"deny": SECOND}),
     stage_of(None, {"deny": FIRST}, {"deny": SECOND, "ask": FIRST})),
], ids=["lists", "layers", "asking layers", "what two layers deny is looked at once"])
def test_all_lists_and_layers_have_one_effort_together(alone: Stage, together: Stage) -> None:
    """What is more than half of it can be judged by one of them, and not by two."""
    large = call({"command": "xy;" * 12_000})
    assert run(alone.before(large)) is large
    assert refused(run(together.before(large))).rule == "length"


def test_an_allow_rule_has_what_the_others_left() -> None:
    texts = {"path": "src/a", "paths": [f"src/{number}" for number in range(1200)]}
    allow = {"default_decision": "deny", "allow": ["fs__read(src/**)"]}
    assert isinstance(judged(texts, **allow), Call)
    assert refused(judged(texts, **allow, deny=["fs__*(x/**)"])).rule == "length"


@pytest.mark.parametrize("section, subject", [
    ({"deny": ["fs__*(rm:*)"]}, {}), ({"ask": ["fs__*(rm:*)"]}, {}),
    ({"default_decision": "deny", "allow": ["fs__read(src/**)"]}, {"path": "src/a"}),
], ids=str)
def test_very_many_arguments_are_too_much_whatever_they_are_called(section: Any, subject: dict[str, Any]) -> None:
    few, many = ({**subject, **{f"k{number}": "x" for number in range(count)}} for count in (10_000, 200_000))
    assert isinstance(judged(few, **section), Call)
    assert refused(judged(many, **section)).rule == "length"


def test_a_parameter_of_an_allow_rule_costs_too() -> None:
    known = ports("/ws", realpath=str, facts=lambda call: Facts(True, frozenset({"note"})))
    rules = [f"fs__read(note:*{number}abc*)" for number in range(1000)]
    built = stage(permissions, known, permissions={"default_decision": "deny", "allow": rules})
    assert built is not None
    assert refused(run(built.before(call({"note": "xyz " * 250_000})))).rule == "length"


def test_an_allowed_list_of_very_many_paths_is_too_much() -> None:
    section = {"default_decision": "deny", "allow": ["fs__read(src/**)"]}
    few, many = ({"path": "src/a", "paths": [f"src/{number}" for number in range(count)]} for count in (500, 50_000))
    assert isinstance(judged(few, **section), Call)
    assert refused(judged(many, **section)).rule == "length"


@pytest.mark.parametrize("line", [
    "r'm' -rf x", "r\\m -rf x", "rm${IFS}-rf x", "r$@m -rf x", "{rm,-rf,x}", "r\\\nm -rf", "/bin/rm -r'f' x",
    "$'\\x72m' -rf",
    "ls && sudo rm -rf x", "r${x}m -rf", "rm $x -rf", "rm 2>y -rf", "find . -exec rm -rf {} +", "\uff52m -rf x",
])
def test_a_command_is_found_in_a_long_text_too(line: str) -> None:
    for filler in ("# a comment;\n" * 300, "x" * LONG + "\n"):
        assert refused(judged({"command": filler + line + "\n" + filler})).rule == DENY[0]


def test_what_a_rule_needs_is_looked_for_in_what_a_shell_would_see() -> None:
    assert needs('git "push" * main') == ("git", "push", "main")
    letters = letters_of("g'i't pu\\\nsh; $x m${y}ain")
    assert letters is not None and all(word in letters for word in ("git", "push", "main"))
    assert letters_of("$'\\x72m'") is None


@pytest.mark.parametrize("text", [
    "https://evil.com/x", "HTTPS://EVIL.COM", "https://e%76il.com", "https://evil\u3002com", "https://\uff45vil.com",
    "https://ev\til.com", "https://evi\u00adl.com", "https://%EF%BD%85vil.com", "https://a@evil.com",
])
def test_a_host_is_found_in_a_long_text_too(text: str) -> None:
    for filler in ("words " * LONG, "https://good.example/\u00e9 " * 500):
        assert refused(judged({"any": filler + text + " " + filler})).rule == DENY[2]


@pytest.mark.parametrize("rule", ["*", "127.0.0.1", "xn--bcher-kva.example", "b\u00fccher.example"])
def test_hosts_that_may_be_written_otherwise_are_not_looked_for_by_their_letters(rule: str) -> None:
    assert Domains([(domain(rule), "rule")]).needles == ()


def test_a_host_in_letters_that_only_its_code_shows_is_found_in_a_long_text() -> None:
    section = {"deny": ["fs__*(domain:b\u00fccher.example)", "fs__*(domain:127.0.0.1)"]}
    for text in ("http://B\u00dcCHER.example", "http://xn--bcher-kva.example", "http://0x7f.1"):
        assert refused(judged({"any": "words " * LONG + text}, **section)), text


def test_a_resource_is_judged_with_an_end_too() -> None:
    built = stage(permissions, LEXICAL, permissions={"deny": DENY})
    assert built is not None
    uri = "http://" + "\u00e4/" * 3_000_000
    assert refused(run(built.before(call(server="fs", kind=RESOURCE, target=uri, name=uri)))).rule == "length"


def test_effort_that_is_used_up_is_said() -> None:
    effort = Effort(10)
    effort.spend(10)
    with pytest.raises(TooMuch, match="too many or too long"):
        effort.spend(1)
    with pytest.raises(TooMuch):
        list(hosts("//a.b " * 1000, effort=Effort(100)))


@pytest.mark.parametrize("arguments, found", [
    ({"command": "curl evil.com"}, True), ({"cmd": "wget -q\tevil.com/x"}, True), ({"args": ["-s", "evil.com:80"]},
    True),
    ({"argv": ["curl evil.com"]}, True), ({"message": "mind evil.com"}, False),
    ({"command": "curl not-evil.com"}, False),
])
def test_every_word_of_a_command_may_be_a_host(arguments: dict[str, Any], found: bool) -> None:
    assert isinstance(judged(arguments), Call) is not found


def test_an_option_that_hands_on_a_command_is_seen_in_plain_words() -> None:
    assert refused(judged({"command": "find x -exec rm -rf y"})).rule == DENY[0]
