"""What is hidden appears in no line that a host reads and reaches no server; renamed tools; profiles; at the servers'
own logs."""
from __future__ import annotations

import json
from typing import Any

import pytest

from kit import Host, json_of, text_of
from kit.scene import Scene

ZAP = {"name": "zap_all", "description": "Zaps everything.", "does": "echo"}
BOTH = pytest.mark.parametrize("stateless", [False, True], ids=["handshake", "stateless"])
MODES = pytest.mark.parametrize("mode", ["full", "progressive"])


class Asker:
    """A host of either era."""

    def __init__(self, host: Host, stateless: bool) -> None:
        self.host, self.stateless = host, stateless
        self.greeting = host.ask("server/discover")["result"] if stateless else host.handshake()

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        return self.host.ask(method, params) if self.stateless else self.host.request(method, params)

    def tool(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        return self("tools/call", name=tool, arguments=arguments)

    def look_around(self) -> None:
        """Read everything that there is to be read."""
        for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list"):
            assert "result" in self(method)
        for arguments in ({}, {"query": "e"}, {"server": "alpha"}):
            assert json_of(self.tool("shack_list_tools", **arguments))["count"]
        assert json_of(self.tool("shack_list_servers"))["servers"]


def world(scene: Scene, stateless: bool, **entry: Any) -> None:
    scene.server(
        "alpha", "echo", "add_tool", ZAP, entry=entry or None, era="stateless" if stateless else "handshake",
        prompts=[{"name": "zap_prompt"}, {"name": "hello"}], resources=[{"uri": "x:zap", "name": "zap"}],
        templates=[{"uriTemplate": "x:{zap}", "name": "zaps"}],
        completions=["a"], instructions="Begin with echo. End with zap_all. That is it.",
    )


@MODES
@BOTH
def test_what_is_hidden_is_in_no_line_and_reaches_no_server(scene: Scene, mode: str, stateless: bool) -> None:
    world(scene, stateless)
    host = scene.start(expose_mode=mode, hidden=["alpha__zap_*", "*__resources/read"])
    asker = Asker(host, stateless)
    scene.until(lambda: json_of(asker.tool("shack_list_tools"))["count"], "the server does not come up")
    asker.look_around()
    assert [row["tool_count"] for row in json_of(asker.tool("shack_list_servers"))["servers"]] == [2]
    late = Asker(host, True) if stateless else None
    assert late is None or "That is it" in late.greeting["instructions"]
    assert text_of(asker.tool("alpha__add_tool", tool="zap_later")) == "added"
    scene.until(lambda: len(scene.received("alpha", "tools/list")) > 1, "it was not listed anew")
    assert text_of(asker.tool("alpha__add_tool", tool="also_later")) == "added"
    scene.until(lambda: json_of(asker.tool("shack_list_tools"))["count"] == 3, "the last tool is not listed")
    asker.look_around()
    assert not [line for line in host.lines if b"zap" in line.lower()]

    def told(tool: str, prompt: str, uri: str) -> list[Any]:
        answers = [
            asker.tool(f"alpha__{tool}"), asker.tool("shack_call_tool", name=f"alpha__{tool}"),
            asker.tool("shack_describe_tool", name=f"alpha__{tool}"), asker("prompts/get", name=f"alpha__{prompt}"),
            asker("completion/complete", ref={"type": "ref/prompt", "name": f"alpha__{prompt}"},
                  argument={"name": "a", "value": ""}),
            asker("resources/read", uri=uri), asker("resources/read", uri=f"shack://alpha/{uri.replace(':', '%3A')}"),
        ]
        for answer in answers:
            assert answer.pop("id") and answer["error"].get("data", {}).pop("call", True)
        return [json.dumps(answer).replace(tool, "T").replace(prompt, "P").replace(uri, "U").replace(
            uri.replace(":", "%3A"), "U") for answer in answers]

    assert told("zap_all", "zap_prompt", "x:zap") == told("zap_alq", "zap_prompq", "x:zaq")
    told("zap_later", "zap_prompt", "x:zap")
    for method in ("prompts/get", "completion/complete", "resources/read"):
        assert not scene.received("alpha", method)
    called = [message["params"]["name"] for message in scene.received("alpha", "tools/call")]
    assert called == ["add_tool", "add_tool"]


@MODES
def test_what_a_server_s_entry_leaves_out_or_renames_is_so_for_everybody(scene: Scene, mode: str) -> None:
    world(scene, False, exclude=["zap_*"], include=["*o", "*_all", "add_*"], rename={"echo": "say"})
    host = scene.start(expose_mode=mode, permissions={"deny": ["alpha__echo(hi)", "alpha__say(ho)"]})
    asker = Asker(host, False)
    scene.until(lambda: json_of(asker.tool("shack_list_tools"))["count"] == 2, "the server does not come up")
    asker.look_around()
    assert not [line for line in host.lines if b"zap_all" in line or b"alpha__echo" in line]
    assert json_of(asker.tool("shack_describe_tool", name="alpha__say"))["server"] == "alpha"
    assert json_of(asker.tool("alpha__say", command="he")) == {"command": "he"}
    assert json_of(asker.tool("shack_call_tool", name="alpha__say", arguments={"n": 1})) == {"n": 1}
    for command in ("hi", "ho"):
        assert asker.tool("alpha__say", command=command)["error"]["code"] == -32002
    for name in ("alpha__echo", "alpha__zap_all"):
        assert asker.tool(name)["error"]["code"] == -32601
    assert [m["params"]["name"] for m in scene.received("alpha", "tools/call")] == ["echo", "echo"]


def test_kept_lists_are_shaped_anew_with_every_start(scene: Scene) -> None:
    world(scene, False)
    host = scene.start()
    first = Asker(host, False)
    scene.until(lambda: json_of(first.tool("shack_list_tools"))["count"] == 3, "the server does not come up")
    host.close()
    hidden = Asker(scene.start(hidden=["alpha__zap*"]), False)
    assert json_of(hidden.tool("shack_list_tools"))["count"] == 2
    hidden.host.close()
    assert json_of(Asker(scene.start(), False).tool("shack_list_tools"))["count"] == 3


@BOTH
def test_a_tool_that_is_denied_without_a_condition_is_listed_nowhere_and_refused_with_its_rule(
    scene: Scene, stateless: bool
) -> None:
    world(scene, stateless)
    host = scene.start(permissions={"deny": ["alpha__zap_*", "alpha__echo(x)", "alpha__resources/read"]})
    asker = Asker(host, stateless)
    scene.until(lambda: json_of(asker.tool("shack_list_tools"))["count"] == 2, "the server does not come up")
    asker.look_around()
    assert not [line for line in host.lines if b"zap_all" in line and b"instructions" not in line]
    for answer in (asker.tool("alpha__zap_all"), asker.tool("shack_call_tool", name="alpha__zap_all")):
        said = text_of(answer) if stateless else answer["error"]["message"]
        assert "matched deny rule 'alpha__zap_*'" in said
        assert stateless or answer["error"]["code"] == -32002
    read, got = asker("resources/read", uri="x:zap"), asker("prompts/get", name="alpha__zap_prompt")
    assert "matched deny rule" in json.dumps(read) and "matched deny rule" in json.dumps(got)
    for ref in ({"type": "ref/prompt", "name": "alpha__zap_prompt"}, {"type": "ref/resource", "uri": "x:{zap}"}):
        assert "error" in asker("completion/complete", ref=ref, argument={"name": "zap", "value": ""})
    for method in ("tools/call", "resources/read", "prompts/get", "completion/complete"):
        assert not scene.received("alpha", method)


@BOTH
def test_the_readonly_profile_lets_reads_pass_and_nothing_else(scene: Scene, stateless: bool) -> None:
    tools = [{"name": "get_it", "does": "echo"}, {"name": "set_it", "does": "echo"},
             {"name": "delete_it", "does": "echo", "annotations": {"readOnlyHint": True}},
             {"name": "peculiar", "does": "echo", "annotations": {"readOnlyHint": True}}]
    scene.server("alpha", *tools, era="stateless" if stateless else "handshake",
                 resources=[{"uri": "x:a", "name": "a"}])
    host = scene.start(profile="readonly")
    asker = Asker(host, stateless)
    scene.until(lambda: json_of(asker.tool("shack_list_tools"))["count"], "the server does not come up")
    names = [tool["name"] for tool in asker("tools/list")["result"]["tools"]]
    assert names == ["alpha__get_it", "alpha__peculiar"]
    for name in ("alpha__get_it", "alpha__peculiar"):
        assert json_of(asker.tool(name, n=1)) == {"n": 1}
    for name in ("alpha__set_it", "alpha__delete_it"):
        for answer in (asker.tool(name), asker.tool("shack_call_tool", name=name)):
            said = text_of(answer) if stateless else answer["error"]["message"]
            assert said.startswith(f"profile `readonly`: `{name}` is refused, only reads are allowed")
    assert "result" in asker("resources/read", uri="x:a")
    assert [m["params"]["name"] for m in scene.received("alpha", "tools/call")] == ["get_it", "peculiar"]


def test_the_command_line_chooses_the_profile(scene: Scene) -> None:
    world(scene, False)
    path = scene.config(profile="all", profiles={"all": {"deny": ["alpha__y"]}, "none": {"allow": []}})
    said = scene.run("check", "--config", str(path), "--profile", "nonee")
    assert said.returncode == 1 and b"there are `readonly`, `all`, `none`" in said.stdout
    assert b"did you mean `none`?" in said.stdout
    assert scene.run("check", "--config", str(path), "--profile", "none").returncode == 0
    assert scene.run("serve", "--config", str(path), "--profile", "").returncode == 2
    host = Host(path, args=["--profile", "none"], env=scene.environ())
    scene.hosts.append(host)
    asker = Asker(host, False)
    assert asker.tool("alpha__echo")["error"]["message"].startswith("blocked by profile `none`: ")
    assert json_of(asker.tool("shack_list_tools"))["count"] == 0
    assert not scene.received("alpha", "tools/call")
