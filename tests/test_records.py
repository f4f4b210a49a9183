"""Record classes become tables, and every mistake in them is reported at once."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
import pytest

from kit.errors import ConfigError
from kit.slots.persistence.records import Digits, Index, References, Table, Unique, tables


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Mixed(Enum):
    ONE = 1
    TWO = "two"


@dataclass
class User:
    name: Annotated[str, msgspec.Meta(max_length=100), Unique]
    id: int | None = None


@dataclass
class BlogPost:
    owner: Annotated[int, References(User, on_delete="cascade")]
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=50, pattern="^[a-z]")]
    body: str
    rating: Annotated[float, msgspec.Meta(ge=0, lt=5)]
    published: datetime | None
    day: date
    hour: time
    price: Annotated[Decimal, Digits(10, places=2)] | None
    key: UUID
    colour: Colour
    data: Annotated[bytes, msgspec.Meta(max_length=9)]
    parent: Annotated[int, References("BlogPost")] | None = None
    draft: bool = True
    id: int | None = None

    __constraints__: ClassVar = (Unique("owner", "title"), Index("day", "hour"))


@dataclass
class Renamed:
    __table__ = "people"

    name: str
    id: int | None = None


def problems(*records: type) -> list[str]:
    """What is reported for record classes, without its place."""
    with pytest.raises(ConfigError) as caught:
        tables(records)
    return [f"{problem.what} | {problem.mend}" for problem in caught.value.problems]


def column(table: Table, name: str) -> Any:
    return next(column for column in table.columns if column.name == name)


def test_a_record_is_read_into_columns_in_the_order_of_its_fields():
    table = tables([User, BlogPost])[BlogPost]
    assert table.name == "blog_post"
    assert [(known.name, known.kind, known.null) for known in table.columns] == [
        ("owner", "int", False),
        ("title", "str", False),
        ("body", "str", False),
        ("rating", "float", False),
        ("published", "datetime", True),
        ("day", "date", False),
        ("hour", "time", False),
        ("price", "decimal", True),
        ("key", "uuid", False),
        ("colour", "str", False),
        ("data", "bytes", False),
        ("parent", "int", True),
        ("draft", "bool", False),
        ("id", "int", False),
    ]


def test_annotations_give_lengths_limits_digits_and_references():
    table = tables([User, BlogPost])[BlogPost]
    title = column(table, "title")
    assert (title.length, title.limits) == (50, {"min_length": 1, "pattern": "^[a-z]"})
    assert column(table, "rating").limits == {"ge": 0, "lt": 5}
    assert column(table, "body").length is None
    assert column(table, "price").digits == Digits(10, places=2)
    assert (column(table, "colour").enum, column(table, "colour").length) == (Colour, 5)
    owner = column(table, "owner")
    assert (owner.references, owner.on_delete) == ("user", "cascade")
    assert column(table, "parent").references == "blog_post"


def test_keys_of_one_and_several_fields():
    known = tables([User, BlogPost])
    assert known[User].unique == (("name",),)
    assert known[BlogPost].unique == (("owner", "title"),)
    assert known[BlogPost].indexes == (("owner",), ("parent",), ("day", "hour"))


def test_a_table_can_be_named():
    assert tables([Renamed])[Renamed].name == "people"


def test_tables_come_after_those_that_they_reference():
    assert list(tables([BlogPost, Renamed, User])) == [Renamed, User, BlogPost]


@dataclass
class Bad:
    first: list[int]
    second: int | str
    third: Decimal
    fourth: Annotated[int, msgspec.Meta(max_length=3)]
    fifth: Annotated[str, Unique]
    sixth: Annotated[str, References(User)]
    seventh: Annotated[int, References("Usr")]
    eighth: Annotated[int, References(User, on_delete="cascad")]  # type: ignore[arg-type]
    ninth: Annotated[int, References(User, on_delete="set null")]
    tenth: Mixed
    two__lines: int
    last: int = field(default=1, init=False)
    id: int = 0

    __constraints__: ClassVar = (Unique("fist", "third"),)


def test_all_mistakes_are_reported_at_once():
    assert problems(Bad, User) == [
        "Bad.two__lines: two underscores begin a lookup | Take one",
        "Bad: it has no field for the id that the store gives"
        " | Add as its last field: id: int | None = None",
        "Bad.last: it is no parameter of the class | Take init=False away",
        "Bad.first: list is no type that a record can store | Take int, str, float, bool,"
        " bytes, datetime, date, time, Decimal, UUID, an Enum, or it | None",
        "Bad.second: int | str is no type that a record can store | Take int, str, float, bool,"
        " bytes, datetime, date, time, Decimal, UUID, an Enum, or it | None",
        "Bad.third: a Decimal has its digits declared, from 1 to 18, and its places"
        " | Write for example Annotated[Decimal, Digits(10, places=2)]",
        "Bad.fourth: Meta(max_length=...) cannot limit int | Take: ge, gt, le, lt",
        "Bad.sixth: a reference is an id, but the field is str | Make it an int",
        "Bad.seventh: Usr is not among the records. Did you mean 'User'?"
        " | Add it to them: Bad, User",
        "Bad.eighth: there is no on_delete='cascad'. Did you mean 'cascade'?"
        " | Take one of: cascade, restrict, set null",
        'Bad.ninth: on_delete="set null" where None is not allowed | Make it int | None',
        "Bad.tenth: Mixed has values that are not all str or all int | Make them so",
        "Bad: __constraints__ has the unknown field 'fist'. Did you mean 'first'?"
        " | Fields: eighth, fifth, first, fourth, id, last, ninth, second, seventh, sixth, tenth,"
        " third, two__lines",
        "Bad.fifth: it is unique or indexed, but may be longer than 768"
        " | Declare its length: Meta(max_length=768) or less",
    ]


def test_a_mistake_names_file_and_line():
    with pytest.raises(ConfigError) as caught:
        tables([Bad])
    line = inspect.getsourcelines(Bad)[1]
    assert {problem.where for problem in caught.value.problems} == {f"{__file__}:{line}"}


def test_a_record_is_a_dataclass():
    assert problems(Colour) == ["Colour: a record is a dataclass | Put @dataclass above it"]


def test_a_record_has_something_to_store():
    @dataclass
    class Empty:
        id: int | None = None

    assert problems(Empty) == ["Empty: it has no field but id | Add what it is to store"]


def test_a_type_that_is_not_imported():
    @dataclass
    class Unknown:
        when: Datetime  # type: ignore[name-defined]  # noqa: F821
        id: int | None = None

    assert problems(Unknown) == [
        "Unknown: name 'Datetime' is not defined | Import it in the module of the record"
    ]


def test_two_records_with_one_table():
    @dataclass
    class People:
        name: str
        id: int | None = None

    (found,) = problems(Renamed, People)
    assert found.startswith(f"People: its table is 'people', like that of Renamed in {__file__}:")


def test_a_name_that_databases_do_not_take():
    @dataclass
    class Straße:
        name: str
        id: int | None = None

    (found,) = problems(Straße)
    assert found.startswith("Straße: 'straße' cannot name a table or column")


@dataclass
class Hen:
    egg: Annotated[int, References("Egg")]
    id: int | None = None


@dataclass
class Egg:
    hen: Annotated[int, References("Hen")]
    id: int | None = None


def test_records_that_reference_each_other():
    (found,) = problems(Hen, Egg)
    assert "reference each other, so that none can be first: Egg, Hen" in found
