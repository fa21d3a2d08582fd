"""What a host's request means: the ladder of checks that `eras.inbound` climbs."""

from __future__ import annotations

from typing import Any

import pytest

from shack_gateway.eras.inbound import Handshake, classify, house_capabilities
from shack_gateway.errors import RequestError
from shack_gateway.wire import dialect

M = "io.modelcontextprotocol/"
GOOD = {M + "protocolVersion": "2026-07-28", M + "clientCapabilities": {}}


def greeted(version: str = "2025-11-25", capabilities: Any = None) -> Handshake:
    handshake = Handshake()
    handshake.greet({"protocolVersion": version, "capabilities": capabilities or {}})
    return handshake


def kind_of(method: str, params: dict[str, Any], handshake: Handshake | None = None) -> str:
    with pytest.raises(RequestError) as caught:
        classify(method, params, handshake or Handshake())
    return caught.value.kind


@pytest.mark.parametrize(
    "asked, spoken",
    [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),  # a stateless revision is never agreed on by a handshake
        ("1999-01-01", "2025-11-25"),
        ("next", "2025-11-25"),
        (None, "2024-11-05"),  # 0.1.0 asked for none and answered this
    ],
    ids=str,
)
def test_initialize_is_answered_with_the_revision_asked_for_or_with_our_newest(asked: str | None, spoken: str) -> None:
    handshake = Handshake()
    handshake.greet({} if asked is None else {"protocolVersion": asked})
    assert handshake.tongue == (False, spoken)


@pytest.mark.parametrize(
    "params", [{"protocolVersion": 5}, {"protocolVersion": "2025-11-25", "capabilities": []}], ids=str
)
def test_initialize_of_wrong_types_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        Handshake().greet(params)


def test_a_second_initialize_begins_anew() -> None:
    handshake = greeted("2025-11-25", {"sampling": {}})
    handshake.log_level = "debug"
    handshake.greet({"protocolVersion": "2024-11-05"})
    assert (handshake.tongue.version, handshake.capabilities, handshake.log_level) == ("2024-11-05", {}, None)


@pytest.mark.parametrize("done", [False, True], ids=["before initialize", "after initialize"])
def test_a_version_in_meta_makes_a_request_stateless_whatever_came_before(done: bool) -> None:
    asked = classify("tools/list", {"_meta": GOOD}, greeted() if done else Handshake())
    assert asked.tongue == (True, "2026-07-28")


def test_a_request_without_meta_speaks_as_initialize_agreed() -> None:
    assert classify("tools/list", {}, greeted("2025-06-18")).tongue == (False, "2025-06-18")


@pytest.mark.parametrize(
    "meta, kind",
    [
        ({M + "protocolVersion": "2026-07-28"}, "bad params"),  # no capabilities
        ({M + "protocolVersion": "2026-07-28", M + "clientCapabilities": []}, "bad params"),
        ({M + "protocolVersion": 20260728, M + "clientCapabilities": {}}, "bad params"),
        ({M + "protocolVersion": "2099-01-01", M + "clientCapabilities": {}}, "version"),
        ({M + "protocolVersion": "2025-11-25", M + "clientCapabilities": {}}, "version"),  # needs a handshake
        ({**GOOD, M + "logLevel": "loud"}, "bad params"),
        ({**GOOD, M + "clientInfo": "me"}, "bad params"),
        ({**GOOD, "progressToken": True}, "bad params"),
        ({**GOOD, "progressToken": 1.5}, "bad params"),
        ({M + "clientCapabilities": {}}, "bad params"),  # no version
    ],
    ids=lambda v: str(v)[-60:],
)
def test_stateless_meta_that_is_not_whole_is_refused(meta: dict[str, Any], kind: str) -> None:
    assert kind_of("tools/list", {"_meta": meta}) == kind


def test_an_unknown_version_is_answered_with_those_that_can_be_asked_for_this_way() -> None:
    with pytest.raises(RequestError) as caught:
        classify("tools/list", {"_meta": {**GOOD, M + "protocolVersion": "2099-01-01"}}, Handshake())
    assert caught.value.data == {"supported": ["2026-07-28"], "requested": "2099-01-01"}


@pytest.mark.parametrize(
    "method",
    ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "roots/list", "no/such"],
)
def test_a_method_that_the_stateless_era_does_not_have_is_unknown_there(method: str) -> None:
    assert kind_of(method, {"_meta": GOOD}) == "unknown method"


@pytest.mark.parametrize("method", ["server/discover", "subscriptions/listen", "no/such", "tools/call/x"])
def test_a_method_that_the_handshake_era_does_not_have_is_unknown_there(method: str) -> None:
    assert kind_of(method, {}, greeted()) == "unknown method"


@pytest.mark.parametrize("method", sorted(dialect.WITHOUT_HANDSHAKE))
def test_what_0_1_0_served_without_initialize_is_served(method: str) -> None:
    assert classify(method, {}, Handshake()).tongue == (False, "2024-11-05")


@pytest.mark.parametrize(
    "method",
    [
        "prompts/get",
        "completion/complete",
        "logging/setLevel",
        "resources/subscribe",
        "server/discover",
        "subscriptions/listen",
    ],
)
def test_everything_else_before_initialize_and_without_meta_is_refused(method: str) -> None:
    assert kind_of(method, {}) == "bad params"


def test_an_unknown_method_is_unknown_before_initialize_too() -> None:
    assert kind_of("no/such", {}) == "unknown method"


@pytest.mark.parametrize("meta", [[], "x", 5, True], ids=str)
def test_meta_that_is_no_object_is_refused(meta: Any) -> None:
    assert kind_of("tools/list", {"_meta": meta}, greeted()) == "bad params"


@pytest.mark.parametrize(
    "declared, house",
    [
        ({}, {}),
        ({"roots": {"listChanged": True}}, {"roots": {}}),
        ({"elicitation": {}}, {"elicitation": {"form": {}}}),
        ({"elicitation": {"form": {}, "url": {}}}, {"elicitation": {"form": {}, "url": {}}}),
        ({"sampling": {"tools": {}}}, {"sampling": {"tools": {}}}),
        ({"experimental": {"x": {}}, "roots": "yes"}, {}),
    ],
    ids=str,
)
def test_capabilities_of_a_handshake_host_are_said_in_the_house_tongue(declared: Any, house: Any) -> None:
    assert house_capabilities(declared) == house
