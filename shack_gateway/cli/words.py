"""The first words of a line for the shell, as far as they can be told without running it.  Pure.

Rule 1: whatever is not certain (a substitution, a glob, a keyword) gives no words: a wrong alarm is worse than none.
"""
from __future__ import annotations

from collections.abc import Mapping

from ..lazy import Pattern

_VARIABLE = Pattern(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?-)([^{}$`'\"\\]*))?\})")
_ASSIGNMENT = Pattern(r"[A-Za-z_]\w*=")
_ENDS = ";&|<>()\n"
_GLOBS = "*?["
NOT_PROGRAMS = frozenset({
    "!", ".", ":", "[", "[[", "{", "}", "alias", "bg", "break", "builtin", "case", "cd", "command", "continue",
    "coproc", "declare", "do", "done", "echo", "elif", "else", "esac", "eval", "exec", "exit", "export", "false",
    "fc", "fg", "fi", "for", "function", "getopts", "hash", "if", "in", "jobs", "kill", "let", "local", "printf",
    "pwd", "read", "readonly", "return", "select", "set", "shift", "source", "test", "then", "time", "times", "trap",
    "true", "type", "typeset", "ulimit", "umask", "unalias", "unset", "until", "wait", "while",
})
"""Words that the shell itself knows; what follows some of them is a program, which we do not look for."""


class Unsure(Exception):
    """The line may mean anything."""


def first_words(line: str, environ: Mapping[str, str]) -> list[str]:
    """The words of the first command of a line for `/bin/sh`, variables filled in; none where that is not certain."""
    try:
        words = _Reading(line, environ).words()
    except Unsure:
        return []
    while words and words[0][1] and _ASSIGNMENT.match(words[0][0]):
        words.pop(0)
    plain = [word for word, _ in words]
    while plain[:1] == ["exec"] and len(plain) > 1 and not plain[1].startswith("-"):
        plain.pop(0)
    return [] if not plain or not plain[0] or plain[0] in NOT_PROGRAMS else plain


class _Reading:
    """One line, read sign by sign."""

    def __init__(self, line: str, environ: Mapping[str, str]) -> None:
        self._line, self._environ, self._at = line, environ, 0

    def words(self) -> list[tuple[str, bool]]:
        """Each word of the first command, and whether it begins without a quote."""
        line, found = self._line, list[tuple[str, bool]]()
        while self._at < len(line):
            sign = line[self._at]
            if sign in " \t":
                self._at += 1
            elif sign in _ENDS or sign == "#":
                if not found and sign != "\n":
                    raise Unsure
                if found and sign in "<>" and found[-1][0].isdigit() and line[self._at - 1].isdigit():
                    found.pop()                 # `2>`
                if found or sign == "#":
                    break
                self._at += 1
            else:
                found.append((self._word(), sign not in "'\"\\"))
        return found

    def _word(self) -> str:
        line, text, start = self._line, "", self._at
        while self._at < len(line) and line[self._at] not in " \t" + _ENDS:
            sign = line[self._at]
            if sign == "'":
                end = line.find("'", self._at + 1)
                if end < 0:
                    raise Unsure
                text += line[self._at + 1 : end]
                self._at = end + 1
            elif sign == '"':
                text += self._quoted()
            elif sign == "\\":
                if line[self._at + 1 : self._at + 2] in ("", "\n"):
                    raise Unsure
                text += line[self._at + 1]
                self._at += 2
            elif sign == "$":
                value = self._variable()
                if not value or set(value) & set(" \t\n" + _GLOBS):
                    raise Unsure                # it may become no word, or several
                text += value
            elif sign in _GLOBS or sign == "`":
                raise Unsure
            elif sign == "~" and self._at == start:
                text += self._home()
            else:
                text += sign
                self._at += 1
        return text

    def _quoted(self) -> str:
        line, text = self._line, ""
        self._at += 1
        while self._at < len(line):
            sign = line[self._at]
            if sign == '"':
                self._at += 1
                return text
            if sign == "`":
                raise Unsure
            if sign == "$":
                text += self._variable()
                continue
            if sign == "\\" and line[self._at + 1 : self._at + 2] == "\n":
                raise Unsure
            if sign == "\\" and line[self._at + 1 : self._at + 2] in ("$", "`", '"', "\\"):
                self._at += 1
                sign = line[self._at]
            text += sign
            self._at += 1
        raise Unsure

    def _variable(self) -> str:
        found = _VARIABLE.match(self._line, self._at)
        if found is None:
            raise Unsure
        self._at = found.end()
        value = self._environ.get(found[1] or found[2])
        return (found[4] or "") if value is None or (not value and found[3] == ":-") else value

    def _home(self) -> str:
        home = self._environ.get("HOME", "")
        if not home or self._line[self._at + 1 : self._at + 2] not in ("", "/", " ", "\t"):
            raise Unsure
        self._at += 1
        return home
