"""The theme ``connections``: many idle WebSockets, and many slow clients, beside healthy ones."""

from __future__ import annotations

import http.client
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle

from harness import Effort, Row, Table, Target, say
from processes import HERE, PATIENCE, Server, before, serving

SERVERS = {
    "uvicorn": "asgi",
    "granian": "asgi",
    "hypercorn": "asgi",
    "gunicorn": "wsgi",
    "waitress": "wsgi",
}
MORE = {
    "granian": "--backlog 4096",
    "hypercorn": "--backlog 2048",
    "gunicorn": "--worker-connections 4000",
    "waitress": "--connection-limit 4000 --asyncore-use-poll",
}
PROXIED = {"gunicorn"}
KINDS = {"sockets": "idle WebSockets", "slow": "slow clients"}
PROBES = ("/", "/plain")
LIMIT = 1.0
NOTES = [
    "a probe every 30 ms, each on a connection of its own, for a handler with async def and a plain"
    " one in turns, from before the first connection until after the last",
    "slow clients send a byte each second: half of them within the headers, a quarter each within"
    " the body for a handler with async def and for a plain one",
    "gunicorn's threads read a request as slowly as it comes: it belongs behind a proxy that keeps"
    " slow clients off, and has no target here",
    "'KiB each' is what the memory of the server's processes has grown by, for each connection",
]


def measure(effort: Effort) -> Table:
    """Connect many clients to each server, and ask it something else meanwhile."""
    count, seconds = (20, 0.1) if effort.quick else (1000, 5.0)
    servers = {"uvicorn": "asgi"} if effort.quick else SERVERS
    rows = []
    for what, clients in KINDS.items():
        for server, kind in servers.items():
            if what == "slow" or kind == "asgi":
                say(f"connections: {clients}, {server}")
                app = "sockets" if what == "sockets" else kind
                rows.append(_held(what, server, app, count, seconds))
    title = f"{count:,} connections at once, for {seconds:g} seconds"
    return Table("connections", title, "as named", [], rows, NOTES)


def _held(what: str, server: str, app: str, count: int, seconds: float) -> Row:
    app = f"peers.served_framekit:{app}"
    with serving(server, app, more=MORE.get(server, "")) as served, _probed(served) as times:
        first = served.memory()
        with _crowd(what, served.port, count) as told:
            time.sleep(seconds)
            grown = served.memory() - first
        time.sleep(seconds / 10)
    slowest, kept = max(times), told[0]
    found = {
        "KiB each": grown / count / 1024,
        "probe, ms": statistics.median(times) * 1e3,
        "slowest probe, ms": slowest * 1e3,
        "kept": kept,
    }
    targets = []
    if server not in PROXIED:
        targets.append(Target(f"each probe < {LIMIT:g} s", f"{slowest:.2f} s", slowest < LIMIT))
    if what == "sockets":
        targets.append(Target(f"all {count:,} are kept", f"{kept:,}", kept == count))
    return Row(f"{KINDS[what]}, {server}", found, found, {}, targets)


@contextmanager
def _crowd(what: str, port: int, count: int) -> Iterator[list[int]]:
    """Have many clients within the block; after it the list holds how many were kept."""
    command = [sys.executable, str(HERE / "crowd.py"), what, str(port), str(count)]
    kept: list[int] = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=before(None)
    ) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "open\n":
            raise RuntimeError(f"{' '.join(command)} failed")
        yield kept
        told, _ = process.communicate(timeout=2 * PATIENCE)
        kept.append(int(told))


@contextmanager
def _probed(server: Server) -> Iterator[list[float]]:
    """Ask the server all the time within the block, and list how long each answer took."""
    times: list[float] = []
    over = threading.Event()

    def ask() -> None:
        for path in cycle(PROBES):
            times.append(_asked(server.port, path))
            if over.wait(0.03):
                return

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield times
    finally:
        over.set()
        thread.join()


def _asked(port: int, path: str) -> float:
    """Return the seconds of one answer; those of no answer are the most that is waited."""
    start = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE / 10)
    try:
        connection.request("GET", path)
        if connection.getresponse().status != 200:
            raise RuntimeError(f"the probe of {path} was refused")
    except OSError:
        return max(time.perf_counter() - start, PATIENCE / 10)
    finally:
        connection.close()
    return time.perf_counter() - start
