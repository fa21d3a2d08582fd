"""Calls that need the user's word: asked through the host where it can ask, approved in a terminal where it cannot."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

from kit import Kept, Scene, json_of, text_of
from kit.answering import ELICIT, ERAS, Answering, Reply, form, rounds

posix = pytest.mark.skipif(sys.platform == "win32", reason="the hook of this test is written for sh")
hosts = pytest.mark.parametrize("era", ERAS)
PROMPT = {"permissions": {"default_decision": "prompt"}}
FORMS: dict[str, Any] = {"elicitation": {"form": {}}}


def user(scene: Scene, era: str, *answers: Any, capabilities: dict[str, Any] | None = None, server: str = "handshake",
         **settings: Any) -> Answering:
    """A host before one server; each answer is a choice of the form, or a whole result."""
    scene.server("a", "echo", "interview", era=server)
    can = FORMS if capabilities is None else capabilities
    return Answering(scene.start(**(settings or PROMPT)), era, can, replies(*answers))


def replies(*answers: Any) -> Reply:
    left = list(answers)

    def reply(method: str, params: dict[str, Any]) -> Any:
        answer = left.pop(0)
        return answer if isinstance(answer, dict) else {"action": "accept", "content": {"answer": answer}}

    return reply


Users = Callable[..., tuple[Scene, Answering]]


@pytest.fixture
def users(kept: Kept) -> Users:
    """As `user`, with a gateway that other tests have too: for calls that no other test makes, and that nothing but
    their own answer decides about."""

    def meet(era: str, *answers: Any) -> tuple[Scene, Answering]:
        scene, host = kept(lambda scene: user(scene, era), era)
        return scene, host.again(replies(*answers))

    return meet


def refusal(answer: dict[str, Any], era: str) -> str:
    """The text of a refusal by the permission rules, in the form that the era has."""
    if era == "stateless":
        assert answer["result"]["isError"] is True, answer
        assert answer["result"]["_meta"]["dev.shack/refusal"]["stage"] == "permissions"
        return text_of(answer)
    assert answer["error"]["code"] == -32002, answer
    return str(answer["error"]["message"])


def calls(scene: Scene) -> int:
    return len(scene.received("a", "tools/call"))


# --- asked through the host ------------------------------------------------------------------------------------------


@hosts
def test_the_question_names_the_call_its_rule_and_its_arguments(users: Users, era: str) -> None:
    _, host = users(era, "once")
    assert text_of(host.call("a__echo", {"text": "hi", "password": "hunter2"}))
    (method, params), = host.asked
    assert method == ELICIT
    for part in ("`a__echo`", "server: a", "tool: echo", "rule: default_decision: prompt", '"text": "hi"'):
        assert part in params["message"]
    assert "hunter2" not in params["message"], "a field of `redact_fields` is masked"
    assert params["requestedSchema"]["properties"]["answer"]["enum"] == ["once", "session", "always", "no"]


@hosts
def test_once_lets_one_call_pass(users: Users, era: str) -> None:
    scene, host = users(era, "once", "once")
    for _ in range(2):
        assert text_of(host.call("a__echo", {"text": "twice"}))
    assert len(host.asked) == 2 and calls(scene) == 2


@hosts
def test_session_is_not_asked_again_for_the_tool(scene: Scene, era: str) -> None:
    host = user(scene, era, "session")
    for word in ("a", "b", "a"):
        assert text_of(host.call("a__echo", {"text": word}))
    assert len(host.asked) == 1 and calls(scene) == 3


@hosts
def test_always_writes_the_rule_and_keeps_the_file_as_it_is(scene: Scene, era: str) -> None:
    host = user(scene, era, "always")
    path = scene.folder / "shack-config.json"
    before = json.loads(path.read_text())
    assert text_of(host.call("a__echo", {"text": "hi"})) and text_of(host.call("a__echo", {"text": "ho"}))
    assert len(host.asked) == 1
    before["permissions"]["allow"] = ["a__echo"]
    assert json.loads(path.read_text()) == before


@hosts
@pytest.mark.parametrize(
    "answer", ["no", {"action": "decline"}, {"action": "cancel"}, {"action": "accept", "content": {}},
               {"action": "accept", "content": {"answer": "yes"}}, {"action": "accept"}, {}], ids=str,
)
def test_anything_but_a_clear_yes_refuses_and_is_not_asked_again(users: Users, era: str, answer: Any) -> None:
    scene, host = users(era, answer)
    assert "said no" in refusal(host.call("a__echo", {"text": f"case {answer}"}), era)
    assert "said no" in refusal(host.call("a__echo", {"text": f"case {answer}"}), era)
    assert len(host.asked) == 1 and calls(scene) == 0


@hosts
def test_another_call_is_another_question(users: Users, era: str) -> None:
    _, host = users(era, "no", "once")
    refusal(host.call("a__echo", {"text": "a"}), era)
    assert text_of(host.call("a__echo", {"text": "b"}))


@hosts
def test_an_ask_rule_asks_also_where_an_allow_rule_lets_pass_and_a_deny_rule_is_not_asked_about(
    scene: Scene, era: str
) -> None:
    rules = {"allow": ["a__*"], "ask": ["a__echo(x:*)"], "deny": ["a__echo(xx)"]}
    host = user(scene, era, "once", permissions={"default_decision": "deny", **rules})
    assert text_of(host.call("a__echo", {"command": "y"})) and not host.asked
    assert text_of(host.call("a__echo", {"command": "x1"})) and len(host.asked) == 1
    assert "deny rule" in refusal(host.call("a__echo", {"command": "xx"}), era) and len(host.asked) == 1
    assert "always" not in host.asked[0][1]["requestedSchema"]["properties"]["answer"]["enum"], "it would not help"


@pytest.mark.parametrize("era, server", [(e, s) for e in ERAS for s in ERAS])
def test_our_question_and_the_servers_follow_each_other(scene: Scene, era: str, server: str) -> None:
    host = user(scene, era, "once", {"action": "accept", "content": {"name": "Ada"}}, server=server)
    said = json_of(host.call("a__interview", rounds([form("Who?")])))
    assert said == [[{"action": "accept", "content": {"name": "Ada"}}]]
    assert ["Allow this call" in params["message"] for _, params in host.asked] == [True, False]


def test_an_approval_cannot_be_carried_to_another_call(scene: Scene) -> None:
    host = user(scene, "stateless")
    asked = host.once("tools/call", {"name": "a__echo", "arguments": {"text": "harmless"}})["result"]
    key, = asked["inputRequests"]
    yes = {"inputResponses": {key: {"action": "accept", "content": {"answer": "session"}}},
           "requestState": asked["requestState"]}
    answer = host.once("tools/call", {"name": "a__echo", "arguments": {"text": "harmful"}, **yes})
    assert answer["error"]["code"] == -32602 and calls(scene) == 0
    made_up = {"inputResponses": yes["inputResponses"]}
    again = host.once("tools/call", {"name": "a__echo", "arguments": {"text": "harmless"}, **made_up})
    assert again["result"]["resultType"] == "input_required" and calls(scene) == 0
    assert text_of(host.once("tools/call", {"name": "a__echo", "arguments": {"text": "harmless"}, **yes}))
    assert host.once("tools/call", {"name": "a__echo", "arguments": {"text": "harmless"}, **yes})["error"]


@posix
@hosts
def test_a_hook_that_asks_is_answered_for_the_arguments_that_it_made(scene: Scene, era: str) -> None:
    said = {"hookSpecificOutput": {"permissionDecision": "ask", "permissionDecisionReason": "push?",
                                   "updatedInput": {"text": "changed"}}}
    hook = scene.folder / "hook.json"
    hook.write_text(json.dumps(said))
    host = user(scene, era, "once", pre_tool_hook=f"cat '{hook}'")
    assert "changed" in text_of(host.call("a__echo", {"text": "plain"}))
    message = host.asked[0][1]["message"]
    assert "changed" in message and "reason: push?" in message and "plain" not in message


@hosts
def test_an_answer_that_was_not_offered_is_a_no(scene: Scene, era: str) -> None:
    host = user(scene, era, "always", permissions={"ask": ["a__echo"]})
    assert "said no" in refusal(host.call("a__echo", {"text": "x"}), era) and calls(scene) == 0


@hosts
@pytest.mark.parametrize("answer", ["session", "always"])
def test_what_was_approved_under_one_rule_is_asked_about_under_another(scene: Scene, era: str, answer: str) -> None:
    rules = {"default_decision": "prompt", "ask": ["a__echo(rm:*)"]}
    host = user(scene, era, answer, "no", permissions=rules)
    assert text_of(host.call("a__echo", {"command": "ls"})) and text_of(host.call("a__echo", {"command": "pwd"}))
    assert "said no" in refusal(host.call("a__echo", {"command": "rm -rf /"}), era) and len(host.asked) == 2


@hosts
@pytest.mark.parametrize("answer", ["session", "always"])
def test_one_resource_that_was_approved_opens_no_other(scene: Scene, era: str, answer: str) -> None:
    left = [answer, "no"]
    notes = [{"uri": f"note://{name}", "name": name, "text": name} for name in ("one", "two")]
    scene.server("a", "echo", resources=notes)
    host = Answering(scene.start(**PROMPT), era, FORMS,
                     lambda method, params: {"action": "accept", "content": {"answer": left.pop(0)}})
    for _ in range(2):
        assert host.request("resources/read", {"uri": "note://one"})["result"]["contents"][0]["text"] == "one"
    refused = host.request("resources/read", {"uri": "note://two"})
    assert "said no" in refused["error"]["message"] and len(host.asked) == 2
    allowed = json.loads((scene.folder / "shack-config.json").read_text())["permissions"].get("allow")
    assert allowed == (["a__resources/read(note://one)"] if answer == "always" else None)


def test_nothing_that_a_server_or_a_model_writes_can_write_lines_of_the_form_or_hide_others(scene: Scene) -> None:
    scene.server("a", {"name": "x\nrule: none", "does": "echo"})
    host = Answering(scene.start(**PROMPT), "stateless", FORMS)
    long = "x" * 5000
    arguments = {"a": long, "command": "rm -rf /", "b\nrule: none": 1, "y" * 900: [long] * 90, "z": {"deep": long}}
    asked = host.once("tools/call", {"name": "a__x\nrule: none", "arguments": arguments})["result"]
    (request,) = asked["inputRequests"].values()
    message = request["params"]["message"]
    assert [line for line in message.split("\n") if line.startswith("rule:")] == ["rule: default_decision: prompt"]
    assert '"command": "rm -rf /"' in message and '"deep"' in message and len(message) < 12_000


# --- approved in a terminal ------------------------------------------------------------------------------------------


def code_in(text: str) -> str:
    found = re.search(r"`shack-gateway approve ([^`]+)`", text)
    assert found, text
    return found[1]


@hosts
def test_a_host_that_cannot_ask_gets_the_command_that_approves(scene: Scene, era: str) -> None:
    host = user(scene, era, capabilities={})
    text = refusal(host.call("a__echo", {"text": "hi"}), era)
    assert text.startswith("tool call requires explicit approval; the gateway has no interactive prompter")
    done = scene.run("approve", code_in(text))
    assert done.returncode == 0 and b"a__echo" in done.stdout, done
    assert "approve" in refusal(host.call("a__echo", {"text": "ho"}), era), "another call is not approved"
    assert text_of(host.call("a__echo", {"text": "hi"})) and calls(scene) == 1
    assert "approve" in refusal(host.call("a__echo", {"text": "hi"}), era), "it is good once"
    assert scene.run("approve", code_in(text)).returncode == 1, "and so is the code"
    assert not host.asked


def test_an_approved_call_may_ask_its_own_questions(scene: Scene) -> None:
    scene.server("a", "echo", "interview", era="stateless")
    host = Answering(scene.start(**PROMPT), "handshake", {"sampling": {}})
    question = rounds([{"method": "sampling/createMessage", "params": {
        "messages": [{"role": "user", "content": {"type": "text", "text": "x"}}], "maxTokens": 5}}])
    code = code_in(refusal(host.call("a__interview", question), "handshake"))
    assert scene.run("approve", code).returncode == 0
    assert json_of(host.call("a__interview", question))[0][0]["content"]["text"] == "re x"


def test_an_approval_in_a_terminal_cannot_be_drawn_on_by_a_made_up_state(scene: Scene) -> None:
    host = user(scene, "stateless", capabilities={}, server="stateless")
    call = {"name": "a__echo", "arguments": {"text": "x"}}
    code = code_in(refusal(host.once("tools/call", call), "stateless"))
    assert scene.run("approve", code).returncode == 0
    assert text_of(host.once("tools/call", call)) and calls(scene) == 1
    assert "approve" in refusal(host.once("tools/call", {**call, "requestState": "made up"}), "stateless")
    assert calls(scene) == 1


def test_a_code_that_nobody_was_given_approves_nothing(scene: Scene) -> None:
    assert scene.run("approve", "ABCD-EFGH").returncode == 1
