"""The contract of the slot ``validation``: what input means, and what is said of the rest.

Everything is written with plain dataclasses, which every component takes. What a component makes
of the classes of its own library is for its own tests.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from html.parser import HTMLParser
from pathlib import Path as Folder
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from msgspec import Meta
from werkzeug.datastructures import FileStorage
from werkzeug.test import Client

from kit.app import App
from kit.components import Component
from kit.contracts import Contract, clause
from kit.plugins import hookimpl
from kit.slots.persistence.records import Digits
from kit.slots.validation import (
    Body,
    Checked,
    Form,
    HeaderValues,
    MaxSize,
    MediaTypes,
    Patch,
    Private,
    Query,
    Upload,
    Validation,
    ValidationOptions,
    Widget,
)
from kit.slots.validation.messages import ENGLISH
from kit.slots.validation.reading import MOST_FAILURES
from kit.slots.validation.text import expand
from kit.testing import client

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
"""The beginning of a PNG image, which is all that anybody looks at."""


class Color(Enum):
    """Choices of a form."""

    RED = "red"
    DARK_BLUE = "dark blue"


class Level(Enum):
    """Choices that are numbers."""

    LOW = 1
    HIGH = 2


@dataclass
class Street:
    """An object in another."""

    name: Annotated[str, Meta(max_length=10)]
    number: Annotated[int, Meta(ge=1)] = 1


@dataclass
class Everything:
    """A field of each kind."""

    text: str
    whole: int
    real: float
    exact: Decimal
    day: date
    clock: time
    moment: datetime
    key: UUID
    color: Color
    level: Level
    letter: Literal["a", "b", 3]
    street: Street
    flag: bool = False
    nothing: str | None = None
    tags: list[str] = field(default_factory=list)
    levels: set[Level] = field(default_factory=set)
    streets: tuple[Street, ...] = ()


EVERYTHING = Everything(
    text="Grüße",
    whole=-5,
    real=2.5,
    exact=Decimal("12.50"),
    day=date(2026, 1, 31),
    clock=time(12, 30),
    moment=datetime(2026, 1, 31, 12, 30, tzinfo=UTC),
    key=UUID("12345678-1234-5678-1234-567812345678"),
    color=Color.DARK_BLUE,
    level=Level.HIGH,
    letter=3,
    street=Street("Long", 5),
    flag=True,
    tags=["x", "y"],
    levels={Level.LOW},
    streets=(Street("One"), Street("Two", 2)),
)

FORM = {
    "text": ["Grüße"],
    "whole": ["-5"],
    "real": ["2.5"],
    "exact": ["12.50"],
    "day": ["2026-01-31"],
    "clock": ["12:30"],
    "moment": ["2026-01-31T12:30:00Z"],
    "key": ["12345678-1234-5678-1234-567812345678"],
    "color": ["dark blue"],
    "level": ["2"],
    "letter": ["3"],
    "street.name": ["Long"],
    "street.number": ["5"],
    "flag": ["on"],
    "nothing": [""],
    "tags": ["x", "y"],
    "levels": ["1"],
    "streets.0.name": ["One"],
    "streets.1.name": ["Two"],
    "streets.1.number": ["2"],
}

DATA: dict[str, Any] = {
    "text": "Grüße",
    "whole": -5,
    "real": 2.5,
    "exact": "12.50",
    "day": "2026-01-31",
    "clock": "12:30",
    "moment": "2026-01-31T12:30:00Z",
    "key": "12345678-1234-5678-1234-567812345678",
    "color": "dark blue",
    "level": 2,
    "letter": 3,
    "street": {"name": "Long", "number": 5},
    "flag": True,
    "nothing": None,
    "tags": ["x", "y"],
    "levels": [1],
    "streets": [{"name": "One"}, {"name": "Two", "number": 2}],
}


@dataclass
class Contact:
    """What a store keeps, with fields that no input reaches."""

    name: Annotated[str, Meta(min_length=2, max_length=10, title="Full name", description="Yours.")]
    age: Annotated[int, Meta(ge=0, le=150)] = 18
    notes: Annotated[str, Widget("textarea", rows=3)] = ""
    owner: Annotated[int, Private] = 7
    id: int | None = None


@dataclass
class Owned:
    """A field that only the application can give."""

    name: str
    owner: Annotated[int, Private]
    id: int | None = None


@dataclass
class Span:
    """A class that rejects values which fit its fields."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError("The last is before the first.")


@dataclass
class Trip:
    """A class that has such an object in it."""

    span: Span


@dataclass
class Garden:
    """What a house has, with a field that no input reaches and a rule of its own."""

    trees: Annotated[int, Meta(ge=0)]
    paths: int = 1
    key: Annotated[int, Private] = 7

    def __post_init__(self) -> None:
        if self.trees < self.paths:
            raise ValueError("There are more paths than trees.")


@dataclass
class House:
    """A record with objects in it, and a rule of its own."""

    doors: int
    rooms: int
    garden: Garden
    second: Garden | None = None
    id: int | None = None

    def __post_init__(self) -> None:
        if self.rooms < self.doors:
            raise ValueError("There are more doors than rooms.")


@dataclass
class Photo:
    """A form with files."""

    title: str
    image: Annotated[Upload, MaxSize("1 kB"), MediaTypes("image/png")]
    more: list[Upload] = field(default_factory=list)


@dataclass
class Optional:
    """Fields that may stay empty, with and without a default."""

    nothing: int | None
    something: int | None = 5
    default: str = "usual"
    street: Street | None = None


LIMITS: tuple[tuple[Any, Meta, str, str, str, Any], ...] = (
    (str, Meta(min_length=3), "abc", "ab", "too_short", 3),
    (str, Meta(max_length=3), "ä€😀", "abcd", "too_long", 3),
    (str, Meta(pattern="b.$"), "abc", "bcd", "pattern", "b.$"),
    (int, Meta(ge=3), "3", "2", "too_small", 3),
    (int, Meta(gt=3), "4", "3", "not_above", 3),
    (int, Meta(le=3), "3", "4", "too_large", 3),
    (int, Meta(lt=3), "2", "3", "not_below", 3),
    (int, Meta(multiple_of=3), "6", "7", "not_multiple", 3),
    (float, Meta(ge=1.5), "1.5", "1.4", "too_small", 1.5),
    (float, Meta(gt=1.5), "1.6", "1.5", "not_above", 1.5),
    (float, Meta(le=1.5), "1.5", "1.6", "too_large", 1.5),
    (float, Meta(lt=1.5), "1.4", "1.5", "not_below", 1.5),
    (Decimal, Meta(ge=1), "1.00", "0.99", "too_small", 1),
    (Decimal, Meta(gt=1), "1.01", "1.00", "not_above", 1),
    (Decimal, Meta(le=1), "1.00", "1.01", "too_large", 1),
    (Decimal, Meta(lt=1), "0.99", "1.00", "not_below", 1),
)
"""Type, limit, text that keeps it, text that breaks it, code, and the limit in the message."""

REFUSED: dict[str, tuple[Any, list[str], list[Any]]] = {
    "not_integer": (
        int,
        ["x", "1.0", "1_0", "\u0661", "0x1", "1e3", "--1", "+", "1 0", "9" * 200],
        ["1", 1.0, True, [1], {}],
    ),
    "not_number": (
        float,
        ["x", "nan", "inf", "-Infinity", "1_0.0", "\u0661", "0x1p3", "1e999", "1,5", "."],
        ["1", float("nan"), float("inf"), 10**400, True, []],
    ),
    "not_decimal": (
        Decimal,
        ["x", "NaN", "sNaN", "Infinity", "1_0", "\u0661", "1e9", "1,5", "1" * 200, "."],
        [True, [], float("nan"), "NaN", "1e9", " 1"],
    ),
    "not_boolean": (bool, ["maybe", "2", "\u0661"], ["true", 1, 0, []]),
    "not_date": (
        date,
        ["x", "20260131", "2026-02-30", "2026-W05-6", "31.01.2026", "2026-1-31", "\uff12026-01-31"],
        [5, "2026-01-31T00:00", "20260131", []],
    ),
    "not_time": (
        time,
        ["x", "12", "1230", "24:00", "12:60", "12:30Z", "T12:30"],
        [5, "12:30+01:00", []],
    ),
    "not_datetime": (
        datetime,
        ["x", "2026-01-31", "20260131T1230", "2026-02-30T12:30", "2026-01-31T25:00", "1769862600"],
        [5, 5.5, "2026-01-31", "0001-01-01T00:00:00+14:00", []],
    ),
    "not_uuid": (
        UUID,
        [
            "x",
            "1234",
            "{12345678-1234-5678-1234-567812345678}",
            "12345678-12345678-1234567812345678",
        ],
        [5, "urn:uuid:12345678-1234-5678-1234-567812345678", []],
    ),
    "not_text": (str, [], [5, True, [], {}, b"bytes"]),
}
"""For each code the type of a field, texts, and data that it is said of."""


def one(kind: Any, default: Any = ...) -> Any:
    """Return a dataclass with one field called ``value``."""
    if default is ...:
        return make_dataclass("One", [("value", kind)])
    return make_dataclass("One", [("value", kind, field(default_factory=lambda: default))])


def upload(content: bytes = PNG, name: str = "a.png", kind: str = "image/png") -> Upload:
    """Return a file as a form brings it."""
    return Upload(FileStorage(io.BytesIO(content), name, "file", kind))


def said(checked: Checked) -> list[tuple[str, str]]:
    """Return field and code of each failure."""
    return [(failure.field, failure.code) for failure in checked.failures]


class _Page(HTMLParser):
    """What a browser makes of a page: elements with their attributes, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, name: str) -> dict[str, str | None]:
        """Return the attributes of the element for the field of a name."""
        found = [about for _, about in self.elements if about.get("name") == name]
        return {"tag": next(tag for tag, about in self.elements if about is found[-1]), **found[-1]}

    def with_id(self, id: str | None) -> list[str]:
        """Return the tags of the elements with an id."""
        return [tag for tag, about in self.elements if about.get("id") == id]


class ValidationContract(Contract):
    """What every component promises. Subclass it, and give `make`.

    The first clauses ask the component itself, the others go through handlers of an application.
    """

    def make(self, options: ValidationOptions) -> Validation:
        """Build the component with these options."""
        raise NotImplementedError(f"{type(self).__name__}.make has to build the component")

    @pytest.fixture
    def component(self) -> Validation:
        """The component with the options that it has by default."""
        return self.make(ValidationOptions())

    @pytest.fixture
    def check(self, component: Validation) -> Callable[..., Checked]:
        """Check one raw value against a type: as text, or with ``text=False`` as data."""

        def check(kind: Any, raw: Any, *, text: bool = True) -> Checked:
            return component.schema(one(kind)).check({"value": raw}, text=text)

        return check

    # What input means.

    @clause("V1")
    def test_a_form_becomes_a_value(self, component: Validation) -> None:
        """A form with a field of each kind becomes the instance of the dataclass."""
        schema = component.schema(Everything)
        checked = schema.check(expand(FORM.items(), schema.fields), text=True)
        assert checked.failures == []
        assert checked.value == EVERYTHING
        assert {type(checked.value.street), type(checked.value.streets[0])} == {Street}
        assert checked.values == vars(EVERYTHING)

    @clause("V2")
    def test_data_become_a_value(self, component: Validation) -> None:
        """What JSON says of a field of each kind becomes the same instance."""
        checked = component.schema(Everything).check(DATA, text=False)
        assert checked.failures == []
        assert checked.value == EVERYTHING
        assert checked.values == vars(EVERYTHING)

    @clause("V3")
    def test_white_space_does_not_count(self, check: Callable[..., Checked]) -> None:
        """White space around text of a form does not count, but in data and passwords it does."""
        assert check(str, " \t Ada\u00a0\n").value.value == "Ada"
        assert check(int, " 5 ").value.value == 5
        assert check(str, " Ada ", text=False).value.value == " Ada "
        assert check(Annotated[str, Widget("password")], " Ada ").value.value == " Ada "

    @clause("V4")
    def test_line_breaks_count_once(self, check: Callable[..., Checked]) -> None:
        """A line break of a form is one character, as browsers count it."""
        checked = check(Annotated[str, Meta(max_length=3)], "a\r\nb")
        assert checked.value is not None
        assert checked.value.value == "a\nb"

    @clause("V5")
    def test_empty_text_is_no_input(self, component: Validation) -> None:
        """Empty text is no input: the default counts, and where there is none it is missing."""
        schema = component.schema(Contact)
        assert said(schema.check({}, text=True)) == [("name", "missing")]
        assert said(schema.check({"name": " "}, text=True)) == [("name", "missing")]
        assert said(schema.check({"name": None}, text=False)) == [("name", "missing")]
        assert schema.check({"name": "Ada", "age": ""}, text=True).value == Contact("Ada")
        assert schema.check({"name": "Ada"}, text=False).value == Contact("Ada")
        for kind, raw in ((str, ""), (list[str], [])):
            some = component.schema(one(Annotated[kind, Meta(min_length=1)]))
            for text in (True, False):
                assert said(some.check({"value": raw}, text=text)) == [("value", "missing")]

    @clause("V6")
    def test_optional_fields(self, component: Validation) -> None:
        """An optional field is None if it was emptied, and has its default if nothing came."""
        schema = component.schema(Optional)
        for text in (True, False):
            assert schema.check({}, text=text).value == Optional(None)
        emptied = {"nothing": "", "something": "", "default": "", "street": {"name": " "}}
        assert schema.check(emptied, text=True).value == Optional(None, None)
        nulls = {"nothing": None, "something": None, "street": None}
        assert schema.check(nulls, text=False).value == Optional(None, None)

    @clause("V7")
    @pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: f"{limit[0].__name__} {limit[4]}")
    def test_limits(
        self, check: Callable[..., Checked], limit: tuple[Any, Meta, str, str, str, Any]
    ) -> None:
        """Every limit of ``Meta`` is kept, in text and in data, and its message can name it."""
        cls, meta, keeps, breaks, code, bound = limit
        kind: Any = Annotated[cls, meta]
        for text, raw in ((True, str), (False, str if cls is Decimal else cls)):
            assert check(kind, raw(keeps), text=text).value.value == cls(keeps)
            (failure,) = check(kind, raw(breaks), text=text).failures
            assert (failure.field, failure.code) == ("value", code)
            assert failure.params == {"limit": bound}

    @clause("V8")
    @pytest.mark.parametrize("code", REFUSED)
    def test_text_is_read_strictly(self, check: Callable[..., Checked], code: str) -> None:
        """Text that is no number, date, time or UUID to the letter is refused, in any alphabet."""
        kind, texts, _ = REFUSED[code]
        for text in texts:
            assert said(check(kind, text)) == [("value", code)], repr(text)
        if code == "not_text":
            assert said(check(kind, {"a": "b"})) == [("value", code)]

    @clause("V9")
    @pytest.mark.parametrize("code", REFUSED)
    def test_data_have_the_right_type(self, check: Callable[..., Checked], code: str) -> None:
        """Data of another type than the field's are refused, never turned into it."""
        kind, _, data = REFUSED[code]
        for raw in data:
            assert said(check(kind, raw, text=False)) == [("value", code)], repr(raw)

    @clause("V10")
    def test_numbers_have_bounds(self, check: Callable[..., Checked]) -> None:
        """Whole numbers have 64 bits, and a Decimal as many digits as its field declares."""
        for raw, text in ((str, True), (int, False)):
            assert check(int, raw(2**63 - 1), text=text).value.value == 2**63 - 1
            assert check(int, raw(-(2**63)), text=text).value.value == -(2**63)
            assert said(check(int, raw(2**63), text=text)) == [("value", "too_large")]
            assert said(check(int, raw(-(2**63) - 1), text=text)) == [("value", "too_small")]
        price = Annotated[Decimal, Digits(5, places=2)]
        assert check(price, "999.990").value.value == Decimal("999.99")
        assert check(price, 12.5, text=False).value.value == Decimal("12.5")
        assert check(price, 7, text=False).value.value == 7
        assert said(check(price, "1000")) == [("value", "not_below")]
        assert said(check(price, "-1000")) == [("value", "not_above")]
        assert said(check(price, "0.001")) == [("value", "too_many_places")]

    @clause("V11")
    def test_text_can_be_stored(self, check: Callable[..., Checked]) -> None:
        """Text with a NUL or one half of a surrogate pair is refused: no database takes it."""
        for raw in ("a\0b", "a\ud800b"):
            for text in (True, False):
                assert said(check(str, raw, text=text)) == [("value", "bad_text")]
                assert said(check(list[str], [raw], text=text)) == [("value.0", "bad_text")]

    @clause("V12")
    def test_checkboxes(self, component: Validation) -> None:
        """A box that is not ticked sends nothing, or the empty text of a hidden field before it."""
        schema = component.schema(one(bool))
        for raw in ("on", "true", "1", "yes", "ON", ["", "on"]):
            assert schema.check({"value": raw}, text=True).value.value is True, raw
        for raw in ("", "off", "false", "0", "no", [""]):
            assert schema.check({"value": raw}, text=True).value.value is False, raw
        assert schema.check({}, text=True).value.value is False
        ticked = component.schema(one(bool, True))
        assert ticked.check({}, text=True).value.value is True
        assert ticked.check({"value": ""}, text=True).value.value is False
        assert said(schema.check({}, text=False)) == [("value", "missing")]

    @clause("V13")
    def test_times_have_a_zone(self, check: Callable[..., Checked]) -> None:
        """A datetime has a time zone: its own, in a form also that of the configuration."""
        moment = datetime(2026, 7, 31, 12, 30, tzinfo=timezone(timedelta(hours=2)))
        for text in (True, False):
            assert check(datetime, "2026-07-31T12:30+02:00", text=text).value.value == moment
        assert check(datetime, "2026-07-31 10:30:00.000Z").value.value == moment
        assert check(datetime, "2026-07-31T10:30").value.value == moment
        assert said(check(datetime, "2026-07-31T10:30", text=False)) == [("value", "no_zone")]
        berlin = self.make(ValidationOptions(zone="Europe/Berlin")).schema(one(datetime))
        assert berlin.check({"value": "2026-07-31T12:30"}, text=True).value.value == moment
        left_out = berlin.check({"value": "2026-03-29T02:30"}, text=True)
        assert said(left_out) == [("value", "not_datetime")]

    @clause("V14")
    @pytest.mark.parametrize("kind", [Color, Literal["red", "dark blue"]])
    def test_choices(self, check: Callable[..., Checked], kind: Any) -> None:
        """A choice is one of the values of an Enum or Literal, and the message lists them."""
        for text in (True, False):
            for raw in ("black", "RED", "dark_blue"):
                (failure,) = check(kind, raw, text=text).failures
                assert (failure.field, failure.code) == ("value", "not_choice")
                assert failure.params == {"choices": "red, dark blue"}
        for data in (True, "1", 1.0, [1], {"a": 1}, Color.RED):
            assert said(check(Level, data, text=False)) == [("value", "not_choice")], data

    @clause("V15")
    def test_objects(self, component: Validation) -> None:
        """Mistakes in an object have the path of their field, ``street.name``."""
        schema = component.schema(make_dataclass("House", [("street", Street)]))
        for text in (True, False):
            number: Any = "0" if text else 0
            raw = {"street": {"name": "x" * 11, "number": number}}
            found = [("street.name", "too_long"), ("street.number", "too_small")]
            assert said(schema.check(raw, text=text)) == found
            assert said(schema.check({"street": {}}, text=text)) == [("street.name", "missing")]
            assert said(schema.check({"street": "x"}, text=text)) == [("street", "not_object")]
        assert said(schema.check({}, text=True)) == [("street.name", "missing")]
        assert said(schema.check({}, text=False)) == [("street", "missing")]
        for data in (None, ["x"], "x", 5):
            assert said(schema.check(data, text=False)) == [("", "not_object")]

    @clause("V16")
    def test_lists(self, check: Callable[..., Checked]) -> None:
        """A list has its container, its limits, and the number of an element in its path."""
        for container in (list, set, frozenset):
            kind = container[Annotated[int, Meta(le=5)]]
            assert check(kind, ["1", "2"]).value.value == container((1, 2))
            assert check(kind, [1, 2], text=False).value.value == container((1, 2))
        some = Annotated[tuple[Annotated[int, Meta(le=5)], ...], Meta(min_length=2, max_length=3)]
        assert check(some, ["1", "2"]).value.value == (1, 2)
        assert said(check(some, ["1", "x", "6"])) == [
            ("value.1", "not_integer"),
            ("value.2", "too_large"),
        ]
        assert said(check(some, ["1"])) == [("value", "too_few")]
        assert said(check(some, [1, 2, 3, 4], text=False)) == [("value", "too_many")]
        for raw in ("x", {"0": "x"}, 5):
            assert said(check(list[str], raw, text=False)) == [("value", "not_list")]

    @clause("V17")
    def test_repeated_names(self, component: Validation) -> None:
        """A name that comes several times is a list, one value makes one too, and none an empty."""
        schema = component.schema(one(list[str]))
        for sent, value in (("a  b", ["a", "b"]), ("a", ["a"]), ("", [])):
            data = expand([("value", sent.split(" "))], schema.fields)
            assert schema.check(data, text=True).value.value == value
        for data in ({}, {"value": "a"}):
            value = [*data.values()]
            assert schema.check(data, text=True).value.value == value
        single = component.schema(one(str))
        data = expand([("value", ["a", "b"])], single.fields)
        assert said(single.check(data, text=True)) == [("value", "repeated")]

    @clause("V18")
    def test_lists_of_objects(self, component: Validation) -> None:
        """``items.0.name`` is a field of an object in a list; a row that was left empty is none."""
        schema = component.schema(one(list[Street]))
        form = {
            "value.10.name": ["Ten"],
            "value.2.name": [""],
            "value.2.number": [" "],
            "value.9.name": ["Nine"],
            "value.x.name": ["none"],
        }
        checked = schema.check(expand(form.items(), schema.fields), text=True)
        assert checked.value.value == [Street("Nine"), Street("Ten")]
        raw = {"value": [{"name": "x"}, {"number": 0}, 5]}
        assert said(schema.check(raw, text=False)) == [
            ("value.1.name", "missing"),
            ("value.1.number", "too_small"),
            ("value.2", "not_object"),
        ]

    @clause("V19")
    def test_lists_as_a_whole(self, component: Validation) -> None:
        """A schema may be a list of dataclasses, whose mistakes begin with their number."""
        schema = component.schema(list[Street])
        assert schema.check([{"name": "x"}], text=False).value == [Street("x")]
        assert said(schema.check([{"name": "x"}, {}], text=False)) == [("1.name", "missing")]
        assert said(schema.check([{"name": ""}, {"name": "x"}], text=True)) == [
            ("0.name", "missing")
        ]
        assert said(schema.check({}, text=False)) == [("", "not_list")]

    @clause("V20")
    def test_all_mistakes_are_found(self, component: Validation) -> None:
        """All mistakes are found at once, in the order of the fields."""
        schema = component.schema(Everything)
        checked = schema.check({"street": {"number": 0}, "streets": [{}]}, text=False)
        assert said(checked) == [
            *((name, "missing") for name in [*DATA][:11]),
            ("street.name", "missing"),
            ("street.number", "too_small"),
            ("streets.0.name", "missing"),
        ]
        assert checked.value is None

    @clause("V21")
    def test_a_field_has_one_reason(self, check: Callable[..., Checked]) -> None:
        """What cannot be read is not judged too, and a default is not judged at all."""
        short = Annotated[str, Meta(min_length=5, pattern="x")]
        assert said(check(short, "a\0")) == [("value", "bad_text")]
        assert said(check(short, "a")) == [("value", "too_short"), ("value", "pattern")]
        found = self.make(ValidationOptions()).schema(one(short, "")).check({}, text=True)
        assert found.value.value == ""

    @clause("V22")
    def test_unknown_fields_are_left_out(self, component: Validation) -> None:
        """What the schema does not know is left out."""
        for text in (True, False):
            raw = {"name": "Ada", "admin": "on", "street": {"name": "x"}}
            assert component.schema(Contact).check(raw, text=text).value == Contact("Ada")

    @clause("V23")
    def test_unknown_fields_are_refused_on_demand(self) -> None:
        """With ``unknown = "refuse"`` it is an error, at any depth."""
        refusing = self.make(ValidationOptions(unknown="refuse"))
        schema = refusing.schema(make_dataclass("House", [("street", Street)]))
        raw = {"street": {"name": "x", "extra": "y"}, "<i>": "z", "x.y": "z"}
        for text in (True, False):
            assert said(schema.check(raw, text=text)) == [
                ("street.extra", "unknown"),
                ("<i>", "unknown"),
                ("x.y", "unknown"),
            ]

    @clause("V24")
    def test_private_fields_are_never_input(self, component: Validation) -> None:
        """Neither private fields nor the id that a store gives are taken from input."""
        raw: dict[str, Any] = {"name": "Ada", "owner": 1, "id": 1}
        for text in (True, False):
            for one_or_many in (component, self.make(ValidationOptions(unknown="refuse"))):
                schema = one_or_many.schema(Contact)
                sent = {name: str(value) for name, value in raw.items()} if text else raw
                checked = schema.check(sent, text=text)
                assert checked.value in (None, Contact("Ada"))
                assert not {"owner", "id"} & {*checked.values}
                nested = component.schema(one(list[Contact]))
                assert nested.check({"value": [sent]}, text=text).value.value == [Contact("Ada")]

    @clause("V25")
    def test_private_fields_are_given_by_the_application(self, component: Validation) -> None:
        """A private field without default leaves the value open until the application makes it."""
        schema = component.schema(Owned)
        checked = schema.check({"name": "Ada", "owner": "1"}, text=True)
        assert checked.failures == []
        assert checked.value is None
        assert schema.make({**checked.values, "owner": 3}) == Owned("Ada", 3)

    @clause("V26")
    def test_classes_may_reject_values(self, component: Validation) -> None:
        """ValueError of a class is a mistake of the object, with its message."""
        schema = component.schema(Span)
        (failure,) = schema.check({"first": "5", "last": "3"}, text=True).failures
        assert (failure.field, failure.code) == ("", "invalid")
        assert failure.params == {"message": "The last is before the first."}
        raw = {"span": {"first": 5, "last": 3}}
        assert said(component.schema(Trip).check(raw, text=False)) == [("span", "invalid")]
        with pytest.raises(ValueError, match="before"):
            schema.make({"first": 5, "last": 3})

    @clause("V27")
    def test_files(self, component: Validation) -> None:
        """A file has its greatest size and its types, which its first bytes show."""
        schema = component.schema(Photo)
        good = upload()
        raw = {"title": "x", "image": good, "more": [upload(b"text", "a.txt", "text/plain")]}
        assert schema.check(raw, text=True).value.image is good
        for image, code in (
            (upload(PNG + b"x" * 1000), "file_too_large"),
            (upload(b"GIF89a"), "file_type"),
            (upload(b"<script>"), "file_type"),
            ("x", "not_file"),
            ("", "no_file"),
        ):
            assert said(schema.check({"title": "x", "image": image}, text=True)) == [
                ("image", code)
            ]
        assert said(schema.check({"title": upload(), "image": good}, text=True)) == [
            ("title", "not_text")
        ]
        assert said(schema.check({"title": "x", "image": "x"}, text=False)) == [
            ("image", "not_file")
        ]

    @clause("V28")
    def test_bytes(self, check: Callable[..., Checked]) -> None:
        """Bytes come as base64 in data, and as a file in a form."""
        few = Annotated[bytes, Meta(max_length=3)]
        assert check(few, "YWJj", text=False).value.value == b"abc"
        assert check(few, upload(b"abc")).value.value == b"abc"
        for raw in ("YW Jj", "YWJ", "ä", 5, [1]):
            assert said(check(few, raw, text=False)) == [("value", "not_bytes")]
        assert said(check(few, "YWJjZA==", text=False)) == [("value", "file_too_large")]
        assert said(check(few, upload(b"abcd"))) == [("value", "file_too_large")]

    @clause("V29")
    def test_nothing_raises(self, component: Validation) -> None:
        """Whatever comes in is a value or has mistakes, and is never an exception."""
        schema = component.schema(Everything)
        deep: Any = "x"
        for _ in range(60):
            deep = [deep]
        strange: list[Any] = [
            None,
            "",
            "\0",
            "💥",
            "9" * 5000,
            -(10**30),
            1e308,
            float("nan"),
            True,
            b"\xff",
        ]
        strange += [deep, [], {}, {"": ""}, [[]], [None], {5: 5}, {"name": {"name": []}}, object()]
        for text in (True, False):
            for raw in strange:
                everywhere = dict.fromkeys(DATA, raw)
                assert schema.check(everywhere, text=text).failures
                assert schema.check(raw, text=text).failures
                nested = {**DATA, "street": everywhere, "streets": [everywhere], "tags": [raw]}
                assert schema.check(nested, text=text).failures or raw in ("💥", "9" * 5000, "")

    @clause("V30")
    def test_failures_are_bounded(self, component: Validation) -> None:
        """A body of nothing but mistakes is not answered with millions of messages."""
        schema = component.schema(one(list[int]))
        found = schema.check({"value": ["x"] * 100_000}, text=False).failures
        assert 0 < len(found) <= 2 * MOST_FAILURES
        refusing = self.make(ValidationOptions(unknown="refuse")).schema(Street)
        found = refusing.check({str(n): "" for n in range(100_000)}, text=True).failures
        assert 0 < len(found) <= 2 * MOST_FAILURES

    @clause("V31")
    def test_mistakes_of_authors(self, component: Validation) -> None:
        """What cannot be a schema is a TypeError at start that names the field."""

        class Plain:
            value: int

        for wrong in (Plain, int, dict[str, int], None, list[int]):
            with pytest.raises(TypeError):
                component.schema(wrong)
        for kind, words in (
            (int | str, "value"),
            (dict[str, int], "value"),
            (Annotated[int, Meta(max_length=3)], "max_length"),
            (Annotated[str, Widget("textaera")], "textarea"),
            (list[list[int]], "list"),
            (object, "value"),
        ):
            with pytest.raises(TypeError, match=words):
                component.schema(one(kind))

    @clause("V32")
    def test_fields_are_described(self, component: Validation) -> None:
        """Fields say kind, label, help, limits, default and whether there has to be input."""
        name, age, notes = component.schema(Contact).fields
        assert (name.name, name.kind, name.label, name.help) == (
            "name",
            "str",
            "Full name",
            "Yours.",
        )
        assert name.required
        assert dict(name.limits) == {"min_length": 2, "max_length": 10}
        assert (age.kind, age.label, age.required, age.default) == ("int", "Age", False, 18)
        assert (notes.widget, notes.attributes) == ("textarea", {"rows": 3})
        (choice,) = component.schema(one(Color)).fields
        assert [(c.text, c.label) for c in choice.choices] == [
            ("red", "Red"),
            ("dark blue", "Dark blue"),
        ]

    @clause("V33")
    def test_json_schema(self, component: Validation) -> None:
        """A JSON Schema says the same of data: types, limits, and what is required."""
        schema = component.schema(Everything).json_schema()
        assert schema["type"] == "object"
        assert schema["required"] == [*DATA][:12]
        assert {*schema["properties"]} == {*DATA}
        assert schema["properties"]["whole"]["type"] == "integer"
        assert schema["properties"]["moment"]["format"] == "date-time"
        assert schema["properties"]["color"]["enum"] == ["red", "dark blue"]
        name = schema["properties"]["street"]["$ref"].removeprefix("#/$defs/")
        assert schema["$defs"][name]["properties"]["name"]["maxLength"] == 10
        assert schema["$defs"][name]["required"] == ["name"]
        assert {*component.schema(Contact).json_schema()["properties"]} == {"name", "age", "notes"}

    @clause("V34")
    def test_threads_share_a_schema(self, component: Validation) -> None:
        """Any number of threads may check against one schema at the same time."""
        schema = component.schema(Contact)

        def check(number: int) -> bool:
            good = schema.check({"name": f"Ada {number}"}, text=True).value
            bad = schema.check({"name": f"x{number}" * 10}, text=True).failures
            return bool(good == Contact(f"Ada {number}") and len(bad) == 1)

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(check, range(400)))

    # What handlers see.

    @pytest.fixture
    def browser(self, component: Validation, tmp_path: Folder) -> Client:
        """A browser for an application with forms, on this component."""
        return client(application(component, tmp_path))

    @clause("V35")
    def test_a_form_is_shown(self, browser: Client) -> None:
        """GET shows a form with defaults, and without messages."""
        page = _Page(browser.get("/").text)
        name, age = page.named("name"), page.named("age")
        assert (name["tag"], name["type"], name["value"]) == ("input", "text", "")
        assert (name["maxlength"], "required" in name) == ("10", True)
        assert (age["type"], age["value"], age["min"], age["max"]) == ("number", "18", "0", "150")
        assert page.named("notes")["tag"] == "textarea"
        assert ("label", {"for": "name"}) in page.elements
        assert "Full name" in page.text
        assert "aria-invalid" not in name

    @clause("V36")
    def test_a_form_is_shown_again(self, browser: Client) -> None:
        """What was sent comes back with messages that belong to the fields, escaped, as 422."""
        answer = browser.post("/", data={"name": '"><i>x</i>&amp;', "age": "x"})
        assert answer.status_code == 422
        assert answer.mimetype == "text/html"
        page = _Page(answer.text)
        name, age = page.named("name"), page.named("age")
        assert name["value"] == '"><i>x</i>&amp;'
        assert age["value"] == "x"
        assert not [tag for tag, _ in page.elements if tag == "i"]
        assert (name["aria-invalid"], age["aria-invalid"]) == ("true", "true")
        for about in (name, age):
            assert all(page.with_id(one) for one in str(about["aria-describedby"]).split())
        assert ENGLISH["too_long"].format(limit=10) in page.text
        assert ENGLISH["not_integer"] in page.text

    @clause("V37")
    def test_a_form_is_taken(self, browser: Client) -> None:
        """A form that is right reaches the handler, urlencoded, multipart or as JSON."""
        taken = "Contact(name='Ada', age=5, notes='', owner=7, id=None)"
        assert browser.post("/", data={"name": "Ada", "age": "5", "id": "1"}).text == taken
        assert browser.post("/", json={"name": "Ada", "age": 5, "id": 1}).text == taken
        sent = browser.post("/", data={"name": "Ada", "age": "5", "x": (io.BytesIO(b""), "x")})
        assert sent.text == taken

    @clause("V38")
    def test_problems_for_programs(self, browser: Client) -> None:
        """A client that is no browser gets problem+json with field, code and message of each."""
        answer = browser.post("/", json={"name": "A", "age": "5"})
        assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
        assert answer.json is not None
        assert answer.json["errors"] == [
            {"field": "name", "code": "too_short", "message": ENGLISH["too_short"].format(limit=2)},
            {"field": "age", "code": "not_integer", "message": ENGLISH["not_integer"]},
        ]

    @clause("V39")
    def test_bodies(self, browser: Client) -> None:
        """A body of data may be a list; a malformed one is 400, and another type 415."""
        assert browser.post("/body", json=[{"name": "x"}]).text == "[Street(name='x', number=1)]"
        answer = browser.post("/body", json=[{"name": "x"}, {}])
        assert answer.json is not None
        assert [error["field"] for error in answer.json["errors"]] == ["1.name"]
        for body in ("{", "[1", '[{"name": NaN}]', "", "[" * 100_000):
            answer = browser.post("/body", data=body, content_type="application/json")
            assert answer.status_code == 400, body[:20]
        assert browser.post("/body", data="[]", content_type="text/x").status_code == 415
        assert browser.post("/body", data={"name": "x"}).status_code == 415
        assert browser.post("/", data="x", content_type="text/x").status_code == 415

    @clause("V40")
    def test_queries_and_headers(self, browser: Client) -> None:
        """A query and headers are read as text, and what is wrong with them is 422."""
        assert browser.get("/query?name=a&number=5").text == "Street(name='a', number=5)"
        assert browser.get("/query?number=x").status_code == 422
        headers = {"Name": "a", "Number": "5"}
        assert browser.get("/headers", headers=headers).text == "Street(name='a', number=5)"
        assert browser.get("/headers").status_code == 422

    @clause("V41")
    def test_messages_are_translated(self, browser: Client) -> None:
        """Messages come in the language that the client asks for, if the application has it."""

        def message(language: str) -> str:
            answer = browser.post("/", json={}, headers={"Accept-Language": language})
            assert answer.json is not None
            return str(answer.json["errors"][0]["message"])

        assert message("de-AT, en;q=0.5") == "missing auf Deutsch"
        assert message("fr, de;q=0.5") == "missing auf Deutsch"
        assert message("en, de;q=0.5") == message("fr") == message("") == ENGLISH["missing"]

    @clause("V42")
    def test_files_of_failed_requests_are_deleted(self, browser: Client, tmp_path: Folder) -> None:
        """A file is stored under a name of its own, and deleted again if the request fails."""
        sent = {"title": "x", "image": (io.BytesIO(PNG), "../../evil.png")}
        name = browser.post("/photo", data=sent).text
        assert (tmp_path / "files" / name).read_bytes() == PNG
        assert name.endswith(".png")
        assert "evil" not in name
        sent = {"title": "fail", "image": (io.BytesIO(PNG), "evil.png")}
        assert browser.post("/photo", data=sent).status_code == 422
        assert [file.name for file in (tmp_path / "files").iterdir()] == [name]

    @clause("V43")
    def test_handlers_refuse_values(self, browser: Client) -> None:
        """What a handler refuses is shown like any other mistake."""
        answer = browser.post("/", data={"name": "taken"})
        assert answer.status_code == 422
        page = _Page(answer.text)
        assert page.named("name")["aria-invalid"] == "true"
        assert "Somebody has this name." in page.text

    @clause("V44")
    def test_records_are_edited(self, browser: Client) -> None:
        """A form shows a record, and changes no more of it than was asked for."""
        page = _Page(browser.get("/edit").text)
        assert (page.named("name")["value"], page.named("age")["value"]) == ("Grace", "85")
        again = _Page(browser.post("/edit", data={"name": "G", "age": "86"}).text)
        assert (again.named("name")["value"], again.named("age")["value"]) == ("G", "86")
        sent = {"name": "Hopper", "age": "86", "owner": "1", "id": "1"}
        changed = "Contact(name='Hopper', age=86, notes='', owner=9, id=4)"
        assert browser.post("/edit", data=sent).text == changed

    @clause("V45")
    def test_patches(self, browser: Client) -> None:
        """A patch has what was sent, however little that is, and keeps the limits of its fields."""
        answer = browser.patch("/patch", json={"nothing": None, "street": {"number": 5}, "x": 1})
        assert answer.text == "{'nothing': None, 'street': {'number': 5}}"
        for nothing in ({}, {"default": None}):
            assert browser.patch("/patch", json=nothing).text == "{}"
        answer = browser.patch("/patch", json={"something": "5", "street": {"number": 0}})
        assert answer.json is not None
        found = [(error["field"], error["code"]) for error in answer.json["errors"]]
        assert found == [("something", "not_integer"), ("street.number", "too_small")]
        assert browser.patch("/patch", json=[]).status_code == 422

    @clause("V46")
    def test_patched_records(self, browser: Client) -> None:
        """A patch changes that part of a record, of objects in it too, if their classes agree."""

        def changed(**sent: Any) -> str:
            return browser.patch("/house", json=sent).text

        def refused(**sent: Any) -> list[tuple[str, str]]:
            answer = browser.patch("/house", json=sent)
            assert answer.status_code == 422
            assert answer.json is not None
            return [(error["field"], error["code"]) for error in answer.json["errors"]]

        garden = Garden(5, 3, key=9)
        assert changed() == repr(House(2, 6, garden, id=4))
        assert changed(doors=6, id=5) == repr(House(6, 6, garden, id=4))
        sent = {"trees": 8, "key": 1}
        assert changed(garden=sent) == repr(House(2, 6, Garden(8, 3, key=9), id=4))
        assert changed(second=sent) == repr(House(2, 6, garden, Garden(8), id=4))
        assert changed(garden=None, second=None) == changed()
        assert refused(rooms=1) == [("", "invalid")]
        assert refused(rooms=7, garden={"trees": 2}) == [("garden", "invalid")]
        assert refused(second={"paths": 0}) == [("second.trees", "missing")]
        assert refused(second={"trees": 0}) == [("second", "invalid")]


def application(component: Validation, folder: Folder) -> App:
    """Return an application whose input `component` checks; it keeps files in `folder`."""
    languages = folder / "languages"
    languages.mkdir(exist_ok=True)
    german = [f'{code} = "{code} auf Deutsch"' for code in ENGLISH if code != "invalid"]
    (languages / "de.toml").write_text("\n".join(german))
    config = {"validation": {"use": "tested", "messages": str(languages)}}
    app = App(config, plugins={"tested": _Plugin(component)})

    @app.get("/")
    def show(form: Form[Contact]) -> str:
        return form.__html__()

    @app.post("/", again=show)
    def add(form: Form[Contact]) -> str:
        if form.value.name == "taken":
            form.refuse(name="Somebody has this name.")
        return repr(form.value)

    @app.get("/edit")
    def edit(form: Form[Contact]) -> str:
        return form.filled(Contact("Grace", 85, owner=9, id=4)).__html__()

    @app.post("/edit", again=edit)
    def save(form: Form[Contact]) -> str:
        record = Contact("Grace", 85, owner=9, id=4)
        form.update(record)
        return repr(record)

    @app.post("/body")
    def body(body: Body[list[Street]]) -> str:
        return repr(body.value)

    @app.patch("/patch")
    def patch(patch: Patch[Optional]) -> str:
        return str(patch.values)

    @app.patch("/house")
    def build(patch: Patch[House]) -> str:
        record = House(2, 6, Garden(5, 3, key=9), id=4)
        patch.update(record)
        return repr(record)

    @app.get("/query")
    def query(query: Query[Street]) -> str:
        return repr(query.value)

    @app.get("/headers")
    def headers(headers: HeaderValues[Street]) -> str:
        return repr(headers.value)

    @app.post("/photo")
    def photo(form: Form[Photo]) -> str:
        name = form.value.image.save(folder / "files")
        if form.value.title == "fail":
            form.refuse("No.")
        return name

    return app


class _Plugin:
    """A plug-in that gives one component, ready made."""

    def __init__(self, component: Validation) -> None:
        self.component = component

    @hookimpl
    def kit_components(self) -> list[Component]:
        return [Component(slot="validation", name="tested", factory=lambda: self.component)]
