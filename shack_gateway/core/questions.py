"""The tokens behind open questions: what a host must bring back with its answers, and what they stand for.  Pure.

    a stage asks             the call is made again, with the answers in `Call.answers`
    a handshake server asks  its call goes on waiting under a handle; the token stands for the handle
    a stateless server asks  its own state passes through as it is, unless the house has asked something as well

Rule 1: a token is `PREFIX`, its content and an HMAC of that; it is good once, for the same method, name and arguments,
        and for a limited time. What it stands for stays here: a token that we do not remember is worth nothing.
Rule 2: a token that is refused starts nothing anew: the call may have had its effects already.
(MCP 2026-07-28 basic/patterns, multi round-trip requests: `requestState` comes back through hands that we do not trust)
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import EXPIRED, RequestError, clip
from ..pipeline.call import Call, InputRequired, digest
from ..record import NamedTuple
from ..wire.dialect import AGAIN_STATE
from ..wire.messages import encode
from .ports import Tell, nobody

PREFIX = "shack1."
MOST_SHOWN = 200
"""Characters of a question in the log."""
MOST_NOTED = 16
"""Answers that are noted of those that pass through to a server which remembers its questions itself."""
MOST_PENDING = 1024
"""Tokens that may be out at once; past that the oldest is no longer good."""


class Pending(NamedTuple):
    """What a token stands for: the question, and what stages were told before it."""

    server: str
    digest: str
    until: float
    outcome: InputRequired
    answers: Mapping[str, Any]


class Questions:
    """The open questions of one gateway. `now` gives seconds of a clock that only goes on, `random` so many bytes;
    `report` takes what was asked and answered, for the log, and `tell` the same for the journal."""

    def __init__(
        self, now: Callable[[], float], random: Callable[[int], bytes], good_for_secs: float,
        report: Callable[[str], None], tell: Tell = nobody,
    ) -> None:
        self._now, self._random, self._secs, self._report, self._tell = now, random, good_for_secs, report, tell
        self._key = b""
        self._pending: dict[str, Pending] = {}
        self._pinned: deque[int] = deque(maxlen=MOST_PENDING)

    def resume(self, call: Call) -> tuple[Call, str]:
        """The call that brings answers along, and the handle of the parked call that it goes on with, if it does.

        Raises `RequestError` where its token is not good for it.
        """
        state, responses = call.params.get("requestState"), call.params.get("inputResponses")
        if state is not None and not isinstance(state, str):
            raise RequestError("bad params", "`requestState` must be the string that came with the question.")
        if responses is None:
            responses = {}
        elif not isinstance(responses, dict) or not all(isinstance(each, dict) for each in responses.values()):
            raise RequestError("bad params", "`inputResponses` must be an object of answers, each of them an object.")
        params = {key: value for key, value in call.params.items() if key not in ("requestState", "inputResponses")}
        if state == AGAIN_STATE:
            return call.resumed(params, {}), ""
        if state is None or not state.startswith(PREFIX):
            if state is not None:
                params["requestState"] = state  # a server's own
            if responses:
                params["inputResponses"] = responses
                for key, response in list(responses.items())[:MOST_NOTED]:
                    self._note_answer(call.server, call.number, key, response)
            return call.resumed(params, {}), ""
        pending = self._take(state, digest(call))
        asked = pending.outcome
        if asked.stage:
            for key in asked.requests:
                self._note_answer(asked.stage, call.number, key, responses.get(key))
            return call.resumed(params, {**pending.answers, **responses}), ""
        for key in asked.requests:
            self.answered(call.server, call.number, key, responses.get(key))
        params["inputResponses"] = {**responses, **asked.given}
        if asked.state is not None:
            params["requestState"] = asked.state
        return call.resumed(params, pending.answers), (asked.state or "") if asked.parked else ""

    def pin(self, number: int) -> None:
        """A call that several servers might be asked: should one of them ask something, the token has to say which."""
        self._pinned.append(number)

    def ask(self, call: Call, outcome: InputRequired) -> InputRequired:
        """The question as it leaves: under a token of ours where the house has something to remember."""
        for key, request in outcome.requests.items():
            self.asked(outcome.stage or call.server, call.number, key, request.get("method"), request.get("params"))
        answers, state = {**call.answers, **outcome.known}, outcome.state or ""
        # A gateway behind this one has states that look like ours: they go into ours.
        alike = state.startswith(PREFIX) or state == AGAIN_STATE
        if outcome.stage or outcome.parked or outcome.given or answers or alike or call.number in self._pinned:
            return outcome._replace(state=self._mint(call, Pending(call.server, digest(call), 0.0, outcome, answers)))
        return outcome

    def asked(self, who: str, number: int, key: str, method: Any, params: Any) -> None:
        """Note what was asked; the text has been sealed."""
        asks = f"({clip(str(key), 80)}, {clip(str(method), 80)})"
        words = _words(params)
        self._report(f"call {number}: {who} asks {asks}: {words}")
        self._tell("question", {"call": number, "of": who, "key": clip(str(key), 80), "method": clip(str(method), 80),
                                "text": words})

    def answered(self, who: str, number: int, key: str, response: Any) -> None:
        """Note how it was answered, without what the user wrote."""
        how = self._note_answer(who, number, key, response)
        self._report(f"call {number}: {clip(key, 80)} of {who} was answered: {how}")

    def _note_answer(self, who: str, number: int, key: str, response: Any) -> str:
        how = response.get("action", "answered") if isinstance(response, Mapping) else "not answered"
        how = clip(str(how), 40)
        self._tell("answer", {"call": number, "of": who, "key": clip(key, 80), "how": how})
        return how

    def asker(self, params: Mapping[str, Any]) -> str:
        """The server whose question is answered here, where a token of ours says so; `resume` judges the token."""
        pending = self._pending.get(_handle(params.get("requestState")))
        return pending.server if pending is not None else ""

    def _mint(self, call: Call, asked: Pending) -> str:
        now, pending = self._now(), self._pending
        for handle in [h for h, each in pending.items() if each.until <= now]:
            del pending[handle]
        while len(pending) >= MOST_PENDING:
            del pending[next(iter(pending))]
        handle, until = self._random(16).hex(), now + self._secs
        pending[handle] = asked._replace(until=until)
        text = _text(encode({"v": 1, "h": handle, "d": asked.digest, "e": int(until)}))
        return f"{PREFIX}{text}.{self._sign(text)}"

    def _take(self, state: str, about: str) -> Pending:
        """What a token stands for; from then on it is used up."""
        text, _, mac = state[len(PREFIX) :].partition(".")
        if not hmac.compare_digest(self._sign(text).encode(), mac.encode("utf-8", "replace")):
            raise RequestError("bad params", EXPIRED)
        handle = _handle(state)
        pending = self._pending.get(handle)
        if pending is None:
            raise RequestError("bad params", EXPIRED)
        if pending.digest != about:
            raise RequestError(
                "bad params", "`requestState` belongs to another call: the answers must come with the same method, "
                "name and arguments as the question did. Nothing was started.",
            )
        del self._pending[handle]
        if pending.until <= self._now():
            raise RequestError("bad params", EXPIRED)
        return pending

    def _sign(self, text: str) -> str:
        if not self._key:
            self._key = self._random(32)
        return _text(hmac.digest(self._key, text.encode("utf-8", "replace"), "sha256"))


def _words(params: Any) -> str:
    """The beginning of what is asked."""
    about = params if isinstance(params, Mapping) else {}
    text = about.get("message")
    messages = about.get("messages")
    if text is None and isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        content = messages[-1].get("content")
        text = content.get("text", "") if isinstance(content, dict) else ""
    return clip(" ".join(str(text or "").split()), MOST_SHOWN)


def _handle(state: Any) -> str:
    """What a token names, unjudged; empty for what is no token."""
    if not isinstance(state, str) or not state.startswith(PREFIX):
        return ""
    try:
        return str(json.loads(urlsafe_b64decode(state[len(PREFIX) :].partition(".")[0] + "=="))["h"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode("ascii").rstrip("=")
