"""Questions to the user and their answers, from one revision to another."""

from __future__ import annotations

from typing import Any

import pytest

from shack_gateway.eras import asking
from shack_gateway.eras.asking import ELICIT, ROOTS, SAMPLE
from shack_gateway.pipeline.call import InputRequired

NEW, MIDDLE, OLD = "2025-11-25", "2025-06-18", "2025-03-26"
FORM = {"message": "m", "requestedSchema": {"type": "object", "properties": {}}}
URL = {"message": "m", "mode": "url", "url": "https://x.example"}
TEXT = {"type": "text", "text": "t"}


def said(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}], "maxTokens": 1}


@pytest.mark.parametrize(
    "method, params, declared, needed",
    [
        (ELICIT, FORM, {"elicitation": {}}, {}),
        (ELICIT, FORM, {"elicitation": {"form": {}}}, {}),
        (ELICIT, FORM, {"elicitation": {"url": {}}}, {"elicitation": {"form": {}}}),
        (ELICIT, FORM, {}, {"elicitation": {"form": {}}}),
        (ELICIT, FORM, {"elicitation": True}, {"elicitation": {"form": {}}}),
        (ELICIT, URL, {"elicitation": {}}, {"elicitation": {"url": {}}}),
        (ELICIT, URL, {"elicitation": {"form": {}, "url": {}}}, {}),
        (SAMPLE, said(TEXT), {"sampling": {}}, {}),
        (SAMPLE, said(TEXT), {}, {"sampling": {}}),
        (SAMPLE, {**said(TEXT), "tools": []}, {"sampling": {}}, {"sampling": {"tools": {}}}),
        (SAMPLE, {**said(TEXT), "toolChoice": {}}, {"sampling": {}}, {"sampling": {"tools": {}}}),
        (SAMPLE, {**said(TEXT), "tools": []}, {"sampling": {"tools": {}}}, {}),
        (ROOTS, {}, {}, {"roots": {}}),
        (ROOTS, {}, {"roots": {}}, {}),
    ],
)
def test_a_host_is_asked_what_it_declared(method: str, params: Any, declared: Any, needed: Any) -> None:
    assert asking.lacking(method, params, declared) == needed
    outcome = InputRequired({"k": {"method": method, "params": params}}, None, "a")
    refused = asking.refusal(outcome, declared)
    assert (refused is None) == (not needed)
    if refused is not None:
        assert refused.data == {"requiredCapabilities": needed} and next(iter(needed)) in refused.text


def test_all_that_is_missing_is_named_together() -> None:
    requests = {"a": {"method": ELICIT, "params": FORM}, "b": {"method": ELICIT, "params": URL}, "c": {"method": ROOTS}}
    assert asking.missing_capabilities(requests, {}) == {"elicitation": {"form": {}, "url": {}}, "roots": {}}


@pytest.mark.parametrize(
    "method, params",
    [
        ("tools/call", {}), (None, {}), (5, {}), (ELICIT, None), (ELICIT, []), (ELICIT, {}), (ELICIT, {"message": 5}),
        (ELICIT, {"message": "m"}), (ELICIT, {"message": "m", "requestedSchema": []}), (ELICIT, {**URL, "url": 5}),
        (ELICIT, {**FORM, "mode": "smoke"}), (SAMPLE, {}), (SAMPLE, {"messages": {}}),
    ],
    ids=str,
)
def test_nonsense_is_told_from_questions(method: Any, params: Any) -> None:
    assert asking.nonsense(method, params)


@pytest.mark.parametrize("method, params", [(ELICIT, FORM), (ELICIT, URL), (SAMPLE, said(TEXT)), (ROOTS, {})])
def test_questions_are_not_taken_for_nonsense(method: str, params: Any) -> None:
    assert not asking.nonsense(method, params)


CHOICE = {"type": "string", "oneOf": [{"const": "s", "title": "Small"}, {"const": "l"}]}
OLDER_CHOICE = {"type": "string", "enum": ["s", "l"], "enumNames": ["Small", "l"]}


@pytest.mark.parametrize(
    "params, version, expected",
    [
        ({**FORM, "mode": "form"}, NEW, {**FORM, "mode": "form"}),
        ({**FORM, "mode": "form"}, MIDDLE, FORM),
        (URL, NEW, {**URL, "elicitationId": "new"}),
        ({**URL, "elicitationId": "own"}, NEW, {**URL, "elicitationId": "own"}),
    ],
)
def test_a_question_has_the_form_of_the_hosts_revision(params: Any, version: str, expected: Any) -> None:
    before = dict(params)
    assert asking.for_host(ELICIT, params, version, "2026-07-28", "new") == expected
    assert params == before, "the question itself is not changed"


@pytest.mark.parametrize(
    "field, older",
    [
        (CHOICE, OLDER_CHOICE),
        ({"type": "string", "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
        ({"type": "boolean", "default": True}, {"type": "boolean", "default": True}),
        ({"type": "string", "oneOf": [5]}, {"type": "string", "oneOf": [5]}),
    ],
)
def test_titled_choices_are_older_ones_before_2025_11_25(field: Any, older: Any) -> None:
    params = {"message": "m", "requestedSchema": {"type": "object", "properties": {"f": field}}}
    fit = asking.for_host(ELICIT, params, MIDDLE, NEW)
    assert isinstance(fit, dict) and fit["requestedSchema"]["properties"] == {"f": older}
    assert asking.for_host(ELICIT, params, NEW, NEW) == params


@pytest.mark.parametrize(
    "method, params, version",
    [
        (ELICIT, FORM, OLD), (ELICIT, FORM, "2024-11-05"), (ELICIT, URL, MIDDLE),
        (ELICIT, {"message": "m", "requestedSchema": {"properties": {"f": {"type": "array"}}}}, MIDDLE),
        (SAMPLE, said([TEXT, TEXT]), MIDDLE), (SAMPLE, said([]), OLD),
    ],
    ids=str,
)
def test_what_a_revision_cannot_say_is_refused_never_bent(method: str, params: Any, version: str) -> None:
    assert isinstance(asking.for_host(method, params, version, "2026-07-28"), str)


def test_a_single_block_of_sampling_is_said_the_older_way() -> None:
    assert asking.for_host(SAMPLE, said([TEXT]), MIDDLE, NEW) == said(TEXT)
    assert asking.for_host(SAMPLE, said([TEXT]), NEW, NEW) == said([TEXT])
    assert asking.for_host(SAMPLE, said(TEXT), MIDDLE, MIDDLE) == said(TEXT)


REPLY = {"role": "assistant", "content": TEXT, "model": "m"}


@pytest.mark.parametrize(
    "method, value, answer",
    [
        (ELICIT, {"action": "decline"}, {"action": "decline"}),
        (ELICIT, {"action": "accept", "content": {"a": 1}}, {"action": "accept", "content": {"a": 1}}),
        (ELICIT, {"action": "accept"}, {"action": "accept"}),
        (ELICIT, {"action": "maybe"}, {"action": "cancel"}),
        (ELICIT, {"action": "accept", "content": []}, {"action": "cancel"}),
        (ELICIT, {}, {"action": "cancel"}),
        (ELICIT, None, {"action": "cancel"}),
        (SAMPLE, REPLY, REPLY),
        (SAMPLE, {"role": "assistant"}, None),
        (SAMPLE, {"content": TEXT}, None),
        (SAMPLE, None, None),
        (ROOTS, {"roots": []}, {"roots": []}),
        (ROOTS, {"roots": {}}, None),
    ],
)
def test_an_answer_is_one_or_counts_as_dismissed(method: str, value: Any, answer: Any) -> None:
    assert asking.answer(method, value) == answer


def test_an_answer_fits_the_revision_of_the_server() -> None:
    several, one = {**REPLY, "content": [TEXT, TEXT]}, {**REPLY, "content": [TEXT]}
    assert asking.for_server(SAMPLE, one, MIDDLE) == REPLY
    assert asking.for_server(SAMPLE, several, MIDDLE) is None
    assert asking.for_server(SAMPLE, several, NEW) == several
    assert asking.for_server(ELICIT, {"action": "cancel", "resultType": "complete"}, NEW) == {"action": "cancel"}


@pytest.mark.parametrize(
    "data, pages",
    [
        ({"elicitations": [{"url": "https://a", "elicitationId": "1", "message": "x"}]}, [("https://a", "x")]),
        ({"elicitations": [{"url": "https://a"}, {"url": 5}, 7, {"url": "https://b"}]},
         [("https://a", "Please open this page, then go on."), ("https://b", "Please open this page, then go on.")]),
        ({"elicitations": {}}, []), ({}, []), (None, []), ([], []),
    ],
    ids=str,
)
def test_pages_to_open_first_become_questions(data: Any, pages: Any) -> None:
    found = asking.url_requests(data)
    assert [(each["params"]["url"], each["params"]["message"]) for each in found.values()] == pages
    assert all(each["params"]["mode"] == "url" and "elicitationId" not in each["params"] for each in found.values())
