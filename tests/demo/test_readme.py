"""What the README and the pages beside it show is what happens: commands, outputs, configurations, links, names."""
from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit import Scene
from kit.host import ROOT
from kit.house import FLOORS, PURE
from shack_gateway.cli.paste import Launch, snippets
from shack_gateway.config.load import every_field
from shack_gateway.errors import FAILURES
from shack_gateway.pipeline.chain import Stage

PACKAGE = ROOT / "shack_gateway"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", PACKAGE / "README.md", *sorted((PACKAGE / "docs").glob("*.md"))]
DEMO, TESTS = "python3 -m shack_gateway demo", "python3 -m pip install -e '.[test]' && python3 -m pytest"
CHECK = "python3 -m shack_gateway check --config shack-config.json --connect"


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return [block.strip("\n") for block in re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]


def test_the_commands_of_the_readme_are_those_that_are_tried() -> None:
    """The clone, then two commands do everything; a new one needs a test of its own here."""
    clone, *others = blocks(README, "sh")
    assert clone.startswith("git clone ") and others == [DEMO, TESTS, CHECK]


def test_the_readme_shows_what_the_demo_prints(scene: Scene) -> None:
    done = subprocess.run([sys.executable, *DEMO.split()[1:]], cwd=ROOT, env={**os.environ, **scene.environ()},
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    shown = next(block for block in blocks(README, "text") if "What the model sees" in block)
    printed = iter(stable(done.stdout).splitlines())
    for line in stable(shown).splitlines():
        assert line == "..." or any(other.startswith(line) for other in printed), f"the demo does not print: {line}"


def stable(text: str) -> str:
    """Without the sizes, which change with every word of a description."""
    return re.sub(r"[\d,]+ bytes", "N bytes", text)


def test_the_readme_shows_what_explain_says(scene: Scene) -> None:
    shown = next(block for block in blocks(README, "text") if block.startswith("$ python3 -m shack_gateway explain"))
    line, *wanted = shown.splitlines()
    done = subprocess.run([sys.executable, *shlex.split(line)[2:]], cwd=ROOT, env={**os.environ, **scene.environ()},
                          capture_output=True, text=True, timeout=60, check=False)
    printed = iter(done.stdout.splitlines())
    for each in wanted:
        assert each == "..." or each in printed, f"explain does not print: {each}\n{done.stdout}"


def test_the_test_command_of_the_readme_is_the_one_of_ci() -> None:
    ci, project = (ROOT / ".ci" / "run").read_text(), (ROOT / "pyproject.toml").read_text()
    assert f"\n{TESTS.partition(' && ')[2]}\n" in ci
    assert re.search(r"^test = \[.*pytest", project, re.MULTILINE)


CONFIGURATIONS = [block for block in blocks(README, "json") if "workspace_root" in block]


@pytest.mark.parametrize("text", CONFIGURATIONS, ids=["first", "policy"])
def test_the_configurations_in_the_readme_have_no_problems(scene: Scene, text: str) -> None:
    (scene.folder / "shack-config.json").write_text(text, encoding="utf-8")
    (scene.folder / "project").mkdir()
    (scene.folder / "hooks").mkdir()
    (scene.folder / "hooks" / "working-hours.sh").touch()
    command = CHECK.removesuffix(" --connect").split()[1:]      # the servers in it would have to be downloaded
    done = subprocess.run([sys.executable, *command, "--json"], cwd=scene.folder, capture_output=True, timeout=15,
                          env={**os.environ, "HOME": str(scene.folder), "PYTHONPATH": str(ROOT)}, check=False)
    found = json.loads(done.stdout)
    assert (done.returncode, found["problems"]) == (0, [])


def test_the_pages_paste_what_the_demo_would() -> None:
    page = (PACKAGE / "docs" / "hosts.md").read_text(encoding="utf-8")
    clone, config = "/home/me/shack-gateway/shack_gateway", "/home/me/shack-config.json"
    launch = Launch("/usr/bin/python3", (clone, "--config", config))
    for snippet in snippets(launch):
        language = {"claude": "sh", "[mcp_s": "toml"}.get(snippet.text[:6], "json")
        assert snippet.text in blocks(page, language), f"docs/hosts.md lacks, for {snippet.host}:\n{snippet.text}"
    entry = next(block for block in blocks(README, "json") if "mcpServers" in block and "workspace_root" not in block)
    assert json.loads(entry) == json.loads(snippets(launch)[1].text)


def links(page: Path) -> Iterator[tuple[str, str]]:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+://", target):
            path, _, anchor = target.partition("#")
            yield path, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for path, anchor in links(page):
        target = (page.parent / path) if path else page
        assert target.exists(), f"{page.name}: {path}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page.name}: {path}#{anchor}"


@pytest.mark.parametrize("page", [ROOT / "README.md", *(PACKAGE / "docs" / f"{name}.md" for name in (
    "changelog", "hosts", "security"))], ids=lambda page: page.name)
def test_keys_that_a_page_names_exist(page: Path) -> None:
    """A key that was renamed or dropped must not live on in the documentation."""
    of_codex = {"tool_timeout_sec", "env_vars"}
    known = {key for field in every_field() for key in field.key.split(".")} | of_codex
    text = page.read_text(encoding="utf-8")
    codes = re.findall(r"`([^`\n]+)`", text)
    named = {word for code in codes for word in re.findall(r'^"?([a-z]+(?:_[a-z]+)+)"?(?=:|$)', code)}
    named |= {word for block in blocks(text, "json") for word in re.findall(r'"([a-z]+(?:_[a-z]+)+)":', block)}
    assert {word for word in named if not word.startswith("shack_")} <= known


def test_every_kind_of_failure_says_how_to_mend_it() -> None:
    page = (PACKAGE / "docs" / "errors.md").read_text(encoding="utf-8")
    heads = re.findall(r"^\*\*(`[^*]+)\.\*\*", page[page.index("## How to mend it") :], re.MULTILINE)
    assert {kind for head in heads for kind in re.findall("`([^`]+)`", head)} == set(FAILURES)


def test_the_floor_plan_names_every_room_and_no_other() -> None:
    plan = (PACKAGE / "README.md").read_text(encoding="utf-8")
    table = set(re.findall(r"^\| [-\d] \| `([^`]+)` \|", plan, re.MULTILINE))
    rooms = {path.name + ("/" if path.is_dir() else "") for path in PACKAGE.iterdir()
             if (path.is_dir() and path.name != "__pycache__") or path.suffix == ".py"}
    assert {name for name in table if name.count("/") < 2 and "/" not in name[:-1]} == rooms - {"__init__.py"}
    for path in re.findall(r"`((?:\w+/)+\w+\.(?:py|md))`", plan):
        if "NAME" not in path:
            assert (PACKAGE / path).exists() or (ROOT / path).exists(), path


def test_the_floor_plan_names_every_file_of_the_corridor_and_every_part_of_a_stage() -> None:
    plan = (PACKAGE / "README.md").read_text(encoding="utf-8")
    corridor = plan[plan.index("## The corridor, room by room") : plan.index("## The three rules of the chain")]
    files = {path.name for folder in ("pipeline", "pipeline/hooking") for path in (PACKAGE / folder).glob("*.py")}
    assert set(re.findall(r"`(\w+\.py)`", corridor)) == files - {"__init__.py"}
    parts = set(re.findall(r"^\| `(\w+)(?:\([^)]*\))?` \|", plan[plan.index("## How to add a stage") :], re.MULTILINE))
    assert parts == {name for name in vars(Stage) if not name.startswith("_")} - {"name"}
    pure = re.findall(r"`([\w./]+)`", plan[plan.index("\nPure are ") : plan.index("A pure module says so")])
    assert {name.rstrip("/").removesuffix(".py").replace("/", ".") for name in pure} == set(PURE)


def test_the_floor_plan_puts_every_room_on_the_floor_where_it_is() -> None:
    plan = (PACKAGE / "README.md").read_text(encoding="utf-8")
    for shown, name in re.findall(r"^\| ([-\d]) \| `([^`]+)` \|", plan, re.MULTILINE):
        floor = FLOORS[name.rstrip("/").removesuffix(".py").replace("/", ".")]
        assert shown == ("-" if floor < 0 else str(int(floor))), name
