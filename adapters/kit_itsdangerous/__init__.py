"""itsdangerous: sessions in signed cookies, with nothing kept on the server, and signed tokens."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component ``itsdangerous`` of the slots ``sessions`` and ``tokens``."""
    return [
        Component(
            slot="sessions",
            name="itsdangerous",
            factory="kit_itsdangerous.sessions:SignedCookieSessions",
            library="itsdangerous",
            install="framekit[itsdangerous]",
        ),
        Component(
            slot="tokens",
            name="itsdangerous",
            factory="kit_itsdangerous.tokens:ItsdangerousTokens",
            library="itsdangerous",
            install="framekit[itsdangerous]",
        ),
    ]
