"""The contract of the slot ``routing``: which pattern a path leads to, and which path leads back.

What the kernel does itself (methods, redirects to the right slash, the values of parameters) is
not asked of a router, and not tested here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar
from urllib.parse import unquote

import pytest

from kit.contracts import Contract, clause, taking_turns
from kit.patterns import CONVERTERS, Converter, Native, Pattern
from kit.slots.routing import Router

UUID_TEXT = "2f1e1c5e-7d3c-4b6e-9f65-0123456789aB"
NASTY = [
    "a b",
    "100%",
    "%41",
    "%2F",
    "?q=1",
    "#top",
    "a;b=c",
    "a+b",
    "a&b",
    "é€😀",
    "'single' \"double\"",
    "<b>",
    "\\",
    "{x}",
    "[1]",
    "^$.*|",
    "a:b@c,d!",
    "~",
    "..a",
    " ",
    "\n",
    "a\r\nb",
]

_Found = tuple[Any, dict[str, Any]] | None
_Routed = Callable[..., Callable[[str], _Found]]


class RoutingContract(Contract):
    """What every component of the slot ``routing`` promises.

    A subclass gives the fixture ``component``: a new router without patterns. If the library has
    patterns of its own, `native` is one that leads ``/native/7`` to the parameter ``x``, and
    `malformed` is one that the library refuses.
    """

    capabilities: ClassVar[dict[str, str]] = {
        "native": "patterns in the library's own syntax, handed through as `kit.Native`"
    }
    native: ClassVar[str] = ""
    malformed: ClassVar[str] = "/<"

    @pytest.fixture
    def component(self) -> Router:
        """Give a new router without patterns."""
        raise NotImplementedError("write the fixture 'component': it returns an empty router")

    @pytest.fixture
    def routed(self, component: Router) -> _Routed:
        """Add patterns as the kernel does, and return what finds the text of a path's pattern."""

        def routed(
            *texts: str, converters: Mapping[str, Converter] = CONVERTERS
        ) -> Callable[[str], _Found]:
            patterns = [Pattern.parse(text, converters) for text in texts]
            for pattern in sorted(patterns, key=lambda pattern: pattern.rank):
                component.add(pattern, pattern.text)
            return lambda path: _plain(component.match(path))

        return routed

    @clause("R1")
    def test_text(self, routed: _Routed) -> None:
        """A pattern of plain text leads that path, and no other, to its endpoint."""
        find = routed("/", "/about", "/a.b/c-d")
        assert find("/") == ("/", {})
        assert find("/about") == ("/about", {})
        assert find("/a.b/c-d") == ("/a.b/c-d", {})
        for path in ("/abou", "/about1", "/aXb/c-d", "/about/us", "/us/about", "/c-d"):
            assert find(path) is None, path

    @clause("R2")
    def test_no_pattern(self, component: Router) -> None:
        """A router without patterns finds nothing, and raises nothing."""
        assert component.match("/") is None
        assert component.match("/somewhere/else") is None

    @clause("R3")
    def test_case(self, routed: _Routed) -> None:
        """Upper and lower case differ."""
        find = routed("/About", "/sub/<name>")
        assert find("/About") == ("/About", {})
        assert find("/about") is None
        assert find("/SUB/x") is None

    @clause("R4")
    def test_text_parameter(self, routed: _Routed) -> None:
        """A parameter takes one segment of any text, and not an empty one."""
        find = routed("/c/<name>", "/d/<name>/<other>/end")
        assert find("/c/x") == ("/c/<name>", {"name": "x"})
        assert find("/d/x/y.z/end") == ("/d/<name>/<other>/end", {"name": "x", "other": "y.z"})
        for path in ("/c/", "/c", "/c/x/y", "/d/x//end", "/d/x/end", "/d//y/end"):
            assert find(path) is None, path

    @clause("R5")
    def test_int_digits(self, routed: _Routed) -> None:
        """``int`` takes ASCII digits only."""
        find = routed("/c/<int:id>")
        assert find("/c/12") == ("/c/<int:id>", {"id": "12"})
        for text in ("x", "1x", "x1", "-1", "+1", "1_0", " 1", "1 ", "1.0", "\u0663", "²", "1\n"):
            assert find(f"/c/{text}") is None, text
        assert find("/c/\uff11\uff12") is None, "digits of full width"

    @clause("R6")
    def test_int_size(self, routed: _Routed) -> None:
        """``int`` takes nothing beyond 64 bits."""
        find = routed("/c/<int:id>")
        assert find(f"/c/{10**18}") == ("/c/<int:id>", {"id": str(10**18)})
        for number in (2**63, 10**19, 10**400):
            assert find(f"/c/{number}") is None, number

    @clause("R7")
    def test_float(self, routed: _Routed) -> None:
        """``float`` takes digits, a point and digits."""
        find = routed("/c/<float:x>")
        assert find("/c/1.50") == ("/c/<float:x>", {"x": "1.50"})
        for text in (
            "1",
            "1.",
            ".5",
            "-1.5",
            "1e5",
            "1.5e5",
            "nan",
            "1,5",
            "1.2.3",
            "\u0661.5",
            "1x5",
        ):
            assert find(f"/c/{text}") is None, text

    @clause("R8")
    def test_uuid(self, routed: _Routed) -> None:
        """``uuid`` takes the form with four hyphens, in either case."""
        find = routed("/c/<uuid:id>")
        assert find(f"/c/{UUID_TEXT}") == ("/c/<uuid:id>", {"id": UUID_TEXT})
        for text in (
            UUID_TEXT.replace("-", ""),
            UUID_TEXT[:-1],
            f"{UUID_TEXT}0",
            f"{{{UUID_TEXT}}}",
        ):
            assert find(f"/c/{text}") is None, text

    @clause("R9")
    def test_path(self, routed: _Routed) -> None:
        """``path`` takes one or more segments."""
        find = routed("/f/<path:file>", "/g/<path:file>/edit")
        assert find("/f/a") == ("/f/<path:file>", {"file": "a"})
        assert find("/f/a/b.c/d") == ("/f/<path:file>", {"file": "a/b.c/d"})
        assert find("/g/a/b/edit") == ("/g/<path:file>/edit", {"file": "a/b"})
        assert find("/g/edit") is None
        assert find("/g/a/b/edits") is None

    @clause("R10")
    def test_path_edges(self, routed: _Routed) -> None:
        """``path`` neither begins nor ends with a slash, and is not empty."""
        find = routed("/f/<path:file>")
        for path in ("/f/", "/f", "/f//", "/f/a/", "/f//a", "/f/a/b/"):
            assert find(path) is None, path

    @clause("R11")
    def test_mixed_segment(self, routed: _Routed) -> None:
        """Text and parameters may share a segment."""
        find = routed("/v<int:major>.<int:minor>/x", "/<name>.html")
        assert find("/v1.22/x") == (
            "/v<int:major>.<int:minor>/x",
            {"major": "1", "minor": "22"},
        )
        assert find("/a.b.html") == ("/<name>.html", {"name": "a.b"})
        for path in ("/v1.2", "/1.2/x", "/v1x2/x", "/v1./x", "/.html", "/ahtml"):
            assert find(path) is None, path

    @clause("R12")
    def test_text_before_parameters(self, routed: _Routed) -> None:
        """Plain text comes before parameters."""
        find = routed("/c/<name>", "/c/<path:rest>", "/c/new", "/<path:rest>", "/c<name>/new")
        assert find("/c/new") == ("/c/new", {})

    @clause("R13")
    def test_mixed_before_whole(self, routed: _Routed) -> None:
        """Segments with more text come before those with less, or none."""
        find = routed("/<name>", "/v<name>", "/v-<name>", "/<int:id>", "/<int:id>v")
        assert find("/v-1") == ("/v-<name>", {"name": "1"})
        assert find("/v1") == ("/v<name>", {"name": "1"})
        assert find("/1v") == ("/<int:id>v", {"id": "1"})
        assert find("/x") == ("/<name>", {"name": "x"})

    @clause("R14")
    def test_narrow_before_wide(self, routed: _Routed) -> None:
        """Parameters of a narrow kind come before those that take any text."""
        hexadecimal = {**CONVERTERS, "hex": Converter("[0-9a-f]{4}")}
        find = routed("/c/<name>", "/c/<int:id>", "/<name>/<hex:x>", converters=hexadecimal)
        assert find("/c/12") == ("/c/<int:id>", {"id": "12"})
        assert find("/c/1x") == ("/c/<name>", {"name": "1x"})
        assert find("/d/00ff") == ("/<name>/<hex:x>", {"name": "d", "x": "00ff"})

    @clause("R15")
    def test_segments_before_paths(self, routed: _Routed) -> None:
        """Parameters of one segment come before paths."""
        find = routed("/<path:rest>", "/<a>/<b>", "/<a>", "/<path:rest>/end")
        assert find("/x") == ("/<a>", {"a": "x"})
        assert find("/x/end") == ("/<a>/<b>", {"a": "x", "b": "end"})
        assert find("/x/y/z") == ("/<path:rest>", {"rest": "x/y/z"})

    @clause("R16")
    def test_longer_paths_first(self, routed: _Routed) -> None:
        """A path with text behind it comes before a path that takes all."""
        find = routed("/<path:rest>", "/<path:rest>/edit")
        assert find("/a/b/edit") == ("/<path:rest>/edit", {"rest": "a/b"})

    @clause("R17")
    def test_backtracking(self, routed: _Routed) -> None:
        """A more specific beginning that leads nowhere is given up for another one."""
        find = routed("/a/b/c", "/a/<x>/d", "/<x>/b/e", "/<int:x>/1", "/<x>/2", "/a/<path:x>")
        assert find("/a/b/d") == ("/a/<x>/d", {"x": "b"})
        assert find("/a/b/e") == ("/a/<path:x>", {"x": "b/e"})
        assert find("/z/b/e") == ("/<x>/b/e", {"x": "z"})
        assert find("/7/2") == ("/<x>/2", {"x": "7"})
        assert find("/z/b/d") is None

    @clause("R18")
    def test_trailing_slash(self, routed: _Routed) -> None:
        """A slash at the end counts: with and without are two paths."""
        find = routed("/a", "/b/", "/c/<x>", "/d/<x>/", "/e", "/e/", "/f/<path:x>/")
        assert find("/a") == ("/a", {})
        assert find("/b/") == ("/b/", {})
        assert find("/d/1/") == ("/d/<x>/", {"x": "1"})
        assert find("/e") == ("/e", {})
        assert find("/e/") == ("/e/", {})
        assert find("/f/1/2/") == ("/f/<path:x>/", {"x": "1/2"})
        for path in ("/a/", "/b", "/c/1/", "/d/1", "/f/1/2"):
            assert find(path) is None, path

    @clause("R19")
    def test_trailing_slash_and_parameters(self, routed: _Routed) -> None:
        """A pattern that only lacks the slash at the end does not hide one that matches."""
        find = routed("/a/", "/<x>", "/b/<int:id>/", "/b/<x>")
        assert find("/a") == ("/<x>", {"x": "a"})
        assert find("/b/7") == ("/b/<x>", {"x": "7"})

    @clause("R20")
    def test_doubled_slashes(self, routed: _Routed) -> None:
        """A doubled slash is not a single one, anywhere."""
        find = routed("/", "/a/b", "/c/<x>", "/<x>/e/")
        for path in ("//", "//a/b", "/a//b", "/a/b//", "//c/1", "/c//1", "//e/", "/1/e//"):
            assert find(path) is None, path

    @clause("R21")
    def test_line_breaks(self, routed: _Routed) -> None:
        """A line break is a character of a value, and never the end of a path."""
        find = routed("/a", "/c/<x>", "/d/<x>/e", "/f/<path:x>")
        assert find("/c/x\n") == ("/c/<x>", {"x": "x\n"})
        assert find("/c/\n") == ("/c/<x>", {"x": "\n"})
        assert find("/d/x\ny\u2028/e") == ("/d/<x>/e", {"x": "x\ny\u2028"})
        assert find("/f/x\n/y\n") == ("/f/<path:x>", {"x": "x\n/y\n"})
        assert find("/a\n") is None
        assert find("/d/x/e\n") is None

    @clause("R22")
    def test_unicode(self, routed: _Routed) -> None:
        """Text and values may hold any character, compared one by one."""
        find = routed("/größe/<x>", "/c/<x>", "/<x>ß")
        assert find("/größe/日本 語😀") == ("/größe/<x>", {"x": "日本 語😀"})
        assert find("/c/e\u0301") == ("/c/<x>", {"x": "e\u0301"})
        assert find("/1ß") == ("/<x>ß", {"x": "1"})
        assert find("/gro\u0308ße/1") is None
        assert find("/1ss") is None

    @clause("R23")
    def test_characters_with_a_meaning_elsewhere(self, routed: _Routed) -> None:
        """Characters that have a meaning in expressions and patterns are text like any other."""
        texts = ["/a.c", "/a|c", "/(a)", "/[c]", "/a*", "/^a$", "/{a}", "/{a:path}", "/a+c", "/:a"]
        find = routed(*texts, *(f"{text}/<x>" for text in texts), "/*a<x>", "/{b}<x>")
        for text in texts:
            assert find(text) == (text, {}), text
            assert find(f"{text}/1") == (f"{text}/<x>", {"x": "1"}), text
        assert find("/*a1") == ("/*a<x>", {"x": "1"})
        assert find("/{b}1") == ("/{b}<x>", {"x": "1"})
        for path in ("/abc", "/a", "/aa", "/c", "/x", "/x/1", "/aac", "/ac/1", "/b1"):
            assert find(path) is None, path

    @clause("R24")
    def test_no_second_decoding(self, routed: _Routed) -> None:
        """Percent signs and plus signs in a path are characters: it is decoded already."""
        find = routed("/c/<x>", "/a b", "/100%")
        assert find("/c/%2Fx%41") == ("/c/<x>", {"x": "%2Fx%41"})
        assert find("/c/1+1") == ("/c/<x>", {"x": "1+1"})
        assert find("/100%") == ("/100%", {})
        assert find("/a%20b") is None
        assert find("/a+b") is None

    @clause("R25")
    def test_raw_parameters(self, routed: _Routed) -> None:
        """Parameters are the texts as they stand in the path, of every kind."""
        find = routed("/i/<int:x>", "/f/<float:x>", "/u/<uuid:x>", "/m/v<int:x>")
        for path, text in {
            "/i/007": "007",
            "/f/01.50": "01.50",
            f"/u/{UUID_TEXT}": UUID_TEXT,
            "/m/v00": "00",
        }.items():
            found = find(path)
            assert found is not None, path
            assert found[1] == {"x": text}
            assert type(found[1]["x"]) is str

    @clause("R26")
    def test_names_of_parameters(self, routed: _Routed) -> None:
        """Every pattern has its own names for parameters, whatever the others call them."""
        find = routed("/a/<x>/1", "/a/<y>/2", "/<y>/b/3", "/<class>/<self>/<path>")
        assert find("/a/v/1") == ("/a/<x>/1", {"x": "v"})
        assert find("/a/v/2") == ("/a/<y>/2", {"y": "v"})
        assert find("/v/b/3") == ("/<y>/b/3", {"y": "v"})
        assert find("/1/2/3") == (
            "/<class>/<self>/<path>",
            {"class": "1", "self": "2", "path": "3"},
        )

    @clause("R27")
    def test_custom_converters(self, routed: _Routed) -> None:
        """An application's own converter decides by its expression, over the whole text."""
        converters = {
            **CONVERTERS,
            "slug": Converter("[a-z]+(?:-[a-z]+)*"),
            "two-ways": Converter("on|off"),
        }
        find = routed(
            "/s/<slug:x>", "/t/<two-ways:x>", "/m/<slug:x>.<int:y>", converters=converters
        )
        assert find("/s/one-two") == ("/s/<slug:x>", {"x": "one-two"})
        assert find("/t/off") == ("/t/<two-ways:x>", {"x": "off"})
        assert find("/m/a-b.3") == ("/m/<slug:x>.<int:y>", {"x": "a-b", "y": "3"})
        for path in ("/s/One", "/s/a-", "/s/-a", "/t/onoff", "/t/offline", "/t/xon", "/m/a.b"):
            assert find(path) is None, path

    @clause("R28")
    def test_custom_converters_with_slashes(self, routed: _Routed) -> None:
        """A converter that says so takes several segments; others take one."""
        converters = {**CONVERTERS, "day": Converter("[0-9]{4}/[0-9]{2}", slashes=True)}
        find = routed("/<day:x>/news", "/<day:x>", converters=converters)
        assert find("/2026/11/news") == ("/<day:x>/news", {"x": "2026/11"})
        assert find("/2026/11") == ("/<day:x>", {"x": "2026/11"})
        assert find("/2026/11/12") is None
        assert find("/2026") is None

    @clause("R29")
    def test_build(self, component: Router) -> None:
        """Build gives the path for values of every kind."""
        cases: list[tuple[str, dict[str, object], str]] = [
            ("/", {}, "/"),
            ("/about/", {}, "/about/"),
            ("/c/<int:id>", {"id": 7}, "/c/7"),
            ("/c/<float:x>/", {"x": 1.5}, "/c/1.5/"),
            ("/c/<name>", {"name": "Ada"}, "/c/Ada"),
            ("/c/<uuid:id>", {"id": UUID_TEXT}, f"/c/{UUID_TEXT}"),
            ("/f/<path:p>/edit", {"p": "a/b.c"}, "/f/a/b.c/edit"),
            ("/v<int:x>.<int:y>", {"x": 1, "y": 22}, "/v1.22"),
        ]
        for text, values, path in cases:
            component.add(Pattern.parse(text), text)
            assert component.build(text, values) == path, text

    @clause("R30")
    def test_build_quotes(self, component: Router) -> None:
        """Everything but unreserved characters is percent-encoded UTF-8 in what is built."""
        pattern = Pattern.parse("/größe (x)/<name>")
        component.add(pattern, "there")
        assert component.build("there", {"name": "é b"}) == "/gr%C3%B6%C3%9Fe%20%28x%29/%C3%A9%20b"
        for text in NASTY:
            path = component.build("there", {"name": text})
            assert re.fullmatch(r"/(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})*", path), path

    @clause("R31")
    def test_round_trip(self, component: Router) -> None:
        """What is built leads back to the endpoint and the same values."""
        for text in ("/c/<x>", "/d/<x>/end", "/e/v<x>.html", "/f/<path:x>", "/%41/<x>"):
            component.add(Pattern.parse(text), text)
        for value in NASTY:
            for text in ("/c/<x>", "/d/<x>/end", "/e/v<x>.html", "/%41/<x>"):
                path = unquote(component.build(text, {"x": value}))
                assert _plain(component.match(path)) == (text, {"x": value})
            several = f"{value}/{value}"
            path = unquote(component.build("/f/<path:x>", {"x": several}))
            assert _plain(component.match(path)) == ("/f/<path:x>", {"x": several})

    @clause("R32")
    def test_build_without_a_value(self, component: Router) -> None:
        """Build raises KeyError with the name of a missing value."""
        component.add(Pattern.parse("/c/<int:id>/<name>"), "there")
        with pytest.raises(KeyError, match="name"):
            component.build("there", {"id": 1})
        with pytest.raises(KeyError):
            component.build("there", {})

    @clause("R33")
    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            *(("int", value) for value in ("x", -1, 1.5, 10**19, True, None, "1\n")),
            *(("float", value) for value in ("x", -1.5, float("nan"), 1e300, 1)),
            *(("str", value) for value in ("", "a/b", "/")),
            *(("path", value) for value in ("", "/a", "a/", "/")),
            ("uuid", "x"),
        ],
    )
    def test_build_with_a_wrong_value(self, component: Router, kind: str, value: object) -> None:
        """Build raises ValueError for a value that does not fit, for it would lead elsewhere."""
        component.add(Pattern.parse(f"/c/<{kind}:x>"), "there")
        with pytest.raises(ValueError, match=r"\w"):
            component.build("there", {"x": value})

    @clause("R34")
    @pytest.mark.parametrize(
        ("kind", "value"),
        [("str", "."), ("str", ".."), ("path", "a/../b"), ("path", "./a"), ("path", "..")],
    )
    def test_build_with_dot_segments(self, component: Router, kind: str, value: object) -> None:
        """Build raises ValueError for dot segments, which clients would resolve."""
        component.add(Pattern.parse(f"/c/<{kind}:x>"), "there")
        with pytest.raises(ValueError, match=r"\w"):
            component.build("there", {"x": value})

    @clause("R35", needs="native")
    def test_native(self, component: Router) -> None:
        """A pattern in the library's own syntax is handed through."""
        assert self.native, "set `native` to a pattern that leads /native/7 to the parameter x"
        component.add(Pattern.parse("/a/<x>"), "ours")
        component.add(Native(self.native), "theirs")
        found = _plain(component.match("/native/7"))
        assert found is not None
        assert (found[0], str(found[1]["x"])) == ("theirs", "7")
        assert _plain(component.match("/a/7")) == ("ours", {"x": "7"})

    @clause("R36", needs="native")
    def test_build_native(self, component: Router) -> None:
        """Build works for a pattern in the library's own syntax."""
        component.add(Native(self.native), "theirs")
        assert component.build("theirs", {"x": 7}) == "/native/7"
        with pytest.raises(KeyError, match="x"):
            component.build("theirs", {})

    @clause("R37")
    def test_refused_pattern(self, component: Router) -> None:
        """A pattern that the library cannot take is a ValueError with a reason, when added."""
        with pytest.raises(ValueError, match=r"\w"):
            component.add(Native(self.malformed), "there")

    @clause("R38")
    def test_a_thousand_patterns(self, routed: _Routed) -> None:
        """A thousand patterns are told apart."""
        plain = [f"/section{n}/list" for n in range(400)]
        typed = [f"/section{n}/<int:id>" for n in range(400)]
        mixed = [f"/page{n}-<name>" for n in range(200)]
        find = routed(*typed, *mixed, *plain)
        for n in range(400):
            assert find(f"/section{n}/list") == (plain[n], {})
            assert find(f"/section{n}/{n}") == (typed[n], {"id": str(n)})
        for n in range(200):
            assert find(f"/page{n}-x") == (mixed[n], {"name": "x"})
        assert find("/section400/list") is None
        assert find("/page200-x") is None

    @clause("R39")
    def test_opaque_endpoints(self, component: Router) -> None:
        """An endpoint is any hashable object, given back as it is."""

        def handler() -> None:
            raise AssertionError("a router calls nothing")

        given = [object(), handler, None, 0, "", ("a", 1), frozenset()]
        for n, endpoint in enumerate(given):
            component.add(Pattern.parse(f"/e{n}"), endpoint)
            component.add(Pattern.parse(f"/e{n}/<x>"), (n, endpoint))
        for n, endpoint in enumerate(given):
            found = component.match(f"/e{n}")
            assert found is not None
            assert found[0] is endpoint
            assert _plain(component.match(f"/e{n}/1")) == ((n, endpoint), {"x": "1"})

    @clause("R40")
    def test_threads(self, routed: _Routed) -> None:
        """Any number of threads may match, from the first path on."""
        texts = [f"/t{n}/<int:id>" for n in range(50)]
        find = routed(*texts)

        def check(n: int) -> bool:
            found = [find(f"/t{m}/{n}") for m in range(50)]
            return found == [(text, {"id": str(n)}) for text in texts]

        with taking_turns(), ThreadPoolExecutor(8) as pool:
            assert all(pool.map(check, range(40)))

    @clause("R41")
    def test_nothing_is_kept(self, component: Router) -> None:
        """What a match returns belongs to the caller: changing it does not change the next one."""
        component.add(Pattern.parse("/c/<x>"), "there")
        component.add(Pattern.parse("/plain"), "plain")
        for path, values in {"/c/1": {"x": "1"}, "/plain": {}}.items():
            found = component.match(path)
            if found is not None and isinstance(found[1], dict):
                found[1]["x"] = found[1]["y"] = "changed"
            assert _plain(component.match(path)) == (found and found[0], values)


def _plain(found: tuple[Any, Mapping[str, Any]] | None) -> _Found:
    """Return what a router found in a form that can be compared."""
    return found and (found[0], dict(found[1]))
