"""The store: records in and out of a database, the same on every component.

Lookups are a field, two underscores and a comparison; they all hold together:

| lookup | finds records whose field |
| --- | --- |
| ``age=3``, ``age__exact=3`` | is this value; ``age=None`` is ``age__isnull=True`` |
| ``age__ne=3`` | is another value, but not None; ``age__ne=None`` is ``age__isnull=False`` |
| ``age__lt``, ``lte``, ``gt``, ``gte`` | is less, at most, more, at least this value; never None |
| ``age__in=[1, 2]`` | is one of these values, which may be none at all |
| ``id__in=Chosen(Pet, "owner", age=3)`` | is in this field of other records; lookups choose them |
| ``age__isnull=True`` | is None, or with False, is not |
| ``name__contains``, ``startswith``, ``endswith`` | has this text; no character is a wildcard |
| ``name__iexact``, ``icontains``, ``istartswith``, ``iendswith`` | the same, whatever the case |

Text is compared and ordered by code points. None comes before any value, and last if descending.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import FrozenInstanceError, fields, replace
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from kit.errors import InvalidValue, KitError, RecordNotFound, listing, nearest
from kit.slots.persistence.records import Column, Table
from kit.slots.persistence.statements import (
    FOLDED,
    PATTERNS,
    Condition,
    Convert,
    FieldError,
    Operation,
    Prepared,
    Statement,
    find_column,
    parse_lookup,
    parse_order,
)
from kit.slots.persistence.values import BIGGEST, check_count, check_pattern, checker

if TYPE_CHECKING:
    from kit.slots.persistence import Persistence, Unit

T = TypeVar("T")
Order = str | Sequence[str]
Shape = tuple[tuple[str, Any], ...]
"""Each lookup with what decides its form: a number, or of `Chosen` its record, field and shape."""
MOST_STATEMENTS = 1000
MOST_VALUES = 10_000


class Statements:
    """The prepared statements of all records, built once for each shape of call."""

    def __init__(self, persistence: Persistence, tables: dict[type, Table]) -> None:
        self._records: dict[type, RecordStatements[Any]] = {
            record: RecordStatements(persistence, table, self.of)
            for record, table in tables.items()
        }

    def of(self, record: type[T]) -> RecordStatements[T]:
        """Return the statements of one record class; raise KitError for an unknown one."""
        try:
            return self._records[record]
        except KeyError:
            names = [known.__name__ for known in self._records]
            name = getattr(record, "__name__", repr(record))
            raise KitError(
                f"{name} is not among the records of this application."
                f"{nearest(name, names)} Records: {listing(names)}."
                f" Register it: app.records({name})."
            ) from None


class Chosen:
    """The values of `field` in the records that all of the lookups fit, for the lookup ``in``.

    ``store.find(Person, id__in=Chosen(Pet, "owner", kind="cat"))`` finds whom a cat belongs to, in
    one query, however many there are. A lookup of its own may be `Chosen` too. Both fields are of
    one type: Decimals have the same `Digits`, and members of an Enum are of the same one.
    """

    def __init__(self, record: type, field: str, /, **lookups: object) -> None:
        self.record = record
        self.field = field
        self.lookups = lookups


class Query:
    """A prepared statement with a function for each of its values: check, then encode."""

    def __init__(self, prepared: Prepared, checks: Iterable[Convert]) -> None:
        self.prepared = prepared
        self._bind = tuple(map(_after, checks, prepared.encode))

    def values(self, given: Iterable[object]) -> list[object]:
        """Return the values as the component's units take them; raise InvalidValue."""
        return [bind(value) for bind, value in zip(self._bind, given, strict=True)]


def _after(check: Convert, encode: Convert | None) -> Convert:
    if encode is None:
        return check

    def bind(value: object) -> object:
        checked = check(value)
        return None if checked is None else encode(checked)

    return bind


class RecordStatements(Generic[T]):
    """The prepared statements of one record, and the way from a row to an instance."""

    def __init__(
        self,
        persistence: Persistence,
        table: Table,
        of: Callable[[type], RecordStatements[Any]],
    ) -> None:
        self.table = table
        self._of = of
        self._prepare = persistence.prepare
        self._shapes: dict[object, Query | None] = {}
        self._identity = find_column(table, "id")
        stored = [column for column in table.columns if column.name != "id"]
        self.stored = attrgetter(*(column.name for column in stored), "id")
        checks = [checker(column) for column in stored]
        identity = checker(self._identity)
        by_id = (Condition(self._identity, "exact"),)
        self.insert = self._query(checks, operation="insert")
        self.update = self._query([*checks, identity], operation="update", where=by_id)
        self.delete = self._query([identity], operation="delete", where=by_id)
        self.get = self._query([identity], operation="select", where=by_id)
        self.lock = self._query([identity], operation="select", where=by_id, lock=True)
        self.read: Callable[[Sequence[Any]], T] = _reader(table, self.get.prepared.decode)

    def _query(self, checks: Iterable[Convert], **parts: Any) -> Query:
        return Query(self._prepare(Statement(table=self.table, **parts)), checks)

    def query(
        self,
        operation: Operation,
        lookups: Mapping[str, object],
        order_by: Order = (),
        limit: int | None = None,
        offset: int = 0,
        lock: bool = False,
        by: str = "",
    ) -> tuple[Prepared, list[object]] | None:
        """Return a prepared statement and its values; None where no record can be meant.

        A count `by` a field counts the records for each of its values.
        """
        shape, given = _shape(lookups)
        order = (order_by,) if isinstance(order_by, str) else tuple(order_by)
        if offset and limit is None:
            limit = BIGGEST
        key = (operation, shape, order, limit is None, not offset, lock, by)
        if key not in self._shapes:
            if len(self._shapes) >= MOST_STATEMENTS:
                self._shapes.clear()
            self._shapes[key] = self._build(*key)
        query = self._shapes[key]
        if limit is not None:
            given.append(limit)
        if offset:
            given.append(offset)
        return (query.prepared, query.values(given)) if query else None

    def _build(
        self,
        operation: Operation,
        shape: Shape,
        order: tuple[str, ...],
        unlimited: bool,
        from_start: bool,
        lock: bool,
        by: str,
    ) -> Query | None:
        columns = [parse_order(self.table, name) for name in order]
        if operation == "select" and self._identity not in (column for column, _ in columns):
            columns.append((self._identity, False))
        counted = (find_column(self.table, by),) if by else ()
        where, checks = self.conditions(shape)
        if any(_is_empty(condition) for condition in where):
            return None
        return self._query(
            [*checks, *[check_count] * ((not unlimited) + (not from_start))],
            operation=operation,
            columns=counted,
            where=where,
            order=tuple(columns),
            limit=not unlimited,
            offset=not from_start,
            lock=lock,
        )

    def conditions(self, shape: Shape) -> tuple[tuple[Condition, ...], list[Convert]]:
        """Return the conditions of lookups, with a check for each of their values."""
        where, checks = [], list[Convert]()
        for lookup, form in shape:
            column, operator = parse_lookup(self.table, lookup)
            if isinstance(form, tuple):
                condition, inner = self._chosen(column, lookup, *form)
                checks += inner
            else:
                condition = _condition(column, operator, form)
                text = condition.operator in (*PATTERNS, *FOLDED)
                check = check_pattern if text else checker(condition.column, stored=False)
                checks += [check] * condition.count
            where.append(condition)
        return tuple(where), checks

    def _chosen(
        self, column: Column, lookup: str, record: type, field: str, shape: Shape
    ) -> tuple[Condition, list[Convert]]:
        """Return the condition that a column is in a field of other records."""
        others = self._of(record)
        found = find_column(others.table, field)
        enums = {found.enum, column.enum} - {None}
        if (found.kind, found.digits) != (column.kind, column.digits) or len(enums) > 1:
            raise FieldError(
                f"{lookup}: {column.name} is {_type(column)}, and"
                f" {record.__name__}.{field} is {_type(found)}."
            )
        where, checks = others.conditions(shape)
        inner = Statement(operation="select", table=others.table, columns=(found,), where=where)
        return Condition(column, "in", len(checks), inner), checks

    def counted(self, by: str, decode: Sequence[Convert | None]) -> Convert:
        """Return what makes a value of a field of the one in a row of a count by that field."""
        column = find_column(self.table, by)
        return _decoder(column, decode[0])


def _type(column: Column) -> str:
    """Return what a message calls the type of a column."""
    if column.digits:
        return f"decimal with {column.digits}"
    return f"{column.kind} of {column.enum.__name__}" if column.enum else column.kind


def _is_empty(condition: Condition) -> bool:
    """Say whether nothing fits a condition, since there are no values that it could be in."""
    if condition.inner:
        return any(map(_is_empty, condition.inner.where))
    return condition.operator == "in" and not condition.count


def _shape(lookups: Mapping[str, object]) -> tuple[Shape, list[object]]:
    """Return each lookup with what decides its form, and the values of all of them.

    That is the number of the values; -1 for None, -2 for ``isnull=False``; and of `Chosen` record,
    field and shape.
    """
    shape: list[tuple[str, Any]] = []
    given = list[object]()
    for lookup, value in lookups.items():
        if value is None:
            shape.append((lookup, -1))
        elif isinstance(value, Chosen):
            if not lookup.endswith("__in"):
                raise FieldError(f"{lookup}: Chosen is for the lookup 'in'.")
            inner, values = _shape(value.lookups)
            shape.append((lookup, (value.record, value.field, inner)))
            given += values
        elif lookup.endswith("__in"):
            values = _padded(lookup, value)
            shape.append((lookup, len(values)))
            given += values
        elif lookup.endswith("__isnull"):
            if not isinstance(value, bool):
                raise InvalidValue(f"{lookup} is True or False")
            shape.append((lookup, -1 if value else -2))
        else:
            shape.append((lookup, 1))
            given.append(value)
    return tuple(shape), given


def _padded(lookup: str, value: object) -> list[object]:
    """Return the values of ``in``, the last one repeated up to a power of two: few shapes."""
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes)):
        raise InvalidValue(f"{lookup} is a list of values")
    values = list(value)
    if len(values) > MOST_VALUES:
        raise InvalidValue(f"{lookup} has more than {MOST_VALUES} values")
    if None in values:
        raise InvalidValue(f"{lookup} has None among its values: ask for isnull=True apart")
    missing = (1 << (len(values) - 1).bit_length()) - len(values) if values else 0
    return values + values[-1:] * missing


def _condition(column: Column, operator: str, number: int) -> Condition:
    if operator == "isnull" or (number < 0 and operator in ("exact", "ne")):
        absent = (number == -1) != (operator == "ne")
        return Condition(column, "isnull" if absent else "notnull", 0)
    if number < 0:
        raise InvalidValue(f"{column.name}__{operator} cannot be None")
    return Condition(column, operator, number)


def _reader(table: Table, decode: Sequence[Convert | None]) -> Callable[[Sequence[Any]], Any]:
    """Return the function from a row to a record: the bare class where nothing is converted."""
    record = table.record
    converts = [
        (position, _decoder(column, convert))
        for position, (column, convert) in enumerate(zip(table.columns, decode, strict=True))
        if convert or column.enum
    ]
    names = [column.name for column in table.columns]
    by_name = any(item.kw_only for item in fields(record))

    def read(row: Sequence[Any]) -> Any:
        values = list(row)
        for position, convert in converts:
            if values[position] is not None:
                values[position] = convert(values[position])
        if by_name:
            return record(**dict(zip(names, values, strict=True)))
        return record(*values)

    return read if converts or by_name else lambda row: record(*row)


def _decoder(column: Column, convert: Convert | None) -> Convert:
    enum = column.enum
    if enum and convert:
        return lambda value: enum(convert(value))
    return enum or convert or (lambda value: value)


class Store:
    """Records in the unit of work of this request; the ``store`` provider.

    Every method raises `kit.errors.InvalidValue` (422) for a value that its field cannot hold,
    `kit.errors.Unavailable` (503) while the database is away, and `FieldError` for an unknown
    field or comparison. After an error the unit of work is lost, except for what happened outside
    of a `savepoint`.
    """

    def __init__(self, unit: Unit, statements: Statements) -> None:
        self._unit = unit
        self._of = statements.of

    def add(self, record: T) -> T:
        """Store a new record and return it with its id (set in place, unless it is frozen).

        Raises `kit.errors.Conflict` (409) if that breaks a unique field or a reference.
        """
        statements = self._of(type(record))
        *values, identity = statements.stored(record)
        if identity is not None:
            raise KitError(f"{type(record).__name__} {identity} was added before: save it")
        insert = statements.insert
        identity = self._unit.change(insert.prepared, [insert.values(values)])
        try:
            record.id = identity  # type: ignore[attr-defined]
        except FrozenInstanceError:
            return replace(record, id=identity)  # type: ignore[type-var]
        return record

    def save(self, *records: object) -> None:
        """Store all fields of records that have ids; several at a time are much faster.

        Raises `kit.errors.RecordNotFound` (404) if there is none with such an id any more, and
        `kit.errors.Conflict` (409) if that breaks a unique field or a reference.
        """
        for kind, group in groupby(records, type):
            statements: RecordStatements[Any] = self._of(kind)
            rows = [statements.stored(record) for record in group]
            ids = [row[-1] for row in rows]
            if None in ids:
                raise KitError(f"{kind.__name__} has no id: add it first")
            update = statements.update
            met = self._unit.change(update.prepared, [update.values(row) for row in rows])
            if met < len(rows):
                raise _missing(kind, *ids)

    def get(self, record: type[T], identity: int, /, *, lock: bool = False) -> T:
        """Return the record with this id; raise `kit.errors.RecordNotFound` (404) without one.

        With `lock` no other unit of work can change or lock it until this one ends: for values
        that are read, changed and saved.
        """
        statements = self._of(record)
        query = statements.lock if lock else statements.get
        rows = self._unit.rows(query.prepared, _identified(record, query, identity))
        if not rows:
            raise _missing(record, identity)
        return statements.read(rows[0])

    def find(
        self,
        record: type[T],
        /,
        *,
        order_by: Order = (),
        limit: int | None = None,
        offset: int = 0,
        lock: bool = False,
        **lookups: object,
    ) -> list[T]:
        """Return the records that all of the lookups fit, at most `limit`, after `offset` others.

        `order_by` is a field, with a minus where it descends, or several of them; records that it
        leaves equal are ordered by id. `lock` is as for `get`. A field that is called like one of
        these parameters is looked up as ``limit__exact``.
        """
        statements = self._of(record)
        query = statements.query("select", lookups, order_by, limit, offset, lock)
        return [statements.read(row) for row in self._unit.rows(*query)] if query else []

    def first(
        self,
        record: type[T],
        /,
        *,
        order_by: Order = (),
        lock: bool = False,
        **lookups: object,
    ) -> T | None:
        """Return the first of the records that `find` would return, or None."""
        statements = self._of(record)
        query = statements.query("select", lookups, order_by, 1, 0, lock)
        rows = self._unit.rows(*query) if query else ()
        return statements.read(rows[0]) if rows else None

    def count(self, record: type, /, **lookups: object) -> int:
        """Return how many records all of the lookups fit."""
        query = self._of(record).query("count", lookups)
        return int(self._unit.rows(*query)[0][0]) if query else 0

    def counts(self, record: type, field: str, /, **lookups: object) -> dict[Any, int]:
        """Return how many records the lookups fit for each value of a field: ``{value: number}``.

        What none of them has is not in it. ``store.counts(Pet, "owner", owner__in=[1, 2])`` is one
        query, for any number of owners.
        """
        statements: RecordStatements[Any] = self._of(record)
        query = statements.query("count", lookups, by=field)
        if query is None:
            return {}
        read = statements.counted(field, query[0].decode)
        rows = self._unit.rows(*query)
        return {None if value is None else read(value): int(number) for value, number in rows}

    @overload
    def delete(self, record: type, identity: int, /) -> None: ...
    @overload
    def delete(self, record: object, /) -> None: ...
    def delete(self, record: Any, identity: int | None = None, /) -> None:
        """Delete a record: ``delete(contact)`` or ``delete(Contact, 7)``.

        Raises `kit.errors.RecordNotFound` (404) if there is none, and `kit.errors.Conflict` (409)
        if another record references it and does not allow that.
        """
        if not isinstance(record, type):
            record, identity = type(record), record.id
        query = self._of(record).delete
        if not self._unit.change(query.prepared, [_identified(record, query, identity)]):
            raise _missing(record, identity)

    def savepoint(self) -> AbstractContextManager[None]:
        """Return a context manager: what is done in it is undone if an exception leaves it.

        The unit of work goes on after that: ``with store.savepoint(): store.add(contact)`` inside
        of a ``try`` is the way to handle a `kit.errors.Conflict`.
        """
        return self._unit.savepoint()


def _identified(record: type, query: Query, identity: object) -> list[object]:
    if isinstance(identity, int) and not -BIGGEST <= identity <= BIGGEST:
        raise _missing(record, identity)
    return query.values((identity,))


def _missing(record: type, *ids: object) -> RecordNotFound:
    shown = " or ".join(map(str, ids))
    return RecordNotFound(f"there is no {record.__name__} with the id {shown}")
