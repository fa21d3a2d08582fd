"""`shack-gateway help`: the pages of `shack_gateway/docs`, which ship with the package."""
from __future__ import annotations

import os
import sys
from importlib.resources import files

from ..config.fields import nearest
from .commands import COMMANDS
from .options import PROGRAM, Arguments, describe
from .report import Screen


def run(arguments: Arguments) -> int:
    """The command; 2 for a topic that there is not."""
    pages, screen = topics(), Screen(sys.stdout, os.environ)
    word = arguments.word.lower().removesuffix(".md")
    command = next((command for command in COMMANDS if command.name == word), None)
    if not word:
        screen.say(contents(pages))
    elif word in pages:
        screen.say(pages[word].rstrip())
    elif command is not None:
        screen.say(describe(command))
    else:
        near = nearest(word, [*pages, *[command.name for command in COMMANDS]])
        Screen(sys.stderr, os.environ).say(f"{PROGRAM}: error: there is no topic {arguments.word!r}" + (
            f"; did you mean {near}?" if near else f". Topics: {', '.join(pages)}."))
        return 2
    return 0


def topics() -> dict[str, str]:
    """The pages by name, in the order of the alphabet."""
    docs = files(__name__.partition(".")[0]).joinpath("docs")
    pages = {page.name.removesuffix(".md"): page for page in docs.iterdir() if page.name.endswith(".md")}
    return {name: pages[name].read_text(encoding="utf-8") for name in sorted(pages)}


def contents(pages: dict[str, str]) -> str:
    """One line for each page: its name and its heading."""
    width = max(map(len, pages), default=0) + 2
    lines = [f"  {name:<{width}}{_heading(page)}" for name, page in pages.items()]
    return "\n".join([f"`{PROGRAM} help TOPIC` shows one of these pages:", "", *lines, "",
                      f"`{PROGRAM} --help` shows the commands."])


def _heading(page: str) -> str:
    return page.lstrip().partition("\n")[0].lstrip("#").strip()
