"""One row of the journal as JSON text: what of a call, and of everything else that happens, is written down.

Rule 1: what a row costs does not grow with what it tells of: of a result the first bytes are looked at, no more.
Rule 2: every text that was not written by us passes the mask, and leaves as ASCII JSON.
Rule 3: a row is written by hand, because it is written for every call; the keys stand in the order people read them.

A row begins behind its number and ends before its hash: `journal_file` adds both.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from json.encoder import encode_basestring_ascii
from typing import Any

from ..pipeline.arguments import policy_name
from ..pipeline.call import Call, Complete, Failed, InputRequired, Outcome, Refused
from ..wire.messages import encode

MOST_TEXT = 2000
"""Characters of any other text in a row (an error of a server, a question)."""
MOST_NAME = 200
MOST_KNOWN = 4096
"""Tools of which the row's middle is remembered."""
LONG = 2048
"""Characters from which a text among the arguments is only counted, and shown by its beginning."""
OK, ERROR, REFUSED, FAILED, ASKED, CANCELLED = "ok", "tool error", "refused", "failed", "asked", "cancelled"
OUTCOMES = (OK, ERROR, REFUSED, FAILED, ASKED, CANCELLED)
META, COMPLETION = "meta", "completion"
_KINDS = {"tools/call": "tool", "resources/read": "resource", "resources/subscribe": "resource",
          "prompts/get": "prompt", "completion/complete": COMPLETION}


class Rows:
    """Writes rows of one run. `session` names it, `mask` takes secrets out of a text, and is asked only where `suspect`
    says that there may be one; of arguments and results so many characters are shown, none for 0."""

    def __init__(
        self, session: str, mask: Callable[[str], str], suspect: Callable[[str], bool], argument_chars: int,
        result_chars: int,
    ) -> None:
        self._session = f'"session":{encode_basestring_ascii(session[:MOST_NAME])}'
        self._mask, self._suspect = mask, suspect
        self._unseen: list[str] | None = None
        self._argument_chars, self._result_chars = argument_chars, result_chars
        self._stamp = -1, ""
        self._call_begins = -1, ""
        self._known: dict[tuple[str, str, str], str] = {}

    def without_care(self) -> None:
        """From now on texts are written as they are, until `with_care` has been asked whether that was right."""
        self._unseen = []

    def with_care(self) -> bool:
        """True where there may be secrets in what was written without care; from now on they are masked."""
        unseen, self._unseen = self._unseen, None
        return bool(unseen) and self._suspect("\n".join(unseen or ()))

    def event(self, at: float, name: str, facts: Mapping[str, Any]) -> str:
        """What happened besides calls; `at` is in seconds since 1970."""
        told = encode({key: self._masked(value) for key, value in facts.items()}).decode()[1:-1]
        return f'{self._begin(at, name)}{"," if told else ""}{told}'

    def call(self, at: float, first: Call, sent: Call, outcome: Outcome | None, secs: float) -> str:
        """A call that walked the corridor: as it came, as it was sent or refused, and what came of it."""
        about = self._known.get((first.kind, first.server, first.target))
        if about is None:
            about = self._about(first)
        size, arguments = self._arguments(sent)
        meta = first.params.get("_meta")
        trace = "" if meta is None else _trace(meta)
        if type(outcome) is not Complete:
            came, told = self._outcome(outcome)
            shown = self._member("arguments", arguments)
        else:
            # Nearly every row: both texts are looked at in one go, and nothing is asked twice.
            body, limit = outcome.body, self._result_chars
            if type(body) is bytes:
                result_size, result = len(body), body[: 4 * limit].decode("utf-8", "replace")[:limit]
            else:
                result_size, result = _size(body), _beginning(body, limit)
            came = ERROR if outcome.is_error else OK
            if self._unseen is not None:
                self._unseen += (arguments, result)
            elif self._suspect(arguments + result):
                arguments, result = self._mask(arguments), self._mask(result)
            shown = f',"arguments":{encode_basestring_ascii(arguments)}' if arguments else ""
            told = f',"result_bytes":{result_size}'
            if result:
                told += f',"result":{encode_basestring_ascii(result)}'
        millis, begins = self._call_begins
        if millis != int(at * 1000):
            begins = self._begin(at, "call")
            self._call_begins = int(at * 1000), begins
        return (f'{begins},"call":{first.number},{about},"outcome":"{came}","ms":{secs * 1000:.3f},'
                f'"argument_bytes":{size}{shown}{told}{trace}')

    def request(
        self, at: float, method: str, params: Mapping[str, Any], number: int, outcome: Outcome | None, secs: float
    ) -> str:
        """A request that the hall answered itself: a meta-tool, a completion, a name that nobody knows."""
        kind = _KINDS[method]
        name = params.get("uri" if kind == "resource" else "name")
        if method == "completion/complete":
            name = method
        elif isinstance(name, str) and name.startswith("shack_"):
            kind = META
        tool = self._cleaned(name[:MOST_NAME]) if isinstance(name, str) else ""
        server = "" if outcome is None else outcome.server
        about = f'"kind":"{kind}"' + (f',"server":{encode_basestring_ascii(server)}' if server else "")
        given = params.get("arguments" if "arguments" in params else "argument")
        size, arguments = self._shown(given) if isinstance(given, dict) else (0, "")
        shown = self._member("arguments", arguments)
        came, told = self._outcome(outcome)
        return (f'{self._begin(at, "call")},"call":{number},{about},"tool":{encode_basestring_ascii(tool)},'
                f'"outcome":"{came}","ms":{secs * 1000:.3f},"argument_bytes":{size}{shown}{told}'
                f'{_trace(params.get("_meta"))}')

    def _begin(self, at: float, name: str) -> str:
        second = int(at)
        known, stamp = self._stamp              # one read: a thread may write our own rows
        if second != known:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._stamp = second, stamp
        return f'"at":"{stamp}.{int((at - second) * 1000):03d}Z","event":"{name}",{self._session}'

    def _about(self, call: Call) -> str:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        text = (f'"kind":"{call.kind}","server":{encode_basestring_ascii(call.server)},'
                f'"tool":{encode_basestring_ascii(policy_name(call)[:MOST_TEXT])}')
        self._known[call.kind, call.server, call.target] = text
        return text

    def _arguments(self, call: Call) -> tuple[int, str]:
        """How large the arguments of a call are, and how they begin."""
        text = call.text
        if text is None:                        # it was not sent
            for value, written in call.context.kept:
                if value is call.arguments:
                    return len(written), written[: self._argument_chars]
            return self._shown(call.arguments)
        return (len(text), text[: self._argument_chars]) if call.arguments else (2, "")

    def _shown(self, arguments: dict[str, Any]) -> tuple[int, str]:
        if not arguments:
            return 2, ""
        more = 0
        for key, value in arguments.items():
            if type(value) is str and len(value) > LONG:
                # A file's content, as a rule: its length is told as it stands here, without its escapes.
                more += len(value) - LONG
                arguments = {**arguments, key: value[:LONG]}
        try:
            text = encode(arguments).decode()
        except (ValueError, RecursionError):    # what JSON cannot say is never sent; that it was refused is told
            return 0, ""
        return len(text) + more, text[: self._argument_chars]

    def _outcome(self, outcome: Outcome | None) -> tuple[str, str]:
        """The word for an outcome, and the members that say more."""
        if isinstance(outcome, Complete):
            shown = self._member("result", _beginning(outcome.body, self._result_chars))
            return ERROR if outcome.is_error else OK, f',"result_bytes":{_size(outcome.body)}{shown}'
        if isinstance(outcome, Refused):
            return REFUSED, (f',"stage":{encode_basestring_ascii(outcome.stage)}{self._member("rule", outcome.rule)}'
                             f'{self._member("why", outcome.text)}')
        if isinstance(outcome, Failed):
            reason = outcome.reason or ("server error" if outcome.code is not None else outcome.kind)
            code = "" if outcome.code is None else f',"code":{outcome.code}'
            return FAILED, f'{self._member("reason", reason)}{code}{self._member("why", outcome.text)}'
        if isinstance(outcome, InputRequired):
            return ASKED, self._member("stage", outcome.stage)
        return CANCELLED, ""

    def _member(self, key: str, text: str | None) -> str:
        return f',"{key}":{encode_basestring_ascii(self._cleaned(text[:MOST_TEXT]))}' if text else ""

    def _cleaned(self, text: str) -> str:
        unseen = self._unseen                   # one read: a thread may write our own rows
        if unseen is not None:
            unseen.append(text)
            return text
        return self._mask(text) if self._suspect(text) else text

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._cleaned(value[:MOST_TEXT])
        return [self._masked(each) for each in value] if isinstance(value, (list, tuple)) else value


def _size(body: bytes | list[bytes]) -> int:
    return len(body) if isinstance(body, bytes) else sum([len(chunk) for chunk in body])


def _beginning(body: bytes | list[bytes], limit: int) -> str:
    """The first characters of a text in UTF-8, which may be more bytes."""
    most = 4 * limit
    if isinstance(body, bytes):
        head = body[:most]
    else:
        head = b""
        for chunk in body:
            head += chunk[: most - len(head)]
            if len(head) >= most:
                break
    return head.decode("utf-8", "replace")[:limit]


def _trace(meta: Any) -> str:
    """The member for the trace that the host's request belongs to, if it says so.

    `traceparent` is `00-<32 hexadecimal digits>-<16>-<2>` (W3C Trace Context, section 3.2).
    """
    parent = meta.get("traceparent") if isinstance(meta, dict) else None
    if type(parent) is str and len(parent) == 55 and parent.isascii():
        trace = parent[3:35]
        if parent[2] == parent[35] == "-" and trace.isalnum():
            return f',"trace":"{trace}"'
    return ""


def suspicion(fields: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text may hold one of `fields` in any spelling that `log.redactor` knows: a fraction of its price.

    What that looks for cannot be in an ASCII text that holds none of them once case, `-` and `_` are left out.
    """
    words = {field.lower().replace("_", "").replace("-", "") for field in fields if field}
    if "" in words or not all(word.isascii() for word in words):
        return lambda text: True
    roots = tuple(word for word in words if not any(other != word and other in word for other in words))

    def suspect(text: str) -> bool:
        if not text.isascii():
            return True
        plain = text.lower().replace("_", "").replace("-", "")
        for root in roots:  # noqa: SIM110 (half the price of `any`)
            if root in plain:
                return True
        return False

    return suspect
