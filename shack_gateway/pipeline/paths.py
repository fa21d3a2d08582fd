"""Paths in texts: whether a text is one, and what a server could read out of it.  Pure.

Rule 1: a server may read a path in another way than we do (decode `%2e`, open a `file:` URI, take `\\` for `/`, tidy
        `..` before it follows links), so one text has several readings, and policy wants all of them to be right.
Rule 2: what has white space in it is prose, unless it starts as a path and goes on as one.
"""
from __future__ import annotations

import ntpath
import posixpath
import re

from ..lazy import Pattern
from .letters import plain_letters

NOTHING, MAYBE, SURELY = 0, 1, 2
"""How a text looks: no path; a relative name with a separator in it; rooted, or climbing out with `..`."""

LONGEST = 4096
"""Bytes of a path that a system can open (PATH_MAX of Linux; others allow less)."""
LONGEST_NAME = 255

_SEPARATOR = Pattern(r"[/\\]")
_FILE = r"(?:[a-z][a-z0-9.-]*[:+]){0,3}(?:file:|unix:(?=/(?!/)|///)|(?:sqlite3?|duckdb):(?=/*[^/]+/))"
"""Addresses of files, and of what is in one: `git+file:`, `jar:file:`, `jdbc:sqlite:`. `sqlite:///x.db` is a file of
the working directory to some readers and `/x.db` to others; without a folder in it the first is meant."""
_FILE_URI = Pattern(_FILE, re.IGNORECASE)
_FILE_URI_NO_PROSE = Pattern(_FILE + r"(?=\S)", re.IGNORECASE)
_ROOTED = Pattern(
    r"/|\\\\[^\\]"                                   # POSIX, UNC
    r"|[a-z]:[/\\]"                                  # Windows drive
    r"|~(?:[a-z_][\w.-]*\$?)?(?:[/\\]|$)"            # a home folder; `~1.2` is a version
    r"|\.\.(?:[/\\]|$)", re.IGNORECASE)
_ROOT_SIGNS = "/\\~."
_SLASHES = ("/", "\\")
_WINDOWS_ROOTED = Pattern(r"[a-z]:[/\\]|\\\\|//[?.]/", re.IGNORECASE)
_CLIMBS = Pattern(r"\.\.(?<![^/\\]\.\.)(?![^/\\])")   # a segment `..`; begins with letters, so that search is fast
_PLAIN = Pattern(r"[\w./-]+", re.ASCII)
_WHITE = Pattern(r"\s")
_GOES_ON = Pattern(r"[^/\\].*?(?<=[\w)-])[/\\]")
_LINE_END = Pattern(r"[^\S ]")
_ENDING = Pattern(r"\.[A-Za-z]\w{0,7}$")
_JPEG_IN_BASE64 = Pattern(r"/9j/[A-Za-z0-9+/]*={0,2}")
_BREAKS = Pattern(r"[\t\r\n]+")
_PERCENT = Pattern(rb"%([0-9a-fA-F]{2})")
_BRACES = Pattern(r"\{([^{}]*,[^{}]*)\}")
_HOME = Pattern(
    r"(?:\$(?:HOME|\{HOME\}|env:USERPROFILE)|%(?:HOME|HOMEPATH|USERPROFILE|APPDATA|LOCALAPPDATA)%)(?=[/\\])",
    re.IGNORECASE)
_VARIABLE_SIGNS = ("$", "%")
_LOCAL = Pattern(r"(?!file:)[a-z][a-z0-9+.-]*:///", re.IGNORECASE)
"""An address without a host, as of databases: `sqlite:////x` is `/x`, `sqlite:///x` is `x`."""
_MOST_FORMS, _MOST_BRACES = 64, 32


def quiet(text: str) -> bool:
    """True for a text without any sign that paths are made of, under whatever reading; most texts are quiet."""
    return ("/" not in text and "\\" not in text and ".." not in text and "~" not in text and "%" not in text
            and text.isascii())


def looks(text: str) -> int:
    """`SURELY`, `MAYBE` or `NOTHING`: whether a server that is given `text` under any name could open it as a file."""
    if len(text) > LONGEST or ("%" not in text and "{" not in text and "$" not in text and ":///" not in text
                               and text.isascii()):
        return _looks(text)
    return max(map(_looks, _decoded(text)))


def _looks(text: str) -> int:
    bare = text.strip()                         # most texts are done with after a few looks for single letters
    if ":" in bare and _FILE_URI_NO_PROSE.match(_unbroken(bare)):
        return SURELY
    climbing = ".." in bare and climbs(bare)
    if climbing or (len(bare) > LONGEST and _padded(bare)):
        # A server that tidies paths drops what stands before a `..`, and any number of `./` and `/`: neither white
        # space nor length hides anything there.
        tidy = posixpath.normpath(bare.replace("\\", "/"))
        if not _WHITE.search(tidy) and (climbing or len(tidy) <= LONGEST):
            return SURELY
        bare = tidy
    if (bare[:1] in _ROOT_SIGNS or bare[1:2] == ":") and _ROOTED.match(bare):
        if _WHITE.search(bare):
            return SURELY if _goes_on_as_path(bare) else NOTHING
        return NOTHING if len(bare) > LONGEST or _JPEG_IN_BASE64.fullmatch(bare) else SURELY
    if len(bare) > LONGEST or "://" in bare or not ("/" in bare or "\\" in bare):
        return NOTHING
    return NOTHING if _WHITE.search(bare) else MAYBE


def _padded(text: str) -> bool:
    """True for a long text that tidied might be short enough to be opened: each separator goes with a `.` at most."""
    return len(text) - 2 * (text.count("/") + text.count("\\")) - 1 <= LONGEST


def _goes_on_as_path(text: str) -> bool:
    """`/Users/me/My Documents/a` and `/tmp/my file.txt`, but not `/help me` nor `/etc/hosts is broken`."""
    if len(text) > LONGEST or _LINE_END.search(text):
        return False
    words = text.split(" ")[1:]
    return any(_GOES_ON.match(word) for word in words) or _ENDING.search(text) is not None


def readings(text: str, *, windows: bool) -> tuple[str, ...]:
    """The paths that a server could take `text` for, as written first.

    `windows` is the machine's own way of writing; on others `\\` is turned to `/` where a server might do so.
    """
    if ".." not in text and _PLAIN.fullmatch(text):
        return (text,)
    found: dict[str, None] = {}
    for path in _decoded(text):
        found[path] = None
        if not windows and "\\" in path:
            found[path.replace("\\", "/")] = None
    for path in tuple(found):
        if climbs(path):
            # Tidied before links are followed, as node's path.resolve does; the system follows links first.
            found[ntpath.normpath(path) if windows else posixpath.normpath(path)] = None
    return tuple(found)


def is_rooted(text: str) -> bool:
    """True for one line that begins as a path with a root does, white space in it or not."""
    return any(_ROOTED.match(form) and "\n" not in form and "\r" not in form for form in map(str.strip, _decoded(text)))


def climbs(text: str) -> bool:
    """True for a text with a segment `..`."""
    return _CLIMBS.search(text) is not None


def foreign(path: str) -> bool:
    """True for a Windows path with a root, which on any other system is outside of everything."""
    return (path[1:2] == ":" or path[:1] in _SLASHES) and _WINDOWS_ROOTED.match(path) is not None


def too_long(path: str) -> bool:
    """True for what no system opens. Raises `ValueError` for a lone surrogate, which is no text at all."""
    if len(path) <= LONGEST_NAME // 4:
        if not path.isascii():
            path.encode()
        return False
    return len(path.encode()) > LONGEST or any(len(name.encode()) > LONGEST_NAME for name in _SEPARATOR.split(path))


def _decoded(text: str) -> tuple[str, ...]:
    """The text, without white space round it, with `%` escapes undone (as often as they were done), compatibility
    characters such as `．` and `／` as plain ones, without invisible ones, with `file:` URIs opened, the home folder's
    variable as `~`, and braces as the alternative that leads furthest; in any order."""
    forms: dict[str, None] = {}
    todo = [text]
    while todo and len(forms) < _MOST_FORMS:
        form = todo.pop()
        if form not in forms:
            forms[form] = None
            todo += [form.strip(), *_opened(form)]
            if "%" in form:
                todo.append(_undo_percent(form))
            if not form.isascii():
                todo.append(plain_letters(form))
            if "{" in form and "," in form:
                todo.append(_widest(form))
            if form[:1] in _VARIABLE_SIGNS:
                todo.append(_HOME.sub("~", form, count=1))
            if ":///" in form and (address := _LOCAL.match(form)):
                todo.append(form[address.end() :])
    return tuple(forms)


def _widest(text: str) -> str:
    """A pattern such as `{..,src}/{a,b}` with each pair of braces as that of its alternatives which leads furthest."""
    for _ in range(_MOST_BRACES):
        braces = _BRACES.search(text)
        if braces is None:
            break
        before = text[: braces.start()].strip()
        best = max(braces[1].split(","), key=lambda each: (
            not before and _ROOTED.match(each) is not None, each.count(".."), -each.count("/"), -len(each)))
        text = text[: braces.start()] + best + text[braces.end() :]
    return text


def _undo_percent(text: str) -> str:
    raw = text.encode("utf-8", "surrogatepass")
    return _PERCENT.sub(lambda escape: bytes([int(escape[1], 16)]), raw).decode("utf-8", "replace")


def _unbroken(text: str) -> str:
    """The text without tabs and line ends, which readers of URIs drop wherever they stand."""
    return text if len(text) > LONGEST or text.isprintable() else _BREAKS.sub("", text)


def _opened(text: str) -> list[str]:
    """The paths of a `file:` URI; none of any other text."""
    text = _unbroken(text)
    match = _FILE_URI.match(text)
    if not match:
        return []
    rest = text[match.end() :]
    found = [rest]
    if rest.startswith(("//", "\\\\")):
        host, _, path = rest[2:].replace("\\", "/").partition("/")
        # `file://host/x` is a share of that host, but there are readers that drop the host.
        found = [f"/{path}"] if host.lower() in ("", "localhost") else [rest, f"/{path}", f"/{host}/{path}"]
    found += [re.split("[?#]", path, maxsplit=1)[0] for path in found if "?" in path or "#" in path]
    return [path[1:] if path[:1] == "/" and foreign(path[1:]) else path for path in found]
