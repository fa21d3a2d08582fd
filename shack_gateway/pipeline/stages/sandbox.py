"""Sandbox: no path in the arguments of a call leads out of the workspace and the roots beside it.  Pure.

What counts as a path:
  under a key that names files (`path`, `outputDir`, `source`, ...)    every text
  anywhere, object keys included                                       what `paths.looks` takes for one
  resources                                                            the URI, when it is or holds one

Rule 1: every reading of a path must stay inside, with links followed; what cannot be resolved is refused.
Rule 2: a refusal shows the path as the caller wrote it, never where it leads.
Rule 3: nothing leads to what is ours (`Ports.private`: the state folder with its approvals, the configuration), exempt
        arguments included.
Rule 4: in a read-only root, a path may be named by what only reads, and not as the place where something goes.
Rule 5: this binds servers that do what they were asked to. It is no wall against a server that means harm.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from ...config.fields import Field, Section, Value, defaults, strings
from ...errors import clip
from ...lazy import Pattern
from ..arguments import (
    DEPTH,
    LIST,
    PATH,
    SHORT_KEY,
    VALUE,
    Trail,
    key_says,
    key_word,
    leaves,
    place,
    policy_name,
)
from ..call import RESOURCE, TOOL, Call, Outcome, Refused
from ..chain import Ports, Stage
from ..paths import LONGEST, MAYBE, NOTHING, SURELY, climbs, foreign, is_rooted, looks, quiet, readings, too_long
from ..tools import names
from ..workspace import INSIDE, ONLY_TO_READ, OURS, Workspace

START = "sandbox violation: directory traversal blocked: "
ALLOWED = "Allowed are paths inside the workspace, absolute or relative to its root"
EXEMPT = "An argument that is no path can be listed by the owner of the gateway in `sandbox.exempt`."
READ_ONLY = "is in a folder that may only be read"
PRIVATE = "leads to what the gateway keeps for itself"
_NAMES_GOAL = Pattern(r"(?i:dest|dst|target|out|save|write|new)|[Tt]o(?:$|[^a-z])|TO(?:$|_)")
"""Keys of paths that something is put at, also where the tool is called `get_...`."""
_CONTENT = (
    "content", "text", "data", "body", "line", "string", "str", "code", "diff", "patch", "snippet", "search", "find",
    "replace", "replacement", "with", "description", "message", "title", "comment", "summary", "prompt", "query",
)
"""What keys, as `key_word` has them, end with that tell what stands in files or is said of them: it is read as any
text, also below a key that names files."""
_REMARK = Pattern(r"/[/*]+\s")
"""How a remark in a program begins, which might be a path in no other respect."""
MOST_SHOWN = 300
MOST_LOOKS = 10_000
"""Looks at the file system for one call; they take tenths of a second, in which nobody else is served."""
STEPS = 4
"""Folders on a path that are as dear as one more path."""
TOO_MANY = f"cannot be judged: the call names more than {MOST_LOOKS} paths"


def exemptions(value: Value) -> dict[str, tuple[str, ...]]:
    """A list of `server__tool:argument`; read as arguments by tool."""
    found: dict[str, tuple[str, ...]] = {}
    if not isinstance(value.data, list):
        value.must_be("a list of strings", '`["server__tool:argument"]`')
    for element in value.elements():
        tool, _, argument = element.data.strip().partition(":") if isinstance(element.data, str) else ("", "", "")
        if not (argument and "__" in tool):
            element.error("is not of the form `server__tool:argument`", "Write for example `api__get:route`.")
        found[tool] = (*found.get(tool, ()), argument)
    return found


SECTION = (
    Field("extra_roots", strings, (), "Further folders that paths may lead to. Relative ones are taken from "
          "`workspace_root`; relative paths in calls never lead here.", "list of paths"),
    Field("read_only_roots", strings, (), "Further folders that paths may lead to in resources, prompts, and calls of "
          "tools that only read.", "list of paths"),
    Field("exempt", exemptions, {}, "Arguments that look like paths but are none, as `server__tool:argument`; "
          "`argument` may lead deeper (`options.route`) and covers everything below it.", "list of strings"),
)

FIELDS: tuple[Field, ...] = (
    Field("sandbox", Section(SECTION), None, "What the sandbox allows besides `workspace_root`.", "object"),
    Field("sandbox_exempt", exemptions, {}, "An older name of `sandbox.exempt`; what either says counts.",
          "list of strings"),
)


def build(settings: Mapping[str, Any], ports: Ports) -> Stage | None:
    """The sandbox; there is no configuration without it."""
    section = settings.get("sandbox") or defaults(SECTION)
    exempt = dict(settings.get("sandbox_exempt", {}))
    for tool, arguments in section["exempt"].items():
        exempt[tool] = (*exempt.get(tool, ()), *arguments)
    return Sandbox(ports, exempt, section["extra_roots"], section["read_only_roots"])


class Sandbox(Stage):
    """Refuses calls that name files outside of the workspace."""

    name = "sandbox"
    gate = True

    def __init__(
        self, ports: Ports, exempt: Mapping[str, tuple[str, ...]], extra: Sequence[str] = (),
        readable: Sequence[str] = (),
    ) -> None:
        self._workspace = Workspace(ports, extra, readable)
        self._outside = f"is outside workspace root {ports.workspace_root}"
        self._allowed = _allowed(extra, readable)
        self._exempt, self._facts = exempt, ports.facts
        self._any_readable = bool(readable)

    async def before(self, call: Call) -> Call | Outcome:
        """The call, or why one of its paths is refused."""
        if call.kind == RESOURCE:
            refused = self._judge_resource(call)
            if refused is not None or len(call.arguments) <= 1:
                return refused or call          # only a completion has more than the URI
        left, spare = iter(range(MOST_LOOKS)), iter(range(MOST_LOOKS))
        flat = None if self._exempt or self._any_readable else _flat(call.arguments)
        if flat is not None:
            for key, text in flat:
                reason = self._escape(text, SURELY, call, False, left)
                if reason:
                    return self._refuse(call, text, reason, key)
            return call
        if _calm(call.arguments):
            return call
        try:
            for kind, text, own, above, trail in leaves(call.arguments):
                certainty = _certainty(kind, text, own, above, trail)
                if certainty is NOTHING:
                    continue
                if self._is_exempt(call, trail):
                    reason = self._trespass(text, call.server, spare)
                else:
                    reason = self._escape(text, certainty, call, self._only_reads(call, trail), left)
                if reason:
                    return self._refuse(call, text, reason, place(trail))
        except RecursionError as error:
            return Refused(self.name, f"{START}{error}", rule="depth")
        return call

    def _judge_resource(self, call: Call) -> Refused | None:
        for uri in dict.fromkeys((call.target, call.name)):
            certainty, left = looks(uri), iter(range(MOST_LOOKS))
            if certainty is NOTHING:
                continue
            if "uri" in self._exempt_of(call):
                reason = self._trespass(uri, call.server, left)
            else:
                reason = self._escape(uri, certainty, call, True, left)
            if reason:
                return self._refuse(call, uri, reason, "uri")
        return None

    def why(self, call: Call) -> str:
        """What there was to judge."""
        calm = call.kind != RESOURCE and _calm(call.arguments)
        return "no argument looks like a path" if calm else "no path leads out"

    def _only_reads(self, call: Call, trail: Trail) -> bool:
        """True when what the path names will be read, as far as names and the server's own words tell."""
        if not self._any_readable:
            return False
        if call.kind == TOOL and not self._facts(call).only_reads:
            return False
        return not any(_NAMES_GOAL.match(key) for key in _keys(trail).split("."))

    def _escape(self, text: str, certainty: int, call: Call, reads: bool, left: Iterator[int]) -> str:
        """Why `text`, read as a path, is refused; `""` when every reading of it stays inside.

        `left` has an item for each look at the file system that the call may still cost.
        """
        if certainty is MAYBE:
            # Not rooted, whatever it starts with: `\d+/x` is a pattern, and on Windows must not become a path.
            text = text.lstrip("/\\")
        if reason := _unreadable(text):
            return reason if certainty is SURELY else ""
        workspace, allowed = self._workspace, INSIDE | ONLY_TO_READ if reads else INSIDE
        for path in readings(text, windows=workspace.windows):
            if certainty is SURELY and (path.startswith("~") or not workspace.windows and foreign(path)):
                return self._outside            # whose home `~` is, only the server knows
            for folder in workspace.folders(call.server):
                if _is_spent(left, path):
                    return TOO_MANY
                try:
                    real = workspace.realpath(workspace.whole(folder, path))
                    leads = workspace.place(real)
                    if not leads & allowed:
                        return READ_ONLY if leads & ONLY_TO_READ else self._outside
                    if leads & OURS:
                        return PRIVATE
                except (OSError, ValueError) as error:
                    # What may be a path but cannot be opened is harmless; what is one is refused.
                    if certainty is SURELY:
                        return f"cannot be resolved: {_why(error)}"
        return ""

    def _trespass(self, text: str, server: str, left: Iterator[int]) -> str:
        """Why `text` is refused although its argument is exempt; `""` when no reading leads into a folder of ours.

        What cannot be resolved cannot be opened either.
        """
        workspace = self._workspace
        if not workspace.has_private or _unreadable(text):
            return ""
        for path in readings(text, windows=workspace.windows):
            if path.startswith("~") and workspace.may_be_private(path):
                return PRIVATE
            for folder in workspace.folders(server):
                if _is_spent(left, path):
                    return TOO_MANY
                try:
                    if workspace.is_private(workspace.realpath(workspace.whole(folder, path))):
                        return PRIVATE
                except (OSError, ValueError):
                    continue
        return ""

    def _is_exempt(self, call: Call, trail: Trail) -> bool:
        exempt = self._exempt_of(call)
        if not exempt:
            return False
        argument = _keys(trail)
        return any(argument == name or argument.startswith(f"{name}.") for name in exempt)

    def _exempt_of(self, call: Call) -> tuple[str, ...]:
        """What is exempt of a call, by whichever of its names that is written."""
        if not self._exempt:
            return ()
        name = policy_name(call)
        found = self._exempt.get(name, ())
        return found if call.name == name else (*found, *self._exempt.get(call.name, ()))

    def _refuse(self, call: Call, text: str, reason: str, where: str) -> Refused:
        shown, where, tool = (clip(part, MOST_SHOWN) for part in (text, where, names(call)[-1]))
        then = "No setting allows that." if reason is PRIVATE else self._allowed
        return Refused(self.name, f"{START}{shown} {reason} (argument `{where}` of `{tool}`). {then}", rule=where)


def _allowed(extra: Sequence[str], readable: Sequence[str]) -> str:
    """What a caller may name instead."""
    more = [f"in {clip(', '.join(roots), MOST_SHOWN)}{also}"
            for roots, also in ((extra, ""), (readable, " (for reading only)")) if roots]
    return f"{ALLOWED}{', or absolute ' if more else ''}{' and '.join(more)}. {EXEMPT}"


def _flat(arguments: dict[str, Any]) -> list[tuple[str, str]] | None:
    """The texts under keys that name files, of arguments that hold nothing else to judge: no object, no list, nothing
    that looks like a path where no key says so. None for others. Nearly all arguments are so; this costs the least."""
    found = []
    for key, value in arguments.items():
        kind = type(value)
        if kind is dict or kind is list or len(key) > SHORT_KEY or not quiet(key):
            return None
        if kind is str:
            if key_says(key) & PATH:
                found.append((key, value))
            elif not quiet(value) and looks(value):
                return None
    return found


def _calm(node: Any, depth: int = 1) -> bool:
    """True for arguments without a key that names files and without anything that may be a path.

    Most are so, and this walk costs a fraction of the full one. Its depth is bounded by `DEPTH`.
    """
    if depth > DEPTH:
        return False
    if type(node) is dict:
        for key in node:
            if len(key) > SHORT_KEY or not _calm_key(key):
                return False
        node = node.values()
    for value in node:
        kind = type(value)
        if kind is str:
            if not quiet(value) and looks(value):
                return False
        elif (kind is dict or kind is list) and not _calm(value, depth + 1):
            return False
    return True


@lru_cache(maxsize=4096)
def _calm_key(key: str) -> bool:
    return not key_says(key) & PATH and quiet(key)


def _certainty(kind: str, text: str, own: int, above: int, trail: Trail) -> int:
    """How sure it is that a text is meant as a path."""
    if kind is LIST:
        return NOTHING
    if kind is VALUE and own & PATH:
        return SURELY
    certainty = NOTHING if quiet(text) else looks(text)
    if certainty is NOTHING and above & PATH and len(text) <= LONGEST:
        # `{"path": {"value": "link"}}`, `{"files": {"/etc/my file": ...}}`; but not what is to stand in a file
        is_content = kind is VALUE and key_word(_last_key(trail)).endswith(_CONTENT)
        if not quiet(text) and not is_content and is_rooted(text) and not _is_remark(text):
            return SURELY
        return MAYBE
    return certainty


def _is_remark(text: str) -> bool:
    return _REMARK.match(text) is not None and not climbs(text) and "%" not in text


def _last_key(trail: Trail | None) -> str:
    while trail is not None:
        trail, step = trail
        if isinstance(step, str):
            return step
    return ""


def _keys(trail: Trail | None) -> str:
    """The trail without list indices: `edits.file_path`."""
    keys = []
    while trail is not None:
        trail, step = trail
        if isinstance(step, str):
            keys.append(step)
    return ".".join(reversed(keys))


def _unreadable(text: str) -> str:
    """What makes a text unusable as a path on every system, or `""`."""
    if "\0" in text:
        return "cannot be resolved: it holds a NUL character"
    try:
        return "cannot be resolved: the name is too long" if too_long(text) else ""
    except UnicodeError:
        return "cannot be resolved: it holds half of a surrogate pair"


def _is_spent(left: Iterator[int], path: str) -> bool:
    """True where there are too few looks left for following a path: each few folders on it are one."""
    return next(islice(left, path.count("/") // STEPS, None), None) is None


def _why(error: Exception) -> str:
    """What is wrong, without the path: the system's message may tell where a link leads."""
    if isinstance(error, OSError):
        return error.strerror or "the system refuses it"
    return "it is no usable name"
