"""The list of articles of Conduit on FastAPI: Pydantic models, SQLAlchemy, CORS by middleware."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Query
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel, PlainSerializer
from sqlalchemy import ForeignKey, create_engine, func, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
    sessionmaker,
)

from peers.recipe_data import ARTICLES, AUTHORS, BEGUN

Time = Annotated[
    datetime, PlainSerializer(lambda one: one.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z")
]


class Base(DeclarativeBase):
    """What records have in common."""


class User(Base):
    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    username: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str]
    bio: Mapped[str | None]
    image: Mapped[str | None]


class Follow(Base):
    __tablename__ = "follow"

    follower_id: Mapped[int] = mapped_column(ForeignKey("user.id"), primary_key=True)
    followed_id: Mapped[int] = mapped_column(ForeignKey("user.id"), primary_key=True)


class Article(Base):
    __tablename__ = "article"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    description: Mapped[str]
    body: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    created: Mapped[datetime]
    updated: Mapped[datetime]
    author: Mapped[User] = relationship()
    tags: Mapped[list[Tag]] = relationship(order_by="Tag.name")


class Tag(Base):
    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"), index=True)
    name: Mapped[str] = mapped_column(index=True)


class Favorite(Base):
    __tablename__ = "favorite"

    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), primary_key=True)


class Profile(BaseModel):
    username: str
    bio: str | None
    image: str | None
    following: bool


class ListedArticle(BaseModel):
    slug: str
    title: str
    description: str
    tagList: list[str]  # noqa: N815 - the name in the JSON
    createdAt: Time  # noqa: N815 - as clients see it
    updatedAt: Time  # noqa: N815 - as clients see it
    favorited: bool
    favoritesCount: int  # noqa: N815 - as clients see it
    author: Profile


class Articles(BaseModel):
    articles: list[ListedArticle]
    articlesCount: int  # noqa: N815 - as clients see it


make_session = sessionmaker()
router = APIRouter(prefix="/api")


def make(folder: Path) -> Any:
    """Return the application."""
    engine = create_engine(f"sqlite:///{folder}/peer.db", connect_args={"check_same_thread": False})
    make_session.configure(bind=engine)
    Base.metadata.create_all(engine)
    with make_session.begin() as session:
        _fill(session)
    app = FastAPI()
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"]
    )
    app.include_router(router)
    return app


def get_db() -> Iterator[Session]:
    """Give a session of SQLAlchemy to one request."""
    with make_session() as session:
        yield session


Database = Annotated[Session, Depends(get_db)]


def get_viewer(session: Database, authorization: Annotated[str | None, Header()] = None) -> Any:
    """Return who is asking, None for anybody."""
    return session.get(User, int(authorization)) if authorization else None


@router.get("/articles")
def articles(
    session: Database,
    user: Annotated[Any, Depends(get_viewer)],
    tag: str | None = None,
    author: str | None = None,
    favorited: str | None = None,
    limit: Annotated[int, Query(ge=0)] = 20,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Articles:
    """List articles, the newest first."""
    wanted = select(Article)
    if tag:
        wanted = wanted.where(Article.tags.any(Tag.name == tag))
    if author:
        wanted = wanted.where(Article.author.has(User.username == author))
    if favorited:
        fan = select(User.id).where(User.username == favorited)
        liked = select(Favorite.article_id).where(Favorite.user_id.in_(fan))
        wanted = wanted.where(Article.id.in_(liked))
    number = session.scalar(select(func.count()).select_from(wanted.subquery()))
    options = (joinedload(Article.author), selectinload(Article.tags))
    page = wanted.order_by(Article.id.desc()).limit(limit).offset(offset).options(*options)
    shown = _shown(session, session.scalars(page).all(), user)
    return Articles(articles=shown, articlesCount=number or 0)


def _shown(session: Session, found: Any, user: User | None) -> list[ListedArticle]:
    ids = [article.id for article in found]
    counted = select(Favorite.article_id, func.count()).where(Favorite.article_id.in_(ids))
    counts = dict(session.execute(counted.group_by(Favorite.article_id)).tuples().all())
    mine: set[int] = set()
    followed: set[int] = set()
    if user:
        liked = select(Favorite.article_id).where(Favorite.user_id == user.id)
        mine = set(session.scalars(liked))
        followed = set(
            session.scalars(select(Follow.followed_id).where(Follow.follower_id == user.id))
        )
    return [
        ListedArticle(
            slug=one.slug,
            title=one.title,
            description=one.description,
            tagList=[tag.name for tag in one.tags],
            createdAt=one.created,
            updatedAt=one.updated,
            favorited=one.id in mine,
            favoritesCount=counts.get(one.id, 0),
            author=Profile(
                username=one.author.username,
                bio=one.author.bio,
                image=one.author.image,
                following=one.author_id in followed,
            ),
        )
        for one in found
    ]


def _fill(session: Session) -> None:
    users = [User(email=f"{name}@example.org", username=name, password="x") for name in AUTHORS]
    session.add_all(users)
    for number, (slug, title, description, body, author, tags) in enumerate(ARTICLES):
        moment = (BEGUN + timedelta(hours=number)).astimezone(UTC).replace(tzinfo=None)
        article = Article(
            slug=slug,
            title=title,
            description=description,
            body=body,
            author=users[author],
            created=moment,
            updated=moment,
            tags=[Tag(name=name) for name in tags],
        )
        session.add(article)
        session.flush()
        if number % 2:
            session.add(Favorite(article_id=article.id, user_id=users[0].id))
