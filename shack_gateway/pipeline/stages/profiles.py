"""Profiles: named sets of rules that make a gateway smaller; and what is hidden from everybody.  Pure.

    hidden      as if no server had it: neither shown nor found (`catalog/shaping.py`), so nothing is left to be judged
    a profile   its deny rules refuse; where it has allow rules, what neither they nor its ask rules match is refused;
                its ask rules ask; what it `extends` judges as well, and so do the ordinary permissions after it
    readonly    built in: tools that do not seem to read only (`catalog/facts.py`) are refused

Rule 1: a profile never lets through what would be refused without it.
Rule 2: what is refused whatever its arguments are is not shown either, but can be called, to be told by which rule.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ...catalog.facts import Facts
from ...catalog.names import SEPARATOR
from ...catalog.shaping import Names, ServerShape, Shape, Unlisted, globs
from ...config.fields import ERROR, Field, Section, Value, defaults, did_you_mean, is_comment, strings, text
from ...errors import clip
from ...record import NamedTuple
from ..call import TOOL, Call, Outcome, Refused
from ..chain import Ports, Stage
from ..effort import Effort
from ..grammar import ANY, servers_place_is_open
from ..rules import allowing, overlaps, rules, strangers, warn_of_no_server
from ..tools import is_glob, literal, names, spellings
from .permissions import Permissions

READONLY = "readonly"
BUILT_IN = (READONLY,)
MOST_SHOWN = 300


def tool_names(value: Value) -> tuple[str, ...]:
    """A list of names or patterns of whole tools and prompts."""
    read = strings(value)
    for element, name in zip(value.elements(), read):
        if not isinstance(element.data, str):
            continue
        if not name.strip():
            element.error("is empty", "Write `server__tool`.")
        elif "(" in name or ")" in name:
            element.error("hides whole tools, whatever they are called with, so it takes no parentheses",
                          "Write `server__tool` here, or a rule of `permissions.deny`.")
        else:
            warn_of_no_server(element, name.strip())
    return read


class Table(Section):
    """The owner's profiles by name; `fields` are the keys of each."""

    of_names = True

    def __call__(self, value: Value) -> dict[str, Any]:
        if not isinstance(value.data, dict):
            value.must_be("an object", '`{"review": {"deny": ["server__tool"]}}`')
        found = {name: self._profile(member, name) for name, member in value.items() if not is_comment(name)}
        for name, profile in found.items():
            _judge_base(value.member(name).member("extends"), name, profile["extends"], found)
        return found

    def _profile(self, place: Value, name: str) -> dict[str, Any]:
        errors = place.findings.errors
        if name in BUILT_IN:
            place.error("has the name of a profile that is built in", "Choose another name; it may `extends` that one.")
        elif not name.strip():
            place.error("has no name", "Choose one.")
        read = super().__call__(place)
        if read["allow"] == ():
            place.member("allow").warn("is empty: what the profile does not ask about is refused",
                                       "Remove it to allow what is allowed without the profile.")
        if errors == place.findings.errors:
            overlaps(place, {**read, "allow": read["allow"] or ()})
        if errors == place.findings.errors and read == defaults(self.fields):
            place.warn("changes nothing", 'Give it `"deny"`, `"allow"`, `"ask"`, `"hidden"` or `"extends"`.')
        return read


def _judge_base(place: Value, name: str, base: str, found: Mapping[str, Any]) -> None:
    """Whether a profile can extend another: there must be one, and it must come to an end."""
    if not base or base in BUILT_IN:
        return
    if base not in found:
        place.error(f"is `{clip(base, 100)}`, which is no profile: {known(found)}",
                    did_you_mean(base, (*BUILT_IN, *found)))
        return
    seen = {name: None}
    while base in found and base not in seen:
        seen[base] = None
        base = found[base]["extends"]
    if base == name:
        place.error("goes round in a circle: " + " -> ".join(f"`{clip(each, 100)}`" for each in (*seen, name)),
                    "Let one of them extend nothing.")


FIELDS: tuple[Field, ...] = (
    Field("hidden", tool_names, (), "Tools and prompts that there are not, as far as the host can tell: "
          "`server__tool`, with `*` and `?` for any letters and any letter.", "list of names"),
    Field("profiles", Table((
        Field("extends", text, "", "Another profile that judges as well: `readonly`, or one of your own.", "word"),
        Field("allow", allowing, None, "The only calls that pass. Left out, this profile lets all pass that it does "
              "not deny.", "list of rules"),
        Field("ask", rules, (), "Calls that the user is asked about.", "list of rules"),
        Field("deny", rules, (), "Calls that are refused.", "list of rules"),
        Field("hidden", tool_names, (), "Tools and prompts that there are not with this profile.", "list of names"),
    )), {}, "Named sets of rules that make the gateway smaller, for `profile` to choose from.", "object"),
    Field("profile", text, "", "The profile that is used: `readonly`, or one of `profiles`. The command line's "
          "`--profile` wins.", "word"),
)


def check(top: Value, settings: Mapping[str, Any]) -> None:
    """What is wrong with the choice of a profile, once it is made, and with rules about servers that are not there."""
    _judge_servers(top.member("hidden"), settings["servers"])
    for name, read in settings["profiles"].items():
        _judge_servers(top.member("profiles").member(name).member("hidden"), settings["servers"])
        strangers(top.member("profiles").member(name), {**read, "allow": read["allow"] or ()}, settings["servers"])
    chosen, written = settings["profile"], top.member("profiles").data
    found = [name for name in written if not is_comment(name)] if isinstance(written, dict) else []
    if not chosen or chosen in BUILT_IN or chosen in found:
        return
    what = f"is `{clip(chosen, 100)}`, which is no profile: {known(found)}"
    if top.member("profile").data == chosen:
        top.member("profile").error(what, did_you_mean(chosen, (*BUILT_IN, *found)))
    else:
        top.findings.add(ERROR, (), f"`--profile` {what}", did_you_mean(chosen, (*BUILT_IN, *found)))


def _judge_servers(hidden: Value, servers: Iterable[str]) -> None:
    """Warn of what is hidden of a server that there is not: whatever was meant can be seen."""
    for element in hidden.elements():
        meant = spellings(element.data.strip()) if isinstance(element.data, str) else ()
        heads = [literal(each) for each in meant]
        if not any(SEPARATOR in head for head in heads) or any(
                SEPARATOR not in head and is_glob(each) for head, each in zip(heads, meant)):
            continue                            # it has been warned of, or it may be of any server
        if not any(head.startswith(f"{server}{SEPARATOR}") for head in heads for server in servers):
            server = min(heads, key=len).partition(SEPARATOR)[0]
            element.warn(f"hides nothing: no server is named `{clip(server, 100)}`",
                         did_you_mean(server, servers) or "Write the name of a server of this file.")


def known(found: Iterable[str]) -> str:
    """The profiles there are, in words."""
    return "there are " + ", ".join(f"`{clip(name, 100)}`" for name in dict.fromkeys((*BUILT_IN, *found)))


class Layer(NamedTuple):
    """One profile of those that judge together."""

    name: str
    read: Mapping[str, Any]
    """What its entry says; nothing for one that is built in."""


def layers(settings: Mapping[str, Any]) -> list[Layer]:
    """The chosen profile and those that it extends; none where none is chosen."""
    found: list[Layer] = []
    name, profiles = settings.get("profile"), settings.get("profiles") or {}
    while name and len(found) <= len(profiles):
        read = {} if name in BUILT_IN else profiles[name]
        found.append(Layer(name, read))
        name = read.get("extends")
    return found


def build(settings: Mapping[str, Any], ports: Ports) -> Stage | None:
    """The stage; none where no profile is chosen."""
    chosen = layers(settings)
    return Profiles(chosen, ports) if chosen else None


class Profiles(Stage):
    """Refuses what the chosen profile does not want, and asks where it asks."""

    name = "profiles"
    gate = True

    def __init__(self, chosen: Sequence[Layer], ports: Ports) -> None:
        self._facts = ports.facts
        self._called = f"profile `{clip(chosen[0].name, 100)}`"
        self._reads_only = any(layer.name == READONLY for layer in chosen)
        # What any of them denies comes first, so that nobody is asked about a call that another of them refuses.
        deny = [rule for layer in chosen for rule in layer.read.get("deny", ())]
        reads = [{"deny": (), "ask": layer.read["ask"], "allow": layer.read["allow"] or (),
                  "default_decision": "allow" if layer.read["allow"] is None else "deny"}
                 for layer in chosen if layer.read]
        if reads:
            reads[0] = {**reads[0], "deny": deny}
        self._gates = [Permissions(read, ports, self.name, self._called) for read in reads]

    def concerns(self, call: Call) -> bool:
        """False where no rule of the profile is about the tool."""
        return (self._reads_only and call.kind == TOOL) or any(gate.concerns(call) for gate in self._gates)

    async def before(self, call: Call) -> Call | Outcome:
        """The call, or what the profile has against it."""
        if self._reads_only and call.kind == TOOL and not (facts := self._facts(call)).only_reads:
            return self._may_change(call, facts)
        effort = Effort()
        for gate in self._gates:
            verdict = gate.judge(call, effort)
            if verdict is call:
                continue
            if isinstance(verdict, Refused) and self._called not in verdict.text:
                return verdict._replace(text=f"{self._called} asks: {verdict.text}")
            return verdict
        return call

    def known(self, call: Call) -> Mapping[str, Any]:
        """An approval holds as long as the call goes on."""
        found: dict[str, Any] = {}
        for gate in self._gates:
            found.update(gate.known(call))
        return found

    def why(self, call: Call) -> str:
        """What the profile says of a call that it lets pass."""
        said = [f"{self._called}: it seems to read only"] if self._reads_only and call.kind == TOOL else []
        return "; ".join([*said, *(f"{self._called}: {why}" for gate in self._gates if (why := gate.why(call)))])

    def _may_change(self, call: Call, facts: Facts) -> Refused:
        shown = clip(names(call)[-1], MOST_SHOWN)
        if not facts.listed:
            why = "its server does not list it now"
        elif facts.says_read_only is False:
            why = "its server says that it does more"
        elif facts.says_read_only:
            why = "its server says that it reads only, but its name, or another of its annotations, says otherwise"
        else:
            why = "its server does not say that it reads only, and its name does not begin like that of one that does"
        return Refused(self.name, f"{self._called}: `{shown}` is refused, only reads are allowed; {why}", rule=READONLY)


# --- what is shown ---------------------------------------------------------------------------------------------------


def shape(settings: Mapping[str, Any], servers: Mapping[str, ServerShape]) -> Shape | None:
    """What the owner wants seen of all servers; None where that is everything. `servers` are those with a shape."""
    chosen = layers(settings)
    hidden = [*settings.get("hidden", ()), *(name for layer in chosen for name in layer.read.get("hidden", ()))]
    permissions = settings.get("permissions") or {}
    deny = [*permissions.get("deny", ()), *(rule for layer in chosen for rule in layer.read.get("deny", ()))]
    refused = [rule.tool for rule in deny if rule.match == ANY]
    allowed = [any_of([*(rule.tool for rule in layer.read["allow"] if not servers_place_is_open(rule.tool)),
                       *(rule.tool for rule in layer.read["ask"])])
               for layer in chosen if layer.read.get("allow") is not None]
    reads_only = any(layer.name == READONLY for layer in chosen)
    if not (servers or hidden or refused or allowed or reads_only):
        return None
    some = bool(refused or allowed or reads_only)
    return Shape(servers, any_of(hidden) if hidden else None,
                 _unlisted(any_of(refused), allowed, reads_only) if some else None)


def _unlisted(refused: Names, allowed: Sequence[Names], reads_only: bool) -> Unlisted:
    def is_unlisted(kind: str, called: tuple[str, ...], facts: Callable[[], Facts]) -> bool:
        if any(map(refused, called)) or not all(any(map(is_allowed, called)) for is_allowed in allowed):
            return True
        return reads_only and kind == TOOL and not facts().only_reads

    return is_unlisted


def any_of(patterns: Iterable[str]) -> Names:
    """Whether a name is meant by any of the patterns (`tools.named`); a thousand of them cost little more than one."""
    plain: set[str] = set()
    heads: dict[int, dict[str, list[str]]] = {}
    for pattern in dict.fromkeys(map(str.strip, patterns)):
        for each in spellings(pattern):
            if is_glob(each):
                head = literal(each)
                heads.setdefault(len(head), {}).setdefault(head, []).append(each)
            else:
                plain.add(each)
    ready: dict[str, Names] = {}

    def is_meant(name: str) -> bool:
        if name in plain:
            return True
        for length, table in heads.items():
            for each in table.get(name[:length], ()):
                if each not in ready:
                    ready[each] = globs((each,))
                if ready[each](name):
                    return True
        return False

    return is_meant
