"""Peewee for Framekit: the components ``peewee`` and ``peewee_async``."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the components; Peewee is imported when one is chosen."""
    return [
        Component(
            slot="persistence",
            name="peewee",
            factory="kit_peewee.persistence:PeeweePersistence",
            library="peewee",
            install="framekit[peewee]",
        ),
        Component(
            slot="persistence",
            name="peewee_async",
            factory="kit_peewee.async_persistence:AsyncPeeweePersistence",
            library="peewee",
            install="framekit[peewee-async]",
        ),
    ]
