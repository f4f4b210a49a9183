"""Units of work on asyncio drivers: what an adapter needs whose library has a pool of those.

They are `Unit` and `Persistence` in plain form, and wait with `kit.waiting.wait`: in worker
threads, in what `kit.waiting.spawn` runs on an event loop, and in plain programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any, ClassVar

from kit.errors import KitError, Unavailable
from kit.slots.persistence import PersistenceOptions, sql
from kit.slots.persistence.async_databases import AsyncDatabase, Link, async_database
from kit.slots.persistence.records import Table
from kit.slots.persistence.statements import Prepared, Statement
from kit.slots.persistence.units import to_the_end
from kit.waiting import wait


class AsyncUnit(sql.SQLUnit):
    """A unit of work on a connection of an asyncio driver.

    An adapter adds `native` and `release`, and `flush` where the native handle holds something
    back.
    """

    def __init__(self, database: AsyncDatabase, driven: Any) -> None:
        self.link: Link = database.link(driven)
        self._begin = database.begin
        self._open = False
        super().__init__(database, self.link)

    @property
    def native(self) -> Any:
        """What the library's users await, in this transaction."""
        raise NotImplementedError

    async def flush(self) -> None:
        """Send what the native handle holds back."""

    async def release(self) -> None:
        """Give the connection back, or away where it is `broken`."""
        raise NotImplementedError

    async def begin(self) -> None:
        """Begin the transaction."""
        await self.link.begin(self._begin)
        self._open = True

    def commit(self) -> None:
        """Keep what was done; raise KitError where part of it failed and nobody took notice."""
        if self.handed_out and not self._failed and self._hidden_failure():
            raise KitError(f"nothing was stored: {sql.ENDED_BEFORE}")
        super().commit()

    def _hidden_failure(self) -> bool:
        """Say whether the native handle came upon an error that somebody passed over."""
        try:
            return wait(self.link.failed())
        except Exception as error:
            self._fail(error)

    def end(self) -> None:
        """Flush what the native handle holds, and commit."""
        wait(to_the_end(self._end()))

    async def _end(self) -> None:
        await self.flush()
        await self.link.commit()
        self._open = False

    def close(self) -> None:
        """Roll back what is open; give the connection back, or away where it is broken."""
        wait(to_the_end(self.abandon()))

    async def abandon(self) -> None:
        """Do as `close` does."""
        try:
            if self.broken:
                await self.link.stop()
            elif self._open:
                await self.link.rollback()
        except Exception:
            self.broken = True
        finally:
            self._open = False
            await self.release()


class AsyncPersistence:
    """A component on asyncio drivers; an adapter adds `acquire`, `dispose` and the plain models."""

    awaited: ClassVar[bool] = True

    def __init__(self, options: PersistenceOptions) -> None:
        self._database = async_database(options.url)
        self._database.load()
        self._options = options

    async def acquire(self) -> AsyncUnit:
        """Take a connection from the pool of this event loop; raise Unavailable without one."""
        raise NotImplementedError

    async def dispose(self) -> None:
        """Close all connections."""
        raise NotImplementedError

    def create_models(self, unit: Any) -> None:
        """Create the tables of plain models."""

    def drop_models(self, unit: Any) -> None:
        """Drop the tables of plain models."""

    def create(self, tables: Sequence[Table]) -> None:
        """Create the tables of records, then those of the plain models."""
        with closing(self.begin()) as unit:
            unit.script(sql.create(self._database, tables))
            self.create_models(unit)
            unit.commit()

    def drop(self, tables: Sequence[Table]) -> None:
        """Drop the tables of the plain models, then those of records."""
        with closing(self.begin()) as unit:
            self.drop_models(unit)
            unit.script(sql.drop(self._database, tables))
            unit.commit()

    def prepare(self, statement: Statement) -> Prepared:
        """Compile a statement for the database."""
        return sql.compile_statement(self._database, statement)

    def begin(self) -> AsyncUnit:
        """Check a connection out and begin a transaction; go on to the next if it is dead."""
        return wait(self._begun())

    async def _begun(self) -> AsyncUnit:
        tries = 1 if self._database.begin_waits else self._options.pool_size + 1
        while True:
            unit = await self.acquire()
            try:
                await unit.begin()
                return unit
            except BaseException as error:
                unit.broken = True
                await to_the_end(unit.abandon())
                meaning = self._database.translate(error)
                tries -= 1
                if meaning is None:
                    raise
                if not tries or not isinstance(meaning, Unavailable):
                    raise meaning from error

    def close(self) -> None:
        """Close all connections."""
        wait(self.dispose())
