"""Serving by granian, one process of it."""

from __future__ import annotations

import socket
from typing import Any, ClassVar

from granian.constants import HTTPModes, Interfaces, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]
from granian.server.mp import MPServer

from kit.slots.serving import Service, ServingOptions


class Granian:
    """granian: HTTP/1.1 in threads of its own, written in Rust."""

    lacks: ClassVar = {
        "wsgi": "by WSGI granian takes a broken upload for a whole one",
        "addresses": "granian listens on one address",
        "ping": "granian sends no pings",
    }

    def __init__(self, options: ServingOptions) -> None:
        self._options = options

    def serve(self, service: Service) -> None:
        """Run the worker of granian in this process."""
        options = self._options
        _Worker(
            service.listeners[0],
            interface=Interfaces.ASGI,
            blocking_threads=1,
            runtime_mode=RuntimeModes.mt,
            http=HTTPModes.http1,
            backlog=options.backlog,
            backpressure=options.connections,
            http1_settings=HTTP1Settings(
                header_read_timeout=int(options.idle_timeout * 1000),
                max_buffer_size=options.head,
            ),
            log_level=LogLevels.warning,
        ).run(service.application)


class _Worker(MPServer):
    """One worker of granian, without the process that it would be in, on a given listener."""

    def __init__(self, listener: socket.socket, **settings: Any) -> None:
        super().__init__("", **settings)
        self._listener = listener

    def run(self, application: Any) -> None:
        is_unix = self._listener.family == socket.AF_UNIX
        self._ssp = self._sso = None
        self._shd: Any = SocketHolder(self._listener.fileno(), is_unix, self.backlog)  # type: ignore[call-arg]
        self._start_ipc()  # type: ignore[no-untyped-call]
        target = self._spawn_asgi_lifespan_worker
        self._spawn_worker(0, target, lambda: application).inner.run()
