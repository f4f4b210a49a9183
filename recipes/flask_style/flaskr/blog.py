"""The blog: everybody reads, and who is logged in writes."""

from __future__ import annotations

from datetime import UTC, datetime

from framework import Blueprint, abort, flash, g, redirect, render_template, request, url_for

from flaskr.auth import login_required
from flaskr.db import Post, User, get_db

bp = Blueprint("blog", __name__)


@bp.route("/")
def index():
    db = get_db()
    posts = db.find(Post, order_by=("-created", "-id"))
    authors = {user.id: user for user in db.find(User, id__in={post.author for post in posts})}
    return render_template("blog/index.html", posts=posts, authors=authors)


def get_post(id):
    """Return a post to its author; nobody else may change it."""
    post = get_db().first(Post, id=id)

    if post is None:
        abort(404, f"Post id {id} doesn't exist.")

    if post.author != g.user.id:
        abort(403, "This post is somebody else's.")

    return post


@bp.route("/create", methods=("GET", "POST"))
@login_required
def create():
    if request.method == "POST":
        title = request.form["title"]
        body = request.form["body"]

        if not title:
            flash("Title is required.")
        else:
            created = datetime.now(UTC).replace(microsecond=0)
            get_db().add(Post(g.user.id, created, title, body))
            return redirect(url_for("blog.index"))

    return render_template("blog/create.html")


@bp.route("/<int:id>/update", methods=("GET", "POST"))
@login_required
def update(id):
    post = get_post(id)

    if request.method == "POST":
        title = request.form["title"]
        body = request.form["body"]

        if not title:
            flash("Title is required.")
        else:
            post.title, post.body = title, body
            get_db().save(post)
            return redirect(url_for("blog.index"))

    return render_template("blog/update.html", post=post)


@bp.route("/<int:id>/delete", methods=("POST",))
@login_required
def delete(id):
    get_db().delete(get_post(id))
    return redirect(url_for("blog.index"))
