"""Flask, with its own sessions, which are signed cookies."""

from __future__ import annotations

import flask
from client import App

from peers.task import CONTACTS, FIELDS, HELLO, TEMPLATES, TITLE


def make() -> tuple[App, App]:
    """Return the application twice: sessions are part of it."""
    app = flask.Flask(__name__, template_folder=str(TEMPLATES))
    app.secret_key = "benchmark" * 4

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
    def contacts() -> str:
        return flask.render_template("contacts.html", title=TITLE, contacts=CONTACTS)

    @app.post("/form")
    def form() -> dict[str, str]:
        return {name: flask.request.form[name] for name in FIELDS}

    @app.get("/count")
    def count() -> str:
        flask.session["count"] = flask.session.get("count", 0) + 1
        return str(flask.session["count"])

    return app, app
