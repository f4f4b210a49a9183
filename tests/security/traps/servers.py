"""T25 to T28: real servers under `kit serve`, and nginx as in ``docs/howto/deploy.md``."""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from traps import trap, weakening
from traps.stand import Stand, free_port, wait_until

PAGE = Path(__file__).parents[3] / "docs/howto/deploy.md"
BIN = Path(sys.executable).parent
APP = """
import json
import os
import time

exec(os.environ.get("KIT_TEST_WEAKEN", ""))

from kit import App

app = App("kit.toml")
KEYS = ("HTTP_HOST", "PATH_INFO", "SCRIPT_NAME", "wsgi.url_scheme", "REMOTE_ADDR", "HTTP_X_USER")


def note(**what):
    with open("seen.jsonl", "a") as file:
        file.write(json.dumps(what) + "\\n")


@app.route("/", ["GET", "POST"], csrf=False)
@app.route("/<path:rest>", ["GET", "POST"], csrf=False)
def show(environ, **rest):
    forwarded = [key for key in environ if "FORWARDED" in key and key.startswith("HTTP_")]
    note(forwarded=forwarded, **{key: environ.get(key) for key in KEYS})
    return "shown"


@app.get("/slow")
def slow():
    note(slow="begun")
    time.sleep(1.5)
    note(slow="done")
    return "slow but whole " * 1000
"""
SERVERS = ("gunicorn", "waitress", "uvicorn")

options: dict[str, Any] = {}
"""Options of [serving] that a weakening sets."""

in_front: list[str] = ["nginx"]
"""What buffers in front of a server, where a combination has it."""

weakened_code: list[str] = []
"""Statements that a weakening runs in the server's process before the application is made."""


def file(name: str) -> str:
    """Return a file that the page shows."""
    [found] = re.findall(rf":caption: {re.escape(name)}\n\n(.*?)```", PAGE.read_text(), re.S)
    return found


class Server:
    """`kit serve` on one of the servers, and nginx in front of it where that is asked for."""

    def __init__(self, parts: list[str], proxies: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kit-server-"))
        self.parts = parts
        self.inner = self.port = free_port()
        self.processes: list[subprocess.Popen[bytes]] = []
        (self.folder / "app.py").write_text(APP)
        security = f"[security]\nproxies = {proxies}\n"
        bind = [f"127.0.0.1:{self.inner}"]
        lines = {"use": parts[0], "bind": bind, "grace": 2, **options}
        serving = "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())
        text = f'[app]\nimport = "app:app"\n{security}[serving]\n{serving}'
        (self.folder / "kit.toml").write_text(text)

    def start(self) -> None:
        self._run([str(BIN / "kit"), "serve"])
        self._wait(self.inner)
        if "nginx" in self.parts and in_front:
            self._start_nginx()

    def _start_nginx(self) -> None:
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if nginx is None:
            if os.environ.get("KIT_TEST_REQUIRE_SERVICES") == "1":
                pytest.fail("nginx is not installed")
            pytest.skip("nginx is not installed")
        self.port = free_port()
        text = self._ported(file("nginx.conf"))
        text = re.sub(r"\n +ssl_.*;|\n    server {[^}]*default_server;[^}]*}", "", text)
        text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{self.port};")
        temporary = [
            f"{name}_temp_path {self.folder}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ]
        text = text.replace("http {", " ".join(["http { access_log off;", *temporary]))
        (self.folder / "nginx.conf").write_text(text.replace("example.org", "localhost"))
        self.folder.chmod(0o755)
        general = f"daemon off; pid {self.folder}/nginx.pid; error_log {self.folder}/nginx.log;"
        self._run([nginx, "-c", f"{self.folder}/nginx.conf", "-g", general])
        self._wait(self.port)

    def _ported(self, text: str) -> str:
        return text.replace("127.0.0.1:8000", f"127.0.0.1:{self.inner}")

    def _run(self, words: list[str]) -> None:
        environ = {key: value for key, value in os.environ.items() if not key.startswith("COV_")}
        environ |= {"PYTHONPATH": str(self.folder), "KIT_TEST_WEAKEN": "\n".join(weakened_code)}
        with (self.folder / "server.log").open("ab") as log:
            process = subprocess.Popen(
                words, cwd=self.folder, env=environ, stdout=log, stderr=log, start_new_session=True
            )
        self.processes.append(process)

    def _wait(self, port: int) -> None:
        def answers() -> bool:
            with suppress(OSError, http.client.HTTPException):
                return get(port)[0] == 200
            return False

        if not wait_until(answers, 20):
            self.stop()
            raise RuntimeError((self.folder / "server.log").read_text())

    def stop(self) -> None:
        for process in reversed(self.processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)
        self.processes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def is_running(self) -> bool:
        return bool(self.processes) and all(one.poll() is None for one in self.processes)

    def forget(self) -> None:
        """Begin anew with what reached the application."""
        (self.folder / "seen.jsonl").write_text("")

    def seen(self) -> list[dict[str, Any]]:
        """Return what reached the application."""
        return [json.loads(line) for line in (self.folder / "seen.jsonl").read_text().splitlines()]


running: dict[str, Server] = {}
"""Servers by their combination and what is weakened of them; they serve until the tests end."""


def served(stand: Stand) -> Server:
    """Return a running server for the combination, of which nothing is known yet."""
    proxies = proxies_of(stand.parts)
    key = repr((stand.parts, proxies, options, in_front, weakened_code))
    if key not in running or not running[key].is_running():
        running[key] = Server(stand.parts, proxies)
        running[key].start()
    running[key].forget()
    return running[key]


def proxies_of(parts: list[str]) -> int:
    """Return how many proxies are in front."""
    return 1 if "nginx" in parts else 0


def stop_all() -> None:
    """Stop the servers."""
    while running:
        running.popitem()[1].stop()


def get(port: int, path: str = "/", timeout: float = 5, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers={"Host": "localhost", **named})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def raw(port: int, data: bytes, timeout: float = 0.5) -> bytes:
    """Send bytes as they are and return all that comes back."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(data)
        with suppress(OSError):
            while more := connection.recv(65536):
                found += more
    return found


# T25: what a client says of itself in the name of a proxy


FORGED = {
    "X_Forwarded_For": "6.6.6.6",
    "X_Forwarded_Proto": "https",
    "X_Forwarded_Protocol": "ssl",
    "X_Forwarded_Ssl": "on",
    "X_Forwarded_Host": "evil.example",
    "X_Forwarded_Prefix": "/evil",
    "Forwarded": "for=6.6.6.6;proto=https;host=evil.example",
    "X_Real_Ip": "6.6.6.6",
}
TRUE = {
    "HTTP_HOST": "localhost",
    "PATH_INFO": "/",
    "SCRIPT_NAME": "",
    "wsgi.url_scheme": "http",
    "REMOTE_ADDR": "127.0.0.1",
    "HTTP_X_USER": None,
    "forwarded": [],
}


@trap("T25", (*SERVERS, "gunicorn nginx"))
def forged_headers_of_proxies_are_not_believed(stand: Stand) -> None:
    server = served(stand)
    for forged in (FORGED, {"X_Forwarded_Proto": "https"}, {"X_Forwarded_For": "6.6.6.6"}):
        assert get(server.port, **forged) == (200, b"shown")
    assert server.seen() == [TRUE] * 3


@weakening("T25", *SERVERS)
def headers_of_proxies_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import kit.wiring; kit.wiring.proxy_trust = lambda options: lambda environ: None"
    monkeypatch.setitem(globals(), "weakened_code", [code])


@weakening("T25", "nginx")
def one_proxy_too_many_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "proxies_of", lambda parts: 2)


# T26: slow clients


SLOW = 1000


@trap("T26", ("waitress", "uvicorn", "gunicorn nginx"))
def a_thousand_slow_clients_hold_nobody_up(stand: Stand) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    header = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    body = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nslow"
    server, clients, healthy = served(stand), [], 0
    try:
        for number in range(SLOW):
            clients.append(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            clients[-1].sendall(body if number % 2 else header)
        begun = time.monotonic()
        with suppress(OSError):
            for _ in range(5):
                assert get(server.port, timeout=2)[0] == 200
                healthy += 1
        assert healthy == 5
        assert time.monotonic() - begun < 2
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@weakening("T26", "nginx")
def nothing_buffers_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "in_front", [])


@weakening("T26", "waitress", "uvicorn")
def connections_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(options, "connections", 100)


# T27: the end of a process


@trap("T27", SERVERS)
def a_request_in_hand_is_finished_at_sigterm(stand: Stand) -> None:
    server = served(stand)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/slow", headers={"Host": "localhost"})
    assert wait_until(lambda: {"slow": "begun"} in server.seen(), 5)
    server.processes[0].terminate()
    try:
        answer = connection.getresponse()
        status, text = answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise AssertionError(f"the request was dropped: {error}") from error
    finally:
        connection.close()
    assert (status, text) == (200, b"slow but whole " * 1000)
    assert server.processes[0].wait(10) == 0
    assert server.seen() == [{"slow": "begun"}, {"slow": "done"}]


@weakening("T27")
def whoever_is_told_to_end_does_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
import os, signal
real = signal.signal
end = lambda *_: os._exit(0)
signal.signal = lambda number, do: real(number, end if number == signal.SIGTERM else do)
"""
    monkeypatch.setitem(globals(), "weakened_code", [code])


# T28: requests that servers read differently


HOST = b"Host: localhost\r\n"
END = b"Connection: close\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + END
AMBIGUOUS = {
    "length and coding": b"POST / HTTP/1.1\r\n%bContent-Length: 6\r\nTransfer-Encoding: chunked\r\n"
    b"\r\n0\r\n\r\n%b" % (HOST, SMUGGLED),
    "coding and length": b"POST / HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"
    b"\r\n0\r\n\r\n%b" % (HOST, SMUGGLED),
    "two lengths": b"POST / HTTP/1.1\r\n%bContent-Length: 1\r\nContent-Length: 2\r\n%bab"
    % (HOST, END),
    "unknown coding": b"POST / HTTP/1.1\r\n%bTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n"
    b"\r\nabcde%b" % (HOST, SMUGGLED),
    "length with a sign": b"POST / HTTP/1.1\r\n%bContent-Length: +5\r\n%babcde" % (HOST, END),
    "two hosts": b"GET / HTTP/1.1\r\n%bHost: evil.example\r\n%b" % (HOST, END),
    "two hosts, evil first": b"GET / HTTP/1.1\r\nHost: evil.example\r\n%b%b" % (HOST, END),
    "folded host": b"GET / HTTP/1.1\r\nHost: localhost\r\n evil.example\r\n%b" % END,
    "another host in the target": b"GET http://evil.example/ HTTP/1.1\r\n%b%b" % (HOST, END),
    "another host than the target": b"GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\n%b"
    % END,
    "space before the colon": b"GET / HTTP/1.1\r\n%bX-User : root\r\n%b" % (HOST, END),
}
UNDERSCORED = (
    b"GET /u HTTP/1.1\r\n%bX_User: root\r\n%b" % (HOST, END),
    b"GET /u HTTP/1.1\r\n%bX-User: ann\r\nX_User: root\r\n%b" % (HOST, END),
    b"GET /u/x HTTP/1.1\r\n%bSCRIPT_NAME: /u\r\n%b" % (HOST, END),
    b"GET /u HTTP/1.1\r\n%bPATH_INFO: /admin\r\n%b" % (HOST, END),
    b"GET /u HTTP/1.1\r\n%bREMOTE_ADDR: 6.6.6.6\r\n%b" % (HOST, END),
)


@trap("T28", ("gunicorn", "waitress", "gunicorn nginx"))
def what_can_be_read_in_two_ways_reaches_no_handler(stand: Stand) -> None:
    server = served(stand)
    mended = "nginx" in stand.parts  # nginx passes some on, in a form that has one meaning
    for name, data in AMBIGUOUS.items():
        statuses = re.findall(rb"HTTP/1\.[01] (\d+)", raw(server.port, data))
        assert mended or statuses in ([], [b"400"], [b"501"]), (name, statuses)
    seen = server.seen()
    assert mended or seen == []
    assert "/smuggled" not in [one["PATH_INFO"] for one in seen]
    assert {one["HTTP_HOST"] for one in seen} <= {"localhost"}
    for data in UNDERSCORED:
        raw(server.port, data)
    seen = [one for one in server.seen() if one["PATH_INFO"] != "/"]
    assert {one["PATH_INFO"] for one in seen} == {"/u", "/u/x"}
    assert {one["HTTP_X_USER"] for one in seen} <= {None, "ann"}
    assert {(one["SCRIPT_NAME"], one["REMOTE_ADDR"]) for one in seen} == {("", "127.0.0.1")}
    assert get(server.port) == (200, b"shown")


@weakening("T28", "gunicorn", "nginx")
def hosts_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import kit.wiring; kit.wiring.host_check = lambda options: lambda environ: None"
    monkeypatch.setitem(globals(), "weakened_code", [code])


@weakening("T28", "waitress")
def the_length_may_be_said_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
import kit_waitress.serving as serving
serving._Channel.parser_class = serving.HTTPRequestParser
"""
    monkeypatch.setitem(globals(), "weakened_code", [code])
