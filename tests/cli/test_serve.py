"""``kit serve``: what it refuses, what it chooses, and how it keeps its workers."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kit.cli.serve import _chosen
from kit.config import load
from kit.contracts.serving import Running, wait_until

SOCKET = """
@app.websocket("/feed")
async def feed(socket):
    await socket.send("hello")
"""
ASYNC = """
@app.get("/late")
async def late():
    return "late"
"""


@pytest.fixture
def serving(project, monkeypatch):
    """Write the table [serving], and more into the application; nothing is served of it."""
    monkeypatch.setattr("kit.cli.serve.Workers", None)

    def write(text: str, code: str = "") -> Path:
        with (project / "kit.toml").open("a") as file:
            file.write(f"\n[serving]\n{text}\n")
        with (project / "shop.py").open("a") as file:
            file.write(code)
        return project

    return write


def line_of(project: Path, file: str, text: str) -> str:
    lines = (project / file).read_text().splitlines()
    return f"{file}:{next(n for n, line in enumerate(lines, 1) if line.startswith(text))}"


# What it refuses


def test_without_a_server_it_says_which_line_to_write(kit):
    result = kit("serve")
    assert result.exit_code == 2
    assert "[serving] picks no server" in result.output
    assert '[serving] use = "granian"' in result.output
    assert "(one of: granian, gunicorn, hypercorn, uvicorn, waitress)" in result.output


def test_a_server_that_is_not_installed_is_named_with_what_installs_it(kit, serving, monkeypatch):
    serving('use = "granian"')
    for name in ["granian", *sys.modules]:
        if name.partition(".")[0] == "granian":
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "kit_granian.serving", raising=False)
    result = kit("serve")
    assert result.exit_code == 2
    assert 'pip install "framekit[granian]"' in result.output


@pytest.mark.parametrize("gateway", ["auto", "wsgi"])
def test_a_websocket_by_wsgi_is_refused_with_its_place(kit, serving, gateway):
    project = serving(f'use = "waitress"\ngateway = "{gateway}"', SOCKET)
    result = kit("serve")
    assert result.exit_code == 2
    where = line_of(project, "shop.py", "async def feed").partition(":")[2]
    assert re.search(rf"shop\.py:({where}|{int(where) - 1}): /feed is a WebSocket", result.output)
    assert "waitress serves by WSGI, without WebSockets" in result.output


@pytest.mark.parametrize(
    ("server", "gateway", "reason"),
    [
        ("granian", "wsgi", "by WSGI granian takes a broken upload for a whole one"),
        ("uvicorn", "wsgi", "uvicorn serves by ASGI"),
        ("hypercorn", "wsgi", "hypercorn serves by ASGI"),
        ("waitress", "asgi", "waitress serves by WSGI"),
    ],
)
def test_a_gateway_that_a_server_has_not_is_refused(kit, serving, server, gateway, reason):
    project = serving(f'use = "{server}"\ngateway = "{gateway}"')
    result = kit("serve")
    assert result.exit_code == 2
    where = line_of(project, "kit.toml", "gateway")
    assert f"{where}: [serving] gateway = '{gateway}': {reason}" in result.output


@pytest.mark.parametrize(
    ("server", "option", "reason"),
    [
        ("gunicorn", 'ping = "5 seconds"', "gunicorn sends no pings"),
        ("hypercorn", "connections = 100", "hypercorn accepts all connections"),
        ("granian", 'bind = ["127.0.0.1:0", "unix:s"]', "granian listens on one address"),
    ],
)
def test_what_a_server_cannot_do_is_refused(kit, serving, server, option, reason):
    project = serving(f'use = "{server}"\n{option}')
    result = kit("serve")
    assert result.exit_code == 2
    where = line_of(project, "kit.toml", option.split()[0])
    assert f"{where}: [serving] {option.split()[0]}" in result.output
    assert reason in result.output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('bind = ["8000"]', "'8000' is no address"),
        ('bind = ["example.org:99999"]', "is no address"),
        ('bind = ["unix:"]', "is no address"),
        ("bind = []", "bind is empty"),
        ('bind = ["[::1]:1", "[::1]:1"]', "names one address twice"),
        ("workers = 0", "workers is at least 1"),
        ('grace = "0.5 seconds"', "grace is at least 1 second"),
        ('head = "1 kB"', "from 8 KiB to 1 MiB"),
        ('access_log = "yaml"', "not one of the choices"),
    ],
)
def test_options_are_checked(kit, serving, text, reason):
    serving(f'use = "waitress"\n{text}')
    result = kit("serve")
    assert result.exit_code == 2
    assert reason in result.output


def test_an_address_that_is_in_use_is_named(kit, serving):
    with socket.create_server(("127.0.0.1", 0)) as other, socket.socket(socket.AF_UNIX) as unix:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        unix.bind("taken")
        unix.listen()
        project = serving(f'use = "waitress"\nbind = ["{address}", "unix:taken", "unix:no/s"]')
        result = kit("serve")
    assert result.exit_code == 2
    where = line_of(project, "kit.toml", "bind")
    assert f"{where}: {address} is in use." in result.output
    assert f"{where}: unix:taken is in use." in result.output
    assert f"{where}: cannot listen on unix:no/s: No such file or directory." in result.output
    assert (project / "taken").exists()


# What it chooses


@pytest.mark.parametrize(
    ("server", "code", "gateway"),
    [
        ("gunicorn", "", "wsgi"),
        ("gunicorn", ASYNC, "asgi"),
        ("gunicorn", SOCKET, "asgi"),
        ("waitress", ASYNC, "wsgi"),
        ("granian", "", "asgi"),
        ("uvicorn", "", "asgi"),
        ("hypercorn", "", "asgi"),
    ],
)
def test_the_gateway_is_the_one_that_fits(project, serving, server, code, gateway):
    serving(f'use = "{server}"', code)
    sys.path.insert(0, str(project))
    import shop

    filling, found = _chosen(shop.app)
    assert (filling.component.name, found) == (server, gateway)
    assert load("kit.toml").get("serving", "use")


# How it keeps its workers


@pytest.fixture
def run(tmp_path):
    """Start a server in a folder; all are ended."""
    started = []

    def start(use="waitress", gateway="wsgi", bind="127.0.0.1:0", **options) -> Running:
        started.append(Running(tmp_path, use, gateway, bind, **options))
        return started[-1]

    yield start
    for one in started:
        one.hang_up()
        one.process.kill()
        one.process.wait()


def workers(running: Running, gone: str = "") -> set[str]:
    """The numbers of the two processes that answer, as soon as each has; one before is gone."""
    found: set[str] = set()

    def have_two_answered() -> bool:
        found.add(running.get().split()[1])
        return len(found - {gone}) == 2

    assert wait_until(have_two_answered)
    return found - {gone}


def is_alive(number: str) -> bool:
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{number}/stat").read_text().split()[2] != "Z"


def test_it_says_what_it_serves_logs_requests_and_ends(run):
    running = run(workers=2, access_log="json")
    assert running.get("/echo/a?secret=1").startswith("{")
    assert running.stop() == 0
    head, summary, *lines = running.log.splitlines()
    assert re.fullmatch(r"\S+ on http://127\.0\.0\.1:\d+", head)
    assert re.fullmatch(r"  waitress 3\S* by wsgi, 2 workers, 4 threads in each", summary)
    [entry] = [json.loads(line) for line in lines if line.startswith("{")]
    assert entry.keys() == {"time", "client", "method", "path", "status", "bytes", "ms"}
    assert (entry["client"], entry["path"], entry["status"]) == ("127.0.0.1", "/echo/a", 200)


def test_a_worker_that_dies_is_replaced_and_a_reload_that_fails_changes_nothing(run):
    running = run(workers=2)
    first, second = workers(running)
    os.kill(int(first), signal.SIGKILL)
    before = workers(running, gone=first)
    assert second in before
    running.wait_for(f"worker {first} (SIGKILL) ended: another one is started.")
    (running.folder / "text.py").write_text(
        "TEXT = 1 / 0  # of another size, so that no old bytecode fits\n"
    )
    running.process.send_signal(signal.SIGHUP)
    running.wait_for("Not reloaded: worker")
    assert "ZeroDivisionError: division by zero" in running.log
    assert workers(running) == before
    (running.folder / "text.py").write_text("TEXT = 'new'\n")
    running.process.send_signal(signal.SIGHUP)
    running.wait_for("Reloaded.")
    assert wait_until(lambda: not any(map(is_alive, before)))
    assert running.get().startswith("new ")
    assert running.stop() == 0


def test_what_takes_longer_than_grace_is_cut_off(run):
    running = run(grace=1)
    connection = running.connect()
    connection.sendall(b"GET /meet HTTP/1.1\r\nHost: localhost\r\n\r\n")  # it waits for others
    assert running.get()
    assert running.stop() == 0
    assert connection.recv(100) == b""


def test_workers_end_with_the_process_above_them(run):
    running = run(workers=2)
    those = workers(running)
    running.process.kill()
    assert wait_until(lambda: not any(map(is_alive, those)))
    assert running.notes.count("stopped") == 2


@pytest.mark.parametrize(("use", "gateway"), [("waitress", "wsgi"), ("uvicorn", "asgi")])
def test_what_fails_at_the_start_is_told_and_ends_all(run, monkeypatch, use, gateway):
    monkeypatch.setenv("FAIL", "1")
    running = run(use, gateway)
    assert running.process.wait(20) == 3
    assert "no start" in running.log
    assert "Traceback" not in running.log


def test_a_socket_file_that_is_left_over_is_replaced(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind("s")
    running = run(bind="unix:s")
    assert running.get(unix=True).startswith("old ")


# kit.asgi


def test_the_asgi_application_is_checked_on_import(project):
    code = "from kit.asgi import application; print(application.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "asgi\n", done.stderr
    (project / "shop.py").write_text("from kit import App\napp = App('kit.toml')\n1 / 0\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 3
    assert "shop.py:3: ZeroDivisionError: division by zero" in done.stderr
    assert "Traceback" not in done.stderr
