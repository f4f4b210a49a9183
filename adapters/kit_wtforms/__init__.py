"""WTForms: input checked by form classes, and dataclasses."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component ``wtforms`` of the slot ``validation``."""
    return [
        Component(
            slot="validation",
            name="wtforms",
            factory="kit_wtforms.validation:WTFormsValidation",
            library="wtforms",
            install="framekit[wtforms]",
        )
    ]
