"""uvicorn: a server by ASGI."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component ``uvicorn`` of the slot ``serving``."""
    return [
        Component(
            slot="serving",
            name="uvicorn",
            factory="kit_uvicorn.serving:Uvicorn",
            library="uvicorn",
            install="framekit[uvicorn]",
        )
    ]
