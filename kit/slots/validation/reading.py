"""Reading: what untrusted data mean, the same for every component.

A reader turns one raw value into a value of the field's type, or refuses it with a code. There are
two kinds of raw data: text, as forms, queries, paths and headers have it, and what JSON and the
like decode to. Whether a value keeps the limits of its field is for the component to say.
"""

from __future__ import annotations

import math
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as member
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID

from kit.slots.persistence.values import BIGGEST
from kit.slots.validation.fields import NOTHING, Field
from kit.slots.validation.uploads import Upload

MOST_FAILURES = 1000
"""No more mistakes than this are looked for in one input."""

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


@dataclass(frozen=True)
class Failure:
    """A mistake in input: the path of its field (``items.0.name``, ``""`` for the whole) and why.

    `code` is one of `kit.slots.validation.messages.ENGLISH`; `params` are the values that its
    message names.
    """

    field: str
    code: str
    params: Mapping[str, Any] = member(default_factory=dict)


class Refusal(Exception):  # noqa: N818 - it never leaves the slot
    """A value that cannot be read, with the code that says why."""

    def __init__(self, code: str, **params: Any) -> None:
        self.code = code
        self.params = params


Convert = Callable[[Any], Any]
Read = Callable[[Any, str, list[Failure]], Any]
"""Takes a raw value, its path and a list for failures; returns what was read, or `NOTHING`."""


def reader(field: Field, *, text: bool, refuse: bool, zone: tzinfo) -> Read:
    """Return what reads a field and everything in it.

    With `refuse` unknown members of objects are failures. Times without a zone are in `zone`,
    which only text may lack.
    """
    rules = _Rules(text, refuse, zone)
    return rules.branch(field) if field.kind in ("object", "list") else rules.single(field)


class _Rules:
    """How to read, for one kind of raw data."""

    def __init__(self, text: bool, refuse: bool, zone: tzinfo) -> None:
        self.text = text
        self.refuse = refuse
        self.zone = zone

    def branch(self, field: Field) -> Read:
        """Return what reads an object or a list."""
        return self.object(field) if field.kind == "object" else self.list(field)

    def single(self, field: Field) -> Read:
        """Return what reads a field that has none in it, and notes why it cannot."""
        take = self.leaf(field)

        def read(raw: Any, path: str, failures: list[Failure]) -> Any:
            try:
                return take(raw)
            except Refusal as refusal:
                failures.append(Failure(path, refusal.code, refusal.params))
                return NOTHING

        return read

    def leaf(self, field: Field) -> Convert:
        """Return what reads a field that has none in it, or raises Refusal."""
        absent = _absent(field, self.text)
        if not self.text:
            convert = _from_data(field)

            def take_data(raw: Any) -> Any:
                return absent(raw) if raw is None or raw is NOTHING else convert(raw)

            return take_data
        if field.kind == "bool":
            return _switch(field, absent)
        convert = _from_text(field, self.zone)
        keep = field.widget == "password"

        def take(raw: Any) -> Any:
            if type(raw) is str:
                raw = raw if keep else raw.strip()
                return convert(raw) if raw else absent("")
            if raw is None or raw is NOTHING:
                return absent(raw)
            if isinstance(raw, list):
                raise Refusal("repeated")
            return convert(raw)

        return take

    def object(self, field: Field) -> Read:
        """Return what reads an object into a dict."""
        leaves = [(f.name, self.leaf(f)) for f in field.fields if f.kind not in ("object", "list")]
        inner = [(f.name, self.branch(f)) for f in field.fields if f.kind in ("object", "list")]
        known = {f.name for f in field.fields}
        absent, refuse = _absent(field, self.text), self.refuse
        may_be_blank = self.text and field.name != ""

        def read(raw: Any, path: str, failures: list[Failure]) -> Any:
            if raw is None or raw is NOTHING or (may_be_blank and is_blank(raw)):
                if not (self.text and field.required):
                    return _noted(absent, raw, path, failures)
                raw = {}
            if not isinstance(raw, Mapping):
                failures.append(Failure(path, "not_object"))
                return NOTHING
            prefix = f"{path}." if path else ""
            values = {}
            get = raw.get
            for name, take in leaves:
                try:
                    value = take(get(name, NOTHING))
                except Refusal as refusal:
                    failures.append(Failure(prefix + name, refusal.code, refusal.params))
                else:
                    if value is not NOTHING:
                        values[name] = value
            for name, read_inner in inner:
                value = read_inner(get(name, NOTHING), prefix + name, failures)
                if value is not NOTHING:
                    values[name] = value
            if refuse:
                failures.extend(unknown(raw, known, prefix))
            return values

        return read

    def list(self, field: Field) -> Read:
        """Return what reads a list into its container."""
        assert field.item  # noqa: S101 - a list has one
        item, container = field.item, field.cls
        read_item = self.branch(item) if item.kind == "object" else self.single(item)
        absent = _absent(field, self.text)

        def read(raw: Any, path: str, failures: list[Failure]) -> Any:
            if raw is None or raw is NOTHING:
                return _noted(absent, raw, path, failures)
            if self.text:
                raw = raw if isinstance(raw, list) else [raw]
                raw = [one for one in raw if not is_blank(one)] if field.name else raw
                if not raw and field.null:
                    return None
            if not isinstance(raw, (list, tuple)):
                failures.append(Failure(path, "not_list"))
                return NOTHING
            prefix = f"{path}." if path else ""
            values = []
            for number, one in enumerate(raw):
                values.append(read_item(one, f"{prefix}{number}", failures))
                if len(failures) >= MOST_FAILURES:
                    break
            return container(values)

        return read


def is_blank(raw: Any) -> bool:
    """Say whether nothing was written in a field of a form, or in any that it consists of."""
    if isinstance(raw, str):
        return not raw.strip()
    if isinstance(raw, Mapping):
        return all(map(is_blank, raw.values()))
    return isinstance(raw, list) and all(map(is_blank, raw))


def unknown(raw: Mapping[Any, Any], known: set[str], prefix: str) -> list[Failure]:
    """Return a failure for each member of `raw` that is not known."""
    names = [name for name in raw if name not in known][:MOST_FAILURES]
    return [Failure(f"{prefix}{name!s:.100}", "unknown") for name in names]


def _noted(absent: Convert, raw: Any, path: str, failures: list[Failure]) -> Any:
    try:
        return absent(raw)
    except Refusal as refusal:
        failures.append(Failure(path, refusal.code, refusal.params))
        return NOTHING


def _absent(field: Field, text: bool) -> Convert:
    """Return what says what no input means: raw is `NOTHING`, or else None or empty text."""
    has_default, is_list = field.has_default, field.kind == "list"
    code = "no_file" if field.widget == "file" else "missing"

    def absent(raw: Any) -> Any:
        if field.null and (raw is not NOTHING or not has_default):
            return None
        if has_default:
            return NOTHING
        if is_list and text:
            return field.cls()
        raise Refusal(code)

    return absent


def _switch(field: Field, absent: Convert) -> Convert:
    """Return what reads a checkbox: a box that is not ticked sends nothing, or an empty text."""

    def take(raw: Any) -> Any:
        if isinstance(raw, list):
            raw = raw[-1] if raw else NOTHING  # a hidden field goes before the box
        answer = raw.strip().lower() if isinstance(raw, str) else raw
        if answer in _TRUE:
            return True
        if answer in _FALSE and not (answer == "" and field.null):
            return False
        if raw is NOTHING or answer == "":
            return absent(raw) if field.has_default or field.null else False
        raise Refusal("not_boolean")

    return take


def _from_text(field: Field, zone: tzinfo) -> Convert:
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


def _from_data(field: Field) -> Convert:
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
            return lambda raw: read(repr(raw) if type(raw) in (int, float) else raw)
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
        elif isinstance(raw, str) and "e" in raw and _FLOAT(raw):
            raw = format(Decimal(raw), "f")  # repr() of a float
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
    if _is(raw, _DATETIME):
        try:
            raw = datetime.fromisoformat(raw.upper())
        except ValueError:
            raise Refusal("not_datetime") from None
    if not isinstance(raw, datetime):
        raise Refusal("not_datetime")
    try:
        if raw.utcoffset() is None:
            if zone is None:
                raise Refusal("no_zone")
            there = raw.replace(tzinfo=zone)
            if there.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != raw:
                raise Refusal("not_datetime")  # the hour that summer time leaves out
            raw = there
        raw.astimezone(UTC)
    except OverflowError:
        raise Refusal("not_datetime") from None
    return raw


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
