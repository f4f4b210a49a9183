"""What commands print: problems and tables, in colour only on a terminal."""

from __future__ import annotations

import traceback as tracebacks
from collections.abc import Iterable, Sequence
from typing import IO, Any

import click

from kit.errors import ConfigError, Problem


class Mistake(click.ClickException):
    """A mistake of the user: its problems are printed, and the command exits with 2."""

    exit_code = 2

    def __init__(self, error: ConfigError, traceback: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.traceback = traceback

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the problems, with the tracebacks of what caused them where that is asked for."""
        print_problems(self.error, self.traceback)


def print_problems(error: ConfigError, traceback: bool = False) -> None:
    """Print all problems to stderr; with `traceback` also those of their causes."""
    for problem in error.problems:
        if traceback and problem.cause:
            click.echo("".join(tracebacks.format_exception(problem.cause)), err=True, nl=False)
        where = click.style(f"{problem.where}: ", bold=True) if problem.where else ""
        mend = f"\n    {problem.mend}" if problem.mend else ""
        click.echo(f"{where}{click.style(problem.what, fg='red')}{mend}", err=True)
    if not traceback and any(_worth_a_look(problem) for problem in error.problems):
        click.echo("Where it was raised is shown with --traceback, or KIT_TRACEBACK=1.", err=True)
    if len(error.problems) > 1:
        click.echo(f"{len(error.problems)} problems.", err=True)


def _worth_a_look(problem: Problem) -> bool:
    """Say whether the cause of a problem may tell more: it does not if it is bad input."""
    cause = problem.cause
    return cause is not None and not isinstance(cause, (ImportError, ConfigError))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as aligned columns under their names; numbers go to the right."""
    rows = list(rows)
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    right = [isinstance(cell, (int, float)) for cell in (rows[0] if rows else head)]

    def line(row: Sequence[str]) -> str:
        aligned = [
            cell.rjust(width) if to_the_right else cell.ljust(width)
            for cell, width, to_the_right in zip(row, widths, right, strict=True)
        ]
        return "  ".join(aligned).rstrip()

    return "\n".join([click.style(line(head), bold=True), *map(line, cells)])
