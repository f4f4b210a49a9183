"""Litestar: handlers with typed results; it encodes data with msgspec."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, MediaType, get

from peers.task import HELLO


@get("/", media_type=MediaType.TEXT)
async def _plain() -> str:
    return HELLO


@get("/json")
async def _data() -> dict[str, str]:
    return {"message": HELLO}


@get("/item/{id:int}", media_type=MediaType.TEXT)
async def _item(id: int) -> str:
    return str(id)


def make() -> Any:
    """Return the application."""
    return Litestar([_plain, _data, _item])
