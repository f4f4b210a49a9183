"""Pydantic as the component of the slot validation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, get_args

import pydantic

from kit.slots.persistence.records import KINDS
from kit.slots.validation import DataclassSchema, Field, Judge, Schema, ValidationOptions
from kit.slots.validation.schemas import one_by_one
from kit_pydantic.models import ModelSchema, is_model

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
    return one_by_one(root, _keeps)


def _keeps(field: Field, limit: str) -> Callable[[Any], bool]:
    """Return what asks Pydantic whether a value keeps a limit."""
    if field.kind == "list":
        kind: Any = tuple[Any, ...] if field.cls is tuple else field.cls[Any]
    else:
        kind = _TYPES[field.kind]
    limited = Annotated[kind, pydantic.Field(**{limit: field.limits[limit]})]
    # Regular expressions are those of Python, as everywhere else.
    config = pydantic.ConfigDict(regex_engine="python-re")
    validate = pydantic.TypeAdapter(limited, config=config).validate_python

    def keeps(value: Any) -> bool:
        try:
            validate(value, strict=True)
        except pydantic.ValidationError:
            return False
        return True

    return keeps
