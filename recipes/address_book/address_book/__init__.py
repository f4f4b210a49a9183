"""An address book for many users, each with contacts of their own.

Here it is put together: `records` says what is stored, `accounts` who is asking, `book` what one
user has, and `contacts` and `imports` are the pages. Which libraries do the work is for
``kit.toml`` to say.
"""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from address_book import accounts, contacts, imports
from address_book.book import book
from address_book.records import Contact, User
from kit import App, KitError, openapi
from kit.slots.identity import Users

FOLDER = Path(__file__).parents[1]
EXPLAINED = {
    400: "The browser sent something that could not be understood.",
    401: "Please log in first.",
    403: "This is not permitted.",
    404: "There is nothing at this address. Perhaps it was deleted.",
    405: "This address cannot be used in that way.",
    406: "This cannot be had in the form that was asked for.",
    409: "Somebody changed the same thing at the same moment. Please try again.",
    413: "That is more than this address book takes at once.",
    415: "Something of this kind cannot be read here.",
    422: "Something is missing, or cannot be used.",
    429: "That was too often in a short time.",
    500: "Something went wrong on our side. It has been noted down.",
    503: "Something that this page needs is away for a moment. Please try again soon.",
}
TOLD = {401, 403, 429}  # of these the error itself says more

app = App(FOLDER / "kit.toml")
app.records(User, Contact)
for provider in (accounts.inside, accounts.outside, book, contacts.old_photos, imports.read_row):
    app.provider(provider)
for routes in (accounts.routes, contacts.routes, imports.routes):
    app.include(routes)
app.static("/static", FOLDER / "static")
app.include(openapi.routes(title="Address book", below="/contacts"))


@app.provider(scope="app")
def users():
    """Which of the records are the users: they log in with the fields email and password."""
    return Users(User)


@app.error(*EXPLAINED)
def error_page(status, error, render):
    """Show an error in the dress of all pages; the kernel adds status and headers."""
    told = str(error) if isinstance(error, KitError) and status in TOLD else ""
    return render(
        "error.html",
        user=None,
        messages=list,
        csrf_field=str,
        status=status,
        title=HTTPStatus(status).phrase,
        explained=told or EXPLAINED[status],
        errors=getattr(error, "errors", []),
    )
