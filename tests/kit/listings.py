"""Lists of servers, as text that a server might have written, and catalogs of them."""
from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from shack_gateway.catalog.entries import LISTS, PROMPT, RESOURCE, TEMPLATE, TOOL, Catalog, Item, Listing, read_page

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


def tool(name: Any, description: Any = None, **more: Any) -> dict[str, Any]:
    """A tool as a server lists it."""
    value: dict[str, Any] = {"name": name}
    if description is not None:
        value["description"] = description
    return {**value, "inputSchema": SCHEMA, **more}


def items(kind: str, values: Iterable[Any]) -> tuple[Item, ...]:
    """What one server lists of one kind; a value that is a string already is taken as its JSON text."""
    texts = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values]
    return read_page(kind, f'{{"{LISTS[kind].key}": [{", ".join(texts)}]}}').items


def listing(
    tools: Iterable[Any] = (), *, prompts: Iterable[Any] = (), resources: Iterable[Any] = (),
    templates: Iterable[Any] = (), **more: Any,
) -> Listing:
    """Everything one server lists; tools given as plain names get a schema."""
    named = [tool(each) if isinstance(each, str) and not each.startswith("{") else each for each in tools]
    return Listing(
        items(TOOL, named), items(PROMPT, [_named(PROMPT, each) for each in prompts]),
        items(RESOURCE, [_named(RESOURCE, each) for each in resources]),
        items(TEMPLATE, [_named(TEMPLATE, each) for each in templates]), **more)


def catalog(limit: int = 64, **servers: Iterable[Any]) -> Catalog:
    """A catalog of servers that list tools only."""
    return Catalog({server: listing(tools) for server, tools in servers.items()}, limit)


def _named(kind: str, value: Any) -> Any:
    if not isinstance(value, str) or value.startswith('{"'):
        return value
    return {LISTS[kind].identity: value} if kind == PROMPT else {LISTS[kind].identity: value, "name": "n"}
