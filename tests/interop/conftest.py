"""The one collection of runs that all interop tests share."""
from __future__ import annotations

from pathlib import Path

import pytest

from .runs import Runs


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(Path(tmp_path_factory.mktemp("interop")).resolve())
