"""The life of a server: the whole table, and the pace of restarts."""

from __future__ import annotations

import pytest

from shack_gateway.downstream.life import LONGEST_DELAY, MOVES, STEADY_SECS, Life, delay, move, restarts_after

EVENTS = sorted({event for _, event in MOVES} | {"stop"})
S, A, R, B, F = Life.STOPPED, Life.STARTING, Life.READY, Life.BACKOFF, Life.FAILED
TABLE: dict[Life, dict[str, Life]] = {
    # a server that is   may have ...
    S: {"start": A, "gave up": F, "stop": S},
    A: {"greeted": R, "exited": B, "gave up": F, "stop": S},
    R: {"exited": B, "stop": S},
    B: {"start": A, "gave up": F, "stop": S},
    F: {"start": A, "stop": S},
}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("life", Life, ids=lambda life: life.value)
def test_a_state_and_an_event_lead_where_the_table_says_and_nowhere_else(life: Life, event: str) -> None:
    if event in TABLE[life]:
        assert move(life, event) is TABLE[life][event]
    else:
        with pytest.raises(ValueError, match=f"{life.value}.*`{event}`"):
            move(life, event)


def test_an_event_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="`graduated`"):
        move(Life.READY, "graduated")


@pytest.mark.parametrize(
    "restarts, secs", [(0, 0), (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 30), (10_000, 30)]
)
def test_the_first_restart_is_at_once_and_each_later_one_waits_twice_as_long(restarts: int, secs: float) -> None:
    assert delay(restarts) == secs


def test_a_server_that_dies_at_once_is_started_at_most_ten_times_in_any_six_seconds() -> None:
    starts, now = [0.0], 0.0
    for restarts in range(20):
        now += delay(restarts)
        starts.append(now)
    assert max(sum(1 for other in starts if start <= other < start + 6) for start in starts) <= 10
    assert starts[-1] - starts[-2] == LONGEST_DELAY


@pytest.mark.parametrize("ready_secs, counted", [(0, 4), (STEADY_SECS - 0.1, 4), (STEADY_SECS, 0), (1e6, 0)])
def test_a_run_that_stayed_ready_for_a_minute_wipes_the_slate(ready_secs: float, counted: int) -> None:
    assert restarts_after(4, ready_secs) == counted
