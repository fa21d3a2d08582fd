"""One server as the configuration describes it: its variables expanded, and the environment it is started with.

Rule 1: what is wrong with the *world* (a variable that is not set, a folder that is not there) keeps one server down;
        what is wrong with the *file* is an error.
Rule 2: no variable of ours reaches a server unless the platform's short list, or the owner, names it.
"""
from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any

from ..catalog.shaping import ServerShape, globs, is_glob
from ..record import NamedTuple
from .expand import Lookup, expand
from .fields import Value, flag, usable

WINDOWS = sys.platform == "win32"

POSIX_NAMES = frozenset({"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "TMPDIR", "TZ"})
WINDOWS_NAMES = frozenset({
    "APPDATA", "COMMONPROGRAMFILES", "COMPUTERNAME", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "LANG", "LOCALAPPDATA",
    "NUMBER_OF_PROCESSORS", "OS", "PATH", "PATHEXT", "PROCESSOR_ARCHITECTURE", "PROGRAMDATA", "PROGRAMFILES",
    "PROGRAMFILES(X86)", "PROGRAMW6432", "PUBLIC", "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "TZ", "USERDOMAIN",
    "USERNAME", "USERPROFILE", "WINDIR",
})
LOCALE = "LC_"
EXPORTED_FUNCTION = "() {"
"""How old shells export a function: code in a variable's value, which no server has asked for (CVE-2014-6271)."""


class ServerSpec(NamedTuple):
    """What is to be started, and how patient we are with it."""

    name: str
    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    """The entry's own variables, expanded; `environment` adds what is inherited."""
    cwd: str = ""
    enabled: bool = True
    lazy: bool = False
    serialize: bool = False
    protocol: str = "auto"
    request_timeout_secs: float = 30.0
    max_call_secs: float = 600.0
    start_timeout_secs: float = 30.0
    tool_timeouts: Mapping[str, float] = {}
    inherit_env: tuple[str, ...] = ()
    """The patterns of the top of the file, and the entry's own."""
    down: str = ""
    """Why this server cannot be started, or nothing; the text may be shown to the host."""
    digest: str = ""
    """The same for the same server: of its command, arguments, names of variables, folder and protocol."""
    shape: ServerShape | None = None
    """What is let be seen of its tools; None where that is all of them, as they are."""


def spec(name: str, place: Value, entry: Mapping[str, Any], settings: Mapping[str, Any],
         environ: Mapping[str, str]) -> ServerSpec:
    """The server of one entry; what keeps it down goes to the findings. `entry` is empty for one that is remote."""
    _judge_name(place, name)
    enabled = bool(entry.get("enabled", True)) and not _disabled(place)
    if not entry:
        if enabled:
            place.down("is a remote server, and remote servers are not supported yet",
                       "Remove it, or write a `command` that reaches it over standard input and output.")
        return ServerSpec(name, "", enabled=enabled)
    _judge_type(place)
    root = _folder(settings["workspace_root"])
    fill = _Filling(enabled, _lookup(root, environ))
    command = fill(place.member("command"), entry["command"] or "")
    args = tuple([fill(element, arg) for element, arg in zip(place.member("args").elements(), entry["args"])])
    env = {key: fill(place.member("env").member(key), value) for key, value in entry["env"].items()}
    cwd = os.path.normpath(os.path.join(root, fill(place.member("cwd"), entry["cwd"])))
    if enabled and not fill.failed:
        _judge_world(place, command, entry["cwd"] and cwd)
    identity = [command, args, sorted(env), cwd, entry["protocol"]]
    digest = sha256(json.dumps(identity).encode("ascii")).hexdigest()
    return ServerSpec(
        name, command, args, env, cwd, enabled, entry["lazy"], entry["serialize"], entry["protocol"],
        *_times(entry, settings), entry["tool_timeouts"], (*settings["inherit_env"], *entry["inherit_env"]),
        digest=digest, shape=_shape(place, entry))


def _shape(place: Value, entry: Mapping[str, Any]) -> ServerShape | None:
    """What the entry lets be seen of the server's tools; what contradicts itself is said."""
    include, exclude, rename = entry["include"], entry["exclude"], entry["rename"]
    if include is None and not exclude and not rename:
        return None
    excluded, included = globs(exclude), (lambda name: True) if include is None else globs(include)
    if include is not None and not include:
        place.member("include").warn("is empty: the server has no tools", "Remove it to have all of them.")
    for element in place.member("include").elements():
        if isinstance(element.data, str) and not is_glob(element.data) and excluded(element.data):
            element.warn("has no effect: `exclude` names it, too", "Keep it in one of the two lists.")
    for name in rename:
        if excluded(name) or not included(name):
            place.member("rename").member(name).warn("has no effect: `include` or `exclude` leaves the tool out",
                                                     "Remove it.")
    return ServerShape(include, exclude, rename)


def _times(entry: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[float, float, float]:
    """Silence, whole call and start: the entry's times, or those of the top of the file.

    A `max_call_secs` that nobody wrote (`None`) never cuts a time of silence short that somebody did write.
    """
    silence = entry["request_timeout_secs"] or settings["request_timeout_secs"]
    most = entry["max_call_secs"] or settings["max_call_secs"] or max(600, silence, *entry["tool_timeouts"].values())
    start = entry["start_timeout_secs"] or settings["start_timeout_secs"]
    return float(silence), float(most), float(start)


class _Filling:
    """Expands the texts of one server and notes what is missing; a server that is left out misses nothing."""

    def __init__(self, wanted: bool, lookup: Lookup) -> None:
        self._wanted, self._lookup, self.failed = wanted, lookup, False

    def __call__(self, place: Value, text: str) -> str:
        filled, missing = expand(text, self._lookup)
        for part in missing:
            self.failed = True
            if self._wanted:
                place.down(part.what, part.fix)
        return filled


def _folder(root: str) -> str:
    # 0.1.0 took a plain file for a workspace, too; servers then start in the file's folder.
    return root if os.path.isdir(root) else os.path.dirname(root)


def _lookup(root: str, environ: Mapping[str, str]) -> Lookup:
    def find(name: str) -> str | None:
        if name == "workspace_root":
            return root
        # Windows keeps names in capitals and does not tell them apart.
        return environ.get(name.upper() if WINDOWS else name)

    return find


def _disabled(place: Value) -> bool:
    disabled = place.member("disabled")
    if disabled.data is None:
        return False
    if disabled.data is True and place.member("enabled").data is True:
        disabled.error("and `enabled` contradict each other", "Keep one of them.")
    return flag(disabled)


def _judge_world(place: Value, command: str, cwd: str) -> None:
    """What the machine does not have, as far as that can be told without starting anything."""
    if cwd and not os.path.isdir(cwd):
        place.member("cwd").down("is no folder", "Create it; a relative path is taken from `workspace_root`.")
    if " " in command.strip() and not os.path.exists(command):
        place.member("command").warn("has spaces, and there is no such file",
                                     "Write the program as `command`, and each further word as one of `args`.")


def _judge_type(place: Value) -> None:
    member = place.member("type")
    if member.data not in (None, "stdio", "local"):
        member.warn("is not `stdio`; the server is started as a program", 'Write `"type": "stdio"`, or leave it out.')
    for key in ("url", "httpUrl", "serverUrl"):
        if place.member(key).data is not None:
            place.member(key).warn("has no effect here", "The server has a `command`, and is started as a program.")


def _judge_name(place: Value, name: str) -> None:
    """0.1.0 took any name; what hosts will trip over is said."""
    if not usable(name):
        place.error("has a name with a character that is no text")
    elif name == "shack" or name.startswith("shack_"):
        place.warn("has a name that begins like the gateway's own tools (`shack_...`)", "Rename the server.")
    elif "__" in name:
        place.warn("has a name with `__`, which separates server and tool: two tools may come to have one name",
                   "Write `_` or `-`.")
    elif not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        place.warn("has a name with other characters than `A-Z a-z 0-9 _ -`, which many hosts refuse: they are shown "
                   "a changed name", "Rename the server.")


def environment(spec: ServerSpec, environ: Mapping[str, str], *, windows: bool = WINDOWS) -> dict[str, str]:
    """The whole environment of the server's process: the short list, what is inherited, and the entry's own."""
    names = {_fold(name, windows) for name in spec.inherit_env} | (WINDOWS_NAMES if windows else POSIX_NAMES)
    patterns = [name for name in names if set(name) & set("*?[")]
    own = {_fold(name, windows) for name in spec.env}
    result: dict[str, str] = {}
    for name, value in environ.items():
        folded = _fold(name, windows)
        if folded in own or value.startswith(EXPORTED_FUNCTION):
            continue
        if folded in names or folded.startswith(LOCALE) or any(fnmatchcase(folded, pattern) for pattern in patterns):
            result[name] = value
    result.update(spec.env)
    return result


def _fold(name: str, windows: bool) -> str:
    return name.upper() if windows else name
