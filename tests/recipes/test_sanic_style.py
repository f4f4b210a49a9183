"""The recipe in the style of Sanic on servers: it streams both ways, and sockets stay open."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

RECIPE = Path(__file__).parents[2] / "recipes" / "sanic_style"
KIT = Path(sys.executable).with_name("kit")
PATIENCE = 30


@pytest.fixture(scope="module", params=["granian", "uvicorn"])
def host(request: pytest.FixtureRequest, serve: Callable[..., Any]) -> Iterator[str]:
    """Host and port of a server that runs the recipe."""
    with serve(RECIPE, KIT_SERVING__USE=request.param) as url:
        yield urlsplit(url).netloc


@contextmanager
def requested(host: str, method: str, path: str, body: bytes = b"") -> Iterator[socket.socket]:
    """Send a request with a chunked body, of which `body` is the beginning."""
    name, _, port = host.partition(":")
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Transfer-Encoding: chunked", "", ""]
    with closing(socket.create_connection((name, int(port)), timeout=PATIENCE)) as connection:
        connection.sendall("\r\n".join(lines).encode() + body)
        yield connection


def read_until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        data += (more := connection.recv(65536))
        assert more, data
    return data


def test_the_first_bytes_come_back_before_the_upload_ends(host: str):
    with requested(host, "POST", "/stream", b"3\r\na1b\r\n") as connection:
        assert b"\r\n3\r\naAb\r\n" in read_until(connection, b"aAb\r\n")
        connection.sendall(b"4\r\n1111\r\n")
        assert b"AAAA" in read_until(connection, b"AAAA")
        connection.sendall(b"0\r\n\r\n")
        assert read_until(connection, b"0\r\n\r\n").endswith(b"0\r\n\r\n")


def test_each_tick_is_sent_at_once_and_a_client_may_leave(host: str):
    with requested(host, "GET", "/ticks/1000000", b"0\r\n\r\n") as connection:
        assert b"tick 2" not in read_until(connection, b"tick 1\n")
        read_until(connection, b"tick 2\n")
    with requested(host, "POST", "/stream", b"3\r\na1b\r\n") as connection:
        read_until(connection, b"aAb")
    assert answer_of(host, "/csv").endswith(b"foo,bar")


def answer_of(host: str, path: str) -> bytes:
    with closing(HTTPConnection(host, timeout=PATIENCE)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.getheader("X-Served-By") == "sanic"
        return f"{answer.status} {answer.getheader('Content-Length')}\n".encode() + answer.read()


def test_pieces_come_without_a_length(host: str):
    assert answer_of(host, "/csv") == b"200 None\nfoo,bar"


def test_many_sleep_at_the_same_time(host: str):
    begun = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(answer_of, [host] * 20, ["/sleep/0.5"] * 20))
    assert found == [b"200 19\nSlept 0.5 seconds.\n"] * 20
    assert time.monotonic() - begun < 5  # 10 seconds, one after the other


def opened(host: str, path: str) -> ClientConnection:
    return connect(f"ws://{host}{path}", open_timeout=PATIENCE, compression=None)


def test_large_messages_pings_and_codes_of_a_web_socket(host: str):
    messages = ["", b"", "x" * 100_000, b"\x00" * 100_000, "Zoë"]
    with opened(host, "/echo") as ws:
        for message in messages:
            ws.send(message)
        assert [ws.recv(PATIENCE) for _ in messages] == messages
        assert ws.ping().wait(PATIENCE)
        ws.close(1000)
        assert (ws.close_code, ws.protocol.close_rcvd.code) == (1000, 1000)


def test_a_lost_connection_disturbs_nobody_in_a_room(host: str):
    with opened(host, "/chat/den") as ada, opened(host, "/chat/den") as grace:
        for number in range(3):
            edsger = opened(host, "/chat/den")
            edsger.socket.shutdown(socket.SHUT_RDWR)
            ada.send(f"{number}")
            assert grace.recv(PATIENCE) == ada.recv(PATIENCE) == f"{number}"


@pytest.mark.parametrize("path", ["/nope", "/teapot"])
def test_a_handshake_elsewhere_is_refused(host: str, path: str):
    with pytest.raises(InvalidStatus) as refused:
        opened(host, path)
    assert 400 <= refused.value.response.status_code < 500
    assert answer_of(host, "/echo").startswith(b"400 ")


def test_its_tests_pass_on_redis_two_runs_at_a_time(tmp_path: Path, redis_url: str):
    own = {k: v for k, v in os.environ.items() if not k.startswith(("KIT_", "PYTEST_", "COV_"))}

    def run(folder: Path, *words: str | Path) -> str:
        asked = {"cwd": folder, "env": own, "capture_output": True, "text": True, "timeout": 300}
        done = subprocess.run([KIT, *words], **asked)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(tmp_path, "new", "demo", "--recipe", RECIPE.name)
    config = tmp_path / "demo" / "kit.toml"
    config.write_text(config.read_text().replace("redis://127.0.0.1:6379/0", redis_url))
    files = ["tests/test_framework.py", "tests/test_sockets.py"]
    words = ["matrix", "--slot", "channels=redis", "--jobs", "2", "--", *files]
    assert "2 passed, 0 failed" in run(tmp_path / "demo", *words)
