"""The demo servers as a host meets them: real processes, both eras, every message held against the official schemas."""
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kit import Host, M, json_of, schema

Open = Callable[..., Host]
SURE = {"sure": {"action": "accept", "content": {"sure": True}}}


@pytest.fixture
def open_(tmp_path: Path) -> Iterator[Open]:
    """Starts a demo server in an empty folder; every line it wrote is judged at the end."""
    hosts: list[Host] = []

    def start(name: str, *, greet: str = "") -> Host:
        host = Host("", command=[sys.executable, "-m", f"shack_gateway.demo.{name}"], cwd=tmp_path)
        hosts.append(host)
        if greet:
            host.handshake(greet)
        return host

    yield start
    try:
        for host in hosts:
            assert host.close() == 0
    finally:
        for host in hosts:
            host.end()


def text_of(answer: dict[str, Any]) -> str:
    """The text of a tool's result, or of the answer that carries it."""
    return answer.get("result", answer)["content"][0]["text"]  # type: ignore[no-any-return]


def tools_of(host: Host) -> dict[str, dict[str, Any]]:
    """Every tool, all pages of the handshake era."""
    found: dict[str, dict[str, Any]] = {}
    params: dict[str, Any] = {}
    while True:
        page = host.request("tools/list", params)["result"]
        found.update({tool["name"]: tool for tool in page["tools"]})
        if "nextCursor" not in page:
            return found
        params = {"cursor": page["nextCursor"]}


# -- eras ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["notes", "oldschool"])
def test_a_handshake_settles_on_the_version_asked_for_or_the_newest(open_: Open, name: str) -> None:
    host = open_(name)
    for known in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"):
        assert host.handshake(known)["protocolVersion"] == known
    for unknown in ("2026-07-28", "1999-01-01"):
        assert host.handshake(unknown)["protocolVersion"] == "2025-11-25"


@pytest.mark.parametrize("name", ["notes", "tickets", "newschool"])
def test_a_stateless_host_needs_no_handshake(open_: Open, name: str) -> None:
    host = open_(name)
    assert host.ask("server/discover")["result"]["supportedVersions"] == ["2026-07-28"]
    listed = host.ask("tools/list")["result"]
    assert listed["resultType"] == "complete" and listed["tools"]
    assert listed["_meta"][M + "serverInfo"]["name"] == f"shack-demo-{name}"


def test_oldschool_knows_no_stateless_host(open_: Open) -> None:
    host = open_("oldschool")
    assert host.ask("server/discover")["error"]["code"] == -32601
    assert host.ask("tools/list")["error"]["code"] == -32602
    assert host.handshake("2025-06-18")["protocolVersion"] == "2025-06-18"


def test_newschool_knows_no_handshake(open_: Open) -> None:
    host = open_("newschool")
    error = host.request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}})["error"]
    assert error["code"] == -32022 and error["data"] == {"supported": ["2026-07-28"], "requested": "2025-11-25"}
    assert host.request("tools/list")["error"]["code"] == -32602
    assert host.ask("ping")["error"]["code"] == -32601


def test_newschool_refuses_a_version_it_lacks(open_: Open) -> None:
    meta = {M + "protocolVersion": "2031-01-01", M + "clientCapabilities": {}}
    assert open_("newschool").request("tools/list", {"_meta": meta})["error"]["code"] == -32022


def test_batches_are_taken_where_2025_03_26_was_agreed_on_and_nowhere_else(open_: Open) -> None:
    pings = b'[{"jsonrpc":"2.0","id":91,"method":"ping"},{"jsonrpc":"2.0","id":92,"method":"ping"}]\n'
    batching = open_("oldschool", greet="2025-03-26")
    for id in (91, 92):
        batching.expect(id)
    batching.send_raw(pings)
    assert batching.answer(91)["result"] == batching.answer(92)["result"] == {}
    other = open_("oldschool", greet="2025-11-25")
    other.send_raw(pings)
    other.lone_error(-32600)


def test_lines_that_are_no_message_are_survived(open_: Open) -> None:
    host = open_("oldschool", greet="2025-11-25")
    for line, code in (
        (b"{", -32700), (b"[" * 100_000, -32700), (b"\xff\xfe", -32700), (b"5", -32600), (b"{}", -32600),
    ):
        host.send_raw(line + b"\n\n")
        host.lone_error(code)
    host.settle()


def test_nonsense_gets_an_answer(open_: Open) -> None:
    host = open_("oldschool", greet="2025-11-25")
    nonsense: list[tuple[str, dict[str, Any]]] = [
        ("no/such", {}), ("tools/call", {"name": "no"}), ("tools/call", {"name": ["x"]}),
        ("tools/list", {"cursor": "x"}),
        ("prompts/get", {"name": "no"}), ("prompts/get", {"name": "explain_unit"}),
        ("resources/read", {"uri": "units:///no"}),
        ("logging/setLevel", {"level": "loud"})]
    for method, params in nonsense:
        assert "error" in host.request(method, params), method
    strange = host.request("completion/complete", {"ref": 5, "argument": []})
    assert strange["result"]["completion"]["values"] == []


# -- every message is what the specification says --------------------------------------------------------------------

def talk(host: Host, ask: Callable[..., dict[str, Any]], tools: dict[str, dict[str, Any]]) -> None:
    """Ask for everything once, with whatever arguments come to hand."""
    samples = {"string": "SHOP-1", "integer": 1, "number": 1.5, "boolean": True, "array": ["SHOP-1"]}
    for tool in tools.values():
        fields = tool["inputSchema"]["properties"]
        given = {key: (field.get("enum") or [samples[field["type"]]])[0] for key, field in fields.items()}
        answer = ask("tools/call", {"name": tool["name"], "arguments": given})
        assert "result" in answer, answer
    for method in ("resources/list", "resources/templates/list", "prompts/list"):
        assert "result" in ask(method, {})


@pytest.mark.parametrize("name, version", [
    ("oldschool", "2024-11-05"), ("oldschool", "2025-03-26"), ("oldschool", "2025-06-18"), ("oldschool", "2025-11-25"),
    ("notes", "2025-06-18"), ("tickets", "2025-11-25"),
])
def test_what_is_said_after_a_handshake_fits_the_schema(open_: Open, name: str, version: str) -> None:
    schema.needed()
    host = open_(name, greet=version)
    talk(host, host.request, tools_of(host))
    assert schema.judge(host.conversation, version, only="<") == []


@pytest.mark.parametrize("name", ["notes", "tickets", "newschool"])
def test_what_is_said_statelessly_fits_the_schema(open_: Open, name: str) -> None:
    schema.needed()
    host = open_(name)
    host.ask("server/discover")
    listen = host.send("subscriptions/listen", {"notifications": {"resourcesListChanged": True}, "_meta": host.meta()})
    talk(host, host.ask, {tool["name"]: tool for tool in host.ask("tools/list")["result"]["tools"]})
    host.process.stdin.close()
    assert host.answer(listen)["result"]["_meta"][M + "subscriptionId"] == listen
    assert schema.judge(host.conversation, "2026-07-28", only="<") == []


def test_structured_content_is_what_the_output_schema_says(open_: Open) -> None:
    schema.needed()
    import jsonschema

    host = open_("tickets", greet="2025-11-25")
    calls: dict[str, dict[str, Any]] = {
        "search_tickets": {"query": "mail"}, "list_tickets": {"status": "open"}, "get_ticket": {"ticket": "OPS-1"},
        "project_statistics": {"project": "SHOP"}, "create_ticket": {"project": "OPS", "title": "x"}}
    tools = tools_of(host)
    assert {name for name, tool in tools.items() if "outputSchema" in tool} == set(calls)
    for name, arguments in calls.items():
        result = host.call(name, arguments)["result"]
        jsonschema.validate(result["structuredContent"], tools[name]["outputSchema"])
        assert json.loads(text_of(result)) == result["structuredContent"]


@pytest.mark.parametrize("name, least", [("notes", 6), ("tickets", 36), ("oldschool", 4)])
def test_every_tool_says_what_it_takes_and_what_it_does_to_the_world(open_: Open, name: str, least: int) -> None:
    tools = tools_of(open_(name, greet="2025-11-25"))
    assert len(tools) >= least
    for tool in tools.values():
        assert len(tool["description"]) > 10 and tool["description"].endswith("."), tool["name"]
        assert isinstance(tool["annotations"]["readOnlyHint"], bool)
        assert all(field["description"] for field in tool["inputSchema"]["properties"].values()), tool["name"]


# -- notes -----------------------------------------------------------------------------------------------------------

def test_notes_are_files_in_the_workspace(open_: Open, tmp_path: Path) -> None:
    host = open_("notes", greet="2025-11-25")
    assert not list(tmp_path.iterdir())
    host.call("write_note", {"path": "demo-notes/a.md", "content": "one\nTwo\n"})
    host.call("append_note", {"path": "demo-notes/a.md", "content": "three\n"})
    assert (tmp_path / "demo-notes" / "a.md").read_text() == "one\nTwo\nthree\n"
    found = json_of(host.call("search_notes", {"query": "two"}))
    assert found == [{"path": "demo-notes/a.md", "line": 2, "text": "Two"}]
    assert text_of(host.call("read_note", {"path": "demo-notes/a.md"})) == "one\nTwo\nthree\n"
    host.call("delete_note", {"path": "demo-notes/a.md"})
    assert json_of(host.call("list_notes")) == {"notes": []}


def test_notes_are_written_nowhere_else(open_: Open, tmp_path: Path) -> None:
    host = open_("notes", greet="2025-11-25")
    elsewhere = str(tmp_path / "a.md")
    for path in ("a.md", "demo-notes/a.py", "demo-notes/../a.md", "demo-notes/b/c.md", elsewhere, ""):
        for tool in ("write_note", "append_note"):
            assert host.call(tool, {"path": path, "content": "x"})["result"]["isError"] is True, (tool, path)
    assert not list(tmp_path.iterdir())


def test_a_note_is_not_overwritten_by_accident(open_: Open) -> None:
    host = open_("notes", greet="2025-11-25")
    note = {"path": "demo-notes/a.md", "content": "kept"}
    host.call("write_note", note)
    assert host.call("write_note", {**note, "content": "lost"})["result"]["isError"] is True
    assert text_of(host.call("read_note", {"path": note["path"]})) == "kept"
    host.call("write_note", {**note, "content": "new", "replace": True})
    assert text_of(host.call("read_note", {"path": note["path"]})) == "new"


def test_a_subscriber_hears_of_a_changed_note_and_everybody_of_a_new_one(open_: Open) -> None:
    host = open_("notes", greet="2025-11-25")
    note = {"path": "demo-notes/a.md", "content": "x"}
    host.call("write_note", note)
    host.notification("notifications/resources/list_changed")
    uri = host.request("resources/list")["result"]["resources"][0]["uri"]
    assert host.request("resources/read", {"uri": uri})["result"]["contents"][0]["text"] == "x"
    host.request("resources/subscribe", {"uri": uri})
    host.call("append_note", note)
    assert host.notification("notifications/resources/updated")["params"] == {"uri": uri}
    host.request("resources/unsubscribe", {"uri": uri})
    before = len(host.messages)
    host.call("append_note", note)
    host.settle()
    assert not [m for m in host.messages[before:] if "method" in m]


# -- tickets ---------------------------------------------------------------------------------------------------------

def test_tickets_can_be_worked_through_from_creation_to_done(open_: Open) -> None:
    host = open_("tickets", greet="2025-11-25")
    made = host.call("create_ticket", {"project": "SHOP", "title": "Basket forgets items", "kind": "bug"})["result"]
    key = made["structuredContent"]["ticket"]
    host.call("assign_ticket", {"ticket": key, "user": "chen"})
    host.call("add_comment", {"ticket": key, "message": "Seen twice, only with vouchers"})
    skipped = host.call("transition_ticket", {"ticket": key, "status": "done"})["result"]
    assert skipped["isError"] is True and "in progress" in text_of(skipped)
    for status in ("in progress", "review", "done"):
        host.call("transition_ticket", {"ticket": key, "status": status})
    found = host.call("search_tickets", {"query": "vouchers"})["result"]["structuredContent"]
    assert found["count"] == 1
    assert found["tickets"][0] == {
        "ticket": key, "title": "Basket forgets items", "status": "done", "priority": "normal", "assignee": "chen",
        "labels": []}
    assert "status: review -> done" in text_of(host.call("ticket_history", {"ticket": key}))


def test_deleting_a_ticket_removes_the_links_to_it(open_: Open) -> None:
    host = open_("tickets", greet="2025-11-25")
    host.call("link_tickets", {"ticket": "SHOP-1", "link": "blocks", "other": "SHOP-2"})
    host.call("delete_ticket", {"ticket": "shop-2"})
    assert host.call("get_ticket", {"ticket": "SHOP-1"})["result"]["structuredContent"]["links"] == []
    assert "there is no ticket" in text_of(host.call("get_ticket", {"ticket": "SHOP-2"}))


def test_merging_tickets_keeps_what_was_said_and_worked(open_: Open) -> None:
    host = open_("tickets", greet="2025-11-25")
    host.call("add_comment", {"ticket": "SHOP-1", "message": "first"})
    host.call("log_work", {"ticket": "SHOP-1", "hours": 2.5, "user": "ada"})
    host.call("merge_tickets", {"ticket": "SHOP-1", "into": "SHOP-5"})
    assert [c["text"] for c in json_of(host.call("list_comments", {"ticket": "SHOP-5"}))] == ["first"]
    assert json_of(host.call("list_work", {"ticket": "SHOP-5"}))[0]["hours"] == 2.5
    assert host.call("get_ticket", {"ticket": "SHOP-1"})["result"]["isError"] is True


def test_a_dry_run_changes_nothing(open_: Open) -> None:
    host = open_("tickets", greet="2025-11-25")
    moves = {"tickets": ["SHOP-1", "SHOP-6", "NO-1"], "status": "in progress"}
    said = json_of(host.call("bulk_transition", {**moves, "dry_run": True}))
    assert said["SHOP-1"] == "would be in progress" and said["SHOP-6"].startswith("not moved")
    assert host.call("get_ticket", {"ticket": "SHOP-1"})["result"]["structuredContent"]["status"] == "open"
    assert json_of(host.call("bulk_transition", moves))["SHOP-1"] == "in progress"


def test_a_bad_argument_is_named(open_: Open) -> None:
    host = open_("tickets", greet="2025-11-25")
    for arguments, word in (
        ({}, "`arguments.ticket` is missing"), ({"ticket": 5, "priority": "low"}, "of type string"),
        ({"ticket": "SHOP-1", "priority": "soon"}, "one of low, normal"),
        ({"ticket": "SHOP-1", "priority": "low", "x": 1}, "not known"),
        ({"ticket": "SHOP-99", "priority": "low"}, "no ticket"),
    ):
        result = host.call("set_priority", arguments)["result"]
        assert result["isError"] is True and word in text_of(result)


def test_the_slow_tool_tells_its_progress_before_its_answer(open_: Open) -> None:
    host = open_("tickets", greet="2025-11-25")
    host.request("logging/setLevel", {"level": "debug"})
    answer = host.call("export_project", {"project": "OPS", "pace": 0}, _meta={"progressToken": "t"})
    told = [m["params"] for m in host.messages if m.get("method") == "notifications/progress"]
    assert [(p["progressToken"], p["progress"], p["total"]) for p in told] == [("t", n, 4) for n in (1, 2, 3, 4)]
    assert host.messages[-1] is answer and len(text_of(answer).splitlines()) == 4
    assert host.notification("notifications/message")["params"]["logger"] == "tickets"


def test_the_slow_tool_leaves_others_alone_and_ends_without_a_word_when_cancelled(open_: Open) -> None:
    host = open_("tickets", greet="2025-11-25")
    slow = host.send("tools/call", {
        "name": "export_project", "arguments": {"project": "SHOP", "pace": 60}, "_meta": {"progressToken": 1}})
    host.settle()
    host.notify("notifications/cancelled", {"requestId": slow})
    assert text_of(host.call("export_project", {"project": "SHOP", "pace": 0}))
    host.settle()
    assert (int, slow) not in host.answers
    assert not [m for m in host.messages if m.get("method") == "notifications/progress"]


def test_a_stateless_request_hears_of_no_log_and_no_progress_that_it_did_not_ask_for(open_: Open) -> None:
    host = open_("tickets")
    call = {"name": "export_project", "arguments": {"project": "OPS", "pace": 0}}
    host.ask("tools/call", call)
    assert not [m for m in host.messages if "method" in m]
    host.ask("tools/call", call, log_level="info")
    assert host.notification("notifications/message")["params"]["level"] == "info"


def test_two_tickets_servers_do_not_share_their_book(open_: Open) -> None:
    first, second = open_("tickets", greet="2025-11-25"), open_("tickets", greet="2025-11-25")
    first.call("delete_ticket", {"ticket": "SHOP-1"})
    assert "isError" not in second.call("get_ticket", {"ticket": "SHOP-1"})["result"]


# -- oldschool -------------------------------------------------------------------------------------------------------

def test_units_are_converted(open_: Open) -> None:
    host = open_("oldschool", greet="2024-11-05")
    for value, unit, into, expected in (
        (1, "mi", "m", 1609.344), (26.2, "mi", "km", 42.1648128), (100, "C", "F", 212), (-40, "F", "C", -40),
        (0, "K", "C", -273.15), (1, "wk", "h", 168), (2, "lb", "kg", 0.90718474),
    ):
        result = host.call("convert_units", {"value": value, "unit": unit, "into": into})["result"]
        assert result["structuredContent"] == {"value": pytest.approx(expected), "unit": into}


def test_units_of_different_quantities_are_not_converted(open_: Open) -> None:
    host = open_("oldschool", greet="2024-11-05")
    result = host.call("convert_units", {"value": 1, "unit": "kg", "into": "m"})["result"]
    assert result["isError"] is True and "mass" in text_of(result) and "length" in text_of(result)


def test_times_are_converted(open_: Open) -> None:
    host = open_("oldschool", greet="2024-11-05")
    asked = {"time": "2026-07-28T09:30:00+02:00", "offset": "-05:00"}
    assert text_of(host.call("convert_time", asked)) == "2026-07-28T02:30:00-05:00"
    assert host.call("convert_time", {**asked, "offset": "x"})["result"]["isError"] is True
    assert text_of(host.call("current_time", {"offset": "+05:30"})).endswith("+05:30")


def test_oldschool_has_a_prompt_with_completion_and_a_resource_with_a_template(open_: Open) -> None:
    host = open_("oldschool", greet="2025-06-18")
    completed = host.request("completion/complete", {
        "ref": {"type": "ref/prompt", "name": "explain_unit"}, "argument": {"name": "unit", "value": "m"}})
    assert completed["result"]["completion"]["values"] == ["m", "mm", "mi", "min", "ml"]
    said = host.request("prompts/get", {"name": "explain_unit", "arguments": {"unit": "mi"}})["result"]["messages"][0]
    assert "`mi` (length)" in said["content"]["text"]
    assert "1 km = 1000 m" in host.request("resources/read", {"uri": "units:///table"})["result"]["contents"][0]["text"]
    assert host.request("resources/templates/list")["result"]["resourceTemplates"][0]["uriTemplate"] == "units:///{quantity}"
    assert host.request("resources/read", {"uri": "units:///mass"})["result"]["contents"][0]["text"].startswith("mass\n")
    assert host.request("resources/read", {"uri": "units:///no"})["error"]["code"] == -32002


# -- newschool -------------------------------------------------------------------------------------------------------

def test_texts_are_counted(open_: Open) -> None:
    host = open_("newschool")
    call = {"name": "text_statistics", "arguments": {"text": "Hi there. Hi again, you!"}}
    result = host.ask("tools/call", call)["result"]
    assert result["structuredContent"] == {
        "characters": 24, "words": 5, "sentences": 2, "distinct_words": 4, "words_per_sentence": 2.5}


def test_structured_content_may_be_a_list_in_the_stateless_era(open_: Open) -> None:
    result = open_("newschool").ask("tools/call", {
        "name": "longest_words", "arguments": {"text": "a bbb cc bbb dddd", "count": 2}})["result"]
    assert result["structuredContent"] == ["dddd", "bbb"] and json.loads(text_of(result)) == ["dddd", "bbb"]


def test_a_kept_text_is_a_resource_and_listeners_hear_of_it(open_: Open) -> None:
    host = open_("newschool")
    uri = "text:///kept/my%20text"
    wish = {"resourcesListChanged": True, "resourceSubscriptions": [uri], "toolsListChanged": True}
    listen = host.send("subscriptions/listen", {"notifications": wish, "_meta": host.meta()})
    acknowledged = host.notification("notifications/subscriptions/acknowledged")["params"]
    assert acknowledged == {"_meta": {M + "subscriptionId": listen},
                            "notifications": {"resourcesListChanged": True, "resourceSubscriptions": [uri]}}
    for text in ("one two", "one two three"):
        host.ask("tools/call", {"name": "keep_text", "arguments": {"name": "my text", "text": text}})
    told = host.notification("notifications/resources/list_changed")
    assert told["params"]["_meta"] == {M + "subscriptionId": listen}
    assert host.notification("notifications/resources/updated")["params"]["uri"] == uri
    read = host.ask("resources/read", {"uri": uri + "/words"})["result"]
    assert read["contents"][0]["text"] == "one\ntwo\nthree" and (read["ttlMs"], read["cacheScope"]) == (0, "private")
    host.notify("notifications/cancelled", {"requestId": listen})
    before = len(host.messages)
    host.ask("tools/call", {"name": "keep_text", "arguments": {"name": "other", "text": "x"}})
    assert len(host.messages) == before + 1
    host.listens.add(listen)


def test_lists_may_be_cached_for_a_minute(open_: Open) -> None:
    listed = open_("newschool").ask("tools/list")["result"]
    assert (listed["ttlMs"], listed["cacheScope"]) == (60_000, "public")


def test_forgetting_asks_the_user_and_takes_each_answer_once(open_: Open) -> None:
    host = open_("newschool")
    host.ask("tools/call", {"name": "keep_text", "arguments": {"name": "a", "text": "x"}})
    call: dict[str, Any] = {"name": "forget_texts", "arguments": {}}
    asked = host.ask("tools/call", call, capabilities={"elicitation": {"form": {}}})["result"]
    assert asked["resultType"] == "input_required"
    assert asked["inputRequests"]["sure"]["method"] == "elicitation/create"
    declined = {"sure": {**SURE["sure"], "action": "decline"}}
    no = {**call, "requestState": asked["requestState"], "inputResponses": declined}
    assert text_of(host.ask("tools/call", no)) == "nothing was forgotten"
    again = {**no, "inputResponses": SURE}
    replayed = host.ask("tools/call", again, capabilities={"elicitation": {"form": {}}})["result"]
    assert replayed["resultType"] == "input_required"
    yes = {**call, "requestState": replayed["requestState"], "inputResponses": SURE}
    assert text_of(host.ask("tools/call", yes)) == "1 text(s) forgotten"
    assert host.ask("resources/list")["result"]["resources"] == []


def test_forgetting_does_not_ask_a_host_that_cannot_ask(open_: Open) -> None:
    result = open_("newschool").ask("tools/call", {"name": "forget_texts", "arguments": {}})["result"]
    assert result["isError"] is True and "elicitation" in text_of(result)


# -- the hook --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("tool, given, labels", [
    ("tickets__create_ticket", {"title": "x"}, ["via-gateway"]),
    ("tickets__create_ticket", {"labels": ["a"]}, ["a", "via-gateway"]),
    ("tickets__create_ticket", {"labels": ["via-gateway"]}, None),
    ("tickets__create_ticket", {"labels": "a"}, None),
    ("tickets__copy_ticket", {"title": "x"}, None),
], ids=["no labels", "labels", "labelled already", "labels that are no list", "another tool"])
def test_the_hook_labels_new_tickets_and_lets_everything_else_be(
    tool: str, given: dict[str, Any], labels: list[str] | None
) -> None:
    payload = {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": given,
               "tool_input_json": json.dumps(given)}
    done = subprocess.run([sys.executable, "-m", "shack_gateway.demo.hook"], input=json.dumps(payload).encode(),
                          capture_output=True, timeout=15, check=True)
    if labels is None:
        assert done.stdout == b""
    else:
        answer = json.loads(done.stdout)["hookSpecificOutput"]
        assert answer == {"hookEventName": "PreToolUse", "updatedInput": {**given, "labels": labels}}
