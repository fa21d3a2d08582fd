"""The trail of a call that is not sent: what each stage said, in the order of the chain, and nothing at its end."""
from __future__ import annotations

import json
from typing import Any

import pytest

from kit.corridor import Road, call, complete, ports, run
from shack_gateway.pipeline.approval import Approval
from shack_gateway.pipeline.call import Call, Complete, InputRequired, Outcome, Refused
from shack_gateway.pipeline.chain import HookRun, Ports, Program, Stage
from shack_gateway.pipeline.explaining import Trail, Watch, explain
from shack_gateway.pipeline.stages import hooks


class Says(Stage):
    """A stage that returns, or raises, what it is told to."""

    def __init__(self, name: str, said: Any = None, *, gate: bool = False) -> None:
        self.name, self.gate, self._said = name, gate, said
        self.seen: list[dict[str, Any]] = []
        self.over = 0

    async def before(self, call: Call) -> Call | Outcome:
        self.seen.append(call.arguments)
        said = self._said(call) if callable(self._said) else self._said
        if isinstance(said, Exception):
            raise said
        return call if said is None else said

    async def after(self, call: Call, outcome: Outcome) -> Outcome:
        raise AssertionError("there is no result")

    def ended(self, call: Call) -> None:
        self.over += 1

    def why(self, call: Call) -> str:
        return f"{self.name} saw {json.dumps(call.arguments)}"


def trail(*stages: Stage | str, arguments: dict[str, Any] | None = None, watch: Watch | None = None) -> Trail:
    named = [(stage, None) if isinstance(stage, str) else (stage.name, stage) for stage in stages]
    made: Trail = run(explain(named, call(arguments), lambda outcome: outcome, lambda level, text: None,
                              watch or Watch()))
    return made


def verdicts(found: Trail) -> list[str]:
    return [f"{step.stage} {step.verdict}{' again' if step.again else ''}" for step in found.steps]


def changed(call: Call) -> Call:
    return call.with_arguments({"a": 2})


def no_more_of_two(call: Call) -> Refused | None:
    return Refused("permissions", "two is too many", "rule 2") if call.arguments == {"a": 2} else None


TRAILS: list[tuple[str, list[Stage | str], list[str], str]] = [
    ("all pass", [Says("one"), "two", Says("three")], ["one passes", "two idle", "three passes"], "sent"),
    ("nothing is configured", ["one", "two"], ["one idle", "two idle"], "sent"),
    ("one refuses", [Says("one"), Says("two", Refused("sandbox", "no", "rule")), "three", Says("four")],
     ["one passes", "two refuses", "three idle", "four unreached"], "Refused"),
    ("one breaks", [Says("one", ValueError("x")), Says("two")], ["one breaks", "two unreached"], "Refused"),
    ("one returns nonsense", [Says("one", 7), Says("two")], ["one breaks", "two unreached"], "Refused"),
    ("one answers", [Says("one", complete({"content": []})), Says("two")], ["one answers", "two unreached"],
     "Complete"),
    ("one asks", [Says("one", InputRequired({}, None, stage="one")), Says("two")], ["one asks", "two unreached"],
     "InputRequired"),
    ("one changes", [Says("gate", gate=True), Says("two"), Says("three", changed), Says("four", gate=True)],
     ["gate passes", "two passes", "three changes", "gate passes again", "four passes"], "sent"),
    ("a gate refuses the change",
     [Says("gate", no_more_of_two, gate=True), "two", Says("three", changed), Says("four")],
     ["gate passes", "two idle", "three changes", "gate refuses again", "four unreached"], "Refused"),
    ("a copy is no change", [Says("one", lambda call: call.with_arguments(dict(call.arguments)))], ["one passes"],
     "sent"),
    ("a gate that changes", [Says("gate", changed, gate=True), Says("two", changed)],
     ["gate changes", "two passes", "gate breaks again"], "Refused"),
]


@pytest.mark.parametrize("stages, wanted, end", [row[1:] for row in TRAILS], ids=[row[0] for row in TRAILS])
def test_a_trail_is_what_the_stages_said(stages: list[Stage | str], wanted: list[str], end: str) -> None:
    found = trail(*stages, arguments={"a": 1})
    assert verdicts(found) == wanted
    assert ("sent" if found.sent is not None else type(found.outcome).__name__) == end


@pytest.mark.parametrize("stages", [row[1] for row in TRAILS], ids=[row[0] for row in TRAILS])
def test_the_end_of_a_trail_is_that_of_the_chain(stages: list[Stage | str]) -> None:
    """What the chain itself does with the same stages: sends the same, or comes to the same outcome."""
    def fresh() -> list[Stage]:
        return [Plain(each.name, each._said, gate=each.gate) for each in stages if isinstance(each, Says)]

    road = Road(*fresh())
    outcome = road.run(call({"a": 1}))
    found = trail(*fresh(), arguments={"a": 1})
    assert [sent.arguments for sent in road.sent] == ([] if found.sent is None else [found.sent.arguments])
    if found.sent is None:
        assert type(found.outcome) is type(outcome)
        if isinstance(outcome, Refused):
            assert isinstance(found.outcome, Refused) and found.outcome.text == outcome.text


class Plain(Says):
    """The same without a way back."""

    after = Stage.after


def test_reasons_and_changes_are_kept() -> None:
    found = trail(Says("one"), Says("two", changed), Says("three", Refused("guardrails", "no", "rule 3")),
                  arguments={"a": 1})
    one, two, three = found.steps
    assert one.why == 'one saw {"a": 1}' and two.changed == ({"a": 1}, {"a": 2})
    assert (three.rule, three.why) == ("rule 3", "no")


def test_the_text_of_an_answer_is_kept() -> None:
    found = trail(Says("one", complete({"content": [{"type": "text", "text": "dry"}, 7, {"text": "run"}]})))
    assert found.steps[0].why == "dry\nrun" and isinstance(found.outcome, Complete)


def test_a_stage_that_cannot_say_why_still_passes() -> None:
    class Mute(Says):
        def why(self, call: Call) -> str:
            raise KeyError("x")

    found = trail(Mute("one"))
    assert verdicts(found) == ["one passes"] and "KeyError" in found.steps[0].why


def test_what_stages_hold_for_the_call_is_given_back() -> None:
    one, two, three = Says("one"), Says("two", Refused("limits", "no")), Says("three")
    trail(one, two, three)
    assert (one.over, two.over, three.over) == (1, 0, 0)
    trail(one, three)
    assert (one.over, three.over) == (2, 1)


def test_who_would_be_asked_is_told_and_gets_nothing() -> None:
    class Asks(Stage):
        name = "asks"

        def __init__(self, ports: Ports) -> None:
            self._approval = Approval(self.name, ports.office, ports.report)

        async def before(self, call: Call) -> Call | Outcome:
            return self._approval.judge(call, "rule 7") or call

    watch = Watch()
    found = trail(Asks(watch.adapt(ports())), watch=watch)
    assert (found.steps[0].verdict, found.steps[0].rule) == ("asks", "rule 7")
    assert isinstance(found.outcome, Refused) and "shack-gateway approve" not in found.outcome.text


def test_runs_of_hooks_belong_to_the_step_and_know_their_place() -> None:
    ran: list[Program] = []

    async def run_hook(program: Program, payload: bytes, limit: float) -> HookRun:
        ran.append(program)
        return HookRun(0, "", "a word\n")

    watch = Watch()
    given = watch.adapt(ports(run_hook=run_hook))
    settings = {"pre_tool_hook": "first", "post_tool_hook": "never", "hooks": (), "hook_timeout_secs": None}
    built = hooks.build(settings, given)
    assert built is not None
    found = trail(Says("one"), built, Says("three"), watch=watch)
    assert [step.trace for step in found.steps] == [
        (), ("pre_tool_hook: exit code 0 (first)", "pre_tool_hook wrote to stderr: a word"), ()]
    assert [program.command for program in ran] == ["first"]
