"""An answer that is still to come, awaited without an event loop.  Pure.

Rule 1: the core awaits `Slot`s only. Whoever drives a coroutine (`Drive` here, a test with `send(None)`, or an
        adapter inside an asyncio task) decides what waiting means, so a call costs no task, no future and no timer.
Rule 2: a slot is settled once; settling it again is ignored, so that a late answer, a timeout and a cancel may race.
"""
from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

from .errors import Cancelled

T = TypeVar("T")


class Slot(Generic[T]):
    """One value to come. `wake` is called, once, right after the value is there."""

    __slots__ = ("settled", "value", "wake")

    def __init__(self) -> None:
        self.settled = False
        self.value: T | None = None
        self.wake: Callable[[], None] | None = None

    def settle(self, value: T) -> None:
        """Give the value and wake whoever waits; the second and later calls do nothing."""
        if self.settled:
            return
        self.settled, self.value = True, value
        wake, self.wake = self.wake, None
        if wake is not None:
            wake()

    def __await__(self) -> Generator[Slot[T], None, T]:
        if not self.settled:
            yield self
        return self.value  # type: ignore[return-value]  # settled: the value is a T


class Drive:
    """Runs one coroutine that awaits `Slot`s, step by step, from whoever settles them.

    `finish(result)` is called with what the coroutine returns, `fault(error)` with what it raises; after `cancel`
    neither is called.
    """

    __slots__ = ("_coroutine", "_fault", "_finish", "_running")

    def __init__(
        self, coroutine: Coroutine[Slot[Any], None, T], finish: Callable[[T], None], fault: Callable[[Exception], None]
    ) -> None:
        self._coroutine: Coroutine[Slot[Any], None, T] | None = coroutine
        self._finish, self._fault = finish, fault
        self._running = False

    def step(self) -> None:
        """Run until the coroutine ends or waits for a slot that is not settled."""
        coroutine = self._coroutine
        if coroutine is None:
            return
        self._running = True
        try:
            while True:
                slot = coroutine.send(None)
                if self._coroutine is None:     # cancelled by something that it did itself
                    _end(coroutine)
                    return
                if not slot.settled:
                    slot.wake = self.step
                    return
        except StopIteration as stop:
            if self._coroutine is not None:
                self._coroutine = None
                self._finish(stop.value)
        except Cancelled:
            self._coroutine = None
        except Exception as error:
            if self._coroutine is not None:
                self._coroutine = None
                self._fault(error)
        finally:
            self._running = False

    def cancel(self) -> None:
        """Raise `Cancelled` at the place where the coroutine waits; what it waited for no longer wakes it.

        A coroutine that is cancelled while it runs is ended where it waits next, or its result is dropped.
        """
        coroutine, self._coroutine = self._coroutine, None
        if coroutine is not None and not self._running:
            _end(coroutine)


def _end(coroutine: Coroutine[Slot[Any], None, Any]) -> None:
    try:
        coroutine.throw(Cancelled())
    except (Cancelled, StopIteration):
        return
    coroutine.close()
