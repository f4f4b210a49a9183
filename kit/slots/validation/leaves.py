"""Leaves: what one raw value means that has no others in it, or why it cannot be read."""

from __future__ import annotations

import math
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID

from kit.slots.persistence.values import BIGGEST
from kit.slots.validation.fields import NOTHING, Field
from kit.slots.validation.uploads import Upload

_INTEGER = re.compile(r"[+-]?[0-9]{1,100}").fullmatch
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,100}(?:\.[0-9]{0,100})?|\.[0-9]{1,100})").fullmatch
_FLOAT = re.compile(
    r"[+-]?(?:[0-9]{1,100}(?:\.[0-9]{0,100})?|\.[0-9]{1,100})(?:[eE][+-]?[0-9]{1,3})?"
).fullmatch
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?").fullmatch
_DATETIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})?"
).fullmatch
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?)(?:[0-9a-fA-F]{4}\1){3}[0-9a-fA-F]{12}").fullmatch
_TRUE = frozenset({"on", "true", "1", "yes"})
_FALSE = frozenset({"", "off", "false", "0", "no"})


class Refusal(Exception):  # noqa: N818 - it never leaves the slot
    """A value that cannot be read, with the code that says why."""

    def __init__(self, code: str, **params: Any) -> None:
        self.code = code
        self.params = params


Convert = Callable[[Any], Any]
"""Takes a raw value, and returns it as the type of its field, or raises `Refusal`."""


def switch(field: Field, absent: Convert) -> Convert:
    """Return what reads a checkbox: a box that is not ticked sends nothing, or an empty text."""

    def take(raw: Any) -> Any:
        if isinstance(raw, list):
            raw = raw[-1] if raw else NOTHING  # a hidden field goes before the box
        if raw is NOTHING or raw is None:
            return absent(raw) if field.has_default or field.null else False
        answer = raw.strip().lower() if isinstance(raw, str) else "?"
        if answer in _TRUE:
            return True
        if answer in _FALSE:
            return absent(raw) if answer == "" and field.null else False
        raise Refusal("not_boolean")

    return take


def from_text(field: Field, zone: tzinfo) -> Convert:
    """Return what reads text that is not empty, or an upload."""
    match field.kind:
        case "str":
            return _line
        case "int":
            return lambda raw: _int(raw) if _is(raw, _INTEGER) else _refuse("not_integer")
        case "float":
            return lambda raw: _float(raw) if _is(raw, _FLOAT) else _refuse("not_number")
        case "datetime":
            return lambda raw: _datetime(raw, zone)
        case "choice":
            return _chosen(field, {choice.text: choice.value for choice in field.choices})
        case "bytes":
            file = _file(field)
            return lambda raw: file(raw).read()
    return _from_either(field)


def from_data(field: Field) -> Convert:
    """Return what reads a value that a format such as JSON has decoded."""
    match field.kind:
        case "str":
            return checked_text
        case "int":
            return lambda raw: _int(raw) if type(raw) is int else _refuse("not_integer")
        case "float":
            return lambda raw: _float(raw) if type(raw) in (float, int) else _refuse("not_number")
        case "bool":
            return lambda raw: raw if type(raw) is bool else _refuse("not_boolean")
        case "decimal":
            read = _decimal(field)
            return lambda raw: read(_plain(raw) if type(raw) in (int, float) else raw)
        case "datetime":
            return lambda raw: _datetime(raw, None)
        case "choice":
            values = {getattr(c.value, "value", c.value): c.value for c in field.choices}
            return _chosen(field, values)
        case "bytes":
            return _base64(field)
    return _from_either(field)


def _from_either(field: Field) -> Convert:
    """Return what reads values that look the same in text and in data."""
    if field.kind == "decimal":
        return _decimal(field)
    if field.kind == "file":
        return _file(field)
    return {"date": _date, "time": _time, "uuid": _uuid, "any": lambda raw: raw}[field.kind]


def _refuse(code: str) -> Any:
    raise Refusal(code)


def _is(raw: Any, pattern: Callable[[str], Any]) -> bool:
    return isinstance(raw, str) and pattern(raw) is not None


def checked_text(raw: Any) -> str:
    """Return a text that every database can store; raise Refusal for anything else."""
    if type(raw) is not str:
        raise Refusal("not_text")
    if "\0" in raw:
        raise Refusal("bad_text")
    if not raw.isascii():
        try:
            raw.encode()
        except UnicodeEncodeError:
            raise Refusal("bad_text") from None
    return raw


def _line(raw: Any) -> str:
    """Read text of a form, in which browsers end lines with CR LF (and count that as one)."""
    text = checked_text(raw)
    return text.replace("\r\n", "\n") if "\r" in text else text


def _int(raw: Any) -> int:
    number = int(raw)
    if not -BIGGEST - 1 <= number <= BIGGEST:
        low = number < 0
        limit = -BIGGEST - 1 if low else BIGGEST
        raise Refusal("too_small" if low else "too_large", limit=limit)
    return number


def _float(raw: Any) -> float:
    try:
        number = float(raw)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Refusal("not_number")
    return number


def _plain(number: float) -> str:
    """Return a number as its shortest text, without an exponent."""
    return format(Decimal(repr(number)), "f")


def _decimal(field: Field) -> Convert:
    """Return what reads a Decimal and checks digits and bounds, which some libraries cannot."""
    bounds = [(*_BOUNDS[name], bound) for name, bound in field.limits.items()]
    most, places = Decimal("Infinity"), 200
    if field.digits is not None:
        places = field.digits.places
        most = Decimal(10) ** (field.digits.total - places)

    def read(raw: Any) -> Decimal:
        if isinstance(raw, Decimal) and raw.is_finite() and abs(raw.adjusted()) < 100:
            raw = format(raw, "f")
        if not _is(raw, _NUMBER):
            raise Refusal("not_decimal")
        if len(raw.partition(".")[2].rstrip("0")) > places:
            raise Refusal("too_many_places", limit=places)
        number = Decimal(raw)
        if abs(number) >= most:
            code, limit = ("not_below", most) if number > 0 else ("not_above", -most)
            raise Refusal(code, limit=limit)
        for code, keeps, bound in bounds:
            if not keeps(number, bound):
                raise Refusal(code, limit=bound)
        return number

    return read


_BOUNDS: dict[str, tuple[str, Callable[[Decimal, Decimal], bool]]] = {
    "ge": ("too_small", lambda number, bound: number >= bound),
    "gt": ("not_above", lambda number, bound: number > bound),
    "le": ("too_large", lambda number, bound: number <= bound),
    "lt": ("not_below", lambda number, bound: number < bound),
}


def _datetime(raw: Any, zone: tzinfo | None) -> datetime:
    """Read a moment; `zone` is for text without one, None refuses that."""
    try:
        moment = datetime.fromisoformat(raw.upper()) if _is(raw, _DATETIME) else raw
        if not isinstance(moment, datetime):
            raise Refusal("not_datetime")
        if moment.utcoffset() is None:
            moment = _placed(moment, zone)
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refusal("not_datetime") from None
    return moment


def _placed(moment: datetime, zone: tzinfo | None) -> datetime:
    if zone is None:
        raise Refusal("no_zone")
    there = moment.replace(tzinfo=zone)
    if there.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
        raise Refusal("not_datetime")  # the hour that summer time leaves out
    return there


def _date(raw: Any) -> date:
    if _is(raw, _DATE):
        try:
            return date.fromisoformat(raw)
        except ValueError:
            raise Refusal("not_date") from None
    if not isinstance(raw, date) or isinstance(raw, datetime):
        raise Refusal("not_date")
    return raw


def _time(raw: Any) -> time:
    if _is(raw, _TIME):
        try:
            return time.fromisoformat(raw)
        except ValueError:
            raise Refusal("not_time") from None
    if not isinstance(raw, time) or raw.tzinfo:
        raise Refusal("not_time")
    return raw


def _uuid(raw: Any) -> UUID:
    if isinstance(raw, UUID):
        return raw
    if not _is(raw, _UUID):
        raise Refusal("not_uuid")
    return UUID(raw)


def _chosen(field: Field, values: Mapping[Any, Any]) -> Convert:
    by_type = {(type(key), key): value for key, value in values.items()}
    shown = ", ".join(choice.text for choice in field.choices)

    def read(raw: Any) -> Any:
        kind = type(raw)
        if kind not in (str, int) or (kind, raw) not in by_type:
            raise Refusal("not_choice", choices=shown)
        return by_type[kind, raw]

    return read


def _base64(field: Field) -> Convert:
    def read(raw: Any) -> bytes:
        try:
            content = b64decode(raw, validate=True) if isinstance(raw, str) else raw
        except ValueError:
            raise Refusal("not_bytes") from None
        if not isinstance(content, bytes):
            raise Refusal("not_bytes")
        if field.max_size is not None and len(content) > field.max_size:
            raise Refusal("file_too_large", limit=field.max_size)
        return content

    return read


def _file(field: Field) -> Convert:
    def read(raw: Any) -> Upload:
        if not isinstance(raw, Upload):
            raise Refusal("not_file")
        if field.max_size is not None and raw.size > field.max_size:
            raise Refusal("file_too_large", limit=field.max_size)
        if field.media_types and raw.media_type not in field.media_types:
            raise Refusal("file_type", choices=", ".join(field.media_types))
        return raw

    return read
