"""WebSockets over the wire: a real server, and a client that keeps to RFC 6455 by itself."""

from __future__ import annotations

import asyncio
import socket as sockets
import threading
from queue import Queue

import pytest
import uvicorn
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from werkzeug.exceptions import Forbidden, NotFound

from kit.assembly import Limits
from kit.options import Size
from kit.sockets import Socket

LIMITS = Limits(message=Size(200_000))
ENDED: Queue[int | None] = Queue()  # the code of each handler that ended


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def count(socket):
    for number in range(500):
        await socket.send(str(number))
    assert await socket.receive() == "enough"
    await socket.close(4001, "counted")


async def choose(socket):
    chosen = await socket.accept("v2", "v1")
    await socket.send(chosen)


async def hang_up(socket):
    await socket.close(4321, "né")


async def refuse(socket):
    raise Forbidden("Not here.")


async def fail(socket):
    await socket.receive()
    raise KeyError("secret")


async def tick(socket):
    while True:
        await socket.send("tick")
        await asyncio.sleep(0.01)


async def wait(socket):
    await socket.accept()
    await asyncio.Event().wait()


async def read_json(socket):
    while True:
        await socket.send_json({"got": await socket.json()})


HANDLERS = [echo, count, choose, hang_up, refuse, fail, tick, wait, read_json]
BY_PATH = {f"/{handler.__name__}": handler for handler in HANDLERS}


async def asgi(scope, receive, send):
    """Handle a WebSocket as the gateway does."""
    socket = Socket({"asgi.scope": scope, "PATH_INFO": scope["path"]}, receive, send, LIMITS)
    error = None
    try:
        if scope["path"] not in BY_PATH:
            raise NotFound
        await BY_PATH[scope["path"]](socket)
    except BaseException as raised:
        error = raised
    if isinstance(error, (Forbidden, NotFound)) and not socket.accepted:
        line = f"{error.code} {error.name}"
        await socket.refuse((line, [("X-A", "b")], [error.description.encode()]))
    else:
        await socket.end(error)
    ENDED.put(socket.code)


def start(**options):
    """Start a server on a free port; return it, its thread and its address."""
    listening = sockets.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(asgi, lifespan="off", log_level="critical", **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    return server, thread, f"ws://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(scope="module", params=["websockets-sansio", "wsproto"])
def url(request):
    server, thread, url = start(ws=request.param)
    yield url
    server.should_exit = True
    thread.join()


@pytest.fixture(autouse=True)
def ended():
    """Every test has one handler; it ends, and the test may look how."""
    codes = []

    def code():
        codes.append(ENDED.get(timeout=10))
        return codes[-1]

    yield code
    if not codes:
        code()
    assert ENDED.empty()


def test_messages_come_back_as_they_went(url, ended):
    with connect(f"{url}/echo", max_size=None) as client:
        for message in ["", b"", "é\u2028\0", b"\xff\0", "x" * 100_000, b"y" * 200_000]:
            client.send(message)
            assert client.recv(timeout=10) == message
        client.send(["frag", "ments", ""])
        assert client.recv(timeout=10) == "fragments"
        client.close(4005, "done")
    assert ended() == 4005


def test_many_messages_keep_their_order(url, ended):
    with connect(f"{url}/count") as client:
        assert [client.recv(timeout=10) for _ in range(500)] == [str(n) for n in range(500)]
        client.send("enough")
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(timeout=10)
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "counted")
    assert ended() == 4001


def test_the_code_and_the_reason_come_to_the_client(url):
    with connect(f"{url}/hang_up") as client, pytest.raises(ConnectionClosed) as caught:
        client.recv(timeout=10)
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4321, "né")


def test_a_handler_that_returned_closes_with_1000_and_the_subprotocol_was_chosen(url):
    with connect(f"{url}/choose", subprotocols=["v1", "v2"]) as client:
        assert (client.subprotocol, client.recv(timeout=10)) == ("v2", "v2")
        assert list(client) == []
        assert client.close_code == 1000


def test_a_ping_is_answered_while_the_handler_waits(url):
    with connect(f"{url}/wait") as client:
        assert client.ping(b"there?").wait(10)


def test_a_message_over_the_limit_closes_with_1009(url, ended):
    with connect(f"{url}/echo") as client:
        client.send("é" * 100_001)
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(timeout=10)
    assert caught.value.rcvd.code == 1009
    assert ended() == 1009


def test_json_is_answered_and_anything_else_closes_with_1007(url):
    with connect(f"{url}/read_json") as client:
        client.send("[1]")
        assert client.recv(timeout=10) == '{"got":[1]}'
        client.send("[1")
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(timeout=10)
    assert caught.value.rcvd.code == 1007


def test_text_that_is_not_utf8_never_comes_to_the_handler(url, ended):
    with connect(f"{url}/echo") as client:
        client.send(b"\xff", text=True)
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=10)
    assert ended() in (1005, 1006, 1007)


def test_a_failure_closes_with_1011_and_says_nothing(url):
    with connect(f"{url}/fail") as client:
        client.send("go")
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(timeout=10)
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1011, "")


@pytest.mark.parametrize(
    ("path", "status", "detail"), [("/nowhere", 404, b"not found"), ("/refuse", 403, b"Not here.")]
)
def test_what_is_not_there_or_not_permitted_is_no_websocket(url, path, status, detail):
    with pytest.raises(InvalidStatus) as caught, connect(f"{url}{path}"):
        pass
    answer = caught.value.response
    assert (answer.status_code, answer.headers["X-A"]) == (status, "b")
    assert detail in answer.body


@pytest.mark.parametrize("path", ["/echo", "/tick", "/wait"])
def test_a_handler_ends_when_the_connection_is_lost(url, path, ended):
    with connect(f"{url}{path}") as client:
        if path == "/tick":
            client.recv(timeout=10)
        client.socket.shutdown(sockets.SHUT_RDWR)
        assert ended() in (1005, 1006)


def test_a_server_that_stops_ends_the_handlers(ended):
    server, thread, url = start()
    with connect(f"{url}/echo") as client:
        client.send("a")
        assert client.recv(timeout=10) == "a"
        server.should_exit = True
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(timeout=10)
        assert caught.value.rcvd.code == 1012
    thread.join()
    assert ended() == 1012
