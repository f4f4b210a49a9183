"""Requests: what may come in, how much of it, and that nothing of it stays behind."""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    LengthRequired,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)

from kit import App
from kit.assembly import Limits
from kit.errors import Unavailable
from kit.multipart import LONGEST_NAME
from kit.options import Size
from kit.requests import Request
from kit.testing import client

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
SMALL = Limits(
    body=Size(100_000), field=Size(100), fields=5, files=2, part_headers=Size(500), query=5
)


class Chunked(io.RawIOBase):
    """A source of `size` bytes that gives no more than `most` of them at once."""

    def __init__(self, size: int, most: int = 8192) -> None:
        self.left, self.most = size, most

    def read(self, size: int = -1) -> bytes:
        size = min(self.left, self.most, size if size >= 0 else self.left)
        self.left -= size
        return b"x" * size


class Dribble(io.BytesIO):
    """A source that gives a few bytes at once, as a slow connection does."""

    def read(self, size: int = -1) -> bytes:
        return super().read(min(size, 7) if size >= 0 else 7)


class Broken:
    """A source that a server reads from a socket which times out, or whose chunks are broken."""

    def read(self, size: int = -1) -> bytes:
        raise TimeoutError("timed out")


def ask(body=b"", kind="", limits=SMALL, chunked=False, length=None, query="", **more) -> Request:
    """Make a request as a server does; `chunked` as one that knows itself where the body ends."""
    source = io.BytesIO(body) if isinstance(body, bytes) else body
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": source,
        "CONTENT_TYPE": kind,
    }
    if chunked:
        environ |= {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    else:
        environ["CONTENT_LENGTH"] = str(len(body) if length is None else length)
    return Request(environ | more, limits)


def part(name="a", value=b"1", filename=None, headers=""):
    text = f'--x\r\nContent-Disposition: form-data; name="{name}"'
    text += f'; filename="{filename}"' if filename is not None else ""
    return text.encode() + f"{headers}\r\n\r\n".encode() + value + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--x--\r\n"


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files, in which nothing may stay, on the disk or open."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    monkeypatch.undo()
    if folder.exists():
        assert list(folder.iterdir()) == []
    assert open_in(folder) == 0


def open_in(folder: Path) -> int:
    """Return how many files of a folder this process has open, also such without a name."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue
    return sum(link.startswith(str(folder)) for link in links)


both = pytest.mark.parametrize("chunked", [False, True])
reads = pytest.mark.parametrize(
    "read", [lambda r: r.body, lambda r: r.get_data(), lambda r: r.stream.read()]
)

# The body


@both
@pytest.mark.parametrize("source", [io.BytesIO, Dribble])
def test_a_body_is_read_whole_however_it_comes(chunked, source):
    body = bytes(range(256)) * 300
    request = ask(source(body), chunked=chunked, length=len(body))
    assert request.body == body
    assert request.get_data() == body
    assert request.data == body


@both
@pytest.mark.parametrize(
    "read", [lambda r: r.body, lambda r: r.get_data(), lambda r: r.stream.read()]
)
def test_a_body_may_be_as_large_as_the_limit_and_no_larger(chunked, read):
    assert len(read(ask(b"x" * 100_000, chunked=chunked))) == 100_000
    with pytest.raises(RequestEntityTooLarge, match="larger than 100 kB"):
        read(ask(b"x" * 100_001, chunked=chunked))


def test_a_length_beyond_the_limit_is_refused_before_anything_is_read():
    source = Chunked(10**9)
    with pytest.raises(RequestEntityTooLarge):
        _ = ask(source, length=10**9).body
    assert source.left == 10**9


def test_of_a_body_in_chunks_no_more_than_the_limit_is_read():
    source = Chunked(10**9)
    with pytest.raises(RequestEntityTooLarge):
        _ = ask(source, chunked=True).body
    assert source.left >= 10**9 - 100_001


def test_after_a_refusal_a_body_does_not_seem_to_end():
    stream = ask(b"x" * 100_001, chunked=True).stream
    for _ in range(3):
        with pytest.raises(RequestEntityTooLarge):
            stream.read()


def test_no_more_than_the_length_is_read_of_a_connection():
    source = io.BytesIO(b"12345GET / HTTP/1.1")
    assert ask(source, length=5).body == b"12345"
    assert source.tell() == 5


@pytest.mark.parametrize(
    "read", [lambda r: r.body, lambda r: r.get_data(), lambda r: r.stream.read()]
)
@pytest.mark.parametrize("source", [io.BytesIO(b"1234"), Dribble(b"1234567890"), Broken()])
def test_a_body_that_breaks_off_is_400(source, read):
    with pytest.raises(BadRequest):
        read(ask(source, length=20))


@pytest.mark.parametrize("length", ["abc", "-1", "+3", "4_0", "0x27", "٣", "1 2", "9" * 5000])
def test_a_length_that_is_no_number_is_400(length):
    with pytest.raises(BadRequest, match="no number"):
        _ = ask(b"1", length=length).body


def test_a_body_without_any_length_is_empty():
    source = Chunked(100)
    assert ask(source, length="").body == b""
    assert source.left == 100


def test_chunks_that_the_server_does_not_join_are_411():
    with pytest.raises(LengthRequired):
        _ = ask(b"1", length="", HTTP_TRANSFER_ENCODING="chunked").body


def test_a_body_with_two_lengths_is_400_unless_the_server_knows():
    with pytest.raises(BadRequest, match="both"):
        _ = ask(b"1", HTTP_TRANSFER_ENCODING="chunked").body
    assert ask(b"123", chunked=True, CONTENT_LENGTH="1").body == b"123"


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip", "x"])
def test_a_compressed_body_is_415(coding):
    for kind in ("application/json", FORM, MULTIPART, ""):
        request = ask(b"1", kind, HTTP_CONTENT_ENCODING=coding)
        with pytest.raises(UnsupportedMediaType) as error:
            _ = request.form if "form" in kind else request.body
        assert ("Accept-Encoding", "identity") in error.value.get_headers()


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
def test_a_body_that_is_not_compressed_may_say_so(coding):
    assert ask(b"1", HTTP_CONTENT_ENCODING=coding).body == b"1"


@both
def test_a_body_can_be_read_in_pieces(chunked):
    body = b"one\ntwo\nthree"
    assert list(ask(body, chunked=chunked).stream) == [b"one\n", b"two\n", b"three"]
    stream = ask(Dribble(body), chunked=chunked, length=len(body)).stream
    assert [stream.read(4), stream.read(100), stream.read(1)] == [b"one\n", b"two\nthree", b""]
    text = io.TextIOWrapper(ask(body, chunked=chunked).stream)
    assert text.read() == body.decode()


def memory() -> int:
    """The memory of this process in bytes."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@both
def test_a_large_body_goes_to_disk_without_being_in_memory(chunked, tmp_path):
    limits = Limits(body=Size(200_000_000))
    request = ask(Chunked(200_000_000, 10**6), limits=limits, chunked=chunked, length=200_000_000)
    before = most = memory()
    with open(tmp_path / "saved", "wb") as file:
        while chunk := request.stream.read(1_000_000):
            file.write(chunk)
            most = max(most, memory())
    assert os.path.getsize(tmp_path / "saved") == 200_000_000
    assert most - before < 10_000_000
    os.unlink(tmp_path / "saved")


# Forms


def test_a_form_is_read_in_order_and_decoded():
    form = ask(b"b=%C3%A9+x&a=1&a=%2B&c&=d&e==f", FORM, Limits()).form
    assert form.to_dict(flat=False) == {
        "b": ["é x"],
        "a": ["1", "+"],
        "c": [""],
        "": ["d"],
        "e": ["=f"],
    }


def test_a_field_may_be_missing_or_of_another_type():
    args = ask(query="a=1&b=x&a=2").args
    assert (args.get("a"), args.get("a", type=int), args.get("a", 7, int)) == ("1", 1, 1)
    assert (args.get("b", type=int), args.get("b", 7, int)) == (None, 7)
    assert (args.get("c"), args.get("c", "x"), args.get("c", 7, type=int)) == (None, "x", 7)
    with pytest.raises(BadRequest):
        _ = args["c"]


def test_empty_pairs_are_dropped():
    assert list(ask(b"&a=1&&b=2&", FORM).form.items()) == [("a", "1"), ("b", "2")]
    assert list(ask(query="&a=1&&b=2&").args.items()) == [("a", "1"), ("b", "2")]
    assert not ask(b"", FORM).form
    assert not ask(b"&&&", FORM).form


@pytest.mark.parametrize(
    ("body", "good"),
    [
        (b"&".join([b"a=1"] * 5), True),
        (b"&".join([b"a=1"] * 6), False),
        (b"&" * 5, False),
        (b"a=" + b"x" * 100, True),
        (b"a=" + b"x" * 101, False),
        (b"a=" + b"%41" * 100, True),
        (b"a=" + b"%41" * 101, False),
        (b"a=" + "é".encode() * 50, True),
        (b"a=" + "é".encode() * 51, False),
        (b"x" * LONGEST_NAME + b"=1", True),
        (b"x" * (LONGEST_NAME + 1) + b"=1", False),
        (b"%41" * LONGEST_NAME + b"=1", True),
        (b"%41" * (LONGEST_NAME + 1) + b"=1", False),
    ],
)
@both
def test_a_form_is_limited(body, good, chunked):
    request = ask(body, FORM, chunked=chunked)
    if good:
        assert request.form
    else:
        with pytest.raises(RequestEntityTooLarge):
            _ = request.form


@pytest.mark.parametrize("body", [b"a=%FF", b"a=\xff", b"%ff=1", b"a=%C3", b"a=%ED%A0%80"])
def test_a_form_that_is_not_utf8_is_400(body):
    with pytest.raises(BadRequest, match="not valid UTF-8"):
        _ = ask(body, FORM).form
    with pytest.raises(BadRequest, match="not valid UTF-8"):
        _ = ask(query=body.decode("latin-1")).args


def test_the_pairs_of_a_query_have_a_limit_of_their_own():
    limits = Limits(fields=1, query=5)
    assert len(ask(query="a=1&" * 4 + "b=2", limits=limits).args.getlist("a")) == 4
    limits = Limits(fields=5, query=1)
    with pytest.raises(RequestEntityTooLarge, match="query has more than 1 field"):
        _ = ask(query="a=1&b=2", limits=limits).args
    assert len(ask(query="a=1&" * 4 + "b=2", limits=SMALL).args.getlist("a")) == 4
    with pytest.raises(RequestEntityTooLarge, match="query"):
        _ = ask(query="a=1&" * 5 + "b=2").args
    with pytest.raises(RequestEntityTooLarge):
        _ = ask(query="a=" + "x" * 101).args


@both
@pytest.mark.parametrize("kind", [FORM, MULTIPART])
def test_where_bodies_may_be_large_the_text_of_a_form_may_not(kind, chunked):
    limits = Limits(body=Size(10_000_000), field=Size(500_000))
    pairs = [(f"a{number}", b"x" * 499_000) for number in range(6)]
    for count, good in ((5, True), (6, False)):
        if kind == FORM:
            body = b"&".join(name.encode() + b"=" + value for name, value in pairs[:count])
        else:
            body = multipart(*(part(name, value) for name, value in pairs[:count]))
        request = ask(body, kind, limits, chunked)
        if good:
            assert len(request.form) == 5
        else:
            with pytest.raises(RequestEntityTooLarge, match=r"The text of the form .* 2\.5 MB"):
                _ = request.form


@both
def test_of_a_form_no_more_is_read_than_its_text_may_be(chunked):
    source = Chunked(10**9, 10**9)
    limits = Limits(body=Size(10**9))
    with pytest.raises(RequestEntityTooLarge, match="text"):
        _ = ask(source, FORM, limits, chunked, length=10**9).form
    assert source.left > 10**9 - 3_000_000


def test_one_field_may_be_allowed_more_than_all_text_otherwise():
    limits = Limits(body=Size(10_000_000), field=Size(5_000_000))
    assert len(ask(b"a=" + b"x" * 4_000_000, FORM, limits).form["a"]) == 4_000_000


def test_another_body_is_no_form():
    request = ask(b"a=1", "text/plain")
    assert not request.form
    assert not request.files
    assert request.body == b"a=1"


@pytest.mark.parametrize("kind", [f" {FORM.upper()} ; charset=utf-8", FORM])
def test_a_form_is_one_however_its_type_is_written(kind):
    assert ask(b"a=1", kind).form["a"] == "1"


@pytest.mark.parametrize(
    "read",
    [lambda r: (r.form, r.body), lambda r: (r.body, r.form)[::-1], lambda r: (r.form, r.data)],
)
def test_a_form_and_its_body_may_both_be_read(read):
    form, body = read(ask(b"a=1", FORM))
    assert (form["a"], body) == ("1", b"a=1")


# Multipart forms


@both
@pytest.mark.parametrize("source", [io.BytesIO, Dribble])
def test_a_multipart_form_is_read_in_order(chunked, source):
    body = b"preamble\r\n" + multipart(
        part("b", "é\r\n--y".encode()),
        part("f", b"\0\xff\r\n", "é.bin", "\r\nContent-Type: image/png"),
        part("a", b""),
        part("b", b"2"),
        part("f", b"", ""),
    )
    request = ask(source(body + b"after the end"), MULTIPART, SMALL, chunked, len(body) + 13)
    assert list(request.form.items(multi=True)) == [("b", "é\r\n--y"), ("b", "2"), ("a", "")]
    first, second = request.files.getlist("f")
    assert (first.filename, first.content_type, first.read()) == (
        "é.bin",
        "image/png",
        b"\0\xff\r\n",
    )
    assert (second.filename, second.read()) == ("", b"")
    request.close()


def test_a_form_may_be_read_from_a_body_that_was_read():
    request = ask(multipart(part("a", b"1")), MULTIPART)
    assert request.body.endswith(b"--x--\r\n")
    assert request.form["a"] == "1"


def large(*sizes: int) -> bytes:
    return multipart(*(part("f", b"x" * size, "f.bin") for size in sizes))


@pytest.mark.parametrize(
    ("body", "good"),
    [
        (multipart(*[part()] * 5), True),
        (multipart(*[part()] * 6), False),
        (multipart(*[part(filename="f")] * 2, *[part()] * 3), True),
        (multipart(*[part(filename="f")] * 2, *[part()] * 4), False),
        (multipart(*[part(filename="f")] * 3), False),
        (multipart(part(value=b"x" * 100)), True),
        (multipart(part(value=b"x" * 101)), False),
        (large(50_000, 49_000), True),
        (large(50_000, 50_000), False),
        (multipart(part("x" * LONGEST_NAME)), True),
        (multipart(part("x" * (LONGEST_NAME + 1))), False),
        (multipart(part(filename="x" * LONGEST_NAME)), True),
        (multipart(part(filename="x" * (LONGEST_NAME + 1))), False),
        (multipart(part(headers="\r\nX-Own: " + "x" * 400)), True),
        (multipart(part(headers="\r\nX-Own: " + "x" * 500)), False),
        (multipart(part(headers="\r\nX: y" * 200)), False),
        (b"--x\r\n" + b"X-Never-Ends: " + b"x" * 90_000, False),
        (b"preamble " * 10_000, False),
        (multipart(part()) + b"x" * 99_900, True),
        (multipart(part()) + b"x" * 100_000, False),
    ],
)
@both
def test_a_multipart_form_is_limited(body, good, chunked):
    request = ask(body, MULTIPART, SMALL, chunked)
    if good:
        assert request.form or request.files
        request.close()
    else:
        with pytest.raises(RequestEntityTooLarge):
            _ = request.form


def test_a_small_limit_of_fields_is_none_of_files():
    request = ask(large(90_000), MULTIPART)
    assert len(request.files["f"].read()) == 90_000
    request.close()


BROKEN = {
    "cut off in a value": part(value=b"trunca")[:-2],
    "cut off after a value": part(),
    "cut off in a header": b"--x\r\nContent-Disp",
    "cut off before a value": b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n',
    "cut off in a file": part(value=b"x" * 90_000, filename="f")[:-2],
    "nothing of the kind": b"a=1&b=2",
    "nothing": b"",
    "another boundary": multipart(part()).replace(b"--x", b"--y"),
    "no disposition": b"--x\r\nX-Own: a\r\n\r\n1\r\n--x--\r\n",
    "no name": b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n",
    "a file without a name for its field": (
        b'--x\r\nContent-Disposition: form-data; filename="f"\r\n\r\n1\r\n--x--\r\n'
    ),
    "headers that are not UTF-8": part("a").replace(b'"a"', b'"\xff"') + b"--x--\r\n",
    "a value that is not UTF-8": multipart(part(value=b"\xff")),
    "a value that is not of its charset": multipart(
        part(value=b"\xe4", headers="\r\nContent-Type: text/plain; charset=us-ascii")
    ),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
@both
def test_a_broken_multipart_form_is_400(body, chunked):
    for read in (lambda r: r.form, lambda r: r.files):
        with pytest.raises(BadRequest, match=r"broken or cut off"):
            read(ask(body, MULTIPART, SMALL, chunked))


@pytest.mark.parametrize("boundary", ["", "boundary=", "boundary=é", "boundary=y"])
def test_a_multipart_form_without_a_proper_boundary_is_400(boundary):
    with pytest.raises(BadRequest):
        _ = ask(multipart(part()), f"multipart/form-data; {boundary}").form


@pytest.mark.parametrize(("length", "good"), [(1, True), (200, True), (201, False)])
def test_a_boundary_has_200_characters_at_most(length, good):
    body = multipart(part()).replace(b"--x", b"--" + b"x" * length)
    request = ask(body, f"multipart/form-data; boundary={'x' * length}")
    if good:
        assert request.form["a"] == "1"
    else:
        with pytest.raises(BadRequest, match="boundary"):
            _ = request.form


def test_a_part_may_say_its_charset():
    kind = "\r\nContent-Type: text/plain; charset=ISO-8859-1"
    assert ask(multipart(part(value=b"\xe4", headers=kind)), MULTIPART).form["a"] == "ä"
    kind = "\r\nContent-Type: text/plain; charset=utf-7"
    assert ask(multipart(part(value=b"+AGE-", headers=kind)), MULTIPART).form["a"] == "+AGE-"


def test_other_kinds_of_multipart_are_no_forms():
    assert not ask(multipart(part()), "multipart/mixed; boundary=x").form


# Files


def test_a_small_file_is_in_memory_and_a_large_one_on_disk(temporary):
    request = ask(large(60_000), MULTIPART)
    assert request.files["f"].content_length == 0
    assert open_in(temporary) == 0
    other = ask(large(90_000), MULTIPART)
    assert open_in(temporary) == 0, "nothing is read before it is asked for"
    assert other.files
    assert open_in(temporary) == 1
    request.close()
    other.close()
    assert open_in(temporary) == 0


def test_files_take_no_memory():
    limits = Limits(body=Size(300_000_000))
    head = part("f", b"", "f.bin")[:-2]

    class Source(Chunked):
        def read(self, size: int = -1) -> bytes:
            nonlocal head
            begin, head = head, b""
            return begin or super().read(size) or self.end()

        def end(self) -> bytes:
            self.most, tail = 0, b"\r\n--x--\r\n" if self.most else b""
            return tail

    before = memory()
    request = ask(Source(100_000_000, 50_000), MULTIPART, limits, chunked=True)
    file = request.files["f"]
    assert memory() - before < 10_000_000
    assert file.stream.seek(0, 2) == 100_000_000
    request.close()


def test_a_file_that_nobody_closes_is_closed_when_nobody_has_it(temporary):
    request = ask(large(90_000), MULTIPART)
    file = request.files["f"]
    del request
    assert file.read(5) == b"xxxxx"
    del file
    assert open_in(temporary) == 0


FILE = part(value=b"x" * 70_000, filename="f")
FAILURES = {
    "cut off": (large(90_000)[:-20], SMALL),
    "too many files": (large(70_000, 1, 1), SMALL),
    "too many fields": (multipart(FILE, *[part()] * 5), SMALL),
    "too large": (large(90_000, 90_000), SMALL),
    "a field too large": (
        multipart(FILE, part(value=b"x" * 101)),
        SMALL,
    ),
    "broken": (FILE + b"--x\r\nX: y\r\n\r\n--x--\r\n", SMALL),
}


@pytest.mark.parametrize(("body", "limits"), FAILURES.values(), ids=FAILURES)
@both
def test_after_a_failure_no_file_is_left(body, limits, chunked, temporary):
    request = ask(body, MULTIPART, limits, chunked)
    with pytest.raises(HTTPException) as error:
        _ = request.files
    assert error.value.code in (400, 413)
    assert open_in(temporary) == 0, "though the exception still has the frames"


def test_after_a_disconnection_no_file_is_left(temporary):
    request = ask(large(90_000), MULTIPART, length=95_000)
    with pytest.raises(BadRequest) as error:
        _ = request.files
    assert error.value.code == 400
    assert open_in(temporary) == 0


def test_a_folder_that_cannot_be_written_to_is_503(temporary):
    temporary.rmdir()
    with pytest.raises(Unavailable, match="temporary file") as error:
        _ = ask(large(90_000), MULTIPART).files
    assert isinstance(error.value.__cause__, OSError)


@pytest.fixture
def app():
    """An application that takes files, each handler in another way."""
    app = App({"limits": {"body": "200 kB", "files": 2}})

    @app.post("/count")
    def count(request):
        return {"files": len(request.files.getlist("f")), "fields": len(request.form)}

    @app.post("/fails")
    def fails(request):
        assert request.files
        raise LookupError

    @app.post("/cycle")
    def cycle(request):
        request.files["f"].itself = request.itself = request
        return "kept"

    @app.post("/stream")
    def stream(request):
        file = request.files["f"]
        return iter(lambda: file.read(10_000), b"")

    @app.post("/save", limits={"body": "2 MB"})
    def save(request):
        with tempfile.TemporaryFile() as file:
            shutil.copyfileobj(request.stream, file)
            return str(file.tell())

    return app


@pytest.mark.parametrize("path", ["/count", "/fails", "/cycle", "/stream"])
def test_when_a_request_has_ended_no_file_of_it_is_left(app, path, temporary):
    data = {"f": (io.BytesIO(b"x" * 90_000), "f.bin"), "a": "1"}
    answer = client(app).post(path, data=data)
    assert answer.status_code == (500 if path == "/fails" else 200)
    if path == "/stream":
        assert answer.data == b"x" * 90_000
    assert open_in(temporary) == 0


def test_a_refused_form_leaves_nothing(app, temporary):
    data = {"f": [(io.BytesIO(b"x" * 60_000), "f.bin") for _ in range(3)]}
    assert client(app).post("/count", data=data).status_code == 413
    assert open_in(temporary) == 0


def test_a_route_may_have_limits_of_its_own(app):
    browser = client(app)
    kind = "application/octet-stream"
    assert browser.post("/save", data=b"x" * 2_000_000, content_type=kind).text == "2000000"
    assert browser.post("/save", data=b"x" * 2_000_001, content_type=kind).status_code == 413
    assert browser.post("/count", data=b"x" * 200_001, content_type=FORM).status_code == 413


def test_the_client_is_told_what_there_is_too_much_of(app):
    data = {"f": [(io.BytesIO(b"x"), "f.bin") for _ in range(3)]}
    assert "The form has more than 2 files." in client(app).post("/count", data=data).text


# JSON and the rest


def test_json_is_read_strictly():
    def sent(body, kind="application/json"):
        return ask(body, kind)

    assert sent('{"é": [1.5, null]}'.encode()).json == {"é": [1.5, None]}
    assert sent(b"1", "application/problem+json").get_json() == 1
    for body in (b"", b"{", b"NaN", b"[1,]", b'"\xff"', b"1 2", b"[" * 100_000, b'{"a":1,"a":2}'):
        for read in (lambda r: r.json, lambda r: r.get_json()):
            with pytest.raises(BadRequest):
                read(sent(body))
        assert sent(body).get_json(silent=True) is None
    for read in (lambda r: r.json, lambda r: r.get_json()):
        with pytest.raises(UnsupportedMediaType):
            read(sent(b"{}", "text/plain"))


@pytest.mark.parametrize(("depth", "good"), [(64, True), (65, False)])
@pytest.mark.parametrize("nested", [(b"[", b"]"), (b'{"a":', b"}")])
def test_json_is_nested_as_deep_as_the_limit(depth, good, nested):
    opening, closing = nested
    request = ask(opening * depth + b"1" + closing * depth, "application/json", Limits())
    if good:
        assert request.json
    else:
        with pytest.raises(BadRequest, match="deep"):
            _ = request.json


def test_no_form_whatsoever_is_a_500(temporary):
    """Mutations of a form, in pieces of any size, are read or refused; nothing stays open."""
    rng = random.Random(5)
    whole = multipart(
        part("a", b"1"), part("f", b"x" * 70_000, "f.txt"), part("é", b"2"), part("g", b"", "")
    )
    pieces = [b"\r\n", b"\n", b"--x", b"--x--", b"\r", b'"', b";", b"\0", b"\xff", b": ", b" "]
    outcomes = set()
    for _ in range(400):
        body = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            at = rng.choice([rng.randrange(200), rng.randrange(len(body)), rng.randrange(-200, -1)])
            body[at : at + rng.randrange(4)] = rng.choice(pieces)
        source = rng.choice([io.BytesIO, Dribble])(
            bytes(body[: rng.choice([len(body), 80, 70_100])])
        )
        request = ask(source, MULTIPART, SMALL, chunked=rng.random() < 0.5, length=len(body))
        try:
            outcomes.add(len(request.form))
            request.close()
        except HTTPException as error:
            outcomes.add(error.code)
        assert open_in(temporary) == 0
    assert {400, 413, 2} <= outcomes <= {400, 413, 0, 1, 2, 3}


# A real server

SERVED = """
    import os, tempfile
    from kit import App
    from kit.files import send_file

    app = App({"limits": {"body": "100 kB", "files": 2}})

    def links():
        for name in os.listdir("/proc/self/fd"):
            try:
                yield os.readlink(f"/proc/self/fd/{name}")
            except FileNotFoundError:
                continue

    @app.post("/body")
    def body(request):
        return str(len(request.body))

    @app.post("/files", limits={"body": "300 kB"})
    def files(request):
        return str(len(request.files.getlist("f")))

    @app.get("/open")
    def opened():
        folder = tempfile.gettempdir()
        number = sum(link.startswith(folder) for link in links())
        return {"open": number, "left": os.listdir(folder)}

    @app.get("/shrinks")
    def shrinks(request):
        with open("shrinks.bin", "wb") as file:
            file.truncate(300_000)
        response = send_file("shrinks.bin", request=request)
        os.truncate("shrinks.bin", 100_000)
        return response
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """The port of a server with one process, which writes its temporary files to its folder."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "temporary").mkdir()
    (folder / "served.py").write_text(textwrap.dedent(SERVED))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{number}", "-w", "1"]
    command += ["-k", "gthread", "--threads", "4", "--log-level", "critical", "served:app"]
    environ = {**os.environ, "TMPDIR": str(folder / "temporary")}
    process = subprocess.Popen(command, cwd=folder, env=environ, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", number), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield number
    finally:
        process.terminate()
        process.wait(10)


def send(port, method, path, body=None, **headers):
    """Send a request, in chunks if its body is an iterator; return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with suppress(BrokenPipeError, ConnectionResetError):  # refused while it is being sent
            connection.request(method, path, body, named)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_real_server_keeps_the_limits_with_and_without_a_length(port):
    for body in (b"x" * 100_000, iter([b"x" * 50_000] * 2)):
        assert send(port, "POST", "/body", body) == (200, b"100000")
    for body in (b"x" * 100_001, iter([b"x" * 50_000, b"x" * 50_001])):
        assert send(port, "POST", "/body", body)[0] == 413
    form = {"Content_Type": MULTIPART}
    for make in (lambda b: b, lambda b: iter([b[:70_000], b[70_000:]])):
        assert send(port, "POST", "/files", make(large(90_000)), **form) == (200, b"1")
        assert send(port, "POST", "/files", make(large(90_000, 1, 1)), **form)[0] == 413
        assert send(port, "POST", "/files", make(large(90_000)[:-9]), **form)[0] == 400


def until(port, reached):
    """Ask the server what it has open until that is as it should be."""
    end = time.monotonic() + 10
    while not reached(found := json.loads(send(port, "GET", "/open")[1])):
        assert time.monotonic() < end, found
        time.sleep(0.05)


@pytest.mark.parametrize("framing", ["Content-Length: 280000", "Transfer-Encoding: chunked"])
def test_a_real_server_is_left_with_nothing_after_a_disconnection(port, framing):
    before = json.loads(send(port, "GET", "/open")[1])
    assert before["left"] == []
    head = f"POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Type: {MULTIPART}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(f"{head}{framing}\r\n\r\n".encode())
        if framing.endswith("chunked"):
            connection.sendall(b"%x\r\n" % 280_000)
        connection.sendall(large(270_000)[:250_000])
        until(port, lambda found: found["open"] == before["open"] + 1)
    until(port, lambda found: found == before)


def test_a_real_server_ends_the_connection_where_a_file_shrinks(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /shrinks HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while chunk := connection.recv(65536):  # it would time out if it were waiting for more
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"Content-Length: 300000" in head
    assert len(body) == 100_000


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("example.org", "example.org"),
        ("EXAMPLE.org:8000", "EXAMPLE.org:8000"),
        ("example.org:80", "example.org"),
        ("my_service:5000", "my_service:5000"),
        ("xn--a", "xn--a"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("[::1]:8000", "[::1]:8000"),
    ],
)
def test_urls_have_the_host_as_the_client_wrote_it(host, shown):
    environ = {
        "wsgi.url_scheme": "http",
        "HTTP_HOST": host,
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/Zöe%".encode().decode("latin-1"),
        "QUERY_STRING": "x=%25",
    }
    request = Request(environ, Limits())
    urls = [request.host, request.host_url, request.root_url, request.base_url, request.url]
    base, root = f"http://{shown}/a%20b/Z%C3%B6e%25", f"http://{shown}/"
    assert urls == [shown, root, root, base, f"{base}?x=%25"]
    environ |= {"SCRIPT_NAME": "/below", "wsgi.url_scheme": "https", "HTTP_HOST": "a:443"}
    assert Request(environ, Limits()).root_url == "https://a/below/"
