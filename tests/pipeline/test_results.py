"""Results that are cut: what stays, what the end says, and that everything can be read on, by piece and by path."""
from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest

from kit.corridor import call, complete, ports, refused, run, stage
from kit.corridor import read as read_keys
from kit.host import ROOT
from shack_gateway.catalog.entries import Catalog
from shack_gateway.core.gateway import Gateway
from shack_gateway.core.questions import Questions
from shack_gateway.errors import RequestError
from shack_gateway.masking import jsonpath
from shack_gateway.pipeline import results as kept
from shack_gateway.pipeline.call import RESOURCE, TOOL, Call, Complete, Context
from shack_gateway.pipeline.chain import Chain
from shack_gateway.pipeline.cutting import cut
from shack_gateway.pipeline.results import Results
from shack_gateway.pipeline.stages import limits

NOTICE = re.compile(r"\[This result was cut by the gateway: .*\]", re.DOTALL)


class Shelf(Results):
    """Results with a clock of their own and handles that can be told."""

    def __init__(self) -> None:
        self.secs, self.count = 0.0, 0
        super().__init__(lambda: self.secs, self._handle)

    def _handle(self, size: int) -> bytes:
        self.count += 1
        return self.count.to_bytes(size, "big")


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def cut_value(value: dict[str, Any], limit: int = 10, shelf: Shelf | None = None, kind: str = TOOL) -> dict[str, Any]:
    out = cut(call(kind=kind, target="file:///a"), complete(value), limit, None if shelf is None else shelf.keep)
    return json.loads(out.text)  # type: ignore[no-any-return]


def last(value: dict[str, Any]) -> str:
    return str((value.get("content") or value["contents"])[-1]["text"])


def arguments(notice: str) -> list[dict[str, Any]]:
    """What the end of a cut result says to call with."""
    assert "call `shack__read_result` (by `shack_call_tool`" in notice
    return [json.loads(found) for found in re.findall(r"\{.*?\}", notice)]


def read(shelf: Results, **given: Any) -> tuple[str, str]:
    """The first line of a piece, and the piece."""
    [block] = shelf.read(given).value["content"]
    head, _, piece = block["text"].partition("\n")
    return head, piece


def read_all(shelf: Results, **given: Any) -> str:
    """Everything from an offset on, in as many pieces as it takes."""
    pieces = []
    while True:
        head, piece = read(shelf, **given)
        pieces.append(piece)
        more = re.search(r'there is more, from "offset": (\d+)\]$', head)
        if more is None:
            assert head.endswith("; this is the end]"), head
            return "".join(pieces)
        given["offset"] = int(more[1])


# --- what stays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [
    {"content": [text("0123456789")]},
    {"content": [text("0123"), text("456789")], "isError": True},
    {"content": [text('"\n"\n"\n"\n"\n')]},
    {"content": [text("😀" * 10)]},
    {"content": [], "structuredContent": {"a": 1}},
    {"content": [text("0123456789")], "_meta": {"ab": 1}},
], ids=["text", "two texts", "escapes", "two units each", "structured", "meta"])
def test_a_result_that_fits_is_the_very_same(value: dict[str, Any]) -> None:
    whole = complete(value)
    assert cut(call(), whole, 10, None) is whole


IMAGE = {"type": "image", "mimeType": "image/png", "data": "A" * 4000}
LINK = {"type": "resource_link", "uri": "a:b", "name": "n"}
CUT = [
    ("a text", {"content": [text("0123456789x")]}, [text("0123456789")]),
    ("the second text", {"content": [text("01234"), text("56789x")]}, [text("01234"), text("56789")]),
    ("texts behind the border", {"content": [text("0123456789x"), text("y")]}, [text("0123456789")]),
    ("a text at the border", {"content": [text("0123456789"), text("y")]}, [text("0123456789")]),
    ("never half a letter", {"content": [text("😀" * 11)]}, [text("😀" * 10)]),
    ("an image", {"content": [text("a"), IMAGE, text("b")]},
     [text("a"), text("[left out: image, image/png, 3,000 bytes]"), text("b")]),
    ("a link", {"content": [LINK]}, [text("[left out: resource_link, 52 characters]")]),
    ("an embedded resource", {"content": [{"type": "resource", "resource": {"mimeType": "a/b", "blob": "AAAA"}}]},
     [text("[left out: resource, a/b, 3 bytes]")]),
    ("a block of no kind", {"content": [[0] * 20]}, [text("[left out: a block, 60 characters]")]),
    ("nothing that is a list", {"content": "x" * 20}, []),
    ("no content", {"structuredContent": {"a": "x" * 20}}, []),
]


@pytest.mark.parametrize("value, kept_blocks", [row[1:] for row in CUT], ids=[row[0] for row in CUT])
def test_this_much_of_a_long_result_stays(value: dict[str, Any], kept_blocks: list[Any]) -> None:
    out = cut_value(value)
    assert out["content"][:-1] == kept_blocks
    assert NOTICE.fullmatch(last(out)) and "structuredContent" not in out


def test_a_resource_is_cut_likewise_and_its_blocks_stay_blocks_of_a_resource() -> None:
    value = {"contents": [{"uri": "file:///a", "text": "x" * 100}, {"uri": "file:///a", "blob": "A" * 400}]}
    out = cut_value(value, 30, kind=RESOURCE)
    first, second, end = out["contents"]
    assert first == {"uri": "file:///a", "text": "x" * (30 - len('"uri": "file:///a"') - len(', {}'))}
    assert second == {"uri": "file:///a", "mimeType": "text/plain", "text": "[left out: blob, 300 bytes]"}
    assert end["uri"] == "file:///a" and NOTICE.fullmatch(end["text"])


def test_members_that_say_how_a_result_is_meant_stay() -> None:
    free = {"isError": True, "resultType": "complete", "ttlMs": 5, "cacheScope": "private"}
    out = cut_value({**free, "content": [text("x" * 100)], "_meta": {"a": 1}})
    assert {key: out[key] for key in free} == free and out["_meta"] == {"a": 1}
    assert out["content"][0] == text("x" * 10)


def test_members_that_do_not_fit_are_left_out_by_name() -> None:
    long = {"a": "x" * 20}  # `_meta` too, because it is longer than the limit
    out = cut_value({"content": [text("short")], "structuredContent": long, "_meta": long, "more": long, "fit": 1})
    assert set(out) == {"content", "fit"} and out["content"][0] == text("short")
    said = "Left out: `structuredContent` (29 characters), `_meta` (29 characters), `more` (29 characters)."
    assert said in last(out)


def test_what_stays_stays_byte_for_byte() -> None:
    body = (b'{"_meta" : {"n":1.0e2},"content":'
            b'[{"text":"\\u0041\\/",  "type":"text", "annotations": {"priority":1.50}},'
            b'{"type":"text","text":"' + b"x" * 200 + b'","annotations":{"priority":0.10}}]}')
    out = cut(call(), Complete(body), 110, None).text
    assert '{"n":1.0e2}' in out
    assert '{"text":"\\u0041\\/",  "type":"text", "annotations": {"priority":1.50}}' in out
    assert '"xxx' in out and 'xxx","annotations":{"priority":0.10}}' in out


@pytest.mark.parametrize("body", [
    b'{"content":[{"type":"text","text":"' + b"x" * 5000 + b'","text":"y"}]}',
    b'{"content":[{"type":"text","text":"' + b"x" * 5000 + b'"}],"content":[]}',
    b'{"content":[{"type":"text","text":"y"' + b" " * 5000 + b"}]}",
], ids=["text", "content", "blanks"])
def test_a_key_given_twice_smuggles_nothing(body: bytes) -> None:
    assert len(cut(call(), Complete(body), 1000, None).text) < 1000


def test_many_blocks_that_do_not_fit_do_not_leave_as_many_notes() -> None:
    out = cut_value({"content": [IMAGE] * 500}, 1000)
    assert len(out["content"]) == 22 and out["content"][20] == text("[left out: 480 more blocks]")


def test_who_the_result_is_of_stays() -> None:
    whole = Complete(b'{"content":"' + b"x" * 50 + b'"}', server="fs", stateless=True, cache=(5, True))
    out = cut(call(), whole, 10, None)
    assert (out.server, out.stateless, out.cache) == ("fs", True, (5, True))


# --- what the end says -----------------------------------------------------------------------------------------------


def test_the_end_says_how_much_is_missing_and_how_to_read_on() -> None:
    shelf = Shelf()
    notice = last(cut_value({"content": [text("0123456789"), text("x" * 2000)]}, 15, shelf))
    assert "cut by the gateway: it has 2,010 characters, of which the first 15 are shown." in notice
    assert arguments(notice) == [{"handle": "0" * 23 + "1", "offset": 15}]
    assert "kept for 15 minutes" in notice
    assert read(shelf, **arguments(notice)[0]) == ('[characters 15 to 30 of 2010; there is more, from "offset": 30]',
                                                   "x" * 15)


@pytest.mark.parametrize("value, path", [
    ({"content": [text(json.dumps({"a": 1, "items": list(range(20))}))]}, "$.items"),
    ({"content": [text(json.dumps(list(range(20))))]}, "$[0]"),
    ({"content": [text("x")], "structuredContent": {"a b": "x" * 20}}, "$['a b']"),
    ({"content": [IMAGE]}, "$.content"),
    ({"content": [text("x")], "structuredContent": {}, "more": "x" * 20}, "$"),
], ids=["JSON", "a list", "structured", "mixed", "nothing in it"])
def test_the_path_at_the_end_names_something(value: dict[str, Any], path: str) -> None:
    shelf = Shelf()
    given = arguments(last(cut_value(value, 10, shelf)))[-1]
    assert given["path"] == path
    head, _ = read(shelf, **given)
    assert head.startswith("[1 value; ")


def test_what_cannot_be_kept_is_said_not_to_be() -> None:
    assert "cannot be read" in last(cut_value({"content": [text("x" * 11)]}))
    shelf, body = Shelf(), b'{"content":[{"type":"text","text":"' + b"x" * kept.MOST_BYTES + b'"}]}'
    assert shelf.keep(Complete(body, shape={}), TOOL, 10) == ""


# --- reading on ------------------------------------------------------------------------------------------------------


def keep(shelf: Shelf, value: Any, kind: str = TOOL, length: int = 10) -> str:
    return shelf.keep(complete(value), kind, length)


ITEMS = {"items": [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}], "a": None}
READS = [
    ("from the beginning", {}, "characters 0 to 10 of 26; there is more, from \"offset\": 10", "abcdefghij"),
    ("from an offset", {"offset": 20}, "characters 20 to 26 of 26; this is the end", "uvwxyz"),
    ("the end", {"offset": 26}, "characters 26 to 26 of 26; this is the end", ""),
    ("a short piece", {"offset": 1, "length": 2}, "characters 1 to 3 of 26; there is more, from \"offset\": 3", "bc"),
    ("no longer than the limit", {"length": 99}, "characters 0 to 10 of 26; there is more, from \"offset\": 10",
     "abcdefghij"),
    ("null is nothing", {"offset": None, "length": None, "path": None},
     "characters 0 to 10 of 26; there is more, from \"offset\": 10", "abcdefghij"),
]


@pytest.mark.parametrize("given, head, piece", [row[1:] for row in READS], ids=[row[0] for row in READS])
def test_a_piece_says_which_it_is(given: dict[str, Any], head: str, piece: str) -> None:
    shelf = Shelf()
    handle = keep(shelf, {"content": [text("abcdefghijklm"), text("nopqrstuvwxyz")]})
    assert read(shelf, handle=handle, **given) == (f"[{head}]", piece)


PATHS = [
    ("$.items[0].name", "1 value; characters 0 to 3 of 3; this is the end", "one"),
    ("$.items[0].id", "1 value; characters 0 to 1 of 1; this is the end", "1"),
    ("$.items[0]", "1 value; characters 0 to 21 of 21; this is the end", '{"id":1,"name":"one"}'),
    ("$.items[*].name", "2 values; characters 0 to 59 of 59; this is the end",
     "$['items'][0]['name'] = \"one\"\n$['items'][1]['name'] = \"two\""),
    ("$.nothing", 'no value, in an object with the keys "items", "a"; characters 0 to 0 of 0; this is the end', ""),
]


@pytest.mark.parametrize("value", [
    {"content": [text("other")], "structuredContent": ITEMS},
    {"content": [text(json.dumps(ITEMS))]},
    {"content": [text(json.dumps({"items": 5}))], "structuredContent": ITEMS},
    ITEMS,
], ids=["structured", "the text", "structured goes first", "the result"])
@pytest.mark.parametrize("path, head, piece", PATHS, ids=[row[0] for row in PATHS])
def test_a_path_leads_into_the_data(value: dict[str, Any], path: str, head: str, piece: str) -> None:
    shelf = Shelf()
    assert read(shelf, handle=keep(shelf, value, length=100), path=path) == (f"[{head}]", piece)


def test_what_a_path_names_is_read_in_pieces_too() -> None:
    shelf = Shelf()
    handle = keep(shelf, {"content": [], "structuredContent": {"log": "0123456789" * 5}})
    assert read_all(shelf, handle=handle, path="$.log", length=7) == "0123456789" * 5
    assert read(shelf, handle=handle, path="$.log", offset=45)[1] == "56789"


def test_a_text_that_is_no_json_is_no_data() -> None:
    shelf = Shelf()
    handle = keep(shelf, {"content": [text("[not JSON")]}, length=100)
    assert read(shelf, handle=handle, path="$.content[0].text")[1] == "[not JSON"


FAULTS = [
    ({"handle": "be"}, "no result under the handle `be`: the last 64 results that were cut are kept, for 15 minutes"),
    ({"handle": None}, "missing `handle`"),
    ({"handle": 5}, "`handle` must be the string"),
    ({"offset": -1}, "`offset` must be a whole number, 0 or more"),
    ({"offset": 1.5}, "`offset` must be a whole number"),
    ({"offset": True}, "`offset` must be a whole number"),
    ({"offset": "5"}, "`offset` must be a whole number"),
    ({"offset": 27}, "`offset` is 27, but there are 26 characters"),
    ({"length": 0}, "`length` must be a whole number, 1 or more"),
    ({"path": 5}, "`path` must be a JSONPath"),
    ({"path": "items"}, "`path`: a path begins with `$`, at character 1"),
    ({"path": "$[?@.a]"}, "filters (`?`) are not supported"),
    ({"from": 5}, "unknown argument `from`; it takes `handle`, `offset`, `length`, `path`"),
]


@pytest.mark.parametrize("given, fault", FAULTS, ids=[str(row[0]) for row in FAULTS])
def test_what_cannot_be_read_is_told_why(given: dict[str, Any], fault: str) -> None:
    shelf = Shelf()
    handle = keep(shelf, {"content": [text("abcdefghijklmnopqrstuvwxyz")]})
    with pytest.raises(RequestError) as caught:
        shelf.read({"handle": handle, **given})
    assert caught.value.kind == "bad params" and fault in caught.value.what
    assert caught.value.what.startswith("shack__read_result: ")


@pytest.mark.parametrize("given", [[], "x", 5, False])
def test_arguments_that_are_no_object_are_told_so(given: Any) -> None:
    with pytest.raises(RequestError, match="must be an object"):
        Shelf().read(given)


def test_a_path_that_names_too_much_is_told_so() -> None:
    shelf = Shelf()
    handle = keep(shelf, {"content": [], "structuredContent": {"n": [0] * 10_001}})
    with pytest.raises(RequestError, match="more than 10,000 values"):
        shelf.read({"handle": handle, "path": "$.n[*]"})


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_results_are_kept_for_fifteen_minutes() -> None:
    shelf = Shelf()
    handle = keep(shelf, {"content": [text("abc")]})
    shelf.secs = 899.9
    assert read(shelf, handle=handle)[1] == "abc"
    shelf.secs = 900.0
    with pytest.raises(RequestError, match="no result under the handle"):
        shelf.read({"handle": handle})
    assert shelf._bytes == 0 and shelf._last == ("", "")


def test_past_the_most_results_the_oldest_goes() -> None:
    shelf = Shelf()
    handles = [keep(shelf, {"content": [text(str(number))]}) for number in range(kept.MOST_KEPT + 1)]
    assert [read(shelf, handle=handle)[1] for handle in handles[1:]] == [str(n) for n in range(1, kept.MOST_KEPT + 1)]
    with pytest.raises(RequestError, match="no result under the handle"):
        shelf.read({"handle": handles[0]})


def test_past_the_most_bytes_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_BYTES", 1000)
    shelf = Shelf()
    handles = [keep(shelf, {"content": [text("x" * 300)]}) for _ in range(5)]
    assert shelf._bytes <= 1000
    for handle in handles[:3]:
        with pytest.raises(RequestError):
            shelf.read({"handle": handle})
    assert read(shelf, handle=handles[3])[1] == read(shelf, handle=handles[4])[1] == "x" * 10


def test_a_result_in_chunks_is_kept_whole() -> None:
    shelf = Shelf()
    body = json.dumps({"content": [text("é" * 100)]}, ensure_ascii=False).encode()
    chunks = Complete([body[at : at + 7] for at in range(0, len(body), 7)], shape={"content": None})
    assert read_all(shelf, handle=shelf.keep(chunks, TOOL, 9)) == "é" * 100


# --- through the hall ------------------------------------------------------------------------------------------------


class Nobody:
    """Servers of which there is none."""

    catalog = Catalog({})


def test_what_is_read_on_leaves_through_the_seal() -> None:
    def seal(outcome: Any) -> Any:
        return Complete(outcome.body.replace(b"secret", b"******"), shape={}) if type(outcome) is Complete else outcome

    shelf = Shelf()
    handle = keep(shelf, {"content": [text("a secret")]})
    chain = Chain([], lambda call: None, seal, lambda level, text: None)  # type: ignore[arg-type, return-value]
    questions = Questions(lambda: 0.0, bytes, 300, lambda text: None)
    hall: Any = Gateway(Nobody(), chain, questions, progressive=True, page_size=9, ttl_ms=0,  # type: ignore[arg-type]
                        results=shelf)
    given = {"handle": handle}
    for params in ({"name": "shack__read_result", "arguments": given},
                   {"name": "shack_call_tool", "arguments": {"name": "shack__read_result", "arguments": given}}):
        out = run(hall.serve("tools/call", params, Context(), 1))
        assert out.value["content"][0]["text"].endswith("\na ******")


# --- the page --------------------------------------------------------------------------------------------------------

PAGE = (ROOT / "shack_gateway" / "docs" / "limits.md").read_text(encoding="utf-8")
JSONS, TEXTS = (re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) for language in ("json", "text"))


def test_the_example_of_the_page_is_a_configuration_and_refuses_as_the_page_says() -> None:
    now = 1000.0
    settings = json.loads(JSONS[0])
    made = stage(limits, ports(now=lambda: now), **settings)
    assert made is not None and read_keys(limits, **settings)[1] == []
    for _ in range(10):
        made.ended(run(made.before(call(server="github", target="search_code"))))
        now += 2
    assert refused(run(made.before(call(server="github", target="search_code")))).text == TEXTS[0].strip()


def test_the_end_of_a_cut_result_is_what_the_page_shows() -> None:
    given = json.loads(re.findall(r"\{.*?\}", TEXTS[1])[0])
    shelf = Results(lambda: 0.0, lambda size: bytes.fromhex(given["handle"]))
    whole = complete({"content": [text(json.dumps({"items": ["x" * 2019]}))]})
    *_, end = cut(call(), whole, 1000, shelf.keep).value["content"]
    assert f"{end['text']}\n" == TEXTS[1]
    assert read(shelf, **given)[0] + "\n" == TEXTS[2]


def test_every_path_of_the_page_names_what_the_page_says() -> None:
    rows = re.findall(r"^\| `(\$.*?)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert len(rows) >= 10
    for path, names in rows:
        found = [value for _, value in jsonpath.compile(path).find(json.loads(JSONS[1]))]
        shown = [each if isinstance(each, str) else json.dumps(each, separators=(",", ":")) for each in found]
        assert shown == re.findall("`(.*?)`", names), path


def test_the_bounds_on_the_page_are_those_of_the_program() -> None:
    for words in (f"last {kept.MOST_KEPT} results", f"{kept.MOST_BYTES >> 20} MiB", f"{kept.KEPT_SECS / 60:g} minutes",
                  f"{jsonpath.MOST_FOUND:,} values, looks at {jsonpath.MOST_SEEN:,}", f"{jsonpath.MOST_DEPTH} levels",
                  f"At most {limits.MOST_WAITING:,} calls wait"):
        assert words in PAGE
    for key, least, most in re.findall(r"^\| `(\w+)` \| ([\d,]+) \| ([\d,]+) \|", PAGE, re.MULTILINE):
        low, high = (int(number.replace(",", "")) for number in (least, most))
        for number, good in ((low, True), (low - 1, False), (high, True), (high + 1, False)):
            assert (read_keys(limits, limits=[{key: number}])[1] == []) is good, (key, number)


# --- whatever it is --------------------------------------------------------------------------------------------------

LETTERS = ["a", "é", "😀", '"', "\\", "\n", "\x00", "\u2028", "{", " "]


def a_text(rng: random.Random, most: int) -> str:
    return "".join(rng.choices(LETTERS, k=rng.randrange(most)))


def a_block(rng: random.Random, mixed: bool) -> dict[str, Any]:
    if mixed and rng.random() < 0.3:
        return rng.choice([IMAGE, LINK, {"type": "resource", "resource": {"uri": "a:b", "text": a_text(rng, 300)}}])
    more = rng.choice([{}, {}, {"annotations": {"audience": ["user"]}}, {"_meta": {"x": a_text(rng, 60)}}])
    return text(a_text(rng, 400), **more)


def a_result(rng: random.Random) -> dict[str, Any]:
    mixed = rng.random() < 0.5
    value: dict[str, Any] = {"content": [a_block(rng, mixed) for _ in range(rng.randrange(1, 6))]}
    if rng.random() < 0.3:
        value["structuredContent"] = {"words": a_text(rng, 300)}
    if rng.random() < 0.2:
        value["isError"] = True
    return value


@pytest.mark.parametrize("seed", range(10))
def test_all_pieces_together_are_the_whole(seed: int) -> None:
    rng = random.Random(seed)
    shelf, cuts = Shelf(), 0
    for _ in range(60):
        value, limit, ascii = a_result(rng), rng.randrange(20, 500), rng.random() < 0.5
        body = json.dumps(value, ensure_ascii=ascii)
        whole = Complete(body.encode(), server="fs")
        out = cut(Call(1, TOOL, "fs", "fs__x", "x", {}, {}, Context()), whole, limit, shelf.keep)
        blocks = value["content"]
        plain = all(block["type"] == "text" for block in blocks)
        readable = "".join(block["text"] for block in blocks) if plain else body
        if out is whole:
            assert sum(len(block["text"]) for block in blocks if block["type"] == "text") <= limit
            continue
        cuts += 1
        *shown, end = out.value["content"]
        notes = [block for block in shown if block.get("text", "").startswith("[left out: ")]
        stays = [block for block in shown if block not in notes]
        assert sum(len(block["text"] if block["type"] == "text" else json.dumps(block, ensure_ascii=ascii))
                   for block in stays) <= limit
        assert out.value.get("isError") == value.get("isError")
        given = arguments(end["text"])
        for each in given:
            if "path" in each:
                assert read(shelf, **each)[0].startswith("[1 value; ")
        offset = given[0].get("offset", len(readable))
        if plain:
            assert "".join(block["text"] for block in stays) == readable[:offset]
        else:
            assert offset == 0
        handle = given[0]["handle"]
        assert readable[:offset] + read_all(shelf, handle=handle, offset=offset) == readable
        assert read_all(shelf, handle=handle, length=rng.randrange(max(1, limit // 8), 600)) == readable
    assert cuts > 20
