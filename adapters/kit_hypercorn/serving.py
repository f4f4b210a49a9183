"""Serving by hypercorn, one process of it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any, ClassVar

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.utils import LifespanFailureError

from kit.slots.serving import Service, ServingOptions

_LENGTHS = {b"content-length", b"transfer-encoding"}


class Hypercorn:
    """hypercorn: HTTP/1.1 and, for those who begin with it, HTTP/2."""

    lacks: ClassVar = {
        "wsgi": "hypercorn serves by ASGI, all kinds of handlers",
        "connections": "hypercorn accepts all connections",
        "ping": "hypercorn ends no sooner than its last ping is over, so it sends none",
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
        config.include_server_header = False
        config.loglevel = "WARNING"
        try:
            asyncio.run(serve(_with_one_length(service.application), config, mode="asgi"))
        except* LifespanFailureError as group:
            sys.stderr.write(f"{group.exceptions[0]}\n")  # without the tasks around it
            sys.exit(3)


def _with_one_length(app: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse a request that says in two ways how long it is, and what follows it.

    hypercorn takes the chunks for it, as it may, and what is behind them for another request,
    which a proxy in front may have taken for a part of the first (RFC 9112, section 6.3).
    """

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if {name for name, _ in scope.get("headers", ())} >= _LENGTHS:
            headers = [(b"connection", b"close"), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 400, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        elif scope["type"] == "http":
            await app(scope, receive, _emptying(receive, send))
        else:
            await app(scope, receive, send)

    return application


def _emptying(receive: Any, send: Any) -> Any:
    """Take in what is left of a body while the end of the answer is sent.

    hypercorn has a queue for each request, and waits there for ever, with its connection, where
    a body was refused and nobody reads it.
    """

    async def discard() -> None:
        while (await receive())["type"] == "http.request":
            pass

    async def sending(message: Any) -> None:
        if message["type"] != "http.response.body" or message.get("more_body"):
            await send(message)
            return
        rest = asyncio.create_task(discard())
        try:
            await send(message)
        finally:
            rest.cancel()

    return sending
