"""Redis, awaited: sessions and channels for any number of processes and machines."""

from __future__ import annotations

from kit.components import Component
from kit.plugins import hookimpl


@hookimpl
def kit_components() -> list[Component]:
    """Declare the component ``redis`` of the slots ``sessions`` and ``channels``."""
    return [
        Component(
            slot="sessions",
            name="redis",
            factory="kit_redis.sessions:RedisSessions",
            library="redis",
            install="framekit[redis]",
        ),
        Component(
            slot="channels",
            name="redis",
            factory="kit_redis.channels:RedisChannels",
            library="redis",
            install="framekit[redis]",
        ),
    ]
