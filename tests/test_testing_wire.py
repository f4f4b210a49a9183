"""The client of `kit.testing` over the wire: a server that runs elsewhere, and its answers."""

from __future__ import annotations

import logging
import threading
from io import BytesIO

import pytest
from werkzeug.serving import make_server
from werkzeug.test import Client

from kit import App, Response
from kit.testing import client, in_process
from kit.testing.wire import over_http

PAGE = '<form method="post"><input type="hidden" name="csrf_token" value="{}"></form>'


@pytest.fixture(scope="module")
def app():
    app = App({"sessions": {"use": "beaker"}})
    app.stream = threading.Event()
    app.bodies = []

    @app.get("/")
    def form(csrf_token, session):
        session["visits"] = session.get("visits", 0) + 1
        return PAGE.format(csrf_token)

    @app.post("/")
    def post(session):
        return {"visits": session["visits"]}

    @app.get("/cookies")
    def cookies():
        response = Response("two", headers={"X-Own": "é"})
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    @app.get("/stream")
    def stream():
        yield "begin"
        app.stream.wait(5)
        yield "end"

    @app.post("/body", csrf=False)
    def body(request):
        app.bodies.append(request.body)
        return str(len(request.body))

    return app.start()


@pytest.fixture(scope="module")
def url(app):
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_requests_go_to_the_server_that_the_environment_names(app, url, monkeypatch):
    monkeypatch.setenv("KIT_TEST_URL", url)
    assert "Werkzeug" in client(app).get("/").headers["Server"]
    assert "Server" not in client(app, gateway="wsgi").get("/").headers


def test_status_and_all_headers_come_back(app, url):
    site = client(app, url=url)
    response = site.get("/cookies")
    assert (response.status, response.text) == ("200 OK", "two")
    assert response.headers["X-Own"] == "é"
    assert [site.get_cookie(name).value for name in "ab"] == ["1", "2"]
    assert site.head("/cookies").data == b""
    assert site.get("/nope").status_code == 404


def test_a_token_is_fetched_once_and_sent_with_what_changes_something(app, url):
    site = client(app, url=url)
    assert site.post("/", data={"a": "b"}).json == {"visits": 1}
    assert site.post("/", json={"a": "b"}).json == {"visits": 1}
    assert site.post("/", headers={"Host": "shop.localhost"}).json == {"visits": 1}


def test_no_token_is_sent_where_tokens_are_tested(app, url):
    site = client(app, url=url, csrf=True)
    assert site.post("/", data={"a": "b"}).status_code == 403
    assert site.post("/", data={"a": "b"}, headers={"X-CSRF-Token": "x"}).status_code == 403


def test_a_page_without_a_token_is_said_to_be_one(app, url):
    site = client(app, url=url, form="/cookies")
    with pytest.raises(RuntimeError, match=r"the page /cookies \(200 OK\) has no form"):
        site.post("/")


def test_bodies_go_with_their_length_or_in_chunks(app, url):
    site = client(app, url=url)
    assert site.post("/body", data=b"x" * 100_000).text == "100000"
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    stream = BytesIO(b"y" * 100_000)
    response = site.post("/body", input_stream=stream, environ_overrides=chunked)
    assert response.text == "100000"
    assert [body[:1] * len(body) for body in app.bodies] == app.bodies


def test_a_refusal_in_the_midst_of_a_body_is_read(app, url):
    response = client(app, url=url).post("/body", data=b"x" * 9_000_000)
    assert response.status_code == 413


def test_a_stream_is_read_while_it_is_made(app, url):
    chunks = iter(client(app, url=url).get("/stream").response)
    assert next(chunks) == b"begin"
    app.stream.set()
    assert list(chunks) == [b"end"]


def test_the_request_line_goes_as_it_was_written():
    seen = []

    def bare(environ, start_response):
        seen.append((environ["REQUEST_URI"], environ["REQUEST_METHOD"]))
        start_response("204 No Content", [])
        return []

    server = make_server("127.0.0.1", 0, bare)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site = Client(over_http(f"http://127.0.0.1:{server.port}"))
    for path in ("/a/../b", "/%2e%2E/%00?x=%20é&y"):
        site.open(path, method="FROBNICATE")
    server.shutdown()
    thread.join()
    server.server_close()
    assert seen == [
        ("/a/../b", "FROBNICATE"),
        ("/%2e%2E/%00?x=%20%C3%A9&y", "FROBNICATE"),
    ]


@pytest.mark.parametrize("url", ["127.0.0.1:80", "https://localhost", "http://localhost/shop"])
def test_an_address_is_that_of_a_server(app, url):
    with pytest.raises(ValueError, match="is no address of a server"):
        client(app, url=url)


def test_tests_of_what_happens_in_the_process_are_left_out_over_the_wire(monkeypatch):
    monkeypatch.delenv("KIT_TEST_URL", raising=False)
    assert in_process("it looks inside").args == (False,)
    monkeypatch.setenv("KIT_TEST_URL", "http://127.0.0.1:1")
    mark = in_process("it looks inside")
    assert (mark.name, mark.args) == ("skipif", (True,))
    assert mark.kwargs == {"reason": "not over the wire: it looks inside"}
