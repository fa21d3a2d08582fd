"""How rules that allow are read: at one subject, as it is written, and at whatever else is of its kind.  Pure.

Rule 1: the subject is the first of `arguments.SUBJECTS` that the tool knows and that is a string; without any, the JSON
        text of all arguments. The subject of reading a resource is its URI.
Rule 2: a rule ends where a word ends. A command is taken apart, and each part needs a rule; a path needs one as it is
        written and one for where it leads; an address is matched only where all readers read it alike.
Rule 3: every other text under a key of the same kind needs a rule too, so that nothing rides along.
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..lazy import Pattern
from .arguments import KEY, LIST, PATH, VALUE, Trail, key_says, key_word, leaves, subject_key
from .broad import is_parameter, of_parameters, parameters
from .call import RESOURCE, Call
from .commands import assigned, behind, parts
from .domains import Domains, plain_host
from .effort import LEAF, NAME, Effort, following
from .globs import Expressions, Table, star
from .grammar import ANY, DOMAIN, EXACT, PATTERN, PREFIX, Rule
from .paths import SURELY, climbs, looks, readings
from .places import Places
from .spellings import Spellings

TEXT, COMMAND, PLACE, ADDRESS = "text", "command", "place", "address"
"""What a subject is."""

_COMMANDS = frozenset({"command", "cmd", "commandline", "script"})
"""Keys of commands: whatever stands under one of them beside the subject needs a rule as well."""
LONGEST_ADDRESS = 8192
"""A longer address is matched by a rule of the very text only."""
_NO_ADDRESS = Pattern(
    r"[\x00-\x20\x7f\\]|%2e|%5c|%2f|%25|%00|\.\.;|\A[^:/?#]*:/*[^/?#\x80-\U0010ffff]*[\x80-\U0010ffff]", re.IGNORECASE)
"""What readers of addresses take in different ways: then only a rule of the very text counts."""
_IN_HOST = r"[^/?#@\\]"
_FILE_URI = Pattern(r"file:", re.IGNORECASE)


class Narrow:
    """The allowing rules about one tool."""

    __slots__ = (
        "_address_starts", "_addresses", "_assigning", "_domains", "_exact", "_known", "_params", "_places",
        "_prefixes", "_spellings", "_texts", "any", "some")

    def __init__(self, rules: Iterable[Rule], spellings: Spellings, known: frozenset[str] = frozenset()) -> None:
        """`known` are the arguments that the tool's schema names."""
        rules = tuple(rules)
        self.any = next((rule for rule in rules if rule.match == ANY), None)
        self.some = bool(rules)
        self._spellings, self._known = spellings, known
        self._params = parameters([rule for rule in rules if is_parameter(rule, known)])
        texts = [rule for rule in rules if rule.match != ANY and not is_parameter(rule, known)]
        self._texts = Table([(rule, (rule.text,)) for rule in texts if rule.match != DOMAIN], loose=_end_of_text)
        self._assigning = _by_assignments(texts)
        exact = [rule for rule in texts if rule.match == EXACT]
        self._exact = {rule.text: rule for rule in reversed(exact)}
        prefixes = [(rule, _forms(rule, spellings)) for rule in texts if rule.match in (PREFIX, EXACT)]
        self._prefixes = Table(prefixes, loose=_end_of_place, word=_end_of_place)
        self._address_starts = Table(prefixes, loose=_end_of_address, word=_end_of_address)
        patterns = [rule for rule in texts if rule.match == PATTERN]
        self._places = Places(patterns, spellings, below=False)
        self._addresses = Expressions([(_expression(rule), rule) for rule in patterns])
        self._domains = Domains([(rule.text, rule) for rule in texts if rule.match == DOMAIN])

    def match(self, call: Call, effort: Effort | None = None) -> Rule | None:
        """The rule that lets the call through; raises `RecursionError` or `TooMuch` where it cannot tell.

        `effort` is what is left where others have looked at the call before.
        """
        if self.any is not None or not self.some:
            return self.any
        if call.kind == RESOURCE:
            return self._of(call.target, ADDRESS, call.server)
        arguments, effort = call.arguments, effort or Effort()
        if self._params:
            rule = of_parameters(self._params, arguments, wide=False, effort=effort)
            if rule is not None:
                return rule
        key = subject_key(self._known, arguments)
        if key is None:
            text = json.dumps(arguments)
            effort.spend(self._texts.weight * len(text))
            return self._of(text, TEXT, call.server)
        subject, kind = arguments[key], _kind(key)
        effort.spend(self._texts.weight * len(subject))
        rule = self._of(subject, kind, call.server)
        if rule is not None and len(arguments) > 1:
            for text in _others(arguments, key, kind, effort):
                effort.spend(5 + (2 * following(text) if kind == PLACE else 0.05 * len(text)))
                if self._of(text, kind, call.server) is None:
                    return None
        return rule

    def _of(self, text: str, kind: str, server: str) -> Rule | None:
        """The rule that one text is matched by."""
        if kind == TEXT:
            return self._texts.of(text)
        if kind == PLACE or (kind == ADDRESS and looks(text) == SURELY):
            return self._of_place(text, server)
        rule = self._exact.get(text)
        if rule is not None:
            return rule
        return self._of_command(text) if kind == COMMAND else self._of_address(text)

    def _of_command(self, text: str) -> Rule | None:
        """The rule about the first command of a line, where all of them have one."""
        commands = parts(text, windows=self._spellings.workspace.windows)
        first: Rule | None = None
        for command in commands or ():
            rule = self._of_part(behind(command))
            if rule is None:
                return None
            first = first or rule
        return first

    def _of_part(self, forms: list[str]) -> Rule | None:
        """The rule about one command (`commands.behind`). No pattern is about assignments before it: they must stand in
        the rule."""
        assignments, bare = assigned(forms[-1])
        if not assignments:
            return next((found for form in forms if (found := self._texts.of(form))), None)
        table = self._assigning.get(assignments)
        return table.of(bare) if table is not None else None

    def _of_address(self, text: str) -> Rule | None:
        if len(text) > LONGEST_ADDRESS or _NO_ADDRESS.search(text) or climbs(text):
            return None
        host = plain_host(text)
        rule: Rule | None = self._domains.of(host) if host else None
        return rule or self._address_starts.of(text) or self._addresses.of(text)

    def _of_place(self, text: str, server: str) -> Rule | None:
        """The rule that a path is matched by as it is written, where one also matches wherever it may lead."""
        spellings = self._spellings
        folder = spellings.workspace.folders(server)[-1]
        found = readings(text, windows=spellings.workspace.windows)
        is_uri = _FILE_URI.match(text) is not None
        if is_uri:                              # nobody has a folder `file:`
            found = tuple([reading for reading in found if not _FILE_URI.match(reading.strip())])
        full = [spellings.workspace.whole(folder, spellings.from_home(reading)) for reading in found]
        tidy = [spellings.workspace.normal(each) for each in full]
        led = [spellings.resolved(each) for each in full]
        exact = self._exact.get(text)
        if exact is not None and led == tidy:
            return exact
        rule = exact or self._prefixes.of(text)
        if rule is None:
            if is_uri:
                rule = self._addresses.of(text)
            elif len(full) == 1:
                rule = self._places.of(spellings.rooted(tidy[0]))
        return rule if rule is not None and led and all(self._leads(each, text) for each in led) else None

    def _leads(self, place: str, text: str) -> bool:
        """Whether a rule matches where a path leads; the end of `folder/` is kept."""
        inner = self._spellings.workspace.inner(place)
        forms = [place, *(() if inner is None else (inner, f"./{inner}"))]
        if "://" in text:
            forms += [f"file://{place}"]
        if text.endswith("/"):
            forms += [f"{form}/" for form in forms]
        return self._places.of(place) is not None or any(
            self._prefixes.of(form) is not None or ("://" in form and self._addresses.of(form) is not None)
            for form in forms)


def _kind(key: str) -> str:
    if key_says(key) & PATH:
        return PLACE
    return COMMAND if key == "command" else ADDRESS if key == "url" else TEXT


def _others(arguments: dict[str, Any], key: str, kind: str, effort: Effort) -> Iterator[str]:
    """Every other text of the arguments under a key of the same kind as the subject's, at any depth."""
    words = _COMMANDS if kind == COMMAND else frozenset((key_word(key),))
    if not any(isinstance(value, (list, dict)) for value in arguments.values()):
        effort.spend(NAME * len(arguments))
        for other, value in arguments.items():
            if isinstance(value, str) and other != key and (
                    key_says(other) & PATH if kind == PLACE else key_word(other) in words):
                yield value
        return
    for what, text, own, above, trail in leaves(arguments):
        effort.spend(LEAF)
        if what == LIST or trail == (None, key):
            continue
        if kind == PLACE:
            if own & PATH if what == KEY else above & PATH:
                yield text
        elif what == VALUE and _is_below(trail, words):
            yield text


def _is_below(trail: Trail | None, words: frozenset[str]) -> bool:
    while trail is not None:
        trail, step = trail
        if isinstance(step, str) and key_word(step) in words:
            return True
    return False


def _by_assignments(rules: Iterable[Rule]) -> dict[str, Table]:
    """The rules that are about commands behind assignments, by these, each with what it says of the command itself."""
    found: dict[str, list[tuple[Rule, Iterable[str]]]] = {}
    for rule in rules:
        if "=" not in rule.text or rule.match == DOMAIN:
            continue
        head, star, tail = rule.text.partition("*")
        assignments, bare = assigned(behind(head)[-1])
        if rule.match == PREFIX and not bare:
            bare, rule = "*", rule._replace(match=PATTERN, ends="")         # `A=1 *`: any command
        elif star and not bare and not head.endswith((" ", "\t")):
            continue                            # `A=*`: nobody knows where the assignment ends
        if assignments:
            found.setdefault(assignments, []).append((rule, (bare + star + tail,)))
    return {assignments: Table(entries, loose=_end_of_text) for assignments, entries in found.items()}


def _forms(rule: Rule, spellings: Spellings) -> set[str]:
    """The text of a rule; of an absolute path beyond another name of the root, also with the root itself."""
    text = spellings.from_home(rule.text)
    rooted = spellings.rooted(text) if text.startswith("/") else text
    return {rule.text, text, rooted}


def _end_of_text(text: str, at: int) -> bool:
    """A prefix of a text or a command ends with a word."""
    return at >= len(text) or text[at].isspace() or _ends_open(text, at)


def _end_of_place(text: str, at: int) -> bool:
    """A prefix of a path ends with a segment: `my:*` is not about `my notes`."""
    return at >= len(text) or text[at] in "/\\" or _ends_open(text, at)


def _end_of_address(text: str, at: int) -> bool:
    """A prefix of an address ends with a part of it."""
    return at >= len(text) or text[at] in "/?#" or _ends_open(text, at)


def _ends_open(text: str, at: int) -> bool:
    """True for a prefix that ends in a sign of its own: `notes/`, `git log `."""
    return not (text[at - 1].isalnum() or text[at - 1] == "_")


def _expression(rule: Rule) -> str:
    """An expression for addresses of a pattern: no `*` before the path may leave the host that it stands in."""
    head, scheme, rest = rule.text.partition("://")
    origin, slash, path = (rest if scheme else head).partition("/")
    origin = f"{head}{scheme}{origin}" if scheme else origin
    first, *chunks = re.sub(r"\*+", "*", origin).split("*")
    found = re.escape(first)
    if chunks:
        found += "".join([star(_IN_HOST, re.escape(chunk)) for chunk in chunks[:-1]]) + f"{_IN_HOST}*"
        found += re.escape(chunks[-1])
    found += re.escape(slash)
    first, *chunks = re.sub(r"\*+", "*", path).split("*")
    found += re.escape(first)
    if chunks:
        found += "".join([star(".", re.escape(chunk)) for chunk in chunks[:-1]]) + ".*" + re.escape(chunks[-1])
    return found + (r"(?:(?<=[^\w])|(?=[\s/?#])|$).*" if rule.ends else "")
