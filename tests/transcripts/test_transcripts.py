"""Whole conversations, replayed line for line against the real program: each host revision before each server era.

    SHACK_RECORD=1 python -m pytest tests/transcripts      records them anew; the difference is to be read and reviewed

A line of a transcript is `> ` and what the host sends, or `< ` and what the gateway sends; `<WORKSPACE>` and
`<VERSION>` stand for what differs from run to run, `<STATE>` for the `requestState` that came last. Every line of the
gateway is also judged by the official schemas, and so is every line that reached the server.
"""

from __future__ import annotations

import json
import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import shack_gateway
from kit import Host, Scene, schema
from transcripts import scenario

HERE = Path(__file__).parent
RECORD = os.environ.get("SHACK_RECORD", "") not in ("", "0")
QUIET = 0.8
"""Seconds of silence after which a recording takes nothing more to come."""
END = "# end of input"
STATE = re.compile(r'"requestState":("(?:[^"\\]|\\.)*")')
CONVERSATIONS = [(f"{host}-{server}", host, server, scenario.steps) for host, server in scenario.PAIRS]
CONVERSATIONS += [
    (f"questions-{host}-{server}", host, server, scenario.question_steps) for host, server in scenario.QUESTIONS
]
conversations = pytest.mark.parametrize("name, host, server, steps", CONVERSATIONS, ids=[c[0] for c in CONVERSATIONS])


def path_of(name: str) -> Path:
    return HERE / f"{name}.jsonl"


class Stage:
    """The gateway of one conversation, and how its lines are written down."""

    def __init__(self, scene: Scene, server: str, asks: bool) -> None:
        scenario.furnish(scene, server, *(["interview"] if asks else []))
        self._asks = asks
        self.host: Host = scene.start(**scenario.SETTINGS)
        self.host.tolerant = True
        self._swaps = [
            (json.dumps(str(scene.workspace.resolve()))[1:-1], "<WORKSPACE>"),
            (f'"version":{json.dumps(shack_gateway.__version__)}', '"version":"<VERSION>"'),
            (f'"version": {json.dumps(shack_gateway.__version__)}', '"version": "<VERSION>"'),
        ]
        self.read = 0
        self._state = ""

    def send(self, text: str) -> None:
        text = text.replace('"<STATE>"', self._state)
        for real, written in self._swaps[:1]:
            text = text.replace(written, real)
        self.host.send_raw(text.encode() + b"\n")

    def take(self, count: int) -> list[str]:
        """The next `count` lines of the gateway."""
        self.host.wait(lambda: len(self.host.lines) >= self.read + count, f"{count} lines should come")
        return self.rest(count)

    def take_until_quiet(self) -> list[str]:
        while True:
            known = len(self.host.lines)
            try:
                self.host.wait(lambda known=known: len(self.host.lines) > known, "quiet", QUIET)
            except AssertionError:
                return self.rest(known - self.read)

    def rest(self, count: int | None = None) -> list[str]:
        lines = self.host.lines[self.read : None if count is None else self.read + count]
        self.read += len(lines)
        return [self.written(line) for line in lines]

    def written(self, line: bytes) -> str:
        text = line.decode()
        for real, written in self._swaps:
            text = text.replace(real, written)
        state = STATE.search(text) if self._asks else None
        if state is not None:
            self._state = state[1]
            text = text.replace(state[1], '"<STATE>"')
        return text


def record(stage: Stage, name: str, host: str, server: str, steps: Any) -> None:
    """Play the scenario and write down what happens."""
    out = [f"# A host of {host} before a server of the {server} era. Recorded: see test_transcripts.py."]
    for step in steps(host, server):
        if step is scenario.LATER:
            out.extend("< " + line for line in stage.take_until_quiet())
            continue
        text = step.decode() if isinstance(step, bytes) else json.dumps(step, ensure_ascii=False)
        out.append("> " + text)
        stage.send(text)
        if (
            isinstance(step, dict)
            and "id" in step
            and "method" in step
            and "alpha__stall" not in text
            and not ("alpha__interview" in text and host != scenario.STATELESS)
            and step["method"] != "subscriptions/listen"
        ):
            key = type(step["id"]), step["id"]
            stage.host.wait(lambda key=key: key in stage.host.answers, f"no answer to {text}")
            out.extend("< " + line for line in stage.rest())
    out.append(END)
    stage.host.close()
    out.extend("< " + line for line in stage.rest())
    path_of(name).write_text("\n".join(out) + "\n", encoding="utf-8")


def exchanges(lines: list[str]) -> list[tuple[str, list[str]]]:
    """What the host sends, each with the lines that follow it; the end of its input is `END`."""
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        if line == END:
            found.append((END, []))
        elif line.startswith("> "):
            found.append((line[2:], []))
        elif line.startswith("< "):
            found[-1][1].append(line[2:])
    return found


@conversations
def test_a_conversation_goes_as_it_was_recorded(scene: Scene, name: str, host: str, server: str, steps: Any) -> None:
    stage = Stage(scene, server, steps is scenario.question_steps)
    if RECORD:
        record(stage, name, host, server, steps)
        return
    for said, expected in exchanges(path_of(name).read_text(encoding="utf-8").split("\n")):
        if said == END:
            stage.host.close()
            assert stage.rest() == expected, "at the end"
        else:
            stage.send(said)
            assert stage.take(len(expected)) == expected, f"after > {said}"
    if find_spec("jsonschema") is not None:
        version = "2026-07-28" if server == "stateless" else "2025-11-25"
        sent = [(">", message) for message in scene.received("alpha") if "method" in message]
        assert len(sent) > 25 or name.startswith("questions")
        faults = schema.judge(sent, version)
        assert not faults, "\n".join(faults)


@conversations
def test_every_recorded_line_of_the_gateway_is_valid(name: str, host: str, server: str, steps: Any) -> None:
    schema.needed()
    conversation: list[tuple[str, dict[str, Any]]] = []
    for line in path_of(name).read_text(encoding="utf-8").split("\n"):
        if line[:2] in ("> ", "< "):
            try:
                value = json.loads(line[2:])
            except ValueError:
                continue
            conversation.extend((line[0], part) for part in (value if isinstance(value, list) else [value]))
    assert len(conversation) > (8 if name.startswith("questions") else 60)
    faults = schema.judge(conversation, host, only="<")
    assert not faults, "\n".join(faults)


def test_every_pair_of_eras_has_its_transcript_and_no_other() -> None:
    assert {path.name for path in HERE.glob("*.jsonl")} == {path_of(name).name for name, *_ in CONVERSATIONS}
