"""The slots that the kernel ships: one module each, with interface, options and providers.

Each module is an ordinary plug-in, and declares its slot with the hook that any plug-in uses.
"""

from __future__ import annotations

from kit.slots import (
    channels,
    formats,
    identity,
    mail,
    passwords,
    persistence,
    rates,
    routing,
    serving,
    sessions,
    templating,
    tokens,
    validation,
)

SHIPPED = tuple(
    (module.__name__, module)
    for module in (
        routing,
        templating,
        formats,
        validation,
        persistence,
        sessions,
        passwords,
        tokens,
        rates,
        mail,
        identity,
        channels,
        serving,
    )
)
