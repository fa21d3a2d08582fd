"""The life of one server as a table, and how long a restart waits.  Pure.

Rule 1: nobody sets a state but with `move`, which refuses what the table does not hold.
Rule 2: "greeted" means that the server may be used; a run counts as good only when it stayed so for `STEADY_SECS`.
"""
from __future__ import annotations

from enum import Enum

STEADY_SECS = 60.0
LONGEST_DELAY = 30.0


class Life(Enum):
    """Where a server is; the values are what the owner reads."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    BACKOFF = "backoff"
    FAILED = "failed"


MOVES: dict[tuple[Life, str], Life] = {
    (Life.STOPPED, "start"): Life.STARTING,
    (Life.STARTING, "greeted"): Life.READY,
    (Life.STARTING, "exited"): Life.BACKOFF,
    (Life.READY, "exited"): Life.BACKOFF,
    (Life.BACKOFF, "start"): Life.STARTING,
    (Life.BACKOFF, "gave up"): Life.FAILED,
    (Life.FAILED, "start"): Life.STARTING,
    # A server that cannot be started at all (no such command, an unset variable) is not tried again by itself.
    (Life.STOPPED, "gave up"): Life.FAILED,
    (Life.STARTING, "gave up"): Life.FAILED,
    # From anywhere: "stop" -> STOPPED, see `move`.
}


def move(life: Life, event: str) -> Life:
    """The state after `event`; raises `ValueError` for an event that cannot happen there."""
    if event == "stop":
        return Life.STOPPED
    try:
        return MOVES[life, event]
    except KeyError:
        raise ValueError(f"a server that is {life.value} cannot have `{event}`") from None


def restarts_after(restarts: int, ready_secs: float) -> int:
    """The restarts to count when a run ends: a run that stayed ready long enough wipes the slate."""
    return 0 if ready_secs >= STEADY_SECS else restarts


def delay(restarts: int) -> float:
    """Seconds to wait before the next start when `restarts` restarts came before it: 0, 1, 2, 4 ... 30."""
    if restarts <= 0:
        return 0.0
    return min(2.0 ** min(restarts - 1, 10), LONGEST_DELAY)
