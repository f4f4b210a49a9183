"""argon2-cffi: passwords hashed with Argon2id."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component ``argon2`` of the slot ``passwords``."""
    return [
        Component(
            slot="passwords",
            name="argon2",
            factory="kit_argon2.passwords:Argon2Passwords",
            library="argon2-cffi",
            install="framekit[argon2]",
        )
    ]
