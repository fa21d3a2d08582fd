"""What the user, the model and the workspace of a Python host say when a server asks: the `replies` of a plan.

A connection with `replies`, a list of rules, has handlers for all questions, and declares so; one without has none. The
first rule that fits a question is followed; none may fit twice by accident, so questions name the call that asks them:

    method       the question's method; any when absent
    holds        a text that its params hold
    after        seconds until the rule is followed
    once_gone    answered when the process is gone whose number the question gives as `process N`
    never        not answered at all
    leave        the host writes its report and is gone, with the question open
    answer       the result
    error        {code, message}: answered with an error, as the SDK lets a handler say it
    throw        the text of an exception that the handler raises
"""
from __future__ import annotations

import json
import os
import re
from typing import Any

import anyio
from steps import Noted, plain

NOBODY = {"error": {"code": -32000, "message": "no rule of the plan fits this question"}}


class Replies:
    """Follows the rules, and remembers every question."""

    def __init__(self, rules: list[dict[str, Any]], noted: Noted, report: dict[str, Any]) -> None:
        self._rules, self._noted = rules, noted
        self.asked = Noted()
        report["questions"] = self.asked.all

    async def to(self, method: str, params: Any) -> dict[str, Any]:
        """The rule for a question, once it is time to follow it; one that throws has done so."""
        self.asked.add(method, params)
        text = json.dumps(params)
        rule = next((rule for rule in self._rules
                     if rule.get("method", method) == method and rule.get("holds", "") in text), NOBODY)
        if rule.get("once_gone"):
            await gone(text)
        if rule.get("never"):
            await anyio.sleep_forever()
        await anyio.sleep(rule.get("after", 0))
        if rule.get("leave"):
            self._noted.leave()
        if "throw" in rule:
            raise RuntimeError(rule["throw"])
        return rule


def handlers(replies: Replies, types: Any) -> dict[str, Any]:
    """The three callbacks of a Python SDK, of which `types` is its module of messages."""
    async def reply(method: str, params: Any, kind: Any) -> Any:
        rule = await replies.to(method, params and plain(params))
        return types.ErrorData(**rule["error"]) if "error" in rule else kind.model_validate(rule["answer"])

    async def elicitation(_: Any, params: Any) -> Any:
        return await reply("elicitation/create", params, types.ElicitResult)

    async def sampling(_: Any, params: Any) -> Any:
        return await reply("sampling/createMessage", params, types.CreateMessageResult)

    async def roots(_: Any) -> Any:
        return await reply("roots/list", None, types.ListRootsResult)

    return {"elicitation_callback": elicitation, "sampling_callback": sampling, "list_roots_callback": roots}


async def gone(text: str) -> None:
    """Waits for the end of the process that a question names."""
    named = re.search(r"process (\d+)", text)
    assert named is not None, text
    while True:
        try:
            os.kill(int(named[1]), 0)
        except ProcessLookupError:
            return
        await anyio.sleep(0.02)
