"""Hooks of the event `Elicitation`: they answer a server's question in the user's place.  Pure.

    a hook says `action`          the server is answered with that
    a hook blocks                 the server is told that the user declined
    no hook says anything         the user is asked

Rule 1: the gateway's own questions are never answered here.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..call import InputRequired
from ..chain import Ports
from .given import question_event
from .running import Hook, Runner

ASKS = "elicitation/create"
DECLINE: Mapping[str, Any] = {"action": "decline"}


class Elicitation:
    """All hooks of this event."""

    def __init__(self, hooks: Sequence[Hook], runner: Runner, ports: Ports) -> None:
        self._hooks, self._runner, self._ports = tuple(hooks), runner, ports

    def concerns(self, server: str) -> bool:
        """True where a hook is about the questions of a server."""
        return any(hook.handler.matches((server,)) for hook in self._hooks)

    async def answer(self, server: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer to a question of a server, or None where the user is to be asked. `params` are those of its
        `elicitation/create`, sealed."""
        hooks = [hook for hook in self._hooks if hook.handler.matches((server,))]
        if not hooks:
            return None
        try:
            payload = question_event(server, params, self._ports.session, self._ports.workspace_root)
        except (ValueError, RecursionError):
            return dict(DECLINE)
        for hook in hooks:
            said = await self._runner.run(hook, payload, None)
            answer: dict[str, Any] | None = None
            if said.blocked is not None or (said.failure and not hook.handler.lenient):
                answer = dict(DECLINE)
            elif said.action:
                answer = {"action": said.action}
                if said.action == "accept":
                    answer["content"] = said.content or {}
            if answer is not None:
                self._ports.report("info", f"hook `{hook.handler.place}` answers a question of server `{server}`: "
                                   f"{answer['action']}")
                return answer
        return None

    async def answer_some(self, asked: InputRequired) -> InputRequired:
        """What is left for the user of the questions of a call; the answers to the others stand in `given`."""
        left, given = dict(asked.requests), dict(asked.given)
        for key, request in asked.requests.items():
            params = request.get("params") if isinstance(request, dict) and request.get("method") == ASKS else None
            answer = await self.answer(asked.server, params) if isinstance(params, dict) else None
            if answer is not None:
                given[key] = answer
                del left[key]
        return asked if len(left) == len(asked.requests) else asked._replace(requests=left, given=given)
