"""limits: rates counted in this process, or in Redis for all of them."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the components ``memory`` and ``redis`` of the slot ``rates``."""
    return [
        Component(
            slot="rates",
            name="memory",
            factory="kit_limits.rates:MemoryRates",
            library="limits",
            install="framekit[limits]",
        ),
        Component(
            slot="rates",
            name="redis",
            factory="kit_limits.rates:RedisRates",
            library="limits",
            install="framekit[limits,redis]",
        ),
    ]
