"""Schemas of Pydantic's own models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import pydantic
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from kit.slots.persistence.records import NAMES
from kit.slots.validation import Checked, Failure, Field, ValidationOptions
from kit.slots.validation.describing import Reading, is_marked_private
from kit.slots.validation.fields import NOTHING
from kit.slots.validation.schemas import broken, in_order
from kit.slots.validation.text import prepared

_CODES = {
    **dict.fromkeys(("list", "tuple", "set", "frozen"), "not_list"),
    **dict.fromkeys(("model", "dict", "dataclass"), "not_object"),
    **dict.fromkeys(("enum", "literal"), "not_choice"),
    **dict.fromkeys(("float", "finite"), "not_number"),
    **dict.fromkeys(("date_past", "date_future", "datetime_past", "datetime_future"), "invalid"),
    **dict.fromkeys(("time_delta_type", "time_delta_parsing"), "invalid"),
    **dict.fromkeys(("decimal_max_digits", "decimal_whole_digits"), "invalid"),
    "missing": "missing",
    "extra_forbidden": "unknown",
    "string": "not_text",
    "int": "not_integer",
    "decimal": "not_decimal",
    "bool": "not_boolean",
    "bytes": "not_bytes",
    "date": "not_date",
    "time": "not_time",
    "datetime": "not_datetime",
    "timezone": "no_zone",
    "uuid": "not_uuid",
}
"""Codes by the type of an error of Pydantic, or by its first word."""


def is_model(cls: Any) -> bool:
    """Say whether `cls` is a model of Pydantic."""
    return isinstance(cls, type) and issubclass(cls, pydantic.BaseModel)


class ModelSchema:
    """The schema of a Pydantic model, or of a list of models."""

    def __init__(self, cls: Any, options: ValidationOptions) -> None:
        reading = Reading(_described)
        self._root = reading.field("", cls)
        if reading.mistakes:
            raise TypeError("; ".join(reading.mistakes))
        self.fields = self._root.fields or (self._root,)
        self._cls = cls
        self._adapter = pydantic.TypeAdapter(cls)
        self._refuse = options.unknown == "refuse"
        self._names = [] if self._root.kind == "list" else [*_public(cls)]

    def check(self, data: Any, *, text: bool) -> Checked:
        """Return the model made of `data`, or all that is wrong with it."""
        raw, failures = prepared(data, self._root, text=text, refuse=self._refuse)
        if raw is NOTHING:
            return Checked(None, {}, failures)
        known = {failure.field for failure in failures}
        try:
            value = self._adapter.validate_python(raw)
        except pydantic.ValidationError as error:
            found = map(_failure, error.errors(include_url=False))
            failures += [failure for failure in found if failure.field not in known]
        if failures:
            return Checked(None, {}, in_order(failures, self.fields))
        values = {name: getattr(value, name) for name in self._names}
        return Checked(value, values if self._names else {"": value})

    def make(self, values: Mapping[str, Any]) -> Any:
        """Return a model of these values; raise ValueError where it rejects them."""
        return self._cls.model_validate(values, by_name=True, by_alias=True)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema that Pydantic has for the model."""
        return self._adapter.json_schema()


def _failure(error: Mapping[str, Any]) -> Failure:
    """Return the failure for an error of Pydantic; its own text where there is no code for it."""
    path, kind, about = _path(error["loc"]), error["type"], error.get("ctx", {})
    if failure := _broken(error):
        return failure
    if kind == "decimal_max_places":
        return Failure(path, "too_many_places", {"limit": about["decimal_places"]})
    code = _CODES.get(kind) or _CODES.get(kind.partition("_")[0], "invalid")
    if code == "invalid":
        return Failure(path, code, {"message": str(about.get("error", error["msg"]))})
    if code == "not_choice":
        choices = about["expected"].replace("'", "").replace(" or ", ", ")
        return Failure(path, code, {"choices": choices})
    return Failure(path, code)


def _described(reading: Reading, cls: Any) -> Sequence[Field] | None:
    """Return the fields of a model; None for any other class."""
    if not is_model(cls):
        return None
    public = _public(cls)
    lacking = [n for n, i in cls.model_fields.items() if n not in public and i.is_required()]
    if lacking:
        raise TypeError(f"{cls.__name__}.{lacking[0]} is private: give it a default")
    return [_field(reading, name, info) for name, info in public.items()]


def _public(cls: Any) -> dict[str, FieldInfo]:
    return {n: i for n, i in cls.model_fields.items() if not is_marked_private(i.metadata)}


def _field(reading: Reading, name: str, info: FieldInfo) -> Field:
    alias = info.validation_alias if isinstance(info.validation_alias, str) else info.alias
    limits = {
        limit: value
        for marker in info.metadata
        for limit in NAMES
        if isinstance(value := getattr(marker, limit, None), (int, float, str))
    }
    about = {"label": info.title, "help": info.description}
    return reading.field(
        alias or name,
        Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation,
        default=NOTHING if info.default is PydanticUndefined else info.default,
        make_default=info.default_factory,
        required=info.is_required(),
        limits=limits,
        **{name: said for name, said in about.items() if said},
    )


def _broken(error: Mapping[str, Any]) -> Failure | None:
    """Return the failure for a limit that is not kept; None for errors of another sort."""
    for name, bound in error.get("ctx", {}).items():
        if name in NAMES:
            of_list = str(error["type"]).startswith("too_")
            return broken(_path(error["loc"]), name, bound, of_list=of_list)
    return None


def _path(parts: Iterable[object]) -> str:
    return ".".join(map(str, parts))
