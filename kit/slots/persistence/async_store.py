"""The store for coroutines: the same methods, to be awaited, in the same unit of work."""

from __future__ import annotations

from asyncio import Lock
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from kit.errors import KitError
from kit.slots.persistence.portable import Order, Store
from kit.slots.persistence.units import AT_ONCE, to_the_end
from kit.waiting import in_thread, spawn

if TYPE_CHECKING:
    from kit.slots.persistence import Persistence

T = TypeVar("T")


class Run(Protocol):
    """Calls plain code, such as a method of a store, from a coroutine."""

    def __call__(self, function: Callable[..., T], /, *arguments: Any) -> Awaitable[T]: ...


def runner(persistence: Persistence) -> Run:
    """Return what runs code that uses a component: it waits on the event loop, or in a thread."""
    return spawn if getattr(persistence, "awaited", False) else in_thread


class AsyncStore:
    """Records in the unit of work of this request; the ``store`` of functions with ``async def``.

    Every method does what the one of `Store` does, and raises the same. One at a time: two at
    once (``asyncio.gather``) raise KitError.
    """

    def __init__(self, store: Store, run: Run) -> None:
        self._store = store
        self._run = run
        self._turn = Lock()

    async def _do(self, function: Callable[..., T], *arguments: Any) -> T:
        if self._turn.locked():
            raise KitError(AT_ONCE)
        return await self._in_turn(function, *arguments)

    async def _in_turn(self, function: Callable[..., T], *arguments: Any) -> T:
        async with self._turn:
            return await self._run(function, *arguments)

    async def add(self, record: T) -> T:
        """Store a new record and return it with its id."""
        return await self._do(self._store.add, record)

    async def save(self, *records: object) -> None:
        """Store all fields of records that have ids; several at a time are much faster."""
        await self._do(self._store.save, *records)

    async def get(self, record: type[T], identity: int, /, *, lock: bool = False) -> T:
        """Return the record with this id; raise `kit.errors.RecordNotFound` (404) without one."""
        return await self._do(partial(self._store.get, record, identity, lock=lock))

    async def find(
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
        """Return the records that the lookups fit, at most `limit`, after `offset` others."""
        find = partial(self._store.find, record, order_by=order_by, limit=limit, offset=offset)
        return await self._do(partial(find, lock=lock, **lookups))

    async def first(
        self,
        record: type[T],
        /,
        *,
        order_by: Order = (),
        lock: bool = False,
        **lookups: object,
    ) -> T | None:
        """Return the first of the records that `find` would return, or None."""
        first = partial(self._store.first, record, order_by=order_by, lock=lock, **lookups)
        return await self._do(first)

    async def count(self, record: type, /, **lookups: object) -> int:
        """Return how many records all of the lookups fit."""
        return await self._do(partial(self._store.count, record, **lookups))

    async def counts(self, record: type, field: str, /, **lookups: object) -> dict[Any, int]:
        """Return how many records the lookups fit for each value of a field."""
        return await self._do(partial(self._store.counts, record, field, **lookups))

    @overload
    async def delete(self, record: type, identity: int, /) -> None: ...
    @overload
    async def delete(self, record: object, /) -> None: ...
    async def delete(self, record: Any, identity: int | None = None, /) -> None:
        """Delete a record: ``await delete(contact)`` or ``await delete(Contact, 7)``."""
        await self._do(self._store.delete, record, identity)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what is done in an ``async with`` block that an exception leaves."""
        point = self._store.savepoint()
        await self._do(point.__enter__)
        try:
            yield
        except BaseException as error:
            await to_the_end(self._in_turn(point.__exit__, type(error), error, error.__traceback__))
            raise
        await to_the_end(self._in_turn(point.__exit__, None, None, None))
