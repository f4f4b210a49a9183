"""The to-do list of Bottle's tutorial: SimpleTemplate, and sqlite3 as the tutorial has it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import bottle
from client import App

from peers.task import TEMPLATES

TASKS = [
    ("Read the Python tutorial to get a good introduction into Python", 0),
    ("Visit the Python website", 1),
    ("Test various editors for and check the syntax highlighting", 1),
    ("Choose your favorite WSGI-Framework", 0),
]


def make(folder: Path) -> App:
    """Return the application."""
    bottle.TEMPLATE_PATH.insert(0, str(TEMPLATES))
    database = folder / "peer.db"
    with sqlite3.connect(database) as connection:
        connection.execute(
            "CREATE TABLE todo"
            " (id INTEGER PRIMARY KEY, task CHAR(100) NOT NULL, status BOOL NOT NULL)"
        )
        connection.executemany("INSERT INTO todo (task, status) VALUES (?, ?)", TASKS)
    connection.close()
    app = bottle.Bottle()

    @app.get("/todo")
    def todo_list() -> str:
        show = bottle.request.query.show or "open"
        select = "SELECT id, task, status FROM todo"
        wanted = {"open": " WHERE status LIKE '1'", "closed": " WHERE status LIKE '0'", "all": ""}
        if show not in wanted:
            bottle.abort(400)
        connection = sqlite3.connect(database)
        cursor = connection.cursor()
        cursor.execute(select + wanted[show])
        rows = cursor.fetchall()
        cursor.close()
        connection.close()
        return bottle.template("recipe_bottle", rows=rows, show=show)  # type: ignore[no-any-return]  # untyped

    return app
