"""FastAPI: operations with typed results, as its tutorial has them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from peers.task import HELLO


def make() -> Any:
    """Return the application."""
    app = FastAPI()

    @app.get("/", response_class=PlainTextResponse)
    async def plain() -> str:
        return HELLO

    @app.get("/json")
    async def data() -> dict[str, str]:
        return {"message": HELLO}

    @app.get("/item/{id}", response_class=PlainTextResponse)
    async def item(id: int) -> str:
        return str(id)

    return app
