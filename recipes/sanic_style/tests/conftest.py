"""Clients of the tour, by both gateways, on whatever stack the configuration picks.

The tests keep away from the application's own secret, and from what others say in its chat:
`kit matrix` runs several of them at a time, on one Redis.
"""

import os
import secrets

import pytest

os.environ.setdefault("KIT_APP__SECRET_KEY", secrets.token_urlsafe(32))
os.environ.setdefault("KIT_CHANNELS__REDIS__NAMESPACE", f"test_{secrets.token_hex(8)}")


@pytest.fixture(scope="session")
def app():
    from tour import app

    yield app.start()
    app.stop()


@pytest.fixture(params=["wsgi", "asgi"])
def client(app, request):
    """A client by WSGI, and by ASGI."""
    from kit.testing import client

    return client(app, gateway=request.param)


@pytest.fixture
def by_asgi(app):
    """A client by ASGI, which has web sockets too."""
    from kit.testing import client

    return client(app, gateway="asgi")
