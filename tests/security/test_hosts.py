"""Which hosts are served, and which of them are not even read."""

from __future__ import annotations

import pytest
from werkzeug.exceptions import BadRequest
from werkzeug.test import EnvironBuilder

from kit import App
from kit.security.hosts import host_check, own_origin
from kit.security.options import SecurityOptions
from kit.testing import client


def refused(host: str | None, *hosts: str, **environ: str) -> bool:
    """Say whether a request with this Host is refused, the second time as the first."""
    check = host_check(SecurityOptions(hosts=hosts) if hosts else SecurityOptions())
    given = {"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80", "REQUEST_METHOD": "GET", **environ}
    if host is not None:
        given["HTTP_HOST"] = host
    outcomes = set()
    for _ in range(2):
        try:
            check(given)
            outcomes.add(False)
        except BadRequest:
            outcomes.add(True)
    assert len(outcomes) == 1
    return outcomes.pop()


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000", "LocalHost", "shop.localhost", "127.0.0.1:80", "[::1]:8000"],
)
def test_loopback_names_are_served_unless_others_are_set(host):
    assert not refused(host)
    assert refused(host, "example.org")


@pytest.mark.parametrize(
    "host", ["example.org", "EXAMPLE.org:8443", "a.shop.example", "shop.example"]
)
def test_a_name_is_exact_and_a_dot_stands_for_all_below_it(host):
    assert not refused(host, "example.org", ".shop.example")


@pytest.mark.parametrize(
    "host", ["www.example.org", "example.org.evil", "evilexample.org", "evilshop.example", "org"]
)
def test_other_names_are_refused(host):
    assert refused(host, "example.org", ".shop.example")


@pytest.mark.parametrize(
    "host",
    [
        "",
        " localhost",
        "localhost ",
        "localhost,evil.example",
        "localhost, localhost",
        "localhost:80:80",
        "localhost:x",
        "localhost:123456",
        "user@localhost",
        "localhost/",
        "localhost/..",
        "localhost?x",
        "localhost#x",
        "loc\talhost",
        "localhost\n",
        "localhost\0",
        "[::1",
        "[::1]x",
        "::1",
        "[::1%25eth0]",
        ".localhost",
        "a..localhost",
        "-a.localhost",
        "lócalhost",
        "１２７.0.0.1",
        "http://localhost",
        "a" * 300,
    ],
)
def test_a_malformed_host_is_refused_even_where_any_is_allowed(host):
    assert refused(host)
    assert refused(host, "*")


def test_any_host_may_be_allowed():
    assert not refused("evil.example:81", "*")


def test_without_a_host_the_name_of_the_server_counts():
    assert not refused(None)
    assert not refused(None, SERVER_NAME="::1")
    assert refused(None, SERVER_NAME="0.0.0.0")


def test_what_was_found_good_does_not_pile_up():
    check = host_check(SecurityOptions())
    for port in range(2000):
        check({"HTTP_HOST": f"localhost:{port}"})
    [good] = [
        cell.cell_contents for cell in check.__closure__ if isinstance(cell.cell_contents, dict)
    ]
    assert len(good) <= 256


def test_a_refused_host_gets_no_redirect_and_no_page_of_the_application():
    app = App({"security": {"hosts": ["example.org"]}})
    app.get("/page/")(lambda: "secret")
    app.error(400)(lambda error: "own page")
    for path in ("/page", "/page/"):
        answer = client(app).get(path, headers={"Host": "evil.example"})
        assert answer.status_code == 400
        assert "secret" not in answer.text
        assert "evil" not in answer.text
        assert "Location" not in answer.headers
    assert client(app).get("/page/", base_url="https://example.org").text == "secret"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://Example.org", "http://example.org"),
        ("http://example.org:80", "http://example.org"),
        ("https://example.org:443", "https://example.org"),
        ("https://example.org:80", "https://example.org:80"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_the_own_origin_is_written_as_browsers_write_it(url, origin):
    assert own_origin(EnvironBuilder(base_url=url).get_environ()) == origin


def test_the_own_origin_without_a_host_is_that_of_the_server():
    environ = EnvironBuilder(base_url="http://example.org:8000").get_environ()
    del environ["HTTP_HOST"]
    assert own_origin(environ) == "http://example.org:8000"


@pytest.mark.parametrize(
    "hosts",
    [[], ["https://example.org"], ["example.org:80"], ["Example.org"], ["*.example.org"], [""]],
)
def test_a_host_that_could_never_match_is_an_error_at_start(hosts):
    with pytest.raises(ValueError, match="hosts"):
        SecurityOptions(hosts=tuple(hosts))


@pytest.mark.parametrize("name", ["RAW_URI", "REQUEST_URI"])
@pytest.mark.parametrize(
    ("target", "is_refused"),
    [
        ("/", False),
        ("*", False),
        ("/http://evil.example", False),
        ("http://localhost/x", False),
        ("HTTP://LocalHost", False),
        ("http://evil.example/", True),
        ("http://localhost:81/", True),
        ("http://localhost@evil.example/", True),
    ],
)
def test_a_target_that_is_an_url_names_the_host_too(name, target, is_refused):
    assert refused("localhost", **{name: target}) == is_refused
