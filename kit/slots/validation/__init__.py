"""Validation: untrusted input becomes a typed value, or errors for each field."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path as Folder
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar
from zoneinfo import ZoneInfo

from werkzeug.datastructures import Headers
from werkzeug.exceptions import UnsupportedMediaType

from kit.components import Slot
from kit.errors import listing
from kit.plugins import hookimpl
from kit.providers import provider
from kit.requests import Request
from kit.slots.formats import FormatsOptions, Negotiator
from kit.slots.validation.fields import Choice, Field, Private, Widget
from kit.slots.validation.inputs import (
    Body,
    Form,
    HeaderValues,
    Input,
    Patch,
    Path,
    Query,
    schema_class,
)
from kit.slots.validation.messages import Messages
from kit.slots.validation.reading import Failure
from kit.slots.validation.schemas import Checked, DataclassSchema, Judge
from kit.slots.validation.text import expand
from kit.slots.validation.uploads import MaxSize, MediaTypes, Upload
from kit.slots.validation.widgets import has_files

if TYPE_CHECKING:
    from kit.app import App

__all__ = [
    "Body",
    "Checked",
    "Checker",
    "Choice",
    "DataclassSchema",
    "Failure",
    "Field",
    "Form",
    "HeaderValues",
    "Input",
    "Judge",
    "MaxSize",
    "MediaTypes",
    "Patch",
    "Path",
    "Private",
    "Query",
    "Schema",
    "Upload",
    "Validation",
    "ValidationOptions",
    "Widget",
]

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_TOKEN = "csrf_token"  # noqa: S105 - the name of the field, not a token

Environ = dict[str, Any]
Opener = Callable[..., Any]
Kind = TypeVar("Kind", bound=Input[Any])


@dataclass(frozen=True, kw_only=True)
class ValidationOptions:
    """Options that mean the same for every component.

    Members of the input that a schema does not know are left out, or with `unknown` ``"refuse"``
    they are errors. `messages` is a folder with the messages of further languages: ``de.toml``
    for German. Date and time in a form without a zone, as browsers send them, are in `zone`, which
    is the name of one, such as ``Europe/Berlin``.
    """

    unknown: Literal["ignore", "refuse"] = "ignore"
    messages: Folder | None = None
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.messages is not None and not self.messages.is_dir():
            raise ValueError(f"there is no folder {self.messages}: make it, or leave messages out")
        _ = self.place

    @property
    def place(self) -> tzinfo:
        """The time zone of the name `zone`."""
        try:
            return UTC if self.zone == "UTC" else ZoneInfo(self.zone)
        except (ValueError, OSError, KeyError) as error:  # an unknown zone is a KeyError
            raise ValueError(
                f"zone = {self.zone!r} is no time zone: write for example 'Europe/Berlin'"
            ) from error


class Schema(Protocol):
    """What a component makes of a class, at start, once for each handler that names it."""

    @property
    def fields(self) -> Sequence[Field]:
        """The fields in their order: those of the class, or the one list that it is."""
        ...

    def check(self, data: Any, *, text: bool) -> Checked:
        """Return the checked value of `data`, or all that is wrong with it; never raise for it.

        With `text` data come from a form, a query, a path or headers: nested dicts and lists, with
        text and `Upload` at the bottom. White space around text does not count, empty text is no
        input, and texts become what the fields are. Without it data are what JSON can say.
        """
        ...

    def make(self, values: Mapping[str, Any]) -> Any:
        """Return an instance of the class from checked values and private ones.

        Raises ValueError where the class rejects them.
        """
        ...

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema (2020-12) of data, with further definitions in ``$defs``."""
        ...


class Validation(Protocol):
    """A library that checks input.

    The factory may name ``options`` (annotated with `ValidationOptions`, or a subclass that adds
    the library's own). Every component takes plain dataclasses, and means the same by them:
    `DataclassSchema` reads data, builds the value and does all the rest, so that a component has
    only to judge whether values keep the limits of their fields. Beside them a component takes the
    classes of its library, with all that the library does. What all components promise:

    - All mistakes are found at once, each with the path of its field and one of the codes of
      `kit.slots.validation.messages`; texts of the library appear only where it has no code.
    - Text is read strictly: ASCII digits, finite numbers, ISO dates, no NUL, no lone surrogates.
    - Private fields, and the id that the store gives, are never input, however they are sent.
    - Threads share a schema.

    `kit.contracts.validation.ValidationContract` proves it, clause by clause.
    """

    def schema(self, cls: Any) -> Schema:
        """Return the schema of a class, or of a list of them.

        Raises TypeError, with a message for the author of `cls`, where it cannot be one.
        """
        ...


@provider(scope="app")
def validation_messages(validation_options: ValidationOptions) -> Messages:
    """The messages for input that cannot be used, in all languages of the application."""
    return Messages(validation_options.messages)


@dataclass(frozen=True)
class Checker:
    """Makes inputs: what typed providers share, one object for an application."""

    validation: Validation
    messages: Messages
    zone: tzinfo

    def schema(self, annotation: Any, kind: type[Kind]) -> Schema:
        """Return the schema of an annotation such as ``Form[Contact]``; raise TypeError."""
        cls = schema_class(annotation, kind)
        schema = self.validation.schema(cls)
        if kind is Patch:
            partial = getattr(schema, "partial", None)
            if partial is None:
                raise TypeError(f"{cls} is no dataclass, which alone patch: Patch[...] can be")
            schema = partial()
        if kind is not Body and not all(field.name for field in schema.fields):
            raise TypeError(f"{cls} is a list, which only body: Body[...] can be")
        return schema

    def input(
        self, kind: type[Kind], schema: Schema, environ: Environ, raw: Any, *, text: bool = True
    ) -> Kind:
        """Check data, and return them with messages in the language of the request."""
        texts = self.messages.pick(environ.get("HTTP_ACCEPT_LANGUAGE", ""))
        return kind(schema, raw, schema.check(raw, text=text), texts, self.zone)


@provider(scope="app")
def checker(
    validation: Validation,
    validation_messages: Messages,
    validation_options: ValidationOptions,
) -> Checker:
    """What checks input for the providers ``form``, ``body``, ``query``, ``path``, ``headers``."""
    return Checker(validation, validation_messages, validation_options.place)


@provider
def uploads(response_headers: Headers) -> Iterator[list[Upload]]:
    """The files that came with the request: if it fails, what they have stored is deleted."""
    # It names the headers of the answer in order to be closed last: a database may still refuse.
    found: list[Upload] = []
    try:
        yield found
    except BaseException:
        for upload in found:
            upload.discard()
        raise


@provider(typed=True)
def form(annotation: Any, app: App, checker: Checker, negotiator: Negotiator) -> Opener:
    """The body of a request, to be checked and shown as a form: ``form: Form[Contact]``."""
    schema = checker.schema(annotation, Form)
    names = ["session"] if app.stack.filling("sessions") else []
    names += ["uploads"] if any(map(has_files, schema.fields)) else []

    def read(request: Request, *others: Any) -> Form[Any]:
        more = dict(zip(names, others, strict=True))
        if request.environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            made: Form[Any] = Form(schema, zone=checker.zone)
        else:
            raw, text = _sent(request, schema, negotiator, more.get("uploads"))
            made = checker.input(Form, schema, request.environ, raw, text=text)
        made.session = more.get("session")
        return made

    return _naming(read, ["request", *names])


def _sent(
    request: Request, schema: Schema, negotiator: Negotiator, uploads: list[Upload] | None
) -> tuple[Any, bool]:
    """Return what a form or another body holds, and whether that is text."""
    kind = request.environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind not in _FORMS and (kind or request.body):
        return _data(request, negotiator, _FORMS)
    pairs: list[tuple[str, list[Any]]] = [*request.form.lists()] if kind else []
    if kind == _FORMS[1]:
        for name, files in request.files.lists():
            found = [Upload(file) for file in files if file.filename]
            pairs += [(name, found)] if found else []
            if uploads is not None:
                uploads += found
    return expand([pair for pair in pairs if pair[0] != _TOKEN], schema.fields), True


def _data(request: Request, negotiator: Negotiator, others: Sequence[str] = ()) -> tuple[Any, bool]:
    """Return the data of a body, and whether they are text; raise 415 or 400."""
    content_type = request.environ.get("CONTENT_TYPE", "")
    reading = negotiator.reader(content_type)
    if reading is None:
        raise UnsupportedMediaType(f"Send one of: {listing([*others, *negotiator.readable])}.")
    return negotiator.read(content_type, request.body), getattr(reading, "as_text", False)


@provider(typed=True)
def body(annotation: Any, checker: Checker, negotiator: Negotiator) -> Opener:
    """The body of a request as data, such as JSON: ``body: Body[Contact]``."""
    schema = checker.schema(annotation, Body)

    def read(request: Request) -> Body[Any]:
        raw, text = _data(request, negotiator)
        return checker.input(Body, schema, request.environ, raw, text=text)

    return read


@provider(typed=True)
def patch(annotation: Any, checker: Checker, negotiator: Negotiator) -> Opener:
    """The body of a request as data of which parts may be missing: ``patch: Patch[Contact]``."""
    schema = checker.schema(annotation, Patch)

    def read(request: Request) -> Patch[Any]:
        raw, text = _data(request, negotiator)
        return checker.input(Patch, schema, request.environ, raw, text=text)

    return read


@provider(typed=True, inline=True)
def query(annotation: Any, checker: Checker, formats_options: FormatsOptions) -> Opener:
    """The query of the URL: ``query: Query[Search]``."""
    schema = checker.schema(annotation, Query)
    parameter = formats_options.parameter  # it names the format of the answer

    def read(request: Request) -> Query[Any]:
        pairs = [pair for pair in request.args.lists() if pair[0] != parameter]
        return checker.input(Query, schema, request.environ, expand(pairs, schema.fields))

    return read


@provider(typed=True, inline=True)
def path(annotation: Any, checker: Checker) -> Opener:
    """The values of the URL pattern: ``path: Path[Place]``."""
    schema = checker.schema(annotation, Path)
    names = [field.name for field in schema.fields]

    def read(environ: Environ, path_values: Mapping[str, Any]) -> Path[Any]:
        raw = {name: str(path_values[name]) for name in names if name in path_values}
        return checker.input(Path, schema, environ, raw)

    return read


@provider(typed=True, inline=True)
def headers(annotation: Any, checker: Checker) -> Opener:
    """Headers of the request: ``headers: HeaderValues[Conditions]``."""
    schema = checker.schema(annotation, HeaderValues)
    variables = {field.name: _variable(field.name) for field in schema.fields}
    lists = {field.name for field in schema.fields if field.kind == "list"}

    def read(environ: Environ) -> HeaderValues[Any]:
        raw = {name: environ[key] for name, key in variables.items() if key in environ}
        for name in lists & raw.keys():
            raw[name] = raw[name].split(",")
        return checker.input(HeaderValues, schema, environ, raw)

    return read


def _variable(name: str) -> str:
    """Return the key under which WSGI has a header."""
    upper = name.upper().replace("-", "_")
    return upper if upper in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{upper}"


def _naming(function: Opener, names: Sequence[str]) -> Opener:
    """Let a function that takes ``*values`` name what a provider needs."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    named = [inspect.Parameter(name, kind) for name in names]
    function.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]  # inspect reads it
    return function


slot = Slot(
    name="validation",
    protocol=Validation,
    options=ValidationOptions,
    providers=(validation_messages, checker, uploads, form, body, patch, query, path, headers),
    default="msgspec",
    contract="kit.contracts.validation:ValidationContract",
)


kit_after = ("kit.slots.formats",)


@hookimpl
def kit_slots() -> list[Slot]:
    """Declare the slot ``validation``."""
    return [slot]
