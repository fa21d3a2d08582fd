"""What the house asks → what a server of either era reads, and what its answers mean.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import UNSUPPORTED_VERSION, ServerError
from ..pipeline.call import Call, Complete, Failed, InputRequired, Outcome
from ..record import NamedTuple
from ..wire import dialect
from ..wire.messages import ErrorAnswer, Result, encode
from ..wire.peer import Answer
from .asking import nonsense

MOST_REQUESTS = 32
"""Questions that a server may put at once."""
MOST_KEPT = 65_536
"""Bytes of arguments whose text is kept with the call; longer ones would double what a call holds."""
METHODS = {"tool": "tools/call", "resource": "resources/read", "prompt": "prompts/get"}


class Greeting(NamedTuple):
    """What a server said of itself."""

    stateless: bool
    version: str
    capabilities: Mapping[str, Any]
    name: str = ""
    instructions: str = ""


def own_meta(client: Mapping[str, Any], capabilities: Mapping[str, Any], level: str | None = None) -> dict[str, Any]:
    """The members of `_meta` that every request to a stateless server carries."""
    meta = {dialect.VERSION_KEY: dialect.STATELESS, dialect.CLIENT_KEY: client, dialect.CAPABILITIES_KEY: capabilities}
    if level is not None:
        meta[dialect.LOG_LEVEL_KEY] = level
    return meta


def bridged(capabilities: Mapping[str, Any]) -> dict[str, Any]:
    """A host's capabilities as shown to servers: without extensions, of which we carry none, and always with roots,
    for which the workspace stands in."""
    shown = {key: capabilities[key] for key in ("roots", "sampling", "elicitation") if key in capabilities}
    return {"roots": {}, **shown}


def handshake_capabilities(capabilities: Mapping[str, Any]) -> dict[str, Any]:
    """A host's capabilities as declared in our `initialize`. Roots are always offered: we know the workspace."""
    found: dict[str, Any] = {"roots": {"listChanged": True}}
    if isinstance(capabilities.get("sampling"), dict):
        found["sampling"] = capabilities["sampling"]
    elicitation = capabilities.get("elicitation")
    if isinstance(elicitation, dict):
        # `{}` means forms only, and is what servers before 2025-11-25 know.
        found["elicitation"] = {} if set(elicitation) <= {"form"} else elicitation
    return found


def call_params(call: Call, stateless: bool, client: Mapping[str, Any], token: int) -> dict[str, Any]:
    """The params of a call as its server reads them; members we do not know are passed on as they came."""
    context = call.context
    params = dict(call.params)
    if not stateless and "inputResponses" in params:
        del params["inputResponses"]
    meta = dialect.forwarded_meta(params.pop("_meta", None))
    if call.kind == "resource":
        params["uri"] = call.target
    else:
        params["name"] = call.target
        if call.kind == "tool" or call.arguments:
            params["arguments"] = call.arguments
    if context.progress is not None:
        meta["progressToken"] = token
    if stateless:
        meta.update(own_meta(client, bridged(context.capabilities), context.log_level))
    if meta:
        params["_meta"] = meta
    return params


def call_text(call: Call, stateless: bool, client: Mapping[str, Any], token: int, task_ms: int = 0) -> bytes:
    """The params of a call as JSON text; large arguments that are still what the host sent go on in its own words.

    With `task_ms` the call asks for a task that is kept for so long.
    """
    params = call_params(call, stateless, client, token)
    if task_ms:
        params["task"] = {"ttl": task_ms}
    arguments = params.pop("arguments", None)
    if arguments is None:
        return encode(params)
    for value, text in call.context.kept:
        if value is arguments:
            call.text = text
            return b'{"arguments":%s,%s' % (text.encode("utf-8", "surrogatepass"), encode(params)[1:])
    written, name = encode(arguments), encode(params.pop("name"))
    if len(written) <= MOST_KEPT:
        call.text = written.decode("ascii")     # written apart, because the journal wants it as well
    rest = encode(params)
    return b'{"name":%s,"arguments":%s%s' % (name, written, b"}" if len(rest) == 2 else b"," + rest[1:])


def greeting(answer: Result | ErrorAnswer, *, stateless: bool) -> Greeting | None:
    """What `server/discover` (stateless) or `initialize` was answered with; None when that is of no use."""
    if not isinstance(answer, Result):
        return None
    value = answer.value
    capabilities = value.get("capabilities")
    version: Any = value.get("protocolVersion")
    if stateless:
        supported = value.get("supportedVersions")
        version = dialect.STATELESS if isinstance(supported, list) and dialect.STATELESS in supported else None
        meta = value.get("_meta")
        info = meta.get(dialect.SERVER_KEY) if isinstance(meta, dict) else None
    else:
        version = version if version in dialect.HANDSHAKE_VERSIONS else None
        info = value.get("serverInfo")
    if version is None:
        return None
    instructions = value.get("instructions")
    return Greeting(
        stateless,
        version,
        capabilities if isinstance(capabilities, dict) else {},
        str(info.get("name", "")) if isinstance(info, dict) else "",
        instructions if isinstance(instructions, str) else "",
    )


def names_stateless(answer: Answer) -> bool:
    """True for an error that names our stateless revision as supported: the server speaks it, whatever we asked."""
    if not isinstance(answer, ErrorAnswer) or answer.code != UNSUPPORTED_VERSION:
        return False
    supported = answer.data.get("supported") if isinstance(answer.data, dict) else None
    return isinstance(supported, list) and dialect.STATELESS in supported


def outcome(answer: Answer, call: Call, stateless: bool) -> Outcome:
    """What a server's answer to a call means."""
    if isinstance(answer, ServerError):
        return Failed("server", f"downstream error: {answer.what}", server=answer.server, reason=answer.reason)
    if isinstance(answer, ErrorAnswer):
        return Failed("server", answer.message, server=call.server, code=answer.code, data=answer.data)
    value = answer.value
    kind = value.get("resultType", "complete")
    if kind == "complete" or not stateless:
        exact = value if answer.exact else None
        cache = _freshness(value) if call.kind == "resource" else None
        return Complete(answer.body, server=call.server, stateless=stateless, value=exact, shape=value, cache=cache)
    if kind != "input_required" or METHODS[call.kind] not in dialect.QUESTION_METHODS:
        return _unusable(call, f"an answer of unknown kind (`resultType` {str(kind)[:80]!r})")
    whole = Complete(answer.body).value
    requests, state = whole.get("inputRequests", {}), whole.get("requestState")
    if not isinstance(requests, dict) or not (state is None or isinstance(state, str)) or not (requests or state):
        return _unusable(call, "a question that is none (neither `inputRequests` nor `requestState`)")
    if len(requests) > MOST_REQUESTS:
        return _unusable(call, f"{len(requests)} questions at once, more than the {MOST_REQUESTS} that are passed on")
    for request in requests.values():
        wrong = nonsense(request.get("method"), request.get("params", {})) if isinstance(request, dict) else "no object"
        if wrong:
            return _unusable(call, f"a question that makes no sense ({wrong})")
    try:
        encode(requests)
    except (ValueError, RecursionError):
        return _unusable(call, "a question that is no JSON")
    meta = whole.get("_meta")
    return InputRequired(requests, state, call.server, meta if isinstance(meta, dict) else None)


def _freshness(value: Mapping[str, Any]) -> tuple[int, bool] | None:
    """How long a resource may be kept, and whether privately; None where the server says so itself, and rightly."""
    ttl, scope = value.get("ttlMs"), value.get("cacheScope")
    if type(ttl) is int and ttl >= 0 and scope in ("public", "private"):
        return None
    return max(0, ttl) if type(ttl) is int else 0, scope != "public"


def _unusable(call: Call, what: str) -> Failed:
    return Failed(
        "server",
        f"downstream error: downstream server '{call.server}' gave {what}",
        server=call.server,
        reason="protocol",
    )
