"""An API without todos, on whatever stack the configuration and the environment pick.

The tests keep away from the application's own database.
"""

import os
import tempfile

import pytest

TEMPORARY = tempfile.TemporaryDirectory()
os.environ.setdefault("KIT_PERSISTENCE__URL", f"sqlite:///{TEMPORARY.name}/test.db")


@pytest.fixture(scope="session")
def app():
    from todo import app

    yield app.start()
    app.stop()
    TEMPORARY.cleanup()


@pytest.fixture
def client(app):
    from kit.testing import client, emptied

    return client(emptied(app))
