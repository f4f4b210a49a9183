"""What the echo and the reports promise."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from kit import SocketClosed
from kit.testing import SocketRefused
from kit.testing import client as browser

TOKEN = "very secure token"


@pytest.fixture
def client(ws):
    return browser(ws)


def test_hello_is_data(client):
    assert client.get("/hello").json == {"hello": "world"}
    assert client.post("/hello").status_code == 405


@pytest.mark.parametrize("path", ["/", "/index.html", "/nothing", "/a/b", "/a/b/", "/index.htm"])
def test_the_page_is_sent_for_all_that_is_nothing_else(client, path):
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    for part in (
        "<title>WebSocket Echo</title>",
        "<h1>WebSocket Echo Test</h1>",
        '<form id="messageForm">',
        'name="message" type="text"',
        '<pre id="history"',
        '<script src="/echo.js"',
    ):
        assert part in response.text


def test_the_page_needs_nothing_that_its_policy_forbids(client):
    page = client.get("/")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "<style" not in page.text
    assert "style=" not in page.text
    assert page.text.count("<script") == page.text.count('<script src="/') == 1
    script = client.get("/echo.js")
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "new WebSocket(" in script.text
    assert "/echo" in script.text


@pytest.mark.parametrize("path", ["%2e%2e/ws.py", "..%2fws.py", "..%5cws.py", "x%00", "a/%2e%2e/b"])
def test_no_path_leads_out_of_the_folder(client, path):
    response = client.get(f"/{path}")
    assert response.status_code in (400, 403, 404)
    assert "title" in response.json


@pytest.mark.parametrize("path", ["/nothing", "/hello", "/"])
def test_there_are_two_sockets_only(client, path):
    with pytest.raises(SocketRefused) as refused, client.websocket(path):
        pass
    assert 400 <= refused.value.status < 500


TEXTS = ["", "hello", "<b>&amp;</b>", "Zoë 😀 \u202e", '{"a": 1}', "x" * 60_000, "\x00"]


def test_every_text_is_answered_in_order(client):
    with client.websocket("/echo") as socket:
        for text in TEXTS:
            socket.send(text)
        answers = [socket.receive_json() for _ in TEXTS]
    assert [answer["message"] for answer in answers] == TEXTS
    now = datetime.now(UTC)
    for answer in answers:
        assert set(answer) == {"message", "date"}
        assert timedelta(0) <= now - datetime.fromisoformat(answer["date"]) < timedelta(minutes=1)


def test_each_hears_only_the_answers_to_their_own(client):
    with client.websocket("/echo") as ada, client.websocket("/echo") as bob:
        ada.send("ada")
        bob.send("bob")
        assert (bob.receive_json()["message"], ada.receive_json()["message"]) == ("bob", "ada")
        with client.websocket("/echo") as eve:
            eve.send("eve")
            eve.close(1006)
        ada.send("still here")
        assert ada.receive_json()["message"] == "still here"


@pytest.mark.parametrize(
    "token", ["", "Very secure token", " very secure token", "very secure token\n", "x", "tokén"]
)
def test_whoever_has_no_token_is_told_nothing(client, token):
    with client.websocket("/reports") as socket:
        socket.send(token)
        with pytest.raises(SocketClosed) as closed:
            socket.receive()
    assert closed.value.code == 1008


def test_bytes_are_no_token(client):
    with client.websocket("/reports") as socket:
        socket.send(TOKEN.encode())
        with pytest.raises(SocketClosed):
            socket.receive()


def test_reports_are_had_by_name(client):
    with client.websocket("/reports") as socket:
        for message in (TOKEN, "report1", "report4", "Report1", TOKEN, "", "report2"):
            socket.send(message)
        answers = [socket.receive_json() for _ in range(6)]
    unknown = {"error": "report not found"}
    titles = [{"report": f"Report {number}"} for number in (1, 4, 2)]
    assert answers == [*titles[:2], unknown, unknown, unknown, titles[2]]


def test_the_token_counts_for_its_own_connection(client):
    with client.websocket("/reports") as first:
        first.send(TOKEN)
        with client.websocket("/reports") as second:
            second.send("report1")
            with pytest.raises(SocketClosed) as closed:
                second.receive()
        assert closed.value.code == 1008
        first.send("report3")
        assert first.receive_json() == {"report": "Report 3"}


def test_connections_are_logged_after_routing_and_the_token_never_is(client, caplog):
    caplog.set_level(logging.DEBUG)
    with client.websocket("/reports") as socket:
        socket.send(TOKEN)
        socket.send("report1")
        socket.receive()
    with client.websocket("/reports") as socket:
        socket.send("a guess")
        with pytest.raises(SocketClosed):
            socket.receive()
    own = [one.getMessage() for one in caplog.records if one.name == "ws"]
    assert own == ["connected to /reports: ReportsResource", "a client of /reports has no token"]
    assert TOKEN not in caplog.text
    assert "a guess" not in caplog.text
