"""The tokens behind open questions."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest

from shack_gateway.core.questions import MOST_PENDING, PREFIX, Questions
from shack_gateway.errors import RequestError
from shack_gateway.pipeline.call import TOOL, Call, Context, InputRequired, digest
from shack_gateway.wire.dialect import AGAIN_STATE

FORM = {"q": {"method": "elicitation/create", "params": {"message": "Who?"}}}


class Rig:
    """Questions with a clock and a source of randomness of the test's own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []
        self._random = random.Random(5)
        self.questions = Questions(lambda: self.now, self._random.randbytes, 300, self.log.append)

    def ask(self, asked: Call, **outcome: Any) -> InputRequired:
        return self.questions.ask(asked, InputRequired(FORM, outcome.pop("state", None), asked.server, **outcome))

    def resume(self, asked: Call, state: Any, responses: Any = None) -> Call:
        params = {**asked.params, "requestState": state}
        if responses is not None:
            params["inputResponses"] = responses
        return self.questions.resume(asked.resumed(params, {}))[0]


def call(arguments: Mapping[str, Any] | None = None, *, server: str = "a", target: str = "t") -> Call:
    given = dict(arguments or {"x": 1})
    return Call(1, TOOL, server, f"{server}__{target}", target, given, {"name": "a__t"}, Context())


def refused(rig: Rig, asked: Call, state: Any, responses: Any = None) -> str:
    with pytest.raises(RequestError) as caught:
        rig.resume(asked, state, responses)
    assert caught.value.kind == "bad params"
    return caught.value.what


def test_a_stages_answers_reach_the_stage_and_nobody_else() -> None:
    rig = Rig()
    state = rig.ask(call(), stage="permissions").state
    resumed = rig.resume(call(), state, {"q": {"action": "accept"}})
    assert resumed.answers == {"q": {"action": "accept"}}
    assert "inputResponses" not in resumed.params and "requestState" not in resumed.params


def test_a_parked_calls_handle_is_told_to_nobody_and_comes_back() -> None:
    rig = Rig()
    state = rig.ask(call(), state="handle", parked=True).state
    assert state is not None and state.startswith(PREFIX) and "handle" not in state
    resumed = rig.resume(call(), state, {"q": {"action": "accept"}})
    assert resumed.params["requestState"] == "handle"
    assert resumed.params["inputResponses"] == {"q": {"action": "accept"}} and not resumed.answers


def test_a_servers_own_state_passes_as_it_is_in_both_directions() -> None:
    rig = Rig()
    asked = rig.ask(call(), state="of the server")
    assert asked.state == "of the server"
    resumed = rig.resume(call(), "of the server", {"q": {}})
    assert resumed.params["requestState"] == "of the server" and resumed.params["inputResponses"] == {"q": {}}


def test_what_a_stage_was_told_is_kept_while_the_server_asks() -> None:
    rig = Rig()
    approved = rig.resume(call(), rig.ask(call(), stage="permissions").state, {"q": {"action": "accept"}})
    asked = rig.ask(approved, state="of the server")
    assert asked.state is not None and asked.state.startswith(PREFIX)
    resumed = rig.resume(call(), asked.state, {"k": {"action": "decline"}})
    assert resumed.answers == {"q": {"action": "accept"}}
    assert resumed.params["requestState"] == "of the server"
    assert resumed.params["inputResponses"] == {"k": {"action": "decline"}}


def test_a_state_that_says_again_starts_anew() -> None:
    resumed = Rig().resume(call(), AGAIN_STATE, {"url-1": {"action": "accept"}})
    assert resumed.params == {"name": "a__t"}


@pytest.mark.parametrize("other", [call({"x": 2}), call(server="b"), call(target="u"), call({"x": 1, "y": None})])
def test_a_token_is_good_for_its_own_call_only_and_stays_good_for_that(other: Call) -> None:
    rig = Rig()
    state = rig.ask(call(), stage="permissions").state
    assert "another call" in refused(rig, other, state)
    assert rig.resume(call(), state)


def test_a_token_is_good_once_and_for_its_time() -> None:
    rig = Rig()
    state = rig.ask(call(), stage="permissions").state
    rig.resume(call(), state)
    assert "used before" in refused(rig, call(), state)
    late = rig.ask(call(), stage="permissions").state
    rig.now += 300
    assert "expired" in refused(rig, call(), late)
    assert "expired" in refused(Rig(), call(), late), "another gateway knows nothing of it"


def test_any_change_of_a_token_makes_it_worthless() -> None:
    rig = Rig()
    state = rig.ask(call(), stage="permissions").state
    assert state is not None
    source = random.Random(11)
    for _ in range(300):
        at = source.randrange(len(PREFIX), len(state))
        spoilt = state[:at] + source.choice("ABab01-_.é") + state[at + 1 :]
        if spoilt != state:
            assert "expired" in refused(rig, call(), spoilt)
    assert "expired" in refused(rig, call(), PREFIX) and "expired" in refused(rig, call(), f"{PREFIX}..")
    assert rig.resume(call(), state)


@pytest.mark.parametrize("responses", [5, [], "x", {"q": 5}, {"q": None}, {"q": ["a"]}], ids=str)
def test_answers_of_a_wrong_shape_use_no_token_up(responses: Any) -> None:
    rig = Rig()
    state = rig.ask(call(), stage="permissions").state
    assert "inputResponses" in refused(rig, call(), state, responses)
    assert rig.resume(call(), state, {"q": {}})


@pytest.mark.parametrize("state", [5, True, {}, []], ids=str)
def test_a_state_that_is_no_string_is_refused(state: Any) -> None:
    assert "requestState" in refused(Rig(), call(), state)


def test_past_the_most_the_oldest_token_is_no_longer_good() -> None:
    rig = Rig()
    states = [rig.ask(call({"n": n}), stage="permissions").state for n in range(MOST_PENDING + 1)]
    assert "expired" in refused(rig, call({"n": 0}), states[0])
    assert rig.resume(call({"n": 1}), states[1]) and rig.resume(call({"n": MOST_PENDING}), states[-1])


def test_a_call_that_is_spelt_otherwise_is_the_same_call() -> None:
    assert digest(call({"a": 1, "b": [1.0]})) == digest(call({"b": [1.0], "a": 1}))
    assert digest(call({"a": "\ud83d"})) != digest(call({"a": "?"}))
    assert digest(call({"a": 1})) != digest(call({"a": "1"})) != digest(call({"a": True}))


def test_what_is_asked_and_answered_is_noted_without_what_the_user_wrote() -> None:
    rig = Rig()
    state = rig.ask(call(), stage="permissions").state
    rig.resume(call(), state, {"q": {"action": "accept", "content": {"name": "Ada"}}})
    assert "Who?" in rig.log[0] and "Ada" not in "".join(rig.log)
    state = rig.ask(call(), state="handle", parked=True).state
    rig.resume(call(), state, {"q": {"action": "accept", "content": {"name": "Ada"}}, "made up": {"action": "accept"}})
    assert "accept" in rig.log[-1] and "made up" not in "".join(rig.log) and "Ada" not in "".join(rig.log)
    heard = len(rig.log)
    refused(rig, call(), state, {"q": {"action": "accept"}})
    assert len(rig.log) == heard, "a token that is no good answers nothing"


def test_a_state_that_looks_like_one_of_ours_goes_into_one_of_ours() -> None:
    rig = Rig()
    for theirs in (f"{PREFIX}of.another", AGAIN_STATE):
        asked = rig.ask(call(), state=theirs)
        assert asked.state != theirs
        assert rig.resume(call(), asked.state, {}).params["requestState"] == theirs


def test_answers_of_the_house_go_along_with_the_users() -> None:
    rig = Rig()
    asked = rig.ask(call(), state="s", given={"roots": {"roots": []}})
    resumed = rig.resume(call(), asked.state, {"q": {"action": "decline"}})
    assert resumed.params["inputResponses"] == {"q": {"action": "decline"}, "roots": {"roots": []}}


def test_what_stages_know_is_kept_with_the_question() -> None:
    rig = Rig()
    asked = rig.ask(call(), state="s", known={"permissions-x": {"action": "accept"}})
    assert rig.resume(call(), asked.state).answers == {"permissions-x": {"action": "accept"}}
