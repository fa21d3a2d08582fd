"""What reaches a server without being a call is judged as a call would be: completions and subscriptions."""

from __future__ import annotations

from typing import Any

import pytest

from kit.scene import Kept, Scene

RESOURCES = [{"uri": "notes://open", "text": "o"}, {"uri": "notes://kept", "text": "k"}]
PROMPTS = [{"name": "greet", "arguments": [{"name": "path"}]}, {"name": "kept"}]
TEMPLATES = [{"uriTemplate": "notes://by/{path}", "name": "by"}, {"uriTemplate": "file:///{p}", "name": "f"},
             {"uriTemplate": "notes://all/{+rest}{?q,r}", "name": "all"}]
DENY = ["s__resources/read(notes://all/pri:*)", "s__resources/read(notes://all/x?q=1*)",
        "s__kept", "s__greet(secret/**)", "s__resources/read(notes://kept)", "s__resources/read(secret/**)"]

PROMPT, TEMPLATE = {"type": "ref/prompt", "name": "s__greet"}, {"type": "ref/resource", "uri": "notes://by/{path}"}
FILE = {"type": "ref/resource", "uri": "file:///{p}"}
ALL = {"type": "ref/resource", "uri": "notes://all/{+rest}{?q,r}"}
COMPLETIONS = [
    ({"ref": PROMPT, "argument": {"name": "path", "value": "pub"}}, True),
    ({"ref": PROMPT, "argument": {"name": "path", "value": "/etc/pa"}}, False),
    ({"ref": PROMPT, "argument": {"name": "path", "value": "secret/a"}}, False),
    ({"ref": PROMPT, "argument": {"name": "x", "value": "y"}, "context": {"arguments": {"path": "../x"}}}, False),
    ({"ref": {"type": "ref/prompt", "name": "s__kept"}, "argument": {"name": "x", "value": "y"}}, False),
    ({"ref": TEMPLATE, "argument": {"name": "path", "value": "pub"}}, True),
    ({"ref": TEMPLATE, "argument": {"name": "path", "value": "../x"}}, False),
    ({"ref": TEMPLATE, "argument": {"name": "path", "value": "./secret/x"}}, False),
    ({"ref": TEMPLATE, "argument": {"name": "other", "value": "/etc/pa"}}, False),
    ({"ref": FILE, "argument": {"name": "p", "value": "etc/pa"}}, False),
    ({"ref": FILE, "argument": {"name": "p", "value": ""}}, False),
    ({"ref": ALL, "argument": {"name": "rest", "value": "pub"}}, True),
    ({"ref": ALL, "argument": {"name": "uri", "value": "/etc/"}}, False),
    ({"ref": ALL, "argument": {"name": "rest", "value": "pub"}, "context": {"arguments": {"uri": "/etc/"}}}, False),
    ({"ref": ALL, "argument": {"name": "rest", "value": "pub"}, "context": {"arguments": {"rest": "pub"}}}, True),
    ({"ref": ALL, "argument": {"name": "rest", "value": "pub"}, "context": {"arguments": {"rest": "pri"}}}, False),
    ({"ref": ALL, "argument": {"value": "/etc/"}}, False), ({"ref": ALL, "argument": "secret"}, False),
    ({"ref": ALL, "argument": {"name": 5, "value": "x"}}, False), ({"ref": ALL}, False),
    ({"ref": ALL, "argument": {"name": "rest", "value": ["pri"]}}, False),
    ({"ref": ALL, "argument": {"name": "rest", "value": "x"}, "context": ["secret"]}, False),
    ({"ref": ALL, "argument": {"name": "rest", "value": "x"}, "context": {"arguments": ["secret"]}}, False),
    ({"ref": ALL, "argument": {"name": "rest", "value": "x"}, "context": {"arguments": {"a": {"b": "c"}}}}, False),
    ({"ref": PROMPT, "argument": {"name": "x", "value": "y"}, "context": {"arguments": {"path": ["/etc/x"]}}}, False),
    ({"ref": ALL, "argument": {"name": "rest", "value": "pri/x"}}, False),
    ({"ref": ALL, "argument": {"name": "q", "value": "12"}, "context": {"arguments": {"rest": "x"}}}, False),
    ({"ref": ALL, "argument": {"name": "r", "value": "1"}, "context": {"arguments": {"rest": "x"}}}, True),
]


def given(scene: Scene, **settings: Any) -> Any:
    scene.server("s", "echo", resources=RESOURCES, prompts=PROMPTS, templates=TEMPLATES, completions=["x"])
    host = scene.start(permissions={"deny": DENY}, **settings)
    host.handshake()
    return host


@pytest.mark.parametrize("params, passes", COMPLETIONS, ids=[str(n) for n in range(len(COMPLETIONS))])
def test_a_completion_is_judged_by_what_it_completes(kept: Kept, params: dict[str, Any], passes: bool) -> None:
    scene, host = kept(given)
    answer = host.request("completion/complete", params)
    received = scene.received("s", "completion/complete")
    assert bool(received) is passes and ("result" in answer) is passes, answer
    for name in ("argument", "context") if passes else ():
        assert received[-1]["params"].get(name) == params.get(name)


def test_who_may_not_read_a_resource_is_not_told_of_its_changes(scene: Scene) -> None:
    host = given(scene)
    assert "result" in host.request("resources/subscribe", {"uri": "notes://open"})
    refused = host.request("resources/subscribe", {"uri": "notes://kept"})
    assert refused["error"]["code"] == -32002, refused
    outside = host.request("resources/subscribe", {"uri": "file:///etc/passwd"})
    assert "error" in outside
    asked = [message["params"]["uri"] for message in scene.received("s", "resources/subscribe")]
    assert asked == ["notes://open"]


def test_a_stateless_host_is_not_told_either(scene: Scene) -> None:
    scene.server("s", "echo", resources=RESOURCES)
    host = scene.start(permissions={"deny": DENY})
    host.ask("resources/list")
    wanted = {"resourceSubscriptions": ["notes://open", "notes://kept"]}
    host.expect(host.send("subscriptions/listen", {"notifications": wanted, "_meta": host.meta()}))
    told = host.notification("notifications/subscriptions/acknowledged")
    assert told["params"]["notifications"]["resourceSubscriptions"] == ["notes://open"]
    scene.until(lambda: scene.received("s", "resources/subscribe"), "the subscription reaches the server")
    assert [m["params"]["uri"] for m in scene.received("s", "resources/subscribe")] == ["notes://open"]


def test_where_only_some_resources_may_be_read_only_their_uris_are_completed(scene: Scene) -> None:
    scene.server("s", "echo", templates=TEMPLATES, completions=["x"])
    host = scene.start(permissions={"default_decision": "deny", "allow": ["s__resources/read(notes://all/pub:*)"]})
    host.handshake()
    for value, passes in (("pub", True), ("pub/x", True), ("pri", False), ("", False)):
        asked = len(scene.received("s", "completion/complete"))
        answer = host.request("completion/complete", {"ref": ALL, "argument": {"name": "rest", "value": value}})
        assert (len(scene.received("s", "completion/complete")) > asked) is passes, answer
