"""Describing: a dataclass is read into fields, which every component works from.

The fields of a schema are str, int, float, bool, bytes, datetime, date, time, Decimal, UUID, an
Enum of str or int, a Literal, an `Upload`, another dataclass, or a list, set, frozenset or
``tuple[X, ...]`` of these; each of them optional with ``| None``. What a type cannot say stands in
``Annotated``::

    @dataclass
    class Contact:
        name: Annotated[str, Meta(max_length=100, title="Full name", description="As you sign.")]
        notes: Annotated[str, Meta(max_length=2000), Widget("textarea")] = ""
        owner: Annotated[int, References(User), Private] = 0
        id: int | None = None

What the store gives (``id: int | None = None``), what is `Private` and what has ``init=False`` is
never input.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from kit.errors import listing, nearest
from kit.slots.persistence.records import KINDS, LIMITS, NAMES, Digits
from kit.slots.validation.fields import NOTHING, Choice, Field, Private, Widget
from kit.slots.validation.uploads import MaxSize, MediaTypes, Upload

CONTAINERS = (list, set, frozenset, tuple)
_LIMITS = {
    **LIMITS,
    "int": (*LIMITS["int"], "multiple_of"),
    "list": ("min_length", "max_length"),
}
_WIDGETS = {
    "str": ("text", "textarea", "email", "url", "tel", "search", "password", "hidden"),
    "int": ("number", "text", "hidden"),
    "float": ("number", "text", "hidden"),
    "decimal": ("number", "text", "hidden"),
    "bool": ("checkbox", "hidden"),
    "bytes": ("file",),
    "file": ("file",),
    "datetime": ("datetime-local", "text", "hidden"),
    "date": ("date", "text", "hidden"),
    "time": ("time", "text", "hidden"),
    "uuid": ("text", "hidden"),
    "choice": ("select", "radio", "hidden"),
    "any": ("text", "textarea", "email", "url", "tel", "search", "password", "hidden"),
    "list": ("checkboxes", "select"),
    "object": ("group",),
}


def is_schema(cls: Any) -> bool:
    """Say whether fields can be read from `cls`: a dataclass, or a container of one."""
    if get_origin(cls) in CONTAINERS:
        return any(is_schema(one) for one in get_args(cls))
    return isinstance(cls, type) and dataclasses.is_dataclass(cls)


def read(cls: Any) -> Field:
    """Return the root of a schema: a field without a name of kind object, or list of them.

    Raises TypeError, with every mistake in `cls`, where it is none.
    """
    if not is_schema(cls):
        raise TypeError(
            f"{getattr(cls, '__name__', cls)} is no schema: write a dataclass, or list[...] of one"
        )
    reading = Reading()
    root = reading.field("", cls)
    if reading.mistakes:
        raise TypeError("; ".join(reading.mistakes))
    return root


def label_of(name: str) -> str:
    """Return ``First name`` for ``first_name``."""
    return name.replace("_", " ").strip().capitalize()


def unwrapped(hint: Any) -> tuple[Any, bool, list[Any]]:
    """Return the type inside of Annotated and Optional, whether None is allowed, the markers."""
    markers: list[Any] = []
    null = False
    while True:
        if get_origin(hint) is Annotated:
            markers = [*hint.__metadata__, *markers]
            hint = hint.__origin__
        elif get_origin(hint) in (Union, types.UnionType) and len(get_args(hint)) == 2:
            first, second = get_args(hint)
            if types.NoneType not in (first, second):
                return hint, null, markers
            hint, null = second if first is types.NoneType else first, True
        else:
            return hint, null, markers


class Reading:
    """Reads types into fields, and gathers mistakes.

    `describe`, for the classes of a library, gives the fields of one of them, or None for another
    type. Then types that are unknown here are of kind any, and no mistake.
    """

    def __init__(
        self, describe: Callable[[Reading, Any], Sequence[Field] | None] | None = None
    ) -> None:
        self.mistakes: list[str] = []
        self._describe = describe
        self._path: list[str] = []
        self._inside: list[Any] = []

    def field(self, name: str, hint: Any, **known: Any) -> Field:
        """Return the field of a name and a type; `known` are members of it that stand already."""
        self._path.append(name)
        kind, null, markers = unwrapped(hint)
        try:
            members = self._members(kind, markers)
        except TypeError as error:
            self.mistakes.append(f"{'.'.join(filter(None, self._path))}: {error}")
            members = {"kind": "any"}
        self._path.pop()
        found = {"label": label_of(name), **_described(markers), "null": null, **members, **known}
        has_default = found.get("default", NOTHING) is not NOTHING or found.get("make_default")
        found.setdefault("required", not (has_default or null))
        return Field(name=name, **self._widget(found, markers))

    def _members(self, kind: Any, markers: Sequence[Any]) -> dict[str, Any]:
        """Return kind, limits and what else a type and its markers say."""
        fields = self._fields(kind)
        if fields is not None:
            _limits("object", markers)
            lacks = self._lacks(kind)
            return {"kind": "object", "cls": kind, "fields": tuple(fields), "lacks": lacks}
        if get_origin(kind) in CONTAINERS and not (self._describe and _element(kind) is None):
            return self._list(kind, markers)
        if kind is Upload:
            _limits("file", markers)
            return {"kind": "file", **_files(markers)}
        if get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, Enum)):
            _limits("choice", markers)
            return {"kind": "choice", "cls": kind, "choices": _choices(kind)}
        name = KINDS.get(kind)
        if name is None and self._describe:
            return {"kind": "any", "cls": kind}
        if name is None:
            raise TypeError(
                f"{getattr(kind, '__name__', kind)} is no type for input: take"
                f" {', '.join(known.__name__ for known in KINDS)}, an Enum, a Literal, Upload,"
                " a dataclass, a list or set of these, or one of them | None"
            )
        found: dict[str, Any] = {"kind": name, "limits": _limits(name, markers)}
        if name == "decimal":
            found["digits"] = next((one for one in markers if isinstance(one, Digits)), None)
        if name == "bytes":
            found |= {"max_size": found["limits"].pop("max_length", None), **_files(markers)}
        return found

    def _list(self, kind: Any, markers: Sequence[Any]) -> dict[str, Any]:
        container, element = get_origin(kind), _element(kind)
        if element is None:
            raise TypeError(
                "a list has elements of one type: write list[str], or tuple[str, ...]; it has no"
                " lists in it"
            )
        of_files = tuple(m for m in markers if isinstance(m, (MaxSize, MediaTypes)))
        item = self.field("", Annotated[(element, *of_files)] if of_files else element)
        if item.kind == "object" and container in (set, frozenset):
            raise TypeError("a set has no dataclasses in it: take a list")
        limits = _limits("list", markers)
        return {"kind": "list", "cls": container, "item": item, "limits": limits}

    def _fields(self, cls: Any) -> Sequence[Field] | None:
        if cls in self._inside:
            raise TypeError(f"{cls.__name__} contains itself, which no form could show")
        self._inside.append(cls)
        try:
            found = self._describe(self, cls) if self._describe else None
            if found is None and isinstance(cls, type) and dataclasses.is_dataclass(cls):
                found = self._of_dataclass(cls)
        finally:
            self._inside.pop()
        return found

    def _of_dataclass(self, cls: Any) -> list[Field]:
        try:
            hints = typing.get_type_hints(cls, include_extras=True)
        except NameError as error:
            raise TypeError(f"{error}: import it in the module of {cls.__name__}") from error
        others = {*inspect.signature(cls).parameters} - {
            one.name for one in dataclasses.fields(cls)
        }
        if others:
            raise TypeError(f"{cls.__name__} takes {listing(others)}, which is no field of it")
        public = [one for one in dataclasses.fields(cls) if not is_private(one, hints[one.name])]
        fields = []
        for one in public:
            default = NOTHING if one.default is dataclasses.MISSING else one.default
            factory = one.default_factory
            made = None if factory is dataclasses.MISSING else factory
            fields.append(self.field(one.name, hints[one.name], default=default, make_default=made))
        if not fields:
            raise TypeError(f"{cls.__name__} has no field that could be input")
        return fields

    def _lacks(self, cls: type) -> tuple[str, ...]:
        if not dataclasses.is_dataclass(cls):
            return ()
        hints = typing.get_type_hints(cls, include_extras=True)
        missing = dataclasses.MISSING
        lacks = tuple(
            one.name
            for one in dataclasses.fields(cls)
            if is_private(one, hints[one.name]) and one.init
            if one.default is missing and one.default_factory is missing
        )
        if lacks and len(self._path) > 1:
            raise TypeError(
                f"{listing(lacks)} of {cls.__name__} is private, and nothing could give it a value"
                " here: give it a default"
            )
        return lacks

    def _widget(self, found: dict[str, Any], markers: Sequence[Any]) -> dict[str, Any]:
        marker = next((marker for marker in markers if isinstance(marker, Widget)), None)
        allowed = _widgets(found)
        if marker and marker.kind not in allowed:
            self.mistakes.append(
                f"{found['label']!r} cannot be shown by the widget {marker.kind!r}."
                f"{nearest(marker.kind, allowed)} Take one of: {listing(allowed)}"
            )
        found.setdefault("widget", marker.kind if marker else allowed[0])
        found.setdefault("attributes", marker.attributes if marker else {})
        return found


@cache
def public_names(cls: type) -> frozenset[str]:
    """Return the names of the fields of a dataclass that input may give."""
    hints = typing.get_type_hints(cls, include_extras=True)
    found = dataclasses.fields(cls)
    return frozenset(one.name for one in found if not is_private(one, hints[one.name]))


def is_private(field: dataclasses.Field[Any], hint: Any) -> bool:
    """Say whether a field of a dataclass is never input."""
    kind, null, markers = unwrapped(hint)
    given_by_store = field.name == "id" and (kind, null, field.default) == (int, True, None)
    return given_by_store or not field.init or is_marked_private(markers)


def is_marked_private(markers: Iterable[Any]) -> bool:
    """Say whether `Private` is among the markers of a field."""
    return any(marker is Private or isinstance(marker, Private) for marker in markers)


def _element(container: Any) -> Any:
    """Return the type of the elements of a list; None where it is no plain list of one type."""
    kinds = get_args(container)
    if get_origin(container) is tuple:
        kinds = kinds[:1] if kinds[1:] == (...,) else ()
    of_lists = len(kinds) == 1 and get_origin(unwrapped(kinds[0])[0]) in CONTAINERS
    return kinds[0] if len(kinds) == 1 and not of_lists else None


def _widgets(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the widgets that can show a field, the usual one first."""
    if found["kind"] != "list":
        return _WIDGETS[found["kind"]]
    of = found["item"].kind
    return _WIDGETS["list"] if of == "choice" else ("file" if of in ("file", "bytes") else "group",)


def _described(markers: Sequence[Any]) -> dict[str, Any]:
    """Return label and help, where ``Meta(title=..., description=...)`` says them."""
    found: dict[str, Any] = {}
    for meta in markers:
        if isinstance(meta, msgspec.Meta):
            found |= {"label": meta.title} if meta.title else {}
            found |= {"help": meta.description} if meta.description else {}
    return found


def _limits(kind: str, markers: Sequence[Any]) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    for meta in markers:
        if isinstance(meta, msgspec.Meta):
            limits |= {name: value for name in NAMES if (value := getattr(meta, name)) is not None}
            if meta.tz is False:
                raise TypeError("Meta(tz=False) is not possible: a datetime has a time zone")
    wrong = [name for name in limits if name not in _LIMITS.get(kind, ())]
    if wrong:
        allowed = listing(_LIMITS.get(kind, ()))
        raise TypeError(f"Meta({wrong[0]}=...) cannot limit {kind}: there are {allowed}")
    if kind == "decimal":
        return {name: Decimal(str(value)) for name, value in limits.items()}
    return limits


def _files(markers: Sequence[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for marker in markers:
        if isinstance(marker, MaxSize):
            found["max_size"] = marker.size
        if isinstance(marker, MediaTypes):
            found["media_types"] = marker.types
    return found


def _choices(kind: Any) -> tuple[Choice, ...]:
    if get_origin(kind) is Literal:
        found = [Choice(value, str(value), str(value)) for value in get_args(kind)]
        values = list(get_args(kind))
    else:
        usual = {member: label_of(member.name.lower()) for member in kind}
        found = [
            Choice(member, str(member.value), str(getattr(member, "label", usual[member])))
            for member in kind
        ]
        values = [member.value for member in kind]
    if not values or any(type(value) not in (str, int) for value in values):
        raise TypeError("choices are texts or whole numbers, and there is at least one")
    if len({choice.text for choice in found}) < len(found) or "" in {c.text for c in found}:
        raise TypeError("two choices look the same in a form, or one is empty")
    return tuple(found)
