"""JSON Schema (2020-12) of fields: what data have to look like, for OpenAPI and other readers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from kit.slots.validation.fields import NOTHING, Field

_TYPES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer", "format": "int64"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "pattern": r"^[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?$"},
    "uuid": {"type": "string", "format": "uuid"},
    "file": {"type": "string", "format": "binary"},
    "any": {},
}
_LIMITS = {
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
_OF_LISTS = {"min_length": "minItems", "max_length": "maxItems"}


def of(root: Field, *, closed: bool) -> dict[str, Any]:
    """Return the schema of a root field; with `closed` objects have no further members."""
    definitions: dict[str, Any] = {}
    schema = _Schemas(definitions, closed).root(root)
    return {**schema, "$defs": definitions} if definitions else schema


class _Schemas:
    def __init__(self, definitions: dict[str, Any], closed: bool) -> None:
        self.definitions = definitions
        self.closed = closed

    def root(self, field: Field) -> dict[str, Any]:
        return self.object(field) if field.kind == "object" else self.field(field)

    def object(self, field: Field) -> dict[str, Any]:
        """Return the schema of an object with all its members."""
        schema: dict[str, Any] = {
            "title": field.cls.__name__,
            "type": "object",
            "properties": {inner.name: self.field(inner) for inner in field.fields},
        }
        if required := [inner.name for inner in field.fields if inner.required]:
            schema["required"] = required
        return {**schema, "additionalProperties": False} if self.closed else schema

    def field(self, field: Field) -> dict[str, Any]:
        """Return the schema of one member, with what says what it is for."""
        schema = self.kind(field)
        if field.null:
            schema = {"anyOf": [schema, {"type": "null"}]}
        about: dict[str, Any] = {"title": field.label} if field.name else {}
        if field.help:
            about["description"] = field.help
        default = field.default.value if isinstance(field.default, Enum) else field.default
        if default is not NOTHING and isinstance(default, (str, int, float, type(None))):
            about["default"] = default
        return {**schema, **about}

    def kind(self, field: Field) -> dict[str, Any]:
        """Return the schema of what a member holds where it is not null."""
        if field.kind == "object":
            return {"$ref": f"#/$defs/{self.defined(field)}"}
        if field.kind == "list":
            items = self.kind(field.item) if field.item else {}
            unique = {"uniqueItems": True} if field.cls in (set, frozenset) else {}
            return {"type": "array", "items": items, **unique, **_renamed(field.limits, _OF_LISTS)}
        if field.kind == "choice":
            return {"enum": [getattr(c.value, "value", c.value) for c in field.choices]}
        if field.kind == "decimal":
            return _decimal(field)
        schema = {**_TYPES[field.kind], **_renamed(field.limits, _LIMITS)}
        if len(field.media_types) == 1:
            schema["contentMediaType"] = field.media_types[0]
        return schema

    def defined(self, field: Field) -> str:
        """Return the name under which the class of an object is defined."""
        name, number = field.cls.__name__, 1
        schema = self.object(field)
        while self.definitions.setdefault(name, schema) != schema:
            number += 1
            name = f"{field.cls.__name__}{number}"
        return str(name)


def _renamed(limits: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names[name]: value for name, value in limits.items()}


def _decimal(field: Field) -> dict[str, Any]:
    """Return the schema of a Decimal: a text, since numbers of JSON are rounded by many readers."""
    before, after = "{1,100}", r"(\.[0-9]{1,100})?"
    if field.digits is not None:
        before = f"{{1,{max(field.digits.total - field.digits.places, 1)}}}"
        after = rf"(\.[0-9]{{1,{field.digits.places}}})?" if field.digits.places else ""
    return {"type": "string", "format": "decimal", "pattern": f"^-?[0-9]{before}{after}$"}
