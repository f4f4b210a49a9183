"""defusedxml for Framekit: the component ``xml`` of the slot formats."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component; defusedxml is imported when it is chosen."""
    return [
        Component(
            slot="formats",
            name="xml",
            factory="kit_defusedxml.formats:XmlFormat",
            library="defusedxml",
            install="framekit[defusedxml]",
        )
    ]
