"""Framekit under ASGI, on the stack of the recipe contacts."""

from __future__ import annotations

import tempfile
from typing import Any

import kit
from peers.task import HELLO, TEMPLATES

_folder = tempfile.TemporaryDirectory()  # removed when the process ends


def stacked(**tables: Any) -> kit.App:
    """Return an application with the stack of the recipe, and further tables of its config."""
    return kit.App(
        {
            "routing": {"use": "ffroute"},
            "templating": {"use": "jinja2", "folder": str(TEMPLATES)},
            "persistence": {"use": "sqlalchemy", "url": f"sqlite:///{_folder.name}/bench.db"},
            "sessions": {"use": "beaker"},
            **tables,
        }
    )


def make(handlers: str) -> Any:
    """Return the application with ``async`` handlers, plain ``inline`` ones, or in a ``thread``."""
    app = stacked()
    if handlers == "async":
        coroutines(app)
    else:
        plain(app, inline=handlers == "inline")
    return app.asgi


def coroutines(app: kit.App) -> None:
    """Add handlers written with async def."""

    @app.get("/")
    async def hello() -> str:
        return HELLO

    @app.get("/json")
    async def data() -> dict[str, str]:
        return {"message": HELLO}

    @app.get("/item/<int:id>")
    async def item(id: int) -> str:
        return str(id)


def plain(app: kit.App, *, inline: bool = False) -> None:
    """Add plain handlers, declared cheap or not."""

    @app.get("/", inline=inline)
    def hello() -> str:
        return HELLO

    @app.get("/json", inline=inline)
    def data() -> dict[str, str]:
        return {"message": HELLO}

    @app.get("/item/<int:id>", inline=inline)
    def item(id: int) -> str:
        return str(id)
