"""Contacts: the list, a page for each of them, and the forms to add, change and delete them."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from address_book.book import Listing
from address_book.records import Contact, Details
from kit import (
    Data,
    Form,
    MaxSize,
    MediaTypes,
    Meta,
    Query,
    Routes,
    Upload,
    openapi,
    provider,
    redirect,
    send_file,
)
from kit.slots.identity import logged_in, may

PHOTOS = Path(os.environ.get("PHOTOS") or Path(__file__).parents[1] / "photos")
WITH_PHOTO = {"body": "6 MiB"}
EXPORTS = ("csv", "json", "xml")
Photo = Annotated[
    Upload | None,
    Meta(description="JPEG, PNG or WebP, at most 5 MB."),
    MediaTypes("image/jpeg", "image/png", "image/webp"),
    MaxSize("5 MB"),
]

routes = Routes("/contacts", requires=logged_in)
one = Routes("/<int:id>", requires=may("edit", Contact))


@dataclass
class ContactForm(Details):
    """What the form asks for: the details, and a photo, which is stored as a file."""

    photo: Photo = None
    without_photo: Annotated[bool, Meta(title="Remove the photo")] = False


@provider
def old_photos(response_headers):
    """The names of photos that nobody has any more; they go when all the rest is committed."""
    names: list[str] = []
    yield names  # what needs response_headers goes on after the database has committed
    for name in filter(None, names):
        (PHOTOS / name).unlink(missing_ok=True)


def shown(contact, url_for):
    """Return what data say of a contact, with the columns of an import among it."""
    known = {field.name: getattr(contact, field.name) for field in fields(Details)}
    photo = url_for("photo", id=contact.id) if contact.photo else ""
    return {"id": contact.id, **known, "photo": photo}


@routes.get("")
def contacts(query: Query[Listing], book, inside, url_for):
    """Find contacts, page by page, or all at once with size=all."""
    wanted = query.value
    page = book.page(wanted)
    return Data(
        {
            "total": page.total,
            "page": page.number,
            "pages": page.last,
            "contacts": [shown(contact, url_for) for contact in page.contacts],
        },
        template="contacts.html",
        page=page,
        contacts=page.contacts,
        query=Query(query.schema).filled(wanted),  # it shows the defaults, too
        wanted=wanted,
        exports=EXPORTS,
        is_empty=not page.total and book.is_empty(),
        **inside,
    )


@routes.get("/new")
@openapi.leave_out
def new(form: Form[ContactForm], render, inside):
    return render("edit.html", form=form, contact=None, **inside)


@routes.post("", again=new, limits=WITH_PHOTO)
def add(form: Form[ContactForm], book, session):
    """Add a contact; the answer leads to it."""
    given = form.value
    photo = given.photo.save(PHOTOS) if given.photo else ""
    contact = book.add(given, photo)
    session.flash(f"{contact.name} is in your address book.")
    return redirect(f"/contacts/{contact.id}")


@one.get("")
def contact(id, record, inside, url_for):
    """Return all that is known of one contact."""
    return Data(shown(record, url_for), template="contact.html", contact=record, **inside)


@one.get("/edit")
@openapi.leave_out
def edit(id, form: Form[ContactForm], store, render, inside):
    contact = store.get(Contact, id)
    return render("edit.html", form=form.filled(contact), contact=contact, **inside)


@one.post("", again=edit, limits=WITH_PHOTO)
def change(id, form: Form[ContactForm], record, book, old_photos, session):
    """Change a contact: what is left out becomes empty, but for the photo."""
    given = form.value
    form.update(record)
    photo = given.photo.save(PHOTOS) if given.photo else ""
    if photo or given.without_photo:
        old_photos.append(record.photo)
        record.photo = photo
    book.save(record)
    session.flash(f"{record.name} is changed.")
    return redirect(f"/contacts/{id}")


@one.post("/favourite")
def favourite(id, record, book):
    """Make a contact a favourite, or no favourite any more."""
    record.favourite = not record.favourite
    book.save(record)
    return redirect(f"/contacts/{id}")


@one.get("/delete")
@openapi.leave_out
def confirm(id, record, render, inside):
    return render("delete.html", contact=record, **inside)


@one.post("/delete")
def delete(id, record, book, old_photos, session):
    """Delete a contact and its photo for good."""
    book.delete(record)
    old_photos.append(record.photo)
    session.flash(f"{record.name} is deleted.")
    return redirect("/contacts")


@one.get("/photo")
def photo(id, record, request):
    """Return the photo of a contact."""
    return send_file(PHOTOS, record.photo, request=request, untrusted=True)


routes.include(one)
