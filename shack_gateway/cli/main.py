"""Finds the command, runs it, and turns whatever comes of it into an exit code.

    0    done
    1    the answer is no: the configuration has errors, a server did not start, the gateway broke
    2    the command line makes no sense
    130  interrupted

Rule 1: a traceback is never shown; the last place of an internal error is, so that it can be reported.
"""
from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from .. import __version__
from ..config.fields import nearest
from .commands import COMMANDS
from .options import HELP, PROGRAM, Arguments, Command, UsageError, describe, options_table, parse, usage

DONE, NO, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line (that of the process, if none is given) and return the exit code."""
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        if sys.stdout is not None:  # closed by whoever started us
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output left (`check | head`). Python would complain when it flushes once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        print(f"{PROGRAM}: internal error: {type(error).__name__}: {error} "
              f"({os.path.basename(place.filename)}:{place.lineno}). Please report it.", file=sys.stderr)
        return NO


def _run(argv: list[str]) -> int:
    if argv and argv[0] in ("-h", "--help"):
        print(overview())
        return DONE
    serve, named = COMMANDS[0], {command.name: command for command in COMMANDS}
    command = serve if not argv or argv[0].startswith("-") else named.get(argv[0])
    if command is None:
        near = nearest(argv[0], named)
        return _misused(f"usage: {PROGRAM} [COMMAND]", f"unknown command: {argv[0]}" + (
            f" (did you mean {near}?)" if near else f" (one of {', '.join(named)})"))
    try:
        arguments = parse(command, argv[1:] if argv and argv[0] == command.name else argv)
    except UsageError as error:
        return _misused(usage(command), str(error))
    if HELP.name in arguments.switches:
        print(describe(command))
        return DONE
    if "version" in arguments.switches:
        print(f"{PROGRAM} {__version__}")
        return DONE
    return _call(command, arguments)


def _call(command: Command, arguments: Arguments) -> int:
    # By name, and only now: each command's imports are paid by those who call it, and `serve` starts with every host.
    if command is COMMANDS[0]:
        gc.disable()  # nothing that an import leaves is garbage; `app.serve` switches it on again
    return int(import_module(command.module, __package__).run(arguments))


def overview() -> str:
    """The help text of the whole program."""
    rows = "\n".join(f"  {command.name:<8}{command.summary}" for command in COMMANDS)
    return (f"usage: {PROGRAM} [COMMAND] [OPTIONS]\n\nOne MCP server in front of all your others.\n\n"
            f"commands:\n{rows}\n\n"
            f"options of serve, also without a command:\n{options_table(COMMANDS[0])}\n\n"
            f"`{PROGRAM} COMMAND --help` shows the options of a command.\n\nexample:\n  {COMMANDS[0].example}")


def _misused(form: str, why: str) -> int:
    print(f"{form}\n{PROGRAM}: error: {why}", file=sys.stderr)
    return USAGE
