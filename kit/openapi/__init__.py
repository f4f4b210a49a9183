"""OpenAPI: a description of the application for its clients, and a page that shows it to people.

``app.include(openapi.routes(title="Contacts"))`` is all it takes. Both are made of what is there
anyway: patterns, docstrings, the annotations of handlers, formats, guards and slots.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import msgspec
from werkzeug.wrappers import Response

from kit.openapi.document import Info
from kit.openapi.document import document as described
from kit.openapi.operations import leave_out, raises
from kit.openapi.page import page as shown
from kit.routes import Guard, Routes

if TYPE_CHECKING:
    from kit.app import App

__all__ = ["document", "leave_out", "raises", "routes"]

_FOR_A_DAY = {"Cache-Control": "public, max-age=86400"}
_NO_STORE = {"Cache-Control": "no-cache"}


def document(
    app: App, *, title: str, version: str, description: str = "", below: str = "/"
) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of an application, which is started for it.

    It describes the routes whose pattern begins with `below`, but for patterns of a router's own
    syntax, of which nobody else knows what they match.
    """
    return described(app.start(), Info(title, version, description, below))


def routes(
    prefix: str = "/api",
    *,
    title: str,
    version: str = "1",
    description: str = "",
    below: str = "/",
    requires: Guard | Iterable[Guard] = (),
) -> Routes:
    """Return routes for the document, ``openapi.json``, and a page that shows it, below `prefix`.

    `title`, `version` and `description` are what it says of the application; `below` is the path
    of the routes that it describes, and `requires` are guards of document and page. The document
    is made when it is first asked for. The page loads nothing but its stylesheet, from here.
    """
    info = Info(title, version, description, below)
    made: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
    style = files(__package__).joinpath("style.css").read_bytes()

    def current(app: App) -> dict[str, Any]:
        wiring = app._wiring
        if wiring not in made:
            made[wiring] = described(app, info)
        return made[wiring]

    def document(app: App, environ: dict[str, Any]) -> Response:
        mounted = environ.get("SCRIPT_NAME", "").encode("latin-1").decode(errors="replace")
        whole = {**current(app), "servers": [{"url": mounted or "/"}]}
        body = msgspec.json.encode(whole)
        return Response(body, content_type="application/json", headers=_NO_STORE)

    def page(app: App) -> Response:
        return Response(
            shown(current(app)), content_type="text/html; charset=utf-8", headers=_NO_STORE
        )

    def stylesheet() -> Response:
        return Response(style, content_type="text/css; charset=utf-8", headers=_FOR_A_DAY)

    group = Routes(prefix, "openapi", requires)
    group.get("/openapi.json")(document)
    group.get("/")(page)
    group.get("/style.css")(stylesheet)
    for route in group.routes:
        leave_out(route.handler)
    return group
