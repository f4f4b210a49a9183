"""Helpers for the tests of an application: a client, and a database that is empty.

A ``conftest.py`` needs little more::

    @pytest.fixture
    def client():
        return kit.testing.client(kit.testing.emptied(app))
"""

from __future__ import annotations

from kit.testing.browsers import Browser, client, in_process
from kit.testing.databases import emptied
from kit.testing.sockets import SocketRefused, WebSocket

__all__ = ["Browser", "SocketRefused", "WebSocket", "client", "emptied", "in_process"]
