"""Headers of every answer, and the nonce of a page's own scripts."""

from __future__ import annotations

import re

import pytest
from werkzeug.test import Client

from kit import App, ConfigError, abort
from kit.options import Duration
from kit.security.headers import https_headers, policy, security_headers
from kit.security.options import SecurityOptions
from kit.testing import client

NONCE = re.compile(r"'nonce-([A-Za-z0-9_-]{22,})'")


def served(**security: object) -> Client:
    app = App({"security": security})
    app.get("/")(lambda: "page")
    app.get("/nonce")(lambda csp_nonce: csp_nonce)
    app.get("/own")(lambda: ("page", {"Content-Security-Policy": "default-src 'self'"}))
    app.get("/abort")(lambda csp_nonce: abort(404))
    app.get("/broken")(lambda: 1 / 0)
    return client(app)


@pytest.mark.parametrize("path", ["/", "/nonce", "/abort", "/broken", "/nowhere", "/own"])
def test_every_answer_has_them_each_once(path):
    headers = served(hsts="365 days").get(path, base_url="https://localhost").headers
    for name in (*dict(security_headers(SecurityOptions())), "Strict-Transport-Security"):
        assert len(headers.getlist(name)) == 1, name


def test_the_answer_to_a_refused_method_host_and_option_has_them_too():
    site = served()
    for answer in (site.delete("/"), site.options("/"), site.get("/", headers={"Host": "x"})):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_hsts_goes_out_over_https_only():
    site = served(hsts="365 days", hsts_subdomains=True, hsts_preload=True)
    assert "Strict-Transport-Security" not in site.get("/").headers
    found = site.get("/", base_url="https://localhost").headers["Strict-Transport-Security"]
    assert found == "max-age=31536000; includeSubDomains; preload"
    assert https_headers(SecurityOptions()) == ()


def test_a_handler_may_have_a_policy_of_its_own():
    assert served().get("/own").headers["Content-Security-Policy"] == "default-src 'self'"


def test_a_policy_that_hides_the_origin_of_the_own_forms_is_no_choice():
    with pytest.raises(ConfigError, match="referrer_policy"):
        served(referrer_policy="no-referrer")
    answer = served(referrer_policy="same-origin").get("/")
    assert answer.headers["Referrer-Policy"] == "same-origin"


def test_an_empty_policy_is_no_header():
    assert "Content-Security-Policy" not in served(csp="").get("/").headers


def test_the_nonce_is_new_for_each_answer_and_the_one_in_the_policy():
    site = served(csp="script-src 'self' {nonce}", csp_report_only="style-src {nonce}")
    answers = [site.get("/nonce") for _ in range(5)]
    assert len({answer.text for answer in answers}) == 5
    for answer in answers:
        for name in ("Content-Security-Policy", "Content-Security-Policy-Report-Only"):
            assert NONCE.findall(answer.headers[name]) == [answer.text]
    assert site.get("/").headers["Content-Security-Policy"] == "script-src 'self'"


@pytest.mark.parametrize(
    ("text", "without", "with_nonce"),
    [
        ("script-src {nonce}", "script-src 'none'", "script-src 'nonce-N'"),
        ("script-src 'self' {nonce}", "script-src 'self'", "script-src 'self' 'nonce-N'"),
        ("script-src 'none'", "script-src 'none'", "script-src 'nonce-N'"),
        ("script-src a.example; img-src *", None, "script-src a.example 'nonce-N'; img-src *"),
        ("script-src-elem 'self'", None, "script-src-elem 'self' 'nonce-N'"),
        ("style-src 'self'", None, "style-src 'self' 'nonce-N'; script-src 'self' 'nonce-N'"),
        ("default-src 'none'", None, "default-src 'none'; script-src 'nonce-N'"),
        ("default-src a.example", None, "default-src a.example; script-src a.example 'nonce-N'"),
        ("object-src 'none'", None, "object-src 'none'; script-src 'self' 'nonce-N'"),
        ("style-src {nonce}", "style-src 'none'", "style-src 'nonce-N'"),
        ("", "", "script-src 'self' 'nonce-N'"),
    ],
)
def test_the_nonce_finds_its_place(text, without, with_nonce):
    assert policy(text) == (text if without is None else without)
    assert policy(text, "N") == with_nonce


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"csp": "scirpt-src 'self'"}, "Did you mean 'script-src'"),
        ({"csp": "script-src self"}, "in single quotes"),
        ({"csp": "script-src nonce-{nonce}"}, "single quotes"),
        ({"csp": "script-src '{nonce}'"}, "as it stands"),
        ({"csp": "img-src a; img-src b"}, "twice"),
        ({"csp": "img-src a\r\nX: y"}, "one line"),
        ({"csp_report_only": "img-src é"}, "csp_report_only is one line"),
        ({"hsts_subdomains": True}, "needs hsts"),
        ({"hsts": Duration(600), "hsts_subdomains": True, "hsts_preload": True}, "365 days"),
    ],
)
def test_what_browsers_would_ignore_is_an_error_at_start(options, message):
    with pytest.raises(ValueError, match=message):
        SecurityOptions(**options)
