"""Fixtures for every test; makes `kit` and the package importable however pytest was started."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from kit import Scene  # noqa: E402  (only importable now)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A workspace, stub servers and the gateway; judged and cleaned up at the end."""
    made = Scene(tmp_path)
    yield made
    made.close()
