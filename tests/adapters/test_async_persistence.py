"""Units of work in coroutines: several at once, cancelled, forgotten, and on several loops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from kit_peewee.async_persistence import AsyncPeeweePersistence
from kit_peewee.persistence import PeeweeOptions
from kit_sqlalchemy.async_persistence import AsyncSQLAlchemyPersistence
from kit_sqlalchemy.persistence import SQLAlchemyOptions, SQLAlchemyPersistence

from kit.errors import KitError, Unavailable
from kit.options import DatabaseURL, Duration
from kit.slots.persistence import Persistence
from kit.slots.persistence.async_store import AsyncStore, runner
from kit.slots.persistence.portable import Statements, Store
from kit.slots.persistence.records import tables
from kit.slots.persistence.units import UnitOfWork, to_the_end
from kit.waiting import in_thread, wait

MAKE: dict[str, Callable[..., Any]] = {
    "sqlalchemy": lambda **options: SQLAlchemyPersistence(SQLAlchemyOptions(**options)),
    "sqlalchemy_async": lambda **options: AsyncSQLAlchemyPersistence(SQLAlchemyOptions(**options)),
    "peewee_async": lambda **options: AsyncPeeweePersistence(PeeweeOptions(**options)),
}
AWAITED = ["sqlalchemy_async", "peewee_async"]
ENDLESS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers)
SELECT count(*) FROM numbers
"""


@dataclass
class Note:
    __table__ = "kit_test_note"

    text: str
    id: int | None = None


NOTES = tables([Note])


def made(name: str, url: str) -> Any:
    """A component with an empty table."""
    component = MAKE[name](
        url=DatabaseURL(url), pool_size=2, pool_wait=Duration(0.3), lock_timeout=Duration(0.3)
    )
    component.drop(list(NOTES.values()))
    component.create(list(NOTES.values()))
    return component


@pytest.fixture(params=MAKE)
def component(request, tmp_path) -> Iterator[Any]:
    """Each component that coroutines can use, on SQLite."""
    component = made(request.param, f"sqlite:///{tmp_path}/test.db")
    yield component
    component.close()


@pytest.fixture(params=AWAITED)
def remote(request, cluster) -> Iterator[Any]:
    """Each awaited component on a PostgreSQL server of its own."""
    component = made(request.param, cluster.url)
    yield component
    component.close()


@asynccontextmanager
async def working(component: Persistence) -> Any:
    """Open a unit of work as a plan does, and give its store."""
    unit, run = UnitOfWork(component), runner(component)
    try:
        yield AsyncStore(Store(unit, Statements(component, NOTES)), run)
        await run(unit.commit)
    finally:
        await to_the_end(as_coroutine(run(unit.close)))


async def as_coroutine(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


async def run_script(component: Any, *statements: str) -> None:
    """Run statements in a unit of their own."""
    run = runner(component)
    unit = await run(component.begin)
    try:
        await run(unit.script, statements)
    finally:
        await run(unit.close)


async def count(component: Persistence) -> int:
    """How many notes there are, seen by as many units at once as there are connections."""

    async def one() -> int:
        async with working(component) as store:
            return await store.count(Note)

    if "sqlite" in str(vars(component).get("_options", "sqlite")):
        return await one()  # whose units take turns
    both = await asyncio.gather(one(), one())
    assert both[0] == both[1]
    return both[0]


def test_two_operations_at_once_are_an_error_and_nothing_is_stored(component):
    async def both() -> None:
        async with working(component) as store:
            await asyncio.gather(store.add(Note("a")), store.add(Note("b")))

    for _ in range(3):
        with pytest.raises(KitError, match="two operations at once"):
            wait(both())
    assert wait(count(component)) == 0


def test_two_operations_at_once_in_a_savepoint_undo_it_alone(component):
    async def both(store: AsyncStore) -> None:
        async with store.savepoint():
            await asyncio.gather(store.add(Note("a")), store.add(Note("b")))

    async def go_on() -> None:
        async with working(component) as store:
            await store.add(Note("first"))
            with pytest.raises(KitError, match="two operations at once"):
                await both(store)
            await store.add(Note("last"))

    wait(go_on())
    assert wait(count(component)) == 2


@pytest.mark.parametrize("component", AWAITED, indirect=True)
def test_a_task_that_was_forgotten_keeps_the_unit_from_its_commit(component):
    async def forget() -> None:
        tasks = []
        try:
            async with working(component) as store:
                tasks.append(asyncio.create_task(store.add(Note("a"))))
                await asyncio.sleep(0)
        finally:
            await asyncio.wait(tasks)

    with pytest.raises(KitError, match="two operations at once"):
        wait(forget())
    assert wait(count(component)) == 0


def test_what_comes_after_the_end_is_an_error(component):
    async def late() -> None:
        async with working(component) as store:
            await store.add(Note("a"))
        await store.add(Note("b"))

    with pytest.raises(KitError, match="has ended"):
        wait(late())
    assert wait(count(component)) == 1


@pytest.mark.parametrize("component", AWAITED, indirect=True)
def test_a_statement_that_is_cancelled_is_interrupted_in_sqlite(component):
    async def cancel() -> None:
        for _ in range(3):
            task = asyncio.create_task(run_script(component, ENDLESS))
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with working(component) as store:
            await store.add(Note("after"))

    wait(asyncio.wait_for(cancel(), 20))
    assert wait(count(component)) == 1


def activity(url: str) -> list[tuple[str, str]]:
    """What the connections of others to a server do, and their statements."""
    found = (
        "SELECT state, query FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(url) as connection:
        return connection.execute(found).fetchall()


def test_a_handler_that_is_cancelled_leaves_no_transaction_on_the_server(remote, cluster):
    async def cancel() -> None:
        for _ in range(3):
            task = asyncio.create_task(run_script(remote, *statements))
            while not [
                1 for _, query in await in_thread(activity, cluster.url) if "sleep" in query
            ]:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            while {state for state, _ in await in_thread(activity, cluster.url)} - {"idle"}:
                await asyncio.sleep(0.01)

    statements = "INSERT INTO kit_test_note (text) VALUES ('never')", "SELECT pg_sleep(600)"
    wait(asyncio.wait_for(cancel(), 20))
    assert wait(count(remote)) == 0


def test_one_who_is_cancelled_while_waiting_for_a_connection_takes_none(remote):
    async def crowd() -> None:
        async with working(remote) as first, working(remote) as second:
            await first.count(Note)
            await second.count(Note)
            third = asyncio.create_task(count(remote))
            await asyncio.sleep(0.01)
            third.cancel()
            with pytest.raises(asyncio.CancelledError):
                await third
            with pytest.raises(Unavailable):
                await count(remote)

    wait(crowd())
    assert wait(count(remote)) == 0


def test_one_who_is_cancelled_again_while_it_closes_closes_all_the_same(remote):
    async def closing() -> None:
        async with working(remote) as store:
            await store.add(Note("never"))
            await asyncio.Event().wait()

    async def cancel() -> None:
        for steps in range(6):
            task = asyncio.create_task(closing())
            while not [
                1 for state, _ in await in_thread(activity, url) if "in transaction" in state
            ]:
                await asyncio.sleep(0.001)
            task.cancel()
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    url = remote._options.url
    wait(asyncio.wait_for(cancel(), 20))
    assert wait(count(remote)) == 0


def test_each_event_loop_has_connections_of_its_own(remote):
    async def use(number: int) -> None:
        async with working(remote) as store:
            await store.add(Note(str(number)))

    async def here() -> None:
        await use(1)
        await use(2)
        await in_thread(wait_with, remote)
        await runner(remote)(remote.close)

    wait(use(0))
    asyncio.run(here())
    assert wait(count(remote)) == 4


def wait_with(component: Any) -> None:
    """Plain code in a worker thread of a loop."""
    unit = UnitOfWork(component)
    Store(unit, Statements(component, NOTES)).add(Note("plain"))
    unit.commit()
    unit.close()


def test_long_work_of_others_does_not_stop_the_loop(remote):
    async def ticking() -> int:
        ticks, asleep = 0, asyncio.create_task(run_script(remote, "SELECT pg_sleep(0.2)"))
        while not asleep.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    assert wait(ticking()) > 1


def test_after_a_table_was_changed_from_outside_the_next_unit_works(remote):
    async def look() -> int:
        async with working(remote) as store:
            return len(await store.find(Note))

    assert wait(look()) == 0
    with psycopg.connect(remote._options.url) as connection:
        connection.execute("ALTER TABLE kit_test_note ALTER COLUMN text TYPE varchar(9)")
    with pytest.raises(Unavailable):  # asyncpg has prepared the statement for the old table
        wait(look())
    assert wait(look()) == 0
