"""Werkzeug's router for the routing slot."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component ``werkzeug``."""
    return [
        Component(
            slot="routing",
            name="werkzeug",
            factory="kit_werkzeug.routing:WerkzeugRouter",
            library="werkzeug",
            install="framekit",
        )
    ]
