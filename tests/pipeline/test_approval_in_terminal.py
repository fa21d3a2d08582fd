"""A call that needs several approvals in a terminal gets them one after the other, and then passes; once."""
from __future__ import annotations

import json
import re
from typing import Any

import pytest

from kit.corridor import Road, call, ports, refused, stage
from shack_gateway.pipeline.approval import Office
from shack_gateway.pipeline.call import Complete
from shack_gateway.pipeline.chain import HookRun, Program
from shack_gateway.pipeline.stages import hooks, injections, permissions


class Desk:
    """Approvals as the real desk gives them: a code for each call, good once."""

    def __init__(self) -> None:
        self.codes: dict[str, str] = {}
        self.approved: set[str] = set()

    def request(self, digest: str, about: Any) -> str:
        return self.codes.setdefault(digest, f"CODE-{len(self.codes)}")

    def approve(self, code: str) -> None:
        self.approved |= {digest for digest, known in self.codes.items() if known == code}

    def take(self, digest: str) -> bool:
        if digest not in self.approved:
            return False
        self.approved.discard(digest)
        del self.codes[digest]
        return True


class Clock:
    secs = 0.0

    def __call__(self) -> float:
        return self.secs


def office(desk: Desk, clock: Clock) -> Office:
    return Office(desk, lambda rule: "", clock, lambda text: text, 300.0, "/c.json")


async def asking(program: Program, payload: bytes, limit: float) -> HookRun:
    said = {"hookEventName": "PreToolUse", "permissionDecision": "ask",
            "updatedInput": {**json.loads(payload)["tool_input"], "hooked": 1}}
    return HookRun(0, json.dumps({"hookSpecificOutput": said}), "")


WAYS = {
    "one rule": ([(permissions, {"permissions": {"ask": ["fs__read"]}})], 1),
    "a rule, and an injection behind it": ([
        (permissions, {"permissions": {"ask": ["fs__read"]}}), (injections, {"injections": [{"set": {"x": 1}}]})], 2),
    "a rule, and a hook that asks and changes the call": ([
        (permissions, {"permissions": {"ask": ["fs__read"]}}), (hooks, {"pre_tool_hook": "h"})], 3),
}


def made(desk: Desk, clock: Clock, way: list[Any]) -> Road:
    given = ports(run_hook=asking, office=office(desk, clock))
    built = [stage(module, given, **settings) for module, settings in way]
    return Road(*[each for each in built if each is not None])


@pytest.mark.parametrize("name", WAYS)
def test_each_approval_brings_the_call_further_and_all_of_them_make_it_once(name: str) -> None:
    way, most = WAYS[name]
    desk, clock = Desk(), Clock()
    road = made(desk, clock, way)
    for tries in range(most + 1):
        outcome = road.run(numbered(tries))
        if isinstance(outcome, Complete):
            break
        code = re.search(r"approve (CODE-\d+)", refused(outcome).text)
        assert code is not None
        desk.approve(code[1])
    assert isinstance(outcome, Complete) and 1 <= tries <= most and len(road.sent) == 1
    refused(road.run(numbered(50)))
    assert len(road.sent) == 1, "what was approved is used up"


@pytest.mark.parametrize("secs, passes", [(299.0, True), (301.0, False)])
def test_what_was_given_back_is_forgotten_in_time(secs: float, passes: bool) -> None:
    desk, clock = Desk(), Clock()
    road = made(desk, clock, WAYS["a rule, and an injection behind it"][0])
    refused(road.run(numbered(1)))
    desk.approve("CODE-0")
    second = re.search(r"CODE-\d+", refused(road.run(numbered(2))).text)
    assert second is not None
    clock.secs = secs
    desk.approve(second[0])
    assert isinstance(road.run(numbered(3)), Complete) is passes


def numbered(number: int) -> Any:
    made = call({"path": "a"})
    made.number = number
    return made
