"""Peewee's async side: its Database and plain models in a unit of work, from coroutines."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import peewee
import pytest
from kit_peewee.async_persistence import AsyncPeeweePersistence
from kit_peewee.persistence import PeeweeOptions

from kit.errors import KitError
from kit.options import DatabaseURL
from kit.slots.persistence.async_store import AsyncStore
from kit.slots.persistence.portable import Statements, Store
from kit.slots.persistence.records import Unique, tables
from kit.slots.persistence.units import UnitOfWork
from kit.waiting import in_thread, spawn, wait

MODELS = """
import peewee
from peewee import Model

class Author(Model):
    id = peewee.BigAutoField()
    name = peewee.CharField(50)

    class Meta:
        table_name = "kit_test_author"

class Note(Model):
    author = peewee.ForeignKeyField(Author)
    text = peewee.TextField()

    class Meta:
        table_name = "kit_test_plain_note"
"""


@dataclass
class Author:
    __table__ = "kit_test_author"

    name: Annotated[str, msgspec.Meta(max_length=50), Unique]
    id: int | None = None


Work = Callable[[], AbstractAsyncContextManager[tuple[AsyncStore, Any]]]


@pytest.fixture
def models(tmp_path, monkeypatch) -> Any:
    """A module of plain models, one of them for the table of a record."""
    (tmp_path / "plain_peewee.py").write_text(MODELS)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.reload(importlib.import_module("plain_peewee"))


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def work(request, models) -> Iterator[Work]:
    """A function that opens a unit of work for coroutines: its store and its Database."""
    url = request.getfixturevalue("database_url")
    options = PeeweeOptions(url=DatabaseURL(url), models=["plain_peewee"], pool_size=2)
    component = AsyncPeeweePersistence(options)
    known = tables([Author])
    component.create(list(known.values()))

    @asynccontextmanager
    async def open_both() -> AsyncIterator[tuple[AsyncStore, Any]]:
        unit = UnitOfWork(component)
        try:
            db = await spawn(getattr, unit, "native")
            yield AsyncStore(Store(unit, Statements(component, known)), spawn), db
            await spawn(unit.commit)
        finally:
            await spawn(unit.close)

    yield open_both
    component.drop(list(known.values()))
    component.close()


@pytest.fixture
def database_url(request, tmp_path, own_database) -> str:
    name = request.node.callspec.params["work"]
    if name == "sqlite":
        return f"sqlite:///{tmp_path}/test.db"
    return own_database(request.getfixturevalue(f"{name}_url"))


async def names(work: Work) -> list[str]:
    """The authors that are stored."""
    async with work() as (store, _):
        return [found.name for found in await store.find(Author)]


def test_records_and_plain_models_share_a_transaction(work, models):
    async def share() -> None:
        async with work() as (store, db):
            author = await store.add(Author("Ann"))
            await db.run(models.Note.create, author=author.id, text="first")
        async with work() as (store, db):
            [note] = await db.list(
                models.Note.select(models.Note, models.Author).join(models.Author)
            )
            assert note.author.name == "Ann"
            await db.run(models.Author.create, name="Bob")
            assert [found.name for found in await store.find(Author)] == ["Ann", "Bob"]

    wait(share())


def test_an_error_undoes_both(work, models):
    async def fail() -> None:
        async with work() as (store, db):
            author = await store.add(Author("Ann"))
            await db.run(models.Note.create, author=author.id, text="first")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        wait(fail())
    assert wait(names(work)) == []


def test_atomic_is_a_savepoint_in_the_unit(work, models):
    async def attempt(db: Any) -> None:
        async with db.atomic():
            await db.run(models.Author.create, name="Bob")
            await db.run(models.Author.create, name="Ann")

    async def go_on() -> None:
        async with work() as (store, db):
            await store.add(Author("Ann"))
            with pytest.raises(peewee.IntegrityError):
                await attempt(db)
            await db.run(models.Author.create, name="Eve")

    wait(go_on())
    assert wait(names(work)) == ["Ann", "Eve"]


def test_an_error_of_the_database_that_was_passed_over_is_not_committed(work, models, database_url):
    async def pass_over() -> None:
        async with work() as (store, db):
            await store.add(Author("Ann"))
            with pytest.raises(peewee.PeeweeException):
                await db.aexecute_sql("SELECT nothing")

    if database_url.startswith("postgresql"):
        with pytest.raises(KitError, match="savepoint"):
            wait(pass_over())
        assert wait(names(work)) == []
    else:  # whose transactions go on after an error
        wait(pass_over())
        assert wait(names(work)) == ["Ann"]


@pytest.mark.parametrize("work", ["sqlite"], indirect=True)
def test_other_tasks_and_threads_of_the_handler_are_in_the_unit(work, models):
    def plain(db: Any) -> None:
        wait(db.run(models.Author.create, name="Bob"))

    async def use() -> None:
        async with work() as (_, db):
            await asyncio.create_task(db.run(models.Author.create, name="Ann"))
            await in_thread(plain, db)
            assert await db.count(models.Author.select()) == 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        wait(use())
    assert wait(names(work)) == []


@pytest.mark.parametrize("work", ["sqlite"], indirect=True)
def test_models_outside_of_a_unit_say_what_is_missing(work, models):
    async def outside() -> None:
        async with work() as (_, db):
            pass
        await db.run(models.Author.create, name="Ann")

    with pytest.raises(KitError, match="name `db`"):
        wait(outside())
