"""Calls on their way to one server, and what comes of them.

Rule 1: a call is never repeated on its own; only one that was refused unread (-32022) is made again.
Rule 2: a call that the host cancels is cancelled at the server, with whatever it has asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from ..config.servers import ServerSpec
from ..eras.asking import ROOTS
from ..eras.to_server import METHODS, bridged, call_text, outcome, own_meta
from ..errors import EXPIRED, UNSUPPORTED_VERSION, URL_ELICITATION, Cancelled, RequestError, ServerBroken, ServerError
from ..pipeline.call import TOOL, Call, Complete, Failed, InputRequired, Outcome
from ..slot import Slot
from ..wire import dialect
from ..wire.messages import ErrorAnswer, Result
from ..wire.peer import Answer, Question
from .parking import Asking, Parked
from .run import House, Run
from .tasks import Task, end_late_task, task_of, without_task
from .turns import Turns

GIVEN_UP = "the host cancelled the request"
MOST_ROUNDS = 10
"""How often a server may ask for the roots in one call."""


class Server(Protocol):
    """Who keeps the server's runs."""

    run: Run | None

    async def ready(self, secs: float) -> Run: ...
    def aside(self, work: Any) -> Slot[None]: ...


class Calls:
    """Sends calls to one server, whichever process of it runs."""

    def __init__(self, spec: ServerSpec, house: House, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.spec, self.name, self._house, self._server = spec, spec.name, house, server
        self._loop = loop
        self._turns = Turns(loop, spec.name) if spec.serialize else None

    def send(self, call: Call) -> Awaitable[Outcome]:
        """Send a call to the server and wait for what comes of it; never raises an `Exception`."""
        return self._send(call) if self._turns is None else self._in_turn(call, self._turns)

    def _in_turn(self, call: Call, turns: Turns) -> Awaitable[Outcome]:
        state = call.params.get("requestState")
        if state in self._house.lot and not turns.is_held(state):
            return self._send(call)  # a parked call whose turn is over: the server has ended it already
        return turns.take(call, self._send, self.spec.max_call_secs)

    async def _send(self, call: Call, rounds: int = 0) -> Outcome:
        patience = self.spec.tool_timeouts.get(call.target, self.spec.request_timeout_secs)
        question: Question | None = None
        try:
            run = self._server.run
            if "requestState" in call.params:
                parked = self._house.lot.take(call.params["requestState"])
                if parked is not None:
                    return await self._resume(call, parked)
                run = run or await self._server.ready(patience)
                if run.greeting is not None and not run.greeting.stateless:
                    raise RequestError("bad params", EXPIRED)
            if run is None:
                run = await self._server.ready(patience)
            question = self._ask(run, call, patience)
            answer: Answer | Asking = await question
            if run.task_tools and type(answer) is Result and (task := self._task(run, call, question, answer)):
                question = task
                answer = _as_called(await question)
            if type(answer) is ErrorAnswer and answer.code == UNSUPPORTED_VERSION:
                if not run.greeted_again:
                    await self._server.aside(run.greet_again())
                question = self._ask(run, call, patience)  # it was refused, not run: the call may be made again
                answer = await question
                if type(answer) is ErrorAnswer and answer.code == UNSUPPORTED_VERSION:
                    what = f"downstream server '{self.name}' refuses the protocol version that it asked for"
                    return failed(self.name, ServerBroken(self.name, what))
        except (ServerError, RequestError) as error:
            return failed(self.name, error)
        except Cancelled:
            if question is not None and run is not None:
                run.link.cancel(question, GIVEN_UP)
                run.questions.over(question)
                if run.task_tools and call.target in run.task_tools:
                    end_late_task(run.link, question)
            raise
        if type(answer) is Asking:
            return InputRequired(answer.requests, answer.handle, self.name, parked=True)
        if run.questions.busy:
            run.questions.over(question)
        if type(answer) is ErrorAnswer and answer.code == URL_ELICITATION:
            run.questions.note_pages(answer.data)
        found = outcome(answer, call, run.greeting.stateless)  # type: ignore[union-attr, arg-type]  # a run was greeted
        return await self._with_roots(call, found, rounds) if type(found) is InputRequired else found

    async def _resume(self, call: Call, parked: Parked) -> Outcome:
        """Go on with a call that waited for the user."""
        book = parked.book
        try:
            answer: Answer | Asking = await book.resume(parked, call, call.params.get("inputResponses", {}))
        except BaseException:  # cancelled, or a fault of ours: nobody waits for it any more
            book.give_up(parked, GIVEN_UP)
            raise
        if type(answer) is Asking:
            return InputRequired(answer.requests, answer.handle, self.name, parked=True)
        book.over(parked.question)
        answer = _as_called(answer)
        return outcome(answer, call, False)  # type: ignore[arg-type]  # not `Asking`, see above

    async def _with_roots(self, call: Call, asked: InputRequired, rounds: int) -> Outcome:
        """A stateless server asks which folders there are, and the host knows of none: the workspace is the answer."""
        roots = [key for key, request in asked.requests.items() if request["method"] == ROOTS]
        if not roots or isinstance(call.context.capabilities.get("roots"), dict):
            return asked
        others = {key: request for key, request in asked.requests.items() if key not in roots}
        if others:
            return asked._replace(requests=others, given={key: {"roots": self._house.roots} for key in roots})
        if rounds >= MOST_ROUNDS:
            return Failed("question", f"The server `{self.name}` kept asking for the roots.", server=self.name)
        params = {**call.params, "inputResponses": {key: {"roots": self._house.roots} for key in roots}}
        params.pop("requestState", None)
        if asked.state is not None:
            params["requestState"] = asked.state
        return await self._send(call.resumed(params, call.answers), rounds + 1)

    def _task(self, run: Run, call: Call, asked: Question, answer: Result) -> Question | None:
        """Where the server has made a task of the call: the question that its result answers."""
        task = task_of(answer.value) if call.target in run.task_tools else None
        if task is None:
            return None
        left = asked.limit - self._loop.time()
        return Task(self._loop, run.link, asked, task, left).result

    def _ask(self, run: Run, call: Call, patience: float) -> Question:
        context, client = call.context, self._house.client
        stateless = run.greeting.stateless  # type: ignore[union-attr]  # as above
        if context.log_level is not None and not stateless:
            run.lower_log_level(context.log_level)
        task_ms = 0
        if run.task_tools and call.target in run.task_tools and call.kind == TOOL:
            task_ms = int(self.spec.max_call_secs * 1000)
        question = run.link.ask(
            METHODS[call.kind],
            lambda id: call_text(call, stateless, client, id, task_ms),
            patience,
            limit=self.spec.max_call_secs,
            progress=context.progress,
        )
        question.call = call
        if context.stateless:
            question.level = context.log_level
        return question

    async def request(
        self, method: str, params: Mapping[str, Any], capabilities: Mapping[str, Any], level: str | None
    ) -> Outcome:
        """Any other request (`completion/complete`); as `send`, but without arguments that a stage would judge."""
        patience = self.spec.request_timeout_secs
        try:
            run = self._server.run or await self._server.ready(patience)
            stateless = run.greeting is not None and run.greeting.stateless
            found = dict(params)
            meta = dialect.forwarded_meta(found.pop("_meta", None))
            if stateless:
                meta.update(own_meta(self._house.client, bridged(capabilities), level))
            if meta:
                found["_meta"] = meta
            answer = await answer_of(run, run.link.ask(method, found, patience))
        except (ServerError, RequestError) as error:
            return failed(self.name, error)
        if isinstance(answer, (ServerError, ErrorAnswer)):
            return failed(self.name, answer)
        if stateless and answer.value.get("resultType", "complete") != "complete":
            what = f"gave an answer of kind {str(answer.value['resultType'])[:80]!r}"
            return failed(self.name, ServerBroken(self.name, f"downstream server '{self.name}' {what}"))
        return Complete(answer.body, server=self.name, stateless=stateless, shape=answer.value)

    def let_go(self, handle: str) -> None:
        """The host came back for a parked call, and something refused it on the way."""
        self._house.lot.let_go(handle, "it was refused when the host came back")

    def abandoned(self, handle: str) -> None:
        """Nobody comes back for a parked call: with `serialize` it is the next one's turn."""
        if self._turns is not None:
            self._turns.release(handle)


def _as_called(answer: Answer | Asking) -> Answer | Asking:
    """The result of a task as the call itself would have had it."""
    return without_task(answer) if type(answer) is Result else answer


async def answer_of(run: Run, question: Question) -> Answer:
    """Wait for the answer; a cancel by the host is told to the server."""
    try:
        return await question
    except Cancelled:
        run.link.cancel(question, GIVEN_UP)
        raise


def failed(server: str, error: ServerError | RequestError | ErrorAnswer) -> Failed:
    """Why there is no answer, or the server's own error."""
    if isinstance(error, ErrorAnswer):
        return Failed("server", error.message, server=server, code=error.code, data=error.data)
    if isinstance(error, RequestError):
        return Failed(error.kind, error.what, server=server)
    return Failed("server", f"downstream error: {error}", server=server, reason=error.reason)
