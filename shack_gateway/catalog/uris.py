"""The URIs of resources: our own scheme, templates, and links seen in results.  Pure.

Rule 1: `shack://<server>/<percent-encoded URI>` names one server's resource whoever else has the same URI.
Rule 2: matching a template takes time linear in the URI, whatever the template says: templates come from servers,
        URIs from the model.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..lazy import Pattern

SCHEME = "shack://"
MOST_SEEN = 4096
LONGEST_SEEN = 2048

_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_QUOTED = [chr(byte) if chr(byte) in _UNRESERVED else f"%{byte:02X}" for byte in range(256)]
_ESCAPED = Pattern(rb"%([0-9A-Fa-f]{2})")
_USER = r"(?:[^\s/?#@\\]*@(?=[^/?#:]))?"
_PORT = r"(?::(?:[0-9]{0,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}))?"
_HOST = r"(?:\[(?=[^:\]]*:)[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]<>\\^|]+)"
_WEB_HOST = r"(?:[^\s/?#@:\[\]<>\\^|%]+)"
_USABLE = Pattern(
    rf"(?:(?:https?|wss?|ftp)://{_USER}{_WEB_HOST}{_PORT}(?=[/?#]|$)"
    r"|file://[A-Za-z0-9._-]*(?=[/?#]|$)"
    rf"|(?!(?:https?|wss?|ftp|file):)[A-Za-z][A-Za-z0-9+.-]*:(?:(?!//)|//(?:{_USER}{_HOST}{_PORT})?(?=[/?#]|$)))"
    r"[^\x00-\x1f\x7f]*"
)
_USABLE_TEMPLATE = Pattern(r"(?:[A-Za-z][A-Za-z0-9+.-]*:|\{)[^\x00-\x1f\x7f]+")


def wrap(server: str, uri: str) -> str:
    """`shack://<server>/<percent-encoded uri>`."""
    return f"{SCHEME}{quote(server)}/{quote(uri)}"


def wrap_template(server: str, template: str) -> str:
    """The same for a template, whose braces must stay. It is put in as it is: every URI has a `:`, and no
    percent-encoded one has, so `unwrap` can tell what the host expanded from what we encoded."""
    if ":" in template:
        return f"{SCHEME}{quote(server)}/{template}"
    parts = _EXPRESSION.split(template)
    kept = [f"{{{part}}}" if at % 2 else quote(part) for at, part in enumerate(parts)]
    return f"{SCHEME}{quote(server)}/{''.join(kept)}"


def unwrap(uri: str) -> tuple[str, str] | None:
    """Server and its own URI of one in our scheme; `None` for every other URI."""
    if not uri.startswith(SCHEME):
        return None
    server, _, rest = uri[len(SCHEME) :].partition("/")
    if not server or not rest:
        return None
    return _unquote(server), rest if ":" in rest else _unquote(rest)


def is_usable(uri: str) -> bool:
    """True when hosts that check URIs take this one, and it does not pretend to be one of ours.

    The python SDK's client checks every listed URI by the rules of browsers, and refuses the whole list for one. The
    rules here are stricter: a URI that is not sure to pass is shown in our scheme, where it always works.
    """
    return _USABLE.fullmatch(uri) is not None and not uri.startswith(SCHEME)


def is_usable_template(template: str) -> bool:
    """The same for a template: nobody checks those, but what they expand to must be a URI."""
    return _USABLE_TEMPLATE.fullmatch(template) is not None and not template.startswith(SCHEME)


def quote(text: str) -> str:
    """The text with everything but letters, digits and `-._~` as `%` escapes of its UTF-8."""
    return "".join(map(_QUOTED.__getitem__, text.encode("utf-8", "surrogatepass")))


def _unquote(text: str) -> str:
    raw = _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), text.encode("utf-8", "surrogatepass"))
    return raw.decode("utf-8", "replace")


class Seen:
    """Which servers mentioned a URI in their results. Outlives the catalogs; keeps the last `MOST_SEEN` URIs."""

    __slots__ = ("_servers",)

    def __init__(self) -> None:
        self._servers: dict[str, tuple[str, ...]] = {}

    def note(self, server: str, uri: str) -> None:
        """`server` mentioned `uri` (a `resource_link` or an embedded resource)."""
        if len(uri) > LONGEST_SEEN:
            return
        others = self._servers.pop(uri, ())
        self._servers[uri] = (server, *(other for other in others if other != server))
        if len(self._servers) > MOST_SEEN:
            del self._servers[next(iter(self._servers))]

    def servers(self, uri: str) -> tuple[str, ...]:
        """Who mentioned it, the last one first: a host that reads a link most likely just got it."""
        return self._servers.get(uri, ())


# --- templates (RFC 6570) --------------------------------------------------------------------------------------------

LONGEST_MATCHED = 2048
MOST_VARIABLES = 32
_EXPRESSION = Pattern(r"\{([^{}]*)\}")
_OPERATORS = {
    # what an expansion begins with, and what it cannot contain
    "": ("", "/?#"), "+": ("", ""), "#": ("#", ""), ".": (".", "/?#"),
    "/": ("/", "?#"), ";": (";", "/?#"), "?": ("?", "#"), "&": ("&", "#"),
}


class Places:
    """Where each character of one URI stands, as bits of an integer; made once, matched with many templates."""

    __slots__ = ("full", "of", "uri")

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.full = (1 << len(uri)) - 1
        self.of: dict[str, int] = {}
        for at, character in enumerate(uri):
            self.of[character] = self.of.get(character, 0) | 1 << at


class Template:
    """A URI template: literal pieces, and between them variables as `(beginning, characters it cannot contain)`."""

    __slots__ = ("_beginning", "_pieces", "literal")

    def __init__(self, template: str) -> None:
        parts = _EXPRESSION.split(template)
        self._beginning = parts[0]
        self._pieces: list[str | tuple[str, str]] = [
            _variable(part) if at % 2 else part for at, part in enumerate(parts) if part or at % 2]
        self.literal = sum(map(len, parts[::2]))
        """How many characters are fixed: the more, the better a match."""

    def matches(self, places: Places) -> bool:
        """True when the URI can be an expansion of this template.

        `at` holds every position that is reached so far, one bit each. A literal moves them on by one character at a
        time; a variable floods the run of allowed characters behind each (the carry of an addition does it).
        """
        uri = places.uri
        if not uri.startswith(self._beginning) or len(uri) > LONGEST_MATCHED or len(self._pieces) > 2 * MOST_VARIABLES:
            return False
        at = 1
        for piece in self._pieces:
            if isinstance(piece, str):
                for character in piece:
                    at = (at & places.of.get(character, 0)) << 1
                continue
            beginning, barred = piece
            allowed = places.full
            for character in barred:
                allowed &= ~places.of.get(character, 0)
            begun = (at & places.of.get(beginning, 0)) << 1 if beginning else at
            at |= begun | (((begun & allowed) + allowed) ^ allowed)
        return bool(at >> len(uri) & 1)


def expand(template: str, values: Mapping[str, Any]) -> str:
    """What a template stands for with these values, put in as they are; what has none, or no text, is left out."""
    return _EXPRESSION.sub(lambda found: _filled(found[1], values), template)


def _filled(expression: str, values: Mapping[str, Any]) -> str:
    operator = expression[:1] if expression[:1] in _OPERATORS else ""
    names = [name.partition(":")[0].strip("* ") for name in expression[len(operator) :].split(",")]
    given = [(name, values[name]) for name in names if isinstance(values.get(name), str)]
    between = operator if operator in ("/", ".", ";", "&") else "&" if operator == "?" else ","
    texts = [f"{name}={value}" if operator in (";", "?", "&") else value for name, value in given]
    return (_OPERATORS[operator][0] if given else "") + between.join(texts)


def _variable(expression: str) -> tuple[str, str]:
    operator = expression[:1] if expression[:1] in _OPERATORS else ""
    beginning, barred = _OPERATORS[operator]
    # `{path*}` is a list in the RFC; widely used servers take it for "the rest, slashes included".
    return beginning, barred.replace("/", "") if "*" in expression else barred
