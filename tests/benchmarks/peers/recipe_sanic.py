"""The page of Sanic's example for web sockets: a static file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sanic import Sanic

STATIC = Path(__file__).parents[3] / "recipes" / "sanic_style" / "static"


def make(folder: Path) -> Any:
    """Return the application."""
    app = Sanic("benchmark_of_recipes")
    app.config.MOTD = False
    app.config.ACCESS_LOG = False
    app.static("/index.html", STATIC / "index.html", name="index")
    app.static("/static", STATIC, name="static")

    @app.on_response
    async def add_served_by(request: Any, response: Any) -> None:
        response.headers["X-Served-By"] = "sanic"

    @app.on_request
    async def add_number(request: Any) -> None:
        request.ctx.num = 0

    return app
