"""msgspec for Framekit: validation, and the formats ``json``, ``jsonl`` and ``msgpack``."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the components; their modules are imported when they are chosen."""
    parts = [
        ("validation", "msgspec", "validation:MsgspecValidation"),
        ("formats", "json", "formats:JsonFormat"),
        ("formats", "jsonl", "formats:JsonLinesFormat"),
        ("formats", "msgpack", "formats:MsgpackFormat"),
    ]
    return [
        Component(
            slot=slot,
            name=name,
            factory=f"kit_msgspec.{factory}",
            library="msgspec",
            install="framekit",
        )
        for slot, name, factory in parts
    ]
