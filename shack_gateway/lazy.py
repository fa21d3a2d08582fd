"""Regular expressions that are compiled, and modules that are imported, when first used.  Pure.

Those that a quiet start never needs cost it a fifth of its processor time.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, AnyStr, Generic


class Pattern(Generic[AnyStr]):
    """As `re.compile`, but not yet. What runs for every call is compiled at import instead."""

    __slots__ = ("_compiled", "_flags", "_source")

    def __init__(self, source: AnyStr, flags: int = 0) -> None:
        self._source: AnyStr = source
        self._flags = flags
        self._compiled: re.Pattern[AnyStr] | None = None

    @property
    def _ready(self) -> re.Pattern[AnyStr]:
        if self._compiled is None:
            self._compiled = re.compile(self._source, self._flags)
        return self._compiled

    def match(self, text: AnyStr, *place: int) -> re.Match[AnyStr] | None:
        """`re.Pattern.match`."""
        return self._ready.match(text, *place)

    def fullmatch(self, text: AnyStr, *place: int) -> re.Match[AnyStr] | None:
        """`re.Pattern.fullmatch`."""
        return self._ready.fullmatch(text, *place)

    def search(self, text: AnyStr, *place: int) -> re.Match[AnyStr] | None:
        """`re.Pattern.search`."""
        return self._ready.search(text, *place)

    def finditer(self, text: AnyStr) -> Iterator[re.Match[AnyStr]]:
        """`re.Pattern.finditer`."""
        return self._ready.finditer(text)

    def sub(self, by: AnyStr | Callable[[re.Match[AnyStr]], AnyStr], text: AnyStr, count: int = 0) -> AnyStr:
        """`re.Pattern.sub`."""
        return self._ready.sub(by, text, count)

    def split(self, text: AnyStr) -> list[AnyStr | Any]:
        """`re.Pattern.split`."""
        return self._ready.split(text)


class Module:
    """A module that is imported when something in it is first asked for; its names are this object's attributes."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        # With names to take out of it, `__import__` gives the module itself, not the package at the path's beginning.
        return getattr(__import__(self._path, fromlist=(name,)), name)
