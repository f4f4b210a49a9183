"""Framekit, on the stack of the recipe contacts or with another router."""

from __future__ import annotations

import tempfile
from pathlib import Path

from client import App

import kit
from peers.task import CONTACTS, FIELDS, HELLO, TEMPLATES, TITLE

_folder = tempfile.TemporaryDirectory()  # removed when the process ends


def make(router: str = "ffroute") -> tuple[App, App]:
    """Return the application twice: who does not name the session does not pay for it."""
    database = Path(_folder.name, "bench.db")
    app = kit.App(
        {
            "routing": {"use": router},
            "templating": {"use": "jinja2", "folder": str(TEMPLATES)},
            "persistence": {"use": "sqlalchemy", "url": f"sqlite:///{database}"},
            "sessions": {"use": "beaker"},
        }
    )

    @app.get("/")
    def plain() -> str:
        return HELLO

    @app.get("/json")
    def data() -> dict[str, str]:
        return {"message": HELLO}

    @app.get("/item/<int:id>")
    def item(id: int) -> str:
        return str(id)

    @app.get("/contacts")
    def contacts(render):  # type: ignore[no-untyped-def]
        return render("contacts.html", title=TITLE, contacts=CONTACTS)

    @app.post("/form", csrf=False)  # no peer here checks for forgery
    def form(request: kit.Request) -> dict[str, str]:
        return {name: request.form[name] for name in FIELDS}

    @app.get("/count")
    def count(session) -> str:  # type: ignore[no-untyped-def]
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    app.start()
    return app, app
