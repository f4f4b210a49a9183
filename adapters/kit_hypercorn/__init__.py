"""hypercorn: a server by ASGI."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component ``hypercorn`` of the slot ``serving``."""
    return [
        Component(
            slot="serving",
            name="hypercorn",
            factory="kit_hypercorn.serving:Hypercorn",
            library="hypercorn",
            install="framekit[hypercorn]",
        )
    ]
