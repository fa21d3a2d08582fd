"""Stands between two programs on stdio and writes down every line: `tee.py LOG COMMAND ARGS...`.

`> ` marks a line that went into the command, `< ` one that came out of it. `{pid}` in LOG becomes the process id, so
that a program which is started twice leaves two records. Pieces are passed on as they were read: the tee must not hide
how the bytes were cut.
"""
from __future__ import annotations

import os
import subprocess
import sys
import threading

PIECE = 1 << 16


class Record:
    """One log file; whole lines only, so that the two directions never tear each other."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path.replace("{pid}", str(os.getpid())), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._unfinished = {b"> ": b"", b"< ": b""}

    def add(self, mark: bytes, piece: bytes) -> None:
        *lines, self._unfinished[mark] = (self._unfinished[mark] + piece).split(b"\n")
        if lines:
            os.write(self._file, b"".join(mark + line + b"\n" for line in lines))

    def end(self, mark: bytes) -> None:
        if self._unfinished[mark]:
            os.write(self._file, mark + self._unfinished[mark] + b" (no newline)\n")


def copy(source: int, target: int, record: Record, mark: bytes) -> None:
    try:
        while piece := os.read(source, PIECE):
            record.add(mark, piece)
            while piece:
                piece = piece[os.write(target, piece):]
    except OSError:
        pass                                     # the other side is gone; what it was sent is on record
    record.end(mark)


def main(argv: list[str]) -> int:
    log, command = argv[0], argv[1:]
    record = Record(log)
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert child.stdin is not None and child.stdout is not None
    stdin = child.stdin

    def down() -> None:
        copy(0, stdin.fileno(), record, b"> ")
        stdin.close()

    threading.Thread(target=down, daemon=True).start()
    copy(child.stdout.fileno(), 1, record, b"< ")
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
