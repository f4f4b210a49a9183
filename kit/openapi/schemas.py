"""The schemas of a document: of what is shown, and of what is read, each under a name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import msgspec

from kit.openapi.returns import UNKNOWN

if TYPE_CHECKING:
    from kit.slots.validation import Field, Schema

JSON = dict[str, Any]
REF = "#/components/schemas/"
_TEMPLATE = REF + "{name}"


def shown(kinds: Sequence[Any]) -> tuple[list[JSON], JSON]:
    """Return the schema of each type as formats show it, and the definitions that they refer to.

    What has no schema, since only its author knows what becomes of it, has an empty one.
    """
    places = [n for n, kind in enumerate(kinds) if kind is not UNKNOWN and _generated([kind])]
    usable = [kinds[n] for n in places]
    schemas, definitions = _generated(usable) or ((), {})
    for cls in {cls for kind in usable for cls in _dataclasses(kind, set())}:
        definition = definitions.get(cls.__name__, {})
        if definition.get("title") == cls.__name__ and "properties" in definition:
            definition["required"] = list(definition["properties"])  # all of them are shown
    found = dict(zip(places, schemas, strict=True))
    return [found.get(n, {}) for n in range(len(kinds))], definitions


def _generated(kinds: Sequence[Any]) -> tuple[tuple[JSON, ...], JSON] | None:
    try:
        return msgspec.json.schema_components(kinds, schema_hook=_other, ref_template=_TEMPLATE)
    except (TypeError, NameError):
        return None


def _other(cls: type) -> JSON:
    return {"type": "string"} if issubclass(cls, str) else {"title": cls.__name__}


def _dataclasses(kind: Any, seen: set[Any]) -> Iterator[type]:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind not in seen:
        seen.add(kind)
        yield kind
        for hint in get_type_hints(kind).values():
            yield from _dataclasses(hint, seen)
    for argument in get_args(kind):
        yield from _dataclasses(argument, seen)


class Inputs:
    """The definitions of what is read, gathered from the schemas of handlers."""

    def __init__(self) -> None:
        self.definitions: JSON = {}

    def add(self, schema: JSON) -> JSON:
        """Define a schema and what is in its ``$defs``; return a reference to it.

        Its name is that of its class with ``Input`` behind, and a number for further classes of
        the same name. A schema without a name stays as it is.
        """
        inner = schema.get("$defs", {})
        own = {key: value for key, value in schema.items() if key != "$defs"}
        name = own.get("title") if own.get("type") == "object" else None
        number = ""
        while True:
            names = {one: f"{one}Input{number}" for one in (*inner, *([name] if name else ()))}
            made = {names[one]: _renamed(part, names) for one, part in inner.items()}
            root = _renamed(own, names)
            if name:
                made[names[name]] = root
            if all(self.definitions.get(one, part) == part for one, part in made.items()):
                self.definitions.update(made)
                return {"$ref": REF + names[name]} if name else root
            number = str(int(number or 1) + 1)


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """Return a schema that refers to definitions of the document, in place of its own ones."""
    if isinstance(schema, list):
        return [_renamed(one, names) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _renamed(value, names) for key, value in schema.items()}
    target = made.get("$ref")
    if isinstance(target, str) and target.startswith("#/$defs/"):
        made["$ref"] = REF + names[target.removeprefix("#/$defs/")]
    return made


def flat(schema: Schema) -> Iterator[tuple[str, JSON, bool]]:
    """Yield name, schema and whether it is required, for each value of a form, query or headers.

    Members of objects have names with dots; lists of objects, whose names have numbers, are left
    out.
    """
    found = schema.json_schema()
    yield from _flat(schema.fields, found, found.get("$defs", {}), "", required=True)


def _flat(
    fields: Sequence[Field], schema: JSON, defined: JSON, prefix: str, *, required: bool
) -> Iterator[tuple[str, JSON, bool]]:
    properties = schema.get("properties", {})
    for field in fields:
        one = as_text(properties.get(field.name, {}))
        needed = required and field.name in schema.get("required", ())
        if field.kind == "object":
            inner = defined.get(one.get("$ref", "").removeprefix("#/$defs/"), one)
            name = f"{prefix}{field.name}."
            yield from _flat(field.fields, inner, defined, name, required=needed)
        elif field.item is None or field.item.kind != "object":
            yield prefix + field.name, one, needed


def as_text(schema: JSON) -> JSON:
    """Return a schema without null, which text cannot be: it is left out instead."""
    some = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(some) == len(schema.get("anyOf", ())):
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if rest.get("default", "") is None:
        del rest["default"]
    return {**some[0], **rest} if len(some) == 1 else {"anyOf": some, **rest}


def for_xml(schema: Any) -> Any:
    """Return a schema that says how its lists are in XML: as ``item`` elements within one."""
    if isinstance(schema, list):
        return [for_xml(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: for_xml(value) for key, value in schema.items()}
    if made.get("type") == "array" and isinstance(made.get("items"), dict):
        made["xml"] = {"wrapped": True}
        made["items"] = {**made["items"], "xml": {"name": "item"}}
    return made
