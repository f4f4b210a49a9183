"""A small async framework in the style of Sanic, put together from Framekit."""

from __future__ import annotations

import inspect
import re
from asyncio import CancelledError
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial, partialmethod
from json import dumps
from types import SimpleNamespace, coroutine
from typing import Any, NamedTuple, TypeVar

import kit
from kit import App, Converter, KitError, Response, Routes, Socket, abort, wait
from kit.jsons import loads
from kit.plugins import plugin_of
from kit.providers import naming
from kit.routes import SOCKET, Route

F = TypeVar("F", bound=Callable[..., Any])
TEXT = "text/plain; charset=utf-8"
FLOAT = r"-?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

text = partial(Response, content_type=TEXT)
html = partial(Response, content_type="text/html; charset=utf-8")
empty = partial(Response, b"", 204)
redirect = partial(kit.redirect, status=302)


def json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(dumps(body), status, headers, content_type="application/json")


class ServerError(KitError):
    """Something went wrong on this side: 500."""


class RequestParameters(dict[str, list[str]]):
    """The values of a form or query by name; ``get`` gives the first one."""

    def get(self, name: str, default: Any = None) -> Any:
        return self[name][0] if name in self else default


class Request:
    """A request as Sanic shows it. What is not here is asked of the kernel's, which is `kit`."""

    def __init__(self, request: kit.Request, app: Sanic) -> None:
        self.kit = request
        self.app = app
        self.ctx: SimpleNamespace = request.environ.setdefault("sanic.ctx", SimpleNamespace())
        self.stream = SimpleNamespace(read=partial(anext, request.pieces(), None))
        self.response: ResponseStream | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kit, name)

    @property
    def json(self) -> Any:
        """The JSON of the body, whatever type it says; 400 for anything else."""
        try:
            return loads(self.kit.body)
        except ValueError as error:
            abort(400, f"The body is not valid JSON: {error}")

    @property
    def form(self) -> RequestParameters:
        return RequestParameters(self.kit.form.lists())

    @property
    def args(self) -> RequestParameters:
        return RequestParameters(self.kit.args.lists())

    @property
    def query_string(self) -> str:
        return str(self.kit.environ.get("QUERY_STRING", ""))

    @property
    def url(self) -> str:
        return self.kit.base_url + (f"?{self.query_string}" if self.query_string else "")

    @property
    def token(self) -> str:
        """What follows ``Bearer`` in the header Authorization."""
        scheme, _, token = self.kit.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    async def respond(self, status: int = 200, **options: Any) -> ResponseStream:
        """Begin an answer that is sent in pieces; the handler returns nothing then."""
        self.response = ResponseStream(None, status, **{"content_type": TEXT, **options})
        return self.response


def stream(handler: F) -> F:
    """Mark a handler that reads ``request.stream``; for others the body is read before."""
    handler.is_stream = True  # type: ignore[attr-defined]  # a mark
    return handler


class _Sent(NamedTuple):
    piece: str | bytes


class ResponseStream(Response):
    """An answer that is sent in pieces: its status and headers go out with the first one.

    The handler is a coroutine, and the kernel takes pieces from a generator: see `_pieces`.
    """

    @coroutine
    def send(self, piece: str | bytes) -> Generator[_Sent, None, None]:
        """Send a piece, and go on when the client takes more."""
        yield _Sent(piece)


@coroutine
def _until_sent(
    running: Coroutine[Any, Any, Any], error: BaseException | None = None
) -> Generator[Any, Any, Any]:
    """Let a handler go on to the next piece that it sends, and return that, or its result."""
    step = partial(running.throw, error) if error else partial(running.send, None)
    while True:
        try:
            waited = step()
        except StopIteration as end:
            return end.value
        if isinstance(waited, _Sent):
            return waited
        try:
            step = partial(running.send, (yield waited))
        except BaseException as raised:
            step = partial(running.throw, raised)


async def _pieces(running: Coroutine[Any, Any, Any], sent: Any) -> AsyncIterator[str | bytes]:
    """Yield what a handler sends; where the client leaves, the handler is cancelled."""
    try:
        while isinstance(sent, _Sent):
            yield sent.piece
            sent = await _until_sent(running)
    except GeneratorExit:
        with suppress(CancelledError):
            await _until_sent(running, CancelledError())
        raise


class Websocket:
    """A web socket as Sanic shows it; the handshake is answered with the first message."""

    def __init__(self, socket: Socket) -> None:
        self.kit = socket
        self.send, self.recv, self.close = socket.send, socket.receive, socket.close

    def __aiter__(self) -> Socket:
        return self.kit


def _awaited(handler: Callable[..., Any]) -> Any:
    async def answer(*, app: Sanic, request: kit.Request, **values: Any) -> Any:
        first: list[Any] = [mine := Request(request, app)]
        if socket := values.pop("socket", None):
            first.append(Websocket(socket))
        elif not getattr(handler, "is_stream", False):
            await request.load()
        if (early := await app.ask_first(mine)) is not None:
            return abort(early.status_code) if socket else early
        sent = await _until_sent(running := handler(*first, **values))
        if mine.response is None:
            return sent
        return _pieces(running, sent), mine.response.status_code, mine.response.headers

    return answer


def _plain(handler: Callable[..., Any]) -> Any:
    def answer(*, app: Sanic, request: kit.Request, **values: Any) -> Any:
        mine = Request(request, app)
        early = wait(app.ask_first(mine)) if app.hooks["request"] else None
        return handler(mine, **values) if early is None else early

    return answer


@cache
def _adapted(handler: Callable[..., Any], *names: str) -> Any:
    """Return what the kernel calls: it names `names`, and not the first parameters."""
    make = _awaited if inspect.iscoroutinefunction(handler) else _plain
    return naming(*names, of=handler, skip=len(names) - 1)(make(handler))


class HTTPMethodView:
    """A class-based view: its methods ``get``, ``post`` and so on answer these methods."""

    @classmethod
    def as_view(cls, *args: Any, **values: Any) -> HTTPMethodView:
        """Return a view for `Router.add_route`: one object for all requests."""
        return cls(*args, **values)


class Router(Routes):
    """What an application and a blueprint have in common."""

    def route(self, pattern: Any, methods: Any = ("GET",), **options: Any) -> Callable[[F], F]:
        """Declare a handler for a pattern in Sanic's grammar: ``/posts/<post_id:int>``."""
        declare = super().route(re.sub(r"<(\w+):(\w+)>", r"<\2:\1>", pattern), methods, **options)
        names = ("app", "request", "socket") if SOCKET in methods else ("app", "request")

        def add(handler: F) -> F:
            declare(_adapted(handler, *names))
            return handler

        return add

    def add_route(self, handler: Any, pattern: str, **options: Any) -> None:
        """Declare a handler for GET, or each method that a class-based view has."""
        is_view = isinstance(handler, HTTPMethodView)
        options.setdefault("name", type(handler).__name__ if is_view else handler.__name__)
        for method in METHODS if is_view else ("GET",):
            if one := getattr(handler, method.lower(), None) if is_view else handler:
                self.route(pattern, (method,), **options)(one)


class Blueprint(Router):
    """Routes, or a group of blueprints, to be registered by `Sanic.blueprint`."""

    def __init__(self, name: str, url_prefix: str = "", version: Any = None, *inner: Any) -> None:
        super().__init__(url_prefix, name)
        self.version, self.inner = version, inner

    @classmethod
    def group(cls, *inner: Blueprint, url_prefix: str = "", version: Any = None) -> Blueprint:
        return cls("", url_prefix, version, *inner)

    def placed(self, prefix: str, version: Any = None) -> Iterable[Route]:
        """Yield all routes below a prefix, and in front of that the innermost version."""
        version = self.version or version
        for route in self.routes:
            start = f"/v{version}" if version else ""
            yield replace(route, pattern=f"{start}{prefix}{route.text}")
        for one in self.inner:
            yield from one.placed(prefix + self.prefix, version)


class Sanic(Router, App):
    """The application: `config` is the path of its ``kit.toml``, or a mapping of that shape."""

    def __init__(self, name: str, config: Any = "kit.toml") -> None:
        start, stop = (lambda app: app.tell("start")), (lambda app: app.tell("stop"))
        App.__init__(self, config, plugins={"sanic": plugin_of(kit_start=start, kit_stop=stop)})
        self.name, self.ctx = name, SimpleNamespace()
        self.hooks: dict[str, list[Any]] = {"request": [], "response": [], "start": [], "stop": []}
        self.converters["int"] = Converter("-?[0-9]{1,18}", int)
        self.converters["float"] = Converter(FLOAT, float)

    def _hook(self, event: str, function: F) -> F:
        self.hooks[event].append(function)
        return function

    on_request = partialmethod(_hook, "request")
    before_server_start = partialmethod(_hook, "start")
    after_server_stop = partialmethod(_hook, "stop")

    def on_response(self, function: F) -> F:
        """Let a function see every answer last; what it returns takes the place of the answer."""
        if not self.hooks["response"]:
            self.around(self._amended)
        return self._hook("response", function)

    def blueprint(self, blueprint: Blueprint, url_prefix: str = "") -> None:
        """Register the routes of a blueprint, or of a group of them."""
        found = Routes()
        found.routes.extend(blueprint.placed(url_prefix))
        self.include(found)

    def url_for(self, name: str, /, **values: Any) -> str:
        """Build the URL of a handler by its name, with or without that of the application."""
        own = f"{self.name}."
        return super().url_for(name if name.startswith(own) else own + name, **values)

    def exception(self, *kinds: type[BaseException]) -> Callable[[F], F]:
        """Let a function of the request and the exception answer for classes of exceptions."""

        def add(handler: F) -> F:
            @self.error(*kinds)
            async def answer(app: Sanic, request: kit.Request, error: Exception) -> Any:
                return await _result(handler(Request(request, app), error))

            return handler

        return add

    def tell(self, event: str) -> None:
        for one in self.hooks[event]:
            wait(_result(one(self)))

    async def ask_first(self, request: Request) -> Any:
        for one in self.hooks["request"]:
            if (answer := await _result(one(request))) is not None:
                return answer

    async def _amended(self, request: kit.Request, proceed: Any) -> Any:
        response = await proceed()
        for one in self.hooks["response"]:
            response = await _result(one(Request(request, self), response)) or response
        return response


async def _result(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
