"""What is stored, and how to begin anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from framework import store

from kit import Index, Meta, References, Unique


@dataclass
class User:
    username: Annotated[str, Meta(max_length=255), Unique]
    password: Annotated[str, Meta(max_length=255)]  # hashed
    id: int | None = None


@dataclass
class Post:
    author: Annotated[int, References(User, on_delete="cascade")]
    created: Annotated[datetime, Index]
    title: str
    body: str
    id: int | None = None


def get_db():
    """The store, in the one transaction of this request; asked for nothing, it opens none."""
    return store


def init_db():
    """Delete all users, and their posts with them. (A start creates the tables that are missing.)

    Ids are never given twice, so that an old session does not become somebody else's.
    """
    db = get_db()
    for user in db.find(User):
        db.delete(user)


def init_app(app):
    app.records(User, Post)

    @app.cli.command("init-db")
    def init_db_command():
        """Clear the existing data and create new tables."""
        init_db()
        return "Initialized the database."
