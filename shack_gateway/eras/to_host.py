"""What the house says → what a host of either era reads.  Pure.

Rule 1: text that the era leaves as it is goes out byte for byte; what must differ is edited in the text.
Rule 2: `serverInfo` towards the host names the gateway; which server a result came from is `_meta["dev.shack/server"]`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import (
    FAILURES,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    MISSING_CAPABILITY,
    RESOURCE_NOT_FOUND,
    URL_ELICITATION,
    clip,
)
from ..pipeline.call import Complete, Failed, InputRequired, Outcome, Refused
from ..wire import dialect
from ..wire.messages import Body, encode, error_line, notification_line, result_line
from ..wire.splice import edit, members
from .asking import refusal, url_requests
from .inbound import Asked, Tongue

_OURS = frozenset(("resultType", "_meta", "ttlMs", "cacheScope"))
"""Members of a stateless result that are ours to say; a result that brings one of them has to be looked at."""


class Voice:
    """How one gateway speaks: its name and version in every stateless result, its list of capabilities."""

    def __init__(self, name: str, version: str) -> None:
        self.info = {"name": name, "version": version}
        self._info_text = encode(self.info).decode()
        self._heads: dict[str, bytes] = {}

    # --- answers ---

    def answer(self, id: str | int, asked: Asked, outcome: Outcome, number: int) -> Body:
        """The line(s) that answer request `id`; `number` is our call number, for whoever reads the log."""
        tongue = asked.tongue
        if isinstance(outcome, Complete):
            return result_line(id, self.result(outcome, tongue))
        if isinstance(outcome, InputRequired):
            return self._question(id, asked, outcome, number)
        if isinstance(outcome, Failed) and outcome.code is not None:
            return self._servers_error(id, asked, outcome)
        kind = outcome.stage if isinstance(outcome, Refused) else outcome.kind
        form = FAILURES.get(kind, FAILURES["internal"])
        code = form.stateless if tongue.stateless else form.handshake
        about = _about(outcome, number)
        if code is None and asked.method == "tools/call":
            return result_line(id, self.result(tool_error(outcome.text, about), tongue))
        if isinstance(outcome, Failed) and outcome.data is not None:
            # What MCP lays down for its own codes stands alone.
            about = outcome.data if kind in ("version", "capability") else {**about, **outcome.data}
        return error_line(id, INVALID_PARAMS if code is None else code, clip(outcome.text), about)

    def result(self, outcome: Complete, tongue: Tongue) -> Body:
        """The result as a host of that tongue reads it."""
        return self._for_stateless(outcome) if tongue.stateless else for_handshake(outcome, tongue.version)

    def _for_stateless(self, outcome: Complete) -> Body:
        shape, body = outcome.shape, outcome.body
        extra = self._head(outcome.server)
        if not _OURS.isdisjoint(shape):
            body = self._own_meta(outcome).encode("utf-8", "surrogatepass")
            if outcome.cache is None:
                return body
            extra = b""
        if outcome.cache is not None:
            ttl, private = outcome.cache
            cache = b'"ttlMs":%d,"cacheScope":"%s"' % (ttl, b"private" if private else b"public")
            extra = extra + b"," + cache if extra else cache
        if not extra:
            return body
        head = b"{" + extra + (b"," if shape else b"")
        if isinstance(body, bytes):
            return head + body[1:]
        return [head, body[0][1:], *body[1:]]

    def _head(self, server: str) -> bytes:
        """The members that a stateless result begins with; the same for every result of one server."""
        head = self._heads.get(server)
        if head is None:
            head = self._heads[server] = f'"resultType":"complete","_meta":{self._meta(server)}'.encode()
        return head

    def _meta(self, server: str) -> str:
        origin = f",{json.dumps(dialect.ORIGIN_KEY)}:{json.dumps(server)}" if server else ""
        return f"{{{json.dumps(dialect.SERVER_KEY)}:{self._info_text}{origin}}}"

    def _own_meta(self, outcome: Complete) -> str:
        """The text of a result that brings `_meta` or `resultType`, with the hop's members replaced by ours."""
        text, shape = outcome.text, outcome.shape
        meta = self._meta(outcome.server)
        if isinstance(shape.get("_meta"), dict):
            found, _ = members(text)
            theirs = [text[m.value_start : m.end] for m in found if m.key == "_meta"][-1]
            ours, _ = members(meta)
            dropped: dict[str, str | None] = dict.fromkeys(dialect.HOP_KEYS)
            meta = edit(edit(theirs, dropped), {}, add=[(m.key, meta[m.value_start : m.end]) for m in ours])
        # A handshake server may call a member of its own `resultType`; here it would mean something.
        add = [("resultType", '"complete"'), ("_meta", meta)]
        if outcome.cache is not None:
            text = edit(text, {"ttlMs": None, "cacheScope": None})
        return edit(text, {}, add=add)

    def _question(self, id: str | int, asked: Asked, outcome: InputRequired, number: int) -> Body:
        """A question to the user, for a stateless host that said it can answer such questions."""
        refused = refusal(outcome, asked.capabilities)
        if refused is not None:
            return self.answer(id, asked, refused, number)
        value: dict[str, Any] = {"resultType": "input_required"}
        if outcome.requests:
            value["inputRequests"] = outcome.requests
        if outcome.state is not None:
            value["requestState"] = outcome.state
        meta = dialect.forwarded_meta(outcome.meta)
        value["_meta"] = {**meta, dialect.SERVER_KEY: self.info, dialect.ORIGIN_KEY: outcome.server}
        return result_line(id, encode(value))

    def _servers_error(self, id: str | int, asked: Asked, failed: Failed) -> Body:
        """An error that the server itself answered with (protocol bridge, section 8.12)."""
        stateless, code, data = asked.tongue.stateless, failed.code or INTERNAL_ERROR, failed.data
        if asked.method == "resources/read":
            if stateless and code == RESOURCE_NOT_FOUND:
                code, data = INVALID_PARAMS, {"uri": asked.params.get("uri")}
            elif not stateless and code == INVALID_PARAMS and "not found" in failed.text.lower():
                code = RESOURCE_NOT_FOUND
        if code == URL_ELICITATION and stateless and (requests := url_requests(data)):
            # The code is unknown to that era: the pages become a question, and the call is made anew after it.
            question = InputRequired(requests, dialect.AGAIN_STATE, failed.server)
            return self._question(id, asked, question, 0)
        if code == URL_ELICITATION and asked.tongue.version != "2025-11-25" and asked.method == "tools/call":
            return result_line(id, self.result(tool_error(_urls(failed), {"server": failed.server}), asked.tongue))
        if code == MISSING_CAPABILITY and not stateless and asked.method == "tools/call":
            return result_line(
                id, for_handshake(tool_error(_lacking(failed), {"server": failed.server}), asked.tongue.version)
            )
        return error_line(id, code, clip(failed.text), data)

    # --- greetings ---

    def initialize(self, version: str, instructions: str) -> bytes:
        """The result of `initialize`."""
        value = {"protocolVersion": version, "capabilities": capabilities(version), "serverInfo": self.info}
        if instructions:
            value["instructions"] = instructions
        return encode(value)

    def discover(self, instructions: str) -> bytes:
        """The result of `server/discover`."""
        value: dict[str, Any] = {
            "resultType": "complete",
            "supportedVersions": [dialect.STATELESS],
            "capabilities": capabilities(dialect.STATELESS),
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": {dialect.SERVER_KEY: self.info},
        }
        if instructions:
            value["instructions"] = instructions
        return encode(value)

    def listen_ended(self, id: str | int) -> bytes:
        """The answer that ends `subscriptions/listen` when we shut down."""
        meta = {dialect.SUBSCRIPTION_KEY: id, dialect.SERVER_KEY: self.info}
        return encode({"resultType": "complete", "_meta": meta})


def capabilities(version: str) -> dict[str, Any]:
    """What we offer. Hosts ask before servers are up, so everything is declared and may turn out to be empty."""
    found: dict[str, Any] = {
        "tools": {"listChanged": True},
        "resources": {"subscribe": True, "listChanged": True},
        "prompts": {"listChanged": True},
        "logging": {},
    }
    if version != "2024-11-05":
        found["completions"] = {}
    return found


def tool_error(text: str, about: Mapping[str, Any]) -> Complete:
    """A tool result that says that the call was not made, or failed; the model can read it and act on it."""
    value = {
        "content": [{"type": "text", "text": clip(text)}],
        "isError": True,
        "_meta": {"dev.shack/refusal": dict(about)},
    }
    return Complete(encode(value), value=value)


def notification(method: str, params: Mapping[str, Any] | None, *, listen: str | int | None = None) -> bytes:
    """A notification; with `listen` it belongs to that `subscriptions/listen` request."""
    if listen is None and params is None:
        return notification_line(method)
    found = dict(params or {})
    theirs = found.pop("_meta", None)
    meta = dialect.forwarded_meta(theirs) if isinstance(theirs, dict) else {}
    if listen is not None:
        meta[dialect.SUBSCRIPTION_KEY] = listen
    if meta:
        found["_meta"] = meta
    return notification_line(method, found)


# --- towards handshake hosts -----------------------------------------------------------------------------------------

_STATELESS_ONLY = ("resultType", "ttlMs", "cacheScope")


def for_handshake(outcome: Complete, version: str) -> Body:
    """The result as a handshake host of that revision reads it (protocol bridge, section 8.11)."""
    shape = outcome.shape
    changes: dict[str, str | None] = {}
    if outcome.stateless:
        changes = {key: None for key in _STATELESS_ONLY if key in shape}
        if isinstance(shape.get("_meta"), dict) and not dialect.HOP_KEYS.isdisjoint(shape["_meta"]):
            meta = dialect.forwarded_meta(shape["_meta"])
            changes["_meta"] = json.dumps(meta) if meta else None
        if "structuredContent" in shape and not isinstance(shape["structuredContent"], dict):
            changes["structuredContent"] = None
            content = _with_text_of(outcome.value)
            if content is not None:
                changes["content"] = json.dumps(content)
    if version < "2025-06-18" and isinstance(shape.get("content"), list):
        old = downgraded(outcome.value.get("content", []), version)
        if old is not None:
            changes["content"] = json.dumps(old)
    if version < "2025-06-18" and isinstance(shape.get("messages"), list):
        messages = [_old_message(each, version) for each in outcome.value.get("messages", [])]
        if messages != outcome.value.get("messages"):
            changes["messages"] = json.dumps(messages)
    if not changes:
        return outcome.body
    return edit(outcome.text, changes).encode("utf-8", "surrogatepass")


def _with_text_of(value: Mapping[str, Any]) -> list[Any] | None:
    """`content` with the JSON text of a structured value that the host cannot take; None when it is there already."""
    content = value.get("content")
    blocks = content if isinstance(content, list) else []
    structured = value["structuredContent"]
    for block in blocks:
        if isinstance(block, dict) and block.get("type") == "text":
            try:
                if json.loads(block.get("text", "")) == structured:
                    return None
            except (ValueError, TypeError, RecursionError):
                continue
    return [*blocks, {"type": "text", "text": json.dumps(structured, ensure_ascii=False)}]


def _old_message(message: Any, version: str) -> Any:
    """A prompt's message with content that the revision has."""
    if not isinstance(message, dict):
        return message
    old = downgraded([message.get("content")], version)
    return message if old is None else {**message, "content": old[0]}


def downgraded(content: list[Any], version: str) -> list[Any] | None:
    """Content blocks that the revision does not have, said in ones that it has; None when there are none."""
    found: list[Any] = []
    for block in content:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "resource_link":
            block = {"type": "text", "text": f"{block.get('name', 'resource')}: {block.get('uri', '')}"}
        elif kind == "audio" and version == "2024-11-05":
            mime = block.get("mimeType", "audio/wav")
            block = {
                "type": "resource",
                "resource": {"uri": f"data:{mime}", "mimeType": mime, "blob": block.get("data", "")},
            }
        found.append(block)
    return found if found != content else None


# --- failures --------------------------------------------------------------------------------------------------------


def _about(outcome: Refused | Failed, number: int) -> dict[str, Any]:
    """`data` of an error of ours: who says so, so that a host can tell us from a server."""
    about: dict[str, Any] = {"source": "gateway"}
    if outcome.server:
        about["server"] = outcome.server
    if isinstance(outcome, Refused):
        about["stage"] = outcome.stage
        if outcome.rule is not None:
            about["rule"] = outcome.rule
    elif outcome.reason:
        about["reason"] = outcome.reason
    if number:
        about["call"] = number
    return about


def _urls(failed: Failed) -> str:
    asked = failed.data.get("elicitations") if isinstance(failed.data, dict) else None
    urls = [str(e.get("url")) for e in asked if isinstance(e, dict) and e.get("url")] if isinstance(asked, list) else []
    return " ".join([failed.text, "Open in a browser, then call again:", *urls]) if urls else failed.text


def _lacking(failed: Failed) -> str:
    needed = failed.data.get("requiredCapabilities") if isinstance(failed.data, dict) else None
    names = ", ".join(needed) if isinstance(needed, dict) else "a capability"
    return f"{failed.text} (the server `{failed.server}` needs a host with {names})"
