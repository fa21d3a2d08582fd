"""Roots beside the workspace: what leads there passes, in read-only ones only for what reads."""
from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from kit.corridor import Road, call, ports, refused, run, stage
from shack_gateway.catalog.facts import Facts
from shack_gateway.config.load import load
from shack_gateway.errors import ConfigError
from shack_gateway.pipeline.call import PROMPT, RESOURCE, Call
from shack_gateway.pipeline.stages import sandbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs links and POSIX paths")
READS, WRITES, UNKNOWN = Facts(listed=True, only_reads=True), Facts(listed=True), Facts()


class World:
    """A workspace, an extra root, a read-only one, and what is neither; links between them."""

    def __init__(self, folder: Path) -> None:
        for name in ("ws", "extra", "docs", "else", "extra-too"):
            (folder / name / "sub").mkdir(parents=True)
            (folder / name / "a.txt").write_text("a")
        for source, to in {"ws/to-extra": "../extra", "ws/to-docs": "../docs", "ws/to-else": "../else",
                           "extra/out": "../else", "docs/out": "../else", "docs/to-ws": "../ws"}.items():
            (folder / source).symlink_to(to)
        self.folder = folder

    def box(self, facts: Facts = UNKNOWN) -> Any:
        roots = {"extra_roots": [str(self.folder / "extra")], "read_only_roots": [str(self.folder / "docs")]}
        return stage(sandbox, ports(self.folder / "ws", facts=lambda _: facts), sandbox=roots)

    def passes(self, asked: Call, facts: Facts = UNKNOWN) -> bool:
        return run(self.box(facts).before(asked)) is asked


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path.resolve())


PLACES = [
    # path, a tool that writes, a tool that only reads
    ("a.txt", True, True), ("{}/ws/a.txt", True, True),
    ("{}/extra", True, True), ("{}/extra/", True, True), ("{}/extra/a.txt", True, True),
    ("{}/extra/new/deep", True, True),
    ("{}/extra/../extra/sub", True, True), ("to-extra/a.txt", True, True), ("../extra/a.txt", True, True),
    ("file://{}/extra/a.txt", True, True),
    ("{}/extra-too/a.txt", False, False), ("{}/extra-too", False, False), ("{}/extra/out/a.txt", False, False),
    ("{}/extra/../else/a.txt", False, False), ("extra/../../else", False, False), ("{}", False, False),
    ("{}/docs", False, True), ("{}/docs/a.txt", False, True), ("to-docs/a.txt", False, True),
    ("{}/docs/out/a.txt", False, False), ("{}/docs/to-ws/a.txt", True, True),
    ("{}/else/a.txt", False, False), ("to-else/a.txt", False, False), ("/etc/passwd", False, False),
]


@pytest.mark.parametrize("path, writing, reading", PLACES, ids=[place[0] for place in PLACES])
def test_a_path_may_lead_into_a_root(world: World, path: str, writing: bool, reading: bool) -> None:
    path = path.replace("{}", str(world.folder))
    for arguments in ({"path": path}, {"options": [{"filePath": path}]}, {"paths": ["a.txt", path]}):
        assert world.passes(call(arguments), WRITES) is writing
        assert world.passes(call(arguments), UNKNOWN) is writing, "a tool that nobody lists may do anything"
        assert world.passes(call(arguments), READS) is reading
        assert world.passes(call(arguments, kind=PROMPT)) is reading
    assert world.passes(call({"uri": path}, kind=RESOURCE, target=path, name=path)) is reading


GOALS = ["destination", "dest", "dst", "to", "target", "output_path", "outputDir", "saveTo/path", "new_path", "toPath"]


@pytest.mark.parametrize("key", GOALS)
def test_nothing_is_put_into_a_root_that_may_only_be_read(world: World, key: str) -> None:
    docs = str(world.folder / "docs" / "a.txt")
    assert world.passes(call({"path": docs, key: "a.txt"}), READS)
    assert not world.passes(call({"path": "a.txt", key: docs}), READS)
    assert not world.passes(call({"options": {key: {"path": docs}}}), READS)


def test_a_refusal_says_what_is_allowed_and_never_where_a_link_leads(world: World) -> None:
    verdict = refused(run(world.box().before(call({"path": "to-else/a.txt"}))))
    assert str(world.folder / "extra") in verdict.text and str(world.folder / "docs") in verdict.text
    assert str(world.folder / "else") not in verdict.text
    verdict = refused(run(world.box().before(call({"path": "to-docs/a.txt"}))))
    assert "is in a folder that may only be read" in verdict.text


def test_nothing_else_is_let_in_by_chance(world: World) -> None:
    chance = random.Random(4)
    names = ["ws", "extra", "docs", "else", "extra-too", "sub", "a.txt", "..", ".", "out", "to-extra", "to-else",
             "to-docs", "to-ws", "new"]
    inside = [str(world.folder / name) for name in ("ws", "extra")]
    for _ in range(2000):
        path = "/".join(chance.choice(names) for _ in range(chance.randint(1, 5)))
        if chance.random() < 0.5:
            path = f"{world.folder}/{path}"
        road = Road(world.box(WRITES))
        road.run(call({"path": path}))
        if road.sent:
            whole = (world.folder / "ws" / path).resolve()
            assert any(str(whole) == root or str(whole).startswith(root + "/") for root in inside), path


def written(folder: Path, **section: Any) -> str:
    path = folder / "c.json"
    path.write_text(json.dumps({"workspace_root": str(folder), "sandbox": section}))
    return str(path)


def test_roots_are_made_absolute_with_variables_filled_in_and_links_resolved(tmp_path: Path) -> None:
    folder = tmp_path.resolve()
    (folder / "x").mkdir()
    (folder / "link").symlink_to("x")
    config = load(written(folder, extra_roots=["x", "${HERE}/link", "${NONE:-x}"], read_only_roots=["./x/../x"]),
                  {"HERE": str(folder)})
    assert config.settings["sandbox"]["extra_roots"] == (str(folder / "x"),) * 3
    assert config.settings["sandbox"]["read_only_roots"] == (str(folder / "x"),)
    assert config.warnings == ()


@pytest.mark.parametrize("root, finding", [
    ("${NONE}", "NONE"), ("~/x", "not expanded"), ("", "is empty"), ("/", "root of the file system"),
    ("a\0b", "no program can be given"), (5, "must be a string"),
])
def test_a_root_that_cannot_be_meant_is_an_error(tmp_path: Path, root: object, finding: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, extra_roots=[root]), {})
    assert any(finding in p.what and "sandbox.extra_roots[0]" in p.what for p in caught.value.problems)


def test_a_root_that_is_not_there_is_a_warning_and_lets_nothing_else_in(tmp_path: Path) -> None:
    config = load(written(tmp_path, extra_roots=["nowhere"]), {})
    assert ["is no folder" in warning.what for warning in config.warnings] == [True]
