"""What of a policy cannot do what its owner meant, beyond what reading the file shows; for `check`, some for `serve`.

Rule 1: a finding is a warning: the gateway runs as it is configured.
Rule 2: nothing is said of what is not known: without a server's lists nothing about its tools.
"""
from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from ..app import home
from ..catalog.entries import Catalog
from ..catalog.names import SEPARATOR, hint, joined
from ..catalog.shaping import READ, idle
from ..config.fields import show
from ..config.load import Config
from ..errors import Problem, clip
from ..lazy import Pattern
from ..pipeline.arguments import subject_key
from ..pipeline.grammar import DOMAIN
from ..pipeline.hooking.handlers import ELICITATION, Handler
from ..pipeline.rules import unmatched
from ..pipeline.shadows import ALLOW, ASK, DENY
from ..pipeline.stages import profiles
from ..pipeline.tools import HOST, OURS, is_glob, literal, named, spellings
from ..store.paths import state_folder
from .trust import Note, hook_files, missing, placed, writable, written

MOST_SHOWN = 300
POLICY = ("pre_tool_hook", "hooks", "guardrails", "profile", "hidden", "limits", "dry_run")
"""Keys that restrict what may be done, besides `permissions`."""
BY_TOOL = ("guardrails", "injections", "limits")
"""Keys that hold lists of objects, each about the tools that its `tool` means."""
EXPLAIN = "`shack-gateway explain NAME` says what a name means."
SERVER = "Write the name of a server of this file."
_PLAIN = Pattern(r"[A-Za-z0-9_\- ,|]*\Z")
_BEGINS = Pattern(r"\^?([A-Za-z0-9_\-]*)([*?{]?)")
FOLDER = "Write the folder that the servers are to work in."


def lint(config: Config, environ: Mapping[str, str], catalog: Catalog | None = None) -> tuple[Problem, ...]:
    """All findings with their lines; with a `catalog`, also what is about no tool that there is."""
    notes = [*missing(config, environ), *writable(config, environ), *_roots(config, environ),
             *_inside(config, environ)]
    known = None if catalog is None else _Known(config, catalog)
    notes += _unserved(config) if known is None else _idle(config, known)
    notes += _matchers(config, known)
    return placed(config, notes)


def strangers(config: Config) -> tuple[Problem, ...]:
    """What `serve` says at its start: names and patterns of servers that are not configured, with their lines."""
    return placed(config, [*_unserved(config), *_matchers(config, None)])


# --- roots -----------------------------------------------------------------------------------------------------------


def _roots(config: Config, environ: Mapping[str, str]) -> Iterator[Note]:
    """Roots that keep nothing, or too little, outside."""
    user = home(environ)
    if _is_top(config.workspace_root):
        yield Note("workspace_root", "`workspace_root` is the root of the file system: the sandbox keeps nothing "
                   "outside", FOLDER)
    elif user and _holds(config.workspace_root, user):
        what = "is" if _same(config.workspace_root, user) else "holds"
        yield Note("workspace_root", f"`workspace_root` {what} your home folder: everything of yours is inside of the "
                   "sandbox", FOLDER)
    sandbox = config.settings.get("sandbox") or {}
    private = (("your home folder", user), ("this configuration", os.path.realpath(config.path)),
               ("the folder that the gateway keeps for itself", _state(environ)))
    for key in ("extra_roots", "read_only_roots"):
        for at, root in enumerate(sandbox.get(key, ())):
            held = [name for name, path in private if path and _holds(root, path)]
            if held:
                place = f"sandbox.{key}[{at}]"
                yield Note(place, f"`{place}` holds {held[0]}", "Write a folder that holds only what the servers need.")


def _inside(config: Config, environ: Mapping[str, str]) -> Iterator[Note]:
    """What decides, and can be reached by the tools that it decides about."""
    user = home(environ)
    if _is_top(config.workspace_root) or (user and _holds(config.workspace_root, user)):
        return                                  # said of the root itself
    root, path = config.workspace_root, os.path.realpath(config.path)
    if _holds(root, path) and _restricts(config.settings) and _can_be_changed(path):
        yield Note("workspace_root", "`workspace_root` holds this configuration: a tool that writes files could change "
                   "what is allowed", "Keep the configuration in another folder, and name it with `--config`.")
    for place, file in hook_files(config, environ):
        if _holds(root, os.path.realpath(file)) and _can_be_changed(os.path.realpath(file)):
            yield Note(place, f"`{place}` runs `{clip(file, MOST_SHOWN)}`, which is inside of `workspace_root`: a tool "
                       "that writes files could change what it judges", "Keep it in another folder.")
    state = _state(environ)
    if state and _holds(root, state):
        yield Note("workspace_root", "`workspace_root` holds the folder that the gateway keeps for itself: paths that "
                   "lead there are refused, but a tool that runs commands can change approvals and the journal",
                   "Let SHACK_STATE_DIR name a folder outside of it.")


def _restricts(settings: Mapping[str, Any]) -> bool:
    """True where there is anything that a changed configuration could allow."""
    permissions = settings.get("permissions") or {"deny": (), "ask": (), "default_decision": "allow"}
    return bool(permissions["deny"] or permissions["ask"] or permissions["default_decision"] != "allow"
                or any(settings.get(key) for key in POLICY))


def _can_be_changed(path: str) -> bool:
    return os.access(path, os.W_OK) or os.access(os.path.dirname(path), os.W_OK)


def _state(environ: Mapping[str, str]) -> str:
    folder = state_folder(environ)
    return os.path.realpath(folder) if folder else ""


def _is_top(path: str) -> bool:
    return path == os.path.dirname(path)


def _same(one: str, other: str) -> bool:
    return os.path.normcase(one) == os.path.normcase(other)


def _holds(folder: str, path: str) -> bool:
    """True for what is in a folder, and for the folder itself; both without links."""
    above = os.path.normcase(folder).rstrip(os.sep) + os.sep
    return (os.path.normcase(path).rstrip(os.sep) + os.sep).startswith(above)


# --- what is about no tool that there is -----------------------------------------------------------------------------


def _unserved(config: Config) -> Iterator[Note]:
    """Names and patterns of servers that there are not, which is known without their lists."""
    servers = [spec.name for spec in config.servers]
    for place, pattern in (*_patterns(config), *_conditions(config)):
        # What is wrong with a name in `hidden`, or with one without a server, was said when the file was read.
        was_judged = "hidden[" in place or not (SEPARATOR in pattern or is_glob(pattern))
        if servers and not was_judged and not _may_mean(pattern, servers):
            yield Note(place, f"`{place}` means no tool: {_no_server(pattern, servers)}", SERVER)


def _may_mean(pattern: str, servers: list[str]) -> bool:
    """False for what cannot be about a tool of one of these servers."""
    beginnings = [literal(spelling) for spelling in spellings(pattern.strip())]
    return any(joined(server, "").startswith(begins) or begins.startswith(joined(server, ""))
               for server in servers for begins in beginnings)


def _no_server(pattern: str, servers: list[str]) -> str:
    name = min(spellings(pattern.strip()), key=len).partition(SEPARATOR)[0]
    return f"no server is named `{clip(name, 80)}`{hint(name, servers)}"


def _idle(config: Config, known: _Known) -> Iterator[Note]:
    """Names and patterns that mean nothing of what the servers list."""
    catalog = known.catalog
    for spec in config.servers:
        if spec.shape is not None and spec.name in catalog.servers:
            for key, word in idle(spec.shape, catalog.own_names(spec.name)):
                place = _entry(config, f"servers.{show((spec.name,))}.{key}", word)
                yield Note(place, f"`{place}` means no tool that the server `{clip(spec.name, 80)}` lists: "
                           f"`{clip(word, MOST_SHOWN)}`", "Write the server's own name of a tool.")
        for tool in spec.tool_timeouts if spec.name in catalog.servers else ():
            if tool not in catalog.own_names(spec.name):
                place = show(("servers", spec.name, "tool_timeouts", tool))
                yield Note(place, f"`{place}` is about no tool that the server lists", "Write its own name of a tool.")
    yield from _idle_rules("permissions", config.settings.get("permissions"), known)
    yield from _parameters("permissions", config.settings.get("permissions"), catalog)
    for layer in profiles.layers(config.settings):
        yield from _idle_rules(show(("profiles", layer.name)), layer.read, known)
        yield from _parameters(show(("profiles", layer.name)), layer.read, catalog)
    for place, pattern in (*_patterns(config), *_conditions(config)):
        if known.judges(pattern) and not known.means_some(pattern):
            yield Note(place, f"`{place}` means no tool that any server lists: `{clip(pattern, MOST_SHOWN)}`",
                       EXPLAIN)


def _idle_rules(above: str, read: Mapping[str, Any] | None, known: _Known) -> Iterator[Note]:
    """Rules of a section that are about no tool."""
    section = {kind: (read or {}).get(kind) or () for kind in (DENY, ASK, ALLOW)}
    for kind, at, what in unmatched(section, known.names):
        # What no server of the file could have was said when the file was read.
        if known.judges(section[kind][at].tool) and _may_mean(section[kind][at].tool, known.servers):
            place = f"{above}.{kind}[{at}]"
            yield Note(place, f"`{place}`: {what}", EXPLAIN)


def _parameters(above: str, read: Mapping[str, Any] | None, catalog: Catalog) -> Iterator[Note]:
    """Rules `tool(param:value)` that are not about the argument that they name: it is the subject, or misspelt."""
    for kind in (DENY, ASK, ALLOW):
        for at, rule in enumerate((read or {}).get(kind) or ()):
            if not rule.param or rule.match == DOMAIN:
                continue
            means, place = named(rule.tool), f"{above}.{kind}[{at}]"
            there = [catalog.facts(entry.server, entry.target).arguments for entry in catalog.tools
                     if means(entry.verbatim) or means(entry.name)]
            there = [arguments for arguments in there if arguments]
            near = hint(rule.param, frozenset[str]().union(*there)) if rule.value != "*" else ""
            if there and all(subject_key(arguments) == rule.param for arguments in there):
                if kind != ALLOW and rule.value != "*":
                    continue                    # deny and ask rules take it for the subject, whatever it is called
                yield Note(place, f"`{place}` is compared as a text: `{clip(rule.param, 80)}` is the subject of the "
                           "tool, and so no parameter", f"Write `{clip(f'{rule.tool}({rule.value})', MOST_SHOWN)}`.")
            elif near and not any(rule.param in arguments for arguments in there):
                yield Note(place, f"`{place}` is about no argument `{clip(rule.param, 80)}` of the tool{near}", EXPLAIN)


class _Known:
    """All names by which policy may call something that is listed."""

    def __init__(self, config: Config, catalog: Catalog) -> None:
        self.catalog, self.servers = catalog, [spec.name for spec in config.servers]
        self.names = {name for entry in catalog.callable for name in (entry.verbatim, entry.name)}
        self.names |= {joined(server, READ) for server in catalog.servers}
        self.names |= {joined(server, tool) for server, gone in catalog.gone.items() for tool in gone}
        self.unknown = [spec.name for spec in config.servers if spec.name not in catalog.servers]

    def judges(self, pattern: str) -> bool:
        """False for a pattern that may mean a tool of a server whose lists are not known."""
        return not _may_mean(pattern, self.unknown)

    def means_some(self, pattern: str) -> bool:
        """True for a pattern that means anything at all."""
        return any(map(named(pattern), self.names))


def _patterns(config: Config) -> Iterator[tuple[str, str]]:
    """Names and patterns of tools that stand in the file, each with its place."""
    source = written(config)
    data = source.data if source is not None and isinstance(source.data, dict) else {}
    for key in BY_TOOL:
        for at, entry in enumerate(_list(data.get(key))):
            tool = entry.get("tool") if isinstance(entry, dict) else None
            if isinstance(tool, str):
                yield f"{key}[{at}].tool", tool
    for at, name in enumerate(_list(data.get("hidden"))):
        yield f"hidden[{at}]", name
    for layer in profiles.layers(config.settings):
        for at, name in enumerate(layer.read.get("hidden", ())):
            yield f"{show(('profiles', layer.name, 'hidden'))}[{at}]", name
    sandbox = data.get("sandbox")
    lists = {"sandbox_exempt": data.get("sandbox_exempt"),
             "sandbox.exempt": sandbox.get("exempt") if isinstance(sandbox, dict) else None}
    for key, exempt in lists.items():
        for at, each in enumerate(_list(exempt)):
            yield f"{key}[{at}]", str(each).partition(":")[0].strip()


def _conditions(config: Config) -> Iterator[tuple[str, str]]:
    """The tool in every `if` of a hook, with its place; those that are named without a server are left out."""
    for place, group in _groups(config):
        for at, hook in enumerate(_list(group.get("hooks"))):
            tool = str(hook.get("if") or "").partition("(")[0].strip() if isinstance(hook, dict) else ""
            if SEPARATOR in tool:
                yield f"{place}.hooks[{at}].if", tool


def _groups(config: Config) -> Iterator[tuple[str, dict[str, Any]]]:
    """The groups of the `hooks` object as they are written, each with its place."""
    source = written(config) if config.settings.get("hooks") else None
    for event, groups in (source.data.get("hooks") or {}).items() if source is not None else ():
        for at, group in enumerate(_list(groups)):
            if isinstance(group, dict):
                yield f"hooks.{event}[{at}]", group


# --- hooks that are never run ----------------------------------------------------------------------------------------


def _matchers(config: Config, known: _Known | None) -> Iterator[Note]:
    """Matchers that fit nothing: their hooks are never run. Without the lists, those of servers that there are not."""
    servers = [spec.name for spec in config.servers]
    first = {handler.place.rpartition(".hooks[")[0]: handler for handler in config.settings.get("hooks", ())}
    for group, read in _groups(config):
        matcher, handler = read.get("matcher"), first.get(group)
        if not servers or handler is None or not isinstance(matcher, str):
            continue
        place = f"{group}.matcher"
        if handler.event == ELICITATION:
            if not handler.matches(servers):
                yield Note(place, f"`{place}` fits no server of this file: `{clip(matcher, MOST_SHOWN)}`", SERVER)
            continue
        strange = [word for word in _words(matcher) if not _may_fit(word, servers)]
        for word in strange:
            yield Note(place, f"`{place}` fits no tool with `{clip(word, MOST_SHOWN)}`: {_no_server(word, servers)}",
                       SERVER)
        if not strange and known is not None and not known.unknown:
            yield from _unfit(place, matcher, handler, known)


def _words(matcher: str) -> list[str]:
    """What the alternatives of a matcher begin with, where that names a server."""
    if _PLAIN.match(matcher):
        words = [word.strip() for word in matcher.replace(",", "|").split("|")]
        return [word for word in words if all(word.removeprefix(HOST).partition(SEPARATOR))]
    found = []
    for part in matcher.split("|"):
        begins = _BEGINS.match(part)
        word = (begins[1][:-1] if begins[2] else begins[1]) if begins else ""
        if word.startswith(HOST) and word != HOST:          # other beginnings may fit in the middle of a name
            found.append(word)
    return found


def _may_fit(word: str, servers: list[str]) -> bool:
    """False for a beginning that no name of a tool of these servers has, in none of the spellings of matchers."""
    names = [f"{start}{joined(server, '')}" for server in servers for start in (HOST, OURS, "")]
    return any(name.startswith(word) or word.startswith(name) for name in names)


def _unfit(place: str, matcher: str, handler: Handler, known: _Known) -> Iterator[Note]:
    """What of a matcher fits nothing that the servers list."""
    if _PLAIN.match(matcher):
        idle = [word for word in _words(matcher) if not known.means_some(word)]
    else:
        spelt = ([f"{start}{name}" for start in (HOST, "", OURS)] for name in known.names)
        idle = [] if any(handler.matches(called) for called in spelt) else [matcher]
    for word in idle:
        yield Note(place, f"`{place}` fits no tool that any server lists: `{clip(word, MOST_SHOWN)}`", EXPLAIN)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _entry(config: Config, key: str, word: str) -> str:
    """Where in a list, or under which key of an object, a word stands."""
    server, _, name = key.rpartition(".")
    shape = next((spec.shape for spec in config.servers if f"servers.{show((spec.name,))}" == server), None)
    words = getattr(shape, name) or ()
    return f"{key}.{show((word,))}" if isinstance(words, Mapping) else f"{key}[{list(words).index(word)}]"
