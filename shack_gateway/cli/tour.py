"""The steps of the demo: what is asked in each, what must come back, and how both are shown.

Rule 1: a step is one function and one row of `STEPS`; it raises `Unexpected` when something else comes than should.
Rule 2: nothing here knows how the gateway does it: a step sees what any host sees.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from textwrap import wrap
from typing import Any, NamedTuple

from .demo_host import CLIENT, DemoHost, Message, Unexpected
from .report import BLUE, BOLD, Screen, table

META_TOOLS = ["shack_list_tools", "shack_describe_tool", "shack_call_tool", "shack_list_servers"]
SERVERS = {"notes": 6, "tickets": 40, "oldschool": 4, "newschool": 4}
"""The demo servers, with the least number of tools that each must show."""
WIDTH = 114


class Tour:
    """The conversation: asks through the host, shows both sides, judges answers."""

    def __init__(self, host: DemoHost, screen: Screen) -> None:
        self.host, self._screen = host, screen

    def ask(
        self, method: str, params: Message, shown: str = "", heard: Callable[[Message], None] | None = None
    ) -> Message:
        """Show a request, send it, and give the whole answer."""
        self._line("->", BOLD, f"{method} {shown}".rstrip())
        return self.host.ask(method, params, heard or (lambda message: None))

    def call(self, name: str, arguments: Message, heard: Callable[[Message], None] | None = None) -> Message:
        """A `tools/call`; with `heard`, progress is asked for."""
        params: Message = {"name": name, "arguments": arguments}
        if heard:
            params["_meta"] = {"progressToken": "demo"}
        return self.ask("tools/call", params, f"{name} {_brief(arguments)}", heard)

    def stateless(self, name: str, arguments: Message, **more: Any) -> Message:
        """A `tools/call` as a host of the stateless era sends it."""
        params = self.host.stateless({"name": name, "arguments": arguments, **more}, {"elicitation": {"form": {}}})
        shown = "".join(f", {key} {_brief(value)}" for key, value in more.items())
        return self.ask("tools/call", params, f"{name} {_brief(arguments)}{shown}")

    def came(self, *lines: str) -> None:
        """Show what came back."""
        for line in lines:
            self._line("<-", BLUE, line)

    def _line(self, arrow: str, style: str, text: str) -> None:
        first, *rest = wrap(text, WIDTH, break_on_hyphens=False) or [""]
        self._screen.say(f"   {self._screen.paint(arrow, style)} {first}")
        for line in rest:
            self._screen.say(f"      {line}")


def result_of(answer: Message) -> Message:
    """The result of an answer that is one."""
    if "result" not in answer:
        raise Unexpected(f"an error came: {_brief(answer.get('error'))}")
    return dict(answer["result"])


def text_of(answer: Message) -> str:
    """The text of a tool's result; its own complaint is unexpected."""
    result = result_of(answer)
    text = str((result.get("content") or [{}])[0].get("text", ""))
    if result.get("isError"):
        raise Unexpected(f"the tool failed: {text}")
    return text


def json_of(answer: Message) -> Any:
    """The JSON in the text of a tool's result."""
    return json.loads(text_of(answer))


def must(true: object, wanted: str, came: object) -> None:
    """Raise `Unexpected` unless it is as wanted."""
    if not true:
        raise Unexpected(f"{wanted} was expected, and this came: {_brief(came)}")


def refusal_of(answer: Message, code: int) -> str:
    """The text of a refusal, which must be an error with this code."""
    error = answer.get("error") or {}
    must(error.get("code") == code, f"a refusal with code {code}", answer)
    return f"error {code}: {error.get('message')}"


def _brief(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


# -- the steps -------------------------------------------------------------------------------------------------------

def greeting(tour: Tour) -> None:
    """Any host begins like this. The answer comes before a single server is up."""
    asked = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": CLIENT}
    result = result_of(tour.ask("initialize", asked, _brief({"protocolVersion": "2025-11-25"})))
    about = result["serverInfo"]
    must(about["name"] == "shack-gateway" and result["protocolVersion"] == "2025-11-25", "shack-gateway", result)
    tour.came(f"{about['name']} {about['version']}, protocol {result['protocolVersion']}")
    tour.host.tell("notifications/initialized")


def surface(tour: Tour) -> None:
    """This is all that the model is given to read, however many servers there are."""
    listed = result_of(tour.ask("tools/list", {}))["tools"]
    names = [tool["name"] for tool in listed]
    must(names == META_TOOLS, "the four tools of the gateway", names)
    size = len(json.dumps(listed, separators=(",", ":")))
    tour.came(f"{', '.join(names)} ({size:,} bytes)")


def search(tour: Tour) -> None:
    """The model looks for a tool in all servers at once."""
    found = json_of(tour.call("shack_list_tools", {"query": "assign"}))
    for _ in range(5):      # each answer waits for servers that are starting, but on a slow machine not long enough
        if "starting" in found.get("missing", {}):
            found = json_of(tour.call("shack_list_tools", {"query": "assign"}))
    names = [tool["name"] for tool in found["tools"]]
    must("tickets__assign_ticket" in names and found["count"] == len(names), "tickets__assign_ticket", found)
    tour.came(*(f"{tool['name']:<28} {tool['summary']}" for tool in found["tools"]))


def servers(tour: Tour) -> None:
    """Four servers: two speak both eras of the protocol, one only the older, one only the newer."""
    rows = json_of(tour.call("shack_list_servers", {}))["servers"]
    must({row["server"] for row in rows} == set(SERVERS), f"the servers {', '.join(SERVERS)}", rows)
    for row in rows:
        must(row["state"] == "ready" and row["tool_count"] >= SERVERS[row["server"]], "a server that is ready", row)
    tour.came(*table([(row["server"], row["state"], f"{row['tool_count']} tools", row["era"], row["protocol_version"])
                      for row in rows]))


def describe(tour: Tour) -> None:
    """Before its first call of a tool the model reads what it takes."""
    tool = json_of(tour.call("shack_describe_tool", {"name": "tickets__assign_ticket"}))
    schema = tool["inputSchema"]
    must(schema.get("required") == ["ticket", "user"], "a schema that needs ticket and user", tool)
    tour.came(tool["description"], *(f"{key}: {field['type']}, {field['description']}"
                                     for key, field in schema["properties"].items()))


def calling(tour: Tour) -> None:
    """And calls it. A name with its server (`tickets__assign_ticket`) can also be called directly."""
    wanted = {"name": "tickets__assign_ticket", "arguments": {"ticket": "SHOP-2", "user": "chen"}}
    ticket = json_of(tour.call("shack_call_tool", wanted))
    must(ticket["assignee"] == "chen", "a ticket of chen's", ticket)
    tour.came(_brief({key: ticket[key] for key in ("ticket", "title", "assignee")}))


def progress(tour: Tour) -> None:
    """A slow tool tells how far it is. While it does, its time limit starts anew."""
    told: list[int] = []

    def heard(message: Message) -> None:
        if message["method"] == "notifications/progress":
            params = message["params"]
            must(params["progressToken"] == "demo", "our own progress token", params)
            told.append(params["progress"])
            tour.came(f"progress {params['progress']} of {params['total']}: {params['message']}")

    exported = text_of(tour.call("tickets__export_project", {"project": "OPS", "pace": 0.05}, heard))
    must(len(told) > 1 and told == sorted(told), "several notifications of progress", told)
    must(all(json.loads(line)["ticket"] for line in exported.splitlines()), "one JSON object a line", exported)
    tour.came(f"{len(exported.splitlines())} tickets as JSON Lines")


def eras(tour: Tour) -> None:
    """Servers of either era answer the same host; what one era cannot say is put in the words of the other."""
    miles = json_of(tour.call("oldschool__convert_units", {"value": 26.2, "unit": "mi", "into": "km"}))
    must(miles == {"value": 42.1648128, "unit": "km"}, "42.1648128 km", miles)
    tour.came(_brief(miles))
    words = json_of(tour.call("newschool__longest_words", {"text": "One gateway in front of all servers", "count": 2}))
    must(words == ["gateway", "servers"], "the two longest words", words)
    tour.came(_brief(words))


def sandbox(tour: Tour) -> None:
    """A path that leads out of the workspace is refused before the server hears of the call."""
    tour.came(refusal_of(tour.call("notes__read_note", {"path": "../../etc/passwd"}), -32001))
    written = text_of(tour.call("notes__append_note", {"path": "demo-notes/today.md", "content": "Inside is fine.\n"}))
    tour.came(written)


def rule(tour: Tour) -> None:
    """So is what a rule denies, here `tickets__delete_ticket`. The ticket is still there."""
    tour.came(refusal_of(tour.call("tickets__delete_ticket", {"ticket": "SHOP-3"}), -32002))
    ticket = json_of(tour.call("tickets__get_ticket", {"ticket": "SHOP-3"}))
    must(ticket["ticket"] == "SHOP-3", "SHOP-3", ticket)
    tour.came(_brief({key: ticket[key] for key in ("ticket", "title", "status")}))


def hook(tour: Tour) -> None:
    """The hook of the configuration puts a label on new tickets. It changes the arguments on their way."""
    made = json_of(tour.call("tickets__create_ticket", {"project": "OPS", "title": "Try the gateway"}))
    must(made["labels"] == ["via-gateway"], "the label that the hook adds", made)
    tour.came(_brief({key: made[key] for key in ("ticket", "title", "labels")}))


def stateless(tour: Tour) -> None:
    """The newer era on the same pipe: no handshake, each request says who asks. Refusals are results there."""
    found = result_of(tour.ask("server/discover", tour.host.stateless({})))
    must("2026-07-28" in found["supportedVersions"], "the version 2026-07-28", found)
    tour.came(f"supportedVersions {_brief(found['supportedVersions'])}")
    result = result_of(tour.stateless("oldschool__convert_units", {"value": 100, "unit": "C", "into": "F"}))
    must(result["resultType"] == "complete" and result["structuredContent"]["value"] == 212, "212 F", result)
    tour.came(_brief({key: result[key] for key in ("resultType", "structuredContent")}))
    result = result_of(tour.stateless("notes__read_note", {"path": "~/.ssh/id_rsa"}))
    must(result.get("isError") is True, "a refusal", result)
    tour.came(f"isError: {result['content'][0]['text']}")


def question(tour: Tour) -> None:
    """A server asks the user something: in this era a result, which the host answers by asking again."""
    text_of(tour.stateless("newschool__keep_text", {"name": "draft", "text": "Not for ever."}))
    asked = result_of(tour.stateless("newschool__forget_texts", {}))
    must(asked["resultType"] == "input_required", "a question to the user", asked)
    wish = asked["inputRequests"]["sure"]["params"]["message"]
    tour.came(f"input_required: {wish}")
    told = {"inputResponses": {"sure": {"action": "accept", "content": {"sure": True}}}}
    done = text_of(tour.stateless("newschool__forget_texts", {}, **told, requestState=asked["requestState"]))
    must(done == "1 text(s) forgotten", "one text forgotten", done)
    tour.came(done)


class Step(NamedTuple):
    title: str
    run: Callable[[Tour], None]


STEPS = (
    Step("The host says hello", greeting),
    Step("What the model sees", surface),
    Step("Finding a tool", search),
    Step("What is behind the gateway", servers),
    Step("Reading about a tool", describe),
    Step("Calling it", calling),
    Step("Progress", progress),
    Step("Both eras", eras),
    Step("Refused by the sandbox", sandbox),
    Step("Refused by a rule", rule),
    Step("Changed by a hook", hook),
    Step("A host without a handshake", stateless),
    Step("A question to the user", question),
)
