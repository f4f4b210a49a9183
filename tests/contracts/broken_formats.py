"""For each clause of the contract of formats a format that breaks just that one.

The name keeps this file out of a normal run. A test runs it, and sees clause F7 fail in `TestF7`.
Some break the clauses that rest on theirs, too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from kit import jsons
from kit.contracts.formats import FormatsContract
from kit.slots.formats import CHUNK, Unsupported, chunked, plain
from kit.slots.formats.plain import other


class Right:
    """A correct format, JSON without msgspec's stream, for the others to break."""

    media_types: tuple[str, ...] = ("application/json",)
    suffix = "json"

    def dump(self, data: object) -> bytes:
        return msgspec.json.encode(plain(data))

    def stream(self, items: Iterator[object]) -> Iterator[bytes]:
        return chunked(self.pieces(items))

    def pieces(self, items: Iterator[object]) -> Iterator[bytes]:
        gap = b"["
        for item in items:
            yield gap + self.dump(item)
            gap = b","
        yield b"]" if gap == b"," else b"[]"

    def load(self, body: bytes) -> Any:
        return jsons.loads(body)


class Broken(FormatsContract):
    make: Callable[[], Any] = Right
    twice = b'{"a": 1, "a": 2}'
    refused = {"cut off": b"[", "NaN": b"NaN"}

    @pytest.fixture
    def component(self) -> Any:
        return self.make()

    def deep(self, levels: int) -> bytes:
        return b"[" * levels + b"]" * levels


def reading(change: Callable[[Any], Any]) -> type[Right]:
    """A format that changes what it has read."""

    class Format(Right):
        def load(self, body: bytes) -> Any:
            return change(super().load(body))

    return Format


def throughout(change: Callable[[Any], Any]) -> type[Right]:
    """A format that changes every value within what it has read."""

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(item) for item in value]
        if isinstance(value, dict):
            return {key: changed(member) for key, member in value.items()}
        return change(value)

    return reading(changed)


def renaming(change: Callable[[str], str]) -> type[Right]:
    """A format that changes the names of members that it has read."""

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(item) for item in value]
        if isinstance(value, dict):
            return {change(key): changed(member) for key, member in value.items()}
        return value

    return reading(changed)


class TestF1(Broken):
    class make(Right):
        media_types = ("text/json",)


class TestF2(Broken):
    class make(Right):
        def dump(self, data: object) -> bytes:
            found = plain(data)
            return msgspec.json.encode(found[:1] if isinstance(found, list) else found)


class TestF3(Broken):
    class make(Right):
        def dump(self, data: object) -> bytes:
            return super().dump(data).replace(b"890.10", b"890.1")


class TestF4(Broken):
    class make(Right):
        def dump(self, data: object) -> bytes:
            found = plain(data)
            return msgspec.json.encode({**found, "tags": []} if "tags" in found else found)


class TestF5(Broken):
    make = reading(lambda value: value or None)


class TestF6(Broken):
    make = throughout(lambda value: value.strip() if isinstance(value, str) else value)


class TestF7(Broken):
    make = renaming(str.lower)


class TestF8(Broken):
    make = throughout(lambda value: "" if value is None else value)


class TestF9(Broken):
    make = throughout(lambda value: int(value) if type(value) is float else value)


class TestF10(Broken):
    class make(Right):
        def dump(self, data: object) -> bytes:
            return json.dumps(msgspec.to_builtins(data, enc_hook=other)).encode()


class TestF11(Broken):
    class make(Right):
        def dump(self, data: object) -> bytes:
            try:
                return super().dump(data)
            except TypeError as error:
                raise Unsupported(str(error)) from error


class TestF12(Broken):
    class make(Right):
        def dump(self, data: object) -> bytes:
            return super().dump(data) + b" " * (time.perf_counter_ns() % 1000)


class TestF13(Broken):
    class make(Right):
        def pieces(self, items: Iterator[object]) -> Iterator[bytes]:
            yield b"[" + self.dump(next(items, None))
            for item in items:
                yield b"," + self.dump(item)
            yield b"]"


class TestF14(Broken):
    class make(Right):
        def stream(self, items: Iterator[object]) -> Iterator[bytes]:
            return self.pieces(items)


class TestF15(Broken):
    class make(Right):
        def stream(self, items: Iterator[object]) -> Iterator[bytes]:
            return super().stream(iter(list(items)))


class TestF16(Broken):
    class make(Right):
        def stream(self, items: Iterator[object]) -> Iterator[bytes]:
            body = b"".join(self.pieces(items))
            for start in range(0, len(body), CHUNK):
                yield body[start : start + CHUNK]


class TestF17(Broken):
    class make(Right):
        def load(self, body: bytes) -> Any:
            if body.endswith(b":"):
                raise KeyError("the value")
            return super().load(body)


class TestF18(Broken):
    class make(Right):
        def load(self, body: bytes) -> Any:
            return msgspec.json.decode(body)


class TestF19(Broken):
    class make(Right):
        def load(self, body: bytes) -> Any:
            try:
                return super().load(body)
            except ValueError as error:
                if "twice" in str(error):
                    return msgspec.json.decode(body)
                raise


class TestF20(Broken):
    class make(Right):
        def load(self, body: bytes) -> Any:
            return super().load(body.replace(b"NaN", b"null"))


class TestF21(Broken):
    class make(Right):
        def load(self, body: bytes) -> Any:
            return super().load(body.decode(errors="replace").encode())


class TestF22(Broken):
    class make(Right):
        def dump(self, data: object) -> bytes:
            self.data = data
            time.sleep(0)  # another thread's turn
            return super().dump(self.data)
