"""Clients that leave and workers that are killed leave nothing open: looked for in PostgreSQL."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path

import psycopg
import pytest

APP = """
import asyncio, os, threading
from dataclasses import dataclass
from kit import App

app = App("kit.toml")

@dataclass
class Note:
    text: str
    id: int | None = None

app.records(Note)

if os.environ["HANDLERS"] == "async":
    @app.get("/add/<name>")
    async def add(name, store, session):
        session["last"] = name
        await store.add(Note(name))
        await asyncio.sleep(0.05)
        await store.add(Note(name))
        return name

    @app.get("/never/<name>")
    async def never(name, store, session):
        session["last"] = name
        await store.add(Note(name))
        await asyncio.sleep(60)

    @app.post("/never/<name>", csrf=False)
    async def never_after_a_body(name, store, request):
        await request.load()
        await store.add(Note(name))
        await asyncio.sleep(60)

    @app.get("/stream/<name>")
    async def stream(name, store):
        await store.add(Note(name))
        while True:
            yield "more"
            await asyncio.sleep(0.01)

    @app.post("/stream/<name>", csrf=False)
    async def stream_after_a_body(name, store, request):
        await request.load()
        await store.add(Note(name))
        while True:
            yield "more"
            await asyncio.sleep(0.01)

    @app.provider(scope="app")
    async def loop():
        yield asyncio.get_running_loop()

    @app.get("/loop")
    async def same(loop):
        return str(loop is asyncio.get_running_loop())
else:
    wait = threading.Event().wait

    @app.get("/add/<name>")
    def add(name, store, session):
        session["last"] = name
        store.add(Note(name))
        wait(0.05)
        store.add(Note(name))
        return name

    @app.get("/never/<name>")
    def never(name, store, session):
        session["last"] = name
        store.add(Note(name))
        wait(0.3)
        raise RuntimeError("nobody waits for this")

    @app.get("/stream/<name>")
    def stream(name, store):
        store.add(Note(name))
        while True:
            yield "more"
            wait(0.01)

@app.get("/state", inline=True)
def state():
    running = asyncio.all_tasks() if asyncio._get_running_loop() else ()
    ours = [task for task in running if "kit" in task.get_coro().cr_code.co_filename]
    return {"pid": os.getpid(), "tasks": len(ours), "threads": threading.active_count()}

@app.get("/last")
def last(session):
    return session.get("last", "")
"""

CONFIG = """
[app]
import = "app:app"
secret_key = "only for this test, only for this test"
threads = 8
[persistence]
use = "{persistence}"
url = "{url}"
pool_size = 5
[sessions]
use = "beaker"
[sessions.beaker]
backend = "file"
folder = "sessions"
[serving]
use = "{server}"
bind = ["127.0.0.1:{port}"]
workers = 2
grace = "3 seconds"
"""

OPEN = """
select count(*) from pg_stat_activity
where datname = current_database() and application_name <> 'watching' and state <> 'idle'
"""

STACKS = [
    ("uvicorn", "sqlalchemy_async", "async"),
    ("granian", "sqlalchemy", "async"),
    ("hypercorn", "peewee_async", "async"),
    ("uvicorn", "peewee", "plain"),
    ("gunicorn", "sqlalchemy", "plain"),
]


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Site:
    """A running `kit serve`, and the database behind it."""

    def __init__(self, folder: Path, url: str, server: str, persistence: str, kind: str) -> None:
        self.port = free_port()
        (folder / "app.py").write_text(APP)
        config = CONFIG.format(url=url, server=server, persistence=persistence, port=self.port)
        (folder / "kit.toml").write_text(config)
        self.log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            [str(Path(sys.executable).with_name("kit")), "serve"],
            cwd=folder,
            env={**os.environ, "HANDLERS": kind},
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self.database = psycopg.connect(url, autocommit=True, application_name="watching")

    def get(self, path: str) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        with suppress(OSError), closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        return 0, b""

    def leave(self, path: str, method: str = "GET") -> None:
        """Ask for something, and go away before all of it is there."""
        body = "Content-Length: 2\r\n\r\n{}" if method == "POST" else "\r\n"
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", self.port))) as one:
            one.sendall(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{body}".encode())
            one.settimeout(0.1)
            one.recv(1)

    def states(self) -> dict[int, dict[str, int]]:
        """Return what the workers say of themselves, by their process ids."""
        found = [json.loads(body) for status, body in map(self.get, ["/state"] * 12) if status]
        return {one["pid"]: one for one in found}

    def rows(self, query: str) -> list[tuple]:
        return self.database.execute(query).fetchall()

    def until(self, holds, seconds: float = 10) -> None:
        """Wait for what has to be so before long."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end or self.process.poll() is not None:
                self.log.seek(0)
                pytest.fail(f"it did not come true: {self.states()}\n{self.log.read()}")
            time.sleep(0.05)

    def load(self, number: int) -> list[tuple[str, int]]:
        """Let clients add and leave at the same time; return the status of each who added."""
        with ThreadPoolExecutor(12) as clients:
            added = {f"n{i}": clients.submit(self.get, f"/add/n{i}") for i in range(number)}
            for i in range(number // 2):
                clients.submit(self.leave, f"/never/x{i}")
                clients.submit(self.leave, f"/stream/y{i}")
                clients.submit(self.leave, f"/never/x{i}", "POST")
                clients.submit(self.leave, f"/stream/y{i}", "POST")
            return [(name, one.result()[0]) for name, one in added.items()]

    def close(self) -> None:
        self.database.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        finally:
            self.process.kill()
            self.log.close()


@pytest.fixture(params=STACKS, ids="-".join)
def site(request, tmp_path, postgres_url, own_database):
    url = own_database(postgres_url, f"_left_{STACKS.index(request.param)}")
    with closing(Site(tmp_path, url, *request.param)) as site:
        site.until(lambda: site.get("/state")[0] == 200, 30)
        yield site


def stored(site: Site) -> dict[str, int]:
    return dict(site.rows("select text, count(*) from note group by text"))


def test_neither_those_who_leave_nor_a_killed_worker_leave_anything(site: Site):
    assert site.get("/loop") in [(200, b"True"), (404, site.get("/nothing")[1])]
    site.load(4)  # so that pools and threads are there
    site.until(lambda: site.rows(OPEN) == [(0,)])
    before = site.states()

    statuses = dict(site.load(24))
    site.until(lambda: site.rows(OPEN) == [(0,)])
    assert set(statuses.values()) <= {200, 503}
    found = stored(site)
    assert not [name for name in found if re.match("x", name)], "what failed was stored"
    assert {name: found.get(name, 0) % 2 for name in statuses} == dict.fromkeys(statuses, 0)
    assert all(found[name] for name, status in statuses.items() if status == 200)

    def as_before() -> bool:
        now = site.states()
        return all(
            now[pid]["tasks"] == before[pid]["tasks"] and now[pid]["threads"] <= 8 + 8
            for pid in now.keys() & before.keys()
        )

    site.until(as_before)

    victim = min(before)
    with ThreadPoolExecutor(2) as both:
        loading = both.submit(site.load, 24)
        time.sleep(0.2)
        os.kill(victim, signal.SIGKILL)
        statuses = dict(loading.result())
    site.until(lambda: site.rows(OPEN) == [(0,)])
    found = stored(site)
    assert all(found.get(name, 0) % 2 == 0 for name in statuses), "half of a request was stored"
    assert all(found[name] for name, status in statuses.items() if status == 200)
    site.until(lambda: site.get("/add/after")[0] == 200)
    assert stored(site)["after"] == 2
