"""``kit schema``: a JSON Schema of kit.toml, for editors."""

from __future__ import annotations

import inspect
import json
import types
import typing
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import click

from kit.assembly import KERNEL_TABLES
from kit.cli.catalogue import Catalogue, catalogue
from kit.cli.options import project_options
from kit.cli.output import print_problems
from kit.cli.project import Project
from kit.components import Component, Slot
from kit.config import Config
from kit.errors import ConfigError
from kit.options import DatabaseURL, Duration, Secret, Size
from kit.plugins import load_object

Schema = dict[str, Any]
_REFERENCE = r"^(env|file):."
_DURATION = r"^\s*\d+(\.\d+)?\s*(second|minute|hour|day|week)s?\s*$"
_SIZE = r"^\s*\d+(\.\d+)?\s*([kMG]|[KMG]i)?B\s*$"
_MEASURE: Schema = {"type": ["string", "number"], "minimum": 0}
_TYPES: dict[Any, Schema] = {
    str: {"type": "string"},
    Secret: {"type": "string"},
    Path: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    dict: {"type": "object"},
    DatabaseURL: {"type": "string", "pattern": rf"{_REFERENCE}|^(sqlite|postgresql|mariadb)://"},
    Duration: _MEASURE | {"pattern": f"{_REFERENCE}|{_DURATION}"},
    Size: _MEASURE | {"pattern": f"{_REFERENCE}|{_SIZE}"},
}


@click.command("schema")
@project_options
def command(project: Project) -> None:
    """Print a JSON Schema of kit.toml.

    It knows the components that are installed. Editors complete and check the file with it.

    \b
    Example:
        kit schema > kit.schema.json
    """
    found = catalogue(project.config if project.path.exists() else Config())
    click.echo(json.dumps(schema(found), indent=2))
    if found.problems:
        print_problems(ConfigError(found.problems))


def schema(found: Catalogue) -> Schema:
    """Return the schema of a config file for a catalogue of components."""
    tables = {name: options_schema(cls) for name, cls in KERNEL_TABLES.items()}
    tables.update({name: _slot(slot, found) for name, slot in found.slots.items()})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "kit.toml",
        "description": "The configuration of a Framekit application.",
        **_object(tables),
    }


def _slot(slot: Slot, found: Catalogue) -> Schema:
    there = [one for one in found.components[slot.name].values() if one.version() is not None]
    names = [one.name for one in there if ":" not in one.name]
    one: Schema = {
        "anyOf": [{"enum": sorted(names)}, {"type": "string", "pattern": r"^[\w.]+:[\w.]+$"}]
    }
    without = f" Without it: {', '.join(slot.defaults)}." if slot.default else ""
    what = (
        "components that fill the slot: a list"
        if slot.many
        else "component that fills the slot: one"
    )
    use: Schema = {
        "description": f"The {what} of these, or 'module:name' from the application.{without}",
        **({"type": "array", "items": one, "minItems": 1} if slot.many else one),
    }
    shared = options_schema(slot.options)
    tables = {
        one.name.rpartition(":")[2]: options_schema(_options_class(one, slot)) for one in there
    }
    made = _object({"use": use, **shared["properties"], **tables})
    return {"description": shared["description"], **made}


def _options_class(component: Component, slot: Slot) -> type:
    """Return the class of a component's options, as its factory is annotated."""
    factory = component.factory
    try:
        made = load_object(factory) if isinstance(factory, str) else factory
        target = made.__init__ if inspect.isclass(made) else made
        cls: type = typing.get_type_hints(target).get("options", slot.options)
    except ImportError:
        return slot.options
    return cls


def options_schema(cls: type) -> Schema:
    """Return the schema of an options class."""
    hints = typing.get_type_hints(cls)
    properties = {
        option.name.rstrip("_"): _typed(hints[option.name]) | _default(option)
        for option in fields(cls)
    }
    return {"description": inspect.getdoc(cls) or "", **_object(properties)}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _typed(hint: Any) -> Schema:
    """Return the schema of the values of a field; text may always come from elsewhere."""
    origin = get_origin(hint) or hint
    if origin in (Union, types.UnionType):
        return _typed(next(one for one in get_args(hint) if one is not type(None)))
    if origin is Literal:
        return {
            "anyOf": [{"enum": list(get_args(hint))}, {"pattern": _REFERENCE, "type": "string"}]
        }
    if origin in (list, tuple):
        inner = [one for one in get_args(hint) if one is not ...]
        return {"type": "array", "items": _typed(inner[0]) if inner else {}}
    if origin is dict and get_args(hint):
        return {"type": "object", "additionalProperties": _typed(get_args(hint)[1])}
    return dict(_TYPES.get(origin, {}))


def _default(option: Field[Any]) -> Schema:
    value = option.default
    if value is MISSING or value is None:
        return {}
    return {"default": str(value) if isinstance(value, Path) else value}
