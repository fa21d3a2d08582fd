"""Dry run: calls that would change something are shown instead of sent.  Pure.

Rule 1: only a tool that says itself that it only reads is called; what a server says of its tools is no proof, and a
        dry run is as good as its servers are honest.
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...config.fields import Field, flag, usable
from ..call import TOOL, Call, Complete, Outcome
from ..chain import Ports, Stage

FIELDS: tuple[Field, ...] = (
    Field("dry_run", flag, False, "`true` calls only tools that say that they only read (`readOnlyHint`); calls of all "
          "others are answered with what would have been sent. `SHACK_DRY_RUN=1` in the environment does the same.",
          "true or false"),
)


def build(settings: Mapping[str, Any], ports: Ports) -> Stage | None:
    """The stage; none where calls are to be sent."""
    if not settings["dry_run"]:
        return None
    ports.report("info", "dry run: calls of tools that do not say that they only read are shown and not sent")
    return DryRun(ports)


class DryRun(Stage):
    """Answers calls that may change something with what would have been sent."""

    name = "dry_run"

    def __init__(self, ports: Ports) -> None:
        self._facts = ports.facts

    def concerns(self, call: Call) -> bool:
        """False for what only reads by its nature."""
        return call.kind == TOOL

    def alters(self, call: Call) -> bool:
        """True for what is not sent."""
        return not self._reads(call)

    async def before(self, call: Call) -> Call | Outcome:
        """The call where it only reads; else a result that says what it would have been."""
        if self._reads(call):
            return call
        what = {"server": call.server, "tool": call.target, "arguments": call.arguments}
        shown = json.dumps(what, ensure_ascii=False, indent=2)
        if not usable(shown):
            shown = json.dumps(what, indent=2)
        text = f"Dry run: nothing was sent. This call would have been made:\n{shown}"
        value = {"content": [{"type": "text", "text": text}], "isError": False}
        return Complete(json.dumps(value).encode(), server=call.server, value=value)

    def why(self, call: Call) -> str:
        """Why the call is sent all the same."""
        return "the tool says that it only reads" if call.kind == TOOL else "it only reads"

    def _reads(self, call: Call) -> bool:
        return call.kind != TOOL or self._facts(call).says_read_only is True
