"""Where a path leads, links followed: one question to the kernel where it answers such questions.

`os.path.realpath` looks at every part of a path by itself; with a path in a call that cost more than all else.
"""
from __future__ import annotations

import errno
import os

_LOOK = getattr(os, "O_PATH", None)


def realpath(path: str) -> str:
    """As `os.path.realpath`; raises OSError or ValueError for what cannot be resolved.

    Loops of links are among that where the kernel is asked; elsewhere Python resolves them as far as it goes.
    """
    found = _kernel(path)
    if found is not None:
        return found
    folder, name = os.path.split(path)
    if folder and name not in ("", ".") and ".." not in path and not os.path.lexists(path):
        # A new name: it leads where its folder leads. (`..` behind what is not there Python takes back, the kernel
        # does not; so that, and a folder that is not there either, is left to Python.)
        found = _kernel(folder)
        if found is not None:
            return os.path.join(found, name)
    return os.path.realpath(path)


def _kernel(path: str) -> str | None:
    """Where the kernel says that a path leads; None where it cannot say."""
    if _LOOK is None:
        return None
    try:
        fd = os.open(path, _LOOK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
            raise
        return None
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return None  # no /proc here
    finally:
        os.close(fd)
