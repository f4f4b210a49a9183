"""What the framework does, where the three applications do not show it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

import framework as falcon
import pytest

from kit import Response, SocketClosed, abort
from kit.testing import SocketRefused, client

CONFIG = {"routing": {"use": "werkzeug"}}


@pytest.fixture
def app():
    made = falcon.App(CONFIG)
    yield made
    made.stop()


@pytest.fixture(params=["wsgi", "asgi"])
def browse(app, request):
    """A function that makes a client, once all is declared."""
    return lambda: client(app, gateway=request.param)


class Resource:
    """A resource whose responders are given by name."""

    def __init__(self, **responders):
        vars(self).update({f"on_{name}": one for name, one in responders.items()})


def told(req, resp, **values):
    resp.media = {name: str(value) for name, value in values.items()}


async def awaited(req, resp, **values):
    await asyncio.sleep(0)
    told(req, resp, **values)


both_kinds = pytest.mark.parametrize("responder", [told, awaited])


# Routes


@both_kinds
def test_the_fields_of_a_template_come_by_name(app, browse, responder):
    app.add_route("/{name}/{number:int}.{kind}", Resource(get=responder))
    assert browse().get("/a b/7.png").json == {"name": "a b", "number": "7", "kind": "png"}
    assert browse().get("/a/x.png").status_code == 404


def test_a_suffix_chooses_responders(app, browse):
    resource = Resource(get=told, get_item=told, delete_item=told)
    app.add_route("/items", resource)
    app.add_route("/items/{id:uuid}", resource, suffix="item")
    assert browse().delete("/items").status_code == 405
    one = "12345678-1234-1234-1234-123456789abc"
    assert browse().delete(f"/items/{one}").json == {"id": one}
    with pytest.raises(ValueError, match="no responder"):
        app.add_route("/more", resource, suffix="nothing")


def test_a_route_is_named_by_its_template(app):
    app.add_route("/items/{id:int}", Resource(get=told))
    assert app.url_for("/items/{id:int}", id=7) == "/items/7"


def test_responders_may_name_providers(app, browse):
    @app.provider
    def greeting():
        return "hello"

    def on_get(req, resp, name, *, greeting):
        resp.text = f"{greeting} {name}"

    app.add_route("/{name}", Resource(get=on_get))
    assert browse().get("/ada").text == "hello ada"


def test_plain_responders_do_not_stop_the_loop(app):
    places = []
    app.add_route("/", Resource(get=lambda req, resp: places.append(threading.current_thread())))
    client(app, gateway="asgi").get("/")
    client(app, gateway="wsgi").get("/")
    assert places[0] is not places[1] is threading.current_thread()


@pytest.mark.parametrize("template", ["/{id:int(2)}", "/{id:", "/{a-b}", "/id}", "/{id:int:x}"])
def test_a_template_that_cannot_be_read_is_an_error(app, template):
    with pytest.raises(ValueError, match=r"a field is \{name\} or \{name:converter\}"):
        app.add_route(template, Resource(get=told))


def test_a_resource_is_an_instance(app):
    class Items:
        def on_get(self, req, resp):
            told(req, resp)

    with pytest.raises(TypeError, match=r"pass an instance: Items\(\)"):
        app.add_route("/", Items)


# Requests


def test_what_falcon_calls_otherwise(app, browse):
    def on_post(req, resp):
        resp.media = [req.params, req.auth, req.bounded_stream.read().decode()]

    app.add_route("/", Resource(post=on_post))
    sent = {"data": b"body", "headers": {"Authorization": "Basic x"}}
    found = browse().post("/?a=1&b=1&b=2", **sent).json
    assert found == [{"a": "1", "b": ["1", "2"]}, "Basic x", "body"]


@pytest.mark.parametrize(
    ("query", "answer"),
    [("n=7", 7), ("n=1&n=2", 1), *((q, None) for q in ("", "n=-7", "n=x", "n=", "n=11"))],
)
def test_whole_numbers_in_the_query(app, browse, query, answer):
    def on_get(req, resp):
        resp.media = {"n": req.get_param_as_int("n", required=True, min_value=0, max_value=10)}

    app.add_route("/", Resource(get=on_get))
    response = browse().get(f"/?{query}")
    assert response.json.get("n") == answer
    assert response.status_code == (400 if answer is None else 200)


def test_defaults_and_headers(app, browse):
    def on_get(req, resp):
        resp.media = [
            *(req.get_param("a"), req.get_param("a", default="b"), req.get_param_as_float("f")),
            *(req.get_header("X-Own"), req.get_header("X-Other", "none"), req.method, req.path),
        ]

    app.add_route("/", Resource(get=on_get))
    found = browse().get("/?f=1.5", headers={"x-own": "yes"}).json
    assert found == [None, "b", 1.5, "yes", "none", "GET", "/"]


def test_media_of_both_kinds(app, browse):
    def plain(req, resp):
        resp.media = [req.media]

    async def later(req, resp):
        resp.media = [await req.get_media()]

    app.add_route("/plain", Resource(post=plain))
    app.add_route("/later", Resource(post=later))
    for path in ("/plain", "/later"):
        assert browse().post(path, json={"a": 1}).json == [{"a": 1}]
        bad = browse().post(path, data=b"{", content_type="application/json")
        assert (bad.status_code, bad.json["title"]) == (400, "400 Bad Request")
        unknown = browse().post(path, data=b"x", content_type="image/png")
        assert (unknown.status_code, unknown.json["title"]) == (415, "415 Unsupported Media Type")


def test_formats_of_the_kit_are_media_handlers(browse):
    app = falcon.App({**CONFIG, "formats": {"use": ["json", "msgpack"]}})

    def on_post(req, resp):
        resp.content_type = "application/msgpack"
        resp.media = req.media

    app.add_route("/", Resource(post=on_post))
    assert client(app).post("/", json=[7]).data == b"\x91\x07"


def test_a_coroutine_reads_its_body_in_pieces(app, browse):
    async def by_size(req, resp):
        resp.media = [(await req.stream.read(4)).decode(), (await req.stream.read()).decode()]

    async def by_pieces(req, resp):
        resp.data = b"".join([piece async for piece in req.stream])

    app.add_route("/size", Resource(post=by_size))
    app.add_route("/pieces", Resource(post=by_pieces))
    assert browse().post("/size", data=b"123456").json == ["1234", "56"]
    assert browse().post("/pieces", data=b"x" * 200_000).data == b"x" * 200_000


# Answers


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("name", "value", "body", "kind"),
    [
        ("text", "Zoë", "Zoë".encode(), "application/json"),
        ("data", b"\x00", b"\x00", "application/json"),
        ("media", {"a": 1}, b'{"a":1}', "application/json"),
        ("media", "text", b'"text"', "application/json"),
        ("media", Point(1), b'{"x":1}', "application/json"),
        ("stream", [b"a", b"b"], b"ab", "application/json"),
    ],
)
@pytest.mark.parametrize("kind_given", ["", "text/x-own"])
def test_what_an_answer_may_be(app, browse, name, value, body, kind, kind_given):
    def on_get(req, resp):
        setattr(resp, name, iter(value) if name == "stream" else value)
        if kind_given and name != "media":
            resp.content_type = kind_given

    app.add_route("/", Resource(get=on_get))
    response = browse().get("/")
    assert (response.status_code, response.data) == (200, body)
    assert response.headers["Content-Type"] == (kind_given if name != "media" else "") or kind


@both_kinds
def test_status_headers_and_no_body(app, browse, responder):
    def on_post(req, resp):
        resp.status = falcon.HTTP_202
        resp.set_header("X-Own", 7)
        resp.location = "/elsewhere"
        resp.cache_control = "no-store"

    app.add_route("/", Resource(post=on_post, get=responder))
    response = browse().post("/")
    assert (response.status_code, response.data) == (202, b"")
    assert response.headers["X-Own"] == "7"
    assert response.headers["Location"] == "/elsewhere"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Length"] == "0"


def test_a_file_is_sent_and_closed(app, browse, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 200_000)
    files = []

    def on_get(req, resp):
        files.append(path.open("rb"))
        resp.set_stream(files[-1], 200_000)

    app.add_route("/", Resource(get=on_get))
    response = browse().get("/")
    assert (len(response.data), response.headers["Content-Length"]) == (200_000, "200000")
    assert browse().head("/").data == b""
    assert [file.closed for file in files] == [True, True]


def test_a_coroutine_streams_from_a_generator(app, browse):
    async def on_get(req, resp):
        async def pieces():
            for piece in (b"a", b"b"):
                await asyncio.sleep(0)
                yield piece

        resp.stream = pieces()

    app.add_route("/", Resource(get=on_get))
    assert browse().get("/").data == b"ab"


@pytest.mark.parametrize("name", ["body", "txt", "content"])
def test_an_answer_has_no_other_attributes(app, browse, name):
    refused = []

    def on_get(req, resp):
        with pytest.raises(AttributeError, match=f"no '{name}': its body is text, data") as found:
            setattr(resp, name, "text")
        refused.append(found)

    app.add_route("/", Resource(get=on_get))
    assert browse().get("/").status_code == 200
    assert refused


# Errors


@pytest.mark.parametrize(
    ("error", "headers", "media"),
    [
        (
            falcon.HTTPUnauthorized(challenges=["Basic", "Bearer"]),
            [("WWW-Authenticate", "Basic, Bearer")],
            {"title": "401 Unauthorized"},
        ),
        (
            falcon.HTTPUnauthorized(challenges="Basic", headers={"X-Own": "1"}),
            [("X-Own", "1"), ("WWW-Authenticate", "Basic")],
            {"title": "401 Unauthorized"},
        ),
        (
            falcon.HTTPServiceUnavailable(retry_after=0),
            [("Retry-After", "0")],
            {"title": "503 Service Unavailable"},
        ),
        (
            falcon.HTTPInternalServerError(href="/help", href_text="Help", code=7),
            [],
            {
                "title": "500 Internal Server Error",
                "code": 7,
                "link": {"text": "Help", "href": "/help", "rel": "help"},
            },
        ),
    ],
)
def test_what_an_error_may_be_given(error, headers, media):
    assert (error.headers, error.media) == (headers, media)


@pytest.mark.parametrize("name", ["challenge", "descripton", "text"])
def test_an_error_takes_nothing_else(name):
    with pytest.raises(TypeError, match=f"takes no '{name}'"):
        falcon.HTTPUnauthorized(**{name: "x"})


@pytest.mark.parametrize(
    ("raised", "status", "body"),
    [
        (falcon.HTTPNotFound, 404, {"title": "404 Not Found"}),
        (falcon.HTTPConflict(title="No"), 409, {"title": "No"}),
        (
            falcon.HTTPUnauthorized(description="Log in", headers={"WWW-Authenticate": "Basic"}),
            401,
            {"title": "401 Unauthorized", "description": "Log in"},
        ),
        (falcon.HTTPError(falcon.HTTP_410, code=7), 410, {"title": "410 Gone", "code": 7}),
        (ZeroDivisionError("secret"), 500, {"title": "500 Internal Server Error"}),
    ],
)
@pytest.mark.parametrize("accept", ["*/*", "text/html", "text/csv"])
def test_every_error_is_told_in_json(app, browse, raised, status, body, accept):
    async def on_get(req, resp):
        resp.content_type, resp.text = "text/plain", "half an answer"
        resp.set_header("X-Own", "stays")
        raise raised

    app.add_route("/", Resource(get=on_get))
    response = browse().get("/", headers={"Accept": accept})
    assert (response.status_code, response.json) == (status, body)
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Own"] == "stays"
    assert response.headers.get("WWW-Authenticate") == ("Basic" if status == 401 else None)


@both_kinds
def test_an_error_handler_answers_or_raises(app, browse, responder):
    class OwnError(Exception):
        pass

    class OtherError(OwnError):
        pass

    def plain(req, resp, error, params):
        resp.status = falcon.HTTP_200
        resp.media = [str(error), params]

    async def later(req, resp, error, params):
        await asyncio.sleep(0)
        raise falcon.HTTPConflict(description=str(error), headers={"X-Own": "1"})

    def on_get(req, resp, kind):
        raise {"own": OwnError, "other": OtherError}[kind]("what")

    app.add_error_handler(OwnError, plain)
    app.add_error_handler((OtherError, OSError), later)
    app.add_route("/{kind}", Resource(get=on_get))
    assert browse().get("/own").json == ["what", {"kind": "own"}]
    other = browse().get("/other")
    assert (other.status_code, other.json["description"]) == (409, "what")
    assert other.headers["X-Own"] == "1"


# Hooks


def test_hooks_see_request_answer_resource_and_fields(app, browse):
    seen = []

    def check(req, resp, resource, params, least):
        seen.append((type(resource).__name__, dict(params)))
        if params["id"] < least:
            raise falcon.HTTPForbidden
        params["doubled"] = params["id"] * 2

    async def sign(req, resp, resource, name):
        await asyncio.sleep(0)
        resp.set_header("X-Signed", name)

    @falcon.after(sign, name="ada")
    class Items:
        @falcon.before(check, 5)
        def on_get(self, req, resp, id, doubled=None):
            resp.media = {"doubled": doubled}

        @falcon.before(check, least=6)
        async def on_delete(self, req, resp, id, doubled=None):
            resp.media = {"gone": doubled}

    app.add_route("/{id:int}", Items())
    response = browse().get("/5")
    assert (response.json, response.headers["X-Signed"]) == ({"doubled": 10}, "ada")
    assert seen == [("Items", {"id": 5})]
    assert browse().delete("/5").status_code == 403
    assert browse().delete("/6").json == {"gone": 12}


def test_a_hook_of_a_class_without_responders_is_an_error():
    class Items:
        def get(self, req, resp):
            pass

    with pytest.raises(TypeError, match="Items has no responder"):
        falcon.before(print)(Items)


# Middleware


class Misspelt:
    def proces_request(self, req, resp):
        pass


class Starting:
    def process_request(self, req, resp):
        pass

    def process_startup(self, scope, event):
        pass


@pytest.mark.parametrize("one", [Misspelt(), Starting(), Misspelt, print, [Misspelt()]])
def test_middleware_that_would_not_be_called_is_an_error(app, one):
    with pytest.raises(TypeError, match="pass an object with some of"):
        app.add_middleware(one)


class Recording:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def process_request(self, req, resp):
        self.log.append(f"{self.name} in")
        if req.path == f"/{self.name}":
            resp.media = {"by": self.name}
            resp.complete = True
        if req.path == f"/{self.name}/refused":
            raise falcon.HTTPForbidden

    def process_resource(self, req, resp, resource, params):
        self.log.append(f"{self.name} found {type(resource).__name__} {sorted(params)}")

    def process_response(self, req, resp, resource, req_succeeded):
        self.log.append(f"{self.name} out {resource is not None} {req_succeeded} {resp.status}")
        resp.set_header(f"X-{self.name}", resp.content_type or "none")


class Awaiting(Recording):
    async def process_request(self, req, resp):
        await asyncio.sleep(0)
        super().process_request(req, resp)

    async def process_response(self, req, resp, resource, req_succeeded):
        await asyncio.sleep(0)
        super().process_response(req, resp, resource, req_succeeded)


@pytest.fixture(params=[Recording, Awaiting])
def log(app, request):
    """What two components of middleware saw, plain ones or coroutines."""
    found = []
    app.add_middleware([request.param("a", found), request.param("b", found)])
    return found


@both_kinds
def test_middleware_stands_around_every_request(app, browse, log, responder):
    app.add_route("/at/{id}", Resource(get=responder))
    response = browse().get("/at/7")
    assert response.json == {"id": "7"}
    assert response.headers["X-a"] == response.headers["X-b"] == "application/json"
    looked = ["a found Resource ['id']", "b found Resource ['id']"]
    assert log == ["a in", "b in", *looked, "b out True True 200", "a out True True 200"]
    log.clear()
    assert browse().get("/nothing").headers["X-a"] == "application/json"
    assert log == ["a in", "b in", "b out False False 404", "a out False False 404"]


def test_middleware_may_answer_or_refuse(app, browse, log):
    app.add_route("/b", Resource(get=told))
    assert browse().get("/b").json == {"by": "b"}
    assert log == ["a in", "b in", "b out False True 200", "a out False True 200"]
    log.clear()
    assert browse().get("/b/refused").json == {"title": "403 Forbidden"}
    assert log == ["a in", "b in", "a out False False 403"], "b was not through"


@both_kinds
def test_middleware_may_change_the_answer(app, browse, responder):
    class Envelope:
        def process_response(self, req, resp, resource, req_succeeded):
            resp.media = {"data": resp.media, "path": req.path}
            resp.status = falcon.HTTP_203

    app.add_middleware(Envelope())
    app.add_route("/{id}", Resource(get=responder))
    response = browse().get("/7")
    assert (response.status_code, response.json) == (203, {"data": {"id": "7"}, "path": "/7"})
    assert response.headers["Content-Length"] == str(len(response.data))
    assert browse().head("/7").data == b""


def test_middleware_leaves_alone_what_it_does_not_change(app, browse, log):
    async def on_get(req, resp):
        async def pieces():
            yield b"a"
            yield b"b"

        resp.stream = pieces()

    def on_put(req, resp):
        resp.media = {"secret": 7}
        abort(Response("gone", 410))

    app.add_route("/", Resource(get=on_get, put=on_put))
    assert browse().get("/").data == b"ab"
    response = browse().put("/")
    assert (response.status_code, response.text) == (410, "gone")


def test_context_is_shared_with_middleware(app, browse):
    class User:
        def process_request(self, req, resp):
            req.context.user = req.get_header("X-User")

    def on_get(req, resp):
        resp.media = [req.context.user]

    app.add_middleware(User())
    app.add_route("/", Resource(get=on_get))
    assert browse().get("/", headers={"X-User": "ada"}).json == ["ada"]


# Files


def test_files_without_a_fallback(app, browse, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    app.add_static_route("/files", tmp_path)
    assert browse().get("/files/a.txt").text == "a"
    assert browse().get("/files/b.txt").json == {"title": "404 Not Found"}


# Web sockets


def test_a_socket_of_bytes_media_and_fields(app):
    async def on_websocket(req, ws, room, *, limits):
        await ws.accept("v2")
        await ws.send_text(f"{room} {req.get_param('a')} {ws.subprotocols} {limits.message > 0}")
        await ws.send_data(await ws.receive_data())
        await ws.send_media({"got": await ws.receive_media()})
        await ws.receive_text()

    app.add_route("/{room}", Resource(websocket=on_websocket))
    with client(app).websocket("/tea?a=1", subprotocols=["v1", "v2"]) as socket:
        assert socket.receive() == "tea 1 ('v1', 'v2') True"
        assert socket.subprotocol == "v2"
        socket.send(b"\x00")
        assert socket.receive() == b"\x00"
        socket.send_json([1])
        assert socket.receive_json() == {"got": [1]}
        socket.send(b"no text")
        with pytest.raises(SocketClosed) as closed:
            socket.receive()
    assert closed.value.code == 1007


def test_a_socket_may_be_refused_before_it_is_accepted(app):
    async def refused(req, ws):
        await ws.close()

    async def raising(req, ws):
        raise falcon.HTTPUnauthorized

    app.add_route("/refused", Resource(websocket=refused))
    app.add_route("/raising", Resource(websocket=raising))
    for path, status in (("/refused", 403), ("/raising", 401), ("/nothing", 404)):
        with pytest.raises(SocketRefused) as found, client(app).websocket(path):
            pass
        assert found.value.status == status
        assert b'"title"' in found.value.body


def test_a_media_handler_of_ones_own(app, browse):
    class Shout:
        def serialize(self, media, content_type):
            return media.upper().encode()

        def deserialize(self, stream, content_type, content_length):
            return stream.read().decode().lower()

    def on_post(req, resp):
        resp.content_type = "text/shout"
        resp.media = req.media + "!"

    app.req_options.media_handlers["text/shout"] = Shout()
    app.resp_options.media_handlers["text/shout"] = Shout()
    app.add_route("/", Resource(post=on_post))
    response = browse().post("/", data="HellO", content_type="text/shout; a=b")
    assert (response.text, response.headers["Content-Type"]) == ("HELLO!", "text/shout")


def test_a_sink_answers_what_has_no_route(app, browse):
    def sink(req, resp, **values):
        resp.media = [req.method, req.path]

    app.add_route("/v1/known", Resource(get=told))
    app.add_sink(sink, "/v1")
    for path in ("/v1", "/v1/x", "/v1/x/y/"):
        for method in ("GET", "POST", "DELETE"):
            assert browse().open(path, method=method).json == [method, path]
    assert browse().get("/v1/known").json == {}
    assert browse().post("/v1/known").status_code == 405
    assert browse().get("/v10").status_code == 404


@pytest.mark.parametrize("accept", ["text/html", "image/png", "application/json"])
@pytest.mark.parametrize("header", [False, True])
def test_media_is_json_whatever_is_accepted(app, browse, accept, header):
    def on_get(req, resp):
        resp.media = {"a": 1}
        if header:
            resp.set_header("X-Own", "1")

    app.add_route("/", Resource(get=on_get))
    answer = browse().get("/", headers={"Accept": accept})
    assert (answer.status_code, answer.json) == (200, {"a": 1})


def test_an_empty_text_wins_over_media(app, browse):
    def on_get(req, resp):
        resp.text, resp.media = "", {"a": 1}

    app.add_route("/", Resource(get=on_get))
    assert browse().get("/").text == ""
