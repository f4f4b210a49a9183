"""Formats: plain data, negotiation, and what each format does beyond the contract."""

from __future__ import annotations

import csv
import inspect
import io
import json
import random
import subprocess
import sys
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from uuid import UUID

import msgspec
import pytest
import yaml
from kit_defusedxml.formats import XmlFormat
from kit_msgspec.formats import JsonFormat, JsonLinesFormat, MsgpackFormat
from kit_stdlib.formats import CsvFormat, CsvOptions, TextFormat
from kit_yaml.formats import REPEATED, VALUES, YamlFormat
from markupsafe import Markup
from werkzeug.exceptions import BadRequest, NotAcceptable, UnsupportedMediaType

from kit import App, Body, ConfigError, Query, jsons
from kit.options import Secret
from kit.slots.formats import Data, FormatsOptions, Negotiator, Unsupported, plain, rows
from kit.slots.formats.html import HtmlFormat
from kit.slots.formats.negotiation import LONGEST, SUFFIXED, acceptable, entity_tag, has_tag
from kit.testing import client

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


class Colour(Enum):
    RED = "red"


@dataclass
class Contact:
    name: str
    born: date | None = None
    id: int | None = None


class Page:
    """A template engine that shows what it was given."""

    def render(self, name, values, block=None):
        return f"{name}: {dict(values)!r}"

    def render_string(self, source, values):
        raise NotImplementedError


FORMATS = {
    "html": HtmlFormat(Page()),
    "json": JsonFormat(),
    "csv": CsvFormat(CsvOptions()),
    "xml": XmlFormat(),
    "text": TextFormat(),
}


def negotiator(*names: str, **options) -> Negotiator:
    return Negotiator({name: FORMATS[name] for name in names}, FormatsOptions(**options))


def get(accept: str = "", **more) -> dict:
    environ = {"REQUEST_METHOD": "GET", "QUERY_STRING": "", **more}
    return environ | ({"HTTP_ACCEPT": accept} if accept else {})


# Plain data


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Contact("Ada", date(1815, 12, 10)), {"name": "Ada", "born": "1815-12-10", "id": None}),
        ((1, "a"), [1, "a"]),
        (frozenset({1}), [1]),
        (deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        ({"a": 1}.items(), [["a", 1]]),
        ((number for number in (1, 2)), [1, 2]),
        (MappingProxyType({1: Decimal("1.50")}), {"1": "1.50"}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (Markup("<b>"), "<b>"),
        (Colour.RED, "red"),
        (b"\xff", "/w=="),
        (datetime(2024, 1, 1, 12), "2024-01-01T12:00:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"deep": [{"er": [Colour.RED]}]}, {"deep": [{"er": ["red"]}]}),
        (float("nan"), None),
        (None, None),
    ],
)
def test_plain_is_what_json_says(value, expected):
    assert plain(value) == expected


@pytest.mark.parametrize("value", [object(), Contact, 1j, Secret("hidden"), [{"a": len}]])
def test_what_is_no_data_has_no_plain_form(value):
    with pytest.raises(TypeError, match="is no data: make a dict or a dataclass of it") as info:
        plain(value)
    assert "hidden" not in str(info.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, 2], [1, 2]),
        ([], []),
        ({"contacts": [{"a": 1}], "page": 3}, [{"a": 1}]),
        ({"contacts": (c for c in [Contact("Ada")])}, [{"name": "Ada", "born": None, "id": None}]),
        ({"name": "Ada", "id": 1}, [{"name": "Ada", "id": 1}]),
        ({}, [{}]),
        (Contact("Ada"), [{"name": "Ada", "born": None, "id": None}]),
        (7, [7]),
    ],
)
def test_rows_are_a_list_or_the_only_list(value, expected):
    assert rows(value) == expected


def test_a_record_with_a_list_is_one_row():
    tagged = msgspec.defstruct("Tagged", [("tags", list[str])])
    assert rows(tagged(["a", "b"])) == [{"tags": ["a", "b"]}]


def test_of_several_lists_none_is_the_rows():
    with pytest.raises(Unsupported, match="several lists"):
        rows({"contacts": [], "groups": []})


# Strict JSON


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "b": {"a": 2}, "c": [{"a": 3}, {"a": 4}]}',
        '{"a": "x:y", "b": ":"}',
        '{"a:": 1, "a": ":", "b": ["::"]}',
        '{"a": "\\u003a", "b": "\\u003A", "\\u003a": 3}',
        '{"a": "\\\\", "b": "\\"a\\": 1"}',
        json.dumps(["[[[{{{" * 20] * 40 + [{"}]": "[" * 70, 'a"b\\': "\\"}]),
        json.dumps({str(number): [number, {"n": number}] for number in range(200)}),
        "[" * 64 + "]" * 64,
        '[{"a":' * 32 + "1" + "}]" * 32,
        json.dumps({"a": [[], {}, "", None, True, -1.5e-7, 2**80]}),
    ],
)
def test_json_is_read_as_python_reads_it(text):
    assert jsons.loads(text.encode()) == json.loads(text)


def test_no_text_makes_json_fail_in_another_way():
    chance = random.Random(7)
    pieces = [b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"a", b"1", b'"a"', b'"a":', b" "]
    for _ in range(20_000):
        text = b"".join(chance.choices(pieces, k=chance.randrange(12)))
        try:
            found = jsons.loads(text)
        except ValueError:
            continue
        assert found == json.loads(text)


def test_duplicate_keys_are_found_as_python_finds_them():
    def once(members):
        assert len(dict(members)) == len(members)
        return dict(members)

    chance = random.Random(8)

    def made(depth=0):
        if depth > 2 or chance.random() < 0.4:
            return chance.choice(['"a:b"', '"\\u003a"', "1", '"\\\\"', '""', "null"])
        if chance.random() < 0.3:
            return f"[{','.join(made(depth + 1) for _ in range(chance.randrange(3)))}]"
        keys = ('"a"', '"b"', '"a:"', '"\\u0061"', '"c"', '"d"', '"\\u003a"')
        return f"{{{','.join(f'{chance.choice(keys)}:{made(depth + 1)}' for _ in range(3))}}}"

    outcomes = []
    for _ in range(5000):
        text = made()
        try:
            expected = json.loads(text, object_pairs_hook=once)
        except AssertionError:
            outcomes.append(False)
            with pytest.raises(ValueError, match="comes twice"):
                jsons.loads(text.encode())
        else:
            outcomes.append(True)
            assert jsons.loads(text.encode()) == expected
    assert 500 < sum(outcomes) < 4500


def test_the_message_names_the_key():
    with pytest.raises(ValueError, match="the key 'age' comes twice in one object"):
        jsons.loads(b'[{"name": "Ada", "age": 1, "age": 2}]')


def test_json_with_little_stack_left_is_a_value_error():
    limit, found = sys.getrecursionlimit(), None
    sys.setrecursionlimit(len(inspect.stack(0)) + 40)
    try:
        jsons.loads(b"[" * 60 + b"]" * 60)
    except ValueError as error:
        found = str(error)
    finally:
        sys.setrecursionlimit(limit)
    assert found == "it is nested more than 64 levels deep"


# Negotiation

OFFERS = (
    ("html", "text/html; charset=utf-8"),
    ("json", "application/json"),
    ("csv", "text/csv; charset=utf-8"),
    ("xml", "application/xml"),
    ("xml", "text/xml"),
)
ALL = ["html", "json", "csv", "xml"]


@pytest.mark.parametrize(
    ("accept", "names"),
    [
        ("", ALL),
        ("*/*", ALL),
        ("*", ALL),  # some clients say so, for example Java's
        ("application/json", ["json"]),
        ("APPLICATION/JSON", ["json"]),
        ("application/*", ["json", "xml"]),
        ("text/csv, application/json", ["json", "csv"]),
        ("text/csv, application/json;q=0.9", ["csv", "json"]),
        ("application/json;q=0.5, */*;q=0.1", ["json", "html", "csv", "xml"]),
        ("application/json;q=0, */*", ["html", "csv", "xml"]),
        ("text/*;q=0.3, text/html;q=0.7, */*;q=0.5", ["html", "json", "xml", "csv"]),
        ("*/*;q=0.1, text/html;q=0", ["json", "csv", "xml"]),
        ("text/html;q=0.2, text/html;q=0.4, text/csv;q=0.3", ["html", "csv"]),
        ("text/csv;charset=utf-8", ["csv"]),
        ('text/csv; charset="UTF-8"; q=1', ["csv"]),
        ("application/json;charset=utf-8", ["json"]),
        ("application/json;charset=latin-1", []),
        ("text/csv;header=absent, application/json;q=0.1", ["json"]),
        ("text/html;level=1;q=0.9, text/html;q=0.3", ["html"]),
        ("image/png", []),
        ("*/*;q=0", []),
        ("text/html;q=0.000", []),
        ("text/xml", ["xml"]),
        (BROWSER, ["html", "xml", "json", "csv"]),
        ("text/html, image/gif, *; q=.2, */*; q=.2", ["html", "json", "csv", "xml"]),
    ],
)
def test_accept_is_weighed(accept, names):
    assert [name for name, _ in acceptable(accept, OFFERS)] == names


@pytest.mark.parametrize(
    ("accept", "names"),
    [
        (",,,", ALL),
        ("nonsense", ALL),
        ("text", ALL),
        ("text/", ALL),
        ("/json", ALL),
        ("*/json", ALL),
        ("text/html/x", ALL),
        ("te xt/html", ALL),
        (";q=1", ALL),
        ("nonsense, application/json", ["json"]),
        ("text/csv;q=high, application/json", ["json"]),
        ("text/csv;q=1.5, application/json", ["json"]),
        ("text/csv;q=-1, application/json", ["json"]),
        ("text/csv;q=nan, application/json", ["json"]),
        ("text/csv;q=, application/json", ["json"]),
        ('text/csv;a="1,2;3";q=0.1, application/json', ["json"]),
        ('text/csv;a="1,2, application/json', ["json"]),
        ("text/csv;q=0.5;unknown=1", ["csv"]),
        ("a/b," * LONGEST, ALL),
    ],
)
def test_what_is_malformed_in_accept_does_not_count(accept, names):
    assert [name for name, _ in acceptable(accept, OFFERS)] == names


def test_no_accept_header_is_an_error_or_slow():
    chance = random.Random(3)
    pieces = [
        "text",
        "/",
        "html",
        "*",
        ";",
        ",",
        "q",
        "=",
        "0",
        ".",
        "5",
        '"',
        "\\",
        " ",
        "é",
        "json",
    ]
    for _ in range(5000):
        acceptable("".join(chance.choices(pieces, k=chance.randrange(30))), OFFERS)
    for accept in ('"' * LONGEST, '"\\' * (LONGEST // 2), ";" * LONGEST, "a/a;q=" + "0." * 400):
        acceptable(accept, OFFERS)


def test_a_media_type_that_is_asked_for_by_name_labels_the_answer():
    assert acceptable("text/xml", OFFERS) == (("xml", "text/xml"),)
    assert dict(acceptable("application/xml, text/xml", OFFERS))["xml"] == "application/xml"


def test_data_go_out_in_the_format_that_is_asked_for():
    made = negotiator("json", "csv")
    assert made.data(get("text/csv"), [Contact("Ada")]) == (
        "200 OK",
        [("Content-Type", "text/csv; charset=utf-8"), ("Vary", "Accept")],
        b"name,born,id\r\nAda,,\r\n",
    )
    _, headers, body = made.data(get(), [Contact("Ada")])
    assert ("Content-Type", "application/json") in headers
    assert json.loads(body) == [{"name": "Ada", "born": None, "id": None}]


def test_one_format_alone_does_not_vary():
    made = negotiator("json")
    expected = ("200 OK", [("Content-Type", "application/json")], b'{"a":1}')
    for accept in ("", "*/*", "application/json", BROWSER, "application/*;q=0.1"):
        assert made.data(get(accept), {"a": 1}) == expected
        assert made.data(get(accept), Data({"a": 1}, "page.html")) == expected
    with pytest.raises(NotAcceptable):
        made.data(get("text/csv"), {"a": 1})


def test_html_is_offered_with_a_template_only():
    made = negotiator("html", "json")
    line, headers, body = made.data(get(BROWSER), Data({"a": 1}, "page.html", b=2))
    assert (line, body) == ("200 OK", b"page.html: {'a': 1, 'b': 2}")
    assert headers == [("Content-Type", "text/html; charset=utf-8"), ("Vary", "Accept")]
    for value in (Data({"a": 1}), {"a": 1}):
        assert made.data(get(BROWSER), value)[1] == [("Content-Type", "application/json")]
        with pytest.raises(NotAcceptable, match="json") as info:
            made.data(get("text/html"), value)
        assert "html" not in str(info.value.description)


def test_406_lists_what_there_is():
    with pytest.raises(NotAcceptable) as info:
        negotiator("html", "json", "xml").data(get("image/png"), Data(1, "page.html"))
    expected = "This address answers in: application/json, application/xml, text/html."
    assert info.value.description == expected


def test_the_next_format_is_tried_where_one_does_not_have_the_data():
    made = negotiator("csv", "json")
    numbers = [1, 2, 3]
    assert made.data(get(), numbers)[1][0] == ("Content-Type", "application/json")
    assert made.data(get("text/csv, */*;q=0.1"), numbers)[2] == b"[1,2,3]"
    with pytest.raises(NotAcceptable, match="This address answers in: application/json"):
        made.data(get("text/csv"), numbers)
    with pytest.raises(TypeError, match="is no data"):
        made.data(get("text/csv"), [{"a": object()}])


def test_data_that_no_format_has_are_a_mistake():
    for made in (negotiator("csv"), negotiator("html", "csv")):
        with pytest.raises(TypeError, match="the rows of CSV are"):
            made.data(get(), [1])
    with pytest.raises(TypeError, match="uses no format that has this data"):
        negotiator("html").data(get(), {"a": 1})


def test_a_suffix_names_the_format():
    made = negotiator("json", "csv", suffix=True)
    assert made.without_suffix("/contacts.csv") == ("/contacts", "csv")
    assert made.without_suffix("/a.b/contacts.v2.json") == ("/a.b/contacts.v2", "json")
    for path in ("/contacts", "/contacts.xml", "/a.csv/contacts", "/.csv", "/contacts.", "/"):
        assert made.without_suffix(path) is None
    environ = get("application/json", **{SUFFIXED: "csv"})
    assert made.data(environ, [{"a": 1}])[1] == [("Content-Type", "text/csv; charset=utf-8")]


def test_a_parameter_names_the_format():
    made = negotiator("html", "json", "text", parameter="format")
    for query in ("format=text", "a=1&format=txt&b=2", "format=te%78t", "format=text&format=json"):
        found = made.data(get("application/json", QUERY_STRING=query), {"a": 1})
        assert found[1:] == ([("Content-Type", "text/plain; charset=utf-8")], b"a: 1\n")
    for query in ("", "a=1", "xformat=text", "format2=text"):
        assert made.data(get(QUERY_STRING=query), {"a": 1})[2] == b'{"a":1}'
    for query in ("format=", "format=csv", "format=html", "format=%ff"):
        with pytest.raises(NotAcceptable):
            made.data(get(QUERY_STRING=query), {"a": 1})
    assert made.data(get(QUERY_STRING="format=html"), Data(1, "page.html"))[2].startswith(b"page")


@pytest.mark.parametrize("name", ["a b", "a=b", "é", "a&b"])
def test_a_parameter_is_a_name(name):
    with pytest.raises(ValueError, match="use letters"):
        FormatsOptions(parameter=name)


def test_a_tag_comes_back_as_304():
    made = negotiator("json", "csv", etag=True)
    line, headers, body = made.data(get(), [{"a": 1}])
    assert line == "200 OK"
    tag = dict(headers)["ETag"]
    assert tag == entity_tag(body)
    assert tag.startswith('W/"')
    for header in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*", f'W/"x",{tag},"y"'):
        line, again, body = made.data(get(HTTP_IF_NONE_MATCH=header), [{"a": 1}])
        assert (line, body) == ("304 Not Modified", b"")
        assert {"Vary": "Accept", "ETag": tag}.items() <= dict(again).items()
    for header in ("", '"x"', tag.strip('W/"'), "W/", '"', f"{tag}x"[1:-3]):
        assert made.data(get(HTTP_IF_NONE_MATCH=header), [{"a": 1}])[0] == "200 OK"
    assert made.data(get(HTTP_IF_NONE_MATCH=tag), [{"a": 2}])[0] == "200 OK"
    assert made.data(get("text/csv", HTTP_IF_NONE_MATCH=tag), [{"a": 1}])[0] == "200 OK"


def test_only_data_that_are_got_have_a_tag():
    made = negotiator("html", "json", etag=True)
    for environ, value in [
        (get(REQUEST_METHOD="POST"), {"a": 1}),
        (get(), Data(iter([{"a": 1}]))),
        (get(BROWSER), Data(1, "page.html")),
    ]:
        assert "ETag" not in dict(made.data(environ, value)[1])
    assert "ETag" in dict(made.data(get(REQUEST_METHOD="HEAD"), {"a": 1})[1])


def test_a_weak_tag_is_compared_weakly():
    assert has_tag('"abc"', 'W/"abc"')
    assert not has_tag("abc", 'W/"abc"')
    assert not has_tag('"xabc"', 'W/"abc"')


def test_an_iterator_is_streamed_and_closed():
    closed = []

    def people() -> Iterator[Contact]:
        try:
            for number in range(1000):
                yield Contact(f"person {number}" * 10)
        finally:
            closed.append(True)

    made = negotiator("json", "csv")
    _, headers, body = made.data(get(), Data(people()))
    assert headers[0] == ("Content-Type", "application/json")
    assert not closed
    chunks = list(body)
    assert len(chunks) > 5
    assert len(json.loads(b"".join(chunks))) == 1000
    assert closed == [True]
    _, _, body = made.data(get("text/csv"), Data(people()))
    next(body)
    body.close()
    assert closed == [True, True]


def test_rows_that_a_format_cannot_stream_go_to_the_next():
    made = negotiator("csv", "json")
    _, headers, body = made.data(get(), Data(iter([1, 2])))
    assert headers[0] == ("Content-Type", "application/json")
    assert json.loads(b"".join(body)) == [1, 2]
    closed = []

    def numbers() -> Iterator[int]:
        try:
            yield 1
        finally:
            closed.append(True)

    with pytest.raises(NotAcceptable):
        made.data(get("text/csv"), Data(numbers()))
    assert closed


def test_an_iterator_that_fails_at_once_fails_before_the_answer():
    def failing() -> Iterator[int]:
        raise LookupError("no rows")
        yield

    with pytest.raises(LookupError, match="no rows"):
        negotiator("json").data(get(), Data(failing()))


def test_a_page_gets_all_rows_of_an_iterator():
    class Listing(Page):
        def render(self, name, values, block=None):
            return ",".join(map(str, values["data"]))

    made = Negotiator({"html": HtmlFormat(Listing())}, FormatsOptions())
    assert made.data(get(), Data(iter([1, 2, 3]), "page.html"))[2] == b"1,2,3"


def test_what_the_page_is_given_wins():
    dump = FORMATS["html"].dump
    assert dump(Data({"a": 1, "block": 2}, "p", a=3)) == b"p: {'a': 3, 'block': 2}"
    assert dump(Data({1: 2}, "p")) == b"p: {'data': {1: 2}}"
    assert dump(Data([1], "p", value=4)) == b"p: {'data': [1], 'value': 4}"


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("application/json", "json"),
        ("Application/JSON; charset=UTF-8", "json"),
        ("application/hal+json", "json"),
        ("application/problem+json; charset=utf-8", "json"),
        ("text/xml", "xml"),
        ("application/atom+xml", "xml"),
        ("text/csv;header=present", "csv"),
        ("application/json; charset=latin-1", None),
        ("application/json+", None),
        ("application/+json", "json"),
        ("json", None),
        ("", None),
        ("text/html", None),
        ("text/plain", None),
        ("multipart/form-data; boundary=x", None),
        ("application/x-www-form-urlencoded", None),
        ("application/json, text/csv", None),
    ],
)
def test_a_body_is_read_by_its_content_type(content_type, name):
    made = negotiator("html", "json", "csv", "xml", "text")
    assert made.reader(content_type) is (FORMATS[name] if name else None)


def test_a_body_is_read_or_refused():
    made = negotiator("html", "json", "xml", "text")
    assert made.read("application/json", b'{"a": 1}') == {"a": 1}
    with pytest.raises(BadRequest, match="The body is not valid application/json: Input"):
        made.read("application/json", b"{")
    with pytest.raises(UnsupportedMediaType, match=r"Send one of: application/json, application/x"):
        made.read("text/csv", b"a")


# Single formats


def test_csv_is_as_the_rfc_says():
    table = [{"a": 'say "hi"', "b": "x,y"}, {"a": "two\r\nlines", "c": None}, {"b": True, "c": -1}]
    body = CsvFormat(CsvOptions()).dump(table)
    assert body == b'a,b,c\r\n"say ""hi""","x,y",\r\n"two\r\nlines",,\r\n,true,-1\r\n'


def test_csv_has_rows_that_are_lists_too():
    assert CsvFormat(CsvOptions()).dump([["a", 1], ["=b"]]) == b"a,1\r\n'=b\r\n"
    for value in ([[1], {"a": 1}], [{"a": 1}, [1]], [1], ["a"], 1, "a", [None]):
        with pytest.raises(Unsupported):
            CsvFormat(CsvOptions()).dump(value)
    assert CsvFormat(CsvOptions()).dump([]) == b""
    assert CsvFormat(CsvOptions()).load(b"") == []


def test_csv_shows_what_is_nested_as_json():
    body = CsvFormat(CsvOptions()).dump([{"tags": ["a", "b"], "at": {"x": 1}}])
    assert next(csv.DictReader(io.StringIO(body.decode()))) == {
        "tags": '["a","b"]',
        "at": '{"x":1}',
    }


FORMULAS = ["=1+1", "+1", "-1+1", "@SUM(A1)", "\tx", "\rx", "\nx", "-", "-cmd|' /C calc'!A0"]
FORMULAS += ["\uff1d1", "\uff0b1", "\uff0d1", "\uff201", "'=1", "''+1"]
HARMLESS = ["-1", "-1.50", "-1E+5", "a=1", " =1", "'", "'a", "", "1-1", "\u2212 1"]


def test_csv_has_no_formulas():
    one = CsvFormat(CsvOptions())
    table = [{"x": text, text or "empty": "y"} for text in FORMULAS + HARMLESS]
    found = list(csv.reader(io.StringIO(one.dump(table).decode(), newline="")))
    assert [row[0] for row in found[1:]] == [f"'{text}" for text in FORMULAS] + HARMLESS
    assert found[0][1:] == [f"'{text}" for text in FORMULAS] + [
        text or "empty" for text in HARMLESS
    ]
    assert [row["x"] for row in one.load(one.dump([{"x": x} for x in FORMULAS + HARMLESS]))] == (
        FORMULAS + HARMLESS
    )
    assert one.dump([{"price": Decimal("-1.50"), "number": -3}]) == b"price,number\r\n-1.50,-3\r\n"


def test_csv_has_formulas_where_they_are_wanted():
    wanted = CsvFormat(CsvOptions(formulas=True, delimiter=";", bom=True))
    body = wanted.dump([{"sum": "=A1+A2", "text": "a;b"}])
    assert body == b'\xef\xbb\xbfsum;text\r\n=A1+A2;"a;b"\r\n'
    assert wanted.load(body) == [{"sum": "=A1+A2", "text": "a;b"}]
    assert wanted.load(b"a\n'=1\n") == [{"a": "'=1"}]


def test_csv_reads_what_spreadsheets_write():
    one = CsvFormat(CsvOptions())
    body = b'\xef\xbb\xbfname,phone\r\n"Ada, L.",1\r\n\r\nGrace\r\n'
    assert one.load(body) == [{"name": "Ada, L.", "phone": "1"}, {"name": "Grace"}]
    assert one.load(b"a\rx\ry") == [{"a": "x"}, {"a": "y"}]
    with pytest.raises(ValueError, match="line 3 has 3 cells, but the first has 2"):
        one.load(b"a,b\n1,2\n1,2,3\n")


def test_a_short_line_takes_no_memory_for_what_it_lacks():
    names = b",".join(b"%d" % number for number in range(100_000))
    assert len(CsvFormat(CsvOptions()).load(names + b"\nx" * 1000)[7]) == 1


def test_a_stream_of_csv_has_the_names_of_its_first_row():
    one = CsvFormat(CsvOptions())
    rows = [{"a": 1, "b": 2}, {"b": 3}]
    assert b"".join(one.stream(iter(rows))) == b"a,b\r\n1,2\r\n,3\r\n"
    with pytest.raises(Unsupported, match="the first one has not"):
        b"".join(one.stream(iter([{"a": 1}, {"b": 2}])))


def test_text_is_an_outline():
    value = {
        "name": "Ada",
        "note": "two\nlines",
        "tags": ["a", ["b"]],
        "none": None,
        "in": {"x": 1},
    }
    assert TextFormat().dump([value, "end"]).decode().splitlines() == [
        *("- name: Ada", "  note:", "    two", "    lines", "  tags:", "    - a", "    - - b"),
        *("  none:", "  in:", "    x: 1", "- end"),
    ]
    assert TextFormat().dump("just text") == b"just text\n"


def test_xml_is_elements():
    value = {"name": "A&B", "tags": ["x", "y"], "a b": 1, "none": None, "item": True, "e": ""}
    body = XmlFormat().dump(value).decode()
    assert body == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<data><name>A&#38;B</name>'
        '<tags><item>x</item><item>y</item></tags><item name="a b">1</item><none type="null"/>'
        '<item name="item">true</item><e></e></data>\n'
    )
    assert XmlFormat().load(body.encode()) == {**value, "a b": "1", "item": "true"}


def test_xml_needs_no_attributes():
    body = b"""<?xml version='1.0' encoding="utf-8"?>
    <!-- a comment --> <contact>
        <name><![CDATA[Ada & <Co>]]></name> <phones> <item>1</item>
        </phones> <note/> </contact>"""
    expected = {"name": "Ada & <Co>", "phones": ["1"], "note": ""}
    assert XmlFormat().load(body) == expected
    assert XmlFormat().load(b"\xef\xbb\xbf<a><b>\xc3\xa9</b></a>") == {"b": "é"}


def test_what_xml_cannot_say_goes_to_the_next_format():
    with pytest.raises(Unsupported, match=r"U\+0000"):
        XmlFormat().dump({"a": "\0"})
    assert negotiator("xml", "json").data(get(), {"a": "\x0b"})[2] == b'{"a":"\\u000b"}'


def test_no_entity_is_fetched(tmp_path):
    (tmp_path / "secret").write_text("secret")
    body = f'<!DOCTYPE d [<!ENTITY a SYSTEM "file://{tmp_path}/secret">]><d>&a;</d>'
    with pytest.raises(ValueError, match="document type") as info:
        XmlFormat().load(body.encode())
    assert "secret" not in str(info.value)


def test_msgpack_reads_what_others_write():
    one = MsgpackFormat()
    at = datetime.fromisoformat("2024-01-01T12:00:00+00:00")
    body = msgspec.msgpack.encode({"at": at, "data": b"\xff", 1: "one", "x": float("nan")})
    assert one.load(body) == {"at": "2024-01-01T12:00:00Z", "data": "/w==", "1": "one", "x": None}
    with pytest.raises(Unsupported, match="64 bits"):
        one.dump({"big": 2**64})


def test_yaml_is_that_of_today():
    body = b"""
norway: no
when: 2024-01-01
time: 12:30:00
octal: 0o17
zero: 012
hex: 0x1F
float: 1e3
tilde: ~
nothing:
True: TRUE
3: [a, 'b', "c"]
text: |
  two
  lines
"""
    assert YamlFormat().load(body) == {
        "norway": "no",
        "when": "2024-01-01",
        "time": "12:30:00",
        "octal": 15,
        "zero": 12,
        "hex": 31,
        "float": 1000.0,
        "tilde": None,
        "nothing": None,
        "True": True,
        "3": ["a", "b", "c"],
        "text": "two\nlines\n",
    }
    assert YamlFormat().load(b"") is None


def test_yaml_is_read_alike_by_others():
    value = {"a": ["no", "1e5", "0o17", "1_000", "12:30", "=", "2024-01-01", "~", "x: y"], "b": 1.5}
    assert yaml.safe_load(YamlFormat().dump(value)) == value
    shared = ["x"]
    assert b"&" not in YamlFormat().dump([shared, shared])


def test_yaml_takes_aliases_within_limits():
    one = YamlFormat()
    assert one.load(b"a: &a {x: [1]}\nb: *a\nc: [*a]") == {
        "a": {"x": [1]},
        "b": {"x": [1]},
        "c": [{"x": [1]}],
    }
    found = one.load(b"a: &a [x]\nb: *a")
    found["a"].append("y")
    assert found["b"] == ["x"]
    with pytest.raises(ValueError, match=f"more than {REPEATED} characters"):
        one.load(b"a: &a " + b"x" * 1000 + b"\nb: [" + b"*a," * 1001 + b"]")
    with pytest.raises(ValueError, match=f"more than {VALUES} values"):
        one.load(b"a: &a [" + b"1," * 1000 + b"]\nb: [" + b"*a," * 100 + b"]")


def test_yaml_without_its_library_is_refused(monkeypatch):
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    with pytest.raises(RuntimeError, match="install its wheel"):
        YamlFormat()


def test_json_lines_are_rows():
    one = JsonLinesFormat()
    assert one.dump({"contacts": [{"a": 1}, {"a": 2}], "page": 1}) == b'{"a":1}\n{"a":2}\n'
    assert one.dump(Contact("Ada")) == b'{"name":"Ada","born":null,"id":null}\n'


MILLION = """
import resource, sys
from {module} import {name}

def rows():
    for number in range(1_000_000):
        yield {{"id": number, "name": "somebody"}}

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

one = {make}
sum(map(len, one.stream(iter([{{"id": 1, "name": "somebody"}}] * 1000))))
before = peak()
size = sum(map(len, one.stream(rows())))
print(size, (peak() - before) * 1024)
"""


@pytest.mark.parametrize(
    ("module", "name", "make"),
    [
        ("kit_msgspec.formats", "JsonFormat", "JsonFormat()"),
        ("kit_msgspec.formats", "JsonLinesFormat", "JsonLinesFormat()"),
        ("kit_stdlib.formats", "CsvFormat, CsvOptions", "CsvFormat(CsvOptions())"),
    ],
)
def test_a_million_rows_take_no_memory(module, name, make):
    code = MILLION.format(module=module, name=name, make=make)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    size, grown = map(int, done.stdout.split())
    assert size > 15_000_000
    assert grown < 2_000_000


# In an application


@pytest.fixture
def app(tmp_path) -> App:
    (tmp_path / "people.html").write_text(
        "{{ title }}:{% for one in people %} {{ one.name }}{% endfor %}"
    )
    app = App(
        {
            "templating": {"use": "jinja2", "folder": str(tmp_path)},
            "formats": {
                "use": ["html", "json", "csv", "xml", "yaml", "msgpack", "jsonl", "text"],
                "suffix": True,
                "parameter": "format",
                "etag": True,
                "csv": {"delimiter": ";"},
            },
        }
    )

    @app.get("/people")
    def people():
        found = [Contact("Ada <A>", date(1815, 12, 10), 1), Contact("Grace", id=2)]
        return Data({"people": found}, "people.html", title="People")

    @app.get("/rows")
    def rows():
        return Data(Contact(f"person {number}") for number in range(3))

    @app.get("/plain")
    def plain():
        return {"a": 1}

    @app.get("/made")
    def made():
        return Data({"a": 1}), 201, {"X-Made": "yes"}

    @app.get("/files/<name>")
    def file(name):
        return name

    @app.post("/people")
    def add(body: Body[Contact]):
        return body.value

    @app.post("/many")
    def many(body: Body[list[Contact]]):
        return body.value

    @app.get("/found")
    def found(query: Query[Contact]):
        return query.values

    return app


def test_every_format_shows_the_same(app):
    visitor = client(app)
    expected = [
        {"name": "Ada <A>", "born": "1815-12-10", "id": 1},
        {"name": "Grace", "born": None, "id": 2},
    ]
    page = visitor.get("/people", headers={"Accept": BROWSER})
    assert page.text == "People: Ada &lt;A&gt; Grace"
    assert page.headers["Vary"] == "Accept"
    assert visitor.get("/people", headers={"Accept": "application/json"}).json == {
        "people": expected
    }
    for name, one in app.provided("formats").items():
        for target in (f"/people.{one.suffix}", f"/people?format={name}"):
            answer = visitor.get(target)
            assert answer.headers["Content-Type"] == one.media_types[0], target
            assert "Vary" not in answer.headers
            assert b"Grace" in answer.data
    assert visitor.get("/people.csv").text.startswith("name;born;id\r\nAda <A>;1815-12-10;1\r\n")


def test_a_path_of_its_own_comes_before_a_suffix(app):
    visitor = client(app)
    assert visitor.get("/files/data.json").text == "data.json"
    assert visitor.get("/people.pdf").status_code == 404
    assert visitor.get("/nothing.json").status_code == 404


def test_rows_are_streamed(app):
    answer = client(app).get("/rows.jsonl")
    assert [json.loads(line)["name"] for line in answer.text.splitlines()] == [
        *("person 0", "person 1", "person 2")
    ]
    assert "Content-Length" not in answer.headers
    assert client(app).head("/rows.csv").data == b""


def test_an_answer_that_is_known_is_304(app):
    visitor = client(app)
    first = visitor.get("/plain.json")
    again = visitor.get("/plain.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert "Content-Length" not in again.headers
    assert again.headers["ETag"] == first.headers["ETag"]


def test_a_tuple_keeps_status_and_headers(app):
    answer = client(app).get("/made.json")
    assert (answer.status_code, answer.json, answer.headers["X-Made"]) == (201, {"a": 1}, "yes")


def test_406_is_a_proper_answer(app):
    answer = client(app).get("/plain", headers={"Accept": "image/png"})
    assert answer.status_code == 406
    assert "application/json, application/jsonl" in answer.text


def test_html_needs_templates():
    with pytest.raises(ConfigError, match="'templating'"):
        App({"formats": {"use": ["html"]}}).start()


ADA = {"name": "Ada", "born": "1815-12-10", "id": None}


@pytest.mark.parametrize("name", ["json", "xml", "yaml", "msgpack"])
def test_what_goes_out_comes_in(app, name):
    visitor = client(app)
    one = app.provided("formats")[name]
    for media_type in one.media_types:
        for sent in (ADA, {"name": "Ada", "born": None}, {"name": "Ada"}):
            answer = visitor.post("/people.json", data=one.dump(sent), content_type=media_type)
            assert answer.json == {**ADA, "born": sent.get("born")}, answer.text
    wrong = one.dump({"name": "Ada", "born": "yesterday"})
    answer = visitor.post("/people", data=wrong, content_type=one.media_types[0])
    assert answer.status_code == 422


@pytest.mark.parametrize("name", ["json", "jsonl", "xml", "yaml", "msgpack", "csv"])
def test_lists_come_in(app, name):
    one = app.provided("formats")[name]
    people = [Contact("Ada", date(1815, 12, 10)), Contact("Grace")]
    kind = one.media_types[0]
    answer = client(app).post("/many.json", data=one.dump(people), content_type=kind)
    assert [(row["name"], row["born"]) for row in answer.json] == [
        *(("Ada", "1815-12-10"), ("Grace", None))
    ]


def test_other_bodies_are_refused(app):
    visitor = client(app)
    for kind in ("text/plain", "text/html", "image/png", "application/x-www-form-urlencoded", ""):
        answer = visitor.post("/people", data=b"name=Ada", content_type=kind)
        assert answer.status_code == 415, kind
    for kind in ("application/json", "application/xml", "application/yaml", "application/msgpack"):
        answer = visitor.post("/people", data=b"\xff{", content_type=kind)
        assert answer.status_code == 400, kind
        assert "The body is not valid application/" in answer.text


def test_the_parameter_is_no_field(app):
    assert client(app).get("/found?format=json&name=Ada").json["name"] == "Ada"


@dataclass
class Account:
    name: str
    password: str = "hash"


@dataclass
class Holder:
    account: Account


@pytest.mark.parametrize(
    "value",
    [
        Account("a"),
        [Account("a")],
        {"users": [Account("a")]},
        Holder(Account("a")),
        Data({"user": Account("a")}, "x.html"),
        iter([Account("a")]),
    ],
    ids=["itself", "in a list", "in a dict", "in a dataclass", "in Data", "in rows"],
)
def test_what_is_refused_is_shown_in_no_format(value):
    negotiator = App().provided("negotiator")
    negotiator.refuse(Account, "it has a password")
    with pytest.raises(TypeError, match="Account is not shown as data: it has a password"):
        negotiator.data({}, Data(value) if isinstance(value, Iterator) else value)
    assert negotiator.data({}, {"name": "a"})[2] == b'{"name":"a"}'
    assert b"".join(negotiator.data({}, Data(iter([{"n": 1}])))[2]) == b'[{"n":1}]'
