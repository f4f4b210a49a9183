"""Schemas of dataclasses: all that a component need not write itself.

Data are read by the rules of the slot (`kit.slots.validation.reading`), the component judges
whether values keep the limits of their fields, and then the dataclass is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as member
from typing import TYPE_CHECKING, Any

from kit.slots.validation import json_schemas
from kit.slots.validation.describing import read
from kit.slots.validation.fields import NOTHING, Field
from kit.slots.validation.reading import Failure, reader

if TYPE_CHECKING:
    from kit.slots.validation import ValidationOptions

Judge = Callable[[Any], Iterable[Failure]]
"""Takes values that were read, and returns a failure for each that breaks a limit of its field.

Values of objects are dicts, without members that there was no input for or that could not be read.
An element of a list that could not be read is `NOTHING`; further failures of it do not count.
"""

_CODES = {
    "min_length": "too_short",
    "max_length": "too_long",
    "pattern": "pattern",
    "ge": "too_small",
    "gt": "not_above",
    "le": "too_large",
    "lt": "not_below",
    "multiple_of": "not_multiple",
}
_OF_LISTS = {"min_length": "too_few", "max_length": "too_many"}


@dataclass(frozen=True)
class Checked:
    """What became of input: the value and its fields by name, or failures, all of them.

    `value` is None where there are failures, and where the schema has private fields that only
    the application can give: `Schema.make` takes them.
    """

    value: Any
    values: dict[str, Any]
    failures: list[Failure] = member(default_factory=list)


class DataclassSchema:
    """The schema of a dataclass, or of a list of dataclasses.

    `judge` is given the root field, once, if there is anything to judge in it, and returns the
    `Judge` of its values. Raises TypeError where `cls` is no such class.
    """

    def __init__(
        self,
        cls: Any,
        judge: Callable[[Field], Judge],
        options: ValidationOptions,
        *,
        partial: bool = False,
    ) -> None:
        self.cls = cls
        self.root = root = read(cls).partial() if partial else read(cls)
        self._partial = partial
        self._again = (cls, judge, options)
        self.fields = root.fields or (root,)
        refuse = options.unknown == "refuse"
        self._refuse = refuse
        self._text = reader(root, text=True, refuse=refuse, zone=options.place)
        self._data = reader(root, text=False, refuse=refuse, zone=options.place)
        self._judge = judge(root) if has_limits(root) else None
        self._build = _builder(root) or (lambda values, path: values)
        self._names = [field.name for field in self.fields]

    def check(self, data: Any, *, text: bool) -> Checked:
        """Return value and values, or everything that is wrong with `data`; never raise."""
        failures: list[Failure] = []
        if data is None:
            return Checked(None, {}, [Failure("", f"not_{self.root.kind}")])
        values = (self._text if text else self._data)(data, "", failures)
        if self._judge is not None and values is not NOTHING:
            broken = list(self._judge(values))
            if broken:
                known = {failure.field for failure in failures}
                failures += [failure for failure in broken if failure.field not in known]
        if failures:
            return Checked(None, {}, in_order(failures, self.fields))
        try:
            value = self._build(values, "")
        except _RejectedError as rejected:
            return Checked(None, {}, [rejected.failure])
        if self.root.lacks or self._partial:
            return Checked(None, value)
        if self.root.kind == "list":
            return Checked(value, {"": value})
        return Checked(value, {name: getattr(value, name) for name in self._names})

    def partial(self) -> DataclassSchema:
        """Return the schema of a patch: any field may be missing, and is in no values then."""
        if self.root.kind != "object":
            raise TypeError(f"{self.cls} is a list, of which no part can be missing")
        return DataclassSchema(*self._again, partial=True)

    def make(self, values: Mapping[str, Any]) -> Any:
        """Return an instance from checked values, with private ones among them.

        Raises ValueError where the class itself rejects them.
        """
        return self.cls(**values)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema (2020-12) of data, with nested dataclasses in ``$defs``."""
        return json_schemas.of(self.root, closed=self._refuse)


def one_by_one(root: Field, keeps: Callable[[Field, str], Callable[[Any], bool]]) -> Judge:
    """Return what judges every value for each limit alone.

    `keeps` is called at start, with a field and the name of a limit, and returns what says whether
    a value keeps that limit.
    """
    tests: dict[Field, dict[str, Callable[[Any], bool]]] = {}
    waiting = [root]
    while waiting:
        field = waiting.pop()
        tests[field] = {name: keeps(field, name) for name in field.judged}
        waiting += field.inner

    def judge(values: Any) -> list[Failure]:
        return [
            broken(path, name, field.limits[name], of_list=field.kind == "list")
            for path, field, value in walk(root, values)
            for name, test in tests[field].items()
            if not test(value)
        ]

    return judge


def walk(field: Field, value: Any, path: str = "") -> Iterator[tuple[str, Field, Any]]:
    """Yield path, field and value of everything that has limits, for judging one by one."""
    if value is None or value is NOTHING:
        return
    if field.judged:
        yield path, field, value
    prefix = f"{path}." if path else ""
    if field.kind == "object":
        for inner in field.fields:
            if inner.name in value:
                yield from walk(inner, value[inner.name], prefix + inner.name)
    elif field.item is not None and has_limits(field.item):
        for number, one in enumerate(value):
            yield from walk(field.item, one, f"{prefix}{number}")


def has_limits(field: Field) -> bool:
    """Say whether there is anything to judge in a field."""
    return bool(field.judged) or any(map(has_limits, field.inner))


def broken(path: str, limit: str, bound: Any, *, of_list: bool) -> Failure:
    """Return the failure of a value that breaks a limit, such as ``max_length``, with its bound."""
    if limit == "min_length" and bound == 1:
        return Failure(path, "missing")
    return Failure(path, (_OF_LISTS if of_list else _CODES)[limit], {"limit": bound})


def in_order(failures: Iterable[Failure], fields: Sequence[Field]) -> list[Failure]:
    """Return failures in the order of their fields, those of no field last."""
    return sorted(failures, key=lambda failure: _place(failure.field, fields))


def _place(path: str, fields: Sequence[Field]) -> list[int]:
    place = []
    for name in path.split("."):
        if name.isdigit():
            place.append(int(name))
            continue
        names = [field.name for field in fields]
        place.append(names.index(name) if name in names else len(names))
        if name in names:
            field = fields[place[-1]]
            fields = field.item.fields if field.item is not None else field.fields
    return place


def with_defaults(values: Mapping[str, Any], fields: Iterable[Field]) -> dict[str, Any]:
    """Return values for all fields: those that there was no input for have their default."""
    return {f.name: values[f.name] if f.name in values else f.initial() for f in fields}


class _RejectedError(Exception):
    """A class has raised ValueError for values that all fit its fields."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure


_Build = Callable[[Any, str], Any]


def _builder(field: Field) -> _Build | None:
    """Return what makes dataclasses from what was read; None where that is the value already."""
    if field.kind == "list" and field.item is not None:
        one = _builder(field.item)
        return one and _list_builder(field, one)
    if field.kind != "object":
        return None
    cls = field.cls
    inner = [(f.name, build) for f in field.fields if (build := _builder(f)) is not None]

    def make(values: Any, path: str) -> Any:
        if values is None:
            return None
        for name, build in inner:
            if name in values:
                values[name] = build(values[name], f"{path}.{name}" if path else name)
        if field.lacks:
            return with_defaults(values, field.fields)
        try:
            return cls(**values)
        except ValueError as error:
            raise _RejectedError(Failure(path, "invalid", {"message": str(error)})) from error

    return make


def _list_builder(field: Field, one: _Build) -> _Build:
    def make(values: Any, path: str) -> Any:
        if values is None:
            return None
        prefix = f"{path}." if path else ""
        return field.cls(one(item, f"{prefix}{number}") for number, item in enumerate(values))

    return make
