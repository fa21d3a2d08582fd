"""What the hall needs of the world.  Pure: the doors implement it, tests fake it."""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from ..catalog.entries import Catalog
from ..pipeline.call import Call, Outcome
from ..record import NamedTuple
from ..wire.peer import Answer


class ServerState(Protocol):
    """What can be said of one configured server."""

    @property
    def server(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def era(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def error(self) -> str: ...


class Servers(Protocol):
    """The configured servers, as far as the hall is concerned."""

    @property
    def catalog(self) -> Catalog: ...

    def settled(self, name: str = "") -> Awaitable[None]:
        """Wait, within bounds, for servers that are coming up."""
        ...

    def why_unknown(self, name: str) -> str:
        """What is the matter with the server that `name` seems to belong to, if nothing is known of what it has."""
        ...

    def missing(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Servers still starting, and servers that are down, of which nothing is known."""
        ...

    def ages(self) -> Mapping[str, int]:
        """Milliseconds since each server listed, for those that run."""
        ...

    def rows(self) -> Sequence[ServerState]: ...

    def let_go(self, server: str, handle: str) -> None:
        """Give up a parked call of that handle, if it is still parked."""
        ...

    def request(
        self, server: str, method: str, params: Mapping[str, Any], capabilities: Mapping[str, Any], level: str | None
    ) -> Awaitable[Outcome]: ...


Tell = Callable[[str, Mapping[str, Any]], None]
"""Takes what has happened, by its name and with what there is to say of it."""


def nobody(event: str, facts: Mapping[str, Any]) -> None:
    """Nobody wants to know (a `Tell`)."""


class Journal(Protocol):
    """What is written down of all that happens. Nothing here waits, or raises."""

    @property
    def last(self) -> int:
        """The number of the call that `call` was told of last."""
        ...

    def now(self) -> float:
        """Seconds of a clock that only goes on."""
        ...

    def call(self, first: Call, sent: Call, outcome: Outcome | None, secs: float) -> None:
        """A call that walked the corridor is over."""
        ...

    def request(
        self, method: str, params: Mapping[str, Any], number: int, outcome: Outcome | None, began: float
    ) -> None:
        """A request is over that walked no corridor; it came at `began`."""
        ...

    def event(self, name: str, facts: Mapping[str, Any]) -> None:
        """Anything else (a `Tell`)."""
        ...


class ServersQuestion(NamedTuple):
    """A question for a handshake host. `version` is the server's, `call` what it is taken to belong to; `done` takes
    the answer, `progress` what the host says meanwhile."""

    server: str
    method: str
    params: Mapping[str, Any]
    version: str
    call: Call | None
    done: Callable[[Answer], None]
    progress: Callable[[dict[str, Any]], None] | None


class HostQuestion(Protocol):
    """A question that is with the host."""

    def cancel(self, reason: str) -> None: ...
