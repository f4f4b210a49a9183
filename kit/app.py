"""The application: routes, providers, records and a stack, put together at start."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import EntryPoint
from typing import Any, TypeVar

from werkzeug.datastructures import Headers

from kit import config as configuration
from kit.answers import Answer
from kit.assembly import Filling, Stack, assemble
from kit.components import Component, Slot
from kit.config import Config
from kit.dispatch import Dispatch
from kit.errors import ConfigError, Problem, listing, nearest
from kit.failures import Failures
from kit.gateway import WSGI, make_wsgi
from kit.patterns import CONVERTERS, Converter, Native
from kit.plans import Environ, compile_plan
from kit.plugins import installed
from kit.providers import Provider, Providers, parameters, place, required
from kit.requests import Request
from kit.routes import Routes

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
        self._providers: list[Provider] = []
        self._errors: dict[type[BaseException] | int, Callable[..., Any]] = {}
        self._lock = threading.RLock()
        self._wsgi: WSGI = self._first
        self._started = False

    def provider(self, function: F) -> F:
        """Add a provider function, marked with `kit.provider` or of request scope."""
        self._open("provider")
        self._providers.append(Provider.of(function))
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
            self._errors.update(dict.fromkeys(kinds, handler))
            return handler

        return declare

    def _open(self, what: str) -> None:
        if "_assembled" in vars(self):
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
    def _assembled(self) -> _Assembled:
        return _Assembled(self)

    def check(self) -> None:
        """Put everything together without starting; raise ConfigError with all problems."""
        with self._lock:
            _ = self._assembled

    def start(self) -> App:
        """Check, start the plug-ins, and return the application, ready to serve."""
        with self._lock:
            if not self._started:
                assembled = self._assembled
                for _ in self.stack.plugins.each("kit_start", app=self):
                    pass
                self._wsgi = assembled.wsgi()
                self._started = True
        return self

    def stop(self) -> None:
        """Stop the plug-ins and close the components; the application can be started again."""
        with self._lock:
            if self._started:
                for _ in self.stack.plugins.each("kit_stop", app=self):
                    pass
                self._assembled.providers.close()
                del self._assembled
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
        return self._assembled.providers.value(name)

    def call(self, function: Callable[..., Any], **values: Any) -> Any:
        """Call a function with providers by name, as a handler would be, and return its result.

        For commands, seeds and tests: what it stores is committed when it returns, and rolled
        back when it raises. `values` supply further arguments.
        """
        results: list[Any] = []

        def keep(result: Any) -> Answer:
            results.append(result)
            return "200 OK", [], []

        providers = self._assembled.providers
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
        return self._assembled.dispatch.url_for(name, values)

    @contextmanager
    def override(self, **values: Any) -> Iterator[None]:
        """Give handlers these values in place of the providers of these names, within a block."""
        self.start()
        with self._lock:
            before = self._assembled, self._wsgi
            self._assembled = before[0].replaced(values)
            self._wsgi = self._assembled.wsgi()
        try:
            yield
        finally:
            with self._lock:
                mine, (self._assembled, self._wsgi) = self._assembled, before
            mine.providers.close()


class _Assembled:
    """An application put together: its providers, its dispatch and its error pages."""

    def __init__(self, app: App, providers: Providers | None = None) -> None:
        self.app = app
        self.providers = providers or self._provide(app)
        router = self.providers.value("routing")
        self.dispatch = Dispatch(app.routes, app.converters, router, self.providers)
        self.errors = {
            kind: compile_plan(handler, self.providers, self._given(handler))
            for kind, handler in app._errors.items()
        }
        if self.providers.problems:
            raise ConfigError(self.providers.problems)

    @staticmethod
    def _given(handler: Callable[..., Any]) -> set[str]:
        return {"error", "status"} & set(parameters(handler))

    def replaced(self, values: Mapping[str, Any]) -> _Assembled:
        known = self.providers.all
        unknown = [
            Problem("override", f"nothing provides {name!r}.{nearest(name, known)}")
            for name in values
            if name not in known
        ]
        if unknown:
            raise ConfigError(unknown)
        # A new router, since the old one leads to the plans with what is replaced here.
        return _Assembled(self.app, self.providers.replaced(values, anew=["routing"]))

    def _provide(self, app: App) -> Providers:
        stack = app.stack
        providers = Providers(_hints(stack))
        for name, value in self._constants(app).items():
            providers.constant(name, value)
        for function in (_request, _response_headers):
            providers.add(Provider.of(function))
        providers.add(Provider("environ", dict, "request", (), "the kernel"))
        for filling in stack.fillings.values():
            providers.constant(f"{filling.slot.name}_options", filling.options)
            providers.add(_component(filling))
            for function in filling.slot.providers:
                providers.add(Provider.of(function))
        for _, functions in stack.plugins.each("kit_providers"):
            for function in functions:
                providers.add(Provider.of(function))
        for provider in app._providers:
            providers.add(provider)
        self._make_components(stack, providers)
        return providers

    def _constants(self, app: App) -> dict[str, Any]:
        template_globals = {"url_for": app.url_for, **app.template_globals}
        template_filters = dict(app.template_filters)
        for _, more in app.stack.plugins.each("kit_template_globals", app=app):
            template_globals.update(more)
        for _, filters in app.stack.plugins.each("kit_template_filters", app=app):
            template_filters.update(filters)
        given = {
            "app": app,
            "url_for": app.url_for,
            "limits": app.stack.limits,
            "template_globals": template_globals,
            "template_filters": template_filters,
        }
        if app.stack.app.secret_key is not None:
            given["secret_key"] = app.stack.app.secret_key
        return given

    def _make_components(self, stack: Stack, providers: Providers) -> None:
        for filling in stack.fillings.values():
            needs = providers.all[filling.slot.name].needs
            providers.order(needs, (), f"{filling.where}: [{filling.slot.name}]")
        if providers.problems:
            raise ConfigError(providers.problems)
        for filling in stack.fillings.values():
            try:
                value = providers.value(filling.slot.name)
            except ConfigError as error:
                problems = [p if p.where else _at(p, filling) for p in error.problems]
                providers.problems.extend(problems)
            except Exception as error:
                what = f"{_label(filling)} could not be made: {type(error).__name__}: {error}"
                providers.problems.append(Problem(filling.where, what, "", error))
            else:
                providers.problems.extend(_lacking(filling, value))
        if providers.problems:
            raise ConfigError(providers.problems)

    def wsgi(self) -> WSGI:
        """Make the WSGI callable; the request hooks are in it only where somebody has them."""
        plugins = self.app.stack.plugins
        watched = any(
            plugins.implemented(hook) for hook in ("kit_request_started", "kit_request_finished")
        )
        failures = Failures(self.errors, debug=self.app.debug)
        return make_wsgi(self.dispatch, failures, _Events(plugins.hook) if watched else None)


class _Events:
    def __init__(self, hook: Any) -> None:
        self._hook = hook

    def started(self, environ: Environ) -> None:
        self._hook.kit_request_started(environ=environ)

    def finished(self, environ: Environ, status: int) -> None:
        self._hook.kit_request_finished(environ=environ, status=status)


def _request(environ: Environ, limits: Any) -> Request:
    return Request(environ, limits)


def _response_headers() -> Headers:
    return Headers()


_request.__kit_name__ = "request"  # type: ignore[attr-defined]
_response_headers.__kit_name__ = "response_headers"  # type: ignore[attr-defined]


def _component(filling: Filling) -> Provider:
    factory = filling.factory
    names = [name for name in required(factory) if name != "options"]
    takes_options = "options" in parameters(factory)

    def make(*values: Any) -> Any:
        given = dict(zip(names, values, strict=True))
        return factory(options=filling.options, **given) if takes_options else factory(**given)

    closes = hasattr(factory, "close")
    return Provider(filling.slot.name, make, "app", tuple(names), place(factory), closes)


def _label(filling: Filling) -> str:
    return f"component {filling.component.name!r} of slot {filling.slot.name!r}"


def _at(problem: Problem, filling: Filling) -> Problem:
    return Problem(filling.where, f"{_label(filling)}: {problem.what}", problem.mend, problem.cause)


def _lacking(filling: Filling, value: Any) -> list[Problem]:
    """Say which methods of the slot's interface a component lacks."""
    wanted = [n for n in vars(filling.slot.protocol) if not n.startswith("_")]
    missing = [name for name in wanted if not hasattr(value, name)]
    if not missing:
        return []
    protocol = filling.slot.protocol
    what = (
        f"{_label(filling)} lacks {listing(missing)} of {protocol.__module__}.{protocol.__name__}."
    )
    return [Problem(filling.where, what, "Write them, or choose another component.")]


def _hints(stack: Stack) -> dict[str, str]:
    """Say for each name that an empty slot would provide how to fill that slot."""
    hints = {"secret_key": 'Set it: [app] secret_key = "env:SECRET_KEY" (or "file:secret.key").'}
    declared = [
        component for _, found in stack.plugins.each("kit_components") for component in found
    ]
    for slot in stack.slots.values():
        if slot.name in stack.fillings:
            continue
        hint = f"It comes with the slot {slot.name!r}, which is empty: "
        hint += _how_to_fill(slot, declared)
        provided = [getattr(p, "__kit_name__", p.__name__) for p in slot.providers]
        hints.update(dict.fromkeys([slot.name, f"{slot.name}_options", *provided], hint))
    return hints


def _how_to_fill(slot: Slot, declared: list[Component]) -> str:
    """Say which line of a config file fills a slot, and what pip is to be given for it."""
    entries = {
        name.partition(".")[2]: entry
        for name, entry in installed().items()
        if name.startswith(f"{slot.name}.")
    }
    names = sorted({*entries, *(one.name for one in declared if one.slot == slot.name)})
    first, *others = names or ["module:name"]
    hint = f'fill it with [{slot.name}] use = "{first}"'
    if others:
        hint += f" (or another of: {listing(others)})"
    if first in entries and _is_ours(entries[first]):
        hint += f', and pip install "framekit[{first}]"'
    return f"{hint}."


def _is_ours(entry: EntryPoint) -> bool:
    return entry.dist is not None and entry.dist.name == "framekit"
