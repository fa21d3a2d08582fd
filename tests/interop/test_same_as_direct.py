"""Real hosts get through the gateway what they get from the servers themselves."""
from __future__ import annotations

import json
from typing import Any

import pytest

from .compare import difference, same, worked
from .installed import CLIENTS, PAIRS, Client, Server, behind, unusable
from .plans import LISTS, steps
from .runs import Runs, Through, client_named, tools_of

pytestmark = pytest.mark.interop

TRIPLES = [(*pair, server.name) for pair in PAIRS for client in CLIENTS if client.name == pair[0]
           for server in behind(client)]

ON_DEMAND = {"get-roots-list"}
"""Tools that server-everything adds for a host with roots; the gateway always has some."""


def on_both_ways(runs: Runs, client_name: str, mode: str, server_name: str) -> tuple[Client, Server, Any, Through]:
    client = client_named(client_name)
    server = next(server for server in behind(client) if server.name == server_name)
    if why := unusable(server):
        pytest.skip(why)
    return client, server, runs.direct(client), runs.through(client, mode)


@pytest.mark.parametrize("client_name, mode, server_name", TRIPLES)
def test_every_answer_is_the_one_a_direct_connection_gives(
        runs: Runs, client_name: str, mode: str, server_name: str) -> None:
    client, server, direct, through = on_both_ways(runs, client_name, mode, server_name)
    asked = steps(server_name, runs.workspace)[len(LISTS):]
    mine = direct[server_name]["answers"][len(LISTS):]
    theirs = through.answers[server_name][len(LISTS):]
    if client.name.startswith("typescript"):
        forget_lost_progress(mine, theirs)
    found = [difference(*each, server_name) for each in zip(asked, mine, theirs, strict=False)]
    assert not any(found), "\n".join(line for line in found if line)
    assert sum(map(worked, theirs)) >= sum(map(worked, mine)) > 0


def forget_lost_progress(mine: list[Any], theirs: list[Any]) -> None:
    """Both TypeScript SDKs drop progress notices that are read in one piece with the response (1.32.2, 2.4.0), directly
    and through us: what one side has of the other's, in its order, counts as the same."""
    for direct, through in zip(mine, theirs):
        if isinstance(direct, dict) and isinstance(through, dict) and "progress" in direct and "progress" in through:
            shorter, longer = sorted((direct["progress"], through["progress"]), key=len)
            rest = iter(longer)
            if all(notice in rest for notice in shorter):
                direct["progress"] = through["progress"] = shorter


@pytest.mark.parametrize("client_name, mode, server_name", [row for row in TRIPLES if row[1] == "full"])
def test_the_lists_hold_each_entry_of_a_server_as_the_server_wrote_it(
        runs: Runs, client_name: str, mode: str, server_name: str) -> None:
    _, server, direct, through = on_both_ways(runs, client_name, mode, server_name)
    for place, member in enumerate(("tools", "resources", "resourceTemplates", "prompts")):
        own = entries(direct[server_name]["answers"][place], member)
        shown = entries(through.answers[server_name][place], member)
        for entry in own:
            assert same(entry, server_name) in [same(other, server_name) for other in shown], (
                f"{member}: {json.dumps(entry)[:900]}\nis not in\n" + "\n".join(json.dumps(o)[:300] for o in shown))
        if member in ("tools", "prompts"):
            prefix = f"{server_name}__"
            ours = {other["name"].removeprefix(prefix) for other in shown if other["name"].startswith(prefix)}
            # What the server grew during the run may be there already: all servers' lists come from one connection.
            assert ours - {entry["name"] for entry in own} <= ON_DEMAND | {"grown"}


def entries(answer: Any, member: str) -> list[Any]:
    return answer["result"][member] if worked(answer) else []


@pytest.mark.parametrize("client_name", [name for name, mode in PAIRS if mode == "progressive"])
def test_the_progressive_surface_is_four_tools_that_know_all_others(runs: Runs, client_name: str) -> None:
    client = client_named(client_name)
    direct, through = runs.direct(client), runs.through(client, "progressive")
    for server in through.servers:
        answers = through.answers[server.name]
        assert sorted(tool["name"] for tool in entries(answers[0], "tools")) == [
            "shack_call_tool", "shack_describe_tool", "shack_list_servers", "shack_list_tools"]
        own = tools_of(direct, server)
        listed, *described = [text_of(answer) for answer in answers[-1 - len(own):]]
        names = {tool["name"] for tool in listed["tools"]}
        assert names >= {f"{server.name}__{tool['name']}" for tool in own}
        assert {tool["server"] for tool in listed["tools"]} == {server.name}
        for tool, description in zip(own, described, strict=True):
            assert description["inputSchema"] == tool["inputSchema"], tool["name"]
            assert description["description"] == tool.get("description", ""), tool["name"]


def text_of(answer: Any) -> Any:
    assert worked(answer), answer
    return json.loads(answer["result"]["content"][0]["text"])


@pytest.mark.parametrize("client_name, mode", PAIRS)
def test_a_host_settles_on_the_era_it_prefers(runs: Runs, client_name: str, mode: str) -> None:
    client = client_named(client_name)
    version = runs.through(client, mode).report["version"]
    if version is not None:                       # SDK 1.x for TypeScript does not tell
        assert version == ("2026-07-28" if client.era == "stateless" else "2025-11-25")


@pytest.mark.parametrize("client_name, mode", PAIRS)
def test_log_messages_of_a_call_arrive_in_order_and_name_their_server(
        runs: Runs, client_name: str, mode: str) -> None:
    client = client_named(client_name)
    through = runs.through(client, mode)
    notes = through.report["notifications"]
    said = [note["params"] for note in notes if note["method"] == "notifications/message"]
    for server in through.servers:
        if server.name in ("python1", "python2"):
            mine = [p["data"] for p in said if p.get("logger", "").startswith(server.name)]
            assert [data for data in mine if "climbed" in str(data)] == ["climbed 1", "climbed 2", "climbed 3"]
