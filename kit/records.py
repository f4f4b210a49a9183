"""Records: plain typed dataclasses, read into neutral tables and columns.

A record is a dataclass whose field `id: int | None = None` is given by the store. Its other fields
are int, str, float, bool, bytes, datetime, date, time, Decimal, UUID or an Enum of str or int, each
of them optional with ``| None``. What a field's type cannot say stands in ``Annotated``::

    @dataclass
    class Page:
        title: Annotated[str, msgspec.Meta(max_length=100), Unique]
        owner: Annotated[int, References(User, on_delete="cascade")]
        price: Annotated[Decimal, Digits(10, places=2)]
        id: int | None = None

The table is called like the class in snake case, or as the class attribute ``__table__`` says.
Constraints over several fields stand in ``__constraints__ = (Unique("owner", "title"),)``.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Union
from uuid import UUID

import msgspec

from kit.errors import ConfigError, Problem, listing, nearest

OnDelete = Literal["restrict", "cascade", "set null"]

KINDS = {
    **{t: t.__name__ for t in (int, str, float, bool, bytes, datetime, date, time)},
    Decimal: "decimal",
    UUID: "uuid",
}
LIMITS = {
    "int": ("ge", "gt", "le", "lt"),
    "float": ("ge", "gt", "le", "lt"),
    "decimal": ("ge", "gt", "le", "lt"),
    "str": ("min_length", "max_length", "pattern"),
    "bytes": ("min_length", "max_length"),
}
LONGEST_KEY = 768
LONGEST_NAME = 60
MOST_DIGITS = 18


class Unique:
    """No two records have the same value: ``Annotated[str, Unique]``.

    With names, in ``__constraints__``: no two have the same values in all of these fields.
    Values of None are never the same as others.
    """

    def __init__(self, *fields: str) -> None:
        self.fields = fields


class Index(Unique):
    """Lookups and orderings by this field, or by these fields in this order, are frequent."""


@dataclass(frozen=True)
class References:
    """An int field holds the id of another record, which must exist.

    `record` is its class, or its name where the class is not yet defined. Deleting that record
    is refused, deletes this one too, or sets the field to None, as `on_delete` says.
    """

    record: type | str
    on_delete: OnDelete = "restrict"


@dataclass(frozen=True)
class Digits:
    """A Decimal field has at most `total` digits (18 at most), `places` of them after the point."""

    total: int
    places: int = 0


@dataclass(frozen=True, kw_only=True)
class Column:
    """A field of a record as a database sees it.

    `kind` is one of int, str, float, bool, bytes, datetime, date, time, decimal, uuid; an Enum
    has the kind of its values and its class in `enum`. `length` is the longest value in
    characters or bytes, None for any. `limits` holds what else ``msgspec.Meta`` says.
    `references` is the name of a table whose id this column holds.
    """

    name: str
    kind: str
    null: bool = False
    length: int | None = None
    digits: Digits | None = None
    enum: type[Enum] | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    references: str = ""
    on_delete: OnDelete = "restrict"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A record class as a database sees it: its columns in the order of the fields, `id` included.

    `unique` and `indexes` hold tuples of column names, for single columns too.
    """

    name: str
    record: type
    columns: tuple[Column, ...]
    unique: tuple[tuple[str, ...], ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()


class _Mistake(Exception):
    """A mistake in one field, with how to mend it."""


def tables(records: Iterable[type]) -> dict[type, Table]:
    """Return the table of each record class, in an order in which they can be created.

    Raises `kit.errors.ConfigError` with every mistake in every class, each with file and line.
    """
    records = list(dict.fromkeys(records))
    problems: list[Problem] = []
    found: dict[type, Table] = {}
    for record in records:
        table, mistakes = _table(record, records)
        problems += [Problem(_where(record), *mistake) for mistake in mistakes]
        twin = next((t.record for t in found.values() if table and t.name == table.name), None)
        if twin:
            problems.append(
                Problem(
                    _where(record),
                    f"{record.__name__} has the table {table.name!r}, like {twin.__name__}"
                    f" in {_where(twin)}"
                    if table
                    else "",
                    'Give one of them another: __table__ = "...".',
                )
            )
        elif table:
            found[record] = table
    if problems:
        raise ConfigError(problems)
    return _ordered(found)


def _where(record: type) -> str:
    try:
        return f"{inspect.getsourcefile(record)}:{inspect.getsourcelines(record)[1]}"
    except (OSError, TypeError):
        return f"{record.__module__}.{record.__qualname__}"


def _table(record: type, records: list[type]) -> tuple[Table | None, list[tuple[str, str]]]:
    name = record.__name__
    if not isinstance(record, type) or not dataclasses.is_dataclass(record):
        return None, [(f"the record {name} is no dataclass", "Put @dataclass above it.")]
    try:
        hints = typing.get_type_hints(record, include_extras=True)
    except NameError as error:
        return None, [
            (f"{name} has a type that is not known: {error}", "Import it in that module.")
        ]
    mistakes: list[tuple[str, str]] = []
    columns, unique, indexes = [], [], []
    for item in dataclasses.fields(record):
        try:
            column, markers = _column(item, hints[item.name], records)
        except _Mistake as mistake:
            mistakes.append((f"{name}.{item.name}: {mistake.args[0]}", mistake.args[1]))
            continue
        columns.append(column)
        unique += [(item.name,)] if _marked(markers, Unique) else []
        indexes += [(item.name,)] if _marked(markers, Index) or column.references else []
    mistakes += _identity_mistakes(record, hints)
    names = {item.name for item in dataclasses.fields(record)}
    for constraint in getattr(record, "__constraints__", ()):
        wrong = [n for n in constraint.fields if n not in names]
        mistakes += [
            (
                f"{name}.__constraints__ names the unknown field {n!r}.{nearest(n, names)}",
                f"Fields: {listing(names)}.",
            )
            for n in wrong
        ]
        (indexes if isinstance(constraint, Index) else unique).append(tuple(constraint.fields))
    for key in dict.fromkeys((*unique, *indexes)):
        long = [
            c.name
            for c in columns
            if c.name in key
            and c.kind in ("str", "bytes")
            and not (c.enum or (c.length and c.length <= LONGEST_KEY))
        ]
        mistakes += [
            (
                f"{name}.{n} is unique or indexed, but may be longer than {LONGEST_KEY}",
                f"Declare its length: msgspec.Meta(max_length={LONGEST_KEY}) or less.",
            )
            for n in long
        ]
    table_name = getattr(record, "__table__", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    mistakes += [
        (
            f"{name}: {n!r} cannot name a table or column",
            f"Take ASCII letters, digits and underscores, at most {LONGEST_NAME}.",
        )
        for n in (table_name, *sorted(names))
        if not re.fullmatch(rf"[A-Za-z_][A-Za-z0-9_]{{0,{LONGEST_NAME - 1}}}", n) or "__" in n
    ]
    table = Table(
        name=table_name,
        record=record,
        columns=tuple(columns),
        unique=tuple(dict.fromkeys(unique)),
        indexes=tuple(key for key in dict.fromkeys(indexes) if key not in unique),
    )
    return table, mistakes


def _marked(markers: list[object], kind: type[Unique]) -> bool:
    return any(m is kind or type(m) is kind for m in markers)


def _identity_mistakes(record: type, hints: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    has = {item.name: item for item in dataclasses.fields(record)}
    if (
        "id" not in has
        or hints["id"] not in (int | None, Union[int, None])
        or (has["id"].default is not None)
    ):
        yield (
            f"{record.__name__} has no field that the store can give its id to",
            "Add as its last field: id: int | None = None",
        )
    for item in has.values():
        if not item.init:
            yield (
                f"{record.__name__}.{item.name} is no parameter of the class",
                "Take init=False away, or make it a property.",
            )


def _column(
    item: dataclasses.Field[Any], hint: Any, records: list[type]
) -> tuple[Column, list[object]]:
    markers: list[object] = []
    null = False
    while True:
        if typing.get_origin(hint) is Annotated:
            hint, *more = typing.get_args(hint)
            markers += more
        elif typing.get_origin(hint) in (Union, types.UnionType):
            some = [arg for arg in typing.get_args(hint) if arg is not types.NoneType]
            if len(some) != 1:
                raise _Mistake(f"{hint} is more than one type", "Take one type, or it and None.")
            hint, null = some[0], True
        else:
            break
    enum = hint if isinstance(hint, type) and issubclass(hint, Enum) else None
    kind = _enum_kind(enum) if enum else KINDS.get(hint)
    if not kind:
        shown = getattr(hint, "__name__", hint)
        known = "int, str, float, bool, bytes, datetime, date, time, Decimal, UUID, an Enum"
        raise _Mistake(f"{shown} is no type that a record can store", f"Take {known}.")
    limits = _limits(kind, markers)
    length = limits.pop("max_length", None)
    if enum:
        length = max(len(member.value) for member in enum) if kind == "str" else None
    reference = next((m for m in markers if isinstance(m, References)), None)
    column = Column(
        name=item.name,
        kind=kind,
        null=null and item.name != "id",
        length=length,
        digits=_digits(kind, markers),
        enum=enum,
        limits=limits,
        references=_target(reference, kind, null, records) if reference else "",
        on_delete=reference.on_delete if reference else "restrict",
    )
    return column, markers


def _enum_kind(enum: type[Enum]) -> str:
    kinds = {type(member.value) for member in enum}
    if kinds not in ({str}, {int}):
        raise _Mistake(f"the values of {enum.__name__} are not all str or all int", "Make them so.")
    return kinds.pop().__name__


def _limits(kind: str, markers: list[object]) -> dict[str, Any]:
    limits = {}
    for meta in (m for m in markers if isinstance(m, msgspec.Meta)):
        for name in ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length"):
            if (value := getattr(meta, name)) is None:
                continue
            if name not in LIMITS.get(kind, ()):
                allowed = listing(LIMITS.get(kind, ()))
                raise _Mistake(f"Meta({name}=...) is not checked for {kind}", f"Take {allowed}.")
            limits[name] = value
    return limits


def _digits(kind: str, markers: list[object]) -> Digits | None:
    digits = next((m for m in markers if isinstance(m, Digits)), None)
    if kind == "decimal" and not (
        digits and 0 < digits.total <= MOST_DIGITS and 0 <= digits.places <= digits.total
    ):
        raise _Mistake(
            f"a Decimal needs its digits (1 to {MOST_DIGITS}) and places declared",
            "Write for example Annotated[Decimal, Digits(10, places=2)].",
        )
    return digits


def _target(reference: References, kind: str, null: bool, records: list[type]) -> str:
    by_name = {record.__name__: record for record in records}
    target = reference.record
    name = target if isinstance(target, str) else target.__name__
    if kind != "int":
        raise _Mistake(f"a reference to {name} is an id", "Make the field an int.")
    if (by_name.get(name) if isinstance(target, str) else target) not in records:
        raise _Mistake(
            f"it references {name}, which is not among the records.{nearest(name, by_name)}",
            f"Add it to the records; they are: {listing(by_name)}.",
        )
    if reference.on_delete not in typing.get_args(OnDelete):
        raise _Mistake(
            f"on_delete={reference.on_delete!r} is not known."
            + nearest(str(reference.on_delete), typing.get_args(OnDelete)),
            f"Take one of: {listing(typing.get_args(OnDelete))}.",
        )
    if reference.on_delete == "set null" and not null:
        raise _Mistake('on_delete="set null" needs a field that can be None', "Add | None.")
    return _name(by_name[name] if isinstance(target, str) else target)


def _name(record: type) -> str:
    usual = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", record.__name__).lower()
    return str(getattr(record, "__table__", usual))


def _ordered(found: dict[type, Table]) -> dict[type, Table]:
    done: dict[type, Table] = {}
    names: set[str] = set()
    while len(done) < len(found):
        ready = {
            record: table
            for record, table in found.items()
            if record not in done
            and all(c.references in names | {"", table.name} for c in table.columns)
        }
        if not ready:
            rest = [record for record in found if record not in done]
            raise ConfigError(
                [
                    Problem(
                        _where(rest[0]),
                        f"these records reference each other: {listing(r.__name__ for r in rest)}",
                        "Take one reference away: neither table could be created first.",
                    )
                ]
            )
        done |= ready
        names |= {table.name for table in ready.values()}
    return done
