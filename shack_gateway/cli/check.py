"""`shack-gateway check`: everything that is wrong with the configuration, and, if asked, whether the servers start."""
from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from ..app import Rooms, ServerReport, connect_all
from ..config.load import Config, load
from ..errors import ConfigError, Problem, clip
from ..log import redactor
from .lint import lint
from .options import Arguments
from .report import BLUE, BOLD, GREEN, RED, Screen, as_object, counted, show_problems, table, tally
from .surroundings import surroundings


def run(arguments: Arguments) -> int:
    """The command; 1 when the configuration has an error or a server did not start."""
    path, connect, strict = arguments.values["config"], "connect" in arguments.switches, "strict" in arguments.switches
    problems, config = judge(path, arguments.values.get("profile", ""))
    rooms = started(config) if connect and config is not None else None
    reports = without_secrets(rooms.reports, config.settings["redact_fields"]) if rooms and config else None
    if config is not None:
        problems = (*problems, *lint(config, surroundings(), rooms.catalog if rooms else None))
    if "json" in arguments.switches:
        print(json.dumps(as_json(path, problems, reports, strict=strict), indent=2))
    else:
        screen = Screen(sys.stdout, os.environ)
        show(path, problems, config, reports, screen)
        if connect and config is None:
            screen.say("No server was started: the errors come first.")
    return 0 if passed(problems, reports, strict=strict) else 1


def judge(path: str, profile: str = "") -> tuple[tuple[Problem, ...], Config | None]:
    """All findings, and the configuration if it can be used."""
    try:
        config = load(path, surroundings(), profile=profile)
    except ConfigError as error:
        return error.problems, None
    return (*config.downs, *config.warnings), config


def started(config: Config) -> Rooms:
    """How the start of every server went, and what they list."""
    if sys.stderr.isatty():
        Screen(sys.stderr, os.environ).say(f"Starting {counted(len(config.servers), 'server')} ...")
    return asyncio.run(connect_all(config, surroundings()))


def without_secrets(reports: Iterable[ServerReport], fields: Iterable[str]) -> list[ServerReport]:
    """The reports with the values of these fields replaced in the servers' own words, as in the log: people paste them
    elsewhere."""
    redact = redactor(fields)
    return [report._replace(error=redact(report.error), stderr=tuple([redact(text) for text in report.stderr]))
            for report in reports]


def passed(problems: Sequence[Problem], reports: Sequence[ServerReport] | None, *, strict: bool = False) -> bool:
    """True when nothing is wrong; warnings count only if `strict`."""
    wrong = any(strict or problem.severity == "error" for problem in problems)
    return not wrong and not any(report.error for report in reports or ())


def show(path: str, problems: Sequence[Problem], config: Config | None, reports: Sequence[ServerReport] | None,
         screen: Screen) -> None:
    """For people."""
    show_problems(problems, screen)
    if reports is not None:
        show_reports(reports, screen)
    if problems:
        screen.say(tally(problems))
    elif config is not None:
        screen.say(f"{clip(path)}: {counted(len(config.servers), 'server')}, no problems.")


def show_reports(reports: Sequence[ServerReport], screen: Screen) -> None:
    """A row for each server, and below it why it did not start."""
    rows = [("server", "state", "era", "protocol", "tools", "start"), *[_row(report) for report in reports]]
    head, *lines = table(rows, numbers=(4, 5))
    screen.say(screen.paint(head, BOLD))
    for report, line in zip(reports, lines):
        screen.say(screen.paint(line, RED if report.error else GREEN if report.state == "ready" else BLUE))
        if report.error:
            screen.say(f"    {clip(report.error)}")
            for text in report.stderr:
                screen.say(f"    stderr: {clip(text, 500)}")
    failed = sum(bool(report.error) for report in reports)
    screen.say()
    if failed:
        screen.say(f"{failed} of {counted(len(reports), 'server')} did not start.")


def _row(report: ServerReport) -> tuple[str, ...]:
    if report.state != "ready":
        # Where a life stands between two tries is of no interest here.
        state = "failed" if report.error and report.state != "down" else report.state
        return report.server, state, report.era or "-", report.version or "-", "-", "-"
    return report.server, report.state, report.era, report.version, str(report.tools), f"{report.seconds:.2f} s"


def as_json(path: str, problems: Sequence[Problem], reports: Sequence[ServerReport] | None, *, strict: bool = False
            ) -> dict[str, Any]:
    """For programs. `servers` is there only when they were started."""
    found: dict[str, Any] = {
        "config": path,
        "ok": passed(problems, reports, strict=strict),
        "errors": sum(problem.severity == "error" for problem in problems),
        "warnings": sum(problem.severity == "warning" for problem in problems),
        "problems": [as_object(problem) for problem in problems],
    }
    if reports is not None:
        found["servers"] = [
            {"server": r.server, "state": r.state, "era": r.era or None, "version": r.version or None, "tools": r.tools,
             "seconds": round(r.seconds, 3), "error": r.error or None, "stderr": list(r.stderr)} for r in reports]
    return found
