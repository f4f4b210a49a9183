"""msgspec as the component of the slot validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec

from kit.slots.persistence.records import KINDS
from kit.slots.validation import DataclassSchema, Failure, Field, Judge, ValidationOptions
from kit.slots.validation.schemas import broken, has_limits, walk

_TYPES = {name: cls for cls, name in KINDS.items()}


class MsgspecValidation:
    """Input checked by msgspec. A schema is a dataclass, or a list of one."""

    def __init__(self, options: ValidationOptions) -> None:
        self._options = options

    def schema(self, cls: Any) -> DataclassSchema:
        """Return the schema of a dataclass; raise TypeError where `cls` is none."""
        return DataclassSchema(cls, _judge, self._options)


def _judge(root: Field) -> Judge:
    """Return what lets msgspec look at everything at once, and at the parts where that fails."""
    whole = _type(root)
    parts: dict[Field, dict[str, Any]] = {}

    def judge(values: Any) -> list[Failure]:
        if _fits(values, whole):
            return []
        return [
            broken(path, name, field.limits[name], of_list=field.kind == "list")
            for path, field, value in walk(root, values)
            for name, part in parts[field].items()
            if not _fits(value, part)
        ]

    for field in _judged(root):
        kind = list[Any] if field.kind == "list" else _TYPES[field.kind]
        parts[field] = {name: _limited(kind, {name: x}) for name, x in field.judged.items()}
    return judge


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _type(field: Field) -> Any:
    """Return the type of a field for msgspec: of an object those members that have limits."""
    if not has_limits(field):
        return Any
    if field.kind == "object":
        members = [(f.name, _type(f) | None, None) for f in field.fields if has_limits(f)]
        kind: Any = msgspec.defstruct(field.cls.__name__, members)
    elif field.item is not None:
        kind = list[_type(field.item)]  # type: ignore[misc]  # made at run time
    else:
        kind = _TYPES[field.kind]
    return _limited(kind, field.judged) | None


def _limited(kind: Any, limits: Mapping[str, Any]) -> Any:
    return Annotated[kind, msgspec.Meta(**limits)] if limits else kind


def _judged(field: Field) -> Iterator[Field]:
    """Yield the fields that have limits, at any depth."""
    yield from (field,) if field.judged else ()
    for inner in field.inner:
        yield from _judged(inner)
