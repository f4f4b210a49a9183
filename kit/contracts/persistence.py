"""The contract of persistence components: see `PersistenceContract`."""

from __future__ import annotations

import asyncio
import os
import time as clock
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from threading import Event, Thread
from typing import Annotated, Any, ClassVar, TypeVar
from uuid import UUID

import msgspec
import pytest

from kit.contracts import Contract, clause
from kit.errors import Conflict, KitError, RecordNotFound, Unavailable
from kit.slots.persistence import Persistence, unit_of_work
from kit.slots.persistence.async_store import AsyncStore, runner
from kit.slots.persistence.portable import Chosen, Statements, Store
from kit.slots.persistence.records import Digits, Index, References, Unique, tables
from kit.slots.persistence.statements import FieldError
from kit.slots.persistence.units import UnitOfWork
from kit.waiting import wait

T = TypeVar("T")
Work = Callable[[], AbstractContextManager[Store]]


NO_KEY = UUID(int=0)
PEOPLE = ("Ann", "Bob", "Eve")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(Enum):
    SMALL = 1
    LARGE = 2


@dataclass
class Person:
    __table__ = "kit_contract_person"
    __constraints__ = (Unique("last", "age"), Index("age", "last"))

    name: Annotated[str, msgspec.Meta(max_length=40), Unique]
    age: int | None = None
    last: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    id: int | None = None


@dataclass
class Pet:
    __table__ = "kit_contract_pet"

    owner: Annotated[int, References(Person)]
    sitter: Annotated[int, References(Person, on_delete="set null")] | None = None
    breeder: Annotated[int, References(Person, on_delete="cascade")] | None = None
    price: Annotated[Decimal, Digits(6, places=2)] = Decimal(0)
    id: int | None = None


@dataclass
class Everything:
    __table__ = "kit_contract_everything"

    number: int = 0
    text: str = ""
    real: float = 0.0
    flag: bool = False
    data: bytes = b""
    moment: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    day: date = date(2026, 1, 1)
    hour: time = time(0)
    price: Annotated[Decimal, Digits(18, places=4)] = Decimal(0)
    key: UUID = NO_KEY
    colour: Colour = Colour.RED
    size: Size = Size.SMALL
    maybe_number: int | None = None
    maybe_text: str | None = None
    maybe_real: float | None = None
    maybe_flag: bool | None = None
    maybe_data: bytes | None = None
    maybe_moment: datetime | None = None
    maybe_day: date | None = None
    maybe_hour: time | None = None
    maybe_price: Annotated[Decimal, Digits(18, places=4)] | None = None
    maybe_key: UUID | None = None
    maybe_colour: Colour | None = None
    id: int | None = None


FULL = Everything(
    number=2**63 - 1,
    text="Grüße, 😀 'quoted' \"double\" \\back\\ %s ? :name \t\r\n;--",
    real=0.1,
    flag=True,
    data=bytes(range(256)),
    moment=datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=UTC),
    day=date(1969, 12, 31),
    hour=time(23, 59, 59, 999999),
    price=Decimal("-12345678901234.5678"),
    key=UUID("ffeeddcc-bbaa-9988-7766-554433221100"),
    colour=Colour.BLUE,
    size=Size.LARGE,
)
OTHER = Everything(
    number=-(2**63),
    text="",
    real=-1.7976931348623157e308,
    data=b"",
    moment=datetime(1970, 1, 1, tzinfo=UTC),
    day=date(9999, 12, 31),
    hour=time(0, 0, 0, 1),
    price=Decimal("99999999999999.9999"),
    maybe_number=0,
    maybe_text="\u00e9\u0301 \U0010ffff",
    maybe_real=5e-324,
    maybe_flag=False,
    maybe_data=b"\\x00",
    maybe_moment=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    maybe_day=date(1, 1, 1),
    maybe_hour=time(12),
    maybe_price=Decimal("0.0001"),
    maybe_key=UUID(int=2**128 - 1),
    maybe_colour=Colour.RED,
)
NAMES = [
    "Zoë",
    "zoë",
    "100%",
    "100 ",
    "a_c",
    "abc",
    "A|C",
    "a*c",
    "[abc]",
    "a?c",
    "a\\c",
    "ÄÖ",
    "É",
]
RECORDS = (Person, Pet, Everything)


def _in_threads(number: int, function: Callable[[], object]) -> None:
    """Run a function in threads at once; raise the first error of any."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]


def _patient(function: Callable[[], T]) -> T:
    """Run a function again while the database has no time for it, as a client would."""
    end = clock.monotonic() + 30
    while True:
        try:
            return function()
        except (Unavailable, Conflict):
            if clock.monotonic() > end:
                raise


def _find(store: Store, lookup: str, value: Any) -> list[Person]:
    lookups = {lookup: value}
    return store.find(Person, **lookups)


def _count(work: Work) -> int:
    with work() as store:
        return store.count(Person)


class PersistenceContract(Contract):
    """What every component of the slot persistence promises.

    Give it a fixture ``component``: a new component on a database without the tables that the
    contract uses (it drops them at the end, all called ``kit_contract_...``), with the options
    ``pool_size=3, pool_wait=0.5, lock_timeout=0.5``, and close it afterwards.
    """

    capabilities: ClassVar[dict[str, str]] = {
        "references": "the database keeps references intact",
        "savepoints": "a part of a unit of work can be undone",
        "fork": "a process that has used the component can fork",
        "coroutines": "coroutines can use a unit of work, which goes from thread to thread for it",
    }

    @pytest.fixture
    def statements(self, component: Persistence) -> Iterator[Statements]:
        """The statements of the contract's records, whose tables are there and empty."""
        known = tables(RECORDS)
        component.drop(list(known.values()))
        component.create(list(known.values()))
        yield Statements(component, known)
        component.drop(list(known.values()))

    @pytest.fixture
    def work(self, component: Persistence, statements: Statements) -> Work:
        """A function that opens a unit of work and gives a store on it."""

        @contextmanager
        def open_store() -> Iterator[Store]:
            with contextmanager(unit_of_work)(component) as unit:
                yield Store(unit, statements)

        return open_store

    @pytest.fixture
    def people(self, work: Work) -> dict[str, Person]:
        """Persons called like `NAMES`, stored."""
        with work() as store:
            return {name: store.add(Person(name)) for name in NAMES}

    @clause("P1")
    def test_a_record_comes_back(self, work: Work) -> None:
        """A record that was added is got by its id, equal, in the same unit and in later ones."""
        with work() as store:
            ann = store.add(Person("Ann", 30))
            assert store.get(Person, ann.id or 0) == ann == Person("Ann", 30, id=ann.id)
        with work() as store:
            assert store.get(Person, ann.id or 0) == ann
            with pytest.raises(RecordNotFound):
                store.get(Person, (ann.id or 0) + 1)

    @clause("P2")
    def test_ids_grow(self, work: Work) -> None:
        """Ids are positive, grow, and are not given again, not even after a delete."""
        seen = [0]
        for name in "abc":
            with work() as store:
                seen.append(store.add(Person(name)).id or 0)
            with work() as store:
                store.delete(Person, seen[-1])
        assert seen == sorted(set(seen))

    @clause("P3")
    @pytest.mark.parametrize("record", [FULL, OTHER], ids=["full", "other"])
    def test_every_type_comes_back(self, work: Work, record: Everything) -> None:
        """Every type of field comes back with its type and value, None and extremes included."""
        with work() as store:
            added = store.add(replace(record))
            found = store.get(Everything, added.id or 0)
        assert found == replace(record, id=added.id)
        assert repr(found) == repr(replace(record, id=added.id))

    @clause("P4")
    def test_datetimes_come_back_in_utc(self, work: Work) -> None:
        """A datetime of any time zone comes back as the same moment in UTC, to the microsecond."""
        local = timezone(timedelta(hours=-9, minutes=-30))
        moment = datetime(2026, 7, 1, 23, 30, 0, 1, tzinfo=local)
        with work() as store:
            added = store.add(Everything(moment=moment))
            found = store.get(Everything, added.id or 0)
            assert found.moment == moment
            assert found.moment.tzinfo is UTC
            assert store.count(Everything, moment=moment.astimezone(UTC)) == 1

    @clause("P5")
    def test_long_values_come_back_whole(self, work: Work) -> None:
        """Text and bytes without a declared length come back whole, 200 kB for example."""
        text, data = "€uro " * 40_000, bytes(range(256)) * 800
        with work() as store:
            added = store.add(Everything(text=text, data=data))
            found = store.get(Everything, added.id or 0)
        assert (found.text, found.data) == (text, data)

    @clause("P6")
    def test_text_is_told_apart(self, work: Work) -> None:
        """Text that differs in case, accents, composition or trailing blanks is not the same."""
        names = ["a", "A", "á", "a\u0301", "a ", " a", "", " ", "ß", "ss"]
        with work() as store:
            for name in names:
                store.add(Person(name))
            for name in names:
                assert [found.name for found in store.find(Person, name=name)] == [name]

    @clause("P7")
    def test_comparisons(self, work: Work) -> None:
        """Comparisons find what they say, and none but those for None find None."""
        with work() as store:
            for age in (None, 1, 2, 3):
                store.add(Person(str(age), age))

            def ages(**lookups: Any) -> list[int | None]:
                return [found.age for found in store.find(Person, order_by="age", **lookups)]

            assert ages(age=2) == ages(age__exact=2) == [2]
            assert ages(age__ne=2) == [1, 3]
            assert (ages(age__lt=2), ages(age__lte=2)) == ([1], [1, 2])
            assert (ages(age__gt=2), ages(age__gte=2)) == ([3], [2, 3])
            assert (ages(age__in=[3, 1, 7]), ages(age__in=[])) == ([1, 3], [])
            assert ages(age=None) == ages(age__isnull=True) == [None]
            assert ages(age__ne=None) == ages(age__isnull=False) == [1, 2, 3]
            assert ages(age__gt=1, age__lt=3, name="2") == [2]

    @clause("P8")
    @pytest.mark.parametrize(
        ("lookup", "text", "names"),
        [
            ("contains", "c", ["a_c", "abc", "a*c", "[abc]", "a?c", "a\\c"]),
            ("contains", "%", ["100%"]),
            ("contains", "_", ["a_c"]),
            ("contains", "*", ["a*c"]),
            ("contains", "?", ["a?c"]),
            ("contains", "[abc]", ["[abc]"]),
            ("contains", "\\", ["a\\c"]),
            ("contains", "|", ["A|C"]),
            ("contains", "", NAMES),
            ("startswith", "Zo", ["Zoë"]),
            ("startswith", "a_", ["a_c"]),
            ("endswith", "ë", ["Zoë", "zoë"]),
            ("endswith", " ", ["100 "]),
            ("endswith", "*c", ["a*c"]),
        ],
    )
    def test_texts_within(
        self, work: Work, people: dict[str, Person], lookup: str, text: str, names: list[str]
    ) -> None:
        """Contains, startswith and endswith heed case, and no character is a wildcard."""
        with work() as store:
            found = _find(store, f"name__{lookup}", text)
        assert [person.name for person in found] == names

    @clause("P9")
    @pytest.mark.parametrize(
        ("lookup", "text", "names"),
        [
            ("iexact", "ZOË", ["Zoë", "zoë"]),
            ("iexact", "A_C", ["a_c"]),
            ("iexact", "A?C", ["a?c"]),
            ("iexact", "100", []),
            ("icontains", "äö", ["ÄÖ"]),
            ("icontains", "B", ["abc", "[abc]"]),
            ("istartswith", "ZO", ["Zoë", "zoë"]),
            ("istartswith", "A|", ["A|C"]),
            ("iendswith", "É", ["É"]),
            ("iendswith", "*C", ["a*c"]),
        ],
    )
    def test_texts_within_whatever_the_case(
        self, work: Work, people: dict[str, Person], lookup: str, text: str, names: list[str]
    ) -> None:
        """The lookups with an i ignore case, beyond ASCII too, but not accents or wildcards."""
        with work() as store:
            found = _find(store, f"name__{lookup}", text)
        assert [person.name for person in found] == names

    @clause("P10")
    def test_order(self, work: Work) -> None:
        """Order is by value, text by code point, None before all, what is equal by id."""
        rows = [("b", 2), ("B", None), ("é", 1), ("a", 2), ("~", None)]
        with work() as store:
            for name, age in rows:
                store.add(Person(name, age))

            def names(*order: str) -> str:
                return "".join(found.name for found in store.find(Person, order_by=order))

            assert names() == "bBéa~"
            assert names("name") == "Bab~é"
            assert names("-name") == "é~baB"
            assert names("age") == "B~éba"
            assert names("-age") == "baéB~"
            assert names("-age", "name") == "abéB~"
            assert names("-id") == "~aéBb"

    @clause("P11")
    def test_limit_and_offset(self, work: Work, people: dict[str, Person]) -> None:
        """At most `limit` records are found, after `offset` others; first is the first of them."""
        with work() as store:

            def names(**cut: Any) -> list[str]:
                return [found.name for found in store.find(Person, **cut)]

            assert names(limit=2) == NAMES[:2]
            assert names(limit=2, offset=3) == NAMES[3:5]
            assert names(offset=3) == NAMES[3:]
            assert names(limit=0) == names(offset=99) == []
            assert store.first(Person, order_by="-id") == people[NAMES[-1]]
            assert store.first(Person, name="nobody") is None

    @clause("P12")
    def test_count(self, work: Work, people: dict[str, Person]) -> None:
        """Count says how many records the lookups fit."""
        with work() as store:
            assert store.count(Person) == len(NAMES)
            assert store.count(Person, name__contains="abc") == 2
            assert store.count(Person, name__in=[]) == store.count(Person, age=1) == 0

    @clause("P13")
    def test_save(self, work: Work, people: dict[str, Person]) -> None:
        """Save stores every field of this record only, the same values again too."""
        zoe = replace(people["Zoë"], name="Zoe", age=5)
        with work() as store:
            store.save(zoe)
            store.save(zoe)
        with work() as store:
            assert store.get(Person, zoe.id or 0) == zoe
            assert store.count(Person, age=None) == len(NAMES) - 1

    @clause("P14")
    def test_save_what_is_gone(self, work: Work, people: dict[str, Person]) -> None:
        """Saving a record that is gone raises RecordNotFound."""
        with work() as store:
            store.delete(Person, people["abc"].id or 0)
            with pytest.raises(RecordNotFound):
                store.save(people["abc"])

    @clause("P15")
    def test_save_several(self, work: Work, people: dict[str, Person]) -> None:
        """Several records are saved at once, and one that is gone raises RecordNotFound."""
        everybody = [replace(person, age=4) for person in people.values()]
        with work() as store:
            store.save(*everybody)
            assert store.find(Person) == everybody
            store.delete(everybody[0])
            with pytest.raises(RecordNotFound):
                store.save(*everybody)

    @clause("P16")
    def test_delete(self, work: Work, people: dict[str, Person]) -> None:
        """Delete removes this record only, and raises RecordNotFound for one that is gone."""
        with work() as store:
            store.delete(people["abc"])
            assert [found.name for found in store.find(Person)] == [n for n in NAMES if n != "abc"]
            with pytest.raises(RecordNotFound):
                store.delete(people["abc"])

    @clause("P17")
    @pytest.mark.parametrize("twin", [Person("Ann", 1, "B"), Person("Eve", 1, "A")])
    def test_unique(self, work: Work, twin: Person) -> None:
        """A value, or several together, that must be unique and are not raise Conflict."""
        with work() as store:
            store.add(Person("Ann", 1, "A"))
        with pytest.raises(Conflict), work() as store:
            store.add(replace(twin))
        with work() as store:
            other = store.add(Person("Bob", 2, "A"))
        with pytest.raises(Conflict), work() as store:
            store.save(replace(twin, id=other.id))

    @clause("P18")
    def test_none_is_unique(self, work: Work) -> None:
        """None is never the same as another None for what must be unique."""
        with work() as store:
            store.add(Person("Ann", None, "A"))
            store.add(Person("Bob", None, "A"))
            assert store.count(Person, last="A") == 2

    @clause("P19", needs="references")
    def test_references(self, work: Work) -> None:
        """A reference to a record that is not there, or is deleted, raises Conflict."""
        with work() as store:
            ann = store.add(Person("Ann"))
            store.add(Pet(ann.id or 0))
        with pytest.raises(Conflict), work() as store:
            store.add(Pet((ann.id or 0) + 1))
        with pytest.raises(Conflict), work() as store:
            store.delete(ann)
        with work() as store:
            assert (store.count(Person), store.count(Pet)) == (1, 1)

    @clause("P20", needs="references")
    def test_references_to_what_is_deleted(self, work: Work) -> None:
        """Deleting a record deletes those that reference it, or sets None, as declared."""
        with work() as store:
            ann, bob, eve = (store.add(Person(name)).id or 0 for name in ("Ann", "Bob", "Eve"))
            left = store.add(Pet(ann, sitter=bob))
            store.add(Pet(ann, breeder=eve))
            store.delete(Person, bob)
            store.delete(Person, eve)
            assert store.find(Pet) == [replace(left, sitter=None)]

    @clause("P21")
    def test_rollback(self, work: Work) -> None:
        """A unit of work that raises leaves nothing behind."""
        with work() as store:
            ann = store.add(Person("Ann"))

        def fail() -> None:
            with work() as store:
                store.add(Person("Bob"))
                store.save(replace(ann, age=1))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        with work() as store:
            assert store.find(Person) == [ann]

    @clause("P22")
    def test_isolation(self, component: Persistence, work: Work) -> None:
        """What a unit of work has not committed, others do not see (or they have to wait)."""
        seen: list[int] = []

        def look() -> None:
            try:
                with work() as store:
                    seen.append(store.count(Person))
            except Unavailable:
                seen.append(0)

        with work() as store:
            store.add(Person("Ann"))
            _in_threads(1, look)
        _in_threads(1, look)
        assert seen == [0, 1]

    @clause("P23", needs="savepoints")
    def test_savepoint(self, work: Work) -> None:
        """What happens in a savepoint that is left by an error is undone, and the unit goes on."""

        def inner(store: Store) -> None:
            with store.savepoint():
                store.add(Person("Cid"))
                raise ZeroDivisionError

        def outer(store: Store) -> None:
            with store.savepoint():
                store.add(Person("Bob"))
                with pytest.raises(ZeroDivisionError):
                    inner(store)
                assert store.count(Person) == 2
                store.add(Person("Ann"))

        with work() as store:
            ann = store.add(Person("Ann"))
            with pytest.raises(Conflict):
                outer(store)
            with store.savepoint():
                eve = store.add(Person("Eve"))
        with work() as store:
            assert store.find(Person) == [ann, eve]

    @clause("P24")
    def test_errors_are_not_passed_over(self, work: Work) -> None:
        """After an error that nobody undid the unit is useless, and its commit says so."""
        with work() as store:
            store.add(Person("Ann"))

        def pass_over() -> None:
            with work() as store:
                store.add(Person("Bob"))
                with pytest.raises(Conflict):
                    store.add(Person("Ann"))
                with pytest.raises(KitError, match="savepoint"):
                    store.count(Person)

        with pytest.raises(KitError, match="savepoint"):
            pass_over()
        with work() as store:
            assert store.count(Person) == 1

    @clause("P25")
    def test_errors_tell_no_secrets(self, work: Work) -> None:
        """The message of an error has neither values nor SQL."""
        with work() as store:
            store.add(Person("topsecret"))
        with pytest.raises(Conflict) as caught, work() as store:
            store.add(Person("topsecret"))
        message = str(caught.value).lower()
        assert not [word for word in ("topsecret", "insert", "kit_contract") if word in message]

    @clause("P26")
    def test_create_again(self, component: Persistence, work: Work) -> None:
        """Creating again, from several threads at once, keeps what is stored."""
        with work() as store:
            store.add(Person("Ann"))
        _in_threads(2, lambda: _patient(lambda: component.create(list(tables(RECORDS).values()))))
        with work() as store:
            assert store.count(Person) == 1

    @clause("P27")
    def test_drop(self, component: Persistence, work: Work) -> None:
        """Dropping removes the records, and dropping again does nothing."""
        known = list(tables(RECORDS).values())
        with work() as store:
            store.add(Person("Ann"))
        component.drop(known)
        component.drop(known)
        component.create(known)
        with work() as store:
            assert store.count(Person) == 0

    @clause("P28")
    @pytest.mark.parametrize(
        "evil", ["' OR '1'='1", "'); DROP TABLE x; --", "%s", "?", ":a", "\\'"]
    )
    def test_values_are_bound(self, work: Work, evil: str) -> None:
        """SQL in a value is text like any other, to store and to look for."""
        with work() as store:
            store.add(Person("Ann"))
            assert store.find(Person, name=evil) == []
            person = store.add(Person(evil))
            assert store.find(Person, name=evil) == store.find(Person, name__contains=evil)
            assert store.find(Person, name__in=[evil]) == [person]

    @clause("P29")
    def test_locked_records(self, work: Work) -> None:
        """Records that are read with a lock, changed and saved by ten threads lose no change."""
        with work() as store:
            ann = store.add(Person("Ann", 0)).id or 0

        def birthday() -> None:
            with work() as store:
                person = store.get(Person, ann, lock=True)
                person.age = (person.age or 0) + 1
                store.save(person)

        _in_threads(10, lambda: [_patient(birthday) for _ in range(5)])
        with work() as store:
            assert store.get(Person, ann).age == 50

    @clause("P30")
    def test_connections_come_back(self, work: Work) -> None:
        """Units of work that end in an error give their connections back."""
        with work() as store:
            store.add(Person("Ann"))
        for _ in range(10):
            with pytest.raises(Conflict), work() as store:
                store.add(Person("Ann"))
        _in_threads(3, lambda: _patient(lambda: _count(work)))

    @clause("P31")
    def test_no_connection_left(self, work: Work) -> None:
        """While all connections are in use, another unit of work raises Unavailable in time."""
        refused: list[Unavailable] = []
        enough = Event()

        def hold() -> None:
            try:
                with work() as store:
                    store.count(Person)
                    enough.wait(10)
            except Unavailable as error:
                refused.append(error)
            finally:
                enough.set()

        start = clock.monotonic()
        _in_threads(4, hold)
        assert refused
        assert clock.monotonic() - start < 5
        assert _patient(lambda: _count(work)) == 0

    @clause("P32", needs="fork")
    def test_fork(self, work: Work) -> None:
        """A process that forks goes on working, and so does its child."""
        with work() as store:
            store.add(Person("Ann"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # for the threads of pytest-xdist
            child = os.fork()
        if not child:
            code = 1
            try:
                code = int(_count(work) != 1)
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert _count(work) == 1

    @clause("P33", needs="coroutines")
    def test_the_async_store(self, component: Persistence, work: Work) -> None:
        """Coroutines do with the async store what plain code does, in the same unit of work."""

        async def use(store: AsyncStore) -> list[Person]:
            ann = await store.first(Person, name="Ann")
            bob, eve = await store.add(Person("Bob", 1)), await store.add(Person("Eve"))
            assert ann
            await store.save(replace(ann, age=1), replace(eve, age=1))
            assert await store.get(Person, eve.id or 0, lock=True) == replace(eve, age=1)
            await store.delete(bob)
            await store.delete(Person, eve.id or 0)
            with pytest.raises(RecordNotFound):
                await store.get(Person, eve.id or 0)
            assert await store.count(Person, age=1) == 1
            return await store.find(Person, order_by="-id", limit=1)

        with work() as store:
            ann = store.add(Person("Ann"))
            found = wait(use(AsyncStore(store, runner(component))))
            assert found == store.find(Person) == [replace(ann, age=1)]

    @clause("P34", needs="coroutines")
    def test_coroutines_that_are_cancelled(
        self, component: Persistence, statements: Statements, work: Work
    ) -> None:
        """A coroutine that is cancelled, wherever that is, leaves no half and no connection."""
        run = runner(component)

        async def add_two(cancelled: int) -> None:
            steps = iter(range(3))

            async def step(function: Callable[..., Any], *arguments: Any) -> Any:
                task = asyncio.current_task()
                if next(steps) == cancelled and task:
                    task.cancel()  # which the first thing that waits comes upon
                return await run(function, *arguments)

            unit = UnitOfWork(component)
            store = AsyncStore(Store(unit, statements), step)
            try:
                await store.add(Person("Ann"))
                await store.add(Person("Bob"))
                await step(unit.commit)
            finally:
                await run(unit.close)

        async def cancel() -> None:
            for cancelled in (0, 0, 0, 1, 1, 1, 2):  # three connections are all there are
                with suppress(asyncio.CancelledError, Conflict):
                    await asyncio.create_task(add_two(cancelled))

        wait(cancel())
        assert _count(work) in (0, 2)

    @clause("P35", needs="coroutines")
    def test_savepoints_of_coroutines(self, component: Persistence, work: Work) -> None:
        """``async with store.savepoint()`` undoes what happened in it if an error leaves it."""

        async def fail(store: AsyncStore) -> None:
            async with store.savepoint():
                await store.add(Person("Bob"))
                await store.add(Person("Ann"))

        async def use(store: AsyncStore) -> None:
            with pytest.raises(Conflict):
                await fail(store)
            async with store.savepoint():
                await store.add(Person("Eve"))

        with work() as store:
            store.add(Person("Ann"))
            wait(use(AsyncStore(store, runner(component))))
        with work() as store:
            assert [found.name for found in store.find(Person)] == ["Ann", "Eve"]

    @clause("P36")
    def test_chosen_by_others(self, work: Work) -> None:
        """``in`` finds what a field of other records has, which lookups choose, several deep.

        Decimals with other digits are refused: databases may hold them otherwise.
        """
        with work() as store:
            ann, bob, eve = (store.add(Person(name, age)) for age, name in enumerate(PEOPLE))
            for owner, sitter in ((ann, bob), (ann, None), (bob, eve)):
                store.add(Pet(owner.id or 0, sitter.id if sitter else None))

            def names(**lookups: Any) -> list[str]:
                return [found.name for found in store.find(Person, **lookups)]

            assert names(id__in=Chosen(Pet, "owner")) == ["Ann", "Bob"]
            assert names(id__in=Chosen(Pet, "sitter")) == ["Bob", "Eve"]
            mine = Chosen(Pet, "sitter", owner__in=[ann.id, eve.id])
            assert names(id__in=mine) == names(age__gt=0, id__in=mine, name="Bob") == ["Bob"]
            assert names(id__in=Chosen(Pet, "sitter", owner__in=[])) == []
            old = Chosen(Person, "id", age__gte=1)
            kept = Chosen(Pet, "owner", sitter__in=old, owner__ne=bob.id)
            assert names(id__in=kept, order_by="-id", limit=5) == ["Ann"]
            assert store.count(Person, id__in=kept) == 1
            for price, maybe in (("1.5", "0.015"), ("0.015", None), ("7", "1.5")):
                maybe_price = Decimal(maybe) if maybe else None
                store.add(Everything(price=Decimal(price), maybe_price=maybe_price))
            same = store.find(Everything, price__in=Chosen(Everything, "maybe_price"))
            assert [found.price for found in same] == [Decimal("1.5"), Decimal("0.015")]
            with pytest.raises(FieldError, match="Digits"):
                store.find(Everything, price__in=Chosen(Pet, "price"))

    @clause("P37")
    def test_counts(self, work: Work) -> None:
        """Counts says how many records there are for each value, None and members of enums too."""
        with work() as store:
            ann, bob, _ = (store.add(Person(name)) for name in PEOPLE)
            for sitter in (bob, None, bob):
                store.add(Pet(ann.id or 0, sitter.id if sitter else None))
            assert store.counts(Pet, "owner") == {ann.id: 3}
            assert store.counts(Pet, "sitter") == {bob.id: 2, None: 1}
            assert store.counts(Pet, "sitter", sitter__in=[bob.id, ann.id]) == {bob.id: 2}
            assert store.counts(Pet, "owner", owner__in=[]) == {}
            for colour in (Colour.RED, Colour.BLUE, Colour.RED):
                store.add(Everything(colour=colour))
            assert store.counts(Everything, "colour") == {Colour.RED: 2, Colour.BLUE: 1}
