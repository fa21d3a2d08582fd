"""A host for the demo: starts the gateway as any host does, asks it, and never waits for ever."""
from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

PATIENCE_SECS = 20.0
"""For one answer; a demo that takes longer has gone wrong."""
KEY = "io.modelcontextprotocol/"
CLIENT = {"name": "shack-demo-host", "version": "1.0"}

Message = dict[str, Any]


class Unexpected(Exception):
    """Something else came than should have; the text says what."""


class GatewayEnded(Unexpected):
    """The gateway is gone, or does not answer; nothing more can be shown."""


class DemoHost:
    """The gateway as a process, and one conversation with it; `overhear` is given `>>` or `<<` and every line."""

    def __init__(
        self, command: Sequence[str], cwd: str, environ: Mapping[str, str], stderr: IO[bytes],
        overhear: Callable[[str, str], None],
    ) -> None:
        self._process = subprocess.Popen(
            list(command), cwd=cwd, env=dict(environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
        self._overhear = overhear
        self._news: queue.Queue[str | None] = queue.Queue()
        self._number = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                self._news.put(line.decode("utf-8", "replace").rstrip("\r\n"))
        self._news.put(None)

    def tell(self, method: str) -> None:
        """Send a notification."""
        self._write({"jsonrpc": "2.0", "method": method})

    def ask(
        self, method: str, params: Message, heard: Callable[[Message], None] = lambda message: None
    ) -> Message:
        """Send a request and give the whole answer; `heard` is given every notification that comes before it."""
        self._number += 1
        self._write({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        end = time.monotonic() + PATIENCE_SECS
        while True:
            message = self._next(end, method)
            if "method" in message:
                heard(message)
            elif message.get("id") == self._number:
                return message
            else:
                raise Unexpected(f"an answer came that nobody asked for: {json.dumps(message)[:200]}")

    @staticmethod
    def stateless(params: Message, capabilities: Message | None = None) -> Message:
        """The params of a request that needs no handshake: who asks and what it can do travels along."""
        return {**params, "_meta": {KEY + "protocolVersion": "2026-07-28", KEY + "clientInfo": CLIENT,
                                    KEY + "clientCapabilities": capabilities or {}}}

    def leave(self) -> int:
        """Close the pipe as a host does at its end; the exit code of the gateway."""
        assert self._process.stdin
        try:
            self._process.stdin.close()
            return self._process.wait(PATIENCE_SECS)
        except (OSError, subprocess.TimeoutExpired):
            raise GatewayEnded(f"the gateway did not end within {PATIENCE_SECS:g} s after the host had left") from None

    def end(self) -> None:
        """Make sure that the gateway is gone, whatever happened; its guard takes the servers along."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE_SECS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(PATIENCE_SECS)
        self._thread.join(1)

    def _write(self, message: Message) -> None:
        line = json.dumps(message, ensure_ascii=False)
        self._overhear(">>", line)
        assert self._process.stdin
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise GatewayEnded("the gateway no longer reads") from None

    def _next(self, end: float, method: str) -> Message:
        try:
            line = self._news.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            raise GatewayEnded(f"no answer to {method} within {PATIENCE_SECS:g} s") from None
        if line is None:
            raise GatewayEnded(f"the gateway ended before it answered {method}")
        self._overhear("<<", line)
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise Unexpected(f"the gateway wrote a line that is no message: {line[:200]}")
        return message
