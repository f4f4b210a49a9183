"""YAML by PyYAML, as a component of the slot formats.

PyYAML, and not ruamel.yaml, since it is what most have installed, with libyaml and type hints.
Of its reading half only the parser is in use. What the kit makes of the parsed events is YAML 1.2
with the core schema, so that ``no`` and ``2024-01-01`` are text, and nothing but plain data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from kit import jsons
from kit.slots.formats import chunked, plain

VALUES = 100_000
"""How many values a body may have; an alias counts like what it repeats."""

REPEATED = 1_000_000
"""How many characters of text aliases may repeat."""

DIGITS = 3_000
"""How many digits a whole number may have."""

_TAG = "tag:yaml.org,2002:"
_WORDS = {"~": None, "null": None, "": None, "true": True, "false": False}
_INT = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")


class YamlFormat:
    """YAML in UTF-8. Tags for other types than those of JSON are refused."""

    media_types = ("application/yaml", "application/x-yaml", "text/yaml")
    suffix = "yaml"

    def __init__(self) -> None:
        if not yaml.__with_libyaml__:
            raise RuntimeError("PyYAML has no libyaml here, and is too slow: install its wheel")

    def dump(self, data: object) -> bytes:
        """Return the data in block style."""
        return _written(plain(data))

    def stream(self, items: Iterator[object]) -> Iterator[bytes]:
        """Return a sequence of the rows."""
        return chunked(_sequence(items))

    def load(self, body: bytes) -> Any:
        """Return the data of the one document that there is."""
        try:
            data = _Reading(yaml.parse(body, Loader=yaml.CSafeLoader)).document()
        except yaml.YAMLError as error:
            raise ValueError(" ".join(str(error).split())) from error
        return jsons.loads(msgspec.json.encode(data))  # aliases become copies, within the depth


class _Dumper(yaml.CSafeDumper):
    """Quotes text that a reader of YAML 1.1 or 1.2 would take for something else."""


for _kind, _pattern in (("int", _INT), ("float", _FLOAT)):
    _Dumper.add_implicit_resolver(_TAG + _kind, _pattern, None)


def _written(data: Any) -> bytes:
    text: bytes = yaml.dump(
        data, Dumper=_Dumper, encoding="utf-8", allow_unicode=True, sort_keys=False, width=2**30
    )
    return text


def _sequence(items: Iterator[object]) -> Iterator[bytes]:
    empty = True
    for item in items:
        empty = False
        yield _written([plain(item)])
    if empty:
        yield b"[]\n"


class _Reading:
    """Makes plain data of parsed events. What they hold more deeply than allowed is not parsed."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._anchors: dict[str, tuple[Any, int, int]] = {}
        self._values = self._characters = self._repeated = 0

    def document(self) -> Any:
        """Return the data of the document; None of an empty body."""
        next(self._events)  # the stream starts
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        data = self._node(next(self._events), 0)
        next(self._events)  # the document ends
        if not isinstance(next(self._events), yaml.StreamEndEvent):
            raise ValueError("there is more than one document")
        return data

    def _node(self, event: Any, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor))
        values, characters = self._values, self._characters
        self._count(1)
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
            self._characters += len(event.value)
        elif depth == jsons.DEEPEST:
            raise ValueError(f"it is nested more than {depth} levels deep")
        elif isinstance(event, yaml.SequenceStartEvent):
            _check_tag(event, "seq")
            value = self._sequence(depth)
        else:
            _check_tag(event, "map")
            value = self._mapping(depth)
        if event.anchor:
            sizes = self._values - values, self._characters - characters
            self._anchors[event.anchor] = (value, *sizes)
        return value

    def _count(self, values: int) -> None:
        self._values += values
        if self._values > VALUES:
            raise ValueError(f"it has more than {VALUES} values")

    def _sequence(self, depth: int) -> list[Any]:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return items

    def _mapping(self, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise ValueError("a key is no text")
            if event.value in members:
                raise ValueError(f"the key {event.value[:100]!r} comes twice in one mapping")
            self._characters += len(event.value)
            members[event.value] = self._node(next(self._events), depth + 1)
        return members

    def _alias(self, anchor: str) -> Any:
        if anchor not in self._anchors:
            raise ValueError(f"the alias *{anchor} is for nothing that ends before it")
        value, values, characters = self._anchors[anchor]
        self._count(values)
        self._characters += characters
        self._repeated += characters
        if self._repeated > REPEATED:
            raise ValueError(f"its aliases repeat more than {REPEATED} characters")
        return value


def _check_tag(event: Any, *kinds: str) -> None:
    if event.tag not in (None, "!", *(_TAG + kind for kind in kinds)):
        raise ValueError(f"the tag {event.tag} is not read here")


def _scalar(event: yaml.ScalarEvent) -> Any:
    """Return the value of a scalar by the core schema (YAML 1.2.2, section 10.3.2)."""
    text: str = event.value
    _check_tag(event, "str", "int", "float", "bool", "null")
    if event.style or event.tag in ("!", f"{_TAG}str"):
        return text
    word = text.lower() if text in (text.lower(), text.title(), text.upper()) else text
    if word in _WORDS:
        return _WORDS[word]
    if _INT.match(text):
        if len(text) > DIGITS:
            raise ValueError(f"a whole number has more than {DIGITS} digits")
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    if _NOT_FINITE.match(text) or (_FLOAT.match(text) and not math.isfinite(float(text))):
        raise ValueError(f"the number {text[:100]} is not finite")
    return float(text) if _FLOAT.match(text) else text
