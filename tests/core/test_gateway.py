"""The hall: every method finds its room, meta-tools are unwrapped, whatever leaves is sealed. Without an event loop."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import pytest

from shack_gateway.catalog.entries import LISTS, PROMPT, RESOURCE, TEMPLATE, TOOL, Catalog, Listing, read_page
from shack_gateway.core.gateway import Gateway
from shack_gateway.core.questions import Questions
from shack_gateway.pipeline.call import Call, Complete, Context, Failed, Outcome, Refused
from shack_gateway.pipeline.chain import Chain, Stage


class State(NamedTuple):
    server: str
    state: str = "ready"
    era: str = "handshake"
    version: str = "2025-11-25"
    error: str = ""


class Servers:
    """Servers of which `arriving` come up only when somebody waits for them."""

    def __init__(self, listings: dict[str, Listing], arriving: dict[str, Listing] | None = None) -> None:
        self._listings, self._arriving = listings, arriving or {}
        self.catalog = Catalog(listings)
        self.waits = 0
        self.requests: list[tuple[Any, ...]] = []

    async def settled(self, name: str = "") -> None:
        self.waits += 1
        if self._arriving:
            self._listings, self._arriving = {**self._listings, **self._arriving}, {}
            self.catalog = Catalog(self._listings)

    def missing(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (), ("dead",)

    def why_unknown(self, name: str) -> str:
        return "the server `dead` is failed: no such command" if name.startswith("dead__") else ""

    def ages(self) -> dict[str, int]:
        return {}

    def rows(self) -> list[State]:
        return [State(name) for name in self._listings]

    async def request(self, server: str, method: str, params: Any, capabilities: Any, level: Any) -> Outcome:
        self.requests.append((server, method, params))
        return Complete(b'{"completion":{"values":[]}}', server=server)


def listing(**lists: list[Any]) -> Listing:
    def items(kind: str) -> Any:
        found = lists.get(LISTS[kind].key, [])
        objects = [
            {LISTS[kind].identity: each, "inputSchema": {"type": "object"}} if isinstance(each, str) else each
            for each in found
        ]
        return read_page(kind, json.dumps({LISTS[kind].key: objects})).items

    return Listing(items(TOOL), items(PROMPT), items(RESOURCE), items(TEMPLATE), serves_resources=True)


class Rig:
    """A hall with fakes around it; `sent` is what reached the servers."""

    def __init__(
        self,
        *stages: Stage,
        answer: Callable[[Call], Outcome] | None = None,
        progressive: bool = False,
        seal: Callable[[Outcome], Outcome] = lambda outcome: outcome,
        **servers: Listing,
    ) -> None:
        arriving = {name[5:]: each for name, each in servers.items() if name.startswith("late_")}
        self.servers = Servers({n: each for n, each in servers.items() if not n.startswith("late_")}, arriving)
        self.sent: list[Call] = []
        self._answer = answer or (lambda call: Complete(b'{"content":[]}', server=call.server))
        chain = Chain(stages, self._route, seal, lambda level, text: None)
        self.told: list[str] = []
        questions = Questions(lambda: 0.0, lambda size: bytes(size), 300, self.told.append)
        self.gateway = Gateway(self.servers, chain, questions, progressive=progressive, page_size=1000, ttl_ms=0)

    async def _route(self, call: Call) -> Outcome:
        self.sent.append(call)
        return self._answer(call)

    def ask(self, method: str, params: dict[str, Any] | None = None, **context: Any) -> Outcome:
        return run(self.gateway.serve(method, params or {}, Context(**context), 1))

    def call(self, name: Any, arguments: Any = None) -> Outcome:
        return self.ask("tools/call", {"name": name} if arguments is None else {"name": name, "arguments": arguments})


def run(coroutine: Coroutine[Any, None, Any]) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the hall waited for something that nobody settles")


def value(outcome: Outcome) -> Any:
    assert isinstance(outcome, Complete), outcome
    return outcome.value


def told(outcome: Outcome) -> Any:
    return json.loads(value(outcome)["content"][0]["text"])


def kind(outcome: Outcome) -> str:
    assert isinstance(outcome, Failed), outcome
    return outcome.kind


@pytest.mark.parametrize("progressive", [False, True])
def test_a_namespaced_tool_is_callable_in_both_modes(progressive: bool) -> None:
    rig = Rig(a=listing(tools=["t"]), progressive=progressive)
    value(rig.call("a__t", {"x": 1}))
    assert [(c.kind, c.server, c.name, c.target, c.arguments) for c in rig.sent] == [
        ("tool", "a", "a__t", "t", {"x": 1})
    ]


@pytest.mark.parametrize("progressive", [False, True])
def test_shack_call_tool_is_the_inner_call(progressive: bool) -> None:
    rig = Rig(a=listing(tools=["t"]), progressive=progressive)
    value(rig.call("shack_call_tool", {"name": "a__t", "arguments": {"x": 1}}))
    assert [(c.name, c.target, c.arguments) for c in rig.sent] == [("a__t", "t", {"x": 1})]


@pytest.mark.parametrize("arguments", [None, {}], ids=["missing", "empty"])
def test_arguments_that_are_missing_become_an_empty_object(arguments: Any) -> None:
    rig = Rig(a=listing(tools=["t"]))
    rig.call("a__t", arguments)
    assert rig.sent[0].arguments == {}


@pytest.mark.parametrize(
    "name, arguments, kind_",
    [
        ("a__no", None, "unknown tool"),
        ("shack_no", None, "unknown meta-tool"),
        (None, None, "bad params"),
        (5, None, "bad params"),
        (["a__t"], None, "bad params"),
        ("a__t", [], "bad params"),
        ("a__t", "x", "bad params"),
        ("shack_call_tool", {"name": "a__no"}, "unknown tool"),
        ("shack_call_tool", {"name": "shack_list_tools"}, "unknown tool"),
        ("shack_call_tool", {}, "bad params"),
        ("shack_call_tool", {"name": "a__t", "arguments": []}, "bad params"),
        ("shack_describe_tool", {"name": 5}, "bad params"),
        ("shack_list_tools", {"query": 5}, "bad params"),
        ("shack_list_servers", [], "bad params"),
    ],
    ids=str,
)
def test_a_call_that_makes_no_sense_is_answered_and_reaches_nobody(name: Any, arguments: Any, kind_: str) -> None:
    rig = Rig(a=listing(tools=["t"]))
    assert kind(rig.call(name, arguments)) == kind_
    assert rig.sent == []


def test_an_unknown_tool_names_the_nearest_known_ones() -> None:
    outcome = Rig(git=listing(tools=["commit", "push"])).call("git__comit")
    assert isinstance(outcome, Failed) and "`git__commit`" in outcome.text


def test_a_tool_of_a_server_that_is_not_up_says_so() -> None:
    outcome = Rig(a=listing(tools=["t"])).call("dead__t")
    assert (
        isinstance(outcome, Failed)
        and outcome.text == "tool not found: dead__t; the server `dead` is failed: no such command"
    )


def test_a_known_tool_is_described_without_waiting_for_anybody() -> None:
    rig = Rig(a=listing(tools=["t"]), late_b=listing(tools=["u"]))
    assert told(rig.call("shack_describe_tool", {"name": "a__t"}))["server"] == "a"
    assert rig.servers.waits == 0
    assert told(rig.call("shack_describe_tool", {"name": "b__u"}))["server"] == "b"


def test_a_call_waits_for_servers_that_are_coming_up_only_when_nobody_has_the_tool() -> None:
    rig = Rig(a=listing(tools=["t"]), late_b=listing(tools=["u"]))
    rig.call("a__t")
    assert rig.servers.waits == 0
    rig.call("b__u")
    assert [call.server for call in rig.sent] == ["a", "b"]


@pytest.mark.parametrize(
    "progressive, waits, names",
    [
        (True, 0, ["shack_list_tools", "shack_describe_tool", "shack_call_tool", "shack_list_servers"]),
        (False, 1, ["a__t", "b__u"]),
    ],
    ids=["progressive", "full"],
)
def test_tools_list_shows_the_mode_and_waits_only_where_it_must(
    progressive: bool, waits: int, names: list[str]
) -> None:
    rig = Rig(a=listing(tools=["t"]), late_b=listing(tools=["u"]), progressive=progressive)
    assert [tool["name"] for tool in value(rig.ask("tools/list"))["tools"]] == names
    assert rig.servers.waits == waits


@pytest.mark.parametrize("method, key", [(form.method, form.key) for form in LISTS.values()])
def test_every_list_without_servers_is_empty(method: str, key: str) -> None:
    assert value(Rig().ask(method)) == {key: []}


def test_a_cursor_that_is_not_ours_is_refused() -> None:
    assert kind(Rig().ask("tools/list", {"cursor": "nonsense"})) == "bad params"


def test_search_says_which_servers_are_missing() -> None:
    assert told(Rig(a=listing(tools=["t"])).call("shack_list_tools"))["missing"] == {"down": ["dead"]}


def test_servers_are_listed_with_their_state() -> None:
    rows = told(Rig(a=listing(tools=["t"]), b=listing()).call("shack_list_servers"))["servers"]
    assert [(row["server"], row["tool_count"], row["state"]) for row in rows] == [("a", 1, "ready"), ("b", 0, "ready")]


def test_an_unknown_method_has_no_room() -> None:
    with pytest.raises(KeyError):
        Rig().ask("no/such")


# --- the corridor and the seal ---


class Refuse(Stage):
    name = "refuse"

    async def before(self, call: Call) -> Call | Outcome:
        return Refused("sandbox", f"no {call.kind}")


@pytest.mark.parametrize(
    "method, params",
    [
        ("tools/call", {"name": "a__t"}),
        ("tools/call", {"name": "shack_call_tool", "arguments": {"name": "a__t"}}),
        ("resources/read", {"uri": "m://1"}),
        ("prompts/get", {"name": "a__p"}),
    ],
    ids=["tool", "meta-tool", "resource", "prompt"],
)
def test_whatever_reaches_a_server_walks_the_corridor(method: str, params: dict[str, Any]) -> None:
    rig = Rig(Refuse(), a=listing(tools=["t"], prompts=["p"], resources=["m://1"]))
    assert isinstance(rig.ask(method, params), Refused)
    assert rig.sent == []


@pytest.mark.parametrize(
    "method, params",
    [
        ("tools/call", {"name": "a__t"}),
        ("tools/call", {"name": "no"}),
        ("tools/call", {"name": "shack_list_tools"}),
        ("tools/call", {"name": "shack_describe_tool", "arguments": {"name": "no"}}),
        ("tools/list", {}),
        ("prompts/list", {}),
        ("resources/list", {}),
        ("resources/templates/list", {}),
        ("resources/read", {"uri": "no://1"}),
        ("resources/read", {"uri": "m://1"}),
        ("prompts/get", {"name": "no"}),
        ("tools/list", {"cursor": 5}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "a__p"}}),
        ("completion/complete", {}),
    ],
    ids=str,
)
def test_whatever_leaves_goes_through_the_seal(method: str, params: dict[str, Any]) -> None:
    sealed = Failed("internal", "sealed")
    rig = Rig(a=listing(tools=["t"], prompts=["p"], resources=["m://1"]), seal=lambda outcome: sealed)
    assert rig.ask(method, params) is sealed


# --- resources, prompts, completion ---

NOT_FOUND = [(-32002, "Resource not found"), (-32602, "Resource x not found"), (0, "Unknown resource: x")]


@pytest.mark.parametrize("code, text", NOT_FOUND, ids=str)
def test_a_resource_nobody_lists_is_asked_for_until_a_server_has_it(code: int, text: str) -> None:
    def answer(call: Call) -> Outcome:
        if call.server == "a":
            return Failed("server", text, server="a", code=code)
        return Complete(b'{"contents":[{"uri":"x","text":"here"}]}', server=call.server)

    rig = Rig(a=listing(), b=listing(), answer=answer)
    assert value(rig.ask("resources/read", {"uri": "m://x"}))["contents"][0]["text"] == "here"
    assert [call.server for call in rig.sent] == ["a", "b"]


def test_any_other_error_ends_the_search() -> None:
    rig = Rig(a=listing(), b=listing(), answer=lambda call: Failed("server", "disk broken", code=-32603))
    rig.ask("resources/read", {"uri": "m://x"})
    assert [call.server for call in rig.sent] == ["a"]


def test_what_no_server_has_is_answered_in_the_first_server_s_words() -> None:
    rig = Rig(a=listing(), b=listing(), answer=lambda call: Failed("server", f"{call.server} not found", code=-32002))
    outcome = rig.ask("resources/read", {"uri": "m://x"})
    assert isinstance(outcome, Failed) and outcome.text == "a not found"


def test_a_server_that_cannot_say_is_not_the_last_to_be_asked() -> None:
    def answer(call: Call) -> Outcome:
        if call.server == "a":
            return Failed("server", "timed out", server="a", reason="timeout")
        return Complete(b'{"contents":[]}', server=call.server)

    rig = Rig(a=listing(), b=listing(), answer=answer)
    assert value(rig.ask("resources/read", {"uri": "m://x"})) == {"contents": []}


def test_what_could_not_be_asked_says_more_than_what_was_not_found() -> None:
    def answer(call: Call) -> Outcome:
        return Failed("server", "timed out") if call.server == "a" else Failed("server", "not found", code=-32002)

    outcome = Rig(a=listing(), b=listing(), answer=answer).ask("resources/read", {"uri": "m://x"})
    assert isinstance(outcome, Failed) and outcome.text == "timed out"


@pytest.mark.parametrize("params", [{}, {"uri": 5}, {"uri": "m://x"}], ids=str)
def test_a_resource_that_nobody_could_have_is_unknown(params: dict[str, Any]) -> None:
    assert kind(Rig().ask("resources/read", params)) == "unknown resource"


def test_contents_come_under_the_uri_that_was_asked_for() -> None:
    answer = Complete(b'{"contents":[{"uri":"m://1","text":"1"},{"uri":"m://2","text":"2"}]}', server="a")
    rig = Rig(a=listing(resources=["m://1"]), answer=lambda call: answer)
    contents = value(rig.ask("resources/read", {"uri": "shack://a/m%3A%2F%2F1"}))["contents"]
    assert [each["uri"] for each in contents] == ["shack://a/m%3A%2F%2F1", "m://2"]
    assert rig.sent[0].target == "m://1"


def test_who_named_a_resource_in_a_result_is_asked_for_it() -> None:
    link = Complete(b'{"content":[{"type":"resource_link","uri":"m://seen","name":"n"}]}', server="b")
    rig = Rig(a=listing(), b=listing(tools=["t"]), answer=lambda call: link)
    rig.call("b__t")
    rig.ask("resources/read", {"uri": "m://seen"})
    assert rig.sent[1].server == "b"


@pytest.mark.parametrize("name", [None, 5, "a__no"])
def test_an_unknown_prompt_is_refused(name: Any) -> None:
    assert kind(Rig(a=listing(prompts=["p"])).ask("prompts/get", {"name": name})) == "unknown prompt"


def test_completion_is_asked_under_the_server_s_own_names() -> None:
    rig = Rig(a=listing(prompts=["p"], resourceTemplates=["m://{x}"]))
    rig.ask(
        "completion/complete", {"ref": {"type": "ref/prompt", "name": "a__p"}, "argument": {"name": "q", "value": ""}}
    )
    more = {"argument": {"name": "x", "value": "1", "also": 2}, "context": {"arguments": {"y": "z"}, "b": 1}, "c": 3}
    rig.ask("completion/complete", {"ref": {"type": "ref/resource", "uri": "m://{x}", "d": 4}, **more})
    assert rig.servers.requests == [
        (
            "a",
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "q", "value": ""}},
        ),
        ("a", "completion/complete", {"ref": {"type": "ref/resource", "uri": "m://{x}"}, "argument": {
            "name": "x", "value": "1"}, "context": {"arguments": {"y": "z"}}}),
    ]


@pytest.mark.parametrize(
    "ref, kind_",
    [
        (None, "bad params"),
        ({}, "bad params"),
        ("x", "bad params"),
        ({"type": "ref/prompt"}, "unknown prompt"),
        ({"type": "ref/prompt", "name": "a__no"}, "unknown prompt"),
        ({"type": "ref/resource", "uri": "no"}, "unknown resource"),
        ({"type": "ref/resource", "uri": 5}, "bad params"),
    ],
    ids=str,
)
def test_a_completion_of_nothing_is_refused(ref: Any, kind_: str) -> None:
    assert kind(Rig(a=listing(prompts=["p"])).ask("completion/complete", {"ref": ref})) == kind_
