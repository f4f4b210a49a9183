"""A framework in the style of Bottle, put together from Framekit."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import Context, ContextVar, copy_context
from functools import cache, cached_property, partial, update_wrapper
from inspect import Signature, isgenerator, signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn
from urllib.parse import quote

from werkzeug.datastructures import MultiDict
from werkzeug.local import LocalProxy

import kit
from kit import App, Converter, KitError, provider
from kit.cli import run as development
from kit.plugins import plugin_of
from kit.providers import naming
from kit.routes import RouteOptions

CONFIG = Path(__file__).with_name("kit.toml")
OUTSIDE = "Working outside of request context: this is for callbacks, and for what they call."
RULE = re.compile(r"<(\w+)(?::(\w*)(?::((?:\\.|[^\\>])+))?)?>")  # <name:filter:configuration>
FILTERS: dict[str, Callable[[str], tuple[str, Any, Any]]] = {
    "re": lambda regex: (re.sub(r"(?<!\\)\((?:\?P<\w+>|(?!\?))", "(?:", regex), None, str),
    "int": lambda _: ("-?[0-9]+", int, str),
    "float": lambda _: ("-?[0-9.]+", float, str),
}
LISTS = {"query": "args", "forms": "form", "params": "args form", "POST": "form files"}
LISTS |= {"files": "files", "cookies": "cookies"}  # Bottle's names, and those of the kernel


class FormsDict(MultiDict[str, Any]):
    """Values by name; as an attribute a missing one is an empty text."""

    getall = MultiDict.getlist

    def __getattr__(self, name: str) -> Any:
        return self.get(name, "")


class HTTPResponse(kit.Response, Exception):  # noqa: N818 - Bottle's name
    """An answer that a callback returns or raises; what it has stored is kept."""

    default_mimetype = "text/html"

    def __init__(self, body: Any = "", status: Any = 200, headers: Any = None) -> None:
        super().__init__(body, status, headers)

    set_header = property(lambda self: self.headers.set)
    add_header = property(lambda self: self.headers.add)


class HTTPError(KitError):
    """An error that a callback returns or raises: its page comes, and nothing is stored."""

    def __init__(self, status: int = 500, body: str = "", exception: Any = None, headers: Any = ()):
        super().__init__(body)
        self.status = self.status_code = status
        self.body, self.exception, self.headers = body, exception, dict(headers).items()


class Request(SimpleNamespace):
    """The request that is being answered. What is not here is asked of the kernel's, `kit`."""

    kit: Any
    get_header = property(lambda self: self.kit.headers.get)
    get_cookie = property(lambda self: self.kit.cookies.get)
    json = property(lambda self: self.kit.json if self.kit.is_json else None)

    def __getattr__(self, name: str) -> Any:
        if name in LISTS:
            sources = [getattr(self.kit, one) for one in LISTS[name].split()]
            return FormsDict([pair for one in sources for pair in one.items(multi=True)])
        return getattr(self.kit, name)

    @cached_property
    def response(self) -> HTTPResponse:
        """What `response` leads to: it goes out with what the callback returns."""
        begun = HTTPResponse(None)
        del begun.headers["Content-Type"]
        return begun

    def during(self, function: Callable[..., Any], *args: Any, **values: Any) -> Any:
        """Call a function while `request` leads here; return what it returns or raises."""
        token = _current.set(self)
        try:
            result = function(*args, **values)
            return _pieces(result, copy_context()) if isgenerator(result) else result
        except HTTPResponse as answer:
            return answer
        finally:
            _current.reset(token)

    def answer(self, function: Callable[..., Any], *args: Any, **values: Any) -> Any:
        """Call a callback, and return what the kernel is to answer with."""
        result = self.during(function, *args, **values)
        if isinstance(result, HTTPError):
            raise result
        if isinstance(result, kit.Response):
            return result
        if not result and not isinstance(result, dict):
            result = ""
        elif isinstance(result, list) and isinstance(result[0], (str, bytes)):
            result = type(result[0])().join(result)
        begun = vars(self).pop("response", None)
        return result if begun is None else (result, begun.status_code, begun.headers)


def _pieces(generator: Any, context: Context) -> Iterator[Any]:
    """Yield what a generator yields; while it works, `request` leads where it did before."""
    try:
        yield from iter(partial(context.run, next, generator, None), None)
    finally:
        context.run(generator.close)


_current: ContextVar[Request] = ContextVar("bottle")
request: Any = LocalProxy(_current, unbound_message=OUTSIDE)
response: Any = LocalProxy(_current, "response", unbound_message=OUTSIDE)


@provider(name="bottle", inline=True)
def current(app: Any, request: kit.Request) -> Request:
    """What `request` leads to; every callback gets it."""
    found: Request = request.environ.setdefault("bottle.request", Request(app=app))
    found.kit = request
    return found


def abort(code: int = 500, text: str = "Unknown Error.") -> NoReturn:
    """End the request with an error page; what it has stored is undone."""
    raise HTTPError(code, text)


def redirect(url: str, code: int = 303, *, external: bool = False) -> NoReturn:
    """End the request with a redirect to a path of this site; what it has stored is kept."""
    location = kit.redirect(url, code, external=external).headers["Location"]
    raise HTTPResponse("", code, [*response.headers, ("Location", location)])


def static_file(filename: str, root: Any, mimetype: str = "", download: Any = False) -> Any:
    """Answer with a file of the folder `root`, or with 404; no name leads out of the folder."""
    one = kit.send_file(root, filename, request=request.kit, media_type=mimetype, download=download)
    return HTTPResponse(one.response, one.status, one.headers)


def template(source: str, given: Any = (), /, **values: Any) -> str:
    """Render a template by name (``"message"`` is ``message.html``), or one that is written out."""
    values.update(given)
    app = request.app if _current.get(None) else default_app()
    if not app.stack.filling("templating"):
        raise RuntimeError("There is no template(): nothing is in use in [templating] of kit.toml.")
    engine = app.provided("templating")
    if set(source) & set("\n{%$"):
        return str(engine.render_string(source, values))
    return str(engine.render(source if "." in source else f"{source}.html", values))


def view(name: str, **defaults: Any) -> Callable[[Any], Any]:
    """Render a template with the dict that the decorated callback returns."""

    def viewed(callback: Any, *args: Any, **values: Any) -> Any:
        result = callback(*args, **values)
        return template(name, {**defaults, **result}) if isinstance(result, Mapping) else result

    return lambda callback: update_wrapper(partial(viewed, callback), callback)


class Route:
    """A callback with its rule; the kernel calls it, and gives it what the callback names."""

    def __init__(self, app: Bottle, rule: str, method: str, callback: Any, config: Any) -> None:
        self.app, self.rule, self.method, self.config = app, rule, method, config
        self.callback = self.__wrapped__ = callback

    @cached_property
    def call(self) -> Any:
        """The callback within its plug-ins, of which the first one is the outermost."""
        callback, self.app.plugins = self.callback, tuple(self.app.plugins)
        for plugin in reversed(self.app.plugins):
            wrap = getattr(plugin, "apply", None)
            inner, callback = callback, wrap(callback, self) if wrap else plugin(callback)
            if callback is not inner and not hasattr(callback, "__wrapped__"):
                update_wrapper(callback, inner, updated=())
        return callback

    @property
    def __signature__(self) -> Signature:
        """What the kernel gives: what is named, except for what a plug-in gives (`keyword`)."""
        named = signature(naming("bottle", of=self.call)(lambda **values: None))
        given = {getattr(plugin, "keyword", "") for plugin in self.app.plugins}
        return Signature([one for one in named.parameters.values() if one.name not in given])

    def __call__(self, *, bottle: Request, **values: Any) -> Any:
        return bottle.answer(self.call, **values)


class Bottle(App):
    """An application: `config` is the path of its ``kit.toml``, or a mapping of that shape."""

    def __init__(self, config: Any = CONFIG) -> None:
        start = plugin_of(kit_start=lambda app: _each(app.hooks["start"]))
        super().__init__(config, plugins={"start": start})  # by name: after kit.slots.persistence
        self.router = SimpleNamespace(filters=dict(FILTERS))
        self.router.add_filter = self.router.filters.__setitem__
        self.plugins: Any = []  # a tuple, once callbacks are within them
        self.hooks: dict[str, list[Any]] = {"start": [], "before_request": [], "after_request": []}
        self.provider(current)

    def route(self, path: Any, method: Any = "GET", **options: Any) -> Any:  # type: ignore[override]  # as Bottle
        """Declare a callback for a path or several; `options` are those of the kernel's routes."""
        if odd := sorted({*options} - {*RouteOptions.__annotations__}):
            raise TypeError(f"route() takes no {odd[0]}=: instead write a decorator below @route")
        if "ANY" in str(method).upper():
            raise ValueError("there is no method ANY: name them, as in method=['GET', 'POST']")

        def add(callback: Any) -> Any:
            for rule in [path] if isinstance(path, str) else path:
                if re.search(":[a-zA-Z_#]", RULE.sub("", rule)):
                    raise ValueError(f"{rule!r}: write <name> or <name:filter>, not /:name")
                for verb in [method] if isinstance(method, str) else method:
                    pattern, named = RULE.sub(self._part, rule), {"name": rule, **options}
                    declare = super(Bottle, self).route(pattern, verb, **named)
                    declare(Route(self, rule, verb, callback, options))
            return callback

        return add

    def _part(self, found: re.Match[str]) -> str:
        """Return a part of a rule as the kernel reads it; converters for it are made."""
        name, kind, config = found.groups("")
        if kind in self.router.filters:
            regex, parse, write = self.router.filters[kind](config)
            kind = quote(f"{kind} {config}")
            many = bool(re.search(r"/|(?<!\\)\.|\[\^|\\[DSW]", regex))  # it may match slashes
            self.converters[kind] = Converter(regex, parse, write, slashes=many)
        return f"<{kind or 'str'}:{name}>"

    def install(self, plugin: Any) -> Any:
        """Let a plug-in wrap all callbacks: a decorator, or an object with `apply`."""
        if isinstance(self.plugins, tuple):
            raise RuntimeError("install() comes too late: the application is put together already")
        getattr(plugin, "setup", id)(self)
        self.plugins.append(plugin)
        return plugin

    def error(self, code: int = 500) -> Any:  # type: ignore[override]  # as Bottle
        """Let a callback answer for the errors of a status: it is given an `HTTPError`."""

        def add(callback: Any) -> Any:
            def answer(bottle: Request, error: Exception, status: int) -> Any:
                vars(bottle).pop("response", None)
                bottle.response.status_code = status
                if not isinstance(error, HTTPError):
                    told = getattr(error, "description", "") or str(error)
                    told = told if status < 500 else "Internal Server Error"
                    error = HTTPError(status, told, error)
                return bottle.answer(callback, error)

            super(Bottle, self).error(code, always=True)(answer)
            return callback

        return add

    def hook(self, name: str) -> Any:
        """Call a function before each request, or after it, or once at the start."""
        if name not in self.hooks:
            raise ValueError(f"there is no hook {name!r}, but there are {', '.join(self.hooks)}")

        def add(function: Any) -> Any:
            if name != "start" and not self.layers:
                self.around(self._after)
                self.around(self._before)
            self.hooks[name].append(partial(self.call, function) if name == "start" else function)
            return function

        return add

    def _before(self, request: kit.Request, proceed: Callable[[], Any]) -> Any:
        return current(self, request).during(_each, self.hooks["before_request"]) or proceed()

    def _after(self, request: kit.Request, proceed: Callable[[], Any]) -> Any:
        answer, bottle = proceed(), current(self, request)
        bottle.response.status, bottle.response.headers = answer.status, answer.headers
        instead = bottle.during(_each, reversed(self.hooks["after_request"]))
        answer.status = bottle.response.status
        return instead or answer


def _each(functions: Any) -> None:
    for function in functions:
        function()


@cache
def default_app() -> Bottle:
    """Return the application that `route` and the others belong to."""
    if Path(sys.argv[0]).resolve().parent == CONFIG.parent:  # python todo.py: as with `kit run`
        development.prepare(CONFIG)
    return Bottle()


def run(app: Any = None, host: str = "127.0.0.1", port: int = 8080, **how: bool) -> None:
    """Serve an application for development; there are the options `reloader` and `debug`."""
    development.serve(app or default_app(), host, port, reload=how.pop("reloader", False), **how)


def _of_default_app(name: str) -> Any:
    return lambda *args, **options: getattr(default_app(), name)(*args, **options)


_names = ("route", "get", "post", "put", "patch", "delete", "error", "hook", "install", "url_for")
route, get, post, put, patch, delete, error, hook, install, url = map(_of_default_app, _names)
