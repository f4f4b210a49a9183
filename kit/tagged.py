"""JSON that keeps the types of its values: those that JSON lacks are objects with one key.

A date is ``{"$date": "2026-01-31"}``, and a dict that looks like that is told apart from it.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from markupsafe import Markup

KEPT = (
    "str, int, float, bool, None, list, dict with str keys, and datetime, date, bytes, Decimal,"
    " UUID, set, tuple, Markup"
)
"""What can be written, in words."""

_TAGS: dict[type, tuple[str, Callable[[Any], object], Callable[[Any], object]]] = {
    datetime: ("$datetime", datetime.isoformat, datetime.fromisoformat),
    date: ("$date", date.isoformat, date.fromisoformat),
    bytes: ("$bytes", lambda value: b64encode(value).decode(), b64decode),
    Decimal: ("$decimal", str, Decimal),
    UUID: ("$uuid", str, UUID),
    Markup: ("$markup", str, Markup),
    tuple: ("$tuple", list, tuple),
    set: ("$set", list, set),
}
_READERS = {name: read for name, _, read in _TAGS.values()} | {"$dict": dict}
_PLAIN = frozenset({str, int, bool, type(None)})
_DEEPEST = 64
_encode = msgspec.json.Encoder().encode


def dumps(value: object) -> bytes:
    """Return `value` as JSON; equal sets give equal bytes.

    Raises TypeError, which says what is in it, for what is not of the types in `KEPT`.
    """
    try:
        return _encode(_tag(value))
    except UnicodeEncodeError as error:
        raise TypeError(str(error)) from error


def loads(text: bytes | msgspec.Raw) -> Any:
    """Return the value that `dumps` turned into `text`."""
    text = bytes(text)
    value = msgspec.json.decode(text)
    # Compact JSON has these three bytes only where an object starts with such a key.
    return _untag(value) if b'{"$' in text else value


def _tag(value: Any, depth: int = 0) -> Any:
    kind = type(value)
    if kind in _PLAIN or (kind is float and math.isfinite(value)):
        return value
    if depth == _DEEPEST:
        raise TypeError(f"a value nested more than {_DEEPEST} levels deep")
    if kind is list:
        return [_tag(item, depth + 1) for item in value]
    if kind is dict:
        if not all(type(key) is str for key in value):
            raise TypeError("a dict with keys that are not str")
        if any(key.startswith("$") for key in value):
            return {"$dict": _tag([[key, item] for key, item in value.items()], depth + 1)}
        return {key: _tag(item, depth + 1) for key, item in value.items()}
    if kind not in _TAGS:
        raise TypeError(f"the float {value}" if kind is float else f"a {kind.__name__}")
    name, write, _ = _TAGS[kind]
    tagged = _tag(write(value), depth + 1)
    return {name: sorted(tagged, key=_encode) if kind is set else tagged}


def _untag(value: Any) -> Any:
    if type(value) is list:
        return [_untag(item) for item in value]
    if type(value) is not dict:
        return value
    read = {key: _untag(item) for key, item in value.items()}
    if len(read) == 1:
        ((name, item),) = read.items()
        if name in _READERS:
            return _READERS[name](item)
    return read
