"""A host built on the Python SDK 2.x; `mode` is auto, legacy, or a version to adopt unasked. See steps.py."""
from __future__ import annotations

import contextlib
import warnings
from typing import Any

import anyio
import mcp_types as types
from mcp import Client, StdioServerParameters
from replies import Replies, handlers
from steps import Noted, main, plain, walk

# The methods that only the handshake era has are used on purpose.
warnings.simplefilter("ignore")


class Link:
    """The words of a plan, in this SDK."""

    def __init__(self, client: Client, stack: contextlib.AsyncExitStack, replies: Replies | None) -> None:
        self._client, self._stack, self._replies = client, stack, replies

    async def tools(self) -> Any:
        return {"result": plain(await self._client.list_tools())}

    async def resources(self) -> Any:
        return {"result": plain(await self._client.list_resources())}

    async def templates(self) -> Any:
        return {"result": plain(await self._client.list_resource_templates())}

    async def prompts(self) -> Any:
        return {"result": plain(await self._client.list_prompts())}

    async def read(self, uri: str) -> Any:
        return {"result": plain(await self._client.read_resource(uri))}

    async def prompt(self, name: str, arguments: dict[str, str] | None = None) -> Any:
        return {"result": plain(await self._client.get_prompt(name, arguments))}

    async def complete(self, ref: dict[str, Any], argument: dict[str, str],
                       context: dict[str, str] | None = None) -> Any:
        kind = types.PromptReference if ref["type"] == "ref/prompt" else types.ResourceTemplateReference
        return {"result": plain(await self._client.complete(kind.model_validate(ref), argument, context))}

    async def log(self, level: Any) -> Any:
        """Asks for log messages from this level on; in the stateless era each call asks for itself, by its `meta`."""
        if self._stateless():
            return {"result": {}}
        return {"result": plain(await self._client.set_logging_level(level))}

    async def watch(self, uri: str) -> Any:
        """Asks to be told when the resource, or the list of tools, changes; a listen stays open to the end."""
        if not self._stateless():
            return {"result": plain(await self._client.session.subscribe_resource(uri))}
        await self._stack.enter_async_context(
            self._client.listen(tools_list_changed=True, resource_subscriptions=(uri,)))
        return {"result": {}}

    def _stateless(self) -> bool:
        return self._client.protocol_version >= "2026"

    async def ping(self) -> Any:
        return {"result": plain(await self._client.send_ping())}

    async def call(self, name: str, arguments: dict[str, Any] | None = None, progress: bool = False,
                   meta: dict[str, Any] | None = None, cancel_at_progress: int = 0, cancel_when_asked: str = "",
                   once: bool = False) -> Any:
        if once:
            # What is asked is the answer here, and nobody comes back with one to it.
            return {"result": plain(await self._client.session.call_tool(name, arguments, allow_input_required=True))}
        heard: list[list[Any]] = []
        scope = anyio.CancelScope()
        if cancel_when_asked:
            return await self._cancelled_when_asked(name, arguments, cancel_when_asked)

        async def on_progress(done: float, total: float | None, message: str | None) -> None:
            heard.append([done, total, message])
            if len(heard) == cancel_at_progress:
                scope.cancel()

        with scope:
            answer = await self._client.call_tool(
                name, arguments, meta=meta,
                progress_callback=on_progress if progress or cancel_at_progress else None)
            return {"result": plain(answer), **({"progress": heard} if progress else {})}
        return {"cancelled": True}

    async def _cancelled_when_asked(self, name: str, arguments: Any, tag: str) -> Any:
        outcome: dict[str, Any] = {"cancelled": True}

        async def ask() -> None:
            outcome.update({"result": plain(await self._client.call_tool(name, arguments))})

        assert self._replies is not None
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await self._replies.asked.until("elicitation/create", tag)
            group.cancel_scope.cancel()
        return outcome


async def connect(wanted: dict[str, Any], noted: Noted, report: dict[str, Any]) -> None:
    async def on_message(message: Any) -> None:
        if hasattr(message, "method"):
            noted.add(message.method, plain(message).get("params"))

    where = StdioServerParameters(
        command=wanted["command"], args=wanted["args"], env=wanted.get("env"), cwd=wanted.get("cwd"))
    replies = Replies(wanted["replies"], noted, report) if "replies" in wanted else None
    client = Client(where, mode=wanted.get("mode", "auto"), read_timeout_seconds=60, message_handler=on_message,
                    **(handlers(replies, types) if replies else {}))
    async with client, contextlib.AsyncExitStack() as stack:
        server = client.server_info
        report.update({
            "version": client.protocol_version, "server": plain(server) if server else None,
            "capabilities": plain(client.server_capabilities), "instructions": client.instructions,
        })
        await walk(Link(client, stack, replies), wanted, noted, report)


if __name__ == "__main__":
    main(connect)
