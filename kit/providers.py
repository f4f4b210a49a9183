"""Providers: what a handler gets by naming it.

A provider is a function that returns its value, or yields it once and cleans up afterwards, like
a pytest fixture. Its own parameters name further providers. `Providers` holds all of a stack, says
what is wrong with them, and makes those of application scope.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial, update_wrapper
from typing import Any, Literal, TypeVar, overload

from kit.errors import ConfigError, Problem, listing, nearest
from kit.waiting import wait

F = TypeVar("F", bound=Callable[..., Any])
Scope = Literal["app", "request"]
_NOTHING: Any = object()
_UNKNOWN = (inspect.Parameter.empty, "")


@overload
def provider(function: F, /) -> F: ...
@overload
def provider(
    *,
    scope: Scope = ...,
    name: str = ...,
    typed: bool = ...,
    inline: bool = ...,
    blocks: bool | str = ...,
    awaited: bool = ...,
) -> Callable[[F], F]: ...
def provider(
    function: F | None = None,
    /,
    *,
    scope: Scope = "request",
    name: str = "",
    typed: bool = False,
    inline: bool = False,
    blocks: bool | str = False,
    awaited: bool = False,
) -> F | Callable[[F], F]:
    """Mark a function as a provider of the value that is named like the function, or `name`.

    Its parameters name further providers; those with a default keep it, as in pytest.

    `scope` says how long a value lives: ``"request"`` until the response is ready (an exception
    is thrown into a generator when the request failed), ``"app"`` from start to stop.

    A `typed` provider depends on how it is annotated where it is named (``form: Form[Contact]``).
    It is called at start, once for each handler, with that ``annotation`` and providers of
    application scope, and returns the provider function for this handler. It raises TypeError
    for an annotation that it cannot use.

    Beside coroutines a plain provider is called in a worker thread, unless it is `inline`: cheap,
    and without anything to wait for before it returns or yields. A value that `blocks` has methods
    that wait, and coroutine functions cannot name it, unless there is another provider of the
    name, marked `awaited`: that is what they get instead. ``blocks="persistence"`` holds where
    the component of that slot is not one to be awaited.
    """

    def mark(function: F) -> F:
        function.__kit_scope__ = scope  # type: ignore[attr-defined]  # a mark
        function.__kit_name__ = name or function.__name__  # type: ignore[attr-defined]  # a mark
        function.__kit_typed__ = typed  # type: ignore[attr-defined]  # a mark
        function.__kit_inline__ = inline  # type: ignore[attr-defined]  # a mark
        function.__kit_blocks__ = blocks  # type: ignore[attr-defined]  # a mark
        function.__kit_awaited__ = awaited  # type: ignore[attr-defined]  # a mark
        return function

    return mark if function is None else mark(function)


def naming(*names: str, of: Callable[..., Any] | None = None, skip: int = 0) -> Callable[[F], F]:
    """Let a function of ``**values`` name these providers, and all that the function `of` names.

    For what a framework puts in place of a handler `of`: the kernel gives it the same by name, and
    takes it for that one in what it says. The first `skip` parameters of the handler are left out,
    since the framework supplies them by position; TypeError says where a handler lacks them.
    """
    kind = inspect.Parameter.KEYWORD_ONLY
    wanted = _without_first(of, skip) if of is not None else []

    def name(function: F) -> F:
        shown = {one: inspect.Parameter(one, kind) for one in names}
        if of is not None:
            update_wrapper(function, of)
            for one in wanted:
                if one.kind is one.VAR_KEYWORD:
                    shown.setdefault(one.name, one)
                elif one.kind is not one.VAR_POSITIONAL:
                    shown.setdefault(one.name, one.replace(kind=kind))
        signature = inspect.Signature(list(shown.values()))
        function.__signature__ = signature  # type: ignore[attr-defined]  # as `inspect` reads it
        return function

    return name


def _without_first(handler: Callable[..., Any], skip: int) -> list[inspect.Parameter]:
    """Return the parameters of a handler without the first, which it takes by position."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = list(inspect.signature(handler).parameters.values())
    first = [one for one in found if one.kind in kinds][:skip]
    if len(first) < skip and not any(one.kind is one.VAR_POSITIONAL for one in found):
        name = getattr(handler, "__name__", type(handler).__name__)
        lacks = "its first parameter" if skip == 1 else f"one of its first {skip} parameters"
        raise TypeError(
            f"{place(handler)}: {name!r} lacks {lacks}, which its framework gives it by position"
        )
    return found[len(first) :]


def place(function: Any) -> str:
    """Return ``file.py:12`` for a function or class, or its name where there is no file.

    What a function of the kernel makes for somebody shows the place of that call.
    """
    if told := getattr(function, "__kit_place__", ""):
        return str(told)
    code = getattr(inspect.unwrap(function), "__code__", None)
    code = code or getattr(getattr(function, "__init__", None), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters that a function can be given by name (all but ``*args``)."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some builtin functions and classes, such as dict, do not tell
        return {}
    return {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_POSITIONAL
    }


def required(function: Any) -> tuple[str, ...]:
    """Return the names of the parameters that have no default (``**values`` is none of them)."""
    return tuple(
        name
        for name, parameter in parameters(function).items()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    )


def by_position(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """Return what can be called with the values of these parameters by position."""
    known = parameters(function)
    if not (is_open(known) or known.keys() >= set(names)):
        return function  # it takes them as ``*values``
    simple = [
        name
        for name, parameter in known.items()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if tuple(simple[: len(names)]) == names:
        return function
    first = [
        name
        for name in simple[: len(names)]
        if known[name].kind is inspect.Parameter.POSITIONAL_ONLY
    ]

    if not first and len(names) == 1:
        [name] = names
        return lambda value: function(**{name: value})
    if not first:
        return lambda *values: function(**dict(zip(names, values, strict=True)))

    def call(*values: Any) -> Any:
        given = dict(zip(names, values, strict=True))
        return function(*[given.pop(name) for name in first], **given)

    return call


def annotation_of(function: Any, name: str) -> Any:
    """Return the annotation of a parameter, read if it is text; ``Parameter.empty`` without one.

    Only this one is read, since others may name what is imported for type checkers alone. Raises
    TypeError where it names what is not there.
    """
    annotation = parameters(function)[name].annotation
    called = inspect.unwrap(function)
    if inspect.isclass(called):
        called = called.__init__
    elif not hasattr(called, "__globals__") and not inspect.ismethod(called):
        called = type(called).__call__
    while isinstance(annotation, str):
        try:
            annotation = eval(annotation, called.__globals__)  # noqa: S307 - the application's own
        except Exception as error:
            raise TypeError(f"its annotation {annotation} cannot be read: {error}") from error
    return annotation


def is_named(parameter: inspect.Parameter, provider: Provider | None) -> bool:
    """Say whether a parameter with a default means a provider: a typed one has its annotation."""
    return provider is not None and not (provider.typed and parameter.annotation is parameter.empty)


def is_open(parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Say whether a function takes any name (``**values``)."""
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())


def is_async(function: Any) -> bool:
    """Say whether a function is written with ``async def``, as a generator or not."""
    called = called_by(function)
    return inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called)


def called_by(function: Any) -> Any:
    """Return the function that is called in the end: behind a partial, and behind an object."""
    while isinstance(function, partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def awaited(name: str) -> str:
    """Return the name of the provider that coroutine functions mean by `name`, if there is one."""
    return f"await {name}"


@dataclass(frozen=True)
class Provider:
    """One provider: its function, what it needs, and where it was written.

    With `closes` the value has a ``close`` method to be called at the end (a component), and one
    that `waits` does so for something outside. A `typed` one is bound to an annotation before it
    is used. For `inline` and `blocks` see `provider`.
    """

    name: str
    function: Callable[..., Any]
    scope: Scope
    needs: tuple[str, ...]
    where: str
    closes: bool = False
    typed: bool = False
    inline: bool = False
    blocks: bool | str = False
    waits: bool = False

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Provider:
        """Describe a provider function (marked or not: unmarked ones have request scope)."""
        name = getattr(function, "__kit_name__", getattr(function, "__name__", ""))
        return cls(
            awaited(name) if getattr(function, "__kit_awaited__", False) else name,
            function,
            getattr(function, "__kit_scope__", "request"),
            required(function),
            place(function),
            typed=getattr(function, "__kit_typed__", False),
            inline=getattr(function, "__kit_inline__", False),
            blocks=getattr(function, "__kit_blocks__", False),
        )

    @property
    def call(self) -> Callable[..., Any]:
        """What makes the value from the values of what it needs, by position."""
        return by_position(self.function, self.needs)

    @property
    def is_generator(self) -> bool:
        """Whether the value is yielded, and cleaned up after."""
        function = self.function
        return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)

    @cached_property
    def is_async(self) -> bool:
        """Whether it has to be awaited."""
        return is_async(self.function)


class Providers:
    """All providers of an application, and the values of those of application scope.

    `hints` maps names that are not provided to what says in a sentence how to have them.
    """

    def __init__(self, hints: Mapping[str, Callable[[], str]] | None = None) -> None:
        self.all: dict[str, Provider] = {}
        self.problems: list[Problem] = []
        self._hints = dict(hints or {})
        self._values: dict[str, Any] = {}
        self._open: list[Callable[[], Any]] = []
        self._shared: set[str] = set()

    def add(self, provider: Provider) -> None:
        """Add a provider; two of one name are a problem that shows both places."""
        other = self.all.setdefault(provider.name, provider)
        if other is not provider:
            self.problems.append(
                Problem(
                    provider.where,
                    f"provides {provider.name!r}, and so does {other.where}.",
                    "Rename one of them.",
                )
            )

    def constant(self, name: str, value: Any, where: str = "the kernel") -> None:
        """Add a provider of application scope whose value is there already."""
        self.add(Provider(name, lambda: value, "app", (), where))
        self._values[name] = value

    def order(
        self,
        needs: Iterable[str],
        given: Iterable[str],
        where: str,
        bound: Mapping[str, Provider] | None = None,
    ) -> list[Provider]:
        """Return the providers behind `needs`, each after those that it needs itself.

        Names in `given` come from elsewhere (the path); `bound` are typed providers with their
        annotation. Unknown names, cycles and wrong scopes are added to the problems, with `where`
        as the place that needs them.
        """
        found: dict[str, Provider] = {}
        known = {**self.all, **(bound or {})}
        for name in needs:
            if name not in given:
                self._visit(name, where, (), found, known)
        return list(found.values())

    def _visit(
        self,
        name: str,
        where: str,
        chain: tuple[Provider, ...],
        found: dict[str, Provider],
        known: Mapping[str, Provider],
    ) -> None:
        provider = known.get(name)
        if provider is None:
            names = listing(one for one in known if one.isidentifier())
            helped = name in self._hints or nearest(name, self.all)
            self._problem(where, self._unknown(name), "" if helped else f"Provided are: {names}.")
        elif provider in chain:
            circle = [*chain[chain.index(provider) :], provider]
            steps = " -> ".join(f"{one.name} ({one.where})" for one in circle)
            self._problem(where, f"providers go in a circle: {steps}.", "Break it at one of them.")
        elif found.get(name) is provider:
            self._check_scope(provider, chain)
        elif not provider.typed:  # one that is not bound is a problem already
            self._check_scope(provider, chain)
            for need in self.needs(provider):
                self._visit(need, provider.where, (*chain, provider), found, known)
            found[name] = provider

    def needs(self, provider: Provider) -> tuple[str, ...]:
        """Return the names of the providers behind the parameters of a provider."""
        return self.meant(provider.needs, provider.is_async, provider.name)

    def meant(self, names: tuple[str, ...], is_async: bool, own: str = "") -> tuple[str, ...]:
        """Return the names of the providers that a function means by the names it has for them."""
        if not is_async:
            return names
        return tuple(
            awaited(name) if awaited(name) in self.all and awaited(name) != own else name
            for name in names
        )

    def waiting(self, names: Iterable[str]) -> set[str]:
        """Return the components behind `names` that wait for something outside."""
        found: set[str] = set()
        names, seen = list(names), set[str]()
        while names:
            one = self.all.get(name := names.pop())
            if one is not None and name not in seen:
                seen.add(name)
                names += self.needs(one)
                found |= {name} if one.waits else set()
        return found

    def blocks(self, name: str) -> bool:
        """Say whether the methods of a value wait."""
        blocks = self.all[name].blocks if name in self.all else False
        if isinstance(blocks, str):
            return not getattr(self.value(blocks), "awaited", False)
        return blocks

    def _check_scope(self, provider: Provider, chain: tuple[Provider, ...]) -> None:
        if chain and chain[-1].scope == "app" and provider.scope == "request":
            self._problem(
                chain[-1].where,
                f"{chain[-1].name!r} lives as long as the application, and cannot name"
                f" {provider.name!r} ({provider.where}), which lives for one request.",
                f'Mark {chain[-1].name!r} with scope="request", or {provider.name!r} with "app".',
            )

    def bind(
        self, functions: Iterable[Callable[..., Any]], given: Iterable[str], where: str
    ) -> dict[str, Provider]:
        """Bind the typed providers that `functions` name, themselves or through providers.

        All who name one in a plan share it, and one of them at least annotates it.
        """
        bound: dict[str, Provider] = {}
        for name, (annotation, place_of) in self.annotations(functions, given).items():
            if annotation is inspect.Parameter.empty:
                what = f"{name!r} has no annotation that says what it holds."
                self._problem(place_of or where, what, self._how_to_annotate(name))
                continue
            try:
                one = self._bound(self.all[name], annotation)
            except TypeError as error:
                self._problem(place_of or where, f"{name!r}: {error}", self._how_to_annotate(name))
            else:
                bound[name] = one
        return bound

    def annotations(
        self, functions: Iterable[Callable[..., Any]], given: Iterable[str] = ()
    ) -> dict[str, tuple[Any, str]]:
        """Return the annotation of each typed provider that `functions` name, and where it is."""
        found: dict[str, tuple[Any, str]] = {}
        waiting, seen = list(functions), set[str](given)
        while waiting:
            function = waiting.pop(0)
            for name, parameter in parameters(function).items():
                one = self.all.get(name)
                optional = parameter.default is not parameter.empty
                if one is None or name in given or (optional and not is_named(parameter, one)):
                    continue
                if one.typed:
                    if found.get(name, _UNKNOWN)[0] is inspect.Parameter.empty:
                        found[name] = (self._annotation(function, name), place(function))
                elif name not in seen and one.scope == "request":
                    seen.add(name)
                    waiting.append(one.function)
        return found

    def _annotation(self, function: Callable[..., Any], name: str) -> Any:
        try:
            return annotation_of(function, name)
        except TypeError as error:
            self._problem(place(function), f"{name!r}: {error}", self._how_to_annotate(name))
            return inspect.Parameter.empty

    def _bound(self, typed: Provider, annotation: Any) -> Provider:
        values = [annotation if n == "annotation" else self.value(n) for n in typed.needs]
        one = Provider.of(typed.call(*values))
        return replace(one, name=typed.name, where=typed.where, typed=False, inline=typed.inline)

    @staticmethod
    def _how_to_annotate(name: str) -> str:
        return f"Write for example {name}: {name.capitalize()}[Contact], with the class to read."

    def _unknown(self, name: str) -> str:
        hint = self._hints.get(name)
        return f"nothing provides {name!r}.{f' {hint()}' if hint else nearest(name, self.all)}"

    def _problem(self, where: str, what: str, mend: str) -> None:
        problem = Problem(where, what, mend)
        if problem not in self.problems:
            self.problems.append(problem)

    def value(self, name: str) -> Any:
        """Return the value of a provider of application scope, made when first asked for."""
        if name not in self._values:
            provider = self.all[name]
            value = provider.call(*[self.value(need) for need in self.needs(provider)])
            if provider.is_generator:
                go_on = _anext if provider.is_async else next
                self._open.append(partial(go_on, value, None))
                value = go_on(value, _NOTHING)
                if value is _NOTHING:
                    raise RuntimeError("it ended without a yield")
            elif provider.is_async:
                value = wait(value)
            self._values[name] = value
        return self._values[name]

    def constants(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the values of providers of application scope; failures are added to problems."""
        values = {}
        for name in names:
            try:
                values[name] = self.value(name)
            except ConfigError as error:
                self.problems.extend(p for p in error.problems if p not in self.problems)
            except Exception as error:
                what = f"{name!r} could not be made: {type(error).__name__}: {error}"
                problem = Problem(self.all[name].where, what, "", error)
                if problem not in self.problems:
                    self.problems.append(problem)
        return values

    def replaced(self, values: Mapping[str, Any], anew: Iterable[str] = ()) -> Providers:
        """Return a copy in which `values` stand for the providers of these names.

        It shares the values that are made already, except those in `anew` and what needs them.
        """
        copy = Providers(self._hints)
        hidden = {*values, *map(awaited, values)}
        copy.all = {name: one for name, one in self.all.items() if name not in hidden}
        for name, value in values.items():
            copy.constant(name, value, "override")
        changed = {*values, *anew}
        for name, value in self._values.items():
            if name not in changed and not self._depends(name, changed):
                copy._values[name] = value
                copy._shared.add(name)
        return copy

    def _depends(self, name: str, on: set[str]) -> bool:
        needs = self.all[name].needs
        return any(need in on or self._depends(need, on) for need in needs)

    def close(self) -> None:
        """Finish the providers of application scope, the last made first, and then components.

        All are finished, whatever one of them raises; the first exception is raised at the end.
        """
        ends = self._open[::-1]
        for name, value in reversed(list(self._values.items())):
            if self.all[name].closes and name not in self._shared:
                ends.append(value.close)
        self._open.clear()
        self._values.clear()
        errors = []
        for end in ends:
            try:
                end()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]


def _anext(generator: AsyncGenerator[Any, None], default: Any) -> Any:
    """Return what an asynchronous generator yields next."""

    async def first() -> Any:
        return await anext(generator, default)

    return wait(first())
