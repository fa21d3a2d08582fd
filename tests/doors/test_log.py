"""The log: its form, what it hides, and that nobody waits for it."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.host import ROOT
from shack_gateway.log import MOST_BYTES, MOST_RECORDS, MOST_TEXT, REDACTED, Log, Record, escape, line, redactor

FIELDS = (
    "password",
    "token",
    "access_token",
    "api_key",
    "apikey",
    "authorization",
    "auth",
    "cookie",
    "client_secret",
    "credentials",
)
redact = redactor(FIELDS)
R = REDACTED


def written(use: Callable[[Log], None], level: str = "info") -> list[str]:
    """The lines that a log writes."""
    theirs, ours = os.pipe()
    log = Log(ours, level, FIELDS)
    use(log)
    log.close()
    os.close(ours)
    with open(theirs, encoding="utf-8", newline="\n") as file:
        return file.read().splitlines()


# --- form ------------------------------------------------------------------------------------------------------------


def test_a_line_has_time_level_logger_and_message() -> None:
    lines = written(lambda log: log.warning("shack-gateway.fleet", "server `a` ended"))
    assert len(lines) == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING shack-gateway\.fleet server `a` ended", lines[0])


def test_the_time_is_that_of_the_record_with_milliseconds() -> None:
    at = time.mktime((2026, 1, 31, 12, 0, 9, 0, 0, -1))
    assert line(Record(at + 0.0625, "INFO", "x", "y"), str) == "2026-01-31 12:00:09,062 INFO x y\n"


@pytest.mark.parametrize("level, count", [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_what_is_below_the_level_is_not_written(level: str, count: int) -> None:
    def use(log: Log) -> None:
        for method in (log.error, log.warning, log.info, log.debug):
            method("x", method.__name__)

    assert [words.split()[-1] for words in written(use, level)] == ["error", "warning", "info", "debug"][:count]


@pytest.mark.parametrize(
    "text, shown",
    [
        ("plain äöü 漢字 🙂", "plain äöü 漢字 🙂"),
        ("two\nlines\r\nand\ta tab", r"two\nlines\r\nand\ta tab"),
        ("\x1b[2J\x1b[3A \x1b]0;title\x07", r"\x1b[2J\x1b[3A \x1b]0;title\x07"),
        ("nul \0 del \x7f c1 \x9b31m", r"nul \x00 del \x7f c1 \x9b31m"),
        ("bidi \u202e\u2066 zero \u200b\ufeff line \u2028", r"bidi \u202e\u2066 zero \u200b\ufeff line \u2028"),
        ("tag \U000e0041 half \ud800", r"tag \ue0041 half \ud800"),
        ("", ""),
    ],
    ids=["plain", "line ends", "escape sequences", "control", "invisible", "tag and surrogate", "empty"],
)
def test_a_record_is_one_line_without_control_characters(text: str, shown: str) -> None:
    assert escape(text) == shown
    assert [found.partition(" x ")[2] for found in written(lambda log: log.info("x", text))] == [shown]


def test_colours_are_dropped_and_hide_no_secret() -> None:
    assert line(Record(0, "INFO", "x", "\x1b[36mtoken\x1b[0m=abc \x1b[1;31mred\x1b[m"), redact).endswith(
        f" x token={R} red\n"
    )


def test_what_follows_a_secret_on_the_next_line_is_kept() -> None:
    assert line(Record(0, "INFO", "x", "token=abc\nnext=1"), redact).endswith(rf" x token={R}\nnext=1" + "\n")


def test_a_long_record_is_cut_and_says_so() -> None:
    (found,) = written(lambda log: log.info("x", "a" * 1_000_000))
    assert found.endswith(f"a… ({1_000_000 - MOST_TEXT} more characters)") and len(found) < MOST_TEXT + 100


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, shown",
    [
        ('{"password": "hun\\"ter2", "a": 1}', f'{{"password": "{R}", "a": 1}}'),
        ('{"Password":"x\\\\","b":"kept"}', f'{{"Password":"{R}","b":"kept"}}'),
        ('{"token":12345,"b":2}', f'{{"token":{R},"b":2}}'),
        ('{"credentials": {"user": "u", "keys": ["]", 2]}, "b": 2}', f'{{"credentials": {R}, "b": 2}}'),
        ('{"input":"{\\"password\\":\\"x y\\",\\"b\\":1}"}', f'{{"input":"{{\\"password\\":\\"{R}\\",\\"b\\":1}}"}}'),
        ("{'token': 'abc', 'b': 1}", f"{{'token': '{R}', 'b': 1}}"),
        ("api_key=sk-123 other", f"api_key={R} other"),
        ("url?token=abc&x=1", f"url?token={R}&x=1"),
        ("password = hunter2", f"password = {R}"),
        ("token: a;b,c) next", f"token: {R}) next"),
        ("(token=abc) next", f"(token={R}) next"),
        ("Authorization: Bearer abc.def more", f"Authorization: {R} more"),
        ("authorization: Basic dXNlcjpwYXNz", f"authorization: {R}"),
        ('Authorization: Digest username="u", response="r"', f"Authorization: {R}"),
        ("curl -H 'Authorization: Bearer abc' https://x", f"curl -H 'Authorization: {R}' https://x"),
        ("Cookie: sid=abc; other=def", f"Cookie: {R}"),
        ("--access-token abc --x", f"--access-token {R} --x"),
        ("--token=abc", f"--token={R}"),
        ("['npx', '--api-key', 'sk-1', 'z']", f"['npx', '--api-key', '{R}', 'z']"),
        ("-token abc", f"-token {R}"),
        ("GITHUB_TOKEN=ghp_123", f"GITHUB_TOKEN={R}"),
        ("X-Api-Key: abc", f"X-Api-Key: {R}"),
        ("githubToken=abc clientSecret: def", f"githubToken={R} clientSecret: {R}"),
        ('cut off: {"password": "hunt', f'cut off: {{"password": "{R}'),
        ("Unexpected token } in JSON", "Unexpected token } in JSON"),
        ("tokens: 5, the password is wrong, author=me", "tokens: 5, the password is wrong, author=me"),
        ("password=", "password="),
        ("nothing to hide", "nothing to hide"),
    ],
    ids=lambda text: text[:26],
)
def test_the_value_of_a_secret_field_is_replaced_and_little_else(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_without_fields_nothing_is_replaced() -> None:
    assert redactor([])("password=abc") == "password=abc"


@pytest.mark.parametrize("seed", range(200))
def test_no_secret_survives_in_any_form_it_is_written(seed: int) -> None:
    dice = random.Random(seed)
    secret = "".join(dice.choice("abcXYZ0189-_./+$!") for _ in range(12)) + "Q"
    field = dice.choice(FIELDS)
    name = dice.choice([field, field.upper(), field.title(), field.replace("_", "-"), f"my_{field}"])
    form = dice.choice(
        [
            f'{{"a": 1, "{name}": "%s", "b": 2}}',
            f"{{'{name}': '%s'}}",
            f"{name}=%s",
            f"{name}: %s",
            f"--{name} %s",
            f"--{name}=%s",
            f'{{\\"{name}\\": \\"%s\\"}}',
            f"{name}='%s'",
            f'"{name}" : ["%s"]',
            f'x {name} = "%s" y',
        ]
    )
    (found,) = written(lambda log: log.info("x", "before " + form % secret))
    assert secret not in found and REDACTED in found, f"seed {seed}: {found}"


@pytest.mark.parametrize(
    "text",
    [
        "a" * MOST_TEXT,
        "token " * 1_300,
        '"' * MOST_TEXT,
        "\\" * MOST_TEXT,
        'token="' * 1_100,
        "-" * MOST_TEXT,
        "token: {" * 1_000,
        'token:"' + "\\" * MOST_TEXT,
        "token=" + "," * MOST_TEXT,
    ],
    ids=lambda text: text[:8],
)
def test_no_text_makes_the_search_for_secrets_slow(text: str) -> None:
    began = time.process_time()
    redact(text)
    assert time.process_time() - began < 1  # milliseconds; a search that runs wild takes minutes


# --- nobody waits ----------------------------------------------------------------------------------------------------


posix = pytest.mark.skipif(sys.platform == "win32", reason="fills a pipe as only POSIX lets us")


@posix
@pytest.mark.parametrize("blocking", [True, False])
def test_a_full_standard_error_costs_lines_which_are_counted_but_no_time(blocking: bool) -> None:
    theirs, ours = os.pipe()
    os.set_blocking(ours, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(ours, b"x" * 4096)
    os.set_blocking(ours, blocking)
    log = Log(ours)
    for number in range(MOST_RECORDS + 500):
        log.info("x", f"record {number}")
    log.close(timeout=0.01)  # gives up
    got: list[bytes] = []

    def read() -> None:
        while chunk := os.read(theirs, 65_536):
            got.append(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    log.close(timeout=10)
    os.close(ours)
    reader.join()
    os.close(theirs)
    lines = b"".join(got).lstrip(b"x").decode().splitlines()
    numbers = [int(found.split()[-1]) for found in lines[:-1]]
    assert numbers[:MOST_RECORDS] == list(range(MOST_RECORDS)) and numbers == sorted(numbers)
    dropped = re.search(r"WARNING .* (\d+) log lines were dropped", lines[-1])
    assert dropped and int(dropped[1]) + len(lines) - 1 == MOST_RECORDS + 500


@posix
def test_what_waits_is_bounded_in_bytes_too() -> None:
    theirs, ours = os.pipe()
    os.set_blocking(ours, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(ours, b"x" * 4096)
    log = Log(ours)
    for _ in range(MOST_RECORDS):
        log.info("x", "y" * MOST_TEXT)
    assert sum(len(record.text) for record in log._waiting) <= MOST_BYTES
    os.close(theirs)
    log.close()
    os.close(ours)


@posix
@pytest.mark.parametrize("way", ["closed", "broken"])
def test_a_standard_error_that_is_gone_is_no_fault(way: str) -> None:
    theirs, ours = os.pipe()
    os.close(theirs)
    if way == "closed":
        os.close(ours)
    log = Log(ours)
    for number in range(10):
        log.error("x", str(number))
    log.close()
    log.error("x", "after the end")
    if way == "broken":
        os.close(ours)


def test_a_log_that_was_not_used_starts_no_thread() -> None:
    before = threading.active_count()
    log = Log(2)
    log.debug("x", "below the level")
    assert threading.active_count() == before
    log.close()


def test_records_of_many_threads_all_arrive_each_in_its_order() -> None:
    def use(log: Log) -> None:
        def speak(name: int) -> None:
            for number in range(50):
                log.info(f"t{name}", str(number))

        threads = [threading.Thread(target=speak, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    lines = written(use)
    for name in range(4):
        assert [found.split()[-1] for found in lines if f" t{name} " in found] == [str(n) for n in range(50)]


@posix
def test_a_program_whose_standard_error_is_stuck_can_still_end(tmp_path: Path) -> None:
    theirs, ours = os.pipe()
    code = (
        "import os\nfrom shack_gateway.log import Log\nlog = Log(2)\n"
        "for n in range(5000): log.info('x', 'y' * 1000)\nlog.close(0.1)\nprint('ended')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=ours,
        timeout=20,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == b"ended\n"
    os.close(ours)
    os.close(theirs)
