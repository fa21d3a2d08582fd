"""Permissions: which calls the owner's rules let through.  Pure.

    rule     = tool | tool "(" content ")"
    tool     = the name of a call (`arguments.policy_name`); `*` and `?` stand for any letters and any letter
    content  = "" | "*"        any call of the tool
             | text ":*"       the subject begins with `text` (to the letter: `rm -rf:*` matches `rm -rfv`)
             | text            the subject is `text`; a `*` in it is a letter

Rule 1: a deny rule wins over every ask rule, and that over every allow rule, wherever they stand; what no rule matches
        gets `default_decision`.
Rule 2: deny and ask rules look at everything that may be their subject, in every spelling; an allow rule looks at one
        subject, as it is written.
Rule 3: rules are sorted by tool once, so that a call pays for the rules of its own tool only.
"""
from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import translate
from typing import Any

from ...config.fields import Field, Section, Value, choice
from ...errors import clip
from ...record import NamedTuple
from ..approval import Approval
from ..arguments import LIST, PATH, SUBJECT, leaves, policy_name
from ..call import RESOURCE, Call, Outcome, Refused
from ..chain import Ports, Stage
from ..spellings import Spellings
from ..workspace import Workspace

SUBJECTS = (
    "command", "path", "file_path", "filePath", "notebook_path", "notebookPath", "url", "pattern", "query", "code",
    "message",
)
"""The arguments that an allow rule looks at: the first of them that is a string. Without any, the JSON text of all."""

NO_ALLOW = "blocked by permission policy: no matching allow rule (default policy is deny)"
MOST_SHOWN = 300
MOST_TOOLS = 20_000

ANY, PREFIX, EXACT = "any", "prefix", "exact"


class Rule(NamedTuple):
    """One rule, read: `match` is `ANY`, `PREFIX` or `EXACT`, and says how `text` is compared."""

    raw: str
    tool: str
    match: str
    text: str


def parse(raw: str) -> Rule:
    """The rule that `raw` spells; raises `ValueError` with what is wrong with it."""
    rule = raw.strip()
    if not rule:
        raise ValueError("is empty")
    tool, opened, rest = rule.partition("(")
    tool = tool.strip()
    if opened and not rest.endswith(")"):
        raise ValueError("opens a `(` that no `)` closes at its end")
    if ")" in tool:
        raise ValueError("closes a `)` that was not opened")
    if not tool:
        raise ValueError("names no tool")
    content = rest[:-1].strip()
    if content in ("", "*", ":*"):
        return Rule(rule, tool, ANY, "")
    if content.endswith(":*"):
        return Rule(rule, tool, PREFIX, content[:-2])
    return Rule(rule, tool, EXACT, content)


def rules(value: Value) -> tuple[Rule, ...]:
    """A list of rules; whatever cannot do what its writer meant is said."""
    if not isinstance(value.data, list):
        value.must_be("a list of rules", '`["server__tool"]`, also for a single one')
    found = []
    for element in value.elements():
        if not isinstance(element.data, str):
            element.must_be("a rule, which is a string")
            continue
        try:
            rule = parse(element.data)
        except ValueError as error:
            element.error(str(error), "Write `server__tool` or `server__tool(text)`.")
            continue
        if "__" not in rule.tool and not _is_glob(rule.tool):
            element.warn("can never match: a tool is named `server__tool`", "Put the server's name before it.")
        if "*" in rule.text:
            element.warn("takes the `*` in its parentheses for a letter", "Only `:*` at the end stands for any text.")
        found.append(rule)
    return tuple(found)


class _Permissions(Section):
    """The section, with a word on allow rules that change nothing."""

    def __call__(self, value: Value) -> dict[str, Any]:
        read = super().__call__(value)
        if read["allow"] and read["default_decision"] == "allow":
            value.member("allow").warn("has no effect: what no rule matches is allowed anyway",
                                       'Set `"default_decision": "deny"` to allow nothing else.')
        return read


FIELDS: tuple[Field, ...] = (
    Field("permissions", _Permissions((
        Field("default_decision", choice("allow", "deny", "prompt", "ask"), "allow", "What happens to a call that no "
              "rule matches. `prompt`, also written `ask`, asks the user.", "allow, deny, prompt or ask"),
        Field("allow", rules, (), "Calls that pass where the default is another.", "list of rules"),
        Field("ask", rules, (), "Calls that the user is asked about, also those that an allow rule matches.",
              "list of rules"),
        Field("deny", rules, (), "Calls that are refused, whatever else is allowed.", "list of rules"),
    )), None, "Which calls are let through.", "object"),
)


def build(settings: Mapping[str, Any], ports: Ports) -> Stage | None:
    """The stage; none where everything is allowed anyway."""
    read = settings.get("permissions")
    if not read or (not read["deny"] and not read["ask"] and read["default_decision"] == "allow"):
        return None
    return Permissions(read, ports)


class Permissions(Stage):
    """Refuses calls that a deny rule matches, or that need an allow rule and have none."""

    name = "permissions"
    gate = True

    def __init__(self, read: Mapping[str, Any], ports: Ports) -> None:
        self._spellings = Spellings(Workspace(ports))
        self._approval = Approval(self.name, ports.office, ports.report)
        self._deny = tuple(map(_named, read["deny"]))
        self._ask = tuple(map(_named, read["ask"]))
        self._allow = tuple(map(_named, read["allow"]))
        self._default: str = read["default_decision"]
        self._tools: dict[str | tuple[str, str], tuple[_Rules, _Rules, _Rules]] = {}

    async def before(self, call: Call) -> Call | Outcome:
        """The call, or by which rule it is refused."""
        name = policy_name(call)
        key = name if call.name == name or call.kind == RESOURCE else (name, call.name)
        ready = self._tools.get(key)
        deny, ask, allow = ready if ready is not None else self._sort(key)
        if deny.some or ask.some:
            verdict = self._strictly(call, deny, ask)
            if verdict is not None:
                return verdict
        if self._default == "allow" or allow.any or (allow.scoped and allow.match((_subject(call),))):
            return call
        default = f"default_decision: {self._default}"
        if self._default == "deny":
            return Refused(self.name, f"{NO_ALLOW} for `{clip(name, MOST_SHOWN)}`", rule=default)
        return self._approval.judge(call, default, always=_allowing(call, name)) or call

    def known(self, call: Call) -> Mapping[str, Any]:
        """An approval at the desk holds as long as the call goes on."""
        return self._approval.known(call)

    def _strictly(self, call: Call, deny: _Rules, ask: _Rules) -> Call | Outcome | None:
        """What the deny rules and then the ask rules say; None where none of them matches."""
        try:
            rule = self._matched(call, deny)
            asks = self._matched(call, ask) if rule is None else None
        except RecursionError as error:
            return Refused(self.name, f"blocked by permission policy: {error}", rule="depth")
        if rule is not None:
            raw = clip(rule.raw, MOST_SHOWN)
            return Refused(self.name, f"blocked by permission policy: matched deny rule '{raw}'", rule=raw)
        if asks is not None:
            return self._approval.judge(call, f"ask: {clip(asks.raw, MOST_SHOWN)}") or call
        return None

    def _sort(self, key: str | tuple[str, str]) -> tuple[_Rules, _Rules, _Rules]:
        """The rules about one tool, sorted at its first call; `key` holds the names that rules may call it by."""
        names = (key,) if isinstance(key, str) else key
        deny = _Rules(_about(names, self._deny), self._spellings.of_rule)
        ask = _Rules(_about(names, self._ask), self._spellings.of_rule)
        allow = _Rules(_about(names, self._allow), lambda text: (text,))
        if len(self._tools) >= MOST_TOOLS:
            self._tools.clear()
        self._tools[key] = deny, ask, allow
        return deny, ask, allow

    def _matched(self, call: Call, rules: _Rules) -> Rule | None:
        """The rule that matches anything of the call, in whatever spelling."""
        if rules.any is not None or not rules.scoped:
            return rules.any
        if call.kind == RESOURCE:
            return rules.match(self._spell(call, call.target, path=True) | self._spell(call, call.name, path=True))
        for kind, text, _, above, _ in leaves(call.arguments):
            if above & SUBJECT:
                rule = rules.match(self._spell(call, text, path=kind is not LIST and bool(above & PATH)))
                if rule is not None:
                    return rule
        return rules.match(_json_texts(call.arguments)) if rules.about_json else None

    def _spell(self, call: Call, text: str, *, path: bool) -> set[str]:
        return self._spellings.of_text(text, call.server, path=path)


class _Rules:
    """Rules about one tool, ready to be asked at the cost of a few look-ups however many they are."""

    __slots__ = ("_exact", "_prefixes", "about_json", "any", "scoped", "some")

    def __init__(self, rules: Iterable[Rule], spell: Callable[[str], Iterable[str]]) -> None:
        self.any: Rule | None = None
        self._exact: dict[str, Rule] = {}
        prefixes: dict[int, dict[str, Rule]] = {}
        for rule in rules:
            if rule.match == ANY:
                self.any = self.any or rule
                continue
            for text in spell(rule.text):
                table = self._exact if rule.match == EXACT else prefixes.setdefault(len(text), {})
                table.setdefault(text, rule)
        self._prefixes = tuple(prefixes.items())
        self.scoped = bool(self._exact or prefixes)
        self.some = self.scoped or self.any is not None
        self.about_json = any(text.startswith("{") for table in (self._exact, *prefixes.values()) for text in table)

    def match(self, texts: Iterable[str]) -> Rule | None:
        """The rule that one of the texts is matched by."""
        for text in texts:
            rule = self._exact.get(text)
            if rule is not None:
                return rule
            for length, table in self._prefixes:
                rule = table.get(text[:length])
                if rule is not None:
                    return rule
        return None


_Named = tuple["Callable[[str], object]", Rule]
"""A rule and what tells whether it is about a tool."""


def _named(rule: Rule) -> _Named:
    if _is_glob(rule.tool):
        return re.compile(translate(rule.tool.replace("[", "[[]"))).match, rule
    return rule.tool.__eq__, rule


def _about(names: tuple[str, ...], rules: Iterable[_Named]) -> Iterator[Rule]:
    """The rules about a tool that has these names."""
    return (rule for is_meant, rule in rules if any(is_meant(name) for name in names))


def _is_glob(tool: str) -> bool:
    return "*" in tool or "?" in tool


def _allowing(call: Call, name: str) -> str:
    """The allow rule that would let the call pass for good, or an empty text where none can be written."""
    raw = f"{name}({call.target})" if call.kind == RESOURCE else name
    try:
        rule = parse(raw)
    except ValueError:
        return ""
    wanted = (name, EXACT, call.target) if call.kind == RESOURCE else (name, ANY, "")
    return raw if (rule.tool, rule.match, rule.text) == wanted and not _is_glob(name) else ""


def _subject(call: Call) -> str:
    """What an allow rule looks at."""
    if call.kind == RESOURCE:
        return call.target
    for key in SUBJECTS:
        value = call.arguments.get(key)
        if isinstance(value, str):
            return value
    return json.dumps(call.arguments)


def _json_texts(arguments: dict[str, Any]) -> set[str]:
    """The JSON text of the arguments as 0.1.0 wrote it, and in other usual forms."""
    return {json.dumps(arguments, ensure_ascii=ascii, separators=separators)
            for ascii in (True, False) for separators in (None, (",", ":"))}
