"""The part that both Python client drivers share: walks the steps of a plan and writes the report.

A plan is `{"connections": {NAME: {"command", "args", "env", "cwd", "mode", "steps": [...]}}}`; all connections of a
plan are open side by side. A step is `{"do": WORD, ...}`: WORD is a method of the driver's `Link`, or one of

    together {steps}                    all of them at once
    series {steps}                      one after the other, as part of a `together`
    until {step, holds}                 the step again and again, until its answer holds the text
    heard {method, holds}               waits for a notification whose params hold the text, since the step before began
    pause {seconds}

A connection may have `replies` too: see replies.py. The report holds, per connection, what was negotiated, one answer
per step, every notification, and every question. Runs under the SDK's own interpreter: standard library, anyio and the
SDK only.
"""
from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

STEP_SECONDS = 60.0


class Noted:
    """What a connection heard without having asked."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []
        self.mark = 0
        self.leave: Callable[[], None] = lambda: None
        self._news = anyio.Event()

    def add(self, method: str, params: Any) -> None:
        self.all.append({"method": method, "params": params})
        self._news.set()
        self._news = anyio.Event()

    async def until(self, method: str, holds: str) -> None:
        def meant(note: dict[str, Any]) -> bool:
            return bool(note["method"] == method and holds in json.dumps(note["params"]))

        while not any(map(meant, self.all[self.mark:])):
            await self._news.wait()


def plain(model: Any) -> Any:
    """A result as it was on the wire: members by their wire names, nothing filled in."""
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)


def told(error: BaseException) -> dict[str, Any]:
    """An error as data; groups are opened, since the SDKs wrap what they raise."""
    inner = getattr(error, "exceptions", None)
    if inner:
        return told(inner[0])
    data = getattr(error, "error", None)
    if data is not None and hasattr(data, "code"):
        return {"error": plain(data)}
    return {"raised": f"{type(error).__name__}: {error}"}


async def walk(link: Any, wanted: dict[str, Any], noted: Noted, report: dict[str, Any]) -> None:
    answers = report["answers"] = list[Any]()
    for step in wanted["steps"]:
        if step["do"] != "heard":
            noted.mark = len(noted.all)
        answers.append(await one(link, dict(step), noted))
    report["walked"] = True


async def one(link: Any, step: dict[str, Any], noted: Noted) -> Any:
    word = step.pop("do")
    limit = step.pop("within", STEP_SECONDS)
    try:
        with anyio.fail_after(limit):
            if word == "together":
                return await together(link, step["steps"], noted)
            if word == "series":
                return {"result": [await one(link, dict(inner), noted) for inner in step["steps"]]}
            if word == "until":
                return await until(link, step["step"], step["holds"], noted)
            if word == "heard":
                return {"result": await noted.until(step["method"], step.get("holds", ""))}
            if word == "pause":
                return {"result": await anyio.sleep(step["seconds"])}
            return await getattr(link, word)(**step)
    except TimeoutError:
        return {"raised": f"no answer within {limit} s"}
    except Exception as error:
        return told(error)


async def together(link: Any, steps: list[dict[str, Any]], noted: Noted) -> dict[str, Any]:
    answers: list[Any] = [None] * len(steps)

    async def into(place: int) -> None:
        answers[place] = await one(link, dict(steps[place]), noted)

    async with anyio.create_task_group() as group:
        for place in range(len(steps)):
            group.start_soon(into, place)
    return {"result": answers}


async def until(link: Any, step: dict[str, Any], holds: str, noted: Noted) -> Any:
    while True:
        answer = await one(link, dict(step), noted)
        if holds in json.dumps(answer):
            return answer
        await anyio.sleep(0.02)


Connect = Callable[[dict[str, Any], Noted, dict[str, Any]], Awaitable[None]]


def main(connect: Connect) -> None:
    """Reads the plan named on the command line; `connect` fills each connection's part of the report."""
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    report: dict[str, Any] = {}

    def leave() -> None:
        """The host is gone from one moment to the next; what it has seen until then is told."""
        print(json.dumps(report), flush=True)
        os._exit(0)

    async def open_one(name: str, wanted: dict[str, Any]) -> None:
        noted = Noted()
        noted.leave = leave
        part = report[name] = {"notifications": noted.all}
        try:
            await connect(wanted, noted, part)
        except Exception as error:
            # SDK 1.x raises out of its reader when a message comes while it closes: what was heard until then counts.
            part["closing" if "walked" in part else "failed"] = told(error)

    async def everything() -> None:
        async with anyio.create_task_group() as group:
            for name, wanted in plan["connections"].items():
                group.start_soon(open_one, name, wanted)

    anyio.run(everything)
    print(json.dumps(report))
