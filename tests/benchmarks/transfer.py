"""The theme ``transfer``: a large upload and a large download, and what they take of memory."""

from __future__ import annotations

import http.client
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import Effort, Row, Table, Target, say
from processes import PATIENCE, Server, serving

SERVERS = {
    "uvicorn": "asgi",
    "granian": "asgi",
    "hypercorn": "asgi",
    "gunicorn": "wsgi",
}
LIMIT = 20 << 20
PIECE = 1 << 20
NOTES = [
    "memory is the most that the server's processes held during the transfer, beyond what they"
    " held after one of a mebibyte",
    "uploads are read in pieces by the handler, as they come; downloads are 64 KiB at a time from"
    " a generator, or a file",
]


def measure(effort: Effort) -> Table:
    """Send and fetch a great many bytes, to and from each server."""
    size = PIECE if effort.quick else 1 << 30
    servers = {"uvicorn": "asgi"} if effort.quick else SERVERS
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "large")
        for server, kind in servers.items():
            app = f"peers.served_framekit:{kind}"
            with serving(server, app, environ={"BENCHMARK_FILE": str(file)}) as served:
                for name, move in _moves(file).items():
                    say(f"transfer: {name}, {server}")
                    rows.append(_weighed(f"{name}, {server}", move, served, size))
    title = f"{size >> 20:,} MiB each, on servers with one worker"
    return Table("transfer", title, "as named", [], rows, NOTES)


def _moves(file: Path) -> dict[str, Callable[[int, int], int]]:
    def of_file(port: int, size: int) -> int:
        with open(file, "wb") as large:
            large.truncate(size)
        return _fetched(port, "/file")

    return {
        "upload, async def": lambda port, size: _sent(port, "/upload", size),
        "upload, def": lambda port, size: _sent(port, "/upload/plain", size),
        "download, async def": lambda port, size: _fetched(port, f"/download/{size}"),
        "download, def": lambda port, size: _fetched(port, f"/download/plain/{size}"),
        "download of a file": of_file,
    }


def _weighed(name: str, move: Callable[[int, int], int], served: Server, size: int) -> Row:
    move(served.port, PIECE)
    served.forget_peak()
    first, start = served.memory(), time.perf_counter()
    moved = move(served.port, size)
    seconds, grown = time.perf_counter() - start, max(served.peak() - first, 0)
    if moved != size:
        raise ValueError(f"{name}: {moved} bytes of {size} came through")
    found = {"MiB more": grown / (1 << 20), "MiB/s": size / (1 << 20) / seconds}
    target = Target(f"< {LIMIT >> 20} MiB more", f"{grown / (1 << 20):.1f} MiB", grown < LIMIT)
    return Row(name, found, found, {}, [target])


def _sent(port: int, path: str, size: int) -> int:
    """Send that many bytes, and return how many the server has counted."""
    headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("POST", path, _pieces(size), headers)
        return int(connection.getresponse().read())
    finally:
        connection.close()


def _pieces(size: int) -> Iterator[bytes]:
    piece = os.urandom(PIECE)
    for _ in range(size // PIECE):
        yield piece


def _fetched(port: int, path: str) -> int:
    """Return how many bytes came."""
    count, buffer = 0, bytearray(PIECE)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        while got := answer.readinto(buffer):
            count += got
        return count
    finally:
        connection.close()
