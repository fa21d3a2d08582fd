"""How rules that forbid or ask are read: at everything that may be the subject, in every spelling.  Pure.

Rule 1: a subject is every text under a key that names files or is one of `arguments.SUBJECTS`, at any depth; for domain
        rules, every text there is.
Rule 2: a reading is only ever added: whatever 0.1.0's grammar matches, matches.
Rule 3: a call pays for the rules of its own tool only, and little more for many than for one. Short plain texts, which
        have one spelling only, are looked up as they are.
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from .arguments import LIST, PATH, SUBJECT, SUBJECTS, invocations, key_says, key_word, leaves, subject_key
from .call import RESOURCE, Call
from .commands import LONGEST_LINE, letters_of, may_hold_more, needs, told
from .domains import Domains, hosts
from .effort import LEAF, LONG, Effort, folding, following
from .globs import Table
from .grammar import ANY, DOMAIN, EXACT, PATTERN, WORD, Rule, parse
from .letters import folded, plain_letters
from .paths import LONGEST, looks
from .places import Places, has_places
from .spellings import Spellings

_ONE_SPELLING = re.compile(r"[A-Za-z0-9_,?+#-]+(?: [A-Za-z0-9_,?+#-]+)*")
"""A text in which nothing can be undone, cut or read in another way, if no word of `commands.RUNNERS` begins it."""
_MAYBE_ADDRESS = re.compile(r"[/\\@:%]|[^\x00-\x7f]")
_SHORT, _FEW = 256, 64
"""Characters of a text, and number of arguments, that can be looked at without counting what it costs."""
MOST_NEEDS = 64
"""Rules of which it is looked first whether a long text can hold what they are about."""
_COMMAND_WORDS = frozenset({"command", "cmd", "commandline", "script", "shell", "arg", "argv", "argument"})
_ADDRESS_WORDS = frozenset({"url", "uri", "href", "link", "host", "hostname", "domain", "site", "endpoint", "origin"})


class Broad:
    """The forbidding or asking rules about one tool."""

    __slots__ = ("_about_json", "_domains", "_known", "_needs", "_one_spelling", "_params", "_places", "_spellings",
                 "_table", "any", "some")

    def __init__(self, rules: Iterable[Rule], spellings: Spellings, known: frozenset[str] = frozenset()) -> None:
        """`known` are the arguments that the tool's schema names."""
        rules = tuple(rules)
        scoped = [rule for rule in rules if rule.match != ANY]
        self.any = next((rule for rule in rules if rule.match == ANY), None)
        self.some = bool(rules)
        self._spellings, self._known = spellings, known
        texts = [rule for rule in scoped if not is_parameter(rule, known)]
        # A parameter that is the subject itself is no parameter; what is written behind it is what the subject says.
        texts += [parse(f"{rule.tool}({rule.value})")._replace(raw=rule.raw) for rule in texts
                  if rule.param in SUBJECTS and rule.match != DOMAIN and rule.value.strip() not in ("", "*")]
        self._params = parameters([rule for rule in scoped if not known or is_parameter(rule, known)])
        spelt = [entry for rule in texts for entry in _spelt(rule, spellings)]
        self._table = Table(spelt)
        few = len(texts) <= MOST_NEEDS and not spellings.workspace.windows
        self._needs = [needs(folded(rule.text)) for rule in texts if rule.match != DOMAIN] if few else None
        patterns = [rule for rule in texts if has_places(rule, below=True)]
        self._places = Places(patterns, spellings, below=True) if patterns else None
        domains = [(rule.text, rule) for rule in texts if rule.match == DOMAIN]
        self._domains = Domains(domains) if domains else None
        self._about_json = 0
        for rule, each in spelt:
            for text in each:
                if rule.ends or text.endswith(("}", "*")):
                    self._about_json |= 1 if text.startswith("{") else 2 if text.startswith("*") else 0
        self._one_spelling = not (spellings.workspace.windows or domains or self._about_json & 1)

    def match(self, call: Call, effort: Effort | None = None) -> Rule | None:
        """The rule that matches anything of the call; raises `RecursionError` or `TooMuch` where it cannot tell.

        `effort` is what is left where others have looked at the call before.
        """
        if self.any is not None or not self.some:
            return self.any
        effort = effort or Effort()
        if call.kind == RESOURCE:
            rule = self._resource(call, effort)
            if rule is not None or len(call.arguments) <= 1:
                return rule                     # only a completion has more than the URI
        if self._params:
            rule = of_parameters(self._params, call.arguments, wide=True, guess=not self._known, effort=effort)
            if rule is not None:
                return rule
        if self._one_spelling and len(call.arguments) <= _FEW:
            plain, rule = self._quickly(call.arguments)
            if plain:
                return rule
        return self._thoroughly(call, effort)

    def _quickly(self, arguments: dict[str, Any]) -> tuple[bool, Rule | None]:
        """(True, the rule) for arguments whose subjects are short plain texts, none of them a path; else False."""
        for key, value in arguments.items():
            kind = type(value)
            if kind is str:
                says = key_says(key)
                if says:
                    if says & PATH or len(value) > _SHORT or not _ONE_SPELLING.fullmatch(value) or (
                            may_hold_more(value)):
                        return False, None
                    rule = self._table.of(value) or (self._spellings.folds and self._table.of(value.casefold())) or None
                    if rule is not None:
                        return True, rule
            elif kind is not int and kind is not bool and kind is not float and value is not None:
                return False, None
        return not self._looks_at_json(arguments), None

    def _thoroughly(self, call: Call, effort: Effort) -> Rule | None:
        size = 0.0
        for kind, text, _, above, trail in leaves(call.arguments):
            effort.spend(LEAF)
            size += 1 + (0.02 + 2 * self._table.weight) * len(text)
            if self._domains is not None and (
                    len(text) > LONG or _MAYBE_ADDRESS.search(text) or _is_address(trail)):
                rule = self._of_hosts(text, effort, bare=_is_address(trail))
                if rule is not None:
                    return rule
            if self._domains is not None and "." in text and len(text) <= LONGEST_LINE and _is_command(trail):
                rule = self._of_hosts(" ".join([f"//{word}" for word in text.split()]), effort)
                if rule is not None:
                    return rule
            if above & SUBJECT:
                is_path = bool(above & PATH)
                rule = self._of_text(text, call.server, effort, path=is_path and kind is not LIST, globs=not is_path)
                rule = rule or (None if is_path else self._of_commands(text, effort))
                if rule is not None:
                    return rule
        for line in invocations(call.arguments):
            effort.spend(4)
            rule = self._of_text(line, call.server, effort, path=False) or self._of_commands(line, effort)
            if rule is not None:
                return rule
        if self._looks_at_json(call.arguments):
            effort.spend(size)
            return self._of_any(_json_texts(call.arguments))
        return None

    def _looks_at_json(self, arguments: dict[str, Any]) -> bool:
        """True where the JSON text of all arguments is a subject too: it is the only one of a call that has no other,
        and a key that the tool does not know is no other."""
        return bool(self._about_json) and bool(
            self._about_json & 1 or not self._known or subject_key(self._known, arguments) is None)

    def _resource(self, call: Call, effort: Effort) -> Rule | None:
        """A resource's subject is its URI, as the host wrote it and as its server does."""
        for uri in dict.fromkeys((call.target, call.name)):
            rule = self._of_text(uri, call.server, effort, path=True)
            if rule is None and self._domains is not None:
                rule = self._of_hosts(uri, effort)
            if rule is not None:
                return rule
        return None

    def _of_text(
        self, text: str, server: str, effort: Effort, *, path: bool, globs: bool = True
    ) -> Rule | None:
        places = None
        effort.spend(5 + 3 * folding(text) + 2 * self._table.weight * len(text))
        if len(text) <= LONGEST and (path or (self._places is not None and looks(text))):
            forms = 1 + 4 * (".." in text or "%" in text or "\\" in text or not text.isascii())
            effort.spend(forms * len(self._spellings.workspace.folders(server)) * following(text))
            places = self._spellings.places(text, server)
        rule = self._of_any(self._spellings.of_text(text, server, path=path, places=places), globs=globs)
        if rule is None and self._places is not None and places:
            rule = next((found for place in places if (found := self._places.of(place))), None)
        return rule

    def _of_commands(self, text: str, effort: Effort) -> Rule | None:
        folds = self._spellings.folds
        effort.spend(folding(text))
        plain = plain_letters(text)
        if not self._table.some or not (folds or may_hold_more(plain)):
            return None
        if len(plain) > LONG and not self._may_hold(plain, effort):
            return None
        windows = self._spellings.workspace.windows
        for each in told(plain, windows=windows, effort=effort):
            effort.spend(self._table.weight * len(each))
            line = folded(each).strip()
            if windows:
                line = line.replace("\\", "/").lower()
            rule = self._table.of(line) or (self._table.of(line.casefold()) if folds else None)
            if rule is not None:
                return rule
        return None

    def _may_hold(self, text: str, effort: Effort) -> bool:
        """False for a text that surely has no command in it that a rule is about."""
        if self._needs is None:
            return True
        effort.spend(0.02 * len(text) + 0.2 * (text.count("'") + text.count('"') + text.count("\\") + text.count("$")))
        letters = letters_of(text)
        if letters is None:
            return True
        folds = self._spellings.folds
        if folds:
            letters = letters.casefold()
        for words in self._needs:
            effort.spend(0.001 * len(letters))
            if all((word.casefold() if folds else word) in letters for word in words):
                return True
        return False

    def _of_any(self, texts: Iterable[str], *, globs: bool = True) -> Rule | None:
        for text in texts:
            rule = self._table.of(text, globs=globs)
            if rule is not None:
                return rule
        return None

    def _of_hosts(self, text: str, effort: Effort, *, bare: bool = False) -> Rule | None:
        assert self._domains is not None
        for host in hosts(text, bare=bare, needles=self._domains.needles, effort=effort):
            rule: Rule | None = self._domains.of(host)
            if rule is not None:
                return rule
        return None


def _spelt(rule: Rule, spellings: Spellings) -> list[tuple[Rule, Iterable[str]]]:
    """A rule with the spellings of its text, and the literal reading of one with a `*` in it."""
    if rule.match == DOMAIN:
        return [(rule._replace(match=EXACT), (f"domain:{rule.value}",))]
    if rule.match == EXACT:
        return [(rule, spellings.of_rule(rule.text))]
    exact = rule._replace(match=EXACT)
    if rule.match == PATTERN:
        return [(rule, spellings.of_pattern(rule.text)), (exact, spellings.of_rule(rule.text + rule.ends))]
    texts = spellings.of_rule(rule.text)
    folder = (rule._replace(ends=":*"), {f"{text}/" for text in texts}) if rule.ends == WORD else None
    return [(rule, texts), (exact, texts), *([folder] if folder else [])]


def is_parameter(rule: Rule, known: frozenset[str]) -> bool:
    """True for `tool(param:value)` where the tool knows the parameter, and it is not its subject."""
    return bool(rule.param) and rule.param in known and rule.param != subject_key(known)


def parameters(rules: Sequence[Rule]) -> dict[str, Table]:
    """Tables of the rules about parameters, by their names."""
    found: dict[str, list[tuple[Rule, Iterable[str]]]] = {}
    for rule in rules:
        if rule.param:
            match = PATTERN if "*" in rule.value else EXACT
            found.setdefault(rule.param, []).append((rule._replace(match=match, ends=""), {rule.value}))
    return {param: Table(entries) for param, entries in found.items()}


def of_parameters(
    tables: dict[str, Table], arguments: dict[str, Any], *, wide: bool, guess: bool = False,
    effort: Effort | None = None,
) -> Rule | None:
    """The rule about a parameter that is there with such a value; `wide` reads a text in every spelling.

    `guess` says that nothing is known of the tool: then what looks like its subject is no parameter.
    """
    for param, value in arguments.items():
        table = tables.get(param)
        if table is None or value is None or isinstance(value, (dict, list)):
            continue
        if guess and param == subject_key((), arguments):
            continue
        texts = [value if isinstance(value, str) else json.dumps(value)]
        if effort is not None:
            effort.spend(2 + 2 * table.weight * len(texts[0]) + folding(texts[0]))
        if wide and isinstance(value, str):
            texts += [folded(value).strip()]
        elif wide and isinstance(value, float) and value.is_integer():
            texts += [str(int(value))]
        for text in texts:
            rule = table.of(text)
            if rule is not None:
                return rule
    return None


def _is_address(trail: Any) -> bool:
    """True for a text right under a key that says it is an address."""
    return _last_word(trail) in _ADDRESS_WORDS


def _is_command(trail: Any) -> bool:
    """True for a text right under a key of commands or their arguments: each of its words may be a host."""
    return _last_word(trail) in _COMMAND_WORDS


def _last_word(trail: Any) -> str:
    while trail is not None:
        trail, step = trail
        if isinstance(step, str):
            return key_word(step)
    return ""


def _json_texts(arguments: dict[str, Any]) -> set[str]:
    """The JSON text of the arguments as 0.1.0 wrote it, and in other usual forms."""
    found = {json.dumps(arguments), json.dumps(arguments, separators=(",", ":"))}
    if any("\\u" in text for text in found):
        found |= {json.dumps(arguments, ensure_ascii=False, separators=separators) for separators in (None, (",", ":"))}
    return found
