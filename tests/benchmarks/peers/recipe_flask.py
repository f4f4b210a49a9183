"""The blog of Flask's tutorial: Jinja2, Flask's session, and sqlite3 as the tutorial has it."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path

import flask
from client import App
from jinja2 import ChoiceLoader, FileSystemLoader

from peers.recipe_data import AUTHORS, POSTS
from peers.task import TEMPLATES

FLASKR = Path(__file__).parents[3] / "recipes" / "flask_style" / "flaskr"
SCHEMA = """
CREATE TABLE user (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  username TEXT UNIQUE NOT NULL,
  password TEXT NOT NULL
);
CREATE TABLE post (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  author_id INTEGER NOT NULL,
  created TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  title TEXT NOT NULL,
  body TEXT NOT NULL,
  FOREIGN KEY (author_id) REFERENCES user (id)
);
"""

auth = flask.Blueprint("auth", __name__, url_prefix="/auth")
blog = flask.Blueprint("blog", __name__)


def get_db() -> sqlite3.Connection:
    """Return the connection of this request."""
    if "db" not in flask.g:
        flask.g.db = sqlite3.connect(
            flask.current_app.config["DATABASE"], detect_types=sqlite3.PARSE_DECLTYPES
        )
        flask.g.db.row_factory = sqlite3.Row
    return flask.g.db  # type: ignore[no-any-return]  # untyped


def close_db(error: BaseException | None = None) -> None:
    """Close it, if there is one."""
    db = flask.g.pop("db", None)
    if db is not None:
        db.close()


@auth.before_app_request
def load_logged_in_user() -> None:
    """Find out who is logged in."""
    user_id = flask.session.get("user_id")
    if user_id is None:
        flask.g.user = None
    else:
        found = get_db().execute("SELECT * FROM user WHERE id = ?", (user_id,))
        flask.g.user = found.fetchone()


@blog.route("/")
def index() -> str:
    """Show all posts."""
    posts = get_db().execute(
        "SELECT p.id, title, body, created, author_id, username"
        " FROM post p JOIN user u ON p.author_id = u.id"
        " ORDER BY created DESC"
    )
    return flask.render_template("recipe_flask.html", posts=posts.fetchall())


@auth.route("/register")
@auth.route("/login", endpoint="login")
def register() -> str:
    """Stand here for the links."""
    return ""


def make(folder: Path) -> App:
    """Return the application; the page around its posts is that of the recipe."""
    sqlite3.register_converter("timestamp", lambda one: datetime.fromisoformat(one.decode()))
    app = flask.Flask(__name__, static_folder=str(FLASKR / "static"))
    app.config.from_mapping(SECRET_KEY="x" * 32, DATABASE=str(folder / "peer.db"))
    app.jinja_loader = ChoiceLoader(
        [FileSystemLoader(TEMPLATES), FileSystemLoader(FLASKR / "templates" / "jinja2")]
    )
    app.teardown_appcontext(close_db)
    app.register_blueprint(auth)
    app.register_blueprint(blog)
    with app.app_context():
        db = get_db()
        db.executescript(SCHEMA)
        db.executemany("INSERT INTO user (username, password) VALUES (?, 'x')", zip(AUTHORS))
        rows = [(AUTHORS.index(a) + 1, f"{at:%Y-%m-%d %H:%M:%S}", t, b) for a, at, t, b in POSTS]
        db.executemany(
            "INSERT INTO post (author_id, created, title, body) VALUES (?, ?, ?, ?)", rows
        )
        db.commit()
    return app
