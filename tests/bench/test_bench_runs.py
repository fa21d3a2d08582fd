"""The benchmark programs work: they start the gateway, drive it and give figures. No figure is judged here."""
from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the figures are read the Linux way")


def bench(*options: str) -> str:
    command = [sys.executable, os.path.join(HERE, "run.py"), "--quick", "--rounds", "1", "--calls", "20", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_calls_go_through_directly_and_through_the_gateway_in_every_era() -> None:
    figures = json.loads(bench("--only", "latency", "eras", "surface", "--json"))["figures"]
    failed = {name: figure for name, figure in figures.items() if not figure.get("gateway", 0) > 0}
    assert not failed
    assert figures["echo p50"]["direct"] > 0
    assert figures["echo p50"]["over direct"] > 0


def test_an_earlier_run_stands_beside_the_new_one(tmp_path: object) -> None:
    earlier = os.path.join(str(tmp_path), "earlier.json")
    with open(earlier, "w", encoding="utf-8") as file:
        file.write(bench("--only", "surface", "--json"))
    shown = bench("--only", "surface", "--baseline", earlier)
    row = next(line for line in shown.splitlines() if "tool list in progressive mode, 5 tools" in line)
    assert row.rstrip(" |").endswith("1.00"), row


def test_a_gateway_that_does_not_work_is_reported_and_not_waited_for() -> None:
    figures = json.loads(bench("--only", "surface", "--json", "--gateway", f"{sys.executable} -c pass"))["figures"]
    assert "fails" in figures["surface"]["note"]


@pytest.mark.parametrize("options", [(), ("--id-last",), ("--stateless",)], ids=["id first", "id last", "stateless"])
def test_the_echo_server_answers_line_by_line_however_the_lines_come(options: tuple[str, ...]) -> None:
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "é\n"}}}
    big = {**call, "id": 8, "params": {"name": "big", "arguments": {"bytes": 70_000}}}
    sent = "".join(json.dumps(message) + "\n" for message in (call, big, {**call, "id": 9})).encode()
    command = [sys.executable, os.path.join(HERE, "echo_server.py"), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as server:
        assert server.stdin is not None and server.stdout is not None
        for piece in (sent[:10], sent[10:200], sent[200:]):
            server.stdin.write(piece)
        server.stdin.close()
        answers = [json.loads(line) for line in server.stdout.read().splitlines()]
    assert [answer["id"] for answer in answers] == [7, 8, 9]
    assert answers[0]["result"]["content"][0]["text"] == "é\n"
    assert len(answers[1]["result"]["content"][0]["text"]) > 68_000
    assert ("resultType" in answers[0]["result"]) == ("--stateless" in options)
