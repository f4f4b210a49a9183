"""The application: routes, providers, records and a stack, put together at start."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar, Unpack

from kit import config as configuration
from kit.answers import Answer, Environ
from kit.around import Around, check_around
from kit.assembly import Stack, assemble
from kit.config import Config
from kit.errors import ConfigError
from kit.gateways import WSGI, Gateway
from kit.gateways.asgi import ASGI, make_asgi
from kit.gateways.wsgi import make_wsgi
from kit.patterns import CONVERTERS, Converter, Native
from kit.plans import Plan, compile_plan
from kit.providers import Provider, Scope, provider
from kit.routes import RouteOptions, Routes
from kit.waiting import background_loop, in_thread, on_loop
from kit.wiring import Wiring

F = TypeVar("F", bound=Callable[..., Any])
A = TypeVar("A", bound=Around)
_RESULT = "kit.result"
_MOST_PLANS = 256


class App(Routes):
    """A web application: itself a WSGI callable, and in ``asgi`` an ASGI callable.

    `source` is the path of a config file, a mapping of the same shape, or None for the defaults.
    `plugins` are further plug-ins by name, for an application that brings its own. The
    configuration is read at once; routes, providers and records are checked when the application
    starts. Both raise `kit.ConfigError` with everything that is wrong.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        *,
        plugins: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.config: Config = configuration.load(source)
        self.stack: Stack = assemble(self.config, (plugins or {}).items())
        self.debug = self.stack.app.debug
        self.converters: dict[str, Converter] = dict(CONVERTERS)
        self.template_globals: dict[str, object] = {}
        self.template_filters: dict[str, Callable[[Any], object]] = {}
        self.record_types: list[type] = []
        self.own_providers: list[Provider] = []
        self.error_handlers: dict[type[BaseException] | int, Callable[..., Any]] = {}
        self.errors_always: set[type[BaseException] | int] = set()
        self.layers: list[Around] = []
        self.commands: list[Callable[..., Any]] = []
        self._lock = threading.RLock()
        self._wsgi: WSGI = self._first
        self.gateway: Gateway | None = None
        self.asgi: ASGI = make_asgi(self)
        self._made: Wiring | None = None
        self._open_until_stop = ExitStack()
        self._started = False

    def provider(
        self,
        function: Any = None,
        /,
        *,
        scope: Scope = "request",
        name: str = "",
        typed: bool = False,
        inline: bool = False,
        blocks: bool | str = False,
        awaited: bool = False,
    ) -> Any:
        """Add a provider function of this application, marked as with `kit.provider`."""
        self._open("provider")
        mark = provider(
            scope=scope, name=name, typed=typed, inline=inline, blocks=blocks, awaited=awaited
        )

        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            self.own_providers.append(Provider.of(function))
            return function

        if function is not None:
            return add(function)
        return lambda function: add(mark(function))

    def records(self, *records: type) -> None:
        """Register record types (dataclasses) to be stored."""
        self._open("records")
        self.record_types.extend(records)

    def error(self, *kinds: int | type[BaseException], always: bool = False) -> Callable[[F], F]:
        """Declare that the decorated handler answers for statuses or classes of exceptions.

        It may name ``error``, the exception, and ``status`` beside providers. The answer gets
        that status unless the handler gives one, in a tuple or with a Response. A handler for a
        status makes a page: clients that accept JSON rather than HTML get problem+json (RFC 9457)
        all the same, unless it answers `always`.
        """
        self._open("error")
        wrong = [kind for kind in kinds if not _is_kind(kind)]
        if wrong or not kinds:
            raise TypeError(
                f"app.error takes statuses and classes of exceptions, not {wrong or 'nothing'}:"
                " write for example @app.error(404)"
            )

        def declare(handler: F) -> F:
            self.error_handlers.update(dict.fromkeys(kinds, handler))
            self.errors_always.update(kinds if always else ())
            return handler

        return declare

    def around(self, function: A) -> A:
        """Put a function around every request: it has the request, and `proceed` to answer it.

        It is called for URLs that nothing answers, too. ``proceed()`` returns the `kit.Response`
        of whatever answers: a handler, a file, an error page. What is stored is committed by
        then. The function returns that response, changed or not, or whatever a handler may
        return; an exception gets an error page. A coroutine function awaits ``proceed()``.
        The first one added is the outermost. Requests for another host than those of
        ``[security] hosts`` are refused before, and web sockets pass by.
        """
        self._open("around")
        check_around(function)
        self.layers.append(function)
        return function

    def command(self, function: F) -> F:
        """Add a command of this application to ``kit``: ``def init_db`` makes ``kit init-db``.

        The parameters of the function name providers, as with `call`; its docstring is the help,
        and what it returns is printed. For one with arguments give a command of click, which has
        the application as ``project.app`` by `click.pass_obj`.
        """
        if not callable(function):
            raise TypeError(
                "app.command takes a function, or a command of click where there are arguments:"
                " write @app.command without a name"
            )
        self._open("command")
        self.commands.append(function)
        return function

    def _open(self, what: str) -> None:
        if self._made is not None:
            raise RuntimeError(f"app.{what} was called after the application was put together")

    def route(
        self,
        pattern: str | Native,
        methods: Iterable[str] = ("GET",),
        **options: Unpack[RouteOptions],
    ) -> Callable[[F], F]:
        """Declare a route, as `Routes.route` does; too late once the application has started."""
        self._open("route")
        return super().route(pattern, methods, **options)

    def include(self, other: Routes) -> None:
        """Include a group of routes; too late once the application has started."""
        self._open("include")
        super().include(other)

    @property
    def _wiring(self) -> Wiring:
        if self._made is None:
            with self._lock:
                if self._made is None:
                    self._made = Wiring(self)
        return self._made

    def check(self) -> None:
        """Put everything together without starting; raise ConfigError with all problems."""
        _ = self._wiring

    def start(self) -> App:
        """Check, start the plug-ins, and return the application, ready to serve.

        After an exception nothing is left open, and the next start begins anew.
        """
        with self._lock:
            if not self._started:
                background_loop.threads = self.stack.app.threads
                self._open_until_stop.enter_context(background_loop)
                try:
                    wiring = self._wiring
                    self._started = True  # for those who use `call` in their hook
                    for _ in self.stack.plugins.each("kit_start", app=self):
                        pass
                except BaseException:
                    self._close()
                    raise
                self._serve(wiring)
        return self

    def _serve(self, wiring: Wiring) -> None:
        self.gateway = wiring.gateway()
        self._wsgi = make_wsgi(self.gateway)

    def stop(self) -> None:
        """Stop the plug-ins and close the components; the application can be started again."""
        with self._lock:
            try:
                if self._started:
                    for _ in self.stack.plugins.each("kit_stop", app=self):
                        pass
            finally:
                self._close()

    def _close(self) -> None:
        made, self._made = self._made, None
        self.gateway, self._wsgi = None, self._first
        self._started = False
        with background_loop, self._open_until_stop:
            if made is not None:
                made.providers.close()

    def _first(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.start()
        return self._wsgi(environ, start_response)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one WSGI request (PEP 3333); the first one starts the application."""
        return self._wsgi(environ, start_response)

    def provided(self, name: str) -> Any:
        """Return the value of a provider of application scope, such as ``"templating"``."""
        with self._lock:
            return self._wiring.providers.value(name)

    def call(self, function: Callable[..., Any], **values: Any) -> Any:
        """Call a function with providers by name, as a handler would be, and return its result.

        For commands, seeds and tests: what it stores is committed when it returns, and rolled
        back when it raises. `values` supply further arguments. A coroutine function is awaited on
        a loop in the background.
        """
        if on_loop():
            raise RuntimeError("app.call stops the event loop: write await app.call_async(...)")
        self.start()
        environ: Environ = {}
        self._planned(function, values).answer(environ, values)
        return environ[_RESULT]

    async def call_async(self, function: Callable[..., Any], **values: Any) -> Any:
        """Call a function as `call` does, and await it.

        For a piece of work within something that lasts, such as a WebSocket. A plain function is
        called in a worker thread.
        """
        environ: Environ = {}
        plan = await in_thread(self._planned, function, values)
        if plan.place == "thread":
            await in_thread(plan.answer, environ, values)
        else:
            await plan.run(environ, values)
        return environ[_RESULT]

    def _planned(self, function: Callable[..., Any], values: Mapping[str, Any]) -> Plan:
        """Return the plan of a function that is called beside requests; it is kept."""
        wiring = self._wiring
        key = (function, frozenset(values))
        plan = wiring.planned.get(key)
        if plan is None:
            with self._lock:
                providers = wiring.providers
                plan = compile_plan(function, providers, values, convert=_keep)
                if providers.problems:
                    problems, providers.problems = providers.problems, []
                    raise ConfigError(problems)
                if len(wiring.planned) >= _MOST_PLANS:
                    wiring.planned.clear()
                wiring.planned[key] = plan
        return plan

    def url_for(self, name: str, /, **values: Any) -> str:
        """Return the path of a named route; values that its pattern lacks become the query.

        Raises LookupError for an unknown name or a missing value, ValueError for one that does
        not fit.
        """
        return self._wiring.dispatch.url_for(name, values)

    @contextmanager
    def override(self, **values: Any) -> Iterator[None]:
        """Give handlers these values in place of the providers of these names, within a block."""
        self.start()
        with self._lock:
            before = self._wiring
            mine = self._made = before.replaced(values)
            self._serve(mine)
        try:
            yield
        finally:
            with self._lock:
                self._made = before
                self._serve(before)
            mine.providers.close()


def _keep(environ: Environ, result: Any) -> Answer:
    environ[_RESULT] = result
    return "200 OK", [], []


def _is_kind(kind: object) -> bool:
    if isinstance(kind, type):
        return issubclass(kind, BaseException)
    return isinstance(kind, int) and 300 <= kind <= 599
