"""SQLAlchemy's async engine: its pool below the store, and an AsyncSession for handlers.

The statements of the store run on the driver's connection that SQLAlchemy has checked out. Each
event loop has an engine, since connections belong to one.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import AsyncAdaptedQueuePool, Connection, PoolProxiedConnection, event
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only, greenlet_spawn

from kit.errors import Unavailable
from kit.slots.persistence.async_databases import AsyncDatabase
from kit.slots.persistence.async_sql import AsyncPersistence, AsyncUnit
from kit.waiting import PerLoop, wait
from kit_sqlalchemy.persistence import SQLAlchemyOptions, metadata

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session, SessionTransaction

DIALECTS = {
    "sqlite": "sqlite+aiosqlite://",
    "postgresql": "postgresql+asyncpg://",
    "mariadb": "mariadb+aiomysql://",
}


class AsyncSQLAlchemyUnit(AsyncUnit):
    """A unit of work on a connection from the pool of SQLAlchemy's async engine."""

    def __init__(
        self, database: AsyncDatabase, engine: AsyncEngine, pooled: PoolProxiedConnection
    ) -> None:
        super().__init__(database, pooled.driver_connection)
        self._engine = engine
        self._pooled = pooled
        self._session: AsyncSession | None = None

    @property
    def native(self) -> AsyncSession:
        """An AsyncSession in this transaction: its commit only flushes, its rollback undoes it."""
        from sqlalchemy.ext.asyncio import AsyncSession  # takes long, and a stack may do without

        self.handed_out = True
        if self._session is None:
            self.connection.begin()
            self._session = AsyncSession(
                AsyncConnection(self._engine, self.connection),
                join_transaction_mode="rollback_only",
                expire_on_commit=False,
            )
            event.listen(self._session.sync_session, "after_soft_rollback", self._rolled_back)
        return self._session

    @cached_property
    def connection(self) -> Connection:
        """SQLAlchemy's Connection on top of the pooled one, for its greenlets."""
        return Connection(self._engine.sync_engine, self._pooled)

    def _rolled_back(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.nested:
            return  # a savepoint, after which the unit goes on
        self._failed = self._changed  # what the store had changed is undone
        if not self.connection.in_transaction() and not self.broken:
            await_only(self.link.rollback())
            await_only(self.begin())
            self.connection.begin()  # so that the next commit, too, only flushes

    async def flush(self) -> None:
        """Flush the session."""
        if self._session is not None:
            await self._session.commit()

    async def release(self) -> None:
        """Give the connection back, or away where it is broken."""
        await greenlet_spawn(self._release)

    def _release(self) -> None:
        try:
            if self._session is not None:
                self._session.sync_session.close()
        finally:
            if self.broken and self._pooled.is_valid:
                self._pooled.invalidate()
            self._pooled.close()


class AsyncSQLAlchemyPersistence(AsyncPersistence):
    """Records, and plain SQLAlchemy models, in a database; the native handle is an AsyncSession."""

    def __init__(self, options: SQLAlchemyOptions) -> None:
        super().__init__(options)
        self._metadata = metadata(options.models)
        self._echo = options.echo
        self._engines = PerLoop(self._engine, AsyncEngine.dispose)

    def create_models(self, unit: AsyncSQLAlchemyUnit) -> None:
        """Create the tables of plain models."""
        wait(greenlet_spawn(self._metadata.create_all, unit.connection))

    def drop_models(self, unit: AsyncSQLAlchemyUnit) -> None:
        """Drop the tables of plain models."""
        wait(greenlet_spawn(self._metadata.drop_all, unit.connection))

    async def acquire(self) -> AsyncSQLAlchemyUnit:
        """Take a connection from the pool of this event loop."""
        engine = self._engines.here()
        try:
            pooled = await engine.raw_connection()
        except PoolTimeout as error:
            raise Unavailable("all connections are in use") from error
        except Exception as error:
            meaning = self._database.translate(error)
            if meaning is None or meaning is error:
                raise
            raise meaning from error
        return AsyncSQLAlchemyUnit(self._database, engine, pooled)

    async def dispose(self) -> None:
        """Close all connections."""
        await self._engines.close()

    def _engine(self) -> AsyncEngine:
        url = self._options.url

        async def connect() -> Any:
            return await self._database.open(url, self._options)

        return create_async_engine(
            DIALECTS[url.partition("://")[0]],
            async_creator=connect,
            isolation_level="AUTOCOMMIT",  # transactions begin and end with the unit of work
            poolclass=AsyncAdaptedQueuePool,
            pool_size=self._options.pool_size,
            max_overflow=0,
            pool_timeout=self._options.pool_wait,
            pool_reset_on_return=None,
            hide_parameters=True,
            echo=self._echo,
        )
