"""The right command runs, exit codes are as documented, and a traceback is never shown."""
from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kit.host import ROOT
from shack_gateway import __version__
from shack_gateway.cli import main as main_module
from shack_gateway.cli.commands import COMMANDS
from shack_gateway.cli.main import main
from shack_gateway.cli.options import Arguments, describe

PAGE = (ROOT / "shack_gateway" / "docs" / "commands.md").read_text(encoding="utf-8")


def program(*line: str, cwd: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run([sys.executable, "-m", "shack_gateway", *line], cwd=cwd, env=environ, encoding="utf-8",
                          capture_output=True, timeout=60, **more)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Arguments]]]:
    """Stands at the edge where a command's module is imported, and notes which one is run with what."""
    calls: list[tuple[str, Arguments]] = []

    def fake_import(name: str, package: str) -> ModuleType:
        module = ModuleType(name)

        def run(arguments: Arguments) -> int:
            calls.append((name, arguments))
            return 7

        module.run = run  # type: ignore[attr-defined]
        return module

    monkeypatch.setattr(main_module, "import_module", fake_import)
    yield calls


@pytest.mark.parametrize("line, module, config", [
    ("", ".serve", "shack-config.json"),
    ("--config x.json", ".serve", "x.json"),
    ("-c x.json", ".serve", "x.json"),
    ("--conf x.json", ".serve", "x.json"),
    ("serve --config x.json", ".serve", "x.json"),
    ("check -c x.json", ".check", "x.json"),
])
def test_the_command_is_run_with_its_arguments(
    called: list[tuple[str, Arguments]], line: str, module: str, config: str
) -> None:
    assert main(line.split()) == 7
    [(name, arguments)] = called
    assert (name, arguments.values["config"]) == (module, config)


def test_without_arguments_those_of_the_process_count(
    called: list[tuple[str, Arguments]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["shack-gateway", "check", "--json"])
    assert main() == 7
    assert called[0][1].switches == {"json"}


@pytest.mark.parametrize("line, words", [
    ("chek", "unknown command: chek (did you mean check?)"),
    ("xyz", "unknown command: xyz (one of serve, check, "),
    ("--nope", "unknown option: --nope"),
    ("check --config", "--config needs a value"),
    ("check extra", "unexpected argument: extra"),
    ("--config a b", "unexpected argument: b"),
])
def test_wrong_usage_is_exit_code_2_with_the_reason_and_the_right_form(
    called: list[tuple[str, Arguments]], capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert (out, called) == ("", [])
    assert err.startswith("usage: shack-gateway ")
    assert f"\nshack-gateway: error: {words}" in err


@pytest.mark.parametrize("line", ["-h", "--help", "check --help", "serve -h", "--config x -h", "help -h"])
def test_help_is_shown_on_standard_output(capsys: pytest.CaptureFixture[str], line: str) -> None:
    assert main(line.split()) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: shack-gateway ") and err == ""


def test_the_overview_has_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    out = capsys.readouterr().out
    for command in COMMANDS:
        assert f"  {command.name} " in out and command.summary in out


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"shack-gateway {__version__}\n"


@pytest.mark.parametrize("error, code", [(KeyboardInterrupt(), 130), (ValueError("odd"), 1), (RecursionError(), 1)])
def test_what_breaks_is_an_exit_code_and_never_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int
) -> None:
    def broken(name: str, package: str) -> ModuleType:
        raise error

    monkeypatch.setattr(main_module, "import_module", broken)
    assert main(["check"]) == code
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    if code == 1:
        assert re.match(r"shack-gateway: internal error: \w+: .*\(test_main.py:\d+\). Please report it.", err)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise on Windows")
@pytest.mark.parametrize("line", [["help", "config"], ["--version"]], ids=["more than is buffered", "less"])
def test_a_reader_that_leaves_is_no_error_message(line: list[str]) -> None:
    """`shack-gateway help config | head -1`, with a reader that leaves before anything is written."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "wb") as out:
        done = subprocess.run([sys.executable, "-m", "shack_gateway", *line], cwd=ROOT, env=environ, stdout=out,
                              stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (1, b"")


FATAL = [
    ("no file", None, "failed to read config 'shack-config.json': "),
    ("no JSON", "{", "failed to parse config 'shack-config.json': "),
    ("no workspace", '{"workspace_root": "gone"}',
     "gateway initialization failed: workspace_root does not exist: gone"),
    ("many", '{"servrs": {}, "workspace_root": 5}', "`servrs` is not a key that shack-gateway knows"),
]


@pytest.mark.parametrize("content, words", [row[1:] for row in FATAL], ids=[row[0] for row in FATAL])
def test_serving_a_configuration_that_cannot_be_used_ends_with_1_and_an_empty_standard_output(
    tmp_path: Path, content: str | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "shack-config.json").write_text(content)
    done = program(cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr and "Traceback" not in done.stderr


def test_a_config_named_in_odd_bytes_is_told_and_not_stumbled_over(tmp_path: Path) -> None:
    done = program("--config", "größe \udcff\x1b[31m.json", cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert "failed to read config" in done.stderr
    assert "\x1b" not in done.stderr and "Traceback" not in done.stderr


# The page


def test_every_command_and_option_is_on_the_page() -> None:
    for command in COMMANDS:
        assert f"\n## `{command.name}`\n" in PAGE, command.name
        section = PAGE.partition(f"\n## `{command.name}`\n")[2].partition("\n## ")[0]
        for option in command.options:
            form = f"`--{option.name} {option.value}`" if option.value else f"`--{option.name}`"
            assert form in section, f"{command.name} {form}"
            if option.default:
                assert f"`{option.default}`" in section


def test_every_option_on_the_page_is_one() -> None:
    known = {f"--{option.name}" for command in COMMANDS for option in command.options} | {"--help", "--conf"}
    assert set(re.findall(r"--[a-z]+", PAGE)) <= known


def test_help_texts_fit_a_terminal() -> None:
    texts = [describe(command) for command in COMMANDS] + [main_module.overview()]
    assert max(len(line) for text in texts for line in text.splitlines()) <= 100
