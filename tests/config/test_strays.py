"""Keys that look like policy and are read by nobody keep the gateway from starting, with what to write instead."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shack_gateway.config import strays
from shack_gateway.config.load import every_field, load
from shack_gateway.errors import ConfigError, Problem
from shack_gateway.pipeline.hooking.handlers import EVENTS


def found(folder: Path, **settings: Any) -> list[Problem]:
    """Everything that is said of a file with these settings."""
    path = folder / "c.json"
    servers = settings.pop("servers", {"fs": {"command": "x"}})
    path.write_text(json.dumps({"workspace_root": ".", "servers": servers, **settings}), encoding="utf-8")
    try:
        return list(load(str(path), {}).warnings)
    except ConfigError as error:
        return list(error.problems)


NO_KEY, NOT_HERE = "is not a key that shack-gateway knows: what", "is not read here: what"
RULE = ["fs__x"]


@pytest.mark.parametrize("settings, key, what, fix", [
    ({"permissions": {"default": "deny"}}, "permissions.default", NO_KEY,
     'Write `"default_decision": "deny"`: what no rule matches is refused.'),
    ({"permissions": {"defaultAction": "Ask"}}, "permissions.defaultAction", NO_KEY,
     'Write `"default_decision": "ask"`: what no rule matches is asked about.'),
    ({"permissions": {"mode": "s3cret"}}, "permissions.mode", NO_KEY, "Write `default_decision`, which is `allow`,"),
    ({"permissions": {"policy": {"x": 1}}}, "permissions.policy", NO_KEY, "Write `default_decision`, which is"),
    ({"permissions": {"defaultMode": "acceptEdits"}}, "permissions.defaultMode", NO_KEY,
     'Write `"default_decision": "ask"`, which comes nearest: in Claude Code `acceptEdits` asks about all but edits'),
    ({"permissions": {"defaultMode": "plan"}}, "permissions.defaultMode", NO_KEY, 'Write `"default_decision": "deny"`'),
    ({"permissions": {"defaultMode": "s3cret"}}, "permissions.defaultMode", NO_KEY, "Write `default_decision`, which"),
    ({"permissions": {"additionalDirectories": ["../x"]}}, "permissions.additionalDirectories", NO_KEY,
     "Write the folders as `sandbox.extra_roots`, or as `sandbox.read_only_roots` where"),
    ({"permissions": {"extraDirectories": ["../x"]}}, "permissions.extraDirectories", NO_KEY,
     "Write it as `sandbox.extra_roots`."),
    ({"permissions": {"extra_roots": ["../x"]}}, "permissions.extra_roots", NO_KEY,
     "Write it as `sandbox.extra_roots`."),
    ({"permissions": {"rules": RULE}}, "permissions.rules", NO_KEY, "Write each rule into `allow`, `ask` or `deny`"),
    ({"permissions": {"blocked": RULE}}, "permissions.blocked", NO_KEY, "Write it as `deny`."),
    ({"permissions": {"deny_rules": RULE}}, "permissions.deny_rules", NO_KEY, "Write it as `deny`."),
    ({"permissions": {"permit": RULE}}, "permissions.permit", NO_KEY, "Write it as `allow`."),
    ({"permissions": {"confirm": RULE}}, "permissions.confirm", NO_KEY, "Write it as `ask`."),
    ({"permissions": {"approve": RULE}}, "permissions.approve", NO_KEY, "Write it as `ask`, or `allow` for what"),
    ({"permissions": {"readOnly": True}}, "permissions.readOnly", NO_KEY, 'Write `"profile": "readonly"` at the top'),
    ({"permissions": {"hidden": RULE}}, "permissions.hidden", NOT_HERE, "Write it at the top of the file."),
    ({"permissions": {"denny": RULE}}, "permissions.denny", "is not a key that shack", "Did you mean `deny`?"),
    ({"deny": RULE}, "deny", NOT_HERE, 'Write it into `permissions`: `"permissions": {"deny": [...]}`.'),
    ({"Denny": RULE}, "Denny", NOT_HERE, 'Write it into `permissions`: `"permissions": {"deny": [...]}`.'),
    ({"allow": RULE}, "allow", NOT_HERE, 'Write it into `permissions`: `"permissions": {"allow": [...]}`.'),
    ({"ask": RULE}, "ask", NOT_HERE, 'Write it into `permissions`: `"permissions": {"ask": [...]}`.'),
    ({"extra_roots": ["."]}, "extra_roots", NOT_HERE, 'Write it into `sandbox`: `"sandbox": {"extra_roots": [...]}`.'),
    ({"read_only_roots": ["."]}, "read_only_roots", NOT_HERE, 'Write it into `sandbox`: `"sandbox": {"read'),
    ({"exempt": ["fs__x:y"]}, "exempt", NOT_HERE, 'Write it into `sandbox`: `"sandbox": {"exempt": [...]}`.'),
    ({"default_decision": "deny"}, "default_decision", NO_KEY,
     'Write it into `permissions`: `"default_decision": "deny"`: what'),
    ({"defaultMode": "dontAsk"}, "defaultMode", NO_KEY, 'Write it into `permissions`: `"default_decision": "deny"`, '),
    ({"rules": RULE}, "rules", NO_KEY, "Write each rule into `permissions.allow`, `permissions.ask` or"),
    ({"blocklist": RULE}, "blocklist", NO_KEY, "Write it as `permissions.deny`."),
    ({"additionalDirectories": ["."]}, "additionalDirectories", NO_KEY, "Write it as `sandbox.extra_roots`."),
    ({"readonly": True}, "readonly", NO_KEY, 'Write `"profile": "readonly"`.'),
    ({"PreToolUse": [{"hooks": []}]}, "PreToolUse", NOT_HERE, 'Write it into `hooks`: `"hooks": {"PreT'),
    ({"exclude": ["x"]}, "exclude", NOT_HERE, "Write it into the entry of a server, or the tools into `hidden`."),
    ({"sandbox": {"enabled": "yes"}}, "sandbox.enabled", NO_KEY, "The keys of `sandbox` are `extra_roots`,"),
    ({"sandbox": {"roots": ["."]}}, "sandbox.roots", NO_KEY, "Write it as `extra_roots`."),
    ({"sandbox": {"extra_rots": ["."]}}, "sandbox.extra_rots", NO_KEY, "Did you mean `extra_roots`?"),
    ({"sandbox": {"readonly": ["."]}}, "sandbox.readonly", NO_KEY, "Write it as `read_only_roots`."),
    ({"sandbox": {"deny": RULE}}, "sandbox.deny", NOT_HERE, "Write it into `permissions`."),
    ({"sandbox": {"sandbox_exempt": ["fs__x:y"]}}, "sandbox.sandbox_exempt", NOT_HERE, "Write it at the top of"),
    ({"profiles": {"a": {"deny": RULE, "default": "deny"}}}, "profiles.a.default", NO_KEY, "With `allow`, a profile"),
    ({"profiles": {"a": {"deny": RULE, "readonly": True}}}, "profiles.a.readonly", NO_KEY, 'Write `"extends": "r'),
    ({"profiles": {"a": {"deny": RULE, "hide": RULE}}}, "profiles.a.hide", NO_KEY, "Write it as `hidden`."),
    ({"profiles": {"a": {"deny": RULE, "permissions": {"ask": RULE}}}}, "profiles.a.permissions", NOT_HERE,
     "Write its `allow`, `ask` and `deny` right into the profile."),
    ({"servers": {"fs": {"command": "x", "deny": ["x"]}}}, "servers.fs.deny", NOT_HERE, "Write it into `permissions`"),
    ({"servers": {"fs": {"command": "x", "hooks": {"a": 1}}}}, "servers.fs.hooks", NOT_HERE, "Write it at the top"),
    ({"servers": {"fs": {"command": "x", "exempt": ["y"]}}}, "servers.fs.exempt", NOT_HERE, "Write it into `sandbox`,"),
], ids=str)
def test_a_key_that_looks_like_policy_is_an_error_that_says_where_to_write_it(
    tmp_path: Path, settings: dict[str, Any], key: str, what: str, fix: str
) -> None:
    (problem,) = found(tmp_path, **settings)
    assert problem.severity == "error" and problem.what.startswith(f"`{key}` {what}"), problem
    assert problem.fix.startswith(fix), problem
    assert "s3cret" not in str(problem)


@pytest.mark.parametrize("settings, key", [
    ({"colour": 1}, "colour"), ({"permissions": {"colour": 1}}, "permissions.colour"), ({"task": 1}, "task"),
    ({"deno": {"x": 1}}, "deno"), ({"policy": "see wiki"}, "policy"), ({"approved": "by Bob"}, "approved"),
    ({"permissions": {"review": "2025-01-01"}}, "permissions.review"), ({"blocked": 5}, "blocked"),
    ({"servers": {"fs": {"command": "x", "profile": "dev"}}}, "servers.fs.profile"),
    ({"mode": "x"}, "mode"), ({"profiles": {"a": {"deny": RULE, "colour": 1}}}, "profiles.a.colour"),
    ({"servers": {"fs": {"command": "x", "colour": 1}}}, "servers.fs.colour"),
    ({"permissions": {"rules": []}}, "permissions.rules"), ({"permissions": {"additionalDirectories": []}},
    "permissions.additionalDirectories"), ({"deny": []}, "deny"), ({"readonly": False}, "readonly"),
    ({"sandbox": {"enabled": False}}, "sandbox.enabled"), ({"permissions": {"rules": None}}, "permissions.rules"),
], ids=str)
def test_a_key_that_cannot_be_policy_or_has_nothing_in_it_is_a_warning(
    tmp_path: Path, settings: dict[str, Any], key: str
) -> None:
    (problem,) = found(tmp_path, **settings)
    assert problem.severity == "warning" and problem.what.startswith(f"`{key}` is not "), problem


@pytest.mark.parametrize("settings", [
    {"permissions": {"_default": "deny", "//": ["rules"]}}, {"_deny": RULE}, {"sandbox": {"_enabled": True}},
], ids=str)
def test_remarks_are_let_be(tmp_path: Path, settings: dict[str, Any]) -> None:
    assert found(tmp_path, **settings) == []


def test_the_keys_that_are_told_to_be_read_somewhere_are_read_there() -> None:
    keys = {owned.key for owned in every_field()}
    assert set(strays.OF_TOP) | set(strays.POLICY) <= keys
    assert {f"permissions.{key}" for key in (*strays.LISTS, strays.DECISION)} <= keys
    assert {f"sandbox.{key}" for key in strays.FOLDERS} <= keys
    assert set(strays.OF_HOOKS) == set(EVENTS)
    assert {f"servers.NAME.{key}" for key in strays.OF_SERVERS} <= keys


@pytest.mark.parametrize("key", ["pre_tool_hook", "post_tool_hook"])
@pytest.mark.parametrize("line, said", [(" \t\n", True), ("", False), (None, False), ("true", False)], ids=repr)
def test_a_hook_of_white_space_only_is_said(tmp_path: Path, key: str, line: Any, said: bool) -> None:
    problems = found(tmp_path, **{key: line})
    assert [(each.severity, each.what) for each in problems] == (
        [("warning", f"`{key}` is white space only: no hook is run")] if said else [])
