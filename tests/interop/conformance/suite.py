"""One run of the suite's program: all scenarios of a revision against the gateway before the fixture, or the fixture.

    PYTHONPATH=.:tests python -m interop.conformance.suite 2026-07-28 stateless [--direct] [SCENARIO]

prints what failed and keeps the records of the wires in the folder that it names.
"""
from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import NamedTuple

from kit.host import ROOT, M

from ..installed import NODE, SCOPE, STATELESS
from ..runs import recorded

HERE = Path(__file__).resolve().parent
REVISIONS = ("2025-11-25", "2026-07-28")
RUN_SECONDS = 240
"""A run takes about fifteen seconds; past this the suite is ended."""
SERVER = "fixture"
SCENARIO = re.compile(r"^server-(.+?)-\d{4}-\d\d-\d\dT.*$")
LISTED = re.compile(r"^  - (\S+)(?: \[(.*)\])?$", re.MULTILINE)


class Check(NamedTuple):
    """One verdict of the suite; a scenario has several."""

    id: str
    status: str                     # SUCCESS, FAILURE, WARNING, SKIPPED or INFO
    why: str


def program() -> list[str]:
    package = Path(os.environ[NODE], SCOPE, "conformance", "dist", "index.js")
    return ["node", "--import", (HERE / "node20.mjs").as_uri(), str(package)]


def scenarios() -> dict[str, list[str]]:
    """All scenarios against a server that the suite knows, and the revisions that each belongs to (or `extension`)."""
    done = subprocess.run([*program(), "list", "--server"], capture_output=True, text=True, timeout=60, check=True)
    return {name: revisions.split(",") for name, revisions in LISTED.findall(done.stdout)}


def shim(era: str, folder: Path, direct: bool) -> list[str]:
    """The command line of the shim before the gateway, or before the fixture itself, with a record of every wire."""
    kit = str(ROOT / "tests" / "kit")
    fixture = [sys.executable, "-S", str(HERE / "fixture.py"), era]
    before = [sys.executable, "-S", str(HERE / "shim.py")]
    if direct:
        return [*before, *recorded(["env", f"PYTHONPATH={kit}", *fixture], folder / "host.{pid}.wire")]
    line = recorded(fixture, folder / f"{SERVER}.{{pid}}.wire")
    config = folder / "shack-config.json"
    config.write_text(json.dumps({
        "workspace_root": str(folder), "expose_mode": "full",
        "start_timeout_secs": 60, "list_wait_secs": 60, "probe_timeout_secs": 30,
        "servers": {SERVER: {"command": line[0], "args": line[1:], "env": {"PYTHONPATH": kit}}}}))
    gateway = [sys.executable, "-m", "shack_gateway", "--config", str(config)]
    return [*before, "--prefix", f"{SERVER}__", *recorded(gateway, folder / "host.{pid}.wire")]


def introduce(url: str) -> None:
    """The first word of a stateless host. Handshake servers are told once what a host can do, and this host can do all;
    the suite's first scenario would say that it can do nothing."""
    able = {"elicitation": {}, "sampling": {}, "roots": {}}
    meta = {M + "protocolVersion": STATELESS, M + "clientCapabilities": able}
    body = json.dumps({"jsonrpc": "2.0", "id": "first", "method": "tools/list", "params": {"_meta": meta}}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, {"MCP-Protocol-Version": STATELESS}), timeout=60):
        pass


def run(revision: str, era: str, folder: Path, *, direct: bool = False, scenario: str = "") -> dict[str, list[Check]]:
    """What the suite says about each scenario of a revision."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "SHACK_STATE_DIR": str(folder / "state")}
    results = folder / "results"
    which = ["--scenario", scenario] if scenario else ["--suite", "all"]
    with open(folder / "shim.stderr", "wb") as stderr, open(folder / "suite.stdout", "wb") as stdout:
        served = subprocess.Popen(shim(era, folder, direct), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=stderr, env=environ, cwd=folder)
        with served:                             # leaving it closes its standard input, at which it ends
            assert served.stdout is not None
            url = f"http://127.0.0.1:{int(served.stdout.readline())}/mcp"
            if revision == STATELESS:
                introduce(url)
            subprocess.run([*program(), "server", "--url", url, "--spec-version", revision, *which, "-o", str(results)],
                           stdout=stdout, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=RUN_SECONDS)
    verdicts = {}
    for path in sorted(results.glob("*/checks.json")):
        name = SCENARIO.sub(r"\1", path.parent.name)
        verdicts[name] = [Check(each["id"], each["status"], each.get("errorMessage", ""))
                          for each in json.loads(path.read_text())]
    return verdicts


def main() -> None:
    parser = argparse.ArgumentParser(description="one run of the conformance suite")
    parser.add_argument("revision", choices=REVISIONS)
    parser.add_argument("era", choices=("handshake", "stateless"), help="what the fixture speaks")
    parser.add_argument("scenario", nargs="?", default="")
    parser.add_argument("--direct", action="store_true", help="without the gateway")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="conformance-"))
    verdicts = run(options.revision, options.era, folder, direct=options.direct, scenario=options.scenario)
    for name, checks in verdicts.items():
        bad = [check for check in checks if check.status in ("FAILURE", "WARNING")]
        print(f"{name}: {len(checks)} checks, {len(bad)} bad")
        for check in bad:
            print(f"    {check.id} {check.status}: {check.why}")
    print(folder)


if __name__ == "__main__":
    main()
