"""WTForms as the component of the slot validation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import wtforms
from wtforms import validators

from kit.slots.validation import (
    DataclassSchema,
    Failure,
    Field,
    Judge,
    Schema,
    ValidationOptions,
)
from kit.slots.validation.schemas import broken, walk
from kit_wtforms.forms import FormSchema


class WTFormsValidation:
    """Input checked by WTForms. A schema is a dataclass, a list of one, or a form class.

    A form class means all that it means to WTForms, and its value is the form itself. Templates
    show its fields with the widgets of the slot. Its own CSRF protection is switched off.
    """

    def __init__(self, options: ValidationOptions) -> None:
        self._options = options

    def schema(self, cls: Any) -> Schema:
        """Return the schema of a dataclass or form class; raise TypeError where it is neither."""
        if isinstance(cls, type) and issubclass(cls, wtforms.Form):
            return FormSchema(cls, self._options)
        return DataclassSchema(cls, _judge, self._options)


def _judge(root: Field) -> Judge:
    """Return what lets WTForms look at values: as a form with a field for each that has limits."""

    def judge(values: Any) -> Iterable[Failure]:
        found = {path: (field, value) for path, field, value in walk(root, values)}
        form = wtforms.form.BaseForm({path: unbound[field] for path, (field, _) in found.items()})
        form.process(data={path: value for path, (_, value) in found.items()})
        form.validate()
        for path, names in form.errors.items():
            field, _ = found[path]
            for name in names:
                bound = field.limits[name]
                yield broken(path, name, bound, of_list=field.kind == "list")

    unbound: dict[Field, Any] = {}
    waiting = [root]
    while waiting:
        field = waiting.pop()
        checks = [_CHECKS[name](bound) for name, bound in field.judged.items()]
        unbound[field] = wtforms.Field("", checks)
        waiting += field.inner
    return judge


_Check = Callable[[Any, Any], None]


def _check(name: str, keeps: Callable[[Any, Any], object]) -> Callable[[Any], _Check]:
    """Return what makes a validator for a limit; its message is the name of the limit."""

    def make(bound: Any) -> _Check:
        def check(form: Any, field: Any) -> None:
            if not keeps(field.data, bound):
                raise validators.ValidationError(name)

        return check

    return make


_CHECKS: dict[str, Callable[[Any], _Check]] = {
    "min_length": lambda bound: validators.Length(min=bound, message="min_length"),
    "max_length": lambda bound: validators.Length(max=bound, message="max_length"),
    "ge": lambda bound: validators.NumberRange(min=bound, message="ge"),
    "le": lambda bound: validators.NumberRange(max=bound, message="le"),
    # These WTForms has not, or not as the slot means them: Regexp looks at the beginning only.
    "gt": _check("gt", lambda value, bound: value > bound),
    "lt": _check("lt", lambda value, bound: value < bound),
    "multiple_of": _check("multiple_of", lambda value, bound: value % bound == 0),
    "pattern": _check("pattern", lambda value, bound: re.search(bound, value)),
}
