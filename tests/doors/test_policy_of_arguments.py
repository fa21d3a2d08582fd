"""Guardrails, injections and dry runs in the real program, judged at what reached the server."""
from __future__ import annotations

from typing import Any

import pytest

from kit import Scene, text_of
from kit.host import Host

ERAS = ("handshake", "stateless")
hosts = pytest.mark.parametrize("era", ERAS)


def make(host: Host, era: str, name: str, arguments: dict[str, Any], *, wrapped: bool = False) -> dict[str, Any]:
    """A call by a host of that era, also through the meta-tool."""
    if wrapped:
        name, arguments = "shack_call_tool", {"name": name, "arguments": arguments}
    if era == "stateless":
        return host.ask("tools/call", {"name": name, "arguments": arguments})
    return host.call(name, arguments)


def arguments_at(scene: Scene, server: str = "a") -> list[Any]:
    return [message["params"].get("arguments") for message in scene.received(server, "tools/call")]


@hosts
@pytest.mark.parametrize("wrapped", [False, True], ids=["direct", "meta-tool"])
def test_what_a_guardrail_forbids_does_not_reach_the_server(scene: Scene, era: str, wrapped: bool) -> None:
    scene.server("a", "echo")
    host = scene.start(guardrails=[{"tool": "a__*", "contains": "rm -rf", "reason": "Not here."}],
                       injections=[{"tool": "a__*", "append": {"text": "!"}}])
    if era == "handshake":
        host.handshake()
    for bad in ({"text": "rm  -rf"}, {"x": [{"rm\u200b -rf": 1}]}, {"x": ["rm", "-rf"]}, {"x": "%72m%20-rf"}):
        answer = make(host, era, "a__echo", bad, wrapped=wrapped)
        said = answer["error"]["message"] if era == "handshake" else text_of(answer)
        assert "guardrails[0]" in said and "Not here." in said and "-rf" not in said
    make(host, era, "a__echo", {"text": "rm"}, wrapped=wrapped)
    assert arguments_at(scene) == [{"text": "rm!"}]


def test_what_an_injection_completes_to_a_forbidden_text_does_not_reach_the_server(scene: Scene) -> None:
    scene.server("a", "echo")
    host = scene.start(guardrails=[{"contains": "rm -rf"}], injections=[{"append": {"text": "-rf"}}])
    host.handshake()
    assert host.call("a__echo", {"text": "rm "})["error"]["data"]["stage"] == "guardrails"
    assert host.call("a__echo", {"text": ["rm "]})["error"]["data"]["stage"] == "injections"
    assert text_of(host.call("a__echo", {}))
    assert arguments_at(scene) == [{"text": "-rf"}]


@hosts
def test_a_dry_run_calls_only_what_says_that_it_only_reads(scene: Scene, era: str) -> None:
    reads = {"name": "look", "annotations": {"readOnlyHint": True}}
    writes = {"name": "write", "annotations": {"readOnlyHint": False}}
    scene.server("a", "echo", reads, writes)
    host = scene.start(env={"SHACK_DRY_RUN": "1"}, injections=[{"set": {"who": "me"}}])
    if era == "handshake":
        host.handshake()
    for name in ("a__write", "a__echo"):
        said = text_of(make(host, era, name, {"x": name}))
        assert said.startswith("Dry run: nothing was sent.") and '"who": "me"' in said and f'"x": "{name}"' in said
    make(host, era, "a__look", {"x": 1})
    assert arguments_at(scene) == [{"x": 1, "who": "me"}]
    assert "dry run: calls of tools" in host.log
