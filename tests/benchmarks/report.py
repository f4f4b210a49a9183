"""Turn the figures of a run into Markdown: ``python report.py FIGURES.json``."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from harness import Figures, Row, Table, number


def markdown(figures: Figures) -> str:
    """Return one section with tables for each theme."""
    parts = [f"Measured on {figures.machine}.", *map(_section, figures.tables)]
    return "\n\n".join(parts) + "\n"


def _section(table: Table) -> str:
    columns = list(dict.fromkeys(name for row in table.rows for name in row.medians))
    lines = [f"## {table.name.capitalize()}", "", _sentence(f"{table.title}, in {table.unit}"), ""]
    if columns:
        lines += [_line(["", *columns]), _line(["---", *["--:"] * len(columns)])]
        lines += [_line([row.name, *_cells(row, columns)]) for row in table.rows]
    if any(row.targets for row in table.rows):
        lines += ["", *_line_of_targets(table)]
    return "\n".join([*lines, *(f"\n{_sentence(note)}" for note in table.notes)])


def _line_of_targets(table: Table) -> list[str]:
    lines = [_line(["", "target", "found", ""]), _line(["---", "---", "--:", "---"])]
    for row in table.rows:
        for target in row.targets:
            verdict = "met" if target.met else "**missed**"
            lines.append(_line([row.name, target.text, target.value, verdict]))
    return lines


def _cells(row: Row, columns: list[str]) -> list[str]:
    return [number(row.medians[name]) if name in row.medians else "" for name in columns]


def _line(cells: list[str]) -> str:
    escaped = (cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}."


if __name__ == "__main__":
    print(markdown(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Figures)), end="")
