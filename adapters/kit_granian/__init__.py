"""granian: a server in Rust, by ASGI."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component ``granian`` of the slot ``serving``."""
    return [
        Component(
            slot="serving",
            name="granian",
            factory="kit_granian.serving:Granian",
            library="granian",
            install="framekit[granian]",
        )
    ]
