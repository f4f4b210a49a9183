"""Values: what a field of a record may hold, checked the same for every database.

A database would refuse, round, cut or change some values, each its own. So a value is checked
before any database sees it, and comes to all of them in one form.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from kit.errors import InvalidValue
from kit.slots.persistence.records import Column
from kit.slots.persistence.statements import Convert

BIGGEST = 2**63 - 1
LONGEST_PATTERN = 10_000


def checker(column: Column, *, stored: bool = True) -> Convert:
    """Return a function that gives a value of `column` back in its neutral form.

    Enum members become their values, datetimes UTC, Decimals get all their places. The function
    raises `kit.errors.InvalidValue` for a value of another type, and for what some database could
    not store; for what breaks a limit of the field only where the value is to be `stored`, since
    a lookup for it simply finds nothing.
    """
    convert = KINDS[column.kind]
    if column.digits:
        convert = _decimal(column)
    if column.enum:
        convert = _enum(column.enum)
    limits = _limits(column) if stored else []

    def check(value: Any) -> Any:
        if value is None and column.null:
            return None
        try:
            value = convert(value)
            for limit in limits:
                limit(value)
        except InvalidValue as error:
            raise InvalidValue(f"{column.name}: {error}") from None
        return value

    return check


def check_pattern(value: Any) -> str:
    """Return the text of a lookup such as ``contains``; raise InvalidValue for other values."""
    text = _str(value)
    if len(text) > LONGEST_PATTERN:
        raise InvalidValue(f"a text to look for has at most {LONGEST_PATTERN} characters")
    return text


def check_count(value: Any) -> int:
    """Return a limit or offset; raise InvalidValue if it is negative or no int."""
    if _int(value) < 0:
        raise InvalidValue("limit and offset are not negative")
    return int(value)


def _wrong(value: object, wanted: str) -> InvalidValue:
    found = "None" if value is None else f"a {type(value).__name__}"
    return InvalidValue(f"{found} where {wanted} is needed")


def _int(value: Any) -> int:
    if type(value) is not int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong(value, "an int")
        value = int(value)
    if not -BIGGEST - 1 <= value <= BIGGEST:
        raise InvalidValue("the number needs more than 64 bits")
    return int(value)


def _float(value: Any) -> float:
    if type(value) not in (float, int):
        raise _wrong(value, "a float")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidValue("the number is not finite")
    return number


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(value, "a str")
    if "\0" in value:
        raise InvalidValue("the text has a NUL character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidValue("the text has a lone surrogate") from None
    return value if type(value) is str else str.__str__(value)


def _decimal(column: Column) -> Convert:
    assert column.digits  # noqa: S101 - a Decimal column has them
    places, unit = column.digits.places, Decimal(1).scaleb(-column.digits.places)
    bound = Decimal(10) ** (column.digits.total - places)

    def convert(value: Any) -> Decimal:
        if type(value) is int:
            value = Decimal(value)
        if not isinstance(value, Decimal):
            raise _wrong(value, "a Decimal")
        if not value.is_finite() or abs(value) >= bound:
            raise InvalidValue(f"the number is not below {bound}")
        exact = value.quantize(unit)
        if exact != value:
            raise InvalidValue(f"the number has more than {places} decimal places")
        return exact if exact else abs(exact)

    return convert


def _enum(enum: type[Enum]) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, enum):
            raise _wrong(value, f"a {enum.__name__}")
        return value.value

    return convert


def _datetime(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise _wrong(value, "a datetime")
    if value.utcoffset() is None:
        raise InvalidValue("the datetime has no time zone")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidValue("the datetime is out of range in UTC") from None


def _date(value: Any) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _wrong(value, "a date")
    return value


def _time(value: Any) -> time:
    if not isinstance(value, time):
        raise _wrong(value, "a time")
    if value.tzinfo:
        raise InvalidValue("the time has a time zone")
    return value


def _plain(kind: type) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, kind):
            raise _wrong(value, f"a {kind.__name__}")
        return value

    return convert


KINDS: dict[str, Convert] = {
    "int": _int,
    "float": _float,
    "str": _str,
    "bool": _plain(bool),
    "bytes": _plain(bytes),
    "datetime": _datetime,
    "date": _date,
    "time": _time,
    "decimal": _plain(Decimal),
    "uuid": _plain(UUID),
}


def _limits(column: Column) -> list[Callable[[Any], None]]:
    """Return functions that raise InvalidValue where a value breaks a limit of the field."""
    tests: dict[str, tuple[Callable[[Any, Any], object], str]] = {
        "max_length": (lambda value, limit: len(value) <= limit, "longer than {}"),
        "min_length": (lambda value, limit: len(value) >= limit, "shorter than {}"),
        "pattern": (lambda value, limit: re.search(limit, value), "not of the form {}"),
        "ge": (lambda value, limit: value >= limit, "less than {}"),
        "gt": (lambda value, limit: value > limit, "not more than {}"),
        "le": (lambda value, limit: value <= limit, "more than {}"),
        "lt": (lambda value, limit: value < limit, "not less than {}"),
    }

    def limit(name: str, bound: Any) -> Callable[[Any], None]:
        test, message = tests[name]

        def check(value: Any) -> None:
            if not test(value, bound):
                raise InvalidValue(f"the value is {message.format(bound)}")

        return check

    limits = dict(column.limits)
    if column.length is not None and not column.enum:
        limits["max_length"] = column.length
    return [limit(name, bound) for name, bound in limits.items()]
