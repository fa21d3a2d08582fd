"""What a request of the host means, and in which tongue it wants its answer.  Pure.

The era is decided for each request alone: who sends `io.modelcontextprotocol/protocolVersion` in `_meta` speaks the
stateless tongue, everybody else the handshake one. Both may share one pipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import RequestError
from ..record import NamedTuple
from ..wire import dialect


class Tongue(NamedTuple):
    """How the asker of one request is to be answered."""

    stateless: bool
    version: str


class Asked(NamedTuple):
    """A request that is fit to be served. `capabilities` are those of a stateless request, whoever asked."""

    method: str
    params: dict[str, Any]
    tongue: Tongue
    capabilities: Mapping[str, Any]
    log_level: str | None
    progress_token: Any


class Handshake:
    """What a handshake-era host has told us in `initialize`; before that, what 0.1.0 assumed of everybody."""

    __slots__ = ("capabilities", "done", "log_level", "tongue")

    def __init__(self) -> None:
        self.done = False
        self.tongue = Tongue(False, dialect.HANDSHAKE_VERSIONS[-1])
        self.capabilities: Mapping[str, Any] = {}
        self.log_level: str | None = None

    def greet(self, params: Mapping[str, Any]) -> None:
        """Take `initialize`: a revision we know is spoken, any other is answered with our newest of that era."""
        version = params.get("protocolVersion")
        if version is not None and type(version) is not str:
            raise RequestError("bad params", '`protocolVersion` must be a string, such as "2025-11-25".')
        capabilities = params.get("capabilities")
        if capabilities is not None and type(capabilities) is not dict:
            raise RequestError("bad params", "`capabilities` must be an object.")
        known = version in dialect.HANDSHAKE_VERSIONS
        # 0.1.0 asked for no version at all and answered 2024-11-05; who names none gets that.
        spoken = version if known else dialect.NEWEST_HANDSHAKE if version else dialect.HANDSHAKE_VERSIONS[-1]
        self.tongue = Tongue(False, spoken or dialect.NEWEST_HANDSHAKE)
        self.capabilities = house_capabilities(capabilities or {})
        self.log_level = None
        self.done = True


def house_capabilities(declared: Mapping[str, Any]) -> dict[str, Any]:
    """A handshake host's capabilities as a stateless request would carry them (protocol bridge, section 8.1)."""
    found: dict[str, Any] = {}
    if isinstance(declared.get("roots"), dict):
        found["roots"] = {}
    if isinstance(declared.get("sampling"), dict):
        found["sampling"] = declared["sampling"]
    if isinstance(declared.get("elicitation"), dict):
        found["elicitation"] = declared["elicitation"] or {"form": {}}
    return found


def classify(method: str, params: dict[str, Any], handshake: Handshake) -> Asked:
    """The request as the house reads it; raises `RequestError` with the row of `errors.FAILURES` that it deserves."""
    meta = params.get("_meta")
    if meta is None:
        return _handshake(method, params, None, None, handshake)
    if type(meta) is not dict:
        raise RequestError("bad params", "`_meta` must be an object.")
    token = meta.get("progressToken")
    if token is not None and not dialect.is_progress_token(token):
        raise RequestError("bad params", "`_meta.progressToken` must be a string or an integer.")
    if dialect.VERSION_KEY in meta:
        return _stateless(method, params, meta, token)
    return _handshake(method, params, meta, token, handshake)


def is_stateless(params: Mapping[str, Any]) -> bool:
    """True for params that say which revision they are written in."""
    meta = params.get("_meta")
    return type(meta) is dict and dialect.VERSION_KEY in meta


def _stateless(method: str, params: dict[str, Any], meta: dict[str, Any], token: Any) -> Asked:
    version, capabilities, level = (
        meta[dialect.VERSION_KEY],
        meta.get(dialect.CAPABILITIES_KEY),
        meta.get(dialect.LOG_LEVEL_KEY),
    )
    if type(version) is not str:
        raise RequestError("bad params", f'`_meta["{dialect.VERSION_KEY}"]` must be a string.')
    if version != dialect.STATELESS:
        raise RequestError(
            "version",
            f"Unsupported protocol version `{version[:40]}`: use {dialect.STATELESS}, or `initialize`.",
            data={"supported": [dialect.STATELESS], "requested": version},
        )
    if method not in dialect.STATELESS_METHODS:
        raise RequestError("unknown method", f"method not found: {method[:200]}")
    if type(capabilities) is not dict:
        raise RequestError("bad params", f'`_meta["{dialect.CAPABILITIES_KEY}"]` must be given, as an object.')
    if level is not None and level not in dialect.LOG_LEVELS:
        raise RequestError(
            "bad params", f'`_meta["{dialect.LOG_LEVEL_KEY}"]` must be one of {", ".join(dialect.LOG_LEVELS)}.'
        )
    client = meta.get(dialect.CLIENT_KEY)
    if client is not None and type(client) is not dict:
        raise RequestError("bad params", f'`_meta["{dialect.CLIENT_KEY}"]` must be an object.')
    return Asked(method, params, Tongue(True, version), capabilities, level, token)


def _handshake(
    method: str, params: dict[str, Any], meta: Mapping[str, Any] | None, token: Any, handshake: Handshake
) -> Asked:
    if method not in dialect.HANDSHAKE_METHODS:
        if not handshake.done and method in dialect.STATELESS_METHODS:
            raise RequestError(
                "bad params", f'`{method}` needs `_meta` with "{dialect.VERSION_KEY}" and "{dialect.CAPABILITIES_KEY}".'
            )
        raise RequestError("unknown method", f"method not found: {method[:200]}")
    if not handshake.done:
        if meta is not None and dialect.CAPABILITIES_KEY in meta:
            raise RequestError("bad params", f'`_meta["{dialect.VERSION_KEY}"]` must be given, as a string.')
        if method not in dialect.WITHOUT_HANDSHAKE:
            raise RequestError(
                "bad params",
                f'`{method}` came before `initialize`. Send that first, or `_meta` with "{dialect.VERSION_KEY}".',
            )
    return Asked(method, params, handshake.tongue, handshake.capabilities, handshake.log_level, token)
