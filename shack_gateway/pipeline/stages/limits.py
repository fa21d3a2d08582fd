"""Limits: how often, how many at once, and how large a result may be.  Pure.

    calls_per_minute   counted over the last 60 seconds; a call too many is refused
    concurrent_calls   a call too many waits for its turn, before anything else looks at it
    max_result_chars   a longer result is cut (`pipeline/cutting.py`), and can be read on (`pipeline/results.py`)

Rule 1: an entry counts all calls that it matches together; a call that several entries match has to keep to all.
Rule 2: a place is taken when a call is let pass and given back when it has ended, once, however it ended; who waits
        waits in the order of coming, and takes all the places that it needs at once.
Rule 3: a call that goes on with the answers to questions is not counted anew.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from ...config.fields import Field, Value, number, read_object, text
from ...errors import clip
from ...record import NamedTuple
from ...slot import Slot
from ..call import PROMPT, RESOURCE, Call, Complete, InputRequired, Outcome, Refused
from ..chain import Ports, Stage
from ..cutting import cut
from ..tools import named, names, warn_of_nobody

MINUTE = 60.0
MOST_WAITING = 1000
"""Calls that wait at one entry; past that they are refused."""
MOST_TOOLS = 20_000
MOST_ROUNDS = 1000
MOST_SHOWN = 200

_KEYS = (
    Field("tool", text, "*", "The tool, or tools by pattern, that the limit is for.", "tool or pattern"),
    Field("calls_per_minute", number(1, 100_000, whole=True), None, "How many calls may come within 60 seconds; "
          "further ones are refused.", "whole number"),
    Field("concurrent_calls", number(1, 10_000, whole=True), None, "How many calls may be open at once; further ones "
          "wait for their turn.", "whole number"),
    Field("max_result_chars", number(100, 10**9, whole=True), None, "How many characters of a result reach the host; "
          "a longer one is cut and can be read on.", "whole number"),
)
_SORTS = tuple(field.key for field in _KEYS[1:])


class Limit(NamedTuple):
    """One entry of the configuration; 0 for what it does not limit. `place` is where it stands: `limits[0]`."""

    place: str
    tool: str
    calls_per_minute: int
    concurrent_calls: int
    max_result_chars: int


class _Limits:
    """The reader of the list."""

    fields = _KEYS

    def __call__(self, value: Value) -> tuple[Limit, ...]:
        if not isinstance(value.data, list):
            value.must_be("a list of objects", '`[{"tool": "server__*", "calls_per_minute": 60}]`')
        found = []
        for element in value.elements():
            before = element.findings.errors
            read = read_object(element, _KEYS)
            if element.findings.errors > before:
                continue
            if not any(read[key] for key in _SORTS):
                element.error("limits nothing", f"Add one of {', '.join(f'`{key}`' for key in _SORTS)}.")
                continue
            tool = read["tool"].strip()
            if not tool:
                element.member("tool").error("is empty", 'Write `"*"` for all tools, or leave it out.')
            warn_of_nobody(element.member("tool"), tool)
            found.append(Limit(element.name, tool, *(read[key] or 0 for key in _SORTS)))
        return tuple(found)


FIELDS: tuple[Field, ...] = (
    Field("limits", _Limits(), (), "How often tools may be called, how many calls may be open at once, and how long "
          "results may be.", "list of objects"),
)


def cuts_results(settings: Mapping[str, Any]) -> bool:
    """True where the configuration limits results: then those that are cut must be kept somewhere (`Ports.results`)."""
    return any(limit.max_result_chars for limit in settings["limits"])


def build(settings: Mapping[str, Any], ports: Ports) -> Stage | None:
    """The stage; none without limits."""
    return Limits(settings["limits"], ports) if settings["limits"] else None


class _Entry:
    """One limit and what it has counted."""

    __slots__ = ("free", "limit", "matches", "recent", "rounds", "waiting")

    def __init__(self, limit: Limit) -> None:
        self.limit, self.matches = limit, named(limit.tool)
        self.recent: deque[float] = deque()
        """When the calls of the last minute came."""
        self.rounds = 0
        """Questions that may still be answered by a call that is not counted."""
        self.free = limit.concurrent_calls
        self.waiting: dict[_Waiter, None] = {}

    def wait_secs(self, now: float) -> float:
        """For how long a call would be one too many."""
        recent = self.recent
        while recent and recent[0] <= now - MINUTE:
            recent.popleft()
        return recent[0] + MINUTE - now if len(recent) >= self.limit.calls_per_minute else 0.0

    @property
    def words(self) -> str:
        """The entry in a few words."""
        limit = self.limit
        said = [f"{count:,} {what}" for count, what in (
            (limit.calls_per_minute, "calls per minute"), (limit.concurrent_calls, "at once"),
            (limit.max_result_chars, "characters of result")) if count]
        return f"{limit.place}: {', '.join(said)}"


class _Waiter:
    """A call that waits for places at all of `shared` together."""

    __slots__ = ("granted", "shared", "slot")

    def __init__(self, shared: tuple[_Entry, ...]) -> None:
        self.shared, self.granted = shared, False
        self.slot: Slot[None] = Slot()


class _About(NamedTuple):
    """The entries about one tool, sorted by what they limit."""

    all: tuple[_Entry, ...]
    rated: tuple[_Entry, ...]
    shared: tuple[_Entry, ...]
    chars: int
    """The least `max_result_chars`, 0 for none."""
    chars_place: str


class Limits(Stage):
    """Refuses calls that come too often, lets others wait, and cuts results."""

    name = "limits"

    def __init__(self, limits: Sequence[Limit], ports: Ports) -> None:
        self._entries = tuple(_Entry(limit) for limit in limits)
        self._now, self._report = ports.now, ports.report
        self._keep = None if ports.results is None else ports.results.keep
        self._tools: dict[tuple[str, str, str, str], _About] = {}
        self._held: dict[int, list[tuple[_Entry, ...]]] = {}
        """The places that are taken, by the number of the call."""
        self._granted: deque[_Waiter] = deque()
        self._waking = False

    def concerns(self, call: Call) -> bool:
        """False where no entry is about the tool."""
        return bool(self._about(call).all)

    def alters(self, call: Call) -> bool:
        """True where the results of the tool may be cut."""
        return bool(self._about(call).chars)

    async def before(self, call: Call) -> Call | Outcome:
        """The call, perhaps after a while, or why it is one too many."""
        about = self._about(call)
        if about.rated or about.shared:
            refused = self._count(call, about)
            if refused is not None:
                return refused
            if about.shared:
                await self._take(call.number, about.shared)
        return call

    async def after(self, call: Call, outcome: Outcome) -> Outcome:
        """The outcome, a result cut where it is too long."""
        about = self._about(call)
        if isinstance(outcome, InputRequired):
            for entry in about.rated:
                entry.rounds = min(entry.rounds + 1, MOST_ROUNDS)
        elif about.chars and isinstance(outcome, Complete) and call.kind != PROMPT:
            return self._cut(call, outcome, about)
        return outcome

    def ended(self, call: Call) -> None:
        """The call gives its places back."""
        held = self._held.get(call.number)
        if held:
            shared = held.pop()
            if not held:
                del self._held[call.number]
            self._give_back(shared)

    def why(self, call: Call) -> str:
        """The entries that the call keeps to."""
        return "; ".join(entry.words for entry in self._about(call).all)

    def _about(self, call: Call) -> _About:
        # Every resource of a server is one tool here, whatever its URI.
        target, shown = ("", "") if call.kind == RESOURCE else (call.target, call.name)
        key = call.kind, call.server, target, shown
        about = self._tools.get(key)
        if about is None:
            called = names(call)
            found = tuple(entry for entry in self._entries if any(map(entry.matches, called)))
            cutting = [entry.limit for entry in found if entry.limit.max_result_chars]
            least = min(cutting, key=lambda limit: limit.max_result_chars) if cutting else None
            about = _About(
                found, tuple(entry for entry in found if entry.limit.calls_per_minute),
                tuple(entry for entry in found if entry.limit.concurrent_calls),
                least.max_result_chars if least else 0, least.place if least else "",
            )
            if len(self._tools) >= MOST_TOOLS:
                self._tools.clear()
            self._tools[key] = about
        return about

    # --- how often -----------------------------------------------------------------------------------------------

    def _count(self, call: Call, about: _About) -> Refused | None:
        """Count the call, unless it is one too many anywhere."""
        goes_on = bool(call.answers) or "inputResponses" in call.params or "requestState" in call.params
        now = self._now() if about.rated else 0.0
        counting = []
        for entry in about.rated:
            if not (goes_on and (call.answers or entry.rounds)):
                secs = entry.wait_secs(now)
                if secs > 0:
                    return self._refused(call, entry, f"{entry.limit.calls_per_minute:,} calls per minute are allowed; "
                                         f"the next one is in {max(1, int(secs + 0.999))} s")
                counting.append(entry)
        for entry in about.shared:
            if not entry.free and len(entry.waiting) >= MOST_WAITING:
                return self._refused(call, entry, f"{entry.limit.concurrent_calls:,} calls at once are allowed, and "
                                     f"{MOST_WAITING:,} are waiting already; call again when some have ended")
        for entry in counting:
            entry.recent.append(now)
        if goes_on:
            for entry in about.rated:
                entry.rounds = max(0, entry.rounds - 1)
        return None

    def _refused(self, call: Call, entry: _Entry, why: str) -> Refused:
        limit = entry.limit
        called, tools = (clip(name, MOST_SHOWN) for name in (names(call)[-1], limit.tool))
        return Refused(self.name, f"too many calls of `{called}`: `{limit.place}` is a limit for `{tools}`; {why}",
                       rule=limit.place)

    # --- how many at once ----------------------------------------------------------------------------------------

    async def _take(self, number: int, shared: tuple[_Entry, ...]) -> None:
        """Take a place at every entry, as soon as all of them have one."""
        if all(entry.free for entry in shared):
            for entry in shared:
                entry.free -= 1
        else:
            waiter = _Waiter(shared)
            for entry in shared:
                entry.waiting[waiter] = None
            try:
                await waiter.slot
            except BaseException:  # a cancel, mostly; perhaps when the places were given already
                self._leave(waiter)
                raise
        self._held.setdefault(number, []).append(shared)

    def _leave(self, waiter: _Waiter) -> None:
        for entry in waiter.shared:
            entry.waiting.pop(waiter, None)
        if waiter.granted:
            self._give_back(waiter.shared)

    def _give_back(self, shared: tuple[_Entry, ...]) -> None:
        for entry in shared:
            entry.free += 1
        for entry in shared:
            for waiter in list(entry.waiting):
                if not entry.free:
                    break
                if all(each.free for each in waiter.shared):
                    self._grant(waiter)
        self._wake()

    def _grant(self, waiter: _Waiter) -> None:
        waiter.granted = True
        for entry in waiter.shared:
            entry.free -= 1
            del entry.waiting[waiter]
        self._granted.append(waiter)

    def _wake(self) -> None:
        """Let those go on who were given their places. One that ends at once gives its places to the next: that one is
        woken here in its turn, not inside of the first."""
        if self._waking:
            return
        self._waking = True
        try:
            while self._granted:
                try:
                    self._granted.popleft().slot.settle(None)
                except Exception as error:
                    self._report("error", f"limits: a call that had waited broke: {error!r}")
        finally:
            self._waking = False

    # --- how large -----------------------------------------------------------------------------------------------

    def _cut(self, call: Call, result: Complete, about: _About) -> Outcome:
        limit, body = about.chars, result.body
        if (len(body) if isinstance(body, bytes) else sum(map(len, body))) <= limit:
            return result  # no more characters than bytes
        try:
            return cut(call, result, limit, self._keep)
        except (ValueError, RecursionError):
            name, place = clip(names(call)[-1], MOST_SHOWN), about.chars_place
            return Refused(self.name, f"the result of `{name}` was withheld: it is longer than {limit:,} characters "
                           f"(`{place}`), and cannot be cut", rule=place)
