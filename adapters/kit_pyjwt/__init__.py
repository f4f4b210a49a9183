"""PyJWT: JSON Web Tokens, as signed tokens and as bearer tokens of clients."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare ``pyjwt`` of the slot ``tokens``, and ``bearer`` of the slot ``identity``."""
    return [
        Component(
            slot="tokens",
            name="pyjwt",
            factory="kit_pyjwt.tokens:JSONWebTokens",
            library="pyjwt",
            install="framekit[pyjwt]",
        ),
        Component(
            slot="identity",
            name="bearer",
            factory="kit_pyjwt.identity:BearerIdentity",
            library="pyjwt",
            install="framekit[pyjwt]",
        ),
    ]
