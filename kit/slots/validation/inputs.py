"""Inputs: what handlers get for untrusted data; a value, or errors for each field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar, get_args, get_origin

from markupsafe import Markup

from kit.errors import Invalid
from kit.slots.validation import widgets
from kit.slots.validation.fields import NOTHING
from kit.slots.validation.merging import merged
from kit.slots.validation.messages import ENGLISH, text
from kit.slots.validation.reading import Failure
from kit.slots.validation.schemas import Checked

if TYPE_CHECKING:
    from kit.slots.sessions.lifecycle import Session
    from kit.slots.validation import Schema

T = TypeVar("T")


class Input(Generic[T]):
    """Untrusted data, checked against a schema; `T` is the class of the schema.

    `schema` is what the component made of it, and `raw` the data, nested. `checked` is None where
    nothing was sent, as with a form that is shown for the first time. `texts` are the messages in
    the visitor's language, and times without a zone are shown in `zone`.
    """

    def __init__(
        self,
        schema: Schema,
        raw: Any = None,
        checked: Checked | None = None,
        texts: Mapping[str, str] = ENGLISH,
        zone: tzinfo = UTC,
    ) -> None:
        self.schema = schema
        self.raw = raw
        self._checked = checked
        self._texts = texts
        self.zone = zone
        self._initial: Any = None
        self._refusals: list[dict[str, str]] = []

    @property
    def submitted(self) -> bool:
        """Whether there is input at all: a form that is shown for the first time has none."""
        return self._checked is not None

    @property
    def valid(self) -> bool:
        """Whether there is input, and nothing wrong with it."""
        return self._checked is not None and not self._checked.failures and not self._refusals

    @property
    def problems(self) -> list[dict[str, str]]:
        """Everything that is wrong: dicts with ``field``, ``code`` and ``message``."""
        failures = self._checked.failures if self._checked else []
        return [*(self._described(failure) for failure in failures), *self._refusals]

    def _described(self, failure: Failure) -> dict[str, str]:
        message = text(self._texts, failure)
        return {"field": failure.field, "code": failure.code, "message": message}

    @property
    def errors(self) -> dict[str, list[str]]:
        """The messages by field (``items.0.name``; ``""`` for the whole); empty if all is well."""
        found: dict[str, list[str]] = {}
        for problem in self.problems:
            found.setdefault(problem["field"], []).append(problem["message"])
        return found

    @property
    def values(self) -> dict[str, Any]:
        """The checked values by field, defaults included; raises `kit.errors.Invalid`."""
        return self._valid().values

    @property
    def value(self) -> T:
        """The checked input as an instance of the schema's class.

        Raises `kit.errors.Invalid` where there are errors, which ends in 422; TypeError where the
        class has private fields without default, which `make` takes.
        """
        checked = self._checked
        if checked is None or checked.failures or self._refusals or checked.value is None:
            checked = self._valid()
            if checked.value is None:
                raise TypeError("the schema has private fields without default: give them to make")
        value: T = checked.value
        return value

    def _valid(self) -> Checked:
        if self._checked is None:
            raise RuntimeError("nothing was sent: a form that GET shows has no value")
        if self._checked.failures or self._refusals:
            raise Invalid(self.problems, self)
        return self._checked

    def make(self, **more: Any) -> T:
        """Return an instance of the schema's class from the values and further, private ones.

        Raises `kit.errors.Invalid` where there are errors, or the class rejects the values.
        """
        values = self._valid().values
        try:
            made: T = self.schema.make({**values, **more})
        except ValueError as error:
            self.refuse(str(error))
        return made

    def update(self, record: Any) -> None:
        """Set the attributes of `record` to the values of the same name; files are left out.

        What is private in the record, its id included, stays as it is, and so it does in an object
        in the record, if both are dataclasses: that object is made anew. Raises
        `kit.errors.Invalid`, and sets nothing, where there are errors or the class of the record
        rejects what would become of it.
        """
        failures: list[Failure] = []
        changes = merged(record, self.schema.fields, self._valid().values, failures)
        if failures:
            self._refusals += map(self._described, failures)
            raise Invalid(self.problems, self)
        for name, value in changes.items():
            setattr(record, name, value)

    def refuse(self, message: str = "", /, **messages: str) -> NoReturn:
        """Raise `kit.errors.Invalid` with a message for the whole, or messages for fields.

        For what only the application can know: ``form.refuse(email="Somebody has this address.")``
        """
        if message:
            messages[""] = message
        self._refusals += [
            {"field": field, "code": "invalid", "message": said} for field, said in messages.items()
        ]
        raise Invalid(self.problems, self)

    def filled(self, values: Any) -> Self:
        """Show the attributes of an object, or members of a dict, until something is sent."""
        self._initial = values
        return self

    def shown(self, name: str) -> Any:
        """Return what the field of a name shows: raw data, or the value that it begins with."""
        if self._checked is not None:
            return self.raw.get(name, NOTHING) if isinstance(self.raw, Mapping) else NOTHING
        if isinstance(self._initial, Mapping):
            return self._initial.get(name, NOTHING)
        return getattr(self._initial, name, NOTHING)

    @property
    def fields(self) -> widgets.Fields:
        """The fields, ready to be shown: all of them, one by one, or by name."""
        shown = widgets.Shown(self.errors, self.zone, self.submitted)
        return widgets.Fields(
            [
                widgets.BoundField(field, field.name, self.shown(field.name), shown)
                for field in self.schema.fields
            ]
        )

    def __getitem__(self, name: str) -> widgets.BoundField:
        return self.fields[name]

    def __iter__(self) -> Iterator[widgets.BoundField]:
        return iter(self.fields)

    @property
    def summary(self) -> Markup:
        """The messages that belong to no field that is shown, as a list; empty if there is none."""
        names = {field.name for field in self.schema.fields if field.widget != "hidden"}
        others = [one for one in self.problems if one["field"].partition(".")[0] not in names]
        return widgets.messages([one["message"] for one in others])

    @property
    def enctype(self) -> str:
        """What the attribute ``enctype`` of a form has to be, for these fields."""
        files = any(widgets.has_files(field) for field in self.schema.fields)
        return "multipart/form-data" if files else "application/x-www-form-urlencoded"

    def __html__(self) -> str:
        """Return all that goes between ``<form>`` and its button."""
        return f"{self.summary}{self.fields.__html__()}"


class Form(Input[T]):
    """The body of a request: a form, or data of a format that can be read; blank on GET.

    Name it with the class to read: ``form: Form[Contact]``.
    """

    session: Session | None = None

    @property
    def csrf(self) -> Markup:
        """The hidden field that shows that this form comes from this site."""
        if self.session is None:
            return Markup()
        from kit.security.csrf import csrf_field, csrf_token

        return csrf_field(csrf_token(self.session))

    def __html__(self) -> str:
        """Return all that goes between ``<form>`` and its button."""
        return f"{self.csrf}{super().__html__()}"


class Body(Input[T]):
    """The body of a request as data: JSON, and the other formats that can be read.

    Name it with the class to read: ``body: Body[Contact]``, or ``body: Body[list[Contact]]``.
    """


class Patch(Input[T]):
    """The body of a request as data of which any part may be missing: what is to be changed.

    Name it with the class of what is changed: ``patch: Patch[Contact]``. The limits of its fields
    hold. `values` has only what was sent, and `update` sets only that. An object in it is a dict,
    and as partial as the whole: `update` changes that much of the object in the record, and makes
    one where there is None. A list is sent as a whole. Null empties a field that may be None; for
    any other field it is no input, as if it had not been sent.
    """

    @property
    def value(self) -> T:
        """Not here: a part of a value is none. Raises TypeError."""
        raise TypeError("a patch is no whole value: take its update(record), or its values")

    def make(self, **more: Any) -> NoReturn:
        """Not here either. Raises TypeError."""
        raise TypeError("a patch is no whole value: take its update(record), or its values")


class Query(Input[T]):
    """The query of a URL. Name it with the class to read: ``query: Query[Search]``."""


class Path(Input[T]):
    """The values of a URL pattern. Name it with the class to read: ``path: Path[Place]``."""


class HeaderValues(Input[T]):
    """Headers of the request: the field ``if_match`` is the header If-Match.

    Name it with the class to read: ``headers: HeaderValues[Conditions]``.
    """


def schema_class(annotation: Any, kind: type[Input[Any]]) -> Any:
    """Return ``Contact`` of ``Form[Contact]``; raise TypeError for another annotation."""
    if get_origin(annotation) is not kind or not get_args(annotation):
        shown = getattr(annotation, "__name__", annotation)
        raise TypeError(f"annotate it as {kind.__name__}[...] with the class to read, not {shown}")
    return get_args(annotation)[0]
