"""``kit routes``: which handler answers which URL."""

from __future__ import annotations

import click

from kit.cli.options import project_options
from kit.cli.output import table
from kit.cli.project import Project


@click.command("routes")
@project_options
def command(project: Project) -> None:
    """List the routes of the application in the order in which they were declared.

    \b
    Example:
        kit routes
    """
    project.app.check()
    folder = f"{project.config.folder}/"
    rows = [
        (",".join(route.methods), route.text, route.name, route.where.removeprefix(folder))
        for route in project.app.routes
    ]
    click.echo(table(["method", "pattern", "name", "handler"], rows))
