"""Regular expressions that are compiled, and modules that are imported, when first used.  Pure.

Those that a quiet start never needs cost it a fifth of its processor time.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, AnyStr, Generic

_METHODS = ("match", "fullmatch", "search", "finditer", "sub", "split")


class Pattern(Generic[AnyStr]):
    """As `re.compile`, but not yet: the methods of the compiled pattern take their places when one is first asked for.

    To take one out of a pattern (`Pattern(...).match`) compiles it.
    """

    match: Callable[..., re.Match[AnyStr] | None]
    fullmatch: Callable[..., re.Match[AnyStr] | None]
    search: Callable[..., re.Match[AnyStr] | None]
    finditer: Callable[[AnyStr], Iterator[re.Match[AnyStr]]]
    sub: Callable[..., AnyStr]
    split: Callable[[AnyStr], list[AnyStr | Any]]

    def __init__(self, source: AnyStr, flags: int = 0) -> None:
        self._source: AnyStr = source
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        if name not in _METHODS:
            raise AttributeError(name)
        compiled = re.compile(self._source, self._flags)
        for method in _METHODS:
            setattr(self, method, getattr(compiled, method))
        return getattr(self, name)


class Module:
    """A module that is imported when something in it is first asked for; its names are this object's attributes."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        # With names to take out of it, `__import__` gives the module itself, not the package at the path's beginning.
        return getattr(__import__(self._path, fromlist=(name,)), name)
