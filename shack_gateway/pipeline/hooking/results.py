"""A result as a hook changes it.  Pure.

Rule 1: what a hook puts in place of a result is all of it: nothing of the old one stays but that it was an error.
Rule 2: what is added leaves the rest of the result byte for byte as it was.
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...config.fields import kind
from ...wire.messages import encode
from ...wire.splice import edit
from ..call import PROMPT, RESOURCE, TOOL, Call, Complete

PARTS = {TOOL: "content", RESOURCE: "contents", PROMPT: "messages"}
"""The list that a result of each kind must have."""


def instead(call: Call, given: Any, old: Complete | None) -> Complete:
    """The result that a hook gives: a text, a list of its parts, or all of it. Raises `ValueError` for what is none."""
    value = _value(call, given)
    if old is not None and old.is_error:
        value.setdefault("isError", True)
    return Complete(encode(value), server=call.server, stateless=old is not None and old.stateless, value=value)


def _value(call: Call, given: Any) -> dict[str, Any]:
    part = PARTS[call.kind]
    if isinstance(given, dict) and part in given:
        return {**given, part: _blocks(given[part], call.kind)}
    if isinstance(given, list):
        return {part: _blocks(given, call.kind)}
    if isinstance(given, str):
        return {part: [_text(call, given)]}
    if isinstance(given, dict) and call.kind == TOOL:
        return {part: [_text(call, json.dumps(given, ensure_ascii=False))]}
    raise ValueError(f"a result must be a text, a list or an object with `{part}`, not {kind(given)}")


def _blocks(listed: Any, of: str) -> list[Any]:
    member = {TOOL: "type", RESOURCE: "uri", PROMPT: "role"}[of]
    if not isinstance(listed, list):
        raise ValueError(f"`{PARTS[of]}` must be a list, not {kind(listed)}")
    for at, block in enumerate(listed):
        if not isinstance(block, dict) or not isinstance(block.get(member), str):
            raise ValueError(f"`{PARTS[of]}[{at}]` must be an object with `{member}`")
    return listed


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
