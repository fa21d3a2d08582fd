"""`shack-gateway demo`: the real gateway on the example configuration, with a host played before the reader's eyes.

It needs nothing but Python, leaves nothing behind, and is a test at the same time: exit code 0 says that every step got
what it should.
"""
from __future__ import annotations

import os
import sys
import tempfile
import time
from typing import IO

from .demo_host import DemoHost, GatewayEnded, Unexpected
from .options import Arguments
from .paste import Launch, snippets
from .report import BLUE, BOLD, GREEN, RED, Screen
from .surroundings import PACKAGE
from .tour import STEPS, Step, Tour

EXAMPLE = "shack-config.example.json"
STDERR_TAIL = 4000


def run(arguments: Arguments) -> int:
    """The command; 1 when a step got something else than it should."""
    screen = Screen(sys.stdout, os.environ)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shack-demo-") as folder:
        with open(os.path.join(folder, "stderr"), "w+b") as stderr:
            failed = _tour(folder, stderr, screen, "raw" in arguments.switches)
            if failed:
                _show_failure(failed, stderr, screen)
                return 1
    seconds = time.monotonic() - begun
    screen.say(screen.paint(f"All {len(STEPS) + 1} steps got what they should, in {seconds:.1f} s.", GREEN, BOLD))
    screen.say()
    _show_paste(screen)
    return 0


def launch(workspace: str) -> Launch:
    """How a host starts the gateway on the example, from whichever folder.

    In a clone that is by the package's folder, which need not be installed, and on the example beside it; an installed
    package carries a copy of the example.
    """
    clone, env = os.path.dirname(PACKAGE), {"SHACK_WORKSPACE": workspace}
    if os.path.exists(os.path.join(clone, "pyproject.toml")) and os.path.exists(os.path.join(clone, EXAMPLE)):
        return Launch(sys.executable, (PACKAGE, "--config", os.path.join(clone, EXAMPLE)), env)
    return Launch(sys.executable, ("-m", "shack_gateway", "--config", os.path.join(PACKAGE, "demo", EXAMPLE)), env)


def _tour(folder: str, stderr: IO[bytes], screen: Screen, raw: bool) -> list[str]:
    """Walk through all steps; what went wrong, a line for each step."""
    workspace = os.path.join(folder, "workspace")
    os.mkdir(workspace)
    how = launch(workspace)
    # Started from elsewhere, as a host would; what it keeps goes away with the folder.
    environ = {**os.environ, **how.env, "SHACK_STATE_DIR": os.path.join(folder, "state")}
    screen.say(f"The gateway runs on {how.args[-1]}, in a workspace that is thrown away.")
    screen.say(f"{screen.paint('->', BOLD)} is what this host sends, {screen.paint('<-', BLUE)} what comes back.")
    screen.say()

    def overhear(arrow: str, line: str) -> None:
        if raw:
            screen.say(f"   {arrow} {line}")

    host = DemoHost([how.command, *how.args], folder, environ, stderr, overhear)
    failed: list[str] = []
    try:
        tour = Tour(host, screen)
        for number, step in enumerate(STEPS, start=1):
            _step(number, step, tour, screen, failed)
        _goodbye(host, screen, failed)
    except GatewayEnded as error:
        failed.append(str(error))
    finally:
        host.end()
    return failed


def _step(number: int, step: Step, tour: Tour, screen: Screen, failed: list[str]) -> None:
    screen.say(f"{number:>2} {screen.paint(step.title, BOLD)}")
    screen.say(f"   {step.run.__doc__ or ''}")
    try:
        step.run(tour)
    except GatewayEnded:
        raise
    except (Unexpected, KeyError, IndexError, TypeError, ValueError) as error:
        # An answer of another shape than the step reads is as unexpected as one with another content.
        why = str(error) if isinstance(error, Unexpected) else f"an answer of another shape ({error!r})"
        screen.say(f"   {screen.paint('!!', RED)} {why}")
        failed.append(f"{step.title}: {why}")
    screen.say()


def _goodbye(host: DemoHost, screen: Screen, failed: list[str]) -> None:
    screen.say(f"{len(STEPS) + 1:>2} {screen.paint('The host leaves', BOLD)}")
    screen.say("   It closes the pipe; the gateway ends its servers and itself.")
    code = host.leave()
    screen.say(f"   {screen.paint('<-', BLUE)} exit code {code}")
    screen.say()
    if code != 0:
        failed.append(f"The host leaves: exit code 0 was expected, and {code} came")


def _show_failure(failed: list[str], stderr: IO[bytes], screen: Screen) -> None:
    screen.say(screen.paint(f"{len(failed)} of {len(STEPS) + 1} steps did not get what they should:", RED, BOLD))
    for line in failed:
        screen.say(f"  - {line}")
    stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, stderr.tell() - STDERR_TAIL))
    said = stderr.read().decode("utf-8", "replace").strip()
    if said:
        screen.say("\nThe gateway's log ends so:")
        screen.say("\n".join(f"  | {line}" for line in said.splitlines()))


def _show_paste(screen: Screen) -> None:
    screen.say(f"To let a host use it, paste one of these. They start this example, in the workspace {os.getcwd()}.")
    screen.say("Your own servers go into a copy of the example; write the path of the copy behind --config.")
    for snippet in snippets(launch(os.getcwd())):
        screen.say()
        screen.say(f"{screen.paint(snippet.host, BOLD)}: {snippet.where}")
        screen.say("\n".join("    " + line for line in snippet.text.splitlines()))
