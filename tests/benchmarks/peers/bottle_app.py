"""Bottle, with its support for Jinja2, and Beaker by hand."""

from __future__ import annotations

import bottle
from beaker.middleware import SessionMiddleware
from client import App

from peers.task import BEAKER, CONTACTS, FIELDS, HELLO, TEMPLATES, TITLE


def make() -> tuple[App, App]:
    """Return the application, and the same one in Beaker's middleware."""
    bottle.TEMPLATE_PATH.insert(0, str(TEMPLATES))
    settings = {"autoescape": True}
    app = bottle.Bottle()

    @app.get("/")
    def plain() -> str:
        return HELLO

    @app.get("/json")
    def data() -> dict[str, str]:
        return {"message": HELLO}

    @app.get("/item/<id:int>")
    def item(id: int) -> str:
        return str(id)

    @app.get("/contacts")
    def contacts() -> str:
        values = {"title": TITLE, "contacts": CONTACTS}
        return bottle.jinja2_template("contacts.html", values, template_settings=settings)

    @app.post("/form")
    def form() -> dict[str, str]:
        return {name: bottle.request.forms.getunicode(name) for name in FIELDS}

    @app.get("/count")
    def count() -> str:
        session = bottle.request.environ["beaker.session"]
        session["count"] = session.get("count", 0) + 1
        session.save()
        return str(session["count"])

    return app, SessionMiddleware(app, BEAKER)
