"""What the front pages of the recipes show, and how each recipe gets it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

BEGUN = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
TEXT = 'It\'s <b>bold</b> & "quoted", and goes on\nin a second line, for a while. ' * 4
AUTHORS = ["ada", "grace", "edsger"]
TAGS = ["compilers", "engines", "proofs"]

POSTS = [
    (AUTHORS[number % 3], BEGUN + timedelta(hours=number), f"Post no. {number} <new>", TEXT)
    for number in range(10)
]
"""Author, time, title and text of each post of the blog."""

TODOS = [(f"Thing no. {number} to do", number % 3 == 0, number) for number in range(10)]
"""Title, whether it is completed, and order."""

ARTICLES = [
    (f"article-{number}", f"Article no. {number}", TEXT[:80], TEXT, number % 3, TAGS[: number % 4])
    for number in range(20)
]
"""Slug, title, description, text, the number of the author, and tags."""

IMAGES = {f"{UUID(int=number, version=4)}.png": b"\x89PNG" * number for number in range(1, 11)}
"""Images by their names."""


def fill_blog(app: Any) -> None:
    """Fill the blog of ``flask_style``."""
    db = sys.modules["flaskr.db"]

    def fill(store: Any) -> None:
        ids = {name: store.add(db.User(name, "x")).id for name in AUTHORS}
        for author, created, title, body in POSTS:
            store.add(db.Post(ids[author], created, title, body))

    app.call(fill)


def fill_todos(app: Any) -> None:
    """Fill ``todobackend``."""
    record = sys.modules["todo"].Todo
    app.call(lambda store: [store.add(record(*members)) for members in TODOS])


def fill_conduit(app: Any) -> None:
    """Fill ``conduit``: users, articles, tags, and favourites of the first user."""
    records = sys.modules["conduit.records"]

    def fill(store: Any) -> None:
        ids = [store.add(records.User(f"{n}@example.org", n, "x")).id for n in AUTHORS]
        for number, (slug, title, description, body, author, tags) in enumerate(ARTICLES):
            moment = BEGUN + timedelta(hours=number)
            members = (slug, title, description, body, ids[author], moment, moment)
            article = store.add(records.Article(*members))
            for tag in tags:
                store.add(records.Tag(article.id, tag))
            if number % 2:
                store.add(records.Favorite(article.id, ids[0]))

    app.call(fill)
