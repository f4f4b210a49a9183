"""waitress: a server in Python alone, by WSGI, which reads and writes beside its threads."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component ``waitress`` of the slot ``serving``."""
    return [
        Component(
            slot="serving",
            name="waitress",
            factory="kit_waitress.serving:Waitress",
            library="waitress",
            install="framekit[waitress]",
        )
    ]
