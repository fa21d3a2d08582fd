"""A server on the Python SDK 2.x (MCPServer, both eras) that asks: the same tools as asking1.py.

Most questions are written the SDK's way, as resolvers of parameters: it sends them as requests in the handshake era,
and as an `input_required` result in the stateless one. The rest builds that result by hand.
"""
from __future__ import annotations

import os
import threading
import time
import warnings
from typing import Annotated, Any

import anyio
import mcp_types as types
from forms import Colour, Name, said
from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample

warnings.simplefilter("ignore")                   # sampling and roots are deprecated and still to be served

app = MCPServer("asking-python2", instructions="A server of both eras that asks.", version="2.0.0")

Asker = Context[Any, Any]
NAME_SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def name_of(tag: str) -> Elicit[Name]:
    return Elicit(f"{tag}: what is your name?", Name)


Named = Annotated[ElicitationResult[Name], Resolve(name_of)]


def colour_of(tag: str) -> Elicit[Colour]:
    return Elicit(f"{tag}: which colour?", Colour)


def colour_for(tag: str, name: Named) -> Any:
    """Asks only who gave a name."""
    return Elicit(f"{tag}: which colour, {said(name)}?", Colour) if isinstance(name, AcceptedElicitation) else None


def word_of(tag: str) -> Sample:
    asked = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=f"{tag}: say a word"))
    return Sample([asked], max_tokens=20, system_prompt="One word.")


def roots_of(tag: str) -> ListRoots:
    return ListRoots()


@app.tool(structured_output=False)
async def ask_name(tag: str, name: Named) -> str:
    """One question."""
    return f"{tag}: name {said(name)}"


@app.tool(structured_output=False)
async def ask_twice(
        tag: str, name: Named, colour: Annotated[ElicitationResult[Colour], Resolve(colour_for)]) -> str:
    """A second question that quotes the answer to the first."""
    more = f" colour {said(colour)}" if isinstance(name, AcceptedElicitation) else ""
    return f"{tag}: name {said(name)}{more}"


@app.tool(structured_output=False)
async def ask_both(
        tag: str, name: Named, colour: Annotated[ElicitationResult[Colour], Resolve(colour_of)]) -> str:
    """Two questions at once; in the handshake era this SDK asks them one after another."""
    return f"{tag}: name {said(name)} colour {said(colour)}"


@app.tool(structured_output=False)
async def ask_model(tag: str, answer: Annotated[types.CreateMessageResult, Resolve(word_of)]) -> str:
    """A question for the host's model."""
    assert isinstance(answer.content, types.TextContent)
    return f"{tag}: {answer.model} says {answer.content.text}"


@app.tool(structured_output=False)
async def ask_roots(tag: str, answer: Annotated[types.ListRootsResult, Resolve(roots_of)]) -> str:
    """The folders that the host works in."""
    return f"{tag}: " + " ".join(f"{root.name}={root.uri}" for root in answer.roots)


def stateless(ctx: Asker) -> bool:
    return (ctx.protocol_version or "") >= "2026"


def open_question(key: str, params: Any, state: str) -> types.InputRequiredResult:
    return types.InputRequiredResult(input_requests={key: types.ElicitRequest(params=params)}, request_state=state)


@app.tool(structured_output=False)
async def ask_url(tag: str, ctx: Asker) -> str | types.InputRequiredResult:
    """Sends the user to a page, and says when the page is done with, where the era has a word for that."""
    message, url = f"{tag}: please sign in", f"https://example.org/sign-in/{tag}"
    if stateless(ctx):
        answer: Any = (ctx.input_responses or {}).get("page")
        if answer is None:
            return open_question("page", types.ElicitRequestURLParams(message=message, url=url), f"url {tag}")
        assert ctx.request_state == f"url {tag}"
    else:
        answer = await ctx.elicit_url(message, url, f"elicitation-{tag}")
        if answer.action == "accept":
            await ctx.request_context.session.send_elicit_complete(f"elicitation-{tag}")
    return f"{tag}: url {answer.action}"


@app.tool(structured_output=False)
async def ask_slow(tag: str, ctx: Asker) -> str | types.InputRequiredResult:
    """Shows progress before and after its question; the pauses keep each notice in a read of its own."""
    asked = types.ElicitRequestFormParams(message=f"{tag}: what is your name?", requested_schema=NAME_SCHEMA)
    answer: Any = (ctx.input_responses or {}).get("name")
    if answer is None:
        await ctx.report_progress(1, 2, "before")
        await anyio.sleep(0.05)
        if stateless(ctx):
            return open_question("name", asked, f"slow {tag}")
        answer = await ctx.request_context.session.elicit_form(asked.message, asked.requested_schema, ctx.request_id)
    await ctx.report_progress(2, 2, "after")
    await anyio.sleep(0.05)
    name = answer.content["name"] if answer.action == "accept" else answer.action
    return f"{tag}: name {name}"


async def name_later(tag: str, seconds: float) -> Elicit[Name]:
    await anyio.sleep(seconds)
    return name_of(tag)


@app.tool(structured_output=False)
async def ask_later(
        tag: str, seconds: float, name: Annotated[ElicitationResult[Name], Resolve(name_later)]) -> str:
    """Takes its time before it asks."""
    return f"{tag}: name {said(name)}"


@app.tool(structured_output=False)
async def ask_and_die(tag: str, ctx: Asker) -> str | types.InputRequiredResult:
    """Is gone while its question is open; the question names the process, so that a host can await its end."""
    message = f"{tag}: process {os.getpid()} asks and ends"
    if (ctx.input_responses or {}).get("name") is not None:
        return "never said"
    threading.Thread(target=end_soon, daemon=True).start()
    if stateless(ctx):
        asked = types.ElicitRequestFormParams(message=message, requested_schema=NAME_SCHEMA)
        return open_question("name", asked, f"die {tag}")
    await ctx.elicit(message, Name)
    return "never said"


def end_soon() -> None:
    time.sleep(0.2)
    os._exit(7)


@app.tool(structured_output=False)
async def ask_for_ever(tag: str, ctx: Asker) -> types.InputRequiredResult:
    """Is never content with an answer (the stateless era alone)."""
    asked = types.ElicitRequestFormParams(message=f"{tag}: again?", requested_schema=NAME_SCHEMA)
    return open_question("again", asked, f"ever {tag}")


@app.prompt()
async def asked_prompt(tag: str, ctx: Asker) -> Any:
    """A prompt that asks before it is made."""
    return await named(tag, ctx)


@app.resource("asking2://asked/{tag}", mime_type="text/plain")
async def asked_note(tag: str, ctx: Asker) -> Any:
    """A note that asks before it is read."""
    return await named(tag, ctx)


async def named(tag: str, ctx: Asker) -> Any:
    """The one question, for what has no resolvers."""
    if not stateless(ctx):
        return f"{tag}: name {said(await ctx.elicit(f'{tag}: what is your name?', Name))}"
    answer: Any = (ctx.input_responses or {}).get("name")
    if answer is None:
        asked = types.ElicitRequestFormParams(message=f"{tag}: what is your name?", requested_schema=NAME_SCHEMA)
        return open_question("name", asked, f"named {tag}")
    return f"{tag}: name {answer.content['name'] if answer.action == 'accept' else answer.action}"


if __name__ == "__main__":
    app.run("stdio")
