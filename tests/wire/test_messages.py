"""wire/messages.py: lines out of bytes, messages out of lines, and lines again."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from shack_gateway.errors import WireError
from shack_gateway.wire.messages import (
    HEAD,
    KEPT_WHOLE,
    ErrorAnswer,
    Lines,
    Notification,
    Request,
    Result,
    TooLong,
    encode,
    error_line,
    id_text,
    message,
    notification_line,
    read,
    request_line,
    result_line,
)


def plain(lines: list[Any]) -> list[Any]:
    """Lines as bytes, whether they came in one piece or in many; of one that is too long its size."""
    joined = [b"".join(line) if isinstance(line, list) else line for line in lines]
    return [line.size if isinstance(line, TooLong) else line for line in joined]


def cut(data: bytes, rng: random.Random, most: int) -> list[bytes]:
    pieces, at = [], 0
    while at < len(data):
        size = rng.randint(1, most)
        pieces.append(data[at : at + size])
        at += size
    return pieces


# --- lines -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stream, lines",
    [
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\r\r\n", [b"a\r"]),
        (b"\n\n \n\t\r\n\r\na\n", [b"a"]),
        ("\u2028 \u2029 \u0085 \x0b \x0c \x1c\n".encode(), ["\u2028 \u2029 \u0085 \x0b \x0c \x1c".encode()]),
        (b"a\rb\n", [b"a\rb"]),
        (b"12345678\n123456789\nab\n", [b"12345678", 9, b"ab"]),
        (b"1234567\r\n12345678\r\n", [b"1234567", 9]),
        (b"x" * 100 + b"\nok\n", [100, b"ok"]),
    ],
    ids=[
        "two",
        "CRLF",
        "only one CR",
        "blank",
        "other line ends are text",
        "CR inside",
        "too long",
        "CR counts",
        "far too long",
    ],
)
def test_a_stream_is_cut_at_line_feeds_only(stream: bytes, lines: list[Any]) -> None:
    limit = 8 if any(isinstance(line, int) for line in lines) else 100
    assert plain(Lines(limit).feed(stream)) == lines
    one_by_one = Lines(limit)
    assert plain([line for at in stream for line in one_by_one.feed(bytes((at,)))]) == lines


@pytest.mark.parametrize("seed", range(40))
def test_crumbs_give_the_same_lines_as_the_whole(seed: int) -> None:
    rng = random.Random(seed)
    words = [b"", b" ", b"\r", b"x", b"\xff\xfe", "ü☃\u2028".encode(), b"y" * 50, b"z" * 300, b'{"a":"\\n"}']
    stream = b"".join(rng.choice(words) + rng.choice([b"\n", b"\n", b"\r\n", b""]) for _ in range(200))
    whole = Lines(120)
    expected = plain(whole.feed(stream)) + plain(whole.rest())
    for most in (1, 3, 64):
        lines = Lines(120)
        found = [line for piece in cut(stream, rng, most) for line in plain(lines.feed(piece))] + plain(lines.rest())
        assert found == expected, f"seed {seed}, pieces of at most {most}"


def test_the_last_line_needs_no_end() -> None:
    lines = Lines(100)
    assert lines.feed(b"a\nb") == [b"a"]
    assert lines.rest() == [b"b"]
    assert lines.rest() == []


def test_an_endless_line_is_not_kept() -> None:
    lines = Lines(1000)
    for _ in range(1000):
        assert lines.feed(b"x" * 1000) == []
    held = sum(len(piece) for piece in lines._pieces)  # the one thing that matters and cannot be seen from outside
    assert held <= 1000
    assert plain(lines.feed(b"\nnext\n")) == [1_000_000, b"next"]


@pytest.mark.parametrize("seed", range(20))
def test_a_line_that_is_too_long_is_told_by_its_own_beginning(seed: int) -> None:
    rng, limit = random.Random(seed), 2 * HEAD
    stream = b"".join(
        b"%d-" % number + bytes((97 + number,)) * rng.randint(limit, 3 * limit) + b"\n" for number in range(9)
    )
    whole = Lines(limit).feed(stream)
    assert [line.head for line in whole] == [line[:HEAD] for line in stream.split(b"\n")[:-1]]  # type: ignore[union-attr]
    for most in (1, 100, 1000, 5000):
        lines = Lines(limit)
        assert [line for piece in cut(stream, rng, most) for line in lines.feed(piece)] == whole, f"seed {seed}, {most}"


def test_a_large_line_stays_in_pieces() -> None:
    lines, piece = Lines(10 * KEPT_WHOLE), b"x" * 65536
    for _ in range(8):
        assert lines.feed(piece) == []
    [line] = lines.feed(b"end\r\n")
    assert isinstance(line, list) and b"".join(line) == piece * 8 + b"end"
    assert max(map(len, line)) == 65536


# --- messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, expected",
    [
        ('{"jsonrpc":"2.0","id":1,"method":"m"}', Request(1, "m", {})),
        ('{"jsonrpc":"2.0","id":"1","method":"m","params":{"a":1}}', Request("1", "m", {"a": 1})),
        ('{"jsonrpc":"2.0","id":"","method":"m"}', Request("", "m", {})),
        ('{"jsonrpc":"2.0","id":-9007199254740993,"method":"m"}', Request(-9007199254740993, "m", {})),
        ('{"method":"m","id":0,"jsonrpc":"2.0","params":null}', Request(0, "m", {})),
        ('{"jsonrpc":"2.0","id":"\\ud83d","method":"m"}', Request("\ud83d", "m", {})),
        ('{"jsonrpc":"2.0","method":"m"}', Notification("m", {})),
        ('{"jsonrpc":"2.0","id":null,"method":"m"}', Notification("m", {})),
        (' \t{"jsonrpc":"2.0","method":"m"} ', Notification("m", {})),
        ('{"jsonrpc":"2.0"}', None),
        ('{"jsonrpc":"2.0","id":1,"error":{"code":-5,"message":"no","data":[1]}}', ErrorAnswer(1, -5, "no", [1])),
        ('{"jsonrpc":"2.0","id":1,"error":"no"}', ErrorAnswer(1, -32603, "error without a code: no")),
        ('{"jsonrpc":"2.0","id":1,"error":{"code":"x","message":5}}', ErrorAnswer(1, -32603, "error")),
        ("[]", []),
        ('[1,{"a":2}]', [1, {"a": 2}]),
    ],
    ids=lambda value: value[:44] if isinstance(value, str) else "",
)
def test_a_line_says_what_it_says(line: str, expected: Any) -> None:
    found = read(line.encode("utf-8", "surrogatepass"))
    assert found == expected and type(found) is type(expected)
    if isinstance(found, Request):
        assert type(found.id) is type(expected.id)


@pytest.mark.parametrize(
    "line, kind, id",
    [
        (b"", "parse", None),
        (b"hello", "parse", None),
        (b'{"jsonrpc":"2.0","id":1,', "parse", None),
        (b'{"jsonrpc":"2.0","id":1,"method":"m"}}', "parse", None),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"n":NaN}}', "parse", None),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"n":-Infinity}}', "parse", None),
        (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', "parse", None),
        (b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"m"}', "parse", None),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "parse", None),
        (b"5", "invalid request", None),
        (b'"text"', "invalid request", None),
        (b"null", "invalid request", None),
        (b"true", "invalid request", None),
        (b"{}", "invalid request", None),
        (b'{"id":1}', "invalid request", 1),
        (b'{"jsonrpc":"2.0","id":"x"}', "invalid request", "x"),
        (b'{"jsonrpc":"2.0","id":true,"method":"m"}', "invalid request", None),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"m"}', "invalid request", None),
        (b'{"jsonrpc":"2.0","id":[],"method":"m"}', "invalid request", None),
        (b'{"jsonrpc":"2.0","id":{},"method":"m"}', "invalid request", None),
        (b'{"jsonrpc":"2.0","id":7,"method":5}', "invalid request", 7),
        (b'{"jsonrpc":"2.0","id":7,"method":null}', "invalid request", 7),
        (b'{"jsonrpc":"1.0","id":7,"method":"m"}', "invalid request", 7),
        (b'{"id":7,"method":"m"}', "invalid request", 7),
        (b'{"jsonrpc":2.0,"id":7,"method":"m"}', "invalid request", 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"m","params":[1]}', "bad params", 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"m","params":"x"}', "bad params", 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"m","params":0}', "bad params", 7),
    ],
    ids=lambda value: repr(value[:50]) if isinstance(value, bytes) else str(value),
)
def test_a_line_that_is_no_message_says_so_and_keeps_its_id(line: bytes, kind: str, id: Any) -> None:
    with pytest.raises(WireError) as caught:
        read(line)
    assert (caught.value.kind, caught.value.id) == (kind, id)
    assert type(caught.value.id) is type(id)


# --- answers ---------------------------------------------------------------------------------------------------------

BODY = '{"b":1.10, "a" : [ {"id":9,"result":{}} , 12345678901234567890, 1e400, "ü\u2028\\ud83d" ], "b":2}'


@pytest.mark.parametrize(
    "envelope",
    [
        '{"jsonrpc":"2.0","id":7,"result":%s}',
        '{"jsonrpc": "2.0", "id": 7, "result": %s}',
        '{"result":%s,"jsonrpc":"2.0","id":7}',
        '{"result": %s, "jsonrpc": "2.0", "id": 7}  ',
    ],
    ids=["id first", "id first, spaced", "id last", "id last, spaced"],
)
def test_a_usual_answer_is_forwarded_in_its_own_bytes(envelope: str) -> None:
    answer = read((envelope % BODY).encode("utf-8", "surrogatepass"))
    assert isinstance(answer, Result) and answer.id == 7
    assert answer.body == BODY.encode()
    assert answer.value["b"] == 2


@pytest.mark.parametrize(
    "envelope",
    [
        '{"id":7,"jsonrpc":"2.0","result":%s}',
        '{"id":7,"result":%s}',
        '{"jsonrpc":"2.0","id":7,"error":null,"result":%s}',
        '{"jsonrpc":"2.0","id":7,"result":%s,"more":1}',
        '\t{ "jsonrpc" : "2.0","id" : 7 ,"result" : %s }',
    ],
    ids=["other order", "no version", "null error", "more members", "blanks"],
)
def test_an_unusual_answer_means_the_same(envelope: str) -> None:
    body = '{"content":[{"id":9}],"n":12345678901234567890}'
    answer = read((envelope % body).encode())
    assert isinstance(answer, Result) and answer.id == 7
    assert json.loads(answer.body) == json.loads(body) == answer.value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line, id",
    [
        ('{"jsonrpc":"2.0","id":1,"result":{},"id":2}', 2),
        ('{"jsonrpc":"2.0","id":1,"result":{},"result":{"x":1}}', 1),
        ('{"result":{},"jsonrpc":"2.0","id":1,"id":"1"}', "1"),
        ('{"jsonrpc":"2.0","id":"1","result":{}}', "1"),
        ('{"jsonrpc":"2.0","id":true,"result":{}}', True),
        ('{"jsonrpc":"2.0","id":null,"result":{}}', None),
        ('{"jsonrpc":"2.0","result":{}}', None),
    ],
    ids=["a second id counts", "a second result", "the last id counts", "string", "true", "null", "none"],
)
def test_no_second_member_hides_behind_the_first(line: str, id: Any) -> None:
    answer = read(line.encode())
    assert isinstance(answer, Result)
    assert answer.id == id and type(answer.id) is type(id)
    assert answer.value == json.loads(line)["result"]


@pytest.mark.parametrize(
    "body",
    [
        '{"n":NaN}',
        '{"a":1,}',
        '{"a" 1}',
        '{"a":"\x01"}',
        '{"a":"\\x"}',
        '{"a":1}}',
        '{"a":01}',
        '{"a":[1,2}',
        '{"a":tru}',
        "{'a':1}",
        '{"a":' + "[" * 50_000 + "]" * 50_000 + "}",
    ],
    ids=lambda body: body[:12].encode("unicode_escape").decode(),
)
@pytest.mark.parametrize("envelope", ['{"jsonrpc":"2.0","id":7,"result":%s}', '{"result":%s,"jsonrpc":"2.0","id":7}'])
def test_a_broken_result_behind_a_good_envelope_is_refused(envelope: str, body: str) -> None:
    with pytest.raises(WireError):
        read((envelope % body).encode())


def random_value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(8 if depth < 3 else 6)
    if kind == 6:
        return [random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 7:
        keys = ["id", "result", "jsonrpc", "error", "method", "a", "é"]
        return {rng.choice(keys): random_value(rng, depth + 1) for _ in range(rng.randrange(4))}
    return [
        None,
        True,
        rng.randint(-9, 9),
        rng.random(),
        rng.choice(["", '"', "\\", '","jsonrpc":"2.0","id":5}', "\u2028", "ü☃"]),
        "x" * rng.randrange(9),
    ][kind]


@pytest.mark.parametrize("seed", range(60))
def test_every_envelope_is_read_as_json_reads_it(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        members = [("jsonrpc", "2.0"), ("id", rng.choice([1, 7, -3, "7", ""])), ("result", {"v": random_value(rng)})]
        rng.shuffle(members)
        spaces = rng.choice([(",", ":"), (", ", ": "), (" , ", " : ")])
        line = json.dumps(dict(members), ensure_ascii=rng.random() < 0.5, separators=spaces)
        answer = read(line.encode())
        assert isinstance(answer, Result), line
        assert answer.id == dict(members)["id"] and answer.value == dict(members)["result"], line
        assert json.loads(b"".join(answer.body) if isinstance(answer.body, list) else answer.body) == answer.value, line


# --- large lines -----------------------------------------------------------------------------------------------------


def large(body: str, envelope: str = '{"jsonrpc":"2.0","id":7,"result":%s}') -> bytes:
    return (envelope % body).encode("utf-8", "surrogatepass")


LONG = "x" * 200_000
SPOILT = {
    "cut off": large('{"t":"' + LONG),
    "a raw control character": large('{"t":"' + LONG + "\x01" + LONG + '"}'),
    "a line separator of another kind is fine": large('{"t":"' + LONG + "\u2028" + LONG + '"}'),
    "not UTF-8": large('{"t":"' + LONG + '"}').replace(b"xxx", b"\xc3\x28x", 1),
    "an unknown escape": large('{"t":"' + LONG + "\\q" + LONG + '"}'),
    "half an escape": large('{"t":"' + LONG + "\\u12" + '"}'),
    "digits where text should be": large(LONG.replace("x", "1") + "z"),
    "a very long number": large('{"n":' + "1" * 3000 + ',"t":"' + LONG + '"}'),
    "many backslashes": large('{"t":"' + "\\\\" * 100_000 + '"}'),
    "an odd number of backslashes": large('{"t":"' + "\\\\" * 100_000 + '\\"}'),
    "escapes everywhere": large('{"t":"' + '\\u00e9\\n\\"' * 30_000 + '"}'),
    "bare words": large('{"t":' + "true " * 50_000 + "}"),
    "a second result": large('{"t":"' + LONG + '"}')[:-1] + b',"result":{}}',
    "behind the end": large('{"t":"' + LONG + '"}') + b"x",
    "many small members": large("{" + ",".join(f'"k{i}":{i}' for i in range(20_000)) + "}"),
    "id last": large('{"t":"' + LONG + '"}', '{"result":%s,"jsonrpc":"2.0","id":7}'),
    "wide characters": large('{"t":"' + "☃ü𝄞" * 30_000 + '"}'),
    "a request": large('{"t":"' + LONG + '"}', '{"jsonrpc":"2.0","id":7,"method":"m","params":%s}'),
}


def outcome(line: bytes | list[bytes]) -> Any:
    """What reading gave, in a form that two readings can be compared by."""
    try:
        found = read(line)
    except WireError as error:
        return error.kind, error.id
    if isinstance(found, Result):
        body = b"".join(found.body) if isinstance(found.body, list) else found.body
        return "result", found.id, body, list(found.value)
    return found


@pytest.mark.parametrize("line", SPOILT.values(), ids=SPOILT)
def test_a_large_line_in_pieces_means_what_it_means_whole(line: bytes) -> None:
    expected, rng = outcome(line), random.Random(len(line))
    for most in (700, 65536, len(line)):
        assert outcome(cut(line, rng, most)) == expected, f"pieces of at most {most}"


def test_a_spoilt_large_line_is_not_forwarded() -> None:
    refused = {name for name, line in SPOILT.items() if not isinstance(read_or_none(line), (Result, Request))}
    assert refused == {
        "cut off",
        "a raw control character",
        "not UTF-8",
        "an unknown escape",
        "half an escape",
        "digits where text should be",
        "an odd number of backslashes",
        "bare words",
        "behind the end",
    }


def read_or_none(line: bytes) -> Any:
    try:
        return read([line[:1000], line[1000:]])
    except WireError:
        return None


def test_no_key_is_lost_in_a_large_line_however_it_is_cut() -> None:
    line = large(
        '{"content":[{"type":"text","text":"%s"}],"isError":true,"resultType":"input_required"}' % ("x" * 300_000)
    )
    tail = len(line) - 80
    for at in range(tail, len(line) - 3):
        answer = read([line[:1000], line[1000:tail], line[tail:at], line[at : at + 3], line[at + 3 :]])
        assert isinstance(answer, Result) and not answer.exact
        assert (
            list(answer.value) == ["content", "isError", "resultType"]
            and answer.value["resultType"] == "input_required"
        )


@pytest.mark.parametrize("seed", range(30))
def test_a_large_line_cut_anywhere_gives_the_same_body(seed: int) -> None:
    rng = random.Random(seed)
    words = ["\\\\", "\\n", "\\u00e9", "\\ud83d\\ude00", "☃", "é", "x" * 50, '\\"', "\u2028", "\x7f"]
    text = "".join(rng.choice(words) for _ in range(2000))
    line = large('{"content":[{"type":"text","text":"' + text + '"}],"isError":false}')
    expected = outcome(line)
    assert expected[0] == "result"
    assert outcome(cut(line, rng, rng.choice([7, 40, 500]))) == expected, f"seed {seed}"


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", [1, 0, -5, 2**53 + 1, "1", "", "ü☃", 'a"b\\', "\ud83d", "x" * 300], ids=repr)
def test_an_id_comes_back_with_its_very_value_and_type(id: Any) -> None:
    for line in (result_line(id, b'{"x":1}'), error_line(id, -5, "no")):
        value = json.loads(line if isinstance(line, bytes) else b"".join(line))
        assert value["id"] == id and type(value["id"]) is type(id)
    assert json.loads(id_text(id)) == id


def test_an_error_without_id_has_no_id_member() -> None:
    assert json.loads(error_line(None, -32700, "no")) == {"jsonrpc": "2.0", "error": {"code": -32700, "message": "no"}}


def test_lines_that_are_written_are_read_again() -> None:
    assert read(request_line(5, "tools/call", b'{"a":1}').rstrip()) == Request(5, "tools/call", {"a": 1})
    assert read(notification_line("n/x", {"a": "\u2028"}).rstrip(b"\n")) == Notification("n/x", {"a": "\u2028"})
    assert read(notification_line("n/x").rstrip()) == Notification("n/x", {})
    assert read(error_line("q", -1, "a\nb", {"k": []}).rstrip()) == ErrorAnswer("q", -1, "a\nb", {"k": []})
    answer = read(result_line(3, b'{"a": 1}').rstrip())  # type: ignore[union-attr]
    assert isinstance(answer, Result) and answer.body == b'{"a": 1}'


def test_the_chunks_of_a_large_result_are_not_joined() -> None:
    chunks = [b'{"t":"', b"x" * 1000, b'"}']
    line = result_line(3, chunks)
    assert isinstance(line, list) and any(piece is chunks[1] for piece in line)
    assert json.loads(b"".join(line)) == {"jsonrpc": "2.0", "id": 3, "result": {"t": "x" * 1000}}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}], ids=str)
def test_what_json_does_not_have_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError):
        encode(value)


def test_a_written_line_is_one_line_of_ascii() -> None:
    line = encode({"a": "\n\r\u2028\u0085ü\ud83d"})
    assert line.isascii() and b"\n" not in line and b"\r" not in line


def test_null_has_always_been_an_empty_result() -> None:
    answer = message({"jsonrpc": "2.0", "id": 1, "result": None})
    assert isinstance(answer, Result) and answer.value == {}
