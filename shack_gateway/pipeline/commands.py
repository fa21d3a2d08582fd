"""Commands in a line for a shell: the ones it plainly consists of, and all that it might start.  Pure.

Rule 1: to allow, a line is only taken apart where every shell would agree; what substitutes, redirects or goes on over
        lines is left whole.
Rule 2: to deny, each reading counts: cut with and without regard for quotes, with what stands before a command
        (`sudo`, `timeout 5`, `X=1`, `sh -c`) and without, with quotes and escapes and undone.
Rule 3: everything is bounded: a line with more in it than `MOST`, or than there is effort for, raises `TooMuch`.
"""
from __future__ import annotations

import re
from collections.abc import Iterator

from ..lazy import Pattern
from .effort import Effort
from .effort import TooMuch as TooMuch

MOST = 20_000
"""Commands in one text."""
LONGEST_LINE = 32_768
"""Characters of a line that is taken apart to be allowed."""
MOST_BEFORE = 64
"""Words that may stand before one command."""

RUNNERS = frozenset({"timeout", "time", "nice", "nohup", "stdbuf", "command", "builtin", "noglob"})
"""What starts the command behind it and changes nothing else; allow rules look past these, and past a bare `xargs`."""
ANY_RUNNERS = RUNNERS | {
    "xargs", "sudo", "doas", "env", "exec", "eval", "setsid", "ionice", "chrt", "taskset", "unbuffer", "busybox",
    "nocorrect", "sh", "bash", "zsh", "dash", "ksh", "ash", "fish", "su", "cmd", "cmd.exe", "powershell", "pwsh",
    "coproc", "then", "do", "else", "elif", "if", "while", "until", "!", "{", "(", "&", "call", "start", "trap",
    "watch", "strace", "ltrace", "flock", "parallel", "chroot", "nsenter", "unshare", "pkexec", "runuser", "script",
    "systemd-run", "fakeroot", "toybox", "caffeinate", "chronic", "numactl", "prlimit", "proot", "firejail", "ssh",
}
"""The same for rules that forbid, which look past everything that may start a command."""
_PLACED = frozenset({"flock", "ssh", "chroot", "su", "runuser", "proot"})
"""Those that are told a file, a folder, a user or a machine before the command."""
_SAFE_VARIABLES = frozenset({
    "LANG", "LANGUAGE", "TZ", "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "COLUMNS", "LINES", "CI",
    "NODE_ENV", "RUST_BACKTRACE", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "DEBIAN_FRONTEND", "GOOS", "GOARCH",
})
"""Variables that change what a command says, not what it does; allow rules look past these, and past `LC_...`."""

_QUOTED = r"\\.|'[^']*'|\"[^\"\\]*(?:\\.[^\"\\]*)*\""
_PIECES = Pattern(rf"(?:{_QUOTED})|(?P<cut>[;&|\n\r]+)|[^\\'\";&|\n\r]+|.", re.DOTALL)
_CUT = r"(?P<cut>[;&|\n\r()`{}]+|\$\(|[<>]\()"
_UNQUOTED = Pattern(rf"(?:{_QUOTED})|{_CUT}|[^\\'\";&|\n\r()`{{}}$<>]+|.", re.DOTALL)
_OUTSIDE_SINGLE = Pattern(rf"\\.|'[^']*'|{_CUT}|[^\\';&|\n\r()`{{}}$<>]+|.", re.DOTALL)
_CUTS = Pattern(r"[;&|\n\r()`{}]+|\$\(|[<>]\(")
_HANDED_ON = Pattern(r"(?<=\s)-(?:[a-z]{0,4}c|exec|execdir|ok|okdir|Command)\s+")
"""Options behind which a command stands, whoever takes them: `find -exec`, `su root -c`."""
_REDIRECTED = Pattern(r"(?:\d{1,3}|&)?(?<!<)(?:>>?|<(?!<))[&|]?(?!\()[ \t]*[^\s;&|<>()'\"`]+")
_QUOTED_SIGNS = "\\'\";&|\n\r()`{}$<>"
_UNDONE = Pattern(r"[\\'\"^]+")
_QUOTES = Pattern(r"\$'((?:[^'\\]|\\.)*)'|'([^']*)'|\$?\"((?:[^\"\\]|\\.)*)\"|\\(.)|['\"\\]", re.DOTALL)
_ESCAPES = Pattern(r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|(.))", re.DOTALL)
_BACKSLASH = Pattern(r"\\(.)", re.DOTALL)
_EMPTY = Pattern(r"\$(?:[@*]|[A-Za-z_]\w*|\{[^{}]*\})")
_SPACES = Pattern(r"\$IFS(?:\$\d)?|\$\{IFS[^{}]*\}")
_BRACES = Pattern(r"\{([^{}\s]*,[^{}\s]*)\}")
_SETTLED = Pattern(r"(?<!&)[;&]\s*\Z")
_WORD = Pattern(rf"\s*((?:{_QUOTED}|[^\s\\'\"]+|.)+?)(?=\s|$)", re.DOTALL)
_VARIABLE = Pattern(r"[A-Za-z_]\w*\+?=")
_REDIRECTION = Pattern(r"\d*(?:[<>]{1,2}|&>)[&|]?")
_NUMBER = Pattern(r"\+?\.?\d[\d.]*[smhd]?")
_UNSURE = Pattern(r"[\x00-\x08\x0a-\x1f\x7f`<>(){}]|\$[({'\"\[]|[^\x00-\x7f]*[\u2028\u2029\u0085]")
_SIGNS = re.compile(
    r"[;&|\n\r()`{}$<>'\"\\=/^!@]|\.(?:exe|cmd|bat|com)\b|\t| -(?:[a-z]{0,4}c|exec|execdir|ok|okdir|Command) ")
_ASSIGNS = Pattern(r"[\w.]+(?:\+?=|(\[)(?=.*\]\+?=))", re.DOTALL)
"""How a word begins that may be an assignment to some shell; behind a `[` nobody knows where it ends."""
_SHELL_WORD = Pattern(rf"(?:{_QUOTED}|[^ \t\\'\"]+|[\\'\"])*", re.DOTALL)
_SAFE_VARIABLE = Pattern(r"([A-Za-z_]\w*)=[\w.,:@%+-]*\s+", re.ASCII)
_RUN = Pattern(
    r"(?:timeout(?:\s+(?:-k\s*|-s\s*|--signal=|--kill-after=)\w+|\s+(?:-v|--foreground|--preserve-status))*\s+[\d.]+[smhd]?"
    r"|nice(?:\s+(?:-n\s*)?-?\d+)?|stdbuf(?:\s+-[ioe]\s*\w+)*|time(?:\s+-p)?|nohup|command|builtin|noglob|xargs)"
    r"(?:\s+--)?\s+(?!-)", re.ASCII)


def parts(line: str, *, windows: bool = False) -> list[str] | None:
    """The commands of a line, each as written; None where shells might read it in another way, or do more than them."""
    if len(line) > LONGEST_LINE or _UNSURE.search(line):
        return None
    found, start = [], 0
    for piece in _PIECES.finditer(line):
        text = piece[0]
        if piece["cut"]:
            if text not in ("&&", "||", ";", "|", "|&", "&"):
                return None
            found.append(line[start : piece.start()])
            start = piece.end()
        elif text in ("'", '"', "\\"):
            return None                         # a quote that nothing closes
        elif (windows or text[0] == "\\") and _CUTS.search(text):
            return None                         # `cmd` cuts inside of single quotes, and knows no backslash
    found.append(line[start:])
    stripped = [each.strip() for each in found]
    if len(stripped) > 1 and not stripped[-1] and _SETTLED.search(line):
        stripped.pop()
    return stripped if all(stripped) else None


def behind(part: str) -> list[str]:
    """A command as written, and without what changes nothing about it; the first that a rule knows will do."""
    found = [part]
    for _ in range(MOST_BEFORE):
        variable, run = _SAFE_VARIABLE.match(part), _RUN.match(part)
        if variable and (variable[1] in _SAFE_VARIABLES or variable[1].startswith("LC_")):
            part = part[variable.end() :]
        elif run:
            part = part[run.end() :]
        else:
            break
        found.append(part)
    return found


def assigned(part: str) -> tuple[str, str]:
    """The assignments that a command begins with, and the command itself: with others it is another command.

    Where an assignment may be to an element (`a[1]=x`), the whole is taken for assignments.
    """
    found, at = [], 0
    while begins := _ASSIGNS.match(part, at):
        if begins[1]:
            return part, ""
        word = _SHELL_WORD.match(part, at)
        assert word is not None
        found.append(word[0])
        at = word.end()
        while part[at : at + 1] in (" ", "\t"):
            at += 1
    return " ".join(found), part[at:]


def may_hold_more(text: str) -> bool:
    """False for most texts: one command at most, with nothing before it and nothing to undo."""
    return _SIGNS.search(text) is not None or text.lstrip().partition(" ")[0] in ANY_RUNNERS


def told(text: str, *, windows: bool = False, effort: Effort | None = None) -> Iterator[str]:
    """Every command that a line might start, each once, in its readings."""
    seen: set[str] = set()
    effort = effort or Effort()
    text = text.replace("\\\r\n", "").replace("\\\n", "")
    for form in _forms(text, effort):
        for piece in _cut(form, effort):
            effort.spend(8 + 0.05 * len(piece) + _undone(piece))
            for reading in _readings(piece, windows):
                if reading not in seen:
                    if len(seen) >= MOST * 4:
                        raise TooMuch(f"a text holds more than {MOST} commands")
                    effort.spend(2)
                    seen.add(reading)
                    yield reading


def needs(rule: str) -> tuple[str, ...]:
    """What has to stand in a long text for a rule of this text to be about any command in it (`letters_of`)."""
    return tuple(dict.fromkeys(_UNDONE.sub(" ", rule).replace("*", " ").split()))


def letters_of(text: str) -> str | None:
    """A text without anything that a shell undoes in the middle of a word, twice: with its variables and without; None
    where that cannot be told. Where it lacks what a rule needs, the rule is about no command in the text."""
    if "$'" in text:
        return None
    text = _UNDONE.sub("", text.replace("\\\r\n", "").replace("\\\n", ""))
    return f"{text}\n{_EMPTY.sub('', text)}" if "$" in text else text


def _forms(text: str, effort: Effort) -> tuple[str, ...]:
    """The text, with variables that may be a space as one, without those that may be empty, without redirections."""
    forms = {text: None}
    if "$" in text:
        effort.spend(0.3 * text.count("$") + 0.01 * len(text))
        spaced = _SPACES.sub(" ", text)
        forms[spaced] = forms[_EMPTY.sub("", spaced)] = None
    if "<" in text or ">" in text:
        for form in tuple(forms):
            effort.spend(0.3 * (form.count("<") + form.count(">")) + 0.03 * len(form))
            forms[_REDIRECTED.sub(" ", form)] = None
    return tuple(forms)


def _cut(text: str, effort: Effort) -> Iterator[str]:
    """The pieces of a text between signs that end a command, with and without regard for quotes."""
    effort.spend(0.03 * len(text))
    naive = [piece.strip() for piece in _CUTS.split(text)]
    if len(naive) > MOST:
        raise TooMuch(f"a text holds more than {MOST} commands")
    yield from naive
    for pattern in (_UNQUOTED, _OUTSIDE_SINGLE) if "'" in text or '"' in text or "\\" in text else ():
        effort.spend(0.6 * sum(map(text.count, _QUOTED_SIGNS)))
        start = 0
        for piece in pattern.finditer(text):
            if piece["cut"]:
                yield text[start : piece.start()].strip()
                start = piece.end()
        yield text[start:].strip()
    if "{" in text and "," in text:
        for braces in _BRACES.finditer(text):
            yield braces[1].replace(",", " ")
    if " -" in text or "\t-" in text or "\n-" in text:
        for each in _HANDED_ON.finditer(text):
            end = _CUTS.search(text, each.end())
            effort.spend(2)
            yield text[each.end() : end.start() if end else None].lstrip("'\"")


def _undone(text: str) -> float:
    """What it costs to undo the quotes of a text."""
    return 1.5 * (text.count("'") + text.count('"') + text.count("\\"))


def _readings(piece: str, windows: bool) -> Iterator[str]:
    """One piece as it stands, and with everything undone that a shell undoes."""
    forms = [piece]
    if windows and "^" in piece:
        forms.append(piece.replace("^", ""))
    for form in tuple(forms):
        if "'" in form or '"' in form or "\\" in form:
            forms.append(_QUOTES.sub(_unquoted, form))
            if windows:
                forms.append(form.replace('"', ""))
    for form in dict.fromkeys(forms):
        yield from _without_runners(form.strip())


def _unquoted(quoted: re.Match[str]) -> str:
    ansi, single, double, escaped = quoted.groups()
    if ansi is not None:
        return _ESCAPES.sub(_escape, ansi)
    if double is not None:
        return _BACKSLASH.sub(lambda escape: escape[1], double) if "\\" in double else double
    return single if single is not None else escaped or ""


def _escape(escape: re.Match[str]) -> str:
    hexadecimal = escape[1] or escape[2] or escape[3]
    code = int(hexadecimal, 16) if hexadecimal else int(escape[4], 8) if escape[4] else -1
    return chr(code) if 0 <= code < 0x110000 else {"n": "\n", "t": "\t"}.get(escape[5] or "", escape[5] or "")


def _without_runners(line: str) -> Iterator[str]:
    """A command, and what it starts: behind variables, redirections and words that run other commands."""
    todo, seen = [0], {0}
    while todo:
        at = todo.pop()
        found = _WORD.match(line, at)
        if not found:
            continue
        word = found[1]
        yield line[found.start(1) :]
        after = set()
        bare = _QUOTES.sub(_unquoted, word) if "'" in word or '"' in word or "\\" in word else word
        program = re.split(r"[/\\]", word)[-1] if "/" in word or "\\" in word else word
        program = program[:-4] if program[-4:].lower() in (".exe", ".cmd", ".bat", ".com") else program
        if program != word and program:
            yield program + line[found.end() :]
        redirection = _REDIRECTION.match(word)
        if redirection and redirection.end() == len(word):
            after.add(_next(line, found.end()))
        elif redirection or _VARIABLE.match(word):
            after.add(found.end())
        elif word[0] in "!({&@" and len(word) > 1:
            after.add(found.start(1) + 1)
        elif program in ANY_RUNNERS or re.split(r"[/\\]", bare)[-1] in ANY_RUNNERS:
            after |= _after_options(line, found.end())
            if program in _PLACED:
                for place in tuple(after):
                    after |= _after_options(line, _next(line, place))
        for place in after - seen:
            seen.add(place)
            todo.append(place)
        if len(seen) > MOST_BEFORE:
            raise TooMuch(f"more than {MOST_BEFORE} words stand before a command")


def _after_options(line: str, at: int) -> set[int]:
    """Where the command of a runner may begin: behind its options, which may have arguments or not."""
    places, todo = {at}, [at]
    while todo:
        at = todo.pop()
        found = _WORD.match(line, at)
        if not found:
            continue
        word = found[1]
        option = word[0] in "-/" and not re.match(r"/\w{2,}", word)
        if option or _NUMBER.fullmatch(word) or _VARIABLE.match(word):
            for place in {found.end(), _next(line, found.end())} if option else {found.end()}:
                if place not in places:
                    places.add(place)
                    todo.append(place)
        if len(places) > MOST_BEFORE:
            raise TooMuch(f"more than {MOST_BEFORE} words stand before a command")
    return places


def _next(line: str, at: int) -> int:
    """Where the word at a place ends."""
    found = _WORD.match(line, at)
    return found.end() if found else len(line)
