"""BlackSheep: handlers with typed parameters and plain results."""

from __future__ import annotations

from typing import Any

from blacksheep import Application, Router

from peers.task import HELLO


def make() -> Any:
    """Return the application."""
    router = Router()

    @router.get("/")
    async def plain() -> str:
        return HELLO

    @router.get("/json")
    async def data() -> dict[str, str]:
        return {"message": HELLO}

    @router.get("/item/{int:id}")
    async def item(id: int) -> str:
        return str(id)

    return Application(router=router)
