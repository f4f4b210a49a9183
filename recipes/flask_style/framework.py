"""A framework in the style of Flask, put together from Framekit."""

from __future__ import annotations

import inspect
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, partial, partialmethod
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.local import LocalProxy

import kit
from kit import App, Routes, wait
from kit.providers import naming
from kit.security import csrf

F = TypeVar("F", bound=Callable[..., Any])
CONTEXT = "flask_style.context"
OUTSIDE = "Working outside of request context: this is for views, and for what they call."
PROVIDED = {"session": "sessions", "store": "persistence"}  # in a context where the slot is filled
PROVIDED |= {"render": "templating", "password_keeper": "passwords"}


class Globals(SimpleNamespace):
    """What `g` leads to: whatever is set in it lasts as long as the request."""

    get = property(lambda self: vars(self).get)
    pop = property(lambda self: vars(self).pop)

    def __contains__(self, name: str) -> bool:
        return name in vars(self)


class Context:
    """What the proxies lead to: in a request, from view to error handler, or in a command."""

    begun = False
    error: Exception | None = None
    flashed: list[tuple[str, str]] | None = None

    def __init__(self, app: Flask) -> None:
        self.app, self.g = app, Globals()

    def __getattr__(self, name: str) -> Any:
        if (slot := PROVIDED.get(name)) and not self.app.stack.filling(slot):
            raise RuntimeError(f"There is no {name!r}: nothing is in use in [{slot}] of kit.toml.")
        raise RuntimeError(f"{OUTSIDE} There is no {name!r} here: after the view, or in a command.")

    @contextmanager
    def bound(self) -> Iterator[None]:
        """Let the proxies lead here."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def begin(self, own: Iterable[Callable[[], Any]] = ()) -> Any:
        """Call the functions before a view, once in a request, until one returns an answer."""
        functions = () if self.begun else (*self.app.hooks["before"], *own)
        self.begun = True
        return next((answer for one in functions if (answer := one()) is not None), None)


_current: ContextVar[Context] = ContextVar("flask_style")
_proxy: Any = partial(LocalProxy, _current, unbound_message=OUTSIDE)
current_app, g, _context = _proxy("app"), _proxy("g"), _proxy()
request, session, store = _proxy("request"), _proxy("session"), _proxy("store")

abort = kit.abort
Response = partial(kit.Response, mimetype="text/html")


def make_response(*given: Any) -> kit.Response:
    """Return a response of a text, and of a status and headers, or of a tuple of them."""
    body, *more = given[0] if isinstance(given[0], tuple) else given
    if isinstance(body, kit.Response) and not more:
        return body
    if not isinstance(body, (str, bytes)):
        raise TypeError("make_response() takes a text: return others, or (data, status, headers)")
    return Response(body, *more)


def redirect(location: str, code: int = 302) -> kit.Response:
    return kit.redirect(location, code)  # nowhere but to a path of this site


def url_for(endpoint: str, **values: Any) -> str:
    return str(current_app.url_for(endpoint, **values))


def render_template(template_name: str, /, **values: Any) -> str:
    """Render a template with these values, and those of the context processors."""
    for processor in current_app.hooks["context"]:
        values = {**processor(), **values}
    return str(_context.render(template_name, **values))


def flash(message: str, category: str = "message") -> None:
    session.flash(message, category)


def get_flashed_messages(with_categories: bool = False, category_filter: Any = ()) -> list[Any]:
    """Return the messages that wait; they are gone when this request has succeeded."""
    if _context.flashed is None:
        _context.flashed = session.flashes()
    found = [one for one in _context.flashed if not category_filter or one[0] in category_filter]
    return found if with_categories else [message for _, message in found]


def csrf_token() -> str:
    """Return what each form sends back in its field ``csrf_token``."""
    return csrf.csrf_token(_context.session)


def generate_password_hash(password: str) -> str:
    return str(_context.password_keeper.hash(password))


def check_password_hash(pwhash: str, password: str) -> bool:
    return bool(_context.password_keeper.verify(pwhash, password))


def stream_with_context(pieces: Iterable[Any]) -> Iterator[Any]:
    """Yield these pieces; while each is made, the proxies lead where they do now."""
    context, made, end = _current.get(), iter(pieces), object()

    def go_on() -> Iterator[Any]:
        try:
            yield from iter(context.bound()(partial(next, made, end)), end)
        finally:
            context.bound()(getattr(made, "close", int))()

    return go_on()


class Scaffold(Routes):
    """What an application and a blueprint have in common."""

    hooks: Any = cached_property(lambda self: defaultdict(list))
    registered = False

    def route(self, pattern: Any, methods: Any = ("GET",), **options: Any) -> Callable[[F], F]:
        """Declare a view under its own name, or that of an `endpoint`."""
        self._hook("routes", pattern)
        endpoint = options.pop("endpoint", "")

        def add(view: F) -> F:
            name = endpoint or view.__name__
            declare = super(Scaffold, self).route(pattern, methods, name=name, **options)
            declare(self._called(view, f"{self.name}.{name}" if self.name else name))
            return view

        return add

    def _called(self, view: Callable[..., Any], endpoint: str) -> Callable[..., Any]:
        """Return what the kernel calls for a view."""
        own = self.hooks["before"] if self.name else ()
        awaits = inspect.iscoroutinefunction(view)

        @naming("flask_context", of=view)
        def called(flask_context: Context, **values: Any) -> Any:
            with flask_context.bound():
                vars(flask_context.request).update(endpoint=endpoint, blueprint=self.name or None)
                try:
                    if (early := flask_context.begin(own)) is not None:
                        return early
                    return wait(view(**values)) if awaits else view(**values)
                except Exception as error:
                    flask_context.error = error
                    raise

        return called

    def add_url_rule(self, rule: str, endpoint: str, view_func: Any, **options: Any) -> None:
        self.route(rule, endpoint=endpoint, **options)(view_func)

    def _hook(self, event: str, function: Any) -> Any:
        if self.registered:
            raise AssertionError(f"The blueprint {self.name!r} is registered: declare this before.")
        self.hooks[event].append(function)
        return function

    before_request = partialmethod(_hook, "before")


class Blueprint(Scaffold):
    """Views that share a name and a prefix, for `Flask.register_blueprint`."""

    def __init__(self, name: str, import_name: str, url_prefix: str = "") -> None:
        super().__init__(url_prefix, name)

    def _later(self, declare: str, *given: Any) -> Any:
        self._hook("later", (declare, given))
        return given[-1]

    before_app_request = partialmethod(_later, "before_request")
    after_app_request = partialmethod(_later, "after_request")
    teardown_app_request = partialmethod(_later, "teardown_request")
    app_context_processor = partialmethod(_later, "context_processor")
    app_errorhandler = property(lambda bp: partial(partial, bp._later, "register_error_handler"))


class Flask(Scaffold, App):
    """The application. Its ``kit.toml`` is beside the module or package, unless `config` says."""

    def _no_key(self, key: Any) -> None:
        raise AttributeError("app.secret_key is set in kit.toml: [app] secret_key = ...")

    secret_key = property(None, _no_key)

    def __init__(self, import_name: str, config: Any = None) -> None:
        file = getattr(sys.modules.get(import_name), "__file__", None)
        root = Path(file).resolve().parent if file else Path.cwd()
        beside = (folder / "kit.toml" for folder in (root, *root.parents))
        found = next(filter(Path.exists, beside), "kit.toml") if config is None else config
        App.__init__(self, found)
        self.cli = SimpleNamespace(command=partial(partial, self._command))
        shared = {"g": g, "request": request, "session": session, "csrf_token": csrf_token}
        self.template_globals |= {**shared, "get_flashed_messages": get_flashed_messages}
        names = [name for name, slot in PROVIDED.items() if self.stack.filling(slot)]
        self._provide("flask_context", "request", *names)
        self._provide("command_context", *(name for name in names if name != "session"))
        if (root / "static").is_dir():
            files = Routes()  # which need no context
            files.static("/static", root / "static")
            self.include(files)

    def _provide(self, name: str, *names: str) -> None:
        """Add the provider of a context that holds what these names provide."""

        @naming(*names)
        def context(**provided: Any) -> Context:
            found = Context(self)
            if request := provided.get("request"):
                request.endpoint = request.blueprint = None
                found = request.environ.setdefault(CONTEXT, found)
                provided["request"], found.flashed = vars(found).get("request", request), None
            vars(found).update(provided)
            return found

        self.provider(name=name, inline=True)(context)

    def register_blueprint(self, blueprint: Blueprint) -> None:
        """Add the views of a blueprint, and what it declares for the whole application."""
        for declare, given in blueprint.hooks["later"]:
            getattr(self, declare)(*given)
        self.include(blueprint)
        blueprint.registered = True

    def url_for(self, endpoint: str, /, **values: Any) -> str:
        """Return the path of an endpoint, such as ``auth.login``, or of a file of ``static``."""
        if odd := [name for name in values if name.startswith("_")]:
            raise TypeError(f"url_for() takes no {odd[0]}: it returns a path; add the rest to it")
        if endpoint == "static":
            values["path"] = values.pop("filename")
        return super().url_for(endpoint, **values)

    def _hook(self, event: str, function: Any) -> Any:
        if event in ("after", "teardown") and self._finished not in self.layers:
            self.around(self._finished)
        return super()._hook(event, function)

    after_request = partialmethod(_hook, "after")
    teardown_request = partialmethod(_hook, "teardown")
    context_processor = partialmethod(_hook, "context")

    def _finished(self, request: kit.Request, proceed: Callable[[], Any]) -> Any:
        response = proceed()
        context = request.environ.get(CONTEXT) or Context(self)
        for name in PROVIDED:  # they have ended
            vars(context).pop(name, None)
        vars(context).setdefault("request", request)
        with context.bound():
            try:
                for function in reversed(self.hooks["after"]):
                    response = function(response)
                return response
            finally:
                for function in reversed(self.hooks["teardown"]):
                    function(context.error)

    def errorhandler(self, kind: int | type[Exception]) -> Callable[[F], F]:
        """Let a function answer for a status or a class; `HTTPException` means all the others."""
        return partial(self.register_error_handler, kind)

    def register_error_handler(self, kind: Any, handler: F) -> F:
        is_http = isinstance(kind, int) or issubclass(kind, HTTPException)
        others = [code for code in default_exceptions if code not in self.error_handlers]
        code = getattr(kind, "code", kind) if is_http else kind

        def answer(flask_context: Context, error: Exception, status: int) -> Any:
            if is_http and not isinstance(error, HTTPException):  # with a code
                error = default_exceptions[status](str(error) if status < 500 else None)
            with flask_context.bound():
                early = flask_context.begin()
                return handler(error) if early is None else early

        self.error(*(others if code is None else [code]))(answer)
        return handler

    def _command(self, name: str, function: F) -> F:
        """Make a function a command of ``kit``; what it returns is shown."""

        @naming("command_context", of=function)
        def command(command_context: Context, **values: Any) -> Any:
            with command_context.bound():
                return function(**values)

        command.__name__ = name.replace("-", "_")
        self.command(command)
        return function
