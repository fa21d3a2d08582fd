"""Questions of handshake servers that hooks may answer in the user's place, before the host is asked.

Rule 1: nobody is told anything before the one who asks knows that the question is open.
Rule 2: a question that is taken back is taken back from whoever has it: the hooks, or the host.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from ..core.ports import HostQuestion, ServersQuestion
from ..errors import ServerGone
from ..slot import Drive
from ..wire.messages import Result, encode
from .asking import Later

Answers = Callable[[str, Mapping[str, Any]], Coroutine[Any, None, "dict[str, Any] | None"]]
"""Server and params of its question → the answer; None: the user is to be asked."""
DECLINE = {"action": "decline"}


class Deputed:
    """One question that hooks have first. `put` asks the host; `note` is told of an answer that hooks gave, `fault` of
    what broke, and then the answer is no."""

    def __init__(
        self, asked: ServersQuestion, answer: Coroutine[Any, None, dict[str, Any] | None],
        put: Callable[[], HostQuestion | str], note: Callable[[Mapping[str, Any]], None],
        fault: Callable[[Exception], None], later: Later,
    ) -> None:
        self._asked, self._put, self._note, self._fault = asked, put, note, fault
        self._host: HostQuestion | None = None
        self._drive = Drive(answer, self._answered, self._broken)
        self._timer = later(0, self._drive.step)

    def cancel(self, reason: str) -> None:
        """Nobody wants the answer any more."""
        self._timer.cancel()
        self._drive.cancel()
        if self._host is not None:
            self._host.cancel(reason)

    def _broken(self, error: Exception) -> None:
        self._fault(error)
        self._answered(dict(DECLINE))

    def _answered(self, answer: dict[str, Any] | None) -> None:
        if answer is not None:
            self._note(answer)
            self._asked.done(Result(0, encode(answer), answer))
            return
        found = self._put()
        if isinstance(found, str):
            self._asked.done(ServerGone("host", found))
        else:
            self._host = found
