"""Falcon, with Jinja2 and Beaker by hand."""

from __future__ import annotations

import falcon
from beaker.middleware import SessionMiddleware
from client import App
from falcon import Request, Response
from jinja2 import Environment, FileSystemLoader

from peers.task import BEAKER, CONTACTS, FIELDS, HELLO, TEMPLATES, TITLE

_templates = Environment(autoescape=True, loader=FileSystemLoader(TEMPLATES), auto_reload=False)


class _Plain:
    def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = HELLO


class _Data:
    def on_get(self, req: Request, resp: Response) -> None:
        resp.media = {"message": HELLO}


class _Item:
    def on_get(self, req: Request, resp: Response, id: int) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = str(id)


class _Contacts:
    def on_get(self, req: Request, resp: Response) -> None:
        template = _templates.get_template("contacts.html")
        resp.content_type = falcon.MEDIA_HTML
        resp.text = template.render(title=TITLE, contacts=CONTACTS)


class _Form:
    def on_post(self, req: Request, resp: Response) -> None:
        form = req.get_media()
        resp.media = {name: form[name] for name in FIELDS}


class _Count:
    def on_get(self, req: Request, resp: Response) -> None:
        session = req.env["beaker.session"]
        session["count"] = session.get("count", 0) + 1
        session.save()
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = str(session["count"])


def make() -> tuple[App, App]:
    """Return the application, and the same one in Beaker's middleware."""
    app = falcon.App()
    app.add_route("/", _Plain())
    app.add_route("/json", _Data())
    app.add_route("/item/{id:int}", _Item())
    app.add_route("/contacts", _Contacts())
    app.add_route("/form", _Form())
    app.add_route("/count", _Count())
    return app, SessionMiddleware(app, BEAKER)
