"""Peewee's own side: the Database of a unit of work, and plain models beside records."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Annotated, Any

import msgspec
import peewee
import pytest
from kit_peewee.persistence import PeeweeOptions, PeeweePersistence

from kit.errors import KitError
from kit.options import DatabaseURL, Duration
from kit.slots.persistence import unit_of_work
from kit.slots.persistence.portable import Statements, Store
from kit.slots.persistence.records import Unique, tables

MODELS = """
import peewee
from peewee import Model

class Author(Model):
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


Work = Callable[[], AbstractContextManager[tuple[Store, Any]]]


@pytest.fixture
def models(tmp_path, monkeypatch) -> Any:
    """A module of plain models, one of them for the table of a record."""
    (tmp_path / "plain_peewee.py").write_text(MODELS)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.reload(importlib.import_module("plain_peewee"))


@pytest.fixture(params=["sqlite", "postgresql"])
def work(request, tmp_path, models) -> Iterator[Work]:
    """A function that opens a unit of work and gives its store and its Database."""
    url = f"sqlite:///{tmp_path}/test.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("cluster").url
    component = PeeweePersistence(PeeweeOptions(url=DatabaseURL(url), models=["plain_peewee"]))
    known = tables([Author])
    component.create(list(known.values()))

    @contextmanager
    def open_both() -> Iterator[tuple[Store, Any]]:
        with contextmanager(unit_of_work)(component) as unit:
            yield Store(unit, Statements(component, known)), unit.native

    yield open_both
    component.drop(list(known.values()))
    component.close()


def test_records_and_plain_models_share_a_transaction(work, models):
    with work() as (store, _):
        author = store.add(Author("Ann"))
        models.Note.create(author=author.id, text="first")
    with work() as (store, _):
        assert models.Note.get().author.name == "Ann"
        models.Author.create(name="Bob")
        assert [found.name for found in store.find(Author)] == ["Ann", "Bob"]


def test_an_error_undoes_both(work, models):
    def fail() -> None:
        with work() as (store, _):
            author = store.add(Author("Ann"))
            models.Note.create(author=author.id, text="first")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with work() as (store, _):
        assert store.count(Author) == models.Note.select().count() == 0


def test_atomic_is_a_savepoint_in_the_unit(work, models):
    def attempt(db: Any) -> None:
        with db.atomic():
            models.Author.create(name="Bob")
            models.Author.create(name="Ann")

    with work() as (store, db):
        store.add(Author("Ann"))
        with pytest.raises(peewee.IntegrityError):
            attempt(db)
        models.Author.create(name="Eve")
    with work() as (store, _):
        assert [found.name for found in store.find(Author)] == ["Ann", "Eve"]


def test_the_database_runs_sql_in_the_unit(work):
    with work() as (store, db):
        store.add(Author("Ann"))
        assert db.execute_sql("SELECT name FROM kit_test_author").fetchall() == [("Ann",)]


def test_a_rollback_of_the_unit_is_noticed(work):
    def undo() -> None:
        with work() as (store, db):
            store.add(Author("Ann"))
            db.rollback()

    with pytest.raises(KitError, match="nothing was stored"):
        undo()
    with work() as (store, _):
        assert store.count(Author) == 0


def test_an_unfinished_transaction_does_not_keep_the_connection(work):
    for _ in range(12):
        with work() as (store, db):
            db.transaction().__enter__()
            store.count(Author)


def test_a_unit_that_another_thread_closes_does_not_spoil_its_own(tmp_path):
    url = DatabaseURL(f"sqlite:///{tmp_path}/test.db")
    component = PeeweePersistence(PeeweeOptions(url=url, pool_size=1, pool_wait=Duration(1)))
    unit = component.begin()
    other = Thread(target=unit.close)
    other.start()
    other.join()
    for _ in range(3):
        with closing(component.begin()) as unit:
            unit.commit()
    component.close()


def test_two_units_in_one_thread_are_refused(tmp_path):
    component = PeeweePersistence(PeeweeOptions(url=DatabaseURL(f"sqlite:///{tmp_path}/test.db")))
    with closing(component.begin()), pytest.raises(KitError, match="one at a time"):
        component.begin()
    component.close()
