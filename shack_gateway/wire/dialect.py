"""Facts about the two eras and their revisions.  Pure.

handshake   2024-11-05 … 2025-11-25: `initialize` first, then a session
stateless   2026-07-28: every request describes itself in `params._meta`
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STATELESS = "2026-07-28"
HANDSHAKE_VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
NEWEST_HANDSHAKE = HANDSHAKE_VERSIONS[0]
BATCHES = "2025-03-26"
"""The one revision that has JSON-RPC batches."""

_PREFIX = "io.modelcontextprotocol/"
VERSION_KEY = _PREFIX + "protocolVersion"
CAPABILITIES_KEY = _PREFIX + "clientCapabilities"
CLIENT_KEY = _PREFIX + "clientInfo"
LOG_LEVEL_KEY = _PREFIX + "logLevel"
SUBSCRIPTION_KEY = _PREFIX + "subscriptionId"
SERVER_KEY = _PREFIX + "serverInfo"
ORIGIN_KEY = "dev.shack/server"
"""Our own key in `_meta`: which server a result or a question came from (the host knows the gateway only)."""

RELATED_TASK_KEY = _PREFIX + "related-task"
"""Says to which task a message belongs (MCP 2025-11-25); means nothing to a host that was told of no task."""
AGAIN_STATE = "shack:again"
"""The `requestState` of a question of ours after whose answer the call is simply made anew."""

HOP_KEYS = frozenset((
    "progressToken", VERSION_KEY, CAPABILITIES_KEY, CLIENT_KEY, LOG_LEVEL_KEY, SUBSCRIPTION_KEY, SERVER_KEY,
))
"""Members of `_meta` that belong to one hop and are never forwarded (MCP 2026-07-28 basic#_meta)."""

LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

_BOTH = frozenset((
    "tools/list", "tools/call", "resources/list", "resources/templates/list", "resources/read",
    "prompts/list", "prompts/get", "completion/complete",
))
HANDSHAKE_METHODS = _BOTH | {"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"}
STATELESS_METHODS = _BOTH | {"server/discover", "subscriptions/listen"}
WITHOUT_HANDSHAKE = frozenset((
    "initialize", "ping", "tools/list", "tools/call", "resources/list", "resources/read", "prompts/list",
))
"""What 0.1.0 answered before (or without) `initialize`; scripts rely on it."""

QUESTION_METHODS = frozenset(("tools/call", "prompts/get", "resources/read"))
"""The methods whose result may be `input_required` (MCP 2026-07-28 basic/patterns, multi round-trip requests)."""


def level_reaches(level: Any, wanted: str) -> bool:
    """True when a message of `level` is to be shown to one who asked for `wanted` (RFC 5424 order)."""
    return level in LOG_LEVELS and LOG_LEVELS.index(level) >= LOG_LEVELS.index(wanted)


def forwarded_meta(meta: Mapping[str, Any] | None) -> dict[str, Any]:
    """The members of `_meta` that cross a hop: everything but the hop's own keys."""
    return {key: value for key, value in meta.items() if key not in HOP_KEYS} if meta else {}


def is_request_id(value: Any) -> bool:
    """True for a string or an integer; `true` is an int in Python, but no request id."""
    return type(value) is str or type(value) is int


def is_progress_token(value: Any) -> bool:
    """A progress token is a string or an integer, like a request id."""
    return is_request_id(value)
