"""What a rule forbids does not reach the server: judged by what the server itself has written down.  Seeded."""
from __future__ import annotations

import json
import random
from typing import Any

from kit.bypasses import ANY_KEYS, PATH_KEYS, TEXT_KEYS, address_of, command_of, dressed, path_of
from kit.scene import Scene

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}, "command": {"type": "string"}}}
TRIES = 25


def test_no_spelling_of_what_is_denied_reaches_a_server_by_any_way_of_calling(scene: Scene) -> None:
    root = scene.workspace.resolve()
    (root / "secret").mkdir()
    (root / "deep").mkdir()
    (root / "link").symlink_to("secret")
    (root / "deep" / "link").symlink_to("../link")
    scene.server("fs", {"name": "known", "does": "echo", "inputSchema": SCHEMA}, {"name": "open", "does": "echo"},
                 resources=[{"uri": f"file://{root}/secret/key", "name": "key"}])
    host = scene.start(sandbox={"extra_roots": [str(scene.folder)]}, permissions={"deny": [
        "fs__*(secret/**)", "mcp__fs__known(rm -rf *)", "mcp__shack__fs__open(rm -rf:*)", "fs__*(domain:evil.com)",
        "*(domain:*.evil.com)"]})
    host.handshake()
    chance = random.Random(11)
    for _ in range(TRIES):
        for keys, make in ((PATH_KEYS, path_of), (TEXT_KEYS, command_of), (ANY_KEYS, address_of)):
            arguments: dict[str, Any] = dressed(chance, keys, make(chance, root))
            for name in ("fs__known", "fs__open"):
                meta = {"name": name, "arguments": arguments}
                for answer in (host.call(name, arguments), host.call("shack_call_tool", meta)):
                    assert answer.get("error", {}).get("code") in (-32001, -32002), (name, json.dumps(arguments))
        uri = path_of(chance, root)
        assert "error" in host.request("resources/read", {"uri": uri}), uri
    assert scene.received("fs", "tools/call") == [] and scene.received("fs", "resources/read") == []
    assert "error" not in host.call("fs__known", {"path": "notes/a", "command": "ls"})
    assert len(scene.received("fs", "tools/call")) == 1


def test_no_assignment_before_another_command_reaches_a_server_that_is_allowed_a_pattern(scene: Scene) -> None:
    scene.server("fs", {"name": "known", "does": "echo", "inputSchema": SCHEMA})
    host = scene.start(permissions={"default_decision": "deny", "allow": ["fs__known(ok*)"]})
    host.handshake()
    chance = random.Random(12)
    for _ in range(TRIES):
        line = chance.choice(["okPATH=.LC_ALL=C", "ok=x", "ok+=1", "ok[0]=x", "ok=x$(zap)", "ok='a b'"]) + " zap"
        line = chance.choice(["", "LC_ALL=C ", "nohup ", "ok && "]) + line
        assert host.call("fs__known", {"command": line}).get("error", {}).get("code") == -32002, line
    assert scene.received("fs", "tools/call") == []
    assert "error" not in host.call("fs__known", {"command": "LC_ALL=C okay a=1 && ok"})
