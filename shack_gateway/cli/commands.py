"""The table of commands: what may be called, with which options.  Pure.

A command is one file in this folder and one row here.
"""
from __future__ import annotations

from .options import PROGRAM, Command, Option

CONFIG = Option("config", "The configuration file.", value="FILE", short="c", default="shack-config.json")
PROFILE = Option("profile", "The profile to use, in place of the one that the file chooses.", value="NAME")

COMMANDS = (
    Command("serve", ".serve", "Serve a host over standard input and output; what runs when no command is given.",
            (CONFIG, PROFILE, Option("version", "Show the version.")),
            example=f"{PROGRAM} --config ~/work/shack-config.json"),
    Command("check", ".check", "Say everything that is wrong with the configuration, with its line and a fix.",
            (CONFIG, PROFILE, Option("connect", "Also start the servers, and show how it went."),
             Option("json", "Write one JSON object, for programs."),
             Option("strict", "Warnings count as errors.")), example=f"{PROGRAM} check --connect"),
    Command("explain", ".explain",
            "Say what would come of a call, and why, without sending it. Hooks are really run.",
            (CONFIG, PROFILE,
             Option("connect", "Start the servers to know what they list now, not what they listed last."),
             Option("json", "Write one JSON object, for programs.")), word="NAME [JSON]", most_words=2,
            example=f"""{PROGRAM} explain files__write_file '{{"path": "a"}}'"""),
    Command("approve", ".approve", "Let a call that was refused until you say so be made once.", word="CODE",
            example=f"{PROGRAM} approve ABCD-2345"),
    Command("log", ".log", "Show what was called, and what came of it: the last rows of the journal.",
            (Option("lines", "How many rows.", value="N", short="n", default="20"),
             Option("follow", "Go on with rows as they are written, until interrupted.", short="f"),
             Option("server", "Only rows of this server; `*` and `?` stand for any letters.", value="NAME"),
             Option("tool", "Only calls of this tool: a name or a pattern, as in permission rules.", value="NAME"),
             Option("outcome", "Only calls that ended so: ok, tool-error, refused, failed, asked, cancelled.",
                    value="WORD"),
             Option("event", "Only rows of this kind: call, server, question, answer, config, ...", value="WORD"),
             Option("since", "Only later rows: 10m, 2h, 3d, or 2026-01-31T12:00 (UTC).", value="TIME"),
             Option("until", "Only earlier rows.", value="TIME"),
             Option("json", "Write JSON, for programs.")),
            word="verify|stats", example=f"{PROGRAM} log --tool 'github__*' --outcome refused"),
    Command("demo", ".demo", "Show the gateway at work, on small servers of its own.",
            (Option("raw", "Also show every line that goes over the pipe."),), example=f"{PROGRAM} demo"),
    Command("help", ".help", "Show a page of the documentation, or the list of pages.", word="TOPIC",
            example=f"{PROGRAM} help config"),
)
