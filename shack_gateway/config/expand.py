"""`${VAR}`, `${VAR:-default}` and `${workspace_root}` in the values of the configuration.  Pure.

Rule 1: what is expanded is not looked at again: a variable's value never names another variable.
Rule 2: `$${` stands for a plain `${`; braces that hold no variable (`${1}`, `${#list[@]}`) are somebody else's, and
        stay.
"""
from __future__ import annotations

import re
from collections.abc import Callable

from ..record import NamedTuple

Lookup = Callable[[str], "str | None"]

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_FORMS = rf"(\$\$\{{)|\$\{{({_NAME})(?::-([^{{}}]*))?\}}|\$\{{(env|input|config|command):([^{{}}]*)\}}|\$\{{({_NAME}):-"
"""An escape; name and default; a host's form and its rest; the start of a default that is not plain text."""

_ELSEWHERE = {
    "workspaceFolder": "Write `${workspace_root}`.",
    "workspaceFolderBasename": "Write the folder's name.",
    "userHome": "Write `${HOME}` (on Windows `${USERPROFILE}`).",
    "pathSeparator": "Write `/`.",
}


class Missing(NamedTuple):
    """A part of a text that could not be expanded: as a sentence about the text, and how to mend it."""

    what: str
    fix: str


def expand(text: str, lookup: Lookup) -> tuple[str, tuple[Missing, ...]]:
    """The text with every variable replaced by what `lookup` gives for it, and what could not be.

    `lookup` gives `None` for a variable that is not set. As in a shell, the default of `${VAR:-default}` also stands in
    for an empty value.
    """
    if "${" not in text:
        return text, ()
    missing: list[Missing] = []

    def replaced(match: re.Match[str]) -> str:
        escaped, name, default, host_form, rest, open_ended = match.groups()
        if escaped:
            return "${"
        if host_form or open_ended:
            missing.append(_foreign(host_form, rest) if host_form else _open_ended(open_ended))
            return ""
        value = lookup(name)
        if default is not None:
            return value or str(default)
        if value is None:
            missing.append(_unset(name))
            return ""
        return value

    return re.sub(_FORMS, replaced, text), tuple(missing)


def _unset(name: str) -> Missing:
    fix = _ELSEWHERE.get(name, f"Export {name}, or write `${{{name}:-}}` to allow it to be empty.")
    return Missing(f"uses `${{{name}}}`, which is not set", fix)


def _foreign(form: str, rest: str) -> Missing:
    """What hosts expand in their own files: `${env:NAME}`, `${input:id}`."""
    fix = f"Write `${{{rest}}}`." if form == "env" else "Export a variable with the value, and write `${NAME}`."
    return Missing(f"uses `${{{form}:...}}`, which shack-gateway does not know", fix)


def _open_ended(name: str) -> Missing:
    return Missing(f"uses `${{{name}:-...}}` with a brace in the default, or without an end",
                   "A default is plain text up to `}`; write `$${` for what is not meant for shack-gateway.")
