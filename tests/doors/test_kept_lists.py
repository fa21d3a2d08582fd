"""A second start answers with what the first one saw, before any server is up."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from kit.host import Host, json_of
from kit.scene import Scene


def change(scene: Scene, name: str, **script: object) -> None:
    """Change how a stub behaves without changing how it is configured."""
    path = scene.folder / f"{name}.stub.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **script}))


def first_run(scene: Scene) -> None:
    scene.server("alpha", "echo", "sleep")
    host = scene.start()
    host.handshake()
    assert [tool["name"] for tool in host.request("tools/list")["result"]["tools"]] == ["alpha__echo", "alpha__sleep"]
    assert host.close() == 0


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A gateway that keeps the list of a server that never comes up again. It takes seconds to give it up, which pass
    during the other tests."""
    scene = Scene(tmp_path_factory.mktemp("doomed"))
    first_run(scene)
    (scene.folder / "alpha.stub.json").write_text("no script at all")
    host = scene.start()
    host.handshake()
    assert len(host.request("tools/list")["result"]["tools"]) == 2
    yield host
    scene.close()


@pytest.mark.usefixtures("doomed")
def test_lists_are_answered_while_the_server_hangs_at_its_start(scene: Scene) -> None:
    first_run(scene)
    change(scene, "alpha", start="hang")
    host = scene.start(list_wait_secs=30)
    host.handshake()
    assert [tool["name"] for tool in host.request("tools/list", timeout=5)["result"]["tools"]] == [
        "alpha__echo",
        "alpha__sleep",
    ]


def test_what_has_changed_meanwhile_is_announced(scene: Scene) -> None:
    first_run(scene)
    change(scene, "alpha", start="slow", delay=0.5, tools=["echo", "error"])
    host = scene.start()
    host.handshake()
    assert len(host.request("tools/list")["result"]["tools"]) == 2
    host.notification("notifications/tools/list_changed")
    assert [tool["name"] for tool in host.request("tools/list")["result"]["tools"]] == ["alpha__echo", "alpha__error"]


def test_a_call_waits_for_the_server_behind_a_kept_list(scene: Scene) -> None:
    first_run(scene)
    change(scene, "alpha", start="slow", delay=0.5)
    host = scene.start()
    host.handshake()
    assert json_of(host.call("alpha__echo", {"n": 1})) == {"n": 1}


def test_a_lazy_server_is_listed_without_being_started(scene: Scene) -> None:
    scene.server("alpha", "echo", entry={"lazy": True})
    host = scene.start()
    host.handshake()
    assert len(host.request("tools/list")["result"]["tools"]) == 1
    assert host.close() == 0
    starts = len(scene.starts("alpha"))
    host = scene.start()
    host.handshake()
    assert len(host.request("tools/list")["result"]["tools"]) == 1
    assert len(scene.starts("alpha")) == starts
    assert json_of(host.call("alpha__echo", {"n": 1})) == {"n": 1}
    assert len(scene.starts("alpha")) == starts + 1


def test_with_the_cache_switched_off_nothing_is_kept(scene: Scene) -> None:
    scene.server("alpha", "echo")
    host = scene.start(catalog_cache=False, journal=False)
    host.handshake()
    host.request("tools/list")
    assert host.close() == 0
    assert not (scene.folder / "state").exists()


def test_a_server_that_is_given_up_loses_its_kept_list(doomed: Host) -> None:
    def gone() -> bool:
        return doomed.request("tools/list")["result"]["tools"] == []

    end = time.monotonic() + 40
    while not gone():
        assert time.monotonic() < end, "the list of a server that never comes up is still shown"
        time.sleep(0.05)
