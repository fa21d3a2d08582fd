"""What hosts insist on in a listed object, and how one that breaks it is mended.  Pure.

Rule 1: hosts check a list as a whole: one `"description": null` of one server would cost the host every tool of every
        server. So a member of the wrong type is dropped, and everything else stays byte for byte.
Rule 2: only members that the protocol defines are looked at; unknown ones pass.
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..record import NamedTuple
from ..wire.splice import edit, elements, members


class Fields(NamedTuple):
    """An object, some members of which have a shape; `needed` must be there."""

    shapes: Mapping[str, Any]
    needed: tuple[str, ...] = ()


class Each(NamedTuple):
    """An array of values of one shape."""

    shape: Any


Shape = type | Fields | Each
NUMBER = float

_ICONS = Each(Fields({"src": str, "mimeType": str, "sizes": Each(str), "theme": str}, ("src",)))
_COMMON: dict[str, Any] = {"title": str, "description": str, "icons": _ICONS, "_meta": dict}
_NOTES = Fields({"audience": Each(str), "priority": NUMBER, "lastModified": str})
_HINTS = Fields({
    "title": str, "readOnlyHint": bool, "destructiveHint": bool, "idempotentHint": bool, "openWorldHint": bool})
_ARGUMENT = Fields({"name": str, "title": str, "description": str, "required": bool}, ("name",))
SHAPES: dict[str, dict[str, Any]] = {
    "tool": {**_COMMON, "annotations": _HINTS, "outputSchema": dict},
    "prompt": {**_COMMON, "arguments": Each(_ARGUMENT)},
    "resource": {**_COMMON, "name": str, "mimeType": str, "size": NUMBER, "annotations": _NOTES},
    "template": {**_COMMON, "name": str, "mimeType": str, "annotations": _NOTES},
}

EMPTY_SCHEMA = '{"type":"object"}'


def fits(value: Any, shape: Any) -> bool:
    """True when a host takes `value` where this shape belongs."""
    if isinstance(shape, Fields):
        return (isinstance(value, dict) and all(key in value for key in shape.needed)
                and all(key not in value or fits(value[key], inner) for key, inner in shape.shapes.items()))
    if isinstance(shape, Each):
        return isinstance(value, list) and all(fits(each, shape.shape) for each in value)
    if shape is NUMBER:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, shape)


def is_plain(kind: str, value: Mapping[str, Any]) -> bool:
    """True when hosts of both eras may get the object as it is, but for its name."""
    if kind == "tool":
        if not _is_schema(value.get("inputSchema")) or not _is_object_schema(value):
            return False
    elif kind != "prompt" and "name" not in value:
        return False
    return all(key not in value or fits(value[key], shape) for key, shape in SHAPES[kind].items())


def mended(kind: str, text: str, identity: str, name: str, *, stateless: bool) -> str:
    """The object `text` as a host of that era may get it: under its shown name, its other faults mended."""
    shapes = SHAPES[kind]
    changes: dict[str, str | None] = {}
    add: list[tuple[str, str]] = []
    found, _ = members(text)
    for member in found:
        shape = shapes.get(member.key)
        if shape is not None and not fits(member.value, shape):
            changes[member.key] = _mended(text[member.value_start : member.end], member.value, shape)
    value = {member.key: member.value for member in found}
    changes[identity] = json.dumps(name)
    if kind == "tool":
        changes["execution"] = None
        if not stateless and not _is_object_schema(value):
            changes["outputSchema"] = None
        if not _is_schema(value.get("inputSchema")):
            schemas = [text[m.value_start : m.end] for m in found if m.key == "inputSchema"]
            add.append(("inputSchema", _mended_schema(schemas[-1]) if schemas else EMPTY_SCHEMA))
    elif kind != "prompt" and not isinstance(value.get("name"), str):
        add.append(("name", json.dumps(value[identity])))
        changes.pop("name", None)
    return edit(text, changes, add=add)


def _is_object_schema(tool: Mapping[str, Any]) -> bool:
    """True when the tool's `outputSchema`, if any, is one that handshake hosts take."""
    schema = tool.get("outputSchema")
    return "outputSchema" not in tool or (isinstance(schema, dict) and _is_schema(schema))


def _is_schema(schema: Any) -> bool:
    """True for the schema of an object, as strictly as the strictest host reads it."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return False
    properties, required = schema.get("properties", {}), schema.get("required", [])
    return (isinstance(properties, dict) and all(type(each) is dict for each in properties.values())
            and isinstance(required, list) and all(type(each) is str for each in required))


def _mended_schema(text: str) -> str:
    """An input schema that says what the server's said, in a form that hosts take."""
    if not text.startswith("{"):
        return EMPTY_SCHEMA
    found, _ = members(text)
    changes: dict[str, str | None] = {}
    for member in found:
        if member.key == "required" and not fits(member.value, Each(str)):
            changes["required"] = None
        elif member.key == "properties":
            changes["properties"] = _mended_properties(text[member.value_start : member.end], member.value)
    # Arguments are always an object, so a root that says nothing of its type, or says something else, loses nothing.
    return edit(text, changes, add=[("type", '"object"')])


def _mended_properties(text: str, value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    return edit(text, {key: '{"not":{}}' if each is False else "{}"
                       for key, each in value.items() if not isinstance(each, dict)})


def _mended(text: str, value: Any, shape: Shape) -> str | None:
    """`text` without what does not fit; None when nothing of it can stay."""
    if fits(value, shape):
        return text
    if isinstance(shape, Fields) and isinstance(value, dict):
        found, _ = members(text)
        changes = {m.key: _mended(text[m.value_start : m.end], m.value, shape.shapes[m.key])
                   for m in found if m.key in shape.shapes}
        if any(key not in value or changes[key] is None for key in shape.needed):
            return None
        return edit(text, changes)
    if isinstance(shape, Each) and isinstance(value, list):
        kept = [_mended(each_text, each, shape.shape) for each, each_text in elements(text)]
        return "[" + ",".join(each for each in kept if each is not None) + "]"
    return None
