"""Pydantic as the component of the slot validation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, get_args

import pydantic

from kit.slots.persistence.records import KINDS
from kit.slots.validation import (
    DataclassSchema,
    Failure,
    Field,
    Judge,
    Schema,
    ValidationOptions,
)
from kit.slots.validation.schemas import has_limits
from kit_pydantic.models import ModelSchema, is_model, limit_failure

_TYPES = {name: cls for cls, name in KINDS.items()}


class PydanticValidation:
    """Input checked by Pydantic. A schema is a dataclass, a model, or a list of one.

    A model means all that it means to Pydantic, its own validators included.
    """

    def __init__(self, options: ValidationOptions) -> None:
        self._options = options

    def schema(self, cls: Any) -> Schema:
        """Return the schema of a dataclass or model; raise TypeError where `cls` is neither."""
        if any(map(is_model, (cls, *get_args(cls)))):
            return ModelSchema(cls, self._options)
        return DataclassSchema(cls, _judge, self._options)


def _judge(root: Field) -> Judge:
    """Return what lets Pydantic look at the values of those fields that have limits."""
    validate = pydantic.TypeAdapter(_type(root)).validate_python

    def judge(values: Any) -> Iterable[Failure]:
        try:
            validate(values)
        except pydantic.ValidationError as error:
            return filter(None, map(limit_failure, error.errors(include_url=False)))
        return ()

    return judge


def _type(field: Field) -> Any:
    if not has_limits(field):
        return Any
    if field.kind == "object":
        members: dict[str, Any] = {f.name: (_type(f), None) for f in field.fields if has_limits(f)}
        config = pydantic.ConfigDict(strict=True, regex_engine="python-re")
        kind: Any = pydantic.create_model(field.cls.__name__, __config__=config, **members)
    else:
        kind = field.cls[_type(field.item), *_rest(field)] if field.item else _TYPES[field.kind]
    return Annotated[kind, pydantic.Field(**field.judged)] | None


def _rest(field: Field) -> tuple[Any, ...]:
    return (...,) if field.cls is tuple else ()
