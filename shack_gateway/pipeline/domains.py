"""Hosts in addresses: the one that an address plainly names, and all that somebody might read out of a text.  Pure.

Rule 1: to allow, an address has one host and is written as every reader takes it; anything else has none.
Rule 2: to deny, every host that any reader might go to counts: readers differ on user names, backslashes, escapes and
        compatibility letters.
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from ..lazy import Pattern
from .effort import LONG, Effort, folding
from .letters import plain_letters

_PLAIN = Pattern(r"https?://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.?|\[[0-9a-f:.]+\])(?::[0-9]{0,5})?(?:[/?#][!-\[\]-~]*)?",
                 re.IGNORECASE)
_PATTERN = Pattern(r"(?:\*|(?:\*\.)?[^\s*/\\@?#:%]+|\[[0-9a-f:.]+\])", re.IGNORECASE)
_CANDIDATE = Pattern(r"(?:[/\\]{2}|@|:[/\\]*)(\[[0-9a-f:.]{2,60}\]|[^/\\?#@:\s\"'`<>(){}|,;!*&=$+^]{1,255})",
                     re.IGNORECASE)
"""What may be a host: whatever stands behind slashes, a colon or an `@`. Runs do not overlap: the search is linear."""
_ESCAPED = Pattern(r"%[0-9A-Fa-f]{2}")
_NUMBERS = Pattern(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+)){0,3}", re.IGNORECASE)
LONGEST_HOST = 255
MOST_NEEDLES = 16
FOUND, FOREIGN = 3.0, 60.0
"""What a host costs that is found in a text: one of ASCII letters, and one of others."""
_DOTS = {0x3002: ".", 0xFF0E: ".", 0xFF61: ".", 0x2024: "."}
def domain(written: str) -> str:
    """The host of a rule as it is compared: `example.com`, `*.example.com`, `*`; empty for what is none."""
    if not _PATTERN.fullmatch(written):
        return ""
    star = "*." if written.startswith("*.") else ""
    return written if written == "*" else star + _compared(written.removeprefix("*."))


def plain_host(address: str) -> str:
    """The host of an http or https address that all readers read alike, or an empty text."""
    found = _PLAIN.fullmatch(address)
    return _compared(found[1]) if found and len(found[1]) <= LONGEST_HOST else ""


def hosts(
    text: str, *, bare: bool = False, needles: Iterable[str] = (), effort: Effort | None = None
) -> Iterator[str]:
    """Every host that a reader might take out of a text; `bare` says that the text is an address even without a scheme.

    Parts of a long text that hold none of the `needles` are left out.
    """
    effort, seen = effort or Effort(), set()
    for form in _forms(text, effort):
        if needles and len(form) > LONG and not _holds(form, needles, effort):
            continue
        effort.spend(3 + 0.05 * len(form))
        for whole in (form, "//" + form.strip().lstrip("/\\")) if bare else (form,):
            for each in _CANDIDATE.finditer(whole):
                effort.spend(0.5)
                if each[1] not in seen:
                    seen.add(each[1])
                    effort.spend(FOUND if each[1].isascii() else FOREIGN)
                    host = _compared(each[1])
                    if host:
                        yield host


class Domains:
    """Rules about hosts, found by the host at the cost of its dots."""

    __slots__ = ("_below", "_every", "_exact", "needles")

    def __init__(self, rules: Iterable[tuple[str, Any]]) -> None:
        self._every: Any = None
        self._exact: dict[str, Any] = {}
        self._below: dict[str, Any] = {}
        for host, rule in rules:
            if host == "*":
                self._every = self._every or rule
            elif host.startswith("*."):
                self._below.setdefault(host[2:], rule)
            else:
                self._exact.setdefault(host, rule)
        plain = (*self._exact, *self._below)
        few = self._every is None and len(plain) <= MOST_NEEDLES
        self.needles = plain if few and all(map(_is_needle, plain)) else ()
        """Of these one stands in every long text that a rule is about; empty where that is not known."""

    def of(self, host: str) -> Any:
        """The rule about a host, or None."""
        rule = self._exact.get(host) or self._every
        while rule is None and "." in host:
            host = host.partition(".")[2]
            rule = self._below.get(host)
        return rule


def _forms(text: str, effort: Effort) -> Iterator[str]:
    """The text as readers of addresses tidy it: without tabs and line ends, with escapes undone and plain letters."""
    effort.spend(0.001 * len(text))
    forms = {text: None, text.replace("\t", "").replace("\r", "").replace("\n", ""): None}
    if not text.isascii():
        for form in tuple(forms):
            effort.spend(folding(form))
            forms[plain_letters(form)] = None
    for form in tuple(forms) if "%" in text else ():
        for _ in range(3):
            if not _ESCAPED.search(form):
                break
            effort.spend(0.5 * form.count("%") + 0.05 * len(form))
            form = unquote(form)
            forms[plain_letters(form)] = forms[form] = None
    yield from forms


def _holds(text: str, needles: Iterable[str], effort: Effort) -> bool:
    """True for a text in which one of the hosts may stand."""
    effort.spend(0.0012 * len(text) if text.isascii() else 0.1 * len(text) + 2 * folding(text))
    plain = text.lower() if text.isascii() else (
        plain_letters(plain_letters(text.translate(_DOTS)).casefold()).translate(_DOTS))
    return any(needle in plain for needle in needles)


def _is_needle(host: str) -> bool:
    """False for a host that may be written in other letters than its own."""
    return host.isascii() and "xn--" not in host and "[" not in host and not _NUMBERS.fullmatch(host)


def _compared(host: str) -> str:
    """A host in the one form that hosts are compared in."""
    host = host.translate(_DOTS)
    if not host.isascii():
        host = plain_letters(host).translate(_DOTS)
        try:
            host = ".".join(label.encode("idna").decode("ascii") if label else "" for label in host.split("."))
        except UnicodeError:
            pass
    host = host.lower().strip(".")
    return _ipv4(host) if host[:1].isdigit() and _NUMBERS.fullmatch(host) else host


def _ipv4(host: str) -> str:
    """An address of numbers, however they are written (`0x7f.1`, `2130706433`), as four decimal ones."""
    try:
        numbers = [_number(part) for part in host.split(".")]
    except ValueError:
        return host
    *upper, last = numbers
    if any(number > 255 for number in upper) or last >= 256 ** (5 - len(numbers)):
        return host
    whole = last + sum(number << (8 * (3 - at)) for at, number in enumerate(upper))
    return ".".join(str(whole >> shift & 255) for shift in (24, 16, 8, 0))


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8) if len(part) > 1 and part.startswith("0") else int(part)
