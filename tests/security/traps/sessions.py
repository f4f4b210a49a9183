"""T1 to T11: sessions."""

from __future__ import annotations

import hashlib
import http.cookies
import os
import re
import resource
import secrets
import stat
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import msgspec
import pytest
from itsdangerous import URLSafeTimedSerializer
from kit_beaker import local, servers
from kit_beaker import sessions as beaker
from kit_itsdangerous import sessions as signed

from kit import App, ConfigError
from kit.cli import deploy
from kit.reader import Reader
from kit.slots.sessions import SESSION_ID, SessionKeeper, lifecycle
from kit.slots.sessions.lifecycle import Session, SessionRules
from traps import trap, weakening
from traps.stand import Stand, cookie, free_port, sent, wait_until

SERVER_SIDE = ("memory werkzeug", "file ffroute", "database werkzeug", "redis ffroute")
ALL = (*SERVER_SIDE, "itsdangerous werkzeug")
BEAKER = ("memory", "file", "database", "redis")


def shop(stand: Stand) -> App:
    """An application with a login."""
    app = stand.app()
    app.meanwhile = lambda: None

    @app.post("/login/<name>")
    def login(name, session):
        session.rotate()
        session["user"] = name
        return "in"

    @app.get("/who")
    def who(session):
        return session.get("user", "nobody")

    @app.post("/logout")
    def logout(session):
        session.destroy()

    @app.post("/slow")
    def slow(session):
        session["basket"] = 1
        app.meanwhile()
        return "done"

    app.get("/page")(lambda: "page")
    return app


def users(stand: Stand, app: App) -> list[str]:
    """Return who is logged in by what the store holds."""
    return sorted(data["user"] for data in stand.session_data(app) if "user" in data)


# T1: an id that the client invented


@trap("T1", ALL)
def an_id_that_a_client_invented_is_never_adopted(stand: Stand) -> None:
    app = shop(stand)
    victim = stand.client(app)
    invented = secrets.token_urlsafe(32)
    if "itsdangerous" in stand.parts:
        now = int(time.time())
        record = {"created": now, "accessed": now, "data": {"user": "eve"}}
        invented = forger().dumps(msgspec.json.encode(record)).decode()
    assert sent(app, f"session={invented}") == (200, "nobody")
    victim.set_cookie("session", invented)
    assert victim.post("/login/ann").text == "in"
    assert victim.get("/who").text == "ann"
    assert cookie(victim) != invented
    assert sent(app, f"session={invented}") == (200, "nobody")
    keys = " ".join(stand.sessions(app))
    assert invented not in keys
    assert hashlib.sha256(invented.encode()).hexdigest() not in keys


def forger() -> URLSafeTimedSerializer:
    """Return what signs cookies with a key that is not the application's."""
    options = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
    return URLSafeTimedSerializer(
        "another key", salt="kit.sessions", serializer=signed._Plain, signer_kwargs=options
    )


@weakening("T1", *BEAKER)
def ids_are_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "_create", adopt)


def adopt(session: Session, record: Any) -> str | None:
    """Begin a session under whatever id the browser sent."""
    return session._rules.write(session._cookie or "A" * 43, record, None)


@weakening("T1", "itsdangerous")
def signatures_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    load = lambda self, key: self._signer.loads_unsafe(key)[1]  # noqa: E731
    monkeypatch.setattr(signed.SignedCookieSessions, "load", load)


# T2: the old id after a rotation


@trap("T2", SERVER_SIDE)
def after_a_rotation_the_old_id_is_dead(stand: Stand) -> None:
    app = shop(stand)
    client = stand.client(app)
    client.post("/login/ann")
    old, keys = cookie(client), set(stand.sessions(app))
    assert users(stand, app) == ["ann"]
    client.post("/login/bob")
    assert cookie(client) != old
    assert sent(app, f"session={old}") == (200, "nobody")
    assert client.get("/who").text == "bob"
    assert users(stand, app) == ["bob"]
    assert not keys & set(stand.sessions(app))


@weakening("T2")
def the_old_record_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def move(session: Session, old: str, record: Any) -> str:
        new = session._create(record)
        session._rules.write(old, record, session._rules.store.load(old))
        return new

    monkeypatch.setattr(Session, "_move", move)


# T3: the old id after a logout


@trap("T3", SERVER_SIDE)
def a_logout_is_final(stand: Stand) -> None:
    app = shop(stand)
    client, other = stand.client(app), stand.client(app)
    client.post("/login/ann")
    old = cookie(client)
    other.set_cookie("session", old)
    app.meanwhile = lambda: other.post("/logout")
    assert client.post("/slow").status_code == 200
    assert sent(app, f"session={cookie(client) or old}") == (200, "nobody")
    assert users(stand, app) == []
    client.set_cookie("session", old)
    client.post("/login/ann")
    assert cookie(client) != old
    assert sent(app, f"session={old}") == (200, "nobody")
    assert users(stand, app) == ["ann"]


@weakening("T3")
def a_slow_request_saves_what_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    update = Session._update
    revived = lambda s, *a: update(s, *a) or s._create(s._merged(s._open(), {}))  # noqa: E731
    monkeypatch.setattr(Session, "_update", revived)


@weakening("T3")
def a_login_takes_the_id_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "_create", adopt)


# T4: an empty cookie


@trap("T4", ALL)
def visitors_with_an_empty_cookie_share_nothing(stand: Stand) -> None:
    app = shop(stand)
    ann, bob = stand.client(app), stand.client(app)
    for client in (ann, bob):
        client.set_cookie("session", "")
    assert ann.post("/login/ann").text == "in"
    assert bob.get("/who").text == "nobody"
    assert sent(app, "session=") == (200, "nobody")
    assert cookie(ann)
    assert hashlib.sha256(b"").hexdigest() not in " ".join(stand.sessions(app))


@weakening("T4")
def an_empty_id_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    last: list[bytes] = []
    save = signed.SignedCookieSessions.save

    def keep(store: Any, key: str, record: bytes, *rest: Any) -> str:
        last.append(record)
        return save(store, key, record, *rest)

    monkeypatch.setattr(signed.SignedCookieSessions, "save", keep)
    monkeypatch.setattr(signed.SignedCookieSessions, "load", lambda *_: last[-1] if last else None)
    monkeypatch.setattr(signed.SignedCookieSessions, "key_form", "[^;]*")
    monkeypatch.setattr(beaker.BeakerSessions, "key_form", "[^;]*", raising=False)
    adopt_empty = lambda s, r: s._rules.write(s._cookie or "", r, None)  # noqa: E731
    monkeypatch.setattr(Session, "_create", adopt_empty)


# T5: cookies, lifetimes, files and serialisation


@trap("T5", ALL)
def cookies_records_and_files_are_private_and_end(stand: Stand) -> None:
    app = shop(stand)
    client = stand.client(app)
    before = os.umask(0)
    try:
        answer = client.post("/login/ann")
    finally:
        os.umask(before)
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= flags(answer)
    stored = [] if "itsdangerous" in stand.parts else [{"user": "ann"}]
    assert stand.session_data(app) == stored
    for path in stand.files():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700, path
    if "redis" in stand.parts:
        with stand.redis() as server:
            assert [0 < server.ttl(key) <= 1800 for key in stand.redis_keys(server)] == [True]
    assert client.get("/who").text == "ann"
    stand.shift = 31 * 60
    assert client.get("/who").text == "nobody"


@trap("T5 https", ALL)
def over_https_the_cookie_is_secure_and_for_one_host(stand: Stand) -> None:
    app = stand.app(sessions={"secure": True})
    app.get("/")(lambda session: session.update(a=1) or "set")
    answer = stand.client(app).get("/", base_url="https://localhost")
    assert answer.headers["Set-Cookie"].startswith("__Host-session=")
    assert "Secure" in flags(answer)


def flags(answer: Any) -> set[str]:
    return set(answer.headers["Set-Cookie"].split("; "))


@weakening("T5")
def scripts_get_the_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    made = SessionKeeper.cookie
    bare = lambda *a: made(*a).replace("; HttpOnly", "")  # noqa: E731
    monkeypatch.setattr(SessionKeeper, "cookie", bare)


@weakening("T5")
def sessions_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SessionRules, "time_left", lambda rules, record: 10**8)


@weakening("T5", *BEAKER)
def records_are_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    save, load = beaker.BeakerSessions.save, beaker.BeakerSessions.load

    def dumped(record: bytes | None) -> bytes | None:
        return None if record is None else pickle.dumps(record)

    def loaded(store: Any, key: str) -> bytes | None:
        found = load(store, key)
        return None if found is None else pickle.loads(found)

    def saved(store: Any, key: str, record: bytes, expected: bytes | None, life: float) -> Any:
        return save(store, key, pickle.dumps(record), dumped(expected), life)

    monkeypatch.setattr(beaker.BeakerSessions, "save", saved)
    monkeypatch.setattr(beaker.BeakerSessions, "load", loaded)


@weakening("T5", "file")
def files_are_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    put = local.Files.__setitem__

    def open_put(files: local.Files, key: str, value: Any) -> None:
        put(files, key, value)
        files._path(key).chmod(0o755)

    monkeypatch.setattr(local.Files, "__setitem__", open_put)


@weakening("T5 https")
def cookies_are_never_secure(monkeypatch: pytest.MonkeyPatch) -> None:
    made = SessionKeeper.cookie
    bare = lambda *a: made(*a).replace("; Secure", "")  # noqa: E731
    monkeypatch.setattr(SessionKeeper, "cookie", bare)
    unchanged = lambda environ, *answer: answer  # noqa: E731
    monkeypatch.setattr("kit.wiring.secure_cookies", unchanged, raising=False)


@weakening("T5 https")
def cookies_are_for_any_host(monkeypatch: pytest.MonkeyPatch) -> None:
    name = property(lambda options: options.cookie)
    monkeypatch.setattr("kit.slots.sessions.SessionsOptions.cookie_name", name)


# T6: ids that are none


MALFORMED = ("A" * 5000, "a/../../etc/passwd", "../x", "a%00b", "é", '"quoted"', "a b", "$" * 43)


@trap("T6", ALL)
def what_is_no_id_never_reaches_the_store(stand: Stand) -> None:
    app = shop(stand)
    client = stand.client(app)
    store, asked = app.provided("sessions"), []
    load = store.load
    store.load = lambda key: asked.append(key) or load(key)
    for value in (*MALFORMED, *(["a" * 300, "A" * 300] if hasattr(store, "_backend") else [])):
        status, text = sent(app, f"session={value}".encode().decode("latin-1"))
        assert (status, text) == (200, "nobody"), value
    form = SESSION_ID if hasattr(store, "_backend") else r"[A-Za-z0-9_.-]{1,4093}"
    assert [key for key in asked if not re.fullmatch(form, key)] == []
    client.set_cookie("session", "A" * 300)
    assert client.post("/login/ann").text == "in"
    assert not [path for path in stand.files() if len(path.name) > 64]


@weakening("T6")
def any_text_is_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beaker.BeakerSessions, "key_form", "[^;]*", raising=False)
    monkeypatch.setattr(signed.SignedCookieSessions, "key_form", "[^;]*")


@weakening("T6", "file")
def files_are_named_by_the_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beaker.BeakerSessions, "key_form", "[a-zA-Z0-9]+", raising=False)
    monkeypatch.setattr(beaker, "_digest", lambda key: key)
    monkeypatch.setattr(local.Files, "failures", ())


# T7: requests of one visitor in parallel


@trap("T7", SERVER_SIDE)
def no_increment_of_parallel_requests_is_lost(stand: Stand) -> None:
    threads, rounds = 8, 6
    app = stand.app()
    together = Barrier(threads)
    app.get("/begin")(lambda session: session.update(count=0, other=0) or "begun")

    @app.get("/count")
    def count(session):
        session.change("count", lambda value: value + 1)
        session[f"by {secrets.token_hex(4)}"] = True
        together.wait(10)
        return "counted"

    first = stand.client(app)
    first.get("/begin")
    key = cookie(first)

    def visit(_: int) -> None:
        for _ in range(rounds):
            assert sent(app, f"session={key}", "/count") == (200, "counted")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(visit, range(threads)))
    [data] = stand.session_data(app)
    assert data["count"] == threads * rounds
    assert len(data) == threads * rounds + 2


@weakening("T7")
def the_last_one_to_save_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(rules: SessionRules, key: str, record: Any, expected: bytes | None) -> str | None:
        stored = rules.store.load(key)
        return rules.store.save(key, lifecycle._encode(record), stored, rules.time_left(record))

    monkeypatch.setattr(SessionRules, "write", write)


@weakening("T7")
def changes_are_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "_replayed", lambda session, record: {})


# T8: other cookies


@trap("T8", ALL)
def a_neighbouring_cookie_logs_nobody_out(stand: Stand) -> None:
    app = shop(stand)
    client = stand.client(app)
    client.post("/login/ann")
    own = f"session={cookie(client)}"
    for neighbour in ("b[x]=2", '{"j":1}', "a\xffb=\xff", "=", "a", "a=\xe4\xf6", 'q="a;b"', "x=,"):
        assert sent(app, f"{neighbour}; {own}") == (200, "ann"), neighbour
        assert sent(app, f"{own}; {neighbour}") == (200, "ann"), neighbour
    assert sent(app, f"{own}; session=other") == (200, "ann")
    assert sent(app, f"xsession=other; {own}") == (200, "ann")


@weakening("T8")
def cookies_are_read_with_the_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_session(keeper: SessionKeeper, environ: dict[str, Any]) -> Session:
        cookies = http.cookies.SimpleCookie()
        cookies.load(environ.get("HTTP_COOKIE", ""))
        found = cookies.get("session")
        return Session(keeper.rules, found.value if found and found.value else None)

    monkeypatch.setattr(SessionKeeper, "open", open_session)


# T9: a store that is full or away


@trap("T9", ("file werkzeug", "redis ffroute"))
def without_its_store_a_site_says_so_and_recovers(stand: Stand) -> None:
    is_file = "file" in stand.parts
    with nullserver() if is_file else redis_server(stand) as server:
        app = shop(stand)
        client = stand.client(app)
        client.post("/login/ann")
        stand.shift = 120  # the time of access is due to be written
        with disk_full() if is_file else server.down():
            assert client.get("/page").text == "page"
            answer = client.post("/login/bob")
            assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "5")
            answer = client.get("/who")
            if is_file:
                assert (answer.status_code, answer.text) == (200, "ann")
            else:
                assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "5")
            assert str(stand.folder) not in answer.text
        assert client.post("/login/bob").text == "in"
        assert client.get("/who").text == "bob"
        assert users(stand, app) == ["bob"]
        assert all(re.fullmatch("[0-9a-f]{64}", path.name) for path in records(stand))


def records(stand: Stand) -> list[Path]:
    return [path for path in stand.files() if "locks" not in path.parts]


@contextmanager
def nullserver() -> Iterator[None]:
    yield


@contextmanager
def disk_full() -> Iterator[None]:
    """Let no process of this one write to a file any more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class RedisServer:
    """A Redis server of the test's own, which it may stop and start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    def start(self) -> None:
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir"]
        command += [str(self.folder), "--save", "60 1", "--appendonly", "no"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        assert wait_until(self._answers, 10)

    def _answers(self) -> bool:
        import redis

        try:
            with redis.Redis(port=self.port) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    @contextmanager
    def down(self) -> Iterator[None]:
        self.stop()
        yield
        self.start()


@contextmanager
def redis_server(stand: Stand) -> Iterator[RedisServer]:
    stand.service("redis")  # skip, or fail, where there is no Redis
    server = RedisServer(stand.folder)
    server.start()
    service = stand.service
    url = f"redis://127.0.0.1:{server.port}/0"
    stand.service = lambda name: url if name == "redis" else service(name)
    try:
        yield server
    finally:
        server.stop()


@weakening("T9")
def failures_of_the_store_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local.Files, "failures", ())
    made = servers.Redis.__init__

    def make(self: Any, *arguments: Any) -> None:
        made(self, *arguments)
        self.failures = ()

    monkeypatch.setattr(servers.Redis, "__init__", make)


@weakening("T9", "file")
def a_page_that_only_reads_has_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "_refresh", lambda session, key, record: session._update(key, {}))


@weakening("T9", "file")
def half_a_file_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local.os, "unlink", lambda name: None)


# T10: what a cookie gives away, and how hard it is to guess


@trap("T10", ALL)
def a_cookie_says_nothing_and_cannot_be_guessed_or_kept(stand: Stand) -> None:
    app = shop(stand)
    keys = []
    for _ in range(20):
        client = stand.client(app)
        client.post("/login/ann")
        keys.append(cookie(client))
    if "itsdangerous" in stand.parts:
        signatures = {key.rpartition(".")[2] for key in keys}
        assert {len(signature) for signature in signatures} == {43}  # 256 bits
        found = [one.id for one in deploy.findings(app.config, app.stack)]
        assert "KIT-D008" in found  # it can be read and kept, and whoever deploys it is told
        return
    assert len(set(keys)) == 20
    for place in range(43):  # each of the 43 characters carries its six bits
        assert len({key[place] for key in keys}) > 4, place
    stored = " ".join(stand.sessions(app))
    assert not [key for key in keys if "ann" in key or key in stored]
    assert client.post("/logout").status_code == 204
    assert sent(app, f"session={keys[-1]}") == (200, "nobody")
    assert len(users(stand, app)) == 19


@weakening("T10", *BEAKER)
def ids_are_uuids(monkeypatch: pytest.MonkeyPatch) -> None:
    token = lambda n: f"{uuid.uuid4()}{'A' * 7}"  # noqa: E731
    monkeypatch.setattr(lifecycle.secrets, "token_urlsafe", token)


@weakening("T10", *BEAKER)
def a_logout_only_forgets_the_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beaker.BeakerSessions, "delete", lambda store, key: None)


@weakening("T10", "itsdangerous")
def signatures_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signed.hashlib, "sha256", hashlib.sha1)


@weakening("T10", "itsdangerous")
def nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(deploy.FINDINGS, "KIT-D008", (lambda *arguments: iter(()), ""))


# T11: mistakes in the configuration


MISTAKES = (
    {"sessions": {"use": "beaker", "beaker": {"backend": "memcache"}}},
    {"sessions": {"use": "beaker", "beaker": {"back_end": "memory"}}},
    {"sessions": {"use": "beaker", "beaker": {"serializer": "json"}}},
    {"sessions": {"use": "beaker", "lifetimes": "1 day"}},
    {"sessions": {"use": "itsdangerous", "htponly": True}},
    {"sessions": {"use": "beakr"}},
    {"templating": {"use": "jinja2", "jinja2": {"autoescape": False}, "folder": "."}},
    {"templating": {"use": "mako", "default_filters": []}},
    {"persistence": {"use": "sqlalchemy", "url": "sqlite:///x.db", "pool_sise": 3}},
    {"persistence": {"use": "peewee", "url": "mysql://localhost/x"}},
    {"security": {"host": ["example.org"]}},
    {"limits": {"bodi": "1 MB"}},
    {"securty": {"hosts": ["example.org"]}},
)


@trap("T11", ("werkzeug", "ffroute"))
def mistakes_in_the_configuration_stop_the_start(stand: Stand) -> None:
    for tables in MISTAKES:
        assert is_refused({**stand.tables(), **tables}), tables


def is_refused(tables: dict[str, Any]) -> bool:
    try:
        App(tables)
    except ConfigError:
        return True
    return False


@weakening("T11")
def unknown_names_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reader, "unknown", lambda *arguments: None)


@weakening("T11")
def values_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.reader.convert", lambda value, *_, **__: value)
    monkeypatch.setattr(beaker.BeakerOptions, "__post_init__", lambda options: None)
