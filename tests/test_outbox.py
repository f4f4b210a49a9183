"""The outbox in an application: what is stored and what is sent happen both, or neither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest

from kit import App, ConfigError, Meta, Unavailable, Unique, abort
from kit.slots.mail import Outbox
from kit.testing import client


@dataclass
class Person:
    name: Annotated[str, Meta(max_length=20), Unique]
    id: int | None = None


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = App(
        {
            "persistence": {"use": "sqlalchemy", "url": f"sqlite:///{tmp_path}/test.db"},
            "sessions": {"use": "beaker"},
            "mail": {"use": "file", "sender": "shop@example.org", "file": {"folder": "mail"}},
        }
    )
    app.records(Person)
    yield app
    app.stop()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def sent(tmp_path: Path) -> int:
    return len(list((tmp_path / "mail").glob("*.eml")))


def stored(app: App) -> int:
    return app.call(lambda store: store.count(Person))


def welcome(outbox: Outbox) -> None:
    outbox.send(to="ada@example.net", subject="Welcome", text="Hello")


@pytest.mark.parametrize("order", ["store first", "outbox first"])
def test_a_message_goes_out_after_the_commit(app: App, tmp_path: Path, order: str) -> None:
    seen: list[tuple[int, int]] = []

    class Looking:
        """A way of delivery that looks into the database, over a connection of its own."""

        def send(self, message: Any) -> None:
            seen.append((stored(app), sent(tmp_path)))

    if order == "store first":

        @app.post("/")
        def join(store, outbox):
            store.add(Person("Ada"))
            welcome(outbox)

    else:

        @app.post("/")
        def join(outbox, session, store):
            welcome(outbox)
            session["seen"] = True
            store.add(Person("Ada"))

    with app.override(mail=Looking()):
        assert client(app).post("/").status_code == 204
    assert seen == [(1, 0)]


@pytest.mark.parametrize("failure", ["raises", "404", "5xx"])
def test_nothing_goes_out_when_it_failed(app: App, tmp_path: Path, failure: str) -> None:
    @app.post("/")
    def join(store, outbox):
        welcome(outbox)
        store.add(Person("Ada"))
        if failure == "raises":
            raise ZeroDivisionError
        if failure == "404":
            abort(404)
        return "no", 503

    assert client(app).post("/").status_code >= 400
    assert sent(tmp_path) == 0
    assert stored(app) == 0


def test_nothing_goes_out_when_the_commit_fails(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.post("/")
    def join(store, outbox, unit_of_work):
        welcome(outbox)
        store.add(Person("Ada"))

        def fail() -> None:
            raise Unavailable("the database is away")

        monkeypatch.setattr(unit_of_work, "commit", fail)

    assert client(app).post("/").status_code == 503
    assert sent(tmp_path) == 0
    assert stored(app) == 0


def test_a_failed_delivery_leaves_the_answer_and_the_records(app: App, tmp_path: Path) -> None:
    @app.post("/")
    def join(store, outbox):
        store.add(Person("Ada"))
        welcome(outbox)
        return "welcome"

    app.start()
    (tmp_path / "mail").rmdir()
    assert client(app).post("/").text == "welcome"
    assert stored(app) == 1


def test_a_command_sends_too(app: App, tmp_path: Path) -> None:
    app.call(lambda outbox: welcome(outbox))
    assert sent(tmp_path) == 1


def test_what_is_streamed_cannot_be_taken_back_and_sends_nothing_late(
    app: App, tmp_path: Path
) -> None:
    @app.get("/")
    def export(outbox):
        yield "a"
        welcome(outbox)

    with pytest.raises(RuntimeError, match="has gone out"):
        _ = client(app).get("/").data
    assert sent(tmp_path) == 0


def test_the_sender_has_to_be_an_address() -> None:
    with pytest.raises(ConfigError, match=r"\[mail\.console\].*sender: 'nobody' is no address"):
        App({"mail": {"use": "console", "sender": "nobody"}})
