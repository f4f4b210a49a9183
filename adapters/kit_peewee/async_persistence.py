"""Peewee's asyncio support: models and queries on the connection of a unit of work.

Peewee keeps a connection by task, and here the one of the unit of work whose `db` the handler
has, whatever task or thread it uses it in. Each event loop has a pool, since connections belong
to one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import playhouse.pwasyncio

from kit.errors import KitError, Unavailable
from kit.slots.persistence.async_databases import AsyncDatabase, Link
from kit.slots.persistence.async_sql import AsyncPersistence, AsyncUnit
from kit.slots.persistence.databases import location
from kit.waiting import PerLoop, wait
from kit_peewee.persistence import PeeweeOptions, models

pwasyncio: Any = playhouse.pwasyncio  # hardly typed
NO_UNIT = "Peewee has no unit of work here: name `db` in the handler, and stay within its request"


class _Here(pwasyncio._ConnectionState):  # type: ignore[misc]
    """The state of a connection: not that of a task, but that of a unit of work."""

    def __init__(self) -> None:
        super().__init__()
        self.unit: ContextVar[AsyncPeeweeUnit | None] = ContextVar("unit", default=None)

    def _current(self) -> Any:
        unit = self.unit.get()
        if unit is None or unit.closed:
            raise KitError(NO_UNIT)
        return unit.state


class _Ours:
    """Makes a Database leave connections and transactions to units of work."""

    _state: Any

    async def aconnect(self) -> Any:
        """Return the connection of the unit of work."""
        return self._state.conn


class _SQLite(_Ours, pwasyncio.AsyncSqliteDatabase):  # type: ignore[misc]
    async def wrapped(self, driven: Any) -> Any:
        await self._add_conn_hooks(driven)
        return pwasyncio.AsyncSqliteConnection(driven)


class _PostgreSQL(_Ours, pwasyncio.AsyncPostgresqlDatabase):  # type: ignore[misc]
    async def wrapped(self, driven: Any) -> Any:
        await self.register_adapters(driven)
        return pwasyncio.AsyncPostgresqlConnection(driven)


class _MariaDB(_Ours, pwasyncio.AsyncMySQLDatabase):  # type: ignore[misc]
    async def wrapped(self, driven: Any) -> Any:
        self.server_version = self._extract_server_version(driven.get_server_info())
        return pwasyncio.AsyncMySQLConnection(driven)


DATABASES: dict[str, type[Any]] = {
    "sqlite": _SQLite,
    "postgresql": _PostgreSQL,
    "mariadb": _MariaDB,
}


class Pool:
    """At most `size` connections of one event loop, opened when they are first needed.

    Each is Peewee's wrapper of a connection of the driver.
    """

    def __init__(self, size: int, patience: float, connect: Callable[[], Awaitable[Any]]) -> None:
        self._free: list[Any] = []
        self._places = asyncio.Semaphore(size)
        self._patience = patience
        self._connect = connect

    async def take(self) -> Any:
        """Return a connection; raise Unavailable if all are in use for too long."""
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except TimeoutError as error:
            raise Unavailable("all connections are in use") from error
        try:
            return self._free.pop() if self._free else await self._connect()
        except BaseException:
            self._places.release()
            raise

    async def give(self, connection: Any, link: Link, *, broken: bool) -> None:
        """Take a connection back; close it if it is broken."""
        try:
            if broken:
                await link.close()
            else:
                self._free.append(connection)
        finally:
            self._places.release()

    async def close(self) -> None:
        """Close the connections that are not in use."""
        while self._free:
            await self._free.pop().close()


class AsyncPeeweeUnit(AsyncUnit):
    """A unit of work on a connection from the pool of an event loop."""

    def __init__(self, database: AsyncDatabase, native: Any, pool: Pool, connection: Any) -> None:
        super().__init__(database, connection.conn)
        self._native = native
        self._pool = pool
        self.closed = False
        self.state = pwasyncio._State()
        self.state.conn = connection
        self.state.closed = False
        self.state.transactions.append(native.transaction())  # so that atomic() is a savepoint

    @property
    def native(self) -> Any:
        """Peewee's Database, which is in this transaction from now on in this context."""
        self.handed_out = True
        self._native._state.unit.set(self)
        return self._native

    async def release(self) -> None:
        """Give the connection back, or away where it is broken."""
        self.closed = True
        await self._pool.give(self.state.conn, self.link, broken=self.broken)


class AsyncPeeweePersistence(AsyncPersistence):
    """Records, and plain Peewee models, in a database; the native handle is Peewee's Database."""

    def __init__(self, options: PeeweeOptions) -> None:
        super().__init__(options)
        url = options.url
        self._native = DATABASES[url.partition("://")[0]](location(url)["database"])
        self._native._state = _Here()
        self._models = [model for name in options.models for model in models(name)]
        self._native.bind(self._models)
        self._pools = PerLoop(self._pool, Pool.close)

    def create_models(self, unit: AsyncPeeweeUnit) -> None:
        """Create the tables of plain models."""
        if self._models:
            wait(unit.native.acreate_tables(self._models))

    def drop_models(self, unit: AsyncPeeweeUnit) -> None:
        """Drop the tables of plain models."""
        if self._models:
            wait(unit.native.adrop_tables(self._models))

    async def acquire(self) -> AsyncPeeweeUnit:
        """Take a connection from the pool of this event loop."""
        pool = self._pools.here()
        return AsyncPeeweeUnit(self._database, self._native, pool, await pool.take())

    async def dispose(self) -> None:
        """Close all connections."""
        await self._pools.close()

    def _pool(self) -> Pool:
        return Pool(self._options.pool_size, self._options.pool_wait, self._connect)

    async def _connect(self) -> Any:
        driven = await self._database.open(self._options.url, self._options)
        try:
            return await self._native.wrapped(driven)
        except BaseException:
            await self._database.link(driven).close()
            raise
