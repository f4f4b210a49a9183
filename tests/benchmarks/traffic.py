"""The theme ``requests``: seven kinds of request, on Framekit and beside it on its peers."""

from __future__ import annotations

import importlib
from functools import partial

from client import App, batch
from harness import Effort, Row, Table, interleave, ratio_target, row, say
from peers import bare, framekit_app
from peers.task import CASES, Case

OURS = "Framekit"
PEERS = {"Falcon": "falcon", "Bottle": "bottle", "Flask": "flask", "Django": "django"}
HALF = {"plain text", "JSON", "<int:id>"}
Apps = dict[str, tuple[App, App]]


def measure(effort: Effort) -> Table:
    """Check that all applications answer alike, and time them."""
    notes: list[str] = []
    apps = _apps(notes)
    for case in CASES:
        for name, both in apps.items():
            case.verify(name, both[case.sessions])
    rows = []
    for case in CASES:
        say(f"requests: {case.name}")
        rows.append(_timed(case, apps, effort))
    title = f"CPU time of each, median of {effort.rounds} interleaved rounds"
    return Table("requests", title, "microseconds", [OURS], rows, notes)


def _apps(notes: list[str]) -> Apps:
    apps: Apps = {"WSGI": bare.make()}
    for name, make in {
        OURS: framekit_app.make,
        "with werkzeug": partial(framekit_app.make, "werkzeug"),
    }.items():
        apps[name] = make()
    for name, library in PEERS.items():
        try:
            importlib.import_module(library)
        except ImportError:
            notes.append(f'{name} is not installed: pip install "framekit[bench]"')
        else:
            apps[name] = importlib.import_module(f"peers.{library}_app").make()
    return apps


def _timed(case: Case, apps: Apps, effort: Effort) -> Row:
    batches = {
        name: batch(both[case.sessions], case.prepare(both[case.sessions]), effort.batch_seconds)
        for name, both in apps.items()
    }
    timed = row(case.name, interleave(batches, effort.rounds), 1e6, [OURS])
    if case.name in HALF and "Falcon" in apps:
        timed.targets.append(ratio_target(timed, OURS, "Falcon", 0.5))
    elif case.name not in HALF:
        for peer in apps.keys() & {"Falcon", "Bottle"}:
            timed.targets.append(ratio_target(timed, OURS, peer, 1.0, below=True))
    timed.targets.sort(key=lambda target: target.text, reverse=True)
    return timed
