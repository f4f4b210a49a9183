"""Articles: write, list, favour, and their tags."""

from __future__ import annotations

import re
import secrets
import unicodedata
from typing import Literal

from framework import Page, link, listed, sent, unlink

from conduit.profiles import profiles
from conduit.records import Article, Favorite, Follow, Tag, User, now
from conduit.schemas import (
    ArticleAnswer,
    ArticlesAnswer,
    ArticleUpdate,
    ListedArticle,
    Publication,
    Search,
    TagsAnswer,
    WholeArticle,
    shown_time,
)
from kit import Body, Chosen, Conflict, Forbidden, Patch, Query, RecordNotFound, Routes
from kit.slots.identity import logged_in

RESERVED = {"feed"}  # as a slug it would lead to the feed
TRIES = 5
routes = Routes("/api", name="articles")


@routes.get("/articles")
def index(query: Query[Search], user, store) -> ArticlesAnswer:
    """List articles, the newest first."""
    return page(store, query.value, user, **lookups(query.value))


@routes.get("/articles/feed", requires=logged_in)
def feed(query: Query[Page], user, store) -> ArticlesAnswer:
    """List articles of those whom the user follows, the newest first."""
    followed = Chosen(Follow, "followed", follower=user.id)
    return page(store, query.value, user, author__in=followed)


@routes.get("/articles/<slug>")
def show(slug, user, store) -> ArticleAnswer:
    """Show an article."""
    return answer(store, found(store, slug), user)


@routes.post("/articles", requires=logged_in)
def add(body: Body[Publication], user, store) -> tuple[ArticleAnswer, Literal[201]]:
    """Publish an article."""
    given, created = body.value.article, now()
    article = Article(
        "", given.title, given.description, given.body, user.id, created=created, updated=created
    )
    with_slug(article, store.add, store)
    for name in sorted(set(given.tagList)):
        store.add(Tag(article.id, name))
    return answer(store, article, user), 201


@routes.put("/articles/<slug>", requires=logged_in)
def update(slug, patch: Patch[ArticleUpdate], user, store) -> ArticleAnswer:
    """Change an article of one's own. What is not sent stays."""
    article = own(store, slug, user)
    title = article.title
    for name, value in sent(patch, "article").items():
        setattr(article, name, value)
    article.updated = now()
    if article.title == title:
        store.save(article)
    else:
        with_slug(article, store.save, store)
    return answer(store, article, user)


@routes.delete("/articles/<slug>", requires=logged_in)
def delete(slug, user, store) -> None:
    """Delete an article of one's own, with all that belongs to it."""
    store.delete(own(store, slug, user))


@routes.post("/articles/<slug>/favorite", requires=logged_in)
def favor(slug, user, store) -> ArticleAnswer:
    """Make an article a favourite of the user."""
    article = found(store, slug)
    link(store, Favorite(article.id, user.id))
    return answer(store, article, user)


@routes.delete("/articles/<slug>/favorite", requires=logged_in)
def disfavor(slug, user, store) -> ArticleAnswer:
    """Make an article no favourite of the user."""
    article = found(store, slug)
    unlink(store, Favorite, article=article.id, user=user.id)
    return answer(store, article, user)


@routes.get("/tags")
def tags(store) -> TagsAnswer:
    """List the tags in use."""
    return TagsAnswer(sorted(store.counts(Tag, "name")))


def found(store, slug, *, lock=False) -> Article:
    article = store.first(Article, slug=slug, lock=lock)
    if article is None:
        raise RecordNotFound("There is no such article.")
    return article


def own(store, slug, user) -> Article:
    """Return an article to be changed: 403 where it is not the user's own."""
    article = found(store, slug, lock=True)
    if article.author != user.id:
        raise Forbidden("This article is somebody else's.")
    return article


def slug_of(title: str) -> str:
    """Return the words of a title in small ASCII letters, joined by hyphens."""
    ascii_only = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return "-".join(re.findall("[a-z0-9]+", ascii_only.lower())) or "article"


def with_slug(article, write, store):
    """Store an article with the slug of its title, or one with a suffix where that is taken."""
    slug = slug_of(article.title)
    for last in range(TRIES, 0, -1):
        is_free = last == TRIES and slug not in RESERVED
        article.slug = slug if is_free else f"{slug}-{secrets.token_hex(4)}"
        try:
            with store.savepoint():
                write(article)
            return
        except Conflict:
            if last == 1:
                raise


def lookups(search: Search) -> dict[str, Chosen]:
    """Return what the articles that somebody searches have in common."""
    found = {}
    if search.author:
        found["author__in"] = Chosen(User, "id", username=search.author)
    if search.favorited:
        fans = Chosen(User, "id", username=search.favorited)
        found["id__in"] = Chosen(Favorite, "article", user__in=fans)
    if search.tag:
        both = {"article__in": found["id__in"]} if search.favorited else {}
        found["id__in"] = Chosen(Tag, "article", name=search.tag, **both)
    return found


def page(store, wanted, viewer, **lookups) -> ArticlesAnswer:
    articles, number = listed(store, Article, wanted, **lookups)
    shown = [ListedArticle(**members) for members in described(store, articles, viewer)]
    return ArticlesAnswer(shown, number)


def answer(store, article, viewer) -> ArticleAnswer:
    [members] = described(store, [article], viewer)
    return ArticleAnswer(WholeArticle(**members, body=article.body))


def described(store, articles, viewer):
    """Yield the members of articles as `viewer` sees them; five queries for all."""
    ids = [article.id for article in articles]
    authors = profiles(store, [article.author for article in articles], viewer)
    tags = store.find(Tag, article__in=ids, order_by="name")
    counts = store.counts(Favorite, "article", article__in=ids)
    mine = store.find(Favorite, user=viewer.id, article__in=ids) if viewer else ()
    favorites = {one.article for one in mine}
    for article in articles:
        yield {
            "slug": article.slug,
            "title": article.title,
            "description": article.description,
            "tagList": [tag.name for tag in tags if tag.article == article.id],
            "createdAt": shown_time(article.created),
            "updatedAt": shown_time(article.updated),
            "favorited": article.id in favorites,
            "favoritesCount": counts.get(article.id, 0),
            "author": authors[article.author],
        }
