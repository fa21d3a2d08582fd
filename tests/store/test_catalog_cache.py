"""What servers listed is kept between runs, and only what can be trusted is believed."""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

import pytest

from shack_gateway.catalog.entries import LISTS, PROMPT, RESOURCE, TEMPLATE, TOOL, Listing, read_page
from shack_gateway.config.servers import ServerSpec
from shack_gateway.log import Log
from shack_gateway.store.catalog_cache import CatalogCache

SPEC = ServerSpec("alpha", "cmd", digest="d" * 64)
ODD = '{ "name":"t\\u00e4","inputSchema":{"type":"object","n":1.10,"x":[ 1e2 ]},"own":{"b":1,"a":2}}'
posix = pytest.mark.skipif(sys.platform == "win32", reason="modes and owners of POSIX")


def listing(tools: str = ODD) -> Listing:
    def items(kind: str, text: str) -> tuple[object, ...]:
        return read_page(kind, f'{{"{LISTS[kind].key}":[{text}]}}').items

    return Listing(
        items(TOOL, tools),
        items(PROMPT, '{"name":"p"}'),
        items(RESOURCE, '{"uri":"m://1","name":"r"}'),  # type: ignore[arg-type]
        items(TEMPLATE, '{"uriTemplate":"m://{x}","name":"t"}'),
        stateless=True,
        serves_resources=True,
        ttl_ms=0,
        private=True,  # type: ignore[arg-type]
    )


def cache(folder: Path) -> CatalogCache:
    return CatalogCache(str(folder), Log(2, "error", ()))


def only_file(folder: Path) -> Path:
    (path,) = (folder / "catalog").iterdir()
    return path


def test_a_kept_listing_comes_back_byte_for_byte(tmp_path: Path) -> None:
    cache(tmp_path).keep(SPEC, listing(), "handshake")
    assert cache(tmp_path).recall(SPEC) == (listing(), "handshake")


def test_another_command_is_another_server(tmp_path: Path) -> None:
    cache(tmp_path).keep(SPEC, listing(), "auto")
    assert cache(tmp_path).recall(SPEC._replace(digest="e" * 64)) is None


def test_the_same_command_under_another_name_is_another_server(tmp_path: Path) -> None:
    cache(tmp_path).keep(SPEC, listing(), "auto")
    assert cache(tmp_path).recall(SPEC._replace(name="beta")) is None


def test_the_latest_listing_is_that_of_whatever_host_came_last(tmp_path: Path) -> None:
    kept = cache(tmp_path)
    kept.keep(SPEC._replace(digest=f"{SPEC.digest} ['roots []']"), listing('{"name":"first"}'), "auto")
    first = only_file(tmp_path)
    os.utime(first, (1, 1))
    kept.keep(SPEC._replace(digest=f"{SPEC.digest} []"), listing('{"name":"second"}'), "auto")
    kept.keep(SPEC._replace(digest="e" * 64), listing('{"name":"another"}'), "auto")
    kept.keep(SPEC._replace(name="beta"), listing('{"name":"beta"}'), "auto")
    found = kept.latest(SPEC)
    assert found is not None and found[0].tools[0].target == "second"
    assert kept.recall(SPEC) is None and kept.latest(SPEC._replace(digest="f" * 64)) is None
    assert cache(tmp_path / "none").latest(SPEC) is None


@posix
def test_only_the_user_can_read_what_is_kept(tmp_path: Path) -> None:
    cache(tmp_path / "state").keep(SPEC, listing(), "auto")
    assert only_file(tmp_path / "state").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state" / "catalog").stat().st_mode & 0o077 == 0


@posix
def test_a_file_that_others_can_write_is_not_believed(tmp_path: Path) -> None:
    cache(tmp_path).keep(SPEC, listing(), "auto")
    only_file(tmp_path).chmod(0o666)
    assert cache(tmp_path).recall(SPEC) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"format":1}',
        b'{"format":2,"server":"alpha","about":{},"tools":[]}',
        b"[" * 5000,
        b'{"format":1,"server":"alpha","about":[],"tools":[],"prompts":[],"resources":[],"resourceTemplates":[]}',
        b'{"format":1,"server":"alpha","about":{"of":"' + b"d" * 64 + b'","stateless":1},"tools":{},"prompts":[],'
        b'"resources":[],"resourceTemplates":[]}',
    ],
    ids=lambda text: str(text[:40]),
)
def test_a_file_that_is_not_ours_is_as_good_as_none(tmp_path: Path, text: bytes) -> None:
    cache(tmp_path).keep(SPEC, listing(), "auto")
    only_file(tmp_path).write_bytes(text)
    assert cache(tmp_path).recall(SPEC) is None


def test_a_file_broken_anywhere_never_raises(tmp_path: Path) -> None:
    cache(tmp_path).keep(SPEC, listing(), "auto")
    path = only_file(tmp_path)
    whole = path.read_bytes()
    for seed in range(300):
        dice = random.Random(seed)
        at = dice.randrange(len(whole))
        path.write_bytes(
            whole[:at] + bytes([dice.randrange(256)]) * dice.randrange(3) + whole[at + dice.randrange(3) :]
        )
        found = cache(tmp_path).recall(SPEC)
        assert found is None or isinstance(found[0], Listing), seed


@posix
def test_a_folder_that_cannot_be_written_is_complained_of_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    kept = cache(tmp_path / "file")
    kept.keep(SPEC, listing(), "auto")
    kept.keep(SPEC, listing(), "auto")
    assert kept.recall(SPEC) is None


@posix
def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    kept = cache(tmp_path)
    kept.keep(SPEC, listing(), "auto")
    path = only_file(tmp_path)
    path.unlink()
    path.symlink_to(elsewhere)
    kept.keep(SPEC, listing('{"name":"b"}'), "auto")
    assert elsewhere.read_text() == "mine" and not path.is_symlink()


def test_no_part_of_a_file_is_left_behind(tmp_path: Path) -> None:
    for number in range(5):
        cache(tmp_path).keep(SPEC, listing(json.dumps({"name": f"t{number}"})), "auto")
    assert json.loads(only_file(tmp_path).read_bytes())["tools"] == [{"name": "t4"}]
    assert len(os.listdir(tmp_path / "catalog")) == 1
