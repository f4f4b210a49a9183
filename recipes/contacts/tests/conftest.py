"""A browser without contacts, on whatever stack the configuration and the environment pick.

The tests keep away from the application's own database and secret.
"""

import os
import secrets
import tempfile

import pytest

TEMPORARY = tempfile.TemporaryDirectory()
os.environ.setdefault("KIT_PERSISTENCE__URL", f"sqlite:///{TEMPORARY.name}/test.db")
os.environ.setdefault("KIT_APP__SECRET_KEY", secrets.token_urlsafe(32))


@pytest.fixture(scope="session")
def app():
    from contacts import app

    yield app.start()
    app.stop()
    TEMPORARY.cleanup()


@pytest.fixture
def client(app):
    from kit.testing import client, emptied

    return client(emptied(app))
