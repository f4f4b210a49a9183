"""A contacts manager: an address book on one page, with a button that calls.

From top to bottom: what is stored, what handlers can name, and the handlers. Which libraries do
the work is for ``kit.toml`` to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from kit import App, Data, Form, Meta, Widget, redirect, send_file

FOLDER = Path(__file__).parent
TWIML = """<?xml version="1.0" encoding="UTF-8"?>
<Response><Dial><Conference>pycontacts</Conference></Dial></Response>
"""
EXPLAINED = {
    400: "The browser sent something that could not be understood.",
    403: "This came from another site, or from a page that is out of date. Please load it again.",
    404: "There is nothing at this address. Perhaps the contact was deleted.",
    405: "This address cannot be used in that way.",
    409: "Somebody changed the same thing at the same moment. Please try again.",
    413: "That was more than fits into an address book.",
    415: "The address book cannot read that kind of thing.",
    500: "Something went wrong on our side. It has been noted down.",
    503: "The address book is closed for a moment. Please try again soon.",
}

app = App(FOLDER / "kit.toml")


@dataclass
class Contact:
    """A person to call."""

    first_name: Annotated[str, Meta(min_length=1, max_length=100, title="First Name")]
    last_name: Annotated[str, Meta(min_length=1, max_length=100, title="Last Name")]
    phone_number: Annotated[
        str, Meta(min_length=1, max_length=32, title="Phone Number"), Widget("tel")
    ]
    id: int | None = None

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


@dataclass
class Call:
    """A call that was made: to which number, and when (UTC)."""

    number: str
    time: datetime
    id: int | None = None


app.records(Contact, Call)


class Telephone:
    """Stands in for a telephone service: it notes each call, and nothing leaves the machine."""

    def __init__(self, store):
        self.store = store

    def call(self, number):
        self.store.add(Call(number, datetime.now(UTC)))


@app.provider
def telephone(store):
    """The telephone service; an application that really calls provides another one."""
    return Telephone(store)


@app.get("/")
def index(form: Form[Contact], session, store):
    """Show all contacts, as a page with a form, or as data to those who ask for it."""
    contacts = store.find(Contact, order_by="id")
    return Data({"contacts": contacts}, "contacts.html", form=form, flashes=session.flashes)


@app.post("/", again=index)
def add(form: Form[Contact], session, store):
    contact = store.add(form.value)
    session.flash(f"Saved {contact.name}.")
    return redirect("/")


@app.post("/delete-contact/<int:id>")
def delete(id, session, store):
    store.delete(Contact, id)
    session.flash("The contact is deleted.")
    return redirect("/")


@app.post("/call/<int:id>")
def call(id, session, store, telephone):
    contact = store.get(Contact, id)
    telephone.call(contact.phone_number)
    session.flash(f"Calling {contact.name}.")
    return redirect("/")


@app.get("/conference-twiml")
def conference_twiml():
    return TWIML, {"Content-Type": "application/xml"}


@app.get("/style.css")
def stylesheet(request):
    return send_file(FOLDER / "static" / "style.css", request=request, cache_control="no-cache")


@app.error(*EXPLAINED)
def error_page(status, render):
    """Show an error in the same dress as the page; the kernel adds status and headers."""
    title = HTTPStatus(status).phrase
    return render("error.html", status=status, title=title, explained=EXPLAINED[status])
