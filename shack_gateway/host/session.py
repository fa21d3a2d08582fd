"""One host on one pipe: who asks, in which tongue, what is still open, and what it is told unasked.

Rule 1: a request gets exactly one answer, a cancelled one none; a notification never gets any.
Rule 2: reading never waits: what cannot be answered at once goes on by itself (`slot.Drive`).
Rule 3: everything for the host goes through one writer, so that a request's notifications come before its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from ..catalog.entries import Catalog
from ..core.gateway import Gateway
from ..core.ports import HostQuestion, ServersQuestion
from ..eras import asking
from ..eras.inbound import Asked, Handshake, Tongue, classify, is_stateless
from ..eras.to_host import Voice, notification
from ..errors import FAILURES, INTERNAL_ERROR, URL_ELICITATION, RequestError, WireError, clip
from ..log import Log
from ..pipeline.call import Complete, Context, Failed, InputRequired, Outcome
from ..pipes import Writer
from ..slot import Drive
from ..wire import dialect
from ..wire.messages import Body, Notification, Request, Result, TooLong, error_line, message, result_line
from ..wire.peer import Answer, Peer
from .asking import HostQuestions, Later
from .deputy import Answers, Deputed
from .following import Following
from .interview import Interview

UNREAD_LIMIT = 8 * 1024 * 1024
"""Bytes that may wait for the host to read them before we stop reading servers, and the host itself."""

_LISTED = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "templates",
}


class Servers(Protocol):
    """The servers, as far as a host's session is concerned."""

    @property
    def catalog(self) -> Catalog: ...
    @property
    def starting(self) -> bool: ...

    def start(self, capabilities: Mapping[str, Any]) -> None: ...
    def set_log_level(self, level: str) -> None: ...
    def follow(self, server: str, uri: str, more: bool) -> Any: ...
    def tells_of_resources(self, server: str) -> bool: ...
    def roots_changed(self) -> None: ...
    def hold(self) -> None: ...
    def release(self) -> None: ...


class HostSession:
    """The conversation with the host, from its first byte to our last."""

    def __init__(
        self,
        gateway: Gateway,
        servers: Servers,
        voice: Voice,
        writer: Writer,
        log: Log,
        *,
        line_bytes: int,
        instructions: Callable[[], str],
        later: Later,
        question_secs: float,
        deputy: Answers | None = None,
    ) -> None:
        self._gateway, self._servers, self._voice, self._writer, self._log = gateway, servers, voice, writer, log
        self._instructions = instructions
        self._peer = Peer(line_bytes)
        self._line_bytes = line_bytes
        self._handshake = Handshake()
        self.open: dict[str | int, Drive] = {}
        self.following = Following(gateway, servers, self._handshake, self._send, partial(log.error, "host"))
        self._later, self._deputy = later, deputy
        self._questions = HostQuestions(self._peer, self._send, later, question_secs)
        self._reached: dict[str | int, float] = {}
        """How far each open request has come, over all the calls that it took."""
        self._plain = Context()
        self.pause: Callable[[], None] = lambda: None
        self.resume: Callable[[], None] = lambda: None
        self._paused = False
        writer.on_drained = self._drained
        self._own: dict[str, Callable[[Request, Asked], None]] = {
            "initialize": self._initialize,
            "ping": lambda request, asked: self._send(result_line(request.id, b"{}")),
            "server/discover": self._discover,
            "logging/setLevel": self._set_level,
            "subscriptions/listen": self._listen,
        }

    # --- from the host ---

    def on_bytes(self, chunk: bytes) -> None:
        """What the host sent."""
        for event in self._peer.receive(chunk):
            self._take(event)

    def on_end(self) -> None:
        """The host sends nothing more; its last line may lack its end."""
        for event in self._peer.end():
            self._take(event)
        self._questions.close()

    def _take(self, event: Any) -> None:
        try:
            if type(event) is Request:
                self._request(event)
            else:
                self._other(event)
        except Exception as error:
            # One message costs itself, not those behind it.
            self._log.error("host", f"a message could not be handled: {error!r}")
            if type(event) is Request:
                self._refuse(event.id, "internal", "Internal error of the gateway. Its log says more.")

    def _other(self, event: Any) -> None:
        kind = type(event)
        if kind is Notification:
            self._notified(event)
        elif kind is list:
            self._batch(event)
        elif kind is TooLong:
            most = self._line_bytes
            text = f"invalid request: a line of {event.size} bytes, more than {most} (`max_host_line_bytes`)"
            self._refuse(None, "invalid request", text)
        elif isinstance(event, WireError):
            self._refuse(event.id, event.kind, clip(event.what, 500))

    def _batch(self, values: list[Any]) -> None:
        """Several messages in one line: allowed by one revision only, and answered one by one."""
        if not (self._handshake.done and self._handshake.tongue.version == dialect.BATCHES) or not values:
            text = "invalid request: an array" + (
                " that is empty" if not values else f" (batches belong to {dialect.BATCHES} alone)"
            )
            self._refuse(None, "invalid request", text)
            return
        for value in values:
            try:
                found = message(value)
                if isinstance(found, Request) and found.method == "initialize":
                    raise WireError(
                        "invalid request", "invalid request: `initialize` must not be in a batch", id=found.id
                    )
            except WireError as error:
                self._take(error)
            else:
                if isinstance(found, (Request, Notification)):
                    self._take(found)

    def _request(self, request: Request) -> None:
        id = request.id
        if id in self.open or id in self.following.listens:
            text = f"invalid request: the id {id!r} belongs to a request that is still open"
            self._refuse(id, "invalid request", clip(text, 300))
            return
        try:
            asked = classify(request.method, request.params, self._handshake)
        except RequestError as error:
            tongue = Tongue(is_stateless(request.params), dialect.STATELESS)
            asked = Asked(request.method, request.params, tongue, {}, None, None)
            self._send(self._voice.answer(id, asked, Failed(error.kind, error.what, data=error.data), 0))
            return
        own = self._own.get(request.method)
        if own is not None:
            own(request, asked)
            return
        self._servers.start(asked.capabilities)
        if not self._questions.ready and self._handshake.done and not asked.tongue.stateless:
            self._questions.begin()  # who asks for more than a greeting is ready, whether it says so or not
        number = self._gateway.number()
        if request.method in ("resources/subscribe", "resources/unsubscribe"):
            work = self.following.subscribe(request.params.get("uri"), request.method == "resources/subscribe")
        else:
            context = self._context(id, asked, request.kept)
            work = self._gateway.serve(request.method, request.params, context, number)
        self._drive(id, asked, number, work)

    def _drive(self, id: str | int, asked: Asked, number: int, work: Any) -> None:
        drive = Drive(work, partial(self._finish, id, asked, number), partial(self._fault, id, asked, number))
        self.open[id] = drive
        drive.step()

    def _context(self, id: str | int, asked: Asked, kept: tuple[tuple[dict[str, Any], str], ...]) -> Context:
        token, level, stateless = asked.progress_token, asked.log_level, asked.tongue.stateless
        if token is None and not stateless and not kept:
            return self._plain
        return Context(
            asked.capabilities,
            level if stateless else self._handshake.log_level,
            None if token is None else partial(self._progress, id, token),
            stateless,
            kept,
        )

    def _finish(self, id: str | int, asked: Asked, number: int, outcome: Outcome) -> None:
        self.open.pop(id, None)
        if type(outcome) is not Complete and self._asks(id, asked, number, outcome):
            return
        if self._reached:
            self._reached.pop(id, None)
        try:
            line = self._voice.answer(id, asked, outcome, number)
        except Exception as error:
            self._log.error("host", f"call {number}: the answer could not be written: {error!r}")
            line = error_line(
                id,
                INTERNAL_ERROR,
                "The answer could not be written. The log of the gateway says more.",
                {"call": number},
            )
        listed = _LISTED.get(asked.method)
        if listed is not None:
            self.following.listed(listed)
        self._send(line)

    def _asks(self, id: str | int, asked: Asked, number: int, outcome: Outcome) -> bool:
        """True for a question to a handshake host: its request stays open, and the host is asked."""
        if type(outcome) is InputRequired and not asked.tongue.stateless:
            context = self._context(id, asked, ())
            interview = Interview(self._gateway, self._questions, self._send, self._later, asked, context, number)
            self._drive(id, asked, number, interview.run(outcome))
            return True
        if type(outcome) is Failed and outcome.code == URL_ELICITATION and asked.tongue.stateless:
            for request in asking.url_requests(outcome.data).values():
                self._gateway.note_question(outcome.server, number, request["method"], request["params"])
        return False

    def _fault(self, id: str | int, asked: Asked, number: int, error: Exception) -> None:
        """A fault of ours: the host gets an answer, the log gets the reason."""
        self._log.error("host", f"call {number}: {asked.method} failed: {error!r}")
        text = f"Internal error of the gateway. Its log says more under call {number}."
        self._finish(id, asked, number, Failed("internal", text))

    def _notified(self, told: Notification) -> None:
        if told.method == "notifications/cancelled":
            id = told.params.get("requestId")
            if id is None or not dialect.is_request_id(id):
                return
            drive = self.open.pop(id, None)
            if drive is not None:
                self._reached.pop(id, None)
                drive.cancel()
            elif id in self.following.listens:
                self.following.unlisten(id)
        elif told.method == "notifications/initialized":
            self._questions.begin()
        elif told.method == "notifications/progress":
            self._questions.on_progress(told.params)
        elif told.method == "notifications/roots/list_changed":
            self._servers.roots_changed()

    # --- greetings and settings ---

    def _initialize(self, request: Request, asked: Asked) -> None:
        try:
            self._handshake.greet(request.params)
        except RequestError as error:
            self._refuse(request.id, error.kind, error.what)
            return
        self._settle_context()
        self._send(
            result_line(request.id, self._voice.initialize(self._handshake.tongue.version, self._instructions()))
        )
        self._servers.start(self._handshake.capabilities)

    def _settle_context(self) -> None:
        """What every request of a handshake host brings along, but for its progress token."""
        self._plain = Context(self._handshake.capabilities, self._handshake.log_level)

    def _discover(self, request: Request, asked: Asked) -> None:
        self._send(result_line(request.id, self._voice.discover(self._instructions())))

    def _set_level(self, request: Request, asked: Asked) -> None:
        level = request.params.get("level")
        if level not in dialect.LOG_LEVELS:
            text = f"`level` must be one of {', '.join(dialect.LOG_LEVELS)}."
            self._refuse(request.id, "bad params", text)
            return
        self._handshake.log_level = level
        self._settle_context()
        self._servers.start(asked.capabilities)
        self._servers.set_log_level(level)
        self._send(result_line(request.id, b"{}"))

    def _listen(self, request: Request, asked: Asked) -> None:
        wanted = request.params.get("notifications")
        if type(wanted) is not dict:
            self._refuse(request.id, "bad params", "`notifications` must be an object.")
            return
        self._servers.start(asked.capabilities)
        self.following.listen(request.id, wanted)

    # --- what servers say of their own accord ---

    def on_catalog(self) -> None:
        """What the servers list has changed."""
        self.following.on_catalog()

    def on_resource(self, server: str, uri: str, params: Mapping[str, Any]) -> None:
        """A resource has changed."""
        self.following.on_resource(server, uri, params)

    def on_question(self, asked: ServersQuestion) -> HostQuestion | str:
        """A handshake server asks the user, or the host, something; the answer goes to `asked.done`."""
        if self._deputy is None or asked.method != asking.ELICIT:
            return self._ask_host(asked)
        params = self._gateway.question(asked.server, asked.method, asked.params)
        if params is None:
            return "it cannot be shown"
        note = partial(self._deputy_answered, asked, params)
        answer, put = self._deputy(asked.server, params), partial(self._ask_host, asked)
        return Deputed(asked, answer, put, note, partial(self._broke, "hooks of a question"), self._later)

    def _broke(self, what: str, error: Exception) -> None:
        self._log.error("host", f"{what} broke: {error!r}")

    def _deputy_answered(self, asked: ServersQuestion, params: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        number = asked.call.number if asked.call is not None else 0
        self._gateway.note_question(asked.server, number, asked.method, params)
        self._gateway.note_answer(asked.server, number, asked.method, answer)

    def _ask_host(self, asked: ServersQuestion) -> HostQuestion | str:
        handshake, method = self._handshake, asked.method
        if not handshake.done:
            return "no open call's host can answer it"
        needed = asking.lacking(method, asked.params, handshake.capabilities)
        if needed:
            return "" if method == asking.ROOTS else f"the host lacks {asking.listed(needed)}"
        params = self._gateway.question(asked.server, method, asked.params)
        if params is None:
            return "it cannot be shown"
        fit = asking.for_host(method, params, handshake.tongue.version, asked.version)
        if isinstance(fit, str):
            return fit
        found = self._questions.ask(asked.server, method, fit, asked.progress)
        if found is None:
            return "the host has left, or has too many questions open"
        number = asked.call.number if asked.call is not None else 0
        self._gateway.note_question(asked.server, number, method, params)

        def done(answer: Answer) -> None:
            self._gateway.note_answer(asked.server, number, method, answer.value if type(answer) is Result else None)
            asked.done(answer)

        found.then(done)
        return found

    def on_elicitation_complete(self, params: dict[str, Any]) -> None:
        """What a server had the user do at a URL is done; one revision alone is told so."""
        if self._handshake.done and self._handshake.tongue.version == "2025-11-25":
            self._send(notification("notifications/elicitation/complete", params))

    def _progress(self, id: str | int, token: Any, params: dict[str, Any]) -> None:
        reached = self._reached.get(id)
        if reached is not None and not params["progress"] > reached:
            return  # another round of a call that has asked something: it counts anew, the host's request does not
        self._reached[id] = params["progress"]
        found = {**params, "progressToken": token}
        if type(found.get("total", 0)) not in (int, float):
            del found["total"]
        if type(found.get("message", "")) is not str:
            del found["message"]
        self._send(notification("notifications/progress", found))

    def on_log(self, server: str, params: dict[str, Any], wanted: str | None) -> None:
        """A server's log message: for a handshake host above the level it set (before, the server chooses), for a
        stateless one if a call of its in flight at that server wants it."""
        level = params.get("level")
        if level not in dialect.LOG_LEVELS or "data" not in params:
            return
        asked = self._handshake.log_level
        told = self._handshake.done and (asked is None or dialect.level_reaches(level, asked))
        if told or (wanted is not None and dialect.level_reaches(level, wanted)):
            self._send(notification("notifications/message", _named(server, params)))

    # --- towards the host ---

    def _refuse(self, id: str | int | None, kind: str, text: str) -> None:
        """An error that is the same in both eras; without an id where the line had none that could be read."""
        self._send(error_line(id, FAILURES[kind].stateless or INTERNAL_ERROR, text))

    def _send(self, line: Body) -> None:
        writer = self._writer
        if type(line) is bytes:
            writer.send(line)
        else:
            writer.send(*line)
        if writer.queued > UNREAD_LIMIT and not self._paused:
            self._paused = True
            self.pause()
            self._servers.hold()

    def _drained(self) -> None:
        if self._paused:
            self._paused = False
            self._servers.release()
            self.resume()

    def finish(self) -> None:
        """Shutting down: what the host listens to ends in order."""
        self.following.finish(self._voice)


def _named(server: str, params: dict[str, Any]) -> dict[str, Any]:
    """A log message with its server in front of its logger."""
    logger = params.get("logger")
    return {**params, "logger": f"{server}/{logger}" if isinstance(logger, str) and logger else server}
