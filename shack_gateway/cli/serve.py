"""`shack-gateway serve`: the gateway itself."""
from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..app import serve
from ..catalog.names import joined
from ..config.load import load
from ..errors import ConfigError
from ..store.paths import is_foreign
from .options import Arguments
from .report import Screen, show_problems
from .surroundings import surroundings

HOOKS = ("pre_tool_hook", "post_tool_hook", "hooks")
"""Keys that have files to look at."""
BY_TOOL = ("guardrails", "injections", "limits")
"""Keys whose entries are about tools, and were not judged by their servers when they were read."""


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
    if may_name_strangers(config.settings):
        strange = import_module(".lint", __package__).strangers(config)
        config = config._replace(warnings=(*config.warnings, *strange))
    return serve(config, environ)


def may_name_strangers(settings: Mapping[str, Any]) -> bool:
    """True where it takes a closer look to tell whether tools are named of servers that are not configured."""
    tools = [entry.tool for key in BY_TOOL for entry in settings.get(key, ())]
    for exempt in (settings.get("sandbox_exempt"), (settings.get("sandbox") or {}).get("exempt")):
        tools += exempt or ()
    plain = ("*", *(joined(server, "") for server in settings["servers"]))
    return bool(settings.get("hooks")) or not all(tool.startswith(plain) for tool in tools)


def may_be_foreign(path: str) -> bool:
    """True where it takes a closer look to tell whether somebody else may write the configuration."""
    try:
        return is_foreign(os.stat(path)) or is_foreign(os.stat(os.path.dirname(os.path.abspath(path))))
    except OSError:
        return True
