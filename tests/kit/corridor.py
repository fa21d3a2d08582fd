"""What tests of the corridor are made of: calls, ports over the real file system, a driver without an event loop."""
from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from shack_gateway.catalog.facts import NO_FACTS, Facts
from shack_gateway.config.fields import Value, defaults, read_object
from shack_gateway.pipeline.call import TOOL, Call, Complete, Context, Outcome, Refused
from shack_gateway.pipeline.chain import Chain, HookRun, Ports, Program, Stage
from shack_gateway.pipeline.stages import masking
from shack_gateway.resolve import realpath


def call(
    arguments: Mapping[str, Any] | None = None, *, server: str = "fs", target: str = "read", kind: str = TOOL,
    name: str | None = None,
) -> Call:
    name = f"{server}__{target}" if name is None else name
    return Call(7, kind, server, name, target, dict(arguments or {}), {}, Context())


def run(coroutine: Coroutine[Any, None, Any]) -> Any:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the coroutine waits for something")


async def no_hook(program: Program, payload: bytes, limit: float) -> HookRun:
    raise AssertionError(f"hook `{program.command}` was run")


def ports(
    root: object = "/ws", *, realpath: Callable[[str], str] = realpath,
    run_hook: Callable[[Program, bytes, float], Awaitable[HookRun]] = no_hook,
    folders: Mapping[str, str] | None = None, log: list[tuple[str, str]] | None = None,
    facts: Callable[[Call], Facts] = lambda call: NO_FACTS, **more: Any,
) -> Ports:
    said: list[tuple[str, str]] = [] if log is None else log
    return Ports(
        str(root), realpath, run_hook, lambda level, text: said.append((level, text)), folders or {}, facts=facts,
        **more,
    )


def read(module: Any, **settings: Any) -> tuple[dict[str, Any], list[str]]:
    """What a stage's keys read as, and what was found: `error ...` and `warning ...`."""
    value = Value(settings)
    out = read_object(value, module.FIELDS)
    return out, [f"{f.severity} {f.what} {f.fix}".strip() for f in value.findings.found]


def stage(module: Any, given: Ports, **settings: Any) -> Stage | None:
    """A stage built from settings without a fault."""
    out, found = read(module, **settings)
    assert not [finding for finding in found if finding.startswith("error")], found
    built: Stage | None = module.build(out, given)
    return built


class Road:
    """A chain whose end remembers what was sent."""

    def __init__(
        self, *stages: Stage, answer: Outcome | None = None, seal: Callable[[Outcome], Outcome] = masking.seal
    ) -> None:
        self.sent: list[Call] = []
        self.log: list[tuple[str, str]] = []
        self._answer = answer if answer is not None else complete({"content": []})
        self.chain = Chain(stages, self._route, seal, lambda level, text: self.log.append((level, text)))

    async def _route(self, call: Call) -> Outcome:
        self.sent.append(call)
        return self._answer

    def run(self, call: Call) -> Any:
        return run(self.chain.run(call))


def complete(value: Mapping[str, Any]) -> Complete:
    return Complete(json.dumps(value).encode(), server="fs")


def refused(outcome: object) -> Refused:
    assert isinstance(outcome, Refused), outcome
    return outcome


__all__ = ["Road", "call", "complete", "defaults", "no_hook", "ports", "read", "refused", "run", "stage"]
