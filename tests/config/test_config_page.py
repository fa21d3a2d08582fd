"""The page about the configuration says what the keys say of themselves, and its examples are true."""
from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kit.host import ROOT
from shack_gateway.config import jsonc
from shack_gateway.config.fields import REQUIRED
from shack_gateway.config.load import OwnedField, every_field, load
from shack_gateway.config.servers import LOCALE, POSIX_NAMES, WINDOWS_NAMES

PAGE = (ROOT / "shack_gateway" / "docs" / "config.md").read_text(encoding="utf-8")


def row(owned: OwnedField) -> str:
    """The key's line in a table of the page. After a change of a `Field`, paste what the failing test shows."""
    field = owned.field
    if field.default is REQUIRED:
        default = "required"
    elif field.default is None or field.default in ("", (), {}):
        default = "–"
    else:
        default = f"`{json.dumps(field.default)}`"
    return f"| `{owned.key.removeprefix('servers.NAME.')}` | {field.shape} | {default} | {field.doc} |"


def test_every_key_has_its_row() -> None:
    missing = [row(owned) for owned in every_field() if row(owned) not in PAGE]
    assert not missing, "not in docs/config.md:\n" + "\n".join(missing)


def test_every_row_is_of_a_key() -> None:
    rows = {row(owned) for owned in every_field()}
    strange = [line for line in PAGE.splitlines() if re.match(r"\| `[a-z_.]+` \|", line) and line not in rows]
    assert not strange, "in docs/config.md, but of no key:\n" + "\n".join(strange)


@pytest.mark.parametrize("name", sorted({*POSIX_NAMES, *WINDOWS_NAMES, f"{LOCALE}*"}))
def test_every_variable_that_servers_are_given_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE


EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_is_a_configuration_without_a_finding(tmp_path: Path, example: str) -> None:
    whole = jsonc.read(example).data
    whole["workspace_root"] = str(tmp_path)
    path = tmp_path / "c.json"
    path.write_text(json.dumps(whole), encoding="utf-8")
    config = load(str(path), {"HOME": str(tmp_path), "GH_TOKEN": "x", "PATH": "/bin"})
    assert (config.warnings, config.downs) == ((), ())


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 2
