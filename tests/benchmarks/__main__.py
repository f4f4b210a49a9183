"""Benchmarks: ``python tests/benchmarks``; ``--help`` says more."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import subprocess
import sys
import tempfile
import traceback
from importlib import metadata
from pathlib import Path

import msgspec
from harness import BATCH_SECONDS, QUICK_BATCH_SECONDS, Effort, Figures, Table, text

THEMES = {
    "requests": "traffic",
    "input": "inputs",
    "routes": "routes",
    "plugins": "plugin_cost",
    "start": "starting",
    "persistence": "stores",
    "asgi": "asgi_traffic",
    "servers": "servers",
    "connections": "connections",
    "transfer": "transfer",
    "recipes": "recipes",
}
SHOWN = (
    *("framekit", "falcon", "bottle", "flask", "flask-wtf", "fastapi", "django"),
    *("starlette", "litestar", "sanic", "blacksheep"),
    *("beaker", "jinja2", "msgspec", "pydantic", "wtforms"),
    *("granian", "gunicorn", "uvicorn", "uvloop", "httptools", "hypercorn", "waitress"),
)


def main() -> int:
    """Measure, print, and return 2 if something could not be measured, 0 otherwise."""
    options = _options()
    names = [name for only in options.only or THEMES for name in only.split(",")]
    if unknown := [name for name in names if name not in THEMES]:
        print(f"no theme {', '.join(unknown)}; there are: {', '.join(THEMES)}", file=sys.stderr)
        return 2
    tables: list[Table] = []
    complete = True
    for name in names:
        table = _here(name, options.quick) if len(names) == 1 else _apart(name, options.quick)
        complete = complete and table is not None
        if table is not None:
            tables.append(table)
            if not options.silent:
                print(text(table, styled=sys.stdout.isatty()), end="\n\n", flush=True)
    if options.json:
        figures = msgspec.json.encode(Figures(machine(), tables))
        options.json.write_bytes(msgspec.json.format(figures))
    return 0 if complete else 2


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python tests/benchmarks",
        description="Time Framekit beside bare callables and other frameworks.",
        epilog="The exit code is 0, whatever the figures are, and 2 after errors.",
    )
    parser.add_argument("--only", action="append", metavar="THEME", help=", ".join(THEMES))
    parser.add_argument("--quick", action="store_true", help="a smoke run; its figures are rough")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--silent", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _here(name: str, quick: bool) -> Table | None:
    effort = Effort(3, 1, QUICK_BATCH_SECONDS) if quick else Effort(61, 9, BATCH_SECONDS)
    try:
        table: Table = importlib.import_module(THEMES[name]).measure(effort)
    except Exception:
        traceback.print_exc()
        return None
    return table


def _apart(name: str, quick: bool) -> Table | None:
    """Measure in a process of its own, so that no theme is slowed by what another imported."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "figures.json")
        command = [sys.executable, str(Path(__file__).parent), "--only", name, "--json", str(file)]
        done = subprocess.run([*command, "--silent", *(["--quick"] if quick else [])], check=False)
        if done.returncode:
            return None
        return msgspec.json.decode(file.read_bytes(), type=Figures).tables[0]


def machine() -> str:
    """Say in one line what was measured, and on what."""
    versions = [f"{name} {metadata.version(name)}" for name in SHOWN if _installed(name)]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    cores = f"{os.cpu_count()} cores {platform.machine()}"
    return f"{python}, {platform.system()} on {cores}; {', '.join(versions)}"


def _installed(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(main())
