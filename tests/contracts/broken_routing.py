"""For every clause of the routing contract a router that is broken in just that respect.

In class ``TestR7`` the test of clause R7 must fail. The name keeps this file out of a normal run:
`test_contracts_can_fail.py` runs it and looks at the outcome.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote

import pytest

from kit.contracts.routing import RoutingContract
from kit.patterns import Native, Parameter, Pattern, expression

Found = tuple[Any, Mapping[str, Any]] | None


class Router:
    """A correct router that tries one expression after another, for the others to break."""

    def __init__(self) -> None:
        self.table: list[tuple[Pattern | Native, Any]] = []

    def add(self, pattern: Pattern | Native, endpoint: Any) -> None:
        if isinstance(pattern, Native) and not pattern.text.startswith("/native"):
            raise ValueError("it starts with /native")
        self.table.append((pattern, endpoint))

    def candidates(self, path: str) -> list[tuple[Pattern | Native, Any]]:
        return self.table

    def regex(self, pattern: Pattern | Native) -> str:
        return "/native/(?P<x>[0-9])" if isinstance(pattern, Native) else pattern.regex

    def fullmatch(self, regex: str, path: str) -> re.Match[str] | None:
        return re.fullmatch(regex, path)

    def values(self, found: re.Match[str], pattern: Pattern | Native) -> dict[str, Any]:
        return found.groupdict()

    def match(self, path: str) -> Found:
        for pattern, endpoint in self.candidates(path):
            if found := self.fullmatch(self.regex(pattern), path):
                return endpoint, self.values(found, pattern)
        return None

    def build(self, endpoint: Any, values: Mapping[str, object]) -> str:
        pattern = next(pattern for pattern, one in self.table if one == endpoint)
        if isinstance(pattern, Native):
            return f"/native/{values['x']}"
        return self.built(pattern, values)

    def built(self, pattern: Pattern, values: Mapping[str, object]) -> str:
        return pattern.build(values)


class Base(RoutingContract):
    native = "/native/?"

    @pytest.fixture
    def component(self) -> Router:
        return self.Router()


def other_regex(kind: str, regex: str) -> type[Router]:
    """Return a router in which one kind of parameter has another expression."""

    class Other(Router):
        def regex(self, pattern: Pattern | Native) -> str:
            if isinstance(pattern, Native):
                return super().regex(pattern)
            return "".join(
                re.escape(piece)
                if isinstance(piece, str)
                else f"(?P<{piece.name}>{regex if piece.kind == kind else piece.converter.regex})"
                for piece in pattern.pieces
            )

    return Other


def other_path(change: Callable[[str], str]) -> type[Router]:
    """Return a router that changes the path before it looks."""

    class Other(Router):
        def match(self, path: str) -> Found:
            return super().match(change(path))

    return Other


def other_order(key: Callable[[Pattern], Any]) -> type[Router]:
    """Return a router with an order of its own."""

    class Other(Router):
        def candidates(self, path: str) -> list[tuple[Any, Any]]:
            return sorted(self.table, key=lambda one: key(one[0]))

    return Other


def unchecked(fits: Callable[[str], bool]) -> type[Router]:
    """Return a router that builds with these values, whether they fit or not."""

    class Other(Router):
        def built(self, pattern: Pattern, values: Mapping[str, object]) -> str:
            try:
                return super().built(pattern, values)
            except ValueError:
                texts = {name: str(value) for name, value in values.items()}
                if not all(map(fits, texts.values())):
                    raise
                return "".join(
                    piece if isinstance(piece, str) else quote(texts[piece.name])
                    for piece in pattern.pieces
                )

    return Other


def has_text(segment: tuple[str | Parameter, ...]) -> bool:
    return any(isinstance(piece, str) for piece in segment)


class TestR1(Base):
    class Router(Router):
        def fullmatch(self, regex: str, path: str) -> re.Match[str] | None:
            return re.match(regex, path)


class TestR2(Base):
    class Router(Router):
        def match(self, path: str) -> Found:
            return super().match(path) if self.table else self.table[0]


class TestR3(Base):
    class Router(Router):
        def fullmatch(self, regex: str, path: str) -> re.Match[str] | None:
            return re.fullmatch(regex, path, re.IGNORECASE)


class TestR4(Base):
    Router = other_regex("str", "[^/]*")


class TestR5(Base):
    Router = other_regex("int", r"\d{1,18}|\d{19}(?<![1-9]{19})(?<!99.{17})")


class TestR6(Base):
    Router = other_regex("int", "[0-9]+")


class TestR7(Base):
    Router = other_regex("float", r"[0-9]+(?:\.[0-9]+)?")


class TestR8(Base):
    Router = other_regex("uuid", "[0-9a-fA-F-]{32,36}")


class TestR9(Base):
    Router = other_regex("path", r"[^/]+")


class TestR10(Base):
    Router = other_regex("path", r"[\s\S]+")


class TestR11(Base):
    class Router(Router):
        def values(self, found: re.Match[str], pattern: Pattern | Native) -> dict[str, Any]:
            values = super().values(found, pattern)
            return dict(list(values.items())[:1])


class TestR12(Base):
    Router = other_order(lambda pattern: (not pattern.names, pattern.rank))


class TestR13(Base):
    Router = other_order(lambda pattern: any(map(has_text, pattern.segments[0:1])))


class TestR14(Base):
    Router = other_order(
        lambda pattern: (
            [kind if kind == 0 else 9 - kind for kind, *_ in pattern.rank],
            pattern.rank,
        )
    )


class TestR15(Base):
    Router = other_order(lambda pattern: ("path:" not in pattern.text, pattern.rank))


class TestR16(Base):
    Router = other_order(lambda pattern: (pattern.text.count("/"), pattern.rank))


class TestR17(Base):
    class Router(Router):
        def candidates(self, path: str) -> list[tuple[Any, Any]]:
            first = path.split("/")[1]
            for pattern, _ in self.table:
                if re.fullmatch(expression(pattern.segments[0]), first):
                    return [one for one in self.table if one[0].rank[0] == pattern.rank[0]]
            return self.table


class TestR18(Base):
    Router = other_path(lambda path: path.rstrip("/") or "/")


class TestR19(Base):
    class Router(Router):
        def match(self, path: str) -> Found:
            if any(pattern.text == f"{path}/" for pattern, _ in self.table):
                return None
            return super().match(path)


class TestR20(Base):
    Router = other_path(lambda path: re.sub("/+", "/", path))


class TestR21(Base):
    class Router(Router):
        def fullmatch(self, regex: str, path: str) -> re.Match[str] | None:
            return re.match(f"{regex}$", path)


class TestR22(Base):
    Router = other_path(lambda path: path.encode("latin-1", "ignore").decode("latin-1"))


class TestR23(Base):
    class Router(Router):
        def regex(self, pattern: Pattern | Native) -> str:
            return super().regex(pattern).replace(r"\.", ".")


class TestR24(Base):
    Router = other_path(unquote)


class TestR25(Base):
    class Router(Router):
        def values(self, found: re.Match[str], pattern: Pattern | Native) -> dict[str, Any]:
            values = super().values(found, pattern)
            return {n: int(v) if v.isascii() and v.isdigit() else v for n, v in values.items()}


class TestR26(Base):
    class Router(Router):
        def values(self, found: re.Match[str], pattern: Pattern | Native) -> dict[str, Any]:
            return dict(zip(self.table[0][0].names, found.groups(), strict=False))


class TestR27(Base):
    class Router(Router):
        def regex(self, pattern: Pattern | Native) -> str:
            return super().regex(pattern).replace("(?P<x>on|off)", "(?P<x>onoff|on|off)")


class TestR28(Base):
    class Router(Router):
        def regex(self, pattern: Pattern | Native) -> str:
            return super().regex(pattern).replace("[0-9]{4}/", "[0-9]{4}-")


class TestR29(Base):
    class Router(Router):
        def built(self, pattern: Pattern, values: Mapping[str, object]) -> str:
            return super().built(pattern, values).rstrip("/") or "/"


class TestR30(Base):
    class Router(Router):
        def built(self, pattern: Pattern, values: Mapping[str, object]) -> str:
            return super().built(pattern, values).replace("%27", "'")


class TestR31(Base):
    class Router(Router):
        def built(self, pattern: Pattern, values: Mapping[str, object]) -> str:
            return super().built(pattern, values).replace("%20", "+")


class TestR32(Base):
    class Router(Router):
        def built(self, pattern: Pattern, values: Mapping[str, object]) -> str:
            return super().built(pattern, {**dict.fromkeys(pattern.names, 0), **values})


class TestR33(Base):
    Router = unchecked(lambda text: "." not in text.split("/"))


class TestR34(Base):
    Router = unchecked(lambda text: bool({".", ".."} & set(text.split("/"))))


class TestR35(Base):
    class Router(Router):
        def regex(self, pattern: Pattern | Native) -> str:
            return re.escape(pattern.text) if isinstance(pattern, Native) else pattern.regex


class TestR36(Base):
    class Router(Router):
        def build(self, endpoint: Any, values: Mapping[str, object]) -> str:
            return super().build(endpoint, {"x": "", **values})


class TestR37(Base):
    class Router(Router):
        def add(self, pattern: Pattern | Native, endpoint: Any) -> None:
            self.table.append((pattern, endpoint))


class TestR38(Base):
    class Router(Router):
        def candidates(self, path: str) -> list[tuple[Any, Any]]:
            return self.table[:500]


class TestR39(Base):
    class Router(Router):
        def match(self, path: str) -> Found:
            found = super().match(path)
            return (found[0]() if callable(found[0]) else found[0], found[1]) if found else None


class TestR40(Base):
    class Router(Router):
        def match(self, path: str) -> Found:
            self.path = path
            return super().match(path)

        def fullmatch(self, regex: str, path: str) -> re.Match[str] | None:
            return re.fullmatch(regex, self.path)


class TestR41(Base):
    class Router(Router):
        def __init__(self) -> None:
            super().__init__()
            self.found: dict[str, Found] = {}

        def match(self, path: str) -> Found:
            return self.found.setdefault(path, super().match(path))
