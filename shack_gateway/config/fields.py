"""Reading JSON values of the configuration, each knowing its place in the file.  Pure.

Rule 1: a reader never raises; what is wrong goes into `Findings`, so that the owner sees everything at once.
Rule 2: nothing that is read is shown, except words that cannot be secrets (keys, and words of a fixed choice).
Rule 3: `null` says the same as leaving the key out.

A finding's text goes on from the name of its value: `error("must be a string")` reads
"`servers.github.command` must be a string".
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any

from ..edits import edits
from ..errors import clip
from ..lazy import Module
from ..record import NamedTuple

_STRAYS = Module(f"{__package__}.strays")

Path = tuple[str | int, ...]
"""Keys and indices from the top of the file to a value."""

ERROR, WARNING, DOWN = "error", "warning", "down"
"""How bad a finding is. `DOWN` keeps one server from starting; the gateway serves the others."""

MOST_NUMBER = 10**12


class Finding(NamedTuple):
    """One thing to say about the value at `path`; `line` stands only where the path does not tell it."""

    severity: str
    path: Path
    what: str
    fix: str = ""
    line: int = 0


class Findings:
    """What was found so far, in the order of finding."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: list[Finding] = []

    def add(self, severity: str, path: Path, what: str, fix: str = "", line: int = 0) -> None:
        """Note one finding."""
        self.found.append(Finding(severity, path, what, fix, line))

    @property
    def errors(self) -> int:
        """How many findings make the configuration unusable."""
        return sum(finding.severity == ERROR for finding in self.found)

    def under(self, path: Path, severity: str) -> list[Finding]:
        """The findings of this severity about the value at `path` and everything in it."""
        return [f for f in self.found if f.severity == severity and f.path[: len(path)] == path]


class Value:
    """One JSON value and where it stands."""

    __slots__ = ("data", "findings", "path")

    def __init__(self, data: Any, path: Path = (), findings: Findings | None = None) -> None:
        self.data, self.path = data, path
        self.findings = Findings() if findings is None else findings

    @property
    def name(self) -> str:
        """The value as a text names it: `servers.github.args[0]`."""
        return show(self.path)

    def error(self, what: str, fix: str = "") -> None:
        """The configuration cannot be used as it stands; `what` goes on from the value's name."""
        self.findings.add(ERROR, self.path, f"`{self.name}` {what}", fix)

    def warn(self, what: str, fix: str = "") -> None:
        """The owner should know, but the gateway runs."""
        self.findings.add(WARNING, self.path, f"`{self.name}` {what}", fix)

    def down(self, what: str, fix: str = "") -> None:
        """The server that this value belongs to cannot be started."""
        self.findings.add(DOWN, self.path, f"`{self.name}` {what}", fix)

    def must_be(self, shape: str, example: str = "") -> None:
        """The value is of a wrong type."""
        self.error(f"must be {shape}, not {kind(self.data)}", f"Write {example}." if example else "")

    def member(self, key: str) -> Value:
        """The value of `key`; of a key that is not there, a value that is `null`."""
        data = self.data.get(key) if isinstance(self.data, dict) else None
        return Value(data, (*self.path, key), self.findings)

    def items(self) -> list[tuple[str, Value]]:
        """The members of an object, comments included; of anything else, none."""
        return [(key, self.member(key)) for key in self.data] if isinstance(self.data, dict) else []

    def elements(self) -> list[Value]:
        """The elements of a list; of anything else, none."""
        data = self.data if isinstance(self.data, list) else []
        return [Value(element, (*self.path, at), self.findings) for at, element in enumerate(data)]


Reader = Callable[[Value], Any]


class Field(NamedTuple):
    """One key: how it is read, what holds when it is not there, and what the documentation says of it.

    `default` is handed out as it is, so it must be a value that nobody changes; `REQUIRED` says there is none.
    """

    key: str
    read: Reader
    default: Any
    doc: str
    shape: str


class _Required:
    def __repr__(self) -> str:
        return "required"


REQUIRED: Any = _Required()


# Readers


def text(value: Value) -> str:
    """A string that a program or the file system can take."""
    data = value.data
    if not isinstance(data, str):
        value.must_be("a string", "it in quotes" if isinstance(data, (int, float)) else "")
        return ""
    if not usable(data):
        value.error("holds a character that no program can be given (NUL, or half of a surrogate pair)", "Remove it.")
        return ""
    return data


def flag(value: Value) -> bool:
    """`true` or `false`."""
    if not isinstance(value.data, bool):
        value.must_be("`true` or `false`", "it without quotes" if value.data in ("true", "false") else "")
        return False
    return value.data


def number(least: float = 0, most: float = MOST_NUMBER, *, whole: bool = False) -> Reader:
    """A number from `least` to `most`; `whole` wants an integer."""
    allowed = f"Write a number from {least} to {most}."

    def read(value: Value) -> float:
        data = value.data
        if isinstance(data, bool) or not isinstance(data, (int, float)):
            value.must_be("a number", "it without quotes" if _is_number_text(data) else "")
        elif isinstance(data, float) and not isfinite(data):
            value.error("is not a usable number", allowed)
        elif not least <= data <= most:
            value.error("is out of range", allowed)
        elif whole and data != int(data):
            value.error("must be a whole number")
        else:
            return int(data) if whole else data
        return least

    return read


def strings(value: Value) -> tuple[str, ...]:
    """A list of strings. A single string is refused: `"a b"` for `["a", "b"]` is a mistake worth showing."""
    if not isinstance(value.data, list):
        value.must_be("a list of strings", "`[\"...\"]`, also for a single one" if isinstance(value.data, str) else "")
        return ()
    return tuple([text(element) for element in value.elements()])


def mapping(read: Reader) -> Reader:
    """An object with keys of the owner's choice, whose values `read` reads."""

    def read_all(value: Value) -> dict[str, Any]:
        if not isinstance(value.data, dict):
            value.must_be("an object", '`{"name": ...}`')
        return {key: read(member) for key, member in value.items() if not key.startswith("//")}

    return read_all


def choice(*words: str) -> Reader:
    """One of a few words, spelt exactly."""

    def read(value: Value) -> str:
        data = value.data
        if not isinstance(data, str):
            value.must_be("one of " + _listed(words))
        elif data not in words:
            value.error(f"is `{clip(data, 40)}`, which is none of {_listed(words)}", did_you_mean(data, words))
        else:
            return data
        return words[0]

    return read


class Section:
    """The reader of an object with known keys; `fields` is public so that the documentation can list them.

    Whoever has something to say about the keys together makes a subclass.
    """

    of_names = False
    """True for an object with keys of the owner's choice, each with an object that has these fields."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self.fields = tuple(fields)

    def __call__(self, value: Value) -> dict[str, Any]:
        return read_object(value, self.fields)


def section(*fields: Field) -> Section:
    """An object with these keys."""
    return Section(fields)


def anything(value: Value) -> Any:
    """Any JSON value, as it is."""
    return value.data


def defaults(fields: Iterable[Field]) -> dict[str, Any]:
    """What an empty object reads as; a required key reads as `None`."""
    return {field.key: None if field.default is REQUIRED else field.default for field in fields}


def read_object(value: Value, fields: Iterable[Field], also: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The object's values by key, defaults filled in; every key is judged.

    `also` names further keys: with the text of a warning, or with none when somebody else reads them.
    """
    fields, also = tuple(fields), also or {}
    result = defaults(fields)
    if not isinstance(value.data, dict):
        value.must_be("an object", "`{ ... }`")
        return result
    for field in fields:
        member = value.member(field.key)
        if member.data is not None:
            before = value.findings.errors
            read = field.read(member)
            if value.findings.errors == before:
                result[field.key] = read
        elif field.default is REQUIRED:
            what, fix = f"`{member.name}` is missing", f'Add `"{field.key}": ...`. {field.doc}'
            value.findings.add(ERROR, value.path, what, fix)
    known = [field.key for field in fields]
    for key, member in value.items():
        if key not in known and not is_comment(key):
            _judge_unknown(member, key, known, also)
    return result


def _judge_unknown(member: Value, key: str, known: list[str], also: Mapping[str, str]) -> None:
    if key in also:
        if also[key]:
            member.warn("has no effect here", also[key])
        return
    stray = _STRAYS.stray(member.path, member.data) if member.data is not None else None
    if stray is not None:
        # With nothing in it, nothing is lost.
        (member.warn if member.data in ([], {}, "", False) else member.error)(stray.what, stray.fix)
        return
    near = nearest(key, [*known, *(word for word, hint in also.items() if not hint)])
    if near:
        # A misspelt rule must not silently do nothing.
        member.error("is not a key that shack-gateway knows", f"Did you mean `{near}`?")
    else:
        member.warn("is not a key that shack-gateway knows; it has no effect",
                    "Remove it, or begin it with `_` to keep it as a remark.")


def is_comment(key: str) -> bool:
    """True for keys that are remarks to the reader of the file."""
    return key == "$schema" or key.startswith(("_", "//"))


# Words


def kind(data: Any) -> str:
    """What a JSON value is, in words."""
    if data is None:
        return "null"
    if isinstance(data, bool):
        return "true" if data else "false"
    if isinstance(data, str):
        return "a string"
    return "an object" if isinstance(data, dict) else "a list" if isinstance(data, list) else "a number"


def show(path: Path) -> str:
    """`servers.github.args[0]`; keys that are not plain words stand in quotes."""
    shown = ""
    for step in path:
        if isinstance(step, int):
            shown += f"[{step}]"
        elif step and step.isprintable() and not set(step) & set(' ."[]`'):
            shown += ("." if shown else "") + clip(step, 80)
        else:
            shown += '["' + clip(step.replace("`", "'").replace("\n", "\\n").replace("\t", "\\t"), 80) + '"]'
    return shown


def usable(data: str) -> bool:
    """False for a text with a NUL or a lone surrogate, which neither programs nor files can be given."""
    if data.isascii():
        return "\0" not in data
    return "\0" not in data and not any("\ud800" <= sign <= "\udfff" for sign in data)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question with the nearest word, or nothing."""
    near = nearest(word, known)
    return f"Did you mean `{near}`?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that `word` is a misspelling of (one or two edits, less than half of it), or `""`."""
    best, best_edits = "", 3
    for candidate in known:
        count = min(edits(word, candidate), edits(_fold(word), _fold(candidate)))
        if count < best_edits and 2 * count < max(len(word), len(candidate)):
            best, best_edits = candidate, count
    return best


def _fold(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _is_number_text(data: Any) -> bool:
    return isinstance(data, str) and len(data) < 20 and data.strip().replace(".", "", 1).isdigit()
