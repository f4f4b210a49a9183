"""Browsers for a blog without users, on whatever stack the configuration picks.

The tests keep away from the application's own database and secret.
"""

import os
import secrets
import tempfile

import pytest
from pages import Visitor

TEMPORARY = tempfile.TemporaryDirectory()
os.environ.setdefault("KIT_PERSISTENCE__URL", f"sqlite:///{TEMPORARY.name}/test.db")
os.environ.setdefault("KIT_APP__SECRET_KEY", secrets.token_urlsafe(32))
os.environ.setdefault("KIT_PASSWORDS__ARGON2__MEMORY", "7 MiB")  # the least that is accepted
os.environ.setdefault("KIT_PASSWORDS__ARGON2__TIME", "5")
os.environ.setdefault("KIT_PASSWORDS__ARGON2__PARALLELISM", "1")


@pytest.fixture(scope="session")
def app():
    from flaskr import app

    yield app.start()
    app.stop()
    TEMPORARY.cleanup()


@pytest.fixture
def visitor(app):
    """Return a function that makes browsers, of visitors who are not logged in."""
    from kit.testing import client, emptied

    emptied(app)
    return lambda: Visitor(client(app, csrf=True))


@pytest.fixture
def client(visitor):
    """The browser of a visitor."""
    return visitor()


@pytest.fixture
def user(visitor):
    """Return a function that registers somebody, and returns the browser of that user."""

    def make(name):
        one = visitor()
        one.submit("/auth/register", username=name, password=f"{name}'s password")
        assert one.log_in(name).headers["Location"] == "/"
        return one

    return make


@pytest.fixture
def ada(user):
    """The browser of a user who has written nothing yet."""
    return user("ada")


@pytest.fixture
def stored(app):
    """Return a function that returns what the store holds of a record."""
    return lambda record: app.call(lambda store: store.find(record, order_by="id"))
