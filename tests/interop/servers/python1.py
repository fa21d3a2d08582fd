"""A small server on the Python SDK 1.x (FastMCP, handshake era): one tool for each thing a call can do."""
from __future__ import annotations

from typing import Any

import anyio
import mcp.types as types
from mcp.server.fastmcp import Context, FastMCP, Image
from mcp.server.lowlevel.server import NotificationOptions
from mcp.server.stdio import stdio_server
from pydantic import AnyUrl, BaseModel

app = FastMCP("small-python1", instructions="A small server of the handshake era.")
given_up: list[str] = []
asked: list[str] = []


class Sum(BaseModel):
    """Two numbers and what they make."""

    parts: list[int]
    total: int


@app.tool(title="Add up", annotations=types.ToolAnnotations(readOnlyHint=True))
def add(a: int, b: int) -> Sum:
    """Adds two numbers and says so in structured form."""
    return Sum(parts=[a, b], total=a + b)


@app.tool(structured_output=False)
def fail(reason: str) -> str:
    """Always fails, with the reason it was given."""
    raise ValueError(reason)


@app.tool(structured_output=False)
def picture() -> Image:
    """A picture of very few bytes."""
    return Image(data=b"\x89PNG\r\n\x1a\n", format="png")


@app.tool(structured_output=False)
def pointer() -> types.ResourceLink:
    """A link to a resource of this server that is not in the list."""
    return types.ResourceLink(type="resource_link", uri=AnyUrl("one://linked/one"), name="one")


@app.tool(structured_output=False)
async def climb(steps: int, ctx: Context[Any, Any, Any]) -> str:
    """Says how far it is, and logs, at every step; the pause keeps each notice in a read of its own."""
    for step in range(1, steps + 1):
        await ctx.report_progress(step, steps, f"step {step}")
        await ctx.info(f"climbed {step}")
        await anyio.sleep(0.05)
    return f"{steps} steps"


@app.tool(structured_output=False)
async def wait(name: str, ctx: Context[Any, Any, Any]) -> str:
    """Waits until it is cancelled, showing progress all the while; remembers that it was given up."""
    try:
        for step in range(1, 600):
            await ctx.report_progress(step)
            await anyio.sleep(0.05)
    except anyio.get_cancelled_exc_class():
        given_up.append(name)
        raise
    return "nobody came"


@app.tool(structured_output=False)
def cancelled() -> str:
    """The names of the waits that were given up."""
    return ",".join(given_up)


@app.tool(structured_output=False)
def wishes() -> str:
    """What was asked of this server besides calls: log levels and subscriptions."""
    return ",".join(asked)


@app.tool(structured_output=False)
def meta(ctx: Context[Any, Any, Any]) -> str:
    """What the caller's `_meta` says under the vendor key that the test uses, and of the trace."""
    sent = ctx.request_context.meta
    extra = (sent.model_extra or {}) if sent else {}
    return f"{extra.get('example.org/note')} {extra.get('traceparent')}"


@app.tool(structured_output=False)
async def grow(ctx: Context[Any, Any, Any]) -> str:
    """Adds a tool and changes a resource, and says so."""
    if "grown" not in {tool.name for tool in await app.list_tools()}:
        app.add_tool(lambda: "here", name="grown", description="Was not here at first.", structured_output=False)
    await ctx.session.send_tool_list_changed()
    await ctx.session.send_resource_updated(AnyUrl("one://fixed/today"))
    return "grown"


@app.tool(structured_output=False)
def large(size: int) -> str:
    """A text of the given size, with letters outside ASCII and the separators that break careless readers."""
    return ("öä\u2028\u2029\u0085 x" * size)[:size]


@app.resource("one://fixed/today", mime_type="text/plain", title="Today")
def today() -> str:
    """A note that is always there."""
    return "today's note"


@app.resource("one://fixed/bytes", mime_type="application/octet-stream")
def some_bytes() -> bytes:
    """A few bytes that are no text."""
    return bytes(range(16))


@app.resource("note://shared/hello", mime_type="text/plain")
def hello() -> str:
    """Another server has a note under the same URI."""
    return "hello from python1"


@app.resource("one://linked/{name}", mime_type="text/plain")
def linked(name: str) -> str:
    """A note under any name."""
    return f"the note {name}"


@app.prompt(title="Summary")
def summary(text: str, tone: str = "plain") -> str:
    """Asks for a summary in a tone."""
    return f"Summarise in a {tone} tone: {text}"


@app.completion()
async def complete(ref: Any, argument: Any, context: Any) -> types.Completion:
    names = {"tone": ["plain", "playful", "formal"], "name": ["one", "two"]}.get(argument.name, [])
    return types.Completion(values=[name for name in names if name.startswith(argument.value)], hasMore=False)


# What FastMCP leaves out: being subscribed to, a log level, and saying that its lists may change.
low = app._mcp_server


@low.subscribe_resource()
async def subscribe(uri: AnyUrl) -> None:
    asked.append(f"subscribed {uri}")


@low.unsubscribe_resource()
async def unsubscribe(uri: AnyUrl) -> None:
    asked.append(f"unsubscribed {uri}")


@low.set_logging_level()
async def level(level: types.LoggingLevel) -> None:
    asked.append(f"level {level}")


async def main() -> None:
    options = low.create_initialization_options(
        NotificationOptions(tools_changed=True, resources_changed=True, prompts_changed=True))
    assert options.capabilities.resources is not None
    options.capabilities.resources.subscribe = True      # this SDK says false, whatever handlers there are
    async with stdio_server() as (read, write):
        await low.run(read, write, options)


if __name__ == "__main__":
    anyio.run(main)
