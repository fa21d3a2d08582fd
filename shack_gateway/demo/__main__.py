"""`python3 -m shack_gateway.demo NAME` runs one demo program, and so does `python3 /path/to/shack_gateway/demo NAME`.

The second form works from any folder and without an install, which is what a server's entry in a configuration needs.
"""
from __future__ import annotations

import os
import runpy
import sys

NAMES = ("notes", "tickets", "oldschool", "newschool", "hook")

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in NAMES:
        sys.exit(f"usage: python3 -m shack_gateway.demo {{{','.join(NAMES)}}}")
    if not __package__:
        # Started as a folder: Python put the folder itself on the path; the package lies two floors up.
        sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    runpy.run_module(f"shack_gateway.demo.{sys.argv[1]}", run_name="__main__", alter_sys=True)
