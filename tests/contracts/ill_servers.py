"""Servers that break one promise each, for ``broken_serving.py``; they run in their own processes.

Class ``G4`` breaks clause G4. Each is a server that keeps the contract, and one thing about it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import kit_hypercorn.serving
from kit_gunicorn.serving import Gunicorn
from kit_hypercorn.serving import Hypercorn
from kit_uvicorn.serving import Uvicorn
from kit_waitress.serving import Waitress

from kit.options import Duration, Size
from kit.slots.serving import Service, ServingOptions

App = Callable[..., Any]


class Wrapped:
    """Serves not the application, but what `wrap` makes of it."""

    def serve(self, service: Service) -> None:
        super().serve(replace(service, application=self.wrap(service.application)))

    def wrap(self, app: App) -> App:
        raise NotImplementedError


class G1(Wrapped, Waitress):
    def wrap(self, app: App) -> App:
        def wrapped(environ: Any, start_response: Any) -> Any:
            environ["QUERY_STRING"] = environ["QUERY_STRING"].replace("%20", "+")
            return app(environ, start_response)

        return wrapped


class G2(Wrapped, Waitress):
    def wrap(self, app: App) -> App:
        def wrapped(environ: Any, start_response: Any) -> Any:
            return app(
                environ, lambda line, headers: start_response(line, [*dict(headers).items()])
            )

        return wrapped


class G3(Waitress):
    def serve(self, service: Service) -> None:
        super().serve(replace(service, threads=1))


class G4(Wrapped, Waitress):
    def wrap(self, app: App) -> App:
        return lambda environ, start_response: [b"".join(app(environ, start_response))]


class G5(Wrapped, Hypercorn):
    def wrap(self, app: App) -> App:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            async def closing(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message["headers"].append((b"connection", b"close"))
                await send(message)

            await app(scope, receive, closing)

        return wrapped


class G6(Wrapped, Waitress):
    def wrap(self, app: App) -> App:
        def wrapped(environ: Any, start_response: Any) -> Any:
            environ["REMOTE_ADDR"] = environ.get("HTTP_X_FORWARDED_FOR", environ["REMOTE_ADDR"])
            return app(environ, start_response)

        return wrapped


class G7(Wrapped, Uvicorn):
    def wrap(self, app: App) -> App:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            headers = [
                (name.replace(b"_", b"-"), value) for name, value in scope.get("headers", ())
            ]
            await app({**scope, "headers": headers}, receive, send)

        return wrapped


class G8(Hypercorn):
    def serve(self, service: Service) -> None:
        kit_hypercorn.serving._with_one_length = lambda app: app
        super().serve(service)


class G9(Waitress):
    def __init__(self, options: ServingOptions) -> None:
        super().__init__(replace(options, head=Size(1024**2)))


class G10(Waitress):
    def __init__(self, options: ServingOptions) -> None:
        super().__init__(replace(options, idle_timeout=Duration(60)))


class G11(Gunicorn):
    lacks = {name: why for name, why in Gunicorn.lacks.items() if name != "slow clients"}


class G12(Waitress):
    def __init__(self, options: ServingOptions) -> None:
        super().__init__(replace(options, connections=1000))


class G13(Wrapped, Waitress):
    def wrap(self, app: App) -> App:
        def wrapped(environ: Any, start_response: Any) -> Any:
            if environ["REMOTE_ADDR"] == "localhost":  # as waitress calls whom it does not know
                raise ConnectionRefusedError
            return app(environ, start_response)

        return wrapped


class G14(Uvicorn):
    def serve(self, service: Service) -> None:
        super().serve(replace(service, message=10))


class G15(Wrapped, Uvicorn):
    def wrap(self, app: App) -> App:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            async def hiding() -> Any:
                message = await receive()
                if message["type"] == "http.disconnect":
                    await asyncio.sleep(60)
                return message

            await app(scope, hiding, send)

        return wrapped


class Abrupt(Waitress):
    """Ends at once on SIGTERM."""

    def serve(self, service: Service) -> None:
        real = signal.signal
        signal.signal = lambda number, handler: real(number, lambda *_: os._exit(0))
        super().serve(service)


G16 = G17 = Abrupt


class G18(Wrapped, Uvicorn):
    def wrap(self, app: App) -> App:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            async def ending() -> Any:
                message = await receive()
                is_gone = message["type"] == "http.disconnect"
                return {"type": "http.request"} if is_gone else message

            await app(scope, ending, send)

        return wrapped
