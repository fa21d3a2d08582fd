"""A rule is put into a configuration, and not one other byte of it changes."""
from __future__ import annotations

import json
import random
from typing import Any

import pytest

from shack_gateway.config import edit, jsonc
from shack_gateway.config.edit import with_allow_rule

RULE = "fs__write(a)"
WRITTEN = '"fs__write(a)"'

TABLE: list[tuple[str, str, str]] = [
    ("one line", '{"permissions": {"allow": ["a"]}}', '{"permissions": {"allow": ["a", @]}}'),
    ("one line, spaces inside", '{"permissions": {"allow": [ "a" ]}}', '{"permissions": {"allow": [ "a", @ ]}}'),
    ("one line, no spaces", '{"permissions":{"allow":["a","b"]}}', '{"permissions":{"allow":["a","b",@]}}'),
    ("one line, trailing comma", '{"permissions": {"allow": ["a",]}}', '{"permissions": {"allow": ["a", @,]}}'),
    ("one line, comment", '{"permissions": {"allow": ["a" /* x */]}}',
     '{"permissions": {"allow": ["a" /* x */, @]}}'),
    ("one line, trailing comma and comment", '{"permissions": {"allow": ["a", /* , */]}}',
     '{"permissions": {"allow": ["a", /* , */ @,]}}'),
    ("one line, comma behind a comment", '{"permissions": {"allow": ["a" /* , */ , ]}}',
     '{"permissions": {"allow": ["a" /* , */ , @, ]}}'),
    ("empty", '{"permissions": {"allow": []}}', '{"permissions": {"allow": [@]}}'),
    ("empty, a space inside", '{"permissions": {"allow": [ ]}}', '{"permissions": {"allow": [ @ ]}}'),
    ("empty, a comment inside", '{"permissions": {"allow": [/* none */]}}',
     '{"permissions": {"allow": [/* none */ @]}}'),
    ("lines", '{"permissions": {"allow": [\n    "a",\n    "b"\n  ]}}',
     '{"permissions": {"allow": [\n    "a",\n    "b",\n    @\n  ]}}'),
    ("lines, tabs", '{"permissions": {"allow": [\n\t\t"a"\n\t]}}',
     '{"permissions": {"allow": [\n\t\t"a",\n\t\t@\n\t]}}'),
    ("lines, trailing comma", '{"permissions": {"allow": [\n    "a",\n  ]}}',
     '{"permissions": {"allow": [\n    "a",\n    @,\n  ]}}'),
    ("lines, comma on a line of its own", '{"permissions": {"allow": [\n    "a"\n    ,\n  ]}}',
     '{"permissions": {"allow": [\n    "a"\n    ,\n    @,\n  ]}}'),
    ("lines, comment behind the last", '{"permissions": {"allow": [\n    "a" // why, oh\n  ]}}',
     '{"permissions": {"allow": [\n    "a", // why, oh\n    @\n  ]}}'),
    ("lines, comma and comment behind the last", '{"permissions": {"allow": [\n    "a", // why ]\n    // "b"\n  ]}}',
     '{"permissions": {"allow": [\n    "a", // why ]\n    @,\n    // "b"\n  ]}}'),
    ("lines, long comment behind the last", '{"permissions": {"allow": [\n    "a" /* one,\n two */\n  ]}}',
     '{"permissions": {"allow": [\n    "a", /* one,\n two */\n    @\n  ]}}'),
    ("lines, bracket behind the last", '{"permissions": {"allow": [\n    "a",\n    "b"]}}',
     '{"permissions": {"allow": [\n    "a",\n    "b",\n    @]}}'),
    ("lines, first behind the bracket", '{"permissions": {"allow": ["a",\n      "b"\n  ]}}',
     '{"permissions": {"allow": ["a",\n      "b",\n      @\n  ]}}'),
    ("lines, one behind the bracket", '{"permissions": {"allow": ["a"\n  ]}}',
     '{"permissions": {"allow": ["a", @\n  ]}}'),
    ("lines, two on each", '{"permissions": {"allow": [\n    "a", "b" // both\n  ]}}',
     '{"permissions": {"allow": [\n    "a", "b", @ // both\n  ]}}'),
    ("lines, comma first", '{"permissions": {"allow": [\n  "a"\n, "b"\n]}}',
     '{"permissions": {"allow": [\n  "a"\n, "b", @\n]}}'),
    ("lines, empty", '{\n  "permissions": {\n    "allow": [\n    ]\n  }\n}',
     '{\n  "permissions": {\n    "allow": [\n      @\n    ]\n  }\n}'),
    ("lines, empty, comment", '{\n\t"permissions": {\n\t\t"allow": [ // ]\n\t\t]\n\t}\n}',
     '{\n\t"permissions": {\n\t\t"allow": [ // ]\n\t\t\t@\n\t\t]\n\t}\n}'),
    ("lines, empty, comment before the bracket", '{"permissions": {"allow": [\n  /* x */ ]}}',
     '{"permissions": {"allow": [\n  /* x */ @ ]}}'),
    ("CRLF", '{\r\n  "permissions": {\r\n    "allow": [\r\n      "a" // x\r\n    ]\r\n  }\r\n}\r\n',
     '{\r\n  "permissions": {\r\n    "allow": [\r\n      "a", // x\r\n      @\r\n    ]\r\n  }\r\n}\r\n'),
    ("CRLF, empty", '{\r\n  "permissions": {"allow": [\r\n  ]}\r\n}',
     '{\r\n  "permissions": {"allow": [\r\n    @\r\n  ]}\r\n}'),
    ("no allow", '{"permissions": {"deny": ["x"]}}', '{"permissions": {"deny": ["x"], "allow": [@]}}'),
    ("no allow, lines", '{\n  "permissions": {\n    "default_decision": "ask" // me\n  }\n}',
     '{\n  "permissions": {\n    "default_decision": "ask", // me\n    "allow": [@]\n  }\n}'),
    ("no allow, empty", '{"permissions": {}}', '{"permissions": {"allow": [@]}}'),
    ("no allow, empty, lines", '{\n    "permissions": {\n    }\n}',
     '{\n    "permissions": {\n        "allow": [@]\n    }\n}'),
    ("allow is null", '{"permissions": {"allow": null, "deny": []}}', '{"permissions": {"allow": [@], "deny": []}}'),
    ("no permissions", '{"workspace_root": "."}', '{"workspace_root": ".", "permissions": {"allow": [@]}}'),
    ("no permissions, lines", '{\n  "workspace_root": ".", // here\n  "servers": {\n  },\n}\n// end',
     '{\n  "workspace_root": ".", // here\n  "servers": {\n  },\n  "permissions": {"allow": [@]},\n}\n// end'),
    ("no permissions, bracket on the line", '{"a": {\n  "b": 1\n}}',
     '{"a": {\n  "b": 1\n}, "permissions": {"allow": [@]}}'),
    ("nothing", "{}", '{"permissions": {"allow": [@]}}'),
    ("nothing, lines", "{\n}\n", '{\n  "permissions": {"allow": [@]}\n}\n'),
    ("nothing but comments", "// a {\n{ // b\n}", '// a {\n{ // b\n  "permissions": {"allow": [@]}\n}'),
    ("permissions is null", '{"permissions": null, "a": 1}', '{"permissions": {"allow": [@]}, "a": 1}'),
    ("BOM", '\ufeff{"permissions": {"allow": ["a"]}}', '\ufeff{"permissions": {"allow": ["a", @]}}'),
    ("BOM, lines", '\ufeff{\n  "a": 1\n}', '\ufeff{\n  "a": 1,\n  "permissions": {"allow": [@]}\n}'),
    ("brackets in texts and comments", '{"x": "]}", /* ]} */ "permissions": {"allow": ["a(]})" // ,]\n]}}',
     '{"x": "]}", /* ]} */ "permissions": {"allow": ["a(]})", @ // ,]\n]}}'),
    ("other allows", '{"allow": [1], "x": {"allow": [2]}, "permissions": {"x": {"allow": [3]}, "allow": []}}',
     '{"allow": [1], "x": {"allow": [2]}, "permissions": {"x": {"allow": [3]}, "allow": [@]}}'),
    ("escaped keys", '{"permission\\u0073": {"\\u0061llow": ["a"]}}',
     '{"permission\\u0073": {"\\u0061llow": ["a", @]}}'),
    ("a remark given twice", '{"//": "a", "//": "b", "permissions": {"allow": []}}',
     '{"//": "a", "//": "b", "permissions": {"allow": [@]}}'),
    ("an element that is no rule", '{"permissions": {"allow": [5, {"a": [1]}]}}',
     '{"permissions": {"allow": [5, {"a": [1]}, @]}}'),
]


@pytest.mark.parametrize("text, wanted", [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_rule_is_put_where_a_person_would_write_it(text: str, wanted: str) -> None:
    made = with_allow_rule(text, RULE)
    assert made == wanted.replace("@", WRITTEN)
    assert with_allow_rule(made, RULE) == made, "the second time nothing changes"


@pytest.mark.parametrize("text", [row[1] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_second_rule_goes_behind_the_first(text: str) -> None:
    made = with_allow_rule(with_allow_rule(text, RULE), "other")
    assert jsonc.read(made.removeprefix("\ufeff")).data["permissions"]["allow"][-2:] == [RULE, "other"]


@pytest.mark.parametrize("text, rule", [
    ('{"permissions": {"allow": ["a", "b"]}}', "a"), ('{"permissions": {"allow": [" a "]}}', "a"),
    ('{"permissions": {"allow": ["\\u0061"]}}', " a"),
], ids=str)
def test_a_rule_that_is_there_changes_nothing(text: str, rule: str) -> None:
    assert with_allow_rule(text, rule) == text


@pytest.mark.parametrize("rule", [
    'git__run(say "hi" \\ // /* x */)', "a__b(ä ⇄ \U0001f600)", "a__b(\x00\n\x1b\u202e)", "a__b(\udc80)", "a__b(],}:*)",
], ids=ascii)
def test_any_rule_can_be_written(rule: str) -> None:
    for _, text, _ in TABLE:
        made = with_allow_rule(text, rule)
        made.encode("utf-8")
        assert jsonc.read(made.removeprefix("\ufeff")).data["permissions"]["allow"][-1] == rule
        assert not {"\x00", "\x1b", "\u202e"} & set(made)


REFUSED = [
    ("no JSON", '{"a" 1}', "Is a comma, a colon or a quote missing"),
    ("no JSON, a line", '{\n"a": 1\n"b": 2}', "(line 3)"),
    ("empty", "", "it is empty"),
    ("a list", "[]", "must be an object"),
    ("permissions is a list", '{"permissions": []}',
     '`permissions` is no object. Write `"permissions": {"allow": [...]}`'),
    ("permissions is false", '{"permissions": false}', "no object"),
    ("allow is a text", '{"permissions": {"allow": "a"}}', "`permissions.allow` is no list. Write"),
    ("allow is an object", '{"permissions": {"allow": {}}}', "no list"),
    ("permissions twice", '{"permissions": {}, "permissions": {}}', "`permissions` is given twice"),
    ("allow twice", '{"permissions": {"allow": [], "allow": []}}', "`allow` is given twice"),
    ("NaN", '{"a": NaN}', "`NaN` is no JSON value"),
    ("deep", '{"a": ' + "[" * 100_000, "too deeply"),
    ("two BOMs", "\ufeff\ufeff{}", "cannot be read"),
]


@pytest.mark.parametrize("text, words", [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_done_is_said(text: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        with_allow_rule(text, RULE)
    assert words in str(caught.value)


@pytest.mark.parametrize("rule", ["", " \n"], ids=repr)
def test_an_empty_rule_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="empty rule"):
        with_allow_rule("{}", rule)


@pytest.mark.parametrize("broken", [
    '{"permissions": {"allow": []}}', '{"permissions": {"allow": ["fs__write(a)"]}, "a": true}', "{",
    '{"a": 1, "permissions": {"allow": ["fs__write(a)", "x"]}}', '{"permissions": {"allow": ["fs__write(a)"]}, "a": 1}',
], ids=["nothing put in", "another value", "no JSON", "too much", "another order"])
def test_a_fault_of_the_editor_spoils_nothing(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    monkeypatch.setattr(edit._Page, "added", lambda self, rule: broken)
    with pytest.raises(ValueError):
        with_allow_rule('{"a": 1, "permissions": {"allow": []}}', RULE)


# --- configurations as chance writes them ----------------------------------------------------------------------------

REMARKS = ["", "", "", " ", "/* x */", "/* , ] } */", "/**/", " /* \" */ "]
ENDS = ["// why\n", "// , ] \"\n", "//\n"]


class Writer:
    """Writes a value as JSON with comments, in a style that chance chooses anew for each place."""

    def __init__(self, dice: random.Random) -> None:
        self.dice, self.line_end = dice, dice.choice(["\n", "\n", "\r\n"])
        self.unit = dice.choice(["  ", "    ", "\t", ""])

    def gap(self) -> str:
        dice = self.dice.random()
        if dice < 0.6:
            return self.dice.choice(["", "", " "])
        if dice < 0.8:
            return self.dice.choice(REMARKS)
        return (self.dice.choice(["", " "]) + self.dice.choice([*ENDS, "\n", "\n"])).replace("\n", self.line_end)

    def write(self, value: Any, depth: int = 1) -> str:
        if not isinstance(value, (dict, list)):
            return json.dumps(value, ensure_ascii=self.dice.random() < 0.5)
        if isinstance(value, dict):
            parts = [f"{json.dumps(key)}{self.gap()}:{self.gap()}{self.write(item, depth + 1)}"
                     for key, item in value.items()]
        else:
            parts = [self.write(item, depth + 1) for item in value]
        opened, closed = "{}" if isinstance(value, dict) else "[]"
        comma = "," if parts and self.dice.random() < 0.3 else ""
        if self.dice.random() < 0.5:            # tidy, a line each
            start = self.line_end + self.unit * depth
            end = self.line_end + self.unit * (depth - 1)
            return opened + start + ("," + start).join(parts) + comma + end + closed
        return opened + self.gap() + f"{self.gap()},{self.gap()}".join(parts) + self.gap() + comma + self.gap() + closed


def a_value(dice: random.Random, depth: int = 0) -> Any:
    kind = dice.randrange(8 if depth < 3 else 6)
    if kind < 6:
        return [1, 2.5, True, None, 'te"xt // ,]', "ä\u2028\\"][kind]
    items = [a_value(dice, depth + 1) for _ in range(dice.randrange(4))]
    return items if kind == 6 else {f"k{at}": item for at, item in enumerate(items)}


def a_config(dice: random.Random) -> dict[str, Any]:
    found = {f"key{at}": a_value(dice) for at in range(dice.randrange(4))}
    kind = dice.randrange(6)
    if kind == 0:
        return found
    section: dict[str, Any] | None = {f"other{at}": a_value(dice) for at in range(dice.randrange(3))}
    if kind == 1:
        section = None
    elif kind > 2:
        section["allow"] = None if kind == 3 else [  # type: ignore[index]
            f"rule__{at}(x, y)" for at in range(dice.randrange(4))]
    pairs = [*found.items(), ("permissions", section)]
    dice.shuffle(pairs)
    return dict(pairs)


def test_whatever_a_configuration_looks_like_the_rule_is_all_that_changes() -> None:
    """Seeded: the value is the old one with the rule, and the text is the old one with more put in, unless a `null`
    had to go."""
    for seed in range(3000):
        dice = random.Random(seed)
        config, writer = a_config(dice), Writer(dice)
        text = dice.choice(["", "\ufeff"]) + writer.gap() + writer.write(config) + writer.gap()
        made = with_allow_rule(text, RULE)
        section = config.get("permissions") or {}
        wanted = {**config, "permissions": {**section, "allow": [*(section.get("allow") or ()), RULE]}}
        read = jsonc.read(made.removeprefix("\ufeff")).data
        assert json.dumps(read) == json.dumps(wanted), seed
        null = "permissions" in config and (not isinstance(config["permissions"], dict)
                                            or section.get("allow", ...) is None)
        if not null:
            assert is_subsequence(text, made), seed
            assert made.count("\r") - text.count("\r") in (0, made.count("\n") - text.count("\n")), seed
        assert with_allow_rule(made, RULE) == made, seed


def is_subsequence(text: str, longer: str) -> bool:
    signs = iter(longer)
    return all(sign in signs for sign in text)


def test_no_broken_text_raises_anything_but_a_value_error() -> None:
    for seed in range(1500):
        dice = random.Random(seed)
        text = Writer(dice).write(a_config(dice))
        at = dice.randrange(len(text))
        text = text[:at] + dice.choice('{}[]",:/*\n\\ a') * dice.randrange(3) + text[at + dice.randrange(4) :]
        try:
            made = with_allow_rule(text, RULE)
        except ValueError:
            continue
        assert RULE in jsonc.read(made).data["permissions"]["allow"], seed
