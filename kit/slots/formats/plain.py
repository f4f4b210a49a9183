"""Plain data: the neutral form of what a handler returns, which every format shows alike.

It consists of dicts with text as keys, lists, text, numbers, booleans and None. It is by
definition what JSON makes of a value, so that no two formats can differ about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from kit.options import Secret

CHUNK = 16 * 1024
"""The size in bytes that the chunks of a streamed body have, or little more."""


class Unsupported(TypeError):  # noqa: N818 - it is no failure: another format is tried
    """Data that has no form in a format: the next one that the client accepts is tried."""


def other(value: Any) -> Any:
    """Return a value that msgspec does not know as one that it knows.

    Texts of a class of their own (`Markup`) become text, other mappings dicts, and everything
    else that can be iterated over a list. Raises TypeError for what is no data.
    """
    if isinstance(value, str) and not isinstance(value, Secret):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable) and not isinstance(value, (str, type)):
        return list(value)
    raise TypeError(
        f"a value of the type {type(value).__name__} is no data: make a dict or a dataclass of it"
    )


_encode = msgspec.json.Encoder(enc_hook=other).encode
_decode = msgspec.json.Decoder().decode


def plain(value: Any) -> Any:
    """Return the neutral form of `value`.

    | a value | becomes |
    | --- | --- |
    | dataclass, ``msgspec.Struct``, mapping | dict; keys become text |
    | list, tuple, set, iterator | list; a set in no particular order |
    | datetime, date, time, timedelta | text as ISO 8601 writes it |
    | Decimal, UUID | text |
    | Enum | its value |
    | bytes | text in Base64 |
    | a float that is not finite | None |

    Raises TypeError for what is no data.
    """
    return _decode(_encode(value))


def rows(value: Any) -> list[Any]:
    """Return the plain rows of `value`, for formats that show one row after another.

    A list is its rows. A mapping with exactly one list in it is that list, whatever stands beside
    it; with no list in it, and for a dataclass, it is one row. Raises `Unsupported` for a mapping
    with several lists.
    """
    data = plain(value)
    if isinstance(data, list):
        return data
    if isinstance(value, Mapping):
        lists = [member for member in data.values() if isinstance(member, list)]
        if len(lists) > 1:
            raise Unsupported("there are several lists, and none of them is the rows")
        if lists:
            return lists[0]
    return [data]


def shown(value: Any) -> str:
    """Return a plain value that is no dict or list as text: as JSON writes it, None as nothing."""
    if isinstance(value, str):
        return value
    return "" if value is None else _encode(value).decode()


def chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces of a body to chunks of the size `CHUNK`."""
    chunk = bytearray()
    for piece in pieces:
        chunk += piece
        if len(chunk) >= CHUNK:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)
