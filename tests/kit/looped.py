"""Scenarios on an event loop that leave nothing behind: no process of theirs, no descriptor."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from .host import wait_gone

PATIENCE = 20.0


async def until(true: Callable[[], object]) -> None:
    while not true():
        await asyncio.sleep(0.002)


def run_clean(folder: Path, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `main`; afterwards nothing may carry the scene's marker, and no descriptor may be open that was not."""
    before = fds()
    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    wait_gone(str(folder), 2)
    assert fds() == before


def fds() -> int:
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
