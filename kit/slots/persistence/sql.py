"""SQL for the portable store: what an adapter needs whose library speaks to a database by DB-API.

`compile_statement` and `create` and `drop` write the SQL, `SQLUnit` runs it. What differs between
databases is in `kit.slots.persistence.databases`.
"""

# ruff: noqa: S608 - names come from Python identifiers of records, values are always bound

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from kit.errors import KitError
from kit.slots.persistence.databases import Database
from kit.slots.persistence.records import Column, Table
from kit.slots.persistence.statements import (
    FOLDED,
    PATTERNS,
    Condition,
    Convert,
    Prepared,
    Statement,
)

FAILED_BEFORE = (
    "an operation failed before in this unit of work."
    " Put what may fail into `with store.savepoint():`"
)
ENDED_BEFORE = (
    "the transaction was ended by an error, or by a commit or rollback of the native handle."
    " Put what may fail into a savepoint, and leave the end to the unit of work"
)
COMPARE = {"exact": "=", "ne": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


def compile_statement(database: Database, statement: Statement) -> Prepared:
    """Return a statement as SQL for `SQLUnit`, with the conversions of its values."""
    return _Compiler(database, statement).prepared()


def create(database: Database, tables: Sequence[Table]) -> Iterator[str]:
    """Yield the statements that create what is missing of tables and indexes."""
    if database.ddl_lock:
        yield database.ddl_lock
    for table in tables:
        name = _quoted(database, table.name)
        yield f"CREATE TABLE IF NOT EXISTS {name} ({_body(database, table)})"
        for key in table.indexes:
            index = _quoted(database, _index_name(table, key))
            yield f"CREATE INDEX IF NOT EXISTS {index} ON {name} ({_listed(database, key)})"


def drop(database: Database, tables: Sequence[Table]) -> Iterator[str]:
    """Yield the statements that drop tables, those that reference others first."""
    for table in reversed(tables):
        yield f"DROP TABLE IF EXISTS {_quoted(database, table.name)}"


def _quoted(database: Database, name: str) -> str:
    return f"{database.quote}{name}{database.quote}"


def _listed(database: Database, names: Sequence[str]) -> str:
    return ", ".join(_quoted(database, name) for name in names)


def _index_name(table: Table, key: Sequence[str]) -> str:
    name = f"{table.name}_{'_'.join(key)}_index"
    return (
        name if len(name) <= 60 else f"{name[:48]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    )


def _body(database: Database, table: Table) -> str:
    parts = []
    for column in table.columns:
        kind = database.identity if column.name == "id" else database.type(column)
        null = "" if column.null or column.name == "id" else " NOT NULL"
        parts.append(f"{_quoted(database, column.name)} {kind}{null}")
    parts += [f"UNIQUE ({_listed(database, key)})" for key in table.unique]
    parts += [
        f"FOREIGN KEY ({_quoted(database, column.name)})"
        f" REFERENCES {_quoted(database, column.references)} ({_quoted(database, 'id')})"
        f" ON DELETE {column.on_delete.upper()}"
        for column in table.columns
        if column.references
    ]
    return ", ".join(parts)


class _Compiler:
    """Writes one statement; the conversions of its values gather in the order of placeholders."""

    def __init__(self, database: Database, statement: Statement) -> None:
        self.database = database
        self.statement = statement
        self.encode: list[Convert | None] = []

    def prepared(self) -> Prepared:
        statement = self.statement
        code = getattr(self, f"_{statement.operation}")()
        columns = statement.columns or statement.table.columns
        decode = (self.database.codec(column)[1] for column in columns)
        return Prepared(code, tuple(self.encode), tuple(decode))

    def _name(self, name: str) -> str:
        return _quoted(self.database, name)

    def _placeholder(self, convert: Convert | None = None) -> str:
        self.encode.append(convert)
        return self.database.placeholder.format(len(self.encode))

    def _value(self, column: Column) -> str:
        return self._placeholder(self.database.codec(column)[0])

    def _stored(self) -> list[Column]:
        return [column for column in self.statement.table.columns if column.name != "id"]

    def _insert(self) -> str:
        table = self._name(self.statement.table.name)
        names = ", ".join(self._name(column.name) for column in self._stored())
        values = ", ".join(self._value(column) for column in self._stored())
        returning = f" RETURNING {self._name('id')}" if self.database.returning else ""
        return f"INSERT INTO {table} ({names}) VALUES ({values}){returning}"

    def _update(self) -> str:
        values = ", ".join(f"{self._name(c.name)} = {self._value(c)}" for c in self._stored())
        return f"UPDATE {self._name(self.statement.table.name)} SET {values}{self._where()}"

    def _delete(self) -> str:
        return f"DELETE FROM {self._name(self.statement.table.name)}{self._where()}"

    def _count(self) -> str:
        by = ", ".join(self._name(column.name) for column in self.statement.columns)
        table = self._name(self.statement.table.name)
        code = f"SELECT {by}{', ' if by else ''}COUNT(*) FROM {table}{self._where()}"
        return f"{code} GROUP BY {by}" if by else code

    def _select(self) -> str:
        statement = self.statement
        columns = statement.columns or statement.table.columns
        names = ", ".join(self._name(column.name) for column in columns)
        code = f"SELECT {names} FROM {self._name(statement.table.name)}{self._where()}"
        if statement.order:
            code += f" ORDER BY {', '.join(self._order(*item) for item in statement.order)}"
        if statement.limit:
            code += f" LIMIT {self._placeholder()}"
        if statement.offset:
            code += f" OFFSET {self._placeholder()}"
        return code + (self.database.lock if statement.lock else "")

    def _order(self, column: Column, descending: bool) -> str:
        direction = " DESC" if descending else ""
        if column.null and self.database.orders_nulls:
            direction += " NULLS LAST" if descending else " NULLS FIRST"
        return self._name(column.name) + direction

    def _where(self) -> str:
        conditions = [self._condition(condition) for condition in self.statement.where]
        return f" WHERE {' AND '.join(conditions)}" if conditions else ""

    def _condition(self, condition: Condition) -> str:
        column, operator = self._name(condition.column.name), condition.operator
        if operator == "isnull":
            return f"{column} IS NULL"
        if operator == "notnull":
            return f"{column} IS NOT NULL"
        if condition.inner:
            inner = _Compiler(self.database, condition.inner)
            inner.encode = self.encode
            return f"{column} IN ({inner._select()})"
        if operator == "in":
            values = (self._value(condition.column) for _ in range(condition.count))
            return f"{column} IN ({', '.join(values)})"
        fold = self.database.fold
        if operator == "iexact":
            return f"{fold.format(column)} = {fold.format(self._placeholder())}"
        if operator in (*PATTERNS, *FOLDED):
            value = self._placeholder(self.database.pattern(operator))
            if operator in FOLDED:
                column, value = fold.format(column), fold.format(value)
            return self.database.like.format(column, value)
        return f"{column} {COMPARE[operator]} {self._value(condition.column)}"


class SQLUnit:
    """The part of a unit of work that is the same for every library: running prepared statements.

    `connection` is the driver's own, with a transaction begun. An adapter derives its unit from
    this class and adds `native`, `end` and `close`, which rolls back what was not committed and
    must not give the connection to others where it is `broken`. `native` sets `handed_out`: what
    is changed by way of it is not seen here.
    """

    def __init__(self, database: Database, connection: Any) -> None:
        self._database = database
        self._connection = connection
        self._cursor = connection.cursor()
        self._failed = False
        self._changed = False
        self._savepoints = 0
        self.handed_out = False
        self.broken = False

    def rows(self, prepared: Prepared, values: Sequence[object]) -> Sequence[Any]:
        """Run a select or count and return its rows."""
        self._run(prepared.code, values)
        try:
            return self._cursor.fetchall()  # type: ignore[no-any-return]
        except Exception as error:
            self._fail(error)

    def change(self, prepared: Prepared, rows: Sequence[Sequence[object]]) -> int:
        """Run an insert and return the id, or changes and return how many rows they met."""
        if len(rows) == 1:
            self._run(prepared.code, rows[0])
        else:
            self._run(prepared.code, rows, many=True)
        self._changed = True
        if not prepared.code.startswith("INSERT"):
            return int(self._cursor.rowcount)
        new = self._cursor.fetchone()[0] if self._database.returning else self._cursor.lastrowid
        return int(new)

    def script(self, statements: Iterable[str]) -> None:
        """Run statements without values, such as those of `create`."""
        for statement in statements:
            self._run(statement, ())

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what is done in the block if it raises, and leave the unit of work usable."""
        self._savepoints += 1
        name = f"kit_{self._savepoints}"
        self._run(f"SAVEPOINT {name}", ())
        try:
            yield
            self._run(f"RELEASE SAVEPOINT {name}", ())
        except BaseException:
            if not self.broken:
                self._failed = False
                with suppress(Exception):  # a deadlock may have ended it all: the unit has failed
                    self._run(f"ROLLBACK TO SAVEPOINT {name}", ())
            raise

    def commit(self) -> None:
        """Keep what was done; raise KitError where part of it failed and nobody took notice."""
        if self._failed and (self._changed or self.handed_out):
            raise KitError(f"nothing was stored: {FAILED_BEFORE}")
        if not self._failed and self._database.ended(self._connection):
            raise KitError(f"nothing was stored: {ENDED_BEFORE}")
        try:
            self.end()
        except Exception as error:
            self._fail(error)

    def end(self) -> None:
        """Commit the library's transaction."""
        raise NotImplementedError

    def _run(self, code: str, values: Sequence[Any], *, many: bool = False) -> None:
        if self._failed:
            raise KitError(FAILED_BEFORE)
        try:
            if many:
                self._cursor.executemany(code, values)
            else:
                self._cursor.execute(code, values)
        except Exception as error:
            self._fail(error)
        except BaseException:  # cancelled: nobody knows how far the database came
            self._failed = self.broken = True
            raise

    def _fail(self, error: Exception) -> NoReturn:
        self._failed = True
        meaning = self._database.translate(error)
        if meaning is None:
            raise error
        self.broken = meaning.status == 503
        raise meaning from error
