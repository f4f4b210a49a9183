"""``kit components``: what there is for each slot."""

from __future__ import annotations

import click

from kit.cli.catalogue import Catalogue, catalogue, pip_line
from kit.cli.options import project_options
from kit.cli.output import print_problems, table
from kit.cli.project import Project
from kit.components import Component
from kit.config import Config
from kit.errors import ConfigError


@click.command("components")
@project_options
def command(project: Project) -> None:
    """List the components that there are for each slot.

    Each with its library, and with what to install where that is missing. Those that the config
    file picks are marked as in use.

    \b
    Example:
        kit components
    """
    there = project.path.exists()
    found = catalogue(project.config if there else Config())
    if not there:
        found.in_use.clear()
    rows = [(one.slot, one.name, _library(one), _status(one, found)) for one in found.each()]
    click.echo(table(["slot", "component", "library", "status"], rows))
    if found.problems:
        print_problems(ConfigError(found.problems))


def _library(component: Component) -> str:
    return f"{component.library} {component.version() or ''}".strip() or "-"


def _status(component: Component, found: Catalogue) -> str:
    if component.version() is None:
        return pip_line(component)
    return "in use" if component.name in found.in_use.get(component.slot, ()) else "installed"
