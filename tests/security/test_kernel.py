"""What the kernel does with these modules in every application."""

from __future__ import annotations

import logging

import pytest
from werkzeug.test import Client

from kit import App, Response
from kit.security import logs
from kit.testing import client

KEY = "a-secret-key-of-this-test-which-nobody-sees"


@pytest.fixture
def bare_loggers():
    """The loggers of the kernel as they are in a new process."""
    for name in logs.LOGGERS:
        logging.getLogger(name).removeFilter(logs.safe_lines)
    yield
    logs.protect()


def test_an_application_has_a_safe_log_that_shows_none_of_its_secrets(bare_loggers, caplog):
    app = App({"app": {"secret_key": KEY}})

    @app.get("/")
    def broken(request):
        raise RuntimeError(f"{KEY}\nERROR:kit:forged {request.args['a']}")

    assert client(app).get("/?a=%1b[31m%0aERROR:kit:forged").status_code == 500
    [record] = [one for one in caplog.records if one.name == "kit"]
    text = logging.Formatter("%(levelname)s:%(name)s:%(message)s").format(record)
    assert KEY not in text
    assert "\x1b" not in text
    assert [line for line in text.splitlines() if line.startswith("ERROR:kit:")] == [
        text.splitlines()[0]
    ]


@pytest.mark.parametrize("sessions", [{}, {"sessions": {"use": "beaker"}}])
def test_every_cookie_that_goes_out_over_https_is_secure(sessions):
    app = App(sessions)

    @app.get("/")
    def cookies():
        response = Response("x")
        response.set_cookie("a", "1")
        response.set_cookie("b", "; secure", secure=True)
        return response

    if sessions:
        app.get("/session")(lambda session: session.update(a=1) or "x")
    site: Client = client(app)
    for path in ("/", *(["/session"] if sessions else [])):
        found = site.get(path, base_url="https://localhost").headers.getlist("Set-Cookie")
        assert found
        assert [cookie.split("; ")[1:].count("Secure") for cookie in found] == [1] * len(found)
    plain = site.get("/").headers.getlist("Set-Cookie")
    assert "Secure" not in plain[0]
