"""The unit of work of a request: it begins late, and does one thing at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from kit.errors import KitError
from kit.slots.persistence.statements import Prepared
from kit.waiting import in_thread, wait

if TYPE_CHECKING:
    from kit.slots.persistence import Persistence, Unit

T = TypeVar("T")
AT_ONCE = (
    "two operations at once in one unit of work: it has one connection, so do one after the other,"
    " each awaited before the next (no asyncio.gather, no second task or thread)"
)


class UnitOfWork:
    """A `Unit` that begins when it is first used: a request that stores nothing costs nothing.

    Two operations at once are an error. What ends it, or a savepoint in it, waits for its turn.
    """

    def __init__(self, persistence: Persistence) -> None:
        self._persistence = persistence
        self._unit: Unit | None = None
        self._ended = False
        self._turn = Lock()

    def _used(self) -> Unit:
        """Return the unit, for the caller alone until it releases the turn."""
        if not self._turn.acquire(blocking=False):
            raise KitError(AT_ONCE)
        try:
            if self._ended:
                raise KitError("this unit of work has ended, as the request did")
            if self._unit is None:
                self._unit = self._persistence.begin()
            return self._unit
        except BaseException:
            self._turn.release()
            raise

    def _await_turn(self) -> None:
        if self._turn.acquire(blocking=False):
            return
        if getattr(self._persistence, "awaited", False):  # this may be the thread of the loop
            wait(to_the_end(in_thread(self._turn.acquire)))
        else:
            self._turn.acquire()

    @property
    def native(self) -> Any:
        """What the library's users work with, in this transaction."""
        unit = self._used()
        try:
            return unit.native
        finally:
            self._turn.release()

    def rows(self, prepared: Prepared, values: Sequence[object]) -> Sequence[Any]:
        """Run a select and return its rows."""
        unit = self._used()
        try:
            return unit.rows(prepared, values)
        finally:
            self._turn.release()

    def change(self, prepared: Prepared, rows: Sequence[Sequence[object]]) -> int:
        """Run an insert or another change, once for each of `rows`."""
        unit = self._used()
        try:
            return unit.change(prepared, rows)
        finally:
            self._turn.release()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what is done in the block if it raises, and leave the unit of work usable."""
        with ExitStack() as stack:
            unit = self._used()
            stack.callback(self._turn.release)
            stack.enter_context(unit.savepoint())
            self._turn.release()
            stack.callback(self._await_turn)  # the first of the three at the end
            yield

    def commit(self) -> None:
        """Keep what was done, if anything."""
        if not self._turn.acquire(blocking=False):  # a task that nobody waited for
            raise KitError(AT_ONCE)
        try:
            self._ended = True
            if self._unit is not None:
                self._unit.commit()
        finally:
            self._turn.release()

    def close(self) -> None:
        """Roll back what is not committed, and give the connection back, if there is one."""
        try:
            self._await_turn()
        finally:
            try:
                self._ended = True
                unit, self._unit = self._unit, None
                if unit is not None:
                    unit.close()
            finally:
                self._turn.release()


async def to_the_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine until it is done, even if that is cancelled meanwhile."""
    task = asyncio.ensure_future(coroutine)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # nobody is left to care
        raise cancelled
    return task.result()
