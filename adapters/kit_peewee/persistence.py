"""Peewee: its pool and transactions below the store, and its Database for handlers.

The statements of the store run on the driver's cursor of the connection that Peewee has checked
out. Peewee keeps that connection by thread, so a thread has one unit of work at a time.
"""

from __future__ import annotations

import importlib
import inspect
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, ClassVar

import peewee
from playhouse import pool

from kit.errors import KitError, Unavailable
from kit.slots.persistence import PersistenceOptions, sql
from kit.slots.persistence.databases import Database, database, location
from kit.slots.persistence.records import Table
from kit.slots.persistence.statements import Prepared, Statement


@dataclass(frozen=True, kw_only=True)
class PeeweeOptions(PersistenceOptions):
    """`models` names modules whose plain models are bound to the database and created with it."""

    models: list[str] = field(default_factory=list)


class _Configured(peewee.Database):
    """Makes each new connection of the pool ready."""

    def __init__(self, name: str, configure: Callable[[Any], None], **arguments: Any) -> None:
        self._configure = configure
        super().__init__(name, **arguments)

    def _connect(self) -> Any:
        connection = super()._connect()  # type: ignore[misc]
        try:
            self._configure(connection)
        except Exception:
            connection.close()
            raise
        return connection


class _SQLite(pool.PooledDatabase, _Configured, peewee.SqliteDatabase):  # type: ignore[misc]
    pass


class _PostgreSQL(pool.PooledDatabase, _Configured, peewee.PostgresqlDatabase):  # type: ignore[misc]
    pass


class _MariaDB(pool.PooledDatabase, _Configured, peewee.MySQLDatabase):  # type: ignore[misc]
    pass


POOLS = {"sqlite": _SQLite, "postgresql": _PostgreSQL, "mariadb": _MariaDB}


class PeeweeUnit(sql.SQLUnit):
    """A unit of work on the connection of this thread."""

    def __init__(self, database: Database, native: Any) -> None:
        self._native = native
        self._transaction = native.transaction()
        self._transaction.__enter__()
        self._open = True
        self._thread = threading.get_ident()
        self.closed = False
        super().__init__(database, native.connection())

    @property
    def native(self) -> Any:
        """Peewee's Database, in the transaction of this thread."""
        self.handed_out = True
        return self._native

    def end(self) -> None:
        """Commit."""
        self._transaction.commit(begin=False)
        self._open = False

    def close(self) -> None:
        """Roll back what is open; give the connection back, or away where it is broken."""
        self.closed = True
        if threading.get_ident() != self._thread:
            self._connection.rollback()  # Peewee lets go of it at the thread's next unit of work
            return
        if self._open:
            try:
                self._transaction.rollback(begin=False)
            except peewee.PeeweeException:
                self.broken = True
        while self._native.in_transaction():
            self._native.pop_transaction()
        if self.broken:
            self._native.manual_close()
        else:
            self._native.close()


class PeeweePersistence:
    """Records, and plain Peewee models, in a database; the native handle is that Database."""

    one_thread: ClassVar[str] = "Peewee keeps the connection of a unit of work by thread"
    lacks: ClassVar[dict[str, str]] = {"coroutines": one_thread}

    def __init__(self, options: PeeweeOptions) -> None:
        self._database = database(options.url)
        self._database.load()
        self._pool_size = options.pool_size
        self._here = threading.local()
        self._native = _pool(options, self._database)
        self._models = [model for name in options.models for model in models(name)]
        self._native.bind(self._models)
        native = weakref.ref(self._native)
        os.register_at_fork(after_in_child=lambda: _forget(native()))

    def create(self, tables: Sequence[Table]) -> None:
        """Create the tables of records, then those of the plain models."""
        with closing(self.begin()) as unit:
            unit.script(sql.create(self._database, tables))
            self._native.create_tables(self._models)
            unit.commit()

    def drop(self, tables: Sequence[Table]) -> None:
        """Drop the tables of the plain models, then those of records."""
        with closing(self.begin()) as unit:
            self._native.drop_tables(self._models)
            unit.script(sql.drop(self._database, tables))
            unit.commit()

    def prepare(self, statement: Statement) -> Prepared:
        """Compile a statement for the database."""
        return sql.compile_statement(self._database, statement)

    def begin(self) -> PeeweeUnit:
        """Check a connection out and begin a transaction; go on to the next if it is dead."""
        tries = 1 if self._database.begin_waits else self._pool_size + 1
        while True:
            self._check_out()
            try:
                unit = PeeweeUnit(self._database, self._native)
                self._here.unit = unit
                return unit
            except BaseException as error:
                self._native.manual_close()
                tries -= 1
                meaning = self._database.translate(error)
                if not tries or not isinstance(meaning, Unavailable):
                    raise meaning or error from error

    def _check_out(self) -> None:
        before: PeeweeUnit | None = getattr(self._here, "unit", None)
        if before is not None and not before.closed:
            raise KitError("this thread has a unit of work already, and Peewee takes one at a time")
        try:
            if not self._native.is_closed():  # a stream that another thread has closed
                while self._native.in_transaction():
                    self._native.pop_transaction()
                self._native.manual_close()
            self._native.connect()
        except pool.MaxConnectionsExceeded as error:
            raise Unavailable("all connections are in use") from error
        except peewee.PeeweeException as error:
            raise self._database.translate(error) or error from error

    def close(self) -> None:
        """Close all connections."""
        self._native.close_all()


def _pool(options: PeeweeOptions, database: Database) -> Any:
    parts = location(options.url)
    if options.url.startswith("sqlite"):
        parts["lock_type"] = "IMMEDIATE"
    make: Any = POOLS[options.url.partition("://")[0]]
    return make(
        parts.pop("database"),
        configure=lambda connection: database.configure(connection, options),
        max_connections=options.pool_size,
        timeout=options.pool_wait,
        **database.arguments(options),
        **parts,
    )


def models(module: str) -> Iterator[type[peewee.Model]]:
    """Yield the models that are defined in a module."""
    for value in vars(importlib.import_module(module)).values():
        is_model = inspect.isclass(value) and issubclass(value, peewee.Model)
        if is_model and value.__module__ == module:
            yield value


def _forget(native: Any) -> None:
    """Leave the connections to the parent process."""
    if native is not None:
        native.dispose()
