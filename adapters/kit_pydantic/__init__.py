"""Pydantic: input checked by models, and dataclasses."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component ``pydantic`` of the slot ``validation``."""
    return [
        Component(
            slot="validation",
            name="pydantic",
            factory="kit_pydantic.validation:PydanticValidation",
            library="pydantic",
            install="framekit[pydantic]",
        )
    ]
