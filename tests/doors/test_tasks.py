"""Tools that a server runs as tasks only, called like any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from kit import Kept, M, Scene, json_of, text_of
from kit.answering import ERAS, Answering, form

TASK = {"name": "task", "execution": {"taskSupport": "required"}, "inputSchema": {"type": "object"}}
OFFERS = {"tasks": {"cancel": {}, "requests": {"tools": {"call": {}}}}}
hosts = pytest.mark.parametrize("era", ERAS)


def user(scene: Scene, era: str, *, offers: dict[str, Any] | None = None, **settings: Any) -> Answering:
    scene.server("a", TASK, "echo", capabilities=OFFERS if offers is None else offers)
    return Answering(scene.start(**settings), era)


Users = Callable[[str], tuple[Scene, Answering]]


@pytest.fixture
def users(kept: Kept) -> Users:
    """As `user`, with a gateway that other tests have too; for tasks that come to their end within their test."""

    def meet(era: str) -> tuple[Scene, Answering]:
        scene, host = kept(lambda scene: user(scene, era), era)
        return scene, host.again()

    return meet


@hosts
def test_a_task_is_one_call_to_the_host(users: Users, era: str) -> None:
    scene, host = users(era)
    answer = host.call("a__task", {"secs": 0.3})
    assert json_of(answer) == "done"
    assert "related-task" not in json.dumps(answer)
    assert len(scene.received("a", "tools/call")) == len(scene.received("a", "tasks/result")) == 1
    assert scene.received("a", "tools/call")[0]["params"]["task"] == {"ttl": 600000}
    assert text_of(host.call("a__echo", {"text": "x"})) and "task" not in scene.received("a", "tools/call")[1]["params"]


@hosts
def test_a_task_that_is_alive_is_not_silent(scene: Scene, era: str) -> None:
    host = user(scene, era, request_timeout_secs=1)
    assert json_of(host.call("a__task", {"secs": 1.5})) == "done"
    assert len(scene.received("a", "tasks/get")) >= 3


@hosts
def test_a_task_of_which_nothing_is_heard_is_given_up_and_cancelled(scene: Scene, era: str) -> None:
    host = user(scene, era, request_timeout_secs=1)
    answer = host.call("a__task", {"secs": 60, "mute": True})
    assert answer["error"]["data"]["reason"] == "timeout"
    scene.until(lambda: scene.received("a", "tasks/cancel"), "the task is cancelled")


@hosts
@pytest.mark.parametrize("counts", [True, False])
def test_what_a_task_says_of_itself_is_progress(users: Users, era: str, counts: bool) -> None:
    _, host = users(era)
    token = {"token": "t"} if era == "stateless" else {"progressToken": "t"}
    before = len(host.host.messages)
    host.call("a__task", {"secs": 1.0, "counts": counts}, **token)
    told = [m["params"] for m in host.host.messages[before:] if m.get("method") == "notifications/progress"]
    assert {each["progressToken"] for each in told} == {"t"}
    steps = [each["progress"] for each in told]
    assert steps == sorted(set(steps)) and len(steps) > 1
    assert (7 in steps) is counts


def test_a_host_that_cancels_ends_the_task(scene: Scene) -> None:
    host = user(scene, "handshake")
    id = host.host.send("tools/call", {"name": "a__task", "arguments": {"secs": 60}})
    scene.until(lambda: scene.received("a", "tasks/result"), "it runs")
    host.host.notify("notifications/cancelled", {"requestId": id})
    (cancel,) = scene.until(lambda: scene.received("a", "tasks/cancel"), "the task is cancelled")
    assert cancel["params"] == {"taskId": "task-1"}
    assert text_of(host.call("a__echo", {"text": "on"}))


def test_a_task_that_is_named_after_its_call_was_cancelled_is_cancelled(scene: Scene) -> None:
    scene.server("a", TASK, "echo", capabilities=OFFERS, delays={"tools/call": 0.5})
    host = Answering(scene.start(), "handshake")
    id = host.host.send("tools/call", {"name": "a__task", "arguments": {"secs": 60}})
    scene.until(lambda: scene.received("a", "tools/call"), "it has the call")
    host.host.notify("notifications/cancelled", {"requestId": id})
    scene.until(lambda: scene.received("a", "tasks/cancel"), "the task is cancelled")


@hosts
def test_a_large_result_of_a_task_comes_whole(users: Users, era: str) -> None:
    _, host = users(era)
    assert json_of(host.call("a__task", {"says": 1_000_000})) == "w" * 1_000_000


@hosts
def test_a_task_may_ask(users: Users, era: str) -> None:
    _, host = users(era)
    said = json_of(host.call("a__task", {"asks": form("Which?")}))
    assert said == {"action": "accept", "content": {"name": "to Which?"}}
    assert M + "related-task" not in json.dumps(host.asked)


def test_a_tool_that_answers_at_once_needs_no_task(users: Users) -> None:
    assert text_of(users("handshake")[1].call("a__task", {"plain": True})) == "no task was needed"


def test_a_server_that_does_not_run_tasks_is_called_plainly(scene: Scene) -> None:
    answer = user(scene, "handshake", offers={}).call("a__task")
    assert answer["error"]["code"] == -32601 and "task augmentation" in answer["error"]["message"]


def test_the_host_is_not_told_of_tasks(users: Users) -> None:
    _, host = users("handshake")
    tools = host.host.request("tools/list")["result"]["tools"]
    assert [tool["name"] for tool in tools] == ["a__echo", "a__task"]
    assert not any("execution" in tool for tool in tools)
