"""`python -m shack_gateway` is `shack-gateway`; so is `python /path/to/shack_gateway`, from any folder, uninstalled."""
from __future__ import annotations

import os
import sys

if not __package__:
    # Started as a folder: Python put the folder itself on the path, and the package lies one floor up.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from shack_gateway.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
