"""The theme ``routes``: does an application with 1,000 routes answer as fast as one with three?"""

from __future__ import annotations

from client import Environ, ask, batch, get
from harness import Effort, Row, Table, interleave, ratio_target, row, say

import kit


def _list() -> str:
    return "all"


def _show(id: int) -> str:
    return str(id)


def _named(name: str) -> str:
    return name


def _part(id: int, part: int) -> str:
    return f"{id} {part}"


SECTIONS = [f"section-{number:02}" for number in range(40)]
RESOURCES = ["contacts", "invoices", "notes", "orders", "tags"]
SHAPES = {
    "/{}/{}": _list,
    "/{}/{}/<int:id>": _show,
    "/{}/{}/<int:id>/edit": _show,
    "/{}/{}/by/<name>": _named,
    "/{}/{}/<int:id>/parts/<int:part>": _part,
}
ASKED = {
    "/{}/{}": "/{}/{}",
    "/{}/{}/<int:id>": "/{}/{}/{}",
    "/{}/{}/<int:id>/parts/<int:part>": "/{}/{}/{}/parts/7",
}
ROUTERS = ("ffroute", "werkzeug")
LIMIT = 1.2
FEW, MANY, SPREAD = "3 routes", "1,000 routes", "1,000, all sections"


def measure(effort: Effort) -> Table:
    """Time the same requests with both sets of routes, on both routers."""
    few = [(shape, SECTIONS[20], RESOURCES[2]) for shape in ASKED]
    many = [(shape, section, r) for section in SECTIONS for r in RESOURCES for shape in SHAPES]
    rows = []
    for router in ROUTERS:
        say(f"routes: {router}")
        rows.append(_timed(router, _application(router, few), _application(router, many), effort))
    title = f"CPU time of a request, median of {effort.rounds} interleaved rounds"
    note = (
        "a third of the requests each for a fixed path, one number and two numbers, below one"
        f" section and resource; in {SPREAD!r} below all of them"
    )
    return Table("routes", title, "microseconds", [MANY, SPREAD], rows, [note])


def _application(router: str, routes: list[tuple[str, str, str]]) -> kit.App:
    app = kit.App({"routing": {"use": router}})
    for number, (shape, section, resource) in enumerate(routes):
        app.get(shape.format(section, resource), name=f"route-{number}")(SHAPES[shape])
    return app.start()


def _same(number: int) -> Environ:
    return get([*ASKED.values()][number % 3].format(SECTIONS[20], RESOURCES[2], number))


def _spread(number: int) -> Environ:
    section, resource = SECTIONS[number * 7 % 40], RESOURCES[number % 5]
    return get([*ASKED.values()][number % 3].format(section, resource, number))


def _timed(router: str, few: kit.App, many: kit.App, effort: Effort) -> Row:
    work = {FEW: (few, _same), MANY: (many, _same), SPREAD: (many, _spread)}
    for app, request in work.values():
        for environ in map(request, range(120)):
            if (answer := ask(app, environ)).status != 200:
                raise ValueError(f"{router} answers {environ['PATH_INFO']} with {answer}")
    batches = {name: batch(*one, effort.batch_seconds) for name, one in work.items()}
    timed = row(router, interleave(batches, effort.rounds), 1e6, [MANY, SPREAD])
    timed.targets.append(ratio_target(timed, MANY, FEW, LIMIT))
    return timed
