"""The command ``kit``: one module per command, imported when that command is called."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kit import __version__
from kit.cli.options import project_options
from kit.cli.output import Mistake, print_problems
from kit.cli.project import Project
from kit.errors import ConfigError, Problem, nearest
from kit.providers import place

COMMANDS = {
    "check": "Check the configuration and the application.",
    "components": "List the components that there are for each slot.",
    "create": "Create the tables that are missing.",
    "explain": "Show every value in force, and where it came from.",
    "matrix": "Run the application's tests on combinations of components.",
    "new": "Start a project from a recipe.",
    "new-adapter": "Write an adapter and its test into the current folder.",
    "purge": "Remove expired sessions.",
    "recipes": "List the recipes that `kit new` can copy.",
    "routes": "List the routes of the application.",
    "run": "Serve the application for development.",
    "schema": "Print a JSON Schema of kit.toml.",
    "serve": "Serve the application with the server that [serving] picks.",
}


class Commands(click.Group):
    """The group of all commands: the kernel's by `COMMANDS`, others from the plug-ins in use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands; a broken configuration hides those of plug-ins."""
        try:
            return sorted({*COMMANDS, *_contributed(ctx)})
        except ConfigError:
            return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name in COMMANDS:
            module = importlib.import_module(f"kit.cli.{cmd_name.replace('-', '_')}")
            command: click.Command = module.command
            return command
        return _contributed(ctx).get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing the kernel's.

        What is wrong with those of plug-ins and of the application is told on stderr.
        """
        try:
            _contributed(ctx)
        except ConfigError as error:
            print_problems(error)
        rows = []
        for name in self.list_commands(ctx):
            command = None if name in COMMANDS else self.get_command(ctx, name)
            rows.append((name, command.get_short_help_str() if command else COMMANDS[name]))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` name; an unknown one is shown with the nearest name."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            known = self.list_commands(ctx)
            raise click.UsageError(f"No such command {args[0]!r}.{nearest(args[0], known)}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; mistakes are shown without a traceback, and exit with 2."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise Mistake(error, traceback=ctx.meta.get("kit.traceback", False)) from error


def _contributed(ctx: click.Context) -> dict[str, click.Command]:
    """Return the commands of the application and its plug-ins, if there is a config file."""
    project = ctx.find_root().obj or Project(Path(os.environ.get("KIT_CONFIG", "kit.toml")))
    if not project.path.exists():
        return {}
    return commands_of(project)


def commands_of(project: Project) -> dict[str, click.Command]:
    """Return the commands of the application and its plug-ins by name.

    Raises ConfigError, with both places, where two have one name, or one has a kernel's.
    """
    given = [
        (command, _place(command, f"plug-in {plugin!r}"))
        for plugin, commands in project.stack().plugins.each("kit_commands")
        for command in commands
    ]
    if project.config.get("app", "import"):
        given += [(_command(one), _place(one, "the application")) for one in project.app.commands]
    found: dict[str, click.Command] = {}
    places = dict.fromkeys(COMMANDS, "the kernel")
    problems = []
    for command, where in given:
        name = command.name or ""
        if name in places:
            what = f"gives the command {name!r}, and so does {places[name]}."
            problems.append(Problem(where, what, "Rename one of them."))
        found[name], places[name] = command, where
    if problems:
        raise ConfigError(problems)
    return found


def _place(command: Callable[..., Any], giver: str) -> str:
    """Return where a command was written, or else who gives it."""
    if isinstance(command, click.Command):
        return place(command.callback) if command.callback else giver
    return place(command)


def _command(function: Callable[..., Any]) -> click.Command:
    """Make a command of a function whose parameters name providers, unless it is one."""
    if isinstance(function, click.Command):
        return function

    @click.command(function.__name__.replace("_", "-"), help=function.__doc__)
    @project_options
    def command(project: Project) -> None:
        click.get_current_context().call_on_close(project.app.stop)
        if (said := project.called(function)) is not None:
            click.echo(said)

    return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="framekit")
@project_options
@click.pass_context
def main(ctx: click.Context, project: Project) -> None:
    """Assemble a web stack from the components that kit.toml names.

    Commands of plug-ins are listed too where the config file names those plug-ins; such a command
    gets the project with `click.pass_obj`.

    \b
    Example:
        kit new demo --recipe contacts
        cd demo
        kit run
    """
    ctx.obj = project
    if os.environ.get("NO_COLOR"):
        ctx.color = False
