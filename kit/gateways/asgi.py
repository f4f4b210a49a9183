"""The ASGI gateway (ASGI 3.0: https://asgi.readthedocs.io): requests, WebSockets and lifespan."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from werkzeug.exceptions import ClientDisconnected

from kit.answers import Environ, Header, Stream
from kit.clients import (
    ADMITTED,
    Client,
    Environs,
    Message,
    Receive,
    Scope,
    Send,
    client_of,
)
from kit.errors import ConfigError
from kit.gateways import SOCKETS, Gateway
from kit.gateways.performing import perform_on_loop, run_in_thread
from kit.gateways.ready import encoded
from kit.sockets import PATIENCE, Socket
from kit.waiting import end_threads, in_thread, limit_threads

if TYPE_CHECKING:
    from kit.app import App

T = TypeVar("T")
Tasks = set[asyncio.Task[Any] | None]
ASGI = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

_START, _BODY = "http.response.start", "http.response.body"
_NONE: Mapping[str, Any] = {}

logger = logging.getLogger("kit")


def make_asgi(app: App) -> ASGI:
    """Make the ASGI callable of an application, which starts it unless a lifespan does."""
    environs = Environs()
    sockets: Tasks = set()
    starting = asyncio.Lock()

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, talk over a WebSocket, or start and stop with the server."""
        kind = scope["type"]
        if kind == "lifespan":
            await _lifespan(app, sockets, receive, send)
            return
        gateway = app.gateway or await _started(app, starting)
        known = environs.known(scope)
        plan, values = gateway.find_quick(scope) if known else (None, _NONE)
        if plan and known:
            environ, client = known, None
        else:
            environ = environs.make(scope, known)
            if kind == "websocket":
                await _websocket(gateway, sockets, environ, receive, send)
                return
            client = client_of(scope, receive, environ)
        watched: Client | None = None
        ready, begun = None, False
        try:
            try:
                if plan is None:
                    if gateway.events:
                        await in_thread(gateway.events.started, environ)
                    if ADMITTED not in environ:
                        gateway.admit(environ)
                        plan, values = gateway.find(environ)
                        environs.keep(scope)
                    else:
                        plan, values = gateway.find(environ)
                if client and plan.place != "inline":
                    watched = _watched(client, receive)
                    if plan.loads(environ):
                        most = plan.body or gateway.limits.body
                        await client.load(most, environ.get("CONTENT_LENGTH"))
                if plan.place == "thread":
                    watched = watched or _watched(client, receive)
                    answer = await run_in_thread(plan, environ, values)
                elif plan.place == "inline" and not plan.quick:
                    answer = plan.answer(environ, values)
                else:
                    result: Any = plan.quick(values) if plan.quick else plan.run(environ, values)
                    if plan.place == "loop":
                        running = result
                        try:
                            waits_for = running.send(None)
                        except StopIteration as stop:
                            result = stop.value
                        else:
                            watched = watched or _watched(client, receive)
                            result = await _going_on(running, waits_for)
                    if environ is known:
                        ready = gateway.ready.make(environ, result)
                    if ready is None:
                        answer = plan.convert(environ, result) if plan.convert else result
                if ready is None and type(answer[2]) is Stream:
                    await answer[2].start()
            except Exception as error:
                if environ is known:
                    environ = environs.make(scope, known)
                answer = await gateway.failed(environ, error, perform_on_loop)
            if ready:
                await send({"type": _START, "status": 200, "headers": ready[0]})
                await send({"type": _BODY, "body": ready[1]})
                return
            line, headers, body = await gateway.finished(environ, answer, perform_on_loop)
            if gateway.events:
                try:
                    await in_thread(gateway.events.finished, environ, int(line[:3]))
                except BaseException as error:
                    if type(body) is Stream:
                        await body.end(error)
                    raise
            begun = True
            if type(body) is Stream:
                watched = watched or _watched(client, receive)
                await _stream(line, headers, body, send)
                return
            await send(_start(line, headers))
            await send({"type": _BODY, "body": b"".join(body)})
        except (asyncio.CancelledError, ClientDisconnected):
            if watched is None or not watched.gone:
                raise
            if watched.cut and not begun:  # it may still listen
                with suppress(Exception):
                    await send({"type": _START, "status": 400, "headers": []})
                    await send({"type": _BODY, "body": b""})
        finally:
            if watched:
                watched.leave()

    return asgi


def _watched(client: Client | None, receive: Receive) -> Client:
    client = client or Client(receive, more=False)
    client.watch()
    return client


async def _started(app: App, starting: asyncio.Lock) -> Gateway:
    """Start an application whose server knows no lifespan."""
    limit_threads(app.stack.app.threads)
    async with starting:
        if app.gateway is None:
            await in_thread(app.start)
    if app.gateway is None:
        raise RuntimeError("the application was stopped while it started")
    return app.gateway


async def _websocket(
    gateway: Gateway,
    sockets: Tasks,
    environ: Environ,
    receive: Receive,
    send: Send,
) -> None:
    """Talk over a WebSocket; while it is open, its task is among `sockets`."""
    task = asyncio.current_task()
    sockets.add(task)
    environ[SOCKETS] = socket = Socket(environ, receive, send, gateway.limits)
    failure: BaseException | None = None
    try:
        try:
            gateway.admit(environ)
            plan, values = gateway.route(environ)
            await plan.run(environ, values)
        except BaseException as error:
            failure = error
        await socket.end(failure)
    except asyncio.CancelledError:
        if task in sockets:  # it was not the lifespan that ended it
            raise
    except Exception as error:  # which came before the socket was accepted
        answer = await gateway.failed(environ, error, perform_on_loop)
        await socket.refuse(await gateway.finished(environ, answer, perform_on_loop))
    finally:
        sockets.discard(task)


async def _stream(line: str, headers: list[Header], body: Stream, send: Send) -> None:
    """Send the chunks as they come; the next one is made when the last one is on its way."""
    try:
        await send(_start(line, headers))
        while (chunk := await body.next()) is not None:
            await send({"type": _BODY, "body": chunk, "more_body": True})
    except BaseException as error:
        await body.end(error)
        raise
    await send({"type": _BODY, "body": b""})


def _start(line: str, headers: list[Header]) -> Message:
    return {"type": _START, "status": int(line[:3]), "headers": [*map(_encoded, headers)]}


_encoded = lru_cache(maxsize=1024)(encoded)


@coroutine
def _going_on(running: Coroutine[Any, Any, T], waited: Any) -> Generator[Any, Any, T]:
    """Go on with a coroutine that has begun, and waits for something."""
    while True:
        try:
            value = yield waited
        except BaseException as error:
            step = partial(running.throw, error)
        else:
            step = partial(running.send, value)
        try:
            waited = step()
        except StopIteration as stop:
            result: T = stop.value
            return result


async def _lifespan(app: App, sockets: Tasks, receive: Receive, send: Send) -> None:
    """Start and stop an application with its server; sockets that are open then are closed."""
    await receive()
    limit_threads(app.stack.app.threads)
    try:
        await in_thread(app.start)
    except Exception as error:
        if not isinstance(error, ConfigError):
            logger.exception("the application could not be started")
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    if ending := {task for task in sockets if task}:
        sockets.clear()
        for task in ending:
            task.cancel()
        await asyncio.wait(ending, timeout=2 * PATIENCE)
    try:
        await in_thread(app.stop)
        await end_threads()
    except Exception as error:
        logger.exception("the application could not be stopped in order")
        await send({"type": "lifespan.shutdown.failed", "message": str(error)})
        return
    await send({"type": "lifespan.shutdown.complete"})
