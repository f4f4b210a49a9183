"""``kit create``: create the tables that are missing."""

from __future__ import annotations

import click

from kit.cli.options import project_options
from kit.cli.project import Project
from kit.errors import ConfigError, Problem
from kit.slots.persistence import create_tables


@click.command("create")
@project_options
def command(project: Project) -> None:
    """Create the tables that are missing, for a server that runs with create = "never".

    \b
    Example:
        KIT_PROFILE=production kit create
    """
    app = project.app
    click.get_current_context().call_on_close(app.stop)
    app.check()
    if "persistence" not in app.stack.fillings:
        what = "there are no tables to create: nothing fills the slot 'persistence'."
        raise ConfigError([Problem(project.path.name, what)])
    tables = create_tables(app)
    click.echo(f"Tables are there: {', '.join(table.name for table in tables) or 'none'}.")
