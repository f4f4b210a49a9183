"""Framekit: a form, a body and a result, on the stack of the recipe contacts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from client import App

import kit
from peers.input_task import BOOK, CARD, EMAIL, Card
from peers.task import TEMPLATES

Group = Literal["family", "friends", "work", "other"]


@dataclass
class Contact:
    """What the form asks for, and the body holds."""

    first_name: Annotated[str, kit.Meta(min_length=1, max_length=100)]
    last_name: Annotated[str, kit.Meta(min_length=1, max_length=100)]
    email: Annotated[
        str, kit.Meta(max_length=254, pattern=EMAIL, title="E-mail"), kit.Widget("email")
    ]
    phone: Annotated[str, kit.Meta(max_length=40), kit.Widget("tel")]
    group: Group
    birthday: date
    rank: Annotated[int, kit.Meta(ge=1, le=100)]
    discount: Annotated[Decimal, kit.Digits(5, 2), kit.Meta(ge=0, le=100)]
    notes: Annotated[str, kit.Meta(max_length=5000), kit.Widget("textarea")]
    favourite: bool = False


def make(validation: str = "msgspec") -> App:
    """Return the application with a component for the slot validation."""
    app = kit.App(
        {
            "routing": {"use": "ffroute"},
            "templating": {"use": "jinja2", "folder": str(TEMPLATES)},
            "validation": {"use": validation},
            "sessions": {"use": "beaker"},
        }
    )

    @app.get("/contacts/new")
    def new(form: kit.Form[Contact], render):  # type: ignore[no-untyped-def]
        return render("edit_framekit.html", form=form)

    @app.post("/contacts", again=new)
    def add(form: kit.Form[Contact]) -> kit.Response:
        BOOK.append(form.value)
        return kit.redirect("/contacts")

    @app.post("/api/contacts")
    def add_data(body: kit.Body[Contact]) -> dict[str, int]:
        BOOK.append(body.value)
        return {"rank": body.value.rank}

    @app.get("/api/card")
    def card() -> Card:
        return CARD

    return app.start()
