"""The recipe in the style of Sanic: copied out, its tests pass; on servers it streams both ways."""

from __future__ import annotations

import ast
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

RECIPE = Path(__file__).parents[2] / "recipes" / "sanic_style"
KIT = Path(sys.executable).with_name("kit")
LEFT_BY_RUNS = re.compile(r"__pycache__|\.\w+_cache|secret\.key$")
IN_PRODUCTION = {
    "KIT_PROFILE": "production",
    "SECRET_KEY": secrets.token_urlsafe(32),
    "HOST": "tour.example.org",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
}
PATIENCE = 30


def environment(**more: str) -> dict[str, str]:
    """The environment without any setting of the tests around it but `more`."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("KIT_", "PYTEST_"))}
    own["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # those of the tests around it take long
    return {**own, **more}


def run(folder: Path, *command: str | Path, **more: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def own_files(folder: Path = RECIPE) -> Iterator[str]:
    """Yield the names of all files but those that tools and runs leave behind."""
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not LEFT_BY_RUNS.search(name):
            yield name


def test_its_tests_pass_where_it_is_copied_to_and_leave_nothing_behind(tmp_path: Path):
    run(tmp_path, KIT, "new", "demo", "--recipe", "sanic_style")
    folder = tmp_path / "demo"
    before = set(own_files(folder))
    assert before == set(own_files())
    run(folder, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert set(own_files(folder)) == before


def test_it_runs_on_the_other_router(tmp_path: Path):
    left_out = shutil.ignore_patterns("secret.key", "__pycache__", ".*_cache")
    folder = shutil.copytree(RECIPE, tmp_path / "copy", ignore=left_out)
    few = ["tests/test_tour.py", "-k", "typed or fit or 405 or post or blueprint or files"]
    run(folder, sys.executable, "-m", "pytest", "-q", *few, KIT_ROUTING__USE="werkzeug")


def test_it_is_fit_for_production_but_for_values_of_ones_own():
    assert "0 findings" in run(RECIPE, KIT, "check", "--deploy", **IN_PRODUCTION)


def test_its_framework_is_short():
    assert len((RECIPE / "framework.py").read_text("utf-8").splitlines()) < 320


@pytest.mark.parametrize("name", [name for name in own_files() if name.endswith(".py")])
def test_it_imports_no_particular_library(name: str):
    tree = ast.parse((RECIPE / name).read_text("utf-8"))
    imports = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    imports |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    tops = {module.partition(".")[0] for module in imports}
    own = {"framework", *({"tour", "pytest"} if name.startswith("tests/") else set())}
    assert tops - sys.stdlib_module_names - own <= {"kit"}


def test_its_readme_names_every_file():
    readme = (RECIPE / "README.md").read_text("utf-8")
    assert [name for name in own_files() if f"`{name}`" not in readme] == ["README.md"]


# On servers


@contextmanager
def served(log: Path, server: str) -> Iterator[str]:
    """Serve the recipe; yield host and port. In the end it stops, and has logged no failure."""
    own = {
        "KIT_APP__SECRET_KEY": secrets.token_urlsafe(32),
        "KIT_SERVING__USE": server,
        "KIT_SERVING__BIND": "127.0.0.1:0",
    }
    with log.open("w") as errors:
        running = subprocess.Popen(
            [KIT, "serve"],
            cwd=RECIPE,
            env=environment(**own),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        said = ""
        for line in running.stdout:
            said += line
            if line == "Serving.\n":
                break
        found = re.search(r"http://\S+:\d+", said)
        assert found, said + log.read_text()
        yield urlsplit(found[0]).netloc
        running.terminate()
        assert running.wait(PATIENCE) == 0
    finally:
        running.kill()
        running.wait()
        running.stdout.close()
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module", params=["granian", "uvicorn"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of a server that runs the recipe."""
    with served(tmp_path_factory.mktemp("served") / "log", request.param) as netloc:
        yield netloc


@contextmanager
def requested(host: str, method: str, path: str, body: bytes = b"") -> Iterator[socket.socket]:
    """Send a request with a chunked body, of which `body` is the beginning."""
    name, _, port = host.partition(":")
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Transfer-Encoding: chunked", "", ""]
    with closing(socket.create_connection((name, int(port)), timeout=PATIENCE)) as connection:
        connection.sendall("\r\n".join(lines).encode() + body)
        yield connection


def read_until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        data += (more := connection.recv(65536))
        assert more, data
    return data


def test_the_first_bytes_come_back_before_the_upload_ends(host: str):
    with requested(host, "POST", "/stream", b"3\r\na1b\r\n") as connection:
        assert b"\r\n3\r\naAb\r\n" in read_until(connection, b"aAb\r\n")
        connection.sendall(b"4\r\n1111\r\n")
        assert b"AAAA" in read_until(connection, b"AAAA")
        connection.sendall(b"0\r\n\r\n")
        assert read_until(connection, b"0\r\n\r\n").endswith(b"0\r\n\r\n")


def test_each_tick_is_sent_at_once_and_a_client_may_leave(host: str):
    with requested(host, "GET", "/ticks/1000000", b"0\r\n\r\n") as connection:
        assert b"tick 2" not in read_until(connection, b"tick 1\n")
        read_until(connection, b"tick 2\n")
    with requested(host, "POST", "/stream", b"3\r\na1b\r\n") as connection:
        read_until(connection, b"aAb")
    assert answer_of(host, "/csv").endswith(b"foo,bar")


def answer_of(host: str, path: str) -> bytes:
    with closing(HTTPConnection(host, timeout=PATIENCE)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.getheader("X-Served-By") == "sanic"
        return f"{answer.status} {answer.getheader('Content-Length')}\n".encode() + answer.read()


def test_pieces_come_without_a_length(host: str):
    assert answer_of(host, "/csv") == b"200 None\nfoo,bar"


def test_many_sleep_at_the_same_time(host: str):
    begun = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(answer_of, [host] * 20, ["/sleep/0.5"] * 20))
    assert found == [b"200 19\nSlept 0.5 seconds.\n"] * 20
    assert time.monotonic() - begun < 5  # 10 seconds, one after the other


def opened(host: str, path: str) -> ClientConnection:
    return connect(f"ws://{host}{path}", open_timeout=PATIENCE, compression=None)


def test_large_messages_pings_and_codes_of_a_web_socket(host: str):
    messages = ["", b"", "x" * 100_000, b"\x00" * 100_000, "Zoë"]
    with opened(host, "/echo") as ws:
        for message in messages:
            ws.send(message)
        assert [ws.recv(PATIENCE) for _ in messages] == messages
        assert ws.ping().wait(PATIENCE)
        ws.close(1000)
        assert (ws.close_code, ws.protocol.close_rcvd.code) == (1000, 1000)


def test_a_lost_connection_disturbs_nobody_in_a_room(host: str):
    with opened(host, "/chat/den") as ada, opened(host, "/chat/den") as grace:
        for number in range(3):
            edsger = opened(host, "/chat/den")
            edsger.socket.shutdown(socket.SHUT_RDWR)
            ada.send(f"{number}")
            assert grace.recv(PATIENCE) == ada.recv(PATIENCE) == f"{number}"


@pytest.mark.parametrize("path", ["/nope", "/teapot"])
def test_a_handshake_elsewhere_is_refused(host: str, path: str):
    with pytest.raises(InvalidStatus) as refused:
        opened(host, path)
    assert 400 <= refused.value.response.status_code < 500
    assert answer_of(host, "/echo").startswith(b"400 ")
