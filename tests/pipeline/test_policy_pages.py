"""What docs/sandbox.md and docs/permissions.md show is what happens."""
from __future__ import annotations

import json
import posixpath
import re
from typing import Any

import pytest

from kit.corridor import call, ports, read, refused, run, stage
from kit.host import ROOT
from shack_gateway.pipeline.arguments import PATH, key_says
from shack_gateway.pipeline.call import RESOURCE
from shack_gateway.pipeline.stages import permissions, sandbox

SANDBOX = (ROOT / "shack_gateway" / "docs" / "sandbox.md").read_text(encoding="utf-8")
PERMISSIONS = (ROOT / "shack_gateway" / "docs" / "permissions.md").read_text(encoding="utf-8")
PROJECT = "/home/me/project"


def shown(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def in_project(path: str) -> str:
    """Links of the example: `notes/link` leads out of the project."""
    return "/somewhere/else" if path == f"{PROJECT}/notes/link" else posixpath.normpath(path)


def judge(module: Any, arguments: dict[str, Any], name: str = "files__write_file", **settings: Any) -> Any:
    built = stage(module, ports(PROJECT, realpath=in_project), **settings)
    assert built is not None
    server, _, target = name.partition("__")
    return run(built.before(call(arguments, server=server, target=target)))


def test_the_sandbox_page_shows_the_text_of_a_refusal() -> None:
    [text] = shown(SANDBOX, "text")
    said = refused(judge(sandbox, {"path": "notes/link"}, "files__read_file")).text
    assert said.startswith(text.strip().removesuffix("..."))


def test_every_example_of_a_path_on_the_sandbox_page_is_refused() -> None:
    rows = re.findall(r"^\| (absolute|a home folder|a `file:` URI|climbing) \| (.*) \|$", SANDBOX, re.MULTILINE)
    assert len(rows) == 4
    for example in re.findall(r"`([^`]*)`", " ".join(examples for _, examples in rows)):
        refused(judge(sandbox, {"any": example}))


def test_every_key_on_the_sandbox_page_names_files() -> None:
    [sentence] = re.findall(r"Such a key has (.*?)are one key\.", SANDBOX, re.DOTALL)
    keys = [key for key in re.findall(r"`([^`]*)`", sentence) if key not in ("_", "-")]
    assert len(keys) > 15 and all(key_says(key) & PATH for key in keys)


def test_prose_on_the_sandbox_page_passes_and_the_path_does_not() -> None:
    for text in ("/help me", "/etc/hosts is broken"):
        assert f"`{text}`" in SANDBOX and judge(sandbox, {"text": text}).arguments
    assert "`/Users/me/My Documents/a`" in SANDBOX
    refused(judge(sandbox, {"text": "/Users/me/My Documents/a"}))


def test_the_roots_on_the_sandbox_page_work() -> None:
    """The configuration's reader fills in variables and makes paths absolute; here that is done already."""
    section = json.loads(shown(SANDBOX, "json")[0])["sandbox"]
    section["extra_roots"] = [root.replace("${HOME}", "/home/me") for root in section["extra_roots"]]
    section["read_only_roots"] = [posixpath.normpath(f"{PROJECT}/{root}") for root in section["read_only_roots"]]
    assert judge(sandbox, {"path": "/home/me/other-project/x"}, sandbox=section).arguments
    refused(judge(sandbox, {"path": "/home/me/handbook/x"}, sandbox=section))
    assert judge(sandbox, {"route": "/api/x"}, "api__get", sandbox=section).arguments


def test_the_exemptions_on_the_sandbox_page_work() -> None:
    settings = json.loads(shown(SANDBOX, "json")[1])
    assert judge(sandbox, {"route": "/api/users"}, "api__get", **settings).arguments
    assert judge(sandbox, {"options": [{"url_path": "/x"}]}, "api__call", **settings).arguments
    refused(judge(sandbox, {"route": "/api/users"}, "api__put", **settings))


RULES = json.loads(shown(PERMISSIONS, "json")[0])


PASSES, REFUSED, ASKED = "passes", "refused", "asked"


def decided(name: str, arguments: dict[str, Any]) -> str:
    verdict = judge(permissions, arguments, name, **RULES)
    if hasattr(verdict, "arguments"):
        return PASSES
    return ASKED if verdict.text.startswith("tool call requires explicit approval") else REFUSED


@pytest.mark.parametrize("name, arguments, verdict", [
    ("files__read_file", {}, PASSES), ("git__run", {"command": "git status"}, PASSES),
    ("git__run", {"command": "git status -s"}, REFUSED), ("git__run", {"command": "git log -1"}, PASSES),
    ("git__run", {"command": "git logs"}, REFUSED), ("git__run", {"command": "git log; git push"}, ASKED),
    ("git__run", {"command": "git push -f"}, ASKED), ("files__write_file", {"path": "notes/a/b"}, PASSES),
    ("files__write_file", {"path": "notes/a", "branch": "main"}, ASKED), ("files__write_file", {"path": "a"}, REFUSED),
    ("files__write_file", {"path": "notes/link"}, REFUSED), ("files__delete_file", {}, REFUSED),
    ("files__read_file", {"path": "./secret/a"}, REFUSED), ("web__get", {"url": "https://a.example.com"}, REFUSED),
    ("files__read_file", {"path": f"{PROJECT}/x/../secret/a"}, REFUSED),
    ("files__read_x", {"options": {"paths": ["secret/a"]}}, REFUSED), ("files__write_file", {}, REFUSED),
])
def test_the_rules_on_the_permissions_page_do_what_it_says(name: str, arguments: dict[str, Any], verdict: str) -> None:
    assert decided(name, arguments) == verdict


def test_the_command_that_the_permissions_page_says_is_refused_is_refused() -> None:
    rule, line = "git__run(rm -rf:*)", "ls && sudo /bin/rm -rf x"
    assert f"`{rule}` refuses `{line}`" in PERMISSIONS
    refused(judge(permissions, {"command": line}, "git__run", permissions={"deny": [rule]}))


@pytest.mark.parametrize("section", ["Path patterns", "A rule"])
def test_every_pattern_in_the_tables_of_the_permissions_page_is_read_without_a_word(section: str) -> None:
    table = PERMISSIONS.split(f"# {section}\n")[1].split("\n#")[0]
    for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
        for written in re.findall(r"`([^`]*)`", row):
            rule = written if "__" in written or written == "*" else f"git__run({written})"
            assert read(permissions, permissions={"deny": [rule]})[1] == [], rule


def test_a_resource_is_allowed_as_the_permissions_page_says() -> None:
    rule = "docs__resources/read(file:///home/me/project/public/:*)"
    assert f"`{rule}`" in PERMISSIONS
    built = stage(permissions, ports(PROJECT, realpath=in_project), permissions={"default_decision": "deny", "allow": [
        rule]})
    assert built is not None
    for uri, passes in ((f"file://{PROJECT}/public/a", True), (f"file://{PROJECT}/a", False)):
        asked = call({"uri": uri}, server="docs", kind=RESOURCE, target=uri, name=uri)
        assert (run(built.before(asked)) is asked) is passes


def test_the_permissions_page_shows_the_texts_of_refusals() -> None:
    texts = shown(PERMISSIONS, "text")[-1].strip().splitlines()
    said = [
        refused(judge(permissions, {"path": "secret/a"}, "files__read_x", **RULES)).text,
        refused(judge(permissions, {}, **RULES)).text,
        refused(judge(permissions, {}, permissions={"default_decision": "prompt"})).text,
    ]
    assert texts[:-1] == said
    assert "said no" in texts[-1]  # tests/doors/test_approval.py has that one said
