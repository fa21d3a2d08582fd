"""A host built on the Python SDK 1.x (handshake era only); see steps.py for plan and report."""
from __future__ import annotations

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import anyio
import mcp.types as types
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from pydantic import AnyUrl
from replies import Replies, handlers
from steps import Noted, main, plain, walk


class Link:
    """The words of a plan, in this SDK."""

    def __init__(self, session: ClientSession, replies: Replies | None) -> None:
        self._session, self._replies = session, replies

    async def tools(self) -> Any:
        return {"result": plain(await self._session.list_tools())}

    async def resources(self) -> Any:
        return {"result": plain(await self._session.list_resources())}

    async def templates(self) -> Any:
        return {"result": plain(await self._session.list_resource_templates())}

    async def prompts(self) -> Any:
        return {"result": plain(await self._session.list_prompts())}

    async def read(self, uri: str) -> Any:
        return {"result": plain(await self._session.read_resource(AnyUrl(uri)))}

    async def prompt(self, name: str, arguments: dict[str, str] | None = None) -> Any:
        return {"result": plain(await self._session.get_prompt(name, arguments))}

    async def complete(self, ref: dict[str, Any], argument: dict[str, str],
                       context: dict[str, str] | None = None) -> Any:
        kind = types.PromptReference if ref["type"] == "ref/prompt" else types.ResourceTemplateReference
        return {"result": plain(await self._session.complete(kind.model_validate(ref), argument, context))}

    async def log(self, level: Any) -> Any:
        """Asks for log messages from this level on."""
        return {"result": plain(await self._session.set_logging_level(level))}

    async def watch(self, uri: str) -> Any:
        """Asks to be told when the resource changes."""
        return {"result": plain(await self._session.subscribe_resource(AnyUrl(uri)))}

    async def ping(self) -> Any:
        return {"result": plain(await self._session.send_ping())}

    async def call(self, name: str, arguments: dict[str, Any] | None = None, progress: bool = False,
                   meta: dict[str, Any] | None = None, cancel_at_progress: int = 0, cancel_when_asked: str = "") -> Any:
        heard: list[list[Any]] = []
        enough = anyio.Event()

        async def on_progress(done: float, total: float | None, message: str | None) -> None:
            heard.append([done, total, message])
            if len(heard) == cancel_at_progress:
                enough.set()

        if cancel_when_asked:
            assert self._replies is not None
            asked = self._replies.asked.until("elicitation/create", cancel_when_asked)
            return await self._cancelled(name, arguments, on_progress, asked)
        if cancel_at_progress:
            return await self._cancelled(name, arguments, on_progress, enough.wait())
        answer = await self._session.call_tool(
            name, arguments, progress_callback=on_progress if progress else None, meta=meta)
        return {"result": plain(answer), **({"progress": heard} if progress else {})}

    async def _cancelled(self, name: str, arguments: Any, on_progress: Any, enough: Awaitable[None]) -> Any:
        # This SDK tells the server nothing when a caller gives up, so the driver does as a careful host would:
        # it reads the id the next request will have, and sends the notification itself.
        outcome: dict[str, Any] = {"cancelled": True}
        number = -1

        async def ask(scope: anyio.CancelScope) -> None:
            nonlocal number
            with scope:
                outcome.clear()
                number = self._session._request_id
                outcome.update({"result": plain(await self._session.call_tool(
                    name, arguments, progress_callback=on_progress))})

        scope = anyio.CancelScope()
        async with anyio.create_task_group() as group:
            group.start_soon(ask, scope)
            await enough
            params = types.CancelledNotificationParams(requestId=number, reason="enough seen")
            await self._session.send_notification(types.ClientNotification(
                types.CancelledNotification(method="notifications/cancelled", params=params)))
            scope.cancel()
        return outcome or {"cancelled": True}


async def connect(wanted: dict[str, Any], noted: Noted, report: dict[str, Any]) -> None:
    async def on_message(message: Any) -> None:
        if isinstance(message, types.ServerNotification):
            noted.add(message.root.method, plain(message.root).get("params"))

    where = StdioServerParameters(
        command=wanted["command"], args=wanted["args"], env=wanted.get("env"), cwd=wanted.get("cwd"))
    replies = Replies(wanted["replies"], noted, report) if "replies" in wanted else None
    more = handlers(replies, types) if replies else {}
    async with stdio_client(where) as (read, write):
        async with ClientSession(read, write, timedelta(seconds=60), message_handler=on_message, **more) as session:
            greeted = await session.initialize()
            report.update({
                "version": greeted.protocolVersion, "server": plain(greeted.serverInfo),
                "capabilities": plain(greeted.capabilities), "instructions": greeted.instructions,
            })
            await walk(Link(session, replies), wanted, noted, report)


if __name__ == "__main__":
    main(connect)
