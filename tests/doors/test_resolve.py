"""`resolve.realpath` says what `os.path.realpath` says, and refuses what cannot be resolved."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

from shack_gateway import resolve
from shack_gateway.resolve import realpath

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")

PATHS = [
    "a/b/f",
    "l/f",
    "out/passwd",
    "out/nothing",
    "dangling",
    "dangling/x",
    "away",
    "a/../l/../x",
    "l/../f",
    "no/x",
    "a/b/f/",
    "a/b/f/x",
    "out/..",
    ".",
    "",
    "a//b",
    "./a",
    "l/./f",
    "no/../a",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "f").write_text("")
    for name, target in [
        ("l", "a/b"),
        ("out", "/etc"),
        ("dangling", "nowhere/x"),
        ("away", "/etc/nothing-here"),
        ("loop", "loop"),
    ]:
        (tmp_path / name).symlink_to(target)
    return tmp_path


@pytest.mark.parametrize("look", [True, False], ids=["kernel", "python"])
@pytest.mark.parametrize("path", PATHS)
def test_a_path_leads_where_python_says(folder: Path, path: str, look: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not look:
        monkeypatch.setattr(resolve, "_LOOK", None)
    whole = os.path.join(folder, path)
    assert realpath(whole) == os.path.realpath(whole)


def test_random_paths_lead_where_python_says(folder: Path) -> None:
    for seed in range(500):
        dice = random.Random(seed)
        parts = [
            dice.choice(["a", "b", "f", "l", "out", "..", ".", "", "dangling", "away", "x"])
            for _ in range(dice.randrange(6))
        ]
        whole = os.path.join(folder, *parts)
        assert realpath(whole) == os.path.realpath(whole), (seed, whole)


@pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="only Linux tells")
@pytest.mark.parametrize("path", ["loop", "loop/x", "x" * 300, "x/" * 4000])
def test_what_no_system_can_open_is_not_resolved(folder: Path, path: str) -> None:
    with pytest.raises(OSError):
        realpath(os.path.join(folder, path))


def test_no_descriptor_stays_open(folder: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    for path in PATHS * 10:
        realpath(os.path.join(folder, path))
    assert (len(os.listdir("/proc/self/fd")) if before else 0) == before
