"""``kit.testing``, for the tests of applications."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from kit import App, Response
from kit.options import DatabaseURL
from kit.testing import client, emptied
from kit.testing.databases import _for_tests


@dataclass
class Thing:
    name: str
    id: int | None = None


def make(url: str) -> App:
    app = App({"persistence": {"use": "sqlalchemy", "url": url}})
    app.records(Thing)

    @app.get("/")
    def index(store):
        return [thing.name for thing in store.find(Thing)]

    @app.post("/<name>")
    def add(name, store):
        store.add(Thing(name))
        return Response("added", 201)

    return app


def test_each_test_gets_an_empty_database(tmp_path: Path) -> None:
    app = make(f"sqlite:///{tmp_path}/shop.db")
    browser = client(emptied(app))
    assert browser.post("/lamp").text == "added"
    assert browser.get("/").json == ["lamp"]
    assert client(app).get("/").json == ["lamp"]
    assert client(emptied(app)).get("/").json == []
    app.stop()


def test_an_application_without_a_database_cannot_be_emptied() -> None:
    with pytest.raises(RuntimeError, match="it fills no"):
        emptied(App())


def test_a_database_that_is_not_for_tests_is_not_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/nowhere")
    app = make(f"sqlite:///{tmp_path}/shop.db")
    client(app).post("/lamp")
    with pytest.raises(RuntimeError, match="is not emptied: nothing says that it is for tests"):
        emptied(app)
    assert client(app).get("/").json == ["lamp"]
    app.stop()


@pytest.mark.parametrize(
    ("url", "for_tests"),
    [
        ("sqlite:////srv/shop.db", False),
        ("sqlite:////srv/test/shop.db", False),
        ("sqlite:////srv/shop-test.db", True),
        ("postgresql://test@test/shop", False),
        ("postgresql://app:secret@db/shop_test", True),
        ("mariadb://app@db/TEST?ssl=1", True),
        ("mariadb://app@db/shop?x=test", False),
    ],
)
def test_databases_for_tests_are_told_by_their_names(url: str, for_tests: bool) -> None:
    assert _for_tests(DatabaseURL(url)) is for_tests
