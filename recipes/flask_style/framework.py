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
PROVIDED = {  # what a context has where the slot is filled; a line more, and a proxy, for others
    "session": "sessions",
    "store": "persistence",
    "render": "templating",
    "password_keeper": "passwords",
}


class Globals(SimpleNamespace):
    """What `g` leads to: whatever is set in it lasts as long as the request."""

    def get(self, name: str, default: Any = None) -> Any:
        return vars(self).get(name, default)

    def pop(self, name: str, default: Any = None) -> Any:
        return vars(self).pop(name, default)

    def __contains__(self, name: str) -> bool:
        return name in vars(self)


class Context:
    """What the proxies lead to: in a request, from view to error handler, or in a command."""

    begun = False
    error: Exception | None = None
    flashed: list[tuple[str, str]] | None = None

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.g = Globals()

    def __getattr__(self, name: str) -> Any:
        why = "its slot in kit.toml is empty, or this comes after the view, or is a command."
        raise RuntimeError(f"{OUTSIDE} There is no {name!r} here: {why}")

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
        answers = (function() for function in functions)
        return next((answer for answer in answers if answer is not None), None)


_current: ContextVar[Context] = ContextVar("flask_style")
_proxy: Any = partial(LocalProxy, _current, unbound_message=OUTSIDE)
current_app, g, _context = _proxy("app"), _proxy("g"), _proxy()
request, session, store = _proxy("request"), _proxy("session"), _proxy("store")

abort = kit.abort
make_response = Response = partial(kit.Response, mimetype="text/html")


def redirect(location: str, code: int = 302) -> kit.Response:
    """Return a redirect; it leads nowhere but to a path of this site."""
    return kit.redirect(location, code)


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


def _kept(result: Any) -> Any:
    """Let what streams keep its context."""
    if isinstance(result, tuple) and result:
        return (_kept(result[0]), *result[1:])
    if isinstance(result, kit.Response) and result.is_streamed:
        result.response = stream_with_context(result.response)
    return stream_with_context(result) if inspect.isgenerator(result) else result


class Scaffold(Routes):
    """What an application and a blueprint have in common."""

    hooks: Any = cached_property(lambda self: defaultdict(list))

    def route(self, pattern: Any, methods: Any = ("GET",), **options: Any) -> Callable[[F], F]:
        """Declare a view under its own name, or that of an `endpoint`."""
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
                    result = flask_context.begin(own)
                    if result is None:
                        result = wait(view(**values)) if awaits else view(**values)
                    return _kept(result)
                except Exception as error:
                    flask_context.error = error
                    raise

        return called

    def add_url_rule(self, rule: str, endpoint: str, view_func: Any, **options: Any) -> None:
        self.route(rule, endpoint=endpoint, **options)(view_func)

    def _hook(self, event: str, function: Any) -> Any:
        self.hooks[event].append(function)
        return function

    before_request = partialmethod(_hook, "before")


class Blueprint(Scaffold):
    """Views that share a name and a prefix, for `Flask.register_blueprint`."""

    def __init__(self, name: str, import_name: str, url_prefix: str = "") -> None:
        super().__init__(url_prefix, name)

    def _later(self, declare: str, *given: Any) -> Any:
        self.hooks["later"].append((declare, given))
        return given[-1]

    before_app_request = partialmethod(_later, "before_request")
    after_app_request = partialmethod(_later, "after_request")
    teardown_app_request = partialmethod(_later, "teardown_request")
    app_context_processor = partialmethod(_later, "context_processor")

    def app_errorhandler(self, kind: int | type[Exception]) -> Callable[[F], F]:
        return partial(self._later, "register_error_handler", kind)


class Flask(Scaffold, App):
    """The application. Its ``kit.toml`` is beside the module or package, unless `config` says."""

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

    def url_for(self, endpoint: str, /, **values: Any) -> str:
        """Return the path of an endpoint, such as ``auth.login``, or of a file of ``static``."""
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
