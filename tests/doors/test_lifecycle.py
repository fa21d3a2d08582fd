"""From the first line to the last process: nobody waits for ever, and nobody is left behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kit import Host, Late, Scene, alive, descendants, json_of, text_of, wait_gone

linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are looked up in /proc")
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")


def family(scene: Scene, *kinds: str) -> tuple[Host, list[int]]:
    """A gateway with a polite server, one that ignores everything, and grandchildren of the given kinds."""
    scene.server("polite", "echo", "spawn")
    scene.server("stubborn", "echo", at_eof="ignore", at_term="ignore")
    host = scene.start()
    host.handshake()
    assert json_of(host.call("stubborn__echo", {"n": 1})) == {"n": 1}
    pids = [int(text_of(host.call("polite__spawn", {"kind": kind}))) for kind in kinds]
    assert all(alive(pid) for pid in pids)
    return host, pids


# --- ends ------------------------------------------------------------------------------------------------------------


@linux
def test_no_orderly_end_leaves_anything_behind(scene: Scene) -> None:
    """Four gateways at the same time, as a stubborn server takes its seconds whatever the way."""
    families = {way: family(scene, "plain", "stubborn", "setsid") for way in ("EOF", "SIGTERM", "SIGINT", "SIGHUP")}
    everybody = {
        way: {**descendants(host.process.pid), **dict.fromkeys(pids)} for way, (host, pids) in families.items()
    }
    assert all(len(found) >= 5 for found in everybody.values()), everybody
    for way, (host, _) in families.items():
        if way != "EOF":
            host.signal(getattr(signal, way))
    assert families["EOF"][0].close() == 0
    for way, (host, _) in families.items():
        assert host.wait_exit() == 0, way
        scene.until(
            lambda way=way: not any(map(alive, everybody[way])), f"after {way} somebody of {everybody[way]} is left", 1
        )
    wait_gone(scene.marker, 1)


@linux
def test_a_kill_of_the_gateway_leaves_nothing_behind(scene: Scene) -> None:
    host, pids = family(scene, "plain", "stubborn", "setsid")
    everybody = [*descendants(host.process.pid), *pids]
    scene.lenient = True
    host.kill()
    wait_gone(scene.marker, 5)
    scene.until(lambda: not any(map(alive, everybody)), "somebody is left", 5)


@linux
def test_a_kill_of_the_whole_process_group_leaves_nothing_either(scene: Scene) -> None:
    host, pids = family(scene, "stubborn")
    everybody = [*descendants(host.process.pid), *pids]
    scene.lenient = True
    os.killpg(host.process.pid, signal.SIGKILL)
    wait_gone(scene.marker, 5)
    scene.until(lambda: not any(alive(pid) for pid in everybody), "somebody is left", 5)


@posix
def test_a_second_signal_ends_at_once(scene: Scene) -> None:
    host, _ = family(scene)
    host.signal(signal.SIGTERM)
    time.sleep(0.2)
    began = time.monotonic()
    host.signal(signal.SIGTERM)
    host.wait_exit(3, check=False)
    assert time.monotonic() - began < 3
    scene.lenient = True


@posix
@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_before_the_first_line_ends_quietly(scene: Scene, number: str) -> None:
    scene.server("alpha", "echo")
    host = scene.start()
    host.request("ping")
    host.signal(getattr(signal, number))
    assert host.wait_exit() == 0
    assert "Traceback" not in host.log


def test_open_and_queued_calls_are_answered_before_the_end(scene: Scene) -> None:
    scene.server("alpha", "echo", "sleep")
    host = scene.start()
    host.handshake()
    ids = [host.send("tools/call", {"name": "alpha__sleep", "arguments": {"secs": 0.4}}) for _ in range(5)]
    ids += [host.send("tools/call", {"name": "alpha__echo", "arguments": {"n": n}}) for n in range(50)]
    assert host.close() == 0
    assert all("result" in host.answers[int, id] for id in ids)


def test_a_call_that_would_never_end_is_given_up_at_the_end(scene: Scene) -> None:
    scene.server("alpha", "stall")
    host = scene.start(drain_secs=1)
    host.handshake()
    id = host.send("tools/call", {"name": "alpha__stall", "arguments": {}})
    host.settle()
    assert host.close(10) == 0
    answer = host.answers.get((int, id))
    assert answer is None or answer["error"]["code"] == -32603


def test_calls_sent_before_the_servers_are_up_are_answered_although_the_input_has_ended(scene: Scene) -> None:
    scene.server("alpha", "echo", start="slow", delay=0.5)
    host = scene.start()
    host.handshake()
    id = host.send("tools/call", {"name": "alpha__echo", "arguments": {"n": 1}})
    assert host.close() == 0
    assert json_of(host.answers[int, id]) == {"n": 1}


def test_an_end_without_a_beginning(scene: Scene) -> None:
    scene.server("alpha", "echo")
    host = scene.start()
    assert host.close() == 0
    assert not host.lines and scene.starts("alpha") == []


def test_an_open_listen_is_ended_by_a_result(scene: Scene) -> None:
    scene.server("alpha", "echo")
    host = scene.start()
    id = host.send("subscriptions/listen", {"notifications": {"toolsListChanged": True}, "_meta": Host.meta()}, id="L")
    host.notification("notifications/subscriptions/acknowledged")
    assert host.close() == 0
    result = host.answers[str, id]["result"]
    assert result["resultType"] == "complete" and result["_meta"]["io.modelcontextprotocol/subscriptionId"] == "L"


@linux
def test_a_deaf_server_does_not_hold_up_the_end(scene: Scene) -> None:
    scene.server("alpha", "deaf", "echo")
    host = scene.start(request_timeout_secs=1)
    host.handshake()
    host.call("alpha__deaf", {"answer": True})
    ids = [host.send("tools/call", {"name": "alpha__echo", "arguments": {"t": "x" * 200_000}}) for _ in range(3)]
    host.settle()
    assert host.close(12) == 0
    assert all(host.answers[int, id]["error"]["code"] == -32603 for id in ids)


@linux
def test_a_host_that_does_not_read_cannot_fill_our_memory_and_can_go_on(scene: Scene) -> None:
    scene.server("alpha", "big", "echo")
    host = scene.start(keep=False)
    host.handshake()
    host.call("alpha__echo")
    host.pause()
    before = host.memory_kib()
    ids = [host.send("tools/call", {"name": "alpha__big", "arguments": {"bytes": 1_000_000}}) for _ in range(100)]
    time.sleep(1.0)
    assert host.memory_kib() - before < 40_000, "100 MB of answers wait in the gateway"
    host.go_on()
    assert all("result" in host.answer(id, 30) for id in ids)


@linux
def test_a_deaf_host_that_leaves_lets_us_end(scene: Scene) -> None:
    scene.server("alpha", "big")
    host = scene.start(drain_secs=1)
    host.handshake()
    host.pause()
    for _ in range(20):
        host.send("tools/call", {"name": "alpha__big", "arguments": {"bytes": 500_000}})
    time.sleep(0.5)
    host.signal(signal.SIGTERM)
    scene.lenient = True
    try:
        host.process.wait(12)
    finally:
        host.go_on()


@linux
def test_a_host_that_closes_its_end_of_our_output_lets_us_end(scene: Scene) -> None:
    scene.server("alpha", "echo")
    host = scene.start()
    host.handshake()
    host.call("alpha__echo")
    scene.lenient = True
    read, write = os.pipe()
    os.close(write)
    os.dup2(read, host.process.stdout.fileno())  # type: ignore[union-attr]  # the last reader of the pipe is gone now
    os.close(read)
    try:
        for _ in range(50):
            host.send("tools/call", {"name": "alpha__echo", "arguments": {}})
            time.sleep(0.02)
    except (BrokenPipeError, Late):
        pass
    host.process.wait(10)
    assert "Traceback" not in host.log


@linux
def test_a_stderr_that_nobody_reads_does_not_stop_us(scene: Scene) -> None:
    scene.server("alpha", "flood", "echo")
    host = scene.start(log_level="debug")
    host.handshake()
    host.ignore_log()
    for _ in range(3):
        assert text_of(host.call("alpha__flood", {"what": "stderr", "count": 5000})) == "after the flood"
    assert json_of(host.call("alpha__echo", {"n": 1})) == {"n": 1}


# --- beginnings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["hang-start", "slow-start", "crash-start"])
def test_no_server_delays_initialize_or_another_server(scene: Scene, how: str) -> None:
    for number in range(4):
        scene.server(f"bad{number}", "echo", era=how, delay=20)
        scene.deaf.add(f"bad{number}")
    scene.server("good", "echo")
    host = scene.start(list_wait_secs=0.3, start_timeout_secs=20)
    began = time.monotonic()
    host.handshake()
    host.request("ping")
    assert json_of(host.call("good__echo", {"n": 1})) == {"n": 1}
    assert time.monotonic() - began < 10, "it waited for the others"
    listed = [t["name"] for t in host.request("tools/list")["result"]["tools"]]
    assert listed == ["good__echo"]
    assert "good__echo" in str(json_of(host.call("shack_list_tools"))["tools"])


def test_a_list_names_the_servers_it_could_not_wait_for(scene: Scene) -> None:
    go = scene.folder / "go"
    scene.server("slow", "echo", start="held", until=str(go))
    scene.server("good", "echo")
    host = scene.start(list_wait_secs=0.2)
    host.handshake()
    assert json_of(host.call("good__echo", {"n": 1})) == {"n": 1}  # a call waits, a list only so long
    assert [t["name"] for t in host.request("tools/list")["result"]["tools"]] == ["good__echo"]
    said = json_of(host.call("shack_list_tools"))
    assert said["count"] == 1 and "slow" in str(said["missing"])
    go.touch()
    host.notification("notifications/tools/list_changed")
    scene.until(lambda: json_of(host.call("shack_list_tools"))["count"] == 2, "the late server is not listed")


def test_a_lazy_server_starts_with_its_first_call(scene: Scene) -> None:
    scene.server("lazy", "echo", entry={"lazy": True})
    scene.server("eager", "echo")
    host = scene.start()
    host.handshake()
    assert json_of(host.call("eager__echo", {"n": 1})) == {"n": 1}
    assert scene.starts("lazy") == []
    assert json_of(host.call("lazy__echo", {"n": 1})) == {"n": 1}
    assert len(scene.starts("lazy")) == 1


def test_a_disabled_server_is_not_started(scene: Scene) -> None:
    scene.server("off", "echo", entry={"enabled": False})
    scene.server("on", "echo")
    host = scene.start()
    host.handshake()
    assert [t["name"] for t in host.request("tools/list")["result"]["tools"]] == ["on__echo"]
    assert scene.starts("off") == []


def test_servers_start_side_by_side(scene: Scene) -> None:
    go = scene.folder / "go"
    for number in range(5):
        scene.server(f"s{number}", "echo", start="held", until=str(go))
    host = scene.start(list_wait_secs=30)
    host.handshake()
    scene.until(lambda: all(scene.starts(f"s{number}") for number in range(5)), "one waits for another to be up")
    go.touch()
    assert len(host.request("tools/list")["result"]["tools"]) == 5


def test_the_world_of_a_server_is_what_the_configuration_says(scene: Scene) -> None:
    inside = scene.workspace / "inside"
    inside.mkdir()
    scene.server("plain", "where")
    scene.server("own", "where", entry={"cwd": "inside", "env": {"OWN": "${FROM_OUTSIDE}"}, "inherit_env": ["ONE_*"]})
    host = scene.start(env={"FROM_OUTSIDE": "filled", "ONE_MORE": "yes", "SECRET_OF_THE_HOST": "s3cret"})
    host.handshake()
    plain, own = json_of(host.call("plain__where")), json_of(host.call("own__where"))
    assert plain["cwd"] == str(scene.workspace.resolve()) and own["cwd"] == str(inside.resolve())
    assert "SECRET_OF_THE_HOST" not in plain["env"] and "SECRET_OF_THE_HOST" not in own["env"]
    assert own["env"]["OWN"] == "filled" and own["env"]["ONE_MORE"] == "yes" and "ONE_MORE" not in plain["env"]
    assert plain["env"]["PATH"] == os.environ["PATH"]


def test_a_server_without_its_variable_stays_down_and_says_why(scene: Scene) -> None:
    scene.server("bad", "echo", entry={"env": {"TOKEN": "${NOT_SET_ANYWHERE}"}})
    scene.server("good", "echo")
    host = scene.start()
    host.handshake()
    assert [t["name"] for t in host.request("tools/list")["result"]["tools"]] == ["good__echo"]
    rows = {row["server"]: row for row in json_of(host.call("shack_list_servers"))["servers"]}
    assert "NOT_SET_ANYWHERE" in rows["bad"]["last_error"] and scene.starts("bad") == []
    assert "NOT_SET_ANYWHERE" in host.log


def test_no_value_of_the_environment_is_shown(scene: Scene) -> None:
    scene.server("alpha", "echo", entry={"env": {"API_TOKEN": "tok-12345-secret"}})
    scene.server("broken", "echo", era="crash-start", entry={"env": {"API_TOKEN": "tok-12345-secret"}})
    host = scene.start(log_level="debug")
    host.handshake()
    host.call("alpha__echo")
    said = str(json_of(host.call("shack_list_servers")))
    assert host.close() == 0
    assert "tok-12345-secret" not in said + host.log


@linux
def test_no_server_hears_what_the_host_says_to_us(scene: Scene) -> None:
    """Neither our standard input nor our output is open in a child."""
    scene.server("alpha", "echo", "where")
    host = scene.start()
    host.handshake()
    pid = json_of(host.call("alpha__where"))["pid"]
    ours = {os.readlink(f"/proc/{host.process.pid}/fd/{fd}") for fd in (0, 1)} - {"/dev/null"}
    pipes = ours | {os.readlink(f"/proc/self/fd/{s.fileno()}") for s in (host.process.stdin, host.process.stdout) if s}
    for child in [pid, *descendants(host.process.pid)]:
        if alive(child):
            held = {os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd")}
            assert not held & pipes, f"{child} holds {held & pipes}"


def test_the_cached_catalog_answers_before_any_server_runs(scene: Scene) -> None:
    scene.server("alpha", "echo", "sleep")
    first = scene.start()
    first.handshake()
    listed = first.request("tools/list")["result"]
    assert first.close() == 0
    scene.server("alpha", "echo", "sleep", start="slow", delay=2)
    second = scene.start(list_wait_secs=1)
    second.handshake()
    assert second.request("tools/list")["result"] == listed


@linux
def test_a_restarted_server_is_told_again_what_the_host_wanted(scene: Scene) -> None:
    scene.server("alpha", "crash", "level", resources=[{"uri": "note://a", "name": "a", "text": "A"}])
    host = scene.start()
    host.handshake()
    host.request("logging/setLevel", {"level": "warning"})
    host.request("resources/subscribe", {"uri": "note://a"})
    host.call("alpha__crash")

    def told() -> Any:
        answer = host.call("alpha__level")
        return "result" in answer and json_of(answer)["watched"] == ["note://a"] and json_of(answer)

    said = scene.until(told, "the new run was not told")
    assert said["level"] == "warning" and len(scene.starts("alpha")) == 2
