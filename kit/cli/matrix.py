"""``kit matrix``: the application's own tests, on combinations of components."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import click

from kit.cli.catalogue import catalogue, pip_line
from kit.cli.combinations import Combination, axes, combinations, refuse, variations
from kit.cli.left_out import AXIS, LeftOut, applying, left_out
from kit.cli.options import project_options
from kit.cli.output import print_problems, table
from kit.cli.project import Project
from kit.cli.testruns import Result, run_tests
from kit.components import Component
from kit.config import Config
from kit.errors import ConfigError, Problem
from kit.testing.browsers import GATEWAYS


@click.command("matrix")
@click.option(
    "--slot",
    "slots",
    multiple=True,
    metavar="SLOT[=NAME,NAME]",
    help="Try all components of this slot, or only those named; the slots that no --slot names"
    " stay as kit.toml fills them. Repeatable.",
)
@click.option(
    "--vary",
    multiple=True,
    metavar="KEY=VALUE,VALUE",
    help="Try values of an option, such as persistence.url; repeatable.",
)
@click.option(
    "--gateway",
    "gateways",
    multiple=True,
    type=click.Choice(GATEWAYS),
    help="Send the requests of the tests through this gateway only.  [default: both]",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=os.cpu_count() or 1,
    show_default="the number of cores",
    help="How many combinations to run at a time.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Try every combination, instead of enough to bring every two components together.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
@project_options
def command(
    project: Project,
    slots: tuple[str, ...],
    vary: tuple[str, ...],
    gateways: tuple[str, ...],
    jobs: int,
    everything: bool,
    as_json: bool,
    pytest_arguments: tuple[str, ...],
) -> None:
    """Run the application's tests on combinations of components.

    The slots that kit.toml fills are tried with every component that is installed, in as many
    combinations as bring every two of them together once; not so serving, since the tests need no
    server, and slots that take many components. The client of kit.testing sends its requests
    through WSGI in some and through ASGI in the others, as KIT_GATEWAY says. Values of a slot's
    own option (persistence.url) meet every component, and options of a component
    (sessions.beaker.backend) are varied where that component is in use. Arguments after -- go to
    pytest. Each combination gets SQLite files of its own, and those that share a
    database server run one after another. The exit code is 1 if anything failed.

    What makes no sense for the application is not tried where [matrix.without] in kit.toml names
    it with the reason, and is shown with that: "gateway.wsgi" = "web sockets need ASGI".

    \b
    Example:
        kit matrix --slot templating --slot persistence=peewee --vary sessions.secure=true,false
    """
    if not find_spec("pytest"):
        raise ConfigError([Problem("", "pytest is not installed.", "pip install pytest")])
    found = catalogue(project.config)
    if found.problems:
        print_problems(ConfigError(found.problems))
    out = left_out(found, project.config)
    for gateway in gateways:
        refuse(out, AXIS, gateway, f"--gateway {gateway}")
    chosen = axes(found, slots, out)
    gateways = gateways or GATEWAYS
    varied = variations(found, vary)
    tried = combinations(found, chosen, varied, gateways, out, all=everything)
    offered = {slot: [one.name for one in some] for slot, some in chosen.items()}
    out = list(applying(out, {**offered, AXIS: gateways}, found))
    missing = _missing(chosen.values(), out)
    begun = time.monotonic()
    results = _with_progress(_run(tried, project.config, jobs, pytest_arguments), len(tried))
    results.sort(key=lambda result: tried.index(result.combination))
    seconds = time.monotonic() - begun
    show = _json if as_json else _report
    click.echo(show(results, out, missing, seconds))
    if not results or not all(result.ok for result in results):
        raise SystemExit(1)


def _missing(chosen: Iterable[Iterable[Component]], out: Sequence[LeftOut]) -> list[Component]:
    """Return the components that would be tried if their libraries were installed."""
    lone = [one.lone for one in out]
    each = [one for some in chosen for one in some if (one.slot, one.name) not in lone]
    return [one for one in each if one.version() is None]


def _run(
    tried: Sequence[Combination], config: Config, jobs: int, arguments: Sequence[str]
) -> Iterator[Result]:
    """Yield the results as they come, `jobs` at a time."""
    servers: defaultdict[str, Lock] = defaultdict(Lock)

    def run(combination: Combination, scratch: Path) -> Result:
        server = combination.database(config)
        with servers[server] if server else Lock():
            scratch.mkdir()
            environment = combination.environment(config, scratch)
            return run_tests(combination, environment, config.folder, scratch, arguments)

    with (
        tempfile.TemporaryDirectory(prefix="kit-matrix-") as folder,
        ThreadPoolExecutor(jobs) as pool,
    ):
        futures = [pool.submit(run, one, Path(folder, str(n))) for n, one in enumerate(tried)]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _with_progress(results: Iterator[Result], count: int) -> list[Result]:
    """Collect results; tell of each on stderr, on a terminal in one line that changes."""
    live = sys.stderr.isatty()
    width = shutil.get_terminal_size().columns - 1
    done: list[Result] = []
    if live:
        click.echo(f"0 of {count} combinations", err=True, nl=False)
    for result in results:
        done.append(result)
        name = " ".join(result.combination.labels().values())
        line = f"{len(done)} of {count}  {name}: {result.summary}"
        click.echo(f"\r\033[K{line[:width]}" if live else line, err=True, nl=not live)
    if live:
        click.echo("\r\033[K", err=True, nl=False)
    return done


def _report(
    results: Sequence[Result],
    out: Sequence[LeftOut],
    missing: Sequence[Component],
    seconds: float,
) -> str:
    """Return the output of failures, the table, what is not in it and why, and a line to sum up."""
    parts = []
    for result in results:
        if not result.ok:
            name = ", ".join(f"{k} {v}" for k, v in result.combination.labels().items())
            title = click.style(f"{name}: {result.summary}", fg="red", bold=True)
            parts.append(f"{title}\n{result.output.rstrip()}\n")
    columns = list(dict.fromkeys(key for r in results for key in r.combination.labels()))
    parts.append(
        table(
            [*columns, "passed", "failed", "skipped", "seconds", ""],
            [_row(result, columns) for result in results],
        )
    )
    parts.extend(f"left out: {one.key}: {one.reason}" for one in out)
    parts.extend(f"missing: {one.slot} {one.name}: {pip_line(one)}" for one in missing)
    failed = sum(not result.ok for result in results)
    parts.append(
        f"{len(results)} combinations in {seconds:.1f} s:"
        f" {len(results) - failed} passed, {failed} failed, {len(missing)} components missing."
    )
    return "\n".join(parts)


def _row(result: Result, columns: Sequence[str]) -> list[object]:
    labels = result.combination.labels()
    verdict = "ok" if result.ok else "FAILED"
    counts = [result.passed, result.failed, result.skipped, round(result.seconds, 1)]
    return [*(labels.get(column, "-") for column in columns), *counts, verdict]


def _json(
    results: Sequence[Result],
    out: Sequence[LeftOut],
    missing: Sequence[Component],
    seconds: float,
) -> str:
    document: dict[str, Any] = {
        "ok": bool(results) and all(result.ok for result in results),
        "seconds": round(seconds, 3),
        "combinations": [_entry(result) for result in results],
        "left_out": [{"what": one.key, "reason": one.reason} for one in out],
        "missing": [
            {"slot": one.slot, "component": one.name, "install": pip_line(one)} for one in missing
        ],
    }
    return json.dumps(document, indent=2)


def _entry(result: Result) -> dict[str, Any]:
    labels = result.combination.labels()
    return {
        "components": result.combination.components,
        "gateway": result.combination.gateway,
        "values": {key: labels[key] for key in result.combination.values},
        "ok": result.ok,
        "passed": result.passed,
        "failed": result.failed,
        "skipped": result.skipped,
        "seconds": round(result.seconds, 3),
        "output": "" if result.ok else result.output,
    }
