"""The theme ``start``: from the command to the first answer, and what ``import kit`` imports."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness import Effort, Row, Table, Target, row, say

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "contacts"
LIMIT = 0.7
PATIENCE = 30
LIBRARIES = ("sqlalchemy", "peewee", "jinja2", "mako", "beaker", "itsdangerous", "ffroute")
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
_IMPORT = """
import json, sys, time
start, cpu = time.perf_counter(), time.process_time()
import kit
spent = [time.perf_counter() - start, time.process_time() - cpu]
print(json.dumps([*spent, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def measure(effort: Effort) -> Table:
    """Start both several times, each in a process of its own."""
    notes = ["the modules were compiled to bytecode before, as by any earlier start"]
    with tempfile.TemporaryDirectory() as folder:
        compiled = {name: value for name, value in os.environ.items() if name != _NO_BYTECODE}
        compiled |= {"PYTHONPYCACHEPREFIX": folder, "SECRET_KEY": "benchmark" * 8}
        rows = [_imported(effort.starts, compiled)]
        if missing := _missing():
            notes.append(f"kit run is not measured: {missing}")
        else:
            rows.append(_served(effort.starts, compiled))
    title = f"wall-clock and CPU time, median of {effort.starts} processes"
    return Table("start", title, "milliseconds", [], rows, notes)


def _imported(starts: int, environ: Mapping[str, str]) -> Row:
    say("start: import kit")
    times: dict[str, list[float]] = {"time": [], "CPU": []}
    found: set[str] = set()
    _run([sys.executable, "-c", _IMPORT], environ)
    for _ in range(starts):
        spent, cpu, modules = json.loads(_run([sys.executable, "-c", _IMPORT], environ))
        times["time"].append(spent)
        times["CPU"].append(cpu)
        found |= set(modules) & {*LIBRARIES, *(f"kit_{library}" for library in LIBRARIES)}
    timed = row("import kit", times, 1e3)
    what = "import kit imports no adapter and no library of one"
    timed.targets.append(Target(what, ", ".join(sorted(found)) or "none", not found))
    return timed


def _run(command: list[str], environ: Mapping[str, str]) -> bytes:
    return subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE).stdout


def _missing() -> str:
    if not (RECIPE / "kit.toml").is_file():
        return "there is no recipe contacts yet"
    if not _command().is_file() or importlib.util.find_spec("kit.cli") is None:
        return "there is no command line yet"
    return ""


def _command() -> Path:
    return Path(sys.executable).with_name("kit")


def _served(starts: int, environ: Mapping[str, str]) -> Row:
    say("start: kit run")
    _first_answer(environ)
    times: dict[str, list[float]] = {"time": [], "CPU": []}
    for _ in range(starts):
        before = _cpu_of_children()
        times["time"].append(_first_answer(environ))
        times["CPU"].append(_cpu_of_children() - before)
    timed = row("kit run contacts, to the first answer", times, 1e3)
    seconds = timed.medians["time"] / 1e3
    timed.targets.append(Target(f"< {LIMIT} s", f"{seconds:.2f} s", seconds < LIMIT))
    return timed


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _first_answer(environ: Mapping[str, str]) -> float:
    """Return the seconds from the start of the process to the end of the first page."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = shutil.copytree(
            RECIPE, Path(folder, "contacts"), ignore=shutil.ignore_patterns("*.db", "*.sqlite*")
        )
        port = _free_port()
        start = time.perf_counter()
        with _server(recipe, port, environ) as process:
            while time.perf_counter() - start < PATIENCE and process.poll() is None:
                with contextlib.suppress(ConnectionError, urllib.error.URLError):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE).read()
                    return time.perf_counter() - start
                time.sleep(0.005)
            log = Path(folder, "log").read_text() if process.poll() is not None else "no answer"
        raise RuntimeError(f"kit run failed: {log[-2000:]}")


@contextlib.contextmanager
def _server(
    recipe: Path, port: int, environ: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(_command()), "run", "--port", str(port)]
    with open(recipe.parent / "log", "wb") as log:
        process = subprocess.Popen(command, cwd=recipe, env=environ, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
