"""SQLAlchemy: its engine, pool and transactions below the store, and a Session for handlers.

The statements of the store run on the driver's cursor of the connection that SQLAlchemy has
checked out, so that rows become records without a detour through its result objects.
"""

from __future__ import annotations

import os
import pkgutil
import weakref
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    MetaData,
    PoolProxiedConnection,
    create_engine,
    event,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kit.errors import Unavailable
from kit.slots.persistence import PersistenceOptions, sql
from kit.slots.persistence.databases import Database, database, location
from kit.slots.persistence.records import Table
from kit.slots.persistence.statements import Prepared, Statement

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, SessionTransaction

DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql"}


@dataclass(frozen=True, kw_only=True)
class SQLAlchemyOptions(PersistenceOptions):
    """`models` names the declarative base or MetaData of plain models: ``"contacts.models:Base"``.

    Their tables are created with those of the records. `echo` logs what SQLAlchemy itself runs.
    """

    models: str = ""
    echo: bool = False


class SQLAlchemyUnit(sql.SQLUnit):
    """A unit of work on a connection from SQLAlchemy's pool."""

    def __init__(self, database: Database, engine: Engine, pooled: PoolProxiedConnection) -> None:
        super().__init__(database, pooled.dbapi_connection)
        self._engine = engine
        self._pooled = pooled
        self._session: Session | None = None
        self.script([database.begin])

    @property
    def native(self) -> Session:
        """A Session in this transaction: its commit only flushes, its rollback undoes the unit."""
        from sqlalchemy.orm import Session  # takes long, and a stack may do without

        self.handed_out = True
        if self._session is None:
            self.connection.begin()
            self._session = Session(self.connection, join_transaction_mode="rollback_only")
            event.listen(self._session, "after_soft_rollback", self._rolled_back)
        return self._session

    @cached_property
    def connection(self) -> Connection:
        """SQLAlchemy's Connection on top of the pooled one."""
        return Connection(self._engine, self._pooled)

    def _rolled_back(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.nested:
            return  # a savepoint, after which the unit goes on
        self._failed = self._changed  # what the store had changed is undone
        if not self.connection.in_transaction() and not self.broken:
            self._cursor.execute(self._database.begin)
            self.connection.begin()  # so that the next commit, too, only flushes

    def end(self) -> None:
        """Flush the Session and commit."""
        if self._session is not None:
            self._session.commit()
        self._pooled.commit()

    def close(self) -> None:
        """Roll back what is open; give the connection back, or away where it is broken."""
        try:
            if self._session is not None:
                self._session.close()
        except SQLAlchemyError:
            self.broken = True
        finally:
            if self.broken:
                self._pooled.invalidate()
            self._pooled.close()


class SQLAlchemyPersistence:
    """Records, and plain SQLAlchemy models, in a database; the native handle is a Session."""

    def __init__(self, options: SQLAlchemyOptions) -> None:
        self._database = database(options.url)
        self._database.load()
        self._pool_size = options.pool_size
        self._engine = _engine(options, self._database)
        self._metadata = metadata(options.models)
        engine = weakref.ref(self._engine)
        os.register_at_fork(after_in_child=lambda: _forget(engine()))

    def create(self, tables: Sequence[Table]) -> None:
        """Create the tables of records, then those of the plain models."""
        with closing(self.begin()) as unit:
            unit.script(sql.create(self._database, tables))
            self._metadata.create_all(unit.connection)
            unit.commit()

    def drop(self, tables: Sequence[Table]) -> None:
        """Drop the tables of the plain models, then those of records."""
        with closing(self.begin()) as unit:
            self._metadata.drop_all(unit.connection)
            unit.script(sql.drop(self._database, tables))
            unit.commit()

    def prepare(self, statement: Statement) -> Prepared:
        """Compile a statement for the database."""
        return sql.compile_statement(self._database, statement)

    def begin(self) -> SQLAlchemyUnit:
        """Check a connection out and begin a transaction; go on to the next if it is dead."""
        tries = 1 if self._database.begin_waits else self._pool_size + 1
        while True:
            pooled = self._check_out()
            try:
                return SQLAlchemyUnit(self._database, self._engine, pooled)
            except BaseException as error:
                pooled.invalidate()
                pooled.close()
                tries -= 1
                if not tries or not isinstance(error, Unavailable):
                    raise

    def _check_out(self) -> PoolProxiedConnection:
        try:
            return self._engine.raw_connection()
        except PoolTimeout as error:
            raise Unavailable("all connections are in use") from error
        except Exception as error:
            raise self._database.translate(error) or error from error

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _engine(options: SQLAlchemyOptions, database: Database) -> Engine:
    parts = location(options.url)
    engine = create_engine(
        URL.create(
            DRIVERS[options.url.partition("://")[0]],
            username=parts.pop("user", None),
            **{name: parts.pop(name, None) for name in ("password", "host", "port", "database")},
            query=parts,
        ),
        connect_args=database.arguments(options),
        pool_size=options.pool_size,
        max_overflow=0,
        pool_timeout=options.pool_wait,
        hide_parameters=True,
        echo=options.echo,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:
        database.configure(connection, options)

    return engine


def metadata(models: str) -> MetaData:
    """Return the MetaData that the option `models` names, an empty one without it."""
    if not models:
        return MetaData()
    found = pkgutil.resolve_name(models)
    return found if isinstance(found, MetaData) else found.metadata


def _forget(engine: Engine | None) -> None:
    """Leave the connections to the parent process."""
    if engine is not None:
        engine.dispose(close=False)
