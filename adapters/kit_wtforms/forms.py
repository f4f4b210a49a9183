"""Schemas of WTForms' own form classes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import wtforms
from werkzeug.datastructures import MultiDict
from wtforms.csrf.core import CSRFTokenField

from kit.slots.validation import Checked, Choice, Failure, Field, ValidationOptions, json_schemas
from kit.slots.validation.fields import NOTHING
from kit.slots.validation.schemas import in_order
from kit.slots.validation.text import prepared

_PARTS = (wtforms.SubmitField, CSRFTokenField)
_KINDS: tuple[tuple[type, str, str], ...] = (
    (wtforms.TextAreaField, "str", "textarea"),
    (wtforms.PasswordField, "str", "password"),
    (wtforms.HiddenField, "str", "hidden"),
    (wtforms.EmailField, "str", "email"),
    (wtforms.URLField, "str", "url"),
    (wtforms.TelField, "str", "tel"),
    (wtforms.SearchField, "str", "search"),
    (wtforms.StringField, "str", "text"),
    (wtforms.BooleanField, "bool", "checkbox"),
    (wtforms.IntegerField, "int", "number"),
    (wtforms.DecimalField, "decimal", "number"),
    (wtforms.FloatField, "float", "number"),
    (wtforms.MonthField, "any", "text"),
    (wtforms.WeekField, "any", "text"),
    (wtforms.DateField, "date", "date"),
    (wtforms.TimeField, "time", "time"),
    (wtforms.DateTimeField, "datetime", "datetime-local"),
    (wtforms.FileField, "file", "file"),
    (wtforms.RadioField, "choice", "radio"),
    (wtforms.SelectField, "choice", "select"),
)
"""Kind and widget of fields by their class, the first that fits."""

_LIMITS = {"minlength": "min_length", "maxlength": "max_length", "min": "ge", "max": "le"}
_MESSAGES = tuple(
    (re.compile(pattern).fullmatch, code)
    for pattern, code in (
        (r"This field is required\.", "missing"),
        (r"Field must be at least (\d+) characters? long\.", "too_short"),
        (r"Field cannot be longer than (\d+) characters?\.", "too_long"),
        (r"Number must be at least (\S+)\.", "too_small"),
        (r"Number must be at most (\S+)\.", "too_large"),
        (r"Not a valid integer value\.", "not_integer"),
        (r"Not a valid decimal value\.", "not_decimal"),
        (r"Not a valid float value\.", "not_number"),
        (r"Not a valid date value\.", "not_date"),
        (r"Not a valid time value\.", "not_time"),
        (r"Not a valid datetime value\.", "not_datetime"),
        (r"Not a valid choice\.|Invalid Choice: could not coerce\.", "not_choice"),
        (r"'.*' (?:is not a valid choice|are not valid choices) for this field\.", "not_choice"),
        (r"Invalid UUID\.", "not_uuid"),
    )
)
"""What WTForms says of its own accord, and the code for that."""


class FormSchema:
    """The schema of a form class."""

    def __init__(self, cls: type[wtforms.Form], options: ValidationOptions) -> None:
        self._cls = cls
        self._refuse = options.unknown == "refuse"
        self.fields = tuple(_fields(self._form()))
        self._root = Field(name="", kind="object", label="", cls=cls, fields=self.fields)

    def _form(self, sent: Any = None, values: Mapping[str, Any] | None = None) -> wtforms.Form:
        return self._cls(sent, data=values, meta={"csrf": False})

    def check(self, data: Any, *, text: bool) -> Checked:
        """Return the form filled with `data`, or all that is wrong with it."""
        raw, failures = prepared(data, self._root, text=text, refuse=self._refuse)
        if raw is NOTHING:
            return Checked(None, {}, failures)
        form = self._form(MultiDict(_flat(raw, self._root, "", "", failures)))
        known = {failure.field for failure in failures}
        if not form.validate():
            found = _failures(form.errors, self._root, "")
            failures += [failure for failure in found if failure.field not in known]
        if failures:
            return Checked(None, {}, in_order(failures, self.fields))
        return Checked(form, {field.name: form[field.name].data for field in self.fields})

    def make(self, values: Mapping[str, Any]) -> wtforms.Form:
        """Return a form that shows these values."""
        return self._form(values=values)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the fields; validators of the form may ask for more."""
        return json_schemas.of(self._root, closed=self._refuse)


def _fields(form: wtforms.Form) -> Iterator[Field]:
    for field in form:
        if not isinstance(field, _PARTS) and field.type != "ButtonField":
            yield _field(field, field.short_name)


def _field(field: Any, name: str) -> Field:
    about: dict[str, Any] = {
        "name": name,
        "label": field.label.text,
        "help": field.description,
        "required": bool(field.flags.required),
    }
    if isinstance(field, wtforms.FormField):
        fields = tuple(_fields(field.form))
        about["required"] = True
        return Field(kind="object", widget="group", cls=type(field.form), fields=fields, **about)
    if isinstance(field, wtforms.FieldList):
        entry = field.entries[0] if field.entries else field.append_entry()
        item = _field(entry, "")
        return Field(kind="list", widget="group", cls=list, item=item, **about)
    kind, widget = next(
        ((kind, widget) for cls, kind, widget in _KINDS if isinstance(field, cls)), ("any", "text")
    )
    if isinstance(field, wtforms.SelectMultipleField):
        item = Field(name="", kind="choice", label="", choices=_choices(field))
        return Field(kind="list", widget="checkboxes", cls=list, item=item, **about)
    if isinstance(field, wtforms.MultipleFileField):
        item = Field(name="", kind="file", label="", widget="file")
        return Field(kind="list", widget="file", cls=list, item=item, **about)
    choices = _choices(field) if kind == "choice" else ()
    flags = {limit: getattr(field.flags, flag) for flag, limit in _LIMITS.items()}
    limits = {limit: value for limit, value in flags.items() if value is not None}
    if callable(field.default):
        about["make_default"] = field.default
    elif field.default is not None:
        about["default"] = field.default
    return Field(kind=kind, widget=widget, choices=choices, limits=limits, **about)


def _choices(field: Any) -> tuple[Choice, ...]:
    return tuple(Choice(one[0], str(one[0]), str(one[1])) for one in field.iter_choices())


def _flat(
    value: Any, field: Field, name: str, path: str, failures: list[Failure]
) -> Iterator[tuple[str, Any]]:
    """Yield values under the names that WTForms gives its fields: ``items-0-name``."""
    if isinstance(value, Mapping) and field.kind == "object":
        for one in field.fields:
            inner = value.get(one.name)
            below = (f"{name}-{one.name}", f"{path}.{one.name}") if name else (one.name, one.name)
            yield from _flat(inner, one, *below, failures)
    elif isinstance(value, list) and field.item is not None:
        numbered = field.widget == "group"
        for number, one in enumerate(value):
            key = f"{name}-{number}" if numbered else name
            yield from _flat(one, field.item, key, f"{path}.{number}", failures)
    elif isinstance(value, (Mapping, list)):
        failures.append(Failure(path, "repeated" if isinstance(value, list) else "not_text"))
    elif isinstance(value, bool):
        yield from ((name, "true"),) if value else ()
    elif value is not None and value is not NOTHING:
        yield name, str(value) if isinstance(value, (int, float)) else value


def _failures(errors: Any, field: Field, path: str) -> Iterator[Failure]:
    """Yield a failure for each message, at any depth."""
    if isinstance(errors, Mapping):
        inner = {one.name: one for one in field.fields}
        for name, found in errors.items():
            below = f"{path}.{name}" if path else str(name or "")
            yield from _failures(found, inner.get(name, field), below)
        return
    for number, found in enumerate(errors):
        if isinstance(found, (Mapping, list, tuple)):
            yield from _failures(found, field.item or field, f"{path}.{number}")
        else:
            yield _failure(str(found), field, path)


def _failure(message: str, field: Field, path: str) -> Failure:
    for match, code in _MESSAGES:
        if found := match(message):
            params: dict[str, Any] = {}
            if code == "not_choice":
                params["choices"] = ", ".join(one.text for one in (field.item or field).choices)
            elif found.groups():
                params["limit"] = int(found[1]) if found[1].isdigit() else found[1]
            return Failure(path, code, params)
    return Failure(path, "invalid", {"message": message})
