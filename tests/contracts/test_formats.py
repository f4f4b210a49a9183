"""The first-party formats keep the contract of their slot."""

from __future__ import annotations

import pytest
from kit_defusedxml.formats import XmlFormat
from kit_msgspec.formats import JsonFormat, JsonLinesFormat, MsgpackFormat
from kit_stdlib.formats import CsvFormat, CsvOptions, TextFormat
from kit_yaml.formats import YamlFormat

from kit.contracts.formats import FormatsContract

BOMB = b"\n".join(
    [b"a: &a [x, x, x, x, x, x, x, x, x]"]
    + [b"%c: &%c [%s]" % (c + 1, c + 1, b",".join([b"*%c" % c] * 9)) for c in range(97, 107)]
)
LAUGHS = b"".join(b'<!ENTITY %c "%s">' % (c, b"&%c;" % (c - 1) * 9) for c in range(98, 108))


class TestJson(FormatsContract):
    twice = b'[{"a": 1, "b": 2, "a": 1}]'
    refused = {
        "nothing": b"",
        "more than one value": b"{} {}",
        "NaN": b"[NaN]",
        "Infinity": b"[-Infinity]",
        "a number beyond a double": b"[1e400]",
        "a number of too many digits": b"[" + b"9" * 5000 + b"]",
        "a comment": b"[1 /* one */]",
        "a trailing comma": b"[1,]",
        "single quotes": b"['a']",
        "a leading zero": b"[01]",
        "a control character": b'["\n"]',
        "half of a surrogate pair": b'["\\ud800"]',
        "no end, and a million levels": b"[" * 1_000_000,
        "a million objects": b'{"a":' * 300_000,
        "a key twice, once escaped": b'{"x": 1, "\\u0078": 2}',
        "a key twice, and an escaped colon": b'{"x": "\\u003a", "x": 2}',
        "a key twice, far down": b'[{"a": [{"b": {"c": 1, "c": 1}}]}]',
        "brackets in texts, and too many": b'{"[\\"": ' * 65 + b'"]}\\\\"' + b"}" * 65,
    }

    @pytest.fixture
    def component(self) -> JsonFormat:
        return JsonFormat()

    def deep(self, levels: int) -> bytes:
        return b"[" * levels + b"]" * levels


class TestJsonl(TestJson):
    refused = {
        "NaN": b"1\nNaN\n",
        "no value": b"1\n,\n",
        "a value on two lines": b"[\n]\n",
        "two values on a line": b"1, 2\n",
        "the end of the list": b"1], [2\n",
        "a million levels": b"[" * 1_000_000,
        "a key twice": b'{"x": 1, "\\u0078": 2}\n',
    }

    @pytest.fixture
    def component(self) -> JsonLinesFormat:
        return JsonLinesFormat()

    def check(self, component, value):
        if isinstance(value, list):
            super().check(component, value)
        else:
            super().check(component, [value])

    def deep(self, levels: int) -> bytes:
        return super().deep(levels - 1)

    def test_any_number_of_empty_lines_is_left_out(self, component):
        assert component.load(b"\n1\r\n\n \n2") == [1, 2]


class TestMsgpack(FormatsContract):
    refused = {
        "nothing": b"",
        "more than one value": b"\x01\x02",
        "an unused code": b"\xc1",
        "an extension": b"\xd4\x05\x01",
        "a list as a key": b"\x81\x91\x01\x01",
        "None as a key": b"\x81\xc0\x01",
        "a key twice, once as text": b"\x82\x01\x01\xa11\x02",
        "an array without its items": b"\xdd\xff\xff\xff\xff",
        "maps without their members": b"\xdf\xff\xff\xff\xff" * 1000,
        "a text without its characters": b"\xdb\xff\xff\xff\xff",
        "arrays without end": b"\x91" * 1_000_000,
    }

    @pytest.fixture
    def component(self) -> MsgpackFormat:
        return MsgpackFormat()

    def deep(self, levels: int) -> bytes:
        return b"\x91" * (levels - 1) + b"\x90"


class TestCsv(FormatsContract):
    twice = b"a,b,a\r\n1,2,3\r\n"
    refused = {
        "a quote without end": b'a\n"' + b"x" * 100_000,
        "text behind a quote": b'a\n"x"y\n',
        "a cell without a name": b"a,b\n1,2,3\n",
        "a long line of them": b"a\n" + b"," * 1_000_000,
        "a long cell": b"a\n" + b"x" * 1_000_000,
    }

    @pytest.fixture
    def component(self) -> CsvFormat:
        return CsvFormat(CsvOptions())

    def expected(self, component, value):
        records = super().expected(component, value)
        return [{name: "" if v is None else v for name, v in row.items()} for row in records]


class TestText(FormatsContract):
    @pytest.fixture
    def component(self) -> TextFormat:
        return TextFormat()


class TestXml(FormatsContract):
    twice = b"<data><a>1</a><b>2</b><a>1</a></data>"
    refused = {
        "nothing": b"",
        "an element without end": b"<data><a></data>",
        "two elements": b"<a/><b/>",
        "an entity": b'<!DOCTYPE d [<!ENTITY a "b">]><d>&a;</d>',
        "a billion laughs": b'<!DOCTYPE d [<!ENTITY a "lol">' + LAUGHS + b"]><d>&k;</d>",
        "a file": b'<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><d>&a;</d>',
        "a DTD elsewhere": b'<!DOCTYPE d SYSTEM "http://127.0.0.1:9/x.dtd"><d/>',
        "a parameter entity": b'<!DOCTYPE d [<!ENTITY % a SYSTEM "http://127.0.0.1:9/">%a;]><d/>',
        "a DTD": b"<!DOCTYPE d><d/>",
        "an unknown entity": b"<d>&nbsp;</d>",
        "elements without end": b"<d>" * 300_000,
        "another encoding": b'<?xml version="1.0" encoding="iso-8859-1"?><d>\xe9</d>',
        "an encoding that there is not": b'<?xml version="1.0" encoding="of-my-own"?><d/>',
        "text beside elements": b"<d>text<a/></d>",
        "an item among others": b"<d><item/><a/></d>",
        "a namespace": b'<d xmlns="http://example.com/"/>',
        "an attribute": b'<d><a href="x"/></d>',
        "many attributes": b"<d " + b" ".join(b'a%d=""' % n for n in range(50_000)) + b"/>",
        "an unknown type": b'<d type="int">1</d>',
        "a type that does not fit": b'<d type="null"><a/></d>',
        "a control character": b"<d>\x0b</d>",
        "the number of one": b"<d>&#11;</d>",
    }

    @pytest.fixture
    def component(self) -> XmlFormat:
        return XmlFormat()

    def deep(self, levels: int) -> bytes:
        return b"<item>" * (levels - 1) + b'<item type="list"/>' + b"</item>" * (levels - 1)


class TestYaml(FormatsContract):
    twice = b"- a: 1\n  b: 2\n  a: 1\n"
    refused = {
        "an alias bomb": BOMB,
        "a long text often": b"a: &a " + b"x" * 100_000 + b"\nb: [" + b"*a, " * 1000 + b"]",
        "an alias of itself": b"&a [*a]",
        "an alias of nothing": b"*a",
        "aliases within each other": b"a: &a [[[[[[[[[[]]]]]]]]]]\n"
        + b"".join(b"%c: &%c [[[[[[[[*%c]]]]]]]]\n" % (c + 1, c + 1, c) for c in range(97, 107)),
        "code": b"!!python/object/apply:os.system [ls]",
        "a tag of its own": b"!mine x",
        "binary data": b"!!binary aaaa",
        "two documents": b"a\n---\nb\n",
        "a list as a key": b"? [a]\n: b\n",
        "an infinite number": b"a: .inf",
        "no number": b"a: .NaN",
        "a number beyond a double": b"1e400",
        "a number of too many digits": b"9" * 100_000,
        "a tab": b"a:\n\t- b",
        "lists without end": b"[" * 100_000,
        "dicts without end": b"{" * 100_000,
        "dashes without end": b"- " * 100_000,
        "keys without end": b"? " * 100_000,
        "many values": b"[" + b"a," * 150_000 + b"]",
        "a control character": b"a: \x00",
        "half of a surrogate pair": b'"\\ud800"',
    }

    @pytest.fixture
    def component(self) -> YamlFormat:
        return YamlFormat()

    def deep(self, levels: int) -> bytes:
        return b"[" * levels + b"]" * levels
