"""A database for tests: empty, and nobody's own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kit.app import App
from kit.options import DatabaseURL


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
