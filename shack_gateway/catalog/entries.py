"""What the servers list, and all of it together: the catalog.  Pure.

Item      one listed object of one server, as it wrote it
Listing   everything one server lists
Entry     an item under the name (or URI) that the host sees
Catalog   all servers together: names and URIs looked up, never split

Rule 1: a collision is never settled by who came last: the first in config order keeps the name, the other one is shown
        under a name of its own, and `notes` says so.
Rule 2: an item's text is kept once and not parsed again before somebody asks for it.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from ..errors import clip
from ..record import NamedTuple
from ..wire.splice import elements, members, scan
from . import shapes
from .facts import NO_FACTS, Facts, facts
from .names import LIMIT, assign, joined
from .shaping import READ, Shape
from .texts import only_place, place_of
from .uris import Places, Seen, Template, is_usable, is_usable_template, unwrap, wrap, wrap_template

TOOL, PROMPT, RESOURCE, TEMPLATE = "tool", "prompt", "resource", "template"
MOST_TTL_MS = 2**31 - 1


class ListForm(NamedTuple):
    """How one kind is asked for and listed on the wire."""

    method: str
    key: str
    identity: str


LISTS: dict[str, ListForm] = {
    TOOL: ListForm("tools/list", "tools", "name"),
    PROMPT: ListForm("prompts/list", "prompts", "name"),
    RESOURCE: ListForm("resources/list", "resources", "uri"),
    TEMPLATE: ListForm("resources/templates/list", "resourceTemplates", "uriTemplate"),
}


# --- one server's lists ----------------------------------------------------------------------------------------------


class Item(NamedTuple):
    """One listed object of one server: its own name (or URI, or template) and its text, byte for byte."""

    target: str
    text: str
    target_at: int
    """Where in `text` the value of the name stands."""
    description_at: int
    """Where a description stands; -1: there is none."""
    plain: bool
    """True when a host may get `text` as it is but for the name, and `execution`."""
    tasks: bool
    """True when it has `execution`: we run a server's tasks to their end ourselves, so a host has nothing to choose."""
    needs_task: bool
    """True when the server runs it as a task only."""


class Page(NamedTuple):
    """One page of a server's list."""

    items: tuple[Item, ...]
    cursor: str | None
    ttl_ms: int
    private: bool
    notes: tuple[str, ...]


def read_page(kind: str, text: str, value: Mapping[str, Any] | None = None) -> Page:
    """The page in the result `text` of a list request; raises `ValueError` where it is no such result.

    `value` is the same as an object, where the caller has read it already.
    """
    key = LISTS[kind].key
    try:
        start = -1 if value is None or not isinstance(value.get(key), list) else only_place(text, key)
        if value is None or start < 0:
            found = {member.key: member for member in members(text)[0]}
            if key not in found or not isinstance(found[key].value, list):
                raise ValueError(f"`{key}` is missing or not an array")
            start, value = found[key].value_start, {name: member.value for name, member in found.items()}
        items, notes = read_items(kind, elements(text, start))
    except RecursionError:
        raise ValueError(f"`{key}` is nested too deeply") from None
    cursor, ttl = value.get("nextCursor"), value.get("ttlMs")
    return Page(items, cursor if isinstance(cursor, str) else None,
                max(0, min(ttl, MOST_TTL_MS)) if type(ttl) is int else 0, value.get("cacheScope") != "public", notes)


def read_items(kind: str, pairs: Iterable[tuple[Any, str]]) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """Items of `(value, text)` pairs (`splice.elements`), and notes about those that had to be left out."""
    items: list[Item] = []
    left_out = 0
    for value, text in pairs:
        target = value.get(LISTS[kind].identity) if isinstance(value, dict) else None
        if isinstance(target, str) and target:
            items.append(_item(kind, target, value, text))
        else:
            left_out += 1
    identity = LISTS[kind].identity
    notes = (f"{left_out} {kind}{'' if left_out == 1 else 's'} left out: no usable `{identity}`",) if left_out else ()
    return tuple(items), notes


def _item(kind: str, target: str, value: Mapping[str, Any], text: str) -> Item:
    identity, described = LISTS[kind].identity, value.get("description")
    description = described if isinstance(described, str) else ""
    target_at = only_place(text, identity)
    description_at = place_of(text, "description", description) if description else -1
    plain = shapes.is_plain(kind, value)
    if target_at < 0 or (description and description_at < 0):
        found, _ = members(text)
        places = {member.key: member.value_start for member in found}
        target_at = places[identity]
        description_at = places["description"] if description else -1
        # A key that is written twice must be renamed twice: hosts differ in which of them they read.
        plain = plain and len(places) == len(found)
    execution = value.get("execution") if kind == TOOL else None
    needs_task = isinstance(execution, dict) and execution.get("taskSupport") == "required"
    return Item(target, text, target_at, description_at, plain, kind == TOOL and "execution" in value, needs_task)


class Listing(NamedTuple):
    """Everything that one server lists, all pages together."""

    tools: tuple[Item, ...] = ()
    prompts: tuple[Item, ...] = ()
    resources: tuple[Item, ...] = ()
    templates: tuple[Item, ...] = ()
    stateless: bool = False
    serves_resources: bool = False
    """It declared the capability, so that it may be asked for URIs that nobody lists."""
    ttl_ms: int = 0
    """Of a stateless server: the least of its lists' `ttlMs`."""
    private: bool = True


# --- all of them together --------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """One tool, prompt, resource or template under the name (or URI) that the host sees."""

    kind: str
    server: str
    name: str
    item: Item

    @property
    def target(self) -> str:
        """The server's own name, URI or template."""
        return self.item.target

    @property
    def verbatim(self) -> str:
        """`server__target`: the name that rules are written for, whichever of its names was called."""
        return joined(self.server, self.item.target)

    @property
    def description(self) -> str:
        """The description, `""` where there is none."""
        at = self.item.description_at
        return str(scan(self.item.text, at)[0]) if at >= 0 else ""


class Way(NamedTuple):
    """A server to ask for a resource, and the URI by which it knows it."""

    server: str
    uri: str


class Catalog:
    """All servers together, in config order. Never changed: a server that lists anew means a new catalog.

    `tools`, `prompts`, `resources` and `templates` are what is shown; what `shape` leaves unlisted can still be found.
    """

    def __init__(
        self, listings: Mapping[str, Listing], limit: int = LIMIT, seen: Seen | None = None, shape: Shape | None = None,
    ) -> None:
        self._listings = dict(listings)
        self._seen = Seen() if seen is None else seen
        notes: list[str] = []
        self.gone: dict[str, set[str]] = {}
        """By server, the names of its tools and prompts that `shape` keeps from everybody."""
        self.tools, self._tools = _by_name(
            TOOL, {server: listing.tools for server, listing in listings.items()}, limit, notes, shape, self.gone)
        self.prompts, self._prompts = _by_name(
            PROMPT, {server: listing.prompts for server, listing in listings.items()}, limit, notes, shape, self.gone)
        self.callable = (*self.tools, *self.prompts)
        """All tools and prompts that there are, also those that `shape` shows nowhere."""
        self._readable = self._listings if shape is None else {
            server: listing for server, listing in self._listings.items() if shape.reads(server)}
        hidden = self._listings.keys() - self._readable.keys()
        self._hidden_uris = frozenset([item.target for server in hidden for item in listings[server].resources])
        self._resources: dict[str, Entry] = {}
        self._templates: dict[str, Entry] = {}
        for server, listing in self._readable.items():
            _add(self._resources, RESOURCE, server, _once(server, RESOURCE, listing.resources, notes))
            _add(self._templates, TEMPLATE, server, _once(server, TEMPLATE, listing.templates, notes))
        self._parsed: list[tuple[Template, str]] | None = None
        self.servers = tuple(listings)
        self.resources = tuple(self._resources.values())
        self.templates = tuple(self._templates.values())
        self.notes = tuple(notes)
        self._items: dict[tuple[str, str], Item] | None = None
        self._facts: dict[tuple[str, str], Facts] = {}
        self._unlisted: frozenset[tuple[str, str]] = frozenset()
        if shape is not None and shape.hides_some_listed:
            self._unlist(shape)

    def _unlist(self, shape: Shape) -> None:
        """Show nothing of what is to be called only, for the call to be refused."""
        everything = (*self.tools, *self.prompts, *self.resources, *self.templates)
        self.tools = tuple([
            entry for entry in self.tools
            if shape.lists(TOOL, _names(entry), partial(self.facts, entry.server, entry.target))])
        self.prompts = tuple([entry for entry in self.prompts if shape.lists(PROMPT, _names(entry))])
        read = {server for server in self._readable if shape.lists(RESOURCE, (joined(server, READ),))}
        self.resources = tuple([entry for entry in self.resources if entry.server in read])
        self.templates = tuple([entry for entry in self.templates if entry.server in read])
        shown = {(e.kind, e.name) for e in (*self.tools, *self.prompts, *self.resources, *self.templates)}
        self._unlisted = frozenset([key for e in everything if (key := (e.kind, e.name)) not in shown])

    # --- by name ---

    def tool(self, name: str) -> Entry | None:
        """The tool that a host calls by `name`: a shown name or a verbatim one."""
        return self._tools.get(name)

    def is_shown(self, entry: Entry) -> bool:
        """False for what is in no list, and can only be called to be refused."""
        return not self._unlisted or (entry.kind, entry.name) not in self._unlisted

    def prompt(self, name: str) -> Entry | None:
        """The prompt that a host asks for by `name`: a shown name or a verbatim one."""
        return self._prompts.get(name)

    def resource(self, uri: str) -> Entry | None:
        """The listed resource with this URI: as shown, or in our own scheme."""
        return _listed(self._resources, uri, wrap)

    def template(self, uri: str) -> Entry | None:
        """The listed template that is shown like this (or in our own scheme), for `completion/complete`."""
        return _listed(self._templates, uri, wrap_template)

    def facts(self, server: str, target: str) -> Facts:
        """What `server` says of its tool `target` (the server's own name), and what its name says."""
        found = self._facts.get((server, target))
        if found is None:
            if self._items is None:
                self._items = {(entry.server, entry.target): entry.item for entry in self._tools.values()}
            item = self._items.get((server, target))
            if item is None:
                return NO_FACTS
            found = self._facts[server, target] = facts(target, item.text)
        return found

    def own_names(self, server: str) -> frozenset[str]:
        """What a server itself calls all tools and prompts that it lists, whatever is kept of them."""
        listing = self._listings.get(server)
        return frozenset([item.target for item in (*listing.tools, *listing.prompts)]) if listing else frozenset()

    # --- by URI ---

    def ways(self, uri: str) -> tuple[Way, ...]:
        """Whom to ask for `uri`, in this order until one does not say not-found; empty: nobody."""
        own = unwrap(uri)
        if own is not None:
            return (Way(*own),) if own[0] in self._readable else ()
        listed = self._resources.get(uri)
        if listed is not None:
            return (Way(listed.server, listed.target),)
        seen = (*self._seen.servers(uri), *self._with_template(uri))
        likely = [server for server in seen if server in self._readable]
        if not likely and uri in self._hidden_uris:
            return ()                           # a server lists it whose resources are hidden: nobody else is asked
        likely = likely or [
            server for server, listing in self._readable.items()
            if listing.serves_resources or listing.resources or listing.templates]
        return tuple(Way(server, uri) for server in dict.fromkeys(likely))

    def remember(self, server: str, uri: str) -> None:
        """A result of `server` mentioned `uri`: a read of it will be tried there."""
        self._seen.note(server, uri)

    def _with_template(self, uri: str) -> list[str]:
        """Servers that have a template for `uri`, those with the longest literal part first, then in config order."""
        if self._parsed is None:
            parsed = [(Template(entry.target), entry.server) for entry in self.templates]
            self._parsed = sorted(parsed, key=lambda pair: -pair[0].literal)
        if not self._parsed:
            return []
        places = Places(uri)
        return [server for template, server in self._parsed if template.matches(places)]

    # --- for stateless hosts ---

    def freshness(self, handshake_ttl_ms: int, ages_ms: Mapping[str, int] | None = None) -> tuple[int, str]:
        """`ttlMs` and `cacheScope` of a merged list; `ages_ms` says how long ago each server listed."""
        left, public = [], bool(self._listings)
        for server, listing in self._listings.items():
            age = ages_ms.get(server, 0) if ages_ms else 0
            left.append(listing.ttl_ms - age if listing.stateless else handshake_ttl_ms)
            public = public and listing.stateless and not listing.private
        return max(0, min(left, default=0)), "public" if public else "private"


def _once(server: str, kind: str, items: tuple[Item, ...], notes: list[str]) -> list[Item]:
    """The items without those whose name the same server listed before."""
    kept: dict[str, Item] = {}
    twice: list[str] = []
    for item in items:
        if kept.setdefault(item.target, item) is not item:
            twice.append(item.target)
    if twice:
        some = ", ".join(f"`{clip(name, 100)}`" for name in twice[:5]) + (", ..." if twice[5:] else "")
        notes.append(f"server `{server}` lists a {kind} twice, the first is kept: {some}")
    return list(kept.values())


def _names(entry: Entry) -> tuple[str, ...]:
    """The names that policy knows an entry by."""
    verbatim = entry.verbatim
    return (verbatim,) if verbatim == entry.name else (verbatim, entry.name)


def _by_name(
    kind: str, listed: dict[str, tuple[Item, ...]], limit: int, notes: list[str], shape: Shape | None,
    gone: dict[str, set[str]],
) -> tuple[tuple[Entry, ...], dict[str, Entry]]:
    """Entries in config order, and by every name that means one of them; `gone` is filled with what is left out."""
    items = [(server, item) for server, each in listed.items() for item in _once(server, kind, each, notes)]
    pairs = [(server, item.target) for server, item in items]
    if shape is None:
        naming = assign(pairs, limit)
    else:
        places, naming, left_out = shape.keep(kind, pairs, limit)
        items = [items[place] for place in places]
        for server, names in left_out.items():
            gone.setdefault(server, set()).update(names)
    notes.extend(naming.notes)
    entries = tuple(Entry(kind, server, name, item) for (server, item), name in zip(items, naming.shown))
    return entries, {name: entries[index] for name, index in naming.lookup.items()}


def _add(table: dict[str, Entry], kind: str, server: str, items: list[Item]) -> None:
    """Put one server's resources or templates into the table, under URIs that nobody has yet."""
    for item in items:
        uri = item.target
        if kind == TEMPLATE:
            name = uri if uri not in table and is_usable_template(uri) else wrap_template(server, uri)
        else:
            name = uri if uri not in table and is_usable(uri) else wrap(server, uri)
        table[name] = Entry(kind, server, name, item)


def _listed(table: dict[str, Entry], uri: str, wrapped: Any) -> Entry | None:
    found = table.get(uri)
    own = unwrap(uri) if found is None else None
    if own is None:
        return found
    entry = table.get(own[1])
    return entry if entry is not None and entry.server == own[0] else table.get(wrapped(*own))
