"""A host that answers what it is asked, in either era; a kit for tests of questions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .host import Host

ELICIT, SAMPLE, ROOTS = "elicitation/create", "sampling/createMessage", "roots/list"
EVERYTHING: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {"listChanged": True}}
ERAS = ("handshake", "stateless")
QUESTIONS = (ELICIT, SAMPLE, ROOTS)

Reply = Callable[[str, dict[str, Any]], Any]
"""Method and params → the result; an exception's text becomes an error, `None` no answer at all."""


def form(message: str = "Who?", **properties: Any) -> dict[str, Any]:
    """A form elicitation as a server asks it."""
    schema = {"type": "object", "properties": properties or {"name": {"type": "string"}}}
    return {"method": ELICIT, "params": {"message": message, "requestedSchema": schema}}


def rounds(*questions: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Arguments of the stub's `interview`: what it asks in each round."""
    return {"rounds": list(questions), **more}


def sampling(text: str = "Say it") -> dict[str, Any]:
    return {
        "method": SAMPLE,
        "params": {"messages": [{"role": "user", "content": {"type": "text", "text": text}}], "maxTokens": 9},
    }


def accept(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """What a willing user answers: the question itself comes back, so that nobody's answer can be another's."""
    if method == ELICIT:
        return {"action": "accept", "content": {"name": f"to {params['message']}"}}
    if method == ROOTS:
        return {"roots": [{"uri": "file:///of/the/host"}]}
    said = params["messages"][-1]["content"]["text"]
    content = {"type": "text", "text": f"re {said}"}
    return {"role": "assistant", "content": content, "model": "m", "stopReason": "endTurn"}


class Answering:
    """Calls tools for one host and answers what comes of it; `asked` holds the questions in their order."""

    def __init__(self, host: Host, era: str, capabilities: dict[str, Any] | None = None, reply: Reply = accept) -> None:
        self.host, self.era, self.reply = host, era, reply
        self.capabilities = EVERYTHING if capabilities is None else capabilities
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.rounds = 0
        self._seen = 0
        if era != "stateless":
            host.handshake("2025-11-25" if era == "handshake" else era, self.capabilities)

    def again(self, reply: Reply = accept) -> Answering:
        """The same host in another test: nothing was asked yet."""
        self.reply, self.asked, self.rounds, self._seen = reply, [], 0, len(self.host.messages)
        return self

    def call(self, name: str, arguments: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """`tools/call` to its end."""
        return self.request("tools/call", {"name": name, "arguments": arguments or {}}, **more)

    def request(self, method: str, params: dict[str, Any], **meta: Any) -> dict[str, Any]:
        if self.era == "stateless":
            return self.retry(method, params, self.once(method, params, **meta), **meta)
        return self.answer(self.host.send(method, {**params, **({"_meta": meta} if meta else {})}))

    def once(self, method: str, params: dict[str, Any], **meta: Any) -> dict[str, Any]:
        """One stateless request; a question is not answered."""
        return self.host.ask(method, params, capabilities=self.capabilities, **meta)

    def retry(self, method: str, params: dict[str, Any], answer: dict[str, Any], **meta: Any) -> dict[str, Any]:
        """Answer questions of a stateless result until there are none."""
        while answer.get("result", {}).get("resultType") == "input_required":
            self.rounds += 1
            answer = self.once(method, {**params, **self.responses(answer["result"])}, **meta)
        return answer

    def responses(self, result: dict[str, Any]) -> dict[str, Any]:
        """What goes along with the next request."""
        found: dict[str, Any] = {"inputResponses": {}}
        for key, request in result.get("inputRequests", {}).items():
            self.asked.append((request["method"], request.get("params", {})))
            reply = self.reply(*self.asked[-1])
            if reply is not None:
                found["inputResponses"][key] = reply
        if "requestState" in result:
            found["requestState"] = result["requestState"]
        return found

    def answer(self, id: Any) -> dict[str, Any]:
        """The answer to a handshake request; what the gateway asks meanwhile is answered."""
        key = type(id), id
        while True:
            self.host.wait(lambda: self.host.answers.get(key) or self._next(), "an answer or a question")
            question = self._next()
            if question is None:
                return self.host.answers[key]
            self._seen = self.host.messages.index(question) + 1
            self.asked.append((question["method"], question.get("params", {})))
            try:
                reply = self.reply(*self.asked[-1])
            except Exception as error:
                self.host.respond_error(question["id"], -32000, str(error))
                continue
            if reply is not None:
                self.host.respond(question["id"], reply)

    def _next(self) -> dict[str, Any] | None:
        """The next question of the gateway, as it came."""
        return next((m for m in self.host.messages[self._seen :] if m.get("method") in QUESTIONS and "id" in m), None)
