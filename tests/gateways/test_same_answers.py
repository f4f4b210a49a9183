"""The same request gets the same answer through both gateways, from plain and async handlers."""

from __future__ import annotations

import asyncio
import functools
import inspect
import io
import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

import pytest
from werkzeug.test import run_wsgi_app

from kit import App, Forbidden, Request, Response

FORM = [("Content-Type", "application/x-www-form-urlencoded")]
JSON = [("Content-Type", "application/json")]
MULTIPART = [("Content-Type", "multipart/form-data; boundary=x")]
PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
LIMIT = 1000


@dataclass
class Sent:
    """A request on the wire; a `chunked` one has no length."""

    target: str
    method: str = "GET"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    chunked: bool = False
    version: str = "1.1"
    mounted: str = ""
    host: str | None = "localhost"

    def lines(self) -> list[tuple[str, str]]:
        found = [("Host", self.host)] if self.host is not None else []
        found += self.headers
        names = {name.lower() for name, _ in found}
        if self.chunked:
            found.append(("Transfer-Encoding", "chunked"))
        elif self.body and "content-length" not in names:
            found.append(("Content-Length", str(len(self.body))))
        return found

    def path(self) -> bytes:
        return unquote_to_bytes(self.target.partition("?")[0])

    def query(self) -> bytes:
        return self.target.partition("?")[2].encode("latin-1")

    def environ(self) -> dict:
        """What a WSGI server makes of it."""
        environ = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": self.mounted.encode().decode("latin-1"),
            "PATH_INFO": self.path().decode("latin-1"),
            "QUERY_STRING": self.query().decode("latin-1"),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": f"HTTP/{self.version}",
            "REMOTE_ADDR": "192.0.2.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(self.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if self.chunked:
            environ["wsgi.input_terminated"] = True
        for name, value in self.lines():
            if "_" in name:
                continue
            key = name.upper().replace("-", "_")
            key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ

    def scope(self) -> dict:
        """What an ASGI server makes of it."""
        raw = self.target.partition("?")[0].encode("latin-1")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": self.version,
            "method": self.method,
            "scheme": "http",
            "path": self.mounted + self.path().decode(errors="replace"),
            "raw_path": self.mounted.encode() + raw,
            "query_string": self.query(),
            "root_path": self.mounted,
            "headers": [(n.lower().encode(), v.encode("latin-1")) for n, v in self.lines()],
            "client": ("192.0.2.1", 50000),
            "server": ("127.0.0.1", 8000),
        }


REQUESTS = {
    "a page": Sent("/"),
    "head": Sent("/", "HEAD"),
    "head of nothing": Sent("/nope", "HEAD"),
    "head of a stream": Sent("/stream", "HEAD"),
    "options": Sent("/", "OPTIONS"),
    "another method": Sent("/", "POST"),
    "trace": Sent("/", "TRACE"),
    "a method of nobody": Sent("/", "FROBNICATE"),
    "nothing there": Sent("/nope"),
    "data": Sent("/seen?a=1&a=2"),
    "a stream": Sent("/stream"),
    "none": Sent("/none"),
    "a response": Sent("/response"),
    "refused": Sent("/refused"),
    "refused, as data": Sent("/refused", headers=[("Accept", "application/json")]),
    "broken": Sent("/broken"),
    "broken, as data": Sent("/broken", headers=[("Accept", "application/json")]),
    "slash missing": Sent("/items"),
    "slash too many": Sent("/seen/?a=%20b&c=\xe9"),
    "slash missing, mounted": Sent("/items?x", mounted="/shop"),
    "slash missing, mounted on more than ascii": Sent("/items", mounted="/caf\xe9"),
    "mounted": Sent("/seen", mounted="/shop"),
    "mounted on more than ascii": Sent("/seen", mounted="/caf\xe9"),
    "two slashes": Sent("//items"),
    "an escaped letter": Sent("/%73een"),
    "more than ascii": Sent("/any/caf%C3%A9%20%F0%9F%98%80"),
    "no utf-8": Sent("/any/%ff"),
    "half of a character": Sent("/any/%C3"),
    "nul": Sent("/any/%00"),
    "a dot segment": Sent("/any/../seen"),
    "an escaped dot segment": Sent("/any/%2e%2E/seen"),
    "an escaped slash": Sent("/any/a%2Fb"),
    "an escaped per cent": Sent("/any/%2541"),
    "a semicolon and a plus": Sent("/any/a;b+c"),
    "a number": Sent("/number/12"),
    "no number": Sent("/number/1x"),
    "wide digits": Sent("/number/%EF%BC%91"),
    "a huge number": Sent(f"/number/{'9' * 40}"),
    "an empty query": Sent("/seen?"),
    "bytes in the query": Sent("/args?a=\xff"),
    "escaped bytes in the query": Sent("/args?a=%ff"),
    "an unescaped query": Sent("/args?a=\xc3\xa9&b=1+2%202"),
    "many arguments": Sent("/args?" + "a&" * 1100),
    "two of a header": Sent("/seen", headers=[("X-Two", "a"), ("X-Two", "b")]),
    "a header with an underscore": Sent("/seen", headers=[("X_Real_IP", "1"), ("X-Real", "2")]),
    "a forwarding header": Sent("/seen", headers=[("X-Forwarded-For", "198.51.100.1")]),
    "latin-1 in a header": Sent("/seen", headers=[("X-Two", "\xe9")]),
    "two hosts": Sent("/", headers=[("Host", "localhost")]),
    "no host": Sent("/seen", host=None, version="1.0"),
    "a foreign host": Sent("/", host="example.org"),
    "a malformed host": Sent("/", host="local host"),
    "http/1.0": Sent("/stream", version="1.0"),
    "http/2": Sent("/seen", version="2"),
    "expect": Sent("/form", "POST", [*FORM, ("Expect", "100-continue")], b"a=1"),
    "a form": Sent("/form", "POST", FORM, b"a=1&b=%C3%A9"),
    "a form in pieces": Sent("/form", "POST", FORM, b"a=" + b"x" * 900),
    "a form in chunks": Sent("/form", "POST", FORM, b"a=1", chunked=True),
    "a form of no utf-8": Sent("/form", "POST", FORM, b"a=%ff"),
    "a form that is empty": Sent("/form", "POST", FORM),
    "a form that is too large": Sent("/form", "POST", FORM, b"x" * (LIMIT + 1)),
    "a form of just the limit": Sent("/form", "POST", FORM, b"x" * LIMIT),
    "chunks that are too many": Sent("/form", "POST", FORM, b"x" * (LIMIT + 1), chunked=True),
    "chunks of just the limit": Sent("/form", "POST", FORM, b"x" * LIMIT, chunked=True),
    "a length of words": Sent("/form", "POST", [*FORM, ("Content-Length", "abc")], b"a=1"),
    "a length below nothing": Sent("/form", "POST", [*FORM, ("Content-Length", "-1")], b"a=1"),
    "a length beyond the limit": Sent("/form", "POST", [*FORM, ("Content-Length", "9" * 30)]),
    "two lengths": Sent(
        "/form", "POST", [*FORM, ("Content-Length", "3"), ("Content-Length", "4")], b"a=1"
    ),
    "a compressed form": Sent("/form", "POST", [*FORM, ("Content-Encoding", "gzip")], b"a=1"),
    "multipart": Sent("/form", "POST", MULTIPART, PART),
    "multipart in chunks": Sent("/form", "POST", MULTIPART, PART, chunked=True),
    "multipart without end": Sent("/form", "POST", MULTIPART, PART[:-5]),
    "json": Sent("/json", "POST", JSON, b'{"a": [1]}'),
    "broken json": Sent("/json", "POST", JSON, b'{"a": '),
    "json of another type": Sent("/json", "POST", FORM, b"{}"),
    "a body that nobody reads": Sent("/none", "POST", JSON, b"x" * 900),
    "a page of another site": Sent("/none", "POST", [("Origin", "https://evil.example")]),
    "a websocket's address": Sent("/socket"),
}


def plain(app: App) -> None:
    @app.get("/")
    def page():
        return "hello"

    @app.get("/seen")
    def seen(request):
        environ = request.environ
        names = ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_METHOD", "SERVER_NAME")
        more = ("SERVER_PORT", "SERVER_PROTOCOL", "REMOTE_ADDR", "wsgi.url_scheme")
        headers = sorted(key for key in environ if key.startswith(("HTTP_", "CONTENT_")))
        return {name: environ.get(name) for name in (*names, *more, *headers)}

    @app.get("/stream")
    def stream():
        yield "one"
        yield "two"

    @app.route("/none", ["GET", "POST"])
    def none():
        return None

    @app.get("/response")
    def response():
        found = Response("x", 418, {"X-Own": "é"})
        found.set_cookie("a", "1")
        found.set_cookie("b", "2")
        return found

    @app.get("/refused")
    def refused():
        raise Forbidden("not you")

    @app.get("/broken")
    def broken():
        raise RuntimeError("swordfish")

    @app.get("/items/")
    def items():
        return "items"

    @app.get("/any/<rest>")
    def anything(rest):
        return [rest]

    @app.get("/number/<int:id>")
    def number(id):
        return [id]

    @app.get("/args")
    def args(request):
        return {name: request.args.getlist(name) for name in request.args}

    @app.post("/form", csrf=False)
    def form(request):
        return {name: request.form.getlist(name) for name in request.form}

    @app.post("/json", csrf=False)
    def data(request):
        return {"given": request.json}


def awaiting(app: App) -> None:
    """The same routes with coroutine functions; those who read a body load it first."""
    base = App()
    plain(base)
    for route in base.routes:
        app.route(route.pattern, route.methods, csrf=route.csrf)(_awaiting(route.handler))


def _awaiting(handler):
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        async def stream(*values):
            for chunk in handler(*values):
                yield chunk

        return stream

    @functools.wraps(handler)
    async def call(*values):
        await asyncio.sleep(0)
        for value in values:
            if isinstance(value, Request):
                await value.load()
        return handler(*values)

    return call


@pytest.fixture(scope="module")
def apps():
    made = {}
    for declare in (plain, awaiting):
        app = made[declare] = App({"limits": {"body": "1 kB"}})
        declare(app)

        @app.websocket("/socket")
        async def socket(socket):
            await socket.accept()

        app.start()
    yield made
    for app in made.values():
        app.stop()


def comparable(status: int, headers, body: bytes) -> tuple:
    text = re.sub(rb"[0-9a-f]{16}", b"<id>", body)
    kept = [(name.lower(), re.sub(r"^[0-9a-f]{16}$", "<id>", value)) for name, value in headers]
    return status, sorted(kept), text


def through_wsgi(app: App, sent: Sent) -> tuple:
    body, status, headers = run_wsgi_app(app, sent.environ(), buffered=True)
    return comparable(int(status[:3]), headers.items(), b"".join(body))


async def through_asgi(app: App, sent: Sent, connect) -> tuple:
    connection = connect(app, **sent.scope())
    for begin in range(0, len(sent.body) or 1, 400):
        connection.give(sent.body[begin : begin + 400], more=begin + 400 < len(sent.body))
    await connection.ended()
    return comparable(connection.status, connection.headers, connection.body)


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_gets_the_same_answer_everywhere(apps, connect, name):
    sent = REQUESTS[name]
    expected = await asyncio.to_thread(through_wsgi, apps[plain], sent)
    assert await asyncio.to_thread(through_wsgi, apps[awaiting], sent) == expected
    for app in (apps[plain], apps[awaiting]):
        for _ in range(2):  # the gateway knows headers that it has seen
            assert await through_asgi(app, sent, connect) == expected


def test_the_list_is_of_all_kinds(apps):
    statuses = {through_wsgi(apps[plain], sent)[0] for sent in REQUESTS.values()}
    assert {200, 204, 308, 400, 403, 404, 405, 413, 415, 418, 500} <= statuses
