"""Where files of ours live: `$SHACK_STATE_DIR`, or the platform's folder for state; only the user may read them."""
from __future__ import annotations

import os
import sys
from collections.abc import Mapping


def state_folder(environ: Mapping[str, str]) -> str:
    """The folder, which need not exist yet; an empty text when the environment names no home at all."""
    chosen = environ.get("SHACK_STATE_DIR")
    if chosen:
        return chosen
    home = environ.get("HOME") or environ.get("USERPROFILE", "")
    if sys.platform == "win32":
        base = environ.get("LOCALAPPDATA") or (os.path.join(home, "AppData", "Local") if home else "")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Application Support") if home else ""
    else:
        base = environ.get("XDG_STATE_HOME") or (os.path.join(home, ".local", "state") if home else "")
    return os.path.join(base, "shack-gateway") if base else ""


def write_private(path: str, data: bytes) -> None:
    """Put `data` in place of the file in one step (0600, its folder 0700); raises OSError."""
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    part = f"{path}.{os.getpid()}.part"
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        os.replace(part, path)
    except OSError:
        os.unlink(part)
        raise


def is_foreign(status: os.stat_result) -> bool:
    """True for what somebody else owns or may write (POSIX; Windows keeps the profiles of users apart itself)."""
    getuid = getattr(os, "getuid", None)
    return getuid is not None and (status.st_uid != getuid() or bool(status.st_mode & 0o022))
