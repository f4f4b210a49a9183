"""What reverse proxies say counts as far as the configuration says, and no further."""

from __future__ import annotations

import pytest
from werkzeug.exceptions import BadRequest
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import EnvironBuilder

from kit.security.options import SecurityOptions
from kit.security.proxies import FORWARDING, proxy_trust

ALL = tuple(f"X-Forwarded-{name}" for name in ("For", "Proto", "Host", "Port", "Prefix"))


def seen(proxies: int = 0, trusted: tuple[str, ...] = ALL, **headers: str) -> dict:
    """Return the environ of a request as what is behind the check sees it."""
    environ = EnvironBuilder(base_url="http://example.org").get_environ()
    environ["REMOTE_ADDR"] = "10.0.0.1"
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    proxy_trust(SecurityOptions(proxies=proxies, proxy_headers=trusted))(environ)
    return environ


def test_without_proxies_nothing_behind_sees_such_headers():
    headers = {name.removeprefix("HTTP_").lower(): "evil" for name in FORWARDING}
    environ = seen(**headers)
    assert not FORWARDING & environ.keys()
    assert (environ["REMOTE_ADDR"], environ["HTTP_HOST"]) == ("10.0.0.1", "example.org")
    assert environ["wsgi.url_scheme"] == "http"


@pytest.mark.parametrize(
    "claim",
    [
        {"x_forwarded_proto": "https"},
        {"x_forwarded_protocol": "ssl"},
        {"x_forwarded_ssl": "on"},
    ],
)
def test_a_server_that_believed_a_header_is_corrected(claim):
    environ = {"wsgi.url_scheme": "https"}
    environ |= {f"HTTP_{name.upper()}": value for name, value in claim.items()}
    proxy_trust(SecurityOptions())(environ)
    assert environ == {"wsgi.url_scheme": "http"}


def test_a_server_that_ends_tls_itself_is_not():
    environ = {"wsgi.url_scheme": "https", "HTTP_X_FORWARDED_PROTO": "https"}

    class Socket:
        def cipher(self):
            raise NotImplementedError

    environ["gunicorn.socket"] = Socket()
    proxy_trust(SecurityOptions())(environ)
    assert environ["wsgi.url_scheme"] == "https"


@pytest.mark.parametrize("hops", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_value_of_the_outermost_own_proxy_counts_as_with_proxy_fix(hops, count):
    values = {
        "x_forwarded_for": ["6.6.6.6", "192.0.2.7", "10.1.1.1"],
        "x_forwarded_proto": ["https", "https", "http"],
        "x_forwarded_host": ["evil.example", "shop.example", "inner.example"],
        "x_forwarded_port": ["666", "8443", "81"],
        "x_forwarded_prefix": ["/evil", "/shop", "/in"],
    }
    headers = {name: ", ".join(given[-count:]) for name, given in values.items()}
    theirs = EnvironBuilder(base_url="http://example.org").get_environ()
    theirs["REMOTE_ADDR"] = "10.0.0.1"
    theirs |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    ProxyFix(lambda environ, start: [], *[hops] * 5)(theirs, lambda *_: None)
    ours = seen(hops, **headers)
    for key in ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "SCRIPT_NAME", "SERVER_PORT"):
        assert ours[key] == theirs[key], key
    assert not FORWARDING & ours.keys()


def test_a_port_belongs_to_the_host_in_whatever_order_the_two_are_named():
    trusted = ("X-Forwarded-Port", "X-Forwarded-Host")
    environ = seen(1, trusted, x_forwarded_host="shop.example", x_forwarded_port="8443")
    assert environ["HTTP_HOST"] == "shop.example:8443"


def test_only_the_headers_that_are_named_count():
    environ = seen(
        1, ("X-Forwarded-For",), x_forwarded_for="192.0.2.7", x_forwarded_host="evil.example"
    )
    assert (environ["REMOTE_ADDR"], environ["HTTP_HOST"]) == ("192.0.2.7", "example.org")


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("192.0.2.7:4711", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ('"[2001:db8::1]"', "2001:db8::1"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
    ],
)
def test_addresses_come_with_and_without_port(given, address):
    assert seen(1, x_forwarded_for=given)["REMOTE_ADDR"] in (address, "::ffff:c000:207")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x_forwarded_for", "unknown"),
        ("x_forwarded_for", "1.2.3.4\nevil"),
        ("x_forwarded_for", ""),
        ("x_forwarded_proto", "javascript"),
        ("x_forwarded_port", "99999"),
        ("x_forwarded_port", "８０"),
        ("x_forwarded_prefix", "//evil.example"),
        ("x_forwarded_prefix", "/\\evil"),
        ("x_forwarded_prefix", "https://evil.example"),
        ("x_forwarded_prefix", "/a/../b"),
    ],
)
def test_a_malformed_value_is_400(name, value):
    with pytest.raises(BadRequest):
        seen(1, **{name: value})


@pytest.mark.parametrize("proxies", [-1, 17])
def test_a_number_of_proxies_that_cannot_be_is_an_error(proxies):
    with pytest.raises(ValueError, match="proxies"):
        SecurityOptions(proxies=proxies)
