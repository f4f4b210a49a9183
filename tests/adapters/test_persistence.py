"""What the persistence components do when a server, a process or a driver goes away."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from threading import Barrier
from typing import Annotated, Any
from uuid import UUID

import psycopg
import pytest
from kit_peewee.async_persistence import AsyncPeeweePersistence
from kit_peewee.persistence import PeeweeOptions, PeeweePersistence
from kit_sqlalchemy.async_persistence import AsyncSQLAlchemyPersistence
from kit_sqlalchemy.persistence import SQLAlchemyOptions, SQLAlchemyPersistence

from kit.errors import ConfigError, KitError, Unavailable
from kit.options import DatabaseURL, Duration
from kit.slots.persistence import Persistence, unit_of_work
from kit.slots.persistence.portable import Statements, Store
from kit.slots.persistence.records import Digits, tables

COMPONENTS: dict[str, Callable[..., Any]] = {
    "sqlalchemy": lambda **options: SQLAlchemyPersistence(SQLAlchemyOptions(**options)),
    "peewee": lambda **options: PeeweePersistence(PeeweeOptions(**options)),
    "sqlalchemy_async": lambda **options: AsyncSQLAlchemyPersistence(SQLAlchemyOptions(**options)),
    "peewee_async": lambda **options: AsyncPeeweePersistence(PeeweeOptions(**options)),
}
DRIVERS = {
    ("sync", "postgresql"): ("psycopg", "postgresql"),
    ("sync", "mariadb"): ("pymysql", "mariadb"),
    ("async", "sqlite"): ("aiosqlite", "aiosqlite"),
    ("async", "postgresql"): ("asyncpg", "asyncpg"),
    ("async", "mariadb"): ("aiomysql", "aiomysql"),
}
MAKE = {
    name: (lambda url, make=make, **options: make(url=DatabaseURL(url), **options))
    for name, make in COMPONENTS.items()
}
Work = Callable[[], AbstractContextManager[Store]]


@dataclass
class Note:
    __table__ = "kit_test_note"

    text: str
    moment: datetime = datetime(2026, 1, 2, tzinfo=UTC)
    day: date = date(2026, 1, 2)
    hour: clock = clock(1, 2)
    price: Annotated[Decimal, Digits(10, places=2)] = Decimal("1.50")
    key: UUID | None = None
    flag: bool = True
    id: int | None = None


NOTES = tables([Note])


def working(component: Persistence) -> Work:
    """A function that opens a unit of work of a component and gives a store on it."""
    statements = Statements(component, NOTES)

    @contextmanager
    def work() -> Iterator[Store]:
        with contextmanager(unit_of_work)(component) as unit:
            yield Store(unit, statements)

    return work


@pytest.fixture(params=COMPONENTS)
def component(request, cluster) -> Iterator[Any]:
    """Each component on the tests' own server, with an empty table."""
    component = MAKE[request.param](
        cluster.url,
        pool_size=3,
        pool_wait=Duration(2),
        statement_timeout=Duration(0.5),
        lock_timeout=Duration(0.2),
    )
    component.drop(list(NOTES.values()))
    component.create(list(NOTES.values()))
    yield component
    component.close()


def fill_pool(work: Work) -> None:
    """Have all three connections open."""
    together = Barrier(3)

    def hold() -> None:
        with work() as store:
            store.count(Note)
            together.wait(10)

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(hold) for _ in range(3)]:
            done.result()


def kill_connections(url: str) -> int:
    """End all connections but its own from the side of the server; return how many."""
    others = (
        "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(url) as connection:
        killed = connection.execute(f"SELECT pg_terminate_backend(pid) {others}").fetchall()
        while connection.execute(f"SELECT pid {others}").fetchall():
            time.sleep(0.01)
            connection.rollback()
    return len(killed)


def test_the_first_unit_works_after_all_connections_were_killed(component, cluster):
    work = working(component)
    fill_pool(work)
    assert kill_connections(cluster.url) == 3
    with work() as store:
        store.add(Note("after"))
    fill_pool(work)


def test_the_first_unit_works_after_the_server_was_restarted(component, cluster):
    work = working(component)
    fill_pool(work)
    cluster.stop()
    try:
        with pytest.raises(Unavailable):
            component.begin()
    finally:
        cluster.start()
    with work() as store:
        store.add(Note("after"))
    fill_pool(work)


def test_a_connection_that_dies_within_a_unit_is_not_used_again(component, cluster):
    work = working(component)

    def lose() -> None:
        with work() as store:
            store.add(Note("lost"))
            kill_connections(cluster.url)
            store.add(Note("never"))

    for _ in range(4):
        with pytest.raises(Unavailable):
            lose()
    fill_pool(work)
    with work() as store:
        assert store.count(Note) == 0


def test_a_connection_that_dies_before_the_commit_is_noticed(component, cluster):
    work = working(component)

    def lose() -> None:
        with work() as store:
            store.add(Note("lost"))
            kill_connections(cluster.url)

    for _ in range(4):
        with pytest.raises(Unavailable):
            lose()
    with work() as store:
        assert store.count(Note) == 0


def test_a_statement_that_takes_too_long_is_unavailable(component):
    unit = component.begin()
    with pytest.raises(Unavailable):
        unit.script(["SELECT pg_sleep(5)"])
    unit.close()
    fill_pool(working(component))


def test_a_lock_that_others_hold_is_unavailable(component, cluster):
    work = working(component)
    with work() as store:
        note = store.add(Note("held"))
    with psycopg.connect(cluster.url) as other:
        other.execute("SELECT * FROM kit_test_note FOR UPDATE")
        with pytest.raises(Unavailable), work() as store:
            store.save(note)


@pytest.mark.parametrize("component", ["sqlalchemy", "peewee"], indirect=True)
def test_an_error_that_the_native_handle_passed_over_is_not_committed(component):
    work = working(component)

    def pass_over() -> None:
        with closing(component.begin()) as unit:
            Store(unit, Statements(component, NOTES)).add(Note("lost"))
            unit._connection.execute("SAVEPOINT a")
            with pytest.raises(psycopg.Error):
                unit._connection.execute("SELECT nothing")
            unit.commit()

    with pytest.raises(KitError, match="savepoint"):
        pass_over()
    with work() as store:
        assert store.count(Note) == 0


def test_many_threads_share_few_connections(component):
    work = working(component)

    def write(number: int) -> None:
        for _ in range(5):
            with work() as store:
                store.add(Note(str(number)))

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(write, range(12)))
    with work() as store:
        assert store.count(Note) == 60


def test_processes_that_were_forked_do_not_share_connections(component):
    work = working(component)
    fill_pool(work)
    children = []
    for _ in range(4):
        if not (child := os.fork()):
            code = 1
            try:
                for _ in range(20):
                    with work() as store:
                        store.add(Note("child"))
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    with work() as store:
        store.add(Note("parent"))
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    with work() as store:
        assert store.count(Note) == 81


@pytest.mark.parametrize("name", COMPONENTS)
@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
def test_a_server_that_is_not_there_is_unavailable_and_its_password_secret(name, scheme):
    component = MAKE[name](f"{scheme}://user:hunter2@127.0.0.1:9/none")
    with pytest.raises(Unavailable) as caught:
        component.begin()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "scheme", "driver", "extra"),
    [
        (name, scheme, *found)
        for name in COMPONENTS
        for (kind, scheme), found in DRIVERS.items()
        if (kind == "async") == name.endswith("async")
    ],
)
def test_a_missing_driver_names_its_cure(name, scheme, driver, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(ConfigError, match=rf'pip install "framekit\[{extra}\]"'):
        MAKE[name](f"{scheme}:///none")


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        ("sqlalchemy", "peewee"),
        ("peewee", "sqlalchemy"),
        ("sqlalchemy_async", "peewee"),
        ("sqlalchemy", "peewee_async"),
    ],
)
@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_one_component_reads_what_the_other_wrote(request, tmp_path, writer, reader, where):
    url = f"sqlite:///{tmp_path}/test.db"
    if where == "postgresql":
        url = request.getfixturevalue("cluster").url
    first, second = MAKE[writer](url), MAKE[reader](url)
    first.drop(list(NOTES.values()))
    first.create(list(NOTES.values()))
    second.create(list(NOTES.values()))
    with working(first)() as store:
        last = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
        note = store.add(Note("shared", last, last.date(), key=UUID(int=7)))
    with working(second)() as store:
        assert store.find(Note, moment=note.moment, price=note.price, key=note.key) == [note]
    first.close()
    second.close()
