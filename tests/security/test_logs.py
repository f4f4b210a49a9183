"""The log: one event is one line, and shows no secret."""

from __future__ import annotations

import io
import logging

import pytest

from kit.options import DatabaseURL, Secret
from kit.security import logs

ENVIRON = {"REQUEST_METHOD": "POST", "PATH_INFO": "/login", "REMOTE_ADDR": "192.0.2.7"}


@pytest.fixture
def lines():
    """What an ordinary handler writes of the kernel's loggers, line by line."""
    before = list(logs.safe_lines._secrets)
    logs.protect(["s3cret-of-this-application", "tiny"])
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s"))
    logging.getLogger("kit").addHandler(handler)
    yield lambda: stream.getvalue().split("\n")[:-1]
    logging.getLogger("kit").removeHandler(handler)
    logs.safe_lines._secrets[:] = before


def test_an_event_is_one_line_of_keys_and_values(lines):
    logs.event("login_failed", ENVIRON, account="ann lee", tries=3)
    assert lines() == [
        "WARNING:kit.security:event=login_failed method=POST path=/login client=192.0.2.7"
        ' account="ann lee" tries=3'
    ]


UNSEEN = [
    *("\n", "\r", "\0", "\x1b[31m", "\x7f", "\x85", "\x9b", "\u2028", "\u2029", "\u202e"),
    *("\u2066", "\u200b", "\u200f", "\ufeff", "\u061c", "\xad", "\ud800", "\U000e0041"),
]


@pytest.mark.parametrize("text", UNSEEN)
def test_nobody_forges_a_line_or_hides_a_part_of_one(lines, text):
    forged = f"x{text}WARNING:kit.security:event=login"
    logs.event("a", {**ENVIRON, "PATH_INFO": f"/{forged}"}, account=forged)
    logging.getLogger("kit").error("failed for %s", forged)
    for line in lines():
        assert line.isprintable()
        assert text not in line
    assert len(lines()) == 2
    assert "\\" in lines()[0]


def test_values_cannot_be_taken_for_keys(lines):
    logs.event("a", ENVIRON, account='x" event=login y="', empty="")
    assert lines()[0].endswith(r'account="x\" event=login y=\"" empty=""')


def test_lines_of_a_traceback_are_set_apart(lines):
    try:
        raise ValueError("bad\nERROR:kit:forged\u2028\x1b[2K")
    except ValueError:
        logging.getLogger("kit").exception("failed", stack_info=True)
    first, *others = lines()
    assert first == "ERROR:kit:failed"
    assert all(line.startswith("  | ") and line.isprintable() for line in others)
    assert "  | ERROR:kit:forged\\u2028\\x1b[2K" in others
    assert any("Stack (most recent call last)" in line for line in others)


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer hunter2hunter2",
        "sent Bearer hunter2hunter2 to us",
        "Cookie: session=hunter2; other=hunter2",
        "{'Set-Cookie': 'session=hunter2'}",
        'password="hunter2 hunter2"',
        "{'password': 'hunter2'}",
        "api-key: hunter2",
        "/reset?token=hunter2&x=1",
        "csrf_token=hunter2",
        "postgresql://app:hunter2@db/test",
        "redis://:hunter2@cache:6379/0",
        "new_password=hunter2, old=1",
    ],
)
def test_credentials_are_not_shown(lines, text):
    logging.getLogger("kit").warning("%s", text)
    logs.event("a", {**ENVIRON, "PATH_INFO": text}, note=text)
    try:
        raise ValueError(text)
    except ValueError:
        logging.getLogger("kit.security").exception("failed")
    shown = "\n".join(lines())
    assert "<secret>" in shown
    assert "hunter2" not in "\n".join(line for line in lines() if "raise ValueError" not in line)


def test_details_that_are_secrets_by_name_are_not_shown(lines):
    logs.event("a", ENVIRON, password="x1", csrf_token="x2", api_key="x3", account="x4")
    assert lines()[0].endswith("password=<secret> csrf_token=<secret> api_key=<secret> account=x4")


def test_configured_secrets_are_shown_nowhere_and_short_texts_are_none(lines):
    logging.getLogger("kit").warning("signed with s3cret-of-this-application, a tiny thing")
    assert lines() == ["WARNING:kit:signed with <secret>, a tiny thing"]


def test_tokens_in_links_are_not_shown(lines):
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    logs.event("token_refused", {**ENVIRON, "PATH_INFO": f"/reset/{token}/x"})
    logging.getLogger("kit").error("500 for GET '/reset/%s', request 0", token)
    assert "path=/reset/<secret>/x" in lines()[0]
    assert lines()[1] == "ERROR:kit:500 for GET '/reset/<secret>', request 0"


def test_a_secret_that_holds_another_one_is_hidden_whole(lines):
    logs.protect(["abcdef", "abcdefghi"])
    logging.getLogger("kit").warning("abcdefghi abcdef")
    assert lines() == ["WARNING:kit:<secret> <secret>"]


def test_the_secrets_of_a_configuration_are_its_keys_and_the_passwords_in_its_urls():
    values = [
        Secret("k" * 32),
        (Secret("old key"), [Secret("older key")]),
        DatabaseURL("postgresql://app:p%40ss@db/test"),
        Secret("redis://:hunter2@cache/0"),
        Secret("redis://[broken"),
        DatabaseURL("sqlite:////tmp/x.db"),
        "no secret",
        None,
        7,
    ]
    assert sorted(logs.secrets_in(values)) == sorted(
        ["k" * 32, "old key", "older key", "p%40ss", "p@ss", "hunter2", "redis://[broken"]
    )


def test_harmless_lines_stay_as_they_are(lines):
    text = "500 for GET '/contacts/7', request 0123456789abcdef: no form of the template 'ä.html'"
    logging.getLogger("kit").warning(text)
    assert lines() == [f"WARNING:kit:{text}"]
