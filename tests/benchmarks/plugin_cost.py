"""The theme ``plugins``: what do plug-ins cost that are installed, and hooks that nobody has?

Runs itself in further processes: ``plugin_cost.py requests FOLDER ROUNDS SECONDS`` and
``plugin_cost.py construction [FOLDER]``, where FOLDER holds the plug-ins.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pluggy
from client import batch, get
from harness import Effort, Row, Table, Target, interleave, row, say

import kit

PLUGINS, HOOKS = 30, 10
NONE, CONTROL, ALL = "none", "none again", f"{PLUGINS} plug-ins, {HOOKS} hooks"
NOTICEABLE = 0.02


def measure(effort: Effort) -> Table:
    """Time requests and the construction of an application, with and without."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(PLUGINS):
            _install(Path(folder), number)
        say("plugins: requests")
        samples = _child("requests", folder, str(3 * effort.rounds), str(effort.batch_seconds))
        rows = [_judged(row("a request, microseconds", samples, 1e6, [ALL, CONTROL]))]
        say("plugins: construction")
        times: dict[str, list[float]] = {NONE: [], ALL: [], CONTROL: []}
        for _ in range(effort.starts):
            for name, place in ((NONE, []), (ALL, [folder]), (CONTROL, [])):
                times[name].append(_child("construction", *place))
        rows.append(row("first App(...).start(), milliseconds", times, 1e3, [ALL]))
    title = f"medians of {3 * effort.rounds} interleaved rounds, {effort.starts} processes"
    note = f"{CONTROL!r} is equal to {NONE!r}: what they differ by is noise"
    return Table("plugins", title, "as named", [ALL], rows, [note])


def _judged(timed: Row) -> Row:
    """Ask for no difference beyond the noise, which is never taken for less than 2 %."""
    noise = max(abs(timed.ratios[CONTROL][NONE] - 1), NOTICEABLE)
    difference = timed.ratios[ALL][NONE] - 1
    text = f"at most {noise:.1%} slower than {NONE!r}"
    timed.targets.append(Target(text, f"{difference:+.1%}", difference <= noise))
    return timed


def _install(folder: Path, number: int) -> None:
    """Make a distribution whose module must not be imported."""
    module = f"bench_plugin_{number:02}"
    slot = ("", "templating.", "persistence.", "sessions.")[number % 4]
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    info.joinpath("entry_points.txt").write_text(f"[kit]\n{slot}bench{number:02} = {module}\n")
    (folder / f"{module}.py").write_text("raise AssertionError('imported, though not selected')\n")


def _child(*arguments: str) -> Any:
    command = [sys.executable, __file__, *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def _application(hooks: int = 0) -> kit.App:
    app = kit.App({"routing": {"use": "ffroute"}})

    @app.get("/")
    def plain() -> str:
        return "Hello, World!"

    @app.get("/item/<int:id>")
    def item(id: int) -> str:
        return str(id)

    spec = pluggy.HookspecMarker("kit")
    for number in range(hooks):
        hook = {f"kit_bench_{number}": spec(lambda environ: None)}
        app.stack.plugins.manager.add_hookspecs(SimpleNamespace(**hook))
    return app.start()


def _add_plugins(folder: str) -> None:
    sys.path.append(folder)
    importlib.invalidate_caches()
    found = [name for name in kit.plugins.installed() if "bench" in name]
    if len(found) != PLUGINS:
        raise ValueError(f"{len(found)} of {PLUGINS} plug-ins are found")


def _requests(folder: str, rounds: str, seconds: str) -> dict[str, list[float]]:
    apps = {NONE: _application(), CONTROL: _application()}
    _add_plugins(folder)
    apps[ALL] = _application(HOOKS)

    def request(number: int) -> dict[str, Any]:
        return get(f"/item/{number}") if number % 2 else get("/")

    return interleave(
        {name: batch(app, request, float(seconds)) for name, app in apps.items()}, int(rounds)
    )


def _construction(folder: str = "") -> float:
    if folder:
        sys.path.append(folder)
    start = time.process_time()
    _application(HOOKS if folder else 0)
    return time.process_time() - start


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    json.dump({"requests": _requests, "construction": _construction}[what](*given), sys.stdout)
