"""What clients send, and what they get: the names are those of the JSON."""

# ruff: noqa: N815 - they have capitals within

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from framework import Page

from kit import Meta

Filled = Annotated[str, Meta(pattern=r"\S")]
Email = Annotated[str, Meta(max_length=200, pattern=r"\S")]
Name = Annotated[str, Meta(max_length=100, pattern=r"\S")]
Title = Annotated[str, Meta(max_length=250, pattern=r"\S")]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


def shown_time(moment: datetime) -> str:
    """Return a time in UTC as 2016-02-18T03:22:56.637Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Users


@dataclass
class NewUser:
    username: Name
    email: Email
    password: Filled


@dataclass
class Registration:
    user: NewUser


@dataclass
class Credentials:
    email: Filled
    password: Filled


@dataclass
class Login:
    user: Credentials


@dataclass
class UserChanges:
    email: Email
    username: Name
    password: Filled
    bio: str | None = None
    image: str | None = None


@dataclass
class UserUpdate:
    user: UserChanges


@dataclass
class Account:
    """A user, as nobody else sees him."""

    email: str
    token: str
    username: str
    bio: str | None
    image: str | None


@dataclass
class UserAnswer:
    user: Account


# Profiles


@dataclass
class Profile:
    """A user, as others see him; `following` says whether the one who asks follows him."""

    username: str
    bio: str | None
    image: str | None
    following: bool


@dataclass
class ProfileAnswer:
    profile: Profile


# Articles


@dataclass
class NewArticle:
    title: Title
    description: Filled
    body: Filled
    tagList: Annotated[list[Name], Meta(max_length=100)] = field(default_factory=list)


@dataclass
class Publication:
    article: NewArticle


@dataclass
class ArticleChanges:
    title: Title
    description: Filled
    body: Filled


@dataclass
class ArticleUpdate:
    article: ArticleChanges


@dataclass
class ListedArticle:
    """An article in a list: everything but its body."""

    slug: str
    title: str
    description: str
    tagList: list[str]
    createdAt: Time
    updatedAt: Time
    favorited: bool
    favoritesCount: int
    author: Profile


@dataclass
class WholeArticle(ListedArticle):
    body: str


@dataclass
class ArticleAnswer:
    article: WholeArticle


@dataclass
class ArticlesAnswer:
    articles: list[ListedArticle]
    articlesCount: int


@dataclass
class Search(Page):
    """Which articles to list: of a tag, by an author, favourites of a user."""

    tag: str | None = None
    author: str | None = None
    favorited: str | None = None


@dataclass
class TagsAnswer:
    tags: list[str]


# Comments


@dataclass
class NewComment:
    body: Filled


@dataclass
class CommentPost:
    comment: NewComment


@dataclass
class ShownComment:
    id: int
    createdAt: Time
    updatedAt: Time
    body: str
    author: Profile


@dataclass
class CommentAnswer:
    comment: ShownComment


@dataclass
class CommentsAnswer:
    comments: list[ShownComment]
