"""Browsers for an address book without users, on whatever stack the configuration picks.

The tests keep away from the application's own database, photos, mail and secret.
"""

import os
import secrets
import tempfile
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from pages import PASSWORD, Page

TEMPORARY = tempfile.TemporaryDirectory()
os.environ.setdefault("KIT_PERSISTENCE__URL", f"sqlite:///{TEMPORARY.name}/test.db")
os.environ.setdefault("KIT_APP__SECRET_KEY", secrets.token_urlsafe(32))
os.environ.setdefault("KIT_PASSWORDS__ARGON2__MEMORY", "7 MiB")  # the least that is accepted
os.environ.setdefault("KIT_PASSWORDS__ARGON2__TIME", "5")
os.environ.setdefault("KIT_PASSWORDS__ARGON2__PARALLELISM", "1")
os.environ["PHOTOS"] = f"{TEMPORARY.name}/photos"

ADDRESSES = (f"2001:db8:{secrets.token_hex(2)}:{number:x}::1" for number in count())


class Postbox:
    """Takes the place of the mail component, and keeps what is sent."""

    def __init__(self):
        self.messages = []

    def send(self, message):
        self.messages.append(message)


@pytest.fixture(scope="session")
def postbox():
    return Postbox()


@pytest.fixture(scope="session")
def app(postbox):
    from address_book import app

    with app.start().override(mail=postbox):
        yield app
    app.stop()
    TEMPORARY.cleanup()


@pytest.fixture
def browser(app, postbox):
    """Return a function that makes browsers, each with an address of its own, for the rates."""
    from kit.testing import client, emptied

    emptied(app)
    postbox.messages.clear()

    def make(**options):
        made = client(app, **options)
        made.open = partial(made.open, environ_base={"REMOTE_ADDR": next(ADDRESSES)})
        return made

    return make


@pytest.fixture
def client(browser):
    """The browser of somebody who is not logged in."""
    return browser()


@pytest.fixture
def new_user(browser):
    """Return a function that signs somebody up, and returns the browser of that user."""

    def sign_up(name="Grace", **options):
        made = browser(**options)
        made.email = f"{name.lower()}-{secrets.token_hex(4)}@example.org"
        answer = made.post(
            "/signup", data={"name": name, "email": made.email, "password": PASSWORD}
        )
        assert answer.headers["Location"] == "/contacts"
        return made

    return sign_up


@pytest.fixture
def grace(new_user):
    """The browser of a user with an empty address book."""
    grace = new_user()
    assert Page(grace.get("/contacts")).messages == ["Welcome, Grace. This is your address book."]
    return grace


@pytest.fixture
def stored(app):
    """Return what the store holds of contacts, the oldest first."""
    from address_book.records import Contact

    return lambda: app.call(lambda store: store.find(Contact, order_by="id"))


@pytest.fixture
def photos():
    """The folder of photos, empty."""
    folder = Path(os.environ["PHOTOS"])
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    return folder
