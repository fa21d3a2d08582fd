"""Finding out which era a server speaks, and greeting it in it.

server/discover →  a result that names our revision      stateless
                   an error that names it (-32022)       stateless, asked once more
                   any other answer                      handshake: `initialize` on the same process
                   the process ends                      handshake: a new process, never probed again
                   silence                               `initialize` too; the first good answer wins
(protocol bridge, section 4; MCP 2026-07-28 basic/transports/stdio, backward compatibility)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from ..eras.to_server import Greeting, greeting, handshake_capabilities, names_stateless, own_meta
from ..errors import ServerBroken, ServerError, ServerGone, ServerSilent
from ..slot import Slot
from ..wire import dialect
from ..wire.messages import ErrorAnswer, Result
from ..wire.peer import Answer
from .link import Link


class EndedOnProbe(Exception):
    """The server's process ended when it was asked what it speaks: start it again, and do not ask."""


class Greeter:
    """Greets one server. `client` is who we say we are, `capabilities` are the host's in the house tongue."""

    def __init__(
        self,
        link: Link,
        client: Mapping[str, Any],
        capabilities: Mapping[str, Any],
        *,
        start_secs: float,
        probe_secs: float,
    ) -> None:
        self._link, self._client, self._capabilities = link, client, capabilities
        self._start_secs, self._probe_secs = start_secs, probe_secs
        self.dropped = False
        """True when the probe was never answered though the server is there: it need not be asked again."""

    async def greet(self, protocol: str) -> Greeting:
        """The server's greeting; raises `ServerError`, or `EndedOnProbe` for protocol `auto`."""
        if protocol == "handshake":
            return await self._initialize()
        probe = self._discover()
        await first_of((probe,), self._start_secs if protocol == "stateless" else self._probe_secs)
        if not probe.settled:
            if protocol == "stateless":
                raise ServerSilent(
                    self._link.server, f"`server/discover` was not answered within {self._start_secs:g} s"
                )
            return await self._both(probe)
        return await self._judge(probe.value, protocol)

    async def _judge(self, answer: Answer | None, protocol: str) -> Greeting:
        """What to do with the answer to the probe."""
        if isinstance(answer, ServerGone) and protocol == "auto":
            raise EndedOnProbe
        if isinstance(answer, ServerError):
            raise answer
        if isinstance(answer, Result):
            found = greeting(answer, stateless=True)
            if found is not None:
                return found
        elif answer is not None and names_stateless(answer):
            return await self._discover_again()
        if protocol == "stateless":
            raise self._broken("does not speak 2026-07-28, which `protocol` demands of it", answer)
        return await self._initialize()

    async def _discover_again(self) -> Greeting:
        """It says that it speaks our revision, so its refusal of the first question was about something else."""
        probe = self._discover()
        await first_of((probe,), self._start_secs)
        found = greeting(probe.value, stateless=True) if isinstance(probe.value, Result) else None
        if found is None:
            raise self._broken("names 2026-07-28 as its protocol, and refuses to speak it", probe.value)
        return found

    async def _both(self, probe: Slot[Answer]) -> Greeting:
        """Silence may mean a slow start or a server that drops what it does not know: ask the old way as well."""
        first = self._ask_initialize()
        await first_of((probe, first), self._start_secs)
        if probe.settled:
            found = greeting(probe.value, stateless=True) if isinstance(probe.value, Result) else None
            if found is not None:
                return found
            await first_of((first,), self._start_secs)
        found = await self._greeted(first.value)
        self.dropped = not probe.settled and not found.stateless
        return found

    async def _initialize(self) -> Greeting:
        first = self._ask_initialize()
        await first_of((first,), self._start_secs)
        return await self._greeted(first.value)

    async def _greeted(self, answer: Answer | None) -> Greeting:
        if isinstance(answer, ServerError):
            raise answer
        if answer is None:
            raise ServerSilent(self._link.server, f"`initialize` was not answered within {self._start_secs:g} s")
        if names_stateless(answer):
            return await self._discover_again()
        found = greeting(answer, stateless=False)
        if found is None:
            raise self._broken("did not accept `initialize`", answer)
        self._link.tell("notifications/initialized")
        return found

    def _ask_initialize(self) -> Slot[Answer]:
        params = {
            "protocolVersion": dialect.NEWEST_HANDSHAKE,
            "capabilities": handshake_capabilities(self._capabilities),
            "clientInfo": self._client,
        }
        return self._link.ask("initialize", params, self._start_secs)

    def _discover(self) -> Slot[Answer]:
        params = {"_meta": own_meta(self._client, {})}
        return self._link.ask("server/discover", params, self._start_secs)

    def _broken(self, what: str, answer: Answer | None) -> ServerBroken:
        said = f": {answer.message[:200]} ({answer.code})" if isinstance(answer, ErrorAnswer) else ""
        if isinstance(answer, Result):
            version = answer.value.get("protocolVersion")
            said = (
                f": it answered with protocol version {str(version)[:40]!r}"
                if version is not None
                else ": its answer names no protocol version"
            )
        return ServerBroken(self._link.server, f"downstream server '{self._link.server}' {what}{said}")


async def first_of(slots: tuple[Slot[Any], ...], secs: float) -> None:
    """Wait, inside an asyncio task, until one of the slots is settled or the time is over."""
    if any(slot.settled for slot in slots):
        return
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def wake() -> None:
        if not done.done():
            done.set_result(None)

    timer = loop.call_later(secs, wake)
    for slot in slots:
        slot.wake = wake
    try:
        await done
    finally:
        timer.cancel()
        for slot in slots:
            slot.wake = None
