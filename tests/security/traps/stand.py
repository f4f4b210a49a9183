"""The stand: an application on one combination of components, and what they store, read past it."""

from __future__ import annotations

import secrets
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app

import kit.testing
from kit import App
from kit.security.csrf import CHECKED

OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
END_OTHERS = f"SELECT pg_terminate_backend(pid) {OTHERS}"
KEY = "0123456789abcdef" * 3


class Stand:
    """An application on a combination such as ``"redis ffroute"``.

    `service` gives the URL of a server by its name, and `database` that of an empty database on
    the server with a URL.
    """

    def __init__(
        self,
        combination: str,
        folder: Path,
        service: Callable[[str], str],
        database: Callable[[str], str],
    ) -> None:
        self.parts = combination.split()
        self.folder = folder
        self.service = service
        self.database = database
        self.namespace = f"trap{secrets.token_hex(6)}"
        self.shift = 0.0  # seconds by which the clock of sessions is ahead
        self.apps: list[App] = []
        self.ready: Callable[[], object] = lambda: None  # a check calls it when its app is built
        self.weakened = False

    def tables(self) -> dict[str, dict[str, Any]]:
        """Return the configuration that the combination stands for."""
        tables: dict[str, dict[str, Any]] = {"app": {"secret_key": KEY}}
        for part in self.parts:
            if part in ("werkzeug", "ffroute"):
                tables["routing"] = {"use": part}
            elif part in ("jinja2", "mako"):
                (self.folder / part).mkdir(exist_ok=True)
                tables["templating"] = {"use": part, "folder": str(self.folder / part)}
            elif part in ("sqlalchemy", "peewee"):
                tables.setdefault("persistence", {})["use"] = part
            elif part in ("sqlite", "postgres"):
                tables.setdefault("persistence", {})["url"] = self.url(part)
            elif part in ("argon2", "scrypt"):
                tables["passwords"] = {"use": [part]}
            elif part == "itsdangerous":
                tables["sessions"] = {"use": part}
            else:
                tables["sessions"] = {"use": "beaker", "beaker": self._beaker(part)}
        return tables

    def url(self, kind: str) -> str:
        """Return the URL of this stand's database."""
        if kind == "sqlite":
            return f"sqlite:///{self.folder}/test.db"
        return self.database(self.service("postgres"))

    def _beaker(self, backend: str) -> dict[str, Any]:
        options: dict[str, Any] = {"backend": backend}
        if backend == "file":
            options["folder"] = str(self.folder / "sessions")
        elif backend == "database":
            options["database"] = f"sqlite:///{self.folder}/sessions.db"
        elif backend == "redis":
            options |= {"redis": self.service("redis"), "namespace": self.namespace}
        return options

    def app(self, *records: type, **more: Mapping[str, Any]) -> App:
        """Return a new application; `more` are tables that are laid over the configuration."""
        tables = self.tables()
        for name, table in more.items():
            tables[name] = {**tables.get(name, {}), **table}
        app = App(tables)
        app.records(*records)
        self.apps.append(app)
        return app

    def client(self, app: App) -> Client:
        """Return a visitor without cookies, whose session follows the clock of the stand."""
        client = kit.testing.client(app)
        if "sessions" in app.stack.fillings:
            keeper = app.provided("session_keeper")
            keeper.rules = replace(keeper.rules, clock=lambda: time.time() + self.shift)
        return client

    def close(self) -> None:
        """Stop the applications; end what a weakened one left open on a server."""
        if self.weakened and "postgres" in self.parts:
            self.rows(END_OTHERS)
        for app in self.apps:
            with suppress(Exception if self.weakened else ()):
                app.stop()
        self.apps.clear()

    def sessions(self, app: App) -> dict[str, bytes]:
        """Return what the session store holds by key, not asking the kit where that can be."""
        options = app.stack.fillings["sessions"].options
        match getattr(options, "backend", "cookie"):
            case "memory":
                held = app.provided("sessions")._backend.dictionary
                return {key: record for key, (_, record) in held.items()}
            case "file":
                files = [path for path in self.files() if "locks" not in path.parts]
                return {path.name: path.read_bytes().partition(b"\n")[2] for path in files}
            case "database":
                with sqlite3.connect(self.folder / "sessions.db") as connection:
                    return dict(connection.execute("SELECT namespace, data FROM sessions"))
            case "redis":
                with self.redis() as client:
                    return {key.decode(): client.get(key) for key in self.redis_keys(client)}
        return {}

    def files(self) -> list[Path]:
        """Return the files below the folder for sessions."""
        return [path for path in (self.folder / "sessions").rglob("*") if path.is_file()]

    def redis(self) -> Any:
        """Return a client of the Redis server."""
        import redis

        return redis.Redis.from_url(self.service("redis"))

    def redis_keys(self, client: Any) -> list[bytes]:
        """Return the keys of this stand."""
        return list(client.scan_iter(f"*{self.namespace}*"))

    def session_data(self, app: App) -> list[dict[str, Any]]:
        """Return the data of each stored session, which are JSON."""
        return [parsed(record)["data"] for record in self.sessions(app).values()]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a query on the database, past the kit."""
        kind = next(part for part in self.parts if part in ("sqlite", "postgres"))
        if kind == "sqlite":
            with sqlite3.connect(self.folder / "test.db") as connection:
                return connection.execute(statement).fetchall()
        import psycopg

        with psycopg.connect(self.url(kind), autocommit=True) as connection:
            return connection.execute(statement).fetchall()


def parsed(record: bytes) -> dict[str, Any]:
    """Return the JSON of a stored session; what is none is an AssertionError."""
    try:
        return msgspec.json.decode(record)
    except ValueError as error:
        raise AssertionError(f"no JSON is stored: {record!r}") from error


def ask(app: App, path: str = "/", method: str = "GET", **environ: Any) -> tuple[int, dict, bytes]:
    """Send a request as a server hands it on, with a path of bytes that are read as Latin-1."""
    given = EnvironBuilder(method=method).get_environ()
    given |= {"PATH_INFO": path, CHECKED: True, **environ}
    body, status, headers = run_wsgi_app(app, given, buffered=True)
    return int(status[:3]), dict(headers), b"".join(body)


def cookie(client: Client) -> str:
    """Return the session cookie of a visitor, or the empty string."""
    found = client.get_cookie("session")
    return found.value if found else ""


def sent(app: App, header: str, path: str = "/who") -> tuple[int, str]:
    """Return status and text of a request with a Cookie header, byte for byte as given."""
    status, _, body = ask(app, path, HTTP_COOKIE=header)
    return status, body.decode()


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is so, for at most so many seconds; return whether it is."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def lines_of(caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    """Yield what was logged, with tracebacks."""
    for record in caplog.records:
        yield record.getMessage()
        yield record.exc_text or ""


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
