"""Judges messages and whole conversations by the official schemas of the protocol (`tests/schema/`).

A request and a notification are validated whole, by the definition of their method; of an answer the envelope and the
result, by the definition of the method that was asked. 2024-11-05 and 2025-03-26 are judged by 2025-06-18, which
allows nearly all that they allow. `jsonschema` is a test-only extra: `needed()` skips without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "schema"
FILES = {
    "2024-11-05": "2025-06-18",
    "2025-03-26": "2025-06-18",
    "2025-06-18": "2025-06-18",
    "2025-11-25": "2025-11-25",
    "2026-07-28": "2026-07-28",
}
M = "io.modelcontextprotocol/"
STATELESS = "2026-07-28"

REQUESTS = {
    "initialize": "InitializeRequest",
    "ping": "PingRequest",
    "server/discover": "DiscoverRequest",
    "tools/list": "ListToolsRequest",
    "tools/call": "CallToolRequest",
    "resources/list": "ListResourcesRequest",
    "resources/templates/list": "ListResourceTemplatesRequest",
    "resources/read": "ReadResourceRequest",
    "resources/subscribe": "SubscribeRequest",
    "resources/unsubscribe": "UnsubscribeRequest",
    "prompts/list": "ListPromptsRequest",
    "prompts/get": "GetPromptRequest",
    "completion/complete": "CompleteRequest",
    "logging/setLevel": "SetLevelRequest",
    "subscriptions/listen": "SubscriptionsListenRequest",
    "roots/list": "ListRootsRequest",
    "sampling/createMessage": "CreateMessageRequest",
    "elicitation/create": "ElicitRequest",
}
RESULTS = {
    "initialize": "InitializeResult",
    "ping": "EmptyResult",
    "server/discover": "DiscoverResult",
    "tools/list": "ListToolsResult",
    "tools/call": "CallToolResult",
    "resources/list": "ListResourcesResult",
    "resources/templates/list": "ListResourceTemplatesResult",
    "resources/read": "ReadResourceResult",
    "resources/subscribe": "EmptyResult",
    "resources/unsubscribe": "EmptyResult",
    "prompts/list": "ListPromptsResult",
    "prompts/get": "GetPromptResult",
    "completion/complete": "CompleteResult",
    "logging/setLevel": "EmptyResult",
    "subscriptions/listen": "SubscriptionsListenResult",
    "roots/list": "ListRootsResult",
    "sampling/createMessage": "CreateMessageResult",
    "elicitation/create": "ElicitResult",
}
NOTIFICATIONS = {
    "notifications/initialized": "InitializedNotification",
    "notifications/cancelled": "CancelledNotification",
    "notifications/progress": "ProgressNotification",
    "notifications/message": "LoggingMessageNotification",
    "notifications/tools/list_changed": "ToolListChangedNotification",
    "notifications/prompts/list_changed": "PromptListChangedNotification",
    "notifications/resources/list_changed": "ResourceListChangedNotification",
    "notifications/resources/updated": "ResourceUpdatedNotification",
    "notifications/roots/list_changed": "RootsListChangedNotification",
    "notifications/subscriptions/acknowledged": "SubscriptionsAcknowledgedNotification",
    "notifications/elicitation/complete": "ElicitationCompleteNotification",
}
INPUT_REQUIRED = {"tools/call", "prompts/get", "resources/read"}


def needed() -> None:
    """Skip the test that calls this where `jsonschema` is not installed."""
    pytest.importorskip("jsonschema", reason="jsonschema is not installed: messages are not validated")


@cache
def _document(version: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{FILES[version]}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _definitions(version: str) -> dict[str, Any]:
    document = _document(version)
    return document["$defs"] if "$defs" in document else document["definitions"]  # type: ignore[no-any-return]


@cache
def _validator(version: str, name: str) -> Any:
    import jsonschema

    document = _document(version)
    key = "$defs" if "$defs" in document else "definitions"
    whole = {"$schema": document["$schema"], key: document[key], "$ref": f"#/{key}/{name}"}
    return jsonschema.validators.validator_for(whole)(whole)


def faults(version: str, name: str, value: Any) -> list[str]:
    """Why `value` is no `name` of that revision; empty when it is one."""
    if name not in _definitions(version):
        return [f"{version} has no {name}"]
    found = sorted(_validator(version, name).iter_errors(value), key=lambda error: list(map(str, error.path)))
    return [f"{name} ({version}) at /{'/'.join(map(str, error.path))}: {error.message[:300]}" for error in found[:5]]


def era_of(message: dict[str, Any], session: str) -> str:
    """The revision a request speaks: its own `_meta` decides, else the session's."""
    meta = (message.get("params") or {}).get("_meta") or {}
    return STATELESS if M + "protocolVersion" in meta else session


def judge(conversation: Iterable[tuple[str, dict[str, Any]]], version: str, *, only: str = "") -> list[str]:
    """Every fault in a conversation of (`>` or `<`, message); `only` judges one direction.

    `>` is the side that asks first (the host towards the gateway, the gateway towards a server). Each request's era is
    told by its own `_meta`; `version` is the session's revision.
    """
    found: list[str] = []
    open_: dict[tuple[str, type, Any], tuple[str, str]] = {}
    for side, message in conversation:
        said: list[str] = []
        if "method" in message:
            era = era_of(message, version) if "id" in message else _era_of_notification(message, version)
            table = REQUESTS if "id" in message else NOTIFICATIONS
            if "id" in message:
                open_[side, type(message["id"]), message["id"]] = (message["method"], era)
            name = table.get(message["method"])
            said = faults(era, name, message) if name else [f"a method that no revision has: {message['method']}"]
        else:
            other = "<" if side == ">" else ">"
            asked = open_.pop((other, type(message.get("id")), message.get("id")), None)
            said = _judge_answer(message, asked, version)
        if not only or side == only:
            found.extend(f"{side} {fault}\n    in {json.dumps(message)[:400]}" for fault in said)
    return found


def _era_of_notification(message: dict[str, Any], version: str) -> str:
    meta = (message.get("params") or {}).get("_meta") or {}
    return STATELESS if M + "subscriptionId" in meta else version


def _judge_answer(message: dict[str, Any], asked: tuple[str, str] | None, version: str) -> list[str]:
    method, era = asked or ("", version)
    error, result = (
        ("JSONRPCError", "JSONRPCResponse")
        if FILES[era] == "2025-06-18"
        else ("JSONRPCErrorResponse", "JSONRPCResultResponse")
    )
    if "error" in message:
        # Before 2025-11-25 no schema allows an error without id, and none allows a null one: judged by the newer one.
        return (
            faults("2025-11-25", "JSONRPCErrorResponse", message)
            if "id" not in message
            else faults(era, error, message)
        )
    said = faults(era, result, message)
    if asked is None:
        return [*said, "an answer to nothing that was asked"]
    name = RESULTS.get(method)
    if name is None:
        return [*said, f"a result for a method that no revision has: {method}"]
    if era == STATELESS and method in INPUT_REQUIRED and message["result"].get("resultType") == "input_required":
        name = "InputRequiredResult"
    return said + faults(era, name, message["result"])
