"""The segment trie of ffroute, written in Rust, for the routing slot."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component ``ffroute``."""
    return [
        Component(
            slot="routing",
            name="ffroute",
            factory="kit_ffroute.routing:FFRouter",
            library="ffroute",
            install="framekit[ffroute]",
        )
    ]
