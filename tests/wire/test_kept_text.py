"""Large requests keep the text of their arguments, so that what nobody changes goes on in the host's own words."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from shack_gateway.eras.to_server import call_text
from shack_gateway.errors import WireError
from shack_gateway.pipeline.call import TOOL, Call, Context
from shack_gateway.wire.messages import Request, read
from shack_gateway.wire.splice import Doubled, scan_keeping

FILL = "x" * 300_000
ODD = f'{{ "text":"{FILL}", "n":1.10, "e":1E2, "u":"\\u00e4\u00e4", "big":12345678901234567890 }}'


def chunks(text: str, size: int = 65_536) -> list[bytes]:
    data = text.encode()
    return [data[at : at + size] for at in range(0, len(data), size)]


def request(arguments: str, name: str = "s__t", before: str = "", after: str = "") -> Request:
    text = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{%s"name":"%s","arguments":%s%s}}'
    found = read(chunks(text % (before, name, arguments, after)))
    assert isinstance(found, Request)
    return found


def sent(found: Request, arguments: dict[str, Any] | None = None) -> bytes:
    arguments = found.params["arguments"] if arguments is None else arguments
    call = Call(1, TOOL, "s", "s__t", "t", arguments, found.params, Context(kept=found.kept))
    return call_text(call, False, {}, 1)


def test_arguments_that_nobody_changed_are_sent_byte_for_byte() -> None:
    found = request(ODD)
    assert ODD.encode() in sent(found)
    assert json.loads(sent(found)) == {"name": "t", "arguments": json.loads(ODD)}


def test_arguments_that_were_changed_are_sent_as_they_are_now() -> None:
    found = request(ODD)
    assert json.loads(sent(found, {"a": 1})) == {"name": "t", "arguments": {"a": 1}}
    equal = dict(found.params["arguments"])
    assert b"1.10" not in sent(found, equal), "equal is not the same: a stage may have rebuilt it"


def test_the_inner_arguments_of_a_meta_tool_keep_their_text_too() -> None:
    found = request(f'{{"name":"s__t","arguments":{ODD}}}', name="shack_call_tool")
    inner = found.params["arguments"]["arguments"]
    assert ODD.encode() in sent(found, inner)


def test_other_members_of_the_params_are_kept_beside() -> None:
    found = request(ODD, before='"x":[1],', after=',"_meta":{"progressToken":3,"own":1}')
    assert json.loads(sent(found)) == {"name": "t", "x": [1], "_meta": {"own": 1}, "arguments": json.loads(ODD)}


@pytest.mark.parametrize(
    "arguments",
    [
        f'{{"path":"a","path":"b","text":"{FILL}"}}',
        f'{{"text":"{FILL}","deep":[{{"k":{{"a":1,"a":2}}}}]}}',
    ],
    ids=["top", "deep"],
)
def test_arguments_with_a_key_twice_are_written_anew_as_they_were_judged(arguments: str) -> None:
    found = request(arguments)
    assert found.kept == ()
    assert json.loads(sent(found))["arguments"] == json.loads(arguments)
    assert sent(found).count(b'"path"') <= 1 and sent(found).count(b'"a"') <= 1


def test_params_that_come_twice_count_once() -> None:
    text = (
        f'{{"jsonrpc":"2.0","id":7,"method":"m","params":{{"arguments":{{"a":1}}}},"x":"{FILL}","params":{{"arguments":{{"b":2}}}}}}'
    )
    found = read(chunks(text))
    assert isinstance(found, Request) and found.kept == () and found.params == {"arguments": {"b": 2}}


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1',
        '{"a":1,}',
        '{"a" 1}',
        "{a:1}",
        '{"a":1]',
        "[1]",
        '{"params":{"a":1,}}',
        '{"params":{"arguments":{"x":}}}',
        "{,}",
        '{"a":NaN}',
    ],
)
def test_what_is_no_json_is_not_kept(text: str) -> None:
    with pytest.raises(ValueError):
        scan_keeping(text, ("params", "arguments"))


def test_a_key_twice_is_told_from_broken_json() -> None:
    with pytest.raises(Doubled):
        scan_keeping('{"params":{"a":1,"a":2}}', ("params",))


@pytest.mark.parametrize("bad", ["}", "]", '"', ",", "{", "\\", "\x01", "nul"])
def test_a_large_line_broken_anywhere_is_refused(bad: str) -> None:
    whole = f'{{"jsonrpc":"2.0","id":7,"method":"m","params":{{"arguments":{ODD}}}}}'
    for at in (len(whole) - 1, len(whole) - 3, whole.index('"params"'), whole.index('"n"') + 4):
        with pytest.raises(WireError):
            read(chunks(whole[:at] + bad + whole[at:]))


def test_a_large_request_says_the_same_as_a_small_one() -> None:
    for seed in range(60):
        dice = random.Random(seed)
        value = {"jsonrpc": "2.0", "id": dice.choice([1, "1", -5]), "method": "m", "params": tree(dice, 0)}
        keys = list(value)
        dice.shuffle(keys)
        text = json.dumps({key: value[key] for key in keys}, ensure_ascii=dice.random() < 0.5)
        found, small = read(chunks(text, dice.randrange(1, 200))), read(text.encode())
        assert isinstance(found, Request) and isinstance(small, Request)
        assert found[:3] == small[:3], seed
        for kept, kept_text in found.kept:
            assert json.loads(kept_text) == kept and kept_text in text, seed


def tree(dice: random.Random, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in dice.sample(["arguments", "name", "a", "\u00e4", "_meta", 'b"c'], dice.randrange(1, 5)):
        kind = dice.randrange(5)
        found[key] = tree(dice, depth + 1) if kind == 0 and depth < 4 else [1.5, None, "\u2028", {}, []][kind]
    return found
