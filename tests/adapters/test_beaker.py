"""What is particular to Beaker's backends: what lies in them, and what happens when they fail."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kit_beaker.sessions import BeakerOptions, BeakerSessions

from kit.errors import ConfigError, Unavailable
from kit.options import DatabaseURL, Duration, Secret
from kit.slots.sessions import SessionKeeper

RECORD = b'{"created":1,"accessed":1,"data":{}}'
SHARED = ("file", "sqlite", "postgres", "mariadb", "redis", "memcached")


def open_store(**options: Any) -> BeakerSessions:
    return BeakerSessions(BeakerOptions(**options))


@pytest.fixture
def key() -> str:
    return secrets.token_urlsafe(32)


@pytest.fixture
def namespace() -> str:
    return f"t{secrets.token_hex(8)}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sessions"


@pytest.fixture
def options(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> dict[str, str]:
    name = request.param
    if name == "file":
        return {"backend": "file", "folder": str(tmp_path / "sessions")}
    if name == "sqlite":
        return {"backend": "database", "database": f"sqlite:///{tmp_path}/sessions.db"}
    url = request.getfixturevalue(f"{name}_url")
    if name in ("postgres", "mariadb"):
        return {"backend": "database", "database": url, "namespace": namespace}
    return {"backend": name, name: url, "namespace": namespace}


def make(options: dict[str, str]) -> BeakerSessions:
    types = {"folder": Path, "database": DatabaseURL, "redis": Secret}
    return open_store(**{name: types.get(name, str)(value) for name, value in options.items()})


WORKERS = """
import json, os, sys
from werkzeug.datastructures import Headers
from kit.slots.sessions import SessionKeeper
from test_beaker import BeakerOptions, make

store = make(json.loads(sys.argv[1]))
keeper = SessionKeeper(store, BeakerOptions())
session = keeper.open({})
session["n"] = 0
key = session.commit()

def work():
    for _ in range(25):
        session = keeper.open({"HTTP_COOKIE": f"session={key}"})
        session.change("n", lambda n: n + 1)
        session.commit()

children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
session = keeper.open({"HTTP_COOKIE": f"session={key}"})
print(codes, session["n"])
store.close()
"""


@pytest.mark.parametrize("options", SHARED, indirect=True)
def test_processes_forked_from_one_that_used_the_store_lose_no_change(
    options: dict[str, str],
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", WORKERS, json.dumps(options)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parent,
    )
    drop(options)
    assert (run.stdout.strip(), run.stderr) == ("[0, 0, 0, 0] 100", "")


def drop(options: dict[str, str]) -> None:
    if options["backend"] == "database":
        store = make(options)
        store._backend.table.drop(store._backend.engine)
        store.close()


@pytest.mark.parametrize("options", SHARED, indirect=True)
def test_a_store_that_is_opened_again_still_has_the_sessions(
    options: dict[str, str], key: str
) -> None:
    first = make(options)
    first.save(key, RECORD, None, 60)
    first.close()
    second = make(options)
    assert second.load(key) == RECORD
    second.delete(key)
    second.close()
    drop(options)


def test_files_are_private_hashed_and_json(folder: Path, key: str) -> None:
    store = open_store(backend="file", folder=folder)
    store.save(key, RECORD, None, 60)
    digest = hashlib.sha256(key.encode()).hexdigest()
    expires, record = (folder / digest[0] / digest).read_bytes().split(b"\n")
    assert time.time() < float(expires) < time.time() + 61
    assert record == RECORD
    paths = [folder, *folder.rglob("*")]
    assert {oct(path.stat().st_mode & 0o777) for path in paths if path.is_dir()} == {"0o700"}
    assert {oct(path.stat().st_mode & 0o777) for path in paths if path.is_file()} == {"0o600"}
    assert not [path for path in paths if key in path.name]


def test_a_row_has_a_hashed_key_and_json(tmp_path: Path, key: str) -> None:
    store = open_store(backend="database", database=DatabaseURL(f"sqlite:///{tmp_path}/s.db"))
    store.save(key, RECORD, None, 60)
    with sqlite3.connect(tmp_path / "s.db") as connection:
        rows = list(connection.execute("SELECT namespace, data FROM sessions"))
    connection.close()
    assert rows == [(hashlib.sha256(key.encode()).hexdigest(), RECORD)]
    store.close()


def test_a_redis_key_is_hashed_holds_json_and_expires(
    redis_url: str, namespace: str, key: str
) -> None:
    store = open_store(backend="redis", redis=Secret(redis_url), namespace=namespace)
    store.save(key, RECORD, None, 60)
    client = store._backend.client
    name = f"beaker_cache:{namespace}:{hashlib.sha256(key.encode()).hexdigest()}"
    assert client.keys(f"*{namespace}*") == [name.encode()]
    assert client.get(name) == RECORD
    assert 59_000 < client.pttl(name) <= 60_000
    store.delete(key)
    assert client.keys(f"*{namespace}*") == []
    store.close()


def test_a_memcached_key_is_hashed_and_holds_json(
    memcached_url: str, namespace: str, key: str
) -> None:
    store = open_store(backend="memcached", memcached=memcached_url, namespace=namespace)
    store.save(key, RECORD, None, 60)
    name = f"{namespace}_{hashlib.sha256(key.encode()).hexdigest()}"
    assert store._backend.mc.get(name) == RECORD
    store.close()


def test_memcached_keeps_sessions_longer_than_its_30_days(memcached_url: str, key: str) -> None:
    store = open_store(backend="memcached", memcached=memcached_url)
    store.save(key, RECORD, None, Duration.parse("60 days"))
    assert store.load(key) == RECORD
    store.delete(key)
    store.close()


@pytest.mark.parametrize("backend", ["memory", "file", "database"])
def test_purging_removes_what_expired_and_says_how_many(tmp_path: Path, backend: str) -> None:
    url = DatabaseURL(f"sqlite:///{tmp_path}/s.db")
    store = open_store(backend=backend, folder=tmp_path / "sessions", database=url)
    for number in range(3):
        store.save(f"old{number}", RECORD, None, -1)
    store.save("new", RECORD, None, 60)
    assert store.purge() == 3
    assert store.purge() == 0
    assert store.load("new") == RECORD
    store.close()


def test_memory_purges_itself_when_it_grows() -> None:
    store = open_store()
    for number in range(3000):
        store.save(str(number), RECORD, None, -1)
    assert len(store._backend.dictionary) <= 1001


def test_memory_is_not_shared_between_components(key: str) -> None:
    open_store().save(key, RECORD, None, 60)
    assert open_store().load(key) is None


def test_a_full_disk_is_unavailable_and_leaves_no_file(
    folder: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(backend="file", folder=folder)
    store.save(key, RECORD, None, 60)

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(Unavailable, match=r"session store \(file\)"):
        store.save(key, b"new", RECORD, 60)
    assert len([path for path in folder.glob("?/*") if path.is_file()]) == 1
    assert store.load(key) == RECORD


def test_what_a_crash_left_of_a_file_is_no_session_and_is_purged(folder: Path, key: str) -> None:
    store = open_store(backend="file", folder=folder)
    digest = hashlib.sha256(key.encode()).hexdigest()
    (folder / digest[0] / digest).write_bytes(b"17")
    assert store.load(key) is None
    assert store.purge() == 1


@pytest.mark.parametrize(
    "options",
    [
        {"backend": "redis", "redis": Secret("redis://127.0.0.1:1/0")},
        {"backend": "memcached", "memcached": "127.0.0.1:1"},
    ],
)
def test_a_server_that_is_away_is_unavailable(options: dict[str, Any]) -> None:
    store = open_store(**options)
    for call in (
        lambda: store.load("a"),
        lambda: store.save("a", RECORD, None, 60),
        lambda: store.delete("a"),
    ):
        with pytest.raises(Unavailable, match="does not answer"):
            call()
    session = SessionKeeper(store, BeakerOptions()).open({"HTTP_COOKIE": f"session={'a' * 43}"})
    with pytest.raises(Unavailable):
        session.get("user")


def test_a_database_that_is_away_is_unavailable(tmp_path: Path) -> None:
    database = tmp_path / "data"
    database.mkdir()
    store = open_store(backend="database", database=DatabaseURL(f"sqlite:///{database}/s.db"))
    store.close()
    (database / "s.db").unlink()
    database.rmdir()
    for call in (
        lambda: store.load("a"),
        lambda: store.save("a", RECORD, b"x", 60),
        lambda: store.delete("a"),
        store.purge,
    ):
        with pytest.raises(Unavailable):
            call()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "disk"}, "backend = 'disk': use memory, file, database, redis, memcached"),
        ({"backend": "file"}, "backend = 'file' needs the option folder"),
        ({"backend": "redis"}, "backend = 'redis' needs the option redis"),
        ({"backend": "memcached", "memcached": ""}, "needs the option memcached"),
        ({"backend": "database"}, "needs the option database"),
        ({"namespace": "Sessions!"}, "namespace = 'Sessions!': use up to 40"),
        ({"lifetime": Duration(0)}, "at least one second"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BeakerOptions(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"backend": "redis", "redis": Secret("127.0.0.1")},
        {"backend": "memcached", "memcached": "localhost"},
    ],
)
def test_a_server_that_is_not_one_is_refused_at_start(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"does not say where the server is\n.*for example"):
        open_store(**options)


@pytest.mark.parametrize(
    ("module", "options", "extra"),
    [
        ("redis", {"backend": "redis", "redis": Secret("redis://127.0.0.1:6379")}, "redis"),
        ("pymemcache", {"backend": "memcached", "memcached": "127.0.0.1:11211"}, "memcached"),
        (
            "sqlalchemy",
            {"backend": "database", "database": DatabaseURL("sqlite:///s.db")},
            "sqlalchemy",
        ),
        (
            "psycopg",
            {"backend": "database", "database": DatabaseURL("postgresql://localhost/x")},
            "postgresql",
        ),
    ],
)
def test_a_missing_library_names_its_cure(
    module: str, options: dict[str, Any], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "kit_beaker.database", raising=False)
    with pytest.raises(ConfigError) as raised:
        open_store(**options)
    assert module in str(raised.value)
    assert f'Run: pip install "framekit[{extra}]"' in str(raised.value)


def test_a_folder_that_others_may_open_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    with pytest.raises(ConfigError, match=f"open to other users.*\n.*chmod 700 {folder}"):
        open_store(backend="file", folder=folder)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be made: (Not a directory|File exists)"):
        open_store(backend="file", folder=tmp_path / "file" / "sessions")


def test_what_is_stored_is_readable_without_python(tmp_path: Path) -> None:
    store = open_store(backend="file", folder=tmp_path / "sessions")
    session = SessionKeeper(store, BeakerOptions()).open({})
    session["user"] = "Zoë"
    session.commit()
    (file,) = (tmp_path / "sessions").glob("[0-9a-f]/*")
    record = msgspec.json.decode(file.read_bytes().split(b"\n")[1])
    assert record["data"] == {"user": "Zoë"}
