"""The recipe in the style of Falcon on servers: uploads in pieces, pictures, and web sockets."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import PIL.Image
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

RECIPE = Path(__file__).parents[2] / "recipes" / "falcon_style"
KIT = Path(sys.executable).with_name("kit")
PATIENCE = 30
PIECE = b"x" * 65536
of_look = pytest.mark.parametrize("server", ["granian", "uvicorn", "gunicorn", "waitress"])
servers = pytest.mark.parametrize("server", ["granian", "uvicorn"])


@contextmanager
def served(config: str, server: str, folder: Path) -> Iterator[str]:
    """Serve an application; yield host and port. It stops in the end, and has logged no failure."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("KIT_", "PYTEST_", "COV_"))}
    own |= {"KIT_SERVING__USE": server, "KIT_SERVING__BIND": "127.0.0.1:0"}
    own |= {"LOOK_STORAGE_PATH": f"{folder}/look", "ASGI_LOOK_STORAGE_PATH": f"{folder}/asgilook"}
    log = folder / f"{config}-{server}.log"
    with log.open("w") as errors:
        running = subprocess.Popen(
            [KIT, "serve", "-c", config],
            cwd=RECIPE,
            env=own,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        said = ""
        for line in running.stdout:
            said += line
            if line == "Serving.\n":
                break
        found = re.search(r"http://\S+:\d+", said)
        assert found, said + log.read_text()
        yield urlsplit(found[0]).netloc
        running.terminate()
        assert running.wait(PATIENCE) == 0
    finally:
        running.kill()
        running.wait()
        running.stdout.close()
    assert "Traceback" not in log.read_text()


def asked(host: str, method: str, path: str, body: Any = None, **headers: str) -> HTTPResponse:
    """Return an answer, with its body as `body`."""
    with closing(HTTPConnection(host, timeout=PATIENCE)) as connection:
        chunked = isinstance(body, Iterator)
        connection.request(method, path, body, headers, encode_chunked=chunked)
        answer = connection.getresponse()
        answer.body = answer.read()
        return answer


@of_look
def test_a_large_image_is_written_while_it_comes(server: str, tmp_path: Path):
    with served("kit.toml", server, tmp_path) as host:
        kind = {"Content-Type": "image/png", "Transfer-Encoding": "chunked"}
        posted = asked(host, "POST", "/images", (PIECE for _ in range(320)), **kind)
        assert (posted.status, posted.body) == (201, b"")
        address = posted.headers["Location"]
        image = asked(host, "GET", address)
        assert image.headers["Content-Type"] == "image/png"
        assert image.headers["Content-Length"] == str(20 << 20)
        assert image.body == PIECE * 320
        assert json.loads(asked(host, "GET", "/images").body) == {"images": [{"href": address}]}
        wrong = asked(host, "POST", "/images", b"", **{"Content-Type": "image/jpx"})
        assert wrong.status == 400
        assert json.loads(asked(host, "GET", "/nothing").body) == {"title": "404 Not Found"}
        assert asked(host, "PUT", "/images").status == 405


@of_look
def test_a_client_that_breaks_off_leaves_nothing(server: str, tmp_path: Path):
    def half() -> Iterator[bytes]:
        yield from [PIECE] * 20
        raise ConnectionAbortedError

    with served("kit.toml", server, tmp_path) as host:
        kind = {"Content-Type": "image/png", "Transfer-Encoding": "chunked"}
        with pytest.raises(ConnectionAbortedError):
            asked(host, "POST", "/images", half(), **kind)
        time.sleep(0.5)
        assert json.loads(asked(host, "GET", "/images").body) == {"images": []}
        assert list((tmp_path / "look").iterdir()) == []


@servers
def test_pictures_are_converted_beside_other_requests(server: str, tmp_path: Path):
    picture = io.BytesIO()
    PIL.Image.effect_noise((3000, 2000), 90).save(picture, "PNG")
    with served("asgilook.toml", server, tmp_path) as host:
        with ThreadPoolExecutor(4) as pool:
            posting = [
                pool.submit(asked, host, "POST", "/images", picture.getvalue()) for _ in range(3)
            ]
            slowest = 0.0
            while not all(one.done() for one in posting):
                begun = time.monotonic()
                assert asked(host, "GET", "/nothing").status == 404
                slowest = max(slowest, time.monotonic() - begun)
        assert [one.result().status for one in posting] == [201, 201, 201]
        assert slowest < 1
        image = json.loads(posting[0].result().body)
        for path in (image["image"], image["thumbnails"][0], "/images"):
            answers = [asked(host, "GET", path) for _ in range(3)]
            told = [answer.headers["X-ASGILook-Cache"] for answer in answers]
            assert told == ["Miss", "Hit", "Hit"]
            assert answers[0].body == answers[1].body == answers[2].body != b""


@pytest.fixture(scope="module", params=["granian", "uvicorn"])
def sockets(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Host and port of a server that runs the web sockets."""
    with served("ws.toml", request.param, tmp_path_factory.mktemp("ws")) as host:
        yield host


def opened(host: str, path: str) -> ClientConnection:
    return connect(f"ws://{host}{path}", open_timeout=PATIENCE, compression=None)


def test_large_texts_are_echoed_in_order(sockets: str):
    texts = ["", "Zoë 😀", "x" * 100_000, "ä" * 60_000, "<b>"]
    with opened(sockets, "/echo") as ws:
        for text in texts:
            ws.send(text)
        assert [json.loads(ws.recv(PATIENCE))["message"] for _ in texts] == texts
        assert ws.ping().wait(PATIENCE)


@pytest.mark.parametrize("token", ["", "Very secure token", "x" * 100_000])
def test_a_wrong_token_closes_with_1008(sockets: str, token: str):
    with opened(sockets, "/reports") as ws:
        ws.send(token)
        with pytest.raises(ConnectionClosed):
            ws.recv(PATIENCE)
        assert ws.close_code == 1008


def test_the_right_token_is_answered_by_silence_and_then_by_reports(sockets: str):
    with opened(sockets, "/reports") as ws:
        ws.send("very secure token")
        with pytest.raises(TimeoutError):
            ws.recv(0.3)
        ws.send("report1")
        assert json.loads(ws.recv(PATIENCE)) == {"report": "Report 1"}


@pytest.mark.parametrize("path", ["/nothing", "/hello"])
def test_a_handshake_elsewhere_is_refused(sockets: str, path: str):
    with pytest.raises(InvalidStatus) as refused:
        opened(sockets, path)
    assert 400 <= refused.value.response.status_code < 500


@pytest.mark.parametrize(
    "path", ["/../ws.py", "/%2e%2e/ws.py", "/..%2fws.py", "/..%5cws.py", "//etc/passwd", "/./x"]
)
def test_tricks_reach_no_file(sockets: str, path: str):
    answer = asked(sockets, "GET", path)
    assert answer.status in (400, 403, 404)
    assert b"TOKEN" not in answer.body
    assert b"root:" not in answer.body


def test_the_page_is_there_for_every_path(sockets: str):
    for path in ("/", "/index.html", "/any/where"):
        assert b"WebSocket Echo Test" in asked(sockets, "GET", path).body
    assert asked(sockets, "POST", "/hello").status == 405
