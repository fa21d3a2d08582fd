"""`shack-gateway serve`: the gateway itself."""
from __future__ import annotations

import os
import sys

from ..app import serve
from ..config.load import load
from ..errors import ConfigError
from .options import Arguments
from .report import Screen, show_problems
from .surroundings import surroundings


def run(arguments: Arguments) -> int:
    """Read the configuration and serve; 1 when it cannot be used."""
    environ = surroundings()
    try:
        config = load(arguments.values["config"], environ)
    except ConfigError as error:
        show_problems(error.problems, Screen(sys.stderr, os.environ))
        return 1
    return serve(config, environ)
