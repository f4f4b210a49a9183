"""Browsers with the first tasks, on whatever stack the configuration and the environment pick.

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
    from todo import app

    yield app.start()
    app.stop()
    TEMPORARY.cleanup()


@pytest.fixture
def client(app):
    from todo import first_tasks

    from kit.testing import client, emptied

    emptied(app).call(first_tasks)
    return client(app, form="/new")


@pytest.fixture
def bottle():
    """An application of a test's own, not started yet; it is the default one meanwhile."""
    import framework

    shared = framework.default_app
    own = framework.Bottle()
    framework.default_app = lambda: own
    yield own
    framework.default_app = shared
    own.stop()
