"""Who is asking: register, log in, log out."""

from __future__ import annotations

import functools

from framework import (
    Blueprint,
    check_password_hash,
    flash,
    g,
    generate_password_hash,
    redirect,
    render_template,
    request,
    session,
    url_for,
)

from flaskr.db import User, get_db
from kit import Conflict, InvalidValue

bp = Blueprint("auth", __name__, url_prefix="/auth")


@bp.before_app_request
def load_logged_in_user():
    """Let `g.user` be who is logged in, in every view and on every page."""
    g.user = None
    user_id = session.get("user_id")
    if user_id is not None:
        g.user = get_db().first(User, id=user_id)


def login_required(view):
    """Send those who are not logged in to the page where they can."""

    @functools.wraps(view)
    def wrapped_view(**kwargs):
        if g.user is None:
            return redirect(url_for("auth.login"))
        return view(**kwargs)

    return wrapped_view


@bp.route("/register", methods=("GET", "POST"))
def register():
    if request.method == "POST":
        username = request.form["username"]
        password = request.form["password"]
        db = get_db()
        error = None

        if not username:
            error = "Username is required."
        elif not password:
            error = "Password is required."

        if error is None:
            try:
                user = User(username, generate_password_hash(password))
                with db.savepoint():
                    db.add(user)
            except Conflict:
                error = f"User {username} is already registered."
            except InvalidValue as invalid:
                error = str(invalid)
            else:
                return redirect(url_for("auth.login"))

        flash(error)

    return render_template("auth/register.html")


@bp.route("/login", methods=("GET", "POST"))
def login():
    if request.method == "POST":
        username = request.form["username"]
        password = request.form["password"]
        error = None
        user = get_db().first(User, username=username)

        if user is None:
            error = "Incorrect username."
        elif not check_password_hash(user.password, password):
            error = "Incorrect password."

        if error is None:
            session.clear()  # ends the old session: what follows has a new id
            session["user_id"] = user.id
            return redirect(url_for("blog.index"))

        flash(error)

    return render_template("auth/login.html")


@bp.route("/logout")
def logout():
    session.clear()
    return redirect(url_for("blog.index"))
