"""Framekit behind a server, with handlers for all that is measured there."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import kit
from peers.framekit_asgi import coroutines, plain, stacked

PIECE = bytes(1 << 16)


def _made() -> kit.App:
    app = stacked(limits={"body": "2 GiB"})

    @app.get("/plain")
    def probe() -> str:
        return "here"

    @app.post("/slow", csrf=False)
    async def slow(request: kit.Request) -> None:
        await request.load()

    @app.post("/slow/plain", csrf=False)
    def slow_plain(request: kit.Request) -> None:
        _ = request.body

    @app.post("/upload", csrf=False)
    async def upload(request: kit.Request) -> str:
        count = 0
        async for piece in request.pieces():
            count += len(piece)
        return str(count)

    @app.post("/upload/plain", csrf=False)
    def upload_plain(request: kit.Request) -> str:
        count = 0
        while piece := request.stream.read(len(PIECE)):
            count += len(piece)
        return str(count)

    @app.get("/download/<int:size>")
    async def download(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // len(PIECE)):
            yield PIECE

    @app.get("/download/plain/<int:size>")
    def download_plain(size: int) -> Iterator[bytes]:
        for _ in range(size // len(PIECE)):
            yield PIECE

    @app.get("/file")
    def file(request: kit.Request) -> kit.Response:
        return kit.send_file(os.environ["BENCHMARK_FILE"], request=request)

    return app


wsgi = _made()
plain(wsgi)
_with_coroutines = _made()
coroutines(_with_coroutines)
asgi = _with_coroutines.asgi
_with_sockets = _made()
coroutines(_with_sockets)


@_with_sockets.websocket("/feed")
async def feed(socket) -> None:  # type: ignore[no-untyped-def]
    async for message in socket:
        await socket.send(message)


sockets = _with_sockets.asgi
