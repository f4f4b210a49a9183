"""``kit explain``: what is in force, and where it came from."""

from __future__ import annotations

import os

import click

from kit.assembly import Stack
from kit.cli.options import project_options
from kit.cli.output import table
from kit.cli.project import Project
from kit.config import Keys
from kit.reader import Value


@click.command("explain")
@project_options
def command(project: Project) -> None:
    """Show every value in force, and where it came from.

    The slots with their components come first. Secrets and passwords are hidden.

    \b
    Example:
        KIT_PROFILE=production kit explain
    """
    stack = project.stack()
    profile = os.environ.get("KIT_PROFILE")
    click.echo(f"{project.path}{f' with profile {profile}' if profile else ''}\n")
    click.echo(_slots(stack))
    for name, values in _tables(stack).items():
        rows = [(value.keys[-1], value.shown(), value.where) for value in values]
        title = f"[{'.'.join(name)}]"
        click.echo(f"\n{click.style(title, bold=True)}")
        click.echo(table(["key", "value", "from"], rows))


def _tables(stack: Stack) -> dict[Keys, list[Value]]:
    tables: dict[Keys, list[Value]] = {}
    for value in stack.values:
        tables.setdefault(value.keys[:-1], []).append(value)
    return tables


def _slots(stack: Stack) -> str:
    rows = []
    for name in stack.slots:
        fillings = stack.filling(name)
        names = ", ".join(one.component.name for one in fillings)
        rows.append((name, names, fillings[0].where) if fillings else (name, "-", ""))
    return table(["slot", "component", "from"], rows)
