"""SQLAlchemy for Framekit: the component ``sqlalchemy`` of the slot persistence."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component; SQLAlchemy is imported when it is chosen."""
    return [
        Component(
            slot="persistence",
            name="sqlalchemy",
            factory="kit_sqlalchemy.persistence:SQLAlchemyPersistence",
            library="sqlalchemy",
            install="framekit[sqlalchemy]",
        )
    ]
