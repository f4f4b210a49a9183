"""The theme ``routes``: does an application with 1,000 routes answer as fast as one with three?"""

from __future__ import annotations

from client import Environ, ask, batch, get
from harness import Effort, Row, Table, interleave, ratio_target, row, say

import kit

SECTIONS = [f"section-{number:02}" for number in range(40)]
RESOURCES = ["contacts", "invoices", "notes", "orders", "tags"]
SHAPES = {
    "/{}/{}": "/{}/{}",
    "/{}/{}/<int:id>": "/{}/{}/{}",
    "/{}/{}/<int:id>/edit": "/{}/{}/{}/edit",
    "/{}/{}/by/<name>": "/{}/{}/by/name-{}",
    "/{}/{}/<int:id>/parts/<int:part>": "/{}/{}/{}/parts/7",
}
MIXED = ["/{}/{}", "/{}/{}/<int:id>", "/{}/{}/<int:id>/parts/<int:part>"]
ROUTERS = ("ffroute", "werkzeug")
LIMIT = 1.2
FEW, MANY, SPREAD = "3 routes", "1,000 routes", "1,000, all asked"


def measure(effort: Effort) -> Table:
    """Time the same requests with both sets of routes, on both routers."""
    few = [shape.format(SECTIONS[20], RESOURCES[2]) for shape in MIXED]
    many = [s.format(section, r) for section in SECTIONS for r in RESOURCES for s in SHAPES]
    rows = []
    for router in ROUTERS:
        say(f"routes: {router}")
        rows.append(_timed(router, _application(router, few), _application(router, many), effort))
    title = f"Routes: CPU time of a request, median of {effort.rounds} interleaved rounds"
    note = (
        "a third of the requests each for a fixed path, one number and two numbers, all of one"
        f" section; in {SPREAD!r} they are spread over all sections, resources and shapes"
    )
    return Table("routes", title, "microseconds", [MANY], rows, [note])


def _application(router: str, patterns: list[str]) -> kit.App:
    app = kit.App({"routing": {"use": router}})
    for number, pattern in enumerate(patterns):
        app.route(pattern, name=f"route-{number}")(_handler(number, pattern))
    return app.start()


def _handler(number: int, pattern: str):  # type: ignore[no-untyped-def]
    names = [name for name in ("id", "part", "name") if f":{name}>" in pattern or name in pattern]
    handlers = {
        (): lambda: "all",
        ("id",): lambda id: str(id),
        ("name",): lambda name: name,
        ("id", "part"): lambda id, part: f"{id} {part}",
    }
    return handlers[tuple(name for name in names if f"{name}>" in pattern)]


def _mixed(number: int) -> Environ:
    path = SHAPES[MIXED[number % 3]]
    return get(path.format(SECTIONS[20], RESOURCES[2], number))


def _spread(number: int) -> Environ:
    path = SHAPES[MIXED[number % 3]]
    return get(path.format(SECTIONS[number * 7 % 40], RESOURCES[number % 5], number))


def _timed(router: str, few: kit.App, many: kit.App, effort: Effort) -> Row:
    for number in range(6):
        for app, environ in (few, _mixed(number)), (many, _mixed(number)), (many, _spread(number)):
            answer = ask(app, environ)
            if answer.status != 200:
                raise ValueError(f"{router} answers {environ['PATH_INFO']} with {answer}")
    batches = {
        FEW: batch(few, _mixed, effort.batch_seconds),
        MANY: batch(many, _mixed, effort.batch_seconds),
        SPREAD: batch(many, _spread, effort.batch_seconds),
    }
    timed = row(router, interleave(batches, effort.rounds), 1e6)
    timed.targets.append(ratio_target(timed, MANY, FEW, LIMIT))
    timed.targets.append(_spread_target(timed))
    return timed


def _spread_target(timed: Row):  # type: ignore[no-untyped-def]
    return ratio_target(timed, SPREAD, FEW, LIMIT)
