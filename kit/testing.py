"""Helpers for the tests of an application: a client, and a database that is empty.

A ``conftest.py`` needs little more::

    @pytest.fixture
    def client():
        return kit.testing.client(kit.testing.emptied(app))
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from werkzeug.test import Client

from kit.answers import Environ
from kit.app import App
from kit.gateway import StartResponse
from kit.options import DatabaseURL
from kit.security.csrf import CHECKED


def client(app: App, *, csrf: bool = False) -> Client:
    """Start the application and return a browser for it that keeps cookies and opens no socket.

    ``client.get("/").text`` is a page and ``client.get("/data").json`` is data; more than that is
    in the manual of `werkzeug.test.Client`. Forms need no token, unless `csrf` asks for it.
    """
    started = app.start()

    def trusted(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return started({**environ, CHECKED: True}, start_response)

    return Client(started if csrf else trusted)


def emptied(app: App) -> App:
    """Start the application, drop its tables and create them anew; return the application.

    Plain models that the persistence component knows are emptied too. Raises RuntimeError where
    there is no database, and where it is not one for tests: "test" has to be in the name of the
    database (for SQLite: of the file), or the SQLite file in the folder for temporary files.
    """
    app.start()
    filling = app.stack.fillings.get("persistence")
    if filling is None:
        raise RuntimeError("this application has no database to empty: it fills no [persistence]")
    url = filling.options.url
    if not _for_tests(url):
        raise RuntimeError(
            f"{url.shown()} is not emptied: nothing says that it is for tests. Name one with"
            ' "test" in its name, for example KIT_PERSISTENCE__URL=sqlite:///test.db'
        )
    tables = list(app.provided("tables").values())
    app.provided("persistence").drop(tables)
    app.provided("persistence").create(tables)
    return app


def _for_tests(url: DatabaseURL) -> bool:
    path = unquote(urlsplit(url).path).removeprefix("/")
    if not url.startswith("sqlite:"):
        return "test" in path.lower()
    file = Path(path).resolve()
    temporary = Path(tempfile.gettempdir()).resolve()
    return "test" in file.name.lower() or file.is_relative_to(temporary)
