"""One MCP server over stdio that does what a test tells it to: behave, or misbehave in a chosen way.

    python stub_server.py '{"name": "alpha", "era": "handshake", "tools": ["echo", "crash"]}'

The only argument is the script: JSON text, or the path of a file that holds it. Its keys:

    name, era           who it is; "handshake", "stateless", "dual", or a row of `PRESETS` below
    version             the version a handshake answers with (default: the one it was offered)
    probe               what becomes of `server/discover` in the handshake era: "silent", "exits", or an error code
    start               "slow" (waits `delay` seconds), "held" (waits until the file `until` is there), "hang" (reads
                        and never answers), "crash" (ends with code 3);
                        `crashes`: only the first so many starts do
    at_eof, at_term     "ignore": stays after its standard input ended, or after SIGTERM
    received, starts    files: every line it received, as it came; the process id of every start
    tools, resources, templates, prompts, completions       what it offers (a tool may be just a name of `stub_tools`)
    page_size, repeat_cursor, endless_pages                 how lists are cut
    delays, errors, raw, stalls        by method: seconds before the answer; an error; lines instead ($ID); silence
    capabilities        added to, or with null taken from, what it declares
    asks_at_start       questions ({"method", "params"}) that it puts as soon as it is initialized
                        (a tool with `if` is there only for clients that declare that capability)
    says                lines for stderr at the start
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time

import stub_tools

HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
STATELESS_VERSION = "2026-07-28"
M = "io.modelcontextprotocol/"
PRESETS = {
    "silent-probe": {"era": "handshake", "probe": "silent"},
    "exits-on-probe": {"era": "handshake", "probe": "exits"},
    "-32602-on-probe": {"era": "handshake", "probe": -32602},
    "slow-start": {"era": "handshake", "start": "slow"},
    "hang-start": {"era": "handshake", "start": "hang"},
    "crash-start": {"era": "handshake", "start": "crash"},
}
GONE = {"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"}
LISTS = {"tools/list", "prompts/list", "resources/list", "resources/templates/list"}
CACHEABLE = {"server/discover", "resources/read"} | LISTS


class Silence(Exception):
    """No answer at all."""


class Fail(Exception):
    """A JSON-RPC error as the answer."""

    def __init__(self, code, message, data=None):
        self.error = {"code": code, "message": message, **({} if data is None else {"data": data})}


def wrong_version(requested):
    return Fail(-32022, "Unsupported protocol version", {"supported": [STATELESS_VERSION], "requested": requested})


class Clock:
    """One thread that calls what is due, so that a thousand sleeping calls cost one thread."""

    def __init__(self):
        self._due, self._changed = [], threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def later(self, secs, action):
        with self._changed:
            self._due.append((time.monotonic() + secs, action))
            self._changed.notify()

    def _run(self):
        while True:
            with self._changed:
                now = time.monotonic()
                ready = [action for at, action in self._due if at <= now]
                self._due = [(at, action) for at, action in self._due if at > now]
                if not ready:
                    self._changed.wait(min((at for at, _ in self._due), default=now + 60) - now)
                    continue
            for action in ready:
                action()


class Stub:
    """The state of one server process."""

    def __init__(self, script):
        self.script = {**script, **PRESETS.get(script.get("era"), {})}
        self.name = self.script.get("name", "stub")
        self.era = self.script.get("era", "handshake")  # "dual" becomes one of the others with the first request
        self.greeted, self.level, self.deaf = False, None, False
        self.version = self.script.get("version")
        self.tools = [stub_tools.declare(tool) for tool in self.script.get("tools", ["echo"])]
        self.open, self.cancelled, self.listens, self.watched, self.asked = {}, set(), {}, set(), {}
        self.clock = Clock()
        self._lock = threading.Lock()
        self.tasks = {}
        self._log = self._append("received")

    def _append(self, key):
        path = self.script.get(key)
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if path else None

    # --- writing -------------------------------------------------------------------------------------------------

    def write(self, data):
        """All of `data` to the gateway; one call is never torn apart by another."""
        with self._lock:
            view = memoryview(data)
            while view:
                view = view[os.write(1, view) :]

    def send(self, message):
        self.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def notify(self, method, params=None):
        self.send({"jsonrpc": "2.0", "method": method, **({} if params is None else {"params": params})})

    def ask(self, id, method, params, then):
        """Send a request of ours; `then` is called with the whole answer."""
        self.asked[id] = then
        self.send({"jsonrpc": "2.0", "id": id, "method": method, **({} if params is None else {"params": params})})

    def answer(self, id, result, method=""):
        """The result of a request, with what the era adds to it; nothing when the request was cancelled."""
        self.open.pop(id, None)
        if id in self.cancelled:
            return
        if self.era == "stateless":
            meta = {M + "serverInfo": self.info(), **result.get("_meta", {})}
            result = {"resultType": "complete", **result, "_meta": meta}
            if method in CACHEABLE:
                result = {"ttlMs": 0, "cacheScope": "private", **result}
        self.send({"jsonrpc": "2.0", "id": id, "result": result})

    def refuse(self, id, error):
        self.open.pop(id, None)
        if id not in self.cancelled:
            self.send({"jsonrpc": "2.0", "id": id, "error": error})

    def changed(self, what):
        """`notifications/<what>/list_changed`, to whoever may have it in this era."""
        self.spread(f"notifications/{what}/list_changed", {}, lambda wish: wish.get(f"{what}ListChanged"))

    def updated(self, uri):
        """`notifications/resources/updated` for a URI; in the handshake era whether or not somebody subscribed."""
        wanted = lambda wish: uri in wish.get("resourceSubscriptions", ())  # noqa: E731
        self.spread("notifications/resources/updated", {"uri": uri}, wanted)

    def spread(self, method, params, wanted):
        if self.era != "stateless":
            self.notify(method, params)
            return
        for id, wish in list(self.listens.items()):
            if wanted(wish):
                self.notify(method, {**params, "_meta": {M + "subscriptionId": id}})

    # --- reading -------------------------------------------------------------------------------------------------

    def run(self):
        if self.start():
            for line in sys.stdin.buffer:
                if self._log is not None:
                    os.write(self._log, line)
                self.receive(line)
                while self.deaf:
                    time.sleep(0.05)
        if self.script.get("at_eof") == "ignore":
            while True:
                time.sleep(60)

    def start(self):
        starts = self._append("starts")
        if starts is not None:
            os.write(starts, b"%d\n" % os.getpid())
        if self.script.get("at_term") == "ignore":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for text in self.script.get("says", ()):
            print(text, file=sys.stderr, flush=True)
        how = self.script.get("start")
        if how == "slow":
            time.sleep(self.script.get("delay", 1.0))
        while how == "held" and not os.path.exists(self.script["until"]):
            time.sleep(0.02)
        if how == "crash" and self._count() <= self.script.get("crashes", 10**9):
            print(f"{self.name}: cannot start, as asked", file=sys.stderr, flush=True)
            os._exit(3)
        return True

    def _count(self):
        with open(self.script["starts"], "rb") as file:
            return len(file.readlines())

    def receive(self, line):
        if self.script.get("start") == "hang":
            return
        try:
            message = json.loads(line)
        except ValueError:
            return
        method, id = message.get("method"), message.get("id")
        if method is None:
            then = self.asked.pop(id, None)
            if then is not None:
                then(message)
        elif id is None:
            self.hear(method, message.get("params") or {})
        else:
            self.request(id, method, message.get("params") or {})

    def hear(self, method, params):
        if method == "notifications/initialized":
            for at, question in enumerate(self.script.get("asks_at_start", ())):
                self.ask(f"start-{at}", question["method"], question.get("params"), lambda answer: None)
        if method == "notifications/cancelled":
            id = params.get("requestId")
            self.listens.pop(id, None)
            call = self.open.get(id)
            if call is not None and not call.get("stubborn"):
                self.cancelled.add(id)

    def request(self, id, method, params):
        quirks = self.script
        if method in quirks.get("stalls", ()):
            return
        if method in quirks.get("raw", {}):
            for line in quirks["raw"][method]:
                self.write(line.replace("$ID", json.dumps(id)).encode() + b"\n")
            return
        try:
            if method in quirks.get("errors", {}):
                raise Fail(**quirks["errors"][method])
            self.judge(method, params)
            serve = SERVED.get(method)
            if serve is None:
                raise Fail(-32601, f"Method not found: {method}")
            delay = quirks.get("delays", {}).get(method)
            if delay is None:
                serve(self, id, params)
            else:
                self.clock.later(delay, lambda: self.serve_late(serve, id, params))
        except Fail as fail:
            self.refuse(id, fail.error)
        except Silence:
            return

    def serve_late(self, serve, id, params):
        try:
            serve(self, id, params)
        except Fail as fail:
            self.refuse(id, fail.error)

    def judge(self, method, params):
        """The rules of the era; what a real server of that era refuses is refused here too."""
        meta = params.get("_meta") or {}
        if self.era == "dual":
            self.era = "stateless" if M + "protocolVersion" in meta else "handshake"
        if self.era == "stateless":
            if method == "initialize":
                raise wrong_version(params.get("protocolVersion", ""))
            said = meta.get(M + "protocolVersion"), meta.get(M + "clientCapabilities")
            if not (isinstance(said[0], str) and isinstance(said[1], dict)):
                raise Fail(-32602, "Invalid params: _meta lacks the protocol version or the client's capabilities")
            if meta[M + "protocolVersion"] != STATELESS_VERSION:
                raise wrong_version(meta[M + "protocolVersion"])
            if method in GONE:
                raise Fail(-32601, f"Method not found: {method}")
        elif method == "server/discover":
            self.refuse_probe()
        elif not self.greeted and method not in ("initialize", "ping"):
            raise Fail(-32600, f"{method} before initialize")

    def refuse_probe(self):
        probe = self.script.get("probe", -32601)
        if probe == "exits":
            os._exit(1)
        if probe == "silent":
            raise Silence
        raise Fail(probe, "Method not found" if probe == -32601 else "Invalid request parameters")

    # --- what a server does --------------------------------------------------------------------------------------

    def info(self):
        return {"name": self.name, "version": "1.0"}

    def capabilities(self):
        stateless, has = self.era == "stateless", {"tools": {"listChanged": True}}
        if self.script.get("resources") or self.script.get("templates"):
            has["resources"] = {"listChanged": True, "subscribe": True}
        if self.script.get("prompts"):
            has["prompts"] = {"listChanged": True}
        if self.script.get("completions") is not None:
            has["completions"] = {}
        has["logging"] = {}
        if stateless and self.script.get("extensions"):
            has["extensions"] = self.script["extensions"]
        has.update(self.script.get("capabilities", {}))
        return {key: value for key, value in has.items() if value is not None}

    def initialize(self, id, params):
        self.greeted = True
        can = params.get("capabilities") or {}
        self.tools = [tool for tool in self.tools if tool.get("if") is None or tool["if"] in can]
        offered = params.get("protocolVersion")
        version = self.version or (offered if offered in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1])
        result = {"protocolVersion": version, "capabilities": self.capabilities(), "serverInfo": self.info()}
        if "instructions" in self.script:
            result["instructions"] = self.script["instructions"]
        self.answer(id, result)

    def discover(self, id, params):
        result = {"supportedVersions": [STATELESS_VERSION], "capabilities": self.capabilities()}
        if "instructions" in self.script:
            result["instructions"] = self.script["instructions"]
        self.answer(id, result, "server/discover")

    def page(self, id, params, method, key, items):
        size, cursor = self.script.get("page_size"), params.get("cursor")
        try:
            start = int(cursor) if cursor is not None else 0
        except ValueError:
            raise Fail(-32602, "Invalid cursor") from None
        result = {key: items[start : start + size] if size else items}
        if self.script.get("repeat_cursor"):
            result["nextCursor"] = "0"
        elif self.script.get("endless_pages"):
            result[key], result["nextCursor"] = items, str(start + 1)
        elif size and start + size < len(items):
            result["nextCursor"] = str(start + size)
        self.answer(id, result, method)

    def list_tools(self, id, params):
        shown = [{k: v for k, v in tool.items() if k not in ("does", "with", "if")} for tool in self.tools]
        self.page(id, params, "tools/list", "tools", shown)

    def list_resources(self, id, params):
        entries = self.script.get("resources", ())
        shown = [{k: v for k, v in entry.items() if k not in ("text", "blob")} for entry in entries]
        self.page(id, params, "resources/list", "resources", shown)

    def list_templates(self, id, params):
        self.page(id, params, "resources/templates/list", "resourceTemplates", list(self.script.get("templates", ())))

    def list_prompts(self, id, params):
        self.page(id, params, "prompts/list", "prompts", list(self.script.get("prompts", ())))

    def call_tool(self, id, params):
        tool = next((tool for tool in self.tools if tool["name"] == params.get("name")), None)
        if tool is None:
            raise Fail(-32602, f"Unknown tool: {params.get('name')}")
        arguments = {**tool.get("with", {}), **(params.get("arguments") or {})}
        self.open[id] = arguments
        stub_tools.DOES[tool["does"]](self, id, arguments, params)

    # --- tasks (2025-11-25) ---

    def task_state(self, name):
        task = self.tasks[name]
        return {"taskId": name, "status": task["status"], "statusMessage": f"look {task['looks']}", "ttl": 60000,
                "createdAt": "2026-01-01T00:00:00Z", "lastUpdatedAt": "2026-01-01T00:00:00Z", "pollInterval": 200}

    def get_task(self, id, params):
        task = self.tasks[params["taskId"]]
        if task["arguments"].get("mute"):
            return
        task["looks"] += 1
        self.answer(id, self.task_state(params["taskId"]))

    def cancel_task(self, id, params):
        self.tasks[params["taskId"]]["status"] = "cancelled"
        self.answer(id, self.task_state(params["taskId"]))

    def task_result(self, id, params):
        name = params["taskId"]
        task, related = self.tasks[name], {M + "related-task": {"taskId": name}}
        arguments = task["arguments"]

        def finish(said=None):
            said = said or "w" * arguments.get("says", 0) or "done"
            if task["status"] == "cancelled":
                return
            task["status"] = "completed"
            if arguments.get("counts") and task["token"] is not None:
                self.notify("notifications/progress", {"progressToken": task["token"], "progress": 7})
            self.answer(id, {"content": [{"type": "text", "text": json.dumps(said)}], "_meta": related})

        if "asks" in arguments:
            task["status"] = "input_required"
            question = {**arguments["asks"]["params"], "_meta": related}
            then = lambda answer: finish(answer.get("result", answer.get("error")))  # noqa: E731
            self.ask(f"ask-{name}", arguments["asks"]["method"], question, then)
        else:
            self.clock.later(arguments.get("secs", 0.1), finish)

    def read(self, id, params):
        uri = params.get("uri", "")
        for entry in self.script.get("resources", ()):
            if entry["uri"] == uri:
                part = {"uri": uri, **{k: entry[k] for k in ("mimeType", "text", "blob") if k in entry}}
                part = part if len(part) > 1 else {**part, "text": ""}
                return self.answer(id, {"contents": [part]}, "resources/read")
        for template in self.script.get("templates", ()):
            if uri.startswith(template["uriTemplate"].partition("{")[0]):
                part = {"uri": uri, "text": f"{self.name} made {uri}"}
                return self.answer(id, {"contents": [part]}, "resources/read")
        raise Fail(-32602 if self.era == "stateless" else -32002, "Resource not found", {"uri": uri})

    def get_prompt(self, id, params):
        if not any(prompt["name"] == params.get("name") for prompt in self.script.get("prompts", ())):
            raise Fail(-32602, f"Unknown prompt: {params.get('name')}")
        text = json.dumps({"server": self.name, "prompt": params["name"], "arguments": params.get("arguments", {})})
        self.answer(id, {"messages": [{"role": "user", "content": {"type": "text", "text": text}}]})

    def complete(self, id, params):
        text = json.dumps({"ref": params.get("ref"), "argument": params.get("argument")}, sort_keys=True)
        self.answer(id, {"completion": {"values": [text, *self.script.get("completions", ())], "hasMore": False}})

    def ping(self, id, params):
        self.answer(id, {})

    def set_level(self, id, params):
        self.level = params.get("level")
        self.answer(id, {})

    def subscribe(self, id, params):
        self.watched.add(params.get("uri"))
        self.answer(id, {})

    def unsubscribe(self, id, params):
        self.watched.discard(params.get("uri"))
        self.answer(id, {})

    def listen(self, id, params):
        self.listens[id] = wish = params.get("notifications") or {}
        said = {"_meta": {M + "subscriptionId": id}, "notifications": wish}
        self.notify("notifications/subscriptions/acknowledged", said)


SERVED = {
    "initialize": Stub.initialize,
    "server/discover": Stub.discover,
    "ping": Stub.ping,
    "tools/list": Stub.list_tools,
    "tools/call": Stub.call_tool,
    "resources/list": Stub.list_resources,
    "resources/templates/list": Stub.list_templates,
    "resources/read": Stub.read,
    "resources/subscribe": Stub.subscribe,
    "resources/unsubscribe": Stub.unsubscribe,
    "prompts/list": Stub.list_prompts,
    "prompts/get": Stub.get_prompt,
    "completion/complete": Stub.complete,
    "logging/setLevel": Stub.set_level,
    "tasks/get": Stub.get_task,
    "tasks/result": Stub.task_result,
    "tasks/cancel": Stub.cancel_task,
    "subscriptions/listen": Stub.listen,
}


def main():
    text = sys.argv[1]
    if not text.lstrip().startswith("{"):
        with open(text, encoding="utf-8") as file:
            text = file.read()
    try:
        Stub(json.loads(text)).run()
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)


if __name__ == "__main__":
    main()
