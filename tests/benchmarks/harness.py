"""Measuring: rounds that alternate between competitors, medians, and tables with ratios."""

from __future__ import annotations

import gc
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

Batch = Callable[[], float]
"""Do some work and return how long one unit of it took, in seconds."""

BATCH_SECONDS = 0.004
QUICK_BATCH_SECONDS = 0.0004


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds of batches, and starts of processes."""

    rounds: int
    starts: int
    batch_seconds: float

    @property
    def quick(self) -> bool:
        """Whether this is a smoke run, whose figures mean nothing."""
        return self.batch_seconds < BATCH_SECONDS


@dataclass(frozen=True)
class Target:
    """What a figure should be, what it is, and whether that is good enough."""

    text: str
    value: str
    met: bool


@dataclass(frozen=True)
class Row:
    """One case: the median and the least time of each competitor, in the unit of the table.

    ``ratios[ours][other]`` is the median of the ratios of each round, which is steadier than the
    ratio of the medians when the machine is faster in some rounds than in others.
    """

    name: str
    medians: dict[str, float]
    least: dict[str, float]
    ratios: dict[str, dict[str, float]]
    targets: list[Target] = field(default_factory=list)


@dataclass(frozen=True)
class Table:
    """The figures of one theme, with the competitors that are ours."""

    name: str
    title: str
    unit: str
    ours: list[str]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Figures:
    """All tables of a run, and where they were measured."""

    machine: str
    tables: list[Table]


def say(text: str) -> None:
    """Print progress, which goes to stderr so that the tables can be piped."""
    print(text, file=sys.stderr, flush=True)


def ratio_target(row: Row, ours: str, peer: str, limit: float, *, below: bool = False) -> Target:
    """Demand at most `limit` times the time of `peer`, or less than that with `below`."""
    ratio = row.ratios[ours][peer]
    met = ratio < limit if below else ratio <= limit
    return Target(f"{ours} {'<' if below else '<='} {limit:.2f} x {peer}", f"{ratio:.2f}", met)


def interleave(batches: Mapping[str, Batch], rounds: int) -> dict[str, list[float]]:
    """Return the times of each batch; each round runs all of them, in an order of its own."""
    samples: dict[str, list[float]] = {name: [] for name in batches}
    for batch in batches.values():
        batch()
    gc.collect()
    gc.freeze()  # what the frameworks imported is not looked through again in mid-round
    for number in range(rounds):
        order = list(batches)
        random.Random(number).shuffle(order)
        for name in order:
            samples[name].append(batches[name]())
    gc.unfreeze()
    return samples


def row(
    name: str, samples: Mapping[str, list[float]], scale: float, ours: Iterable[str] = ()
) -> Row:
    """Make a row of samples in seconds; `scale` turns them into the unit of the table."""
    medians = {one: statistics.median(times) * scale for one, times in samples.items()}
    least = {one: min(times) * scale for one, times in samples.items()}
    return Row(name, medians, least, {one: _paired(samples, one) for one in ours})


def _paired(samples: Mapping[str, list[float]], ours: str) -> dict[str, float]:
    return {
        name: statistics.median(a / b for a, b in zip(samples[ours], times, strict=True))
        for name, times in samples.items()
    }


def cpu_time(work: Callable[[], object]) -> float:
    """Return the CPU time of `work` in seconds: what other processes do does not count."""
    start = time.process_time_ns()
    work()
    return (time.process_time_ns() - start) / 1e9


def number(value: float) -> str:
    """Write a figure with about three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def text(table: Table, *, styled: bool) -> str:
    """Return a table as text, `styled` for a terminal."""
    columns = list(dict.fromkeys(name for row in table.rows for name in row.medians))
    first = max(len(name) + 4 for name in [*(row.name for row in table.rows), *table.ours])
    widths = [max(len(name), 7) + 2 for name in columns]

    def line(head: str, cells: Iterable[str]) -> str:
        padded = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        return (head.ljust(first) + "".join(padded)).rstrip()

    lines = [f"{table.name.capitalize()}: {table.title} ({table.unit})", line("", columns)]
    for row in table.rows:
        lines.append(line(row.name, [_cell(row.medians, name) for name in columns]))
        for ours, found in row.ratios.items():
            lines.append(line(f"  {ours} / ", [_cell(found, name) for name in columns]))
        lines += [f"  {_verdict(target, styled=styled)}" for target in row.targets]
    return "\n".join(lines + [f"  note: {note}" for note in table.notes])


def _cell(values: Mapping[str, float], name: str) -> str:
    return number(values[name]) if name in values else "-"


def _verdict(target: Target, *, styled: bool) -> str:
    word = "met" if target.met else "MISSED"
    if styled:
        word = f"\033[{'32' if target.met else '1;31'}m{word}\033[0m"
    return f"target {target.text}: {target.value} {word}"
