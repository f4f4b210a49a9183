"""Reading: what untrusted data mean, the same for every component.

A reader turns one raw value into a value of the field's type, or refuses it with a code. There are
two kinds of raw data: text, as forms, queries, paths and headers have it, and what JSON and the
like decode to. Whether a value keeps the limits of its field is for the component to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as member
from datetime import tzinfo
from typing import Any

from kit.slots.validation import leaves
from kit.slots.validation.fields import NOTHING, Field
from kit.slots.validation.leaves import Convert, Refusal

MOST_FAILURES = 1000
"""No more mistakes than this are looked for in one input."""


@dataclass(frozen=True)
class Failure:
    """A mistake in input: the path of its field (``items.0.name``, ``""`` for the whole) and why.

    `code` is one of `kit.slots.validation.messages.ENGLISH`; `params` are the values that its
    message names.
    """

    field: str
    code: str
    params: Mapping[str, Any] = member(default_factory=dict)


Read = Callable[[Any, str, list[Failure]], Any]
"""Takes a raw value, its path and a list for failures; returns what was read, or `NOTHING`."""


def reader(field: Field, *, text: bool, refuse: bool, zone: tzinfo) -> Read:
    """Return what reads a field and everything in it.

    With `refuse` unknown members of objects are failures. Times without a zone are in `zone`,
    which only text may lack.
    """
    rules = _Rules(text, refuse, zone)
    return rules.branch(field) if field.kind in ("object", "list") else rules.single(field)


class _Rules:
    """How to read, for one kind of raw data."""

    def __init__(self, text: bool, refuse: bool, zone: tzinfo) -> None:
        self.text = text
        self.refuse = refuse
        self.zone = zone

    def branch(self, field: Field) -> Read:
        """Return what reads an object or a list."""
        return self.object(field) if field.kind == "object" else self.list(field)

    def single(self, field: Field) -> Read:
        """Return what reads a field that has none in it, and notes why it cannot."""
        take = self.leaf(field)

        def read(raw: Any, path: str, failures: list[Failure]) -> Any:
            try:
                return take(raw)
            except Refusal as refusal:
                failures.append(Failure(path, refusal.code, refusal.params))
                return NOTHING

        return read

    def leaf(self, field: Field) -> Convert:
        """Return what reads a field that has none in it, or raises Refusal."""
        absent = _absent(field, self.text)
        if not self.text:
            convert = leaves.from_data(field)

            def take_data(raw: Any) -> Any:
                return absent(raw) if raw is None or raw is NOTHING else convert(raw)

            return take_data
        if field.kind == "bool":
            return leaves.switch(field, absent)
        convert = leaves.from_text(field, self.zone)
        keep = field.widget == "password"

        def take(raw: Any) -> Any:
            if type(raw) is str:
                raw = raw if keep else raw.strip()
                return convert(raw) if raw else absent("")
            if raw is None or raw is NOTHING:
                return absent(raw)
            if isinstance(raw, list):
                raise Refusal("repeated")
            return convert(raw)

        return take

    def object(self, field: Field) -> Read:
        """Return what reads an object into a dict."""
        single = [(f.name, self.leaf(f)) for f in field.fields if f.kind not in ("object", "list")]
        inner = [(f.name, self.branch(f)) for f in field.fields if f.kind in ("object", "list")]
        known = {f.name for f in field.fields}
        absent, refuse = _absent(field, self.text), self.refuse
        may_be_blank = self.text and field.name != ""

        def read(raw: Any, path: str, failures: list[Failure]) -> Any:
            if raw is None or raw is NOTHING or (may_be_blank and is_blank(raw)):
                if not (self.text and field.required):
                    return _noted(absent, raw, path, failures)
                raw = {}
            if not isinstance(raw, Mapping):
                failures.append(Failure(path, "not_object"))
                return NOTHING
            prefix = f"{path}." if path else ""
            values = {}
            get = raw.get
            for name, take in single:
                try:
                    value = take(get(name, NOTHING))
                except Refusal as refusal:
                    failures.append(Failure(prefix + name, refusal.code, refusal.params))
                else:
                    if value is not NOTHING:
                        values[name] = value
            for name, read_inner in inner:
                value = read_inner(get(name, NOTHING), prefix + name, failures)
                if value is not NOTHING:
                    values[name] = value
            if refuse:
                failures.extend(unknown(raw, known, prefix))
            return values

        return read

    def list(self, field: Field) -> Read:
        """Return what reads a list into its container."""
        assert field.item  # noqa: S101 - a list has one
        item, container = field.item, field.cls
        read_item = self.branch(item) if item.kind == "object" else self.single(item)
        absent = _absent(field, self.text)

        def read(raw: Any, path: str, failures: list[Failure]) -> Any:
            if raw is None or raw is NOTHING:
                return _noted(absent, raw, path, failures)
            if self.text:
                raw = raw if isinstance(raw, list) else [raw]
                raw = [one for one in raw if not is_blank(one)] if field.name else raw
                if not raw and field.null:
                    return None
            if not isinstance(raw, (list, tuple)):
                failures.append(Failure(path, "not_list"))
                return NOTHING
            prefix = f"{path}." if path else ""
            values = []
            for number, one in enumerate(raw):
                values.append(read_item(one, f"{prefix}{number}", failures))
                if len(failures) >= MOST_FAILURES:
                    break
            return container(values)

        return read


def is_blank(raw: Any) -> bool:
    """Say whether nothing was written in a field of a form, or in any that it consists of."""
    if isinstance(raw, str):
        return not raw.strip()
    if isinstance(raw, Mapping):
        return all(map(is_blank, raw.values()))
    return isinstance(raw, list) and all(map(is_blank, raw))


def unknown(raw: Mapping[Any, Any], known: set[str], prefix: str) -> list[Failure]:
    """Return a failure for each member of `raw` that is not known."""
    names = [name for name in raw if name not in known][:MOST_FAILURES]
    return [Failure(f"{prefix}{name!s:.100}", "unknown") for name in names]


def _noted(absent: Convert, raw: Any, path: str, failures: list[Failure]) -> Any:
    try:
        return absent(raw)
    except Refusal as refusal:
        failures.append(Failure(path, refusal.code, refusal.params))
        return NOTHING


def _absent(field: Field, text: bool) -> Convert:
    """Return what says what no input means: raw is `NOTHING`, or else None or empty text."""
    has_default, is_list = field.has_default, field.kind == "list"
    code = "no_file" if field.widget == "file" else "missing"

    def absent(raw: Any) -> Any:
        if field.null and (raw is not NOTHING or not has_default):
            return None
        if has_default:
            return NOTHING
        if is_list and text:
            return field.cls()
        raise Refusal(code)

    return absent
