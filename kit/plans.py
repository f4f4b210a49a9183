"""Plans: a handler compiled once, at start.

A plan knows which providers to open and in which order, how to call the handler, and how to turn
its result into an answer. Everything that can be looked up is looked up while compiling.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from operator import itemgetter
from typing import Any

from kit.answers import Answer, Convert, Environ, Stream, merge
from kit.errors import Problem
from kit.providers import (
    Provider,
    Providers,
    by_position,
    is_named,
    is_open,
    parameters,
    place,
)

Plan = Callable[[Environ, Mapping[str, Any]], Answer]
Opened = list[Generator[Any, None, None]]
_Arguments = Callable[[Mapping[str, Any]], tuple[Any, ...]]
_Step = tuple[str, Callable[..., Any], _Arguments, bool, bool]  # is a generator, adds headers


VALUES = "path_values"
"""The provider of all values that the path of a request gives, by name."""

_NOTHING: Any = object()
_NONE: Mapping[str, Callable[[Any], Any]] = {}


class Rollback(Exception):
    """Thrown into open providers when the handler returned an answer with a 5xx status."""


def compile_plan(
    handler: Callable[..., Any],
    providers: Providers,
    given: Iterable[str] = (),
    where: str = "",
    parse: Mapping[str, Callable[[Any], Any]] = _NONE,
    *,
    convert: Convert,
    guards: Iterable[Callable[..., Any]] = (),
    instead: Iterable[str] = (),
    fixed: Mapping[str, Any] = _NONE,
) -> Plan:
    """Compile `handler` to a plan; `given` are the names that the caller supplies (the path).

    `parse` turns the values of some of these names into what the handler gets. `guards` are called
    before the handler, in this order, each after what it names is open; they raise to refuse.
    Names in `instead` the caller supplies in place of providers. `fixed` are values that stand
    here for those of providers of application scope.
    Mistakes are added to ``providers.problems``; the plan must not be called if there are any.
    """
    given = set(given)
    where = where or place(handler)
    guards, instead = tuple(guards), set(instead)
    wanted = _wanted(handler, providers, given, instead)
    order = _order(handler, wanted, guards, providers, given | instead, where)
    for called in (handler, *guards, *(one.function for one in order)):
        if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
            what = f"{getattr(called, '__name__', called)!r} is a coroutine function."
            mend = "Write def: nothing awaits it yet."
            providers.problems.append(Problem(place(called), what, mend))
    taken = {name for called in (handler, *guards) for name in parameters(called)}
    takes_all = is_open(parameters(handler)) or any(VALUES in one.needs for one in order)
    _check_given(handler, providers, given, given if takes_all else taken, where)
    if providers.problems:
        return _unusable
    constants = providers.constants(p.name for p in order if p.scope == "app") | dict(fixed)
    if providers.problems:
        return _unusable
    call = by_position(handler, wanted)
    steps: list[_Step] = [
        (p.name, p.call, _getter(p.needs), p.is_generator, "response_headers" in p.needs)
        for p in order
        if p.scope == "request" and p.name not in ("environ", VALUES)
    ]
    if steps or not {"environ", VALUES}.isdisjoint(wanted):
        plan = _with_providers(call, _getter(wanted), constants, steps, convert)
        return _parsing(plan, parse) if parse else plan
    return _direct(call, wanted, constants, parse, convert)


def _order(
    handler: Callable[..., Any],
    wanted: tuple[str, ...],
    guards: tuple[Callable[..., Any], ...],
    providers: Providers,
    given: set[str],
    where: str,
) -> list[Provider]:
    """Return what is opened and called before the handler: providers, and guards as such."""
    bound = providers.bind([*guards, handler], given, where)
    known = {**providers.all, **bound}
    needs = [(_named(guard, known, given), place(guard)) for guard in guards]
    # Opened first is closed last: a session is saved after the database has committed.
    adding = [
        one.name
        for names, place_of in [*needs, (wanted, where)]
        for one in providers.order(names, given, place_of, bound)
        if _adds_headers(one)
    ]
    found = providers.order(adding, given, where, bound)
    for number, (names, place_of) in enumerate(needs):
        found += providers.order(names, given, place_of, bound)
        guard = _checked(guards[number], names, place_of)
        found.append(Provider(f"guard {number}", guard, "request", names, place_of))
    found += providers.order(wanted, given, where, bound)
    return list({one.name: one for one in found}.values())


def _checked(guard: Callable[..., Any], names: tuple[str, ...], where: str) -> Callable[..., Any]:
    """Return a guard that fails if it answers instead of raising: it may have meant to refuse."""
    call = by_position(guard, names)

    def check(*values: Any) -> None:
        result = call(*values)
        if result is not None:
            raise TypeError(
                f"the guard at {where} returned {result!r}: a guard raises to refuse, and returns"
                " nothing; what makes a guard has to be called first, as role('admin')"
            )

    return check


def _adds_headers(provider: Provider) -> bool:
    return "response_headers" in provider.needs


def _unusable(environ: Environ, values: Mapping[str, Any]) -> Answer:
    raise AssertionError("a plan with problems was called")


def _wanted(
    handler: Callable[..., Any], providers: Providers, given: set[str], instead: set[str]
) -> tuple[str, ...]:
    """Return the names that `handler` is called with."""
    known = parameters(handler)
    wanted = _named(handler, providers.all, given | instead)
    return (*wanted, *(sorted(given - set(known)) if is_open(known) else ()))


def _check_given(
    handler: Callable[..., Any],
    providers: Providers,
    given: set[str],
    taken: set[str],
    where: str,
) -> None:
    """Report values of the path that nobody takes, and those that would hide a provider."""
    if left := sorted(given - taken):
        providers.problems.append(
            Problem(
                where,
                f"{getattr(handler, '__name__', handler)!r} does not take"
                f" {', '.join(map(repr, left))} from its URL pattern.",
                "Name it as a parameter, or take it out of the pattern.",
            )
        )
    providers.problems.extend(
        Problem(
            where,
            f"{name!r} is both in the URL pattern and provided by {providers.all[name].where}.",
            "Rename the one in the pattern.",
        )
        for name in sorted(given & set(providers.all))
        if not providers.all[name].typed  # a name without that annotation means the pattern
    )


def _named(
    function: Callable[..., Any], provided: Mapping[str, Provider], given: set[str]
) -> tuple[str, ...]:
    """Return the parameters that a function is given: those without default, and known others."""
    return tuple(
        name
        for name, parameter in parameters(function).items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        and (
            parameter.default is inspect.Parameter.empty
            or name in given
            or is_named(parameter, provided.get(name))
        )
    )


def _getter(names: tuple[str, ...]) -> _Arguments:
    if not names:
        return lambda scope: ()
    if len(names) == 1:
        name = names[0]
        return lambda scope: (scope[name],)
    return itemgetter(*names)


def _direct(
    call: Callable[..., Any],
    wanted: tuple[str, ...],
    constants: dict[str, Any],
    parse: Mapping[str, Callable[[Any], Any]],
    convert: Convert,
) -> Plan:
    """Make the plan of a handler that needs nothing of the request but its path."""
    if not wanted:
        return lambda environ, values: convert(environ, call())
    if len(wanted) == len(parse) == 1:
        [(name, one)] = parse.items()
        return lambda environ, values: convert(environ, call(one(values[name])))
    arguments = _getter(wanted)
    if constants or parse:

        def plan(environ: Environ, values: Mapping[str, Any]) -> Answer:
            return convert(environ, call(*arguments({**constants, **values})))

        return _parsing(plan, parse) if parse else plan
    return lambda environ, values: convert(environ, call(*arguments(values)))


def _parsing(plan: Plan, parse: Mapping[str, Callable[[Any], Any]]) -> Plan:
    """Put the parsing of path values before a plan."""
    parsers = tuple(parse.items())

    def parsed(environ: Environ, values: Mapping[str, Any]) -> Answer:
        return plan(environ, {**values, **{name: one(values[name]) for name, one in parsers}})

    return parsed


def _with_providers(
    call: Callable[..., Any],
    arguments: _Arguments,
    constants: dict[str, Any],
    steps: list[_Step],
    convert: Convert,
) -> Plan:
    """Make the plan of a handler with providers to open before it, and to close after it."""
    adds_headers = any(name == "response_headers" for name, *_ in steps)

    def plan(environ: Environ, values: Mapping[str, Any]) -> Answer:
        scope = {**constants, **values, "environ": environ, VALUES: values}
        opened: Opened = []
        try:
            for name, function, needs, is_generator, _ in steps:
                value = function(*needs(scope))
                if is_generator:
                    opened.append(value)
                    value = next(value, _NOTHING)
                    if value is _NOTHING:
                        raise RuntimeError(f"the provider {name!r} ended without a yield")
                scope[name] = value
            line, headers, body = convert(environ, call(*arguments(scope)))
        except BaseException as error:
            close(opened, error)
            raise
        if isinstance(body, Stream):
            _close_later(body, opened, steps, Rollback(line) if line.startswith("5") else None)
        elif opened:
            close(opened, Rollback(line) if line.startswith("5") else None)
        if adds_headers and scope["response_headers"]:
            merge(headers, scope["response_headers"])
        return line, headers, body

    return plan


def _close_later(
    body: Stream, opened: Opened, steps: list[_Step], failure: BaseException | None
) -> None:
    """Keep providers open until the body is sent, except those that may add headers to it."""
    adding = [adds_headers for _, _, _, is_generator, adds_headers in steps if is_generator]
    kept = [one for one, adds in zip(opened, adding, strict=True) if not adds]
    body.then(lambda error: close(kept, error or failure))
    try:
        close([one for one, adds in zip(opened, adding, strict=True) if adds], failure)
    except BaseException as error:
        body.end(error)
        raise


def close(opened: Opened, error: BaseException | None) -> None:
    """Finish generators, the last opened first; `error` is thrown into each of them.

    A generator may raise on its way: that error goes to those still open, and is raised at the
    end. One that raises `error` again has only passed it on.
    """
    given = error
    while opened:
        generator = opened.pop()
        try:
            if error is None:
                next(generator, None)
            else:
                with suppress(StopIteration):
                    generator.throw(error)
            generator.close()  # one that yields once more is told so
        except BaseException as raised:
            error = raised
    if error is not None and error is not given:
        raise error
