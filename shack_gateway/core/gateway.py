"""The hall: method → room; and for whatever reaches a server, the way through the corridor.  Pure.

Rule 1: meta-tools are unwrapped once, here: `shack_call_tool` *is* the inner call.
Rule 2: whatever goes to a server with arguments walks the chain; whatever leaves goes through its seal.
Rule 3: nothing here asks which era anybody speaks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from ..catalog import meta_tools
from ..catalog.entries import PROMPT, RESOURCE, TEMPLATE, TOOL, Catalog, Entry, Way
from ..catalog.names import hint
from ..catalog.render import Lists
from ..catalog.uris import expand
from ..errors import EXPIRED, INVALID_PARAMS, RESOURCE_NOT_FOUND, Cancelled, RequestError, clip
from ..pipeline import call as calls
from ..pipeline.call import Call, Complete, Context, Failed, InputRequired, Outcome
from ..pipeline.chain import Chain
from ..wire.messages import encode
from .ports import Journal, Servers
from .questions import Questions

if TYPE_CHECKING:
    from ..pipeline.results import Results

Room = Callable[[Mapping[str, Any], Context, int], Awaitable[Outcome]]

DONE = Complete(b"{}", value={})
JOURNALED = frozenset({"tools/call", "resources/read", "prompts/get", "completion/complete"})
"""Requests that have a row in the journal, whoever answered them."""


class Gateway:
    """Answers what hosts ask, whichever way they ask it."""

    def __init__(
        self, servers: Servers, chain: Chain, questions: Questions, *, progressive: bool, page_size: int, ttl_ms: int,
        results: Results | None = None,
        journal: Journal | None = None,
    ) -> None:
        self._servers, self._chain, self._questions = servers, chain, questions
        self._results = results
        chain.on_question = questions.ask
        self.progressive, self._page_size, self._ttl_ms = progressive, page_size, ttl_ms
        self._journal = journal
        self._now: Callable[[], float] = float if journal is None else journal.now
        if journal is not None:
            chain.on_end = journal.call
        self._journaled_for: Catalog | None = None
        self._lists: Lists | None = None
        self._answers: meta_tools.Answers | None = None
        self._built_for: Catalog | None = None
        self._numbers = count(1)
        self._rooms: dict[str, Room] = {
            "tools/call": self._call_tool,
            "tools/list": self._list(TOOL),
            "resources/list": self._list(RESOURCE),
            "resources/templates/list": self._list(TEMPLATE),
            "prompts/list": self._list(PROMPT),
            "resources/read": self._read,
            "prompts/get": self._prompt,
            "completion/complete": self._complete,
        }

    def number(self) -> int:
        """The number of the next call: the same in the log and in what the host is told."""
        return next(self._numbers)

    async def serve(self, method: str, params: Mapping[str, Any], context: Context, number: int) -> Outcome:
        """What comes of a request; raises nothing that the host caused. `KeyError` for a method that has no room."""
        room, began = self._rooms[method], self._now()
        try:
            return await room(params, context, number)
        except RequestError as error:
            refused = self._chain.seal(Failed(error.kind, error.what, data=error.data))
            self._note(method, params, number, refused, began)
            return refused
        except BaseException as error:
            if self._journal is not None and self._journal.last != number:  # it did not come as far as the corridor
                fault = Failed("internal", "the gateway broke; its log says more")
                broken = None if type(error) is Cancelled else fault
                self._note(method, params, number, broken, began)
            raise

    def _note(
        self, method: str, params: Mapping[str, Any], number: int, outcome: Outcome | None, began: float
    ) -> None:
        """Have a row written of a request that walks no corridor."""
        if self._journal is not None and method in JOURNALED:
            self._journal.request(method, params, number, outcome, began)

    def _walk(self, call: Call) -> Coroutine[Any, Any, Outcome]:
        """Through the corridor; a call that brings answers along goes on where it asked."""
        if "requestState" in call.params or "inputResponses" in call.params:
            return self._go_on(call)
        return self._chain.run(call)

    async def _go_on(self, call: Call) -> Outcome:
        call, handle = self._questions.resume(call)
        try:
            return await self._chain.run(call)
        finally:
            if handle:
                self._servers.let_go(call.server, handle)  # where a stage has refused the call; else it is gone

    def question(self, server: str, method: str, params: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """A question that a server puts outside of any call of ours, as it may leave for the host: its params, or None
        where it may not."""
        sealed = self._chain.seal(InputRequired({"q": {"method": method, "params": params}}, None, server))
        found = sealed.requests.get("q") if isinstance(sealed, InputRequired) else None
        return found.get("params", {}) if isinstance(found, dict) else None

    def note_question(self, server: str, number: int, method: str, params: Mapping[str, Any]) -> None:
        """A question went to the host as it is."""
        self._questions.asked(server, number, "request", method, params)

    def note_answer(self, server: str, number: int, method: str, answer: Mapping[str, Any] | None) -> None:
        """The host's answer to it, or None where there was none."""
        self._questions.answered(server, number, method, answer)

    # --- tools ---

    async def _call_tool(self, params: Mapping[str, Any], context: Context, number: int) -> Outcome:
        name, arguments = params.get("name"), params.get("arguments")
        if type(name) is not str:
            raise RequestError("bad params", "`name` must be a string: the tool to call.")
        if name.startswith("shack_"):
            began, found = self._now(), None
            if name == meta_tools.CALL_TOOL:
                name, arguments = meta_tools.unwrap_call(arguments)
            elif name in meta_tools.NAMES:
                found = await self._meta_tool(name, arguments)
            if name == meta_tools.READ_RESULT and self._results is not None:
                found = self._results.read(arguments)
            if found is not None:
                outcome = self._chain.seal(found)
                self._note("tools/call", params, number, outcome, began)
                return outcome
        entry = self._servers.catalog.tool(name)
        if entry is None:
            await self._servers.settled(name)
            entry = self._servers.catalog.tool(name)
            if entry is None:
                raise self._no_such_tool(name, params.get("name") == name)
        if arguments is None:
            arguments = {}
        elif type(arguments) is not dict:
            raise RequestError("bad params", f"The arguments of `{clip(name, 200)}` must be an object.")
        call = Call(number, calls.TOOL, entry.server, entry.name, entry.target, arguments, params, context)
        outcome = await self._walk(call)
        if type(outcome) is Complete and (type(outcome.body) is list or b'"resource' in outcome.body):
            self._remember_links(entry.server, outcome)
        return outcome

    def _no_such_tool(self, name: str, direct: bool) -> RequestError:
        if direct and name.startswith("shack_"):
            return meta_tools.unknown_meta_tool(name)
        why = self._servers.why_unknown(name)
        if why:
            return RequestError("unknown tool", f"tool not found: {clip(name, 200)}; {clip(why, 500)}")
        return meta_tools.tool_not_found(name, self._servers.catalog)

    async def _meta_tool(self, name: str, arguments: Any) -> Outcome:
        servers = self._servers
        described = arguments.get("name") if name == meta_tools.DESCRIBE_TOOL and isinstance(arguments, dict) else None
        if described == meta_tools.READ_RESULT and self._results is not None:
            return _text(meta_tools.described_read_result())
        if not isinstance(described, str):
            await servers.settled()
        elif servers.catalog.tool(described) is None:
            await servers.settled(described)
        self._refresh()
        answers = self._answers
        assert answers is not None  # `_refresh` made it
        if name == meta_tools.LIST_TOOLS:
            starting, down = servers.missing()
            text = answers.list_tools(arguments, starting=starting, down=down)
        elif name == meta_tools.DESCRIBE_TOOL:
            text = answers.describe_tool(arguments)
        else:
            rows = [meta_tools.ServerRow(r.server, r.state, r.era, r.version, r.error) for r in servers.rows()]
            text = answers.list_servers(arguments, rows)
        self._note_list(0)
        return _text(text)

    def _remember_links(self, server: str, outcome: Complete) -> None:
        """A result may name resources that nobody lists; who named one is asked for it."""
        content = outcome.shape.get("content")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") in ("resource_link", "resource"):
                about = block if block["type"] == "resource_link" else block.get("resource")
                uri = about.get("uri") if isinstance(about, dict) else None
                if isinstance(uri, str):
                    self._servers.catalog.remember(server, uri)

    # --- lists ---

    def _list(self, kind: str) -> Room:
        async def room(params: Mapping[str, Any], context: Context, number: int) -> Outcome:
            if not (self.progressive and kind == TOOL):
                await self._servers.settled()
            self._refresh()
            lists = self._lists
            assert lists is not None  # `_refresh` made it
            page = lists.page(kind, params.get("cursor"), stateless=context.stateless)
            tail = b"}" if page.next_cursor is None else b',"nextCursor":' + encode(page.next_cursor) + b"}"
            ttl, scope = self._servers.catalog.freshness(self._ttl_ms, self._servers.ages())
            body = b'{"%s":%s%s' % (page.key.encode(), page.array, tail)
            if kind == TOOL:
                self._note_list(len(page.array))
            return self._chain.seal(Complete(body, shape={page.key: None}, cache=(ttl, scope != "public")))

        return room

    def _note_list(self, shown: int) -> None:
        """How large the tools are that there are now, and what of them the host was shown: once for each catalog."""
        catalog = self._servers.catalog
        if self._journal is None or catalog is self._journaled_for:
            return
        self._journaled_for = catalog
        self._journal.event("list", {
            "mode": "progressive" if self.progressive else "full", "tools": len(catalog.tools),
            "full_bytes": sum(len(entry.item.text) + 1 for entry in catalog.tools), "shown_bytes": shown,
        })

    def _refresh(self) -> None:
        """Have the lists and the answers of the catalog as it is now."""
        catalog = self._servers.catalog
        if catalog is not self._built_for:
            self._built_for = catalog
            more = () if self._results is None else (meta_tools.read_result_definition(),)
            self._lists = Lists(catalog, self._page_size, self.progressive, more, self._is_altered)
            self._answers = meta_tools.Answers(catalog)

    def _is_altered(self, entry: Entry) -> bool:
        return self._chain.alters(
            Call(0, calls.TOOL, entry.server, entry.name, entry.target, {}, {}, Context()))

    # --- resources ---

    async def _read(self, params: Mapping[str, Any], context: Context, number: int) -> Outcome:
        uri = params.get("uri")
        if type(uri) is not str:
            raise RequestError("unknown resource", "unknown resource: (missing 'uri')")
        outcome: Outcome | None = None
        ways = await self.ways(uri)
        if "requestState" in params and (asker := self._questions.asker(params)):
            ways = tuple(way for way in ways if way.server == asker)
        elif len(ways) > 1 and ("requestState" in params or "inputResponses" in params):
            raise RequestError("bad params", EXPIRED)  # whose question that answers, only a token of ours could say
        if len(ways) > 1:
            self._questions.pin(number)
        for way in ways:
            call = Call(number, calls.RESOURCE, way.server, uri, way.uri, {"uri": way.uri}, params, context)
            answer = await self._walk(call)
            if isinstance(answer, Failed) and (_is_not_found(answer) or (answer.code is None and len(ways) > 1)):
                # Nobody lists it, so we guess: a server that has it not, or cannot say, is not the last to be asked.
                outcome = answer if outcome is None or not _is_not_found(answer) else outcome
                continue
            return _with_uri(answer, way.uri, uri) if way.uri != uri else answer
        if outcome is not None:
            return outcome
        near = hint(uri, (entry.name for entry in self._servers.catalog.resources))
        raise RequestError("unknown resource", f"unknown resource: {clip(uri, 500)}{near}", data={"uri": uri})

    def may_follow(self, uri: str, server: str, target: str, context: Context) -> Outcome | None:
        """None where the host may be told of changes of a resource, else why not: whoever may not read it may not."""
        refused = self._chain.judge(Call(0, calls.RESOURCE, server, uri, target, {"uri": target}, {}, context))
        if refused is not None and self._journal is not None:
            self._journal.request("resources/subscribe", {"uri": uri}, 0, refused, self._journal.now())
        return refused

    async def ways(self, uri: str) -> tuple[Way, ...]:
        """Whom to ask for a resource, best first."""
        ways = self._servers.catalog.ways(uri)
        if not ways:
            await self._servers.settled()
            ways = self._servers.catalog.ways(uri)
        return ways

    # --- prompts and completion ---

    async def _prompt(self, params: Mapping[str, Any], context: Context, number: int) -> Outcome:
        entry = await self._prompt_entry(params.get("name"))
        arguments = params.get("arguments")
        if arguments is None:
            arguments = {}
        elif type(arguments) is not dict:
            raise RequestError("bad params", "The arguments of a prompt must be an object of strings.")
        return await self._walk(
            Call(number, calls.PROMPT, entry.server, entry.name, entry.target, arguments, params, context)
        )

    async def _prompt_entry(self, name: Any, *, shown: bool = False) -> Any:
        if type(name) is not str:
            raise RequestError("unknown prompt", "unknown prompt: (missing 'name')")
        entry = self._servers.catalog.prompt(name)
        if entry is None:
            await self._servers.settled(name)
            entry = self._servers.catalog.prompt(name)
        if entry is None or (shown and not self._servers.catalog.is_shown(entry)):
            near = hint(name, (entry.name for entry in self._servers.catalog.prompts))
            raise RequestError("unknown prompt", f"unknown prompt: {clip(name, 200)}{near}")
        return entry

    async def _complete(self, params: Mapping[str, Any], context: Context, number: int) -> Outcome:
        ref = params.get("ref")
        if type(ref) is not dict:
            ref = {}
        kind = ref.get("type")
        if kind == "ref/prompt":
            # A prompt that rules refuse whatever it is asked with is shown nowhere, and has no completions either.
            entry = await self._prompt_entry(ref.get("name"), shown=True)
            server, target = entry.server, {"type": kind, "name": entry.target}
        elif kind == "ref/resource" and type(ref.get("uri")) is str:
            entry = self._resource_entry(ref["uri"])
            if entry is None:
                await self._servers.settled()
                entry = self._resource_entry(ref["uri"])
            if entry is None:
                raise RequestError("unknown resource", f"unknown resource: {clip(ref['uri'], 500)}")
            server, target = entry.server, {"type": kind, "uri": entry.target}
        else:
            raise RequestError(
                "bad params", '`ref` must be {"type": "ref/prompt", "name": …} or {"type": "ref/resource", "uri": …}.'
            )
        began = self._now()
        argument, given = _to_complete(params)
        values = {**given, argument["name"]: argument["value"]}
        outcome = self._chain.judge(_completion(number, kind, server, entry, values, params, context))
        if outcome is None:
            sent = {"ref": target, "argument": argument}
            sent |= {"context": {"arguments": given}} if given else {}
            sent |= {"_meta": params["_meta"]} if "_meta" in params else {}
            outcome = self._chain.seal(await self._servers.request(
                server, "completion/complete", sent, context.capabilities, context.log_level
            ))
        self._note("completion/complete", params, number, outcome, began)
        return outcome

    def _resource_entry(self, uri: str) -> Any:
        catalog = self._servers.catalog
        entry = catalog.template(uri) or catalog.resource(uri)
        return entry if entry is not None and catalog.is_shown(entry) else None


def _text(text: str) -> Complete:
    """A tool's result that is one text."""
    return Complete(encode({"content": [{"type": "text", "text": text}]}), shape={"content": None})


def _to_complete(params: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """The argument that is to be completed (`name`, `value`), and those given so far: what is judged, and all that is
    sent (MCP, `completion/complete`). Raises `RequestError` for anything else."""
    argument, around = params.get("argument"), params.get("context")
    name, value = (argument.get("name"), argument.get("value")) if type(argument) is dict else (None, None)
    if not isinstance(name, str) or not isinstance(value, str):
        raise RequestError("bad params", '`argument` must be {"name": …, "value": …}, both strings.')
    given = around.get("arguments") if type(around) is dict else around
    if given is None:
        given = {}
    if type(given) is not dict or not all(isinstance(each, str) for each in given.values()):
        raise RequestError("bad params", "`context.arguments` must be an object of strings.")
    if given.get(name, value) != value:
        raise RequestError("bad params", "`context.arguments` gives another value to the argument to be completed.")
    return {"name": name, "value": value}, given


def _completion(
    number: int, kind: str, server: str, entry: Any, values: dict[str, str], params: Mapping[str, Any],
    context: Context,
) -> Call:
    """What is judged of a completion: the prompt, or the resource that the template makes, with the values so far."""
    if kind == "ref/prompt":
        return Call(number, calls.PROMPT, server, entry.name, entry.target, dict(values), params, context)
    uri = expand(entry.target, values)
    return Call(number, calls.RESOURCE, server, expand(entry.name, values), uri, {"uri": uri, "given": values}, params,
                context)


def _is_not_found(outcome: Outcome) -> bool:
    """True when a server says that it has no such resource, in any of the ways servers say that."""
    if not isinstance(outcome, Failed) or outcome.code is None:
        return False
    text = outcome.text.lower()
    return outcome.code == RESOURCE_NOT_FOUND or (
        outcome.code in (INVALID_PARAMS, 0, -32603) and ("not found" in text or "unknown resource" in text)
    )


def _with_uri(outcome: Outcome, theirs: str, asked: str) -> Outcome:
    """The contents under the URI that was asked for, where the server knows them under another."""
    if not isinstance(outcome, Complete):
        return outcome
    contents = outcome.value.get("contents")
    if not isinstance(contents, list):
        return outcome
    mended = [{**c, "uri": asked} if isinstance(c, dict) and c.get("uri") == theirs else c for c in contents]
    value = {**outcome.value, "contents": mended}
    return Complete(encode(value), server=outcome.server, stateless=outcome.stateless, value=value, cache=outcome.cache)
