"""The store: what it refuses before any database sees it, and what it asks of a component."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from threading import Thread
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from kit_sqlalchemy.persistence import SQLAlchemyOptions, SQLAlchemyPersistence

from kit.errors import InvalidValue, KitError, RecordNotFound
from kit.options import DatabaseURL
from kit.slots.persistence import PersistenceOptions, unit_of_work
from kit.slots.persistence.portable import Chosen, Statements, Store
from kit.slots.persistence.records import Digits, tables
from kit.slots.persistence.statements import FieldError


class Level(IntEnum):
    LOW = 1


class Colour(Enum):
    RED = "red"


@dataclass(kw_only=True)
class Thing:
    name: Annotated[str, msgspec.Meta(max_length=5)] = ""
    code: Annotated[str, msgspec.Meta(min_length=2, pattern="^[a-z]+$")] | None = None
    number: int = 0
    small: Annotated[int, msgspec.Meta(ge=0, lt=10)] = 0
    real: float = 0.0
    flag: bool = False
    data: Annotated[bytes, msgspec.Meta(max_length=3)] = b""
    moment: datetime | None = None
    hour: time | None = None
    price: Annotated[Decimal, Digits(5, places=2)] = Decimal(0)
    key: UUID | None = None
    colour: Colour = Colour.RED
    id: int | None = None


@dataclass(frozen=True)
class Frozen:
    text: str
    id: int | None = None


class Color(Enum):
    RED = "red"


@dataclass
class Other:
    price: Annotated[Decimal, Digits(5, places=3)] = Decimal(0)
    colour: Color = Color.RED
    id: int | None = None


@dataclass
class Stranger:
    id: int | None = None


@pytest.fixture
def component(tmp_path) -> Iterator[SQLAlchemyPersistence]:
    url = DatabaseURL(f"sqlite:///{tmp_path}/test.db")
    component = SQLAlchemyPersistence(SQLAlchemyOptions(url=url))
    component.create(list(tables([Thing, Frozen, Other]).values()))
    yield component
    component.close()


@pytest.fixture
def store(component) -> Iterator[Store]:
    unit = component.begin()
    yield Store(unit, Statements(component, tables([Thing, Frozen, Other])))
    unit.close()


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": "abcdef"}, "name: the value is longer than 5"),
    ({"name": "a\0"}, "name: the text has a NUL character"),
    ({"name": "\ud800"}, "name: the text has a lone surrogate"),
    ({"name": None}, "name: None where a str is needed"),
    ({"name": b"a"}, "name: a bytes where a str is needed"),
    ({"code": "a"}, "code: the value is shorter than 2"),
    ({"code": "A1"}, r"code: the value is not of the form \^\[a-z\]\+\$"),
    ({"number": 2**63}, "number: the number needs more than 64 bits"),
    ({"number": -(2**63) - 1}, "number: the number needs more than 64 bits"),
    ({"number": "1"}, "number: a str where an int is needed"),
    ({"number": 1.0}, "number: a float where an int is needed"),
    ({"number": True}, "number: a bool where an int is needed"),
    ({"small": -1}, "small: the value is less than 0"),
    ({"small": 10}, "small: the value is not less than 10"),
    ({"real": float("nan")}, "real: the number is not finite"),
    ({"real": float("-inf")}, "real: the number is not finite"),
    ({"real": 10**400}, "real: the number is not finite"),
    ({"real": "1"}, "real: a str where a float is needed"),
    ({"flag": 1}, "flag: a int where a bool is needed"),
    ({"data": b"abcd"}, "data: the value is longer than 3"),
    ({"moment": datetime(2026, 1, 1)}, "moment: the datetime has no time zone"),
    (
        {"moment": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))},
        "moment: the datetime is out of range in UTC",
    ),
    ({"hour": time(1, tzinfo=UTC)}, "hour: the time has a time zone"),
    ({"price": Decimal("1000")}, "price: the number is not below"),
    ({"price": Decimal("0.001")}, "price: the number has more than 2 decimal places"),
    ({"price": Decimal("NaN")}, "price: the number is not below"),
    ({"price": 0.5}, "price: a float where a Decimal is needed"),
    ({"key": "00000000-0000-0000-0000-000000000000"}, "key: a str where a UUID is needed"),
    ({"colour": "red"}, "colour: a str where a Colour is needed"),
]


@pytest.mark.parametrize(("values", "message"), REFUSED)
def test_a_value_that_does_not_fit_is_refused(store, values, message):
    with pytest.raises(InvalidValue, match=f"^{message}"):
        store.add(Thing(**values))
    assert store.count(Thing) == 0


def test_a_refused_value_does_not_spoil_the_unit(store):
    thing = store.add(Thing(name="a"))
    with pytest.raises(InvalidValue):
        store.save(replace(thing, name="abcdef"))
    assert store.get(Thing, thing.id) == thing


def test_values_that_mean_the_same_are_stored(store):
    thing = store.add(Thing(number=Level.LOW, real=1, price=1))
    found = store.get(Thing, thing.id)
    assert (repr(found.number), repr(found.real), found.price) == ("1", "1.0", Decimal("1.00"))


def test_lookups_take_values_that_could_not_be_stored_but_for_their_type(store):
    assert store.find(Thing, name="abcdef", small__lt=99) == []
    with pytest.raises(InvalidValue, match="number: a str where an int is needed"):
        store.find(Thing, number="1")
    with pytest.raises(InvalidValue, match="NUL"):
        store.find(Thing, name__contains="\0")
    with pytest.raises(InvalidValue, match="10000 characters"):
        store.find(Thing, name__contains="a" * 10_001)


@pytest.mark.parametrize(
    ("lookups", "message"),
    [
        ({"nam": 1}, "Thing has no field 'nam'. Did you mean 'name'? Fields: code, "),
        ({"name__contain": "a"}, "there is no lookup 'contain'. Did you mean 'contains'?"),
        ({"number__contains": "a"}, "number__contains: contains is for str, number is int"),
        ({"order_by": "-numbr"}, "Thing has no field 'numbr'. Did you mean 'number'?"),
    ],
)
def test_an_unknown_field_or_lookup_names_the_nearest(store, lookups, message):
    with pytest.raises(FieldError) as caught:
        store.find(Thing, **lookups)
    assert message in str(caught.value)
    assert caught.value.status == 500


@pytest.mark.parametrize(
    ("lookups", "message"),
    [
        ({"number__lt": None}, "number__lt cannot be None"),
        ({"number__in": 3}, "number__in is a list of values"),
        ({"name__in": "abc"}, "name__in is a list of values"),
        ({"number__in": [1, None]}, "number__in has None among its values"),
        ({"number__in": range(10_001)}, "number__in has more than 10000 values"),
        ({"number__isnull": 1}, "number__isnull is True or False"),
        ({"limit": -1}, "limit and offset are not negative"),
        ({"limit": 1, "offset": -1}, "limit and offset are not negative"),
    ],
)
def test_a_value_that_a_lookup_cannot_take_is_refused(store, lookups, message):
    with pytest.raises(InvalidValue, match=message):
        store.find(Thing, **lookups)


def test_many_values_are_few_statements(component):
    asked = []
    prepare = component.prepare
    component.prepare = lambda statement: asked.append(statement) or prepare(statement)
    unit = component.begin()
    store = Store(unit, Statements(component, tables([Thing])))
    before = len(asked)
    for number in range(1, 100):
        store.find(Thing, number__in=range(number))
    assert len(asked) - before == 8
    unit.close()


def test_a_statement_is_prepared_once_for_a_shape(component):
    asked = []
    prepare = component.prepare
    component.prepare = lambda statement: asked.append(statement) or prepare(statement)
    unit = component.begin()
    store = Store(unit, Statements(component, tables([Thing])))
    before = len(asked)
    for number in range(5):
        store.find(Thing, number=number, order_by="-name", limit=number, offset=number + 1)
    assert len(asked) - before == 1
    unit.close()


@pytest.mark.parametrize("identity", [2**63, -(2**70), 99])
def test_an_id_that_no_record_can_have_is_not_found(store, identity):
    with pytest.raises(RecordNotFound, match=f"there is no Thing with the id {identity}"):
        store.get(Thing, identity)
    with pytest.raises(RecordNotFound):
        store.delete(Thing, identity)


@pytest.mark.parametrize(
    ("lookups", "error", "message"),
    [
        ({"id__in": Chosen(Thing, "name")}, FieldError, "id is int, and Thing.name is str"),
        (
            {"price__in": Chosen(Other, "price")},
            FieldError,
            r"places=2\), and Other.price is decimal",
        ),
        ({"colour__in": Chosen(Other, "colour")}, FieldError, "str of Colour, and Other.colour is"),
        ({"id__in": Chosen(Thing, "nmae")}, FieldError, "has no field 'nmae'. Did you mean 'name'"),
        ({"id__in": Chosen(Thing, "id", number__gtt=1)}, FieldError, "no lookup 'gtt'"),
        ({"id__in": Chosen(Stranger, "id")}, KitError, "Stranger is not among the records"),
        ({"id": Chosen(Thing, "id")}, FieldError, "Chosen is for the lookup 'in'"),
        ({"id__in": Chosen(Thing, "id", number="1")}, InvalidValue, "number: a str where an int"),
    ],
)
def test_what_other_records_choose_is_checked(store, lookups, error, message):
    with pytest.raises(error, match=message):
        store.find(Thing, **lookups)


def test_counts_by_an_unknown_field_names_the_nearest(store):
    with pytest.raises(FieldError, match="Did you mean 'number'"):
        store.counts(Thing, "nunber")


@pytest.mark.parametrize("identity", ["1", None, 1.5])
def test_an_id_of_another_type_is_refused(store, identity):
    with pytest.raises(InvalidValue):
        store.get(Thing, identity)


def test_a_record_is_added_once_and_saved_later(store):
    thing = store.add(Thing())
    with pytest.raises(KitError, match=f"Thing {thing.id} was added before: save it"):
        store.add(thing)
    with pytest.raises(KitError, match="Thing has no id: add it first"):
        store.save(Thing())


def test_a_frozen_record_comes_back_with_its_id(store):
    frozen = Frozen("a")
    added = store.add(frozen)
    assert frozen.id is None
    assert store.get(Frozen, added.id) == added == Frozen("a", added.id)


def test_records_of_several_classes_are_saved_together(store):
    thing, frozen = store.add(Thing()), store.add(Frozen("a"))
    changed = [replace(thing, number=5), replace(frozen, text="b"), replace(thing, number=6)]
    store.save(*changed)
    assert (store.get(Thing, thing.id), store.get(Frozen, frozen.id)) == (changed[2], changed[1])


def test_a_class_that_is_no_record_of_the_application(store):
    with pytest.raises(KitError, match="Stranger is not among the records of this application"):
        store.find(Stranger)


def test_a_field_that_is_called_like_a_parameter_is_looked_up_with_exact(component):
    @dataclass
    class Odd:
        limit: int
        id: int | None = None

    known = tables([Odd])
    component.create(list(known.values()))
    unit = component.begin()
    store = Store(unit, Statements(component, known))
    odd = store.add(Odd(3))
    assert store.find(Odd, limit__exact=3, limit=1) == [odd]
    unit.close()


def test_ten_threads_of_sqlite_lose_no_change(component):
    statements = Statements(component, tables([Thing]))

    def work(function: Any) -> Any:
        generator = unit_of_work(component)
        result = function(Store(next(generator), statements))
        assert next(generator, "done") == "done"
        return result

    thing = work(lambda store: store.add(Thing()))

    def count(store: Store) -> None:
        found = store.get(Thing, thing.id)
        found.number += 1
        store.save(found)

    threads = [Thread(target=lambda: [work(count) for _ in range(30)]) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert work(lambda store: store.get(Thing, thing.id)).number == 300


def test_a_unit_of_work_is_rolled_back_when_an_exception_is_thrown_in(component):
    statements = Statements(component, tables([Thing]))
    generator = unit_of_work(component)
    Store(next(generator), statements).add(Thing())
    with pytest.raises(ZeroDivisionError):
        generator.throw(ZeroDivisionError())
    unit = component.begin()
    assert Store(unit, statements).count(Thing) == 0
    unit.close()


def test_a_pool_has_at_least_one_connection():
    with pytest.raises(ValueError, match="pool_size is at least 1"):
        PersistenceOptions(url=DatabaseURL("sqlite:///a.db"), pool_size=0)


def test_a_unit_of_work_begins_when_it_is_first_used(component):
    begun = []
    begin = component.begin
    component.begin = lambda: begun.append(True) or begin()
    with contextmanager(unit_of_work)(component) as unit:
        Store(unit, Statements(component, tables([Thing])))
    assert not begun
    with contextmanager(unit_of_work)(component) as unit:
        store = Store(unit, Statements(component, tables([Thing])))
        store.count(Thing)
        store.count(Thing)
    assert len(begun) == 1
