"""What the ASGI gateway does with time: threads, streams, disconnects, and requests at once."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import suppress
from contextvars import ContextVar

import pytest

from kit import App, Response, provider
from kit.testing import client

VISITOR: ContextVar[str] = ContextVar("visitor", default="nobody")
FORM = (b"content-type", b"application/x-www-form-urlencoded")
HOST = (b"host", b"localhost")


class Gate:
    """A handler waits in it, in a thread, until the test opens it; it counts who is inside."""

    def __init__(self):
        self._loop = asyncio.get_running_loop()
        self._open = threading.Event()
        self._lock = threading.Lock()
        self._changed = asyncio.Event()
        self.inside = self.most = self.left = 0

    def wait(self):
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self._loop.call_soon_threadsafe(self._changed.set)
        assert self._open.wait(5)
        with self._lock:
            self.inside -= 1
            self.left += 1

    async def entered(self, count=1):
        while self.inside < count:
            self._changed.clear()
            await self._changed.wait()

    def open(self):
        self._open.set()


async def turns(count: int = 20) -> None:
    """Let everything that is ready on the loop run."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
def log():
    return []


@pytest.fixture
def providers(app, log):
    """An application with a plain and an async unit of work that log how they end."""

    def ends(name, error):
        log.append(f"{name} {'rolled back' if error else 'committed'}")

    @app.provider
    def unit():
        try:
            yield "unit"
        except BaseException as error:
            ends("unit", error)
            raise
        ends("unit", None)

    @app.provider
    async def async_unit():
        try:
            yield "unit"
        except BaseException as error:
            ends("async unit", error)
            raise
        ends("async unit", None)

    return app


# Threads


async def test_a_plain_handler_never_holds_up_the_loop(app, connect):
    gate = Gate()
    app.get("/slow")(lambda: gate.wait() or "slow")

    @app.get("/quick")
    async def quick():
        return "quick"

    slow = connect(app, "/slow").give()
    await gate.entered()
    assert (await connect(app, "/quick").give().ended()).body == b"quick"
    assert not slow.sent
    gate.open()
    assert (await slow.ended()).body == b"slow"


async def test_nor_does_a_plain_provider_or_guard_of_an_async_handler(app, connect):
    gate = Gate()

    @app.provider
    def slow():
        gate.wait()
        yield threading.get_ident()
        gate.wait()

    def guard():
        gate.wait()

    @app.get("/", requires=guard)
    async def index(slow):
        return {"same": slow == threading.get_ident()}

    request = connect(app).give()
    await gate.entered()
    await turns()
    assert not request.sent
    gate.open()
    assert (await request.ended()).body == b'{"same":false}'
    assert gate.left == 3


async def test_a_cheap_handler_runs_on_the_loop(app, connect):
    app.get("/inline", inline=True)(lambda: {"thread": threading.get_ident()})
    app.get("/plain")(lambda: {"thread": threading.get_ident()})
    own = b'{"thread":%d}' % threading.get_ident()
    assert (await connect(app, "/inline").give().ended()).body == own
    assert (await connect(app, "/plain").give().ended()).body != own


@pytest.mark.parametrize("told", [True, False])
async def test_the_threads_are_no_more_than_the_configuration_says(make_app, connect, told):
    app = make_app({"app": {"threads": 2}})
    gate = Gate()
    app.get("/")(lambda: gate.wait() or "done")
    if told:
        server = connect(app, type="lifespan").tell("lifespan.startup")
        await server.until(1)
    requests = [connect(app).give() for _ in range(6)]
    await gate.entered(2)
    await turns()
    assert gate.inside == 2
    gate.open()
    for request in requests:
        assert (await request.ended()).body == b"done"
    assert gate.most == 2
    if told:
        await server.tell("lifespan.shutdown").ended()


async def test_no_thread_is_left_behind(make_app, connect):
    before = set(threading.enumerate())
    app = make_app()
    app.get("/")(lambda: "done")
    server = connect(app, type="lifespan").tell("lifespan.startup")
    await server.until(1)
    for request in [connect(app).give() for _ in range(5)]:
        await request.ended()
    assert len(set(threading.enumerate()) - before) >= 1
    await server.tell("lifespan.shutdown").ended()
    left = [one.name for one in set(threading.enumerate()) - before]
    assert [name for name in left if name.startswith("kit")] == []


async def test_context_variables_are_each_request_s_own(app, connect):
    met = asyncio.Barrier(3)

    @app.provider
    def visitor(request):
        VISITOR.set(request.args["name"])
        return VISITOR.get()

    @app.get("/async")
    async def greet(visitor):
        await met.wait()
        return [visitor, VISITOR.get()]

    requests = [
        connect(app, "/async", query_string=b"name=%b" % name).give() for name in (b"a", b"b", b"c")
    ]
    bodies = [(await request.ended()).body for request in requests]
    assert bodies == [b'["a","a"]', b'["b","b"]', b'["c","c"]']
    assert VISITOR.get() == "nobody"


async def test_context_variables_go_into_threads_and_come_back(app, connect):
    @app.provider
    async def first():
        VISITOR.set("async")
        yield VISITOR.get()

    @app.provider
    def second(first):
        seen = VISITOR.get()
        VISITOR.set("plain")
        yield seen

    @app.get("/")
    async def index(second):
        return [second, VISITOR.get()]

    @app.get("/plain")
    def plain(second):
        return [second, VISITOR.get()]

    @app.get("/stream")
    def stream(second):
        yield second
        yield VISITOR.get()

    assert (await connect(app).give().ended()).body == b'["async","plain"]'
    assert (await connect(app, "/plain").give().ended()).body == b'["async","plain"]'
    assert (await connect(app, "/stream").give().ended()).body == b"asyncplain"
    assert VISITOR.get() == "nobody"


# Streams


def endless(app, log, kind):
    """Declare a stream that goes on until it is closed."""
    if kind == "plain":

        @app.get("/")
        def stream(unit):
            try:
                while True:
                    log.append("chunk")
                    yield "x"
            finally:
                log.append("closed")
    else:

        @app.get("/")
        async def stream(async_unit, unit):
            try:
                while True:
                    log.append("chunk")
                    yield "x"
                    await asyncio.sleep(0)
            finally:
                log.append("closed")


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_stream_waits_for_its_client(providers, connect, log, kind):
    endless(providers, log, kind)
    request = connect(providers, hold=1).give()
    await request.until(2)
    await turns()
    assert len(request.sent) == 2
    assert log.count("chunk") <= 2
    request.leave()
    await request.release()
    await request.ended()


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_the_first_chunk_goes_out_before_the_last_is_made(app, connect, kind):
    gate = Gate()
    if kind == "plain":

        @app.get("/")
        def stream():
            yield "one"
            gate.wait()
            yield "two"
    else:

        @app.get("/")
        async def stream():
            yield "one"
            await asyncio.to_thread(gate.wait)
            yield "two"

    request = connect(app).give()
    await request.until(2)
    assert request.sent[1]["body"] == b"one"
    gate.open()
    assert (await request.ended()).body == b"onetwo"


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_stream_is_closed_when_its_client_is_gone(providers, connect, log, kind, caplog):
    endless(providers, log, kind)
    request = connect(providers, hold=3).give()
    await request.until(4)
    request.leave()
    await request.release()
    await request.ended()
    assert "closed" in log
    assert log.index("closed") < log.index("unit rolled back")
    assert log.count("unit rolled back") == 1
    assert log.count("async unit rolled back") == (kind == "async")
    assert not [one for one in caplog.records if one.levelname == "ERROR"]


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_so_is_one_whose_server_cannot_send(providers, connect, log, kind, caplog):
    endless(providers, log, kind)
    request = connect(providers, broken=3).give()
    with suppress(OSError):  # the server's own: it knows
        await request.ended()
    assert log.count("closed") == log.count("unit rolled back") == 1
    assert not [one for one in caplog.records if one.levelname == "ERROR"]


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_stream_that_fails_midway_is_cut_off_and_logged(app, connect, kind, caplog):
    def chunks():
        yield "one"
        raise RuntimeError("swordfish")

    async def async_chunks():
        for chunk in chunks():
            yield chunk

    app.get("/")(chunks if kind == "plain" else async_chunks)
    request = connect(app).give()
    with pytest.raises(RuntimeError, match="swordfish"):
        await request.ended()
    assert [one.get("more_body") for one in request.sent[1:]] == [True]


async def test_a_stream_that_fails_at_once_is_an_error_page(app, connect):
    @app.get("/")
    async def stream():
        raise RuntimeError("swordfish")
        yield "one"

    request = await connect(app).give().ended()
    assert request.status == 500
    assert b"swordfish" not in request.body


# Disconnects


async def test_a_disconnect_cancels_an_async_handler_and_rolls_back(providers, connect, log):
    entered = asyncio.Event()

    @providers.get("/")
    async def handler(unit, async_unit):
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    request = connect(providers).give()
    await entered.wait()
    await request.leave().ended()
    assert log[0] == "cancelled"
    assert sorted(log[1:]) == ["async unit rolled back", "unit rolled back"]
    assert not request.sent


async def test_a_disconnect_leaves_a_plain_handler_to_its_end(providers, connect, log, caplog):
    gate = Gate()

    @providers.get("/")
    def handler(unit):
        gate.wait()
        log.append("done")

    request = connect(providers).give()
    await gate.entered()
    request.leave()
    await turns()
    assert not request.task.done()
    gate.open()
    await request.ended()
    assert log[0] == "done"
    assert len(log) == 2
    assert not [one for one in caplog.records if one.levelname == "ERROR"]


async def test_a_disconnect_after_the_answer_is_none(providers, connect, log):
    @providers.get("/")
    async def handler(async_unit):
        await asyncio.sleep(0)
        return "done"

    request = connect(providers, hold=1).give()
    await request.until(2)
    request.leave()
    await turns()
    await request.release()
    assert (await request.ended()).body == b"done"
    assert log == ["async unit committed"]


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("length", [b"9", None])
async def test_who_breaks_off_a_body_gets_nothing_done(
    providers, connect, log, caplog, is_async, length
):
    if is_async:

        @providers.post("/", csrf=False)
        async def handler(request, async_unit):
            await request.load()
            log.append(request.form)
    else:

        @providers.post("/", csrf=False)
        def handler(request, unit):
            log.append(request.form)

    how = (b"content-length", length) if length else (b"transfer-encoding", b"chunked")
    request = connect(providers, method="POST", headers=[HOST, FORM, how])
    await request.give(b"a=1", more=True).leave().ended()
    assert [one for one in log if "rolled back" not in one] == []
    assert not request.sent or request.status == 400
    assert not [one for one in caplog.records if one.levelname == "ERROR"]


async def test_a_server_that_stops_cancels_what_runs(providers, connect, log):
    entered = asyncio.Event()

    @providers.get("/")
    async def handler(async_unit):
        entered.set()
        await asyncio.Event().wait()

    request = connect(providers).give()
    await entered.wait()
    request.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request.ended()
    assert log == ["async unit rolled back"]


# Bodies


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(make_app, connect):
    app = make_app({"limits": {"body": "1 kB"}})

    @app.post("/", csrf=False)
    def handler(request):
        return str(len(request.body))

    headers = [HOST, (b"content-length", b"1001"), (b"expect", b"100-continue")]
    request = connect(app, method="POST", headers=headers)
    assert (await request.ended()).status == 413
    assert request.received == 0


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_a_body_without_length_is_read_no_further_than_the_limit(
    make_app, connect, version, is_async
):
    app = make_app({"limits": {"body": "1 kB"}})

    def handler(request):
        return str(len(request.body))

    async def async_handler(request):
        return str(len((await request.load()).body))

    app.post("/", csrf=False)(async_handler if is_async else handler)
    headers = [HOST] if version == "2" else [HOST, (b"transfer-encoding", b"chunked")]
    request = connect(app, method="POST", headers=headers, http_version=version)
    for _ in range(9):
        request.give(b"x" * 400, more=True)
    assert (await request.ended()).status == 413
    assert request.received <= 4
    fits = connect(app, method="POST", headers=headers, http_version=version)
    fits.give(b"x" * 600, more=True).give(b"", more=True).give(b"x" * 400, more=True).give()
    assert (await fits.ended()).body == b"1000"


async def test_a_body_is_read_in_pieces_as_it_comes(app, connect):
    seen = asyncio.Queue()

    @app.post("/", csrf=False)
    async def handler(request):
        async for piece in request.pieces():
            await seen.put(piece)
        return "all"

    request = connect(app, method="POST", headers=[HOST, (b"content-length", b"6")])
    for piece in (b"one", b"two"):
        request.give(piece, more=piece == b"one")
        assert await seen.get() == piece
    assert (await request.ended()).body == b"all"


async def test_a_body_is_read_by_size_too(app, connect):
    @app.post("/", csrf=False)
    async def handler(request):
        body = request.pieces()
        read = [await body.read(4), await body.read(0), await body.read(3)]
        async for piece in body:
            read.append(piece)
            break
        return "|".join(
            str(part, "ascii") for part in [*read, await body.read(), await body.read(9)]
        )

    request = connect(app, method="POST", headers=[HOST, (b"content-length", b"17")])
    for piece in (b"one", b"two", b"three", b"four", b"56"):
        request.give(piece, more=piece != b"56")
    assert (await request.ended()).body == b"onet||wot|hree|four56|"


async def test_no_more_of_a_body_is_taken_than_was_announced(app, connect):
    @app.post("/", csrf=False)
    def handler(request):
        return request.body

    request = connect(app, method="POST", headers=[HOST, (b"content-length", b"3")])
    request.give(b"abc").give(b"def")
    assert (await request.ended()).body == b"abc"


# Requests


async def test_many_requests_at_once_are_kept_apart(app, connect):
    @app.get("/plain/<int:id>")
    def plain(id, request):
        return [id, request.path]

    @app.get("/async/<int:id>")
    async def handler(id, request):
        await asyncio.sleep(0)
        return [id, request.path]

    paths = [f"/{kind}/{number}" for number in range(20) for kind in ("plain", "async")]
    requests = [connect(app, path).give() for path in paths]
    for path, request in zip(paths, requests, strict=True):
        number = path.rpartition("/")[2]
        assert (await request.ended()).body == f'[{number},"{path}"]'.encode()


async def test_requests_with_the_same_headers_differ_all_the_same(app, connect):
    @app.route("/<name>", ["GET", "POST"], csrf=False)
    def seen(name, request):
        environ = request.environ
        keys = ("REQUEST_METHOD", "QUERY_STRING", "SCRIPT_NAME", "REMOTE_ADDR", "kit.own")
        mine = environ.setdefault("kit.mine", name)
        environ["HTTP_X_MINE"] = name
        return [name, request.scheme, mine, *(environ.get(key, "") for key in keys)]

    own = {"method": "POST", "scheme": "https", "query_string": b"q", "root_path": "/shop"}
    own |= {"client": ("198.51.100.1", 1), "kit.environ": {"kit.own": "x"}}
    for _ in range(2):
        request = await connect(app, "/a").give().ended()
        assert request.body == b'["a","http","a","GET","","","192.0.2.1",""]'
        request = await connect(app, "/shop/b", **own).give().ended()
        assert request.body == b'["b","https","b","POST","q","/shop","198.51.100.1","x"]'


async def test_cookies_in_several_headers_are_one(app, connect):
    app.get("/")(lambda request: dict(request.cookies))
    headers = [HOST, (b"cookie", b"a=1"), (b"cookie", b"b=2")]
    request = await connect(app, headers=headers, http_version="2").give().ended()
    assert request.body == b'{"a":"1","b":"2"}'


async def test_a_scope_may_leave_out_what_is_optional(app, connect):
    app.get("/caf\xe9")(lambda request: [request.environ.get("REMOTE_ADDR"), request.host])
    scope = {"raw_path": None, "client": None, "server": None, "root_path": ""}
    request = await connect(app, "/caf\xe9", **scope).give().ended()
    assert request.body == b'[null,"localhost"]'


async def test_a_server_may_have_keys_of_its_own_for_the_environ(app, connect):
    app.get("/")(lambda request: str(request.environ["kit.own"]))
    request = await connect(app, **{"kit.environ": {"kit.own": 7}}).give().ended()
    assert request.body == b"7"


async def test_an_https_answer_is_one_under_asgi_too(app, connect):
    @app.get("/")
    def index(request):
        response = Response(request.url)
        response.set_cookie("a", "1")
        return response

    request = await connect(app, scheme="https").give().ended()
    assert request.body == b"https://localhost/"
    [cookie] = [value for name, value in request.headers if name == "set-cookie"]
    assert "Secure" in cookie


async def test_header_names_go_out_in_small_letters_and_once(app, connect):
    app.get("/")(lambda: ("x", {"X-Own": "2", "content-type": "a/b"}))
    request = await connect(app).give().ended()
    names = [name for name, _ in request.headers]
    assert names == [name.lower() for name in names]
    assert ("x-own", "2") in request.headers
    assert len(set(names)) == len(names)


async def test_the_answer_to_head_has_no_body(app, connect):
    @app.get("/stream")
    def stream():
        yield "x"

    app.get("/")(lambda: "hello")
    for path in ("/", "/stream", "/nope"):
        request = await connect(app, path, "HEAD").give().ended()
        assert request.body == b""
    request = await connect(app, "/", "HEAD").give().ended()
    assert ("content-length", "5") in request.headers


async def test_a_provider_of_a_library_may_be_async(app, connect):
    @provider
    async def now():
        await asyncio.sleep(0)
        return "noon"

    app.provider(now)
    app.get("/")(lambda now: now)
    assert (await connect(app).give().ended()).body == b"noon"


def test_headers_that_are_known_are_no_way_around_a_check():
    """What is kept of one request must not stand for another."""
    app = App({"security": {"hosts": ["example.org"], "hsts": "1 day"}})
    app.get("/", inline=True)(lambda: "home")

    @app.get("/who")
    async def who(environ):
        return {
            name: environ.get(name)
            for name in ("REQUEST_METHOD", "wsgi.url_scheme", "REMOTE_ADDR", "QUERY_STRING")
        }

    async def asked(path="/", host=b"example.org", **scope):
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        plain = {"type": "http", "http_version": "1.1", "method": "GET", "query_string": b""}
        headers = [(b"host", host), (b"accept", b"application/json")]
        await app.asgi({**plain, "path": path, "headers": headers, **scope}, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]

    async def main():
        for _ in range(3):  # the second time they are known
            status, headers, body = await asked()
            assert (status, body) == (200, b"home")
            assert headers[b"content-security-policy"]
            assert (await asked(host=b"evil.example"))[0] == 400
            assert (await asked(method="HEAD"))[2] == b""
            assert (await asked(method="POST"))[0] == 405
            assert (await asked(path="/nothing"))[0] == 404
            assert (await asked(path="/\0"))[0] == 400
            assert b"strict-transport-security" in (await asked(scheme="https"))[1]
            assert b"strict-transport-security" not in headers
            for scheme, peer in ("http", "10.0.0.1"), ("https", "10.0.0.2"):
                _, _, body = await asked("/who", scheme=scheme, client=(peer, 1), query_string=b"a")
                assert json.loads(body) == {
                    "REQUEST_METHOD": "GET",
                    "wsgi.url_scheme": scheme,
                    "REMOTE_ADDR": peer,
                    "QUERY_STRING": "a",
                }
            assert (await asked(headers=[[b"host", b"example.org"]]))[0] == 200
            assert (await asked(headers=[(b"host", b"example.org"), (b"host", b"b.example")]))[
                0
            ] == 400

    asyncio.run(main())
    app.stop()


def test_a_quick_handler_that_fails_or_waits_is_treated_like_any_other():
    app = App()

    @app.get("/fails")
    async def fails():
        raise ValueError("no")

    @app.get("/waits/<int:id>")
    async def waits(id):
        await asyncio.sleep(0)
        return {"id": id}, 201

    app.get("/nothing", inline=True)(lambda: None)
    browser = client(app, gateway="asgi")
    for _ in range(2):
        assert browser.get("/fails").status_code == 500
        assert browser.get("/waits/7").status == "201 Created"
        assert browser.get("/waits/7").json == {"id": 7}
        assert browser.get("/nothing").status_code == 204
    app.stop()
