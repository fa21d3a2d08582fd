"""`shack-gateway demo` end to end: the real gateway, the real servers, and what is left when it is over."""
from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kit import Host, Scene, wait_gone
from kit.host import ROOT
from shack_gateway.cli.demo_host import Unexpected
from shack_gateway.cli.tour import STEPS, json_of, must, refusal_of, result_of, text_of

if sys.version_info >= (3, 11):
    import tomllib

EXAMPLE = "shack-config.example.json"
PATIENCE = 60


def demo(scene: Scene, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a stranger would who has only cloned the repository."""
    environ = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "NO_COLOR")}
    return subprocess.run(
        [sys.executable, "-m", "shack_gateway", "demo", *args], cwd=ROOT, env={**environ, **scene.environ(), **env},
        capture_output=True, text=True, timeout=PATIENCE, check=False)


def clone() -> set[str]:
    """What lies in the clone where the demo runs."""
    return {path.name for path in (*ROOT.iterdir(), *(ROOT / "shack_gateway" / "demo").iterdir())
            if not path.name.startswith((".", "__"))}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What one good run prints, every line of the pipe included; it must leave nothing behind."""
    folder = tmp_path_factory.mktemp("demo")
    before, scene = clone(), Scene(folder)
    done = demo(scene, "--raw", TMPDIR=str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert clone() == before
    assert not list(folder.glob("shack-demo-*"))
    wait_gone(scene.marker, 8)
    return done.stdout


def test_the_demo_shows_every_step(shown: str) -> None:
    for number, step in enumerate(STEPS, start=1):
        assert f"{number:>2} {step.title}\n" in shown
    assert f"All {len(STEPS) + 1} steps got what they should" in shown
    assert "!!" not in shown and "\x1b" not in shown


def test_raw_shows_every_line_as_it_is(shown: str) -> None:
    lines = [line.strip() for line in shown.splitlines()]
    messages = [json.loads(line[3:]) for line in lines if line[:3] in (">> ", "<< ")]
    assert all(message["jsonrpc"] == "2.0" for message in messages)
    asked = {message["id"] for message in messages if "method" in message and "id" in message}
    assert asked == {message["id"] for message in messages if "method" not in message} != set()


def test_a_demo_that_goes_wrong_says_where_and_ends_with_1(scene: Scene) -> None:
    done = demo(scene, SHACK_PYTHON=str(scene.folder / "no-such-python"))
    assert done.returncode == 1
    assert re.search(r"\d+ of \d+ steps did not get what they should:", done.stdout)
    assert "Calling it: " in done.stdout and "The gateway's log ends so:" in done.stdout
    assert "paste" not in done.stdout
    wait_gone(scene.marker, 8)


def test_a_gateway_that_ends_too_early_is_told_as_such(scene: Scene) -> None:
    done = demo(scene, SHACK_WORKSPACE="", PYTHONPATH=str(broken_gateway(scene.folder)))
    assert done.returncode == 1, done.stdout
    assert "the gateway ended before it answered initialize" in done.stdout and "out of order" in done.stdout


def broken_gateway(folder: Path) -> Path:
    """A folder that makes every Python that was told to serve end at once."""
    (folder / "sitecustomize.py").write_text(
        "import sys\nif '--config' in sys.orig_argv:\n    sys.exit('out of order')\n")
    return folder


def test_what_is_to_be_pasted_starts_the_gateway_from_anywhere(shown: str, scene: Scene, tmp_path: Path) -> None:
    """The texts are taken out of the demo's output and read as the hosts read them."""
    texts = dict(re.findall(r"^(Claude Code|Claude Desktop|VS Code|Codex)\b.*\n((?:    .*\n?)+)", shown, re.MULTILINE))
    entry = json.loads(shlex.split(texts["Claude Code"])[-1])
    assert entry.pop("type") == "stdio"
    assert json.loads(texts["Claude Desktop"]) == {"mcpServers": {"shack": entry}}
    assert json.loads(texts["VS Code"]) == {"servers": {"shack": {"type": "stdio", **entry}}}
    if sys.version_info >= (3, 11):
        assert tomllib.loads(texts["Codex"]) == {"mcp_servers": {"shack": entry}}

    environ = {"PATH": os.environ["PATH"], **scene.environ(), **entry["env"], "SHACK_WORKSPACE": str(tmp_path)}
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
        "name": "newschool__longest_words", "arguments": {"text": "a gateway", "count": 1}}}
    greeted = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    lines = "".join(json.dumps(line) + "\n" for line in (hello, greeted, call))
    done = subprocess.run([entry["command"], *entry["args"]], input=lines, cwd="/", env=environ, capture_output=True,
                          text=True, timeout=PATIENCE, check=True)
    answers = {answer["id"]: answer for answer in map(json.loads, done.stdout.splitlines()) if "id" in answer}
    assert answers[2]["result"]["content"][0]["text"] == '["gateway"]', done.stderr


def test_the_example_in_the_package_is_the_one_of_the_clone() -> None:
    """An installed package has no clone beside it, so it carries a copy; `cp` mends this test."""
    assert (ROOT / EXAMPLE).read_bytes() == (ROOT / "shack_gateway" / "demo" / EXAMPLE).read_bytes()


def test_the_example_has_no_problems_and_all_its_servers_start(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHACK_WORKSPACE", str(scene.workspace))
    done = scene.run("check", "--connect", "--json", "--config", str(ROOT / EXAMPLE))
    found = json.loads(done.stdout)
    assert (done.returncode, found["problems"]) == (0, [])
    states = {server["server"]: (server["state"], server["era"]) for server in found["servers"]}
    assert states == {"notes": ("ready", "stateless"), "tickets": ("ready", "stateless"),
                      "oldschool": ("ready", "handshake"), "newschool": ("ready", "stateless")}


def test_the_example_runs_from_the_clone_with_a_plain_command_line(scene: Scene) -> None:
    """Without what the gateway itself puts into the environment of a configuration, too."""
    environ = {"PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}
    code = ("import json, os; from shack_gateway.config.load import load; "
            f"c = load({EXAMPLE!r}, os.environ); "
            "print(json.dumps([len(c.servers), len(c.warnings), len(c.downs), c.servers[0].args]))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True,
                          timeout=PATIENCE, check=True)
    assert json.loads(done.stdout) == [4, 0, 0, ["shack_gateway/demo", "notes"]]


def test_a_locked_note_cannot_be_written(scene: Scene) -> None:
    """The second rule of the example, in every spelling of the path."""
    environ = {**os.environ, **scene.environ(), "SHACK_WORKSPACE": str(scene.workspace)}
    host = Host(ROOT / EXAMPLE, env=environ)
    scene.hosts.append(host)
    host.handshake()
    for path in ("demo-notes/locked.md", "./demo-notes/locked.md", str(scene.workspace / "demo-notes" / "locked.md")):
        answer = host.call("notes__write_note", {"path": path, "content": "x"})
        assert answer["error"]["code"] == -32002, path
    assert "result" in host.call("notes__write_note", {"path": "demo-notes/open.md", "content": "x"})
    assert [path.name for path in (scene.workspace / "demo-notes").iterdir()] == ["open.md"]


def test_a_python_that_is_too_old_is_told_so() -> None:
    code = ("import runpy, sys; sys.argv = ['x', 'demo']; sys.version_info = (3, 9, 18); "
            "runpy.run_path('shack_gateway', run_name='__main__')")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE,
                          check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("shack-gateway needs Python 3.10 or newer; ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("judge", [
    lambda: result_of({"error": {"code": -32603, "message": "x"}}),
    lambda: text_of({"result": {"content": [{"type": "text", "text": "x"}], "isError": True}}),
    lambda: json_of({"error": {"code": -32603, "message": "x"}}),
    lambda: refusal_of({"error": {"code": -32603, "message": "x"}}, -32001),
    lambda: refusal_of({"result": {"content": []}}, -32001),
    lambda: must([], "something", []),
], ids=["an error for a result", "a failed tool", "an error for JSON", "another refusal", "no refusal", "nothing"])
def test_the_demo_takes_nothing_else_for_what_it_expects(judge: Callable[[], object]) -> None:
    with pytest.raises(Unexpected):
        judge()
