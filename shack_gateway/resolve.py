"""Where a path leads, links followed: one question to the kernel where it answers such questions.

`os.path.realpath` looks at every part of a path by itself; with a path in a call that cost more than all else.
"""
from __future__ import annotations

import errno
import os

_LOOK = getattr(os, "O_PATH", None)


def realpath(path: str) -> str:
    """As `os.path.realpath`; raises OSError or ValueError for what cannot be resolved, loops of links included."""
    if _LOOK is not None:
        try:
            fd = os.open(path, _LOOK | os.O_CLOEXEC)
        except FileNotFoundError:
            return _not_there(path)
        except OSError as error:
            # What is not for us to see Python resolves as far as it goes.
            if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
                raise
        else:
            try:
                return os.readlink(f"/proc/self/fd/{fd}")
            except FileNotFoundError:
                pass  # no /proc here
            finally:
                os.close(fd)
    return os.path.realpath(path)


def _not_there(path: str) -> str:
    """A path that leads to nothing: a new name in a folder that is there, or not even that, or a link to nowhere."""
    folder, name = os.path.split(path)
    if name in ("", ".") or ".." in path or not folder:
        return os.path.realpath(path)  # `..` behind what is not there: Python takes it back, the kernel does not
    try:
        os.lstat(path)
    except FileNotFoundError:
        return os.path.join(realpath(folder), name)
    return os.path.realpath(path)
