"""A server on the Python SDK 1.x (FastMCP, handshake era) that asks: one tool for each way of asking.

Each question names the `tag` of the call that asks it, and each result names the tag and the answer: so a test sees who
was asked what, and that every call got its own answer.
"""
from __future__ import annotations

import os
from typing import Any

import anyio
import mcp.types as types
from forms import Colour, Name, said
from mcp.server.elicitation import AcceptedElicitation
from mcp.server.fastmcp import Context, FastMCP

app = FastMCP("asking-python1", instructions="A server of the handshake era that asks.")

Asker = Context[Any, Any, Any]


async def name_of(tag: str, ctx: Asker) -> Any:
    return await ctx.elicit(f"{tag}: what is your name?", Name)


@app.tool(structured_output=False)
async def ask_name(tag: str, ctx: Asker) -> str:
    """One question."""
    return f"{tag}: name {said(await name_of(tag, ctx))}"


@app.tool(structured_output=False)
async def ask_twice(tag: str, ctx: Asker) -> str:
    """A second question that quotes the answer to the first."""
    name = await name_of(tag, ctx)
    if not isinstance(name, AcceptedElicitation):
        return f"{tag}: name {said(name)}"
    colour = await ctx.elicit(f"{tag}: which colour, {said(name)}?", Colour)
    return f"{tag}: name {said(name)} colour {said(colour)}"


@app.tool(structured_output=False)
async def ask_both(tag: str, ctx: Asker) -> str:
    """Two questions at once."""
    heard: dict[str, Any] = {}

    async def into(key: str, message: str, schema: Any) -> None:
        heard[key] = await ctx.elicit(message, schema)

    async with anyio.create_task_group() as group:
        group.start_soon(into, "name", f"{tag}: what is your name?", Name)
        group.start_soon(into, "colour", f"{tag}: which colour?", Colour)
    return f"{tag}: name {said(heard['name'])} colour {said(heard['colour'])}"


@app.tool(structured_output=False)
async def ask_model(tag: str, ctx: Asker) -> str:
    """A question for the host's model."""
    asked = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=f"{tag}: say a word"))
    answer = await ctx.session.create_message([asked], max_tokens=20, system_prompt="One word.")
    assert isinstance(answer.content, types.TextContent)
    return f"{tag}: {answer.model} says {answer.content.text}"


@app.tool(structured_output=False)
async def ask_roots(tag: str, ctx: Asker) -> str:
    """The folders that the host works in."""
    answer = await ctx.session.list_roots()
    return f"{tag}: " + " ".join(f"{root.name}={root.uri}" for root in answer.roots)


@app.tool(structured_output=False)
async def ask_url(tag: str, ctx: Asker) -> str:
    """Sends the user to a page, and says when the page is done with."""
    answer = await ctx.elicit_url(f"{tag}: please sign in", f"https://example.org/sign-in/{tag}", f"elicitation-{tag}")
    if answer.action == "accept":
        await ctx.session.send_elicit_complete(f"elicitation-{tag}")
    return f"{tag}: url {answer.action}"


@app.tool(structured_output=False)
async def ask_slow(tag: str, ctx: Asker) -> str:
    """Shows progress before and after its question; the pauses keep each notice in a read of its own."""
    await ctx.report_progress(1, 2, "before")
    await anyio.sleep(0.05)
    name = await name_of(tag, ctx)
    await ctx.report_progress(2, 2, "after")
    await anyio.sleep(0.05)
    return f"{tag}: name {said(name)}"


@app.tool(structured_output=False)
async def ask_later(tag: str, seconds: float, ctx: Asker) -> str:
    """Takes its time before it asks."""
    await anyio.sleep(seconds)
    return f"{tag}: name {said(await name_of(tag, ctx))}"


@app.tool(structured_output=False)
async def ask_and_die(tag: str, ctx: Asker) -> str:
    """Is gone while its question is open; the question names the process, so that a host can await its end."""
    async with anyio.create_task_group() as group:
        group.start_soon(ctx.elicit, f"{tag}: process {os.getpid()} asks and ends", Name)
        await anyio.sleep(0.2)
        os._exit(7)
    return "never said"


async def named(tag: str) -> str:
    """The one question, for what this SDK hands no context of the request."""
    asked = await app._mcp_server.request_context.session.elicit_form(
        f"{tag}: what is your name?", Name.model_json_schema())
    return f"{tag}: name {(asked.content or {}).get('name', asked.action)}"


@app.prompt()
async def asked_prompt(tag: str) -> str:
    """A prompt that asks before it is made."""
    return await named(tag)


@app.resource("asking1://asked/{tag}", mime_type="text/plain")
async def asked_note(tag: str) -> str:
    """A note that asks before it is read."""
    return await named(tag)


if __name__ == "__main__":
    app.run("stdio")
