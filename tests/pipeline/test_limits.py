"""Limits: what a configuration may say, calls per minute, calls at once, and which results are cut."""
from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from kit.corridor import Road, complete, ports, read, refused, run, stage
from kit.hooking import Shell, specific
from shack_gateway.pipeline.call import PROMPT, RESOURCE, TOOL, Call, Complete, Context, Failed, InputRequired, Refused
from shack_gateway.pipeline.chain import Chain, Stage
from shack_gateway.pipeline.stages import ORDER, hooks, limits, masking
from shack_gateway.slot import Drive, Slot

MINUTE = [{"calls_per_minute": 2}]


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.secs = 1000.0

    def __call__(self) -> float:
        return self.secs


def built(*entries: dict[str, Any], clock: Callable[[], float] | None = None, log: Any = None) -> limits.Limits:
    made = stage(limits, ports(now=clock or Clock(), log=log), limits=list(entries))
    assert isinstance(made, limits.Limits)
    return made


def a_call(name: str = "fs__read", *, kind: str = TOOL, number: int = 7, answers: Any = None, **params: Any) -> Call:
    server, _, target = name.partition("__")
    return Call(number, kind, server, name, target, {}, params, Context(), answers or {})


# --- the key ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value, finding", [
    ({}, "error `limits` must be a list of objects"),
    (["x"], "error `limits[0]` must be an object"),
    ([{}], "error `limits[0]` limits nothing"),
    ([{"tool": "a__b"}], "error `limits[0]` limits nothing"),
    ([{"calls_per_minute": 0}], "error `limits[0].calls_per_minute` is out of range"),
    ([{"calls_per_minute": 1.5}], "error `limits[0].calls_per_minute` must be a whole number"),
    ([{"calls_per_minute": "9"}], "error `limits[0].calls_per_minute` must be a number"),
    ([{"concurrent_calls": 0}], "error `limits[0].concurrent_calls` is out of range"),
    ([{"max_result_chars": 99}], "error `limits[0].max_result_chars` is out of range"),
    ([{"calls_per_minute": 1}, {"call_per_minute": 1}], "error `limits[1].call_per_minute` is not a key"),
    ([{"calls_per_minute": 1, "tool": " "}], "error `limits[0].tool` is empty"),
    ([{"calls_per_minute": 1, "tool": 5}], "error `limits[0].tool` must be a string"),
    ([{"calls_per_minute": 1, "tool": "github"}], "warning `limits[0].tool` can never match"),
    ([{"calls_per_minute": 1, "speed": 5}], "warning `limits[0].speed` is not a key"),
], ids=str)
def test_what_is_wrong_with_an_entry_is_told_with_its_place(value: Any, finding: str) -> None:
    _, found = read(limits, limits=value)
    assert any(each.startswith(finding) for each in found), found


def test_a_good_list_is_read_without_a_word() -> None:
    out, found = read(limits, limits=[{"tool": "a__*", "calls_per_minute": 5}, {"max_result_chars": 5000}])
    assert not found
    assert out["limits"] == (limits.Limit("limits[0]", "a__*", 5, 0, 0), limits.Limit("limits[1]", "*", 0, 0, 5000))
    assert limits.cuts_results(out) and not limits.cuts_results(read(limits, limits=MINUTE)[0])


def test_without_an_entry_there_is_no_stage() -> None:
    assert stage(limits, ports()) is None and stage(limits, ports(), limits=[]) is None


# --- calls per minute ------------------------------------------------------------------------------------------------


def test_a_call_too_many_is_refused_until_the_first_is_a_minute_old() -> None:
    clock = Clock()
    made = built(*MINUTE, clock=clock)
    for _ in range(2):
        run(made.before(a_call()))
        clock.secs += 10
    said = refused(run(made.before(a_call())))
    assert (said.stage, said.rule) == ("limits", "limits[0]")
    assert "`fs__read`" in said.text and "`limits[0]`" in said.text and "in 40 s" in said.text
    clock.secs += 39.5
    assert "in 1 s" in refused(run(made.before(a_call()))).text
    clock.secs += 0.5
    assert isinstance(run(made.before(a_call())), Call)
    assert "in 10 s" in refused(run(made.before(a_call()))).text, "the second one is the oldest now"


def test_a_refused_call_does_not_count() -> None:
    clock = Clock()
    made = built({"tool": "*", "calls_per_minute": 3}, {"tool": "fs__read", "calls_per_minute": 1}, clock=clock)
    run(made.before(a_call("fs__read")))
    for _ in range(9):
        assert refused(run(made.before(a_call("fs__read")))).rule == "limits[1]"
    for _ in range(2):
        assert isinstance(run(made.before(a_call("fs__write"))), Call)
    assert refused(run(made.before(a_call("fs__write")))).rule == "limits[0]"


@pytest.mark.parametrize("pattern, name, kind, matches", [
    ("*", "fs__read", TOOL, True),
    ("fs__*", "fs__read", TOOL, True),
    ("fs__read", "fs__read", TOOL, True),
    ("fs__rea?", "fs__read", TOOL, True),
    ("mcp__fs__read", "fs__read", TOOL, True),
    ("mcp__shack__fs__read", "fs__read", TOOL, True),
    ("git__*", "fs__read", TOOL, False),
    ("fs__write", "fs__read", TOOL, False),
    ("fs__resources/read", "fs__file:///a", RESOURCE, True),
    ("fs__*", "fs__file:///a", RESOURCE, True),
    ("fs__file*", "fs__file:///a", RESOURCE, False),
    ("fs__hello", "fs__hello", PROMPT, True),
], ids=str)
def test_an_entry_counts_what_its_pattern_names(pattern: str, name: str, kind: str, matches: bool) -> None:
    made = built({"tool": pattern, "calls_per_minute": 1})
    run(made.before(a_call(name, kind=kind)))
    assert isinstance(run(made.before(a_call(name, kind=kind))), Refused) is matches
    assert made.why(a_call(name, kind=kind)) == ("limits[0]: 1 calls per minute" if matches else "")


def test_all_resources_of_a_server_are_counted_together() -> None:
    made = built({"tool": "fs__resources/read", "calls_per_minute": 2})
    for uri in "ab":
        run(made.before(a_call(f"fs__file:///{uri}", kind=RESOURCE)))
    refused(run(made.before(a_call("fs__file:///c", kind=RESOURCE))))
    assert isinstance(run(made.before(a_call("db__file:///c", kind=RESOURCE))), Call)


def test_the_answers_to_a_question_of_ours_are_no_new_call() -> None:
    made = built({"calls_per_minute": 1})
    run(made.before(a_call()))
    for _ in range(3):
        assert isinstance(run(made.before(a_call(answers={"permissions-1": {"action": "accept"}}))), Call)
    refused(run(made.before(a_call())))


@pytest.mark.parametrize("params", [{"inputResponses": {"a": {}}}, {"requestState": "s"}], ids=str)
def test_the_answers_to_a_question_of_a_server_are_no_new_call_but_only_as_often_as_it_asked(params: Any) -> None:
    made = built({"calls_per_minute": 1})
    first = run(made.before(a_call()))
    refused(run(made.before(a_call(**params))))
    run(made.after(first, InputRequired({"a": {}}, "s")))
    assert isinstance(run(made.before(a_call(**params))), Call)
    refused(run(made.before(a_call(**params))))


# --- calls at once ---------------------------------------------------------------------------------------------------


class Gate(Stage):
    """A stage behind the limits that refuses the calls whose numbers it was told."""

    name = "gate"

    def __init__(self) -> None:
        self.refuses: set[int] = set()

    async def before(self, call: Call) -> Any:
        return Refused("permissions", "no") if call.number in self.refuses else call


class Corridor:
    """A chain with limits before a server that answers when it is told to."""

    def __init__(self, *entries: dict[str, Any]) -> None:
        self.log: list[tuple[str, str]] = []
        self.limits, self.gate = built(*entries, log=self.log), Gate()
        self.open: dict[int, Slot[Any]] = {}
        self.started: list[int] = []
        self.drives: dict[int, Drive] = {}
        self.outcomes: dict[int, Any] = {}
        self.after: dict[int, Callable[[], None]] = {}
        """What happens as soon as a call has its outcome."""
        self.chain = Chain([self.limits, self.gate], self._route, masking.seal, lambda *said: self.log.append(said))

    async def _route(self, call: Call) -> Any:
        self.started.append(call.number)
        slot = self.open[call.number] = Slot()
        try:
            answer = await slot
        finally:
            del self.open[call.number]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def start(self, number: int, name: str = "fs__read") -> None:
        def finish(outcome: Any) -> None:
            self.outcomes[number] = outcome
            self.after.get(number, lambda: None)()

        def fault(error: Exception) -> None:
            raise error

        self.drives[number] = Drive(self.chain.run(a_call(name, number=number)), finish, fault)
        self.drives[number].step()

    def end(self, number: int, answer: Any = None) -> None:
        self.open[number].settle(complete({"content": []}) if answer is None else answer)

    def cancel(self, number: int) -> None:
        self.drives[number].cancel()

    @property
    def empty(self) -> bool:
        """Every place is free and nobody waits."""
        entries = self.limits._entries
        return (all(entry.free == entry.limit.concurrent_calls and not entry.waiting for entry in entries)
                and not self.limits._held and not self.limits._granted)


def queue(length: int) -> Corridor:
    """One place, and so many calls that want it: the first has it."""
    rig = Corridor({"concurrent_calls": 1})
    for number in range(length):
        rig.start(number)
    return rig


def test_calls_wait_and_go_on_in_their_order() -> None:
    rig = Corridor({"concurrent_calls": 2})
    for number in range(6):
        rig.start(number)
    assert rig.started == [0, 1]
    rig.end(1)
    assert rig.started == [0, 1, 2]
    rig.end(2)
    rig.end(0)
    assert rig.started == [0, 1, 2, 3, 4] and set(rig.outcomes) == {0, 1, 2}
    for number in (3, 4, 5):
        rig.end(number)
    assert rig.empty and not rig.log


@pytest.mark.parametrize("ending", [
    lambda rig: rig.end(0), lambda rig: rig.cancel(0), lambda rig: rig.end(0, InputRequired({"a": {}}, "s")),
    lambda rig: rig.end(0, Failed("server", "gone")), lambda rig: rig.end(0, OSError("broken")),
], ids=["result", "cancel", "question", "failure", "exception"])
def test_however_a_call_ends_the_next_one_goes_on(ending: Callable[[Corridor], None]) -> None:
    rig = queue(2)
    ending(rig)
    assert rig.started == [0, 1]
    rig.end(1)
    assert rig.empty


def test_a_cancelled_call_no_longer_waits() -> None:
    rig = queue(3)
    rig.cancel(1)
    rig.end(0)
    assert rig.started == [0, 2] and 1 not in rig.outcomes
    rig.end(2)
    assert rig.empty


def test_a_call_that_is_cancelled_between_its_grant_and_its_turn_gives_its_place_on() -> None:
    rig = queue(4)
    rig.gate.refuses.add(1)
    granted = []

    def cancel() -> None:  # 1 was refused: its place is 2's already, but 2 was not woken yet
        granted.extend(rig.limits._granted)
        rig.cancel(2)

    rig.after[1] = cancel
    rig.end(0)
    assert len(granted) == 1 and rig.started == [0, 3] and set(rig.outcomes) == {0, 1}
    rig.end(3)
    assert rig.empty


def test_a_call_that_breaks_when_it_is_woken_keeps_nobody_waiting() -> None:
    rig = queue(3)
    rig.gate.refuses.add(1)

    def fault() -> None:
        raise OSError("the host is gone")

    rig.after[1] = fault
    rig.end(0)
    assert rig.started == [0, 2] and "had waited broke: OSError" in rig.log[0][1]
    rig.end(2)
    assert rig.empty


def test_calls_that_are_refused_further_on_one_after_the_other_use_no_stack() -> None:
    rig = queue(900)
    rig.gate.refuses.update(range(1, 899))
    rig.end(0)
    assert len(rig.outcomes) == 899 and rig.started == [0, 899] and not rig.log
    rig.end(899)
    assert rig.empty


def test_past_a_thousand_that_wait_calls_are_refused() -> None:
    rig = queue(limits.MOST_WAITING + 2)
    assert list(rig.outcomes) == [limits.MOST_WAITING + 1]
    said = refused(rig.outcomes[limits.MOST_WAITING + 1])
    assert said.stage == "limits" and "1,000 are waiting" in said.text
    rig.cancel(5)
    rig.start(5000)
    assert 5000 not in rig.outcomes


def test_one_that_waits_for_its_own_tool_does_not_hold_up_the_others() -> None:
    rig = Corridor({"tool": "*", "concurrent_calls": 3}, {"tool": "fs__slow", "concurrent_calls": 1})
    rig.start(0, "fs__slow")
    rig.start(1, "fs__slow")
    rig.start(2, "fs__quick")
    rig.start(3, "fs__quick")
    rig.start(4, "fs__quick")
    assert rig.started == [0, 2, 3]
    rig.end(0)
    assert rig.started == [0, 2, 3, 1], "the slow one came first, and both its entries have a place"
    for number in (1, 2, 3, 4):
        rig.end(number)
    assert rig.empty


def test_a_tool_without_a_limit_never_waits() -> None:
    rig = Corridor({"tool": "fs__*", "concurrent_calls": 1})
    rig.start(0, "fs__read")
    rig.start(1, "git__log")
    assert rig.started == [0, 1]


@pytest.mark.parametrize("seed", range(12))
def test_no_place_is_lost_or_given_twice(seed: int) -> None:
    rng = random.Random(seed)
    most = {"*": rng.randrange(2, 6), "a__*": rng.randrange(1, 4), "a__x": rng.randrange(1, 3),
            "b__*": rng.randrange(1, 3)}
    entries = [{"tool": tool, "concurrent_calls": count} for tool, count in most.items()]
    rng.shuffle(entries)
    rig = Corridor(*entries)
    tools: dict[int, str] = {}
    endings: list[Callable[[int], None]] = [
        rig.end, rig.cancel, lambda n: rig.end(n, InputRequired({"q": {}}, "s")), lambda n: rig.end(n, OSError("x")),
    ]

    def check() -> None:
        places = {tool: sum(limits.named(tool)(tools[number]) for number in rig.open) for tool in most}
        assert all(places[tool] <= most[tool] for tool in most), places
        for number in tools.keys() - set(rig.open) - set(rig.outcomes) - gone:
            needed = [tool for tool in most if limits.named(tool)(tools[number])]
            assert any(places[tool] == most[tool] for tool in needed), f"{number} waits for nothing"

    gone: set[int] = set()
    for number in range(250):
        if rng.random() < 0.55:
            tools[number] = rng.choice(["a__x", "a__y", "b__x", "c__x"])
            if rng.random() < 0.2:
                rig.gate.refuses.add(number)
            rig.start(number, tools[number])
        elif rig.open and rng.random() < 0.8:
            ending, victim = rng.choice(endings), rng.choice(sorted(rig.open))
            gone.add(victim)
            ending(victim)
        elif waiting := sorted(tools.keys() - set(rig.open) - set(rig.outcomes) - gone):
            victim = rng.choice(waiting)
            gone.add(victim)
            rig.cancel(victim)
        check()
    while rig.open:
        victim = rng.choice(sorted(rig.open))
        gone.add(victim)
        rng.choice(endings)(victim)
        check()
    assert rig.empty and set(rig.started) >= set(rig.outcomes) - rig.gate.refuses
    assert not [text for _, text in rig.log if "routing broke" not in text]


# --- results ---------------------------------------------------------------------------------------------------------


def big(length: int) -> Complete:
    return complete({"content": [{"type": "text", "text": "x" * length}]})


def test_a_short_result_is_the_very_same_and_is_not_even_read() -> None:
    made = built({"max_result_chars": 1000})
    short = Complete(b"no JSON at all", shape={})
    assert run(made.after(a_call(), short)) is short
    chunks = Complete([b"no", b" JSON"], shape={})
    assert run(made.after(a_call(), chunks)) is chunks


@pytest.mark.parametrize("entries, name, kind, length", [
    ([{"max_result_chars": 2000}, {"max_result_chars": 1000}, {"max_result_chars": 3000}], "fs__read", TOOL, 1000),
    ([{"max_result_chars": 2000}, {"tool": "git__*", "max_result_chars": 1000}], "fs__read", TOOL, 2000),
    ([{"tool": "git__*", "max_result_chars": 1000}], "fs__read", TOOL, 5000),
    ([{"max_result_chars": 2000}], "fs__hello", PROMPT, 5000),
    ([{"calls_per_minute": 2000}], "fs__read", TOOL, 5000),
], ids=["the least holds", "one of two matches", "none matches", "prompts are not cut", "another limit"])
def test_which_results_are_cut(entries: list[dict[str, Any]], name: str, kind: str, length: int) -> None:
    whole = big(5000)
    out = run(built(*entries).after(a_call(name, kind=kind), whole))
    assert len(out.value["content"][0]["text"]) == length
    assert (out is whole) == (length == 5000)


@pytest.mark.parametrize("event", ["PreToolUse", "PostToolUse"])
@pytest.mark.parametrize("length, shown, is_cut", [
    (990, ["x" * 990, "be careful"], False), (991, ["x" * 991, "be carefu"], True), (3000, ["x" * 1000], True),
], ids=["fits", "a letter too long", "too long without it"])
def test_what_hooks_add_counts_as_the_end_of_the_result(
    event: str, length: int, shown: list[str], is_cut: bool
) -> None:
    shell = Shell(x=specific(event, additionalContext="be careful"))
    adding = stage(hooks, ports(run_hook=shell.run), hooks={event: [{"hooks": [{"command": "x"}]}]})
    assert adding is not None
    out = Road(built({"max_result_chars": 1000}), adding, answer=big(length)).run(a_call())
    texts = [block["text"] for block in out.value["content"]]
    assert texts[: len(shown)] == shown and len(texts) == len(shown) + is_cut
    assert ("This result was cut" in texts[-1]) is is_cut
    assert [file.name for file in ORDER if file.name in ("hooks", "limits")] == ["limits", "hooks"], "as it is here"


def test_what_is_no_result_passes() -> None:
    made = built({"max_result_chars": 1000})
    for outcome in (Refused("hooks", "x" * 2000), Failed("server", "x" * 2000), InputRequired({"a": "x" * 2000}, None)):
        assert run(made.after(a_call(), outcome)) is outcome


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"content": NaN' + b" " * 2000 + b"}", b"x" * 2000],
                         ids=["deep", "NaN", "no JSON"])
def test_a_long_result_that_cannot_be_read_is_withheld(body: bytes) -> None:
    said = refused(run(built({"max_result_chars": 1000}).after(a_call(), Complete(body, shape={}))))
    assert said.stage == "limits" and said.rule == "limits[0]" and "withheld" in said.text


def test_why_names_every_entry_that_holds() -> None:
    made = built({"calls_per_minute": 60, "concurrent_calls": 2}, {"tool": "fs__*", "max_result_chars": 20_000},
                 {"tool": "git__*", "calls_per_minute": 1})
    assert made.why(a_call()) == "limits[0]: 60 calls per minute, 2 at once; limits[1]: 20,000 characters of result"


def test_a_call_that_a_later_stage_changed_is_not_counted_again() -> None:
    class Changes(Stage):
        """Changes every call."""

        name = "changes"

        async def before(self, call: Call) -> Call:
            return call.with_arguments({"more": 1})

    road = Road(built({"calls_per_minute": 1, "concurrent_calls": 1}), Changes())
    assert isinstance(road.run(a_call()), Complete)
    refused(road.run(a_call()))
