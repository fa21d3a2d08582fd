"""`shack-gateway check`: everything that is wrong with the configuration, and, if asked, whether the servers start."""
from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from ..app import connect_all
from ..config.load import Config, load
from ..errors import ConfigError, Problem, clip
from .options import Arguments
from .report import BLUE, BOLD, GREEN, RED, Screen, as_object, counted, show_problems, table, tally
from .surroundings import surroundings


class Report(Protocol):
    """What `app.connect_all` tells of one server."""

    @property
    def server(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def era(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def tools(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def error(self) -> str: ...
    @property
    def stderr(self) -> tuple[str, ...]: ...


def run(arguments: Arguments) -> int:
    """The command; 1 when the configuration has an error or a server did not start."""
    path = arguments.values["config"]
    problems, config = judge(path)
    reports: Sequence[Report] | None = None
    if config is not None and "connect" in arguments.switches:
        reports = asyncio.run(connect_all(config, surroundings()))
    if "json" in arguments.switches:
        print(json.dumps(as_json(path, problems, reports), indent=2))
    else:
        show(path, problems, config, reports, Screen(sys.stdout, os.environ))
    return 0 if passed(problems, reports) else 1


def judge(path: str) -> tuple[tuple[Problem, ...], Config | None]:
    """All findings, and the configuration if it can be used."""
    try:
        config = load(path, surroundings())
    except ConfigError as error:
        return error.problems, None
    return (*config.downs, *config.warnings), config


def passed(problems: Sequence[Problem], reports: Sequence[Report] | None) -> bool:
    """True when nothing is wrong; warnings do not count."""
    return not any(problem.severity == "error" for problem in problems) and not any(r.error for r in reports or ())


def show(path: str, problems: Sequence[Problem], config: Config | None, reports: Sequence[Report] | None,
         screen: Screen) -> None:
    """For people."""
    show_problems(problems, screen)
    if reports is not None:
        show_reports(reports, screen)
    if problems:
        screen.say(tally(problems))
    elif config is not None:
        screen.say(f"{clip(path)}: {counted(len(config.servers), 'server')}, no problems.")


def show_reports(reports: Sequence[Report], screen: Screen) -> None:
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


def _row(report: Report) -> tuple[str, ...]:
    if report.state != "ready":
        return report.server, report.state, report.era or "-", report.version or "-", "-", "-"
    return report.server, report.state, report.era, report.version, str(report.tools), f"{report.seconds:.2f} s"


def as_json(path: str, problems: Sequence[Problem], reports: Sequence[Report] | None) -> dict[str, Any]:
    """For programs. `servers` is there only when they were started."""
    found: dict[str, Any] = {
        "config": path,
        "ok": passed(problems, reports),
        "errors": sum(problem.severity == "error" for problem in problems),
        "warnings": sum(problem.severity == "warning" for problem in problems),
        "problems": [as_object(problem) for problem in problems],
    }
    if reports is not None:
        found["servers"] = [
            {"server": r.server, "state": r.state, "era": r.era or None, "version": r.version or None, "tools": r.tools,
             "seconds": round(r.seconds, 3), "error": r.error or None, "stderr": list(r.stderr)} for r in reports]
    return found
