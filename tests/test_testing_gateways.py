"""The client of `kit.testing` through ASGI: what an application sees of it, and it of one."""

from __future__ import annotations

import asyncio
import threading
from io import BytesIO

import pytest
from werkzeug.test import Client, EnvironBuilder

from kit import App, ConfigError, SocketClosed
from kit.testing import SocketRefused, WebSocket, client
from kit.testing.exchanges import over_asgi
from kit.testing.scopes import raw_path
from kit.waiting import background_loop

START = {"type": "http.response.start", "status": 200, "headers": [(b"x-one", b"\xe9")]}


@pytest.fixture(autouse=True)
def loop():
    """The loop in the background: it ends with each test, and with it what a test left there."""
    with background_loop:
        yield


def browser(asgi) -> Client:
    return Client(over_asgi(asgi))


async def body_of(receive) -> list[dict]:
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


def answering(seen: list):
    """An application that keeps scope and messages, and answers with an empty page."""

    async def app(scope, receive, send):
        seen.extend([scope, *await body_of(receive)])
        await send(START)
        await send({"type": "http.response.body", "body": b""})

    return app


# Requests


def test_the_scope_is_that_of_a_server():
    seen: list = []
    browser(answering(seen)).post(
        "/caf%C3%A9/%2e%2e?a=%20b",
        base_url="https://example.org:8443/mount",
        json=1,
        headers={"X-Two": "é"},
        environ_base={"REMOTE_ADDR": "192.0.2.1", "kit.own": 1, "werkzeug.other": 2},
    )
    scope = dict(seen[0])
    headers = dict(scope.pop("headers"))
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": "/mount/café/..",
        "raw_path": b"/mount/caf%C3%A9/%2e%2e",
        "query_string": b"a=%20b",
        "root_path": "/mount",
        "client": ("192.0.2.1", 0),
        "server": ("example.org", 8443),
        "extensions": {},
        "kit.environ": {"kit.own": 1},
    }
    assert headers[b"host"] == b"example.org:8443"
    assert headers[b"x-two"] == "é".encode("latin-1")
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"content-length"] == b"1"


@pytest.mark.parametrize(
    ("environ", "sent"),
    [
        ({"PATH_INFO": "/a/..", "REQUEST_URI": "/a/%2E%2e?x=/"}, b"/a/%2E%2e"),
        ({"PATH_INFO": "/\xff", "REQUEST_URI": "/%ff"}, b"/%ff"),
        ({"PATH_INFO": "/\xff\0", "REQUEST_URI": "/other"}, b"/%FF%00"),
        ({"PATH_INFO": "/caf\xc3\xa9", "REQUEST_URI": "/caf\xc3\xa9"}, b"/caf%C3%A9"),
        ({"PATH_INFO": "", "SCRIPT_NAME": "/a b"}, b"/a%20b/"),
        ({"PATH_INFO": "/x", "REQUEST_URI": "http://localhost/x"}, b"/x"),
    ],
)
def test_a_path_goes_as_it_was_written(environ, sent):
    assert raw_path(environ) == sent


def test_a_body_comes_in_pieces():
    seen: list = []
    browser(answering(seen)).post("/", data=b"x" * 70_000)
    pieces = [len(message["body"]) for message in seen[1:]]
    assert sum(pieces) == 70_000
    assert len(pieces) > 1


@pytest.mark.parametrize(
    ("environ", "body"),
    [
        ({}, b""),
        ({"wsgi.input": BytesIO(b"abc")}, b""),
        ({"wsgi.input": BytesIO(b"abc"), "CONTENT_LENGTH": "2"}, b"ab"),
        ({"wsgi.input": BytesIO(b"abc"), "HTTP_TRANSFER_ENCODING": "chunked"}, b"abc"),
        ({"wsgi.input": BytesIO(b"abc"), "wsgi.input_terminated": True}, b"abc"),
    ],
)
def test_a_body_ends_where_it_says(environ, body):
    seen: list = []
    browser(answering(seen)).get("/", environ_overrides=environ)
    assert b"".join(message["body"] for message in seen[1:]) == body
    assert not seen[-1]["more_body"]


class Broken(BytesIO):
    def read(self, size=-1):
        raise OSError


@pytest.mark.parametrize("stream", [BytesIO(b"abc"), Broken()])
def test_a_body_that_breaks_off_is_a_disconnect(stream):
    seen: list = []
    environ = {"wsgi.input": stream, "CONTENT_LENGTH": "9"}
    browser(answering(seen)).post("/", environ_overrides=environ)
    assert seen[-1] == {"type": "http.disconnect"}


# Answers


def test_status_and_headers_and_all_chunks_arrive():
    async def app(scope, receive, send):
        await send(
            {**START, "status": 299, "headers": [*START["headers"], (b"set-cookie", b"a=1")]}
        )
        for number in range(5):
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
        await send({"type": "http.response.body"})

    site = browser(app)
    response = site.get("/")
    assert response.status == "299 Unknown"
    assert response.headers["X-One"] == "é"
    assert response.data == b"01234"
    assert site.get_cookie("a").value == "1"


def test_an_answer_in_one_piece_is_there_when_the_application_has_returned():
    done = []

    async def app(scope, receive, send):
        await body_of(receive)
        await send(START)
        await send({"type": "http.response.body", "body": b"all of it"})
        await asyncio.sleep(0)
        done.append(await receive())

    assert browser(app).get("/").status_code == 200
    assert done == [{"type": "http.disconnect"}]


def test_a_stream_is_read_while_it_is_made_and_no_chunk_ahead():
    made = []

    async def app(scope, receive, send):
        await send(START)
        for number in range(9):
            made.append(number)
            await send({"type": "http.response.body", "body": b"x", "more_body": True})

    chunks = browser(app).get("/").iter_encoded()
    next(chunks)
    assert max(made) <= 3
    assert len(list(chunks)) == 8


def test_to_close_early_is_to_disconnect_and_waits_for_the_end():
    seen = []

    async def app(scope, receive, send):
        await send(START)
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
        finally:
            seen.extend([await receive(), await receive()])

    response = browser(app).get("/")
    response.close()
    assert [message["type"] for message in seen] == ["http.request", "http.disconnect"]


def test_an_application_that_never_ends_is_told(monkeypatch):
    monkeypatch.setattr("kit.testing.exchanges.PATIENCE", 0.01)

    async def app(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await asyncio.Event().wait()

    response = browser(app).get("/")
    with pytest.raises(TimeoutError, match="the handler goes on"):
        response.close()


def test_what_an_application_raises_is_raised_here():
    async def before(scope, receive, send):
        raise LookupError("before")

    async def amid(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise LookupError("amid")

    async def silent(scope, receive, send):
        await receive()

    with pytest.raises(LookupError, match="before"):
        browser(before).get("/")
    response = browser(amid).get("/")
    with pytest.raises(LookupError, match="amid"):
        response.get_data()
    with pytest.raises(RuntimeError, match=r"sent no http\.response\.start"):
        browser(silent).get("/")


def test_requests_run_at_the_same_time():
    both = threading.Barrier(2, timeout=5)

    async def app(scope, receive, send):
        await asyncio.to_thread(both.wait)
        await send(START)
        await send({"type": "http.response.body"})

    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(browser(app).get("/"))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200, 200]


# Which gateway


@pytest.fixture
def app():
    app = App()
    app.get("/")(lambda request: "asgi" if "asgi.scope" in request.environ else "wsgi")
    app.post("/")(lambda: "posted")
    return app


def test_the_gateway_is_an_argument_or_comes_from_the_environment(app, monkeypatch):
    for gateway in ("wsgi", "asgi"):
        assert client(app, gateway=gateway).get("/").text == gateway
        monkeypatch.setenv("KIT_GATEWAY", gateway)
        assert client(app).get("/").text == gateway
    assert client(app, gateway="wsgi").get("/").text == "wsgi"


def test_there_are_two_gateways(app, monkeypatch):
    monkeypatch.setenv("KIT_GATEWAY", "cgi")
    with pytest.raises(ConfigError, match=r"KIT_GATEWAY: 'cgi' is no gateway"):
        client(app)


@pytest.mark.parametrize("gateway", ["wsgi", "asgi"])
def test_forms_need_a_token_only_where_it_is_asked_for(gateway):
    app = App({"sessions": {"use": "beaker"}})
    app.post("/")(lambda session: "posted")
    data = {"a": "b"}
    assert client(app, gateway=gateway).post("/", data=data).status_code == 200
    assert client(app, gateway=gateway, csrf=True).post("/", data=data).status_code == 403
    app.stop()


def test_a_websocket_belongs_to_the_site_and_to_the_visitor():
    app = App({"sessions": {"use": "beaker"}})

    @app.get("/")
    def enter(session):
        session["name"] = "Ada"
        return "welcome"

    @app.websocket("/talk")
    async def talk(socket, session):
        await socket.send(session.get("name", "nobody"))

    site = client(app)
    with site.websocket("/talk") as ws:
        assert ws.receive() == "nobody"
    site.get("/")
    with site.websocket("/talk") as ws:
        assert ws.receive() == "Ada"
    elsewhere = site.websocket("/talk", headers={"Origin": "https://evil.example"})
    with pytest.raises(SocketRefused, match="403"), elsewhere:
        pass
    app.stop()


def test_a_mistake_in_the_application_is_the_error_of_the_start():
    app = App()
    app.get("/")(lambda nothing_has_this_name: "")
    with pytest.raises(ConfigError, match="nothing_has_this_name"):
        client(app, gateway="asgi")


# WebSockets


def socket(asgi, timeout: float = 5, **environ) -> WebSocket:
    return WebSocket(asgi, EnvironBuilder("/echo", **environ).get_environ(), ("a", "b"), timeout)


async def echo(scope, receive, send):
    assert (await receive())["type"] == "websocket.connect"
    subprotocol = scope["subprotocols"][-1]
    headers = [(b"x-scheme", scope["scheme"].encode())]
    await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") == "bye":
            await send({"type": "websocket.send", "text": "bye"})
            await send({"type": "websocket.close", "code": 4001, "reason": "you left"})
            return
        await send({**message, "type": "websocket.send"})
    echo.left = message


def test_text_bytes_and_json_go_both_ways():
    with socket(echo) as ws:
        ws.send("x")
        ws.send(b"\xff")
        ws.send_json({"a": [1]})
        assert [ws.receive(), ws.receive(), ws.receive_json()] == ["x", b"\xff", {"a": [1]}]
        assert (ws.subprotocol, ws.headers) == ("b", [("x-scheme", "ws")])
    assert echo.left == {"type": "websocket.disconnect", "code": 1000, "reason": ""}


def test_the_client_closes_with_a_code_of_its_own():
    with socket(echo) as ws:
        ws.close(4002, "enough")
    assert echo.left == {"type": "websocket.disconnect", "code": 4002, "reason": "enough"}


def test_when_the_application_closes_code_and_reason_are_told():
    with socket(echo) as ws:
        ws.send("bye")
        assert ws.receive() == "bye"
        for _ in range(2):
            with pytest.raises(SocketClosed, match="closed with 4001: you left") as closed:
                ws.receive()
            assert (closed.value.code, closed.value.reason) == (4001, "you left")
        with pytest.raises(SocketClosed):
            ws.send("more")


def test_a_refused_handshake_is_an_error_with_its_status():
    async def closing(scope, receive, send):
        await send({"type": "websocket.close", "code": 1008})

    async def answering(scope, receive, send):
        assert "websocket.http.response" in scope["extensions"]
        answer = {"status": 404, "headers": [(b"a", b"b")]}
        await send({"type": "websocket.http.response.start", **answer})
        await send({"type": "websocket.http.response.body", "body": b"no", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"thing"})

    with pytest.raises(SocketRefused, match="refused with 403"), socket(closing):
        pass
    with pytest.raises(SocketRefused) as refused, socket(answering):
        pass
    assert (refused.value.status, refused.value.headers) == (404, [("a", "b")])
    assert refused.value.body == b"nothing"


def test_nothing_waits_for_ever():
    async def deaf(scope, receive, send):
        await asyncio.Event().wait()

    async def mute(scope, receive, send):
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async def deaf_later(scope, receive, send):
        await send({"type": "websocket.accept"})
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError, match="an answer to the handshake"), socket(deaf, 0.01):
        pass
    with pytest.raises(TimeoutError, match="a message did not come"), socket(mute, 0.01) as ws:
        ws.receive()
    with pytest.raises(TimeoutError, match="the handler goes on"), socket(deaf_later, 0.01):
        pass


def test_what_a_handler_raises_is_raised_in_the_test():
    async def broken(scope, receive, send):
        await send({"type": "websocket.accept"})
        await receive()
        raise LookupError("amid")

    with pytest.raises(LookupError, match="amid"), socket(broken):
        pass
    with pytest.raises(LookupError, match="amid"), socket(broken) as ws:
        ws.receive()


def test_a_handler_may_end_by_the_disconnect():
    async def talking(scope, receive, send):
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "text": "x"})
            await asyncio.sleep(0)

    with socket(talking) as ws:
        assert ws.receive() == "x"
