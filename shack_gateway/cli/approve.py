"""`shack-gateway approve CODE`: the user lets one refused call pass, in a terminal of his own.

Rule 1: what a server wrote about the call is shown so that none of its lines can be taken for one of ours.
Rule 2: what a gateway started cannot approve: a tool that runs commands would else approve itself.
"""
from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from ..children import MARK
from ..errors import clip
from ..store.approvals import ALREADY, DONE, EXPIRED, LIFE_SECS, Approvals, Verdict, plain_code
from ..store.paths import state_folder
from .options import PROGRAM, Arguments
from .report import BOLD, GREEN, Screen
from .surroundings import surroundings

MINUTES = f"{LIFE_SECS / 60:.0f} minutes"
SHOWN = ("server", "tool", "rule", "arguments")
"""What is shown of a call, in this order; whatever else there is follows."""
AGAIN = "Let the model make the call again; it is then refused with a new code."


def run(arguments: Arguments) -> int:
    """The command; 1 when no call was approved, 2 without a code."""
    code, environ = arguments.word, surroundings()
    out, err = Screen(sys.stdout, os.environ), Screen(sys.stderr, os.environ)
    if not code.strip():
        err.say(f"usage: {PROGRAM} approve CODE")
        err.say(f"{PROGRAM}: error: a code is needed, as the refusal of the call names it")
        return 2
    folder = state_folder(environ)
    if environ.get(MARK):
        problem = f"this was started by a gateway, and cannot approve its calls. Run `{PROGRAM} approve` in a terminal."
    elif not folder:
        problem = "there is no folder for state. Set HOME, or SHACK_STATE_DIR to what the gateway has."
    else:
        try:
            verdict = Approvals(folder).approve(code)
        except OSError as error:
            verdict, problem = Verdict(""), f"the approval cannot be kept: {error.strerror or error}."
        else:
            problem = refusal(verdict, code, folder)
        if not problem:
            out.say(out.paint(f"Approved. The same call may now be made again: once, within {MINUTES}.", BOLD, GREEN))
            out.say(described(verdict.about))
            return 0
    err.say(f"{PROGRAM}: error: {problem}")
    return 1


def refusal(verdict: Verdict, code: str, folder: str) -> str:
    """Why nothing was approved and what to do, or an empty text."""
    if verdict.found == DONE:
        return ""
    shown = clip(code, 40)
    if verdict.found == ALREADY:
        return (f"the call of `{shown}` is approved already, and was not made yet.\n{described(verdict.about)}\n"
                "Let the model make the very same call again.")
    if verdict.found == EXPIRED:
        return f"the code `{shown}` is older than {MINUTES}. {AGAIN}"
    if not plain_code(code):
        return f"`{shown}` is no code. A code looks like `ABCD-2345`, and has no 0, O, 1, I or L in it."
    return (f"no call waits under the code `{shown}`. It may be mistyped, used, or older than {MINUTES}. {AGAIN}\n"
            f"Looked in {clip(folder)}. A gateway that its host starts with another SHACK_STATE_DIR or HOME keeps its "
            "calls elsewhere.")


def described(about: Mapping[str, str]) -> str:
    """A line for each thing that is known of the call."""
    names = [name for name in SHOWN if name in about] + [name for name in about if name not in SHOWN]
    width = max([len(name) for name in SHOWN]) + 2
    return "\n".join([f"  {_one_line(name):<{width}}{_indented(about[name], width + 2)}" for name in names])


def _one_line(text: str) -> str:
    return clip(text, 40).replace("\n", "\\n").replace("\t", "\\t")


def _indented(text: str, width: int) -> str:
    return clip(text).replace("\t", "\\t").replace("\n", "\n" + " " * width)
