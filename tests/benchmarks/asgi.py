"""An ASGI application in the same process: on a loop, without a server and without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Environ = dict[str, Any]
Message = dict[str, Any]
_Call = tuple[dict[str, Any], Callable[[], Awaitable[Message]]]


class ASGI:
    """Sends requests, made as those for WSGI are, to an application of ASGI (version 3.0).

    Requests of a batch follow each other in one task, so that neither starting a loop nor making
    tasks counts.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()

    def sending(self, environs: list[Environ]) -> Callable[[], None]:
        """Return what sends the requests and awaits the answers; to make them takes no part."""
        calls = [_call(environ) for environ in environs]

        async def all_of_them() -> None:
            for scope, receive in calls:
                await self._app(scope, receive, _drop)

        return lambda: self._loop.run_until_complete(all_of_them())

    def ask(self, environ: Environ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Return status, headers and body of one answer."""
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)

        scope, receive = _call(environ)
        self._loop.run_until_complete(self._app(scope, receive, keep))
        headers = [(name.decode(), value.decode("latin-1")) for name, value in sent[0]["headers"]]
        return sent[0]["status"], headers, b"".join(one.get("body", b"") for one in sent)


async def _drop(message: Message) -> None:
    pass


def _call(environ: Environ) -> _Call:
    """Return the scope of a request, and what the application receives its body with."""
    named = [(name[5:], value) for name, value in environ.items() if name.startswith("HTTP_")]
    named += [
        (name, environ[name]) for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if name in environ
    ]
    scope = {
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
    }
    message = {"type": "http.request", "body": environ["wsgi.input"].read(), "more_body": False}

    async def receive() -> Message:
        return message

    return scope, receive
