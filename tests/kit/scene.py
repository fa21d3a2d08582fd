"""One test's world: a folder, a workspace in it, scripted servers, and the real gateway before them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

from .host import PATIENCE, ROOT, Host, Late, descendants, wait_gone

T = TypeVar("T")
STUB = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import stub_server; stub_server.main()"
"""The stub server as code for `-c`: an imported module is compiled once, a script at every start."""


class Scene:
    """Servers are added with `server`, the gateway is started with `start`; `close` ends and judges everything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = folder / "workspace"
        self.workspace.mkdir(exist_ok=True)
        self.servers: dict[str, dict[str, Any]] = {}
        self.hosts: list[Host] = []
        self.marker = str(folder)
        self.lenient = False  # the test judges leftovers and faults by itself
        self.deaf: set[str] = set()  # servers that do not notice their end: nobody waits for it at the end of the test
        self._read: dict[Path, int] = {}  # what a server had received when the test that is running began

    def server(
        self, name: str, *tools: Any, entry: dict[str, Any] | None = None, log: bool = True, **script: Any
    ) -> None:
        """A stub server; `script` as `stub_server` reads it, `entry` is added to its entry in the configuration."""
        script = {"name": name, **script}
        if tools:
            script["tools"] = list(tools)
        script["starts"] = str(self.folder / f"{name}.starts")
        if log:
            script["received"] = str(self.folder / f"{name}.received")
        path = self.folder / f"{name}.stub.json"
        path.write_text(json.dumps(script), encoding="utf-8")
        self.servers[name] = {"command": sys.executable, "args": ["-S", "-c", STUB, str(path)], **(entry or {})}

    def config(self, **settings: Any) -> Path:
        """Write the configuration; gives its path."""
        path = self.folder / "shack-config.json"
        whole = {"workspace_root": str(self.workspace), "expose_mode": "full", "servers": self.servers, **settings}
        path.write_text(json.dumps(whole), encoding="utf-8")
        return path

    def environ(self) -> dict[str, str]:
        return {"SHACK_STATE_DIR": str(self.folder / "state"), "SHACK_TEST_SCENE": self.marker}

    def start(self, *, env: dict[str, str] | None = None, keep: bool = True, **settings: Any) -> Host:
        """The gateway on a configuration written now."""
        host = Host(self.config(**settings), env={**self.environ(), **(env or {})}, keep=keep)
        self.hosts.append(host)
        return host

    def run(self, *args: str, timeout: float = PATIENCE, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """`python -m shack_gateway ARGS` to its end."""
        environ = {**os.environ, **self.environ(), "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, "-m", "shack_gateway", *args],
            input=stdin,
            capture_output=True,
            timeout=timeout,
            env=environ,
            cwd=self.folder,
            check=False,
        )

    def received(self, name: str, method: str = "") -> list[dict[str, Any]]:
        """What reached a server, or only the messages of one method."""
        path = self.folder / f"{name}.received"
        raw = b""
        if path.exists():
            with open(path, "rb") as file:
                file.seek(self._read.get(path, 0))
                raw = file.read()
        messages = [json.loads(line) for line in raw.split(b"\n") if line]
        return [m for m in messages if not method or m.get("method") == method]

    def turn_page(self) -> Scene:
        """Another test begins with the gateway of this scene: `received` tells from here on only what is new."""
        for host in self.hosts:
            host.check()
        self._read = {path: path.stat().st_size for path in self.folder.glob("*.received")}
        return self

    def starts(self, name: str) -> list[int]:
        """The process ids of a server's starts so far."""
        path = self.folder / f"{name}.starts"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def until(self, ready: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
        """Until `ready()` holds, asked every few milliseconds."""
        end = time.monotonic() + timeout
        while not (value := ready()):
            if time.monotonic() > end:
                raise Late(what)
            time.sleep(0.01)
        return value

    def close(self) -> None:
        """End every gateway; nothing may be wrong and nothing may be left."""
        try:
            for host in self.hosts:
                if host.process.poll() is None and not self.lenient:
                    self._end_the_deaf(host)
                    host.close()
                if not self.lenient:
                    host.check()
        finally:
            for host in self.hosts:
                host.end()
        wait_gone(self.marker, 8)

    def _end_the_deaf(self, host: Host) -> None:
        """Kill the servers that would only take the seconds which the gateway leaves them; it is at its end already."""
        if not self.deaf:
            return
        host.hang_up()
        for pid in descendants(host.process.pid) if os.path.isdir("/proc/self") else ():
            if any(pid in self.starts(name) for name in self.deaf):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


class Kept:
    """Gateways that serve several tests of a module, whose calls begin and end within them and leave nothing behind."""

    def __init__(self, folder: Callable[[str], Path]) -> None:
        self._folder = folder
        self._made: dict[str, tuple[Scene, Any]] = {}
        self._leave = ExitStack()

    def __call__(self, make: Callable[[Scene], T], *key: Any) -> tuple[Scene, T]:
        """What `make` made of a scene when it was first called with this key (anything that JSON can hold)."""
        name = json.dumps(key, sort_keys=True)
        if name not in self._made:
            scene = Scene(self._folder("kept"))
            self._leave.callback(scene.close)
            self._made[name] = scene, make(scene)
        scene, made = self._made[name]
        return scene.turn_page(), made

    def close(self) -> None:
        """End and judge all of them; they end side by side."""
        for scene, _ in self._made.values():
            for host in scene.hosts:
                host.hang_up()
                self._leave.callback(host.wait_exit)  # comes before the end of its scene
        self._leave.close()
