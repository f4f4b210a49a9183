"""The theme ``recipes``: the front page of each recipe, beside the framework that it is like."""

from __future__ import annotations

import importlib
import json
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from asgi import ASGI
from client import App, ask, batch, get
from harness import Effort, Row, Table, interleave, ratio_target, row, say
from peers import recipe_data as data

RECIPES = Path(__file__).parents[2] / "recipes"
OURS, PEER = "recipe", "original"
NOTES = [
    "each recipe answers the GET of its front page as the original does, but for white space"
    " between tags and members of JSON, from a SQLite file or a folder",
    "the original has its customary parts: Flask Jinja2, its session and sqlite3, Bottle"
    " SimpleTemplate and sqlite3, as in their tutorials; Falcon and Sanic files; FastAPI Pydantic"
    " and SQLAlchemy; Flask for the Todo-Backend SQLAlchemy",
    "what the recipes do beside that, such as headers for browsers, checks of hosts and a unit of"
    " work, is left on",
]


@dataclass(frozen=True)
class Case:
    """A recipe, the module of its application, its front page, and a peer in ``peers``.

    `seed` fills the recipe with what the peer has. With `awaited` both go through ASGI.
    """

    recipe: str
    module: str
    peer: str
    path: str
    page: str
    seed: Callable[[Any], object] = lambda app: None
    awaited: bool = False

    @property
    def name(self) -> str:
        """What is compared, as the table names it."""
        return f"{self.recipe}: {self.page}"


CASES = [
    Case("flask_style", "flaskr", "flask", "/", "blog of 10 posts, Flask", data.fill_blog),
    Case("bottle_style", "todo", "bottle", "/todo", "list of 2 tasks, Bottle"),
    Case("falcon_style", "look", "falcon", "/images", "list of 10 images, Falcon"),
    Case("sanic_style", "tour", "sanic", "/index.html", "page in a file, Sanic", awaited=True),
    Case(
        "conduit",
        "conduit",
        "fastapi",
        "/api/articles",
        "list of 20 articles, FastAPI",
        data.fill_conduit,
        awaited=True,
    ),
    Case(
        "todobackend",
        "todo",
        "flask_sqlalchemy",
        "/todos",
        "list of 10 todos, Flask",
        data.fill_todos,
    ),
]


def measure(effort: Effort) -> Table:
    """Check that each recipe and its original answer alike, and time them."""
    rows = []
    with ExitStack() as to_stop:
        for case in CASES:
            apps = made(case, to_stop)
            verify(case, apps)
            say(f"recipes: {case.name}")
            rows.append(_timed(case, apps, effort))
    title = f"CPU time of each, median of {effort.rounds} interleaved rounds"
    return Table("recipes", title, "microseconds", [OURS], rows, NOTES)


def made(case: Case, to_stop: ExitStack) -> dict[str, App]:
    """Return the recipe and its original, filled and started."""
    folder = Path(to_stop.enter_context(tempfile.TemporaryDirectory()))
    peer = importlib.import_module(f"peers.recipe_{case.peer}").make(folder)
    with loaded(case, folder) as module:
        app = module.app
        to_stop.callback(app.stop)
        case.seed(app.start())
        apps = {OURS: app.asgi if case.awaited else app, PEER: peer}
        if case.awaited:
            apps = {name: _started(one, to_stop) for name, one in apps.items()}
        ask(apps[OURS], get(case.path))
    return apps


@contextmanager
def loaded(case: Case, folder: Path) -> Iterator[ModuleType]:
    """Import the application of a recipe, with what it stores in `folder`.

    Recipes have modules of the same names; each keeps its own.
    """
    others = set(sys.modules)
    own = {"LOOK_STORAGE_PATH": str(folder / "images")}
    config = (RECIPES / case.recipe / "kit.toml").read_text("utf-8")
    if "secret_key" in config:
        own["KIT_APP__SECRET_KEY"] = secrets.token_urlsafe(32)
    if "[persistence]" in config:
        own["KIT_PERSISTENCE__URL"] = f"sqlite:///{folder}/recipe_test.db"
    path = [str(RECIPES / case.recipe), *sys.path]
    with patch.dict(os.environ, own), patch.object(sys, "path", path):
        yield importlib.import_module(case.module)
    for name in set(sys.modules) - others:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(RECIPES):
            del sys.modules[name]


def _started(app: Any, to_stop: ExitStack) -> ASGI:
    client = ASGI(app)
    client.start()
    to_stop.callback(client.stop)
    return client


def verify(case: Case, apps: dict[str, App]) -> None:
    """Raise ValueError unless both answer with the same page."""
    answers = {name: ask(app, get(case.path)) for name, app in apps.items()}
    for name, answer in answers.items():
        if answer.status != 200 or len(answer.body) < 100:
            raise ValueError(f"{case.name}: the {name} answers {answer.status}, {answer.body!r}")
    ours, peer = (_content(answer.body) for answer in answers.values())
    if ours != peer:
        raise ValueError(f"{case.name}: the recipe answers\n{ours}\nand the original\n{peer}")


def _content(body: bytes) -> Any:
    """Return what a body says: the order of members and white space between tags do not count."""
    text = body.decode()
    return re.sub(r"\s*(<|/?>)\s*", r"\1", text) if text[0] == "<" else json.loads(text)


def _timed(case: Case, apps: dict[str, App], effort: Effort) -> Row:
    request = lambda number: get(case.path)  # noqa: E731 - what a batch takes
    batches = {name: batch(app, request, effort.batch_seconds) for name, app in apps.items()}
    timed = row(case.name, interleave(batches, effort.rounds), 1e6, [OURS])
    timed.targets.append(ratio_target(timed, OURS, PEER, 1.0))
    return timed
