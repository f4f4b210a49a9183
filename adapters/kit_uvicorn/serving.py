"""Serving by uvicorn, one process of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from kit.slots.serving import Service, ServingOptions


@dataclass(frozen=True, kw_only=True)
class UvicornOptions(ServingOptions):
    """Options of the component ``uvicorn``.

    `loop` is the event loop: ``"auto"`` takes uvloop where it is installed.
    """

    loop: Literal["auto", "asyncio", "uvloop"] = "auto"


class Uvicorn:
    """uvicorn: beyond `connections`, requests are answered with 503."""

    lacks: ClassVar = {
        "wsgi": "uvicorn serves by ASGI, all kinds of handlers",
    }

    def __init__(self, options: UvicornOptions) -> None:
        self._options = options

    def serve(self, service: Service) -> None:
        """Run uvicorn on the listeners."""
        options = self._options
        config = uvicorn.Config(
            service.application,
            interface="asgi3",
            lifespan="on",
            loop=options.loop,
            http=_protocol(options),
            workers=1,
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_level="warning",
            backlog=options.backlog,
            limit_concurrency=options.connections + 1,  # the first that is refused
            timeout_keep_alive=int(options.idle_timeout),
            timeout_graceful_shutdown=int(options.grace),
            ws_max_size=service.message,
            ws_ping_interval=options.ping,
            ws_ping_timeout=options.ping,
            ws_per_message_deflate=False,
        )
        uvicorn.Server(config).run(sockets=list(service.listeners))


def _protocol(options: UvicornOptions) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol, with limits on headers: it has none on how long they take."""

    class Limited(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # chosen on import
        _late: asyncio.TimerHandle | None = None
        _received = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._stop_waiting()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.transport.is_closing():
                return
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop_waiting()
            elif self.transport.get_protocol() is self:
                self._wait()
                self._received += len(data)
                if self._received > options.head and self.cycle is None:
                    self.send_400_response("The headers of the request are too large.")
                elif self._received > options.head:
                    self.transport.close()

        def handle_websocket_upgrade(self) -> None:
            super().handle_websocket_upgrade()
            self._stop_waiting()

        def _wait(self) -> None:
            if self._late is None:
                late = self.timeout_keep_alive_handler
                self._late = self.loop.call_later(options.idle_timeout, late)

        def _stop_waiting(self) -> None:
            self._received = 0
            if self._late is not None:
                self._late.cancel()
                self._late = None

    return Limited
