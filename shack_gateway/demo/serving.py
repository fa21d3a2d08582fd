"""A small MCP server over stdio, for the demo programs: both eras, standard library only.

Rule 1: one thread reads and answers; a tool marked `slow` gets a thread of its own, so that a cancel is read meanwhile.
Rule 2: one lock, one line, one write: nothing but whole JSON-RPC lines ever reaches stdout.
Rule 3: what a server can do follows from what was registered; no program here writes a protocol message itself.
"""
from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .asking import KEY, LEVELS, Ask, Cancelled, Fault, Params, Question, Trouble, member
from .shapes import Schema, misfit, shape

HANDSHAKE = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
STATELESS = ("2026-07-28",)

class Tool(NamedTuple):
    name: str
    run: Callable[..., Any]
    listed: dict[str, Any]
    slow: bool


class Prompt(NamedTuple):
    name: str
    run: Callable[..., str]
    listed: dict[str, Any]
    choices: dict[str, tuple[str, ...]]


class Server:
    """What a demo program registers its tools, resources and prompts with, and then runs."""

    def __init__(
        self, name: str, *, eras: Iterable[str] = ("handshake", "stateless"), instructions: str = "",
        page: int = 100, ttl_ms: int = 0, logs: bool = False,
    ) -> None:
        self.name, self._eras, self._instructions = name, frozenset(eras), instructions
        self._page, self._ttl_ms, self._logs = page, ttl_ms, logs
        self._tools: dict[str, Tool] = {}
        self._prompts: dict[str, Prompt] = {}
        self.templates: list[dict[str, Any]] = []
        self.list_resources: Callable[[], list[dict[str, Any]]] | None = None
        self.read_resource: Callable[[str], str | None] = lambda uri: None
        self._level = "info"
        self._greeted = ""
        self._subscribed: set[str] = set()
        self._listens: dict[str | int, dict[str, Any]] = {}
        self._open: dict[str | int, Ask] = {}
        self._lock = threading.Lock()

    # -- registering ---------------------------------------------------------------------------------------------

    def tool(
        self, fields: dict[str, Schema], effect: dict[str, bool], *, output: Schema | None = None, slow: bool = False
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Offer a function as a tool: its name, and its docstring as the description the model reads."""
        def register(run: Callable[..., Any]) -> Callable[..., Any]:
            name = run.__name__
            title = name.replace("_", " ").capitalize()
            listed = {"name": name, "title": title, "description": " ".join((run.__doc__ or "").split()),
                      "inputSchema": shape(fields), "annotations": {"title": title, **effect}}
            if output is not None:
                listed["outputSchema"] = output
            self._tools[name] = Tool(name, run, listed, slow)
            return run
        return register

    def prompt(
        self, arguments: dict[str, str], choices: dict[str, tuple[str, ...]] | None = None
    ) -> Callable[[Callable[..., str]], Callable[..., str]]:
        """Offer a function that returns the text of a user message; `choices` are what completion suggests."""
        def register(run: Callable[..., str]) -> Callable[..., str]:
            listed = {"name": run.__name__, "description": " ".join((run.__doc__ or "").split()),
                      "arguments": [{"name": key.rstrip("?"), "description": doc, "required": not key.endswith("?")}
                                    for key, doc in arguments.items()]}
            self._prompts[run.__name__] = Prompt(run.__name__, run, listed, choices or {})
            return run
        return register

    # -- telling -------------------------------------------------------------------------------------------------

    def changed(self, what: str) -> None:
        """The list of `tools`, `prompts` or `resources` is another one now."""
        self._tell(f"notifications/{what}/list_changed", {}, lambda wish: bool(wish.get(f"{what}ListChanged")), True)

    def updated(self, uri: str) -> None:
        """A resource has another content now."""
        self._tell("notifications/resources/updated", {"uri": uri},
                   lambda wish: uri in wish.get("resourceSubscriptions", ()), uri in self._subscribed)

    def notify(self, method: str, params: Params) -> None:
        self._write({"jsonrpc": "2.0", "method": method, "params": params})

    def _tell(self, method: str, params: Params, wanted: Callable[[dict[str, Any]], bool], subscribed: bool) -> None:
        if self._greeted and subscribed:
            self.notify(method, params)
        for id, wish in list(self._listens.items()):
            if wanted(wish):
                self.notify(method, {**params, "_meta": {KEY + "subscriptionId": id}})

    def _write(self, message: dict[str, Any]) -> None:
        line = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"
        with self._lock:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()

    # -- serving -------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until stdin ends."""
        try:
            for line in sys.stdin.buffer:
                if line.strip():
                    self._line(line)
            for id in list(self._listens):
                self._answer(id, True, {"_meta": {KEY + "subscriptionId": id}})
        except (BrokenPipeError, KeyboardInterrupt):
            return

    def _line(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            self._refuse(None, Fault(-32700, "parse error"))
            return
        if isinstance(message, list) and self._greeted == "2025-03-26":
            for part in message:
                self._message(part)
        else:
            self._message(message)

    def _message(self, message: Any) -> None:
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            self._refuse(None, Fault(-32600, "invalid request"))
            return
        method, id = message.get("method"), message.get("id")
        params = message.get("params")
        params = params if isinstance(params, dict) else {}
        if method is None:
            return                                     # an answer, and this server asks nothing
        if id is None:
            self._noticed(method, params)
            return
        told = KEY + "protocolVersion" in member(params, "_meta")
        stateless = "stateless" in self._eras and (told or "handshake" not in self._eras)
        ask = self._open[id] = Ask(id, stateless, params, self._level, self.notify)
        tool = self._tools.get(str(params.get("name"))) if method == "tools/call" else None
        if tool is not None and tool.slow:
            threading.Thread(target=self._serve, args=(ask, method, params), daemon=True).start()
        else:
            self._serve(ask, method, params)

    def _noticed(self, method: str, params: Params) -> None:
        if method == "notifications/cancelled":
            id = params.get("requestId")
            if isinstance(id, (str, int)):
                self._listens.pop(id, None)
                ask = self._open.get(id)
                if ask is not None:
                    ask.gone.set()

    def _serve(self, ask: Ask, method: str, params: Params) -> None:
        try:
            result = self._result(ask, method, params)
            if result is not None:
                self._answer(ask.id, ask.stateless, result)
        except Fault as fault:
            self._refuse(ask.id, fault)
        except Question as question:
            asked = {"resultType": "input_required", "inputRequests": question.requests, "requestState": question.state}
            self._answer(ask.id, True, asked)
        except Cancelled:
            pass                                       # a cancelled request is not answered
        finally:
            self._open.pop(ask.id, None)

    def _answer(self, id: str | int, stateless: bool, result: dict[str, Any]) -> None:
        if stateless:
            meta = {KEY + "serverInfo": self._about(), **result.get("_meta", {})}
            result = {"resultType": "complete", **result, "_meta": meta}
        self._write({"jsonrpc": "2.0", "id": id, "result": result})

    def _refuse(self, id: str | int | None, fault: Fault) -> None:
        error: dict[str, Any] = {"code": fault.code, "message": fault.message}
        if fault.data is not None:
            error["data"] = fault.data
        # A line without a readable id is answered without one: no schema since 2025-11-25 allows a null id.
        self._write({"jsonrpc": "2.0", **({} if id is None else {"id": id}), "error": error})

    def _result(self, ask: Ask, method: str, params: Params) -> dict[str, Any] | None:
        if ask.stateless:
            self._check_version(method, params)
            serve = {"server/discover": self._discover, "subscriptions/listen": self._listen}.get(method)
        else:
            if not self._greeted and method not in ("initialize", "ping", "server/discover"):
                raise Fault(-32602, "initialize comes first")
            serve = {"initialize": self._initialize, "ping": self._ping, "logging/setLevel": self._set_level,
                     "resources/subscribe": self._subscribe, "resources/unsubscribe": self._unsubscribe}.get(method)
        serve = serve or {
            "tools/list": self._list_tools, "tools/call": self._call_tool, "prompts/list": self._list_prompts,
            "prompts/get": self._get_prompt, "resources/list": self._list_resources, "resources/read": self._read,
            "resources/templates/list": self._list_templates, "completion/complete": self._complete,
        }.get(method)
        if serve is None:
            raise Fault(-32601, f"method not found: {method}")
        return serve(ask, params)

    def _check_version(self, method: str, params: Params) -> None:
        meta = member(params, "_meta")
        version = meta.get(KEY + "protocolVersion")
        if version is None and method == "initialize":
            version = params.get("protocolVersion")
            raise Fault(-32022, "this server knows no handshake", {"supported": list(STATELESS), "requested": version})
        if not isinstance(version, str) or not isinstance(meta.get(KEY + "clientCapabilities"), dict):
            raise Fault(-32602, "`_meta` must carry protocolVersion and clientCapabilities")
        if version not in STATELESS:
            raise Fault(-32022, "unsupported protocol version", {"supported": list(STATELESS), "requested": version})

    # -- what both eras ask --------------------------------------------------------------------------------------

    def _about(self) -> dict[str, str]:
        return {"name": f"shack-demo-{self.name}", "version": "1.0.0"}

    def _capabilities(self) -> dict[str, Any]:
        found: dict[str, Any] = {"tools": {}} if self._tools else {}
        if self.list_resources:
            found["resources"] = {"subscribe": True, "listChanged": True}
        if self._prompts:
            found["prompts"] = {}
        if any(prompt.choices for prompt in self._prompts.values()):
            found["completions"] = {}
        if self._logs:
            found["logging"] = {}
        return found

    def _discover(self, ask: Ask, params: Params) -> dict[str, Any]:
        return {"supportedVersions": list(STATELESS), "capabilities": self._capabilities(),
                "instructions": self._instructions, "ttlMs": self._ttl_ms, "cacheScope": "public"}

    def _initialize(self, ask: Ask, params: Params) -> dict[str, Any]:
        wanted = params.get("protocolVersion")
        self._greeted = wanted if wanted in HANDSHAKE else HANDSHAKE[0]
        return {"protocolVersion": self._greeted, "capabilities": self._capabilities(), "serverInfo": self._about(),
                "instructions": self._instructions}

    def _ping(self, ask: Ask, params: Params) -> dict[str, Any]:
        return {}

    def _set_level(self, ask: Ask, params: Params) -> dict[str, Any]:
        if params.get("level") not in LEVELS:
            raise Fault(-32602, f"`level` must be one of {', '.join(LEVELS)}")
        self._level = params["level"]
        return {}

    def _subscribe(self, ask: Ask, params: Params) -> dict[str, Any]:
        self._subscribed.add(str(params.get("uri")))
        return {}

    def _unsubscribe(self, ask: Ask, params: Params) -> dict[str, Any]:
        self._subscribed.discard(str(params.get("uri")))
        return {}

    def _listen(self, ask: Ask, params: Params) -> None:
        """Stays open: answered when stdin ends, or never when it is cancelled."""
        wish = params.get("notifications")
        kept = wish if isinstance(wish, dict) and self.list_resources else {}
        kept = {key: kept[key] for key in ("resourcesListChanged", "resourceSubscriptions") if kept.get(key)}
        self._listens[ask.id] = kept
        self.notify("notifications/subscriptions/acknowledged",
                    {"_meta": {KEY + "subscriptionId": ask.id}, "notifications": kept})

    def _listing(self, ask: Ask, params: Params, key: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        cursor = params.get("cursor", "0")
        if not isinstance(cursor, str) or not cursor.isdecimal():
            raise Fault(-32602, "bad cursor")
        start = int(cursor)
        found: dict[str, Any] = {key: items[start:start + self._page]}
        if start + self._page < len(items):
            found["nextCursor"] = str(start + self._page)
        return self._kept(ask, found, self._ttl_ms)

    def _kept(self, ask: Ask, found: dict[str, Any], ttl_ms: int) -> dict[str, Any]:
        return {**found, "ttlMs": ttl_ms, "cacheScope": "public" if ttl_ms else "private"} if ask.stateless else found

    def _list_tools(self, ask: Ask, params: Params) -> dict[str, Any]:
        return self._listing(ask, params, "tools", [tool.listed for tool in self._tools.values()])

    def _list_prompts(self, ask: Ask, params: Params) -> dict[str, Any]:
        return self._listing(ask, params, "prompts", [prompt.listed for prompt in self._prompts.values()])

    def _list_resources(self, ask: Ask, params: Params) -> dict[str, Any]:
        return self._listing(ask, params, "resources", self.list_resources() if self.list_resources else [])

    def _list_templates(self, ask: Ask, params: Params) -> dict[str, Any]:
        return self._listing(ask, params, "resourceTemplates", self.templates)

    def _read(self, ask: Ask, params: Params) -> dict[str, Any]:
        uri = str(params.get("uri"))
        content = self.read_resource(uri)
        if content is None:
            raise Fault(-32602 if ask.stateless else -32002, "Resource not found", {"uri": uri})
        return self._kept(ask, {"contents": [{"uri": uri, "mimeType": "text/plain", "text": content}]}, 0)

    def _call_tool(self, ask: Ask, params: Params) -> dict[str, Any]:
        tool = self._tools.get(str(params.get("name")))
        if tool is None:
            raise Fault(-32602, f"unknown tool: {params.get('name')}")
        arguments = params.get("arguments", {})
        wrong = misfit(tool.listed["inputSchema"], arguments)
        if wrong:
            return _content(f"{tool.name}: {wrong}.", isError=True)
        try:
            found = tool.run(ask, **arguments)
        except (Trouble, OSError) as trouble:
            return _content(f"{tool.name}: {trouble}", isError=True)
        if "outputSchema" in tool.listed:
            return _content(json.dumps(found, ensure_ascii=False), structuredContent=found)
        return _content(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False))

    def _get_prompt(self, ask: Ask, params: Params) -> dict[str, Any]:
        prompt = self._prompts.get(str(params.get("name")))
        if prompt is None:
            raise Fault(-32602, f"unknown prompt: {params.get('name')}")
        given = member(params, "arguments")
        for argument in prompt.listed["arguments"]:
            if argument["required"] and argument["name"] not in given:
                raise Fault(-32602, f"argument `{argument['name']}` is missing")
        said = prompt.run(**{a["name"]: given[a["name"]] for a in prompt.listed["arguments"] if a["name"] in given})
        return {"description": prompt.listed["description"],
                "messages": [{"role": "user", "content": {"type": "text", "text": said}}]}

    def _complete(self, ask: Ask, params: Params) -> dict[str, Any]:
        reference, argument = member(params, "ref"), member(params, "argument")
        prompt = self._prompts.get(str(reference.get("name")))
        words = prompt.choices.get(str(argument.get("name")), ()) if prompt else ()
        fitting = [word for word in words if word.startswith(str(argument.get("value", "")))]
        return {"completion": {"values": fitting[:100], "total": len(fitting), "hasMore": len(fitting) > 100}}


def _content(said: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": said}], **more}
