"""Where files of ours live."""
from __future__ import annotations

import os
import sys

import pytest

from shack_gateway.store.paths import state_folder

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the folders of Linux")


@linux
@pytest.mark.parametrize("environ, folder", [
    ({"SHACK_STATE_DIR": "/s", "HOME": "/h", "XDG_STATE_HOME": "/x"}, "/s"),
    ({"HOME": "/h", "XDG_STATE_HOME": "/x"}, "/x/shack-gateway"),
    ({"HOME": "/h"}, "/h/.local/state/shack-gateway"),
    ({"SHACK_STATE_DIR": "", "HOME": "/h"}, "/h/.local/state/shack-gateway"),
    ({}, ""),
], ids=str)
def test_the_state_folder_is_the_one_that_was_named_or_the_platform_s(environ: dict[str, str], folder: str) -> None:
    assert state_folder(environ) == folder.replace("/", os.sep)
