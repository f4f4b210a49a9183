"""An ASGI application in the same process: on a loop, without a server and without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

Environ = dict[str, Any]
Message = dict[str, Any]


class ASGI:
    """Sends requests, made as those for WSGI are, to an application of ASGI (version 3.0).

    Requests of a batch follow each other in one task, so that neither starting a loop nor making
    tasks counts.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()

    def start(self) -> None:
        """Start the application as a server does (lifespan)."""
        self._given: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        running = self._app(scope, self._given.get, self._answers.put)
        self._lifespan = self._loop.create_task(running)
        self._tell("startup")

    def stop(self) -> None:
        """Stop the application, and close its loop."""
        self._tell("shutdown")
        self._loop.run_until_complete(self._lifespan)
        self._loop.close()

    def _tell(self, what: str) -> None:
        self._given.put_nowait({"type": f"lifespan.{what}"})
        answer = self._loop.run_until_complete(self._answers.get())
        if answer["type"] != f"lifespan.{what}.complete":
            raise RuntimeError(f"the application answers {what} with {answer}")

    def sending(self, environs: list[Environ]) -> Callable[[], None]:
        """Return what sends the requests and awaits the answers; to make them takes no part."""
        exchanges = [_Exchange(environ) for environ in environs]

        async def all_of_them() -> None:
            for one in exchanges:
                await self._app(one.scope, one.receive, one.send)

        return lambda: self._loop.run_until_complete(all_of_them())

    def ask(self, environ: Environ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Return status, headers and body of one answer."""
        sent: list[Message] = []
        exchange = _Exchange(environ)

        async def keep(message: Message) -> None:
            sent.append(message)
            await exchange.send(message)

        self._loop.run_until_complete(self._app(exchange.scope, exchange.receive, keep))
        headers = [(name.decode(), value.decode("latin-1")) for name, value in sent[0]["headers"]]
        return sent[0]["status"], headers, b"".join(one.get("body", b"") for one in sent)


class _Exchange:
    """One request, as a server hands it over: its body at once, and the end when it has come."""

    __slots__ = ("_ended", "_gone", "_message", "scope")

    def __init__(self, environ: Environ) -> None:
        self.scope = _scope(environ)
        body = environ["wsgi.input"].read()
        self._message: Message | None = {"type": "http.request", "body": body, "more_body": False}
        self._ended = False
        self._gone: asyncio.Future[None] | None = None

    async def receive(self) -> Message:
        """Return the body, and after that nothing until the answer is complete."""
        message, self._message = self._message, None
        if message is not None:
            return message
        if not self._ended:
            self._gone = self._gone or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._gone)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Drop a message of the answer."""
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._ended = True
            if self._gone is not None:
                self._gone.set_result(None)


def _scope(environ: Environ) -> dict[str, Any]:
    named = [(name[5:], value) for name, value in environ.items() if name.startswith("HTTP_")]
    named += [
        (name, environ[name]) for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if name in environ
    ]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": environ["REQUEST_METHOD"],
        "scheme": "http",
        "path": environ["PATH_INFO"],
        "raw_path": environ["PATH_INFO"].encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(n.lower().replace("_", "-").encode(), v.encode()) for n, v in named],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
