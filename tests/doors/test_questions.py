"""Servers that ask in the middle of a call, in every pairing of eras, with the real program between."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kit import Host, Kept, Scene, json_of, text_of
from kit.answering import ELICIT, ERAS, EVERYTHING, ROOTS, Answering, Reply, accept, form, rounds, sampling
from kit.host import ROOT

Company = Callable[..., tuple[Scene, Answering]]
PAIRS = [pytest.param(host, server, id=f"{host}-host-{server}-server") for host in ERAS for server in ERAS]
pairs = pytest.mark.parametrize("host, server", PAIRS)
NAME = {"name": "Ada"}


def asking(
    scene: Scene, server: str, host: str, *tools: str, entry: dict[str, Any] | None = None, **more: Any
) -> Answering:
    """One server that asks, and one host that answers."""
    settings, script = more.pop("settings", {}), {key: more.pop(key) for key in ("asks_at_start",) if key in more}
    scene.server("a", "interview", "echo", *tools, era=server, entry=entry, **script)
    return Answering(scene.start(**settings), host, **more)


@pytest.fixture
def company(kept: Kept) -> Company:
    """As `asking`, with a gateway that other tests have too."""

    def meet(server: str, host: str, *, reply: Reply = accept, **more: Any) -> tuple[Scene, Answering]:
        scene, user = kept(lambda scene: asking(scene, server, host, **more), server, host, more)
        return scene, user.again(reply)

    return meet


# --- what is answered ------------------------------------------------------------------------------------------------


@pairs
@pytest.mark.parametrize("action", [{"action": "accept", "content": NAME}, {"action": "decline"}, {"action": "cancel"}])
def test_the_users_answer_reaches_the_server(company: Company, host: str, server: str, action: dict[str, Any]) -> None:
    scene, user = company(server, host, reply=lambda method, params: action)
    assert json_of(user.call("a__interview", rounds([form()]))) == [[action]]
    (method, params), = user.asked
    assert method == ELICIT and params["message"] == "Who?"
    assert params["requestedSchema"]["properties"] == {"name": {"type": "string"}}
    assert len(scene.received("a", "tools/call")) == (1 if server == "handshake" else 2), "nothing is started twice"


@pairs
def test_a_call_may_ask_twice(company: Company, host: str, server: str) -> None:
    _, user = company(server, host)
    said = json_of(user.call("a__interview", rounds([form("First?")], [form("Second?")])))
    assert [each[0]["content"]["name"] for each in said] == ["to First?", "to Second?"]


@pairs
def test_questions_that_come_at_once_are_each_answered(company: Company, host: str, server: str) -> None:
    _, user = company(server, host)
    said = json_of(user.call("a__interview", rounds([form("One?"), sampling("two"), form("Three?")])))
    assert [each.get("content") for each in said[0]] == [
        {"name": "to One?"}, {"type": "text", "text": "re two"}, {"name": "to Three?"},
    ]
    if host == "stateless":
        assert user.rounds == 1, "all of them come together"


@pairs
def test_the_model_of_the_host_is_sampled(company: Company, host: str, server: str) -> None:
    _, user = company(server, host)
    said = json_of(user.call("a__interview", rounds([sampling("hello")])))
    assert said[0][0]["content"]["text"] == "re hello" and user.asked[0][1]["maxTokens"] == 9


@pairs
@pytest.mark.parametrize("knows", [True, False], ids=["host has roots", "host has none"])
def test_roots_are_the_hosts_or_else_the_workspace(company: Company, host: str, server: str, knows: bool) -> None:
    scene, user = company(server, host, capabilities={"roots": {}} if knows else {})
    said = json_of(user.call("a__interview", rounds([{"method": ROOTS}])))
    expected = "file:///of/the/host" if knows else scene.workspace.resolve().as_uri()
    assert [root["uri"] for root in said[0][0]["roots"]] == [expected]
    assert len(user.asked) == knows


@pairs
@pytest.mark.parametrize("how", ["direct", "shack_call_tool"])
def test_a_question_comes_through_the_meta_tool_too(company: Company, host: str, server: str, how: str) -> None:
    _, user = company(server, host, settings={"expose_mode": "progressive"})
    arguments = rounds([form()])
    if how == "direct":
        answer = user.call("a__interview", arguments)
    else:
        answer = user.call("shack_call_tool", {"name": "a__interview", "arguments": arguments})
    assert json_of(answer)[0][0]["action"] == "accept"


@pairs
def test_what_the_host_cannot_answer_is_said_and_never_asked(company: Company, host: str, server: str) -> None:
    _, user = company(server, host, capabilities={})
    answer = user.call("a__interview", rounds([sampling()]))
    assert not user.asked
    if server == "handshake":
        assert json_of(answer)[0][0]["code"] == -32601
    elif host == "stateless":
        assert answer["error"]["code"] == -32021
        assert answer["error"]["data"]["requiredCapabilities"] == {"sampling": {}}
    else:
        assert answer["result"]["isError"] and "sampling" in text_of(answer)


@pairs
def test_progress_goes_on_over_a_question_and_never_back(company: Company, host: str, server: str) -> None:
    _, user = company(server, host)
    before = len(user.host.messages)
    user.call("a__interview", rounds([form("1")], [form("2")], progress=True), **(
        {"token": "t"} if host == "stateless" else {"progressToken": "t"}))
    steps = [m["params"] for m in user.host.messages[before:] if m.get("method") == "notifications/progress"]
    told = [step["progress"] for step in steps]
    assert told and all(step["progressToken"] == "t" for step in steps)
    if host == "handshake":
        assert told == sorted(set(told))


def test_one_user_sees_one_dialog_of_a_call_at_a_time(scene: Scene) -> None:
    user = asking(scene, "stateless", "handshake")
    id = user.host.send("tools/call", {"name": "a__interview", "arguments": rounds([form("1"), form("2")])})
    first = user.host.read_until(lambda m: m.get("method") == ELICIT)
    user.host.settle()
    assert sum(m.get("method") == ELICIT for m in user.host.messages) == 1
    user.host.respond(first["id"], {"action": "decline"})
    user._seen = user.host.messages.index(first) + 1
    assert [each["action"] for each in json_of(user.answer(id))[0]] == ["decline", "accept"]


# --- revisions -------------------------------------------------------------------------------------------------------

SIZES = [{"const": "s", "title": "Small"}, {"const": "l", "title": "Large"}]
CHOICE = {"type": "string", "title": "Size", "oneOf": SIZES}
SEVERAL = {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}
URL = {"method": ELICIT, "params": {"mode": "url", "message": "Log in", "url": "https://x.example/login"}}


def test_an_older_host_gets_the_form_that_its_revision_has(company: Company) -> None:
    _, user = company("stateless", "2025-06-18", capabilities={"elicitation": {}})
    question = form("Size?", size=CHOICE)
    question["params"]["mode"] = "form"
    user.call("a__interview", rounds([question]))
    params = user.asked[0][1]
    assert "mode" not in params
    assert params["requestedSchema"]["properties"]["size"] == {
        "type": "string", "title": "Size", "enum": ["s", "l"], "enumNames": ["Small", "Large"],
    }


@pytest.mark.parametrize(
    "question, version",
    [
        (form("Which?", which=SEVERAL), "2025-06-18"),
        (URL, "2025-06-18"),
        (form(), "2025-03-26"),
        (form(), "2024-11-05"),
    ],
    ids=["several choices", "a URL", "a form before forms", "a form in the first revision"],
)
def test_what_an_older_host_cannot_be_asked_is_refused_by_name(
    company: Company, question: dict[str, Any], version: str
) -> None:
    _, user = company("stateless", version, capabilities={"elicitation": {}})
    answer = user.call("a__interview", rounds([question]))
    assert answer["result"]["isError"] and not user.asked
    assert "elicitation" in text_of(answer) or version in text_of(answer)


def test_a_page_to_open_has_a_name_and_is_told_to_be_done_with(scene: Scene) -> None:
    user = asking(scene, "stateless", "handshake", reply=lambda method, params: {"action": "accept"})
    user.call("a__interview", rounds([URL]))
    name = user.asked[0][1]["elicitationId"]
    done = user.host.notification("notifications/elicitation/complete")
    assert done["params"]["elicitationId"] == name


def test_a_page_of_a_handshake_server_reaches_a_stateless_host_without_its_name(company: Company) -> None:
    _, user = company("handshake", "stateless", reply=lambda method, params: {"action": "accept"})
    params = {**URL["params"], "elicitationId": "e1"}
    said = json_of(user.call("a__interview", rounds([{"method": ELICIT, "params": params}])))
    assert said == [[{"action": "accept"}]]
    assert user.asked[0][1] == URL["params"]


# --- parked calls ----------------------------------------------------------------------------------------------------


def parked(scene: Scene, *, settings: dict[str, Any] | None = None, entry: dict[str, Any] | None = None,
           **script: Any) -> tuple[Answering, dict[str, Any], dict[str, Any]]:
    """A call of a stateless host that waits at a handshake server: the user, its params, what it was asked."""
    user = asking(scene, "handshake", "stateless", settings=settings or {}, entry=entry)
    return user, *waiting_at(user, **script)


def waiting_at(user: Answering, **script: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A call that waits at its server: its params, what it was asked."""
    params = {"name": "a__interview", "arguments": rounds([form()], **script)}
    return params, user.once("tools/call", params)["result"]


def refused(answer: dict[str, Any]) -> str:
    assert answer["error"]["code"] == -32602, answer
    return str(answer["error"]["message"])


def forge(state: str) -> str:
    head, _, mac = state.rpartition(".")
    return f"{head}.{'A' if mac[0] != 'A' else 'B'}{mac[1:]}"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p, s: ({**p, "arguments": {**p["arguments"], "x": 1}}, s),
        lambda p, s: (p, forge(s)),
        lambda p, s: (p, s[:-1]),
        lambda p, s: (p, "shack1.e30." + s.rpartition(".")[2]),
        lambda p, s: (p, "0" * 32),
        lambda p, s: (p, "shack1."),
        lambda p, s: ({**p, "name": "a__echo"}, s),
    ],
    ids=["other arguments", "forged", "cut", "other content", "a bare word", "empty", "another tool"],
)
def test_a_changed_or_forged_retry_is_refused_and_starts_nothing(company: Company, spoil: Any) -> None:
    scene, user = company("handshake", "stateless")
    params, asked = waiting_at(user)
    spoilt, state = spoil(params, asked["requestState"])
    with_answers = user.responses(asked)
    text = refused(user.once("tools/call", {**spoilt, **with_answers, "requestState": state}))
    assert "requestState" in text
    assert len(scene.received("a", "tools/call")) == 1
    # The right one is still good.
    assert json_of(user.once("tools/call", {**params, **with_answers}))[0][0]["action"] == "accept"


def test_an_answer_is_good_once(company: Company) -> None:
    scene, user = company("handshake", "stateless")
    params, asked = waiting_at(user)
    retry = {**params, **user.responses(asked)}
    assert json_of(user.once("tools/call", retry))[0][0]["action"] == "accept"
    assert "used before" in refused(user.once("tools/call", retry))
    assert len(scene.received("a", "tools/call")) == 1


@pytest.mark.parametrize("wrong", [5, [], {"q1": 5}, {"q1": None}], ids=str)
def test_answers_of_a_wrong_shape_use_nothing_up(company: Company, wrong: Any) -> None:
    _, user = company("handshake", "stateless")
    params, asked = waiting_at(user)
    spoilt = {**params, "requestState": asked["requestState"], "inputResponses": wrong}
    assert "inputResponses" in refused(user.once("tools/call", spoilt))
    assert json_of(user.once("tools/call", {**params, **user.responses(asked)}))[0][0]["action"] == "accept"


def test_a_missing_answer_is_asked_for_again(company: Company) -> None:
    _, user = company("handshake", "stateless")
    params = {"name": "a__interview", "arguments": rounds([form("1"), form("2")])}
    first = user.once("tools/call", params)["result"]
    answers = user.responses(first)
    kept, left = sorted(answers["inputResponses"])
    del answers["inputResponses"][left]
    second = user.once("tools/call", {**params, **answers})["result"]
    assert list(second["inputRequests"]) == [left] and second["requestState"] != first["requestState"]
    said = json_of(user.once("tools/call", {**params, **user.responses(second)}))
    assert [each["content"]["name"] for each in said[0]] == ["to 1", "to 2"]


def test_a_call_that_nobody_comes_back_for_is_dismissed_and_ended(scene: Scene) -> None:
    user, params, asked = parked(scene, settings={"question_secs": 1})
    dismissed = {"action": "cancel"}
    scene.until(lambda: any(m.get("result") == dismissed for m in scene.received("a")), "the question is dismissed")
    text = refused(user.once("tools/call", {**params, **user.responses(asked)}))
    assert "expired" in text and len(scene.received("a", "tools/call")) == 1


def test_past_the_most_the_oldest_parked_call_is_given_up(scene: Scene) -> None:
    user, params, asked = parked(scene, settings={"max_parked_calls": 2})
    others = []
    for number in (1, 2):
        other = {"name": "a__interview", "arguments": rounds([form(str(number))])}
        others.append((other, user.once("tools/call", other)["result"]))
    refused(user.once("tools/call", {**params, **user.responses(asked)}))
    for other, question in others:
        assert json_of(user.once("tools/call", {**other, **user.responses(question)}))[0][0]["action"] == "accept"


@pytest.mark.parametrize("quits, said", [("answer", "without an answer"), ("cancel", "without an answer")])
def test_a_server_that_goes_on_without_the_answer_is_heard_at_the_retry(
    company: Company, quits: str, said: str
) -> None:
    _, user = company("handshake", "stateless")
    params, asked = waiting_at(user, quits=quits)
    time.sleep(0.6)  # the server's own doing: nothing tells us here that it was done
    assert text_of(user.once("tools/call", {**params, **user.responses(asked)})) == said


def test_a_server_that_dies_while_it_asks_is_named_at_the_retry(scene: Scene) -> None:
    user, params, asked = parked(scene, quits="crash")
    scene.until(lambda: len(scene.starts("a")) > 1, "it was started again")
    answer = user.once("tools/call", {**params, **user.responses(asked)})
    assert answer["error"]["code"] == -32603 and answer["error"]["data"]["server"] == "a"
    assert len(scene.received("a", "tools/call")) == 1


def test_a_handshake_host_hears_at_once_of_a_server_that_dies_while_it_asks(scene: Scene) -> None:
    user = asking(scene, "handshake", "handshake", reply=lambda method, params: None)
    answer = user.call("a__interview", rounds([form()], quits="crash"))
    assert answer["error"]["code"] == -32603
    question = user.host.read_until(lambda m: m.get("method") == ELICIT)
    gone = user.host.notification("notifications/cancelled")
    assert gone["params"]["requestId"] == question["id"]


def test_the_clock_stands_still_while_the_user_thinks(scene: Scene) -> None:
    def think(method: str, params: dict[str, Any]) -> Any:
        time.sleep(1.4)
        return accept(method, params)

    def heard(host: str) -> Any:
        (scene.folder / host).mkdir()
        with_host = Scene(scene.folder / host)
        try:
            user = asking(with_host, "handshake", host, reply=think, settings={"request_timeout_secs": 1})
            return json_of(user.call("a__interview", rounds([form()])))[0][0]["action"]
        finally:
            with_host.close()

    with ThreadPoolExecutor() as users:  # both think at the same time
        assert list(users.map(heard, ERAS)) == ["accept", "accept"]


def test_a_gateway_that_ends_dismisses_what_is_parked(scene: Scene) -> None:
    user, _, _ = parked(scene)
    assert user.host.close() == 0
    answers = [m for m in scene.received("a") if m.get("result") == {"action": "cancel"}]
    assert len(answers) == 1


def test_a_stateless_pair_needs_no_memory_of_ours(scene: Scene) -> None:
    user = asking(scene, "stateless", "stateless")
    params = {"name": "a__interview", "arguments": rounds([form()])}
    asked = user.once("tools/call", params)["result"]
    assert asked["requestState"] == '{"round": 1, "said": []}', "the server's own, byte for byte"
    user.host.close()
    again = Answering(scene.start(), "stateless")
    assert json_of(again.once("tools/call", {**params, **user.responses(asked)}))[0][0]["action"] == "accept"


@pairs
def test_large_answers_arrive_whole(company: Company, host: str, server: str) -> None:
    word = "ä" * 700_000

    def reply(method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == ELICIT:
            return {"action": "accept", "content": {"name": word}}
        return {"role": "assistant", "content": {"type": "text", "text": word}, "model": "m"}

    _, user = company(server, host, reply=reply)
    filled, sampled = json_of(user.call("a__interview", rounds([form(), sampling()])))[0]
    assert filled["content"]["name"] == sampled["content"]["text"] == word


@pairs
def test_roots_that_are_asked_for_along_with_others_come_from_the_workspace(
    company: Company, host: str, server: str
) -> None:
    scene, user = company(server, host, capabilities={"elicitation": {"form": {}}})
    filled, roots = json_of(user.call("a__interview", rounds([form(), {"method": ROOTS}])))[0]
    assert filled["action"] == "accept" and len(user.asked) == 1
    assert [root["uri"] for root in roots["roots"]] == [scene.workspace.resolve().as_uri()]


def test_a_parked_call_does_not_take_the_questions_of_one_whose_host_is_there(scene: Scene) -> None:
    user = asking(scene, "handshake", "stateless")
    older = {"name": "a__interview", "arguments": rounds([form("1")], [form("2")])}
    first = user.once("tools/call", older)["result"]
    user.once("tools/call", {"name": "a__interview", "arguments": rounds([form("parked")])})
    second = user.once("tools/call", {**older, **user.responses(first)})["result"]
    assert second["inputRequests"]["q2"]["params"]["message"] == "2"
    said = json_of(user.once("tools/call", {**older, **user.responses(second)}))
    assert [each[0]["content"]["name"] for each in said] == ["to 1", "to 2"]


@pytest.mark.parametrize("host", ERAS)
def test_a_gateway_behind_a_gateway_can_ask(scene: Scene, host: str) -> None:
    inner = Scene(scene.folder / "inner") if (scene.folder / "inner").mkdir() is None else scene
    inner.server("a", "interview")
    path = inner.config()
    entry = {"command": sys.executable, "args": ["-m", "shack_gateway", "--config", str(path)]}
    environ = {"PYTHONPATH": str(ROOT), **scene.environ()}
    scene.servers["g"] = {**entry, "env": environ}
    user = Answering(scene.start(), host)
    assert json_of(user.call("g__a__interview", rounds([form("through two")])))[0][0]["content"] == {
        "name": "to through two"}


@pytest.mark.parametrize("host", ERAS)
def test_an_answer_goes_to_the_server_that_asked_where_several_have_the_resource(scene: Scene, host: str) -> None:
    template = [{"uriTemplate": "note://{name}", "name": "note"}]
    scene.server("a", era="stateless", templates=template, errors={
        "resources/read": {"code": -32602, "message": "Resource not found"}})
    question = {"k": form("for b")}
    result = {"resultType": "input_required", "inputRequests": question, "requestState": "of b"}
    line = json.dumps({"jsonrpc": "2.0", "id": "$ID", "result": result}).replace('"$ID"', "$ID")
    scene.server("b", era="stateless", templates=template, raw={"resources/read": [line]})
    user = Answering(scene.start(), host)
    if host == "stateless":
        params = {"uri": "note://x"}
        asked = user.once("resources/read", params)["result"]
        user.once("resources/read", {**params, **user.responses(asked)})
    else:
        user.request("resources/read", {"uri": "note://x"})
    reads = [m["params"] for m in scene.received("a", "resources/read")]
    assert len(reads) == 1 and not any("inputResponses" in params or "requestState" in params for params in reads)
    assert scene.received("b", "resources/read")[1]["params"]["requestState"] == "of b"


def test_a_call_that_is_refused_when_its_host_comes_back_is_given_up(scene: Scene) -> None:
    user, params, asked = parked(scene, settings={"pre_tool_hook": f"test ! -e '{scene.folder}/stop'"})
    (scene.folder / "stop").touch()
    retry = {**params, **user.responses(asked)}
    assert user.once("tools/call", retry)["result"]["isError"]
    dismissed = {"action": "cancel"}
    scene.until(lambda: any(m.get("result") == dismissed for m in scene.received("a")), "the question is dismissed")


# --- cancels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ERAS)
def test_a_host_that_cancels_its_call_is_asked_no_more(scene: Scene, server: str) -> None:
    user = asking(scene, server, "handshake")
    id = user.host.send("tools/call", {"name": "a__interview", "arguments": rounds([form()])})
    question = user.host.read_until(lambda m: m.get("method") == ELICIT)
    user.host.notify("notifications/cancelled", {"requestId": id})
    gone = user.host.notification("notifications/cancelled")
    assert gone["params"]["requestId"] == question["id"]
    user.host.respond(question["id"], accept(ELICIT, question["params"]))
    assert text_of(user.call("a__echo", {"text": "on"})), "everybody else goes on"
    assert id not in {m.get("id") for m in user.host.messages if "result" in m}


def test_a_server_that_takes_its_question_back_takes_it_from_the_host(scene: Scene) -> None:
    user = asking(scene, "handshake", "handshake", reply=lambda method, params: None)
    assert text_of(user.call("a__interview", rounds([form()], quits="cancel"))) == "without an answer"
    question = user.host.read_until(lambda m: m.get("method") == ELICIT)
    assert user.host.notification("notifications/cancelled")["params"]["requestId"] == question["id"]


# --- several calls ---------------------------------------------------------------------------------------------------


@pairs
@pytest.mark.parametrize("serialize", [False, True], ids=["at once", "one by one"])
def test_eight_calls_that_ask_each_get_their_own_answer(
    company: Company, host: str, server: str, serialize: bool
) -> None:
    scene, user = company(server, host, **({"entry": {"serialize": True}} if serialize else {}))
    names = [f"caller {number}" for number in range(8)]
    calls = [{"name": "a__interview", "arguments": rounds([form(name)])} for name in names]
    if host == "handshake":
        ids = [user.host.send("tools/call", call) for call in calls]
        answers = [user.answer(id) for id in ids]
    else:
        meta = {"_meta": Host.meta(EVERYTHING)}
        open_calls = {user.host.send("tools/call", {**call, **meta}): call for call in calls}
        done: dict[str, dict[str, Any]] = {}
        while open_calls:
            id = next((i for i in open_calls if (int, i) in user.host.answers), None)
            if id is None:
                user.host.wait(lambda: any((int, i) in user.host.answers for i in open_calls), "one is answered")
                continue
            call, answer = open_calls.pop(id), user.host.answers[int, id]
            if answer.get("result", {}).get("resultType") == "input_required":
                open_calls[user.host.send("tools/call", {**call, **user.responses(answer["result"]), **meta})] = call
            else:
                done[call["arguments"]["rounds"][0][0]["params"]["message"]] = answer
        answers = [done[name] for name in names]
    assert [json_of(answer)[0][0]["content"]["name"] for answer in answers] == [f"to {name}" for name in names]
    if serialize and server == "handshake":
        assert len(scene.received("a", "tools/call")) == 8


def test_a_question_belongs_to_the_call_that_was_started_last(scene: Scene) -> None:
    user = asking(scene, "handshake", "stateless", "sleep")
    meta = {"_meta": Host.meta(EVERYTHING)}
    first = user.host.send("tools/call", {"name": "a__sleep", "arguments": {"secs": 0.5}, **meta})
    second = user.host.send("tools/call", {"name": "a__interview", "arguments": rounds([form()]), **meta})
    assert user.host.answer(second)["result"]["resultType"] == "input_required"
    assert user.host.answer(first)["result"]["resultType"] == "complete"


def carried(scene: Scene) -> tuple[Answering, dict[str, Any], Any, dict[str, Any], dict[str, Any]]:
    """An older call asks its second question while a younger one is open, which therefore carries it to the host, and
    ends at the server: the user; the older call and the id of its open request; the younger call and its question."""
    user = asking(scene, "handshake", "stateless", "sleep")
    meta = {"_meta": Host.meta(EVERYTHING)}
    older = {"name": "a__interview", "arguments": rounds([form("first")], [form("second")])}
    asked = user.host.answer(user.host.send("tools/call", {**older, **meta}))["result"]
    younger = {"name": "a__sleep", "arguments": {"secs": 0.4}}
    id = user.host.send("tools/call", {**younger, **meta})
    user.host.settle()
    waiting = user.host.send("tools/call", {**older, **user.responses(asked), **meta})
    question = user.host.answer(id)["result"]
    assert question["resultType"] == "input_required", "the younger call is taken to ask"
    time.sleep(0.6)  # by now the server has answered the younger call: it never asked
    return user, older, waiting, younger, question


def test_an_answer_reaches_its_question_when_the_call_that_carried_it_has_ended(scene: Scene) -> None:
    user, _, waiting, younger, question = carried(scene)
    ended = user.once("tools/call", {**younger, **user.responses(question)})
    assert ended["result"]["resultType"] == "complete"
    said = json_of(user.host.answer(waiting))
    assert [each[0]["content"]["name"] for each in said] == ["to first", "to second"]


def test_a_question_that_its_carrier_never_answers_is_put_to_another_call(scene: Scene) -> None:
    user, older, waiting, younger, question = carried(scene)
    silent = {"requestState": question["requestState"], "inputResponses": {}}
    assert user.once("tools/call", {**younger, **silent})["result"]["resultType"] == "complete"
    asked = user.host.answer(waiting)["result"]
    answer = user.once("tools/call", {**older, **user.responses(asked)})
    assert json_of(answer)[1][0]["content"]["name"] == "to second"


def test_questions_to_a_host_that_has_left_are_dismissed_also_those_behind(scene: Scene) -> None:
    user = asking(scene, "handshake", "handshake")
    user.host.send("tools/call", {"name": "a__interview", "arguments": rounds([form("1")], [form("2")])})
    user.host.read_until(lambda m: m.get("method") == ELICIT)
    assert user.host.close() == 0
    assert len([m for m in scene.received("a") if m.get("result") == {"action": "cancel"}]) == 2
    assert sum(m.get("method") == ELICIT for m in user.host.messages) == 1


# --- bad servers and bad hosts ---------------------------------------------------------------------------------------


def test_a_server_that_asks_for_ever_is_stopped(company: Company) -> None:
    _, user = company("stateless", "handshake")
    answer = user.call("a__interview", rounds(*[[form(str(n))] for n in range(30)]))
    assert answer["result"]["isError"] and "kept asking" in text_of(answer)
    assert len(user.asked) == 10


NONSENSE = [
    {"method": "elicitation/create", "params": {}},
    {"method": "elicitation/create", "params": {"message": "m", "mode": "smoke"}},
    {"method": "elicitation/create", "params": {"message": "m", "mode": "url"}},
    {"method": "sampling/createMessage", "params": {"messages": 5}},
    {"method": "tools/call", "params": {"name": "a__echo"}},
]


@pairs
@pytest.mark.parametrize("question", NONSENSE, ids=lambda q: json.dumps(q)[:60])
def test_nonsense_is_never_shown_to_the_user(
    company: Company, host: str, server: str, question: dict[str, Any]
) -> None:
    _, user = company(server, host)
    answer = user.call("a__interview", rounds([question]))
    assert not user.asked
    if server == "handshake":
        assert json_of(answer)[0][0]["code"] in (-32602, -32601)
    else:
        assert answer["error"]["code"] == -32603 and answer["error"]["data"]["server"] == "a"
    assert text_of(user.call("a__echo", {"text": "on"}))


@pytest.mark.parametrize("host", ERAS)
def test_a_question_that_is_no_json_is_refused_and_holds_up_nobody(scene: Scene, host: str) -> None:
    params = '{"message":"m","requestedSchema":{"x":1e999}}'
    question = f'{{"jsonrpc":"2.0","id":"x1","method":"elicitation/create","params":{params}}}'
    scene.server("a", "raw", "echo")
    user = Answering(scene.start(), host)
    good = '{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"good"}]}}'
    assert text_of(user.call("a__raw", {"lines": [question, good]})) == "good"
    (told,) = scene.until(lambda: [m for m in scene.received("a") if m.get("id") == "x1"], "it is answered")
    assert told["error"]["code"] == -32602 and not user.asked


@pytest.mark.parametrize("host", ERAS)
def test_a_stateless_question_that_is_no_json_fails_its_call(scene: Scene, host: str) -> None:
    asks = '{"k":{"method":"elicitation/create","params":{"message":"m","requestedSchema":{"x":1e999}}}}'
    line = f'{{"jsonrpc":"2.0","id":$ID,"result":{{"resultType":"input_required","inputRequests":{asks}}}}}'
    scene.server("a", "raw", era="stateless")
    answer = Answering(scene.start(), host).call("a__raw", {"lines": [line]})
    assert answer["error"]["code"] == -32603 and answer["error"]["data"]["server"] == "a"


WRONG = [{}, {"action": "maybe"}, {"action": 5}, {"action": "accept", "content": 5}]


@pytest.mark.parametrize("server", ERAS)
@pytest.mark.parametrize("reply", WRONG, ids=json.dumps)
def test_an_answer_that_is_none_counts_as_dismissed(company: Company, server: str, reply: dict[str, Any]) -> None:
    _, user = company(server, "handshake", reply=lambda method, params: reply)
    assert json_of(user.call("a__interview", rounds([form()]))) == [[{"action": "cancel"}]]


def test_answers_under_another_id_type_twice_or_to_nothing_are_dropped(scene: Scene) -> None:
    user = asking(scene, "handshake", "handshake")
    id = user.host.send("tools/call", {"name": "a__interview", "arguments": rounds([form()])})
    question = user.host.read_until(lambda m: m.get("method") == ELICIT)["id"]
    user.host.respond(str(question), {"action": "decline"})
    user.host.respond(question + 1000, {"action": "decline"})
    user.host.respond(question, {"action": "cancel"})
    user.host.respond(question, {"action": "accept", "content": {}})
    assert json_of(user.host.answer(id)) == [[{"action": "cancel"}]]


def test_a_host_that_never_answers_is_given_up(scene: Scene) -> None:
    user = asking(scene, "handshake", "handshake", reply=lambda method, params: None, settings={"question_secs": 1})
    assert json_of(user.call("a__interview", rounds([form()]))) == [[{"action": "cancel"}]]
    assert user.host.notification("notifications/cancelled")


def refuse(method: str, params: dict[str, Any]) -> Any:
    raise ValueError("no such thing here")


def test_a_hosts_error_reaches_a_handshake_server_as_it_is(company: Company) -> None:
    _, user = company("handshake", "handshake", reply=refuse)
    (said,), = json_of(user.call("a__interview", rounds([sampling()])))
    assert said == {"code": -32000, "message": "no such thing here"}


@pytest.mark.parametrize("question, ends", [(form(), False), (sampling(), True)], ids=["a form", "sampling"])
def test_a_hosts_error_ends_what_cannot_be_dismissed(company: Company, question: dict[str, Any], ends: bool) -> None:
    _, user = company("stateless", "handshake", reply=refuse)
    answer = user.call("a__interview", rounds([question]))
    if ends:
        assert answer["result"]["isError"] and "no such thing here" in text_of(answer)
    else:
        assert json_of(answer) == [[{"action": "cancel"}]]


START = [form("At the start?"), {"method": ROOTS}, sampling("start")]


def answers_at_start(scene: Scene) -> list[Any]:
    """What the server was told to the questions that it put before any call."""
    said = [m for m in scene.received("a") if str(m.get("id")).startswith("start-")]
    told = {m["id"]: m.get("result", m.get("error")) for m in said}
    return [told[id] for id in sorted(told)] if len(told) == len(START) else []


def test_questions_that_belong_to_no_call_reach_a_handshake_host_once_it_is_ready(scene: Scene) -> None:
    scene.server("a", "echo", asks_at_start=START)
    host = scene.start()
    params = {"protocolVersion": "2025-11-25", "capabilities": EVERYTHING, "clientInfo": {"name": "h", "version": "1"}}
    host.request("initialize", params)
    scene.until(lambda: scene.received("a", "tools/list"), "the server is up, and has asked")
    host.request("ping")
    assert not [m for m in host.messages if m.get("method") == ELICIT], "the host has not said that it is ready"
    host.notify("notifications/initialized")
    answered: set[Any] = set()
    for _ in START:
        question = host.read_until(lambda m: "method" in m and "id" in m and m["id"] not in answered)
        answered.add(question["id"])
        host.respond(question["id"], accept(question["method"], question.get("params", {})))
    form_answer, roots, sampled = scene.until(lambda: answers_at_start(scene), "all are answered")
    assert form_answer["content"] == {"name": "to At the start?"}
    assert roots == {"roots": [{"uri": "file:///of/the/host"}]} and sampled["content"]["text"] == "re start"


def test_questions_that_belong_to_no_call_are_not_put_to_a_stateless_host(scene: Scene) -> None:
    user = asking(scene, "handshake", "stateless", asks_at_start=START)
    assert text_of(user.call("a__echo", {"text": "x"}))
    form_answer, roots, sampled = scene.until(lambda: answers_at_start(scene), "all are answered")
    assert form_answer == {"action": "cancel"} and sampled["code"] == -1
    assert [root["uri"] for root in roots["roots"]] == [scene.workspace.resolve().as_uri()] and not user.asked


@pytest.mark.parametrize("era", ERAS)
def test_a_server_shows_what_it_has_for_hosts_that_can_be_asked(scene: Scene, era: str) -> None:
    scene.server("a", "echo", {"name": "asker", "if": "elicitation"})
    listed = []
    for capabilities in ({}, EVERYTHING, {}):
        user = Answering(scene.start(), era, capabilities)
        answer = user.once("tools/list", {}) if era == "stateless" else user.host.request("tools/list")
        listed.append([tool["name"] for tool in answer["result"]["tools"]])
        user.host.close()
    assert listed == [["a__echo"], ["a__asker", "a__echo"], ["a__echo"]], "also from the lists of the last run"


def test_a_change_of_the_hosts_roots_reaches_handshake_servers(scene: Scene) -> None:
    user = asking(scene, "handshake", "handshake")
    text_of(user.call("a__echo", {"text": "up"}))
    user.host.notify("notifications/roots/list_changed")
    scene.until(lambda: scene.received("a", "notifications/roots/list_changed"), "it is told")


def test_what_is_asked_and_how_it_is_answered_is_in_the_log(scene: Scene) -> None:
    user = asking(scene, "handshake", "handshake")
    user.call("a__interview", rounds([form("Which one?")]))
    user.host.settle()
    scene.until(lambda: "was answered: accept" in user.host.log, "the log says so")
    assert "a asks" in user.host.log and "Which one?" in user.host.log
    assert "to Which one?" not in user.host.log, "but not what the user wrote"


