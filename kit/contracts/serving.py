"""The contract of the slot ``serving``: what a server does with an application under `kit serve`.

Each server is started as a process of its own, on a small application in a new folder.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from kit.contracts import Contract, clause
from kit.slots.serving import CAPABILITIES

THREADS = 4
CONNECTIONS = 3
HEAD = 8192
LARGE = 3_000_000
MESSAGE = 100_000
KEEPING = ("/keep", "/keep/stream")  # what takes uploads
KEEPING_ASYNC = ("/keep/loaded", "/keep/pieces")
PARTS = (  # of an upload of 10 bytes
    b"Content-Length: 10\r\n\r\n12345",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n5\r\n678",
)
WAIT = 20  # seconds that anything may take that is bound to come

APP = """
import json
import os
import time
from threading import Barrier, Event

import kit
from kit import App
from kit.slots.serving import ServingOptions

import text


class Noting(App):
    # by WSGI, what the server hands over is noted before the kernel sees it
    def __call__(self, environ, start_response):
        self.given = dict(environ)
        return super().__call__(environ, start_response)


app = Noting("kit.toml")
meeting = Barrier(int(os.environ["KIT_APP__THREADS"]))
going = Event()


def note(what):
    with open("notes.txt", "a") as file:
        file.write(what + "\\n")


@app.get("/")
def index():
    return f"{text.TEXT} {os.getpid()}"


@app.get("/given")
def given(environ):
    scope = environ.get("asgi.scope")
    if scope is None:
        names = ("REMOTE_ADDR", "wsgi.url_scheme", "SCRIPT_NAME", "HTTP_X_FORWARDED_FOR")
        return [app.given.get(name) for name in names]
    name = dict(scope["headers"]).get(b"x-forwarded-for", b"").decode()
    return [scope["client"][0], scope["scheme"], scope.get("root_path", ""), name]


@app.route("/echo/<path:rest>", ["GET", "POST"], csrf=False)
def echo(rest, request, environ):
    body = request.body
    return {
        "method": environ["REQUEST_METHOD"],
        "path": rest,
        "query": environ["QUERY_STRING"],
        "header": environ.get("HTTP_X_TEXT"),
        "user": environ.get("HTTP_X_USER"),
        "length": len(body),
        "body": body[:100].decode("latin-1"),
    }


def kept(data):
    note("kept")
    return data.decode()


@app.route("/keep", ["POST"], csrf=False)
def keep(request):
    return kept(request.body)


@app.route("/keep/stream", ["POST"], csrf=False)
def keep_stream(request):
    return kept(request.stream.read())


@app.get("/large")
def large():
    return b"x" * LARGE, 201, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]


@app.get("/meet")
def meet():
    meeting.wait(10)
    return "met"


@app.get("/slow")
def slow():
    note("begun")
    time.sleep(0.7)
    note("done")
    return "slow but whole " * 1000


@app.get("/stream")
def stream():
    def pieces():
        yield "first"
        going.wait(10)
        yield "last"

    return pieces()


@app.get("/go")
def go():
    going.set()
    return "gone"
"""
ASYNC = """
import asyncio


@app.websocket("/socket", csrf=False)
async def talk(socket):
    await socket.accept()
    async for message in socket:
        await socket.send(message)


@app.route("/keep/loaded", ["POST"], csrf=False)
async def keep_loaded(request):
    return kept((await request.load()).body)


@app.route("/keep/pieces", ["POST"], csrf=False)
async def keep_pieces(request):
    return kept(await request.pieces().read())


@app.get("/wait")
async def wait():
    note("waiting")
    try:
        await asyncio.sleep(30)
    finally:
        note("left")
    return "waited"
"""
PLUGIN = """
import os

import kit


@kit.hookimpl
def kit_start(app):
    if "FAIL" in os.environ:
        raise kit.ConfigError([kit.Problem("", "no start")])
    write("started")


@kit.hookimpl
def kit_stop(app):
    write("stopped")


def write(what):
    with open("notes.txt", "a") as file:
        file.write(what + "\\n")
"""


class Running:
    """`kit serve` in a folder, with an application and a configuration for the tests.

    It listens on a port of 127.0.0.1 unless `bind` says something else.
    """

    def __init__(self, folder: Path, use: str, gateway: str, bind: str, **options: object) -> None:
        self.folder = folder
        self.connections: list[socket.socket] = []
        self.unix = str(folder / "s")
        source = APP.replace("LARGE", str(LARGE)) + (ASYNC if gateway == "asgi" else "")
        (folder / "shop.py").write_text(source)
        (folder / "tells.py").write_text(PLUGIN)
        (folder / "text.py").write_text("TEXT = 'old'\n")
        (folder / "notes.txt").write_text("")
        lines = ["[app]", 'import = "shop:app"', 'plugins = ["tells"]', "[serving]"]
        given = {"use": use, "gateway": gateway, "bind": bind.split(), "grace": 10, **options}
        lines += [f"{name} = {json.dumps(value)}" for name, value in given.items()]
        (folder / "kit.toml").write_text("\n".join(lines))
        environment = os.environ | {"KIT_APP__THREADS": str(THREADS), "KIT_LIMITS__BODY": "9 MB"}
        environment["KIT_LIMITS__MESSAGE"] = str(MESSAGE)
        environment["PYTHONPATH"] = os.pathsep.join([str(folder), *sys.path])
        with (folder / "log.txt").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from kit.cli import main; main()", "serve"],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        """What it has printed."""
        return (self.folder / "log.txt").read_text()

    @property
    def notes(self) -> list[str]:
        """What the application has noted."""
        return (self.folder / "notes.txt").read_text().split()

    def wait_for(self, text: str) -> None:
        """Wait until it has printed a text."""
        wait_until(lambda: text in self.log or self.process.poll() is not None)
        assert text in self.log, self.log

    @property
    def port(self) -> int:
        """The port that it listens on."""
        self.wait_for("Serving.")
        return int(self.log.partition("127.0.0.1:")[2].split()[0].rstrip(","))

    def connect(self, unix: bool = False) -> socket.socket:
        """Return a connection to it, which `hang_up` closes."""
        if unix:
            self.wait_for("Serving.")
        made = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        self.connections.append(made)
        made.settimeout(WAIT)
        made.connect(self.unix if unix else ("127.0.0.1", self.port))
        return made

    def hang_up(self) -> None:
        """Close all connections to it."""
        while self.connections:
            self.connections.pop().close()

    def client(self, unix: bool = False) -> http.client.HTTPConnection:
        """Return a client, which keeps its connection."""
        return client_on(self.connect(unix))

    def get(self, path: str = "/", unix: bool = False, **headers: str) -> str:
        """Return the text that is answered on a path, on a connection of its own."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(self.connect(unix)) as connection:
            return fetch(client_on(connection), path, given)

    def stop(self) -> int:
        """End it, and return the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(max(WAIT, 20))
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def wait_until(happened: Callable[[], bool]) -> bool:
    """Wait until something has happened; say whether it has."""
    end = time.monotonic() + WAIT
    while not (found := happened()) and time.monotonic() < end:
        time.sleep(0.01)
    return found


def client_on(connection: socket.socket) -> http.client.HTTPConnection:
    """Return a client on a connection."""
    client = http.client.HTTPConnection("127.0.0.1", timeout=WAIT)
    client.sock = connection
    return client


def fetch(client: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> str:
    """Return the text that is answered with 200."""
    client.request("GET", path, headers={"Host": "localhost", **headers})
    answer = client.getresponse()
    text = answer.read().decode()
    assert answer.status == 200, (path, answer.status, text)
    return text


def everything(connection: socket.socket) -> bytes:
    """Return all that comes until the other side closes, or for longer than the time limit."""
    found = b""
    with suppress(ConnectionError, TimeoutError):
        while data := connection.recv(65536):
            found += data
    return found


class Talk:
    """A WebSocket, from the client's side (RFC 6455); it sends nothing unasked, and pongs."""

    def __init__(self, running: Running) -> None:
        self._connection = running.connect()
        key = base64.b64encode(os.urandom(16)).decode()
        self._connection.sendall(
            b"GET /socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: %b\r\n\r\n" % key.encode()
        )
        self._file = self._connection.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        while self._file.readline().strip():
            pass

    def send(self, kind: int, data: bytes) -> None:
        """Send one message: 1 is text, 2 bytes, 8 the end."""
        size = len(data)
        head = struct.pack("!BB", 0x80 | kind, 0x80 | size) if size < 126 else b""
        if 126 <= size < 65536:
            head = struct.pack("!BBH", 0x80 | kind, 0x80 | 126, size)
        elif size >= 65536:
            head = struct.pack("!BBQ", 0x80 | kind, 0x80 | 127, size)
        with suppress(ConnectionError):  # the other side may have had enough of it
            self._connection.sendall(head + b"\0\0\0\0" + data)

    def receive(self) -> tuple[int, bytes]:
        """Return the kind and the data of the next message that is not about the connection."""
        while True:
            first, size = self._file.read(2)
            if size == 126:
                [size] = struct.unpack("!H", self._file.read(2))
            elif size == 127:
                [size] = struct.unpack("!Q", self._file.read(8))
            data = self._file.read(size)
            if first & 15 == 9:
                self.send(10, data)
            elif first & 15 != 10:
                return first & 15, data


class ServingContract(Contract):
    """What every server promises. Subclasses give `server`, `use` and `gateway`.

    `server` is the class, `use` what stands for it in ``kit.toml``, and `gateway` the one that it
    is tested by: write a subclass for each that it has.
    """

    capabilities: ClassVar = CAPABILITIES

    server: ClassVar[Any] = None
    use: ClassVar[str] = ""
    gateway: ClassVar[str] = ""

    @pytest.fixture
    def component(self) -> Any:
        """What the server lacks by this gateway."""
        assert all((self.server, self.use, self.gateway)), "give server, use and gateway"
        return SimpleNamespace(lacks=self.lacks())

    @pytest.fixture(scope="class")
    @classmethod
    def started(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
        """A function that starts a server, or returns the one that runs with these options.

        Options that the server refuses are left out.
        """
        made: dict[str, Running] = {}

        def start(bind: str, **options: object) -> Running:
            able = {name: value for name, value in options.items() if name not in cls.lacks()}
            if bind not in made or made[bind].process.poll() is not None:
                folder = tmp_path_factory.mktemp("s")
                made[bind] = Running(folder, cls.use, cls.gateway, bind, **able)
            return made[bind]

        yield start
        for one in made.values():
            one.process.terminate()
        for one in made.values():
            one.stop()

    @classmethod
    def lacks(cls) -> dict[str, str]:
        """Return what the server says that it lacks, as far as that is about this gateway."""
        found: dict[str, str] = getattr(cls.server, "lacks", {})
        if cls.gateway == "asgi":
            return {name: why for name, why in found.items() if name != "slow clients"}
        return {"asgi": "this is the server by WSGI", **found}

    @pytest.fixture
    def running(self, started: Callable[..., Running]) -> Iterator[Running]:
        """A server on a port, with narrow limits; the one of `few` starts at the same time."""
        running = started("127.0.0.1:0", idle_timeout=1, head=HEAD)
        started("unix:s", connections=CONNECTIONS)
        yield running
        running.hang_up()

    @pytest.fixture
    def few(self, started: Callable[..., Running]) -> Iterator[Running]:
        """A server on a UNIX socket, for few connections."""
        few = started("unix:s", connections=CONNECTIONS)
        yield few
        few.hang_up()

    @clause("G1")
    def test_a_request_gets_through_whole(self, running: Running) -> None:
        """Method, path, query, headers and body get through, whether its length is said or not."""
        client = running.client()
        body = bytes(range(256)) * 4000
        for chunked in (False, True):
            data = iter([body[:1], body[1:9], body[9:]]) if chunked else body
            client.request(
                "POST",
                "/echo/a%20b%C3%A9%2Fc?x=%20&y=1",
                data,
                {"Host": "localhost", "X-Text": "a, b"},
                encode_chunked=chunked,
            )
            answer = client.getresponse()
            assert json.load(answer) == {
                "method": "POST",
                "path": "a b\xe9/c",
                "query": "x=%20&y=1",
                "header": "a, b",
                "user": None,
                "length": len(body),
                "body": body[:100].decode("latin-1"),
            }

    @clause("G2")
    def test_an_answer_gets_through_whole(self, running: Running) -> None:
        """Status, headers, of one name too, and a large body get through; to HEAD without it."""
        client = running.client()
        for method, size in (("GET", LARGE), ("HEAD", 0), ("GET", LARGE)):
            client.request(method, "/large", headers={"Host": "localhost"})
            answer = client.getresponse()
            assert answer.status == 201
            assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
            assert answer.read() == b"x" * size

    @clause("G3")
    def test_so_many_threads_at_a_time(self, running: Running) -> None:
        """So many plain handlers are called at a time as `[app] threads` says."""
        with ThreadPoolExecutor(THREADS) as pool:
            assert list(pool.map(running.get, ["/meet"] * THREADS)) == ["met"] * THREADS

    @clause("G4")
    def test_a_stream_goes_out_as_it_is_made(self, running: Running) -> None:
        """A piece of a stream is sent before the next one is made."""
        client = running.client()
        client.request("GET", "/stream", headers={"Host": "localhost"})
        answer = client.getresponse()
        assert answer.read(5) == b"first"
        assert running.get("/go") == "gone"
        assert answer.read() == b"last"

    @clause("G5")
    def test_a_connection_is_kept(self, running: Running) -> None:
        """A connection is kept for the next request."""
        client = running.client()
        for _ in range(3):
            kept = client.sock
            fetch(client, "/", {})
            assert client.sock is kept

    @clause("G6")
    def test_nothing_is_concluded_from_headers_of_proxies(self, running: Running) -> None:
        """What clients say in the name of proxies is handed through, and changes nothing else."""
        given = json.loads(
            running.get(
                "/given",
                X_Forwarded_For="6.6.6.6",
                X_Forwarded_Proto="https",
                X_Forwarded_Ssl="on",
                X_Forwarded_Prefix="/evil",
                Forwarded="for=6.6.6.6;proto=https",
                Script_Name="/evil",
            )
        )
        assert given == ["127.0.0.1", "http", "", "6.6.6.6"]

    @clause("G7")
    def test_a_header_is_taken_for_no_other(self, running: Running) -> None:
        """A header with `_` in its name is not taken for the one with `-`."""
        with running.connect() as connection:
            head = b"GET /echo/a HTTP/1.1\r\nHost: localhost\r\nX_User: root\r\n"
            connection.sendall(head + b"Connection: close\r\n\r\n")
            answer = everything(connection)
        assert b"root" not in answer
        assert answer.split()[1] in (b"200", b"400"), answer

    @clause("G8")
    def test_nothing_is_hidden_behind_a_request(self, running: Running) -> None:
        """What is unclear about the length of a request is refused, and what follows is not read.

        With both a length and chunks, the chunks may count alone (RFC 9112, section 6.3).
        """
        after = b"0\r\n\r\nGET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"
        cases: tuple[tuple[bytes, bytes, list[bytes]], ...] = (
            (b"Content-Length: 6\r\nTransfer-Encoding: chunked", after, [b"200"]),
            (b"Transfer-Encoding: chunked\r\nContent-Length: 5", after, [b"200"]),
            (b"Content-Length: 1\r\nContent-Length: 2", b"ab", []),
            (b"Transfer-Encoding: xchunked\r\nContent-Length: 5", after, []),
            (b"Content-Length: +5", b"abcde", []),
        )
        connections = []
        begun = running.notes.count("begun")
        for lines, body, _ in cases:
            connections.append(running.connect())
            head = b"POST /echo/a HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\n" % lines
            connections[-1].sendall(head + body)
        for connection, (lines, _, accepted) in zip(connections, cases, strict=True):
            connection.settimeout(0.3)
            statuses = re.findall(rb"^HTTP/1\.[01] (\d+)", everything(connection), re.M)
            assert statuses in ([], [b"400"], [b"501"], accepted), (lines, statuses)
        assert running.notes.count("begun") == begun

    @clause("G9", needs="head")
    def test_large_headers_are_refused(self, running: Running) -> None:
        """Headers larger than `head` in all are refused, and others are answered."""
        for name, size, many in (("one", 5000, 1), ("all", 1000, 100)):
            with running.connect() as connection:
                lines = b"".join(b"X-%d: %b\r\n" % (n, b"x" * size) for n in range(many))
                with suppress(ConnectionError):
                    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                    connection.sendall(head + lines + b"\r\n")
                status = everything(connection)[9:12]
            wanted = (b"200",) if name == "one" else (b"400", b"431", b"")
            assert status in wanted, (name, status)

    @clause("G10", needs="idle_timeout")
    def test_who_says_nothing_is_cut_off(self, running: Running) -> None:
        """Who has not sent the headers of a request in `idle_timeout` is cut off, however slow."""

        def cut_off(beginning: bytes, piece: bytes) -> bool:
            with running.connect() as connection:
                connection.settimeout(0.1)
                connection.sendall(beginning)
                end = time.monotonic() + WAIT / 2
                while time.monotonic() < end:
                    try:
                        connection.sendall(piece)
                        while connection.recv(65536):
                            pass
                        return True
                    except TimeoutError:
                        continue
                    except ConnectionError:
                        return True
            return False

        head = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
        with ThreadPoolExecutor(4) as pool:
            kinds = [(b"", b""), (head, b""), (head + b"X: ", b"x"), (head + b"\r\n", b"")]
            outcomes = [pool.submit(cut_off, *kind) for kind in kinds]
            assert [one.result() for one in outcomes] == [True] * 4

    @clause("G11", needs="slow clients")
    def test_slow_clients_hold_nobody_up(self, running: Running) -> None:
        """Clients that are slow to send a request occupy no thread, however many they are."""
        head = b"POST /echo/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
        slow = [running.connect() for _ in range(4 * THREADS)]
        for number, one in enumerate(slow):
            one.sendall(head + (b"\r\nbody" if number % 2 else b"X: "))
        client = running.client()
        client.sock.settimeout(min(WAIT, 5))
        fetch(client, "/", {})

    @clause("G12", needs="connections")
    def test_connections_are_limited(self, few: Running) -> None:
        """Of more connections than `connections` the others wait, or are refused."""
        kept = [few.client(unix=True) for _ in range(CONNECTIONS)]
        for one in kept:
            fetch(one, "/", {})
        with few.connect(unix=True) as another:
            another.settimeout(0.5)
            another.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                status = another.recv(65536)[9:12]
            except (TimeoutError, ConnectionError):
                status = b""
        assert status in (b"", b"503")

    @clause("G13")
    def test_a_unix_socket_is_served(self, few: Running) -> None:
        """A UNIX socket is served as a port is; when all is over it is gone."""
        few.get(unix=True)
        few.get("/echo/a", unix=True)
        assert few.stop() == 0
        assert not os.path.exists(few.unix)

    @clause("G14", needs="asgi")
    def test_messages_go_to_and_fro(self, running: Running) -> None:
        """A WebSocket carries text and bytes, up to the limit on messages, and is closed."""
        talk = Talk(running)
        assert talk.status == 101
        for kind, data in (
            (1, "caf\xe9".encode()),
            (2, b"\0\xff" * 500),
            (1, b""),
            (2, b"x" * 70000),
        ):
            talk.send(kind, data)
            assert talk.receive() == (kind, data)
        talk.send(8, struct.pack("!H", 4321))
        assert talk.receive()[0] == 8
        talk = Talk(running)
        talk.send(1, b"x" * (MESSAGE + 1))
        kind, data = talk.receive()
        assert (kind, data[:2]) == (8, struct.pack("!H", 1009))

    @clause("G15", needs="asgi")
    def test_a_handler_learns_that_its_client_is_gone(self, running: Running) -> None:
        """The handler of a client that has gone is cancelled."""
        connection = running.connect()
        connection.sendall(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wait_until(lambda: "waiting" in running.notes)
        connection.close()
        assert wait_until(lambda: "left" in running.notes)

    @clause("G16")
    def test_a_reload_takes_new_code_and_drops_nothing(self, running: Running) -> None:
        """On SIGHUP new code answers; what is in hand is finished, and nobody is turned away."""
        name = f"text{time.monotonic_ns()}"
        begun, stopped = running.notes.count("begun"), running.notes.count("stopped")
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(running.get, "/slow")
            assert wait_until(lambda: running.notes.count("begun") > begun)
            (running.folder / "text.py").write_text(f"TEXT = {name!r}\n")
            running.process.send_signal(signal.SIGHUP)
            assert wait_until(lambda: running.get().startswith(name))
            assert slow.result() == "slow but whole " * 1000
        assert wait_until(lambda: running.notes.count("stopped") > stopped)
        assert {running.get().split()[0] for _ in range(5)} == {name}

    @clause("G17")
    def test_what_is_in_hand_is_finished_at_the_end(self, running: Running) -> None:
        """On SIGTERM what is in hand is finished, others are refused, and the application stops."""
        running.get()
        port, before = running.port, running.notes
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(running.get, "/slow")
            assert wait_until(lambda: len(running.notes) > len(before))
            running.process.terminate()
            assert slow.result() == "slow but whole " * 1000
        assert running.process.wait(WAIT) == 0
        assert running.notes == [*before, "begun", "done", "stopped"]
        assert running.notes.count("started") == running.notes.count("stopped")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)

    @clause("G18")
    def test_a_part_of_an_upload_is_never_taken_for_all(self, running: Running) -> None:
        """An upload that breaks off, chunked or with a length, is never taken for a whole one."""
        paths = KEEPING + (KEEPING_ASYNC if self.gateway == "asgi" else ())
        kept, connections = running.notes.count("kept"), []
        for path, part in product(paths, PARTS * 2):
            connections.append(running.connect())
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n".encode()
            connections[-1].sendall(head + part)
        time.sleep(0.3)  # so that some are being read
        closed, reset = connections[::2], connections[1::2]
        for one in reset:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()
        for one in closed:
            one.shutdown(socket.SHUT_WR)
        assert b"200" not in {everything(one)[9:12] for one in closed}
        client = running.client()
        for path, chunked in product(paths, (False, True)):
            data = iter([b"12345", b"67890"]) if chunked else b"1234567890"
            client.request("POST", path, data, {"Host": "localhost"}, encode_chunked=chunked)
            assert client.getresponse().read() == b"1234567890"
        assert running.notes.count("kept") == kept + 2 * len(paths)
