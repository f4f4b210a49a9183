"""gunicorn: a server in Python, by WSGI with threads, and by ASGI."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component ``gunicorn`` of the slot ``serving``."""
    return [
        Component(
            slot="serving",
            name="gunicorn",
            factory="kit_gunicorn.serving:Gunicorn",
            library="gunicorn",
            install="framekit[gunicorn]",
        )
    ]
