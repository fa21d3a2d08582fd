"""A call that asks something first, made for a handshake host: the host is asked, and the call is made again.

The host's request stays open all the while; it sees questions, and at the end one answer.
(protocol bridge, section 8.4)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.gateway import Gateway
from ..eras import asking
from ..eras.inbound import Asked as Request
from ..eras.to_host import notification
from ..errors import clip
from ..pipeline.call import Context, Failed, InputRequired, Outcome
from ..slot import Slot
from ..wire import dialect
from ..wire.messages import Body, ErrorAnswer, Result, whole
from .asking import HostQuestions, Later

MOST_ROUNDS = 10
"""How often one call may ask."""
FIRST_PAUSE_SECS, LONGEST_PAUSE_SECS = 0.05, 0.5
"""Before a call is made again that asked nothing, but wants to be; the pause doubles each time."""
MOST_TIMES = 3
"""How many times `question_secs` a call may spend on all its questions together."""


class _Unanswered(Exception):
    """A question got no answer that could be given to the server."""


class Interview:
    """The questions of one request of the host."""

    def __init__(
        self, gateway: Gateway, questions: HostQuestions, send: Callable[[Body], None], later: Later,
        asked: Request, context: Context, number: int,
    ) -> None:
        self._late = False
        self._gateway, self._questions, self._send, self._later = gateway, questions, send, later
        self._asked, self._context, self._number = asked, context, number
        self._opened: list[str] = []
        """Names of the pages that were opened and are not known to be done with."""

    async def run(self, outcome: InputRequired) -> Outcome:
        """Ask, call again, until there is an outcome that asks nothing."""
        timer = self._later(self._questions.secs * MOST_TIMES, self._too_late)
        try:
            return await self._rounds(outcome)
        finally:
            timer.cancel()

    async def _rounds(self, found: Outcome) -> Outcome:
        rounds: dict[str, int] = {}
        while type(found) is InputRequired:
            asker = found.stage  # the gateway's own questions are not counted as the server's
            turn = rounds[asker] = rounds.get(asker, 0) + 1
            who = f"stage `{asker}` of the gateway" if asker else f"server `{found.server}`"
            if turn > MOST_ROUNDS or self._late:
                text = f"The {who} kept asking for input: it was given {sum(rounds.values()) - 1} answers."
                return Failed("question", text, server=found.server)
            refused = asking.refusal(found, self._asked.capabilities)
            if refused is not None:
                return refused
            try:
                responses = await self._ask_all(found)
            except _Unanswered as error:
                return Failed("question", str(error), server=found.server)
            if not found.requests and not found.given:
                await self._pause(min(FIRST_PAUSE_SECS * 2**turn, LONGEST_PAUSE_SECS))
            params = {**self._asked.params, "inputResponses": responses}
            if found.state is not None:
                params["requestState"] = found.state
            found = await self._gateway.serve(self._asked.method, params, self._context, self._number)
            self._finish_pages()
        return found

    def _too_late(self) -> None:
        self._late = True

    async def _ask_all(self, outcome: InputRequired) -> dict[str, Any]:
        """One question after the other, in their order: a user sees one dialog at a time."""
        return {
            key: await self._ask(request["method"], request.get("params") or {}, outcome.server)
            for key, request in outcome.requests.items()
        }

    async def _ask(self, method: str, params: Mapping[str, Any], server: str) -> dict[str, Any]:
        page = f"shack-{self._number}-{len(self._opened) + 1}"
        fit = asking.for_host(method, params, self._asked.tongue.version, dialect.STATELESS, page)
        if isinstance(fit, str):
            raise _Unanswered(f"The server `{server}` asks for input that this host cannot give: {fit}.")
        asked = self._questions.ask(server, method, fit)
        if asked is None:
            raise _Unanswered("The host has left, or has too many questions open.")
        answer = await asked.answer()
        try:
            value = asking.answer(method, whole(answer)) if isinstance(answer, Result) else None
        except (ValueError, RecursionError):
            value = None
        if value is None and method == asking.ELICIT:
            value = dict(asking.CANCEL)
        if value is None:
            why = answer.message if isinstance(answer, ErrorAnswer) else "no usable answer"
            raise _Unanswered(f"The host did not answer `{method}` of the server `{server}`: {clip(why, 300)}")
        if method == asking.ELICIT and params.get("mode") == "url" and value["action"] == "accept":
            self._opened.append(fit["elicitationId"])
        return value

    def _finish_pages(self) -> None:
        """The call went on: what was opened is done with."""
        opened, self._opened = self._opened, []
        for page in opened:
            self._send(notification("notifications/elicitation/complete", {"elicitationId": page}))

    async def _pause(self, secs: float) -> None:
        slot: Slot[None] = Slot()
        timer = self._later(secs, slot.settle, None)
        try:
            await slot
        finally:
            timer.cancel()
