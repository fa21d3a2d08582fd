"""Files that decide what is allowed: is every hook there, and who else may write them?

Rule 1: only what is certain is said: a command that the shell may read in several ways is left alone.
Rule 2: nothing is run, and nothing of a file is shown but its path.
"""
from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

from ..config import jsonc
from ..config.fields import Path, show
from ..config.keys import SERVERS
from ..config.load import ALIAS, MOST_BYTES, Config
from ..errors import Problem, clip
from ..pipeline.chain import Program
from ..pipeline.stages.hooks import commands
from ..record import NamedTuple
from .words import first_words

INTERPRETERS = ("python", "sh", "bash", "dash", "zsh", "ksh", "node", "perl", "ruby", "php")
"""Programs that take a script as their first argument, also with a version behind the name (`python3.12`)."""
SHELLS = {"bash": "bash", "powershell": "pwsh"}
"""The programs that read lines where a hook's `shell` says so (`shell.py`); not on Windows."""
MOST_SHOWN = 300


class Note(NamedTuple):
    """One thing to say about the value at `place` (`servers.files.exclude[0]`; empty: about the file as a whole)."""

    place: str
    what: str
    fix: str = ""


class HookFile(NamedTuple):
    """A file that a hook is: the program itself, or the script that an interpreter reads."""

    place: str
    path: str


def early(config: Config, environ: Mapping[str, str]) -> tuple[Problem, ...]:
    """What `serve` says at its start: hooks that are not there, files that others may write."""
    return placed(config, [*missing(config, environ), *writable(config, environ)])


def placed(config: Config, notes: Iterable[Note]) -> tuple[Problem, ...]:
    """The notes as warnings with the lines of their places, in the order of the file."""
    notes = list(notes)
    source = written(config) if notes else None
    shown = clip(config.path)
    if source is None:
        return tuple([Problem("warning", note.what, shown, note.fix) for note in notes])
    paths = dict(_paths(source.data))
    where = [paths.get(note.place) or paths.get(_alias(note.place), ()) for note in notes]
    lines = jsonc.lines(source.text, where)
    found = sorted(zip(where, notes), key=lambda pair: lines[pair[0]])
    return tuple([Problem("warning", note.what, f"{shown}:{lines[path]}", note.fix) for path, note in found])


def written(config: Config) -> jsonc.Source | None:
    """The file as it stands; None where it was changed for the worse since it was loaded, or is a pipe, which can
    be read only once (and opened anew would wait for ever)."""
    try:
        if not os.path.isfile(config.path):
            return None
        with open(config.path, "rb") as file:
            return jsonc.read(file.read(MOST_BYTES).decode("utf-8-sig"))
    except (OSError, ValueError, jsonc.Unreadable):
        return None


def _paths(data: Any, above: Path = ()) -> Iterator[tuple[str, Path]]:
    """Every place in a file with its path."""
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in inside:
        path = (*above, step)
        yield show(path), path
        yield from _paths(value, path)


def _alias(place: str) -> str:
    return ALIAS + place[len(SERVERS.key) :] if place.startswith(f"{SERVERS.key}.") else ""


# --- hooks that are not there ----------------------------------------------------------------------------------------


def missing(config: Config, environ: Mapping[str, str]) -> Iterator[Note]:
    """Hooks that cannot run: what would be run is not there, or is not executable."""
    for place, program in commands(config.settings):
        words, env = _words(program, environ), {**environ, **program.env}
        shell = SHELLS.get(program.shell) if isinstance(program.command, str) and sys.platform != "win32" else None
        if shell and not _which(shell, env.get("PATH", os.defpath), program.cwd):
            yield Note(place, f"`{place}` is to be read by `{program.shell}`, whose program `{shell}` is not found in "
                       "PATH", "Install it, or leave out `shell`.")
        if words:
            fault = _program_fault(words[0], program.cwd, env) or _script_fault(words, program.cwd)
            if fault:
                yield Note(place, f"`{place}` runs {fault[0]}", fault[1])


def _words(program: Program, environ: Mapping[str, str]) -> list[str]:
    """The program and its arguments, as far as they are certain."""
    if not isinstance(program.command, str):
        return list(program.command)
    if sys.platform == "win32" or program.shell == "powershell":
        return []
    return first_words(program.command, {**environ, **program.env})


def _program_fault(word: str, folder: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """What is wrong with a program, and what to do; None where nothing is."""
    shown = clip(word, MOST_SHOWN)
    if os.sep not in word:
        if sys.platform == "win32" or _which(word, environ.get("PATH", os.defpath), folder):
            return None
        return f"`{shown}`, which is not found in PATH", "Install it, or write its whole path."
    path = os.path.join(folder, word)
    if not os.path.exists(path):
        return f"`{shown}`, which does not exist", _from(folder)
    if os.path.isdir(path):
        return f"`{shown}`, which is a folder", "Write the path of the program in it."
    if not os.access(path, os.X_OK):
        return f"`{shown}`, which is not executable", f"Run `chmod +x {shown}`, or write its interpreter before it."
    return None


def _script_fault(words: list[str], folder: str) -> tuple[str, str] | None:
    script = _script(words)
    if not script or os.path.exists(os.path.join(folder, script)):
        return None
    return f"the script `{clip(script, MOST_SHOWN)}`, which does not exist", _from(folder)


def _from(folder: str) -> str:
    whence = f"`{clip(folder, MOST_SHOWN)}`" if folder else "the gateway's working directory"
    return f"Write its whole path; a relative one is taken from {whence}."


def _script(words: list[str]) -> str:
    """The script that an interpreter is given, or nothing."""
    return words[1] if _is_interpreter(words[0]) and len(words) > 1 and not words[1].startswith("-") else ""


def _is_interpreter(word: str) -> bool:
    return os.path.basename(word).rstrip("0123456789.") in INTERPRETERS


def _which(word: str, path: str, folder: str) -> str:
    """The file that a shell in `folder` would run for a bare word."""
    for each in path.split(os.pathsep):
        file = os.path.join(folder, each, word)
        if os.path.isfile(file) and os.access(file, os.X_OK):
            return file
    return ""


def hook_files(config: Config, environ: Mapping[str, str]) -> list[HookFile]:
    """The files of hooks that are written with their path; interpreters and what is found through PATH are not."""
    found: dict[HookFile, None] = {}
    for place, program in commands(config.settings):
        words = _words(program, environ)
        if not words:
            continue
        is_script = _is_interpreter(words[0])
        word = _script(words) if is_script else words[0] if os.sep in words[0] else ""
        path = os.path.abspath(os.path.join(program.cwd, word))
        if word and (os.path.exists(path) if is_script else os.path.isfile(path)):
            found[HookFile(place, path)] = None
    return list(found)


# --- who else may write them -----------------------------------------------------------------------------------------


def writable(config: Config, environ: Mapping[str, str]) -> Iterator[Note]:
    """The configuration and hooks that somebody else may write or replace."""
    fault = _foreign(config.path)
    if fault:
        yield Note("", f"this configuration {fault[0]}: whoever does that decides what is started and allowed",
                   fault[1])
    for place, path in hook_files(config, environ):
        fault = _foreign(path)
        if fault:
            yield Note(place, f"`{place}` runs `{clip(path, MOST_SHOWN)}`, which {fault[0]}: whoever does that decides "
                       "what is allowed", fault[1])


def _foreign(path: str) -> tuple[str, str] | None:
    """Who else may write a file or put another in its place, and what to do; None where nobody may."""
    if not hasattr(os, "getuid"):
        return None                             # Windows keeps the profiles of users apart itself
    real = os.path.realpath(path)
    folder, shown = os.path.dirname(real), clip(real, MOST_SHOWN)
    who, mine = _writers(real)
    if who:
        return f"can be written by {who}", f"Run `chmod go-w {shown}`." if mine else "Make the file your own."
    while True:
        who, mine = _writers(folder)
        if who:
            shown = clip(folder, MOST_SHOWN)
            fix = f"Run `chmod go-w {shown}`." if mine else "Keep it in a folder of your own."
            return f"can be replaced by {who}, through the folder `{shown}`", fix
        if folder == os.path.dirname(folder):
            return None
        folder = os.path.dirname(folder)


def _writers(path: str) -> tuple[str, bool]:
    """Who else may write a file, or rename what is in a folder; and whether it belongs to us."""
    try:
        status = os.stat(path)
    except OSError:
        return "", False
    uid = os.getuid() if sys.platform != "win32" else status.st_uid
    mine = status.st_uid == uid
    if not mine and status.st_uid != 0:
        return f"the user {_name('pwd', 'getpwuid', status.st_uid)}", False
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return "", mine                         # as /tmp: each keeps what is his
    if status.st_mode & stat.S_IWOTH:
        return "everybody", mine
    if status.st_mode & stat.S_IWGRP and status.st_gid != 0 and not _is_own(status.st_gid, uid):
        return f"the group {_name('grp', 'getgrgid', status.st_gid)}", mine
    return "", mine


def _is_own(gid: int, uid: int) -> bool:
    """True for the group that many systems give each user for himself: everything of his can be written by it."""
    try:
        group, user = import_module("grp").getgrgid(gid), import_module("pwd").getpwuid(uid)
    except (KeyError, ImportError):
        return gid == uid
    return bool(group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name})


def _name(module: str, function: str, number: int) -> str:
    """The name of a user or a group, as far as the system has one."""
    try:
        return f"`{clip(getattr(import_module(module), function)(number)[0], 80)}`"
    except (KeyError, ImportError):
        return str(number)
