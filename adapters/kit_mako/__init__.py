"""Mako for Framekit: the component ``mako`` of the slot templating."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component; Mako is imported when it is chosen."""
    return [
        Component(
            slot="templating",
            name="mako",
            factory="kit_mako.templating:MakoTemplating",
            library="mako",
            install="framekit[mako]",
        )
    ]
