"""A file becomes a configuration, or one list of everything that is wrong with it; never anything else."""
from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from shack_gateway.config.fields import Field, text
from shack_gateway.config.keys import REDACTED
from shack_gateway.config.load import MOST_BYTES, Config, every_field, load
from shack_gateway.errors import ConfigError, Problem
from shack_gateway.pipeline.stages import StageFile

ENVIRON = {"HOME": "/home/u"}


def write(folder: Path, content: Any) -> str:
    path = folder / "shack-config.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def good(folder: Path, content: Any) -> Config:
    return load(write(folder, content), ENVIRON)


def wrong(folder: Path, content: Any) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        good(folder, content)
    return caught.value.problems


def test_the_smallest_configuration_has_every_default(tmp_path: Path) -> None:
    config = good(tmp_path, {"workspace_root": str(tmp_path)})
    assert (config.workspace_root, config.expose_mode, config.servers) == (str(tmp_path.resolve()), "progressive", ())
    assert (config.warnings, config.downs) == ((), ())
    wanted = {
        "request_timeout_secs": 30, "max_call_secs": 600, "start_timeout_secs": 30, "list_wait_secs": 5,
        "probe_timeout_secs": 5, "drain_secs": 3, "inherit_env": (), "log_level": "info", "page_size": 1000,
        "ttl_ms": 0, "max_server_line_bytes": 16 << 20, "max_host_line_bytes": 64 << 20, "max_open_calls": 1024,
        "max_tool_name": 64, "catalog_cache": True, "servers": (), "redact_fields": REDACTED,
    }
    assert "pre_tool_hook" not in config.settings
    assert {key: config.settings[key] for key in wanted} == wanted


def test_the_redacted_names_are_those_of_0_1_0() -> None:
    assert len(REDACTED) == 17 and {"password", "authorization", "apikey", "credentials"} <= set(REDACTED)


def test_a_configuration_of_0_1_0_is_taken_as_it_is(tmp_path: Path) -> None:
    config = good(tmp_path, {
        "workspace_root": str(tmp_path), "expose_mode": "full", "request_timeout_secs": "12",
        "servers": {"fs": {"command": "npx", "args": ["-y", "x"], "env": {"A": "b"}}, "b.c": {"command": "y"}},
        "permissions": {"default_decision": "deny", "allow": ["fs__read(*)"], "deny": ["fs__write(secret:*)"]},
        "pre_tool_hook": "./pre.sh", "post_tool_hook": None, "redact_fields": ["password"],
    })
    assert config.expose_mode == "full"
    assert [(spec.name, spec.command, spec.args, spec.env) for spec in config.servers] == [
        ("fs", "npx", ("-y", "x"), {"A": "b"}), ("b.c", "y", (), {})]
    assert config.servers[0].request_timeout_secs == 12
    assert (config.settings["pre_tool_hook"], config.settings["post_tool_hook"]) == ("./pre.sh", "")
    assert config.settings["redact_fields"] == ("password",)


@pytest.mark.parametrize("permissions", [None, {}])
def test_no_permissions_in_either_form_allow_everything(tmp_path: Path, permissions: Any) -> None:
    config = good(tmp_path, {"workspace_root": str(tmp_path), "permissions": permissions})
    permissions = config.settings.get("permissions")
    assert not permissions or permissions["default_decision"] == "allow"


def test_servers_may_be_called_as_hosts_call_them(tmp_path: Path) -> None:
    config = good(tmp_path, {"workspace_root": str(tmp_path), "mcpServers": {"a": {"command": "x"}}})
    assert [spec.name for spec in config.servers] == ["a"]
    assert config.settings["servers"] == ("a",)


def test_both_names_of_servers_at_once_are_an_error(tmp_path: Path) -> None:
    [problem] = wrong(tmp_path, {"workspace_root": str(tmp_path), "mcpServers": {}, "servers": {}})
    assert "two names of one key" in problem.what


@pytest.mark.parametrize("servers", [[], 5, "x", True], ids=str)
def test_a_table_of_servers_that_is_no_object_is_an_error(tmp_path: Path, servers: Any) -> None:
    [problem] = wrong(tmp_path, {"workspace_root": str(tmp_path), "servers": servers})
    assert problem.what.startswith("`servers` must be an object, not ")


@pytest.mark.parametrize("top, wanted", [
    ({}, 600), ({"max_call_secs": 50}, 50), ({"request_timeout_secs": 1200}, 1200),
], ids=str)
def test_the_longest_call_is_what_is_written_or_at_least_the_silence(tmp_path: Path, top: Any, wanted: float) -> None:
    assert good(tmp_path, {"workspace_root": str(tmp_path), **top}).settings["max_call_secs"] == wanted


def test_servers_keep_the_order_of_the_file(tmp_path: Path) -> None:
    names = ["z", "a", "m", "B"]
    config = good(tmp_path, {"workspace_root": str(tmp_path), "servers": {name: {"command": "x"} for name in names}})
    assert [spec.name for spec in config.servers] == names


def test_remarks_in_the_table_of_servers_are_no_servers(tmp_path: Path) -> None:
    config = good(tmp_path, {"workspace_root": str(tmp_path), "servers": {
        "//": "mine", "// off": {"command": "x"}, "_note": "yours", "_x": {"command": "y"}}})
    assert [spec.name for spec in config.servers] == ["_x"]
    assert config.warnings == ()


# The workspace


def test_a_relative_workspace_is_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w").mkdir()
    monkeypatch.chdir(tmp_path)
    assert good(tmp_path, {"workspace_root": "w"}).workspace_root == str(tmp_path.resolve() / "w")
    assert good(tmp_path, {"workspace_root": "./w/.."}).workspace_root == str(tmp_path.resolve())


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links_in_the_workspace_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert good(tmp_path, {"workspace_root": str(tmp_path / "link")}).workspace_root == str(tmp_path.resolve() / "real")


def test_variables_in_the_workspace_are_expanded(tmp_path: Path) -> None:
    path = write(tmp_path, {"workspace_root": "${WORK}/."})
    assert load(path, {"WORK": str(tmp_path)}).workspace_root == str(tmp_path.resolve())
    with pytest.raises(ConfigError, match="`workspace_root` uses `\\$\\{WORK\\}`, which is not set") as caught:
        load(path, {})
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("written", ["no/such/folder", "/no/such/folder", "~/x", "x" * 5000], ids=lambda w: w[:9])
def test_a_workspace_that_is_not_there_is_named_as_it_was_written(tmp_path: Path, written: str) -> None:
    [problem] = wrong(tmp_path, {"workspace_root": written})
    assert problem.what.startswith(f"gateway initialization failed: workspace_root does not exist: {written[:3000]}")
    assert problem.where.endswith("shack-config.json:1")
    assert ("${HOME}" in problem.fix) is written.startswith("~")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_workspace_behind_a_loop_of_links_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    [problem] = wrong(tmp_path, {"workspace_root": str(tmp_path / "a" / "x")})
    assert "does not exist" in problem.what


def test_a_plain_file_is_taken_for_a_workspace_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = good(tmp_path, {"workspace_root": str(tmp_path / "file"), "servers": {"a": {"command": "x"}}})
    assert config.workspace_root == str(tmp_path.resolve() / "file")
    assert config.servers[0].cwd == str(tmp_path.resolve())
    assert ["is a file" in warning.what for warning in config.warnings] == [True]


def test_an_empty_workspace_is_the_working_directory_with_a_warning(tmp_path: Path) -> None:
    config = good(tmp_path, {"workspace_root": ""})
    assert config.workspace_root == os.path.realpath(os.curdir)
    assert len(config.warnings) == 1


# Problems

MANY = """{
  // four errors, two warnings, and one server that cannot start
  "servrs": {},
  "colour": "blue",
  "expose_mode": "Full",
  "log_level": "loud",
  "servers": {
    "github": {
      "command": "npx",
      "env": {
        "TOKEN": "${GH_TOKEN}"
      }
    },
    "files": {
      "args": "x"
    }
  }
}"""


def test_every_problem_is_told_at_once_with_place_and_mend(tmp_path: Path) -> None:
    problems = wrong(tmp_path, MANY)
    place = str(tmp_path / "shack-config.json")
    assert [(p.severity, p.where.removeprefix(place), p.what.split(",")[0]) for p in problems] == [
        ("error", ":1", "`workspace_root` is missing"),
        ("error", ":3", "`servrs` is not a key that shack-gateway knows"),
        ("warning", ":4", "`colour` is not a key that shack-gateway knows; it has no effect"),
        ("warning", ":5", "`expose_mode` is `Full`"),
        ("error", ":6", "`log_level` is `loud`"),
        ("error", ":11", "`servers.github.env.TOKEN` uses `${GH_TOKEN}`"),
        ("error", ":14", "`servers.files.command` is missing"),
        ("error", ":15", "`servers.files.args` must be a list of strings"),
    ]
    assert [p.what for p in problems if not p.fix] == [
        "`log_level` is `loud`, which is none of `debug`, `info`, `warning`, `error`"]


def test_warnings_do_not_stop_the_gateway(tmp_path: Path) -> None:
    config = good(tmp_path, {"workspace_root": str(tmp_path), "colour": 1, "expose_mode": "Full"})
    assert config.expose_mode == "progressive"
    assert [warning.severity for warning in config.warnings] == ["warning", "warning"]


def test_one_server_that_cannot_start_leaves_the_others(tmp_path: Path) -> None:
    config = good(tmp_path, {"workspace_root": str(tmp_path), "servers": {
        "bad": {"command": "${NO}"}, "good": {"command": "x"}, "far": {"url": "https://x"}}})
    assert [bool(spec.down) for spec in config.servers] == [True, False, True]
    assert [problem.what.split(" ")[0] for problem in config.downs] == ["`servers.bad.command`", "`servers.far`"]


def test_a_key_given_twice_is_an_error_that_names_both_lines(tmp_path: Path) -> None:
    text = '{"workspace_root": ".",\n"servers": {"a": {"command": "x"},\n\n"a": {"command": "y"}}}'
    [problem] = wrong(tmp_path, text)
    assert problem.what == "`servers.a` is given twice, first on line 2"
    assert problem.where.endswith(":4")


def test_the_first_error_is_what_the_exception_says(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`log_level` is `loud`"):
        good(tmp_path, {"workspace_root": str(tmp_path), "colour": 1, "log_level": "loud"})


UNREADABLE = [
    ("empty", b"", "failed to parse config '{path}': it is empty"),
    ("blank", b" \n\t", "failed to parse config '{path}': it is empty"),
    ("not JSON", b"servers: {}", "failed to parse config '{path}': Expecting value"),
    ("list", b"[]", "failed to parse config '{path}': it must be an object, not a list"),
    ("text", b'"x"', "failed to parse config '{path}': it must be an object, not a string"),
    ("null", b"null", "failed to parse config '{path}': it must be an object, not null"),
    ("NaN", b'{"a": NaN}', "failed to parse config '{path}': `NaN` is no JSON value"),
    ("binary", bytes(range(256)), "failed to parse config '{path}': "),
    ("other encoding", '{"a": "é"}'.encode("latin-1"), "failed to parse config '{path}': it is not UTF-8"),
    ("UTF-16", '{"a": 1}'.encode("utf-16"), "failed to parse config '{path}': it is not UTF-8"),
    ("surrogate in bytes", b'{"a": "\xed\xa0\x80"}', "failed to parse config '{path}': it is not UTF-8"),
    ("deep", b"[" * 200_000, "failed to parse config '{path}': lists and objects are nested too deeply"),
]


@pytest.mark.parametrize("content, start", [row[1:] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE])
def test_what_is_no_configuration_is_told_as_it_always_was(tmp_path: Path, content: bytes, start: str) -> None:
    [problem] = wrong(tmp_path, content)
    path = str(tmp_path / "shack-config.json")
    assert problem.what.startswith(start.format(path=path))
    assert problem.where.startswith(path)


def test_a_missing_file_is_told_as_it_always_was(tmp_path: Path) -> None:
    path = str(tmp_path / "none.json")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert caught.value.what.startswith(f"failed to read config '{path}': ")


@pytest.mark.parametrize("path", [".", "a\0b", "", "x" * 5000], ids=["folder", "NUL", "empty", "long"])
def test_a_path_that_cannot_be_read_is_an_error_like_any_other(path: str) -> None:
    with pytest.raises(ConfigError, match="failed to read config "):
        load(path, {})


@pytest.mark.skipif(sys.platform == "win32" or getattr(os, "geteuid", int)() == 0, reason="root reads everything")
def test_a_file_without_the_right_to_read_it_is_an_error_like_any_other(tmp_path: Path) -> None:
    path = write(tmp_path, {})
    os.chmod(path, 0)
    with pytest.raises(ConfigError, match="failed to read config "):
        load(path, {})


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no endless file here")
def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigError, match=f"larger than {MOST_BYTES >> 20} MiB"):
        load("/dev/zero", {})


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + json.dumps({"workspace_root": str(tmp_path)}).encode()
    assert good(tmp_path, content).workspace_root == str(tmp_path.resolve())


# Stages


class FakeStage(StageFile):
    """A stage's file that exists in a test only."""

    def __init__(self, name: str, *fields: Field, always: bool = True) -> None:
        super().__init__(name, *([] if always else [field.key for field in fields]))
        self.FIELDS = fields
        self.check = lambda top, settings: None


def test_a_stage_brings_its_own_keys(tmp_path: Path) -> None:
    stage = FakeStage("colours", Field("colour", text, "blue", "The colour.", "string"))
    path = write(tmp_path, {"workspace_root": str(tmp_path), "colour": "red"})
    assert load(path, {}, stages=[stage]).settings["colour"] == "red"
    assert [owned.key for owned in every_field([stage]) if owned.owner == "colours"] == ["colour"]
    path = write(tmp_path, {"workspace_root": str(tmp_path)})
    assert load(path, {}, stages=[stage]).settings["colour"] == "blue"
    path = write(tmp_path, {"workspace_root": str(tmp_path), "color": 5})
    with pytest.raises(ConfigError, match="`color` is not a key"):
        load(path, {}, stages=[stage])


def test_a_stage_that_has_nothing_to_do_has_no_settings_and_its_keys_are_known_all_the_same(tmp_path: Path) -> None:
    stage = FakeStage("colours", Field("colour", text, "blue", "The colour.", "string"), always=False)
    del stage.FIELDS  # whoever reads it would import the file
    for content in ({}, {"colour": None}):
        config = load(write(tmp_path, {"workspace_root": str(tmp_path), **content}), {}, stages=[stage])
        assert "colour" not in config.settings and config.warnings == ()
    with pytest.raises(ConfigError, match="Did you mean `colour`"):
        load(write(tmp_path, {"workspace_root": str(tmp_path), "color": 5}), {}, stages=[stage])


def test_no_two_owners_have_one_key() -> None:
    keys = [owned.key for owned in every_field()]
    assert len(set(keys)) == len(keys)
    assert {"servers.NAME.command", "permissions.deny", "pre_tool_hook", "workspace_root"} <= set(keys)


def test_every_default_is_what_its_own_reader_would_take(tmp_path: Path) -> None:
    """Written out in full, the defaults are a configuration without a finding."""
    content = {owned.key: owned.field.default for owned in every_field()
               if "." not in owned.key and owned.field.default is not None}
    content |= {"workspace_root": str(tmp_path), "sandbox_exempt": [], "hooks": {}}
    config = good(tmp_path, content)
    assert (config.warnings, config.downs) == ((), ())
    bare = good(tmp_path, {"workspace_root": str(tmp_path)})
    assert config._replace(settings={}) == bare._replace(settings={})
    assert {**config.settings, "journal": True} == {**config.settings, **bare.settings}


# Whatever the file holds

SEEDS = 400
WORDS = ["workspace_root", "servers", "mcpServers", "expose_mode", "permissions", "allow", "deny", "default_decision",
         "command", "args", "env", "cwd", "url", "type", "enabled", "disabled", "tool_timeouts", "request_timeout_secs",
         "max_call_secs", "inherit_env", "redact_fields", "pre_tool_hook", "sandbox_exempt", "page_size", "log_level",
         "protocol", "a", "x__y", "", "_c", "//", "\ud800", "\0", "\x1b[2J", "shack_x", "servrs", "comand"]
VALUES = [None, True, False, 0, -1, 1, 0.5, 1e308, 10**30, -10**400, "", ".", "x", "${HOME}", "${NO}", "${env:X}",
          "${A:-${B}}", "\0", "\ud800\udc00", "\udfff", "\u202e\x1b]0;x\x07", "deny", "full", "stdio", "a__b(c",
          "a__b(x:*)", "9" * 5000, "x" * 10_000, "~", "/", "../..", "AWS_*", "[", "stateless"]


def noise(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(10)
    if kind < 4 and depth < 6:
        return {rng.choice(WORDS): noise(rng, depth + 1) for _ in range(rng.randrange(7))}
    if kind < 6 and depth < 6:
        return [noise(rng, depth + 1) for _ in range(rng.randrange(4))]
    return rng.choice(VALUES)


def deep(rng: random.Random, levels: int) -> str:
    kinds = [rng.random() < 0.5 for _ in range(levels)]
    return "".join('{"servers":' if kind else "[" for kind in kinds) + "1" + "".join(
        "}" if kind else "]" for kind in reversed(kinds))


def plausible(rng: random.Random, folder: Path) -> dict[str, Any]:
    """A configuration that is right but for one or two values."""
    whole: dict[str, Any] = {
        "workspace_root": str(folder), "permissions": {"allow": ["a__b"], "deny": [], "default_decision": "deny"},
        "servers": {"a": {"command": "x", "args": ["y"], "env": {"A": "b"}, "tool_timeouts": {"t": 5}, "cwd": "."}},
        "request_timeout_secs": 5, "inherit_env": ["A"], "redact_fields": ["x"], "sandbox_exempt": ["a__b:c"],
    }
    for _ in range(rng.randrange(1, 3)):
        place: Any = whole
        while True:
            key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
            if not isinstance(place[key], (dict, list)) or not place[key] or rng.random() < 0.3:
                break
            place = place[key]
        place[key] = noise(rng, 4)
    return whole


def any_file(rng: random.Random, folder: Path) -> bytes:
    kind = rng.randrange(4)
    if kind == 3:
        content = deep(rng, rng.choice([5, 100, 900, 995, 5000]))
        content = '{"workspace_root": ".", "' + rng.choice(["servers", "x", "permissions"]) + '": ' + content + "}"
    else:
        content = json.dumps(noise(rng) if kind == 0 else plausible(rng, folder), indent=rng.choice([None, 2]))
    raw = bytearray(content.encode("utf-8", "surrogatepass"))
    if rng.random() < 0.2:
        for _ in range(3):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
    return bytes(raw)


def test_whatever_the_file_holds_the_answer_is_a_config_or_its_problems(tmp_path: Path) -> None:
    refused = 0
    for seed in range(SEEDS):
        path = write(tmp_path, any_file(random.Random(seed), tmp_path))
        try:
            config = load(path, ENVIRON)
        except ConfigError as error:
            refused += 1
            problems = error.problems
            assert any(problem.severity == "error" for problem in problems), f"seed {seed}"
        else:
            problems = (*config.warnings, *config.downs)
        for problem in problems:
            assert problem.where.startswith(path), f"seed {seed}: {problem}"
            assert problem.what and problem.what.isprintable() and problem.fix.isprintable(), f"seed {seed}: {problem}"
    assert 0 < refused < SEEDS
