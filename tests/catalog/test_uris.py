"""Our own scheme, templates, links seen in results."""
from __future__ import annotations

import random
import re
from typing import Any

import pytest

from shack_gateway.catalog.uris import (
    MOST_SEEN,
    Places,
    Seen,
    Template,
    expand,
    is_usable,
    is_usable_template,
    unwrap,
    wrap,
    wrap_template,
)


@pytest.mark.parametrize("uri", [
    "file:///a/b.txt", "note://7?x=1#y", "urn:a:b", "file:///größe %20", "shack://other/x", "no scheme", "a/b", "%41"])
@pytest.mark.parametrize("server", ["fs", "my server", "a/b", "ü"])
def test_what_was_wrapped_is_unwrapped(server: str, uri: str) -> None:
    wrapped = wrap(server, uri)
    assert wrapped.isascii() and is_usable(wrapped.replace("shack:", "other:"))
    found = unwrap(wrapped)
    assert found == (server, uri)


def test_a_lone_surrogate_in_a_uri_is_survived() -> None:
    assert unwrap(wrap("s", "\ud83d:x")) is not None


def test_our_scheme_percent_encodes_all_but_unreserved_characters() -> None:
    assert wrap("fs", "file:///a b~c") == "shack://fs/file%3A%2F%2F%2Fa%20b~c"


@pytest.mark.parametrize("uri", [
    "file:///a", "shack://", "shack://fs", "shack://fs/", "shack:///x", "SHACK://fs/x", ""])
def test_another_uri_is_not_unwrapped(uri: str) -> None:
    assert unwrap(uri) is None


def test_an_original_that_was_not_encoded_is_taken_as_it_is() -> None:
    assert unwrap("shack://fs/file:///a%20b") == ("fs", "file:///a%20b")


@pytest.mark.parametrize("template, filled, original", [
    ("note://{id}", {"id": "7%20x"}, "note://7%20x"),
    ("file:///{+path}", {"+path": "a/b"}, "file:///a/b"),
    ("notes/{id}", {"id": "7"}, "notes/7"),
])
def test_an_expanded_template_of_ours_is_the_expanded_template_of_the_server(
    template: str, filled: dict[str, str], original: str
) -> None:
    shown = wrap_template("s", template)
    for key, value in filled.items():
        shown = shown.replace(f"{{{key}}}", value)
    assert unwrap(shown) == ("s", original)


@pytest.mark.parametrize("uri, usable", [
    ("file:///a b", True), ("note://{x}", True), ("x:y", True), ("http://h/p?q#f", True),
    ("memo://insights", True), ("urn:a:b", True), ("file:///", True), ("http://user@h:8080/x", True),
    ("x://[::1]:9/y", True), ("x:///y", True),
    ("test://größe/x", True), ("http://h:64999", True), ("x://a?b", True), ("x:/", True), ("a:", True),
    ("http://", False), ("https:///?x", False), ("ftp:", False), ("db://a:b/c", False), ("x://[zz]/a", False),
    ("x://user@/p", False), ("http://h:99999/", False), ("x://a|b", False), ("x://a<b/c", False),
    ("", False), ("no scheme", False), ("1a:b", False), ("http:x", False), ("note://a b/c", False), ("x://a\nb", False),
    ("x:a\x00", False), ("shack://fs/x", False),
])
def test_a_uri_is_shown_as_it_is_only_when_hosts_take_it(uri: str, usable: bool) -> None:
    assert is_usable(uri) is usable


@pytest.mark.parametrize("start", ["x://", "x://[", "http://a@", "file://"])
def test_a_long_uri_is_judged_at_once(start: str) -> None:
    """A pattern that walks back and forth would be at it for minutes."""
    for more in (":", "a@", "1", "::1]"):
        assert is_usable(start + more * 200_000 + "\n") is False


@pytest.mark.parametrize("template, usable", [
    ("x://{host}:{port}/y", True), ("{+all}", True), ("{scheme}:x", True), ("x:{y}", True),
    ("notes/{id}", False), ("shack://fs/{x}", False), ("", False), ("x:{y}\n", False),
])
def test_a_template_is_shown_as_it_is_when_it_expands_to_a_uri(template: str, usable: bool) -> None:
    assert is_usable_template(template) is usable


def matches(template: str, uri: str) -> bool:
    return Template(template).matches(Places(uri))


@pytest.mark.parametrize("template, uri, yes", [
    ("note://{id}", "note://7", True),
    ("note://{id}", "note://", True),                   # an undefined variable expands to nothing
    ("note://{id}", "note://7/8", False),
    ("note://{id}", "mote://7", False),
    ("note://{id}/raw", "note://7/raw", True),
    ("note://{id}/raw", "note://7/raw/x", False),
    ("a://{x}-{y}", "a://1-2", True),
    ("a://{x}-{y}", "a://12", False),
    ("a://{+x}-{y}", "a://p-q/r-s", True),              # the last `-` is the one
    ("a://{x}{y}", "a://12", True),
    ("file:///{+path}", "file:///a/b/c", True),
    ("file:///{path*}", "file:///a/b/c", True),
    ("file:///{path}", "file:///a/b", False),
    ("a://x{?q,r}", "a://x?q=1&r=2", True),
    ("a://x{?q}", "a://x", True),
    ("a://x{?q}", "a://xq=1", False),
    ("a://x?z=1{&q}", "a://x?z=1&q=2", True),
    ("a://x{/y,z}", "a://x/1/2", True),
    ("a://x{/y}", "a://x1", False),
    ("a://x{#f}", "a://x#top/1", True),
    ("a://x{;p}", "a://x;p=1", True),
    ("a://x{.e}", "a://x.json", True),
    ("a://{x}?y", "a://1?y", True),
    ("a://{x:3}", "a://abc", True),
    ("a://x", "a://x", True),
    ("a://x", "a://xy", False),
    ("a://{", "a://{", True),                           # no expression, so a literal
    ("{+any}", "anything:at/all?#", True),
    ("größe://{x}", "größe://ü", True),
], ids=str)
def test_a_template_matches_what_it_can_expand_to(template: str, uri: str, yes: bool) -> None:
    assert matches(template, uri) is yes


def test_templates_match_as_the_same_rules_written_as_a_pattern_do() -> None:
    classes = {"": "[^/?#]*", "+": ".*", "?": r"(?:\?[^#]*)?", "/": "(?:/[^?#]*)?"}
    random_ = random.Random(7)
    met = 0
    for round_ in range(2000):
        parts = random_.choices(["a", "b", "ab", "/", "-", "?", "{v}", "{+v}", "{?v}", "{/v}"],
                                k=random_.randrange(1, 6))
        template = "".join(parts)
        pattern = "".join(classes[p[1:-2]] if p.startswith("{") else re.escape(p) for p in parts)
        uri = "".join(random_.choices("ab/-?#", k=random_.randrange(7)))
        expected = re.fullmatch(pattern, uri, re.DOTALL) is not None
        met += expected
        assert matches(template, uri) is expected, (round_, template, uri)
    assert met > 100


def test_a_template_made_to_backtrack_is_answered_at_once() -> None:
    """With a pattern this would take longer than the universe has."""
    assert matches("a" + "{x}a" * 31 + "!", "a" * 2000) is False
    assert matches("a" + "{x}a" * 31, "a" * 2000) is True


def test_a_template_or_a_uri_past_the_bounds_matches_nothing() -> None:
    assert matches("a:" + "{x}" * 1000, "a:b") is False
    assert matches("a:{x}", "a:" + "b" * 5000) is False


def test_who_mentioned_a_uri_last_is_asked_first() -> None:
    seen = Seen()
    for server in ("a", "b", "a", "c", "a"):
        seen.note(server, "x://1")
    assert seen.servers("x://1") == ("a", "c", "b")
    assert seen.servers("x://2") == ()


def test_only_the_last_uris_are_remembered_and_no_endless_ones() -> None:
    seen = Seen()
    seen.note("s", "x://first")
    for number in range(MOST_SEEN):
        seen.note("s", f"x://{number}")
    seen.note("s", "x://" + "y" * 5000)
    assert seen.servers("x://first") == ()
    assert seen.servers("x://0") == ("s",)
    assert seen.servers("x://" + "y" * 5000) == ()


@pytest.mark.parametrize("template, values, uri", [
    ("x://{a}", {"a": "b c/d"}, "x://b c/d"), ("x://{+a}/y", {"a": "b"}, "x://b/y"), ("x://{a}", {}, "x://"),
    ("x:{/a,b}", {"a": "1", "b": "2"}, "x:/1/2"), ("x:{/a,b}", {"b": "2"}, "x:/2"), ("x:y{/a}", {}, "x:y"),
    ("x:y{?a,b}", {"a": "1", "b": "2"}, "x:y?a=1&b=2"), ("x:y?z{&b}", {"b": "2"}, "x:y?z&b=2"),
    ("x:y{#f}", {"f": "1"}, "x:y#1"), ("x:y{.e}", {"e": "txt"}, "x:y.txt"), ("x:y{;a,b}", {"a": "1"}, "x:y;a=1"),
    ("x:{a*}{b:3}", {"a": "1", "b": "2345"}, "x:12345"), ("x:{a,b}", {"a": "1", "b": "2"}, "x:1,2"),
    ("x:{a}", {"a": 5}, "x:"), ("x:{a}{a}", {"a": "{a}"}, "x:{a}{a}"), ("x:{", {"": "1"}, "x:{"),
    ("x:{}", {"": "1"}, "x:1"),
])
def test_a_template_with_values_is_a_uri(template: str, values: dict[str, Any], uri: str) -> None:
    assert expand(template, values) == uri
