"""What a handler returns, by its annotation: statuses, and the types of what is shown."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from markupsafe import Markup
from werkzeug.wrappers import Response

from kit.slots.formats import Data

UNKNOWN: Any = inspect.Signature.empty
"""Stands for a type that nothing is said about."""

_MANY = (Iterable, Iterator)


@dataclass(frozen=True)
class Result:
    """One way in which a handler may answer.

    `status` is None where the annotation does not tell. `kind` is ``data``, ``page`` (data with
    perhaps a template), ``html``, ``bytes``, ``nothing`` or ``unknown``; of data `type` is the
    class.
    """

    status: int | None
    kind: str
    type: Any = UNKNOWN


def results(handler: Callable[..., Any]) -> list[Result]:
    """Return the ways in which a handler may answer: what its annotation says, at least one."""
    found: list[Result] = []
    for result in _results(_annotation(handler)):
        if result not in found:
            found.append(result)
    return found


def _annotation(handler: Callable[..., Any]) -> Any:
    """Return the annotation of what a handler returns; `UNKNOWN` where it cannot be read."""
    function = inspect.unwrap(handler)
    if not hasattr(function, "__annotations__"):
        function = type(function).__call__
    found = getattr(function, "__annotations__", {}).get("return", UNKNOWN)
    if not isinstance(found, str):
        return found
    try:
        return eval(found, getattr(function, "__globals__", {}))  # noqa: S307 - the author's code
    except Exception:  # it names what is imported for type checkers alone
        return UNKNOWN


def _results(annotation: Any) -> Iterator[Result]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _results(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from _results(one)
    elif origin is tuple:
        yield from _with_status(get_args(annotation))
    else:
        yield _result(annotation, origin)


def _with_status(parts: tuple[Any, ...]) -> Iterator[Result]:
    first, *rest = parts
    statuses: list[int | None] = [200]
    for one in rest:
        if one is int:
            statuses = [None]
        elif get_origin(one) is Literal:
            statuses = [value for value in get_args(one) if isinstance(value, int)]
    for result in _results(first):
        for status in statuses:
            nothing = status in (204, 304)
            yield Result(status, "nothing" if nothing else result.kind, result.type)


def _result(annotation: Any, origin: Any) -> Result:
    if annotation in (None, types.NoneType):
        return Result(204, "nothing")
    if annotation is Data or origin is Data:
        return Result(200, "page", _rows(*get_args(annotation) or (UNKNOWN,)))
    if annotation in (UNKNOWN, Any, object) or _is(annotation, Response):
        return Result(None, "unknown")
    if _is(annotation, str) or annotation is Markup:
        return Result(200, "html")
    if _is(annotation, bytes):
        return Result(200, "bytes")
    if isinstance(origin, type) and issubclass(origin, Iterator):
        return Result(200, "html")
    return Result(200, "data", annotation)


def _is(annotation: Any, kind: type) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, kind)


def _rows(annotation: Any) -> Any:
    """Return the type of data, of an iterator of rows that of the list of them."""
    origin = get_origin(annotation)
    if isinstance(origin, type) and issubclass(origin, Iterable) and hasattr(origin, "__next__"):
        return list[get_args(annotation)[0]]  # type: ignore[misc]  # it is only known here
    return annotation
