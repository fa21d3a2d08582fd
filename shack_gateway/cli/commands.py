"""The table of commands: what may be called, with which options.  Pure.

A command is one file in this folder and one row here.
"""
from __future__ import annotations

from .options import PROGRAM, Command, Option

CONFIG = Option("config", "The configuration file.", value="FILE", short="c", default="shack-config.json")

COMMANDS = (
    Command("serve", ".serve", "Serve a host over standard input and output; what runs when no command is given.",
            (CONFIG, Option("version", "Show the version.")), example=f"{PROGRAM} --config ~/work/shack-config.json"),
    Command("check", ".check", "Say everything that is wrong with the configuration, with its line and a fix.",
            (CONFIG, Option("connect", "Also start the servers, and show how it went."),
             Option("json", "Write one JSON object, for programs.")), example=f"{PROGRAM} check --connect"),
    Command("approve", ".approve", "Let a call that was refused until you say so be made once.", word="CODE",
            example=f"{PROGRAM} approve ABCD-2345"),
    Command("demo", ".demo", "Show the gateway at work, on small servers of its own.",
            (Option("raw", "Also show every line that goes over the pipe."),), example=f"{PROGRAM} demo"),
    Command("help", ".help", "Show a page of the documentation, or the list of pages.", word="TOPIC",
            example=f"{PROGRAM} help config"),
)
