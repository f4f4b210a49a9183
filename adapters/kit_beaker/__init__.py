"""Beaker's session storage: memory, files, a database, Redis or memcached."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component ``beaker`` of the slot ``sessions``."""
    return [
        Component(
            slot="sessions",
            name="beaker",
            factory="kit_beaker.sessions:BeakerSessions",
            library="beaker",
            install="framekit[beaker]",
        )
    ]
