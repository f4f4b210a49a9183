"""What is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from kit import Index, Meta, Private, References, Unique


def now() -> datetime:
    """Return the time, to the millisecond that the API shows."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@dataclass
class User:
    email: Annotated[str, Meta(max_length=200), Unique]
    username: Annotated[str, Meta(max_length=100), Unique]
    password: Annotated[str, Meta(max_length=255), Private]
    bio: str | None = None
    image: str | None = None
    kept_token: Annotated[str, Meta(max_length=32), Private] = ""
    id: int | None = None


@dataclass
class Follow:
    """A user reads another one."""

    __constraints__ = (Unique("follower", "followed"),)

    follower: Annotated[int, References(User, on_delete="cascade")]
    followed: Annotated[int, References(User, on_delete="cascade"), Index]
    id: int | None = None


@dataclass
class Article:
    slug: Annotated[str, Meta(max_length=300), Unique]
    title: Annotated[str, Meta(max_length=250)]
    description: str
    body: str
    author: Annotated[int, References(User, on_delete="cascade"), Index]
    created: datetime
    updated: datetime
    id: int | None = None


@dataclass
class Tag:
    """An article has a tag. A tag is in use as long as an article has it."""

    __constraints__ = (Unique("article", "name"),)

    article: Annotated[int, References(Article, on_delete="cascade")]
    name: Annotated[str, Meta(max_length=100), Index]
    id: int | None = None


@dataclass
class Favorite:
    """A user likes an article."""

    __constraints__ = (Unique("article", "user"),)

    article: Annotated[int, References(Article, on_delete="cascade")]
    user: Annotated[int, References(User, on_delete="cascade"), Index]
    id: int | None = None


@dataclass
class Comment:
    article: Annotated[int, References(Article, on_delete="cascade"), Index]
    author: Annotated[int, References(User, on_delete="cascade"), Index]
    body: str
    created: datetime
    updated: datetime
    id: int | None = None
