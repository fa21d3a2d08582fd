"""What is in the arguments of a call: every text in the whole tree, and what its key says of it.  Pure.

Rule 1: nothing is skipped: keys are texts too, lists and objects are walked at any depth down to `DEPTH`.
Rule 2: a key says the same in every spelling: `file_path`, `filePath`, `FILE-PATH` and `filepath2` are one key.
Rule 3: the walk keeps its own stack, because how deep arguments go is the caller's choice.
"""
from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from functools import lru_cache
from typing import Any

from ..catalog.names import joined
from ..catalog.shaping import READ
from .call import RESOURCE, Call

DEPTH = 200
"""Levels of objects and lists in each other; arguments that go deeper are refused."""

VALUE, KEY, LIST = "value", "key", "list"
_WALKED = frozenset((str, list, dict))
"""Types in which texts are; of other values there may be millions."""

PATH, SUBJECT = 1, 2
"""What a key says of the texts below it: they name files; permission rules look at them."""

_PATH_ENDS = (
    "file", "files", "filename", "filenames", "dir", "dirs", "dirname", "directory", "directories", "folder", "folders",
    "cwd", "root", "roots",
)
_PATH_KEYS = frozenset({
    "source", "sources", "src", "destination", "destinations", "dest", "dst", "target", "targets", "from", "to",
})
SUBJECTS = (
    "command", "path", "file_path", "filePath", "notebook_path", "notebookPath", "url", "pattern", "query", "code",
    "message",
)
"""The arguments that an allow rule looks at: the first of them that is a string."""
_SUBJECT_KEYS = frozenset({
    "command", "url", "pattern", "query", "code", "message", "cmd", "commandline", "script", "shell", "uri", "href",
})
_PROGRAM_KEYS = frozenset({"command", "cmd", "program", "executable"})
_LIST_KEYS = frozenset({"arg", "argv", "argument", "parameter", "param", "option", "flag"})
_SUBJECT_KEYS |= {f"{key}s" for key in _SUBJECT_KEYS}
_NOT_WORD = re.compile(r"[\W_]+")
SHORT_KEY = 64
"""Longer keys are judged anew each time: what is remembered must stay small."""

Trail = tuple[Any, "str | int"]
"""The way to a value, from its end: (trail of the parent or `None`, key or index)."""


Leaf = tuple[str, str, int, int, Trail]
"""One text: what it is (a `VALUE`, an object's `KEY`, or the texts of a `LIST` joined by spaces), the text itself, what
the nearest key above says of it (lists hand it down), what all keys above say together, and where it stands."""


def leaves(arguments: dict[str, Any]) -> Iterator[Leaf]:
    """Every text of the arguments; raises `RecursionError` where they go deeper than `DEPTH`."""
    stack: list[tuple[Any, int, int, Any, int]] = [(arguments, 0, 0, None, 1)]
    while stack:
        node, own, above, trail, depth = stack.pop()
        if isinstance(node, str):
            yield VALUE, node, own, above, trail
        elif isinstance(node, list):
            _check(depth)
            if len(node) > 1 and all(isinstance(element, str) for element in node):
                yield LIST, " ".join(node), own, above, trail
            stack += [(element, own, above, (trail, at), depth + 1) for at, element in enumerate(node)
                      if type(element) in _WALKED]
        elif isinstance(node, dict):
            _check(depth)
            for key, value in node.items():
                below = (trail, key)
                yield KEY, key, own, above, below
                if type(value) in _WALKED:
                    says = key_says(key)
                    stack.append((value, says, above | says, below, depth + 1))


def _check(depth: int) -> None:
    if depth > DEPTH:
        raise RecursionError(f"the arguments are nested more than {DEPTH} levels deep")


def key_says(key: str) -> int:
    """`PATH`, `SUBJECT`, both or 0."""
    return _key_says(key) if len(key) <= SHORT_KEY else _key_says.__wrapped__(key)


def key_word(key: str) -> str:
    """What is left of a key without case, signs, a number at its end and a plural: `COMMANDS_2` is `command`."""
    return _key_word(key) if len(key) <= SHORT_KEY else _key_word.__wrapped__(key)


@lru_cache(maxsize=4096)
def _key_word(key: str) -> str:
    word = _NOT_WORD.sub("", key.lower()).rstrip("0123456789")
    return f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s")


@lru_cache(maxsize=4096)
def _key_says(key: str) -> int:
    word = _NOT_WORD.sub("", key.lower()).rstrip("0123456789")
    one = _key_word(key)
    if "path" in word or word.endswith(_PATH_ENDS) or one.endswith(_PATH_ENDS) or {word, one} & _PATH_KEYS:
        return PATH | SUBJECT
    return SUBJECT if one in _SUBJECT_KEYS else 0


def subject_key(known: Container[str], arguments: Mapping[str, Any] | None = None) -> str | None:
    """The first of `SUBJECTS` that a tool knows, and that is a string in the arguments where these are given.

    Where nothing is known of the tool (`known` is empty), every key may be one of its own.
    """
    for key in SUBJECTS:
        if (not known or key in known) and (arguments is None or isinstance(arguments.get(key), str)):
            return key
    return None


def invocations(arguments: dict[str, Any]) -> Iterator[str]:
    """Programs with the list of their arguments beside them, as one text: `{"command": "rm", "args": ["-rf"]}`."""
    stack: list[Any] = [arguments]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack += [each for each in node if isinstance(each, (dict, list))]
        else:
            programs, lists = [], []
            for key, value in node.items():
                if isinstance(value, (dict, list)):
                    stack.append(value)
                elif not isinstance(value, str):
                    continue
                word = key_word(key)
                if isinstance(value, str) and word in _PROGRAM_KEYS:
                    programs.append(value)
                elif word in _LIST_KEYS and isinstance(value, (str, list)):
                    texts = [value] if isinstance(value, str) else [each for each in value if isinstance(each, str)]
                    lists.append(" ".join(texts))
            for program in programs:
                yield from [f"{program} {each}" for each in lists]


def policy_name(call: Call) -> str:
    """The name under which rules, hooks and exemptions know a call, however the host spelt it.

    `server__tool` and `server__prompt`; reading any resource of a server is `server__resources/read`, a name that no
    tool is listed under, and that `server__*` covers.
    """
    return joined(call.server, READ if call.kind == RESOURCE else call.target)


def place(trail: Trail | None) -> str:
    """A trail as people write it: `edits[0].file_path`."""
    shown = ""
    while trail is not None:
        trail, step = trail
        shown = (f"[{step}]" if isinstance(step, int) else f".{step}") + shown
    return shown.removeprefix(".")
