"""Merging: checked values go into a record that is there, which keeps what they do not name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kit.slots.validation.describing import public_names
from kit.slots.validation.fields import Field, Part
from kit.slots.validation.reading import Failure
from kit.slots.validation.schemas import with_defaults


def merged(
    record: Any, fields: Sequence[Field], values: Mapping[str, Any], failures: list[Failure]
) -> dict[str, Any]:
    """Return the attributes that `values` give `record`, which is left as it is.

    Of a dataclass with a ``__post_init__`` they are what that makes of them, and what it rejects is
    among `failures`.
    """
    given = _given(record, fields, values, "", failures)
    if not (dataclasses.is_dataclass(record) and hasattr(record, "__post_init__")):
        return given
    made = _remade(record, given, "", failures)
    return {name: getattr(made, name) for name in given}


def _given(
    record: Any,
    fields: Sequence[Field],
    values: Mapping[str, Any],
    prefix: str,
    failures: list[Failure],
) -> dict[str, Any]:
    """Return what `values` may set in a record; files are left out, and what is private in it."""
    cls = type(record)
    known = public_names(cls) if dataclasses.is_dataclass(cls) else None
    files = {field.name for field in fields if field.kind == "file"}
    given = {
        name: value
        for name, value in values.items()
        if name not in files and (hasattr(record, name) if known is None else name in known)
    }
    for field in fields:
        if field.kind == "object" and field.name in given:
            path = prefix + field.name
            given[field.name] = _value(record, field, given[field.name], path, failures)
    return given


def _value(record: Any, field: Field, value: Any, path: str, failures: list[Failure]) -> Any:
    """Return the value of an attribute: an object in a record keeps what was not sent of it."""
    if not (isinstance(value, Mapping) or dataclasses.is_dataclass(value)):
        return value
    old = getattr(record, field.name)
    if dataclasses.is_dataclass(old):
        members = value if isinstance(value, Mapping) else _members(value, field.fields)
        given = _given(old, field.fields, members, f"{path}.", failures)
        return _remade(old, given, path, failures)
    if not isinstance(value, Part):
        return value
    if old is not None:
        raise TypeError(
            f"{path} of {type(record).__name__} is a {type(old).__name__}, and no dataclass that"
            " could keep what was not sent: set it from the values of the patch"
        )
    missing = list(_missing(value, f"{path}."))
    failures += missing
    return None if missing else _whole(value, path, failures)


def _members(value: Any, fields: Sequence[Field]) -> dict[str, Any]:
    """Return the attributes of an object that are fields, by name."""
    return {field.name: getattr(value, field.name) for field in fields}


def _remade(record: Any, given: Mapping[str, Any], path: str, failures: list[Failure]) -> Any:
    """Return a dataclass like `record`, but for what is given; the same one if that is rejected."""
    members = {
        one.name: getattr(record, one.name) for one in dataclasses.fields(record) if one.init
    }
    made = None if failures else _made(type(record), {**members, **given}, path, failures)
    return record if made is None else made


def _missing(part: Part, prefix: str) -> Iterator[Failure]:
    """Yield a failure for each field that a part would need to be whole."""
    for field in part.whole.fields:
        if field.name not in part and field.required:
            yield Failure(prefix + field.name, "missing")
        elif isinstance(part.get(field.name), Part):
            yield from _missing(part[field.name], f"{prefix}{field.name}.")


def _whole(part: Part, path: str, failures: list[Failure]) -> Any:
    """Return an object of a part that lacks nothing but what has a default."""
    values = {
        name: _whole(value, f"{path}.{name}", failures) if isinstance(value, Part) else value
        for name, value in part.items()
    }
    return _made(part.whole.cls, with_defaults(values, part.whole.fields), path, failures)


def _made(cls: Any, values: Mapping[str, Any], path: str, failures: list[Failure]) -> Any:
    try:
        return cls(**values)
    except ValueError as error:
        failures.append(Failure(path, "invalid", {"message": str(error)}))
        return None
