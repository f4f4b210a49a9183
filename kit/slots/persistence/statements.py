"""Statements: what the store asks of a component, as neutral data.

The store builds a statement once for each shape of call and has the component prepare it; the
values travel apart from it, each time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from kit.errors import KitError, listing, nearest
from kit.slots.persistence.records import Column, Table

Operation = Literal["insert", "select", "count", "update", "delete"]
Convert = Callable[[Any], Any]

COMPARISONS = ("exact", "ne", "lt", "lte", "gt", "gte")
PATTERNS = ("contains", "startswith", "endswith")
FOLDED = ("iexact", "icontains", "istartswith", "iendswith")
LOOKUPS = (*COMPARISONS, "in", "isnull", *PATTERNS, *FOLDED)


class FieldError(KitError, TypeError):
    """A lookup or an ordering names an unknown field, or an unknown comparison."""


@dataclass(frozen=True)
class Condition:
    """A column is compared with a value; all conditions of a statement hold together.

    `operator` is one of `LOOKUPS`, or ``notnull``. `count` is how many values it takes: none for
    ``isnull`` and ``notnull``, any number but zero for ``in``, one for the others. With `inner` the
    values of ``in`` are the rows of that select, and `count` is how many values that takes.
    """

    column: Column
    operator: str
    count: int = 1
    inner: Statement | None = None


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One operation on one table.

    Rows have the `columns`, or without them all of the table. A count with columns counts the rows
    of each value of them: these values come first in its rows, and the number last.

    The values it is run with are, in this order: those of the columns without `id` (insert and
    update), those of the conditions in `where`, the limit and the offset where the statement has
    them. `order` holds columns with True where the order is descending; None comes first where it
    is ascending. `lock` keeps the rows from others until the unit of work ends.
    """

    operation: Operation
    table: Table
    columns: tuple[Column, ...] = ()
    where: tuple[Condition, ...] = ()
    order: tuple[tuple[Column, bool], ...] = ()
    limit: bool = False
    offset: bool = False
    lock: bool = False


@dataclass(frozen=True)
class Prepared:
    """A statement made ready by a component.

    `code` is whatever the component's units run. `encode` has a function for each value of the
    statement, and `decode` one for each column of the rows, to be called unless the value is None;
    None in their place leaves the value as it is.
    """

    code: Any
    encode: tuple[Convert | None, ...]
    decode: tuple[Convert | None, ...] = ()


def parse_lookup(table: Table, lookup: str) -> tuple[Column, str]:
    """Return column and operator of a lookup such as ``age__lt``; raise `FieldError`."""
    name, _, operator = lookup.partition("__")
    operator = operator or "exact"
    column = find_column(table, name)
    if operator not in LOOKUPS:
        raise FieldError(
            f"{lookup}: there is no lookup {operator!r}.{nearest(operator, LOOKUPS)}"
            f" Lookups: {listing(LOOKUPS)}."
        )
    if operator in (*PATTERNS, *FOLDED) and column.kind != "str":
        raise FieldError(f"{lookup}: {operator} is for str, {name} is {column.kind}.")
    return column, operator


def parse_order(table: Table, name: str) -> tuple[Column, bool]:
    """Return the column of an ordering such as ``-age``, and whether it descends."""
    return find_column(table, name.removeprefix("-")), name.startswith("-")


def find_column(table: Table, name: str) -> Column:
    """Return the column called `name`; raise `FieldError` with the nearest name."""
    for column in table.columns:
        if column.name == name:
            return column
    names = [column.name for column in table.columns]
    raise FieldError(
        f"{table.record.__name__} has no field {name!r}.{nearest(name, names)}"
        f" Fields: {listing(names)}."
    )
