"""SQLAlchemy's async side: the AsyncSession of a unit of work, and plain models beside records."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest
from kit_sqlalchemy.async_persistence import AsyncSQLAlchemyPersistence
from kit_sqlalchemy.persistence import SQLAlchemyOptions
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from kit.errors import Conflict, KitError, Unavailable
from kit.options import DatabaseURL
from kit.slots.persistence.async_store import AsyncStore
from kit.slots.persistence.portable import Statements, Store
from kit.slots.persistence.records import Unique, tables
from kit.slots.persistence.units import UnitOfWork
from kit.waiting import spawn, wait

MODELS = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Author(Base):
    __tablename__ = "kit_test_author"
    name: Mapped[str]
    id: Mapped[int] = mapped_column(primary_key=True)

class Note(Base):
    __tablename__ = "kit_test_plain_note"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("kit_test_author.id"))
    text: Mapped[str] = mapped_column(unique=True)
"""


@dataclass
class Author:
    __table__ = "kit_test_author"

    name: Annotated[str, msgspec.Meta(max_length=50), Unique]
    id: int | None = None


Work = Callable[[], AbstractAsyncContextManager[tuple[AsyncStore, AsyncSession]]]


@pytest.fixture
def models(tmp_path, monkeypatch) -> Any:
    """A module of plain models, one of them for the table of a record."""
    (tmp_path / "plain_sqlalchemy.py").write_text(MODELS)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.reload(importlib.import_module("plain_sqlalchemy"))


@pytest.fixture(params=["sqlite", "postgresql"])
def work(request, tmp_path, models) -> Iterator[Work]:
    """A function that opens a unit of work for coroutines: its store and its AsyncSession."""
    url = f"sqlite:///{tmp_path}/test.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("cluster").url
    options = SQLAlchemyOptions(url=DatabaseURL(url), models="plain_sqlalchemy:Base", pool_size=2)
    component = AsyncSQLAlchemyPersistence(options)
    known = tables([Author])
    component.create(list(known.values()))

    @asynccontextmanager
    async def open_both() -> AsyncIterator[tuple[AsyncStore, AsyncSession]]:
        unit = UnitOfWork(component)
        try:
            session = await spawn(getattr, unit, "native")
            yield AsyncStore(Store(unit, Statements(component, known)), spawn), session
            await spawn(unit.commit)
        finally:
            await spawn(unit.close)

    yield open_both
    component.drop(list(known.values()))
    component.close()


async def names(work: Work) -> list[str]:
    """The authors that are stored."""
    async with work() as (store, _):
        return [found.name for found in await store.find(Author)]


def test_records_and_plain_models_share_a_transaction(work, models):
    async def share() -> None:
        async with work() as (store, db):
            author = await store.add(Author("Ann"))
            db.add(models.Note(author_id=author.id, text="first"))
        async with work() as (store, db):
            note = (await db.scalars(select(models.Note))).one()
            assert note.text == "first"
            assert (await db.get(models.Author, author.id)).name == "Ann"
            db.add(models.Author(name="Bob"))
            await db.flush()
            assert [found.name for found in await store.find(Author)] == ["Ann", "Bob"]

    wait(share())


def test_an_error_undoes_both(work, models):
    async def fail() -> None:
        async with work() as (store, db):
            author = await store.add(Author("Ann"))
            db.add(models.Note(author_id=author.id, text="first"))
            await db.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        wait(fail())
    assert wait(names(work)) == []


def test_the_commit_of_the_session_does_not_end_the_unit(work, models):
    async def fail() -> None:
        async with work() as (store, db):
            db.add(models.Author(name="Ann"))
            await db.commit()
            await store.add(Author("Bob"))
            db.add(models.Author(name="Eve"))
            await db.commit()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        wait(fail())
    assert wait(names(work)) == []


def test_a_rollback_of_the_session_undoes_what_the_store_did_and_that_is_noticed(work, models):
    async def undo() -> None:
        async with work() as (store, db):
            await store.add(Author("Ann"))
            db.add(models.Author(name="Bob"))
            await db.flush()
            await db.rollback()

    with pytest.raises(KitError, match="nothing was stored"):
        wait(undo())
    assert wait(names(work)) == []


def test_after_a_rollback_the_session_goes_on_in_the_unit(work, models):
    async def go_on(*, fail: bool) -> None:
        async with work() as (_, db):
            db.add(models.Author(name="Ann"))
            await db.flush()
            await db.rollback()
            db.add(models.Author(name="Bob"))
            await db.commit()
            if fail:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        wait(go_on(fail=True))
    assert wait(names(work)) == []
    wait(go_on(fail=False))
    assert wait(names(work)) == ["Bob"]


def test_a_savepoint_of_the_session_leaves_the_unit_usable(work, models):
    async def save() -> None:
        async with work() as (store, db):
            await store.add(Author("Ann"))
            savepoint = await db.begin_nested()
            db.add(models.Author(name="Bob"))
            await db.flush()
            await savepoint.rollback()
            await store.add(Author("Cid"))

    wait(save())
    assert wait(names(work)) == ["Ann", "Cid"]


def test_a_failed_flush_at_the_end_undoes_the_unit(work, models):
    async def twice() -> None:
        async with work() as (store, db):
            await store.add(Author("Ann"))
            db.add(models.Author(name="Ann"))

    with pytest.raises(Conflict):
        wait(twice())
    assert wait(names(work)) == []


def test_an_error_of_the_session_that_was_passed_over_is_not_committed(work, models):
    async def pass_over() -> None:
        async with work() as (store, db):
            await store.add(Author("Ann"))
            with pytest.raises(DBAPIError):
                await db.execute(text("SELECT nothing"))

    if "postgresql" in str(wait(_dialect(work))):
        with pytest.raises(KitError, match="savepoint"):
            wait(pass_over())
        assert wait(names(work)) == []
    else:  # whose transactions go on after an error
        wait(pass_over())
        assert wait(names(work)) == ["Ann"]


async def _dialect(work: Work) -> str:
    async with work() as (_, db):
        return (await db.connection()).dialect.name


@pytest.mark.parametrize("work", ["postgresql"], indirect=True)
def test_a_session_on_a_connection_that_died_does_not_keep_it(work, models):
    async def lose() -> None:
        async with work() as (_, db):
            db.add(models.Author(name="Ann"))
            await db.flush()
            await db.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    async def lose_in_the_end() -> None:
        async with work() as (_, db):
            db.add(models.Author(name="Ann"))
            await db.flush()
            pooled = await (await db.connection()).get_raw_connection()
            pooled.driver_connection.terminate()

    for _ in range(3):
        with pytest.raises(DBAPIError):
            wait(lose())
        with pytest.raises(Unavailable):
            wait(lose_in_the_end())
    assert wait(names(work)) == []
