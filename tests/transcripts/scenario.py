"""What the host says in the recorded conversations; what it is answered stands in the `.jsonl` files beside this one.

A step is a message, or a line of bytes as it is; `LATER` stands where something comes by itself.
"""

from __future__ import annotations

from typing import Any

from kit import Host, M, Scene

HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
STATELESS = "2026-07-28"
SERVERS = ("handshake", "stateless")
PAIRS = [(host, server) for host in (*HANDSHAKE, STATELESS) for server in SERVERS]
QUESTIONS = [(host, server) for host in ("2025-06-18", "2025-11-25", STATELESS) for server in SERVERS]
SETTINGS = {"permissions": {"deny": ["alpha__structured(secret:*)"]}}
LATER = object()
"""Wait for what comes without having been asked for."""


def furnish(scene: Scene, era: str, *more: str) -> None:
    """The one server of every conversation."""
    scene.server(
        "alpha",
        {
            "name": "echo",
            "title": "Echo",
            "annotations": {"readOnlyHint": True},
            "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
        },
        {"name": "structured", "outputSchema": {"type": "object", "properties": {"n": {"type": "number"}}}},
        "tool_error",
        "error",
        "progress",
        "log",
        "add_tool",
        "update",
        "stall",
        "whole",
        "ask",
        "input_required",
        *more,
        era=era,
        instructions="I am a stub.",
        resources=[{"uri": "note://one", "name": "one", "mimeType": "text/plain", "text": "First note"}],
        templates=[{"uriTemplate": "made://{name}", "name": "made"}],
        prompts=[{"name": "greet", "description": "Greets", "arguments": [{"name": "who", "required": True}]}],
        completions=["one", "two"],
    )


class Script:
    """Collects the steps of one conversation; ids are counted up, now and then a string."""

    def __init__(self, stateless: bool) -> None:
        self.steps: list[Any] = []
        self._stateless, self._number = stateless, 0

    def ask(self, method: str, params: dict[str, Any] | None = None, *, id: Any = None, **meta: Any) -> Any:
        self._number += 1
        id = self._number if id is None else id
        found = dict(params or {})
        if self._stateless:
            found["_meta"] = Host.meta(**meta)
        elif meta:
            found["_meta"] = {"progressToken": meta["token"]} if "token" in meta else meta
        message = {"jsonrpc": "2.0", "id": id, "method": method, **({"params": found} if found else {})}
        self.steps.append(message)
        return id

    def call(self, name: str, arguments: dict[str, Any] | None = None, **meta: Any) -> Any:
        return self.ask("tools/call", {"name": name, "arguments": arguments or {}}, **meta)

    def tell(self, method: str, params: dict[str, Any] | None = None) -> None:
        self.steps.append({"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})})


def steps(host: str, server: str) -> list[Any]:
    """The conversation of a host of revision `host` with the gateway before a server of era `server`."""
    script = Script(host == STATELESS)
    (_greet_stateless if host == STATELESS else _greet)(script, host)
    _tools(script, server)
    _gateway_tools(script)
    _resources(script, host)
    _prompts(script)
    (_listen if host == STATELESS else _changes)(script)
    if (host, server) == (STATELESS, "stateless"):
        script.call("alpha__input_required", capabilities={"elicitation": {"form": {}}})
    _faults(script, host)
    return script.steps


def question_steps(host: str, server: str) -> list[Any]:
    """A conversation in which the server asks: two rounds, dismissed, sampled; a call that needs the user's word."""
    script = Script(host == STATELESS)
    able: dict[str, Any] = {"elicitation": {} if host == "2025-06-18" else {"form": {}}, "sampling": {}}
    if host != STATELESS:
        _initialize(script, host, able)
    size = {"type": "string", "oneOf": [{"const": "s", "title": "Small"}, {"const": "l", "title": "Large"}]}
    schema = {"type": "object", "properties": {"size": size}}
    form = {"method": "elicitation/create", "params": {"mode": "form", "message": "Size?", "requestedSchema": schema}}
    message = {"role": "user", "content": {"type": "text", "text": "Say a word"}}
    sample = {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": 5}}
    accept = {"action": "accept", "content": {"size": "l"}}
    word = {"role": "assistant", "content": {"type": "text", "text": "Word"}, "model": "m"}
    key = "k0" if server == "stateless" else "q1"
    asked = 0
    for rounds, answers in (
        ([[form], [sample]], [accept, word]),
        ([[form]], [{"action": "decline"}]),
    ):
        arguments = {"rounds": rounds}
        script.call("alpha__interview", arguments, **({"capabilities": able} if host == STATELESS else {}))
        for at, answer in enumerate(answers):
            asked += 1
            script.steps.append(LATER)
            if host != STATELESS:
                script.steps.append({"jsonrpc": "2.0", "id": asked, "result": answer})
                continue
            name = f"q{at + 1}" if server == "handshake" else key
            script.ask("tools/call", {
                "name": "alpha__interview", "arguments": arguments, "inputResponses": {name: answer},
                "requestState": "<STATE>",
            }, capabilities=able)
        script.steps.append(LATER)
    return script.steps


def _initialize(script: Script, version: str, capabilities: dict[str, Any]) -> None:
    script.ask(
        "initialize",
        {
            "protocolVersion": version,
            "capabilities": capabilities,
            "clientInfo": {"name": "raw-host", "version": "1.0"},
        },
    )
    script.tell("notifications/initialized")


def _greet(script: Script, version: str) -> None:
    _initialize(script, version, {})
    script.ask("ping", id="ping")
    script.ask("tools/list")


def _greet_stateless(script: Script, version: str) -> None:
    script.ask("server/discover", id="discover")
    script.ask("tools/list")


def _tools(script: Script, server: str) -> None:
    script.call("alpha__echo", {"text": "ü☃\u2028 and 12345678901234567890"})
    script.call(
        "alpha__whole",
        {"n": 1.50},
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        **{"vendor/key": [1]},
    )
    script.call("alpha__structured", {"value": {"n": 1}})
    script.call("alpha__tool_error")
    script.call("alpha__error", {"code": 4711, "message": "no luck", "data": {"why": "asked for"}})
    script.call("alpha__progress", {"count": 2}, token="p-1")
    if server == "stateless":
        script.call("alpha__input_required")
    else:
        script.call("alpha__ask", {"method": "roots/list", "id": "r-1"})
        script.call(
            "alpha__ask",
            {
                "method": "elicitation/create",
                "id": 7,
                "params": {"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}},
            },
        )
    script.call("alpha__ecco")
    script.call("nobody__echo")
    script.call("alpha__structured", {"query": "secret plans"})
    script.call("alpha__echo", {"path": "../outside"})


def _gateway_tools(script: Script) -> None:
    script.call("shack_list_tools", {"query": "echo"})
    script.call("shack_list_tools", {"query": "nothing like it"})
    script.call("shack_describe_tool", {"name": "alpha__echo"})
    script.call("shack_call_tool", {"name": "alpha__echo", "arguments": {"text": "inside"}})
    script.call("shack_list_servers")


def _resources(script: Script, host: str) -> None:
    script.ask("resources/list")
    script.ask("resources/templates/list")
    script.ask("resources/read", {"uri": "note://one"})
    script.ask("resources/read", {"uri": "made://up"})
    script.ask("resources/read", {"uri": "shack://alpha/note%3A%2F%2Fone"})
    script.ask("resources/read", {"uri": "nowhere://at/all"})


def _prompts(script: Script) -> None:
    script.ask("prompts/list")
    script.ask("prompts/get", {"name": "alpha__greet", "arguments": {"who": "you"}})
    script.ask("prompts/get", {"name": "alpha__great"})
    script.ask(
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "alpha__greet"}, "argument": {"name": "who", "value": "y"}},
    )
    script.ask(
        "completion/complete",
        {"ref": {"type": "ref/resource", "uri": "made://{name}"}, "argument": {"name": "name", "value": ""}},
    )


def _changes(script: Script) -> None:
    script.ask("logging/setLevel", {"level": "warning"})
    script.call("alpha__log", {"level": "info", "text": "not wanted", "force": True})
    script.call("alpha__log", {"level": "error", "text": "wanted", "force": True})
    script.ask("resources/subscribe", {"uri": "note://one"})
    script.call("alpha__echo")  # by now the server knows
    script.call("alpha__update", {"id": "note://one"})
    script.ask("resources/unsubscribe", {"uri": "note://one"})
    script.call("alpha__add_tool", {"tool": "extra"})
    script.steps.append(LATER)
    script.ask("tools/list")


def _listen(script: Script) -> None:
    script.call("alpha__log", {"level": "info", "text": "not asked for", "force": True})
    script.call("alpha__log", {"level": "error", "text": "asked for"}, log_level="warning")
    wanted = {"toolsListChanged": True, "resourceSubscriptions": ["note://one", "nowhere://x"]}
    script.ask("subscriptions/listen", {"notifications": wanted}, id="listen-1")
    script.steps.append(LATER)
    script.call("alpha__echo")  # by now the server knows
    script.call("alpha__update", {"id": "note://one"})
    script.call("alpha__add_tool", {"tool": "extra"})
    script.steps.append(LATER)
    script.tell("notifications/cancelled", {"requestId": "listen-1"})
    script.ask("subscriptions/listen", {"notifications": {"promptsListChanged": True}}, id=1000)
    script.steps.append(LATER)


def _faults(script: Script, host: str) -> None:
    stalled = script.call("alpha__stall")
    script.tell("notifications/cancelled", {"requestId": stalled})
    script.ask("tools/destroy")
    script.ask("tools/list", {"cursor": "nonsense"})
    script.steps.append(b"this is not JSON")
    script.steps.append(LATER)
    script.steps.append(b"[]")
    script.steps.append(LATER)
    if host == "2025-03-26":
        script.steps.append(LATER)
        script.steps.append(
            b'[{"jsonrpc":"2.0","id":"b1","method":"ping"},{"jsonrpc":"2.0","id":"b2","method":"nothing"}]'
        )
        script.steps.append(LATER)
    if host == STATELESS:
        meta = {**Host.meta(), M + "protocolVersion": "2031-01-01"}
        script.steps.append({"jsonrpc": "2.0", "id": "future", "method": "tools/list", "params": {"_meta": meta}})
        script.ask("ping", id="gone")
        script.ask("initialize", {"protocolVersion": STATELESS}, id="also gone")
