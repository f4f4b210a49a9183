"""Databases by their asyncio drivers: aiosqlite, asyncpg and aiomysql, for plain code to use.

A `Link` has the part of DB-API that `kit.slots.persistence.sql` needs, and waits in it for the
driver's coroutines, so that SQL, types and errors are those of `kit.slots.persistence.databases`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from kit.errors import KitError
from kit.options import DatabaseURL
from kit.slots.persistence.databases import (
    MARIADB,
    POSTGRESQL,
    SQLITE,
    Codec,
    Database,
    Timeouts,
    away,
    invalid,
    location,
    lower,
    state_meaning,
)
from kit.slots.persistence.units import AT_ONCE
from kit.waiting import wait

Row = Sequence[Any]
_GRACE = 5  # seconds for an answer after the server should have given up


class Link:
    """A connection of an asyncio driver in a transaction, and its own cursor.

    Plain code uses `execute` and the rest of DB-API, coroutines the methods that are to be
    awaited. `driven` is the driver's connection.
    """

    rowcount = -1
    lastrowid: Any = None

    def __init__(self, driven: Any) -> None:
        self.driven = driven
        self._rows: Sequence[Row] = ()

    def cursor(self) -> Link:
        """Return itself: there is one cursor."""
        return self

    def execute(self, code: str, values: Sequence[object]) -> None:
        """Run a statement and keep its rows."""
        self._rows = wait(self.run(code, values))

    def executemany(self, code: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a change for each of `rows`; `rowcount` is how many they met in all."""
        wait(self.run_many(code, rows))

    def fetchall(self) -> Sequence[Row]:
        """Return the rows of the last statement."""
        return self._rows

    def fetchone(self) -> Row:
        """Return the first of them."""
        return self._rows[0]

    @property
    def in_transaction(self) -> bool:
        """Whether the driver knows of a transaction."""
        return bool(self.driven.in_transaction)

    async def run(self, code: str, values: Sequence[object]) -> Sequence[Row]:
        """Run a statement, return its rows, and set `rowcount` and `lastrowid`."""
        raise NotImplementedError

    async def run_many(self, code: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a change for each of `rows`, and set `rowcount`."""
        raise NotImplementedError

    async def setup(self) -> None:
        """Make a new connection ready, before the settings of its database."""

    async def begin(self, code: str) -> None:
        """Begin a transaction."""
        await self.run(code, ())

    async def commit(self) -> None:
        """Commit."""
        await self.run("COMMIT", ())

    async def rollback(self) -> None:
        """Roll back, if there is a transaction."""
        if self.in_transaction:
            await self.run("ROLLBACK", ())

    async def failed(self) -> bool:
        """Say whether the transaction can only be rolled back."""
        return False

    async def stop(self) -> None:
        """Stop a statement that nobody waits for any more; the connection is of no use then."""

    async def close(self) -> None:
        """Close the connection, whatever state it is in."""
        await self.driven.close()


class _SQLite(Link):
    """aiosqlite hands each call to the connection's thread, so one call has to do."""

    async def run(self, code: str, values: Sequence[object]) -> Sequence[Row]:
        if code.startswith("SELECT"):
            found: list[Row] = await self.driven.execute_fetchall(code, values)
            return found
        done = await self.driven.execute(code, values)
        self.rowcount, self.lastrowid = done.rowcount, done.lastrowid
        return ()

    async def run_many(self, code: str, rows: Sequence[Sequence[object]]) -> None:
        self.rowcount = (await self.driven.executemany(code, rows)).rowcount

    async def setup(self) -> None:
        await self.driven.create_function("kit_lower", 1, lower, deterministic=True)

    async def stop(self) -> None:
        with suppress(ValueError):  # it is closed
            await self.driven.interrupt()


class _PostgreSQL(Link):
    """asyncpg knows of a transaction, and allows savepoints of its own, if it began it itself."""

    _transaction: Any = None

    async def setup(self) -> None:
        for name, codec in _TUPLES.items():
            encoder, decoder = codec
            await self.driven.set_type_codec(
                name, schema="pg_catalog", encoder=encoder, decoder=decoder, format="tuple"
            )

    @property
    def in_transaction(self) -> bool:
        return bool(self.driven.is_in_transaction())

    async def run(self, code: str, values: Sequence[object]) -> Sequence[Row]:
        if code.startswith(("SELECT", "INSERT")):  # the ones that return rows
            found: list[Row] = await self.driven.fetch(code, *values)
            return found
        status: str = await self.driven.execute(code, *values)
        number = status.rpartition(" ")[2]
        self.rowcount = int(number) if number.isdecimal() else -1
        return ()

    async def run_many(self, code: str, rows: Sequence[Sequence[object]]) -> None:
        # the only way to all of the counts in one go
        self.rowcount = len(await self.driven.fetchmany(f"{code} RETURNING 1", rows))

    async def begin(self, code: str) -> None:
        self._transaction = self.driven.transaction()
        await self._transaction.start()

    async def commit(self) -> None:
        await self._transaction.commit()

    async def rollback(self) -> None:
        await self._transaction.rollback()

    async def failed(self) -> bool:
        try:
            await self.driven.execute("SELECT 1")
        except Exception as error:
            if getattr(error, "sqlstate", "") != "25P02":
                raise
            return True
        return False

    async def close(self) -> None:
        try:
            await self.driven.close(timeout=_GRACE)
        except Exception:
            self.driven.terminate()


_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_FIRST = _EPOCH.toordinal()
_MICROSECOND = timedelta(microseconds=1)
# asyncpg's own codecs make infinities of the first and the last date and datetime there are
_TUPLES: dict[str, Codec] = {
    "timestamptz": (
        lambda value: ((value.astimezone(UTC) - _EPOCH) // _MICROSECOND,),
        lambda parts: _EPOCH + timedelta(microseconds=parts[0]),
    ),
    "date": (
        lambda value: (value.toordinal() - _FIRST,),
        lambda parts: date.fromordinal(parts[0] + _FIRST),
    ),
}


class _MariaDB(Link):
    _cursor: Any = None

    @property
    def in_transaction(self) -> bool:
        return bool(self.driven.get_transaction_status())

    async def run(self, code: str, values: Sequence[object]) -> Sequence[Row]:
        async with self._open() as cursor, asyncio.timeout(self.driven.patience):
            await cursor.execute(code, values)
            self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
            found: Sequence[Row] = await cursor.fetchall()
            return found

    async def run_many(self, code: str, rows: Sequence[Sequence[object]]) -> None:
        async with self._open() as cursor, asyncio.timeout(self.driven.patience * len(rows)):
            self.rowcount = await cursor.executemany(code, rows)

    def _open(self) -> Any:
        if _MariaDB._cursor is None:
            _MariaDB._cursor = _quiet_cursor(ASYNC_MARIADB.load())
        return self.driven.cursor(_MariaDB._cursor)

    async def close(self) -> None:
        self.driven.close()


def _quiet_cursor(aiomysql: Any) -> type:
    """Return a cursor that does not fetch the server's warnings and give them to Python's."""

    async def nothing(self: Any, connection: Any) -> None:
        pass

    return type("QuietCursor", (aiomysql.Cursor,), {"_show_warnings": nothing})


@dataclass(frozen=True, kw_only=True)
class AsyncDatabase(Database):
    """A `Database` by an asyncio driver: `link` makes its connections fit for plain code.

    `connect` is a coroutine function that takes the driver's module, the URL and the timeouts,
    and returns a new connection, to which `settings` are still to be applied.
    """

    link: type[Link]
    connect: Callable[[Any, DatabaseURL, Timeouts], Any]

    def translate(self, error: BaseException) -> KitError | None:
        """Return what an error means, be it the driver's own or what caused it."""
        return super().translate(error) or self.meaning(error)

    async def open(self, url: DatabaseURL, timeouts: Timeouts) -> Any:
        """Return a new connection of the driver, ready for units of work.

        Raises Unavailable, and whatever of the driver's errors is no such thing.
        """
        try:
            driven = await self.connect(self.load(), url, timeouts)
        except Exception as error:
            meaning = self.translate(error)
            if meaning is None:
                raise
            raise meaning from error
        link = self.link(driven)
        try:
            await link.setup()
            for setting in self.settings_for(timeouts):
                await link.run(setting, ())
        except BaseException:
            await link.close()
            raise
        return driven


async def _connect_sqlite(aiosqlite: Any, url: DatabaseURL, timeouts: Timeouts) -> Any:
    connecting = aiosqlite.connect(location(url)["database"], isolation_level=None)
    connecting._thread.daemon = True  # or a process that fails to close it would never end
    return await connecting


async def _connect_postgresql(asyncpg: Any, url: DatabaseURL, timeouts: Timeouts) -> Any:
    return await asyncpg.connect(
        url,
        timeout=timeouts.connect_timeout,
        command_timeout=timeouts.statement_timeout + _GRACE,
    )


async def _connect_mariadb(aiomysql: Any, url: DatabaseURL, timeouts: Timeouts) -> Any:
    parts = location(url)
    arguments = MARIADB.arguments(timeouts)
    patience = arguments.pop("read_timeout")  # which aiomysql does not know
    driven = await aiomysql.connect(db=parts.pop("database"), autocommit=True, **parts, **arguments)
    driven.patience = patience
    escape = driven.escape  # which fails for bytes since PyMySQL 1.2
    driven.escape = lambda value: (
        f"_binary X'{value.hex()}'" if isinstance(value, bytes) else escape(value)
    )
    return driven


def _sqlite_meaning(error: BaseException) -> KitError | None:
    if isinstance(error, ValueError) and "onnection" in str(error):
        return away()  # "Connection closed", "no active connection"
    return SQLITE.meaning(error)


def _postgresql_meaning(error: BaseException) -> KitError | None:
    error = getattr(error, "driver_exception", None) or error  # in what SQLAlchemy makes of it
    asyncpg = ASYNC_POSTGRESQL.load()

    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return away()  # a table was changed: a new connection reads it anew
    if state := getattr(error, "sqlstate", None):
        return state_meaning(state)
    if isinstance(error, asyncpg.InterfaceError):
        if isinstance(error, ValueError):  # its encoders' error for a value of the wrong kind
            return invalid()
        return KitError(AT_ONCE) if "another operation" in str(error) else away()
    return away() if isinstance(error, OSError) else None


def _mariadb_meaning(error: BaseException) -> KitError | None:
    return away() if isinstance(error, OSError) else MARIADB.meaning(error)


def _driven(base: Database, **changes: Any) -> AsyncDatabase:
    """Return a database as another driver has it."""
    same = {item.name: getattr(base, item.name) for item in fields(base)}
    return AsyncDatabase(**{**same, "ended": lambda link: not link.in_transaction, **changes})


_uuid: Codec = (None, lambda value: UUID(int=value.int))  # asyncpg has a class of its own

ASYNC_SQLITE = _driven(
    SQLITE,
    driver="aiosqlite",
    install="aiosqlite",
    meaning=_sqlite_meaning,
    link=_SQLite,
    connect=_connect_sqlite,
)
ASYNC_POSTGRESQL = _driven(
    POSTGRESQL,
    driver="asyncpg",
    install="asyncpg",
    placeholder="${}",
    codecs={"uuid": _uuid},
    meaning=_postgresql_meaning,
    link=_PostgreSQL,
    connect=_connect_postgresql,
)
ASYNC_MARIADB = _driven(
    MARIADB,
    driver="aiomysql",
    install="aiomysql",
    meaning=_mariadb_meaning,
    ended=lambda link: False,
    link=_MariaDB,
    connect=_connect_mariadb,
)

ASYNC_DATABASES = {
    "sqlite": ASYNC_SQLITE,
    "postgresql": ASYNC_POSTGRESQL,
    "mariadb": ASYNC_MARIADB,
}


def async_database(url: DatabaseURL) -> AsyncDatabase:
    """Return the database that a URL points to, by its asyncio driver."""
    return ASYNC_DATABASES[url.partition("://")[0]]
