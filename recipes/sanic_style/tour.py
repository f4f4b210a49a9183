"""A tour of the framework: what Sanic's examples and guide show, and a chat.

From top to bottom: pages, views, request data, errors and access, blueprints, streams, web sockets.
"""

from __future__ import annotations

import asyncio
import os
from functools import wraps
from pathlib import Path

from framework import (
    Blueprint,
    HTTPMethodView,
    Sanic,
    ServerError,
    json,
    redirect,
    stream,
    text,
)

from kit import send_file

FOLDER = Path(__file__).parent
ANY_SIZE = {"body": "1000 GiB"}

app = Sanic("tour", FOLDER / "kit.toml")


@app.before_server_start
async def remember_the_worker(app):
    app.ctx.worker = os.getpid()


@app.on_request
async def add_number(request):
    request.ctx.num = 0


@app.on_response
async def add_served_by(request, response):
    response.headers["X-Served-By"] = "sanic"


# Pages and files

app.static("/static", FOLDER / "static")


@app.get("/")
async def index(request):
    return redirect("/index.html")


@app.get("/index.html")
def index_page(request):
    return send_file(FOLDER / "static" / "index.html", request=request.kit)


@app.get("/chat.html")
def chat_page(request):
    return send_file(FOLDER / "static" / "chat.html", request=request.kit)


@app.get("/first_post")
async def first_post(request):
    return redirect(app.url_for("post", post_id=5))


@app.get("/posts/<post_id>")
async def post(request, post_id):
    return text(f"Post - {post_id}")


@app.get("/teapot")
async def teapot(request):
    return text("I'm a teapot", 418)


# Views


class SimpleView(HTTPMethodView):
    def get(self, request):
        return text("I am get method")

    def post(self, request):
        return text("I am post method")

    def put(self, request):
        return text("I am put method")

    def patch(self, request):
        return text("I am patch method")

    def delete(self, request):
        return text("I am delete method")


class AsyncView(HTTPMethodView):
    async def get(self, request):
        return text("I am async get method")

    async def post(self, request):
        return text("I am async post method")

    async def put(self, request):
        return text("I am async put method")


app.add_route(SimpleView.as_view(), "/simple")
app.add_route(AsyncView.as_view(), "/async")


@app.route("/sync", methods=["GET", "POST"])
def sync(request):
    return json({"test": True})


@app.get("/dynamic/<name>/<i:int>")
async def dynamic(request, name, i):
    return text(f"yeehaww {name} {i}")


# Request data


@app.post("/json")
async def post_json(request):
    return json({"received": True, "message": request.json})


@app.post("/form")
async def post_form(request):
    form = request.form
    return json({"received": True, "form_data": form, "test": form.get("test")})


@app.get("/query_string")
async def query_string(request):
    return json(
        {
            "parsed": True,
            "args": request.args,
            "url": request.url,
            "query_string": request.query_string,
        }
    )


# Errors, middleware, access


@app.get("/exception")
async def fail(request):
    raise ServerError("It's dead jim")


@app.exception(ServerError)
async def server_error(request, error):
    return json({"exception": str(error), "status": error.status}, error.status)


@app.get("/key_exist")
async def key_exist(request):
    return text("num exist in request" if hasattr(request.ctx, "num") else "num does not exist")


def protected(handler):
    """Let only those in who show a token of `/login`."""

    @wraps(handler)
    async def guarded(request, *args, **values):
        if app.provided("tokens").read("login", request.token) is None:
            return text("You are unauthorized.", 401, {"WWW-Authenticate": "Bearer"})
        return await handler(request, *args, **values)

    return guarded


@app.post("/login")
async def login(request, tokens):
    return text(tokens.sign("login", {"name": "guest"}, lifetime=30 * 60))


@app.get("/secret")
@protected
async def secret(request):
    return text("To go fast, you must be fast.")


# Blueprints

blueprint = Blueprint("my_blueprint", url_prefix="/my_blueprint")
blueprint2 = Blueprint("my_blueprint2", url_prefix="/my_blueprint2")
ultron = Blueprint("ultron", url_prefix="/ultron")
vision = Blueprint("vision", url_prefix="/vision")
vision2 = Blueprint("vision2", url_prefix="/vision", version=2)


@blueprint.get("/foo")
async def foo(request):
    return json({"msg": "hi from blueprint"})


@blueprint2.get("/foo")
async def foo2(request):
    return json({"msg": "hi from blueprint2"})


@ultron.get("/name")
async def ultron_name(request):
    return json({"name": "Ultron"})


@vision.get("/name")
async def vision_name(request):
    return json({"name": "vision"})


@vision2.get("/name")
async def vision2_name(request):
    return json({"name": "new vision"})


# Streams

streams = Blueprint("streams")


@app.get("/csv")
async def csv(request):
    response = await request.respond(content_type="text/csv")
    await response.send("foo,")
    await response.send("bar")


@app.get("/ticks/<n:int>")
async def ticks(request, n):
    response = await request.respond()
    for number in range(1, n + 1):
        await response.send(f"tick {number}\n")
        await asyncio.sleep(0.2)


@app.post("/stream", limits=ANY_SIZE)
@stream
async def echo_while_it_comes(request):
    response = await request.respond()
    while (piece := await request.stream.read()) is not None:
        await response.send(piece.replace(b"1", b"A"))


@streams.put("/bp_stream", limits={"body": "100 MiB"})
@stream
async def read_all(request):
    result = bytearray()
    while (piece := await request.stream.read()) is not None:
        result += piece.replace(b"1", b"A")
    return text(bytes(result))


class StreamView(HTTPMethodView):
    @stream
    async def post(self, request):
        response = await request.respond()
        while (piece := await request.stream.read()) is not None:
            await response.send(piece)


app.add_route(StreamView.as_view(), "/method_view", limits=ANY_SIZE)


@app.get("/sleep/<t:float>")
async def sleep(request, t):
    await asyncio.sleep(t)
    return text(f"Slept {t:.1f} seconds.\n")


# Web sockets


@app.websocket("/feed")
async def feed(request, ws):
    while True:
        await ws.send("hello!")
        await ws.recv()


@app.websocket("/echo")
async def echo(request, ws):
    async for message in ws:
        await ws.send(message)


@app.websocket("/chat/<room>")
async def chat(request, ws, room, channels):
    """Tell everybody in a room what is said there, in whichever worker they are.

    Who asks for the subprotocol ``worker``, as our page does, is told first which one this is.
    """
    async with channels.subscribe(f"chat.{room}") as messages:
        if await ws.kit.accept("worker"):
            await ws.send(f"worker {app.ctx.worker}")
        async with ws.kit.relaying(messages):
            async for message in ws:
                await channels.publish(f"chat.{room}", message)


app.blueprint(blueprint)
app.blueprint(blueprint2)
app.blueprint(streams)
app.blueprint(Blueprint.group(ultron, vision, vision2, url_prefix="/sentient/robot", version=1))
