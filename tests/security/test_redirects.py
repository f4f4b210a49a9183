"""Where ``next`` may lead."""

from __future__ import annotations

import pytest

from kit.responses import redirect, safe_next


@pytest.mark.parametrize("url", ["/", "/orders?id=1&x=%2F#top", "/größe", "/a//b", "/a:b@c"])
def test_a_path_of_the_same_host_is_good(url):
    assert safe_next(url) == url
    redirect(url)


@pytest.mark.parametrize(
    "url",
    [
        *("", None, "orders", "//evil.example", "///evil.example", "/\\evil.example", "\\/evil"),
        *("https://evil.example", "https:/evil", "javascript:alert(1)", "data:text/html,x"),
        *(" /a", "/ a", "/\t/evil.example", "\t//evil.example", "/\n/evil", "/a\r\nX: y", "/\0"),
        *("/\x7f", "/\ud800", "/" + "a" * 2000, "?next=/", "#x", "/\x1b"),
    ],
)
def test_anything_else_is_not(url):
    assert safe_next(url) == "/"
    assert safe_next(url, "/home") == "/home"
