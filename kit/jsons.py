"""JSON as it comes in: RFC 8259 to the letter, with limits, and one meaning for every text.

msgspec decodes. What it lets pass is refused here: endless nesting, and objects that say one key
twice, of which two readers may take different values.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

DEEPEST = 64
"""How many arrays and objects may stand within each other."""

_TOO_DEEP = f"it is nested more than {DEEPEST} levels deep"
_BRACKET, _BACKSLASH = b"[\\"  # bytes are found fastest as numbers
_OPENING = frozenset(b"[{")
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def loads(data: bytes) -> Any:
    """Decode UTF-8 encoded JSON; raise ValueError, which says what is wrong, for anything else.

    Refused are also nesting beyond `DEEPEST`, a key that an object has twice, NaN and Infinity,
    numbers beyond the range of a double, whole numbers of more than 4300 digits, and one half of
    a surrogate pair.
    """
    colons = data.count(b":")
    # Each level but an empty object at the bottom has a bracket, or a member with its colon.
    levels = colons + data.count(b"[") if _BRACKET in data else colons
    if levels >= DEEPEST and _too_deep(data):
        raise ValueError(_TOO_DEEP)
    try:
        value = _decode(data)
        if colons > 1 and not (type(value) is dict and len(value) == colons):
            _check_keys(data, value, colons)
    except RecursionError as error:  # where little is left of the stack
        raise ValueError(_TOO_DEEP) from error
    return value


def _too_deep(data: bytes) -> bool:
    """Say whether the nesting is too deep, of anything that is well-formed otherwise."""
    if _BACKSLASH in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two quotes that meet are an empty text, or the end of one and the beginning of the next.
    structure = data.translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    depth = 0
    for byte in b"".join(structure.split(b'"')[::2]):
        depth += 1 if byte in _OPENING else -1
        if depth > DEEPEST:
            return True
    return False


def _check_keys(data: bytes, value: Any, colons: int) -> None:
    """Raise ValueError if an object has a key twice.

    Of two members with one key only one is decoded, so that there are fewer colons if the value
    is encoded again. An escaped colon would hide that, so then the keys themselves are compared.
    """
    hidden = _BACKSLASH in data and b"\\u003" in data
    if hidden or _encode(value).count(b":") != colons:
        json.loads(data, object_pairs_hook=_once)


def _once(members: list[tuple[str, Any]]) -> None:
    names = set()
    for name, _ in members:
        if name in names:
            raise ValueError(f"the key {name[:100]!r} comes twice in one object")
        names.add(name)
