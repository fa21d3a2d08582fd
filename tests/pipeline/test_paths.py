"""Which texts look like paths, and what a server could read out of them."""
from __future__ import annotations

import posixpath
import random

import pytest

from shack_gateway.pipeline.paths import MAYBE, NOTHING, SURELY, foreign, looks, quiet, readings, too_long

SURE = [
    "/etc/passwd", "/", "//etc/passwd", "/etc/passwd ", "\t/etc/passwd", "/.ssh/id_rsa", "/api/x",
    "C:\\Windows\\x", "c:/windows/x", "C:\\", "\\\\server\\share\\x", "\\\\?\\C:\\x", "\\\\.\\pipe\\x",
    "~", "~/.ssh/id_rsa", "~\\x", "~root", "~root/.ssh", "~DOMAIN.user/x", " ~/x",
    "..", "../x", "..\\x", "a/../../x", "a/..", "a\\..\\x", "link/../x", "./../x",
    "file:///etc/passwd", "FILE:///etc/passwd", "file:/etc/passwd", "file://localhost/etc/passwd",  " file:///x",
    "file:\n/x", "f\tile:///x", "file:a/x",
    "file:///etc/pass wd", "url:file:///etc/passwd", "view-source:file:///x", "jar:file:///x!/y",
    "%2fetc%2fpasswd", "%2Fetc", "%252fetc%252fpasswd", "%2e%2e/x", "..%2fx", "%7e/x", "file%3a///etc/passwd",
    "\uff0fetc\uff0fpasswd", "\uff0e\uff0e/x", "\u2025/x",
    "/Users/me/My Documents/a.txt", "/Users/me/Library/Application Support/Claude/x", "/tmp/my file.txt",
    "C:\\Program Files\\x\\y", "/Users/me/My Documents/", "~/My Files/x", "../My Files/x",
    "/" + "./" * 3000 + "etc/passwd", "/" * 5000 + "etc/passwd", "./" * 3000 + "out/x", "a" + "/" * 5000 + "b",
    "~/" + "./" * 3000 + "x", ".\\" * 3000 + "x", "/" + "./" * 3000 + "My Documents/x",
    "/\n/../etc/passwd", "/a b/../../etc/passwd", "x y/../../../etc/passwd",
    "x y/../../../etc dir/passwd", "{/etc,/x}/passwd", "{..,src}/{..,a}/x", "{a,{..,b}}/x", "{~,a}/x", "{src,../x}/y",
    "\ufeff/etc/passwd", "\u200b../x", "$HOME/.ssh/x", "${HOME}/x", "%USERPROFILE%\\x", "sqlite:////etc/x.db",
    "sqlite:///../x.db",
]
PERHAPS = ["src/a.txt", "a/b", "link/secret", "text/plain", "owner/repo", "1/2/2026", "a\\b", "\\d+/x", "s/a/b/",
    "~1.2/x", "\\d+",
           "\\w+\\s*", "^\\s+$", "data:image/png;base64,iVBORw0KGgo",
           "**/*.{ts,tsx}", "src/{a,b}/x", "$5/x", "$id/x", "x{1,3}/y", "{repository(owner:\"a/b\",name:\"c\")}"]
PROSE = [
    "", "x", "hello world", "a.txt", "...", "a..b", "HEAD~1", "~1.2.3", "~5", "5%", "100% sure", "a: b", "profile:x",
    "see /etc/hosts", "either/or is fine", "one / two", "Use ../x to go up", "and so on...", "a ../b c",
    "/help me", "/etc/hosts is broken", "/api/users and /api/groups fail", "// a comment", "/* css */ body { }",
    "/**\n * Prose\n */\nimport x from '../y'\n", "/a\n/b\n",
    "see a/../b and c", "/* x */\nimport a/b from c", "/" + "a word and a/b " * 400, "~ five minutes", "~/ is home",
    "file: not found",
    "https://example.com/a/b", "http://x/y?z=/etc", "notes://list", "mailto:a@b.c",
    "C: drive", "C:", "^a.*b$",
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQg=",
    "/" + "A" * 5000 + "/" + "b" * 300, "x/" * 3000, "日本語の文章です。", "{\"a\": \"/x\"}",
    "{\"a\": \"/x\", \"b\": \"../y\"}", "{a,b}", "redis:///0", "postgres:///name", "$HOME", "import{a,b}from 'x/y'",
]


@pytest.mark.parametrize("text", SURE, ids=lambda text: text[:30])
def test_a_rooted_or_climbing_text_looks_like_a_path(text: str) -> None:
    assert looks(text) == SURELY


@pytest.mark.parametrize("text", PERHAPS)
def test_a_relative_name_with_a_separator_may_be_a_path(text: str) -> None:
    assert looks(text) == MAYBE


@pytest.mark.parametrize("text", PROSE, ids=lambda text: text[:30])
def test_prose_patterns_and_urls_do_not_look_like_paths(text: str) -> None:
    assert looks(text) == NOTHING


@pytest.mark.parametrize("text", [*SURE, *PERHAPS], ids=lambda text: text[:30])
def test_nothing_that_looks_like_a_path_is_quiet(text: str) -> None:
    assert not quiet(text)


@pytest.mark.parametrize("text, reading", [
    ("a/b", "a/b"), (" a ", "a"), ("%61", "a"), ("%2561", "a"), ("%25252561", "a"), ("%zz%61", "%zza"),
    ("file:///a", "/a"), ("file:/a", "/a"), ("file:a", "a"), ("FILE://LOCALHOST/a", "/a"), ("file:///%61", "/a"),
    ("file%3A%2F%2F%2Fa", "/a"), ("file://host/a", "/a"), ("file://host/a", "//host/a"), ("file://host/a", "/host/a"),
    ("file:///a?b#c", "/a"), ("file:///a#b", "/a"), ("file:///a?b", "/a?b"), ("file:///a?b", "/a"), ("file:xC:/a",
    "xC:/a"),
    ("x/../a/b", "a/b"), ("file:///C:/a", "C:/a"),
    ("file:\\\\host\\a", "/a"), ("x:file:///a", "/a"), ("fi\nle:\t//\r/a", "/a"),
    ("a\\b", "a/b"), ("a/../b", "b"), ("a/../b", "a/../b"), ("a\\..\\b", "b"), ("%2e%2e/b", "../b"),
    ("\uff0fa", "/a"), ("\uff0e\uff0e\uff0fa", "../a"), ("%EF%BC%8Fa", "/a"), ("\ufeff/a", "/a"),
    ("{..,x}/a", "../a"), ("{x,/a}/b", "/a/b"), ("x/{a,..}/b", "x/../b"), ("$HOME/a", "~/a"),
    ("sqlite:///a/b", "a/b"), ("\uff05\uff12\uff46a", "/a"),
])
def test_a_text_is_read_as_a_server_might(text: str, reading: str) -> None:
    assert reading in readings(text, windows=False)


def test_a_text_that_was_encoded_without_end_has_a_bounded_number_of_readings() -> None:
    assert 10 < len(readings("%" + "25" * 300 + "2e./x", windows=False)) <= 200


def test_a_plain_name_has_one_reading() -> None:
    assert readings("src/a-b_c.txt", windows=False) == ("src/a-b_c.txt",)


def test_the_first_reading_is_the_text_as_it_is() -> None:
    for text in SURE:
        assert readings(text, windows=False)[0] == text


def test_backslashes_stay_what_they_are_on_windows() -> None:
    assert readings("a\\..\\b\\c", windows=True) == ("a\\..\\b\\c", "b\\c")


@pytest.mark.parametrize("text, is_foreign", [
    ("C:\\x", True), ("c:/x", True), ("\\\\server\\x", True), ("//?/C:/x", True), ("//./pipe/x", True),
    ("C:", False), ("C:x", False), ("/x", False), ("//x/y", False), ("\\x", False), ("ab:/x", False),
])
def test_windows_roots_are_known(text: str, is_foreign: bool) -> None:
    assert foreign(text) is is_foreign


@pytest.mark.parametrize("text, long", [
    ("a" * 255, False), ("a" * 256, True), ("é" * 128, True), ("é" * 127, False), ("a/" * 2048, False), ("a/" * 2049,
    True),
    ("", False), ("b/" + "a" * 256 + "/c", True), ("a\\" + "b" * 256, True),
], ids=lambda v: str(v)[:8])
def test_names_that_no_system_opens_are_known(text: str, long: bool) -> None:
    assert too_long(text) is long


@pytest.mark.parametrize("text", ["\ud800", "a/\udc80", "\ud800" * 400])
def test_half_a_surrogate_pair_is_no_name(text: str) -> None:
    with pytest.raises(UnicodeError):
        too_long(text)


def test_however_often_a_climb_is_encoded_it_is_seen() -> None:
    """Seeded: `..` and separators in random encodings, up to as deep as is undone."""
    chance = random.Random(6)
    for round_ in range(500):
        plain = chance.choice(["../../etc/passwd", "a/../../b", "/etc/passwd", "~/x", "..\\..\\x",
            "file:///etc/passwd"])
        text = plain
        for _ in range(chance.randrange(5)):
            text = "".join(c if chance.random() < 0.5 else "".join(f"%{b:02x}" for b in c.encode()) for c in text)
        assert looks(text) == SURELY, (round_, text)
        assert plain in readings(text, windows=False), (round_, text)


def test_whatever_a_tidying_server_drops_does_not_hide_a_climb() -> None:
    """Seeded: white space before a `..` goes with it when a path is tidied, so it is no sign of prose."""
    chance = random.Random(7)
    for round_ in range(500):
        dropped = "".join(chance.choice("ab \n\t./") for _ in range(chance.randrange(1, 6)))
        text = "/" + dropped + "/.." * (dropped.count("/") + 2) + "/etc/passwd"
        assert posixpath.normpath(text).lstrip("/") == "etc/passwd"
        assert looks(text) == SURELY, (round_, text)
