"""The slots that the kernel ships: one module each, with interface, options and providers.

Each module is an ordinary plug-in, and declares its slot with the hook that any plug-in uses.
"""

from __future__ import annotations

from kit.slots import formats, persistence, routing, sessions, templating

SHIPPED = tuple(
    (module.__name__, module) for module in (routing, templating, formats, persistence, sessions)
)
