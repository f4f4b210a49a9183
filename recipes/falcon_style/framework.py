"""A small framework for HTTP APIs in the style of Falcon, put together from Framekit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property, partial, update_wrapper
from inspect import iscoroutinefunction
from io import BytesIO
from types import SimpleNamespace
from typing import Any, cast

from errors import *  # noqa: F403 - HTTP_200, HTTPNotFound and so on are this framework's names
from errors import HTTPError, HTTPInvalidParam

import kit
from kit.providers import naming
from kit.routes import SOCKET
from kit.waiting import alike, called

MEDIA_JSON, MEDIA_TEXT, MEDIA_HTML = "application/json", "text/plain", "text/html"
MEDIA_GIF, MEDIA_JPEG, MEDIA_PNG = "image/gif", "image/jpeg", "image/png"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
RESPONDERS = {**{method: f"on_{method.lower()}" for method in METHODS}, SOCKET: "on_websocket"}
WebSocketDisconnected = kit.SocketClosed


def _param(parse: Any) -> Any:
    def get(self: Request, name: str, required: bool = False, **options: Any) -> Any:
        given = self.kit.args if self.env.get("QUERY_STRING") else {}
        if name not in given and not required:
            return options.get("default")
        try:
            value = parse(given.get(name, ""))
        except ValueError:
            raise HTTPInvalidParam("It is missing, or cannot be read.", name) from None
        for key, sign, how in (("min_value", 1, "at least"), ("max_value", -1, "at most")):
            if options.get(key) is not None and value * sign < options[key] * sign:
                raise HTTPInvalidParam(f"The value must be {how} {options[key]}.", name)
        return value

    return get


class Request:
    """A request as Falcon shows it. What is not here is asked of the kernel's, which is `kit`."""

    context = cached_property(lambda self: SimpleNamespace())
    awaits, succeeded = False, True  # where a coroutine answers it awaits the body
    resource = path_values = cast(Any, None)

    def __init__(self, request: kit.Request, app: App) -> None:
        self.kit, self.app, self.env = request, app, request.environ

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kit, name)

    get_param, get_param_as_float = _param(str), _param(float)
    get_param_as_int = _param(lambda text: int(text if re.fullmatch(r"-?\d+", text) else ""))

    get_header = property(lambda self: self.kit.headers.get)
    auth = property(lambda self: self.get_header("Authorization"))
    bounded_stream = property(lambda self: self.stream)
    params = property(lambda r: {k: v if v[1:] else v[0] for k, v in r.kit.args.lists()})
    stream = cached_property(lambda self: self.kit.pieces() if self.awaits else self.kit.stream)

    def get_media(self) -> Any:
        """Return the data in the body, by its media type; a coroutine awaits it."""
        return self._read_later() if self.awaits else self._read()

    async def _read_later(self) -> Any:
        await self.kit.load()
        return self._read()

    def _read(self) -> Any:
        kind, body = self.content_type or MEDIA_JSON, self.kit.body
        if own := self.app.own_media.get(kind.partition(";")[0]):
            return own.deserialize(BytesIO(body), kind, len(body))
        return self.app.provided("negotiator").read(kind, body)

    media = property(get_media)


def _header(name: str) -> Any:
    return property(lambda self: self.headers.get(name), lambda self, v: self.set_header(name, v))


class Response:
    """An answer as Falcon shows it: of text, data, media and stream the first that there is."""

    context = cached_property(lambda self: SimpleNamespace())
    status: Any = 200
    text = data = media = stream = app = env = headers = cast(Any, None)
    complete = is_made = False
    content_type, content_length = _header("content-type"), _header("content-length")
    location, cache_control, etag = _header("location"), _header("cache-control"), _header("etag")

    def __init__(self, request: kit.Request, app: App) -> None:
        self.app, self.env, self.headers = app, request.environ, {}

    def __setattr__(self, name: str, value: Any) -> None:
        if not hasattr(Response, name):
            raise AttributeError(f"resp has no {name!r}: its body is text, data, media or stream")
        super().__setattr__(name, value)

    def set_header(self, name: str, value: Any) -> None:
        self.headers[name.lower()] = str(value)

    def set_stream(self, stream: Any, content_length: int) -> None:
        self.stream, self.content_length = stream, content_length

    def render_body(self) -> Any:
        """Return the bytes of the answer; None if it is empty, or a stream."""
        if self.text is not None:
            return self.text.encode()
        if self.data is not None or self.media is None:
            return self.data
        kind = self.headers.setdefault("content-type", MEDIA_JSON)
        if own := self.app.own_media.get(kind.partition(";")[0]):
            return own.serialize(self.media, kind)
        return self.app.provided("negotiator").reader(kind).dump(self.media)

    def made(self, sent: kit.Response | None = None) -> Any:
        """Return what the kernel makes an answer of: `sent`, if there is one, as it is by now."""
        code = self.status if type(self.status) is int else int(str(self.status)[:3])
        if sent is not None:
            sent.status_code = code
            if self.is_made and (body := self.render_body()) is not None:
                sent.data = body
            return sent
        self.is_made, is_plain = True, not (self.headers or self.app.own_media)
        if is_plain and type(self.media) in (dict, list) and self.text is self.data is None:
            self.env["HTTP_ACCEPT"] = MEDIA_JSON  # it is JSON unless a content type is set
            return self.media if code == 200 else (self.media, code)
        body = self.render_body()
        if body is None and self.stream is None:
            return None, code, {"content-length": "0", **self.headers}
        self.headers.setdefault("content-type", MEDIA_JSON)
        return self.stream if body is None else body, code, self.headers


def _hook(is_before: bool, action: Any, *args: Any, **named: Any) -> Any:
    def decorate(target: Any) -> Any:
        if isinstance(target, type):
            found = [name for name in dir(target) if re.match("on_(?!websocket)", name)]
            for name in found:
                setattr(target, name, decorate(getattr(target, name)))
            if not found:
                raise TypeError(f"{target.__name__} has no responder, such as on_get, for a hook")
            return target

        async def steps(self: Any, req: Request, resp: Response, **params: Any) -> None:
            if is_before:
                await called(action, req, resp, self, params, *args, **named)
            await called(target, self, req, resp, **params)
            if not is_before:
                await called(action, req, resp, self, *args, **named)

        return update_wrapper(alike(target, steps), target)

    return decorate


class WebSocket:
    """A web socket as Falcon shows it; at its end it raises `WebSocketDisconnected`."""

    closed = property(lambda self: self.kit.code is not None)

    def __init__(self, socket: kit.Socket) -> None:
        self.kit, self.accept, self.subprotocols = socket, socket.accept, socket.offered
        self.send_text = self.send_data = socket.send
        self.send_media, self.receive_media = socket.send_json, socket.json
        self.receive_text, self.receive_data = partial(self._next, str), partial(self._next, bytes)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it; one that is not accepted yet is refused."""
        if not self.kit.accepted:
            kit.abort(403, reason or None)
        await self.kit.close(code, reason)

    async def _next(self, kind: type) -> Any:
        message = await self.kit.receive()
        if not isinstance(message, kind):
            kit.abort(400, f"Send {kind.__name__}.")
        return message


def _shown(req: Request, resp: Response, error: Any, params: Any) -> None:
    if not isinstance(error, HTTPError):
        told = getattr(error, "description", None) or str(error) or None
        is_stock = told == getattr(type(error), "description", None)
        error = HTTPError(resp.status, description=None if is_stock or resp.status >= 500 else told)
    resp.media = error.media


class App(kit.App):
    """The application: `config` is the path of its config file, or a mapping of that shape."""

    def __init__(self, config: Any = "kit.toml", *, middleware: Any = ()) -> None:
        super().__init__(config)
        self.own_media: dict[str, Any] = {}
        self.req_options = self.resp_options = SimpleNamespace(media_handlers=self.own_media)
        self.listeners: dict[str, list[Any]] = {"resource": [], "request_ws": [], "resource_ws": []}
        self.add_error_handler(Exception, _shown)
        self.add_middleware(middleware)

    def _exchange(self, request: kit.Request) -> Any:
        both = request.environ.get("falcon") or (Request(request, self), Response(request, self))
        request.environ["falcon"] = both
        return both

    def add_route(self, template: str, resource: Any, *, suffix: str = "", **options: Any) -> None:
        """Let ``on_get`` and so on of a resource answer; `options` are those of a route."""
        pattern = re.sub(r"{(\w+)(?::(\w+))?}", lambda m: f"<{m[2] or 'str'}:{m[1]}>", template)
        if set(pattern) & set("{}"):
            raise ValueError(f"{template!r}: a field is {{name}} or {{name:converter}}")
        if isinstance(resource, type):
            raise TypeError(f"pass an instance: {resource.__name__}()")
        count = len(self.routes)
        for method, name in RESPONDERS.items():
            if responder := getattr(resource, name + (suffix and f"_{suffix}"), None):
                declare = self.route(pattern, (method,), **{"name": template, **options})
                make = self._talking if method == SOCKET else self._answering
                declare(make(responder, resource))
        if len(self.routes) == count:
            raise ValueError(f"{type(resource).__name__} has no responder for {template}")

    def _answering(self, responder: Any, resource: Any = None) -> Any:
        async def steps(request: kit.Request, **params: Any) -> Any:
            req, resp = self._exchange(request)
            req.resource, req.path_values, req.awaits = resource, params, awaits
            for listener in listeners if resource is not None else ():
                await called(listener, req, resp, resource, params)
            running = None if resp.complete else responder(req, resp, **params)
            if awaits and running:
                await running
            return resp.made()

        awaits, listeners = iscoroutinefunction(responder), self.listeners["resource"]
        return naming("request", of=responder, skip=2)(alike(responder, steps))

    def _talking(self, responder: Any, resource: Any) -> Any:
        async def talk(request: kit.Request, socket: kit.Socket, **params: Any) -> None:
            req, ws = Request(request, self), WebSocket(socket)
            steps = [partial(one, req, ws) for one in self.listeners["request_ws"]]
            steps += [partial(o, req, ws, resource, params) for o in self.listeners["resource_ws"]]
            for step in (*steps, partial(responder, req, ws, **params)):
                if not ws.closed:
                    await step()

        return naming("request", "socket", of=responder, skip=2)(talk)

    def add_sink(self, sink: Any, prefix: str = "/") -> None:
        """Let a function of (req, resp, **kwargs) answer what has no route below a prefix."""
        root = prefix.rstrip("/")
        for pattern in (root or "/", f"{root}/<path:rest>", f"{root}/<path:rest>/"):
            self.route(pattern, METHODS, name=f"sink {pattern}")(self._answering(sink))

    def add_static_route(self, prefix: str, directory: Any, fallback_filename: str = "") -> None:
        """Serve the files of a folder, and in place of those that are not there the fallback."""
        self.static(prefix.rstrip("/"), directory, fallback=fallback_filename, name=prefix + "*")

    def add_middleware(self, middleware: Any) -> None:
        """Add a component with ``process_request`` and so on, or several, the outermost first."""
        known = {f"process_{event}" for event in (*self.listeners, "request", "response")}
        for one in middleware if isinstance(middleware, Iterable) else (middleware,):
            found = {name for name in dir(one) if name.startswith("process_")}
            if isinstance(one, type) or not found or found - known:
                raise TypeError(f"{one!r}: pass an object with some of {sorted(known)}, no others")
            for event, heard in self.listeners.items():
                heard += filter(None, [getattr(one, f"process_{event}", None)])
            first, last = (getattr(one, f"process_{x}", None) for x in ("request", "response"))
            if first or last:
                self.around(self._layer(first, last))

    def _layer(self, first: Any, last: Any) -> Any:
        async def steps(request: kit.Request, proceed: Any) -> Any:
            req, resp = self._exchange(request)
            if first:
                await called(first, req, resp)
            sent = None if resp.complete else await called(proceed)
            if sent is not None:
                resp.status, resp.headers = sent.status_code, sent.headers
            if last:
                await called(last, req, resp, req.resource, req.succeeded)
            return resp.made(sent)

        return alike(first if iscoroutinefunction(first) else last, steps)

    def add_error_handler(self, kinds: Any, handler: Any) -> None:
        """Let a function of (req, resp, error, params) answer for classes of exceptions."""

        async def steps(request: kit.Request, error: Exception, status: int) -> Any:
            req, resp = self._exchange(request)
            req.succeeded = False
            resp.status, resp.text, resp.data, resp.media, resp.stream = status, *[None] * 4
            kept = {k: v for k, v in resp.headers.items() if not k.lower().startswith("content-")}
            resp.headers = {**kept, "content-type": MEDIA_JSON}
            try:
                await called(handler, req, resp, error, req.path_values)
            except HTTPError as other:
                resp.status, resp.media = other.status, other.media
                resp.headers |= () if other is error else other.headers
            return resp.made()

        self.error(*(kinds if isinstance(kinds, tuple) else (kinds,)))(alike(handler, steps))


before, after = partial(_hook, True), partial(_hook, False)
