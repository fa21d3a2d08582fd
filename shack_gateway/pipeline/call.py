"""A call on its way through the house, and what may come of it.  Pure.

Call             one tools/call, resources/read or prompts/get, addressed to one server
Outcome          what comes of it:
  Complete       the server's result, as text that is parsed only where somebody must look into it
  InputRequired  the server (or a stage) asks the user something first
  Refused        *we* said no: which stage, which rule, why
  Failed         something broke, or the server itself answered with an error
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from ..record import NamedTuple

TOOL, RESOURCE, PROMPT = "tool", "resource", "prompt"


class Context(NamedTuple):
    """What the asking host request brings along, in the house tongue (MCP 2026-07-28)."""

    capabilities: Mapping[str, Any] = {}
    """The host's client capabilities, as a stateless request would carry them."""
    log_level: str | None = None
    progress: Callable[[dict[str, Any]], None] | None = None
    """Takes the params of each progress notification of the server; `None`: the host asked for none."""
    stateless: bool = False
    """In which form the asker reads lists; nothing else in the house depends on it."""
    kept: tuple[tuple[dict[str, Any], str], ...] = ()
    """Large objects among the params, each with its JSON text, so that what nobody changes need not be written anew."""


NO_ANSWERS: Mapping[str, Any] = {}


class Call:
    """One call. Never changed in place, nor are its arguments: a stage that changes it returns `with_arguments(...)`.

    `name` is what the host calls (`server__tool`, or the URI it asked for), `target` the server's own name or URI;
    `params` are the host's params as they came, `arguments` what policy judges and what will be sent.
    `answers` holds what the user said to questions that stages asked about this very call, by the question's key.
    `text` is the JSON text of the arguments, once somebody had to write it.
    """

    __slots__ = ("answers", "arguments", "context", "kind", "name", "number", "params", "server", "target", "text")

    def __init__(
        self,
        number: int,
        kind: str,
        server: str,
        name: str,
        target: str,
        arguments: dict[str, Any],
        params: Mapping[str, Any],
        context: Context,
        answers: Mapping[str, Any] = NO_ANSWERS,
    ) -> None:
        self.number, self.kind, self.server, self.name, self.target = number, kind, server, name, target
        self.arguments, self.params, self.context, self.answers = arguments, params, context, answers
        self.text: str | None = None

    def with_arguments(self, arguments: dict[str, Any]) -> Call:
        """The same call with other arguments; gates of the chain will judge it again."""
        return Call(
            self.number, self.kind, self.server, self.name, self.target, arguments, self.params, self.context,
            self.answers,
        )

    def resumed(self, params: Mapping[str, Any], answers: Mapping[str, Any]) -> Call:
        """The same call once questions were answered."""
        return Call(
            self.number, self.kind, self.server, self.name, self.target, self.arguments, params, self.context, answers
        )


class Complete:
    """A result. `body` is the JSON text of the result object as the server wrote it (bytes, or chunks of a large one).

    `shape` is the object with its keys and short values; long strings in it may be cut. `value` is the whole object,
    parsed where that has not been done; neither may be changed in place: who changes a result makes a new `Complete`.
    `stateless` says which era wrote it. `cache` is (milliseconds to live, private) where the house says so itself.
    """

    __slots__ = ("_value", "body", "cache", "server", "shape", "stateless")

    def __init__(
        self,
        body: bytes | list[bytes],
        *,
        server: str = "",
        stateless: bool = False,
        value: dict[str, Any] | None = None,
        shape: Mapping[str, Any] | None = None,
        cache: tuple[int, bool] | None = None,
    ) -> None:
        self.body, self.server, self.stateless, self.cache, self._value = body, server, stateless, cache, value
        self.shape: Mapping[str, Any] = shape if shape is not None else self.value

    @property
    def value(self) -> dict[str, Any]:
        """The result as an object; raises `ValueError` when the server's text is no JSON object."""
        if self._value is None:
            value = json.loads(self.text)
            if not isinstance(value, dict):
                raise ValueError("the result is not a JSON object")
            self._value = value
        return self._value

    @property
    def text(self) -> str:
        """The JSON text of the result in one piece."""
        return (self.body if isinstance(self.body, bytes) else b"".join(self.body)).decode()

    @property
    def words(self) -> str:
        """The texts of a tool's result, one below the other; empty where it cannot be read."""
        try:
            content = self.value.get("content")
        except (ValueError, RecursionError):
            return ""
        blocks = content if isinstance(content, list) else []
        texts = [block.get("text") for block in blocks if isinstance(block, dict)]
        return "\n".join([text for text in texts if isinstance(text, str)])

    @property
    def is_error(self) -> bool:
        """True when the tool says that it failed (`isError: true`)."""
        return self.shape.get("isError") is True


class InputRequired(NamedTuple):
    """The call cannot go on before the user answered (MCP 2026-07-28, multi round-trip requests)."""

    requests: Mapping[str, Any]
    state: str | None
    server: str = ""
    meta: Mapping[str, Any] | None = None
    stage: str = ""
    """The stage that asks; none where the server does."""
    parked: bool = False
    """The server goes on waiting: `state` is the handle of its call, and is told to nobody (`core/questions.py`)."""
    given: Mapping[str, Any] = {}
    """Answers of the house itself, which go to the server along with the user's."""
    known: Mapping[str, Any] = {}
    """What stages know already of this call, and want to know again when it is made again (`Call.answers`)."""


class Refused(NamedTuple):
    """We said no. `stage` is the row in `errors.FAILURES`; `text` says by which rule and what would be allowed."""

    stage: str
    text: str
    rule: str | None = None
    server: str = ""


class Failed(NamedTuple):
    """Something broke. `kind` is a row of `errors.FAILURES`; `code` and `data` are the server's own where it answered
    with an error, `reason` a short word for `data.reason` where we could not get an answer."""

    kind: str
    text: str
    server: str = ""
    code: int | None = None
    data: Any = None
    reason: str = ""


def digest(call: Call) -> str:
    """What a question about a call is bound to: the same for the same method, server, target and arguments, however
    they are spelt (SHA-256, hexadecimal)."""
    what = json.dumps([call.kind, call.server, call.target, call.arguments], sort_keys=True, separators=(",", ":"))
    return sha256(what.encode("ascii")).hexdigest()


Outcome = Complete | InputRequired | Refused | Failed
