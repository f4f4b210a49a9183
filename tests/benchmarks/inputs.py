"""The theme ``input``: a form, JSON in and JSON out, on Framekit and beside it on its peers."""

from __future__ import annotations

import importlib
import logging

from client import App, batch
from harness import Effort, Row, Table, interleave, ratio_target, row, say
from peers import framekit_input
from peers.input_task import CASES, verify
from peers.task import Case

OURS = "Framekit"
COMPONENTS = {OURS: "msgspec", "with pydantic": "pydantic", "with wtforms": "wtforms"}
PEERS = {"Flask-WTF": "flask", "FastAPI": "fastapi", "Django": "django"}
NOTES = [
    "the form that is sent is the one that the application has shown, filled in, with its token"
    " against forgery and its cookies: all refuse it without either",
    "FastAPI has no such check: there a dependency compares the token with that of the session",
    "the other columns of ours have another component for validation",
]


def measure(effort: Effort) -> Table:
    """Check that all applications answer alike, and time them."""
    notes = [*NOTES]
    apps = _apps(notes)
    logging.disable()  # the forms that are refused on purpose
    for name, app in apps.items():
        verify(name, app)
    logging.disable(logging.NOTSET)
    rows = []
    for case in CASES:
        say(f"input: {case.name}")
        rows.append(_timed(case, apps, effort))
    title = f"CPU time of a request, median of {effort.rounds} interleaved rounds"
    return Table("input", title, "microseconds", [OURS], rows, notes)


def _apps(notes: list[str]) -> dict[str, App]:
    apps = {name: framekit_input.make(component) for name, component in COMPONENTS.items()}
    for name, library in PEERS.items():
        try:
            peer = importlib.import_module(f"peers.{library}_input")
        except ImportError as error:
            notes.append(f'{name} is not measured: {error}; pip install "framekit[bench]"')
        else:
            apps[name] = peer.make()
    return apps


def _timed(case: Case, apps: dict[str, App], effort: Effort) -> Row:
    batches = {
        name: batch(app, case.prepare(app), effort.batch_seconds) for name, app in apps.items()
    }
    timed = row(case.name, interleave(batches, effort.rounds), 1e6, [OURS])
    for peer in PEERS:
        if peer in apps:
            timed.targets.append(ratio_target(timed, OURS, peer, 1.0, below=True))
    return timed
