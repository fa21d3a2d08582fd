"""A question to the user, and its answer, from one revision to another.  Pure.

    elicitation/create       a form or a URL for the user        answered {"action": "accept" | "decline" | "cancel"}
    sampling/createMessage   something for the host's model      answered with a message
    roots/list               which folders the host works in     answered with a list

Rule 1: a host is asked only what it said it can answer; what its revision cannot say is refused, never bent.
(protocol bridge, sections 8.3, 8.4 and 8.11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..pipeline.call import Failed, InputRequired
from ..wire import dialect

ELICIT, SAMPLE, ROOTS = "elicitation/create", "sampling/createMessage", "roots/list"
METHODS = (ELICIT, SAMPLE, ROOTS)
CANCEL: Mapping[str, Any] = {"action": "cancel"}
ACTIONS = ("accept", "decline", "cancel")

FORMS_SINCE, NEWER_FORMS_SINCE = "2025-06-18", "2025-11-25"


def lacking(method: str, params: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, Any]:
    """What a host with these capabilities (as a stateless request carries them) would have to declare as well."""
    if method == ELICIT:
        mode = str(params.get("mode", "form"))
        offered = declared.get("elicitation")
        fits = isinstance(offered, dict) and (mode in offered or (mode == "form" and "url" not in offered))
        return {} if fits else {"elicitation": {mode: {}}}
    if method == SAMPLE:
        offered = declared.get("sampling")
        if not isinstance(offered, dict):
            return {"sampling": {}}
        if ("tools" in params or "toolChoice" in params) and "tools" not in offered:
            return {"sampling": {"tools": {}}}
        return {}
    return {} if method != ROOTS or isinstance(declared.get("roots"), dict) else {"roots": {}}


def missing_capabilities(requests: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, Any]:
    """What the host would have to declare to be asked all this; empty when it declared everything."""
    needed: dict[str, Any] = {}
    for request in requests.values():
        if isinstance(request, dict):
            params = request.get("params")
            for name, kinds in lacking(
                str(request.get("method")), params if isinstance(params, dict) else {}, declared
            ).items():
                needed[name] = {**needed.get(name, {}), **kinds}
    return needed


def refusal(outcome: InputRequired, declared: Mapping[str, Any]) -> Failed | None:
    """Why a host with these capabilities cannot be asked all this; None when it can."""
    needed = missing_capabilities(outcome.requests, declared)
    if not needed:
        return None
    text = f"The server `{outcome.server}` asks for input that this host cannot give: it needs {listed(needed)}."
    return Failed("capability", text, server=outcome.server, data={"requiredCapabilities": needed})


def nonsense(method: Any, params: Any) -> str:
    """What is wrong with a question; empty when it can be asked."""
    if method not in METHODS:
        return f"`{str(method)[:100]}` is no question"
    if not isinstance(params, dict):
        return "`params` must be an object"
    if method == ELICIT:
        if not isinstance(params.get("message"), str):
            return "`message` must be a string"
        if params.get("mode", "form") == "url":
            return "" if isinstance(params.get("url"), str) else "`url` must be a string"
        if params.get("mode", "form") != "form":
            return f"`mode` must be `form` or `url`, not {str(params['mode'])[:40]!r}"
        return "" if isinstance(params.get("requestedSchema"), dict) else "`requestedSchema` must be an object"
    if method == SAMPLE and not isinstance(params.get("messages"), list):
        return "`messages` must be a list"
    return ""


def for_host(
    method: str, params: Mapping[str, Any], version: str, server_version: str, new_id: str = ""
) -> dict[str, Any] | str:
    """The params of a question as a handshake host of revision `version` reads them, or why it cannot be asked.

    `server_version` is that of whoever asks. `new_id` names a URL question that comes without a name.
    """
    found = dict(params)
    if method == ELICIT:
        return _elicitation(found, version, new_id)
    if method == SAMPLE and version < NEWER_FORMS_SINCE <= server_version:
        return _sampling(found)
    return found


def _elicitation(found: dict[str, Any], version: str, new_id: str) -> dict[str, Any] | str:
    if version < FORMS_SINCE:
        return f"a host of {version} cannot be asked"
    if found.get("mode") == "url":
        if version < NEWER_FORMS_SINCE:
            return f"a host of {version} cannot be sent to a URL"
        found.setdefault("elicitationId", new_id)
        return found
    if version < NEWER_FORMS_SINCE:
        found.pop("mode", None)
        schema = found.get("requestedSchema")
        fields = schema.get("properties") if isinstance(schema, dict) else None
        if isinstance(fields, dict):
            older = {name: _field(field) for name, field in fields.items()}
            refused = [name for name, field in older.items() if field is None]
            if refused:
                return f"a host of {version} cannot be asked for several choices at once (`{refused[0][:80]}`)"
            found["requestedSchema"] = {**schema, "properties": older}  # type: ignore[dict-item]  # a dict, see above
    return found


def _field(field: Any) -> Any:
    """One field of a form for a host of 2025-06-18; None where it has no such field."""
    if not isinstance(field, dict):
        return field
    if field.get("type") == "array":
        return None
    choices = field.get("oneOf")
    if not isinstance(choices, list) or not all(isinstance(each, dict) and "const" in each for each in choices):
        return field
    older = {key: value for key, value in field.items() if key != "oneOf"}
    older["enum"] = [each["const"] for each in choices]
    older["enumNames"] = [str(each.get("title", each["const"])) for each in choices]
    return older


def _sampling(found: dict[str, Any]) -> dict[str, Any] | str:
    """Messages with a single block each, which is all that hosts before 2025-11-25 know."""
    messages = []
    for message in found.get("messages", ()):
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            if len(content) != 1:
                return "a host of its revision takes one block of content in a message"
            message = {**message, "content": content[0]}
        messages.append(message)
    found["messages"] = messages
    return found


def answer(method: str, value: Any) -> dict[str, Any] | None:
    """A host's result as an answer that may go on to a stateless server; None for one that is none.

    A form that was answered in no way that the specification knows counts as dismissed.
    """
    if not isinstance(value, dict):
        return dict(CANCEL) if method == ELICIT else None
    if method == ELICIT:
        if value.get("action") not in ACTIONS:
            return dict(CANCEL)
        if value["action"] == "accept" and not isinstance(value.get("content", {}), dict):
            return dict(CANCEL)
        return value
    if method == ROOTS:
        return value if isinstance(value.get("roots"), list) else None
    return value if isinstance(value.get("content"), (dict, list)) and isinstance(value.get("role"), str) else None


def for_server(method: str, value: dict[str, Any], version: str) -> dict[str, Any] | None:
    """An answer as a handshake server of revision `version` reads it; None where it cannot be said there."""
    if method == SAMPLE and version < NEWER_FORMS_SINCE and isinstance(value.get("content"), list):
        return {**value, "content": value["content"][0]} if len(value["content"]) == 1 else None
    return {key: each for key, each in value.items() if key != "resultType"}


def url_requests(data: Any) -> dict[str, Any]:
    """The questions of a server's -32042, for a stateless host; empty when there are none to be read."""
    listed = data.get("elicitations") if isinstance(data, dict) else None
    found: dict[str, Any] = {}
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and isinstance(each.get("url"), str):
            params = {key: value for key, value in each.items() if key != "elicitationId"}
            params = {"message": "Please open this page, then go on.", **params, "mode": "url"}
            found[f"url-{len(found) + 1}"] = {"method": ELICIT, "params": params}
    return found


def listed(needed: Mapping[str, Any]) -> str:
    """Capabilities as people read them: `elicitation (url)`."""
    return ", ".join(f"{name} ({', '.join(kinds)})" if kinds else name for name, kinds in needed.items())


def progress_token(params: Mapping[str, Any]) -> Any:
    """The token under which whoever asks wants to hear of progress, or None."""
    meta = params.get("_meta")
    token = meta.get("progressToken") if isinstance(meta, dict) else None
    return token if token is not None and dialect.is_progress_token(token) else None
