"""SQLAlchemy for Framekit: the components ``sqlalchemy`` and ``sqlalchemy_async``."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the components; SQLAlchemy is imported when one is chosen."""
    return [
        Component(
            slot="persistence",
            name="sqlalchemy",
            factory="kit_sqlalchemy.persistence:SQLAlchemyPersistence",
            library="sqlalchemy",
            install="framekit[sqlalchemy]",
        ),
        Component(
            slot="persistence",
            name="sqlalchemy_async",
            factory="kit_sqlalchemy.async_persistence:AsyncSQLAlchemyPersistence",
            library="sqlalchemy",
            install="framekit[sqlalchemy-async]",
        ),
    ]
