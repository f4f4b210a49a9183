"""Peewee for Framekit: the component ``peewee`` of the slot persistence."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component; Peewee is imported when it is chosen."""
    return [
        Component(
            slot="persistence",
            name="peewee",
            factory="kit_peewee.persistence:PeeweePersistence",
            library="peewee",
            install="framekit[peewee]",
        )
    ]
