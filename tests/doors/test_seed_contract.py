"""What users of 0.1.0 rely on: command line, config fields, protocol surface, meta-tools, policy, hooks, error texts.

Differences that were decided on purpose: a server's working directory and environment, unknown and misspelt keys,
what a stateless host is told, `arguments` that are no object, a hook's `ask`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kit import Host, Kept, Scene, json_of, processes_left, text_of

posix = pytest.mark.skipif(sys.platform == "win32", reason="hooks of this test are written for sh")


def served(scene: Scene, *tools: Any, **settings: Any) -> Host:
    """A gateway with one server `fs`, greeted as 0.1.0's hosts do."""
    scene.server("fs", *(tools or ("echo",)))
    host = scene.start(**settings)
    host.handshake("2024-11-05")
    return host


@pytest.fixture
def plain(kept: Kept) -> tuple[Scene, Host]:
    """A gateway without any settings that other tests have too, for calls that leave nothing behind."""
    return kept(lambda scene: served(scene, "echo", "whole", "tool_error", "raw"), "plain")


def error(answer: dict[str, Any]) -> tuple[int, str]:
    assert "error" in answer, answer
    return answer["error"]["code"], answer["error"]["message"]


# --- 1. command line and process -------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [["--config", "FILE"], ["--config=FILE"], ["--conf", "FILE"], ["-c", "FILE"]], ids=str)
def test_the_configuration_is_named_on_the_command_line(scene: Scene, args: list[str]) -> None:
    config = str(scene.config())
    ping = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
    done = scene.run(*[arg.replace("FILE", config) for arg in args], stdin=ping)
    assert done.returncode == 0 and json.loads(done.stdout) == {"jsonrpc": "2.0", "id": 1, "result": {}}


def test_without_a_name_the_file_in_the_working_directory_is_read(scene: Scene) -> None:
    scene.config()
    assert scene.run().returncode == 0


@pytest.mark.parametrize("args, code", [(["-h"], 0), (["--help"], 0), (["--nonsense"], 2), (["--config"], 2)], ids=str)
def test_the_command_line_answers_for_itself(scene: Scene, args: list[str], code: int) -> None:
    done = scene.run(*args)
    assert done.returncode == code
    assert b"--config" in done.stdout + done.stderr


BROKEN = {
    "no file": (None, "failed to read config"),
    "not JSON": ("{", "failed to parse config"),
    "not an object": ("[]", ""),
    "no workspace": ('{"servers": {}}', "workspace_root"),
    "a workspace that is not there": (
        '{"workspace_root": "/no/such/place"}',
        "workspace_root does not exist: /no/such/place",
    ),
    "a server without a command": ('{"workspace_root": ".", "servers": {"a": {}}}', "command"),
    "a command that is a number": ('{"workspace_root": ".", "servers": {"a": {"command": 5}}}', "command"),
    "servers that are a list": ('{"workspace_root": ".", "servers": []}', "servers"),
    "not UTF-8": (b"\xff\xfe{", "failed to parse config"),
}


@pytest.mark.parametrize("text, words", BROKEN.values(), ids=BROKEN)
def test_a_configuration_that_cannot_be_used_ends_with_1_and_says_why(
    scene: Scene, text: str | bytes | None, words: str
) -> None:
    path = scene.folder / "broken.json"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = scene.run("--config", str(path))
    said = done.stderr.decode()
    assert done.returncode == 1 and done.stdout == b""
    assert words in said and "Traceback" not in said and "broken.json" in said


def test_all_problems_are_told_at_once_each_with_its_line(scene: Scene) -> None:
    path = scene.folder / "broken.json"
    path.write_text(
        '{\n "workspace_root": 5,\n "expose_mode": [],\n "servers": {\n'
        '  "a": {"command": "x", "arg": []},\n  "b": {"args": 1}\n }\n}'
    )
    done = scene.run("--config", str(path))
    said = done.stderr.decode()
    assert done.returncode == 1
    assert all(f"broken.json:{line}" in said for line in (2, 3, 5, 6)), said


def test_stdout_holds_messages_and_stderr_holds_log_lines(scene: Scene) -> None:
    host = served(scene, "echo", "flood")
    host.call("fs__flood", {"what": "stderr", "count": 5})
    host.call("fs__echo", {"t": "ü☃"})
    assert host.close() == 0
    lines = [line for line in host.log.splitlines() if line]
    assert lines and all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ \S+ ", line) for line in lines), (
        host.log
    )


# --- 2. config fields ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mode, progressive", [(None, True), ("progressive", True), ("full", False), ("Progressive", True), ("ful", True)]
)
def test_the_expose_mode_decides_what_is_listed(scene: Scene, mode: str | None, progressive: bool) -> None:
    scene.server("fs", "echo")
    path = scene.config(expose_mode=mode)
    if mode is None:
        path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "expose_mode"}))
    host = Host(path, env=scene.environ())
    scene.hosts.append(host)
    names = [tool["name"] for tool in host.request("tools/list")["result"]["tools"]]
    assert names == (META if progressive else ["fs__echo"])


META = ["shack_list_tools", "shack_describe_tool", "shack_call_tool", "shack_list_servers"]


def test_a_request_timeout_that_is_no_number_is_refused(scene: Scene) -> None:
    assert scene.run("--config", str(scene.config(request_timeout_secs=True))).returncode == 1


TIMEOUTS = {repr(written): written for written in ("1", 1.9, 0, -5)}


@pytest.fixture(scope="module")
def timing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Host, Any]]]:
    """For every way to write a second a gateway with a call that is never answered; all of them wait together."""
    scenes = {name: Scene(tmp_path_factory.mktemp("timing")) for name in TIMEOUTS}
    hosts = {name: served(scene, "stall", request_timeout_secs=TIMEOUTS[name]) for name, scene in scenes.items()}
    yield {name: (host, host.send("tools/call", {"name": "fs__stall"})) for name, host in hosts.items()}
    for scene in scenes.values():
        scene.close()


@pytest.mark.parametrize("written", TIMEOUTS)
def test_the_request_timeout_is_read_as_ever(timing: dict[str, tuple[Host, Any]], written: str) -> None:
    host, id = timing[written]
    assert error(host.answer(id)) == (-32603, "downstream error: downstream server 'fs' timed out after 1.0s")


def test_a_relative_workspace_and_one_behind_a_link_are_taken(scene: Scene) -> None:
    scene.server("fs", "where")
    (scene.folder / "link").symlink_to(scene.workspace)
    host = scene.start(workspace_root=str(scene.folder / "link"))
    assert json_of(host.call("fs__where"))["cwd"] == str(scene.workspace.resolve())
    path = scene.config(workspace_root="workspace")
    done = scene.run("--config", str(path), stdin=b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
    assert done.returncode == 0 and b'"result"' in done.stdout


@pytest.mark.parametrize("value", [None, {}], ids=repr)
def test_no_permissions_allow_everything(scene: Scene, value: Any) -> None:
    host = served(scene, permissions=value)
    assert json_of(host.call("fs__echo", {"path": "x"})) == {"path": "x"}


@pytest.mark.parametrize("value", [None, ""], ids=repr)
def test_no_hook_is_no_hook(scene: Scene, value: Any) -> None:
    host = served(scene, pre_tool_hook=value, post_tool_hook=value)
    assert json_of(host.call("fs__echo", {"a": 1})) == {"a": 1}


# --- 3. protocol surface ---------------------------------------------------------------------------------------------


def test_a_host_of_2024_is_answered_in_its_own_revision_as_often_as_it_asks(plain: tuple[Scene, Host]) -> None:
    _, host = plain
    for _ in range(2):
        result = host.handshake("2024-11-05")
        assert result["protocolVersion"] == "2024-11-05" and result["serverInfo"]["name"] == "shack-gateway"
        assert {"tools", "resources"} <= set(result["capabilities"])


def test_nothing_needs_initialize_first(scene: Scene) -> None:
    scene.server("fs", "echo", resources=[{"uri": "note://a", "name": "a", "text": "A"}])
    host = scene.start()
    assert host.request("ping")["result"] == {}
    assert host.request("tools/list")["result"]["tools"][0]["name"] == "fs__echo"
    assert json_of(host.call("fs__echo", {"a": 1})) == {"a": 1}
    assert host.request("resources/list")["result"]["resources"][0]["uri"] == "note://a"
    assert host.request("resources/read", {"uri": "note://a"})["result"]["contents"][0]["text"] == "A"
    assert host.request("prompts/list")["result"] == {"prompts": []}


def test_progressive_lists_the_four_meta_tools_and_both_ways_of_calling_work(scene: Scene) -> None:
    host = served(scene, expose_mode="progressive")
    assert [tool["name"] for tool in host.request("tools/list")["result"]["tools"]] == META
    assert json_of(host.call("fs__echo", {"a": 1})) == {"a": 1}
    assert json_of(host.call("shack_call_tool", {"name": "fs__echo", "arguments": {"a": 1}})) == {"a": 1}


def test_full_lists_every_tool_sorted_by_name_and_the_meta_tools_can_be_called(scene: Scene) -> None:
    scene.server("zeta", "echo", "big")
    scene.server("alpha", "sleep", "echo")
    host = scene.start()
    tools = host.request("tools/list")["result"]["tools"]
    assert [tool["name"] for tool in tools] == ["alpha__echo", "alpha__sleep", "zeta__big", "zeta__echo"]
    assert all({"name", "description", "inputSchema"} <= set(tool) for tool in tools)
    assert json_of(host.call("shack_list_tools"))["count"] == 4


def test_a_tool_without_description_or_schema_is_listed_with_empty_ones(scene: Scene) -> None:
    host = served(scene, {"name": "bare", "description": None, "inputSchema": None, "does": "echo"})
    said = json_of(host.call("shack_describe_tool", {"name": "fs__bare"}))
    assert (said["description"], said["inputSchema"]) == ("", {"type": "object"})
    [listed] = host.request("tools/list")["result"]["tools"]
    assert listed["inputSchema"] == {"type": "object"}


def test_resources_keep_their_uris_and_are_read_from_the_server_that_has_them(scene: Scene) -> None:
    scene.server("a", "echo", resources=[{"uri": "note://1", "name": "one", "text": "A"}])
    scene.server(
        "b", "echo", resources=[{"uri": "note://2", "name": "two", "text": "B"}, {"name": "no uri", "uri": ""}]
    )
    host = scene.start()
    uris = [entry["uri"] for entry in host.request("resources/list")["result"]["resources"]]
    assert uris[:2] == ["note://1", "note://2"]
    assert host.request("resources/read", {"uri": "note://2"})["result"]["contents"][0]["text"] == "B"


def test_an_unknown_resource_is_32602_when_nobody_has_resources(plain: tuple[Scene, Host]) -> None:
    _, host = plain
    for params in ({"uri": "note://nowhere"}, {}):
        assert error(host.request("resources/read", params))[0] == -32602


def test_an_unknown_method_is_named(plain: tuple[Scene, Host]) -> None:
    _, host = plain
    for method in ("tools/destroy", "sampling/createMessage", "x"):
        assert error(host.request(method)) == (-32601, f"method not found: {method}")


def test_what_is_not_json_is_a_parse_error(plain: tuple[Scene, Host]) -> None:
    _, host = plain
    host.send_raw(b"hello\n")
    assert host.lone_error(-32700)["error"]["message"].startswith("parse error: ")


def test_arguments_reach_the_server_unchanged(plain: tuple[Scene, Host]) -> None:
    _, host = plain
    arguments = {"z": 1, "a": [0.1, 1e3, None, True], "ü": "\u2028", "nested": {"path": "./x/../y"}}
    params = json_of(host.call("fs__whole", arguments))
    assert params["name"] == "whole" and json.dumps(params["arguments"]) == json.dumps(arguments)


def test_no_arguments_are_an_empty_object(plain: tuple[Scene, Host]) -> None:
    _, host = plain
    for given in ({}, {"arguments": None}, {"arguments": {}}):
        assert json_of(host.request("tools/call", {"name": "fs__whole", **given}))["arguments"] == {}


# --- 4. meta-tools ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    scene = Scene(tmp_path_factory.mktemp("library"))
    scene.server(
        "lib",
        {"name": "read", "description": "Read a file. From the disk."},
        {"name": "write", "description": "Writes.\nMore."},
        {"name": "long", "description": "x" * 200},
        {"name": "mute", "description": ""},
    )
    scene.server("web", {"name": "fetch", "description": "Fetch v1.2 pages"})
    yield scene.start(expose_mode="progressive")
    scene.close()


@pytest.mark.parametrize(
    "arguments, names",
    [
        ({}, ["lib__long", "lib__mute", "lib__read", "lib__write", "web__fetch"]),
        ({"query": ""}, ["lib__long", "lib__mute", "lib__read", "lib__write", "web__fetch"]),
        ({"query": "READ"}, ["lib__read"]),
        ({"query": "disk"}, ["lib__read"]),
        ({"server": "web"}, ["web__fetch"]),
        ({"server": "Web"}, []),
        ({"query": "e", "server": "lib"}, ["lib__mute", "lib__read", "lib__write"]),
        ({"query": "nothing of this"}, []),
    ],
    ids=str,
)
def test_tools_are_found_by_a_part_of_their_text_and_by_server(
    library: Host, arguments: dict[str, Any], names: list[str]
) -> None:
    said = json_of(library.call("shack_list_tools", arguments))
    assert [tool["name"] for tool in said["tools"]] == names and said["count"] == len(names)
    assert all({"name", "server", "summary"} <= set(tool) for tool in said["tools"])


def test_summaries_are_the_first_sentence(library: Host) -> None:
    said = {tool["name"]: tool["summary"] for tool in json_of(library.call("shack_list_tools"))["tools"]}
    assert said["lib__read"] == "Read a file" and said["lib__write"] == "Writes"
    assert said["lib__long"] == "x" * 137 + "..." and said["lib__mute"] == "(no description provided)"


def test_a_tool_is_described(library: Host) -> None:
    said = json_of(library.call("shack_describe_tool", {"name": "lib__read"}))
    wanted = {
        "name": "lib__read",
        "server": "lib",
        "description": "Read a file. From the disk.",
        "inputSchema": {"type": "object"},
    }
    assert wanted.items() <= said.items()


@pytest.mark.parametrize(
    "tool, arguments, code, start",
    [
        ("shack_describe_tool", {"name": "lib__x"}, -32602, "unknown tool: lib__x"),
        ("shack_describe_tool", {}, -32602, "unknown tool: (missing 'name')"),
        ("shack_call_tool", {}, -32602, ""),
        ("shack_call_tool", {"name": "shack_list_tools"}, -32601, "tool not found"),
        ("shack_call_tool", {"name": "lib__x"}, -32601, "tool not found"),
        ("shack_other", {}, -32601, "unknown gateway tool: shack_other"),
    ],
    ids=str,
)
def test_meta_tools_refuse_as_ever(library: Host, tool: str, arguments: dict[str, Any], code: int, start: str) -> None:
    found, message = error(library.call(tool, arguments))
    assert found == code and message.startswith(start)


def test_servers_are_listed_with_their_tools(library: Host) -> None:
    said = json_of(library.call("shack_list_servers"))["servers"]
    assert [(row["server"], row["tool_count"], row["tools"]) for row in said] == [
        ("lib", 4, ["lib__long", "lib__mute", "lib__read", "lib__write"]),
        ("web", 1, ["web__fetch"]),
    ]


def test_the_result_of_call_tool_is_the_servers_own(library: Host) -> None:
    direct = library.call("lib__read", {"a": 1})["result"]
    assert library.call("shack_call_tool", {"name": "lib__read", "arguments": {"a": 1}})["result"] == direct


# --- 5. namespacing --------------------------------------------------------------------------------------------------


def test_names_are_joined_and_looked_up_whole(scene: Scene) -> None:
    scene.server("a", {"name": "b__c", "does": "echo"}, {"name": "Mixed.Case-x", "does": "echo"})
    scene.server("a_b", {"name": "c", "does": "where"})
    host = scene.start()
    for name in ("a__b__c", "a__Mixed.Case-x"):
        assert json_of(host.call(name, {"n": 1})) == {"n": 1}
    assert "cwd" in json_of(host.call("a_b__c"))


def test_a_collision_shadows_nobody(scene: Scene) -> None:
    scene.server("a", {"name": "b__c", "does": "echo"})
    scene.server("a__b", {"name": "c", "does": "where"})
    host = scene.start()
    names = [tool["name"] for tool in host.request("tools/list")["result"]["tools"]]
    assert len(names) == len(set(names)) == 2
    answers = [text_of(host.call(name)) for name in names]
    assert sum("cwd" in text for text in answers) == 1


# --- 6. sandbox ------------------------------------------------------------------------------------------------------

OUTSIDE = [
    "../x",
    "/etc/passwd",
    "a/../../x",
    "../workspace-2/x",
    "/",
    "link/x",
    "link",
    "~/../../etc/passwd",
    "file:///etc/passwd",
    "x/../../..",
]
INSIDE = ["", ".", "a", "new/file.txt", "a/../b", "./a", "sub/link-inside", "..a", "a..b"]
PATH_KEYS = [
    "path",
    "file_path",
    "filePath",
    "notebook_path",
    "notebookPath",
    "directory",
    "dir",
    "cwd",
    "source",
    "destination",
]


def sandboxed(scene: Scene, **settings: Any) -> Host:
    (scene.folder / "workspace-2").mkdir()
    (scene.workspace / "sub").mkdir()
    (scene.workspace / "link").symlink_to(scene.folder / "workspace-2")
    (scene.workspace / "sub" / "link-inside").symlink_to(scene.workspace / "sub")
    (scene.workspace / "dangling").symlink_to(scene.folder / "workspace-2" / "not-yet")
    return served(scene, "echo", **settings)


def test_paths_outside_the_workspace_are_refused_and_never_sent(kept: Kept) -> None:
    scene, host = kept(sandboxed, "sandboxed")
    for number, path in enumerate([*OUTSIDE, str(scene.folder), str(scene.workspace) + "x", "dangling"]):
        key = PATH_KEYS[number % len(PATH_KEYS)]
        for arguments in (
            {key: path},
            {"opts": {key: path}},
            {"paths": [path]},
            {"edits": [{"file_path": path}]},
            {"paths": [[path]]},
        ):
            code, message = error(host.call("fs__echo", arguments))
            assert code == -32001 and message.startswith("sandbox violation"), (arguments, message)
            assert "workspace-2/not-yet" not in message, "where a link leads is nobody's business"
    assert scene.received("fs", "tools/call") == []


def test_paths_inside_the_workspace_pass_unchanged(kept: Kept) -> None:
    scene, host = kept(sandboxed, "sandboxed")
    for path in [*INSIDE, str(scene.workspace), str(scene.workspace / "new")]:
        for arguments in ({"path": path}, {"paths": [path]}, {"opts": {"cwd": path}}):
            assert json_of(host.call("fs__echo", arguments)) == arguments


def test_keys_that_escaped_0_1_0_no_longer_do(kept: Kept) -> None:
    _, host = kept(sandboxed, "sandboxed")
    for key in (
        "file",
        "filename",
        "filepath",
        "root",
        "target",
        "old_path",
        "new_path",
        "src",
        "dst",
        "output_path",
        "Path",
        "repo_path",
        "folder",
    ):
        for path in ("/etc/passwd", "../../etc/passwd"):
            assert error(host.call("fs__echo", {key: path}))[0] == -32001, key


def test_a_path_that_cannot_be_resolved_is_answered(scene: Scene) -> None:
    (scene.workspace / "loop").symlink_to(scene.workspace / "loop")
    host = sandboxed(scene)
    for path in ("x" * 5000 + "///", "a\0b", "\ud83d", "loop/x", "/".join(["x" * 300] * 20)):
        answer = host.call("fs__echo", {"path": path})
        assert "result" in answer or answer["error"]["code"] in (-32001, -32602), path[:20]


def test_a_resource_outside_is_not_read_through_a_server(scene: Scene) -> None:
    scene.server("fs", "echo", templates=[{"uriTemplate": "file:///{path}", "name": "files"}])
    host = scene.start()
    code, _ = error(host.request("resources/read", {"uri": "file:///etc/hostname"}))
    assert code == -32001 and scene.received("fs", "resources/read") == []


def test_the_sandbox_comes_before_the_permissions_and_these_before_the_hook(scene: Scene) -> None:
    host = sandboxed(scene, permissions={"deny": ["fs__echo"]}, pre_tool_hook=f"touch {scene.folder}/hook-ran")
    assert error(host.call("nobody__x", {"path": "/etc"}))[0] == -32601
    assert error(host.call("fs__echo", {"path": "/etc"}))[0] == -32001
    assert error(host.call("fs__echo", {"path": "a"}))[0] == -32002
    assert not (scene.folder / "hook-ran").exists()


# --- 7. permissions --------------------------------------------------------------------------------------------------

DENY, ALLOW = "blocked by permission policy: matched deny rule '%s'", None
NO_RULE = "blocked by permission policy: no matching allow rule (default policy is deny)"
ASK = "tool call requires explicit approval; the gateway has no interactive prompter"
RULES: list[tuple[dict[str, Any], dict[str, Any], str | None]] = [
    ({"deny": ["fs__echo"]}, {}, DENY % "fs__echo"),
    ({"deny": [" fs__echo "]}, {}, DENY % "fs__echo"),
    ({"deny": ["fs__echo()"]}, {}, DENY % "fs__echo()"),
    ({"deny": ["fs__echo(*)"]}, {"path": "a"}, DENY % "fs__echo(*)"),
    ({"deny": ["fs__ECHO"]}, {}, ALLOW),
    ({"deny": ["fs__other"]}, {}, ALLOW),
    ({"deny": ["fs__echo(rm -rf:*)"]}, {"command": "rm -rf /"}, DENY % "fs__echo(rm -rf:*)"),
    ({"deny": ["fs__echo(rm -rf:*)"]}, {"command": "rm -rfv x"}, DENY % "fs__echo(rm -rf:*)"),
    ({"deny": ["fs__echo(rm -rf:*)"]}, {"command": "rm -r x"}, ALLOW),
    ({"deny": ["fs__echo(:*)"]}, {"command": "x"}, DENY % "fs__echo(:*)"),
    ({"deny": ["fs__echo(checkout)"]}, {"command": "checkout"}, DENY % "fs__echo(checkout)"),
    ({"deny": ["fs__echo(checkout)"]}, {"command": "checkout -f"}, ALLOW),
    ({"deny": ["fs__echo(secret:*)"]}, {"command": "x", "path": "secret/a"}, DENY % "fs__echo(secret:*)"),
    ({"deny": ["fs__echo(secret:*)"]}, {"path": "./secret/a"}, DENY % "fs__echo(secret:*)"),
    ({"deny": ["fs__echo(secret:*)"]}, {"path": "x/../secret/a"}, DENY % "fs__echo(secret:*)"),
    ({"deny": ["fs__*"]}, {}, DENY % "fs__*"),
    ({"deny": ["*"]}, {}, DENY % "*"),
    ({"deny": ["fs__echo({})"]}, {}, DENY % "fs__echo({})"),
    ({"default_decision": "deny"}, {}, NO_RULE),
    ({"default_decision": "prompt"}, {}, ASK),
    ({"default_decision": "deny", "allow": ["fs__echo"]}, {}, ALLOW),
    ({"default_decision": "deny", "allow": ["fs__echo(ls:*)"]}, {"command": "ls -l"}, ALLOW),
    ({"default_decision": "deny", "allow": ["fs__echo(ls:*)"]}, {"command": "rm"}, NO_RULE),
    ({"default_decision": "deny", "allow": ["fs__echo(a.txt)"]}, {"path": "a.txt"}, ALLOW),
    (
        {"default_decision": "deny", "allow": ["fs__echo"], "deny": ["fs__echo(x)"]},
        {"query": "x"},
        DENY % "fs__echo(x)",
    ),
    ({"default_decision": "allow"}, {}, ALLOW),
]


@pytest.fixture(scope="module")
def ruled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], tuple[Scene, Host]]]:
    """For the row of a rule its gateway. Rows whose rules name one tool share a gateway: each has a tool of its own."""
    made: dict[Any, tuple[Scene, Host]] = {}

    def gateway(row: int) -> tuple[Scene, Host]:
        rules, shared = RULES[row][0], RULES[row][0].get("default_decision", "allow")
        alone = not ("deny" in rules or "allow" in rules) or any(
            "*" in rule.partition("(")[0] for rule in rules.get("deny", ())
        )
        key = row if alone else shared
        if key not in made:
            rows = [row] if alone else range(len(RULES))
            merged: dict[str, Any] = {"default_decision": shared, "allow": [], "deny": []}
            for other in rows:
                if alone or RULES[other][0].get("default_decision", "allow") == shared:
                    for kind in ("allow", "deny"):
                        found = [own(rule, other) for rule in RULES[other][0].get(kind, ())]
                        merged[kind] += [rule for rule in found if alone or "*" not in rule.partition("(")[0]]
            scene = Scene(tmp_path_factory.mktemp("ruled"))
            scene.server("fs", *({"name": f"r{number}", "does": "echo"} for number in range(len(RULES))))
            host = scene.start(permissions=merged)
            host.handshake("2024-11-05")
            made[key] = scene, host
        return made[key]

    yield gateway
    for scene, _ in made.values():
        scene.close()


def own(rule: str, row: int) -> str:
    """The rule, or the text about it, for the tool of its row."""
    return rule.replace("echo", f"r{row}").replace("ECHO", f"R{row}")


@pytest.mark.parametrize("row", range(len(RULES)), ids=[f"{r} {a}" for r, a, _ in RULES])
def test_a_rule_decides_as_written(ruled: Callable[[int], tuple[Scene, Host]], row: int) -> None:
    scene, host = ruled(row)
    _, arguments, verdict = RULES[row]
    answer = host.call(f"fs__r{row}", arguments)
    if verdict is None:
        assert json_of(answer) == arguments
        return
    code, message = error(answer)
    assert code == -32002 and message.startswith(own(verdict, row)), message
    again = host.call("shack_call_tool", {"name": f"fs__r{row}", "arguments": arguments})
    assert error(again)[0] == -32002, "the other way of calling is the same call"
    assert not [m for m in scene.received("fs", "tools/call") if m["params"]["name"] == f"r{row}"]


@pytest.mark.parametrize(
    "rules",
    [{"deny": "fs__x"}, {"deny": ["fs__x(y"]}, {"default_decision": "denny"}, {"dney": ["fs__x"]}, {"deny": [5]}],
    ids=str,
)
def test_rules_that_0_1_0_silently_ignored_are_errors(scene: Scene, rules: dict[str, Any]) -> None:
    done = scene.run("--config", str(scene.config(permissions=rules)))
    assert done.returncode == 1 and b"permissions" in done.stderr and b"Traceback" not in done.stderr


def test_a_stateless_host_is_refused_by_a_result(scene: Scene) -> None:
    host = served(scene, permissions={"deny": ["fs__echo"]})
    result = host.ask("tools/call", {"name": "fs__echo", "arguments": {}})["result"]
    assert result["isError"] is True and "matched deny rule 'fs__echo'" in result["content"][0]["text"]


# --- 8. log ----------------------------------------------------------------------------------------------------------


def test_the_values_of_redacted_fields_are_in_no_log_line(scene: Scene) -> None:
    host = served(
        scene,
        "echo",
        {"name": "leak", "does": "crash", "with": {"words": 'error: password="hunter2secret" token=abc123secret'}},
        log_level="debug",
    )
    host.call("fs__echo", {"password": "hunter2secret", "deep": {"API_KEY": "key123secret"}})
    host.call("fs__leak")
    scene.until(lambda: "REDACTED" in host.log, "the line of the server is not in the log")
    assert host.close() == 0
    assert "secret" not in host.log.replace("client_secret", "")


# --- 9. hooks --------------------------------------------------------------------------------------------------------

HOOKS: list[tuple[str, int | None, str]] = [
    # command of the pre hook, code of the refusal or None, start of its text
    ("true", None, ""),
    ("cat > /dev/null; echo '{}'", None, ""),
    ("echo no >&2; exit 2", -32003, "blocked by pre-tool hook: no"),
    ("""echo '{"reason": "said so"}'; echo other >&2; exit 2""", -32003, "blocked by pre-tool hook: said so"),
    ("exit 2", -32003, "blocked by pre-tool hook: blocked by hook (exit code 2)"),
    ("echo broken >&2; exit 7", -32003, "blocked by pre-tool hook: hook exited with code 7: broken"),
    ("no-such-command-anywhere", -32003, "blocked by pre-tool hook: hook exited with code 127"),
    ("echo this is no JSON", -32003, "blocked by pre-tool hook: invalid JSON on hook stdout:"),
    ("""echo '{"continue": false}'""", -32003, "blocked by pre-tool hook: blocked by hook"),
    ("""echo '{"continue": false, "reason": "enough"}'""", -32003, "blocked by pre-tool hook: enough"),
    ("""echo '{"decision": "block", "reason": "R"}'""", -32003, "blocked by pre-tool hook: R"),
    ("""echo '{"decision": "approve"}'""", None, ""),
    (
        """echo '{"hookSpecificOutput": {"permissionDecision": "deny"}}'""",
        -32002,
        "denied by pre-tool hook permission decision",
    ),
    ("""echo '{"hookSpecificOutput": {"permissionDecision": "allow"}}'""", None, ""),
    ("""echo '{"hookSpecificOutput": {"permissionDecision": "ask"}}'""", -32002, ""),
    ("""echo '{"suppressOutput": true, "unknown": [1]}'""", None, ""),
    ("kill -9 $$", -32003, "blocked by pre-tool hook:"),
]


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, Host]]:
    """One gateway whose hook runs, in its own shell, the command of the row that the call names."""
    scene = Scene(tmp_path_factory.mktemp("hooked"))
    for row, (command, _, _) in enumerate(HOOKS):
        (scene.folder / f"row-{row}.sh").write_text(command + "\n")
    host = served(scene, pre_tool_hook=f". {scene.folder}/$(grep -o 'row-[0-9]*' | head -1).sh")
    yield scene, host
    scene.close()


@posix
@pytest.mark.parametrize("row", range(len(HOOKS)), ids=[command for command, _, _ in HOOKS])
def test_a_hook_decides_by_exit_code_and_output(hooked: tuple[Scene, Host], row: int) -> None:
    scene, host = hooked
    _, code, start = HOOKS[row]
    arguments = {"note": f"row-{row}", "a": 1}
    answer = host.call("fs__echo", arguments)
    if code is None:
        assert json_of(answer) == arguments
    else:
        found, message = error(answer)
        assert found == code and message.startswith(start), message
        assert not [m for m in scene.received("fs", "tools/call") if m["params"]["arguments"] == arguments]


@posix
def test_a_hook_reads_the_call_and_may_change_its_arguments(scene: Scene) -> None:
    seen = scene.folder / "seen.json"
    host = served(
        scene, pre_tool_hook=f"""cat > {seen}; echo '{{"hookSpecificOutput": {{"updatedInput": {{"b": 2}}}}}}'"""
    )
    assert json_of(host.call("fs__echo", {"a": 1})) == {"b": 2}
    payload = json.loads(seen.read_text())
    assert payload["hook_event_name"] == "PreToolUse" and payload["tool_name"] == "fs__echo"
    assert payload["tool_input"] == {"a": 1} and json.loads(payload["tool_input_json"]) == {"a": 1}


@posix
def test_arguments_that_a_hook_changed_are_judged_again(scene: Scene) -> None:
    host = served(scene, pre_tool_hook="""echo '{"hookSpecificOutput": {"updatedInput": {"path": "/etc/passwd"}}}'""")
    assert error(host.call("fs__echo", {"path": "a"}))[0] == -32001


@posix
def test_the_second_hook_reads_the_result_and_may_hold_it_back(scene: Scene) -> None:
    seen = scene.folder / "seen.json"
    host = served(scene, "echo", "tool_error", "error", post_tool_hook=f"cat > {seen}; echo secret >&2; exit 2")
    code, message = error(host.call("fs__tool_error", {"a": 1}))
    assert (code, message) == (-32003, "result rejected by post-tool hook: secret")
    payload = json.loads(seen.read_text())
    assert payload["hook_event_name"] == "PostToolUse" and payload["tool_result_is_error"] is True
    assert payload["tool_input"] == {"a": 1} and payload["tool_response"]["content"][0]["text"] == "it went wrong"
    seen.unlink()
    assert error(host.call("fs__error", {"code": 5, "message": "m"})) == (5, "m")
    assert not seen.exists(), "it never sees an error"


@posix
def test_a_hook_runs_with_our_folder_and_environment(scene: Scene) -> None:
    seen = scene.folder / "seen.txt"
    scene.server("fs", "echo")
    host = scene.start(env={"FOR_HOOKS": "yes"}, pre_tool_hook=f'echo "$PWD $FOR_HOOKS" > {seen}')
    host.call("fs__echo")
    from kit.host import ROOT

    assert seen.read_text().split() == [str(ROOT), "yes"]


@posix
def test_a_hook_that_hangs_is_ended_with_its_children(scene: Scene) -> None:
    host = served(scene, pre_tool_hook=f"sleep 600 & sleep 601 # {scene.marker}", hook_timeout_secs=0.5)
    code, message = error(host.call("fs__echo", {"a": 1}))
    assert code == -32003 and "timed out" in message
    if Path("/proc").exists():
        scene.until(lambda: not sleepers(scene), "the hook's children are still there", 5)


def sleepers(scene: Scene) -> list[str]:
    return [line for line in processes_left(scene.marker) if line.endswith((": sleep 600 ", ": sleep 601 "))]


@posix
def test_hooks_of_several_calls_run_side_by_side(scene: Scene) -> None:
    marks = scene.folder / "marks"
    marks.mkdir()
    # Each hook waits until all twelve have begun: one after the other they would never end.
    command = f"touch {marks}/$$; while [ $(ls {marks} | wc -l) -lt 12 ]; do sleep 0.05; done"
    host = served(scene, pre_tool_hook=command, hook_timeout_secs=20)
    ids = [host.send("tools/call", {"name": "fs__echo", "arguments": {"n": n}}) for n in range(12)]
    assert [json_of(host.answer(id, 25)) for id in ids] == [{"n": n} for n in range(12)]


# --- 10. errors of servers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tool, arguments, text",
    [
        ("stall", {}, "downstream error: downstream server 'fs' timed out after 1.0s"),
        ("crash", {}, "downstream error: downstream server 'fs' closed before responding"),
    ],
)
def test_a_server_that_gives_no_answer_is_told_in_the_words_of_0_1_0(
    scene: Scene, tool: str, arguments: dict[str, Any], text: str
) -> None:
    host = served(scene, tool, request_timeout_secs=1)
    assert error(host.call(f"fs__{tool}", arguments)) == (-32603, text)


def test_a_server_that_is_not_there_is_told_so(scene: Scene) -> None:
    scene.server("fs", "echo", "crash", start="crash", crashes=0)
    host = scene.start()
    host.handshake()
    assert json_of(host.call("fs__echo", {"a": 1})) == {"a": 1}
    path = Path(scene.servers["fs"]["args"][-1])
    path.write_text(json.dumps({**json.loads(path.read_text()), "crashes": 10**6}))
    host.call("fs__crash")
    code, message = scene.until(
        lambda: "error" in (a := host.call("fs__echo")) and "not available" in error(a)[1] and error(a), "it is there"
    )
    assert code == -32603 and message.startswith("downstream error: downstream server 'fs' is not available")


def test_an_isError_result_passes_as_a_result(plain: tuple[Scene, Host]) -> None:
    _, host = plain
    assert host.call("fs__tool_error")["result"] == {
        "content": [{"type": "text", "text": "it went wrong"}],
        "isError": True,
    }


def test_result_null_is_an_empty_result(plain: tuple[Scene, Host]) -> None:
    _, host = plain
    assert host.call("fs__raw", {"lines": ['{"jsonrpc":"2.0","id":$ID,"result":null}']})["result"] == {}
