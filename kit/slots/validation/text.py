"""Text: names with dots, as forms and queries have them, become nested data.

``address.street`` is a member of an object, ``items.0.name`` one of an object in a list, and a name
that comes several times is a list of values. A schema says which names mean what: a dot in a name
that it does not know is a dot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kit.slots.validation.fields import NOTHING, Field
from kit.slots.validation.leaves import Refusal, checked_text
from kit.slots.validation.reading import Failure, is_blank, unknown

Pair = tuple[str, list[Any]]
"""A name, and all the values that came under it."""


def expand(values: Iterable[Pair], fields: Sequence[Field]) -> dict[str, Any]:
    """Return nested data for an object from names with all their values.

    Elements of a list come in the order of their numbers, without gaps. What the schema does not
    know stays as it is.
    """
    inner = {field.name: field for field in fields if field.kind in ("object", "list")}
    found: dict[str, Any] = {}
    parts: dict[str, list[Pair]] = {}
    for name, several in values:
        first, dot, rest = name.partition(".")
        if dot and first in inner:
            parts.setdefault(first, []).append((rest, several))
        elif name in inner and inner[name].kind == "list":
            found[name] = list(several)
        else:
            found[name] = several[0] if len(several) == 1 else several
    for name, below in parts.items():
        field = inner[name]
        if field.kind == "object":
            found[name] = expand(below, field.fields)
        elif field.item and field.item.kind == "object":
            rows, below = _rows(below)
            found[name] = [expand(row, field.item.fields) for row in rows]
        if field.kind == "list":
            found.update({f"{name}.{rest}": several for rest, several in below})
    return found


def _rows(values: Iterable[Pair]) -> tuple[list[list[Pair]], list[Pair]]:
    """Return the values of each element of a list, and what has no number in front."""
    rows: dict[int, list[Pair]] = {}
    others: list[Pair] = []
    for name, several in values:
        number, _, rest = name.partition(".")
        if number.isascii() and number.isdigit() and len(number) < 7:
            rows.setdefault(int(number), []).append((rest, several))
        else:
            others.append((name, several))
    return [rows[number] for number in sorted(rows)], others


def prepared(data: Any, root: Field, *, text: bool, refuse: bool) -> tuple[Any, list[Failure]]:
    """Return what the own classes of a library read of `data`, and what is wrong with these.

    Members that no field is for are left out, at any depth. Text loses the white space around it,
    and what is empty then is left out too; a list without elements stays one. It is `NOTHING`
    where `data` are no object, or no list, at all.
    """
    failures: list[Failure] = []
    preparing = _Preparing(text, refuse, failures)
    if root.kind == "list" and root.item is not None and isinstance(data, list):
        return preparing.list(data, root.item, ""), failures
    if root.kind == "object" and isinstance(data, Mapping):
        return preparing.object(data, root, ""), failures
    return NOTHING, [Failure("", f"not_{root.kind}")]


class _Preparing:
    def __init__(self, text: bool, refuse: bool, failures: list[Failure]) -> None:
        self.text = text
        self.refuse = refuse
        self.failures = failures

    def object(self, data: Mapping[Any, Any], field: Field, path: str) -> dict[str, Any]:
        """Return the members of `data` that there are fields for."""
        prefix = f"{path}." if path else ""
        kept = {}
        for one in field.fields:
            value = self.value(data.get(one.name, NOTHING), one, prefix + one.name)
            if value is not NOTHING:
                kept[one.name] = value
        if self.refuse:
            self.failures += unknown(data, {one.name for one in field.fields}, prefix)
        return kept

    def value(self, raw: Any, field: Field, path: str) -> Any:
        """Return a value, or `NOTHING` where there is none, or none that could be read."""
        if self.text and (raw is NOTHING or is_blank(raw)):
            if field.kind == "object" and field.required:
                return self.object({}, field, path)
            return _unsent(field, raw)
        if self.text and field.kind == "bool" and isinstance(raw, list):
            raw = raw[-1] if raw else ""  # a hidden field goes before the box
        if isinstance(raw, str):
            return self.line(raw, field, path)
        if isinstance(raw, Mapping) and field.kind == "object":
            return self.object(raw, field, path)
        if field.kind == "list" and field.item is not None:
            return self.list(raw, field.item, path)
        return raw

    def list(self, raw: Any, item: Field, path: str) -> Any:
        """Return the elements of a list, of a text those that are not empty."""
        if not isinstance(raw, list):
            return raw
        prefix = f"{path}." if path else ""
        kept = [one for one in raw if not (self.text and path and is_blank(one))]
        return [self.value(one, item, f"{prefix}{number}") for number, one in enumerate(kept)]

    def line(self, raw: str, field: Field, path: str) -> Any:
        """Return a text, if all of it can be stored."""
        if self.text:
            raw = (raw if field.widget == "password" else raw.strip()).replace("\r\n", "\n")
        try:
            return checked_text(raw)
        except Refusal as refusal:
            self.failures.append(Failure(path, refusal.code))
            return NOTHING


def _unsent(field: Field, raw: Any) -> Any:
    """Return what it means that a form sends nothing, or empty text."""
    if field.null and (raw is not NOTHING or not field.has_default):
        return None
    if field.kind == "list" and (raw is not NOTHING or not field.has_default):
        return []
    if field.kind == "bool" and (raw is not NOTHING or not field.has_default):
        return False
    return NOTHING
