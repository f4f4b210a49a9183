"""Falcon's ASGI application: resources that fill in the response."""

from __future__ import annotations

from typing import Any

import falcon
import falcon.asgi
from falcon.asgi import Request, Response

from peers.task import HELLO


class _Plain:
    async def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = HELLO


class _Data:
    async def on_get(self, req: Request, resp: Response) -> None:
        resp.media = {"message": HELLO}


class _Item:
    async def on_get(self, req: Request, resp: Response, id: int) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = str(id)


def make() -> Any:
    """Return the application."""
    app = falcon.asgi.App()
    app.add_route("/", _Plain())
    app.add_route("/json", _Data())
    app.add_route("/item/{id:int}", _Item())
    return app
