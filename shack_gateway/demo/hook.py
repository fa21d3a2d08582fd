"""Hook of the example configuration: puts the label `via-gateway` on every ticket that is created.

A hook is any command. It reads one JSON object from stdin (`tool_name`, `tool_input`, ...), and may answer with one on
stdout; no answer and exit code 0 let the call pass as it is. Exit code 2 would block it, with stderr as the reason.
"""
from __future__ import annotations

import json
import sys

LABEL = "via-gateway"


def main() -> None:
    asked = json.load(sys.stdin)
    arguments = asked["tool_input"]
    labels = arguments.get("labels", [])
    if asked["tool_name"] != "tickets__create_ticket" or not isinstance(labels, list) or LABEL in labels:
        return
    changed = {**arguments, "labels": [*labels, LABEL]}
    json.dump({"hookSpecificOutput": {"hookEventName": "PreToolUse", "updatedInput": changed}}, sys.stdout)


if __name__ == "__main__":
    main()
