"""How a demo tool describes itself: schemas and annotations, written short; values held against a schema.  Pure."""
from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

# What a tool does to the world, as its annotations say it.
LOOKS = {"readOnlyHint": True, "openWorldHint": False}
ADDS = {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": False}
SETS = {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
REMOVES = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": True, "openWorldHint": False}

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def text(doc: str, **more: Any) -> Schema:
    return {"type": "string", "description": doc, **more}


def whole(doc: str, **more: Any) -> Schema:
    return {"type": "integer", "description": doc, **more}


def number(doc: str, **more: Any) -> Schema:
    return {"type": "number", "description": doc, **more}


def flag(doc: str, **more: Any) -> Schema:
    return {"type": "boolean", "description": doc, **more}


def choice(doc: str, *words: str, **more: Any) -> Schema:
    return {"type": "string", "enum": list(words), "description": doc, **more}


def texts(doc: str, **more: Any) -> Schema:
    return {"type": "array", "items": {"type": "string"}, "description": doc, **more}


def objects(doc: str, item: Schema) -> Schema:
    return {"type": "array", "items": item, "description": doc}


def shape(fields: dict[str, Schema]) -> Schema:
    """The schema of an object: a key written `name?` is optional, every other one required."""
    return {
        "type": "object",
        "properties": {key.rstrip("?"): schema for key, schema in fields.items()},
        "required": [key for key in fields if not key.endswith("?")],
        "additionalProperties": False,
    }


def misfit(schema: Schema, value: Any, place: str = "arguments") -> str | None:
    """What about `value` does not fit `schema`, in words; `None` when it fits."""
    kind = schema.get("type")
    # `True` is an int to Python, and no number to JSON.
    if kind and (not isinstance(value, _PYTHON_TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return f"`{place}` must be of type {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"`{place}` must be one of {', '.join(schema['enum'])}"
    if "minimum" in schema and value < schema["minimum"]:
        return f"`{place}` must be at least {schema['minimum']}"
    if "maximum" in schema and value > schema["maximum"]:
        return f"`{place}` must be at most {schema['maximum']}"
    if kind == "array":
        found = (misfit(schema["items"], item, f"{place}[{index}]") for index, item in enumerate(value))
        return next((what for what in found if what), None)
    return _object_misfit(schema, value, place) if kind == "object" else None


def _object_misfit(schema: Schema, value: dict[str, Any], place: str) -> str | None:
    known = schema.get("properties", {})
    for key in schema.get("required", ()):
        if key not in value:
            return f"`{place}.{key}` is missing"
    for key, item in value.items():
        if key not in known:
            if schema.get("additionalProperties", True) is False:
                return f"`{place}.{key}` is not known; known are {', '.join(known) or 'none'}"
            continue
        what = misfit(known[key], item, f"{place}.{key}")
        if what:
            return what
    return None
