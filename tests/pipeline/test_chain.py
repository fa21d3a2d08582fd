"""The rules of the chain: fail closed, judge what is sent, seal what leaves."""
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.corridor import Road, call, complete, refused, run
from kit.host import ROOT
from shack_gateway.errors import Cancelled
from shack_gateway.pipeline.call import Call, Complete, Failed, InputRequired, Outcome, Refused
from shack_gateway.pipeline.chain import Chain, Stage
from shack_gateway.pipeline.stages import ORDER, StageFile, hooks, masking, permissions, sandbox


class Step(Stage):
    """A stage that writes down what it is asked, and does what it is told."""

    def __init__(
        self, name: str, story: list[str], *, gate: bool = False, before: Callable[[Call], Any] | None = None,
        after: Callable[[Outcome], Any] | None = None,
    ) -> None:
        self.name, self.gate, self._story, self._before, self._after = name, gate, story, before, after

    async def before(self, call: Call) -> Any:
        self._story.append(f"{self.name}({call.arguments.get('x', '')})")
        return self._before(call) if self._before else call

    async def after(self, call: Call, outcome: Outcome) -> Any:
        self._story.append(f"{self.name}'({call.arguments.get('x', '')})")
        return self._after(outcome) if self._after else outcome


def explode(_: object) -> Any:
    raise ValueError("secret detail")


NO = Refused("hooks", "no")


def test_before_parts_run_in_order_and_after_parts_in_reverse() -> None:
    story: list[str] = []
    Road(Step("a", story), Step("b", story), Step("c", story)).run(call())
    assert story == ["a()", "b()", "c()", "c'()", "b'()", "a'()"]


def test_an_outcome_ends_the_way_and_only_stages_it_has_passed_see_it() -> None:
    story: list[str] = []
    road = Road(Step("a", story), Step("b", story, before=lambda _: NO), Step("c", story))
    assert road.run(call()) == NO._replace(server="fs")
    assert story == ["a()", "b()", "a'()"]
    assert road.sent == []


@pytest.mark.parametrize("broken", [explode, lambda _: None, lambda _: "yes", lambda _: {}], ids=["raises", "None",
    "str", "dict"])
@pytest.mark.parametrize("gate", [True, False], ids=["gate", "stage"])
def test_a_stage_that_breaks_before_refuses_the_call(broken: Callable[[object], Any], gate: bool) -> None:
    story: list[str] = []
    road = Road(Step("bad", story, gate=gate, before=broken), Step("next", story))
    outcome = refused(road.run(call()))
    assert (outcome.stage, outcome.rule, road.sent, story) == ("stage", "bad", [], ["bad()"])
    assert "refused" in outcome.text and "call 7" in outcome.text and "secret" not in outcome.text
    assert road.log and "call 7" in road.log[0][1]


@pytest.mark.parametrize("broken", [explode, lambda _: None, lambda _: call()], ids=["raises", "None", "a call"])
def test_a_stage_that_breaks_after_withholds_the_result(broken: Callable[[object], Any]) -> None:
    seen: list[Outcome] = []

    def see(outcome: Outcome) -> Outcome:
        seen.append(outcome)
        return outcome

    story: list[str] = []
    road = Road(Step("first", story, after=see), Step("bad", story, after=broken),
        answer=complete({"token": "hunter2"}))
    outcome = refused(road.run(call()))
    assert (outcome.stage, outcome.rule) == ("stage", "bad")
    assert "withheld" in outcome.text and "hunter2" not in outcome.text and "secret" not in outcome.text
    assert [said.text for said in seen if isinstance(said, Refused)] == [outcome.text] and road.log


@pytest.mark.parametrize("broken", [explode, lambda _: None], ids=["raises", "None"])
def test_a_route_that_breaks_is_a_failure_that_passes_the_stages(broken: Callable[[object], Any]) -> None:
    story: list[str] = []
    log: list[tuple[str, str]] = []

    async def route(call: Call) -> Any:
        return broken(call)

    chain = Chain([Step("a", story)], route, masking.seal, lambda *said: log.append(said))
    outcome = run(chain.run(call()))
    assert isinstance(outcome, Failed) and outcome.kind == "internal"
    assert "secret" not in outcome.text and story == ["a()", "a'()"] and log


def test_a_cancel_is_no_fault_of_a_stage() -> None:
    def cancelled(_: object) -> Any:
        raise Cancelled()

    road = Road(Step("a", [], before=cancelled))
    with pytest.raises(Cancelled):
        road.run(call())
    assert road.log == []


def changed(value: str) -> Callable[[Call], Call]:
    return lambda call: call.with_arguments({"x": value})


def test_gates_before_a_change_judge_the_changed_call_again() -> None:
    story: list[str] = []
    road = Road(Step("gate", story, gate=True), Step("other", story), Step("changer", story, before=changed("new")),
                Step("later gate", story, gate=True))
    road.run(call({"x": "old"}))
    assert story[:5] == ["gate(old)", "other(old)", "changer(old)", "gate(new)", "later gate(new)"]
    assert road.sent[0].arguments == {"x": "new"}


def test_each_of_several_changes_is_judged_by_every_gate_before_it() -> None:
    story: list[str] = []
    road = Road(Step("g", story, gate=True), Step("1", story, before=changed("one")), Step("h", story, gate=True),
                Step("2", story, before=changed("two")))
    road.run(call({"x": "old"}))
    assert [said for said in story if "'" not in said] == ["g(old)", "1(old)", "g(one)", "h(one)", "2(one)", "g(two)",
        "h(two)"]


def only(value: str) -> Callable[[Call], Any]:
    return lambda call: call if call.arguments["x"] == value else NO


def test_a_changed_call_that_a_gate_refuses_is_not_sent() -> None:
    story: list[str] = []
    road = Road(Step("gate", story, gate=True, before=only("old")), Step("changer", story, before=changed("new")))
    assert road.run(call({"x": "old"})) == NO._replace(server="fs")
    assert road.sent == []
    assert story == ["gate(old)", "changer(old)", "gate(new)", "gate'(old)"], "the changer did not let the call pass"


@pytest.mark.parametrize(
    "again", [explode, lambda _: None, changed("third")], ids=["raises", "None", "changes what it judges"])
def test_a_gate_that_breaks_when_it_is_asked_again_refuses_the_call(again: Callable[[Call], Any]) -> None:
    road = Road(Step("gate", [], gate=True, before=lambda call: call if call.arguments["x"] == "old" else again(call)),
                Step("changer", [], before=changed("new")))
    assert refused(road.run(call({"x": "old"}))).stage == "stage"
    assert road.sent == []


@pytest.mark.parametrize("with_after", [True, False], ids=["with an after part", "without"])
def test_a_refusal_names_the_server_that_the_call_was_for(with_after: bool) -> None:
    class Gate(Stage):
        async def before(self, call: Call) -> Any:
            return NO

    road = Road(*[Step("a", [])] * with_after, Gate())
    assert road.run(call(server="tickets")).server == "tickets"
    assert NO.server == ""


def test_after_parts_see_the_call_that_was_sent() -> None:
    story: list[str] = []
    Road(Step("changer", story, before=changed("new"))).run(call({"x": "old"}))
    assert story[-1] == "changer'(new)"


def test_a_stage_without_parts_costs_nothing_and_breaks_nothing() -> None:
    story: list[str] = []
    Road(Stage(), Step("a", story), Stage()).run(call())
    assert story == ["a()", "a'()"]


@pytest.mark.parametrize("outcome", [
    complete({"content": []}), InputRequired({}, None), Failed("server", "gone"), NO, "a stage breaks",
        "a route breaks",
], ids=["complete", "question", "failed", "refused", "broken stage", "broken route"])
def test_the_seal_treats_every_outcome_last(outcome: Any) -> None:
    sealed: list[Outcome] = []

    def seal(last: Outcome) -> Outcome:
        sealed.append(last)
        return Refused("stage", "sealed")

    async def route(call: Call) -> Any:
        return None if outcome == "a route breaks" else outcome

    before = explode if outcome == "a stage breaks" else (lambda call: NO if outcome is NO else call)
    chain = Chain([Step("a", [], before=before)], route, seal, lambda *_: None)
    assert run(chain.run(call())).text == "sealed"
    assert len(sealed) == 1


@pytest.mark.parametrize("broken", [explode, lambda _: None], ids=["raises", "None"])
def test_what_cannot_be_sealed_is_withheld(broken: Callable[[object], Any]) -> None:
    road = Road(answer=complete({"token": "hunter2"}), seal=broken)
    for outcome in (road.run(call()), road.chain.seal(Failed("server", "hunter2"))):
        assert "withheld" in refused(outcome).text and "hunter2" not in outcome.text
    assert len(road.log) == 2


class Watching(Step):
    """A step that is told when a call it let pass is over."""

    def ended(self, call: Call) -> None:
        self._story.append(f"{self.name}.")


ENDS = [
    # what the stage in the middle does, who is told of the end
    ("passes", lambda passing: passing, ["a.", "b.", "c."]),
    ("refuses", lambda _: NO, ["a."]),
    ("breaks", explode, ["a."]),
    ("changes", lambda passing: passing.with_arguments({"x": "2"}), ["a.", "b.", "c."]),
    ("is cancelled", None, ["a."]),
]


@pytest.mark.parametrize("before, told", [end[1:] for end in ENDS], ids=[end[0] for end in ENDS])
def test_whoever_let_a_call_pass_is_told_once_that_it_is_over(before: Any, told: list[str]) -> None:
    def cancel(_: object) -> Any:
        raise Cancelled()

    story: list[str] = []
    road = Road(Watching("a", story), Watching("b", story, before=before or cancel), Watching("c", story))
    try:
        road.run(call())
    except Cancelled:
        assert before is None
    assert [line for line in story if line.endswith(".")] == told


def test_the_end_of_a_call_tells_how_it_came_what_was_sent_and_what_leaves() -> None:
    told: list[Any] = []
    clock = iter((5.0, 7.5))
    road = Road(Step("a", [], before=lambda passing: passing.with_arguments({"x": "sent"})))
    road.chain._now = lambda: next(clock)
    road.chain.on_end = lambda *end: told.append(end)
    asked = call({"x": "came"})
    outcome = road.run(asked)
    [(first, sent, left, secs)] = told
    assert (first, sent.arguments, secs) == (asked, {"x": "sent"}, 2.5) and left is outcome


def test_a_cancelled_call_ends_without_an_outcome() -> None:
    def cancel(_: object) -> Any:
        raise Cancelled()

    told: list[Any] = []
    road = Road(Step("a", [], before=cancel))
    road.chain.on_end = lambda *end: told.append(end)
    with pytest.raises(Cancelled):
        road.run(call())
    assert [end[2] for end in told] == [None]


def test_who_cannot_bear_the_end_of_a_call_does_not_spoil_it() -> None:
    road = Road(answer=complete({"content": []}))
    road.chain.on_end = lambda *end: explode(end)
    assert isinstance(road.run(call()), Complete)
    assert "its end could not be noted" in road.log[0][1]


def test_the_stages_stand_in_the_order_of_the_house() -> None:
    assert [file.name for file in ORDER] == [
        "profiles", "limits", "sandbox", "permissions", "guardrails", "injections", "hooks", "dry_run", "masking",
    ]


@pytest.mark.parametrize("file", ORDER, ids=lambda file: file.name)
def test_a_stage_that_is_not_always_there_is_known_by_all_its_keys(file: StageFile) -> None:
    assert not file.keys or file.keys == tuple(field.key for field in file.FIELDS)


def test_a_configuration_without_policy_imports_no_stage_that_it_does_not_use(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"workspace_root": str(tmp_path)}))
    code = ("import sys; from shack_gateway.config.load import load; from shack_gateway import app\n"
            f"app.stages(load({str(path)!r}, {{}}), app.Ports('/', str, None, print))\n"
            "print(*(name for name in sys.modules if name.startswith('shack_gateway.pipeline.stages.')))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert sorted(name.rpartition(".")[2] for name in done.stdout.split()) == ["masking", "sandbox"]


def test_gates_are_the_stages_that_only_judge() -> None:
    assert sandbox.Sandbox.gate and permissions.Permissions.gate
    assert not hooks.Hooks.gate and not masking.Masking.gate


def test_masking_stands_in_its_place_and_passes_everything_through() -> None:
    assert masking.FIELDS == ()
    stage = masking.build({}, None)  # type: ignore[arg-type]
    assert isinstance(stage, masking.Masking)
    asked, answer = call({"x": "1"}), complete({"content": []})
    road = Road(stage, answer=answer)
    assert road.run(asked) is answer and road.sent == [asked]
    assert isinstance(answer, Complete)
    for outcome in (answer, NO, Failed("server", "gone"), InputRequired({}, None)):
        assert masking.seal(outcome) is outcome


def test_a_stage_that_has_nothing_to_do_with_a_tool_is_left_out_and_asked_once_for_each() -> None:
    asked: list[str] = []

    class Choosy(Watching):
        def concerns(self, call: Call) -> bool:
            asked.append(call.name)
            return call.target == "read"

    story: list[str] = []
    road = Road(Choosy("a", story, gate=True), Step("b", story))
    for target in ("read", "write", "read", "write"):
        story.clear()
        road.run(call(target=target))
        assert story == (["a()", "b()", "b'()", "a'()", "a."] if target == "read" else ["b()", "b'()"])
    assert asked == ["fs__read", "fs__write"]


def test_a_stage_that_cannot_say_whether_it_is_concerned_is_asked_about_every_call() -> None:
    class Broken(Step):
        def concerns(self, call: Call) -> bool:
            raise ValueError

    road = Road(Broken("a", [], before=lambda _: NO))
    assert refused(road.run(call())).text == "no" and road.sent == []
