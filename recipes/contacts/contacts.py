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

from kit import App, Meta, Response, redirect

FOLDER = Path(__file__).parent
LONGEST = {"first_name": 100, "last_name": 100, "phone_number": 32}
TWIML = """<?xml version="1.0" encoding="UTF-8"?>
<Response><Dial><Conference>pycontacts</Conference></Dial></Response>
"""
EXPLAINED = {
    400: "The browser sent something that could not be understood.",
    404: "There is nothing at this address. Perhaps the contact was deleted.",
    405: "This address cannot be used in that way.",
    409: "Somebody changed the same thing at the same moment. Please try again.",
    413: "That was more than fits into an address book.",
    500: "Something went wrong on our side. It has been noted down.",
    503: "The address book is closed for a moment. Please try again soon.",
}

app = App(FOLDER / "kit.toml")


@dataclass
class Contact:
    """A person to call."""

    first_name: Annotated[str, Meta(max_length=LONGEST["first_name"])]
    last_name: Annotated[str, Meta(max_length=LONGEST["last_name"])]
    phone_number: Annotated[str, Meta(max_length=LONGEST["phone_number"])]
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


@app.provider
def page(session, store, render):
    """Render the page with all contacts; the form shows `values`, and `errors` beside them."""

    def show(values=None, errors=None):
        return render(
            "contacts.html",
            contacts=store.find(Contact, order_by="id"),
            messages=[message for _, message in session.flashes()],
            values=values or dict.fromkeys(LONGEST, ""),
            errors=errors or {},
        )

    return show


@app.get("/")
def index(page):
    return page()


@app.post("/")
def add(request, session, store, page):
    values = {name: request.form.get(name, "") for name in LONGEST}
    errors = find_errors(values)
    if errors:
        return page(values, errors), 422
    contact = store.add(Contact(**{name: value.strip() for name, value in values.items()}))
    session.flash(f"Saved {contact.name}.")
    return redirect("/")


def find_errors(values):
    """Return what is wrong with the values of the form, by field; empty if all is well."""
    errors = {}
    for name, longest in LONGEST.items():
        value = values[name].strip()
        if not value:
            errors[name] = "This field is required."
        elif len(value) > longest:
            errors[name] = f"Please use at most {longest} characters; these are {len(value)}."
        elif "\0" in value:
            errors[name] = "This has a character that cannot be stored."
    return errors


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
    """Serve the one stylesheet; a browser that has this version already is told so."""
    css = (FOLDER / "static" / "style.css").read_bytes()
    response = Response(css, mimetype="text/css", headers={"Cache-Control": "no-cache"})
    response.add_etag()
    return response.make_conditional(request.environ)


@app.error(*EXPLAINED)
def error_page(status, render):
    """Show an error in the same dress as the page; the kernel adds status and headers."""
    title = HTTPStatus(status).phrase
    return render("error.html", status=status, title=title, explained=EXPLAINED[status])
