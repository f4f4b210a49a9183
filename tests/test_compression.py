"""Compression: which answers are compressed, and that they say so rightly."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Iterator

import pytest
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app

from kit import App, Response
from kit.answers import Stream
from kit.compression import ResponsesOptions, compressing, preferred
from kit.files import send_file
from kit.options import Size

TEXT = b"A line of text that comes again and again. " * 100
HTML = ("Content-Type", "text/html; charset=utf-8")
ON = ResponsesOptions(compress=True)


def answer(body=(TEXT,), *headers, line="200 OK", method="GET", accept="gzip", options=ON, **asked):
    """Compress an answer; return line, headers as a dict, and the body."""
    environ = EnvironBuilder(method=method).get_environ() | {"HTTP_ACCEPT_ENCODING": accept}
    body = Stream(body) if isinstance(body, Iterator) else list(body)
    given = list(headers) or [HTML]
    line, made, body = compressing(options)(environ | asked, line, given, body)
    assert len({name.lower() for name, _ in made}) == len(made)
    return line, dict(made), body


def test_a_page_is_compressed_for_those_who_take_it():
    line, headers, body = answer((TEXT,), HTML, ("Content-Length", str(len(TEXT))), ("ETag", '"1"'))
    packed = b"".join(body)
    assert line == "200 OK"
    assert gzip.decompress(packed) == TEXT
    assert len(packed) < len(TEXT) / 10
    assert headers == {
        "Content-Type": HTML[1],
        "Content-Encoding": "gzip",
        "Content-Length": str(len(packed)),
        "ETag": 'W/"1"',
        "Vary": "Accept-Encoding",
    }


def test_a_body_in_several_pieces_is_one():
    _, headers, body = answer((TEXT, b"", TEXT))
    assert gzip.decompress(b"".join(body)) == TEXT * 2
    assert headers["Content-Length"] == str(len(b"".join(body)))


@pytest.mark.parametrize("accept", ["", "identity", "br", "gzip;q=0", "*;q=0", "deflate, br"])
def test_a_page_goes_out_as_it_is_to_others_but_says_that_it_varies(accept):
    _, headers, body = answer((TEXT,), HTML, ("ETag", '"1"'), accept=accept)
    assert b"".join(body) == TEXT
    assert headers == {"Content-Type": HTML[1], "ETag": '"1"', "Vary": "Accept-Encoding"}


def test_vary_keeps_what_it_had():
    _, headers, _ = answer((TEXT,), HTML, ("Vary", "Cookie"))
    assert headers["Vary"] == "Cookie, Accept-Encoding"


@pytest.mark.parametrize(
    ("accepted", "offers", "best"),
    [
        ("gzip", ("gzip",), "gzip"),
        ("gzip, br", ("br", "gzip"), "br"),
        ("gzip, br", ("gzip", "br"), "gzip"),
        ("br;q=0.1, gzip;q=0.2", ("br", "gzip"), "gzip"),
        ("gzip;q=0.1, *;q=0.2", ("br", "gzip"), "br"),
        ("identity, gzip;q=0.9", ("gzip",), ""),
        ("identity;q=0", ("gzip",), ""),
        ("gzip ; q=0.5", ("gzip",), "gzip"),
        ("gzip;q=2", ("gzip",), ""),
        ("gzip;q=-1", ("gzip",), ""),
        ("gzip;q=0.0000", ("gzip",), ""),
        ("gzip;x=1", ("gzip",), ""),
        ("gzipped", ("gzip",), ""),
    ],
)
def test_the_preferred_coding(accepted, offers, best):
    assert preferred(accepted, offers) == best


@pytest.mark.parametrize(
    "kind",
    [
        "text/css",
        "TEXT/HTML; charset=utf-8",
        "application/json",
        "application/problem+json",
        "application/xml",
        "image/svg+xml",
        "text/javascript",
        "application/wasm",
        "text/event-stream",
    ],
)
def test_text_and_data_gain(kind):
    assert "Content-Encoding" in answer((TEXT,), ("Content-Type", kind))[1]


@pytest.mark.parametrize(
    "kind",
    ["image/png", "video/mp4", "application/zip", "application/octet-stream", "font/woff2", ""],
)
def test_what_is_packed_already_is_left_alone(kind):
    _, headers, body = answer((TEXT,), ("content-type", kind))
    assert (headers, body) == ({"content-type": kind}, [TEXT])


def test_an_answer_without_a_type_is_left_alone():
    assert answer((TEXT,), ("X-Own", "x"))[1] == {"X-Own": "x"}


@pytest.mark.parametrize(
    "header",
    [
        ("Content-Encoding", "br"),
        ("Content-Range", "bytes 0-9/10"),
        ("Cache-Control", "public, No-Transform"),
        ("Repr-Digest", "sha-256=:x:"),
    ],
)
def test_what_must_not_be_transformed_is_left_alone(header):
    _, headers, body = answer((TEXT,), HTML, header)
    assert (headers, body) == (dict([HTML, header]), [TEXT])


@pytest.mark.parametrize("line", ["204 No Content", "206 Partial Content", "304 Not Modified"])
def test_answers_without_a_whole_body_are_left_alone(line):
    assert answer((TEXT,), HTML, ("ETag", '"1"'), line=line)[1] == dict([HTML, ("ETag", '"1"')])


@pytest.mark.parametrize("line", ["404 Not Found", "500 Internal Server Error", "201 Created"])
def test_errors_are_compressed_too(line):
    assert answer((TEXT,), line=line)[1]["Content-Encoding"] == "gzip"


@pytest.mark.parametrize(("size", "compressed"), [(0, False), (1023, False), (1024, True)])
@pytest.mark.parametrize("told", [True, False])
def test_a_small_body_is_left_alone(size, compressed, told):
    length = [("Content-Length", str(size))] if told else []
    headers = answer((b"x" * size,), HTML, *length)[1]
    assert ("Content-Encoding" in headers) == compressed
    assert ("Vary" in headers) == compressed
    if told:
        stream = iter([b"x" * size])
        assert ("Content-Encoding" in answer(stream, HTML, *length)[1]) == compressed


def test_what_is_small_can_be_said():
    options = ResponsesOptions(compress=True, minimum=Size(10))
    assert "Content-Encoding" in answer((b"x" * 10,), options=options)[1]


def test_a_level_makes_smaller_bodies():
    words = random.Random(1).choices([b"alpha", b"beta", b"gamma", b"delta", b"more"], k=20_000)
    sizes = [
        len(answer((b" ".join(words),), options=ResponsesOptions(compress=True, level=level))[2][0])
        for level in (1, 9)
    ]
    assert sizes[1] < sizes[0]
    with pytest.raises(ValueError, match="level = 10: it is from 1"):
        ResponsesOptions(level=10)


def test_equal_pages_differ_in_size():
    """So the size says little about a guess at a secret in the page (BREACH)."""
    sizes = {len(answer()[2][0]) for _ in range(200)}
    assert len(sizes) > 30


# Streams


class Source:
    """A stream that notes what happens to it."""

    def __init__(self, chunks, fails=False):
        self.chunks = iter(chunks)
        self.fails = fails
        self.taken = 0
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self.chunks, None)
        if chunk is None and self.fails:
            raise OSError("gone")
        if chunk is None:
            raise StopIteration
        self.taken += 1
        return chunk

    def close(self) -> None:
        self.closed += 1


def test_no_chunk_of_a_stream_waits_for_the_next():
    source = Source([b"one", b"", b"two", b"three"])
    _, headers, body = answer(source, HTML, ("ETag", 'W/"1"'), ("Accept-Ranges", "bytes"))
    assert headers == {
        "Content-Type": HTML[1],
        "Content-Encoding": "gzip",
        "ETag": 'W/"1"',
        "Vary": "Accept-Encoding",
    }
    unpack = zlib.decompressobj(31).decompress
    chunks = iter(body)
    assert source.taken == 0
    assert (unpack(next(chunks)), source.taken) == (b"one", 1)
    assert (unpack(next(chunks)), source.taken) == (b"", 2)
    assert (unpack(next(chunks)), source.taken) == (b"two", 3)
    assert (unpack(next(chunks)), source.taken) == (b"three", 4)
    assert unpack(next(chunks)) == b""
    assert next(chunks, None) is None
    assert next(chunks, None) is None


@pytest.mark.parametrize("chunks", [[], [b""], [b"x"], [TEXT] * 50])
def test_a_stream_is_one_file_of_gzip(chunks):
    _, _, body = answer(Source(chunks))
    assert gzip.decompress(b"".join(body)) == b"".join(chunks)


def test_the_length_of_a_stream_does_not_go_out():
    source = Source([TEXT])
    _, headers, body = answer(source, HTML, ("Content-Length", str(len(TEXT))))
    assert "Content-Length" not in headers
    assert gzip.decompress(b"".join(body)) == TEXT


def test_a_stream_is_closed_through_its_compression():
    source = Source([b"one", b"two"])
    _, _, body = answer(source)
    next(iter(body))
    body.close()
    assert source.closed == 1


def test_a_stream_that_fails_does_not_end_well():
    """What came has no end that a client could take for the whole."""
    source = Source([b"one"], fails=True)
    _, _, body = answer(source)
    packed = next(iter(body))
    with pytest.raises(OSError, match="gone"):
        next(body)
    unpacker = zlib.decompressobj(31)
    unpacker.decompress(packed)
    assert not unpacker.eof


def test_what_waits_for_the_end_of_a_stream_is_told():
    told: list[object] = []
    stream = Stream(iter([b"one"]))
    stream.then(told.append)
    _, _, body = answer(stream)
    assert gzip.decompress(b"".join(body)) == b"one"
    assert told == [None]


# HEAD, and versions that the client has


def test_head_says_what_get_would():
    length = ("Content-Length", str(len(TEXT)))
    for given in ([HTML, length, ("ETag", '"1"')], [HTML, ("ETag", '"1"')]):
        _, get, _ = answer((TEXT,), *given)
        _, head, body = answer((), *given, method="HEAD")
        assert body == []
        assert head == {name: value for name, value in get.items() if name != "Content-Length"}
    assert answer((), HTML, ("Content-Length", "5"), method="HEAD")[1]["Content-Length"] == "5"


@pytest.mark.parametrize(
    ("asked", "etag", "varies"),
    [
        ('W/"1"', 'W/"1"', True),
        ('"0", W/"1"', 'W/"1"', True),
        ('"1"', '"1"', False),
        ("*", '"1"', False),
        ('W/"11"', '"1"', False),
    ],
)
def test_a_client_is_told_the_version_as_it_has_it(asked, etag, varies):
    """A cache uses a strong ETag of a 304 for nothing but a body with that strong ETag."""
    line = "304 Not Modified"
    _, headers, _ = answer((), ("ETag", '"1"'), line=line, HTTP_IF_NONE_MATCH=asked)
    assert headers["ETag"] == etag
    assert ("Vary" in headers) == varies


def test_a_304_without_a_version_is_left_alone():
    line = "304 Not Modified"
    assert answer((), ("X", "y"), line=line, HTTP_IF_NONE_MATCH='W/"1"')[1] == {"X": "y"}


# In an application


@pytest.fixture
def app(tmp_path):
    (tmp_path / "page.html").write_bytes(TEXT)
    app = App({"responses": {"compress": True}})
    app.get("/page", name="page")(lambda: TEXT.decode())
    app.get("/stream", name="stream")(lambda: iter([TEXT, TEXT]))
    app.get("/response", name="response")(lambda: Response(iter([TEXT]), mimetype="text/html"))
    app.get("/file", name="file")(
        lambda request: send_file(tmp_path / "page.html", request=request)
    )
    return app


def test_it_is_off_unless_asked_for():
    assert ResponsesOptions().compress is False
    app = App()
    app.get("/")(lambda: TEXT.decode())
    answer = Client(app).get("/", headers={"Accept-Encoding": "gzip"})
    assert not {"Content-Encoding", "Vary"} & set(answer.headers.keys())


@pytest.mark.parametrize("path", ["/page", "/stream", "/response", "/file", "/nowhere"])
def test_an_application_compresses(app, path):
    whole = Client(app).get(path)
    answer = Client(app).get(path, headers={"Accept-Encoding": "gzip"})
    large = len(whole.data) >= 1024
    assert ("Content-Encoding" in answer.headers) == large
    assert (gzip.decompress(answer.data) if large else answer.data) == whole.data
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_compressed_file_is_known_again_and_its_parts_are_not_compressed(app):
    client = Client(app)
    headers = {"Accept-Encoding": "gzip"}
    first = client.get("/file", headers=headers)
    etag = first.headers["ETag"]
    assert etag.startswith("W/")
    again = client.get("/file", headers={**headers, "If-None-Match": etag})
    assert (again.status_code, again.headers["ETag"]) == (304, etag)
    part = client.get("/file", headers={**headers, "Range": "bytes=0-1999"})
    assert (part.status_code, part.data) == (206, TEXT[:2000])
    assert "Content-Encoding" not in part.headers
    whole = client.get("/file", headers={**headers, "Range": "bytes=0-9", "If-Range": etag})
    assert whole.status_code == 200


def test_a_client_that_goes_away_closes_what_is_compressed():
    told: list[str] = []
    app = App({"responses": {"compress": True}})

    @app.get("/")
    def page():
        response = Response(iter([TEXT] * 9), mimetype="text/html")
        response.call_on_close(lambda: told.append("closed"))
        return response

    environ = EnvironBuilder(headers={"Accept-Encoding": "gzip"}).get_environ()
    body, _, headers = run_wsgi_app(app, environ)
    assert headers["Content-Encoding"] == "gzip"
    next(iter(body))
    assert told == []
    body.close()
    assert told == ["closed"]
