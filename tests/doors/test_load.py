"""Many calls at once and many in a row: each is answered once, or, when it was cancelled, at most once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kit import Scene, json_of


@pytest.mark.parametrize("era", ["handshake", "stateless"])
def test_a_thousand_calls_at_once_are_all_answered_with_their_own_result(scene: Scene, era: str) -> None:
    for name in ("alpha", "beta"):
        scene.server(name, "echo", "sleep", era=era, log=False)
    host = scene.start(keep=False)
    host.handshake()
    ids = []
    for number in range(1000):
        tool = ("alpha__echo", "beta__sleep", "beta__echo", "alpha__sleep")[number % 4]
        arguments = {"n": number, "secs": 0.2, "mark": str(number)}
        ids.append((number, tool, host.send("tools/call", {"name": tool, "arguments": arguments}, id=f"c{number}")))
    for number, tool, id in ids:
        answer = host.answer(id, 30)
        text = answer["result"]["content"][0]["text"]
        assert (json.loads(text)["n"] if tool.endswith("echo") else int(text.split()[1])) == number


def test_ten_thousand_calls_in_a_row_are_answered_and_leave_nothing_in_memory(scene: Scene) -> None:
    scene.server("alpha", "echo", log=False)
    host = scene.start(keep=False)
    host.handshake()
    params = {"name": "alpha__echo", "arguments": {"text": "x" * 64}}
    for _ in range(1000):
        host.request("tools/call", params, id="same")
    measured = Path("/proc/self/status").exists()
    before = host.memory_kib("VmRSS") if measured else 0
    for _ in range(9000):
        assert "result" in host.request("tools/call", params, id="same")
    if measured:
        assert host.memory_kib("VmRSS") - before < 2500, "memory grows with the calls"


def test_ten_thousand_calls_through_the_pipe_are_answered_each_once(scene: Scene) -> None:
    scene.server("alpha", "echo", log=False)
    host = scene.start(keep=False, max_open_calls=20_000)
    host.handshake()
    host.call("alpha__echo")
    lines = []
    for number in range(10_000):
        host.expect(f"n{number}")
        lines.append(
            json.dumps(
                {
                    "jsonrpc": "2.0",
                    "id": f"n{number}",
                    "method": "tools/call",
                    "params": {"name": "alpha__echo", "arguments": {"n": number}},
                }
            )
        )
        if len(lines) == 500:
            host.send_raw(("\n".join(lines) + "\n").encode(), 30)
            lines = []
    for number in range(10_000):
        assert json_of(host.answer(f"n{number}", 30)) == {"n": number}


def test_a_thousand_cancelled_calls_are_never_answered_and_hold_nothing(scene: Scene) -> None:
    scene.server(
        "alpha", "sleep", "echo", {"name": "late", "does": "sleep", "with": {"stubborn": True, "secs": 0.3}}, log=False
    )
    host = scene.start(keep=False)
    host.handshake()
    host.call("alpha__echo")
    for number in range(1000):
        name, arguments = ("alpha__late", {}) if number % 2 else ("alpha__sleep", {"secs": 60})
        host.send("tools/call", {"name": name, "arguments": arguments}, id=f"x{number}")
        if number % 3 == 0:
            host.settle()
        host.notify("notifications/cancelled", {"requestId": f"x{number}"})
    assert json_of(host.call("alpha__echo", {"n": 1})) == {"n": 1}
    # The late ones have answered the gateway by now: a call that takes longer than they do has come back.
    host.call("alpha__sleep", {"secs": 0.8})
    host.settle()
    answered = [id for _, id in host.answers if str(id).startswith("x")]
    assert answered == []
    assert host.close(8) == 0, "a cancelled call holds nothing up"


def test_more_calls_than_may_be_open_are_refused_and_the_others_served(scene: Scene) -> None:
    scene.server("alpha", "sleep", "echo")
    host = scene.start(max_open_calls=10)
    host.handshake()
    host.call("alpha__echo")
    ids = [host.send("tools/call", {"name": "alpha__sleep", "arguments": {"secs": 0.6}}) for _ in range(25)]
    answers = [host.answer(id) for id in ids]
    served, refused = [a for a in answers if "result" in a], [a for a in answers if "error" in a]
    assert (len(served), len(refused)) == (10, 15)
    assert all("alpha" in a["error"]["message"] and "10" in a["error"]["message"] for a in refused)
    assert json_of(host.call("alpha__echo", {"n": 1})) == {"n": 1}


def test_a_quick_call_overtakes_slow_ones(scene: Scene) -> None:
    scene.server("alpha", "sleep", "echo")
    host = scene.start()
    host.handshake()
    slow = [host.send("tools/call", {"name": "alpha__sleep", "arguments": {"secs": 1.5}}) for _ in range(50)]
    assert json_of(host.call("alpha__echo", {"n": 1})) == {"n": 1}
    assert not any((int, id) in host.answers for id in slow)
    for id in slow:
        host.answer(id)
