"""HTTP on one side, a program on stdio on the other: `shim.py [--prefix NAME__] COMMAND ARGS...`.

Prints its port, and serves until its standard input ends. Every line goes through as it came; what the shim decides is
only which stream it travels on. The one exception is `--prefix`: the suite calls tools and prompts by fixed names, the
gateway shows them under a server's name, so the prefix is put before names on the way in and taken off on the way out.

    handshake    `initialize` starts a program of its own, which Mcp-Session-Id names from then on; DELETE ends it
    stateless    one program for all, told by the header MCP-Protocol-Version; a client that hangs up has cancelled

An answer that is a request's first message comes as JSON, everything else as a stream of events.
"""
from __future__ import annotations

import argparse
import json
import queue
import secrets
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
UNRELATED = ("/list_changed", "/updated")
"""Ends of notifications that belong to no request, unless a subscription's id says to which."""
STATUS = {-32601: 404, -32600: 400, -32602: 400, -32700: 400, -32020: 400, -32021: 400, -32022: 400}
"""Stateless errors that HTTP has a status for."""
LOOK_SECONDS = 0.1
"""How often a stream that carries nothing looks whether its client is still there."""


class Stream:
    """What is to be sent on one HTTP answer; `None` ends it."""

    def __init__(self, request: Any = None) -> None:
        self.lines: queue.Queue[bytes | None] = queue.Queue()
        self.method = request["method"] if request else ""
        params = request.get("params") if request else None
        meta = params.get("_meta") if isinstance(params, dict) else None
        self.token = meta.get("progressToken") if isinstance(meta, dict) else None


class Program:
    """One process, and the streams that wait for its lines."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self._lock = threading.Lock()
        self._open: dict[str, Stream] = {}
        self.unasked = Stream()
        self._ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with self._lock:
            try:
                self._process.stdin.write(line + b"\n")
            except OSError:
                pass                             # it has ended: `_read` tells everybody who waits

    def ask(self, request: Any, line: bytes) -> Stream:
        stream = self._open[json.dumps(request["id"])] = Stream(request)
        self.write(line)
        if self._ended:
            stream.lines.put(None)
        return stream

    def give_up(self, id: Any, stream: Stream) -> None:
        """The client of a stream waits no more. Another client may have asked under the same id by now."""
        if self._open.get(json.dumps(id)) is stream and self._open.pop(json.dumps(id), None):
            params = {"requestId": id, "reason": "the client hung up"}
            self.write(json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).encode())

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "method" in message:
                self._home(message).lines.put(line.rstrip())
            elif stream := self._open.pop(json.dumps(message.get("id")), None):
                stream.lines.put(line.rstrip())
                stream.lines.put(None)
        self._ended = True
        for stream in (*self._open.values(), self.unasked):
            stream.lines.put(None)

    def _home(self, message: Any) -> Stream:
        """The stream that a request or notification of the program belongs to."""
        method, params = message["method"], message.get("params") or {}
        subscription = (params.get("_meta") or {}).get(SUBSCRIPTION)
        asked = [stream for stream in list(self._open.values()) if stream.method != "subscriptions/listen"]
        if subscription is not None:
            asked = [self._open[key] for key in (json.dumps(subscription),) if key in self._open]
        elif method == "notifications/progress":
            asked = [stream for stream in asked if stream.token == params["progressToken"]]
        elif method.endswith(UNRELATED):
            asked = []
        return asked[-1] if asked else self.unasked

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def wait(self) -> None:
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()


class Shim(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, command: list[str], prefix: str) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.command, self.prefix = command, prefix
        self.sessions: dict[str, Program] = {}
        self.programs: list[Program] = []
        self._lock = threading.Lock()

    def start(self) -> Program:
        self.programs.append(Program(self.command))
        return self.programs[-1]

    def shared(self) -> Program:
        with self._lock:
            if "" not in self.sessions:
                self.sessions[""] = self.start()
            return self.sessions[""]

    def renamed(self, message: Any, sign: int, method: str) -> bool:
        """Puts the prefix before names in a request (+1), or takes it off in a list (-1); whether any name changed."""
        body = message.get("params" if sign > 0 else "result")
        if not self.prefix or not isinstance(body, dict):
            return False
        if sign > 0:
            named = {"tools/call": body, "prompts/get": body, "completion/complete": body.get("ref")}.get(method)
            places = [named] if isinstance(named, dict) and isinstance(named.get("name"), str) else []
        else:
            listed = {"tools/list": "tools", "prompts/list": "prompts"}.get(method, "")
            places = [each for each in body.get(listed, ()) if each["name"].startswith(self.prefix)]
        for place in places:
            place["name"] = self.prefix + place["name"] if sign > 0 else place["name"][len(self.prefix):]
        return bool(places)


class Exchange(BaseHTTPRequestHandler):
    server: Shim
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    session = ""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        message = json.loads(body)
        stateless = self.headers.get("MCP-Protocol-Version", HANDSHAKE[0]) not in HANDSHAKE
        program = self.program(message.get("method"), stateless)
        if program is None:
            return self.plain(404)
        line = body
        if self.server.renamed(message, +1, message.get("method", "")) or b"\n" in body:
            line = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
        if "method" not in message or "id" not in message:
            program.write(line)
            return self.plain(202)
        stream = program.ask(message, line)
        try:
            self.answer(stream, stateless)
        finally:
            if stateless:
                program.give_up(message["id"], stream)  # nothing is left to give up when the answer has come
        return None

    def do_GET(self) -> None:
        program = self.program("", False)
        if program is None or not self.session:
            return self.plain(405)
        return self.answer(program.unasked, False, events=True)

    def do_DELETE(self) -> None:
        program = self.program("", False)
        if program is None or not self.session:
            return self.plain(404)
        del self.server.sessions[self.session]
        program.end()
        return self.plain(204)

    def program(self, method: str | None, stateless: bool) -> Program | None:
        self.session = self.headers.get("Mcp-Session-Id", "")
        if stateless:
            return self.server.shared()
        if method == "initialize":
            self.session = secrets.token_hex(16)
            self.server.sessions[self.session] = self.server.start()
        return self.server.sessions.get(self.session) if self.session else None

    def answer(self, stream: Stream, stateless: bool, events: bool = False) -> None:
        """Sends what a stream carries; as events from the start, or from the first message on that is no answer."""
        if events:
            self.begin_events()
        for line in self.lines(stream):
            if line is None:
                return None if events else self.plain(502)
            message = json.loads(line)
            answered = "method" not in message
            if answered and self.server.renamed(message, -1, stream.method):
                line = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
            if answered and not events:
                code = message["error"]["code"] if "error" in message else 0
                return self.plain(STATUS.get(code, 200) if stateless else 200, line)
            if not events:
                events = True
                self.begin_events()
            self.wfile.write(b"data: " + line + b"\n\n")
            if answered:
                return None
        return None

    def lines(self, stream: Stream) -> Iterator[bytes | None]:
        """The lines of a stream, for as long as the client is there."""
        while True:
            try:
                yield stream.lines.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                readable, _, _ = select.select([self.connection], [], [], 0)
                if readable and not self.connection.recv(1, socket.MSG_PEEK):
                    return

    def begin_events(self) -> None:
        self.close_connection = True             # the end of the connection is the end of the stream
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        if self.session:
            self.send_header("Mcp-Session-Id", self.session)
        self.end_headers()

    def plain(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        if self.session:
            self.send_header("Mcp-Session-Id", self.session)
        if body:
            self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            pass                                 # the client went away while it was written to


def main() -> None:
    parser = argparse.ArgumentParser(description="HTTP before a program on stdio")
    parser.add_argument("--prefix", default="")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    shim = Shim(options.command, options.prefix)
    threading.Thread(target=shim.serve_forever, daemon=True).start()
    print(shim.server_port, flush=True)
    sys.stdin.read()
    for program in shim.programs:
        program.end()
    for program in shim.programs:
        program.wait()


if __name__ == "__main__":
    main()
