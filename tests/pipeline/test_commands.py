"""A line for a shell is taken apart where that is sure, and every command in it is found where it is not."""
from __future__ import annotations

import pytest

from shack_gateway.pipeline.commands import MOST, TooMuch, behind, may_hold_more, parts, told


@pytest.mark.parametrize("line, commands", [
    ("git log", ["git log"]), (" git log ", ["git log"]), ("a && b", ["a", "b"]), ("a||b", ["a", "b"]),
    ("a; b", ["a", "b"]), ("a | b |& c", ["a", "b", "c"]), ("a & b", ["a", "b"]), ("a;", ["a"]), ("a &", ["a"]),
    ("git commit -m 'a; b'", ["git commit -m 'a; b'"]), ('echo "a && b" | c', ['echo "a && b"', "c"]),
    ("echo $HOME", ["echo $HOME"]), ("a\tb", ["a\tb"]), ("echo ä", ["echo ä"]), ("echo a\\ b", ["echo a\\ b"]),
])
def test_a_plain_line_is_cut_into_its_commands(line: str, commands: list[str]) -> None:
    assert parts(line) == commands


@pytest.mark.parametrize("line", [
    "echo $(rm)", "echo `rm`", "a > b", "a < b", "a 2>&1", "a >> b", "<(a)", "a\nb", "a\rb", "a\0", "a\x1bb", "(a)",
    "{ a; }", "echo ${x}", "echo $'x'", 'echo $"x"', "echo $[1]", 'echo "$(rm)"', 'echo "`rm`"', "a 'b", 'a "b', "a \\",
    "a;;b", "a &&", "&& a", "; a", "a ; ; b", "", " ", "a &&& b", "a\u2028b", "a\\;b", "x" * 40_000,
])
def test_a_line_that_does_more_or_is_unclear_is_not_taken_apart(line: str) -> None:
    assert parts(line) is None


def test_on_windows_quotes_protect_nothing() -> None:
    assert parts("echo 'a & b'", windows=True) is None and parts('echo "a & b"', windows=True) is None
    assert parts("echo 'a b'", windows=True) == ["echo 'a b'"]


@pytest.mark.parametrize("command, last", [
    ("timeout 5 git log", "git log"), ("timeout -k 5 10s git log", "git log"), ("time -p git log", "git log"),
    ("nice -n 5 git log", "git log"), ("nohup git log", "git log"), ("stdbuf -oL git log", "git log"),
    ("command git log", "git log"), ("builtin cd x", "cd x"), ("noglob git log", "git log"), ("xargs git log",
    "git log"), ("LC_ALL=C TZ=UTC git log", "git log"), ("nice timeout 5 NO_COLOR=1 git log", "git log"),
    ("sudo git log", "sudo git log"), ("env git log", "env git log"), ("xargs -I x git log", "xargs -I x git log"),
    ("PATH=/x git log", "PATH=/x git log"), ("LD_PRELOAD=x git log", "LD_PRELOAD=x git log"),
    ("LANG=$(x) git", "LANG=$(x) git"), ("command -v git", "command -v git"), ("timeout git log", "timeout git log"),
    ("nohupgit log", "nohupgit log"), ("git timeout 5 log", "git timeout 5 log"),
])
def test_an_allowed_command_is_seen_past_what_changes_nothing(command: str, last: str) -> None:
    assert behind(command)[0] == command and behind(command)[-1] == last


HIDDEN = [
    "rm -rf /", "ls && rm -rf /", "ls||rm -rf /", "ls; rm -rf /", "ls | rm -rf /", "ls |& rm -rf /", "ls & rm -rf /",
    "ls\nrm -rf /", "ls\r\nrm -rf /", "echo $(rm -rf /)", "echo `rm -rf /`", "(rm -rf /)", "(cd x; (rm -rf /))",
    "{ rm -rf /; }", "diff <(rm -rf /) x", 'echo "$(rm -rf /)"', "if true; then rm -rf /; fi", "while rm -rf /; do :;",
    "! rm -rf /", "timeout 5 rm -rf /", "timeout -k 5 10 rm -rf /", "time rm -rf /", "nice -n 5 rm -rf /",
    "nohup rm -rf /", "stdbuf -oL rm -rf /", "command rm -rf /", "builtin rm -rf /", "noglob rm -rf /",
    "xargs rm -rf /", "xargs -n 1 -I {} rm -rf /", "sudo rm -rf /", "sudo -u root rm -rf /", "sudo -E A=1 rm -rf /",
    "env rm -rf /", "env -i A=b rm -rf /", "env -u X rm -rf /", "X=1 rm -rf /", "X='a b;c' Y=2 rm -rf /",
    "PATH+=x rm -rf /", "/bin/rm -rf /", "./rm -rf /", "../../bin/rm -rf /", "sudo /usr/bin/env /bin/rm -rf /",
    "r''m -rf /", "'rm' -rf /", '"rm" -rf /', "r\\m -rf /", "\\rm -rf /", "'r'\"m\" -rf /", "$'\\x72m' -rf /",
    "$'\\162m' -rf /", "$'\\u0072m' -rf /", "'/bin/rm' -rf /", "'sudo' rm -rf /", "/usr/bin/sudo rm -rf /",
    "sh -c 'rm -rf /'", 'bash -c "rm -rf /"', "bash -lc 'ls; rm -rf /'", "eval rm -rf /", "eval 'rm -rf /'",
    "exec rm -rf /", "rm$IFS-rf$IFS/", "rm${IFS}-rf /", "{rm,-rf,/}", "r$@m -rf /", "> out rm -rf /",
    "2>/dev/null rm -rf /", "rm \\\n-rf /", "sudo timeout 5 nice env X=1 sh -c 'rm -rf /'", "doas rm -rf /",
    "rm.exe -rf /", "true &&rm -rf /", "a=$(rm -rf /) b", "coproc rm -rf /", "echo x;rm -rf / #",
    "echo \"$(X='a;b' rm -rf /)\"", "(X=\"a;b\" rm -rf /)",
    "2>&1 rm -rf /", "1>&2 rm -rf /", "rm 2>/dev/null -rf /", "rm </dev/null -rf /", "rm >x 2>&1 -rf /", "rm $no -rf /",
    "trap 'rm -rf /' EXIT", "find . -exec rm -rf {} +", "find x -execdir rm -rf y +", "su root -c 'rm -rf /'",
    "watch rm -rf /", "flock /tmp/x rm -rf /", "ssh -p 22 host rm -rf /", "chroot /x rm -rf /", "timeout .5 rm -rf /",
    "script -qc 'rm -rf /'",
]


@pytest.mark.parametrize("line", HIDDEN)
def test_every_command_that_a_line_may_start_is_told(line: str) -> None:
    assert line == "rm -rf /" or may_hold_more(line)
    assert any(" ".join(each.split()).startswith("rm -rf") for each in told(line)), list(told(line))


@pytest.mark.parametrize("line", ["git log", "echo rm -rf /", "echo 'rm -rf /'", "grep -r rm .", "git rm -rf x",
    "arm -rf", "git -c x=rm -rf", "echo > rm -rf"])
def test_arguments_are_not_taken_for_commands(line: str) -> None:
    assert not any(each.startswith("rm -rf") for each in told(line))


def test_a_backslash_before_a_letter_and_a_caret_are_undone_on_windows() -> None:
    assert "del x" in set(told("d^el x", windows=True))
    assert "del x" in set(told('cmd /c "del x"', windows=True))


@pytest.mark.parametrize("text", [
    "a;" * (MOST + 1), ";".join(f"a{at}" for at in range(MOST + 1)), "sudo " * 100 + "x", "sudo " + "-a " * 100,
])
def test_what_is_too_much_to_be_told_apart_is_said(text: str) -> None:
    with pytest.raises(TooMuch):
        list(told(text))


@pytest.mark.parametrize("text", [
    "'" * 20_001, '"' * 20_001, "\\" * 20_001, "(" * 20_000, "a'" * 5001, "{a," * 5000, "-x " * 5000, "$" * 20_000,
    "${" * 10_000, "$'" * 5001, "a b " * 20_000, "a" * 100_000, "'a" + 'b;"' * 5001, "x='" * 5000, "\\\n" * 10_000,
], ids=lambda text: text[:4])
def test_no_line_takes_long(text: str) -> None:
    """Whoever goes back over a text again and again would be at this for minutes."""
    list(told(text))
    parts(text)
