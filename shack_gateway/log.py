"""The log: one line a record on standard error, that can neither stop us nor tell a secret.

Rule 1: `debug` ... `error` only note the record; a thread writes it. A full, slow or closed standard error costs lines,
        which are counted, never time.
Rule 2: every record, whoever's words it holds, has its secrets replaced and its control characters escaped; that is
        done by the thread as well, off the path of calls.
"""
from __future__ import annotations

import os
import re
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from .lazy import Pattern
from .record import NamedTuple

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
MOST_RECORDS = 2_000
MOST_BYTES = 1_048_576
"""Characters of text that may wait to be written."""
MOST_TEXT = 8_192
"""Characters of one record; the rest is cut off."""
REDACTED = "***REDACTED***"


class Record(NamedTuple):
    """One line to be; `at` is seconds since the epoch."""

    at: float
    level: str
    logger: str
    text: str


class Log:
    """Writes records of `level` and above to descriptor `fd`, which stays the caller's. May be used from any thread."""

    def __init__(self, fd: int, level: str = "info", redact: Iterable[str] = ()) -> None:
        self._fd = fd
        self._least = LEVELS[level]
        self._redact = tuple(redact)
        self._waiting: deque[Record] = deque()
        self._size = self._dropped = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def debug(self, logger: str, text: str) -> None:
        """What a developer of the gateway wants to know."""
        if self._least <= 10:
            self._note("DEBUG", logger, text)

    def info(self, logger: str, text: str) -> None:
        """What goes its way."""
        if self._least <= 20:
            self._note("INFO", logger, text)

    def warning(self, logger: str, text: str) -> None:
        """What the owner should look at."""
        if self._least <= 30:
            self._note("WARNING", logger, text)

    def error(self, logger: str, text: str) -> None:
        """What failed."""
        self._note("ERROR", logger, text)

    def close(self, timeout: float = 1.0) -> None:
        """Write what waits, for at most `timeout` seconds; later records are dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def _note(self, level: str, logger: str, text: str) -> None:
        if len(text) > MOST_TEXT:
            text = f"{text[:MOST_TEXT]}… ({len(text) - MOST_TEXT} more characters)"
        with self._changed:
            if self._closed:
                return
            if len(self._waiting) >= MOST_RECORDS or self._size + len(text) > MOST_BYTES:
                self._dropped += 1
                return
            self._waiting.append(Record(time.time(), level, logger, text))
            self._size += len(text)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        redact = redactor(self._redact)
        with self._changed:
            while True:
                while not (self._waiting or self._dropped or self._closed):
                    self._changed.wait()
                if not (self._waiting or self._dropped):
                    return
                record = self._next()
                self._changed.release()
                try:
                    written = _write(self._fd, line(record, redact).encode("utf-8", "backslashreplace"))
                finally:
                    self._changed.acquire()
                if not written:
                    self._closed = True  # nobody will ever read us again
                    self._waiting.clear()
                    return

    def _next(self) -> Record:
        if not self._waiting:
            dropped, self._dropped = self._dropped, 0
            text = f"{dropped} log lines were dropped: standard error was not read fast enough"
            return Record(time.time(), "WARNING", "shack-gateway.log", text)
        record = self._waiting.popleft()
        self._size -= len(record.text)
        return record


def line(record: Record, redact: Callable[[str], str]) -> str:
    """The record as it is written: `2026-01-31 12:00:00,000 LEVEL logger message`.

    Colours are dropped first: many servers paint `token` in one and `=abc` in another.
    """
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.at))
    text = escape(redact(_COLOUR.sub("", record.text)))
    return f"{stamp},{int(record.at % 1 * 1000):03d} {record.level} {record.logger} {text}\n"


def escape(text: str) -> str:
    """`text` with everything that could move a cursor, start a line or turn letters round written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else _SHORT.get(c) or (f"\\x{ord(c):02x}" if c < "\u0100" else f"\\u{ord(c):04x}")
        for c in text
    )


_COLOUR = Pattern(r"\x1b\[[\d;:]*m")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def redactor(fields: Iterable[str]) -> Callable[[str], str]:
    """A function that replaces the values of `fields` in free text by `***REDACTED***`.

    A field is found as a JSON or Python key (also in JSON within JSON), in `key=value`, `key: value` and `--key value`,
    in any case, with `-`, `_` or nothing between its words, and as the end of a longer name (`GITHUB_TOKEN`,
    `githubToken`). In doubt more is replaced than less.
    """
    words = sorted({re.escape(field).replace("_", "[-_]?").replace(r"\-", "[-_]?") for field in fields if field},
                   key=len, reverse=True)
    if not words:
        return lambda text: text
    key = re.compile(
        rf"(?-i:(?<![A-Za-z0-9])|(?<=\\[nrtbf])|(?<=[a-z0-9])(?=[A-Z]))(?P<name>{'|'.join(words)})(?![a-z0-9_-])"
        r"(?:(?P<close>\\*[\"'])?\s*(?P<sign>:|=>?)\s*|[\"']?,?\s+|\\*[\"'],\s*(?=\\*[\"']))", re.IGNORECASE,
    )

    def redact(text: str) -> str:
        parts: list[str] = []
        done = 0
        for found in key.finditer(text):
            if found.start() < done or not (found["sign"] or _is_option(text, found.start())):
                continue
            header = found["name"] if found["sign"] == ":" and not found["close"] else ""
            start, end = _value(text, found.end(), header.lower())
            if end > start:
                parts += (text[done:start], REDACTED)
                done = end
        return "".join(parts) + text[done:] if parts else text

    return redact


def _is_option(text: str, key_start: int) -> bool:
    """True when the key at `key_start` ends the name of a command line option (`--access-token`)."""
    start = key_start
    while start > 0 and key_start - start < 64 and (text[start - 1].isalnum() or text[start - 1] in "-_"):
        start -= 1
    return text.startswith("-", start)


_QUOTE = Pattern(r"\\*[\"']")
_BARE = Pattern(r"[^\s&\"']+")
_SCHEME = Pattern(r"(?:bearer|basic|token|negotiate|api-?key)\s+(?=\S)", re.IGNORECASE)


def _value(text: str, start: int, header: str) -> tuple[int, int]:
    """Where the value at `start` begins and ends, without its quotes. `header` is the key of a `key: value` line."""
    quote = _QUOTE.match(text, start)
    if quote:
        end = _closing(text, quote.end(), quote.group())
        return quote.end(), end
    if text[start : start + 1] in ("{", "["):
        return start, _bracketed(text, start)
    scheme = _SCHEME.match(text, start) if header else None
    if header in ("cookie", "authorization") and not scheme:
        return start, len(text)  # several words, of which any may be the secret
    bare = _BARE.match(text, scheme.end() if scheme else start)
    return start, start + len(text[start : bare.end()].rstrip(",;)]}\\")) if bare else start


def _closing(text: str, start: int, quote: str) -> int:
    """Where the string that `quote` opened ends; cut off lines have no end but their own."""
    at = text.find(quote, start)
    while at > 0 and quote in "\"'" and _backslashes(text, at) % 2:
        at = text.find(quote, at + 1)
    return at if at >= 0 else len(text)


def _backslashes(text: str, at: int) -> int:
    count = 0
    while text[at - count - 1 : at - count] == "\\":
        count += 1
    return count


def _bracketed(text: str, start: int) -> int:
    """The place behind the bracket that closes the one at `start`."""
    depth, at = 0, start
    while at < len(text):
        sign = text[at]
        if sign in "\"'":
            at = _closing(text, at + 1, sign)
        depth += (sign in "[{") - (sign in "]}")
        at += 1
        if not depth:
            break
    return min(at, len(text))


def _write(fd: int, data: bytes) -> bool:
    """Write all of it, waiting where the descriptor is full; False when it is closed or broken."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest):]
        except BlockingIOError:  # somebody who shares it made it non-blocking
            _await_room(fd)
        except (OSError, ValueError):
            return False
    return True


def _await_room(fd: int) -> None:
    if sys.platform == "win32":
        time.sleep(0.05)
        return
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll(1000)
