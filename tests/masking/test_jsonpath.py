"""JSONPath: paths and what they name, what is no path and where, bounds, and a naive reader to compare with."""
from __future__ import annotations

import json
import random
from typing import Any

import pytest

from shack_gateway.masking import jsonpath
from shack_gateway.masking.jsonpath import Step, compile, shown

DOCUMENT: Any = {
    "items": [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": []}, {"id": 3, "inner": {"id": 4}}],
    "a b": {"it's": "quoted", '"': "double", "\n": "line", "ключ": "key", "😀": "face"},
    "null": None, "*": "star", "": "empty",
}


def values(path: str, document: Any = DOCUMENT) -> list[Any]:
    return [value for _, value in compile(path).find(document)]


@pytest.mark.parametrize("path, found", [
    ("$", [DOCUMENT]),
    ("$.items[0].id", [1]),
    ("$['items'][-1]['id']", [3]),
    ('$["items"][1].tags', [[]]),
    ("$ .items [ 0 ] .id", [1]),
    ("$.items[*].id", [1, 2, 3]),
    ("$.items.*.id", [1, 2, 3]),
    ("$.items[0,2].id", [1, 3]),
    ("$.items[0]['id', 'tags']", [1, ["a", "b"]]),
    ("$.items[0,0].id", [1, 1]),
    ("$.items[1:].id", [2, 3]),
    ("$.items[:1].id", [1]),
    ("$.items[::-1].id", [3, 2, 1]),
    ("$.items[ 2 : 0 : -1 ].id", [3, 2]),
    ("$.items[::2].id", [1, 3]),
    ("$.items[::0].id", []),
    ("$.items[-9:9].id", [1, 2, 3]),
    ("$.items[7]", []),
    ("$.items[-4]", []),
    ("$..id", [1, 2, 3, 4]),
    ("$..tags[0]", ["a"]),
    ("$..['id','tags']", [1, ["a", "b"], 2, [], 3, 4]),
    ("$.items[2]..*", [3, {"id": 4}, 4]),
    ("$['a b']['it\\'s']", ["quoted"]),
    ("$['a b'][\"it's\"]", ["quoted"]),
    ("$['a b']['\"', '\\n']", ["double", "line"]),
    ("$['a b'].ключ", ["key"]),
    ("$['a b'].😀", ["face"]),
    ("$['a b']['\\uD83D\\uDE00', '\\u043a\\u043b\\u044e\\u0447']", ["face", "key"]),
    ("$.null", [None]),
    ("$['*']", ["star"]),
    ("$['']", ["empty"]),
    ("$.items.id", []),
    ("$.items['0']", []),
    ("$['a b'][0]", []),
    ("$.null.x", []),
    ("$.nothing..*", []),
], ids=str)
def test_a_path_names_these_values(path: str, found: list[Any]) -> None:
    assert values(path) == found


@pytest.mark.parametrize("path, fault", [
    ("", "begins with `$`, at character 1"),
    ("items", "begins with `$`, at character 1"),
    (" $", "begins with `$`, at character 1"),
    ("$ ", "behind the path, blanks neither, at character 2"),
    ("$.a ", "behind the path, blanks neither, at character 4"),
    ("$a", "`.`, `..` or `[` expected, at character 2"),
    ("$.", "a name or `*` expected"),
    ("$.a-b", "`.`, `..` or `[` expected, at character 4"),
    ("$.0", "a name or `*` expected"),
    ("$..", "a name or `*` expected"),
    ("$...a", "a name or `*` expected"),
    ("$. a", "a name or `*` expected"),
    ("$[", "a name in quotes, an index, a slice or `*` expected, at character 3"),
    ("$[]", "a name in quotes, an index, a slice or `*` expected, at character 3"),
    ("$[a]", "a name in quotes, an index, a slice or `*` expected, at character 3"),
    ("$[0", "`,` or `]` expected, at character 4"),
    ("$[0,]", "a name in quotes, an index, a slice or `*` expected, at character 5"),
    ("$[0 1]", "`,` or `]` expected, at character 5"),
    ("$['a]", "the `'` is not closed, at character 3"),
    ("$['a\\x']", "no such escape, at character 5"),
    ("$[\"a\\'\"]", "no such escape, at character 5"),
    ("$['\\ud800']", "half of a surrogate pair names nothing"),
    ("$['\\udc00\\ud800']", "half of a surrogate pair names nothing"),
    ("$['\\ud800\\u0041']", "half of a surrogate pair names nothing"),
    ("$['\\u12g4']", "four hexadecimal digits expected, at character 6"),
    ("$['a\nb']", "must be escaped, at character 5"),
    ("$['\ud800']", "must be escaped, at character 4"),
    ("$[01]", "no needless `0` or `-`, at character 3"),
    ("$[-0]", "no needless `0` or `-`"),
    ("$[1:-01]", "no needless `0` or `-`"),
    ("$[9007199254740992]", "the number is too large"),
    ("$[" + "9" * 1000 + "]", "the number is too large"),
    ("$[1:2:3:4]", "`,` or `]` expected, at character 8"),
    ("$[?@.a]", "filters (`?`) are not supported, at character 3"),
    ("$..[?(@.a)]", "filters (`?`) are not supported, at character 5"),
    ("$" + ".a" * 1000, "longer than 2,000 characters"),
], ids=lambda text: text[:40])
def test_what_is_no_path_is_told_with_its_place(path: str, fault: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile(path)
    assert fault in str(caught.value)


def test_a_location_names_its_value_and_no_other() -> None:
    for location, value in compile("$..*").find(DOCUMENT):
        assert compile(shown(location)).find(DOCUMENT) == [(location, value)]
    assert shown(("a", 0, "it's\x01")) == "$['a'][0]['it\\'s\\u0001']"


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_at_the_bound_a_search_finds_everything_and_past_it_nothing() -> None:
    most = jsonpath.MOST_FOUND
    assert len(values("$[*]", [0] * most)) == most
    with pytest.raises(ValueError, match="more than 10,000 values"):
        values("$[*]", [0] * (most + 1))


def test_a_path_that_doubles_with_every_step_ends() -> None:
    with pytest.raises(ValueError, match="more than 10,000 values"):
        values("$" + "[0,0]" * 60, json.loads("[" * 61 + "]" * 61))


def test_a_path_that_finds_nothing_in_ever_more_places_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonpath, "MOST_SEEN", 20_000)
    with pytest.raises(ValueError, match="look at more than 20,000 values"):
        values("$..*..nothing", json.loads("[" * 190 + "0" + "]" * 190) * 30)


def test_what_is_looked_at_counts_even_where_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonpath, "MOST_SEEN", 1000)
    assert values("$..x", [0] * 900) == []
    with pytest.raises(ValueError, match="look at more than 1,000 values"):
        values("$..x", [0] * 1001)


@pytest.mark.parametrize("sort", ["list", "object"])
def test_a_deep_document_is_looked_through_to_its_bound(sort: str) -> None:
    def nested(depth: int) -> Any:
        value: Any = "bottom"
        for _ in range(depth):
            value = [value] if sort == "list" else {"a": value}
        return value

    most = jsonpath.MOST_DEPTH
    assert "bottom" in values("$..*", nested(most + 1))
    with pytest.raises(ValueError, match="200 levels"):
        values("$..*", nested(most + 2))
    assert values("$" + "[*]" * 600, nested(600)) == ["bottom"], "who says how deep may go deeper"


# --- a naive reader to compare with ----------------------------------------------------------------------------------


def reference(steps: list[Step], value: Any, location: tuple[Any, ...] = ()) -> list[tuple[Any, Any]]:
    """What a path names, by the words of the RFC: one step for the value, the others for what that selects."""
    if not steps:
        return [(location, value)]
    first, rest = steps[0], steps[1:]
    found = []
    for selector in first.selectors:
        for key, child in chosen(selector, value):
            found.append(((*location, key), child))
    if first.deep:
        for key, child in children(value):
            found += reference([first], child, (*location, key))
    return [each for place, one in found for each in reference(rest, one, place)]


def children(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def chosen(selector: Any, value: Any) -> list[tuple[Any, Any]]:
    if selector is None:
        return children(value)
    if isinstance(selector, str):
        return [(selector, value[selector])] if isinstance(value, dict) and selector in value else []
    if not isinstance(value, list):
        return []
    if isinstance(selector, int):
        at = len(value) + selector if selector < 0 else selector
        return [(at, value[at])] if 0 <= at < len(value) else []
    return [(at, value[at]) for at in sliced(selector, len(value))]


def sliced(part: slice, size: int) -> list[int]:
    """The places of a slice as RFC 9535 section 2.3.4.2 lays them down."""
    step = 1 if part.step is None else part.step
    if step == 0:
        return []
    start = part.start if part.start is not None else (0 if step > 0 else size - 1)
    end = part.stop if part.stop is not None else (size if step > 0 else -size - 1)
    start, end = (start if start >= 0 else size + start), (end if end >= 0 else size + end)
    found = []
    if step > 0:
        at, upper = min(max(start, 0), size), min(max(end, 0), size)
        while at < upper:
            found.append(at)
            at += step
    else:
        at, lower = min(max(start, -1), size - 1), min(max(end, -1), size - 1)
        while lower < at:
            found.append(at)
            at += step
    return found


def a_document(rng: random.Random, depth: int = 0) -> Any:
    sort = rng.randrange(6) if depth < 5 else 0
    if sort < 2:
        return rng.choice([None, True, 7, -0.5, "text", ""])
    if sort < 4:
        return [a_document(rng, depth + 1) for _ in range(rng.randrange(5))]
    return {key: a_document(rng, depth + 1) for key in rng.sample(NAMES, rng.randrange(5))}


NAMES = ["a", "b", "it's", 'say "x"', "\\", "é", "😀", "\x01", "0", "*"]


def a_step(rng: random.Random) -> tuple[Step, str]:
    deep = rng.random() < 0.25
    if rng.random() < 0.3:
        word = rng.choice([None, "a", "b", "é", "😀"])
        return Step((word,), deep), (".." if deep else ".") + (word or "*")
    picked = [a_selector(rng) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
    blank = rng.choice(["", " ", "\n\t"])
    text = f"{blank}{blank},".join(blank + spelt for _, spelt in picked)
    return Step(tuple(each for each, _ in picked), deep), (".." if deep else "") + f"[{text}{blank}]"


def a_selector(rng: random.Random) -> tuple[Any, str]:
    sort = rng.randrange(5)
    if sort == 0:
        return None, "*"
    if sort == 1:
        index = rng.randrange(-4, 4)
        return index, str(index)
    if sort == 2:
        parts = [rng.choice([None, rng.randrange(-5, 6)]) for _ in range(3)]
        spelt = ":".join("" if part is None else str(part) for part in parts)
        return slice(*parts), spelt.removesuffix(":") if parts[2] is None and rng.random() < 0.5 else spelt
    name = rng.choice(NAMES)
    quoted = json.dumps(name, ensure_ascii=rng.random() < 0.5)
    return name, quoted if sort == 3 else shown((name,))[2:-1]


@pytest.mark.parametrize("seed", range(8))
def test_random_paths_in_random_documents_name_what_a_naive_reader_finds(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        document = a_document(rng)
        steps = [a_step(rng) for _ in range(rng.randrange(5))]
        path = compile("$" + "".join(text for _, text in steps))
        assert list(path.steps) == [step for step, _ in steps], path.text
        assert len(found := path.find(document)) == len(
            expected := reference([step for step, _ in steps], document)), path.text
        assert sorted(map(repr, found)) == sorted(map(repr, expected)), path.text
        if not any(step.deep for step, _ in steps):
            assert found == expected, path.text


@pytest.mark.parametrize("seed", range(4))
def test_random_text_is_a_path_or_a_value_error(seed: int) -> None:
    rng = random.Random(seed)
    signs = "$$..[]*'\"\\u:,-0129ab? \n😀\ud800@("
    read = 0
    for _ in range(3000):
        text = "$" + "".join(rng.choice(signs) for _ in range(rng.randrange(9)))
        try:
            compile(text).find(DOCUMENT)
            read += 1
        except ValueError as error:
            assert "character" in str(error)
    assert read > 20
