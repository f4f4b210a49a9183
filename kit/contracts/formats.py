"""The contract of the slot formats: one meaning of data, in and out, and nothing hostile gets in.

What a format shows is compared by reading it again. An author gives the ``component``, the bodies
that it must refuse, and how to write a deeply nested list.
"""

from __future__ import annotations

import math
import re
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as time_of_day
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

import pytest
from markupsafe import Markup

from kit.contracts import Contract, clause, taking_turns
from kit.jsons import DEEPEST
from kit.slots.formats import CHUNK, Format, Unsupported, plain
from kit.slots.formats.plain import shown

EVIL = (
    *("", " ", " x ", "a\nb", "\n", "a\tb", "a,b", 'a"b', "'a'", "a;b", "'=a", "''", "'"),
    *("=1+1", "+1", "-1", "-1+1", "@a", "\tx", "1", "1.50", "1e5", "0x1F", "0o7", "1_0", "012"),
    *("null", "~", "true", "No", "yes", "<<", "=", ".inf", ".nan", "2024-01-01", "12:30:00"),
    *("- a", "a: b", "#a", "a #b", "&a", "*a", "!a", "%a", "{a", "[a", "]", "? a", "|", ">", "---"),
    *("<b>&amp;</b>", "]]>", "<!--", "&#65;", "é€😀", "\u2028\u2029\u0085", "\ufeffa", "a\u0301"),
)
"""Texts that one format or another might take for something else."""

KEYS = ("a b", "1", "1a", "é", "a:b", "<", '"', "item", "name", "xml", "-", "", "a.b", "#", "null")
"""Names of members that are no names in one format or another."""

NESTED: dict[str, Any] = {
    "list": [1, "two", [3, []], {"four": 4}],
    "one": ["alone"],
    "lists": [[], [[]], [["x"]]],
    "empty": {},
    "dicts": {"a": {"b": {"c": {}}}, "item": 1, "items": {"item": [1, 2]}},
    "nothing": [""],
}


class _Kind(Enum):
    """An enum, of which the value is shown."""

    FIRST = "first value"


@dataclass
class Part:
    """A record within a record."""

    street: str = "Main Street"
    number: int = 7


@dataclass
class Everything:
    """A record with a field of every kind."""

    name: str = "Ada <Lovelace>"
    born: date = date(1815, 12, 10)
    at: datetime = datetime(2024, 2, 29, 12, 30, 1, 250_000, tzinfo=UTC)
    there: datetime = datetime(2024, 7, 1, 12, tzinfo=timezone(timedelta(hours=-5, minutes=-30)))
    when: time_of_day = time_of_day(9, 5)
    lasting: timedelta = timedelta(days=1, seconds=30)
    price: Decimal = Decimal("-1234567890.10")
    key: UUID = field(default_factory=lambda: UUID("12345678-1234-5678-1234-567812345678"))
    kind: _Kind = _Kind.FIRST
    data: bytes = b"\x00\xff\n"
    marked: str = Markup("<b>marked</b>")
    big: int = 2**63 - 1
    small: int = -(2**63)
    ratio: float = 0.1
    tiny: float = -2.5e-300
    huge: float = 1e22
    good: bool = True
    bad: bool = False


@dataclass
class Whole:
    """A record with others in it."""

    tags: set[str] = field(default_factory=lambda: {"only"})
    parts: list[Part] = field(default_factory=lambda: [Part(), Part("Side Street")])
    missing: str | None = None
    row: tuple[int, str] = (1, "x")
    prices: dict[date, Decimal] = field(default_factory=lambda: {date(2024, 1, 1): Decimal("1.50")})


def as_text(value: Any) -> Any:
    """Return plain data as a format has it that holds text alone."""
    if isinstance(value, dict):
        return {key: as_text(member) for key, member in value.items()}
    if isinstance(value, list):
        return [as_text(item) for item in value]
    return None if value is None else shown(value)


def rows(count: int) -> Iterator[Everything]:
    """Yield `count` records, made when they are asked for."""
    for number in range(count):
        yield Everything(name=f"row {number}", big=number)


class FormatsContract(Contract):
    """What every format of data promises. Subclass it, and give what is listed here.

    `component` builds the format. `refused` are bodies that it must not read, by what is wrong
    with them: whatever the format is known to be attacked with. `twice` is a body in which a
    record has the field ``a`` twice. `deep` writes a list in a list, so many levels deep.
    """

    capabilities: ClassVar[dict[str, str]] = {
        "loads": "reads what it writes",
        "nested": "has lists and records within each other",
        "typed": "tells numbers and booleans from text",
        "none": "tells None from an empty text",
        "duplicates": "notices that a record has a field twice",
        "immediate": "sends rows before the last one is there",
    }
    refused: ClassVar[dict[str, bytes]] = {}
    twice: ClassVar[bytes] = b""

    def deep(self, levels: int) -> bytes:
        """Return a body with so many lists within each other; the innermost one is empty."""
        raise NotImplementedError(f"{type(self).__name__}.deep has to write nested lists")

    @pytest.fixture
    def component(self) -> Format:
        """The format, with its default options."""
        raise NotImplementedError(f"{type(self).__name__} has to give the fixture component")

    def expected(self, component: Format, value: Any) -> Any:
        """Return what `component` reads where `value` was written."""
        data = plain(value)
        return as_text(data) if getattr(component, "as_text", False) else data

    def check(self, component: Format, value: Any) -> None:
        """Write `value`, read it again, and compare."""
        body = component.dump(value)
        found, expected = component.load(body), self.expected(component, value)
        assert found == expected, f"{value!r} came back as {found!r} from {body!r}"
        assert repr(found) == repr(expected), f"{value!r} came back as {found!r} from {body!r}"

    def refuse(self, component: Format, body: bytes) -> None:
        """Check that a body raises ValueError, soon and without taking memory for it."""
        began = time.thread_time()
        with pytest.raises(ValueError, match=r"."):
            component.load(body)
        lasted = time.thread_time() - began
        assert lasted < 5, f"{body[:50]!r} took {lasted:.1f} seconds"
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match=r"."):
                component.load(body)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 20_000_000 + 100 * len(body), f"{body[:50]!r} took {peak} bytes"

    @clause("F1")
    def test_it_says_what_it_is(self, component: Format) -> None:
        """Its media types are well-formed, say UTF-8 where they are text, and it has a suffix."""
        for media_type in component.media_types:
            found = re.fullmatch(r"([a-z]+/[a-z0-9.+-]+)(; charset=utf-8)?", media_type)
            assert found, f"{media_type!r} is no media type"
        first = component.media_types[0]
        assert not first.startswith("text/") or "charset" in first, f"{first!r} says no charset"
        assert re.fullmatch(r"[a-z0-9]+", component.suffix)

    @clause("F2")
    def test_every_record_is_shown(self, component: Format) -> None:
        """A list of records shows the text of every field of every record."""
        body = component.dump([Part("Main Street", 1), Part("Side Street", 2)])
        for text in (b"street", b"number", b"Main Street", b"Side Street"):
            assert text in body, f"{text!r} is not in {body!r}"

    @clause("F3", needs="loads")
    def test_a_record_comes_back(self, component: Format) -> None:
        """Every kind of value is shown in its neutral form, and no precision is lost."""
        self.check(component, [Everything(), Everything(name="another", price=Decimal("0.10"))])

    @clause("F4", needs="nested")
    def test_records_within_records_come_back(self, component: Format) -> None:
        """Sets, tuples, records within records and keys of other types have their neutral form."""
        self.check(component, Whole())
        self.check(component, [Whole()])

    @clause("F5", needs="nested")
    def test_any_shape_comes_back(self, component: Format) -> None:
        """Lists and dicts within each other come back as they were, empty ones and single ones."""
        self.check(component, NESTED)
        self.check(component, [NESTED, [], {}])
        small: list[Any] = [[], {}, [[]], [{}], {"a": []}, {"item": []}, {"item": {"item": ""}}]
        for value in small:
            self.check(component, value)

    @clause("F6", needs="loads")
    def test_texts_come_back(self, component: Format) -> None:
        """A text comes back as it was, whatever it looks like."""
        for text in EVIL:
            self.check(component, [{"before": "x", "text": text, "after": "x"}])

    @clause("F7", needs="nested")
    def test_names_of_members_come_back(self, component: Format) -> None:
        """The name of a member comes back as it was, whatever it looks like."""
        self.check(component, dict.fromkeys(KEYS, "x"))
        for key in (*KEYS, *EVIL):
            self.check(component, {key: {key: ["x"]}})

    @clause("F8", needs="none")
    def test_none_is_not_an_empty_text(self, component: Format) -> None:
        """None comes back as None, also in a list, and an empty text as an empty text."""
        self.check(component, [{"none": None, "text": "", "word": "None", "null": "null"}])

    @clause("F9", needs="typed")
    def test_values_keep_their_types(self, component: Format) -> None:
        """Numbers and booleans come back as such, and texts that look like them as text."""
        values = [1, 1.0, 0, -1, True, False, "1", "1.0", "true", 1e300, 2**63, 0.1 + 0.2]
        found = component.load(component.dump([{"value": value} for value in values]))
        expected = [{"value": value} for value in values]
        assert repr(found) == repr(expected)

    @clause("F10", needs="loads")
    def test_what_is_not_finite_is_shown_like_none(self, component: Format) -> None:
        """A float that is not finite is shown like None."""
        for value in (math.nan, math.inf, -math.inf):
            assert component.dump([{"x": value}]) == component.dump([{"x": None}])
            self.check(component, [{"x": value, "y": 1}])

    @clause("F11")
    def test_what_is_no_data_is_an_error(self, component: Format) -> None:
        """An object that is no data is a TypeError, but not `Unsupported`: no format has it."""
        for value in ([{"x": object()}], [{"x": Exception}], [{"x": 1j}]):
            with pytest.raises(TypeError) as info:
                component.dump(value)
            assert not isinstance(info.value, Unsupported)

    @clause("F12")
    def test_the_same_data_make_the_same_body(self, component: Format) -> None:
        """Equal data make equal bodies, so that an ETag tells whether something changed."""
        assert component.dump([Everything()]) == component.dump([Everything()])
        assert component.dump([{"a": 1, "b": 2}]) != component.dump([{"a": 1, "b": 3}])

    @clause("F13", needs="loads")
    def test_a_stream_is_the_list_of_its_rows(self, component: Format) -> None:
        """Rows that are streamed read like the list of them, and so does a stream of none."""
        for count in (0, 1, 2, 500):
            body = b"".join(component.stream(rows(count)))
            assert component.load(body) == self.expected(component, list(rows(count)))

    @clause("F14")
    def test_a_stream_has_chunks(self, component: Format) -> None:
        """A stream comes in chunks of some 16 KiB, whatever the size of its rows."""
        sizes = [len(chunk) for chunk in component.stream(rows(2000))]
        assert len(sizes) > 5
        assert max(sizes) < 2 * CHUNK
        assert sum(sizes) / len(sizes) > CHUNK / 3

    @clause("F15", needs="immediate")
    def test_a_stream_does_not_wait(self, component: Format) -> None:
        """The first chunk is there when the rows are that fill it, and the rest is not made."""
        made = []

        def counted() -> Iterator[Everything]:
            for row in rows(5000):
                made.append(row.big)
                yield row

        next(iter(component.stream(counted())))
        assert len(made) < 1000, f"{len(made)} rows were made for the first chunk"

    @clause("F16")
    def test_a_stream_takes_no_memory(self, component: Format) -> None:
        """The memory that a stream takes does not grow with the number of its rows."""
        tracemalloc.start()
        try:
            large = (Part("x" * 2000, number) for number in range(2000))
            size = sum(len(chunk) for chunk in component.stream(large))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < max(1_600_000, size / 2), f"{size} bytes took {peak} bytes of memory"

    @clause("F17", needs="loads")
    def test_a_damaged_body_is_an_error(self, component: Format) -> None:
        """A body that is cut off or damaged is read, or a ValueError, and nothing else."""
        body = component.dump([Everything(), Everything()])
        damaged = [body[:end] for end in range(len(body))]
        damaged += [body[:at] + bytes([at % 256]) + body[at + 1 :] for at in range(len(body))]
        damaged += [body[at : at + 20] for at in range(len(body))]
        messages = []
        for one in damaged:
            try:
                component.load(one)
            except ValueError as error:
                messages.append(str(error))
        assert all(messages)

    @clause("F18", needs="nested")
    def test_deep_nesting_is_refused(self, component: Format) -> None:
        """What is nested more than 64 levels deep is refused, and 64 levels are read."""
        found: Any = component.load(self.deep(DEEPEST))
        for _ in range(DEEPEST - 1):
            [found] = found
        assert found == []
        for levels in (DEEPEST + 1, 1000, 100_000):
            self.refuse(component, self.deep(levels))

    @clause("F19", needs="duplicates")
    def test_a_field_twice_is_refused(self, component: Format) -> None:
        """A record that has a field twice is refused: two readers might take different values."""
        assert self.twice, f"{type(self).__name__} gives no body `twice`"
        self.refuse(component, self.twice)

    @clause("F20", needs="loads")
    def test_hostile_bodies_are_refused(self, component: Format) -> None:
        """What the format is attacked with is refused, soon and without taking memory for it."""
        assert self.refused, f"{type(self).__name__} gives no bodies `refused`"
        for body in self.refused.values():
            self.refuse(component, body)

    @clause("F21", needs="loads")
    def test_only_utf_8_is_text(self, component: Format) -> None:
        """Bytes that are not UTF-8 are refused where text should be."""
        body = component.dump([{"text": "marker"}])
        for wrong in (b"mar\xffer", b"mar\xc3(r", b"m\xed\xa0\x80er", b"m\xf5\x80\x80\x80r"):
            self.refuse(component, body.replace(b"marker", wrong))

    @clause("F22")
    def test_threads_share_it(self, component: Format) -> None:
        """Any number of threads may write and read at the same time."""

        def made(number: int) -> tuple[bytes, bytes]:
            one = [Part(f"street {number}", number)] * 20
            return component.dump(one), b"".join(component.stream(iter(one)))

        def work(number: int) -> bool:
            one = [Part(f"street {number}", number)] * 20
            body, streamed = made(number)
            if not getattr(component, "loads", True):
                return (body, streamed) == alone[number]
            same = component.load(body) == component.load(streamed)
            return same and component.load(body) == self.expected(component, one)

        alone = [made(number) for number in range(100)]
        with taking_turns(), ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(100)))
