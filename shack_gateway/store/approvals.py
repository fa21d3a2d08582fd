"""Calls that wait for the user's word in a terminal, and those that have it: the files behind `shack-gateway approve`.

    DIGEST.pending    refused, and may be approved by its code; its time begins anew whenever the call is refused again
    DIGEST.approved   may pass once

Rule 1: a file is written whole and then only renamed or removed, so that of several gateways and commands in one folder
        one alone wins. How old it is, is the time on it, which we set.
Rule 2: a file or folder that somebody else owns or could have written, a link, and whatever makes no sense is as good
        as none.
Rule 3: a file holds hashes of its codes (each gateway gives its own); the code itself is known to the gateway that gave
        it and to whoever was told.
"""
from __future__ import annotations

import errno
import json
import os
import stat
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from hmac import compare_digest

from ..record import NamedTuple
from .paths import is_foreign, write_private

LIFE_SECS = 300.0
"""How long a call may wait for its approval, and the approval for its call."""
MOST_PENDING = 64
MOST_BYTES = 256 * 1024
MOST_TEXT = 8192
"""Characters that are kept of one text about a call."""
MOST_CODES = 4
"""Gateways that may wait for the same call, each with its code."""
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""What codes are written with: nothing that is taken for something else (0 and O; 1, I and L)."""
SIGNS = 8

PENDING, APPROVED = ".pending", ".approved"
DONE, ALREADY, EXPIRED, UNKNOWN = "approved", "approved already", "expired", "unknown"
"""What `approve` may find of a code."""

_FORMAT = 1
_CLOCKS_DIFFER = 2.0
"""Seconds that the time on a file may be ahead of ours: some file systems round it."""


class Verdict(NamedTuple):
    """What came of a code, and what was said about its call (for `DONE` and `ALREADY`)."""

    found: str
    about: Mapping[str, str] = {}


class _File(NamedTuple):
    """A file of ours that could be read."""

    digest: str
    hashes: tuple[str, ...]
    about: Mapping[str, str]
    age: float

    @property
    def fresh(self) -> bool:
        return _fresh(self.age)

    def has(self, code: str) -> bool:
        """True when this is a code of the call."""
        wanted = _hash(self.digest, code).encode()
        return any(compare_digest(kept.encode("utf-8", "replace"), wanted) for kept in self.hashes)


class Approvals:
    """The files in `approvals` below the state folder; `clock` gives seconds since 1970."""

    def __init__(self, folder: str, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._clock = os.path.join(folder, "approvals"), clock
        self._codes: dict[str, str] = {}

    def request(self, digest: str, about: Mapping[str, str]) -> str:
        """The code by which the user can let the call of this digest pass once; raises OSError.

        A call that is refused again while it waits keeps its code, and its time begins anew.
        """
        if not (digest.isascii() and digest.isalnum()):
            raise ValueError(f"{digest!r} cannot name a file")
        if not os.path.lexists(self._folder):
            self._codes.clear()
        elif not self._trusted():
            raise OSError(errno.EPERM, "others could have written to it", self._folder)
        self._tidy()
        code = self._codes.get(digest)
        if code is not None and self._still_known(digest, code):
            return code
        while len(self._codes) >= MOST_PENDING:
            del self._codes[next(iter(self._codes))]
        code = self._codes[digest] = new_code()
        before = self._read(digest, PENDING)
        others = before.hashes[-MOST_CODES + 1 :] if before is not None and before.fresh else ()
        kept = {key: text[:MOST_TEXT] for key, text in about.items()}
        data = {"format": _FORMAT, "hashes": [*others, _hash(digest, code)], "about": kept}
        write_private(self._path(digest, PENDING), json.dumps(data).encode())
        self._set_time(self._path(digest, PENDING))
        if not self._trusted():
            raise OSError(errno.EPERM, "others could write to it", self._folder)
        return code

    def take(self, digest: str) -> bool:
        """True once for a call that was approved within its time; the approval is gone then."""
        file = self._read(digest, APPROVED) if self._trusted() else None
        # Of all who see the file, one alone can remove it.
        if file is None or not file.fresh or not _removed(self._path(digest, APPROVED)):
            return False
        self._codes.pop(digest, None)
        return True

    def approve(self, code: str) -> Verdict:
        """Let the call of this code pass once, within `LIFE_SECS` from now; raises OSError if it cannot be kept."""
        wanted = plain_code(code)
        verdict = Verdict(UNKNOWN)
        for digest, end, _ in self._listed() if wanted and self._trusted() else ():
            file = self._read(digest, end)
            if file is None or not file.has(wanted):
                continue
            if not file.fresh:
                verdict = Verdict(EXPIRED)
            elif end == APPROVED:
                return Verdict(ALREADY, file.about)
            elif self._let(digest):
                return Verdict(DONE, file.about)
        return verdict

    def _let(self, digest: str) -> bool:
        """Make an approval of what waits; False when it was removed at this very moment."""
        path = self._path(digest, PENDING)
        try:
            self._set_time(path)                # first: an approval must not count from when the call was refused
            os.replace(path, self._path(digest, APPROVED))
            return True
        except FileNotFoundError:
            return False

    def _still_known(self, digest: str, code: str) -> bool:
        """True when a file of this code waits, or is approved; one that waits has its time begun anew."""
        for end in (PENDING, APPROVED):
            file = self._read(digest, end)
            if file is not None and file.fresh and file.has(code):
                try:
                    if end == PENDING:
                        self._set_time(self._path(digest, end))
                    return True
                except FileNotFoundError:
                    continue                    # approved at this very moment, then: look there
        return False

    def _tidy(self) -> None:
        """Remove what is out of time, and the oldest of what waits where there is no room for another."""
        waiting = []
        for digest, end, age in self._listed():
            if not _fresh(age):
                _removed(self._path(digest, end))
            elif end == PENDING:
                waiting.append((age, digest))
        waiting.sort()
        for _, digest in waiting[MOST_PENDING - 1 :]:
            _removed(self._path(digest, PENDING))

    def _listed(self) -> list[tuple[str, str, float]]:
        """Digest, end of the name, and age of every file that is named as ours are and belongs to us."""
        found = []
        now = self._clock()
        try:
            names = os.listdir(self._folder)
        except OSError:
            return []                           # no folder yet
        for name in names:
            digest, end = os.path.splitext(name)
            if end not in (PENDING, APPROVED) or not digest.isalnum():
                continue
            try:
                status = os.lstat(os.path.join(self._folder, name))
            except OSError:
                continue                        # removed at this very moment
            if stat.S_ISREG(status.st_mode) and not is_foreign(status):
                found.append((digest, end, now - status.st_mtime))
        return found

    def _read(self, digest: str, end: str) -> _File | None:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            fd = os.open(self._path(digest, end), flags)
            with os.fdopen(fd, "rb") as file:
                status = os.fstat(fd)
                if not stat.S_ISREG(status.st_mode) or is_foreign(status):
                    return None
                data = json.loads(file.read(MOST_BYTES))
            hashes, about = data["hashes"], data["about"]
            texts = [*hashes, *about.values()]
            if data["format"] != _FORMAT or not all(isinstance(text, str) for text in texts):
                return None
            return _File(digest, tuple(hashes), about, self._clock() - status.st_mtime)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def _trusted(self) -> bool:
        """True for a folder in which nobody else can rename a file."""
        try:
            status = os.lstat(self._folder)
        except OSError:
            return False
        return stat.S_ISDIR(status.st_mode) and not is_foreign(status)

    def _set_time(self, path: str) -> None:
        now = self._clock()
        os.utime(path, (now, now))

    def _path(self, digest: str, end: str) -> str:
        return os.path.join(self._folder, digest + end)


def new_code() -> str:
    """A code that nobody can guess within its time, as it is shown: `XXXX-XXXX`."""
    signs = ""
    fair = 256 - 256 % len(ALPHABET)            # a byte beyond it would favour the first letters
    while len(signs) < SIGNS:
        signs += "".join([ALPHABET[byte % len(ALPHABET)] for byte in os.urandom(16) if byte < fair])
    return f"{signs[:4]}-{signs[4:SIGNS]}"


def plain_code(text: str) -> str:
    """A code as it is shown, however it was typed; an empty text for what is none."""
    signs = "".join([sign for sign in text.upper() if sign != "-" and not sign.isspace()])
    return f"{signs[:4]}-{signs[4:]}" if len(signs) == SIGNS and set(signs) <= set(ALPHABET) else ""


def _hash(digest: str, code: str) -> str:
    return sha256(f"{digest} {code}".encode()).hexdigest()


def _fresh(age: float) -> bool:
    return -_CLOCKS_DIFFER <= age < LIFE_SECS


def _removed(path: str) -> bool:
    """Remove the file; False when somebody else did, or nobody can."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True
