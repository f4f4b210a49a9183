"""The access log: one format, by WSGI and by ASGI."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app

from kit import App
from kit.slots.serving.access import log_asgi, log_wsgi

BASE = {"REMOTE_ADDR": "127.0.0.1"}
PROXIES = {"security": {"proxies": 1}}


def make(config: dict) -> App:
    app = App(config)

    @app.get("/a/<path:rest>")
    def show(rest):
        return "é" * 10

    @app.get("/stream")
    def stream():
        yield "four"
        yield "five5"

    @app.get("/fails")
    def fails():
        raise ZeroDivisionError

    return app


def by_wsgi(app: App, style: str, path: str, headers: dict[str, str]) -> list[str]:
    lines: list[str] = []
    client = Client(log_wsgi(app, style, lines.append))
    client.get(path, headers=headers, environ_base=BASE, buffered=True)
    app.stop()
    return lines


def by_asgi(app: App, style: str, path: str, headers: dict[str, str]) -> list[str]:
    lines: list[str] = []
    environ = EnvironBuilder(path).get_environ()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": environ["PATH_INFO"].encode("latin-1").decode(),
        "query_string": environ["QUERY_STRING"].encode(),
        "headers": [(b"host", b"localhost")]
        + [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 80),
    }

    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        pass

    application = log_asgi(app.asgi, style, app.stack.tables["security"], lines.append)
    asyncio.run(application(scope, receive, send))
    app.stop()
    return lines


@pytest.mark.parametrize("call", [by_wsgi, by_asgi])
@pytest.mark.parametrize(
    ("config", "path", "headers", "client", "shown", "status", "size"),
    [
        ({}, "/a/b?secret=1", {}, "127.0.0.1", "/a/b", 200, 20),
        ({}, "/a/%C3%A9%0A%20x", {}, "127.0.0.1", "/a/%C3%A9%0A%20x", 200, 20),
        ({}, "/stream", {}, "127.0.0.1", "/stream", 200, 9),
        ({}, "/a/b", {"X-Forwarded-For": "6.6.6.6"}, "127.0.0.1", "/a/b", 200, 20),
        (PROXIES, "/a/b", {"X-Forwarded-For": "6.6.6.6, 7.7.7.7"}, "7.7.7.7", "/a/b", 200, 20),
        (PROXIES, "/a/b", {"X-Forwarded-For": "bad\tone"}, "127.0.0.1", "/a/b", 400, None),
        ({}, "/fails", {}, "127.0.0.1", "/fails", 500, None),
        ({}, "/nowhere", {}, "127.0.0.1", "/nowhere", 404, None),
    ],
)
def test_each_request_has_one_line(call, config, path, headers, client, shown, status, size):
    [line] = call(make(config), "json", path, headers)
    entry = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", entry.pop("time"))
    assert entry.pop("ms") >= 0
    assert size in (None, entry["bytes"])
    del entry["bytes"]
    assert entry == {"client": client, "method": "GET", "path": shown, "status": status}
    [line] = call(make(config), "plain", path, headers)
    wanted = rf"\S+ {re.escape(client)} GET {re.escape(shown)} {status} \d+ \d+\.\d"
    assert re.fullmatch(wanted, line)


def test_what_the_application_raises_is_in_the_log_and_goes_on():
    def app(environ, start_response):
        raise ZeroDivisionError

    lines: list[str] = []
    with pytest.raises(ZeroDivisionError):
        run_wsgi_app(log_wsgi(app, "json", lines.append), EnvironBuilder("/").get_environ())
    assert json.loads(lines[0])["status"] == 500
