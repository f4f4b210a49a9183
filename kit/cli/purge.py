"""``kit purge``: remove expired sessions."""

from __future__ import annotations

import click

from kit.cli.options import project_options
from kit.cli.project import Project
from kit.errors import ConfigError, KitError, Problem


@click.command("purge")
@project_options
def command(project: Project) -> None:
    """Remove expired sessions, where the store does not do so by itself.

    \b
    Example:
        kit purge
    """
    app = project.app
    click.get_current_context().call_on_close(app.stop)
    app.check()
    if "sessions" not in app.stack.fillings:
        what = "there are no sessions to purge: nothing fills the slot 'sessions'."
        raise ConfigError([Problem(project.path.name, what)])
    store = app.provided("sessions")
    try:
        count = store.purge()
    except KitError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Removed {count} expired session{'' if count == 1 else 's'}.")
