"""Starlette: endpoints that make their responses."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from peers.task import HELLO


async def _plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse(HELLO)


async def _data(request: Request) -> JSONResponse:
    return JSONResponse({"message": HELLO})


async def _item(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(request.path_params["id"]))


def make() -> Any:
    """Return the application."""
    return Starlette(
        routes=[Route("/", _plain), Route("/json", _data), Route("/item/{id:int}", _item)]
    )
