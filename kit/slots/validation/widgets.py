"""Widgets: fields become markup, escaped, that every template engine shows as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, tzinfo
from decimal import Decimal
from enum import Enum
from functools import cached_property, lru_cache
from html import escape as escaped_text
from typing import Any
from uuid import UUID

from markupsafe import Markup

from kit.errors import nearest
from kit.slots.validation.fields import NOTHING, Choice, Field
from kit.slots.validation.reading import is_blank

_SEVERAL = frozenset({"radio", "checkboxes", "group"})
_NO_VALUE = frozenset({"password", "file"})
_TICKED = frozenset({"on", "true", "1", "yes"})


def marked(html: str) -> Markup:
    """Return markup of which every value is escaped already."""
    return Markup(html)  # noqa: S704 - the one place in this module that says so


def escape(value: Any) -> str:
    """Return a value as HTML shows it; what is markup already stays as it is."""
    if type(value) is str:
        return escaped_text(value)
    return value.__html__() if hasattr(value, "__html__") else escaped_text(str(value))


def attributes(values: Mapping[str, Any]) -> str:
    """Return attributes of an element, escaped, each with a space before it.

    True stands for an attribute without value, False and None for none. ``class_`` is the
    attribute ``class``, and ``data_id`` is ``data-id``.
    """
    named = {_attribute(name): value for name, value in values.items()}
    return "".join(
        f" {name}" if value is True else f' {name}="{escape(value)}"'
        for name, value in named.items()
        if value is not None and value is not False
    )


@lru_cache(256)  # authors name them, so that there are few
def _attribute(name: str) -> str:
    return escape(name.rstrip("_").replace("_", "-"))


def messages(said: Sequence[str], id: str | None = None) -> Markup:
    """Return messages as a list; nothing where there are none."""
    if not said:
        return Markup()
    items = "".join(f"<li>{escape(one)}</li>" for one in said)
    about = attributes({"class": "errors", "id": id, "role": None if id else "alert"})
    return marked(f"<ul{about}>{items}</ul>\n")


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
        return "".join(field.__html__() for field in self._fields)


class BoundField:
    """A field with its value and its errors: show it whole, or ``label``, ``input()``, ``errors``.

    `path` is its name in the form, `raw` what it shows; with `optional` it is empty and may stay
    so although its schema requires it, since it is in a row that may be left out.
    """

    def __init__(
        self, field: Field, path: str, raw: Any, shown: Shown, optional: bool = False
    ) -> None:
        self.field = field
        self.name = path
        self.id = path.replace(".", "-")
        begins = raw is NOTHING and not shown.submitted and not optional
        self.raw = field.initial() if begins else raw
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
        label = escape(self.field.label)
        if self.field.widget in _SEVERAL:
            return marked(f"<legend>{label}</legend>\n")
        return marked(f'<label for="{escape(self.id)}">{label}</label>\n')

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
        make: Callable[[dict[str, Any]], str] = getattr(self, f"_{self.field.widget}", self._input)
        return marked(make({**self._about(), **self.field.attributes, **more}))

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
            "autofocus": bool(self.errors) and self.name == next(iter(self._shown.errors)),
        }

    def _input(self, about: dict[str, Any]) -> str:
        kind = self.field.widget
        value = {} if kind in _NO_VALUE else {"value": self.value}
        if kind == "hidden":
            return f"<input{attributes({'type': kind, 'name': about['name'], **value})}>\n"
        return f"<input{attributes({'type': kind, **_limits(self.field), **value, **about})}>\n"

    def _textarea(self, about: dict[str, Any]) -> str:
        about = {**_limits(self.field), **about}
        # A browser drops one line break behind the tag.
        return f"<textarea{attributes(about)}>\n{escape(self.value)}</textarea>\n"

    def _checkbox(self, about: dict[str, Any]) -> str:
        last = self.raw[-1] if isinstance(self.raw, list) and self.raw else self.raw
        ticked = last is True or (isinstance(last, str) and last.lower() in _TICKED)
        about = {"type": "checkbox", "value": "on", "checked": ticked, **about}
        return f"{self._nothing()}<input{attributes(about)}>\n"

    def _nothing(self) -> str:
        """Return what says that nothing was ticked: without it that looks as if nobody asked."""
        return f"<input{attributes({'type': 'hidden', 'name': self.name, 'value': ''})}>\n"

    def _select(self, about: dict[str, Any]) -> str:
        several = self.field.kind == "list"
        chosen = self._chosen()
        options = [] if several or (self.required and chosen) else ['<option value=""></option>']
        for one in self._choices():
            value = attributes({"value": one.text, "selected": one.text in chosen})
            options.append(f"<option{value}>{escape(one.label)}</option>")
        made = f"<select{attributes({**about, 'multiple': several})}>{''.join(options)}</select>\n"
        return f"{self._nothing()}{made}" if several else made

    def _radio(self, about: dict[str, Any]) -> str:
        return self._boxes({**about, "type": "radio"})

    def _checkboxes(self, about: dict[str, Any]) -> str:
        # With "required" a browser would ask for each of them.
        return self._nothing() + self._boxes({**about, "type": "checkbox", "required": False})

    def _boxes(self, about: dict[str, Any]) -> str:
        chosen = self._chosen()
        boxes = []
        for number, one in enumerate(self._choices()):
            own = {"id": f"{self.id}-{number}", "value": one.text, "checked": one.text in chosen}
            box = f"<input{attributes({**about, **own})}> {escape(one.label)}"
            boxes.append(f"<label{attributes({'for': own['id']})}>{box}</label>\n")
        return "".join(boxes)

    def _file(self, about: dict[str, Any]) -> str:
        types = ",".join((self.field.item or self.field).media_types)
        more = {"accept": types or None, "multiple": self.field.kind == "list"}
        return f"<input{attributes({'type': 'file', **more, **about})}>\n"

    def _group(self, about: dict[str, Any]) -> str:
        if self.field.kind == "object" or (self.field.item and self.field.item.kind == "object"):
            return self.fields.__html__()
        shown = [
            one.input(name=self.name, aria_label=f"{self.field.label} {number}")
            + messages(one.errors, f"{one.id}-errors")
            for number, one in enumerate(self.fields, 1)
        ]
        return self._nothing() + "".join(shown)

    def _choices(self) -> tuple[Choice, ...]:
        return (self.field.item or self.field).choices

    def _chosen(self) -> set[str]:
        several = self.raw if isinstance(self.raw, (list, tuple, set, frozenset)) else [self.raw]
        return {_text(one, self._shown.zone) for one in several} - {""}

    def __html__(self) -> str:
        """Return label, input, help and errors."""
        if self.field.widget == "hidden":
            return self.input()
        told = str(messages(self.errors, f"{self.id}-errors"))
        if self.help:
            told = f'<p class="help" id="{escape(self.id)}-help">{escape(self.help)}</p>\n{told}'
        if self.field.widget in _SEVERAL:
            described = self._about()["aria-describedby"]
            about = attributes({"class": "field", "aria-describedby": described})
            return f"<fieldset{about}>\n{self.label}{self.input()}{told}</fieldset>\n"
        first, second = self.label, self.input()
        if self.field.widget == "checkbox":
            first, second = second, first
        return f'<div class="field">\n{first}{second}{told}</div>\n'


def _member(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name, NOTHING)
    # A text and the like have attributes too, which are none of ours.
    return NOTHING if type(value).__module__ == "builtins" else getattr(value, name, NOTHING)


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
