"""Tries what was built as a stranger would: the files in wheel and sdist, the installed script, one handshake.

`try_wheel.py DIST SCRIPT SOURCE`; run by `.ci/run` in the fresh environment that holds nothing but the wheel.
"""
from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path


def run(script: str, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([script, *args], input=stdin, capture_output=True, text=True, timeout=60, check=False)


def main(dist: Path, script: str, source: Path) -> None:
    version = metadata.version("shack-gateway")
    requires = [line for line in metadata.requires("shack-gateway") or [] if "extra ==" not in line]
    assert not requires, f"the wheel depends on {requires}"

    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    inside = set(zipfile.ZipFile(wheel).namelist())
    own = {str(path.relative_to(source)) for path in (source / "shack_gateway").rglob("*")
           if path.is_file() and path.suffix in (".py", ".md", ".json", ".typed")}
    assert own <= inside, f"not in the wheel: {sorted(own - inside)}"
    assert any(name.endswith("licenses/LICENSE") for name in inside), "the wheel has no LICENSE"
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    lacking = (own | {"README.md", "LICENSE", "pyproject.toml"}) - packed
    assert not lacking, f"not in the sdist: {sorted(lacking)}"

    said = run(script, "--version")
    assert said.returncode == 0 and version in said.stdout, said
    example = str(source / "shack-config.example.json")
    said = run(script, "check", "--config", example)
    assert said.returncode == 0, f"check of the example: {said.stdout}{said.stderr}"

    client = {"name": "try_wheel", "version": "1"}
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize",
             "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}}
    said = run(script, "--config", example, stdin=json.dumps(hello) + "\n")
    assert said.returncode == 0, said.stderr
    (answer,) = [json.loads(line) for line in said.stdout.splitlines() if '"id":1' in line.replace(" ", "")]
    us = answer["result"]["serverInfo"]
    assert (us["name"], us["version"]) == ("shack-gateway", version), us
    print(f"{wheel.name} and {sdist.name}: complete; {script} --version, check and initialize answer")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
