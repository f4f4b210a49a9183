"""msgspec as the component of the slot validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

import msgspec

from kit.slots.persistence.records import KINDS
from kit.slots.validation import DataclassSchema, Failure, Field, Judge, ValidationOptions
from kit.slots.validation.schemas import has_limits, one_by_one

_TYPES = {name: cls for cls, name in KINDS.items()} | {"list": list[Any]}


class MsgspecValidation:
    """Input checked by msgspec. A schema is a dataclass, or a list of one."""

    def __init__(self, options: ValidationOptions) -> None:
        self._options = options

    def schema(self, cls: Any) -> DataclassSchema:
        """Return the schema of a dataclass; raise TypeError where `cls` is none."""
        return DataclassSchema(cls, _judge, self._options)


def _judge(root: Field) -> Judge:
    """Return what lets msgspec look at everything at once, and one by one where that fails."""
    whole = _whole(root)
    parts = one_by_one(root, _keeps)

    def judge(values: Any) -> list[Failure]:
        return [] if _fits(whole, values) else list(parts(values))

    return judge


def _keeps(field: Field, limit: str) -> Callable[[Any], bool]:
    return partial(_fits, _limited(_TYPES[field.kind], {limit: field.limits[limit]}))


def _fits(kind: Any, value: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _whole(field: Field) -> Any:
    """Return the type of a field for msgspec: of an object those members that have limits."""
    if not has_limits(field):
        return Any
    if field.kind == "object":
        members = [(f.name, _whole(f), None) for f in field.fields if has_limits(f)]
        kind: Any = msgspec.defstruct(field.cls.__name__, members)
    elif field.item is not None:
        kind = list[_whole(field.item)]  # type: ignore[misc]  # made at run time
    else:
        kind = _TYPES[field.kind]
    return _limited(kind, field.judged) | None


def _limited(kind: Any, limits: Mapping[str, Any]) -> Any:
    return Annotated[kind, msgspec.Meta(**limits)] if limits else kind
