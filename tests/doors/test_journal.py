"""The real gateway writes down what happens, and nothing that becomes of the journal becomes of a call."""
from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit import Scene, text_of
from kit.answering import ERAS, Answering, form, rounds
from kit.journal import files, rows
from shack_gateway.store.journal_reading import ENDED, TORN, verify

linux = pytest.mark.skipif(sys.platform != "linux", reason="`prlimit` is of Linux")
SECRET = "hunter2hunter2"


def state(scene: Scene) -> Path:
    return scene.folder / "state"


def written(scene: Scene, event: str, count: int = 1, **wanted: Any) -> list[dict[str, Any]]:
    """The rows of an event, once there are so many with these members."""

    def found() -> list[dict[str, Any]]:
        told = rows(state(scene), event) if (state(scene) / "journal").exists() else []
        told = [row for row in told if all(row.get(key) == value for key, value in wanted.items())]
        return told if len(told) >= count else []

    return scene.until(found, f"{count} rows `{event}` {wanted}")  # type: ignore[no-any-return]


def faults(scene: Scene) -> list[Any]:
    return [fault for verdict in verify(str(state(scene) / "journal")) for fault in verdict.faults]


def rejected(answer: dict[str, Any]) -> bool:
    return "error" in answer or answer["result"].get("isError") is True


@pytest.mark.parametrize("era", ERAS)
def test_every_way_a_call_may_go_has_its_row(scene: Scene, era: str) -> None:
    scene.server("a", "echo", "crash", "error", "tool_error", resources=[{"uri": "note://y", "name": "y", "text": "z"}])
    user = Answering(scene.start(permissions={"deny": ["a__echo(no:*)"]}), era)
    assert json.loads(text_of(user.call("a__echo", {"text": "hi", "password": SECRET})))["password"] == SECRET
    assert rejected(user.call("a__echo", {"command": "no way"}))
    assert rejected(user.call("a__nope"))
    assert rejected(user.call("a__error"))
    user.call("a__tool_error")
    user.call("shack_list_tools", {"query": "echo"})
    user.call("shack_call_tool", {"name": "a__echo", "arguments": {"text": "inner"}})
    user.request("resources/read", {"uri": "note://y"})
    user.request("completion/complete", {"ref": {"type": "ref/prompt", "name": "none"}, "argument": {}})
    assert rejected(user.call("a__crash"))
    user.host.close()
    told = [(row.get("server"), row["tool"], row["outcome"], row.get("stage") or row.get("reason"))
            for row in rows(state(scene), "call")]
    assert told == [
        ("a", "a__echo", "ok", None),
        ("a", "a__echo", "refused", "permissions"),
        (None, "a__nope", "failed", "unknown tool"),
        ("a", "a__error", "failed", "server error"),
        ("a", "a__tool_error", "tool error", None),
        (None, "shack_list_tools", "ok", None),
        ("a", "a__echo", "ok", None),
        ("a", "a__resources/read", "ok", None),
        (None, "completion/complete", "failed", "unknown prompt"),
        ("a", "a__crash", "failed", "closed"),
    ]
    first, refused = rows(state(scene), "call")[:2]
    assert first["kind"] == "tool" and '"text":"hi"' in first["arguments"] and "hi" in first["result"]
    assert refused["rule"] == "a__echo(no:*)" and "result" not in refused
    assert SECRET not in "".join(path.read_text() for path in files(state(scene)))
    assert faults(scene) == []


def test_a_run_is_told_from_its_configuration_to_its_end(scene: Scene) -> None:
    scene.server("a", "echo", "crash")
    host = scene.start(expose_mode="progressive", permissions={"deny": ["a__echo(no:*)"]},
                       env={"CLAUDE_CODE_SESSION_ID": "the host's name"})
    host.handshake()
    host.request("tools/list")
    host.call("a__crash")
    written(scene, "server", what="crashed")
    host.call("shack_list_tools")
    host.close()
    told = rows(state(scene))
    assert {row["session"] for row in told} == {"the host's name"}
    assert [row["event"] for row in told[:3]] == ["open", "start", "config"] and told[-1]["event"] == "end"
    config = told[2]
    assert config["path"] == str(scene.folder / "shack-config.json") and config["servers"] == config["rules"] == 1
    assert len(config["sha256"]) == 64
    assert [row["what"] for row in told if row["event"] == "server"][:4] == ["started", "ready", "crashed", "started"]
    ready, crashed = rows(state(scene), "server")[1:3]
    assert (ready["era"], ready["tools"]) == ("handshake", 2) and "exit code" in crashed["why"]
    lists = rows(state(scene), "list")
    assert lists[0]["mode"] == "progressive" and lists[0]["shown_bytes"] > 500
    assert lists[-1]["tools"] == 2 and lists[-1]["full_bytes"] > 100
    assert verify(str(state(scene) / "journal"))[0].end == ENDED


def test_a_cancelled_call_has_its_row(scene: Scene) -> None:
    scene.server("a", "sleep")
    host = scene.start()
    host.handshake()
    id = host.send("tools/call", {"name": "a__sleep", "arguments": {"secs": 60}})
    scene.until(lambda: scene.received("a", "tools/call"), "the call did not reach the server")
    host.notify("notifications/cancelled", {"requestId": id})
    host.settle()
    (row,) = written(scene, "call")
    assert (row["tool"], row["outcome"]) == ("a__sleep", "cancelled") and "result" not in row


def test_a_call_that_is_cancelled_before_its_server_is_up_has_its_row(scene: Scene) -> None:
    scene.server("a", "echo", era="hang-start")
    host = scene.start()
    host.handshake()
    id = host.send("tools/call", {"name": "a__echo", "arguments": {}})
    written(scene, "server", what="started")
    host.notify("notifications/cancelled", {"requestId": id})
    (row,) = written(scene, "call")
    assert (row["tool"], row["outcome"]) == ("a__echo", "cancelled")


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("asker", ["handshake", "stateless", "a rule"])
def test_questions_are_told_without_what_the_user_wrote(scene: Scene, era: str, asker: str) -> None:
    scene.server("a", "echo", "interview", era="handshake" if asker == "a rule" else asker)
    secret = {"action": "accept", "content": {"name": "what the user wrote", "answer": "once"}}
    settings = {"permissions": {"ask": ["a__echo"]}} if asker == "a rule" else {}
    user = Answering(scene.start(**settings), era, reply=lambda method, params: secret)
    user.call("a__echo" if asker == "a rule" else "a__interview", rounds([form("Who are you?")]))
    user.host.close()
    (question,), (answer,) = rows(state(scene), "question"), rows(state(scene), "answer")
    assert question["of"] == answer["of"] == ("permissions" if asker == "a rule" else "a")
    assert question["text"].startswith("Allow this call" if asker == "a rule" else "Who are you?")
    assert answer["how"] == "accept"
    asked, last = rows(state(scene), "call")[0], rows(state(scene), "call")[-1]
    if (era, asker) != ("handshake", "handshake"):  # there the call goes on while the host is asked
        assert (asked["outcome"], asked["call"]) == ("asked", question["call"])
    assert (last["outcome"], last["call"]) == ("ok", answer["call"]), "a stateless host makes another call of it"
    assert "what the user wrote" not in json.dumps([question, answer])


def test_a_trace_of_the_host_is_told(scene: Scene) -> None:
    scene.server("a", "echo")
    host = scene.start()
    host.handshake()
    trace = "0af7651916cd43dd8448eb211c80319c"
    host.call("a__echo", {}, _meta={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert written(scene, "call")[0]["trace"] == trace


def test_a_host_that_only_asks_who_we_are_leaves_no_file(scene: Scene) -> None:
    scene.server("a", "echo")
    host = scene.start()
    host.ask("server/discover")
    host.close()
    assert not (state(scene) / "journal").exists()


def test_without_a_journal_nothing_is_written(scene: Scene) -> None:
    scene.server("a", "echo")
    host = scene.start(journal=False)
    host.handshake()
    assert text_of(host.call("a__echo"))
    host.close()
    assert not (state(scene) / "journal").exists() and "journal" not in host.log


def test_the_log_is_read_while_the_gateway_runs(scene: Scene) -> None:
    scene.server("a", "echo")
    host = scene.start()
    host.handshake()
    for number in range(30):
        host.call("a__echo", {"number": number})
    written(scene, "call", 30)
    done = scene.run("log", "-n", "3", "--tool", "a__*")
    assert done.returncode == 0 and [line.split()[-1] for line in done.stdout.decode().splitlines()] == [
        f'{{"number":{number}}}' for number in (27, 28, 29)]
    done = scene.run("log", "verify")
    assert done.returncode == 0 and b"nothing was changed" in done.stdout, done
    stats = json.loads(scene.run("log", "stats", "--json").stdout)
    assert stats["tools"][0]["tool"] == "a__echo" and stats["tools"][0]["ok"] == 30


def test_two_gateways_write_a_file_each(scene: Scene) -> None:
    scene.server("a", "echo")
    hosts = [scene.start(), scene.start()]
    for host in hosts:
        host.handshake()
    for _ in range(20):
        for host in hosts:
            host.call("a__echo")
    for host in hosts:
        host.close()
    assert len(files(state(scene))) == 2 and len(rows(state(scene), "call")) == 40 and faults(scene) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["KILL", "TERM"])
def test_a_gateway_that_is_ended_under_load_leaves_a_sound_file(scene: Scene, number: int) -> None:
    scene.lenient = number == signal.SIGKILL
    scene.server("a", "echo", log=False)
    host = scene.start(keep=False)
    host.handshake()
    for _ in range(300):
        host.send("tools/call", {"name": "a__echo", "arguments": {"text": "x" * 300}})
    written(scene, "call", 100)
    host.signal(number)
    host.process.wait(15)
    (verdict,) = verify(str(state(scene) / "journal"))
    assert not verdict.faults and (verdict.end == ENDED) == (number == signal.SIGTERM)
    after = scene.start()
    after.handshake()
    after.call("a__echo")
    after.close()
    assert faults(scene) == [] and scene.run("log", "verify").returncode == 0
    assert verdict.end != TORN or verdict.rows > 0


@pytest.mark.parametrize("answered", [2, 7, 50])
def test_a_kill_behind_an_answer_costs_no_row_but_that_of_the_last_call(scene: Scene, answered: int) -> None:
    scene.lenient = True
    scene.server("a", "echo", log=False)
    host = scene.start(keep=False)
    host.handshake()
    for _ in range(answered):
        host.call("a__echo")
    host.signal(signal.SIGKILL)
    host.process.wait(15)
    (verdict,) = verify(str(state(scene) / "journal"))
    assert not verdict.faults and len(rows(state(scene), "call")) >= answered - 1


def block(folder: Path) -> None:
    folder.mkdir()
    (folder / "journal").write_text("a file, where a folder should be")


def turn_away(folder: Path) -> None:
    folder.mkdir()
    (folder / "journal").symlink_to(folder)


@pytest.mark.parametrize("spoil", [block, turn_away], ids=["a file in its place", "a link in its place"])
def test_a_journal_that_cannot_be_kept_is_said_once_and_calls_go_on(
    scene: Scene, spoil: Callable[[Path], None]
) -> None:
    spoil(state(scene))
    scene.server("a", "echo")
    host = scene.start()
    host.handshake()
    for _ in range(20):
        assert text_of(host.call("a__echo"))
    host.close()
    assert host.log.count("calls go on without it") == 1


@linux
def test_a_full_disk_is_said_once_and_calls_go_on(scene: Scene) -> None:
    import resource

    scene.server("a", "echo")
    host = scene.start()
    host.handshake()
    host.call("a__echo")
    written(scene, "call")
    most = resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, (3000, most))
    for number in range(60):
        assert text_of(host.call("a__echo", {"number": number}))
    resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, (most, most))
    host.close()
    assert host.log.count("calls go on without it") == 1
    told, dropped = len(rows(state(scene), "call")), rows(state(scene), "dropped")
    assert 3 < told < 20 and told + sum(row["rows"] for row in dropped) >= 61 and faults(scene) == []


def test_a_journal_that_is_removed_under_us_costs_rows_only(scene: Scene) -> None:
    scene.server("a", "echo")
    host = scene.start()
    host.handshake()
    host.call("a__echo")
    written(scene, "call")
    for path in files(state(scene)):
        path.unlink()
    (state(scene) / "journal").rmdir()

    def again() -> bool:
        assert text_of(host.call("a__echo"))
        return (state(scene) / "journal").exists()

    scene.until(again, "another file was begun")
    host.close()
    assert rows(state(scene), "lost") and host.log.count("was removed") == 1
