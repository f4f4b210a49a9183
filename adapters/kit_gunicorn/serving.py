"""Serving by gunicorn, one worker of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ClassVar

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.sock import create_sockets  # type: ignore[import-untyped]

from kit.slots.serving import Service, ServingOptions


class Gunicorn:
    """gunicorn: its threads by WSGI, and its own event loop by ASGI."""

    lacks: ClassVar = {
        "connections": "by ASGI gunicorn accepts all connections",
        "idle_timeout": "gunicorn cuts off only who has been answered before",
        "head": "gunicorn limits each header to `head`, and there may be 100",
        "ping": "gunicorn sends no pings",
        "slow clients": "by WSGI a thread of gunicorn waits for each: put a proxy in front",
    }

    def __init__(self, options: ServingOptions) -> None:
        self._options = options

    def serve(self, service: Service) -> None:
        """Run the worker of gunicorn in this process."""
        options = self._options
        by_wsgi = service.gateway == "wsgi"
        app = _Application(
            service.application if by_wsgi else _without_path(service.application),
            worker_class="gthread" if by_wsgi else "asgi",
            threads=service.threads if by_wsgi else 1,
            backlog=options.backlog,
            worker_connections=max(options.connections, service.threads + 1),
            keepalive=int(options.idle_timeout),
            graceful_timeout=int(options.grace),
            limit_request_line=8190,
            limit_request_field_size=options.head,
            websocket_max_message_size=service.message,
            asgi_lifespan="on",
            forwarded_allow_ips="",
            forwarder_headers="",
            loglevel="warning",
        )
        log = app.cfg.logger_class(app.cfg)
        sockets = create_sockets(app.cfg, log, [os.dup(one.fileno()) for one in service.listeners])
        worker = app.cfg.worker_class(1, os.getppid(), sockets, app, 0, app.cfg, log)
        worker.pid = os.getpid()
        worker.init_process()


def _without_path(app: Callable[..., Any]) -> Callable[..., Any]:
    """Hand no server over where there is a UNIX socket: gunicorn gives two letters of its path."""

    def application(scope: Any, receive: Any, send: Any) -> Any:
        if "server" in scope and not isinstance(scope["server"][-1], int):
            scope["server"] = None
        return app(scope, receive, send)

    return application


class _Application(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    def __init__(self, application: Any, **settings: Any) -> None:
        self._given, self._settings = application, settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self._given
