"""The rule that an answer of "always" writes into the user's own configuration file.

Rule 1: the file is put in place whole or not at all; whoever changes it while we look has the last word.
Rule 2: what cannot be done is said, and what the user may do instead; nothing is raised. The text may reach the host:
        it names the file without its folder.
"""
from __future__ import annotations

import os
import stat

from ..config.edit import with_allow_rule
from ..errors import clip

MOST_BYTES = 16 * 1024 * 1024
TRIES = 3


def allow_always(path: str, rule: str) -> str:
    """Add `rule` to `permissions.allow` of the file; an empty text, or why that could not be done."""
    try:
        for _ in range(TRIES):
            if _added(os.path.realpath(path), rule):
                return ""
        reason = "it is being changed by somebody else. Try again."
    except UnicodeError:
        reason = "it is not UTF-8. Save it with the encoding UTF-8."
    except ValueError as error:
        reason = str(error)
    except OSError as error:
        reason = f"{error.strerror or 'it cannot be written'}. Add the rule to `permissions.allow` by hand."
    return f"the rule `{clip(rule, 300)}` could not be written to `{clip(os.path.basename(path), 100)}`: {reason}"


def _added(path: str, rule: str) -> bool:
    """Put the file with the rule in place; False when it changed meanwhile. Raises OSError and ValueError."""
    old, status = _read(path)
    text = old.decode("utf-8")
    new = with_allow_rule(text, rule)
    if new == text:
        return True
    if not os.access(path, os.W_OK):
        raise PermissionError(0, "it is read-only")
    part = f"{path}.{os.getpid()}.part"
    # Ours alone until it has the rights of the old one, which may hold secrets. What an earlier run left is not used.
    if os.path.lexists(part):
        os.unlink(part)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(new.encode("utf-8"))
        _take_over(part, status)
        if _read(path)[0] != old:
            os.unlink(part)
            return False
        os.replace(part, path)
    except OSError:
        if os.path.lexists(part):
            os.unlink(part)
        raise
    return True


def _read(path: str) -> tuple[bytes, os.stat_result]:
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is no ordinary file")
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise OSError(0, "it is larger than 16 MiB")
    return data, status


def _take_over(part: str, status: os.stat_result) -> None:
    """Give the new file the owner and the rights of the old one, as far as we may."""
    mode = stat.S_IMODE(status.st_mode) & 0o777
    chown = getattr(os, "chown", None)
    if chown is not None:
        now = os.stat(part)
        try:
            if (now.st_uid, now.st_gid) != (status.st_uid, status.st_gid):
                chown(part, status.st_uid, status.st_gid)
        except OSError:
            mode &= ~0o070                      # its group is another one now, which was given no rights
    os.chmod(part, mode)
