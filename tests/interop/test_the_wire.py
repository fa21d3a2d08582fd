"""What real hosts and servers read from the gateway: valid by the official schemas, and unchanged where nothing is."""
from __future__ import annotations

import json
import time
from typing import Any

import pytest

from kit import alive, schema

from .installed import CLIENTS, PAIRS
from .runs import Runs, Through, client_named

pytestmark = pytest.mark.interop

HANDSHAKING = [client.name for client in CLIENTS if client.era == "handshake"]

Line = tuple[str, bytes]


def messages(lines: list[Line]) -> list[tuple[str, Any]]:
    return [(side, json.loads(line)) for side, line in lines]


def session_of(conversation: list[tuple[str, Any]]) -> str:
    """The revision that a conversation shook hands on; the stateless one when it did not."""
    asked = {message["id"] for side, message in conversation if side == ">" and message.get("method") == "initialize"}
    for side, message in conversation:
        if side == "<" and message.get("id") in asked and "result" in message:
            return str(message["result"]["protocolVersion"])
    return schema.STATELESS


def faults_of(through: Through) -> list[str]:
    """What the official schemas find wrong with the gateway's messages on all wires of a run."""
    found = []
    for lines in through.wire("host"):
        conversation = messages(lines)
        found += schema.judge(conversation, session_of(conversation), only="<")
    for server in through.servers:
        for lines in through.wire(server.name):
            conversation = messages(lines)
            found += schema.judge(conversation, session_of(conversation), only=">")
    return found


@pytest.mark.parametrize("client_name, mode", PAIRS)
def test_every_message_of_the_gateway_is_valid_on_both_sides(runs: Runs, client_name: str, mode: str) -> None:
    schema.needed()
    found = faults_of(runs.through(client_named(client_name), mode))
    assert not found, "\n".join(found[:20])


def result_texts(lines: list[Line], method: str) -> list[bytes]:
    """The bytes of each result to requests of a method, as they stand on the wire."""
    asked, texts = set(), []
    for side, line in lines:
        message = json.loads(line)
        if side == ">" and message.get("method") == method:
            asked.add(json.dumps(message["id"]))
        elif side == "<" and "result" in message and json.dumps(message["id"]) in asked:
            text = line.decode()
            start = text.index('"result":') + len('"result":')
            _, end = json.JSONDecoder().raw_decode(text, start)
            texts.append(text[start:end].encode())
    return texts


@pytest.mark.parametrize("client_name, mode", [pair for pair in PAIRS if pair[0] in HANDSHAKING])
def test_a_result_that_nobody_changes_keeps_its_bytes(runs: Runs, client_name: str, mode: str) -> None:
    """Asked where no era has to be bridged: a handshake host before handshake servers."""
    through = runs.through(client_named(client_name), mode)
    arrived = {text for lines in through.wire("host") for text in result_texts(lines, "tools/call")}
    for server in through.servers:
        if server.era == "handshake":
            texts = [text for lines in through.wire(server.name) for text in result_texts(lines, "tools/call")]
            assert len(texts) > 5
            assert not [text[:500] for text in texts if text not in arrived]


@pytest.mark.parametrize("client_name", [client.name for client in CLIENTS])
def test_a_process_that_is_only_probed_starts_no_server(runs: Runs, client_name: str) -> None:
    """TypeScript 2.x asks a throw-away copy of us for our era, and python 2.x the process it stays with."""
    through = runs.through(client_named(client_name), "full")
    for server in through.servers:
        assert len(through.wire(server.name)) == 1, f"{server.name} was started more than once"


@pytest.mark.parametrize("client_name", [client.name for client in CLIENTS])
def test_a_server_is_spoken_to_in_the_newest_era_it_has(runs: Runs, client_name: str) -> None:
    through = runs.through(client_named(client_name), "full")
    for server in through.servers:
        (lines,) = through.wire(server.name)
        assert (session_of(messages(lines)) == schema.STATELESS) == (server.era == "stateless"), server.name


@pytest.mark.parametrize("client_name", [client.name for client in CLIENTS])
def test_keys_of_one_hop_never_reach_the_next(runs: Runs, client_name: str) -> None:
    """A handshake server sees nothing of the stateless envelope, and no host's progress token or name."""
    through = runs.through(client_named(client_name), "full")
    for server in through.servers:
        for lines in through.wire(server.name):
            for side, message in messages(lines):
                meta = (message.get("params") or {}).get("_meta") or {} if side == ">" else {}
                if server.era == "handshake" and message.get("method") != "server/discover":
                    assert not [key for key in meta if key.startswith("io.modelcontextprotocol/")], message
                info = meta.get("io.modelcontextprotocol/clientInfo")
                assert info is None or info["name"] == "shack-gateway", message


@pytest.mark.parametrize("client_name", [client.name for client in CLIENTS])
def test_nothing_is_left_running_when_a_host_has_gone(runs: Runs, client_name: str) -> None:
    folder = runs.through(client_named(client_name), "full").folder
    pids = {int(path.suffixes[-2][1:]): path.name for path in folder.glob("*.wire")}
    deadline = time.monotonic() + 10
    while (left := [name for pid, name in pids.items() if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert pids and not left
