"""Serving by uvicorn, one process of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar, Literal

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kit.slots.serving import Service, ServingOptions

_TOO_LARGE = "The headers of the request are too large."


@dataclass(frozen=True, kw_only=True)
class UvicornOptions(ServingOptions):
    """Options of the component ``uvicorn``.

    `loop` is the event loop: ``"auto"`` takes uvloop where it is installed.
    """

    loop: Literal["auto", "asyncio", "uvloop"] = "auto"


class Uvicorn:
    """uvicorn: beyond `connections`, requests are answered with 503."""

    lacks: ClassVar = {"wsgi": "uvicorn serves by ASGI, all kinds of handlers"}

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
    """Return uvicorn's protocol with limits on the size of headers and on how long they take."""

    class Limited(HttpToolsProtocol):
        late: asyncio.TimerHandle | None = None
        received = 0

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)  # type: ignore[arg-type]  # as uvicorn has it
            self.wait()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self.stop_waiting()

        def data_received(self, data: bytes) -> None:
            is_waiting = self.cycle is None or self.cycle.response_complete
            if is_waiting:
                self.wait()
                self.received += len(data)
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self.stop_waiting()
            elif self.received > options.head and not self.transport.is_closing():
                self.send_400_response(_TOO_LARGE)

        def on_headers_complete(self) -> None:
            if self.received > options.head and sum(map(_size, self.headers)) > options.head:
                raise ValueError(_TOO_LARGE)  # which uvicorn answers with 400
            super().on_headers_complete()

        def handle_websocket_upgrade(self) -> None:
            super().handle_websocket_upgrade()
            self.stop_waiting()

        def wait(self) -> None:
            if self.late is None:
                late = self.timeout_keep_alive_handler
                self.late = self.loop.call_later(options.idle_timeout, late)

        def stop_waiting(self) -> None:
            self.received = 0
            if self.late is not None:
                self.late.cancel()
                self.late = None

    return Limited


def _size(header: tuple[bytes, bytes]) -> int:
    return len(header[0]) + len(header[1])
