"""Jinja2 for Framekit: the component ``jinja2`` of the slot templating."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component; Jinja2 is imported when it is chosen."""
    return [
        Component(
            slot="templating",
            name="jinja2",
            factory="kit_jinja2.templating:Jinja2Templating",
            library="jinja2",
            install="framekit[jinja2]",
        )
    ]
