"""Path patterns of rules, in the manner of `.gitignore`, over the places that a text may lead to.  Pure.

    *.key       a name, in any folder below the root       /x, //x    from the root of the file system
    ./a/*.key   from the root; `a/*.key` says the same     ~/x        from the user's home folder
    a/**        everything below `a`                       a*/        what is in folders of such a name

`*` stays in a segment, `**` crosses them; every other sign is itself.

Rule 1: to deny, a pattern covers what is below of what it names, a name counts outside of the root too, and `/x` is
        also tried from the root. To allow, it covers nothing more than it says.
"""
from __future__ import annotations

from collections.abc import Iterable

from .globs import Glob, Globs, PathGlob
from .grammar import LOOSE, PATTERN, Rule
from .letters import folded
from .spellings import Spellings


class Places:
    """The patterns of many rules."""

    __slots__ = ("_anywhere", "_below", "_from_root", "_names", "_spellings", "_whole")

    def __init__(self, rules: Iterable[Rule], spellings: Spellings, *, below: bool) -> None:
        """`below` is how rules that forbid are read."""
        self._spellings, self._below = spellings, below
        whole: list[Glob] = []
        from_root: list[Glob] = []
        anywhere: list[Glob] = []
        names: list[Glob] = []
        for rule in rules:
            text = spellings.cased(folded(rule.text)).strip() + ("*" if rule.ends == LOOSE else "")
            rooted = self._rooted(text)
            for path in rooted:
                whole += self._globs(rule, path)
            if rooted and not (below and text.startswith("/")):
                continue
            text = text.lstrip("/")
            while text.startswith("./"):
                text = text[2:].lstrip("/")
            if "/" not in text:
                names.append(Glob(rule, text, None))
                continue
            from_root += self._globs(rule, text)
            if below:
                whole += self._through_links(rule, text)
            if text.startswith("**/") or text.find("/") == len(text) - 1:
                globs = self._globs(rule, text if text.startswith("**/") else f"**/{text}")
                from_root += globs
                anywhere += globs
        self._whole, self._from_root, self._anywhere, self._names = (
            Globs(globs) if globs else None for globs in (whole, from_root, anywhere if below else [], names))

    def of(self, place: str) -> Rule | None:
        """The rule that an absolute path is matched by."""
        place, root = self._spellings.cased(place), self._spellings.root
        rule = self._any(self._whole, place)
        if rule is None and f"{place}/".startswith(f"{root}/"):
            inner = place[len(root) + 1 :] or "."
            rule = self._any(self._from_root, inner) or self._named(inner)
        elif rule is None and self._below:
            rule = self._any(self._anywhere, place.lstrip("/")) or self._named(place)
        return rule

    def _any(self, globs: Globs | None, path: str) -> Rule | None:
        """The rule about a path, or, where rules forbid, about a folder that it is in."""
        while globs is not None and path:
            rule = globs.of(path)
            if rule is not None or not self._below:
                return rule
            path = path.rpartition("/")[0]
        return None

    def _named(self, path: str) -> Rule | None:
        if self._names is None:
            return None
        for name in path.split("/") if self._below else (path.rpartition("/")[2],):
            rule = self._names.of(name) if name else None
            if rule is not None:
                return rule
        return None

    def _through_links(self, rule: Rule, text: str) -> list[Glob]:
        """A pattern of a folder that is a link, as a pattern of where it leads."""
        fixed = text.partition("*")[0].rpartition("/")[0]
        if not fixed:
            return []
        folder = f"{self._spellings.root}/{fixed}"
        led = self._spellings.cased(self._spellings.resolved(folder))
        return [] if led == folder else self._globs(rule, led + text[len(fixed) :])

    def _globs(self, rule: Rule, path: str) -> list[Glob]:
        """A pattern; where rules forbid, what is below of a folder is forbidden with the folder."""
        path = f"{path}**" if path.endswith("/") else path
        while self._below and path.endswith("/**"):
            path = path[:-3]
        return [PathGlob(rule, path)] if path else []

    def _rooted(self, text: str) -> tuple[str, ...]:
        """The absolute patterns that a rule's text stands for; none where it is relative to the root."""
        spelt = self._spellings.cased(self._spellings.from_home(text)) if text.startswith("~/") else text
        if spelt.startswith("../"):
            spelt = self._spellings.cased(self._spellings.workspace.normal(f"{self._spellings.root}/{spelt}"))
        if spelt.startswith("/"):
            spelt = "/" + spelt.lstrip("/")
        elif not (self._spellings.workspace.windows and spelt[1:3] == ":/"):
            return ()
        fixed = spelt.partition("*")[0].rpartition("/")[0]
        heads = {fixed, self._spellings.cased(self._spellings.rooted(f"{fixed}/")).rstrip("/")}
        if self._below and fixed:
            heads.add(self._spellings.cased(self._spellings.resolved(fixed)).rstrip("/"))
        return tuple(head + spelt[len(fixed) :] for head in heads)


def has_places(rule: Rule, *, below: bool) -> bool:
    """True for a rule that is a path pattern where its subject is a path."""
    return rule.match == PATTERN or (below and rule.text.endswith("/") and not rule.ends)
