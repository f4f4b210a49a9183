"""Plans: a handler compiled once, at start.

A plan knows which providers to open and in which order, how to call the handler, and how to turn
its result into an answer. Everything that can be looked up is looked up while compiling, and so
is where each part may run: on an event loop, or in a thread.
"""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Mapping,
)
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from kit.answers import Answer, Convert, Environ, Stream, merge
from kit.errors import Problem
from kit.providers import (
    Provider,
    Providers,
    awaited,
    by_position,
    called_by,
    is_async,
    is_named,
    is_open,
    parameters,
    place,
)
from kit.waiting import drive, in_place, in_thread, spawn, threads_here, wait

Answering = Callable[[Environ, Mapping[str, Any]], Answer]
Running = Callable[[Environ, Mapping[str, Any]], Coroutine[Any, Any, Answer]]
Place = Literal["inline", "thread", "loop"]
Opened = list[Callable[[BaseException | None], Awaitable[None] | None]]
_Arguments = Callable[[Mapping[str, Any]], tuple[Any, ...]]

VALUES = "path_values"
"""The provider of all values that the path of a request gives, by name."""

_NOTHING: Any = object()
_READ = ("application/x-www-form-urlencoded", "multipart/form-data", "application/json")
_NONE: Mapping[str, Callable[[Any], Any]] = {}


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled handler.

    `place` says where it may run beside an event loop: ``"inline"`` plans never wait, ``"thread"``
    plans are plain code all through, and ``"loop"`` plans are coroutines, to be awaited by `run`.
    `answer` is for threads, and for everybody without a loop. A stream of a plan that keeps to
    `one_thread` is sent by the thread that began it. `body` is the largest body that is read for
    it, where that is not the usual one; a plan that `reads` has plain parts that may want it. A
    `quick` handler needs nothing of a request but its path:
    gateways may call it themselves, and `convert` what it returns, as `run` does.
    """

    run: Running
    answer: Answering
    place: Place
    one_thread: bool = False
    body: int = 0
    quick: Callable[[Mapping[str, Any]], Any] | None = None
    convert: Convert | None = None
    reads: bool = False

    @classmethod
    def of(cls, answer: Answering, place: Place) -> Plan:
        """Make a plan of a plain function."""

        async def run(environ: Environ, values: Mapping[str, Any]) -> Answer:
            return answer(environ, values)

        return cls(run, answer, place)

    def around(self, run: Running) -> Plan:
        """Make a plan of a coroutine function that runs this one within."""
        answer = _answering(run, self.place)
        return replace(self, run=run, answer=answer, quick=None, convert=None)

    def loads(self, environ: Environ) -> bool:
        """Say whether a body is to be there before the plan begins, so that no thread waits."""
        if self.place == "thread" or not self.reads:
            return self.place == "thread"
        kind: str = environ.get("CONTENT_TYPE", "").lower()
        return kind.startswith(_READ)


def _answering(run: Running, place: Place) -> Answering:
    if place == "loop":
        return lambda environ, values: wait(run(environ, values))

    def answer(environ: Environ, values: Mapping[str, Any]) -> Answer:
        return drive(run(environ, values))

    return answer


class Rollback(Exception):
    """Thrown into open providers when the handler returned an answer with a 5xx status."""


class _Step(NamedTuple):
    """One provider or guard of a plan: how its value is made, and how it is finished.

    The value of a generator is what `first` gets out of it, and `finish` ends it. Where it
    `waits`, what `first` or else `make` returns is awaited. A generator that `holds` keeps a place
    among the threads, in which it is finished.
    """

    name: str
    make: Callable[..., Any]
    needs: _Arguments
    waits: bool
    first: Callable[..., Any] | None
    finish: Callable[..., Any]
    adds_headers: bool
    is_async: bool
    holds: bool


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
    inline: bool = False,
    on_loop: bool = False,
    is_socket: bool = False,
) -> Plan:
    """Compile `handler` to a plan; `given` are the names that the caller supplies (the path).

    `parse` turns the values of some of these names into what the handler gets. `guards` are called
    before the handler, in this order, each after what it names is open; they raise to refuse.
    Names in `instead` the caller supplies in place of providers. `fixed` are values that stand
    here for those of providers of application scope. An `inline` handler is cheap: an event loop
    may call it. `on_loop` makes a plan for the loop in any case. Before the handler of a socket
    begins, plain providers are finished.
    Mistakes are added to ``providers.problems``; the plan must not be called if there are any.
    """
    given = set(given)
    where = where or place(handler)
    guards, instead = tuple(guards), set(instead)
    wanted = _wanted(handler, providers, given, instead)
    meant = providers.meant(wanted, is_async(handler) or inline)
    order = _order(handler, meant, guards, providers, given | instead, where)
    opened = [p for p in order if p.scope == "request" and p.name not in ("environ", VALUES)]
    _check_blocking(Provider.of(handler), wanted, providers, where, inline)
    for one in opened:
        _check_blocking(one, one.needs, providers, one.where)
    _check_socket(wanted, opened, providers, where, is_socket)
    taken = {name for called in (handler, *guards) for name in parameters(called)}
    takes_all = is_open(parameters(handler)) or any(VALUES in one.needs for one in order)
    _check_given(handler, providers, given, given if takes_all else taken, where)
    if providers.problems:
        return UNUSABLE
    constants = providers.constants(p.name for p in order if p.scope == "app") | dict(fixed)
    making = _Making(providers, constants)
    plan_place = making.place(handler, opened, inline=inline, on_loop=on_loop)
    keeping = [name for name, value in constants.items() if getattr(value, "one_thread", "")]
    if plan_place == "loop":
        providers.problems.extend(_two_threads(n, constants[n], where) for n in keeping)
    if providers.problems:
        return UNUSABLE
    call = by_position(handler, wanted)
    if not opened and plan_place != "loop" and {"environ", VALUES}.isdisjoint(wanted):
        plan = Plan.of(_direct(call, wanted, constants, parse, convert), plan_place)
        if plan_place != "inline" or constants:
            return plan
        quick = _quick(call, wanted, tuple(parse.items()))
        return replace(plan, quick=quick, convert=convert)
    waits = inspect.iscoroutinefunction(called_by(handler))
    if waits and not (opened or constants) and {"environ", VALUES}.isdisjoint(wanted):
        quick = _quick(call, wanted, tuple(parse.items()))

        async def run_quick(environ: Environ, values: Mapping[str, Any]) -> Answer:
            return convert(environ, await quick(values))

        answer = _answering(run_quick, "loop")
        return Plan(run_quick, answer, "loop", quick=quick, convert=convert)
    if plan_place == "loop" and not (inline or is_async(handler)):
        call, waits = partial(in_thread, call), True
    steps = [making.step(one, plan_place) for one in opened]
    parsers = tuple(parse.items())
    most: int = getattr(fixed.get("limits"), "body", 0)
    reads = any("request" in one.needs and not (one.inline or one.is_async) for one in opened)
    made = partial(Plan, place=plan_place, one_thread=bool(keeping), body=most, reads=reads)
    ending = any(step.first or step.name == "response_headers" for step in steps)
    if plan_place != "loop" and not ending:
        answer = _straight(call, _getter(meant), constants, steps, convert, parsers)
        return made(Plan.of(answer, plan_place).run, answer)
    run = _with_providers(
        call,
        _getter(meant),
        constants,
        steps,
        convert,
        parsers,
        waits=waits,
        on_loop=plan_place == "loop",
        is_socket=is_socket,
    )
    return made(run, _answering(run, plan_place))


class _Making:
    """Says how the parts of a plan are called, by what they need."""

    def __init__(self, providers: Providers, constants: Mapping[str, Any]) -> None:
        self._providers = providers
        self._constants = constants

    def place(
        self, handler: Callable[..., Any], opened: list[Provider], *, inline: bool, on_loop: bool
    ) -> Place:
        """Return where a plan of these parts may run."""
        if on_loop or is_async(handler) or any(one.is_async for one in opened):
            return "loop"
        if not inline:
            return "thread"
        return "inline" if all(one.inline and not self._ends(one) for one in opened) else "loop"

    def _ends(self, one: Provider) -> Callable[..., Awaitable[None]] | None:
        """Return what calls the end of an inline generator that may wait there; None: nothing."""
        waiting = self._providers.waiting(one.needs) if one.is_generator else ()
        if not waiting:
            return None
        values = [self._constants.get(name) or self._providers.value(name) for name in waiting]
        return spawn if all(getattr(v, "awaited", False) for v in values) else in_place

    def step(self, one: Provider, place: Place) -> _Step:
        """Return how one provider is opened and finished."""
        make, waits, holds = one.call, False, False
        first: Callable[..., Any] | None = next if one.is_generator else None
        finish: Callable[..., Any] = _finish
        if one.is_async:
            waits = True
            first, finish = first and anext, _finish_async
        elif place == "loop" and one.inline:
            if ends := self._ends(one):
                finish, holds = partial(ends, _finish), ends is in_place
        elif place == "loop":
            waits = True
            if first:
                first, finish, holds = partial(in_place, next), partial(in_place, _finish), True
            else:
                make = partial(in_place, make)
        needs = _getter(self._providers.needs(one))
        adds_headers = _adds_headers(one)
        return _Step(one.name, make, needs, waits, first, finish, adds_headers, one.is_async, holds)


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
        guard = guards[number]
        found += providers.order(providers.meant(names, is_async(guard)), given, place_of, bound)
        inline = getattr(guard, "__kit_inline__", False)
        check = _checked(guard, names, place_of)
        name = f"guard {number}"
        found.append(Provider(name, check, "request", names, place_of, inline=inline))
    found += providers.order(wanted, given, where, bound)
    return list({one.name: one for one in found}.values())


def _checked(guard: Callable[..., Any], names: tuple[str, ...], where: str) -> Callable[..., Any]:
    """Return a guard that fails if it answers instead of raising: it may have meant to refuse."""
    call = by_position(guard, names)

    def check(result: Any) -> None:
        if result is not None:
            raise TypeError(
                f"the guard at {where} returned {result!r}: a guard raises to refuse, and returns"
                " nothing; what makes a guard has to be called first, as role('admin')"
            )

    async def guard_async(*values: Any) -> None:
        check(await call(*values))

    def guard_plain(*values: Any) -> None:
        check(call(*values))

    return guard_async if is_async(guard) else guard_plain


def _adds_headers(provider: Provider) -> bool:
    return "response_headers" in provider.needs


def _check_blocking(
    one: Provider,
    names: tuple[str, ...],
    providers: Providers,
    where: str,
    inline: bool = False,
) -> None:
    """Report values whose methods wait, where an event loop would have to wait with them."""
    if not (one.is_async or inline):
        return
    called = getattr(one.function, "__name__", one.name)
    for name in names:
        if not providers.blocks(name):
            continue
        if not one.is_async:
            what = f"{called!r} is inline, and {name!r} waits in its methods."
            providers.problems.append(Problem(where, what, "Leave inline=True out."))
        elif awaited(name) not in providers.all:
            what = (
                f"{called!r} is a coroutine function, and {name!r} waits in its methods: the event"
                " loop would stand still."
            )
            mend = "Write def; or use it in a plain function that is called with kit.in_thread."
            providers.problems.append(Problem(where, what, mend))


def _check_socket(
    wanted: tuple[str, ...],
    opened: list[Provider],
    providers: Providers,
    where: str,
    is_socket: bool,
) -> None:
    """Report a socket where there is none, and what must not last as long as one."""
    if not is_socket:
        if any(one.name == "socket" for one in opened):
            what, mend = "'socket' is for a WebSocket.", 'Declare it with @app.websocket("/...").'
            providers.problems.append(Problem(where, what, mend))
        return
    for name in wanted:
        if (one := providers.all.get(name)) is not None and one.blocks:
            what = f"{name!r} is for one piece of work, and a WebSocket lasts longer."
            mend = "Name it in a function, and call that: await app.call_async(function, ...)."
            providers.problems.append(Problem(where, what, mend))


def _two_threads(name: str, value: Any, where: str) -> Problem:
    what = f"this runs beside an event loop, in more than one thread, and {value.one_thread}."
    mend = f"Write plain functions (def, not inline), or choose another component: [{name}] use."
    return Problem(where, what, mend)


def _unusable(environ: Environ, values: Mapping[str, Any]) -> Answer:
    raise AssertionError("a plan with problems was called")


UNUSABLE = Plan.of(_unusable, "inline")


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
) -> Answering:
    """Make the plan of a handler that needs nothing of the request but its path."""
    if not wanted:
        return lambda environ, values: convert(environ, call())
    if len(wanted) == len(parse) == 1:
        [(name, one)] = parse.items()
        return lambda environ, values: convert(environ, call(one(values[name])))
    arguments = _getter(wanted)
    parsers = tuple(parse.items())
    if constants or parsers:

        def answer(environ: Environ, values: Mapping[str, Any]) -> Answer:
            scope = {**constants, **values}
            for name, one in parsers:
                scope[name] = one(values[name])
            return convert(environ, call(*arguments(scope)))

        return answer
    return lambda environ, values: convert(environ, call(*arguments(values)))


def _quick(
    call: Callable[..., Any],
    wanted: tuple[str, ...],
    parsers: tuple[tuple[str, Callable[[Any], Any]], ...],
) -> Callable[[Mapping[str, Any]], Any]:
    """Return what calls a function that needs nothing of the request but its path."""
    if not wanted:
        return lambda values: call()
    if len(wanted) == len(parsers) == 1:
        [(name, one)] = parsers
        return lambda values: call(one(values[name]))
    arguments = _getter(wanted)
    if not parsers:
        return lambda values: call(*arguments(values))

    def quick(values: Mapping[str, Any]) -> Any:
        return call(*arguments({**values, **{name: one(values[name]) for name, one in parsers}}))

    return quick


def _straight(
    call: Callable[..., Any],
    arguments: _Arguments,
    constants: dict[str, Any],
    steps: list[_Step],
    convert: Convert,
    parsers: tuple[tuple[str, Callable[[Any], Any]], ...],
) -> Answering:
    """Make the plan of plain parts all through, with nothing to be done at the end."""
    making = [(step.name, step.make, step.needs) for step in steps]

    def answer(environ: Environ, values: Mapping[str, Any]) -> Answer:
        if parsers:
            values = {**values, **{name: parse(values[name]) for name, parse in parsers}}
        scope = {**constants, **values, "environ": environ, VALUES: values}
        for name, make, needs in making:
            scope[name] = make(*needs(scope))
        return convert(environ, call(*arguments(scope)))

    return answer


def _with_providers(
    call: Callable[..., Any],
    arguments: _Arguments,
    constants: dict[str, Any],
    steps: list[_Step],
    convert: Convert,
    parsers: tuple[tuple[str, Callable[[Any], Any]], ...],
    *,
    waits: bool,
    on_loop: bool,
    is_socket: bool,
) -> Running:
    """Make the plan of a handler with providers to open before it, and to close after it."""
    adds_headers = any(step.name == "response_headers" for step in steps)
    holds = any(step.holds for step in steps)
    generators = [step for step in steps if step.first]

    async def run(environ: Environ, values: Mapping[str, Any]) -> Answer:
        if parsers:
            values = {**values, **{name: parse(values[name]) for name, parse in parsers}}
        scope = {**constants, **values, "environ": environ, VALUES: values}
        opened: Opened = []
        body: object = None
        if holds and await threads_here().hold():
            opened.append(_free)
        try:
            for name, make, needs, is_awaited, first, finish, _, _, _ in steps:
                value = make(*needs(scope))
                if first is not None:
                    opened.append(partial(finish, value))
                    value = first(value, _NOTHING)
                if is_awaited:
                    value = await value
                if value is _NOTHING:
                    raise RuntimeError(f"the provider {name!r} ended without a yield")
                scope[name] = value
            if is_socket:
                await _close_some(opened, [not step.is_async for step in generators], None)
                if opened and opened[0] is _free:
                    opened.pop(0)(None)
            result = call(*arguments(scope))
            if waits:
                result = await result
            line, headers, body = convert(environ, result)
            if isinstance(body, Stream):
                if on_loop:
                    body.run, body.aside = wait, in_thread
                await body.start()
        except BaseException as error:
            if isinstance(body, Stream):
                await body.end(error)
            await close(opened, error)
            raise
        failure = Rollback(line) if line.startswith("5") else None
        if isinstance(body, Stream):
            await _close_later(body, opened, generators, failure, on_loop)
        elif opened:
            await close(opened, failure)
        if adds_headers and scope["response_headers"]:
            merge(headers, scope["response_headers"])
        return line, headers, body

    return run


def _free(error: BaseException | None) -> None:
    threads_here().free()


async def _close_later(
    body: Stream,
    opened: Opened,
    generators: list[_Step],
    failure: BaseException | None,
    on_loop: bool,
) -> None:
    """Keep providers open until the body is sent, except those that may add headers to it."""
    adding = [step.adds_headers for step in generators]
    kept = opened[:]

    async def finish(error: BaseException | None) -> None:
        await close(kept, error or failure)

    def finish_plain(error: BaseException | None) -> None:
        drive(finish(error))

    body.then(finish if on_loop else finish_plain)
    try:
        await _close_some(kept, adding, failure)
    except BaseException as error:
        await body.end(error)
        raise
    if kept and kept[0] is _free and not any(s.holds and not s.adds_headers for s in generators):
        kept.pop(0)(None)


async def _close_some(opened: Opened, which: list[bool], error: BaseException | None) -> None:
    """Finish some of what is open, and take it out of the list."""
    first = len(opened) - len(which)  # one more if a place is held
    ending = [one for one, ends in zip(opened[first:], which, strict=True) if ends]
    opened[:] = [one for one in opened if one not in ending]
    await close(ending, error)


async def close(opened: Opened, error: BaseException | None) -> None:
    """Finish what is open, the last opened first; `error` is thrown into each of them.

    A generator may raise on its way: that error goes to those still open, and is raised at the
    end. One that raises `error` again has only passed it on.
    """
    given = error
    while opened:
        finish = opened.pop()
        try:
            waited = finish(error)
            if waited is not None:
                await waited
        except BaseException as raised:
            error = raised
    if error is not None and error is not given:
        raise error


def _finish(generator: Generator[Any, None, None], error: BaseException | None) -> None:
    if error is None:
        next(generator, None)
    else:
        with suppress(StopIteration):
            generator.throw(error)
    generator.close()  # one that yields once more is told so


async def _finish_async(generator: AsyncGenerator[Any, None], error: BaseException | None) -> None:
    if error is None:
        await anext(generator, None)
    else:
        with suppress(StopAsyncIteration):
            await generator.athrow(error)
    await generator.aclose()
