"""What each server is put through, as steps that a client driver understands (clients/steps.py).  Pure.

A step is written as one would ask the server itself; `towards_gateway` spells it for a host of the gateway, in either
mode. Only harmless tools are called, or tools whose effect is the same when they are called once more.
"""
from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

Step = dict[str, Any]

LISTS: list[Step] = [{"do": "tools"}, {"do": "resources"}, {"do": "templates"}, {"do": "prompts"}]
GREW: Step = {"do": "heard", "method": "notifications/tools/list_changed", "within": 8}
LOUD = {"io.modelcontextprotocol/logLevel": "info"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SHARED = "note://shared/hello"
"""A URI that both small servers list: the first in the configuration keeps it."""
SECOND = "python2"


def call(name: str, arguments: dict[str, Any] | None = None, **more: Any) -> Step:
    return {"do": "call", "name": name, **({} if arguments is None else {"arguments": arguments}), **more}


def prompt(name: str, /, **arguments: str) -> Step:
    return {"do": "prompt", "name": name, "arguments": arguments}


def complete(ref: str, name: str, value: str, context: dict[str, str] | None = None) -> Step:
    whole = {"type": "ref/resource", "uri": ref} if "://" in ref else {"type": "ref/prompt", "name": ref}
    return {"do": "complete", "ref": whole, "argument": {"name": name, "value": value},
            **({"context": context} if context else {})}


def read(uri: str) -> Step:
    return {"do": "read", "uri": uri}


def updated(uri: str) -> Step:
    return {"do": "heard", "method": "notifications/resources/updated", "holds": uri, "within": 8}


def everything(_: Path) -> list[Step]:
    zipped = "data:text/plain;base64," + base64.b64encode(b"interop").decode()
    watched = "demo://resource/dynamic/text/7"
    return [
        call("echo", {"message": "héllo \u2028 wörld \ud83d\ude00"}),
        call("get-sum", {"a": 2, "b": 40.5}),
        call("get-tiny-image", {}),
        call("get-annotated-message", {"messageType": "error", "includeImage": True}),
        call("get-resource-links", {"count": 4}),
        call("get-resource-reference", {"resourceType": "Blob", "resourceId": 2}),
        call("get-structured-content", {"location": "Chicago"}),
        call("get-sum", {"a": "two", "b": 1}),
        call("trigger-long-running-operation", {"duration": 0.6, "steps": 3}, progress=True),
        call("gzip-file-as-resource", {"name": "x.gz", "data": zipped, "outputType": "resourceLink"}),
        read("demo://resource/session/x.gz"),
        read("demo://resource/dynamic/text/1"),
        read("demo://resource/dynamic/blob/2"),
        read("demo://resource/static/document/features.md"),
        prompt("simple-prompt"),
        prompt("args-prompt", city="Berlin", state="BE"),
        prompt("resource-prompt", resourceType="Text", resourceId="3"),
        prompt("completable-prompt", department="Sales", name="Eve"),
        complete("completable-prompt", "department", "S"),
        complete("completable-prompt", "name", "", {"department": "Sales"}),
        complete("demo://resource/dynamic/text/{resourceId}", "resourceId", "1"),
        {"do": "watch", "uri": watched},
        call("toggle-subscriber-updates", {}),
        updated(watched),
        call("toggle-subscriber-updates", {}),
    ]


def filesystem(workspace: Path) -> list[Step]:
    files = workspace / "files"
    return [
        call("list_allowed_directories", {}),
        call("read_text_file", {"path": str(files / "poem.txt"), "head": 2}),
        call("read_text_file", {"path": "files/poem.txt", "tail": 1}),
        call("read_file", {"path": str(files / "poem.txt")}),
        call("read_media_file", {"path": str(files / "dot.png")}),
        call("read_multiple_files", {"paths": [str(files / "poem.txt"), str(files / "missing.txt")]}),
        call("read_text_file", {"path": str(files / "missing.txt")}),
        call("list_directory", {"path": str(files)}),
        call("list_directory", {"path": "files"}),
        call("list_directory_with_sizes", {"path": str(files), "sortBy": "size"}),
        call("directory_tree", {"path": str(files)}),
        call("search_files", {"path": str(files), "pattern": "**/*.txt"}),
        call("get_file_info", {"path": str(files / "poem.txt")}),
        call("create_directory", {"path": str(workspace / "made" / "deep")}),
        call("write_file", {"path": str(workspace / "made" / "note.txt"), "content": "ä\u2028b\n"}),
        call("edit_file", {"path": str(files / "poem.txt"), "dryRun": True,
                           "edits": [{"oldText": "second", "newText": "2nd"}]}),
    ]


def memory(_: Path) -> list[Step]:
    ada = {"name": "Ada", "entityType": "person", "observations": ["wrote the first program"]}
    engine = {"name": "Engine", "entityType": "machine", "observations": []}
    knows = {"from": "Ada", "to": "Engine", "relationType": "programs"}
    return [
        {"do": "watch", "uri": "memory://knowledge-graph"},
        call("create_entities", {"entities": [ada, engine]}),
        updated("memory://knowledge-graph"),
        call("create_relations", {"relations": [knows]}),
        call("add_observations", {"observations": [{"entityName": "Ada", "contents": ["born 1815"]}]}),
        call("read_graph", {}),
        call("search_nodes", {"query": "program"}),
        call("open_nodes", {"names": ["Engine"]}),
        read("memory://knowledge-graph"),
        call("delete_observations", {"deletions": [{"entityName": "Ada", "observations": ["born 1815"]}]}),
        call("delete_relations", {"relations": [knows]}),
        call("delete_entities", {"entityNames": ["Ada", "Engine"]}),
        call("read_graph"),
    ]


def git(workspace: Path) -> list[Step]:
    repo = {"repo_path": str(workspace / "repo")}
    return [
        call("git_status", repo), call("git_diff_unstaged", repo), call("git_diff_staged", repo),
        call("git_diff", {**repo, "target": "HEAD~1", "context_lines": 1}),
        call("git_log", {**repo, "max_count": 2}), call("git_show", {**repo, "revision": "HEAD"}),
        call("git_branch", {**repo, "branch_type": "local"}),
        call("git_show", {**repo, "revision": "no-such-thing"}), call("git_log", {}),
    ]


def time(_: Path) -> list[Step]:
    return [
        call("get_current_time", {"timezone": "Etc/UTC"}),
        call("convert_time", {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}),
        call("convert_time", {"source_timezone": "Nowhere/None", "time": "12:00", "target_timezone": "UTC"}),
    ]


def small(scheme: str) -> list[Step]:
    """Both small servers offer the same, under a URI scheme of their own."""
    return [
        call("add", {"a": 1, "b": 2}),
        call("add", {"a": 2**40, "b": -1}),
        call("add", {"a": "one"}),
        call("fail", {"reason": "because"}),
        call("picture"),
        call("pointer"),
        read(f"{scheme}://linked/one"),
        read(f"{scheme}://linked/two"),
        read(f"{scheme}://fixed/today"),
        read(f"{scheme}://fixed/bytes"),
        read(SHARED),
        call("large", {"size": 200_000}),
        call("meta", meta={"example.org/note": "n", "traceparent": TRACE}),
        {"do": "together", "steps": [call("add", {"a": n, "b": n}) for n in range(8)]},
        {"do": "log", "level": "info"},
        call("climb", {"steps": 3}, progress=True, meta=LOUD),
        call("wait", {"name": "impatient"}, cancel_at_progress=2, within=15),
        {"do": "until", "step": call("cancelled"), "holds": "impatient", "within": 8},
        prompt("summary", text="a b c", tone="formal"),
        complete("summary", "tone", "pl"),
        complete(scheme + "://linked/{name}", "name", ""),
        {"do": "watch", "uri": f"{scheme}://fixed/today"},
        call("grow"),
        updated(f"{scheme}://fixed/today"),
        GREW,
        {"do": "until", "step": call("grown"), "holds": "here", "within": 8},
    ]


PLANS = {
    "everything": everything, "filesystem": filesystem, "memory": memory, "git": git, "time": time,
    "python1": lambda _: small("one"), "python2": lambda _: small("two"),
}


def steps(server: str, workspace: Path) -> list[Step]:
    return [*LISTS, *PLANS[server](workspace)]


def towards_gateway(step: Step, server: str, mode: str) -> Step:
    """The same step as a host of the gateway writes it."""
    word = step["do"]
    if word in ("together", "series"):
        return {**step, "steps": [towards_gateway(inner, server, mode) for inner in step["steps"]]}
    if word == "until":
        return {**step, "step": towards_gateway(step["step"], server, mode)}
    if word == "prompt":
        return {**step, "name": f"{server}__{step['name']}"}
    if word == "complete" and "name" in step["ref"]:
        return {**step, "ref": {**step["ref"], "name": f"{server}__{step['ref']['name']}"}}
    if word == "read" and step["uri"] == SHARED and server == SECOND:
        return {**step, "uri": f"shack://{server}/{quote(SHARED, safe='')}"}
    if step is GREW and mode == "progressive":
        return {"do": "pause", "seconds": 0}      # the four tools that such a host knows are still the same
    if word == "gateway":
        return {**step, "do": "call"}             # asked of the gateway itself, by its own name for the tool
    if word != "call":
        return step
    shown = f"{server}__{step['name']}"
    if mode == "full":
        return {**step, "name": shown}
    inner = {"name": shown, **({"arguments": step["arguments"]} if "arguments" in step else {})}
    return {**step, "name": "shack_call_tool", "arguments": inner}
