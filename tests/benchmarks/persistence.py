"""The cases of the theme ``persistence``: units of work of the portable store and of the ORMs.

Each case is one request's unit of work on PostgreSQL, from the pool to the commit. Every peer is
written in its customary form: a Session, an atomic block or a transaction for each unit, and a
connection that is kept. "20 updates" finds twenty records, changes them all and saves them in one
call; "one by one" takes a call for each, which the flush of a Session never needs.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

import django
import msgspec
import peewee
import sqlalchemy
from django.conf import settings
from playhouse.pool import PooledPostgresqlDatabase
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from kit.slots.persistence import Persistence, unit_of_work
from kit.slots.persistence.portable import Statements, Store
from kit.slots.persistence.records import tables

URL = os.environ.get("KIT_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")
PARTS = urlsplit(URL)
ROWS = 200
TABLE = "kit_bench_contact"
NAMES = ("get", "find 12", "20 gets", "20 updates", "20 updates, one by one")
Case = Callable[[], object]


@dataclass
class Contact:
    """The record that all cases work on."""

    __table__ = TABLE

    first_name: Annotated[str, msgspec.Meta(max_length=100)]
    last_name: Annotated[str, msgspec.Meta(max_length=100)]
    phone_number: Annotated[str, msgspec.Meta(max_length=32)]
    age: int
    id: int | None = None


def _cases(*cases: Case) -> dict[str, Case]:
    return dict(zip(NAMES, cases, strict=True))


def store_cases(persistence: Persistence) -> dict[str, Case]:
    """Return the cases on the store of a component."""
    statements = Statements(persistence, tables([Contact]))
    unit = contextmanager(unit_of_work)

    @contextmanager
    def opened() -> Iterator[Store]:
        with unit(persistence) as work:
            yield Store(work, statements)

    def get() -> object:
        with opened() as store:
            return store.get(Contact, 7)

    def find() -> object:
        with opened() as store:
            found = store.find(Contact, age__lt=50, order_by="last_name", limit=12)
            assert len(found) == 12
            return found

    def gets() -> object:
        with opened() as store:
            return [store.get(Contact, number) for number in range(1, 21)]

    def updates() -> None:
        with opened() as store:
            contacts = store.find(Contact, id__lte=20)
            for contact in contacts:
                contact.age += 1
            store.save(*contacts)

    def single_updates() -> None:
        with opened() as store:
            for contact in store.find(Contact, id__lte=20):
                contact.age += 1
                store.save(contact)

    return _cases(get, find, gets, updates, single_updates)


def sqlalchemy_cases() -> dict[str, Case]:
    """Return the cases on the ORM of SQLAlchemy."""

    class Base(DeclarativeBase):
        pass

    class Model(Base):
        __tablename__ = TABLE
        id: Mapped[int] = mapped_column(primary_key=True)
        first_name: Mapped[str]
        last_name: Mapped[str]
        phone_number: Mapped[str]
        age: Mapped[int]

    engine = sqlalchemy.create_engine(URL.replace("://", "+psycopg://"))
    session_class = sessionmaker(engine)

    def get() -> object:
        with session_class.begin() as session:
            return session.get_one(Model, 7)

    def find() -> object:
        query = (
            sqlalchemy.select(Model).where(Model.age < 50).order_by(Model.last_name, Model.id)
        ).limit(12)
        with session_class.begin() as session:
            return list(session.scalars(query))

    def gets() -> object:
        with session_class.begin() as session:
            return [session.get_one(Model, number) for number in range(1, 21)]

    def updates() -> None:
        with session_class.begin() as session:
            for row in session.scalars(sqlalchemy.select(Model).where(Model.id <= 20)):
                row.age += 1

    return _cases(get, find, gets, updates, updates)


def peewee_cases() -> dict[str, Case]:
    """Return the cases on the models of Peewee."""
    database = PooledPostgresqlDatabase(
        PARTS.path[1:],
        host=PARTS.hostname,
        port=PARTS.port,
        user=PARTS.username,
        password=PARTS.password,
    )

    class Model(peewee.Model):
        first_name = peewee.CharField(100)
        last_name = peewee.CharField(100)
        phone_number = peewee.CharField(32)
        age = peewee.IntegerField()

        class Meta:
            table_name = TABLE

    Model.bind(database)
    database.connect()

    def get() -> object:
        with database.atomic():
            return Model.get_by_id(7)

    def find() -> object:
        query = Model.select().where(Model.age < 50).order_by(Model.last_name, Model.id)
        with database.atomic():
            return list(query.limit(12))

    def gets() -> object:
        with database.atomic():
            return [Model.get_by_id(number) for number in range(1, 21)]

    def updates() -> None:
        with database.atomic():
            for row in Model.select().where(Model.id <= 20):
                row.age += 1
                row.save()

    return _cases(get, find, gets, updates, updates)


def django_cases() -> dict[str, Case]:
    """Return the cases on the ORM of Django."""
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": PARTS.path[1:],
                "HOST": PARTS.hostname,
                "PORT": PARTS.port,
                "USER": PARTS.username,
                "PASSWORD": PARTS.password or "",
                "CONN_MAX_AGE": None,
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()
    from django.db import models, transaction

    class Model(models.Model):
        first_name = models.CharField(max_length=100)
        last_name = models.CharField(max_length=100)
        phone_number = models.CharField(max_length=32)
        age = models.IntegerField()

        class Meta:
            app_label = "bench"
            db_table = TABLE

    objects: Any = Model.objects

    def get() -> object:
        with transaction.atomic():
            return objects.get(id=7)

    def find() -> object:
        with transaction.atomic():
            return list(objects.filter(age__lt=50).order_by("last_name", "id")[:12])

    def gets() -> object:
        with transaction.atomic():
            return [objects.get(id=number) for number in range(1, 21)]

    def updates() -> None:
        with transaction.atomic():
            for row in objects.filter(id__lte=20):
                row.age += 1
                row.save()

    return _cases(get, find, gets, updates, updates)


def fill(persistence: Persistence) -> None:
    """Create the table anew, with rows of which more than twelve are found."""
    table = tables([Contact])
    persistence.drop(list(table.values()))
    persistence.create(list(table.values()))
    with contextmanager(unit_of_work)(persistence) as unit:
        store = Store(unit, Statements(persistence, table))
        for number in range(ROWS):
            name = f"{number * 7919 % 1000:04}"
            store.add(Contact(f"First {name}", f"Last {name}", f"+44 {name}", number % 100))


def measure(competitors: dict[str, dict[str, Case]], rounds: int) -> dict[str, dict[str, float]]:
    """Return the median CPU time in microseconds of each case of each competitor."""
    times: dict[str, dict[str, list[float]]] = {
        case: {name: [] for name in competitors} for case in next(iter(competitors.values()))
    }
    for cases in competitors.values():
        for run in cases.values():
            for _ in range(20):
                run()
    gc.collect()
    for _ in range(rounds):
        for case, of in times.items():
            repeats = 5 if case.startswith("20") else 40
            for name, cases in competitors.items():
                run = cases[case]
                start = time.process_time_ns()
                for _ in range(repeats):
                    run()
                of[name].append((time.process_time_ns() - start) / repeats / 1000)
    return {
        case: {name: statistics.median(values) for name, values in of.items()}
        for case, of in times.items()
    }
