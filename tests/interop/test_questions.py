"""Real servers ask real users through the gateway, in every pairing of eras, and each gets its own answer."""
from __future__ import annotations

import json
import time
from typing import Any

import pytest

from kit import alive, schema

from .asking import ASKING1, ASKING2, AT_ONCE, EVERYTHING, MIXED, ON_DEMAND, OURS, Behaviour, alone, answered, askers_of
from .compare import difference, worked
from .installed import CLIENTS, Client, Server, unusable
from .runs import AskedRuns, Through, client_named
from .test_same_as_direct import forget_lost_progress
from .test_the_wire import faults_of, messages

pytestmark = pytest.mark.interop

HOSTS = [client for client in CLIENTS if "pinned" not in client.name]
"""A pinned version is the auto one again, after another start."""
SERVERS = {server.name: server for server in (EVERYTHING, *OURS)}
PAIRS = [(host.name, server.name) for host in HOSTS for server in askers_of(host)]
OUR_PAIRS = [(host.name, server.name) for host in HOSTS for server in OURS]
WITH_TEXT = [(*pair, behaviour.name) for pair in PAIRS for behaviour in answered(pair[1]) if behaviour.text]
WITH_TEXT += [(*pair, "afterwards") for pair in OUR_PAIRS]
FATAL_PAIRS = [(host.name, server.name) for host in HOSTS for server in OURS if not host.again]


def met(asked: AskedRuns, host: str, server: str) -> tuple[Client, Server, Any, Through]:
    """The host, the server, what it gave directly, and the run through the gateway."""
    client = client_named(host)
    if why := unusable(SERVERS[server]):
        pytest.skip(why)
    direct, through = asked.of(client)
    return client, SERVERS[server], direct[server], through


def text_of(answer: Any) -> str:
    """What an answer says, be it of a tool, a prompt or a resource; an error says itself."""
    result = answer.get("result")
    if not isinstance(result, dict):
        return json.dumps(answer)
    if "messages" in result:
        return str(result["messages"][0]["content"]["text"])
    return "\n".join(part.get("text", "") for part in result.get("content", result.get("contents", [])))


def failed(answer: Any) -> bool:
    """True for a call that ended badly, in whichever way the protocol has for it."""
    return not worked(answer) or answer["result"].get("isError") is True


def name_answer(server: str, behaviour: str, name: str) -> str:
    return f"{server}-{behaviour}: name {name}"


def behaviour_of(server: str, name: str) -> Behaviour:
    return next(behaviour for behaviour in alone(server, True) if behaviour.name == name)


# --- answered ---

@pytest.mark.parametrize("host, server, behaviour", WITH_TEXT)
def test_a_call_ends_with_what_was_answered_to_its_question(
        asked: AskedRuns, host: str, server: str, behaviour: str) -> None:
    _, _, direct, through = met(asked, host, server)
    text = behaviour_of(server, behaviour).text
    text = text.replace("{tag}", f"{server}-{behaviour}").replace("{workspace}", asked.workspace.as_uri())
    for side in (direct, through.named[server]):
        said = text_of(side[behaviour])
        assert (text in said) if server == EVERYTHING.name else (text == said), side[behaviour]


@pytest.mark.parametrize("host, server", OUR_PAIRS)
def test_calls_that_ask_at_once_each_get_their_own_answer(asked: AskedRuns, host: str, server: str) -> None:
    _, _, direct, through = met(asked, host, server)
    for side in (direct, through.named[server]):
        texts = [text_of(answer) for answer in side["crowd"]["result"]]
        assert texts == [name_answer(server, f"crowd{n}", f"guest {n}") for n in range(AT_ONCE)]


@pytest.mark.parametrize("host", [host.name for host in HOSTS if host.era == "stateless"])
def test_a_question_outlives_a_younger_call_that_it_was_taken_to_belong_to(asked: AskedRuns, host: str) -> None:
    _, _, _, through = met(asked, host, ASKING1.name)
    first, second, youngest = through.named[ASKING1.name]["mixed"]["result"]
    texts = [text_of(answer) for answer in (first, second, youngest["result"][1])]
    assert texts == [name_answer(ASKING1.name, name, name) for name in MIXED]


@pytest.mark.parametrize("host, server", [
    (host.name, server.name) for host in HOSTS for server in askers_of(host) if host.era == server.era])
def test_where_no_era_is_bridged_every_answer_is_the_direct_one(asked: AskedRuns, host: str, server: str) -> None:
    client, _, direct, through = met(asked, host, server)
    names = [behaviour.name for behaviour in alone(server, True)
             if behaviour.name in direct and behaviour.name != "listed"]
    mine, theirs = [direct[name] for name in names], [through.named[server][name] for name in names]
    forget_states(mine + theirs)
    if client.name.startswith("typescript"):
        forget_lost_progress(mine, theirs)
    found = [difference(name, *each, server) for name, *each in zip(names, mine, theirs, strict=True)]
    assert not any(found), "\n".join(line for line in found if line)
    assert sum(map(worked, theirs)) >= sum(map(worked, mine)) > 0


def forget_states(answers: list[Any]) -> None:
    """A server seals its state with a key that each of its processes draws anew."""
    for answer in answers:
        if isinstance(answer.get("result"), dict):
            answer["result"].pop("requestState", None)


@pytest.mark.parametrize("host, server", OUR_PAIRS)
def test_a_user_is_asked_the_same_questions_as_often_as_directly(asked: AskedRuns, host: str, server: str) -> None:
    client, _, _, through = met(asked, host, server)
    plan = [behaviour.name for behaviour in answered(server)] + [f"crowd{n}" for n in range(AT_ONCE)]
    two = {"twice", "both", "half"}
    for name in plan:
        if name != "roots":                       # has no words of its own
            heard = [question for question in through.report["questions"]
                     if f"{server}-{name}: " in json.dumps(question["params"])]
            assert len(heard) == (2 if name in two else 1), (name, heard)


@pytest.mark.parametrize("host", [host.name for host in HOSTS if not host.again])
def test_a_server_with_more_tools_for_a_host_that_can_be_asked_shows_them(asked: AskedRuns, host: str) -> None:
    _, _, direct, through = met(asked, host, EVERYTHING.name)
    shown = {tool["name"] for tool in through.named[EVERYTHING.name]["listed"]["result"]["tools"]}
    assert shown >= {f"{EVERYTHING.name}__{name}" for name in ON_DEMAND}
    assert {tool["name"] for tool in direct["listed"]["result"]["tools"]} >= set(ON_DEMAND)


@pytest.mark.parametrize("host, server", OUR_PAIRS)
def test_progress_before_and_after_a_question_arrives(asked: AskedRuns, host: str, server: str) -> None:
    _, _, _, through = met(asked, host, server)
    heard = [[note[0], note[2]] for note in through.named[server]["slow"]["progress"]]
    own = [note for note in heard if not note[1].startswith("Fulfilling input required")]   # the SDK's, not ours
    if host.startswith("typescript"):             # see `forget_lost_progress`
        assert own in ([[1, "before"], [2, "after"]], [[1, "before"]], [[2, "after"]], [])
    else:
        assert own == [[1, "before"], [2, "after"]]


@pytest.mark.parametrize("host", [host.name for host in HOSTS if not host.again])
def test_a_page_that_has_to_be_visited_first_is_asked_for_where_the_era_can(asked: AskedRuns, host: str) -> None:
    """The server refuses with a URL; in the stateless era that is a question, and the call is made again after it."""
    client, _, direct, through = met(asked, host, EVERYTHING.name)
    answer = through.named[EVERYTHING.name]["page-first"]
    assert direct["page-first"]["error"]["code"] == -32042
    if client.era == "handshake":
        assert answer["error"]["code"] == -32042
        (asked_for,), (wanted,) = (side["error"]["data"]["elicitations"] for side in (answer, direct["page-first"]))
        assert {**asked_for, "elicitationId": ""} == {**wanted, "elicitationId": ""}
    else:
        assert "User completed the URL elicitation flow" in text_of(answer)


@pytest.mark.parametrize("host", [host.name for host in HOSTS])
def test_a_host_of_the_handshake_hears_when_a_page_is_done_with(asked: AskedRuns, host: str) -> None:
    client, _, _, through = met(asked, host, ASKING1.name)
    done = [note["params"] for note in through.report["notifications"]
            if note["method"] == "notifications/elicitation/complete"]
    questions = [question["params"] for question in through.report["questions"] if question["params"]]
    pages = {page["elicitationId"]: page["message"] for page in questions if page.get("mode") == "url"
             and "elicitationId" in page}
    if client.era == "stateless":
        assert not done and not pages
    else:
        told = [pages[params["elicitationId"]] for params in done]
        assert f"{ASKING1.name}-url: please sign in" in told
        assert not [message for message in told if "no-url" in message]


@pytest.mark.parametrize("host", ["typescript2-auto"])
def test_questions_cross_the_four_tools_of_progressive_mode(asked: AskedRuns, host: str) -> None:
    through = asked.progressive(client_named(host))
    for server in through.servers:
        for behaviour in answered(server.name):
            text = behaviour.text.replace("{workspace}", asked.workspace.as_uri())
            answer = through.named[server.name][behaviour.name]
            assert text_of(answer) == text.replace("{tag}", f"{server.name}-{behaviour.name}"), answer


# --- not answered ---

@pytest.mark.parametrize("host", ["python1", "typescript2-auto"])
def test_a_host_that_cannot_be_asked_is_not_and_its_calls_end(asked: AskedRuns, host: str) -> None:
    through = asked.mute(client_named(host))
    for server in through.servers:
        answers = through.named[server.name]
        assert asked.workspace.as_uri() in text_of(answers["roots"])
        for name in ("accept", "both", "model", "url"):
            assert failed(answers[name]), (server.name, name, answers[name])
            assert "no answer within" not in json.dumps(answers[name])
    sent = [message for lines in through.wire("host") for side, message in messages(lines) if side == "<"]
    assert not [message for message in sent if "method" in message and "id" in message]
    assert "input_required" not in json.dumps(sent)


@pytest.mark.parametrize("behaviour", ["error", "throw"])
@pytest.mark.parametrize("host, server", OUR_PAIRS)
def test_a_host_that_answers_with_an_error_ends_no_more_than_its_call(
        asked: AskedRuns, host: str, server: str, behaviour: str) -> None:
    client, asker, direct, through = met(asked, host, server)
    answer = through.named[server][behaviour]
    if client.era == asker.era:
        assert text_of(answer) == text_of(direct[behaviour])
    elif client.era == "handshake":               # a stateless server can only be told that nobody answered
        assert text_of(answer) == name_answer(server, behaviour, "cancel")
    else:                                         # these SDKs keep the error to themselves
        assert not worked(answer)
    assert failed(answer) or client.era != asker.era


@pytest.mark.parametrize("host, server", OUR_PAIRS)
def test_a_call_that_is_given_up_while_it_asks_is_given_up_on_both_sides(
        asked: AskedRuns, host: str, server: str) -> None:
    client, asker, _, through = met(asked, host, server)
    assert through.named[server]["give-up"] == {"cancelled": True}
    tag = f"{server}-give-up"
    if client.era == "stateless":
        return                                    # such a host says nothing, and its request was over already
    (talk,) = [messages(lines) for lines in through.wire("host") if tag in str(lines)]
    (question,) = [message["id"] for side, message in talk if side == "<" and asks(message, tag)]
    withdrawn = [message["params"]["requestId"] for side, message in talk
                 if side == "<" and message.get("method") == "notifications/cancelled"]
    # A host that has answered before it read of the end of its call needs not be told.
    replied = [message["id"] for side, message in talk if side == ">" and "method" not in message]
    assert question in withdrawn or question in replied
    if asker.era == "handshake":
        talk = next(messages(lines) for lines in through.wire(server) if tag in str(lines))
        (call,) = [message["id"] for side, message in talk if side == ">" and calls(message, tag)]
        assert call in [message["params"]["requestId"] for side, message in talk
                        if side == ">" and message.get("method") == "notifications/cancelled"]


def asks(message: Any, tag: str) -> bool:
    return "id" in message and "method" in message and f"{tag}: " in json.dumps(message.get("params"))


def calls(message: Any, tag: str) -> bool:
    return message.get("method") == "tools/call" and message["params"].get("arguments", {}).get("tag") == tag


@pytest.mark.parametrize("host, server", [
    (host.name, server.name) for host in HOSTS for server in OURS if host.era == "stateless"])
def test_a_host_that_never_comes_back_was_told_what_is_asked(asked: AskedRuns, host: str, server: str) -> None:
    _, _, _, through = met(asked, host, server)
    result = through.named[server]["abandon"]["result"]
    (question,) = result["inputRequests"].values()
    assert question["method"] == "elicitation/create"
    assert question["params"]["message"] == f"{server}-abandon: what is your name?"
    assert result["resultType"] == "input_required"


@pytest.mark.parametrize("host", [host.name for host in HOSTS])
def test_a_server_that_asks_for_ever_is_not_asked_for_ever(asked: AskedRuns, host: str) -> None:
    _, _, _, through = met(asked, host, ASKING2.name)
    assert failed(through.named[ASKING2.name]["ever"])
    heard = [question for question in through.report["questions"] if "asking2-ever" in json.dumps(question)]
    assert len(heard) == 10


# --- gone ---

@pytest.mark.parametrize("host, server", FATAL_PAIRS)
def test_the_death_of_a_server_that_asks_ends_its_call(asked: AskedRuns, host: str, server: str) -> None:
    _, _, _, through = met(asked, host, server)
    answer = through.named[server]["die"]
    assert failed(answer) and "no answer within" not in json.dumps(answer), answer
    assert text_of(through.named[server]["back"]) == name_answer(server, "back", "Ann")
    assert len(through.wire(server)) == 2         # the one that died, and its successor


@pytest.mark.parametrize("host", [host.name for host in HOSTS])
def test_every_question_of_a_handshake_server_is_settled_when_the_host_has_gone(asked: AskedRuns, host: str) -> None:
    """Those that it left open, and those of the calls that it abandoned: no server waits for a user who cannot come."""
    client, _, _, through = met(asked, host, ASKING1.name)
    talk = messages(ended(through).wire(ASKING1.name)[-1])
    questions = {message["id"]: message["params"]["message"].partition(":")[0] for side, message in talk
                 if side == "<" and message.get("method") == "elicitation/create"}
    replied = {message["id"]: message for side, message in talk if side == ">" and "method" not in message}
    withdrawn = {message["params"]["requestId"] for side, message in talk
                 if side == ">" and message.get("method") == "notifications/cancelled"}
    given_up = {message["params"]["arguments"]["tag"] for side, message in talk
                if message.get("method") == "tools/call" and message["id"] in withdrawn}
    left = {"leave", *(("error", "throw", "give-up", "abandon") if client.era == "stateless" else ())}
    assert {f"{ASKING1.name}-{name}" for name in left} <= set(questions.values())
    assert [tag for id, tag in questions.items() if id not in replied and tag not in given_up] == []
    for id, tag in questions.items():
        if tag.partition("-")[2] in left and id in replied:
            assert replied[id]["result"] == {"action": "cancel"}


def ended(through: Through) -> Through:
    """The run, once every process of it is gone."""
    pids = {int(path.suffixes[-2][1:]): path.name for path in through.folder.glob("*.wire")}
    deadline = time.monotonic() + 15
    while (left := [name for pid, name in pids.items() if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert pids and not left
    return through


@pytest.mark.parametrize("host", [host.name for host in HOSTS])
def test_nothing_is_left_running_of_a_host_that_left_in_the_middle_of_a_question(
        asked: AskedRuns, host: str) -> None:
    _, _, _, through = met(asked, host, ASKING1.name)
    assert "-leave: " in json.dumps(through.report["questions"][-2:])
    ended(through)


# --- on the wire ---

@pytest.mark.parametrize("host", [host.name for host in HOSTS])
def test_every_message_of_the_gateway_is_valid_while_questions_cross_it(asked: AskedRuns, host: str) -> None:
    schema.needed()
    _, _, _, through = met(asked, host, ASKING1.name)
    found = faults_of(ended(through))
    # The official schemas let a form hold whole numbers alone; the text of the protocol and all SDKs know others.
    found = [line for line in found if "/content/number: 2.5 is not valid" not in line]
    assert not found, "\n".join(found[:20])


@pytest.mark.parametrize("host", [host.name for host in HOSTS if host.era == "stateless"])
def test_a_stateless_host_is_never_sent_a_request(asked: AskedRuns, host: str) -> None:
    _, _, _, through = met(asked, host, ASKING1.name)
    sent = [message for lines in through.wire("host") for side, message in messages(lines) if side == "<"]
    assert sent and not [message for message in sent if "method" in message and "id" in message]
