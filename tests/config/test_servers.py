"""A server is given what its entry says, and of our environment only what was asked for."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shack_gateway.config.load import Config, load
from shack_gateway.config.servers import ServerSpec, environment
from shack_gateway.errors import ConfigError

HOME = {"HOME": "/home/u", "GH": "hunter2", "EMPTY": ""}


def config(folder: Path, entry: Any, *, environ: dict[str, str] | None = None, **top: Any) -> Config:
    path = folder / "shack-config.json"
    path.write_text(json.dumps({"workspace_root": str(folder), **top, "servers": {"s": entry}}), encoding="utf-8")
    return load(str(path), HOME if environ is None else environ)


def server(folder: Path, entry: Any, **more: Any) -> ServerSpec:
    return config(folder, entry, **more).servers[0]


def test_an_entry_needs_no_more_than_a_command(tmp_path: Path) -> None:
    spec = server(tmp_path, {"command": "npx"})
    root = str(tmp_path.resolve())
    assert spec._replace(digest="") == ServerSpec(
        "s", "npx", (), {}, root, True, False, False, "auto", 30.0, 600.0, 30.0, {}, (), "", "")


def test_every_value_is_expanded(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    spec = server(tmp_path, {
        "command": "${HOME}/bin/x", "args": ["--token=${GH}", "${workspace_root}/a", "${NO:-none}"],
        "env": {"T": "${GH}", "E": "[${EMPTY}]"}, "cwd": "${workspace_root}/sub"})
    root = str(tmp_path.resolve())
    assert spec.command == "/home/u/bin/x"
    assert spec.args == ("--token=hunter2", f"{root}/a", "none")
    assert spec.env == {"T": "hunter2", "E": "[]"}
    assert spec.cwd == str(tmp_path.resolve() / "sub")
    assert spec.down == ""


def test_a_relative_folder_is_taken_from_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert server(tmp_path, {"command": "x", "cwd": "sub/../sub"}).cwd == str(tmp_path.resolve() / "sub")


@pytest.mark.parametrize("entry, place", [
    ({"command": "${NO}"}, "servers.s.command"),
    ({"command": "x", "args": ["a", "${NO}"]}, "servers.s.args[1]"),
    ({"command": "x", "env": {"T": "${NO}"}}, "servers.s.env.T"),
    ({"command": "x", "cwd": "${NO}/sub"}, "servers.s.cwd"),
], ids=["command", "args", "env", "cwd"])
def test_an_unset_variable_keeps_one_server_down_and_tells_the_mend(tmp_path: Path, entry: Any, place: str) -> None:
    found = config(tmp_path, entry)
    [down] = found.downs
    assert (down.severity, down.what) == ("error", f"`{place}` uses `${{NO}}`, which is not set")
    assert down.where == f"{tmp_path / 'shack-config.json'}:1"
    assert found.servers[0].down == (f"`{place}` uses `${{NO}}`, which is not set (shack-config.json:1). "
                                     "Export NO, or write `${NO:-}` to allow it to be empty.")


def test_what_keeps_a_server_down_names_no_folder_of_ours_and_no_value(tmp_path: Path) -> None:
    down = server(tmp_path, {"command": "x", "env": {"A": "${GH}${NO}", "B": "${ALSO}"}}).down
    assert "NO" in down and "ALSO" in down
    assert str(tmp_path) not in down and "hunter2" not in down


def test_a_server_that_is_left_out_misses_nothing(tmp_path: Path) -> None:
    for entry in ({"enabled": False}, {"disabled": True}):
        for lack in ({"args": ["${NO}"]}, {"cwd": "nowhere"}):
            found = config(tmp_path, {"command": "x", **lack, **entry})
            assert (found.downs, found.warnings, found.servers[0].enabled) == ((), (), False)


def test_a_server_cannot_be_both_enabled_and_disabled(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`servers.s.disabled` and `enabled` contradict each other"):
        config(tmp_path, {"command": "x", "enabled": True, "disabled": True})


@pytest.mark.parametrize("entry", [5, "npx", [], True, None], ids=str)
def test_an_entry_that_is_no_object_is_an_error(tmp_path: Path, entry: Any) -> None:
    with pytest.raises(ConfigError, match="`servers.s` must be an object, not "):
        config(tmp_path, entry)


def test_a_folder_that_is_not_there_keeps_the_server_down(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for cwd in ("nowhere", "file"):
        assert "`servers.s.cwd` is no folder" in server(tmp_path, {"command": "x", "cwd": cwd}).down


@pytest.mark.parametrize("entry", [
    {"url": "https://x/mcp"}, {"type": "http", "url": "https://x"}, {"type": "sse", "serverUrl": "https://x"},
    {"httpUrl": "https://x", "headers": {"A": "hunter2"}}, {"type": "streamable-http"},
    {"type": "http", "command": "x"},
], ids=str)
def test_a_remote_server_is_down_and_the_others_are_served(tmp_path: Path, entry: Any) -> None:
    found = config(tmp_path, entry)
    assert "remote servers are not supported yet" in found.servers[0].down
    assert "hunter2" not in str(found)


def test_a_disabled_remote_server_is_not_worth_a_word(tmp_path: Path) -> None:
    found = config(tmp_path, {"url": "https://x", "disabled": True})
    assert (found.servers[0].down, found.servers[0].enabled, found.downs) == ("", False, ())


@pytest.mark.parametrize("entry, warned", [
    ({"type": "stdio"}, 0), ({"type": "local"}, 0), ({"disabled": False}, 0),
    ({"enabled": True, "disabled": False}, 0), ({"_comment": "x"}, 0),
    ({"type": "docker"}, 1), ({"url": "https://x"}, 1), ({"envFile": ".env"}, 1), ({"alwaysLoad": True}, 1),
    ({"timeout": 5000}, 1), ({"description": "x"}, 1), ({"comment": "x"}, 1), ({"colour": 1}, 1),
    ({"excludeTools": ["x"]}, 1),
], ids=str)
def test_keys_of_hosts_own_files_are_taken_or_warned_of(tmp_path: Path, entry: Any, warned: int) -> None:
    found = config(tmp_path, {"command": "x", **entry})
    assert len(found.warnings) == warned
    assert all(warning.fix for warning in found.warnings)
    assert (found.downs, found.servers[0].enabled) == ((), True)


@pytest.mark.parametrize("name, words", [
    ("a.b", "other characters"), ("a b", "other characters"), ("größe", "other characters"), ("", "other characters"),
    ("a\n", "other characters"), ("a__b", "`__`"), ("shack", "begins like"), ("shack_x", "begins like"),
], ids=repr)
def test_a_name_that_hosts_will_trip_over_is_a_warning(tmp_path: Path, name: str, words: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"workspace_root": str(tmp_path), "servers": {name: {"command": "x"}}}))
    found = load(str(path), HOME)
    assert [spec.name for spec in found.servers] == [name]
    assert [words in warning.what for warning in found.warnings] == [True]


def test_a_name_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"workspace_root": str(tmp_path), "servers": {"\ud800": {"command": "x"}}}))
    with pytest.raises(ConfigError, match="has a name with a character that is no text"):
        load(str(path), HOME)


@pytest.mark.parametrize("name", ["a", "A-b_C9", "_x", "shackles"])
def test_a_plain_name_is_fine(tmp_path: Path, name: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"workspace_root": str(tmp_path), "servers": {name: {"command": "x"}}}))
    assert load(str(path), HOME).warnings == ()


def test_a_command_line_in_one_piece_is_warned_of(tmp_path: Path) -> None:
    assert "spaces" in config(tmp_path, {"command": "npx -y server"}).warnings[0].what
    program = tmp_path / "my server"
    program.write_text("")
    assert config(tmp_path, {"command": str(program)}).warnings == ()


TIMES = [
    ("nothing said", {}, {}, (30, 600, 30)),
    ("top", {"request_timeout_secs": 5, "max_call_secs": 50, "start_timeout_secs": 7}, {}, (5, 50, 7)),
    ("entry over top", {"request_timeout_secs": 5, "max_call_secs": 50},
     {"request_timeout_secs": 9, "max_call_secs": 90}, (9, 90, 30)),
    ("start of the entry", {"start_timeout_secs": 7}, {"start_timeout_secs": 8}, (30, 600, 8)),
    ("long silence raises the whole", {"request_timeout_secs": 1200}, {}, (1200, 1200, 30)),
    ("long silence of the entry, too", {}, {"request_timeout_secs": 900}, (900, 900, 30)),
    ("long silence of a tool, too", {}, {"tool_timeouts": {"slow": 3600}}, (30, 3600, 30)),
    ("but not what somebody wrote", {"max_call_secs": 60}, {"request_timeout_secs": 900}, (900, 60, 30)),
    ("as 0.1.0 read it", {"request_timeout_secs": "5"}, {"request_timeout_secs": 0}, (1, 600, 30)),
]


@pytest.mark.parametrize("top, entry, wanted", [row[1:] for row in TIMES], ids=[row[0] for row in TIMES])
def test_times_of_the_entry_go_before_those_of_the_top(tmp_path: Path, top: Any, entry: Any, wanted: Any) -> None:
    spec = server(tmp_path, {"command": "x", **entry}, **top)
    assert (spec.request_timeout_secs, spec.max_call_secs, spec.start_timeout_secs) == wanted


def test_the_digest_tells_servers_apart_and_knows_them_again(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    entry = {"command": "x", "args": ["a"], "env": {"T": "1"}}
    same = server(tmp_path, entry).digest
    assert len(same) == 64
    for unchanged in ({"env": {"T": "2"}}, {"lazy": True}, {"request_timeout_secs": 9}, {"enabled": False}, {"_x": 1}):
        assert server(tmp_path, {**entry, **unchanged}).digest == same, unchanged
    others: list[dict[str, Any]] = [
        {"command": "y"}, {"args": ["a", ""]}, {"env": {}}, {"cwd": "sub"}, {"protocol": "handshake"}]
    assert len({same, *[server(tmp_path, {**entry, **changed}).digest for changed in others]}) == 6


# The environment

OURS = {
    "HOME": "/h", "LOGNAME": "u", "PATH": "/bin", "SHELL": "/bin/sh", "TERM": "xterm", "USER": "u", "LANG": "C",
    "LC_ALL": "C", "LC_CTYPE": "C", "TMPDIR": "/tmp", "TZ": "UTC",
    "AWS_SECRET": "hunter2", "AWS_REGION": "eu", "GH_TOKEN": "hunter2", "PYTHONPATH": "/x", "lc_all": "C", "LCX": "1",
    "BASH_FUNC_x%%": "() { :; }",
}
GIVEN = {"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ"}


@pytest.mark.parametrize("inherit, more", [
    ((), set()),
    (("GH_TOKEN",), {"GH_TOKEN"}),
    (("AWS_*",), {"AWS_SECRET", "AWS_REGION"}),
    (("*_TOKEN", "PYTHON?ATH"), {"GH_TOKEN", "PYTHONPATH"}),
    (("gh_token", "NOTHING", "["), set()),
    (("*",), set(OURS) - GIVEN - {"BASH_FUNC_x%%"}),
], ids=str)
def test_of_our_environment_a_server_is_given_what_is_listed(inherit: tuple[str, ...], more: set[str]) -> None:
    given = environment(ServerSpec("s", "x", inherit_env=inherit), OURS, windows=False)
    assert given == {name: OURS[name] for name in GIVEN | more}


def test_the_entry_s_own_variables_win() -> None:
    given = environment(ServerSpec("s", "x", env={"HOME": "/mine", "NEW": "() { own }"}), OURS, windows=False)
    assert given["HOME"] == "/mine"
    assert given["NEW"] == "() { own }"


def test_an_exported_function_never_passes_under_any_name() -> None:
    given = environment(ServerSpec("s", "x", inherit_env=("*",)), {"PATH": "() { :; }; x", "A": "() {"}, windows=False)
    assert given == {}


def test_on_windows_names_are_one_in_any_letters() -> None:
    ours = {"Path": "C:/bin", "SystemRoot": "C:/Windows", "HOME": "x", "SECRET": "hunter2", "ProgramFiles(x86)": "C:/P"}
    given = environment(ServerSpec("s", "x", env={"PATH": "mine"}, inherit_env=("home",)), ours, windows=True)
    assert given == {"PATH": "mine", "SystemRoot": "C:/Windows", "HOME": "x", "ProgramFiles(x86)": "C:/P"}


def test_patterns_of_the_top_and_of_the_entry_add_up(tmp_path: Path) -> None:
    spec = server(tmp_path, {"command": "x", "inherit_env": ["B"]}, inherit_env=["A_*"])
    assert spec.inherit_env == ("A_*", "B")
