"""wire/peer.py: whose ids, which questions are open, and that every one of them ends."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from shack_gateway.errors import ServerGone, WireError
from shack_gateway.wire.messages import ErrorAnswer, Notification, Request, Result, TooLong
from shack_gateway.wire.peer import Peer, Question


def line(**members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members}).encode() + b"\n"


def gone(question: Question) -> ServerGone:
    return ServerGone("alpha", f"ended while {question.method} was open")


def shown(event: Any) -> Any:
    if isinstance(event, TooLong):
        return event.size
    return (event.kind, event.id) if isinstance(event, WireError) else event


def test_ids_are_counted_up_and_never_used_twice() -> None:
    peer = Peer(1000)
    first = peer.ask("a")
    peer.forget(first)
    assert [first.id, peer.ask("b").id, peer.ask("c").id] == [1, 2, 3]


def test_an_answer_settles_the_question_it_names_and_only_that() -> None:
    peer = Peer(1000)
    one, two = peer.ask("a"), peer.ask("b")
    assert list(peer.receive(line(id=two.id, result={"x": 2}))) == []
    assert not one.settled and two.settled and isinstance(two.value, Result) and two.value.value == {"x": 2}
    list(peer.receive(line(id=one.id, error={"code": -5, "message": "no"})))
    assert one.value == ErrorAnswer(1, -5, "no") and not peer.asked


@pytest.mark.parametrize("id", ["1", True, 1.0, None, 2, -1, [1], {"a": 1}], ids=repr)
def test_an_answer_under_another_id_settles_nothing(id: Any) -> None:
    peer = Peer(1000)
    question = peer.ask("a")
    assert question.id == 1
    events = list(peer.receive(line(id=id, result={})))
    assert not question.settled and peer.asked
    assert peer.stray == 1 or [event.kind for event in events] == ["invalid request"]  # type: ignore[union-attr]
    list(peer.receive(line(id=1, result={})))
    assert question.settled


def test_the_second_answer_to_a_question_is_dropped() -> None:
    peer = Peer(1000)
    question = peer.ask("a")
    list(peer.receive(line(id=1, result={"n": 1}) + line(id=1, result={"n": 2})))
    assert isinstance(question.value, Result) and question.value.value == {"n": 1}
    assert peer.stray == 1


def test_a_late_answer_to_a_forgotten_question_is_dropped() -> None:
    peer = Peer(1000)
    question = peer.ask("a")
    assert peer.forget(question) and not peer.forget(question)
    assert list(peer.receive(line(id=1, result={}))) == []
    assert not question.settled and peer.stray == 1


def test_a_request_that_reuses_the_id_of_a_question_is_no_answer() -> None:
    peer = Peer(1000)
    question = peer.ask("a")
    assert list(peer.receive(line(id=1, method="ping"))) == [Request(1, "ping", {})]
    assert not question.settled


def test_closing_settles_everything_with_its_own_reason() -> None:
    peer = Peer(1000)
    questions, woken = [peer.ask(name) for name in "abc"], []
    for question in questions:
        question.wake = lambda q=question: woken.append(q.method)  # type: ignore[misc]
    list(peer.receive(line(id=2, result={})))
    assert peer.close(gone) == 2
    assert sorted(woken) == ["a", "b", "c"] and all(question.settled for question in questions)
    assert str(questions[0].value) == "ended while a was open" and isinstance(questions[1].value, Result)
    assert not peer.asked and peer.close(gone) == 0


def test_an_answer_wakes_its_asker_at_its_place_in_the_order_of_the_bytes() -> None:
    peer, seen = Peer(1000), []
    question = peer.ask("a")
    question.wake = lambda: seen.append("answer")
    for event in peer.receive(line(method="before") + line(id=1, result={}) + line(method="after")):
        seen.append(event.method)  # type: ignore[union-attr]
    assert seen == ["before", "answer", "after"]


def test_what_is_no_message_is_reported_and_the_channel_goes_on() -> None:
    peer = Peer(60)
    stream = (
        b"junk\n[1]\n5\n"
        + b"x" * 61
        + b"\n"
        + line(method="n")
        + line(id=9)
        + b'{"jsonrpc":"2.0"}\n'
        + line(id=4, method="r")
    )
    assert [shown(event) for event in peer.receive(stream)] == [
        ("parse", None),
        [1],
        ("invalid request", None),
        61,
        Notification("n", {}),
        ("invalid request", 9),
        Request(4, "r", {}),
    ]


def test_the_last_line_counts_without_its_end() -> None:
    peer = Peer(1000)
    question = peer.ask("a")
    assert list(peer.receive(line(id=1, result={})[:-1])) == [] and not question.settled
    assert list(peer.end()) == [] and question.settled


@pytest.mark.parametrize("seed", range(25))
def test_crumbs_mean_the_same_as_the_whole(seed: int) -> None:
    rng = random.Random(seed)
    lines = [
        line(method="n", params={"t": "ü\u2028"}),
        line(id=rng.randint(1, 9), result={"v": "x" * rng.randrange(60)}),
        b"junk\n",
        b"\n",
        line(id="s", method="ping"),
        b"[]\n",
        line(id=rng.randint(1, 9), error={"code": 1, "message": "m"}),
        b"y" * 300 + b"\n",
        b'{"jsonrpc":"2.0","id":3,"result":{}}\r\n',
        b"\xff\n",
    ]
    stream = b"".join(rng.choice(lines) for _ in range(60))

    def play(pieces: list[bytes]) -> tuple[list[Any], dict[int, Any], int]:
        peer, events = Peer(200), []
        questions = [peer.ask("q") for _ in range(9)]
        for piece in pieces:
            events.extend(shown(event) for event in peer.receive(piece))
        return events, {q.id: q.value for q in questions}, peer.stray

    whole = play([stream])
    assert play([bytes((at,)) for at in stream]) == whole, f"seed {seed}"
    assert play([stream[at : at + 37] for at in range(0, len(stream), 37)]) == whole, f"seed {seed}"
