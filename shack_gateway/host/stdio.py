"""Our standard input and output, taken away from everybody else in this process.

Rule: after `take`, descriptor 1 is standard error and descriptor 0 is empty, so that no stray `print`, no library and
no child process can write into the protocol or eat a message of the host.
"""
from __future__ import annotations

import os
import sys


def take() -> tuple[int, int]:
    """Private descriptors for what the host sends and for what it is sent."""
    empty = os.open(os.devnull, os.O_RDWR)
    host_in, host_out = _private(0, empty), _private(1, empty)
    os.dup2(empty, 0)
    try:
        os.dup2(2, 1)
    except OSError:
        os.dup2(empty, 1)  # started without standard error
    os.close(empty)
    return host_in, host_out


def _private(fd: int, instead: int) -> int:
    """A copy that children do not inherit; where the descriptor is closed, one of nothing."""
    try:
        return os.dup(fd)
    except OSError:
        return os.dup(instead)


def stderr_fd() -> int:
    """A private copy of standard error, for the log."""
    sys.stderr.flush() if sys.stderr is not None else None
    return _private(2, os.open(os.devnull, os.O_WRONLY))
