"""Fixtures for every test; makes `kit` and the package importable however pytest was started."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from kit import Kept, Scene  # noqa: E402  (only importable now)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """`pytest &` in a script is started with SIGINT ignored, and so would be every gateway that a test interrupts."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where nothing may be compiled beside the sources, started gateways keep what they compile in a folder of the
    tests: hundreds of starts, each with all its modules to compile, would take four times as long."""
    with pytest.MonkeyPatch.context() as patch:
        if sys.dont_write_bytecode:
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A workspace, stub servers and the gateway; judged and cleaned up at the end."""
    made = Scene(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """Gateways that tests of one module share, where their calls cannot influence each other."""
    made = Kept(tmp_path_factory.mktemp)
    yield made
    made.close()
