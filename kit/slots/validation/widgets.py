"""Widgets: fields become markup, escaped, that every template engine shows as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, tzinfo
from decimal import Decimal
from enum import Enum
from functools import cached_property
from typing import Any
from uuid import UUID

from markupsafe import Markup

from kit.errors import nearest
from kit.slots.validation.fields import NOTHING, Choice, Field
from kit.slots.validation.reading import is_blank

_SEVERAL = frozenset({"radio", "checkboxes", "group"})
_NO_VALUE = frozenset({"password", "file"})
_TICKED = frozenset({"on", "true", "1", "yes"})


def attributes(values: Mapping[str, Any]) -> Markup:
    """Return attributes of an element, each with a space before it.

    True stands for an attribute without value, False and None for none. ``class_`` is the
    attribute ``class``, and ``data_id`` is ``data-id``.
    """
    named = {name.rstrip("_").replace("_", "-"): value for name, value in values.items()}
    found = Markup()
    for name, value in named.items():
        if value is True:
            found += Markup(" {}").format(name)
        elif value is not None and value is not False:
            found += Markup(' {}="{}"').format(name, value)
    return found


def messages(said: Sequence[str], id: str | None = None) -> Markup:
    """Return messages as a list; nothing where there are none."""
    if not said:
        return Markup()
    items = Markup().join(Markup("<li>{}</li>").format(one) for one in said)
    about = attributes({"class": "errors", "id": id, "role": None if id else "alert"})
    return Markup("<ul{}>{}</ul>\n").format(about, items)


def has_files(field: Field) -> bool:
    """Say whether a field, or one in it, takes files."""
    return field.widget == "file" or any(map(has_files, field.inner))


@dataclass(frozen=True)
class Shown:
    """What all fields of a form share: messages by path, the zone of times, whether it was sent."""

    errors: Mapping[str, Sequence[str]]
    zone: tzinfo
    submitted: bool


class Fields:
    """Fields in their order: show them all, go through them, or take one by its name."""

    def __init__(self, fields: Sequence[BoundField]) -> None:
        self._fields = fields

    def __iter__(self) -> Iterator[BoundField]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __getitem__(self, name: str) -> BoundField:
        """Return the field of a name, or of a path such as ``address.street``."""
        first, _, rest = name.partition(".")
        found = next((field for field in self._fields if field.field.name == first), None)
        if found is None:
            names = [field.field.name for field in self._fields]
            raise KeyError(f"there is no field {first!r}.{nearest(first, names)}")
        return found.fields[rest] if rest else found

    def __html__(self) -> str:
        return Markup().join(Markup(field.__html__()) for field in self._fields)  # noqa: S704


class BoundField:
    """A field with its value and its errors: show it whole, or ``label``, ``input()``, ``errors``.

    `path` is its name in the form, `raw` what it shows; with `optional` it may stay empty although
    its schema requires it, since it is in a row that may be left out.
    """

    def __init__(
        self, field: Field, path: str, raw: Any, shown: Shown, optional: bool = False
    ) -> None:
        self.field = field
        self.name = path
        self.id = path.replace(".", "-")
        self.raw = field.initial() if raw is NOTHING and not shown.submitted else raw
        self.required = field.required and not optional
        self._shown = shown
        self._optional = optional

    @property
    def errors(self) -> Sequence[str]:
        """The messages of this field."""
        return self._shown.errors.get(self.name, ())

    @property
    def help(self) -> str:
        """What the schema says about the field, beside its name."""
        return self.field.help

    @property
    def value(self) -> str:
        """The text that the field shows; never that of a password."""
        return "" if self.field.widget in _NO_VALUE else _text(self.raw, self._shown.zone)

    @property
    def label(self) -> Markup:
        """The label, or the legend of a group."""
        if self.field.widget in _SEVERAL:
            return Markup("<legend>{}</legend>\n").format(self.field.label)
        return Markup('<label for="{}">{}</label>\n').format(self.id, self.field.label)

    @cached_property
    def fields(self) -> Fields:
        """The fields of an object, and the rows of a list of objects or texts by number.

        A list has an empty row at the end, for one more.
        """
        field = self.field
        if field.kind == "object":
            members = [(one, _member(self.raw, one.name)) for one in field.fields]
        elif field.kind == "list" and field.item is not None:
            raw = self.raw if isinstance(self.raw, (list, tuple, set, frozenset)) else []
            rows: list[Any] = [row for row in raw if not is_blank(row)]  # as reading does
            full = len(rows) >= field.limits.get("max_length", len(rows) + 1)
            rows = rows if full else [*rows, NOTHING]
            members = [
                (replace(field.item, name=str(number), label=str(number + 1)), row)
                for number, row in enumerate(rows)
            ]
        else:
            members = []
        return Fields([self._inner(one, raw) for one, raw in members])

    def _inner(self, field: Field, raw: Any) -> BoundField:
        optional = self._optional or (raw is NOTHING and self.field.kind == "list")
        optional = optional or (self.field.kind == "object" and not self.required)
        return BoundField(field, f"{self.name}.{field.name}", raw, self._shown, optional)

    def __getitem__(self, name: str) -> BoundField:
        return self.fields[name]

    def __iter__(self) -> Iterator[BoundField]:
        return iter(self.fields)

    def input(self, **more: Any) -> Markup:
        """Return the element that takes input; `more` are further attributes, or others."""
        make = getattr(self, f"_{self.field.widget}", self._input)
        made: Markup = make({**self._about(), **self.field.attributes, **more})
        return made

    def _about(self) -> dict[str, Any]:
        """Return the attributes that every input has."""
        told = [f"{self.id}-help"] if self.help else []
        told += [f"{self.id}-errors"] if self.errors else []
        return {
            "id": self.id,
            "name": self.name,
            "required": self.required and self.field.widget != "checkbox",
            "aria-describedby": " ".join(told) or None,
            "aria-invalid": "true" if self.errors else None,
        }

    def _input(self, about: dict[str, Any]) -> Markup:
        kind = self.field.widget
        value = {} if kind in _NO_VALUE else {"value": self.value}
        more = {"type": kind, **_limits(self.field), **value}
        if kind == "hidden":
            about = {"name": self.name, **self.field.attributes}
            more = {"type": kind, **value}
        return Markup("<input{}>\n").format(attributes({**more, **about}))

    def _textarea(self, about: dict[str, Any]) -> Markup:
        about = {**_limits(self.field), **about}
        # A browser drops one line break behind the tag.
        return Markup("<textarea{}>\n{}</textarea>\n").format(attributes(about), self.value)

    def _checkbox(self, about: dict[str, Any]) -> Markup:
        ticked = self.raw is True or (isinstance(self.raw, str) and self.raw.lower() in _TICKED)
        if isinstance(self.raw, list):
            ticked = bool(self.raw) and str(self.raw[-1]).lower() in _TICKED
        about = {"type": "checkbox", "value": "on", "checked": ticked, **about}
        return self._nothing() + Markup("<input{}>\n").format(attributes(about))

    def _nothing(self) -> Markup:
        """Return what says that nothing was ticked: without it that looks as if nobody asked."""
        return Markup("<input{}>").format(
            attributes({"type": "hidden", "name": self.name, "value": ""})
        )

    def _select(self, about: dict[str, Any]) -> Markup:
        several = self.field.kind == "list"
        chosen = self._chosen()
        options = [
            Markup("<option{}>{}</option>").format(
                attributes({"value": one.text, "selected": one.text in chosen}), one.label
            )
            for one in self._choices()
        ]
        if not several and not (self.required and chosen):
            options.insert(0, Markup('<option value=""></option>'))
        made = Markup("<select{}>{}</select>\n").format(
            attributes({**about, "multiple": several}), Markup().join(options)
        )
        return self._nothing() + made if several else made

    def _radio(self, about: dict[str, Any]) -> Markup:
        return self._boxes("radio", about)

    def _checkboxes(self, about: dict[str, Any]) -> Markup:
        about["required"] = False  # it would ask for each of them
        return self._nothing() + self._boxes("checkbox", about)

    def _boxes(self, kind: str, about: dict[str, Any]) -> Markup:
        chosen = self._chosen()
        boxes = []
        for number, one in enumerate(self._choices()):
            value = {"type": kind, "value": one.text, "checked": one.text in chosen}
            more = {**value, "id": f"{self.id}-{number}"}
            box = Markup("<input{}>").format(attributes({**about, **more}))
            label = Markup('<label for="{}">{} {}</label>\n')
            boxes.append(label.format(more["id"], box, one.label))
        return Markup().join(boxes)

    def _file(self, about: dict[str, Any]) -> Markup:
        item = self.field.item or self.field
        more = {"accept": ",".join(item.media_types) or None, "multiple": self.field.kind == "list"}
        return Markup("<input{}>\n").format(attributes({"type": "file", **more, **about}))

    def _group(self, about: dict[str, Any]) -> Markup:
        if self.field.kind == "object" or (self.field.item and self.field.item.kind == "object"):
            return Markup(self.fields.__html__())  # noqa: S704 - it is escaped
        shown = [
            one.input(name=self.name, aria_label=f"{self.field.label} {number}")
            + messages(one.errors, f"{one.id}-errors")
            for number, one in enumerate(self.fields, 1)
        ]
        return self._nothing() + Markup().join(shown)

    def _choices(self) -> tuple[Choice, ...]:
        return (self.field.item or self.field).choices

    def _chosen(self) -> set[str]:
        several = self.raw if isinstance(self.raw, (list, tuple, set, frozenset)) else [self.raw]
        return {_text(one, self._shown.zone) for one in several} - {""}

    def __html__(self) -> str:
        """Return label, input, help and errors."""
        if self.field.widget == "hidden":
            return self.input()
        told = Markup()
        if self.help:
            told += Markup('<p class="help" id="{}-help">{}</p>\n').format(self.id, self.help)
        told += messages(self.errors, f"{self.id}-errors")
        if self.field.widget in _SEVERAL:
            about = {"class": "field", "aria-describedby": self._about()["aria-describedby"]}
            parts = (attributes(about), self.label, self.input(), told)
            return Markup("<fieldset{}>\n{}{}{}</fieldset>\n").format(*parts)
        first, second = self.label, self.input()
        if self.field.widget == "checkbox":
            first, second = second, first
        return Markup('<div class="field">\n{}{}{}</div>\n').format(first, second, told)


def _member(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name, NOTHING)
    return getattr(value, name, NOTHING)


def _text(value: Any, zone: tzinfo) -> str:
    """Return a value as it stands in a form."""
    match value:
        case Enum():
            return str(value.value)
        case str():
            return value
        case datetime():
            there = value.astimezone(zone) if value.tzinfo else value
            return there.replace(tzinfo=None).isoformat(timespec=_precision(there))
        case time():
            return value.isoformat(timespec=_precision(value))
        case date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case list() if value:
            return _text(value[0], zone)
        case int() | float() | UUID():
            return str(value)
    return ""


def _precision(value: datetime | time) -> str:
    if value.microsecond:
        return "microseconds"
    return "seconds" if value.second else "minutes"


def _limits(field: Field) -> dict[str, Any]:
    """Return the limits of a field that browsers know too."""
    limits = field.limits
    if field.kind in ("str", "any"):
        least = limits.get("min_length", 0)
        found = {"minlength": least if least > 1 else None, "maxlength": limits.get("max_length")}
        return found
    if field.widget != "number":
        return {}
    whole = field.kind == "int"
    least, most = limits.get("ge"), limits.get("le")
    least = limits["gt"] + 1 if whole and "gt" in limits else least
    most = limits["lt"] - 1 if whole and "lt" in limits else most
    step: Any = limits.get("multiple_of") if whole else "any"
    if field.digits is not None:
        step = format(Decimal(1).scaleb(-field.digits.places), "f")
    return {"min": least, "max": most, "step": step}
