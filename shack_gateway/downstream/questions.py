"""What a handshake server asks while it runs: for whom its question is, and how the answer comes back to it.

    the call's host speaks the handshake    its question goes to the host as a request, the answer comes back as it is
    the call's host is stateless            the call is parked; the host's request ends with the question, and the
                                            same call made again brings the answers (`parking.py`)
    nobody can be asked                     roots: the workspace; forms: dismissed; sampling: refused

Rule 1: the wire does not say which call a question belongs to. It is the one that was started last among those whose
        host can answer it; with `"serialize": true` there is only one.
Rule 2: while a question is with the user, the clock of the server's calls stands still.
Rule 3: each question is answered once, whatever becomes of the host, the call or the user.
(protocol bridge, sections 8.3, 8.5 and 8.7)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from functools import partial
from math import inf
from typing import Any, Protocol

from ..core.ports import HostQuestion, ServersQuestion
from ..eras import asking
from ..errors import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, clip
from ..log import Log
from ..pipeline.call import Call
from ..wire import dialect
from ..wire.messages import Body, ErrorAnswer, Request, Result, encode, whole
from ..wire.peer import Answer, Question
from .link import Link
from .parking import Asking, Lot, Parked

COLLECT_SECS = 0.02
"""How long further questions are waited for before a stateless host is given those that are there."""
LEAVE_SECS = 1.0
"""How long a server may take to end a call whose question was dismissed because nobody came back."""
MOST_OPEN = 64
"""Questions that one server may have open."""
MOST_ASKED = 100
"""Questions that one call may ask; those behind are dismissed at once."""
MOST_OUTSIDE, OUTSIDE_SECS = 20, 60.0
"""Questions that belong to no call, and in which time: those behind are dismissed at once."""
REJECTED = -1
"""The code of a sampling request that the user did not want (MCP 2025-11-25 client/sampling, error handling)."""


class House(Protocol):
    """What the questions of one server need of the fleet."""

    capabilities: Mapping[str, Any]
    roots: list[dict[str, Any]]
    lot: Lot
    log: Log

    def ask_host(self, question: ServersQuestion) -> HostQuestion | str: ...

    def abandoned(self, server: str, handle: str) -> None: ...


class Forwarded:
    """A server's question that is with a handshake host."""

    __slots__ = ("asked", "id", "request")

    def __init__(self, request: Request, id: int | None) -> None:
        self.request, self.id = request, id  # of the call it is taken to belong to
        self.asked: HostQuestion | None = None


class Questions:
    """The questions of one run of one server. `busy` is False while there are none, which is nearly always."""

    def __init__(self, server: str, house: House, link: Link, loop: asyncio.AbstractEventLoop) -> None:
        self._server, self._house, self._link, self._loop = server, house, link, loop
        self.version = dialect.NEWEST_HANDSHAKE
        self.busy = False
        self._forwarded: dict[str | int, Forwarded] = {}
        self._parked: dict[int, Parked] = {}
        self._counts: dict[int, int] = {}
        self._outside: deque[float] = deque(maxlen=MOST_OUTSIDE)
        """When the last questions came that belong to no call."""
        self._frozen: dict[int, tuple[int, float]] = {}
        """By a call's id: how many questions stop its clock, and what was left of its time."""
        self._pages: deque[Any] = deque(maxlen=MOST_OPEN)
        """The names of the pages that users were sent to."""
        self._complained = False

    # --- from the server ---

    def on_request(self, request: Request) -> None:
        """A question of the server; answered now or later, but answered."""
        method, params, link = request.method, request.params, self._link
        if method not in asking.METHODS:
            link.refuse(request, METHOD_NOT_FOUND, f"method not found: {method[:200]}")
            return
        wrong = asking.nonsense(method, params) or _unwritable(params)
        if wrong:
            link.refuse(request, INVALID_PARAMS, wrong)
        elif self._is_open(request.id):
            link.refuse(request, INVALID_REQUEST, "the id belongs to a request that is still open")
        else:
            self._ask(request, self._whose(method, params))

    def is_page(self, id: Any) -> bool:
        """True for the name of a page that a user was sent to."""
        return id in self._pages

    def note_pages(self, data: Any) -> None:
        """A call was refused until pages were opened (-32042)."""
        listed = data.get("elicitations") if isinstance(data, dict) else None
        for each in listed if isinstance(listed, list) else ():
            if isinstance(each, dict) and isinstance(each.get("elicitationId"), str):
                self._pages.append(each["elicitationId"])

    def on_cancelled(self, id: Any) -> None:
        """The server no longer wants an answer."""
        if not dialect.is_request_id(id):
            return
        forwarded = self._forwarded.pop(id, None)
        if forwarded is not None:
            self._settled(forwarded)
            if forwarded.asked is not None:
                forwarded.asked.cancel("the server no longer needs it")
        for parked in self._parked.values():
            for key, request in list(parked.outstanding.items()):
                if request.id == id and type(request.id) is type(id):
                    del parked.outstanding[key]

    def _is_open(self, id: Any) -> bool:
        return id in self._forwarded or any(
            request.id == id for parked in self._parked.values() for request in parked.outstanding.values()
        )

    def _whose(self, method: str, params: Mapping[str, Any]) -> Question | None:
        """The open call that a question is taken to belong to: the youngest that can be answered, and one whose host is
        there rather than one that is parked already."""
        parked: Question | None = None
        for question in reversed(self._calls()):
            if not asking.lacking(method, params, question.call.context.capabilities):
                waiting = self._parked.get(question.id)
                if waiting is None or not waiting.handle:
                    return question
                parked = parked or question
        return parked

    def _calls(self) -> list[Question]:
        return [question for question in self._link.peer.asked.values() if question.call is not None]

    def _ask(self, request: Request, question: Question | None) -> None:
        if self._is_too_much(question):
            if not self._complained:
                self._complained = True
                self._house.log.warning(self._server, "asks too much: some of its questions are dismissed unasked")
            self._dismiss(request)
            return
        if isinstance(request.params.get("elicitationId"), str):
            self._pages.append(request.params["elicitationId"])
        if question is not None and question.call.context.stateless:
            self._park(question, request)
        else:
            self._forward(request, question)

    def _is_too_much(self, question: Question | None) -> bool:
        """Count a question; True when there are too many open, of one call, or of no call in a short time."""
        open_now = len(self._forwarded) + sum(len(parked.outstanding) for parked in self._parked.values())
        if question is None:
            now = self._loop.time()
            many = len(self._outside) == MOST_OUTSIDE and now - self._outside[0] < OUTSIDE_SECS
            if not many:
                self._outside.append(now)
            return many or open_now >= MOST_OPEN
        if len(self._counts) > MOST_ASKED:
            self._counts = {id: count for id, count in self._counts.items() if id in self._link.peer.asked}
        count = self._counts[question.id] = self._counts.get(question.id, 0) + 1
        return open_now >= MOST_OPEN or count > MOST_ASKED

    # --- the clock ---

    def _freeze(self, id: int | None) -> None:
        """Somebody thinks: no call is overdue meanwhile, and the time of the one that asks stands still."""
        self._link.stop_clock()
        question = self._link.peer.asked.get(id) if id is not None else None
        if question is not None:
            count, left = self._frozen.get(question.id, (0, question.limit - self._loop.time()))
            self._frozen[question.id] = count + 1, left
            question.limit = inf

    def _thaw(self, id: int | None) -> None:
        count, left = self._frozen.pop(id, (0, 0.0)) if id is not None else (0, 0.0)
        question = self._link.peer.asked.get(id) if id is not None else None
        if count > 1 and question is not None:
            self._frozen[question.id] = count - 1, left
        elif count and question is not None:
            question.limit = self._loop.time() + left
        self._link.start_clock()

    # --- to a handshake host ---

    def _forward(self, request: Request, question: Question | None) -> None:
        forwarded = Forwarded(request, question.id if question is not None else None)
        token = asking.progress_token(request.params)
        asked = self._house.ask_host(ServersQuestion(
            self._server, request.method, request.params, self.version,
            question.call if question is not None else None, partial(self._answered, forwarded),
            None if token is None else partial(self._progress, token),
        ))
        if isinstance(asked, str):
            if asked:
                self._house.log.info(self._server, f"asked for what cannot be had: {asked}")
            self._dismiss(request)
            return
        forwarded.asked = asked
        self._forwarded[request.id] = forwarded
        self.busy = True
        self._freeze(forwarded.id)

    def _answered(self, forwarded: Forwarded, answer: Answer) -> None:
        """The host's answer, or that there will be none."""
        request = forwarded.request
        if self._forwarded.pop(request.id, None) is None:
            return
        self._settled(forwarded)
        if isinstance(answer, ErrorAnswer):
            self._link.refuse(request, answer.code, answer.message, answer.data)
        elif isinstance(answer, Result):
            try:
                self._reply(request, whole(answer), answer.body)
            except (ValueError, RecursionError):
                self._reply(request, None)
        else:
            self._dismiss(request)

    def _reply(self, request: Request, value: Any, body: Body = b"") -> None:
        """Answer the server; with the host's own text where that says the same."""
        found = asking.answer(request.method, value)
        fit = asking.for_server(request.method, found, self.version) if found is not None else None
        if fit is None or _unwritable(fit):
            self._link.refuse(request, INTERNAL_ERROR, "the host's answer is none that this request can have")
        else:
            self._link.answer(request, body if body and fit == value else fit)

    def _dismiss(self, request: Request) -> None:
        """Answer a question that nobody can be asked."""
        method, declared, link = request.method, self._house.capabilities, self._link
        if link.closed is not None:
            return
        if method == asking.ROOTS:
            link.answer(request, {"roots": self._house.roots})
        elif method == asking.ELICIT and "elicitation" in declared:
            link.answer(request, asking.CANCEL)
        elif method == asking.SAMPLE and "sampling" in declared:
            link.refuse(request, REJECTED, "The request for sampling was rejected.")
        else:
            link.refuse(request, METHOD_NOT_FOUND, f"method not found: {method[:200]}")

    def _progress(self, token: Any, params: dict[str, Any]) -> None:
        told = {**params, "progressToken": token}
        if not _unwritable(told):
            self._link.tell("notifications/progress", told)

    def _settled(self, forwarded: Forwarded) -> None:
        self._thaw(forwarded.id)
        self.busy = bool(self._forwarded or self._parked)

    # --- to a stateless host ---

    def _park(self, question: Question, request: Request) -> None:
        parked = self._parked.get(question.id)
        if parked is None:
            parked = self._parked[question.id] = Parked(self, question)
            self.busy = True
        parked.count += 1
        parked.outstanding[f"q{parked.count}"] = request
        if not parked.handle and parked.timer is None:
            parked.timer = self._loop.call_later(COLLECT_SECS, self._hand_over, parked)

    def _hand_over(self, parked: Parked) -> None:
        """Give the host's request its answer: the questions. The call itself goes on, with its clock stopped."""
        parked.timer = None
        question = parked.question
        if question.settled or not parked.outstanding or question.id not in self._link.peer.asked:
            return
        requests = {key: _house_form(request) for key, request in parked.outstanding.items()}
        fresh = parked.question = self._link.peer.swap(question)
        fresh.progress = fresh.level = None
        fresh.wake = partial(self._ended_alone, parked)
        self._freeze(fresh.id)
        handle = self._house.lot.put(parked)
        question.settle(Asking(requests, handle))  # type: ignore[arg-type]  # who waits for a call knows of these

    def _ended_alone(self, parked: Parked) -> None:
        """The call has ended without its host: what came of it is kept, but it is the next one's turn."""
        self._house.abandoned(self._server, parked.handle)

    def resume(self, parked: Parked, call: Call, responses: Mapping[str, Any]) -> Question:
        """The host has come back: give the server its answers; the question to wait for."""
        question, parked.handle = parked.question, ""
        self._thaw(question.id)
        # Also where the call has ended meanwhile: the question may have been another call's.
        for key in [key for key in parked.outstanding if key in responses]:
            self._reply(parked.outstanding.pop(key), responses[key])
        if question.settled:
            return question
        question.progress, question.call = call.context.progress, call
        question.level = call.context.log_level
        if parked.outstanding:
            parked.timer = self._loop.call_later(COLLECT_SECS, self._hand_over, parked)
        return question

    def give_up(self, parked: Parked, why: str) -> None:
        """The host no longer wants a call that it had come back for."""
        self._link.cancel(parked.question, why)
        self.over(parked.question)

    def expire(self, parked: Parked, why: str) -> None:
        """Nobody comes back for this call: dismiss its questions, and end it unless the server does so itself."""
        self._house.log.warning(self._server, f"a call that waits for the user is given up: {why}")
        handle, parked.handle = parked.handle, ""
        self._house.abandoned(self._server, handle)
        self._thaw(parked.question.id)
        for request in parked.outstanding.values():
            self._dismiss(request)
        parked.outstanding.clear()
        parked.timer = self._loop.call_later(LEAVE_SECS, self._end, parked, why)

    def _end(self, parked: Parked, why: str) -> None:
        parked.stop_timer()
        if not parked.question.settled:
            self._link.cancel(parked.question, why)
        self.over(parked.question)

    # --- the end ---

    def over(self, question: Question) -> None:
        """A call has come to its end: what it asked need not be answered any more.

        Where another call is open that may have been the one that asked, its question goes on.
        """
        others = bool(self._calls())
        parked = self._parked.pop(question.id, None)
        if parked is not None:
            parked.stop_timer()
            left, parked.outstanding = parked.outstanding, {}
            for request in left.values():
                other = self._whose(request.method, request.params)
                if other is not None:
                    self._ask(request, other)
                else:
                    self._dismiss(request)
        for id, forwarded in [] if others else list(self._forwarded.items()):
            if forwarded.id is not None:
                del self._forwarded[id]
                if forwarded.asked is not None:
                    forwarded.asked.cancel("the call it belongs to has ended")
                self._settled(forwarded)
                self._dismiss(forwarded.request)
        self.busy = bool(self._forwarded or self._parked)

    def close(self) -> None:
        """The server is gone: nobody waits for answers. Parked calls stay in the lot, to be told so."""
        forwarded, self._forwarded = self._forwarded, {}
        for each in forwarded.values():
            if each.asked is not None:
                each.asked.cancel("the server has ended")
        for parked in self._parked.values():
            if parked.handle:
                self._house.abandoned(self._server, parked.handle)
            elif parked.timer is not None:
                parked.stop_timer()


def _unwritable(value: Any) -> str:
    """What is wrong with a value that cannot be passed on as JSON (1e999, too deep); empty when nothing is."""
    try:
        encode(value)
    except (ValueError, RecursionError) as error:
        return f"it is no JSON: {clip(str(error), 100)}"
    return ""


def _house_form(request: Request) -> dict[str, Any]:
    """A server's request as a stateless host reads it."""
    params = {key: value for key, value in request.params.items() if key not in ("elicitationId", "task")}
    meta = dialect.forwarded_meta(params.pop("_meta", None))
    meta.pop(dialect.RELATED_TASK_KEY, None)
    if meta:
        params["_meta"] = meta
    if request.method == asking.ELICIT:
        params.setdefault("mode", "form")
    found: dict[str, Any] = {"method": request.method}
    if params or request.method != asking.ROOTS:
        found["params"] = params
    return found
