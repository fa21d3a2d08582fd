"""A host made of nothing but a pipe: starts the real gateway, sends lines, keeps and judges every line that comes back.

Every wait has a bound. `faults` collects what a gateway must never do (a line that is no JSON-RPC message, an answer
nobody asked for, a second answer); `close` and `check` raise them.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

M = "io.modelcontextprotocol/"
STATELESS = "2026-07-28"
PATIENCE = float(os.environ.get("SHACK_TEST_PATIENCE", "15"))
"""Seconds after which a wait is given up; only ever reached by a failing test."""
ROOT = Path(__file__).resolve().parents[2]
CLIENT = {"name": "raw-host", "version": "1.0"}


class Late(AssertionError):
    """Something that should have come did not come in time."""


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


class Host:
    """One gateway process and the conversation with it."""

    def __init__(
        self,
        config: str | Path,
        *,
        env: dict[str, str] | None = None,
        args: Iterable[str] = (),
        cwd: str | Path | None = None,
        command: Iterable[str] | None = None,
        keep: bool = True,
    ) -> None:
        line = list(command) if command else [sys.executable, "-m", "shack_gateway", "--config", str(config)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        self.process = subprocess.Popen(
            [*line, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environ,
            cwd=cwd or ROOT,
            start_new_session=True,  # a group of its own, which a test may kill
        )
        self.keep = keep  # a load test turns the memory of the conversation off
        self.messages: list[dict[str, Any]] = []
        self.conversation: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[tuple[type, Any], dict[str, Any]] = {}
        self.stray: list[dict[str, Any]] = []  # errors without an id
        self.lines: list[bytes] = []
        self.faults: list[str] = []
        self.listens: set[Any] = set()
        self.stderr = b""
        self.batches = False  # arrays may come back (2025-03-26)
        self.tolerant = False  # answers to ids we never sent are expected (fuzzing)
        self._sent: dict[tuple[type, Any], int] = {}
        self._number = 0
        self._news = threading.Condition()
        self._reading, self._listening = threading.Event(), threading.Event()
        self._reading.set()
        self._listening.set()
        self._ended = False
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._drain)]
        if sys.platform != "win32":
            os.set_blocking(self._stdin, False)
        for thread in self._threads:
            thread.start()

    @property
    def _stdin(self) -> int:
        assert self.process.stdin is not None
        return self.process.stdin.fileno()

    # --- what comes back ---------------------------------------------------------------------------------------------

    def _read(self) -> None:
        fd, rest = self.process.stdout.fileno(), []  # type: ignore[union-attr]
        while True:
            self._reading.wait()
            chunk = os.read(fd, 1 << 20)
            if not chunk:
                break
            lines = chunk.split(b"\n")
            if len(lines) > 1:
                lines[0] = b"".join([*rest, lines[0]])
                rest = []
                with self._news:
                    for line in lines[:-1]:
                        self._take(line)
                    self._news.notify_all()
            if lines[-1]:
                rest.append(lines[-1])
        with self._news:
            if rest:
                self.faults.append(f"the last line has no end: {b''.join(rest)[:200]!r}")
            self._ended = True
            self._news.notify_all()

    def _take(self, line: bytes) -> None:
        if self.keep:
            self.lines.append(line)
        try:
            value = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            self.faults.append(f"not JSON ({error}): {line[:200]!r}")
            return
        if isinstance(value, list) and value and self.batches:
            for message in value:
                self._judge(message, line)
        else:
            self._judge(value, line)

    def _judge(self, message: Any, line: bytes) -> None:
        fault = shape_fault(message)
        if fault:
            self.faults.append(f"{fault}: {line[:300]!r}")
            return
        if self.keep:
            self.messages.append(message)
            self.conversation.append(("<", message))
        if "method" in message:
            return
        if "id" not in message:
            self.stray.append(message)
            return
        key = type(message["id"]), message["id"]
        left = self._sent.get(key, 0)
        if left <= 0 and not self.tolerant:
            self.faults.append(f"an answer nobody waits for: {line[:300]!r}")
        self._sent[key] = left - 1
        self.answers[key] = message

    def _drain(self) -> None:
        fd = self.process.stderr.fileno()  # type: ignore[union-attr]
        while self._listening.wait() and (chunk := os.read(fd, 65536)):
            self.stderr = (self.stderr + chunk)[-1_000_000:]

    @property
    def log(self) -> str:
        """What the gateway wrote to its stderr so far."""
        return self.stderr.decode("utf-8", "replace")

    def memory_kib(self, field: str = "VmHWM") -> int:
        """Memory of the gateway, at its peak or now (`VmRSS`); Linux only."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith(field)))

    def pause(self) -> None:
        """Stop reading what the gateway writes (a deaf host)."""
        self._reading.clear()

    def ignore_log(self) -> None:
        """Stop reading the gateway's stderr."""
        self._listening.clear()

    def go_on(self) -> None:
        """Read again whatever was left unread."""
        self._reading.set()
        self._listening.set()

    # --- what goes out -----------------------------------------------------------------------------------------------

    def send_raw(self, data: bytes, timeout: float = PATIENCE) -> None:
        """Write bytes as they are; raises `Late` when the gateway does not take them."""
        if sys.platform == "win32":
            os.write(self._stdin, data)
            return
        view, end = memoryview(data), time.monotonic() + timeout
        while view:
            try:
                view = view[os.write(self._stdin, view) :]
            except BlockingIOError:
                left = end - time.monotonic()
                if left <= 0:
                    raise Late(f"the gateway took {len(data) - len(view)} of {len(data)} bytes and no more") from None
                select.select((), (self._stdin,), (), left)

    def next_id(self) -> int:
        self._number += 1
        return self._number

    def expect(self, id: Any) -> None:
        """An answer to `id` may come; `send` says so by itself, `send_raw` does not."""
        key = type(id), id
        with self._news:
            self._sent[key] = self._sent.get(key, 0) + 1
            self.answers.pop(key, None)

    def send(self, method: str, params: Any = None, *, id: Any = None, **more: Any) -> Any:
        """Send a request and do not wait; gives its id."""
        id = self.next_id() if id is None else id
        message = {
            "jsonrpc": "2.0",
            "id": id,
            "method": method,
            **({} if params is None else {"params": params}),
            **more,
        }
        self.expect(id)
        self._say(message)
        return id

    def notify(self, method: str, params: Any = None) -> None:
        self._say({"jsonrpc": "2.0", "method": method, **({} if params is None else {"params": params})})

    def respond(self, id: Any, result: Any) -> None:
        self._say({"jsonrpc": "2.0", "id": id, "result": result})

    def respond_error(self, id: Any, code: int, text: str) -> None:
        self._say({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": text}})

    def _say(self, message: dict[str, Any]) -> None:
        if self.keep:
            with self._news:
                self.conversation.append((">", message))
        try:
            line = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:  # half a surrogate pair can only be sent escaped
            line = json.dumps(message, separators=(",", ":")).encode()
        self.send_raw(line + b"\n")

    def request(self, method: str, params: Any = None, *, id: Any = None, timeout: float = PATIENCE) -> dict[str, Any]:
        """Send a request and give the whole answer."""
        return self.answer(self.send(method, params, id=id), timeout)

    def handshake(self, version: str = "2025-11-25", capabilities: dict[str, Any] | None = None) -> dict[str, Any]:
        """`initialize` and `notifications/initialized`; gives the result."""
        self.batches = version == "2025-03-26"
        params = {"protocolVersion": version, "capabilities": capabilities or {}, "clientInfo": CLIENT}
        answer = self.request("initialize", params)
        self.notify("notifications/initialized")
        return answer["result"]  # type: ignore[no-any-return]

    @staticmethod
    def meta(capabilities: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """The `_meta` of a stateless request; `log_level="info"` and `token=...` have short names here."""
        meta = {
            M + "protocolVersion": STATELESS,
            M + "clientCapabilities": capabilities or {},
            M + "clientInfo": CLIENT,
        }
        if "log_level" in more:
            meta[M + "logLevel"] = more.pop("log_level")
        if "token" in more:
            meta["progressToken"] = more.pop("token")
        return {**meta, **more}

    def ask(
        self, method: str, params: Any = None, *, timeout: float = PATIENCE, id: Any = None, **meta: Any
    ) -> dict[str, Any]:
        """A stateless request; gives the whole answer."""
        return self.request(method, {**(params or {}), "_meta": self.meta(**meta)}, id=id, timeout=timeout)

    def call(self, name: str, arguments: Any = None, *, timeout: float = PATIENCE, **more: Any) -> dict[str, Any]:
        """`tools/call` of the handshake era; gives the whole answer."""
        return self.request("tools/call", {"name": name, "arguments": arguments or {}, **more}, timeout=timeout)

    # --- waiting -----------------------------------------------------------------------------------------------------

    def wait(self, ready: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
        """Until `ready()` is true; it is asked again after every line."""
        end = time.monotonic() + timeout
        with self._news:
            while True:
                value = ready()
                if value:
                    return value
                left = end - time.monotonic()
                if self._ended or left <= 0:
                    why = "the gateway ended" if self._ended else f"nothing in {timeout} s"
                    raise Late(f"{what}: {why}; log:\n{self.log[-3000:]}")
                self._news.wait(min(left, 0.5))

    def answer(self, id: Any, timeout: float = PATIENCE) -> dict[str, Any]:
        """The answer to a request that was sent."""
        key = type(id), id
        return self.wait(lambda: self.answers.get(key), f"no answer to {id!r}", timeout)  # type: ignore[no-any-return]

    def read_until(
        self, wanted: Callable[[dict[str, Any]], Any], timeout: float = PATIENCE, *, after: int = 0
    ) -> dict[str, Any]:
        """The first message from place `after` on for which `wanted` holds."""
        return self.wait(  # type: ignore[no-any-return]
            lambda: next((m for m in self.messages[after:] if wanted(m)), None), "the message did not come", timeout
        )

    def notification(self, method: str, timeout: float = PATIENCE, *, after: int = 0) -> dict[str, Any]:
        return self.read_until(lambda m: m.get("method") == method and "id" not in m, timeout, after=after)

    def lone_error(self, code: int, timeout: float = PATIENCE) -> dict[str, Any]:
        """Take the next error that carries no id, which must have this code."""
        self.wait(lambda: self.stray, f"no error {code} without id", timeout)
        with self._news:
            error = self.stray.pop(0)
        assert error["error"]["code"] == code, error
        return error

    def settle(self) -> None:
        """Until everything sent so far has been read by the gateway: a ping came back."""
        self.request("ping", id=f"settle-{self.next_id()}")

    # --- the end -----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise what the gateway should not have done."""
        assert not self.faults, "\n".join(self.faults[:20])
        assert "Traceback (most recent call last)" not in self.log, self.log[-6000:]

    def close(self, timeout: float = PATIENCE, *, check: bool = True) -> int:
        """End of input; gives the exit code once the gateway is gone."""
        self.hang_up()
        return self.wait_exit(timeout, check=check)

    def hang_up(self) -> None:
        """End of input, and no waiting."""
        self.go_on()
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()

    def wait_exit(self, timeout: float = PATIENCE, *, check: bool = True) -> int:
        try:
            code = wait_for(self.process, timeout)
        except subprocess.TimeoutExpired:
            raise Late(f"the gateway is still there after {timeout} s; log:\n{self.log[-3000:]}") from None
        for thread in self._threads:
            thread.join(5)
        if check:
            self.check()
        return code

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait for it."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def end(self) -> None:
        """Make sure that it is gone, whatever state it is in; judges nothing."""
        self.go_on()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self.process.stdin.close()
        for thread in self._threads:
            thread.join(5)
        if not any(thread.is_alive() for thread in self._threads):
            self.process.stdout.close()
            self.process.stderr.close()


def shape_fault(message: Any) -> str:
    """Why a value is no JSON-RPC message of MCP, or ""."""
    if not isinstance(message, dict):
        return "not an object"
    if message.get("jsonrpc") != "2.0":
        return "jsonrpc is not 2.0"
    if "id" in message and (isinstance(message["id"], bool) or not isinstance(message["id"], (str, int))):
        return "an id that is neither string nor integer"
    if "method" in message:
        if not isinstance(message["method"], str) or "result" in message or "error" in message:
            return "neither request nor response"
        if not isinstance(message.get("params", {}), dict):
            return "params are not an object"
        return ""
    if ("result" in message) == ("error" in message):
        return "neither result nor error, or both"
    if "result" in message:
        return (
            ""
            if isinstance(message["result"], dict) and "id" in message
            else "a result without id or that is no object"
        )
    error = message["error"]
    if (
        not isinstance(error, dict)
        or not isinstance(error.get("code"), int)
        or not isinstance(error.get("message"), str)
    ):
        return "an error without code or message"
    return ""


def text_of(answer: dict[str, Any]) -> str:
    """The text of the first content block of a tool's result."""
    assert "result" in answer, answer
    return answer["result"]["content"][0]["text"]  # type: ignore[no-any-return]


def json_of(answer: dict[str, Any]) -> Any:
    return json.loads(text_of(answer))


# --- processes -------------------------------------------------------------------------------------------------------


def wait_for(process: subprocess.Popen[bytes], timeout: float) -> int:
    """The exit code of a process, as soon as there is one: `Popen.wait` with a timeout looks only every 50 ms."""
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, or already waited for
        return process.wait(timeout)
    try:
        gone = select.poll()  # not `select`, which knows no descriptor above 1023
        gone.register(handle, select.POLLIN)
        gone.poll(timeout * 1000)
    finally:
        os.close(handle)
    code = process.poll()
    if code is None:
        raise subprocess.TimeoutExpired(process.args, timeout)
    return code


def _processes() -> Iterable[tuple[int, str]]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            yield int(name), f"/proc/{name}"


def _slurp(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def processes_left(marker: str) -> list[str]:
    """Processes (zombies not counted) that carry `marker` in their command line or environment; Linux only."""
    if not os.path.isdir("/proc/self"):
        return []
    left, wanted = [], marker.encode()
    for pid, folder in _processes():
        if pid == os.getpid():
            continue
        line = _slurp(f"{folder}/cmdline")
        if (wanted in line or wanted in _slurp(f"{folder}/environ")) and not _is_zombie(folder):
            left.append(f"{pid}: {line.replace(bytes(1), b' ').decode('utf-8', 'replace')[:200]}")
    return left


def _is_zombie(folder: str) -> bool:
    status = _slurp(f"{folder}/stat")
    return not status or re.search(rb"\) [ZX] ", status) is not None


def descendants(pid: int) -> dict[int, str]:
    """Every living descendant of a process: pid -> command line; Linux only."""
    parents: dict[int, int] = {}
    for other, folder in _processes():
        fields = _slurp(f"{folder}/stat").rpartition(b") ")[2].split()
        if len(fields) > 1:
            parents[other] = int(fields[1])
    found: dict[int, str] = {}
    wave = {pid}
    while wave:
        wave = {child for child, parent in parents.items() if parent in wave}
        found.update(
            {child: _slurp(f"/proc/{child}/cmdline").replace(b"\0", b" ").decode("utf-8", "replace") for child in wave}
        )
    return found


def alive(pid: int) -> bool:
    """True while the process exists and is no zombie."""
    return os.path.exists(f"/proc/{pid}") and not _is_zombie(f"/proc/{pid}")


def wait_gone(marker: str, timeout: float) -> None:
    """Until no process carries the marker."""
    end = time.monotonic() + timeout
    while left := processes_left(marker):
        if time.monotonic() > end:
            raise AssertionError(f"left behind after {timeout} s: {left}")
        time.sleep(0.01)
