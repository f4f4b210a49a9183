"""The application: routes, providers, records and a stack, put together at start."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

from kit import config as configuration
from kit.answers import Answer
from kit.assembly import Stack, assemble
from kit.config import Config
from kit.errors import ConfigError
from kit.gateway import WSGI
from kit.patterns import CONVERTERS, Converter, Native
from kit.plans import Environ, compile_plan
from kit.providers import Provider
from kit.routes import Routes
from kit.wiring import Wiring

F = TypeVar("F", bound=Callable[..., Any])


class App(Routes):
    """A web application, and its own WSGI callable.

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
        self._lock = threading.RLock()
        self._wsgi: WSGI = self._first
        self._started = False

    def provider(self, function: F) -> F:
        """Add a provider function, marked with `kit.provider` or of request scope."""
        self._open("provider")
        self.own_providers.append(Provider.of(function))
        return function

    def records(self, *records: type) -> None:
        """Register record types (dataclasses) to be stored."""
        self._open("records")
        self.record_types.extend(records)

    def error(self, *kinds: int | type[BaseException]) -> Callable[[F], F]:
        """Declare that the decorated handler answers for statuses or classes of exceptions.

        It may name ``error``, the exception, and ``status`` beside providers. The answer gets
        that status unless the handler gives one.
        """
        self._open("error")

        def declare(handler: F) -> F:
            self.error_handlers.update(dict.fromkeys(kinds, handler))
            return handler

        return declare

    def _open(self, what: str) -> None:
        if "_wiring" in vars(self):
            raise RuntimeError(f"app.{what} was called after the application was put together")

    def route(
        self, pattern: str | Native, methods: Iterable[str] = ("GET",), name: str = ""
    ) -> Callable[[F], F]:
        """Declare a route, as `Routes.route` does; too late once the application has started."""
        self._open("route")
        return super().route(pattern, methods, name)

    def include(self, other: Routes) -> None:
        """Include a group of routes; too late once the application has started."""
        self._open("include")
        super().include(other)

    @cached_property
    def _wiring(self) -> Wiring:
        return Wiring(self)

    def check(self) -> None:
        """Put everything together without starting; raise ConfigError with all problems."""
        with self._lock:
            _ = self._wiring

    def start(self) -> App:
        """Check, start the plug-ins, and return the application, ready to serve."""
        with self._lock:
            if not self._started:
                wiring = self._wiring
                for _ in self.stack.plugins.each("kit_start", app=self):
                    pass
                self._wsgi = wiring.wsgi()
                self._started = True
        return self

    def stop(self) -> None:
        """Stop the plug-ins and close the components; the application can be started again."""
        with self._lock:
            if self._started:
                for _ in self.stack.plugins.each("kit_stop", app=self):
                    pass
                self._wiring.providers.close()
                del self._wiring
                self._wsgi = self._first
                self._started = False

    def _first(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.start()
        return self._wsgi(environ, start_response)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one WSGI request (PEP 3333); the first one starts the application."""
        return self._wsgi(environ, start_response)

    def provided(self, name: str) -> Any:
        """Return the value of a provider of application scope, such as ``"templating"``."""
        return self._wiring.providers.value(name)

    def call(self, function: Callable[..., Any], **values: Any) -> Any:
        """Call a function with providers by name, as a handler would be, and return its result.

        For commands, seeds and tests: what it stores is committed when it returns, and rolled
        back when it raises. `values` supply further arguments.
        """
        results: list[Any] = []

        def keep(result: Any) -> Answer:
            results.append(result)
            return "200 OK", [], []

        providers = self._wiring.providers
        plan = compile_plan(function, providers, values, convert=keep)
        if providers.problems:
            problems, providers.problems = providers.problems, []
            raise ConfigError(problems)
        plan({}, values)
        return results[0]

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
            before = self._wiring, self._wsgi
            self._wiring = before[0].replaced(values)
            self._wsgi = self._wiring.wsgi()
        try:
            yield
        finally:
            with self._lock:
                mine, (self._wiring, self._wsgi) = self._wiring, before
            mine.providers.close()
