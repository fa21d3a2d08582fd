"""The environment as a configuration and its hooks see it: the process's own, and where we ourselves are."""
from __future__ import annotations

import os
import sys

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""The folder of the package."""


def surroundings() -> dict[str, str]:
    """A copy of the process's environment with `SHACK_PYTHON` and `SHACK_PACKAGE`, for `${...}` and for hooks.

    With them an entry can name this Python and the demo servers wherever a host starts us. Servers do not inherit them.
    """
    return {"SHACK_PYTHON": sys.executable or "python3", "SHACK_PACKAGE": PACKAGE, **os.environ}
