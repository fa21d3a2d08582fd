"""`include`, `exclude` and `rename` of a server: read, and contradicted where they contradict themselves."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shack_gateway.catalog.shaping import ServerShape
from shack_gateway.config.load import Config, load
from shack_gateway.errors import ConfigError


def config(folder: Path, **entry: Any) -> Config:
    path = folder / "c.json"
    path.write_text(json.dumps({"workspace_root": str(folder), "servers": {"s": {"command": "x", **entry}}}))
    return load(str(path), {"HOME": "/home/u"})


@pytest.mark.parametrize(("entry", "shape"), [
    ({}, None), ({"include": None, "exclude": [], "rename": {}}, None),
    ({"include": ["a*"]}, ServerShape(("a*",))), ({"exclude": ["a"]}, ServerShape(None, ("a",))),
    ({"rename": {"a": "b", "b": "a"}}, ServerShape(None, (), {"a": "b", "b": "a"})),
    ({"rename": {"//": "a remark", "a": "b"}}, ServerShape(None, (), {"a": "b"})),
    ({"include": ["a", "b_*"], "exclude": ["b_c"], "rename": {"b_d": "d.e-f"}},
     ServerShape(("a", "b_*"), ("b_c",), {"b_d": "d.e-f"})),
], ids=str)
def test_an_entry_says_what_its_server_has(tmp_path: Path, entry: Any, shape: ServerShape | None) -> None:
    found = config(tmp_path, **entry)
    assert found.servers[0].shape == shape and found.warnings == ()


def test_the_lists_that_are_kept_are_the_same_however_they_are_shown(tmp_path: Path) -> None:
    assert config(tmp_path).servers[0].digest == config(tmp_path, exclude=["a"]).servers[0].digest


@pytest.mark.parametrize(("entry", "what"), [
    ({"include": "a"}, "`servers.s.include` must be a list of strings"),
    ({"exclude": ["", "a"]}, "`servers.s.exclude[0]` is empty"),
    ({"exclude": [5]}, "`servers.s.exclude[0]` must be a string"),
    ({"rename": ["a"]}, "`servers.s.rename` must be an object"),
    ({"rename": {"a": 5}}, "`servers.s.rename.a` must be a string"),
    ({"rename": {"a": ""}}, "`servers.s.rename.a` is no name that hosts take"),
    ({"rename": {"a": "b c"}}, "`servers.s.rename.a` is no name that hosts take"),
    ({"rename": {"a": "größe"}}, "`servers.s.rename.a` is no name that hosts take"),
    ({"rename": {"a": "x", "b": "x"}}, "`servers.s.rename.b` is the new name of `a`, too"),
    ({"exlude": ["a"]}, "`servers.s.exlude` is not a key"),
], ids=str)
def test_what_cannot_be_meant_is_an_error(tmp_path: Path, entry: Any, what: str) -> None:
    with pytest.raises(ConfigError) as error:
        config(tmp_path, **entry)
    assert len(error.value.problems) == 1 and error.value.what.startswith(what)


@pytest.mark.parametrize(("entry", "what"), [
    ({"include": []}, "`servers.s.include` is empty: the server has no tools"),
    ({"include": ["a", "b"], "exclude": ["a*"]}, "`servers.s.include[0]` has no effect: `exclude` names it, too"),
    ({"include": ["s__a"]}, "`servers.s.include[0]` is compared with the server's own names"),
    ({"exclude": ["s__*"]}, "`servers.s.exclude[0]` is compared with the server's own names"),
    ({"rename": {"a": "a"}}, "`servers.s.rename.a` has no effect"),
    ({"rename": {"a": "s__b"}}, "`servers.s.rename.a` comes behind the server's name"),
    ({"rename": {"a": "b"}, "exclude": ["a"]}, "`servers.s.rename.a` has no effect: `include` or `exclude` leaves"),
    ({"rename": {"a": "b"}, "include": ["b"]}, "`servers.s.rename.a` has no effect: `include` or `exclude` leaves"),
    ({"includeTools": ["a"]}, "`servers.s.includeTools` has no effect here"),
    ({"enabled_tools": ["a"]}, "`servers.s.enabled_tools` has no effect here"),
    ({"disabledTools": ["a"]}, "`servers.s.disabledTools` has no effect here"),
], ids=str)
def test_what_has_no_effect_is_a_warning_with_a_fix(tmp_path: Path, entry: Any, what: str) -> None:
    [problem] = config(tmp_path, **entry).warnings
    assert problem.what.startswith(what) and problem.fix


@pytest.mark.parametrize(("key", "ours"), [
    ("includeTools", "include"), ("enabled_tools", "include"), ("excludeTools", "exclude"),
    ("disabled_tools", "exclude"), ("disabledTools", "exclude"),
])
def test_keys_of_hosts_own_files_lead_to_ours(tmp_path: Path, key: str, ours: str) -> None:
    [problem] = config(tmp_path, **{key: ["a"]}).warnings
    assert problem.fix.startswith(f"Write it as `{ours}`") and "CAN be called" in problem.fix
