"""The wiring: stack, routes and providers of an application, put together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from werkzeug.datastructures import Headers

from kit.answers import Answer, Answers, Environ, Header, merge
from kit.assembly import Filling, Limits, Stack
from kit.components import Slot
from kit.compression import compressing
from kit.dispatch import Dispatch, Frame
from kit.errors import ConfigError, Problem, listing, nearest
from kit.events import last_event_id
from kit.failures import Failures, settling
from kit.gateways import SOCKETS, After, Before, Gateway
from kit.plans import VALUES, Plan, compile_plan
from kit.plugins import installed, load_entry
from kit.providers import Provider, Providers, parameters, place, provider, required
from kit.requests import KEPT, Request
from kit.routes import standing
from kit.security import logs
from kit.security.cors import Cors
from kit.security.csrf import (
    credentials_check,
    csrf_field,
    csrf_token,
    origin_check,
    token_check,
    trusted_origins,
)
from kit.security.headers import csp_nonce, https_headers, secure_cookies, security_headers
from kit.security.hosts import host_check
from kit.security.proxies import proxy_trust
from kit.slots.formats import Data, Negotiator

if TYPE_CHECKING:
    from kit.app import App
    from kit.sockets import Socket

logger = logging.getLogger("kit")


class Wiring:
    """An application put together: its providers, its dispatch and its error pages.

    Raises ConfigError with everything that is wrong.
    """

    def __init__(self, app: App, providers: Providers | None = None) -> None:
        logs.protect(logs.secrets_in(value.value for value in app.stack.values))
        self.app = app
        self.planned: dict[tuple[Callable[..., Any], frozenset[str]], Plan] = {}
        self.providers = providers or Providers(_hints(app.stack))
        try:
            if providers is None:
                self._provide(app, self.providers)
            self._compile(app)
        except BaseException:
            self.providers.close()
            raise

    def _compile(self, app: App) -> None:
        router = self.providers.value("routing")
        self.frame = self._framed(app.stack)
        app.routes[:] = standing(app.routes, app.converters)
        self.dispatch = Dispatch(app.routes, app.converters, router, self.providers, self.frame)
        self.errors = {
            kind: compile_plan(
                handler,
                self.providers,
                self._given(handler),
                convert=settling(self.frame.answers.answer),
            )
            for kind, handler in app.error_handlers.items()
        }
        if app.commands:
            self._check_commands(app)
        if self.providers.problems:
            raise ConfigError(self.providers.problems)

    def _check_commands(self, app: App) -> None:
        """Compile the functions that are commands, so that what they lack is known at start."""
        from click import Command

        for function in app.commands:
            if not isinstance(function, Command):
                compile_plan(function, self.providers, convert=self.frame.answers.answer)

    def _framed(self, stack: Stack) -> Frame:
        security, self.cors = stack.tables["security"], Cors(stack.tables["cors"])
        trusted = trusted_origins(security, stack.tables["cors"])

        def same_origin(environ: Environ) -> None:
            origin_check(environ, trusted)

        same_origin.__kit_inline__ = True  # type: ignore[attr-defined]  # a mark
        negotiator: Negotiator = self.providers.value("negotiator")
        suffixes = self.providers.value("formats_options").suffix
        return Frame(
            answers=Answers(security_headers(security), negotiator.data, (Data,)),
            without_suffix=negotiator.without_suffix if suffixes else None,
            limits=stack.limits,
            csrf=(same_origin, token_check if "sessions" in stack.fillings else credentials_check),
            sessions="sessions" in stack.fillings,
            preflight=self.cors.preflight if self.cors else None,
        )

    @staticmethod
    def _given(handler: Callable[..., Any]) -> set[str]:
        return {"error", "status"} & set(parameters(handler))

    def replaced(self, values: Mapping[str, Any]) -> Wiring:
        known = self.providers.all
        unknown = [
            Problem("override", f"nothing provides {name!r}.{nearest(name, known)}")
            for name in values
            if name not in known
        ]
        if unknown:
            raise ConfigError(unknown)
        # A new router, since the old one leads to the plans with what is replaced here.
        return Wiring(self.app, self.providers.replaced(values, anew=["routing"]))

    def _provide(self, app: App, providers: Providers) -> None:
        stack = app.stack
        for name, value in self._constants(app).items():
            providers.constant(name, value)
        tokens = (
            (csrf_token, csrf_field) if "sessions" in stack.fillings else (_no_token, _no_field)
        )
        for function in (_request, _response_headers, _socket, last_event_id, csp_nonce, *tokens):
            providers.add(Provider.of(function))
        for name in ("environ", VALUES):
            providers.add(Provider(name, dict, "request", (), "the kernel"))
        for filling in stack.fillings.values():
            providers.add(_component(filling))
        for slot in stack.slots.values():
            if fillings := stack.filling(slot.name):
                providers.constant(f"{slot.name}_options", fillings[0].options)
                if slot.many:
                    providers.add(_components(slot, fillings))
                for function in slot.providers:
                    providers.add(Provider.of(function))
        for _, functions in stack.plugins.each("kit_providers"):
            for function in functions:
                providers.add(Provider.of(function))
        for one in app.own_providers:
            providers.add(one)
        self._make_components(stack, providers)
        made = {function for f in stack.fillings.values() for function in f.slot.providers}
        own = [one for one in providers.all.values() if one.function in made]
        for one in own:
            if one.scope == "app":
                providers.order(one.needs, (), one.where)
        if providers.problems:
            raise ConfigError(providers.problems)
        providers.constants(one.name for one in own if one.scope == "app")

    def _constants(self, app: App) -> dict[str, Any]:
        kernel = {"url_for": app.url_for}
        template_globals = _gathered(app, "global", kernel, app.template_globals)
        template_filters = _gathered(app, "filter", {}, app.template_filters)
        given = {
            "app": app,
            "url_for": app.url_for,
            "limits": app.stack.limits,
            "security_options": app.stack.tables["security"],
            "template_globals": template_globals,
            "template_filters": template_filters,
        }
        if (key := app.stack.app.secret_key) is not None:
            given["secret_key"] = key
            given["secret_keys"] = (key, *app.stack.app.secret_key_fallbacks)
        return given

    def _make_components(self, stack: Stack, providers: Providers) -> None:
        for filling in stack.fillings.values():
            needs = providers.all[filling.key].needs
            providers.order(needs, (), f"{filling.where}: [{filling.slot.name}]")
        if providers.problems:
            raise ConfigError(providers.problems)
        for filling in stack.fillings.values():
            try:
                providers.value(filling.key)
            except ConfigError as error:
                problems = [p if p.where else _at(p, filling) for p in error.problems]
                providers.problems.extend(problems)
            except Exception as error:
                what = f"{_label(filling)} could not be made: {type(error).__name__}: {error}"
                providers.problems.append(Problem(filling.where, what, "", error))
        if providers.problems:
            raise ConfigError(providers.problems)

    def gateway(self) -> Gateway:
        """Say what is done with a request; the request hooks are in it where somebody has them."""
        plugins = self.app.stack.plugins
        watched = any(
            plugins.implemented(hook) for hook in ("kit_request_started", "kit_request_finished")
        )
        return Gateway(
            self.dispatch,
            Failures(
                self.errors,
                self.frame.answers,
                debug=self.app.debug,
                pages=_has_pages(self.app.stack),
                always=self.app.errors_always,
            ),
            self.frame.limits,
            _Events(plugins.hook) if watched else None,
            around=self.app.layers,
            before=self._before(),
            after=self._after(),
            over_https=self._over_https(),
        )

    def _before(self) -> list[Before]:
        """Return what looks at each request first, and may refuse it."""
        security = self.app.stack.tables["security"]
        return [proxy_trust(security), host_check(security)]

    def _after(self) -> list[After]:
        """Return what is done to each answer last."""
        tables = self.app.stack.tables
        done: list[After] = []
        if tables["responses"].compress:
            done.append(compressing(tables["responses"]))
        if self.cors:
            done.append(_adding(self.cors.headers))
        return done

    def _over_https(self) -> list[After]:
        """Return what is done to each answer over https after that."""
        headers = https_headers(self.app.stack.tables["security"])
        return [secure_cookies, *([_adding(lambda environ: headers)] if headers else ())]


def _gathered(
    app: App, kind: str, kernel: Mapping[str, Any], own: Mapping[str, Any]
) -> dict[str, Any]:
    """Collect the template globals or filters of all who give some; no name may come twice."""
    values: dict[str, Any] = {}
    givers: dict[str, str] = {}
    problems = []
    plugins = app.stack.plugins.each(f"kit_template_{kind}s", app=app)
    named = [(f"plug-in {name!r}", given) for name, given in plugins]
    for giver, given in [("the kernel", kernel), ("the application", own), *named]:
        for name in given:
            if name in givers:
                what = f"{givers[name]} and {giver} both give the template {kind} {name!r}."
                problems.append(Problem("", what, "Rename one of them."))
            givers[name] = giver
        values.update(given)
    if problems:
        raise ConfigError(problems)
    return values


class _Events:
    """The request hooks, called through pluggy."""

    def __init__(self, hook: Any) -> None:
        self._hook = hook

    def started(self, environ: Environ) -> None:
        self._hook.kit_request_started(environ=environ)

    def finished(self, environ: Environ, status: int) -> None:
        try:
            self._hook.kit_request_finished(environ=environ, status=status)
        except Exception:  # what was asked for is done: too late for another answer
            logger.exception("a plug-in failed in kit_request_finished")


@provider(name="request", inline=True)
def _request(environ: Environ, limits: Limits) -> Request:
    kept: Request | None = environ.get(KEPT)
    return Request(environ, limits) if kept is None else kept.limited(limits)


@provider(name="response_headers", inline=True)
def _response_headers() -> Headers:
    return Headers()


@provider(name="socket", inline=True)
def _socket(environ: Environ, limits: Limits) -> Socket:
    socket: Socket = environ[SOCKETS]
    socket.limits = limits  # those of the route
    return socket


@provider(name="csrf_token", inline=True)
def _no_token() -> str:
    return ""


@provider(name="csrf_field", inline=True)
def _no_field() -> Markup:
    return Markup()


def _adding(make: Callable[[Environ], Iterable[Header]]) -> After:
    """Return what adds headers to an answer."""

    def add(environ: Environ, line: str, headers: list[Header], body: Iterable[bytes]) -> Answer:
        merge(headers, make(environ))
        return line, headers, body

    return add


def _has_pages(stack: Stack) -> bool:
    """Say whether browsers may come: not to a stack without templates that chose its formats."""
    chosen = stack.filling("formats")
    named = {one.component.name for one in chosen if one.where != "default"}
    return "templating" in stack.fillings or not named or "html" in named


def _component(filling: Filling) -> Provider:
    factory = filling.factory
    names = [name for name in required(factory) if name != "options"]
    takes_options = "options" in parameters(factory)

    plain = filling.slot.plain

    def make(*values: Any) -> Any:
        given = dict(zip(names, values, strict=True))
        made = factory(options=filling.options, **given) if takes_options else factory(**given)
        if problems := _lacking(filling, made):
            raise ConfigError(problems)
        return plain(made) if plain else made

    return Provider(
        filling.key,
        make,
        "app",
        tuple(names),
        place(factory),
        closes=hasattr(factory, "close"),
        waits=filling.slot.waits,
    )


def _components(slot: Slot, fillings: list[Filling]) -> Provider:
    """Return the provider of all components of a slot for many, by name."""
    names = [filling.component.name for filling in fillings]
    keys = tuple(filling.key for filling in fillings)

    def make(*values: Any) -> dict[str, Any]:
        return dict(zip(names, values, strict=True))

    return Provider(slot.name, make, "app", keys, fillings[0].where)


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


def _hints(stack: Stack) -> dict[str, Callable[[], str]]:
    """Say for each name that an empty slot would provide how to fill that slot."""
    key = 'Set it: [app] secret_key = "env:SECRET_KEY" (or "file:secret.key").'
    texts = {"secret_key": key, "secret_keys": key}
    for slot in stack.slots.values():
        texts.update(slot.asks)
    hints: dict[str, Callable[[], str]] = {name: partial(str, text) for name, text in texts.items()}
    for slot in stack.slots.values():
        if not stack.filling(slot.name):
            provided = [getattr(p, "__kit_name__", p.__name__) for p in slot.providers]
            hint = partial(_how_to_fill, slot, stack)
            hints.update(dict.fromkeys([slot.name, f"{slot.name}_options", *provided], hint))
    return hints


def _how_to_fill(slot: Slot, stack: Stack) -> str:
    """Say which line of a config file fills a slot, and what pip is to be given for it."""
    entries = installed()
    declared = [one for _, found in stack.plugins.each("kit_components") for one in found]
    there = [name.partition(".")[2] for name in entries if name.startswith(f"{slot.name}.")]
    names = sorted({*there, *(one.name for one in declared if one.slot == slot.name)})
    first, *others = names or ["module:name"]
    one = f'["{first}"]' if slot.many else f'"{first}"'
    hint = f"It comes with the slot {slot.name!r}, which is empty: fill it with"
    hint += f" [{slot.name}] use = {one}"
    if others:
        hint += f" (or another of: {listing(others)})"
    if first in there and (install := _install_of(entries[f"{slot.name}.{first}"], slot, first)):
        hint += f', and pip install "{install}"'
    return f"{hint}."


def _install_of(entry: EntryPoint, slot: Slot, name: str) -> str:
    """Return what pip is to be given for a component whose library may be missing."""
    try:
        components = load_entry(entry, "").kit_components()
    except ConfigError:
        return ""
    return next((c.install for c in components if (c.slot, c.name) == (slot.name, name)), "")
