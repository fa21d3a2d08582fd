"""`check` finds what a policy cannot do, and nothing where there is nothing to find."""
from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kit import Scene
from kit.host import ROOT
from shack_gateway.catalog.entries import LISTS, PROMPT, TOOL, Catalog, Listing, read_page
from shack_gateway.cli import serve, trust
from shack_gateway.cli.lint import lint, strangers
from shack_gateway.cli.main import main
from shack_gateway.cli.options import Arguments
from shack_gateway.cli.serve import may_be_foreign, may_name_strangers
from shack_gateway.cli.trust import early
from shack_gateway.cli.words import first_words
from shack_gateway.config.load import Config, load
from shack_gateway.pipeline.stages import profiles

posix = pytest.mark.skipif(sys.platform == "win32", reason="modes, owners and the shell of POSIX")
Asked = tuple[str, str]
"""The line, and a piece of what is said of it."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a workspace beside the configuration, and a home and a state folder elsewhere."""
    tmp_path.chmod(0o755)
    for name in ("work", "work/inner", "home", "home/projects", "state", "bin"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def environ(place: Path) -> dict[str, str]:
    return {"HOME": str(place / "home"), "SHACK_STATE_DIR": str(place / "state"),
            "PATH": f"{place / 'bin'}{os.pathsep}{os.defpath}"}


def written(place: Path, text: str | dict[str, Any]) -> Config:
    """The configuration in `place`, loaded; `text` may leave out what every file has."""
    whole = text if isinstance(text, str) else json.dumps({"workspace_root": "work", **text}, indent=1)
    path = place / "shack-config.json"
    path.write_text(whole, encoding="utf-8")
    path.chmod(0o644)
    return load(str(path), environ(place))


def script(path: Path, mode: int = 0o755) -> Path:
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(mode)
    return path


def said(config: Config, place: Path, catalog: Catalog | None = None) -> list[Asked]:
    """Line and text of every finding."""
    found = lint(config, environ(place), catalog)
    assert all(problem.severity == "warning" and problem.fix for problem in found)
    return [(problem.where.rpartition(":")[2], problem.what) for problem in found]


def only(found: list[Asked], line: int, *parts: str) -> None:
    """There is one finding, on this line, and it says all that."""
    assert len(found) == 1, found
    assert found[0][0] == str(line), found
    assert all(part in found[0][1] for part in parts), found


# --- hooks that are not there ----------------------------------------------------------------------------------------

LINE = [
    ("hook", ["hook"]),
    ("./hook.sh --now 'a b'", ["./hook.sh", "--now", "a b"]),
    ("A=1 B='x y' ./hook.sh", ["./hook.sh"]),
    ('"my hook.sh" x', ["my hook.sh", "x"]),
    ("my\\ hook.sh", ["my hook.sh"]),
    ("$DIR/hook.sh", ["/opt/hooks/hook.sh"]),
    ('"${DIR}/hook.sh"', ["/opt/hooks/hook.sh"]),
    ('"${NONE:-/etc/hooks}/hook.sh"', ["/etc/hooks/hook.sh"]),
    ('"${EMPTY:-/etc}/hook.sh"', ["/etc/hook.sh"]),
    ('"${EMPTY-/etc}/hook.sh"', ["/hook.sh"]),
    ("'$DIR/hook.sh'", ["$DIR/hook.sh"]),
    ('"\\$DIR"', ["$DIR"]),
    ("~/hook.sh", ["/home/me/hook.sh"]),
    ("'~'/hook.sh", ["~/hook.sh"]),
    ("hook | cat", ["hook"]),
    ("hook>log", ["hook"]),
    ("python3 2>/dev/null hook.py", ["python3"]),
    ("hook; other", ["hook"]),
    ("hook # why", ["hook"]),
    ("\n  hook\n", ["hook"]),
    ("hook && other", ["hook"]),
    ("exec ./hook.sh x", ["./hook.sh", "x"]),
    ("A=1 exec hook", ["hook"]),
    # From here on nobody can be sure.
    ("", []), ("   ", []), ("# nothing", []), ("A=1", []), ("$NONE", []), ("$SPACED x", []), ("$(which hook)", []),
    ("`which hook`", []), ('"$(which hook)"', []), ("./*.sh", []), ("~bob/hook", []), ("'open", []), ('"open', []),
    ("if true; then hook; fi", []), ("cd /x && ./hook.sh", []), ("{ hook; }", []), ("(hook)", []),
    ("exec -a x ./hook.sh", []), ("exec", []), ("exec >log", []),
    ("hook\\", []), ("! hook", []), ("[ -e x ] && hook", []), ("echo '{}'", []),
    ("${DIR%/*}/hook", []), ("$1", []), (">log hook", []), ("; hook", []), ("./a?.sh", []),
]


@pytest.mark.parametrize("line, wanted", LINE, ids=[repr(line) for line, _ in LINE])
def test_the_first_words_of_a_line_are_those_of_the_shell(line: str, wanted: list[str]) -> None:
    variables = {"DIR": "/opt/hooks", "EMPTY": "", "SPACED": "a b", "HOME": "/home/me"}
    assert first_words(line, variables) == wanted


@posix
def test_the_first_words_agree_with_the_shell_wherever_there_are_any(tmp_path: Path) -> None:
    """Lines by chance, judged by the real shell, for which every program is one that prints its words."""
    variables = {"DIR": "/opt/hooks", "EMPTY": "", "SPACED": "a b", "HOME": "/home/me"}
    pieces = ["a", "hook", " ", " ", "'", '"', "\\", "$DIR", "${EMPTY:-x}", "$SPACED", "${NONE-y}", "~/", "/b", "1",
              "'c d'", '"e $DIR"', "-x", ".", "$", "#", "%s", ">"]
    dice, lines = random.Random(4), list[str]()
    while len(lines) < 150:
        line = "".join(dice.choice(pieces) for _ in range(dice.randrange(1, 9)))
        if first_words(line, variables):
            lines.append(line)
    for line in lines:
        # The words as arguments of a program that shows them, in the form that the shell gives them.
        ran = subprocess.run(["/bin/sh", "-c", f"printf '[%s]' {line.lstrip()}"], env=variables, capture_output=True,
                             text=True, check=False, cwd=tmp_path)
        words = "".join(f"[{word}]" for word in first_words(line, variables))
        assert ran.stdout == words or ">" in line, line


HOOKS: list[tuple[str, str]] = [
    ("./none.sh", "runs `./none.sh`, which does not exist"),
    ("./plain.sh", "runs `./plain.sh`, which is not executable"),
    ("./work", "runs `./work`, which is a folder"),
    ("no-such-program-anywhere --x", "runs `no-such-program-anywhere`, which is not found in PATH"),
    ("sh ./none.sh", "runs the script `./none.sh`, which does not exist"),
    ("sh none.sh | cat", "runs the script `none.sh`, which does not exist"),
    ("./good.sh", ""),
    ("sh ./plain.sh", ""),
    ("sh -c ./none.sh", ""),
    ("found --x", ""),
    ("test -e x && ./none.sh", ""),
    ("./n*.sh", ""),
    ("$(pwd)/none.sh", ""),
]


@posix
@pytest.mark.parametrize("command, wanted", HOOKS, ids=[command for command, _ in HOOKS])
def test_a_hook_that_cannot_run_is_found(place: Path, command: str, wanted: str) -> None:
    script(place / "good.sh")
    script(place / "plain.sh", 0o644)
    script(place / "bin" / "found")
    config = written(place, {"pre_tool_hook": command})
    if wanted:
        only(said(config, place), 3, f"`pre_tool_hook` {wanted}")
        (problem,) = early(config, environ(place))
        assert problem.what == f"`pre_tool_hook` {wanted}"
    else:
        assert said(config, place) == []


@posix
def test_hooks_of_the_hooks_object_are_looked_for_where_they_run(place: Path) -> None:
    script(place / "work" / "here.sh")
    config = written(place, """{
      "workspace_root": "work",
      "hooks": {"PreToolUse": [{"matcher": "*", "hooks": [
        {"type": "command", "command": "./none.sh"},
        {"type": "command", "command": "./none.sh", "args": ["a b"]},
        {"type": "stdio", "command": "$CLAUDE_PROJECT_DIR/none.sh"}
      ]}], "PostToolUse": [{"hooks": [{"type": "command", "command": "./here.sh"}]}]}
    }""")
    found = said(config, place)
    outside = [each for each in found if "inside of `workspace_root`" not in each[1]]
    assert [(line, text.partition("` runs `")[0]) for line, text in outside] == [
        ("4", "`hooks.PreToolUse[0].hooks[0]"), ("5", "`hooks.PreToolUse[0].hooks[1]"),
        ("6", "`hooks.PreToolUse[0].hooks[2]")]
    assert f"{place}/work/none.sh" in outside[2][1]
    assert [line for line, text in found if "inside of `workspace_root`" in text] == ["7"]


@posix
@pytest.mark.parametrize("shell, program", [("powershell", "pwsh"), ("bash", "bash")])
def test_a_hook_whose_shell_is_not_there_is_found(place: Path, shell: str, program: str) -> None:
    handlers = [{"type": "command", "command": "echo x", "shell": shell},
                {"type": "command", "command": "echo", "args": ["x"]}]
    config = written(place, {"hooks": {"PreToolUse": [{"hooks": handlers}]}})
    paths = environ(place) | {"PATH": str(place / "bin")}
    script(place / "bin" / "echo")

    def found() -> list[str]:
        return [problem.what for problem in lint(config, paths)]

    assert found() == [f"`hooks.PreToolUse[0].hooks[0]` is to be read by `{shell}`, whose program `{program}` is not "
                       "found in PATH"]
    script(place / "bin" / program)
    assert found() == []


# --- who else may write ----------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("mode, wanted", [(0o644, ""), (0o600, ""), (0o646, "everybody"), (0o666, "everybody")],
                         ids=["rw-r--r--", "rw-------", "rw-r--rw-", "rw-rw-rw-"])
def test_a_configuration_that_others_can_write_is_said(place: Path, mode: int, wanted: str) -> None:
    config = written(place, {})
    (place / "shack-config.json").chmod(mode)
    if wanted:
        only(said(config, place), 1, f"this configuration can be written by {wanted}")
        assert may_be_foreign(config.path) and early(config, environ(place))
        (place / "shack-config.json").chmod(0o644)
    assert said(config, place) == [] and early(config, environ(place)) == ()


@posix
def test_a_folder_that_others_can_write_is_said_unless_each_keeps_his_own_in_it(place: Path) -> None:
    config = written(place, {})
    place.chmod(0o777)
    only(said(config, place), 1, "can be replaced by everybody, through the folder", str(place))
    assert may_be_foreign(config.path)
    place.chmod(0o1777)
    assert said(config, place) == []


@posix
def test_a_hook_that_others_can_write_is_said(place: Path) -> None:
    (place / "hooks").mkdir()
    script(place / "hooks" / "a.sh")
    config = written(place, {"pre_tool_hook": "hooks/a.sh", "post_tool_hook": "sh hooks/a.sh"})
    assert said(config, place) == []
    (place / "hooks" / "a.sh").chmod(0o757)
    found = said(config, place)
    assert [line for line, _ in found] == ["3", "4"] and all("by everybody" in text for _, text in found)
    (place / "hooks" / "a.sh").chmod(0o755)
    (place / "hooks").chmod(0o757)
    assert [text.count("through the folder") for _, text in said(config, place)] == [1, 1]
    (place / "hooks").chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root may give files away")
def test_files_of_others_and_of_a_group_are_said_by_their_name(place: Path) -> None:
    config, path = written(place, {}), place / "shack-config.json"
    os.chown(path, 1, 0)
    only(said(config, place), 1, "can be written by the user ")
    os.chown(path, 0, 54321)
    assert said(config, place) == []
    path.chmod(0o664)
    only(said(config, place), 1, "can be written by the group 54321")
    os.chown(path, 0, 0)
    assert said(config, place) == []


@posix
@pytest.mark.parametrize("name, members, own", [
    ("ann", [], True), ("ann", ["ann"], True), ("ann", ["bob"], False), ("staff", [], False),
], ids=["own", "own, and named", "own, and of another", "of many"])
def test_the_group_that_a_user_has_for_himself_is_nobody_else(
    monkeypatch: pytest.MonkeyPatch, name: str, members: list[str], own: bool
) -> None:
    modules = {"grp": SimpleNamespace(getgrgid=lambda gid: SimpleNamespace(gr_name=name, gr_mem=members)),
               "pwd": SimpleNamespace(getpwuid=lambda uid: SimpleNamespace(pw_name="ann"))}
    monkeypatch.setattr(trust, "import_module", modules.__getitem__)
    assert trust._is_own(1000, 1000) is own


@posix
def test_the_gateway_says_the_same_in_its_log(scene: Scene) -> None:
    path = scene.config(pre_tool_hook="./none.sh")
    path.chmod(0o646)
    done = scene.run("serve", "--config", str(path))
    assert done.returncode == 0
    said = done.stderr.decode()
    assert "`./none.sh`, which does not exist" in said and "can be written by everybody" in said
    path.chmod(0o644)
    scene.config()
    assert b"can be written" not in scene.run("serve", "--config", str(path)).stderr


@posix
def test_a_folder_far_above_counts_as_well(place: Path) -> None:
    (place / "x" / "y").mkdir(parents=True)
    script(place / "x" / "y" / "a.sh")
    config = written(place, {"pre_tool_hook": "x/y/a.sh"})
    assert said(config, place) == []
    (place / "x").chmod(0o777)
    only(said(config, place), 3, "can be replaced by everybody, through the folder", f"`{place / 'x'}`")


@posix
def test_the_interpreter_of_a_hook_is_not_ours_to_judge(place: Path) -> None:
    config = written(place, {"pre_tool_hook": f"'{sys.executable}' -c 'pass'"})
    assert said(config, place) == []


# --- what can be reached ---------------------------------------------------------------------------------------------


def test_a_configuration_in_the_workspace_is_said_where_it_restricts_anything(place: Path) -> None:
    assert said(written(place, {"workspace_root": "."}), place)[1:] == []
    inside = {**environ(place), "SHACK_STATE_DIR": str(place.parent / "elsewhere"), "HOME": str(place.parent / "me")}
    assert lint(written(place, {"workspace_root": "."}), inside) == ()
    config = written(place, {"workspace_root": ".", "permissions": {"deny": ["a__b"]}})
    (problem,) = lint(config, inside)
    assert problem.where.endswith("shack-config.json:2") and "holds this configuration" in problem.what
    assert "--config" in problem.fix


@posix
def test_a_hook_in_the_workspace_is_said(place: Path) -> None:
    script(place / "work" / "hook.sh")
    only(said(written(place, {"pre_tool_hook": "work/hook.sh"}), place), 3, "inside of `workspace_root`")
    script(place / "hook.sh")
    os.symlink(place / "hook.sh", place / "work" / "link.sh")
    assert said(written(place, {"pre_tool_hook": "work/link.sh"}), place) == []


def test_a_state_folder_in_the_workspace_is_said(place: Path) -> None:
    config = written(place, {})
    inside = {**environ(place), "SHACK_STATE_DIR": str(place / "work" / "state")}
    (problem,) = lint(config, inside)
    assert problem.where.endswith(":2") and "keeps for itself" in problem.what


@pytest.mark.parametrize("root, wanted", [
    ("/", "is the root of the file system"), ("home", "is your home folder"), (".", "holds your home folder"),
    ("home/projects", ""), ("work/inner", ""),
], ids=["/", "home", "above home", "in home", "elsewhere"])
def test_a_workspace_that_leaves_nothing_outside_is_said(place: Path, root: str, wanted: str) -> None:
    config = written(place, {"workspace_root": root, "permissions": {"deny": ["a__b"]}})
    if wanted:
        only(said(config, place), 2, f"`workspace_root` {wanted}")
    else:
        assert said(config, place) == []


@pytest.mark.parametrize("key", ["extra_roots", "read_only_roots"])
def test_a_further_root_that_holds_too_much_is_said(place: Path, key: str) -> None:
    config = written(place, f"""{{
      "workspace_root": "work",
      "sandbox": {{"{key}": [
        "../bin",
        "../home",
        "..",
        "../state"
      ]}}
    }}""")
    assert [(line, text.partition("` holds ")[2]) for line, text in said(config, place)] == [
        ("5", "your home folder"), ("6", "your home folder"), ("7", "the folder that the gateway keeps for itself")]


# --- what is about no tool -------------------------------------------------------------------------------------------


def catalog(config: Config, *, unknown: str = "") -> Catalog:
    """What two servers list, without that of one that is not known."""
    def listing(tools: str, prompts: str = "") -> Listing:
        pages = []
        for kind, names in ((TOOL, tools), (PROMPT, prompts)):
            items = ",".join(f'{{"name":"{name}","inputSchema":{{"type":"object"}}}}' for name in names.split())
            pages.append(read_page(kind, f'{{"{LISTS[kind].key}":[{items}]}}').items)
        return Listing(pages[0], pages[1], serves_resources=True)

    listed = {"files": listing("read write delete", "summary"), "web": listing("fetch")}
    listed.pop(unknown, None)
    shapes = {spec.name: spec.shape for spec in config.servers if spec.shape is not None}
    return Catalog(listed, shape=profiles.shape(config.settings, shapes))


WIDE = """{
  "workspace_root": "work",
  "servers": {
    "files": {"command": "x",
      "include": ["read", "write", "wrote"],
      "exclude": ["nothing_*", "del*"],
      "rename": {"read": "get",
        "reed": "got"},
      "tool_timeouts": {"read": 5,
        "raed": 5}},
    "web": {"command": "x"}
  },
  "hidden": ["web__fetch", "files__delete",
    "web__post*"],
  "limits": [{"tool": "files__*", "calls_per_minute": 5}, {"tool": "*", "calls_per_minute": 50},
    {"tool": "files__remove", "calls_per_minute": 5}, {"tool": "files__summary", "calls_per_minute": 5},
    {"tool": "mcp__shack__web__fetch", "calls_per_minute": 5}, {"tool": "*__read", "calls_per_minute": 5},
    {"tool": "*__raed", "calls_per_minute": 5}, {"tool": "files__resources/read", "calls_per_minute": 5}],
  "sandbox": {"exempt": ["web__fetch:route",
    "web__fecth:route"]},
  "permissions": {"deny": ["files__delete(a)", "files__delet(a)"],
    "ask": ["web__*", "web__post_*", "*__read", "mcp__files__write(x:*)"]},
  "profile": "small",
  "profiles": {"small": {"deny": ["files__summary"],
    "hidden": ["files__dalate"]},
    "other": {"deny": ["files__nothing"]}}
}"""


def test_what_means_no_listed_tool_is_said(place: Path) -> None:
    config = written(place, WIDE)
    found = said(config, place, catalog(config))
    assert [(line, re.findall("`([^`]*)`", text)[0]) for line, text in found] == [
        ("5", "servers.files.include[2]"), ("6", "servers.files.exclude[0]"), ("8", "servers.files.rename.reed"),
        ("10", "servers.files.tool_timeouts.raed"), ("14", "hidden[2]"), ("16", "limits[2].tool"),
        ("18", "limits[6].tool"), ("20", "sandbox.exempt[1]"), ("21", "permissions.deny[1]"),
        ("22", "permissions.ask[1]"), ("25", "profiles.small.hidden[0]")]
    assert said(config, place) == []


def test_nothing_is_said_of_a_server_whose_lists_are_not_known(place: Path) -> None:
    config = written(place, WIDE)
    found = said(config, place, catalog(config, unknown="files"))
    assert [re.findall("`([^`]*)`", text)[0] for _, text in found] == [
        "hidden[2]", "sandbox.exempt[1]", "permissions.ask[1]"]


def test_servers_under_their_other_name_have_their_lines(place: Path) -> None:
    config = written(place, WIDE.replace('"servers"', '"mcpServers"'))
    found = said(config, place, catalog(config))
    assert [line for line, _ in found][:4] == ["5", "6", "8", "10"]


STRANGE = """{
  "workspace_root": "work",
  "servers": {"files": {"command": "x"}, "web": {"command": "x"}},
  "limits": [{"tool": "files__*", "calls_per_minute": 5}, {"tool": "*__read", "calls_per_minute": 5},
    {"tool": "flies__*", "calls_per_minute": 5},
    {"tool": "mcp__wbe", "calls_per_minute": 5}],
  "guardrails": [
    {"tool": "flies__read", "contains": "x"}],
  "injections": [
    {"tool": "wbe__f?tch", "set": {"a": 1}}],
  "sandbox": {"exempt": ["web__fetch:route",
    "wbe__fetch:route"]},
  "hidden": ["files__no"],
  "hooks": {
    "PreToolUse": [
      {"matcher": "mcp__files__.*|mcp__flies__.*", "hooks": [{"command": "true"}]},
      {"matcher": "^mcp__wbe", "hooks": [{"command": "true"}]},
      {"matcher": "mcp__files__read, flies__read", "hooks": [{"command": "true"}]},
      {"hooks": [{"command": "true",
        "if": "mcp__wbe__fetch(x:*)"}]},
      {"matcher": "mcp__files?__", "hooks": [{"command": "true", "if": "web__fetch(x:*)"}]},
      {"matcher": "mcp__(flies|files)__", "hooks": [{"command": "true"}]},
      {"matcher": "mcp__shack__webs?__.*", "hooks": [{"command": "true"}]},
      {"matcher": "_(write|edit)|mcp__.*__read", "hooks": [{"command": "true"}]},
      {"matcher": "*", "hooks": [{"command": "true"}]}],
    "Elicitation": [
      {"matcher": "flies", "hooks": [{"command": "true"}]},
      {"matcher": "web|flies", "hooks": [{"command": "true"}]}]}
}"""


def test_what_is_about_a_server_that_there_is_not_is_said_without_any_list(place: Path) -> None:
    found = said(written(place, STRANGE), place)
    assert [(line, re.findall("`([^`]*)`", text)[0]) for line, text in found] == [
        ("5", "limits[2].tool"), ("6", "limits[3].tool"), ("8", "guardrails[0].tool"), ("10", "injections[0].tool"),
        ("12", "sandbox.exempt[1]"), ("16", "hooks.PreToolUse[0].matcher"), ("17", "hooks.PreToolUse[1].matcher"),
        ("18", "hooks.PreToolUse[2].matcher"), ("20", "hooks.PreToolUse[3].hooks[0].if"),
        ("27", "hooks.Elicitation[0].matcher")]
    assert found[0][1].endswith("no server is named `flies`; did you mean `files`?")


def test_the_gateway_says_it_too_when_it_starts(place: Path) -> None:
    config = written(place, STRANGE)
    assert may_name_strangers(config.settings)
    assert [(each.where, each.what) for each in strangers(config)] == [
        (each.where, each.what) for each in lint(config, environ(place))]


@pytest.mark.parametrize("more, looks", [
    ({}, False), ({"permissions": {"deny": ["flies__x"]}, "hidden": ["flies__x"], "profile": "readonly"}, False),
    ({"guardrails": [{"contains": "x"}, {"tool": "files__*", "contains": "x"}]}, False),
    ({"limits": [{"tool": "*__read", "calls_per_minute": 1}]}, False), ({"sandbox": {"exempt": ["files__a:b"]}}, False),
    ({"guardrails": [{"tool": "flies__*", "contains": "x"}]}, True), ({"sandbox": {"exempt": ["flies__a:b"]}}, True),
    ({"injections": [{"tool": "mcp__files__x", "set": {"a": 1}}]}, True), ({"sandbox_exempt": ["flies__a:b"]}, True),
    ({"limits": [{"tool": "f?les__read", "calls_per_minute": 1}]}, True),
    ({"hooks": {"PreToolUse": [{"hooks": [{"command": "true"}]}]}}, True),
], ids=str)
def test_a_start_looks_closer_only_where_strangers_may_be_named(place: Path, more: dict[str, Any], looks: bool) -> None:
    config = written(place, {"servers": {"files": {"command": "x"}}, **more})
    assert may_name_strangers(config.settings) is looks


def test_the_log_of_a_start_names_a_stranger_with_its_line(scene: Scene) -> None:
    lazy = {"files": {"command": sys.executable, "lazy": True}}
    path = scene.config(servers=lazy, guardrails=[{"tool": "flies__*", "contains": "x"}])
    said = scene.run("serve", "--config", str(path)).stderr.decode()
    assert "`guardrails[0].tool` means no tool: no server is named `flies`" in said and f"{path}:" in said


def test_a_start_without_strangers_does_not_import_the_lint(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(serve, "serve", lambda config, environ: 0)
    monkeypatch.setattr(serve, "may_be_foreign", lambda path: False)
    monkeypatch.setattr(serve, "import_module", lambda name, package: asked.append(name) or SimpleNamespace(
        strangers=lambda config: ()))
    for tool, imported in (("files__*", []), ("flies__*", [".lint"])):
        limits = [{"tool": tool, "calls_per_minute": 5}]
        config = written(place, {"servers": {"files": {"command": "x"}}, "limits": limits})
        assert serve.run(Arguments({"config": config.path})) == 0 and asked == imported


def test_what_was_said_when_the_file_was_read_is_not_said_again(place: Path) -> None:
    config = written(place, {"servers": {"files": {"command": "x"}, "web": {"command": "x"}},
                             "permissions": {"deny": ["flies__read", "files__raed"]}})
    assert ["no server is named `flies`" in problem.what for problem in config.warnings] == [True]
    assert ["files__raed" in text for _, text in said(config, place, catalog(config))] == [True]


def test_without_any_server_nothing_is_said_of_their_tools(place: Path) -> None:
    text = STRANGE.replace('{"files": {"command": "x"}, "web": {"command": "x"}}', "{}")
    assert said(written(place, text), place) == []


PARAMETERS = [
    ("files__run(command:rm*)", "", ""),  # taken for what the subject says
    ("files__run(command:*)", "the subject of the tool", "Write `files__run(*)`."),
    ("mcp__files__run(branhc:main)", "no argument `branhc` of the tool; did you mean `branch`?", ""),
    ("files__run(branch:main)", "", ""), ("files__run(npm:*)", "", ""), ("files__run(git log:*)", "", ""),
    ("files__run(https://x.example/:*)", "", ""), ("files__run(branhc:*)", "", ""), ("files__read(path:x)", "", ""),
    ("files__*(branch:main)", "", ""),
]


@pytest.mark.parametrize("rule, wanted, fix", PARAMETERS, ids=[rule for rule, _, _ in PARAMETERS])
def test_a_parameter_that_a_tool_does_not_take_is_said(place: Path, rule: str, wanted: str, fix: str) -> None:
    """`read` has no schema, and of a beginning (`npm:*`) nobody knows whether it was meant for a parameter."""
    schema = '{"type":"object","properties":{"command":{"type":"string"},"branch":{"type":"string"}}}'
    tools = f'{{"tools":[{{"name":"run","inputSchema":{schema}}},{{"name":"read","inputSchema":{{}}}}]}}'
    known = Catalog({"files": Listing(read_page(TOOL, tools).items, ())})
    config = written(place, {"servers": {"files": {"command": "x"}}, "permissions": {"deny": [rule]}})
    found = [problem for problem in lint(config, environ(place), known) if problem.what.startswith("`permissions")]
    assert [wanted in problem.what and fix in problem.fix for problem in found] == [True] * bool(wanted)
    assert "permissions.deny[0]" in "".join(problem.what for problem in found) or not wanted


UNFIT = [
    ("mcp__files__read", ()), ("mcp__files__raed", ("mcp__files__raed",)), ("files__read|web__fecth", ("web__fecth",)),
    ("mcp__files__re.*", ()), ("mcp__files__x.*", ("mcp__files__x.*",)), ("__(fetch|nothing)$", ()),
    ("__nothing$", ("__nothing$",)), ("mcp__files__resources/read", ()), ("mcp__shack__web__fetch", ()), ("*", ()),
    ("mcp__flies__read", ("mcp__flies__read",)), ("mcp__(?!files__).*", ()), ("mcp__(?!web__).*", ()),
    ("^(?!mcp__)", ("^(?!mcp__)",)), ("__read", ()),  # the last is said when the configuration is read
]


@pytest.mark.parametrize("matcher, wanted", UNFIT, ids=[matcher for matcher, _ in UNFIT])
def test_a_matcher_that_fits_nothing_that_is_listed_is_said(
    place: Path, matcher: str, wanted: tuple[str, ...]
) -> None:
    servers = {"files": {"command": "x"}, "web": {"command": "x"}}
    config = written(place, {"servers": servers, "hooks": {"PreToolUse": [
        {"matcher": matcher, "hooks": [{"command": "true"}]}]}})
    found = said(config, place, catalog(config))
    assert [f"`{word}`" in text for (_, text), word in zip(found, wanted)] == [True] * len(wanted)
    assert len(found) == len(wanted)
    assert said(config, place, catalog(config, unknown="files")) == (found if "flies" in matcher else [])


@posix
@pytest.mark.parametrize("words", [["check"], ["explain", "files__read"]], ids=" ".join)
def test_a_configuration_in_a_named_pipe_is_read_once(place: Path, words: list[str]) -> None:
    """With a finding, which is to be told with its line."""
    os.mkfifo(place / "pipe")
    text = json.dumps({"workspace_root": "work", "pre_tool_hook": "./nothing", "servers": {"files": {"command": "x"}}})
    with subprocess.Popen([sys.executable, "-m", "shack_gateway", *words, "--config", "pipe"], cwd=place,
                          env={**environ(place), "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE) as asked:
        (place / "pipe").write_text(text, encoding="utf-8")
        try:
            out, _ = asked.communicate(timeout=20)
        finally:
            asked.kill()
    assert (b"does not exist" if words == ["check"] else b"pre_tool_hook") in out


# --- the command -----------------------------------------------------------------------------------------------------


def command(place: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    for name, value in environ(place).items():
        monkeypatch.setenv(name, value)
    return main(["check", *options])


def test_warnings_count_only_if_that_is_wanted(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(place, {"workspace_root": "home"})
    assert command(place, monkeypatch) == 0
    assert "is your home folder" in capsys.readouterr().out
    assert command(place, monkeypatch, "--strict") == 1
    capsys.readouterr()
    assert command(place, monkeypatch, "--strict", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["errors"], found["warnings"]) == (False, 0, 1)
    assert found["problems"][0]["line"] == 2
    written(place, {})
    assert command(place, monkeypatch, "--strict") == 0


def test_findings_come_with_what_the_servers_list(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = {"command": "${SHACK_PYTHON}", "args": ["${SHACK_PACKAGE}/demo", "newschool"]}
    written(place, {"servers": {"new": demo}, "hidden": ["new__longest_words", "new__longest_wodrs"]})
    assert command(place, monkeypatch, "--json") == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []
    assert command(place, monkeypatch, "--json", "--connect") == 0
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem["what"].startswith("`hidden[1]` means no tool")


# --- no false alarm --------------------------------------------------------------------------------------------------

PAGES = [ROOT / "README.md", *sorted((ROOT / "shack_gateway" / "docs").glob("*.md"))]
SHOWN = [(page.name, number, block) for page in PAGES for number, block in enumerate(
    re.findall(r"^```jsonc?\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))
    if "workspace_root" in block and not re.search(r'"mcpServers": \{\s*"shack"', block)]


@pytest.mark.parametrize("block", [block for _, _, block in SHOWN], ids=[f"{page}-{at}" for page, at, _ in SHOWN])
def test_the_configurations_of_the_pages_give_no_alarm(
    place: Path, monkeypatch: pytest.MonkeyPatch, block: str
) -> None:
    """But for hooks whose files a page only names."""
    (place / "home" / "project").mkdir()
    monkeypatch.chdir(place / "work")
    variables = {**os.environ, **environ(place)}
    path = place / "shack-config.json"
    path.write_text(block, encoding="utf-8")
    config = load(str(path), variables)
    assert [problem for problem in lint(config, variables) if "which does not exist" not in problem.what] == []


def test_the_example_gives_no_alarm(place: Path) -> None:
    shutil.copy(ROOT / "shack-config.example.json", place / "shack-config.json")
    (place / "shack-config.json").chmod(0o644)
    variables = {**environ(place), "SHACK_WORKSPACE": str(place / "work"), "SHACK_PYTHON": sys.executable,
                 "SHACK_PACKAGE": str(ROOT / "shack_gateway")}
    config = load(str(place / "shack-config.json"), variables)
    assert lint(config, variables) == ()
