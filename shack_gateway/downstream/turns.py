"""One call after the other, for servers whose questions could not be told apart otherwise (`"serialize": true`).

A call that is parked with a question keeps its turn under its handle, until its host comes back or it is given up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from ..pipeline.call import Call, Failed, InputRequired, Outcome
from ..slot import Slot


class Turns:
    """Whose turn it is at one server."""

    def __init__(self, loop: asyncio.AbstractEventLoop, server: str) -> None:
        self._loop, self._server = loop, server
        self._holder: Any = None
        """The call that is being made, or the handle of a parked one."""
        self._waiting: deque[Slot[bool]] = deque()

    async def take(self, call: Call, send: Callable[[Call], Awaitable[Outcome]], secs: float) -> Outcome:
        """Wait for the turn, at most `secs` seconds, and make the call."""
        handle = call.params.get("requestState")
        if handle is not None and handle == self._holder:
            self._holder = call
        elif not await self._turn(call, secs):
            return Failed(
                "server",
                f"downstream error: downstream server '{self._server}' was busy with another call for {secs:g} s "
                "(`serialize` lets it have one at a time)", server=self._server, reason="timeout",
            )
        outcome: Outcome | None = None
        try:
            outcome = await send(call)
        finally:
            if type(outcome) is InputRequired and outcome.parked:
                self._holder = outcome.state
            else:
                self.release(call)
        return outcome

    async def _turn(self, call: Call, secs: float) -> bool:
        if self._holder is None:
            self._holder = call
            return True
        slot: Slot[bool] = Slot()
        self._waiting.append(slot)
        timer = self._loop.call_later(secs, slot.settle, False)
        try:
            mine = await slot
        except BaseException:
            if slot in self._waiting:
                self._waiting.remove(slot)
            elif slot.settled and slot.value:
                self.release(slot)  # it was our turn just now
            raise
        finally:
            timer.cancel()
        if mine:
            self._holder = call
        elif slot in self._waiting:
            self._waiting.remove(slot)
        return mine

    def is_held(self, handle: Any) -> bool:
        """True while the parked call of that handle has the turn."""
        return handle is not None and bool(handle == self._holder)

    def release(self, holder: Any) -> None:
        """The turn of a call, or of a parked one's handle, is over."""
        if self._holder is None or holder != self._holder:
            return
        self._holder = None
        while self._waiting:
            slot = self._waiting.popleft()
            if not slot.settled:
                self._holder = slot  # until whoever waits goes on
                slot.settle(True)
                return
