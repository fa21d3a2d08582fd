"""The collections of runs that all interop tests share."""
from __future__ import annotations

from pathlib import Path

import pytest

from .runs import AskedRuns, Runs


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(Path(tmp_path_factory.mktemp("interop")).resolve())


@pytest.fixture(scope="session")
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AskedRuns:
    chosen = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    hosts = {params["host"] for params in chosen if "host" in params and isinstance(params["host"], str)}
    return AskedRuns(Path(tmp_path_factory.mktemp("asked")).resolve(), hosts)
