"""The house keeps its own rules; and every rule is tried on a tree that breaks it, so that it is known to fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit import house as h
from kit.host import ROOT

LAZY: dict[str, str] = {}
"""Imports inside functions that are wanted: `path: name` -> why."""

RULES = [
    h.floors,
    h.pure_rooms,
    h.standard_library_only,
    h.no_cycles,
    h.light_start,
    h.any_platform,
    h.docstrings,
    h.sizes,
    h.no_silent_catch,
    h.typed,
    h.stage_contract,
    h.documented_keys,
    h.documented_commands,
    h.documented_failures,
]


@pytest.fixture(scope="module")
def real() -> h.House:
    return h.House(ROOT / h.PACKAGE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rules(real: h.House, rule: object) -> None:
    findings = rule(real)  # type: ignore[operator]
    assert not findings, "\n".join(findings)


def test_no_import_hides_in_a_function(real: h.House) -> None:
    findings = h.imports_at_the_top(real, LAZY)
    assert not findings, "\n".join(findings)


def test_the_top_level_is_the_fixed_one() -> None:
    findings = h.top_level(ROOT)
    assert not findings, "\n".join(findings)


def test_the_rules_see_what_there_is(real: h.House) -> None:
    """A rule that reads nothing finds nothing; these are the lists the documentation rules walk."""
    assert {"workspace_root", "servers", "permissions", "pre_tool_hook"} <= set(h.config_keys(real))
    assert {"--config"} <= set(h.cli_words(real))
    assert {"parse", "sandbox", "server"} <= set(h.failure_kinds(real))
    assert len(real.modules) > 20


def test_every_code_in_the_table_of_failures_is_in_its_documentation(real: h.House) -> None:
    from shack_gateway.errors import FAILURES

    rows = {}
    for line in (ROOT / h.PACKAGE / "docs" / "errors.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) >= 3 and cells[0].startswith("`"):
            rows[cells[0].strip("`")] = cells[1:3]
    for kind, form in FAILURES.items():
        said = ["result" if code is None else str(code) for code in (form.handshake, form.stateless)]
        assert rows.get(kind) == said, f"docs/errors.md says {rows.get(kind)} for `{kind}`, the table says {said}"


# --- every rule can fail ---------------------------------------------------------------------------------------------

GOOD = {
    "__init__.py": '"""The package."""\n__version__ = "1"\n',
    "py.typed": "",
    "errors.py": '"""Errors.  Pure."""\nfrom typing import Any\nFAILURES: dict[str, Any] = {"parse": 1}\n',
    "wire/__init__.py": '"""Wire.  Pure."""\n',
    "wire/messages.py": '"""Lines.  Pure."""\nimport json\nfrom ..errors import FAILURES\n',
    "config/__init__.py": '"""Config."""\n',
    "config/fields.py": '"""Fields.  Pure."""\nFIELDS = (Field("known_key", text),)\n',
    "pipeline/__init__.py": '"""Corridor.  Pure."""\n',
    "pipeline/chain.py": '"""Chain.  Pure."""\nfrom ..wire import messages\nclass Stage: ...\n',
    "pipeline/stages/__init__.py": '"""Stages.  Pure."""\nfrom . import gate\nORDER: tuple = (gate,)\n',
    "pipeline/stages/gate.py": '"""Gate.  Pure."""\nfrom ..chain import Stage\nFIELDS = ()\n'
    'class Gate(Stage):\n    """Says no."""\n    name = "gate"\n'
    "def build(settings, ports):\n    return None\n",
    "core/__init__.py": '"""Hall.  Pure."""\nfrom ..pipeline import chain\n',
    "host/__init__.py": '"""Door."""\nimport os\nfrom ..core import x\n',
    "app.py": '"""Root."""\nfrom .host import y\n',
    "cli/__init__.py": '"""Words."""\n',
    "cli/commands.py": '"""Table."""\nCOMMANDS = (Command("check", ".check", (Option("json", "For programs."),)),)\n',
    "demo/__init__.py": '"""Demo."""\n',
    "docs/config.md": "| `known_key` | text |",
    "docs/commands.md": "`shack-gateway check --json`",
    "docs/errors.md": "| `parse` | -32700 |",
}
STAGE = GOOD["pipeline/stages/gate.py"]

BAD = [
    (h.floors, {"wire/messages.py": '"""L.  Pure."""\nfrom ..pipeline import chain\n'}, "imports pipeline.chain"),
    (
        h.floors,
        {"core/hall.py": '"""H.  Pure."""\nfrom ..eras import inbound\n', "eras/inbound.py": '"""E.  Pure."""\n'},
        "imports eras",
    ),
    (h.floors, {"host/a.py": '"""H."""\nfrom shack_gateway.app import y\n'}, "imports app"),
    (h.floors, {"demo/a.py": '"""D."""\nfrom ..errors import FAILURES\n'}, "imports errors"),
    (h.floors, {"app.py": '"""R."""\nfrom . import demo\n'}, "imports demo"),
    (
        h.floors,
        {"config/fields.py": '"""F.  Pure."""\nfrom . import load\n', "config/load.py": '"""L."""\n'},
        "imports config.load",
    ),
    (h.floors, {"utils.py": '"""U."""\n'}, "on no floor"),
    (h.pure_rooms, {"wire/messages.py": '"""L.  Pure."""\nimport os\n'}, "imports os"),
    (h.pure_rooms, {"core/__init__.py": '"""H.  Pure."""\nimport asyncio\n'}, "imports asyncio"),
    (h.pure_rooms, {"core/__init__.py": '"""H.  Pure."""\ndef f():\n    from time import monotonic\n'}, "imports time"),
    (h.pure_rooms, {"core/__init__.py": '"""H.  Pure."""\nfrom pathlib import Path\n'}, "imports pathlib.Path"),
    (h.pure_rooms, {"errors.py": '"""E.  Pure."""\ndef f():\n    return open("x")\n'}, "calls open()"),
    (h.pure_rooms, {"wire/messages.py": '"""Lines."""\nimport json\nX = 1\n'}, "does not say"),
    (h.pure_rooms, {"host/life.py": '"""Life.  Pure."""\nimport random\n'}, "imports random"),
    (h.standard_library_only, {"host/a.py": '"""H."""\nimport requests\n'}, "requests"),
    (h.imports_at_the_top, {"host/a.py": '"""H."""\ndef f():\n    import json\n'}, "imports json inside"),
    (
        h.no_cycles,
        {"host/a.py": '"""A."""\nfrom . import b\n', "host/b.py": '"""B."""\nfrom .a import x\n'},
        "host.a -> host.b",
    ),
    (
        h.light_start,
        {"host/__init__.py": '"""D."""\nfrom . import a\n', "host/a.py": '"""H."""\nimport logging\n'},
        "imports logging",
    ),
    (h.light_start, {"core/__init__.py": '"""H."""\nfrom dataclasses import dataclass\n'}, "imports dataclasses"),
    (h.any_platform, {"host/a.py": '"""H."""\nimport fcntl\n'}, "imports fcntl"),
    (h.any_platform, {"host/a.py": '"""H."""\nimport signal\nX = (signal.SIGTERM, signal.SIGHUP)\n'}, "signal.SIGHUP"),
    (h.any_platform, {"host/a.py": '"""H."""\nimport os\ndef f(kill=os.killpg): ...\n'}, "os.killpg"),
    (h.docstrings, {"host/a.py": "import os\n"}, "no docstring"),
    (h.sizes, {"host/a.py": '"""H."""\n' + "x = 1\n" * 450}, "451 lines"),
    (h.sizes, {"host/a.py": '"""H."""\ndef f():\n' + "    x = 1\n" * 60}, "f has 61 lines"),
    (h.no_silent_catch, {"host/a.py": '"""H."""\ntry:\n    x()\nexcept Exception:\n    pass\n'}, "says nothing"),
    (h.no_silent_catch, {"host/a.py": '"""H."""\ntry:\n    x()\nexcept:\n    y()\n'}, "catches everything"),
    (h.typed, {"py.typed": None}, "py.typed"),
    (h.stage_contract, {"pipeline/stages/__init__.py": '"""S.  Pure."""\nORDER = ()\n'}, "gate.py is not in ORDER"),
    (h.stage_contract, {"pipeline/stages/gate.py": None}, "no such file"),
    (h.stage_contract, {"pipeline/stages/gate.py": STAGE.replace("FIELDS", "OTHERS")}, "no FIELDS"),
    (h.stage_contract, {"pipeline/stages/gate.py": STAGE.replace("def build", "def make")}, "no build"),
    (h.stage_contract, {"pipeline/stages/gate.py": STAGE.replace("settings, ports", "settings")}, "does not take"),
    (h.stage_contract, {"pipeline/stages/gate.py": STAGE.replace("(Stage)", "")}, "no subclass"),
    (h.stage_contract, {"pipeline/stages/gate.py": STAGE.replace('    name = "gate"\n', "")}, "no name of its own"),
    (h.stage_contract, {"pipeline/stages/gate.py": STAGE.replace('    """Says no."""\n', "")}, "does not say"),
    (
        h.documented_keys,
        {"config/fields.py": '"""F.  Pure."""\nFIELDS = (Field("secret_key", text),)\n'},
        "`secret_key`",
    ),
    (h.documented_keys, {"docs/config.md": None}, "missing"),
    (h.documented_commands, {"docs/commands.md": "`shack-gateway check`"}, "`--json`"),
    (h.documented_failures, {"docs/errors.md": "| `other` |"}, "`parse`"),
]


def grow(folder: Path, files: dict[str, str | None]) -> h.House:
    root = folder / h.PACKAGE
    for name, text in files.items():
        if text is not None:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return h.House(root)


@pytest.mark.parametrize("rule", [*RULES, h.imports_at_the_top], ids=lambda rule: rule.__name__)
def test_a_rule_finds_nothing_in_a_good_tree(tmp_path: Path, rule: object) -> None:
    assert rule(grow(tmp_path, dict(GOOD))) == []  # type: ignore[operator]


@pytest.mark.parametrize(
    "rule, change, finding", BAD, ids=[f"{rule.__name__}-{number}" for number, (rule, _, _) in enumerate(BAD)]
)
def test_a_rule_finds_what_breaks_it(tmp_path: Path, rule: object, change: dict[str, str | None], finding: str) -> None:
    findings = rule(grow(tmp_path, {**GOOD, **change}))  # type: ignore[operator]
    assert any(finding in said for said in findings), findings


def test_every_rule_is_tried_on_a_tree_that_breaks_it() -> None:
    assert {rule for rule, _, _ in BAD} == {*RULES, h.imports_at_the_top}


@pytest.mark.parametrize("change", [{"notes.txt": ""}, {"LICENSE": None}], ids=["one too many", "one missing"])
def test_a_changed_top_level_is_found(tmp_path: Path, change: dict[str, str | None]) -> None:
    for name in sorted({*h.TOP_LEVEL, ".ci", "build"} | set(change)):
        if change.get(name, "") is not None:
            (tmp_path / name).write_text("", encoding="utf-8")
    assert len(h.top_level(tmp_path)) == 1
