"""The ASGI gateway (ASGI 3.0: https://asgi.readthedocs.io): requests, WebSockets and lifespan."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from functools import lru_cache, partial
from types import coroutine
from typing import TYPE_CHECKING, Any

from kit.answers import Answer, Environ, Header, Stream
from kit.clients import Client, Receive, Scope, Send, client_of, environ_of
from kit.errors import ConfigError
from kit.gateways import Gateway
from kit.plans import Plan
from kit.sockets import Socket
from kit.waiting import Place, Threads, end_threads, in_thread, limit_threads, threads_here

if TYPE_CHECKING:
    from kit.app import App

ASGI = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

logger = logging.getLogger("kit")

SOCKETS = "kit.socket"
"""The key of the environ under which the gateway puts the socket."""


def make_asgi(gateway: Gateway) -> ASGI:
    """Make the ASGI callable of a started application, for requests and WebSockets."""
    find, finish, events = gateway.find, gateway.finish, gateway.events

    async def respond(client: Client, environ: Environ, send: Send) -> None:
        try:
            if events:
                await in_thread(events.started, environ)
            plan, values = find(environ)
            if plan.place == "inline":
                answer = plan.answer(environ, values)
            elif plan.place == "loop":
                answer = await plan.run(environ, values)
            else:
                if client.more and "HTTP_EXPECT" not in environ:
                    await client.fill()
                answer = await _in_thread(plan, environ, values)
            if type(answer[2]) is Stream:
                await answer[2].start()
        except Exception as error:
            answer = await gateway.failed(environ, error, _perform)
        line, headers, body = finish(environ, answer)
        if events:
            await in_thread(events.finished, environ, int(line[:3]))
        if type(body) is Stream:
            await _stream(line, headers, body, send)
            return
        await send(_start(line, headers))
        await send({"type": "http.response.body", "body": b"".join(body)})

    async def http(scope: Scope, receive: Receive, send: Send) -> None:
        environ = environ_of(scope)
        client = client_of(scope, receive, environ)
        try:
            await _noticing(respond(client, environ, send), client.watch)
        except asyncio.CancelledError:
            if not client.gone:
                raise
        finally:
            client.leave()

    async def websocket(scope: Scope, receive: Receive, send: Send) -> None:
        environ = environ_of(scope)
        environ[SOCKETS] = socket = Socket(environ, receive, send, gateway.limits)
        failure: BaseException | None = None
        try:
            try:
                plan, values = find(environ)
                await plan.run(environ, values)
            except BaseException as error:
                failure = error
            await socket.end(failure)
        except Exception as error:  # which came before the socket was accepted
            answer = await gateway.failed(environ, error, _perform)
            await socket.refuse(finish(environ, answer))

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        await (http if scope["type"] == "http" else websocket)(scope, receive, send)

    return asgi


async def _perform(plan: Plan, environ: Environ, values: Mapping[str, Any]) -> Answer:
    """Run the plan of an error handler where it may run."""
    if plan.place == "loop":
        return await plan.run(environ, values)
    if plan.place == "inline":
        return plan.answer(environ, values)
    return await _in_thread(plan, environ, values)


async def _in_thread(plan: Plan, environ: Environ, values: Mapping[str, Any]) -> Answer:
    """Run a plan in a worker thread, and let its stream be made in one, too."""
    threads = threads_here()
    place = await threads.take()
    made: list[Answer] = []

    def answer() -> None:
        made.append(plan.answer(environ, values))

    is_kept = False
    try:
        await place.call(answer)
        body = made[0][2]
        if isinstance(body, Stream):
            is_kept = plan.one_thread
            body.aside = place.call if is_kept else partial(threads.call, context=place.context)
            if is_kept:
                body.then(_giving(threads, place))
        return made[0]
    except asyncio.CancelledError:  # the thread has come to its end all the same
        for _, _, body in made:
            if isinstance(body, Stream):
                await place.call(body.close)
        raise
    finally:
        if not is_kept:
            threads.give(place)


def _giving(threads: Threads, place: Place) -> Callable[[BaseException | None], Awaitable[None]]:
    async def give(error: BaseException | None) -> None:
        threads.give(place)

    return give


async def _stream(line: str, headers: list[Header], body: Stream, send: Send) -> None:
    """Send the chunks as they come; the next one is made when the last one is on its way."""
    try:
        await send(_start(line, headers))
        while (chunk := await body.next()) is not None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except BaseException as error:
        await body.end(error)
        raise
    await send({"type": "http.response.body", "body": b""})


def _start(line: str, headers: list[Header]) -> dict[str, Any]:
    return {
        "type": "http.response.start",
        "status": int(line[:3]),
        "headers": [_encoded(name, value) for name, value in headers],
    }


@lru_cache(maxsize=512)
def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    return name.lower().encode("latin-1"), value.encode("latin-1")


@coroutine
def _noticing(running: Coroutine[Any, Any, None], notice: Callable[[], None]) -> Generator[Any]:
    """Run a coroutine, and call `notice` when it has to wait for the first time."""
    try:
        waited = running.send(None)
    except StopIteration:
        return
    notice()
    while True:
        try:
            value = yield waited
        except BaseException as error:
            step = partial(running.throw, error)
        else:
            step = partial(running.send, value)
        try:
            waited = step()
        except StopIteration:
            return


def make_lifespan(app: App) -> ASGI:
    """Make the ASGI callable that starts and stops an application with its server."""

    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
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
        try:
            await in_thread(app.stop)
            await end_threads()
        except Exception as error:
            logger.exception("the application could not be stopped in order")
            await send({"type": "lifespan.shutdown.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})

    return lifespan
