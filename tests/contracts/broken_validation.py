"""For each clause of the validation contract a component that breaks just that one.

The name keeps this file out of a normal run. A test runs it, and sees clause V7 fail in `TestV7`.
Some break the clauses that rest on theirs, too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from kit_msgspec.validation import MsgspecValidation

from kit.contracts.validation import Garden, ValidationContract
from kit.slots.validation import Checked, Failure, Field, Upload, ValidationOptions
from kit.slots.validation.fields import NOTHING
from kit.slots.validation.messages import ENGLISH

Refail = Callable[[list[Failure]], list[Failure]]


class Schema:
    """The schema of a good component, with places to break it."""

    before: Callable[[Any, bool], Any] = staticmethod(lambda data, text: data)
    after: Callable[[Checked, Any, bool], Checked] = staticmethod(
        lambda checked, data, text: checked
    )
    described: Callable[[Field], Field] = staticmethod(lambda field: field)

    def __init__(self, good: Any) -> None:
        self.good = good
        self.fields = tuple(map(self.described, good.fields))

    def check(self, data: Any, *, text: bool) -> Checked:
        checked = self.good.check(self.before(data, text), text=text)
        return self.after(checked, data, text)

    def partial(self) -> Schema:
        return type(self)(self.good.partial())

    def make(self, values: Mapping[str, Any]) -> Any:
        return self.good.make(values)

    def json_schema(self) -> dict[str, Any]:
        return self.good.json_schema()


class Broken(ValidationContract):
    Schema: type[Schema] = Schema

    def make(self, options: ValidationOptions) -> Any:
        kind = self.Schema

        class Validation(MsgspecValidation):
            def schema(self, cls: Any) -> Any:
                return kind(super().schema(cls))

        return Validation(self.changed(options))

    def changed(self, options: ValidationOptions) -> ValidationOptions:
        return options


def raw(change: Callable[[Any, bool], Any]) -> type[Schema]:
    """A schema that changes every raw value at the bottom before it is checked."""

    def changed(data: Any, text: bool) -> Any:
        if isinstance(data, Mapping):
            return {name: changed(one, text) for name, one in data.items()}
        if isinstance(data, list):
            return [changed(one, text) for one in data]
        return change(data, text)

    return type("Changed", (Schema,), {"before": staticmethod(changed)})


def data(change: Callable[[Any, bool], Any]) -> type[Schema]:
    """A schema that changes the data as a whole."""
    return type("Changed", (Schema,), {"before": staticmethod(change)})


def failures(change: Refail) -> type[Schema]:
    """A schema that changes failures."""

    def after(checked: Checked, data: Any, text: bool) -> Checked:
        return replace(checked, failures=change(checked.failures))

    return type("Failing", (Schema,), {"after": staticmethod(after)})


def forgiving(*codes: str) -> type[Schema]:
    """A schema that has nothing against mistakes of some kinds, and gives the raw data as value."""

    def after(checked: Checked, data: Any, text: bool) -> Checked:
        left = [failure for failure in checked.failures if failure.code not in codes]
        if left or not checked.failures:
            return replace(checked, failures=left)
        return Checked(data, dict(data))

    return type("Forgiving", (Schema,), {"after": staticmethod(after)})


def renamed(old: str, new: str) -> type[Schema]:
    """A schema that gives failures another path."""
    return failures(
        lambda found: [replace(one, field=one.field.replace(old, new)) for one in found]
    )


class Changing:
    """Makes attributes of values something else."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self.change = change

    def __call__(self, checked: Checked, data: Any, text: bool) -> Checked:
        if checked.value is not None:
            for name, value in vars(checked.value).items():
                setattr(checked.value, name, self.change(value))
        return checked


def changing(change: Callable[[Any], Any]) -> type[Schema]:
    """A schema that changes what it read."""
    return type("Changing", (Schema,), {"after": staticmethod(Changing(change))})


class TestV1(Broken):
    Schema = changing(lambda value: str(value) if isinstance(value, Decimal) else value)


class TestV2(Broken):
    Schema = raw(lambda value, text: int(value) if value == 2.5 else value)


class TestV3(Broken):
    Schema = raw(
        lambda value, text: f"x{value}" if isinstance(value, str) and value[:1].isspace() else value
    )


class TestV4(Broken):
    Schema = raw(
        lambda value, text: value.replace("\r\n", "\r\r\n") if isinstance(value, str) else value
    )


class TestV5(Broken):
    Schema = raw(lambda value, text: "0" if value == "" else value)


class TestV6(Broken):
    Schema = raw(lambda value, text: NOTHING if value in ("", None) else value)


class TestV7(Broken):
    Schema = failures(lambda found: [replace(one, params={}) for one in found])


class TestV8(Broken):
    Schema = raw(
        lambda value, text: value.replace("_", "") if text and isinstance(value, str) else value
    )


class TestV9(Broken):
    Schema = raw(lambda value, text: int(value) if type(value) is bool else value)


class TestV10(Broken):
    Schema = raw(lambda value, text: "1" if isinstance(value, str) and len(value) == 19 else value)


class TestV11(Broken):
    Schema = raw(lambda value, text: value.replace("\0", "") if isinstance(value, str) else value)


class TestV12(Broken):
    Schema = data(lambda data, text: {"value": "", **data} if text and data == {} else data)


class TestV13(Broken):
    def changed(self, options: ValidationOptions) -> ValidationOptions:
        return replace(options, zone="UTC")


class TestV14(Broken):
    Schema = raw(lambda value, text: value.lower() if value == "RED" else value)


class TestV15(Broken):
    Schema = renamed("street.", "street/")


class TestV16(Broken):
    Schema = renamed("value.1", "value.2")


class TestV17(Broken):
    @staticmethod
    def first(data: Any, text: bool) -> Any:
        return {name: one[:1] if isinstance(one, list) else one for name, one in data.items()}

    Schema = data(first)


class TestV18(Broken):
    @staticmethod
    def backwards(checked: Checked, data: Any, text: bool) -> Checked:
        if checked.value is not None:
            checked.value.value.reverse()
        return checked

    Schema = type("Reversing", (Schema,), {"after": staticmethod(backwards)})


class TestV19(Broken):
    @staticmethod
    def unwrapped(data: Any, text: bool) -> Any:
        return [data] if isinstance(data, Mapping) else data

    Schema = data(unwrapped)

    def make(self, options: ValidationOptions) -> Any:
        wrapped = self.Schema

        class Validation(MsgspecValidation):
            def schema(self, cls: Any) -> Any:
                schema = super().schema(cls)
                return wrapped(schema) if str(cls).startswith("list") else schema

        return Validation(options)


class TestV20(Broken):
    Schema = failures(lambda found: found[:1])


class TestV21(Broken):
    Schema = failures(
        lambda found: [
            *found,
            *(replace(one, code="too_short") for one in found if one.code == "bad_text"),
        ]
    )


class TestV22(Broken):
    def changed(self, options: ValidationOptions) -> ValidationOptions:
        return replace(options, unknown="refuse")


class TestV23(Broken):
    def changed(self, options: ValidationOptions) -> ValidationOptions:
        return replace(options, unknown="ignore")


class TestV24(Broken):
    @staticmethod
    def assign(checked: Checked, data: Any, text: bool) -> Checked:
        if hasattr(checked.value, "owner") and isinstance(data, Mapping) and "owner" in data:
            checked.value.owner = int(data["owner"])
        return checked

    Schema = type("Assigning", (Schema,), {"after": staticmethod(assign)})


class TestV25(Broken):
    @staticmethod
    def take(checked: Checked, data: Any, text: bool) -> Checked:
        if checked.value is None and "owner" in data:
            return replace(checked, value=checked.values)
        return checked

    Schema = type("Taking", (Schema,), {"after": staticmethod(take)})


class TestV26(Broken):
    Schema = failures(lambda found: [replace(one, params={"message": "No."}) for one in found])


class TestV27(Broken):
    Schema = forgiving("file_type")


class TestV28(Broken):
    Schema = forgiving("file_too_large")


class TestV29(Broken):
    @staticmethod
    def hashed(data: Any, text: bool) -> Any:
        if isinstance(data, Mapping):
            _ = {*data.values()}
        return data

    Schema = data(hashed)


class TestV30(Broken):
    Schema = failures(lambda found: found * 1000)


class TestV31(Broken):
    def make(self, options: ValidationOptions) -> Any:
        class Validation(MsgspecValidation):
            def schema(self, cls: Any) -> Any:
                try:
                    return super().schema(cls)
                except TypeError as error:
                    raise ValueError(str(error)) from error

        return Validation(options)


class TestV32(Broken):
    class Schema(Schema):
        described = staticmethod(lambda field: replace(field, help=""))


class TestV33(Broken):
    class Schema(Schema):
        def json_schema(self) -> dict[str, Any]:
            return {**self.good.json_schema(), "required": []}


class TestV34(Broken):
    class Schema(Schema):
        lock = threading.Lock()

        def check(self, data: Any, *, text: bool) -> Checked:
            self.last = data
            time.sleep(0.0005)
            return self.good.check(self.last, text=text)


class TestV35(Broken):
    class Schema(Schema):
        described = staticmethod(lambda field: replace(field, default=NOTHING, required=False))


class TestV36(Broken):
    Schema = failures(lambda found: [replace(one, field="") for one in found])


class TestV37(Broken):
    @staticmethod
    def admit(checked: Checked, data: Any, text: bool) -> Checked:
        if hasattr(checked.value, "id") and isinstance(data, Mapping) and "id" in data:
            checked.value.id = int(data["id"])
        return checked

    Schema = type("Admitting", (Schema,), {"after": staticmethod(admit)})


class TestV38(Broken):
    Schema = failures(lambda found: found[1:])


class TestV39(Broken):
    Schema = renamed("1.", "")


class TestV40(Broken):
    @staticmethod
    def typed(data: Any, text: bool) -> Any:
        return {name: one for name, one in data.items() if one != "5"} if text else data

    Schema = data(typed)


class TestV41(Broken):
    Schema = failures(
        lambda found: [Failure(f.field, "invalid", {"message": ENGLISH[f.code]}) for f in found]
    )


class TestV42(Broken):
    @staticmethod
    def copied(checked: Checked, data: Any, text: bool) -> Checked:
        image = getattr(checked.value, "image", None)
        if isinstance(image, Upload):
            checked.value.image = Upload(image._file)
        return checked

    Schema = type("Copying", (Schema,), {"after": staticmethod(copied)})


class TestV43(Broken):
    Schema = changing(lambda value: "free" if value == "taken" else value)


class TestV44(Broken):
    class Schema(Schema):
        def check(self, data: Any, *, text: bool) -> Checked:
            checked = self.good.check(data, text=text)
            return replace(checked, values={**checked.values, "name": "Somebody"})


class TestV45(Broken):
    class Schema(Schema):
        def partial(self) -> Any:
            return self


class TestV46(Broken):
    class Schema(Schema):
        def check(self, data: Any, *, text: bool) -> Checked:
            checked = self.good.check(data, text=text)
            whole = {name: Garden(**checked.values[name]) for name in data if name == "garden"}
            return replace(checked, values={**checked.values, **whole})
