"""T20 to T24: databases."""

from __future__ import annotations

import io
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Barrier
from typing import Annotated, Any

import pytest
from kit_peewee import persistence as peewee
from kit_sqlalchemy import persistence as sqlalchemy

from kit import App, Conflict, Meta, Unique
from kit.slots.persistence import databases, values
from kit.testing import emptied
from traps import trap, weakening
from traps.stand import END_OTHERS, OTHERS, Stand, ask

POSTGRES = ("sqlalchemy postgres werkzeug", "peewee postgres ffroute")
SQLITE = ("sqlalchemy sqlite ffroute", "peewee sqlite werkzeug")
PRIVATE = "4111-1111-private"


@dataclass
class Item:
    """What the applications of these traps store."""

    __table__ = "trap_item"

    name: Annotated[str, Unique, Meta(max_length=80)]
    count: int = 0
    id: int | None = None


def shop(stand: Stand, **options: Any) -> App:
    """An application that stores items, with an empty table."""
    app = stand.app(Item, persistence={"pool_size": 3, "pool_wait": 1, **options})

    @app.post("/add")
    def add(request, store):
        store.add(Item(request.form["name"]))
        return "added"

    @app.post("/json")
    def add_json(request, store):
        store.add(Item(**request.json))
        return "added"

    @app.get("/item/<int:id>")
    def item(id, store):
        return store.get(Item, id)

    @app.get("/find/<name>")
    def find(name, store):
        return str(store.count(Item, name=name))

    @app.get("/count")
    def count(store):
        return str(store.count(Item))

    @app.post("/fail")
    def fail(store):
        store.add(Item("half"))
        raise RuntimeError("half way")

    @app.post("/next")
    def next_one(store):
        item = store.first(Item, lock=True)
        item.count += 1
        store.save(item)
        return "changed"

    emptied(app)
    stand.ready()
    return app


def names(stand: Stand) -> list[str]:
    return sorted(name for (name,) in stand.rows("SELECT name FROM trap_item"))


def kill(stand: Stand) -> int:
    """End all connections to the stand's database but the one that asks, as a restart does."""
    killed = len(stand.rows(END_OTHERS))
    while stand.rows(f"SELECT pid {OTHERS}"):
        time.sleep(0.01)
    return killed


def at_once(app: App, count: int, path: str = "/count") -> list[int]:
    """Ask from so many threads at the same time, and return the statuses."""
    together = Barrier(count)

    def visit(_: int) -> int:
        together.wait(10)
        return ask(app, path, "GET" if path == "/count" else "POST")[0]

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(visit, range(count)))


# T20: restarts of the server, and what its errors say


@trap("T20", POSTGRES)
def a_restart_costs_no_request_and_no_error_tells_values(stand: Stand) -> None:
    app = shop(stand)
    client = stand.client(app)
    assert client.post("/add", data={"name": "first"}).status_code == 200
    for _ in range(3):
        at_once(app, 3)
        assert kill(stand) > 0
        assert client.post("/add", data={"name": f"after {time.time()}"}).status_code == 200
    assert len(names(stand)) == 4
    client.post("/add", data={"name": PRIVATE})
    answer = client.post("/add", data={"name": PRIVATE}, headers={"Accept": "application/json"})
    assert answer.status_code == 409
    for word in (PRIVATE, "INSERT", "trap_item", "DETAIL", "psycopg", "duplicate"):
        assert word not in answer.text
    assert names(stand).count(PRIVATE) == 1


@weakening("T20", late=True)
def a_dead_connection_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    for cls in (sqlalchemy.SQLAlchemyPersistence, peewee.PeeweePersistence):
        begin = cls.begin

        def begin_once(self: Any, begin: Any = begin) -> Any:
            self._pool_size = 0
            return begin(self)

        monkeypatch.setattr(cls, "begin", begin_once)


@weakening("T20", late=True)
def errors_say_what_the_driver_says(monkeypatch: pytest.MonkeyPatch) -> None:
    translate = databases.Database.translate

    def tell(database: databases.Database, error: BaseException) -> Any:
        meaning = translate(database, error)
        return Conflict(str(error)) if isinstance(meaning, Conflict) else meaning

    monkeypatch.setattr(databases.Database, "translate", tell)


# T21: values that a database cannot store


@trap("T21", (*POSTGRES, *SQLITE))
def what_no_database_can_store_is_refused_before_it_gets_there(stand: Stand) -> None:
    app = shop(stand)
    client = stand.client(app)
    for name in ("a\0b", "\0"):
        assert client.post("/add", data={"name": name}).status_code == 422
        assert client.get("/find/x%00").status_code == 400
    for body in ('{"name": "a\\u0000b"}', '{"name": "\\ud800"}', '{"name": "n", "count": 1e400}'):
        answer = client.post("/json", data=body, content_type="application/json")
        assert answer.status_code in (400, 422), body
    for number in (2**63, -(2**63) - 1, 10**30):
        answer = client.post("/json", json={"name": "big", "count": number})
        assert answer.status_code in (400, 422), number
    for path in (f"/item/{2**63}", f"/item/{10**40}", "/item/99"):
        assert client.get(path).status_code == 404, path
    assert names(stand) == []
    assert client.post("/json", json={"name": "é😀", "count": 2**63 - 1}).status_code == 200
    assert stand.rows("SELECT name, count FROM trap_item") == [("é😀", 2**63 - 1)]


@weakening("T21", "sqlite")
def any_text_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(values.KINDS, "str", lambda value: value)


@weakening("T21")
def neither_kit_nor_driver_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(values.KINDS, "str", lambda value: value)
    monkeypatch.setitem(values.KINDS, "int", lambda value: value)
    monkeypatch.setattr(databases.Database, "translate", lambda _, error: None)


# T22: connections and fork


@trap("T22", POSTGRES)
def processes_that_were_forked_share_no_connection(stand: Stand) -> None:
    app = shop(stand)
    assert at_once(app, 3) == [200] * 3
    children = [forked(app, number) for number in range(4)]
    for number in range(20):
        assert post_name(app, f"parent {number}") == 200
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert len(names(stand)) == 100


def forked(app: App, number: int) -> int:
    """Fork a process that adds 20 items within ten seconds; return its id."""
    child = os.fork()
    if child:
        return child
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(10)
    code = 1
    try:
        added = [post_name(app, f"child {number} {turn}") for turn in range(20)]
        code = 0 if added == [200] * 20 else 2
    finally:
        os._exit(code)


def post_name(app: App, name: str) -> int:
    body = f"name={name}".replace(" ", "+").encode()
    environ = {
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    return ask(app, "/add", "POST", **environ)[0]


@weakening("T22")
def children_keep_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "register_at_fork", lambda **hooks: None)
    monkeypatch.setattr(signal, "alarm", lambda seconds, alarm=signal.alarm: alarm(2))


# T23: connections that are lost, and connections that are never given back


@trap("T23", POSTGRES)
def connections_come_back_whatever_a_request_does(stand: Stand) -> None:
    app = shop(stand, pool_size=2, pool_wait=0.5, lock_timeout=0.3)
    client = stand.client(app)
    at_once(app, 2)
    kill(stand)
    assert [client.get("/count").status_code for _ in range(5)] == [200] * 5

    for _ in range(3):
        assert set(at_once(app, 8, "/fail")) == {500}
    assert at_once(app, 2) == [200, 200]
    states = [state for (state,) in stand.rows(f"SELECT state {OTHERS}")]
    assert states in (["idle"], ["idle", "idle"])
    assert names(stand) == []


@weakening("T23", late=True)
def connections_are_not_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []  # or else SQLAlchemy takes back what nothing refers to
    for cls in (sqlalchemy.SQLAlchemyUnit, peewee.PeeweeUnit):
        monkeypatch.setattr(cls, "close", lambda unit: kept.append(unit))


@weakening("T23", late=True)
def a_broken_connection_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    a_dead_connection_is_not_replaced(monkeypatch)
    monkeypatch.setattr(peewee.PeeweePersistence, "_check_out", reuse)


def reuse(component: peewee.PeeweePersistence) -> None:
    """Take the connection of this thread as it is, as Peewee does by itself."""
    if component._native.is_closed():
        component._native.connect()


# T24: read, change, write on SQLite


@trap("T24", SQLITE)
def units_of_work_on_sqlite_take_turns(stand: Stand) -> None:
    app = shop(stand, pool_size=10, pool_wait=10)
    stand.client(app).post("/add", data={"name": "counter"})

    def visit(_: int) -> list[int]:
        return [ask(app, "/next", "POST")[0] for _ in range(15)]

    with ThreadPoolExecutor(10) as pool:
        statuses = [status for found in pool.map(visit, range(10)) for status in found]
    assert statuses == [200] * 150
    assert stand.rows("SELECT count FROM trap_item") == [(150,)]


@weakening("T24", "sqlalchemy")
def each_statement_is_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = replace(databases.SQLITE, begin="SELECT 1", ended=lambda connection: False)
    monkeypatch.setitem(databases.DATABASES, "sqlite", plain)


@weakening("T24", "peewee", late=True)
def peewee_begins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("begin", "commit", "rollback"):
        monkeypatch.setattr(peewee._SQLite, name, lambda *arguments: None)
    monkeypatch.setattr(peewee.PeeweeUnit, "commit", lambda unit: unit.end())
