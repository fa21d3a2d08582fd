"""A line of bytes ⇄ a JSON-RPC message.  Pure.

Rule 1: lines are split at `\n` bytes only (U+2028 and its like are legal inside a JSON string).
Rule 2: a result is taken out of its line as text and put into the next line as text; nothing is encoded anew that
        nobody changed. Its JSON is checked all the same, so that a server's broken line never becomes ours.
Rule 3: a large line stays a list of chunks from the first read to the last write.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from json.decoder import scanstring  # type: ignore[attr-defined]  # public in CPython, missing in the stubs
from json.encoder import (  # type: ignore[attr-defined]  # in CPython; None elsewhere
    c_make_encoder,
    encode_basestring_ascii,
)
from typing import Any

from ..errors import WireError
from ..lazy import Pattern
from ..record import NamedTuple
from .dialect import is_request_id
from .splice import DECODER, members, scan, scan_keeping

KEPT_WHOLE = 256 * 1024
"""Bytes up to which a line is joined to one piece; a longer one is handled as chunks."""

HEAD = 256
"""Bytes of an unusable line that are kept, to tell whose answer it would have been."""

SHORT = 1024
"""Characters up to which a piece of a large line is never cut out: keys and words that we read are shorter."""

Body = bytes | list[bytes]


class Request(NamedTuple):
    """Somebody asks; `id` is theirs, a string or an integer."""

    id: str | int
    method: str
    params: dict[str, Any]
    kept: tuple[tuple[dict[str, Any], str], ...] = ()
    """Of a large request: `arguments` in its params, and in those again, each with its JSON text."""


class Notification(NamedTuple):
    """Somebody tells; nobody answers."""

    method: str
    params: dict[str, Any]


class Result(NamedTuple):
    """An answer. `body` is the JSON text of the result; `value` its object, whole when `exact`, and otherwise with
    long runs inside its strings cut out (its keys and short values can be relied upon)."""

    id: Any
    body: Body
    value: dict[str, Any]
    exact: bool = True


def whole(answer: Result) -> dict[str, Any]:
    """The value of an answer with nothing cut out; raises `ValueError` or `RecursionError` where it cannot be read."""
    if answer.exact:
        return answer.value
    value = json.loads(answer.body if isinstance(answer.body, bytes) else b"".join(answer.body))
    if not isinstance(value, dict):
        raise ValueError("the result is not a JSON object")
    return value


class ErrorAnswer(NamedTuple):
    """An answer that is an error."""

    id: Any
    code: int
    message: str
    data: Any = None


Message = Request | Notification | Result | ErrorAnswer


class TooLong(NamedTuple):
    """In place of a line that was longer than allowed; `size` counts its bytes, `head` is how it began."""

    size: int
    head: bytes = b""


Line = bytes | list[bytes] | TooLong


class Lines:
    """Cuts a stream of bytes into lines of at most `limit` bytes; whatever the chunks, the lines are the same."""

    __slots__ = ("_head", "_limit", "_pieces", "_size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head = b""
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that end in `chunk`, without their ends; blank lines are left out."""
        found: list[Line] = []
        start, end = 0, chunk.find(b"\n")
        if end >= 0 and self._size:
            line = self._finish(chunk[:end])
            if line and not (type(line) is bytes and line.isspace()):
                found.append(_cut(line))
            start, end = end + 1, chunk.find(b"\n", end + 1)
        while end >= 0:
            line = chunk[start:end]
            if len(line) > self._limit:
                found.append(TooLong(len(line), line[:HEAD]))
            elif line and (line[0] > 32 or not line.isspace()):
                found.append(line[:-1] if line[-1] == 13 else line)
            start, end = end + 1, chunk.find(b"\n", end + 1)
        if start < len(chunk):
            self._keep(chunk[start:] if start else chunk)
        return found

    def rest(self) -> list[Line]:
        """At the end of the stream: the last line, if it had no end."""
        if not self._size:
            return []
        line = self._finish(b"")
        return [] if isinstance(line, bytes) and line.isspace() else [_cut(line)]

    def _keep(self, piece: bytes) -> None:
        if len(self._head) < HEAD:
            self._head += piece[: HEAD - len(self._head)]
        self._size += len(piece)
        if self._size <= self._limit:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    def _finish(self, piece: bytes) -> Line:
        self._keep(piece)
        pieces, size, head = self._pieces, self._size, self._head
        self._pieces, self._size, self._head = [], 0, b""
        if size > self._limit:
            return TooLong(size, head)
        return b"".join(pieces) if size <= KEPT_WHOLE else pieces


def _cut(line: Line) -> Line:
    """The line without the `\\r` of a CRLF ending."""
    if type(line) is bytes:
        return line[:-1] if line[-1] == 13 else line
    if type(line) is list and line[-1].endswith(b"\r"):
        line[-1] = line[-1][:-1]
    return line


# --- reading ---------------------------------------------------------------------------------------------------------

_ID_FIRST = re.compile(r'\{"jsonrpc": ?"2\.0", ?"id": ?(-?[0-9]{1,18}), ?"result": ?(?=\{)').match
_ID_LAST = re.compile(r'\{"result": ?(?=\{)').match
_ID_LAST_TAIL = re.compile(r', ?"jsonrpc": ?"2\.0", ?"id": ?(-?[0-9]{1,18})\}[ \t]*').fullmatch
_HALF_ESCAPE = Pattern(r"(?<!\\)(?:\\\\)*(\\(?:u[0-9a-fA-F]{0,3})?)\Z")


def read(line: bytes | list[bytes]) -> Message | list[Any] | None:
    """The message in a line, the values of a batch, or None for an object that asks for nothing.

    Raises `WireError` for everything else, with the id of the request where one can be told.
    """
    if type(line) is list:
        return _read_large(line)
    text = _text(line)
    if "result" in text[:60]:  # where it stands in the two usual forms of an answer
        answer = _result(line, text)
        if answer is not None:
            return answer
    return _message(_value(text), text)


_ID_IN_HEAD = Pattern(
    rb'\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(-?[0-9]{1,18})\s*,\s*"(?:result|error)"'
)


def id_in_head(head: bytes) -> int | None:
    """The id of an answer whose line is of no use but for its beginning."""
    found = _ID_IN_HEAD.match(head)
    return int(found[1]) if found else None


def _text(line: bytes | list[bytes]) -> str:
    try:
        return (line if isinstance(line, bytes) else b"".join(line)).decode()
    except UnicodeDecodeError as error:
        raise WireError("parse", f"parse error: byte {error.start} is not UTF-8") from None


def _value(text: str) -> Any:
    try:
        value, end = scan(text, 0) if text[:1] == "{" else (None, -1)
        return value if end == len(text) else DECODER.decode(text)
    except RecursionError:
        raise WireError("parse", "parse error: nested too deeply") from None
    except ValueError as error:
        raise WireError("parse", f"parse error: {error}") from None


def _result(line: Body, text: str, *, exact: bool = True) -> Result | None:
    """The answer in `line` when it has one of the two usual forms; None says: look closer.

    The value is scanned in place, so that the body is known to be exactly one JSON object and the rest of the line to
    be exactly the envelope: a second `id` or `result` cannot hide behind the first.
    """
    head = _ID_FIRST(text)
    last = None if head else _ID_LAST(text)
    if head is None and last is None:
        return None
    start = (head or last).end()  # type: ignore[union-attr]  # one of them matched
    try:
        value, end = scan(text, start)
    except (ValueError, RecursionError):
        return None
    if head is not None:
        if text[end:].rstrip(" \t") != "}":
            return None
        number = head[1]
    else:
        tail = _ID_LAST_TAIL(text, end)
        if tail is None:
            return None
        number = tail[1]
    # The envelope is ASCII, so the distances from both ends are the same in bytes and in characters.
    return Result(int(number), _inside(line, start, len(text) - end), value, exact)


def _inside(line: Body, before: int, behind: int) -> Body:
    if isinstance(line, bytes):
        return line[before : len(line) - behind]
    while len(line[0]) < before:
        line[:2] = [line[0] + line[1]]
    while len(line[-1]) < behind:
        line[-2:] = [line[-2] + line[-1]]
    line[0] = line[0][before:]
    line[-1] = line[-1][: len(line[-1]) - behind]
    return line


def _read_large(chunks: list[bytes]) -> Message | list[Any] | None:
    """A line of many chunks, checked without holding it a second time where its bulk is text."""
    if b'"result"' not in head(chunks):
        return _large_request(_text(chunks))
    short = _shortened(chunks)
    if len(short) * 4 < sum(map(len, chunks)):
        answer = _result(chunks, short, exact=False)
        if answer is not None:
            return answer
    text = _text(chunks)
    return _result(chunks, text) or _message(_value(text), text)


def head(line: Body) -> bytes:
    """How a line begins, whatever its chunks."""
    if isinstance(line, bytes):
        return line[:HEAD]
    start = b""
    for chunk in line:
        start += chunk[: HEAD - len(start)]
        if len(start) == HEAD:
            break
    return start


def _large_request(text: str) -> Message | list[Any] | None:
    """A message whose arguments keep their text, so that it need not be written anew."""
    try:
        value, end, kept = scan_keeping(text, ("params", "arguments", "arguments"))
        found = message(value) if not text[end:].strip() else None
    except (ValueError, RecursionError):
        return _message(_value(text), text)
    return found._replace(kept=kept) if isinstance(found, Request) else _message(_value(text), text)


def _shortened(chunks: list[bytes]) -> str:
    """The line without the bulk of its long strings: if what is left is JSON, so is the whole.

    A chunk that could stand inside a string from its first character to its last leaves a `~` behind, which is legal
    inside a string only; so does the rest of an escape that was cut in two, where `\\~` is legal nowhere.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    parts: list[str] = []
    carried = ""
    try:
        for chunk in chunks:
            piece = carried + decoder.decode(chunk)
            half = _HALF_ESCAPE.search(piece, max(0, len(piece) - 32))
            carried = half[1] if half else ""
            if half:
                piece = piece[: half.start(1)]
            parts.append("~" if len(piece) > SHORT and _is_inside_a_string(piece) else piece)
        parts.append(carried + decoder.decode(b"", final=True))
    except UnicodeDecodeError:
        raise WireError("parse", "parse error: a long line is not UTF-8") from None
    return "".join(parts)


def _is_inside_a_string(piece: str) -> bool:
    try:
        return bool(scanstring(piece + '"', 0)[1] == len(piece) + 1)
    except ValueError:
        return False


def _message(value: Any, text: str) -> Message | list[Any] | None:
    return value if type(value) is list else message(value, text)


def message(value: Any, text: str = "") -> Message | None:
    """What one JSON value, written as `text`, says; None for an object that neither asks, tells nor answers.

    Raises `WireError`.
    """
    if type(value) is not dict:
        raise WireError("invalid request", "invalid request: a message must be a JSON object")
    id = value.get("id")
    known = is_request_id(id)
    if "method" in value:
        if value.get("jsonrpc") != "2.0":
            raise WireError(
                "invalid request", 'invalid request: `"jsonrpc": "2.0"` is missing', id=id if known else None
            )
        return _question(value, id, known)
    if "result" in value or "error" in value:
        return _answer(value, id, text)
    if value.get("jsonrpc") != "2.0" or known:
        raise WireError("invalid request", "invalid request: `method` is missing", id=id if known else None)
    if id is not None:
        raise WireError("invalid request", "invalid request: an id must be a string or an integer")
    return None


def _question(value: dict[str, Any], id: Any, known: bool) -> Request | Notification:
    method, params = value["method"], value.get("params")
    if id is not None and not known:
        raise WireError("invalid request", "invalid request: an id must be a string or an integer")
    if type(method) is not str:
        raise WireError("invalid request", "invalid request: `method` must be a string", id=id)
    if params is None:
        params = {}
    elif type(params) is not dict:
        if known:
            raise WireError("bad params", "`params` must be an object", id=id)
        params = {}  # a notification is never answered, not even with an error
    return Request(id, method, params) if known else Notification(method, params)


def _text_of_result(text: str) -> bytes:
    """The result in an envelope of an unusual shape: cut out, not written anew."""
    bodies = [text[member.value_start : member.end] for member in members(text)[0] if member.key == "result"]
    return bodies[-1].encode("utf-8", "surrogatepass")


def _answer(value: dict[str, Any], id: Any, text: str) -> Result | ErrorAnswer:
    error, result = value.get("error"), value.get("result")
    if error is None:
        if result is None:
            return Result(id, b"{}", {})  # `null` has always been taken for an empty result (0.1.0)
        if type(result) is not dict:
            return ErrorAnswer(id, -32603, "the server answered with a result that is no JSON object")
        try:
            return Result(id, _text_of_result(text) if text else encode(result), result)
        except (ValueError, RecursionError) as why:
            return ErrorAnswer(id, -32603, f"the server answered with something that is no JSON: {why}")
    if type(error) is not dict:
        return ErrorAnswer(id, -32603, f"error without a code: {str(error)[:200]}")
    code, words = error.get("code"), error.get("message")
    return ErrorAnswer(
        id, code if type(code) is int else -32603, words if type(words) is str else "error", error.get("data")
    )


# --- writing ---------------------------------------------------------------------------------------------------------

def _encoder() -> Callable[[Any], str]:
    """The encoder of `json`, made once: `JSONEncoder.encode` makes a new one for every value, which costs a third."""
    if c_make_encoder is None:
        return json.JSONEncoder(separators=(",", ":"), check_circular=False, allow_nan=False).encode
    pieces = c_make_encoder(None, _unknown, encode_basestring_ascii, None, ":", ",", False, False, False)
    return lambda value: "".join(pieces(value, 0))


def _unknown(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} is no JSON value")


_encode = _encoder()


def encode(value: Any) -> bytes:
    """JSON text, compact and ASCII (lone surrogates stay escapes). Raises ValueError for numbers JSON does not have,
    RecursionError for values nested too deeply."""
    return _encode(value).encode("ascii")


def id_text(id: str | int) -> bytes:
    """The JSON text of a request id, with its very type: `1` and `"1"` are two ids."""
    return b"%d" % id if type(id) is int else encode(id)


def request_line(id: int, method: str, params: bytes) -> bytes:
    """A request of ours; `params` is JSON text."""
    return b'{"jsonrpc":"2.0","id":%d,"method":"%s","params":%s}\n' % (id, method.encode("ascii"), params)


def notification_line(method: str, params: dict[str, Any] | None = None) -> bytes:
    """A notification."""
    value: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        value["params"] = params
    return encode(value) + b"\n"


def result_line(id: str | int, body: Body) -> Body:
    """An answer around the text of its result: one piece, or the chunks of a large one."""
    head = b'{"jsonrpc":"2.0","id":%s,"result":' % id_text(id)
    if isinstance(body, bytes):
        return head + body + b"}\n"
    return [head, *body, b"}\n"]


def error_line(id: str | int | None, code: int, text: str, data: Any = None) -> bytes:
    """An error; without an id where the request's id could not be read (a null id is in no MCP schema)."""
    error: dict[str, Any] = {"code": code, "message": text}
    if data is not None:
        error["data"] = data
    value: dict[str, Any] = (
        {"jsonrpc": "2.0", "error": error} if id is None else {"jsonrpc": "2.0", "id": id, "error": error}
    )
    return encode(value) + b"\n"
