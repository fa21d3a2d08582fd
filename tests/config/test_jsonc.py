"""JSON as people write it is read, places are told, and no text makes the reader fall over."""
from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from shack_gateway.config.jsonc import Unreadable, blank, doubles, lines, read

TOLERATED: list[tuple[str, str, Any]] = [
    ("plain", '{"a": [1, 2.5, true, null, "x"]}', {"a": [1, 2.5, True, None, "x"]}),
    ("comment to the end of the line", '{"a": 1 // one\n}', {"a": 1}),
    ("comment at the very end", '{"a": 1} // no newline', {"a": 1}),
    ("comment over lines", '{/* a\n "b": 2, */ "a": 1}', {"a": 1}),
    ("empty comment", '{/**/"a": 1}', {"a": 1}),
    ("comment in a comment", '{// /* \n "a": 1 /* // */}', {"a": 1}),
    ("trailing comma in an object", '{"a": 1,}', {"a": 1}),
    ("trailing comma in a list", '{"a": [1, 2,\n]}', {"a": [1, 2]}),
    ("trailing comma behind a comment", '{"a": [1, /* two */ ], // end\n}', {"a": [1]}),
    ("comma, then a comment", '{"a": 1, // one\n /* x */ }', {"a": 1}),
    ("slashes in a text", '{"a": "http://x/*y*/", // real\n "b": "//"}', {"a": "http://x/*y*/", "b": "//"}),
    ("comma and bracket in a text", '{"a": ",]", "b": ",}",}', {"a": ",]", "b": ",}"}),
    ("quote in a text", r'{"a": "\"// x", "b": "\\",}', {"a": '"// x', "b": "\\"}),
    ("quote in a comment", '{"a": 1, // don"t\n "b": 2}', {"a": 1, "b": 2}),
    ("line separator in a comment", '{"a": 1 // \u2028 x\n}', {"a": 1}),
    ("carriage returns", '{"a": 1, // x\r\n "b": 2,\r\n}', {"a": 1, "b": 2}),
]


@pytest.mark.parametrize("text, wanted", [row[1:] for row in TOLERATED], ids=[row[0] for row in TOLERATED])
def test_comments_and_trailing_commas_are_tolerated(text: str, wanted: Any) -> None:
    assert read(text).data == wanted


@pytest.mark.parametrize("text", [row[1] for row in TOLERATED], ids=[row[0] for row in TOLERATED])
def test_what_is_blanked_keeps_every_place(text: str) -> None:
    plain = blank(text)
    assert len(plain) == len(text)
    assert [at for at, sign in enumerate(plain) if sign == "\n"] == [at for at, sign in enumerate(text) if sign == "\n"]


REFUSED = [
    ("nothing", "", 1, "empty"),
    ("only a comment", "// {}\n", 1, "empty"),
    ("comma only", "[,]", 1, "Expecting value"),
    ("two commas", '{"a": [1,\n,2]}', 2, "Expecting value"),
    ("missing comma", '{"a": 1\n "b": 2}', 2, "delimiter"),
    ("missing colon", '{"a" 1}', 1, "delimiter"),
    ("single quotes", "{\n'a': 1}", 2, "double quotes"),
    ("open text", '{"a": "x\n}', 1, "control character"),
    ("open comment", '{"a": 1}\n/* x', 2, "Extra data"),
    ("comment that only seems to close", '{"a": 1}\n/*/', 2, "Extra data"),
    ("NaN behind a long text", '{"a": "' + "x" * 5000 + '",\n"b": NaN}', 2, "`NaN`"),
    ("open object", '{"a": 1,\n"b": 2', 2, "delimiter"),
    ("two values", "{}\n{}", 2, "Extra data"),
    ("backslash", '{"a": "C:\\Users"}', 1, "escape"),
    ("NaN", '{"a": 1,\n"b": NaN}', 2, "`NaN`"),
    ("infinity", '{"a": "NaN",\n"b": -Infinity}', 2, "`-Infinity`"),
    ("deep list", "[" * 100_000, 1, "too deeply"),
    ("deep object", '{"a":' * 100_000, 1, "too deeply"),
    ("deep with comments", "[// x\n" * 100_000, 1, "too deeply"),
    ("text", "servers: {}", 1, "Expecting value"),
]


@pytest.mark.parametrize("text, line, word", [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_no_json_is_refused_with_its_line(text: str, line: int, word: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(text)
    assert (caught.value.line, word in caught.value.what) == (line, True), caught.value.what


def test_a_number_too_long_to_read_is_refused_or_read_but_never_raises_anything_else() -> None:
    """Newer Pythons refuse to convert it (CVE-2020-10735), older ones do."""
    try:
        assert isinstance(read('{"a":\n' + "9" * 5000 + "}").data["a"], int)
    except Unreadable as error:
        assert (error.line, error.what) == (2, "a number of 5000 digits")


def test_columns_are_those_of_the_file_also_behind_a_comment() -> None:
    with pytest.raises(Unreadable, match="column 17"):
        read('{"a": /* one */ x}')


@pytest.mark.parametrize("text, word", [
    ('{"a": "C:\\data"}', "twice"), ('{"a": "C:\\users"}', "twice"), ('{"a": 1 "b": 2}', "comma"),
    ("{'a': 1}", "double quotes"), ("{} {}", "one object"), ('{"a": x}', "A value is"), ('{"a": "x', "end with"),
    ('{"a": "x\n"}', "\\n"), ("", "smallest"),
], ids=["backslash", "backslash and u", "comma", "quotes", "two", "value", "end", "line break", "empty"])
def test_the_mend_fits_the_mistake(text: str, word: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(text)
    assert word in caught.value.fix


PLACED = '''{ // top
  "a": 1, "b": {
    "c": [10,
      [20, 30], {"d":
        "e: [1,"}],
    "f": {}
  },
  "": [], "g,h": [[],
  {}, null]
}'''


@pytest.mark.parametrize("path, line", [
    ((), 1), (("a",), 2), (("b",), 2), (("b", "c"), 3), (("b", "c", 0), 3), (("b", "c", 1), 4), (("b", "c", 1, 1), 4),
    (("b", "c", 2), 4), (("b", "c", 2, "d"), 4), (("b", "f"), 6), (("",), 8), (("g,h",), 8), (("g,h", 0), 8),
    (("g,h", 1), 9), (("g,h", 2), 9),
    (("b", "missing"), 2), (("b", "c", 2, "d", "e"), 4), (("nowhere", "at", 0), 1),
], ids=str)
def test_the_line_of_a_path_is_that_of_its_key_or_of_what_holds_it(path: tuple[Any, ...], line: int) -> None:
    assert lines(read(PLACED).text, [path]) == {path: line}


def test_a_key_given_twice_is_found_with_both_lines() -> None:
    source = read('{"a": 1,\n"b": [{"x": 1,\n"x": 2}, {"x": 3}],\n"a": 2, "c": {"a": 1}}')
    assert source.doubled
    assert doubles(source.text) == [(("b", 0, "x"), 3, 2), (("a",), 4, 1)]


def test_a_key_given_twice_is_noticed_however_many_objects_follow() -> None:
    assert read('{"a": {"x": 1, "x": 2}, "b": {"y": 1}}').doubled
    assert not read('{"a": {"x": 1}, "b": {"x": 1}}').doubled


def test_the_same_key_in_two_spellings_is_one_key() -> None:
    assert [path for path, _, _ in doubles(read('{"ab": 1, "a\\u0062": 2}').text)] == [("ab",)]


def test_remarks_may_repeat() -> None:
    source = read('{"//": "one", "//": "two", "_x": 1, "_x": 2}')
    assert doubles(source.text) == []


def random_value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(8 if depth < 4 else 5)
    if kind < 5:
        return rng.choice([None, True, 0, -1.5e9, "", "a,]b", "//x", "/*", '"', "\\", "é\n", "\ud800"])
    if kind < 7:
        return {rng.choice(["a", "b", "//", "", 'q"', ",}"]) + str(n): random_value(rng, depth + 1)
                for n in range(rng.randrange(4))}
    return [random_value(rng, depth + 1) for _ in range(rng.randrange(4))]


def decorated(rng: random.Random, text: str) -> str:
    """The same JSON with comments and trailing commas strewn in between its tokens."""
    pieces: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == '"':
            _, end = json.decoder.scanstring(text, at + 1, False)  # type: ignore[attr-defined]
        else:
            end = at + 1
        token = text[at:end]
        before = pieces[-1] if pieces else ""
        if token in "]}" and token and before not in "[{," and rng.random() < 0.3:
            pieces.append(",")
        if token in "[]{}:," and rng.random() < 0.3:
            pieces.append(rng.choice([" ", "\n", "/* , ] \" */", "// } \"\n", "/**/"]))
        pieces.append(token)
        at = end
    return "".join(pieces)


def test_strewn_comments_and_commas_change_nothing() -> None:
    for seed in range(200):
        rng = random.Random(seed)
        value = random_value(rng)
        text = decorated(rng, json.dumps(value))
        assert read(text).data == value, f"seed {seed}: {text}"


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield from paths_in(inner, (*path, key))


def test_every_place_that_is_told_holds_what_was_asked_for() -> None:
    for seed in range(200):
        text = json.dumps(random_value(random.Random(seed)), indent=1)
        paths = list(paths_in(json.loads(text)))
        told, rows = lines(text, paths), text.split("\n")
        for path in paths:
            if path and isinstance(path[-1], str):
                assert rows[told[path] - 1].lstrip().startswith(json.dumps(path[-1]) + ":"), f"seed {seed}: {path}"


def test_no_text_makes_the_reader_fall_over() -> None:
    crumbs = ["", '"', "/", "*", "/*", "//", ",", "{", "]", "\\", "\n", "NaN", "\0", "\ud800", ":"]
    for seed in range(1000):
        rng = random.Random(seed)
        text = json.dumps(random_value(rng), indent=rng.choice([None, 1]))
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(crumbs) + text[at + rng.randrange(3):]
        try:
            source = read(text)
        except Unreadable as error:
            assert 1 <= error.line <= text.count("\n") + 1, f"seed {seed}"
        else:
            doubles(source.text)
            lines(source.text, [("a",)])


@pytest.mark.parametrize("text", [
    '"' + r"\"" * 200_000, "/*" * 200_000, "[" + "," * 200_000, '{"a":' + " " * 300_000 + ",", "//" * 200_000,
    '"' * 200_001,
], ids=["quotes", "comments", "commas", "spaces", "slashes", "open texts"])
def test_hostile_texts_are_read_in_linear_time(text: str) -> None:
    """A quadratic reader would take minutes over these; the suite's own patience is the bound."""
    with pytest.raises(Unreadable):
        read(text)
