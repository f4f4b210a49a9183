"""The theme ``asgi``: three kinds of request through the ASGI callable, beside its peers."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from asgi import ASGI
from client import App, Environ, batch
from harness import Effort, Row, Table, Target, interleave, row, say
from peers import bare_asgi, framekit_asgi
from peers.task import CASES, Case

OURS = {"Framekit": "async", "inline": "inline"}
PEERS = {
    "Starlette": "starlette",
    "FastAPI": "fastapi",
    "Litestar": "litestar",
    "Sanic": "sanic",
    "Falcon": "falcon",
    "BlackSheep": "blacksheep",
}
TYPES = {"plain text": "text/", "JSON": "application/json", "<int:id>": "text/"}
NOTES = [
    "no server and no sockets: the callables are awaited one request after another in one task,"
    " with a scope as uvicorn makes it of what a browser sends",
    "handlers are written with async def; in 'inline' they are plain and declared cheap, in"
    " 'in a thread' plain, each in a worker thread",
    "text of ours is HTML, and each answer of ours has five headers that browsers heed for"
    " security; those of the peers have none",
]
HEADERS = {
    "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate, br, zstd",
    "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.7,de;q=0.3",
    "HTTP_CONNECTION": "keep-alive",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "HTTP_REFERER": "http://127.0.0.1:8000/contacts",
}


def measure(effort: Effort) -> Table:
    """Check that all applications answer alike, and time them."""
    notes = [*NOTES]
    with ExitStack() as to_stop:
        apps = _apps(notes, to_stop)
        cases = [_as_sent(case) for case in CASES if case.name in TYPES]
        for case in cases:
            for name, app in apps.items():
                case.verify(name, app)
        rows = []
        for case in cases:
            say(f"asgi: {case.name}")
            rows.append(_timed(case, apps, effort))
    title = f"CPU time of each, median of {effort.rounds} interleaved rounds"
    return Table("asgi", title, "microseconds", [*OURS], rows, notes)


def _apps(notes: list[str], to_stop: ExitStack) -> dict[str, App]:
    apps = {"ASGI": ASGI(bare_asgi.make())}
    for name, handlers in {**OURS, "in a thread": "thread"}.items():
        apps[name] = _started(framekit_asgi.make(handlers), to_stop)
    for name, library in PEERS.items():
        try:
            importlib.import_module(library)
        except ImportError:
            notes.append(f'{name} is not installed: pip install "framekit[bench]"')
        else:
            made = importlib.import_module(f"peers.{library}_asgi").make()
            apps[name] = _started(made, to_stop)
    return {**apps}


def _started(app: object, to_stop: ExitStack) -> ASGI:
    client = ASGI(app)
    client.start()
    to_stop.callback(client.stop)
    return client


def _as_sent(case: Case) -> Case:
    """Return the case with what a browser sends, and a look at the type of the answer."""

    def prepare(app: App) -> Callable[[int], Environ]:
        request = case.prepare(app)
        return lambda number: {**request(number), **HEADERS}

    def right(answer, number):  # type: ignore[no-untyped-def]
        kind = {name.lower(): value for name, value in answer.headers}["content-type"]
        return kind.startswith(TYPES[case.name]) and case.right(answer, number)

    return Case(case.name, prepare, right)


def _timed(case: Case, apps: dict[str, App], effort: Effort) -> Row:
    make = partial(batch, seconds=effort.batch_seconds)
    batches = {name: make(app, case.prepare(app)) for name, app in apps.items()}
    timed = row(case.name, interleave(batches, effort.rounds), 1e6, [*OURS])
    timed.targets.extend(_faster(timed, ours) for ours in OURS)
    return timed


def _faster(row: Row, ours: str) -> Target:
    """Demand less time than any peer takes; the value is that beside the fastest of them."""
    ratios = {peer: row.ratios[ours][peer] for peer in PEERS if peer in row.medians}
    closest = max(ratios, key=ratios.__getitem__)
    text = f"{ours} < 1.00 x each of {', '.join(ratios)}"
    return Target(text, f"{ratios[closest]:.2f} x {closest}", ratios[closest] < 1)
