"""Conduit: the API of the RealWorld project, a platform for blogs."""

from __future__ import annotations

from pathlib import Path

from framework import API

from conduit import articles, comments, profiles, users
from conduit.records import Article, Comment, Favorite, Follow, Tag, User
from kit import openapi, redirect
from kit.slots.identity import Users

app = API(Path(__file__).parent.parent / "kit.toml")
app.records(User, Follow, Article, Tag, Favorite, Comment)
for module in (users, profiles, articles, comments):
    app.include(module.routes)
app.include(openapi.routes("/docs", title="Conduit", version="1", below="/api/"))


@app.provider(name="users", scope="app")
def who_users_are():
    return Users(User, name="email")


@app.get("/")
def front_page():
    return redirect("/docs/")
