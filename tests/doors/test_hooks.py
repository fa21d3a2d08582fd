"""Hooks of the real program: broken ones block and leave nothing behind; hooks that answer in the user's place."""

from __future__ import annotations

import json
import re
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from kit import Kept, Scene, json_of, processes_left, text_of
from kit.answering import ELICIT, ERAS, Answering, form, rounds, sampling

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the hooks of these tests are written for sh")
PAIRS = [pytest.param(host, server, id=f"{host}-host-{server}-server") for host in ERAS for server in ERAS]
pairs = pytest.mark.parametrize("host, server", PAIRS)
hosts = pytest.mark.parametrize("host", ERAS)


def hook(command: str, event: str = "PreToolUse", **more: Any) -> dict[str, Any]:
    return {event: [{"hooks": [{"type": "command", "command": command, **more}]}]}


def user(scene: Scene, host: str, hooks: dict[str, Any], server: str = "handshake", **more: Any) -> Answering:
    scene.server("a", "echo", "interview", "error", "tool_error", era=server, entry=more.pop("entry", None))
    settings = {"request_timeout_secs": 20, **more.pop("settings", {})}
    return Answering(scene.start(hooks=hooks, **settings), host, **more)


def refusal(answer: dict[str, Any], host: str) -> str:
    if host == "stateless":
        assert answer["result"]["isError"] is True, answer
        assert answer["result"]["_meta"]["dev.shack/refusal"]["stage"] == "hooks"
        return text_of(answer)
    assert answer["error"]["code"] == -32003, answer
    return str(answer["error"]["message"])


def calls(scene: Scene) -> list[dict[str, Any]]:
    return [m["params"]["arguments"] for m in scene.received("a", "tools/call")]


# --- hooks that break ------------------------------------------------------------------------------------------------

PLACE = "hooks.PreToolUse[0].hooks[0]"
BROKEN = [
    ("sleep 600", "it timed out after 0.4 s"), ("trap '' TERM; sleep 600 & wait", "it timed out after 0.4 s"),
    ("cat /dev/zero", "it wrote more than 65536 bytes to its standard output"),
    (r"printf '\001\002'", "its output holds control characters"), (r"printf '\377'", "its output is not UTF-8"),
    ("exec 0<&-; exit 7", "it exited with code 7"), ("kill -9 $$", "it was ended by signal 9"),
    ("echo '{\"decision\":'", "its output is no JSON"), ("./no-such-script", "it exited with code 127"),
]


IDS = ["hangs", "hangs and ignores TERM", "floods", "control characters", "no UTF-8", "closes its input", "signal",
       "half JSON", "not there"]


def broken(scene: Scene, type: str) -> Answering:
    """For each broken hook a tool of its own."""
    scene.server("a", *({"name": f"echo{row}", "does": "echo"} for row in range(len(BROKEN))), "interview")
    entries = []
    for row, (command, reason) in enumerate(BROKEN):
        one = {"type": type, "command": command, "timeout": 0.4 if "timed" in reason else 10}
        entries.append({"matcher": f"a__echo{row}", "hooks": [one]})
    return Answering(scene.start(hooks={"PreToolUse": entries}, request_timeout_secs=20), "handshake")


@pytest.mark.parametrize("type", ["command", "stdio"])
@pytest.mark.parametrize("row", range(len(BROKEN)), ids=IDS)
def test_a_hook_that_breaks_blocks_its_call_and_nothing_else(kept: Kept, type: str, row: int) -> None:
    scene, gone = kept(lambda scene: broken(scene, type), "broken", type)
    said = refusal(gone.call(f"a__echo{row}", {"text": "x"}), "handshake")
    assert said.startswith(f"blocked by hook `hooks.PreToolUse[{row}].hooks[0]`: ")
    if type == "command":
        assert BROKEN[row][1] in said
    assert calls(scene) == []
    scene.until(lambda: not [line for line in processes_left(scene.marker) if "sleep" in line or "zero" in line],
                "the hook to be gone")
    assert json_of(gone.call("a__interview", rounds())) == []


def script(scene: Scene, name: str, text: str) -> Path:
    path = scene.workspace / name
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_hook_that_is_deleted_meanwhile_blocks(scene: Scene) -> None:
    path = script(scene, "h.sh", "#!/bin/sh\nexit 0\n")
    host = user(scene, "handshake", hook("./h.sh"))
    assert text_of(host.call("a__echo", {"text": "x"}))
    path.unlink()
    assert "it exited with code 127" in refusal(host.call("a__echo", {"text": "x"}), "handshake")
    script(scene, "h.sh", "#!/bin/sh\nexit 0\n")
    assert text_of(host.call("a__echo", {"text": "x"})) and len(calls(scene)) == 2


def test_a_host_that_cancels_its_call_kills_the_hook(scene: Scene) -> None:
    host = user(scene, "handshake", hook("sleep 600 & sleep 601"), settings={"request_timeout_secs": 500})
    id = host.host.send("tools/call", {"name": "a__echo", "arguments": {}})
    scene.until(lambda: any("601" in line for line in processes_left(scene.marker)), "the hook")
    host.host.notify("notifications/cancelled", {"requestId": id})
    scene.until(lambda: not any("60" in line and "sleep" in line for line in processes_left(scene.marker)), "its end")


def test_when_the_gateway_ends_no_hook_is_left(scene: Scene) -> None:
    """Not the one that hangs, not the one that stays, not the one in the background."""
    hooks = {"PreToolUse": [{"hooks": [
        {"command": "sleep 600", "async": True}, {"type": "stdio", "command": "while read -r line; do echo; done"},
        {"command": "sleep 601"}]}]}
    host = user(scene, "handshake", hooks, settings={"drain_secs": 0, "hook_timeout_secs": 500})
    host.host.send("tools/call", {"name": "a__echo", "arguments": {}})
    scene.until(lambda: any("601" in line for line in processes_left(scene.marker)), "the hooks")
    host.host.close(check=False)  # the open call has no answer; the scene looks for processes that are left


@pytest.mark.parametrize("type", ["command", "stdio", "docker"])
@pytest.mark.parametrize("end", ["TERM", "end of input"])
def test_when_the_gateway_ends_no_call_goes_on_because_its_hook_was_ended(scene: Scene, type: str, end: str) -> None:
    host = user(scene, "handshake", hook("sleep 601", type=type, onFailure="continue"),
                settings={"drain_secs": 0, "hook_timeout_secs": 500})
    host.host.send("tools/call", {"name": "a__echo", "arguments": {}})
    scene.until(lambda: any("601" in line for line in processes_left(scene.marker)), "the hook")
    if end == "TERM":
        host.host.signal(signal.SIGTERM)
        host.host.wait_exit(check=False)
    else:
        host.host.close(check=False)
    assert calls(scene) == []


# --- hooks that work -------------------------------------------------------------------------------------------------


@hosts
def test_hooks_change_what_is_sent_and_what_comes_back(scene: Scene, host: str) -> None:
    script(scene, "pre.py", """
import json, sys
event = json.load(sys.stdin)
changed = {**event["tool_input"], "text": event["tool_name"]}
print(json.dumps({"hookSpecificOutput": {"hookEventName": "PreToolUse", "updatedInput": changed,
                                          "additionalContext": "mind the gap"}}))
""")
    script(scene, "post.py", """
import json, sys
for line in sys.stdin:
    text = json.loads(line)["tool_response"]["content"][0]["text"]
    said = {"hookEventName": "PostToolUse", "updatedToolOutput": text.replace("mcp__", "***")}
    print(json.dumps({"hookSpecificOutput": said}), flush=True)
""")
    hooks = {
        "PreToolUse": [{"matcher": "mcp__a__.*", "hooks": [
            {"type": "command", "command": f'{sys.executable} "$CLAUDE_PROJECT_DIR"/pre.py'}]}],
        "PostToolUse": [{"matcher": "a__echo", "hooks": [
            {"type": "stdio", "command": sys.executable, "args": ["${CLAUDE_PROJECT_DIR}/post.py"]}]}],
    }
    asked = user(scene, host, hooks)
    for _ in range(2):
        blocks = asked.call("a__echo", {"text": "x", "more": 1})["result"]["content"]
        assert "***a__echo" in blocks[0]["text"] and "mcp__" not in blocks[0]["text"]
        assert blocks[1:] == [{"type": "text", "text": "mind the gap"}]
    assert calls(scene) == [{"text": "mcp__a__echo", "more": 1}] * 2


COPY = """
import json, sys
result = json.load(sys.stdin)["tool_response"]
result["content"].append({"type": "text", "text": ",".join(sorted(result))})
print(json.dumps({"hookSpecificOutput": {"hookEventName": "PostToolUse", "updatedToolOutput": result}}))
"""


@pairs
def test_a_copy_of_the_result_given_back_is_a_result_of_the_hosts_era(scene: Scene, host: str, server: str) -> None:
    script(scene, "copy.py", COPY)
    asked = user(scene, host, hook(f"{sys.executable} copy.py", event="PostToolUse"), server)
    result = asked.call("a__echo", {"text": "x"})["result"]
    assert "resultType" in result["content"][-1]["text"] or server == "handshake", "the hook sees what the server wrote"
    assert ("resultType" in result) is (host == "stateless")
    if host == "stateless":
        assert result["resultType"] == "complete"
        assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "shack-gateway"


@hosts
def test_an_interceptor_answers_in_the_servers_place(scene: Scene, host: str) -> None:
    said = {"content": [{"type": "text", "text": "from the cache"}]}
    asked = user(scene, host, hook(f"grep -q a__echo && echo '{json.dumps(said)}'", type="docker"))
    assert text_of(asked.call("a__echo", {"text": "x"})) == "from the cache" and calls(scene) == []


@hosts
@pytest.mark.parametrize("how", ["direct", "shack_call_tool"])
def test_a_block_holds_whichever_way_the_call_comes(kept: Kept, host: str, how: str) -> None:
    hooks = {"PreToolUse": [{"matcher": "mcp__a__echo", "hooks": [{"command": "echo no >&2; exit 2"}]}]}
    settings = {"expose_mode": "progressive"}
    scene, asked = kept(lambda scene: user(scene, host, hooks, settings=settings), "blocks", host)
    inner = {"name": "a__echo", "arguments": {"text": "x"}}
    answer = asked.call("a__echo", {"text": "x"}) if how == "direct" else asked.call("shack_call_tool", inner)
    assert refusal(answer, host) == f"blocked by hook `{PLACE}`: no" and calls(scene) == []


def test_no_call_gets_past_a_process_that_was_killed_for_another(scene: Scene) -> None:
    script(scene, "judge.sh", """while read -r line; do
      case "$line" in *hang*) sleep 600;; *bad*) echo '{"decision": "block"}';; *) echo '{}';; esac
    done""")
    hooks = hook("sh judge.sh", type="stdio", onFailure="continue", timeout=0.5)
    gone = user(scene, "handshake", hooks)
    texts = ["hang", *["bad", "good"] * 5, "hang", "bad"]
    ids = [gone.host.send("tools/call", {"name": "a__echo", "arguments": {"text": text}}) for text in texts]
    answers = [gone.host.answer(id) for id in ids]
    assert [("error" in answer) for answer in answers] == [text == "bad" for text in texts]
    assert sorted(each["text"] for each in calls(scene)) == sorted(text for text in texts if text != "bad")


@hosts
def test_what_a_hook_rewrites_cannot_leave_the_workspace(scene: Scene, host: str) -> None:
    said = {"hookEventName": "PreToolUse", "permissionDecision": "allow", "updatedInput": {"path": "/etc/passwd"}}
    asked = user(scene, host, hook(f"echo '{json.dumps({'hookSpecificOutput': said})}'"))
    answer = asked.call("a__echo", {"path": "a.txt"})
    assert "sandbox violation" in (text_of(answer) if host == "stateless" else answer["error"]["message"])
    assert calls(scene) == []


@hosts
def test_a_hook_that_asks_has_the_user_asked_and_the_call_goes_on(scene: Scene, host: str) -> None:
    said = {"hookEventName": "PreToolUse", "permissionDecision": "ask", "permissionDecisionReason": "sure?"}
    asked = user(scene, host, hook(f"echo '{json.dumps({'hookSpecificOutput': said})}'"),
                 reply=lambda method, params: {"action": "accept", "content": {"answer": "once"}})
    assert text_of(asked.call("a__echo", {"text": "x"}))
    [(method, params)] = asked.asked
    assert method == ELICIT and "reason: sure?" in params["message"] and f"rule: {PLACE}" in params["message"]
    assert len(calls(scene)) == 1


@hosts
def test_a_failure_is_shown_to_its_hook_which_adds_to_it(scene: Scene, host: str) -> None:
    log = scene.folder / "failures"
    hooks = hook(f"cat >> {log}; echo 'ask the owner' >&2; exit 2", event="PostToolUseFailure")
    asked = user(scene, host, hooks)
    assert "result" in asked.call("a__echo", {"text": "x"}) and not log.exists()
    content = asked.call("a__tool_error", {"text": "out of order"})["result"]["content"]
    assert [block["text"] for block in content] == ["out of order", "ask the owner"]
    assert asked.call("a__error", {"text": "gone"})["error"]["message"].endswith("\nask the owner")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [event["tool_name"] for event in events] == ["mcp__a__tool_error", "mcp__a__error"]
    assert events[0]["error"] == "out of order" and events[1]["error"]


# --- hooks that answer in the user's place ---------------------------------------------------------------------------

NAME = {"name": "Hooked"}


def answering(scene: Scene, output: Any, exit_code: int = 0, **more: Any) -> dict[str, Any]:
    """A hook of questions that writes down what it reads."""
    return hook(f"cat >> {scene.folder}/asked; echo '{spoken(output)}'; exit {exit_code}", event="Elicitation", **more)


def spoken(output: Any) -> str:
    """What such a hook writes to its standard output."""
    said = {"hookSpecificOutput": {"hookEventName": "Elicitation", **output}} if isinstance(output, dict) else output
    return json.dumps(said) if isinstance(said, dict) else ""


@pairs
@pytest.mark.parametrize("output, code, answer", [
    ({"action": "accept", "content": NAME}, 0, {"action": "accept", "content": NAME}),
    ({"action": "decline"}, 0, {"action": "decline"}), ({"action": "cancel"}, 0, {"action": "cancel"}),
    (None, 2, {"action": "decline"}), (None, 1, {"action": "decline"}),
], ids=["accept", "decline", "cancel", "exit 2", "exit 1"])
def test_a_hook_answers_and_the_user_is_not_asked(
    kept: Kept, host: str, server: str, output: Any, code: int, answer: dict[str, Any]
) -> None:
    def start(scene: Scene) -> Answering:  # its hook says what the test wrote down for it
        command = f"cat >> {scene.folder}/asked; cat {scene.folder}/said; exit $(cat {scene.folder}/code)"
        return user(scene, host, hook(command, event="Elicitation"), server)

    scene, asked = kept(start, "answers", host, server)
    before, asked = len(asked.host.log), asked.again()
    (scene.folder / "asked").unlink(missing_ok=True)
    (scene.folder / "said").write_text(spoken(output))
    (scene.folder / "code").write_text(str(code))
    assert json_of(asked.call("a__interview", rounds([form("Who?")]))) == [[answer]]
    assert asked.asked == []
    event = json.loads((scene.folder / "asked").read_text())
    assert (event["hook_event_name"], event["mcp_server_name"], event["message"]) == ("Elicitation", "a", "Who?")
    assert event["requested_schema"]["properties"] == {"name": {"type": "string"}}
    told = r"hook `hooks.Elicitation\[0\].hooks\[0\]` answers a question of server `a`"
    scene.until(lambda: re.search(told, asked.host.log[before:]), "the log does not say that a hook answered")


@pairs
def test_what_no_hook_answers_the_user_does(scene: Scene, host: str, server: str) -> None:
    hooks = answering(scene, None)
    hooks["Elicitation"] += [{"matcher": "b", "hooks": [{"command": "exit 2"}]}]
    asked = user(scene, host, hooks, server)
    said = json_of(asked.call("a__interview", rounds([form("Who?"), sampling("two")])))
    assert said[0][0] == {"action": "accept", "content": {"name": "to Who?"}} and len(asked.asked) == 2


@pairs
def test_a_hook_answers_its_questions_and_the_host_the_others(scene: Scene, host: str, server: str) -> None:
    asked = user(scene, host, answering(scene, {"action": "accept", "content": NAME}), server)
    said = json_of(asked.call("a__interview", rounds([form("1"), sampling("two")], [form("3")])))
    assert [each.get("content") for each in said[0]] == [NAME, {"type": "text", "text": "re two"}]
    assert said[1][0]["content"] == NAME and [method for method, _ in asked.asked] == ["sampling/createMessage"]


@pairs
def test_a_question_of_a_cancelled_call_kills_its_hook(scene: Scene, host: str, server: str) -> None:
    asked = user(scene, host, hook("sleep 601", event="Elicitation"), server, settings={"hook_timeout_secs": 500})
    params: dict[str, Any] = {"name": "a__interview", "arguments": rounds([form()])}
    if host == "stateless":
        params["_meta"] = asked.host.meta(asked.capabilities)
    id = asked.host.send("tools/call", params)
    scene.until(lambda: any("601" in line for line in processes_left(scene.marker)), "the hook")
    asked.host.notify("notifications/cancelled", {"requestId": id})
    scene.until(lambda: not any("601" in line for line in processes_left(scene.marker)), "its end")
    assert asked.asked == []


@pytest.mark.parametrize("quits", ["cancel", "answer"])
def test_a_server_that_takes_its_question_back_ends_the_hook(scene: Scene, quits: str) -> None:
    asked = user(scene, "handshake", hook("sleep 601", event="Elicitation"), settings={"hook_timeout_secs": 500})
    asked.call("a__interview", rounds([form()], quits=quits))
    scene.until(lambda: not any("601" in line for line in processes_left(scene.marker)), "the hook's end")
    assert asked.asked == []


@hosts
def test_the_gateways_own_question_is_not_answered_by_hooks(scene: Scene, host: str) -> None:
    asked = user(scene, host, answering(scene, {"action": "accept", "content": {"answer": "once"}}),
                 settings={"permissions": {"ask": ["a__echo"]}},
                 reply=lambda method, params: {"action": "accept", "content": {"answer": "no"}})
    asked.call("a__echo", {"text": "x"})
    assert len(asked.asked) == 1 and calls(scene) == [] and not (scene.folder / "asked").exists()
