"""Serving by hypercorn, one process of it."""

from __future__ import annotations

import asyncio
import os
from typing import ClassVar

from hypercorn.asyncio import serve
from hypercorn.config import Config

from kit.slots.serving import Service, ServingOptions


class Hypercorn:
    """hypercorn: HTTP/1.1 and, for those who begin with it, HTTP/2."""

    lacks: ClassVar = {
        "wsgi": "hypercorn serves by ASGI, all kinds of handlers",
        "connections": "hypercorn accepts all connections",
    }

    def __init__(self, options: ServingOptions) -> None:
        self._options = options

    def serve(self, service: Service) -> None:
        """Run hypercorn on the listeners; it listens to SIGTERM itself."""
        options, config = self._options, Config()
        config.bind = [f"fd://{os.dup(one.fileno())}" for one in service.listeners]
        config.backlog = options.backlog
        config.keep_alive_timeout = options.idle_timeout
        config.graceful_timeout = options.grace
        config.h11_max_incomplete_size = options.head
        config.h2_max_header_list_size = options.head
        config.websocket_max_message_size = service.message
        config.websocket_ping_interval = options.ping
        config.include_server_header = False
        config.loglevel = "WARNING"
        asyncio.run(serve(service.application, config, mode="asgi"))
