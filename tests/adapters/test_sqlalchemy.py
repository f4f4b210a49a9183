"""SQLAlchemy's own side: the Session of a unit of work, and plain models beside records."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest
from kit_sqlalchemy.persistence import SQLAlchemyOptions, SQLAlchemyPersistence
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from kit.errors import Conflict, KitError
from kit.options import DatabaseURL
from kit.slots.persistence import unit_of_work
from kit.slots.persistence.portable import Statements, Store
from kit.slots.persistence.records import Unique, tables

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


Work = Callable[[], AbstractContextManager[tuple[Store, Session]]]


@pytest.fixture
def models(tmp_path, monkeypatch) -> Any:
    """A module of plain models, one of them for the table of a record."""
    (tmp_path / "plain_sqlalchemy.py").write_text(MODELS)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.reload(importlib.import_module("plain_sqlalchemy"))


@pytest.fixture(params=["sqlite", "postgresql"])
def work(request, tmp_path, models) -> Iterator[Work]:
    """A function that opens a unit of work and gives its store and its Session."""
    url = f"sqlite:///{tmp_path}/test.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("cluster").url
    options = SQLAlchemyOptions(url=DatabaseURL(url), models="plain_sqlalchemy:Base")
    component = SQLAlchemyPersistence(options)
    known = tables([Author])
    component.create(list(known.values()))

    @contextmanager
    def open_both() -> Iterator[tuple[Store, Session]]:
        with contextmanager(unit_of_work)(component) as unit:
            yield Store(unit, Statements(component, known)), unit.native

    yield open_both
    component.drop(list(known.values()))
    component.close()


def test_records_and_plain_models_share_a_transaction(work, models):
    with work() as (store, db):
        author = store.add(Author("Ann"))
        db.add(models.Note(author_id=author.id, text="first"))
    with work() as (store, db):
        assert db.query(models.Note).one().text == "first"
        assert db.get(models.Author, author.id).name == "Ann"
        db.add(models.Author(name="Bob"))
        db.flush()
        assert [found.name for found in store.find(Author)] == ["Ann", "Bob"]


def test_an_error_undoes_both(work, models):
    def fail() -> None:
        with work() as (store, db):
            author = store.add(Author("Ann"))
            db.add(models.Note(author_id=author.id, text="first"))
            db.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with work() as (store, db):
        assert store.count(Author) == db.query(models.Note).count() == 0


def test_what_the_session_holds_is_flushed_at_the_end(work, models):
    with work() as (_, db):
        db.add(models.Author(name="Ann"))
    with work() as (store, _):
        assert store.count(Author) == 1


def test_the_commit_of_the_session_does_not_end_the_unit(work, models):
    def fail() -> None:
        with work() as (store, db):
            db.add(models.Author(name="Ann"))
            db.commit()
            store.add(Author("Bob"))
            db.add(models.Author(name="Eve"))
            db.commit()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with work() as (store, _):
        assert store.count(Author) == 0


def test_the_rollback_of_the_session_undoes_the_unit_and_it_says_so(work, models):
    def undo() -> None:
        with work() as (store, db):
            store.add(Author("Ann"))
            db.add(models.Author(name="Bob"))
            db.rollback()

    with pytest.raises(KitError, match="nothing was stored"):
        undo()
    with work() as (store, _):
        assert store.count(Author) == 0


def test_the_session_goes_on_after_a_rollback(work, models):
    with work() as (_, db):
        db.add(models.Author(name="Ann"))
        db.rollback()
        db.add(models.Author(name="Bob"))
    with work() as (store, _):
        assert [found.name for found in store.find(Author)] == ["Bob"]


def test_an_error_after_a_rollback_of_the_session_undoes_what_came_then(work, models):
    def fail() -> None:
        with work() as (_, db):
            db.rollback()
            db.execute(text("INSERT INTO kit_test_author (name) VALUES ('Ann')"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with work() as (store, _):
        assert store.count(Author) == 0


def test_a_commit_after_a_rollback_of_the_session_does_not_end_the_unit(work, models):
    def fail() -> None:
        with work() as (_, db):
            db.add(models.Author(name="Ann"))
            db.flush()
            db.rollback()
            db.add(models.Author(name="Bob"))
            db.commit()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with work() as (store, _):
        assert store.count(Author) == 0


def test_errors_of_the_session_hide_parameters(work, models):
    def twice() -> None:
        with work() as (store, db):
            store.add(Author("topsecret"))
            db.add(models.Author(name="topsecret"))
            db.flush()

    with pytest.raises(IntegrityError) as caught:
        twice()
    assert "SQL parameters hidden" in str(caught.value)
    with work() as (store, _):
        assert store.count(Author) == 0


def test_a_failed_flush_at_the_end_undoes_the_unit(work, models):
    def twice() -> None:
        with work() as (store, db):
            store.add(Author("Ann"))
            db.add(models.Author(name="Ann"))

    with pytest.raises(Exception, match="stands against"):
        twice()
    with work() as (store, _):
        assert store.count(Author) == 0


@pytest.mark.parametrize("work", ["postgresql"], indirect=True)
def test_a_session_on_a_connection_that_died_does_not_keep_it(work, models):
    def lose() -> None:
        with work() as (_, db):
            db.add(models.Author(name="Ann"))
            db.flush()
            db.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    for _ in range(12):
        with pytest.raises(OperationalError):
            lose()
    with work() as (store, _):
        assert store.count(Author) == 0


@pytest.mark.parametrize("work", ["postgresql"], indirect=True)
def test_a_session_whose_connection_dies_before_the_commit_does_not_keep_it(work, models):
    def lose() -> None:
        with work() as (_, db):
            db.add(models.Author(name="Ann"))
            db.flush()
            pooled = db.connection().connection
            pooled.driver_connection.pgconn.finish()

    for _ in range(12):
        with pytest.raises(Exception, match="answer"):
            lose()
    with work() as (store, _):
        assert store.count(Author) == 0


def test_a_savepoint_of_the_session_leaves_the_unit_usable(work, models):
    with work() as (store, db):
        store.add(Author("Ann"))
        savepoint = db.begin_nested()
        db.add(models.Author(name="Bob"))
        db.flush()
        savepoint.rollback()
        store.add(Author("Cid"))
    with work() as (store, db):
        assert [found.name for found in store.find(Author)] == ["Ann", "Cid"]


def test_native_changes_are_not_lost_silently_after_an_error_that_was_passed_over(work, models):
    def pass_over() -> None:
        with work() as (store, db):
            db.execute(text("INSERT INTO kit_test_author (name) VALUES ('Ann')"))
            with pytest.raises(Conflict):
                store.add(Author("Ann"))

    with pytest.raises(KitError, match="savepoint"):
        pass_over()
    with work() as (store, _):
        assert store.count(Author) == 0
