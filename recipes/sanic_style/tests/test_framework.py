"""What the framework does, where the tour does not show it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from framework import Blueprint, HTTPMethodView, Sanic, empty, html, json, text

from kit.testing import SocketRefused, client

CONFIG = Path(__file__).parents[1] / "kit.toml"


@pytest.fixture
def app():
    made = Sanic("own", CONFIG)
    yield made
    made.stop()


@pytest.fixture(params=["wsgi", "asgi"])
def browse(app, request):
    """Return a function that makes a client, once all is declared."""
    return lambda: client(app, gateway=request.param)


def test_a_middleware_may_answer_in_place_of_the_handler(app, browse):
    @app.on_request
    async def closed(request):
        await asyncio.sleep(0)
        if "closed" in request.args:
            return text("closed", 503)

    @app.get("/awaited")
    async def awaited(request):
        return text("open")

    @app.get("/plain")
    def plain(request):
        return text("open")

    for path in ("/awaited", "/plain"):
        assert browse().get(path).text == "open"
        assert (browse().get(f"{path}?closed").status_code) == 503


def test_a_middleware_may_refuse_a_web_socket(app):
    @app.on_request
    def closed(request):
        return text("closed", 503)

    @app.websocket("/")
    async def talk(request, ws):
        await ws.send("open")

    with pytest.raises(SocketRefused) as refused, client(app).websocket("/"):
        pass
    assert refused.value.status == 503


def test_a_response_middleware_sees_request_and_answer(app, browse):
    @app.on_request
    def number(request):
        request.ctx.number = 7

    @app.on_response
    def amend(request, response):
        response.headers["X-Seen"] = f"{request.path} {request.ctx.number} {response.status_code}"
        response.status_code = 299

    @app.get("/")
    async def page(request):
        return html("<p>hello</p>", headers={"Set-Cookie": "a=b"})

    response = browse().get("/")
    assert (response.status_code, response.text) == (299, "<p>hello</p>")
    assert response.headers["X-Seen"] == "/ 7 200"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Set-Cookie"] == "a=b"


def test_an_answer_without_a_body_stays_one(app, browse):
    @app.get("/")
    async def nothing(request):
        return empty()

    response = browse().get("/")
    assert (response.status_code, response.data) == (204, b"")
    assert not {"Content-Type", "Content-Length"} & {*response.headers.keys()}


def test_listeners_are_called_at_start_and_stop(app):
    heard = []

    @app.before_server_start
    async def begin(app):
        await asyncio.sleep(0)
        heard.append("start")

    @app.after_server_stop
    def end(app):
        heard.append("stop")

    app.start()
    assert heard == ["start"]
    app.stop()
    assert heard == ["start", "stop"]


def test_a_handler_is_cancelled_when_the_client_leaves_its_stream(app, browse):
    ended = threading.Event()

    @app.get("/")
    async def endless(request):
        response = await request.respond(status=201, headers={"X-Own": "yes"})
        try:
            while True:
                await response.send("more")
                await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)
            ended.set()

    response = browse().get("/")
    assert (response.status_code, response.headers["X-Own"]) == (201, "yes")
    assert next(response.iter_encoded()) == b"more"
    response.close()
    assert ended.wait(10)


def test_a_stream_that_fails_is_broken_off(app, browse):
    @app.get("/")
    async def failing(request):
        response = await request.respond()
        await response.send("some")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        browse().get("/").get_data()


def test_what_fails_before_the_first_piece_is_an_error_page(app, browse, caplog):
    @app.get("/")
    async def failing(request):
        await request.respond()
        raise ValueError("nothing at all")

    assert browse().get("/").status_code == 500


def test_a_stream_may_have_no_pieces(app, browse):
    @app.get("/")
    async def silent(request):
        await request.respond(content_type="text/csv")

    response = browse().get("/")
    assert (response.status_code, response.data, response.mimetype) == (200, b"", "text/csv")


def test_handlers_name_providers_behind_the_request(app, browse):
    @app.provider
    def greeting():
        return "hello"

    @app.get("/<name>/<number:int>")
    async def awaited(request, name, greeting, number=1, **others):
        return json([greeting, name, number, others])

    class View(HTTPMethodView):
        def get(self, _, greeting):
            return text(greeting)

    app.add_route(View.as_view(), "/view")
    assert browse().get("/ada/-3").json == ["hello", "ada", -3, {}]
    assert browse().get("/view").text == "hello"


def test_blueprints_nest(app, browse):
    inner = Blueprint("inner", "/inner")
    versioned = Blueprint("versioned", "/versioned", version=3)
    for blueprint in (inner, versioned):
        blueprint.add_route(lambda request: text(request.path), "/x", name="x")
    group = Blueprint.group(
        Blueprint.group(inner, versioned, url_prefix="/b"), url_prefix="/a", version=1
    )
    app.blueprint(group, url_prefix="/all")
    for path in ("/v1/all/a/b/inner/x", "/v3/all/a/b/versioned/x"):
        assert browse().get(path).text == path
    assert app.url_for("inner.x") == "/v1/all/a/b/inner/x"


def test_a_response_middleware_may_wait_and_may_give_another_answer(app, browse):
    @app.on_response
    async def other(request, response):
        await asyncio.sleep(0)
        return text("other") if request.path == "/nothing" else None

    @app.get("/")
    async def page(request):
        return text("page")

    assert [browse().get(path).text for path in ("/", "/nothing")] == ["page", "other"]


def test_an_exception_may_be_answered_with_any_status(app, browse):
    app.exception(LookupError)(lambda request, error: text("fine"))

    @app.get("/")
    async def fail(request):
        raise LookupError

    answer = browse().get("/")
    assert (answer.status_code, answer.text) == (200, "fine")
