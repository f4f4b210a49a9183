"""Comments on articles."""

from __future__ import annotations

from conduit.articles import found
from conduit.profiles import profiles
from conduit.records import Comment, now
from conduit.schemas import (
    CommentAnswer,
    CommentPost,
    CommentsAnswer,
    ShownComment,
    shown_time,
)
from kit import Body, Forbidden, RecordNotFound, Routes
from kit.slots.identity import logged_in

routes = Routes("/api/articles/<slug>/comments", name="comments")


@routes.get("")
def index(slug, user, store) -> CommentsAnswer:
    """List the comments on an article, the oldest first."""
    comments = store.find(Comment, article=found(store, slug).id, order_by="id")
    return CommentsAnswer(described(store, comments, user))


@routes.post("", requires=logged_in)
def add(slug, body: Body[CommentPost], user, store) -> CommentAnswer:
    """Comment on an article."""
    article, created = found(store, slug), now()
    text = body.value.comment.body
    comment = store.add(Comment(article.id, user.id, text, created=created, updated=created))
    return CommentAnswer(*described(store, [comment], user))


@routes.delete("/<int:id>", requires=logged_in)
def delete(slug, id, user, store) -> None:
    """Delete a comment of one's own."""
    comment = store.get(Comment, id)
    if comment.article != found(store, slug).id:
        raise RecordNotFound("There is no such comment on this article.")
    if comment.author != user.id:
        raise Forbidden("This comment is somebody else's.")
    store.delete(comment)


def described(store, comments, viewer) -> list[ShownComment]:
    authors = profiles(store, [comment.author for comment in comments], viewer)
    return [
        ShownComment(
            comment.id,
            shown_time(comment.created),
            shown_time(comment.updated),
            comment.body,
            authors[comment.author],
        )
        for comment in comments
    ]
