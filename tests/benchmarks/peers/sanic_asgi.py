"""Sanic, under ASGI: handlers that make their responses."""

from __future__ import annotations

from typing import Any

from sanic import HTTPResponse, Request, Sanic, json, text

from peers.task import HELLO


def make() -> Any:
    """Return the application."""
    app = Sanic("benchmark")
    app.config.MOTD = False
    app.config.ACCESS_LOG = False

    @app.get("/")
    async def plain(request: Request) -> HTTPResponse:
        return text(HELLO)

    @app.get("/json")
    async def data(request: Request) -> HTTPResponse:
        return json({"message": HELLO})

    @app.get("/item/<id:int>")
    async def item(request: Request, id: int) -> HTTPResponse:
        return text(str(id))

    return app
