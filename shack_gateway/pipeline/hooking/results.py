"""A result as a hook changes it.  Pure.

Rule 1: what a hook puts in place of a result is all of it: nothing of the old one stays but that it was an error.
Rule 2: what is added leaves the rest of the result byte for byte as it was.
Rule 3: what hosts would stumble over is no result: it is the hook's fault, and is told as such.
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...config.fields import kind
from ...wire.messages import encode
from ...wire.splice import DECODER, edit
from ..call import PROMPT, RESOURCE, TOOL, Call, Complete

PARTS = {TOOL: "content", RESOURCE: "contents", PROMPT: "messages"}
"""The list that a result of each kind must have."""
_STRINGS = {
    "text": ("text",), "image": ("data", "mimeType"), "audio": ("data", "mimeType"), "resource_link": ("name", "uri"),
}
"""What a content block of a type must have. Types that we do not know pass: later revisions have more."""


def instead(call: Call, given: Any, old: Complete | None) -> Complete:
    """The result that a hook gives: a text, a list of its parts, or all of it. Raises `ValueError` for what is none."""
    value = _value(call, given, old)
    stateless = old is not None and old.stateless
    if not isinstance(value.get("isError", False), bool):
        raise ValueError(f"`isError` must be `true` or `false`, not {kind(value['isError'])}")
    for key in ("_meta",) if stateless else ("_meta", "structuredContent"):
        if not isinstance(value.get(key, {}), dict):
            raise ValueError(f"`{key}` must be an object, not {kind(value[key])}")
    if old is not None and old.is_error:
        value.setdefault("isError", True)
    return Complete(encode(value), server=call.server, stateless=stateless, value=value)


def _value(call: Call, given: Any, old: Complete | None) -> dict[str, Any]:
    part = PARTS[call.kind]
    if isinstance(given, dict) and part in given:
        return {**given, part: _parts(given[part], call.kind)}
    if isinstance(given, list):
        return {part: _parts(given, call.kind)}
    if isinstance(given, str):
        return {part: [_text(call, given)], **_structured(given, old)}
    if isinstance(given, dict) and call.kind == TOOL:
        text = json.dumps(given, ensure_ascii=False)
        return {part: [_text(call, text)], **_structured(text, old)}
    raise ValueError(f"a result must be a text, a list or an object with `{part}`, not {kind(given)}")


def _structured(text: str, old: Complete | None) -> dict[str, Any]:
    """Hosts insist on a structured result where the tool has promised one: the object that the text is."""
    if old is None or not isinstance(old.value.get("structuredContent"), dict):
        return {}
    try:
        value = DECODER.decode(text)
    except (ValueError, RecursionError):
        return {}
    return {"structuredContent": value} if isinstance(value, dict) else {}


def _parts(listed: Any, of: str) -> list[Any]:
    if not isinstance(listed, list):
        raise ValueError(f"`{PARTS[of]}` must be a list, not {kind(listed)}")
    for at, part in enumerate(listed):
        place = f"{PARTS[of]}[{at}]"
        if of == TOOL:
            _check_block(part, place)
        elif of == RESOURCE:
            _check_contents(part, place)
        else:
            _check_strings(part, ("role",), place)
            _check_block(part.get("content"), f"{place}.content")
    return listed


def _check_block(block: Any, place: str) -> None:
    _check_strings(block, ("type",), place)
    _check_strings(block, _STRINGS.get(block["type"], ()), place)
    if block["type"] == "resource":
        _check_contents(block.get("resource"), f"{place}.resource")


def _check_contents(contents: Any, place: str) -> None:
    _check_strings(contents, ("uri",), place)
    _check_strings(contents, ("blob" if "blob" in contents else "text",), place)


def _check_strings(value: Any, keys: Sequence[str], place: str) -> None:
    for key in keys:
        if not isinstance(value, dict) or not isinstance(value.get(key), str):
            raise ValueError(f"`{place}` must be an object with `{key}`, a text")


def _text(call: Call, text: str) -> dict[str, Any]:
    if call.kind == RESOURCE:
        return {"uri": call.target, "text": text}
    block = {"type": "text", "text": text}
    return block if call.kind == TOOL else {"role": "user", "content": block}


def with_texts(call: Call, outcome: Complete, texts: Sequence[str]) -> Complete | None:
    """The result with texts for the model behind its own; None where it has no place for them (resources).

    Raises `ValueError` or `RecursionError` for a result that cannot be read.
    """
    part = PARTS[call.kind]
    value = outcome.value
    listed = value.get(part, [])
    if call.kind == RESOURCE or not isinstance(listed, list):
        return None
    more = {part: [*listed, *[_text(call, text) for text in texts]]}
    body = edit(outcome.text, {}, add=[(part, encode(more[part]).decode())]).encode("utf-8", "surrogatepass")
    return Complete(body, server=outcome.server, stateless=outcome.stateless, value={**value, **more},
                    cache=outcome.cache)
