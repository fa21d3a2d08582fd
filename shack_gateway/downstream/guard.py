"""The guard: one small shell that outlives us for a moment and takes our servers with it when we were killed.

It sits in a session of its own, reads from a pipe which groups are alive, and acts when the pipe ends without a
farewell: TERM to every group and to whatever carries our mark (see `children.py`), a second, KILL.

Rule 1: it holds no descriptor of ours but the reading end of that pipe, and does not carry our mark.
Rule 2: a guard that cannot be started, or is lost, stops nobody's work: `problem` says why there is none.
On Windows there is none: the servers of a gateway that was killed see their input end, and that is all.
"""
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from ..children import KILL, MARK, kill_group, kill_marked

_SCRIPT = r"""
trap '' TERM INT HUP QUIT
mark= groups=' '
while IFS= read -r line; do
  case $line in
  +*) groups="$groups${line#+} " ;;
  -*) case $groups in *" ${line#-} "*) groups="${groups%%" ${line#-} "*} ${groups#*" ${line#-} "}" ;; esac ;;
  =*) mark=${line#=} ;;
  .) exit 0 ;;
  esac
done
marked() {  # who carries the mark outside the groups; only Linux tells
  [ -r /proc/self/environ ] || return
  for file in $(grep -lsF -e "$mark" /proc/[0-9]*/environ); do
    pid=${file#/proc/}; pid=${pid%/environ}
    read -r stat <"/proc/$pid/stat" || continue
    set -- ${stat##*) }
    case $groups in *" $3 "*) ;; *) echo "$pid" ;; esac
  done
}
strike() {
  for group in $groups; do kill -s "$1" -- "-$group"; done
  for stray in $(marked); do kill -s "$1" -- "$stray"; done
}
strike TERM; sleep 1; strike KILL; strike KILL
"""


class Guard:
    """Keeps watch over process groups; started with the first one. All methods are harmless after `close`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._path = os.pathsep.join(filter(None, (environ.get("PATH"), os.defpath)))
        self._secret = os.urandom(16).hex()
        self._tags = 0
        self._groups: set[int] = set()
        self._shell: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._closed = sys.platform == "win32"
        self.problem = ""

    @property
    def pid(self) -> int | None:
        """None while no guard runs."""
        return None if self._shell is None else self._shell.pid

    def tag(self) -> str:
        """A value for one child's mark; nobody outside can guess it."""
        self._tags += 1
        return f"{self._secret}.{self._tags}"

    def watch(self, pgid: int) -> None:
        """End this group should we be killed."""
        if self._closed:
            return
        self._groups.add(pgid)
        if self._shell is None:
            self._start()
        else:
            self._say(f"+{pgid}\n")

    def forget(self, pgid: int) -> None:
        """The group is no more: its number may be given to somebody else."""
        if pgid in self._groups:
            self._groups.discard(pgid)
            self._say(f"-{pgid}\n")

    def close(self) -> None:
        """The orderly end: KILL what is left of ours, then send the guard home and reap it."""
        if self._closed:
            return
        self._closed = True
        for pgid in self._groups:
            kill_group(pgid, KILL)
        kill_marked(f"{MARK}={self._secret}.".encode())
        self._groups.clear()
        self._say(".\n")
        self._drop()

    def _start(self) -> None:
        """Start the shell and tell it all that we know."""
        theirs, ours = os.pipe()
        try:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT, "shack-gateway-guard"], stdin=theirs, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, env={"PATH": self._path}, cwd="/", start_new_session=True,
            )
        except OSError as error:
            os.close(ours)
            self.problem = f"no guard process: {error}"
            return
        finally:
            os.close(theirs)
        if sys.platform != "win32":
            os.set_blocking(ours, False)  # a guard that somebody stopped must not stop us
        self._pipe = ours
        self._write(f"={MARK}={self._secret}.\n" + "".join(f"+{pgid}\n" for pgid in self._groups))

    def _say(self, line: str) -> None:
        """Tell the shell; should somebody have ended it, start another, once per loss."""
        if self._shell is None or self._write(line):
            return
        self._drop()
        if not self._closed:
            self._start()

    def _write(self, text: str) -> bool:
        try:
            return os.write(self._pipe, text.encode()) == len(text)
        except OSError:
            return False

    def _drop(self) -> None:
        """Close the pipe and reap the shell."""
        shell, self._shell = self._shell, None
        if shell is None:
            return
        os.close(self._pipe)
        try:
            shell.wait(1)
        except subprocess.TimeoutExpired:
            shell.kill()
            shell.wait()
