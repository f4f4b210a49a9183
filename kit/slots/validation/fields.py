"""Fields: the neutral description of a schema, and the markers that add to its types."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from kit.slots.persistence.records import Digits

NOTHING: Final[Any] = type("Nothing", (), {"__repr__": lambda self: "NOTHING"})()
"""Stands for a value that is not there, where None may be one."""


class Private:
    """A field is never input: ``Annotated[int, Private]``. Handlers give it with ``form.make``."""


class Widget:
    """The widget that shows a field, and further attributes: ``Widget("textarea", rows=5)``.

    Of text: text, textarea, email, url, tel, search, password, hidden. Of a choice: select, radio,
    hidden; of a list of choices: checkboxes, select. Of numbers, dates and times their own, text
    or hidden. A trailing underscore of an attribute is dropped, others become hyphens.
    """

    def __init__(self, kind: str, **attributes: Any) -> None:
        self.kind = kind
        self.attributes = attributes


LEFT_OUT: Final[Any] = type("LeftOut", (), {"__repr__": lambda self: "LEFT_OUT"})()
"""The default of a field in a patch, where what was not sent is no value at all."""


@dataclass(frozen=True)
class Choice:
    """One of the values that may be chosen: its text in a form, and what a page calls it."""

    value: Any
    text: str
    label: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """A field of a schema, whatever library the schema is written for.

    `kind` is one of str, int, float, bool, bytes, datetime, date, time, decimal, uuid, choice,
    file, object (its fields in `fields`), list (`item` describes an element), and any, where only
    the library knows. `cls` is the dataclass of an object, and the container of a list. `limits`
    holds what ``msgspec.Meta`` says under its names. `null` allows None. `default` is the value
    where there is no input, `NOTHING` for none, and `make_default` makes one. With `required`
    there has to be input. `lacks` names the private fields of an object that the application has to
    give, since they have no default. `widget` is the kind of its widget, with `attributes`.
    """

    name: str
    kind: str
    label: str
    help: str = ""
    required: bool = False
    null: bool = False
    default: Any = NOTHING
    make_default: Callable[[], Any] | None = None
    limits: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    digits: Digits | None = None
    choices: tuple[Choice, ...] = ()
    cls: Any = None
    item: Field | None = None
    fields: tuple[Field, ...] = ()
    lacks: tuple[str, ...] = ()
    max_size: int | None = None
    media_types: tuple[str, ...] = ()
    widget: str = "text"
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def has_default(self) -> bool:
        """Whether there is a value where there is no input."""
        return self.default is not NOTHING or self.make_default is not None

    @property
    def judged(self) -> Mapping[str, Any]:
        """The limits for a component to judge: all but those of a Decimal, which reading knows."""
        return {} if self.kind == "decimal" else self.limits

    @property
    def inner(self) -> tuple[Field, ...]:
        """The fields of an object, or the element of a list."""
        return (self.item,) if self.item is not None else self.fields

    def partial(self) -> Field:
        """Return an object of which any part may be missing, and that is read as a `Part`."""
        if self.kind != "object":
            return self
        cls = type(f"{self.cls.__name__}Patch", (Part,), {"whole": self})
        parts = [
            dataclasses.replace(one.partial(), required=False, default=LEFT_OUT, make_default=None)
            for one in self.fields
        ]
        return dataclasses.replace(self, cls=cls, fields=tuple(parts), lacks=())

    def initial(self) -> Any:
        """Return the value where there is no input; `NOTHING` where there has to be some."""
        if self.make_default is not None:
            return self.make_default()
        return None if self.null and self.default is NOTHING else self.default


class Part(dict[str, Any]):
    """What was sent of an object in a patch; `whole` describes the object."""

    whole: ClassVar[Field]
