"""A small server on the Python SDK 2.x (MCPServer, both eras): one tool for each thing a call can do."""
from __future__ import annotations

import warnings
from typing import Any

import anyio
import mcp_types as types
from mcp.server.mcpserver import Context, Image, MCPServer
from pydantic import BaseModel

warnings.simplefilter("ignore")                   # logging is deprecated and still to be served

app = MCPServer("small-python2", instructions="A small server of both eras.", version="2.0.0")
given_up: list[str] = []


class Sum(BaseModel):
    """Two numbers and what they make."""

    parts: list[int]
    total: int


@app.tool(title="Add up", annotations=types.ToolAnnotations(read_only_hint=True))
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
    return types.ResourceLink(type="resource_link", uri="two://linked/one", name="one")


@app.tool()
def listing() -> list[int]:
    """Structured content; the SDK wraps the list in an object."""
    return [1, 2, 3]


@app.tool(structured_output=False)
async def climb(steps: int, ctx: Context[Any, Any]) -> str:
    """Says how far it is, and logs, at every step; the pause keeps each notice in a read of its own."""
    for step in range(1, steps + 1):
        await ctx.report_progress(step, steps, f"step {step}")
        await ctx.log("info", f"climbed {step}")
        await anyio.sleep(0.05)
    return f"{steps} steps"


@app.tool(structured_output=False)
async def wait(name: str, ctx: Context[Any, Any]) -> str:
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
def meta(ctx: Context[Any, Any]) -> str:
    """What the caller's `_meta` says under the vendor key that the test uses, and of the trace."""
    sent = dict(ctx.request_context.meta or {})
    return f"{sent.get('example.org/note')} {sent.get('traceparent')}"


@app.tool(structured_output=False)
async def grow(ctx: Context[Any, Any]) -> str:
    """Adds a tool and changes a resource, and says so in the way of the caller's era."""
    if "grown" not in {tool.name for tool in await app.list_tools()}:
        app.add_tool(grown, description="Was not here at first.", structured_output=False)
    if (ctx.protocol_version or "") >= "2026":
        await ctx.notify_tools_changed()
        await ctx.notify_resource_updated("two://fixed/today")
    else:
        await ctx.request_context.session.send_tool_list_changed()
        await ctx.request_context.session.send_resource_updated("two://fixed/today")
    return "grown"


def grown() -> str:
    return "here"


@app.tool(structured_output=False)
def large(size: int) -> str:
    """A text of the given size, with letters outside ASCII and the separators that break careless readers."""
    return ("öä\u2028\u2029\u0085 x" * size)[:size]


@app.resource("two://fixed/today", mime_type="text/plain", title="Today")
def today() -> str:
    """A note that is always there."""
    return "today's note"


@app.resource("two://fixed/bytes", mime_type="application/octet-stream")
def some_bytes() -> bytes:
    """A few bytes that are no text."""
    return bytes(range(16))


@app.resource("note://shared/hello", mime_type="text/plain")
def hello() -> str:
    """Another server has a note under the same URI."""
    return "hello from python2"


@app.resource("two://linked/{name}", mime_type="text/plain")
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
    return types.Completion(values=[name for name in names if name.startswith(argument.value)], has_more=False)


if __name__ == "__main__":
    app.run("stdio")
