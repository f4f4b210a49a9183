"""What the tour promises of streams, in both directions, and of many requests at once."""

from __future__ import annotations

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

TEXT = "text/plain; charset=utf-8"


class Upload(io.RawIOBase):
    """A body that comes in pieces; behind the first one it waits until somebody says `go`."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = iter(pieces)
        self.go = threading.Event()
        self.begun = False

    def read(self, size: int = -1) -> bytes:
        if self.begun:
            assert self.go.wait(10)
        self.begun = True
        return next(self.pieces, b"")


def chunked(upload: Upload) -> dict[str, object]:
    """Return the environ of a request with a body of unknown length."""
    return {
        "wsgi.input": upload,
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
        "CONTENT_LENGTH": "",
    }


def test_an_answer_comes_in_pieces(client):
    response = client.get("/csv")
    assert list(response.iter_encoded()) == [b"foo,", b"bar"]
    assert response.mimetype == "text/csv"
    assert "Content-Length" not in response.headers
    assert client.head("/csv").data == b""


def test_ticks_are_counted(client):
    response = client.get("/ticks/2")
    assert (response.text, response.headers["Content-Type"]) == ("tick 1\ntick 2\n", TEXT)
    assert client.get("/ticks/0").text == ""
    assert client.get("/ticks/x").status_code == 404


def test_each_tick_is_sent_at_once_and_a_client_may_leave(client):
    response = client.get("/ticks/100000")
    assert next(response.iter_encoded()) == b"tick 1\n"
    response.close()
    assert client.get("/csv").text == "foo,bar"


@pytest.mark.parametrize("body", [b"", b"1", b"a1b2\n" * 3, b"\x00\xff1", b"12" * 1_500_000])
@pytest.mark.parametrize(
    ("method", "path", "comes_back"),
    [
        ("POST", "/stream", lambda body: body.replace(b"1", b"A")),
        ("PUT", "/bp_stream", lambda body: body.replace(b"1", b"A")),
        ("POST", "/method_view", lambda body: body),
    ],
)
def test_a_body_of_any_size_comes_back(client, method, path, comes_back, body):
    response = client.open(path, method=method, data=body)
    assert response.status_code == 200
    assert response.data == comes_back(body)
    if path == "/bp_stream":
        assert response.headers["Content-Type"] == TEXT


@pytest.mark.parametrize(("method", "path"), [("PUT", "/bp_stream"), ("POST", "/method_view")])
def test_a_body_may_be_chunked(client, method, path):
    upload = Upload(b"a2", b"b2")
    upload.go.set()
    response = client.open(path, method=method, environ_overrides=chunked(upload))
    assert response.data == b"a2b2"


def test_the_first_bytes_come_back_before_the_upload_ends(client):
    upload = Upload(b"a1", b"b1", b"c1")
    response = client.post("/stream", environ_overrides=chunked(upload))
    pieces = response.iter_encoded()
    assert next(pieces) == b"aA"
    upload.go.set()
    assert b"".join(pieces) == b"bAcA"


@pytest.mark.parametrize(("given", "shown"), [("0.05", "0.1"), ("0", "0.0"), ("0.0", "0.0")])
def test_sleeping(client, given, shown):
    response = client.get(f"/sleep/{given}")
    assert (response.text, response.headers["Content-Type"]) == (f"Slept {shown} seconds.\n", TEXT)


def test_what_is_no_number_of_seconds_is_404(client):
    assert client.get("/sleep/long").status_code == 404


def test_many_sleep_at_the_same_time(client):
    def sleep(_) -> str:
        return client.get("/sleep/0.4").text

    begun = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(sleep, range(20))) == {"Slept 0.4 seconds.\n"}
    assert time.monotonic() - begun < 4  # 8 seconds, one after the other
