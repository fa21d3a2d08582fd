"""`shack-gateway serve`: the gateway itself."""
from __future__ import annotations

import os
import sys
from importlib import import_module

from ..app import serve
from ..config.load import load
from ..errors import ConfigError
from ..store.paths import is_foreign
from .options import Arguments
from .report import Screen, show_problems
from .surroundings import surroundings

HOOKS = ("pre_tool_hook", "post_tool_hook", "hooks")
"""Keys that have files to look at."""


def run(arguments: Arguments) -> int:
    """Read the configuration and serve; 1 when it cannot be used."""
    environ = surroundings()
    try:
        config = load(arguments.values["config"], environ, profile=arguments.values.get("profile", ""))
    except ConfigError as error:
        show_problems(error.problems, Screen(sys.stderr, os.environ))
        return 1
    if may_be_foreign(config.path) or any(config.settings.get(key) for key in HOOKS):
        early = import_module(".trust", __package__).early(config, environ)
        config = config._replace(warnings=(*config.warnings, *early))
    return serve(config, environ)


def may_be_foreign(path: str) -> bool:
    """True where it takes a closer look to tell whether somebody else may write the configuration."""
    try:
        return is_foreign(os.stat(path)) or is_foreign(os.stat(os.path.dirname(os.path.abspath(path))))
    except OSError:
        return True
