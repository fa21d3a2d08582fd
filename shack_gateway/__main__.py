"""`python -m shack_gateway` is `shack-gateway`; so is `python /path/to/shack_gateway`, from any folder, uninstalled."""
from __future__ import annotations

import os
import sys

if sys.version_info < (3, 10):  # noqa: UP036  (what a host starts as `python3` may be older than what pip would accept)
    sys.exit(f"shack-gateway needs Python 3.10 or newer; {sys.executable} is {sys.version.split()[0]}")

if not __package__:
    # Started as a folder: Python put the folder itself on the path, and the package lies one floor up.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from shack_gateway.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
