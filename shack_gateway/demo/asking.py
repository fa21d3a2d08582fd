"""One request of the host as a demo tool sees it, and the ways of not answering it plainly."""
from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

KEY = "io.modelcontextprotocol/"
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

Params = dict[str, Any]


class Trouble(Exception):
    """A tool could not do what it was asked; the model reads the text (`isError: true`)."""


class Fault(Exception):
    """A request that cannot be served: a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


class Question(Exception):
    """The user must be asked first. The stateless era carries this as a result; no handshake demo server asks."""

    def __init__(self, requests: dict[str, Any], state: str) -> None:
        super().__init__("input required")
        self.requests, self.state = requests, state


class Cancelled(Exception):
    """The host no longer wants the answer."""


class Ask:
    """One request while it is served: tells progress, logs, waits, and knows when it was cancelled."""

    def __init__(
        self, id: str | int, stateless: bool, params: Params, level: str, notify: Callable[[str, Params], None]
    ) -> None:
        meta = member(params, "_meta")
        self.id, self.stateless, self._notify = id, stateless, notify
        self._token = meta.get("progressToken")
        # A stateless request that names no level wants no log at all.
        self._level = str(meta.get(KEY + "logLevel", "")) if stateless else level
        self.capabilities = member(meta, KEY + "clientCapabilities")
        self.answers = member(params, "inputResponses")
        self.state = params.get("requestState")
        self.gone = threading.Event()

    def progress(self, done: float, total: float, message: str) -> None:
        if self._token is not None:
            told = {"progressToken": self._token, "progress": done, "total": total, "message": message}
            self._notify("notifications/progress", told)

    def log(self, level: str, logger: str, data: Any) -> None:
        if self._level in LEVELS and LEVELS.index(level) >= LEVELS.index(self._level):
            self._notify("notifications/message", {"level": level, "logger": logger, "data": data})

    def wait(self, seconds: float) -> None:
        """Pause, and stop the tool where it stands when the host cancels."""
        if self.gone.wait(seconds):
            raise Cancelled


def member(params: Params, key: str) -> Params:
    """The object under `key`, or an empty one when there is none."""
    value = params.get(key)
    return value if isinstance(value, dict) else {}
