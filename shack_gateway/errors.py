"""Everything that can go wrong, and what the host is told about it.  Pure.

    GatewayError                what, where, fix: in the user's words
    ├── ConfigError             the configuration cannot be used (carries every problem at once)
    ├── WireError               a line that is not what the protocol allows; the channel goes on
    ├── ServerError             something between us and one server broke
    │   ├── ServerUnavailable   not running, still starting for too long, or given up
    │   ├── ServerGone          it ended while a call was open
    │   ├── ServerSilent        it did not answer within the call's time
    │   └── ServerBroken        it answered with something that is no answer
    └── RequestError            a request of the host that cannot be served as it stands
    Cancelled (BaseException)   the host no longer wants the answer; passes through every `except Exception`

Rule 1: which failure becomes which wire form in which era is the table `FAILURES`; nobody else writes a code.
Rule 2: texts here may reach the host: no traceback, no path of ours, no secret.
"""
from __future__ import annotations

from typing import Any

from .record import NamedTuple

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
RESOURCE_NOT_FOUND = -32002
UNSUPPORTED_VERSION = -32022
MISSING_CAPABILITY = -32021
URL_ELICITATION = -32042
"""A server of 2025-11-25 wants the user to visit a URL first."""

MOST_TEXT = 4096
"""Characters of one message towards the host; the log has the rest under the same call number."""


EXPIRED = ("`requestState` is invalid or expired, or was used before. Nothing was started anew; if the call is still "
           "wanted, make it again without `requestState` and `inputResponses`.")


class WireForm(NamedTuple):
    """How a failure is told to a host of either era; `None` means a result with `isError: true`."""

    handshake: int | None
    stateless: int | None
    source: str


FAILURES: dict[str, WireForm] = {
    # kind                       handshake           stateless            where it is laid down
    "parse":            WireForm(PARSE_ERROR, PARSE_ERROR, "JSON-RPC 2.0 section 5.1"),
    "invalid request":  WireForm(INVALID_REQUEST, INVALID_REQUEST, "JSON-RPC 2.0 section 5.1"),
    "unknown method":   WireForm(METHOD_NOT_FOUND, METHOD_NOT_FOUND, "JSON-RPC 2.0 section 5.1"),
    "unknown tool":     WireForm(METHOD_NOT_FOUND, INVALID_PARAMS, "0.1.0; MCP 2026-07-28 server/tools#error-handling"),
    "unknown meta-tool": WireForm(METHOD_NOT_FOUND, INVALID_PARAMS, "0.1.0; MCP 2026-07-28 server/tools"),
    "unknown resource": WireForm(INVALID_PARAMS, INVALID_PARAMS, "0.1.0; MCP 2026-07-28 server/resources"),
    "unknown prompt":   WireForm(INVALID_PARAMS, INVALID_PARAMS, "MCP server/prompts#error-handling"),
    "bad params":       WireForm(INVALID_PARAMS, INVALID_PARAMS, "JSON-RPC 2.0 section 5.1"),
    "version":          WireForm(UNSUPPORTED_VERSION, UNSUPPORTED_VERSION, "MCP 2026-07-28 basic/versioning"),
    "capability":       WireForm(None, MISSING_CAPABILITY, "MCP 2026-07-28 basic#capabilities"),
    "question":         WireForm(None, None, "MCP 2026-07-28 server/tools#error-handling: input that was not given"),
    "sandbox":          WireForm(-32001, None, "0.1.0; MCP 2026-07-28 server/tools#error-handling"),
    "permissions":      WireForm(-32002, None, "0.1.0; MCP 2026-07-28 server/tools#error-handling"),
    "profiles":         WireForm(-32002, None, "as a permission rule"),
    "guardrails":       WireForm(-32002, None, "as a permission rule"),
    "injections":       WireForm(-32002, None, "as a permission rule"),
    "limits":           WireForm(-32004, None, "a limit of the owner; MCP 2026-07-28 server/tools#error-handling"),
    "hooks":            WireForm(-32003, None, "0.1.0; MCP 2026-07-28 server/tools#error-handling"),
    "stage":            WireForm(INTERNAL_ERROR, None, "a stage that breaks refuses the call"),
    "server":           WireForm(INTERNAL_ERROR, INTERNAL_ERROR, "died, silent, or no usable answer"),
    "internal":         WireForm(INTERNAL_ERROR, INTERNAL_ERROR, "JSON-RPC 2.0 section 5.1"),
}


class GatewayError(Exception):
    """What went wrong, where, and how to mend it; `str()` gives the three as one readable text."""

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        text = self.what
        if self.where:
            text += f" ({self.where})"
        if self.fix:
            text += f" {self.fix}"
        return text


class Problem(NamedTuple):
    """One finding about a configuration; `where` is `file:line`, `severity` is `error` or `warning`."""

    severity: str
    what: str
    where: str = ""
    fix: str = ""


class ConfigError(GatewayError):
    """The configuration cannot be used; `problems` holds every finding, warnings included."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        first = next((p for p in problems if p.severity == "error"), problems[0])
        super().__init__(first.what, where=first.where, fix=first.fix)
        self.problems = problems


class WireError(GatewayError):
    """A line that is no message. `kind` is a row of `FAILURES`; `id` is the request's id where one could be read;
    `head` is how the line began."""

    head = b""

    def __init__(self, kind: str, what: str, *, id: str | int | None = None) -> None:
        super().__init__(what)
        self.kind, self.id = kind, id


class ServerError(GatewayError):
    """Something between us and one server broke; `reason` is a short word for `data.reason`."""

    reason = "failed"

    def __init__(self, server: str, what: str, *, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.server = server


class ServerUnavailable(ServerError):
    """The server is not running and could not be waited for."""

    reason = "unavailable"


class ServerGone(ServerError):
    """The server ended, or was stopped, while a call was open."""

    reason = "closed"


class ServerSilent(ServerError):
    """The server did not answer, or say that it progresses, within the call's time."""

    reason = "timeout"


class ServerBroken(ServerError):
    """The server answered with something that is no answer, or broke a limit."""

    reason = "protocol"


class RequestError(GatewayError):
    """A request of the host that cannot be served as it stands; `kind` is a row of `FAILURES`."""

    def __init__(self, kind: str, what: str, *, data: dict[str, Any] | None = None) -> None:
        super().__init__(what)
        self.kind, self.data = kind, data


class Cancelled(BaseException):
    """The host no longer wants the answer. Not an `Exception`, so that no stage can take it for a fault."""


def clip(text: str, limit: int = MOST_TEXT) -> str:
    """`text` as it may be shown: control characters escaped, at most `limit` characters."""
    if len(text) > limit:
        text = text[: limit + 1]  # before it is escaped: it may be a whole message
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c in "\n\t" else f"\\u{ord(c):04x}" for c in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
