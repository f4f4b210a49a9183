"""itsdangerous: sessions in signed cookies, with nothing kept on the server."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component ``itsdangerous`` of the slot ``sessions``."""
    return [
        Component(
            slot="sessions",
            name="itsdangerous",
            factory="kit_itsdangerous.sessions:SignedCookieSessions",
            library="itsdangerous",
            install="framekit[itsdangerous]",
        )
    ]
