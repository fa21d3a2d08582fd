"""A host is found in every spelling where it is forbidden, and in the one plain spelling where it is allowed."""
from __future__ import annotations

import pytest

from shack_gateway.pipeline.domains import Domains, domain, hosts, plain_host


@pytest.mark.parametrize("written, host", [
    ("example.com", "example.com"), ("EXAMPLE.com.", "example.com"), ("*.Example.com", "*.example.com"), ("*", "*"),
    ("bücher.de", "xn--bcher-kva.de"), ("127.1", "127.0.0.1"), ("[::1]", "[::1]"), ("", ""), ("a b", ""),
    ("https://a", ""), ("a/b", ""), ("a@b", ""), ("*a.com", ""), ("a.*", ""), ("a:80", ""),
])
def test_a_domain_is_written_as_hosts_are_compared(written: str, host: str) -> None:
    assert domain(written) == host


@pytest.mark.parametrize("address, host", [
    ("https://example.com", "example.com"), ("HTTP://Example.COM./a?b#c", "example.com"),
    ("https://example.com:8080/a", "example.com"), ("https://example.com/@evil.com", "example.com"),
    ("http://[::1]:80/", "[::1]"), ("http://127.0.0.1", "127.0.0.1"), ("http://2130706433/", "127.0.0.1"),
    *[(address, "") for address in (
        "example.com", "//example.com", "ftp://example.com", "https:example.com", "https:/example.com",
        "https:\\\\example.com", "https://example.com\\@evil.com", "https://user@example.com",
        "https://a:b@example.com",
        "https://example.com%2eevil.com", "https://example.com\t.evil.com", "https://example.com .evil.com",
        " https://example.com", "https://example.com\n", "https://ex\u0430mple.com", "https://example\u3002com",
        "https://example.com/\\", "https://example.com/ä", "https://example.com:8a/", "https://", "https://-a.com",
        "https://example.com\0", "file:///etc/passwd", "javascript:https://example.com",
    )],
])
def test_an_address_has_a_plain_host_or_none(address: str, host: str) -> None:
    assert plain_host(address) == host


EVIL = [
    "http://%EF%BD%85vil.com", "http://evil%E3%80%82com/x",
    "https://evil.com", "HTTPS://EVIL.COM", "https://evil.com.", "https://evil.com:443/x", "https://evil.com?x",
    "https://a@evil.com", "https://a:b@evil.com/x", "https://good.com@evil.com", "https://evil.com\\@good.com",
    "https://good.com\\@evil.com", "https:\\\\evil.com", "https:/evil.com", "https:evil.com", "https:////evil.com",
    "//evil.com/x", "\\\\evil.com\\x", "https://%65vil.com", "https://%2565vil.com", "https://evil%2Ecom",
    "https://ev\til.com", "ht\ntps://evil.com", " https://evil.com", "\x00https://evil.com", "https://\uff45vil.com",
    "https://evil\u3002com", "https://evil\uff0ecom", "https://ev\u00adil.com", "https://e\u200bvil.com",
    "see https://evil.com, please", "(https://evil.com)", '{"url": "https://evil.com/"}', "a=https://evil.com&b",
    "git+ssh://git@evil.com/x", "git@evil.com:x/y", "https://" + "a" * 5000 + "@evil.com", "jdbc:mysql://evil.com/db",
    "https://good.com/?next=https://evil.com", "x" * 200_000 + " https://evil.com " + "x" * 200_000,
]


@pytest.mark.parametrize("text", EVIL, ids=lambda text: repr(text[:40]))
def test_a_host_is_found_in_every_spelling(text: str) -> None:
    assert "evil.com" in hosts(text)


def test_numbers_for_an_address_are_one_address() -> None:
    for text in ("127.0.0.1", "127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "127.000.000.001"):
        assert "127.0.0.1" in hosts(f"http://{text}/x"), text


def test_a_bare_host_counts_where_the_key_says_it_is_an_address() -> None:
    assert "evil.com" in hosts("evil.com/x", bare=True) and "evil.com" in hosts("Evil.com:80", bare=True)
    assert not set(hosts("evil.com/x"))


@pytest.mark.parametrize("rule, host, verdict", [
    ("example.com", "example.com", True), ("example.com", "www.example.com", False), ("*.example.com", "a.example.com",
    True), ("*.example.com", "a.b.example.com", True), ("*.example.com", "example.com", False), ("*.example.com",
    "badexample.com", False), ("*", "x", True), ("example.com", "example.com.evil.com", False),
])
def test_a_star_means_the_hosts_below(rule: str, host: str, verdict: bool) -> None:
    assert (Domains([(domain(rule), "rule")]).of(host) is not None) is verdict


@pytest.mark.parametrize("text", ["a" * 100_000, ":" * 100_000, "/" * 100_000, "@" * 50_000, "%41" * 20_000,
    ":/" * 50_000],
    ids=lambda text: text[:3])
def test_no_text_takes_long(text: str) -> None:
    set(hosts(text, bare=True))
    plain_host("https://" + text)
