"""The configuration file and the environment become a `Config`, or the list of everything that is wrong.

Rule 1: all problems at once, each with file, line and a fix; the caller sees one `ConfigError`.
Rule 2: no input gives another exception.
Rule 3: lines are counted only when there is something to say about them.
"""
from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import ConfigError, Problem, clip
from ..pipeline.stages import ORDER, StageFile
from ..record import NamedTuple
from . import jsonc
from .expand import expand
from .fields import DOWN, ERROR, WARNING, Field, Findings, Value, kind, read_object, show
from .keys import CORE, SERVERS
from .servers import ServerSpec, spec

MOST_BYTES = 16 * 1024 * 1024
"""A configuration is written by hand; what is larger is another file, or an endless one."""

DRY_RUN = "SHACK_DRY_RUN"
"""The environment variable that wants a dry run."""
ALIAS = "mcpServers"
"""What hosts call `servers` in their own files."""

_NO_HOME = "`~` is not expanded: write `${HOME}/...`."
_NO_FOLDER = ("Create the folder, or write the path of one that exists; a relative path is taken from the gateway's "
              "working directory.")


class Config(NamedTuple):
    """What the owner wants. `settings` holds every key of the top level, those of the stages included."""

    path: str
    workspace_root: str
    """Absolute, links resolved."""
    expose_mode: str
    servers: tuple[ServerSpec, ...]
    """In the order of the file."""
    settings: dict[str, Any]
    """By key, defaults filled in; `servers` is the tuple of names."""
    warnings: tuple[Problem, ...]
    downs: tuple[Problem, ...] = ()
    """What keeps single servers from starting (`severity` is `error`); the gateway serves the others."""


class OwnedField:
    """One key of the file with its whole path (`servers.NAME.command`) and the module that owns it."""

    __slots__ = ("field", "key", "owner")

    def __init__(self, owner: str, key: str, field: Field) -> None:
        self.owner, self.key, self.field = owner, key, field


def load(
    path: str, environ: Mapping[str, str], *, stages: Sequence[StageFile] = ORDER, profile: str = "",
) -> Config:
    """Read the file; raises `ConfigError` with every finding, the mere warnings included.

    `profile` is chosen instead of the one that the file chooses.
    """
    source = _read(path)
    findings = Findings()
    top = Value(source.data, (), findings)
    for key, line, first in jsonc.doubles(source.text) if source.doubled else ():
        findings.add(ERROR, key, f"`{show(key)}` is given twice, first on line {first}", "Keep one of them.", line)
    given = {"profile": profile, "dry_run": _dry_run(top, environ)}
    configured = {key for key, value in source.data.items() if value is not None}
    configured.update(key for key, value in given.items() if value)
    wanted = [stage for stage in stages if stage.is_wanted(configured)]
    fields = [*(field for field in CORE if field.key != SERVERS.key), *_fields_of(wanted)]
    idle = {key: "" for stage in stages if stage not in wanted for key in stage.keys}
    settings = read_object(top, fields, {SERVERS.key: "", ALIAS: "", **idle})
    table = _server_table(top)
    settings["workspace_root"] = _root(top, settings["workspace_root"], environ)
    _further_roots(top.member("sandbox"), settings, environ)
    settings.update({key: value for key, value in given.items() if value})
    servers = [spec(name, place, entry, settings, environ) for name, (place, entry) in table.items()]
    settings[SERVERS.key] = tuple(table)
    for stage in wanted:
        if hasattr(stage, "check"):
            stage.check(top, settings)
    settings["max_call_secs"] = settings["max_call_secs"] or max(600, settings["request_timeout_secs"])
    return _settled(source.text, findings, Config(
        path, settings["workspace_root"], settings["expose_mode"], tuple(servers), settings, ()))


def every_field(stages: Sequence[StageFile] = ORDER) -> tuple[OwnedField, ...]:
    """Every key that a configuration may have, keys inside objects included, in the order of the documentation."""
    found = [*_nested("gateway", "", CORE)]
    for stage in stages:
        found += _nested(stage.name, "", stage.FIELDS)
    return tuple(found)


def _nested(owner: str, prefix: str, fields: Iterable[Field]) -> Iterator[OwnedField]:
    for field in fields:
        key = prefix + field.key
        yield OwnedField(owner, key, field)
        below = key + (".NAME." if getattr(field.read, "of_names", False) else ".")
        yield from _nested(owner, below, getattr(field.read, "fields", ()))


def _fields_of(stages: Sequence[StageFile]) -> list[Field]:
    return [field for stage in stages for field in stage.FIELDS]


def _server_table(top: Value) -> dict[str, tuple[Value, dict[str, Any]]]:
    """The servers under either name of the key."""
    place, alias = top.member(SERVERS.key), top.member(ALIAS)
    if alias.data is not None and place.data is not None:
        alias.error(f"and `{SERVERS.key}` are two names of one key", f"Move its servers into `{SERVERS.key}`.")
    elif alias.data is not None:
        place = alias
    return {} if place.data is None else dict(SERVERS.read(place))


def _root(top: Value, written: str | None, environ: Mapping[str, str]) -> str:
    """The absolute path of the workspace, links resolved."""
    place = top.member("workspace_root")
    if written is None:
        return os.curdir  # an error already
    filled, missing = expand(written, environ.get)
    for part in missing:
        place.error(part.what, part.fix)
    try:
        root = os.path.realpath(os.path.abspath(filled))
        there = os.path.exists(root)
    except (OSError, ValueError):
        root, there = filled, False
    if not there and not missing:
        what = f"gateway initialization failed: workspace_root does not exist: {clip(written)}"
        top.findings.add(ERROR, place.path, what, _NO_HOME if written.startswith("~") else _NO_FOLDER)
    elif not written:
        place.warn("is empty: the gateway's working directory is taken", 'Write the folder, or `"."`.')
    elif there and not os.path.isdir(root):
        place.warn("is a file, not a folder", "Write the folder that the servers are to work in.")
    return root


def _dry_run(top: Value, environ: Mapping[str, str]) -> bool:
    """True where the environment wants a dry run; the file may want one all the same."""
    wanted = environ.get(DRY_RUN, "").strip().lower()
    if wanted not in ("", "0", "false", "no", "1", "true", "yes"):
        # Whoever sets it wants nothing to be sent: a word that is not understood must not start a real run.
        what = f"the environment variable {DRY_RUN} is neither 1 nor 0"
        top.findings.add(ERROR, (), what, f"Write {DRY_RUN}=1, or unset it.")
    return wanted in ("1", "true", "yes")


def _further_roots(place: Value, settings: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Put the absolute paths of the sandbox's roots, links resolved, in place of what was written."""
    section = settings.get("sandbox")
    if not section:
        return
    found = dict(section)
    for key in ("extra_roots", "read_only_roots"):
        found[key] = tuple([
            root for element, written in zip(place.member(key).elements(), section[key])
            if (root := _further_root(element, written, settings["workspace_root"], environ))])
    settings["sandbox"] = found


def _further_root(place: Value, written: str, workspace_root: str, environ: Mapping[str, str]) -> str:
    filled, missing = expand(written, {**environ, "workspace_root": workspace_root}.get)
    for part in missing:
        place.error(part.what, part.fix)
    if missing:
        return ""
    if filled.startswith("~"):
        place.error("begins with `~`, which is not expanded", _NO_HOME)
        return ""
    if not filled:
        place.error("is empty", "Write the path of a folder.")
        return ""
    try:
        root = os.path.realpath(os.path.join(workspace_root, filled))
        there = os.path.isdir(root)
    except (OSError, ValueError):
        place.error("is no usable path", "Write the path of a folder.")
        return ""
    if not there:
        place.warn("is no folder: no path leads there", "Create it, or write the path of one that exists.")
    elif root == os.path.dirname(root):
        place.error("is the root of the file system: nothing would be outside", "Write the folder that is needed.")
    return root


def _settled(text: str, findings: Findings, config: Config) -> Config:
    """The config with its warnings placed; raises `ConfigError` where a finding is an error."""
    if not findings.found:
        return config
    lines = jsonc.lines(text, {finding.path for finding in findings.found})
    found = [finding if finding.line else finding._replace(line=lines[finding.path]) for finding in findings.found]
    found.sort(key=lambda finding: finding.line)
    shown = clip(config.path)
    problems = [Problem(WARNING if finding.severity == WARNING else ERROR, finding.what, f"{shown}:{finding.line}",
                        finding.fix) for finding in found]
    if findings.errors:
        raise ConfigError(tuple(problems))
    downs: dict[str, list[str]] = {}
    for finding in found:
        if finding.severity == DOWN:
            # Hosts are shown this text: the file's name will do, its folder is nobody's business.
            where = f"{os.path.basename(shown)}:{finding.line}"
            downs.setdefault(str(finding.path[1]), []).append(f"{finding.what} ({where}). {finding.fix}")
    return config._replace(
        servers=tuple([server._replace(down=" ".join(downs.get(server.name, ()))) for server in config.servers]),
        warnings=tuple([problem for problem in problems if problem.severity == WARNING]),
        downs=tuple([problem for problem in problems if problem.severity == ERROR]),
    )


def _read(path: str) -> jsonc.Source:
    shown = clip(path)
    try:
        with open(path, "rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _unusable(f"failed to read config '{shown}': {reason}", shown,
                        "Write the path of the file behind `--config`.") from None
    if len(raw) > MOST_BYTES:
        raise _unusable(f"failed to read config '{shown}': it is larger than 16 MiB", shown, "Is it the right file?")
    try:
        source = jsonc.read(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = 1 + raw.count(b"\n", 0, error.start)
        raise _unusable(f"failed to parse config '{shown}': it is not UTF-8", f"{shown}:{line}",
                        "Save it with the encoding UTF-8.") from None
    except jsonc.Unreadable as error:
        raise _unusable(f"failed to parse config '{shown}': {error.what}", f"{shown}:{error.line}", error.fix) from None
    if not isinstance(source.data, dict):
        what = f"failed to parse config '{shown}': it must be an object, not {kind(source.data)}"
        raise _unusable(what, f"{shown}:1", 'Write `{"workspace_root": "...", "servers": {...}}`.')
    return source


def _unusable(what: str, where: str, fix: str) -> ConfigError:
    return ConfigError((Problem(ERROR, what, where, fix),))
