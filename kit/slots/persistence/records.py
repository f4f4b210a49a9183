"""Records: plain typed dataclasses, read into neutral tables and columns.

A record is a dataclass whose field `id: int | None = None` is given by the store. Its other fields
are int, str, float, bool, bytes, datetime, date, time, Decimal, UUID or an Enum of str or int, each
of them optional with ``| None``. What a field's type cannot say stands in ``Annotated``::

    @dataclass
    class Page:
        title: Annotated[str, Meta(max_length=100), Unique]
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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Union
from uuid import UUID

import msgspec

from kit.errors import ConfigError, Problem, listing, nearest

OnDelete = Literal["restrict", "cascade", "set null"]

KINDS: dict[type, str] = {
    kind: kind.__name__.lower()
    for kind in (int, str, float, bool, bytes, datetime, date, time, Decimal, UUID)
}
NAMES = ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern")
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


def tables(records: Iterable[type]) -> dict[type, Table]:
    """Return the table of each record class, in an order in which they can be created.

    Raises `kit.errors.ConfigError` with every mistake in every class, each with file and line.
    """
    found: dict[type, Table] = {}
    problems: list[Problem] = []
    records = list(dict.fromkeys(records))
    for record in records:
        reading = _Reading(record, records)
        table = reading.table()
        twin = next((known for known in found.values() if table and known.name == table.name), None)
        if twin:
            reading.mistake(
                f"its table is {twin.name!r}, like that of {twin.record.__name__}"
                f" in {record_place(twin.record)}",
                'Give one of them another: __table__ = "..."',
            )
        elif table:
            found[record] = table
        problems += reading.problems
    if problems:
        raise ConfigError(problems)
    return _ordered(found)


class _Mistake(Exception):  # noqa: N818 - it never leaves this module
    """A mistake in one field, and how to mend it."""


class _Reading:
    """Reads one record class and gathers its mistakes."""

    def __init__(self, record: type, records: Sequence[type]) -> None:
        self.record = record
        self.records = {known.__name__: known for known in records}
        self.problems: list[Problem] = []

    def mistake(self, what: str, mend: str, name: str = "") -> None:
        """Note a mistake in the class, or in the field called `name`."""
        shown = f"{self.record.__name__}.{name}" if name else self.record.__name__
        self.problems.append(Problem(record_place(self.record), f"{shown}: {what}", mend))

    def table(self) -> Table | None:
        """Return the table, or None where the class cannot be read at all."""
        if not dataclasses.is_dataclass(self.record):
            self.mistake("a record is a dataclass", "Put @dataclass above it")
            return None
        try:
            hints = typing.get_type_hints(self.record, include_extras=True)
        except NameError as error:
            self.mistake(str(error), "Import it in the module of the record")
            return None
        fields = dataclasses.fields(self.record)
        self._check_names(fields)
        self._check_id(fields, hints)
        columns: list[Column] = []
        unique: list[tuple[str, ...]] = []
        indexes: list[tuple[str, ...]] = []
        for item in fields:
            kind, null, markers = _unwrapped(hints[item.name])
            try:
                column = self._column(item.name, kind, null, markers)
            except _Mistake as mistake:
                self.mistake(mistake.args[0], mistake.args[1], item.name)
                continue
            columns.append(column)
            marks = {marker if isinstance(marker, type) else type(marker) for marker in markers}
            unique += [(item.name,)] if Unique in marks else []
            indexes += [(item.name,)] if marks & {Index, References} else []
        for constraint in self._constraints(fields):
            (indexes if isinstance(constraint, Index) else unique).append(constraint.fields)
        self._check_keys(columns, {name for key in (*unique, *indexes) for name in key})
        return Table(
            name=_name(self.record),
            record=self.record,
            columns=tuple(columns),
            unique=tuple(dict.fromkeys(unique)),
            indexes=tuple(key for key in dict.fromkeys(indexes) if key not in unique),
        )

    def _check_names(self, fields: Sequence[dataclasses.Field[Any]]) -> None:
        for name in (_name(self.record), *(item.name for item in fields)):
            if not re.fullmatch(r"[A-Za-z_]\w*", name, re.A) or len(name) > LONGEST_NAME:
                self.mistake(
                    f"{name!r} cannot name a table or column",
                    f"Take at most {LONGEST_NAME} ASCII letters, digits and underscores",
                )
            elif "__" in name:
                self.mistake("two underscores begin a lookup", "Take one", name=name)

    def _check_id(self, fields: Sequence[dataclasses.Field[Any]], hints: dict[str, Any]) -> None:
        default = {item.name: item.default for item in fields}
        if _unwrapped(hints.get("id"))[:2] != (int, True) or default["id"] is not None:
            self.mistake(
                "it has no field for the id that the store gives",
                "Add as its last field: id: int | None = None",
            )
        if set(default) == {"id"}:
            self.mistake("it has no field but id", "Add what it is to store")
        for item in fields:
            if not item.init:
                self.mistake("it is no parameter of the class", "Take init=False away", item.name)

    def _constraints(self, fields: Sequence[dataclasses.Field[Any]]) -> Iterator[Unique]:
        names = [item.name for item in fields]
        for constraint in getattr(self.record, "__constraints__", ()):
            for name in constraint.fields:
                if name not in names:
                    self.mistake(
                        f"__constraints__ has the unknown field {name!r}.{nearest(name, names)}",
                        f"Fields: {listing(names)}",
                    )
            yield constraint

    def _check_keys(self, columns: Sequence[Column], keys: set[str]) -> None:
        for column in columns:
            measured = column.kind in ("str", "bytes")
            if column.name in keys and measured and not 0 < (column.length or 0) <= LONGEST_KEY:
                self.mistake(
                    f"it is unique or indexed, but may be longer than {LONGEST_KEY}",
                    f"Declare its length: Meta(max_length={LONGEST_KEY}) or less",
                    name=column.name,
                )

    def _column(self, name: str, kind: Any, null: bool, markers: Sequence[Any]) -> Column:
        enum = kind if isinstance(kind, type) and issubclass(kind, Enum) else None
        kind = _enum_kind(enum) if enum else KINDS.get(kind, kind)
        if kind not in KINDS.values():
            raise _Mistake(
                f"{getattr(kind, '__name__', kind)} is no type that a record can store",
                f"Take {', '.join(known.__name__ for known in KINDS)}, an Enum, or it | None",
            )
        limits = _limits(kind, markers)
        length = limits.pop("max_length", None)
        if enum and kind == "str":
            length = max(len(member.value) for member in enum)
        reference = next((marker for marker in markers if isinstance(marker, References)), None)
        if reference:
            self._check_reference(reference, kind, null)
        return Column(
            name=name,
            kind=kind,
            null=null and name != "id",
            length=length,
            digits=_digits(kind, markers),
            enum=enum,
            limits=limits,
            references=_name(self._target(reference)) if reference else "",
            on_delete=reference.on_delete if reference else "restrict",
        )

    def _target(self, reference: References) -> type:
        target = reference.record
        known = self.records.get(target) if isinstance(target, str) else target
        if known not in self.records.values():
            name = target if isinstance(target, str) else target.__name__
            raise _Mistake(
                f"{name} is not among the records.{nearest(name, self.records)}",
                f"Add it to them: {listing(self.records)}",
            )
        assert known  # noqa: S101 - it is in the dict
        return known

    def _check_reference(self, reference: References, kind: str, null: bool) -> None:
        allowed = typing.get_args(OnDelete)
        if kind != "int":
            raise _Mistake(f"a reference is an id, but the field is {kind}", "Make it an int")
        if reference.on_delete not in allowed:
            close = nearest(str(reference.on_delete), allowed)
            raise _Mistake(
                f"there is no on_delete={reference.on_delete!r}.{close}",
                f"Take one of: {listing(allowed)}",
            )
        if reference.on_delete == "set null" and not null:
            raise _Mistake('on_delete="set null" where None is not allowed', "Make it int | None")


def record_place(record: Any) -> str:
    """Return ``file.py:12`` for a record class, or its name where there is no file."""
    try:
        return f"{inspect.getsourcefile(record)}:{inspect.getsourcelines(record)[1]}"
    except (OSError, TypeError):
        return f"{getattr(record, '__module__', '')}.{getattr(record, '__qualname__', record)}"


def _name(record: type) -> str:
    usual = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", record.__name__).lower()
    return str(getattr(record, "__table__", usual))


def _unwrapped(hint: Any) -> tuple[Any, bool, list[Any]]:
    """Return the type inside of Annotated and Optional, whether None is allowed, the markers."""
    markers: list[Any] = []
    null = False
    while True:
        if typing.get_origin(hint) is Annotated:
            markers += hint.__metadata__
            hint = hint.__origin__
        elif typing.get_origin(hint) in (Union, types.UnionType):
            some = [arg for arg in typing.get_args(hint) if arg is not types.NoneType]
            if len(some) > 1:
                return hint, null, markers
            hint, null = some[0], True
        else:
            return hint, null, markers


def _enum_kind(enum: type[Enum]) -> str:
    kinds = {type(member.value) for member in enum}
    if kinds not in ({str}, {int}):
        raise _Mistake(
            f"{enum.__name__} has values that are not all str or all int", "Make them so"
        )
    return kinds.pop().__name__


def _limits(kind: str, markers: Sequence[Any]) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    allowed = LIMITS.get(kind, ())
    for meta in markers:
        if isinstance(meta, msgspec.Meta):
            limits |= {name: value for name in NAMES if (value := getattr(meta, name)) is not None}
    for name in limits:
        if name not in allowed:
            raise _Mistake(f"Meta({name}=...) cannot limit {kind}", f"Take: {listing(allowed)}")
    return limits


def _digits(kind: str, markers: Sequence[Any]) -> Digits | None:
    digits = next((marker for marker in markers if isinstance(marker, Digits)), None)
    if kind != "decimal":
        return None
    if not digits or not 0 <= digits.places <= digits.total <= MOST_DIGITS or not digits.total:
        raise _Mistake(
            f"a Decimal has its digits declared, from 1 to {MOST_DIGITS}, and its places",
            "Write for example Annotated[Decimal, Digits(10, places=2)]",
        )
    return digits


def _ordered(found: dict[type, Table]) -> dict[type, Table]:
    """Put tables after those that they reference."""
    waiting, done = dict(found), dict[type, Table]()
    while waiting:
        names = {table.name for table in done.values()} | {""}
        ready = {
            record: table
            for record, table in waiting.items()
            if all(column.references in names | {table.name} for column in table.columns)
        }
        if not ready:
            shown = listing(record.__name__ for record in waiting)
            raise ConfigError(
                [
                    Problem(
                        record_place(next(iter(waiting))),
                        f"these records reference each other, so that none can be first: {shown}",
                        "Take one of the references away",
                    )
                ]
            )
        done |= ready
        waiting = {record: table for record, table in waiting.items() if record not in ready}
    return done
