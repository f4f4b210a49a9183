"""Persistence: records in a database, a unit of work per request, and the native handle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from kit.components import Slot
from kit.errors import ConfigError, KitError, Problem, Unavailable
from kit.options import DatabaseURL, Duration
from kit.plugins import hookimpl
from kit.providers import provider
from kit.slots.persistence.async_store import AsyncStore, runner
from kit.slots.persistence.portable import Statements, Store
from kit.slots.persistence.records import Table, record_place, tables
from kit.slots.persistence.statements import Prepared, Statement
from kit.slots.persistence.units import UnitOfWork

if TYPE_CHECKING:
    from kit.app import App

_THREE_SECONDS = Duration(3)
_FIVE_SECONDS = Duration(5)
_HALF_A_MINUTE = Duration(30)


@dataclass(frozen=True, kw_only=True)
class PersistenceOptions:
    """Options that mean the same for every component.

    `url` says where the database is. At most `pool_size` connections are open at a time; a request
    waits `pool_wait` for one, `connect_timeout` for the server to take a new one, and at most
    `statement_timeout` for a statement (SQLite has none); then it ends in 503. SQLite and MariaDB
    wait `lock_timeout` for a lock. `create` says whether missing tables are created at start.
    """

    url: DatabaseURL
    pool_size: int = 10
    pool_wait: Duration = _FIVE_SECONDS
    connect_timeout: Duration = _THREE_SECONDS
    statement_timeout: Duration = _HALF_A_MINUTE
    lock_timeout: Duration = _FIVE_SECONDS
    create: Literal["missing", "never"] = "missing"

    def __post_init__(self) -> None:
        if self.pool_size < 1:
            raise ValueError("pool_size is at least 1")


class Unit(Protocol):
    """A unit of work: one connection with one transaction, used by one thread at a time."""

    @property
    def native(self) -> Any:
        """What the library's users work with, in this transaction (a Session, a Database)."""
        ...

    def rows(self, prepared: Prepared, values: Sequence[object]) -> Sequence[Any]:
        """Run a select and return its rows, each a sequence in the order of the table's columns.

        A count returns one row with the number. Raises as `change` does.
        """
        ...

    def change(self, prepared: Prepared, rows: Sequence[Sequence[object]]) -> int:
        """Run an insert or another change, once for each of `rows` of values.

        Returns the new id (of an insert, which has one row), or how many rows were met in all.
        A row counts as met even if it had these values already. Raises `kit.errors.Conflict` for
        unique and foreign keys and deadlocks, InvalidValue for a value that the database refuses,
        and Unavailable if the connection is lost or something takes too long, with neither SQL
        nor values in the message. After an error nothing but a savepoint's end makes the unit
        usable again.
        """
        ...

    def savepoint(self) -> AbstractContextManager[None]:
        """Return a context manager that undoes what was done in it if it is left by an error."""
        ...

    def commit(self) -> None:
        """Keep what was done. Raise KitError if something failed and changes would be lost."""
        ...

    def close(self) -> None:
        """Roll back what is not committed and give the connection back; safe after any error."""
        ...


class Persistence(Protocol):
    """A library that keeps records in a database.

    The factory may name ``options``, which is annotated with a subclass of `PersistenceOptions`.
    Connections are opened when they are first needed. For a library on top of DB-API drivers
    `kit.slots.persistence.sql` does most of the work: look at ``kit_peewee/persistence.py``, and
    at ``kit_peewee/async_persistence.py`` for one on asyncio drivers.

    All methods are plain. A component that waits in them with `kit.waiting.wait`, and so can do
    that on an event loop, has the attribute ``awaited = True``; the others are called in threads,
    one after another for one unit of work. A component that has to keep to one thread says why in
    ``one_thread``, and is refused beside coroutines.
    """

    def create(self, tables: Sequence[Table]) -> None:
        """Create what is missing of these tables and their indexes, in this order.

        Several processes may do so at once. Plain models that the component's own options name
        are created too.
        """
        ...

    def drop(self, tables: Sequence[Table]) -> None:
        """Drop what exists of these tables and of the plain models, last first."""
        ...

    def prepare(self, statement: Statement) -> Prepared:
        """Make a statement ready, once, for all units and threads."""
        ...

    def begin(self) -> Unit:
        """Take a connection, a new one if an old one is dead, and begin a transaction.

        In it reads see what other units committed before, and SQLite takes its write lock at once.
        Raises `kit.errors.Unavailable` if there is no connection in time.
        """
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


@provider(scope="app", name="tables")
def record_tables(app: App) -> dict[type, Table]:
    """Describe the tables of the application's records, by record class."""
    return tables(app.record_types)


@provider(scope="app")
def statements(persistence: Persistence, tables: dict[type, Table]) -> Statements:
    """Prepare the statements of the store, once for each shape of call."""
    return Statements(persistence, tables)


@provider(inline=True, blocks=True)
def unit_of_work(persistence: Persistence) -> Iterator[Unit]:
    """Open a unit of work: committed when the handler returned, rolled back when it raised."""
    unit = UnitOfWork(persistence)
    try:
        yield unit
        unit.commit()
    finally:
        unit.close()


@provider(inline=True, blocks=True)
def store(unit_of_work: Unit, statements: Statements) -> Store:
    """Keep records: ``store.find(Contact, age__lt=3)``; see `Store`."""
    return Store(unit_of_work, statements)


@provider(inline=True, awaited=True, name="store")
def async_store(unit_of_work: Unit, statements: Statements, persistence: Persistence) -> AsyncStore:
    """Keep records: ``await store.find(Contact, age__lt=3)``; see `AsyncStore`."""
    return AsyncStore(Store(unit_of_work, statements), runner(persistence))


@provider(blocks="persistence")
def db(unit_of_work: Unit) -> Any:
    """Work with the library itself, in the transaction of the store: a Session, a Database."""
    return unit_of_work.native


slot = Slot(
    name="persistence",
    protocol=Persistence,
    options=PersistenceOptions,
    providers=(record_tables, statements, unit_of_work, store, async_store, db),
    waits=True,
    contract="kit.contracts.persistence:PersistenceContract",
)


kit_after = ("kit.slots.templating",)


@hookimpl
def kit_slots() -> list[Slot]:
    """Declare the slot ``persistence``."""
    return [slot]


@hookimpl
def kit_start(app: App) -> None:
    """Create the tables that are missing, unless the options say ``create = "never"``."""
    filling = app.stack.fillings.get("persistence")
    if filling is not None and filling.options.create == "missing":
        create_tables(app)


def create_tables(app: App) -> list[Table]:
    """Create the missing tables of the application's records, and return all of them.

    Raises ConfigError where the database is away, or has a table that does not fit its record.
    """
    filling = app.stack.fillings["persistence"]
    persistence: Persistence = app.provided("persistence")
    tables: list[Table] = list(app.provided("tables").values())
    try:
        persistence.create(tables)
        problems = [problem for table in tables if (problem := _misfit(persistence, table))]
    except Unavailable as error:
        what = f"[persistence] url = {filling.options.url.shown()!r}: {_innermost(error)}"
        mend = "Start that database, or name another one."
        raise ConfigError([Problem(filling.where, what, mend, error)]) from error
    if problems:
        raise ConfigError(problems)
    return tables


def _misfit(persistence: Persistence, table: Table) -> Problem | None:
    """Say what keeps a record from its table, by reading none of its rows."""
    unit = persistence.begin()
    try:
        unit.rows(persistence.prepare(Statement(operation="select", table=table, limit=True)), [0])
    except KitError:
        raise
    except Exception as error:
        what = (
            f"the table {table.name!r} does not fit the record {table.record.__name__}:"
            f" {_innermost(error)}"
        )
        mend = "There are no migrations: change the table with a tool of your database, or drop it."
        return Problem(record_place(table.record), what, mend, error)
    finally:
        unit.close()
    return None


def _innermost(error: BaseException) -> str:
    """Return what the driver said, in one line."""
    seen = {id(error)}
    while error.__cause__ is not None and id(error.__cause__) not in seen:
        error = error.__cause__
        seen.add(id(error))
    return str(error).partition("\n")[0]
